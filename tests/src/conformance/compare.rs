//! What was wanted against what was got.

use super::tensor::{Num, Tensor};
use serde_json::Value;
use std::fmt::Write;

/// The tolerance of a case, and what has been found so far.
pub struct Check {
    rtol: f64,
    atol: f64,
    /// What did not fit.
    pub failures: Vec<String>,
    /// Largest relative error of all values that were compared.
    pub worst: f64,
}

impl Check {
    /// Nothing found yet. `tol` holds `rtol` and `atol`.
    pub fn new(tol: &Value) -> Check {
        let part = |name| tol.get(name).and_then(Value::as_f64).unwrap_or(0.0);
        Check { rtol: part("rtol"), atol: part("atol"), failures: Vec::new(), worst: 0.0 }
    }

    /// Whether all fitted.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }

    /// Notes a failure.
    pub fn fail(&mut self, text: impl Into<String>) {
        self.failures.push(text.into());
    }

    fn close(&mut self, got: Num, want: Num) -> bool {
        if let (Num::Int(g), Num::Int(w)) = (got, want)
            && g == w
        {
            return true;
        }
        let (g, w) = (got.f64(), want.f64());
        if g == w || (g.is_nan() && w.is_nan()) {
            return !(matches!((got, want), (Num::Int(_), Num::Int(_)))
                && self.rtol == 0.0
                && self.atol == 0.0);
        }
        let off = (g - w).abs();
        // Near zero the absolute tolerance is what counts.
        let floor = if self.rtol > 0.0 { self.atol / self.rtol } else { 1.0 };
        let relative = off / w.abs().max(floor).max(f64::MIN_POSITIVE);
        self.worst = self.worst.max(if relative.is_nan() { f64::INFINITY } else { relative });
        w.is_finite() && off <= self.atol + self.rtol * w.abs()
    }

    /// Compares a tensor; `what` names it.
    pub fn tensor(&mut self, what: &str, got: &Tensor, want: &Tensor) {
        if got.shape != want.shape {
            return self.fail(format!("{what}: shape {:?}, want {:?}", got.shape, want.shape));
        }
        if got.dtype != want.dtype {
            return self.fail(format!("{what}: dtype {}, want {}", got.dtype, want.dtype));
        }
        if want.data.len() != got.data.len() {
            return self.fail(format!("{what}: the case has {} values", want.data.len()));
        }
        let pairs = || got.data.iter().zip(&want.data);
        let wrong: Vec<usize> =
            pairs().enumerate().filter(|(_, (g, w))| !self.close(**g, **w)).map(|(i, _)| i).collect();
        if let Some(&first) = wrong.first() {
            let shown = |t: &Tensor| excerpt(&t.data, first);
            self.fail(format!(
                "{what} of shape {:?} {}: {} of {} values differ, first at {first}\n      got  {}\n      want {}",
                want.shape,
                want.dtype,
                wrong.len(),
                want.data.len(),
                shown(got),
                shown(want)
            ));
        }
    }
}

/// The values around place `at`.
fn excerpt(data: &[Num], at: usize) -> String {
    let start = at.saturating_sub(2);
    let end = (start + 8).min(data.len());
    let mut s = String::from(if start > 0 { "… " } else { "" });
    for x in &data[start..end] {
        let _ = write!(s, "{x} ");
    }
    s.push_str(if end < data.len() { "…" } else { "" });
    s
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(dtype: &str, data: &[f64]) -> Tensor {
        let whole = !dtype.contains("float");
        let data =
            data.iter().map(|&x| if whole { Num::Int(x as i64) } else { Num::Float(x) }).collect::<Vec<_>>();
        Tensor { shape: vec![data.len()], dtype: dtype.into(), data }
    }

    fn passes(tol: (f64, f64), got: &Tensor, want: &Tensor) -> bool {
        let mut c = Check::new(&serde_json::json!({"rtol": tol.0, "atol": tol.1}));
        c.tensor("x", got, want);
        c.passed()
    }

    #[test]
    fn tolerances_and_specials() {
        let t = |x: &[f64]| tensor("float32", x);
        assert!(passes((0.0, 0.0), &t(&[f64::NAN, f64::INFINITY]), &t(&[f64::NAN, f64::INFINITY])));
        assert!(!passes((1e-5, 1e-6), &t(&[1.0]), &t(&[f64::NAN])));
        assert!(!passes((1e-5, 1e-6), &t(&[f64::NAN]), &t(&[1.0])));
        assert!(!passes((1e-5, 1e-6), &t(&[1e30]), &t(&[f64::INFINITY])));
        assert!(!passes((1e-5, 1e-6), &t(&[f64::NEG_INFINITY]), &t(&[f64::INFINITY])));
        assert!(passes((1e-5, 0.0), &t(&[1.000_001]), &t(&[1.0])));
        assert!(!passes((0.0, 0.0), &t(&[1.000_001]), &t(&[1.0])));
        assert!(!passes((1.0, 1.0), &t(&[1.0]), &tensor("float64", &[1.0])));
        assert!(!passes((0.0, 0.0), &tensor("uint8", &[1.0]), &tensor("bool", &[1.0])));
        assert!(!passes((1.0, 1.0), &t(&[1.0, 1.0]), &t(&[1.0])));
    }
}
