//! A graph on given shapes, forward and backward, as one list of calls on buffers: what the passes of the compiler rewrite.
//!
//! Arrays are contiguous, so a view is an offset and a shape: views are no calls here. A call writes whole buffers, each of
//! which is written by one call, before those that read it.

use crate::device::Device;
use crate::dtype::DType;
use crate::fused::{FUSED, Fused, Step};
use crate::ops::def::OpDef;
use crate::ops::params::Params;
use crate::shape::{Dims, show};
use crate::tensor::Tensor;
use smallvec::SmallVec;
use std::fmt::Write;

/// Shape, dtype and device of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Shape.
    pub dims: Dims,
    /// Dtype.
    pub dtype: DType,
    /// Device.
    pub device: Device,
}

impl Meta {
    /// That of a tensor.
    pub fn of(t: &Tensor) -> Meta {
        Meta { dims: t.dims().into(), dtype: t.dtype(), device: t.device() }
    }

    /// Whether a tensor has it.
    pub fn fits(&self, t: &Tensor) -> bool {
        self.dims.as_slice() == t.dims() && self.dtype == t.dtype() && self.device == t.device()
    }

    /// Number of elements.
    pub fn size(&self) -> usize {
        self.dims.iter().product()
    }

    /// Number of bytes.
    pub fn bytes(&self) -> usize {
        self.size() * self.dtype.size()
    }
}

/// Where the content of a buffer comes from.
#[derive(Clone)]
pub enum Origin {
    /// It is an input of the graph.
    Input(usize),
    /// It is the gradient of an output of the graph.
    Gradient(usize),
    /// It is always this.
    Constant(Tensor),
    /// A call writes it.
    Made,
}

/// Memory with a shape.
#[derive(Clone)]
pub struct Buffer {
    /// What it holds.
    pub meta: Meta,
    /// Where that comes from.
    pub origin: Origin,
}

/// Elements of a buffer, in a shape.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    /// The number of the buffer.
    pub buffer: usize,
    /// Of the first element, in bytes.
    pub offset: usize,
    /// Shape.
    pub dims: Dims,
    /// Dtype.
    pub dtype: DType,
}

/// When a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Before the first forward pass, and again when a parameter has changed.
    Setup,
    /// In the forward pass.
    Forward,
    /// In the backward pass.
    Backward,
}

/// A call.
#[derive(Clone)]
pub struct Call {
    /// The operator.
    pub op: &'static OpDef,
    /// Its parameters.
    pub params: Params,
    /// Whether it is made in training mode.
    pub training: bool,
    /// When it is made.
    pub phase: Phase,
    /// What it reads.
    pub ins: SmallVec<[Slot; 3]>,
    /// The buffers that it writes.
    pub outs: SmallVec<[usize; 1]>,
}

impl Call {
    /// Whether two such calls on the same inputs are the same, and one whose results nobody wants need not be made.
    pub fn is_pure(&self) -> bool {
        !self.op.has_states() && !(self.op.random)(&self.params) && !self.outs.is_empty()
    }
}

/// A graph.
#[derive(Clone, Default)]
pub struct Ir {
    /// All buffers.
    pub buffers: Vec<Buffer>,
    /// The calls in order, phase by phase.
    pub calls: Vec<Call>,
    /// The outputs.
    pub heads: Vec<Slot>,
    /// Gradients of the inputs, where there are.
    pub grads: Vec<Option<Slot>>,
    /// Names of the inputs.
    pub names: Vec<String>,
}

impl Ir {
    /// By buffer: whether a call changes it in place.
    pub fn changed(&self) -> Vec<bool> {
        let mut changed = vec![false; self.buffers.len()];
        for call in &self.calls {
            for slot in call.op.changed(&call.params, call.ins.len()).map(|i| &call.ins[i]) {
                changed[slot.buffer] = true;
            }
        }
        changed
    }

    /// What is wanted in the end.
    pub fn results(&self) -> impl Iterator<Item = &Slot> {
        self.heads.iter().chain(self.grads.iter().flatten())
    }

    /// The whole of a buffer.
    pub fn whole(&self, buffer: usize) -> Slot {
        let meta = &self.buffers[buffer].meta;
        Slot { buffer, offset: 0, dims: meta.dims.clone(), dtype: meta.dtype }
    }

    /// Whether a slot is the whole of its buffer, in its shape.
    pub fn is_whole(&self, slot: &Slot) -> bool {
        let meta = &self.buffers[slot.buffer].meta;
        slot.offset == 0 && slot.dims == meta.dims && slot.dtype == meta.dtype
    }

    /// A new buffer that a call will write.
    pub fn add(&mut self, meta: Meta) -> usize {
        self.buffers.push(Buffer { meta, origin: Origin::Made });
        self.buffers.len() - 1
    }

    /// The graph as text, one call a line.
    pub fn show(&self) -> String {
        let slot = |s: &Slot| {
            let name = self.name(s.buffer);
            if self.is_whole(s) {
                name
            } else {
                format!("{name}[{} {} at {}]", show(&s.dims), s.dtype, s.offset)
            }
        };
        let list = |slots: &[Slot]| slots.iter().map(slot).collect::<Vec<_>>().join(", ");
        let mut text = String::new();
        let mut phase = Phase::Forward;
        for call in &self.calls {
            if std::mem::replace(&mut phase, call.phase) != call.phase {
                let _ = writeln!(text, "  -- {:?}", call.phase);
            }
            let outs: Vec<String> =
                call.outs.iter().map(|&b| format!("{} {}", self.name(b), self.kind(b))).collect();
            let (op, ins) = (call.op, list(&call.ins));
            let _ = match std::ptr::eq(op, &FUSED) {
                true => writeln!(text, "  {} = fused({ins}) {{ {} }}", outs.join(", "), fused(&call.params)),
                false => writeln!(text, "  {} = {}({ins}{})", outs.join(", "), op.name, plain(call)),
            };
        }
        let _ = writeln!(text, "  return {}", list(&self.heads));
        for (i, g) in self.grads.iter().enumerate() {
            if let Some(g) = g {
                let _ = writeln!(text, "  gradient of {} = {}", self.names[i], slot(g));
            }
        }
        text
    }

    fn kind(&self, b: usize) -> String {
        let meta = &self.buffers[b].meta;
        format!("{} {}", show(&meta.dims), meta.dtype)
    }

    fn name(&self, b: usize) -> String {
        match &self.buffers[b].origin {
            Origin::Input(i) => self.names[*i].clone(),
            Origin::Gradient(i) => format!("gradient of output {i}"),
            Origin::Constant(t) if t.size() == 1 => format!("{}", t.to_vec_f64()[0]),
            Origin::Constant(t) => format!("constant {b} {} {}", show(t.dims()), t.dtype()),
            Origin::Made => format!("%{b}"),
        }
    }
}

/// Parameters as they would be written in a call.
fn plain(call: &Call) -> String {
    let texts = (call.op.params.specs)().into_iter().zip(call.params.texts());
    texts.filter(|(s, t)| s.default.as_ref() != Some(t)).map(|(s, t)| format!(", {}={t}", s.name)).collect()
}

/// The calls inside of a fused one.
fn fused(params: &Params) -> String {
    let one = |s: &Step| {
        let ins: Vec<String> = s.ins.iter().map(|i| format!("${i}")).collect();
        format!("${} = {}({})", s.out, s.op.name, ins.join(", "))
    };
    let steps: Vec<String> = params.get::<Fused>().steps().iter().map(one).collect();
    steps.join("; ")
}
