//! Operators on images: arrays of (height, width, channels), or of several such in a row. Where a value leaves the range of
//! an integer dtype it is kept at its end.

pub mod augment;
pub mod batch;
pub mod border;
pub mod decode;
pub mod encode;
pub mod place;
pub mod resize;
pub mod tensor;

use crate::error::Result;
use crate::kernels::resize::Images;
use crate::shape::show;

/// An image, or a batch of them.
fn images(x: &[usize]) -> Result<Images> {
    match *x {
        [height, width, channels] => Ok(Images { count: 1, height, width, channels }),
        [count, height, width, channels] => Ok(Images { count, height, width, channels }),
        _ => bail!(Shape, "(height, width, channels) is wanted, or a batch of that, got {}", show(x)),
    }
}

/// A shape with another height and width.
fn sized(x: &[usize], height: usize, width: usize) -> crate::shape::Dims {
    let mut out = crate::shape::Dims::from(x);
    let n = out.len();
    (out[n - 3], out[n - 2]) = (height, width);
    out
}
