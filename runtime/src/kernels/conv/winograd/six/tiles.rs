//! The transforms of tiles of six by six elements, sixteen images at a time: one vector for each element, wherever the tile begins.

use super::{ABREAST, SIX, Six};
use crate::kernels::real::Real;
use crate::simd::{Simd, Work};
use std::ops::Range;

/// Some tiles of a channel, and their transforms.
pub(super) struct Tiles<'a, T> {
    pub f: &'a Six,
    /// The channel in the first image.
    pub plane: *mut T,
    pub tiles: Range<usize>,
    /// Vector `t` behind `places[p · apart]` is place `p` of the `t`-th tile.
    pub places: *mut T,
    pub apart: usize,
}

impl<T: Real> Tiles<'_, T> {
    /// Every tile, each part of the sixteen images that fits a vector, and where place 0 of that is. Loops over them are written out: what
    /// is in a closure may be compiled without the vectors' instructions.
    #[inline(always)]
    fn each<S: Simd>(&self) -> impl Iterator<Item = (usize, usize, *mut T)> {
        let (places, first) = (self.places, self.tiles.start);
        let parts = ABREAST / T::count::<S>();
        (0..self.tiles.len() * parts).map(move |i| {
            let (n, lane) = (i / parts, i % parts * T::count::<S>());
            (first + n, lane, places.wrapping_add(n * ABREAST + lane))
        })
    }

    /// Writes six places that follow each other.
    /// # Safety
    /// `first` is a place that [`Tiles::each`] gave, or one behind it.
    #[inline(always)]
    unsafe fn put<S: Simd>(&self, s: S, first: *mut T, all: [T::V<S>; SIX]) {
        for (k, v) in all.into_iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { T::store(s, first.wrapping_add(k * self.apart), v, false) };
        }
    }
}

/// The six elements of a tile's lines or columns from `first` on that are inside of `0..size`.
#[inline(always)]
fn inside(first: isize, size: usize) -> [Option<usize>; SIX] {
    std::array::from_fn(|i| usize::try_from(first + i as isize).ok().filter(|&at| at < size))
}

impl Six {
    /// Where the image of a tile begins in a channel of the source, and the tile's first line and column.
    #[inline(always)]
    fn source_of(&self, tile: usize) -> (usize, isize, isize) {
        let (image, row, col) = self.at(tile);
        let first = |at: usize, i: usize| (at * self.side) as isize - self.pad[i];
        (image * self.from.image, first(row, 0), first(col, 1))
    }

    /// Which lines and columns of a tile there are, from its first ones.
    #[inline(always)]
    fn there_are(&self, row: isize, col: isize) -> ([Option<usize>; SIX], [Option<usize>; SIX]) {
        (inside(row, self.source[0]), inside(col, self.source[1]))
    }

    /// Where a tile begins in its image, when all of it is there.
    #[inline(always)]
    fn whole(&self, row: isize, col: isize) -> Option<usize> {
        let fits = |first: isize, size: usize| first >= 0 && first as usize + SIX <= size;
        let [_, of_line, of_col] = self.from.axes;
        let all = fits(row, self.source[0]) && fits(col, self.source[1]);
        all.then(|| row as usize * of_line + col as usize * of_col)
    }

