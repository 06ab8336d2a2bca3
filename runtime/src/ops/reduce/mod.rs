//! Operators that reduce axes: which axes go, and what shape remains. The operators themselves are in the files below.
//!
//! A result without axes does not exist here: it has shape `(1,)`, as MXNet's arrays of old.

pub mod arg;
pub mod cumulative;
pub mod extreme;
pub mod finite;
pub mod norm;
pub mod stretch;
pub mod sum;

use super::def::{Keep, OpDef, Run};
use super::infer::Shapes;
use super::params::{Ints, Params};
use super::vjp::Vjp;
use crate::array::Array;
use crate::dtype::DType;
use crate::error::Result;
use crate::fluent::call;
use crate::kernels::reduce::{Reduce, Sum, reduce};
use crate::ops::shape_ops::view::reshaped;
use crate::shape::partial::Partial;
use crate::shape::{Dims, resolve_axis};
use smallvec::SmallVec;

params! {
    /// Which axes are reduced.
    pub struct Axes {
        axis: Option<Ints> = None, "the axes to reduce; all of them when none is given";
        keepdims: bool = false, "keep reduced axes with size 1";
        exclude: bool = false, "reduce the axes that are not named instead";
    }
}

/// One truth value per axis.
type Gone = SmallVec<[bool; 6]>;

/// Which of `ndim` axes are reduced.
fn gone(axis: Option<&[i64]>, exclude: bool, ndim: usize) -> Result<Gone> {
    let Some(axis) = axis.filter(|a| !a.is_empty()) else { return Ok(SmallVec::from_elem(true, ndim)) };
    let mut gone: Gone = SmallVec::from_elem(false, ndim);
    for &a in axis {
        let i = resolve_axis(a, ndim)?;
        if std::mem::replace(&mut gone[i], true) {
            bail!(Param, "axis {a} is named twice, got {axis:?}");
        }
    }
    if exclude {
        gone.iter_mut().for_each(|g| *g = !*g);
    }
    Ok(gone)
}

/// What remains of `sizes`.
fn remaining<T: Copy + From<u8>>(sizes: &[T], gone: &[bool], keepdims: bool) -> SmallVec<[T; 6]> {
    let one = T::from(1);
    if keepdims {
        return sizes.iter().zip(gone).map(|(&n, &g)| if g { one } else { n }).collect();
    }
    let mut left: SmallVec<[T; 6]> = sizes.iter().zip(gone).filter(|(_, g)| !**g).map(|(&n, _)| n).collect();
    if left.is_empty() {
        left.push(one);
    }
    left
}

fn infer(s: &mut Shapes<'_>, axis: Option<&[i64]>, exclude: bool, keepdims: bool, outs: usize) -> Result<()> {
    let Some(sizes) = s.ins[0].sizes() else { return Ok(()) };
    let left = Partial::from_sizes(&remaining(sizes, &gone(axis, exclude, sizes.len())?, keepdims));
    (0..outs).try_for_each(|i| s.outs[i].merge(&left).map(drop))
}

/// Shape rule of operators that take [`Axes`].
fn infer_axes(s: &mut Shapes<'_>) -> Result<()> {
    let p: Axes = s.params.get::<Axes>().clone();
    infer(s, p.axis.as_deref(), p.exclude, p.keepdims, 1)
}

/// Runs a reduction that takes [`Axes`].
fn run_axes<R: Reduce>(r: &Run<'_>, kind: R) -> Result<()> {
    let (p, x) = (r.p::<Axes>(), r.ins[0]);
    let gone = gone(p.axis.as_deref(), p.exclude, x.ndim())?;
    reduce(kind, x.span(), x.dims(), &gone, r.outs[0].span());
    Ok(())
}

/// The axes that a call of an operator with [`Axes`] reduced.
fn gone_of(d: &Vjp<'_>) -> Result<Gone> {
    let p = d.p::<Axes>();
    gone(p.axis.as_deref(), p.exclude, d.in_dims(0).len())
}

/// `a`, which has the shape of a reduction's output, with the reduced axes back as axes of 1, so that it broadcasts to the input.
fn kept(a: &Array, dims: &[usize], gone: &[bool]) -> Array {
    reshaped(a, &remaining_dims(dims, gone))
}

fn remaining_dims(dims: &[usize], gone: &[bool]) -> Dims {
    dims.iter().zip(gone).map(|(&n, &g)| if g { 1 } else { n }).collect()
}

/// How many elements become one.
fn count(dims: &[usize], gone: &[bool]) -> usize {
    dims.iter().zip(gone).filter(|(_, g)| **g).map(|(n, _)| n).product()
}

/// Sum of `a` over some axes, for gradient rules.
pub fn sum_over(a: &Array, axes: &[i64], keepdims: bool) -> Array {
    let p = Axes { axis: Some(axes.into()), keepdims, exclude: false };
    call(&sum::SUM, &[a], &Params::new(p))
}

params! {
    /// The shape to sum down to.
    pub struct UnbroadcastTo {
        shape: Ints, "the shape before it was stretched";
    }
}

