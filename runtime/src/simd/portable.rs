//! The level of every machine, on crate `wide`. Correct everywhere; speed is what the compiler's base features give.

use super::{Simd, Work};
use half::{bf16, f16};
use std::ops::{BitAnd, BitOr, Not};
use wide::{f32x8, f64x4, i32x8};

/// Token of the portable level.
#[derive(Clone, Copy, Debug)]
pub struct Portable;

/// Lanes of all ones or all zeros.
#[derive(Clone, Copy)]
pub struct Bits<T>(T);

impl<T: BitAnd<Output = T>> BitAnd for Bits<T> {
    type Output = Self;
    #[inline(always)]
    fn bitand(self, o: Self) -> Self {
        Bits(self.0 & o.0)
    }
}

impl<T: BitOr<Output = T>> BitOr for Bits<T> {
    type Output = Self;
    #[inline(always)]
    fn bitor(self, o: Self) -> Self {
        Bits(self.0 | o.0)
    }
}

impl<T: Not<Output = T>> Not for Bits<T> {
    type Output = Self;
    #[inline(always)]
    fn not(self) -> Self {
        Bits(!self.0)
    }
}

#[inline(always)]
fn ints(x: f32x8) -> i32x8 {
    // SAFETY: both are 32 bytes in which every bit pattern is valid.
    unsafe { std::mem::transmute(x) }
}

#[inline(always)]
fn floats(x: i32x8) -> f32x8 {
    // SAFETY: as above.
    unsafe { std::mem::transmute(x) }
}

/// 2^n for integral n in the normal range.
#[inline(always)]
fn exp2i(n: i32x8) -> f32x8 {
    floats((n + i32x8::splat(127)) << 23u32)
}

