//! A call of a compiled graph on the tape: one node. Going back runs the compiled backward pass. Where that does not do (the
//! gradient is to be differentiated again, or other outputs have gradients than was expected) the graph is run again call by call,
//! recorded, with the same random numbers, and the tape goes back over that.

use super::plan::Plan;
use super::program::Program;
use crate::array::Array;
use crate::autograd::mode::{Scope, is_training};
use crate::autograd::node::{Edge, GradReq, Kept, Node, Saved, check_version};
use crate::backward::{Options, grad_between};
use crate::device::Device;
use crate::error::Result;
use crate::ops::def::{Keep, OpDef, Run};
use crate::ops::params::{ParamSet, ParamSpec, Params};
use crate::ops::value::Value;
use crate::ops::vjp::{Grads, Vjp};
use crate::rng::{self, Stream};
use crate::tensor::Tensor;
use smallvec::SmallVec;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// A call that was made.
#[derive(Clone)]
pub struct Recorded {
    plan: Arc<Plan>,
    program: Arc<Program>,
    /// Where to say which outputs had gradients.
    asked: Arc<Mutex<Option<Vec<bool>>>>,
    /// Where the random numbers came from.
    stream: (Device, Stream),
    /// Versions of the inputs, and of what was left for the backward pass.
    versions: (Vec<u64>, Vec<u64>),
}

impl Recorded {
    /// A call of `program`.
    pub fn new(
        plan: Arc<Plan>,
        program: Arc<Program>,
        asked: Arc<Mutex<Option<Vec<bool>>>>,
        stream: (Device, Stream),
    ) -> Recorded {
        Recorded { plan, program, asked, stream, versions: Default::default() }
    }
}

impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a graph")
    }
}

impl ParamSet for Recorded {
    fn specs() -> Vec<ParamSpec> {
        Vec::new()
    }
    fn parse(_: &[(usize, Value)]) -> Result<Self> {
        bail!(Internal, "a compiled graph cannot be called by name")
    }
    fn texts(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The operator of such a node.
static CALL: OpDef = OpDef::new("_CachedOp", &["data"], run)
    .variadic(None)
    .outputs(
        |p| p.get::<Recorded>().plan.heads.len() + p.get::<Recorded>().program.left.len(),
        |p| p.get::<Recorded>().plan.heads.len(),
    )
    .doc("A call of a graph.")
    .vjp(Keep::ALL, rule)
    .no_samples("it is not called by name");

fn run(_: &Run<'_>) -> Result<()> {
    bail!(Internal, "it has been computed already")
}

/// Puts a call on the tape.
pub fn record(mut call: Recorded, inputs: &[&Array], heads: &[Array], left: Vec<Tensor>) {
    let version = |t: &Tensor| t.storage().version();
    call.versions =
        (inputs.iter().map(|a| version(a.tensor())).collect(), left.iter().map(version).collect());
    let edges: SmallVec<[Option<Edge>; 2]> = inputs.iter().map(|a| a.edge()).collect();
    let ins: Vec<&Tensor> = inputs.iter().map(|a| a.tensor()).collect();
    let outs: Vec<&Tensor> = heads.iter().map(Array::tensor).chain(&left).collect();
    let recorded = call.program.recorded.clone();
    // Versions are looked at when it is known what is needed.
    let kept = Kept {
        ins: ins.iter().map(|t| Some(Saved::unchecked(t))).collect(),
        outs: (0..outs.len()).map(|i| (i >= heads.len()).then(|| Saved::unchecked(outs[i]))).collect(),
    };
    let params = Params::new(call);
    let node = Node::keeping(&CALL, &params, is_training(), edges, &ins, &outs, kept);
    for (i, head) in heads.iter().enumerate() {
        // An input that is an output as it is has its own history.
        if recorded[i] && !head.has_edge() {
            head.set_edge(Some(Edge { node: node.clone(), output: i as u32 }));
        }
    }
}

fn rule(d: &Vjp<'_>) -> Result<Grads> {
    let call: &Recorded = d.p();
    let count = call.plan.heads.len();
    let given: Vec<bool> = (0..count).map(|i| d.grad_of(i).is_some()).collect();
    let names = call.plan.input_names();
    let check =
        |i: usize| check_version(names[i], d.input(i).tensor().storage().version(), call.versions.0[i]);
    let program = &call.program;
    let is_state = |i: usize| program.changes[i];
    let fits = given == program.given;
    if !d.recorded && !fits {
        *call.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(given);
    }
    if d.recorded || !fits || !d.pass_training {
        (0..names.len()).filter(|&i| !is_state(i)).try_for_each(check)?;
        return again(d, call);
    }
    (0..names.len()).filter(|&i| program.reads[i] && !is_state(i)).try_for_each(check)?;
    let left: Vec<Tensor> = (0..program.left.len()).map(|k| d.output(count + k).tensor().clone()).collect();
    for (t, version) in left.iter().zip(&call.versions.1) {
        check_version("its output", t.storage().version(), *version)?;
    }
    let input = |i: usize| d.input(i).tensor().clone();
    let grad = |i: usize| d.grad_of(i).map(|g| g.tensor().clone());
    Ok(program.backward(input, &left, grad)?.into_iter().collect())
}

/// The gradients by running the graph once more, call by call.
fn again(d: &Vjp<'_>, call: &Recorded) -> Result<Grads> {
    let (device, stream) = call.stream;
    let now = rng::position(device);
    let inputs: Vec<Array> = (0..d.num_inputs()).map(|i| d.input(i).clone()).collect();
    if !d.recorded {
        for (_, x) in inputs.iter().enumerate().filter(|(i, _)| d.needs(*i)) {
            x.attach_grad_to(&x.detach(), GradReq::Write)?;
        }
    }
    if call.program.random {
        rng::rewind(device, stream);
    }
    let heads = {
        let _scope = Scope::enter(true, d.training);
        call.plan.run_whole(&inputs, None)
    };
    if call.program.random {
        rng::rewind(device, now);
    }
    let heads = heads?;
    let with = |i: &usize| heads[*i].has_edge() && d.grad_of(*i).is_some();
    let chosen: Vec<usize> = (0..heads.len()).filter(with).collect();
    let starts: Vec<&Array> = chosen.iter().map(|&i| &heads[i]).collect();
    let grads: Vec<Option<&Array>> = chosen.iter().map(|&i| d.grad_of(i)).collect();
    // Inputs with one history are one variable: the first of them gets what all of them would.
    let edges: Vec<Option<Edge>> = inputs.iter().map(Array::edge).collect();
    let same = |a: &Option<Edge>, b: &Option<Edge>| match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(&a.node, &b.node) && a.output == b.output,
        _ => false,
    };
    let is_var = |i: &usize| d.needs(*i) && !edges[..*i].iter().any(|e| same(e, &edges[*i]));
    let wanted: Vec<usize> = (0..inputs.len()).filter(is_var).collect();
    let vars: Vec<&Array> = wanted.iter().map(|&i| &inputs[i]).collect();
    let options = Options { create_graph: d.recorded, train_mode: d.pass_training, ..Options::default() };
    let mut all: Grads = std::iter::repeat_with(|| None).take(inputs.len()).collect();
    for (i, g) in wanted.into_iter().zip(grad_between(&starts, &grads, &vars, options)?) {
        all[i] = g;
    }
    Ok(all)
}
