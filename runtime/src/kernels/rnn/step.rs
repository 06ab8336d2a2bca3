//! The product of a step: a few rows by a matrix that is packed once and used at every step.
//!
//! The matrix is cut into panels of columns, as wide as the registers have room for. A panel is multiplied with a block of rows into a
//! tile on the stack, which the caller's `finish` turns into gates before the next one.

use super::{Num, Scratch};
use crate::error::Result;
use crate::kernels::lane::Lane;
use crate::kernels::par;
use crate::kernels::product::{Fill, Layout, Shared, gemm};
use crate::simd::{Level, MAX_LANES, Simd, Work, level};
use std::marker::PhantomData;
use std::ops::Range;

/// Rows of a tile.
const ROWS: usize = 16;
/// Vectors of a panel, at most.
const WIDE: usize = 4;
/// Fewer steps than this do not pay for packing.
pub(super) const FEW: usize = 4;
/// Multiplications that are worth a thread.
const WORK: usize = 128 * 1024;

/// Sums of a tile, or of all units when nothing was packed.
#[derive(Clone, Copy)]
pub(super) struct Sums<T> {
    /// Of the first row, the first unit and the first gate.
    pub at: Shared<T>,
    /// From row to row.
    pub row: usize,
    /// From gate to gate.
    pub gate: usize,
}

/// The matrix of a step's product: for each unit so many columns (gates), all of depth `depth`.
pub(super) struct Matrix<T> {
    depth: usize,
    units: usize,
    gates: usize,
    form: Form<T>,
}

enum Form<T> {
    /// As it is: element (k, gate, unit) lies at `k · layout.rows + (gate · units + unit) · layout.cols`.
    Plain(Shared<T>, Layout),
    /// In panels of `lanes · vectors` columns, the gates of some units side by side.
    Packed { panels: Shared<T>, level: Level, lanes: usize, _own: Option<Scratch<T>> },
}

impl<T: Num> Matrix<T> {
    /// For `steps` products.
    /// # Safety
    /// `from` points to a matrix of that layout, which stays as it is while this is used.
    pub unsafe fn new(
        from: *const T,
        layout: Layout,
        [depth, units, gates]: [usize; 3],
        steps: usize,
    ) -> Result<Matrix<T>> {
        let from = Shared(from.cast_mut());
        if steps < FEW {
            return Ok(Matrix { depth, units, gates, form: Form::Plain(from, layout) });
        }
        let own = Scratch::<T>::new(Matrix::<T>::size(depth, units, gates))?;
        // SAFETY: the caller's matrix; room for its panels.
        unsafe { Matrix::fill(from, layout, [depth, units, gates], own.ptr()) };
        // SAFETY: they are kept.
        Ok(unsafe { Matrix::packed(own.ptr(), [depth, units, gates], Some(own)) })
    }

    /// Number of elements of all panels, on the level in use.
    pub fn size(depth: usize, units: usize, gates: usize) -> usize {
        let (span, vectors) = shape(gates);
        let lanes = level().run(Count(PhantomData::<T>));
        units.div_ceil(span * lanes) * depth * vectors * lanes
    }

    /// Makes the panels of a matrix of that depth, with so many units and gates.
    /// # Safety
    /// As for [`Matrix::new`]; `to` is writable for [`Matrix::size`] elements.
    pub unsafe fn fill(from: Shared<T>, layout: Layout, [depth, units, gates]: [usize; 3], to: Shared<T>) {
        let level = level();
        let lanes = level.run(Count(PhantomData::<T>));
        let (span, vectors) = shape(gates);
        let (width, per) = (vectors * lanes, span * lanes);
        par::chunks(units.div_ceil(per), (WORK / (depth * width).max(1)).max(1), |_, r| {
            for p in r {
                let to = Shared(to.at((p * depth * width) as isize));
                level.run(Fill { from, layout, to, depth, units, gates, unit: p * per, span });
            }
        });
    }

    /// A matrix whose panels are there.
    /// # Safety
    /// They were made on the level in use, and stay while this is used.
    pub unsafe fn packed(
        panels: Shared<T>,
        [depth, units, gates]: [usize; 3],
        own: Option<Scratch<T>>,
    ) -> Matrix<T> {
        let level = level();
        let lanes = level.run(Count(PhantomData::<T>));
        Matrix { depth, units, gates, form: Form::Packed { panels, level, lanes, _own: own } }
    }

