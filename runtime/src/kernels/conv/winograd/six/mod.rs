//! Kernels of 3 by 3 or 5 by 5 taps on images side by side, by minimal filtering with six points: 4 by 4 results, or 2 by 2, from thirty-six
//! products instead of a hundred or more.
//!
//! As in the file above, with the points 0, ±1, ±2 and ∞ (F(4×4, 3×3) and F(2×2, 5×5)); sixteen images lie in the lanes, so that a tile of 6 by 6
//! elements is thirty-six vectors wherever it begins. Without padding there are fewer tiles of results than of data, and the data is computed
//! by the transpose of all that, `B [ (G w Gᵀ)ᵀ (A y Aᵀ) ] Bᵀ`, whose tiles overlap and are added up. Factors up to 8 and thirds make the errors some ten times those of the plain sum.

mod tiles;

use super::{Fast, First};
use crate::error::Result;
use crate::kernels::conv::dots::{Block, SIDE as FILTERS};
use crate::kernels::conv::gather::SMALL;
use crate::kernels::conv::scratch::Scratch;
use crate::kernels::conv::tile::{Line, Strip, pieces, with_rows};
use crate::kernels::conv::{ABREAST, Axis, Conv, Pass, Place, SIDE, rows_at_once};
use crate::kernels::copy::fill;
use crate::kernels::par;
use crate::kernels::product::Shared;
use crate::kernels::real::Real;
use crate::simd::{Level, level};
use crate::storage::Span;
use std::ops::Deref;
use tiles::{Gather, Join, Split, SplitLine, Spread, SpreadLine, Tiles};

/// Points, which is the side of a tile.
const SIX: usize = 6;
/// Places of a tile.
const PLACES: usize = SIX * SIX;
/// Channels below which the transforms cost more than the products save.
const CHANNELS: usize = 8;
/// Tiles below which transforming the weights does not pay.
const TILES: usize = 32;
/// Bytes of transformed tiles of a block, about a second cache.
const BLOCK: usize = 640 << 10;
/// Tiles at a time for the weights: sums across lanes are taken at the end of each block.
const LONG: usize = 24;
/// Groups of images that are enough pieces of work.
const PIECES: usize = 4;
/// Partial sums of the weights.
const PARTS: usize = 8;

/// Whether this is such a convolution, of images that are computed side by side.
pub(in super::super) fn pays(conv: &Conv, pass: Pass) -> bool {
    let [d, h, w] = conv.axes;
    let square = [h, w].iter().all(|a| matches!(a.kernel, 3 | 5) && a.stride == 1 && a.dilate == 1);
    if !square || h.kernel != w.kernel || d != Axis::NONE || conv.channels.min(conv.filters) < CHANNELS {
        return false;
    }
    let f = Six::new(conv, if pass == Pass::Data && turns(conv) { Pass::Forward } else { pass });
    let (tiles, taps) = (f.high * f.wide, f.taps * f.taps);
    // Without padding the data is computed from the results by as many products as forward.
    let [high, wide] = if pass == Pass::Data && h.pad == 0 && w.pad == 0 { f.source } else { f.result };
    tiles * conv.batch.div_ceil(ABREAST) >= TILES && tiles * PLACES * 5 <= high * wide * taps * 3
}

/// Whether the data is computed by the transpose of the convolution.
pub(in super::super) fn turns(conv: &Conv) -> bool {
    let [_, h, w] = conv.axes;
    let side = SIX + 1 - h.kernel;
    let tiles = |h: usize, w: usize| h.div_ceil(side) * w.div_ceil(side);
    // A thread adds up the tiles of sixteen images.
    let many = conv.batch.div_ceil(ABREAST) * conv.groups >= PIECES;
    many && h.pad == 0 && w.pad == 0 && tiles(h.output, w.output) < tiles(h.input, w.input)
}

/// A convolution as this file sees it.
struct Six {
    /// With places of images side by side.
    plan: Fast,
    taps: usize,
    /// Results along the side of a tile; tiles of an image along both axes; all tiles.
    side: usize,
    high: usize,
    wide: usize,
    tiles: usize,
    /// G.
    rule: [[f64; 5]; SIX],
}

impl Deref for Six {
    type Target = Fast;
    fn deref(&self) -> &Fast {
        &self.plan
    }
}

