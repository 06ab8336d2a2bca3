//! Leaves out calls whose results nobody wants. Calls that change or draw something stay.

use crate::graph::ir::Ir;

/// Returns the number of calls that are gone.
pub fn run(ir: &mut Ir) -> usize {
    let mut wanted = vec![false; ir.buffers.len()];
    ir.results().for_each(|s| wanted[s.buffer] = true);
    let mut keep = vec![true; ir.calls.len()];
    for (i, call) in ir.calls.iter().enumerate().rev() {
        keep[i] = !call.is_pure() || call.outs.iter().any(|&b| wanted[b]);
        if keep[i] {
            call.ins.iter().for_each(|s| wanted[s.buffer] = true);
        }
    }
    let before = ir.calls.len();
    let mut keep = keep.into_iter();
    ir.calls.retain(|_| keep.next() == Some(true));
    before - ir.calls.len()
}
