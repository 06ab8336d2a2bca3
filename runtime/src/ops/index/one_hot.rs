//! Indices as rows of zeros with one other number.

use super::super::def::{OpDef, Run};
use super::super::infer::{Shapes, Types};
use super::super::samples::{Case, Fill};
use super::like;
use crate::dtype::DType;
use crate::error::Result;
use crate::kernels::index;
use crate::shape::{Dims, show, size_of_dims};

params! {
    /// What `one_hot` takes.
    pub struct OneHot {
        depth: i64, "length of a row";
        on_value: f64 = 1.0, "the number where the index points";
        off_value: f64 = 0.0, "the number elsewhere";
        dtype: DType = DType::F32, "dtype of the result";
    }
}

fn shape_one_hot(s: &mut Shapes<'_>) -> Result<()> {
    let depth = s.params.get::<OneHot>().depth;
    let Some(depth) = usize::try_from(depth).ok() else {
        bail!(Param, "depth must not be negative, got {depth}")
    };
    let Some(x) = s.input(0) else { return Ok(()) };
    let out: Dims = x.iter().copied().chain([depth]).collect();
    size_of_dims(&out)?;
    s.output(0, &out)
}

fn type_one_hot(t: &mut Types<'_>) -> Result<()> {
    t.outs[0] = Some(t.params.get::<OneHot>().dtype);
    Ok(())
}

fn run_one_hot(r: &Run<'_>) -> Result<()> {
    let p = r.p::<OneHot>();
    index::one_hot(r.ins[0].span(), p.depth as usize, p.on_value, p.off_value, r.outs[0].span());
    Ok(())
}

fn shape_encode(s: &mut Shapes<'_>) -> Result<()> {
    s.want_partial(1, &s.outs[0].clone())?;
    let Some(out) = s.input(1) else { return Ok(()) };
    let [rows, _] = out.as_slice() else { bail!(Shape, "rhs must be a matrix, got {}", show(&out)) };
    s.want(0, &[*rows])?;
    s.output(0, &out)
}

fn run_encode(r: &Run<'_>) -> Result<()> {
    index::one_hot(r.ins[0].span(), r.outs[0].dims()[1], 1.0, 0.0, r.outs[0].span());
    Ok(())
}

table! {
    ONE_HOT = OpDef::new("one_hot", &["indices"], run_one_hot).params::<OneHot>()
        .doc("A new last axis of `depth` elements, all `off_value` but the one that the index names, which is `on_value`. An index outside \
              gives a row of `off_value`; fractions are cut off.")
        .shape(shape_one_hot).dtype(type_one_hot).zero_gradient("indices are whole numbers")
        .cases(|d| {
            let (n, dims) = (d.size(1, 5), d.shape(1, 3));
            Case::new().input(&dims, Fill::Whole(-1, n as i64 + 1)).param("depth", n).param("on_value", 2.5).param("off_value", -1.0)
        });
    ONEHOT_ENCODE = OpDef::new("_onehot_encode", &["lhs", "rhs"], run_encode)
        .doc("A matrix of the shape of `rhs`: zeros, with 1 in row i at the column that `lhs[i]` names.")
        .shape(shape_encode).dtype(|t| like(t, &[1])).zero_gradient("indices are whole numbers")
        .cases(|d| {
            let (rows, n) = (d.size(1, 4), d.size(1, 4));
            Case::new().input(&[rows], Fill::Whole(0, n as i64)).real(&[rows, n])
        });
}
