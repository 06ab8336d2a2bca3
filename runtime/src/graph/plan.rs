//! A graph as a list of calls: what an executor and a cached operator run.

use super::infer::{in_node, shapes, types};
use super::node::Symbol;
use super::order::Order;
use crate::array::Array;
use crate::device::Device;
use crate::dtype::DType;
use crate::error::Result;
use crate::invoke::invoke;
use crate::ops::def::{Epilogue, Gradient, OpDef};
use crate::ops::infer::{Shapes, Types};
use crate::ops::params::Params;
use crate::shape::partial::Partial;
use crate::tensor::Tensor;
use smallvec::SmallVec;
use std::sync::Arc;

/// One call.
#[derive(Clone)]
struct Step {
    op: &'static OpDef,
    params: Params,
    /// Number of the node.
    node: usize,
    /// Where the inputs are.
    ins: SmallVec<[usize; 4]>,
    /// Where the outputs go, one after the other.
    out: usize,
    /// What nothing uses after this call.
    free: SmallVec<[usize; 2]>,
}

/// The calls of a graph in order. Each output of each node has a place.
pub struct Plan {
    /// The nodes.
    pub order: Arc<Order>,
    steps: Vec<Step>,
    /// Places of the variables, in the order of `list_inputs`.
    inputs: Vec<usize>,
    /// Places of the outputs of the symbol.
    pub heads: Vec<usize>,
    /// See [`Plan::is_open`].
    open: bool,
}

/// Sees each output of each call, by the number of the node and its own, as soon as it is there.
pub type Watch<'a> = &'a mut dyn FnMut(usize, usize, &Array) -> Result<()>;

impl Plan {
    /// The calls that the outputs of `symbol` need.
    pub fn new(symbol: &Symbol) -> Plan {
        let order = Order::new(symbol);
        let heads: Vec<usize> = symbol.heads.iter().map(|h| order.number(h)).collect();
        let (mut steps, mut inputs) = (Vec::new(), Vec::new());
        for (node, place) in order.nodes.iter().enumerate() {
            match place.op() {
                None => inputs.push(order.first[node]),
                Some(op) => steps.push(Step {
                    op,
                    params: place.params(),
                    node,
                    ins: place.inputs.iter().map(|e| order.number(e)).collect(),
                    out: order.first[node],
                    free: SmallVec::new(),
                }),
            }
        }
        // From the end: the first user met is the last one.
        let mut used = vec![false; order.num_entries()];
        heads.iter().for_each(|&h| used[h] = true);
        for step in steps.iter_mut().rev() {
            let outs = step.out..order.first[step.node + 1];
            let places = step.ins.iter().copied().chain(outs);
            step.free = places.filter(|&p| !std::mem::replace(&mut used[p], true)).collect();
        }
        let mut plan = Plan { order: Arc::new(order), steps, inputs, heads, open: false };
        plan.open = plan.is_open();
        plan
    }

    /// The same results with rectifiers after the maxima of windows that alone read them, where there are such: fewer elements pass through
    /// them, there and back. (The gradient at a NaN is then that of the window.)
    pub fn rearranged(&self) -> Option<Plan> {
        let mut steps = self.steps.clone();
        let mut moved = false;
        for first in 0..steps.len() {
            let out = steps[first].out;
            let mut readers = (first + 1..steps.len()).filter(|&i| steps[i].ins.contains(&out));
            let (Some(then), None) = (readers.next(), readers.next()) else { continue };
            let (a, b) = (&steps[first], &steps[then]);
            let alone = |s: &Step| s.ins.len() == 1 && self.order.first[s.node + 1] == s.out + 1;
            let rectifies = (a.op.epilogue)(&a.params) == Some(Epilogue::Relu);
            if rectifies && (b.op.picks)(&b.params) && alone(a) && alone(b) && !self.heads.contains(&out) {
                let of_first = (steps[first].op, steps[first].params.clone());
                let of_then = (steps[then].op, steps[then].params.clone());
                ((steps[first].op, steps[first].params), (steps[then].op, steps[then].params)) =
                    (of_then, of_first);
                moved = true;
            }
        }
        let Plan { order, inputs, heads, open, .. } = self;
        moved.then(|| Plan {
            order: order.clone(),
            steps,
            inputs: inputs.clone(),
            heads: heads.clone(),
            open: *open,
        })
    }

    /// Number of variables.
    pub fn num_inputs(&self) -> usize {
        self.inputs.len()
    }

    /// Names of the variables.
    pub fn input_names(&self) -> Vec<&str> {
        let nodes = self.order.nodes.iter().filter(|n| n.is_variable());
        nodes.map(|n| n.name.as_str()).collect()
    }

