//! Normalisation of groups of channels, and of single channels, within each instance.

use super::{Composed, alike, gradient_shapes, parameters, write};
use crate::error::Result;
use crate::invoke::invoke;
use crate::kernels::norm::{self, Layout, Slope};
use crate::ops::def::{Keep, OpDef, Run};
use crate::ops::infer::Shapes;
use crate::ops::params::Params;
use crate::ops::samples::{Case, Draw, Fill};
use crate::ops::shape_ops::view::reshaped;
use crate::ops::softmax::floats;
use crate::ops::vjp::{Grads, Vjp};
use crate::shape::partial::Partial;
use smallvec::smallvec;

params! {
    /// What group normalisation takes.
    pub struct GroupNorm {
        num_groups: i64 = 1, "number of groups that the channels are cut into";
        eps: f32 = 1e-5, "added to the variance";
        output_mean_var: bool = false, "whether mean and sqrt(var + eps) of each group are results too";
    }
}

params! {
    /// What instance normalisation takes.
    pub struct InstanceNorm {
        eps: f32 = 1e-3, "added to the variance";
    }
}

/// Instances and groups of an array (batch, channels, …); every channel is a group where `groups` is `None`.
fn cut(dims: &[usize], groups: Option<i64>) -> Result<(usize, usize)> {
    let [n, c, ..] = *dims else {
        bail!(Shape, "data must have axes (batch, channels, …), got {}", crate::shape::show(dims))
    };
    match groups {
        None => Ok((n, c)),
        Some(g) if g > 0 && c % g as usize == 0 => Ok((n, g as usize)),
        Some(g) => bail!(Param, "num_groups must divide the {c} channels, got {g}"),
    }
}

/// Parameters in a form of their own: groups and epsilon.
type Read = fn(&Params) -> (Option<i64>, f64);

fn of_groups(p: &Params) -> (Option<i64>, f64) {
    let p = p.get::<GroupNorm>();
    (Some(p.num_groups), p.eps.into())
}

fn of_instances(p: &Params) -> (Option<i64>, f64) {
    (None, p.get::<InstanceNorm>().eps.into())
}

fn infer_shape(s: &mut Shapes<'_>, read: Read) -> Result<()> {
    let (x, groups) = (alike(s)?, read(s.params).0);
    parameters(s)?;
    if let Some(dims) = x.known() {
        cut(&dims, groups)?;
    }
    let Some(c) = x.dim(1) else { return Ok(()) };
    let (_, g) = cut(&[0, c], groups)?;
    s.want(1, &[g])?;
    s.want(2, &[g])?;
    let found = Partial::from_sizes(&[x.dim(0).map_or(-1, |n| n as i64), g as i64]);
    s.outs[1].merge(&found)?;
    s.outs[2].merge(&found).map(drop)
}

fn rows(dims: &[usize], n: usize, g: usize) -> Layout {
    Layout { outer: 1, channels: n * g, inner: dims.iter().product::<usize>() / (n * g).max(1) }
}

fn run(r: &Run<'_>, read: Read) -> Result<()> {
    let (groups, eps) = read(r.params);
    let (n, g) = cut(r.ins[0].dims(), groups)?;
    let v = rows(r.ins[0].dims(), n, g);
    let (x, y) = (r.ins[0].span(), r.outs[0].span());
    let (mean, var) = norm::moments(x, v);
    let deviation: Vec<f64> = var.iter().map(|v| (v + eps).sqrt()).collect();
    let (gamma, beta) = (r.ins[1].to_vec_f64(), r.ins[2].to_vec_f64());
    let a: Vec<f64> = deviation.iter().enumerate().map(|(i, v)| gamma[i % g] / v).collect();
    let b: Vec<f64> = (0..n * g).map(|i| beta[i % g]).collect();
    norm::apply(x, y, v, &mean, &a, &b, false);
    write(&mean, r.outs[1])?;
    write(&deviation, r.outs[2])
}

