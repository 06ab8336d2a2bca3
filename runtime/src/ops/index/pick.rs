//! One element of every row, chosen by an index of its own.

use super::super::def::{Keep, OpDef, Run};
use super::super::infer::Shapes;
use super::super::params::{Ints, Params};
use super::super::samples::{Case, Draw, Fill};
use super::super::vjp::{Grads, Vjp};
use super::{apart, like, like_first, start};
use crate::array::Array;
use crate::error::Result;
use crate::fluent::call;
use crate::kernels::copy;
use crate::kernels::index::{self, Rows, Wild};
use crate::shape::partial::Partial;
use crate::shape::{Dims, resolve_axis, show, size_of_dims};
use smallvec::smallvec;

choices! {
    /// What an index outside of the row means.
    pub enum PickMode { Clip = "clip", Wrap = "wrap" }
}

impl PickMode {
    fn wild(self) -> Wild {
        if self == PickMode::Wrap { Wild::Wrap } else { Wild::Clip }
    }
}

params! {
    /// What `pick` takes.
    pub struct Pick {
        axis: Option<i64> = Some(-1), "axis along which is picked; without it the array is one row";
        keepdims: bool = false, "whether that axis stays, with size 1";
        mode: PickMode = PickMode::Clip, "what an index outside means: the nearest element, or counting around";
    }
}

params! {
    /// What the gradient of `pick` takes.
    pub struct Unpick {
        axis: Option<i64> = Some(-1), "as of pick";
        mode: PickMode = PickMode::Clip, "as of pick";
        shape: Ints, "shape of what was picked from";
    }
}

/// How the rows lie, and the shapes of the result without and with the axis.
fn picked(x: &[usize], axis: Option<i64>) -> Result<(Rows, Dims, Dims)> {
    let (rows, mut without, mut with) = match axis {
        None => (Rows { outer: 1, n: size_of_dims(x)?, inner: 1 }, Dims::new(), smallvec![1; x.len()]),
        Some(a) => {
            let a = resolve_axis(a, x.len())?;
            let (mut without, mut with) = (Dims::from(x), Dims::from(x));
            without.remove(a);
            with[a] = 1;
            (Rows::of(x, a), without, with)
        }
    };
    if without.is_empty() {
        without.push(1);
    }
    if with.is_empty() {
        with.push(1);
    }
    if rows.n == 0 && rows.outer * rows.inner > 0 {
        bail!(Shape, "there is nothing to pick from, got shape {}", show(x));
    }
    Ok((rows, without, with))
}

fn check_index(got: &[usize], without: &[usize], with: &[usize]) -> Result<()> {
    if got != without && got != with {
        bail!(
            Shape,
            "index has the wrong shape, got {}, want {} or {}",
            show(got),
            show(without),
            show(with)
        );
    }
    Ok(())
}

/// What the known axes of the data say of the result, and of an index of known rank.
fn open_pick(s: &mut Shapes<'_>, p: &Pick) -> Result<()> {
    let (Some(x), Some(axis)) = (s.ins[0].sizes(), p.axis) else { return Ok(()) };
    let axis = resolve_axis(axis, x.len())?;
    let (mut with, mut without): (Ints, Ints) = (x.into(), x.into());
    with[axis] = 1;
    without.remove(axis);
    if without.is_empty() {
        without.push(1);
    }
    let (with, without) = (Partial::from_sizes(&with), Partial::from_sizes(&without));
    if let Some(n) = s.ins[1].ndim().filter(|n| [with.ndim(), without.ndim()].contains(&Some(*n))) {
        s.want_partial(1, if Some(n) == with.ndim() { &with } else { &without })?;
    }
    s.outs[0].merge(if p.keepdims { &with } else { &without }).map(drop)
}

fn shape_pick(s: &mut Shapes<'_>) -> Result<()> {
    let p: &Pick = s.params.get();
    let Some(x) = s.input(0) else { return open_pick(s, p) };
    let (_, without, with) = picked(&x, p.axis)?;
    let out = if p.keepdims { &with } else { &without };
    match s.input(1) {
        Some(got) => check_index(&got, &without, &with)?,
        // Of an index of which nothing is known, the shape without the axis, also with keepdims.
        None => {
            let one = s.ins[1].ndim() == Some(with.len()) && with.len() != without.len();
            s.want(1, if one { &with } else { &without })?;
        }
    }
    s.output(0, out)
}

