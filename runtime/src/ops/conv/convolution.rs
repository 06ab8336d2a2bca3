//! The convolutional layer.

use super::super::def::{Affine, Keep, OpDef, Ready, Run};
use super::super::infer::Shapes;
use super::super::params::{Ints, Params};
use super::super::samples::{Case, Draw};
use super::super::vjp::{Grads, Vjp};
use super::windows::{self, Windows};
use super::{Layout, Order, Steps, Tune, channels_last};
use crate::array::Array;
use crate::dtype::DType;
use crate::error::Result;
use crate::fluent::call_with;
use crate::kernels::conv::Pass;
use crate::ops::matrix::float_type;
use crate::ops::reduce::sum_over;
use crate::shape::partial::Partial;

params! {
    /// A convolution.
    pub struct Convolution {
        kernel: Ints, "window size: (w), (h, w) or (d, h, w)";
        stride: Ints = Ints::new(), "distance of windows, 1 for each axis when left out";
        dilate: Ints = Ints::new(), "distance of the elements of a window, 1 for each axis when left out";
        pad: Ints = Ints::new(), "zeros on both sides, 0 for each axis when left out";
        num_filter: usize, "number of channels of the result";
        num_group: usize = 1, "number of groups of channels that do not mix";
        workspace: usize = 1024, "without effect; scratch is small";
        no_bias: bool = false, "there is no bias";
        cudnn_tune: Option<Tune> = None, "without effect";
        cudnn_off: bool = false, "without effect";
        layout: Option<Layout> = None, "the order of axes; NCW, NCHW or NCDHW when left out";
    }
}

impl Convolution {
    fn steps(&self) -> Result<Steps> {
        Steps::new(&self.kernel, &self.stride, &self.dilate, &self.pad)
    }

    fn order(&self) -> Result<Order> {
        let n = self.kernel.len();
        Ok(Order { n, last: channels_last(&self.layout, n)? })
    }

    /// Windows over data of that shape.
    fn windows(&self, x: &[usize]) -> Result<Windows> {
        let (steps, o) = (self.steps()?, self.order()?);
        let input: Ints = (0..o.n).map(|i| x[o.spatial(i)] as i64).collect();
        let output: Result<Ints> = (0..o.n).map(|i| steps.windows(i, input[i])).collect();
        Ok(Windows::new(steps, input, output?, self.num_group, o.last))
    }
}

/// Checks the numbers of filters and groups.
pub(super) fn check_groups(filters: usize, groups: usize) -> Result<()> {
    if filters == 0 || groups == 0 {
        bail!(Param, "num_filter and num_group must be at least 1, got {filters} and {groups}");
    }
    if !filters.is_multiple_of(groups) {
        bail!(Param, "num_filter must be a multiple of num_group, got {filters} and {groups}");
    }
    Ok(())
}

/// Sizes of an image array: what is known of it, all -1 where nothing is.
pub(super) fn images(x: &Partial, o: Order, what: &str) -> Result<Vec<i64>> {
    match x.sizes() {
        None => Ok(vec![-1; o.n + 2]),
        Some(d) if d.len() == o.n + 2 => Ok(d.to_vec()),
        Some(_) => bail!(Shape, "{what} needs {} axes for a kernel of {}, got {x}", o.n + 2, o.n),
    }
}

/// Channels in a group, of which `all` may be unknown.
pub(super) fn per_group(all: i64, groups: usize) -> Result<i64> {
    let groups = groups as i64;
    if all >= 0 && all % groups != 0 {
        bail!(Shape, "the channels of data must be a multiple of num_group, got {all} and {groups}");
    }
    Ok(if all < 0 { -1 } else { all / groups })
}

fn infer(s: &mut Shapes<'_>) -> Result<()> {
    let p: &Convolution = s.params.get();
    let (steps, o, filters) = (p.steps()?, p.order()?, p.num_filter as i64);
    check_groups(p.num_filter, p.num_group)?;
    let mut x = images(&s.ins[0], o, "data")?;
    let c = o.channel();
    if let (-1, Some(k)) = (x[c], s.ins[1].dim(c)) {
        x[c] = (k * p.num_group) as i64;
    }
    s.want_partial(1, &Partial::from_sizes(&o.join(filters, per_group(x[c], p.num_group)?, &steps.kernel)))?;
    if !p.no_bias {
        s.want(2, &[p.num_filter])?;
    }
    let mut y = o.join(x[0], filters, &vec![-1; o.n]);
    for i in 0..o.n {
        if x[o.spatial(i)] >= 0 {
            y[o.spatial(i)] = steps.windows(i, x[o.spatial(i)])?;
        }
    }
    s.outs[0].merge(&Partial::from_sizes(&y))?;
    // The result tells the batch, and where windows are neighbours the size of the data.
    let y = images(&s.outs[0], o, "the result")?;
    x[0] = y[0];
    for i in 0..o.n {
        let (size, windows) = (&mut x[o.spatial(i)], y[o.spatial(i)]);
        if *size < 0 && windows > 0 && steps.stride[i] == 1 {
            *size = (windows - 1 + steps.extent(i) - 2 * steps.pad[i]).max(-1);
        }
    }
    s.want_partial(0, &Partial::from_sizes(&x))
}

