//! LAMB in its two phases, the rates of LARS, and setting arrays to zero.

use super::adaptive::{check_step, power};
use super::{OUTSIDE, Prepare, STATES, average, float, like_weight, mixed_type, one_float_type, want_type};
use crate::dtype::{DType, Elem};
use crate::error::Result;
use crate::kernels::copy::cast;
use crate::kernels::optim::{Arith, Update, update};
use crate::kernels::reduce::{SumSq, reduce};
use crate::ops::def::{OpDef, Run};
use crate::ops::reduce::finite::NumArrays;
use crate::tensor::Tensor;

params! {
    /// The direction of LAMB.
    pub struct LambParams {
        beta1: f32 = 0.9, "decay of the mean";
        beta2: f32 = 0.999, "decay of the mean square";
        epsilon: f32 = 1e-6, "keeps the divisor from 0";
        t: i64, "number of this step, from 1 on";
        bias_correction: bool = true, "correct mean and mean square for their start at 0";
        wd: f32, "weight decay";
        rescale_grad: f32 = 1.0, "factor of the gradient";
        clip_gradient: f32 = -1.0, "bound of the rescaled gradient; negative for none";
    }
}

params! {
    /// The length of LAMB's step.
    pub struct LambStepParams {
        lr: f32, "learning rate";
        lower_bound: f32 = -1.0, "least norm of the weight; negative for none";
        upper_bound: f32 = -1.0, "greatest norm of the weight; negative for none";
    }
}

params! {
    /// LARS.
    pub struct LarsParams {
        eta: f32, "factor of the ratio of norms";
        eps: f32, "keeps the divisor from 0";
        rescale_grad: f32 = 1.0, "factor of the gradient";
    }
}

/// The direction, new mean and new mean square.
#[derive(Clone, Copy)]
pub(super) struct Direction {
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    wd: f64,
    correct1: f64,
    correct2: f64,
    grad: Prepare,
}

impl Update<4, 3> for Direction {
    #[inline(always)]
    fn step<A: Arith>(self, a: A, [w, g, m, v]: [A::V; 4]) -> [A::V; 3] {
        let g = self.grad.scaled(a, g);
        let (m, v) = (average(a, self.beta1, m, g), average(a, self.beta2, v, g * g));
        let (mean, var) = (m / a.splat(self.correct1), v / a.splat(self.correct2));
        [mean / (a.sqrt(var) + a.splat(self.epsilon)) + a.splat(self.wd) * w, m, v]
    }
}

impl Direction {
    pub(super) fn new(p: &LambParams) -> Result<Direction> {
        check_step(p.t)?;
        let correct = |beta: f32| if p.bias_correction { 1.0 - power(beta.into(), p.t) } else { 1.0 };
        Ok(Direction {
            beta1: p.beta1.into(),
            beta2: p.beta2.into(),
            epsilon: p.epsilon.into(),
            wd: p.wd.into(),
            correct1: correct(p.beta1),
            correct2: correct(p.beta2),
            grad: Prepare::new(p.rescale_grad, p.clip_gradient, 0.0),
        })
    }
}

/// w - rate g, also to a float32 copy of the weight.
#[derive(Clone, Copy)]
struct Along(f64);

impl Update<2, 1> for Along {
    #[inline(always)]
    fn step<A: Arith>(self, a: A, [w, g]: [A::V; 2]) -> [A::V; 1] {
        [w - a.splat(self.0) * g]
    }
}

impl Update<2, 2> for Along {
    #[inline(always)]
    fn step<A: Arith>(self, a: A, [w, g]: [A::V; 2]) -> [A::V; 2] {
        let w = w - a.splat(self.0) * g;
        [w, w]
    }
}

/// lr · r1 / r2 with r1 within bounds, lr where either norm is 0.
fn rate(lr: f32, lower: f32, upper: f32, r1: f64, r2: f64) -> f64 {
    let mut r1 = r1;
    if lower >= 0.0 {
        r1 = r1.max(lower.into());
    }
    if upper >= 0.0 {
        r1 = r1.min(upper.into());
    }
    f64::from(lr) * if r1 == 0.0 || r2 == 0.0 { 1.0 } else { r1 / r2 }
}

