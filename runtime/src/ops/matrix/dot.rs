//! Products of arrays of any number of axes, and of batches of matrices.

use super::super::axes::named;
use super::super::def::{Keep, OpDef, Run};
use super::super::infer::Shapes;
use super::super::params::Params;
use super::super::samples::Case;
use super::super::value::Value;
use super::super::vjp::{Grads, Vjp};
use super::{Product, batch_product, float_type};
use crate::array::Array;
use crate::error::Result;
use crate::fluent::call;
use crate::shape::partial::Partial;
use crate::shape::{Dims, resolve_axis, show};

choices! {
    /// Storage types; all of them are dense here.
    pub enum Storage { Default = "default", RowSparse = "row_sparse", Csr = "csr" }
}

params! {
    /// Which operands are transposed.
    pub struct Dot {
        transpose_a: bool = false, "the first operand is transposed";
        transpose_b: bool = false, "the second operand is transposed";
        forward_stype: Option<Storage> = None, "accepted and ignored: results are dense";
    }
}

params! {
    /// A product of batches of matrices.
    pub struct Gemm2 {
        transpose_a: bool = false, "the first operand is transposed";
        transpose_b: bool = false, "the second operand is transposed";
        alpha: f64 = 1.0, "factor of the product";
        axis: i64 = -2, "axis of the rows of the matrices; columns lie along the last axis";
    }
}

params! {
    /// A product of batches of matrices, and a sum.
    pub struct Gemm {
        transpose_a: bool = false, "the first operand is transposed";
        transpose_b: bool = false, "the second operand is transposed";
        alpha: f64 = 1.0, "factor of the product";
        beta: f64 = 1.0, "factor of C";
        axis: i64 = -2, "axis of the rows of the matrices; columns lie along the last axis";
    }
}

/// `dot` as a product of two matrices: all axes but the one that is summed over become one.
fn dot_product(a: &[usize], b: &[usize], p: &Dot) -> Result<(Product, Dims)> {
    let (ta, tb) = (p.transpose_a, p.transpose_b);
    if a.is_empty() || b.is_empty() {
        bail!(Shape, "operands need at least one axis, got {} and {}", show(a), show(b));
    }
    let (k, left) = if ta { (a[0], &a[1..]) } else { (a[a.len() - 1], &a[..a.len() - 1]) };
    let (k2, right) = if tb { (b[b.len() - 1], &b[..b.len() - 1]) } else { (b[0], &b[1..]) };
    if k != k2 {
        bail!(Shape, "inner sizes differ, got {k} of {} and {k2} of {}", show(a), show(b));
    }
    let (m, n) = (left.iter().product(), right.iter().product());
    let mut dims: Dims = left.iter().chain(right).copied().collect();
    if dims.is_empty() {
        dims.push(1);
    }
    Ok((Product::plain([m, n, k], ta, tb, &dims), dims))
}

fn batches(a: &[usize], b: &[usize], ta: bool, tb: bool, alpha: f64, axis: i64) -> Result<(Product, Dims)> {
    if a.len() < 2 || b.len() < 2 {
        bail!(Shape, "matrices are wanted, got {} and {}", show(a), show(b));
    }
    let axis = resolve_axis(axis, a.len())?;
    if axis + 1 == a.len() {
        bail!(Param, "axis is that of the columns, got {axis} for {} axes", a.len());
    }
    batch_product(a, b, axis, ta, tb, alpha)
}

/// How an operator's parameters and shapes make a product.
type Plan = fn(&Params, &[usize], &[usize]) -> Result<(Product, Dims)>;

fn plan_dot(p: &Params, a: &[usize], b: &[usize]) -> Result<(Product, Dims)> {
    dot_product(a, b, p.get::<Dot>())
}

