//! Moves calls that depend on parameters alone out of the forward pass: they are made when a parameter has changed.

use crate::graph::ir::{Ir, Origin, Phase};

/// By buffer: whether it depends on parameters and constants alone.
pub fn settled(ir: &Ir, parameters: &[bool]) -> Vec<bool> {
    let changed = ir.changed();
    let mut known: Vec<bool> = (ir.buffers.iter().zip(&changed))
        .map(|(b, changed)| match b.origin {
            Origin::Input(i) => parameters[i] && !changed,
            Origin::Constant(_) => true,
            _ => false,
        })
        .collect();
    for call in ir.calls.iter().filter(|c| c.phase == Phase::Forward) {
        if call.is_pure() && !call.ins.is_empty() && call.ins.iter().all(|s| known[s.buffer]) {
            call.outs.iter().for_each(|&b| known[b] = true);
        }
    }
    known
}

/// Returns the number of calls that moved. `parameters`: which inputs seldom change.
pub fn run(ir: &mut Ir, parameters: &[bool]) -> usize {
    let known = settled(ir, parameters);
    let mut count = 0;
    for call in ir.calls.iter_mut().filter(|c| c.phase == Phase::Forward) {
        if call.outs.first().is_some_and(|&b| known[b]) {
            call.phase = Phase::Setup;
            count += 1;
        }
    }
    ir.calls.sort_by_key(|c| c.phase);
    count
}
