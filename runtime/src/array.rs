//! The public handle: a tensor and where it came from. Cloning gives a second handle on the same array: same memory,
//! same history, same gradient.

use crate::autograd::node::{Edge, GradReq, Kind, Node};
use crate::device::Device;
use crate::dtype::{DType, Elem};
use crate::error::Result;
use crate::rows::Rows;
use crate::shape::show;
use crate::tensor::Tensor;
use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An array that can be recorded.
///
/// ```
/// use keshi::{Array, autograd::mode::record, backward};
/// let x = Array::from_slice(&[1f32, 2.0, 3.0, 4.0], &[2, 2]).unwrap();
/// x.attach_grad(keshi::GradReq::Write).unwrap();
/// let y = record(|| &(&x * 2.0) * &x);
/// backward::backward(&[&y], &[], backward::Options::default()).unwrap();
/// assert_eq!(x.grad().unwrap().to_vec::<f32>(), [4.0, 8.0, 12.0, 16.0]);
/// ```
#[derive(Clone)]
pub struct Array(Arc<Inner>);

struct Inner {
    tensor: Tensor,
    edge: Mutex<Option<Edge>>,
}

impl From<Tensor> for Array {
    #[inline]
    fn from(tensor: Tensor) -> Array {
        Array::with_edge(tensor, None)
    }
}

impl Array {
    /// An array with a history.
    #[inline]
    pub fn with_edge(tensor: Tensor, edge: Option<Edge>) -> Array {
        Array(Arc::new(Inner { tensor, edge: Mutex::new(edge) }))
    }

    /// The tensor, where no other array is this one and no other tensor shares its memory.
    pub(crate) fn into_sole(self) -> std::result::Result<Tensor, Array> {
        if Arc::strong_count(self.0.tensor.storage()) > 1 {
            return Err(self);
        }
        Arc::try_unwrap(self.0).map(|inner| inner.tensor).map_err(Array)
    }

    /// Copies `data` into a new array of shape `dims` on `cpu(0)`.
    pub fn from_slice<T: Elem>(data: &[T], dims: &[usize]) -> Result<Array> {
        Tensor::from_slice(data, dims, Device::default()).map(Array::from)
    }

    /// An array of zeros.
    pub fn zeros(dims: &[usize], dtype: DType, device: Device) -> Result<Array> {
        Tensor::zeros(dims, dtype, device).map(Array::from)
    }

    /// An array of one value.
    pub fn full(dims: &[usize], value: f64, dtype: DType, device: Device) -> Result<Array> {
        let all = Tensor::empty(dims, dtype, device)?;
        crate::kernels::copy::fill(all.span(), value);
        Ok(Array::from(all))
    }

    /// The data.
    #[inline]
    pub fn tensor(&self) -> &Tensor {
        &self.0.tensor
    }

    /// Sizes of the axes.
    #[inline]
    pub fn dims(&self) -> &[usize] {
        self.0.tensor.dims()
    }

    /// Number of axes.
    #[inline]
    pub fn ndim(&self) -> usize {
        self.dims().len()
    }

    /// Number of elements.
    #[inline]
    pub fn size(&self) -> usize {
        self.0.tensor.size()
    }

    /// Type of the elements.
    #[inline]
    pub fn dtype(&self) -> DType {
        self.0.tensor.dtype()
    }

    /// Where it lives.
    #[inline]
    pub fn device(&self) -> Device {
        self.0.tensor.device()
    }

    /// All elements, converted to `T`.
    pub fn to_vec<T: Elem>(&self) -> Vec<T> {
        self.0.tensor.to_vec()
    }

