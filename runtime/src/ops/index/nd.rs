//! Indices over several axes at once: column `j` of the indices names one element, or one row, of the data.

use super::super::def::{Keep, OpDef, Run};
use super::super::infer::Shapes;
use super::super::params::{Ints, Params};
use super::super::samples::{Case, Draw, Fill};
use super::super::vjp::{Grads, Vjp};
use super::{apart, like, like_first, start};
use crate::array::Array;
use crate::dtype::DType;
use crate::error::Result;
use crate::fluent::call;
use crate::kernels::copy;
use crate::kernels::index::{self, Rows, Wild, outside, whole};
use crate::shape::{Dims, show, size_of_dims};
use crate::storage::Span;
use crate::tensor::Tensor;
use smallvec::smallvec;

params! {
    /// What operators that write by indices take.
    pub struct Scatter {
        shape: Ints, "shape of the result";
    }
}

fn sizes(of: &Ints) -> Result<Dims> {
    let negative = |_| err!(Param, "sizes cannot be negative, got {of:?}");
    of.iter().map(|&d| usize::try_from(d).map_err(negative)).collect()
}

/// Number of axes that are indexed, and the shape of what the indices name in an array of this shape.
fn named(x: &[usize], index: &[usize]) -> Result<(usize, Dims)> {
    let Some((&m, columns)) = index.split_first() else { bail!(Shape, "indices need axes, got ()") };
    if m > x.len() || m == 0 {
        bail!(Shape, "indices name {m} axes, want 1 to {} for shape {}", x.len(), show(x));
    }
    Ok((m, columns.iter().chain(&x[m..]).copied().collect()))
}

/// The row that each column of the indices names, counted over the indexed axes. Negative indices count from the end.
fn flat(x: &[usize], index: &Tensor) -> Result<Vec<i64>> {
    let m = index.dims()[0];
    let n = index.size() / m.max(1);
    let mut rows = vec![0i64; n];
    let mut buf = [0i64; 256];
    for (axis, &d) in x[..m].iter().enumerate() {
        for at in (0..n).step_by(buf.len()) {
            let rows = &mut rows[at..n.min(at + 256)];
            let buf = &mut buf[..rows.len()];
            whole(index.span(), axis * n + at, buf);
            for (row, &i) in rows.iter_mut().zip(&*buf) {
                let i = if i < 0 { i.saturating_add(d as i64) } else { i };
                if i < 0 || i >= d as i64 {
                    bail!(
                        Shape,
                        "an index is outside of axis {axis}, got {}, want {} to {}",
                        wrong(index, axis, n),
                        -(d as i64),
                        d as i64 - 1
                    );
                }
                *row = *row * d as i64 + i;
            }
        }
    }
    Ok(rows)
}

/// The first index of an axis that is outside, for the message.
fn wrong(index: &Tensor, axis: usize, n: usize) -> i64 {
    let row = index.span().sub(axis * n, n);
    outside(row, i64::MIN, -1).or(outside(row, 0, i64::MAX)).unwrap_or_default()
}

fn span(rows: &[i64]) -> Span {
    // SAFETY: kernels only read indices, and the callers here keep the vector until they are done.
    unsafe { Span::new(rows.as_ptr().cast_mut().cast(), rows.len(), DType::I64) }
}

/// An array of this shape as rows over its first `m` axes.
fn rows_of(x: &[usize], m: usize) -> Rows {
    Rows { outer: 1, n: x[..m].iter().product(), inner: x[m..].iter().product() }
}

fn run_gather(r: &Run<'_>) -> Result<()> {
    let (x, index) = (r.ins[0], r.ins[1]);
    let flat = flat(x.dims(), index)?;
    index::take(rows_of(x.dims(), index.dims()[0]), x.span(), span(&flat), Wild::Clip, r.outs[0].span());
    Ok(())
}

/// The shape rule of operators that write: data fits the indices and the result has the shape that is given.
fn shape_scatter(s: &mut Shapes<'_>) -> Result<()> {
    let x = sizes(&s.params.get::<Scatter>().shape)?;
    size_of_dims(&x)?;
    if let Some(index) = s.input(1) {
        let want = named(&x, &index)?.1;
        s.want(0, &want)?;
    }
    s.output(0, &x)
}

