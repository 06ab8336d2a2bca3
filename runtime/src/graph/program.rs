//! A compiled graph: its calls with all places known, run one after the other without inference, allocation or a tape.

use super::ir::{Buffer, Call, Ir, Meta, Origin, Phase, Slot};
use super::lower::{Lowered, Use, lower};
use super::passes::memory::{Layout, Place, layout};
use super::passes::{self, Report};
use super::plan::Plan;
use crate::array::Array;
use crate::dtype::DType;
use crate::error::Result;
use crate::invoke::invoke_into;
use crate::ops::def::OpDef;
use crate::ops::params::Params;
use crate::tensor::Tensor;
use smallvec::SmallVec;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// Common memory of at most this size is kept from call to call.
const KEPT: usize = 1 << 20;

struct Step {
    op: &'static OpDef,
    params: Params,
    training: bool,
    ins: SmallVec<[Operand; 3]>,
    outs: SmallVec<[usize; 1]>,
}

enum Operand {
    /// A buffer as it is.
    Whole(usize),
    /// Elements of one.
    Part(Slot),
}

/// Some of the calls of a graph.
struct Section {
    steps: Vec<Step>,
    layout: Layout,
    /// Tensors of the shared places, when nobody uses them.
    frame: Mutex<Option<Table>>,
}

/// What the setup made, of which inputs (by number) in which versions.
struct Set {
    of: Vec<Option<(Tensor, u64)>>,
    made: Vec<Tensor>,
}

/// The inputs that a buffer depends on, and the calls of its section that make it.
#[derive(Clone, Default)]
struct Made {
    inputs: BTreeSet<usize>,
    steps: BTreeSet<usize>,
}

/// For each buffer what a section makes it of.
fn made_of(ir: &Ir, part: Range<usize>) -> Vec<Made> {
    let start = |b: &Buffer| match b.origin {
        Origin::Input(i) => Made { inputs: BTreeSet::from([i]), ..Made::default() },
        _ => Made::default(),
    };
    let mut of: Vec<Made> = ir.buffers.iter().map(start).collect();
    for (step, call) in ir.calls[part].iter().enumerate() {
        let mut made = Made { steps: BTreeSet::from([step]), ..Made::default() };
        for s in &call.ins {
            made.inputs.extend(&of[s.buffer].inputs);
            made.steps.extend(&of[s.buffer].steps);
        }
        call.outs.iter().for_each(|&b| of[b] = made.clone());
    }
    of
}

/// Tensors by buffer.
type Table = Vec<Option<Tensor>>;

/// A graph compiled for one use.
pub struct Program {
    buffers: Vec<Buffer>,
    heads: Vec<Slot>,
    grads: Vec<Option<Slot>>,
    setup: Section,
    forward: Section,
    backward: Section,
    /// Buffers that the setup leaves for the forward pass, what each of them is made of, and what was made of which versions of that.
    settled: Vec<usize>,
    origins: Vec<Made>,
    set: Mutex<Option<Set>>,
    /// Buffers that the forward pass leaves for the backward pass.
    pub left: Vec<usize>,
    /// Which inputs the backward pass reads.
    pub reads: Vec<bool>,
    /// Which inputs some call changes.
    pub changes: Vec<bool>,
    /// Whether it draws random numbers.
    pub random: bool,
    /// Which outputs are recorded.
    pub recorded: Vec<bool>,
    /// Which outputs have gradients in the backward pass.
    pub given: Vec<bool>,
    /// What the compiler did.
    pub report: Report,
    keep: bool,
}

