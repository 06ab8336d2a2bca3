//! Element types. `with_dtype!` is the only place that matches on [`DType`] to get at a Rust type.

use crate::error::Result;
use half::{bf16, f16};
use std::fmt;

/// The type of an array's elements. The numbers are MXNet's (files and the C ABI carry them).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[repr(i32)]
pub enum DType {
    /// IEEE binary32.
    #[default]
    F32 = 0,
    /// IEEE binary64.
    F64 = 1,
    /// IEEE binary16; computed in float32.
    F16 = 2,
    /// Unsigned 8-bit integer.
    U8 = 3,
    /// Signed 32-bit integer.
    I32 = 4,
    /// Signed 8-bit integer.
    I8 = 5,
    /// Signed 64-bit integer.
    I64 = 6,
    /// The truth values 0 and 1, a byte each: what casts to it give, and operators that only move elements pass on. Others
    /// refuse it. Kernels see bytes.
    Bool = 7,
    /// The upper half of a binary32; computed in float32.
    BF16 = 12,
}

impl DType {
    /// All element types.
    pub const ALL: [DType; 9] = [
        DType::F32,
        DType::F64,
        DType::F16,
        DType::BF16,
        DType::U8,
        DType::I8,
        DType::I32,
        DType::I64,
        DType::Bool,
    ];

    /// Those of numbers.
    pub const NUMBERS: [DType; 8] =
        [DType::F32, DType::F64, DType::F16, DType::BF16, DType::U8, DType::I8, DType::I32, DType::I64];

    /// The name that MXNet, NumPy and PyTorch use.
    pub fn name(self) -> &'static str {
        match self {
            DType::F32 => "float32",
            DType::F64 => "float64",
            DType::F16 => "float16",
            DType::BF16 => "bfloat16",
            DType::U8 => "uint8",
            DType::I8 => "int8",
            DType::I32 => "int32",
            DType::I64 => "int64",
            DType::Bool => "bool",
        }
    }

    /// Reads a name as [`DType::name`] writes it.
    pub fn parse(name: &str) -> Result<DType> {
        DType::ALL
            .into_iter()
            .find(|d| d.name() == name)
            .ok_or_else(|| err!(Dtype, "unknown dtype, got '{name}', want one of float32 float64 float16 bfloat16 uint8 int8 int32 int64 bool"))
    }

    /// Reads a number as the enum's discriminants give it.
    pub fn from_id(id: i32) -> Result<DType> {
        DType::ALL
            .into_iter()
            .find(|d| *d as i32 == id)
            .ok_or_else(|| err!(Dtype, "unknown dtype id, got {id}, want one of 0 to 7 or 12"))
    }

    /// Bytes per element.
    #[inline]
    pub const fn size(self) -> usize {
        match self {
            DType::U8 | DType::I8 | DType::Bool => 1,
            DType::F16 | DType::BF16 => 2,
            DType::F32 | DType::I32 => 4,
            DType::F64 | DType::I64 => 8,
        }
    }

    /// The dtype of the Rust type that kernels see.
    #[inline]
    pub const fn stored(self) -> DType {
        match self {
            DType::Bool => DType::U8,
            d => d,
        }
    }

    /// Whether this is a floating-point type.
    #[inline]
    pub const fn is_float(self) -> bool {
        matches!(self, DType::F32 | DType::F64 | DType::F16 | DType::BF16)
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A Rust type that an array can hold. Every bit pattern is a valid value.
pub trait Elem: Copy + Send + Sync + PartialEq + PartialOrd + fmt::Debug + Default + 'static {
    /// The dtype of this type.
    const DTYPE: DType;
    /// What sums and products of it are computed in: f64 for float64, f32 for the other floats, i64 for integers.
    type Acc: Elem;
    /// To float64; exact but for large int64.
    fn to_f64(self) -> f64;
    /// From float64; integers truncate toward zero and then wrap, as C's cast does on x86: through int32 (int64 for int64),
    /// whose smallest value stands for what does not fit, and for NaN.
    fn from_f64(x: f64) -> Self;
    /// To int64; floats truncate toward zero and saturate, NaN is 0.
    fn to_i64(self) -> i64;
    /// From int64; integers wrap.
    fn from_i64(x: i64) -> Self;
}

