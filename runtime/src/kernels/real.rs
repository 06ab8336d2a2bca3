//! float32 and float64 lanes under one name, for kernels that walk rows: normalisation, softmax, losses.

use super::lane::{Lane, narrow, widen};
use crate::dtype::DType;
use crate::simd::{MAX_LANES, Simd, level, math};
use crate::storage::Span;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// An element type that has lanes, with the arithmetic that rows need.
pub(crate) trait Real:
    Lane + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self>
{
    const MINUS_INF: Self;
    fn fma<S: Simd>(s: S, a: Self::V<S>, b: Self::V<S>, c: Self::V<S>) -> Self::V<S>;
    /// a > b ? a : b.
    fn max<S: Simd>(s: S, a: Self::V<S>, b: Self::V<S>) -> Self::V<S>;
    /// a > b ? x : y.
    fn above<S: Simd>(s: S, a: Self::V<S>, b: Self::V<S>, x: Self::V<S>, y: Self::V<S>) -> Self::V<S>;
    /// a = b ? x : y.
    fn equal<S: Simd>(s: S, a: Self::V<S>, b: Self::V<S>, x: Self::V<S>, y: Self::V<S>) -> Self::V<S>;
    /// The even and the odd elements of two vectors that follow each other in memory.
    fn unzip<S: Simd>(s: S, a: Self::V<S>, b: Self::V<S>) -> (Self::V<S>, Self::V<S>);
    /// Undoes `unzip`.
    fn zip<S: Simd>(s: S, even: Self::V<S>, odd: Self::V<S>) -> (Self::V<S>, Self::V<S>);
    /// A block of as many lines as there are lanes: lines of `x`, `xs` elements apart, become columns of `out`, whose lines are `os` apart.
    /// # Safety
    /// All lines are readable and writable.
    unsafe fn turn<S: Simd>(s: S, x: *const Self, xs: usize, out: *mut Self, os: usize);
    /// A place as the bits of an element, to be selected by lanes but not computed with; all bits mean that there is none.
    fn mark(place: Option<usize>) -> Self;
    /// Undoes `mark`.
    fn marked(self) -> Option<usize>;
    fn exp<S: Simd>(s: S, a: Self::V<S>) -> Self::V<S>;
    fn pow<S: Simd>(s: S, a: Self::V<S>, b: Self::V<S>) -> Self::V<S>;
    /// The lanes in memory.
    fn spill<S: Simd>(s: S, a: Self::V<S>) -> [Self; MAX_LANES];
    fn ln(self) -> Self;
}

impl Real for f32 {
    const MINUS_INF: f32 = f32::NEG_INFINITY;
    #[inline(always)]
    fn fma<S: Simd>(s: S, a: S::F32, b: S::F32, c: S::F32) -> S::F32 {
        s.fma(a, b, c)
    }
    #[inline(always)]
    fn max<S: Simd>(s: S, a: S::F32, b: S::F32) -> S::F32 {
        s.max(a, b)
    }
    #[inline(always)]
    fn above<S: Simd>(s: S, a: S::F32, b: S::F32, x: S::F32, y: S::F32) -> S::F32 {
        s.select(s.lt(b, a), x, y)
    }
    #[inline(always)]
    fn equal<S: Simd>(s: S, a: S::F32, b: S::F32, x: S::F32, y: S::F32) -> S::F32 {
        s.select(s.eq(a, b), x, y)
    }
    #[inline(always)]
    fn unzip<S: Simd>(s: S, a: S::F32, b: S::F32) -> (S::F32, S::F32) {
        s.unzip(a, b)
    }
    #[inline(always)]
    fn zip<S: Simd>(s: S, even: S::F32, odd: S::F32) -> (S::F32, S::F32) {
        s.zip(even, odd)
    }
    #[inline(always)]
    unsafe fn turn<S: Simd>(s: S, x: *const f32, xs: usize, out: *mut f32, os: usize) {
        // SAFETY: the caller's promise.
        unsafe { s.transpose(x, xs as isize, out, os as isize, false) }
    }
    #[inline(always)]
    fn mark(place: Option<usize>) -> f32 {
        f32::from_bits(place.map_or(u32::MAX, |i| i as u32))
    }
    #[inline(always)]
    fn marked(self) -> Option<usize> {
        (self.to_bits() != u32::MAX).then_some(self.to_bits() as usize)
    }
    #[inline(always)]
    fn exp<S: Simd>(s: S, a: S::F32) -> S::F32 {
        math::exp(s, a)
    }
    #[inline(always)]
    fn pow<S: Simd>(s: S, a: S::F32, b: S::F32) -> S::F32 {
        math::pow(s, a, b)
    }
    #[inline(always)]
    fn spill<S: Simd>(s: S, a: S::F32) -> [f32; MAX_LANES] {
        s.to_array(a)
    }
    #[inline(always)]
    fn ln(self) -> f32 {
        f32::ln(self)
    }
}

