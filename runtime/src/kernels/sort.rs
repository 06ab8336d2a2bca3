//! Order along an axis: sorting, and the first `k` in order.
//!
//! An element becomes a whole number in whose order it sorts; the place of the element is appended in the lower bits. So
//! sorting plain numbers is stable, equal values keep their order whichever way is sorted, and NaN comes after everything.
//! Long rows are sorted by their digits; a single very long one in pieces that are merged, cut by length alone.

use super::index::Rows;
use super::par;
use crate::dtype::{DType, Elem};
use crate::simd::{Simd, Work, level};
use crate::storage::Span;
use half::{bf16, f16};

/// An element as a number in whose order it sorts.
trait Key: Elem {
    /// A key with a place behind it.
    type Tagged: Tagged;
    fn key(self) -> u64;
}

macro_rules! int_key {
    ($($t:ty => $tag:ty),*) => {$(
        impl Key for $t {
            type Tagged = $tag;
            #[inline(always)]
            fn key(self) -> u64 { (self as i64).wrapping_sub(<$t>::MIN as i64) as u64 }
        }
    )*};
}
int_key!(u8 => u64, i8 => u64, i32 => u64, i64 => u128);

macro_rules! float_key {
    ($($t:ty => $tag:ty: $bits:ty, $sign:literal, $zero:expr);*) => {$(
        impl Key for $t {
            type Tagged = $tag;
            #[inline(always)]
            fn key(self) -> u64 {
                // Both zeros are one value, and so are all NaNs.
                let b = if self == $zero { 0 } else { self.to_bits() };
                let ordered = if b >> $sign == 1 { !b } else { b | 1 << $sign };
                u64::from(if self.is_nan() { <$bits>::MAX } else { ordered })
            }
        }
    )*};
}
float_key!(
    f32 => u64: u32, 31, 0.0;
    f64 => u128: u64, 63, 0.0;
    f16 => u64: u16, 15, f16::ZERO;
    bf16 => u64: u16, 15, bf16::ZERO
);

/// A key with a place behind it.
trait Tagged: Copy + Ord + Send + Sync + Default {
    /// Bits of a key.
    const WIDTH: u32;
    fn new(key: u64, place: u32) -> Self;
    fn place(self) -> u32;
    /// Digit `d` of the key, from the lowest.
    fn digit(self, d: u32) -> usize;
}

/// Bits of a digit.
const DIGIT: u32 = 11;

impl Tagged for u64 {
    const WIDTH: u32 = 32;
    #[inline(always)]
    fn new(key: u64, place: u32) -> u64 {
        key << 32 | u64::from(place)
    }
    #[inline(always)]
    fn place(self) -> u32 {
        self as u32
    }
    #[inline(always)]
    fn digit(self, d: u32) -> usize {
        (self >> (32 + d * DIGIT)) as usize & ((1 << DIGIT) - 1)
    }
}

impl Tagged for u128 {
    const WIDTH: u32 = 64;
    #[inline(always)]
    fn new(key: u64, place: u32) -> u128 {
        u128::from(key) << 32 | u128::from(place)
    }
    #[inline(always)]
    fn place(self) -> u32 {
        self as u32
    }
    #[inline(always)]
    fn digit(self, d: u32) -> usize {
        (self >> (32 + d * DIGIT)) as usize & ((1 << DIGIT) - 1)
    }
}

/// Rows from this length on are sorted by digits.
const BY_DIGITS: usize = 2048;
/// Rows from this length on are sorted by several threads, in pieces of half of it.
const PIECES: usize = 1 << 17;

