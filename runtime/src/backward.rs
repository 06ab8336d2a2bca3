//! Going back over the tape. Nodes are visited from the youngest to the oldest: by then all gradients of their outputs
//! have come in. No recursion; the work list holds only what is pending.

use crate::array::Array;
use crate::autograd::mode::Scope;
use crate::autograd::node::{Call, Edge, GradReq, Kept, Kind, Leaf, Node};
use crate::error::{Error, Result};
use crate::invoke::invoke;
use crate::kernels::copy;
use crate::ops::def::Gradient;
use crate::ops::elementwise::binary::ELEMWISE_ADD;
use crate::ops::elementwise::identity::{CAST, cast_to};
use crate::ops::params::Params;
use crate::ops::reduce;
use crate::ops::sparse;
use crate::ops::vjp::{Grads, Meta, Vjp};
use crate::rows::{self, Rows};
use crate::shape::show;
use crate::tensor::Tensor;
use crate::trace;
use crate::watch;
use smallvec::{SmallVec, smallvec};
use std::any::Any;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// How a backward pass is made.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Keep what the graph needs for another pass.
    pub retain_graph: bool,
    /// Record the pass itself, so that its results can be differentiated.
    pub create_graph: bool,
    /// The training mode during the pass.
    pub train_mode: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { retain_graph: false, create_graph: false, train_mode: true }
    }
}

/// A gradient that is still being summed.
struct Sum {
    grad: Array,
    /// Whether the array was made for this sum, so that more can be added in place.
    owned: bool,
}

/// Elements from which on the memory of a gradient that nobody else has is taken, and not its content copied.
const WORTH: usize = 1 << 10;

/// Sees a call of the tape with the gradients of its inputs.
pub type Watch<'a> = &'a mut dyn FnMut(&Arc<Node>, &Grads) -> Result<()>;

type Slots = SmallVec<[Option<Sum>; 1]>;
type Pending = BTreeMap<u64, (Arc<Node>, Slots)>;
/// Rows of gradients by the variables' sequence numbers.
type Pieces = BTreeMap<u64, Vec<Rows>>;

thread_local! {
    static IN_RULE: Cell<bool> = const { Cell::new(false) };
}

/// Unwinds with an error out of a gradient rule, where the pass catches it; outside of one it panics with the text.
pub(crate) fn raise<T>(r: Result<T>) -> T {
    match r {
        Ok(x) => x,
        Err(e) if IN_RULE.get() => resume_unwind(Box::new(e)),
        Err(e) => panic!("{e}"),
    }
}

/// Runs a rule, or whatever is written with calls that raise; what they raise becomes an error.
pub(crate) fn run_rule<T>(f: impl FnOnce() -> Result<T>) -> Result<T> {
    let before = IN_RULE.replace(true);
    let result = catch_unwind(AssertUnwindSafe(f));
    IN_RULE.set(before);
    result.unwrap_or_else(|payload| Err(caught(payload)))
}

/// The error that was unwound with.
fn caught(payload: Box<dyn Any + Send>) -> Error {
    match payload.downcast::<Error>() {
        Ok(e) => *e,
        Err(other) => resume_unwind(other),
    }
}

/// Differentiates `heads` and puts the gradients into the variables' buffers.
///
/// `head_grads` gives the gradient of each head, ones where it is `None` or when the slice is empty.
pub fn backward(heads: &[&Array], head_grads: &[Option<&Array>], options: Options) -> Result<()> {
    if !backward_watched(heads, head_grads, options, &mut |_, _| Ok(()))? {
        return Err(unreachable_head().within("backward"));
    }
    Ok(())
}

