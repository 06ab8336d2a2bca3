//! Convolutions and pooling, forward and back, against what the arithmetic allows.
//!
//! `cargo bench -p keshi-benches --bench convolution [-- FILTER]`. Elements per second are floating-point operations per second for
//! convolutions (two for each multiplication), and elements of data and result together for pooling.

use criterion::{Criterion, Throughput};
use keshi::kernels::conv::{self, Axis, Conv};
use keshi::kernels::pool::{self, Kind, Pool};
use keshi::{Device, Tensor};
use std::hint::black_box;
use std::time::Duration;

/// `n` small numbers.
fn numbers(n: usize) -> Tensor {
    let v: Vec<f32> = (0..n).map(|i| (i % 17) as f32 - 8.0).collect();
    Tensor::from_slice(&v, &[n], Device::default()).expect("memory for the bench")
}

fn axis(input: usize, kernel: usize, stride: usize, pad: usize) -> Axis {
    Axis { input, output: (input + 2 * pad - kernel) / stride + 1, kernel, stride, dilate: 1, pad }
}

/// Name, batch, groups, channels and filters of a group, then size, kernel, stride and pad of two axes.
type Layer = (&'static str, [usize; 4], [usize; 4]);

const LAYERS: &[Layer] = &[
    ("3x3 64-64 56²", [8, 1, 64, 64], [56, 3, 1, 1]),
    ("1x1 256-64 56²", [8, 1, 256, 64], [56, 1, 1, 0]),
    ("7x7/2 3-64 224²", [8, 1, 3, 64], [224, 7, 2, 3]),
    ("depthwise 3x3 128 56²", [8, 128, 1, 1], [56, 3, 1, 1]),
    ("3x3 512-512 7² one image", [1, 1, 512, 512], [7, 3, 1, 1]),
    ("1x1 1024-256 14² one image", [1, 1, 1024, 256], [14, 1, 1, 0]),
    ("5x5 1-6 28² batch 256", [256, 1, 1, 6], [28, 5, 1, 0]),
];

fn main() {
    let mut c = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .sample_size(10)
        .without_plots()
        .configure_from_args();
    for (name, [batch, groups, channels, filters], [size, kernel, stride, pad]) in LAYERS {
        let a = axis(*size, *kernel, *stride, *pad);
        let axes = [Axis::NONE, a, a];
        let layer = Conv {
            batch: *batch,
            groups: *groups,
            channels: *channels,
            filters: *filters,
            axes,
            last: false,
        };
        let terms = groups * filters * channels * kernel * kernel;
        let (x, w) = (numbers(batch * groups * channels * size * size), numbers(terms));
        let y = numbers(batch * groups * filters * a.output * a.output);
        let (x, w, y) = (x.span(), w.span(), y.span());
        let mut g = c.benchmark_group(*name);
        g.throughput(Throughput::Elements((2 * batch * terms * a.output * a.output) as u64));
        for (pass, a, b, out) in
            [(conv::Pass::Forward, x, w, y), (conv::Pass::Data, y, w, x), (conv::Pass::Weight, x, y, w)]
        {
            g.bench_function(format!("{pass:?}"), |t| {
                t.iter(|| black_box(layer.compute(pass, a, b, None, out)).expect("memory for scratch"))
            });
        }
        g.finish();
    }
    for (name, [size, kernel, stride, pad]) in
        [("pool 3x3/2 64 112²", [112, 3, 2, 1]), ("pool 2x2/2 64 56²", [56, 2, 2, 0])]
    {
        let a = axis(size, kernel, stride, pad);
        let p = Pool { planes: 8 * 64, inner: 1, axes: [Axis::NONE, a, a] };
        let (x, y, d) =
            (numbers(512 * size * size), numbers(512 * a.output * a.output), numbers(512 * size * size));
        let (x, y, d) = (x.span(), y.span(), d.span());
        let average = Kind::Average { padding: true };
        let mut g = c.benchmark_group(name);
        g.throughput(Throughput::Elements((x.len() + y.len()) as u64));
        for (what, pass, a, b, out) in [
            ("max", pool::Pass::Pool(Kind::Max), x, x, y),
            ("average", pool::Pass::Pool(average), x, x, y),
            ("max back", pool::Pass::Route, x, y, d),
            ("average back", pool::Pass::Spread(average), y, y, d),
        ] {
            g.bench_function(what, |t| {
                t.iter(|| black_box(p.compute(pass, a, b, out)).expect("memory for scratch"))
            });
        }
        g.finish();
    }
}
