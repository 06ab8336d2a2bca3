//! Where the extreme is. The first of equals wins, and the first NaN before everything.

use super::Shared;
use crate::dtype::{DType, Elem};
use crate::kernels::par;
use crate::simd::{Level, Simd, Work, level};
use crate::storage::Span;

/// Which extreme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arg {
    /// The largest element.
    Max,
    /// The smallest element.
    Min,
}

/// Elements per piece of a long row.
const PIECE: usize = 64 * 1024;
/// Columns that are searched side by side.
const COLUMNS: usize = 512;

/// For x of shape (outer, n, inner), writes to out of shape (outer, inner) the index along `n` of the extreme, as a value of out's dtype.
pub fn arg_reduce(kind: Arg, x: Span, outer: usize, n: usize, inner: usize, out: Span) {
    assert!(x.len() == outer * n * inner && out.len() == outer * inner && (n > 0 || out.is_empty()));
    with_dtype!(out.dtype(), T => {
        let to = Shared(out.ptr::<T>());
        // SAFETY: each output is written once, by whoever computed it.
        let write = |i: usize, index: usize| unsafe { *to.at(i) = T::from_i64(index as i64) };
        if inner == 1 && x.dtype() == DType::F32 {
            float_rows(kind, x, outer, n, &write);
        } else {
            with_dtype!(x.dtype(), X => columns::<X>(kind, x, outer, n, inner, &write));
        }
    });
}

/// Whether `a` wins against `b`, which comes before it.
#[inline(always)]
fn beats<T: PartialOrd>(kind: Arg, a: T, b: T) -> bool {
    let is_nan = |v: &T| v.partial_cmp(v).is_none();
    match kind {
        Arg::Max if a > b => true,
        Arg::Min if a < b => true,
        _ => is_nan(&a) && !is_nan(&b),
    }
}

/// Any type and layout: row by row against the best so far of each column.
fn columns<T: Elem>(
    kind: Arg,
    x: Span,
    outer: usize,
    n: usize,
    inner: usize,
    write: &(dyn Fn(usize, usize) + Sync),
) {
    let x = Shared(x.ptr::<T>());
    let blocks = inner.div_ceil(COLUMNS);
    let per_chunk = (PIECE / (n * inner.min(COLUMNS)).max(1)).max(1);
    par::chunks(outer * blocks, per_chunk, |_, tasks| {
        for task in tasks {
            let (o, col) = (task / blocks, task % blocks * COLUMNS);
            let cols = COLUMNS.min(inner - col);
            let mut best = [(T::default(), 0usize); COLUMNS];
            for row in 0..n {
                // SAFETY: `cols` elements of this row, inside x, which nobody writes.
                let r = unsafe { std::slice::from_raw_parts(x.at((o * n + row) * inner + col), cols) };
                for (b, &v) in best.iter_mut().zip(r) {
                    if row == 0 || beats(kind, v, b.0) {
                        *b = (v, row);
                    }
                }
            }
            (0..cols).for_each(|j| write(o * inner + col + j, best[j].1));
        }
    });
}

/// Rows of float32: the extreme first, then the first place that equals it.
fn float_rows(kind: Arg, x: Span, rows: usize, n: usize, write: &(dyn Fn(usize, usize) + Sync)) {
    let level = level();
    let x = Shared(x.ptr::<f32>());
    let part = |o: usize, from: usize, to: usize| {
        // SAFETY: a part of row `o`, which nobody writes.
        unsafe { std::slice::from_raw_parts(x.at(o * n + from).cast_const(), to - from) }
    };
    if n <= PIECE {
        par::chunks(rows, (PIECE / n.max(1)).max(1), |_, r| {
            for o in r {
                let row = part(o, 0, n);
                write(o, index(level, row, extreme(kind, level, row[0], row)));
            }
        });
        return;
    }
    for o in 0..rows {
        let row = part(o, 0, n);
        let mut found = vec![row[0]; n.div_ceil(PIECE)];
        let shared = Shared(found.as_mut_ptr());
        par::chunks(n, PIECE, |i, r| {
            let e = extreme(kind, level, row[0], &row[r]);
            // SAFETY: each piece has its own place.
            unsafe { *shared.at(i) = e };
        });
        let best = found.iter().fold(row[0], |a, &b| if beats(kind, b, a) { b } else { a });
        write(o, index(level, row, best));
    }
}

fn extreme(kind: Arg, level: Level, first: f32, x: &[f32]) -> f32 {
    level.run(Extreme(kind, first, x))
}

fn index(level: Level, x: &[f32], value: f32) -> usize {
    // NaN equals nothing.
    if value.is_nan() {
        return x.iter().position(|v| v.is_nan()).unwrap_or(0);
    }
    level.run(Find(x, value))
}

struct Extreme<'a>(Arg, f32, &'a [f32]);

impl Work for Extreme<'_> {
    type Out = f32;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        let Extreme(kind, first, x) = self;
        let mut best = [s.splat(first); 4];
        let mut nan = s.is_nan(best[0]);
        let max = kind == Arg::Max;
        let mut groups = x.chunks_exact(4 * S::N);
        for g in &mut groups {
            for j in 0..4 {
                // SAFETY: the group holds four vectors. `max(v, b)` gives `b` where `v` is NaN.
                let v = unsafe { s.load(g.as_ptr().add(j * S::N)) };
                best[j] = if max { s.max(v, best[j]) } else { s.min(v, best[j]) };
                nan = nan | s.is_nan(v);
            }
        }
        if s.any(nan) {
            return f32::NAN;
        }
        let mut all = first;
        for b in best {
            for &v in &s.to_array(b)[..S::N] {
                all = if beats(kind, v, all) { v } else { all };
            }
        }
        groups.remainder().iter().fold(all, |a, &v| if beats(kind, v, a) { v } else { a })
    }
}

struct Find<'a>(&'a [f32], f32);

impl Work for Find<'_> {
    type Out = usize;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> usize {
        let Find(x, value) = self;
        let v = s.splat(value);
        let mut i = 0;
        // SAFETY: loads stay inside the slice.
        while i + S::N <= x.len() && !s.any(s.eq(unsafe { s.load(x.as_ptr().add(i)) }, v)) {
            i += S::N;
        }
        i + x[i..].iter().position(|&e| e == value).unwrap_or(0)
    }
}
