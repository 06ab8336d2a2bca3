use super::*;
use crate::dtype::Elem;
use crate::kernels::par::with_threads;
use crate::simd::{available, with_level};
use half::{bf16, f16};

fn span<T: Elem>(v: &[T]) -> Span {
    // SAFETY: used while the vector lives; inputs are only read.
    unsafe { Span::new(v.as_ptr().cast_mut().cast(), v.len(), T::DTYPE) }
}

fn span_mut<T: Elem>(v: &mut [T]) -> Span {
    // SAFETY: used while the vector lives.
    unsafe { Span::new(v.as_mut_ptr().cast(), v.len(), T::DTYPE) }
}

fn outputs(dims: &[usize], reduced: &[bool]) -> usize {
    dims.iter().zip(reduced).filter(|(_, r)| !**r).map(|(d, _)| d).product()
}

/// The reduction by its definition: `f` over the elements of each output, in order.
fn naive(x: &[f64], dims: &[usize], reduced: &[bool], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let mut groups = vec![vec![]; outputs(dims, reduced)];
    for (i, &v) in x.iter().enumerate() {
        let (mut rest, mut to, mut step) = (i, 0, 1);
        for (d, r) in dims.iter().zip(reduced).rev() {
            if !r {
                to += rest % d * step;
                step *= d;
            }
            rest /= d;
        }
        groups[to].push(v);
    }
    groups.iter().map(|g| f(g)).collect()
}

fn check<R: Reduce, T: Elem>(r: R, dims: &[usize], reduced: &[bool], f: impl Fn(&[f64]) -> f64) {
    let n = dims.iter().product::<usize>();
    let x: Vec<T> = (0..n)
        .map(|i| T::from_i64((i as i64 * 7 % 11) - if T::DTYPE == DType::U8 { 0 } else { 5 }))
        .collect();
    let wide: Vec<f64> = x.iter().map(|v| v.to_f64()).collect();
    let mut out = vec![T::from_i64(3); outputs(dims, reduced)];
    reduce(r, span(&x), dims, reduced, span_mut(&mut out));
    for (i, (got, want)) in out.iter().zip(naive(&wide, dims, reduced, f)).enumerate() {
        assert_eq!(*got, T::from_f64(want), "{} {dims:?} {reduced:?} at {i}", T::DTYPE);
    }
}

#[test]
fn all_axes_types_and_levels() {
    let shapes: &[&[usize]] = &[
        &[1],
        &[70_000],
        &[3, 40_000],
        &[40_000, 3],
        &[5, 4, 3, 2],
        &[7, 1, 130],
        &[2, 3, 1030],
        &[9, 5, 40],
        &[300, 70],
    ];
    for &l in available() {
        with_level(l, || {
            for dims in shapes {
                for bits in 0..1u32 << dims.len() {
                    let reduced: Vec<bool> = (0..dims.len()).map(|i| bits >> i & 1 == 1).collect();
                    check::<_, f32>(Sum, dims, &reduced, |g| g.iter().sum());
                    check::<_, f64>(Sum, dims, &reduced, |g| g.iter().sum());
                    check::<_, f16>(Max, dims, &reduced, |g| {
                        g.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b))
                    });
                    check::<_, bf16>(Sum, dims, &reduced, |g| g.iter().sum());
                    check::<_, u8>(Sum, dims, &reduced, |g| g.iter().sum());
                    check::<_, i8>(Min, dims, &reduced, |g| g.iter().fold(f64::INFINITY, |a, &b| a.min(b)));
                    check::<_, i32>(SumSq, dims, &reduced, |g| g.iter().map(|v| v * v).sum());
                    check::<_, i64>(Mean, dims, &reduced, |g| {
                        (g.iter().sum::<f64>() / g.len() as f64).trunc()
                    });
                    check::<_, f32>(SumAbs, dims, &reduced, |g| g.iter().map(|v| v.abs()).sum());
                    check::<_, f32>(Min, dims, &reduced, |g| g.iter().fold(f64::INFINITY, |a, &b| a.min(b)));
                }
            }
            for n in 1..150 {
                check::<_, f32>(Sum, &[2, n], &[false, true], |g| g.iter().sum());
                check::<_, f64>(Max, &[2, n], &[false, true], |g| {
                    g.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b))
                });
                check::<_, f32>(Sum, &[5, n], &[true, false], |g| g.iter().sum());
                check::<_, f64>(Sum, &[5, n], &[true, false], |g| g.iter().sum());
                check::<_, f16>(Sum, &[5, n], &[true, false], |g| g.iter().sum());
            }
        });
    }
}

