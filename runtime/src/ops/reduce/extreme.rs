//! The largest and the smallest element.

use super::{Axes, cases, gone_of, infer_axes, kept, run_axes};
use crate::array::Array;
use crate::error::Result;
use crate::kernels::reduce::{Max, Min};
use crate::ops::def::{Keep, OpDef};
use crate::ops::samples::Fill;
use crate::ops::vjp::Vjp;

/// Every element that equals the result has the whole gradient.
fn grad(d: &Vjp<'_>) -> Result<Array> {
    let (gone, dims) = (gone_of(d)?, d.in_dims(0));
    let is_it = d.input(0).array_eq(&kept(d.out(), dims, &gone));
    Ok(kept(d.grad(), dims, &gone) * is_it)
}

table! {
    MAX = OpDef::new("max", &["data"], |r| run_axes(r, Max)).aliases(&["max_axis"]).params::<Axes>()
        .shape(infer_axes)
        .doc("Largest element over axes; NaN if there is one. Where several are equal, each gets the whole gradient.")
        .vjp1(Keep::ALL, grad).cases(|d| cases(d, Fill::Distinct(0.1)));
    MIN = OpDef::new("min", &["data"], |r| run_axes(r, Min)).aliases(&["min_axis"]).params::<Axes>()
        .shape(infer_axes)
        .doc("Smallest element over axes; NaN if there is one. Where several are equal, each gets the whole gradient.")
        .vjp1(Keep::ALL, grad).cases(|d| cases(d, Fill::Distinct(0.1)));
}
