//! Sums over neighbouring channels, and normalisation by them. An array is seen as (outer, channels, inner); vectors go over inner.

use super::{Layout, TILE, WORK, by_lanes};
use crate::dtype::{DType, Elem};
use crate::kernels::par;
use crate::kernels::real::{Real, load, read32, steps, store, write32};
use crate::simd::{Simd, Work, level};
use crate::storage::Span;

/// What becomes of an element.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// The sum of its neighbours and itself.
    Sum,
    /// `x (knorm + alpha Σ x²)^-beta`.
    Normalised {
        /// Factor of the sum.
        alpha: f64,
        /// Exponent.
        beta: f64,
        /// What is added to the sum.
        knorm: f64,
    },
}

/// Some places of all channels, which are `step` elements apart.
struct Places<T> {
    kind: Kind,
    x: *const T,
    y: *mut T,
    channels: usize,
    step: usize,
    cols: usize,
    half: usize,
}

impl<T: Real> Work for Places<T> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Places { kind, x, y, channels, step, cols, half } = self;
        for c in 0..channels {
            let (from, to) = (c.saturating_sub(half), (c + half + 1).min(channels));
            // SAFETY: `window` made the places inside the spans.
            unsafe {
                match kind {
                    Kind::Sum => steps!(T, cols, |i, w| {
                        let mut sum = T::splat(s, T::default());
                        for j in from..to {
                            sum = sum + load::<T, S>(s, x.add(j * step + i), w);
                        }
                        store::<T, S>(s, y.add(c * step + i), sum, w);
                    }),
                    Kind::Normalised { alpha, beta, knorm } => {
                        let (a, b) = (T::splat(s, T::from_f64(alpha)), T::splat(s, T::from_f64(-beta)));
                        let k = T::splat(s, T::from_f64(knorm));
                        steps!(T, cols, |i, w| {
                            let mut sum = T::splat(s, T::default());
                            for j in from..to {
                                let v = load::<T, S>(s, x.add(j * step + i), w);
                                sum = T::fma(s, v, v, sum);
                            }
                            let scale = T::pow(s, T::fma(s, a, sum, k), b);
                            let v = load::<T, S>(s, x.add(c * step + i), w);
                            store::<T, S>(s, y.add(c * step + i), v * scale, w);
                        });
                    }
                }
            }
        }
    }
}

/// y = kind over a window of `half` channels to both sides. `y` may not overlap `x`. Half floats are widened, some places of all
/// channels at a time.
pub fn window(kind: Kind, x: Span, y: Span, v: Layout, half: usize) {
    assert!(x.len() == v.len() && y.len() == x.len() && x.dtype() == y.dtype());
    if x.is_empty() {
        return;
    }
    let (tiles, level) = (v.inner.div_ceil(TILE), level());
    let grain = (WORK / (v.channels * TILE.min(v.inner))).max(1);
    by_lanes!(x.dtype(), T => par::chunks(v.outer * tiles, grain, |_, r| {
        let (mut from, mut to) = (Vec::new(), Vec::new());
        for task in r {
            let at = task % tiles * TILE;
            let cols = TILE.min(v.inner - at);
            let line = |c: usize| (task / tiles * v.channels + c) * v.inner + at;
            let (channels, step) = (v.channels, v.inner);
            if x.dtype() == T::DTYPE {
                // SAFETY: the first of the places lies inside both spans.
                let (x, y) = unsafe { (x.ptr::<T>().add(line(0)), y.ptr::<T>().add(line(0))) };
                level.run(Places { kind, x, y, channels, step, cols, half });
                continue;
            }
            from.resize(channels * cols, 0f32);
            to.resize(channels * cols, 0f32);
            (0..channels).for_each(|c| read32(x, line(c), &mut from[c * cols..][..cols]));
            let (px, py) = (from.as_ptr().cast::<T>(), to.as_mut_ptr().cast::<T>());
            level.run(Places { kind, x: px, y: py, channels, step: cols, cols, half });
            (0..channels).for_each(|c| write32(&to[c * cols..][..cols], y, line(c)));
        }
    }));
}
