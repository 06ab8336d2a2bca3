//! Matrices of which only some elements are stored: their products with dense ones, in time proportional to what is stored.
//!
//! Compressed rows: elements `ends[r] .. ends[r + 1]` are those of row r, each with its column. Sums are made in the order of the
//! elements, without fused steps, so that neither the number of threads nor the level of the vectors changes a bit.

use super::index::plus;
use super::lane::CHUNK;
use super::par;
use crate::dtype::Elem;
use crate::simd::{Level, Simd, Work, level};
use crate::storage::Span;

/// The places of the elements of a matrix, checked by [`Places::check`].
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// Where each row begins, and the number of elements at the end.
    pub ends: &'a [i64],
    /// The column of each element.
    pub columns: &'a [i64],
}

impl Places<'_> {
    /// What is wrong with them for a matrix of so many columns.
    pub fn check(&self, columns: usize) -> Result<(), String> {
        let (ends, n) = (self.ends, self.columns.len());
        if ends.first() != Some(&0)
            || ends.last() != Some(&(n as i64))
            || ends.windows(2).any(|w| w[0] > w[1])
        {
            return Err(format!("indptr must begin with 0, not fall, and end with {n}"));
        }
        match self.columns.iter().find(|&&c| !(0..columns as i64).contains(&c)) {
            Some(c) => Err(format!(
                "an index lies outside of the columns, got {c}, want 0 to {}",
                columns as i64 - 1
            )),
            None => Ok(()),
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.ends.len() - 1
    }

    /// The same elements by column: where each column begins, the row of each element, and which one it was.
    pub fn transposed(&self, columns: usize) -> (Vec<i64>, Vec<i64>, Vec<usize>) {
        let mut ends = vec![0i64; columns + 1];
        self.columns.iter().for_each(|&c| ends[c as usize + 1] += 1);
        (0..columns).for_each(|c| ends[c + 1] += ends[c]);
        let mut next = ends.clone();
        let (mut rows, mut which) = (vec![0i64; self.columns.len()], vec![0usize; self.columns.len()]);
        for r in 0..self.rows() {
            for i in self.ends[r] as usize..self.ends[r + 1] as usize {
                let at = &mut next[self.columns[i] as usize];
                rows[*at as usize] = r as i64;
                which[*at as usize] = i;
                *at += 1;
            }
        }
        (ends, rows, which)
    }
}

/// A row of the product: the sum of rows of the dense matrix, each times an element.
struct Sum<'a, T> {
    values: &'a [T],
    columns: &'a [i64],
    dense: &'a [T],
    out: &'a mut [T],
}

/// A product of two elements; integers wrap.
#[inline(always)]
fn times<T: Elem>(a: T, b: T) -> T {
    if T::DTYPE.is_float() {
        T::from_f64(a.to_f64() * b.to_f64())
    } else {
        T::from_i64(a.to_i64().wrapping_mul(b.to_i64()))
    }
}

/// The two dtypes in which the compiler makes vectors of these loops compute in themselves, all others through the wide ones.
macro_rules! native {
    ($t:ty) => {
        impl Work for Sum<'_, $t> {
            type Out = ();
            #[inline(always)]
            fn run<S: Simd>(self, _: S) {
                let n = self.out.len();
                self.out.fill(0.0);
                for (v, &c) in self.values.iter().zip(self.columns) {
                    let row = &self.dense[c as usize * n..][..n];
                    self.out.iter_mut().zip(row).for_each(|(y, x)| *y += v * x);
                }
            }
        }
        impl Element for $t {
            #[inline(always)]
            fn sum(level: Level, sum: Sum<'_, $t>) {
                level.run(sum)
            }
        }
    };
}

trait Element: Elem {
    fn sum(_: Level, sum: Sum<'_, Self>) {
        let n = sum.out.len();
        sum.out.fill(Self::default());
        for (&v, &c) in sum.values.iter().zip(sum.columns) {
            let row = &sum.dense[c as usize * n..][..n];
            sum.out.iter_mut().zip(row).for_each(|(y, &x)| *y = plus(*y, times(v, x)));
        }
    }
}
native!(f32);
native!(f64);
impl Element for half::f16 {}
impl Element for half::bf16 {}
impl Element for u8 {}
impl Element for i8 {}
impl Element for i32 {}
impl Element for i64 {}

/// `out[r, :] = sum over the elements of row r of value * dense[column, :]`; rows of both have `n` elements. The places have been
/// checked.
pub fn dot(p: Places<'_>, values: Span, dense: Span, n: usize, out: Span) {
    assert!(values.len() == p.columns.len() && out.len() == p.rows() * n);
    assert!(values.dtype() == dense.dtype() && values.dtype() == out.dtype());
    let level = level();
    let work = 1 + p.columns.len() * n / p.rows().max(1);
    with_dtype!(out.dtype(), T => {
        // SAFETY: inputs that nobody writes.
        let (values, dense) = unsafe { (values.slice::<T>(), dense.slice::<T>()) };
        par::chunks(p.rows(), (CHUNK / work).max(1), |_, rows| for r in rows {
            let these = p.ends[r] as usize..p.ends[r + 1] as usize;
            // SAFETY: a row of this chunk.
            let out = unsafe { out.sub(r * n, n).slice_mut::<T>() };
            T::sum(level, Sum { values: &values[these.clone()], columns: &p.columns[these], dense, out });
        });
    });
}

