//! The passes of the compiler. Each is a function from a graph to a graph that computes the same, in a file of its own, and says
//! what it did; none knows an operator by name. What they may assume stands in `docs/architecture.md`.

pub mod absorb;
pub mod common;
pub mod dead;
pub mod epilogue;
pub mod fold;
pub mod fuse;
pub mod hoist;
pub mod memory;
pub mod ready;

use super::ir::{Ir, Phase};
use crate::error::Result;

/// What the passes did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Calls before.
    pub traced: usize,
    /// Calls whose results nobody wanted.
    pub dead: usize,
    /// Calls that were made before already.
    pub common: usize,
    /// Calls made when the graph was compiled.
    pub folded: usize,
    /// Calls that the call before them took up.
    pub absorbed: usize,
    /// Calls whose weights are made ready when a parameter has changed.
    pub ready: usize,
    /// Calls that the product before them does as it writes.
    pub epilogues: usize,
    /// Calls that are made only when a parameter has changed.
    pub hoisted: usize,
    /// Calls that became part of another by fusing.
    pub fused: usize,
    /// Calls after.
    pub calls: usize,
    /// Bytes of all values in between, each in memory of its own.
    pub unplanned: usize,
    /// Bytes of the memory that they share.
    pub planned: usize,
}

impl Report {
    /// All numbers by name.
    pub fn numbers(&self) -> Vec<(&'static str, usize)> {
        vec![
            ("traced", self.traced),
            ("dead", self.dead),
            ("common", self.common),
            ("folded", self.folded),
            ("absorbed", self.absorbed),
            ("ready", self.ready),
            ("epilogues", self.epilogues),
            ("hoisted", self.hoisted),
            ("fused", self.fused),
            ("left", self.calls),
            ("unplanned", self.unplanned),
            ("planned", self.planned),
        ]
    }
}

/// Runs all passes. `parameters`: which inputs seldom change, as far as is known; `inference`: nothing
/// is recorded.
pub fn run(ir: &mut Ir, parameters: &mut [bool], inference: bool) -> Result<Report> {
    let debug = std::env::var_os("KESHI_GRAPH_DEBUG").is_some_and(|v| !v.is_empty() && v != "0");
    let show = |what: &str, ir: &Ir| {
        if debug {
            eprintln!("keshi graph, {what}: {} calls\n{}", ir.calls.len(), ir.show());
        }
    };
    let mut report = Report { traced: ir.calls.len(), ..Report::default() };
    show("as traced", ir);
    report.dead += dead::run(ir);
    show("without dead calls", ir);
    report.common = common::run(ir);
    show("with common calls once", ir);
    report.folded = fold::run(ir)?;
    report.dead += dead::run(ir);
    show("with constants folded", ir);
    // Only where nobody goes back: gradients are those of the parameters as they are.
    if !ir.calls.iter().any(|c| c.phase == Phase::Backward) && inference {
        report.absorbed = absorb::run(ir, parameters)?;
        report.ready = ready::run(ir, parameters)?;
        report.hoisted = hoist::run(ir, parameters);
        report.dead += dead::run(ir);
        show("with normalisation taken up and weights made ready", ir);
    }
    report.epilogues = epilogue::run(ir);
    show("with what follows products done by them", ir);
    report.fused = fuse::run(ir);
    show("with element-wise calls fused", ir);
    report.calls = ir.calls.len();
    Ok(report)
}
