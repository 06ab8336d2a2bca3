//! Pooling against windows walked element by element.

use super::*;
use crate::kernels::par::with_threads;
use crate::simd::{available, with_level};
use crate::{Device, Tensor};

fn axis(input: usize, kernel: usize, stride: usize, pad: usize, full: bool) -> Axis {
    let room = input + 2 * pad - kernel;
    let output = if full { room.div_ceil(stride) } else { room / stride } + 1;
    Axis { input, output, kernel, stride, dilate: 1, pad }
}

/// Places of the elements of each window of a plane, for one channel, and how many the padding adds.
fn walk(p: &Pool, c: usize) -> Vec<(Vec<usize>, usize)> {
    let [a0, a1, a2] = p.axes;
    let mut all = vec![];
    for o in 0..a0.output * a1.output * a2.output {
        let o = [o / (a1.output * a2.output), o / a2.output % a1.output, o % a2.output];
        let (mut inside, mut padded) = (vec![], 0);
        for k in 0..a0.kernel * a1.kernel * a2.kernel {
            let k = [k / (a1.kernel * a2.kernel), k / a2.kernel % a1.kernel, k % a2.kernel];
            let at = [0, 1, 2].map(|i| (o[i] * p.axes[i].stride + k[i]) as isize - p.axes[i].pad as isize);
            padded += usize::from((0..3).all(|i| at[i] < (p.axes[i].input + p.axes[i].pad) as isize));
            if (0..3).all(|i| at[i] >= 0 && at[i] < p.axes[i].input as isize) {
                let at = at.map(|a| a as usize);
                inside.push(((at[0] * a1.input + at[1]) * a2.input + at[2]) * p.inner + c);
            }
        }
        all.push((inside, padded));
    }
    all
}

fn problems() -> Vec<Pool> {
    let shapes = [
        [Axis::NONE, Axis::NONE, axis(9, 3, 1, 1, false)],
        [Axis::NONE, axis(7, 2, 2, 0, true), axis(41, 3, 2, 1, true)],
        [Axis::NONE, axis(5, 1, 3, 0, true), axis(6, 1, 4, 0, true)],
        [axis(3, 2, 1, 1, false), axis(4, 3, 3, 2, true), axis(5, 5, 1, 2, false)],
        [Axis::NONE, axis(4, 4, 1, 0, false), axis(35, 35, 1, 0, false)],
        [Axis::NONE, axis(6, 2, 2, 0, false), axis(8, 2, 2, 0, false)],
        [axis(2, 1, 1, 0, false), axis(4, 2, 2, 0, false), axis(74, 2, 2, 0, false)],
        [Axis::NONE, axis(2, 2, 2, 0, false), axis(5, 2, 2, 0, false)],
    ];
    shapes.iter().flat_map(|&axes| [1, 3, 19].map(|inner| Pool { planes: 2, inner, axes })).collect()
}

#[test]
fn all_kinds_are_what_the_windows_hold() {
    let kinds = [
        Kind::Max,
        Kind::Sum,
        Kind::Average { padding: true },
        Kind::Average { padding: false },
        Kind::Power(1),
        Kind::Power(2),
        Kind::Power(3),
    ];
    for p in problems() {
        let inner = p.inner;
        let x: Vec<f32> = (0..2 * p.input()).map(|i| ((i * 37 + i / 7) % 23) as f32 - 9.0).collect();
        let x = Tensor::from_slice(&x, &[x.len()], Device::default()).unwrap();
        for kind in kinds {
            let mut want = vec![0f32; 2 * p.output()];
            for (plane, c) in (0..2).flat_map(|n| (0..inner).map(move |c| (n, c))) {
                for (o, (inside, padded)) in walk(&p, c).into_iter().enumerate() {
                    let v = inside.iter().map(|&i| f64::from(x.to_vec::<f32>()[plane * p.input() + i]));
                    let sum = |p: i32| v.clone().map(|v| v.powi(p)).sum::<f64>();
                    want[plane * p.output() + o * inner + c] = match kind {
                        Kind::Max => v.fold(f64::from(f32::MIN), f64::max),
                        Kind::Average { padding } => {
                            let n = if padding { padded } else { inside.len() };
                            if n == 0 { 0.0 } else { sum(1) / n as f64 }
                        }
                        Kind::Sum | Kind::Power(1) => sum(1),
                        Kind::Power(2) => sum(2).sqrt(),
                        Kind::Power(_) => sum(3).cbrt(),
                    } as f32;
                }
            }
            for (&level, threads) in available().iter().flat_map(|l| [(l, 1), (l, 2)]) {
                let y = Tensor::empty(&[want.len()], DType::F32, Device::default()).unwrap();
                let (x, to) = (x.span(), y.span());
                let run = || p.compute(Pass::Pool(kind), x, x, to).unwrap();
                with_level(level, || with_threads(threads, run));
                let far = |(g, w): (&f32, &f32)| !((g - w).abs() <= 2e-6 * w.abs());
                let wrong = y.to_vec::<f32>().iter().zip(&want).position(far);
                assert_eq!(wrong, None, "{kind:?} {level:?} {p:?}");
            }
        }
    }
}

