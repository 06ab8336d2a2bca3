//! Updates of many weights in one call. Inputs come weight by weight: weight, gradient, then its states. A call saves the price of a
//! call per weight, which for small ones is more than the update.

use super::adamw::{AdamW, AdamWParams};
use super::lamb::{Direction, LambParams, Length, lamb};
use super::sgd::{Mixed, Momentum, Sgd};
use super::{OUTSIDE, Prepare, STATES, float};
use crate::dtype::DType;
use crate::error::Result;
use crate::kernels::optim::update;
use crate::ops::def::{OpDef, Run};
use crate::ops::infer::{Shapes, Types};
use crate::ops::params::{Ints, Params};
use crate::tensor::Tensor;

params! {
    /// Gradient descent.
    pub struct MultiSgd {
        lrs: Vec<f64>, "learning rates";
        wds: Vec<f64>, "weight decays";
        rescale_grad: f32 = 1.0, "factor of the gradients";
        clip_gradient: f32 = -1.0, "bound of the rescaled gradients; negative for none";
        num_weights: i64 = 1, "number of weights";
    }
}

params! {
    /// Gradient descent with momentum.
    pub struct MultiMomentum {
        lrs: Vec<f64>, "learning rates";
        wds: Vec<f64>, "weight decays";
        momentum: f32 = 0.0, "factor of the last step";
        rescale_grad: f32 = 1.0, "factor of the gradients";
        clip_gradient: f32 = -1.0, "bound of the rescaled gradients; negative for none";
        num_weights: i64 = 1, "number of weights";
    }
}

params! {
    /// Gradient descent with rates in arrays.
    pub struct LoadedSgd {
        rescale_grad: f32 = 1.0, "factor of the gradients";
        clip_gradient: f32 = -1.0, "bound of the rescaled gradients; negative for none";
        num_weights: i64 = 1, "number of weights";
    }
}

params! {
    /// Gradient descent with momentum and rates in arrays.
    pub struct LoadedMomentum {
        momentum: f32 = 0.0, "factor of the last step";
        rescale_grad: f32 = 1.0, "factor of the gradients";
        clip_gradient: f32 = -1.0, "bound of the rescaled gradients; negative for none";
        num_weights: i64 = 1, "number of weights";
    }
}

params! {
    /// AdamW.
    pub struct MultiAdamW {
        lrs: Vec<f64>, "learning rates";
        beta1: f32 = 0.9, "decay of the means";
        beta2: f32 = 0.999, "decay of the mean squares";
        epsilon: f32 = 1e-8, "keeps the divisors from 0";
        wds: Vec<f64>, "weight decays";
        etas: Vec<f64>, "factors of step and decay";
        clip_gradient: f32 = -1.0, "bound of the rescaled gradients; negative for none";
        num_weights: i64 = 1, "number of weights";
    }
}

params! {
    /// LAMB.
    pub struct MultiLamb {
        learning_rates: Vec<f64>, "learning rates";
        beta1: f32 = 0.9, "decay of the means";
        beta2: f32 = 0.999, "decay of the mean squares";
        epsilon: f32 = 1e-6, "keeps the divisors from 0";
        wds: Vec<f64>, "weight decays";
        rescale_grad: f32 = 1.0, "factor of the gradients";
        lower_bound: f32 = -1.0, "least norm of a weight; negative for none";
        upper_bound: f32 = -1.0, "greatest norm of a weight; negative for none";
        clip_gradient: f32 = -1.0, "bound of the rescaled gradients; negative for none";
        bias_correction: bool = true, "correct means for their start at 0";
        step_count: Ints, "numbers of this step, from 1 on";
        num_tensors: i64 = 1, "number of weights";
    }
}

/// How the inputs of such an operator are laid out.
trait Layout: 'static {
    /// Inputs for each weight.
    const EACH: usize;
    /// Inputs after those of all weights, and what shape they have: one element, or one for each weight.
    const AFTER: usize = 0;
    const PER_WEIGHT: bool = false;
    /// Whether weights come with a float32 copy, their last input; then states are float32 too. Weights in float32 do not touch it.
    const MIXED: bool;
    /// Number of weights, and how many numbers each list has.
    fn counts(p: &Params) -> (i64, Vec<usize>);
}

/// Weights, bounded so that a wrong number costs nothing; `infer` compares it with the inputs.
fn weights<L: Layout>(p: &Params) -> usize {
    L::counts(p).0.clamp(0, 256) as usize
}

