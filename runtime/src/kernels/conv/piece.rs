//! The pieces of a [`Gather`]: each copies the frame that it needs, block by block of the source's channels, and runs the strips of its rows
//! over it, for all views, so that the phases of a deconvolution share what they look at.
//!
//! Phases along the last axis are neighbours in the result. They are computed side by side and woven when the last block has been added.

use super::frame::Frame;
use super::gather::{Cut, Gather, Operands, PACKED, SMALL, View, count, tiles};
use super::scratch::Scratch;
use super::tile::{Line, Strip, pieces, with_rows};
use super::{rows_at_once, widest};
use crate::error::{Error, Result};
use crate::kernels::lane::{fence, past_cache};
use crate::kernels::par;
use crate::kernels::real::Real;
use crate::simd::{Level, Simd, Work, level};
use std::ops::Range;
use std::sync::Mutex;

impl Gather {
    /// # Safety
    /// The operands lie as the fields say; the result apart from the others.
    pub unsafe fn run<T: Real>(
        &self,
        from: *const T,
        weights: *const T,
        bias: Option<*mut T>,
        to: *mut T,
    ) -> Result<()> {
        let o = Operands { from, bias: bias.map(|b| b.cast_const()), to };
        if self.is_planar::<T>() {
            // SAFETY: the caller's promise.
            return unsafe { self.planes(o, weights) };
        }
        let (cut, most) = (self.cut::<T>(), rows_at_once());
        let frame = Frame::new::<T>(&self.sweeps, cut.tile);
        let flat =
            |v: &View| self.weights.depth == v.taps.len() && v.taps.iter().enumerate().all(|(i, &t)| i == t);
        let places = self.batch * self.grid().iter().product::<usize>();
        let packed = if self.views.iter().all(flat) && places < PACKED {
            None
        } else {
            // SAFETY: the caller's promise.
            let all = self.views.iter().map(|v| unsafe { self.pack(v, weights, &cut, most) });
            Some(all.collect::<Result<Vec<Scratch>>>()?)
        };
        let offsets = |taps: Vec<usize>, pitch: usize| -> Vec<u32> {
            (0..cut.depth).flat_map(|c| taps.iter().map(move |t| (c * pitch + t) as u32)).collect()
        };
        let all = |at: &dyn Fn(&View) -> Vec<u32>| self.views.iter().map(at).collect::<Vec<_>>();
        let tables = Tables {
            frame: all(&|v| offsets(frame.taps(&v.sweeps), frame.pitch)),
            source: self.whole::<T>().then(|| all(&|v| offsets(self.source_taps(v), self.from.channel))),
            steps: [1, 2, 3, 4, 5, 6, 7, 8].map(|m| {
                let step = if packed.is_some() { m } else { 1 };
                (0..cut.depth * self.most_taps()).map(|k| (k * step) as u32).collect()
            }),
        };
        let call = Call {
            gather: self,
            cut,
            frame,
            tables,
            weights: match &packed {
                Some(all) => all.iter().map(|p| p.ptr::<T>().cast_const()).collect(),
                None => vec![weights; self.views.len()],
            },
            packed: packed.is_some(),
            most,
            level: level(),
            stream: past_cache(self.batch * self.to.image * size_of::<T>()),
            o,
        };
        call.spread()
    }
}

/// Terms of a block of channels.
struct Tables {
    /// In the frame and in the source itself, for each view.
    frame: Vec<Vec<u32>>,
    source: Option<Vec<Vec<u32>>>,
    /// In the weights of a strip of 1 to 8 rows.
    steps: [Vec<u32>; 8],
}

/// A call with all that its pieces share.
struct Call<'a, T> {
    gather: &'a Gather,
    cut: Cut,
    frame: Frame<'a>,
    tables: Tables,
    /// For each view; all the same array, where they are not packed.
    weights: Vec<*const T>,
    packed: bool,
    /// Rows at a time.
    most: usize,
    level: Level,
    /// Whether results are written past the caches.
    stream: bool,
    o: Operands<T>,
}
// SAFETY: weights are only read, and for the other operands see there.
unsafe impl<T> Sync for Call<'_, T> {}

