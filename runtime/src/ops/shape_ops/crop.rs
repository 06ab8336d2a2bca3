//! Windows of feature maps.

use super::super::params::{Ints, Params};
use super::super::samples::{Case, Draw};
use super::view::{Move, View, moving};
use crate::error::Result;
use crate::shape::show;
use smallvec::smallvec;

params! {
    /// What `Crop` takes.
    pub struct Window {
        num_args: i64, "number of inputs: the data, and perhaps an array whose height and width are taken";
        offset: Ints = smallvec![0, 0], "first row and first column";
        h_w: Ints = smallvec![0, 0], "height and width, when there is one input";
        center_crop: bool = false, "whether the window lies in the middle, instead of at the offset";
    }
}

struct Crop;
impl Move for Crop {
    fn view(p: &Params, x: &[usize], like: &[usize]) -> Result<View> {
        let p: &Window = p.get();
        if p.num_args != if like.is_empty() { 1 } else { 2 } {
            bail!(Argument, "num_args must be the number of inputs, 1 or 2, got {}", p.num_args);
        }
        let [_, _, h, w] = *x else { bail!(Shape, "(N, C, H, W) is wanted, got {}", show(x)) };
        let size = match *like {
            [] => <[i64; 2]>::try_from(p.h_w.as_slice()).ok(),
            [_, _, h, w] => Some([h as i64, w as i64]),
            _ => bail!(Shape, "the second input must be (N, C, H, W), got {}", show(like)),
        };
        let (Some(size), Ok(offset)) = (size, <[i64; 2]>::try_from(p.offset.as_slice())) else {
            bail!(Param, "offset and h_w must be two numbers, got {:?} and {:?}", p.offset, p.h_w)
        };
        let mut v = View::of(x);
        for (i, full) in [h as i64, w as i64].into_iter().enumerate() {
            let begin = if p.center_crop { (full - size[i]) / 2 } else { offset[i] };
            if size[i] < 1 || size[i] > full || begin < 0 || begin > full - size[i] {
                bail!(
                    Shape,
                    "the window leaves the map of {h}x{w}, got {}x{} at {:?}",
                    size[0],
                    size[1],
                    p.offset
                );
            }
            v = v.range(i + 2, begin as usize, size[i] as usize, 1);
        }
        Ok(v)
    }
}

fn case(d: &mut Draw) -> Case {
    let (h, w) = (d.size(1, 5), d.size(1, 5));
    let (ch, cw) = (d.size(1, h), d.size(1, w));
    let case = Case::new().real(&[d.size(1, 2), d.size(1, 2), h, w]).param("center_crop", d.flip());
    let case = case.param("offset", vec![d.size(0, h - ch), d.size(0, w - cw)]);
    if d.flip() { case.param("h_w", vec![ch, cw]) } else { case.real(&[1, 1, ch, cw]) }
}

table! {
    CROP = moving::<Crop>("Crop", &["data"]).variadic(Some("num_args")).params::<Window>()
        .doc("A window of feature maps (N, C, H, W), of height and width `h_w` or those of a second input, at an offset or in the middle.")
        .cases(case);
}
