//! Kernels of 3 by 3 or 5 by 5 taps on images side by side, by minimal filtering with six points: 4 by 4 results, or 2 by 2, from thirty-six
//! products instead of a hundred or more.
//!
//! As in the file above, with the points 0, ±1, ±2 and ∞ (F(4×4, 3×3) and F(2×2, 5×5)); sixteen images lie in the lanes, so that a tile of 6 by 6
//! elements is thirty-six vectors wherever it begins. Factors up to 8 and thirds make the errors some ten times those of the plain sum.

use super::First;
use crate::error::Result;
use crate::kernels::conv::abreast::ABREAST;
use crate::kernels::conv::dots::{Block, SIDE as FILTERS};
use crate::kernels::conv::gather::SMALL;
use crate::kernels::conv::scratch::Scratch;
use crate::kernels::conv::tile::{Line, Strip, pieces, with_rows};
use crate::kernels::conv::{Axis, Conv, Pass, Place, SIDE, rows_at_once};
use crate::kernels::par;
use crate::kernels::product::Shared;
use crate::kernels::real::Real;
use crate::simd::{Level, Simd, Work, level};
use crate::storage::Span;
use std::ops::Range;

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
/// Partial sums of the weights.
const PARTS: usize = 8;

/// Whether this is such a convolution, of images that are computed side by side.
pub(in super::super) fn pays(conv: &Conv, pass: Pass) -> bool {
    let [d, h, w] = conv.axes;
    let square = [h, w].iter().all(|a| matches!(a.kernel, 3 | 5) && a.stride == 1 && a.dilate == 1);
    if !square || h.kernel != w.kernel || d != Axis::NONE || conv.channels.min(conv.filters) < CHANNELS {
        return false;
    }
    let f = Six::new(conv, pass);
    let (tiles, taps) = (f.high * f.wide, f.taps * f.taps);
    // Without padding the data is computed from the results by as many products as forward.
    let [high, wide] = if pass == Pass::Data && h.pad == 0 && w.pad == 0 { f.source } else { f.result };
    tiles * conv.batch.div_ceil(ABREAST) >= TILES && tiles * PLACES * 5 <= high * wide * taps * 3
}