fn plan_batch_dot(p: &Params, a: &[usize], b: &[usize]) -> Result<(Product, Dims)> {
    let p = p.get::<Dot>();
    if a.len() < 3 {
        bail!(Shape, "batches of matrices are wanted, got {} and {}", show(a), show(b));
    }
    batches(a, b, p.transpose_a, p.transpose_b, 1.0, -2)
}

fn plan_gemm2(p: &Params, a: &[usize], b: &[usize]) -> Result<(Product, Dims)> {
    let p = p.get::<Gemm2>();
    batches(a, b, p.transpose_a, p.transpose_b, p.alpha, p.axis)
}

fn plan_gemm(p: &Params, a: &[usize], b: &[usize]) -> Result<(Product, Dims)> {
    let p = p.get::<Gemm>();
    batches(a, b, p.transpose_a, p.transpose_b, p.alpha, p.axis)
}

fn infer(s: &mut Shapes<'_>, plan: Plan) -> Result<()> {
    let (Some(a), Some(b)) = (s.input(0), s.input(1)) else { return Ok(()) };
    let dims = plan(s.params, &a, &b)?.1;
    s.output(0, &dims)
}

/// As [`infer`], for batches of matrices, whose third input is added: any operand tells of the others.
fn infer_batches(s: &mut Shapes<'_>, plan: Plan, ta: bool, tb: bool, axis: i64) -> Result<()> {
    if !s.knows_inputs()
        && let Some(n) = s.ins.iter().chain(s.outs.iter()).find_map(Partial::ndim)
    {
        let rows = resolve_axis(axis, n)?;
        let axes = |row: &str, col: &str| -> String {
            let name = |i: usize| match i {
                i if i + 1 == n => format!(" {col}"),
                i if i == rows => format!(" {row}"),
                i => format!(" b{i}"),
            };
            (0..n).map(name).collect()
        };
        let (a, b) = (
            if ta { axes("k", "m") } else { axes("m", "k") },
            if tb { axes("n", "k") } else { axes("k", "n") },
        );
        let (out, c) = (axes("m", "n"), if s.ins.len() > 2 { "," } else { "" });
        named(s, &format!("{a},{b}{c}{} > {out}", if c.is_empty() { "" } else { &out }))?;
    }
    infer(s, plan)
}

fn run(r: &Run<'_>, plan: Plan) -> Result<()> {
    plan(r.params, r.ins[0].dims(), r.ins[1].dims())?.0.compute(r.ins[0], r.ins[1], 0.0, r.outs[0])
}

fn grad(d: &Vjp<'_>, plan: Plan) -> Result<Grads> {
    Ok(plan(d.params, d.in_dims(0), d.in_dims(1))?.0.grads(d, d.grad()))
}

fn run_gemm(r: &Run<'_>) -> Result<()> {
    let (a, b, c, out) = (r.ins[0], r.ins[1], r.ins[2], r.outs[0]);
    if !c.span().same(out.span()) {
        // SAFETY: both have the same size and dtype; the output is this call's alone.
        unsafe { out.span().bytes().copy_from_nonoverlapping(c.span().bytes(), c.size() * c.dtype().size()) };
    }
    plan_gemm(r.params, a.dims(), b.dims())?.0.compute(a, b, r.p::<Gemm>().beta, out)
}

fn grad_gemm(d: &Vjp<'_>) -> Result<Grads> {
    let mut grads = grad(d, plan_gemm)?;
    grads.push(d.needs(2).then(|| d.grad() * d.p::<Gemm>().beta));
    Ok(grads)
}

/// The matrix product of two arrays, for gradient rules.
pub fn dot(a: &Array, b: &Array, transpose_a: bool, transpose_b: bool) -> Array {
    call(&DOT, &[a, b], &Params::new(Dot { transpose_a, transpose_b, forward_stype: None }))
}

/// alpha · A B over batches, for gradient rules.
pub fn gemm2(a: &Array, b: &Array, transpose_a: bool, transpose_b: bool, alpha: f64) -> Array {
    call(&GEMM2, &[a, b], &Params::new(Gemm2 { transpose_a, transpose_b, alpha, axis: -2 }))
}

