//! Adam with weight decay apart from the gradient. The factor of the gradient is an array, since with mixed precision it is computed;
//! where it is 0 or not finite the step is skipped: weight and states stay.

use super::sgd::Mixed;
use super::{OUTSIDE, Prepare, STATES, average, float, like_weight, one_float_type, want_type};
use crate::dtype::DType;
use crate::error::Result;
use crate::kernels::copy::cast;
use crate::kernels::optim::{Arith, Update, update};
use crate::ops::def::{OpDef, Run};
use crate::ops::infer::Types;
use crate::tensor::Tensor;

params! {
    /// AdamW.
    pub struct AdamWParams {
        lr: f32, "learning rate";
        beta1: f32 = 0.9, "decay of the mean";
        beta2: f32 = 0.999, "decay of the mean square";
        epsilon: f32 = 1e-8, "keeps the divisor from 0";
        wd: f32 = 0.0, "weight decay";
        eta: f32, "factor of the step and of the decay";
        clip_gradient: f32 = -1.0, "bound of the rescaled gradient; negative for none";
    }
}

#[derive(Clone, Copy)]
pub(super) struct AdamW {
    lr: f64,
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    wd: f64,
    eta: f64,
    grad: Prepare,
}

impl Update<4, 3> for AdamW {
    #[inline(always)]
    fn step<A: Arith>(self, a: A, [w, g, m, v]: [A::V; 4]) -> [A::V; 3] {
        let g = self.grad.scaled(a, g);
        let (m, v) = (average(a, self.beta1, m, g), average(a, self.beta2, v, g * g));
        let step = a.splat(self.lr) * m / (a.sqrt(v) + a.splat(self.epsilon)) + a.splat(self.wd) * w;
        [w - a.splat(self.eta) * step, m, v]
    }
}

impl Update<4, 4> for Mixed<AdamW> {
    #[inline(always)]
    fn step<A: Arith>(self, a: A, x: [A::V; 4]) -> [A::V; 4] {
        let [w, m, v] = self.0.step(a, x);
        [w, m, v, w]
    }
}

impl AdamW {
    pub(super) fn new(p: &AdamWParams, rescale: f64) -> AdamW {
        AdamW {
            lr: p.lr.into(),
            beta1: p.beta1.into(),
            beta2: p.beta2.into(),
            epsilon: p.epsilon.into(),
            wd: p.wd.into(),
            eta: p.eta.into(),
            grad: Prepare { rescale, clip: p.clip_gradient.into(), wd: 0.0 },
        }
    }

    /// Whether the step is made at all.
    fn is_made(&self) -> bool {
        self.grad.rescale.is_finite() && self.grad.rescale != 0.0
    }

    /// Updates weight, mean and variance, or copies the weight when the step is skipped.
    pub(super) fn plain(self, [w, g, m, v]: [&Tensor; 4], out: &Tensor) {
        if self.is_made() {
            update(self, [w, g, m, v].map(Tensor::span), [out.span(), m.span(), v.span()]);
        } else {
            keep(w, out);
        }
    }

    /// The same on a float32 copy of the weight.
    pub(super) fn mixed(self, [w, g, m, v, w32]: [&Tensor; 5], out: &Tensor) {
        if self.is_made() {
            let outs = [out.span(), m.span(), v.span(), w32.span()];
            update(Mixed(self), [w32, g, m, v].map(Tensor::span), outs);
        } else {
            keep(w, out);
        }
    }
}

/// out = w, which may be the same.
fn keep(w: &Tensor, out: &Tensor) {
    if !w.span().same(out.span()) {
        cast(w.span(), out.span());
    }
}

fn run(r: &Run<'_>) -> Result<()> {
    let rescale = r.ins[4].item()?;
    AdamW::new(r.p(), rescale).plain([0, 1, 2, 3].map(|i| r.ins[i]), r.outs[0]);
    Ok(())
}

fn run_mixed(r: &Run<'_>) -> Result<()> {
    let rescale = r.ins[5].item()?;
    AdamW::new(r.p(), rescale).mixed([0, 1, 2, 3, 4].map(|i| r.ins[i]), r.outs[0]);
    Ok(())
}

/// Weight and gradient have one dtype; states, float32 weight and the factor are float32.
fn mixed_type(t: &mut Types<'_>) -> Result<()> {
    let d = t.ins[0].or(t.ins[1]).or(t.outs[0]);
    float(d)?;
    if let Some(d) = d {
        want_type(t, 0, d)?;
        want_type(t, 1, d)?;
        t.outs[0] = Some(d);
    }
    (2..5).try_for_each(|i| want_type(t, i, DType::F32))?;
    t.ins[5] = t.ins[5].or(Some(DType::F32));
    Ok(())
}

table! {
    ADAMW_UPDATE = OpDef::new("_adamw_update", &["weight", "grad", "mean", "var", "rescale_grad"], run)
        .params::<AdamWParams>().inplace().mutates(&[2, 3]).shape(|s| like_weight(s, 4))
        .dtype(|t| {
            let factor = t.ins[4];
            t.ins[4] = None;
            one_float_type(t)?;
            t.ins[4] = factor.or(t.ins[4]);
            Ok(())
        })
        .doc("AdamW: `mean = β₁ mean + (1 - β₁) ĝ`, `var = β₂ var + (1 - β₂) ĝ²`, `weight - η (lr mean / (√var + ε) + wd weight)`. \
              A factor of 0, or one that is not finite, skips the step.")
        .no_gradient(OUTSIDE).no_samples(STATES);
    MP_ADAMW_UPDATE = OpDef::new("_mp_adamw_update", &["weight", "grad", "mean", "var", "weight32", "rescale_grad"], run_mixed)
        .params::<AdamWParams>().inplace().mutates(&[2, 3, 4]).shape(|s| like_weight(s, 5)).dtype(mixed_type)
        .doc("`_adamw_update` on a float32 copy of the weight.")
        .no_gradient(OUTSIDE).no_samples(STATES);
}
