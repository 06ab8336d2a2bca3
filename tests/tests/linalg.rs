//! Identities that factorizations must fulfil, over drawn batches of drawn sizes, in both precisions.

use keshi::invoke::invoke_named;
use keshi::ops::samples::{Draw, Fill, Input};
use keshi::ops::{self, value::Value};
use keshi::{Array, DType};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Calls an operator by name.
fn call(name: &str, ins: &[&Array], params: &[(&str, Value)]) -> Vec<Array> {
    invoke_named(ops::find(name).unwrap(), ins, params).unwrap_or_else(|e| panic!("{e}")).into_vec()
}

fn one(name: &str, ins: &[&Array], params: &[(&str, Value)]) -> Array {
    call(name, ins, params).remove(0)
}

fn product(a: &Array, b: &Array, ta: bool, tb: bool) -> Array {
    one("_linalg_gemm2", &[a, b], &[("transpose_a", ta.into()), ("transpose_b", tb.into())])
}

/// A batch of matrices.
struct Drawn {
    batch: Vec<usize>,
    n: usize,
    dtype: DType,
    draw: Draw,
}

impl Drawn {
    fn new(seed: u64) -> Drawn {
        let mut d = Draw::new(seed);
        let batch = d.shape(0, 2).to_vec();
        // Past the sizes at which factorizations begin to halve.
        let n = d.pick(&[1, 2, 3, 5, 8, 16, 17, 33, 50]);
        let dtype = d.pick(&[DType::F32, DType::F64]);
        Drawn { batch, n, dtype, draw: d }
    }

    fn matrices(&mut self, rows: usize, cols: usize, fill: Fill) -> Array {
        let dims: Vec<usize> = self.batch.iter().copied().chain([rows, cols]).collect();
        let values = self.draw.fill(&Input { dims: dims.as_slice().into(), fill });
        Array::from_slice(&values, &dims).unwrap().cast(self.dtype)
    }

    fn definite(&mut self) -> Array {
        self.matrices(self.n, self.n, Fill::PositiveDefinite)
    }

    fn identity(&self) -> Array {
        let dims: Vec<usize> = self.batch.iter().copied().chain([self.n]).collect();
        let ones = Array::full(&dims, 1.0, self.dtype, Default::default()).unwrap();
        one("_linalg_makediag", &[&ones], &[])
    }

    /// The two agree within the rounding of so many operations, relative to the largest element.
    fn near(&self, a: &Array, b: &Array, what: &str) -> Result<(), TestCaseError> {
        prop_assert_eq!(a.dims(), b.dims(), "{}", what);
        prop_assert_eq!(a.dtype(), self.dtype, "{}", what);
        let eps = if self.dtype == DType::F32 { f64::from(f32::EPSILON) } else { f64::EPSILON };
        let (a, b) = (a.to_vec::<f64>(), b.to_vec::<f64>());
        let scale = b.iter().fold(1.0f64, |m, x| m.max(x.abs()));
        let far = a.iter().zip(&b).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max);
        prop_assert!(far <= 100.0 * self.n as f64 * eps * scale, "{what}: {far:e} of {scale}, n {}", self.n);
        Ok(())
    }
}