/// As [`backward`], but it is no error to reach no variable: the result says whether one was reached. `watch` sees each call
/// with the gradients of its inputs.
pub fn backward_watched(
    heads: &[&Array],
    head_grads: &[Option<&Array>],
    options: Options,
    watch: Watch<'_>,
) -> Result<bool> {
    let mut reached = false;
    let visit = |node: &Arc<Node>, slots: &mut Slots, pieces: &mut Pieces| {
        let Kind::Leaf(leaf) = &node.kind else { return Ok(Onward::Yes) };
        reached |= leaf.req != GradReq::Null;
        let whole = slots[0].take().map(|sum| sum.grad);
        if leaf.by_rows() {
            let mut pieces = pieces.remove(&node.seq).unwrap_or_default();
            pieces.extend(whole.map(|g| rows::filled(g.tensor())).transpose()?);
            deliver_rows(leaf, pieces)?;
        } else if let Some(g) = whole {
            deliver(leaf, g)?;
        }
        Ok(Onward::No)
    };
    pass(heads, head_grads, options, true, visit, watch).map_err(|e| e.within("backward"))?;
    Ok(reached)
}

/// Gradients of `heads` with respect to `vars`, as new arrays. Buffers of variables stay as they are.
pub fn grad(
    heads: &[&Array],
    head_grads: &[Option<&Array>],
    vars: &[&Array],
    options: Options,
) -> Result<Vec<Array>> {
    let missing = |(i, g): (usize, Option<Array>)| {
        g.ok_or_else(|| err!(Autograd, "variable {i} is not reached from the heads"))
    };
    grad_where_reached(heads, head_grads, vars, options)?.into_iter().enumerate().map(missing).collect()
}

/// As [`grad`], but a variable that the heads do not depend on gets `None` instead of an error.
pub fn grad_where_reached(
    heads: &[&Array],
    head_grads: &[Option<&Array>],
    vars: &[&Array],
    options: Options,
) -> Result<Vec<Option<Array>>> {
    let edges: Vec<Edge> = vars
        .iter()
        .enumerate()
        .map(|(i, v)| v.edge().ok_or_else(|| err!(Autograd, "variable {i} is not in a computational graph")))
        .collect::<Result<_>>()?;
    let mut found: Vec<Option<Array>> = vec![None; vars.len()];
    let visit = |node: &Arc<Node>, slots: &mut Slots, _: &mut Pieces| {
        for (e, f) in edges.iter().zip(&mut found) {
            if Arc::ptr_eq(&e.node, node) {
                let Some(sum) = &slots[e.output as usize] else { continue };
                // A gradient that was only passed on may be a head gradient of the caller's, or another variable's.
                *f =
                    Some(if sum.owned || options.create_graph { sum.grad.clone() } else { copy(&sum.grad)? });
            }
        }
        Ok(Onward::Yes)
    };
    pass(heads, head_grads, options, false, visit, &mut |_, _| Ok(())).map_err(|e| e.within("grad"))?;
    Ok(found)
}

/// Gradients of `heads` with respect to `vars` by the calls between them alone: what made the variables is not looked at. The
/// variables that the heads do not depend on get `None`.
pub(crate) fn grad_between(
    heads: &[&Array],
    head_grads: &[Option<&Array>],
    vars: &[&Array],
    options: Options,
) -> Result<Vec<Option<Array>>> {
    let edges: Vec<Option<Edge>> = vars.iter().map(|v| v.edge()).collect();
    let mut found: Vec<Option<Array>> = vec![None; vars.len()];
    let visit = |node: &Arc<Node>, slots: &mut Slots, _: &mut Pieces| {
        let mut is_var = false;
        for (e, f) in edges.iter().zip(&mut found) {
            if let Some(e) = e.as_ref().filter(|e| Arc::ptr_eq(&e.node, node)) {
                is_var = true;
                *f = slots[e.output as usize].as_ref().map(|sum| sum.grad.clone());
            }
        }
        Ok(if is_var { Onward::No } else { Onward::Yes })
    };
    pass(heads, head_grads, options, false, visit, &mut |_, _| Ok(()))?;
    Ok(found)
}

