//! Which windows hold an element: what a gradient goes back by.

use super::Axis;
use crate::kernels::real::Real;
use crate::simd::Simd;
use std::ops::Range;

/// The windows along an axis that hold element `i`.
pub(super) fn holders(a: &Axis, i: usize) -> Range<usize> {
    let at = i + a.pad;
    let end = (at / a.stride + 1).min(a.output);
    (at + 1).saturating_sub(a.kernel).div_ceil(a.stride).min(end)..end
}

/// Elements that lie a stride apart, and so are held by windows that follow each other.
pub(super) struct Class {
    /// The last window that holds the first of them, and where that one lies in it.
    last: usize,
    tap: usize,
    /// How many windows hold each, and how far apart these are.
    held: usize,
    stride: usize,
}

impl Class {
    /// That of element `t`.
    #[inline(always)]
    pub fn new(a: &Axis, t: usize) -> Class {
        let at = t + a.pad;
        let tap = at % a.stride;
        Class { last: at / a.stride, tap, held: (a.kernel + a.stride - 1 - tap) / a.stride, stride: a.stride }
    }

    /// The sums of the values of the windows that hold the elements from the `m`th on.
    /// # Safety
    /// The values have zeros around them, and room for a vector.
    #[inline(always)]
    pub unsafe fn sum<T: Real, S: Simd>(&self, s: S, values: *const T, m: usize) -> T::V<S> {
        let mut v = T::splat(s, T::default());
        for k in 0..self.held {
            // SAFETY: the caller's promise.
            v = v + unsafe { T::load(s, values.wrapping_add(self.last + m).wrapping_sub(k)) };
        }
        v
    }

    /// The same of those windows that have the element's mark; in rows of windows that are told with the mark of the first tap there. `taps` are the
    /// numbers from 0 on.
    /// # Safety
    /// The rows have marks that no element has around them, and room for a vector.
    #[inline(always)]
    pub unsafe fn chosen<T: Real, S: Simd>(
        &self,
        s: S,
        rows: &[(usize, T)],
        taps: &[T],
        (marks, values, pitch): (*const T, *const T, usize),
        m: usize,
    ) -> T::V<S> {
        let zero = T::splat(s, T::default());
        let mut v = zero;
        for &(row, far) in rows {
            let at = row * pitch + self.last + m;
            for k in (0..self.held).rev() {
                let mark = T::splat(s, far + taps[self.tap + k * self.stride]);
                let (marks, values) =
                    (marks.wrapping_add(at).wrapping_sub(k), values.wrapping_add(at).wrapping_sub(k));
                // SAFETY: the caller's promise.
                let (here, g) = unsafe { (T::load(s, marks), T::load(s, values)) };
                v = v + T::equal(s, here, mark, g, zero);
            }
        }
        v
    }
}
