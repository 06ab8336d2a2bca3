//! Kernels of 3 by 3 taps without stride, by minimal filtering: four results of a square from sixteen products instead of thirty-six.
//!
//! The data is seen as tiles of 4 by 4 elements that overlap by two, each of which gives 2 by 2 results. Tiles, weights and results go through
//! small transforms (Winograd, "Arithmetic Complexity of Computations", 1980; Lavin and Gray, "Fast Algorithms for Convolutional Neural
//! Networks", 2016, F(2×2, 3×3)), between which a sum over channels is left for each of the sixteen places, a plain product of matrices:
//!
//! ```text
//! Y = Aᵀ [ (G w Gᵀ) ∘ (Bᵀ x B) ] A        G = 1   0   0      Bᵀ = 1  0 -1  0      Aᵀ = 1  1  1  0
//!                                             ½   ½   ½           0  1  1  0           0  1 -1 -1
//!                                             ½  -½   ½           0 -1  1  0
//!                                             0   0   1           0  1  0 -1
//! ```
//!
//! Its transpose gives the weights' gradient, `Gᵀ [ (A y Aᵀ) ∘ (Bᵀ x B) ] G`; the data's is the same convolution with the taps turned around.
//! All factors are powers of two, so that the transforms round like a sum of four terms each; errors are about twice those of the plain sum.

mod ready;
pub(super) mod six;

pub(super) use ready::{pays_ready, ready};

use super::gather::SMALL;
use super::scratch::Scratch;
use super::{Conv, Pass, Place};
use crate::error::{Error, Result};
use crate::kernels::par;
use crate::kernels::product::{self, Layout, Product, Shared};
use crate::kernels::real::Real;
use crate::simd::{MAX_LANES, Simd, Work, level};
use std::ops::Range;
use std::sync::Mutex;

/// Places of a transformed tile.
pub(super) const PLACES: usize = 16;
/// Channels and filters below which the transforms cost more than the products save.
const CHANNELS: usize = 24;
/// Tiles for each weight below which transforming the weights does not pay.
const TILES: usize = 160;
/// Bytes of transformed tiles of a block, which should stay in the caches, and the least number of its tiles.
const BLOCK: usize = 9 << 18;
const LEAST: usize = 64;
/// Bytes of partial sums of the weights' gradient.
const SUMS: usize = 4 << 20;

/// Whether this is such a convolution.
fn fits(conv: &Conv) -> bool {
    let [d, h, w] = conv.axes;
    let square = [h, w].iter().all(|a| a.kernel == 3 && a.stride == 1 && a.dilate == 1);
    square && d == super::Axis::NONE && !conv.last && conv.channels.min(conv.filters) >= CHANNELS
}

fn tiles(conv: &Conv) -> usize {
    let [_, h, w] = conv.axes;
    conv.batch * h.output.div_ceil(2) * w.output.div_ceil(2)
}

/// Whether it is large enough, too.
pub(super) fn pays(conv: &Conv) -> bool {
    fits(conv) && tiles(conv) >= TILES && conv.axes[2].output >= 8
}

/// A convolution as this file sees it: forward as it is, back with data and results exchanged.
struct Fast {
    batch: usize,
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
}

impl Fast {
    fn new(conv: &Conv, pass: Pass) -> Fast {
        let [_, h, w] = conv.axes;
        let [filter, channel, _] = conv.strides();
        let group = conv.filters * filter;
        let (data, result) = ([h.input, w.input], [h.output, w.output]);
        let pad = [h.pad as isize, w.pad as isize];
        let (batch, groups) = (conv.batch, conv.groups);
        if pass == Pass::Data {
            let (depth, rows) = (conv.filters, conv.channels);
            let (from, to) = (conv.result(), conv.data());
            // As many as the window reaches beyond its first element, less those before the data.
            let (pad, weights) = (pad.map(|p| w.kernel as isize - 1 - p), [channel, filter, group]);
            return Fast {
                batch,
                groups,
                depth,
                rows,
                from,
                to,
                source: result,
                result: data,
                pad,
                weights,
                turned: true,
            };
        }
        let (depth, rows) = (conv.channels, conv.filters);
        let (from, to, weights) = (conv.data(), conv.result(), [filter, channel, group]);
        Fast { batch, groups, depth, rows, from, to, source: data, result, pad, weights, turned: false }
    }

