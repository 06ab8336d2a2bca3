//! Parameter updates: one pass over the weight, its gradient and its states, each element read once and written once.
//!
//! A rule is written once, for any lanes. Every array may have a dtype of its own; rules compute in float64 where the first array
//! is float64, else in float32. Outputs may be exactly inputs.

use super::lane::{BLOCK, CHUNK, Lane, narrow, widen};
use super::par;
use crate::dtype::DType;
use crate::simd::{Floats, Level, Simd, Work, level};
use crate::storage::Span;

/// Lanes of one precision, with what rules need.
pub trait Arith: Copy {
    /// The lanes.
    type V: Floats;
    /// The same number in every lane.
    fn splat(self, x: f64) -> Self::V;
    /// Correctly rounded square root.
    fn sqrt(self, x: Self::V) -> Self::V;
    /// Without the sign.
    fn abs(self, x: Self::V) -> Self::V;
    /// a > b ? x : y.
    fn if_gt(self, a: Self::V, b: Self::V, x: Self::V, y: Self::V) -> Self::V;
    /// a < b ? a : b.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// a > b ? a : b.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;

    /// x within ±bound, NaN kept; a negative bound is none.
    #[inline(always)]
    fn clip(self, x: Self::V, bound: f64) -> Self::V {
        if bound < 0.0 {
            return x;
        }
        self.max(self.splat(-bound), self.min(self.splat(bound), x))
    }

    /// -1, 0 or 1.
    #[inline(always)]
    fn sign(self, x: Self::V) -> Self::V {
        let (zero, one) = (self.splat(0.0), self.splat(1.0));
        self.if_gt(x, zero, one, self.if_gt(zero, x, -one, zero))
    }
}

#[derive(Clone, Copy)]
struct Single<S>(S);
#[derive(Clone, Copy)]
struct Double<S>(S);

impl<S: Simd> Arith for Single<S> {
    type V = S::F32;
    #[inline(always)]
    fn splat(self, x: f64) -> S::F32 {
        self.0.splat(x as f32)
    }
    #[inline(always)]
    fn sqrt(self, x: S::F32) -> S::F32 {
        self.0.sqrt(x)
    }
    #[inline(always)]
    fn abs(self, x: S::F32) -> S::F32 {
        self.0.abs(x)
    }
    #[inline(always)]
    fn if_gt(self, a: S::F32, b: S::F32, x: S::F32, y: S::F32) -> S::F32 {
        self.0.select(self.0.lt(b, a), x, y)
    }
    #[inline(always)]
    fn min(self, a: S::F32, b: S::F32) -> S::F32 {
        self.0.min(a, b)
    }
    #[inline(always)]
    fn max(self, a: S::F32, b: S::F32) -> S::F32 {
        self.0.max(a, b)
    }
}

impl<S: Simd> Arith for Double<S> {
    type V = S::F64;
    #[inline(always)]
    fn splat(self, x: f64) -> S::F64 {
        self.0.splat64(x)
    }
    #[inline(always)]
    fn sqrt(self, x: S::F64) -> S::F64 {
        self.0.sqrt64(x)
    }
    #[inline(always)]
    fn abs(self, x: S::F64) -> S::F64 {
        self.0.abs64(x)
    }
    #[inline(always)]
    fn if_gt(self, a: S::F64, b: S::F64, x: S::F64, y: S::F64) -> S::F64 {
        self.0.select64(self.0.lt64(b, a), x, y)
    }
    #[inline(always)]
    fn min(self, a: S::F64, b: S::F64) -> S::F64 {
        self.0.min64(a, b)
    }
    #[inline(always)]
    fn max(self, a: S::F64, b: S::F64) -> S::F64 {
        self.0.max64(a, b)
    }
}

/// A rule from N elements to M.
pub trait Update<const N: usize, const M: usize>: Copy + Send + Sync {
    /// The rule on lanes.
    fn step<A: Arith>(self, a: A, x: [A::V; N]) -> [A::V; M];
}

