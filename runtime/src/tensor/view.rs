//! Views: tensors over the same elements. No copy, same version counter.

use super::Tensor;
use crate::dtype::DType;
use crate::error::Result;
use crate::shape::reshape::reshape;
use crate::shape::{Dims, show, size_of_dims};

impl Tensor {
    /// Rows `begin..end` of the first axis.
    pub fn rows(&self, begin: usize, end: usize) -> Result<Tensor> {
        let Some(&n) = self.dims.first() else { bail!(Shape, "a tensor without axes has no rows") };
        if begin > end || end > n {
            bail!(Shape, "rows {begin} to {end} are out of range, got {n} rows");
        }
        let row = size_of_dims(&self.dims[1..])?;
        let mut dims = self.dims.clone();
        dims[0] = end - begin;
        let offset = self.offset + begin * row * self.dtype.size();
        Ok(Tensor { dims, offset, size: (end - begin) * row, ..self.clone() })
    }

    /// The same elements in shape `dims`, which may have fewer elements: then the first ones.
    pub fn with_dims(&self, dims: &[usize]) -> Result<Tensor> {
        let size = size_of_dims(dims)?;
        if size > self.size {
            bail!(Shape, "shape {} has more elements than {}", show(dims), show(&self.dims));
        }
        Ok(Tensor { dims: dims.into(), size, ..self.clone() })
    }

    /// Elements from byte `offset` of the storage on, of any dtype and shape. Errors when they do not lie inside it.
    pub fn window(&self, offset: usize, dims: &[usize], dtype: DType) -> Result<Tensor> {
        let size = size_of_dims(dims)?;
        if offset + size * dtype.size() > self.storage.bytes() || !offset.is_multiple_of(dtype.size()) {
            bail!(
                Internal,
                "{size} elements of {dtype} at {offset} are not in {} bytes",
                self.storage.bytes()
            );
        }
        Ok(Tensor { dims: dims.into(), offset, size, dtype, ..self.clone() })
    }

    /// Makes a flat tensor that of `n` elements from the storage's byte `offset` on, without touching its reference count.
    /// # Safety
    /// They lie inside the storage.
    #[inline]
    pub(crate) unsafe fn slide(&mut self, offset: usize, n: usize) {
        debug_assert!(offset + n * self.dtype.size() <= self.storage.bytes() && self.dims.len() == 1);
        (self.offset, self.size, self.dims[0]) = (offset, n, n);
    }

    /// The same elements in the shape that MXNet's codes make; see [`reshape`].
    pub fn reshaped(&self, codes: &[i64], reverse: bool, exact: bool) -> Result<Tensor> {
        let dims: Dims = reshape(&self.dims, codes, reverse, exact)?;
        self.with_dims(&dims)
    }
}
