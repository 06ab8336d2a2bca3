//! Normalisation by channels: sums over the elements of each channel, and a change of every element that depends on its channel.
//!
//! An array is seen as (outer, channels, inner). Where inner is long, runs of one channel are walked with vectors. Where it is short
//! (channels last, small images) vectors go over channels instead: memory is a table whose columns keep their channel from row to
//! row. Both are one pass over memory. Half floats are widened piece by piece, so scratch is a few pages per thread. Sums are taken in
//! pieces that stay in the first cache and are merged in float64, in an order that depends on sizes alone.

mod axes;
mod kinds;
pub mod rows;
pub mod window;

pub use axes::moments_over;

use super::par;
use super::real::{Real, load, read32, steps, store, write32};
use crate::dtype::DType;
use crate::simd::{MAX_LANES, Simd, Work, level};
use crate::storage::Span;
use kinds::{Affine, Back, Dots, Moments};

/// Elements of work per parallel chunk.
const WORK: usize = 16 * 1024;
/// Elements in a piece: it stays in the first cache, and its sums stay exact enough in float32.
const PIECE: usize = 2048;
/// Columns and rows of a piece of a table.
const TILE: usize = 64;
const BAND: usize = PIECE / TILE;
/// Runs shorter than this are columns instead.
const NARROW: usize = 16;
/// Rows of a table are joined until they have about so many columns.
const WIDTH: usize = 256;

/// A count and two sums.
pub(super) type Sums = [f64; 3];

/// How an array is seen.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Product of the axes before the channels.
    pub outer: usize,
    /// Number of channels.
    pub channels: usize,
    /// Product of the axes behind.
    pub inner: usize,
}

impl Layout {
    /// Around axis `axis` of an array of shape `dims`.
    pub fn around(dims: &[usize], axis: usize) -> Layout {
        Layout {
            outer: dims[..axis].iter().product(),
            channels: dims[axis],
            inner: dims[axis + 1..].iter().product(),
        }
    }

    /// Elements of a channel.
    pub fn count(self) -> usize {
        self.outer * self.inner
    }

    fn len(self) -> usize {
        self.count() * self.channels
    }

    /// Whether the array is walked as a table.
    fn table(self) -> bool {
        self.inner < NARROW && self.outer > 1 && self.len() > 0
    }

    /// Columns of the table.
    fn width(self) -> usize {
        let period = (self.channels * self.inner).max(1);
        period * (WIDTH / period).clamp(1, self.outer.max(1))
    }

    /// The channel of a column.
    fn channel(self, column: usize) -> usize {
        column / self.inner % self.channels
    }

    /// A number for each channel, or for each column of the table.
    fn laid<T: Real>(self, of: impl Fn(usize) -> f64) -> Vec<T> {
        match self.table() {
            true => (0..self.width()).map(|i| T::from_f64(of(self.channel(i)))).collect(),
            false => (0..self.channels).map(|c| T::from_f64(of(c))).collect(),
        }
    }
}

/// Two sums over elements of one channel. `x` and `z` are the operands.
trait Fold<T: Real>: Copy + Send + Sync {
    /// Over `n` elements of channel `c`.
    /// # Safety
    /// Both are readable for that many.
    unsafe fn run<S: Simd>(self, s: S, x: *const T, z: *const T, n: usize, c: usize) -> [f64; 2];

    /// Over `n` rows, `step` elements apart, of `w` columns side by side, the first of them `c`.
    /// # Safety
    /// Both are readable for that many.
    #[allow(clippy::too_many_arguments)]
    unsafe fn columns<S: Simd>(
        self,
        s: S,
        x: *const T,
        z: *const T,
        n: usize,
        step: usize,
        w: usize,
        c: usize,
    ) -> [[T; MAX_LANES]; 2];

    /// Adds what a part says.
    fn merge(total: &mut Sums, part: Sums);
}

/// A new element from two operands and four numbers of its channel.
trait Point<T: Real>: Copy + Send + Sync {
    /// Whether there is a second operand.
    const TWO: bool;
    fn lanes<S: Simd>(self, s: S, x: T::V<S>, z: T::V<S>, k: [T::V<S>; 4]) -> T::V<S>;
}

/// `n` elements from `at` on as `T`: where they lie, or widened in the buffer.
#[inline]
fn piece<T: Real>(x: Span, at: usize, n: usize, buf: &mut [f32; PIECE]) -> *const T {
    let part = x.sub(at, n);
    if x.dtype() == T::DTYPE {
        return part.ptr::<T>();
    }
    read32(x, at, &mut buf[..n]);
    buf.as_ptr().cast()
}

