//! Arithmetic on arrays as Rust writes it: `&a * &b + 1.0`. Everything goes through the single door and is recorded.
//!
//! Operators cannot return a `Result`. On a mistake they panic with its text; inside a gradient rule the tape turns the
//! mistake into the error of the backward pass. [`invoke`] is the form that returns errors.

use crate::array::Array;
use crate::backward::{Options, grad_between, raise};
use crate::dtype::DType;
use crate::error::Result;
use crate::invoke::invoke;
use crate::ops::def::OpDef;
use crate::ops::elementwise::{
    binary, compare, exponential, identity, mixed, rounding, scalar, select, special, trigonometric, unary,
};
use crate::ops::params::{ParamSet, Params};
use crate::ops::vjp::{Grads, Vjp};
use std::ops::{Add, Div, Mul, Neg, Sub};

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
    Sub sub: binary::BROADCAST_SUB, |x, c| call(&scalar::MINUS_SCALAR, &[x], &scalar::scalar(c)), |c, x| call(&scalar::RMINUS_SCALAR, &[x], &scalar::scalar(c));
    Mul mul: binary::BROADCAST_MUL, |x, c| call(&scalar::MUL_SCALAR, &[x], &scalar::scalar(c)), |c, x| call(&scalar::MUL_SCALAR, &[x], &scalar::scalar(c));
    Div div: binary::BROADCAST_DIV, |x, c| call(&scalar::DIV_SCALAR, &[x], &scalar::scalar(c)), |c, x| call(&scalar::RDIV_SCALAR, &[x], &scalar::scalar(c));
}

/// Calls an operator without parameters.
fn plain(op: &'static OpDef, ins: &[&Array]) -> Array {
    call(op, ins, &Params::NONE)
}