fn run_scatter(r: &Run<'_>) -> Result<()> {
    let out = r.outs[0];
    let flat = flat(out.dims(), r.ins[1])?;
    copy::fill(out.span(), 0.0);
    index::put(rows_of(out.dims(), r.ins[1].dims()[0]), r.ins[0].span(), span(&flat), Wild::Clip, out.span());
    Ok(())
}

fn run_add(r: &Run<'_>) -> Result<()> {
    let out = r.outs[0];
    let flat = flat(out.dims(), r.ins[1])?;
    index::add(rows_of(out.dims(), r.ins[1].dims()[0]), r.ins[0].span(), span(&flat), Wild::Clip, out.span());
    Ok(())
}

fn gather(x: &Array, index: &Array) -> Array {
    call(&GATHER_ND, &[x, index], &Params::NONE)
}

fn shape_of(dims: &[usize]) -> Params {
    Params::new(Scatter { shape: dims.iter().map(|&d| d as i64).collect() })
}

fn grad_gather(d: &Vjp<'_>) -> Result<Grads> {
    let sums = || call(&ADD_ND, &[d.grad(), d.input(1)], &shape_of(d.in_dims(0)));
    Ok(smallvec![d.needs(0).then(sums), d.zeros(1)?])
}

fn grad_scatter(d: &Vjp<'_>) -> Result<Grads> {
    Ok(smallvec![d.needs(0).then(|| gather(d.grad(), d.input(1))), d.zeros(1)?])
}

fn shape_set(s: &mut Shapes<'_>) -> Result<()> {
    let x = sizes(&s.params.get::<Scatter>().shape)?;
    s.want(0, &x)?;
    if let Some(index) = s.input(2) {
        let want = named(&x, &index)?.1;
        s.want(1, &want)?;
    }
    s.output(0, &x)
}

fn run_set(r: &Run<'_>) -> Result<()> {
    let out = r.outs[0];
    let (values, index) = (apart(r.ins[1], out)?, apart(r.ins[2], out)?);
    let flat = flat(out.dims(), &index)?;
    start(r.ins[0], out);
    index::put(rows_of(out.dims(), index.dims()[0]), values.span(), span(&flat), Wild::Clip, out.span());
    Ok(())
}

fn grad_set(d: &Vjp<'_>) -> Result<Grads> {
    let (g, index) = (d.grad(), d.input(2));
    let rest = || -> Result<Array> {
        let zeros = Array::zeros(d.in_dims(1), g.dtype(), g.device())?;
        Ok(call(&SCATTER_SET_ND, &[g, &zeros, index], d.params))
    };
    Ok(smallvec![d.needs(0).then(rest).transpose()?, d.needs(1).then(|| gather(g, index)), d.zeros(2)?])
}

fn shape_index_copy(s: &mut Shapes<'_>) -> Result<()> {
    s.want_partial(0, &s.outs[0].clone())?;
    let Some(x) = s.input(0) else { return Ok(()) };
    let Some((&n, row)) = x.split_first() else { bail!(Shape, "old_tensor needs an axis, got ()") };
    if let Some(index) = s.input(1) {
        let [m] = index.as_slice() else {
            bail!(Shape, "index_vector must have one axis, got {}", show(&index))
        };
        if n == 0 && *m > 0 {
            bail!(Shape, "there are no rows to write, got shape {}", show(&x));
        }
        s.want(2, &[*m].iter().chain(row).copied().collect::<Dims>())?;
    }
    s.output(0, &x)
}

fn run_index_copy(r: &Run<'_>) -> Result<()> {
    let out = r.outs[0];
    let (index, values) = (apart(r.ins[1], out)?, apart(r.ins[2], out)?);
    let rows = Rows::of(out.dims(), 0);
    if let Some(i) = outside(index.span(), 0, rows.n as i64) {
        bail!(Shape, "an index is outside of the rows, got {i}, want 0 to {}", rows.n as i64 - 1);
    }
    start(r.ins[0], out);
    index::put(rows, values.span(), index.span(), Wild::Clip, out.span());
    Ok(())
}

fn grad_index_copy(d: &Vjp<'_>) -> Result<Grads> {
    let (g, index) = (d.grad(), d.input(1));
    let rest = || -> Result<Array> {
        let zeros = Array::zeros(d.in_dims(2), g.dtype(), g.device())?;
        Ok(call(&INDEX_COPY, &[g, index, &zeros], &Params::NONE))
    };
    let new = || super::take::taken_rows(g, index, 0);
    Ok(smallvec![d.needs(0).then(rest).transpose()?, d.zeros(1)?, d.needs(2).then(new)])
}