/// One piece of a run.
struct RunWork<F, T> {
    f: F,
    x: *const T,
    z: *const T,
    n: usize,
    c: usize,
}

impl<T: Real, F: Fold<T>> Work for RunWork<F, T> {
    type Out = [f64; 2];
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> [f64; 2] {
        // SAFETY: `runs` made the piece inside the spans.
        unsafe { self.f.run(s, self.x, self.z, self.n, self.c) }
    }
}

/// One piece of a table: adds to the sums of `cols` columns.
struct TileWork<'a, F, T> {
    f: F,
    x: *const T,
    z: *const T,
    rows: usize,
    step: usize,
    first: usize,
    sums: &'a mut [Sums],
}

impl<T: Real, F: Fold<T>> Work for TileWork<'_, F, T> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        steps!(T, self.sums.len(), |i, w| {
            // SAFETY: `tables` made the piece inside the spans.
            let [a, b] = unsafe {
                self.f.columns(s, self.x.add(i), self.z.add(i), self.rows, self.step, w, self.first + i)
            };
            for k in 0..w {
                F::merge(&mut self.sums[i + k], [self.rows as f64, a[k].to_f64(), b[k].to_f64()]);
            }
        });
    }
}

/// Memory that parallel chunks write, each its own part.
fn shared(sums: &mut [Sums]) -> Span {
    // SAFETY: an array of three float64 is three of them in a row.
    unsafe { Span::new(sums.as_mut_ptr().cast(), sums.len() * 3, DType::F64) }
}

/// Sums `at .. at + n` of what [`shared`] made.
/// # Safety
/// They are the caller's alone.
#[allow(clippy::mut_from_ref)]
unsafe fn part<'a>(all: Span, at: usize, n: usize) -> &'a mut [Sums] {
    let p = all.sub(at * 3, n * 3).ptr::<f64>();
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts_mut(p.cast(), n) }
}

/// Folds `count` parts of each of `n` groups, stored part by part, in order.
fn merged<T: Real, F: Fold<T>>(
    parts: &[Sums],
    n: usize,
    count: usize,
    at: impl Fn(usize, usize) -> usize,
) -> Vec<Sums> {
    let fold = |c: usize| {
        let mut total = Sums::default();
        (0..count).for_each(|p| F::merge(&mut total, parts[at(c, p)]));
        total
    };
    (0..n).map(fold).collect()
}

/// The sums of each channel.
fn fold<T: Real, F: Fold<T>>(x: Span, z: Span, v: Layout, f: F) -> Vec<Sums> {
    if v.len() == 0 {
        return vec![Sums::default(); v.channels];
    }
    if !v.table() {
        return runs::<T, F>(x, z, v, f);
    }
    let width = v.width();
    let (rows, rest) = (v.len() / width, v.len() % width);
    let mut sums = vec![Sums::default(); v.channels];
    let mut add = |columns: Vec<Sums>| {
        columns.into_iter().enumerate().for_each(|(i, part)| F::merge(&mut sums[v.channel(i)], part));
    };
    add(table::<T, F>(x, z, 0, rows, width, f));
    if rest > 0 {
        add(table::<T, F>(x, z, rows * width, 1, rest, f));
    }
    sums
}

fn runs<T: Real, F: Fold<T>>(x: Span, z: Span, v: Layout, f: F) -> Vec<Sums> {
    // A unit is a piece of a run, a part so many units of a channel as are worth a task.
    let (len, pieces) = (v.inner.min(PIECE), v.inner.div_ceil(PIECE));
    let (units, each) = (v.outer * pieces, (4 * WORK).div_ceil(len));
    let parts = units.div_ceil(each);
    let mut sums = vec![Sums::default(); v.channels * parts];
    let (all, level) = (shared(&mut sums), level());
    let grain = (WORK / (len * each.min(units))).max(1);
    par::chunks(v.channels * parts, grain, |_, r| {
        let mut bufs = [[0f32; PIECE]; 2];
        for task in r {
            let (c, p) = (task / parts, task % parts);
            // SAFETY: the sums of this task are this chunk's alone.
            let total = unsafe { &mut part(all, task, 1)[0] };
            for unit in p * each..units.min((p + 1) * each) {
                let at = unit % pieces * PIECE;
                let n = PIECE.min(v.inner - at);
                let start = (unit / pieces * v.channels + c) * v.inner + at;
                let [bx, bz] = &mut bufs;
                let px = piece::<T>(x, start, n, bx);
                let pz = if x.same(z) { px } else { piece::<T>(z, start, n, bz) };
                let [a, b] = level.run(RunWork { f, x: px, z: pz, n, c });
                F::merge(total, [n as f64, a, b]);
            }
        }
    });
    merged::<T, F>(&sums, v.channels, parts, |c, p| c * parts + p)
}

