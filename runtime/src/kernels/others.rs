//! Reductions that look at a group of elements more than once: products of all but one, variances, norms of integers.

use super::par;
use crate::dtype::Elem;
use crate::shape::row_major;
use crate::storage::Span;

/// Elements per parallel chunk.
const CHUNK: usize = 16 * 1024;

/// Calls `f(output, offsets)` for every output element with the places of the elements that it comes from.
fn groups(dims: &[usize], gone: &[bool], f: impl Fn(usize, &mut dyn Iterator<Item = usize>) + Sync) {
    let strides = row_major(dims);
    let split = |want: bool| -> Vec<(usize, usize)> {
        (0..dims.len()).filter(|&i| gone[i] == want).map(|i| (dims[i], strides[i] as usize)).collect()
    };
    let (kept, gone) = (split(false), split(true));
    let count = |axes: &[(usize, usize)]| axes.iter().map(|a| a.0).product::<usize>();
    let at = |axes: &[(usize, usize)], mut i: usize| {
        axes.iter().rev().fold(0, |at, &(n, step)| {
            let here = i % n * step;
            i /= n;
            at + here
        })
    };
    let inside = count(&gone);
    par::chunks(count(&kept), (CHUNK / inside.max(1)).max(1), |_, r| {
        for o in r {
            let base = at(&kept, o);
            f(o, &mut (0..inside).map(|i| base + at(&gone, i)));
        }
    });
}

/// `out[i]` is the product of the other elements of x's group of i; `out` has the shape of `x`.
pub fn others(x: Span, dims: &[usize], gone: &[bool], skip_nan: bool, out: Span) {
    with_dtype!(x.dtype(), T => groups(dims, gone, |_, places| {
        let places: Vec<usize> = places.collect();
        let get = |i: usize| {
            // SAFETY: the places are inside both spans, and belong to this group alone.
            let v = unsafe { *x.ptr::<T>().add(i) }.to_f64();
            if skip_nan && v.is_nan() { 1.0 } else { v }
        };
        let mut after = vec![1.0; places.len()];
        for k in (1..places.len()).rev() {
            after[k - 1] = after[k] * get(places[k]);
        }
        let mut before = 1.0;
        for (k, &i) in places.iter().enumerate() {
            // SAFETY: as above.
            unsafe { *out.ptr::<T>().add(i) = T::from_f64(before * after[k]) };
            before *= get(i);
        }
    }));
}

/// out = mean of the squared distances from the mean, in float64, over two passes.
pub fn variance(x: Span, dims: &[usize], gone: &[bool], out: Span) {
    with_dtype!(x.dtype(), T => groups(dims, gone, |o, places| {
        let places: Vec<usize> = places.collect();
        let n = places.len() as f64;
        // SAFETY: the places are inside the span, which nobody writes.
        let get = |i: usize| unsafe { *x.ptr::<T>().add(i) }.to_f64();
        let mean = places.iter().map(|&i| get(i)).sum::<f64>() / n;
        let sum: f64 = places.iter().map(|&i| (get(i) - mean) * (get(i) - mean)).sum();
        // SAFETY: each group writes its own output.
        unsafe { *out.ptr::<T>().add(o) = T::from_f64(sum / n) };
    }));
}

/// The Euclidean norm of integers, by the recurrence that keeps the largest magnitude apart: `ssq` sums the squares of the truncated
/// quotients by it.
pub fn int_norm(x: Span, dims: &[usize], gone: &[bool], out: Span) {
    with_dtype!(x.dtype(), T => groups(dims, gone, |o, places| {
        let (mut scale, mut ssq) = (0i64, 0i64);
        for i in places {
            // SAFETY: the places are inside the span, which nobody writes.
            let v = unsafe { *x.ptr::<T>().add(i) }.to_i64().saturating_abs();
            if v == 0 {
                continue;
            }
            if scale < v {
                ssq = ssq.wrapping_mul((scale / v).wrapping_pow(2)).wrapping_add(1);
                scale = v;
            } else {
                ssq = ssq.wrapping_add((v / scale).wrapping_pow(2));
            }
        }
        // SAFETY: each group writes its own output.
        unsafe { *out.ptr::<T>().add(o) = T::from_i64((scale as f64 * (ssq as f64).sqrt()) as i64) };
    }));
}
