//! What the loops over elements share: float32 and float64 under one name, conversion of the half floats, walking strides,
//! and when to write past the caches. Private to the kernels.

use super::par;
use crate::dtype::{DType, Elem};
use crate::simd::{Floats, Level, Simd, Work};
use crate::storage::Span;
use std::cell::Cell;
use std::ops::Range;
use std::sync::OnceLock;
use std::time::Instant;

/// Elements in a parallel chunk of a copy. A multiple of every vector and of a cache line, so that chunks of an aligned
/// array are aligned.
pub(crate) const CHUNK: usize = 32 * 1024;

/// Elements that show what the others will cost.
const FIRST: usize = 2048;
/// Work that is not worth another thread, work that is not worth waking one, and the least length of a parallel chunk, in nanoseconds.
const ALONE: u64 = 8_000;
const UNWOKEN: u64 = 40_000;
const PACE: u64 = 4_000;
/// Work that is cut once for each thread: what one takes from another's part has to come out of the other's cache.
const SHORT: u64 = 200_000;

/// Runs `f` over parts of `0..n`, in parallel if that pays. An element may cost a tenth of a nanosecond or a hundred, so the first ones
/// are timed. Only for work in which elements do not depend on each other: where the cuts are differs from call to call.
#[inline]
pub(crate) fn spread(n: usize, f: impl Fn(Range<usize>) + Sync) {
    if n < 2 * FIRST || par::alone() {
        if n > 0 {
            f(0..n);
        }
        return;
    }
    pace(n, &f);
}

/// Not generic, and so compiled once: kernels are many.
fn pace(n: usize, f: &(dyn Fn(Range<usize>) + Sync)) {
    let start = Instant::now();
    f(0..FIRST);
    let spent = (start.elapsed().as_nanos() as u64).max(1);
    let rest = n - FIRST;
    let cost = spent.saturating_mul(rest as u64) / (FIRST as u64);
    if cost < ALONE || (cost < UNWOKEN && !par::awake()) {
        return f(FIRST..n);
    }
    let least = (FIRST as u64 * PACE / spent) as usize;
    let chunk =
        if cost < SHORT { least.max(rest.div_ceil(par::num_threads())) } else { par::grouped(rest, least) };
    par::chunks(rest, chunk.next_multiple_of(BLOCK), |_, r| f(r.start + FIRST..r.end + FIRST));
}

/// Elements that are converted or gathered at a time; their buffers lie on the stack and stay in the first cache.
pub(crate) const BLOCK: usize = 1024;

/// An element type that has lanes.
pub(crate) trait Lane: Elem {
    type V<S: Simd>: Floats;
    fn count<S: Simd>() -> usize;
    fn splat<S: Simd>(s: S, x: Self) -> Self::V<S>;
    /// # Safety
    /// `p` is readable for `count` elements.
    unsafe fn load<S: Simd>(s: S, p: *const Self) -> Self::V<S>;
    /// The others are `rest`.
    /// # Safety
    /// `p` is readable for `n`, which is less than `count`.
    unsafe fn load_part<S: Simd>(s: S, p: *const Self, n: usize, rest: Self) -> Self::V<S>;
    /// # Safety
    /// `p` is writable for `count` elements, and aligned to all of them where `stream` is set.
    unsafe fn store<S: Simd>(s: S, p: *mut Self, x: Self::V<S>, stream: bool);
    /// # Safety
    /// `p` is writable for `n`, which is less than `count`.
    unsafe fn store_part<S: Simd>(s: S, p: *mut Self, x: Self::V<S>, n: usize);
}