    /// Tiles in a line, and lines of tiles of all images.
    fn tiles(&self) -> (usize, usize) {
        let [h, w] = self.result.map(|n| n.div_ceil(2));
        (w, h * self.batch)
    }

    /// Lines of tiles in a block, for so many channels of transformed tiles, and distance of the channels there.
    fn block<T>(&self, channels: usize) -> (usize, usize) {
        let (width, lines) = self.tiles();
        let tiles = (BLOCK / (PLACES * channels * size_of::<T>())).max(LEAST);
        let here = (tiles / width).clamp(1, lines);
        // Enough blocks for many threads.
        let here = here.min(lines.div_ceil(PLACES).max(LEAST.div_ceil(width))).min(lines);
        // A vector more than there are tiles, since lines are written by whole vectors; an odd number of cache lines.
        let line = 64 / size_of::<T>();
        (here, ((here * width + MAX_LANES).div_ceil(line) | 1) * line)
    }
}

/// Pointers that pieces of work share.
struct Operands<T> {
    x: *const T,
    w: *const T,
    bias: Option<*const T>,
    out: *mut T,
}
// SAFETY: inputs are only read; each piece of work writes its own part of the result.
unsafe impl<T> Send for Operands<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Operands<T> {}

/// The first error of several threads.
#[derive(Default)]
pub(super) struct First(Mutex<Option<Error>>);

impl First {
    pub fn keep(&self, r: Result<()>) {
        if let Err(e) = r {
            self.0.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(e);
        }
    }
    pub fn end(self) -> Result<()> {
        self.0.into_inner().unwrap_or_else(|e| e.into_inner()).map_or(Ok(()), Err)
    }
}

/// Results from data, or data from results.
/// # Safety
/// The arrays have the sizes that the convolution says.
pub(super) unsafe fn run<T: Real + product::Real>(
    conv: &Conv,
    pass: Pass,
    from: *const T,
    weights: *const T,
    bias: Option<*const T>,
    to: *mut T,
) -> Result<()> {
    let f = Fast::new(conv, pass);
    let (width, lines) = f.tiles();
    let (here, pitch) = f.block::<T>(f.depth + f.rows);
    let level = level();
    let packed = Scratch::new(f.groups * PLACES * f.rows * f.depth * size_of::<T>())?;
    let o = Operands { x: from, w: weights, bias, out: to };
    // SAFETY: the weights of the convolution; the scratch has room for them transformed.
    unsafe { f.transform_weights(&o, packed.ptr()) };
    let packed = Shared(packed.ptr::<T>());
    let failed = First::default();
    let blocks = lines.div_ceil(here);
    par::chunks(f.groups * blocks, 1, |_, r| {
        let o = &o;
        let done =
            Scratch::new((PLACES * (f.depth + f.rows) * pitch + f.buffer()) * size_of::<T>()).map(|room| {
                for i in r {
                    let (group, block) = (i / blocks, i % blocks);
                    let lines = block * here..lines.min((block + 1) * here);
                    let tiles = lines.len() * width;
                    // SAFETY: channels of a group, its weights, and this thread's scratch.
                    unsafe {
                        let v = room.ptr::<T>();
                        let m = v.add(PLACES * f.depth * pitch);
                        let buffer = m.add(PLACES * f.rows * pitch);
                        for c in 0..f.depth {
                            let from = o.x.add((group * f.depth + c) * f.from.channel);
                            let (to, apart, lines) = (v.add(c * pitch), f.depth * pitch, lines.clone());
                            level.run(Split { f: &f, from, lines, to, apart, buffer });
                        }
                        for p in 0..PLACES {
                            Product {
                                m: f.rows,
                                n: tiles,
                                k: f.depth,
                                alpha: T::from_f64(1.0),
                                a: packed.at(((group * PLACES + p) * f.rows * f.depth) as isize),
                                la: Layout::of_cols(f.depth),
                                b: v.add(p * f.depth * pitch),
                                lb: Layout::of_cols(pitch),
                                beta: T::default(),
                                c: m.add(p * f.rows * pitch),
                                lc: Layout::of_cols(pitch),
                            }
                            .single();
                        }
                        for row in 0..f.rows {
                            let channel = group * f.rows + row;
                            let bias = o.bias.map_or(T::default(), |b| *b.add(channel));
                            let to = o.out.add(channel * f.to.channel);
                            let (from, apart, lines) = (m.add(row * pitch), f.rows * pitch, lines.clone());
                            level.run(Join { f: &f, from, apart, lines, to, bias, buffer });
                        }
                    }
                }
            });
        failed.keep(done);
    });
    failed.end()
}