impl Program {
    /// Compiles. `parameters`: which inputs are said to be parameters. `keep`: whether the common memory is kept however large
    /// it is.
    pub fn new(plan: &Plan, to: &Use<'_>, mut parameters: Vec<bool>, keep: bool) -> Result<Program> {
        let Lowered { mut ir, recorded, given } = lower(plan, to)?;
        let random = ir.calls.iter().any(|c| (c.op.random)(&c.params));
        let mut report = passes::run(&mut ir, &mut parameters, to.needs.is_empty())?;
        let inputs = to.metas.len();
        compact(&mut ir, inputs);
        let changes = ir.changed()[..inputs].to_vec();
        // By phase: what it makes and what it reads; results are read last.
        let n = ir.buffers.len();
        let flags = |phase: Phase, of: fn(&Call) -> SmallVec<[usize; 3]>| {
            let mut is = vec![false; n];
            ir.calls.iter().filter(|c| c.phase == phase).flat_map(of).for_each(|b| is[b] = true);
            is
        };
        let outs = |c: &Call| c.outs.iter().copied().collect();
        let ins = |c: &Call| c.ins.iter().map(|s| s.buffer).collect();
        let (first, made) = (flags(Phase::Setup, outs), flags(Phase::Forward, outs));
        let (mut read, mut last) = (flags(Phase::Forward, ins), flags(Phase::Backward, ins));
        ir.heads.iter().for_each(|s| read[s.buffer] = true);
        ir.grads.iter().flatten().for_each(|s| last[s.buffer] = true);
        let settled: Vec<usize> = (0..n).filter(|&b| first[b] && read[b]).collect();
        let left: Vec<usize> = (0..n).filter(|&b| made[b] && last[b]).collect();
        let mut stays = vec![false; n];
        let results = ir.results().map(|s| s.buffer);
        results.chain(left.iter().chain(&settled).copied()).for_each(|b| stays[b] = true);
        let begin = |phase: Phase| ir.calls.partition_point(|c| c.phase < phase);
        let (a, b) = (begin(Phase::Forward), begin(Phase::Backward));
        let all = made_of(&ir, 0..a);
        let origins = settled.iter().map(|&b| all[b].clone()).collect();
        let setup = Section::new(&ir, 0..a, &stays);
        let forward = Section::new(&ir, a..b, &stays);
        let backward = Section::new(&ir, b..ir.calls.len(), &stays);
        for part in [&forward, &backward] {
            report.planned += part.layout.bytes;
            report.unplanned += part.layout.unplanned;
        }
        let reads = last[..inputs].to_vec();
        let Ir { buffers, heads, grads, .. } = ir;
        Ok(Program {
            buffers,
            heads,
            grads,
            setup,
            forward,
            backward,
            settled,
            origins,
            set: Mutex::default(),
            left,
            reads,
            changes,
            random,
            recorded,
            given,
            report,
            keep,
        })
    }

    /// What the setup makes of the parameters as they are: what it made before, where these have not changed.
    fn settle(&self, inputs: &[&Array]) -> Result<Vec<Tensor>> {
        if self.settled.is_empty() {
            return Ok(Vec::new());
        }
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        // Memory that somebody else may write has no version to go by.
        let same = |(t, v): &(Tensor, u64), x: &Tensor| {
            Arc::ptr_eq(t.storage(), x.storage())
                && t.offset() == x.offset()
                && *v == x.storage().version()
                && !x.storage().is_shared()
        };
        let stands = |set: &Set, i: usize| set.of[i].as_ref().is_some_and(|of| same(of, inputs[i].tensor()));
        let fresh = |m: &Made| set.as_ref().is_some_and(|set| m.inputs.iter().all(|&i| stands(set, i)));
        let stale: Vec<bool> = self.origins.iter().map(|m| !fresh(m)).collect();
        if let Some(set) = set.as_ref().filter(|_| !stale.contains(&true)) {
            return Ok(set.made.clone());
        }
        let mut of = vec![None; inputs.len()];
        for &i in self.origins.iter().flat_map(|m| &m.inputs) {
            let t = inputs[i].tensor();
            of[i] = Some((t.clone(), t.storage().version()));
        }
        // What is made anew takes the place of what there was, which goes first: both are as large as the weights.
        let before = set.take().map(|set| set.made).unwrap_or_default();
        let mut made: Vec<Option<Tensor>> = before.into_iter().map(Some).collect();
        made.resize(self.settled.len(), None);
        made.iter_mut().zip(&stale).filter(|(_, stale)| **stale).for_each(|(t, _)| *t = None);
        let wanted: BTreeSet<usize> =
            self.origins.iter().zip(&stale).filter(|(_, s)| **s).flat_map(|(m, _)| m.steps.clone()).collect();
        let fill = |origin: &Origin| match origin {
            Origin::Input(i) => Some(inputs[*i].tensor().clone()),
            _ => None,
        };
        let table = self.run(&self.setup, fill, &[], &[], Some(&wanted))?;
        let one = |(&b, kept): (&usize, Option<Tensor>)| kept.map_or_else(|| tensor(&table, b).cloned(), Ok);
        let made: Vec<Tensor> = self.settled.iter().zip(made).map(one).collect::<Result<_>>()?;
        *set = Some(Set { of, made: made.clone() });
        Ok(made)
    }

