//! A graph bound to arrays: it reads its arguments where they are, writes outputs and gradients in place, and can go back.
//!
//! The first pass makes the calls one by one: many graphs are run only once. From the second one on, one without a way back runs the
//! compiled graph, unless something watches the calls, or they are spread over devices.

use super::attrs;
use super::cached::CachedOp;
use super::infer::{shapes, types};
use super::node::{Symbol, input_name};
use super::plan::Plan;
use crate::array::Array;
use crate::autograd::mode::Scope;
use crate::autograd::node::{GradReq, Kind, Node as TapeNode};
use crate::backward::{Options, backward_watched};
use crate::device::Device;
use crate::dtype::DType;
use crate::error::Result;
use crate::ops::def::Gradient;
use crate::ops::vjp::Grads;
use crate::shape::partial::Partial;
use crate::shape::show;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

/// What a graph is bound to. Lists are in the order of the symbol's.
#[derive(Default)]
pub struct Binding {
    /// Values of the arguments.
    pub args: Vec<Array>,
    /// Where gradients go; may be empty, or miss some.
    pub grads: Vec<Option<Array>>,
    /// What is done with gradients; without one it is written.
    pub reqs: Vec<GradReq>,
    /// Values of the auxiliary states.
    pub aux: Vec<Array>,
    /// Arrays to write outputs into; may be empty, or miss some.
    pub outputs: Vec<Option<Array>>,
    /// Where nodes live that belong to no group.
    pub device: Device,
    /// Where groups live.
    pub groups: Vec<(String, Device)>,
}

/// Sees arrays by name while an executor runs.
pub type Monitor = Box<dyn Fn(&str, &Array) -> Result<()> + Send + Sync>;

/// A bound graph.
pub struct Executor {
    plan: Arc<Plan>,
    bound: Binding,
    /// Which of the variables, in the order of `list_inputs`, are auxiliary states.
    is_aux: Vec<bool>,
    /// The outputs that have been written so far.
    outputs: Mutex<Vec<Option<Array>>>,
    /// Where each node lives.
    devices: Vec<Device>,
    /// By place.
    shapes: Vec<Partial>,
    types: Vec<Option<DType>>,
    pass: Mutex<Pass>,
    monitor: Mutex<Option<Arc<Monitor>>>,
    /// Which of the variables are said to change seldom.
    parameters: Mutex<Vec<bool>>,
    compiled: OnceLock<CachedOp>,
}

/// The last forward pass.
#[derive(Default)]
struct Pass {
    /// Passes so far.
    count: u64,
    training: bool,
    /// Set when it was recorded.
    recorded: Option<Recorded>,
}

