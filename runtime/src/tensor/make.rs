//! Tensors from values and back.

use super::{Tensor, size_of_dims};
use crate::device::Device;
use crate::dtype::{DType, Elem};
use crate::error::Result;
use crate::shape::show;
use crate::storage::Storage;

impl Tensor {
    /// A tensor of zeros.
    pub fn zeros(dims: &[usize], dtype: DType, device: Device) -> Result<Tensor> {
        // All-zero bytes are 0 in every dtype.
        Tensor::over(Storage::zeros(size_of_dims(dims)? * dtype.size())?, dims, dtype, device)
    }

    /// A tensor of one value.
    pub fn full(dims: &[usize], value: f64, dtype: DType, device: Device) -> Result<Tensor> {
        let t = Tensor::empty(dims, dtype, device)?;
        // SAFETY: the elements are the tensor's own and new.
        with_dtype!(dtype, T => unsafe { t.span().slice_mut::<T>() }.fill(T::from_f64(value)));
        Ok(t)
    }

    /// A tensor that holds a copy of `data`. Errors when the count does not fit the shape.
    pub fn from_slice<T: Elem>(data: &[T], dims: &[usize], device: Device) -> Result<Tensor> {
        let t = Tensor::empty(dims, T::DTYPE, device)?;
        if data.len() != t.size {
            bail!(Shape, "{} values do not fill shape {}, want {}", data.len(), show(dims), t.size);
        }
        // SAFETY: the elements are the tensor's own and new.
        unsafe { t.span().slice_mut::<T>() }.copy_from_slice(data);
        Ok(t)
    }

    /// A tensor that holds a copy of these bytes. Errors when the count does not fit the shape.
    pub fn from_bytes(bytes: &[u8], dtype: DType, dims: &[usize], device: Device) -> Result<Tensor> {
        let t = Tensor::empty(dims, dtype, device)?;
        if bytes.len() != t.size * dtype.size() {
            bail!(Shape, "{} bytes do not fill {dtype} of shape {}", bytes.len(), show(dims));
        }
        // SAFETY: the tensor is new and has exactly this many bytes.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), t.span().bytes(), bytes.len()) };
        Ok(t)
    }

    /// The elements as bytes, to be read while nothing writes them.
    pub fn bytes(&self) -> &[u8] {
        self.storage.look();
        // SAFETY: the span's bytes are initialised elements; the module's contract: nobody writes what is read.
        unsafe { std::slice::from_raw_parts(self.span().bytes(), self.size * self.dtype.size()) }
    }

    /// Makes the elements those of another tensor of the same shape and dtype.
    pub fn assign(&self, from: &Tensor) -> Result<()> {
        if self.dims() != from.dims() || self.dtype != from.dtype {
            let (got, want) = (show(&from.dims), show(&self.dims));
            bail!(Shape, "the value does not fit, got {got} {}, want {want} {}", from.dtype, self.dtype);
        }
        let (from, to) = (from.span(), self.span());
        // SAFETY: same count and dtype; `copy` allows the two to overlap.
        unsafe { std::ptr::copy(from.bytes(), to.bytes(), to.len() * to.dtype().size()) };
        self.storage.bump();
        Ok(())
    }

    /// All elements as float64, in row-major order.
    pub fn to_vec_f64(&self) -> Vec<f64> {
        with_dtype!(self.dtype, T => self.as_slice::<T>().iter().map(|x| x.to_f64()).collect())
    }

    /// All elements as `T`, in row-major order, converted as [`Elem`] says.
    pub fn to_vec<T: Elem>(&self) -> Vec<T> {
        if T::DTYPE == self.dtype {
            return self.as_slice::<T>().to_vec();
        }
        match self.dtype {
            DType::I64 => self.as_slice::<i64>().iter().map(|&x| T::from_i64(x)).collect(),
            _ => self.to_vec_f64().into_iter().map(T::from_f64).collect(),
        }
    }

    /// The value of a tensor of one element.
    pub fn item(&self) -> Result<f64> {
        if self.size != 1 {
            bail!(Shape, "one element is wanted, got shape {}", show(&self.dims));
        }
        Ok(with_dtype!(self.dtype, T => self.as_slice::<T>()[0].to_f64()))
    }
}
