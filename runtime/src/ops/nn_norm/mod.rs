//! Layers that bring groups of elements to mean 0 and variance 1, or divide them by their size.
//!
//! All of them see their data as three axes. The gradients have kernels of their own; while a backward pass is itself recorded, they are
//! composed of recorded operators instead, so that second order needs no further code.

pub mod batch;
pub mod group;
pub mod layer;
pub mod length;
pub mod response;

use super::infer::Shapes;
use super::reduce::{UNBROADCAST, unbroadcast_to};
use crate::array::Array;
use crate::error::Result;
use crate::fluent::call;
use crate::ops::shape_ops::view::reshaped;
use crate::shape::partial::Partial;
use crate::tensor::Tensor;

/// Writes numbers into an output of any floating-point dtype.
fn write(values: &[f64], out: &Tensor) -> Result<()> {
    let t = Tensor::from_slice(values, &[values.len()], out.device())?;
    crate::kernels::copy::cast(t.span(), out.span());
    Ok(())
}

/// Data and result have one shape, which this gives.
fn alike(s: &mut Shapes<'_>) -> Result<Partial> {
    let mut x = s.ins[0].clone();
    x.merge(&s.outs[0])?;
    s.ins[0] = x.clone();
    s.outs[0] = x.clone();
    Ok(x)
}

/// Inputs 1 and 2, scale and shift, are vectors of one size.
fn parameters(s: &mut Shapes<'_>) -> Result<()> {
    let mut one = Partial::of_ndim(1);
    one.merge(&s.ins[1])?;
    s.want_partial(2, &one)?;
    let other = s.ins[2].clone();
    s.want_partial(1, &other)
}

/// The gradients of data, scale and shift have the shapes of inputs 1, 2 and 2.
fn gradient_shapes(s: &mut Shapes<'_>) -> Result<()> {
    let (x, c) = (s.ins[1].clone(), s.ins[2].clone());
    s.outs[0].merge(&x)?;
    s.outs[1].merge(&c)?;
    s.outs[2].merge(&c).map(drop)
}

/// Data of three axes, the axes (of size 1 where gone) of its statistics, and those of scale and shift.
struct Composed {
    data: [usize; 3],
    kept: [usize; 3],
    param: [usize; 3],
}

/// Sums down to `dims`.
fn down(x: &Array, dims: &[usize]) -> Array {
    if x.dims() == dims { x.clone() } else { call(&UNBROADCAST, &[x], &unbroadcast_to(dims)) }
}

impl Composed {
    /// Gradients by data, scale and shift, with recorded operators. `gamma` is `None` where the scale is fixed at 1.
    fn gradients(&self, g: &Array, x: &Array, gamma: Option<&Array>, eps: f64) -> Result<[Array; 3]> {
        let (g, flat) = (reshaped(g, &self.data), reshaped(x, &self.data));
        let n = (flat.size() / self.kept.iter().product::<usize>().max(1)).max(1) as f64;
        let centred = &flat - down(&flat, &self.kept) / n;
        let inv = (down(&centred.square(), &self.kept) / n + eps).rsqrt();
        let hat = centred * &inv;
        let h = match gamma {
            Some(gamma) => &g * reshaped(&gamma.cast(x.dtype()), &self.param),
            None => g.clone(),
        };
        let dx = inv * (&h - down(&h, &self.kept) / n - &hat * (down(&(&h * &hat), &self.kept) / n));
        Ok([reshaped(&dx, x.dims()), down(&(&g * &hat), &self.param), down(&g, &self.param)])
    }
}
