//! Updates along the gradient, with and without momentum.

use super::{OUTSIDE, Prepare, STATES, mixed_type, one_float_type};
use crate::error::Result;
use crate::kernels::optim::{Arith, Update, update};
use crate::ops::def::{OpDef, Run};

params! {
    /// Stochastic gradient descent.
    pub struct SgdParams {
        lr: f32, "learning rate";
        wd: f32 = 0.0, "weight decay";
        rescale_grad: f32 = 1.0, "factor of the gradient";
        clip_gradient: f32 = -1.0, "bound of the rescaled gradient; negative for none";
        lazy_update: bool = true, "without effect: gradients are dense";
    }
}

params! {
    /// With momentum.
    pub struct MomentumParams {
        lr: f32, "learning rate";
        momentum: f32 = 0.0, "factor of the last step";
        wd: f32 = 0.0, "weight decay";
        rescale_grad: f32 = 1.0, "factor of the gradient";
        clip_gradient: f32 = -1.0, "bound of the rescaled gradient; negative for none";
        lazy_update: bool = true, "without effect: gradients are dense";
    }
}

params! {
    /// With Nesterov's momentum.
    pub struct NagParams {
        lr: f32, "learning rate";
        momentum: f32 = 0.0, "factor of the last step";
        wd: f32 = 0.0, "weight decay";
        rescale_grad: f32 = 1.0, "factor of the gradient";
        clip_gradient: f32 = -1.0, "bound of the rescaled gradient; negative for none";
    }
}

params! {
    /// Along the sign of the gradient.
    pub struct SignParams {
        lr: f32, "learning rate";
        wd: f32 = 0.0, "weight decay";
        rescale_grad: f32 = 1.0, "factor of the gradient, which its sign does not feel";
        clip_gradient: f32 = -1.0, "bound of the gradient, which its sign does not feel";
    }
}

params! {
    /// Along the sign of the momentum.
    pub struct SignumParams {
        lr: f32, "learning rate";
        momentum: f32 = 0.0, "factor of the last momentum";
        wd: f32 = 0.0, "weight decay, added to the gradient";
        rescale_grad: f32 = 1.0, "factor of the gradient";
        clip_gradient: f32 = -1.0, "bound of the rescaled gradient; negative for none";
        wd_lh: f32 = 0.0, "weight decay, apart from the gradient";
    }
}

/// w - lr (ĝ + wd w).
#[derive(Clone, Copy)]
pub(super) struct Sgd {
    pub(super) lr: f64,
    pub(super) grad: Prepare,
}

impl Update<2, 1> for Sgd {
    #[inline(always)]
    fn step<A: Arith>(self, a: A, [w, g]: [A::V; 2]) -> [A::V; 1] {
        [w - a.splat(self.lr) * self.grad.then_decay(a, g, w)]
    }
}

/// m = momentum m - lr (ĝ + wd w); w + m.
#[derive(Clone, Copy)]
pub(super) struct Momentum {
    pub(super) lr: f64,
    pub(super) momentum: f64,
    pub(super) grad: Prepare,
}

impl Update<3, 2> for Momentum {
    #[inline(always)]
    fn step<A: Arith>(self, a: A, [w, g, m]: [A::V; 3]) -> [A::V; 2] {
        let m = a.splat(self.momentum) * m - a.splat(self.lr) * self.grad.then_decay(a, g, w);
        [w + m, m]
    }
}

/// m = momentum m - lr (ĝ + wd w); w + momentum m - lr (ĝ + wd w).
#[derive(Clone, Copy)]
struct Nag(Momentum);

impl Update<3, 2> for Nag {
    #[inline(always)]
    fn step<A: Arith>(self, a: A, [w, g, m]: [A::V; 3]) -> [A::V; 2] {
        let (lr, momentum) = (a.splat(self.0.lr), a.splat(self.0.momentum));
        let step = lr * self.0.grad.then_decay(a, g, w);
        let m = momentum * m - step;
        [w + momentum * m - step, m]
    }
}

/// The float32 copy of the weight is updated, and written to the weight too.
#[derive(Clone, Copy)]
pub(super) struct Mixed<U>(pub(super) U);

