//! The layer that undoes a convolution's shape: its result is the gradient of a convolution in its data.

use super::super::def::{Keep, OpDef, Run};
use super::super::infer::Shapes;
use super::super::params::{Ints, ParamType};
use super::super::samples::{Case, Draw};
use super::super::vjp::{Grads, Vjp};
use super::convolution::{Drawn, check_groups, images, per_group};
use super::windows::{self, Windows};
use super::{Layout, Order, Steps, Tune, channels_last};
use crate::error::Result;
use crate::fluent::call_with;
use crate::kernels::conv::Pass;
use crate::ops::matrix::float_type;
use crate::ops::reduce::sum_over;
use crate::shape::partial::Partial;
use smallvec::smallvec;

params! {
    /// A deconvolution.
    pub struct Deconvolution {
        kernel: Ints, "window size: (w), (h, w) or (d, h, w)";
        stride: Ints = Ints::new(), "distance of windows, 1 for each axis when left out";
        dilate: Ints = Ints::new(), "distance of the elements of a window, 1 for each axis when left out";
        pad: Ints = Ints::new(), "elements cut off on both sides, 0 for each axis when left out";
        adj: Ints = Ints::new(), "elements added behind, less than stride";
        target_shape: Ints = Ints::new(), "spatial sizes of the result; pad and adj then follow from it";
        num_filter: usize, "number of channels of the result";
        num_group: usize = 1, "number of groups of channels that do not mix";
        workspace: usize = 512, "without effect; scratch is small";
        no_bias: bool = true, "there is no bias";
        cudnn_tune: Option<Tune> = None, "without effect";
        cudnn_off: bool = false, "without effect";
        layout: Option<Layout> = None, "the order of axes; NCW, NCHW or NCDHW when left out";
    }
}

impl Deconvolution {
    fn steps(&self) -> Result<Steps> {
        let steps = Steps::new(&self.kernel, &self.stride, &self.dilate, &self.pad)?;
        let n = steps.len();
        for (name, v) in [("adj", &self.adj), ("target_shape", &self.target_shape)] {
            if !v.is_empty() && v.len() != n {
                bail!(Param, "{name} must have as many axes as kernel, got {}, want {n}", v.text());
            }
        }
        if self.target_shape.is_empty()
            && (0..self.adj.len()).any(|i| !(0..steps.stride[i]).contains(&self.adj[i]))
        {
            bail!(Param, "adj must be less than stride, got {} and {}", self.adj.text(), steps.stride.text());
        }
        Ok(steps)
    }

    fn order(&self) -> Result<Order> {
        let n = self.kernel.len();
        Ok(Order { n, last: channels_last(&self.layout, n)? })
    }

    /// The size that all windows over `size` elements would cover on axis `i`.
    fn covered(steps: &Steps, i: usize, size: i64) -> i64 {
        (size - 1) * steps.stride[i] + steps.extent(i)
    }

    /// Padding and size of the result on axis `i`.
    fn target(&self, steps: &Steps, i: usize, size: i64) -> Result<(i64, i64)> {
        let all = Self::covered(steps, i, size);
        if let Some(&want) = self.target_shape.get(i) {
            if want < 1 || want > all {
                bail!(Shape, "target_shape is out of reach on spatial axis {i}, got {want}, want 1 to {all}");
            }
            return Ok(((all - want + 1) / 2, want));
        }
        let out = all - 2 * steps.pad[i] + self.adj.get(i).copied().unwrap_or(0);
        if out < 1 {
            bail!(Shape, "nothing is left of spatial axis {i}, got {out} elements for {size} of the data");
        }
        Ok((steps.pad[i], out))
    }

    /// Windows over the result, one for each element of data of that shape.
    fn windows(&self, x: &[usize]) -> Result<Windows> {
        let (mut steps, o) = (self.steps()?, self.order()?);
        let output: Ints = (0..o.n).map(|i| x[o.spatial(i)] as i64).collect();
        let mut input: Ints = smallvec![0; o.n];
        for i in 0..o.n {
            let (pad, size) = self.target(&steps, i, output[i])?;
            (steps.pad[i], input[i]) = (pad, size);
        }
        Ok(Windows::new(steps, input, output, self.num_group, o.last))
    }
}

