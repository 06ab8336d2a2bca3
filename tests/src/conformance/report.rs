//! What is printed: one line per operator, the failing cases, and the sum.

use super::Case;
use super::compare::Check;
use super::text;
use std::collections::BTreeMap;
use std::fmt::Write;

#[derive(Default)]
struct Line {
    cases: usize,
    passed: usize,
    worst: f64,
}

/// Results by operator.
#[derive(Default)]
pub struct Report {
    lines: BTreeMap<String, Line>,
    failures: String,
}

impl Report {
    /// Adds the result of a case.
    pub fn add(&mut self, case: &Case, check: &Check) {
        let line = self.lines.entry(case.op.clone()).or_default();
        line.cases += 1;
        line.passed += usize::from(check.passed());
        line.worst = line.worst.max(check.worst);
        if !check.passed() {
            let _ = writeln!(self.failures, "FAIL {} ({})", text(&case.body, "id"), case.op);
            for failure in &check.failures {
                let _ = writeln!(self.failures, "    {failure}");
            }
        }
    }

    /// Cases that passed and that failed.
    pub fn totals(&self) -> (usize, usize) {
        let passed = self.lines.values().map(|l| l.passed).sum();
        (passed, self.lines.values().map(|l| l.cases).sum::<usize>() - passed)
    }

    /// The whole report; `quiet` leaves out the operators that passed and the failing cases.
    pub fn text(&self, quiet: bool) -> String {
        let mut s = String::new();
        for (op, l) in self.lines.iter().filter(|(_, l)| !quiet || l.passed < l.cases) {
            let mark = if l.passed == l.cases { "ok  " } else { "FAIL" };
            let _ = writeln!(
                s,
                "{mark} {op:<48} {:>4} cases {:>4} passed   worst relative error {:.1e}",
                l.cases, l.passed, l.worst
            );
        }
        if !quiet {
            s.push_str(&self.failures);
        }
        let (passed, failed) = self.totals();
        let _ = writeln!(s, "{passed} passed, {failed} failed");
        s
    }
}
