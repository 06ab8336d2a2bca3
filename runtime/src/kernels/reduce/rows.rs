//! Accumulation of contiguous elements of each type: into one value, or each onto its column.

use super::{COLUMNS, Reduce};
use crate::dtype::Elem;
use crate::kernels::lane::{BLOCK, Lane, widen};
use crate::simd::{Level, MAX_LANES, Simd, Work};
use half::{bf16, f16};

/// An element type that can be reduced, and what it is accumulated in: float64 or int64.
pub(super) trait Source: Elem {
    type Acc64: Copy + Send + Sync;
    fn start<R: Reduce>(r: R) -> Self::Acc64;
    fn merge<R: Reduce>(r: R, a: Self::Acc64, b: Self::Acc64) -> Self::Acc64;
    fn finish<R: Reduce>(r: R, acc: Self::Acc64, count: usize) -> Self;
    /// The accumulation of `n` elements.
    /// # Safety
    /// `x` is readable for `n` elements.
    unsafe fn row<R: Reduce>(r: R, level: Level, x: *const Self, n: usize) -> Self::Acc64;
    /// The accumulations of `out.len()` rows of `n` elements that follow each other.
    /// # Safety
    /// All rows are readable.
    unsafe fn many<R: Reduce>(r: R, level: Level, x: *const Self, n: usize, out: &mut [Self::Acc64]) {
        for (i, a) in out.iter_mut().enumerate() {
            // SAFETY: the caller's promise.
            *a = unsafe { Self::row(r, level, x.add(i * n), n) };
        }
    }
    /// Accumulates `rows` rows, `step` elements apart, of `n` elements each onto the first `n` of `acc`.
    /// # Safety
    /// The rows are readable, and `n` is at most `COLUMNS`.
    unsafe fn onto<R: Reduce>(
        r: R,
        level: Level,
        x: *const Self,
        step: usize,
        rows: usize,
        n: usize,
        acc: &mut [Self::Acc64; COLUMNS],
    );
}

/// Types with lanes: how a vector of them widens to float64.
trait Wide: Lane {
    /// Steps two accumulators by one vector (float32), or the first by one (float64).
    fn step<R: Reduce, S: Simd>(r: R, s: S, acc: [S::F64; 2], x: Self::V<S>) -> [S::F64; 2];
}

impl Wide for f32 {
    #[inline(always)]
    fn step<R: Reduce, S: Simd>(r: R, s: S, acc: [S::F64; 2], x: S::F32) -> [S::F64; 2] {
        let (low, high) = s.widen(x);
        [r.lanes64(s, acc[0], low), r.lanes64(s, acc[1], high)]
    }
}

impl Wide for f64 {
    #[inline(always)]
    fn step<R: Reduce, S: Simd>(r: R, s: S, acc: [S::F64; 2], x: S::F64) -> [S::F64; 2] {
        [r.lanes64(s, acc[0], x), acc[1]]
    }
}

#[inline(always)]
fn both<R: Reduce, S: Simd>(r: R, s: S, a: [S::F64; 2], b: [S::F64; 2]) -> [S::F64; 2] {
    [r.merge64(s, a[0], b[0]), r.merge64(s, a[1], b[1])]
}

/// Merges the first `n` (a power of two) values pair by pair.
#[inline(always)]
fn halve<R: Reduce>(r: R, mut v: [f64; MAX_LANES / 2], mut n: usize) -> f64 {
    while n > 1 {
        n /= 2;
        for i in 0..n {
            v[i] = r.merge(v[i], v[i + n]);
        }
    }
    v[0]
}

struct Row<R, T>(R, *const T, usize);

impl<R: Reduce, T: Wide> Work for Row<R, T> {
    type Out = f64;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f64 {
        let Row(r, x, n) = self;
        let lanes = T::count::<S>();
        let start = [s.splat64(r.init()); 2];
        // Four vectors at a time, so that no addition waits for the one before.
        let (mut a, mut b, mut c, mut d) = (start, start, start, start);
        let mut i = 0;
        // SAFETY: all loads are below n.
        unsafe {
            while i + 4 * lanes <= n {
                a = T::step(r, s, a, T::load(s, x.add(i)));
                b = T::step(r, s, b, T::load(s, x.add(i + lanes)));
                c = T::step(r, s, c, T::load(s, x.add(i + 2 * lanes)));
                d = T::step(r, s, d, T::load(s, x.add(i + 3 * lanes)));
                i += 4 * lanes;
            }
            while i + lanes <= n {
                a = T::step(r, s, a, T::load(s, x.add(i)));
                i += lanes;
            }
            if i < n {
                b = T::step(r, s, b, T::load_part(s, x.add(i), n - i, T::from_f64(r.init())));
            }
        }
        a = both(r, s, a, b);
        if n >= 4 * lanes {
            a = both(r, s, a, both(r, s, c, d));
        }
        let lanes = s.to_array64(r.merge64(s, a[0], a[1]));
        halve(r, lanes, S::N64)
    }
}

struct Many<'a, R, T>(R, *const T, usize, &'a mut [f64]);

impl<R: Reduce, T: Wide> Work for Many<'_, R, T> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Many(r, x, n, out) = self;
        for (i, a) in out.iter_mut().enumerate() {
            // SAFETY: all rows are readable.
            *a = Row(r, unsafe { x.add(i * n) }, n).run(s);
        }
    }
}

struct Onto<'a, R, T> {
    r: R,
    x: *const T,
    step: usize,
    rows: usize,
    n: usize,
    acc: &'a mut [f64; COLUMNS],
}

