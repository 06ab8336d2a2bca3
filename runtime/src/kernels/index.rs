//! Rows by index: reading them, writing them, adding to them. Indices may be of any dtype; fractions are cut toward zero.
//!
//! An array is seen as `outer` blocks of `n` rows of `inner` elements. Reading knows only the size of an element.

use super::copy;
use super::lane::CHUNK;
use super::par;
use crate::dtype::Elem;
use crate::simd::prefetch;
use crate::storage::Span;

/// What an index outside of the rows means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wild {
    /// The row nearest to it.
    Clip,
    /// Counted around.
    Wrap,
}

impl Wild {
    /// The row among `n` that an index means; `n` is not 0.
    #[inline(always)]
    pub fn row(self, i: i64, n: usize) -> usize {
        let n = n as i64;
        let at = match self {
            Wild::Clip => i.clamp(0, n - 1),
            Wild::Wrap => i.rem_euclid(n),
        };
        at as usize
    }
}

/// The shape in which kernels here see an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rows {
    /// Number of blocks.
    pub outer: usize,
    /// Rows of a block.
    pub n: usize,
    /// Elements of a row.
    pub inner: usize,
}

impl Rows {
    /// An array of this shape, whose rows are counted along `axis`.
    pub fn of(dims: &[usize], axis: usize) -> Rows {
        let (before, after) = (&dims[..axis], &dims[axis + 1..]);
        Rows { outer: before.iter().product(), n: dims[axis], inner: after.iter().product() }
    }
}

/// How many rows ahead memory is asked for.
const AHEAD: usize = 4;

/// How many indices are converted at a time.
const BATCH: usize = 256;

/// Indices `start .. start + buf.len()` as whole numbers.
pub fn whole(x: Span, start: usize, buf: &mut [i64]) {
    with_dtype!(x.dtype(), T => {
        // SAFETY: the caller's range is inside the span, which nobody writes.
        let from = unsafe { x.sub(start, buf.len()).slice::<T>() };
        buf.iter_mut().zip(from).for_each(|(b, v)| *b = v.to_i64());
    })
}

/// Calls `f` with every index of `range` and its place.
#[inline(always)]
fn each(x: Span, range: std::ops::Range<usize>, mut f: impl FnMut(usize, i64)) {
    let mut buf = [0i64; BATCH];
    for start in range.clone().step_by(BATCH) {
        let buf = &mut buf[..BATCH.min(range.end - start)];
        whole(x, start, buf);
        buf.iter().enumerate().for_each(|(j, &i)| f(start + j, i));
    }
}

/// The first index that is not in `low..high`.
pub fn outside(x: Span, low: i64, high: i64) -> Option<i64> {
    let mut found = None;
    each(x, 0..x.len(), |_, i| {
        if !(low..high).contains(&i) && found.is_none() {
            found = Some(i);
        }
    });
    found
}

/// An element of which only the size matters.
macro_rules! by_size {
    ($size:expr, $t:ident => $body:expr) => {
        match $size {
            1 => {
                type $t = u8;
                $body
            }
            2 => {
                type $t = u16;
                $body
            }
            4 => {
                type $t = u32;
                $body
            }
            _ => {
                type $t = u64;
                $body
            }
        }
    };
}

/// A pointer that threads share to write different parts.
#[derive(Clone, Copy)]
struct Shared<T>(*mut T);
// SAFETY: see the type.
unsafe impl<T> Send for Shared<T> {}
// SAFETY: see the type.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    #[inline(always)]
    fn at(self, i: usize) -> *mut T {
        self.0.wrapping_add(i)
    }
}

/// `out[o, j, …] = x[o, index[j], …]`
pub fn take(r: Rows, x: Span, index: Span, wild: Wild, out: Span) {
    let m = index.len();
    assert!(
        x.len() == r.outer * r.n * r.inner && out.len() == r.outer * m * r.inner && x.dtype() == out.dtype()
    );
    assert!(r.n > 0 || out.is_empty());
    by_size!(x.dtype().size(), T => {
        let (from, to) = (Shared(x.bytes().cast::<T>()), Shared(out.bytes().cast::<T>()));
        let rows = r.outer * m;
        // The machine does not foresee which row comes next; its caches hold what is small.
        let far = x.len() * size_of::<T>() > 1 << 20;
        par::chunks(rows, par::grouped(rows, CHUNK / r.inner.max(1)), |_, rows| {
            let mut buf = [0i64; BATCH];
            let mut at = rows.start;
            while at < rows.end {
                let (o, j) = (at / m, at % m);
                let buf = &mut buf[..BATCH.min(m - j).min(rows.end - at)];
                whole(index, j, buf);
                let start = |i: i64| from.at((o * r.n + wild.row(i, r.n)) * r.inner);
                for (k, &i) in buf.iter().enumerate() {
                    if let Some(&i) = buf.get(k + AHEAD).filter(|_| far) {
                        let line = 64 / size_of::<T>();
                        (0..r.inner.min(64 * line)).step_by(line).for_each(|e| prefetch(start(i).wrapping_add(e)));
                    }
                    // SAFETY: a row of block `o` of x, and row `j + k` of block `o` of out, which is this chunk's.
                    unsafe {
                        let (x, y) = (start(i), to.at((o * m + j + k) * r.inner));
                        if r.inner == 1 { *y = *x } else { std::ptr::copy_nonoverlapping(x, y, r.inner) }
                    }
                }
                at += buf.len();
            }
        });
    });
}

