//! Minimal filtering with weights that were transformed once: then it pays for few tiles, too, whose products are small beside the weights.
//!
//! Tiles of all channels are transformed first, then each panel of filters goes over them; or, where weights are small enough to be read
//! again and again, both is done for a few lines of tiles at a time, while they are in the second cache.

use super::super::panel::{Flush, Operands, Outer, PLACES as AT_ONCE, Stretch, WIDE, panels, with_places};
use super::super::tile::pieces;
use super::super::{Conv, Pass};
use super::{Fast, First, PLACES, Scratch, Split, fits, tiles};
use crate::error::Result;
use crate::kernels::par;
use crate::kernels::product::Shared;
use crate::kernels::real::Real;
use crate::simd::{MAX_LANES, Simd, Work, level};
use std::ops::Range;

/// Tiles and lengths of a line below which too little of the vectors is used.
const TILES: usize = 12;
const SHORT: usize = 4;
/// Bytes of transformed weights that are read again for each few lines.
const WEIGHTS: usize = 3 << 20;
/// Bytes of tiles of all channels, for a few lines and for many.
const FEW: usize = 320 << 10;
const MANY: usize = 8 << 20;
/// Tiles whose products wait for each other.
const BLOCK: usize = 56;
/// Channels of a panel at a time.
const DEPTH: usize = 512;
/// Pieces that work is cut into at least.
const PIECE: usize = 14;

/// Whether minimal filtering pays once the weights are transformed.
pub(in super::super) fn pays_ready(conv: &Conv) -> bool {
    let [_, h, w] = conv.axes;
    fits(conv) && tiles(conv) >= TILES && h.output.min(w.output) >= SHORT
}

/// The result from data and transformed weights.
/// # Safety
/// The operands have the sizes that the convolution says.
pub(in super::super) fn ready<T: Real>(conv: &Conv, o: &Operands<T>) -> Result<()> {
    let f = Fast::new(conv, Pass::Forward);
    let (width, lines) = f.tiles();
    let line = PLACES * f.groups * f.depth * width * size_of::<T>();
    let weights = PLACES * f.groups * panels(f.rows, f.depth) * size_of::<T>();
    let few = (FEW / line).max(AT_ONCE.div_ceil(width)).max(1);
    let (stage, apart) = if weights <= WEIGHTS && lines.div_ceil(few) >= PIECE {
        (few.min(lines / PIECE).max(1), true)
    } else {
        ((MANY / line).clamp(1, lines), false)
    };
    let (stages, failed) = (lines.div_ceil(stage), First::default());
    let one = |i: usize| failed.keep(run(&f, o, i * stage..lines.min((i + 1) * stage)));
    if apart {
        par::chunks(stages, 1, |_, r| r.for_each(one));
    } else {
        (0..stages).for_each(one);
    }
    failed.end()
}