    /// Values of the outputs, and of what is left for the backward pass.
    pub fn forward(&self, inputs: &[&Array]) -> Result<(Vec<Array>, Vec<Tensor>)> {
        let fill = |origin: &Origin| match origin {
            Origin::Input(i) => Some(inputs[*i].tensor().clone()),
            _ => None,
        };
        let settled = self.settle(inputs)?;
        let table = self.run(&self.forward, fill, &self.settled, &settled, None)?;
        let mut heads: Vec<Array> = Vec::with_capacity(self.heads.len());
        for (i, slot) in self.heads.iter().enumerate() {
            let origin = &self.buffers[slot.buffer].origin;
            let before = self.heads[..i].iter().position(|h| h == slot);
            heads.push(match (origin, before) {
                (_, Some(k)) => heads[k].clone(),
                (Origin::Input(k), _) if self.is_whole(slot) => inputs[*k].clone(),
                // The caller may change what it gets, and that is ours.
                (Origin::Constant(_), _) | (Origin::Made, _) if self.is_ours(slot.buffer) => {
                    Array::from(copy(&at(&table, slot)?)?)
                }
                _ => Array::from(at(&table, slot)?),
            });
        }
        let left = self.left.iter().map(|&b| tensor(&table, b).cloned()).collect::<Result<_>>()?;
        Ok((heads, left))
    }

    /// Gradients of the inputs.
    pub fn backward(
        &self,
        input: impl Fn(usize) -> Tensor,
        left: &[Tensor],
        grad: impl Fn(usize) -> Option<Tensor>,
    ) -> Result<Vec<Option<Array>>> {
        let fill = |origin: &Origin| match origin {
            Origin::Input(i) => Some(input(*i)),
            Origin::Gradient(i) => grad(*i),
            _ => None,
        };
        let table = self.run(&self.backward, fill, &self.left, left, None)?;
        let one = |slot: &Option<Slot>| slot.as_ref().map(|s| at(&table, s).map(Array::from)).transpose();
        self.grads.iter().map(one).collect()
    }

    /// Whether a buffer is kept from call to call.
    fn is_ours(&self, b: usize) -> bool {
        matches!(self.buffers[b].origin, Origin::Constant(_)) || self.settled.contains(&b)
    }

    fn is_whole(&self, slot: &Slot) -> bool {
        slot.offset == 0 && slot.dims == self.buffers[slot.buffer].meta.dims
    }