    /// What `of` says of the value of the variable that is node `i`.
    pub(crate) fn fact<T>(&self, values: &[Array], i: usize, of: impl Fn(&Array) -> T) -> Option<T> {
        let at = self.inputs.binary_search(&self.order.first[i]).ok()?;
        values.get(at).map(of)
    }

    /// Whether the result of some call depends on how it is used: it makes something from nothing, and its parameters leave
    /// shape or dtype open.
    fn is_open(&self) -> bool {
        self.sources().any(|step| {
            let (mut shapes, mut types) = ([Partial::UNKNOWN], [None]);
            let params = &step.params;
            let shape = step.op.infer_shape(&mut Shapes { params, ins: &mut [], outs: &mut shapes });
            let dtype = step.op.infer_type(&mut Types { params, ins: &mut [], outs: &mut types });
            shape.is_err() || dtype.is_err() || !shapes[0].is_known() || types[0].is_none()
        })
    }

    /// Calls that make one array from nothing.
    fn sources(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|s| s.ins.is_empty() && self.order.first[s.node + 1] == s.out + 1)
    }

    /// Makes the arrays that calls without inputs write into, where their shape is known; `given[place]` gets them.
    pub fn make_sources(
        &self,
        shapes: &[Partial],
        types: &[Option<DType>],
        device: impl Fn(usize) -> Device,
        given: &mut [Option<Array>],
    ) -> Result<()> {
        for step in self.sources() {
            if let Some(dims) = shapes[step.out].known().filter(|_| given[step.out].is_none()) {
                let dtype = types[step.out].unwrap_or_default();
                given[step.out] = Some(Array::zeros(&dims, dtype, device(step.node))?);
            }
        }
        Ok(())
    }

    /// Gives calls that keep something ([`OpDef::of_call`]) the parameters which they have as long as the graph is bound.
    pub fn settle(&mut self, shapes: &[Partial], types: &[Option<DType>], devices: &[Device]) -> Result<()> {
        for step in &mut self.steps {
            let Some(of_call) = step.op.of_call else { continue };
            let phantom = |&p: &usize| {
                let dims = shapes[p].known()?;
                Some(Tensor::phantom(&dims, types[p].unwrap_or_default(), devices[step.node]))
            };
            let Some(ins) = step.ins.iter().map(phantom).collect::<Option<Vec<Result<Tensor>>>>() else {
                continue;
            };
            let ins: Vec<Tensor> = ins.into_iter().collect::<Result<_>>()?;
            let refs: Vec<&Tensor> = ins.iter().collect();
            step.params =
                of_call(&step.params, &refs).map_err(|e| in_node(&self.order.nodes[step.node], e))?;
        }
        Ok(())
    }

    /// Number of calls.
    pub fn num_calls(&self) -> usize {
        self.steps.len()
    }

    /// Runs all calls, as [`Plan::run`] does, after inferring the shapes and dtypes of calls that leave them open.
    pub fn run_whole(&self, values: &[Array], watch: Option<Watch<'_>>) -> Result<Vec<Array>> {
        let mut sources = Vec::new();
        if self.open {
            let shapes = shapes(&self.order, |i| self.fact(values, i, |a| Partial::from(a.dims())))?;
            let types = types(&self.order, |i| self.fact(values, i, Array::dtype))?;
            let device = values.first().map(Array::device).unwrap_or_default();
            sources.resize(self.order.num_entries(), None);
            self.make_sources(&shapes, &types, |_| device, &mut sources)?;
        }
        self.run(values, &sources, watch)
    }

    /// Runs all calls. `values` are those of the variables, in the order of `list_inputs`; a call writes into `given[place]`
    /// where there is an array. What no later call needs is dropped at once.
    pub fn run(
        &self,
        values: &[Array],
        given: &[Option<Array>],
        mut watch: Option<Watch<'_>>,
    ) -> Result<Vec<Array>> {
        let mut at: Vec<Option<Array>> = vec![None; self.order.num_entries()];
        for (&place, value) in self.inputs.iter().zip(values) {
            at[place] = Some(value.clone());
        }
        let missing = |place: usize| err!(Internal, "the value of output {place} of the graph is not there");
        for step in &self.steps {
            let node = &self.order.nodes[step.node];
            let outs = {
                let input = |&p: &usize| at[p].as_ref().ok_or_else(|| missing(p));
                let ins: SmallVec<[&Array; 4]> = step.ins.iter().map(input).collect::<Result<_>>()?;
                let end = self.order.first[step.node + 1];
                let into = given.get(step.out..end).unwrap_or_default().iter().map_while(Option::as_ref);
                let into: SmallVec<[&Array; 2]> = into.collect();
                invoke(step.op, &ins, &step.params, &into).map_err(|e| in_node(node, e))?
            };
            for (i, out) in outs.into_iter().enumerate() {
                if let Some(watch) = &mut watch {
                    watch(step.node, i, &out)?;
                }
                at[step.out + i] = Some(out);
            }
            for &p in &step.free {
                at[p] = None;
            }
        }
        self.heads.iter().map(|&p| at[p].clone().ok_or_else(|| missing(p))).collect()
    }

    /// The calls on the way back from the outputs to the variables that `wants` a gradient, by number of their nodes.
    fn way_back(&self, wants: impl Fn(usize) -> bool) -> Vec<&Step> {
        let order = &self.order;
        let mut forth: Vec<bool> = (0..order.nodes.len()).map(wants).collect();
        for step in &self.steps {
            let passes = !matches!(step.op.gradient, Gradient::Zero(_));
            forth[step.node] = passes && step.ins.iter().any(|&p| forth[order.node_of(p)]);
        }
        let mut back = vec![false; order.nodes.len()];
        self.heads.iter().for_each(|&p| back[order.node_of(p)] = true);
        let mut way = Vec::new();
        for step in self.steps.iter().rev().filter(|s| forth[s.node]) {
            if back[step.node] {
                step.ins.iter().for_each(|&p| back[order.node_of(p)] = true);
                way.push(step);
            }
        }
        way
    }

    /// Refuses a graph that cannot be gone back through to the variables that `wants` a gradient.
    pub fn check_way_back(&self, wants: impl Fn(usize) -> bool) -> Result<()> {
        match self.way_back(wants).iter().find_map(|s| match s.op.gradient {
            Gradient::None(reason) => Some((s.op.name, reason)),
            _ => None,
        }) {
            Some((name, reason)) => bail!(Autograd, "Operator {name} is non-differentiable: {reason}"),
            None => Ok(()),
        }
    }

    /// Places of the results that stay when a forward pass is over: the outputs, and what calls on the way back keep.
    pub fn stays(&self, wants: impl Fn(usize) -> bool) -> Vec<usize> {
        let mut places = self.heads.clone();
        for step in self.way_back(wants) {
            if let Gradient::Rule(keep, _) | Gradient::Unary(keep, _) = step.op.gradient {
                let outs = step.out..self.order.first[step.node + 1];
                places.extend(
                    step.ins.iter().enumerate().filter(|(i, _)| keep.keeps_input(*i)).map(|(_, &p)| p),
                );
                places.extend(outs.enumerate().filter(|(i, _)| keep.keeps_output(*i)).map(|(_, p)| p));
            }
        }
        places.retain(|&p| !self.order.nodes[self.order.node_of(p)].is_variable());
        places.sort_unstable();
        places.dedup();
        places
    }

    /// The calls, one a line.
    pub fn describe(&self) -> String {
        let names = |places: &[usize]| {
            let name = |&p: &usize| {
                let node = self.order.node_of(p);
                self.order.nodes[node].output_name(p - self.order.first[node])
            };
            places.iter().map(name).collect::<Vec<_>>().join(", ")
        };
        let mut text = format!("inputs: {}\noutputs: {}\n", names(&self.inputs), names(&self.heads));
        for step in &self.steps {
            let node = &self.order.nodes[step.node];
            text += &format!("{} = {}({})\n", node.name, step.op.name, names(&step.ins));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops;

    #[test]
    fn a_rectifier_goes_behind_the_maxima_that_alone_read_it() {
        let call = |op: &str, attrs: &[(&str, &str)], x: &Symbol| {
            Symbol::call(ops::find(op).unwrap(), op, attrs, &[], &[x]).unwrap()
        };
        let x = Symbol::variable("x", &[]).unwrap();
        let relu = call("relu", &[], &x);
        let names = |attrs: &[(&str, &str)], of: &Symbol| {
            let plan = Plan::new(&call("Pooling", &[&[("kernel", "(2, 2)")], attrs].concat(), of));
            plan.rearranged().map(|p| p.steps.iter().map(|s| s.op.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&[], &relu), Some(vec!["Pooling", "relu"]));
        assert_eq!(names(&[("pad", "(1, 1)")], &relu), Some(vec!["Pooling", "relu"]));
        // Sums, windows that may hold nothing, another function.
        assert_eq!(names(&[("pool_type", "avg")], &relu), None);
        assert_eq!(names(&[("pad", "(2, 2)")], &relu), None);
        assert_eq!(names(&[("pooling_convention", "full")], &relu), None);
        assert_eq!(names(&[], &call("tanh", &[], &x)), None);
        // Somebody else reads it.
        let pool = call("Pooling", &[("kernel", "(2, 2)")], &relu);
        assert!(Plan::new(&Symbol::group(&[&pool, &relu])).rearranged().is_none());
    }
}
