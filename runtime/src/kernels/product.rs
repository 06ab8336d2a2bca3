//! Products of matrices, over crate `gemm`. This file decides how a product is cut into pieces and which of them run at the same
//! time; it does so by sizes alone, so that the number of threads does not show in a result.

use super::lane::Lane;
use super::par;
use crate::simd::{Level, MAX_LANES, Simd, Work, level};
use gemm::Parallelism;

/// An element type that products are computed in.
#[allow(private_bounds)]
pub trait Real: Lane + Dot + std::ops::Add<Output = Self> + std::ops::Mul<Output = Self> {}
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
/// Elements of a matrix that one piece of a matrix-vector product reads.
const STRIP: usize = 32 * 1024;

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
        return unsafe { one(m, n, k, alpha, a.0, la, b.0, lb, beta, c.0, lc) };
    }
    if m.max(n) <= TILE / 4 && k > 2 * DEPTH {
        return deep(m, n, k, alpha, a, la, b, lb, beta, c, lc);
    }
    // Pieces as square as can be, but enough of them.
    let (mut tm, mut tn) = (m.min(TILE), n.min(TILE));
    while m.div_ceil(tm) * n.div_ceil(tn) < 8 && tm * tn * k > 4 * SMALL {
        if tm >= tn {
            tm = tm.div_ceil(2).next_multiple_of(16)
        } else {
            tn = tn.div_ceil(2).next_multiple_of(16)
        }
    }
    let down = m.div_ceil(tm);
    par::chunks(down * n.div_ceil(tn), 1, |_, r| {
        for tile in r {
            let (i, j) = (tile % down * tm, tile / down * tn);
            let (rows, cols) = (tm.min(m - i), tn.min(n - j));
            // SAFETY: the tile lies inside the three matrices, and no two write the same element.
            unsafe {
                one(
                    rows,
                    cols,
                    k,
                    alpha,
                    a.at(i as isize * la.rows),
                    la,
                    b.at(j as isize * lb.cols),
                    lb,
                    beta,
                    c.at(i as isize * lc.rows + j as isize * lc.cols),
                    lc,
                )
            }
        }
    });
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
            // SAFETY: the caller's promise.
            unsafe { gemm(m, n, k, alpha, a.at(oa), la, b.at(ob), lb, beta, c.at(oc), lc) }
        }
    });
}

