//! Powers, by way of float64 lanes: the logarithm must be good to many more bits than the result.

use super::log::split;
use crate::simd::Simd;

/// log2(1 + f) / f on [-1/3, 1/3], degree 12, in float64; relative error 1.6e-11.
const LOG2: [f64; 13] = [
    1.44269504089232981e+00,
    -7.21347519569306095e-01,
    4.80898343961939423e-01,
    -3.60673978616029955e-01,
    2.88539441701628707e-01,
    -2.40433660371531438e-01,
    2.06075974605693268e-01,
    -1.80806064639992325e-01,
    1.60891209529402973e-01,
    -1.37461095916145359e-01,
    1.23562950362784044e-01,
    -1.66105298537140095e-01,
    1.57541374402821815e-01,
];

/// 2^r on [-1/2, 1/2], degree 6, in float64; relative error 1.9e-9.
const EXP2: [f64; 7] = [
    1.00000000055505223e+00,
    6.93147205767138730e-01,
    2.40226468860691211e-01,
    5.55032871180874826e-02,
    9.61848924556521837e-03,
    1.33999576265345132e-03,
    1.53457886641906587e-04,
];

/// n and 2^r, with y log2((1 + f) 2^e) = n + r.
#[inline(always)]
fn scaled<S: Simd>(s: S, e: S::F64, f: S::F64, y: S::F64) -> (S::F64, S::F64) {
    let t = y * s.fma64(f, s.poly64(f, LOG2), e);
    // Beyond these the result is 0 or infinite.
    let t = s.min64(s.max64(t, s.splat64(-200.0)), s.splat64(200.0));
    let magic = s.splat64(6_755_399_441_055_744.0);
    let n = (t + magic) - magic;
    (n, s.poly64(t - n, EXP2))
}

/// x^y, at most 1 ulp. Results that float32 can hold exactly are exact. Zeros, infinities and NaN take one scalar call per lane.
#[inline(always)]
pub fn pow<S: Simd>(s: S, x: S::F32, y: S::F32) -> S::F32 {
    let (a, inf, zero) = (s.abs(x), s.splat(f32::INFINITY), s.splat(0.0));
    let (m, e) = split(s, a);
    let ((e0, e1), (f0, f1), (y0, y1)) = (s.widen(e), s.widen(m - s.splat(1.0)), s.widen(y));
    let ((n0, p0), (n1, p1)) = (scaled(s, e0, f0, y0), scaled(s, e1, f1, y1));
    let r = s.ldexp(s.narrow(p0, p1), s.narrow(n0, n1));
    // A negative base needs an integral exponent, and keeps its sign where that is odd.
    let (half, negative, whole) = (y * s.splat(0.5), s.lt(x, zero), s.eq(s.rint(y), y));
    let r = s.select(negative & whole & s.ne(s.rint(half), half), -r, r);
    let r = s.select(negative & !whole, s.splat(f32::NAN), r);
    let plain = s.lt(zero, a) & s.lt(a, inf) & s.lt(s.abs(y), inf);
    if s.any(!plain) { s.select(plain, r, s.each2(x, y, f32::powf)) } else { r }
}
