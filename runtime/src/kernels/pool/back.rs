//! The passes of pooling that go back from windows to elements, and the one that picks elements where others were largest.

use super::{Kind, Pool, WORK, divisors, whole, window};
use crate::kernels::par;
use crate::kernels::real::Real;
use crate::simd::{Simd, Work, level};
use crate::storage::Span;

/// Calls `f(plane)` for all planes, in parallel.
fn planes(p: &Pool, f: impl Fn(usize) + Sync) {
    let work = p.output() * p.axes.iter().map(|a| a.kernel.min(a.input)).product::<usize>();
    par::chunks(p.planes, (WORK / work.max(1)).max(1), |_, r| r.for_each(&f));
}

/// out = the sum of the windows' values (over their counts for averages) at each element.
pub(super) fn spread<T: Real>(p: &Pool, kind: Kind, g: Span, out: Span) {
    let all = [0, 1, 2].map(|i| divisors(&p.axes[i], kind));
    let level = level();
    planes(p, |plane| {
        // SAFETY: this plane's part of the output; inputs are only read.
        let (g, out) = unsafe {
            (
                g.sub(plane * p.output(), p.output()).slice::<T>(),
                out.sub(plane * p.input(), p.input()).slice_mut::<T>(),
            )
        };
        level.run(Spread { p, counts: &all, g, out });
    });
}

/// One plane of a spread: a row of windows along its own axis, then the same onto all rows that they cover.
struct Spread<'a, T> {
    p: &'a Pool,
    counts: &'a [Vec<f64>; 3],
    g: &'a [T],
    out: &'a mut [T],
}

impl<T: Real> Work for Spread<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Spread { p, counts, g, out } = self;
        let [a0, a1, a2] = p.axes;
        let (wide, narrow) = (a2.input * p.inner, a2.output * p.inner);
        let (mut row, mut values) = (vec![T::default(); wide], vec![T::default(); narrow]);
        let (first, last) = whole(&a2);
        out.fill(T::default());
        for line in 0..a0.output * a1.output {
            let (d, h) = (line / a1.output, line % a1.output);
            let outer = counts[0][d] * counts[1][h];
            let rows = g[line * narrow..][..narrow].chunks_exact(p.inner);
            for ((to, from), c) in values.chunks_exact_mut(p.inner).zip(rows).zip(&counts[2]) {
                let by = outer * c;
                let by = if by > 0.0 { T::from_f64(by) } else { T::from_f64(f64::INFINITY) };
                to.iter_mut().zip(from).for_each(|(v, &g)| *v = g / by);
            }
            row.fill(T::default());
            let add = |to: &mut [T], from: &[T]| to.iter_mut().zip(from).for_each(|(t, &v)| *t = *t + v);
            for o in (0..first).chain(last..a2.output) {
                for place in window(&a2, o) {
                    add(&mut row[place * p.inner..][..p.inner], &values[o * p.inner..][..p.inner]);
                }
            }
            if first < last {
                let start = (first * a2.stride - a2.pad) * p.inner;
                let values = &values[first * p.inner..last * p.inner];
                for k in 0..a2.kernel {
                    let to = &mut row[start + k * p.inner..];
                    match (p.inner, a2.stride) {
                        (_, 1) => add(to, values),
                        (1, s) => to.iter_mut().step_by(s).zip(values).for_each(|(t, &v)| *t = *t + v),
                        (n, s) => to
                            .chunks_mut(n * s)
                            .zip(values.chunks_exact(n))
                            .for_each(|(t, v)| add(&mut t[..n], v)),
                    }
                }
            }
            for i in window(&a0, d) {
                for j in window(&a1, h) {
                    add(&mut out[(i * a1.input + j) * wide..][..wide], &row);
                }
            }
        }
    }
}

/// Where the first largest element of a window lies, for channel `c`; `None` where it has none.
#[inline]
fn largest<T: Real>(p: &Pool, x: &[T], [d, h, w]: &[std::ops::Range<usize>; 3], c: usize) -> Option<usize> {
    let [_, a1, a2] = p.axes;
    if d.is_empty() || h.is_empty() || w.is_empty() {
        return None;
    }
    let mut at = ((d.start * a1.input + h.start) * a2.input + w.start) * p.inner + c;
    let mut best = x[at];
    for i in d.clone() {
        for j in h.clone() {
            let row = (i * a1.input + j) * a2.input;
            for k in w.clone() {
                let here = (row + k) * p.inner + c;
                let larger = x[here] > best;
                best = if larger { x[here] } else { best };
                at = if larger { here } else { at };
            }
        }
    }
    Some(at)
}

