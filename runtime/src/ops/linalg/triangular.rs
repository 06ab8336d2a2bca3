//! Cholesky's factorization and products and equations with triangular matrices.

use super::super::axes::named;
use super::super::def::{Keep, OpDef, Run};
use super::super::infer::Shapes;
use super::super::params::Params;
use super::super::samples::{Case, Draw, Fill};
use super::super::vjp::{Grads, Vjp};
use super::diagonal::{diagonal_of, scaled_identity, triangle};
use super::{definite, each, mat, matrix, numbers, square, squared, symmetric, t, types};
use crate::array::Array;
use crate::dtype::Elem;
use crate::error::Result;
use crate::fluent::call;
use crate::kernels::linalg::{Number, cholesky, multiply, solve};
use crate::ops::matrix::dot::gemm2;
use crate::ops::matrix::{batch_product, float_type};
use crate::ops::shape_ops::view::reshaped;
use crate::shape::partial::Partial;
use crate::tensor::Tensor;
use smallvec::smallvec;

params! {
    /// A product or an equation with a triangular matrix.
    pub struct Triangular {
        transpose: bool = false, "whether A is transposed";
        rightside: bool = false, "whether A stands on the right";
        lower: bool = true, "whether A is lower triangular; its other triangle is not read";
        alpha: f64 = 1.0, "factor";
    }
}

params! {
    /// What `syrk` takes.
    pub struct Syrk {
        transpose: bool = false, "whether the product is Aᵀ A";
        alpha: f64 = 1.0, "factor";
    }
}

// ---- Cholesky

fn run_potrf(r: &Run<'_>) -> Result<()> {
    fn all<T: Number>(a: &Tensor, l: &Tensor) -> Result<()> {
        let (n, _) = matrix(a.dims())?;
        each(a.size() / (n * n).max(1), n * n * n / 3, |i| {
            // SAFETY: matrix i, which only this call writes.
            let (from, to) = unsafe {
                (a.span().sub(i * n * n, n * n).slice::<T>(), l.span().sub(i * n * n, n * n).slice_mut::<T>())
            };
            symmetric(from, to, n);
            // SAFETY: as above.
            cholesky(unsafe { mat::<T>(l, i, n, n) }).map_err(|k| {
                err!(
                    Argument,
                    "matrix {i} is not positive definite, its leading part of size {} is not",
                    k + 1
                )
            })
        })
    }
    if r.outs[0].size() == 0 {
        Ok(())
    } else {
        with_real!(r.ins[0].dtype(), T => all::<T>(r.ins[0], r.outs[0]))
    }
}

/// The lower triangle of m, and its mirror image above.
pub fn mirrored(m: &Array) -> Array {
    let low = triangle(m);
    &low + t(&low) - scaled_identity(&diagonal_of(m))
}

/// `½ L⁻ᵀ S L⁻¹`, with S the mirrored `Lᵀ G`.
fn grad_potrf(d: &Vjp<'_>) -> Result<Array> {
    let l = d.out();
    let s = mirrored(&gemm2(l, d.grad(), true, false, 0.5));
    Ok(trsm(l, &trsm(l, &s, true, false), false, true))
}

fn run_potri(r: &Run<'_>) -> Result<()> {
    fn all<T: Number>(a: &Tensor, b: &Tensor) -> Result<()> {
        let (n, _) = matrix(a.dims())?;
        each(a.size() / (n * n).max(1), n * n * n, |i| {
            // SAFETY: matrix i; only b is written, and only by this call.
            let (l, to) = unsafe { (mat::<T>(a, i, n, n), b.span().sub(i * n * n, n * n).slice_mut::<T>()) };
            // SAFETY: as above.
            let from = unsafe { a.span().sub(i * n * n, n * n).slice::<T>() };
            if let Some(k) = (0..n).find(|k| from[k * n + k] == T::default()) {
                bail!(Argument, "matrix {i} is singular, element {k} of its diagonal is 0");
            }
            to.fill(T::default());
            (0..n).for_each(|k| to[k * n + k] = T::from_f64(1.0));
            // SAFETY: as above.
            let x = unsafe { mat::<T>(b, i, n, n) };
            solve(l, true, false, x);
            solve(l.t(), false, false, x);
            Ok(())
        })
    }
    if r.outs[0].size() == 0 {
        Ok(())
    } else {
        with_real!(r.ins[0].dtype(), T => all::<T>(r.ins[0], r.outs[0]))
    }
}

/// `-tril(B (G + Gᵀ) B L)`.
fn grad_potri(d: &Vjp<'_>) -> Result<Array> {
    let (b, g) = (d.out(), d.grad());
    let s = gemm2(b, &(g + t(g)), false, false, -1.0);
    Ok(triangle(&gemm2(&s, &gemm2(b, &triangle(d.input(0)), false, false, 1.0), false, false, 1.0)))
}

// ---- products and equations