/// Weights from data and results.
/// # Safety
/// The arrays have the sizes that the convolution says.
pub(super) unsafe fn weights<T: Real + product::Real>(
    conv: &Conv,
    x: *const T,
    y: *const T,
    out: *mut T,
) -> Result<()> {
    let f = Fast::new(conv, Pass::Weight);
    let (width, lines) = f.tiles();
    let (here, pitch) = f.block::<T>(f.depth + f.rows);
    let level = level();
    let (blocks, size) = (lines.div_ceil(here), PLACES * f.rows * f.depth);
    // Blocks are summed by a few at once; their sums are added in order.
    let parts = (SUMS / (f.groups * size * size_of::<T>())).clamp(2, PLACES).min(blocks);
    let each = blocks.div_ceil(parts);
    let sums = Scratch::new(parts * f.groups * size * size_of::<T>())?;
    let (all, o) = (Shared(sums.ptr::<T>()), Operands { x, w: y, bias: None, out });
    let failed = First::default();
    par::chunks(f.groups * parts, 1, |_, r| {
        let o = &o;
        let done =
            Scratch::new((PLACES * (f.depth + f.rows) * pitch + f.buffer()) * size_of::<T>()).map(|room| {
                for i in r {
                    let (group, part) = (i / parts, i % parts);
                    let sums = all.at(((part * f.groups + group) * size) as isize);
                    for block in part * each..blocks.min((part + 1) * each) {
                        let lines = block * here..lines.min((block + 1) * here);
                        let tiles = lines.len() * width;
                        // SAFETY: channels of a group, its sums, and this thread's scratch.
                        unsafe {
                            let v = room.ptr::<T>();
                            let m = v.add(PLACES * f.depth * pitch);
                            let buffer = m.add(PLACES * f.rows * pitch);
                            for c in 0..f.depth {
                                let from = o.x.add((group * f.depth + c) * f.from.channel);
                                let (to, apart, lines) = (v.add(c * pitch), f.depth * pitch, lines.clone());
                                level.run(Split { f: &f, from, lines, to, apart, buffer });
                            }
                            for row in 0..f.rows {
                                let from = o.w.add((group * f.rows + row) * f.to.channel);
                                let (to, apart, lines) = (m.add(row * pitch), f.rows * pitch, lines.clone());
                                level.run(Spread { f: &f, from, lines, to, apart, buffer });
                            }
                            let beta = T::from_f64(if block == part * each { 0.0 } else { 1.0 });
                            for p in 0..PLACES {
                                Product {
                                    m: f.rows,
                                    n: f.depth,
                                    k: tiles,
                                    alpha: T::from_f64(1.0),
                                    a: m.add(p * f.rows * pitch),
                                    la: Layout::of_cols(pitch),
                                    b: v.add(p * f.depth * pitch),
                                    lb: Layout::of_cols(pitch).t(),
                                    beta,
                                    c: sums.add(p * f.rows * f.depth),
                                    lc: Layout::of_cols(f.depth),
                                }
                                .single();
                            }
                        }
                    }
                    if part * each >= blocks {
                        // SAFETY: the sums of this part.
                        unsafe { sums.write_bytes(0, size) };
                    }
                }
            });
        failed.keep(done);
    });
    failed.end()?;
    par::chunks(f.groups * f.rows, (SMALL / (64 * f.depth * parts)).max(1), |_, r| {
        let o = &o;
        // The sums of a row, place by place.
        let mut row_sums = vec![T::default(); PLACES * f.depth];
        for i in r {
            let (group, row) = (i / f.rows, i % f.rows);
            for part in 0..parts {
                for (p, to) in row_sums.chunks_exact_mut(f.depth).enumerate() {
                    let at = ((part * f.groups + group) * PLACES + p) * f.rows + row;
                    // SAFETY: the sums of a row.
                    let from =
                        unsafe { std::slice::from_raw_parts(all.at((at * f.depth) as isize), f.depth) };
                    if part == 0 {
                        to.copy_from_slice(from);
                    } else {
                        to.iter_mut().zip(from).for_each(|(t, &v)| *t = *t + v);
                    }
                }
            }
            for c in 0..f.depth {
                let w = weights_back(std::array::from_fn(|p| row_sums[p * f.depth + c]));
                // SAFETY: nine weights of this row.
                unsafe {
                    let to = o.out.add(group * f.weights[2] + row * f.weights[0] + c * f.weights[1]);
                    w.into_iter().enumerate().for_each(|(k, v)| *to.add(k) = v);
                }
            }
        }
    });
    Ok(())
}