/// One piece, on this thread.
/// # Safety
/// As [`gemm`].
#[allow(clippy::too_many_arguments)]
unsafe fn one<T: Real>(
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
    let zero = T::default();
    // SAFETY: the caller's promise.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c,
            lc.cols,
            lc.rows,
            beta != zero,
            a,
            la.cols,
            la.rows,
            b,
            lb.cols,
            lb.rows,
            beta,
            alpha,
            false,
            false,
            false,
            Parallelism::None,
        )
    }
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
#[allow(clippy::too_many_arguments)]
fn deep<T: Real>(
    m: usize,
    n: usize,
    k: usize,
    alpha: T,
    a: Shared<T>,
    la: Layout,
    b: Shared<T>,
    lb: Layout,
    beta: T,
    c: Shared<T>,
    lc: Layout,
) {
    let depth = DEPTH.max(k.div_ceil(32));
    let mut parts = vec![T::default(); m * n * k.div_ceil(depth)];
    let to = Shared(parts.as_mut_ptr());
    par::chunks(k, depth, |i, r| {
        let from = r.start as isize;
        let part = to.at((i * m * n) as isize);
        // SAFETY: a slice of the depth; each has its own part.
        unsafe {
            let (a, b) = (a.at(from * la.cols), b.at(from * lb.rows));
            one(m, n, r.len(), alpha, a, la, b, lb, T::default(), part, Layout::of_cols(n));
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

/// y = alpha · a x + beta · y, for a of m×k.
/// # Safety
/// As [`gemm`].
#[allow(clippy::too_many_arguments)]
unsafe fn gemv<T: Real>(
    m: usize,
    k: usize,
    alpha: T,
    a: Shared<T>,
    la: Layout,
    x: Shared<T>,
    xs: isize,
    beta: T,
    y: Shared<T>,
    ys: isize,
) {
    let level = level();
    // The vector, without gaps.
    let mut packed = Vec::new();
    let x = if xs == 1 {
        x
    } else {
        // SAFETY: elements of the vector.
        packed.extend((0..k as isize).map(|i| unsafe { *x.at(i * xs) }));
        Shared(packed.as_mut_ptr())
    };
    let put = |i: usize, v: T| {
        let p = y.at(i as isize * ys);
        // SAFETY: an element of y, written by whoever computed it.
        unsafe { *p = if beta == T::default() { alpha * v } else { alpha * v + beta * *p } }
    };
    if la.cols == 1 && m == 1 && k > 2 * STRIP {
        // One long product: pieces, summed in order.
        let mut parts = vec![T::default(); k.div_ceil(STRIP)];
        let to = Shared(parts.as_mut_ptr());
        par::chunks(k, STRIP, |i, r| {
            // SAFETY: pieces of both vectors; each has its own place.
            unsafe {
                *to.at(i as isize) = T::dot(level, a.at(r.start as isize), x.at(r.start as isize), r.len())
            }
        });
        put(0, parts.iter().fold(T::default(), |s, &p| s + p));
    } else if la.cols == 1 {
        par::chunks(m, (STRIP / k).max(1), |_, r| {
            for i in r {
                // SAFETY: row i of a.
                put(i, unsafe { T::dot(level, a.at(i as isize * la.rows), x.at(0), k) });
            }
        });
    } else {
        // Columns lie together (or nothing does): a strip of rows at a time.
        const ROWS: usize = 256;
        par::chunks(m, ROWS, |_, r| {
            let mut sums = [T::default(); ROWS];
            let sums = &mut sums[..r.len()];
            for j in 0..k as isize {
                // SAFETY: elements of row r of column j, and of x.
                unsafe {
                    let v = *x.at(j);
                    let col = a.at(r.start as isize * la.rows + j * la.cols);
                    if la.rows == 1 {
                        T::axpy(level, v, col, sums);
                    } else {
                        sums.iter_mut()
                            .enumerate()
                            .for_each(|(i, s)| *s = *s + v * *col.offset(i as isize * la.rows));
                    }
                }
            }
            r.clone().for_each(|i| put(i, sums[i - r.start]));
        });
    }
}

/// Products of vectors.
trait Dot: Lane {
    /// # Safety
    /// Both are readable for `n` elements.
    unsafe fn dot(level: Level, a: *const Self, b: *const Self, n: usize) -> Self;
    /// y += v x.
    /// # Safety
    /// `x` is readable for as many elements as `y` has.
    unsafe fn axpy(level: Level, v: Self, x: *const Self, y: &mut [Self]);
}

struct DotWork<T>(*const T, *const T, usize);
struct AxpyWork<'a, T>(T, *const T, &'a mut [T]);

macro_rules! dot {
    ($t:ty, $fma:ident, $splat:ident) => {
        impl Dot for $t {
            unsafe fn dot(level: Level, a: *const $t, b: *const $t, n: usize) -> $t {
                level.run(DotWork(a, b, n))
            }
            unsafe fn axpy(level: Level, v: $t, x: *const $t, y: &mut [$t]) {
                level.run(AxpyWork(v, x, y))
            }
        }
        impl Work for DotWork<$t> {
            type Out = $t;
            #[inline(always)]
            fn run<S: Simd>(self, s: S) -> $t {
                let DotWork(a, b, n) = self;
                let lanes = <$t as Lane>::count::<S>();
                // As many sums as the widest level has in four vectors, whatever the level: the order of summation is the same.
                const SUMS: usize = 4 * MAX_LANES * 4 / size_of::<$t>();
                let mut acc = [s.$splat(0.0); SUMS];
                let per = SUMS / lanes;
                let mut i = 0;
                // SAFETY: the caller of `dot` promised n elements.
                unsafe {
                    while i + SUMS <= n {
                        for j in 0..per {
                            let (x, y) =
                                (<$t>::load(s, a.add(i + j * lanes)), <$t>::load(s, b.add(i + j * lanes)));
                            acc[j] = s.$fma(x, y, acc[j]);
                        }
                        i += SUMS;
                    }
                    let mut sums = [0.0; SUMS];
                    for j in 0..per {
                        <$t>::store(s, sums.as_mut_ptr().add(j * lanes), acc[j], false);
                    }
                    for j in 0..n - i {
                        sums[j] = (*a.add(i + j)).mul_add(*b.add(i + j), sums[j]);
                    }
                    let mut half = SUMS / 2;
                    while half > 0 {
                        for j in 0..half {
                            sums[j] += sums[j + half];
                        }
                        half /= 2;
                    }
                    sums[0]
                }
            }
        }
        impl Work for AxpyWork<'_, $t> {
            type Out = ();
            #[inline(always)]
            fn run<S: Simd>(self, s: S) {
                let AxpyWork(v, x, y) = self;
                let (lanes, n) = (<$t as Lane>::count::<S>(), y.len());
                let (v, y) = (s.$splat(v), y.as_mut_ptr());
                let mut i = 0;
                // SAFETY: the caller of `axpy` promised as many elements as y has.
                unsafe {
                    while i + lanes <= n {
                        let sum = s.$fma(v, <$t>::load(s, x.add(i)), <$t>::load(s, y.add(i)));
                        <$t>::store(s, y.add(i), sum, false);
                        i += lanes;
                    }
                    if i < n {
                        let sum = s.$fma(
                            v,
                            <$t>::load_part(s, x.add(i), n - i, 0.0),
                            <$t>::load_part(s, y.add(i), n - i, 0.0),
                        );
                        <$t>::store_part(s, y.add(i), sum, n - i);
                    }
                }
            }
        }
    };
}
dot!(f32, fma, splat);
dot!(f64, fma64, splat64);

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
}