/// Sorts `v`, which holds its places in rising order; `spare` is as long.
fn sort_one<P: Tagged>(v: &mut [P], spare: &mut [P]) {
    if v.len() < BY_DIGITS {
        return v.sort_unstable();
    }
    let digits = P::WIDTH.div_ceil(DIGIT);
    let mut counts = vec![0u32; (digits as usize) << DIGIT];
    for x in v.iter() {
        (0..digits).for_each(|d| counts[((d as usize) << DIGIT) + x.digit(d)] += 1);
    }
    let mut swapped = false;
    for d in 0..digits {
        let (from, to) = if swapped { (&*spare, &mut *v) } else { (&*v, &mut *spare) };
        let counts = &mut counts[(d as usize) << DIGIT..][..1 << DIGIT];
        if counts[from[0].digit(d)] as usize == from.len() {
            continue;
        }
        let mut at = 0;
        for c in counts.iter_mut() {
            at += std::mem::replace(c, at);
        }
        for x in from {
            let c = &mut counts[x.digit(d)];
            to[*c as usize] = *x;
            *c += 1;
        }
        swapped = !swapped;
    }
    if swapped {
        v.copy_from_slice(spare);
    }
}

/// How many of the first `at` elements of two merged rows come from the first.
fn cut<P: Ord>(a: &[P], b: &[P], at: usize) -> usize {
    let (mut low, mut high) = (at.saturating_sub(b.len()), at.min(a.len()));
    while low < high {
        let mid = (low + high) / 2;
        if a[mid] < b[at - mid - 1] { low = mid + 1 } else { high = mid }
    }
    low
}

fn merge<'a, P: Copy + Ord>(mut a: &'a [P], mut b: &'a [P], out: &mut [P]) {
    for o in out {
        let from_a = match (a.first(), b.first()) {
            (Some(x), Some(y)) => x < y,
            (x, _) => x.is_some(),
        };
        let side = if from_a { &mut a } else { &mut b };
        *o = side[0];
        *side = &side[1..];
    }
}

/// Sorts one very long row with all threads.
fn sort_pieces<P: Tagged>(v: &mut Vec<P>, spare: &mut Vec<P>) {
    let n = v.len();
    let mut piece = PIECES / 2;
    let (a, b) = (Parts::of(v), Parts::of(spare));
    par::chunks(n, piece, |_, r| {
        // SAFETY: each chunk takes its own range.
        unsafe { sort_one(a.part(r.start, r.len()), b.part(r.start, r.len())) }
    });
    while piece < n {
        let (from, to) = (&*v, Parts::of(spare));
        par::chunks(n, PIECES / 4, |_, r| {
            // The part of the output may touch several pairs.
            let mut at = r.start;
            while at < r.end {
                let pair = at / (2 * piece) * 2 * piece;
                let (mid, end) = ((pair + piece).min(n), (pair + 2 * piece).min(n));
                let stop = r.end.min(end);
                let (a, b) = (&from[pair..mid], &from[mid..end]);
                let (i, j) = (cut(a, b, at - pair), cut(a, b, stop - pair));
                // SAFETY: each chunk takes its own range.
                let out = unsafe { to.part(at, stop - at) };
                merge(&a[i..j], &b[at - pair - i..stop - pair - j], out);
                at = stop;
            }
        });
        std::mem::swap(v, spare);
        piece *= 2;
    }
}

/// A slice of which threads take different parts.
#[derive(Clone, Copy)]
struct Parts<P>(*mut P, usize);
// SAFETY: see the type.
unsafe impl<P> Send for Parts<P> {}
// SAFETY: see the type.
unsafe impl<P> Sync for Parts<P> {}

impl<P> Parts<P> {
    fn of(v: &mut [P]) -> Parts<P> {
        Parts(v.as_mut_ptr(), v.len())
    }
    /// # Safety
    /// No two parts that live at the same time overlap.
    unsafe fn part<'a>(self, start: usize, len: usize) -> &'a mut [P] {
        assert!(start + len <= self.1);
        // SAFETY: inside the slice, and the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(start), len) }
    }
}

/// What is wanted of the order of a row.
#[derive(Clone, Copy, Debug)]
pub struct Want {
    /// How many elements, from the first on.
    pub k: usize,
    /// Whether the smallest comes first.
    pub ascending: bool,
}

/// Where the results go, each where it is wanted. Values and places have `k` rows, the mask as many as the input.
#[derive(Clone, Copy, Debug, Default)]
pub struct Results {
    /// The elements themselves.
    pub values: Option<Span>,
    /// Their places along the axis.
    pub places: Option<Span>,
    /// 1 for each element that is among them, else 0.
    pub mask: Option<Span>,
}

