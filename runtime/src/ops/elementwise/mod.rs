//! Element-wise operators: of one array, of two, of an array and a number, of many.
//!
//! What is used everywhere has a vector kernel (`map_kernel`, `zip_kernel`); what is rare goes through plain functions
//! (`Fn1`, `Fn2`), one compiled loop for all of them.

pub mod binary;
pub mod chain;
pub mod compare;
pub mod exponential;
pub mod identity;
pub mod mixed;
pub mod rounding;
pub mod scalar;
pub mod select;
pub mod special;
pub mod trigonometric;
pub mod unary;

use crate::dtype::DType;
use crate::error::Result;
use crate::kernels::map::{Map, map};
use crate::kernels::zip::{Zip, zip};
use crate::ops::def::Run;
use crate::shape::broadcast::{broadcast_strides, collapse};
use crate::simd::Simd;

/// Runs a unary kernel.
pub fn run_map<K: Map + Default>(r: &Run<'_>) -> Result<()> {
    map(K::default(), r.ins[0].span(), r.outs[0].span());
    Ok(())
}

/// Runs a binary kernel, broadcasting.
fn run_zip<K: Zip + Default>(r: &Run<'_>) -> Result<()> {
    zip_with(K::default(), r);
    Ok(())
}

/// A function of one element that has no vector form.
#[derive(Clone, Copy)]
struct Fn1 {
    f32: fn(f32) -> f32,
    f64: fn(f64) -> f64,
}

impl Map for Fn1 {
    #[inline(always)]
    fn lanes<S: Simd>(self, s: S, x: S::F32) -> S::F32 {
        s.each(x, self.f32)
    }
    #[inline(always)]
    fn f64(self, x: f64) -> f64 {
        (self.f64)(x)
    }
}

/// Runs a function of one element.
fn run_fn1(r: &Run<'_>, f32: fn(f32) -> f32, f64: fn(f64) -> f64) -> Result<()> {
    map(Fn1 { f32, f64 }, r.ins[0].span(), r.outs[0].span());
    Ok(())
}

/// A kernel of one function that is computed in float64 for float32 arrays too.
macro_rules! by64 {
    ($f:expr) => {
        |r| $crate::ops::elementwise::run_fn1(r, |x| $f(f64::from(x)) as f32, $f)
    };
}
pub(crate) use by64;

/// A function of two elements that has no vector form.
#[derive(Clone, Copy)]
struct Fn2 {
    f32: fn(f32, f32) -> f32,
    f64: fn(f64, f64) -> f64,
    /// On integers; None where it is computed in float64 and cut.
    int: Option<fn(i64, i64) -> i64>,
}

impl Zip for Fn2 {
    #[inline(always)]
    fn lanes<S: Simd>(self, s: S, x: S::F32, y: S::F32) -> S::F32 {
        s.each2(x, y, self.f32)
    }
    #[inline(always)]
    fn f64(self, x: f64, y: f64) -> f64 {
        (self.f64)(x, y)
    }
    #[inline(always)]
    fn int(self, x: i64, y: i64) -> Option<i64> {
        self.int.map(|f| f(x, y))
    }
}

/// As [`Fn2`], with a number for the second element, or for the first one where `swap` is set.
#[derive(Clone, Copy)]
struct Fn2Scalar {
    f: Fn2,
    c: f64,
    swap: bool,
}

impl Map for Fn2Scalar {
    #[inline(always)]
    fn lanes<S: Simd>(self, s: S, x: S::F32) -> S::F32 {
        let c = self.c as f32;
        s.each(x, |x| if self.swap { (self.f.f32)(c, x) } else { (self.f.f32)(x, c) })
    }
    #[inline(always)]
    fn f64(self, x: f64) -> f64 {
        if self.swap { (self.f.f64)(self.c, x) } else { (self.f.f64)(x, self.c) }
    }
    #[inline(always)]
    fn int(self, x: i64) -> Option<i64> {
        let c = self.c as i64;
        self.f.int.map(|f| if self.swap { f(c, x) } else { f(x, c) })
    }
}

