//! One output element from two input elements, with broadcasting as strides.
//!
//! Where the inner axis is walked evenly (stride 1) or not at all (stride 0), lanes come straight from memory; anything else,
//! and the half floats, goes through blocks on the stack. The output is contiguous and may be exactly one of the inputs where that
//! one is walked contiguously.

use super::lane::{
    BLOCK, Lane, fence, gather, head, narrow, narrow_int, row_start, spread, streams, widen, widen_int,
};
use super::noted::{self, Room, note};
use crate::dtype::{DType, Elem};
use crate::simd::{Level, Simd, Work, level};
use crate::storage::Span;
use std::ops::Range;

/// A function of two elements. `lanes` may not depend on the place of a lane.
pub trait Zip: Copy + Send + Sync + 'static {
    /// On float32 lanes, which also compute float16 and bfloat16. One scalar call per lane unless said otherwise.
    #[inline(always)]
    fn lanes<S: Simd>(self, s: S, x: S::F32, y: S::F32) -> S::F32 {
        s.each2(x, y, |a, b| self.f64(a as f64, b as f64) as f32)
    }

    /// On float64 lanes. One scalar call per lane unless said otherwise.
    #[inline(always)]
    fn lanes64<S: Simd>(self, s: S, x: S::F64, y: S::F64) -> S::F64 {
        s.each2_64(x, y, |a, b| self.f64(a, b))
    }

    /// The reference, in float64.
    fn f64(self, x: f64, y: f64) -> f64;

    /// On integers of any width; the result wraps to their type. None where it is computed in float64 and cut toward zero.
    #[inline]
    fn int(self, _: i64, _: i64) -> Option<i64> {
        None
    }
}

/// How a kernel is applied to the lanes of a type.
trait Apply: Lane {
    fn apply<K: Zip, S: Simd>(k: K, s: S, x: Self::V<S>, y: Self::V<S>) -> Self::V<S>;
}

impl Apply for f32 {
    #[inline(always)]
    fn apply<K: Zip, S: Simd>(k: K, s: S, x: S::F32, y: S::F32) -> S::F32 {
        k.lanes(s, x, y)
    }
}

impl Apply for f64 {
    #[inline(always)]
    fn apply<K: Zip, S: Simd>(k: K, s: S, x: S::F64, y: S::F64) -> S::F64 {
        k.lanes64(s, x, y)
    }
}

/// `rows` rows of `n` elements. Rows of the inputs are `xr` and `yr` elements apart; along a row `x` and `y` are walked or, where
/// `fixed` names them, stay.
struct Rows<K, T> {
    k: K,
    x: *const T,
    y: *const T,
    out: *mut T,
    rows: usize,
    n: usize,
    xr: isize,
    yr: isize,
    fixed: Fixed,
    stream: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Fixed {
    None,
    X,
    Y,
}

impl<K: Zip, T: Apply> Work for Rows<K, T> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match self.fixed {
            Fixed::None => self.rows::<S, false, false>(s),
            Fixed::X => self.rows::<S, true, false>(s),
            Fixed::Y => self.rows::<S, false, true>(s),
        }
    }
}

/// One row as a step of [`noted::Loop`].
/// # Safety
/// As [`noted::Loop::run`] says; the room holds a `K`.
unsafe fn step<K: Zip, T: Apply>(
    room: &Room,
    level: Level,
    [x, y]: [*const u8; 2],
    out: *mut u8,
    n: usize,
    stream: bool,
) {
    // SAFETY: the caller's promise.
    let k: K = unsafe { noted::kernel(room) };
    let (x, y, out) = (x.cast::<T>(), y.cast::<T>(), out.cast::<T>());
    level.run(Rows { k, x, y, out, rows: 1, n, xr: 0, yr: 0, fixed: Fixed::None, stream });
}

impl<K: Zip, T: Apply> Rows<K, T> {
    #[inline(always)]
    fn rows<S: Simd, const X: bool, const Y: bool>(&self, s: S) {
        let (k, n, lanes) = (self.k, self.n, T::count::<S>());
        let (mut x, mut y, mut out) = (self.x, self.y, self.out);
        for row in 0..self.rows {
            let (mut i, mut part) = (0, head::<T>(out, lanes, n, self.stream));
            // SAFETY: the caller's strides stay inside the spans; where `stream` is set, `head` elements lead to an aligned one. Each vector
            // is read before it is written, so an input may be the output.
            unsafe {
                let (x0, y0) = (T::splat(s, *x), T::splat(s, *y));
                loop {
                    if part > 0 {
                        let a = if X { x0 } else { T::load_part(s, x.add(i), part, T::default()) };
                        let b = if Y { y0 } else { T::load_part(s, y.add(i), part, T::default()) };
                        T::store_part(s, out.add(i), T::apply(k, s, a, b), part);
                        i += part;
                    }
                    while i + lanes <= n {
                        let a = if X { x0 } else { T::load(s, x.add(i)) };
                        let b = if Y { y0 } else { T::load(s, y.add(i)) };
                        T::store(s, out.add(i), T::apply(k, s, a, b), self.stream);
                        i += lanes;
                    }
                    part = n - i;
                    if part == 0 {
                        break;
                    }
                }
                if row + 1 < self.rows {
                    (x, y, out) = (x.offset(self.xr), y.offset(self.yr), out.add(n));
                }
            }
        }
    }
}