    /// Where the results of a tile begin in their channel, and how many lines and columns of them there are.
    #[inline(always)]
    fn result_of(&self, tile: usize) -> (usize, usize, usize) {
        let (image, row, col) = self.at(tile);
        let ([row, col], [_, of_line, of_col]) = ([row * self.side, col * self.side], self.to.axes);
        let first = image * self.to.image + row * of_line + col * of_col;
        (first, self.side.min(self.result[0] - row), self.side.min(self.result[1] - col))
    }
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

/// The terms of the lines of Bᵀ.
const THERE: [&[(usize, f64)]; SIX] = [
    &[(0, 4.0), (2, -5.0), (4, 1.0)],
    &[(1, -4.0), (2, -4.0), (3, 1.0), (4, 1.0)],
    &[(1, 4.0), (2, -4.0), (3, -1.0), (4, 1.0)],
    &[(1, -2.0), (2, -1.0), (3, 2.0), (4, 1.0)],
    &[(1, 2.0), (2, -1.0), (3, -2.0), (4, 1.0)],
    &[(1, 4.0), (3, -5.0), (5, 1.0)],
];

/// B of six vectors.
#[inline(always)]
fn there_turned<T: Real, S: Simd>(s: S, v: [T::V<S>; SIX]) -> [T::V<S>; SIX] {
    let of = |x: f64| T::splat(s, T::from_f64(x));
    let (four, five, two) = (of(4.0), of(5.0), of(2.0));
    let (s1, d1, s2, d2) = (v[1] + v[2], v[1] - v[2], v[3] + v[4], two * (v[3] - v[4]));
    [
        four * v[0],
        four * (v[5] - d1) - d2,
        (T::splat(s, T::default()) - five * v[0]) - four * s1 - s2,
        d1 + d2 - five * v[5],
        v[0] + s1 + s2,
        v[5],
    ]
}

/// Aᵀ of six vectors: `N` results.
#[inline(always)]
fn back<T: Real, S: Simd, const N: usize>(s: S, m: [T::V<S>; SIX]) -> [T::V<S>; N] {
    let of = |x: f64| T::splat(s, T::from_f64(x));
    let (s1, d1, s2, d2) = (m[1] + m[2], m[1] - m[2], m[3] + m[4], m[3] - m[4]);
    let all = [m[0] + s1 + s2, d1 + of(2.0) * d2, s1 + of(4.0) * s2, d1 + of(8.0) * d2];
    let mut results = [m[5]; N];
    results[..N - 1].copy_from_slice(&all[..N - 1]);
    results[N - 1] = all[N - 1] + m[5];
    results
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

/// A line of A; 0⁰ is 1.
fn factors(line: usize, side: usize) -> [f64; 4] {
    let point = [0.0, 1.0, -1.0, 2.0, -2.0].get(line);
    std::array::from_fn(|i| match point {
        Some(&a) => f64::powi(a, i as i32),
        None => f64::from(u8::from(i + 1 == side)),
    })
}

/// Bᵀ x B of tiles of the source.
pub(super) struct Split<'a, T>(pub Tiles<'a, T>);

impl<T: Real> Work for Split<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Split(t) = self;
        let (zero, [_, of_line, of_col]) = (T::splat(s, T::default()), t.f.from.axes);
        for (tile, lane, first) in t.each::<S>() {
            let (image, row, col) = t.f.source_of(tile);
            let mut down = [[zero; SIX]; SIX];
            if let Some(begin) = t.f.whole(row, col) {
                let from = t.plane.wrapping_add(image + begin + lane);
                for k in 0..SIX {
                    let mut d = [zero; SIX];
                    for i in 0..SIX {
                        // SAFETY: an element of the source, of all sixteen images.
                        d[i] = unsafe { T::load(s, from.add(i * of_line + k * of_col)) };
                    }
                    let all = there::<T, S>(s, d);
                    for i in 0..SIX {
                        down[i][k] = all[i];
                    }
                }
            } else {
                let (lines, cols) = t.f.there_are(row, col);
                for k in 0..SIX {
                    let mut d = [zero; SIX];
                    for i in 0..SIX {
                        if let (Some(y), Some(x)) = (lines[i], cols[k]) {
                            let at = image + y * of_line + x * of_col + lane;
                            // SAFETY: an element of the source, of all sixteen images.
                            d[i] = unsafe { T::load(s, t.plane.add(at)) };
                        }
                    }
                    let all = there::<T, S>(s, d);
                    for i in 0..SIX {
                        down[i][k] = all[i];
                    }
                }
            }
            for (i, line) in down.into_iter().enumerate() {
                // SAFETY: there is a vector for each tile and place.
                unsafe { t.put(s, first.wrapping_add(i * SIX * t.apart), there::<T, S>(s, line)) };
            }
        }
    }
}

