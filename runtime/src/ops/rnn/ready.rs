//! Recurrent layers as the compiler of graphs writes them: on parameters behind which the weights of the states lie once more, as the steps read
//! them (`_ks_ready_rnn_weight`). Neither is called by hand or recorded.

use super::{Rnn, dims3, infer_shape, infer_type, run_with};
use crate::dtype::DType;
use crate::error::Result;
use crate::kernels::rnn::Net;
use crate::ops::def::{OpDef, Ready, Run};
use crate::ops::infer::{Shapes, Types};
use crate::ops::params::{ParamSet, ParamSpec, Params};
use crate::ops::value::Value;
use crate::simd::{Level, level};
use crate::storage::ALIGN;

/// Layers on data of a known width, and the level on which the weights are laid.
#[derive(Clone, Debug)]
struct ReadyRnn {
    rnn: Rnn,
    width: usize,
    steps: usize,
    level: Level,
    dtype: DType,
}

impl ParamSet for ReadyRnn {
    fn specs() -> Vec<ParamSpec> {
        Vec::new()
    }
    fn parse(_: &[(usize, Value)]) -> Result<Self> {
        bail!(Internal, "layers are made ready by the compiler of graphs alone")
    }
    fn texts(&self) -> Vec<String> {
        Vec::new()
    }
}

impl ReadyRnn {
    fn net(&self) -> Net<'static> {
        self.rnn.net([self.steps, 1, self.width])
    }

    /// Where the laid weights begin: the parameters stand before them.
    fn begin(&self) -> usize {
        self.net().params().next_multiple_of(ALIGN / self.dtype.size())
    }

    /// How many elements they are; `None` where laying them does not pay.
    fn laid(&self) -> Option<usize> {
        if self.dtype == DType::F64 { self.net().packed::<f64>() } else { self.net().packed::<f32>() }
    }
}

/// The same layers on parameters made ready.
pub(super) fn ready(p: &Params, ins: &[&[usize]], dtype: DType) -> Option<Ready> {
    let [steps, _, width] = *ins[0] else { return None };
    if !matches!(dtype, DType::F32 | DType::F64) {
        return None;
    }
    let p = ReadyRnn { rnn: p.get::<Rnn>().clone(), width, steps, level: level(), dtype };
    p.laid()?;
    Some(Ready { input: 1, by: &READY_RNN_WEIGHT, call: &READY_RNN, params: Params::new(p) })
}

fn run_weight(r: &Run<'_>) -> Result<()> {
    let (p, x, out) = (r.p::<ReadyRnn>(), r.ins[0].span(), r.outs[0].span());
    let rest = out.sub(p.begin(), out.len() - p.begin());
    // SAFETY: both hold so many elements, and lie apart.
    unsafe { out.bytes().copy_from_nonoverlapping(x.bytes(), x.len() * p.dtype.size()) };
    // On another level the steps lay them themselves.
    if p.level == level() {
        if p.dtype == DType::F64 { p.net().pack::<f64>(x, rest) } else { p.net().pack::<f32>(x, rest) }
    }
    Ok(())
}

fn run(r: &Run<'_>) -> Result<()> {
    let p = r.p::<ReadyRnn>();
    let [steps, _, width] = dims3(r.ins[0])?;
    if (steps, width) != (p.steps, p.width) {
        bail!(Internal, "layers were made ready for other data, got {steps} steps of {width}");
    }
    let all = r.ins[1].span();
    let panels = (p.level == level()).then(|| all.sub(p.begin(), all.len() - p.begin()));
    run_with(r, &p.rnn, panels)
}

fn shape_weight(s: &mut Shapes<'_>) -> Result<()> {
    let p: &ReadyRnn = s.params.get();
    let Some(laid) = p.laid() else { bail!(Shape, "so few steps are not made ready, got {}", p.steps) };
    s.want(0, &[p.net().params()])?;
    s.output(0, &[p.begin() + laid])
}

/// As of RNN, whose parameters are the first elements of what was made.
fn shape(s: &mut Shapes<'_>) -> Result<()> {
    let p: &ReadyRnn = s.params.get();
    let mut ins = s.ins.to_vec();
    ins[1] = [p.net().params()].as_slice().into();
    infer_shape(&mut Shapes { params: &Params::new(p.rnn.clone()), ins: &mut ins, outs: s.outs })
}

fn dtypes(t: &mut Types<'_>) -> Result<()> {
    let rnn = Params::new(t.params.get::<ReadyRnn>().rnn.clone());
    infer_type(&mut Types { params: &rnn, ins: t.ins, outs: t.outs })
}

const MADE: &str = "made by the compiler of graphs from RNN, and compared with it there";

table! {
    READY_RNN_WEIGHT = OpDef::new("_ks_ready_rnn_weight", &["parameters"], run_weight).params::<ReadyRnn>().shape(shape_weight)
        .doc("Parameters of RNN, then the weights of the states as the steps read them.").no_gradient(MADE).no_samples(MADE);
    READY_RNN = OpDef::new("_ks_ready_rnn", &["data", "parameters", "state", "state_cell", "sequence_length"], run).random()
        .params::<ReadyRnn>().arity(|p| p.get::<ReadyRnn>().rnn.inputs())
        .outputs(|p| p.get::<ReadyRnn>().rnn.visible() + 2, |p| p.get::<ReadyRnn>().rnn.visible())
        .shape(shape).dtype(dtypes)
        .doc("`RNN` on parameters made by `_ks_ready_rnn_weight`.").no_gradient(MADE).no_samples(MADE);
}
