//! Products of matrices. This file decides how a product is cut into pieces and which of them run at the same
//! time; it does so by sizes alone, so that the number of threads does not show in a result.

mod fill;
mod tiled;
mod vector;

use super::par;
use super::real;
use crate::dtype::Elem;
pub(super) use fill::Fill;
pub(super) use tiled::Product;
use vector::{Dot, gemv};

/// An element type that products are computed in.
#[allow(private_bounds)]
pub trait Real: real::Real + Elem + Dot {}
impl Real for f32 {}
impl Real for f64 {}

/// Where a matrix lies: distances between neighbouring rows and columns, in elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// From one row to the next.
    pub rows: isize,
    /// From one column to the next.
    pub cols: isize,
}

impl Layout {
    /// Row-major with that many columns.
    pub fn of_cols(n: usize) -> Layout {
        Layout { rows: n as isize, cols: 1 }
    }

    /// The transposed matrix, without moving anything.
    #[must_use]
    pub fn t(self) -> Layout {
        Layout { rows: self.cols, cols: self.rows }
    }

    /// As is, or transposed.
    #[must_use]
    pub fn t_if(self, transposed: bool) -> Layout {
        if transposed { self.t() } else { self }
    }
}

/// A pointer that parallel pieces may share.
#[derive(Clone, Copy)]
pub(super) struct Shared<T>(pub(super) *mut T);
// SAFETY: each piece writes its own part; inputs are only read.
unsafe impl<T> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    #[inline(always)]
    pub(super) fn at(self, i: isize) -> *mut T {
        self.0.wrapping_offset(i)
    }
}

/// Multiplications below which a product stays on the calling thread.
const SMALL: usize = 64 * 64 * 64;
/// Rows and columns of a piece of the result.
const TILE: usize = 512;
/// Depth of a piece where the result is too small to be cut.
const DEPTH: usize = 8192;

/// c = alpha · a b + beta · c, for a of m×k, b of k×n, c of m×n. Where beta is 0, c is not read.
///
/// # Safety
/// Every element of `a` and `b` is readable, every element of `c` is writable and lies apart from `a` and `b`.
#[allow(clippy::too_many_arguments)]
pub unsafe fn gemm<T: Real>(
    m: usize,
    n: usize,
    k: usize,
    alpha: T,
    a: *const T,
    la: Layout,
    b: *const T,
    lb: Layout,
    beta: T,
    c: *mut T,
    lc: Layout,
) {
    // SAFETY: the caller's promise.
    unsafe { cut(Product { m, n, k, alpha, a, la, b, lb, beta, c, lc }, true) }
}

/// The same; one of many products need not be cut in `halves` where it is small.
///
/// # Safety
/// As [`fn@gemm`].
unsafe fn cut<T: Real>(product: Product<T>, halves: bool) {
    let Product { m, n, k, alpha, a, la, b, lb, beta, c, lc } = product;
    if m == 0 || n == 0 {
        return;
    }
    let (a, b, c) = (Shared(a.cast_mut()), Shared(b.cast_mut()), Shared(c));
    if k == 0 {
        // SAFETY: `c` is a matrix of m x n by the caller's word.
        return unsafe { scale(m, n, beta, c.0, lc) };
    }
    if n == 1 {
        // SAFETY: the three matrices are the caller's; `c` is a column.
        return unsafe { gemv(m, k, alpha, a, la, b, lb.rows, beta, c, lc.rows) };
    }
    if m == 1 {
        // SAFETY: as above, transposed: `c` is a row.
        return unsafe { gemv(n, k, alpha, b, lb.t(), a, la.cols, beta, c, lc.cols) };
    }
    let work = m.saturating_mul(n).saturating_mul(k);
    if work <= SMALL {
        // SAFETY: the three matrices, whole.
        return unsafe { product.single() };
    }
    if m.max(n) <= TILE / 4 && k > 2 * DEPTH {
        // SAFETY: the caller's promise.
        return unsafe { deep(product) };
    }
    // Rather long than wide, since the right operand is packed for each of them, but enough of them.
    let (mut tm, mut tn) = (m.min(TILE), n.min(TILE));
    while m.div_ceil(tm) * n.div_ceil(tn) < 8 && tm * tn * k > 4 * SMALL {
        if tm > 2 * tn {
            tm = tm.div_ceil(2).next_multiple_of(16)
        } else {
            tn = tn.div_ceil(2).next_multiple_of(16)
        }
    }
    // A small product in halves, which a helper is worth that is awake.
    let halved = halves && m <= tm && n <= tn && work > 2 * SMALL;
    if halved && n.is_multiple_of(32) {
        tn = n / 2;
    } else if halved {
        tm = m.div_ceil(2);
    }
    let down = m.div_ceil(tm);
    let tiles = |_: usize, r: std::ops::Range<usize>| {
        for tile in r {
            let (i, j) = (tile % down * tm, tile / down * tn);
            let (rows, cols) = (tm.min(m - i), tn.min(n - j));
            let (a, b) = (a.at(i as isize * la.rows), b.at(j as isize * lb.cols));
            let c = c.at(i as isize * lc.rows + j as isize * lc.cols);
            // SAFETY: the tile lies inside the three matrices, and no two write the same element.
            unsafe { Product { m: rows, n: cols, k, alpha, a, la, b, lb, beta, c, lc }.single() }
        }
    };
    let count = down * n.div_ceil(tn);
    par::chunks(count, if halved && !par::awake() { count } else { 1 }, tiles);
}