    /// The value of an array of one element.
    pub fn item(&self) -> Result<f64> {
        self.0.tensor.item()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Edge>> {
        self.0.edge.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it came from: a recorded call, or itself when it is a variable.
    #[inline]
    pub fn edge(&self) -> Option<Edge> {
        self.lock().clone()
    }

    /// Whether it has a history or is a variable.
    #[inline]
    pub fn has_edge(&self) -> bool {
        self.lock().is_some()
    }

    /// Replaces the history.
    pub fn set_edge(&self, edge: Option<Edge>) {
        let old = std::mem::replace(&mut *self.lock(), edge);
        drop(old); // after the lock: a long history takes its time
    }

    /// The same memory without history.
    pub fn detach(&self) -> Array {
        Array::from(self.0.tensor.clone())
    }

    /// The same values and history, or the same variable, in memory of its own.
    pub fn renew(&self) -> Result<Array> {
        let copy = Tensor::empty(self.dims(), self.dtype(), self.device())?;
        copy.assign(self.tensor())?;
        let copy = Array::from(copy);
        copy.set_edge(self.edge());
        Ok(copy)
    }

    /// Makes this array a variable with a new gradient of zeros; its history is cut.
    pub fn attach_grad(&self, req: GradReq) -> Result<()> {
        let grad = Tensor::zeros(self.dims(), self.dtype(), self.device())?;
        self.set_edge(Some(Edge { node: Node::leaf(grad, req), output: 0 }));
        Ok(())
    }

    /// Makes this array a variable whose gradients go to `grad`; its history is cut. Shapes and dtypes must agree.
    pub fn attach_grad_to(&self, grad: &Array, req: GradReq) -> Result<()> {
        if grad.dims() != self.dims() || grad.dtype() != self.dtype() {
            bail!(
                Shape,
                "mark_variables: the gradient does not fit the variable, got {} {}, want {} {}",
                show(grad.dims()),
                grad.dtype(),
                show(self.dims()),
                self.dtype()
            );
        }
        self.set_edge(Some(Edge { node: Node::leaf(grad.tensor().clone(), req), output: 0 }));
        Ok(())
    }

    /// Makes this array a variable whose gradient is kept as the rows that a backward pass touches; its history is cut. An
    /// operator that can tell the rows apart (an embedding, a product with a sparse matrix) never makes the others.
    pub fn attach_grad_by_rows(&self, req: GradReq) {
        self.set_edge(Some(Edge { node: Node::leaf_by_rows(req), output: 0 }));
    }

    /// Whether this is a variable whose gradient is kept as rows, and which rows there are.
    pub fn grad_rows(&self) -> Option<Option<Rows>> {
        match &self.lock().as_ref()?.node.kind {
            Kind::Leaf(leaf) if leaf.by_rows() => Some(leaf.rows()),
            _ => None,
        }
    }

    /// Replaces the rows of the gradient; without effect where it is not kept so.
    pub fn set_grad_rows(&self, rows: Option<Rows>) {
        if let Some(e) = self.edge()
            && let Kind::Leaf(leaf) = &e.node.kind
        {
            leaf.set_rows(rows);
        }
    }

    /// The gradient, sharing memory with the buffer; `None` when this is no variable, or its gradient is kept as rows.
    pub fn grad(&self) -> Option<Array> {
        match &self.lock().as_ref()?.node.kind {
            Kind::Leaf(leaf) => leaf.grad().map(Array::from),
            Kind::Call(_) => None,
        }
    }

    /// Whether a backward pass has written the gradient since the flag was cleared.
    pub fn fresh_grad(&self) -> bool {
        matches!(self.edge(), Some(e) if matches!(&e.node.kind, Kind::Leaf(l) if l.fresh.load(Relaxed)))
    }

    /// Sets or clears that flag; without effect on an array that is no variable.
    pub fn set_fresh_grad(&self, fresh: bool) {
        if let Some(e) = self.edge()
            && let Kind::Leaf(leaf) = &e.node.kind
        {
            leaf.fresh.store(fresh, Relaxed);
        }
    }
}

/// Handles for the C ABI: one reference each, no further allocation.
impl Array {
    /// Gives the reference away as a pointer.
    #[inline]
    pub fn into_raw(self) -> *const () {
        Arc::into_raw(self.0).cast()
    }

    /// Takes back what [`Array::into_raw`] gave away.
    /// # Safety
    /// `raw` came from [`Array::into_raw`] and is not used again.
    #[inline]
    pub unsafe fn from_raw(raw: *const ()) -> Array {
        // SAFETY: as the caller promises.
        Array(unsafe { Arc::from_raw(raw.cast()) })
    }
}

impl fmt::Display for Array {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.tensor.fmt(f)
    }
}

impl fmt::Debug for Array {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
