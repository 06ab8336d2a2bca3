//! Dropout. What was dropped is not stored but drawn again from the same part of the random stream: the hidden second output is the
//! place in the stream, two numbers.

use super::def::{Keep, OpDef, Run};
use super::infer::{Shapes, Types};
use super::params::Ints;
use super::samples::{Case, Draw};
use super::vjp::{Grads, Vjp};
use crate::dtype::DType;
use crate::error::Result;
use crate::fluent::call;
use crate::kernels::copy;
use crate::kernels::random;
use crate::kernels::zip::zip;
use crate::ops::elementwise::binary::Mul;
use crate::rng::{Stream, reserve};
use crate::shape::broadcast::{broadcast_strides, collapse};
use crate::shape::{Dims, resolve_axis};
use crate::tensor::Tensor;
use smallvec::smallvec;

choices! {
    /// When elements are dropped.
    pub enum When { Training = "training", Always = "always" }
}

params! {
    /// What dropout takes.
    pub struct Dropout {
        p: f32 = 0.5, "the fraction that is dropped";
        mode: When = When::Training, "whether only in training or always";
        axes: Ints = Ints::new(), "axes along which elements are dropped together";
        cudnn_off: Option<bool> = Some(false), "without effect";
    }
}

fn infer_shape(s: &mut Shapes<'_>) -> Result<()> {
    let mut x = s.ins[0].clone();
    x.merge(&s.outs[0])?;
    s.ins[0] = x.clone();
    s.outs[0] = x;
    s.output(1, &[2])
}

fn infer_type(t: &mut Types<'_>) -> Result<()> {
    let d = t.ins[0].or(t.outs[0]);
    if let Some(d) = d.filter(|d| !d.is_float()) {
        bail!(Dtype, "a floating-point dtype is wanted, got {d}");
    }
    (t.ins[0], t.outs[0], t.outs[1]) = (d, d, Some(DType::I64));
    Ok(())
}

/// Multiplies by 0 or 1/(1-p), as the stream says.
fn drop_out(p: &Dropout, x: &Tensor, y: &Tensor, stream: Stream) -> Result<()> {
    let keep = 1.0 - f64::from(p.p);
    let scale = if keep > 0.0 { 1.0 / keep } else { 0.0 };
    let mut dims: Dims = x.dims().into();
    for &axis in &p.axes {
        dims[resolve_axis(axis, x.ndim())?] = 1;
    }
    // The factors are made in the result, unless it is smaller than they are or holds the data.
    let in_place = dims[..] == *y.dims() && !x.span().overlaps(y.span());
    let mask = if in_place { y.clone() } else { Tensor::empty(&dims, x.dtype(), x.device())? };
    random::bernoulli(mask.span(), stream, keep, scale);
    let (dims, [xs, ms]) =
        collapse(x.dims(), [&crate::shape::row_major(x.dims()), &broadcast_strides(mask.dims(), x.dims())]);
    zip(Mul, &dims, x.span(), &xs, mask.span(), &ms, y.span());
    Ok(())
}

fn run(r: &Run<'_>) -> Result<()> {
    let p = r.p::<Dropout>();
    if !(0.0..=1.0).contains(&p.p) {
        bail!(Param, "p is out of range, got {}, want 0 to 1", p.p);
    }
    let (x, y) = (r.ins[0], r.outs[0]);
    let active = (r.training || p.mode == When::Always) && p.p > 0.0;
    let stream =
        if active { reserve(y.device(), random::counters(x.size())) } else { Stream { key: 0, counter: 0 } };
    // SAFETY: the output is this call's alone.
    let place = unsafe { r.outs[1].span().slice_mut::<i64>() };
    place.copy_from_slice(&[stream.key as i64, stream.counter as i64]);
    if active {
        return drop_out(p, x, y, stream);
    }
    if !x.span().same(y.span()) {
        copy::cast(x.span(), y.span());
    }
    Ok(())
}

/// A pass that is not in training mode takes the gradient as it comes, as upstream does.
fn grad(d: &Vjp<'_>) -> Result<Grads> {
    let p = d.p::<Dropout>();
    let always = p.mode == When::Always;
    let active = (always || d.training && d.pass_training) && p.p > 0.0;
    let g = d.grad_or_zeros(0)?;
    Ok(smallvec![Some(if active { call(&AGAIN, &[&g, d.output(1)], d.params) } else { g })])
}

fn run_again(r: &Run<'_>) -> Result<()> {
    let place = r.ins[1].as_slice::<i64>();
    let stream = Stream { key: place[0] as u64, counter: place[1] as u64 };
    drop_out(r.p::<Dropout>(), r.ins[0], r.outs[0], stream)
}

fn case(d: &mut Draw) -> Case {
    let dims = d.shape(1, 3);
    let p = d.pick(&[0.0, 0.3, 0.5]);
    let case = Case::new().real(&dims).param("p", p).param("mode", "always");
    if d.flip() { case.param("axes", vec![d.axis(dims.len())]) } else { case }
}

table! {
    DROPOUT = OpDef::new("Dropout", &["data"], run).random().params::<Dropout>().outputs(|_| 2, |_| 1).inplace()
        .shape(infer_shape).dtype(infer_type)
        .doc("In training sets elements to 0 with probability `p` and multiplies the others by `1/(1-p)`; else the array as it is. \
              Along `axes` elements are dropped together.")
        .vjp(Keep::output(1), grad).cases(case);
    AGAIN = OpDef::new("_ks_dropout_again", &["data", "place"], run_again).params::<Dropout>()
        .shape(|s| { let x = s.ins[0].clone(); s.outs[0].merge(&x).map(drop) })
        .dtype(|t| { t.outs[0] = t.ins[0]; Ok(()) })
        .doc("Drops the elements that a call of Dropout dropped.")
        .vjp(Keep::input(1), |d| Ok(smallvec![Some(call(&AGAIN, &[d.grad(), d.input(1)], d.params)), None]))
        .no_samples("tested through Dropout");
}