/// A precision that rules compute in.
trait Precision: Lane {
    fn step<U: Update<N, M>, S: Simd, const N: usize, const M: usize>(
        u: U,
        s: S,
        x: [Self::V<S>; N],
    ) -> [Self::V<S>; M];
    /// Reads elements of any floating-point dtype.
    /// # Safety
    /// `x` is readable for as many elements of `dtype` as `to` has.
    unsafe fn read(level: Level, dtype: DType, x: *const u8, to: &mut [Self]);
    /// Writes elements of any floating-point dtype.
    /// # Safety
    /// `y` is writable for as many elements of `dtype` as `from` has.
    unsafe fn write(level: Level, dtype: DType, from: &[Self], y: *mut u8);
}

/// Copies between float32 and float64.
macro_rules! convert {
    ($from:ty, $to:ty, $x:expr, $y:expr, $n:expr) => {
        for i in 0..$n {
            // SAFETY: the caller promised n elements on both sides.
            unsafe { *$y.cast::<$to>().add(i) = *$x.cast::<$from>().add(i) as $to }
        }
    };
}

impl Precision for f32 {
    #[inline(always)]
    fn step<U: Update<N, M>, S: Simd, const N: usize, const M: usize>(
        u: U,
        s: S,
        x: [S::F32; N],
    ) -> [S::F32; M] {
        u.step(Single(s), x)
    }
    unsafe fn read(level: Level, dtype: DType, x: *const u8, to: &mut [f32]) {
        match dtype {
            DType::F64 => convert!(f64, f32, x, to.as_mut_ptr(), to.len()),
            // SAFETY: the caller's promise.
            _ => unsafe { widen(level, dtype, x.cast(), to) },
        }
    }
    unsafe fn write(level: Level, dtype: DType, from: &[f32], y: *mut u8) {
        match dtype {
            DType::F64 => convert!(f32, f64, from.as_ptr(), y, from.len()),
            // SAFETY: the caller's promise.
            _ => unsafe { narrow(level, dtype, from, y.cast()) },
        }
    }
}

impl Precision for f64 {
    #[inline(always)]
    fn step<U: Update<N, M>, S: Simd, const N: usize, const M: usize>(
        u: U,
        s: S,
        x: [S::F64; N],
    ) -> [S::F64; M] {
        u.step(Double(s), x)
    }
    unsafe fn read(level: Level, dtype: DType, x: *const u8, to: &mut [f64]) {
        if dtype == DType::F32 {
            return convert!(f32, f64, x, to.as_mut_ptr(), to.len());
        }
        let mut buf = [0f32; BLOCK];
        // SAFETY: the caller's promise; no more than a block is read at a time.
        unsafe { widen(level, dtype, x.cast(), &mut buf[..to.len()]) };
        to.iter_mut().zip(buf).for_each(|(t, v)| *t = f64::from(v));
    }
    unsafe fn write(level: Level, dtype: DType, from: &[f64], y: *mut u8) {
        if dtype == DType::F32 {
            return convert!(f64, f32, from.as_ptr(), y, from.len());
        }
        let mut buf = [0f32; BLOCK];
        buf.iter_mut().zip(from).for_each(|(b, v)| *b = *v as f32);
        // SAFETY: the caller's promise; no more than a block is written at a time.
        unsafe { narrow(level, dtype, &buf[..from.len()], y.cast()) }
    }
}

struct Pass<U, T, const N: usize, const M: usize> {
    u: U,
    x: [*const T; N],
    y: [*mut T; M],
    n: usize,
}

impl<U: Update<N, M>, T: Precision, const N: usize, const M: usize> Work for Pass<U, T, N, M> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Pass { u, x, y, n } = self;
        let lanes = T::count::<S>();
        let mut i = 0;
        // SAFETY: whoever made this has n elements behind every pointer. All inputs are read before any output is written.
        unsafe {
            while i + lanes <= n {
                let out = T::step(u, s, x.map(|p| T::load(s, p.add(i))));
                for (p, v) in y.iter().zip(out) {
                    T::store(s, p.add(i), v, false);
                }
                i += lanes;
            }
            if i < n {
                let out = T::step(u, s, x.map(|p| T::load_part(s, p.add(i), n - i, T::default())));
                for (p, v) in y.iter().zip(out) {
                    T::store_part(s, p.add(i), v, n - i);
                }
            }
        }
    }
}

