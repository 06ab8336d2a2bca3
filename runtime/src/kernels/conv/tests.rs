//! The three passes against their sums as written, in float64.

use super::*;
use crate::kernels::par::with_threads;
use crate::simd::{available, with_level};

struct Problem {
    conv: Conv,
    x: Vec<f64>,
    w: Vec<f64>,
    y: Vec<f64>,
}

/// Small whole numbers, so that every sum is exact in float32.
fn numbers(n: usize, seed: usize) -> Vec<f64> {
    (0..n).map(|i| ((i * 7 + i / 3 * 5 + seed) % 11) as f64 - 5.0).collect()
}

impl Problem {
    fn new(conv: Conv) -> Problem {
        let all = |c: usize, dims: [usize; 3]| conv.batch * conv.groups * c * dims.iter().product::<usize>();
        Problem {
            x: numbers(all(conv.channels, conv.axes.map(|a| a.input)), 1),
            w: numbers(conv.weights(), 2),
            y: numbers(all(conv.filters, conv.axes.map(|a| a.output)), 3),
            conv,
        }
    }

    /// Calls `f(x, w, y)` with the places of the operands of every term.
    fn terms(&self, mut f: impl FnMut(usize, usize, usize)) {
        let c = &self.conv;
        let (data, result, [row, depth, tap]) = (c.data(), c.result(), c.strides());
        let [a0, a1, a2] = c.axes;
        let at = |p: Place, n: usize, ch: usize, i: [usize; 3]| {
            n * p.image + ch * p.channel + (0..3).map(|k| i[k] * p.axes[k]).sum::<usize>()
        };
        for n in 0..c.batch {
            for g in 0..c.groups {
                for o in 0..a0.output * a1.output * a2.output {
                    let o = [o / (a1.output * a2.output), o / a2.output % a1.output, o % a2.output];
                    for k in 0..c.kernel() {
                        let t = [k / (a1.kernel * a2.kernel), k / a2.kernel % a1.kernel, k % a2.kernel];
                        let i = [0, 1, 2].map(|j| {
                            let a = c.axes[j];
                            (o[j] * a.stride + t[j] * a.dilate).wrapping_sub(a.pad)
                        });
                        if (0..3).any(|j| i[j] >= c.axes[j].input) {
                            continue;
                        }
                        for ch in 0..c.channels {
                            for fl in 0..c.filters {
                                f(
                                    at(data, n, g * c.channels + ch, i),
                                    (g * c.filters + fl) * row + ch * depth + k * tap,
                                    at(result, n, g * c.filters + fl, o),
                                );
                            }
                        }
                    }
                }
            }
        }
    }

    fn check(&self) {
        self.check_within(0.0);
    }

    /// Results differ from the sums by at most so many roundings of the largest sum of terms' magnitudes.
    fn check_within(&self, roundings: f64) {
        let zeros = || [vec![0.0; self.x.len()], vec![0.0; self.w.len()], vec![0.0; self.y.len()]];
        let ([mut x, mut w, mut y], [mut sx, mut sw, mut sy]) = (zeros(), zeros());
        self.terms(|i, k, o| {
            let terms = [self.w[k] * self.y[o], self.x[i] * self.y[o], self.x[i] * self.w[k]];
            let [vx, vw, vy] = terms;
            (x[i], w[k], y[o]) = (x[i] + vx, w[k] + vw, y[o] + vy);
            (sx[i], sw[k], sy[o]) = (sx[i] + vx.abs(), sw[k] + vw.abs(), sy[o] + vy.abs());
        });
        for &level in available() {
            for threads in [1, 2] {
                with_level(level, || {
                    with_threads(threads, || {
                        for (pass, a, b, want, size) in [
                            (Pass::Forward, &self.x, &self.w, &y, &sy),
                            (Pass::Data, &self.y, &self.w, &x, &sx),
                            (Pass::Weight, &self.x, &self.y, &w, &sw),
                        ] {
                            for (dtype, unit) in
                                [(DType::F32, f32::EPSILON.into()), (DType::F64, f64::EPSILON)]
                            {
                                let got = self.run(pass, a, b, want.len(), dtype);
                                let most = roundings * unit * size.iter().fold(0.0, |a: f64, &b| a.max(b));
                                let near = |i: usize| (got[i] - want[i]).abs() <= most;
                                let far = (0..got.len()).find(|&i| !near(i)).map(|i| (i, got[i], want[i]));
                                assert_eq!(far, None, "{level:?} {pass:?} {dtype} {:?}", self.conv);
                            }
                        }
                    })
                });
            }
        }
    }

