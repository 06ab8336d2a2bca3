//! One output element from one input element.
//!
//! A [`Map`] says what happens to a vector, to a float64 and to an integer; [`map`] does the rest. It works on contiguous
//! elements only and may run in place.

use super::lane::{BLOCK, Lane, fence, head, narrow, narrow_int, spread, streams, widen, widen_int};
use super::noted::{self, Room, note};
use crate::dtype::{DType, Elem};
use crate::simd::{Level, Simd, Work, level};
use crate::storage::Span;

/// A function of one element. `lanes` may not depend on the place of a lane.
pub trait Map: Copy + Send + Sync + 'static {
    /// On float32 lanes, which also compute float16 and bfloat16. One scalar call per lane unless said otherwise.
    #[inline(always)]
    fn lanes<S: Simd>(self, s: S, x: S::F32) -> S::F32 {
        s.each(x, |v| self.f64(v as f64) as f32)
    }

    /// On float64 lanes. One scalar call per lane unless said otherwise.
    #[inline(always)]
    fn lanes64<S: Simd>(self, s: S, x: S::F64) -> S::F64 {
        s.each64(x, |v| self.f64(v))
    }

    /// The reference, in float64.
    fn f64(self, x: f64) -> f64;

    /// On integers of any width, which then wrap to their type. `None` sends them through float64.
    #[inline(always)]
    fn int(self, _: i64) -> Option<i64> {
        None
    }
}

/// How a kernel is applied to the lanes of a type.
trait Apply: Lane {
    fn apply<K: Map, S: Simd>(k: K, s: S, x: Self::V<S>) -> Self::V<S>;
}

impl Apply for f32 {
    #[inline(always)]
    fn apply<K: Map, S: Simd>(k: K, s: S, x: S::F32) -> S::F32 {
        k.lanes(s, x)
    }
}

impl Apply for f64 {
    #[inline(always)]
    fn apply<K: Map, S: Simd>(k: K, s: S, x: S::F64) -> S::F64 {
        k.lanes64(s, x)
    }
}

struct Chunk<K, T> {
    k: K,
    x: *const T,
    y: *mut T,
    n: usize,
    stream: bool,
}

impl<K: Map, T: Apply> Work for Chunk<K, T> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Chunk { k, x, y, n, stream } = self;
        let lanes = T::count::<S>();
        let (mut i, mut part) = (0, head::<T>(y, lanes, n, stream));
        // SAFETY: `map` checked that both spans hold n elements; where `stream` is set, `head` elements lead to an aligned one. Each
        // vector is read before it is written, so `x` may be `y`.
        unsafe {
            loop {
                if part > 0 {
                    let v = T::apply(k, s, T::load_part(s, x.add(i), part, T::default()));
                    T::store_part(s, y.add(i), v, part);
                    i += part;
                }
                while i + lanes <= n {
                    T::store(s, y.add(i), T::apply(k, s, T::load(s, x.add(i))), stream);
                    i += lanes;
                }
                part = n - i;
                if part == 0 {
                    break;
                }
            }
        }
    }
}

/// The same as a step of [`noted::Loop`].
/// # Safety
/// As [`noted::Loop::run`] says; the room holds a `K`.
unsafe fn step<K: Map, T: Apply>(
    room: &Room,
    level: Level,
    [x, _]: [*const u8; 2],
    y: *mut u8,
    n: usize,
    stream: bool,
) {
    // SAFETY: the caller's promise.
    let k: K = unsafe { noted::kernel(room) };
    level.run(Chunk { k, x: x.cast::<T>(), y: y.cast::<T>(), n, stream });
}

/// y = k(x). Both are contiguous and have the same length and dtype; `y` may be exactly `x`.
pub fn map<K: Map>(k: K, x: Span, y: Span) {
    assert!(x.len() == y.len() && x.dtype() == y.dtype());
    let level = level();
    match x.dtype() {
        DType::F32 => floats::<K, f32>(k, level, x, y),
        DType::F64 => floats::<K, f64>(k, level, x, y),
        DType::F16 | DType::BF16 => spread(x.len(), |r| {
            let mut buf = [0f32; BLOCK];
            for at in r.clone().step_by(BLOCK) {
                let n = BLOCK.min(r.end - at);
                let (dtype, buf) = (x.dtype(), &mut buf[..n]);
                // SAFETY: n elements from `at` are inside both spans, and inside the buffer.
                unsafe {
                    widen(level, dtype, x.bytes().cast::<u16>().add(at), buf);
                    level.run(Chunk { k, x: buf.as_ptr(), y: buf.as_mut_ptr(), n, stream: false });
                    narrow(level, dtype, buf, y.bytes().cast::<u16>().add(at));
                }
            }
        }),
        DType::U8 | DType::I8 | DType::I32 | DType::I64 | DType::Bool => ints(k, x, y),
    }
}