/// Whether a pass goes on from a node to its inputs.
enum Onward {
    Yes,
    No,
}

/// A copy with memory of its own.
fn copy(a: &Array) -> Result<Array> {
    let out = Tensor::empty(a.dims(), a.dtype(), a.device())?;
    copy::cast(a.tensor().span(), out.span());
    Ok(Array::from(out))
}

fn unreachable_head() -> Error {
    err!(
        Autograd,
        "Cannot differentiate node because it is not in a computational graph. You need to record the computation, from \
         arrays with a gradient attached; if you want to differentiate the same graph twice, pass retain_graph=True to backward"
    )
}

/// Visits every node that `heads` depend on; `visit` sees each with the finished gradients of its outputs. `by_rows` says that
/// variables which keep rows shall get rows, and nothing else, where the operator can tell them.
fn pass(
    heads: &[&Array],
    head_grads: &[Option<&Array>],
    options: Options,
    by_rows: bool,
    mut visit: impl FnMut(&Arc<Node>, &mut Slots, &mut Pieces) -> Result<Onward>,
    watch: Watch<'_>,
) -> Result<()> {
    if !head_grads.is_empty() && head_grads.len() != heads.len() {
        bail!(
            Argument,
            "heads and head_grads must be lists of the same length, got {} and {}",
            heads.len(),
            head_grads.len()
        );
    }
    let _scope = Scope::enter(options.create_graph, options.train_mode);
    let mut pending = Pending::new();
    for (i, head) in heads.iter().enumerate() {
        let edge = head.edge().ok_or_else(unreachable_head)?;
        let g = match head_grads.get(i).copied().flatten() {
            None => Array::full(head.dims(), 1.0, head.dtype(), head.device())?,
            Some(g) if g.dims() == head.dims() && g.dtype() == head.dtype() => g.clone(),
            Some(g) => bail!(
                Shape,
                "head gradient {i} does not fit its head, got {} {}, want {} {}",
                show(g.dims()),
                g.dtype(),
                show(head.dims()),
                head.dtype()
            ),
        };
        push(&mut pending, &edge, g, options.create_graph)?;
    }
    let mut pieces = Pieces::new();
    while let Some((_, (node, mut slots))) = pending.pop_last() {
        if let Onward::No = visit(&node, &mut slots, &mut pieces)? {
            continue;
        }
        let Kind::Call(call) = &node.kind else { continue };
        let _of = watch::any().then(|| watch::Gradient::of(call.op.name));
        let to_rows = if by_rows && !options.create_graph { wants_rows(call) } else { None };
        let (grads, rows) =
            step(&node, call, slots, to_rows.is_some(), options).map_err(|e| e.within(call.op.name))?;
        if let (Some(leaf), Some(rows)) = (to_rows, rows) {
            pending.entry(leaf.seq).or_insert_with(|| (leaf.clone(), smallvec![None]));
            pieces.entry(leaf.seq).or_default().push(rows);
        }
        watch(&node, &grads)?;
        for (i, (edge, g)) in call.edges.iter().zip(grads).enumerate() {
            let (Some(edge), Some(g)) = (edge, g) else { continue };
            let g = fitted(g, &call.in_metas[i])?;
            push(&mut pending, edge, g, options.create_graph)?;
        }
    }
    Ok(())
}

/// The variable that wants rows and can have them from this call.
fn wants_rows(call: &Call) -> Option<&Arc<Node>> {
    let (input, _) = call.op.rows?;
    let node = &call.edges[input].as_ref()?.node;
    matches!(&node.kind, Kind::Leaf(leaf) if leaf.by_rows()).then_some(node)
}