/// One line of what [`Split`] gives: six places.
pub(super) struct SplitLine<'a, T>(pub Tiles<'a, T>, pub usize);

impl<T: Real> Work for SplitLine<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let SplitLine(t, line) = self;
        let (zero, [_, of_line, of_col]) = (T::splat(s, T::default()), t.f.from.axes);
        for (tile, lane, first) in t.each::<S>() {
            let (image, row, col) = t.f.source_of(tile);
            let mut d = [zero; SIX];
            if let Some(begin) = t.f.whole(row, col) {
                let from = t.plane.wrapping_add(image + begin + lane);
                for &(i, factor) in THERE[line] {
                    let factor = T::splat(s, T::from_f64(factor));
                    for k in 0..SIX {
                        // SAFETY: an element of the source, of all sixteen images.
                        let v = unsafe { T::load(s, from.add(i * of_line + k * of_col)) };
                        d[k] = T::fma(s, factor, v, d[k]);
                    }
                }
                // SAFETY: there is a vector for each tile and place.
                unsafe { t.put(s, first, there::<T, S>(s, d)) };
                continue;
            }
            let (lines, cols) = t.f.there_are(row, col);
            for &(i, factor) in THERE[line] {
                let Some(y) = lines[i] else { continue };
                let factor = T::splat(s, T::from_f64(factor));
                for k in 0..SIX {
                    if let Some(x) = cols[k] {
                        // SAFETY: an element of the source, of all sixteen images.
                        let v = unsafe { T::load(s, t.plane.add(image + y * of_line + x * of_col + lane)) };
                        d[k] = T::fma(s, factor, v, d[k]);
                    }
                }
            }
            // SAFETY: there is a vector for each tile and place.
            unsafe { t.put(s, first, there::<T, S>(s, d)) };
        }
    }
}

/// One line of A y Aᵀ of tiles of the results.
pub(super) struct SpreadLine<'a, T>(pub Tiles<'a, T>, pub usize);

impl<T: Real> Work for SpreadLine<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let SpreadLine(t, line) = self;
        let (zero, [_, of_line, of_col]) = (T::splat(s, T::default()), t.f.to.axes);
        let factors = factors(line, t.f.side);
        for (tile, lane, first) in t.each::<S>() {
            let (from, lines, cols) = t.f.result_of(tile);
            let mut y = [zero; 4];
            for i in (0..lines).filter(|&i| factors[i] != 0.0) {
                let factor = T::splat(s, T::from_f64(factors[i]));
                for (k, y) in y.iter_mut().enumerate().take(cols) {
                    // SAFETY: an element of the results, of all sixteen images.
                    let v = unsafe { T::load(s, t.plane.add(from + i * of_line + k * of_col + lane)) };
                    *y = T::fma(s, factor, v, *y);
                }
            }
            // SAFETY: there is a vector for each tile and place.
            unsafe { t.put(s, first, spread::<T, S>(s, y, y[t.f.side - 1])) };
        }
    }
}

/// Aᵀ m A of tiles, plus a bias, into a channel of the results.
pub(super) struct Join<'a, T>(pub Tiles<'a, T>, pub T);

impl<T: Real> Join<'_, T> {
    #[inline(always)]
    fn tiles<S: Simd, const N: usize>(self, s: S) {
        let Join(t, bias) = self;
        let (zero, bias, [_, of_line, of_col]) = (T::splat(s, T::default()), T::splat(s, bias), t.f.to.axes);
        for (tile, lane, first) in t.each::<S>() {
            let (to, lines, cols) = t.f.result_of(tile);
            let mut down = [[zero; SIX]; N];
            for k in 0..SIX {
                let mut m = [zero; SIX];
                for i in 0..SIX {
                    // SAFETY: there is a vector for each tile and place.
                    m[i] = unsafe { T::load(s, first.wrapping_add((i * SIX + k) * t.apart)) };
                }
                let all = back::<T, S, N>(s, m);
                for i in 0..N {
                    down[i][k] = all[i];
                }
            }
            for (i, line) in down.into_iter().enumerate().take(lines) {
                for (k, v) in back::<T, S, N>(s, line).into_iter().enumerate().take(cols) {
                    // SAFETY: an element of the results, of all sixteen images.
                    unsafe {
                        T::store(s, t.plane.add(to + i * of_line + k * of_col + lane), v + bias, false)
                    };
                }
            }
        }
    }
}