macro_rules! elem_int {
    ($($t:ty => $d:ident, $through:ty);*) => {$(
        impl Elem for $t {
            const DTYPE: DType = DType::$d;
            type Acc = i64;
            #[inline(always)] fn to_f64(self) -> f64 { self as f64 }
            #[inline(always)] fn from_f64(x: f64) -> Self {
                // Both bounds are exact in float64 but for the upper one of int64, which rounds up.
                const LOW: f64 = <$through>::MIN as f64;
                if x > LOW - 1.0 && x < -LOW { x as $through as $t } else { <$through>::MIN as $t }
            }
            #[inline(always)] fn to_i64(self) -> i64 { self as i64 }
            #[inline(always)] fn from_i64(x: i64) -> Self { x as $t }
        }
    )*};
}
elem_int!(u8 => U8, i32; i8 => I8, i32; i32 => I32, i32; i64 => I64, i64);

macro_rules! elem_float {
    ($($t:ty, $d:ident, $acc:ty, $to:expr, $from:expr);*) => {$(
        impl Elem for $t {
            const DTYPE: DType = DType::$d;
            type Acc = $acc;
            #[inline(always)] fn to_f64(self) -> f64 { $to(self) }
            #[inline(always)] fn from_f64(x: f64) -> Self { $from(x) }
            #[inline(always)] fn to_i64(self) -> i64 { $to(self) as i64 }
            #[inline(always)] fn from_i64(x: i64) -> Self { $from(x as f64) }
        }
    )*};
}
elem_float!(
    f32, F32, f32, f64::from, |x: f64| x as f32;
    f64, F64, f64, |x: f64| x, |x: f64| x;
    f16, F16, f32, f16::to_f64, f16::from_f64;
    bf16, BF16, f32, bf16::to_f64, bf16::from_f64
);

/// Runs an expression with a type name bound to the Rust type of a dtype:
/// `with_dtype!(x.dtype(), T => fill::<T>(x))`.
#[macro_export]
macro_rules! with_dtype {
    ($d:expr, $t:ident => $body:expr) => {
        match $d {
            $crate::dtype::DType::F32 => {
                type $t = f32;
                $body
            }
            $crate::dtype::DType::F64 => {
                type $t = f64;
                $body
            }
            $crate::dtype::DType::F16 => {
                type $t = half::f16;
                $body
            }
            $crate::dtype::DType::BF16 => {
                type $t = half::bf16;
                $body
            }
            $crate::dtype::DType::U8 | $crate::dtype::DType::Bool => {
                type $t = u8;
                $body
            }
            $crate::dtype::DType::I8 => {
                type $t = i8;
                $body
            }
            $crate::dtype::DType::I32 => {
                type $t = i32;
                $body
            }
            $crate::dtype::DType::I64 => {
                type $t = i64;
                $body
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_ids_and_sizes_agree_with_the_rust_types() {
        for d in DType::NUMBERS {
            assert_eq!(DType::parse(d.name()).unwrap(), d);
            assert_eq!(DType::from_id(d as i32).unwrap(), d);
            with_dtype!(d, T => {
                assert_eq!(T::DTYPE, d);
                assert_eq!(size_of::<T>(), d.size());
            });
        }
        assert!(DType::parse("float31").is_err() && DType::from_id(8).is_err());
    }

    #[test]
    fn casts_wrap_as_c_does() {
        assert_eq!(u8::from_f64(300.0), 44);
        assert_eq!(u8::from_f64(-1.0), 255);
        assert_eq!(i32::from_f64(-2.9), -2);
        assert_eq!([f64::NAN, f64::INFINITY, 3e9, -3e9].map(i32::from_f64), [i32::MIN; 4]);
        assert_eq!([f64::NAN, f64::NEG_INFINITY, 3e9, 256.0].map(u8::from_f64), [0; 4]);
        assert_eq!([3e9, 1e19].map(i64::from_f64), [3_000_000_000, i64::MIN]);
        assert_eq!([2147483647.5, -2147483648.5].map(i32::from_f64), [i32::MAX, i32::MIN]);
        assert_eq!(f32::NAN.to_i64(), 0);
    }
}
