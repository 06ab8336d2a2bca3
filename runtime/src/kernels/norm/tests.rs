//! Normalisation kernels against plain loops in float64.

use super::*;
use crate::device::Device;
use crate::simd::{available, with_level};
use crate::tensor::Tensor;

fn tensor(values: &[f64], dtype: DType) -> Tensor {
    let t = Tensor::from_slice(values, &[values.len()], Device::default()).unwrap();
    let out = Tensor::empty(&[values.len()], dtype, Device::default()).unwrap();
    crate::kernels::copy::cast(t.span(), out.span());
    out
}

const SHAPES: [(usize, usize, usize); 10] = [
    (1, 1, 1),
    (4, 3, 1),
    (2, 3, 37),
    (5, 2, 4),
    (1, 2, 5000),
    (3, 0, 2),
    (700, 3, 1),
    (37, 70, 1),
    (9, 5, 15),
    (3, 2, 2049),
];

fn close(got: &[f64], want: &[f64], tol: f64, what: &str) {
    assert_eq!(got.len(), want.len());
    let top = want.iter().fold(1.0f64, |m, w| m.max(w.abs()));
    for (g, w) in got.iter().zip(want) {
        assert!((g - w).abs() <= tol * top, "{what}: {g} against {w}");
    }
}

#[test]
fn moments_and_changes_agree_with_the_formulas_in_every_shape_type_and_level() {
    for &l in available() {
        for (outer, channels, inner) in SHAPES {
            for (dtype, tol) in
                [(DType::F64, 1e-12), (DType::F32, 2e-5), (DType::F16, 2e-3), (DType::BF16, 2e-2)]
            {
                let v = Layout { outer, channels, inner };
                let what = format!("{l:?} {v:?} {dtype}");
                // A mean far from 0 where the dtype can hold it.
                let base = if dtype == DType::F32 || dtype == DType::F64 { 1000.0 } else { 2.0 };
                let value = |i: usize| (i * 7919 % 101) as f64 / 100.0;
                let x = tensor(&(0..v.len()).map(|i| base + value(i)).collect::<Vec<_>>(), dtype);
                let g = tensor(&(0..v.len()).map(|i| value(i * 31 + 7) - 0.3).collect::<Vec<_>>(), dtype);
                let (xs, gs) = (x.to_vec_f64(), g.to_vec_f64());
                let of = |c: usize| (0..v.len()).filter(move |i| i / inner % channels == c);
                let n = v.count() as f64;
                let mean: Vec<f64> = (0..channels).map(|c| of(c).map(|i| xs[i]).sum::<f64>() / n).collect();
                let var: Vec<f64> = (0..channels)
                    .map(|c| of(c).map(|i| (xs[i] - mean[c]).powi(2)).sum::<f64>() / n)
                    .collect();
                let (m, s) = with_level(l, || moments(x.span(), v));
                close(&m, &mean, 1e-7, &what);
                // A running mean in float32 is off by half a unit; times the deviation, of at most 0.3, that is what the variance may be off.
                let off = if dtype == DType::F64 { 0.0 } else { f64::from(f32::EPSILON) * base * 0.3 };
                close(&s, &var, 1e-6 + off, &what);
                let a: Vec<f64> = var.iter().map(|s| 1.0 / (s + 1e-5).sqrt()).collect();
                let y = tensor(&vec![f64::NAN; v.len()], dtype);
                for relu in [false, true] {
                    with_level(l, || apply(x.span(), y.span(), v, &mean, &a, &vec![0.5; channels], relu));
                    let want = |i: usize| {
                        let c = i / inner % channels;
                        let y = (xs[i] - mean[c]) * a[c] + 0.5;
                        if relu { y.max(0.0) } else { y }
                    };
                    close(&y.to_vec_f64(), &(0..v.len()).map(want).collect::<Vec<_>>(), tol * 10.0, &what);
                }
                let (one, two) = with_level(l, || dots(g.span(), x.span(), v, &mean));
                let total = |f: &dyn Fn(usize) -> f64| -> Vec<f64> {
                    (0..channels).map(|c| of(c).map(f).sum()).collect()
                };
                close(&one, &total(&|i| gs[i]), 1e-5, &what);
                close(&two, &total(&|i| gs[i] * (xs[i] - mean[i / inner % channels])), 1e-4, &what);
                let slopes: Vec<Slope> = (0..channels)
                    .map(|c| Slope { mean: mean[c], a: 0.5, b: 0.25 + c as f64, c: 0.125 })
                    .collect();
                with_level(l, || back(g.span(), x.span(), g.span(), v, &slopes));
                let want = |i: usize| {
                    let k = slopes[i / inner % channels];
                    gs[i] * k.a - (xs[i] - k.mean) * k.b - k.c
                };
                close(&g.to_vec_f64(), &(0..v.len()).map(want).collect::<Vec<_>>(), tol * 10.0, &what);
            }
        }
    }
}

