//! Parameter updates of the optimizers: the weight (output), and the states, which change in place.
//!
//! Throughout, `ĝ = clip(rescale_grad · grad)`, where a negative bound clips nothing. Where the weight is float16, the `mp_` forms keep a
//! copy of it in float32, which is what they update. Rules compute in float32, in float64 where the first operand is float64.

pub mod adamw;
pub mod adaptive;
pub mod lamb;
pub mod multi;
pub mod nesterov;
pub mod sgd;

use super::infer::{self, Shapes, Types};
use crate::dtype::DType;
use crate::error::Result;
use crate::kernels::optim::Arith;

/// Why updates have no gradient.
const OUTSIDE: &str = "an update, outside of any loss";
/// Why there are no sample calls.
const STATES: &str = "changes its inputs; checked against recorded updates";

/// What is done to a gradient first.
#[derive(Clone, Copy)]
struct Prepare {
    rescale: f64,
    clip: f64,
    wd: f64,
}

impl Prepare {
    fn new(rescale: f32, clip: f32, wd: f32) -> Prepare {
        Prepare { rescale: rescale.into(), clip: clip.into(), wd: wd.into() }
    }

    /// clip(rescale g).
    #[inline(always)]
    fn scaled<A: Arith>(self, a: A, g: A::V) -> A::V {
        a.clip(a.splat(self.rescale) * g, self.clip)
    }

    /// clip(rescale g) + wd w.
    #[inline(always)]
    fn then_decay<A: Arith>(self, a: A, g: A::V, w: A::V) -> A::V {
        self.scaled(a, g) + a.splat(self.wd) * w
    }

    /// clip(rescale g + wd w).
    #[inline(always)]
    fn with_decay<A: Arith>(self, a: A, g: A::V, w: A::V) -> A::V {
        a.clip(a.splat(self.rescale) * g + a.splat(self.wd) * w, self.clip)
    }
}

/// The decay of a moving average: factor · old + (1 - factor) · new.
#[inline(always)]
fn average<A: Arith>(a: A, factor: f64, old: A::V, new: A::V) -> A::V {
    a.splat(factor) * old + a.splat(1.0 - factor) * new
}

/// All operands are floating-point, of one dtype.
fn one_float_type(t: &mut Types<'_>) -> Result<()> {
    infer::same_type(t)?;
    float(t.outs[0])
}

fn float(d: Option<DType>) -> Result<()> {
    match d {
        Some(d) if !d.is_float() => bail!(Dtype, "floating-point numbers are wanted, got {d}"),
        _ => Ok(()),
    }
}

fn want_type(t: &mut Types<'_>, i: usize, want: DType) -> Result<()> {
    match t.ins[i] {
        Some(got) if got != want => bail!(Dtype, "input {i} got {got}, want {want}"),
        _ => {
            t.ins[i] = Some(want);
            Ok(())
        }
    }
}

/// Weight (the output) and gradient have one dtype, the inputs from the third on float32.
fn mixed_type(t: &mut Types<'_>) -> Result<()> {
    let d = t.ins[0].or(t.ins[1]).or(t.outs[0]);
    float(d)?;
    if let Some(d) = d {
        want_type(t, 0, d)?;
        want_type(t, 1, d)?;
        t.outs[0] = Some(d);
    }
    (2..t.ins.len()).try_for_each(|i| want_type(t, i, DType::F32))
}

/// The first `like` inputs and the output have one shape, the others one element.
fn like_weight(s: &mut Shapes<'_>, like: usize) -> Result<()> {
    let n = s.ins.len();
    let mut head = Shapes { params: s.params, ins: &mut s.ins[..like], outs: s.outs };
    infer::same(&mut head)?;
    (like..n).try_for_each(|i| s.want(i, &[1]))
}
