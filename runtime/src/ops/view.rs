//! Views as operators, so that the tape can go through them: internal, reached by the methods of `views.rs`.

use super::def::{Keep, OpDef, Run};
use super::params::{Ints, Params};
use super::samples::{Case, Draw};
use crate::array::Array;
use crate::error::Result;
use crate::fluent::call;
use crate::shape::reshape::reshape;
use crate::shape::{Dims, size_of_dims};
use crate::tensor::Tensor;

params! {
    /// A range of rows.
    pub struct Rows {
        begin: usize, "first row";
        end: usize, "row after the last";
    }
}

params! {
    /// One row.
    pub struct At {
        index: usize, "which row";
    }
}

params! {
    /// Another shape for the same elements.
    pub struct Codes {
        shape: Ints, "sizes and codes, see Reshape";
        reverse: bool = false, "match the codes from the right";
    }
}

params! {
    /// Where rows go in a larger array.
    pub struct Place {
        shape: Ints, "shape of the result";
        begin: usize, "where the first row goes";
    }
}

/// Parameters of [`ROWS`].
pub fn rows(begin: usize, end: usize) -> Params {
    Params::new(Rows { begin, end })
}

/// Parameters of [`AT`].
pub fn at(index: usize) -> Params {
    Params::new(At { index })
}

/// Parameters of [`RESHAPE`].
pub fn codes(shape: &[i64], reverse: bool) -> Params {
    Params::new(Codes { shape: shape.into(), reverse })
}

fn place(dims: &[usize], begin: usize) -> Params {
    Params::new(Place { shape: dims.iter().map(|&d| d as i64).collect(), begin })
}

fn reshape_to(x: &Array, dims: &[usize]) -> Result<Array> {
    if x.dims() == dims {
        return Ok(x.clone());
    }
    // An axis of 0 would be read as the code that copies an axis.
    if dims.contains(&0) {
        return Array::zeros(dims, x.dtype(), x.device());
    }
    let dims: Ints = dims.iter().map(|&d| d as i64).collect();
    Ok(call(&RESHAPE, &[x], &codes(&dims, false)))
}

fn view_at(p: &Params, x: &Tensor) -> Result<Tensor> {
    let i = p.get::<At>().index;
    let row = x.rows(i, i.saturating_add(1))?;
    if x.ndim() > 1 { row.with_dims(&x.dims()[1..]) } else { Ok(row) }
}

fn view_codes(p: &Params, x: &Tensor) -> Result<Tensor> {
    let c = p.get::<Codes>();
    x.reshaped(&c.shape, c.reverse, true)
}

fn place_dims(p: &Place) -> Result<Dims> {
    let read = |&d: &i64| usize::try_from(d).map_err(|_| err!(Shape, "sizes are not negative, got {d}"));
    if p.shape.is_empty() {
        bail!(Shape, "rows want a first axis, got shape ()");
    }
    p.shape.iter().map(read).collect()
}

fn run_place(r: &Run<'_>) -> Result<()> {
    let (x, out) = (r.ins[0].span(), r.outs[0].span());
    let p = r.p::<Place>();
    let row = size_of_dims(&r.outs[0].dims()[1..])?;
    let start = p.begin.saturating_mul(row);
    if start.saturating_add(x.len()) > out.len() {
        bail!(
            Shape,
            "the rows do not fit, got {} elements from {start}, want at most {}",
            x.len(),
            out.len()
        );
    }
    let size = out.dtype().size();
    // SAFETY: checked above to lie inside the output, which is new.
    unsafe {
        let (before, after) = (start * size, (start + x.len()) * size);
        out.bytes().write_bytes(0, before);
        std::ptr::copy_nonoverlapping(x.bytes(), out.bytes().add(before), after - before);
        out.bytes().add(after).write_bytes(0, out.len() * size - after);
    }
    Ok(())
}

fn sample(d: &mut Draw) -> (Dims, usize, usize) {
    let dims = d.shape(1, 3);
    let end = d.size(1, dims[0]);
    let begin = d.size(0, end - 1);
    (dims, begin, end)
}

table! {
    ROWS = OpDef::viewing("_ks_rows", |p, x| x.rows(p.get::<Rows>().begin, p.get::<Rows>().end)).params::<Rows>()
        .doc("Rows `begin` to `end` of the first axis, as a view.")
        .shape(|s| {
            let Some(mut dims) = s.input(0) else { return Ok(()) };
            let p = s.params.get::<Rows>();
            match dims.first_mut() {
                Some(n) if p.begin <= p.end && p.end <= *n => *n = p.end - p.begin,
                _ => bail!(Shape, "rows {} to {} are out of range, got {dims:?}", p.begin, p.end),
            }
            s.output(0, &dims)
        })
        .vjp1(Keep::NOTHING, |d| Ok(call(&PLACE_ROWS, &[d.grad()], &place(d.in_dims(0), d.p::<Rows>().begin))))
        .cases(|d| {
            let (dims, begin, end) = sample(d);
            Case::new().real(&dims).param("begin", begin).param("end", end)
        });
    AT = OpDef::viewing("_ks_at", view_at).params::<At>()
        .doc("Row `index` as a view; the first axis is dropped unless it is the only one.")
        .shape(|s| {
            let Some(dims) = s.input(0) else { return Ok(()) };
            match dims.as_slice() {
                [_] => s.output(0, &[1]),
                [_, rest @ ..] => s.output(0, rest),
                [] => bail!(Shape, "an array without axes has no rows"),
            }
        })
        .vjp1(Keep::NOTHING, |d| Ok(call(&PLACE_ROWS, &[d.grad()], &place(d.in_dims(0), d.p::<At>().index))))
        .cases(|d| {
            let (dims, begin, _) = sample(d);
            Case::new().real(&dims).param("index", begin)
        });
    RESHAPE = OpDef::viewing("_ks_reshape", view_codes).params::<Codes>()
        .doc("The same elements in another shape, as a view; the codes are those of Reshape.")
        .shape(|s| {
            let Some(dims) = s.input(0) else { return Ok(()) };
            let c = s.params.get::<Codes>();
            s.output(0, &reshape(&dims, &c.shape, c.reverse, true)?)
        })
        .vjp1(Keep::NOTHING, |d| reshape_to(d.grad(), d.in_dims(0)))
        .cases(|d| {
            let dims = d.shape(2, 3);
            let shape: Vec<i64> = if d.flip() { vec![-1] } else { vec![-3, -2] };
            Case::new().real(&dims).param("shape", shape)
        });
    PLACE_ROWS = OpDef::new("_ks_place_rows", &["data"], run_place).params::<Place>()
        .doc("An array of zeros of `shape` with `data` as its rows from `begin` on; the gradient of rows.")
        .shape(|s| {
            let dims = place_dims(s.params.get::<Place>())?;
            s.output(0, &dims)
        })
        .vjp1(Keep::NOTHING, |d| {
            let (begin, row) = (d.p::<Place>().begin, size_of_dims(&d.out_dims(0)[1..])?);
            let rows_in = size_of_dims(d.in_dims(0))?.checked_div(row).unwrap_or(0);
            let part = call(&ROWS, &[d.grad()], &rows(begin, begin + rows_in));
            reshape_to(&part, d.in_dims(0))
        })
        .cases(|d| {
            let (dims, begin, end) = sample(d);
            let mut part = dims.clone();
            part[0] = end - begin;
            Case::new().real(&part).param("shape", dims.to_vec()).param("begin", begin)
        });
}