    fn run(&self, pass: Pass, a: &[f64], b: &[f64], n: usize, dtype: DType) -> Vec<f64> {
        let tensor = |v: &[f64]| {
            let t = crate::Tensor::from_slice(v, &[v.len()], Default::default()).unwrap();
            let to = crate::Tensor::empty(&[v.len()], dtype, Default::default()).unwrap();
            cast(t.span(), to.span());
            to
        };
        let (a, b, out) = (tensor(a), tensor(b), tensor(&vec![f64::NAN; n]));
        self.conv.compute(pass, a.span(), b.span(), None, out.span()).unwrap();
        out.to_vec()
    }
}

fn axis(input: usize, kernel: usize, stride: usize, pad: usize, dilate: usize) -> Axis {
    let output = (input + 2 * pad - (kernel - 1) * dilate - 1) / stride + 1;
    Axis { input, output, kernel, stride, dilate, pad }
}

#[test]
fn all_passes_are_the_sums_that_define_them() {
    let shapes = [
        [Axis::NONE, Axis::NONE, axis(9, 3, 1, 1, 1)],
        [Axis::NONE, axis(7, 3, 1, 1, 1), axis(9, 3, 1, 1, 1)],
        [Axis::NONE, axis(8, 3, 2, 1, 1), axis(11, 2, 3, 0, 2)],
        [Axis::NONE, axis(6, 1, 2, 0, 1), axis(5, 1, 3, 2, 1)],
        [Axis::NONE, axis(20, 1, 1, 0, 1), axis(21, 1, 1, 0, 1)],
        [axis(4, 2, 1, 1, 1), axis(5, 3, 2, 2, 2), axis(6, 3, 1, 0, 1)],
        [Axis::NONE, axis(9, 4, 3, 1, 2), axis(9, 5, 4, 3, 1)],
    ];
    for (batch, groups, channels, filters) in [(2, 1, 3, 7), (1, 3, 1, 1), (1, 2, 2, 5), (2, 1, 17, 18)] {
        for axes in shapes {
            for last in [false, true] {
                Problem::new(Conv { batch, groups, channels, filters, axes, last }).check();
            }
        }
    }
}

#[test]
fn large_ones_are_cut_and_put_together() {
    let square = |n, k, s, p| [Axis::NONE, axis(n, k, s, p, 1), axis(n, k, s, p, 1)];
    for (batch, channels, filters, axes) in [
        (2, 130, 20, square(16, 3, 1, 1)),
        (1, 8, 270, square(9, 2, 2, 1)),
        (3, 40, 33, square(33, 1, 1, 0)),
        (1, 3, 16, [Axis::NONE, axis(3, 3, 1, 1, 1), axis(9000, 3, 2, 1, 1)]),
    ] {
        Problem::new(Conv { batch, groups: 1, channels, filters, axes, last: false }).check();
    }
}

#[test]
fn few_channels_fill_registers_and_phases_are_woven() {
    let plane = |h, w| [Axis::NONE, h, w];
    for (batch, groups, channels, filters, axes) in [
        (2, 1, 3, 7, plane(axis(19, 7, 2, 3, 1), axis(64, 7, 2, 3, 1))),
        (1, 1, 3, 64, plane(axis(12, 7, 2, 3, 1), axis(225, 7, 2, 3, 1))),
        (2, 2, 2, 9, plane(axis(9, 3, 1, 1, 1), axis(112, 3, 1, 1, 1))),
        (3, 1, 1, 6, plane(axis(23, 5, 3, 1, 1), axis(51, 5, 3, 2, 1))),
        (1, 1, 4, 130, plane(axis(40, 5, 2, 2, 1), axis(47, 4, 2, 1, 1))),
        (2, 1, 20, 9, plane(axis(11, 3, 2, 1, 1), axis(40, 2, 2, 0, 1))),
        (1, 1, 2, 3, plane(axis(3, 2, 4, 1, 1), axis(1, 2, 2, 1, 1))),
        (2, 3, 1, 17, [axis(5, 3, 2, 1, 1), axis(6, 2, 2, 1, 1), axis(34, 3, 2, 1, 2)]),
    ] {
        Problem::new(Conv { batch, groups, channels, filters, axes, last: false }).check();
    }
}

