//! A result whose places each see the same taps of a source: a convolution, or one phase of a deconvolution.
//!
//! The work is cut into tiles of places, blocks of rows (channels of the result) and groups; each piece copies the frame that it needs,
//! block by block of the source's channels, and runs the strips of its rows over it. How it is cut depends on sizes alone.

use super::frame::{Frame, Sweep};
use super::scratch::Scratch;
use super::tile::{Line, Strip, pieces, with_rows};
use super::{Place, SIDE, rows_at_once, widest};
use crate::error::{Error, Result};
use crate::kernels::par;
use crate::kernels::real::Real;
use crate::simd::{Level, MAX_LANES, level};
use std::sync::Mutex;

/// Where the weights of a group, a row, a channel of the source and a tap lie.
pub(super) struct Weights {
    pub group: usize,
    pub row: usize,
    pub depth: usize,
    pub taps: Vec<usize>,
}

/// `to[n, g, row, j] = bias + Σ_{channel, tap} weight · from[n, g, channel, j·step + shift(tap)]`
pub(super) struct Gather {
    pub batch: usize,
    pub groups: usize,
    pub rows: usize,
    /// Channels of the source in a group.
    pub depth: usize,
    pub from: Place,
    /// Sizes of the source's axes; beyond them it is 0.
    pub bounds: [usize; 3],
    pub to: Place,
    /// Where the first place is written.
    pub origin: usize,
    /// Number of places along each axis.
    pub grid: [usize; 3],
    pub sweeps: [Sweep; 3],
    pub weights: Weights,
}

/// Bytes of a frame.
pub(super) const FRAME: usize = 384 << 10;
/// Terms of a block of channels, so that a strip's weights stay in the first cache.
const TERMS: usize = 1024;
/// Multiplications of a piece of work that is worth another thread.
pub(super) const SMALL: usize = 64 * 64 * 64;
/// Pieces that a large call is cut into at least.
pub(super) const PIECES: usize = 16;
/// Places from which on rearranged weights pay.
const PACKED: usize = 512;

/// How the work is cut.
struct Cut {
    tile: [usize; 3],
    /// Channels of the source at a time.
    depth: usize,
    /// Rows of a piece.
    rows: usize,
}

/// A smaller tile; false when it is as small as it gets.
pub(super) fn shrink(tile: &mut [usize; 3]) -> bool {
    let i = if tile[0] > 1 {
        0
    } else if tile[1] > 1 {
        1
    } else if tile[2] > 64 {
        2
    } else {
        return false;
    };
    tile[i] = tile[i].div_ceil(2);
    true
}

/// The tiles of a grid, as origin and size.
pub(super) fn tiles(grid: [usize; 3], tile: [usize; 3]) -> impl Fn(usize) -> ([usize; 3], [usize; 3]) {
    let n = [0, 1, 2].map(|i| grid[i].div_ceil(tile[i]));
    move |t| {
        let at = [t / (n[1] * n[2]), t / n[2] % n[1], t % n[2]];
        let origin = [0, 1, 2].map(|i| at[i] * tile[i]);
        (origin, [0, 1, 2].map(|i| tile[i].min(grid[i] - origin[i])))
    }
}

pub(super) fn count(grid: [usize; 3], tile: [usize; 3]) -> usize {
    (0..3).map(|i| grid[i].div_ceil(tile[i])).product()
}

/// One thread's view of the operands.
#[derive(Clone, Copy)]
struct Operands<T> {
    from: *const T,
    weights: *const T,
    bias: Option<*const T>,
    to: *mut T,
}
// SAFETY: inputs are only read; each piece of work writes its own part of the result.
unsafe impl<T> Send for Operands<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Operands<T> {}

impl Gather {
    fn cut<T: Real>(&self) -> Cut {
        let taps = self.weights.taps.len().max(1);
        let mut cut =
            Cut { tile: self.grid, depth: self.depth.clamp(1, (TERMS / taps).max(1)), rows: self.rows };
        let bytes = |c: &Cut| Frame::new::<T>(&self.sweeps, c.tile).size(c.depth) * size_of::<T>();
        while bytes(&cut) > FRAME {
            // Channels first where the tile is small already: a wide tile reads its weights more often.
            let places: usize = cut.tile.iter().product();
            if places <= 256 && cut.depth > 1 {
                cut.depth = cut.depth.div_ceil(2);
            } else if !shrink(&mut cut.tile) {
                if cut.depth == 1 {
                    break;
                }
                cut.depth = cut.depth.div_ceil(2);
            }
        }
        let pieces =
            |c: &Cut| self.batch * self.groups * count(self.grid, c.tile) * self.rows.div_ceil(c.rows);
        let work = |c: &Cut| c.tile.iter().product::<usize>() * c.rows * self.depth * taps;
        while pieces(&cut) < PIECES && work(&cut) > 2 * SMALL {
            if cut.rows > 16 && cut.tile.iter().product::<usize>() <= 4 * SIDE * MAX_LANES {
                cut.rows = cut.rows.div_ceil(2).next_multiple_of(8);
            } else if cut.tile[0] > 1 || cut.tile[1] > 1 {
                shrink(&mut cut.tile);
            } else if cut.rows > 8 {
                cut.rows = cut.rows.div_ceil(2).next_multiple_of(8);
            } else {
                break;
            }
        }
        cut
    }

