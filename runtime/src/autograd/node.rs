//! Nodes of the tape. A node holds what its gradient rule keeps and the edges to where its inputs came from; arrays
//! hold an edge to the node that made them. So the graph dies with its last output.

use crate::error::Result;
use crate::ops::def::{Gradient, OpDef};
use crate::ops::params::Params;
use crate::ops::vjp::Meta;
use crate::rows::Rows;
use crate::shape::Dims;
use crate::tensor::Tensor;
use smallvec::SmallVec;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where an array came from: output `output` of `node`.
#[derive(Clone)]
pub struct Edge {
    /// The node.
    pub node: Arc<Node>,
    /// Which of its outputs.
    pub output: u32,
}

/// What is done with a gradient that reaches a variable. The numbers are MXNet's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum GradReq {
    /// It is thrown away.
    Null = 0,
    /// It replaces the buffer's content.
    Write = 1,
    /// It is added to the buffer.
    Add = 3,
}

impl GradReq {
    /// From MXNet's number.
    pub fn from_id(id: i32) -> Result<GradReq> {
        Ok(match id {
            0 => GradReq::Null,
            1 => GradReq::Write,
            3 => GradReq::Add,
            _ => bail!(Param, "unknown grad_req, got {id}, want 0 (null), 1 (write) or 3 (add)"),
        })
    }
}

/// A value kept for the gradient rule, with the version it had.
pub struct Saved {
    tensor: Tensor,
    version: Option<u64>,
}

impl Saved {
    /// Keeps `tensor` (its data, not its history).
    pub fn new(tensor: &Tensor) -> Saved {
        Saved { tensor: tensor.clone(), version: Some(tensor.storage().version()) }
    }

    /// Keeps `tensor`, whatever becomes of its values.
    pub fn unchecked(tensor: &Tensor) -> Saved {
        Saved { tensor: tensor.clone(), version: None }
    }

    /// The value as it is now: of an input that the operator itself changes.
    pub fn state(&self) -> &Tensor {
        &self.tensor
    }

    /// The value, if it is still what it was.
    pub fn open(&self, what: &str) -> Result<&Tensor> {
        let now = self.tensor.storage().version();
        if let Some(version) = self.version {
            check_version(what, now, version)?;
        }
        Ok(&self.tensor)
    }
}

/// Refuses a value that was changed since it had version `want`.
pub fn check_version(what: &str, now: u64, want: u64) -> Result<()> {
    if now != want {
        bail!(
            Autograd,
            "{what} is needed for the gradient but was changed in place, got version {now}, want {want}"
        );
    }
    Ok(())
}

/// A variable: an array that wants a gradient.
pub struct Leaf {
    /// The buffer that gradients go to; `None` once a null request has been passed.
    grad: Mutex<Option<Tensor>>,
    /// Instead of the buffer, where only the rows that a pass touches are kept: what the last ones left.
    rows: Option<Mutex<Option<Rows>>>,
    /// What is done with a gradient.
    pub req: GradReq,
    /// Whether a backward pass has written the buffer since the flag was last cleared.
    pub fresh: AtomicBool,
}

impl Leaf {
    /// The gradient buffer.
    pub fn grad(&self) -> Option<Tensor> {
        lock(&self.grad).clone()
    }

    /// Whether the gradient is kept as rows.
    pub fn by_rows(&self) -> bool {
        self.rows.is_some()
    }

    /// The rows of the gradient; `None` before there are any.
    pub fn rows(&self) -> Option<Rows> {
        self.rows.as_ref().and_then(|r| lock(r).clone())
    }

    /// Replaces the rows, where the gradient is kept so.
    pub fn set_rows(&self, rows: Option<Rows>) {
        if let Some(r) = &self.rows {
            *lock(r) = rows;
        }
    }

    /// Forgets the buffer.
    pub fn drop_grad(&self) {
        *lock(&self.grad) = None;
    }
}

/// What an operator's node keeps for its gradient.
#[derive(Default)]
pub struct Kept {
    /// By input.
    pub ins: SmallVec<[Option<Saved>; 2]>,
    /// By output.
    pub outs: SmallVec<[Option<Saved>; 1]>,
}