macro_rules! lane {
    ($t:ty, $v:ident, $n:ident, $splat:ident, $load:ident, $load_part:ident, $store:ident, $store_part:ident, $stream:ident) => {
        impl Lane for $t {
            type V<S: Simd> = S::$v;
            #[inline(always)]
            fn count<S: Simd>() -> usize {
                S::$n
            }
            #[inline(always)]
            fn splat<S: Simd>(s: S, x: Self) -> S::$v {
                s.$splat(x)
            }
            #[inline(always)]
            unsafe fn load<S: Simd>(s: S, p: *const Self) -> S::$v {
                // SAFETY: the caller's promise.
                unsafe { s.$load(p) }
            }
            #[inline(always)]
            unsafe fn load_part<S: Simd>(s: S, p: *const Self, n: usize, rest: Self) -> S::$v {
                // SAFETY: the caller's promise.
                unsafe { s.$load_part(p, n, s.$splat(rest)) }
            }
            #[inline(always)]
            unsafe fn store<S: Simd>(s: S, p: *mut Self, x: S::$v, stream: bool) {
                // SAFETY: the caller's promise.
                unsafe { if stream { s.$stream(p, x) } else { s.$store(p, x) } }
            }
            #[inline(always)]
            unsafe fn store_part<S: Simd>(s: S, p: *mut Self, x: S::$v, n: usize) {
                // SAFETY: the caller's promise.
                unsafe { s.$store_part(p, x, n) }
            }
        }
    };
}
lane!(f32, F32, N, splat, load, load_part, store, store_part, stream);
lane!(f64, F64, N64, splat64, load64, load_part64, store64, store_part64, stream64);

/// Whether an output of that many bytes is better written past the caches: it would push everything else out, and the
/// memory would be read just to be overwritten. Half of the last cache, since inputs want room too.
pub(crate) fn past_cache(bytes: usize) -> bool {
    static LIMIT: OnceLock<usize> = OnceLock::new();
    bytes
        >= *LIMIT.get_or_init(|| {
            let size =
                std::fs::read_to_string("/sys/devices/system/cpu/cpu0/cache/index3/size").unwrap_or_default();
            let kib = size.trim().strip_suffix('K').and_then(|k| k.parse::<usize>().ok());
            kib.map_or(16 << 20, |k| k * 1024) / 2
        })
}

struct Fence;

impl Work for Fence {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        s.fence();
    }
}

/// Orders what this thread wrote with [`Simd::stream`] before what it writes later.
pub(crate) fn fence(level: Level) {
    level.run(Fence);
}

thread_local! {
    /// Addresses that this thread writes piece by piece, to be treated as the whole that they are.
    static WHOLE: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

/// Whether `out`, or what it is a piece of, is big enough to be written with [`Simd::stream`].
#[inline]
pub(crate) fn streams(out: Span) -> bool {
    let bytes = out.len() * out.dtype().size();
    if bytes > 1 << 20 {
        return past_cache(bytes);
    }
    let ((begin, end), at) = (WHOLE.get(), out.bytes() as usize);
    begin <= at && at < end
}

/// Runs `f`, which writes a piece of `out`, as it would be written as a whole.
#[inline]
pub(crate) fn piece_of<T>(out: Span, f: impl FnOnce() -> T) -> T {
    let begin = out.bytes() as usize;
    let before = WHOLE.replace((begin, begin + out.len() * out.dtype().size()));
    let result = f();
    WHOLE.set(before);
    result
}

/// Elements of `n` before the first that is aligned to a vector, where that matters and is worth while; less than a vector.
#[inline(always)]
pub(crate) fn head<T>(p: *const T, lanes: usize, n: usize, stream: bool) -> usize {
    if stream { ((p as usize).wrapping_neg() / size_of::<T>() % lanes).min(n) } else { 0 }
}

/// Half floats to float32.
struct Widen<'a>(DType, *const u16, &'a mut [f32]);

impl Work for Widen<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Widen(dtype, x, y) = self;
        let f16 = dtype == DType::F16;
        let (body, tail) = y.split_at_mut(y.len() / S::N * S::N);
        let one = body.len();
        for (i, v) in body.chunks_exact_mut(S::N).enumerate() {
            // SAFETY: as many elements are behind `x` as `y` has.
            unsafe {
                let p = x.add(i * S::N);
                s.store(v.as_mut_ptr(), if f16 { s.load_f16(p) } else { s.load_bf16(p) });
            }
        }
        if !tail.is_empty() {
            let mut b = [0u16; crate::simd::MAX_LANES];
            // SAFETY: the tail's elements exist, and are fewer than the buffer holds.
            unsafe {
                std::ptr::copy_nonoverlapping(x.add(one), b.as_mut_ptr(), tail.len());
                let v = if f16 { s.load_f16(b.as_ptr()) } else { s.load_bf16(b.as_ptr()) };
                s.store_part(tail.as_mut_ptr(), v, tail.len());
            }
        }
    }
}

