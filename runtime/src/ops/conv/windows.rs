//! The three products of a convolution as operators: `_ks_conv` (of data and weights), `_ks_conv_data` (of its result and weights),
//! `_ks_conv_weight` (of data and result). They take all sizes as parameters, and are each other's gradients.

use super::super::def::{Keep, OpDef, Run};
use super::super::infer::Shapes;
use super::super::params::Ints;
use super::super::vjp::{Grads, Vjp, grads};
use super::{Order, Steps};
use crate::error::Result;
use crate::fluent::call_with;
use crate::kernels::conv::{Axis, Conv, Pass};
use crate::ops::matrix::float_type;
use crate::shape::Dims;

params! {
    /// Windows over data, with the sizes on both sides.
    pub struct Windows {
        kernel: Ints, "elements of a window";
        stride: Ints, "distance of windows";
        dilate: Ints, "distance of the elements of a window";
        pad: Ints, "zeros before the data";
        input: Ints, "sizes of the data's spatial axes";
        output: Ints, "number of windows along each";
        groups: usize, "groups of channels that do not mix";
        last: bool, "whether channels stand last";
    }
}

impl Windows {
    /// Windows over data of these spatial sizes.
    pub fn new(s: Steps, input: Ints, output: Ints, groups: usize, last: bool) -> Windows {
        Windows {
            kernel: s.kernel,
            stride: s.stride,
            dilate: s.dilate,
            pad: s.pad,
            input,
            output,
            groups,
            last,
        }
    }

    /// Where the axes are.
    pub fn order(&self) -> Order {
        Order { n: self.kernel.len(), last: self.last }
    }

    fn dims(&self, first: usize, channels: usize, spatial: &Ints) -> Dims {
        self.order().join(first as i64, channels as i64, spatial).iter().map(|&d| d as usize).collect()
    }

    /// The spatial axes, the missing ones in front.
    pub fn axes(&self) -> [Axis; 3] {
        let mut axes = [Axis::NONE; 3];
        let n = self.kernel.len();
        let u = |v: &Ints, i: usize| v[i] as usize;
        for i in 0..n {
            axes[3 - n + i] = Axis {
                input: u(&self.input, i),
                output: u(&self.output, i),
                kernel: u(&self.kernel, i),
                stride: u(&self.stride, i),
                dilate: u(&self.dilate, i),
                pad: u(&self.pad, i),
            };
        }
        axes
    }

    /// The convolution of so many images and channels.
    pub fn conv(&self, batch: usize, channels: usize, filters: usize) -> Conv {
        Conv {
            batch,
            groups: self.groups,
            channels: channels / self.groups,
            filters: filters / self.groups,
            axes: self.axes(),
            last: self.last,
        }
    }
}

/// Batch, channels of the data, filters; from the shapes of data (or result) and weights.
fn sizes(w: &Windows, images: &[usize], weight: &[usize]) -> [usize; 3] {
    [images[0], weight[w.order().channel()] * w.groups, weight[0]]
}

fn run(r: &Run<'_>, pass: Pass) -> Result<()> {
    let w: &Windows = r.p();
    let c = w.order().channel();
    let (a, b, out) = (r.ins[0], r.ins[1], r.outs[0]);
    let [batch, channels, filters] = match pass {
        Pass::Weight => [a.dims()[0], a.dims()[c], b.dims()[c]],
        _ => sizes(w, a.dims(), b.dims()),
    };
    w.conv(batch, channels, filters).compute(pass, a.span(), b.span(), None, out.span())
}

fn infer(s: &mut Shapes<'_>, pass: Pass) -> Result<()> {
    let w: &Windows = s.params.get();
    let (Some(a), Some(b)) = (s.input(0), s.input(1)) else { return Ok(()) };
    let c = w.order().channel();
    let out = match pass {
        Pass::Forward => w.dims(a[0], b[0], &w.output),
        Pass::Data => w.dims(a[0], b[c] * w.groups, &w.input),
        Pass::Weight => w.dims(b[c], a[c] / w.groups, &w.kernel),
    };
    s.output(0, &out)
}

/// Each gradient is a product of the result's gradient and the other operand; `order` tells whether the former stands first.
fn grad(d: &Vjp<'_>, ops: [&'static OpDef; 2], order: [bool; 2]) -> Result<Grads> {
    let product = |i: usize| {
        let pair = if order[i] { [d.grad(), d.input(1 - i)] } else { [d.input(1 - i), d.grad()] };
        call_with(ops[i], &pair, d.p::<Windows>().clone())
    };
    grads(d, [&|_| product(0), &|_| product(1)])
}

const COVERED: &str = "parameters depend on each other; covered by Convolution and Deconvolution";

table! {
    CONV = OpDef::new("_ks_conv", &["data", "weight"], |r| run(r, Pass::Forward)).params::<Windows>()
        .doc("`y[n,f,o] = Σ_{c,k} w[f,c,k] x[n,c, o·stride - pad + k·dilate]`.")
        .shape(|s| infer(s, Pass::Forward)).dtype(float_type)
        .vjp(Keep::INPUTS, |d| grad(d, [&DATA, &WEIGHT], [true, false]))
        .no_samples(COVERED);
    DATA = OpDef::new("_ks_conv_data", &["result", "weight"], |r| run(r, Pass::Data)).params::<Windows>()
        .doc("`x[n,c,i] = Σ w[f,c,k] y[n,f,o]` over all f, o and k with `o·stride - pad + k·dilate = i`.")
        .shape(|s| infer(s, Pass::Data)).dtype(float_type)
        .vjp(Keep::INPUTS, |d| grad(d, [&CONV, &WEIGHT], [true, true]))
        .no_samples(COVERED);
    WEIGHT = OpDef::new("_ks_conv_weight", &["data", "result"], |r| run(r, Pass::Weight)).params::<Windows>()
        .doc("`w[f,c,k] = Σ_{n,o} y[n,f,o] x[n,c, o·stride - pad + k·dilate]`.")
        .shape(|s| infer(s, Pass::Weight)).dtype(float_type)
        .vjp(Keep::INPUTS, |d| grad(d, [&DATA, &CONV], [false, false]))
        .no_samples(COVERED);
}
