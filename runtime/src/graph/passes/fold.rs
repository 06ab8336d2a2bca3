//! Makes calls that depend on no input once and for all, when the graph is compiled.

use crate::autograd::mode::Scope;
use crate::error::Result;
use crate::graph::ir::{Ir, Origin, Slot};
use crate::invoke::invoke_into;
use crate::tensor::Tensor;

/// Results that take more memory than this are made anew each time rather than kept.
const LARGE: usize = 16 << 20;

/// Returns the number of calls that are gone.
pub fn run(ir: &mut Ir) -> Result<usize> {
    let before = ir.calls.len();
    let calls = std::mem::take(&mut ir.calls);
    let _scope = Scope::enter(false, false);
    for call in calls {
        let constant = |s: &Slot| match &ir.buffers[s.buffer].origin {
            Origin::Constant(t) => Some(t.window(t.offset() + s.offset, &s.dims, s.dtype)),
            _ => None,
        };
        let bytes: usize = call.outs.iter().map(|&b| ir.buffers[b].meta.bytes()).sum();
        let ins: Option<Vec<Result<Tensor>>> = call.ins.iter().map(constant).collect();
        let Some(ins) = ins.filter(|_| call.is_pure() && bytes <= LARGE) else {
            ir.calls.push(call);
            continue;
        };
        let ins: Vec<Tensor> = ins.into_iter().collect::<Result<_>>()?;
        let mut outs = Vec::new();
        for &b in &call.outs {
            let meta = &ir.buffers[b].meta;
            outs.push(Tensor::empty(&meta.dims, meta.dtype, meta.device)?);
        }
        let (i, o): (Vec<&Tensor>, Vec<&Tensor>) = (ins.iter().collect(), outs.iter().collect());
        invoke_into(call.op, &i, &call.params, &o, call.training)?;
        for (&b, t) in call.outs.iter().zip(outs) {
            ir.buffers[b].origin = Origin::Constant(t);
        }
    }
    Ok(before - ir.calls.len())
}
