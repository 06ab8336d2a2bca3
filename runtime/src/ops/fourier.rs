//! Fourier transforms along the last axis. Complex numbers are pairs, real part first. Each is the gradient of the other.

use super::def::{Keep, OpDef, Run};
use super::infer::Shapes;
use super::params::Params;
use super::samples::Case;
use crate::array::Array;
use crate::dtype::Elem;
use crate::error::Result;
use crate::fluent::call;
use crate::kernels::fourier::{Complex, transform};
use crate::kernels::par;
use crate::shape::{Dims, show, size_of_dims};

params! {
    /// What `_contrib_fft` and `_contrib_ifft` take.
    pub struct Transform {
        compute_size: i64 = 128, "number of rows that are computed at a time; without effect";
    }
}

fn shape_fft(s: &mut Shapes<'_>) -> Result<()> {
    let Some(x) = s.input(0) else { return Ok(()) };
    let mut out: Dims = x.clone();
    match out.last_mut() {
        Some(n) => *n = n.saturating_mul(2),
        None => bail!(Shape, "an axis is wanted, got {}", show(&x)),
    }
    size_of_dims(&out)?;
    s.output(0, &out)
}

fn shape_ifft(s: &mut Shapes<'_>) -> Result<()> {
    let Some(x) = s.input(0) else { return Ok(()) };
    let mut out: Dims = x.clone();
    match out.last_mut() {
        Some(n) if *n % 2 == 0 => *n /= 2,
        _ => bail!(Shape, "pairs are wanted on the last axis, got {}", show(&x)),
    }
    s.output(0, &out)
}

fn run(r: &Run<'_>, inverse: bool) -> Result<()> {
    let (x, out) = (r.ins[0], r.outs[0]);
    let (from, to) = (x.dims()[x.ndim() - 1], out.dims()[out.ndim() - 1]);
    let n = from.min(to);
    with_dtype!(x.dtype(), T => par::chunks(x.size() / from.max(1), (1 << 10) / n.max(1), |_, rows| {
        for row in rows {
            // SAFETY: a row of the input, which nobody writes, and one of this chunk.
            let (x, y) = unsafe { (x.span().sub(row * from, from).slice::<T>(), out.span().sub(row * to, to).slice_mut::<T>()) };
            let mut z: Vec<Complex> = match inverse {
                false => x.iter().map(|v| (v.to_f64(), 0.0)).collect(),
                true => x.chunks_exact(2).map(|v| (v[0].to_f64(), v[1].to_f64())).collect(),
            };
            transform(&mut z, inverse);
            match inverse {
                false => y.chunks_exact_mut(2).zip(z).for_each(|(y, (re, im))| (y[0], y[1]) = (T::from_f64(re), T::from_f64(im))),
                true => y.iter_mut().zip(z).for_each(|(y, (re, _))| *y = T::from_f64(re)),
            }
        }
    }));
    Ok(())
}

fn other(op: &'static OpDef, g: &Array, p: &Params) -> Result<Array> {
    Ok(call(op, &[g], p))
}

table! {
    FFT = OpDef::new("_contrib_fft", &["data"], |r| run(r, false)).params::<Transform>()
        .doc("The discrete Fourier transform of real numbers along the last axis, as pairs: the axis doubles.")
        .shape(shape_fft).vjp1(Keep::NOTHING, |d| other(&IFFT, d.grad(), d.params))
        .cases(|d| { let dims = d.shape(1, 3); Case::new().real(&dims) });
    IFFT = OpDef::new("_contrib_ifft", &["data"], |r| run(r, true)).params::<Transform>()
        .doc("The real part of the inverse transform of pairs along the last axis, not divided by the length: the axis halves.")
        .shape(shape_ifft).vjp1(Keep::NOTHING, |d| other(&FFT, d.grad(), d.params))
        .cases(|d| {
            let mut dims = d.shape(1, 3);
            if let Some(n) = dims.last_mut() { *n *= 2; }
            Case::new().real(&dims)
        });
}
