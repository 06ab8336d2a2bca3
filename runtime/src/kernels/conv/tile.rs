//! The product below all convolutions: a few rows by a few vectors of a result, kept in registers while the terms go by.
//!
//! `c[m][j] = Σ_r a[m][a_at[r]] · b[b_at[r] + j]`, in the order of r. The tables make patches, transposes and strides out of arrays that
//! are none of these; a term costs two loads of offsets beside its operands.

use crate::kernels::real::Real;
use crate::simd::{MAX_LANES, Simd, Work};

/// Vectors side by side in a tile of so many rows: the sums, and the smaller of a vector of each row and of each column, fill the registers,
/// of which the widest level has 32, the others 16. Rows are few where channels are, and each vector of the source serves fewer products then.
#[inline(always)]
const fn side(rows: usize, widest: bool) -> usize {
    match (rows, widest) {
        (1..=3, true) => 8,
        (4, true) => 6,
        (5, true) => 5,
        (6, true) => 4,
        (1, false) => 8,
        (2, false) => 5,
        _ => 3,
    }
}

/// Sums of a tile in vectors: the most, and those that keep the arithmetic busy beside the loads.
const SUMS: usize = 25;
const ENOUGH: usize = 12;

/// Places of one line of the result that lie together in `b`'s numbering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The first, as `b` counts.
    pub at: usize,
    /// How many.
    pub len: usize,
    /// Where the first one is written.
    pub to: usize,
}

/// `M` rows of a result, along all of its lines.
pub(super) struct Strip<'a, T, const M: usize> {
    pub a: [*const T; M],
    pub a_at: &'a [u32],
    pub b: *const T,
    pub b_at: &'a [u32],
    /// In ascending order of `at`.
    pub lines: &'a [Line],
    pub to: *mut T,
    /// Distances between rows, and between neighbours of a line, where the result is written.
    pub pitch: usize,
    pub step: usize,
    /// What each row begins with; with `add` that is what is already there.
    pub bias: [T; M],
    pub add: bool,
    /// Whether to write past the caches, where whole lines of them are written.
    pub stream: bool,
}

impl<T: Real, const M: usize> Work for Strip<'_, T, M> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let lanes = T::count::<S>();
        let side = side(M, lanes * size_of::<T>() == MAX_LANES * 4);
        // One vector more, since rows are read back by whole vectors.
        let mut buffer = [T::default(); (SUMS + 1) * MAX_LANES];
        let (mut line, mut done) = (0, 0);
        while let Some(first) = self.lines.get(line) {
            let start = first.at + done;
            let (mut last, mut end) = (line, first.at + first.len);
            let even = |vectors: usize| vectors.div_ceil(vectors.div_ceil(side).max(1));
            if first.len.is_multiple_of(lanes) && even(first.len / lanes) * M >= ENOUGH {
                // The line fills tiles of its own.
                end = start + even((end - start) / lanes) * lanes;
            } else {
                // The tile goes on in the lines that begin before it ends.
                while self.lines.get(last + 1).is_some_and(|l| l.at < start + side * lanes) {
                    last += 1;
                }
                end = (self.lines[last].at + self.lines[last].len).min(start + side * lanes);
            }
            let whole = last == line && (end - start).is_multiple_of(lanes) && self.step == 1;
            // SAFETY: who made the strip promised operands for every place of its lines, rounded up to vectors, and room for the result.
            unsafe {
                let (to, pitch) = if whole {
                    (self.to.add(first.to + done), self.pitch)
                } else {
                    (buffer.as_mut_ptr(), side * lanes)
                };
                match (end - start).div_ceil(lanes) {
                    0 => {}
                    1 => self.tile::<S, 1>(s, start, to, pitch, whole),
                    2 => self.tile::<S, 2>(s, start, to, pitch, whole),
                    3 => self.tile::<S, 3>(s, start, to, pitch, whole),
                    4 if side >= 4 => self.tile::<S, 4>(s, start, to, pitch, whole),
                    5 if side >= 5 => self.tile::<S, 5>(s, start, to, pitch, whole),
                    6 if side >= 6 => self.tile::<S, 6>(s, start, to, pitch, whole),
                    7 if side >= 7 => self.tile::<S, 7>(s, start, to, pitch, whole),
                    8 if side >= 8 => self.tile::<S, 8>(s, start, to, pitch, whole),
                    _ => unreachable!("a tile has at most as many vectors as fit"),
                }
                if !whole {
                    for l in &self.lines[line..=last] {
                        let (from, until) = (l.at.max(start), (l.at + l.len).min(end));
                        let place = self.to.add(l.to + (from - l.at) * self.step);
                        for m in 0..M {
                            let source = to.add(m * pitch + from - start);
                            self.write(s, source, place.add(m * self.pitch), until - from);
                        }
                    }
                }
            }
            let l = &self.lines[last];
            (line, done) = if l.at + l.len > end { (last, end - l.at) } else { (last + 1, 0) };
        }
    }
}

