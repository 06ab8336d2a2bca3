//! Updates whose steps adapt to the past of each gradient.

use super::{OUTSIDE, Prepare, STATES, average, one_float_type};
use crate::dtype::Elem;
use crate::error::Result;
use crate::kernels::optim::{Arith, Update, update};
use crate::kernels::reduce::{SumSq, reduce};
use crate::ops::def::{OpDef, Run};
use crate::tensor::Tensor;

params! {
    /// Adam.
    pub struct AdamParams {
        lr: f32, "learning rate";
        beta1: f32 = 0.9, "decay of the mean";
        beta2: f32 = 0.999, "decay of the mean square";
        epsilon: f32 = 1e-8, "keeps the divisor from 0";
        wd: f32 = 0.0, "weight decay";
        rescale_grad: f32 = 1.0, "factor of the gradient";
        clip_gradient: f32 = -1.0, "bound of the gradient with its decay; negative for none";
        lazy_update: bool = true, "without effect: gradients are dense";
    }
}

params! {
    /// RMSProp.
    pub struct RmsParams {
        lr: f32, "learning rate";
        gamma1: f32 = 0.95, "decay of the mean square";
        epsilon: f32 = 1e-8, "keeps the divisor from 0";
        wd: f32 = 0.0, "weight decay";
        rescale_grad: f32 = 1.0, "factor of the gradient";
        clip_gradient: f32 = -1.0, "bound of the gradient with its decay; negative for none";
        clip_weights: f32 = -1.0, "bound of the weight; negative for none";
    }
}

params! {
    /// Centred RMSProp.
    pub struct RmsAlexParams {
        lr: f32, "learning rate";
        gamma1: f32 = 0.95, "decay of the mean and the mean square";
        gamma2: f32 = 0.9, "factor of the last step";
        epsilon: f32 = 1e-8, "keeps the divisor from 0";
        wd: f32 = 0.0, "weight decay";
        rescale_grad: f32 = 1.0, "factor of the gradient";
        clip_gradient: f32 = -1.0, "bound of the gradient with its decay; negative for none";
        clip_weights: f32 = -1.0, "bound of the weight; negative for none";
    }
}

params! {
    /// FTRL.
    pub struct FtrlParams {
        lr: f32, "learning rate";
        lamda1: f32 = 0.01, "strength of the absolute penalty";
        beta: f32 = 1.0, "smooths the learning rate";
        wd: f32 = 0.0, "strength of the square penalty";
        rescale_grad: f32 = 1.0, "factor of the gradient";
        clip_gradient: f32 = -1.0, "bound of the rescaled gradient; negative for none";
    }
}

params! {
    /// FTML.
    pub struct FtmlParams {
        lr: f32, "learning rate";
        beta1: f32 = 0.6, "decay of the mean";
        beta2: f32 = 0.999, "decay of the mean square";
        epsilon: f64 = 9.999_999_939_225_29e-9, "keeps the divisor from 0";
        t: i64, "number of this step, from 1 on";
        wd: f32 = 0.0, "weight decay";
        rescale_grad: f32 = 1.0, "factor of the gradient";
        clip_grad: f32 = -1.0, "bound of the gradient with its decay; negative for none";
    }
}

params! {
    /// AdaGrad.
    pub struct AdagradParams {
        lr: f32, "learning rate";
        epsilon: f32 = 1e-7, "keeps the divisor from 0";
        wd: f32 = 0.0, "weight decay";
        rescale_grad: f32 = 1.0, "factor of the gradient";
        clip_gradient: f32 = -1.0, "bound of the rescaled gradient; negative for none";
    }
}

params! {
    /// AdaGrad by rows.
    pub struct GroupAdagradParams {
        lr: f32, "learning rate";
        rescale_grad: f32 = 1.0, "factor of the gradient";
        clip_gradient: f32 = -1.0, "bound of the rescaled gradient; negative for none";
        epsilon: f32 = 1e-5, "keeps the divisor from 0";
    }
}

#[derive(Clone, Copy)]
struct Adam {
    lr: f64,
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    grad: Prepare,
}

impl Update<4, 3> for Adam {
    #[inline(always)]
    fn step<A: Arith>(self, a: A, [w, g, m, v]: [A::V; 4]) -> [A::V; 3] {
        let g = self.grad.with_decay(a, g, w);
        let (m, v) = (average(a, self.beta1, m, g), average(a, self.beta2, v, g * g));
        [w - a.splat(self.lr) * m / (a.sqrt(v) + a.splat(self.epsilon)), m, v]
    }
}

#[derive(Clone, Copy)]
struct Rms {
    lr: f64,
    gamma1: f64,
    gamma2: f64,
    epsilon: f64,
    bound: f64,
    grad: Prepare,
}

