//! Cumulative sums.

use crate::array::Array;
use crate::dtype::DType;
use crate::error::Result;
use crate::fluent::call_with;
use crate::kernels::copy::cast;
use crate::kernels::cumulative::cumulate;
use crate::ops::def::{Keep, OpDef, Run};
use crate::ops::infer::{Shapes, Types};
use crate::ops::samples::{Case, Draw, Fill};
use crate::ops::shape_ops::view::reshaped;
use crate::ops::vjp::Vjp;
use crate::shape::partial::Partial;
use crate::shape::resolve_axis;

params! {
    /// Along what, and in what.
    pub struct Cumulative {
        axis: Option<i64> = None, "the axis; all elements in a row when none is given";
        dtype: Option<DType> = None, "dtype of the result, that of `a` when not given";
    }
}

fn shape(s: &mut Shapes<'_>) -> Result<()> {
    let p: &Cumulative = s.params.get();
    let Some(axis) = p.axis else {
        let size = s.ins[0].known().map_or(-1, |dims| dims.iter().product::<usize>() as i64);
        return s.outs[0].merge(&Partial::from_sizes(&[size])).map(drop);
    };
    s.outs[0].merge(&s.ins[0])?;
    s.want_partial(0, &s.outs[0].clone())?;
    if let Some(n) = s.ins[0].ndim() {
        resolve_axis(axis, n)?;
    }
    Ok(())
}

fn dtype(t: &mut Types<'_>) -> Result<()> {
    let want = t.params.get::<Cumulative>().dtype;
    t.outs[0] = want.or(t.outs[0]).or(t.ins[0]);
    if want.is_none() {
        t.ins[0] = t.ins[0].or(t.outs[0]);
    }
    Ok(())
}

fn run(r: &Run<'_>, backwards: bool) -> Result<()> {
    let (x, out) = (r.ins[0], r.outs[0]);
    cast(x.span(), out.span());
    let dims = match r.p::<Cumulative>().axis {
        None => [1, x.size(), 1],
        Some(axis) => {
            let axis = resolve_axis(axis, x.ndim())?;
            let size = |part: &[usize]| part.iter().product();
            [size(&x.dims()[..axis]), x.dims()[axis], size(&x.dims()[axis + 1..])]
        }
    };
    cumulate(out.span(), dims, backwards);
    Ok(())
}

/// Each element is in all sums from its own on, so the gradient is cumulated the other way.
fn grad(d: &Vjp<'_>, op: &'static OpDef) -> Result<Array> {
    let p = Cumulative { axis: d.p::<Cumulative>().axis, dtype: Some(d.in_dtype(0)) };
    Ok(reshaped(&call_with(op, &[d.grad()], p), d.in_dims(0)))
}

/// Sums of all axes, and of one.
fn case(d: &mut Draw) -> Case {
    let dims = d.shape(1, 4);
    let axis = d.axis(dims.len());
    let case = Case::new().input(&dims, Fill::Real(-2.0, 2.0, &[]));
    if d.flip() { case.param("axis", axis) } else { case }
}

table! {
    CUMSUM = OpDef::new("_np_cumsum", &["a"], |r| run(r, false)).aliases(&["cumsum"]).params::<Cumulative>()
        .shape(shape).dtype(dtype)
        .doc("Cumulative sum along an axis: `out[i] = a[0] + … + a[i]`; of all elements in a row when there is no axis. Floats are summed in float64, \
              and each sum is rounded once.")
        .vjp1(Keep::NOTHING, |d| grad(d, &BACKWARDS))
        .cases(case);
    BACKWARDS = OpDef::new("_ks_cumsum_backwards", &["a"], |r| run(r, true)).params::<Cumulative>()
        .shape(shape).dtype(dtype)
        .doc("Cumulative sum from the end: `out[i] = a[i] + … + a[n-1]`.")
        .vjp1(Keep::NOTHING, |d| grad(d, &CUMSUM))
        .cases(case);
}
