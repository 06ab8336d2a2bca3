//! Images of another size.

use super::super::def::{OpDef, Run};
use super::super::infer::Shapes;
use super::super::params::Ints;
use super::super::samples::{Case, Draw};
use super::{images, sized};
use crate::error::Result;
use crate::kernels::resize::{Interp, resize};
use crate::shape::{Dims, show, size_of_dims};

params! {
    /// What `_image_resize` takes.
    pub struct Resize {
        size: Ints = Ints::new(), "width and height, or one number for both";
        keep_ratio: bool = false, "whether one number is the shorter side and the longer follows";
        interp: i64 = 1, "0 nearest, 1 linear, 2 cubic, 3 area, 4 Lanczos";
    }
}

params! {
    /// What `_cvimresize` takes.
    pub struct CvResize {
        w: i64, "width";
        h: i64, "height";
        interp: i64 = 1, "0 nearest, 1 linear, 2 cubic, 3 area, 4 Lanczos";
    }
}

pub(super) fn interp(code: i64) -> Result<Interp> {
    Ok(match code {
        0 => Interp::Nearest,
        1 => Interp::Linear,
        2 => Interp::Cubic,
        3 => Interp::Area,
        4 => Interp::Lanczos,
        _ => bail!(Param, "unknown interp, got {code}, want 0 to 4"),
    })
}

/// The shape of the result, and how it is made.
fn target(x: &[usize], width: i64, height: i64, code: i64) -> Result<(Dims, Interp)> {
    let i = images(x)?;
    let interp = interp(code)?;
    let (Ok(w), Ok(h)) = (usize::try_from(width), usize::try_from(height)) else {
        bail!(Param, "the size must be positive, got {width}x{height}")
    };
    if w == 0 || h == 0 || i.width == 0 || i.height == 0 || i.channels == 0 {
        bail!(Shape, "nothing can be resized to or from no pixels, got {} and {w}x{h}", show(x));
    }
    let out = sized(x, h, w);
    size_of_dims(&out)?;
    Ok((out, interp))
}

fn resized(p: &Resize, x: &[usize]) -> Result<(Dims, Interp)> {
    let i = images(x)?;
    let (w, h) = match p.size.as_slice() {
        [w, h] => (*w, *h),
        [s] if p.keep_ratio && i.width > 0 && i.height > 0 => {
            let longer =
                |long: usize, short: usize| (long as i64).checked_mul(*s).map_or(-1, |n| n / short as i64);
            if i.height > i.width { (*s, longer(i.height, i.width)) } else { (longer(i.width, i.height), *s) }
        }
        [s] => (*s, *s),
        other => bail!(Param, "size must be one or two numbers, got {other:?}"),
    };
    target(x, w, h, p.interp)
}

fn run(r: &Run<'_>, kind: Interp) -> Result<()> {
    let (x, out) = (r.ins[0], r.outs[0]);
    resize(kind, images(x.dims())?, x.span(), images(out.dims())?, out.span());
    Ok(())
}

fn run_resize(r: &Run<'_>) -> Result<()> {
    run(r, interp(r.p::<Resize>().interp)?)
}

fn run_cv_resize(r: &Run<'_>) -> Result<()> {
    run(r, interp(r.p::<CvResize>().interp)?)
}

fn shape_resize(s: &mut Shapes<'_>) -> Result<()> {
    let Some(x) = s.input(0) else { return Ok(()) };
    let out = resized(s.params.get(), &x)?.0;
    s.output(0, &out)
}

fn shape_cv_resize(s: &mut Shapes<'_>) -> Result<()> {
    let Some(x) = s.input(0) else { return Ok(()) };
    let p: &CvResize = s.params.get();
    let out = target(&x, p.w, p.h, p.interp)?.0;
    s.output(0, &out)
}

fn image(d: &mut Draw) -> Case {
    Case::new().real(&[d.size(2, 5), d.size(2, 5), d.size(1, 3)]).param("interp", d.int(0, 4))
}

table! {
    RESIZE = OpDef::new("_image_resize", &["data"], run_resize).params::<Resize>()
        .doc("The image, or each of a batch, in another size.")
        .shape(shape_resize).no_gradient("use _contrib_BilinearResize2D inside of networks")
        .cases(|d| image(d).param("size", vec![d.size(1, 9), d.size(1, 9)]));
    CV_RESIZE = OpDef::new("_cvimresize", &["src"], run_cv_resize).params::<CvResize>()
        .doc("The image in another size.")
        .shape(shape_cv_resize).no_gradient("use _contrib_BilinearResize2D inside of networks")
        .cases(|d| image(d).param("w", d.size(1, 9)).param("h", d.size(1, 9)));
}
