//! A result whose places each see the same taps of a source: a convolution, or the phases of a deconvolution.
//!
//! The work is cut into tiles of places, blocks of rows (channels of the result) and groups ([`super::piece`]). How it is cut depends on sizes
//! alone.

use super::frame::{Frame, Sweep};
use super::scratch::Scratch;
use super::tile::pieces;
use super::{Place, SIDE};
use crate::error::Result;
use crate::kernels::par;
use crate::kernels::real::Real;
use crate::simd::MAX_LANES;

/// Where the weights of a group, a row and a channel of the source lie.
pub(super) struct Weights {
    pub group: usize,
    pub row: usize,
    pub depth: usize,
}

/// Places that see the same taps.
pub(super) struct View {
    /// Of the stride of a deconvolution.
    pub phase: [usize; 3],
    /// Where the first place is written.
    pub origin: usize,
    /// Number of places along each axis.
    pub grid: [usize; 3],
    pub sweeps: [Sweep; 3],
    /// Where the taps lie in the weights.
    pub taps: Vec<usize>,
}

/// `to[n, g, row, j] = bias + Σ_{channel, tap} weight · from[n, g, channel, j·step + shift(tap)]` for the places j of each view.
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
    /// What any of the views sees.
    pub sweeps: [Sweep; 3],
    /// At least one, the last axis' phase fastest.
    pub views: Vec<View>,
    pub weights: Weights,
}

/// Rows of a strip, at most.
const STRIP: usize = 8;
/// Bytes of results that wait to be woven.
const WOVEN: usize = 512 << 10;
/// Bytes of a frame.
pub(super) const FRAME: usize = 384 << 10;
/// Terms of a block of channels, so that a strip's weights stay in the first cache.
const TERMS: usize = 1024;
/// Multiplications of a piece of work that is worth another thread.
pub(super) const SMALL: usize = 64 * 64 * 64;
/// Pieces that a large call is cut into at least.
pub(super) const PIECES: usize = 16;
/// Places from which on rearranged weights pay.
pub(super) const PACKED: usize = 512;
/// Rows up to which weights are so few that fewer channels at a time are better than fewer places, and the terms that a block keeps then.
const FEW: usize = 4;
const FEW_TERMS: usize = 256;

/// How the work is cut.
pub(super) struct Cut {
    pub tile: [usize; 3],
    /// Channels of the source at a time.
    pub depth: usize,
    /// Rows of a piece.
    pub rows: usize,
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

/// The operands of a call.
#[derive(Clone, Copy)]
pub(super) struct Operands<T> {
    pub from: *const T,
    pub bias: Option<*const T>,
    pub to: *mut T,
}
// SAFETY: inputs are only read; each piece of work writes its own part of the result.
unsafe impl<T> Send for Operands<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Operands<T> {}

impl Gather {
    /// The most places along each axis that a view has.
    pub fn grid(&self) -> [usize; 3] {
        [0, 1, 2].map(|i| self.views.iter().map(|v| v.grid[i]).max().unwrap_or(0))
    }

    /// Taps of all views.
    pub fn taps(&self) -> usize {
        self.views.iter().map(|v| v.taps.len()).sum()
    }

    /// Taps of the view that has the most.
    pub fn most_taps(&self) -> usize {
        self.views.iter().map(|v| v.taps.len()).max().unwrap_or(0).max(1)
    }

    /// Whether there are views whose places are neighbours in the result.
    pub fn neighbours(&self) -> bool {
        self.views.get(1).is_some_and(|v| v.phase == [0, 0, 1] && v.origin == 1)
    }

    /// Elements of the results of so many rows of a tile, for all views.
    pub fn woven(&self, rows: usize, tile: [usize; 3]) -> usize {
        self.views.len() * rows * tile.iter().product::<usize>()
    }

    pub fn cut<T: Real>(&self) -> Cut {
        let (taps, grid) = (self.most_taps(), self.grid());
        let mut cut = Cut { tile: grid, depth: self.depth.clamp(1, (TERMS / taps).max(1)), rows: self.rows };
        let bytes = |c: &Cut| Frame::new::<T>(&self.sweeps, c.tile).size(c.depth) * size_of::<T>();
        while bytes(&cut) > FRAME {
            // Channels first where the tile is small already: a wide tile reads its weights more often.
            let places: usize = cut.tile.iter().product();
            let few = self.rows <= FEW && cut.depth * taps >= 2 * FEW_TERMS;
            if (places <= 256 || few) && cut.depth > 1 {
                cut.depth = cut.depth.div_ceil(2);
            } else if !shrink(&mut cut.tile) {
                if cut.depth == 1 {
                    break;
                }
                cut.depth = cut.depth.div_ceil(2);
            }
        }
        let rows = cut.rows.min(STRIP);
        while self.neighbours()
            && self.woven(rows, cut.tile) * size_of::<T>() > WOVEN
            && shrink(&mut cut.tile)
        {}
        let pieces = |c: &Cut| self.batch * self.groups * count(grid, c.tile) * self.rows.div_ceil(c.rows);
        let work = |c: &Cut| c.tile.iter().product::<usize>() * c.rows * self.depth * self.taps();
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

    /// Weights of all groups for a view, one strip of rows after the other, the rows of a strip side by side.
    /// # Safety
    /// The weights lie as [`Weights`] says.
    pub unsafe fn pack<T: Real>(
        &self,
        view: &View,
        weights: *const T,
        cut: &Cut,
        most: usize,
    ) -> Result<Scratch> {
        let (w, taps) = (&self.weights, &view.taps);
        let terms = self.depth * taps.len();
        let packed = Scratch::new(self.groups * self.rows * terms * size_of::<T>())?;
        let o = Operands { from: weights, bias: None, to: packed.ptr::<T>() };
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
                                let (from, to) = (from.add(c * w.depth), to.add(c * taps.len() * m + k));
                                for (t, &at) in taps.iter().enumerate() {
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

    /// Whether the source can be read where it is: rows that need no padding and lie together, channels that do not meet in the cache.
    pub fn whole<T: Real>(&self) -> bool {
        let grid = self.grid();
        let inside = (0..3).all(|i| {
            let s = &self.sweeps[i];
            let last = s.high() + grid[i] as isize - 1;
            s.step == 1 && s.low() >= 0 && last < self.bounds[i] as isize
        });
        let apart = self.depth < 16 || !(self.from.channel * size_of::<T>()).is_multiple_of(2048);
        let [_, h, w] = self.bounds;
        inside && apart && self.from.axes == [h * w, w, 1] && self.from.channel * self.depth < 1 << 31
    }

    /// Offsets of the taps in the source.
    pub fn source_taps(&self, view: &View) -> Vec<usize> {
        let mut all = vec![0];
        for (i, s) in view.sweeps.iter().enumerate() {
            let step = self.from.axes[i];
            all = all.iter().flat_map(|t| s.shifts.iter().map(move |&d| t + d as usize * step)).collect();
        }
        all
    }
}