/// An image's place in memory with sixteen side by side.
fn widened(p: Place) -> Place {
    Place { image: p.image * ABREAST, channel: p.channel * ABREAST, axes: p.axes.map(|a| a * ABREAST) }
}

/// The weights' transform: in a line `N (1, a, a², …)` of a point a, where 1/N is the product of its distances from the others.
fn rule(taps: usize) -> [[f64; 5]; SIX] {
    let points = [(0.0, 0.25), (1.0, -1.0 / 6.0), (-1.0, -1.0 / 6.0), (2.0, 1.0 / 24.0), (-2.0, 1.0 / 24.0)];
    let mut rule = [[0.0; 5]; SIX];
    for (row, (a, n)) in rule.iter_mut().zip(points) {
        (0..taps).for_each(|i| row[i] = n * f64::powi(a, i as i32));
    }
    rule[SIX - 1][taps - 1] = 1.0;
    rule
}

impl Six {
    /// `conv.batch` counts images.
    fn new(conv: &Conv, pass: Pass) -> Six {
        let plan = Fast::new(conv, pass);
        let plan = Fast { from: widened(plan.from), to: widened(plan.to), ..plan };
        let taps = conv.axes[1].kernel;
        let side = SIX + 1 - taps;
        let [high, wide] = plan.result.map(|n| n.div_ceil(side));
        let tiles = conv.batch.div_ceil(ABREAST) * high * wide;
        Six { plan, taps, side, high, wide, tiles, rule: rule(taps) }
    }

    /// Group of images, and line and column of a tile.
    #[inline(always)]
    fn at(&self, tile: usize) -> (usize, usize, usize) {
        let (image, tile) = (tile / (self.high * self.wide), tile % (self.high * self.wide));
        (image, tile / self.wide, tile % self.wide)
    }

    /// G w Gᵀ of all weights: place, row, channel.
    /// # Safety
    /// The weights of the convolution; `to` has room for thirty-six of each.
    unsafe fn transform_weights<T: Real, const K: usize>(&self, w: *const T, to: Shared<T>) {
        let ([of_row, of_channel, of_group], rule) = (self.weights, &self.rule);
        let w = Shared(w.cast_mut());
        par::chunks(self.groups * self.rows, (SMALL / (1024 * self.depth)).max(1), |_, r| {
            for i in r {
                let (group, row) = (i / self.rows, i % self.rows);
                for c in 0..self.depth {
                    let first = (group * of_group + row * of_row + c * of_channel) as isize;
                    let tap = |y: usize, x: usize| {
                        let k = y * K + x;
                        let k = if self.turned { K * K - 1 - k } else { k };
                        // SAFETY: a weight of this row and channel.
                        unsafe { *w.at(first + k as isize) }.to_f64()
                    };
                    let taps: [[f64; K]; K] = std::array::from_fn(|y| std::array::from_fn(|x| tap(y, x)));
                    for y in 0..SIX {
                        let line: [f64; K] =
                            std::array::from_fn(|x| (0..K).map(|k| rule[y][k] * taps[k][x]).sum());
                        for x in 0..SIX {
                            let sum: f64 = (0..K).map(|k| line[k] * rule[x][k]).sum();
                            let at = ((group * PLACES + y * SIX + x) * self.rows + row) * self.depth + c;
                            // SAFETY: its place.
                            unsafe { *to.at(at as isize) = T::from_f64(sum) };
                        }
                    }
                }
            }
        });
    }

    /// Gᵀ u G: a kernel's weights.
    fn weights_back<const K: usize>(&self, sums: &[f64; PLACES]) -> [[f64; K]; K] {
        let rule = &self.rule;
        let lines: [[f64; SIX]; K] = std::array::from_fn(|y| {
            std::array::from_fn(|x| (0..SIX).map(|k| rule[k][y] * sums[k * SIX + x]).sum())
        });
        lines.map(|line| std::array::from_fn(|x| (0..SIX).map(|k| rule[k][x] * line[k]).sum()))
    }

    /// Tiles of a block.
    fn block<T>(&self) -> usize {
        let tile = PLACES * (self.depth + self.rows) * ABREAST * size_of::<T>();
        ((BLOCK / tile).max(1).next_multiple_of(SIDE)).min(self.tiles)
    }
}