/// float32 to half floats.
struct Narrow<'a>(DType, &'a [f32], *mut u16);

impl Work for Narrow<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Narrow(dtype, x, y) = self;
        let f16 = dtype == DType::F16;
        let body = x.chunks_exact(S::N);
        let tail = body.remainder();
        for (i, v) in body.enumerate() {
            // SAFETY: as many elements are behind `y` as `x` has.
            unsafe {
                let (v, p) = (s.load(v.as_ptr()), y.add(i * S::N));
                if f16 { s.store_f16(p, v) } else { s.store_bf16(p, v) }
            }
        }
        if !tail.is_empty() {
            let mut b = [0u16; crate::simd::MAX_LANES];
            // SAFETY: the tail's elements exist, and are fewer than the buffer holds.
            unsafe {
                let v = s.load_part(tail.as_ptr(), tail.len(), s.splat(0.0));
                if f16 {
                    s.store_f16(b.as_mut_ptr(), v)
                } else {
                    s.store_bf16(b.as_mut_ptr(), v)
                }
                std::ptr::copy_nonoverlapping(b.as_ptr(), y.add(x.len() - tail.len()), tail.len());
            }
        }
    }
}

/// Reads `y.len()` elements of a half float dtype.
/// # Safety
/// `x` is readable for that many elements of `dtype`, which is float16 or bfloat16.
pub(crate) unsafe fn widen(level: Level, dtype: DType, x: *const u16, y: &mut [f32]) {
    level.run(Widen(dtype, x, y))
}

/// Writes `x.len()` elements of a half float dtype, rounding to nearest.
/// # Safety
/// `y` is writable for that many elements of `dtype`, which is float16 or bfloat16.
pub(crate) unsafe fn narrow(level: Level, dtype: DType, x: &[f32], y: *mut u16) {
    level.run(Narrow(dtype, x, y))
}

/// Where row `row` (counted over all axes but the last) of a strided view begins, in elements.
#[inline]
pub(crate) fn row_start(dims: &[usize], strides: &[isize], mut row: usize) -> isize {
    let mut at = 0;
    for i in (0..dims.len() - 1).rev() {
        at += (row % dims[i]) as isize * strides[i];
        row /= dims[i];
    }
    at
}

/// Copies elements `start .. start + buf.len()` of a strided view, in row-major order, into `buf`.
/// # Safety
/// All elements of the view are readable; `dims` and `strides` have the same, non-zero length; no axis is empty.
pub(crate) unsafe fn gather<T: Copy>(
    dims: &[usize],
    strides: &[isize],
    x: *const T,
    start: usize,
    buf: &mut [T],
) {
    let n = dims[dims.len() - 1];
    let step = strides[dims.len() - 1];
    let (mut row, mut col, mut at) = (start / n, start % n, 0);
    while at < buf.len() {
        let count = (n - col).min(buf.len() - at);
        let out = &mut buf[at..at + count];
        // SAFETY: these are elements of the view.
        unsafe {
            let p = x.offset(row_start(dims, strides, row) + col as isize * step);
            match step {
                0 => out.fill(*p),
                1 => out.copy_from_slice(std::slice::from_raw_parts(p, count)),
                _ => out.iter_mut().enumerate().for_each(|(j, v)| *v = *p.offset(j as isize * step)),
            }
        }
        (row, col, at) = (row + 1, 0, at + count);
    }
}

/// Reads `buf.len()` elements of an integer dtype from element `at` on.
pub(crate) fn widen_int(x: Span, at: usize, buf: &mut [i64]) {
    with_dtype!(x.dtype(), T => {
        let p = x.ptr::<T>();
        // SAFETY: the elements are inside the span; a raw pointer, since the output may be the same span.
        buf.iter_mut().enumerate().for_each(|(i, v)| *v = unsafe { *p.add(at + i) }.to_i64());
    });
}

/// Writes `buf` to an integer dtype from element `at` on, wrapping.
pub(crate) fn narrow_int(buf: &[i64], y: Span, at: usize) {
    with_dtype!(y.dtype(), T => {
        let p = y.ptr::<T>();
        // SAFETY: the elements are inside the span; a raw pointer, since an input may be the same span.
        buf.iter().enumerate().for_each(|(i, &v)| unsafe { *p.add(at + i) = T::from_i64(v) });
    });
}