/// A convolution as this file sees it: forward as it is, back with data and results exchanged.
struct Six {
    groups: usize,
    depth: usize,
    rows: usize,
    from: Place,
    to: Place,
    /// Height and width of the source and of the results.
    source: [usize; 2],
    result: [usize; 2],
    /// Zeros before the source.
    pad: [isize; 2],
    /// Distances in the weights between rows, channels of the source, and groups; whether taps are turned around.
    weights: [usize; 3],
    turned: bool,
    taps: usize,
    /// Results along the side of a tile; tiles of an image along both axes; all tiles.
    side: usize,
    high: usize,
    wide: usize,
    tiles: usize,
    /// G.
    rule: [[f64; 5]; SIX],
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
        let [_, h, w] = conv.axes;
        let [filter, channel, _] = conv.strides();
        let (data, result) = ([h.input, w.input], [h.output, w.output]);
        let (taps, pad) = (h.kernel, [h.pad as isize, w.pad as isize]);
        let back = pass == Pass::Data;
        let (source, result) = if back { (result, data) } else { (data, result) };
        let (from, to) = if back { (conv.result(), conv.data()) } else { (conv.data(), conv.result()) };
        let (depth, rows) = if back { (conv.filters, conv.channels) } else { (conv.channels, conv.filters) };
        let [row, of_depth] = if back { [channel, filter] } else { [filter, channel] };
        let side = SIX + 1 - taps;
        let [high, wide] = result.map(|n| n.div_ceil(side));
        Six {
            groups: conv.groups,
            depth,
            rows,
            from: widened(from),
            to: widened(to),
            source,
            result,
            pad: pad.map(|p| if back { taps as isize - 1 - p } else { p }),
            weights: [row, of_depth, conv.filters * filter],
            turned: back,
            taps,
            side,
            high,
            wide,
            tiles: conv.batch.div_ceil(ABREAST) * high * wide,
            rule: rule(taps),
        }
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
                    level.run(Split { f: &f, from, tiles: tiles.clone(), to, apart: f.depth * n });
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
                        }))
                    });
                }
                for row in 0..f.rows {
                    let channel = group * f.rows + row;
                    // SAFETY: there is a bias for each channel.
                    let bias = bias.map_or(T::default(), |b| unsafe { *b.ptr::<T>().add(channel) });
                    let from = m.wrapping_add(row * n);
                    let to = to.ptr::<T>().wrapping_add(channel * f.to.channel);
                    level.run(Join { f: &f, from, apart: f.rows * n, tiles: tiles.clone(), to, bias });
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
                            let (to, tiles) = (v.wrapping_add(c * n), tiles.clone());
                            level.run(SplitLine { f: &f, from, tiles, line: at, to, apart: f.depth * n });
                        }
                        for row in 0..f.rows {
                            let from = y.ptr::<T>().wrapping_add((group * f.rows + row) * f.to.channel);
                            let (to, tiles) = (m.wrapping_add(row * n), tiles.clone());
                            level.run(SpreadLine { f: &f, from, tiles, line: at, to, apart: f.rows * n });
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

/// The six elements of a tile's lines or columns from `first` on that are inside of `0..size`.
#[inline(always)]
fn inside(first: isize, size: usize) -> [Option<usize>; SIX] {
    std::array::from_fn(|i| usize::try_from(first + i as isize).ok().filter(|&at| at < size))
}

/// Bᵀ of six vectors.
#[inline(always)]
fn there<T: Real, S: Simd>(s: S, d: [T::V<S>; SIX]) -> [T::V<S>; SIX] {
    let of = |x: f64| T::splat(s, T::from_f64(x));
    let (four, five, two) = (of(4.0), of(5.0), of(2.0));
    let (a, b) = (d[4] - four * d[2], d[3] - four * d[1]);
    let (c, e) = (d[4] - d[2], two * (d[3] - d[1]));
    [four * d[0] - five * d[2] + d[4], a + b, a - b, c + e, c - e, four * d[1] - five * d[3] + d[5]]
}

/// Aᵀ of six vectors: `N` results.
#[inline(always)]
fn back<T: Real, S: Simd, const N: usize>(s: S, m: [T::V<S>; SIX]) -> [T::V<S>; N] {
    let of = |x: f64| T::splat(s, T::from_f64(x));
    let (s1, d1, s2, d2) = (m[1] + m[2], m[1] - m[2], m[3] + m[4], m[3] - m[4]);
    let all = [m[0] + s1 + s2, d1 + of(2.0) * d2, s1 + of(4.0) * s2, d1 + of(8.0) * d2];
    std::array::from_fn(|i| if i + 1 == N { all[i] + m[5] } else { all[i] })
}

/// A of up to four vectors, the others being 0; `last` is the last of them.
#[inline(always)]
fn spread<T: Real, S: Simd>(s: S, y: [T::V<S>; 4], last: T::V<S>) -> [T::V<S>; SIX] {
    let of = |x: f64| T::splat(s, T::from_f64(x));
    let (two, four) = (of(2.0), of(4.0));
    let (even, odd) = (y[0] + y[2], y[1] + y[3]);
    let (even2, odd2) = (y[0] + four * y[2], two * (y[1] + four * y[3]));
    [y[0], even + odd, even - odd, even2 + odd2, even2 - odd2, last]
}

/// Bᵀ x B of some tiles of a channel: place `p` of the `t`-th goes to vector `t` at `to[p · apart]`.
struct Split<'a, T> {
    f: &'a Six,
    from: *const T,
    tiles: Range<usize>,
    to: *mut T,
    apart: usize,
}