impl Update<2, 2> for Mixed<Sgd> {
    #[inline(always)]
    fn step<A: Arith>(self, a: A, x: [A::V; 2]) -> [A::V; 2] {
        let [w] = self.0.step(a, x);
        [w, w]
    }
}

impl Update<3, 3> for Mixed<Momentum> {
    #[inline(always)]
    fn step<A: Arith>(self, a: A, x: [A::V; 3]) -> [A::V; 3] {
        let [w, m] = self.0.step(a, x);
        [w, m, w]
    }
}

/// As in MXNet the decay that enters the momentum is that of the new weight.
impl Update<3, 3> for Mixed<Nag> {
    #[inline(always)]
    fn step<A: Arith>(self, a: A, x: [A::V; 3]) -> [A::V; 3] {
        let [w, _] = self.0.step(a, x);
        let rule = self.0.0;
        let m = a.splat(rule.momentum) * x[2] - a.splat(rule.lr) * rule.grad.then_decay(a, x[1], w);
        [w, m, w]
    }
}

/// (1 - lr wd) w - lr sign(g).
#[derive(Clone, Copy)]
struct SignSgd {
    lr: f64,
    keep: f64,
}

impl Update<2, 1> for SignSgd {
    #[inline(always)]
    fn step<A: Arith>(self, a: A, [w, g]: [A::V; 2]) -> [A::V; 1] {
        [a.splat(self.keep) * w - a.splat(self.lr) * a.sign(g)]
    }
}

/// m = momentum m - (1 - momentum)(ĝ + wd w); (1 - lr wd_lh) w + lr sign(m).
#[derive(Clone, Copy)]
struct Signum {
    lr: f64,
    momentum: f64,
    keep: f64,
    grad: Prepare,
}

impl Update<3, 2> for Signum {
    #[inline(always)]
    fn step<A: Arith>(self, a: A, [w, g, m]: [A::V; 3]) -> [A::V; 2] {
        let g = self.grad.then_decay(a, g, w);
        let m = a.splat(self.momentum) * m - a.splat(1.0 - self.momentum) * g;
        [a.splat(self.keep) * w + a.splat(self.lr) * a.sign(m), m]
    }
}

fn sgd(p: &SgdParams) -> Sgd {
    Sgd { lr: p.lr.into(), grad: Prepare::new(p.rescale_grad, p.clip_gradient, p.wd) }
}

fn momentum(p: &MomentumParams) -> Momentum {
    let grad = Prepare::new(p.rescale_grad, p.clip_gradient, p.wd);
    Momentum { lr: p.lr.into(), momentum: p.momentum.into(), grad }
}

fn nag(p: &NagParams) -> Nag {
    let grad = Prepare::new(p.rescale_grad, p.clip_gradient, p.wd);
    Nag(Momentum { lr: p.lr.into(), momentum: p.momentum.into(), grad })
}

fn run_signsgd(r: &Run<'_>) -> Result<()> {
    let p = r.p::<SignParams>();
    let rule = SignSgd { lr: p.lr.into(), keep: f64::from(1.0 - p.lr * p.wd) };
    update(rule, [r.ins[0].span(), r.ins[1].span()], [r.outs[0].span()]);
    Ok(())
}

fn run_signum(r: &Run<'_>) -> Result<()> {
    let p = r.p::<SignumParams>();
    let rule = Signum {
        lr: p.lr.into(),
        momentum: p.momentum.into(),
        keep: f64::from(1.0 - p.lr * p.wd_lh),
        grad: Prepare::new(p.rescale_grad, p.clip_gradient, p.wd),
    };
    with_state(rule, r);
    Ok(())
}

/// Weight, gradient and one state.
fn with_state<U: Update<3, 2>>(rule: U, r: &Run<'_>) {
    let m = r.ins[2].span();
    update(rule, [r.ins[0].span(), r.ins[1].span(), m], [r.outs[0].span(), m]);
}

