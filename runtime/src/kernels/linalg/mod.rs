//! Factorizations of matrices. All of them halve the matrix until it is small, so that nearly all arithmetic is in products, at the
//! speed of those; a crate for it would bring its own products and threads.
//!
//! Golub and Van Loan, "Matrix Computations", 4th edition, chapters 3 to 5 and 8; Toledo, "Locality of reference in LU decomposition
//! with partial pivoting" (1997) for the recursion.

mod lu;
mod orthogonal;
mod triangular;

pub use lu::{determinant, inverse};
pub use orthogonal::{eigen, lq};
pub use triangular::{cholesky, multiply, solve};

use super::product::{Layout, Real, gemm};
use std::ops::{AddAssign, Div, Neg, Sub};

/// What matrices are made of.
pub trait Number:
    Real + Sub<Output = Self> + Div<Output = Self> + Neg<Output = Self> + AddAssign + PartialOrd
{
}
impl Number for f32 {}
impl Number for f64 {}

/// A matrix, or a part of one. Copies see the same elements.
#[derive(Clone, Copy)]
pub struct Mat<T> {
    at: *mut T,
    rows: usize,
    cols: usize,
    layout: Layout,
}

impl<T: Number> Mat<T> {
    /// `rows · cols` elements in row-major order.
    /// # Safety
    /// `at` points to so many elements, which nobody else touches while this or a part of it is used.
    pub unsafe fn new(at: *mut T, rows: usize, cols: usize) -> Mat<T> {
        Mat { at, rows, cols, layout: Layout::of_cols(cols) }
    }

    /// The transposed matrix.
    #[must_use]
    pub fn t(self) -> Mat<T> {
        Mat { rows: self.cols, cols: self.rows, layout: self.layout.t(), ..self }
    }

    /// As is, or transposed.
    #[must_use]
    pub fn t_if(self, transposed: bool) -> Mat<T> {
        if transposed { self.t() } else { self }
    }

    /// The part from (i, j) on.
    fn part(self, i: usize, j: usize, rows: usize, cols: usize) -> Mat<T> {
        assert!(i + rows <= self.rows && j + cols <= self.cols);
        let at = self.at.wrapping_offset(i as isize * self.layout.rows + j as isize * self.layout.cols);
        Mat { at, rows, cols, ..self }
    }

    #[inline(always)]
    fn place(self, i: usize, j: usize) -> *mut T {
        debug_assert!(i < self.rows && j < self.cols);
        self.at.wrapping_offset(i as isize * self.layout.rows + j as isize * self.layout.cols)
    }

    #[inline(always)]
    fn get(self, i: usize, j: usize) -> T {
        // SAFETY: an element of the matrix, which is alive as `new` was promised.
        unsafe { *self.place(i, j) }
    }

    #[inline(always)]
    fn set(self, i: usize, j: usize, x: T) {
        // SAFETY: as `get`; nobody else touches it.
        unsafe { *self.place(i, j) = x }
    }

    /// row i = f · row i + g · row k, for all columns.
    fn combine(self, i: usize, f: T, k: usize, g: T) {
        for j in 0..self.cols {
            self.set(i, j, f * self.get(i, j) + g * self.get(k, j));
        }
    }

    fn swap_rows(self, i: usize, k: usize) {
        for j in 0..if i == k { 0 } else { self.cols } {
            let x = self.get(i, j);
            self.set(i, j, self.get(k, j));
            self.set(k, j, x);
        }
    }

    /// This becomes the identity, or the first rows of one.
    fn to_identity(self) {
        for i in 0..self.rows {
            for j in 0..self.cols {
                self.set(i, j, T::from_f64(if i == j { 1.0 } else { 0.0 }));
            }
        }
    }

    /// self += alpha · a b.
    fn add_product(self, alpha: f64, a: Mat<T>, b: Mat<T>) {
        assert!(a.rows == self.rows && b.cols == self.cols && a.cols == b.rows);
        let (m, n, k, one) = (self.rows, self.cols, a.cols, T::from_f64(1.0));
        // SAFETY: the matrices are alive; callers pass results that lie apart from the factors.
        unsafe {
            gemm(m, n, k, T::from_f64(alpha), a.at, a.layout, b.at, b.layout, one, self.at, self.layout)
        }
    }
}

