//! Views: tensors over the same elements. No copy, same version counter.

use super::Tensor;
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

    /// The same elements in the shape that MXNet's codes make; see [`reshape`].
    pub fn reshaped(&self, codes: &[i64], reverse: bool, exact: bool) -> Result<Tensor> {
        let dims: Dims = reshape(&self.dims, codes, reverse, exact)?;
        self.with_dims(&dims)
    }
}
