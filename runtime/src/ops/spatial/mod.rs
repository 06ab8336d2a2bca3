//! Operators on feature maps (N, C, H, W) that move, enlarge, shrink or cut them: spatial transformers, regions of interest, optical
//! flow.

pub mod correlation;
pub mod resample;
pub mod roi;
pub mod sampler;
pub mod upsampling;

use super::infer::Shapes;
use crate::error::Result;
use crate::shape::partial::Partial;
use crate::shape::{Dims, show};

/// Says that input `i` and the first output have four axes, and that they share these: (axis of the input, axis of the output).
fn share(s: &mut Shapes<'_>, i: usize, axes: &[(usize, usize)]) -> Result<()> {
    s.want_partial(i, &Partial::of_ndim(4))?;
    s.outs[0].merge(&Partial::of_ndim(4))?;
    for &(own, out) in axes {
        let (x, y) = (s.ins[i].dim(own), s.outs[0].dim(out));
        if let Some(d) = x {
            s.outs[0].merge(&only(4, out, d))?;
        } else if let Some(d) = y {
            s.want_partial(i, &only(4, own, d))?;
        }
    }
    Ok(())
}

/// A shape of `ndim` axes of which one is known.
fn only(ndim: usize, axis: usize, size: usize) -> Partial {
    let mut sizes = vec![-1; ndim];
    sizes[axis] = size as i64;
    Partial::from_sizes(&sizes)
}

/// The sizes of (N, C, H, W).
fn maps(x: &[usize]) -> Result<[usize; 4]> {
    <[usize; 4]>::try_from(x).map_err(|_| err!(Shape, "(N, C, H, W) is wanted, got {}", show(x)))
}

/// As [`maps`], where a plane has pixels.
fn planes(x: &[usize]) -> Result<[usize; 4]> {
    match maps(x)? {
        [_, _, 0, _] | [_, _, _, 0] => {
            bail!(Shape, "planes without pixels cannot be sampled, got {}", show(x))
        }
        of => Ok(of),
    }
}

/// Two positive sizes from a parameter.
fn pair(name: &str, of: &[i64]) -> Result<[usize; 2]> {
    match of {
        [a, b] if (1..1 << 31).contains(a) && (1..1 << 31).contains(b) => Ok([*a as usize, *b as usize]),
        _ => bail!(Param, "{name} must be two positive numbers, got {of:?}"),
    }
}

/// Sizes as parameters carry them.
fn ints(of: &[usize]) -> super::params::Ints {
    of.iter().map(|&d| d as i64).collect()
}

/// Sizes from a parameter that an operator made.
fn dims(of: &[i64]) -> Result<Dims> {
    let negative = |_| err!(Param, "sizes cannot be negative, got {of:?}");
    of.iter().map(|&d| usize::try_from(d).map_err(negative)).collect()
}
