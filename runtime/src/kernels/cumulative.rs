//! Sums of what stands before, along one axis.

use super::lane::CHUNK;
use super::par;
use crate::dtype::Elem;
use crate::storage::Span;

/// Neighbouring lines that are summed together, since their elements lie together.
const SIDE: usize = 64;

/// Replaces every element of an array of dims (outer, n, inner) by the sum of those up to it along the middle axis; `backwards`, of those
/// from it on. Floats are summed in float64, integers in int64, which wraps.
pub fn cumulate(x: Span, [outer, n, inner]: [usize; 3], backwards: bool) {
    assert_eq!(x.len(), outer * n * inner);
    let blocks = inner.div_ceil(SIDE);
    let float = x.dtype().is_float();
    with_dtype!(x.dtype(), T => par::chunks(outer * blocks, (CHUNK / (n * inner.min(SIDE)).max(1)).max(1), |_, range| {
        for i in range {
            let (from, width) = (i % blocks * SIDE, (inner - i % blocks * SIDE).min(SIDE));
            let line = |k: usize| {
                let k = if backwards { n - 1 - k } else { k };
                let line = x.sub((i / blocks * n + k) * inner + from, width);
                // SAFETY: lines are apart, and those of a block this thread's.
                unsafe { line.slice_mut::<T>() }
            };
            if float {
                along(n, line, |sum: f64, x| sum + x, T::to_f64, T::from_f64);
            } else {
                along(n, line, |sum: i64, x| sum.wrapping_add(x), T::to_i64, T::from_i64);
            }
        }
    }));
}

#[inline(always)]
fn along<'a, T: Elem, A: Copy + Default>(
    n: usize,
    line: impl Fn(usize) -> &'a mut [T],
    add: impl Fn(A, A) -> A,
    widen: impl Fn(T) -> A,
    narrow: impl Fn(A) -> T,
) {
    let mut sums = [A::default(); SIDE];
    for k in 0..n {
        for (x, sum) in line(k).iter_mut().zip(&mut sums) {
            *sum = add(*sum, widen(*x));
            *x = narrow(*sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tensor;

    #[test]
    fn sums_go_both_ways_and_wrap() {
        let sums = |v: &[i8], dims: [usize; 3], backwards| {
            let t = Tensor::from_slice(v, &dims, Default::default()).unwrap();
            cumulate(t.span(), dims, backwards);
            t.to_vec::<i8>()
        };
        assert_eq!(sums(&[100, 1, 100, 2], [1, 2, 2], false), [100, 1, -56, 3]);
        assert_eq!(sums(&[1, 2, 3, 4, 5, 6], [2, 3, 1], true), [6, 5, 3, 15, 11, 6]);
        let wide = vec![1i8; 3 * 130];
        assert!(
            sums(&wide, [1, 3, 130], false)
                .chunks(130)
                .zip(1..)
                .all(|(line, k)| line.iter().all(|&x| x == k))
        );
        assert!(sums(&[], [0, 3, 2], false).is_empty());
    }
}