#[test]
fn channels_that_see_one_channel_go_through_one_table() {
    let plane = |h, w| [Axis::NONE, h, w];
    for (batch, groups, filters, axes) in [
        (1, 33, 1, plane(axis(7, 3, 1, 1, 1), axis(7, 3, 1, 1, 1))),
        (2, 17, 2, plane(axis(14, 3, 2, 1, 1), axis(14, 3, 2, 1, 1))),
        (1, 40, 1, plane(axis(29, 5, 2, 2, 1), axis(31, 5, 2, 2, 1))),
        (1, 16, 1, plane(axis(5, 3, 1, 0, 2), axis(113, 3, 1, 1, 2))),
        (3, 9, 3, plane(axis(11, 2, 3, 0, 1), axis(70, 4, 3, 1, 1))),
        (2, 20, 1, [axis(4, 2, 1, 1, 1), axis(5, 3, 2, 2, 1), axis(6, 3, 1, 0, 1)]),
        (16, 1, 1, plane(axis(1, 1, 1, 0, 1), axis(50, 7, 1, 3, 1))),
    ] {
        let conv = Conv { batch, groups, channels: 1, filters, axes, last: false };
        assert!(conv.forward().is_planar::<f32>(), "{conv:?}");
        Problem::new(conv).check();
    }
}

/// On machines whose last cache has less than 72 MB.
#[test]
fn what_is_past_the_caches_is_written_whole() {
    let axes = [Axis::NONE, axis(257, 1, 1, 0, 1), axis(272, 1, 1, 0, 1)];
    let p = Problem::new(Conv { batch: 1, groups: 1, channels: 1, filters: 65, axes, last: false });
    let mut y = vec![0.0; p.y.len()];
    p.terms(|i, k, o| y[o] += p.x[i] * p.w[k]);
    for &level in available() {
        let got =
            with_level(level, || with_threads(2, || p.run(Pass::Forward, &p.x, &p.w, y.len(), DType::F64)));
        assert!(got == y, "{level:?}");
    }
}

#[test]
fn small_images_go_side_by_side() {
    for (batch, groups, channels, filters, axes) in [
        (16, 1, 5, 7, [Axis::NONE, axis(9, 5, 1, 0, 1), axis(8, 5, 1, 0, 1)]),
        (67, 1, 3, 13, [Axis::NONE, axis(6, 3, 2, 0, 1), axis(7, 3, 1, 0, 2)]),
        (32, 2, 8, 4, [Axis::NONE, axis(5, 3, 1, 1, 1), axis(6, 4, 1, 2, 1)]),
        (16, 1, 9, 2, [axis(4, 2, 1, 0, 1), axis(5, 3, 2, 2, 2), axis(6, 3, 1, 1, 1)]),
        (16, 1, 2, 2, [Axis::NONE, axis(4, 3, 1, 0, 1), axis(12, 9, 1, 0, 1)]),
    ] {
        let conv = Conv { batch, groups, channels, filters, axes, last: false };
        assert!(abreast::pays(&conv, Pass::Weight), "{conv:?}");
        Problem::new(conv).check();
    }
}

#[test]
fn minimal_filtering_side_by_side_is_near_the_plain_sums() {
    for (batch, groups, channels, filters, h, w, taps, pad) in [
        (32, 1, 20, 50, 12, 12, 5, 0),
        (67, 1, 9, 8, 13, 9, 3, 1),
        (48, 2, 8, 11, 9, 12, 5, 2),
        (160, 1, 17, 33, 6, 5, 3, 2),
        (64, 1, 40, 33, 11, 17, 3, 0),
        (70, 1, 20, 19, 12, 9, 5, 0),
        (64, 2, 8, 9, 11, 8, 5, 0),
    ] {
        let axes = [Axis::NONE, axis(h, taps, 1, pad, 1), axis(w, taps, 1, pad, 1)];
        let conv = Conv { batch, groups, channels, filters, axes, last: false };
        for pass in [Pass::Forward, Pass::Weight] {
            assert!(abreast::pays(&conv, pass) && winograd::six::pays(&conv, pass), "{conv:?}");
        }
        Problem::new(conv).check_within(16.0);
    }
}

