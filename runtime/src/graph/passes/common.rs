//! Makes calls once that the graph makes several times on the same inputs. Not those that draw random numbers or change something,
//! nor those that read what some call changes.

use crate::graph::ir::{Ir, Slot};
use crate::ops::def::OpDef;
use smallvec::SmallVec;
use std::collections::HashMap;

/// What two calls must agree in: operator, parameters, mode, inputs.
type Key = (*const OpDef, String, bool, SmallVec<[Slot; 3]>);

/// Returns the number of calls that are gone. Two outputs of the graph stay two arrays.
pub fn run(ir: &mut Ir) -> usize {
    let changed = ir.changed();
    let mut is_head = vec![false; ir.buffers.len()];
    ir.heads.iter().for_each(|h| is_head[h.buffer] = true);
    // Which buffer stands for which.
    let mut to: Vec<usize> = (0..ir.buffers.len()).collect();
    let mut seen: HashMap<Key, SmallVec<[usize; 1]>> = HashMap::new();
    let before = ir.calls.len();
    ir.calls.retain_mut(|call| {
        call.ins.iter_mut().for_each(|s| s.buffer = to[s.buffer]);
        if !call.is_pure() || call.ins.iter().any(|s| changed[s.buffer]) {
            return true;
        }
        let key = (call.op as *const OpDef, format!("{:?}", call.params), call.training, call.ins.clone());
        match seen.get(&key) {
            Some(outs) if !call.outs.iter().any(|&b| is_head[b]) => {
                call.outs.iter().zip(outs).for_each(|(&b, &other)| to[b] = other);
                false
            }
            Some(_) => true,
            None => {
                seen.insert(key, call.outs.clone());
                true
            }
        }
    });
    ir.grads.iter_mut().flatten().for_each(|s| s.buffer = to[s.buffer]);
    before - ir.calls.len()
}
