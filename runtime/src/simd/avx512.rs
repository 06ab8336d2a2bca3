//! AVX-512: 16 lanes, masks in registers of their own. All its intrinsics are here.

use super::{Simd, Work};
use std::arch::x86_64::*;
use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Neg, Sub};

/// Token of the AVX-512 level. Only `enter` makes one.
#[derive(Clone, Copy, Debug)]
pub struct Avx512(());

/// Whether this machine can run [`enter`]. The features are those of the trampoline: keep them equal.
pub(super) fn detect() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("fma")
}

/// # Safety
/// [`detect`] said yes.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,fma")]
pub(super) unsafe fn enter<W: Work>(w: W) -> W::Out {
    w.run(Avx512(()))
}

/// Sixteen float32.
#[derive(Clone, Copy)]
pub struct F32(__m512);
/// Eight float64.
#[derive(Clone, Copy)]
pub struct F64(__m512d);
/// Sixteen int32.
#[derive(Clone, Copy)]
pub struct I32(__m512i);

/// One intrinsic.
macro_rules! v {
    ($e:expr) => {
        // SAFETY: vectors and tokens of this level exist only below `enter`, whose caller checked `detect`; what reads or
        // writes memory does so under the promise of the calling `unsafe fn`.
        unsafe { $e }
    };
}

macro_rules! operators {
    ($($t:ty: $($op:ident $f:ident $i:ident),*;)*) => {$($(
        impl $op for $t {
            type Output = Self;
            #[inline(always)]
            fn $f(self, o: Self) -> Self {
                Self(v!($i(self.0, o.0)))
            }
        }
    )*)*};
}
operators! {
    F32: Add add _mm512_add_ps, Sub sub _mm512_sub_ps, Mul mul _mm512_mul_ps, Div div _mm512_div_ps;
    F64: Add add _mm512_add_pd, Sub sub _mm512_sub_pd, Mul mul _mm512_mul_pd, Div div _mm512_div_pd;
    I32: Add add _mm512_add_epi32, Sub sub _mm512_sub_epi32, BitAnd bitand _mm512_and_si512,
        BitOr bitor _mm512_or_si512, BitXor bitxor _mm512_xor_si512;
}

impl Neg for F32 {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        F32(v!(_mm512_xor_ps(self.0, _mm512_set1_ps(-0.0))))
    }
}

impl Neg for F64 {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        F64(v!(_mm512_xor_pd(self.0, _mm512_set1_pd(-0.0))))
    }
}

#[inline(always)]
fn first(n: usize) -> u16 {
    debug_assert!(n < 16);
    (1u16 << n) - 1
}

/// To nearest, ties to even, no exceptions.
const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
const DOWN: i32 = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC;
const UP: i32 = _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC;
const ZERO: i32 = _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC;