impl<T: Real, const M: usize> Strip<'_, T, M> {
    /// One tile, from place `start` on, written to `to` with rows `pitch` apart: to its place, or else (not `whole`) to a buffer.
    /// # Safety
    /// Operands exist for `V` vectors from there, and room for them at `to`.
    #[inline(always)]
    unsafe fn tile<S: Simd, const V: usize>(
        &self,
        s: S,
        start: usize,
        to: *mut T,
        pitch: usize,
        whole: bool,
    ) {
        let lanes = T::count::<S>();
        let mut sums = [[T::splat(s, T::default()); V]; M];
        let (a, n) = (self.a, self.a_at.len().min(self.b_at.len()));
        // SAFETY: the caller's promise; the tables hold offsets of terms that exist.
        unsafe {
            let b = self.b.add(start);
            for r in 0..n {
                let i = *self.a_at.get_unchecked(r) as usize;
                let from = b.add(*self.b_at.get_unchecked(r) as usize);
                if M < V {
                    let mut w = [T::splat(s, T::default()); M];
                    for m in 0..M {
                        w[m] = T::splat(s, *a[m].add(i));
                    }
                    for j in 0..V {
                        let v = T::load(s, from.add(j * lanes));
                        for m in 0..M {
                            sums[m][j] = T::fma(s, w[m], v, sums[m][j]);
                        }
                    }
                } else {
                    let mut v = [T::splat(s, T::default()); V];
                    for j in 0..V {
                        v[j] = T::load(s, from.add(j * lanes));
                    }
                    for m in 0..M {
                        let w = T::splat(s, *a[m].add(i));
                        for j in 0..V {
                            sums[m][j] = T::fma(s, w, v[j], sums[m][j]);
                        }
                    }
                }
            }
            // A loop for each way: with the choice inside of one, the sums would not stay in registers.
            let aligned = (to as usize | (pitch * size_of::<T>())).is_multiple_of(lanes * size_of::<T>());
            if whole && self.add {
                for m in 0..M {
                    for j in 0..V {
                        let p = to.add(m * pitch + j * lanes);
                        T::store(s, p, T::load(s, p) + sums[m][j], false);
                    }
                }
            } else if whole && self.stream && aligned {
                for m in 0..M {
                    let bias = T::splat(s, self.bias[m]);
                    for j in 0..V {
                        T::store(s, to.add(m * pitch + j * lanes), bias + sums[m][j], true);
                    }
                }
            } else {
                for m in 0..M {
                    let bias = T::splat(s, self.bias[m]);
                    for j in 0..V {
                        T::store(s, to.add(m * pitch + j * lanes), bias + sums[m][j], false);
                    }
                }
            }
        }
    }

    /// Writes `n` elements of a row from the buffer.
    /// # Safety
    /// Both have that many.
    #[inline(always)]
    unsafe fn write<S: Simd>(&self, s: S, from: *const T, to: *mut T, n: usize) {
        let lanes = T::count::<S>();
        // SAFETY: the caller's promise.
        unsafe {
            if self.step != 1 {
                for i in 0..n {
                    let p = to.add(i * self.step);
                    *p = if self.add { *p + *from.add(i) } else { *from.add(i) };
                }
                return;
            }
            let mut i = 0;
            while i < n {
                let (w, p) = (lanes.min(n - i), to.add(i));
                let mut v = T::load(s, from.add(i));
                if w == lanes {
                    if self.add {
                        v = T::load(s, p) + v;
                    }
                    T::store(s, p, v, false);
                } else {
                    if self.add {
                        v = T::load_part(s, p, w, T::default()) + v;
                    }
                    T::store_part(s, p, v, w);
                }
                i += lanes;
            }
        }
    }
}

/// Calls `f(first, count)` for a range cut into pieces of at most `most` (up to 8), as even as can be.
pub(super) fn pieces(range: std::ops::Range<usize>, most: usize, mut f: impl FnMut(usize, usize)) {
    let (n, count) = (range.len(), range.len().div_ceil(most));
    for i in 0..count {
        let (from, end) = (i * n / count, (i + 1) * n / count);
        f(range.start + from, end - from);
    }
}

/// Runs an expression with `M` bound to a number of rows that [`pieces`] gives.
macro_rules! with_rows {
    ($m:expr, $M:ident => $body:expr) => {
        $crate::kernels::conv::tile::with_rows!(@ $m, $M => $body, 1 2 3 4 5 6 7 8)
    };
    (@ $m:expr, $M:ident => $body:expr, $($n:literal)*) => {
        match $m {
            $($n => {
                const $M: usize = $n;
                $body
            })*
            _ => unreachable!("pieces have at most 8 rows"),
        }
    };
}
pub(super) use with_rows;