/// Columns that are read together where rows do not lie contiguously.
const COLUMNS: usize = 16;

/// Orders every row of `x`. A row has fewer than 2^32 elements.
pub fn order(r: Rows, x: Span, want: Want, to: Results) {
    assert!(x.len() == r.outer * r.n * r.inner && want.k <= r.n && r.n <= u32::MAX as usize);
    if let Some(mask) = to.mask {
        super::copy::fill(mask, 0.0);
    }
    if want.k == 0 || x.is_empty() {
        return;
    }
    with_dtype!(x.dtype(), T => rows::<T, <T as Key>::Tagged>(r, x, want, to));
}

fn rows<T: Key, P: Tagged>(r: Rows, x: Span, want: Want, to: Results) {
    let Rows { outer, n, inner } = r;
    let flip = if want.ascending { 0 } else { u64::MAX >> (64 - P::WIDTH) };
    let read = |o: usize, col: usize, j: usize| {
        // SAFETY: an element of x, which nobody writes.
        let v = unsafe { *x.ptr::<T>().add((o * n + j) * inner + col) };
        P::new(v.key() ^ flip, j as u32)
    };
    if outer * inner == 1 && n >= PIECES && want.k > n / 4 {
        let mut v: Vec<P> = vec![P::default(); n];
        let all = Parts::of(&mut v);
        par::chunks(n, 1 << 14, |_, range| {
            // SAFETY: each chunk takes its own range.
            let part = unsafe { all.part(range.start, range.len()) };
            part.iter_mut().zip(range).for_each(|(p, j)| *p = read(0, 0, j));
        });
        sort_pieces(&mut v, &mut vec![P::default(); n]);
        return emit(r, x, want.k, to, 0, 0, &v);
    }
    let blocks = inner.div_ceil(COLUMNS);
    let width = inner.min(COLUMNS);
    let tasks = outer * blocks;
    let (scans, level) = (T::DTYPE == DType::F32 && inner == 1 && want.k <= FEW.min(n / 4), level());
    par::chunks(tasks, par::grouped(tasks, (1 << 14) / (n * width)), |_, range| {
        let mut v: Vec<P> = Vec::new();
        let mut spare: Vec<P> = Vec::new();
        for task in range {
            let (o, first) = (task / blocks, task % blocks * COLUMNS);
            let columns = width.min(inner - first);
            if scans {
                // SAFETY: a row of x, which nobody writes.
                let row = unsafe { x.sub(o * n, n).slice::<f32>() };
                let best = level.run(Scan { row, want });
                emit(r, x, want.k, to, o, 0, &best[..want.k]);
                continue;
            }
            if want.k <= n / 4 {
                for col in first..first + columns {
                    select(n, want.k, &mut v, |j| read(o, col, j));
                    emit(r, x, want.k, to, o, col, &v);
                }
                continue;
            }
            v.resize(n * columns, P::default());
            spare.resize(n, P::default());
            for j in 0..n {
                (0..columns).for_each(|c| v[c * n + j] = read(o, first + c, j));
            }
            for (c, v) in v.chunks_mut(n).enumerate() {
                sort_one(v, &mut spare);
                emit(r, x, want.k, to, o, first + c, v);
            }
        }
    });
}

/// The first `k` in order of `n` elements, into `v`. Keeps those that may still be among them, and never much more than `k`.
fn select<P: Tagged>(n: usize, k: usize, v: &mut Vec<P>, read: impl Fn(usize) -> P) {
    let room = 2 * k + 64;
    v.clear();
    v.reserve(room);
    let mut worst: Option<P> = None;
    for j in 0..n {
        let x = read(j);
        if worst.is_some_and(|w| x > w) {
            continue;
        }
        v.push(x);
        if v.len() == room {
            worst = Some(*v.select_nth_unstable(k - 1).1);
            v.truncate(k);
        }
    }
    if v.len() > k {
        v.select_nth_unstable(k - 1);
        v.truncate(k);
    }
    v.sort_unstable();
}

