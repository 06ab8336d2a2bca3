//! Windows of two by two elements that lie side by side, as most networks have them: every element is in one window, planes follow each other
//! without a seam, and a pair of rows is read, and written going back, in one go. Results are those of the general code, bit for bit.

use super::planes::{join, start};
use super::{Kind, Pass, Pool, WORK};
use crate::kernels::conv::Axis;
use crate::kernels::lane::streams;
use crate::kernels::par;
use crate::kernels::real::{Real, load, steps, store};
use crate::simd::{Simd, Work, level};
use crate::storage::Span;
use std::ops::Range;

/// Whether these are such windows, and this such a pass.
pub(super) fn fits(p: &Pool, pass: Pass) -> bool {
    let [a0, a1, a2] = p.axes;
    let paired = |a: Axis| a.kernel == 2 && a.stride == 2 && a.pad == 0 && a.input == 2 * a.output;
    let single = a0.kernel == 1 && a0.stride == 1 && a0.pad == 0 && a0.input == a0.output;
    let known = match pass {
        Pass::Pool(kind) | Pass::Spread(kind) => !matches!(kind, Kind::Power(_)),
        Pass::Route => true,
        Pass::Pick => false,
    };
    known && single && paired(a1) && paired(a2) && p.inner == 1
}

/// Runs a pass that fits; arguments as [`Pool::compute`].
pub(super) fn run<T: Real>(p: &Pool, pass: Pass, a: Span, b: Span, out: Span) {
    let [a0, a1, a2] = p.axes;
    let (rows, wide) = (p.planes * a0.output * a1.output, a2.input);
    let line = 64 / size_of::<T>();
    let aligned = (out.bytes() as usize).is_multiple_of(64) && wide.is_multiple_of(line);
    let stream = aligned && !matches!(pass, Pass::Pool(_)) && streams(out);
    let (level, each) = (level(), par::grouped(rows, (WORK / (4 * wide)).max(1)));
    par::chunks(rows, each, |_, rows| {
        let (a, b, out) = (a.ptr::<T>(), b.ptr::<T>(), out.ptr::<T>());
        level.run(Pairs { pass, rows, wide, a: a.cast_const(), b: b.cast_const(), out, stream });
    });
}

/// Some pairs of rows.
struct Pairs<T> {
    pass: Pass,
    rows: Range<usize>,
    /// Elements of a row of the data.
    wide: usize,
    a: *const T,
    b: *const T,
    out: *mut T,
    stream: bool,
}

impl<T: Real> Work for Pairs<T> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match self.pass {
            Pass::Pool(Kind::Max) => self.pool(s, Kind::Max),
            Pass::Pool(kind) => self.pool(s, kind),
            Pass::Spread(kind) => self.spread(s, kind),
            Pass::Route | Pass::Pick => self.route(s),
        }
        if self.stream {
            s.fence();
        }
    }
}

impl<T: Real> Pairs<T> {
    /// What a sum is divided by.
    fn count(kind: Kind) -> T {
        T::from_f64(if matches!(kind, Kind::Average { .. }) { 4.0 } else { 1.0 })
    }

    #[inline(always)]
    fn pool<S: Simd>(&self, s: S, kind: Kind) {
        let (first, half) = (T::splat(s, start(kind)), self.wide / 2);
        // Powers of two, whose reciprocals are exact.
        let by = T::splat(s, T::from_f64(1.0) / Self::count(kind));
        for row in self.rows.clone() {
            // SAFETY: a pair of rows of the data, and the row of the result that they give.
            unsafe {
                let (up, to) = (self.a.add(row * 2 * self.wide), self.out.add(row * half));
                steps!(T, half, |o, w| {
                    let [mut low, mut high] = [first; 2];
                    for x in [up, up.add(self.wide)] {
                        let [l, h] = two::<T, S>(s, x.add(2 * o), w);
                        (low, high) = (join::<T, S>(s, kind, l, low), join::<T, S>(s, kind, h, high));
                    }
                    let (even, odd) = T::unzip(s, low, high);
                    let mut v = join::<T, S>(s, kind, odd, join::<T, S>(s, kind, even, first));
                    if kind != Kind::Max {
                        v = v * by;
                    }
                    store::<T, S>(s, to.add(o), v, w)
                });
            }
        }
    }