/// G w Gᵀ.
#[inline(always)]
pub(super) fn weights_there<T: Real>(w: [T; 9]) -> [T; PLACES] {
    let half = T::from_f64(0.5);
    let one = |a: T, b: T, c: T| [a, half * (a + b + c), half * (a - b + c), c];
    let down = [0, 1, 2].map(|j| one(w[j], w[3 + j], w[6 + j]));
    let mut all = [T::default(); PLACES];
    for i in 0..4 {
        all[4 * i..4 * i + 4].copy_from_slice(&one(down[0][i], down[1][i], down[2][i]));
    }
    all
}

/// Gᵀ u G.
#[inline(always)]
fn weights_back<T: Real>(u: [T; PLACES]) -> [T; 9] {
    let half = T::from_f64(0.5);
    let one = |a: T, b: T, c: T, d: T| [a + half * (b + c), half * (b - c), half * (b + c) + d];
    let down = [0, 1, 2, 3].map(|j| one(u[j], u[4 + j], u[8 + j], u[12 + j]));
    let mut all = [T::default(); 9];
    for i in 0..3 {
        all[3 * i..3 * i + 3].copy_from_slice(&one(down[0][i], down[1][i], down[2][i], down[3][i]));
    }
    all
}

impl Fast {
    /// Elements of a buffer for the lines of a tile: four lines in two phases, or two.
    fn buffer(&self) -> usize {
        8 * self.line()
    }

    fn line(&self) -> usize {
        (self.tiles().0 + 1 + MAX_LANES).next_multiple_of(MAX_LANES)
    }

    /// # Safety
    /// The weights of the convolution; `to` has room for sixteen of each.
    unsafe fn transform_weights<T: Real>(&self, o: &Operands<T>, to: *mut T) {
        let to = Shared(to);
        let [of_row, of_channel, of_group] = self.weights;
        par::chunks(self.groups * self.rows, (SMALL / (64 * self.depth)).max(1), |_, r| {
            for i in r {
                let (group, row) = (i / self.rows, i % self.rows);
                for c in 0..self.depth {
                    // SAFETY: nine weights, and their places.
                    unsafe {
                        let w = o.w.add(group * of_group + row * of_row + c * of_channel);
                        let w: [T; 9] = std::array::from_fn(|k| *w.add(if self.turned { 8 - k } else { k }));
                        for (p, v) in weights_there(w).into_iter().enumerate() {
                            let at = ((group * PLACES + p) * self.rows + row) * self.depth + c;
                            *to.at(at as isize) = v;
                        }
                    }
                }
            }
        });
    }

