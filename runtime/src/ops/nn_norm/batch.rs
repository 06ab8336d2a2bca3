//! Batch normalisation: each channel over the batch. The moving statistics move when the gradient of a training call is taken.

use super::{Composed, alike, down, gradient_shapes, write};
use crate::array::Array;
use crate::dtype::{DType, Elem};
use crate::error::Result;
use crate::invoke::invoke;
use crate::kernels::copy;
use crate::kernels::norm::{self, Layout, Slope};
use crate::ops::def::{Affine, Keep, OpDef, Run};
use crate::ops::elementwise::unary::relu_grad;
use crate::ops::infer::{Shapes, Types};
use crate::ops::params::{ParamSet, Params};
use crate::ops::samples::{Case, Draw, Fill};
use crate::ops::shape_ops::view::reshaped;
use crate::ops::vjp::{Grads, Vjp};
use crate::shape::partial::Partial;
use crate::shape::resolve_axis;
use crate::tensor::Tensor;
use smallvec::smallvec;

params! {
    /// What batch normalisation takes.
    pub struct BatchNorm {
        eps: f64 = f64::from(1e-3f32), "added to the variance";
        momentum: f32 = 0.9, "of the moving statistics";
        fix_gamma: bool = true, "whether gamma is held at 1";
        use_global_stats: bool = false, "whether the moving statistics are used in training too";
        output_mean_var: bool = false, "whether mean and 1/sqrt(var + eps) are results too";
        axis: i64 = 1, "the axis of channels";
        cudnn_off: bool = false, "without effect";
        min_calib_range: Option<f32> = None, "without effect";
        max_calib_range: Option<f32> = None, "without effect";
    }
}

params! {
    /// As [`BatchNorm`], channels along axis 1.
    pub struct BatchNormV1 {
        eps: f32 = 1e-3, "added to the variance";
        momentum: f32 = 0.9, "of the moving statistics";
        fix_gamma: bool = true, "whether gamma is held at 1";
        use_global_stats: bool = false, "whether the moving statistics are used in training too";
        output_mean_var: bool = false, "whether mean and variance are results too";
    }
}

params! {
    /// As [`BatchNormV1`], for several devices.
    pub struct SyncBatchNorm {
        eps: f32 = 1e-3, "added to the variance";
        momentum: f32 = 0.9, "of the moving statistics";
        fix_gamma: bool = true, "whether gamma is held at 1";
        use_global_stats: bool = false, "whether the moving statistics are used in training too";
        output_mean_var: bool = false, "whether mean and variance are results too";
        ndev: i64 = 1, "number of devices that share statistics; one is all there is";
        key: String, "names the layer among the devices";
    }
}

/// What the three have in common.
#[derive(Clone, Copy)]
struct Common {
    eps: f64,
    momentum: f64,
    fix_gamma: bool,
    global: bool,
    mean_var: bool,
    /// Whether the third result is the variance, not 1/sqrt(var + eps).
    variance: bool,
    axis: i64,
}

trait Batch: ParamSet {
    fn common(&self) -> Common;
}

macro_rules! batch {
    ($t:ty, $axis:expr, $variance:literal) => {
        impl Batch for $t {
            fn common(&self) -> Common {
                let axis: fn(&$t) -> i64 = $axis;
                Common {
                    eps: self.eps.into(),
                    momentum: self.momentum.into(),
                    fix_gamma: self.fix_gamma,
                    global: self.use_global_stats,
                    mean_var: self.output_mean_var,
                    variance: $variance,
                    axis: axis(self),
                }
            }
        }
    };
}
batch!(BatchNorm, |p| p.axis, false);
batch!(BatchNormV1, |_| 1, true);
batch!(SyncBatchNorm, |_| 1, true);

fn layout(dims: &[usize], axis: i64) -> Result<Layout> {
    Ok(Layout::around(dims, resolve_axis(axis, dims.len())?))
}

fn infer_shape<P: Batch>(s: &mut Shapes<'_>) -> Result<()> {
    let x = alike(s)?;
    let Some(sizes) = x.sizes() else { return Ok(()) };
    let axis = resolve_axis(s.params.get::<P>().common().axis, sizes.len())?;
    // Any of them may be the one that knows the number of channels.
    let told = s.ins[1..].iter().chain(&s.outs[1..]).find_map(|v| v.dim(0));
    let Some(c) = x.dim(axis).or(told) else { return Ok(()) };
    let mut sizes = sizes.to_vec();
    sizes[axis] = c as i64;
    let x = Partial::from_sizes(&sizes);
    s.ins[0].merge(&x)?;
    s.outs[0].merge(&x)?;
    (1..5).try_for_each(|i| s.want(i, &[c]))?;
    s.output(1, &[c])?;
    s.output(2, &[c])
}

