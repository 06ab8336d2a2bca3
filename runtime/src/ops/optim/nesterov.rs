//! Updates that MXNet computes array by array, in one pass each: Nesterov's momentum with the learning rate outside of the state,
//! AdaDelta, Adamax, Nadam and delay compensation. What depends on the number of the step arrives as a factor.

use super::{OUTSIDE, Prepare, STATES, average, one_float_type};
use crate::error::Result;
use crate::kernels::optim::{Arith, Update, update};
use crate::ops::def::{OpDef, Run};

params! {
    /// Nesterov's momentum.
    pub struct NagRateParams {
        lr: f32, "learning rate";
        momentum: f32, "factor of the last momentum";
        wd: f32 = 0.0, "weight decay";
        rescale_grad: f32 = 1.0, "factor of the gradient";
        clip_gradient: f32 = -1.0, "bound of the rescaled gradient; negative for none";
    }
}

params! {
    /// AdaDelta.
    pub struct AdaDeltaParams {
        rho: f32 = 0.9, "decay of the mean squares";
        epsilon: f32 = 1e-5, "keeps the divisor from 0";
        wd: f32 = 0.0, "weight decay";
        rescale_grad: f32 = 1.0, "factor of the gradient";
        clip_gradient: f32 = -1.0, "bound of the rescaled gradient; negative for none";
    }
}

params! {
    /// Adamax.
    pub struct AdamaxParams {
        lr: f32, "learning rate, corrected for the number of the step";
        beta1: f32 = 0.9, "decay of the mean";
        beta2: f32 = 0.999, "decay of the greatest magnitude";
        wd: f32 = 0.0, "weight decay";
        rescale_grad: f32 = 1.0, "factor of the gradient";
        clip_gradient: f32 = -1.0, "bound of the gradient with its decay; negative for none";
    }
}

params! {
    /// Nadam.
    pub struct NadamParams {
        lr: f32, "learning rate";
        beta1: f32 = 0.9, "decay of the mean";
        beta2: f32 = 0.999, "decay of the mean square";
        epsilon: f32 = 1e-8, "keeps the divisor from 0";
        grad_factor: f64, "share of the gradient in the step";
        mean_factor: f64, "share of the mean in the step";
        var_factor: f64, "correction of the mean square";
        wd: f32 = 0.0, "weight decay";
        rescale_grad: f32 = 1.0, "factor of the gradient";
        clip_gradient: f32 = -1.0, "bound of the gradient with its decay; negative for none";
    }
}

params! {
    /// Delay compensation.
    pub struct DelayParams {
        lr: f32, "learning rate";
        momentum: f32 = 0.0, "factor of the last step";
        lamda: f32 = 0.04, "strength of the compensation";
        wd: f32 = 0.0, "weight decay";
        rescale_grad: f32 = 1.0, "factor of the gradient";
        clip_gradient: f32 = -1.0, "bound of the rescaled gradient; negative for none";
    }
}

#[derive(Clone, Copy)]
struct NagRate {
    lr: f64,
    momentum: f64,
    grad: Prepare,
}

impl Update<3, 2> for NagRate {
    #[inline(always)]
    fn step<A: Arith>(self, a: A, [w, g, m]: [A::V; 3]) -> [A::V; 2] {
        let g = self.grad.then_decay(a, g, w);
        let m = a.splat(self.momentum) * m + g;
        [w - a.splat(self.lr) * (g + a.splat(self.momentum) * m), m]
    }
}

#[derive(Clone, Copy)]
struct AdaDelta {
    rho: f64,
    epsilon: f64,
    wd: f64,
    grad: Prepare,
}

impl Update<4, 3> for AdaDelta {
    #[inline(always)]
    fn step<A: Arith>(self, a: A, [w, g, sq, moved]: [A::V; 4]) -> [A::V; 3] {
        let (g, epsilon) = (self.grad.scaled(a, g), a.splat(self.epsilon));
        let sq = average(a, self.rho, sq, g * g);
        let delta = a.sqrt(moved + epsilon) / a.sqrt(sq + epsilon) * g;
        [w - (delta + a.splat(self.wd) * w), sq, average(a, self.rho, moved, delta * delta)]
    }
}

