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
use crate::kernels::real::{Real, load, store, total};
use crate::simd::{MAX_LANES, Simd, Work, level};
use std::sync::Mutex;

/// Vectors of sums at a time.
const SIDE: usize = 8;
/// Channels of the result that share what they load, where a channel of the source is seen by as many; and vectors of each at a time, on the
/// widest level and on the others.
const ROWS: usize = 4;
const SHARED: usize = 6;
const SHARED_NARROW: usize = 3;
/// Elements from which on a line is computed by itself; shorter ones share vectors with their neighbours.
const LONG: usize = 3 * MAX_LANES;
/// Channels from which on there is enough for all threads.
const MANY: usize = 16;
/// Taps of the most weights that a channel has where their gradient is computed plane by plane, and those at a time.
const TAPS: usize = 64;
const FIVE: usize = 5;

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

    /// Whether that is so for the gradient of the weights, too: each channel has a few of its own.
    pub fn is_planar_back<T: Real>(&self) -> bool {
        self.is_planar::<T>() && self.rows == 1 && self.groups >= MANY && self.views[0].taps.len() <= TAPS
    }

    /// The result, plane by plane. Sums are made in the order of the taps.
    /// # Safety
    /// As [`Gather::run`].
    pub unsafe fn planes<T: Real>(&self, o: Operands<T>, weights: *const T) -> Result<()> {
        let (level, table) = (level(), self.table::<T>());
        let grid = self.grid();
        let w = Operands { from: weights, ..o };
        let stream = past_cache(self.batch * self.to.image * size_of::<T>());
        let work = grid.iter().product::<usize>() * table.taps.len() * self.rows;
        let failed: Mutex<Option<Error>> = Mutex::new(None);
        par::chunks(self.batch * self.groups, (SMALL / work.max(1)).max(1), |_, range| {
            // The frame, and sums that lie as it does.
            let (framed, summed) = (table.framed, ROWS * (table.pitch + SIDE * MAX_LANES));
            match Scratch::new((framed + summed) * size_of::<T>()) {
                Ok(scratch) => level.run(Planes {
                    gather: self,
                    range,
                    table: &table,
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

    /// The gradient of the weights from that of the result, `y`, plane by plane; images are added up in order, in float64.
    /// # Safety
    /// `o.from` is the source and `o.to` the weights; `y` is a result.
    pub unsafe fn plane_weights<T: Real>(&self, o: Operands<T>, y: *const T) -> Result<()> {
        let (level, table) = (level(), self.table::<T>());
        let g = Operands { from: y, ..o };
        let work = self.batch * self.grid().iter().product::<usize>() * table.taps.len();
        let failed: Mutex<Option<Error>> = Mutex::new(None);
        par::chunks(self.groups, (SMALL / work.max(1)).max(1), |_, range| {
            match Scratch::new(table.framed * size_of::<T>()) {
                Ok(scratch) => level.run(Back(Planes {
                    gather: self,
                    range,
                    table: &table,
                    operands: &o,
                    weights: &g,
                    frame: (scratch.ptr(), table.framed),
                    sums: std::ptr::null_mut(),
                    stream: false,
                })),
                Err(e) => *failed.lock().unwrap_or_else(|e| e.into_inner()) = Some(e),
            }
        });
        failed.into_inner().unwrap_or_else(|e| e.into_inner()).map_or(Ok(()), Err)
    }

    fn table<T: Real>(&self) -> Table<'_> {
        let (view, grid) = (&self.views[0], self.grid());
        let frame = Frame::new::<T>(&self.sweeps, grid);
        let mut lines: Vec<Line> = Vec::new();
        for at in (0..grid[0]).flat_map(|d| (0..grid[1]).map(move |h| [d, h, 0])) {
            let to = at[0] * self.to.axes[0] + at[1] * self.to.axes[1];
            lines.push(Line { at: frame.at(at), len: grid[2], to });
        }
        Table {
            view,
            rows: frame
                .rows(&self.from, self.bounds, [0; 3], grid)
                .into_iter()
                .filter(|r| r.len > 0)
                .collect(),
            lines,
            taps: frame.taps(&view.sweeps).iter().map(|&t| t as u32).collect(),
            framed: frame.size(1) + MAX_LANES,
            pitch: frame.pitch,
        }
    }
}

/// What all planes share.
struct Table<'a> {
    view: &'a View,
    /// Of the source, and where they lie in the frame.
    rows: Vec<Row>,
    /// Of the result.
    lines: Vec<Line>,
    taps: Vec<u32>,
    /// Elements of the frame, with room for the last vector, and of a plane in it.
    framed: usize,
    pitch: usize,
}

/// Planes of some images and groups.
struct Planes<'a, T> {
    gather: &'a Gather,
    range: std::ops::Range<usize>,
    table: &'a Table<'a>,
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
        let (g, frame) = (self.gather, self.frame.0);
        // Padding is the same in all planes.
        // SAFETY: the frame is this thread's.
        unsafe { std::slice::from_raw_parts_mut(frame, self.frame.1) }.fill(T::default());
        for i in self.range.clone() {
            let (image, group) = (i / g.groups, i % g.groups);
            // SAFETY: planes of the source and the result that exist, the weights and biases of their channels, and scratch as `planes`
            // made it.
            unsafe {
                self.fill(s, self.operands.from.add(image * g.from.image + group * g.from.channel));
                let mut row = 0;
                while row < g.rows {
                    if g.rows - row >= ROWS {
                        self.rows_of::<S, ROWS>(s, image, group, row);
                        row += ROWS;
                    } else {
                        self.rows_of::<S, 1>(s, image, group, row);
                        row += 1;
                    }
                }
            }
        }
    }
}

impl<T: Real> Planes<'_, T> {
    /// `R` channels of the result, from the plane in the frame.
    #[inline(always)]
    unsafe fn rows_of<S: Simd, const R: usize>(&self, s: S, image: usize, group: usize, row: usize) {
        let (g, lanes) = (self.gather, T::count::<S>());
        let Some(last) = self.table.lines.last() else { return };
        let places = (last.at + last.len).next_multiple_of(lanes);
        let channel = group * g.rows + row;
        // SAFETY: weights and biases of these channels, and planes that exist.
        unsafe {
            let of = Channels::<T, R> {
                w: std::array::from_fn(|m| {
                    self.weights.from.add(group * g.weights.group + (row + m) * g.weights.row)
                }),
                bias: std::array::from_fn(|m| {
                    self.operands.bias.map_or(T::default(), |b| *b.add(channel + m))
                }),
            };
            let to = self.operands.to.add(image * g.to.image + channel * g.to.channel);
            if last.len >= LONG {
                for line in &self.table.lines {
                    self.line::<S, true, R>(s, &of, line.at, line.len, to.add(line.to), g.to.channel);
                }
                return;
            }
            self.line::<S, false, R>(s, &of, 0, places, self.sums, places);
            for m in 0..R {
                let (sums, to) = (self.sums.add(m * places), to.add(m * g.to.channel));
                for line in &self.table.lines {
                    copy(s, sums.add(line.at), to.add(line.to), line.len);
                }
            }
        }
    }

    /// Puts a plane into the frame.
    #[inline(always)]
    unsafe fn fill<S: Simd>(&self, s: S, from: *const T) {
        let Place { axes, .. } = self.gather.from;
        let jump = axes[2] * self.gather.sweeps[2].step;
        for row in &self.table.rows {
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

    /// Sums of the places `at .. at + len` of the frame, as many vectors at a time as there are registers for; channels lie `pitch` apart. Not
    /// `EXACT`, the last vector is written whole.
    #[inline(always)]
    unsafe fn line<S: Simd, const EXACT: bool, const R: usize>(
        &self,
        s: S,
        of: &Channels<T, R>,
        at: usize,
        len: usize,
        to: *mut T,
        pitch: usize,
    ) {
        let lanes = T::count::<S>();
        let widest = lanes * size_of::<T>() == MAX_LANES * 4;
        let side = match (R, widest) {
            (1, _) => SIDE,
            (_, true) => SHARED,
            _ => SHARED_NARROW,
        };
        let vectors = len.div_ceil(lanes);
        let each = vectors.div_ceil(vectors.div_ceil(side).max(1));
        let mut done = 0;
        while done < vectors {
            let n = each.min(vectors - done);
            let begin = done * lanes;
            let rest = if EXACT { len - begin } else { n * lanes };
            // SAFETY: the caller's promise.
            unsafe {
                let b = self.frame.0.cast_const().add(at + begin);
                let to = Target { to: to.add(begin), pitch, n: rest, stream: EXACT && self.stream };
                match n {
                    1 => self.block::<S, 1, R>(s, of, b, to),
                    2 => self.block::<S, 2, R>(s, of, b, to),
                    3 => self.block::<S, 3, R>(s, of, b, to),
                    4 if side >= 4 => self.block::<S, 4, R>(s, of, b, to),
                    5 if side >= 5 => self.block::<S, 5, R>(s, of, b, to),
                    6 if side >= 6 => self.block::<S, 6, R>(s, of, b, to),
                    7 if side >= 7 => self.block::<S, 7, R>(s, of, b, to),
                    8 if side >= 8 => self.block::<S, 8, R>(s, of, b, to),
                    _ => unreachable!("a block has at most as many vectors as fit"),
                }
            }
            done += n;
        }
    }

    /// `V` vectors of sums of `R` channels.
    #[inline(always)]
    unsafe fn block<S: Simd, const V: usize, const R: usize>(
        &self,
        s: S,
        of: &Channels<T, R>,
        from: *const T,
        to: Target<T>,
    ) {
        let lanes = T::count::<S>();
        let mut sums = [[T::splat(s, T::default()); V]; R];
        // SAFETY: the caller's promise; taps and the weights at them exist.
        unsafe {
            for (t, &tap) in self.table.taps.iter().enumerate() {
                let at = *self.table.view.taps.get_unchecked(t);
                let from = from.add(tap as usize);
                if R == 1 {
                    let w = T::splat(s, *of.w[0].add(at));
                    for (j, sum) in sums[0].iter_mut().enumerate() {
                        *sum = T::fma(s, w, T::load(s, from.add(j * lanes)), *sum);
                    }
                    continue;
                }
                let mut v = [T::splat(s, T::default()); V];
                for j in 0..V {
                    v[j] = T::load(s, from.add(j * lanes));
                }
                for m in 0..R {
                    let w = T::splat(s, *of.w[m].add(at));
                    for j in 0..V {
                        sums[m][j] = T::fma(s, w, v[j], sums[m][j]);
                    }
                }
            }
            // A loop for each way: with the choice inside of one, the sums would not stay in registers.
            let whole = to.n >= V * lanes;
            let aligned =
                (to.to as usize | (to.pitch * size_of::<T>())).is_multiple_of(lanes * size_of::<T>());
            if whole && to.stream && aligned {
                for m in 0..R {
                    let bias = T::splat(s, of.bias[m]);
                    for j in 0..V {
                        T::store(s, to.to.add(m * to.pitch + j * lanes), bias + sums[m][j], true);
                    }
                }
            } else if whole {
                for m in 0..R {
                    let bias = T::splat(s, of.bias[m]);
                    for j in 0..V {
                        T::store(s, to.to.add(m * to.pitch + j * lanes), bias + sums[m][j], false);
                    }
                }
            } else {
                for m in 0..R {
                    let bias = T::splat(s, of.bias[m]);
                    for j in 0..V {
                        let n = lanes.min(to.n.saturating_sub(j * lanes));
                        store(s, to.to.add(m * to.pitch + j * lanes), bias + sums[m][j], n);
                    }
                }
            }
        }
    }
}

/// The gradient of the weights of some groups: `operands.to` are the weights, and what `weights` reads is the result's gradient.
struct Back<'a, T>(Planes<'a, T>);

impl<T: Real> Work for Back<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Back(p) = self;
        let (g, taps) = (p.gather, p.table.taps.len());
        // SAFETY: the frame is this thread's.
        unsafe { std::slice::from_raw_parts_mut(p.frame.0, p.frame.1) }.fill(T::default());
        for group in p.range.clone() {
            let mut sums = [0.0; TAPS];
            for image in 0..g.batch {
                // SAFETY: planes of the source and of the result that exist.
                unsafe {
                    p.fill(s, p.operands.from.add(image * g.from.image + group * g.from.channel));
                    let y = p.weights.from.add(image * g.to.image + group * g.to.channel);
                    for t in (0..taps).step_by(FIVE) {
                        match taps - t {
                            1 => p.dots::<S, 1>(s, y, t, &mut sums),
                            2 => p.dots::<S, 2>(s, y, t, &mut sums),
                            3 => p.dots::<S, 3>(s, y, t, &mut sums),
                            4 => p.dots::<S, 4>(s, y, t, &mut sums),
                            _ => p.dots::<S, 5>(s, y, t, &mut sums),
                        }
                    }
                }
            }
            for (t, &sum) in sums[..taps].iter().enumerate() {
                // SAFETY: a weight of this group.
                unsafe {
                    *p.operands.to.add(group * g.weights.group + p.table.view.taps[t]) = T::from_f64(sum);
                }
            }
        }
    }
}

