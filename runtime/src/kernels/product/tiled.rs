//! A product on one thread: the right operand in panels as wide as the registers have room for, each of them multiplied with a few rows of
//! the left one at a time.
//!
//! A panel is packed for all rows and stays in the second cache, the left operand's rows in the first. The depth is cut into slices, so
//! that both fit; each slice is summed in order, and so are the slices: results depend on sizes alone.

use super::{Fill, Layout, Real, Shared};
use crate::simd::{MAX_LANES, Simd, Work, level, prefetch};
use crate::storage::Storage;
use std::mem::MaybeUninit;

/// Depth of a slice.
const SLICE: usize = 384;
/// Vectors of a panel on the widest level, which has 32 registers, and on the others.
const WIDE: usize = 4;
const NARROW: usize = 2;
/// Rows of a tile: six by a panel's vectors are the sums that registers hold beside the operands.
const ROWS: usize = 6;
/// Elements of a slice of a panel.
const PANEL: usize = SLICE * WIDE * MAX_LANES;
/// Rows for which it pays to pack a panel that could be read where it lies.
const MANY: usize = 32;
/// Distance of neighbours up to which an operand is read where it lies.
const NEAR: isize = 256;
/// Panels for which it pays to bring rows of the left operand together.
const PANELS: usize = 4;
/// Rows of a panel by which memory is asked for it ahead.
const AHEAD: isize = 8;

/// A panel, as vectors are aligned: each would be in two lines of the cache otherwise.
#[repr(align(64))]
struct Room<T>([MaybeUninit<T>; PANEL]);

/// Calls `f` with room for a panel, on the stack. A function of its own that does nothing else: where one with so large a frame can return
/// before it needs the frame, the compiler may keep a value in the register with which it then touches the frame's pages, and lose it
/// (seen with rustc 1.95, LLVM 22).
#[inline(never)]
fn with_room<T>(f: impl FnOnce(*mut T)) {
    let mut room = Room([const { MaybeUninit::<T>::uninit() }; PANEL]);
    f(room.0.as_mut_ptr().cast::<T>());
}

/// `c = alpha · a b + beta · c`, for a of m×k, b of k×n, c of m×n. Where beta is 0, c is not read.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Product<T> {
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub alpha: T,
    pub a: *const T,
    pub la: Layout,
    pub b: *const T,
    pub lb: Layout,
    pub beta: T,
    pub c: *mut T,
    pub lc: Layout,
}

impl<T: Real> Product<T> {
    /// All of it on this thread.
    /// # Safety
    /// As [`gemm`](super::gemm).
    pub unsafe fn single(self) {
        let Product { m, n, k, alpha, a, la, b, lb, beta, c, lc } = self;
        // Vectors lie along the columns: where these lie apart or are few, the other way round.
        let around = (lc.cols != 1 && lc.rows == 1) || (n < MAX_LANES && m > 2 * n && lc.rows != 1);
        // SAFETY: the caller's promise; the same matrices, transposed.
        unsafe {
            if around {
                let (a, la, b, lb) = (b, lb.t(), a, la.t());
                Product { m: n, n: m, k, alpha, a, la, b, lb, beta, c, lc: lc.t() }.by_slices();
            } else {
                self.by_slices();
            }
        }
    }

    /// # Safety
    /// The matrices are what they are said to be.
    unsafe fn by_slices(self) {
        let level = level();
        // Columns of the left operand that lie far apart are brought together: a tile reads a few elements of each. So are rows where they are
        // read again and again: those of a tile would be in pages of their own, and often meet in the cache.
        let columns = self.la.cols > NEAR && self.la.rows == 1 && self.n > PANEL / SLICE && self.m > 1;
        let rows =
            self.la.rows > NEAR && self.la.cols == 1 && self.n > PANELS * PANEL / SLICE && self.m > ROWS;
        // Slices of about one depth, in whole vectors.
        let depth = self.k.div_ceil(self.k.div_ceil(SLICE)).next_multiple_of(MAX_LANES).min(self.k);
        // An odd number of lines of the cache.
        let line = 64 / size_of::<T>();
        let pitch = if columns { self.m } else { (depth.div_ceil(line) | 1) * line };
        let size = if columns { depth * pitch } else { self.m * pitch };
        let lines = if columns || rows { Storage::new(size * size_of::<T>()).ok() } else { None };
        with_room(|room| {
            for from in (0..self.k).step_by(depth) {
                let mut slice = Product { k: depth.min(self.k - from), ..self };
                slice.a = slice.a.wrapping_offset(from as isize * self.la.cols);
                slice.b = slice.b.wrapping_offset(from as isize * self.lb.rows);
                if from > 0 {
                    slice.beta = T::from_f64(1.0);
                }
                if let Some(lines) = &lines {
                    let to = lines.ptr().cast::<T>();
                    let (count, len, step) = if columns {
                        (slice.k, self.m, self.la.cols)
                    } else {
                        (self.m, slice.k, self.la.rows)
                    };
                    for i in 0..count {
                        // SAFETY: a column or row of the operand; there is room for as many as a slice has.
                        unsafe {
                            let line = slice.a.offset(i as isize * step);
                            line.copy_to_nonoverlapping(to.add(i * pitch), len);
                        }
                    }
                    let lines = Layout::of_cols(pitch);
                    (slice.a, slice.la) = (to, if columns { lines.t() } else { lines });
                }
                level.run(Slice { product: slice, room });
            }
        });
    }

