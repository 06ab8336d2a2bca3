//! Moving elements without computing: filling, conversion between dtypes, strided views in and out of contiguous memory.
//!
//! Strided copies know only the size of an element, not its dtype.

mod walk;

use super::lane::{BLOCK, CHUNK, narrow, streams, widen};
use super::par;
use crate::dtype::{DType, Elem};
use crate::shape::{Strides, row_major};
use crate::simd::{Level, Simd, Work, level};
use crate::storage::Span;

/// Elements in a parallel chunk: whole cache lines.
fn chunk(n: usize) -> usize {
    par::grouped(n, CHUNK).next_multiple_of(64)
}

/// Sets every element to `value`, converted as [`Elem::from_f64`] does.
pub fn fill(out: Span, value: f64) {
    let value = if out.dtype() == DType::Bool { f64::from(value != 0.0) } else { value };
    with_dtype!(out.dtype(), T => fill_with(out, T::from_f64(value)));
}

/// Sets every element to an integer, exactly where the dtype can hold it; others wrap or round.
pub fn fill_int(out: Span, value: i64) {
    let value = if out.dtype() == DType::Bool { i64::from(value != 0) } else { value };
    with_dtype!(out.dtype(), T => fill_with(out, T::from_i64(value)));
}

fn fill_with<T: Elem>(out: Span, value: T) {
    let (level, stream) = (level(), streams(out) && aligned(out));
    par::chunks(out.len(), chunk(out.len()), |_, r| {
        let part = out.sub(r.start, r.len());
        if stream {
            let line = [value; 64];
            // SAFETY: 64 elements of any type are at least 64 bytes; `part` belongs to this chunk and is aligned.
            let pattern = unsafe { line.as_ptr().cast::<[f32; 16]>().read_unaligned() };
            let whole = part.len() * size_of::<T>() / 64;
            level.run(Lines { from: None, pattern, to: part.bytes().cast(), lines: whole });
            let done = whole * 64 / size_of::<T>();
            // SAFETY: the rest of the chunk.
            unsafe { part.sub(done, part.len() - done).slice_mut::<T>() }.fill(value);
        } else {
            // SAFETY: the part belongs to this chunk.
            unsafe { part.slice_mut::<T>() }.fill(value);
        }
    });
}

/// Whether the span, and so each chunk of it, begins with a cache line.
fn aligned(s: Span) -> bool {
    (s.bytes() as usize).is_multiple_of(64)
}

/// Writes cache lines past the caches, all alike or copied.
struct Lines {
    from: Option<*const f32>,
    pattern: [f32; 16],
    to: *mut f32,
    lines: usize,
}

impl Work for Lines {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let per = 16 / S::N;
        // SAFETY: whoever made this has as many lines behind both pointers, and `to` aligned. Bits pass unchanged, whatever they mean.
        unsafe {
            let pattern = s.load(self.pattern.as_ptr());
            for i in 0..self.lines * per {
                let v = self.from.map_or(pattern, |p| s.load(p.add(i * S::N)));
                s.stream(self.to.add(i * S::N), v);
            }
        }
        s.fence();
    }
}

/// y = x, converted: through float64, but from integer to integer exactly; to integers cut toward zero and wrapped; to truth
/// values 1 where it is not 0. Both are contiguous,
/// have the same length and do not overlap.
pub fn cast(x: Span, y: Span) {
    assert!(x.len() == y.len());
    let level = level();
    match (x.dtype(), y.dtype()) {
        (a, b) if a == b => same(level, x, y),
        (a, DType::Bool) => with_dtype!(a, T => par::chunks(x.len(), chunk(x.len()), |_, r| {
            // SAFETY: the chunk's elements of both, which do not overlap.
            let (from, to) = unsafe { (x.sub(r.start, r.len()).slice::<T>(), y.sub(r.start, r.len()).slice_mut::<u8>()) };
            to.iter_mut().zip(from).for_each(|(t, v)| *t = u8::from(v.to_f64() != 0.0));
        })),
        (a @ (DType::F16 | DType::BF16), DType::F32) => par::chunks(x.len(), chunk(x.len()), |_, r| {
            // SAFETY: the chunk's elements of both.
            unsafe {
                widen(level, a, x.bytes().cast::<u16>().add(r.start), y.sub(r.start, r.len()).slice_mut())
            }
        }),
        (DType::F32, b @ (DType::F16 | DType::BF16)) => par::chunks(x.len(), chunk(x.len()), |_, r| {
            // SAFETY: the chunk's elements of both.
            unsafe { narrow(level, b, x.sub(r.start, r.len()).slice(), y.bytes().cast::<u16>().add(r.start)) }
        }),
        // By way of float32, which holds every half float: a quarter as many conversions to compile.
        (a @ (DType::F16 | DType::BF16), b) => par::chunks(x.len(), chunk(x.len()), |_, r| {
            let mut buf = [0f32; BLOCK];
            for at in r.clone().step_by(BLOCK) {
                let buf = &mut buf[..BLOCK.min(r.end - at)];
                // SAFETY: a block of the chunk.
                unsafe { widen(level, a, x.bytes().cast::<u16>().add(at), buf) };
                with_dtype!(b, U => {
                    // SAFETY: a block of the chunk.
                    let to = unsafe { y.sub(at, buf.len()).slice_mut::<U>() };
                    to.iter_mut().zip(&*buf).for_each(|(t, &v)| *t = convert(v));
                });
            }
        }),
        (a, b) => with_dtype!(a, T => with_dtype!(b, U => par::chunks(x.len(), chunk(x.len()), |_, r| {
            // SAFETY: the chunk's elements of both, which do not overlap.
            let (from, to) = unsafe { (x.sub(r.start, r.len()).slice::<T>(), y.sub(r.start, r.len()).slice_mut::<U>()) };
            to.iter_mut().zip(from).for_each(|(t, &v)| *t = convert(v));
        }))),
    }
}

