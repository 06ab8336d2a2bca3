//! Products and equations with triangular matrices, and Cholesky's factorization, which rests on them. The other triangle is not read.

use super::{Mat, Number, SMALL};

/// x becomes a⁻¹ x, for a triangular matrix a; with `unit` its diagonal is taken as ones.
pub fn solve<T: Number>(a: Mat<T>, lower: bool, unit: bool, x: Mat<T>) {
    let (n, m) = (x.rows, x.cols);
    assert!(a.rows == n && a.cols == n);
    if n <= SMALL {
        for step in 0..n {
            let i = if lower { step } else { n - 1 - step };
            for k in if lower { 0..i } else { i + 1..n } {
                x.combine(i, T::from_f64(1.0), k, -a.get(i, k));
            }
            if !unit {
                for j in 0..m {
                    x.set(i, j, x.get(i, j) / a.get(i, i));
                }
            }
        }
        return;
    }
    let (h, r) = (n / 2, n - n / 2);
    let (top, bottom) = (x.part(0, 0, h, m), x.part(h, 0, r, m));
    let (first, last) = (a.part(0, 0, h, h), a.part(h, h, r, r));
    if lower {
        solve(first, lower, unit, top);
        bottom.add_product(-1.0, a.part(h, 0, r, h), top);
        solve(last, lower, unit, bottom);
    } else {
        solve(last, lower, unit, bottom);
        top.add_product(-1.0, a.part(0, h, h, r), bottom);
        solve(first, lower, unit, top);
    }
}

/// x becomes a x, for a triangular matrix a.
pub fn multiply<T: Number>(a: Mat<T>, lower: bool, x: Mat<T>) {
    let (n, m) = (x.rows, x.cols);
    assert!(a.rows == n && a.cols == n);
    if n <= SMALL {
        for step in 0..n {
            let i = if lower { n - 1 - step } else { step };
            for j in 0..m {
                x.set(i, j, a.get(i, i) * x.get(i, j));
            }
            for k in if lower { 0..i } else { i + 1..n } {
                x.combine(i, T::from_f64(1.0), k, a.get(i, k));
            }
        }
        return;
    }
    let (h, r) = (n / 2, n - n / 2);
    let (top, bottom) = (x.part(0, 0, h, m), x.part(h, 0, r, m));
    let (first, last) = (a.part(0, 0, h, h), a.part(h, h, r, r));
    if lower {
        multiply(last, lower, bottom);
        bottom.add_product(1.0, a.part(h, 0, r, h), top);
        multiply(first, lower, top);
    } else {
        multiply(first, lower, top);
        top.add_product(1.0, a.part(0, h, h, r), bottom);
        multiply(last, lower, bottom);
    }
}

/// A symmetric matrix becomes L with `a = L Lᵀ`, zeros above the diagonal. The error is the first leading part, counted from 0, that is
/// not positive definite; the matrix is then half-way.
pub fn cholesky<T: Number>(a: Mat<T>) -> Result<(), usize> {
    halves(a)?;
    for i in 0..a.rows {
        for j in i + 1..a.cols {
            a.set(i, j, T::default());
        }
    }
    Ok(())
}

fn halves<T: Number>(a: Mat<T>) -> Result<(), usize> {
    let n = a.rows;
    assert!(a.cols == n);
    if n <= SMALL {
        for j in 0..n {
            let mut d = a.get(j, j);
            for k in 0..j {
                d = d - a.get(j, k) * a.get(j, k);
            }
            // A NaN is refused too.
            if !(d > T::default()) {
                return Err(j);
            }
            let d = T::from_f64(d.to_f64().sqrt());
            a.set(j, j, d);
            for i in j + 1..n {
                let mut x = a.get(i, j);
                for k in 0..j {
                    x = x - a.get(i, k) * a.get(j, k);
                }
                a.set(i, j, x / d);
            }
        }
        return Ok(());
    }
    let (h, r) = (n / 2, n - n / 2);
    let (first, left, last) = (a.part(0, 0, h, h), a.part(h, 0, r, h), a.part(h, h, r, r));
    halves(first)?;
    solve(first, true, false, left.t());
    last.add_product(-1.0, left, left.t());
    halves(last).map_err(|i| i + h)
}