/// A strided operand.
#[derive(Clone, Copy)]
struct Walk<'a> {
    span: Span,
    strides: &'a [isize],
}

impl Walk<'_> {
    #[inline]
    fn inner(self) -> isize {
        self.strides[self.strides.len() - 1]
    }

    /// Whether the walk is the memory in order.
    fn contiguous(self, dims: &[usize]) -> bool {
        let mut step = 1;
        dims.iter().zip(self.strides).rev().all(|(&d, &s)| {
            let ok = d == 1 || s == step;
            step *= d as isize;
            ok
        })
    }
}

/// out = k(x, y). `dims` with the strides of both inputs, in elements, come from `shape::broadcast::collapse`; all three spans have
/// the same dtype. `out` is contiguous and may be exactly an input that is walked contiguously.
#[inline]
pub fn zip<K: Zip>(k: K, dims: &[usize], x: Span, xs: &[isize], y: Span, ys: &[isize], out: Span) {
    assert!(
        x.dtype() == out.dtype()
            && y.dtype() == out.dtype()
            && dims.len() == xs.len()
            && xs.len() == ys.len()
    );
    if out.is_empty() {
        return;
    }
    let (level, x, y) = (level(), Walk { span: x, strides: xs }, Walk { span: y, strides: ys });
    match out.dtype() {
        DType::F32 => floats::<K, f32>(k, level, dims, x, y, out),
        DType::F64 => floats::<K, f64>(k, level, dims, x, y, out),
        DType::F16 | DType::BF16 => halves(k, level, dims, x, y, out),
        DType::U8 | DType::I8 | DType::I32 | DType::I64 | DType::Bool => ints(k, dims, x, y, out),
    }
}

/// Cuts a range of the flat output into runs of whole rows with even row strides, and parts of rows:
/// `f(row, column, rows, columns)`.
#[inline]
fn runs(dims: &[usize], r: Range<usize>, mut f: impl FnMut(usize, usize, usize, usize)) {
    let n = dims[dims.len() - 1];
    let even = if dims.len() > 1 { dims[dims.len() - 2] } else { 1 };
    let mut i = r.start;
    while i < r.end {
        let (row, col) = (i / n, i % n);
        let left = r.end - i;
        let (rows, cols) = if col == 0 && left >= n {
            ((left / n).min(even - row % even), n)
        } else {
            (1, left.min(n - col))
        };
        f(row, col, rows, cols);
        i += rows * cols;
    }
}

#[inline]
fn floats<K: Zip, T: Apply>(k: K, level: Level, dims: &[usize], x: Walk, y: Walk, out: Span) {
    let fixed = match (x.inner(), y.inner()) {
        (1, 1) if dims.len() == 1 && note(k, step::<K, T>, [x.span, y.span], out) => return,
        (1, 1) => Fixed::None,
        (0, 1) => Fixed::X,
        (1, 0) => Fixed::Y,
        _ => return blocks::<K, T>(k, level, dims, x, y, out),
    };
    let n = dims[dims.len() - 1];
    // Rows far shorter than a vector waste most of each: gathering is faster.
    if n <= 8 && dims.len() > 1 {
        return blocks::<K, T>(k, level, dims, x, y, out);
    }
    let in_place = x.span.bytes() == out.bytes() || y.span.bytes() == out.bytes();
    let stream = (dims.len() == 1 || n.is_multiple_of(16)) && !in_place && streams(out);
    let (xr, yr) =
        if dims.len() > 1 { (x.strides[dims.len() - 2], y.strides[dims.len() - 2]) } else { (0, 0) };
    spread(out.len(), |r| {
        runs(dims, r, |row, col, rows, cols| {
            let at = |w: Walk| row_start(dims, w.strides, row) + col as isize * w.inner();
            // SAFETY: offsets of elements that the strides reach.
            let (x, y, out) = unsafe {
                let out = out.ptr::<T>().add(row * n + col);
                (x.span.ptr::<T>().offset(at(x)), y.span.ptr::<T>().offset(at(y)), out)
            };
            level.run(Rows {
                k,
                x: x.cast_const(),
                y: y.cast_const(),
                out,
                rows,
                n: cols,
                xr,
                yr,
                fixed,
                stream,
            });
        });
        if stream {
            fence(level);
        }
    });
}