impl Six {
    /// Where a tile of the source begins in a channel of the first image, and which of its lines and columns there are.
    #[inline(always)]
    fn source(&self, tile: usize) -> (usize, [Option<usize>; SIX], [Option<usize>; SIX]) {
        let (image, row, col) = self.at(tile);
        let first = |at: usize, i: usize| (at * self.side) as isize - self.pad[i];
        let (lines, cols) = (inside(first(row, 0), self.source[0]), inside(first(col, 1), self.source[1]));
        (image * self.from.image, lines, cols)
    }
}

impl<T: Real> Work for Split<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (f, lanes, zero) = (self.f, T::count::<S>(), T::splat(s, T::default()));
        let [_, of_line, of_col] = f.from.axes;
        for (n, tile) in self.tiles.enumerate() {
            let (image, lines, cols) = f.source(tile);
            for lane in (0..ABREAST).step_by(lanes) {
                let mut down = [[zero; SIX]; SIX];
                for k in 0..SIX {
                    let d = std::array::from_fn(|i| match (lines[i], cols[k]) {
                        (Some(y), Some(x)) => {
                            let at = image + y * of_line + x * of_col + lane;
                            // SAFETY: an element of the source, of all sixteen images.
                            unsafe { T::load(s, self.from.add(at)) }
                        }
                        _ => zero,
                    });
                    let all = there::<T, S>(s, d);
                    (0..SIX).for_each(|i| down[i][k] = all[i]);
                }
                for i in 0..SIX {
                    let all = there::<T, S>(s, down[i]);
                    for k in 0..SIX {
                        // SAFETY: `to` has a vector for each tile and place.
                        unsafe {
                            let at = (i * SIX + k) * self.apart + n * ABREAST + lane;
                            T::store(s, self.to.add(at), all[k], false);
                        }
                    }
                }
            }
        }
    }
}

/// One line of what [`Split`] gives: six places.
struct SplitLine<'a, T> {
    f: &'a Six,
    from: *const T,
    tiles: Range<usize>,
    line: usize,
    to: *mut T,
    apart: usize,
}

/// The terms of a line of Bᵀ.
const THERE: [&[(usize, f64)]; SIX] = [
    &[(0, 4.0), (2, -5.0), (4, 1.0)],
    &[(1, -4.0), (2, -4.0), (3, 1.0), (4, 1.0)],
    &[(1, 4.0), (2, -4.0), (3, -1.0), (4, 1.0)],
    &[(1, -2.0), (2, -1.0), (3, 2.0), (4, 1.0)],
    &[(1, 2.0), (2, -1.0), (3, -2.0), (4, 1.0)],
    &[(1, 4.0), (3, -5.0), (5, 1.0)],
];

impl<T: Real> Work for SplitLine<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (f, lanes, zero) = (self.f, T::count::<S>(), T::splat(s, T::default()));
        let [_, of_line, of_col] = f.from.axes;
        for (n, tile) in self.tiles.enumerate() {
            let (image, lines, cols) = f.source(tile);
            for lane in (0..ABREAST).step_by(lanes) {
                let mut d = [zero; SIX];
                for &(i, factor) in THERE[self.line] {
                    let Some(y) = lines[i] else { continue };
                    let factor = T::splat(s, T::from_f64(factor));
                    for k in 0..SIX {
                        if let Some(x) = cols[k] {
                            let at = image + y * of_line + x * of_col + lane;
                            // SAFETY: an element of the source, of all sixteen images.
                            let v = unsafe { T::load(s, self.from.add(at)) };
                            d[k] = T::fma(s, factor, v, d[k]);
                        }
                    }
                }
                let all = there::<T, S>(s, d);
                for k in 0..SIX {
                    // SAFETY: `to` has a vector for each tile and place.
                    unsafe { T::store(s, self.to.add(k * self.apart + n * ABREAST + lane), all[k], false) };
                }
            }
        }
    }
}

