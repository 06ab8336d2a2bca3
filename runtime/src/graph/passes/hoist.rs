//! Moves calls that depend on parameters alone out of the forward pass: they are made when a parameter has changed.

use crate::graph::ir::{Ir, Origin, Phase};

/// Returns the number of calls that moved. `parameters`: which inputs seldom change.
pub fn run(ir: &mut Ir, parameters: &[bool]) -> usize {
    let changed = ir.changed();
    let mut known: Vec<bool> = (ir.buffers.iter().zip(&changed))
        .map(|(b, changed)| match b.origin {
            Origin::Input(i) => parameters[i] && !changed,
            Origin::Constant(_) => true,
            _ => false,
        })
        .collect();
    let mut count = 0;
    for call in ir.calls.iter_mut().filter(|c| c.phase == Phase::Forward) {
        if call.is_pure() && !call.ins.is_empty() && call.ins.iter().all(|s| known[s.buffer]) {
            call.phase = Phase::Setup;
            call.outs.iter().for_each(|&b| known[b] = true);
            count += 1;
        }
    }
    ir.calls.sort_by_key(|c| c.phase);
    count
}