fn infer<L: Layout>(s: &mut Shapes<'_>) -> Result<()> {
    let ((n, lists), given) = (L::counts(s.params), s.ins.len());
    if !(1..=256).contains(&n)
        || n.checked_mul(L::EACH as i64).is_none_or(|w| w + L::AFTER as i64 != given as i64)
    {
        bail!(
            Argument,
            "1 to 256 weights with {} inputs each and {} more are wanted, got {given} inputs for {n}",
            L::EACH,
            L::AFTER
        );
    }
    let n = n as usize;
    if let Some(len) = lists.iter().find(|&&len| len != n) {
        bail!(Param, "a list of {len} numbers does not fit {n} weights");
    }
    for i in 0..n {
        let first = i * L::EACH;
        let w = s.ins[first].clone();
        s.outs[i].merge(&w)?;
        let out = s.outs[i].clone();
        (first..first + L::EACH).try_for_each(|k| s.want_partial(k, &out))?;
    }
    let after: &[usize] = if L::PER_WEIGHT { &[n] } else { &[1] };
    (n * L::EACH..given).try_for_each(|k| s.want(k, after))
}

fn infer_type<L: Layout>(t: &mut Types<'_>) -> Result<()> {
    let n = weights::<L>(t.params).min(t.ins.len() / L::EACH);
    for i in 0..n {
        let d = t.ins[i * L::EACH].or(t.outs[i]);
        float(d)?;
        let Some(d) = d else { continue };
        t.outs[i] = Some(d);
        for k in 0..L::EACH {
            let want = if L::MIXED && k > 1 { DType::F32 } else { d };
            super::want_type(t, i * L::EACH + k, want)?;
        }
    }
    t.ins.iter_mut().skip(n * L::EACH).for_each(|x| *x = x.or(Some(DType::F32)));
    Ok(())
}

/// An operator with that layout.
const fn multi<L: Layout>(op: OpDef) -> OpDef {
    op.variadic(None)
        .outputs(weights::<L>, weights::<L>)
        .inplace()
        .shape(infer::<L>)
        .dtype(infer_type::<L>)
        .no_gradient(OUTSIDE)
        .no_samples(STATES)
}

/// The first positions that hold a state, where each weight has `EACH` inputs.
const fn states<const EACH: usize, const N: usize>() -> [usize; N] {
    let mut all = [0; N];
    let (mut i, mut n) = (0, 0);
    while n < N {
        if i % EACH > 1 {
            all[n] = i;
            n += 1;
        }
        i += 1;
    }
    all
}
static THIRD: [usize; 256] = states::<3, 256>();
static FOURTH: [usize; 512] = states::<4, 512>();
static FIFTH: [usize; 768] = states::<5, 768>();

/// Inputs `first..` of weight `i`.
fn group<'a, const N: usize>(r: &Run<'a>, each: usize, i: usize) -> [&'a Tensor; N] {
    std::array::from_fn(|k| r.ins[i * each + k])
}

/// Whether that weight is updated through its copy: one that is float32 itself does not touch it.
fn mixed<L: Layout>(weight: &Tensor) -> bool {
    L::MIXED && weight.dtype() != DType::F32
}

/// One step of gradient descent on each weight; `momentum` tells whether there is one.
fn descend<L: Layout>(r: &Run<'_>, momentum: Option<f32>, rate: impl Fn(usize) -> (f64, f64), grad: Prepare) {
    for (i, out) in r.outs.iter().enumerate() {
        let (lr, wd) = rate(i);
        let grad = Prepare { wd, ..grad };
        let (w, g) = (r.ins[i * L::EACH].span(), r.ins[i * L::EACH + 1].span());
        let state = |k: usize| r.ins[i * L::EACH + k].span();
        let mixed = mixed::<L>(out);
        match momentum.map(|m| Momentum { lr, momentum: m.into(), grad }) {
            None if mixed => update(Mixed(Sgd { lr, grad }), [state(2), g], [out.span(), state(2)]),
            None => update(Sgd { lr, grad }, [w, g], [out.span()]),
            Some(rule) if mixed => {
                update(Mixed(rule), [state(3), g, state(2)], [out.span(), state(2), state(3)]);
            }
            Some(rule) => update(rule, [w, g, state(2)], [out.span(), state(2)]),
        }
    }
}

