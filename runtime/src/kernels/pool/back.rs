//! The passes of pooling that go back from windows to elements, and the one that picks elements where others were largest.

use super::{Kind, Pool, WORK, divisors, window};
use crate::kernels::par;
use crate::kernels::real::Real;
use crate::storage::Span;

/// Calls `f(plane)` for all planes, in parallel.
fn planes(p: &Pool, f: impl Fn(usize) + Sync) {
    let work = p.output() * p.axes.iter().map(|a| a.kernel.min(a.input)).product::<usize>();
    par::chunks(p.planes, (WORK / work.max(1)).max(1), |_, r| r.for_each(&f));
}

/// Calls `f(o, elements)` for each window of a plane: its place in the result and the ranges that it covers.
fn windows(p: &Pool, mut f: impl FnMut(usize, [std::ops::Range<usize>; 3])) {
    let [a0, a1, a2] = p.axes;
    let mut o = 0;
    for d in 0..a0.output {
        let d = window(&a0, d);
        for h in 0..a1.output {
            let h = window(&a1, h);
            for w in 0..a2.output {
                f(o, [d.clone(), h.clone(), window(&a2, w)]);
                o += 1;
            }
        }
    }
}

/// out = the sum of the windows' values (over their counts for averages) at each element.
pub(super) fn spread<T: Real>(p: &Pool, kind: Kind, g: Span, out: Span) {
    let [_, a1, a2] = p.axes;
    let all = [0, 1, 2].map(|i| divisors(&p.axes[i], kind));
    planes(p, |plane| {
        // SAFETY: this plane's part of the output; inputs are only read.
        let (g, out) = unsafe {
            (
                g.sub(plane * p.output(), p.output()).slice::<T>(),
                out.sub(plane * p.input(), p.input()).slice_mut::<T>(),
            )
        };
        out.fill(T::default());
        let mut row = vec![T::default(); a2.input * p.inner];
        let wide = a2.input * p.inner;
        for line in 0..p.axes[0].output * a1.output {
            // A row of windows along its own axis, then the same onto all rows that it covers.
            let (d, h) = (line / a1.output, line % a1.output);
            let outer = all[0][d] * all[1][h];
            let g = &g[line * a2.output * p.inner..][..a2.output * p.inner];
            row.fill(T::default());
            for (o, (g, c)) in g.chunks_exact(p.inner).zip(&all[2]).enumerate() {
                let by = outer * c;
                if by <= 0.0 {
                    continue;
                }
                let by = T::from_f64(by);
                for place in window(&a2, o) {
                    let to = &mut row[place * p.inner..][..p.inner];
                    to.iter_mut().zip(g).for_each(|(t, &g)| *t = *t + g / by);
                }
            }
            for i in window(&p.axes[0], d) {
                for j in window(&a1, h) {
                    let to = &mut out[(i * a1.input + j) * wide..][..wide];
                    to.iter_mut().zip(&row).for_each(|(t, &r)| *t = *t + r);
                }
            }
        }
    });
}

/// Where the first largest element of a window lies, for channel `c`; `None` where it has none.
#[inline]
fn largest<T: Real>(p: &Pool, x: &[T], [d, h, w]: &[std::ops::Range<usize>; 3], c: usize) -> Option<usize> {
    let [_, a1, a2] = p.axes;
    let mut best: Option<(usize, T)> = None;
    for i in d.clone() {
        for j in h.clone() {
            let row = (i * a1.input + j) * a2.input;
            for k in w.clone() {
                let at = (row + k) * p.inner + c;
                let v = x[at];
                if best.is_none_or(|(_, b)| v > b) {
                    best = Some((at, v));
                }
            }
        }
    }
    best.map(|(at, _)| at)
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
        windows(p, |o, ranges| {
            for c in 0..p.inner {
                if let Some(at) = largest(p, x, &ranges, c) {
                    out[at] = out[at] + g[o * p.inner + c];
                }
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
        windows(p, |o, ranges| {
            for c in 0..p.inner {
                out[o * p.inner + c] = largest(p, x, &ranges, c).map_or(T::default(), |at| v[at]);
            }
        });
    });
}