impl<T: Real> Planes<'_, T> {
    /// Adds to the sums of `M` taps from `first` on what a plane of the result has with the frame.
    /// # Safety
    /// The plane is whole.
    #[inline(always)]
    unsafe fn dots<S: Simd, const M: usize>(&self, s: S, y: *const T, first: usize, sums: &mut [f64; TAPS]) {
        let lanes = T::count::<S>();
        // Two of each, since a sum waits for the one before it.
        let mut parts = [[T::splat(s, T::default()); M]; 2];
        // SAFETY: the caller's promise. Lanes behind a line's end are 0 on both sides.
        unsafe {
            let x: [*const T; M] = std::array::from_fn(|m| {
                self.frame.0.cast_const().add(*self.table.taps.get_unchecked(first + m) as usize)
            });
            for line in &self.table.lines {
                let (y, mut i) = (y.add(line.to), 0);
                while i + 2 * lanes <= line.len {
                    let (a, b) = (T::load(s, y.add(i)), T::load(s, y.add(i + lanes)));
                    for m in 0..M {
                        let x = x[m].add(line.at + i);
                        parts[0][m] = T::fma(s, a, T::load(s, x), parts[0][m]);
                        parts[1][m] = T::fma(s, b, T::load(s, x.add(lanes)), parts[1][m]);
                    }
                    i += 2 * lanes;
                }
                while i < line.len {
                    let n = lanes.min(line.len - i);
                    let a = load(s, y.add(i), n);
                    for m in 0..M {
                        parts[0][m] = T::fma(s, a, load(s, x[m].add(line.at + i), n), parts[0][m]);
                    }
                    i += lanes;
                }
            }
        }
        for m in 0..M {
            sums[first + m] += total::<T, S>(s, parts[0][m] + parts[1][m]);
        }
    }
}

/// Weights and biases of some channels of the result.
struct Channels<T, const R: usize> {
    w: [*const T; R],
    bias: [T; R],
}

/// Where sums are written: `n` elements of each channel, past the caches or not.
struct Target<T> {
    to: *mut T,
    pitch: usize,
    n: usize,
    stream: bool,
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