/// `count` products of one size, at fixed distances from each other; the products may run at the same time.
///
/// # Safety
/// As [`fn@gemm`], for each of the products; their results lie apart from each other.
#[allow(clippy::too_many_arguments)]
pub unsafe fn gemm_batch<T: Real>(
    count: usize,
    [m, n, k]: [usize; 3],
    alpha: T,
    a: *const T,
    la: Layout,
    b: *const T,
    lb: Layout,
    beta: T,
    c: *mut T,
    lc: Layout,
    place: impl Fn(usize) -> [isize; 3] + Sync,
) {
    let (a, b, c) = (Shared(a.cast_mut()), Shared(b.cast_mut()), Shared(c));
    let work = m.saturating_mul(n).saturating_mul(k).max(1);
    // Large products are spread one by one, small ones by the handful.
    let each = if work > 64 * SMALL && count < 16 { usize::MAX } else { (SMALL / work).max(1) };
    par::chunks(count, each, |_, r| {
        for i in r {
            let [oa, ob, oc] = place(i);
            let (a, b, c) = (a.at(oa), b.at(ob), c.at(oc));
            // SAFETY: the caller's promise.
            unsafe { cut(Product { m, n, k, alpha, a, la, b, lb, beta, c, lc }, count == 1) }
        }
    });
}

/// c = beta c.
/// # Safety
/// Every element of `c` is writable.
unsafe fn scale<T: Real>(m: usize, n: usize, beta: T, c: *mut T, lc: Layout) {
    for i in 0..m as isize {
        for j in 0..n as isize {
            // SAFETY: an element of the matrix.
            unsafe {
                let p = c.offset(i * lc.rows + j * lc.cols);
                *p = if beta == T::default() { beta } else { beta * *p };
            }
        }
    }
}