fn run_pick(r: &Run<'_>) -> Result<()> {
    let p = r.p::<Pick>();
    let rows = picked(r.ins[0].dims(), p.axis)?.0;
    index::pick(rows, r.ins[0].span(), r.ins[1].span(), p.mode.wild(), r.outs[0].span());
    Ok(())
}

fn grad_pick(d: &Vjp<'_>) -> Result<Grads> {
    let p = d.p::<Pick>();
    let shape = d.in_dims(0).iter().map(|&d| d as i64).collect();
    let unpick = Unpick { axis: p.axis, mode: p.mode, shape };
    Ok(smallvec![
        d.needs(0).then(|| call(&UNPICK, &[d.grad(), d.input(1)], &Params::new(unpick))),
        d.zeros(1)?
    ])
}

fn sizes(of: &Ints) -> Result<Dims> {
    let negative = |_| err!(Param, "sizes cannot be negative, got {of:?}");
    of.iter().map(|&d| usize::try_from(d).map_err(negative)).collect()
}

fn shape_unpick(s: &mut Shapes<'_>) -> Result<()> {
    let p: &Unpick = s.params.get();
    let x = sizes(&p.shape)?;
    let (_, without, with) = picked(&x, p.axis)?;
    for i in 0..2 {
        if let Some(got) = s.input(i) {
            check_index(&got, &without, &with)?;
        }
    }
    s.output(0, &x)
}

fn run_unpick(r: &Run<'_>) -> Result<()> {
    let (p, out) = (r.p::<Unpick>(), r.outs[0]);
    let rows = picked(out.dims(), p.axis)?.0;
    copy::fill(out.span(), 0.0);
    index::unpick(rows, r.ins[0].span(), r.ins[1].span(), p.mode.wild(), out.span());
    Ok(())
}

fn grad_unpick(d: &Vjp<'_>) -> Result<Grads> {
    let p = d.p::<Unpick>();
    let keepdims = d.in_dims(0).len() == d.out_dims(0).len() && d.out_dims(0).len() > 1;
    let pick = Pick { axis: p.axis, keepdims, mode: p.mode };
    Ok(smallvec![d.needs(0).then(|| call(&PICK, &[d.grad(), d.input(1)], &Params::new(pick))), d.zeros(1)?])
}

fn shape_batch_take(s: &mut Shapes<'_>) -> Result<()> {
    let Some(x) = s.input(0) else { return Ok(()) };
    let [rows, n] = x.as_slice() else { bail!(Shape, "a matrix is wanted, got {}", show(&x)) };
    if *n == 0 && *rows > 0 {
        bail!(Shape, "there is nothing to take from, got shape {}", show(&x));
    }
    s.want(1, &[*rows])?;
    s.output(0, &[*rows])
}

fn run_batch_take(r: &Run<'_>) -> Result<()> {
    index::pick(Rows::of(r.ins[0].dims(), 1), r.ins[0].span(), r.ins[1].span(), Wild::Clip, r.outs[0].span());
    Ok(())
}

fn shape_fill_element(s: &mut Shapes<'_>) -> Result<()> {
    s.want_partial(0, &s.outs[0].clone())?;
    let Some(x) = s.input(0) else { return Ok(()) };
    let [rows, n] = x.as_slice() else { bail!(Shape, "lhs must be a matrix, got {}", show(&x)) };
    if *n == 0 && *rows > 0 {
        bail!(Shape, "there is nothing to fill, got shape {}", show(&x));
    }
    s.want(1, &[*rows])?;
    s.want(2, &[*rows])?;
    s.output(0, &x)
}

fn run_fill_element(r: &Run<'_>) -> Result<()> {
    let out = r.outs[0];
    let (values, index) = (apart(r.ins[1], out)?, apart(r.ins[2], out)?);
    let n = out.dims()[1] as i64;
    if let Some(i) = index::outside(index.span(), 0, n) {
        bail!(Argument, "an index is outside of its row, got {i}, want 0 to {}", n - 1);
    }
    start(r.ins[0], out);
    index::unpick(Rows::of(out.dims(), 1), values.span(), index.span(), Wild::Clip, out.span());
    Ok(())
}