/// The dtype of statistics, scale and shift: half floats have float32.
fn wide(d: DType) -> DType {
    if d == DType::F64 { d } else { DType::F32 }
}

fn infer_type(t: &mut Types<'_>) -> Result<()> {
    let Some(d) = t.ins[0].or(t.outs[0]) else { return Ok(()) };
    if !d.is_float() {
        bail!(Dtype, "a floating-point dtype is wanted, got {d}");
    }
    (t.ins[0], t.outs[0]) = (Some(d), Some(d));
    for (i, x) in t.ins.iter_mut().enumerate().skip(1) {
        match x {
            Some(got) if *got != wide(d) => {
                bail!(Dtype, "input {i} has another dtype, got {got}, want {}", wide(d))
            }
            _ => *x = Some(wide(d)),
        }
    }
    (t.outs[1], t.outs[2]) = (Some(wide(d)), Some(wide(d)));
    Ok(())
}

/// Holds gamma at 1, which upstream does in the array itself.
fn fix(gamma: &Tensor) {
    let ones = with_dtype!(gamma.dtype(), T => gamma.as_slice::<T>().iter().all(|v| v.to_f64() == 1.0));
    if !ones {
        copy::fill(gamma.span(), 1.0);
        gamma.storage().bump();
    }
}

fn run<P: Batch>(r: &Run<'_>, relu: bool) -> Result<()> {
    let p = r.p::<P>().common();
    let v = layout(r.ins[0].dims(), p.axis)?;
    if p.fix_gamma {
        fix(r.ins[1]);
    }
    let (x, y) = (r.ins[0].span(), r.outs[0].span());
    let (mean, var) = if r.training && !p.global {
        norm::moments(x, v)
    } else {
        (r.ins[3].to_vec_f64(), r.ins[4].to_vec_f64())
    };
    let inv: Vec<f64> = var.iter().map(|v| 1.0 / (v + p.eps).sqrt()).collect();
    let a: Vec<f64> = inv.iter().zip(r.ins[1].to_vec_f64()).map(|(i, g)| i * g).collect();
    norm::apply(x, y, v, &mean, &a, &r.ins[2].to_vec_f64(), relu);
    write(&mean, r.outs[1])?;
    write(if p.variance { &var } else { &inv }, r.outs[2])
}

params! {
    /// What the gradient of batch normalisation takes.
    pub struct BatchGrad {
        axis: i64 = 1, "the axis of channels";
        fixed: bool = false, "whether gamma is held at 1";
        batch: bool = true, "whether the statistics are those of the data";
    }
}

fn run_grad(r: &Run<'_>) -> Result<()> {
    let p = r.p::<BatchGrad>();
    let [g, x, gamma, mean, inv] = r.ins else { bail!(Internal, "five inputs") };
    let v = layout(x.dims(), p.axis)?;
    let (gamma, mean, inv) = (gamma.to_vec_f64(), mean.to_vec_f64(), inv.to_vec_f64());
    let (one, two) = norm::dots(g.span(), x.span(), v, &mean);
    let n = (v.outer * v.inner).max(1) as f64;
    let slope = |c: usize| {
        let a = gamma[c] * inv[c];
        // Statistics of the data move with it.
        let moving = if p.batch { a / n } else { 0.0 };
        Slope { mean: mean[c], a, b: moving * inv[c] * inv[c] * two[c], c: moving * one[c] }
    };
    let slopes: Vec<Slope> = (0..v.channels).map(slope).collect();
    norm::back(g.span(), x.span(), r.outs[0].span(), v, &slopes);
    let by_gamma: Vec<f64> = two.iter().zip(&inv).map(|(d, i)| if p.fixed { 0.0 } else { d * i }).collect();
    write(&by_gamma, r.outs[1])?;
    write(&one, r.outs[2])
}

params! {
    /// What moving the statistics takes.
    pub struct Move {
        momentum: f64 = 0.9, "how much of the old value stays";
        eps: f64 = f64::from(1e-3f32), "what was added to the variance";
    }
}

