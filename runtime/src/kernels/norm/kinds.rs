//! The mathematics of normalisation: what is summed, and what becomes of an element.

use super::{Fold, Point, Sums};
use crate::kernels::real::{Real, first, load, steps, total};
use crate::simd::{MAX_LANES, Simd};

/// Mean, and sum of squares around it.
///
/// A piece is walked twice while it lies in the first cache: once for its mean, once around that, so that a mean far from 0 costs no
/// digits. Pieces are merged as in Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances".
#[derive(Clone, Copy)]
pub(super) struct Moments;

impl<T: Real> Fold<T> for Moments {
    #[inline(always)]
    unsafe fn run<S: Simd>(self, s: S, x: *const T, _: *const T, n: usize, _: usize) -> [f64; 2] {
        let count = n as f64;
        // SAFETY: the caller's promise.
        unsafe {
            // Four vectors at a time, so that no addition waits for the one before.
            let (zero, lanes) = (T::splat(s, T::default()), T::count::<S>());
            let groups = n / (4 * lanes) * 4 * lanes;
            let mut sums = [zero; 4];
            for i in (0..groups).step_by(4 * lanes) {
                for k in 0..4 {
                    sums[k] = sums[k] + T::load(s, x.add(i + k * lanes));
                }
            }
            steps!(T, n - groups, |i, w| sums[0] = sums[0] + load::<T, S>(s, x.add(groups + i), w));
            let near = T::from_f64(total::<T, S>(s, (sums[0] + sums[1]) + (sums[2] + sums[3])) / count);
            let c = T::splat(s, near);
            let (mut ones, mut twos) = ([zero; 4], [zero; 4]);
            for i in (0..groups).step_by(4 * lanes) {
                for k in 0..4 {
                    let d = T::load(s, x.add(i + k * lanes)) - c;
                    ones[k] = ones[k] + d;
                    twos[k] = T::fma(s, d, d, twos[k]);
                }
            }
            steps!(T, n - groups, |i, w| {
                let d = first::<T, S>(s, load::<T, S>(s, x.add(groups + i), w) - c, w);
                ones[0] = ones[0] + d;
                twos[0] = T::fma(s, d, d, twos[0]);
            });
            let one = total::<T, S>(s, (ones[0] + ones[1]) + (ones[2] + ones[3]));
            let two = total::<T, S>(s, (twos[0] + twos[1]) + (twos[2] + twos[3]));
            // `near` is the mean but for rounding.
            [near.to_f64() + one / count, two - one * one / count]
        }
    }

    #[inline(always)]
    unsafe fn columns<S: Simd>(
        self,
        s: S,
        x: *const T,
        _: *const T,
        n: usize,
        step: usize,
        w: usize,
        _: usize,
    ) -> [[T; MAX_LANES]; 2] {
        let zero = T::splat(s, T::default());
        let part = T::splat(s, T::from_f64(1.0 / n as f64));
        // SAFETY: the caller's promise.
        unsafe {
            let mut mean = zero;
            for i in 0..n {
                mean = mean + load::<T, S>(s, x.add(i * step), w);
            }
            mean = mean * part;
            let (mut one, mut two) = (zero, zero);
            for i in 0..n {
                let d = load::<T, S>(s, x.add(i * step), w) - mean;
                one = one + d;
                two = T::fma(s, d, d, two);
            }
            [T::spill(s, T::fma(s, one, part, mean)), T::spill(s, two - one * one * part)]
        }
    }

    fn merge(total: &mut Sums, [n, mean, squares]: Sums) {
        let (count, d) = (total[0] + n, mean - total[1]);
        if n > 0.0 {
            total[2] += squares + d * d * (total[0] * n / count);
            total[1] += d * (n / count);
            total[0] = count;
        }
    }
}

/// Σ g and Σ g (x - mean), with the mean of each channel (or column).
#[derive(Clone, Copy)]
pub(super) struct Dots<'a, T>(pub &'a [T]);

impl<T: Real> Fold<T> for Dots<'_, T> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self, s: S, g: *const T, x: *const T, n: usize, c: usize) -> [f64; 2] {
        let m = T::splat(s, self.0[c]);
        let (mut one, mut two) = (T::splat(s, T::default()), T::splat(s, T::default()));
        // SAFETY: the caller's promise.
        unsafe {
            steps!(T, n, |i, w| {
                let g = load::<T, S>(s, g.add(i), w);
                one = one + g;
                two = T::fma(s, g, first::<T, S>(s, load::<T, S>(s, x.add(i), w) - m, w), two);
            });
        }
        [total::<T, S>(s, one), total::<T, S>(s, two)]
    }

    #[inline(always)]
    unsafe fn columns<S: Simd>(
        self,
        s: S,
        g: *const T,
        x: *const T,
        n: usize,
        step: usize,
        w: usize,
        c: usize,
    ) -> [[T; MAX_LANES]; 2] {
        // SAFETY: the caller's promise.
        unsafe {
            let m = load::<T, S>(s, self.0[c..c + w].as_ptr(), w);
            let (mut one, mut two) = (T::splat(s, T::default()), T::splat(s, T::default()));
            for i in 0..n {
                let g = load::<T, S>(s, g.add(i * step), w);
                one = one + g;
                two = T::fma(s, g, load::<T, S>(s, x.add(i * step), w) - m, two);
            }
            [T::spill(s, one), T::spill(s, two)]
        }
    }

    fn merge(total: &mut Sums, part: Sums) {
        total.iter_mut().zip(part).for_each(|(t, p)| *t += p);
    }
}

/// `max((x - k0) k1 + k2, k3)`.
#[derive(Clone, Copy)]
pub(super) struct Affine;

impl<T: Real> Point<T> for Affine {
    const TWO: bool = false;
    #[inline(always)]
    fn lanes<S: Simd>(self, s: S, x: T::V<S>, _: T::V<S>, k: [T::V<S>; 4]) -> T::V<S> {
        // Where an operand is NaN the maximum is the second.
        T::max(s, k[3], T::fma(s, x - k[0], k[1], k[2]))
    }
}

/// `x k1 - (z - k0) k2 - k3`, where `x` is the gradient and `z` the input.
#[derive(Clone, Copy)]
pub(super) struct Back;

impl<T: Real> Point<T> for Back {
    const TWO: bool = true;
    #[inline(always)]
    fn lanes<S: Simd>(self, _: S, x: T::V<S>, z: T::V<S>, k: [T::V<S>; 4]) -> T::V<S> {
        x * k[1] - (z - k[0]) * k[2] - k[3]
    }
}
