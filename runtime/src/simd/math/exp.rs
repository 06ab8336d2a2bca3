//! exp and what is built on it.

use super::log::log1p_exp;
use super::piecewise::piecewise;
use super::tables;
use crate::simd::Simd;

const LOG2_E: f32 = std::f32::consts::LOG2_E;
/// ln 2 in two parts; the first has 10 bits, so that its product with an exponent is exact without a fused multiply-add.
const LN2_HI: f32 = 0.693_359_4;
const LN2_LO: f32 = -2.121_944_4e-4;

/// (expm1(r) - r) / r² on |r| <= 0.3466, degree 4; relative error of expm1 1.4e-8.
#[allow(clippy::excessive_precision)]
const Q: [f32; 5] = [4.999999702e-01, 1.666654646e-01, 4.166744277e-02, 8.366253227e-03, 1.386994729e-03];

/// n and expm1(r), with x = n ln 2 + r and |r| <= ln 2 / 2.
#[inline(always)]
fn reduced<S: Simd>(s: S, x: S::F32) -> (S::F32, S::F32) {
    let n = s.rint(x * s.splat(LOG2_E));
    let r = s.fma(n, s.splat(-LN2_HI), x);
    let r = s.fma(n, s.splat(-LN2_LO), r);
    (n, s.fma(r * r, s.poly(r, Q), r))
}

/// exp(x) for x that is NaN or in [-104, 89].
#[inline(always)]
pub(super) fn exp_inside<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let (n, p) = reduced(s, x);
    s.ldexp(p + s.splat(1.0), n)
}

/// exp(x), at most 1 ulp (2 on the portable level); subnormal results are rounded once.
#[inline(always)]
pub fn exp<S: Simd>(s: S, x: S::F32) -> S::F32 {
    // Beyond these the result is 0 or infinite. Bounds first: `min` and `max` give the second operand where x is NaN.
    exp_inside(s, s.min(s.splat(89.0), s.max(s.splat(-104.0), x)))
}

/// exp(x) - 1 but for the sign of zero, for x that is NaN or in [-18, 89].
#[inline(always)]
fn expm1_inside<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let (n, p) = reduced(s, x);
    // 2^n (p + 1) - 1 = 2 (p t + (t - 1/2)) with t = 2^(n-1), which stays finite for n = 128.
    let t = s.ldexp(s.splat(1.0), n - s.splat(1.0));
    let y = s.fma(p, t, t - s.splat(0.5));
    y + y
}

/// exp(x) - 1, at most 2 ulp (3 on the portable level).
#[inline(always)]
pub fn expm1<S: Simd>(s: S, x: S::F32) -> S::F32 {
    s.copysign(expm1_inside(s, s.min(s.splat(89.0), s.max(s.splat(-18.0), x))), x)
}

/// tanh(x), at most 3 ulp; never beyond ±1.
#[inline(always)]
pub fn tanh<S: Simd>(s: S, x: S::F32) -> S::F32 {
    if S::FAST_LOOKUP {
        return piecewise(s, x, 10.0, &tables::TANH);
    }
    // From 9.02 on tanh rounds to 1. With t = expm1(2|x|) there is no cancellation anywhere.
    let a = s.min(s.splat(9.5), s.abs(x));
    let t = expm1_inside(s, a + a);
    s.copysign(t / (t + s.splat(2.0)), x)
}

/// 1 / (1 + exp(-x)), at most 3 ulp, subnormal results included.
#[inline(always)]
pub fn sigmoid<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let one = s.splat(1.0);
    let z = exp_inside(s, s.max(s.splat(-104.0), -s.abs(x)));
    s.select(s.lt(x, s.splat(0.0)), z, one) / (one + z)
}

/// log(1 + exp(x)), at most 3 ulp.
#[inline(always)]
pub fn softrelu<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let z = exp_inside(s, s.max(s.splat(-104.0), -s.abs(x)));
    s.max(x, s.splat(0.0)) + log1p_exp(s, z)
}