/// The Euclidean norm; that of half floats is summed in float32, so that it does not overflow.
fn norm(x: &Tensor) -> Result<f64> {
    let dtype = if x.dtype() == DType::F64 { DType::F64 } else { DType::F32 };
    let mut wide = x.clone();
    if dtype != x.dtype() {
        wide = Tensor::empty(x.dims(), dtype, x.device())?;
        cast(x.span(), wide.span());
    }
    let sum = Tensor::empty(&[1], dtype, x.device())?;
    reduce(SumSq, wide.span(), &[x.size()], &[true], sum.span());
    Ok(sum.item()?.sqrt())
}

/// What a whole LAMB step wants beside the direction's parameters.
pub(super) struct Length {
    pub(super) lr: f32,
    pub(super) lower: f32,
    pub(super) upper: f32,
}

/// A whole step: `w` is what is updated; `copy` says that it is the float32 copy of a weight, which is updated too. As in MXNet the
/// ratio of norms takes that of `weight` itself, before the copy.
pub(super) fn lamb(
    d: Direction,
    l: &Length,
    [w, g, m, v]: [&Tensor; 4],
    weight: &Tensor,
    out: &Tensor,
    copy: bool,
) -> Result<()> {
    let step = Tensor::empty(w.dims(), w.dtype(), w.device())?;
    update(d, [w, g, m, v].map(Tensor::span), [step.span(), m.span(), v.span()]);
    let along = Along(rate(l.lr, l.lower, l.upper, norm(weight)?, norm(&step)?));
    let ins = [w.span(), step.span()];
    if copy {
        update(along, ins, [out.span(), w.span()])
    } else {
        update(along, ins, [out.span()])
    }
    Ok(())
}

fn run_direction(r: &Run<'_>, weight: usize) -> Result<()> {
    let [g, m, v] = [1, 2, 3].map(|i| r.ins[i].span());
    update(Direction::new(r.p())?, [r.ins[weight].span(), g, m, v], [r.outs[0].span(), m, v]);
    Ok(())
}

fn run_length(r: &Run<'_>, weight: usize) -> Result<()> {
    let p = r.p::<LambStepParams>();
    let rate = rate(p.lr, p.lower_bound, p.upper_bound, r.ins[2].item()?, r.ins[3].item()?);
    update(Along(rate), [r.ins[weight].span(), r.ins[1].span()], [r.outs[0].span()]);
    Ok(())
}

fn run_lars(r: &Run<'_>) -> Result<()> {
    let p = r.p::<LarsParams>();
    let [lrs, weights, grads, wds] = [0, 1, 2, 3].map(|i| r.ins[i].to_vec_f64());
    let rates: Vec<f64> = (0..lrs.len())
        .map(|i| {
            let (w, g) = (weights[i].sqrt(), grads[i].sqrt());
            if w > 0.0 && g > 0.0 {
                let g = g * f64::from(p.rescale_grad);
                lrs[i] * f64::from(p.eta) * w / (g + wds[i] * w + f64::from(p.eps))
            } else {
                lrs[i]
            }
        })
        .collect();
    with_dtype!(r.outs[0].dtype(), T => {
        // SAFETY: the output is this call's to write.
        let out = unsafe { r.outs[0].span().slice_mut::<T>() };
        out.iter_mut().zip(rates).for_each(|(o, v)| *o = T::from_f64(v));
    });
    Ok(())
}

fn run_reset(r: &Run<'_>) -> Result<()> {
    for x in r.ins {
        // SAFETY: the array is this call's to change; all-zero bytes are 0 in every dtype.
        unsafe { x.span().bytes().write_bytes(0, x.size() * x.dtype().size()) };
    }
    Ok(())
}

/// Positions of up to 256 arrays.
static EVERY: [usize; 256] = {
    let mut all = [0; 256];
    let mut i = 0;
    while i < 256 {
        all[i] = i;
        i += 1;
    }
    all
};

