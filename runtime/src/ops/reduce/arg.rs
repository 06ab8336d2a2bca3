//! Where the extremes are. Indices come in the dtype of the data, as MXNet's do; float16 tells them apart up to 2048.

use super::{gone, infer};
use crate::error::Result;
use crate::kernels::reduce::{Arg, arg_reduce};
use crate::ops::def::{OpDef, Run};
use crate::ops::infer::Shapes;
use crate::ops::samples::{Case, Draw, Fill};
use crate::shape::partial::Partial;
use crate::shape::resolve_axis;

params! {
    /// Along which axis.
    pub struct ArgAxis {
        axis: Option<i64> = None, "the axis to search; the flat array when not given";
        keepdims: bool = false, "keep the axis with size 1";
    }
}

fn infer_arg(s: &mut Shapes<'_>) -> Result<()> {
    let p = s.params.get::<ArgAxis>().clone();
    if let Some(dims) = s.input(0) {
        let over = gone(p.axis.as_ref().map(std::slice::from_ref), false, dims.len())?;
        if super::count(&dims, &over) == 0 {
            bail!(Shape, "an empty axis has no extreme, got shape {}", crate::shape::show(&dims));
        }
    }
    infer(s, p.axis.as_ref().map(std::slice::from_ref), false, p.keepdims, 1)
}

fn search(kind: Arg, axis: Option<i64>, r: &Run<'_>) -> Result<()> {
    let (x, out) = (r.ins[0], r.outs[0]);
    let (outer, n, inner) = match axis {
        None => (1, x.size(), 1),
        Some(a) => {
            let a = resolve_axis(a, x.ndim())?;
            (x.dims()[..a].iter().product(), x.dims()[a], x.dims()[a + 1..].iter().product())
        }
    };
    arg_reduce(kind, x.span(), outer, n, inner, out.span());
    Ok(())
}

fn case(d: &mut Draw) -> Case {
    let dims = d.shape(1, 4);
    let c = Case::new().input(&dims, Fill::Distinct(0.25)).param("keepdims", d.flip());
    if d.int(0, 3) == 0 { c } else { c.param("axis", d.axis(dims.len())) }
}

table! {
    ARGMAX = OpDef::new("argmax", &["data"], |r| search(Arg::Max, r.p::<ArgAxis>().axis, r)).params::<ArgAxis>()
        .shape(infer_arg).doc("Index of the largest element along an axis, the first of equal ones.")
        .zero_gradient("an index is piecewise constant").cases(case);
    ARGMIN = OpDef::new("argmin", &["data"], |r| search(Arg::Min, r.p::<ArgAxis>().axis, r)).params::<ArgAxis>()
        .shape(infer_arg).doc("Index of the smallest element along an axis, the first of equal ones.")
        .zero_gradient("an index is piecewise constant").cases(case);
    ARGMAX_CHANNEL = OpDef::new("argmax_channel", &["data"], |r| search(Arg::Max, Some(1), r))
        .shape(|s| {
            let Some(sizes) = s.ins[0].sizes() else { return Ok(()) };
            if sizes.len() < 2 || sizes[1] == 0 {
                bail!(Shape, "at least two axes are wanted and the second not empty, got {}", s.ins[0]);
            }
            let left: Vec<i64> = sizes.iter().enumerate().filter(|(i, _)| *i != 1).map(|(_, &n)| n).collect();
            s.outs[0].merge(&Partial::from_sizes(&left)).map(drop)
        })
        .doc("Index of the largest element along axis 1, the first of equal ones.")
        .zero_gradient("an index is piecewise constant")
        .cases(|d| {
            let dims = d.shape(2, 4);
            Case::new().input(&dims, Fill::Distinct(0.25))
        });
}