fn case(d: &mut super::super::samples::Draw, batch: &[usize], c: bool) -> Case {
    let (m, n, k) = (d.size(1, 5), d.size(1, 5), d.size(1, 5));
    let (ta, tb) = (d.flip(), d.flip());
    let dims = |rows: usize, cols: usize, t: bool| -> Vec<usize> {
        batch.iter().copied().chain(if t { [cols, rows] } else { [rows, cols] }).collect()
    };
    let case = Case::new().real(&dims(m, k, ta)).real(&dims(k, n, tb));
    let case = if c { case.real(&dims(m, n, false)) } else { case };
    case.param("transpose_a", ta).param("transpose_b", tb)
}

table! {
    DOT = OpDef::new("dot", &["lhs", "rhs"], |r| run(r, plan_dot)).aliases(&["_sparse_dot"]).params::<Dot>()
        .shape(|s| infer(s, plan_dot)).dtype(float_type)
        .doc("Product over the last axis of `lhs` and the first of `rhs`: of two vectors their inner product, of shape (1,); of \
              two matrices the matrix product. `transpose_a` sums over the first axis of `lhs`, `transpose_b` over the last of `rhs`.")
        .vjp(Keep::INPUTS, |d| grad(d, plan_dot))
        .cases(|d| {
            if d.flip() {
                return case(d, &[], false);
            }
            let k = d.size(1, 5);
            let (mut a, mut b) = (d.shape(0, 2), d.shape(0, 2));
            a.push(k);
            b.insert(0, k);
            Case::new().real(&a).real(&b)
        });
    BATCH_DOT = OpDef::new("batch_dot", &["lhs", "rhs"], |r| run(r, plan_batch_dot)).params::<Dot>()
        .shape(|s| {
            let p = s.params.get::<Dot>();
            infer_batches(s, plan_batch_dot, p.transpose_a, p.transpose_b, -2)
        }).dtype(float_type)
        .doc("Product of each matrix of `lhs` with the matrix of `rhs` of the same place; matrices lie along the last two axes.")
        .vjp(Keep::INPUTS, |d| grad(d, plan_batch_dot))
        .cases(|d| {
            let batch = d.shape(1, 2);
            case(d, &batch, false)
        });
    GEMM2 = OpDef::new("_linalg_gemm2", &["A", "B"], |r| run(r, plan_gemm2)).aliases(&["linalg_gemm2"]).params::<Gemm2>()
        .shape(|s| {
            let p = s.params.get::<Gemm2>();
            infer_batches(s, plan_gemm2, p.transpose_a, p.transpose_b, p.axis)
        }).dtype(float_type)
        .doc("Product of batches of matrices, `alpha · A B`.")
        .vjp(Keep::INPUTS, |d| grad(d, plan_gemm2))
        .cases(|d| {
            let batch = d.shape(0, 2);
            case(d, &batch, false).param("alpha", d.real(0.5, 2.0))
        });
    GEMM = OpDef::new("_linalg_gemm", &["A", "B", "C"], run_gemm).aliases(&["linalg_gemm"]).params::<Gemm>()
        .shape(|s| {
            let p = s.params.get::<Gemm>();
            infer_batches(s, plan_gemm, p.transpose_a, p.transpose_b, p.axis)?;
            let out = s.outs[0].clone();
            s.want_partial(2, &out)
        }).dtype(float_type)
        .doc("Product of batches of matrices and a sum, `alpha · A B + beta · C`.")
        .vjp(Keep::input(0).and(Keep::input(1)), grad_gemm)
        .cases(|d| {
            let batch = d.shape(0, 2);
            let case = case(d, &batch, true);
            case.param("alpha", d.real(0.5, 2.0)).param("beta", Value::Float(d.real(-1.0, 1.0)))
        });
}
