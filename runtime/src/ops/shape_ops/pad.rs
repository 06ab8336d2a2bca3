//! Borders around images and volumes.

use super::super::def::{Keep, OpDef, Run};
use super::super::params::{Ints, Params};
use super::super::samples::{Case, Draw};
use super::super::vjp::Vjp;
use super::view::View;
use crate::array::Array;
use crate::error::Result;
use crate::fluent::call;
use crate::kernels::copy;
use crate::kernels::pad::{Border, Pass, pad, places};
use crate::shape::{Dims, show, size_of_dims};

choices! {
    /// What stands in a border.
    pub enum Mode { Constant = "constant", Edge = "edge", Reflect = "reflect" }
}

params! {
    /// What `Pad` takes.
    pub struct Padding {
        mode: Mode, "what stands in the border: a constant, the nearest element, or what is as far inside";
        pad_width: Ints, "widths before and after each axis; the first four must be 0";
        constant_value: f64 = 0.0, "the constant";
    }
}

params! {
    /// What the gradient of `Pad` takes.
    pub struct Unpadding {
        mode: Mode, "as of Pad";
        pad_width: Ints, "as of Pad";
        shape: Ints, "the shape before padding";
    }
}

/// Widths before and after each axis, checked against the shape.
fn widths(mode: Mode, widths: &Ints, x: &[usize]) -> Result<(Dims, Dims)> {
    if !(4..=5).contains(&x.len()) || widths.len() != 2 * x.len() {
        bail!(
            Shape,
            "4 or 5 axes and two widths for each are wanted, got {} and pad_width {widths:?}",
            show(x)
        );
    }
    if widths[..4].iter().any(|&w| w != 0) || widths.iter().any(|&w| w < 0) {
        bail!(Param, "pad_width must be 0 for the first two axes and nowhere negative, got {widths:?}");
    }
    let (before, after): (Dims, Dims) = widths.chunks(2).map(|w| (w[0] as usize, w[1] as usize)).unzip();
    for (i, &n) in x.iter().enumerate() {
        let most = before[i].max(after[i]);
        let fits = match mode {
            Mode::Constant => true,
            Mode::Edge => most == 0 || n > 0,
            Mode::Reflect => most == 0 || most < n,
        };
        if !fits {
            bail!(Shape, "axis {i} is too short to be padded so far, got size {n} and width {most}");
        }
    }
    Ok((before, after))
}

fn padded(x: &[usize], before: &[usize], after: &[usize]) -> Result<Dims> {
    let add = |((&n, &b), &a): ((&usize, &usize), &usize)| n.checked_add(b)?.checked_add(a);
    let out = x.iter().zip(before).zip(after).map(add).collect::<Option<Dims>>();
    let Some(out) = out else { bail!(Shape, "the result is too large") };
    size_of_dims(&out)?;
    Ok(out)
}

/// Where the data lies in the padded array.
fn middle(x: &[usize], before: &[usize], out: &[usize]) -> View {
    (0..x.len()).fold(View::of(out), |v, i| v.range(i, before[i], x[i], 1))
}

fn run(pass: Pass, mode: Mode, x: &[usize], (before, after): (&[usize], &[usize]), r: &Run<'_>) {
    let border = if mode == Mode::Edge { Border::Edge } else { Border::Reflect };
    let axes: Vec<Vec<usize>> = (2..x.len()).map(|i| places(x[i], before[i], after[i], border)).collect();
    pad(pass, x[0] * x[1], &x[2..], &axes, r.ins[0].span(), r.outs[0].span());
}

fn run_pad(r: &Run<'_>) -> Result<()> {
    let (p, x, out) = (r.p::<Padding>(), r.ins[0], r.outs[0]);
    let (before, after) = widths(p.mode, &p.pad_width, x.dims())?;
    if p.mode == Mode::Constant {
        copy::fill(out.span(), p.constant_value);
        middle(x.dims(), &before, out.dims()).write(x.span(), out.span());
    } else {
        run(Pass::Forward, p.mode, x.dims(), (&before, &after), r);
    }
    Ok(())
}

fn run_unpad(r: &Run<'_>) -> Result<()> {
    let (p, x) = (r.p::<Unpadding>(), r.outs[0].dims());
    let (before, after) = widths(p.mode, &p.pad_width, x)?;
    run(Pass::Back, p.mode, x, (&before, &after), r);
    Ok(())
}

fn grad_pad(d: &Vjp<'_>) -> Result<Array> {
    let (p, x) = (d.p::<Padding>(), d.in_dims(0));
    if p.mode == Mode::Constant {
        let (before, _) = widths(p.mode, &p.pad_width, x)?;
        return Ok(middle(x, &before, d.out_dims(0)).taken_from(d.grad()));
    }
    let shape = x.iter().map(|&d| d as i64).collect();
    Ok(call(
        &UNPAD,
        &[d.grad()],
        &Params::new(Unpadding { mode: p.mode, pad_width: p.pad_width.clone(), shape }),
    ))
}

fn grad_unpad(d: &Vjp<'_>) -> Result<Array> {
    let p = d.p::<Unpadding>();
    let padding = Padding { mode: p.mode, pad_width: p.pad_width.clone(), constant_value: 0.0 };
    Ok(call(&PAD, &[d.grad()], &Params::new(padding)))
}

fn case(d: &mut Draw) -> Case {
    let n = d.size(4, 5);
    let dims: Dims = (0..n).map(|i| if i < 2 { d.size(1, 2) } else { d.size(2, 4) }).collect();
    let widths: Vec<usize> = (0..2 * n).map(|i| if i < 4 { 0 } else { d.size(0, dims[i / 2] - 1) }).collect();
    let mode = d.pick(&["constant", "edge", "reflect"]);
    Case::new().real(&dims).param("mode", mode).param("pad_width", widths).param("constant_value", 0.5)
}

table! {
    PAD = OpDef::new("Pad", &["data"], run_pad).aliases(&["pad"]).params::<Padding>()
        .doc("A border around images (N, C, H, W) or volumes (N, C, D, H, W): a constant, the nearest element of the edge, or the \
              elements mirrored at it.")
        .shape(|s| {
            let Some(x) = s.input(0) else { return Ok(()) };
            let p: &Padding = s.params.get();
            let (before, after) = widths(p.mode, &p.pad_width, &x)?;
            s.output(0, &padded(&x, &before, &after)?)
        })
        .vjp1(Keep::NOTHING, grad_pad).cases(case);
    UNPAD = OpDef::new("_ks_unpad", &["data"], run_unpad).params::<Unpadding>()
        .doc("The gradient of Pad in the modes that repeat elements: each takes the sum of the places where it stood.")
        .shape(|s| {
            let p: &Unpadding = s.params.get();
            let negative = |_| err!(Param, "sizes cannot be negative, got {:?}", p.shape);
            let x: Dims = p.shape.iter().map(|&d| usize::try_from(d).map_err(negative)).collect::<Result<_>>()?;
            let (before, after) = widths(p.mode, &p.pad_width, &x)?;
            s.want(0, &padded(&x, &before, &after)?)?;
            s.output(0, &x)
        })
        .vjp1(Keep::NOTHING, grad_unpad)
        .no_samples("internal to the gradient of Pad, and tested with it");
}