impl Simd for Portable {
    type F32 = f32x8;
    type F64 = f64x4;
    type I32 = i32x8;
    type M32 = Bits<f32x8>;
    type M64 = Bits<f64x4>;
    const N: usize = 8;

    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> f32x8 {
        // SAFETY: the caller's promise.
        f32x8::new(unsafe { p.cast::<[f32; 8]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn load_part(self, p: *const f32, n: usize, rest: f32x8) -> f32x8 {
        let mut a = rest.to_array();
        // SAFETY: the caller's promise, and n < 8.
        unsafe { std::ptr::copy_nonoverlapping(p, a.as_mut_ptr(), n) };
        f32x8::new(a)
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, x: f32x8) {
        // SAFETY: the caller's promise.
        unsafe { p.cast::<[f32; 8]>().write_unaligned(x.to_array()) }
    }
    #[inline(always)]
    unsafe fn store_part(self, p: *mut f32, x: f32x8, n: usize) {
        // SAFETY: the caller's promise, and n < 8.
        unsafe { std::ptr::copy_nonoverlapping(x.to_array().as_ptr(), p, n) }
    }
    #[inline(always)]
    unsafe fn stream(self, p: *mut f32, x: f32x8) {
        // SAFETY: the caller's promise.
        unsafe { self.store(p, x) }
    }
    #[inline(always)]
    fn fence(self) {}
    #[inline(always)]
    unsafe fn load64(self, p: *const f64) -> f64x4 {
        // SAFETY: the caller's promise.
        f64x4::new(unsafe { p.cast::<[f64; 4]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn load_part64(self, p: *const f64, n: usize, rest: f64x4) -> f64x4 {
        let mut a = rest.to_array();
        // SAFETY: the caller's promise, and n < 4.
        unsafe { std::ptr::copy_nonoverlapping(p, a.as_mut_ptr(), n) };
        f64x4::new(a)
    }
    #[inline(always)]
    unsafe fn store64(self, p: *mut f64, x: f64x4) {
        // SAFETY: the caller's promise.
        unsafe { p.cast::<[f64; 4]>().write_unaligned(x.to_array()) }
    }
    #[inline(always)]
    unsafe fn store_part64(self, p: *mut f64, x: f64x4, n: usize) {
        // SAFETY: the caller's promise, and n < 4.
        unsafe { std::ptr::copy_nonoverlapping(x.to_array().as_ptr(), p, n) }
    }
    #[inline(always)]
    unsafe fn stream64(self, p: *mut f64, x: f64x4) {
        // SAFETY: the caller's promise.
        unsafe { self.store64(p, x) }
    }
    #[inline(always)]
    unsafe fn load_f16(self, p: *const u16) -> f32x8 {
        // SAFETY: the caller's promise.
        f32x8::new(std::array::from_fn(|i| f16::from_bits(unsafe { p.add(i).read_unaligned() }).to_f32()))
    }
    #[inline(always)]
    unsafe fn store_f16(self, p: *mut u16, x: f32x8) {
        for (i, v) in x.to_array().into_iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { p.add(i).write_unaligned(f16::from_f32(v).to_bits()) }
        }
    }
    #[inline(always)]
    unsafe fn load_bf16(self, p: *const u16) -> f32x8 {
        // SAFETY: the caller's promise.
        f32x8::new(std::array::from_fn(|i| bf16::from_bits(unsafe { p.add(i).read_unaligned() }).to_f32()))
    }
    #[inline(always)]
    unsafe fn store_bf16(self, p: *mut u16, x: f32x8) {
        for (i, v) in x.to_array().into_iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { p.add(i).write_unaligned(bf16::from_f32(v).to_bits()) }
        }
    }

    #[inline(always)]
    unsafe fn transpose(self, x: *const f32, xs: isize, out: *mut f32, os: isize, stream: bool) {
        // SAFETY: the caller's promise.
        unsafe {
            let t = f32x8::transpose(std::array::from_fn(|i| self.load(x.offset(i as isize * xs))));
            for (i, v) in t.into_iter().enumerate() {
                let p = out.offset(i as isize * os);
                if stream { self.stream(p, v) } else { self.store(p, v) }
            }
        }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> f32x8 {
        f32x8::splat(x)
    }
    #[inline(always)]
    fn fma(self, a: f32x8, b: f32x8, c: f32x8) -> f32x8 {
        a * b + c
    }
    #[inline(always)]
    fn min(self, a: f32x8, b: f32x8) -> f32x8 {
        self.select(self.lt(a, b), a, b)
    }
    #[inline(always)]
    fn max(self, a: f32x8, b: f32x8) -> f32x8 {
        self.select(self.lt(b, a), a, b)
    }
    #[inline(always)]
    fn abs(self, x: f32x8) -> f32x8 {
        floats(ints(x) & i32x8::splat(i32::MAX))
    }
    #[inline(always)]
    fn copysign(self, x: f32x8, sign: f32x8) -> f32x8 {
        floats((ints(x) & i32x8::splat(i32::MAX)) | (ints(sign) & i32x8::splat(i32::MIN)))
    }
    #[inline(always)]
    fn sqrt(self, x: f32x8) -> f32x8 {
        x.sqrt()
    }
    #[inline(always)]
    fn floor(self, x: f32x8) -> f32x8 {
        let t = self.trunc(x);
        self.copysign(self.select(self.lt(x, t), t - f32x8::splat(1.0), t), x)
    }
    #[inline(always)]
    fn ceil(self, x: f32x8) -> f32x8 {
        let t = self.trunc(x);
        self.copysign(self.select(self.lt(t, x), t + f32x8::splat(1.0), t), x)
    }
    #[inline(always)]
    fn trunc(self, x: f32x8) -> f32x8 {
        let a = self.abs(x);
        let r = self.rint(a);
        let t = self.select(self.lt(a, r), r - f32x8::splat(1.0), r);
        self.copysign(t, x)
    }
    #[inline(always)]
    fn rint(self, x: f32x8) -> f32x8 {
        // Adding 2^23 to a magnitude below it pushes the fraction out, rounding ties to even.
        let big = f32x8::splat(8_388_608.0);
        let a = self.abs(x);
        let r = (a + big) - big;
        self.copysign(self.select(self.lt(a, big), r, a), x)
    }
    #[inline(always)]
    fn lt(self, a: f32x8, b: f32x8) -> Bits<f32x8> {
        Bits(a.simd_lt(b))
    }
    #[inline(always)]
    fn le(self, a: f32x8, b: f32x8) -> Bits<f32x8> {
        Bits(a.simd_le(b))
    }
    #[inline(always)]
    fn eq(self, a: f32x8, b: f32x8) -> Bits<f32x8> {
        Bits(a.simd_eq(b))
    }
    #[inline(always)]
    fn select(self, m: Bits<f32x8>, a: f32x8, b: f32x8) -> f32x8 {
        m.0.bitselect(a, b)
    }
    #[inline(always)]
    fn any(self, m: Bits<f32x8>) -> bool {
        m.0.any()
    }
    #[inline(always)]
    fn bitmask(self, m: Bits<f32x8>) -> u32 {
        m.0.to_bitmask()
    }
    #[inline(always)]
    fn ldexp(self, x: f32x8, n: f32x8) -> f32x8 {
        // Two steps, each with a normal power. Only the last can round.
        let n = self.to_int(n);
        let half = n >> 1u32;
        x * exp2i(half) * exp2i(n - half)
    }

    #[inline(always)]
    fn splat_i(self, x: i32) -> i32x8 {
        i32x8::splat(x)
    }
    #[inline(always)]
    fn bits(self, x: f32x8) -> i32x8 {
        ints(x)
    }
    #[inline(always)]
    fn from_bits(self, x: i32x8) -> f32x8 {
        floats(x)
    }
    #[inline(always)]
    fn to_int(self, x: f32x8) -> i32x8 {
        x.fast_round_int()
    }
    #[inline(always)]
    fn from_int(self, x: i32x8) -> f32x8 {
        f32x8::from_i32x8(x)
    }
    #[inline(always)]
    fn shl<const K: u32>(self, x: i32x8) -> i32x8 {
        x << K
    }
    #[inline(always)]
    fn sar<const K: u32>(self, x: i32x8) -> i32x8 {
        x >> K
    }
    #[inline(always)]
    fn is_zero(self, x: i32x8) -> Bits<f32x8> {
        Bits(floats(x.simd_eq(i32x8::splat(0))))
    }

    #[inline(always)]
    fn splat64(self, x: f64) -> f64x4 {
        f64x4::splat(x)
    }
    #[inline(always)]
    fn fma64(self, a: f64x4, b: f64x4, c: f64x4) -> f64x4 {
        a * b + c
    }
    #[inline(always)]
    fn min64(self, a: f64x4, b: f64x4) -> f64x4 {
        self.select64(self.lt64(a, b), a, b)
    }
    #[inline(always)]
    fn max64(self, a: f64x4, b: f64x4) -> f64x4 {
        self.select64(self.lt64(b, a), a, b)
    }
    #[inline(always)]
    fn abs64(self, x: f64x4) -> f64x4 {
        f64x4::new(x.to_array().map(f64::abs))
    }
    #[inline(always)]
    fn sqrt64(self, x: f64x4) -> f64x4 {
        x.sqrt()
    }
    #[inline(always)]
    fn lt64(self, a: f64x4, b: f64x4) -> Bits<f64x4> {
        Bits(a.simd_lt(b))
    }
    #[inline(always)]
    fn le64(self, a: f64x4, b: f64x4) -> Bits<f64x4> {
        Bits(a.simd_le(b))
    }
    #[inline(always)]
    fn eq64(self, a: f64x4, b: f64x4) -> Bits<f64x4> {
        Bits(a.simd_eq(b))
    }
    #[inline(always)]
    fn select64(self, m: Bits<f64x4>, a: f64x4, b: f64x4) -> f64x4 {
        m.0.bitselect(a, b)
    }
    #[inline(always)]
    fn widen(self, x: f32x8) -> (f64x4, f64x4) {
        let a = x.to_array();
        (
            f64x4::new(std::array::from_fn(|i| a[i] as f64)),
            f64x4::new(std::array::from_fn(|i| a[i + 4] as f64)),
        )
    }
    #[inline(always)]
    fn narrow(self, low: f64x4, high: f64x4) -> f32x8 {
        let (l, h) = (low.to_array(), high.to_array());
        f32x8::new(std::array::from_fn(|i| if i < 4 { l[i] as f32 } else { h[i - 4] as f32 }))
    }
}

/// Exists for symmetry with the trampolines of the other levels; kept out of line so that each kernel is compiled once.
#[inline(never)]
pub(super) fn enter<W: Work>(w: W) -> W::Out {
    w.run(Portable)
}
