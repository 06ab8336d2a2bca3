//! Element-wise operators of two arrays: `broadcast_*` stretch axes of 1, the others want one shape.

use super::{run_zip, zip_kernel};
use crate::error::Result;
use crate::ops::def::{Keep, OpDef};
use crate::ops::vjp::{Grads, Vjp, grads};
use smallvec::smallvec;

zip_kernel!(Add: |_s, x, y| x + y, lanes64 |_s, x, y| x + y, |a, b| a + b, int |i, j| i.wrapping_add(j));
zip_kernel!(Sub: |_s, x, y| x - y, lanes64 |_s, x, y| x - y, |a, b| a - b, int |i, j| i.wrapping_sub(j));
zip_kernel!(Mul: |_s, x, y| x * y, lanes64 |_s, x, y| x * y, |a, b| a * b, int |i, j| i.wrapping_mul(j));

fn grad_add(d: &Vjp<'_>) -> Result<Grads> {
    Ok(smallvec![Some(d.grad().clone()), Some(d.grad().clone())])
}

fn grad_sub(d: &Vjp<'_>) -> Result<Grads> {
    grads(d, [&|d| d.grad().clone(), &|d| -d.grad()])
}

fn grad_mul(d: &Vjp<'_>) -> Result<Grads> {
    grads(d, [&|d| d.grad() * d.input(1), &|d| d.grad() * d.input(0)])
}

table! {
    BROADCAST_ADD = OpDef::broadcast("broadcast_add", run_zip::<Add>).aliases(&["broadcast_plus"])
        .doc("Sum of two arrays, `lhs + rhs`; axes of 1 are stretched.")
        .vjp(Keep::NOTHING, grad_add).samples(-2.0, 2.0);
    BROADCAST_SUB = OpDef::broadcast("broadcast_sub", run_zip::<Sub>).aliases(&["broadcast_minus"])
        .doc("Difference of two arrays, `lhs - rhs`; axes of 1 are stretched.")
        .vjp(Keep::NOTHING, grad_sub).samples(-2.0, 2.0);
    BROADCAST_MUL = OpDef::broadcast("broadcast_mul", run_zip::<Mul>)
        .doc("Product of two arrays, element by element, `lhs * rhs`; axes of 1 are stretched.")
        .vjp(Keep::INPUTS, grad_mul).samples(-2.0, 2.0);
    ELEMWISE_ADD = OpDef::zip("elemwise_add", run_zip::<Add>).aliases(&["_plus", "_add", "_Plus"])
        .doc("Sum of two arrays of one shape, `lhs + rhs`.")
        .vjp(Keep::NOTHING, grad_add).samples(-2.0, 2.0);
}