/// So few are kept in order while a row is walked.
const FEW: usize = 32;

/// The first `k` in order of a row of float32. Once there are `k`, vectors that hold nothing before the last of them are passed over.
struct Scan<'a> {
    row: &'a [f32],
    want: Want,
}

impl Work for Scan<'_> {
    type Out = [u64; FEW];

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> [u64; FEW] {
        let Scan { row, want: Want { k, ascending } } = self;
        let flip = if ascending { 0 } else { u64::MAX >> 32 };
        let mut best = [u64::MAX; FEW];
        let put = |best: &mut [u64; FEW], at: usize| {
            let x = u64::new(row[at].key() ^ flip, at as u32);
            let mut to = k - 1;
            if x < best[to] {
                while to > 0 && x < best[to - 1] {
                    best[to] = best[to - 1];
                    to -= 1;
                }
                best[to] = x;
            }
        };
        let mut i = k;
        (0..k).for_each(|at| put(&mut best, at));
        let mut last = s.splat(row[best[k - 1].place() as usize]);
        while i + S::N <= row.len() {
            // SAFETY: a vector of the row.
            let v = unsafe { s.load(row.as_ptr().add(i)) };
            // What is NaN, or compared with NaN, is looked at more closely.
            let behind = if ascending { s.ge(v, last) } else { s.le(v, last) };
            let mut near = s.bitmask(!behind);
            if near != 0 {
                while near != 0 {
                    put(&mut best, i + near.trailing_zeros() as usize);
                    near &= near - 1;
                }
                last = s.splat(row[best[k - 1].place() as usize]);
            }
            i += S::N;
        }
        (i..row.len()).for_each(|at| put(&mut best, at));
        best
    }
}

/// Writes what is wanted of one row in order.
fn emit<P: Tagged>(r: Rows, x: Span, k: usize, to: Results, o: usize, col: usize, order: &[P]) {
    let order = &order[..k];
    let at = |rows: usize, j: usize| (o * rows + j) * r.inner + col;
    if let Some(out) = to.values {
        match x.dtype().size() {
            1 => move_values::<u8, P>(x, out, order, |j| at(r.n, j), |j| at(k, j)),
            2 => move_values::<u16, P>(x, out, order, |j| at(r.n, j), |j| at(k, j)),
            4 => move_values::<u32, P>(x, out, order, |j| at(r.n, j), |j| at(k, j)),
            _ => move_values::<u64, P>(x, out, order, |j| at(r.n, j), |j| at(k, j)),
        }
    }
    if let Some(out) = to.places {
        with_dtype!(out.dtype(), T => for (j, p) in order.iter().enumerate() {
            // SAFETY: an element of this row of the output.
            unsafe { *out.ptr::<T>().add(at(k, j)) = T::from_i64(p.place().into()) }
        });
    }
    if let Some(out) = to.mask {
        with_dtype!(out.dtype(), T => for p in order {
            // SAFETY: an element of this row of the output.
            unsafe { *out.ptr::<T>().add(at(r.n, p.place() as usize)) = T::from_i64(1) }
        });
    }
}

#[inline(always)]
fn move_values<E: Copy, P: Tagged>(
    x: Span,
    out: Span,
    order: &[P],
    from: impl Fn(usize) -> usize,
    to: impl Fn(usize) -> usize,
) {
    let (x, out) = (x.bytes().cast::<E>(), out.bytes().cast::<E>());
    for (j, p) in order.iter().enumerate() {
        // SAFETY: an element of the row of x, and one of this row of the output.
        unsafe { *out.add(to(j)) = *x.add(from(p.place() as usize)) }
    }
}