/// Declares a layout.
macro_rules! layout {
    ($name:ident: $params:ty, $each:literal, mixed $mixed:literal, after $after:literal $per:literal, |$p:ident| $count:ident [$($list:ident),*]) => {
        struct $name;
        impl Layout for $name {
            const EACH: usize = $each;
            const AFTER: usize = $after;
            const PER_WEIGHT: bool = $per;
            const MIXED: bool = $mixed;
            fn counts(p: &Params) -> (i64, Vec<usize>) {
                let $p = p.get::<$params>();
                ($p.$count, vec![$($p.$list.len()),*])
            }
        }
    };
}
layout!(PlainSgd: MultiSgd, 2, mixed false, after 0 false, |p| num_weights [lrs, wds]);
layout!(MixedSgd: MultiSgd, 3, mixed true, after 0 false, |p| num_weights [lrs, wds]);
layout!(PlainMomentum: MultiMomentum, 3, mixed false, after 0 false, |p| num_weights [lrs, wds]);
layout!(MixedMomentum: MultiMomentum, 4, mixed true, after 0 false, |p| num_weights [lrs, wds]);
layout!(LoadedPlainSgd: LoadedSgd, 2, mixed false, after 2 true, |p| num_weights []);
layout!(LoadedMixedSgd: LoadedSgd, 3, mixed true, after 2 true, |p| num_weights []);
layout!(LoadedPlainMomentum: LoadedMomentum, 3, mixed false, after 2 true, |p| num_weights []);
layout!(LoadedMixedMomentum: LoadedMomentum, 4, mixed true, after 2 true, |p| num_weights []);
layout!(PlainAdamW: MultiAdamW, 4, mixed false, after 1 false, |p| num_weights [lrs, wds, etas]);
layout!(MixedAdamW: MultiAdamW, 5, mixed true, after 1 false, |p| num_weights [lrs, wds, etas]);
layout!(PlainLamb: MultiLamb, 4, mixed false, after 0 false, |p| num_tensors [learning_rates, wds, step_count]);
layout!(MixedLamb: MultiLamb, 5, mixed true, after 0 false, |p| num_tensors [learning_rates, wds, step_count]);

fn run_sgd<L: Layout>(r: &Run<'_>) -> Result<()> {
    let p = r.p::<MultiSgd>();
    let grad = Prepare::new(p.rescale_grad, p.clip_gradient, 0.0);
    descend::<L>(r, None, |i| (p.lrs[i], p.wds[i]), grad);
    Ok(())
}

fn run_momentum<L: Layout>(r: &Run<'_>) -> Result<()> {
    let p = r.p::<MultiMomentum>();
    let grad = Prepare::new(p.rescale_grad, p.clip_gradient, 0.0);
    descend::<L>(r, Some(p.momentum), |i| (p.lrs[i], p.wds[i]), grad);
    Ok(())
}

fn loaded<L: Layout>(r: &Run<'_>, momentum: Option<f32>, grad: Prepare) -> Result<()> {
    let [lrs, wds] = [2, 1].map(|k| r.ins[r.ins.len() - k].to_vec_f64());
    descend::<L>(r, momentum, |i| (lrs[i], wds[i]), grad);
    Ok(())
}

fn run_loaded_sgd<L: Layout>(r: &Run<'_>) -> Result<()> {
    let p = r.p::<LoadedSgd>();
    loaded::<L>(r, None, Prepare::new(p.rescale_grad, p.clip_gradient, 0.0))
}

fn run_loaded_momentum<L: Layout>(r: &Run<'_>) -> Result<()> {
    let p = r.p::<LoadedMomentum>();
    loaded::<L>(r, Some(p.momentum), Prepare::new(p.rescale_grad, p.clip_gradient, 0.0))
}

fn run_adamw<L: Layout>(r: &Run<'_>) -> Result<()> {
    let p = r.p::<MultiAdamW>();
    let rescale = r.ins[r.ins.len() - 1].item()?;
    for (i, out) in r.outs.iter().enumerate() {
        let rule = AdamWParams {
            lr: p.lrs[i] as f32,
            beta1: p.beta1,
            beta2: p.beta2,
            epsilon: p.epsilon,
            wd: p.wds[i] as f32,
            eta: p.etas[i] as f32,
            clip_gradient: p.clip_gradient,
        };
        let rule = AdamW::new(&rule, rescale);
        if mixed::<L>(out) {
            rule.mixed(group(r, L::EACH, i), out);
        } else {
            rule.plain(group(r, L::EACH, i), out);
        }
    }
    Ok(())
}

fn run_lamb<L: Layout>(r: &Run<'_>) -> Result<()> {
    let p = r.p::<MultiLamb>();
    for (i, out) in r.outs.iter().enumerate() {
        let direction = Direction::new(&LambParams {
            beta1: p.beta1,
            beta2: p.beta2,
            epsilon: p.epsilon,
            t: p.step_count[i],
            bias_correction: p.bias_correction,
            wd: p.wds[i] as f32,
            rescale_grad: p.rescale_grad,
            clip_gradient: p.clip_gradient,
        })?;
        let length = Length { lr: p.learning_rates[i] as f32, lower: p.lower_bound, upper: p.upper_bound };
        let [weight, g, m, v] = group(r, L::EACH, i);
        let copy = mixed::<L>(out);
        let w = if copy { r.ins[i * L::EACH + 4] } else { weight };
        lamb(direction, &length, [w, g, m, v], weight, out, copy)?;
    }
    Ok(())
}

