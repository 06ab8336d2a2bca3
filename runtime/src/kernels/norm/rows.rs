//! Normalisation of contiguous rows with a scale and a shift for each place in the row (layers), and its gradient.
//!
//! A row is read from memory once; the walks over it that follow find it in a cache. Half floats are widened into a row per thread.

use super::kinds::Moments;
use super::{Fold, PIECE, RunWork, Sums, WORK, by_lanes};
use crate::dtype::{DType, Elem};
use crate::kernels::par;
use crate::kernels::real::{Real, load, read32, steps, store, sum, write32};
use crate::simd::{Level, Simd, Work, level};
use crate::storage::Span;

/// Rows whose gradients by scale and shift are summed in float32 before they go on in float64.
const ROWS: usize = 32;

/// Mean and variance of a row.
fn moments<T: Real>(level: Level, x: *const T, n: usize) -> (f64, f64) {
    let mut sums = Sums::default();
    for at in (0..n).step_by(PIECE) {
        let len = PIECE.min(n - at);
        // SAFETY: the caller's row has n elements.
        let x = unsafe { x.add(at) };
        let [mean, squares] = level.run(RunWork { f: Moments, x, z: x, n: len, c: 0 });
        <Moments as Fold<T>>::merge(&mut sums, [len as f64, mean, squares]);
    }
    (sums[1], sums[2] / sums[0].max(1.0))
}

/// y = (x - mean) inv * gamma + beta.
struct Forward<T> {
    x: *const T,
    gamma: *const T,
    beta: *const T,
    y: *mut T,
    n: usize,
    mean: T,
    inv: T,
}

impl<T: Real> Work for Forward<T> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (m, v) = (T::splat(s, self.mean), T::splat(s, self.inv));
        // SAFETY: whoever made this has n elements behind all.
        unsafe {
            steps!(T, self.n, |i, w| {
                let d = (load::<T, S>(s, self.x.add(i), w) - m) * v;
                let (a, b) = (load::<T, S>(s, self.gamma.add(i), w), load::<T, S>(s, self.beta.add(i), w));
                store::<T, S>(s, self.y.add(i), T::fma(s, d, a, b), w)
            });
        }
    }
}

/// One row of the gradient: `dx = inv (h - mean(h) - hat mean(h hat))` with `h = g gamma`; adds to the sums of `g hat` and `g`.
struct Backward<T> {
    g: *const T,
    x: *const T,
    gamma: *const T,
    dx: *mut T,
    dgamma: *mut T,
    dbeta: *mut T,
    n: usize,
    mean: T,
    inv: T,
}

impl<T: Real> Work for Backward<T> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (m, v) = (T::splat(s, self.mean), T::splat(s, self.inv));
        // SAFETY: whoever made this has n elements behind all.
        unsafe {
            let one = sum!(s, T, self.n, |i, w| load::<T, S>(s, self.g.add(i), w)
                * load::<T, S>(s, self.gamma.add(i), w));
            let two = sum!(s, T, self.n, |i, w| {
                let h = load::<T, S>(s, self.g.add(i), w) * load::<T, S>(s, self.gamma.add(i), w);
                h * ((load::<T, S>(s, self.x.add(i), w) - m) * v)
            });
            let n = self.n as f64;
            let (one, two) = (T::splat(s, T::from_f64(one / n)), T::splat(s, T::from_f64(two / n)));
            steps!(T, self.n, |i, w| {
                let g = load::<T, S>(s, self.g.add(i), w);
                let hat = (load::<T, S>(s, self.x.add(i), w) - m) * v;
                let h = g * load::<T, S>(s, self.gamma.add(i), w);
                store::<T, S>(s, self.dx.add(i), (h - one - hat * two) * v, w);
                let (a, b) = (self.dgamma.add(i), self.dbeta.add(i));
                store::<T, S>(s, a, T::fma(s, g, hat, load::<T, S>(s, a, w)), w);
                store::<T, S>(s, b, load::<T, S>(s, b, w) + g, w);
            });
        }
    }
}

/// Row `i` as `T`: where it lies, or widened in the buffer.
fn row<T: Real>(x: Span, i: usize, n: usize, buf: &mut Vec<f32>) -> *const T {
    if x.dtype() == T::DTYPE {
        return x.sub(i * n, n).ptr::<T>();
    }
    buf.resize(n, 0.0);
    read32(x, i * n, buf);
    buf.as_ptr().cast()
}

/// A scale or a shift as `T`.
fn places<T: Real>(x: Span) -> Vec<T> {
    // SAFETY: nobody writes an input.
    with_dtype!(x.dtype(), E => unsafe { x.slice::<E>() }.iter().map(|v| T::from_f64(v.to_f64())).collect())
}