    /// Makes the calls of a part, all or those of some numbers. `left` are values for the buffers `places`.
    fn run(
        &self,
        part: &Section,
        fill: impl Fn(&Origin) -> Option<Tensor>,
        places: &[usize],
        left: &[Tensor],
        only: Option<&BTreeSet<usize>>,
    ) -> Result<Table> {
        let mut table = match part.frame.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(frame) => frame,
            None => part.make(&self.buffers)?,
        };
        for (to, b) in table.iter_mut().zip(&self.buffers) {
            match &b.origin {
                Origin::Made => {}
                Origin::Constant(t) => {
                    if to.is_none() {
                        *to = Some(t.clone());
                    }
                }
                other => *to = fill(other),
            }
        }
        for (&b, t) in places.iter().zip(left) {
            table[b] = Some(t.clone());
        }
        let makes = |b: usize| only.is_none_or(|only| only.iter().any(|&k| part.steps[k].outs.contains(&b)));
        for (b, (to, place)) in table.iter_mut().zip(&part.layout.places).enumerate() {
            if *place == Place::Own && makes(b) {
                let Meta { dims, dtype, device } = &self.buffers[b].meta;
                *to = Some(Tensor::empty(dims, *dtype, *device)?);
            }
        }
        part.run(&table, only)?;
        if self.keep || part.layout.bytes <= KEPT {
            let mut frame = table.clone();
            for (t, (place, b)) in frame.iter_mut().zip(part.layout.places.iter().zip(&self.buffers)) {
                let stays = matches!(place, Place::Shared(_)) || matches!(b.origin, Origin::Constant(_));
                if !stays {
                    *t = None;
                }
            }
            *part.frame.lock().unwrap_or_else(PoisonError::into_inner) = Some(frame);
        }
        Ok(table)
    }
}

impl Section {
    fn new(ir: &Ir, part: Range<usize>, stays: &[bool]) -> Section {
        let operand =
            |s: &Slot| if ir.is_whole(s) { Operand::Whole(s.buffer) } else { Operand::Part(s.clone()) };
        let step = |c: &Call| Step {
            op: c.op,
            params: c.params.clone(),
            training: c.training,
            ins: c.ins.iter().map(operand).collect(),
            outs: c.outs.clone(),
        };
        let steps = ir.calls[part.clone()].iter().map(step).collect();
        Section { steps, layout: layout(ir, part, stays), frame: Mutex::new(None) }
    }

    /// Tensors of the shared places.
    fn make(&self, buffers: &[Buffer]) -> Result<Table> {
        let mut table: Table = vec![None; buffers.len()];
        let device = buffers.first().map(|b| b.meta.device).unwrap_or_default();
        let memory = Tensor::empty(&[self.layout.bytes], DType::U8, device)?;
        for ((to, b), place) in table.iter_mut().zip(buffers).zip(&self.layout.places) {
            if let Place::Shared(at) = place {
                let Meta { dims, dtype, .. } = &b.meta;
                *to = Some(memory.window(*at, dims, *dtype)?);
            }
        }
        Ok(table)
    }

    fn run(&self, table: &Table, only: Option<&BTreeSet<usize>>) -> Result<()> {
        let wanted = |k: usize| only.is_none_or(|only| only.contains(&k));
        for (_, step) in self.steps.iter().enumerate().filter(|(k, _)| wanted(*k)) {
            let mut parts: SmallVec<[Tensor; 2]> = SmallVec::new();
            for operand in &step.ins {
                if let Operand::Part(slot) = operand {
                    parts.push(at(table, slot)?);
                }
            }
            let mut parts = parts.iter();
            let input = |o: &Operand| match o {
                Operand::Whole(b) => tensor(table, *b),
                Operand::Part(_) => parts.next().ok_or_else(missing),
            };
            let ins: SmallVec<[&Tensor; 4]> = step.ins.iter().map(input).collect::<Result<_>>()?;
            let outs: SmallVec<[&Tensor; 2]> =
                step.outs.iter().map(|&b| tensor(table, b)).collect::<Result<_>>()?;
            invoke_into(step.op, &ins, &step.params, &outs, step.training)?;
        }
        Ok(())
    }
}

fn missing() -> crate::error::Error {
    err!(Internal, "a value of the compiled graph is not there")
}

