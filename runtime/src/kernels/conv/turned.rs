//! Planes side by side: what lies apart by a plane for each filter becomes neighbours, so that lanes can be filters.

use crate::kernels::real::Real;
use crate::simd::{Simd, Work};

/// Lines of a tile of some planes, turned.
pub(super) struct Turned<'a, T> {
    pub from: *const T,
    /// Where lines begin, how many elements each has, and how far these lie apart.
    pub lines: &'a [usize],
    pub len: usize,
    pub step: usize,
    /// Number of planes, and how far they lie apart.
    pub planes: usize,
    pub pitch: usize,
    /// One place after the other, each of `width` elements: those of the planes, and zeros behind them.
    pub to: *mut T,
    pub width: usize,
}

impl<T: Real> Work for Turned<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let lanes = T::count::<S>();
        let blocks = self.step == 1 && self.len >= lanes && self.planes >= lanes;
        for (i, &line) in self.lines.iter().enumerate() {
            // SAFETY: who made this promised lines of that length and room for them.
            unsafe {
                let (from, to) = (self.from.add(line), self.to.add(i * self.len * self.width));
                if blocks {
                    let mut p = 0;
                    while p < self.planes {
                        // The last block may begin inside of the one before.
                        let first = p.min(self.planes - lanes);
                        let mut w = 0;
                        while w < self.len {
                            let at = w.min(self.len - lanes);
                            let x = from.add(first * self.pitch + at);
                            T::turn(s, x, self.pitch, to.add(at * self.width + first), self.width);
                            w += lanes;
                        }
                        p += lanes;
                    }
                } else {
                    for w in 0..self.len {
                        for p in 0..self.planes {
                            *to.add(w * self.width + p) = *from.add(p * self.pitch + w * self.step);
                        }
                    }
                }
                for w in 0..self.len {
                    to.add(w * self.width + self.planes).write_bytes(0, self.width - self.planes);
                }
            }
        }
    }
}