    /// Weights of all groups, one strip of rows after the other, the rows of a strip side by side.
    /// # Safety
    /// The weights lie as [`Weights`] says.
    unsafe fn pack<T: Real>(&self, weights: *const T, cut: &Cut, most: usize) -> Result<Scratch> {
        let w = &self.weights;
        let terms = self.depth * w.taps.len();
        let packed = Scratch::new(self.groups * self.rows * terms * size_of::<T>())?;
        let o = Operands { from: weights, weights, bias: None, to: packed.ptr::<T>() };
        let blocks = self.rows.div_ceil(cut.rows);
        par::chunks(self.groups * blocks, (SMALL / (16 * cut.rows * terms).max(1)).max(1), |_, r| {
            let o = &o;
            for i in r {
                let (g, block) = (i / blocks, i % blocks);
                pieces(block * cut.rows..self.rows.min((block + 1) * cut.rows), most, |row, m| {
                    // SAFETY: weights of these rows, and their part of the block.
                    unsafe {
                        let to = o.to.add((g * self.rows + row) * terms);
                        for k in 0..m {
                            let from = o.from.add(g * w.group + (row + k) * w.row);
                            for c in 0..self.depth {
                                let (from, to) = (from.add(c * w.depth), to.add(c * w.taps.len() * m + k));
                                for (t, &at) in w.taps.iter().enumerate() {
                                    *to.add(t * m) = *from.add(at);
                                }
                            }
                        }
                    }
                });
            }
        });
        Ok(packed)
    }

    /// # Safety
    /// The operands lie as the fields say; the result apart from the others.
    pub unsafe fn run<T: Real>(
        &self,
        from: *const T,
        weights: *const T,
        bias: Option<*mut T>,
        to: *mut T,
    ) -> Result<()> {
        let (cut, most) = (self.cut::<T>(), rows_at_once());
        let frame = Frame::new::<T>(&self.sweeps, cut.tile);
        let taps = self.weights.taps.len();
        let flat = self.weights.depth == taps && self.weights.taps.iter().enumerate().all(|(i, &t)| i == t);
        let places = self.batch * self.grid.iter().product::<usize>();
        let packed = if flat && places < PACKED {
            None
        } else {
            // SAFETY: the caller's promise.
            Some(unsafe { self.pack(weights, &cut, most)? })
        };
        let tables = Tables {
            frame: offsets(&frame.taps(), cut.depth, frame.pitch),
            source: self.whole::<T>().then(|| offsets(&self.source_taps(), cut.depth, self.from.channel)),
            steps: [1, 2, 3, 4, 5, 6, 7, 8].map(|m| {
                let step = if packed.is_some() { m } else { 1 };
                (0..cut.depth * taps).map(|k| (k * step) as u32).collect()
            }),
        };
        let call = Call {
            gather: self,
            cut,
            frame,
            tables,
            packed: packed.is_some(),
            most,
            level: level(),
            o: Operands {
                from,
                weights: packed.as_ref().map_or(weights, |p| p.ptr::<T>()),
                bias: bias.map(|b| b.cast_const()),
                to: to.wrapping_add(self.origin),
            },
        };
        call.spread()
    }

    /// Whether the source can be read where it is: rows that need no padding and lie together, channels that do not meet in the cache.
    fn whole<T: Real>(&self) -> bool {
        let inside = (0..3).all(|i| {
            let s = &self.sweeps[i];
            let last = s.high() + self.grid[i] as isize - 1;
            s.step == 1 && s.low() >= 0 && last < self.bounds[i] as isize
        });
        let apart = self.depth < 16 || !(self.from.channel * size_of::<T>()).is_multiple_of(2048);
        let [_, h, w] = self.bounds;
        inside && apart && self.from.axes == [h * w, w, 1] && self.from.channel * self.depth < 1 << 31
    }

    /// Offsets of the taps in the source.
    fn source_taps(&self) -> Vec<usize> {
        let mut all = vec![0];
        for (i, s) in self.sweeps.iter().enumerate() {
            let step = self.from.axes[i];
            all = all.iter().flat_map(|t| s.shifts.iter().map(move |&d| t + d as usize * step)).collect();
        }
        all
    }
}

fn offsets(taps: &[usize], channels: usize, pitch: usize) -> Vec<u32> {
    (0..channels).flat_map(|c| taps.iter().map(move |t| (c * pitch + t) as u32)).collect()
}