/// moving = moving * momentum + batch * (1 - momentum), where the variance comes as 1/sqrt(var + eps).
fn run_move(r: &Run<'_>) -> Result<()> {
    let p = r.p::<Move>();
    for (i, moving) in r.ins[..2].iter().enumerate() {
        let batch = r.ins[2 + i].to_vec_f64();
        let value = |v: f64| if i == 0 { v } else { 1.0 / (v * v) - p.eps };
        with_dtype!(moving.dtype(), T => {
            // SAFETY: the operator says that it changes these.
            let to = unsafe { moving.span().slice_mut::<T>() };
            for (m, b) in to.iter_mut().zip(batch) {
                *m = T::from_f64(m.to_f64() * p.momentum + value(b) * (1.0 - p.momentum));
            }
        });
    }
    Ok(())
}

fn grad<P: Batch>(d: &Vjp<'_>, relu: bool) -> Result<Grads> {
    let p = d.p::<P>().common();
    let (x, gamma, mean, inv) = (d.input(0), d.input(1), d.output(1).detach(), d.output(2).detach());
    let inv = if p.variance { (inv + p.eps).rsqrt() } else { inv };
    let batch = d.training && !p.global;
    if batch {
        let params = Params::new(Move { momentum: p.momentum, eps: p.eps });
        invoke(&MOVE, &[&d.input(3).detach(), &d.input(4).detach(), &mean, &inv], &params, &[])?;
    }
    let g = d.grad_or_zeros(0)?;
    let g = if relu { relu_grad(&g, d.output(0)) } else { g };
    let [dx, dgamma, dbeta] = if d.recorded {
        recorded(&p, &g, x, gamma, &mean, &inv, batch)?
    } else {
        let params = Params::new(BatchGrad { axis: p.axis, fixed: p.fix_gamma, batch });
        let mut out = invoke(&BATCH_GRAD, &[&g, x, gamma, &mean, &inv], &params, &[])?.into_iter();
        let mut next = || out.next().ok_or_else(|| err!(Internal, "three results"));
        [next()?, next()?, next()?]
    };
    Ok(smallvec![Some(dx), Some(dgamma), Some(dbeta), None, None])
}

fn recorded(
    p: &Common,
    g: &Array,
    x: &Array,
    gamma: &Array,
    mean: &Array,
    inv: &Array,
    batch: bool,
) -> Result<[Array; 3]> {
    let v = layout(x.dims(), p.axis)?;
    let param = [1, v.channels, 1];
    let data = [v.outer, v.channels, v.inner];
    let scale = (!p.fix_gamma).then_some(gamma);
    let [dx, dgamma, dbeta] = if batch {
        Composed { data, kept: param, param }.gradients(g, x, scale, p.eps)?
    } else {
        let inv = reshaped(&inv.cast(x.dtype()), &param);
        let mean = reshaped(&mean.cast(x.dtype()), &param);
        let (flat, centred) = (reshaped(g, &data), reshaped(x, &data) - mean);
        let a = match scale {
            Some(gamma) => &inv * reshaped(&gamma.cast(x.dtype()), &param),
            None => inv.clone(),
        };
        let dgamma = down(&(&flat * centred * inv), &param);
        [reshaped(&(&flat * a), x.dims()), dgamma, down(&flat, &param)]
    };
    let dgamma =
        if p.fix_gamma { gamma.zeros_like() } else { reshaped(&dgamma, &[v.channels]).cast(gamma.dtype()) };
    Ok([dx, dgamma, reshaped(&dbeta, &[v.channels]).cast(gamma.dtype())])
}

fn visible<P: Batch>(p: &Params) -> usize {
    if p.get::<P>().common().mean_var { 3 } else { 1 }
}

const fn norm_op<P: Batch>(name: &'static str, run: crate::ops::def::Kernel) -> OpDef {
    OpDef::new(name, &["data", "gamma", "beta", "moving_mean", "moving_var"], run)
        .params::<P>()
        .outputs(|_| 3, visible::<P>)
        .mutates(&[3, 4])
        .output_names(&["output", "mean", "var"])
        .inits(&[(3, "[\"zero\", {}]"), (4, "[\"one\", {}]")])
        .shape(infer_shape::<P>)
        .dtype(infer_type)
}

/// What is done with the moving statistics.
fn affine<P: Batch>(p: &Params, ins: &[Array]) -> Result<Option<Affine>> {
    let p = p.get::<P>().common();
    let [x, gamma, beta, mean, var] = ins else { return Ok(None) };
    let inv = (var + p.eps).rsqrt();
    let scale = if p.fix_gamma { inv } else { inv * gamma };
    let shift = beta - mean * &scale;
    Ok(Some(Affine { axis: resolve_axis(p.axis, x.ndim())?, scale, shift }))
}

const KEPT: Keep = Keep::INPUTS.and(Keep::output(1)).and(Keep::output(2));

