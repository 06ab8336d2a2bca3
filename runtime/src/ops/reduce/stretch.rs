//! Stretching axes of 1: the inverse of reductions, and their gradient.

use crate::array::Array;
use crate::error::Result;
use crate::fluent::call;
use crate::kernels::copy::strided;
use crate::ops::def::{Keep, OpDef, Run};
use crate::ops::params::{Ints, Params};
use crate::ops::samples::{Case, Draw};
use crate::ops::shape_ops::view::reshaped;
use crate::shape::Dims;
use crate::shape::broadcast::broadcast_strides;
use crate::shape::partial::Partial;
use crate::shape::resolve_axis;
use smallvec::{SmallVec, smallvec};

params! {
    /// A shape.
    pub struct To {
        shape: Ints = Ints::new(), "the shape of the result; 0 keeps the size of that axis";
    }
}

params! {
    /// Axes and their new sizes.
    pub struct AxisSize {
        axis: Ints = Ints::new(), "the axes to stretch, each of size 1";
        size: Ints = Ints::new(), "their sizes in the result";
    }
}

params! {
    /// Axes of one array that take the sizes of axes of another.
    pub struct LikeAxes {
        lhs_axes: Option<Ints> = None, "axes of the first input to stretch; all when not given";
        rhs_axes: Option<Ints> = None, "axes of the second input whose sizes they take";
    }
}

/// `a` stretched to `dims`.
pub fn to_dims(a: &Array, dims: &[usize]) -> Array {
    if a.dims() == dims {
        return a.clone();
    }
    let padded: Dims =
        std::iter::repeat_n(1, dims.len().saturating_sub(a.ndim())).chain(a.dims().iter().copied()).collect();
    // A code of 0 means "keep", which an empty axis does anyway.
    call(
        &BROADCAST_TO,
        &[&reshaped(a, &padded)],
        &Params::new(To { shape: dims.iter().map(|&d| d as i64).collect() }),
    )
}

fn run(r: &Run<'_>) -> Result<()> {
    let (x, out) = (r.ins[0], r.outs[0]);
    strided(out.dims(), x.span(), 0, &broadcast_strides(x.dims(), out.dims()), out.span());
    Ok(())
}

/// Says that the output has the sizes of the input except where `new` names another; checks that only axes of 1 change.
fn stretch(s: &mut crate::ops::infer::Shapes<'_>, new: &[Option<i64>]) -> Result<()> {
    let Some(from) = s.ins[0].sizes() else { return Ok(()) };
    let pad = new.len() - from.len();
    let mut to: SmallVec<[i64; 6]> = SmallVec::new();
    for (i, n) in new.iter().enumerate() {
        let have = if i < pad { 1 } else { from[i - pad] };
        // Only axes of 1 change: any other has its size.
        let want = n.filter(|&n| n != -1 || have < 2).unwrap_or(have);
        if have != 1 && have != -1 && want != -1 && want != have {
            bail!(Shape, "axis {i} of size {have} cannot be stretched to {want}; only axes of 1 can");
        }
        to.push(want);
    }
    s.outs[0].merge(&Partial::from_sizes(&to)).map(drop)
}

fn infer_to(s: &mut crate::ops::infer::Shapes<'_>) -> Result<()> {
    let shape = s.params.get::<To>().shape.clone();
    let Some(ndim) = s.ins[0].ndim() else { return Ok(()) };
    if shape.len() != ndim {
        bail!(
            Shape,
            "the shape must have as many axes as the input, got {} of them, want {ndim}",
            shape.len()
        );
    }
    if shape.iter().any(|&n| n < 0) {
        bail!(Param, "sizes cannot be negative, got {shape:?}");
    }
    let new: SmallVec<[Option<i64>; 6]> = shape.iter().map(|&n| (n != 0).then_some(n)).collect();
    stretch(s, &new)
}