#[derive(Clone, Copy)]
struct Adamax {
    lr: f64,
    beta1: f64,
    beta2: f64,
    grad: Prepare,
}

impl Update<4, 3> for Adamax {
    #[inline(always)]
    fn step<A: Arith>(self, a: A, [w, g, m, u]: [A::V; 4]) -> [A::V; 3] {
        let g = self.grad.with_decay(a, g, w);
        let m = average(a, self.beta1, m, g);
        let u = a.max(a.splat(self.beta2) * u, a.abs(g));
        let zero = a.splat(0.0);
        [w - a.splat(self.lr) * a.if_gt(u, zero, m / u, zero), m, u]
    }
}

#[derive(Clone, Copy)]
struct Nadam {
    lr: f64,
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    factors: [f64; 3],
    grad: Prepare,
}

impl Update<4, 3> for Nadam {
    #[inline(always)]
    fn step<A: Arith>(self, a: A, [w, g, m, v]: [A::V; 4]) -> [A::V; 3] {
        let g = self.grad.with_decay(a, g, w);
        let (m, v) = (average(a, self.beta1, m, g), average(a, self.beta2, v, g * g));
        let [by_grad, by_mean, by_var] = self.factors.map(|f| a.splat(f));
        let step = by_grad * g + by_mean * m;
        [w - a.splat(self.lr) * step / (a.sqrt(by_var * v) + a.splat(self.epsilon)), m, v]
    }
}

#[derive(Clone, Copy)]
struct Delay {
    lr: f64,
    momentum: f64,
    lamda: f64,
    grad: Prepare,
}

impl Delay {
    #[inline(always)]
    fn gradient<A: Arith>(self, a: A, w: A::V, g: A::V, previous: A::V) -> A::V {
        let g = self.grad.scaled(a, g);
        g + a.splat(self.grad.wd) * w + a.splat(self.lamda) * g * g * (w - previous)
    }
}

impl Update<3, 2> for Delay {
    #[inline(always)]
    fn step<A: Arith>(self, a: A, [w, g, previous]: [A::V; 3]) -> [A::V; 2] {
        [w - a.splat(self.lr) * self.gradient(a, w, g, previous), w]
    }
}

impl Update<4, 3> for Delay {
    #[inline(always)]
    fn step<A: Arith>(self, a: A, [w, g, previous, m]: [A::V; 4]) -> [A::V; 3] {
        let m = a.splat(self.momentum) * m - a.splat(self.lr) * self.gradient(a, w, g, previous);
        [w + m, w, m]
    }
}

/// Weight, gradient and one state.
fn with_state<U: Update<3, 2>>(rule: U, r: &Run<'_>) -> Result<()> {
    let [w, g, m] = [0, 1, 2].map(|i| r.ins[i].span());
    update(rule, [w, g, m], [r.outs[0].span(), m]);
    Ok(())
}

/// Weight, gradient and two states.
fn with_states<U: Update<4, 3>>(rule: U, r: &Run<'_>) -> Result<()> {
    let [w, g, m, v] = [0, 1, 2, 3].map(|i| r.ins[i].span());
    update(rule, [w, g, m, v], [r.outs[0].span(), m, v]);
    Ok(())
}

fn run_nag(r: &Run<'_>) -> Result<()> {
    let p = r.p::<NagRateParams>();
    let grad = Prepare::new(p.rescale_grad, p.clip_gradient, p.wd);
    with_state(NagRate { lr: p.lr.into(), momentum: p.momentum.into(), grad }, r)
}

fn run_adadelta(r: &Run<'_>) -> Result<()> {
    let p = r.p::<AdaDeltaParams>();
    let grad = Prepare::new(p.rescale_grad, p.clip_gradient, 0.0);
    with_states(AdaDelta { rho: p.rho.into(), epsilon: p.epsilon.into(), wd: p.wd.into(), grad }, r)
}

fn run_adamax(r: &Run<'_>) -> Result<()> {
    let p = r.p::<AdamaxParams>();
    let grad = Prepare::new(p.rescale_grad, p.clip_gradient, p.wd);
    with_states(Adamax { lr: p.lr.into(), beta1: p.beta1.into(), beta2: p.beta2.into(), grad }, r)
}