fn infer_triangular(s: &mut Shapes<'_>) -> Result<()> {
    let right = s.params.get::<Triangular>().rightside;
    if !s.knows_inputs() {
        return named(s, if right { "* n n, * m n > * m n" } else { "* n n, * n m > * n m" });
    }
    squared(s, 0)?;
    let b = s.ins[1].clone();
    s.outs[0].merge(&b)?;
    // The matrices of A have the size of the side that they stand on.
    if let Some(b) = b.sizes() {
        let [batch @ .., rows, cols] = b else { bail!(Shape, "matrices are wanted, got {}", s.ins[1]) };
        let n = if right { *cols } else { *rows };
        let a: Vec<i64> = batch.iter().copied().chain([n, n]).collect();
        s.want_partial(0, &Partial::from_sizes(&a))?;
    }
    Ok(())
}

fn run_triangular(r: &Run<'_>, equation: bool) -> Result<()> {
    fn all<T: Number>(p: &Triangular, a: &Tensor, b: &Tensor, out: &Tensor, equation: bool) -> Result<()> {
        let ((n, _), (rows, cols)) = (matrix(a.dims())?, matrix(b.dims())?);
        each(b.size() / (rows * cols).max(1), n * rows * cols, |i| {
            // SAFETY: matrix i of each; only the output is written, and only by this call.
            unsafe {
                let size = rows * cols;
                let (from, to) =
                    (b.span().sub(i * size, size).ptr::<T>(), out.span().sub(i * size, size).ptr::<T>());
                let alpha = T::from_f64(p.alpha);
                for k in 0..size {
                    *to.add(k) = alpha * *from.add(k);
                }
                // On the right: the transposed equation.
                let flip = p.transpose != p.rightside;
                let (a, x) =
                    (mat::<T>(a, i, n, n).t_if(flip), mat::<T>(out, i, rows, cols).t_if(p.rightside));
                let lower = p.lower != flip;
                if equation { solve(a, lower, false, x) } else { multiply(a, lower, x) }
            }
            Ok(())
        })
    }
    with_real!(r.ins[0].dtype(), T => all::<T>(r.p(), r.ins[0], r.ins[1], r.outs[0], equation))
}

/// X with `op(L) X = B`, or `X op(L) = B`, for gradient rules.
pub fn trsm(l: &Array, b: &Array, transpose: bool, rightside: bool) -> Array {
    call(&TRSM, &[l, b], &Params::new(Triangular { transpose, rightside, lower: true, alpha: 1.0 }))
}

/// The part of `m` that A is read of.
fn part(p: &Triangular, m: &Array) -> Array {
    if p.lower { triangle(m) } else { t(&triangle(&t(m))) }
}

fn grad_trmm(d: &Vjp<'_>) -> Result<Grads> {
    let (p, g, b) = (d.p::<Triangular>(), d.grad(), d.input(1));
    let da = || {
        let m = match (p.rightside, p.transpose) {
            (false, false) => gemm2(g, b, false, true, p.alpha),
            (false, true) => gemm2(b, g, false, true, p.alpha),
            (true, false) => gemm2(b, g, true, false, p.alpha),
            (true, true) => gemm2(g, b, true, false, p.alpha),
        };
        part(p, &m)
    };
    let back = Triangular { transpose: !p.transpose, ..p.clone() };
    Ok(smallvec![
        d.needs(0).then(da),
        d.needs(1).then(|| call(&TRMM, &[d.input(0), g], &Params::new(back.clone()))),
    ])
}

fn grad_trsm(d: &Vjp<'_>) -> Result<Grads> {
    let (p, g, x) = (d.p::<Triangular>(), d.grad(), d.out());
    let back = |alpha: f64| {
        let back = Triangular { transpose: !p.transpose, alpha, ..p.clone() };
        call(&TRSM, &[d.input(0), g], &Params::new(back))
    };
    let da = || {
        let y = back(1.0);
        let m = match (p.rightside, p.transpose) {
            (false, false) => gemm2(&y, x, false, true, -1.0),
            (false, true) => gemm2(x, &y, false, true, -1.0),
            (true, false) => gemm2(x, &y, true, false, -1.0),
            (true, true) => gemm2(&y, x, true, false, -1.0),
        };
        part(p, &m)
    };
    Ok(smallvec![d.needs(0).then(da), d.needs(1).then(|| back(p.alpha))])
}

fn case(d: &mut Draw) -> Case {
    let (n, m, right, batch) = (d.size(1, 5), d.size(1, 4), d.flip(), d.shape(0, 2));
    let dims =
        |rows: usize, cols: usize| -> Vec<usize> { batch.iter().copied().chain([rows, cols]).collect() };
    let (rows, cols) = if right { (m, n) } else { (n, m) };
    Case::new()
        .input(&dims(n, n), Fill::PositiveDefinite)
        .real(&dims(rows, cols))
        .param("rightside", right)
        .param("transpose", d.flip())
        .param("lower", d.flip())
        .param("alpha", d.real(0.5, 2.0))
}

