//! The operations that kernels are written with. Kept to what kernels use; a new one costs three implementations.

use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Neg, Not, Sub};

/// Lanes of the widest level, in float32. Buffers on the stack have this size.
pub const MAX_LANES: usize = 16;

/// What a vector of floating-point lanes can do without its token.
pub trait Floats:
    Copy
    + Send
    + Sync
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
}

impl<T> Floats for T where
    T: Copy
        + Send
        + Sync
        + Add<Output = T>
        + Sub<Output = T>
        + Mul<Output = T>
        + Div<Output = T>
        + Neg<Output = T>
{
}

/// One truth value per lane.
pub trait Mask:
    Copy + Send + Sync + BitAnd<Output = Self> + BitOr<Output = Self> + Not<Output = Self>
{
}

impl<T> Mask for T where T: Copy + Send + Sync + BitAnd<Output = T> + BitOr<Output = T> + Not<Output = T> {}

/// A level of the machine's vectors, as a value that proves that the machine has it.
///
/// `min` and `max` are `a < b ? a : b` and `a > b ? a : b`: where either is NaN the result is `b`.
/// `fma(a, b, c)` is `a * b + c`, rounded once (twice on the portable level).
pub trait Simd: Copy + Send + Sync + 'static {
    /// float32 lanes.
    type F32: Floats;
    /// float64 lanes, half as many.
    type F64: Floats;
    /// int32 lanes, as many as float32 lanes; arithmetic wraps.
    type I32: Copy
        + Send
        + Sync
        + Add<Output = Self::I32>
        + Sub<Output = Self::I32>
        + BitAnd<Output = Self::I32>
        + BitOr<Output = Self::I32>
        + BitXor<Output = Self::I32>;
    /// Truth of each float32 lane.
    type M32: Mask;
    /// Truth of each float64 lane.
    type M64: Mask;

    /// Number of float32 lanes.
    const N: usize;
    /// Number of float64 lanes.
    const N64: usize = Self::N / 2;
    /// Whether [`Simd::lookup`] costs no more than arithmetic.
    const FAST_LOOKUP: bool = false;

    // ---- memory. All pointers may be unaligned, save for `stream`.

    /// # Safety
    /// `p` is readable for `N` elements.
    unsafe fn load(self, p: *const f32) -> Self::F32;
    /// The first `n < N` lanes from memory, the others from `rest`.
    /// # Safety
    /// `p` is readable for `n` elements.
    unsafe fn load_part(self, p: *const f32, n: usize, rest: Self::F32) -> Self::F32;
    /// # Safety
    /// `p` is writable for `N` elements.
    unsafe fn store(self, p: *mut f32, x: Self::F32);
    /// Stores the first `n < N` lanes.
    /// # Safety
    /// `p` is writable for `n` elements.
    unsafe fn store_part(self, p: *mut f32, x: Self::F32, n: usize);
    /// Stores past the caches where the machine can; [`Simd::fence`] must follow before other threads look.
    /// # Safety
    /// `p` is writable for `N` elements and aligned to the size of the vector.
    unsafe fn stream(self, p: *mut f32, x: Self::F32);
    /// Orders what [`Simd::stream`] wrote before later stores.
    fn fence(self);
    /// # Safety
    /// `p` is readable for `N64` elements.
    unsafe fn load64(self, p: *const f64) -> Self::F64;
    /// # Safety
    /// `p` is readable for `n < N64` elements.
    unsafe fn load_part64(self, p: *const f64, n: usize, rest: Self::F64) -> Self::F64;
    /// # Safety
    /// `p` is writable for `N64` elements.
    unsafe fn store64(self, p: *mut f64, x: Self::F64);
    /// # Safety
    /// `p` is writable for `n < N64` elements.
    unsafe fn store_part64(self, p: *mut f64, x: Self::F64, n: usize);
    /// # Safety
    /// As [`Simd::stream`], for float64.
    unsafe fn stream64(self, p: *mut f64, x: Self::F64);
    /// Reads `N` float16 (as bits) and widens them.
    /// # Safety
    /// `p` is readable for `N` elements.
    unsafe fn load_f16(self, p: *const u16) -> Self::F32;
    /// Rounds to float16 (to nearest, ties to even) and writes `N` of them.
    /// # Safety
    /// `p` is writable for `N` elements.
    unsafe fn store_f16(self, p: *mut u16, x: Self::F32);
    /// Reads `N` bfloat16 (as bits) and widens them.
    /// # Safety
    /// `p` is readable for `N` elements.
    unsafe fn load_bf16(self, p: *const u16) -> Self::F32;
    /// Rounds to bfloat16 (to nearest, ties to even) and writes `N` of them.
    /// # Safety
    /// `p` is writable for `N` elements.
    unsafe fn store_bf16(self, p: *mut u16, x: Self::F32);

    /// Transposes `N` by `N` elements: lines of `x`, `xs` elements apart, become columns of `out`, whose lines are `os` apart.
    /// # Safety
    /// All lines are readable and writable; where `stream` is set those of `out` are aligned as for [`Simd::stream`].
    unsafe fn transpose(self, x: *const f32, xs: isize, out: *mut f32, os: isize, stream: bool);

    // ---- float32

    /// The same value in every lane.
    fn splat(self, x: f32) -> Self::F32;
    /// a * b + c.
    fn fma(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32;
    /// a < b ? a : b.
    fn min(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// a > b ? a : b.
    fn max(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// Without the sign.
    fn abs(self, x: Self::F32) -> Self::F32;
    /// Magnitude of `x` with the sign of `sign`.
    fn copysign(self, x: Self::F32, sign: Self::F32) -> Self::F32;
    /// Correctly rounded square root.
    fn sqrt(self, x: Self::F32) -> Self::F32;
    /// Largest integer not above.
    fn floor(self, x: Self::F32) -> Self::F32;
    /// Smallest integer not below.
    fn ceil(self, x: Self::F32) -> Self::F32;
    /// Toward zero.
    fn trunc(self, x: Self::F32) -> Self::F32;
    /// Nearest integer, ties to even.
    fn rint(self, x: Self::F32) -> Self::F32;
    /// a < b.
    fn lt(self, a: Self::F32, b: Self::F32) -> Self::M32;
    /// a <= b.
    fn le(self, a: Self::F32, b: Self::F32) -> Self::M32;
    /// a == b.
    fn eq(self, a: Self::F32, b: Self::F32) -> Self::M32;
    /// m ? a : b.
    fn select(self, m: Self::M32, a: Self::F32, b: Self::F32) -> Self::F32;
    /// Whether any lane is true.
    fn any(self, m: Self::M32) -> bool;
    /// The truth of lane i as bit i.
    fn bitmask(self, m: Self::M32) -> u32;
    /// x * 2^n for integral `n` in -252..=254; subnormal results are rounded once, large ones are infinite.
    fn ldexp(self, x: Self::F32, n: Self::F32) -> Self::F32;

    // ---- int32

    /// The same integer in every lane.
    fn splat_i(self, x: i32) -> Self::I32;
    /// The bits of the lanes.
    fn bits(self, x: Self::F32) -> Self::I32;
    /// Lanes of those bits.
    fn from_bits(self, x: Self::I32) -> Self::F32;
    /// Nearest integer, ties to even; what does not fit is unspecified.
    fn to_int(self, x: Self::F32) -> Self::I32;
    /// The integers as float32, rounded.
    fn from_int(self, x: Self::I32) -> Self::F32;
    /// Shifts bits up.
    fn shl<const K: u32>(self, x: Self::I32) -> Self::I32;
    /// Shifts bits down, filling with the sign.
    fn sar<const K: u32>(self, x: Self::I32) -> Self::I32;
    /// Where the integers are zero.
    fn is_zero(self, x: Self::I32) -> Self::M32;

    // ---- float64

    /// The same value in every lane.
    fn splat64(self, x: f64) -> Self::F64;
    /// a * b + c.
    fn fma64(self, a: Self::F64, b: Self::F64, c: Self::F64) -> Self::F64;
    /// a < b ? a : b.
    fn min64(self, a: Self::F64, b: Self::F64) -> Self::F64;
    /// a > b ? a : b.
    fn max64(self, a: Self::F64, b: Self::F64) -> Self::F64;
    /// Without the sign.
    fn abs64(self, x: Self::F64) -> Self::F64;
    /// Correctly rounded square root.
    fn sqrt64(self, x: Self::F64) -> Self::F64;
    /// a < b.
    fn lt64(self, a: Self::F64, b: Self::F64) -> Self::M64;
    /// a <= b.
    fn le64(self, a: Self::F64, b: Self::F64) -> Self::M64;
    /// a == b.
    fn eq64(self, a: Self::F64, b: Self::F64) -> Self::M64;
    /// m ? a : b.
    fn select64(self, m: Self::M64, a: Self::F64, b: Self::F64) -> Self::F64;
    /// The lower and the upper half of the lanes as float64.
    fn widen(self, x: Self::F32) -> (Self::F64, Self::F64);
    /// Undoes [`Simd::widen`], rounding.
    fn narrow(self, low: Self::F64, high: Self::F64) -> Self::F32;

    // ---- made of the above

    /// a > b.
    #[inline(always)]
    fn gt(self, a: Self::F32, b: Self::F32) -> Self::M32 {
        self.lt(b, a)
    }

    /// a >= b.
    #[inline(always)]
    fn ge(self, a: Self::F32, b: Self::F32) -> Self::M32 {
        self.le(b, a)
    }

    /// a != b, true where either is NaN.
    #[inline(always)]
    fn ne(self, a: Self::F32, b: Self::F32) -> Self::M32 {
        !self.eq(a, b)
    }

    /// Where a lane is NaN.
    #[inline(always)]
    fn is_nan(self, x: Self::F32) -> Self::M32 {
        !self.eq(x, x)
    }

    /// Where a lane is NaN.
    #[inline(always)]
    fn is_nan64(self, x: Self::F64) -> Self::M64 {
        !self.eq64(x, x)
    }

    /// The even and the odd elements of two vectors that follow each other in memory.
    #[inline(always)]
    fn unzip(self, a: Self::F32, b: Self::F32) -> (Self::F32, Self::F32) {
        let (mut even, mut odd) = ([0.0; MAX_LANES], [0.0; MAX_LANES]);
        for (i, v) in [a, b].into_iter().flat_map(|x| self.to_array(x).into_iter().take(Self::N)).enumerate()
        {
            if i % 2 == 0 { even[i / 2] = v } else { odd[i / 2] = v }
        }
        // SAFETY: the arrays have room for the widest vector.
        unsafe { (self.load(even.as_ptr()), self.load(odd.as_ptr())) }
    }

    /// Undoes [`Simd::unzip`].
    #[inline(always)]
    fn zip(self, even: Self::F32, odd: Self::F32) -> (Self::F32, Self::F32) {
        let (even, odd) = (self.to_array(even), self.to_array(odd));
        let both: [f32; 2 * MAX_LANES] =
            std::array::from_fn(|i| if i % 2 == 0 { even[i / 2] } else { odd[i / 2] });
        // SAFETY: the array has room for two of the widest vector.
        unsafe { (self.load(both.as_ptr()), self.load(both.as_ptr().add(Self::N))) }
    }

    /// As [`Simd::unzip`].
    #[inline(always)]
    fn unzip64(self, a: Self::F64, b: Self::F64) -> (Self::F64, Self::F64) {
        let (mut even, mut odd) = ([0.0; MAX_LANES / 2], [0.0; MAX_LANES / 2]);
        for (i, v) in
            [a, b].into_iter().flat_map(|x| self.to_array64(x).into_iter().take(Self::N64)).enumerate()
        {
            if i % 2 == 0 { even[i / 2] = v } else { odd[i / 2] = v }
        }
        // SAFETY: the arrays have room for the widest vector.
        unsafe { (self.load64(even.as_ptr()), self.load64(odd.as_ptr())) }
    }

    /// As [`Simd::zip`].
    #[inline(always)]
    fn zip64(self, even: Self::F64, odd: Self::F64) -> (Self::F64, Self::F64) {
        let (even, odd) = (self.to_array64(even), self.to_array64(odd));
        let both: [f64; MAX_LANES] =
            std::array::from_fn(|i| if i % 2 == 0 { even[i / 2] } else { odd[i / 2] });
        // SAFETY: the array has room for two of the widest vector.
        unsafe { (self.load64(both.as_ptr()), self.load64(both.as_ptr().add(Self::N64))) }
    }

    /// 1 where true, 0 elsewhere.
    #[inline(always)]
    fn truth(self, m: Self::M32) -> Self::F32 {
        self.select(m, self.splat(1.0), self.splat(0.0))
    }

    /// 1 where true, 0 elsewhere.
    #[inline(always)]
    fn truth64(self, m: Self::M64) -> Self::F64 {
        self.select64(m, self.splat64(1.0), self.splat64(0.0))
    }

    /// c0 + x (c1 + x (c2 + …)).
    #[inline(always)]
    fn poly<const K: usize>(self, x: Self::F32, c: [f32; K]) -> Self::F32 {
        let mut y = self.splat(c[K - 1]);
        for i in (0..K - 1).rev() {
            y = self.fma(y, x, self.splat(c[i]));
        }
        y
    }

    /// c0 + x (c1 + x (c2 + …)).
    #[inline(always)]
    fn poly64<const K: usize>(self, x: Self::F64, c: [f64; K]) -> Self::F64 {
        let mut y = self.splat64(c[K - 1]);
        for i in (0..K - 1).rev() {
            y = self.fma64(y, x, self.splat64(c[i]));
        }
        y
    }

    /// The lanes; those from `N` on are 0.
    #[inline(always)]
    fn to_array(self, x: Self::F32) -> [f32; MAX_LANES] {
        let mut a = [0.0; MAX_LANES];
        // SAFETY: the array has room for the widest vector.
        unsafe { self.store(a.as_mut_ptr(), x) };
        a
    }

    /// The lanes; those from `N64` on are 0.
    #[inline(always)]
    fn to_array64(self, x: Self::F64) -> [f64; MAX_LANES / 2] {
        let mut a = [0.0; MAX_LANES / 2];
        // SAFETY: the array has room for the widest vector.
        unsafe { self.store64(a.as_mut_ptr(), x) };
        a
    }

    /// `table[i mod 32]` for each lane's `i`.
    #[inline(always)]
    fn lookup(self, table: &[f32; 32], i: Self::I32) -> Self::F32 {
        self.each(self.from_bits(i), |i| table[i.to_bits() as usize % 32])
    }

    /// One scalar call per lane: for functions that have no vector form.
    #[inline(always)]
    fn each(self, x: Self::F32, f: impl Fn(f32) -> f32) -> Self::F32 {
        let mut a = self.to_array(x);
        a[..Self::N].iter_mut().for_each(|v| *v = f(*v));
        // SAFETY: the array has room for the widest vector.
        unsafe { self.load(a.as_ptr()) }
    }

    /// One scalar call per pair of lanes.
    #[inline(always)]
    fn each2(self, x: Self::F32, y: Self::F32, f: impl Fn(f32, f32) -> f32) -> Self::F32 {
        let (mut a, b) = (self.to_array(x), self.to_array(y));
        (0..Self::N).for_each(|i| a[i] = f(a[i], b[i]));
        // SAFETY: the array has room for the widest vector.
        unsafe { self.load(a.as_ptr()) }
    }

    /// One scalar call per lane.
    #[inline(always)]
    fn each64(self, x: Self::F64, f: impl Fn(f64) -> f64) -> Self::F64 {
        let mut a = self.to_array64(x);
        a[..Self::N64].iter_mut().for_each(|v| *v = f(*v));
        // SAFETY: the array has room for the widest vector.
        unsafe { self.load64(a.as_ptr()) }
    }

    /// One scalar call per pair of lanes.
    #[inline(always)]
    fn each2_64(self, x: Self::F64, y: Self::F64, f: impl Fn(f64, f64) -> f64) -> Self::F64 {
        let (mut a, b) = (self.to_array64(x), self.to_array64(y));
        (0..Self::N64).for_each(|i| a[i] = f(a[i], b[i]));
        // SAFETY: the array has room for the widest vector.
        unsafe { self.load64(a.as_ptr()) }
    }
}

/// Code that runs on any level. `run` must be `#[inline(always)]`, and so must all that it calls with vectors.
pub trait Work {
    /// What the work gives.
    type Out;
    /// Runs with the vectors that `s` proves to exist.
    fn run<S: Simd>(self, s: S) -> Self::Out;
}
