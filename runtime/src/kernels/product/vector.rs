//! Products with a vector, and of two vectors: bound by memory, so each element of the matrix is read once.

use super::{Layout, Real, Shared};
use crate::kernels::lane::Lane;
use crate::kernels::par;
use crate::simd::{Level, MAX_LANES, Simd, Work, level};

/// Elements of a matrix that one piece reads.
const STRIP: usize = 32 * 1024;

/// y = alpha · a x + beta · y, for a of m×k.
/// # Safety
/// As [`gemm`](super::gemm).
#[allow(clippy::too_many_arguments)]
pub(super) unsafe fn gemv<T: Real>(
    m: usize,
    k: usize,
    alpha: T,
    a: Shared<T>,
    la: Layout,
    x: Shared<T>,
    xs: isize,
    beta: T,
    y: Shared<T>,
    ys: isize,
) {
    let level = level();
    // The vector, without gaps.
    let mut packed = Vec::new();
    let x = if xs == 1 {
        x
    } else {
        // SAFETY: elements of the vector.
        packed.extend((0..k as isize).map(|i| unsafe { *x.at(i * xs) }));
        Shared(packed.as_mut_ptr())
    };
    let put = |i: usize, v: T| {
        let p = y.at(i as isize * ys);
        // SAFETY: an element of y, written by whoever computed it.
        unsafe { *p = if beta == T::default() { alpha * v } else { alpha * v + beta * *p } }
    };
    if la.cols == 1 && m == 1 && k > 2 * STRIP {
        // One long product: pieces, summed in order.
        let mut parts = vec![T::default(); k.div_ceil(STRIP)];
        let to = Shared(parts.as_mut_ptr());
        par::chunks(k, STRIP, |i, r| {
            // SAFETY: pieces of both vectors; each has its own place.
            unsafe {
                *to.at(i as isize) = T::dot(level, a.at(r.start as isize), x.at(r.start as isize), r.len())
            }
        });
        put(0, parts.iter().fold(T::default(), |s, &p| s + p));
    } else if la.cols == 1 {
        par::chunks(m, (STRIP / k).max(1), |_, r| {
            for i in r {
                // SAFETY: row i of a.
                put(i, unsafe { T::dot(level, a.at(i as isize * la.rows), x.at(0), k) });
            }
        });
    } else {
        // Columns lie together (or nothing does): a strip of rows at a time.
        const ROWS: usize = 256;
        par::chunks(m, ROWS, |_, r| {
            let mut sums = [T::default(); ROWS];
            let sums = &mut sums[..r.len()];
            for j in 0..k as isize {
                // SAFETY: elements of row r of column j, and of x.
                unsafe {
                    let v = *x.at(j);
                    let col = a.at(r.start as isize * la.rows + j * la.cols);
                    if la.rows == 1 {
                        T::axpy(level, v, col, sums);
                    } else {
                        sums.iter_mut()
                            .enumerate()
                            .for_each(|(i, s)| *s = *s + v * *col.offset(i as isize * la.rows));
                    }
                }
            }
            r.clone().for_each(|i| put(i, sums[i - r.start]));
        });
    }
}

/// Products of vectors.
pub(super) trait Dot: Lane {
    /// # Safety
    /// Both are readable for `n` elements.
    unsafe fn dot(level: Level, a: *const Self, b: *const Self, n: usize) -> Self;
    /// y += v x.
    /// # Safety
    /// `x` is readable for as many elements as `y` has.
    unsafe fn axpy(level: Level, v: Self, x: *const Self, y: &mut [Self]);
}

struct DotWork<T>(*const T, *const T, usize);
struct AxpyWork<'a, T>(T, *const T, &'a mut [T]);

macro_rules! dot {
    ($t:ty, $fma:ident, $splat:ident) => {
        impl Dot for $t {
            unsafe fn dot(level: Level, a: *const $t, b: *const $t, n: usize) -> $t {
                level.run(DotWork(a, b, n))
            }
            unsafe fn axpy(level: Level, v: $t, x: *const $t, y: &mut [$t]) {
                level.run(AxpyWork(v, x, y))
            }
        }
        impl Work for DotWork<$t> {
            type Out = $t;
            #[inline(always)]
            fn run<S: Simd>(self, s: S) -> $t {
                let DotWork(a, b, n) = self;
                let lanes = <$t as Lane>::count::<S>();
                // As many sums as the widest level has in four vectors, whatever the level: the order of summation is the same.
                const SUMS: usize = 4 * MAX_LANES * 4 / size_of::<$t>();
                let mut acc = [s.$splat(0.0); SUMS];
                let per = SUMS / lanes;
                let mut i = 0;
                // SAFETY: the caller of `dot` promised n elements.
                unsafe {
                    while i + SUMS <= n {
                        for j in 0..per {
                            let (x, y) =
                                (<$t>::load(s, a.add(i + j * lanes)), <$t>::load(s, b.add(i + j * lanes)));
                            acc[j] = s.$fma(x, y, acc[j]);
                        }
                        i += SUMS;
                    }
                    let mut sums = [0.0; SUMS];
                    for j in 0..per {
                        <$t>::store(s, sums.as_mut_ptr().add(j * lanes), acc[j], false);
                    }
                    for j in 0..n - i {
                        sums[j] = (*a.add(i + j)).mul_add(*b.add(i + j), sums[j]);
                    }
                    let mut half = SUMS / 2;
                    while half > 0 {
                        for j in 0..half {
                            sums[j] += sums[j + half];
                        }
                        half /= 2;
                    }
                    sums[0]
                }
            }
        }
        impl Work for AxpyWork<'_, $t> {
            type Out = ();
            #[inline(always)]
            fn run<S: Simd>(self, s: S) {
                let AxpyWork(v, x, y) = self;
                let (lanes, n) = (<$t as Lane>::count::<S>(), y.len());
                let (v, y) = (s.$splat(v), y.as_mut_ptr());
                let mut i = 0;
                // SAFETY: the caller of `axpy` promised as many elements as y has.
                unsafe {
                    while i + lanes <= n {
                        let sum = s.$fma(v, <$t>::load(s, x.add(i)), <$t>::load(s, y.add(i)));
                        <$t>::store(s, y.add(i), sum, false);
                        i += lanes;
                    }
                    if i < n {
                        let sum = s.$fma(
                            v,
                            <$t>::load_part(s, x.add(i), n - i, 0.0),
                            <$t>::load_part(s, y.add(i), n - i, 0.0),
                        );
                        <$t>::store_part(s, y.add(i), sum, n - i);
                    }
                }
            }
        }
    };
}
dot!(f32, fma, splat);
dot!(f64, fma64, splat64);
