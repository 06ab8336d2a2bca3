//! Softmax and its logarithm along one axis, and their gradients.
//!
//! An array is seen as (outer, n, inner), the middle being the axis. With inner = 1 a row is walked three times while it lies in
//! the first cache: maximum, exponentials and their sum, scaling. Otherwise columns are computed side by side, a block of them at a
//! time. Half floats are widened block by block. Rows with a length see only their first elements; the rest become 0.

use super::par;
use super::real::{Real, first, load, read32, steps, store, sum, write32};
use crate::dtype::{DType, Elem};
use crate::simd::{Level, Simd, Work, level};
use crate::storage::Span;

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `e^x / Σ e^x`.
    Softmax,
    /// `x - log Σ e^x`.
    Log,
}

/// How an array is seen.
#[derive(Clone, Copy, Debug)]
pub struct Shape3 {
    /// Product of the axes before.
    pub outer: usize,
    /// Size of the axis.
    pub n: usize,
    /// Product of the axes behind.
    pub inner: usize,
}

impl Shape3 {
    /// Around axis `axis` of an array of shape `dims`.
    pub fn around(dims: &[usize], axis: usize) -> Shape3 {
        Shape3 {
            outer: dims[..axis].iter().product(),
            n: dims[axis],
            inner: dims[axis + 1..].iter().product(),
        }
    }

    fn len(self) -> usize {
        self.outer * self.n * self.inner
    }
}

/// Elements of work per parallel chunk.
const WORK: usize = 16 * 1024;
/// Columns side by side.
const COLUMNS: usize = 64;

/// y = softmax(scale x) or its logarithm. Both are contiguous and have one dtype, a floating-point one; `y` may be exactly `x`.
/// `lengths` tells for each (outer, inner) how many elements count.
pub fn softmax(kind: Kind, x: Span, y: Span, shape: Shape3, scale: f64, lengths: Option<&[i64]>) {
    assert!(x.len() == shape.len() && y.len() == x.len() && x.dtype() == y.dtype());
    assert!(lengths.is_none_or(|l| l.len() == shape.outer * shape.inner));
    if x.is_empty() {
        return;
    }
    match x.dtype() {
        DType::F64 => run::<f64>(x, y, y, shape, lengths, Forward { kind, scale }),
        _ => run::<f32>(x, y, y, shape, lengths, Forward { kind, scale: scale as f32 }),
    }
}

/// The gradient of `softmax` from the gradient `g` of its output `y`: `y (g - Σ g y)`, or of the logarithm: `g - e^y Σ g`. The scale is
/// the caller's affair. All are contiguous and have one dtype; `out` may be exactly `g`.
pub fn softmax_grad(kind: Kind, g: Span, y: Span, out: Span, shape: Shape3) {
    assert!(g.len() == shape.len() && y.len() == g.len() && out.len() == g.len());
    assert!(g.dtype() == y.dtype() && g.dtype() == out.dtype());
    if g.is_empty() {
        return;
    }
    match g.dtype() {
        DType::F64 => run::<f64>(g, y, out, shape, None, Backward { kind }),
        _ => run::<f32>(g, y, out, shape, None, Backward { kind }),
    }
}

/// Mathematics of a row and of columns. `x` and `z` are inputs (forward, `z` is not read), `y` the output.
trait Along<T: Real>: Copy + Send + Sync {
    /// # Safety
    /// All are n elements; `y` is writable.
    unsafe fn row<S: Simd>(self, s: S, x: *const T, z: *const T, y: *mut T, n: usize);
    /// The first `w` lanes of one vector of columns; rows are `step` apart.
    /// # Safety
    /// All are n rows of that many elements; `y` is writable.
    #[allow(clippy::too_many_arguments)]
    unsafe fn column<S: Simd>(
        self,
        s: S,
        x: *const T,
        z: *const T,
        y: *mut T,
        n: usize,
        step: usize,
        w: usize,
    );
}

#[derive(Clone, Copy)]
struct Forward<T> {
    kind: Kind,
    scale: T,
}

// In all that follows, pointers are to n elements (n rows of `w` elements for columns); `run` sees to it. Inputs are read before
// the output is written at the same place.