/// outs = u(ins), element by element. All spans have one length and floating-point dtypes; outputs may be exactly inputs.
pub fn update<U: Update<N, M>, const N: usize, const M: usize>(u: U, ins: [Span; N], outs: [Span; M]) {
    assert!(ins.iter().chain(&outs).all(|s| s.len() == ins[0].len() && s.dtype().is_float()));
    match ins[0].dtype() {
        DType::F64 => run::<U, f64, N, M>(u, ins, outs),
        _ => run::<U, f32, N, M>(u, ins, outs),
    }
}

fn run<U: Update<N, M>, T: Precision, const N: usize, const M: usize>(u: U, ins: [Span; N], outs: [Span; M]) {
    let level = level();
    let plain = ins.iter().chain(&outs).all(|s| s.dtype() == T::DTYPE);
    par::chunks(ins[0].len(), CHUNK, |_, r| {
        if plain {
            let x = ins.map(|s| s.sub(r.start, r.len()).ptr::<T>().cast_const());
            let y = outs.map(|s| s.sub(r.start, r.len()).ptr::<T>());
            return level.run(Pass { u, x, y, n: r.len() });
        }
        let mut from = [[T::default(); BLOCK]; N];
        let mut to = [[T::default(); BLOCK]; M];
        for at in r.clone().step_by(BLOCK) {
            let n = BLOCK.min(r.end - at);
            let mut x = ins.map(|s| s.sub(at, n).bytes().cast::<T>().cast_const());
            let mut y = outs.map(|s| s.sub(at, n).bytes().cast::<T>());
            for (i, s) in ins.iter().enumerate().filter(|(_, s)| s.dtype() != T::DTYPE) {
                // SAFETY: n elements from `at` are inside the span.
                unsafe { T::read(level, s.dtype(), x[i].cast(), &mut from[i][..n]) };
                x[i] = from[i].as_ptr();
            }
            for (i, _) in outs.iter().enumerate().filter(|(_, s)| s.dtype() != T::DTYPE) {
                y[i] = to[i].as_mut_ptr();
            }
            level.run(Pass { u, x, y, n });
            for (i, s) in outs.iter().enumerate().filter(|(_, s)| s.dtype() != T::DTYPE) {
                // SAFETY: as above.
                unsafe { T::write(level, s.dtype(), &to[i][..n], s.sub(at, n).bytes()) };
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::Elem;
    use crate::simd::{available, with_level};
    use half::f16;

    #[derive(Clone, Copy)]
    struct Momentum;
    impl Update<3, 2> for Momentum {
        #[inline(always)]
        fn step<A: Arith>(self, a: A, [w, g, m]: [A::V; 3]) -> [A::V; 2] {
            let m = a.splat(0.5) * m - a.clip(g, 2.0);
            [w + m, m]
        }
    }

    fn span<T: Elem>(v: &mut [T]) -> Span {
        // SAFETY: used while the vector lives.
        unsafe { Span::new(v.as_mut_ptr().cast(), v.len(), T::DTYPE) }
    }

    fn check<W: Elem, M: Elem>(n: usize) {
        let mut w: Vec<W> = (0..n).map(|i| W::from_i64(i as i64 % 13)).collect();
        let mut g: Vec<W> = (0..n).map(|i| W::from_i64(i as i64 % 7 - 3)).collect();
        let mut m: Vec<M> = (0..n).map(|i| M::from_i64(i as i64 % 5 * 2)).collect();
        let (w0, m0) = (w.clone(), m.clone());
        let (ws, gs, ms) = (span(&mut w), span(&mut g), span(&mut m));
        update(Momentum, [ws, gs, ms], [ws, ms]);
        for i in 0..n {
            let m1 = 0.5 * m0[i].to_f64() - g[i].to_f64().clamp(-2.0, 2.0);
            assert_eq!((w[i].to_f64(), m[i].to_f64()), (w0[i].to_f64() + m1, m1), "{i} of {n}");
        }
    }

    #[test]
    fn in_place_on_all_types_and_levels() {
        for &l in available() {
            with_level(l, || {
                for n in [0, 1, 15, 100, 1025, 40_000] {
                    check::<f32, f32>(n);
                    check::<f64, f64>(n);
                    check::<f16, f32>(n);
                    check::<f64, f32>(n);
                    check::<f32, f64>(n);
                }
            });
        }
    }
}