/// Adds a gradient to what output `edge` has got so far.
fn push(pending: &mut Pending, edge: &Edge, g: Array, create_graph: bool) -> Result<()> {
    let node = &edge.node;
    let (_, slots) = pending.entry(node.seq).or_insert_with(|| {
        let n = match &node.kind {
            Kind::Leaf(_) => 1,
            Kind::Call(c) => c.out_metas.len(),
        };
        (node.clone(), (0..n).map(|_| None).collect())
    });
    let slot = &mut slots[edge.output as usize];
    *slot = Some(match slot.take() {
        None => Sum { grad: g, owned: false },
        Some(s) if s.owned && !create_graph && !trace::is_on() => {
            invoke(&ELEMWISE_ADD, &[&s.grad, &g], &Params::NONE, &[&s.grad])?;
            s
        }
        Some(s) => {
            let mut out = invoke(&ELEMWISE_ADD, &[&s.grad, &g], &Params::NONE, &[])?;
            Sum { grad: out.remove(0), owned: true }
        }
    });
    Ok(())
}

/// The gradient in the shape and dtype of its input: summed over the axes that broadcasting stretched, and cast where the
/// operator computed in another dtype. Nowhere else is either undone.
fn fitted(g: Array, to: &Meta) -> Result<Array> {
    let g = if g.dims() == to.dims.as_slice() {
        g
    } else {
        invoke(&reduce::UNBROADCAST, &[&g], &reduce::unbroadcast_to(&to.dims), &[])?.remove(0)
    };
    if g.dtype() == to.dtype { Ok(g) } else { Ok(invoke(&CAST, &[&g], &cast_to(to.dtype), &[])?.remove(0)) }
}

/// Puts a finished gradient where the variable wants it.
fn deliver(leaf: &Leaf, g: Array) -> Result<()> {
    let Some(buffer) = leaf.grad() else { return Ok(()) };
    match leaf.req {
        GradReq::Null => {
            leaf.drop_grad();
            return Ok(());
        }
        GradReq::Write => {
            let (from, to) = (g.tensor().span(), buffer.span());
            if from.len() != to.len() || from.dtype() != to.dtype() {
                bail!(
                    Internal,
                    "a gradient of shape {} came for a variable of shape {}",
                    show(g.dims()),
                    show(buffer.dims())
                );
            }
            let whole = |t: &Tensor| t.offset() == 0 && t.storage().bytes() == t.size() * t.dtype().size();
            let g = match g.into_sole() {
                Ok(t) if t.size() >= WORTH && whole(&t) && whole(&buffer) => {
                    // SAFETY: the gradient is this pass's alone; callers do not touch the buffers of a pass while it runs.
                    if unsafe { buffer.storage().exchange(t.storage()) } {
                        leaf.fresh.store(true, Relaxed);
                        return Ok(());
                    }
                    Array::from(t)
                }
                Ok(t) => Array::from(t),
                Err(g) => g,
            };
            let from = g.tensor().span();
            if from.overlaps(to) {
                // SAFETY: same count and dtype; `copy` allows the two to overlap.
                unsafe { std::ptr::copy(from.bytes(), to.bytes(), to.len() * to.dtype().size()) };
            } else {
                copy::cast(from, to);
            }
            buffer.storage().bump();
        }
        GradReq::Add => {
            let sum = Array::from(buffer);
            let _off = Scope::enter(false, false);
            invoke(&ELEMWISE_ADD, &[&sum, &g.detach()], &Params::NONE, &[&sum])?;
        }
    }
    leaf.fresh.store(true, Relaxed);
    Ok(())
}

/// Puts finished rows where the variable wants them.
fn deliver_rows(leaf: &Leaf, mut pieces: Vec<Rows>) -> Result<()> {
    let _off = Scope::enter(false, false);
    match leaf.req {
        GradReq::Null => return Ok(()),
        GradReq::Write => {}
        GradReq::Add => pieces.extend(leaf.rows()),
    }
    if let Some(rows) = sparse::merged_rows(pieces)? {
        leaf.set_rows(Some(rows));
    }
    leaf.fresh.store(true, Relaxed);
    Ok(())
}