/// An array, indices that name different places in it, and the shape of what they name.
fn draw(d: &mut Draw) -> (Dims, Dims, Vec<f64>, Dims) {
    let dims = d.shape(1, 3);
    let m = d.size(1, dims.len());
    let rows: usize = dims[..m].iter().product();
    let mut places: Vec<usize> = (0..rows).collect();
    for i in (1..rows).rev() {
        places.swap(i, d.size(0, i));
    }
    places.truncate(d.size(1, rows.min(5)));
    let mut values = Vec::new();
    for axis in 0..m {
        let step: usize = dims[axis + 1..m].iter().product();
        let back = if d.flip() { dims[axis] as f64 } else { 0.0 };
        values.extend(places.iter().map(|p| (p / step % dims[axis]) as f64 - back));
    }
    let named: Dims = [places.len()].iter().chain(&dims[m..]).copied().collect();
    (dims, smallvec![m, places.len()], values, named)
}

fn scatter_case(d: &mut Draw) -> Case {
    let (dims, index, values, named) = draw(d);
    Case::new().real(&named).input(&index, Fill::Exact(values)).param("shape", dims.to_vec())
}

table! {
    GATHER_ND = OpDef::new("gather_nd", &["data", "indices"], run_gather).truths()
        .doc("Elements, or rows, of `data` by indices over its first axes: out[j…, k…] = data[indices[0, j…], …, indices[M-1, j…], k…]. \
              Negative indices count from the end.")
        .shape(|s| {
            let (Some(x), Some(index)) = (s.input(0), s.input(1)) else { return Ok(()) };
            let (m, out) = named(&x, &index)?;
            if x[..m].contains(&0) && size_of_dims(&index)? > 0 {
                bail!(Shape, "there is nothing to take from, got shape {}", show(&x));
            }
            s.output(0, &out)
        })
        .dtype(like_first).vjp(Keep::input(1), grad_gather)
        .cases(|d| {
            let (dims, index, values, _) = draw(d);
            Case::new().real(&dims).input(&index, Fill::Exact(values))
        });
    ADD_ND = OpDef::new("_ks_add_nd", &["data", "indices"], run_add).params::<Scatter>()
        .doc("Zeros to which `data` is added where the indices say: the gradient of gather_nd.")
        .shape(shape_scatter).dtype(like_first).vjp(Keep::input(1), grad_scatter).cases(scatter_case);
    SCATTER_ND = OpDef::new("scatter_nd", &["data", "indices"], run_scatter).params::<Scatter>()
        .doc("Zeros of a given shape with `data` where the indices say, the inverse of gather_nd. Of several values for one place the last stays.")
        .shape(shape_scatter).dtype(like_first).vjp(Keep::input(1), grad_scatter).cases(scatter_case);
    SCATTER_SET_ND = OpDef::new("_scatter_set_nd", &["lhs", "rhs", "indices"], run_set).params::<Scatter>()
        .doc("`lhs` with `rhs` where the indices say. With `lhs` as the result only those places are written.")
        .shape(shape_set).dtype(|t| like(t, &[0, 1])).inplace().vjp(Keep::input(2), grad_set)
        .cases(|d| {
            let (dims, index, values, named) = draw(d);
            Case::new().real(&dims).real(&named).input(&index, Fill::Exact(values)).param("shape", dims.to_vec())
        });
    INDEX_COPY = OpDef::new("_contrib_index_copy", &["old_tensor", "index_vector", "new_tensor"], run_index_copy)
        .doc("`old_tensor` with some rows replaced: out[index_vector[i], …] = new_tensor[i, …].")
        .shape(shape_index_copy).dtype(|t| like(t, &[0, 2])).inplace().vjp(Keep::input(1), grad_index_copy)
        .cases(|d| {
            let dims = d.shape(1, 3);
            let mut rows: Vec<f64> = (0..dims[0]).map(|i| i as f64).collect();
            for i in (1..rows.len()).rev() { rows.swap(i, d.size(0, i)); }
            rows.truncate(d.size(1, dims[0]));
            let new: Dims = [rows.len()].iter().chain(&dims[1..]).copied().collect();
            Case::new().real(&dims).input(&[rows.len()], Fill::Exact(rows)).real(&new)
        });
}
