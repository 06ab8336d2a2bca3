//! Sine and cosine.

use crate::simd::Simd;

/// (sin r - r) / r³ in r², for |r| <= pi/4, degree 2; relative error of sin 4e-9.
#[allow(clippy::excessive_precision)]
const SIN: [f32; 3] = [-1.666665524e-01, 8.332189173e-03, -1.951828453e-04];
/// (cos r - 1 + r²/2) / r⁴ in r², for |r| <= pi/4, degree 2; relative error of cos 1.2e-10.
#[allow(clippy::excessive_precision)]
const COS: [f32; 3] = [4.166664556e-02, -1.388731063e-03, 2.443256381e-05];

/// Beyond this magnitude one scalar call per lane takes over.
const HUGE: f32 = 1_048_576.0;
/// The first 32 bits of pi/2, and the rest.
const P1: f64 = 1.5707963267341256;
const P2: f64 = 6.077100506506192e-11;

/// The integral multiple of pi/2 nearest to x, and what remains.
#[inline(always)]
fn turns<S: Simd>(s: S, x: S::F64) -> (S::F64, S::F64) {
    // Adding 1.5 * 2^52 pushes the fraction out.
    let magic = s.splat64(6_755_399_441_055_744.0);
    let n = s.fma64(x, s.splat64(std::f64::consts::FRAC_2_PI), magic) - magic;
    let r = s.fma64(-n, s.splat64(P1), x);
    (n, s.fma64(-n, s.splat64(P2), r))
}

/// Multiples of pi/2 in x and what remains, computed in float64. pi/2 is split after 32 bits: the product of its head
/// with a multiple below 2^20 is exact, so that no fused multiply-add is needed.
#[inline(always)]
fn reduced<S: Simd>(s: S, x: S::F32) -> (S::I32, S::F32) {
    let (low, high) = s.widen(x);
    let ((n0, r0), (n1, r1)) = (turns(s, low), turns(s, high));
    (s.to_int(s.narrow(n0, n1)), s.narrow(r0, r1))
}

/// sin(r + q pi/2) for |r| <= pi/4.
#[inline(always)]
fn quadrant<S: Simd>(s: S, q: S::I32, r: S::F32) -> S::F32 {
    let t = r * r;
    let sin = s.fma(r * t, s.poly(t, SIN), r);
    let cos = s.fma(t * t, s.poly(t, COS), s.fma(t, s.splat(-0.5), s.splat(1.0)));
    let y = s.select(s.is_zero(q & s.splat_i(1)), sin, cos);
    s.from_bits(s.bits(y) ^ s.shl::<30>(q & s.splat_i(2)))
}

#[inline(always)]
fn patched<S: Simd>(s: S, x: S::F32, y: S::F32, f: fn(f64) -> f64) -> S::F32 {
    let fits = s.le(s.abs(x), s.splat(HUGE));
    if s.any(!fits) { s.select(fits, y, s.each(x, |v| f(v as f64) as f32)) } else { y }
}

/// sin(x), at most 2 ulp for any x.
#[inline(always)]
pub fn sin<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let (q, r) = reduced(s, x);
    let y = s.select(s.eq(x, s.splat(0.0)), x, quadrant(s, q, r));
    patched(s, x, y, f64::sin)
}

/// cos(x), at most 2 ulp for any x.
#[inline(always)]
pub fn cos<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let (q, r) = reduced(s, x);
    patched(s, x, quadrant(s, q + s.splat_i(1), r), f64::cos)
}
