//! A tensor: storage, shape, offset. Always contiguous and row-major, so a view of rows or another shape of the same
//! elements is a tensor too, and shares storage and version. It knows nothing of gradients.
//!
//! Writes go through shared references, as users of views expect (`$x->slice(0) .= 1` changes `$x`). Kernels get raw
//! spans; two threads that write one tensor at the same time race, as they do in every library of this kind: callers
//! synchronise. Within one call the runtime gives each thread its own part.

pub mod make;
pub mod show;
pub mod view;

use crate::device::Device;
use crate::dtype::{DType, Elem};
use crate::error::Result;
use crate::shape::{Dims, size_of_dims};
use crate::storage::{Span, Storage};
use std::sync::Arc;

/// Elements in memory with a shape. Cloning shares the elements.
#[derive(Clone)]
pub struct Tensor {
    storage: Arc<Storage>,
    dims: Dims,
    /// Of the first element, in bytes.
    offset: usize,
    size: usize,
    dtype: DType,
    device: Device,
}

impl Tensor {
    /// A tensor with unspecified content.
    pub fn empty(dims: &[usize], dtype: DType, device: Device) -> Result<Tensor> {
        let size = size_of_dims(dims)?;
        let storage = Storage::new(size * dtype.size())?;
        Ok(Tensor { storage, dims: Dims::from_slice(dims), offset: 0, size, dtype, device })
    }

    /// A tensor over the first elements of `storage`. Errors when they do not fit into it.
    pub fn over(storage: Arc<Storage>, dims: &[usize], dtype: DType, device: Device) -> Result<Tensor> {
        let size = size_of_dims(dims)?;
        if size * dtype.size() > storage.bytes() {
            bail!(Argument, "{} bytes are too few for {size} elements of {dtype}", storage.bytes());
        }
        Ok(Tensor { storage, dims: Dims::from_slice(dims), offset: 0, size, dtype, device })
    }

    /// A tensor that stands for one, while calls are traced: it has no values.
    pub fn phantom(dims: &[usize], dtype: DType, device: Device) -> Result<Tensor> {
        Tensor::over(Storage::phantom(size_of_dims(dims)? * dtype.size())?, dims, dtype, device)
    }

    /// Of the first element in its storage, in bytes.
    #[inline]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Sizes of the axes.
    #[inline]
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// Number of axes.
    #[inline]
    pub fn ndim(&self) -> usize {
        self.dims.len()
    }

    /// Number of elements.
    #[inline]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Type of the elements.
    #[inline]
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The device it was made for.
    #[inline]
    pub fn device(&self) -> Device {
        self.device
    }

    /// The memory below.
    #[inline]
    pub fn storage(&self) -> &Arc<Storage> {
        &self.storage
    }

    /// The elements, for kernels. The span must not outlive the tensor.
    #[inline]
    pub fn span(&self) -> Span {
        // SAFETY: every constructor checked that the elements lie inside the storage, which `self` keeps alive.
        unsafe { Span::new(self.storage.ptr().add(self.offset), self.size, self.dtype) }
    }

    /// The elements as a slice, to be read while nothing writes them. Panics when `T` is not the tensor's dtype.
    pub fn as_slice<T: Elem>(&self) -> &[T] {
        assert_eq!(T::DTYPE, self.dtype.stored(), "as_slice of another dtype");
        self.storage.look();
        // SAFETY: the module's contract: nobody writes this tensor while it is read.
        unsafe { self.span().slice() }
    }
}