fn run_nadam(r: &Run<'_>) -> Result<()> {
    let p = r.p::<NadamParams>();
    let rule = Nadam {
        lr: p.lr.into(),
        beta1: p.beta1.into(),
        beta2: p.beta2.into(),
        epsilon: p.epsilon.into(),
        factors: [p.grad_factor, p.mean_factor, p.var_factor],
        grad: Prepare::new(p.rescale_grad, p.clip_gradient, p.wd),
    };
    with_states(rule, r)
}

fn delay(p: &DelayParams) -> Delay {
    let grad = Prepare::new(p.rescale_grad, p.clip_gradient, p.wd);
    Delay { lr: p.lr.into(), momentum: p.momentum.into(), lamda: p.lamda.into(), grad }
}

table! {
    NAG_RATE_UPDATE = OpDef::new("_nag_update", &["weight", "grad", "mom"], run_nag)
        .params::<NagRateParams>().inplace().mutates(&[2]).dtype(one_float_type)
        .doc("Nesterov's momentum with the rate outside of it: with `g = ĝ + wd weight`, `mom = momentum mom + g`, \
              `weight - lr (g + momentum mom)`.")
        .no_gradient(OUTSIDE).no_samples(STATES);
    ADADELTA_UPDATE = OpDef::new("_adadelta_update", &["weight", "grad", "acc_g", "acc_delta"], run_adadelta)
        .params::<AdaDeltaParams>().inplace().mutates(&[2, 3]).dtype(one_float_type)
        .doc("AdaDelta: `acc_g = ρ acc_g + (1 - ρ) ĝ²`, `δ = √(acc_delta + ε) / √(acc_g + ε) ĝ`, \
              `acc_delta = ρ acc_delta + (1 - ρ) δ²`, `weight - δ - wd weight`.")
        .no_gradient(OUTSIDE).no_samples(STATES);
    ADAMAX_UPDATE = OpDef::new("_adamax_update", &["weight", "grad", "mean", "bound"], run_adamax)
        .params::<AdamaxParams>().inplace().mutates(&[2, 3]).dtype(one_float_type)
        .doc("Adamax: with `g = clip(rescale_grad grad + wd weight)`, `mean = β₁ mean + (1 - β₁) g`, \
              `bound = max(β₂ bound, |g|)`, `weight - lr mean / bound`, where nothing moves while `bound` is 0.")
        .no_gradient(OUTSIDE).no_samples(STATES);
    NADAM_UPDATE = OpDef::new("_nadam_update", &["weight", "grad", "mean", "var"], run_nadam)
        .params::<NadamParams>().inplace().mutates(&[2, 3]).dtype(one_float_type)
        .doc("Nadam: with `g = clip(rescale_grad grad + wd weight)`, `mean = β₁ mean + (1 - β₁) g`, `var = β₂ var + (1 - β₂) g²`, \
              `weight - lr (grad_factor g + mean_factor mean) / (√(var_factor var) + ε)`.")
        .no_gradient(OUTSIDE).no_samples(STATES);
    DCASGD_UPDATE = OpDef::new("_dcasgd_update", &["weight", "grad", "previous"],
            |r| with_state(delay(r.p()), r))
        .params::<DelayParams>().inplace().mutates(&[2]).dtype(one_float_type)
        .doc("Gradient descent with delay compensation: `weight - lr (ĝ + wd weight + λ ĝ² (weight - previous))`; \
              `previous` becomes the old weight.")
        .no_gradient(OUTSIDE).no_samples(STATES);
    DCASGD_MOM_UPDATE = OpDef::new("_dcasgd_mom_update", &["weight", "grad", "previous", "mom"],
            |r| with_states(delay(r.p()), r))
        .params::<DelayParams>().inplace().mutates(&[2, 3]).dtype(one_float_type)
        .doc("`_dcasgd_update` with momentum: `mom = momentum mom - lr (…)`, `weight + mom`.")
        .no_gradient(OUTSIDE).no_samples(STATES);
}
