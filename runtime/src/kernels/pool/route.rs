//! The gradient of a maximum where channels do not stand last: for a plane, first where each window has its largest element, then, row of
//! elements by row, what the windows that hold an element and have it as their largest give. All of a plane is one piece of vector code, since planes
//! may be small.

use super::holders::{Class, holders};
use super::phases::Phases;
use super::{Pool, WORK, window};
use crate::kernels::lane::streams;
use crate::kernels::par;
use crate::kernels::real::{Real, load, steps, store};
use crate::simd::{MAX_LANES, Simd, Work, level, prefetch};
use crate::storage::Span;

/// What is the same for all planes.
struct Tables<T> {
    /// For each row of windows: where the rows of elements begin that it covers, and the taps: where one lies in the dealt rows, and its mark.
    rows: Vec<Vec<usize>>,
    taps: Vec<Vec<(usize, T)>>,
    /// For each row of elements: the rows of windows that hold it, and the mark of its first element there.
    held: Vec<Vec<(usize, T)>>,
    /// The mark of each window's first element.
    first: Vec<T>,
    /// As many as a window has elements along a row.
    numbers: Vec<T>,
}

/// Marks are numbers of elements from the start of a window, which lies before the row where there is padding; they are exact up to this.
const MARKS: usize = 1 << 24;

/// Whether marks tell all elements of a window apart.
pub(super) fn fits(p: &Pool) -> bool {
    let [a0, a1, a2] = p.axes;
    p.inner == 1 && (a0.kernel * a1.input + a1.kernel) * a2.input + a2.kernel < MARKS
}

impl<T: Real> Tables<T> {
    fn new(p: &Pool, phases: &Phases) -> Tables<T> {
        let [a0, a1, a2] = p.axes;
        let mark = |n: usize| T::from_f64(n as f64);
        let numbers = (0..a2.kernel).map(mark).collect();
        let mut t =
            Tables { rows: Vec::new(), taps: Vec::new(), held: Vec::new(), first: Vec::new(), numbers };
        for line in 0..a0.output * a1.output {
            let (d, h) = (window(&a0, line / a1.output), window(&a1, line % a1.output));
            let rows: Vec<usize> =
                d.flat_map(|i| h.clone().map(move |j| (i * a1.input + j) * a2.input)).collect();
            let base = rows.first().copied().unwrap_or(0);
            let of = |(i, &row): (usize, &usize)| {
                (0..a2.kernel).map(move |k| (i * phases.room() + phases.tap(k), mark(row - base + k)))
            };
            t.taps.push(rows.iter().enumerate().flat_map(of).collect());
            t.rows.push(rows);
        }
        for row in 0..a0.input * a1.input {
            let mut held = Vec::new();
            for d in holders(&a0, row / a1.input) {
                for h in holders(&a1, row % a1.input) {
                    let line = d * a1.output + h;
                    held.push((line, mark(row * a2.input - t.rows[line][0])));
                }
            }
            t.held.push(held);
        }
        // No element has the mark of a window without any.
        let first =
            |o: usize| window(&a2, o).next().map_or(T::from_f64(-1.0), |i| mark(i + a2.pad - o * a2.stride));
        t.first = (0..a2.output).map(first).collect();
        t
    }
}

/// out = for each element the sum of the values of the windows in which it is the first largest.
pub(super) fn route<T: Real>(p: &Pool, x: Span, g: Span, out: Span) {
    let [a0, a1, a2] = p.axes;
    let (phases, level) = (Phases::new(&a2), level());
    let tables = Tables::<T>::new(p, &phases);
    // No windows on both sides of those that there are.
    let front = (a2.kernel - 1) / a2.stride;
    let pitch = front + a2.output.max((a2.input + a2.pad) / a2.stride) + 2 * MAX_LANES;
    let lines = a0.output * a1.output;
    let most = a0.kernel.min(a0.input) * a1.kernel.min(a1.input);
    // Past the caches, where all vectors of all rows are aligned.
    let line = 64 / size_of::<T>();
    let stream = streams(out) && (out.bytes() as usize).is_multiple_of(64) && a2.input.is_multiple_of(line);
    let work = p.output() * most * a2.kernel.min(a2.input);
    par::chunks(p.planes, par::grouped(p.planes, (WORK / work.max(1)).max(1)), |_, r| {
        let mut dealt = vec![T::MINUS_INF; most * phases.room()];
        let mut marks = vec![T::from_f64(-1.0); lines * pitch];
        let mut values = vec![T::default(); lines * pitch];
        let mut class = vec![T::default(); a2.input.div_ceil(a2.stride) + MAX_LANES];
        for plane in r {
            // SAFETY: this plane's part of the output; inputs are only read.
            let (x, g, out) = unsafe {
                (
                    x.sub(plane * p.input(), p.input()).slice::<T>(),
                    g.sub(plane * p.output(), p.output()).slice::<T>(),
                    out.sub(plane * p.input(), p.input()).slice_mut::<T>(),
                )
            };
            level.run(Plane {
                p,
                phases: &phases,
                tables: &tables,
                front,
                pitch,
                x,
                g,
                dealt: &mut dealt,
                marks: &mut marks,
                values: &mut values,
                class: &mut class,
                out,
                stream,
            });
        }
    });
}