fn for_drawn(check: impl Fn(Drawn) -> Result<(), TestCaseError>) {
    let config = Config { cases: 60, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    runner.run(&any::<u64>(), |seed| check(Drawn::new(seed))).unwrap();
}

#[test]
fn cholesky_factors_multiply_to_the_matrix() {
    for_drawn(|mut d| {
        let a = d.definite();
        let l = one("_linalg_potrf", &[&a], &[]);
        d.near(&product(&l, &l, false, true), &a, "L Lᵀ")?;
        d.near(&one("_linalg_syrk", &[&l], &[]), &a, "syrk")?;
        let low = one("_linalg_extracttrian", &[&l], &[]);
        d.near(&one("_linalg_maketrian", &[&low], &[]), &l, "L is lower triangular")?;
        let inverse = one("_linalg_potri", &[&l], &[]);
        d.near(&product(&inverse, &a, false, false), &d.identity(), "inverse by its factor")?;
        let logs =
            (one("_linalg_sumlogdiag", &[&l], &[]) * 2.0, call("_linalg_slogdet", &[&a], &[]).remove(1));
        d.near(&logs.0, &logs.1, "logarithm of the determinant")
    });
}

#[test]
fn triangular_equations_are_solved() {
    for_drawn(|mut d| {
        let (right, m) = (d.draw.flip(), d.draw.size(1, 20));
        let a = d.definite();
        let (rows, cols) = if right { (m, d.n) } else { (d.n, m) };
        let b = d.matrices(rows, cols, Fill::Real(-1.0, 1.0, &[]));
        for bits in 0..4 {
            let same: Vec<(&str, Value)> = vec![
                ("transpose", (bits & 1 == 1).into()),
                ("lower", (bits & 2 == 2).into()),
                ("rightside", right.into()),
            ];
            let alpha = |x: f64| same.iter().cloned().chain([("alpha", Value::Float(x))]).collect::<Vec<_>>();
            let x = one("_linalg_trsm", &[&a, &b], &alpha(4.0));
            d.near(&one("_linalg_trmm", &[&a, &x], &alpha(0.25)), &b, &format!("{same:?}"))?;
        }
        Ok(())
    });
}

#[test]
fn inverses_and_determinants_agree() {
    for_drawn(|mut d| {
        let mut a = d.definite();
        if d.n > 1 {
            // Neither symmetric nor, for half of the sizes, of positive determinant.
            a = one("reverse", &[&a], &[("axis", Value::Int(a.ndim() as i64 - 1))]);
        }
        let b = one("_linalg_inverse", &[&a], &[]);
        d.near(&product(&b, &a, false, false), &d.identity(), "A⁻¹ A")?;
        d.near(&product(&a, &b, false, false), &d.identity(), "A A⁻¹")?;
        let (of_a, of_b) = (call("_linalg_slogdet", &[&a], &[]), call("_linalg_slogdet", &[&b], &[]));
        let swaps = d.n / 2;
        let sign = if swaps % 2 == 0 || d.n == 1 { 1.0 } else { -1.0 };
        prop_assert!(of_a[0].to_vec::<f64>().iter().all(|&s| s == sign), "sign of {}: {}", d.n, of_a[0]);
        d.near(&of_a[0], &of_b[0], "signs")?;
        d.near(&of_a[1], &-&of_b[1], "logarithms")?;
        if d.n <= 8 {
            d.near(&one("_linalg_det", &[&a], &[]), &(&of_a[0] * of_a[1].exp()), "determinant")?;
        }
        Ok(())
    });
}

#[test]
fn orthogonal_factors_are_orthogonal_and_multiply_to_the_matrix() {
    for_drawn(|mut d| {
        let more = d.draw.size(0, 9);
        let a = d.matrices(d.n, d.n + more, Fill::Real(-1.0, 1.0, &[]));
        let factors = call("_linalg_gelqf", &[&a], &[]);
        let (q, l) = (&factors[0], &factors[1]);
        d.near(&product(l, q, false, false), &a, "L Q")?;
        d.near(&product(q, q, false, true), &d.identity(), "Q Qᵀ")?;
        let low = one("_linalg_extracttrian", &[l], &[]);
        d.near(&one("_linalg_maketrian", &[&low], &[]), l, "L is lower triangular")
    });
}

#[test]
fn eigenvectors_and_values_make_the_matrix() {
    for_drawn(|mut d| {
        let a = d.definite();
        let found = call("_linalg_syevd", &[&a], &[]);
        let (u, values) = (&found[0], &found[1]);
        let scaled = product(&one("_linalg_makediag", &[values], &[]), u, false, false);
        d.near(&product(u, &scaled, true, false), &a, "Uᵀ diag(λ) U")?;
        d.near(&product(u, u, false, true), &d.identity(), "U Uᵀ")?;
        for row in values.to_vec::<f64>().chunks(d.n) {
            prop_assert!(row.is_sorted() && row[0] > 0.0, "{row:?}");
        }
        Ok(())
    });
}

#[test]
fn what_cannot_be_done_is_refused() {
    let refused = |name: &str, values: &[f64], dims: &[usize], want: &str| {
        let a = Array::from_slice(values, dims).unwrap();
        let e = invoke_named(ops::find(name).unwrap(), &[&a], &[]).unwrap_err().to_string();
        assert!(e.starts_with(name) && e.contains(want), "{e}");
    };
    refused("_linalg_potrf", &[1.0, 0.0, 0.0, -1.0], &[2, 2], "matrix 0 is not positive definite");
    refused("_linalg_potrf", &[f64::NAN], &[1, 1], "not positive definite");
    refused("_linalg_potri", &[1.0, 0.0, 3.0, 0.0], &[2, 2], "singular");
    refused("_linalg_inverse", &[1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 2.0, 4.0], &[2, 2, 2], "matrix 1 is singular");
    refused("_linalg_gelqf", &[1.0, 2.0], &[2, 1], "more rows than columns");
    refused("_linalg_det", &[1.0, 2.0], &[1, 2], "square");
    refused("_linalg_syevd", &[f64::NAN, 0.0, 0.0, 1.0], &[2, 2], "finite");
    refused("_linalg_maketrian", &[1.0, 2.0], &[2], "1, 3, 6");
}