fn run_grad(r: &Run<'_>) -> Result<()> {
    let [g, x, gamma, mean, deviation] = r.ins else { bail!(Internal, "five inputs") };
    let (n, groups) = (mean.dims()[0], mean.dims()[1]);
    let v = rows(x.dims(), n, groups);
    let (gamma, mean) = (gamma.to_vec_f64(), mean.to_vec_f64());
    let inv: Vec<f64> = deviation.to_vec_f64().iter().map(|d| 1.0 / d).collect();
    let (one, two) = norm::dots(g.span(), x.span(), v, &mean);
    let count = v.inner.max(1) as f64;
    let slope = |i: usize| {
        let a = gamma[i % groups] * inv[i];
        Slope { mean: mean[i], a, b: a / count * inv[i] * inv[i] * two[i], c: a / count * one[i] }
    };
    let slopes: Vec<Slope> = (0..v.channels).map(slope).collect();
    norm::back(g.span(), x.span(), r.outs[0].span(), v, &slopes);
    let (mut by_gamma, mut by_beta) = (vec![0.0; groups], vec![0.0; groups]);
    for i in 0..v.channels {
        by_gamma[i % groups] += two[i] * inv[i];
        by_beta[i % groups] += one[i];
    }
    write(&by_gamma, r.outs[1])?;
    write(&by_beta, r.outs[2])
}

fn grad(d: &Vjp<'_>, read: Read) -> Result<Grads> {
    let (groups, eps) = read(d.params);
    let (x, gamma) = (d.input(0), d.input(1));
    let g = d.grad_or_zeros(0)?;
    if d.recorded {
        let (n, k) = cut(x.dims(), groups)?;
        let v = rows(x.dims(), n, k);
        let composed = Composed { data: [n, k, v.inner], kept: [n, k, 1], param: [1, k, 1] };
        let [dx, dgamma, dbeta] = composed.gradients(&g, x, Some(gamma), eps)?;
        return Ok(smallvec![Some(dx), Some(reshaped(&dgamma, &[k])), Some(reshaped(&dbeta, &[k]))]);
    }
    let ins = [&g, x, gamma, d.output(1), d.output(2)];
    Ok(invoke(&GROUP_GRAD, &ins, &Params::NONE, &[])?.into_iter().map(Some).collect())
}

const KEPT: Keep = Keep::input(0).and(Keep::input(1)).and(Keep::output(1)).and(Keep::output(2));

fn case(d: &mut Draw, instances: bool) -> Case {
    let groups = d.size(1, 2);
    let dims = [d.size(1, 3), groups * d.size(1, 2), d.size(2, 4)];
    let k = if instances { dims[1] } else { groups };
    let case = Case::new().real(&dims).input(&[k], Fill::Real(0.5, 1.5, &[])).real(&[k]).param("eps", 0.01);
    if instances { case } else { case.param("num_groups", groups) }
}

table! {
    GROUP_NORM = OpDef::new("GroupNorm", &["data", "gamma", "beta"], |r| run(r, of_groups)).params::<GroupNorm>()
        .outputs(|_| 3, |p| if p.get::<GroupNorm>().output_mean_var { 3 } else { 1 })
        .output_names(&["output", "mean", "std"])
        .shape(|s| infer_shape(s, of_groups)).dtype(floats)
        .doc("Brings each group of channels of each instance to mean 0 and variance 1, multiplies it by its gamma and adds its beta.")
        .vjp(KEPT, |d| grad(d, of_groups)).cases(|d| case(d, false));
    INSTANCE_NORM = OpDef::new("InstanceNorm", &["data", "gamma", "beta"], |r| run(r, of_instances)).params::<InstanceNorm>()
        .outputs(|_| 3, |_| 1).shape(|s| infer_shape(s, of_instances)).dtype(floats)
        .doc("Brings each channel of each instance to mean 0 and variance 1, multiplies it by its gamma and adds its beta.")
        .vjp(KEPT, |d| grad(d, of_instances)).cases(|d| case(d, true));
    GROUP_GRAD = OpDef::new("_ks_group_norm_grad", &["grad", "data", "gamma", "mean", "deviation"], run_grad)
        .outputs(|_| 3, |_| 3)
        .shape(gradient_shapes)
        .dtype(|t| { (t.outs[0], t.outs[1], t.outs[2]) = (t.ins[1], t.ins[2], t.ins[2]); Ok(()) })
        .doc("The gradient of group normalisation by data, gamma and beta.")
        .no_gradient("second order is composed of recorded operators").no_samples("tested through GroupNorm");
}