/// One line of A y Aᵀ of some tiles of a channel of the results, as [`SplitLine`].
struct SpreadLine<'a, T> {
    f: &'a Six,
    from: *const T,
    tiles: Range<usize>,
    line: usize,
    to: *mut T,
    apart: usize,
}

impl<T: Real> Work for SpreadLine<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (f, lanes, zero) = (self.f, T::count::<S>(), T::splat(s, T::default()));
        let [_, of_line, of_col] = f.to.axes;
        let point = [0.0, 1.0, -1.0, 2.0, -2.0].get(self.line);
        // The line of A; 0⁰ is 1.
        let factors: [f64; 4] = std::array::from_fn(|i| match point {
            Some(&a) => f64::powi(a, i as i32),
            None => f64::from(u8::from(i + 1 == f.side)),
        });
        for (n, tile) in self.tiles.enumerate() {
            let (image, row, col) = f.at(tile);
            let (row, col, image) = (row * f.side, col * f.side, image * f.to.image);
            for lane in (0..ABREAST).step_by(lanes) {
                let mut y = [zero; 4];
                for i in (0..f.side.min(f.result[0] - row)).filter(|&i| factors[i] != 0.0) {
                    let factor = T::splat(s, T::from_f64(factors[i]));
                    for k in 0..f.side.min(f.result[1] - col) {
                        let at = image + (row + i) * of_line + (col + k) * of_col + lane;
                        // SAFETY: an element of the results, of all sixteen images.
                        let v = unsafe { T::load(s, self.from.add(at)) };
                        y[k] = T::fma(s, factor, v, y[k]);
                    }
                }
                let all = spread::<T, S>(s, y, y[f.side - 1]);
                for k in 0..SIX {
                    // SAFETY: `to` has a vector for each tile and place.
                    unsafe { T::store(s, self.to.add(k * self.apart + n * ABREAST + lane), all[k], false) };
                }
            }
        }
    }
}

/// Aᵀ m A of some tiles, plus the bias, into a channel of the results.
struct Join<'a, T> {
    f: &'a Six,
    from: *const T,
    apart: usize,
    tiles: Range<usize>,
    to: *mut T,
    bias: T,
}

impl<T: Real> Join<'_, T> {
    #[inline(always)]
    fn tiles<S: Simd, const N: usize>(self, s: S) {
        let (f, lanes, zero) = (self.f, T::count::<S>(), T::splat(s, T::default()));
        let (bias, [_, of_line, of_col]) = (T::splat(s, self.bias), f.to.axes);
        for (n, tile) in self.tiles.enumerate() {
            let (image, row, col) = f.at(tile);
            let (row, col) = (row * N, col * N);
            for lane in (0..ABREAST).step_by(lanes) {
                let mut down = [[zero; SIX]; N];
                for k in 0..SIX {
                    let m = std::array::from_fn(|i| {
                        let at = (i * SIX + k) * self.apart + n * ABREAST + lane;
                        // SAFETY: there is a vector for each tile and place.
                        unsafe { T::load(s, self.from.add(at)) }
                    });
                    let all = back::<T, S, N>(s, m);
                    (0..N).for_each(|i| down[i][k] = all[i]);
                }
                for i in 0..N.min(f.result[0] - row) {
                    let all = back::<T, S, N>(s, down[i]);
                    for k in 0..N.min(f.result[1] - col) {
                        let at = image * f.to.image + (row + i) * of_line + (col + k) * of_col + lane;
                        // SAFETY: an element of the results, of all sixteen images.
                        unsafe { T::store(s, self.to.add(at), all[k] + bias, false) };
                    }
                }
            }
        }
    }
}

impl<T: Real> Work for Join<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        if self.f.side == 2 { self.tiles::<S, 2>(s) } else { self.tiles::<S, 4>(s) }
    }
}