    #[inline(always)]
    fn spread<S: Simd>(&self, s: S, kind: Kind) {
        let by = T::splat(s, T::from_f64(1.0) / Self::count(kind));
        for row in self.rows.clone() {
            // SAFETY: a row of the result, and the pair of rows of the data above it.
            unsafe {
                let (from, to) = (self.a.add(row * self.wide / 2), self.out.add(row * 2 * self.wide));
                steps!(T, self.wide / 2, |o, w| {
                    let v = T::splat(s, T::default()) + load::<T, S>(s, from.add(o), w) * by;
                    for to in [to, to.add(self.wide)] {
                        self.put(s, to.add(2 * o), v, v, w);
                    }
                });
            }
        }
    }

    /// Each window's value goes to the first largest of its elements.
    #[inline(always)]
    fn route<S: Simd>(&self, s: S) {
        let [zero, one, second, third] = [0.0, 1.0, 2.0, 3.0].map(|v| T::splat(s, T::from_f64(v)));
        let lowest = T::splat(s, T::MINUS_INF);
        for row in self.rows.clone() {
            // SAFETY: as above.
            unsafe {
                let (up, from) = (self.a.add(row * 2 * self.wide), self.b.add(row * self.wide / 2));
                let to = self.out.add(row * 2 * self.wide);
                steps!(T, self.wide / 2, |o, w| {
                    let pair = |x: *const T| {
                        let [low, high] = two::<T, S>(s, x.add(2 * o), w);
                        T::unzip(s, low, high)
                    };
                    let ((v0, v1), (v2, v3)) = (pair(up), pair(up.add(self.wide)));
                    let (mut best, mut mark) = (T::max(s, v0, lowest), zero);
                    for (v, place) in [(v1, one), (v2, second), (v3, third)] {
                        mark = T::above(s, v, best, place, mark);
                        best = T::max(s, v, best);
                    }
                    let g = load::<T, S>(s, from.add(o), w);
                    let of = |place: T::V<S>| zero + T::equal(s, mark, place, g, zero);
                    self.put(s, to.add(2 * o), of(zero), of(one), w);
                    self.put(s, to.add(self.wide + 2 * o), of(second), of(third), w);
                });
            }
        }
    }

    /// Writes `w` elements of both, in turn.
    /// # Safety
    /// There is room for them.
    #[inline(always)]
    unsafe fn put<S: Simd>(&self, s: S, to: *mut T, even: T::V<S>, odd: T::V<S>, w: usize) {
        let lanes = T::count::<S>();
        let (low, high) = T::zip(s, even, odd);
        // SAFETY: the caller's promise; where `stream` is set rows are whole aligned vectors.
        unsafe {
            if self.stream {
                T::store(s, to, low, true);
                if 2 * w > lanes {
                    T::store(s, to.add(lanes), high, true);
                }
                return;
            }
            store::<T, S>(s, to, low, lanes.min(2 * w));
            if 2 * w > lanes {
                store::<T, S>(s, to.add(lanes), high, 2 * w - lanes);
            }
        }
    }
}

/// The `2 w` elements at `x`, in two vectors.
/// # Safety
/// They are readable.
#[inline(always)]
unsafe fn two<T: Real, S: Simd>(s: S, x: *const T, w: usize) -> [T::V<S>; 2] {
    let lanes = T::count::<S>();
    // SAFETY: the caller's promise.
    unsafe {
        if 2 * w <= lanes {
            return [load::<T, S>(s, x, 2 * w), T::splat(s, T::default())];
        }
        [load::<T, S>(s, x, lanes), load::<T, S>(s, x.add(lanes), 2 * w - lanes)]
    }
}
