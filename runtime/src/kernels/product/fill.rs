//! Columns of a matrix side by side, as many as the registers of a tile have room for: what products read row by row.

use super::{Layout, Shared};
use crate::kernels::real::Real;
use crate::simd::{Simd, Work};

/// Vectors of a row that are filled one after the other: finding out where a vector comes from takes longer than filling it.
const TOGETHER: usize = 16;

/// Fills the panel of the columns from `unit` on, of a matrix whose columns are so many units for each of some gates: `span` vectors of
/// units of each gate, side by side. Units that are missing from the last vector are 0.
pub(in crate::kernels) struct Fill<T> {
    pub from: Shared<T>,
    pub layout: Layout,
    pub to: Shared<T>,
    pub depth: usize,
    pub units: usize,
    pub gates: usize,
    pub unit: usize,
    pub span: usize,
}

impl<T: Real> Work for Fill<T> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (lanes, depth) = (T::count::<S>(), self.depth);
        let vectors = self.gates * self.span;
        let width = vectors * lanes;
        // Where a vector's elements come from, and how many of them there are.
        let place = |v: usize| {
            let unit = self.unit + v % self.span * lanes;
            let column = (v / self.span * self.units + unit) as isize * self.layout.cols;
            (column, lanes.min(self.units.saturating_sub(unit)))
        };
        // SAFETY: elements of the matrix, and of the panel, which is this call's alone.
        unsafe {
            if self.layout.cols == 1 {
                for first in (0..vectors).step_by(TOGETHER) {
                    let count = TOGETHER.min(vectors - first);
                    let mut places = [(0, 0); TOGETHER];
                    (0..count).for_each(|v| places[v] = place(first + v));
                    let whole = places[..count].iter().all(|p| p.1 == lanes);
                    for k in 0..depth {
                        let from = self.from.at(k as isize * self.layout.rows);
                        let to = self.to.at((k * width + first * lanes) as isize);
                        for (v, &(column, here)) in places[..count].iter().enumerate() {
                            let from = from.wrapping_offset(column);
                            let x = if whole || here == lanes {
                                T::load(s, from)
                            } else {
                                T::load_part(s, from, here, T::default())
                            };
                            T::store(s, to.add(v * lanes), x, false);
                        }
                    }
                }
                return;
            }
            for v in 0..vectors {
                let (column, here) = place(v);
                // Whole blocks where a unit's elements lie one after another, then what remains.
                let turned = if self.layout.rows == 1 && here == lanes { depth / lanes * lanes } else { 0 };
                for k in (0..turned).step_by(lanes) {
                    let to = self.to.at((k * width + v * lanes) as isize);
                    T::turn(s, self.from.at(column + k as isize), self.layout.cols as usize, to, width);
                }
                for k in turned..depth {
                    let from = self.from.at(column + k as isize * self.layout.rows);
                    let to = self.to.at((k * width + v * lanes) as isize);
                    for i in 0..lanes {
                        *to.add(i) =
                            if i < here { *from.offset(i as isize * self.layout.cols) } else { T::default() };
                    }
                }
            }
        }
    }
}
