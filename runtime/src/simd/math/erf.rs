//! The error function.

use super::exp::exp_inside;
use super::piecewise::piecewise;
use super::tables;
use crate::simd::Simd;

/// erf(x)/x - 1 in x², for |x| <= 0.921875, degree 5; relative error 1.6e-8.
#[allow(clippy::excessive_precision)]
const SMALL: [f32; 6] =
    [1.283791512e-01, -3.761249781e-01, 1.128184348e-01, -2.676734887e-02, 4.994038027e-03, -5.994504900e-04];

/// -log(erfc(a)) on [0.92, 4], degree 6; relative error of erf 1.6e-9.
#[allow(clippy::excessive_precision)]
const BIG: [f32; 7] = [
    1.956742781e-04,
    1.127675653e+00,
    6.371821761e-01,
    1.039316729e-01,
    -2.222695574e-02,
    3.043222940e-03,
    -1.959370129e-04,
];

/// erf(x), at most 2 ulp; never beyond ±1.
#[inline(always)]
pub fn erf<S: Simd>(s: S, x: S::F32) -> S::F32 {
    if S::FAST_LOOKUP {
        return piecewise(s, x, 4.0, &tables::ERF);
    }
    let a = s.abs(x);
    let small = s.fma(x, s.poly(x * x, SMALL), x);
    // 1 - erfc(a); from 4 on it rounds to 1. The bound comes first, so that NaN passes.
    let b = s.min(s.splat(4.0), a);
    let big = s.splat(1.0) - exp_inside(s, -s.poly(b, BIG));
    s.select(s.lt(a, s.splat(0.921_875)), small, s.copysign(big, x))
}
