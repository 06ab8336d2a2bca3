//! Element-wise operators: of one array, of two, of an array and a number.

pub mod binary;
pub mod scalar;
pub mod unary;

use crate::error::Result;
use crate::kernels::map::{Map, map};
use crate::kernels::zip::{Zip, zip};
use crate::ops::def::Run;
use crate::shape::broadcast::{broadcast_strides, collapse};

/// Runs a unary kernel.
fn run_map<K: Map + Default>(r: &Run<'_>) -> Result<()> {
    map(K::default(), r.ins[0].span(), r.outs[0].span());
    Ok(())
}

/// Runs a binary kernel, broadcasting.
fn run_zip<K: Zip + Default>(r: &Run<'_>) -> Result<()> {
    zip_with(K::default(), r);
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
macro_rules! map_kernel {
    ($(#[$m:meta])* $name:ident: |$s:ident, $x:ident| $lanes:expr, |$y:ident| $f64:expr $(, int |$i:ident| $int:expr)?) => {
        $(#[$m])*
        #[derive(Clone, Copy, Default)]
        struct $name;
        impl $crate::kernels::map::Map for $name {
            #[inline(always)]
            fn lanes<S: $crate::simd::Simd>(self, $s: S, $x: S::F32) -> S::F32 { $lanes }
            #[inline(always)]
            fn f64(self, $y: f64) -> f64 { $f64 }
            $(#[inline(always)] fn int(self, $i: i64) -> i64 { $int })?
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
            $(#[inline(always)] fn int(self, $i: i64, $j: i64) -> i64 { $int })?
        }
    };
}
pub(crate) use zip_kernel;
