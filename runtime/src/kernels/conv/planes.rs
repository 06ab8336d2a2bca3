//! Convolutions in which each channel of the result sees one channel of the source, as depthwise ones are. There is so little to compute
//! for a channel that finding out what to do would take longer: all channels of a piece of work go through the same tables.

use super::Place;
use super::frame::{Frame, Row, alternate};
use super::gather::{FRAME, Gather, Operands, SMALL, View};
use super::scratch::Scratch;
use super::tile::Line;
use crate::error::{Error, Result};
use crate::kernels::lane::{fence, past_cache};
use crate::kernels::par;
use crate::kernels::real::{Real, load, store};
use crate::simd::{MAX_LANES, Simd, Work, level};
use std::sync::Mutex;

/// Vectors of sums at a time.
const SIDE: usize = 8;
/// Elements from which on a line is computed by itself; shorter ones share vectors with their neighbours.
const LONG: usize = 3 * MAX_LANES;
/// Channels from which on there is enough for all threads.
const MANY: usize = 16;

impl Gather {
    /// Whether each channel sees one, and planes are small enough to be taken whole.
    pub fn is_planar<T: Real>(&self) -> bool {
        self.depth == 1
            && self.views.len() == 1
            && self.batch * self.groups >= MANY
            && self.from.axes[2] == 1
            && self.to.axes[2] == 1
            && 2 * Frame::new::<T>(&self.sweeps, self.grid()).pitch * size_of::<T>() <= FRAME
    }

    /// The result, plane by plane. Sums are made in the order of the taps.
    /// # Safety
    /// As [`Gather::run`].
    pub unsafe fn planes<T: Real>(&self, o: Operands<T>, weights: *const T) -> Result<()> {
        let (view, grid, level) = (&self.views[0], self.grid(), level());
        let frame = Frame::new::<T>(&self.sweeps, grid);
        let rows: Vec<Row> =
            frame.rows(&self.from, self.bounds, [0; 3], grid).into_iter().filter(|r| r.len > 0).collect();
        let mut lines: Vec<Line> = Vec::new();
        for at in (0..grid[0]).flat_map(|d| (0..grid[1]).map(move |h| [d, h, 0])) {
            let to = at[0] * self.to.axes[0] + at[1] * self.to.axes[1];
            lines.push(Line { at: frame.at(at), len: grid[2], to });
        }
        let taps: Vec<u32> = frame.taps(&view.sweeps).iter().map(|&t| t as u32).collect();
        let w = Operands { from: weights, ..o };
        let stream = past_cache(self.batch * self.to.image * size_of::<T>());
        let work = grid.iter().product::<usize>() * taps.len() * self.rows;
        let failed: Mutex<Option<Error>> = Mutex::new(None);
        par::chunks(self.batch * self.groups, (SMALL / work.max(1)).max(1), |_, range| {
            // The frame, and sums that lie as it does.
            let (framed, summed) = (frame.size(1) + MAX_LANES, frame.pitch + SIDE * MAX_LANES);
            match Scratch::new((framed + summed) * size_of::<T>()) {
                Ok(scratch) => level.run(Planes {
                    gather: self,
                    view,
                    range,
                    rows: &rows,
                    lines: &lines,
                    taps: &taps,
                    operands: &o,
                    weights: &w,
                    frame: (scratch.ptr(), framed),
                    sums: scratch.ptr::<T>().wrapping_add(framed),
                    stream,
                }),
                Err(e) => *failed.lock().unwrap_or_else(|e| e.into_inner()) = Some(e),
            }
            if stream {
                fence(level);
            }
        });
        failed.into_inner().unwrap_or_else(|e| e.into_inner()).map_or(Ok(()), Err)
    }
}

/// Planes of some images and groups.
struct Planes<'a, T> {
    gather: &'a Gather,
    view: &'a View,
    range: std::ops::Range<usize>,
    rows: &'a [Row],
    lines: &'a [Line],
    taps: &'a [u32],
    operands: &'a Operands<T>,
    weights: &'a Operands<T>,
    /// With room for the last vector; and its elements.
    frame: (*mut T, usize),
    sums: *mut T,
    stream: bool,
}

impl<T: Real> Work for Planes<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (g, lanes, frame) = (self.gather, T::count::<S>(), self.frame.0);
        // Padding is the same in all planes.
        // SAFETY: the frame is this thread's.
        unsafe { std::slice::from_raw_parts_mut(frame, self.frame.1) }.fill(T::default());
        let Some(last) = self.lines.last() else { return };
        let (places, long) = (last.at + last.len, last.len >= LONG);
        for i in self.range.clone() {
            let (image, group) = (i / g.groups, i % g.groups);
            // SAFETY: planes of the source and the result that exist, the weights and biases of their channels, and scratch as `planes`
            // made it.
            unsafe {
                self.fill(s, self.operands.from.add(image * g.from.image + group * g.from.channel));
                for row in 0..g.rows {
                    let channel = group * g.rows + row;
                    let w = self.weights.from.add(group * g.weights.group + row * g.weights.row);
                    let bias = self.operands.bias.map_or(T::default(), |b| *b.add(channel));
                    let to = self.operands.to.add(image * g.to.image + channel * g.to.channel);
                    if long {
                        for line in self.lines {
                            self.line::<S, true>(s, w, bias, line.at, line.len, to.add(line.to));
                        }
                        continue;
                    }
                    self.line::<S, false>(s, w, bias, 0, places.next_multiple_of(lanes), self.sums);
                    for line in self.lines {
                        copy(s, self.sums.add(line.at), to.add(line.to), line.len);
                    }
                }
            }
        }
    }
}