/// out[o, j, i] = x[o, places[o, j, i], i]; `k` rows of places. Places outside mean the nearest row.
pub fn take_along(r: Rows, k: usize, x: Span, places: Span, out: Span) {
    assert!(
        x.len() == r.outer * r.n * r.inner
            && places.len() == r.outer * k * r.inner
            && out.len() == places.len()
    );
    along(r, k, places, |column, at| match x.dtype().size() {
        // SAFETY: an element of x and one of this column of the output.
        1 => unsafe { *out.bytes().add(at) = *x.bytes().add(column) },
        // SAFETY: as above.
        2 => unsafe { *out.bytes().cast::<u16>().add(at) = *x.bytes().cast::<u16>().add(column) },
        // SAFETY: as above.
        4 => unsafe { *out.bytes().cast::<u32>().add(at) = *x.bytes().cast::<u32>().add(column) },
        // SAFETY: as above.
        _ => unsafe { *out.bytes().cast::<u64>().add(at) = *x.bytes().cast::<u64>().add(column) },
    });
}

/// out = 0, then out[o, places[o, j, i], i] += x[o, j, i]: the gradient of [`take_along`].
pub fn add_along(r: Rows, k: usize, x: Span, places: Span, out: Span) {
    assert!(
        out.len() == r.outer * r.n * r.inner
            && places.len() == r.outer * k * r.inner
            && x.len() == places.len()
    );
    super::copy::fill(out, 0.0);
    with_dtype!(x.dtype(), T => along(r, k, places, |column, at| {
        // SAFETY: an element of x and one of this column of the output.
        unsafe {
            let y = out.ptr::<T>().add(column);
            *y = super::index::plus(*y, *x.ptr::<T>().add(at));
        }
    }));
}