table! {
    MULTI_SGD = multi::<PlainSgd>(OpDef::new("multi_sgd_update", &["data"], run_sgd::<PlainSgd>).params::<MultiSgd>())
        .doc("`sgd_update` of many weights; inputs are weight, gradient of each.");
    MULTI_SGD_MOM = multi::<PlainMomentum>(OpDef::new("multi_sgd_mom_update", &["data"], run_momentum::<PlainMomentum>)
            .params::<MultiMomentum>()).mutates(&THIRD)
        .doc("`sgd_mom_update` of many weights; inputs are weight, gradient, momentum of each.");
    MULTI_MP_SGD = multi::<MixedSgd>(OpDef::new("multi_mp_sgd_update", &["data"], run_sgd::<MixedSgd>).params::<MultiSgd>())
        .mutates(&THIRD)
        .doc("`mp_sgd_update` of many weights; inputs are weight, gradient, float32 weight of each.");
    MULTI_MP_SGD_MOM = multi::<MixedMomentum>(OpDef::new("multi_mp_sgd_mom_update", &["data"], run_momentum::<MixedMomentum>)
            .params::<MultiMomentum>()).mutates(&FOURTH)
        .doc("`mp_sgd_mom_update` of many weights; inputs are weight, gradient, momentum, float32 weight of each.");
    LOADED_SGD = multi::<LoadedPlainSgd>(OpDef::new("preloaded_multi_sgd_update", &["data"], run_loaded_sgd::<LoadedPlainSgd>)
            .params::<LoadedSgd>())
        .doc("`multi_sgd_update` with learning rates and weight decays as the last two inputs.");
    LOADED_SGD_MOM = multi::<LoadedPlainMomentum>(
            OpDef::new("preloaded_multi_sgd_mom_update", &["data"], run_loaded_momentum::<LoadedPlainMomentum>)
            .params::<LoadedMomentum>()).mutates(&THIRD)
        .doc("`multi_sgd_mom_update` with learning rates and weight decays as the last two inputs.");
    LOADED_MP_SGD = multi::<LoadedMixedSgd>(
            OpDef::new("preloaded_multi_mp_sgd_update", &["data"], run_loaded_sgd::<LoadedMixedSgd>)
            .params::<LoadedSgd>()).mutates(&THIRD)
        .doc("`multi_mp_sgd_update` with learning rates and weight decays as the last two inputs.");
    LOADED_MP_SGD_MOM = multi::<LoadedMixedMomentum>(
            OpDef::new("preloaded_multi_mp_sgd_mom_update", &["data"], run_loaded_momentum::<LoadedMixedMomentum>)
            .params::<LoadedMomentum>()).mutates(&FOURTH)
        .doc("`multi_mp_sgd_mom_update` with learning rates and weight decays as the last two inputs.");
    MULTI_ADAMW = multi::<PlainAdamW>(OpDef::new("_multi_adamw_update", &["data"], run_adamw::<PlainAdamW>).params::<MultiAdamW>())
        .mutates(&FOURTH)
        .doc("`_adamw_update` of many weights; inputs are weight, gradient, mean, var of each, then the factor of all gradients.");
    MULTI_MP_ADAMW = multi::<MixedAdamW>(OpDef::new("_multi_mp_adamw_update", &["data"], run_adamw::<MixedAdamW>)
            .params::<MultiAdamW>()).mutates(&FIFTH)
        .doc("`_mp_adamw_update` of many weights; inputs are weight, gradient, mean, var, float32 weight of each, then the factor.");
    MULTI_LAMB = multi::<PlainLamb>(OpDef::new("_multi_lamb_update", &["data"], run_lamb::<PlainLamb>).params::<MultiLamb>())
        .mutates(&FOURTH)
        .doc("Whole LAMB steps of many weights; inputs are weight, gradient, mean, var of each.");
    MULTI_MP_LAMB = multi::<MixedLamb>(OpDef::new("_multi_mp_lamb_update", &["data"], run_lamb::<MixedLamb>).params::<MultiLamb>())
        .mutates(&FIFTH)
        .doc("Whole LAMB steps of many weights; inputs are weight, gradient, mean, var, float32 weight of each.");
}