impl<T: Real> Planes<'_, T> {
    /// Puts a plane into the frame.
    #[inline(always)]
    unsafe fn fill<S: Simd>(&self, s: S, from: *const T) {
        let Place { axes, .. } = self.gather.from;
        let jump = axes[2] * self.gather.sweeps[2].step;
        for row in self.rows {
            // SAFETY: elements of the source, and of a row of the frame.
            unsafe {
                let (x, to) = (from.add(row.from), self.frame.0.add(row.to + row.before));
                match jump {
                    1 => copy(s, x, to, row.len),
                    2 => alternate(s, x, to, row.len),
                    _ => (0..row.len).for_each(|j| *to.add(j) = *x.add(j * jump)),
                }
            }
        }
    }

    /// Sums of the places `at .. at + len` of the frame, as many vectors at a time as there are registers for. Not `EXACT`, the last vector
    /// is written whole.
    #[inline(always)]
    unsafe fn line<S: Simd, const EXACT: bool>(
        &self,
        s: S,
        w: *const T,
        bias: T,
        at: usize,
        len: usize,
        to: *mut T,
    ) {
        let lanes = T::count::<S>();
        let vectors = len.div_ceil(lanes);
        let each = vectors.div_ceil(vectors.div_ceil(SIDE).max(1));
        let mut done = 0;
        while done < vectors {
            let n = each.min(vectors - done);
            let stream = EXACT && self.stream;
            let (begin, rest) = (done * lanes, if EXACT { len - done * lanes } else { n * lanes });
            // SAFETY: the caller's promise.
            unsafe {
                let (b, to) = (self.frame.0.cast_const().add(at + begin), to.add(begin));
                match n {
                    1 => self.block::<S, 1>(s, w, bias, b, to, rest, stream),
                    2 => self.block::<S, 2>(s, w, bias, b, to, rest, stream),
                    3 => self.block::<S, 3>(s, w, bias, b, to, rest, stream),
                    4 => self.block::<S, 4>(s, w, bias, b, to, rest, stream),
                    5 => self.block::<S, 5>(s, w, bias, b, to, rest, stream),
                    6 => self.block::<S, 6>(s, w, bias, b, to, rest, stream),
                    7 => self.block::<S, 7>(s, w, bias, b, to, rest, stream),
                    _ => self.block::<S, 8>(s, w, bias, b, to, rest, stream),
                }
            }
            done += n;
        }
    }

    /// `V` vectors of sums; the first `n` elements of them are written.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    unsafe fn block<S: Simd, const V: usize>(
        &self,
        s: S,
        w: *const T,
        bias: T,
        from: *const T,
        to: *mut T,
        n: usize,
        stream: bool,
    ) {
        let lanes = T::count::<S>();
        let mut sums = [T::splat(s, T::default()); V];
        let bias = T::splat(s, bias);
        // SAFETY: the caller's promise; taps and the weights at them exist.
        unsafe {
            for (t, &tap) in self.taps.iter().enumerate() {
                let w = T::splat(s, *w.add(*self.view.taps.get_unchecked(t)));
                let from = from.add(tap as usize);
                for (j, sum) in sums.iter_mut().enumerate() {
                    *sum = T::fma(s, w, T::load(s, from.add(j * lanes)), *sum);
                }
            }
            if n >= V * lanes {
                // A loop for each way: with the choice inside of one, the sums would not stay in registers.
                if stream && (to as usize).is_multiple_of(lanes * size_of::<T>()) {
                    for (j, sum) in sums.iter().enumerate() {
                        T::store(s, to.add(j * lanes), bias + *sum, true);
                    }
                } else {
                    for (j, sum) in sums.iter().enumerate() {
                        T::store(s, to.add(j * lanes), bias + *sum, false);
                    }
                }
                return;
            }
            for (j, sum) in sums.iter().enumerate() {
                store(s, to.add(j * lanes), bias + *sum, lanes.min(n - j * lanes));
            }
        }
    }
}

/// # Safety
/// Both have `n` elements, apart.
#[inline(always)]
unsafe fn copy<T: Real, S: Simd>(s: S, from: *const T, to: *mut T, n: usize) {
    let lanes = T::count::<S>();
    let mut i = 0;
    // SAFETY: the caller's promise.
    unsafe {
        while i + lanes <= n {
            T::store(s, to.add(i), T::load(s, from.add(i)), false);
            i += lanes;
        }
        if i < n {
            store(s, to.add(i), load(s, from.add(i), n - i), n - i);
        }
    }
}