#[inline(always)]
fn convert<T: Elem, U: Elem>(v: T) -> U {
    if T::DTYPE.is_float() || U::DTYPE.is_float() { U::from_f64(v.to_f64()) } else { U::from_i64(v.to_i64()) }
}

fn same(level: Level, x: Span, y: Span) {
    let (stream, size) = (streams(y) && aligned(y), x.dtype().size());
    par::chunks(x.len(), chunk(x.len()), |_, r| {
        let (from, to, bytes) =
            (x.sub(r.start, r.len()).bytes(), y.sub(r.start, r.len()).bytes(), r.len() * size);
        let lines = if stream { bytes / 64 } else { 0 };
        if lines > 0 {
            level.run(Lines {
                from: Some(from.cast_const().cast()),
                pattern: [0.0; 16],
                to: to.cast(),
                lines,
            });
        }
        // SAFETY: what is left of the chunk.
        unsafe { std::ptr::copy_nonoverlapping(from.add(lines * 64), to.add(lines * 64), bytes - lines * 64) }
    });
}

/// out = the view of `x` that starts at element `offset` and has sizes `dims` and strides `xs` (any: zero and negative ones too), in
/// row-major order. `out` is contiguous and does not overlap `x`; both have the same dtype.
pub fn strided(dims: &[usize], x: Span, offset: usize, xs: &[isize], out: Span) {
    assert!(
        x.dtype() == out.dtype() && dims.len() == xs.len() && out.len() == dims.iter().product::<usize>()
    );
    // SAFETY: the caller's strides stay inside `x`; those of `out` are its own.
    unsafe { walk::copy(dims, x, offset, xs, out, 0, &row_major(dims)) }
}

/// Writes contiguous `x`, of shape `dims`, to the view of `out` that starts at element `offset` and has strides `os`. No two elements of
/// the view may be the same one. The spans do not overlap and have the same dtype.
pub fn scatter(dims: &[usize], x: Span, out: Span, offset: usize, os: &[isize]) {
    assert!(x.dtype() == out.dtype() && dims.len() == os.len() && x.len() == dims.iter().product::<usize>());
    // SAFETY: the caller's strides stay inside `out`; those of `x` are its own.
    unsafe { walk::copy(dims, x, 0, &row_major(dims), out, offset, os) }
}

