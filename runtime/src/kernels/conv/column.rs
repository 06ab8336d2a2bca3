//! Patches as columns of a matrix that is really written: what `im2col` and `col2im` ask for. Convolutions do without.

use super::Axis;
use crate::dtype::Elem;
use crate::kernels::par;
use crate::storage::Span;

/// Elements per parallel chunk.
const CHUNK: usize = 32 * 1024;

/// For every tap and window of a plane, in the order of the matrix, where its element lies in the plane; `None` in the padding.
fn patches(axes: &[Axis; 3], mut f: impl FnMut(usize, Option<usize>)) {
    let [a, b, c] = *axes;
    let place = |a: Axis, o: usize, k: usize| {
        (o * a.stride + k * a.dilate).checked_sub(a.pad).filter(|&i| i < a.input)
    };
    let mut at = 0;
    for k in 0..a.kernel * b.kernel * c.kernel {
        let k = [k / (b.kernel * c.kernel), k / c.kernel % b.kernel, k % c.kernel];
        for d in 0..a.output {
            let d = place(a, d, k[0]);
            for h in 0..b.output {
                let row = d.zip(place(b, h, k[1])).map(|(d, h)| (d * b.input + h) * c.input);
                for w in 0..c.output {
                    f(at, row.zip(place(c, w, k[2])).map(|(row, w)| row + w));
                    at += 1;
                }
            }
        }
    }
}

fn sizes(axes: &[Axis; 3]) -> (usize, usize) {
    let plane = axes.iter().map(|a| a.input).product();
    (plane, axes.iter().map(|a| a.kernel * a.output).product())
}

/// out = the patches of `planes` planes. Any dtype.
pub fn to_columns(axes: &[Axis; 3], planes: usize, x: Span, out: Span) {
    let (small, large) = sizes(axes);
    assert!(x.len() == planes * small && out.len() == planes * large && x.dtype() == out.dtype());
    with_dtype!(x.dtype(), T => par::chunks(planes, (CHUNK / large.max(1)).max(1), |_, r| {
        for p in r {
            // SAFETY: this plane's part of the output; the input is only read.
            let (x, out) = unsafe { (x.sub(p * small, small).slice::<T>(), out.sub(p * large, large).slice_mut::<T>()) };
            patches(axes, |i, from| out[i] = from.map_or(T::default(), |from| x[from]));
        }
    }));
}

/// out = the sums of patches into `planes` planes, in float64. Any floating-point dtype.
pub fn from_columns(axes: &[Axis; 3], planes: usize, x: Span, out: Span) {
    let (small, large) = sizes(axes);
    assert!(x.len() == planes * large && out.len() == planes * small && x.dtype() == out.dtype());
    with_dtype!(x.dtype(), T => par::chunks(planes, (CHUNK / large.max(1)).max(1), |_, r| {
        let mut sums = vec![0f64; small];
        for p in r {
            // SAFETY: this plane's part of the output; the input is only read.
            let (x, out) = unsafe { (x.sub(p * large, large).slice::<T>(), out.sub(p * small, small).slice_mut::<T>()) };
            sums.fill(0.0);
            patches(axes, |i, to| if let Some(to) = to { sums[to] += x[i].to_f64() });
            out.iter_mut().zip(&sums).for_each(|(o, &s)| *o = T::from_f64(s));
        }
    }));
}
