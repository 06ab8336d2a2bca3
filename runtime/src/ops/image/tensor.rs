//! Images as networks want them: channels first, in the range 0 to 1, normalized.

use super::super::def::{Keep, OpDef, Run};
use super::super::params::Params;
use super::super::samples::{Case, Fill};
use super::super::shape_ops::permute::transposed;
use super::super::vjp::Vjp;
use super::images;
use crate::array::Array;
use crate::dtype::{DType, Elem};
use crate::error::Result;
use crate::fluent::call;
use crate::kernels::par;
use crate::shape::{Dims, show};

fn run_to_tensor(r: &Run<'_>) -> Result<()> {
    let (x, out) = (r.ins[0].span(), r.outs[0].span());
    let i = images(r.ins[0].dims())?;
    let plane = i.height * i.width;
    with_dtype!(x.dtype(), T => par::chunks(i.count * i.channels, (1 << 14) / plane.max(1), |_, range| {
        for p in range {
            let (image, c) = (p / i.channels, p % i.channels);
            // SAFETY: an image that nobody writes, and a plane of this chunk.
            let (from, to) = unsafe {
                (x.sub(image * plane * i.channels, plane * i.channels).slice::<T>(), out.sub(p * plane, plane).slice_mut::<f32>())
            };
            to.iter_mut().zip(from[c..].iter().step_by(i.channels)).for_each(|(t, f)| *t = f.to_f64() as f32 / 255.0);
        }
    }));
    Ok(())
}

fn grad_to_tensor(d: &Vjp<'_>) -> Result<Array> {
    // Whole numbers have no gradient.
    if d.in_dtype(0) != DType::F32 {
        return Array::zeros(d.in_dims(0), d.in_dtype(0), d.grad().device());
    }
    let axes: &[usize] = if d.in_dims(0).len() == 3 { &[1, 2, 0] } else { &[0, 2, 3, 1] };
    Ok(transposed(d.grad(), axes) * (1.0 / 255.0))
}

params! {
    /// What `_image_normalize` takes.
    pub struct Normalize {
        mean: Vec<f64> = vec![0.0; 4], "number to subtract, for each channel or for all";
        std: Vec<f64> = vec![1.0; 4], "number to divide by, for each channel or for all";
    }
}

/// Channels, and elements of a plane.
fn planes(x: &[usize]) -> Result<(usize, usize)> {
    match *x {
        [c, h, w] | [_, c, h, w] if c == 1 || c == 3 => Ok((c, h * w)),
        _ => bail!(Shape, "1 or 3 channels first are wanted, (C,H,W) or a batch of that, got {}", show(x)),
    }
}

/// The number of channel `c`.
fn of(v: &[f64], c: usize) -> f64 {
    if v.len() == 1 { v[0] } else { v[c] }
}

fn check(p: &Normalize, channels: usize) -> Result<()> {
    for (name, v) in [("mean", &p.mean), ("std", &p.std)] {
        if v.len() != 1 && v.len() < channels {
            bail!(Param, "{name} must have 1 number or one for each of {channels} channels, got {}", v.len());
        }
    }
    Ok(())
}

fn run_normalize(r: &Run<'_>) -> Result<()> {
    let (p, x, out) = (r.p::<Normalize>(), r.ins[0].span(), r.outs[0].span());
    let (channels, plane) = planes(r.ins[0].dims())?;
    with_dtype!(x.dtype(), T => par::chunks(x.len() / plane.max(1), (1 << 14) / plane.max(1), |_, range| {
        for i in range {
            let (mean, std) = (of(&p.mean, i % channels) as f32, of(&p.std, i % channels) as f32);
            let (from, to) = (x.sub(i * plane, plane).ptr::<T>(), out.sub(i * plane, plane).ptr::<T>());
            for k in 0..plane {
                // SAFETY: a plane of this chunk, in both; each element is read before it is written.
                unsafe {
                    let v = (*from.add(k)).to_f64();
                    *to.add(k) = T::from_f64(if T::DTYPE == DType::F64 { (v - f64::from(mean)) / f64::from(std) } else { ((v as f32 - mean) / std).into() });
                }
            }
        }
    }));
    Ok(())
}

table! {
    TO_TENSOR = OpDef::new("_image_to_tensor", &["data"], run_to_tensor)
        .doc("An image (H, W, C) of 0 to 255 as float32 (C, H, W) of 0 to 1; a batch of images likewise.")
        .shape(|s| {
            let Some(x) = s.input(0) else { return Ok(()) };
            images(&x)?;
            let n = x.len();
            let mut out = Dims::from(&x[..n - 3]);
            out.extend([x[n - 1], x[n - 3], x[n - 2]]);
            s.output(0, &out)
        })
        .dtype(|t| { t.outs[0] = Some(DType::F32); Ok(()) })
        .vjp1(Keep::NOTHING, grad_to_tensor)
        .cases(|d| {
            let n = d.size(3, 4);
            Case::new().input(&(0..n).map(|_| d.size(1, 4)).collect::<Dims>(), Fill::Whole(0, 256))
        });
    NORMALIZE = OpDef::map("_image_normalize", run_normalize).whole().params::<Normalize>()
        .doc("Images (C, H, W), or a batch of them: out[c] = (data[c] - mean[c]) / std[c].")
        .shape(|s| {
            super::super::infer::same(s)?;
            let Some(x) = s.input(0) else { return Ok(()) };
            check(s.params.get(), planes(&x)?.0)
        })
        .vjp1(Keep::NOTHING, |d| {
            let p = Normalize { mean: vec![0.0], std: d.p::<Normalize>().std.clone() };
            Ok(call(&NORMALIZE, &[d.grad()], &Params::new(p)))
        })
        .cases(|d| {
            let dims: Dims = [2, 3, d.size(1, 3), d.size(1, 3)][d.size(0, 1)..].into();
            Case::new().real(&dims).param("mean", "(0.5, 0.25, 0.125)").param("std", "(0.5, 0.25, 2)")
        });
}
