//! Logarithms.

use crate::simd::Simd;

/// (log1p(f) - f + f²/2) / f³ on [-1/3, 1/3], degree 7; relative error of log1p 4.7e-9.
#[allow(clippy::excessive_precision)]
const P: [f32; 8] = [
    3.333321512e-01,
    -2.499980479e-01,
    2.001043558e-01,
    -1.668022126e-01,
    1.400554329e-01,
    -1.218745410e-01,
    1.398559362e-01,
    -1.287928373e-01,
];

/// ln 2 in two parts, the first of 10 bits: its product with an exponent is exact.
const LN2_HI: f32 = 0.693_359_4;
const LN2_LO: f32 = -2.121_944_4e-4;

/// m in [2/3, 4/3) and integral e with x = m 2^e, for x positive and finite.
#[inline(always)]
pub(super) fn split<S: Simd>(s: S, x: S::F32) -> (S::F32, S::F32) {
    let tiny = s.lt(x, s.splat(f32::MIN_POSITIVE));
    let x = s.select(tiny, x * s.splat(16_777_216.0), x);
    let e = s.sar::<23>(s.bits(x) - s.splat_i(0x3f2a_aaab));
    let m = s.from_bits(s.bits(x) - s.shl::<23>(e));
    (m, s.from_int(e) - s.select(tiny, s.splat(24.0), s.splat(0.0)))
}

/// log1p(f) - f on [-1/3, 1/3].
#[inline(always)]
fn tail<S: Simd>(s: S, f: S::F32) -> S::F32 {
    f * f * s.fma(f, s.poly(f, P), s.splat(-0.5))
}

/// e ln 2 + log1p(f).
#[inline(always)]
fn join<S: Simd>(s: S, e: S::F32, f: S::F32) -> S::F32 {
    let y = s.fma(f * f, s.fma(f, s.poly(f, P), s.splat(-0.5)), f);
    s.fma(e, s.splat(LN2_HI), s.fma(e, s.splat(LN2_LO), y))
}

/// `y` where x is positive and finite; elsewhere -inf for 0, inf for inf, NaN for the rest.
#[inline(always)]
fn special<S: Simd>(s: S, x: S::F32, y: S::F32) -> S::F32 {
    let (zero, inf) = (s.splat(0.0), s.splat(f32::INFINITY));
    let odd = s.select(s.eq(x, zero), -inf, s.select(s.eq(x, inf), inf, s.splat(f32::NAN)));
    s.select(s.lt(zero, x) & s.lt(x, inf), y, odd)
}

/// Natural logarithm, at most 1 ulp (2 on the portable level).
#[inline(always)]
pub fn log<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let (m, e) = split(s, x);
    special(s, x, join(s, e, m - s.splat(1.0)))
}

/// log(1 + x), at most 2 ulp.
#[inline(always)]
pub fn log1p<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let u = x + s.splat(1.0);
    s.copysign(special(s, u, log1p_rounded(s, x, u)), x)
}

/// log(1 + z) for z in [0, 1] or NaN.
#[inline(always)]
pub(super) fn log1p_exp<S: Simd>(s: S, z: S::F32) -> S::F32 {
    let y = log1p_rounded(s, z, z + s.splat(1.0));
    s.select(s.is_nan(z), z, y)
}

/// log(1 + x) where `u` is 1 + x rounded, positive and finite: what the rounding lost is added to the reduced argument.
#[inline(always)]
fn log1p_rounded<S: Simd>(s: S, x: S::F32, u: S::F32) -> S::F32 {
    let (m, e) = split(s, u);
    let lost = x - (u - s.splat(1.0));
    join(s, e, (m - s.splat(1.0)) + s.ldexp(lost, -e))
}

/// log(x) to another base: `c` is 1 / ln(base) and `l` is ln 2 / ln(base), in two parts each, `l.0` short. Sums carry their rounding
/// errors along, so that powers of the base come out exact where there is a fused multiply-add.
#[inline(always)]
fn based<S: Simd>(s: S, x: S::F32, c: (f32, f32), l: (f32, f32)) -> S::F32 {
    let (m, e) = split(s, x);
    let f = m - s.splat(1.0);
    let p = f * s.splat(c.0);
    let p_err = s.fma(f, s.splat(c.0), -p);
    let w = tail(s, f);
    let rest = s.fma(w, s.splat(c.0), s.fma(f, s.splat(c.1), s.fma(e, s.splat(l.1), p_err)));
    // Knuth's exact sum of the two large parts.
    let a = e * s.splat(l.0);
    let sum = a + p;
    let b = sum - a;
    let err = (a - (sum - b)) + (p - b);
    special(s, x, sum + (err + rest))
}

/// Logarithm to base 2, at most 1 ulp (3 on the portable level).
#[inline(always)]
pub fn log2<S: Simd>(s: S, x: S::F32) -> S::F32 {
    based(s, x, (std::f32::consts::LOG2_E, 1.925_963_0e-8), (1.0, 0.0))
}

/// Logarithm to base 10, at most 1 ulp (3 on the portable level).
#[inline(always)]
pub fn log10<S: Simd>(s: S, x: S::F32) -> S::F32 {
    based(s, x, (std::f32::consts::LOG10_E, -1.010_305_0e-8), (0.301_025_390_625, 4.605_039_0e-6))
}
