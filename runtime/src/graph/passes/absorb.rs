//! Outside of training a call that multiplies each channel by a number and adds another (normalisation by fixed statistics) becomes
//! part of the call before it, where that can take both up into its own parameters.

use crate::array::Array;
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::ir::{Call, Ir, Origin, Slot};
use crate::graph::lower::append;

/// Returns the number of calls that are gone. What remains of them reads inputs of the graph alone; these are added to
/// `parameters`.
pub fn run(ir: &mut Ir, parameters: &mut [bool]) -> Result<usize> {
    let mut count = 0;
    let mut at = 0;
    while at < ir.calls.len() {
        match candidate(ir, at) {
            Some(before) if absorb(ir, before, at, parameters)? => count += 1,
            _ => at += 1,
        }
    }
    Ok(count)
}

/// The call that might take up call `at`: it makes its first input, which nobody else reads.
fn candidate(ir: &Ir, at: usize) -> Option<usize> {
    let call = &ir.calls[at];
    call.op.affine.filter(|_| !call.training)?;
    let data = call.ins.first().filter(|s| ir.is_whole(s))?;
    let before = ir.calls[..at].iter().position(|c| c.outs.first() == Some(&data.buffer))?;
    let reads = |s: &Slot| s.buffer == data.buffer;
    let users = ir.calls.iter().flat_map(|c| &c.ins).filter(|s| reads(s)).count()
        + ir.results().filter(|s| reads(s)).count();
    let unused =
        |b: &usize| !ir.calls.iter().flat_map(|c| &c.ins).chain(ir.results()).any(|s| s.buffer == *b);
    let fixed = |s: &Slot| matches!(ir.buffers[s.buffer].origin, Origin::Input(_) | Origin::Constant(_));
    let maker = &ir.calls[before];
    // Half floats would lose too much in the parameters.
    let fits = users == 1
        && matches!(data.dtype, DType::F32 | DType::F64)
        && maker.op.absorb.is_some()
        && call.outs[1..].iter().all(unused)
        && call.ins[1..].iter().chain(&maker.ins[1..]).all(fixed);
    fits.then_some(before)
}

/// Makes call `before` do what call `at` does.
fn absorb(ir: &mut Ir, before: usize, at: usize, parameters: &mut [bool]) -> Result<bool> {
    let (maker, call) = (ir.calls[before].clone(), ir.calls[at].clone());
    let (Some(affine), Some(take)) = (call.op.affine, maker.op.absorb) else { return Ok(false) };
    let slots: Vec<Slot> = maker.ins.iter().chain(&call.ins).cloned().collect();
    let (mut params, mut made) = (None, Vec::new());
    let (calls, ins) = append(ir, &slots, false, |arrays: &[Array]| {
        let (first, second) = arrays.split_at(maker.ins.len());
        if let Some(function) = affine(&call.params, second)?
            && let Some((new, inputs)) = take(&maker.params, first, &function)?
        {
            params = Some(new);
            made = inputs;
        }
        Ok(std::mem::take(&mut made))
    })?;
    let Some(params) = params else { return Ok(false) };
    for s in maker.ins[1..].iter().chain(&call.ins[1..]) {
        if let Some(is) = parameters.get_mut(s.buffer) {
            *is = true;
        }
    }
    let new = Call { params, ins: ins.into_iter().collect(), outs: call.outs.clone(), ..maker };
    ir.calls.remove(at);
    ir.calls[before] = new;
    ir.calls.splice(before..before, calls);
    Ok(true)
}