fn case(d: &mut Draw) -> Case {
    let dims = [d.size(2, 4), d.size(1, 3), d.size(1, 3)];
    let c = dims[1];
    let half = |k: f64| Fill::Exact((0..c).map(|i| k + i as f64 * 0.25).collect());
    Case::new()
        .real(&dims)
        .input(&[c], Fill::Real(0.5, 1.5, &[]))
        .real(&[c])
        .input(&[c], half(-0.5))
        .input(&[c], half(0.75))
        .param("fix_gamma", false)
        .param("use_global_stats", d.flip())
        .param("eps", 0.01)
}

const DOC: &str = "Brings each channel to mean 0 and variance 1, multiplies it by gamma and adds beta. In training the statistics are \
                   those of the batch, else the moving ones. These move when the gradient of a training call is taken. Mean and variance carry no gradient.";

table! {
    BATCH_NORM = norm_op::<BatchNorm>("BatchNorm", |r| run::<BatchNorm>(r, false))
        .affine(affine::<BatchNorm>).doc(DOC).vjp(KEPT, |d| grad::<BatchNorm>(d, false)).cases(case);
    BATCH_NORM_V1 = norm_op::<BatchNormV1>("BatchNorm_v1", |r| run::<BatchNormV1>(r, false))
        .affine(affine::<BatchNormV1>).doc(DOC).vjp(KEPT, |d| grad::<BatchNormV1>(d, false)).cases(case);
    SYNC_BATCH_NORM = norm_op::<SyncBatchNorm>("_contrib_SyncBatchNorm", |r| run::<SyncBatchNorm>(r, false))
        .affine(affine::<SyncBatchNorm>).doc(DOC).vjp(KEPT, |d| grad::<SyncBatchNorm>(d, false)).cases(|d| case(d).param("key", "a"));
    BATCH_NORM_RELU = norm_op::<BatchNorm>("_contrib_BatchNormWithReLU", |r| run::<BatchNorm>(r, true))
        .doc("BatchNorm followed by `max(x, 0)`.")
        .vjp(KEPT.and(Keep::output(0)), |d| grad::<BatchNorm>(d, true)).no_samples("has a kink anywhere; see BatchNorm and relu");
    BATCH_GRAD = OpDef::new("_ks_batch_norm_grad", &["grad", "data", "gamma", "mean", "inv"], run_grad).params::<BatchGrad>()
        .outputs(|_| 3, |_| 3)
        .shape(gradient_shapes)
        .dtype(|t| { (t.outs[0], t.outs[1], t.outs[2]) = (t.ins[1], t.ins[2], t.ins[2]); Ok(()) })
        .doc("The gradient of batch normalisation by data, gamma and beta.")
        .no_gradient("second order is composed of recorded operators").no_samples("tested through BatchNorm");
    MOVE = OpDef::new("_ks_batch_norm_move", &["moving_mean", "moving_var", "mean", "inv"], run_move).params::<Move>()
        .outputs(|_| 0, |_| 0).mutates(&[0, 1]).shape(|_| Ok(())).dtype(|_| Ok(()))
        .doc("Moves the moving statistics of batch normalisation toward those of a batch.")
        .no_gradient("it has no result").no_samples("it has no result");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autograd::mode::record;
    use crate::backward::{Options, backward};
    use crate::{DType, Device, GradReq};

    #[test]
    fn statistics_move_in_the_backward_pass_only_and_twice_for_two_uses() {
        let x = Array::from_slice(&[1f32, 2.0, 3.0, 6.0], &[2, 2]).unwrap();
        x.attach_grad(GradReq::Write).unwrap();
        let ones = || Array::full(&[2], 1.0, DType::F32, Device::default()).unwrap();
        let (gamma, beta, mean, var) = (ones(), ones(), ones(), ones());
        let params = Params::of::<BatchNorm>(&[(2, false.into()), (1, 0.5.into())]).unwrap();
        let ins = [&x, &gamma, &beta, &mean, &var];
        let y = record(|| {
            let a = invoke(&BATCH_NORM, &ins, &params, &[]).unwrap().remove(0);
            &a + &invoke(&BATCH_NORM, &ins, &params, &[]).unwrap().remove(0)
        });
        assert_eq!(mean.to_vec::<f32>(), [1.0, 1.0]);
        backward(&[&y], &[], Options::default()).unwrap();
        // Twice half the way from 1 to 2 and to 4.
        assert_eq!(mean.to_vec::<f32>(), [1.75, 3.25]);
    }
}
