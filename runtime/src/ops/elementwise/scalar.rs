//! Element-wise operators of an array and a number. The number is converted to the array's dtype first: integer arrays
//! stay integer.

use super::super::def::{Keep, OpDef, Run};
use crate::array::Array;
use crate::error::Result;
use crate::kernels::map::{Map, map};
use crate::ops::params::Params;
use crate::simd::Simd;

params! {
    /// The number of an operator between an array and a number.
    pub struct Scalar {
        scalar: f64 = 1.0, "the number";
        is_int: bool = true, "whether the number was written as an integer; without effect";
    }
}

/// Parameters with this number.
pub fn scalar(x: f64) -> Params {
    Params::new(Scalar { scalar: x, is_int: false })
}

trait WithScalar: Map {
    fn with(x: f64) -> Self;
}

fn run_scalar<K: WithScalar>(r: &Run<'_>) -> Result<()> {
    map(K::with(r.p::<Scalar>().scalar), r.ins[0].span(), r.outs[0].span());
    Ok(())
}

/// Declares a kernel of an array `x` and a number `c`.
macro_rules! scalar_kernel {
    ($name:ident: |$s:ident, $x:ident, $c:ident| $lanes:expr $(, lanes64 |$s6:ident, $x6:ident, $c6:ident| $lanes64:expr)?,
     |$a:ident, $b:ident| $f64:expr, int |$i:ident, $j:ident| $int:expr) => {
        #[derive(Clone, Copy)]
        struct $name(f64);
        impl WithScalar for $name {
            fn with(x: f64) -> Self { $name(x) }
        }
        impl Map for $name {
            #[inline(always)]
            fn lanes<S: Simd>(self, $s: S, $x: S::F32) -> S::F32 { let $c = $s.splat(self.0 as f32); $lanes }
            $(#[inline(always)]
            fn lanes64<S: Simd>(self, $s6: S, $x6: S::F64) -> S::F64 { let $c6 = $s6.splat64(self.0); $lanes64 })?
            #[inline(always)]
            fn f64(self, $a: f64) -> f64 { let $b = self.0; $f64 }
            #[inline(always)]
            fn int(self, $i: i64) -> i64 { let $j = self.0 as i64; $int }
        }
    };
}

scalar_kernel!(PlusScalar: |_s, x, c| x + c, lanes64 |_s, x, c| x + c, |a, b| a + b, int |i, j| i.wrapping_add(j));
scalar_kernel!(MulScalar: |_s, x, c| x * c, lanes64 |_s, x, c| x * c, |a, b| a * b, int |i, j| i.wrapping_mul(j));
scalar_kernel!(RminusScalar: |_s, x, c| c - x, lanes64 |_s, x, c| c - x, |a, b| b - a, int |i, j| j.wrapping_sub(i));

fn same(d: &super::super::vjp::Vjp<'_>) -> Result<Array> {
    Ok(d.grad().clone())
}

table! {
    PLUS_SCALAR = OpDef::map("_plus_scalar", run_scalar::<PlusScalar>).aliases(&["_PlusScalar"]).params::<Scalar>()
        .doc("Adds a number to every element, `data + scalar`.").vjp1(Keep::NOTHING, same).samples(-2.0, 2.0);
    MUL_SCALAR = OpDef::map("_mul_scalar", run_scalar::<MulScalar>).aliases(&["_MulScalar"]).params::<Scalar>()
        .doc("Multiplies every element by a number, `data * scalar`.")
        .vjp1(Keep::NOTHING, |d| Ok(d.grad() * d.p::<Scalar>().scalar)).samples(-2.0, 2.0);
    RMINUS_SCALAR = OpDef::map("_rminus_scalar", run_scalar::<RminusScalar>).aliases(&["_RMinusScalar"]).params::<Scalar>()
        .doc("Subtracts every element from a number, `scalar - data`.").vjp1(Keep::NOTHING, |d| Ok(-d.grad())).samples(-2.0, 2.0);
}