/// Up to this size loops are faster than halving.
const SMALL: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::samples::Draw;

    fn random(n: usize, m: usize, seed: u64) -> Vec<f64> {
        let mut d = Draw::new(seed);
        (0..n * m).map(|_| d.real(-1.0, 1.0)).collect()
    }

    fn mat(v: &mut [f64], n: usize, m: usize) -> Mat<f64> {
        assert_eq!(v.len(), n * m);
        // SAFETY: the vector outlives its use in these tests.
        unsafe { Mat::new(v.as_mut_ptr(), n, m) }
    }

    fn product(a: &mut [f64], b: &mut [f64], [n, k, m]: [usize; 3], ta: bool, tb: bool) -> Vec<f64> {
        let mut c = vec![0.0; n * m];
        let a = if ta { mat(a, k, n).t() } else { mat(a, n, k) };
        let b = if tb { mat(b, m, k).t() } else { mat(b, k, m) };
        mat(&mut c, n, m).add_product(1.0, a, b);
        c
    }

    fn near(a: &[f64], b: &[f64]) {
        for (x, y) in a.iter().zip(b) {
            assert!((x - y).abs() < 1e-9, "{x} {y}");
        }
    }

    #[test]
    fn triangles_of_all_sizes() {
        for n in [1, 2, 5, 16, 17, 40, 100] {
            let mut a = random(n, n, 1);
            let mut spd = product(&mut a.clone(), &mut a, [n, n, n], false, true);
            (0..n).for_each(|i| spd[i * n + i] += n as f64);
            let mut l = spd.clone();
            cholesky(mat(&mut l, n, n)).unwrap();
            near(&product(&mut l.clone(), &mut l, [n, n, n], false, true), &spd);
            let (mut x, b) = (random(n, 3, 2), random(n, 3, 2));
            for upper in [false, true] {
                let a = mat(&mut l, n, n).t_if(upper);
                solve(a, !upper, false, mat(&mut x, n, 3));
                multiply(a, !upper, mat(&mut x, n, 3));
                near(&x, &b);
            }
        }
        let mut bad = vec![1.0, 2.0, 2.0, 1.0];
        assert_eq!(cholesky(mat(&mut bad, 2, 2)), Err(1));
    }

    #[test]
    fn inverses_and_determinants() {
        for n in [1, 2, 5, 16, 17, 40, 100] {
            let (mut a, mut b) = (random(n, n, 3), vec![0.0; n * n]);
            assert!(inverse(mat(&mut a.clone(), n, n), mat(&mut b, n, n)));
            let mut one = vec![0.0; n * n];
            mat(&mut one, n, n).to_identity();
            near(&product(&mut a, &mut b.clone(), [n, n, n], false, false), &one);
            let ((s, l), (t, m)) = (determinant(mat(&mut a, n, n)), determinant(mat(&mut b, n, n)));
            assert!(s == t && (l + m).abs() < 1e-8, "{s} {t} {l} {m}");
        }
        let mut singular = vec![1.0, 2.0, 2.0, 4.0];
        assert_eq!(determinant(mat(&mut singular, 2, 2)), (0.0, f64::NEG_INFINITY));
    }

    #[test]
    fn orthogonal_factors() {
        for (m, n) in [(1, 1), (1, 4), (3, 3), (5, 9), (40, 41)] {
            let a = random(m, n, 4);
            let (mut q, mut l) = (a.clone(), vec![0.0; m * m]);
            lq(mat(&mut q, m, n), mat(&mut l, m, m));
            near(&product(&mut l, &mut q.clone(), [m, m, n], false, false), &a);
            let mut one = vec![0.0; m * m];
            mat(&mut one, m, m).to_identity();
            near(&product(&mut q.clone(), &mut q, [m, n, m], false, true), &one);
        }
        for n in [1, 2, 3, 10, 40, 100] {
            let mut a = random(n, n, 5);
            for i in 0..n {
                (0..i).for_each(|j| a[i * n + j] = a[j * n + i]);
            }
            let mut u = a.clone();
            let values = eigen(mat(&mut u, n, n)).unwrap();
            assert!(values.is_sorted());
            let mut scaled = u.clone();
            (0..n * n).for_each(|i| scaled[i] *= values[i / n]);
            near(&product(&mut u, &mut scaled, [n, n, n], true, false), &a);
        }
    }
}