/// Parameters of [`UNBROADCAST`].
pub fn unbroadcast_to(dims: &[usize]) -> Params {
    Params::new(UnbroadcastTo { shape: dims.iter().map(|&d| d as i64).collect() })
}

fn run_unbroadcast(r: &Run<'_>) -> Result<()> {
    let (x, out) = (r.ins[0], r.outs[0]);
    let pad = x.ndim() - out.ndim();
    let gone: Gone = (0..x.ndim()).map(|i| i < pad || out.dims()[i - pad] == 1).collect();
    reduce(Sum, x.span(), x.dims(), &gone, out.span());
    Ok(())
}

table! {
    UNBROADCAST = OpDef::new("_ks_unbroadcast", &["data"], run_unbroadcast).params::<UnbroadcastTo>()
        .doc("Sums over the axes along which an array of `shape` was stretched to that of `data`; the inverse of broadcasting in gradients.")
        .shape(|s| {
            let to: Dims = s.params.get::<UnbroadcastTo>().shape.iter().map(|&d| d as usize).collect();
            if let Some(from) = s.input(0) {
                let fits = from.len() >= to.len() && (0..to.len()).all(|i| to[i] == 1 || to[i] == from[i + from.len() - to.len()]);
                if !fits {
                    bail!(Shape, "shape {} was not stretched from {}", crate::shape::show(&from), crate::shape::show(&to));
                }
            }
            s.output(0, &to)
        })
        .vjp1(Keep::NOTHING, |d| Ok(stretch::to_dims(d.grad(), d.in_dims(0))))
        .no_samples("internal to the tape");
}

/// Any dtype in, float32 out.
fn to_f32(t: &mut super::infer::Types<'_>) -> Result<()> {
    t.outs.iter_mut().for_each(|o| *o = Some(DType::F32));
    Ok(())
}

/// Sample calls of operators that take [`Axes`].
fn cases(d: &mut super::samples::Draw, fill: super::samples::Fill) -> super::samples::Case {
    let dims = d.shape(1, 4);
    let mut case = super::samples::Case::new().input(&dims, fill);
    if d.int(0, 3) > 0 {
        let n = d.size(1, dims.len());
        let mut axes: Vec<i64> = (0..dims.len() as i64).collect();
        (1..axes.len()).rev().for_each(|i| axes.swap(i, d.size(0, i)));
        axes.truncate(n);
        if d.flip() {
            axes[0] -= dims.len() as i64;
        }
        case = case.param("axis", axes).param("exclude", d.flip());
    }
    case.param("keepdims", d.flip())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autograd::mode::record;
    use crate::backward::{Options, backward};
    use crate::invoke::invoke_named;
    use crate::ops::value::Value;
    use crate::{GradReq, ops};

    fn call_named(op: &str, ins: &[&Array], params: &[(&str, Value)]) -> Array {
        invoke_named(ops::find(op).unwrap(), ins, params).unwrap().remove(0)
    }

    fn x() -> Array {
        Array::from_slice(&[1f32, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3]).unwrap()
    }

    fn axis(a: i64) -> (&'static str, Value) {
        ("axis", a.into())
    }

    #[test]
    fn shapes_follow_axes_exclude_and_keepdims() {
        let dims = |params: &[(&str, Value)]| call_named("sum", &[&x()], params).dims().to_vec();
        assert_eq!(dims(&[]), [1]);
        assert_eq!(dims(&[("keepdims", true.into())]), [1, 1]);
        assert_eq!(dims(&[axis(-1)]), [2]);
        assert_eq!(dims(&[axis(1), ("exclude", true.into())]), [3]);
        let sum = ops::find("sum_axis").unwrap();
        for bad in [vec![axis(2)], vec![("axis", vec![0i64, -2].into())]] {
            assert!(invoke_named(sum, &[&x()], &bad).is_err());
        }
    }

    #[test]
    fn values_and_a_gradient() {
        assert_eq!(call_named("mean", &[&x()], &[axis(0)]).to_vec::<f32>(), [2.5, 3.5, 4.5]);
        assert_eq!(call_named("norm", &[&x()], &[("ord", 1i64.into())]).to_vec::<f32>(), [21.0]);
        assert_eq!(call_named("argmax", &[&x()], &[axis(1)]).to_vec::<f32>(), [2.0, 2.0]);
        let v = x();
        v.attach_grad(GradReq::Write).unwrap();
        let y = record(|| call_named("prod", &[&v], &[axis(1)]));
        backward(&[&y], &[], Options::default()).unwrap();
        assert_eq!(v.grad().unwrap().to_vec::<f32>(), [6.0, 3.0, 2.0, 30.0, 24.0, 20.0]);
        let m = invoke_named(ops::find("moments").unwrap(), &[&x()], &[("axes", 1i64.into())]).unwrap();
        assert_eq!((m[0].to_vec::<f32>(), m[1].to_vec::<f32>()), (vec![2.0, 5.0], vec![2.0 / 3.0; 2]));
    }
}
