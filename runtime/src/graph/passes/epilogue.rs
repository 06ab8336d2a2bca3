//! A call that follows a product, reads its result alone (or adds another array to it), and is one of the things that the product can do to its
//! results as it writes them, becomes part of the product: results pass through memory once.

use crate::graph::ir::{Call, Ir};
use crate::ops::def::Epilogue;

/// Returns the number of calls that are gone.
pub fn run(ir: &mut Ir) -> usize {
    let before = ir.calls.len();
    let mut at = 0;
    while at < ir.calls.len() {
        match merged(ir, at) {
            // Where the later one stood: what it adds is there by then.
            Some((product, call)) => {
                ir.calls[at] = call;
                ir.calls.remove(product);
            }
            None => at += 1,
        }
    }
    before - ir.calls.len()
}

/// The product before call `at` that can do what the call does, and the call that does both.
fn merged(ir: &Ir, at: usize) -> Option<(usize, Call)> {
    let call = &ir.calls[at];
    let what = (call.op.epilogue)(&call.params)?;
    let [out] = call.outs[..] else { return None };
    let meta = &ir.buffers[out].meta;
    let changed = ir.changed();
    call.ins.iter().enumerate().find_map(|(i, s)| {
        let product = ir.calls[..at].iter().position(|c| c.outs.first() == Some(&s.buffer))?;
        let maker = &ir.calls[product];
        let rule = maker.op.with_epilogue?;
        let reads = |b: usize| {
            ir.calls.iter().flat_map(|c| &c.ins).chain(ir.results()).filter(|s| s.buffer == b).count()
        };
        let whole = call.ins.iter().all(|s| ir.is_whole(s) && s.dims == meta.dims && s.dtype == meta.dtype);
        // What the product reads is still the same where the call stands.
        let still = maker.is_pure() && call.is_pure() && !maker.ins.iter().any(|s| changed[s.buffer]);
        let fits = whole
            && still
            && maker.phase == call.phase
            && reads(s.buffer) == 1
            && maker.outs[1..].iter().all(|&b| reads(b) == 0);
        let params = rule(&maker.params, what).filter(|_| fits)?;
        let mut ins = maker.ins.clone();
        if what == Epilogue::Add {
            ins.push(call.ins[1 - i].clone());
        }
        Some((product, Call { params, ins, outs: call.outs.clone(), ..maker.clone() }))
    })
}