#[test]
fn gradients_go_to_the_elements_of_their_windows() {
    for p in problems() {
        let tensor = |n: usize, by: usize| {
            let v: Vec<f32> = (0..n).map(|i| ((i * by + i / 7) % 23) as f32 - 9.0).collect();
            Tensor::from_slice(&v, &[n], Device::default()).unwrap()
        };
        let (x, v, g) = (tensor(2 * p.input(), 37), tensor(2 * p.input(), 5), tensor(2 * p.output(), 11));
        let (xs, vs, gs) = (x.to_vec::<f32>(), v.to_vec::<f32>(), g.to_vec::<f32>());
        let mut spread = [vec![0f32; xs.len()], vec![0f32; xs.len()], vec![0f32; xs.len()]];
        let (mut route, mut pick) = (vec![0f32; xs.len()], vec![0f32; gs.len()]);
        for (plane, c) in (0..2).flat_map(|n| (0..p.inner).map(move |c| (n, c))) {
            for (o, (inside, padded)) in walk(&p, c).into_iter().enumerate() {
                let o = plane * p.output() + o * p.inner + c;
                let inside: Vec<usize> = inside.iter().map(|i| plane * p.input() + i).collect();
                for (i, by) in [1, padded, inside.len()].into_iter().enumerate() {
                    inside.iter().for_each(|&at| spread[i][at] += gs[o] / by as f32);
                }
                let first = inside.iter().copied().reduce(|a, b| if xs[b] > xs[a] { b } else { a });
                if let Some(at) = first {
                    route[at] += gs[o];
                    pick[o] = vs[at];
                }
            }
        }
        let average = |padding| Pass::Spread(Kind::Average { padding });
        for (pass, a, b, want) in [
            (Pass::Spread(Kind::Sum), &g, &g, &spread[0]),
            (average(true), &g, &g, &spread[1]),
            (average(false), &g, &g, &spread[2]),
            (Pass::Route, &x, &g, &route),
            (Pass::Pick, &x, &v, &pick),
        ] {
            for &level in available() {
                let out = Tensor::empty(&[want.len()], DType::F32, Device::default()).unwrap();
                with_level(level, || p.compute(pass, a.span(), b.span(), out.span()).unwrap());
                let far = |(g, w): (&f32, &f32)| !((g - w).abs() <= 2e-5 * (1.0 + w.abs()));
                let wrong = out.to_vec::<f32>().iter().zip(want).position(far);
                assert_eq!(wrong, None, "{pass:?} {level:?} {p:?}");
            }
        }
    }
}

#[test]
fn nan_is_passed_over_wherever_it_stands() {
    let x = [1.0, f32::NAN, 2.0, 5.0, f32::NAN, 1.0, 3.0, f32::NAN];
    let x = Tensor::from_slice(&x, &[8], Device::default()).unwrap();
    let g = Tensor::from_slice(&[10f32, 20.0], &[2], Device::default()).unwrap();
    for inner in [1, 2] {
        // Rows of one channel 1 N 2 5 and N 1 3 N; places of two channels 1 N, 2 5, N 1, 3 N.
        let (want, at) = if inner == 1 { ([1.0, 5.0], [0, 3]) } else { ([3.0, 5.0], [6, 3]) };
        let mut gradient = [0f32; 8];
        (gradient[at[0]], gradient[at[1]]) = (10.0, 20.0);
        let axes = [Axis::NONE, axis(2, 2, 2, 0, false), axis(4 / inner, 2, 2, 0, false)];
        let p = Pool { planes: 1, inner, axes };
        for &level in available() {
            let [y, dx] = [2, 8].map(|n| Tensor::empty(&[n], DType::F32, Device::default()).unwrap());
            with_level(level, || {
                p.compute(Pass::Pool(Kind::Max), x.span(), x.span(), y.span()).unwrap();
                p.compute(Pass::Route, x.span(), g.span(), dx.span()).unwrap();
            });
            assert_eq!(y.to_vec::<f32>(), want, "{level:?}");
            assert_eq!(dx.to_vec::<f32>(), gradient, "{level:?}");
        }
    }
}

#[test]
fn pairs_of_rows_are_treated_alike_wherever_they_are_written() {
    // As many elements as are written past the caches, and one row more than twice as many that are not.
    let p = Pool {
        planes: 1 << 9,
        inner: 1,
        axes: [Axis::NONE, axis(64, 2, 2, 0, false), axis(1 << 10, 2, 2, 0, false)],
    };
    let numbers: Vec<f32> = (0..p.planes * p.input()).map(|i| ((i * 37 + i / 7) % 23) as f32).collect();
    let x = Tensor::from_slice(&numbers, &[numbers.len()], Device::default()).unwrap();
    let out = Tensor::empty(&[numbers.len()], DType::F32, Device::default()).unwrap();
    let one = Pool { planes: 1, ..p };
    let n = p.planes * p.output();
    for pass in [Pass::Route, Pass::Spread(Kind::Sum)] {
        let a = if pass == Pass::Route { x.span() } else { x.span().sub(0, n) };
        let b = x.span().sub(0, if pass == Pass::Route { n } else { a.len() });
        p.compute(pass, a, b, out.span()).unwrap();
        let part = Tensor::empty(&[p.input()], DType::F32, Device::default()).unwrap();
        for plane in [0, 7, 511] {
            let of = |s: Span, size: usize| s.sub(plane * size, size);
            let data = if pass == Pass::Route { of(x.span(), p.input()) } else { of(a, p.output()) };
            one.compute(pass, data, if pass == Pass::Route { of(b, p.output()) } else { data }, part.span())
                .unwrap();
            let got = of(out.span(), p.input());
            // SAFETY: nobody writes it now.
            assert!(unsafe { got.slice::<f32>() } == part.as_slice::<f32>(), "{pass:?} {plane}");
        }
    }
}