fn tensor(table: &Table, b: usize) -> Result<&Tensor> {
    table[b].as_ref().ok_or_else(missing)
}

/// The elements of a slot.
fn at(table: &Table, slot: &Slot) -> Result<Tensor> {
    let base = tensor(table, slot.buffer)?;
    base.window(base.offset() + slot.offset, &slot.dims, slot.dtype)
}

fn copy(t: &Tensor) -> Result<Tensor> {
    Tensor::from_bytes(t.bytes(), t.dtype(), t.dims(), t.device())
}

/// Numbers the buffers that are still used anew; inputs keep their numbers.
fn compact(ir: &mut Ir, inputs: usize) {
    let mut used = vec![false; ir.buffers.len()];
    used[..inputs].fill(true);
    for call in &ir.calls {
        call.ins.iter().map(|s| s.buffer).chain(call.outs.iter().copied()).for_each(|b| used[b] = true);
    }
    ir.results().for_each(|s| used[s.buffer] = true);
    let (mut to, mut next) = (vec![usize::MAX; used.len()], 0);
    for (b, _) in used.iter().enumerate().filter(|(_, u)| **u) {
        to[b] = next;
        next += 1;
    }
    for call in &mut ir.calls {
        call.ins.iter_mut().for_each(|s| s.buffer = to[s.buffer]);
        call.outs.iter_mut().for_each(|b| *b = to[*b]);
    }
    ir.heads.iter_mut().chain(ir.grads.iter_mut().flatten()).for_each(|s| s.buffer = to[s.buffer]);
    let mut used = used.into_iter();
    ir.buffers.retain(|_| used.next() == Some(true));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Symbol;
    use crate::ops;

    #[test]
    fn only_what_depends_on_a_changed_parameter_is_made_again() {
        let call =
            |op: &str, ins: &[&Symbol]| Symbol::call(ops::find(op).unwrap(), op, &[], &[], ins).unwrap();
        let [x, v, w] = ["x", "v", "w"].map(|name| Symbol::variable(name, &[]).unwrap());
        let (ev, ew) = (call("exp", &[&v]), call("exp", &[&w]));
        let y = call("elemwise_add", &[&call("elemwise_mul", &[&x, &ev]), &ew]);
        let arrays: Vec<Array> =
            [2.0f32, 0.5, -1.0].iter().map(|&a| Array::from_slice(&[a], &[1]).unwrap()).collect();
        let inputs: Vec<&Array> = arrays.iter().collect();
        let metas: Vec<Meta> = arrays.iter().map(|a| Meta::of(a.tensor())).collect();
        let to = Use { metas: &metas, training: false, needs: &[], given: None };
        let program = Program::new(&Plan::new(&y), &to, vec![false, true, true], false).unwrap();
        let places = || -> Vec<*mut u8> {
            program.set.lock().unwrap().as_ref().unwrap().made.iter().map(|t| t.storage().ptr()).collect()
        };
        let run = || program.forward(&inputs).unwrap().0[0].to_vec::<f32>()[0];
        let want = |v: f32, w: f32| 2.0 * v.exp() + w.exp();
        assert!((run() - want(0.5, -1.0)).abs() < 1e-5);
        let first = places();
        assert_eq!(first.len(), 2);
        run();
        assert_eq!(places(), first, "nothing has changed");
        arrays[2].tensor().assign(Array::from_slice(&[1.5f32], &[1]).unwrap().tensor()).unwrap();
        assert!((run() - want(0.5, 1.5)).abs() < 1e-5);
        let then = places();
        let kept: Vec<bool> = program.origins.iter().map(|m| !m.inputs.contains(&2)).collect();
        assert_eq!(kept.iter().filter(|k| **k).count(), 1);
        for (k, kept) in kept.iter().enumerate().filter(|(_, k)| **k) {
            assert_eq!(then[k], first[k], "{kept}");
        }
    }
}