table! {
    LAMB_PHASE1 = OpDef::new("lamb_update_phase1", &["weight", "grad", "mean", "var"], |r| run_direction(r, 0))
        .params::<LambParams>().inplace().mutates(&[2, 3]).dtype(one_float_type)
        .doc("The direction of a LAMB step: `mean = β₁ mean + (1 - β₁) ĝ`, `var = β₂ var + (1 - β₂) ĝ²`, and with both corrected by \
              `1 - βᵗ`, `mean / (√var + ε) + wd weight`.")
        .no_gradient(OUTSIDE).no_samples(STATES);
    MP_LAMB_PHASE1 = OpDef::new("mp_lamb_update_phase1", &["weight", "grad", "mean", "var", "weight32"], |r| run_direction(r, 4))
        .params::<LambParams>().inplace().mutates(&[2, 3])
        .dtype(|t| {
            let out = t.outs[0].take();
            mixed_type(t)?;
            if out.is_some_and(|d| d != DType::F32) {
                bail!(Dtype, "the direction is float32");
            }
            t.outs[0] = Some(DType::F32);
            Ok(())
        })
        .doc("`lamb_update_phase1` from a float32 copy of the weight; the direction is float32.")
        .no_gradient(OUTSIDE).no_samples(STATES);
    LAMB_PHASE2 = OpDef::new("lamb_update_phase2", &["weight", "g", "r1", "r2"], |r| run_length(r, 0))
        .params::<LambStepParams>().inplace().shape(|s| like_weight(s, 2)).dtype(one_float_type)
        .doc("A LAMB step along `g`: `weight - lr (r1 / r2) g`, with the weight's norm `r1` within bounds; the ratio is 1 where a norm is 0.")
        .no_gradient(OUTSIDE).no_samples("norms must be positive and finite; checked against recorded updates");
    MP_LAMB_PHASE2 = OpDef::new("mp_lamb_update_phase2", &["weight", "g", "r1", "r2", "weight32"], |r| run_length(r, 4))
        .params::<LambStepParams>().inplace()
        .shape(|s| {
            let w = s.ins[0].clone();
            s.outs[0].merge(&w)?;
            let out = s.outs[0].clone();
            [0, 1, 4].iter().try_for_each(|&i| s.want_partial(i, &out))?;
            [2, 3].iter().try_for_each(|&i| s.want(i, &[1]))
        })
        .dtype(|t| {
            float(t.ins[0])?;
            (1..5).try_for_each(|i| want_type(t, i, DType::F32))?;
            t.outs[0] = t.outs[0].or(t.ins[0]);
            Ok(())
        })
        .doc("`lamb_update_phase2` from a float32 copy of the weight. As in MXNet the copy itself stays as it is.")
        .no_gradient(OUTSIDE).no_samples("norms must be positive and finite; checked against recorded updates");
    MULTI_LARS = OpDef::new("multi_lars", &["lrs", "weights_sum_sq", "grads_sum_sq", "wds"], run_lars)
        .params::<LarsParams>().dtype(one_float_type)
        .doc("Rates of LARS from sums of squares: with norms `w` of the weight and `g` of the rescaled gradient, \
              `lr η w / (g + wd w + ε)`, or `lr` where either norm is 0.")
        .no_gradient(OUTSIDE).no_samples("sums of squares must not be negative; checked against recorded rates");
    RESET_ARRAYS = OpDef::new("reset_arrays", &["data"], run_reset).variadic(None).params::<NumArrays>()
        .outputs(|_| 0, |_| 0).mutates(&EVERY)
        .shape(|s| {
            let n = s.params.get::<NumArrays>().num_arrays;
            if n != s.ins.len() as i64 {
                bail!(Param, "num_arrays is not the number of inputs, got {n}, want {}", s.ins.len());
            }
            Ok(())
        }).dtype(|_| Ok(()))
        .doc("Sets every element of every array to 0. There is no output.")
        .no_gradient(OUTSIDE).no_samples(STATES);
}
