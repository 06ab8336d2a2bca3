//! Some rows of an array, and which they are: gradients that are kept so, and what sparse arrays are made with.

use crate::error::Result;
use crate::kernels::index::whole;
use crate::kernels::sparse;
use crate::shape::Dims;
use crate::tensor::Tensor;

/// An array of which only some rows are there; the others are zero.
#[derive(Clone)]
pub struct Rows {
    /// Which rows, int64. Ascending and each once in a finished gradient, in any order in what a rule gives.
    pub indices: Tensor,
    /// The rows.
    pub data: Tensor,
}

/// The numbers in an array of any dtype as whole ones; fractions are cut off.
pub fn numbers(t: &Tensor) -> Vec<i64> {
    let mut out = vec![0; t.size()];
    whole(t.span(), 0, &mut out);
    out
}

/// Numbers as an array of one axis, where `like` lives.
pub fn array(numbers: &[i64], like: &Tensor) -> Result<Tensor> {
    Tensor::from_slice(numbers, &[numbers.len()], like.device())
}

/// The distinct numbers in an array, ascending, and for each number which of them it is.
pub fn distinct(values: &Tensor) -> Result<(Tensor, Tensor)> {
    let (found, places) = sparse::distinct(&numbers(values));
    Ok((array(&found, values)?, array(&places, values)?))
}

/// The rows of an array that are not 0; it has an axis.
pub fn filled(whole: &Tensor) -> Result<Rows> {
    let n = whole.dims()[1..].iter().product();
    let found = sparse::filled(whole.span(), n);
    let mut dims: Dims = whole.dims().into();
    dims[0] = found.len();
    let data = Tensor::empty(&dims, whole.dtype(), whole.device())?;
    let all: Vec<i64> = (0..whole.dims()[0] as i64).collect();
    sparse::read(&all, &found, n, whole.span(), data.span());
    Ok(Rows { indices: array(&found, whole)?, data })
}
