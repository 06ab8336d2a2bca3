//! Mean and variance over any axes, in one pass over memory.

use super::{Layout, moments};
use crate::dtype::Elem;
use crate::kernels::others::variance;
use crate::kernels::par;
use crate::kernels::reduce::{Mean, reduce};
use crate::storage::Span;

/// Elements per parallel chunk.
const CHUNK: usize = 16 * 1024;

/// How an array of shape `dims` is seen for a reduction over the axes in `gone`: how many times, and each time how. `None` where axes
/// that are reduced and axes that are kept alternate more often.
fn seen(dims: &[usize], gone: &[bool]) -> Option<(usize, Layout)> {
    let mut i = dims.len();
    let mut next = |want: bool| {
        let mut size = 1;
        while i > 0 && (gone[i - 1] == want || dims[i - 1] == 1) {
            size *= dims[i - 1];
            i -= 1;
        }
        size
    };
    let (inner, channels, outer, times) = (next(true), next(false), next(true), next(false));
    (i == 0).then_some((times, Layout { outer, channels, inner }))
}

/// Mean and (biased) variance over the axes in `gone` of a contiguous array of shape `dims`, into contiguous spans of the same dtype.
pub fn moments_over(x: Span, dims: &[usize], gone: &[bool], [mean, var]: [Span; 2]) {
    let seen = if x.dtype().is_float() && !x.is_empty() { seen(dims, gone) } else { None };
    if let Some((times, v)) = seen {
        with_dtype!(x.dtype(), T => par::chunks(times, (CHUNK / v.len()).max(1), |_, r| for i in r {
            let (m, s) = moments(x.sub(i * v.len(), v.len()), v);
            for (out, from) in [(mean, m), (var, s)] {
                // SAFETY: these outputs are this chunk's alone.
                let out = unsafe { out.sub(i * v.channels, v.channels).slice_mut::<T>() };
                out.iter_mut().zip(from).for_each(|(o, v)| *o = T::from_f64(v));
            }
        }));
        // SAFETY: all chunks are done.
        if with_dtype!(x.dtype(), T => unsafe { mean.slice::<T>() }.iter().all(|m| m.to_f64().is_finite())) {
            return;
        }
    }
    // Where the mean is not a number the two say why: whether it is infinite, or was only too large to be summed in lanes.
    reduce(Mean, x, dims, gone, mean);
    variance(x, dims, gone, var);
}
