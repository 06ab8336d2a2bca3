//! The passes of pooling that go back from windows to elements, and the one that picks elements where others were largest.

use super::holders::{Class, holders};
use super::phases::Phases;
use super::{Kind, Pool, WORK, divisors, window};
use crate::kernels::par;
use crate::kernels::real::{Real, load, steps, store};
use crate::simd::{MAX_LANES, Simd, Work, level};
use crate::storage::Span;

/// Calls `f(plane)` for all planes, in parallel.
fn planes(p: &Pool, f: impl Fn(usize) + Sync) {
    let work = p.output() * p.axes.iter().map(|a| a.kernel.min(a.input)).product::<usize>();
    par::chunks(p.planes, (WORK / work.max(1)).max(1), |_, r| r.for_each(&f));
}

/// out = the sum of the windows' values (over their counts for averages) at each element.
pub(super) fn spread<T: Real>(p: &Pool, kind: Kind, g: Span, out: Span) {
    let [c0, c1, c2] = [0, 1, 2].map(|i| divisors(&p.axes[i], kind));
    // Windows without elements count none; nothing asks for their values.
    let along: Vec<T> = c2.iter().flat_map(|&c| std::iter::repeat_n(T::from_f64(c), p.inner)).collect();
    let (level, [a0, a1, a2]) = (level(), p.axes);
    // The windows that hold each row.
    let rows: Vec<_> = (0..a0.input * a1.input)
        .map(|row| (holders(&a0, row / a1.input), holders(&a1, row % a1.input)))
        .collect();
    planes(p, |plane| {
        // SAFETY: this plane's part of the output; inputs are only read.
        let (g, out) = unsafe {
            (
                g.sub(plane * p.output(), p.output()).slice::<T>(),
                out.sub(plane * p.input(), p.input()).slice_mut::<T>(),
            )
        };
        let (wide, narrow) = (a2.input * p.inner, a2.output * p.inner);
        // Zeros on both sides: there are no windows.
        let front = (a2.kernel - 1) / a2.stride;
        let mut values =
            vec![T::default(); front + narrow.max((a2.input + a2.pad) / a2.stride) + 2 * MAX_LANES];
        let mut class = vec![T::default(); a2.input.div_ceil(a2.stride) + MAX_LANES];
        let mut lines: Vec<(&[T], T)> = Vec::new();
        for row in 0..a0.input * a1.input {
            let (done, out) = out[..(row + 1) * wide].split_at_mut(row * wide);
            if row > 0 && rows[row] == rows[row - 1] {
                // The same windows hold it as the one before.
                out.copy_from_slice(&done[(row - 1) * wide..]);
                continue;
            }
            lines.clear();
            let (depths, heights) = rows[row].clone();
            for d in depths {
                let line = |h: usize| &g[(d * a1.output + h) * narrow..][..narrow];
                lines.extend(heights.clone().map(|h| (line(h), T::from_f64(c0[d] * c1[h]))));
            }
            let (values, class) = (&mut values, &mut class);
            level.run(Spread { p, lines: &lines, along: &along, front, values, class, out });
        }
    });
}

/// One row of elements: the windows above and below it into one row of windows, then those along it.
struct Spread<'a, T> {
    p: &'a Pool,
    /// The rows of windows that hold the row, and what they are divided by.
    lines: &'a [(&'a [T], T)],
    /// What each window is divided by along the row.
    along: &'a [T],
    /// Zeros before the values.
    front: usize,
    values: &'a mut [T],
    class: &'a mut [T],
    out: &'a mut [T],
}

impl<T: Real> Work for Spread<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Spread { p, lines, along, front, values, class, out } = self;
        let (a, inner, zero) = (&p.axes[2], p.inner, T::splat(s, T::default()));
        let (to, class, lanes) = (out.as_mut_ptr(), class.as_mut_ptr(), T::count::<S>());
        // SAFETY: lines have as many elements as `along`; `values` has zeros and a vector's room on both sides; `class` has a vector's room.
        unsafe {
            let values = values.as_mut_ptr().add(front);
            steps!(T, along.len(), |i, w| {
                let by = load::<T, S>(s, along.as_ptr().add(i), w);
                let mut v = zero;
                for (g, outer) in lines {
                    v = v + load::<T, S>(s, g.as_ptr().add(i), w) / (by * T::splat(s, *outer));
                }
                store::<T, S>(s, values.add(i), v, w)
            });
            if inner > 1 {
                for i in 0..a.input {
                    let (windows, to) = (holders(a, i), to.add(i * inner));
                    steps!(T, inner, |c, w| {
                        let mut v = zero;
                        for o in windows.clone() {
                            v = v + load::<T, S>(s, values.add(o * inner + c), w);
                        }
                        store::<T, S>(s, to.add(c), v, w)
                    });
                }
                return;
            }
            match a.stride {
                1 => {
                    let all = Class::new(a, 0);
                    steps!(T, a.input, |i, w| store::<T, S>(s, to.add(i), all.sum(s, values, i), w))
                }
                2 => {
                    let (even, odd) = (Class::new(a, 0), Class::new(a, 1));
                    for i in (0..a.input).step_by(2 * lanes) {
                        let (first, second) =
                            T::zip(s, even.sum(s, values, i / 2), odd.sum(s, values, i / 2));
                        store::<T, S>(s, to.add(i), first, lanes.min(a.input - i));
                        if i + lanes < a.input {
                            store::<T, S>(s, to.add(i + lanes), second, lanes.min(a.input - i - lanes));
                        }
                    }
                }
                stride => {
                    for t in 0..stride.min(a.input) {
                        let (n, one) = ((a.input - t).div_ceil(stride), Class::new(a, t));
                        steps!(T, n, |m, _w| T::store(s, class.add(m), one.sum(s, values, m), false));
                        (0..n).for_each(|m| *to.add(t + m * stride) = *class.add(m));
                    }
                }
            }
        }
    }
}