    /// Image and line of a line of tiles.
    #[inline(always)]
    fn at(&self, line: usize) -> (usize, usize) {
        let high = self.result[0].div_ceil(2);
        (line / high, line % high)
    }
}

/// Elements `2j - pad` and `2j + 1 - pad` of a line, for `n` of each; beyond its ends they are 0.
/// # Safety
/// `x` is a line of `len` elements; both have room for `n`.
#[inline(always)]
unsafe fn phases<T: Real>(x: *const T, len: usize, pad: isize, n: usize, even: *mut T, odd: *mut T) {
    let first = ((pad + 1) / 2).clamp(0, n as isize) as usize;
    // Both elements of a pair are inside.
    let whole = ((len as isize + pad) / 2).clamp(first as isize, n as isize) as usize;
    let one = |i: isize| {
        // SAFETY: inside of the line.
        if i >= 0 && i < len as isize { unsafe { *x.offset(i) } } else { T::default() }
    };
    // SAFETY: the caller's promise.
    unsafe {
        for j in (0..first).chain(whole..n) {
            *even.add(j) = one(2 * j as isize - pad);
            *odd.add(j) = one(2 * j as isize + 1 - pad);
        }
        let x = x.offset(2 * first as isize - pad);
        for j in 0..whole - first {
            *even.add(first + j) = *x.add(2 * j);
            *odd.add(first + j) = *x.add(2 * j + 1);
        }
    }
}

/// Bᵀ x B of all tiles of some lines of a channel: place `p` of tile `t` goes to `to[p · apart + t]`.
struct Split<'a, T> {
    f: &'a Fast,
    from: *const T,
    lines: Range<usize>,
    to: *mut T,
    apart: usize,
    buffer: *mut T,
}

impl<T: Real> Work for Split<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (f, lanes) = (self.f, T::count::<S>());
        let ([height, wide], [top, left], line) = (f.source, f.pad, f.line());
        let (width, _) = f.tiles();
        // SAFETY: lines of the source that exist; the buffer has eight lines, and `to` room for a vector behind the last tile.
        unsafe {
            let even = [0, 1, 2, 3].map(|i| self.buffer.add(2 * i * line));
            let odd = [0, 1, 2, 3].map(|i| self.buffer.add((2 * i + 1) * line));
            for (n, at) in self.lines.enumerate() {
                let (image, row) = f.at(at);
                let plane = self.from.add(image * f.from.image);
                for i in 0..4 {
                    let h = (2 * row + i) as isize - top;
                    if h < 0 || h >= height as isize {
                        even[i].write_bytes(0, width + 1);
                        odd[i].write_bytes(0, width + 1);
                    } else {
                        phases(plane.add(h as usize * wide), wide, left, width + 1, even[i], odd[i]);
                    }
                }
                let to = self.to.add(n * width);
                let mut j = 0;
                while j < width {
                    let x = |from: [*mut T; 4], shift: usize| {
                        let [a, b, c, d] = from.map(|p| T::load(s, p.add(j + shift)));
                        [a - c, b + c, c - b, b - d]
                    };
                    let [x0, x1, x2, x3] = [x(even, 0), x(odd, 0), x(even, 1), x(odd, 1)];
                    for i in 0..4 {
                        let v = [x0[i] - x2[i], x1[i] + x2[i], x2[i] - x1[i], x1[i] - x3[i]];
                        for k in 0..4 {
                            T::store(s, to.add((4 * i + k) * self.apart + j), v[k], false);
                        }
                    }
                    j += lanes;
                }
            }
        }
    }
}

