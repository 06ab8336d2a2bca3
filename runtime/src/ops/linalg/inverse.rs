//! Inverses and determinants.

use super::super::def::{Keep, OpDef, Run};
use super::super::vjp::Vjp;
use super::{definite, each, mat, matrix, numbers, scaling, square, t, types};
use crate::array::Array;
use crate::error::Result;
use crate::fluent::call;
use crate::kernels::linalg::{Mat, Number, determinant, inverse};
use crate::ops::matrix::dot::gemm2;
use crate::ops::params::Params;
use crate::ops::shape_ops::view::reshaped;
use crate::tensor::Tensor;

/// Singular matrices are refused, or give zeros.
fn run_inverse(r: &Run<'_>, refuse: bool) -> Result<()> {
    fn all<T: Number>(a: &Tensor, b: &Tensor, refuse: bool) -> Result<()> {
        let (n, _) = matrix(a.dims())?;
        each(a.size() / (n * n).max(1), n * n * n, |i| {
            let mut copy = a.as_slice::<T>()[i * n * n..][..n * n].to_vec();
            // SAFETY: the copy, and matrix i, which only this call writes.
            let done = unsafe { inverse(Mat::new(copy.as_mut_ptr(), n, n), mat::<T>(b, i, n, n)) };
            if refuse && !done {
                bail!(Argument, "matrix {i} is singular");
            }
            Ok(())
        })
    }
    if r.outs[0].size() == 0 {
        return Ok(());
    }
    with_real!(r.ins[0].dtype(), T => all::<T>(r.ins[0], r.outs[0], refuse))
}

/// `-Bᵀ G Bᵀ`.
fn grad_inverse(d: &Vjp<'_>) -> Result<Array> {
    let b = d.out();
    Ok(gemm2(&gemm2(b, d.grad(), true, false, -1.0), b, false, true, 1.0))
}

/// What becomes of sign and logarithm of each determinant.
fn run_determinant(r: &Run<'_>, put: fn(&Run<'_>, usize, f64, f64) -> Result<()>) -> Result<()> {
    let (n, _) = matrix(r.ins[0].dims())?;
    each(r.outs[0].size(), n * n * n / 3, |i| {
        let (sign, log) = with_real!(r.ins[0].dtype(), T => {
            let mut copy = r.ins[0].as_slice::<T>()[i * n * n..][..n * n].to_vec();
            // SAFETY: the copy outlives the view.
            determinant(unsafe { Mat::new(copy.as_mut_ptr(), n, n) })
        });
        put(r, i, sign, log)
    })
}

fn put(out: &Tensor, i: usize, x: f64) -> Result<()> {
    // SAFETY: element i, which only the call for matrix i writes.
    with_real!(out.dtype(), T => unsafe { *out.span().ptr::<T>().add(i) = x as T });
    Ok(())
}

/// The transposed inverses, scaled by numbers; nothing for singular matrices.
fn cofactors(d: &Vjp<'_>, by: &Array) -> Array {
    let a = d.input(0);
    let b = call(&INVERSE_OR_ZERO, &[a], &Params::NONE);
    reshaped(by, &scaling(a.dims())) * t(&b)
}

table! {
    INVERSE = OpDef::new("_linalg_inverse", &["A"], |r| run_inverse(r, true)).aliases(&["linalg_inverse"])
        .shape(square).dtype(types)
        .doc("The inverse of each matrix. Singular matrices are refused.")
        .vjp1(Keep::OUTPUTS, grad_inverse).cases(definite);
    INVERSE_OR_ZERO = OpDef::new("_ks_inverse_or_zero", &["A"], |r| run_inverse(r, false)).shape(square).dtype(types)
        .doc("The inverse of each matrix, zeros for a singular one.")
        .vjp1(Keep::OUTPUTS, grad_inverse).cases(definite);
    DET = OpDef::new("_linalg_det", &["A"], |r| run_determinant(r, |r, i, sign, log| put(r.outs[0], i, sign * log.exp())))
        .aliases(&["linalg_det"]).shape(numbers).dtype(types)
        .doc("The determinant of each matrix. That of a singular one gets no gradient.")
        .vjp1(Keep::ALL, |d| Ok(cofactors(d, &(d.grad() * d.out()))))
        .cases(definite);
    SLOGDET = OpDef::new("_linalg_slogdet", &["A"], |r| run_determinant(r, |r, i, sign, log| {
            put(r.outs[0], i, sign)?;
            put(r.outs[1], i, log)
        }))
        .aliases(&["linalg_slogdet"]).outputs(|_| 2, |_| 2).shape(numbers).dtype(types)
        .doc("Sign of the determinant of each matrix and logarithm of its magnitude: 0 and -inf for a singular one, which gets no gradient.")
        .vjp1(Keep::INPUTS, |d| Ok(cofactors(d, &d.grad_or_zeros(1)?)))
        .cases(definite);
}
