//! Factorizations with orthogonal matrices.

use super::super::axes::named;
use super::super::def::{Keep, OpDef, Run};
use super::super::infer::Shapes;
use super::super::samples::{Case, Fill};
use super::super::vjp::Vjp;
use super::diagonal::scaled_identity;
use super::triangular::{mirrored, trsm};
use super::{each, matrix, narrow, squared, symmetric, t, types, wide};
use crate::array::Array;
use crate::dtype::Elem;
use crate::error::Result;
use crate::kernels::linalg::{Mat, eigen, lq};
use crate::ops::matrix::dot::gemm2;
use crate::ops::shape_ops::view::reshaped;
use crate::shape::partial::Partial;
use crate::tensor::Tensor;

/// Elements `from .. from + n`, to be written.
/// # Safety
/// Nobody else touches them meanwhile.
#[allow(clippy::mut_from_ref)]
unsafe fn part<T: Elem>(x: &Tensor, from: usize, n: usize) -> &mut [T] {
    // SAFETY: the caller's promise.
    unsafe { x.span().sub(from, n).slice_mut() }
}

// ---- A = L Q

fn infer_lq(s: &mut Shapes<'_>) -> Result<()> {
    if !s.knows_inputs() {
        named(s, "* m n > * m n, * m m")?;
    }
    s.want_partial(0, &s.outs[0].clone())?;
    let x = s.ins[0].clone();
    s.outs[0].merge(&x)?;
    let Some(x) = x.sizes() else { return Ok(()) };
    let [batch @ .., rows, cols] = x else { bail!(Shape, "matrices are wanted, got {}", s.ins[0]) };
    if *cols >= 0 && rows > cols {
        bail!(Shape, "a matrix has more rows than columns, got {}", s.ins[0]);
    }
    let l: Vec<i64> = batch.iter().copied().chain([*rows, *rows]).collect();
    s.outs[1].merge(&Partial::from_sizes(&l)).map(drop)
}

fn run_lq(r: &Run<'_>) -> Result<()> {
    let (m, n) = matrix(r.ins[0].dims())?;
    if m == 0 {
        return Ok(());
    }
    each(r.ins[0].size() / (m * n), 2 * m * m * n, |i| {
        with_real!(r.ins[0].dtype(), T => {
            let (mut q, mut l) = (wide(&r.ins[0].as_slice::<T>()[i * m * n..][..m * n]), vec![0.0; m * m]);
            // SAFETY: the vectors outlive the views; the outputs' matrices i are this call's alone.
            unsafe {
                lq(Mat::new(q.as_mut_ptr(), m, n), Mat::new(l.as_mut_ptr(), m, m));
                narrow(&q, part::<T>(r.outs[0], i * m * n, m * n));
                narrow(&l, part::<T>(r.outs[1], i * m * m, m * m));
            }
        });
        Ok(())
    })
}

/// `L⁻ᵀ (dQ + S Q)`, with S the mirrored `Lᵀ dL - dQ Qᵀ`.
fn grad_lq(d: &Vjp<'_>) -> Result<Array> {
    let (q, l) = (d.output(0), d.output(1));
    let dq = d.grad_or_zeros(0)?;
    let dl = d.grad_or_zeros(1)?;
    let m = gemm2(l, &dl, true, false, 1.0) - gemm2(&dq, q, false, true, 1.0);
    Ok(trsm(l, &(dq + gemm2(&mirrored(&m), q, false, false, 1.0)), true, false))
}

// ---- A = Uᵀ diag(λ) U

fn infer_eigen(s: &mut Shapes<'_>) -> Result<()> {
    if !s.knows_inputs() {
        named(s, "* n n > * n n, * n")?;
    }
    s.want_partial(0, &s.outs[0].clone())?;
    squared(s, 0)?;
    let x = s.ins[0].clone();
    s.outs[0].merge(&x)?;
    let Some(x) = x.sizes() else { return Ok(()) };
    s.outs[1].merge(&Partial::from_sizes(&x[..x.len() - 1])).map(drop)
}

fn run_eigen(r: &Run<'_>) -> Result<()> {
    let (n, _) = matrix(r.ins[0].dims())?;
    if n == 0 {
        return Ok(());
    }
    each(r.ins[0].size() / (n * n), 8 * n * n * n, |i| {
        with_real!(r.ins[0].dtype(), T => {
            let a = wide(&r.ins[0].as_slice::<T>()[i * n * n..][..n * n]);
            let mut u = vec![0.0; n * n];
            symmetric(&a, &mut u, n);
            // SAFETY: the vector outlives the view; the outputs' parts i are this call's alone.
            unsafe {
                let Some(values) = eigen(Mat::new(u.as_mut_ptr(), n, n)) else {
                    bail!(Argument, "matrix {i} has no eigenvalues: its elements are not finite");
                };
                narrow(&u, part::<T>(r.outs[0], i * n * n, n * n));
                narrow(&values, part::<T>(r.outs[1], i * n, n));
            }
        });
        Ok(())
    })
}

/// `Uᵀ (½ (M + Mᵀ) + diag(dλ)) U`, where M is `dU Uᵀ` divided by the differences of the eigenvalues, zeros on the diagonal.
fn grad_eigen(d: &Vjp<'_>) -> Result<Array> {
    let (u, values) = (d.output(0), d.output(1));
    let (mut column, mut row) = (values.dims().to_vec(), values.dims().to_vec());
    column.push(1);
    row.insert(row.len() - 1, 1);
    let one = scaled_identity(&values.ones_like());
    let differences = reshaped(values, &column) - reshaped(values, &row);
    let by = (differences + &one).reciprocal() - one;
    let m = gemm2(&d.grad_or_zeros(0)?, u, false, true, 0.5) * by;
    let inner = &m + t(&m) + scaled_identity(&d.grad_or_zeros(1)?);
    Ok(gemm2(&gemm2(u, &inner, true, false, 1.0), u, false, false, 1.0))
}

table! {
    GELQF = OpDef::new("_linalg_gelqf", &["A"], run_lq).aliases(&["linalg_gelqf"]).outputs(|_| 2, |_| 2)
        .shape(infer_lq).dtype(types)
        .doc("`A = L Q` for matrices with no more rows than columns: Q, whose rows are orthonormal, and the lower triangular L.")
        .vjp1(Keep::OUTPUTS, grad_lq)
        .cases(|d| {
            let (m, more, mut dims) = (d.size(1, 4), d.size(0, 3), d.shape(0, 2));
            dims.extend([m, m + more]);
            if more == 0 { Case::new().input(&dims, Fill::PositiveDefinite) } else { Case::new().real(&dims) }
        });
    SYEVD = OpDef::new("_linalg_syevd", &["A"], run_eigen).outputs(|_| 2, |_| 2)
        .shape(infer_eigen).dtype(types)
        .doc("`A = Uᵀ diag(λ) U` for symmetric matrices: U, whose rows are the eigenvectors, and the eigenvalues λ in ascending order. \
              Signs of eigenvectors are arbitrary; their gradient wants eigenvalues that differ.")
        .vjp1(Keep::OUTPUTS, grad_eigen)
        .cases(|d| {
            let (n, mut dims) = (d.size(1, 5), d.shape(0, 2));
            dims.extend([n, n]);
            Case::new().input(&dims, Fill::PositiveDefinite)
        });
}