/// Elements `at ..` of a walk in order: where they lie if they are contiguous, else gathered into `buf`.
fn block<T: Copy>(dims: &[usize], w: Walk, contiguous: bool, at: usize, buf: &mut [T]) -> *const T {
    let p = w.span.bytes().cast::<T>();
    if contiguous {
        // SAFETY: `at` is an element of the span.
        return unsafe { p.add(at) };
    }
    // SAFETY: the caller of `zip` promises that the strides stay inside the span.
    unsafe { gather(dims, w.strides, p, at, buf) };
    buf.as_ptr()
}

/// Any strides.
fn blocks<K: Zip, T: Apply>(k: K, level: Level, dims: &[usize], x: Walk, y: Walk, out: Span) {
    let (xc, yc) = (x.contiguous(dims), y.contiguous(dims));
    spread(out.len(), |r| {
        let mut bufs = [[T::default(); BLOCK]; 2];
        let [bx, by] = &mut bufs;
        for at in r.clone().step_by(BLOCK) {
            let n = BLOCK.min(r.end - at);
            let (x, y) = (block(dims, x, xc, at, &mut bx[..n]), block(dims, y, yc, at, &mut by[..n]));
            // SAFETY: n elements from `at` are inside the output.
            let out = unsafe { out.ptr::<T>().add(at) };
            level.run(Rows { k, x, y, out, rows: 1, n, xr: 0, yr: 0, fixed: Fixed::None, stream: false });
        }
    });
}

/// float16 and bfloat16: gathered, widened, computed, rounded.
fn halves<K: Zip>(k: K, level: Level, dims: &[usize], x: Walk, y: Walk, out: Span) {
    let (xc, yc) = (x.contiguous(dims), y.contiguous(dims));
    let dtype = out.dtype();
    spread(out.len(), |r| {
        let mut raw = [0u16; BLOCK];
        let mut bufs = [[0f32; BLOCK]; 2];
        let [bx, by] = &mut bufs;
        for at in r.clone().step_by(BLOCK) {
            let n = BLOCK.min(r.end - at);
            // SAFETY: n elements from `at` are inside the output and, walked, inside the inputs.
            unsafe {
                widen(level, dtype, block(dims, x, xc, at, &mut raw[..n]), &mut bx[..n]);
                widen(level, dtype, block(dims, y, yc, at, &mut raw[..n]), &mut by[..n]);
                let (x, y, z) = (bx.as_ptr(), by.as_ptr(), bx.as_mut_ptr());
                level.run(Rows {
                    k,
                    x,
                    y,
                    out: z,
                    rows: 1,
                    n,
                    xr: 0,
                    yr: 0,
                    fixed: Fixed::None,
                    stream: false,
                });
                narrow(level, dtype, &bx[..n], out.bytes().cast::<u16>().add(at));
            }
        }
    });
}

/// Integers of any width, by blocks of int64: one loop to compile for each kernel instead of four.
fn ints<K: Zip>(k: K, dims: &[usize], x: Walk, y: Walk, out: Span) {
    let (xc, yc) = (x.contiguous(dims), y.contiguous(dims));
    let wide = out.dtype() == DType::I64;
    let cut = |v: f64| if wide { i64::from_f64(v) } else { i32::from_f64(v).into() };
    spread(out.len(), |r| {
        let mut bufs = [[0i64; BLOCK]; 2];
        let [bx, by] = &mut bufs;
        for at in r.clone().step_by(BLOCK) {
            let n = BLOCK.min(r.end - at);
            let (bx, by) = (&mut bx[..n], &mut by[..n]);
            block_int(dims, x, xc, at, bx);
            block_int(dims, y, yc, at, by);
            bx.iter_mut()
                .zip(&*by)
                .for_each(|(a, &b)| *a = k.int(*a, b).unwrap_or_else(|| cut(k.f64(*a as f64, b as f64))));
            narrow_int(bx, out, at);
        }
    });
}