/// Sums of the columns of a table that begins at element `start`.
fn table<T: Real, F: Fold<T>>(x: Span, z: Span, start: usize, rows: usize, cols: usize, f: F) -> Vec<Sums> {
    // Few enough parts that their sums stay small beside the data.
    let height = (WORK / TILE).max(rows.div_ceil(64)).next_multiple_of(BAND);
    let (parts, tiles) = (rows.div_ceil(height), cols.div_ceil(TILE));
    let mut sums = vec![Sums::default(); parts * cols];
    let (all, level) = (shared(&mut sums), level());
    let grain = (WORK / (height.min(rows) * TILE.min(cols))).max(1);
    par::chunks(parts * tiles, grain, |_, r| {
        let mut bufs = [[0f32; PIECE]; 2];
        for task in r {
            let (p, c) = (task / tiles, task % tiles * TILE);
            let w = TILE.min(cols - c);
            // SAFETY: the sums of these columns in this part are this chunk's alone.
            let sums = unsafe { part(all, p * cols + c, w) };
            for row in (p * height..rows.min((p + 1) * height)).step_by(BAND) {
                let n = BAND.min(rows.min((p + 1) * height) - row);
                let at = start + row * cols + c;
                let [bx, bz] = &mut bufs;
                let (px, step) = band::<T>(x, at, n, w, cols, bx);
                let (pz, _) = if x.same(z) { (px, step) } else { band::<T>(z, at, n, w, cols, bz) };
                level.run(TileWork { f, x: px, z: pz, rows: n, step, first: c, sums: &mut *sums });
            }
        }
    });
    merged::<T, F>(&sums, cols, parts, |c, p| p * cols + c)
}

/// `n` rows of `w` columns as `T`, and how far apart the rows are.
#[inline]
fn band<T: Real>(
    x: Span,
    at: usize,
    n: usize,
    w: usize,
    cols: usize,
    buf: &mut [f32; PIECE],
) -> (*const T, usize) {
    if x.dtype() == T::DTYPE {
        return (x.sub(at, (n - 1) * cols + w).ptr::<T>(), cols);
    }
    (0..n).for_each(|i| read32(x, at + i * cols, &mut buf[i * w..][..w]));
    (buf.as_ptr().cast(), w)
}

/// One piece of [`each`]: the numbers of one channel, or of as many columns as there are elements.
struct PointWork<F, T> {
    f: F,
    x: *const T,
    z: *const T,
    y: *mut T,
    n: usize,
    k: [*const T; 4],
    columns: bool,
}

impl<T: Real, F: Point<T>> Work for PointWork<F, T> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let PointWork { f, x, z, y, n, k, columns } = self;
        // SAFETY: `each` made the piece inside the spans, and the numbers are there.
        unsafe {
            if columns {
                steps!(T, n, |i, w| {
                    let k = [
                        load::<T, S>(s, k[0].add(i), w),
                        load::<T, S>(s, k[1].add(i), w),
                        load::<T, S>(s, k[2].add(i), w),
                        load::<T, S>(s, k[3].add(i), w),
                    ];
                    let (a, b) = (load::<T, S>(s, x.add(i), w), load::<T, S>(s, z.add(i), w));
                    store::<T, S>(s, y.add(i), f.lanes(s, a, b, k), w)
                });
            } else {
                let k = [T::splat(s, *k[0]), T::splat(s, *k[1]), T::splat(s, *k[2]), T::splat(s, *k[3])];
                steps!(T, n, |i, w| {
                    let (a, b) = (load::<T, S>(s, x.add(i), w), load::<T, S>(s, z.add(i), w));
                    store::<T, S>(s, y.add(i), f.lanes(s, a, b, k), w)
                });
            }
        }
    }
}

