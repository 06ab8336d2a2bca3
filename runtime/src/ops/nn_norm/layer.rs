//! Layer normalisation: along one axis, with a scale and a shift for each place on it.

use super::{Composed, alike, gradient_shapes, parameters, write};
use crate::error::Result;
use crate::invoke::invoke;
use crate::kernels::copy;
use crate::kernels::norm::rows;
use crate::ops::def::{Keep, OpDef, Run};
use crate::ops::infer::Shapes;
use crate::ops::params::Params;
use crate::ops::samples::{Case, Draw, Fill};
use crate::ops::shape_ops::view::reshaped;
use crate::ops::softmax::floats;
use crate::ops::vjp::{Grads, Vjp};
use crate::shape::partial::Partial;
use crate::shape::resolve_axis;
use crate::tensor::Tensor;
use smallvec::smallvec;

params! {
    /// What layer normalisation takes.
    pub struct LayerNorm {
        axis: i64 = -1, "the axis that is normalised";
        eps: f32 = 1e-5, "added to the variance";
        output_mean_var: bool = false, "whether mean and sqrt(var + eps) are results too";
    }
}

fn infer_shape(s: &mut Shapes<'_>) -> Result<()> {
    let x = alike(s)?;
    parameters(s)?;
    let Some(sizes) = x.sizes() else { return Ok(()) };
    let axis = resolve_axis(s.params.get::<LayerNorm>().axis, sizes.len())?;
    let mut kept = sizes.to_vec();
    kept[axis] = 1;
    let kept = Partial::from_sizes(&kept);
    s.outs[1].merge(&kept)?;
    s.outs[2].merge(&kept)?;
    x.dim(axis).map_or(Ok(()), |n| (1..3).try_for_each(|i| s.want(i, &[n])))
}

/// (outer, n, inner) around the axis.
fn seen(dims: &[usize], axis: i64) -> Result<[usize; 3]> {
    let axis = resolve_axis(axis, dims.len())?;
    Ok([dims[..axis].iter().product(), dims[axis], dims[axis + 1..].iter().product()])
}

/// The array with the axis last, as rows: itself, or a copy in that order.
fn to_rows(t: &Tensor, [outer, n, inner]: [usize; 3]) -> Result<Tensor> {
    if inner == 1 || t.size() == 0 {
        return Ok(t.clone());
    }
    let out = Tensor::empty(&[outer, inner, n], t.dtype(), t.device())?;
    let strides = [(n * inner) as isize, 1, inner as isize];
    copy::strided(&[outer, inner, n], t.span(), 0, &strides, out.span());
    Ok(out)
}

/// Undoes [`to_rows`].
fn from_rows(rows: &Tensor, [outer, n, inner]: [usize; 3], out: &Tensor) {
    if rows.span().same(out.span()) {
        return;
    }
    let strides = [(n * inner) as isize, 1, inner as isize];
    copy::scatter(&[outer, inner, n], rows.span(), out.span(), 0, &strides);
}

/// Where rows are computed that [`from_rows`] then puts in place: the output itself where that is in their order.
fn rows_of(out: &Tensor, [_, _, inner]: [usize; 3]) -> Result<Tensor> {
    if inner == 1 { Ok(out.clone()) } else { Tensor::empty(out.dims(), out.dtype(), out.device()) }
}

fn run(r: &Run<'_>) -> Result<()> {
    let p = r.p::<LayerNorm>();
    let v = seen(r.ins[0].dims(), p.axis)?;
    let (x, y) = (to_rows(r.ins[0], v)?, rows_of(r.outs[0], v)?);
    let (gamma, beta) = (r.ins[1].span(), r.ins[2].span());
    let (mean, deviation) = rows::forward(x.span(), gamma, beta, y.span(), v[1], p.eps.into());
    from_rows(&y, v, r.outs[0]);
    write(&mean, r.outs[1])?;
    write(&deviation, r.outs[2])
}

fn run_grad(r: &Run<'_>) -> Result<()> {
    let p = r.p::<LayerNorm>();
    let [g, x, gamma] = r.ins else { bail!(Internal, "three inputs") };
    let v = seen(x.dims(), p.axis)?;
    let (g, x, dx) = (to_rows(g, v)?, to_rows(x, v)?, rows_of(r.outs[0], v)?);
    let outs = [dx.span(), r.outs[1].span(), r.outs[2].span()];
    rows::backward(g.span(), x.span(), gamma.span(), v[1], p.eps.into(), outs);
    from_rows(&dx, v, r.outs[0]);
    Ok(())
}

fn grad(d: &Vjp<'_>) -> Result<Grads> {
    let p = d.p::<LayerNorm>();
    let (x, gamma) = (d.input(0), d.input(1));
    let g = d.grad_or_zeros(0)?;
    if d.recorded {
        let v @ [outer, n, inner] = seen(x.dims(), p.axis)?;
        let composed = Composed { data: v, kept: [outer, 1, inner], param: [1, n, 1] };
        let [dx, dgamma, dbeta] = composed.gradients(&g, x, Some(gamma), p.eps.into())?;
        return Ok(smallvec![Some(dx), Some(reshaped(&dgamma, &[n])), Some(reshaped(&dbeta, &[n]))]);
    }
    Ok(invoke(&LAYER_GRAD, &[&g, x, gamma], d.params, &[])?.into_iter().map(Some).collect())
}

const KEPT: Keep = Keep::input(0).and(Keep::input(1));

fn visible(p: &Params) -> usize {
    if p.get::<LayerNorm>().output_mean_var { 3 } else { 1 }
}

fn case(d: &mut Draw) -> Case {
    let dims = [d.size(1, 3), d.size(2, 4), d.size(2, 5)];
    let axis = d.axis(3);
    let n = dims[axis.rem_euclid(3) as usize];
    Case::new()
        .real(&dims)
        .input(&[n], Fill::Real(0.5, 1.5, &[]))
        .real(&[n])
        .param("axis", axis)
        .param("eps", 0.01)
}

table! {
    LAYER_NORM = OpDef::new("LayerNorm", &["data", "gamma", "beta"], run).params::<LayerNorm>()
        .outputs(|_| 3, visible).output_names(&["output", "mean", "std"]).shape(infer_shape).dtype(floats)
        .doc("Brings the elements along an axis to mean 0 and variance 1, multiplies them by gamma and adds beta, place by place.")
        .vjp(KEPT, grad).cases(case);
    LAYER_GRAD = OpDef::new("_ks_layer_norm_grad", &["grad", "data", "gamma"], run_grad)
        .params::<LayerNorm>().outputs(|_| 3, |_| 3)
        .shape(gradient_shapes)
        .doc("The gradient of layer normalisation by data, gamma and beta.")
        .no_gradient("second order is composed of recorded operators").no_samples("tested through LayerNorm");
}