struct Recorded {
    heads: Vec<Array>,
    /// The variables that want gradients.
    leaves: Vec<(Array, GradReq)>,
    /// Which node of the graph a node of the tape came from; kept for a monitor only.
    origin: HashMap<*const TapeNode, usize>,
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Executor {
    /// Binds a graph. Errors when arrays are missing, or do not fit the graph.
    pub fn bind(symbol: &Symbol, bound: Binding) -> Result<Executor> {
        Executor::new(symbol, bound).map_err(|e| e.within("bind"))
    }

    fn new(symbol: &Symbol, mut bound: Binding) -> Result<Executor> {
        let mut plan = Plan::new(symbol);
        let (args, aux) = plan.order.variables();
        let counted = |what: &str, got: usize, want: usize| {
            if got == want {
                Ok(())
            } else {
                Err(err!(Argument, "Length of {what} do not match, got {got}, want {want}"))
            }
        };
        counted("args", bound.args.len(), args.len())?;
        counted("aux_states", bound.aux.len(), aux.len())?;
        for (what, n, want) in [
            ("args_grad", bound.grads.len(), args.len()),
            ("grad_req", bound.reqs.len(), args.len()),
            ("outputs", bound.outputs.len(), plan.heads.len()),
        ] {
            if n > 0 {
                counted(what, n, want)?;
            }
        }
        bound.grads.resize(args.len(), None);
        bound.reqs.resize(args.len(), GradReq::Write);
        bound.outputs.resize(plan.heads.len(), None);
        for ((a, g), req) in bound.args.iter().zip(&bound.grads).zip(&mut bound.reqs) {
            match g {
                None => *req = GradReq::Null,
                Some(g) if g.dims() != a.dims() || g.dtype() != a.dtype() => {
                    bail!(
                        Shape,
                        "a gradient does not fit its argument, got {}, want {}",
                        show(g.dims()),
                        show(a.dims())
                    )
                }
                Some(_) => {}
            }
        }
        let is_aux: Vec<bool> = {
            let nodes = plan.order.nodes.iter().enumerate().filter(|(_, n)| n.is_variable());
            nodes.map(|(i, _)| aux.contains(&i)).collect()
        };
        let values = in_order(&is_aux, &bound.args, &bound.aux);
        let shapes = shapes(&plan.order, |i| plan.fact(&values, i, |a| Partial::from(a.dims())))?;
        let types = types(&plan.order, |i| plan.fact(&values, i, Array::dtype))?;
        let devices = places(&plan, &values, &bound);
        plan.settle(&shapes, &types, &devices)?;
        let (pass, monitor) = (Mutex::default(), Mutex::default());
        let outputs = Mutex::new(bound.outputs.clone());
        let (parameters, compiled) = (Mutex::new(is_aux.clone()), OnceLock::new());
        let executor = Executor {
            plan: Arc::new(plan),
            bound,
            is_aux,
            outputs,
            devices,
            shapes,
            types,
            pass,
            monitor,
            parameters,
            compiled,
        };
        executor.plan.check_way_back(executor.wants())?;
        executor.make_outputs()?;
        Ok(executor)
    }

    /// What array an output of a node needs, when that is known.
    fn blank(&self, place: usize, node: usize) -> Option<Result<Array>> {
        let dims = self.shapes[place].known()?;
        Some(Array::zeros(&dims, self.types[place].unwrap_or_default(), self.devices[node]))
    }

    /// Arrays for the outputs, where none were given and their shape is known. An output that is an argument is that
    /// argument's array.
    fn make_outputs(&self) -> Result<()> {
        let values = in_order(&self.is_aux, &self.bound.args, &self.bound.aux);
        let mut outputs = lock(&self.outputs);
        for (i, &place) in self.plan.heads.iter().enumerate() {
            let twin = self.plan.heads[..i].iter().position(|&p| p == place);
            let node = self.plan.order.node_of(place);
            outputs[i] = match (self.plan.fact(&values, node, Array::clone), twin, outputs[i].take()) {
                (Some(value), ..) => Some(value),
                (None, Some(twin), _) => outputs[twin].clone(),
                (None, None, Some(given)) => {
                    let want = &self.shapes[place];
                    if want.known().is_some_and(|d| d.as_slice() != given.dims()) {
                        bail!(Shape, "an output does not fit, got {}, want {want}", show(given.dims()));
                    }
                    Some(given)
                }
                (None, None, None) => self.blank(place, node).transpose()?,
            };
        }
        Ok(())
    }

    /// The outputs: the same arrays before and after every forward pass, unless their shape depends on values.
    pub fn outputs(&self) -> Result<Vec<Array>> {
        let outputs = lock(&self.outputs);
        let one = |a: &Option<Array>| {
            a.clone().ok_or_else(|| err!(Argument, "outputs: the executor has not run yet"))
        };
        outputs.iter().map(one).collect()
    }

    /// Makes `monitor` see the outputs of all calls, and the gradients of their inputs.
    pub fn set_monitor(&self, monitor: Option<Monitor>) {
        *lock(&self.monitor) = monitor.map(Arc::new);
    }

    /// Says which arguments, by their place in the list of arguments, seldom change from one forward pass to the next: what depends on them
    /// alone is then computed when they do. To be said before the second pass.
    pub fn set_parameters(&self, arguments: &[usize]) -> Result<()> {
        let mut parameters = self.is_aux.clone();
        let places: Vec<usize> = (0..self.is_aux.len()).filter(|&i| !self.is_aux[i]).collect();
        for &i in arguments {
            let Some(&place) = places.get(i) else {
                bail!(Argument, "set_parameters: there is no argument {i}, want less than {}", places.len())
            };
            parameters[place] = true;
        }
        *lock(&self.parameters) = parameters;
        Ok(())
    }

    /// Outputs of the compiled graph; `None` where its calls are made one by one.
    fn run_compiled(&self, values: &[Array]) -> Result<Option<Vec<Array>>> {
        let device = self.bound.device;
        if self.devices.iter().any(|d| *d != device) {
            return Ok(None);
        }
        let make = || CachedOp::of(self.plan.clone(), lock(&self.parameters).clone());
        self.compiled.get_or_init(make).call_compiled(&values.iter().collect::<Vec<_>>())
    }

    /// The last pass. A monitor that calls its own executor gets an error.
    fn pass(&self) -> Result<MutexGuard<'_, Pass>> {
        match self.pass.try_lock() {
            Ok(pass) => Ok(pass),
            Err(TryLockError::Poisoned(pass)) => Ok(pass.into_inner()),
            Err(TryLockError::WouldBlock) => bail!(Argument, "the executor is running already"),
        }
    }

