//! The error function.

use super::exp::exp_inside;
use crate::simd::Simd;

/// erf(x)/x - 1 in x², for |x| <= 0.921875, degree 6; relative error 8.9e-10.
#[allow(clippy::excessive_precision)]
const SMALL: [f32; 7] = [
    1.283791661e-01,
    -3.761262894e-01,
    1.128362566e-01,
    -2.685572766e-02,
    5.192377139e-03,
    -8.049174212e-04,
    7.992795872e-05,
];

/// -log(erfc(a)) on [0.92, 4], degree 7; relative error of erf 5e-11.
#[allow(clippy::excessive_precision)]
const BIG: [f32; 8] = [
    -1.746834459e-04,
    1.129514933e+00,
    6.333469152e-01,
    1.082800254e-01,
    -2.511931956e-02,
    4.170983098e-03,
    -4.344349727e-04,
    2.109140587e-05,
];

/// erf(x), at most 2 ulp; never beyond ±1.
#[inline(always)]
pub fn erf<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let a = s.abs(x);
    let small = s.fma(x, s.poly(x * x, SMALL), x);
    // 1 - erfc(a); from 4 on it rounds to 1. The bound comes first, so that NaN passes.
    let b = s.min(s.splat(4.0), a);
    let big = s.splat(1.0) - exp_inside(s, -s.poly(b, BIG));
    s.select(s.lt(a, s.splat(0.921_875)), small, s.copysign(big, x))
}