/// `out[o, index[j], …] = x[o, j, …]`; of several rows for one place the last stays. Other rows of `out` are left alone.
pub fn put(r: Rows, x: Span, index: Span, wild: Wild, out: Span) {
    let m = index.len();
    assert!(
        out.len() == r.outer * r.n * r.inner && x.len() == r.outer * m * r.inner && x.dtype() == out.dtype()
    );
    assert!(r.n > 0 || x.is_empty());
    by_size!(x.dtype().size(), T => {
        let (from, to) = (Shared(x.bytes().cast::<T>()), Shared(out.bytes().cast::<T>()));
        // Whole blocks only: two rows for one place must be written in order.
        par::chunks(r.outer, (CHUNK / (m * r.inner).max(1)).max(1), |_, blocks| {
            for o in blocks {
                each(index, 0..m, |j, i| {
                    let row = wild.row(i, r.n);
                    // SAFETY: row `j` of block `o` of x, and row `row` of block `o` of out, which is this chunk's.
                    unsafe {
                        let (x, y) = (from.at((o * m + j) * r.inner), to.at((o * r.n + row) * r.inner));
                        std::ptr::copy_nonoverlapping(x.cast_const(), y, r.inner)
                    }
                });
            }
        });
    });
}

/// Columns of a row that one task adds up, and rows of the output that one task owns when rows are short.
const COLUMNS: usize = 256;
/// Parts into which short rows are divided.
const PARTS: usize = 16;

/// `out = 0`, then `out[o, index[j], …] += x[o, j, …]` in the order of j.
pub fn add(r: Rows, x: Span, index: Span, wild: Wild, out: Span) {
    let m = index.len();
    assert!(
        out.len() == r.outer * r.n * r.inner && x.len() == r.outer * m * r.inner && x.dtype() == out.dtype()
    );
    copy::fill(out, 0.0);
    if x.is_empty() {
        return;
    }
    // Every task sees all indices and owns a part of the rows or of the columns: the order of the sums is the same whoever runs it.
    let columns = r.inner.div_ceil(COLUMNS);
    let parts = if r.inner < 64 && m * r.inner > CHUNK { PARTS.min(r.n) } else { 1 };
    let tasks = r.outer * columns * parts;
    let each_task = (CHUNK / (m * r.inner.min(COLUMNS)).max(1)).max(1);
    with_dtype!(x.dtype(), T => {
        let (from, to) = (Shared(x.ptr::<T>()), Shared(out.ptr::<T>()));
        par::chunks(tasks, each_task, |_, range| {
            for task in range {
                let (o, part, column) = (task / (columns * parts), task / columns % parts, task % columns);
                let (low, high) = (part * r.n / parts, (part + 1) * r.n / parts);
                let (begin, end) = (column * COLUMNS, r.inner.min((column + 1) * COLUMNS));
                each(index, 0..m, |j, i| {
                    let row = wild.row(i, r.n);
                    if !(low..high).contains(&row) {
                        return;
                    }
                    // SAFETY: columns of row `j` of x, and of row `row` of out, which are this task's.
                    unsafe {
                        let x = std::slice::from_raw_parts(from.at((o * m + j) * r.inner + begin), end - begin);
                        let y = std::slice::from_raw_parts_mut(to.at((o * r.n + row) * r.inner + begin), end - begin);
                        y.iter_mut().zip(x).for_each(|(y, x)| *y = plus(*y, *x));
                    }
                });
            }
        });
    });
}

/// The sum of two elements; integers wrap.
#[inline(always)]
pub(crate) fn plus<T: Elem>(a: T, b: T) -> T {
    if T::DTYPE.is_float() {
        T::from_f64(a.to_f64() + b.to_f64())
    } else {
        T::from_i64(a.to_i64().wrapping_add(b.to_i64()))
    }
}