/// Elements `at ..` of a walk over integers, in order.
fn block_int(dims: &[usize], w: Walk, contiguous: bool, at: usize, buf: &mut [i64]) {
    if contiguous {
        return widen_int(w.span, at, buf);
    }
    with_dtype!(w.span.dtype(), T => {
        let mut raw = [T::default(); BLOCK];
        let raw = &mut raw[..buf.len()];
        // SAFETY: the caller of `zip` promises that the strides stay inside the span.
        unsafe { gather(dims, w.strides, w.span.ptr::<T>().cast_const(), at, raw) };
        buf.iter_mut().zip(&*raw).for_each(|(v, &e)| *v = e.to_i64());
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::broadcast::{broadcast, broadcast_strides, collapse};
    use crate::simd::{available, with_level};
    use half::{bf16, f16};

    /// x - 2y: neither symmetric nor inexact for small integers.
    #[derive(Clone, Copy)]
    struct Odd;
    impl Zip for Odd {
        #[inline(always)]
        fn lanes<S: Simd>(self, s: S, x: S::F32, y: S::F32) -> S::F32 {
            s.fma(y, s.splat(-2.0), x)
        }
        fn f64(self, x: f64, y: f64) -> f64 {
            x - 2.0 * y
        }
        fn int(self, x: i64, y: i64) -> Option<i64> {
            Some(x - 2 * y)
        }
    }

    fn span<T: Elem>(v: &mut [T]) -> Span {
        // SAFETY: used while the vector lives.
        unsafe { Span::new(v.as_mut_ptr().cast(), v.len(), T::DTYPE) }
    }

    fn odd<T: Elem>(a: &[usize], b: &[usize]) {
        let to = broadcast(a, b).unwrap();
        let n: usize = to.iter().product();
        let fill = |d: &[usize], k: i64| {
            (0..d.iter().product::<usize>() as i64).map(|i| T::from_i64(i * k % 13)).collect::<Vec<T>>()
        };
        let (mut x, mut y, mut z) = (fill(a, 3), fill(b, 5), vec![T::default(); n]);
        let (sa, sb) = (broadcast_strides(a, &to), broadcast_strides(b, &to));
        let (dims, [xs, ys]) = collapse(&to, [&sa, &sb]);
        zip(Odd, &dims, span(&mut x), &xs, span(&mut y), &ys, span(&mut z));
        let mut ix = vec![T::default(); n];
        let mut iy = vec![T::default(); n];
        if n > 0 {
            // SAFETY: the strides were made for these.
            unsafe {
                gather(&to, &sa, x.as_ptr(), 0, &mut ix);
                gather(&to, &sb, y.as_ptr(), 0, &mut iy);
            }
        }
        for i in 0..n {
            let want = T::from_i64(ix[i].to_i64() - 2 * iy[i].to_i64());
            assert_eq!(z[i], want, "{} {a:?} {b:?} at {i}", T::DTYPE);
        }
        if a == to.as_slice() {
            let s = span(&mut x);
            zip(Odd, &dims, s, &xs, span(&mut y), &ys, s);
            assert!(x == z, "in place, {} {a:?} {b:?}", T::DTYPE);
        }
    }

    #[test]
    fn all_shapes_types_and_levels() {
        let shapes: &[(&[usize], &[usize])] = &[
            (&[40_000], &[40_000]),
            (&[70_001], &[1]),
            (&[1], &[70_001]),
            (&[300, 257], &[257]),
            (&[300, 257], &[300, 1]),
            (&[257], &[300, 257]),
            (&[300, 1], &[300, 257]),
            (&[20_000, 3], &[3]),
            (&[20_000, 3], &[20_000, 1]),
            (&[300, 1], &[1, 257]),
            (&[2, 3, 4, 5], &[3, 1, 5]),
            (&[2, 1, 17, 1], &[3, 1, 33]),
            (&[0, 3], &[3]),
            (&[1], &[1]),
        ];
        for &l in available() {
            with_level(l, || {
                for (a, b) in shapes {
                    odd::<f32>(a, b);
                    odd::<f64>(a, b);
                    odd::<f16>(a, b);
                    odd::<bf16>(a, b);
                    odd::<u8>(a, b);
                    odd::<i8>(a, b);
                    odd::<i32>(a, b);
                    odd::<i64>(a, b);
                }
                for n in 0..70 {
                    odd::<f32>(&[n], &[n]);
                    odd::<f64>(&[3, n], &[n]);
                    odd::<f32>(&[3, n], &[3, 1]);
                }
            });
        }
    }

    #[test]
    fn odd_strides() {
        // The transpose of x, and every third element of y from the back.
        let mut x: Vec<f32> = (0..12).map(|i| i as f32).collect();
        let mut y: Vec<f32> = (0..36).map(|i| i as f32).collect();
        let mut z = vec![0f32; 12];
        let back = span(&mut y).sub(33, 3);
        zip(Odd, &[3, 4], span(&mut x), &[1, 3], back, &[-12, -3], span(&mut z));
        let want: Vec<f32> = (0..3)
            .flat_map(|i| (0..4).map(move |j| (j * 3 + i) as f32 - 2.0 * (33 - 12 * i - 3 * j) as f32))
            .collect();
        assert_eq!(z, want);
    }
}
