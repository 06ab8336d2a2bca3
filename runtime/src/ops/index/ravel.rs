//! Indices over several axes as one number and back, and the indices of an array's own elements.

use super::super::def::{OpDef, Run};
use super::super::infer::Shapes;
use super::super::params::Ints;
use super::super::samples::{Case, Fill};
use crate::dtype::{DType, Elem};
use crate::error::Result;
use crate::kernels::index::whole;
use crate::kernels::par;
use crate::shape::partial::Partial;
use crate::shape::{Dims, resolve_axis, show};

params! {
    /// The array that indices count in.
    pub struct Counted {
        shape: Ints = Ints::new(), "shape of the array; the first size may be -1 and is then without bound";
    }
}

/// The sizes, checked; only the first may be open.
fn counted(p: &Counted) -> Result<&Ints> {
    if p.shape.is_empty() || p.shape[1..].iter().any(|&d| d < 1) {
        bail!(Param, "shape must be given and positive, got {:?}", p.shape.as_slice());
    }
    Ok(&p.shape)
}

fn shape_ravel(s: &mut Shapes<'_>) -> Result<()> {
    let m = counted(s.params.get())?.len();
    if let Some(out) = s.outs[0].sizes() {
        let x: Ints = [m as i64].iter().chain(out).copied().collect();
        s.want_partial(0, &Partial::from_sizes(&x))?;
    }
    let Some(x) = s.input(0) else { return Ok(()) };
    if x.first() != Some(&m) || x.len() < 2 {
        bail!(Shape, "a row for each of {m} axes is wanted, got {}", show(&x));
    }
    s.output(0, &x[1..])
}

fn run_ravel(r: &Run<'_>) -> Result<()> {
    let (x, out, sizes) = (r.ins[0].span(), r.outs[0].span(), counted(r.p())?);
    let n = out.len();
    with_dtype!(out.dtype(), T => par::chunks(n, 1 << 12, |_, range| {
        let mut buf = [0i64; 256];
        for at in range.clone().step_by(256) {
            let count = 256.min(range.end - at);
            let mut sums = [0i64; 256];
            for (axis, &d) in sizes.iter().enumerate() {
                whole(x, axis * n + at, &mut buf[..count]);
                sums.iter_mut().zip(&buf[..count]).for_each(|(s, &i)| *s = s.wrapping_mul(d).wrapping_add(i));
            }
            // SAFETY: a block of this chunk.
            let to = unsafe { out.sub(at, count).slice_mut::<T>() };
            to.iter_mut().zip(sums).for_each(|(t, s)| *t = T::from_i64(s));
        }
    }));
    Ok(())
}

fn shape_unravel(s: &mut Shapes<'_>) -> Result<()> {
    let m = counted(s.params.get())?.len();
    if let Some((_, x)) = s.outs[0].sizes().and_then(<[i64]>::split_first).filter(|(_, x)| !x.is_empty()) {
        let x = Partial::from_sizes(x);
        s.want_partial(0, &x)?;
    }
    let Some(x) = s.input(0) else { return Ok(()) };
    s.output(0, &[m].iter().chain(&x).copied().collect::<Dims>())
}

fn run_unravel(r: &Run<'_>) -> Result<()> {
    let (x, out, sizes) = (r.ins[0].span(), r.outs[0].span(), counted(r.p())?);
    let n = x.len();
    with_dtype!(out.dtype(), T => par::chunks(n, 1 << 12, |_, range| {
        let mut buf = [0i64; 256];
        for at in range.clone().step_by(256) {
            let buf = &mut buf[..256.min(range.end - at)];
            whole(x, at, buf);
            for (axis, &d) in sizes.iter().enumerate().rev() {
                // SAFETY: a block of row `axis`, in this chunk's columns.
                let to = unsafe { out.sub(axis * n + at, buf.len()).slice_mut::<T>() };
                for (t, rest) in to.iter_mut().zip(buf.iter_mut()) {
                    let i = if axis == 0 { *rest } else { rest.rem_euclid(d) };
                    *rest = if axis == 0 { 0 } else { rest.div_euclid(d) };
                    *t = T::from_i64(i);
                }
            }
        }
    }));
    Ok(())
}

params! {
    /// What `_contrib_index_array` takes.
    pub struct IndexAxes {
        axes: Option<Ints> = None, "axes whose indices are given; all of them when absent";
    }
}

fn index_axes(p: &IndexAxes, ndim: usize) -> Result<Dims> {
    match &p.axes {
        None => Ok((0..ndim).collect()),
        Some(axes) => axes.iter().map(|&a| resolve_axis(a, ndim)).collect(),
    }
}

fn shape_index_array(s: &mut Shapes<'_>) -> Result<()> {
    let Some(x) = s.input(0) else { return Ok(()) };
    let m = index_axes(s.params.get(), x.len())?.len();
    s.output(0, &x.iter().copied().chain([m]).collect::<Dims>())
}

fn run_index_array(r: &Run<'_>) -> Result<()> {
    let (x, out) = (r.ins[0].dims(), r.outs[0].span());
    let axes = index_axes(r.p(), x.len())?;
    let steps: Dims = axes.iter().map(|&a| x[a + 1..].iter().product()).collect();
    let m = axes.len();
    par::chunks(out.len() / m.max(1), 1 << 12, |_, range| {
        // SAFETY: the elements of this chunk.
        let to = unsafe { out.sub(range.start * m, range.len() * m).slice_mut::<i64>() };
        for (at, to) in range.zip(to.chunks_exact_mut(m)) {
            (0..m).for_each(|k| to[k] = (at / steps[k] % x[axes[k]]) as i64);
        }
    });
    Ok(())
}

table! {
    RAVEL = OpDef::new("_ravel_multi_index", &["data"], run_ravel).aliases(&["ravel_multi_index"]).params::<Counted>()
        .doc("Indices over several axes as one number: column j of `data` holds an index for each axis of an array of shape `shape`, and \
              out[j] is the place of that element in row-major order.")
        .shape(shape_ravel).zero_gradient("indices are whole numbers")
        .cases(|d| {
            let dims: Vec<usize> = d.shape(1, 3).to_vec();
            let least = dims.iter().copied().min().unwrap_or(1);
            Case::new().input(&[dims.len(), d.size(1, 5)], Fill::Whole(0, least as i64)).param("shape", dims)
        });
    UNRAVEL = OpDef::new("_unravel_index", &["data"], run_unravel).aliases(&["unravel_index"]).params::<Counted>()
        .doc("The inverse of ravel_multi_index: for each number the index along every axis of an array of shape `shape`, in a new first axis.")
        .shape(shape_unravel).zero_gradient("indices are whole numbers")
        .cases(|d| {
            let dims: Vec<usize> = d.shape(1, 3).to_vec();
            let n: usize = dims.iter().product();
            let of = d.shape(1, 2);
            Case::new().input(&of, Fill::Whole(0, n as i64)).param("shape", dims)
        });
    INDEX_ARRAY = OpDef::new("_contrib_index_array", &["data"], run_index_array).params::<IndexAxes>()
        .doc("For every element of `data` its indices, all of them or those along `axes`, in a new last axis of int64.")
        .shape(shape_index_array).dtype(|t| { t.outs[0] = Some(DType::I64); Ok(()) })
        .zero_gradient("indices do not depend on values")
        .cases(|d| {
            let dims = d.shape(1, 4);
            let case = Case::new().real(&dims);
            if d.flip() { case } else { case.param("axes", vec![d.axis(dims.len())]) }
        });
}
