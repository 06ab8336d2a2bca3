//! AVX2 with FMA and F16C: 8 lanes, masks are lanes of all ones. All its intrinsics are here.

use super::{Simd, Work};
use std::arch::x86_64::*;
use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Neg, Not, Sub};

/// Token of the AVX2 level. Only `enter` makes one.
#[derive(Clone, Copy, Debug)]
pub struct Avx2(());

/// Whether this machine can run [`enter`]. The features are those of the trampoline: keep them equal.
pub(super) fn detect() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c")
}

/// # Safety
/// [`detect`] said yes.
#[inline(never)]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn enter<W: Work>(w: W) -> W::Out {
    w.run(Avx2(()))
}

/// Eight float32.
#[derive(Clone, Copy)]
pub struct F32(__m256);
/// Four float64.
#[derive(Clone, Copy)]
pub struct F64(__m256d);
/// Eight int32.
#[derive(Clone, Copy)]
pub struct I32(__m256i);

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
    F32: Add add _mm256_add_ps, Sub sub _mm256_sub_ps, Mul mul _mm256_mul_ps, Div div _mm256_div_ps;
    F64: Add add _mm256_add_pd, Sub sub _mm256_sub_pd, Mul mul _mm256_mul_pd, Div div _mm256_div_pd;
    I32: Add add _mm256_add_epi32, Sub sub _mm256_sub_epi32, BitAnd bitand _mm256_and_si256,
        BitOr bitor _mm256_or_si256, BitXor bitxor _mm256_xor_si256;
}

impl Neg for F32 {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        F32(v!(_mm256_xor_ps(self.0, _mm256_set1_ps(-0.0))))
    }
}

impl Neg for F64 {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        F64(v!(_mm256_xor_pd(self.0, _mm256_set1_pd(-0.0))))
    }
}

/// Lanes of all ones or all zeros.
#[derive(Clone, Copy)]
pub struct M32(__m256);
/// Lanes of all ones or all zeros.
#[derive(Clone, Copy)]
pub struct M64(__m256d);

operators! {
    M32: BitAnd bitand _mm256_and_ps, BitOr bitor _mm256_or_ps;
    M64: BitAnd bitand _mm256_and_pd, BitOr bitor _mm256_or_pd;
}

impl Not for M32 {
    type Output = Self;
    #[inline(always)]
    fn not(self) -> Self {
        M32(v!(_mm256_xor_ps(self.0, _mm256_castsi256_ps(_mm256_set1_epi32(-1)))))
    }
}

impl Not for M64 {
    type Output = Self;
    #[inline(always)]
    fn not(self) -> Self {
        M64(v!(_mm256_xor_pd(self.0, _mm256_castsi256_pd(_mm256_set1_epi32(-1)))))
    }
}

/// Ones in the first `n` lanes of 32 bits, for masked loads and stores.
#[inline(always)]
fn first(n: usize) -> __m256i {
    debug_assert!(n < 8);
    v!(_mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)))
}

/// Ones in the first `n` lanes of 64 bits.
#[inline(always)]
fn first64(n: usize) -> __m256i {
    debug_assert!(n < 4);
    v!(_mm256_cmpgt_epi64(_mm256_set1_epi64x(n as i64), _mm256_setr_epi64x(0, 1, 2, 3)))
}

/// 2^n for integral n in the normal range.
#[inline(always)]
fn exp2i(n: I32) -> F32 {
    F32(v!(_mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(n.0, _mm256_set1_epi32(127))))))
}

/// To nearest, ties to even, no exceptions.
const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
const DOWN: i32 = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC;
const UP: i32 = _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC;
const ZERO: i32 = _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC;