impl Simd for Avx512 {
    type F32 = F32;
    type F64 = F64;
    type I32 = I32;
    type M32 = u16;
    type M64 = u8;
    const N: usize = 16;
    const FAST_LOOKUP: bool = true;

    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> F32 {
        F32(v!(_mm512_loadu_ps(p)))
    }
    #[inline(always)]
    unsafe fn load_part(self, p: *const f32, n: usize, rest: F32) -> F32 {
        F32(v!(_mm512_mask_loadu_ps(rest.0, first(n), p)))
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, x: F32) {
        v!(_mm512_storeu_ps(p, x.0))
    }
    #[inline(always)]
    unsafe fn store_part(self, p: *mut f32, x: F32, n: usize) {
        v!(_mm512_mask_storeu_ps(p, first(n), x.0))
    }
    #[inline(always)]
    unsafe fn stream(self, p: *mut f32, x: F32) {
        v!(_mm512_stream_ps(p, x.0))
    }
    #[inline(always)]
    fn fence(self) {
        v!(_mm_sfence())
    }
    #[inline(always)]
    unsafe fn load64(self, p: *const f64) -> F64 {
        F64(v!(_mm512_loadu_pd(p)))
    }
    #[inline(always)]
    unsafe fn load_part64(self, p: *const f64, n: usize, rest: F64) -> F64 {
        F64(v!(_mm512_mask_loadu_pd(rest.0, first(n) as u8, p)))
    }
    #[inline(always)]
    unsafe fn store64(self, p: *mut f64, x: F64) {
        v!(_mm512_storeu_pd(p, x.0))
    }
    #[inline(always)]
    unsafe fn store_part64(self, p: *mut f64, x: F64, n: usize) {
        v!(_mm512_mask_storeu_pd(p, first(n) as u8, x.0))
    }
    #[inline(always)]
    unsafe fn stream64(self, p: *mut f64, x: F64) {
        v!(_mm512_stream_pd(p, x.0))
    }
    #[inline(always)]
    unsafe fn load_f16(self, p: *const u16) -> F32 {
        F32(v!(_mm512_cvtph_ps(_mm256_loadu_si256(p.cast()))))
    }
    #[inline(always)]
    unsafe fn store_f16(self, p: *mut u16, x: F32) {
        v!(_mm256_storeu_si256(p.cast(), _mm512_cvtps_ph::<NEAREST>(x.0)))
    }
    #[inline(always)]
    unsafe fn load_bf16(self, p: *const u16) -> F32 {
        F32(v!(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(_mm256_loadu_si256(
            p.cast()
        ))))))
    }
    #[inline(always)]
    unsafe fn store_bf16(self, p: *mut u16, x: F32) {
        let b = v!(_mm512_castps_si512(x.0));
        let odd = v!(_mm512_and_si512(_mm512_srli_epi32::<16>(b), _mm512_set1_epi32(1)));
        let up = v!(_mm512_add_epi32(b, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))));
        // A NaN is cut, made quiet so that something of it remains.
        let nan = v!(_mm512_or_si512(b, _mm512_set1_epi32(0x40_0000)));
        let r = v!(_mm512_mask_blend_epi32(self.is_nan(x), up, nan));
        v!(_mm256_storeu_si256(p.cast(), _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(r))))
    }

    #[inline(always)]
    unsafe fn transpose(self, x: *const f32, xs: isize, out: *mut f32, os: isize, stream: bool) {
        // SAFETY: the caller's promise, and that of `v!`. Pairs of lines are interleaved, then pairs of pairs; then quarter q of u[4g + c] holds
        // column 4q + c of lines 4g to 4g + 3, and the quarters are gathered.
        unsafe {
            let mut t = [_mm512_setzero_ps(); 16];
            for i in (0..16).step_by(2) {
                let (a, b) =
                    (self.load(x.offset(i as isize * xs)).0, self.load(x.offset((i + 1) as isize * xs)).0);
                (t[i], t[i + 1]) = (_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
            }
            let mut u = t;
            for g in (0..16).step_by(4) {
                u[g] = _mm512_shuffle_ps::<0x44>(t[g], t[g + 2]);
                u[g + 1] = _mm512_shuffle_ps::<0xee>(t[g], t[g + 2]);
                u[g + 2] = _mm512_shuffle_ps::<0x44>(t[g + 1], t[g + 3]);
                u[g + 3] = _mm512_shuffle_ps::<0xee>(t[g + 1], t[g + 3]);
            }
            for c in 0..4 {
                let (even, odd) = (_mm512_shuffle_f32x4::<0x88>, _mm512_shuffle_f32x4::<0xdd>);
                let (a, b) = (even(u[c], u[4 + c]), even(u[8 + c], u[12 + c]));
                let (d, e) = (odd(u[c], u[4 + c]), odd(u[8 + c], u[12 + c]));
                for (q, v) in [even(a, b), even(d, e), odd(a, b), odd(d, e)].into_iter().enumerate() {
                    let p = out.offset((4 * q + c) as isize * os);
                    if stream { self.stream(p, F32(v)) } else { self.store(p, F32(v)) }
                }
            }
        }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> F32 {
        F32(v!(_mm512_set1_ps(x)))
    }
    #[inline(always)]
    fn fma(self, a: F32, b: F32, c: F32) -> F32 {
        F32(v!(_mm512_fmadd_ps(a.0, b.0, c.0)))
    }
    #[inline(always)]
    fn min(self, a: F32, b: F32) -> F32 {
        F32(v!(_mm512_min_ps(a.0, b.0)))
    }
    #[inline(always)]
    fn max(self, a: F32, b: F32) -> F32 {
        F32(v!(_mm512_max_ps(a.0, b.0)))
    }
    #[inline(always)]
    fn abs(self, x: F32) -> F32 {
        F32(v!(_mm512_abs_ps(x.0)))
    }
    #[inline(always)]
    fn copysign(self, x: F32, sign: F32) -> F32 {
        let m = v!(_mm512_set1_ps(-0.0));
        F32(v!(_mm512_or_ps(_mm512_andnot_ps(m, x.0), _mm512_and_ps(m, sign.0))))
    }
    #[inline(always)]
    fn sqrt(self, x: F32) -> F32 {
        F32(v!(_mm512_sqrt_ps(x.0)))
    }
    #[inline(always)]
    fn floor(self, x: F32) -> F32 {
        F32(v!(_mm512_roundscale_ps::<DOWN>(x.0)))
    }
    #[inline(always)]
    fn ceil(self, x: F32) -> F32 {
        F32(v!(_mm512_roundscale_ps::<UP>(x.0)))
    }
    #[inline(always)]
    fn trunc(self, x: F32) -> F32 {
        F32(v!(_mm512_roundscale_ps::<ZERO>(x.0)))
    }
    #[inline(always)]
    fn rint(self, x: F32) -> F32 {
        F32(v!(_mm512_roundscale_ps::<NEAREST>(x.0)))
    }
    #[inline(always)]
    fn lt(self, a: F32, b: F32) -> u16 {
        v!(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(a.0, b.0))
    }
    #[inline(always)]
    fn le(self, a: F32, b: F32) -> u16 {
        v!(_mm512_cmp_ps_mask::<_CMP_LE_OQ>(a.0, b.0))
    }
    #[inline(always)]
    fn eq(self, a: F32, b: F32) -> u16 {
        v!(_mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a.0, b.0))
    }
    #[inline(always)]
    fn select(self, m: u16, a: F32, b: F32) -> F32 {
        F32(v!(_mm512_mask_blend_ps(m, b.0, a.0)))
    }
    #[inline(always)]
    fn any(self, m: u16) -> bool {
        m != 0
    }
    #[inline(always)]
    fn bitmask(self, m: u16) -> u32 {
        m.into()
    }
    #[inline(always)]
    fn ldexp(self, x: F32, n: F32) -> F32 {
        F32(v!(_mm512_scalef_ps(x.0, n.0)))
    }

    #[inline(always)]
    fn splat_i(self, x: i32) -> I32 {
        I32(v!(_mm512_set1_epi32(x)))
    }
    #[inline(always)]
    fn bits(self, x: F32) -> I32 {
        I32(v!(_mm512_castps_si512(x.0)))
    }
    #[inline(always)]
    fn from_bits(self, x: I32) -> F32 {
        F32(v!(_mm512_castsi512_ps(x.0)))
    }
    #[inline(always)]
    fn to_int(self, x: F32) -> I32 {
        I32(v!(_mm512_cvtps_epi32(x.0)))
    }
    #[inline(always)]
    fn from_int(self, x: I32) -> F32 {
        F32(v!(_mm512_cvtepi32_ps(x.0)))
    }
    #[inline(always)]
    fn shl<const K: u32>(self, x: I32) -> I32 {
        I32(v!(_mm512_slli_epi32::<K>(x.0)))
    }
    #[inline(always)]
    fn sar<const K: u32>(self, x: I32) -> I32 {
        I32(v!(_mm512_srai_epi32::<K>(x.0)))
    }
    #[inline(always)]
    fn lookup(self, table: &[f32; 32], i: I32) -> F32 {
        // SAFETY: the table has two vectors of 16.
        let (low, high) = unsafe { (self.load(table.as_ptr()), self.load(table.as_ptr().add(16))) };
        F32(v!(_mm512_permutex2var_ps(low.0, i.0, high.0)))
    }
    #[inline(always)]
    fn is_zero(self, x: I32) -> u16 {
        v!(_mm512_testn_epi32_mask(x.0, x.0))
    }

    #[inline(always)]
    fn splat64(self, x: f64) -> F64 {
        F64(v!(_mm512_set1_pd(x)))
    }
    #[inline(always)]
    fn fma64(self, a: F64, b: F64, c: F64) -> F64 {
        F64(v!(_mm512_fmadd_pd(a.0, b.0, c.0)))
    }
    #[inline(always)]
    fn min64(self, a: F64, b: F64) -> F64 {
        F64(v!(_mm512_min_pd(a.0, b.0)))
    }
    #[inline(always)]
    fn max64(self, a: F64, b: F64) -> F64 {
        F64(v!(_mm512_max_pd(a.0, b.0)))
    }
    #[inline(always)]
    fn abs64(self, x: F64) -> F64 {
        F64(v!(_mm512_abs_pd(x.0)))
    }
    #[inline(always)]
    fn sqrt64(self, x: F64) -> F64 {
        F64(v!(_mm512_sqrt_pd(x.0)))
    }
    #[inline(always)]
    fn lt64(self, a: F64, b: F64) -> u8 {
        v!(_mm512_cmp_pd_mask::<_CMP_LT_OQ>(a.0, b.0))
    }
    #[inline(always)]
    fn le64(self, a: F64, b: F64) -> u8 {
        v!(_mm512_cmp_pd_mask::<_CMP_LE_OQ>(a.0, b.0))
    }
    #[inline(always)]
    fn eq64(self, a: F64, b: F64) -> u8 {
        v!(_mm512_cmp_pd_mask::<_CMP_EQ_OQ>(a.0, b.0))
    }
    #[inline(always)]
    fn select64(self, m: u8, a: F64, b: F64) -> F64 {
        F64(v!(_mm512_mask_blend_pd(m, b.0, a.0)))
    }
    #[inline(always)]
    fn widen(self, x: F32) -> (F64, F64) {
        let low = v!(_mm512_cvtps_pd(_mm512_castps512_ps256(x.0)));
        (F64(low), F64(v!(_mm512_cvtps_pd(_mm512_extractf32x8_ps::<1>(x.0)))))
    }
    #[inline(always)]
    fn narrow(self, low: F64, high: F64) -> F32 {
        let low = v!(_mm512_castps256_ps512(_mm512_cvtpd_ps(low.0)));
        F32(v!(_mm512_insertf32x8::<1>(low, _mm512_cvtpd_ps(high.0))))
    }
    #[inline(always)]
    fn unzip(self, a: F32, b: F32) -> (F32, F32) {
        let even = v!(_mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30));
        let odd = v!(_mm512_add_epi32(even, _mm512_set1_epi32(1)));
        (F32(v!(_mm512_permutex2var_ps(a.0, even, b.0))), F32(v!(_mm512_permutex2var_ps(a.0, odd, b.0))))
    }
    #[inline(always)]
    fn zip(self, even: F32, odd: F32) -> (F32, F32) {
        let low = v!(_mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
        let high = v!(_mm512_add_epi32(low, _mm512_set1_epi32(8)));
        let (a, b) = (even.0, odd.0);
        (F32(v!(_mm512_permutex2var_ps(a, low, b))), F32(v!(_mm512_permutex2var_ps(a, high, b))))
    }
    #[inline(always)]
    fn unzip64(self, a: F64, b: F64) -> (F64, F64) {
        let even = v!(_mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14));
        let odd = v!(_mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15));
        (F64(v!(_mm512_permutex2var_pd(a.0, even, b.0))), F64(v!(_mm512_permutex2var_pd(a.0, odd, b.0))))
    }
    #[inline(always)]
    fn zip64(self, even: F64, odd: F64) -> (F64, F64) {
        let low = v!(_mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11));
        let high = v!(_mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15));
        let (a, b) = (even.0, odd.0);
        (F64(v!(_mm512_permutex2var_pd(a, low, b))), F64(v!(_mm512_permutex2var_pd(a, high, b))))
    }
}