impl Update<3, 2> for Rms {
    #[inline(always)]
    fn step<A: Arith>(self, a: A, [w, g, n]: [A::V; 3]) -> [A::V; 2] {
        let g = self.grad.with_decay(a, g, w);
        let n = average(a, self.gamma1, n, g * g);
        let w = w - a.splat(self.lr) * g / a.sqrt(n + a.splat(self.epsilon));
        [a.clip(w, self.bound), n]
    }
}

#[derive(Clone, Copy)]
struct RmsAlex(Rms);

impl Update<5, 4> for RmsAlex {
    #[inline(always)]
    fn step<A: Arith>(self, a: A, [w, x, n, g, delta]: [A::V; 5]) -> [A::V; 4] {
        let p = self.0;
        let x = p.grad.with_decay(a, x, w);
        let (n, g) = (average(a, p.gamma1, n, x * x), average(a, p.gamma1, g, x));
        let delta = a.splat(p.gamma2) * delta - a.splat(p.lr) * x / a.sqrt(n - g * g + a.splat(p.epsilon));
        [a.clip(w + delta, p.bound), n, g, delta]
    }
}

#[derive(Clone, Copy)]
struct Ftrl {
    lr: f64,
    lamda1: f64,
    beta: f64,
    wd: f64,
    grad: Prepare,
}

impl Update<4, 3> for Ftrl {
    #[inline(always)]
    fn step<A: Arith>(self, a: A, [w, g, z, n]: [A::V; 4]) -> [A::V; 3] {
        let (lr, penalty, zero) = (a.splat(self.lr), a.splat(self.lamda1), a.splat(0.0));
        let g = self.grad.scaled(a, g);
        let n1 = n + g * g;
        let z = z + g - (a.sqrt(n1) - a.sqrt(n)) * w / lr;
        let w = (a.sign(z) * penalty - z) / ((a.splat(self.beta) + a.sqrt(n1)) / lr + a.splat(self.wd));
        [a.if_gt(a.abs(z), penalty, w, zero), z, n1]
    }
}

#[derive(Clone, Copy)]
struct Ftml {
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    /// (1 - beta1^t) / lr and 1 - beta2^t.
    rate: f64,
    correction: f64,
    grad: Prepare,
}

impl Update<5, 4> for Ftml {
    #[inline(always)]
    fn step<A: Arith>(self, a: A, [w, g, d, v, z]: [A::V; 5]) -> [A::V; 4] {
        let g = self.grad.with_decay(a, g, w);
        let v = average(a, self.beta2, v, g * g);
        let d1 = a.splat(self.rate) * (a.sqrt(v / a.splat(self.correction)) + a.splat(self.epsilon));
        let z = average(a, self.beta1, z, g) - (d1 - a.splat(self.beta1) * d) * w;
        [-z / d1, d1, v, z]
    }
}

#[derive(Clone, Copy)]
struct Adagrad {
    lr: f64,
    epsilon: f64,
    wd: f64,
    grad: Prepare,
}

impl Update<3, 2> for Adagrad {
    #[inline(always)]
    fn step<A: Arith>(self, a: A, [w, g, h]: [A::V; 3]) -> [A::V; 2] {
        let g = self.grad.scaled(a, g);
        let h = h + g * g;
        [w - a.splat(self.lr) * (g / a.sqrt(h + a.splat(self.epsilon)) + a.splat(self.wd) * w), h]
    }
}

/// w - rate ĝ.
#[derive(Clone, Copy)]
struct Step {
    rate: f64,
    grad: Prepare,
}

impl Update<2, 1> for Step {
    #[inline(always)]
    fn step<A: Arith>(self, a: A, [w, g]: [A::V; 2]) -> [A::V; 1] {
        [w - a.splat(self.rate) * self.grad.scaled(a, g)]
    }
}

/// ĝ.
#[derive(Clone, Copy)]
struct Scaled(Prepare);

impl Update<1, 1> for Scaled {
    #[inline(always)]
    fn step<A: Arith>(self, a: A, [g]: [A::V; 1]) -> [A::V; 1] {
        [self.0.scaled(a, g)]
    }
}

fn run_adam(r: &Run<'_>) -> Result<()> {
    let p = r.p::<AdamParams>();
    let rule = Adam {
        lr: p.lr.into(),
        beta1: p.beta1.into(),
        beta2: p.beta2.into(),
        epsilon: p.epsilon.into(),
        grad: Prepare::new(p.rescale_grad, p.clip_gradient, p.wd),
    };
    let [w, g, m, v] = [0, 1, 2, 3].map(|i| r.ins[i].span());
    update(rule, [w, g, m, v], [r.outs[0].span(), m, v]);
    Ok(())
}