/// Weight, gradient, one state and the weight in float32.
fn with_state_mixed<U: Update<3, 3>>(rule: U, r: &Run<'_>) {
    let (m, w32) = (r.ins[2].span(), r.ins[3].span());
    update(rule, [w32, r.ins[1].span(), m], [r.outs[0].span(), m, w32]);
}

table! {
    SGD_UPDATE = OpDef::new("sgd_update", &["weight", "grad"], |r| {
            update(sgd(r.p()), [r.ins[0].span(), r.ins[1].span()], [r.outs[0].span()]);
            Ok(())
        }).aliases(&["_sparse_sgd_update"]).params::<SgdParams>().inplace().dtype(one_float_type)
        .doc("Gradient descent: `weight - lr (ĝ + wd weight)`.")
        .no_gradient(OUTSIDE).no_samples(STATES);
    SGD_MOM_UPDATE = OpDef::new("sgd_mom_update", &["weight", "grad", "mom"], |r| {
            with_state(momentum(r.p()), r);
            Ok(())
        }).aliases(&["_sparse_sgd_mom_update"]).params::<MomentumParams>().inplace().mutates(&[2]).dtype(one_float_type)
        .doc("Gradient descent with momentum: `mom = momentum mom - lr (ĝ + wd weight)`, `weight + mom`.")
        .no_gradient(OUTSIDE).no_samples(STATES);
    MP_SGD_UPDATE = OpDef::new("mp_sgd_update", &["weight", "grad", "weight32"], |r| {
            let w32 = r.ins[2].span();
            update(Mixed(sgd(r.p())), [w32, r.ins[1].span()], [r.outs[0].span(), w32]);
            Ok(())
        }).params::<SgdParams>().inplace().mutates(&[2]).dtype(mixed_type)
        .doc("`sgd_update` on a float32 copy of the weight.")
        .no_gradient(OUTSIDE).no_samples(STATES);
    MP_SGD_MOM_UPDATE = OpDef::new("mp_sgd_mom_update", &["weight", "grad", "mom", "weight32"], |r| {
            with_state_mixed(Mixed(momentum(r.p())), r);
            Ok(())
        }).params::<MomentumParams>().inplace().mutates(&[2, 3]).dtype(mixed_type)
        .doc("`sgd_mom_update` on a float32 copy of the weight.")
        .no_gradient(OUTSIDE).no_samples(STATES);
    NAG_MOM_UPDATE = OpDef::new("nag_mom_update", &["weight", "grad", "mom"], |r| {
            with_state(nag(r.p()), r);
            Ok(())
        }).params::<NagParams>().inplace().mutates(&[2]).dtype(one_float_type)
        .doc("Nesterov's momentum: `mom = momentum mom - s`, `weight + momentum mom - s`, where `s = lr (ĝ + wd weight)`.")
        .no_gradient(OUTSIDE).no_samples(STATES);
    MP_NAG_MOM_UPDATE = OpDef::new("mp_nag_mom_update", &["weight", "grad", "mom", "weight32"], |r| {
            with_state_mixed(Mixed(nag(r.p())), r);
            Ok(())
        }).params::<NagParams>().inplace().mutates(&[2, 3]).dtype(mixed_type)
        .doc("`nag_mom_update` on a float32 copy of the weight; the decay in the momentum is that of the new weight.")
        .no_gradient(OUTSIDE).no_samples(STATES);
    SIGNSGD_UPDATE = OpDef::new("signsgd_update", &["weight", "grad"], run_signsgd)
        .params::<SignParams>().inplace().dtype(one_float_type)
        .doc("Along the sign of the gradient: `(1 - lr wd) weight - lr sign(grad)`.")
        .no_gradient(OUTSIDE).no_samples(STATES);
    SIGNUM_UPDATE = OpDef::new("signum_update", &["weight", "grad", "mom"], run_signum)
        .params::<SignumParams>().inplace().mutates(&[2]).dtype(one_float_type)
        .doc("Along the sign of the momentum: `mom = momentum mom - (1 - momentum)(ĝ + wd weight)`, \
              `(1 - lr wd_lh) weight + lr sign(mom)`.")
        .no_gradient(OUTSIDE).no_samples(STATES);
}