/// Refuses integer division by zero before anything is written.
fn check_divisor(r: &Run<'_>, i: usize) -> Result<()> {
    fn any_zero<T: Default + PartialEq>(x: &[T]) -> bool {
        x.contains(&T::default())
    }
    let x = r.ins[i];
    let zero = match x.dtype() {
        DType::U8 => any_zero(x.as_slice::<u8>()),
        DType::I8 => any_zero(x.as_slice::<i8>()),
        DType::I32 => any_zero(x.as_slice::<i32>()),
        DType::I64 => any_zero(x.as_slice::<i64>()),
        _ => false,
    };
    if zero {
        bail!(Numeric, "integer division by zero, got a divisor of {} with zeros", x.dtype())
    }
    Ok(())
}

fn zip_with<K: Zip>(k: K, r: &Run<'_>) {
    let (x, y, out) = (r.ins[0], r.ins[1], r.outs[0]);
    if x.dims() == y.dims() {
        return zip(k, &[x.size()], x.span(), &[1], y.span(), &[1], out.span());
    }
    let to = out.dims();
    let (dims, [xs, ys]) = collapse(to, [&broadcast_strides(x.dims(), to), &broadcast_strides(y.dims(), to)]);
    zip(k, &dims, x.span(), &xs, y.span(), &ys, out.span());
}

/// Declares a unary kernel: lanes in float32, the same in float64. Integers go through float64 and truncate.
#[macro_export]
macro_rules! map_kernel {
    ($(#[$m:meta])* $name:ident: |$s:ident, $x:ident| $lanes:expr $(, lanes64 |$s6:ident, $x6:ident| $lanes64:expr)?,
     |$y:ident| $f64:expr $(, int |$i:ident| $int:expr)?) => {
        $(#[$m])*
        #[derive(Clone, Copy, Default)]
        pub(crate) struct $name;
        impl $crate::kernels::map::Map for $name {
            #[inline(always)]
            fn lanes<S: $crate::simd::Simd>(self, $s: S, $x: S::F32) -> S::F32 { $lanes }
            $(#[inline(always)]
            fn lanes64<S: $crate::simd::Simd>(self, $s6: S, $x6: S::F64) -> S::F64 { $lanes64 })?
            #[inline(always)]
            fn f64(self, $y: f64) -> f64 { $f64 }
            $(#[inline(always)] fn int(self, $i: i64) -> Option<i64> { Some($int) })?
        }
    };
}
pub(crate) use map_kernel;

/// Declares a binary kernel: lanes in float32, the same in float64 lanes, in float64, in int64 (wrapping).
macro_rules! zip_kernel {
    ($(#[$m:meta])* $name:ident: |$s:ident, $x:ident, $y:ident| $lanes:expr $(, lanes64 |$s6:ident, $x6:ident, $y6:ident| $lanes64:expr)?,
     |$a:ident, $b:ident| $f64:expr $(, int |$i:ident, $j:ident| $int:expr)?) => {
        $(#[$m])*
        #[derive(Clone, Copy, Default)]
        pub(crate) struct $name;
        impl $crate::kernels::zip::Zip for $name {
            #[inline(always)]
            fn lanes<S: $crate::simd::Simd>(self, $s: S, $x: S::F32, $y: S::F32) -> S::F32 { $lanes }
            $(#[inline(always)]
            fn lanes64<S: $crate::simd::Simd>(self, $s6: S, $x6: S::F64, $y6: S::F64) -> S::F64 { $lanes64 })?
            #[inline(always)]
            fn f64(self, $a: f64, $b: f64) -> f64 { $f64 }
            $(#[inline(always)] fn int(self, $i: i64, $j: i64) -> Option<i64> { Some($int) })?
        }
    };
}
pub(crate) use zip_kernel;