macro_rules! methods {
    ($($(#[$m:meta])* $name:ident($($arg:ident),*) = $op:path;)*) => {
        impl Array {$(
            $(#[$m])*
            #[must_use]
            pub fn $name(&self, $($arg: &Array),*) -> Array { plain(&$op, &[self, $($arg),*]) }
        )*}
    };
}

methods! {
    /// Exponential of every element.
    exp() = exponential::EXP;
    /// `e^x - 1` of every element.
    expm1() = exponential::EXPM1;
    /// Natural logarithm of every element.
    log() = exponential::LOG;
    /// `log(1 + x)` of every element.
    log1p() = exponential::LOG1P;
    /// Square root of every element.
    sqrt() = unary::SQRT;
    /// `1/sqrt(x)` of every element.
    rsqrt() = unary::RSQRT;
    /// Square of every element.
    square() = unary::SQUARE;
    /// `1/x` of every element.
    reciprocal() = unary::RECIPROCAL;
    /// Magnitude of every element.
    abs() = unary::ABS;
    /// -1, 0 or 1 for every element.
    sign() = unary::SIGN;
    /// `max(x, 0)` of every element.
    relu() = unary::RELU;
    /// Logistic function of every element.
    sigmoid() = unary::SIGMOID;
    /// `log(1 + e^x)` of every element.
    softrelu() = unary::SOFTRELU;
    /// 1 where an element is 0, else 0.
    logical_not() = unary::LOGICAL_NOT;
    /// Largest integer not above every element.
    floor() = rounding::FLOOR;
    /// Smallest integer not below every element.
    ceil() = rounding::CEIL;
    /// Sine of every element.
    sin() = trigonometric::SIN;
    /// Cosine of every element.
    cos() = trigonometric::COS;
    /// Hyperbolic sine of every element.
    sinh() = trigonometric::SINH;
    /// Hyperbolic cosine of every element.
    cosh() = trigonometric::COSH;
    /// Hyperbolic tangent of every element.
    tanh() = trigonometric::TANH;
    /// Error function of every element.
    erf() = special::ERF;
    /// Zeros of the same shape and dtype.
    zeros_like() = identity::ZEROS_LIKE;
    /// Ones of the same shape and dtype.
    ones_like() = identity::ONES_LIKE;
    /// The same values, cut off from the tape.
    stop_gradient() = identity::BLOCK_GRAD;
    /// Power of two arrays; broadcasts.
    power(exponent) = binary::BROADCAST_POWER;
    /// The larger of two elements; broadcasts.
    maximum(other) = binary::BROADCAST_MAXIMUM;
    /// The smaller of two elements; broadcasts.
    minimum(other) = binary::BROADCAST_MINIMUM;
    /// 1 where the elements are equal; broadcasts.
    array_eq(other) = compare::BROADCAST_EQUAL;
    /// 1 where the elements differ; broadcasts.
    array_ne(other) = compare::BROADCAST_NOT_EQUAL;
    /// 1 where this element is larger; broadcasts.
    array_gt(other) = compare::BROADCAST_GREATER;
    /// 1 where this element is not smaller; broadcasts.
    array_ge(other) = compare::BROADCAST_GREATER_EQUAL;
    /// 1 where this element is smaller; broadcasts.
    array_lt(other) = compare::BROADCAST_LESSER;
    /// 1 where this element is not larger; broadcasts.
    array_le(other) = compare::BROADCAST_LESSER_EQUAL;
    /// With this array as the condition: elements of `x` where it is not 0, elements of `y` elsewhere.
    choose(x, y) = select::WHERE;
}

macro_rules! scalar_methods {
    ($($(#[$m:meta])* $name:ident = $op:path;)*) => {
        impl Array {$(
            $(#[$m])*
            #[must_use]
            pub fn $name(&self, x: f64) -> Array { call(&$op, &[self], &scalar::scalar(x)) }
        )*}
    };
}

scalar_methods! {
    /// Every element to a power.
    pow = scalar::POWER_SCALAR;
    /// The larger of every element and a number.
    max_with = scalar::MAXIMUM_SCALAR;
    /// The smaller of every element and a number.
    min_with = scalar::MINIMUM_SCALAR;
    /// 1 where an element equals a number.
    eq_to = scalar::EQUAL_SCALAR;
    /// 1 where an element differs from a number.
    ne_to = scalar::NOT_EQUAL_SCALAR;
    /// 1 where an element is above a number.
    gt = scalar::GREATER_SCALAR;
    /// 1 where an element is not below a number.
    ge = scalar::GREATER_EQUAL_SCALAR;
    /// 1 where an element is below a number.
    lt = scalar::LESSER_SCALAR;
    /// 1 where an element is not above a number.
    le = scalar::LESSER_EQUAL_SCALAR;
}

impl Array {
    /// 1 where an element lies in the closed interval, else 0.
    #[must_use]
    pub fn between(&self, low: f64, high: f64) -> Array {
        call(&select::BETWEEN, &[self], &select::interval(low, high))
    }

    /// The elements converted to another dtype; the array itself when it has that dtype.
    #[must_use]
    pub fn cast(&self, dtype: DType) -> Array {
        if dtype == self.dtype() {
            return self.clone();
        }
        call(&identity::CAST, &[self], &identity::cast_to(dtype))
    }
}

/// The sum of arrays of one shape; errors when there are none.
pub fn sum_of(arrays: &[&Array]) -> Array {
    call(&mixed::ADD_N, arrays, &mixed::summands(arrays.len()))
}

/// The gradients of a call by going back over recorded calls that compute the same: for rules whose kernel has no gradient, when the
/// backward pass is itself recorded. `compose` makes the visible outputs from the inputs.
pub fn gradients_of(d: &Vjp<'_>, compose: impl FnOnce(&[Array]) -> Result<Vec<Array>>) -> Result<Grads> {
    // Copies are variables of their own, also where one array is given twice.
    let input =
        |i: usize| if d.needs(i) { plain(&identity::COPY, &[d.input(i)]) } else { d.input(i).detach() };
    let ins: Vec<Array> = (0..d.num_inputs()).map(input).collect();
    let outs = compose(&ins)?;
    let reached = |i: &usize| outs[*i].has_edge() && d.grad_of(*i).is_some();
    let chosen: Vec<usize> = (0..outs.len()).filter(reached).collect();
    let heads: Vec<&Array> = chosen.iter().map(|&i| &outs[i]).collect();
    let grads: Vec<Option<&Array>> = chosen.iter().map(|&i| d.grad_of(i)).collect();
    let options = Options { create_graph: true, train_mode: d.pass_training, ..Options::default() };
    Ok(grad_between(&heads, &grads, &ins.iter().collect::<Vec<_>>(), options)?.into_iter().collect())
}