fn infer_axis(s: &mut crate::ops::infer::Shapes<'_>) -> Result<()> {
    let p = s.params.get::<AxisSize>();
    if p.axis.len() != p.size.len() {
        bail!(Param, "as many sizes as axes are wanted, got {:?} for axes {:?}", p.size, p.axis);
    }
    let Some(from) = s.ins[0].sizes() else { return Ok(()) };
    let mut new: SmallVec<[Option<i64>; 6]> = smallvec![None; from.len()];
    for (&a, &n) in p.axis.iter().zip(&p.size) {
        let i = resolve_axis(a, from.len())?;
        if from[i] > 1 || n < 0 {
            bail!(Shape, "axis {a} of size {} cannot be stretched to {n}; only axes of 1 can", from[i]);
        }
        new[i] = Some(n);
    }
    stretch(s, &new)
}

fn infer_like(s: &mut crate::ops::infer::Shapes<'_>) -> Result<()> {
    let p = s.params.get::<LikeAxes>();
    let (Some(a), Some(b)) = (s.ins[0].sizes(), s.ins[1].sizes()) else { return Ok(()) };
    let new: SmallVec<[Option<i64>; 6]> = match (&p.lhs_axes, &p.rhs_axes) {
        (Some(la), Some(ra)) if la.len() == ra.len() => {
            let mut new: SmallVec<[Option<i64>; 6]> = smallvec![None; a.len()];
            for (&l, &r) in la.iter().zip(ra) {
                new[resolve_axis(l, a.len())?] = Some(b[resolve_axis(r, b.len())?]);
            }
            new
        }
        (Some(la), Some(ra)) => {
            bail!(Param, "lhs_axes and rhs_axes must be as many, got {la:?} and {ra:?}")
        }
        // As in MXNet, one of them alone says nothing.
        _ if a.len() == b.len() => b.iter().map(|&n| Some(n)).collect(),
        _ => {
            bail!(Shape, "both inputs must have as many axes, got {} and {}", s.ins[0], s.ins[1])
        }
    };
    stretch(s, &new)
}

fn draw(d: &mut Draw) -> (Vec<usize>, Vec<i64>) {
    let to = d.shape(1, 4);
    let from = to.iter().map(|&n| if d.flip() { 1 } else { n }).collect();
    (from, to.iter().map(|&n| n as i64).collect())
}

table! {
    BROADCAST_TO = OpDef::new("broadcast_to", &["data"], run).truths().params::<To>().shape(infer_to)
        .doc("`data` with axes of 1 repeated until it has `shape`; 0 in `shape` keeps the size of that axis.")
        .vjp1(Keep::NOTHING, |d| Ok(d.grad().clone()))
        .cases(|d| {
            let (from, to) = draw(d);
            Case::new().real(&from).param("shape", to)
        });
    BROADCAST_AXIS = OpDef::new("broadcast_axis", &["data"], run).truths().aliases(&["broadcast_axes"]).params::<AxisSize>()
        .shape(infer_axis)
        .doc("`data` with each axis `axis[i]`, of size 1, repeated `size[i]` times.")
        .vjp1(Keep::NOTHING, |d| Ok(d.grad().clone()))
        .cases(|d| {
            let (from, to) = draw(d);
            let axes: Vec<i64> = (0..from.len()).filter(|&i| from[i] == 1).map(|i| i as i64).collect();
            let sizes: Vec<i64> = axes.iter().map(|&i| to[i as usize]).collect();
            Case::new().real(&from).param("axis", axes).param("size", sizes)
        });
    BROADCAST_LIKE = OpDef::new("broadcast_like", &["lhs", "rhs"], run).truths().params::<LikeAxes>().shape(infer_like)
        .dtype(|t| {
            t.outs[0] = t.outs[0].or(t.ins[0]);
            t.ins[0] = t.ins[0].or(t.outs[0]);
            Ok(())
        })
        .doc("`lhs` with axes of 1 repeated to the sizes of `rhs`: of all axes, or of `lhs_axes[i]` to the size of `rhs_axes[i]`.")
        .vjp(Keep::NOTHING, |d| Ok(smallvec![Some(d.grad().clone()), None]))
        .cases(|d| {
            let (from, to) = draw(d);
            let to: Vec<usize> = to.iter().map(|&n| n as usize).collect();
            Case::new().real(&from).real(&to)
        });
}