impl<T: Real> Call<'_, T> {
    fn spread(&self) -> Result<()> {
        let g = self.gather;
        let grid = g.grid();
        let (parts, blocks) = (count(grid, self.cut.tile), g.rows.div_ceil(self.cut.rows));
        let tile = tiles(grid, self.cut.tile);
        let places = self.cut.tile.iter().product::<usize>();
        let work = places * self.cut.rows * g.depth * g.taps();
        let framed = self.frame.size(self.cut.depth);
        let woven = if self.weaves() { g.woven(self.most.min(self.cut.rows), self.cut.tile) } else { 0 };
        let failed: Mutex<Option<Error>> = Mutex::new(None);
        par::chunks(g.batch * g.groups * parts * blocks, (SMALL / work.max(1)).max(1), |_, r| {
            let done = Scratch::new((framed + woven) * size_of::<T>()).map(|scratch| {
                for i in r {
                    let (block, i) = (i % blocks, i / blocks);
                    let (origin, size) = tile(i % parts);
                    let (group, image) = (i / parts % g.groups, i / parts / g.groups);
                    let rows = block * self.cut.rows..g.rows.min((block + 1) * self.cut.rows);
                    let woven = scratch.ptr::<T>().wrapping_add(framed);
                    self.piece(image, group, rows, origin, size, scratch.ptr(), woven);
                }
                if self.stream {
                    fence(self.level);
                }
            });
            if let Err(e) = done {
                *failed.lock().unwrap_or_else(|e| e.into_inner()) = Some(e);
            }
        });
        failed.into_inner().unwrap_or_else(|e| e.into_inner()).map_or(Ok(()), Err)
    }

    /// Whether there are phases that are neighbours, and their sums can wait for each other: those of one strip at a time.
    fn weaves(&self) -> bool {
        self.gather.neighbours() && (self.cut.depth >= self.gather.depth || self.cut.rows <= self.most)
    }

    /// Lines of a tile; `at` tells how the source of its places is numbered, `to` how the result's are.
    fn lines(&self, size: [usize; 3], at: impl Fn([usize; 3]) -> usize, to: [usize; 3]) -> Vec<Line> {
        let mut lines: Vec<Line> = Vec::with_capacity(size[0] * size[1]);
        for d in 0..size[0] {
            for h in 0..size[1] {
                let line = Line { at: at([d, h, 0]), len: size[2], to: d * to[0] + h * to[1] };
                match lines.last_mut() {
                    Some(l) if l.at + l.len == line.at && l.to + l.len * to[2] == line.to => {
                        l.len += line.len
                    }
                    _ => lines.push(line),
                }
            }
        }
        lines
    }

    #[allow(clippy::too_many_arguments)]
    fn piece(
        &self,
        image: usize,
        group: usize,
        rows: Range<usize>,
        origin: [usize; 3],
        size: [usize; 3],
        scratch: *mut T,
        woven: *mut T,
    ) {
        let (g, o, weaves) = (self.gather, self.o, self.weaves());
        let start = image * g.from.image + group * g.depth * g.from.channel;
        let corner: usize = (0..3).map(|i| origin[i] * g.from.axes[i]).sum();
        // The source itself, unless reading its last vector would leave the array.
        let [_, h, w] = g.bounds;
        let source = self.tables.source.as_ref().filter(|_| {
            let last = (size[0] - 1) * h * w + (size[1] - 1) * w + size[2] + widest::<T>();
            let seen = (0..3).map(|i| g.sweeps[i].high() as usize * g.from.axes[i]).sum::<usize>();
            start + corner + (g.depth - 1) * g.from.channel + seen + last <= g.batch * g.from.image
        });
        let to = image * g.to.image
            + group * g.rows * g.to.channel
            + (0..3).map(|i| origin[i] * g.to.axes[i]).sum::<usize>();
        let places: usize = size.iter().product();
        // A view may have a place less than the tile along an axis, and so none at all.
        let size_of = |v: &View| [0, 1, 2].map(|i| size[i].min(v.grid[i].saturating_sub(origin[i])));
        let lines = |v: &View| {
            let size = size_of(v);
            if size.contains(&0) {
                return Vec::new();
            }
            let to = if weaves { [size[1] * size[2], size[2], 1] } else { g.to.axes };
            match source {
                Some(_) => self.lines(size, |[d, y, x]| (d * h + y) * w + x, to),
                None => self.lines(size, |p| self.frame.at(p), to),
            }
        };
        let lines: Vec<Vec<Line>> = g.views.iter().map(lines).collect();
        for first in (0..g.depth.max(1)).step_by(self.cut.depth) {
            let channels = self.cut.depth.min(g.depth - first);
            // SAFETY: channels of the source; the frame is this thread's.
            let (b, tables) = unsafe {
                let from = o.from.add(start + first * g.from.channel);
                match source {
                    Some(tables) => (from.add(corner), tables),
                    None => {
                        self.frame.fill(from, &g.from, g.bounds, channels, origin, size, scratch);
                        (scratch.cast_const(), &self.tables.frame)
                    }
                }
            };
            pieces(rows.clone(), self.most, |row, m| {
                for (i, view) in g.views.iter().enumerate() {
                    let taps = view.taps.len();
                    let (terms, weights) = (channels * taps, self.weights[i]);
                    // SAFETY: weights and biases of these rows; places of this piece of the result, which nobody else writes, or of what is
                    // woven, which is this thread's.
                    with_rows!(m, M => unsafe {
                        let mut a = [weights; M];
                        let mut bias = [T::default(); M];
                        for k in 0..M {
                            a[k] = if self.packed {
                                weights.add((group * g.rows + row) * g.depth * taps + first * taps * M + k)
                            } else {
                                weights.add(group * g.weights.group + (row + k) * g.weights.row + first * taps)
                            };
                            if let (Some(p), 0) = (o.bias, first) {
                                bias[k] = *p.add(group * g.rows + row + k);
                            }
                        }
                        self.level.run(Strip::<T, M> {
                            a,
                            a_at: &self.tables.steps[M - 1][..terms],
                            b,
                            b_at: &tables[i][..terms],
                            lines: &lines[i],
                            to: if weaves {
                                woven.add(i * M * places)
                            } else {
                                o.to.add(to + view.origin + row * g.to.channel)
                            },
                            pitch: if weaves { places } else { g.to.channel },
                            step: if weaves { 1 } else { g.to.axes[2] },
                            bias,
                            add: first > 0,
                            stream: self.stream && !weaves && g.depth <= self.cut.depth,
                        });
                    });
                }
                if weaves && first + channels == g.depth {
                    let mut done = 0;
                    for phases in g.views.chunk_by(|a, b| a.phase[..2] == b.phase[..2]) {
                        let size = size_of(&phases[0]);
                        self.level.run(Weave {
                            // SAFETY: what is woven has room for all views, one after the other.
                            from: unsafe { woven.add(done * m * places) },
                            phase: m * places,
                            row: places,
                            lens: &phases.iter().map(|v| size_of(v)[2]).collect::<Vec<_>>(),
                            rows: m,
                            lines: [size[0], size[1]],
                            // SAFETY: places of this piece.
                            to: unsafe { o.to.add(to + phases[0].origin + row * g.to.channel) },
                            step: [g.to.channel, g.to.axes[0], g.to.axes[1], g.to.axes[2]],
                        });
                        done += phases.len();
                    }
                }
            });
        }
    }
}

