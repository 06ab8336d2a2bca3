//! Operators that look elements up by index, and those that write by index.

pub mod histogram;
pub mod mask;
pub mod nd;
pub mod one_hot;
pub mod pick;
pub mod ravel;
pub mod take;

use super::infer::Types;
use crate::error::Result;
use crate::tensor::Tensor;

/// The dtype of the output is that of input 0; indices may have any.
fn like_first(t: &mut Types<'_>) -> Result<()> {
    like(t, &[0])
}

/// The dtype of the output is that of these inputs; others may have any.
pub(super) fn like(t: &mut Types<'_>, of: &[usize]) -> Result<()> {
    let Some(d) = of.iter().find_map(|&i| t.ins[i]).or(t.outs[0]) else { return Ok(()) };
    for &i in of {
        if let Some(got) = t.ins[i]
            && got != d
        {
            bail!(Dtype, "dtypes must be the same, input {i} got {got}, want {d}");
        }
        t.ins[i] = Some(d);
    }
    t.outs[0] = Some(d);
    Ok(())
}

/// What is read while `out` is written: a copy where the two share memory.
fn apart(x: &Tensor, out: &Tensor) -> Result<Tensor> {
    if !x.span().overlaps(out.span()) {
        return Ok(x.clone());
    }
    let copy = Tensor::empty(x.dims(), x.dtype(), x.device())?;
    crate::kernels::copy::cast(x.span(), copy.span());
    Ok(copy)
}

/// Makes the output begin as a copy of `x`, unless it is `x`.
fn start(x: &Tensor, out: &Tensor) {
    if !x.span().same(out.span()) {
        crate::kernels::copy::cast(x.span(), out.span());
    }
}