#[inline]
fn floats<K: Map, T: Apply>(k: K, level: Level, x: Span, y: Span) {
    if note(k, step::<K, T>, [x, x], y) {
        return;
    }
    let stream = streams(y) && x.bytes() != y.bytes();
    spread(x.len(), |r| {
        let (x, y) = (x.sub(r.start, r.len()), y.sub(r.start, r.len()));
        level.run(Chunk { k, x: x.ptr::<T>().cast_const(), y: y.ptr::<T>(), n: r.len(), stream });
        if stream {
            fence(level);
        }
    });
}

/// Integers of any width, by blocks of int64: one loop to compile for each kernel instead of four.
fn ints<K: Map>(k: K, x: Span, y: Span) {
    let wide = y.dtype() == DType::I64;
    let cut = |v: f64| if wide { i64::from_f64(v) } else { i32::from_f64(v).into() };
    spread(x.len(), |r| {
        let mut buf = [0i64; BLOCK];
        for at in r.clone().step_by(BLOCK) {
            let buf = &mut buf[..BLOCK.min(r.end - at)];
            widen_int(x, at, buf);
            buf.iter_mut().for_each(|v| *v = k.int(*v).unwrap_or_else(|| cut(k.f64(*v as f64))));
            narrow_int(buf, y, at);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::lane::CHUNK;
    use crate::simd::{available, math, with_level};
    use half::{bf16, f16};

    /// 2x + 1: every step exact for small integers.
    #[derive(Clone, Copy)]
    struct Affine;
    impl Map for Affine {
        #[inline(always)]
        fn lanes<S: Simd>(self, s: S, x: S::F32) -> S::F32 {
            s.fma(x, s.splat(2.0), s.splat(1.0))
        }
        fn f64(self, x: f64) -> f64 {
            2.0 * x + 1.0
        }
    }

    #[derive(Clone, Copy)]
    struct Exp;
    impl Map for Exp {
        #[inline(always)]
        fn lanes<S: Simd>(self, s: S, x: S::F32) -> S::F32 {
            math::exp(s, x)
        }
        fn f64(self, x: f64) -> f64 {
            x.exp()
        }
    }

    fn span<T: Elem>(v: &mut [T]) -> Span {
        // SAFETY: used while the vector lives.
        unsafe { Span::new(v.as_mut_ptr().cast(), v.len(), T::DTYPE) }
    }

    fn affine<T: Elem>(n: usize, offset: usize) {
        let mut x: Vec<T> = (0..n + offset + 1).map(|i| T::from_i64(i as i64 % 50 - 20)).collect();
        let mut y = vec![T::from_i64(7); n + offset + 1];
        map(Affine, span(&mut x[offset..offset + n]), span(&mut y[offset..offset + n]));
        for i in 0..n {
            let want = T::from_i64(2 * x[offset + i].to_i64() + 1);
            assert_eq!(y[offset + i], want, "{} {n} {i}", T::DTYPE);
        }
        assert_eq!(y[offset + n], T::from_i64(7), "nothing behind the end is touched");
        // In place.
        let s = span(&mut x[offset..offset + n]);
        map(Affine, s, s);
        assert!(x[offset..offset + n] == y[offset..offset + n]);
    }

    #[test]
    fn all_lengths_types_and_levels() {
        for &l in available() {
            with_level(l, || {
                for n in (0..70).chain([1023, 1025, 3 * CHUNK + 5]) {
                    for offset in [0, 1] {
                        affine::<f32>(n, offset);
                        affine::<f64>(n, offset);
                        affine::<f16>(n, offset);
                        affine::<bf16>(n, offset);
                        affine::<u8>(n, offset);
                        affine::<i8>(n, offset);
                        affine::<i32>(n, offset);
                        affine::<i64>(n, offset);
                    }
                }
            });
        }
    }

    #[test]
    fn an_element_does_not_depend_on_its_place() {
        for &l in available() {
            with_level(l, || {
                for n in 1..70 {
                    let mut x = vec![0.731f32; n];
                    let mut y = vec![0f32; n];
                    map(Exp, span(&mut x), span(&mut y));
                    assert!(y.iter().all(|v| v.to_bits() == y[0].to_bits()));
                }
            });
        }
    }

    #[test]
    fn streamed_outputs_equal_cached_ones() {
        let n = (80 << 20) / 4 + 3;
        let x = crate::storage::Storage::new(n * 4).unwrap();
        let y = crate::storage::Storage::new(n * 4).unwrap();
        // SAFETY: both blocks hold n floats.
        let (xs, ys) = unsafe { (Span::new(x.ptr(), n, DType::F32), Span::new(y.ptr(), n, DType::F32)) };
        // SAFETY: nobody else uses the block.
        unsafe { xs.slice_mut::<f32>() }.iter_mut().enumerate().for_each(|(i, v)| *v = (i % 1000) as f32);
        assert!(streams(ys) || !past_cache_at(n * 4));
        map(Affine, xs, ys);
        assert!(
            // SAFETY: the span is of float32 and nobody writes it now.
            unsafe { ys.slice::<f32>() }.iter().enumerate().all(|(i, v)| *v == 2.0 * (i % 1000) as f32 + 1.0)
        );
    }

    fn past_cache_at(bytes: usize) -> bool {
        crate::kernels::lane::past_cache(bytes)
    }
}
