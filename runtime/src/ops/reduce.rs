//! Operators that reduce axes.

use super::def::{Keep, OpDef, Run};
use super::params::{Ints, Params};
use crate::array::Array;
use crate::dtype::Elem;
use crate::error::Result;
use crate::shape::Dims;
use crate::shape::broadcast::broadcast_strides;

params! {
    /// The shape to sum down to.
    pub struct UnbroadcastTo {
        shape: Ints, "the shape before it was stretched";
    }
}

/// Parameters of [`UNBROADCAST`].
pub fn unbroadcast_to(dims: &[usize]) -> Params {
    Params::new(UnbroadcastTo { shape: dims.iter().map(|&d| d as i64).collect() })
}

fn run_unbroadcast(r: &Run<'_>) -> Result<()> {
    let (x, out) = (r.ins[0], r.outs[0]);
    let strides = broadcast_strides(out.dims(), x.dims());
    with_dtype!(x.dtype(), T => {
        let from = x.as_slice::<T>();
        // SAFETY: the output is new and this thread's alone.
        let to = unsafe { out.span().slice_mut::<T>() };
        to.fill(T::default());
        for (i, v) in from.iter().enumerate() {
            let (mut rest, mut at) = (i, 0isize);
            for d in (0..x.ndim()).rev() {
                at += (rest % x.dims()[d]) as isize * strides[d];
                rest /= x.dims()[d];
            }
            let sum = &mut to[at as usize];
            *sum = if T::DTYPE.is_float() { T::from_f64(sum.to_f64() + v.to_f64()) } else { T::from_i64(sum.to_i64() + v.to_i64()) };
        }
    });
    Ok(())
}

table! {
    UNBROADCAST = OpDef::new("_ks_unbroadcast", &["data"], run_unbroadcast).params::<UnbroadcastTo>()
        .doc("Sums over the axes along which an array of `shape` was stretched to that of `data`; the inverse of broadcasting in gradients.")
        .shape(|s| {
            let dims: Dims = s.params.get::<UnbroadcastTo>().shape.iter().map(|&d| d as usize).collect();
            s.output(0, &dims)
        })
        .vjp1(Keep::NOTHING, |d| -> Result<Array> { Ok(d.grad().clone()) })
        .no_samples("internal to the tape");
}