    /// Multiplies rows `rows` of `a`, which are `lda` apart, and gives the sums to `finish`, for a range of rows and of units at a time.
    /// The sums are those of the first row and unit of the range. Where `a` is `None` they are 0.
    /// # Safety
    /// `a` is readable for `rows` rows of the depth.
    pub unsafe fn times(
        &self,
        a: Option<(Shared<T>, usize)>,
        rows: Range<usize>,
        finish: impl Fn(Range<usize>, Range<usize>, Sums<T>) + Sync,
    ) -> Result<()> {
        if rows.is_empty() || self.units == 0 {
            return Ok(());
        }
        let Form::Packed { panels, level, lanes, .. } = &self.form else {
            return self.plain(a, rows, finish);
        };
        let (span, vectors) = shape(self.gates);
        let (width, per) = (vectors * lanes, span * lanes);
        let each = (WORK / (rows.len() * self.depth * width).max(1)).max(1);
        par::chunks(self.units.div_ceil(per), each, |_, chunk| {
            let mut tile = [T::default(); ROWS * WIDE * MAX_LANES];
            let sums = Sums { at: Shared(tile.as_mut_ptr()), row: width, gate: per };
            for p in chunk {
                let units = p * per..self.units.min((p + 1) * per);
                let mut from = rows.start;
                while from < rows.end {
                    let block = from..rows.end.min(from + ROWS);
                    if let Some((a, lda)) = a {
                        let (a, b) = (
                            a.at((block.start * lda) as isize),
                            panels.at((p * self.depth * width) as isize),
                        );
                        let (rows, depth, to) = (block.len(), self.depth, sums.at.0);
                        if vectors == 3 {
                            level.run(Tile::<T, 3> { a, lda, rows, b, depth, to });
                        } else {
                            level.run(Tile::<T, 4> { a, lda, rows, b, depth, to });
                        }
                    }
                    from = block.end;
                    finish(block, units.clone(), sums);
                }
            }
        });
        Ok(())
    }

    fn plain(
        &self,
        a: Option<(Shared<T>, usize)>,
        rows: Range<usize>,
        finish: impl Fn(Range<usize>, Range<usize>, Sums<T>),
    ) -> Result<()> {
        let Form::Plain(b, layout) = self.form else { unreachable!("only called for this form") };
        let width = self.gates * self.units;
        let sums = Scratch::zeros(rows.len() * width)?;
        if let Some((a, lda)) = a {
            let from = Layout { rows: lda as isize, cols: 1 };
            // SAFETY: the caller's rows, the matrix, and the sums just made.
            unsafe {
                gemm(
                    rows.len(),
                    width,
                    self.depth,
                    T::from_f64(1.0),
                    a.at((rows.start * lda) as isize),
                    from,
                    b.0,
                    layout,
                    T::default(),
                    sums.ptr().0,
                    Layout::of_cols(width),
                )
            }
        }
        finish(rows, 0..self.units, Sums { at: sums.ptr(), row: width, gate: self.units });
        Ok(())
    }
}

/// Vectors of units in a panel, and all its vectors: what leaves registers for a good number of rows.
fn shape(gates: usize) -> (usize, usize) {
    match gates {
        1 => (4, 4),
        gates => (1, gates),
    }
}

/// How many lanes a level has.
struct Count<T>(PhantomData<T>);

impl<T: Lane> Work for Count<T> {
    type Out = usize;
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> usize {
        T::count::<S>()
    }
}

/// A panel of `V` vectors times some rows.
struct Tile<T, const V: usize> {
    a: *const T,
    lda: usize,
    rows: usize,
    b: *const T,
    depth: usize,
    to: *mut T,
}

impl<T: Num, const V: usize> Work for Tile<T, V> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // As many sums as registers hold beside a row of the panel: 32 registers on the widest level, 16 on the others.
        let most = if S::N == MAX_LANES { 6 } else { 3 };
        let blocks = self.rows.div_ceil(most);
        for i in 0..blocks {
            let (from, end) = (i * self.rows / blocks, (i + 1) * self.rows / blocks);
            // SAFETY: rows of the caller's block.
            unsafe {
                match end - from {
                    6 => self.block::<S, 6>(s, from),
                    5 => self.block::<S, 5>(s, from),
                    4 => self.block::<S, 4>(s, from),
                    3 => self.block::<S, 3>(s, from),
                    2 => self.block::<S, 2>(s, from),
                    _ => self.block::<S, 1>(s, from),
                }
            }
        }
    }
}

impl<T: Num, const V: usize> Tile<T, V> {
    /// # Safety
    /// `from .. from + M` are rows of the block.
    #[inline(always)]
    unsafe fn block<S: Simd, const M: usize>(&self, s: S, from: usize) {
        let lanes = T::count::<S>();
        let mut sums = [[T::splat(s, T::default()); V]; M];
        // SAFETY: the panel has `depth` rows of V vectors, `a` as many columns; the tile has room for M rows.
        unsafe {
            let a = self.a.add(from * self.lda);
            for k in 0..self.depth {
                let mut b = [T::splat(s, T::default()); V];
                for v in 0..V {
                    b[v] = T::load(s, self.b.add((k * V + v) * lanes));
                }
                for m in 0..M {
                    let x = T::splat(s, *a.add(m * self.lda + k));
                    for v in 0..V {
                        sums[m][v] = T::fma(s, x, b[v], sums[m][v]);
                    }
                }
            }
            for m in 0..M {
                for v in 0..V {
                    T::store(s, self.to.add(((from + m) * V + v) * lanes), sums[m][v], false);
                }
            }
        }
    }
}