/// out[o, i] = x[o, index[o, i], i]
pub fn pick(r: Rows, x: Span, index: Span, wild: Wild, out: Span) {
    assert!(
        x.len() == r.outer * r.n * r.inner && index.len() == r.outer * r.inner && out.len() == index.len()
    );
    assert!(x.dtype() == out.dtype() && (r.n > 0 || out.is_empty()));
    by_size!(x.dtype().size(), T => {
        let (from, to) = (Shared(x.bytes().cast::<T>()), Shared(out.bytes().cast::<T>()));
        par::chunks(out.len(), CHUNK, |_, range| each(index, range, |at, i| {
            let (o, col) = (at / r.inner, at % r.inner);
            // SAFETY: element `col` of a row of block `o`, and an element of this chunk.
            unsafe { *to.at(at) = *from.at((o * r.n + wild.row(i, r.n)) * r.inner + col) }
        }));
    });
}

/// out[o, index[o, i], i] = x[o, i]; other elements of `out` are left alone.
pub fn unpick(r: Rows, x: Span, index: Span, wild: Wild, out: Span) {
    assert!(
        out.len() == r.outer * r.n * r.inner && index.len() == r.outer * r.inner && x.len() == index.len()
    );
    assert!(x.dtype() == out.dtype() && (r.n > 0 || x.is_empty()));
    by_size!(x.dtype().size(), T => {
        let (from, to) = (Shared(x.bytes().cast::<T>()), Shared(out.bytes().cast::<T>()));
        par::chunks(x.len(), CHUNK, |_, range| each(index, range, |at, i| {
            let (o, col) = (at / r.inner, at % r.inner);
            // SAFETY: an element of x, and one of column `col` of block `o`, to which only this one is written.
            unsafe { *to.at((o * r.n + wild.row(i, r.n)) * r.inner + col) = *from.at(at) }
        }));
    });
}

/// `out[i, j] = on` where `j = index[i]`, else off.
pub fn one_hot(index: Span, depth: usize, on: f64, off: f64, out: Span) {
    assert!(out.len() == index.len() * depth);
    with_dtype!(out.dtype(), T => {
        let (on, off) = (T::from_f64(on), T::from_f64(off));
        par::chunks(index.len(), (CHUNK / depth.max(1)).max(1), |_, r| {
            // SAFETY: the rows of this chunk.
            let to = unsafe { out.sub(r.start * depth, r.len() * depth).slice_mut::<T>() };
            to.fill(off);
            each(index, r.clone(), |at, i| {
                if (0..depth as i64).contains(&i) {
                    to[(at - r.start) * depth + i as usize] = on;
                }
            });
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span<T: Elem>(v: &mut [T]) -> Span {
        // SAFETY: used while the vector lives.
        unsafe { Span::new(v.as_mut_ptr().cast(), v.len(), T::DTYPE) }
    }

    #[test]
    fn rows_go_there_and_back() {
        for (outer, n, inner, m) in
            [(1, 5, 1, 9), (3, 4, 2, 6), (1, 300, 700, 40), (2, 70, 3, 20_000), (1, 1, 1, 0)]
        {
            let r = Rows { outer, n, inner };
            let mut index: Vec<i32> = (0..m).map(|j| (j * 7919 % (n + 4)) as i32 - 2).collect();
            let mut x: Vec<f64> = (0..outer * n * inner).map(|i| (i % 1009) as f64).collect();
            for wild in [Wild::Clip, Wild::Wrap] {
                let row = |j: usize| wild.row(index[j].into(), n);
                let mut y = vec![0.0; outer * m * inner];
                let want: Vec<f64> = (0..y.len())
                    .map(|at| x[(at / inner / m * n + row(at / inner % m)) * inner + at % inner])
                    .collect();
                let mut sums = vec![0.0; x.len()];
                for at in 0..y.len() {
                    sums[(at / inner / m * n + row(at / inner % m)) * inner + at % inner] += want[at];
                }
                let i = index.clone().as_mut_slice().to_vec();
                let mut i = i;
                take(r, span(&mut x), span(&mut i), wild, span(&mut y));
                assert!(y == want, "{r:?}");
                let mut back = vec![1.0; x.len()];
                add(r, span(&mut y), span(&mut i), wild, span(&mut back));
                assert!(back == sums, "{r:?}");
                let mut put_there = x.clone();
                put(r, span(&mut y), span(&mut i), wild, span(&mut put_there));
                assert!(put_there == x, "{r:?}");
            }
            index.clear();
        }
    }

    #[test]
    fn wild_indices() {
        assert_eq!([-7, -1, 0, 4, 9].map(|i| Wild::Clip.row(i, 5)), [0, 0, 0, 4, 4]);
        assert_eq!([-7, -1, 0, 4, 9].map(|i| Wild::Wrap.row(i, 5)), [3, 4, 0, 4, 4]);
        assert_eq!(outside(span(&mut [0.9f32, -0.5, 3.0, f32::NAN]), 0, 3), Some(3));
        assert_eq!(outside(span(&mut [0u8, 2]), 0, 3), None);
    }
}