fn run(r: &Run<'_>) -> Result<()> {
    let p: &Convolution = r.p();
    let (x, w) = (r.ins[0], p.windows(r.ins[0].dims())?);
    let conv = w.conv(x.dims()[0], x.dims()[w.order().channel()], p.num_filter);
    let bias = r.ins.get(2).map(|b| b.span());
    conv.compute(Pass::Forward, x.span(), r.ins[1].span(), bias, r.outs[0].span())
}

fn grad(d: &Vjp<'_>) -> Result<Grads> {
    let p: &Convolution = d.p();
    let (g, w) = (d.grad(), p.windows(d.in_dims(0))?);
    let axes = w.order().but_channels();
    let mut all = Grads::new();
    all.push(d.needs(0).then(|| call_with(&windows::DATA, &[g, d.input(1)], w.clone())));
    all.push(d.needs(1).then(|| call_with(&windows::WEIGHT, &[d.input(0), g], w)));
    if !p.no_bias {
        all.push(d.needs(2).then(|| sum_over(g, &axes, false)));
    }
    Ok(all)
}

/// Filters times the factors of their channels; the bias likewise, plus the summands.
fn absorb(p: &Params, ins: &[Array], f: &Affine) -> Result<Option<(Params, Vec<Array>)>> {
    let p = p.get::<Convolution>();
    if f.axis != p.order()?.channel() {
        return Ok(None);
    }
    Ok(Some((Params::new(Convolution { no_bias: false, ..p.clone() }), f.into_filters(ins))))
}

/// On weights that were made ready.
fn ready(p: &Params, ins: &[&[usize]], dtype: DType) -> Option<Ready> {
    let p = p.get::<Convolution>();
    let w = p.windows(ins[0]).ok()?;
    let channels = ins[0][w.order().channel()];
    super::ready::ready(w, [ins[0][0], channels, p.num_filter], !p.no_bias, dtype)
}

/// Drawn parameters of windows, with a size of data for which at least one fits.
pub(super) struct Drawn {
    pub kernel: Vec<i64>,
    pub stride: Vec<i64>,
    pub dilate: Vec<i64>,
    pub pad: Vec<i64>,
    pub size: Vec<i64>,
    pub last: bool,
}

impl Drawn {
    pub fn new(d: &mut Draw) -> Drawn {
        let n = d.pick(&[1, 2, 2, 3]);
        let most = if n == 3 { 2 } else { 3 };
        let mut list = |lo, hi| (0..n).map(|_| d.int(lo, hi)).collect::<Vec<i64>>();
        let (kernel, stride, dilate, pad) = (list(1, most), list(1, 3), list(1, 2), list(0, 2));
        let more = list(0, 2);
        let least = |i: usize| ((kernel[i] - 1) * dilate[i] + 1 - 2 * pad[i]).max(1);
        let size = (0..n).map(|i| least(i) + more[i]).collect();
        let last = n > 1 && d.flip();
        Drawn { kernel, stride, dilate, pad, size, last }
    }

    pub fn layout(&self) -> &'static str {
        match (self.kernel.len(), self.last) {
            (1, _) => "NCW",
            (2, false) => "NCHW",
            (2, true) => "NHWC",
            (_, false) => "NCDHW",
            (_, true) => "NDHWC",
        }
    }

    /// An array of that many images and channels, and weights.
    pub fn inputs(&self, batch: usize, channels: usize, weight: [usize; 2]) -> Case {
        let o = Order { n: self.kernel.len(), last: self.last };
        let dims = |v: Vec<i64>| v.iter().map(|&d| d as usize).collect::<Vec<_>>();
        Case::new()
            .real(&dims(o.join(batch as i64, channels as i64, &self.size)))
            .real(&dims(o.join(weight[0] as i64, weight[1] as i64, &self.kernel)))
            .param("kernel", self.kernel.clone())
            .param("stride", self.stride.clone())
            .param("dilate", self.dilate.clone())
            .param("pad", self.pad.clone())
            .param("layout", self.layout())
    }
}

fn sample(d: &mut Draw) -> Case {
    let drawn = Drawn::new(d);
    let (groups, channels, filters, bias) = (d.size(1, 2), d.size(1, 2), d.size(1, 3), d.flip());
    let case = drawn.inputs(d.size(1, 2), groups * channels, [groups * filters, channels]);
    let case = if bias { case.real(&[groups * filters]) } else { case };
    case.param("num_filter", groups * filters).param("num_group", groups).param("no_bias", !bias)
}

fn inputs(p: &Params) -> usize {
    if p.get::<Convolution>().no_bias { 2 } else { 3 }
}

const fn layer(name: &'static str) -> OpDef {
    OpDef::new(name, &["data", "weight", "bias"], run)
        .params::<Convolution>()
        .arity(inputs)
        .shape(infer)
        .dtype(float_type)
        .doc("A convolutional layer, `y[n,f,o] = bias[f] + Σ_{c,k} weight[f,c,k] data[n,c, o·stride - pad + k·dilate]`, on one to three spatial \
              axes. `weight` is (num_filter, channels/num_group, kernel…), or (num_filter, kernel…, channels/num_group) where the layout has \
              channels last.")
        .vjp(Keep::input(0).and(Keep::input(1)), grad)
        .absorb(absorb)
        .ready(ready)
        .cases(sample)
}

table! {
    CONVOLUTION = layer("Convolution");
    CONVOLUTION_V1 = layer("Convolution_v1");
}