impl<R: Reduce, T: Wide> Work for Onto<'_, R, T> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Onto { r, x, step, rows, n, acc } = self;
        let lanes = T::count::<S>();
        let two = lanes / S::N64 == 2;
        let mut i = 0;
        // SAFETY: columns stay below n, which `acc` has room for; rows are readable as the caller promised.
        unsafe {
            while i < n {
                let part = (n - i).min(lanes);
                let mut tail = [0.0; MAX_LANES];
                // The last vector of columns is accumulated aside.
                let p = if part == lanes { acc.as_mut_ptr().add(i) } else { tail.as_mut_ptr() };
                if part < lanes {
                    std::ptr::copy_nonoverlapping(acc.as_ptr().add(i), p, part);
                }
                let high = p.add(S::N64);
                let mut v = [s.load64(p), if two { s.load64(high) } else { s.splat64(0.0) }];
                let mut at = x.add(i);
                for row in 0..rows {
                    let e =
                        if part == lanes { T::load(s, at) } else { T::load_part(s, at, part, T::default()) };
                    v = T::step(r, s, v, e);
                    if row + 1 < rows {
                        at = at.add(step);
                    }
                }
                s.store64(p, v[0]);
                if two {
                    s.store64(high, v[1]);
                }
                if part < lanes {
                    std::ptr::copy_nonoverlapping(tail.as_ptr(), acc.as_mut_ptr().add(i), part);
                }
                i += part;
            }
        }
    }
}

/// Rows that are stepped over in one pass of [`Onto`] before the next vector of columns: so many that accumulators stay in registers for
/// long, so few that the rows stay in the first cache, of which rows a power of two apart can use a small part only.
const PASS: usize = 4;

macro_rules! float_source {
    ($($t:ty: { $($item:item)* })*) => {$(
        impl Source for $t {
            type Acc64 = f64;
            #[inline(always)]
            fn start<R: Reduce>(r: R) -> f64 {
                r.init()
            }
            #[inline(always)]
            fn merge<R: Reduce>(r: R, a: f64, b: f64) -> f64 {
                r.merge(a, b)
            }
            #[inline(always)]
            fn finish<R: Reduce>(r: R, acc: f64, count: usize) -> Self {
                Self::from_f64(r.finish(acc, count))
            }
            $($item)*
        }
    )*};
}

macro_rules! wide_source {
    ($($t:ty),*) => {float_source! {$(
        $t: {
        unsafe fn row<R: Reduce>(r: R, level: Level, x: *const Self, n: usize) -> f64 {
            level.run(Row(r, x, n))
        }
        unsafe fn many<R: Reduce>(r: R, level: Level, x: *const Self, n: usize, out: &mut [f64]) {
            level.run(Many(r, x, n, out))
        }
        unsafe fn onto<R: Reduce>(
            r: R, level: Level, x: *const Self, step: usize, rows: usize, n: usize, acc: &mut [f64; COLUMNS],
        ) {
            for from in (0..rows).step_by(PASS) {
                // SAFETY: a row that the caller promised.
                let x = unsafe { x.add(from * step) };
                level.run(Onto { r, x, step, rows: PASS.min(rows - from), n, acc });
            }
        }
    })*}};
}
wide_source!(f32, f64);

macro_rules! half_source {
    ($($t:ty),*) => {float_source! {$(
        $t: {
        unsafe fn row<R: Reduce>(r: R, level: Level, x: *const Self, n: usize) -> f64 {
            let mut buf = [0f32; BLOCK];
            let mut acc = r.init();
            for at in (0..n).step_by(BLOCK) {
                let buf = &mut buf[..BLOCK.min(n - at)];
                // SAFETY: `at` and what follows is below n.
                unsafe { widen(level, Self::DTYPE, x.add(at).cast(), buf) };
                acc = r.merge(acc, level.run(Row(r, buf.as_ptr(), buf.len())));
            }
            acc
        }
        unsafe fn onto<R: Reduce>(
            r: R, level: Level, x: *const Self, step: usize, rows: usize, n: usize, acc: &mut [f64; COLUMNS],
        ) {
            let mut buf = [0f32; COLUMNS];
            for row in 0..rows {
                // SAFETY: a row that the caller promised, of at most COLUMNS elements.
                unsafe { widen(level, Self::DTYPE, x.add(row * step).cast(), &mut buf[..n]) };
                level.run(Onto { r, x: buf.as_ptr(), step: 0, rows: 1, n, acc });
            }
        }
    })*}};
}
half_source!(f16, bf16);

macro_rules! int_source {
    ($($t:ty),*) => {$(
        impl Source for $t {
            type Acc64 = i64;
            #[inline(always)]
            fn start<R: Reduce>(r: R) -> i64 {
                r.init_int()
            }
            #[inline(always)]
            fn merge<R: Reduce>(r: R, a: i64, b: i64) -> i64 {
                r.merge_int(a, b)
            }
            #[inline(always)]
            fn finish<R: Reduce>(r: R, acc: i64, count: usize) -> Self {
                Self::from_i64(r.finish_int(acc, count))
            }
            unsafe fn row<R: Reduce>(r: R, _: Level, x: *const Self, n: usize) -> i64 {
                // SAFETY: the caller's promise; nobody writes the input of a reduction.
                let x = unsafe { std::slice::from_raw_parts(x, n) };
                x.iter().fold(r.init_int(), |a, &v| r.int(a, v as i64))
            }
            unsafe fn onto<R: Reduce>(
                r: R, _: Level, x: *const Self, step: usize, rows: usize, n: usize, acc: &mut [i64; COLUMNS],
            ) {
                for row in 0..rows {
                    // SAFETY: a row that the caller promised.
                    let x = unsafe { std::slice::from_raw_parts(x.add(row * step), n) };
                    acc.iter_mut().zip(x).for_each(|(a, &v)| *a = r.int(*a, v as i64));
                }
            }
        }
    )*};
}
int_source!(u8, i8, i32, i64);