/// Sets the elements of the view of `out` that starts at element `offset` and has strides `os` to `value`, as [`fill`] does.
pub fn fill_strided(dims: &[usize], value: f64, out: Span, offset: usize, os: &[isize]) {
    assert!(dims.len() == os.len());
    with_dtype!(out.dtype(), T => {
        let mut one = [T::from_f64(value)];
        let still: Strides = os.iter().map(|_| 0).collect();
        // SAFETY: the caller's strides stay inside `out`; the one element lives as long as the call and is never left.
        unsafe {
            let x = Span::new(one.as_mut_ptr().cast(), 1, T::DTYPE);
            walk::copy(dims, x, 0, &still, out, offset, os)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::lane::gather;
    use crate::simd::{available, with_level};
    use half::{bf16, f16};

    fn span<T: Elem>(v: &mut [T]) -> Span {
        // SAFETY: used while the vector lives.
        unsafe { Span::new(v.as_mut_ptr().cast(), v.len(), T::DTYPE) }
    }

    #[test]
    fn fills_of_every_type() {
        for d in DType::NUMBERS {
            with_dtype!(d, T => {
                for n in [0, 1, 63, 64, 65, 40_000] {
                    let mut v = vec![T::from_i64(1); n + 1];
                    fill(span(&mut v[..n]), 3.0);
                    assert!(v[..n].iter().all(|&e| e == T::from_i64(3)) && v[n] == T::from_i64(1));
                }
            });
        }
        let mut v = [0i64; 3];
        fill_int(span(&mut v), i64::MAX - 1);
        assert_eq!(v, [i64::MAX - 1; 3]);
    }

    #[test]
    fn big_fills_and_copies_go_past_the_cache() {
        let n = (40 << 20) + 5;
        let (a, b) = (crate::storage::Storage::new(n).unwrap(), crate::storage::Storage::new(n).unwrap());
        // SAFETY: both blocks hold n bytes.
        let (a, b) = unsafe { (Span::new(a.ptr(), n, DType::U8), Span::new(b.ptr(), n, DType::U8)) };
        fill(a, 5.0);
        cast(a, b);
        // SAFETY: nobody writes any more.
        assert!(unsafe { b.slice::<u8>() }.iter().all(|&v| v == 5));
    }

    #[test]
    fn casts_of_every_pair() {
        for &l in available() {
            with_level(l, || {
                for (a, b) in DType::NUMBERS.into_iter().flat_map(|a| DType::NUMBERS.map(|b| (a, b))) {
                    with_dtype!(a, T => with_dtype!(b, U => {
                        let mut x: Vec<T> = (0..2500).map(|i| T::from_f64(i as f64 * 0.37 - 300.0)).collect();
                        let mut y = vec![U::default(); x.len()];
                        cast(span(&mut x), span(&mut y));
                        for (x, y) in x.iter().zip(&y) {
                            let exact = if a.is_float() || b.is_float() { U::from_f64(x.to_f64()) } else { U::from_i64(x.to_i64()) };
                            assert_eq!(*y, exact, "{x:?} from {a} to {b}");
                        }
                    }));
                }
            });
        }
        let mut big = [i64::MAX - 7];
        let mut out = [0u8];
        cast(span(&mut big), span(&mut out));
        assert_eq!(out, [248]);
    }

    #[test]
    fn half_floats_round_as_crate_half_does() {
        let mut x: Vec<f32> = (0..u32::MAX).step_by(65_521).map(f32::from_bits).collect();
        let (mut h, mut b) = (vec![f16::ZERO; x.len()], vec![bf16::ZERO; x.len()]);
        let mut back = vec![0f32; x.len()];
        for &l in available() {
            with_level(l, || {
                cast(span(&mut x), span(&mut h));
                cast(span(&mut x), span(&mut b));
                cast(span(&mut h), span(&mut back));
                for i in 0..x.len() {
                    let (wh, wb) = (f16::from_f32(x[i]), bf16::from_f32(x[i]));
                    assert!(h[i] == wh || h[i].is_nan() && wh.is_nan(), "{:e} to float16", x[i]);
                    assert!(b[i] == wb || b[i].is_nan() && wb.is_nan(), "{:e} to bfloat16", x[i]);
                    assert!(back[i] == wh.to_f32() || back[i].is_nan() && wh.is_nan());
                }
            });
        }
    }

    /// Gathers by `strided`, by definition, and back by `scatter`.
    fn there_and_back<T: Elem>(dims: &[usize], of: usize, offset: usize, xs: &[isize]) {
        let mut x: Vec<T> = (0..of).map(|i| T::from_i64((i % 113) as i64)).collect();
        let n: usize = dims.iter().product();
        let (mut y, mut want) = (vec![T::default(); n], vec![T::default(); n]);
        strided(dims, span(&mut x), offset, xs, span(&mut y));
        if n > 0 && !dims.is_empty() {
            // SAFETY: the tests' strides stay inside.
            unsafe { gather(dims, xs, x.as_ptr().add(offset), 0, &mut want) };
            assert!(y == want, "{} {dims:?} {xs:?}", T::DTYPE);
        }
        if !xs.contains(&0) {
            let mut z = vec![T::default(); of];
            scatter(dims, span(&mut y), span(&mut z), offset, xs);
            let mut again = vec![T::default(); n];
            strided(dims, span(&mut z), offset, xs, span(&mut again));
            assert!(again == y, "back, {} {dims:?} {xs:?}", T::DTYPE);
        }
    }

    #[test]
    fn views_of_every_kind() {
        for &l in available() {
            with_level(l, || {
                for d in [DType::F32, DType::F64, DType::F16, DType::U8] {
                    with_dtype!(d, T => {
                        let t = there_and_back::<T>;
                        for (r, c) in [(1, 1), (3, 5), (16, 16), (17, 33), (64, 64), (100, 70), (300, 257), (70, 1000)] {
                            t(&[c, r], r * c, 0, &[1, c as isize]);
                        }
                        t(&[4, 37, 41], 4 * 41 * 37, 0, &[41 * 37, 1, 37]);
                        t(&[37, 4, 41], 4 * 41 * 37, 0, &[1, 41 * 37, 37]);
                        t(&[41, 37, 4], 4 * 41 * 37, 0, &[1, 41, 41 * 37]);
                        t(&[50, 3], 3, 0, &[0, 1]);
                        t(&[3, 50], 3, 0, &[1, 0]);
                        t(&[10], 10, 9, &[-1]);
                        t(&[20, 30], 600, 599, &[-30, -1]);
                        t(&[10, 10], 400, 3, &[40, 2]);
                        t(&[100_000], 100_000, 0, &[1]);
                        t(&[2, 60_000], 130_000, 5, &[65_000, 1]);
                        t(&[0, 3], 3, 0, &[3, 1]);
                        t(&[], 1, 0, &[]);
                    });
                }
            });
        }
    }
}
