//! Normalisation by length.

use super::{alike, down};
use crate::array::Array;
use crate::error::Result;
use crate::kernels::reduce::reduce;
use crate::kernels::zip::zip;
use crate::ops::def::{Keep, OpDef, Run};
use crate::ops::elementwise::binary::Div;
use crate::ops::infer::Shapes;
use crate::ops::reduce::norm::Norm2;
use crate::ops::samples::{Case, Draw, Fill};
use crate::ops::shape_ops::view::reshaped;
use crate::ops::softmax::floats;
use crate::ops::vjp::Vjp;
use crate::shape::broadcast::{broadcast_strides, collapse};
use crate::shape::row_major;

choices! {
    /// Over what the length is taken.
    pub enum Length { Channel = "channel", Instance = "instance", Spatial = "spatial" }
}

params! {
    /// What normalisation by length takes.
    pub struct L2Normalization {
        eps: f32 = 1e-10, "added to the square of the length";
        mode: Length = Length::Instance, "the length of each instance, of the channels at each place, or of each channel";
    }
}

/// The data with three axes, and the axes of the lengths.
fn axes(mode: Length, dims: &[usize]) -> Result<([usize; 3], [usize; 3])> {
    let rest = |k: usize| dims[k..].iter().product::<usize>();
    let [n, ..] = *dims else { bail!(Shape, "data needs an axis of instances, got ()") };
    Ok(match mode {
        Length::Instance => ([1, n, rest(1)], [1, n, 1]),
        _ if dims.len() < 3 => {
            bail!(
                Shape,
                "data must have axes (batch, channels, …) in this mode, got {}",
                crate::shape::show(dims)
            )
        }
        Length::Channel => ([n, dims[1], rest(2)], [n, 1, rest(2)]),
        Length::Spatial => ([n, dims[1], rest(2)], [n, dims[1], 1]),
    })
}

fn infer_shape(s: &mut Shapes<'_>) -> Result<()> {
    let Some(dims) = alike(s)?.known() else { return Ok(()) };
    let (_, kept) = axes(s.params.get::<L2Normalization>().mode, &dims)?;
    s.output(1, &kept)
}

fn run(r: &Run<'_>) -> Result<()> {
    let p = r.p::<L2Normalization>();
    let (data, kept) = axes(p.mode, r.ins[0].dims())?;
    let (x, y, lengths) = (r.ins[0].span(), r.outs[0].span(), r.outs[1].span());
    let gone = [0, 1, 2].map(|i| kept[i] != data[i]);
    reduce(Norm2(p.eps.into()), x, &data, &gone, lengths);
    let (dims, [xs, ls]) = collapse(&data, [&row_major(&data), &broadcast_strides(&kept, &data)]);
    zip(Div, &dims, x, &xs, lengths, &ls, y);
    Ok(())
}

/// dx = (g - y Σ g y) / length. The length is an output too, hidden, so that second order goes through it.
fn grad(d: &Vjp<'_>) -> Result<Array> {
    let (data, kept) = axes(d.p::<L2Normalization>().mode, d.in_dims(0))?;
    let (y, length) = (reshaped(d.output(0), &data), d.output(1));
    let mut dx = match d.grad_of(0) {
        Some(g) => {
            let g = reshaped(g, &data);
            (&g - &y * down(&(&g * &y), &kept)) / length
        }
        None => y.zeros_like(),
    };
    // The derivative of the length by x is y.
    if let Some(by_length) = d.grad_of(1) {
        dx = dx + y * by_length;
    }
    Ok(reshaped(&dx, d.in_dims(0)))
}

fn case(d: &mut Draw) -> Case {
    let dims = [d.size(1, 3), d.size(1, 3), d.size(1, 4)];
    let mode = d.pick(&["instance", "channel", "spatial"]);
    Case::new().input(&dims, Fill::Real(0.3, 2.0, &[])).param("mode", mode).param("eps", 0.01)
}

table! {
    L2_NORMALIZATION = OpDef::new("L2Normalization", &["data"], run).params::<L2Normalization>().outputs(|_| 2, |_| 1)
        .shape(infer_shape).dtype(floats)
        .doc("Divides by the length, `sqrt(sum(x²) + eps)`, of each instance, of the channels at each place, or of each channel.")
        .vjp1(Keep::OUTPUTS, grad).cases(case);
}
