//! Factorizations with orthogonal matrices, by Householder's reflections `1 - τ v vᵀ`, in float64.

use super::Mat;

/// The reflection that turns x into a multiple of the first unit vector: x becomes v, whose first element is 1. Gives τ and the
/// multiple, whose sign is not that of x[0], so that nothing cancels.
fn reflection(x: Mat<f64>) -> (f64, f64) {
    let n = x.cols;
    // Scaled, so that squares neither overflow nor vanish.
    let scale = (0..n).fold(0.0f64, |m, j| m.max(x.get(0, j).abs()));
    let first = x.get(0, 0);
    if (1..n).all(|j| x.get(0, j) == 0.0) {
        x.set(0, 0, 1.0);
        return (0.0, first);
    }
    let norm = scale * (0..n).map(|j| (x.get(0, j) / scale).powi(2)).sum::<f64>().sqrt();
    let to = if first < 0.0 { norm } else { -norm };
    for j in 1..n {
        x.set(0, j, x.get(0, j) / (first - to));
    }
    x.set(0, 0, 1.0);
    ((to - first) / to, to)
}

/// a becomes a (1 - τ v vᵀ), for a row v.
fn reflect(a: Mat<f64>, v: Mat<f64>, tau: f64) {
    if tau == 0.0 || a.rows == 0 {
        return;
    }
    let mut w = vec![0.0; a.rows];
    // SAFETY: the vector outlives the view.
    let w = unsafe { Mat::new(w.as_mut_ptr(), a.rows, 1) };
    w.add_product(1.0, a, v.t());
    a.add_product(-tau, w, v);
}

/// `a = L Q`, for a matrix with no more rows than columns: a becomes Q, whose rows are orthonormal, and `l` the lower triangular L.
pub fn lq(a: Mat<f64>, l: Mat<f64>) {
    let (m, n) = (a.rows, a.cols);
    assert!(m <= n && l.rows == m && l.cols == m);
    let mut taus = vec![0.0; m];
    for i in 0..m {
        let v = a.part(i, i, 1, n - i);
        let (tau, d) = reflection(v);
        reflect(a.part(i + 1, i, m - i - 1, n - i), v, tau);
        taus[i] = tau;
        l.set(i, i, d);
        for j in 0..m {
            match j.cmp(&i) {
                std::cmp::Ordering::Less => l.set(i, j, a.get(i, j)),
                std::cmp::Ordering::Greater => l.set(i, j, 0.0),
                std::cmp::Ordering::Equal => {}
            }
        }
    }
    accumulate(a, &taus, 0);
}

/// Row i of `a` holds vector i from column `i + shift` on. `a` becomes the first rows of the product of the reflections, the last one
/// being the leftmost factor; the first `shift` rows and columns are those of the identity.
fn accumulate(a: Mat<f64>, taus: &[f64], shift: usize) {
    let (m, n) = (a.rows, a.cols);
    let mut vectors = vec![0.0; m * n];
    // SAFETY: the vector outlives the view.
    let v = unsafe { Mat::new(vectors.as_mut_ptr(), m, n) };
    for i in 0..m {
        (0..n).for_each(|j| v.set(i, j, a.get(i, j)));
    }
    a.to_identity();
    for (i, &tau) in taus.iter().enumerate().rev() {
        let from = i + shift;
        reflect(a.part(from, from, m - from, n - from), v.part(i, from, 1, n - from), tau);
    }
}

/// `a = Uᵀ diag(values) U`, for a symmetric matrix: a becomes U, whose rows are the eigenvectors, by ascending eigenvalue. `None` where
/// the iteration does not end, which only values that are not finite do.
pub fn eigen(a: Mat<f64>) -> Option<Vec<f64>> {
    let n = a.rows;
    assert!(a.cols == n);
    let (mut d, mut e) = (vec![0.0; n], vec![0.0; n]);
    let mut taus = vec![0.0; n.saturating_sub(2)];
    // To tridiagonal form: each reflection is applied from both sides, as one update of rank 2.
    for k in 0..n.saturating_sub(2) {
        let size = n - k - 1;
        let v = a.part(k, k + 1, 1, size);
        let (tau, off) = reflection(v);
        let rest = a.part(k + 1, k + 1, size, size);
        let mut buf = vec![0.0; size];
        // SAFETY: the vector outlives the view.
        let w = unsafe { Mat::new(buf.as_mut_ptr(), size, 1) };
        w.add_product(tau, rest, v.t());
        let along: f64 = (0..size).map(|i| w.get(i, 0) * v.get(0, i)).sum();
        (0..size).for_each(|i| w.set(i, 0, w.get(i, 0) - 0.5 * tau * along * v.get(0, i)));
        rest.add_product(-1.0, w, v);
        rest.add_product(-1.0, v.t(), w.t());
        (d[k], e[k], taus[k]) = (a.get(k, k), off, tau);
    }
    for k in n.saturating_sub(2)..n {
        d[k] = a.get(k, k);
        if k + 1 < n {
            e[k] = a.get(k, k + 1);
        }
    }
    accumulate(a, &taus, 1);
    ql(&mut d, &mut e, a)?;
    // By ascending eigenvalue.
    for i in 0..n {
        let least = (i..n).fold(i, |best, k| if d[k] < d[best] { k } else { best });
        d.swap(i, least);
        a.swap_rows(i, least);
    }
    Some(d)
}

/// Eigenvalues `d` of the symmetric tridiagonal matrix with diagonal `d` and off-diagonal `e`, by the QL iteration with implicit shifts;
/// the rotations are applied to the rows of `u`.
fn ql(d: &mut [f64], e: &mut [f64], u: Mat<f64>) -> Option<()> {
    let n = d.len();
    for l in 0..n {
        for round in 0.. {
            let split = |m: &usize| e[*m].abs() <= f64::EPSILON * (d[*m].abs() + d[*m + 1].abs());
            let m = (l..n - 1).find(split).unwrap_or(n - 1);
            if m == l {
                break;
            }
            if round == 60 {
                return None;
            }
            let mut g = (d[l + 1] - d[l]) / (2.0 * e[l]);
            g = d[m] - d[l] + e[l] / (g + g.hypot(1.0).copysign(g));
            let (mut s, mut c, mut p, mut vanished) = (1.0, 1.0, 0.0, false);
            for i in (l..m).rev() {
                let (f, b) = (s * e[i], c * e[i]);
                let r = f64::hypot(f, g);
                e[i + 1] = r;
                if r == 0.0 {
                    d[i + 1] -= p;
                    e[m] = 0.0;
                    vanished = true;
                    break;
                }
                (s, c) = (f / r, g / r);
                g = d[i + 1] - p;
                let r = (d[i] - g) * s + 2.0 * c * b;
                p = s * r;
                d[i + 1] = g + p;
                g = c * r - b;
                for j in 0..n {
                    let (x, y) = (u.get(i, j), u.get(i + 1, j));
                    u.set(i + 1, j, s * x + c * y);
                    u.set(i, j, c * x - s * y);
                }
            }
            if !vanished {
                d[l] -= p;
                e[l] = g;
                e[m] = 0.0;
            }
        }
    }
    Some(())
}