fn grad_fill_element(d: &Vjp<'_>) -> Result<Grads> {
    let (g, index) = (d.grad(), d.input(2));
    let rest = || -> Result<Array> {
        let zeros = Array::zeros(d.in_dims(1), g.dtype(), g.device())?;
        Ok(call(&FILL_ELEMENT, &[g, &zeros, index], &Params::NONE))
    };
    let rest = d.needs(0).then(rest).transpose()?;
    let pick = Pick { axis: Some(-1), keepdims: false, mode: PickMode::Clip };
    Ok(smallvec![rest, d.needs(1).then(|| call(&PICK, &[g, index], &Params::new(pick))), d.zeros(2)?])
}

fn pick_case(d: &mut Draw) -> Case {
    let dims = d.shape(1, 3);
    let axis = d.axis(dims.len());
    let at = axis.rem_euclid(dims.len() as i64) as usize;
    let keepdims = d.flip();
    let mut index = dims.clone();
    if keepdims || dims.len() == 1 {
        index[at] = 1;
    } else {
        index.remove(at);
    }
    let n = dims[at] as i64;
    let case = Case::new().real(&dims).input(&index, Fill::Whole(-2, n + 2));
    case.param("axis", axis).param("keepdims", keepdims).param("mode", d.pick(&["clip", "wrap"]))
}

table! {
    PICK = OpDef::new("pick", &["data", "index"], run_pick).aliases(&["choose_element_0index"]).params::<Pick>()
        .doc("One element of every row along an axis: out[i, k] = data[i, index[i, k], k]. Indices may be of any dtype; fractions are cut off.")
        .shape(shape_pick).dtype(like_first).vjp(Keep::input(1), grad_pick).cases(pick_case);
    UNPICK = OpDef::new("_ks_unpick", &["data", "index"], run_unpick).params::<Unpick>()
        .doc("Zeros, with `data` where the index says: the gradient of pick.")
        .shape(shape_unpick).dtype(like_first).vjp(Keep::input(1), grad_unpick)
        .cases(|d| {
            let (a, n, b) = (d.size(1, 3), d.size(1, 4), d.size(1, 3));
            Case::new().real(&[a, b]).input(&[a, b], Fill::Whole(-1, n as i64 + 1)).param("axis", 1i64).param("shape", vec![a, n, b])
        });
    BATCH_TAKE = OpDef::new("batch_take", &["a", "indices"], run_batch_take)
        .doc("One element of every row of a matrix: out[i] = a[i, indices[i]]. Indices outside mean the nearest element.")
        .shape(shape_batch_take).dtype(like_first).no_gradient("use pick inside of networks")
        .cases(|d| {
            let (rows, n) = (d.size(1, 4), d.size(1, 4));
            Case::new().real(&[rows, n]).input(&[rows], Fill::Whole(-1, n as i64 + 1))
        });
    FILL_ELEMENT = OpDef::new("fill_element_0index", &["lhs", "mhs", "rhs"], run_fill_element)
        .doc("The matrix `lhs` with one element of every row replaced: out[i, rhs[i]] = mhs[i].")
        .shape(shape_fill_element).dtype(|t| like(t, &[0, 1])).inplace().vjp(Keep::input(2), grad_fill_element)
        .cases(|d| {
            let (rows, n) = (d.size(1, 4), d.size(1, 4));
            Case::new().real(&[rows, n]).real(&[rows]).input(&[rows], Fill::Whole(0, n as i64))
        });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invoke::invoke;

    #[test]
    fn an_index_outside_of_its_row_is_refused_before_anything_is_written() {
        let x = Array::from_slice(&[1.0f32, 2.0, 3.0, 4.0], &[2, 2]).unwrap();
        let fill = |index: [f32; 2]| {
            let values = Array::from_slice(&[9.0f32, 9.0], &[2]).unwrap();
            let index = Array::from_slice(&index, &[2]).unwrap();
            invoke(&FILL_ELEMENT, &[&x, &values, &index], &Params::NONE, &[&x])
        };
        for wrong in [[0.0, 2.0], [-1.0, 0.0]] {
            assert!(fill(wrong).is_err());
            assert_eq!(x.to_vec::<f32>(), [1.0, 2.0, 3.0, 4.0]);
        }
        fill([0.0, 1.0]).unwrap();
        assert_eq!(x.to_vec::<f32>(), [9.0, 2.0, 3.0, 9.0]);
    }
}
