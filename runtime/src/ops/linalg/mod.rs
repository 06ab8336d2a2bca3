//! Linear algebra on batches of matrices, which lie along the last two axes. float32 and float64, as MXNet has it.
//!
//! Gradients are those of Giles, "An extended collection of matrix derivative results for forward and reverse mode algorithmic
//! differentiation" (2008), and of Seeger et al., "Auto-Differentiating Linear Algebra" (2017), written with recorded operators. An
//! operator on symmetric matrices reads their lower triangle, but its gradient is symmetric, as MXNet's is.

/// Runs an expression with a type name bound to float32 or float64; other dtypes are refused.
macro_rules! with_real {
    ($d:expr, $t:ident => $body:expr) => {
        match $d {
            $crate::dtype::DType::F32 => {
                type $t = f32;
                $body
            }
            $crate::dtype::DType::F64 => {
                type $t = f64;
                $body
            }
            other => bail!(Dtype, "float32 or float64 is wanted, got {other}"),
        }
    };
}

pub mod diagonal;
pub mod factor;
pub mod inverse;
pub mod triangular;

use super::infer::{Shapes, Types, same_type};
use crate::array::Array;
use crate::dtype::{DType, Elem};
use crate::error::Result;
use crate::kernels::linalg::{Mat, Number};
use crate::kernels::par;
use crate::ops::samples::{Case, Draw, Fill};
use crate::ops::shape_ops::permute::transposed;
use crate::shape::partial::Partial;
use crate::shape::{Dims, show};
use crate::tensor::Tensor;
use std::sync::{Mutex, PoisonError};

/// All operands have one dtype, float32 or float64.
fn types(t: &mut Types<'_>) -> Result<()> {
    same_type(t)?;
    match t.ins[0] {
        None | Some(DType::F32 | DType::F64) => Ok(()),
        Some(d) => bail!(Dtype, "float32 or float64 is wanted, got {d}"),
    }
}

/// Input and output are square matrices of one shape.
fn square(s: &mut Shapes<'_>) -> Result<()> {
    s.want_partial(0, &s.outs[0].clone())?;
    squared(s, 0)?;
    let x = s.ins[0].clone();
    s.outs[0].merge(&x).map(drop)
}

/// Input `i` is made of square matrices.
fn squared(s: &mut Shapes<'_>, i: usize) -> Result<()> {
    let Some(x) = s.ins[i].sizes() else { return Ok(()) };
    let mut x = x.to_vec();
    let [.., rows, cols] = &mut x[..] else {
        bail!(Shape, "matrices are wanted, got {}", s.ins[i]);
    };
    (*rows, *cols) = (if *rows < 0 { *cols } else { *rows }, if *cols < 0 { *rows } else { *cols });
    if rows != cols {
        bail!(Shape, "square matrices are wanted, got {}", s.ins[i]);
    }
    s.want_partial(i, &Partial::from_sizes(&x))
}

/// One number for each matrix: the axes of the batch, or (1).
fn per_matrix(x: &[i64]) -> Partial {
    let batch = &x[..x.len() - 2];
    if batch.is_empty() { Partial::from_sizes(&[1]) } else { Partial::from_sizes(batch) }
}

/// Input 0 is made of square matrices, each output has one number for each of them.
fn numbers(s: &mut Shapes<'_>) -> Result<()> {
    squared(s, 0)?;
    let Some(shape) = s.ins[0].sizes().map(per_matrix) else { return Ok(()) };
    s.outs.iter_mut().try_for_each(|y| y.merge(&shape).map(drop))
}

/// Rows and columns of the matrices.
fn matrix(dims: &[usize]) -> Result<(usize, usize)> {
    match *dims {
        [.., rows, cols] => Ok((rows, cols)),
        _ => bail!(Shape, "matrices are wanted, got {}", show(dims)),
    }
}

/// Shape of that many numbers per matrix, as (…, 1, 1), so that they scale the matrices.
fn scaling(dims: &[usize]) -> Dims {
    let mut d: Dims = dims.into();
    let n = d.len();
    d[n - 2..].fill(1);
    d
}

/// The transposed matrices, recorded.
fn t(x: &Array) -> Array {
    let mut axes: Dims = (0..x.ndim()).collect();
    axes.swap(x.ndim() - 2, x.ndim() - 1);
    transposed(x, &axes)
}

/// The matrix number `i` of a tensor whose matrices are rows by cols.
/// # Safety
/// Nobody else touches that matrix while it is used.
unsafe fn mat<T: Number>(x: &Tensor, i: usize, rows: usize, cols: usize) -> Mat<T> {
    // SAFETY: the caller's promise; the span checks that the matrix lies inside.
    unsafe { Mat::new(x.span().sub(i * rows * cols, rows * cols).ptr(), rows, cols) }
}

/// Runs `f` for every matrix of a batch, on as many threads as there are, and gives the first error. `work` is about the number of
/// multiplications of one.
fn each(count: usize, work: usize, f: impl Fn(usize) -> Result<()> + Sync) -> Result<()> {
    const WORTH: usize = 64 * 1024;
    let first = Mutex::new(None);
    // A large matrix alone is spread by its products.
    let some = if count < 4 && work > WORTH * 16 { count } else { (WORTH / work.max(1)).max(1) };
    par::chunks(count, some, |_, r| {
        for i in r {
            if let Err(e) = f(i) {
                let mut slot = first.lock().unwrap_or_else(PoisonError::into_inner);
                if slot.as_ref().is_none_or(|(k, _)| i < *k) {
                    *slot = Some((i, e));
                }
                return;
            }
        }
    });
    match first.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some((_, e)) => Err(e),
        None => Ok(()),
    }
}

/// out = the lower triangle of x and its mirror image.
fn symmetric<T: Elem>(x: &[T], out: &mut [T], n: usize) {
    for i in 0..n {
        for j in 0..n {
            out[i * n + j] = x[i.max(j) * n + i.min(j)];
        }
    }
}

/// A number of elements as float64, row by row.
fn wide<T: Elem>(x: &[T]) -> Vec<f64> {
    x.iter().map(|v| v.to_f64()).collect()
}

fn narrow<T: Elem>(x: &[f64], out: &mut [T]) {
    out.iter_mut().zip(x).for_each(|(y, v)| *y = T::from_f64(*v));
}

/// A call on positive definite matrices.
fn definite(d: &mut Draw) -> Case {
    let (n, mut dims) = (d.size(1, 5), d.shape(0, 2));
    dims.extend([n, n]);
    Case::new().input(&dims, Fill::PositiveDefinite)
}