/// Lanes from `p`, scaled.
#[inline(always)]
unsafe fn scaled<T: Real, S: Simd>(s: S, p: *const T, w: usize, scale: T::V<S>) -> T::V<S> {
    // SAFETY: the caller's promise.
    unsafe { load::<T, S>(s, p, w) * scale }
}

impl<T: Real> Along<T> for Forward<T> {
    #[inline(always)]
    unsafe fn row<S: Simd>(self, s: S, x: *const T, _: *const T, y: *mut T, n: usize) {
        let scale = T::splat(s, self.scale);
        let lanes = T::count::<S>();
        // SAFETY: see above.
        unsafe {
            let mut top = T::splat(s, T::MINUS_INF);
            let mut i = 0;
            while i + lanes <= n {
                top = T::max(s, scaled::<T, S>(s, x.add(i), lanes, scale), top);
                i += lanes;
            }
            let mut max = T::MINUS_INF;
            for v in T::spill(s, top)[..lanes].iter() {
                max = if *v > max { *v } else { max };
            }
            while i < n {
                let v = *x.add(i) * self.scale;
                max = if v > max { v } else { max };
                i += 1;
            }
            let m = T::splat(s, max);
            if self.kind == Kind::Softmax {
                let total = sum!(s, T, n, |i, w| {
                    let e = T::exp(s, scaled::<T, S>(s, x.add(i), w, scale) - m);
                    store::<T, S>(s, y.add(i), e, w);
                    first::<T, S>(s, e, w)
                });
                let f = T::splat(s, T::from_f64(1.0 / total));
                steps!(T, n, |i, w| store::<T, S>(s, y.add(i), load::<T, S>(s, y.add(i), w) * f, w));
            } else {
                let total = sum!(s, T, n, |i, w| {
                    let e = T::exp(s, scaled::<T, S>(s, x.add(i), w, scale) - m);
                    first::<T, S>(s, e, w)
                });
                // The maximum is taken off first: where it is large, it would swallow the logarithm.
                let l = T::splat(s, T::from_f64(total.ln()));
                steps!(T, n, |i, w| {
                    let v = scaled::<T, S>(s, x.add(i), w, scale) - m;
                    store::<T, S>(s, y.add(i), v - l, w)
                });
            }
        }
    }