#[test]
fn an_outlier_in_front_costs_the_variance_nothing() {
    let mut x: Vec<f64> = (0..4000).map(|i| (i % 7) as f64).collect();
    x[0] = 1e4;
    let mean = x.iter().sum::<f64>() / 4000.0;
    let var = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 4000.0;
    for (outer, channels, inner) in [(1, 1, 4000), (4000, 1, 1)] {
        let (_, got) = moments(tensor(&x, DType::F32).span(), Layout { outer, channels, inner });
        close(&got, &[var], 1e-6, "variance");
    }
}

#[test]
fn rows_and_their_gradients_agree_with_the_formulas() {
    for &l in available() {
        for (count, n) in [(1, 1), (3, 5), (70, 37), (2, 3000)] {
            for (dtype, tol) in [(DType::F64, 1e-10), (DType::F32, 1e-4), (DType::F16, 1e-2)] {
                let value = |i: usize| (i * 7919 % 101) as f64 / 50.0 - 1.0;
                let [x, g] =
                    [1, 31].map(|k| tensor(&(0..count * n).map(|i| value(i * k)).collect::<Vec<_>>(), dtype));
                let [gamma, beta] =
                    [3, 5].map(|k| tensor(&(0..n).map(|i| value(i * k) + 1.5).collect::<Vec<_>>(), dtype));
                let out = || tensor(&vec![0.0; count * n], dtype);
                let (y, dx, dgamma, dbeta) =
                    (out(), out(), tensor(&vec![0.0; n], dtype), tensor(&vec![0.0; n], dtype));
                with_level(l, || {
                    rows::forward(x.span(), gamma.span(), beta.span(), y.span(), n, 0.1);
                    rows::backward(
                        g.span(),
                        x.span(),
                        gamma.span(),
                        n,
                        0.1,
                        [dx.span(), dgamma.span(), dbeta.span()],
                    );
                });
                let [x, g, gamma, beta] = [x, g, gamma, beta].map(|t| t.to_vec_f64());
                let (mut ys, mut dxs) = (vec![], vec![]);
                let (mut a, mut b) = (vec![0.0; n], vec![0.0; n]);
                for r in 0..count {
                    let (x, g) = (&x[r * n..][..n], &g[r * n..][..n]);
                    let mean = |f: &dyn Fn(usize) -> f64| (0..n).map(f).sum::<f64>() / n as f64;
                    let m = mean(&|i| x[i]);
                    let inv = 1.0 / (mean(&|i| (x[i] - m).powi(2)) + 0.1).sqrt();
                    let hat = |i: usize| (x[i] - m) * inv;
                    let (p, q) = (mean(&|i| g[i] * gamma[i]), mean(&|i| g[i] * gamma[i] * hat(i)));
                    for i in 0..n {
                        ys.push(hat(i) * gamma[i] + beta[i]);
                        dxs.push(inv * (g[i] * gamma[i] - p - hat(i) * q));
                        a[i] += g[i] * hat(i);
                        b[i] += g[i];
                    }
                }
                let what = format!("{l:?} {count} {n} {dtype}");
                close(&y.to_vec_f64(), &ys, tol, &what);
                close(&dx.to_vec_f64(), &dxs, tol, &what);
                close(&dgamma.to_vec_f64(), &a, tol, &what);
                close(&dbeta.to_vec_f64(), &b, tol, &what);
            }
        }
    }
}

/// Bits of `axes` say which axes are reduced.
#[test]
fn moments_over_any_axes_are_those_of_the_groups() {
    use crate::kernels::{
        others::variance,
        reduce::{Mean, reduce},
    };
    for dims in [&[5][..], &[3, 40], &[40, 3], &[4, 1, 70], &[7, 3, 20, 2], &[2, 3, 4, 5, 6]] {
        let n: usize = dims.iter().product();
        let mut values: Vec<f64> = (0..n).map(|i| ((i * 7919) % 1013) as f64 / 64.0 + 3.0).collect();
        for (dtype, infinite) in
            [DType::F32, DType::F64, DType::F16, DType::I32].into_iter().flat_map(|d| [(d, false), (d, true)])
        {
            if infinite && dtype.is_float() {
                values[n / 2] = f64::INFINITY;
            }
            let x = tensor(&values, dtype);
            for axes in 0..1 << dims.len() {
                let gone: Vec<bool> = (0..dims.len()).map(|i| axes >> i & 1 == 1).collect();
                let kept: usize = dims.iter().zip(&gone).map(|(&d, &g)| if g { 1 } else { d }).product();
                let [mean, var, want_mean, want_var] = [(); 4].map(|()| tensor(&vec![0.0; kept], dtype));
                moments_over(x.span(), dims, &gone, [mean.span(), var.span()]);
                reduce(Mean, x.span(), dims, &gone, want_mean.span());
                variance(x.span(), dims, &gone, want_var.span());
                for (got, want) in [(mean, want_mean), (var, want_var)] {
                    for (g, w) in got.to_vec_f64().into_iter().zip(want.to_vec_f64()) {
                        let same = g == w || g.is_nan() && w.is_nan();
                        let tol = if dtype == DType::F16 { 1e-3 } else { 2e-6 };
                        assert!(
                            same || (g - w).abs() <= tol * w.abs().max(1.0),
                            "{dims:?} {gone:?} {dtype}: {g} against {w}"
                        );
                    }
                }
            }
        }
    }
}