/// Calls `f` with the element that each place names, among `n` rows, and the element that holds the place, among `k`.
/// One task sees whole columns.
fn along(r: Rows, k: usize, places: Span, f: impl Fn(usize, usize) + Sync) {
    let Rows { outer, n, inner } = r;
    if n == 0 || places.is_empty() {
        return;
    }
    const BLOCK: usize = 256;
    let blocks = inner.div_ceil(BLOCK);
    par::chunks(outer * blocks, ((1 << 14) / (k * inner.min(BLOCK))).max(1), |_, range| {
        let mut buf = [0i64; BLOCK];
        for task in range {
            let (o, first) = (task / blocks, task % blocks * BLOCK);
            let width = BLOCK.min(inner - first);
            // A single column is read in batches of rows.
            let batch = if inner == 1 { BLOCK } else { 1 };
            for j in (0..k).step_by(batch) {
                let at = (o * k + j) * inner + first;
                let buf = &mut buf[..if inner == 1 { BLOCK.min(k - j) } else { width }];
                super::index::whole(places, at, buf);
                for (c, &p) in buf.iter().enumerate() {
                    let row = p.clamp(0, n as i64 - 1) as usize;
                    let col = if inner == 1 { 0 } else { first + c };
                    f((o * n + row) * inner + col, at + c);
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span<T: Elem>(v: &mut [T]) -> Span {
        // SAFETY: used while the vector lives.
        unsafe { Span::new(v.as_mut_ptr().cast(), v.len(), T::DTYPE) }
    }

    fn check<T: Elem>(r: Rows, k: usize, ascending: bool, values: impl Fn(usize) -> f64) {
        let mut x: Vec<T> = (0..r.outer * r.n * r.inner).map(|i| T::from_f64(values(i))).collect();
        let size = r.outer * k * r.inner;
        let (mut v, mut p, mut m) = (vec![T::default(); size], vec![0i64; size], vec![7u8; x.len()]);
        let to = Results { values: Some(span(&mut v)), places: Some(span(&mut p)), mask: Some(span(&mut m)) };
        order(r, span(&mut x), Want { k, ascending }, to);
        for o in 0..r.outer {
            for i in 0..r.inner {
                let at = |rows: usize, j: usize| (o * rows + j) * r.inner + i;
                let mut want: Vec<usize> = (0..r.n).collect();
                let of = |j: &usize| x[at(r.n, *j)].to_f64();
                want.sort_by(
                    |a, b| if ascending { of(a).total_cmp(&of(b)) } else { of(b).total_cmp(&of(a)) },
                );
                for (j, w) in want[..k].iter().enumerate() {
                    assert_eq!(p[at(k, j)] as usize, *w, "{} {r:?} k {k} {ascending} row {j}", T::DTYPE);
                    assert_eq!(v[at(k, j)], x[at(r.n, *w)]);
                }
                let ones = (0..r.n).filter(|&j| m[at(r.n, j)] == 1).count();
                assert!(ones == k && want[..k].iter().all(|&j| m[at(r.n, j)] == 1));
            }
        }
        let mut back = vec![T::default(); x.len()];
        add_along(r, k, span(&mut v), span(&mut p), span(&mut back));
        let mut again = vec![T::default(); size];
        take_along(r, k, span(&mut back), span(&mut p), span(&mut again));
        assert!(again == v);
    }

    #[test]
    fn every_dtype_and_length_sorts_stably() {
        let mixed = |i: usize| ((i.wrapping_mul(2_654_435_761) >> 7) % 97) as f64 - 40.0;
        for ascending in [true, false] {
            for d in crate::dtype::DType::NUMBERS {
                with_dtype!(d, T => {
                    let small = |i| mixed(i).max(if T::from_f64(-1.0).to_f64() < 0.0 { -99.0 } else { 0.0 });
                    for (outer, n, inner, k) in [(1, 1, 1, 1), (3, 7, 1, 7), (2, 50, 19, 20), (2, 50, 3, 1), (1, 5000, 2, 5000), (1, 5000, 1, 9)] {
                        check::<T>(Rows { outer, n, inner }, k, ascending, small);
                    }
                });
            }
            let n = 3 * PIECES + 12345;
            check::<f32>(Rows { outer: 1, n, inner: 1 }, n, ascending, |i| mixed(i) * 0.37);
            check::<i64>(Rows { outer: 1, n: PIECES, inner: 1 }, PIECES, ascending, |i| mixed(i) * 1e12);
        }
    }

    #[test]
    fn zeros_are_equal_and_nan_is_last() {
        let mut x = [0.0f32, f32::NAN, -0.0, -1.0, f32::INFINITY, f32::NEG_INFINITY, -f32::NAN];
        let mut p = [0i32; 7];
        let r = Rows { outer: 1, n: 7, inner: 1 };
        let to = |p: &mut [i32]| Results { places: Some(span(p)), ..Results::default() };
        order(r, span(&mut x), Want { k: 7, ascending: true }, to(&mut p));
        assert_eq!(p, [5, 3, 0, 2, 4, 1, 6]);
        order(r, span(&mut x), Want { k: 7, ascending: false }, to(&mut p));
        assert_eq!(p, [1, 6, 4, 0, 2, 3, 5]);
        assert!(i64::MIN.key() < (-1i64).key() && (-1i64).key() < i64::MAX.key() && 200u8.key() > 3u8.key());
    }

    /// The first few of a row are found by another way than all of it.
    #[test]
    fn the_first_few_are_those_of_the_whole_order_at_every_level() {
        let odd = [f32::NAN, 0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, -f32::NAN];
        for (n, every) in [(37, 3), (1000, 5), (1000, 50), (333, 400)] {
            let value = |i: usize| match i % every {
                0 => odd[i / every % odd.len()],
                _ => ((i.wrapping_mul(2_654_435_761) >> 7) % 97) as f32 - 40.0,
            };
            let mut x: Vec<f32> = (0..3 * n).map(value).collect();
            let r = Rows { outer: 3, n, inner: 1 };
            for (ascending, k) in
                [true, false].into_iter().flat_map(|a| [1, 5, 9, FEW].map(|k| (a, k.min(n / 4))))
            {
                let mut all = vec![0i32; 3 * n];
                let to = |p: &mut [i32]| Results { places: Some(span(p)), ..Results::default() };
                order(r, span(&mut x), Want { k: n, ascending }, to(&mut all));
                for &l in crate::simd::available() {
                    let mut few = vec![0i32; 3 * k];
                    crate::simd::with_level(l, || {
                        order(r, span(&mut x), Want { k, ascending }, to(&mut few))
                    });
                    let want: Vec<i32> = all.chunks(n).flat_map(|row| row[..k].to_vec()).collect();
                    assert_eq!(few, want, "{l:?} {n} {k} {ascending}");
                }
            }
        }
    }
}