/// `out[i] = left[row of i, :] · right[column of i, :]` for every stored element i; rows of both have `n` elements.
pub fn sample(p: Places<'_>, left: Span, right: Span, n: usize, out: Span) {
    assert!(out.len() == p.columns.len() && left.len() == p.rows() * n);
    assert!(left.dtype() == right.dtype() && left.dtype() == out.dtype());
    let work = 1 + p.columns.len() * n / p.rows().max(1);
    with_dtype!(out.dtype(), T => {
        // SAFETY: inputs that nobody writes.
        let (left, right) = unsafe { (left.slice::<T>(), right.slice::<T>()) };
        par::chunks(p.rows(), (CHUNK / work).max(1), |_, rows| for r in rows {
            let (begin, end) = (p.ends[r] as usize, p.ends[r + 1] as usize);
            // SAFETY: the elements of a row of this chunk.
            let out = unsafe { out.sub(begin, end - begin).slice_mut::<T>() };
            let row = &left[r * n..][..n];
            for (y, &c) in out.iter_mut().zip(&p.columns[begin..end]) {
                let other = &right[c as usize * n..][..n];
                *y = row.iter().zip(other).fold(T::default(), |sum, (&a, &b)| plus(sum, times(a, b)));
            }
        });
    });
}

/// The distinct values, ascending, and for each value which of them it is.
pub fn distinct(values: &[i64]) -> (Vec<i64>, Vec<i64>) {
    if values.windows(2).all(|w| w[0] < w[1]) {
        return (values.to_vec(), (0..values.len() as i64).collect());
    }
    let (low, high) = values.iter().fold((i64::MAX, i64::MIN), |(l, h), &v| (l.min(v), h.max(v)));
    let range = high as i128 - low as i128 + 1;
    if range <= 16 * values.len() as i128 {
        // Few enough to tick each off.
        let mut place = vec![-1i64; range as usize];
        values.iter().for_each(|&v| place[(v - low) as usize] = 0);
        let mut found = Vec::new();
        for (i, p) in place.iter_mut().enumerate().filter(|(_, p)| **p == 0) {
            *p = found.len() as i64;
            found.push(low + i as i64);
        }
        return (found, values.iter().map(|&v| place[(v - low) as usize]).collect());
    }
    let mut found = values.to_vec();
    found.sort_unstable();
    found.dedup();
    let places = values.iter().map(|v| found.partition_point(|f| f < v) as i64).collect();
    (found, places)
}

/// Rows `wanted` of a matrix that stores rows `have`, ascending; others are 0. Rows have `n` elements.
pub fn read(have: &[i64], wanted: &[i64], n: usize, data: Span, out: Span) {
    assert!(data.len() == have.len() * n && out.len() == wanted.len() * n && data.dtype() == out.dtype());
    let bytes = n * out.dtype().size();
    par::chunks(wanted.len(), (CHUNK / n.max(1)).max(1), |_, rows| {
        for i in rows {
            let to = out.bytes().wrapping_add(i * bytes);
            // SAFETY: a stored row of the data, and row `i` of `out`, which is this chunk's; zero bits are 0 in every dtype.
            unsafe {
                match have.binary_search(&wanted[i]) {
                    Ok(at) => {
                        std::ptr::copy_nonoverlapping(data.bytes().add(at * bytes).cast_const(), to, bytes)
                    }
                    Err(_) => std::ptr::write_bytes(to, 0, bytes),
                }
            }
        }
    });
}

/// The rows of `n` elements that hold anything but 0.
pub fn filled(data: Span, n: usize) -> Vec<i64> {
    with_dtype!(data.dtype(), T => {
        // SAFETY: an input that nobody writes.
        let data = unsafe { data.slice::<T>() };
        let is_filled = |(i, row): (usize, &[T])| row.iter().any(|v| *v != T::default()).then_some(i as i64);
        data.chunks_exact(n.max(1)).enumerate().filter_map(is_filled).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinct_values_of_narrow_and_wide_ranges() {
        assert_eq!(distinct(&[3, 5, 9]), (vec![3, 5, 9], vec![0, 1, 2]));
        assert_eq!(distinct(&[5, 3, 5, -1]), (vec![-1, 3, 5], vec![2, 1, 2, 0]));
        assert_eq!(distinct(&[i64::MAX, i64::MIN, 0]), (vec![i64::MIN, 0, i64::MAX], vec![2, 0, 1]));
        assert_eq!(distinct(&[]), (vec![], vec![]));
    }

    #[test]
    fn transposed_places() {
        let p = Places { ends: &[0, 2, 2, 3], columns: &[0, 2, 2] };
        assert!(p.check(3).is_ok() && p.check(2).is_err());
        assert!(Places { ends: &[0, 2, 1, 3], columns: &[0, 1, 2] }.check(3).is_err());
        assert_eq!(p.transposed(3), (vec![0, 1, 1, 3], vec![0, 0, 2], vec![0, 1, 2]));
    }
}