#[test]
fn minimal_filtering_gives_the_plain_sums() {
    for (batch, groups, channels, filters, h, w, pad) in [
        (3, 1, 24, 25, 17, 18, 1),
        (1, 2, 26, 24, 31, 33, 0),
        (9, 1, 24, 24, 8, 9, 2),
        (2, 1, 70, 40, 24, 36, 1),
    ] {
        let axes = [Axis::NONE, axis(h, 3, 1, pad, 1), axis(w, 3, 1, pad, 1)];
        let conv = Conv { batch, groups, channels, filters, axes, last: false };
        assert!(winograd::pays(&conv), "{conv:?}");
        Problem::new(conv).check();
    }
}

#[test]
fn weights_made_ready_give_the_same_sums_and_what_follows_them() {
    let square = |n, k, s, p| [Axis::NONE, axis(n, k, s, p, 1), axis(n, k, s, p, 1)];
    for (batch, groups, channels, filters, axes, minimal) in [
        (1, 1, 70, 130, square(7, 1, 1, 0), false),
        (2, 1, 600, 33, square(5, 1, 2, 0), false),
        (1, 2, 12, 40, square(9, 3, 2, 1), false),
        (1, 1, 3, 64, square(21, 7, 2, 3), false),
        (3, 1, 20, 70, [axis(4, 2, 1, 1, 1), axis(5, 2, 2, 1, 2), axis(6, 3, 1, 0, 1)], false),
        (1, 1, 520, 32, square(7, 3, 1, 1), true),
        (3, 2, 24, 66, square(9, 3, 1, 1), true),
        (1, 1, 30, 129, [Axis::NONE, axis(31, 3, 1, 0, 1), axis(14, 3, 1, 2, 1)], true),
    ] {
        let conv = Conv { batch, groups, channels, filters, axes, last: false };
        assert!(!minimal || winograd::pays_ready(&conv), "{conv:?}");
        let p = Problem::new(conv);
        let mut y = vec![0.0; p.y.len()];
        p.terms(|i, k, o| y[o] += p.x[i] * p.w[k]);
        let (bias, add) = (numbers(groups * filters, 4), numbers(y.len(), 5));
        let plane = axes.iter().map(|a| a.output).product::<usize>();
        for &level in available() {
            for (threads, dtype, with) in
                [(1, DType::F32, 7), (2, DType::F32, 7), (2, DType::F64, 3), (1, DType::F32, 0)]
            {
                let tensor = |v: &[f64]| {
                    let t = crate::Tensor::from_slice(v, &[v.len()], Default::default()).unwrap();
                    let to = crate::Tensor::empty(&[v.len()], dtype, Default::default()).unwrap();
                    cast(t.span(), to.span());
                    to
                };
                let want: Vec<f64> = (y.iter().enumerate())
                    .map(|(i, &v)| {
                        let v = v + if with & 1 > 0 { bias[i / plane % bias.len()] } else { 0.0 };
                        let v = v + if with & 2 > 0 { add[i] } else { 0.0 };
                        if with & 4 > 0 { v.max(0.0) } else { v }
                    })
                    .collect();
                let (x, w, b, a) = (tensor(&p.x), tensor(&p.w), tensor(&bias), tensor(&add));
                let (made, out) =
                    (tensor(&vec![f64::NAN; conv.ready_size().unwrap()]), tensor(&vec![f64::NAN; y.len()]));
                let then = Epilogue {
                    bias: (with & 1 > 0).then(|| b.span()),
                    add: (with & 2 > 0).then(|| a.span()),
                    relu: with & 4 > 0,
                };
                with_level(level, || {
                    with_threads(threads, || {
                        conv.make_ready(w.span(), made.span());
                        conv.compute_ready(x.span(), made.span(), then, out.span()).unwrap();
                    })
                });
                let got: Vec<f64> = out.to_vec();
                let same = got.iter().zip(&want).position(|(g, w)| g != w);
                assert_eq!(same, None, "{level:?} {threads} {dtype} {with} {conv:?}");
            }
        }
    }
}