/// Normalises rows of `n` elements: `y = (x - mean) / sqrt(var + eps) * gamma + beta`. Gives `sqrt(var + eps)` and the mean of each
/// row, the mean first. `y` may be exactly `x`.
pub fn forward(x: Span, gamma: Span, beta: Span, y: Span, n: usize, eps: f64) -> (Vec<f64>, Vec<f64>) {
    assert!(x.len() == y.len() && x.dtype() == y.dtype() && gamma.len() == n && beta.len() == n);
    let rows = x.len().checked_div(n).unwrap_or(0);
    let mut kept = vec![0.0; rows * 2];
    // SAFETY: the vector lives until the end, and each chunk writes its own part.
    let all = unsafe { Span::new(kept.as_mut_ptr().cast(), kept.len(), DType::F64) };
    by_lanes!(x.dtype(), T => {
        let (gamma, beta, level) = (places::<T>(gamma), places::<T>(beta), level());
        par::chunks(rows, (WORK / n.max(1)).max(1), |_, r| {
            let mut buf = Vec::new();
            for i in r {
                let x = row::<T>(x, i, n, &mut buf);
                let (mean, var) = moments(level, x, n);
                let deviation = (var + eps).sqrt();
                let direct = y.dtype() == T::DTYPE;
                let to = if direct { y.sub(i * n, n).ptr::<T>() } else { buf.as_mut_ptr().cast() };
                let (gamma, beta, inv) = (gamma.as_ptr(), beta.as_ptr(), T::from_f64(1.0 / deviation));
                level.run(Forward { x, gamma, beta, y: to, n, mean: T::from_f64(mean), inv });
                if !direct {
                    write32(&buf, y, i * n);
                }
                // SAFETY: the numbers of row i are this chunk's alone.
                unsafe { all.sub(2 * i, 2).slice_mut::<f64>() }.copy_from_slice(&[mean, deviation]);
            }
        })
    });
    kept.chunks_exact(2).map(|k| (k[0], k[1])).unzip()
}

/// Gradients by input, scale and shift from the gradient `g` of the result. All have one dtype; the mean and deviation of the rows are
/// computed again, which costs less than to keep them. `dx` may be exactly `g`.
pub fn backward(g: Span, x: Span, gamma: Span, n: usize, eps: f64, [dx, dgamma, dbeta]: [Span; 3]) {
    assert!(x.len() == g.len() && x.len() == dx.len() && gamma.len() == n);
    assert!(dgamma.len() == n && dbeta.len() == n);
    by_lanes!(x.dtype(), T => backward_of::<T>(g, x, gamma, n, eps, [dx, dgamma, dbeta]));
}

fn backward_of<T: Real>(g: Span, x: Span, gamma: Span, n: usize, eps: f64, [dx, dgamma, dbeta]: [Span; 3]) {
    let (rows, level, gamma) = (x.len().checked_div(n).unwrap_or(0), level(), places::<T>(gamma));
    // Few enough parts that their sums stay small beside the data.
    let chunk = (4 * WORK / n.max(1)).max(rows.div_ceil(32)).max(1);
    let parts = rows.div_ceil(chunk);
    let mut sums = vec![0f64; parts * 2 * n];
    // SAFETY: the vector lives until the end, and each chunk writes its own part.
    let all = unsafe { Span::new(sums.as_mut_ptr().cast(), sums.len(), DType::F64) };
    par::chunks(rows, chunk, |part, r| {
        // SAFETY: part `part` of the sums is this chunk's alone.
        let sums = unsafe { all.sub(part * 2 * n, 2 * n).slice_mut::<f64>() };
        let (mut bx, mut bg, mut near) = (Vec::new(), Vec::new(), vec![T::default(); 2 * n]);
        for start in r.clone().step_by(ROWS) {
            near.fill(T::default());
            for i in start..r.end.min(start + ROWS) {
                let (g, x) = (row::<T>(g, i, n, &mut bg), row::<T>(x, i, n, &mut bx));
                let (mean, var) = moments(level, x, n);
                let direct = dx.dtype() == T::DTYPE;
                let to = if direct { dx.sub(i * n, n).ptr::<T>() } else { bg.as_mut_ptr().cast() };
                let (dgamma, dbeta) = near.split_at_mut(n);
                level.run(Backward {
                    g,
                    x,
                    gamma: gamma.as_ptr(),
                    dx: to,
                    dgamma: dgamma.as_mut_ptr(),
                    dbeta: dbeta.as_mut_ptr(),
                    n,
                    mean: T::from_f64(mean),
                    inv: T::from_f64(1.0 / (var + eps).sqrt()),
                });
                if !direct {
                    write32(&bg, dx, i * n);
                }
            }
            sums.iter_mut().zip(&near).for_each(|(s, v)| *s += v.to_f64());
        }
    });
    for (k, out) in [dgamma, dbeta].into_iter().enumerate() {
        let sum = |j: usize| (0..parts).map(|p| sums[(p * 2 + k) * n + j]).sum::<f64>();
        with_dtype!(out.dtype(), E => {
            // SAFETY: the outputs are this call's alone.
            let out = unsafe { out.slice_mut::<E>() };
            out.iter_mut().enumerate().for_each(|(j, y)| *y = E::from_f64(sum(j)));
        });
    }
}
