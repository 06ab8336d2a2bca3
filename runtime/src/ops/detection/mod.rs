//! Operators of object detection: anchors, their targets, and the choice among boxes. They compute in float64 and are exact
//! in which boxes they choose, not in speed.

pub mod boxes;
pub mod matching;
pub mod nms;
pub mod ssd;

use crate::dtype::Elem;
use crate::storage::Span;

/// Elements `start .. start + N` in float64.
fn read<const N: usize>(x: Span, start: usize) -> [f64; N] {
    with_dtype!(x.dtype(), T => {
        // SAFETY: the caller's range is inside the span, which nobody writes.
        let from = unsafe { x.sub(start, N).slice::<T>() };
        std::array::from_fn(|i| from[i].to_f64())
    })
}

/// Writes elements from `start` on.
fn write(out: Span, start: usize, values: &[f64]) {
    with_dtype!(out.dtype(), T => {
        // SAFETY: each caller writes its own part of a new output.
        let to = unsafe { out.sub(start, values.len()).slice_mut::<T>() };
        to.iter_mut().zip(values).for_each(|(t, &v)| *t = T::from_f64(v));
    })
}

/// All elements in float64.
fn all(x: Span, start: usize, len: usize) -> Vec<f64> {
    with_dtype!(x.dtype(), T => {
        // SAFETY: the caller's range is inside the span, which nobody writes.
        unsafe { x.sub(start, len).slice::<T>() }.iter().map(|v| v.to_f64()).collect()
    })
}

choices! {
    /// How a box is given: by its corners, or by its centre and size.
    pub enum Format { Center = "center", Corner = "corner" }
}