impl Real for f64 {
    const MINUS_INF: f64 = f64::NEG_INFINITY;
    #[inline(always)]
    fn fma<S: Simd>(s: S, a: S::F64, b: S::F64, c: S::F64) -> S::F64 {
        s.fma64(a, b, c)
    }
    #[inline(always)]
    fn max<S: Simd>(s: S, a: S::F64, b: S::F64) -> S::F64 {
        s.max64(a, b)
    }
    #[inline(always)]
    fn above<S: Simd>(s: S, a: S::F64, b: S::F64, x: S::F64, y: S::F64) -> S::F64 {
        s.select64(s.lt64(b, a), x, y)
    }
    #[inline(always)]
    fn equal<S: Simd>(s: S, a: S::F64, b: S::F64, x: S::F64, y: S::F64) -> S::F64 {
        s.select64(s.eq64(a, b), x, y)
    }
    #[inline(always)]
    fn unzip<S: Simd>(s: S, a: S::F64, b: S::F64) -> (S::F64, S::F64) {
        s.unzip64(a, b)
    }
    #[inline(always)]
    fn zip<S: Simd>(s: S, even: S::F64, odd: S::F64) -> (S::F64, S::F64) {
        s.zip64(even, odd)
    }
    #[inline(always)]
    unsafe fn turn<S: Simd>(_: S, x: *const f64, xs: usize, out: *mut f64, os: usize) {
        for i in 0..S::N64 {
            for k in 0..S::N64 {
                // SAFETY: the caller's promise.
                unsafe { *out.add(k * os + i) = *x.add(i * xs + k) };
            }
        }
    }
    #[inline(always)]
    fn mark(place: Option<usize>) -> f64 {
        f64::from_bits(place.map_or(u64::MAX, |i| i as u64))
    }
    #[inline(always)]
    fn marked(self) -> Option<usize> {
        (self.to_bits() != u64::MAX).then_some(self.to_bits() as usize)
    }
    #[inline(always)]
    fn exp<S: Simd>(s: S, a: S::F64) -> S::F64 {
        s.each64(a, f64::exp)
    }
    #[inline(always)]
    fn pow<S: Simd>(s: S, a: S::F64, b: S::F64) -> S::F64 {
        s.each2_64(a, b, f64::powf)
    }
    #[inline(always)]
    fn spill<S: Simd>(s: S, a: S::F64) -> [f64; MAX_LANES] {
        let (mut all, some) = ([0.0; MAX_LANES], s.to_array64(a));
        all[..some.len()].copy_from_slice(&some);
        all
    }
    #[inline(always)]
    fn ln(self) -> f64 {
        f64::ln(self)
    }
}

/// Elements whose partial sums are kept on lanes; longer sums go on in float64.
pub(crate) const SUM: usize = 2048;