// ---- the square of a matrix, and the logarithm of a determinant

fn infer_syrk(s: &mut Shapes<'_>) -> Result<()> {
    let transpose = s.params.get::<Syrk>().transpose;
    if !s.knows_inputs() {
        return named(s, if transpose { "* _ n > * n n" } else { "* n _ > * n n" });
    }
    let Some(x) = s.ins[0].sizes() else { return Ok(()) };
    let [batch @ .., rows, cols] = x else { bail!(Shape, "matrices are wanted, got {}", s.ins[0]) };
    let n = if transpose { *cols } else { *rows };
    let out: Vec<i64> = batch.iter().copied().chain([n, n]).collect();
    s.outs[0].merge(&Partial::from_sizes(&out)).map(drop)
}

fn run_syrk(r: &Run<'_>) -> Result<()> {
    let (p, a) = (r.p::<Syrk>(), r.ins[0]);
    let axis = a.ndim() - 2;
    batch_product(a.dims(), a.dims(), axis, p.transpose, !p.transpose, p.alpha)?
        .0
        .compute(a, a, 0.0, r.outs[0])
}

fn grad_syrk(d: &Vjp<'_>) -> Result<Array> {
    let (p, a) = (d.p::<Syrk>(), d.input(0));
    let s = d.grad() + t(d.grad());
    Ok(if p.transpose { gemm2(a, &s, false, false, p.alpha) } else { gemm2(&s, a, false, false, p.alpha) })
}

fn run_sumlogdiag(r: &Run<'_>) -> Result<()> {
    let (n, _) = matrix(r.ins[0].dims())?;
    with_real!(r.ins[0].dtype(), T => {
        let a = r.ins[0].as_slice::<T>();
        // SAFETY: the output is this call's alone.
        let out = unsafe { r.outs[0].span().slice_mut::<T>() };
        for (i, y) in out.iter_mut().enumerate() {
            let log = |k: usize| a[i * n * n + k * (n + 1)].to_f64().ln();
            *y = T::from_f64((0..n).map(log).sum::<f64>());
        }
    });
    Ok(())
}

fn grad_sumlogdiag(d: &Vjp<'_>) -> Result<Array> {
    let x = diagonal_of(d.input(0));
    let mut dims = x.dims().to_vec();
    *dims.last_mut().expect("a diagonal has an axis") = 1;
    Ok(scaled_identity(&(reshaped(d.grad(), &dims) / x)))
}

table! {
    POTRF = OpDef::new("_linalg_potrf", &["A"], run_potrf).aliases(&["linalg_potrf"]).shape(square).dtype(types)
        .doc("Cholesky's factorization: the lower triangular L with `A = L Lᵀ`, for symmetric positive definite A.")
        .vjp1(Keep::OUTPUTS, grad_potrf).cases(definite);
    POTRI = OpDef::new("_linalg_potri", &["A"], run_potri).aliases(&["linalg_potri"]).shape(square).dtype(types)
        .doc("The inverse of the matrix whose Cholesky factor is given, `A⁻ᵀ A⁻¹`. Only the lower triangle of A is read.")
        .vjp1(Keep::ALL, grad_potri).cases(definite);
    TRMM = OpDef::new("_linalg_trmm", &["A", "B"], |r| run_triangular(r, false)).aliases(&["linalg_trmm"]).params::<Triangular>()
        .shape(infer_triangular).dtype(types)
        .doc("Product with a triangular matrix, `alpha · op(A) B`, or `alpha · B op(A)` with `rightside`.")
        .vjp(Keep::INPUTS, grad_trmm).cases(case);
    TRSM = OpDef::new("_linalg_trsm", &["A", "B"], |r| run_triangular(r, true)).aliases(&["linalg_trsm"]).params::<Triangular>()
        .shape(infer_triangular).dtype(types)
        .doc("Solves `op(A) X = alpha · B`, or `X op(A) = alpha · B` with `rightside`, for triangular A.")
        .vjp(Keep::input(0).and(Keep::OUTPUTS), grad_trsm).cases(case);
    SYRK = OpDef::new("_linalg_syrk", &["A"], run_syrk).aliases(&["linalg_syrk"]).params::<Syrk>()
        .shape(infer_syrk).dtype(float_type)
        .doc("`alpha · A Aᵀ`, or `alpha · Aᵀ A` with `transpose`.")
        .vjp1(Keep::INPUTS, grad_syrk)
        .cases(|d| {
            let x = d.shape(2, 4);
            Case::new().real(&x).param("transpose", d.flip()).param("alpha", d.real(0.5, 2.0))
        });
    SUMLOGDIAG = OpDef::new("_linalg_sumlogdiag", &["A"], run_sumlogdiag).aliases(&["linalg_sumlogdiag"])
        .shape(numbers).dtype(types)
        .doc("Sum of the logarithms of the diagonal.")
        .vjp1(Keep::INPUTS, grad_sumlogdiag).cases(definite);
}
