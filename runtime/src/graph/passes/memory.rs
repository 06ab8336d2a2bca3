//! Where values in between are kept: values that are not needed at the same time share memory, and a call works in place where its
//! operator allows it and its input is not needed any more.

use crate::fused::{FUSED, may_share};
use crate::graph::ir::{Call, Ir};
use crate::storage::ALIGN;
use std::ops::Range;

/// Where a buffer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is not made by these calls.
    Elsewhere,
    /// In the common memory, from this byte on.
    Shared(usize),
    /// In memory of its own, since it outlives the calls.
    Own,
}

/// Places of all buffers for some of the calls.
#[derive(Default)]
pub struct Layout {
    /// By buffer.
    pub places: Vec<Place>,
    /// Bytes of the common memory.
    pub bytes: usize,
    /// Bytes that it would take if nothing shared.
    pub unplanned: usize,
}

/// Values that follow each other in the same place.
struct Region {
    bytes: usize,
    life: Range<usize>,
    at: usize,
}

/// Places for what the calls `part` make; what `stays` gets memory of its own.
pub fn layout(ir: &Ir, part: Range<usize>, stays: &[bool]) -> Layout {
    let mut last = vec![0; ir.buffers.len()];
    for i in part.clone() {
        let call = &ir.calls[i];
        call.ins.iter().map(|s| s.buffer).chain(call.outs.iter().copied()).for_each(|b| last[b] = i);
    }
    let mut made = Layout { places: vec![Place::Elsewhere; ir.buffers.len()], bytes: 0, unplanned: 0 };
    let mut regions: Vec<Region> = Vec::new();
    let mut region_of = vec![usize::MAX; ir.buffers.len()];
    for i in part {
        let call = &ir.calls[i];
        for (k, &b) in call.outs.iter().enumerate() {
            if stays[b] {
                made.places[b] = Place::Own;
                continue;
            }
            let bytes = ir.buffers[b].meta.bytes().next_multiple_of(ALIGN).max(ALIGN);
            made.unplanned += bytes;
            let heir = (0..call.ins.len()).find(|&n| {
                let from = call.ins[n].buffer;
                let dies = region_of[from] != usize::MAX
                    && last[from] == i
                    && regions[region_of[from]].life.end == i + 1;
                dies && regions[region_of[from]].bytes == bytes && in_place(ir, call, n, k)
            });
            region_of[b] = match heir {
                Some(n) => region_of[call.ins[n].buffer],
                None => {
                    regions.push(Region { bytes, life: i..i + 1, at: 0 });
                    regions.len() - 1
                }
            };
            let region = &mut regions[region_of[b]];
            // One past the call, so that a second output does not take the same input's place.
            region.life.end = region.life.end.max(last[b] + 1).max(i + 1 + usize::from(heir.is_some()));
        }
    }
    place(&mut regions, &mut made.bytes);
    for (b, &r) in region_of.iter().enumerate().filter(|(_, r)| **r != usize::MAX) {
        made.places[b] = Place::Shared(regions[r].at);
    }
    made
}

/// Whether output `k` of a call may be written where input `n` is.
fn in_place(ir: &Ir, call: &Call, n: usize, k: usize) -> bool {
    let (slot, out) = (&call.ins[n], &ir.buffers[call.outs[k]].meta);
    let same = |m: usize| call.ins[m].buffer == slot.buffer;
    let exact = |m: usize| ir.is_whole(&call.ins[m]) && call.ins[m].dims == out.dims;
    let all = |f: &dyn Fn(usize) -> bool| (0..call.ins.len()).filter(|&m| same(m)).all(f);
    if !all(&exact) || call.op.has_states() || slot.dtype != out.dtype {
        return false;
    }
    match std::ptr::eq(call.op, &FUSED) {
        true => all(&|m| may_share(&call.params, m, k)),
        false => call.op.inplace && call.outs.len() == 1,
    }
}

/// Large ones first, each at the lowest place that is free while it lives.
fn place(regions: &mut [Region], bytes: &mut usize) {
    let mut order: Vec<usize> = (0..regions.len()).collect();
    order.sort_by_key(|&r| std::cmp::Reverse(regions[r].bytes));
    let mut placed: Vec<(usize, usize, Range<usize>)> = Vec::new();
    for r in order {
        let Region { bytes: size, life, .. } = &regions[r];
        let mut at = 0;
        // By place, so that the first gap that is large enough is the lowest.
        for (begin, end, other) in &placed {
            if other.start < life.end && life.start < other.end {
                if at + size <= *begin {
                    break;
                }
                at = at.max(*end);
            }
        }
        let new = (at, at + size, life.clone());
        *bytes = (*bytes).max(new.1);
        let to = placed.partition_point(|p| p.0 <= at);
        placed.insert(to, new);
        regions[r].at = at;
    }
}
