//! A convolution as the compiler of graphs writes it: on weights that were made ready once (`_ks_ready_weight`), and with what follows it done
//! as its results are written (`_ks_ready_conv`). Neither is called by hand or recorded.

use super::super::def::{Epilogue, OpDef, Ready, Run};
use super::super::infer::Shapes;
use super::super::params::{Ints, Params};
use super::windows::Windows;
use crate::dtype::DType;
use crate::error::Result;
use crate::kernels::conv::{self, Conv};

params! {
    /// A convolution of which all sizes are known.
    pub struct ReadyConv {
        kernel: Ints, "elements of a window";
        stride: Ints, "distance of windows";
        dilate: Ints, "distance of the elements of a window";
        pad: Ints, "zeros before the data";
        input: Ints, "sizes of the data's spatial axes";
        output: Ints, "number of windows along each";
        batch: usize, "number of images";
        channels: usize, "channels of the data";
        filters: usize, "channels of the result";
        groups: usize = 1, "groups of channels that do not mix";
        bias: bool = false, "whether there is a bias";
        add: bool = false, "whether there is an array to be added to the result, the last input";
        relu: bool = false, "whether what is below 0 becomes 0, in the end";
    }
}

impl ReadyConv {
    fn conv(&self) -> Conv {
        let windows = Windows {
            kernel: self.kernel.clone(),
            stride: self.stride.clone(),
            dilate: self.dilate.clone(),
            pad: self.pad.clone(),
            input: self.input.clone(),
            output: self.output.clone(),
            groups: self.groups,
            last: false,
        };
        windows.conv(self.batch, self.channels, self.filters)
    }
}

/// The same convolution on weights made ready, where that pays.
pub(super) fn ready(
    w: Windows,
    [batch, channels, filters]: [usize; 3],
    bias: bool,
    dtype: DType,
) -> Option<Ready> {
    if w.last || !matches!(dtype, DType::F32 | DType::F64) {
        return None;
    }
    let Windows { kernel, stride, dilate, pad, input, output, groups, .. } = w;
    let p = ReadyConv {
        kernel,
        stride,
        dilate,
        pad,
        input,
        output,
        batch,
        channels,
        filters,
        groups,
        bias,
        add: false,
        relu: false,
    };
    p.conv().ready_size()?;
    Some(Ready { input: 1, by: &READY_WEIGHT, call: &READY_CONV, params: Params::new(p) })
}

fn run_weight(r: &Run<'_>) -> Result<()> {
    r.p::<ReadyConv>().conv().make_ready(r.ins[0].span(), r.outs[0].span());
    Ok(())
}

fn run(r: &Run<'_>) -> Result<()> {
    let p: &ReadyConv = r.p();
    let then = conv::Epilogue {
        bias: p.bias.then(|| r.ins[2].span()),
        add: p.add.then(|| r.ins[2 + usize::from(p.bias)].span()),
        relu: p.relu,
    };
    p.conv().compute_ready(r.ins[0].span(), r.ins[1].span(), then, r.outs[0].span())
}

fn sizes(spatial: &Ints, first: [usize; 2]) -> Vec<usize> {
    first.into_iter().chain(spatial.iter().map(|&d| d as usize)).collect()
}

fn infer_weight(s: &mut Shapes<'_>) -> Result<()> {
    let p: &ReadyConv = s.params.get();
    let Some(n) = p.conv().ready_size() else {
        bail!(Shape, "weights of these sizes are not made ready, got {} filters", p.filters)
    };
    s.want(0, &sizes(&p.kernel, [p.filters, p.channels / p.groups]))?;
    s.output(0, &[n])
}

fn infer(s: &mut Shapes<'_>) -> Result<()> {
    let p: &ReadyConv = s.params.get();
    let out = sizes(&p.output, [p.batch, p.filters]);
    s.want(0, &sizes(&p.input, [p.batch, p.channels]))?;
    if p.bias {
        s.want(2, &[p.filters])?;
    }
    if p.add {
        s.want(2 + usize::from(p.bias), &out)?;
    }
    s.output(0, &out)
}

fn with_epilogue(p: &Params, e: Epilogue) -> Option<Params> {
    let p = p.get::<ReadyConv>();
    match e {
        _ if p.relu => None,
        Epilogue::Relu => Some(Params::new(ReadyConv { relu: true, ..p.clone() })),
        Epilogue::Add if p.add => None,
        Epilogue::Add => Some(Params::new(ReadyConv { add: true, ..p.clone() })),
    }
}

fn inputs(p: &Params) -> usize {
    let p = p.get::<ReadyConv>();
    2 + usize::from(p.bias) + usize::from(p.add)
}

const MADE: &str = "made by the compiler of graphs from Convolution, and compared with it there";

table! {
    READY_WEIGHT = OpDef::new("_ks_ready_weight", &["weight"], run_weight).params::<ReadyConv>().shape(infer_weight)
        .doc("Weights of a convolution in the order in which its kernel reads them, transformed where it filters minimally.")
        .no_gradient(MADE).no_samples(MADE);
    READY_CONV = OpDef::new("_ks_ready_conv", &["data", "weight", "bias", "add"], run).params::<ReadyConv>().arity(inputs).shape(infer)
        .doc("`max(Convolution(data, weight) + bias + add, 0)` as far as the parameters say, with weights made by `_ks_ready_weight`.")
        .with_epilogue(with_epilogue).no_gradient(MADE).no_samples(MADE);
}