/// The weights transformed, for [`run`].
pub(in super::super) fn transformed<T: Real>(conv: &Conv, pass: Pass, weights: Span) -> Result<Scratch> {
    let f = Six::new(conv, pass);
    let packed = Scratch::new(f.groups * PLACES * f.rows * f.depth * size_of::<T>())?;
    let (w, to) = (weights.ptr::<T>().cast_const(), Shared(packed.ptr::<T>()));
    // SAFETY: the weights of the convolution; the scratch has room for them transformed.
    unsafe {
        if f.taps == 3 { f.transform_weights::<T, 3>(w, to) } else { f.transform_weights::<T, 5>(w, to) }
    }
    Ok(packed)
}

/// Results from data, or data from results, of images side by side.
pub(in super::super) fn run<T: Real>(
    conv: &Conv,
    pass: Pass,
    from: Span,
    weights: &Scratch,
    bias: Option<Span>,
    to: Span,
) -> Result<()> {
    let f = Six::new(conv, pass);
    let (level, most, each) = (level(), rows_at_once(), f.block::<T>());
    let packed = Shared(weights.ptr::<T>());
    let terms = |step: usize| -> Vec<u32> { (0..f.depth).map(|c| (c * step) as u32).collect() };
    let (of_weights, failed, blocks) = (terms(1), First::default(), f.tiles.div_ceil(each));
    par::chunks(f.groups * blocks, 1, |_, r| {
        let done = Scratch::new(PLACES * (f.depth + f.rows) * each * ABREAST * size_of::<T>()).map(|room| {
            for i in r {
                let (group, block) = (i / blocks, i % blocks);
                let tiles = block * each..f.tiles.min((block + 1) * each);
                let n = tiles.len() * ABREAST;
                let (of_tiles, lines) = (terms(n), [Line { at: 0, len: n, to: 0 }]);
                let v = room.ptr::<T>();
                let m = v.wrapping_add(PLACES * f.depth * n);
                for c in 0..f.depth {
                    let from = from.ptr::<T>().wrapping_add((group * f.depth + c) * f.from.channel);
                    let to = v.wrapping_add(c * n);
                    let (f, tiles) = (&f, tiles.clone());
                    level.run(Split(Tiles { f, plane: from, tiles, places: to, apart: f.depth * n }));
                }
                for p in 0..PLACES {
                    pieces(0..f.rows, most, |row, count| {
                        let at = ((group * PLACES + p) * f.rows + row) * f.depth;
                        with_rows!(count, M => level.run(Strip::<T, M> {
                            a: std::array::from_fn(|i| packed.at((at + i * f.depth) as isize).cast_const()),
                            a_at: &of_weights,
                            b: v.wrapping_add(p * f.depth * n),
                            b_at: &of_tiles,
                            lines: &lines,
                            to: m.wrapping_add((p * f.rows + row) * n),
                            pitch: n,
                            step: 1,
                            bias: [T::default(); M],
                            add: false,
                            stream: false,
                        }))
                    });
                }
                for row in 0..f.rows {
                    let channel = group * f.rows + row;
                    // SAFETY: there is a bias for each channel.
                    let bias = bias.map_or(T::default(), |b| unsafe { *b.ptr::<T>().add(channel) });
                    let from = m.wrapping_add(row * n);
                    let to = to.ptr::<T>().wrapping_add(channel * f.to.channel);
                    let (f, tiles) = (&f, tiles.clone());
                    level.run(Join(Tiles { f, plane: to, tiles, places: from, apart: f.rows * n }, bias));
                }
            }
        });
        failed.keep(done);
    });
    failed.end()
}