/// `steps!(T, n, |i, w| …)` runs the body for `0..n` in steps of a vector of `S`: `w` lanes from element `i` on. A macro, since a
/// closure would not be sure to become part of the trampoline.
macro_rules! steps {
    ($t:ty, $n:expr, |$i:ident, $w:ident| $body:expr) => {{
        let (lanes, n) = (<$t as $crate::kernels::lane::Lane>::count::<S>(), $n);
        let mut $i = 0;
        while $i + lanes <= n {
            let $w = lanes;
            $body;
            $i += lanes;
        }
        if $i < n {
            let $w = n - $i;
            $body;
        }
    }};
}
pub(crate) use steps;

/// `sum!(s, T, n, |i, w| …)` is the sum over `0..n` of what the body gives: the lanes from element `i` on, those from `w` on being 0.
/// Partial sums go on in float64, so that long rows lose nothing.
macro_rules! sum {
    ($s:expr, $t:ty, $n:expr, |$i:ident, $w:ident| $body:expr) => {{
        let (lanes, n) = (<$t as $crate::kernels::lane::Lane>::count::<S>(), $n);
        let (mut $i, mut total) = (0, 0f64);
        while $i < n {
            let end = n.min($i + $crate::kernels::real::SUM);
            let mut part = <$t as $crate::kernels::lane::Lane>::splat($s, <$t>::default());
            while $i + lanes <= end {
                let $w = lanes;
                part = part + $body;
                $i += lanes;
            }
            if $i < end {
                let $w = end - $i;
                part = part + $body;
                $i = end;
            }
            total += $crate::kernels::real::total::<$t, S>($s, part);
        }
        total
    }};
}
pub(crate) use sum;

/// The sum of the lanes.
#[inline(always)]
pub(crate) fn total<T: Real, S: Simd>(s: S, x: T::V<S>) -> f64 {
    T::spill(s, x)[..T::count::<S>()].iter().map(|v| v.to_f64()).sum()
}

/// The first `width` lanes, the others 0.
#[inline(always)]
pub(crate) fn first<T: Real, S: Simd>(s: S, x: T::V<S>, width: usize) -> T::V<S> {
    if width == T::count::<S>() {
        return x;
    }
    let all = T::spill(s, x);
    // SAFETY: the array has room for the widest vector.
    unsafe { T::load_part(s, all.as_ptr(), width, T::default()) }
}

/// Loads `width` elements; the lanes past them are 0.
/// # Safety
/// `p` is readable for that many.
#[inline(always)]
pub(crate) unsafe fn load<T: Real, S: Simd>(s: S, p: *const T, width: usize) -> T::V<S> {
    // SAFETY: the caller's promise.
    unsafe { if width == T::count::<S>() { T::load(s, p) } else { T::load_part(s, p, width, T::default()) } }
}

/// Stores the first `width` lanes.
/// # Safety
/// `p` is writable for that many.
#[inline(always)]
pub(crate) unsafe fn store<T: Real, S: Simd>(s: S, p: *mut T, x: T::V<S>, width: usize) {
    // SAFETY: the caller's promise.
    unsafe { if width == T::count::<S>() { T::store(s, p, x, false) } else { T::store_part(s, p, x, width) } }
}

/// Elements `at .. at + buf.len()` as float32: of float32 or a half float.
pub(crate) fn read32(x: Span, at: usize, buf: &mut [f32]) {
    let part = x.sub(at, buf.len());
    match x.dtype() {
        // SAFETY: `part` has as many elements as `buf`.
        DType::F16 | DType::BF16 => unsafe { widen(level(), x.dtype(), part.bytes().cast(), buf) },
        // SAFETY: as above; nobody writes an input.
        _ => buf.copy_from_slice(unsafe { part.slice::<f32>() }),
    }
}

/// Writes elements from `at` on as float32 or a half float.
pub(crate) fn write32(buf: &[f32], x: Span, at: usize) {
    let part = x.sub(at, buf.len());
    match x.dtype() {
        // SAFETY: `part` has as many elements as `buf`, and is this chunk's.
        DType::F16 | DType::BF16 => unsafe { narrow(level(), x.dtype(), buf, part.bytes().cast()) },
        // SAFETY: as above.
        _ => unsafe { part.slice_mut::<f32>() }.copy_from_slice(buf),
    }
}