/// An element of the windows of a row: where it lies in the dealt rows, and how far from the start of a window as a mark.
type Tap<T> = (usize, T);

/// Where the first largest elements of a row of windows lie, from the start of each window as a mark. NaN is passed over.
struct Largest<'a, T> {
    p: &'a Pool,
    phases: Phases,
    /// The rows of the data that the windows cover, and how far from the first they are.
    sources: &'a [(*const T, usize)],
    taps: &'a [Tap<T>],
    /// The first element of each window, in the first row.
    first: &'a [T],
    dealt: *mut T,
    at: &'a mut [T],
}

impl<T: Real> Work for Largest<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Largest { p, phases, sources, taps, first, dealt, at } = self;
        let (a, inner, at) = (&p.axes[2], p.inner, at.as_mut_ptr());
        let lowest = T::splat(s, T::MINUS_INF);
        // SAFETY: the rows have the sizes that the axes say, and `dealt` has the phases' room for each of them.
        unsafe {
            if inner == 1 {
                for (i, (x, _)) in sources.iter().enumerate() {
                    phases.deal(s, *x, T::MINUS_INF, dealt.add(i * phases.room()));
                }
                steps!(T, a.output, |o, w| {
                    let (mut best, mut mark) = (lowest, load::<T, S>(s, first.as_ptr().add(o), w));
                    for &(tap, place) in taps {
                        let v = T::load(s, dealt.add(tap + o));
                        mark = T::above(s, v, best, T::splat(s, place), mark);
                        best = T::max(s, v, best);
                    }
                    store::<T, S>(s, at.add(o), mark, w)
                });
                return;
            }
            for o in 0..a.output {
                let (places, at) = (window(a, o), at.add(o * inner));
                let start = o * a.stride;
                steps!(T, inner, |c, w| {
                    let (mut best, mut mark) = (lowest, T::splat(s, first[o]));
                    for &(x, far) in sources {
                        for i in places.clone() {
                            let v = load::<T, S>(s, x.add(i * inner + c), w);
                            mark = T::above(
                                s,
                                v,
                                best,
                                T::splat(s, T::mark(Some(far + i + a.pad - start))),
                                mark,
                            );
                            best = T::max(s, v, best);
                        }
                    }
                    store::<T, S>(s, at.add(c), mark, w)
                });
            }
        }
    }
}

/// Calls `f(o, place)` with the place in a plane where each window's first largest element is; `None` where it has none.
fn largest_of_all<T: Real>(p: &Pool, x: &[T], mut f: impl FnMut(usize, Option<usize>)) {
    let [a0, a1, a2] = p.axes;
    let (phases, level) = (Phases::new(&a2), level());
    let most = a0.kernel.min(a0.input) * a1.kernel.min(a1.input);
    let mut dealt = vec![T::MINUS_INF; if p.inner == 1 { most * phases.room() } else { 0 }];
    let mut at = vec![T::default(); a2.output * p.inner];
    // Marks count from the start of a window, which may lie before the row.
    let mark = |o: usize| T::mark(window(&a2, o).next().map(|i| i + a2.pad - o * a2.stride));
    let first: Vec<T> = (0..a2.output).map(mark).collect();
    let mut sources: Vec<(*const T, usize)> = Vec::with_capacity(most);
    let (mut taps, mut known) = (Vec::new(), (0, 0));
    for line in 0..a0.output * a1.output {
        let (d, h) = (window(&a0, line / a1.output), window(&a1, line % a1.output));
        let line = line * a2.output * p.inner;
        if d.is_empty() || h.is_empty() {
            (line..line + at.len()).for_each(|o| f(o, None));
            continue;
        }
        let base = (d.start * a1.input + h.start) * a2.input;
        sources.clear();
        for i in d.clone() {
            let rows = h.clone().map(|j| (i * a1.input + j) * a2.input);
            sources.extend(rows.map(|row| (x[row * p.inner..].as_ptr(), row - base)));
        }
        if known != (d.len(), h.len()) && p.inner == 1 {
            known = (d.len(), h.len());
            let tap =
                |i: usize, far: usize, k: usize| (i * phases.room() + phases.tap(k), T::mark(Some(far + k)));
            let of =
                |(i, &(_, far)): (usize, &(*const T, usize))| (0..a2.kernel).map(move |k| tap(i, far, k));
            taps = sources.iter().enumerate().flat_map(of).collect();
        }
        let (dealt, at) = (dealt.as_mut_ptr(), &mut at);
        level.run(Largest { p, phases, sources: &sources, taps: &taps, first: &first, dealt, at });
        for (o, marks) in at.chunks_exact(p.inner).enumerate() {
            for (c, mark) in marks.iter().enumerate() {
                let place = mark.marked().map(|m| (base + o * a2.stride + m - a2.pad) * p.inner + c);
                f(line + o * p.inner + c, place);
            }
        }
    }
}

/// out = for each element the sum of the values of the windows in which it is the first largest.
pub(super) fn route<T: Real>(p: &Pool, x: Span, g: Span, out: Span) {
    if super::route::fits(p) {
        return super::route::route::<T>(p, x, g, out);
    }
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