fn infer(s: &mut Shapes<'_>) -> Result<()> {
    let p: &Deconvolution = s.params.get();
    let (steps, o, filters) = (p.steps()?, p.order()?, p.num_filter as i64);
    check_groups(p.num_filter, p.num_group)?;
    let mut x = images(&s.ins[0], o, "data")?;
    let c = o.channel();
    if let (-1, Some(k)) = (x[c], s.ins[1].dim(0)) {
        x[c] = k as i64;
    }
    per_group(x[c], p.num_group)?;
    let group = filters / p.num_group as i64;
    s.want_partial(1, &Partial::from_sizes(&o.join(x[c], group, &steps.kernel)))?;
    if !p.no_bias {
        s.want(2, &[p.num_filter])?;
    }
    let mut y = o.join(x[0], filters, &vec![-1; o.n]);
    for i in 0..o.n {
        y[o.spatial(i)] = match (p.target_shape.get(i), x[o.spatial(i)]) {
            (Some(&t), -1) => t,
            (None, -1) => -1,
            (_, size) => p.target(&steps, i, size)?.1,
        };
    }
    s.outs[0].merge(&Partial::from_sizes(&y))?;
    // The result tells the batch, and the size of the data unless it was cut to a target.
    let y = images(&s.outs[0], o, "the result")?;
    x[0] = y[0];
    for i in 0..o.n {
        let (size, out) = (&mut x[o.spatial(i)], y[o.spatial(i)]);
        let ends = out + 2 * steps.pad[i] - p.adj.get(i).copied().unwrap_or(0) - steps.extent(i);
        if *size < 0 && out > 0 && p.target_shape.is_empty() && ends >= 0 && ends % steps.stride[i] == 0 {
            *size = ends / steps.stride[i] + 1;
        }
    }
    s.want_partial(0, &Partial::from_sizes(&x))
}

fn run(r: &Run<'_>) -> Result<()> {
    let p: &Deconvolution = r.p();
    let (x, w) = (r.ins[0], p.windows(r.ins[0].dims())?);
    let conv = w.conv(x.dims()[0], p.num_filter, x.dims()[w.order().channel()]);
    let bias = r.ins.get(2).map(|b| b.span());
    conv.compute(Pass::Data, x.span(), r.ins[1].span(), bias, r.outs[0].span())
}

fn grad(d: &Vjp<'_>) -> Result<Grads> {
    let p: &Deconvolution = d.p();
    let (g, w) = (d.grad(), p.windows(d.in_dims(0))?);
    let axes = w.order().but_channels();
    let mut all = Grads::new();
    all.push(d.needs(0).then(|| call_with(&windows::CONV, &[g, d.input(1)], w.clone())));
    all.push(d.needs(1).then(|| call_with(&windows::WEIGHT, &[g, d.input(0)], w)));
    if !p.no_bias {
        all.push(d.needs(2).then(|| sum_over(g, &axes, false)));
    }
    Ok(all)
}

fn sample(d: &mut Draw) -> Case {
    let mut drawn = Drawn::new(d);
    let n = drawn.kernel.len();
    let extent = |i: usize, drawn: &Drawn| (drawn.kernel[i] - 1) * drawn.dilate[i] + 1;
    let (mut adj, mut target) = (vec![], vec![]);
    for i in 0..n {
        drawn.size[i] = d.int(1, 3);
        drawn.pad[i] = drawn.pad[i].min((extent(i, &drawn) - 1) / 2);
        adj.push(d.int(0, drawn.stride[i] - 1));
        target.push(d.int(1, (drawn.size[i] - 1) * drawn.stride[i] + extent(i, &drawn)));
    }
    let (groups, channels, filters, bias) = (d.size(1, 2), d.size(1, 2), d.size(1, 3), d.flip());
    let case = drawn.inputs(d.size(1, 2), groups * channels, [groups * channels, filters]);
    let case = if bias { case.real(&[groups * filters]) } else { case };
    let case = if d.int(0, 3) == 0 { case.param("target_shape", target) } else { case.param("adj", adj) };
    case.param("num_filter", groups * filters).param("num_group", groups).param("no_bias", !bias)
}

table! {
    DECONVOLUTION = OpDef::new("Deconvolution", &["data", "weight", "bias"], run).params::<Deconvolution>()
        .arity(|p| if p.get::<Deconvolution>().no_bias { 2 } else { 3 })
        .shape(infer).dtype(float_type)
        .doc("A transposed convolution, `y[n,f,i] = bias[f] + Σ weight[c,f,k] data[n,c,o]` over all c, o and k with \
              `o·stride - pad + k·dilate = i`. A spatial axis of n elements becomes one of `(n-1)·stride + (kernel-1)·dilate + 1 - 2·pad + adj`. \
              `weight` is (channels, num_filter/num_group, kernel…), or with num_filter/num_group last where the layout has channels last.")
        .vjp(Keep::input(0).and(Keep::input(1)), grad)
        .cases(sample);
}