impl<T: Real> Work for Join<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        if self.0.f.side == 2 { self.tiles::<S, 2>(s) } else { self.tiles::<S, 4>(s) }
    }
}

/// A y Aᵀ of tiles of the results.
pub(super) struct Spread<'a, T>(pub Tiles<'a, T>);

impl<T: Real> Spread<'_, T> {
    #[inline(always)]
    fn tiles<S: Simd, const N: usize>(self, s: S) {
        let Spread(t) = self;
        let (zero, [_, of_line, of_col]) = (T::splat(s, T::default()), t.f.to.axes);
        for (tile, lane, first) in t.each::<S>() {
            let (from, lines, cols) = t.f.result_of(tile);
            let mut down = [[zero; 4]; SIX];
            for k in 0..N.min(cols) {
                let mut y = [zero; 4];
                for (i, y) in y.iter_mut().enumerate().take(N.min(lines)) {
                    // SAFETY: an element of the results, of all sixteen images.
                    *y = unsafe { T::load(s, t.plane.add(from + i * of_line + k * of_col + lane)) };
                }
                let all = spread::<T, S>(s, y, y[N - 1]);
                for i in 0..SIX {
                    down[i][k] = all[i];
                }
            }
            for (i, line) in down.into_iter().enumerate() {
                let all = spread::<T, S>(s, line, line[N - 1]);
                // SAFETY: there is a vector for each tile and place.
                unsafe { t.put(s, first.wrapping_add(i * SIX * t.apart), all) };
            }
        }
    }
}

impl<T: Real> Work for Spread<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        if self.0.f.side == 2 { self.tiles::<S, 2>(s) } else { self.tiles::<S, 4>(s) }
    }
}

/// B v Bᵀ of tiles, added to the source, where tiles overlap.
pub(super) struct Gather<'a, T>(pub Tiles<'a, T>);

impl<T: Real> Work for Gather<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Gather(t) = self;
        let (zero, [_, of_line, of_col]) = (T::splat(s, T::default()), t.f.from.axes);
        for (tile, lane, first) in t.each::<S>() {
            let (image, row, col) = t.f.source_of(tile);
            let mut down = [[zero; SIX]; SIX];
            for k in 0..SIX {
                let mut v = [zero; SIX];
                for i in 0..SIX {
                    // SAFETY: there is a vector for each tile and place.
                    v[i] = unsafe { T::load(s, first.wrapping_add((i * SIX + k) * t.apart)) };
                }
                let all = there_turned::<T, S>(s, v);
                for i in 0..SIX {
                    down[i][k] = all[i];
                }
            }
            if let Some(begin) = t.f.whole(row, col) {
                let to = t.plane.wrapping_add(image + begin + lane);
                for i in 0..SIX {
                    let all = there_turned::<T, S>(s, down[i]);
                    for k in 0..SIX {
                        // SAFETY: an element of the source, of all sixteen images.
                        unsafe {
                            let p = to.add(i * of_line + k * of_col);
                            T::store(s, p, T::load(s, p) + all[k], false);
                        }
                    }
                }
                continue;
            }
            let (lines, cols) = t.f.there_are(row, col);
            for i in 0..SIX {
                let all = there_turned::<T, S>(s, down[i]);
                let Some(y) = lines[i] else { continue };
                for k in 0..SIX {
                    if let Some(x) = cols[k] {
                        // SAFETY: an element of the source, of all sixteen images.
                        unsafe {
                            let p = t.plane.add(image + y * of_line + x * of_col + lane);
                            T::store(s, p, T::load(s, p) + all[k], false);
                        }
                    }
                }
            }
        }
    }
}