    /// Whether a panel of so many vectors, the last of them whole or not, is to be packed.
    fn packs(&self, whole: bool) -> bool {
        !whole || self.lb.cols != 1 || (self.lb.rows > NEAR && self.m >= MANY)
    }
}

/// A slice of a product, and room for a panel of it.
struct Slice<T> {
    product: Product<T>,
    room: *mut T,
}

impl<T: Real> Work for Slice<T> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        self.product.panels(s, self.room);
    }
}

impl<T: Real> Product<T> {
    /// All panels; there is `room` for one.
    #[inline(always)]
    fn panels<S: Simd>(&self, s: S, room: *mut T) {
        let lanes = T::count::<S>();
        let vectors = if lanes * size_of::<T>() == MAX_LANES * 4 { WIDE } else { NARROW };
        for first in (0..self.n).step_by(vectors * lanes) {
            let cols = (vectors * lanes).min(self.n - first);
            if self.packs(cols.is_multiple_of(lanes)) {
                self.packed(s, first, cols, room);
            } else {
                let b = self.b.wrapping_add(first);
                // SAFETY: whole vectors of the operand's rows.
                unsafe { self.panel::<S, false>(s, first, cols, b, self.lb.rows) };
            }
        }
    }

    /// The panel of the columns from `first` on, packed.
    #[inline(always)]
    fn packed<S: Simd>(&self, s: S, first: usize, cols: usize, to: *mut T) {
        let lanes = T::count::<S>();
        let span = cols.div_ceil(lanes);
        let (depth, from) = (self.k, Shared(self.b.cast_mut()));
        Fill { from, layout: self.lb, to: Shared(to), depth, units: self.n, gates: 1, unit: first, span }
            .run(s);
        // SAFETY: the panel has been filled, with 0 beyond the last column.
        unsafe { self.panel::<S, true>(s, first, cols, to, (span * lanes) as isize) };
    }

