//! From a plan to calls on given shapes: the plan is run while its calls are traced, and its gradient rules after it.

use super::ir::{Buffer, Call, Ir, Meta, Origin, Phase, Slot};
use super::plan::Plan;
use crate::array::Array;
use crate::autograd::mode::Scope;
use crate::autograd::node::GradReq;
use crate::backward::{Options, grad_between, run_rule};
use crate::error::Result;
use crate::tensor::Tensor;
use crate::trace::{self, Traced};
use std::collections::HashMap;

/// What a graph is compiled for.
pub struct Use<'a> {
    /// Its inputs.
    pub metas: &'a [Meta],
    /// The mode.
    pub training: bool,
    /// Which inputs want gradients; empty when nothing is recorded.
    pub needs: &'a [bool],
    /// Which outputs will have gradients; `None` when any may have.
    pub given: Option<&'a [bool]>,
}

/// A graph on given shapes.
pub struct Lowered {
    /// The calls.
    pub ir: Ir,
    /// Which outputs are recorded.
    pub recorded: Vec<bool>,
    /// Which outputs have a gradient in the backward calls.
    pub given: Vec<bool>,
}

/// Traces `plan` for a use. Errors when it cannot be traced, or would fail.
pub fn lower(plan: &Plan, to: &Use<'_>) -> Result<Lowered> {
    // Without a way back the call before may rectify as it writes.
    let rearranged = if to.needs.is_empty() { None } else { plan.rearranged() };
    let plan = rearranged.as_ref().unwrap_or(plan);
    let phantom = |m: &Meta| Tensor::phantom(&m.dims, m.dtype, m.device).map(Array::from);
    let inputs: Vec<Array> = to.metas.iter().map(phantom).collect::<Result<_>>()?;
    let wanted = |i: usize| to.needs.get(i).copied().unwrap_or(false);
    for (_, x) in inputs.iter().enumerate().filter(|(i, _)| wanted(*i)) {
        x.attach_grad_to(x, GradReq::Write)?;
    }
    let mut gradients: Vec<Option<Array>> = Vec::new();
    let ((forward, heads, found), calls) = trace::trace(|| {
        let heads = {
            let _scope = Scope::enter(!to.needs.is_empty(), to.training);
            plan.run_whole(&inputs, None)?
        };
        let forward = trace::count();
        for (i, h) in heads.iter().enumerate() {
            let asked = to.given.is_none_or(|g| g[i]) && h.has_edge() && h.dtype().is_float();
            gradients.push(if asked { Some(phantom(&Meta::of(h.tensor()))?) } else { None });
        }
        let starts: Vec<&Array> =
            heads.iter().zip(&gradients).filter(|(_, g)| g.is_some()).map(|(h, _)| h).collect();
        let grads: Vec<Option<&Array>> = gradients.iter().flatten().map(Some).collect();
        let vars: Vec<&Array> =
            inputs.iter().enumerate().filter(|(i, _)| wanted(*i)).map(|(_, x)| x).collect();
        let found = match starts.is_empty() || vars.is_empty() {
            true => vec![None; vars.len()],
            false => grad_between(&starts, &grads, &vars, Options::default())?,
        };
        Ok((forward, heads, found))
    })?;
    let mut found = found.into_iter();
    let grads: Vec<Option<Array>> =
        (0..inputs.len()).map(|i| if wanted(i) { found.next().flatten() } else { None }).collect();
    let mut made = Lowering { ir: Ir::default(), at: HashMap::new() };
    made.ir.names = plan.input_names().into_iter().map(str::to_owned).collect();
    for (i, x) in inputs.iter().enumerate() {
        made.buffer(x.tensor(), Origin::Input(i));
    }
    for (i, g) in gradients.iter().enumerate() {
        if let Some(g) = g {
            made.buffer(g.tensor(), Origin::Gradient(i));
        }
    }
    for (i, call) in calls.iter().enumerate() {
        made.call(call, if i < forward { Phase::Forward } else { Phase::Backward })?;
    }
    made.ir.heads = heads.iter().map(|h| made.slot(h.tensor())).collect::<Result<_>>()?;
    made.ir.grads =
        grads.iter().map(|g| g.as_ref().map(|g| made.slot(g.tensor())).transpose()).collect::<Result<_>>()?;
    let recorded = heads.iter().map(|h| h.has_edge()).collect();
    let given = gradients.iter().map(Option::is_some).collect();
    Ok(Lowered { ir: made.ir, recorded, given })
}

/// Calls `f` with arrays that stand for slots, and appends to `ir` what it calls. The result is where its results are.
pub fn append(
    ir: &mut Ir,
    slots: &[Slot],
    training: bool,
    f: impl FnOnce(&[Array]) -> Result<Vec<Array>>,
) -> Result<(Vec<Call>, Vec<Slot>)> {
    let mut made = Lowering { ir: std::mem::take(ir), at: HashMap::new() };
    let mut stands: HashMap<usize, Tensor> = HashMap::new();
    let result = (|| {
        let mut arrays = Vec::new();
        for s in slots {
            let meta = &made.ir.buffers[s.buffer].meta;
            let base = match stands.get(&s.buffer) {
                Some(t) => t.clone(),
                None => {
                    let t = Tensor::phantom(&meta.dims, meta.dtype, meta.device)?;
                    made.at.insert(t.storage().ptr(), (s.buffer, t.clone()));
                    stands.insert(s.buffer, t.clone());
                    t
                }
            };
            arrays.push(Array::from(base.window(s.offset, &s.dims, s.dtype)?));
        }
        let (results, calls) = trace::trace(|| {
            let _scope = Scope::enter(false, training);
            run_rule(|| f(&arrays))
        })?;
        let before = made.ir.calls.len();
        for call in &calls {
            made.call(call, Phase::Forward)?;
        }
        let new = made.ir.calls.split_off(before);
        let slots = results.iter().map(|a| made.slot(a.tensor())).collect::<Result<_>>()?;
        Ok((new, slots))
    })();
    *ir = made.ir;
    result
}

struct Lowering {
    ir: Ir,
    /// Buffers by the address of what stood for them, which is kept so that the address stays theirs.
    at: HashMap<*mut u8, (usize, Tensor)>,
}

impl Lowering {
    fn buffer(&mut self, t: &Tensor, origin: Origin) -> usize {
        self.ir.buffers.push(Buffer { meta: Meta::of(t), origin });
        let number = self.ir.buffers.len() - 1;
        self.at.insert(t.storage().ptr(), (number, t.clone()));
        number
    }

    /// Where a tensor is. One that no call made is a constant: all of its memory, since it may be a view.
    fn slot(&mut self, t: &Tensor) -> Result<Slot> {
        let buffer = match self.at.get(&t.storage().ptr()) {
            Some((buffer, _)) => *buffer,
            None => {
                let whole = t.window(0, &[t.storage().bytes() / t.dtype().size()], t.dtype())?;
                self.buffer(&whole, Origin::Constant(whole.clone()))
            }
        };
        Ok(Slot { buffer, offset: t.offset(), dims: t.dims().into(), dtype: t.dtype() })
    }

    fn call(&mut self, c: &Traced, phase: Phase) -> Result<()> {
        let ins = c.ins.iter().map(|t| self.slot(t)).collect::<Result<_>>()?;
        let outs = c.outs.iter().map(|t| self.buffer(t, Origin::Made)).collect();
        let (op, params, training) = (c.op, c.params.clone(), c.training);
        self.ir.calls.push(Call { op, params, training, phase, ins, outs });
        Ok(())
    }
}
