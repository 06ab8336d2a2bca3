//! Local response normalisation: by the neighbouring channels.

use super::alike;
use crate::array::Array;
use crate::error::Result;
use crate::fluent::call;
use crate::kernels::norm::Layout;
use crate::kernels::norm::window::{Kind, window};
use crate::ops::def::{Keep, OpDef, Run};
use crate::ops::infer::Shapes;
use crate::ops::params::Params;
use crate::ops::samples::{Case, Draw};
use crate::ops::softmax::floats;
use crate::ops::vjp::Vjp;

params! {
    /// What normalisation by neighbouring channels takes.
    pub struct Lrn {
        alpha: f32 = 1e-4, "factor of the mean square";
        beta: f32 = 0.75, "exponent";
        knorm: f32 = 2.0, "added to the mean square";
        nsize: usize, "number of neighbouring channels, odd";
    }
}

params! {
    /// How many channels are summed.
    pub struct Window {
        nsize: usize, "number of neighbouring channels, odd";
    }
}

fn infer_shape(s: &mut Shapes<'_>, nsize: usize) -> Result<()> {
    if nsize.is_multiple_of(2) {
        bail!(Param, "LRN only supports odd values for local_size, got {nsize}");
    }
    let x = alike(s)?;
    match x.ndim() {
        Some(n) if n != 4 => bail!(Shape, "data must have axes (batch, channels, height, width), got {x}"),
        _ => Ok(()),
    }
}

fn run(r: &Run<'_>, kind: Kind, nsize: usize) -> Result<()> {
    let x = r.ins[0];
    window(kind, x.span(), r.outs[0].span(), Layout::around(x.dims(), 1), nsize / 2);
    Ok(())
}

fn run_lrn(r: &Run<'_>) -> Result<()> {
    let p = r.p::<Lrn>();
    let alpha = f64::from(p.alpha) / p.nsize as f64;
    run(r, Kind::Normalised { alpha, beta: p.beta.into(), knorm: p.knorm.into() }, p.nsize)
}

fn grad(d: &Vjp<'_>) -> Result<Array> {
    let p = d.p::<Lrn>();
    let (a, b) = (f64::from(p.alpha) / p.nsize as f64, f64::from(p.beta));
    let (g, x) = (d.grad(), d.input(0));
    let params = Params::new(Window { nsize: p.nsize });
    let sum = |x: &Array| call(&WINDOW, &[x], &params);
    let scale = sum(&x.square()) * a + f64::from(p.knorm);
    let power = scale.pow(-b);
    // A channel stands in the windows of its neighbours, and they in its own.
    let others = sum(&(g * x * (&power / scale)));
    Ok(g * power - x * others * (2.0 * a * b))
}

fn case(d: &mut Draw) -> Case {
    let dims = [d.size(1, 2), d.size(1, 5), d.size(1, 3), d.size(1, 2)];
    Case::new().real(&dims).param("nsize", d.pick(&[1i64, 3, 5]))
}

table! {
    LRN = OpDef::new("LRN", &["data"], run_lrn).params::<Lrn>().counted(|_| 2)
        .shape(|s| { let n = s.params.get::<Lrn>().nsize; infer_shape(s, n) }).dtype(floats)
        .doc("`x (knorm + alpha/nsize * sum(x²))^-beta`, the sum being over `nsize` neighbouring channels.")
        .vjp1(Keep::INPUTS, grad).cases(|d| case(d).param("alpha", 0.5));
    WINDOW = OpDef::new("_ks_window_sum", &["data"], |r| run(r, Kind::Sum, r.p::<Window>().nsize)).params::<Window>()
        .shape(|s| { let n = s.params.get::<Window>().nsize; infer_shape(s, n) }).dtype(floats)
        .doc("Sum over `nsize` neighbouring channels.")
        .vjp1(Keep::NOTHING, |d| Ok(call(&WINDOW, &[d.grad()], d.params))).cases(case);
}