/// y = f(x, z) with four numbers for each channel. `y` may be exactly an operand.
fn each<T: Real, F: Point<T>>(x: Span, z: Span, y: Span, v: Layout, of: impl Fn(usize) -> [f64; 4], f: F) {
    let k: [Vec<T>; 4] = std::array::from_fn(|j| v.laid(|c| of(c)[j]));
    // Rows: runs of a channel, or lines of the table, the last of which may be short.
    let width = if v.table() { v.width() } else { v.inner };
    if width == 0 {
        return;
    }
    let (len, pieces, level) = (width.min(PIECE), width.div_ceil(PIECE), level());
    par::chunks(v.len().div_ceil(width) * pieces, (WORK / len).max(1), |_, r| {
        let mut bufs = [[0f32; PIECE]; 2];
        for unit in r {
            let (row, at) = (unit / pieces, unit % pieces * PIECE);
            let start = row * width + at;
            let n = PIECE.min(width - at).min(v.len().saturating_sub(start));
            let first = if v.table() { at } else { row % v.channels };
            let k = [&k[0][first..], &k[1][first..], &k[2][first..], &k[3][first..]].map(<[T]>::as_ptr);
            let [bx, bz] = &mut bufs;
            let px = piece::<T>(x, start, n, bx);
            let pz = if F::TWO { piece::<T>(z, start, n, bz) } else { px };
            let direct = y.dtype() == T::DTYPE;
            let py = if direct { y.sub(start, n).ptr::<T>() } else { bx.as_mut_ptr().cast() };
            level.run(PointWork { f, x: px, z: pz, y: py, n, k, columns: v.table() });
            if !direct {
                write32(&bx[..n], y, start);
            }
        }
    });
}

/// Runs with float64 or float32 lanes.
macro_rules! by_lanes {
    ($dtype:expr, $t:ident => $body:expr) => {
        match $dtype {
            DType::F64 => {
                type $t = f64;
                $body
            }
            _ => {
                type $t = f32;
                $body
            }
        }
    };
}
use by_lanes;

/// Mean and (biased) variance of each channel; zeros where channels are empty.
pub fn moments(x: Span, v: Layout) -> (Vec<f64>, Vec<f64>) {
    assert!(x.len() == v.len());
    let sums = by_lanes!(x.dtype(), T => fold::<T, Moments>(x, x, v, Moments));
    sums.into_iter().map(|[n, mean, squares]| (mean, squares / n.max(1.0))).unzip()
}

/// y = (x - mean) a + b with numbers for each channel, cut off below 0 where `relu` is set. `y` may be exactly `x`.
pub fn apply(x: Span, y: Span, v: Layout, mean: &[f64], a: &[f64], b: &[f64], relu: bool) {
    assert!(x.len() == v.len() && y.len() == x.len() && x.dtype() == y.dtype());
    let of = |c: usize| [mean[c], a[c], b[c], if relu { 0.0 } else { f64::NEG_INFINITY }];
    by_lanes!(x.dtype(), T => each::<T, Affine>(x, x, y, v, of, Affine));
}

/// Σ g and Σ g (x - mean) of each channel.
pub fn dots(g: Span, x: Span, v: Layout, mean: &[f64]) -> (Vec<f64>, Vec<f64>) {
    assert!(x.len() == v.len() && g.len() == x.len() && x.dtype() == g.dtype());
    let sums = by_lanes!(x.dtype(), T => {
        let mean: Vec<T> = v.laid(|c| mean[c]);
        fold::<T, _>(g, x, v, Dots(&mean))
    });
    // The kernel took the mean as float32; what that was off is made good for all elements at once.
    let off = |mean: f64| if x.dtype() == DType::F64 { 0.0 } else { f64::from(mean as f32) - mean };
    sums.into_iter().zip(mean).map(|([_, one, two], &mean)| (one, two + off(mean) * one)).unzip()
}

/// The four numbers of a channel that [`back`] takes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slope {
    /// Mean of the input.
    pub mean: f64,
    /// Factor of the gradient.
    pub a: f64,
    /// Factor of the distance from the mean.
    pub b: f64,
    /// What is taken off.
    pub c: f64,
}

/// out = g a - (x - mean) b - c with numbers for each channel. `out` may be exactly `g`.
pub fn back(g: Span, x: Span, out: Span, v: Layout, slopes: &[Slope]) {
    assert!(x.len() == v.len() && g.len() == x.len() && out.len() == x.len());
    assert!(x.dtype() == g.dtype() && x.dtype() == out.dtype() && slopes.len() == v.channels);
    let of = |c: usize| [slopes[c].mean, slopes[c].a, slopes[c].b, slopes[c].c];
    by_lanes!(x.dtype(), T => each::<T, Back>(g, x, out, v, of, Back));
}

#[cfg(test)]
mod tests;
