//! Gaussian elimination with partial pivoting, and what follows from it.

use super::{Mat, Number, SMALL, solve};

/// A matrix becomes its factors L (below the diagonal, which is 1) and U. `swaps` gets for each row the one that it was exchanged with.
fn factor<T: Number>(a: Mat<T>, swaps: &mut Vec<usize>) {
    let (m, n) = (a.rows, a.cols.min(a.rows));
    let base = swaps.len();
    if n <= SMALL / 2 {
        for j in 0..n {
            let size = |i: usize| a.get(i, j).to_f64().abs();
            let pivot = (j..m).fold(j, |best, i| if size(i) > size(best) { i } else { best });
            swaps.push(pivot);
            a.swap_rows(j, pivot);
            let d = a.get(j, j);
            if d == T::default() {
                continue;
            }
            for i in j + 1..m {
                let f = a.get(i, j) / d;
                a.set(i, j, f);
                for k in j + 1..a.cols {
                    a.set(i, k, a.get(i, k) - f * a.get(j, k));
                }
            }
        }
        return;
    }
    let h = n / 2;
    let (left, right) = (a.part(0, 0, m, h), a.part(0, h, m, a.cols - h));
    factor(left, swaps);
    for i in 0..h {
        right.swap_rows(i, swaps[base + i]);
    }
    let (top, bottom) = (right.part(0, 0, h, right.cols), right.part(h, 0, m - h, right.cols));
    solve(left.part(0, 0, h, h), true, true, top);
    bottom.add_product(-1.0, left.part(h, 0, m - h, h), top);
    factor(bottom, swaps);
    let below = left.part(h, 0, m - h, h);
    for i in 0..n - h {
        below.swap_rows(i, swaps[base + h + i]);
        swaps[base + h + i] += h;
    }
}

/// b becomes the inverse of a, of which nothing useful remains. False where a is singular; b then is all zeros.
pub fn inverse<T: Number>(a: Mat<T>, b: Mat<T>) -> bool {
    let n = a.rows;
    assert!(a.cols == n && b.rows == n && b.cols == n);
    let mut swaps = Vec::with_capacity(n);
    factor(a, &mut swaps);
    b.to_identity();
    if (0..n).any(|i| a.get(i, i) == T::default()) {
        (0..n).for_each(|i| b.set(i, i, T::default()));
        return false;
    }
    for (i, &k) in swaps.iter().enumerate() {
        b.swap_rows(i, k);
    }
    solve(a, true, true, b);
    solve(a, false, false, b);
    true
}

/// Sign and logarithm of the magnitude of the determinant of a, of which nothing useful remains: 0 and -∞ where it is singular.
pub fn determinant<T: Number>(a: Mat<T>) -> (f64, f64) {
    assert!(a.rows == a.cols);
    let mut swaps = Vec::with_capacity(a.rows);
    factor(a, &mut swaps);
    let (mut sign, mut log) = (1.0, 0.0);
    for (i, &k) in swaps.iter().enumerate() {
        let d = a.get(i, i).to_f64();
        if d == 0.0 {
            return (0.0, f64::NEG_INFINITY);
        }
        sign *= d.signum() * if k == i { 1.0 } else { -1.0 };
        log += d.abs().ln();
    }
    (sign, log)
}