impl Simd for Avx2 {
    type F32 = F32;
    type F64 = F64;
    type I32 = I32;
    type M32 = M32;
    type M64 = M64;
    const N: usize = 8;

    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> F32 {
        F32(v!(_mm256_loadu_ps(p)))
    }
    #[inline(always)]
    unsafe fn load_part(self, p: *const f32, n: usize, rest: F32) -> F32 {
        let m = first(n);
        F32(v!(_mm256_blendv_ps(rest.0, _mm256_maskload_ps(p, m), _mm256_castsi256_ps(m))))
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, x: F32) {
        v!(_mm256_storeu_ps(p, x.0))
    }
    #[inline(always)]
    unsafe fn store_part(self, p: *mut f32, x: F32, n: usize) {
        v!(_mm256_maskstore_ps(p, first(n), x.0))
    }
    #[inline(always)]
    unsafe fn stream(self, p: *mut f32, x: F32) {
        v!(_mm256_stream_ps(p, x.0))
    }
    #[inline(always)]
    fn fence(self) {
        v!(_mm_sfence())
    }
    #[inline(always)]
    unsafe fn load64(self, p: *const f64) -> F64 {
        F64(v!(_mm256_loadu_pd(p)))
    }
    #[inline(always)]
    unsafe fn load_part64(self, p: *const f64, n: usize, rest: F64) -> F64 {
        let m = first64(n);
        F64(v!(_mm256_blendv_pd(rest.0, _mm256_maskload_pd(p, m), _mm256_castsi256_pd(m))))
    }
    #[inline(always)]
    unsafe fn store64(self, p: *mut f64, x: F64) {
        v!(_mm256_storeu_pd(p, x.0))
    }
    #[inline(always)]
    unsafe fn store_part64(self, p: *mut f64, x: F64, n: usize) {
        v!(_mm256_maskstore_pd(p, first64(n), x.0))
    }
    #[inline(always)]
    unsafe fn stream64(self, p: *mut f64, x: F64) {
        v!(_mm256_stream_pd(p, x.0))
    }
    #[inline(always)]
    unsafe fn load_f16(self, p: *const u16) -> F32 {
        F32(v!(_mm256_cvtph_ps(_mm_loadu_si128(p.cast()))))
    }
    #[inline(always)]
    unsafe fn store_f16(self, p: *mut u16, x: F32) {
        v!(_mm_storeu_si128(p.cast(), _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x.0)))
    }
    #[inline(always)]
    unsafe fn load_bf16(self, p: *const u16) -> F32 {
        F32(v!(_mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(_mm_loadu_si128(
            p.cast()
        ))))))
    }
    #[inline(always)]
    unsafe fn store_bf16(self, p: *mut u16, x: F32) {
        let b = v!(_mm256_castps_si256(x.0));
        let odd = v!(_mm256_and_si256(_mm256_srli_epi32::<16>(b), _mm256_set1_epi32(1)));
        let up = v!(_mm256_add_epi32(b, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))));
        // A NaN is cut, made quiet so that something of it remains.
        let nan = v!(_mm256_or_si256(b, _mm256_set1_epi32(0x40_0000)));
        let r = v!(_mm256_blendv_epi8(up, nan, _mm256_castps_si256(self.is_nan(x).0)));
        let high = v!(_mm256_srli_epi32::<16>(r));
        let packed = v!(_mm256_permute4x64_epi64::<0b1000>(_mm256_packus_epi32(high, high)));
        v!(_mm_storeu_si128(p.cast(), _mm256_castsi256_si128(packed)))
    }

    #[inline(always)]
    unsafe fn transpose(self, x: *const f32, xs: isize, out: *mut f32, os: isize, stream: bool) {
        // SAFETY: the caller's promise, and that of `v!`. Pairs, then quads of lines are interleaved; halves of 128 bits come last, by the
        // way they are loaded: line i's lower half beside line i+4's.
        unsafe {
            let mut a = [_mm256_setzero_ps(); 8];
            for i in 0..4 {
                let (p, q) = (x.offset(i as isize * xs), x.offset((i + 4) as isize * xs));
                a[i] = _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm_loadu_ps(q));
                a[i + 4] = _mm256_insertf128_ps::<1>(
                    _mm256_castps128_ps256(_mm_loadu_ps(p.add(4))),
                    _mm_loadu_ps(q.add(4)),
                );
            }
            for h in [0, 4] {
                let (t0, t1) = (_mm256_unpacklo_ps(a[h], a[h + 1]), _mm256_unpackhi_ps(a[h], a[h + 1]));
                let (t2, t3) =
                    (_mm256_unpacklo_ps(a[h + 2], a[h + 3]), _mm256_unpackhi_ps(a[h + 2], a[h + 3]));
                let lines = [
                    _mm256_shuffle_ps::<0x44>(t0, t2),
                    _mm256_shuffle_ps::<0xee>(t0, t2),
                    _mm256_shuffle_ps::<0x44>(t1, t3),
                    _mm256_shuffle_ps::<0xee>(t1, t3),
                ];
                for (i, v) in lines.into_iter().enumerate() {
                    let p = out.offset((h + i) as isize * os);
                    if stream { self.stream(p, F32(v)) } else { self.store(p, F32(v)) }
                }
            }
        }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> F32 {
        F32(v!(_mm256_set1_ps(x)))
    }
    #[inline(always)]
    fn fma(self, a: F32, b: F32, c: F32) -> F32 {
        F32(v!(_mm256_fmadd_ps(a.0, b.0, c.0)))
    }
    #[inline(always)]
    fn min(self, a: F32, b: F32) -> F32 {
        F32(v!(_mm256_min_ps(a.0, b.0)))
    }
    #[inline(always)]
    fn max(self, a: F32, b: F32) -> F32 {
        F32(v!(_mm256_max_ps(a.0, b.0)))
    }
    #[inline(always)]
    fn abs(self, x: F32) -> F32 {
        F32(v!(_mm256_andnot_ps(_mm256_set1_ps(-0.0), x.0)))
    }
    #[inline(always)]
    fn copysign(self, x: F32, sign: F32) -> F32 {
        let m = v!(_mm256_set1_ps(-0.0));
        F32(v!(_mm256_or_ps(_mm256_andnot_ps(m, x.0), _mm256_and_ps(m, sign.0))))
    }
    #[inline(always)]
    fn sqrt(self, x: F32) -> F32 {
        F32(v!(_mm256_sqrt_ps(x.0)))
    }
    #[inline(always)]
    fn floor(self, x: F32) -> F32 {
        F32(v!(_mm256_round_ps::<DOWN>(x.0)))
    }
    #[inline(always)]
    fn ceil(self, x: F32) -> F32 {
        F32(v!(_mm256_round_ps::<UP>(x.0)))
    }
    #[inline(always)]
    fn trunc(self, x: F32) -> F32 {
        F32(v!(_mm256_round_ps::<ZERO>(x.0)))
    }
    #[inline(always)]
    fn rint(self, x: F32) -> F32 {
        F32(v!(_mm256_round_ps::<NEAREST>(x.0)))
    }
    #[inline(always)]
    fn lt(self, a: F32, b: F32) -> M32 {
        M32(v!(_mm256_cmp_ps::<_CMP_LT_OQ>(a.0, b.0)))
    }
    #[inline(always)]
    fn le(self, a: F32, b: F32) -> M32 {
        M32(v!(_mm256_cmp_ps::<_CMP_LE_OQ>(a.0, b.0)))
    }
    #[inline(always)]
    fn eq(self, a: F32, b: F32) -> M32 {
        M32(v!(_mm256_cmp_ps::<_CMP_EQ_OQ>(a.0, b.0)))
    }
    #[inline(always)]
    fn select(self, m: M32, a: F32, b: F32) -> F32 {
        F32(v!(_mm256_blendv_ps(b.0, a.0, m.0)))
    }
    #[inline(always)]
    fn any(self, m: M32) -> bool {
        v!(_mm256_movemask_ps(m.0)) != 0
    }
    #[inline(always)]
    fn bitmask(self, m: M32) -> u32 {
        v!(_mm256_movemask_ps(m.0)) as u32
    }
    #[inline(always)]
    fn ldexp(self, x: F32, n: F32) -> F32 {
        // Two steps, each with a normal power. Only the last can round.
        let n = self.to_int(n);
        let half = self.sar::<1>(n);
        x * exp2i(half) * exp2i(n - half)
    }

    #[inline(always)]
    fn splat_i(self, x: i32) -> I32 {
        I32(v!(_mm256_set1_epi32(x)))
    }
    #[inline(always)]
    fn bits(self, x: F32) -> I32 {
        I32(v!(_mm256_castps_si256(x.0)))
    }
    #[inline(always)]
    fn from_bits(self, x: I32) -> F32 {
        F32(v!(_mm256_castsi256_ps(x.0)))
    }
    #[inline(always)]
    fn to_int(self, x: F32) -> I32 {
        I32(v!(_mm256_cvtps_epi32(x.0)))
    }
    #[inline(always)]
    fn from_int(self, x: I32) -> F32 {
        F32(v!(_mm256_cvtepi32_ps(x.0)))
    }
    #[inline(always)]
    fn shl<const K: u32>(self, x: I32) -> I32 {
        I32(v!(_mm256_sll_epi32(x.0, _mm_cvtsi32_si128(K as i32))))
    }
    #[inline(always)]
    fn sar<const K: u32>(self, x: I32) -> I32 {
        I32(v!(_mm256_sra_epi32(x.0, _mm_cvtsi32_si128(K as i32))))
    }
    #[inline(always)]
    fn is_zero(self, x: I32) -> M32 {
        M32(v!(_mm256_castsi256_ps(_mm256_cmpeq_epi32(x.0, _mm256_setzero_si256()))))
    }

    #[inline(always)]
    fn splat64(self, x: f64) -> F64 {
        F64(v!(_mm256_set1_pd(x)))
    }
    #[inline(always)]
    fn fma64(self, a: F64, b: F64, c: F64) -> F64 {
        F64(v!(_mm256_fmadd_pd(a.0, b.0, c.0)))
    }
    #[inline(always)]
    fn min64(self, a: F64, b: F64) -> F64 {
        F64(v!(_mm256_min_pd(a.0, b.0)))
    }
    #[inline(always)]
    fn max64(self, a: F64, b: F64) -> F64 {
        F64(v!(_mm256_max_pd(a.0, b.0)))
    }
    #[inline(always)]
    fn abs64(self, x: F64) -> F64 {
        F64(v!(_mm256_andnot_pd(_mm256_set1_pd(-0.0), x.0)))
    }
    #[inline(always)]
    fn sqrt64(self, x: F64) -> F64 {
        F64(v!(_mm256_sqrt_pd(x.0)))
    }
    #[inline(always)]
    fn lt64(self, a: F64, b: F64) -> M64 {
        M64(v!(_mm256_cmp_pd::<_CMP_LT_OQ>(a.0, b.0)))
    }
    #[inline(always)]
    fn le64(self, a: F64, b: F64) -> M64 {
        M64(v!(_mm256_cmp_pd::<_CMP_LE_OQ>(a.0, b.0)))
    }
    #[inline(always)]
    fn eq64(self, a: F64, b: F64) -> M64 {
        M64(v!(_mm256_cmp_pd::<_CMP_EQ_OQ>(a.0, b.0)))
    }
    #[inline(always)]
    fn select64(self, m: M64, a: F64, b: F64) -> F64 {
        F64(v!(_mm256_blendv_pd(b.0, a.0, m.0)))
    }
    #[inline(always)]
    fn widen(self, x: F32) -> (F64, F64) {
        let low = v!(_mm256_cvtps_pd(_mm256_castps256_ps128(x.0)));
        (F64(low), F64(v!(_mm256_cvtps_pd(_mm256_extractf128_ps::<1>(x.0)))))
    }
    #[inline(always)]
    fn narrow(self, low: F64, high: F64) -> F32 {
        let low = v!(_mm256_castps128_ps256(_mm256_cvtpd_ps(low.0)));
        F32(v!(_mm256_insertf128_ps::<1>(low, _mm256_cvtpd_ps(high.0))))
    }
    #[inline(always)]
    fn unzip(self, a: F32, b: F32) -> (F32, F32) {
        // Pairs of each half come side by side, then the pairs are put in order.
        let (even, odd) = v!((_mm256_shuffle_ps::<0x88>(a.0, b.0), _mm256_shuffle_ps::<0xdd>(a.0, b.0)));
        let (even, odd) = v!((_mm256_castps_pd(even), _mm256_castps_pd(odd)));
        let (even, odd) = v!((_mm256_permute4x64_pd::<0xd8>(even), _mm256_permute4x64_pd::<0xd8>(odd)));
        (F32(v!(_mm256_castpd_ps(even))), F32(v!(_mm256_castpd_ps(odd))))
    }
    #[inline(always)]
    fn zip(self, even: F32, odd: F32) -> (F32, F32) {
        let (a, b) = v!((_mm256_unpacklo_ps(even.0, odd.0), _mm256_unpackhi_ps(even.0, odd.0)));
        (F32(v!(_mm256_permute2f128_ps::<0x20>(a, b))), F32(v!(_mm256_permute2f128_ps::<0x31>(a, b))))
    }
    #[inline(always)]
    fn unzip64(self, a: F64, b: F64) -> (F64, F64) {
        let (even, odd) = v!((_mm256_unpacklo_pd(a.0, b.0), _mm256_unpackhi_pd(a.0, b.0)));
        (F64(v!(_mm256_permute4x64_pd::<0xd8>(even))), F64(v!(_mm256_permute4x64_pd::<0xd8>(odd))))
    }
    #[inline(always)]
    fn zip64(self, even: F64, odd: F64) -> (F64, F64) {
        let (a, b) = v!((_mm256_unpacklo_pd(even.0, odd.0), _mm256_unpackhi_pd(even.0, odd.0)));
        (F64(v!(_mm256_permute2f128_pd::<0x20>(a, b))), F64(v!(_mm256_permute2f128_pd::<0x31>(a, b))))
    }
}