/// A recorded call.
pub struct Call {
    /// The operator.
    pub op: &'static OpDef,
    /// Its parameters.
    pub params: Params,
    /// Whether it was made in training mode.
    pub training: bool,
    /// Where the inputs came from; `None` for an input that needs no gradient.
    pub edges: SmallVec<[Option<Edge>; 2]>,
    /// Shapes and dtypes of the inputs.
    pub in_metas: SmallVec<[Meta; 2]>,
    /// Shapes and dtypes of the outputs.
    pub out_metas: SmallVec<[Meta; 1]>,
    /// What the rule keeps; `None` once a backward pass has freed it.
    kept: Mutex<Option<Kept>>,
}

impl Call {
    /// Access to what is kept.
    pub fn kept(&self) -> MutexGuard<'_, Option<Kept>> {
        lock(&self.kept)
    }
}

/// The two kinds of node.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all nodes are calls, and a box would be one more allocation for each"
)]
pub enum Kind {
    /// A variable.
    Leaf(Leaf),
    /// A recorded call.
    Call(Call),
}

/// A node of the tape. `seq` grows with time: a node's inputs always have smaller ones.
pub struct Node {
    /// When it was made.
    pub seq: u64,
    /// What it is.
    pub kind: Kind,
}

static SEQ: AtomicU64 = AtomicU64::new(1);

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

fn meta(t: &Tensor) -> Meta {
    Meta { dims: Dims::from_slice(t.dims()), dtype: t.dtype() }
}

impl Node {
    /// A variable with its gradient buffer.
    pub fn leaf(grad: Tensor, req: GradReq) -> Arc<Node> {
        Node::variable(Leaf { grad: Mutex::new(Some(grad)), rows: None, req, fresh: AtomicBool::new(false) })
    }

    /// A variable whose gradient is kept as rows.
    pub fn leaf_by_rows(req: GradReq) -> Arc<Node> {
        let rows = Some(Mutex::new(None));
        Node::variable(Leaf { grad: Mutex::new(None), rows, req, fresh: AtomicBool::new(false) })
    }

    fn variable(leaf: Leaf) -> Arc<Node> {
        Arc::new(Node { seq: SEQ.fetch_add(1, Relaxed), kind: Kind::Leaf(leaf) })
    }

    /// A recorded call.
    pub fn call(
        op: &'static OpDef,
        params: &Params,
        training: bool,
        edges: SmallVec<[Option<Edge>; 2]>,
        ins: &[&Tensor],
        outs: &[&Tensor],
    ) -> Arc<Node> {
        let keep = match op.gradient {
            Gradient::Rule(keep, _) | Gradient::Unary(keep, _) => keep,
            Gradient::Zero(_) | Gradient::None(_) => crate::ops::def::Keep::NOTHING,
        };
        let kept = Kept {
            ins: ins.iter().enumerate().map(|(i, t)| keep.keeps_input(i).then(|| Saved::new(t))).collect(),
            outs: outs.iter().enumerate().map(|(i, t)| keep.keeps_output(i).then(|| Saved::new(t))).collect(),
        };
        Node::keeping(op, params, training, edges, ins, outs, kept)
    }

    /// A recorded call that keeps what the caller says.
    pub fn keeping(
        op: &'static OpDef,
        params: &Params,
        training: bool,
        edges: SmallVec<[Option<Edge>; 2]>,
        ins: &[&Tensor],
        outs: &[&Tensor],
        kept: Kept,
    ) -> Arc<Node> {
        let call = Call {
            op,
            params: params.clone(),
            training,
            edges,
            in_metas: ins.iter().map(|t| meta(t)).collect(),
            out_metas: outs.iter().map(|t| meta(t)).collect(),
            kept: Mutex::new(Some(kept)),
        };
        Arc::new(Node { seq: SEQ.fetch_add(1, Relaxed), kind: Kind::Call(call) })
    }
}

impl Drop for Node {
    /// A loop, not a recursion: a chain of a million calls must not overflow the stack.
    fn drop(&mut self) {
        let Kind::Call(call) = &mut self.kind else { return };
        let mut stack: SmallVec<[Arc<Node>; 2]> = call.edges.drain(..).flatten().map(|e| e.node).collect();
        // Parameters may hold a function of the caller's, and that arrays with a history: ours is on the stack by now.
        drop(std::mem::take(&mut call.params));
        while let Some(node) = stack.pop() {
            if let Some(mut node) = Arc::into_inner(node)
                && let Kind::Call(call) = &mut node.kind
            {
                stack.extend(call.edges.drain(..).flatten().map(|e| e.node));
            }
        }
    }
}
