//! Products of rows of the data with rows of the result: the gradient of the weights where a group has so few filters that they would not fill
//! a vector, as in depthwise convolutions. Neighbours of a row are the lanes.

use crate::kernels::lane::Lane;
use crate::kernels::real::{Real, load, total};
use crate::simd::{MAX_LANES, Simd, Work};

/// Filters that [`Block`] takes at a time.
pub(super) const SIDE: usize = 3;

/// As [`Dots`], for [`SIDE`] filters: `sums[f][m] = Σ_{line, i} data[m][line.0 + i] · result[f][line.1 + i]`.
pub(super) struct Block<'a, T, const M: usize> {
    pub data: [*const T; M],
    pub result: [*const T; SIDE],
    /// Where each line begins, in the data and in the result, and its length, a multiple of the widest vector.
    pub lines: &'a [(usize, usize, usize)],
    /// Where the sums of a filter go; those of a filter lie `pitch` apart.
    pub sums: [*mut T; SIDE],
    pub pitch: usize,
}

impl<T: Real, const M: usize> Work for Block<'_, T, M> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let lanes = <T as Lane>::count::<S>();
        let mut sums = [[T::splat(s, T::default()); M]; SIDE];
        for &(x, y, len) in self.lines {
            let mut i = 0;
            while i < len {
                // SAFETY: who made this promised lines of that length.
                unsafe {
                    let g: [T::V<S>; SIDE] = std::array::from_fn(|f| T::load(s, self.result[f].add(y + i)));
                    for m in 0..M {
                        let v = T::load(s, self.data[m].add(x + i));
                        for f in 0..SIDE {
                            sums[f][m] = T::fma(s, g[f], v, sums[f][m]);
                        }
                    }
                }
                i += lanes;
            }
        }
        let mut all = [T::splat(s, T::default()); (8 * SIDE).next_multiple_of(MAX_LANES)];
        sums.as_flattened().iter().zip(&mut all).for_each(|(v, to)| *to = *v);
        for (i, sums) in all.chunks_exact_mut(lanes).enumerate() {
            let totals = T::spill(s, totals::<T, S>(s, sums));
            for (j, &sum) in (i * lanes..M * SIDE).zip(&totals) {
                // SAFETY: a place for each of the sums.
                unsafe { *self.sums[j / M].add(j % M * self.pitch) = sum }
            }
        }
    }
}

/// The sums of the lanes of as many vectors as there are lanes.
#[inline(always)]
fn totals<T: Real, S: Simd>(s: S, x: &mut [T::V<S>]) -> T::V<S> {
    let mut n = x.len();
    while n > 1 {
        n /= 2;
        for i in 0..n {
            let (even, odd) = T::unzip(s, x[2 * i], x[2 * i + 1]);
            x[i] = even + odd;
        }
    }
    x[0]
}

/// For one filter, `M` taps at a time: `sums[m] = Σ_{row, i} data[m][rows.0 + i] · result[rows.1 + i]`.
pub(super) struct Dots<'a, T, const M: usize> {
    pub data: [*const T; M],
    pub result: *const T,
    /// Where each row begins, in the data and in the result.
    pub rows: &'a [(usize, usize)],
    /// Elements of a row.
    pub len: usize,
    /// Written, or added to; neighbours are `pitch` apart.
    pub sums: *mut T,
    pub pitch: usize,
    pub add: bool,
}

impl<T: Real, const M: usize> Work for Dots<'_, T, M> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let lanes = <T as Lane>::count::<S>();
        let mut sums = [T::splat(s, T::default()); M];
        let data = self.data;
        for &(x, y) in self.rows {
            let mut i = 0;
            while i < self.len {
                let w = lanes.min(self.len - i);
                // SAFETY: who made this promised rows of that length. Lanes behind a row's end are 0 on both sides.
                unsafe {
                    let g = load::<T, S>(s, self.result.add(y + i), w);
                    for m in 0..M {
                        sums[m] = T::fma(s, g, load::<T, S>(s, data[m].add(x + i), w), sums[m]);
                    }
                }
                i += lanes;
            }
        }
        for m in 0..M {
            let sum = T::from_f64(total::<T, S>(s, sums[m]));
            // SAFETY: a place for each of the sums.
            unsafe {
                let to = self.sums.add(m * self.pitch);
                *to = if self.add { *to + sum } else { sum };
            }
        }
    }
}
