//! Bilinear values at places between pixels, their derivatives by the place, and the sums that are the gradient by the pixels.
//!
//! The value at (x, y) is the sum over four pixels of a(x) b(y) p. With the factors a and b, or their derivatives, and either the pixels
//! or their transpose, every gradient of any order is one of these two passes.

use super::PLANES;
use super::taps::Taps;
use crate::dtype::Elem;
use crate::kernels::par;
use crate::storage::Span;

/// Sizes and the kind of a pass.
#[derive(Clone, Copy, Debug)]
pub struct Sampler {
    /// Images.
    pub batch: usize,
    /// Planes of an image.
    pub channels: usize,
    /// Rows and columns of a plane.
    pub size: (usize, usize),
    /// Places for each image.
    pub places: usize,
    /// Whether the factors along the width, and along the height, are replaced by their derivatives.
    pub derive: (bool, bool),
}

/// Places whose taps are kept at a time.
const BLOCK: usize = 256;

impl Sampler {
    /// Pixels and factors along an axis of `n` pixels, whose first has coordinate -1 and whose last 1. Pixels outside are 0.
    #[inline]
    fn along(n: usize, at: f64, derive: bool) -> [(usize, f64); 2] {
        let half = (n as f64 - 1.0) / 2.0;
        let at = (at + 1.0) * half;
        // NaN lies nowhere.
        if !(at > -1.0 && at < n as f64) {
            return [(0, 0.0); 2];
        }
        let low = at.floor();
        let (a, b) = if derive { (-half, half) } else { (1.0 - (at - low), at - low) };
        let inside = |i: f64, w: f64| if i >= 0.0 && i < n as f64 { (i as usize, w) } else { (0, 0.0) };
        [inside(low, a), inside(low + 1.0, b)]
    }

    fn taps(&self, (x, y): (f64, f64), taps: &mut Taps) {
        let (h, w) = self.size;
        let (xs, ys) = (Self::along(w, x, self.derive.0), Self::along(h, y, self.derive.1));
        for (row, a) in ys {
            xs.iter().for_each(|(column, b)| taps.tap(row * w + column, a * b));
        }
        taps.end();
    }

    /// out[n, c, p] = the value of plane (n, c) of `x` at `place(n, p)`.
    pub fn pull(&self, x: Span, place: impl Fn(usize, usize) -> (f64, f64) + Sync, out: Span) {
        let (plane, blocks) = (self.size.0 * self.size.1, self.places.div_ceil(BLOCK));
        assert!(
            x.len() == self.batch * self.channels * plane
                && out.len() == self.batch * self.channels * self.places
        );
        with_dtype!(x.dtype(), T => par::chunks(self.batch * blocks, 1, |_, range| {
            let mut taps = Taps::new();
            for task in range {
                let (n, from) = (task / blocks, task % blocks * BLOCK);
                let len = BLOCK.min(self.places - from);
                taps.clear();
                (from..from + len).for_each(|p| self.taps(place(n, p), &mut taps));
                for c in n * self.channels..(n + 1) * self.channels {
                    // SAFETY: a plane that nobody writes, and places of it that are this task's.
                    let (x, to) = unsafe {
                        (x.sub(c * plane, plane).slice::<T>(), out.sub(c * self.places + from, len).slice_mut::<T>())
                    };
                    to.iter_mut().enumerate().for_each(|(i, t)| *t = T::from_f64(taps.pull(i, x)));
                }
            }
        }));
    }

    /// out[n, c, :] = the sum over p of g[n, c, p] times the factors of the pixels at `place(n, p)`: the transpose of [`Sampler::pull`].
    /// Scratch: eight planes per thread.
    pub fn push(&self, g: Span, place: impl Fn(usize, usize) -> (f64, f64) + Sync, out: Span) {
        let (plane, groups) = (self.size.0 * self.size.1, self.channels.div_ceil(PLANES));
        assert!(
            out.len() == self.batch * self.channels * plane
                && g.len() == self.batch * self.channels * self.places
        );
        with_dtype!(g.dtype(), T => par::chunks(self.batch * groups, 1, |_, range| {
            let (mut taps, mut sums) = (Taps::new(), vec![0.0; PLANES * plane]);
            for task in range {
                let (n, first) = (task / groups, task % groups * PLANES);
                let count = PLANES.min(self.channels - first);
                let first = n * self.channels + first;
                sums.fill(0.0);
                for from in (0..self.places).step_by(BLOCK) {
                    let len = BLOCK.min(self.places - from);
                    taps.clear();
                    (from..from + len).for_each(|p| self.taps(place(n, p), &mut taps));
                    for (c, sums) in sums.chunks_exact_mut(plane.max(1)).enumerate().take(count) {
                        // SAFETY: gradients, which nobody writes.
                        let g = unsafe { g.sub((first + c) * self.places + from, len).slice::<T>() };
                        g.iter().enumerate().for_each(|(i, g)| taps.push(i, g.to_f64(), sums));
                    }
                }
                // SAFETY: the planes of this task.
                let to = unsafe { out.sub(first * plane, count * plane).slice_mut::<T>() };
                to.iter_mut().zip(&sums).for_each(|(t, &s)| *t = T::from_f64(s));
            }
        }));
    }
}

/// The places that an array (N, 2, …) of x and y holds.
pub fn places<T: Elem>(grid: &[T], places: usize) -> impl Fn(usize, usize) -> (f64, f64) + Sync {
    move |n, p| (grid[2 * n * places + p].to_f64(), grid[(2 * n + 1) * places + p].to_f64())
}

/// Coordinates -1 to 1 of pixel `i` of `n`; 0 where there is one alone.
#[inline]
pub fn coordinate(i: usize, n: usize) -> f64 {
    if n == 1 { 0.0 } else { 2.0 * i as f64 / (n - 1) as f64 - 1.0 }
}

/// Places of pixels of a plane of width `size.1` under the affine maps (N, 2, 3) in `theta`.
pub fn affine<T: Elem>(theta: &[T], (h, w): (usize, usize)) -> impl Fn(usize, usize) -> (f64, f64) + Sync {
    move |n, p| {
        let t = &theta[6 * n..6 * n + 6];
        let (x, y) = (coordinate(p % w, w), coordinate(p / w, h));
        let row = |i: usize| t[i].to_f64() * x + t[i + 1].to_f64() * y + t[i + 2].to_f64();
        (row(0), row(3))
    }
}