/// Data from results of images side by side, where [`turns`] says so; the weights are transformed for [`Pass::Forward`].
pub(in super::super) fn turned<T: Real>(
    conv: &Conv,
    from: Span,
    weights: &Scratch,
    bias: Option<Span>,
    to: Span,
) -> Result<()> {
    let f = Six::new(conv, Pass::Forward);
    let (level, most, each) = (level(), rows_at_once(), f.block::<T>().min(f.high * f.wide));
    let packed = Shared(weights.ptr::<T>());
    let terms = |step: usize| -> Vec<u32> { (0..f.rows).map(|row| (row * step) as u32).collect() };
    let (of_weights, failed, images) = (terms(f.depth), First::default(), f.batch.div_ceil(ABREAST));
    par::chunks(f.groups * images, 1, |_, r| {
        let done = Scratch::new(PLACES * (f.depth + f.rows) * each * ABREAST * size_of::<T>()).map(|room| {
            for i in r {
                let (group, image) = (i / images, i % images);
                for channel in group * f.depth..(group + 1) * f.depth {
                    // SAFETY: there is a bias for each channel.
                    let bias = bias.map_or(0.0, |b| unsafe { (*b.ptr::<T>().add(channel)).to_f64() });
                    fill(to.sub(image * f.from.image + channel * f.from.channel, f.from.channel), bias);
                }
                let all = image * f.high * f.wide..(image + 1) * f.high * f.wide;
                for first in all.clone().step_by(each) {
                    let tiles = first..all.end.min(first + each);
                    let n = tiles.len() * ABREAST;
                    let (of_tiles, lines) = (terms(n), [Line { at: 0, len: n, to: 0 }]);
                    let m = room.ptr::<T>();
                    let v = m.wrapping_add(PLACES * f.rows * n);
                    for row in 0..f.rows {
                        let plane = from.ptr::<T>().wrapping_add((group * f.rows + row) * f.to.channel);
                        let (f, tiles, places) = (&f, tiles.clone(), m.wrapping_add(row * n));
                        level.run(Spread(Tiles { f, plane, tiles, places, apart: f.rows * n }));
                    }
                    for p in 0..PLACES {
                        let at = (group * PLACES + p) * f.rows * f.depth;
                        pieces(0..f.depth, most, |c, count| {
                            with_rows!(count, M => level.run(Strip::<T, M> {
                                a: std::array::from_fn(|i| packed.at((at + c + i) as isize).cast_const()),
                                a_at: &of_weights,
                                b: m.wrapping_add(p * f.rows * n),
                                b_at: &of_tiles,
                                lines: &lines,
                                to: v.wrapping_add((p * f.depth + c) * n),
                                pitch: n,
                                step: 1,
                                bias: [T::default(); M],
                                add: false,
                                stream: false,
                            }))
                        });
                    }
                    for c in 0..f.depth {
                        let plane = to.ptr::<T>().wrapping_add((group * f.depth + c) * f.from.channel);
                        let (f, tiles, places) = (&f, tiles.clone(), v.wrapping_add(c * n));
                        level.run(Gather(Tiles { f, plane, tiles, places, apart: f.depth * n }));
                    }
                }
            }
        });
        failed.keep(done);
    });
    failed.end()
}

