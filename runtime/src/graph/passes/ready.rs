//! Where an input of a call depends on parameters alone, and the table knows how the call is faster on a form of it that is made once, the call
//! is replaced by that one. Making the form is then a call on parameters, which is hoisted.

use super::hoist::settled;
use crate::array::Array;
use crate::error::Result;
use crate::graph::ir::{Call, Ir, Phase};
use crate::graph::lower::append;
use crate::invoke::invoke;

/// Returns the number of calls that were replaced.
pub fn run(ir: &mut Ir, parameters: &[bool]) -> Result<usize> {
    let (mut count, mut at) = (0, 0);
    while at < ir.calls.len() {
        at += match replace(ir, at, parameters)? {
            Some(more) => {
                count += 1;
                more + 1
            }
            None => 1,
        };
    }
    Ok(count)
}

/// Number of calls that now stand before it, where a call was replaced.
fn replace(ir: &mut Ir, at: usize, parameters: &[bool]) -> Result<Option<usize>> {
    let call = ir.calls[at].clone();
    let Some(rule) = call.op.ready.filter(|_| call.phase == Phase::Forward) else { return Ok(None) };
    let known = settled(ir, parameters);
    let dims: Vec<&[usize]> = call.ins.iter().map(|s| &s.dims[..]).collect();
    let dtype = call.ins[0].dtype;
    let Some(ready) = rule(&call.params, &dims, dtype) else { return Ok(None) };
    let from = call.ins[ready.input].clone();
    if !known[from.buffer] || from.dtype != dtype {
        return Ok(None);
    }
    let (calls, made) = append(ir, &[from], false, |x: &[Array]| {
        Ok(invoke(ready.by, &[&x[0]], &ready.params, &[])?.into_iter().collect())
    })?;
    let mut ins = call.ins.clone();
    ins[ready.input] = made[0].clone();
    ir.calls[at] = Call { op: ready.call, params: ready.params, ins, ..call };
    let more = calls.len();
    ir.calls.splice(at..at, calls);
    Ok(Some(more))
}