/// A y Aᵀ of all tiles of some lines of a channel, as [`Split`].
struct Spread<'a, T> {
    f: &'a Fast,
    from: *const T,
    lines: Range<usize>,
    to: *mut T,
    apart: usize,
    buffer: *mut T,
}

impl<T: Real> Work for Spread<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (f, lanes) = (self.f, T::count::<S>());
        let ([height, wide], line) = (f.result, f.line());
        let (width, _) = f.tiles();
        let zero = T::splat(s, T::default());
        // SAFETY: as in [`Split`].
        unsafe {
            let even = [0, 1].map(|i| self.buffer.add(2 * i * line));
            let odd = [0, 1].map(|i| self.buffer.add((2 * i + 1) * line));
            for (n, at) in self.lines.enumerate() {
                let (image, row) = f.at(at);
                let plane = self.from.add(image * f.to.image);
                for i in 0..2 {
                    let h = 2 * row + i;
                    if h >= height {
                        even[i].write_bytes(0, width);
                        odd[i].write_bytes(0, width);
                    } else {
                        phases(plane.add(h * wide), wide, 0, width, even[i], odd[i]);
                    }
                }
                let to = self.to.add(n * width);
                let mut j = 0;
                while j < width {
                    let y = |from: [*mut T; 2]| {
                        let [a, b] = from.map(|p| T::load(s, p.add(j)));
                        [a, a + b, a - b, zero - b]
                    };
                    let [y0, y1] = [y(even), y(odd)];
                    for i in 0..4 {
                        let v = [y0[i], y0[i] + y1[i], y0[i] - y1[i], zero - y1[i]];
                        for k in 0..4 {
                            T::store(s, to.add((4 * i + k) * self.apart + j), v[k], false);
                        }
                    }
                    j += lanes;
                }
            }
        }
    }
}

/// Aᵀ m A of all tiles of some lines, plus the bias, into a channel of the results.
struct Join<'a, T> {
    f: &'a Fast,
    from: *const T,
    apart: usize,
    lines: Range<usize>,
    to: *mut T,
    bias: T,
    buffer: *mut T,
}

impl<T: Real> Work for Join<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (f, lanes) = (self.f, T::count::<S>());
        let ([height, wide], line) = (f.result, f.line());
        let (width, _) = f.tiles();
        let bias = T::splat(s, self.bias);
        // SAFETY: as in [`Split`]; the products have a vector behind the last tile.
        unsafe {
            let even = [0, 1].map(|i| self.buffer.add(2 * i * line));
            let odd = [0, 1].map(|i| self.buffer.add((2 * i + 1) * line));
            for (n, at) in self.lines.enumerate() {
                let from = self.from.add(n * width);
                let mut j = 0;
                while j < width {
                    let down: [[T::V<S>; 2]; 4] = std::array::from_fn(|k| {
                        let m: [T::V<S>; 4] =
                            std::array::from_fn(|i| T::load(s, from.add((4 * i + k) * self.apart + j)));
                        [m[0] + m[1] + m[2], m[1] - m[2] - m[3]]
                    });
                    for i in 0..2 {
                        T::store(s, even[i].add(j), down[0][i] + down[1][i] + down[2][i] + bias, false);
                        T::store(s, odd[i].add(j), down[1][i] - down[2][i] - down[3][i] + bias, false);
                    }
                    j += lanes;
                }
                let (image, row) = f.at(at);
                for i in 0..2.min(height - 2 * row) {
                    let to = self.to.add(image * f.to.image + (2 * row + i) * wide);
                    for j in 0..wide / 2 {
                        *to.add(2 * j) = *even[i].add(j);
                        *to.add(2 * j + 1) = *odd[i].add(j);
                    }
                    if wide % 2 == 1 {
                        *to.add(wide - 1) = *even[i].add(wide / 2);
                    }
                }
            }
        }
    }
}