/// A small result from long rows: cut along the depth, summed in order.
/// # Safety
/// As [`fn@gemm`].
unsafe fn deep<T: Real>(product: Product<T>) {
    let Product { m, n, k, alpha, a, la, b, lb, beta, c, lc } = product;
    let (a, b, c) = (Shared(a.cast_mut()), Shared(b.cast_mut()), Shared(c));
    let depth = DEPTH.max(k.div_ceil(32));
    let mut parts = vec![T::default(); m * n * k.div_ceil(depth)];
    let to = Shared(parts.as_mut_ptr());
    par::chunks(k, depth, |i, r| {
        let from = r.start as isize;
        let part = to.at((i * m * n) as isize);
        // SAFETY: a slice of the depth; each has its own part.
        unsafe {
            let (a, b, k, beta) = (a.at(from * la.cols), b.at(from * lb.rows), r.len(), T::default());
            Product { m, n, k, alpha, a, la, b, lb, beta, c: part, lc: Layout::of_cols(n) }.single();
        }
    });
    for i in 0..m {
        for j in 0..n {
            let sum = parts.chunks_exact(m * n).fold(T::default(), |s, p| s + p[i * n + j]);
            // SAFETY: an element of c.
            unsafe {
                let p = c.at(i as isize * lc.rows + j as isize * lc.cols);
                *p = if beta == T::default() { sum } else { sum + beta * *p };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::par::with_threads;

    fn data(n: usize, seed: usize) -> Vec<f64> {
        (0..n).map(|i| ((i * 37 + seed * 11) % 23) as f64 - 11.0).collect()
    }

    fn check(m: usize, n: usize, k: usize, ta: bool, tb: bool, alpha: f64, beta: f64) {
        let (a, b, c0) = (data(m * k, 1), data(k * n, 2), data(m * n, 3));
        let la = if ta { Layout::of_cols(m).t() } else { Layout::of_cols(k) };
        let lb = if tb { Layout::of_cols(k).t() } else { Layout::of_cols(n) };
        let run32 = |threads: usize| {
            let (a, b): (Vec<f32>, Vec<f32>) =
                (a.iter().map(|&v| v as f32).collect(), b.iter().map(|&v| v as f32).collect());
            let mut c: Vec<f32> = c0.iter().map(|&v| v as f32).collect();
            with_threads(threads, || {
                // SAFETY: the vectors hold the matrices.
                unsafe {
                    gemm(
                        m,
                        n,
                        k,
                        alpha as f32,
                        a.as_ptr(),
                        la,
                        b.as_ptr(),
                        lb,
                        beta as f32,
                        c.as_mut_ptr(),
                        Layout::of_cols(n),
                    )
                }
            });
            c
        };
        let mut c = c0.clone();
        // SAFETY: the vectors hold the matrices.
        unsafe {
            gemm(m, n, k, alpha, a.as_ptr(), la, b.as_ptr(), lb, beta, c.as_mut_ptr(), Layout::of_cols(n))
        };
        let (one, two) = (run32(1), run32(2));
        assert_eq!(one, two, "threads show in {m} {n} {k}");
        for i in 0..m {
            for j in 0..n {
                let at = |l: Layout, r: usize, c: usize| (r as isize * l.rows + c as isize * l.cols) as usize;
                let dot: f64 = (0..k).map(|p| a[at(la, i, p)] * b[at(lb, p, j)]).sum();
                let want = alpha * dot + if beta == 0.0 { 0.0 } else { beta * c0[i * n + j] };
                assert_eq!(c[i * n + j], want, "{m} {n} {k} {ta} {tb} at {i} {j}");
                assert_eq!(one[i * n + j], want as f32, "float32 {m} {n} {k} {ta} {tb} at {i} {j}");
            }
        }
    }

    #[test]
    fn all_shapes_and_transposes() {
        for &(m, n, k) in &[
            (1, 1, 1),
            (1, 1, 700),
            (1, 5, 3),
            (5, 1, 3),
            (3, 300, 1),
            (17, 19, 23),
            (100, 90, 80),
            (4, 600, 70),
            (600, 4, 70),
            (8, 64, 300),
            (40, 320, 33),
            (300, 70, 270),
            (35, 280, 530),
            (3, 4, 0),
            (0, 4, 3),
        ] {
            for bits in 0..4 {
                check(m, n, k, bits & 1 == 1, bits & 2 == 2, 1.0, 0.0);
                check(m, n, k, bits & 1 == 1, bits & 2 == 2, -2.0, 0.5);
            }
        }
        check(6, 7, 20_000, false, false, 1.0, 0.0);
        check(1, 1, 100_000, false, false, 1.0, 0.0);
        check(3, 4, 0, false, false, 1.0, 0.5);
    }

    #[test]
    fn results_lie_anywhere() {
        for (m, n, k) in [(9, 40, 7), (40, 9, 300), (70, 66, 33)] {
            let (a, b) = (data(m * k, 1), data(k * n, 2));
            let layouts = [
                Layout { rows: 1, cols: m as isize },
                Layout { rows: 2 * n as isize, cols: 2 },
                Layout { rows: n as isize + 3, cols: 1 },
            ];
            for lc in layouts {
                for beta in [0.0, 2.0] {
                    let mut c = data(3 * m * n + 3 * m, 3);
                    let before = c.clone();
                    let (la, lb) = (Layout::of_cols(k), Layout::of_cols(n));
                    // SAFETY: the vectors hold the matrices.
                    unsafe { gemm(m, n, k, 1.0, a.as_ptr(), la, b.as_ptr(), lb, beta, c.as_mut_ptr(), lc) };
                    let mut want = before.clone();
                    for i in 0..m {
                        for j in 0..n {
                            let at = i * lc.rows as usize + j * lc.cols as usize;
                            let dot: f64 = (0..k).map(|p| a[i * k + p] * b[p * n + j]).sum();
                            want[at] = dot + beta * before[at];
                        }
                    }
                    assert_eq!(c, want, "{m} {n} {k} {lc:?} {beta}");
                }
            }
        }
    }
}
