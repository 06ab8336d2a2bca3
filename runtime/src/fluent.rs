//! Arithmetic on arrays as Rust writes it: `&a * &b + 1.0`. Everything goes through the single door and is recorded.
//!
//! Operators cannot return a `Result`. On a mistake they panic with its text; inside a gradient rule the tape turns the
//! mistake into the error of the backward pass. [`invoke`] is the form that returns errors.

use crate::array::Array;
use crate::backward::raise;
use crate::invoke::invoke;
use crate::ops::def::OpDef;
use crate::ops::elementwise::{binary, scalar, unary};
use crate::ops::params::{ParamSet, Params};
use std::ops::{Add, Mul, Neg, Sub};

/// Calls an operator with one output; panics as described in the [module](self).
pub fn call(op: &'static OpDef, ins: &[&Array], params: &Params) -> Array {
    raise(invoke(op, ins, params, &[])).remove(0)
}

/// Calls an operator with one output and a parameter struct.
pub fn call_with<T: ParamSet>(op: &'static OpDef, ins: &[&Array], params: T) -> Array {
    call(op, ins, &Params::new(params))
}

impl Neg for &Array {
    type Output = Array;
    fn neg(self) -> Array {
        call(&unary::NEGATIVE, &[self], &Params::NONE)
    }
}

impl Neg for Array {
    type Output = Array;
    fn neg(self) -> Array {
        -&self
    }
}

macro_rules! arithmetic {
    ($($trait:ident $method:ident: $arrays:path, |$x:ident, $c:ident| $right:expr, |$c2:ident, $x2:ident| $left:expr;)*) => {$(
        impl $trait<&Array> for &Array {
            type Output = Array;
            fn $method(self, other: &Array) -> Array { call(&$arrays, &[self, other], &Params::NONE) }
        }
        impl $trait<Array> for &Array {
            type Output = Array;
            fn $method(self, other: Array) -> Array { $trait::$method(self, &other) }
        }
        impl $trait<&Array> for Array {
            type Output = Array;
            fn $method(self, other: &Array) -> Array { $trait::$method(&self, other) }
        }
        impl $trait<Array> for Array {
            type Output = Array;
            fn $method(self, other: Array) -> Array { $trait::$method(&self, &other) }
        }
        impl $trait<f64> for &Array {
            type Output = Array;
            fn $method(self, $c: f64) -> Array { let $x = self; $right }
        }
        impl $trait<f64> for Array {
            type Output = Array;
            fn $method(self, other: f64) -> Array { $trait::$method(&self, other) }
        }
        impl $trait<&Array> for f64 {
            type Output = Array;
            fn $method(self, $x2: &Array) -> Array { let $c2 = self; $left }
        }
        impl $trait<Array> for f64 {
            type Output = Array;
            fn $method(self, other: Array) -> Array { $trait::$method(self, &other) }
        }
    )*};
}

arithmetic! {
    Add add: binary::BROADCAST_ADD, |x, c| call(&scalar::PLUS_SCALAR, &[x], &scalar::scalar(c)), |c, x| call(&scalar::PLUS_SCALAR, &[x], &scalar::scalar(c));
    Sub sub: binary::BROADCAST_SUB, |x, c| call(&scalar::PLUS_SCALAR, &[x], &scalar::scalar(-c)), |c, x| call(&scalar::RMINUS_SCALAR, &[x], &scalar::scalar(c));
    Mul mul: binary::BROADCAST_MUL, |x, c| call(&scalar::MUL_SCALAR, &[x], &scalar::scalar(c)), |c, x| call(&scalar::MUL_SCALAR, &[x], &scalar::scalar(c));
}