/// Some lines of tiles.
fn run<T: Real>(f: &Fast, o: &Operands<T>, lines: Range<usize>) -> Result<()> {
    let (width, _) = f.tiles();
    let count = lines.len() * width;
    // A vector more than there are tiles, since lines are written by whole vectors; an odd number of cache lines.
    let unit = 64 / size_of::<T>();
    let pitch = ((count + MAX_LANES).div_ceil(unit) | 1) * unit;
    let channels = f.groups * f.depth;
    let seen = Scratch::new(PLACES * channels * pitch * size_of::<T>())?;
    let (seen, level, failed) = (Shared(seen.ptr::<T>()), level(), First::default());
    par::chunks(channels, channels.div_ceil(PIECE), |_, r| {
        failed.keep(Scratch::new(f.buffer() * size_of::<T>()).map(|buffer| {
            for c in r {
                // SAFETY: a channel of the data, whose tiles nobody else writes.
                let from = unsafe { o.x.add(c * f.from.channel) };
                let (to, apart) = (seen.at((c * pitch) as isize), channels * pitch);
                level.run(Split { f, from, lines: lines.clone(), to, apart, buffer: buffer.ptr() });
            }
        }));
    });
    let blocks = f.rows.div_ceil(WIDE);
    let mut step = (BLOCK / width).clamp(1, lines.len());
    while f.groups * blocks * lines.len().div_ceil(step) < PIECE && step > 1 && step * width >= 4 * AT_ONCE {
        step = step.div_ceil(2);
    }
    let table: Vec<u32> = (0..f.depth.min(DEPTH)).map(|c| (c * pitch) as u32).collect();
    let parts = lines.len().div_ceil(step);
    let most = step * width;
    let [height, wide] = f.result;
    par::chunks(f.groups * blocks * parts, 1, |_, r| {
        let room = (PLACES * most + 4 * most + MAX_LANES) * WIDE;
        failed.keep(Scratch::new(room * size_of::<T>()).map(|scratch| {
            for i in r {
                let (part, block, group) = (i % parts, i / parts % blocks, i / parts / blocks);
                let first = part * step;
                let here = first..lines.len().min(first + step);
                let tiles = here.len() * width;
                let filters = WIDE.min(f.rows - block * WIDE);
                // SAFETY: the panels of these filters, tiles that were written above, and this thread's scratch; results of these filters and
                // lines, which nobody else writes.
                unsafe {
                    let products = scratch.ptr::<T>();
                    let results = products.add(PLACES * most * WIDE);
                    for p in 0..PLACES {
                        let panel = ((group * PLACES + p) * blocks + block) * f.depth * WIDE;
                        for depth in (0..f.depth).step_by(DEPTH) {
                            let n = DEPTH.min(f.depth - depth);
                            let x = seen
                                .at(((p * channels + group * f.depth + depth) * pitch + first * width)
                                    as isize);
                            pieces(0..tiles, AT_ONCE, |t, m| {
                                with_places!(m, M => level.run(Outer::<T, M> {
                                    a: std::array::from_fn(|k| x.wrapping_add(t + k).cast_const()),
                                    a_at: &table[..n],
                                    b: o.w.add(panel + depth * WIDE),
                                    filters,
                                    to: products.add((p * most + t) * WIDE),
                                    add: depth > 0,
                                }))
                            });
                        }
                    }
                    level.run(Merge {
                        products,
                        apart: most * WIDE,
                        tiles,
                        width,
                        wide,
                        filters,
                        to: results,
                    });
                    // Two lines of results for each of tiles.
                    let mut stretches: Vec<Stretch> = Vec::with_capacity(2 * here.len());
                    let mut image = usize::MAX;
                    let plane = group * f.rows + block * WIDE;
                    let flush = |stretches: &[Stretch], image: usize| {
                        let to = image * f.to.image + plane * f.to.channel;
                        level.run(Flush {
                            from: results,
                            stretches,
                            filters,
                            to: o.to.add(to),
                            pitch: f.to.channel,
                            finish: o.finish.from(plane, to),
                        });
                    };
                    for n in here {
                        let (of, row) = f.at(lines.start + n);
                        if of != image && !stretches.is_empty() {
                            flush(&stretches, image);
                            stretches.clear();
                        }
                        image = of;
                        for i in 0..2.min(height - 2 * row) {
                            let (at, to) = ((2 * (n - first) + i) * wide, (2 * row + i) * wide);
                            match stretches.last_mut() {
                                Some(s) if s.at + s.len == at && s.to + s.len == to => s.len += wide,
                                _ => stretches.push(Stretch { at, to, len: wide }),
                            }
                        }
                    }
                    flush(&stretches, image);
                }
            }
        }));
    });
    failed.end()
}

/// Aᵀ m A of tiles, filters side by side: a line of tiles gives two lines of places.
struct Merge<T> {
    products: *const T,
    /// From place to place of the products.
    apart: usize,
    tiles: usize,
    /// Tiles of a line, and places of one.
    width: usize,
    wide: usize,
    filters: usize,
    to: *mut T,
}

impl<T: Real> Work for Merge<T> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let lanes = T::count::<S>();
        for t in 0..self.tiles {
            let (line, x) = (t / self.width, t % self.width * 2);
            let whole = x + 1 < self.wide;
            for j in (0..self.filters).step_by(lanes) {
                // SAFETY: products of whole panels, and room for four places of each tile.
                unsafe {
                    let from = self.products.add(t * WIDE + j);
                    let down: [[T::V<S>; 2]; 4] = std::array::from_fn(|k| {
                        let m: [T::V<S>; 4] =
                            std::array::from_fn(|i| T::load(s, from.add((4 * i + k) * self.apart)));
                        [m[0] + m[1] + m[2], m[1] - m[2] - m[3]]
                    });
                    for i in 0..2 {
                        let to = self.to.add(((2 * line + i) * self.wide + x) * WIDE + j);
                        T::store(s, to, down[0][i] + down[1][i] + down[2][i], false);
                        if whole {
                            T::store(s, to.add(WIDE), down[1][i] - down[2][i] - down[3][i], false);
                        }
                    }
                }
            }
        }
    }
}
