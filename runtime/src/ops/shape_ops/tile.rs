//! Repetition along axes.

use super::super::def::Keep;
use super::super::params::{Ints, Params};
use super::super::reduce::{UNBROADCAST, unbroadcast_to};
use super::super::samples::Case;
use super::super::vjp::Vjp;
use super::view::{Move, View, repeating, reshaped};
use crate::array::Array;
use crate::error::Result;
use crate::fluent::call;
use crate::shape::{Dims, resolve_axis, show, size_of_dims};

params! {
    /// What `tile` takes.
    pub struct Reps {
        reps: Ints, "how often each axis is repeated; the shorter of the two shapes is filled up with ones in front";
    }
}

struct Tile;
impl Move for Tile {
    fn view(p: &Params, x: &[usize], _: &[usize]) -> Result<View> {
        let reps = &p.get::<Reps>().reps;
        if let Some(r) = reps.iter().find(|&&r| r < 1) {
            bail!(Param, "reps must be positive, got {r}");
        }
        let n = x.len().max(reps.len());
        let dims: Dims = std::iter::repeat_n(1, n - x.len()).chain(x.iter().copied()).collect();
        let rep = |i: usize| if i + reps.len() >= n { reps[i + reps.len() - n] as usize } else { 1 };
        let over = |i: usize| dims[i].checked_mul(rep(i));
        let Some(shape) = (0..n).map(over).collect::<Option<Dims>>() else {
            bail!(Shape, "the result is too large, got {} {reps:?} times", show(x))
        };
        size_of_dims(&shape)?;
        let v = View::of(&dims);
        Ok((0..n).rev().fold(v, |v, i| v.repeated(i, rep(i))).shaped(&shape))
    }
}

params! {
    /// What `repeat` takes.
    pub struct Repeats {
        repeats: i64, "how often each element is repeated";
        axis: Option<i64> = None, "the axis; without it the array is flattened first";
    }
}

struct Repeat;
impl Move for Repeat {
    fn view(p: &Params, x: &[usize], _: &[usize]) -> Result<View> {
        let p: &Repeats = p.get();
        let Ok(times) = usize::try_from(p.repeats) else {
            bail!(Param, "repeats must not be negative, got {}", p.repeats)
        };
        let (flat, axis) = match p.axis {
            Some(a) => (Dims::from(x), resolve_axis(a, x.len())?),
            None => (Dims::from_slice(&[size_of_dims(x)?]), 0),
        };
        let mut shape = flat.clone();
        let Some(n) = shape[axis].checked_mul(times) else {
            bail!(Shape, "the result is too large, got {} {} times", show(x), p.repeats)
        };
        shape[axis] = n;
        size_of_dims(&shape)?;
        if times == 0 {
            shape = Dims::from_slice(&[0]);
        }
        Ok(View::of(&flat).repeated(axis + 1, times).shaped(&shape))
    }
}

/// Sums the gradient over what was repeated.
fn grad<M: Move>(d: &Vjp<'_>) -> Result<Array> {
    let v = M::view(d.params, d.in_dims(0), &[])?;
    let once: Dims = v.dims.iter().zip(&v.strides).map(|(&n, &s)| if s == 0 { 1 } else { n }).collect();
    let sum = call(&UNBROADCAST, &[&reshaped(d.grad(), &v.dims)], &unbroadcast_to(&once));
    Ok(reshaped(&sum, d.in_dims(0)))
}

table! {
    TILE = repeating::<Tile>("tile").params::<Reps>()
        .doc("The whole array repeated `reps[i]` times along axis i.")
        .vjp1(Keep::NOTHING, grad::<Tile>)
        .cases(|d| {
            let reps: Vec<usize> = (0..d.size(1, 4)).map(|_| d.size(1, 3)).collect();
            let dims = d.shape(1, 3);
            Case::new().real(&dims).param("reps", reps)
        });
    REPEAT = repeating::<Repeat>("repeat").params::<Repeats>()
        .doc("Each element repeated `repeats` times, along an axis or, without one, in the flattened array. No repeats \
              leave an array of one axis without elements.")
        .vjp1(Keep::NOTHING, grad::<Repeat>)
        .cases(|d| {
            let dims = d.shape(1, 3);
            let case = Case::new().real(&dims).param("repeats", d.size(1, 3));
            if d.flip() { case.param("axis", d.axis(dims.len())) } else { case }
        });
}
