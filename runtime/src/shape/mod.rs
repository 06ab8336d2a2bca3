//! Shapes as numbers: sizes of axes, row-major strides, broadcasting. Nothing here touches memory.

pub mod broadcast;
pub mod partial;
pub mod reshape;

use crate::error::Result;
use smallvec::SmallVec;
use std::fmt::Write;

/// Sizes of the axes of an array, outermost (slowest) first. Up to six axes need no heap.
pub type Dims = SmallVec<[usize; 6]>;
/// Steps between neighbours along each axis, in elements.
pub type Strides = SmallVec<[isize; 6]>;

/// Number of elements, or an error when it does not fit into the address space.
pub fn size_of_dims(dims: &[usize]) -> Result<usize> {
    let n = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    match n {
        Some(n) if n <= isize::MAX as usize / 8 => Ok(n),
        // A zero anywhere makes the array empty, however large the others are.
        _ if dims.contains(&0) => Ok(0),
        _ => bail!(Memory, "shape {} has too many elements to be addressed", show(dims)),
    }
}

/// Row-major strides of a contiguous array, in elements.
pub fn row_major(dims: &[usize]) -> Strides {
    let mut strides: Strides = SmallVec::from_elem(1, dims.len());
    for i in (1..dims.len()).rev() {
        strides[i - 1] = strides[i] * dims[i] as isize;
    }
    strides
}

/// `axis` counted from the front; negative ones count from the end. Errors name the axis and the count of axes.
pub fn resolve_axis(axis: i64, ndim: usize) -> Result<usize> {
    let n = ndim as i64;
    let a = if axis < 0 { axis + n } else { axis };
    if a < 0 || a >= n {
        bail!(Shape, "axis is out of range, got {axis}, want {} to {} for {ndim} axes", -n, n - 1);
    }
    Ok(a as usize)
}

/// Writes dims as Python and MXNet do: `(2,3)`, `(2,)`, `()`.
pub fn show(dims: &[usize]) -> String {
    let mut s = String::from("(");
    for (i, d) in dims.iter().enumerate() {
        let _ = write!(s, "{}{d}", if i > 0 { "," } else { "" });
    }
    s.push_str(if dims.len() == 1 { ",)" } else { ")" });
    s
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_overflow() {
        assert_eq!(size_of_dims(&[]).unwrap(), 1);
        assert_eq!(size_of_dims(&[2, 0, 3]).unwrap(), 0);
        assert_eq!(size_of_dims(&[usize::MAX, usize::MAX, 0]).unwrap(), 0);
        assert!(size_of_dims(&[1 << 40, 1 << 40]).is_err());
    }

    #[test]
    fn strides_axes_and_text() {
        assert_eq!(row_major(&[2, 3, 4]).as_slice(), [12, 4, 1]);
        assert_eq!(resolve_axis(-1, 3).unwrap(), 2);
        assert!(resolve_axis(3, 3).is_err() && resolve_axis(0, 0).is_err());
        assert_eq!((show(&[2, 3]), show(&[2]), show(&[])), ("(2,3)".into(), "(2,)".into(), "()".into()));
    }
}