/// Gradients of a call's inputs from those of its outputs; with `by_rows` one of them as rows, and not as a whole.
fn step(
    node: &Arc<Node>,
    call: &Call,
    slots: Slots,
    by_rows: bool,
    options: Options,
) -> Result<(Grads, Option<Rows>)> {
    let freed = || {
        err!(
            Autograd,
            "this part of the graph has been freed by an earlier backward. {}",
            unreachable_head().text()
        )
    };
    let kept = if options.retain_graph || options.create_graph {
        None
    } else {
        Some(call.kept().take().ok_or_else(freed)?)
    };
    let guard;
    let kept: &Kept = match &kept {
        Some(k) => k,
        None => {
            guard = call.kept();
            guard.as_ref().ok_or_else(freed)?
        }
    };
    let (rule_all, rule_one) = match call.op.gradient {
        Gradient::Rule(_, f) => (Some(f), None),
        Gradient::Unary(_, f) => (None, Some(f)),
        Gradient::Zero(_) => return Ok((zeros(call, &slots)?, None)),
        Gradient::None(why) => bail!(Autograd, "Operator {} is non-differentiable: {why}", call.op.name),
    };
    let ins: SmallVec<[Option<Array>; 2]> = kept
        .ins
        .iter()
        .enumerate()
        .map(|(i, s)| {
            let Some(s) = s else { return Ok(None) };
            // A state is meant to change: its version says nothing.
            let t = if call.op.changes(&call.params, call.edges.len(), i) {
                s.state()
            } else {
                s.open(&call.op.input_name(i, &call.params))?
            };
            let edge = if options.create_graph { call.edges[i].clone() } else { None };
            Ok(Some(Array::with_edge(t.clone(), edge)))
        })
        .collect::<Result<_>>()?;
    let outs: SmallVec<[Option<Array>; 1]> = kept
        .outs
        .iter()
        .enumerate()
        .map(|(i, s)| {
            let Some(s) = s else { return Ok(None) };
            let t = s.open("its output")?;
            let edge = options.create_graph.then(|| Edge { node: node.clone(), output: i as u32 });
            Ok(Some(Array::with_edge(t.clone(), edge)))
        })
        .collect::<Result<_>>()?;
    let grads: SmallVec<[Option<Array>; 1]> = slots.into_iter().map(|s| s.map(|s| s.grad)).collect();
    let mut needs: SmallVec<[bool; 4]> = call.edges.iter().map(Option::is_some).collect();
    let rows_rule = call.op.rows.filter(|_| by_rows);
    if let Some((input, _)) = rows_rule {
        needs[input] = false;
    }
    let vjp = Vjp {
        params: &call.params,
        training: call.training,
        pass_training: options.train_mode,
        recorded: options.create_graph,
        grads: &grads,
        ins: &ins,
        outs: &outs,
        in_metas: &call.in_metas,
        out_metas: &call.out_metas,
        needs: &needs,
    };
    let grads = run_rule(|| match (rule_all, rule_one) {
        _ if !needs.contains(&true) => Ok(Grads::new()),
        (Some(f), _) => f(&vjp),
        (None, Some(f)) => Ok(smallvec![Some(f(&vjp)?)]),
        (None, None) => Ok(Grads::new()),
    })?;
    let rows = rows_rule.map(|(_, rule)| run_rule(|| rule(&vjp))).transpose()?;
    Ok((grads, rows))
}

fn zeros(call: &Call, slots: &Slots) -> Result<Grads> {
    let device = slots.iter().flatten().next().map(|s| s.grad.device()).unwrap_or_default();
    let zero = |(e, m): (&Option<Edge>, &Meta)| match e {
        Some(_) => Array::zeros(&m.dims, m.dtype, device).map(Some),
        None => Ok(None),
    };
    call.edges.iter().zip(&call.in_metas).map(zero).collect()
}