    /// Computes the outputs from the arguments as they are now.
    pub fn forward(&self, training: bool) -> Result<()> {
        let mut pass = self.pass().map_err(|e| e.within("forward"))?;
        let record = training && self.wants_gradients();
        self.run(&mut pass, training, record).map_err(|e| e.within("forward"))
    }

    fn wants_gradients(&self) -> bool {
        self.bound.reqs.iter().any(|r| *r != GradReq::Null)
    }

    fn run(&self, pass: &mut Pass, training: bool, record: bool) -> Result<()> {
        *pass = Pass { count: pass.count + 1, training, recorded: None };
        // Handles of our own: the history must not reach the caller's.
        let args: Vec<Array> = self.bound.args.iter().map(Array::detach).collect();
        let aux: Vec<Array> = self.bound.aux.iter().map(Array::detach).collect();
        let mut leaves = Vec::new();
        for ((arg, grad), &req) in args.iter().zip(&self.bound.grads).zip(&self.bound.reqs) {
            if let Some(grad) = grad.as_ref().filter(|_| record && req != GradReq::Null) {
                arg.attach_grad_to(grad, req)?;
                leaves.push((arg.clone(), req));
            }
        }
        let monitor = lock(&self.monitor).clone();
        let mut origin = HashMap::new();
        let mut watch = |node: usize, i: usize, out: &Array| {
            let order = &self.plan.order;
            let Some(monitor) = &monitor else {
                // What lies below is not gone back through: the gradients there are zeros all the same.
                if order.nodes[node].op().is_some_and(|op| matches!(op.gradient, Gradient::Zero(_))) {
                    out.set_edge(None);
                }
                return Ok(());
            };
            if let Some(edge) = out.edge() {
                origin.insert(Arc::as_ptr(&edge.node), node);
            }
            monitor(&order.nodes[node].output_name(i), &out.detach())
        };
        let _scope = Scope::enter(record, training);
        let values = in_order(&self.is_aux, &args, &aux);
        let again = pass.count > 1 && !record && monitor.is_none();
        let heads = match if again { self.run_compiled(&values)? } else { None } {
            Some(heads) => heads,
            None => {
                let given = self.targets()?;
                self.plan.run(&values, &given, (record || monitor.is_some()).then_some(&mut watch))?
            }
        };
        let mut outputs = lock(&self.outputs);
        for (output, head) in outputs.iter_mut().zip(&heads) {
            match output {
                Some(a) if a.tensor().span().same(head.tensor().span()) => {}
                Some(a) if a.dims() == head.dims() && a.dtype() == head.dtype() => {
                    a.tensor().assign(head.tensor())?
                }
                other => *other = Some(head.detach()),
            }
        }
        drop(outputs);
        if record {
            pass.recorded = Some(Recorded { heads, leaves, origin });
        }
        Ok(())
    }

    /// Arrays that calls shall write into: those of the outputs, and for calls without inputs some on the right device. Of a
    /// call with several outputs the first ones must be there.
    fn targets(&self) -> Result<Vec<Option<Array>>> {
        let order = &self.plan.order;
        let mut given: Vec<Option<Array>> = vec![None; order.num_entries()];
        for (&place, output) in self.plan.heads.iter().zip(lock(&self.outputs).iter()) {
            let node = order.node_of(place);
            if !order.nodes[node].is_variable() {
                given[place] = output.as_ref().map(Array::detach);
                for before in order.first[node]..place {
                    if given[before].is_none() {
                        given[before] = self.blank(before, node).transpose()?;
                    }
                }
            }
        }
        self.plan.make_sources(&self.shapes, &self.types, |node| self.devices[node], &mut given)?;
        Ok(given)
    }

    /// Goes back from the outputs, whose gradients are ones where none are given, and puts the gradients of the arguments
    /// where the binding says. May be called again. A forward pass that was not made for training is made again, recorded.
    pub fn backward(&self, head_grads: &[Option<&Array>], training: bool) -> Result<()> {
        self.go_back(head_grads, training).map_err(|e| e.within("backward"))
    }

