//! Borders around planes: the index of each place along one axis, and the two passes that use it.

use super::par;
use crate::dtype::Elem;
use crate::storage::Span;

/// What stands in a border.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Border {
    /// The element nearest to it.
    Edge,
    /// What is as far inside, the edge itself not repeated.
    Reflect,
}

/// For every place along a padded axis, which of its `n` elements stands there. Reflection wants borders below `n`.
pub fn places(n: usize, before: usize, after: usize, border: Border) -> Vec<usize> {
    let (b, last) = (before as isize, n as isize - 1);
    (0..(n + before + after) as isize)
        .map(|i| match i - b {
            i if i < 0 => {
                if border == Border::Edge {
                    0
                } else {
                    -i
                }
            }
            i if i > last => {
                if border == Border::Edge {
                    last
                } else {
                    2 * last - i
                }
            }
            i => i,
        } as usize)
        .collect()
}

/// Whether a pass reads through the places or sums back through them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// `out[i, …] = x[places[i], …]`
    Forward,
    /// `out[places[i], …] += x[i, …]`
    Back,
}

/// Runs a pass over `planes` planes. `axes` holds the places along each axis of a plane, `inner` the sizes of those axes
/// before padding.
pub fn pad(pass: Pass, planes: usize, inner: &[usize], axes: &[Vec<usize>], x: Span, out: Span) {
    let small: usize = inner.iter().product();
    let large: usize = axes.iter().map(Vec::len).product();
    let (from, to) = if pass == Pass::Forward { (small, large) } else { (large, small) };
    assert!(x.len() == planes * from && out.len() == planes * to && x.dtype() == out.dtype());
    with_dtype!(x.dtype(), T => par::chunks(planes, (1 << 14) / large.max(1), |_, r| {
        for plane in r {
            // SAFETY: the plane's own part of the output; the input is only read.
            let (x, out) = unsafe { (x.sub(plane * from, from).slice::<T>(), out.sub(plane * to, to).slice_mut::<T>()) };
            match pass {
                Pass::Forward => forward(inner, axes, x, out),
                Pass::Back => {
                    out.fill(T::default());
                    back(inner, axes, x, out);
                }
            }
        }
    }));
}

fn forward<T: Elem>(inner: &[usize], axes: &[Vec<usize>], x: &[T], out: &mut [T]) {
    let Some((places, rest)) = axes.split_first() else { return out.copy_from_slice(x) };
    let (n, m) = (x.len() / inner[0].max(1), out.len() / places.len().max(1));
    for (i, &p) in places.iter().enumerate() {
        forward(&inner[1..], rest, &x[p * n..(p + 1) * n], &mut out[i * m..(i + 1) * m]);
    }
}

fn back<T: Elem>(inner: &[usize], axes: &[Vec<usize>], x: &[T], out: &mut [T]) {
    let Some((places, rest)) = axes.split_first() else {
        let (sum, v) = (&mut out[0], x[0]);
        *sum = if T::DTYPE.is_float() {
            T::from_f64(sum.to_f64() + v.to_f64())
        } else {
            T::from_i64(sum.to_i64().wrapping_add(v.to_i64()))
        };
        return;
    };
    let (n, m) = (x.len() / places.len().max(1), out.len() / inner[0].max(1));
    for (i, &p) in places.iter().enumerate() {
        back(&inner[1..], rest, &x[i * n..(i + 1) * n], &mut out[p * m..(p + 1) * m]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders_repeat_or_mirror() {
        assert_eq!(places(3, 2, 1, Border::Edge), [0, 0, 0, 1, 2, 2]);
        assert_eq!(places(3, 2, 2, Border::Reflect), [2, 1, 0, 1, 2, 1, 0]);
        assert_eq!(places(1, 2, 0, Border::Edge), [0, 0, 0]);
    }
}
