//! Patches of images as columns of a matrix, and their sum back into images.

use super::super::def::{Keep, OpDef, Run};
use super::super::infer::Shapes;
use super::super::params::Ints;
use super::super::samples::{Case, Draw};
use super::Steps;
use super::convolution::Drawn;
use super::windows::Windows;
use crate::error::Result;
use crate::fluent::call_with;
use crate::kernels::conv::column::{from_columns, to_columns};
use crate::ops::matrix::float_type;
use crate::shape::partial::Partial;
use crate::shape::show;

params! {
    /// Patches of images.
    pub struct ToColumns {
        kernel: Ints, "window size: (w), (h, w) or (d, h, w)";
        stride: Ints = Ints::new(), "distance of windows, 1 for each axis when left out";
        dilate: Ints = Ints::new(), "distance of the elements of a window, 1 for each axis when left out";
        pad: Ints = Ints::new(), "zeros on both sides, 0 for each axis when left out";
    }
}

params! {
    /// Images from patches.
    pub struct FromColumns {
        output_size: Ints, "spatial sizes of the images";
        kernel: Ints, "window size: (w), (h, w) or (d, h, w)";
        stride: Ints = Ints::new(), "distance of windows, 1 for each axis when left out";
        dilate: Ints = Ints::new(), "distance of the elements of a window, 1 for each axis when left out";
        pad: Ints = Ints::new(), "zeros on both sides, 0 for each axis when left out";
    }
}

fn windows(steps: Steps, input: Ints) -> Result<Windows> {
    if input.len() != steps.len() {
        bail!(
            Shape,
            "kernel must have an axis for each spatial axis, got {} for {}",
            steps.len(),
            input.len()
        );
    }
    let output: Result<Ints> = (0..input.len()).map(|i| steps.windows(i, input[i])).collect();
    Ok(Windows::new(steps, input, output?, 1, false))
}

impl ToColumns {
    fn windows(&self, x: &[usize]) -> Result<Windows> {
        if x.len() < 3 {
            bail!(Shape, "data must be (batch, channels, spatial axes…), got {}", show(x));
        }
        let steps = Steps::new(&self.kernel, &self.stride, &self.dilate, &self.pad)?;
        windows(steps, x[2..].iter().map(|&d| d as i64).collect())
    }
}

impl FromColumns {
    fn windows(&self) -> Result<Windows> {
        if self.output_size.iter().any(|&d| d < 1) {
            bail!(Param, "output_size must be at least 1 on each axis");
        }
        windows(Steps::new(&self.kernel, &self.stride, &self.dilate, &self.pad)?, self.output_size.clone())
    }
}

fn product(v: &Ints) -> usize {
    v.iter().product::<i64>() as usize
}

fn shape_to(s: &mut Shapes<'_>) -> Result<()> {
    let Some(x) = s.input(0) else { return Ok(()) };
    let w = s.params.get::<ToColumns>().windows(&x)?;
    s.output(0, &[x[0], x[1] * product(&w.kernel), product(&w.output)])
}

fn shape_from(s: &mut Shapes<'_>) -> Result<()> {
    let w = s.params.get::<FromColumns>().windows()?;
    let mut y = vec![-1, -1];
    y.extend(&w.input);
    s.want_partial(0, &Partial::from_sizes(&[-1, -1, product(&w.output) as i64]))?;
    if let Some(x) = s.ins[0].sizes() {
        let taps = product(&w.kernel) as i64;
        if x[1] >= 0 && x[1] % taps != 0 {
            bail!(
                Shape,
                "axis 1 of data must be a multiple of the {taps} elements of a window, got {}",
                x[1]
            );
        }
        (y[0], y[1]) = (x[0], if x[1] < 0 { -1 } else { x[1] / taps });
    }
    s.outs[0].merge(&Partial::from_sizes(&y)).map(drop)
}

fn run_to(r: &Run<'_>) -> Result<()> {
    let (x, out) = (r.ins[0], r.outs[0]);
    let w = r.p::<ToColumns>().windows(x.dims())?;
    to_columns(&w.axes(), x.dims()[0] * x.dims()[1], x.span(), out.span());
    Ok(())
}

fn run_from(r: &Run<'_>) -> Result<()> {
    let (x, out) = (r.ins[0], r.outs[0]);
    let w = r.p::<FromColumns>().windows()?;
    from_columns(&w.axes(), out.dims()[0] * out.dims()[1], x.span(), out.span());
    Ok(())
}

fn columns(d: &mut Draw, back: bool) -> Case {
    let w = Drawn::new(d);
    let (batch, channels) = (d.size(1, 2), d.size(1, 2));
    let steps = |v: &Vec<i64>| Ints::from_slice(v);
    let sizes = Steps::new(&steps(&w.kernel), &steps(&w.stride), &steps(&w.dilate), &steps(&w.pad))
        .and_then(|s| windows(s, steps(&w.size)))
        .expect("drawn windows fit");
    let mut dims = vec![batch, channels * product(&sizes.kernel), product(&sizes.output)];
    let case = if back {
        Case::new().real(&dims).param("output_size", w.size)
    } else {
        dims.truncate(1);
        dims.push(channels);
        dims.extend(w.size.iter().map(|&d| d as usize));
        Case::new().real(&dims)
    };
    case.param("kernel", w.kernel).param("stride", w.stride).param("dilate", w.dilate).param("pad", w.pad)
}

table! {
    TO_COLUMNS = OpDef::new("im2col", &["data"], run_to).params::<ToColumns>()
        .doc("Patches of the images as columns: (N, C, spatial axes…) becomes (N, C·kernel, windows), `y[n,(c,k),o] = x[n,c, o·stride - pad + k·dilate]`.")
        .shape(shape_to).dtype(float_type)
        .vjp1(Keep::NOTHING, |d| {
            let p: &ToColumns = d.p();
            Ok(call_with(&FROM_COLUMNS, &[d.grad()], FromColumns {
                output_size: d.in_dims(0)[2..].iter().map(|&d| d as i64).collect(),
                kernel: p.kernel.clone(),
                stride: p.stride.clone(),
                dilate: p.dilate.clone(),
                pad: p.pad.clone(),
            }))
        })
        .cases(|d| columns(d, false));
    FROM_COLUMNS = OpDef::new("col2im", &["data"], run_from).params::<FromColumns>()
        .doc("Images as the sums of overlapping patches, which are the columns of data: (N, C·kernel, windows) becomes (N, C, output_size…).")
        .shape(shape_from).dtype(float_type)
        .vjp1(Keep::NOTHING, |d| {
            let p: &FromColumns = d.p();
            Ok(call_with(&TO_COLUMNS, &[d.grad()], ToColumns {
                kernel: p.kernel.clone(),
                stride: p.stride.clone(),
                dilate: p.dilate.clone(),
                pad: p.pad.clone(),
            }))
        })
        .cases(|d| columns(d, true));
}
