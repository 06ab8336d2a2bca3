//! The forward pass of pooling.

use super::{Axis, Kind, Pool, WORK, divisors, whole, window};
use crate::dtype::DType;
use crate::kernels::par;
use crate::kernels::real::{Real, load, steps, store};
use crate::simd::{Simd, Work, level};
use crate::storage::Span;

pub(super) fn pool<T: Real>(p: &Pool, kind: Kind, x: Span, out: Span) {
    let [a0, a1, a2] = p.axes;
    let all = [0, 1, 2].map(|i| divisors(&p.axes[i], kind));
    // Rows of the result, each one piece of work.
    let rows = p.planes * a0.output * a1.output;
    let work = (a0.kernel * a1.kernel + a2.kernel) * (a2.input + a2.output) * p.inner;
    let level = level();
    par::chunks(rows, par::grouped(rows, (WORK / work.max(1)).max(1)), |_, r| {
        let mut row = vec![T::default(); a2.input * p.inner];
        for line in r {
            let (plane, d, h) =
                (line / (a0.output * a1.output), line / a1.output % a0.output, line % a1.output);
            let wide = a2.input * p.inner;
            let sources: Vec<*const T> = window(&a0, d)
                .flat_map(|i| window(&a1, h).map(move |j| (i, j)))
                .map(|(i, j)| {
                    x.ptr::<T>().wrapping_add(plane * p.input() + (i * a1.input + j) * wide).cast_const()
                })
                .collect();
            let count = all[0][d] * all[1][h];
            let out = out.ptr::<T>().wrapping_add(line * a2.output * p.inner);
            level.run(Line { p, kind, sources: &sources, count, counts: &all[2], row: &mut row, out });
        }
    });
}

/// One row of windows.
struct Line<'a, T> {
    p: &'a Pool,
    kind: Kind,
    /// The rows of the data that the windows cover.
    sources: &'a [*const T],
    /// What is divided by, on the outer axes and along the row.
    count: f64,
    counts: &'a [f64],
    row: &'a mut [T],
    out: *mut T,
}

impl<T: Real> Work for Line<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Line { p, kind, sources, count, counts, row, out } = self;
        let (a, inner) = (&p.axes[2], p.inner);
        let nothing = nothing::<T>(kind);
        let n = a.input * inner;
        // SAFETY: rows of the data, of `row` and of the result have the sizes that the axes say.
        unsafe {
            // The rows into one.
            if sources.is_empty() {
                row[..n].fill(nothing);
            }
            for (k, &x) in sources.iter().enumerate() {
                let to = row.as_mut_ptr();
                steps!(T, n, |i, w| {
                    let v = raised::<T, S>(s, kind, load::<T, S>(s, x.add(i), w));
                    let v = if k == 0 { v } else { join::<T, S>(s, kind, v, load::<T, S>(s, to.add(i), w)) };
                    store::<T, S>(s, to.add(i), v, w)
                });
            }
            // Neighbours of the row.
            let from = row.as_ptr();
            if inner == 1 {
                let out = std::slice::from_raw_parts_mut(out, a.output);
                across(a, kind, std::slice::from_raw_parts(from, n), nothing, out);
            } else {
                for o in 0..a.output {
                    let (places, out) = (window(a, o), out.add(o * inner));
                    if places.is_empty() {
                        std::slice::from_raw_parts_mut(out, inner).fill(nothing);
                        continue;
                    }
                    steps!(T, inner, |i, w| {
                        let mut v = load::<T, S>(s, from.add(places.start * inner + i), w);
                        for place in places.start + 1..places.end {
                            v = join::<T, S>(s, kind, load::<T, S>(s, from.add(place * inner + i), w), v);
                        }
                        store::<T, S>(s, out.add(i), v, w)
                    });
                }
            }
            finish(kind, std::slice::from_raw_parts_mut(out, a.output * inner), inner, count, counts);
        }
    }
}

/// What a window without elements gives.
#[inline(always)]
fn nothing<T: Real>(kind: Kind) -> T {
    let lowest = if T::DTYPE == DType::F32 { f64::from(f32::MIN) } else { f64::MIN };
    if kind == Kind::Max { T::from_f64(lowest) } else { T::default() }
}

/// What is summed of an element.
#[inline(always)]
fn raised<T: Real, S: Simd>(_: S, kind: Kind, x: T::V<S>) -> T::V<S> {
    match kind {
        Kind::Power(2) => x * x,
        Kind::Power(3) => x * x * x,
        _ => x,
    }
}

/// The larger (the first of equals), or the sum.
#[inline(always)]
fn join<T: Real, S: Simd>(s: S, kind: Kind, x: T::V<S>, to: T::V<S>) -> T::V<S> {
    if kind == Kind::Max { T::max(s, x, to) } else { to + x }
}

/// Windows along a row whose elements are combined across the other axes already. Whole windows are combined tap by tap, so that the
/// compiler makes vectors of it.
#[inline(always)]
fn across<T: Real>(a: &Axis, kind: Kind, row: &[T], nothing: T, out: &mut [T]) {
    let (first, last) = whole(a);
    let join = |to: &mut T, x: T| {
        if kind != Kind::Max {
            *to = *to + x;
        } else if x > *to {
            *to = x;
        }
    };
    for o in (0..first).chain(last..a.output) {
        let places = window(a, o);
        out[o] = if places.is_empty() { nothing } else { row[places.start] };
        places.skip(1).for_each(|i| join(&mut out[o], row[i]));
    }
    let out = &mut out[first..last];
    if out.is_empty() {
        return;
    }
    let start = first * a.stride - a.pad;
    for k in 0..a.kernel {
        let from = &row[start + k..];
        match (k, a.stride) {
            (0, _) => out.iter_mut().zip(from.iter().step_by(a.stride)).for_each(|(o, &x)| *o = x),
            (_, 1) => out.iter_mut().zip(from).for_each(|(o, &x)| join(o, x)),
            (_, 2) => {
                let pairs = from.chunks_exact(2);
                let rest = pairs.remainder().first();
                let firsts = pairs.map(|p| &p[0]).chain(rest);
                out.iter_mut().zip(firsts).for_each(|(o, &x)| join(o, x));
            }
            _ => out.iter_mut().zip(from.iter().step_by(a.stride)).for_each(|(o, &x)| join(o, x)),
        }
    }
}

/// Divides and takes roots.
#[inline(always)]
fn finish<T: Real>(kind: Kind, out: &mut [T], inner: usize, count: f64, counts: &[f64]) {
    match kind {
        Kind::Average { .. } => {
            for (row, &c) in out.chunks_exact_mut(inner).zip(counts) {
                let by = count * c;
                row.iter_mut().for_each(|v| *v = if by > 0.0 { *v / T::from_f64(by) } else { T::default() });
            }
        }
        Kind::Power(2) => out.iter_mut().for_each(|v| *v = T::from_f64(v.to_f64().sqrt())),
        Kind::Power(3) => out.iter_mut().for_each(|v| *v = T::from_f64(v.to_f64().cbrt())),
        Kind::Max | Kind::Sum | Kind::Power(_) => {}
    }
}
