//! Parts of images and mirrored ones.

use super::super::infer::Shapes;
use super::super::params::Params;
use super::super::samples::{Case, Draw};
use super::super::shape_ops::view::{Move, View, moving};
use super::images;
use crate::error::Result;
use crate::shape::Dims;

/// The axis of the columns, or of the rows, in opposite order.
fn flipped(x: &[usize], from_end: usize) -> Result<View> {
    images(x)?;
    let axis = x.len() - from_end;
    let v = View::of(x);
    Ok(if x[axis] > 0 { v.range(axis, x[axis] - 1, x[axis], -1) } else { v })
}

struct LeftRight;
impl Move for LeftRight {
    fn view(_: &Params, x: &[usize], _: &[usize]) -> Result<View> {
        flipped(x, 2)
    }
    fn partly(s: &mut Shapes<'_>) -> Result<()> {
        super::super::infer::same(s)
    }
}

struct TopBottom;
impl Move for TopBottom {
    fn view(_: &Params, x: &[usize], _: &[usize]) -> Result<View> {
        flipped(x, 3)
    }
    fn partly(s: &mut Shapes<'_>) -> Result<()> {
        super::super::infer::same(s)
    }
}

params! {
    /// What `_image_crop` takes.
    pub struct Window {
        x: i64, "first column";
        y: i64, "first row";
        width: i64, "number of columns";
        height: i64, "number of rows";
    }
}

struct Crop;
impl Move for Crop {
    fn view(p: &Params, x: &[usize], _: &[usize]) -> Result<View> {
        let (p, i): (&Window, _) = (p.get(), images(x)?);
        let inside = |from: i64, count: i64, of: usize| {
            from >= 0 && count > 0 && count <= of as i64 && from <= of as i64 - count
        };
        if !inside(p.x, p.width, i.width) || !inside(p.y, p.height, i.height) {
            bail!(
                Shape,
                "the window leaves the image of {}x{}, got {}x{} at ({}, {})",
                i.width,
                i.height,
                p.width,
                p.height,
                p.x,
                p.y
            );
        }
        let rows = x.len() - 3;
        Ok(View::of(x).range(rows, p.y as usize, p.height as usize, 1).range(
            rows + 1,
            p.x as usize,
            p.width as usize,
            1,
        ))
    }
}

fn image(d: &mut Draw) -> Dims {
    let n = d.size(3, 4);
    (0..n).map(|_| d.size(1, 4)).collect()
}

table! {
    FLIP_LEFT_RIGHT = moving::<LeftRight>("_image_flip_left_right", &["data"])
        .doc("The image, or each of a batch, mirrored: columns in opposite order.")
        .cases(|d| { let dims = image(d); Case::new().real(&dims) });
    FLIP_TOP_BOTTOM = moving::<TopBottom>("_image_flip_top_bottom", &["data"])
        .doc("The image, or each of a batch, upside down: rows in opposite order.")
        .cases(|d| { let dims = image(d); Case::new().real(&dims) });
    CROP = moving::<Crop>("_image_crop", &["data"]).params::<Window>()
        .doc("The window of `width` columns from `x` on and `height` rows from `y` on, of an image or of each of a batch.")
        .cases(|d| {
            let dims = image(d);
            let n = dims.len();
            let (w, h) = (d.size(1, dims[n - 2]), d.size(1, dims[n - 3]));
            let case = Case::new().real(&dims).param("width", w).param("height", h);
            case.param("x", d.size(0, dims[n - 2] - w)).param("y", d.size(0, dims[n - 3] - h))
        });
}