    fn go_back(&self, head_grads: &[Option<&Array>], training: bool) -> Result<()> {
        if !head_grads.is_empty() && head_grads.len() != self.plan.heads.len() {
            let (got, want) = (head_grads.len(), self.plan.heads.len());
            bail!(Argument, "a gradient is wanted for each output, got {got}, want {want}");
        }
        let mut pass = self.pass()?;
        if !self.wants_gradients() {
            return Ok(());
        }
        if pass.recorded.is_none() {
            let training = pass.training;
            self.run(&mut pass, training, true)?;
        }
        let Some(recorded) = &pass.recorded else { return Ok(()) };
        recorded.leaves.iter().for_each(|(leaf, _)| leaf.set_fresh_grad(false));
        let reached = recorded.heads.iter().enumerate().filter(|(_, h)| h.has_edge());
        let pairs = reached.map(|(i, h)| (h, head_grads.get(i).copied().flatten()));
        let (heads, grads): (Vec<&Array>, Vec<Option<&Array>>) = pairs.unzip();
        let monitor = lock(&self.monitor).clone();
        let mut watch = |call: &Arc<TapeNode>, grads: &Grads| match &monitor {
            Some(monitor) => self.show_gradients(monitor, recorded, call, grads),
            None => Ok(()),
        };
        let options = Options { retain_graph: true, create_graph: false, train_mode: training };
        if !heads.is_empty() {
            backward_watched(&heads, &grads, options, &mut watch)?;
        }
        for (leaf, req) in &recorded.leaves {
            if *req == GradReq::Write
                && !leaf.fresh_grad()
                && let Some(grad) = leaf.grad()
            {
                grad.tensor().assign(Array::zeros(grad.dims(), grad.dtype(), grad.device())?.tensor())?;
            }
        }
        Ok(())
    }

    /// Tells a monitor the gradients of a call's inputs, as `name_backward_input`; of those that have none, or want none, zeros.
    fn show_gradients(
        &self,
        monitor: &Monitor,
        recorded: &Recorded,
        call: &Arc<TapeNode>,
        grads: &Grads,
    ) -> Result<()> {
        let (Some(&i), Kind::Call(call)) = (recorded.origin.get(&Arc::as_ptr(call)), &call.kind) else {
            return Ok(());
        };
        let node = &self.plan.order.nodes[i];
        for (k, (edge, grad)) in call.edges.iter().zip(grads).enumerate() {
            if call.op.changes(&call.params, call.edges.len(), k) {
                continue;
            }
            let meta = &call.in_metas[k];
            let grad = match grad.as_ref().filter(|_| edge.is_some()) {
                Some(grad) => grad.detach(),
                None => Array::zeros(&meta.dims, meta.dtype, self.devices[i])?,
            };
            monitor(&format!("{}_backward_{}", node.name, input_name(call.op, &call.params, k)), &grad)?;
        }
        Ok(())
    }

    /// Whether the node of a number is an argument that wants a gradient.
    fn wants(&self) -> impl Fn(usize) -> bool {
        let (args, _) = self.plan.order.variables();
        let wanted = args.into_iter().zip(&self.bound.reqs).filter(|(_, r)| **r != GradReq::Null);
        let wanted: HashSet<usize> = wanted.map(|(node, _)| node).collect();
        move |node| wanted.contains(&node)
    }

    /// The calls that the executor makes, one a line, and the memory of what stays when a forward pass is over: outputs, and what
    /// the way back needs. Arguments and gradients are not counted, nor is what has no shape yet.
    pub fn describe(&self) -> String {
        let bytes = |&p: &usize| {
            let size = self.shapes[p].known().map_or(0, |dims| dims.iter().product::<usize>());
            size * self.types[p].unwrap_or_default().size()
        };
        let total: usize = self.plan.stays(self.wants()).iter().map(bytes).sum();
        format!("{}Total {} MB allocated\n", self.plan.describe(), total >> 20)
    }
}

/// Values of the variables in the order of `list_inputs`.
fn in_order(is_aux: &[bool], args: &[Array], aux: &[Array]) -> Vec<Array> {
    let (mut args, mut aux) = (args.iter(), aux.iter());
    is_aux.iter().filter_map(|&is_aux| if is_aux { aux.next() } else { args.next() }).cloned().collect()
}

/// Where each node lives: a variable where its value is, a call where its group is or else its first input.
fn places(plan: &Plan, values: &[Array], bound: &Binding) -> Vec<Device> {
    let mut places: Vec<Device> = Vec::with_capacity(plan.order.nodes.len());
    for (i, node) in plan.order.nodes.iter().enumerate() {
        let group = node.attr(attrs::GROUP);
        let of_group = group.and_then(|g| bound.groups.iter().find(|(name, _)| *name == g)).map(|(_, d)| *d);
        let of_input = node.inputs.first().map(|e| places[plan.order.place(&e.node)]);
        let value = plan.fact(values, i, Array::device);
        places.push(value.or(of_group).or(of_input).unwrap_or(bound.device));
    }
    places
}