/// Weights from data and results of images side by side. A line of six places at a time, for which the transformed tiles of a long block fit
/// the second cache.
pub(in super::super) fn weights<T: Real>(conv: &Conv, x: Span, y: Span, out: Span) -> Result<()> {
    let f = Six::new(conv, Pass::Weight);
    let (level, most) = (level(), rows_at_once());
    let tile = SIX * (f.depth + f.rows) * ABREAST * size_of::<T>();
    let each = (BLOCK / tile).clamp(LONG / SIDE, LONG).min(f.tiles);
    let (blocks, size) = (f.tiles.div_ceil(each), PLACES * f.rows * f.depth);
    // Blocks are summed by a few at once; their sums are added in order.
    let parts = (super::SUMS / (f.groups * size * size_of::<T>())).clamp(2, PARTS).min(blocks);
    let together = blocks.div_ceil(parts);
    let room = Scratch::new(parts * f.groups * size * size_of::<T>())?;
    let (all, failed) = (Shared(room.ptr::<T>()), First::default());
    let line = SIX * f.rows * f.depth;
    par::chunks(f.groups * parts, 1, |_, r| {
        let tiles = SIX * (f.depth + f.rows) * each * ABREAST;
        let done = Scratch::new((tiles + line) * size_of::<T>()).map(|room| {
            for i in r {
                let (group, part) = (i / parts, i % parts);
                let sums = all.at(((part * f.groups + group) * size) as isize);
                // SAFETY: the sums of this part.
                unsafe { sums.write_bytes(0, size) };
                for block in part * together..blocks.min((part + 1) * together) {
                    let tiles = block * each..f.tiles.min((block + 1) * each);
                    let n = tiles.len() * ABREAST;
                    let v = room.ptr::<T>();
                    let m = v.wrapping_add(SIX * f.depth * n);
                    let fresh = v.wrapping_add(SIX * (f.depth + f.rows) * each * ABREAST);
                    for at in 0..SIX {
                        for c in 0..f.depth {
                            let from = x.ptr::<T>().wrapping_add((group * f.depth + c) * f.from.channel);
                            let (f, tiles, places) = (&f, tiles.clone(), v.wrapping_add(c * n));
                            level.run(SplitLine(
                                Tiles { f, plane: from, tiles, places, apart: f.depth * n },
                                at,
                            ));
                        }
                        for row in 0..f.rows {
                            let from = y.ptr::<T>().wrapping_add((group * f.rows + row) * f.to.channel);
                            let (f, tiles, places) = (&f, tiles.clone(), m.wrapping_add(row * n));
                            level.run(SpreadLine(
                                Tiles { f, plane: from, tiles, places, apart: f.rows * n },
                                at,
                            ));
                        }
                        for p in 0..SIX {
                            products(&f, level, most, n, v, m, p, fresh);
                        }
                        // SAFETY: both are sums of a line of places.
                        unsafe {
                            let sums = std::slice::from_raw_parts_mut(sums.add(at * line), line);
                            let fresh = std::slice::from_raw_parts(fresh, line);
                            sums.iter_mut().zip(fresh).for_each(|(s, &v)| *s = *s + v);
                        }
                    }
                }
            }
        });
        failed.keep(done);
    });
    failed.end()?;
    let to = Shared(out.ptr::<T>());
    if f.taps == 3 {
        f.add_up::<T, 3>(all, parts, to)
    } else {
        f.add_up::<T, 5>(all, parts, to)
    }
    Ok(())
}

impl Six {
    /// The weights from the sums of all parts.
    fn add_up<T: Real, const K: usize>(&self, all: Shared<T>, parts: usize, to: Shared<T>) {
        let size = PLACES * self.rows * self.depth;
        par::chunks(self.groups * self.rows, (SMALL / (1024 * self.depth)).max(1), |_, r| {
            let mut sums = vec![[0.0; PLACES]; self.depth];
            for i in r {
                let (group, row) = (i / self.rows, i % self.rows);
                sums.fill([0.0; PLACES]);
                for (part, p) in (0..parts).flat_map(|part| (0..PLACES).map(move |p| (part, p))) {
                    let at = (part * self.groups + group) * size + (p * self.rows + row) * self.depth;
                    // SAFETY: the sums of a row at a place, which are done.
                    let line = unsafe { std::slice::from_raw_parts(all.at(at as isize), self.depth) };
                    sums.iter_mut().zip(line).for_each(|(s, v)| s[p] += v.to_f64());
                }
                for (c, sums) in sums.iter().enumerate() {
                    let first = group * self.weights[2] + row * self.weights[0] + c * self.weights[1];
                    for (k, v) in self.weights_back::<K>(sums).into_iter().flatten().enumerate() {
                        // SAFETY: a weight of this row and channel.
                        unsafe { *to.at((first + k) as isize) = T::from_f64(v) };
                    }
                }
            }
        });
    }
}

/// The products of all rows with all channels at place `p` of a line, summed over `n` columns.
#[allow(clippy::too_many_arguments)]
fn products<T: Real>(
    f: &Six,
    level: Level,
    most: usize,
    n: usize,
    v: *mut T,
    m: *mut T,
    p: usize,
    sums: *mut T,
) {
    let lines = [(0, 0, n)];
    let of_row = |i: usize| m.wrapping_add((p * f.rows + i) * n).cast_const();
    for row in (0..f.rows).step_by(FILTERS) {
        // Beyond the last row it is the last one again.
        let rows: [usize; FILTERS] = std::array::from_fn(|i| (row + i).min(f.rows - 1));
        pieces(0..f.depth, most, |c, count| {
            with_rows!(count, M => level.run(Block::<T, M> {
                data: std::array::from_fn(|k| v.wrapping_add((p * f.depth + c + k) * n).cast_const()),
                result: rows.map(of_row),
                lines: &lines,
                sums: rows.map(|row| sums.wrapping_add((p * f.rows + row) * f.depth + c)),
                pitch: 1,
            }))
        });
    }
}