fn run_rms(r: &Run<'_>) -> Result<()> {
    let p = r.p::<RmsParams>();
    let rule = Rms {
        lr: p.lr.into(),
        gamma1: p.gamma1.into(),
        gamma2: 0.0,
        epsilon: p.epsilon.into(),
        bound: p.clip_weights.into(),
        grad: Prepare::new(p.rescale_grad, p.clip_gradient, p.wd),
    };
    let [w, g, n] = [0, 1, 2].map(|i| r.ins[i].span());
    update(rule, [w, g, n], [r.outs[0].span(), n]);
    Ok(())
}

fn run_rms_alex(r: &Run<'_>) -> Result<()> {
    let p = r.p::<RmsAlexParams>();
    let rule = RmsAlex(Rms {
        lr: p.lr.into(),
        gamma1: p.gamma1.into(),
        gamma2: p.gamma2.into(),
        epsilon: p.epsilon.into(),
        bound: p.clip_weights.into(),
        grad: Prepare::new(p.rescale_grad, p.clip_gradient, p.wd),
    });
    let [w, x, n, g, delta] = [0, 1, 2, 3, 4].map(|i| r.ins[i].span());
    update(rule, [w, x, n, g, delta], [r.outs[0].span(), n, g, delta]);
    Ok(())
}

fn run_ftrl(r: &Run<'_>) -> Result<()> {
    let p = r.p::<FtrlParams>();
    let rule = Ftrl {
        lr: p.lr.into(),
        lamda1: p.lamda1.into(),
        beta: p.beta.into(),
        wd: p.wd.into(),
        grad: Prepare::new(p.rescale_grad, p.clip_gradient, 0.0),
    };
    let [w, g, z, n] = [0, 1, 2, 3].map(|i| r.ins[i].span());
    update(rule, [w, g, z, n], [r.outs[0].span(), z, n]);
    Ok(())
}

/// base^t for a step number.
pub(super) fn power(base: f64, t: i64) -> f64 {
    base.powi(i32::try_from(t).unwrap_or(i32::MAX))
}

/// Step numbers begin with 1.
pub(super) fn check_step(t: i64) -> Result<()> {
    if t < 1 {
        bail!(Param, "steps are counted from 1, got t = {t}");
    }
    Ok(())
}

fn run_ftml(r: &Run<'_>) -> Result<()> {
    let p = r.p::<FtmlParams>();
    check_step(p.t)?;
    let rule = Ftml {
        beta1: p.beta1.into(),
        beta2: p.beta2.into(),
        epsilon: p.epsilon,
        rate: (1.0 - power(p.beta1.into(), p.t)) / f64::from(p.lr),
        correction: 1.0 - power(p.beta2.into(), p.t),
        grad: Prepare::new(p.rescale_grad, p.clip_grad, p.wd),
    };
    let [w, g, d, v, z] = [0, 1, 2, 3, 4].map(|i| r.ins[i].span());
    update(rule, [w, g, d, v, z], [r.outs[0].span(), d, v, z]);
    Ok(())
}

fn run_adagrad(r: &Run<'_>) -> Result<()> {
    let p = r.p::<AdagradParams>();
    let rule = Adagrad {
        lr: p.lr.into(),
        epsilon: p.epsilon.into(),
        wd: p.wd.into(),
        grad: Prepare::new(p.rescale_grad, p.clip_gradient, 0.0),
    };
    let [w, g, h] = [0, 1, 2].map(|i| r.ins[i].span());
    update(rule, [w, g, h], [r.outs[0].span(), h]);
    Ok(())
}

fn run_group_adagrad(r: &Run<'_>) -> Result<()> {
    let p = r.p::<GroupAdagradParams>();
    let (w, g, h, out) = (r.ins[0], r.ins[1], r.ins[2], r.outs[0]);
    let grad = Prepare::new(p.rescale_grad, p.clip_gradient, 0.0);
    let rows = w.dims()[0];
    let width = w.size() / rows.max(1);
    let scaled = Tensor::empty(&[rows, width], g.dtype(), g.device())?;
    update(Scaled(grad), [g.span()], [scaled.span()]);
    let sums = Tensor::empty(&[rows], g.dtype(), g.device())?;
    reduce(SumSq, scaled.span(), &[rows, width], &[false, true], sums.span());
    let means: Vec<f64> = sums.to_vec_f64().iter().map(|s| s / width.max(1) as f64).collect();
    with_dtype!(h.dtype(), T => {
        // SAFETY: the state is this call's to change.
        let h = unsafe { h.span().slice_mut::<T>() };
        for (i, (h, m)) in h.iter_mut().zip(&means).enumerate() {
            *h = T::from_f64(h.to_f64() + m);
            let rate = f64::from(p.lr) / (h.to_f64() + f64::from(p.epsilon)).sqrt();
            let row = |s: crate::storage::Span| s.sub(i * width, width);
            update(Step { rate, grad }, [row(w.span()), row(g.span())], [row(out.span())]);
        }
    });
    Ok(())
}

