//! What can be known of a graph before it runs: shapes and dtypes, from the inputs on and from the outputs back, until
//! nothing more is learnt.

use super::attrs;
use super::node::{Node, Symbol};
use super::order::Order;
use super::sampled;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::ops::def::OpDef;
use crate::ops::infer::{Shapes, Types};
use crate::ops::params::Params;
use crate::shape::partial::Partial;
use std::collections::VecDeque;

/// What is known of the variables and outputs of a symbol, in the order of its lists.
pub struct Inferred<T> {
    /// Of the arguments.
    pub args: Vec<T>,
    /// Of the outputs.
    pub outs: Vec<T>,
    /// Of the auxiliary states.
    pub aux: Vec<T>,
}

impl<T> Inferred<T> {
    /// Arguments, outputs, auxiliary states.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.args.iter().chain(&self.outs).chain(&self.aux)
    }

    fn pick(symbol: &Symbol, order: &Order, all: &[T]) -> Inferred<T>
    where
        T: Clone,
    {
        let (args, aux) = order.variables();
        let of = |places: Vec<usize>| places.iter().map(|&i| all[order.first[i]].clone()).collect();
        let outs = symbol.heads.iter().map(|h| all[order.number(h)].clone()).collect();
        Inferred { args: of(args), outs, aux: of(aux) }
    }
}

/// A shape in which 0 and negative sizes are unknown; without axes all of it is.
pub fn partial(sizes: &[i64]) -> Partial {
    if sizes.is_empty() {
        return Partial::UNKNOWN;
    }
    let known: Vec<i64> = sizes.iter().map(|&d| if d <= 0 { -1 } else { d }).collect();
    Partial::from_sizes(&known)
}

impl Symbol {
    /// Shapes of everything, as far as they follow from those of some variables and from the shapes that variables have as
    /// attributes. `values` belong to the variables called `names` or, when there are no names, to the arguments in order.
    /// Errors name the node.
    pub fn infer_shape(&self, names: &[&str], values: &[Partial]) -> Result<Inferred<Partial>> {
        let order = Order::new(self);
        let all = shapes(&order, |i| by_name(&order, names, values, i))?;
        Ok(Inferred::pick(self, &order, &all))
    }

    /// Dtypes of everything, as [`Symbol::infer_shape`].
    pub fn infer_type(&self, names: &[&str], values: &[DType]) -> Result<Inferred<Option<DType>>> {
        let order = Order::new(self);
        let all = types(&order, |i| by_name(&order, names, values, i))?;
        Ok(Inferred::pick(self, &order, &all))
    }
}

/// What was given for the variable that is node `i`.
fn by_name<T: Clone>(order: &Order, names: &[&str], values: &[T], i: usize) -> Option<T> {
    let at = if names.is_empty() {
        order.variables().0.iter().position(|&arg| arg == i)
    } else {
        names.iter().position(|name| *name == order.nodes[i].name)
    };
    at.and_then(|at| values.get(at)).cloned()
}

/// Shapes of all outputs of all nodes; `given` tells of a variable by the number of its node.
pub(crate) fn shapes(order: &Order, given: impl Fn(usize) -> Option<Partial>) -> Result<Vec<Partial>> {
    let start = |i: usize| {
        if let Some(shape) = given(i) {
            return Ok(shape);
        }
        let node = &order.nodes[i];
        let Some(text) = node.attr(attrs::SHAPE) else { return Ok(Partial::UNKNOWN) };
        let sizes = attrs::sizes(&text).ok_or_else(|| err!(Param, "{}: {text} is not a shape", node.name))?;
        Ok(partial(&sizes))
    };
    fixpoint(order, start, |op, params, ins, outs| {
        op.infer_shape(&mut Shapes { params, ins, outs })?;
        sampled::infer(op, params, ins, outs)
    })
}

/// Dtypes of all outputs of all nodes; `given` as for [`shapes`].
pub(crate) fn types(order: &Order, given: impl Fn(usize) -> Option<DType>) -> Result<Vec<Option<DType>>> {
    let start = |i: usize| {
        if let Some(dtype) = given(i) {
            return Ok(Some(dtype));
        }
        let node = &order.nodes[i];
        let id =
            node.attr(attrs::DTYPE).and_then(|text| text.trim().parse::<i32>().ok()).filter(|id| *id != -1);
        id.map(DType::from_id).transpose().map_err(|e| e.within(&node.name))
    };
    fixpoint(order, start, |op, params, ins, outs| op.infer_type(&mut Types { params, ins, outs }))
}

/// Knowledge that can grow.
trait Known: Clone + Default {
    /// Adds what `other` knows; says whether anything was learnt.
    fn learn(&mut self, other: &Self) -> Result<bool>;
}

impl Known for Partial {
    fn learn(&mut self, other: &Partial) -> Result<bool> {
        self.merge(other)
    }
}

impl Known for Option<DType> {
    fn learn(&mut self, other: &Option<DType>) -> Result<bool> {
        match (*self, *other) {
            (_, None) => Ok(false),
            (None, _) => {
                *self = *other;
                Ok(true)
            }
            (Some(a), Some(b)) if a == b => Ok(false),
            (Some(a), Some(b)) => bail!(Dtype, "dtypes must be the same, got {b}, want {a}"),
        }
    }
}

/// Runs the rules of all calls, and those of the neighbours of whatever became known, until nothing changes. `start` says
/// what is known of a variable.
fn fixpoint<T: Known>(
    order: &Order,
    start: impl Fn(usize) -> Result<T>,
    rule: impl Fn(&'static OpDef, &Params, &mut [T], &mut [T]) -> Result<()>,
) -> Result<Vec<T>> {
    let mut known = vec![T::default(); order.num_entries()];
    // Who is interested in an output: its node and its users.
    let mut users: Vec<Vec<usize>> = vec![Vec::new(); order.num_entries()];
    for (i, node) in order.nodes.iter().enumerate() {
        if node.is_variable() {
            known[order.first[i]] = start(i)?;
        } else {
            (order.first[i]..order.first[i + 1]).for_each(|e| users[e].push(i));
        }
        node.inputs.iter().for_each(|e| users[order.number(e)].push(i));
    }
    let mut queue: VecDeque<usize> = (0..order.nodes.len()).collect();
    let mut queued = vec![true; order.nodes.len()];
    while let Some(i) = queue.pop_front() {
        queued[i] = false;
        let node = &order.nodes[i];
        let Some(op) = node.op() else { continue };
        let numbers: Vec<usize> = node.inputs.iter().map(|e| order.number(e)).collect();
        let mut ins: Vec<T> = numbers.iter().map(|&e| known[e].clone()).collect();
        let mut outs: Vec<T> = known[order.first[i]..order.first[i + 1]].to_vec();
        rule(op, &node.params(), &mut ins, &mut outs).map_err(|e| in_node(node, e))?;
        for (e, new) in numbers.into_iter().zip(ins).chain((order.first[i]..).zip(outs)) {
            if !known[e].learn(&new).map_err(|e| in_node(node, e))? {
                continue;
            }
            for &user in &users[e] {
                // The node itself has said what it can, unless it uses this output twice.
                let again = user != i || users[e].iter().filter(|&&u| u == i).count() > 1;
                if again && !std::mem::replace(&mut queued[user], true) {
                    queue.push_back(user);
                }
            }
        }
    }
    Ok(known)
}

pub(crate) fn in_node(node: &Node, e: Error) -> Error {
    Error::new(e.kind(), format!("Error in operator {}: {}", node.name, e.text()))
}
