//! Broadcasting as arithmetic: which shape results, and which strides walk each operand.

use super::{Dims, Strides, row_major, show};
use crate::error::Result;
use smallvec::SmallVec;

/// The shape of `a op b`: axes align at the end, an axis of 1 stretches.
pub fn broadcast(a: &[usize], b: &[usize]) -> Result<Dims> {
    let n = a.len().max(b.len());
    let mut out: Dims = SmallVec::with_capacity(n);
    for i in 0..n {
        let x = if i + a.len() >= n { a[i + a.len() - n] } else { 1 };
        let y = if i + b.len() >= n { b[i + b.len() - n] } else { 1 };
        out.push(match (x, y) {
            _ if x == y => x,
            (1, y) => y,
            (x, 1) => x,
            _ => bail!(
                Shape,
                "operands could not be broadcast together, shapes {} and {} differ at axis {i}",
                show(a),
                show(b)
            ),
        });
    }
    Ok(out)
}

/// Strides that walk a contiguous array of shape `dims` as if it had shape `to`; stretched axes have stride 0.
/// `dims` must broadcast to `to`.
pub fn broadcast_strides(dims: &[usize], to: &[usize]) -> Strides {
    let own = row_major(dims);
    let pad = to.len() - dims.len();
    (0..to.len()).map(|i| if i < pad || dims[i - pad] == 1 { 0 } else { own[i - pad] }).collect()
}

/// Merges neighbouring axes that every operand walks evenly and drops axes of 1, so that loops are as long and as few
/// as can be. `strides` holds one entry per operand. At least one axis remains.
pub fn collapse<const N: usize>(dims: &[usize], strides: [&[isize]; N]) -> (Dims, [Strides; N]) {
    let mut out: Dims = SmallVec::new();
    let mut out_strides: [Strides; N] = std::array::from_fn(|_| SmallVec::new());
    for (i, &d) in dims.iter().enumerate() {
        if d == 1 {
            continue;
        }
        let last = out.len().wrapping_sub(1);
        let merges = !out.is_empty() && (0..N).all(|k| out_strides[k][last] == strides[k][i] * d as isize);
        if merges {
            out[last] *= d;
            (0..N).for_each(|k| out_strides[k][last] = strides[k][i]);
        } else {
            out.push(d);
            (0..N).for_each(|k| out_strides[k].push(strides[k][i]));
        }
    }
    if out.is_empty() {
        out.push(1);
        (0..N).for_each(|k| out_strides[k].push(0));
    }
    (out, out_strides)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_broadcast_as_numpy_says() {
        assert_eq!(broadcast(&[2, 1, 3], &[4, 1]).unwrap().as_slice(), [2, 4, 3]);
        assert_eq!(broadcast(&[], &[4]).unwrap().as_slice(), [4]);
        assert_eq!(broadcast(&[0], &[1]).unwrap().as_slice(), [0]);
        assert!(
            broadcast(&[2, 3], &[4, 3]).unwrap_err().to_string().contains("(2,3) and (4,3) differ at axis 0")
        );
    }

    #[test]
    fn even_axes_collapse() {
        let to = [2, 3, 4];
        let (x, y) = (broadcast_strides(&[2, 3, 4], &to), broadcast_strides(&[4], &to));
        let (dims, [xs, ys]) = collapse(&to, [&x, &y]);
        assert_eq!((dims.as_slice(), xs.as_slice(), ys.as_slice()), (&[6, 4][..], &[4, 1][..], &[0, 1][..]));
        let (dims, _) = collapse(&[1, 1], [&[0, 0]]);
        assert_eq!(dims.as_slice(), [1]);
    }
}