struct Plane<'a, T> {
    p: &'a Pool,
    phases: &'a Phases,
    tables: &'a Tables<T>,
    front: usize,
    /// From row to row of windows in `marks` and `values`.
    pitch: usize,
    x: &'a [T],
    g: &'a [T],
    dealt: &'a mut [T],
    marks: &'a mut [T],
    values: &'a mut [T],
    class: &'a mut [T],
    out: &'a mut [T],
    stream: bool,
}

impl<T: Real> Work for Plane<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (a, t) = (&self.p.axes[2], self.tables);
        let (dealt, lanes) = (self.dealt.as_mut_ptr(), T::count::<S>());
        let lowest = T::splat(s, T::MINUS_INF);
        // SAFETY: rows have the sizes that the axes say; marks, values and dealt rows have room for vectors on both sides.
        unsafe {
            let (marks, values) =
                (self.marks.as_mut_ptr().add(self.front), self.values.as_mut_ptr().add(self.front));
            for (line, rows) in t.rows.iter().enumerate() {
                if rows.is_empty() {
                    continue;
                }
                for (i, &row) in rows.iter().enumerate() {
                    let to = dealt.add(i * self.phases.room());
                    self.phases.deal(s, self.x.as_ptr().add(row), T::MINUS_INF, to);
                }
                let g = self.g.as_ptr().add(line * a.output);
                let (marks, values) = (marks.add(line * self.pitch), values.add(line * self.pitch));
                steps!(T, a.output, |o, w| {
                    let (mut best, mut mark) = (lowest, load::<T, S>(s, t.first.as_ptr().add(o), w));
                    for &(tap, place) in &t.taps[line] {
                        let v = T::load(s, dealt.add(tap + o));
                        mark = T::above(s, v, best, T::splat(s, place), mark);
                        best = T::max(s, v, best);
                    }
                    store::<T, S>(s, marks.add(o), mark, w);
                    store::<T, S>(s, values.add(o), load::<T, S>(s, g.add(o), w), w)
                });
            }
            for (row, held) in t.held.iter().enumerate() {
                let to = self.out.as_mut_ptr().add(row * a.input);
                if self.stream {
                    // The next plane is on its way while this one is written.
                    let next = self.x.as_ptr().wrapping_add(self.x.len() + row * a.input);
                    (0..a.input).step_by(64 / size_of::<T>()).for_each(|i| prefetch(next.wrapping_add(i)));
                }
                let sum = |class: &Class, m: usize| {
                    class.chosen(s, held, &t.numbers, (marks, values, self.pitch), m)
                };
                match a.stride {
                    1 => {
                        let all = Class::new(a, 0);
                        steps!(T, a.input, |i, w| store::<T, S>(s, to.add(i), sum(&all, i), w))
                    }
                    2 => {
                        let (even, odd) = (Class::new(a, 0), Class::new(a, 1));
                        for i in (0..a.input).step_by(2 * lanes) {
                            let (first, second) = T::zip(s, sum(&even, i / 2), sum(&odd, i / 2));
                            if self.stream {
                                T::store(s, to.add(i), first, true);
                                if i + lanes < a.input {
                                    T::store(s, to.add(i + lanes), second, true);
                                }
                                continue;
                            }
                            store::<T, S>(s, to.add(i), first, lanes.min(a.input - i));
                            if i + lanes < a.input {
                                store::<T, S>(s, to.add(i + lanes), second, lanes.min(a.input - i - lanes));
                            }
                        }
                    }
                    stride => {
                        let class = self.class.as_mut_ptr();
                        for phase in 0..stride.min(a.input) {
                            let (n, one) = ((a.input - phase).div_ceil(stride), Class::new(a, phase));
                            steps!(T, n, |m, _w| T::store(s, class.add(m), sum(&one, m), false));
                            (0..n).for_each(|m| *to.add(phase + m * stride) = *class.add(m));
                        }
                    }
                }
            }
        }
        if self.stream {
            s.fence();
        }
    }
}