    /// All rows by a panel, whose rows lie `pitch` apart; `P`: it is packed, and larger than the first cache.
    /// # Safety
    /// It has a slice's depth, and whole vectors.
    #[inline(always)]
    unsafe fn panel<S: Simd, const P: bool>(
        &self,
        s: S,
        first: usize,
        cols: usize,
        b: *const T,
        pitch: isize,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            match cols.div_ceil(T::count::<S>()) {
                1 => self.rows::<S, 1, P>(s, first, cols, b, pitch),
                2 => self.rows::<S, 2, P>(s, first, cols, b, pitch),
                3 => self.rows::<S, 3, P>(s, first, cols, b, pitch),
                _ => self.rows::<S, 4, P>(s, first, cols, b, pitch),
            }
        }
    }

    /// # Safety
    /// As `panel`, of `V` vectors.
    #[inline(always)]
    unsafe fn rows<S: Simd, const V: usize, const P: bool>(
        &self,
        s: S,
        first: usize,
        cols: usize,
        b: *const T,
        pitch: isize,
    ) {
        // Tiles of about one height.
        let tiles = self.m.div_ceil(ROWS);
        for i in 0..tiles {
            let (row, end) = (i * self.m / tiles, (i + 1) * self.m / tiles);
            // SAFETY: rows that there are.
            unsafe {
                match end - row {
                    1 => self.tile::<S, 1, V, P>(s, row, first, cols, b, pitch),
                    2 => self.tile::<S, 2, V, P>(s, row, first, cols, b, pitch),
                    3 => self.tile::<S, 3, V, P>(s, row, first, cols, b, pitch),
                    4 => self.tile::<S, 4, V, P>(s, row, first, cols, b, pitch),
                    5 => self.tile::<S, 5, V, P>(s, row, first, cols, b, pitch),
                    _ => self.tile::<S, 6, V, P>(s, row, first, cols, b, pitch),
                }
            }
        }
    }

    /// `M` rows from `row` on, by `V` vectors of columns.
    /// # Safety
    /// The operands exist; `cols` of the vectors' elements are in the result.
    #[inline(always)]
    unsafe fn tile<S: Simd, const M: usize, const V: usize, const P: bool>(
        &self,
        s: S,
        row: usize,
        first: usize,
        cols: usize,
        b: *const T,
        pitch: isize,
    ) {
        let lanes = T::count::<S>();
        let mut sums = [[T::splat(s, T::default()); V]; M];
        // SAFETY: the caller's promise.
        unsafe {
            let mut a = self.a.offset(row as isize * self.la.rows);
            let mut b = b;
            for _ in 0..self.k {
                let mut v = [T::splat(s, T::default()); V];
                for j in 0..V {
                    v[j] = T::load(s, b.add(j * lanes));
                    if P {
                        prefetch(b.wrapping_offset(AHEAD * pitch).wrapping_add(j * lanes));
                    }
                }
                for i in 0..M {
                    let x = T::splat(s, *a.offset(i as isize * self.la.rows));
                    for j in 0..V {
                        sums[i][j] = T::fma(s, x, v[j], sums[i][j]);
                    }
                }
                a = a.wrapping_offset(self.la.cols);
                b = b.wrapping_offset(pitch);
            }
            let to = self.c.offset(row as isize * self.lc.rows + first as isize * self.lc.cols);
            let pitch = self.lc.rows;
            let (alpha, beta) = (T::splat(s, self.alpha), T::splat(s, self.beta));
            // A loop for each way, without more in it: else the sums would not stay in registers.
            if cols != V * lanes || self.lc.cols != 1 {
                let mut room = [T::default(); ROWS * WIDE * MAX_LANES];
                for i in 0..M {
                    for j in 0..V {
                        T::store(s, room.as_mut_ptr().add((i * V + j) * lanes), sums[i][j], false);
                    }
                }
                for i in 0..M {
                    let line = to.offset(i as isize * pitch);
                    self.write(s, &room[i * V * lanes..i * V * lanes + cols], line);
                }
            } else if self.beta != T::default() {
                for i in 0..M {
                    for j in 0..V {
                        let p = to.offset(i as isize * pitch).add(j * lanes);
                        T::store(s, p, alpha * sums[i][j] + beta * T::load(s, p), false);
                    }
                }
            } else {
                for i in 0..M {
                    for j in 0..V {
                        T::store(s, to.offset(i as isize * pitch).add(j * lanes), alpha * sums[i][j], false);
                    }
                }
            }
        }
    }

    /// Sums of a row to their place.
    /// # Safety
    /// They have one.
    #[inline(always)]
    unsafe fn write<S: Simd>(&self, s: S, sums: &[T], to: *mut T) {
        let lanes = T::count::<S>();
        let (alpha, beta) = (T::splat(s, self.alpha), T::splat(s, self.beta));
        let read = self.beta != T::default();
        let mut at = 0;
        // SAFETY: the caller's promise.
        unsafe {
            while self.lc.cols == 1 && at < sums.len() {
                let (p, n) = (to.add(at), lanes.min(sums.len() - at));
                if n == lanes {
                    let sum = alpha * T::load(s, sums.as_ptr().add(at));
                    T::store(s, p, if read { sum + beta * T::load(s, p) } else { sum }, false);
                } else {
                    let sum = alpha * T::load_part(s, sums.as_ptr().add(at), n, T::default());
                    let before = if read { T::load_part(s, p, n, T::default()) } else { sum };
                    T::store_part(s, p, if read { sum + beta * before } else { sum }, n);
                }
                at += n;
            }
            while at < sums.len() {
                let p = to.offset(at as isize * self.lc.cols);
                let sum = self.alpha * sums[at];
                *p = if read { sum + self.beta * *p } else { sum };
                at += 1;
            }
        }
    }
}