table! {
    ADAM_UPDATE = OpDef::new("adam_update", &["weight", "grad", "mean", "var"], run_adam).aliases(&["_sparse_adam_update"])
        .params::<AdamParams>().inplace().mutates(&[2, 3]).dtype(one_float_type)
        .doc("Adam without correction of the bias: with `g = clip(rescale_grad grad + wd weight)`, `mean = β₁ mean + (1 - β₁) g`, \
              `var = β₂ var + (1 - β₂) g²`, `weight - lr mean / (√var + ε)`.")
        .no_gradient(OUTSIDE).no_samples(STATES);
    RMSPROP_UPDATE = OpDef::new("rmsprop_update", &["weight", "grad", "n"], run_rms)
        .params::<RmsParams>().inplace().mutates(&[2]).dtype(one_float_type)
        .doc("RMSProp: with `g = clip(rescale_grad grad + wd weight)`, `n = γ₁ n + (1 - γ₁) g²`, `weight - lr g / √(n + ε)`.")
        .no_gradient(OUTSIDE).no_samples(STATES);
    RMSPROPALEX_UPDATE = OpDef::new("rmspropalex_update", &["weight", "grad", "n", "g", "delta"], run_rms_alex)
        .params::<RmsAlexParams>().inplace().mutates(&[2, 3, 4]).dtype(one_float_type)
        .doc("Centred RMSProp: with `x = clip(rescale_grad grad + wd weight)`, `n = γ₁ n + (1 - γ₁) x²`, `g = γ₁ g + (1 - γ₁) x`, \
              `delta = γ₂ delta - lr x / √(n - g² + ε)`, `weight + delta`.")
        .no_gradient(OUTSIDE).no_samples(STATES);
    FTRL_UPDATE = OpDef::new("ftrl_update", &["weight", "grad", "z", "n"], run_ftrl).aliases(&["_sparse_ftrl_update"])
        .params::<FtrlParams>().inplace().mutates(&[2, 3]).dtype(one_float_type)
        .doc("FTRL-proximal: `z += ĝ - (√(n + ĝ²) - √n) weight / lr`, `n += ĝ²`, and where `|z| > λ₁` the weight is \
              `(sign(z) λ₁ - z) / ((β + √n) / lr + wd)`, elsewhere 0.")
        .no_gradient(OUTSIDE).no_samples(STATES);
    FTML_UPDATE = OpDef::new("ftml_update", &["weight", "grad", "d", "v", "z"], run_ftml)
        .params::<FtmlParams>().inplace().mutates(&[2, 3, 4]).dtype(one_float_type)
        .doc("Follow the moving leader: with `g = clip(rescale_grad grad + wd weight)`, `v = β₂ v + (1 - β₂) g²`, \
              `d' = (1 - β₁ᵗ) / lr (√(v / (1 - β₂ᵗ)) + ε)`, `z = β₁ z + (1 - β₁) g - (d' - β₁ d) weight`, `-z / d'`.")
        .no_gradient(OUTSIDE).no_samples(STATES);
    ADAGRAD_UPDATE = OpDef::new("_sparse_adagrad_update", &["weight", "grad", "history"], run_adagrad)
        .params::<AdagradParams>().inplace().mutates(&[2]).dtype(one_float_type)
        .doc("AdaGrad: `history += ĝ²`, `weight - lr (ĝ / √(history + ε) + wd weight)`.")
        .no_gradient(OUTSIDE).no_samples(STATES);
    GROUP_ADAGRAD_UPDATE = OpDef::new("_contrib_group_adagrad_update", &["weight", "grad", "history"], run_group_adagrad)
        .params::<GroupAdagradParams>().inplace().mutates(&[2]).dtype(one_float_type)
        .shape(|s| {
            let mut head = crate::ops::infer::Shapes { params: s.params, ins: &mut s.ins[..2], outs: s.outs };
            crate::ops::infer::same(&mut head)?;
            match s.input(0) {
                Some(w) if w.is_empty() => bail!(Shape, "the weight needs rows"),
                Some(w) => s.want(2, &[w[0], 1]),
                None => Ok(()),
            }
        })
        .doc("AdaGrad with one rate for each row: `history += mean(ĝ²)` over the row, `weight - lr ĝ / √(history + ε)`.")
        .no_gradient(OUTSIDE).no_samples(STATES);
}