struct Tables {
    /// Terms of a block of channels, in the frame and in the source itself.
    frame: Vec<u32>,
    source: Option<Vec<u32>>,
    /// The same terms in the weights of a strip of 1 to 8 rows.
    steps: [Vec<u32>; 8],
}

struct Call<'a, T> {
    gather: &'a Gather,
    cut: Cut,
    frame: Frame<'a>,
    tables: Tables,
    packed: bool,
    most: usize,
    level: Level,
    o: Operands<T>,
}

impl<T: Real> Call<'_, T> {
    fn spread(&self) -> Result<()> {
        let g = self.gather;
        let (parts, blocks) = (count(g.grid, self.cut.tile), g.rows.div_ceil(self.cut.rows));
        let tile = tiles(g.grid, self.cut.tile);
        let work = self.cut.tile.iter().product::<usize>() * self.cut.rows * g.depth * g.weights.taps.len();
        let failed: Mutex<Option<Error>> = Mutex::new(None);
        par::chunks(g.batch * g.groups * parts * blocks, (SMALL / work.max(1)).max(1), |_, r| {
            let done = Scratch::new(self.frame.size(self.cut.depth) * size_of::<T>()).map(|scratch| {
                for i in r {
                    let (block, i) = (i % blocks, i / blocks);
                    let (origin, size) = tile(i % parts);
                    let (group, image) = (i / parts % g.groups, i / parts / g.groups);
                    let rows = block * self.cut.rows..g.rows.min((block + 1) * self.cut.rows);
                    self.piece(image, group, rows, origin, size, scratch.ptr());
                }
            });
            if let Err(e) = done {
                *failed.lock().unwrap_or_else(|e| e.into_inner()) = Some(e);
            }
        });
        failed.into_inner().unwrap_or_else(|e| e.into_inner()).map_or(Ok(()), Err)
    }

    /// Lines of a tile; `at` tells how the source of its places is numbered.
    fn lines(&self, size: [usize; 3], at: impl Fn([usize; 3]) -> usize) -> Vec<Line> {
        let to = self.gather.to.axes;
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

    fn piece(
        &self,
        image: usize,
        group: usize,
        rows: std::ops::Range<usize>,
        origin: [usize; 3],
        size: [usize; 3],
        scratch: *mut T,
    ) {
        let (g, o) = (self.gather, self.o);
        let taps = g.weights.taps.len();
        let start = image * g.from.image + group * g.depth * g.from.channel;
        let corner: usize = (0..3).map(|i| origin[i] * g.from.axes[i]).sum();
        // The source itself, unless reading its last vector would leave the array.
        let [_, h, w] = g.bounds;
        let source = self.tables.source.as_ref().filter(|_| {
            let last = (size[0] - 1) * h * w + (size[1] - 1) * w + size[2] + widest::<T>();
            let seen = (0..3).map(|i| g.sweeps[i].high() as usize * g.from.axes[i]).sum::<usize>();
            start + corner + (g.depth - 1) * g.from.channel + seen + last <= g.batch * g.from.image
        });
        let lines = match source {
            Some(_) => self.lines(size, |[d, y, x]| (d * h + y) * w + x),
            None => self.lines(size, |p| self.frame.at(p)),
        };
        let to = image * g.to.image
            + group * g.rows * g.to.channel
            + (0..3).map(|i| origin[i] * g.to.axes[i]).sum::<usize>();
        for first in (0..g.depth.max(1)).step_by(self.cut.depth) {
            let channels = self.cut.depth.min(g.depth - first);
            // SAFETY: channels of the source; places of this piece of the result, which nobody else writes; the frame is this thread's.
            unsafe {
                let from = o.from.add(start + first * g.from.channel);
                let (b, table) = match source {
                    Some(table) => (from.add(corner), table),
                    None => {
                        self.frame.fill(from, &g.from, g.bounds, channels, origin, size, scratch);
                        (scratch.cast_const(), &self.tables.frame)
                    }
                };
                let terms = channels * taps;
                pieces(rows.clone(), self.most, |row, m| {
                    with_rows!(m, M => {
                        let mut a = [o.weights; M];
                        let mut bias = [T::default(); M];
                        for k in 0..M {
                            a[k] = if self.packed {
                                o.weights.add((group * g.rows + row) * g.depth * taps + first * taps * M + k)
                            } else {
                                o.weights.add(group * g.weights.group + (row + k) * g.weights.row + first * taps)
                            };
                            if let (Some(p), 0) = (o.bias, first) {
                                bias[k] = *p.add(group * g.rows + row + k);
                            }
                        }
                        self.level.run(Strip::<T, M> {
                            a,
                            a_at: &self.tables.steps[M - 1][..terms],
                            b,
                            b_at: &table[..terms],
                            lines: &lines,
                            to: o.to.add(to + row * g.to.channel),
                            pitch: g.to.channel,
                            step: g.to.axes[2],
                            bias,
                            add: first > 0,
                        });
                    })
                });
            }
        }
    }
}
