//! Fuses element-wise calls that read each other into one pass over memory.
//!
//! Calls are looked at in order. One joins the groups of those whose results it reads; the group is run where its last call
//! stood. A group is closed by the first call outside of it that reads what it makes, so that nothing moves past its readers.

use crate::fused::{FUSED, Fused, Step};
use crate::graph::ir::{Call, Ir, Meta, Phase, Slot};
use crate::ops::def::ShapeInfer;
use crate::shape::broadcast::broadcast;
use smallvec::SmallVec;
use std::collections::HashMap;

/// More operands than this do not fit the nearest cache together, and more calls than this are seldom.
const OPERANDS: usize = 12;
const CALLS: usize = 48;

/// Calls that are run as one.
struct Group {
    members: Vec<usize>,
    meta: Meta,
    phase: Phase,
    open: bool,
}

/// Returns the number of calls that are gone.
pub fn run(ir: &mut Ir) -> usize {
    let changed = ir.changed();
    let mut groups: Vec<Group> = Vec::new();
    // The group that makes a buffer.
    let mut maker: HashMap<usize, usize> = HashMap::new();
    for (at, call) in ir.calls.iter().enumerate() {
        let fits = eligible(ir, call, &changed);
        let mut joined: SmallVec<[usize; 3]> = SmallVec::new();
        for s in &call.ins {
            let Some(&g) = maker.get(&s.buffer) else { continue };
            let group = &groups[g];
            let whole = ir.is_whole(s) && group.meta.dims == s.dims;
            let same = fits && group.open && group.phase == call.phase;
            if same && whole && group.meta.dims == ir.buffers[call.outs[0]].meta.dims {
                if !joined.contains(&g) {
                    joined.push(g);
                }
            } else {
                groups[g].open = false;
            }
        }
        joined.retain(|g| groups[*g].open);
        if !fits {
            continue;
        }
        let mut members: Vec<usize> = joined.iter().flat_map(|&g| groups[g].members.clone()).collect();
        members.push(at);
        if !joined.is_empty() && too_large(ir, &members) {
            joined.drain(..).for_each(|g| groups[g].open = false);
            members = vec![at];
        }
        // What could not be joined is read from outside.
        for s in &call.ins {
            if let Some(&g) = maker.get(&s.buffer)
                && !joined.contains(&g)
            {
                groups[g].open = false;
            }
        }
        members.sort_unstable();
        for &g in &joined {
            groups[g].members.clear();
            groups[g].open = false;
        }
        let new = groups.len();
        maker.extend(members.iter().map(|&m| (ir.calls[m].outs[0], new)));
        let meta = ir.buffers[call.outs[0]].meta.clone();
        groups.push(Group { members, meta, phase: call.phase, open: true });
    }
    emit(ir, &groups)
}

/// Whether a call can be run on parts of its arrays.
fn eligible(ir: &Ir, call: &Call, changed: &[bool]) -> bool {
    let [out] = call.outs[..] else { return false };
    let meta = &ir.buffers[out].meta;
    if !(call.op.elementwise)(&call.params) || !call.is_pure() || call.ins.is_empty() || meta.size() == 0 {
        return false;
    }
    call.ins.iter().all(|s| {
        let stretched = matches!(call.op.shape, ShapeInfer::Broadcast)
            && broadcast(&s.dims, &meta.dims).is_ok_and(|d| d == meta.dims);
        !changed[s.buffer]
            && (s.dims == meta.dims || stretched)
            && ir.buffers[s.buffer].meta.device == meta.device
    })
}

fn too_large(ir: &Ir, members: &[usize]) -> bool {
    let mut outside: Vec<&Slot> = Vec::new();
    for &m in members {
        for s in &ir.calls[m].ins {
            if !outside.contains(&s) && !members.iter().any(|&k| ir.calls[k].outs[0] == s.buffer) {
                outside.push(s);
            }
        }
    }
    members.len() > CALLS || outside.len() + 3 > OPERANDS
}

/// Replaces groups by fused calls.
fn emit(ir: &mut Ir, groups: &[Group]) -> usize {
    let before = ir.calls.len();
    let mut group_of = vec![usize::MAX; before];
    for (g, group) in groups.iter().enumerate().filter(|(_, g)| g.members.len() > 1) {
        group.members.iter().for_each(|&m| group_of[m] = g);
    }
    // Buffers that somebody outside of their own group reads.
    let mut made_in: HashMap<usize, usize> = HashMap::new();
    for (i, call) in ir.calls.iter().enumerate() {
        if group_of[i] != usize::MAX {
            made_in.extend(call.outs.iter().map(|&b| (b, group_of[i])));
        }
    }
    let mut outside = vec![false; ir.buffers.len()];
    ir.results().for_each(|s| outside[s.buffer] = true);
    for (i, call) in ir.calls.iter().enumerate() {
        for s in &call.ins {
            outside[s.buffer] |= made_in.get(&s.buffer).is_some_and(|&g| g != group_of[i]);
        }
    }
    let calls = std::mem::take(&mut ir.calls);
    for (i, call) in calls.iter().enumerate() {
        match groups.get(group_of[i]) {
            None => ir.calls.push(call.clone()),
            Some(group) if group.members.last() == Some(&i) => {
                let members: Vec<&Call> = group.members.iter().map(|&m| &calls[m]).collect();
                ir.calls.push(fuse(ir, &members, &outside));
            }
            Some(_) => {}
        }
    }
    before - ir.calls.len()
}

/// One call that does what several did.
fn fuse(ir: &Ir, members: &[&Call], outside: &[bool]) -> Call {
    let made: Vec<usize> = members.iter().map(|c| c.outs[0]).collect();
    let mut ins: SmallVec<[Slot; 3]> = SmallVec::new();
    for s in members.iter().flat_map(|c| &c.ins) {
        if !made.contains(&s.buffer) && !ins.contains(s) {
            ins.push(s.clone());
        }
    }
    let (outs, between): (Vec<usize>, Vec<usize>) = made.iter().partition(|&&b| outside[b]);
    let number = |b: usize| {
        let at = outs.iter().chain(&between).position(|&o| o == b);
        ins.len() + at.expect("it is made here")
    };
    let operand = |s: &Slot| match ins.iter().position(|i| i == s) {
        Some(i) => i,
        None => number(s.buffer),
    };
    let step = |c: &&Call| Step {
        op: c.op,
        params: c.params.clone(),
        ins: c.ins.iter().map(operand).collect(),
        out: number(c.outs[0]),
    };
    let steps = members.iter().map(step).collect();
    let dtype = |b: &usize| ir.buffers[*b].meta.dtype;
    let dtypes = ins.iter().map(|s| s.dtype).chain(outs.iter().chain(&between).map(dtype)).collect();
    let params = Fused::params(steps, ins.len(), outs.len(), dtypes);
    let Call { training, phase, .. } = *members[0];
    Call { op: &FUSED, params, training, phase, ins, outs: SmallVec::from_vec(outs) }
}