/// Where the first largest elements of the whole windows of a row lie, tap by tap for all windows at once.
struct Largest<'a, T> {
    p: &'a Pool,
    x: &'a [T],
    rows: [std::ops::Range<usize>; 2],
    best: &'a mut [T],
    at: &'a mut [u32],
}

impl<T: Real> Work for Largest<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Largest { p, x, rows: [d, h], best, at } = self;
        let [_, a1, a2] = p.axes;
        let start = whole(&a2).0 * a2.stride - a2.pad;
        let mut fresh = true;
        for i in d {
            for j in h.clone() {
                for k in 0..a2.kernel {
                    let place = (i * a1.input + j) * a2.input + start + k;
                    match a2.stride {
                        1 => step::<T, 1>(&x[place..], place, 1, fresh, best, at),
                        2 => step::<T, 2>(&x[place..], place, 2, fresh, best, at),
                        s => step::<T, 0>(&x[place..], place, s, fresh, best, at),
                    }
                    fresh = false;
                }
            }
        }
    }
}

/// One tap; `D` is the stride where it is known to the compiler.
#[inline(always)]
fn step<T: Real, const D: usize>(
    x: &[T],
    place: usize,
    stride: usize,
    fresh: bool,
    best: &mut [T],
    at: &mut [u32],
) {
    let stride = if D > 0 { D } else { stride };
    let n = best.len();
    let x = &x[..(n - 1) * stride + 1];
    let at = &mut at[..n];
    for o in 0..n {
        let v = x[o * stride];
        let larger = fresh | (v > best[o]);
        best[o] = if larger { v } else { best[o] };
        at[o] = if larger { (place + o * stride) as u32 } else { at[o] };
    }
}

/// Calls `f(o, place)` with the place in a plane where each window's first largest element is.
fn largest_of_all<T: Real>(p: &Pool, x: &[T], mut f: impl FnMut(usize, Option<usize>)) {
    let [a0, a1, a2] = p.axes;
    let (first, last) = whole(&a2);
    // One by one where channels are the neighbours, and where windows reach beyond the data.
    let (first, last) = if p.inner == 1 && x.len() < u32::MAX as usize { (first, last) } else { (0, 0) };
    let (mut best, mut at) = (vec![T::default(); last - first], vec![0u32; last - first]);
    let level = level();
    for line in 0..a0.output * a1.output {
        let rows = [window(&a0, line / a1.output), window(&a1, line % a1.output)];
        let empty = rows.iter().any(|r| r.is_empty());
        if first < last && !empty {
            level.run(Largest { p, x, rows: rows.clone(), best: &mut best, at: &mut at });
            at.iter().enumerate().for_each(|(i, &at)| f(line * a2.output + first + i, Some(at as usize)));
        }
        let [d, h] = rows;
        let done = if empty { 0..0 } else { first..last };
        for o in (0..done.start).chain(done.end..a2.output) {
            let ranges = [d.clone(), h.clone(), window(&a2, o)];
            for c in 0..p.inner {
                f((line * a2.output + o) * p.inner + c, largest(p, x, &ranges, c));
            }
        }
    }
}

/// out = for each element the sum of the values of the windows in which it is the first largest.
pub(super) fn route<T: Real>(p: &Pool, x: Span, g: Span, out: Span) {
    planes(p, |plane| {
        // SAFETY: this plane's part of the output; inputs are only read.
        let (x, g, out) = unsafe {
            (
                x.sub(plane * p.input(), p.input()).slice::<T>(),
                g.sub(plane * p.output(), p.output()).slice::<T>(),
                out.sub(plane * p.input(), p.input()).slice_mut::<T>(),
            )
        };
        out.fill(T::default());
        largest_of_all(p, x, |o, at| {
            if let Some(at) = at {
                out[at] = out[at] + g[o];
            }
        });
    });
}

/// out = for each window the value that stands where `x` has its first largest element; 0 where it has none.
pub(super) fn pick<T: Real>(p: &Pool, x: Span, v: Span, out: Span) {
    planes(p, |plane| {
        // SAFETY: this plane's part of the output; inputs are only read.
        let (x, v, out) = unsafe {
            (
                x.sub(plane * p.input(), p.input()).slice::<T>(),
                v.sub(plane * p.input(), p.input()).slice::<T>(),
                out.sub(plane * p.output(), p.output()).slice_mut::<T>(),
            )
        };
        largest_of_all(p, x, |o, at| out[o] = at.map_or(T::default(), |at| v[at]));
    });
}
