//! The product below convolutions whose weights have been made ready: a few places of the result by a panel of filters that lie side by side.
//!
//! Lanes are filters, so places may lie anywhere in the source (few of them, apart by a stride, in several lines), and weights, of which a
//! network has far more than places in its last layers, are read once, in order. Results come out with filters side by side; [`Flush`] turns
//! them as they are written, when bias, another array and a rectifier can go in as well.

use crate::kernels::real::Real;
use crate::simd::{MAX_LANES, Simd, Work};

/// Filters of a panel.
pub(super) const WIDE: usize = 64;
/// Places at a time: with the four vectors of a panel they fill the registers of the widest level.
pub(super) const PLACES: usize = 6;

/// Elements of all panels for so many filters.
pub(super) fn panels(filters: usize, terms: usize) -> usize {
    filters.div_ceil(WIDE) * WIDE * terms
}

/// Where `term` of `filter` stands in the panels.
pub(super) fn at(filter: usize, term: usize, terms: usize) -> usize {
    (filter / WIDE * terms + term) * WIDE + filter % WIDE
}

/// `to[m][f] = Σ_r a[m][a_at[r]] · b[r][f]` for `M` places and up to [`WIDE`] filters.
pub(super) struct Outer<'a, T, const M: usize> {
    pub a: [*const T; M],
    pub a_at: &'a [u32],
    /// The panel, from its first term here.
    pub b: *const T,
    pub filters: usize,
    /// Places are [`WIDE`] apart.
    pub to: *mut T,
    /// Whether to add to what is there.
    pub add: bool,
}

impl<T: Real, const M: usize> Work for Outer<'_, T, M> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let lanes = T::count::<S>();
        let vectors = self.filters.div_ceil(lanes);
        // The widest level has twice the registers.
        let most = if lanes * size_of::<T>() == MAX_LANES * 4 { 4 } else { 2 };
        let mut j = 0;
        while j < vectors {
            let n = most.min(vectors - j);
            // SAFETY: who made this promised operands and room for whole panels.
            unsafe {
                match n {
                    1 => self.tile::<S, 1>(s, j * lanes),
                    2 => self.tile::<S, 2>(s, j * lanes),
                    3 => self.tile::<S, 3>(s, j * lanes),
                    _ => self.tile::<S, 4>(s, j * lanes),
                }
            }
            j += n;
        }
    }
}

impl<T: Real, const M: usize> Outer<'_, T, M> {
    /// `V` vectors of filters from `first` on.
    /// # Safety
    /// The operands exist.
    #[inline(always)]
    unsafe fn tile<S: Simd, const V: usize>(&self, s: S, first: usize) {
        let lanes = T::count::<S>();
        let mut sums = [[T::splat(s, T::default()); V]; M];
        let a = self.a;
        // SAFETY: the caller's promise; the table holds offsets of terms that exist.
        unsafe {
            let mut b = self.b.add(first);
            for &at in self.a_at {
                let mut v = [T::splat(s, T::default()); V];
                for j in 0..V {
                    v[j] = T::load(s, b.add(j * lanes));
                }
                for m in 0..M {
                    let x = T::splat(s, *a[m].add(at as usize));
                    for j in 0..V {
                        sums[m][j] = T::fma(s, x, v[j], sums[m][j]);
                    }
                }
                b = b.add(WIDE);
            }
            for m in 0..M {
                for j in 0..V {
                    let p = self.to.add(m * WIDE + first + j * lanes);
                    let sum = if self.add { T::load(s, p) + sums[m][j] } else { sums[m][j] };
                    T::store(s, p, sum, false);
                }
            }
        }
    }
}

/// What is done to results as they are written: `max(result + bias + add, 0)`, as far as it is there.
#[derive(Clone, Copy)]
pub(super) struct Finish<T> {
    /// One for each filter.
    pub bias: Option<*const T>,
    /// Lies as the results do.
    pub add: Option<*const T>,
    pub relu: bool,
}

impl<T> Finish<T> {
    /// From a filter on, for a place on; `bias` and `add` at different offsets.
    pub fn from(self, filter: usize, place: usize) -> Finish<T> {
        let (bias, add) =
            (self.bias.map(|p| p.wrapping_add(filter)), self.add.map(|p| p.wrapping_add(place)));
        Finish { bias, add, relu: self.relu }
    }
}

/// Places that lie together in the result.
#[derive(Clone, Copy)]
pub(super) struct Stretch {
    /// The first, in the buffer, and in a filter's plane of the result.
    pub at: usize,
    pub to: usize,
    pub len: usize,
}

/// Writes places whose filters lie side by side into planes, one for each filter.
pub(super) struct Flush<'a, T> {
    /// Places are [`WIDE`] apart; behind the last there are readable rows for a vector of them.
    pub from: *const T,
    pub stretches: &'a [Stretch],
    pub filters: usize,
    pub to: *mut T,
    /// From plane to plane.
    pub pitch: usize,
    pub finish: Finish<T>,
}

impl<T: Real> Work for Flush<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let lanes = T::count::<S>();
        let zero = T::splat(s, T::default());
        let mut turned = [T::default(); MAX_LANES * MAX_LANES];
        for stretch in self.stretches {
            for i in (0..stretch.len).step_by(lanes) {
                let w = lanes.min(stretch.len - i);
                for f in (0..self.filters).step_by(lanes) {
                    // SAFETY: who made this promised the rows, the planes, and a bias for each of them.
                    unsafe {
                        let rows = self.from.add((stretch.at + i) * WIDE + f);
                        T::turn(s, rows, WIDE, turned.as_mut_ptr(), lanes);
                        for k in 0..lanes.min(self.filters - f) {
                            let at = (f + k) * self.pitch + stretch.to + i;
                            let mut v = T::load(s, turned.as_ptr().add(k * lanes));
                            if let Some(bias) = self.finish.bias {
                                v = T::splat(s, *bias.add(f + k)) + v;
                            }
                            if let Some(add) = self.finish.add {
                                let p = add.add(at);
                                v = v + if w == lanes {
                                    T::load(s, p)
                                } else {
                                    T::load_part(s, p, w, T::default())
                                };
                            }
                            if self.finish.relu {
                                v = T::max(s, zero, v);
                            }
                            let p = self.to.add(at);
                            if w == lanes { T::store(s, p, v, false) } else { T::store_part(s, p, v, w) }
                        }
                    }
                }
            }
        }
    }
}

/// Runs an expression with `M` bound to a number of places.
macro_rules! with_places {
    ($m:expr, $M:ident => $body:expr) => {
        $crate::kernels::conv::panel::with_places!(@ $m, $M => $body, 1 2 3 4 5 6)
    };
    (@ $m:expr, $M:ident => $body:expr, $($n:literal)*) => {
        match $m {
            $($n => {
                const $M: usize = $n;
                $body
            })*
            _ => unreachable!("at most 6 places are taken at a time"),
        }
    };
}
pub(super) use with_places;

/// Pointers that pieces of work share.
pub(super) struct Operands<T> {
    pub x: *const T,
    pub w: *const T,
    pub finish: Finish<T>,
    pub to: *mut T,
}
// SAFETY: inputs are only read; each piece of work writes its own part of the result.
unsafe impl<T> Send for Operands<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Operands<T> {}