fn one<R: Reduce>(r: R, x: &[f32]) -> f32 {
    let mut out = [0f32];
    reduce(r, span(x), &[x.len()], &[true], span_mut(&mut out));
    out[0]
}

#[test]
fn nan_and_nothing() {
    let nan = f32::NAN;
    for &l in available() {
        with_level(l, || {
            for at in [0, 1, 17, 63, 99] {
                let mut x = vec![1.5f32; 100];
                x[at] = nan;
                assert!(one(Max, &x).is_nan() && one(Min, &x).is_nan() && one(Sum, &x).is_nan());
                assert_eq!((one(NanSum, &x), one(NanProd, &x[at..at + 1])), (148.5, 1.0));
            }
            assert_eq!((one(Prod, &[2.0, 3.0, 4.0]), one(NanProd, &[2.0, nan, 4.0])), (24.0, 8.0));
        });
    }
    assert_eq!(
        (one(Sum, &[]), one(Prod, &[]), one(Max, &[]), one(Min, &[])),
        (0.0, 1.0, f32::NEG_INFINITY, f32::INFINITY)
    );
    assert!(one(Mean, &[]).is_nan());
    let mut out = [7i32; 3];
    reduce(Sum, span::<i32>(&[]), &[3, 0], &[false, true], span_mut(&mut out));
    assert_eq!(out, [0; 3]);
}

#[test]
fn float32_sums_are_rounded_once_and_threads_do_not_show() {
    let x: Vec<f32> =
        (0..3_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 * 1e-7 - 0.3).collect();
    let exact: f64 = x.iter().map(|&v| v as f64).sum();
    let got = with_threads(1, || one(Sum, &x));
    assert!((got as f64 - exact).abs() <= exact.abs() * 6e-8, "{got} {exact}");
    for threads in [2, 3] {
        with_threads(threads, || {
            assert_eq!(one(Sum, &x).to_bits(), got.to_bits());
            assert_eq!(
                one(SumSq, &x).to_bits(),
                with_level(crate::simd::level(), || one(SumSq, &x)).to_bits()
            );
        });
    }
    let wide: Vec<f64> = x.iter().map(|&v| v as f64 / 3.0).collect();
    let sum = |t: usize, dims: &[usize], reduced: &[bool]| {
        let mut out = vec![0f64; outputs(dims, reduced)];
        with_threads(t, || reduce(Sum, span(&wide), dims, reduced, span_mut(&mut out)));
        out
    };
    assert_eq!(sum(1, &[wide.len()], &[true]), sum(2, &[wide.len()], &[true]));
    assert_eq!(sum(1, &[1000, 3000], &[true, false]), sum(2, &[1000, 3000], &[true, false]));
}

fn args<T: Elem>(kind: Arg, x: &[T], outer: usize, n: usize, inner: usize) {
    let mut out = vec![0i32; outer * inner];
    arg_reduce(kind, span(x), outer, n, inner, span_mut(&mut out));
    for o in 0..outer {
        for i in 0..inner {
            let mut best = 0;
            for r in 1..n {
                let (a, b) = (x[(o * n + r) * inner + i], x[(o * n + best) * inner + i]);
                let is_nan = |v: T| v.partial_cmp(&v).is_none();
                let more = if kind == Arg::Max { a > b } else { a < b };
                if more || (is_nan(a) && !is_nan(b)) {
                    best = r;
                }
            }
            assert_eq!(out[o * inner + i] as usize, best, "{} {kind:?} ({outer},{n},{inner})", T::DTYPE);
        }
    }
}

#[test]
fn arg_extremes_are_the_first_or_the_first_nan() {
    for &l in available() {
        with_level(l, || {
            for (outer, n, inner) in
                [(1, 200_000, 1), (3, 70, 1), (50, 7, 1), (2, 9, 600), (4, 100, 3), (1, 1, 1)]
            {
                let mut x: Vec<f32> = (0..outer * n * inner).map(|i| (i * 31 % 17) as f32).collect();
                let whole: Vec<i64> = x.iter().map(|&v| v as i64).collect();
                let halves: Vec<f16> = x.iter().map(|&v| f16::from_f32(v)).collect();
                for kind in [Arg::Max, Arg::Min] {
                    args(kind, &x, outer, n, inner);
                    args(kind, &whole, outer, n, inner);
                    args(kind, &halves, outer, n, inner);
                }
                for at in [n / 2, 0] {
                    x[at * inner] = f32::NAN;
                    args(Arg::Max, &x, outer, n, inner);
                    args(Arg::Min, &x, outer, n, inner);
                }
            }
            for n in 1..150 {
                let x: Vec<f32> = (0..n).map(|i| -((i * 13 % 29) as f32)).collect();
                args(Arg::Max, &x, 1, n, 1);
            }
        });
    }
}