    #[inline(always)]
    unsafe fn column<S: Simd>(
        self,
        s: S,
        x: *const T,
        _: *const T,
        y: *mut T,
        n: usize,
        step: usize,
        w: usize,
    ) {
        let scale = T::splat(s, self.scale);
        // SAFETY: see above.
        unsafe {
            let mut max = scaled::<T, S>(s, x, w, scale);
            for i in 1..n {
                max = T::max(s, scaled::<T, S>(s, x.add(i * step), w, scale), max);
            }
            let mut total = T::splat(s, T::default());
            for i in 0..n {
                let e = T::exp(s, scaled::<T, S>(s, x.add(i * step), w, scale) - max);
                if self.kind == Kind::Softmax {
                    store::<T, S>(s, y.add(i * step), e, w);
                }
                total = total + e;
            }
            if self.kind == Kind::Softmax {
                let f = T::splat(s, T::from_f64(1.0)) / total;
                for i in 0..n {
                    let p = y.add(i * step);
                    store::<T, S>(s, p, load::<T, S>(s, p, w) * f, w);
                }
            } else {
                let mut logs = T::spill(s, total);
                logs.iter_mut().for_each(|v| *v = v.ln());
                let l = T::load(s, logs.as_ptr());
                for i in 0..n {
                    let v = scaled::<T, S>(s, x.add(i * step), w, scale) - max;
                    store::<T, S>(s, y.add(i * step), v - l, w);
                }
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Backward {
    kind: Kind,
}

impl Backward {
    #[inline(always)]
    fn one<T: Real, S: Simd>(self, s: S, g: T::V<S>, y: T::V<S>, total: T::V<S>) -> T::V<S> {
        match self.kind {
            Kind::Softmax => y * (g - total),
            Kind::Log => g - T::exp(s, y) * total,
        }
    }
}

impl<T: Real> Along<T> for Backward {
    #[inline(always)]
    unsafe fn row<S: Simd>(self, s: S, x: *const T, z: *const T, y: *mut T, n: usize) {
        // SAFETY: see above.
        unsafe {
            let total = sum!(s, T, n, |i, w| {
                let g = load::<T, S>(s, x.add(i), w);
                if self.kind == Kind::Log { g } else { g * load::<T, S>(s, z.add(i), w) }
            });
            let t = T::splat(s, T::from_f64(total));
            steps!(T, n, |i, w| {
                let (g, v) = (load::<T, S>(s, x.add(i), w), load::<T, S>(s, z.add(i), w));
                store::<T, S>(s, y.add(i), self.one::<T, S>(s, g, v, t), w)
            });
        }
    }

    #[inline(always)]
    unsafe fn column<S: Simd>(
        self,
        s: S,
        x: *const T,
        z: *const T,
        y: *mut T,
        n: usize,
        step: usize,
        w: usize,
    ) {
        // SAFETY: see above.
        unsafe {
            let mut t = T::splat(s, T::default());
            for i in 0..n {
                let g = load::<T, S>(s, x.add(i * step), w);
                t = match self.kind {
                    Kind::Softmax => T::fma(s, g, load::<T, S>(s, z.add(i * step), w), t),
                    Kind::Log => t + g,
                };
            }
            for i in 0..n {
                let (g, v) = (load::<T, S>(s, x.add(i * step), w), load::<T, S>(s, z.add(i * step), w));
                store::<T, S>(s, y.add(i * step), self.one::<T, S>(s, g, v, t), w);
            }
        }
    }
}

/// `cols` columns of n rows, or one row of n elements where `cols` is 0.
struct Block<A, T> {
    f: A,
    x: *const T,
    z: *const T,
    y: *mut T,
    n: usize,
    step: usize,
    cols: usize,
}

impl<T: Real, A: Along<T>> Work for Block<A, T> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Block { f, x, z, y, n, step, cols } = self;
        // SAFETY: `run` made the block inside the spans.
        unsafe {
            if cols == 0 {
                return f.row(s, x, z, y, n);
            }
            steps!(T, cols, |c, w| f.column(s, x.add(c), z.add(c), y.add(c), n, step, w));
        }
    }
}

fn run<T: Real>(x: Span, z: Span, y: Span, shape: Shape3, lengths: Option<&[i64]>, f: impl Along<T>) {
    let Shape3 { outer, n, inner } = shape;
    let level = level();
    if inner == 1 || lengths.is_some() {
        // Row by row. With lengths and inner > 1 a row is gathered; that is rare.
        let rows = outer * inner;
        return par::chunks(rows, (WORK / n).max(1), |_, r| {
            let (mut bufs, direct) = ([Vec::new(), Vec::new()], inner == 1 && x.dtype() == T::DTYPE);
            for row in r {
                let start = row / inner * n * inner + row % inner;
                let len = lengths.map_or(n, |l| usize::try_from(l[row]).unwrap_or(0).min(n));
                row_at(level, x, z, y, start, n, inner, len, direct, &mut bufs, f);
            }
        });
    }
    let blocks = inner.div_ceil(COLUMNS);
    par::chunks(outer * blocks, (WORK / (n * COLUMNS.min(inner))).max(1), |_, r| {
        let (mut bx, mut bz) = (Vec::new(), Vec::new());
        for i in r {
            let c = i % blocks * COLUMNS;
            let (start, cols) = (i / blocks * n * inner + c, COLUMNS.min(inner - c));
            if x.dtype() == T::DTYPE {
                // SAFETY: the block's elements lie inside the spans.
                let at = |s: Span| unsafe { s.ptr::<T>().add(start) };
                level.run(Block { f, x: at(x), z: at(z), y: at(y), n, step: inner, cols });
            } else {
                bx.resize(n * cols, 0f32);
                bz.resize(n * cols, 0f32);
                for k in 0..n {
                    read32(x, start + k * inner, &mut bx[k * cols..][..cols]);
                    read32(z, start + k * inner, &mut bz[k * cols..][..cols]);
                }
                let (p, q) = (bx.as_mut_ptr().cast::<T>(), bz.as_ptr().cast::<T>());
                level.run(Block { f, x: p, z: q, y: p, n, step: cols, cols });
                for k in 0..n {
                    write32(&bx[k * cols..][..cols], y, start + k * inner);
                }
            }
        }
    });
}

#[allow(clippy::too_many_arguments)]
fn row_at<T: Real>(
    level: Level,
    x: Span,
    z: Span,
    y: Span,
    start: usize,
    n: usize,
    step: usize,
    len: usize,
    direct: bool,
    bufs: &mut [Vec<T>; 2],
    f: impl Along<T>,
) {
    if direct {
        // SAFETY: the row's elements lie inside the spans; the row is this chunk's alone.
        unsafe {
            let at = |s: Span| s.ptr::<T>().add(start);
            level.run(Block { f, x: at(x), z: at(z), y: at(y), n: len, step: 1, cols: 0 });
            std::slice::from_raw_parts_mut(at(y).add(len), n - len).fill(T::default());
        }
        return;
    }
    let [bx, bz] = bufs;
    bx.resize(n, T::default());
    bz.resize(n, T::default());
    let read = |from: Span, buf: &mut [T]| {
        with_dtype!(from.dtype(), E => {
                // SAFETY: nobody writes what this chunk reads.
            let all = unsafe { from.slice::<E>() };
            buf.iter_mut().enumerate().for_each(|(k, b)| *b = T::from_f64(all[start + k * step].to_f64()));
        });
    };
    read(x, bx);
    read(z, bz);
    let p = bx.as_mut_ptr();
    level.run(Block { f, x: p, z: bz.as_ptr(), y: p, n: len, step: 1, cols: 0 });
    bx[len..].fill(T::default());
    with_dtype!(y.dtype(), E => {
        // SAFETY: these elements are this chunk's.
        unsafe { bx.iter().enumerate().for_each(|(k, b)| *y.ptr::<E>().add(start + k * step) = E::from_f64(b.to_f64())) };
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{available, with_level};
    use crate::tensor::Tensor;
    use crate::{DType, Device};

    fn reference(kind: Kind, x: &[f64], shape: Shape3, scale: f64, lengths: Option<&[i64]>) -> Vec<f64> {
        let mut y = vec![0.0; x.len()];
        for o in 0..shape.outer {
            for i in 0..shape.inner {
                let len = lengths.map_or(shape.n, |l| (l[o * shape.inner + i].max(0) as usize).min(shape.n));
                let at = |k: usize| (o * shape.n + k) * shape.inner + i;
                let max = (0..len).map(|k| x[at(k)] * scale).fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = (0..len).map(|k| (x[at(k)] * scale - max).exp()).sum();
                for k in 0..len {
                    let v = x[at(k)] * scale - max;
                    y[at(k)] = if kind == Kind::Log { v - sum.ln() } else { v.exp() / sum };
                }
            }
        }
        y
    }

    #[test]
    fn agrees_with_the_formula_in_every_shape_type_and_level() {
        for &l in available() {
            for (outer, n, inner) in
                [(1, 1, 1), (3, 5, 1), (2, 37, 1), (70, 1000, 1), (2, 3, 5), (3, 4, 70), (1, 9, 131)]
            {
                let shape = Shape3 { outer, n, inner };
                let len = outer * n * inner;
                let x: Vec<f64> =
                    (0..len).map(|i| f64::from(((i * 7919) % 1013) as i32 - 500) / 64.0).collect();
                let lens: Vec<i64> = (0..outer * inner).map(|i| (i % (n + 2)) as i64 - 1).collect();
                for kind in [Kind::Softmax, Kind::Log] {
                    for (dtype, tol) in [(DType::F32, 2e-6), (DType::F64, 1e-13), (DType::F16, 2e-3)] {
                        for lengths in [None, Some(&lens[..])] {
                            if lengths.is_some() && kind == Kind::Log {
                                continue;
                            }
                            let t = Tensor::from_slice(&x, &[len], Device::default()).unwrap();
                            let (a, y) = (
                                Tensor::empty(&[len], dtype, Device::default()).unwrap(),
                                Tensor::empty(&[len], dtype, Device::default()).unwrap(),
                            );
                            crate::kernels::copy::cast(t.span(), a.span());
                            with_level(l, || softmax(kind, a.span(), y.span(), shape, 0.5, lengths));
                            let want = reference(kind, &a.to_vec_f64(), shape, 0.5, lengths);
                            for (g, w) in y.to_vec_f64().iter().zip(&want) {
                                assert!(
                                    (g - w).abs() <= tol * (1.0 + w.abs()),
                                    "{l:?} {shape:?} {kind:?} {dtype} {g} {w}"
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}