/// Writes lines whose elements lie apart by the phases of the last axis' stride.
struct Weave<'a, T> {
    /// Planes of a phase, of a row, of a line.
    from: *const T,
    phase: usize,
    row: usize,
    /// Elements of a line, for each phase; all but the first may have one less.
    lens: &'a [usize],
    rows: usize,
    /// Along the two other axes.
    lines: [usize; 2],
    to: *mut T,
    /// Distances of rows, of lines along both axes, and of a phase's neighbours.
    step: [usize; 4],
}

impl<T: Real> Work for Weave<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (lanes, [d, h]) = (T::count::<S>(), self.lines);
        let [row, plane, line, step] = self.step;
        for i in 0..self.rows * d * h {
            let (m, l) = (i / (d * h), i % (d * h));
            // SAFETY: who made this promised lines of these lengths, and room for all of their elements.
            unsafe {
                let to = self.to.add(m * row + l / h * plane + l % h * line);
                let from =
                    |phase: usize| self.from.add(phase * self.phase + m * self.row + l * self.lens[phase]);
                let mut done = 0;
                if let (2, &[_, n]) = (step, self.lens) {
                    let (even, odd) = (from(0), from(1));
                    while done + lanes <= n {
                        let (a, b) = T::zip(s, T::load(s, even.add(done)), T::load(s, odd.add(done)));
                        T::store(s, to.add(2 * done), a, false);
                        T::store(s, to.add(2 * done + lanes), b, false);
                        done += lanes;
                    }
                }
                for phase in 0..self.lens.len() {
                    let from = from(phase);
                    for k in done..self.lens[phase] {
                        *to.add(k * step + phase) = *from.add(k);
                    }
                }
            }
        }
    }
}
