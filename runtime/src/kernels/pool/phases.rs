//! Rows cut into phases. Where windows are `stride` elements apart, their first elements are scattered over the row, and so are their
//! second ones. Dealt out to `stride` rows, one element of all windows lies in order, and vectors go over windows. Elements that are not
//! there stand in the phases too, so that windows at the ends are like all others.

use super::Axis;
use crate::kernels::real::{Real, load, steps, store};
use crate::simd::{MAX_LANES, Simd};

/// How the rows along an axis are dealt.
#[derive(Clone, Copy)]
pub(super) struct Phases {
    axis: Axis,
    len: usize,
}

impl Phases {
    pub(super) fn new(axis: &Axis) -> Phases {
        let data = (axis.pad + axis.input) / axis.stride + 1;
        let len = data.max(axis.output + axis.kernel / axis.stride) + 2 * MAX_LANES;
        Phases { axis: *axis, len }
    }

    /// Elements that the phases of one row take.
    pub(super) fn room(&self) -> usize {
        self.len * self.axis.stride
    }

    /// Where the `k`th element of window 0 lies in the phases; that of window `o` lies `o` behind it, with a vector's room.
    pub(super) fn tap(&self, k: usize) -> usize {
        k % self.axis.stride * self.len + k / self.axis.stride
    }

    /// Deals the row at `x` into `to`, which holds `rest` where no row ever wrote.
    /// # Safety
    /// The row is readable, and `to` writable for [`Phases::room`].
    #[inline(always)]
    pub(super) unsafe fn deal<T: Real, S: Simd>(&self, s: S, x: *const T, rest: T, to: *mut T) {
        let (a, lanes) = (&self.axis, T::count::<S>());
        // SAFETY: element i of the row goes to the phase and the place of tap i + pad, inside the room; vectors reach at most two beyond.
        unsafe {
            match a.stride {
                1 => steps!(T, a.input, |i, w| store::<T, S>(
                    s,
                    to.add(a.pad + i),
                    load::<T, S>(s, x.add(i), w),
                    w
                )),
                2 => {
                    let (even, odd) = (to.add(self.tap(a.pad)), to.add(self.tap(a.pad + 1)));
                    for i in (0..a.input).step_by(2 * lanes) {
                        let first = load_or::<T, S>(s, x.wrapping_add(i), a.input - i, rest);
                        let second = load_or::<T, S>(
                            s,
                            x.wrapping_add(i + lanes),
                            (a.input - i).saturating_sub(lanes),
                            rest,
                        );
                        let (first, second) = T::unzip(s, first, second);
                        T::store(s, even.add(i / 2), first, false);
                        T::store(s, odd.add(i / 2), second, false);
                    }
                }
                _ => (0..a.input).for_each(|i| *to.add(self.tap(a.pad + i)) = *x.add(i)),
            }
        }
    }
}

/// A vector of the `n` elements at `p`, or as many as it holds; the others are `rest`.
/// # Safety
/// `p` is readable for `n` elements.
#[inline(always)]
unsafe fn load_or<T: Real, S: Simd>(s: S, p: *const T, n: usize, rest: T) -> T::V<S> {
    // SAFETY: the caller's promise.
    unsafe { if n < T::count::<S>() { T::load_part(s, p, n, rest) } else { T::load(s, p) } }
}
