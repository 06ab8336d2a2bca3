//! Element-wise operators of an array and a number. The number is converted to the array's dtype first: integer arrays
//! stay integer, and 2.5 is 2 to them. Arithmetic that is told that the number is no integer gives float64 for them instead.

use super::binary::{HYPOT, MODULO};
use super::compare::{AND, OR, XOR};
use super::unary::{Reciprocal, Square};
use super::{Fn2, Fn2Scalar, check_divisor};
use crate::array::Array;
use crate::dtype::DType;
use crate::error::Result;
use crate::kernels::copy::cast;
use crate::kernels::map::{Map, map};
use crate::ops::def::{Keep, OpDef, Run};
use crate::ops::infer::{Types, same_type};
use crate::ops::params::Params;
use crate::ops::samples::{Case, Draw, Fill};
use crate::ops::vjp::Vjp;
use crate::simd::{Simd, math};

params! {
    /// The number of an operator between an array and a number.
    pub struct Scalar {
        scalar: f64 = 1.0, "the number";
        is_int: bool = true, "whether the number is an integer; if not, integer arrays give float64";
    }
}

/// Parameters with this number, which the array's dtype stands above.
pub fn scalar(x: f64) -> Params {
    Params::new(Scalar { scalar: x, is_int: true })
}

/// The number as the result's dtype has it.
fn number(r: &Run<'_>) -> f64 {
    use crate::dtype::Elem;
    let x = r.p::<Scalar>().scalar;
    with_dtype!(r.outs[0].dtype(), T => T::from_f64(x).to_f64())
}

/// Integers and a number that is none give float64; truth values count as int64.
fn arithmetic(t: &mut Types<'_>) -> Result<()> {
    if t.ins[0] == Some(DType::Bool) {
        t.outs[0] = Some(if t.params.get::<Scalar>().is_int { DType::I64 } else { DType::F64 });
        return Ok(());
    }
    if t.params.get::<Scalar>().is_int {
        return same_type(t);
    }
    match t.ins[0] {
        Some(d) if !d.is_float() => t.outs[0] = Some(DType::F64),
        Some(_) => return same_type(t),
        // A float64 result may come of integers too.
        None if t.outs[0] != Some(DType::F64) => return same_type(t),
        None => {}
    }
    Ok(())
}

trait WithScalar: Map {
    fn with(x: f64) -> Self;
}

fn run_with<K: Map>(r: &Run<'_>, k: K) -> Result<()> {
    let (x, y) = (r.ins[0].span(), r.outs[0].span());
    if x.dtype() == y.dtype() {
        map(k, x, y);
    } else {
        cast(x, y);
        map(k, y, y);
    }
    Ok(())
}

fn run_scalar<K: WithScalar>(r: &Run<'_>) -> Result<()> {
    run_with(r, K::with(number(r)))
}

/// Runs a function of an element and the number, or of the number and an element.
fn run_fn(r: &Run<'_>, f: Fn2, swap: bool) -> Result<()> {
    run_with(r, Fn2Scalar { f, c: number(r), swap })
}

/// Declares a kernel of an array `x` and a number `c`.
macro_rules! scalar_kernel {
    ($name:ident: |$s:ident, $x:ident, $c:ident| $lanes:expr $(, lanes64 |$s6:ident, $x6:ident, $c6:ident| $lanes64:expr)?,
     |$a:ident, $b:ident| $f64:expr $(, int |$i:ident, $j:ident| $int:expr)?) => {
        #[derive(Clone, Copy, Debug)]
        pub(super) struct $name(f64);
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
            $(#[inline(always)]
            fn int(self, $i: i64) -> Option<i64> { let $j = self.0 as i64; Some($int) })?
        }
    };
}

scalar_kernel!(PlusScalar: |_s, x, c| x + c, lanes64 |_s, x, c| x + c, |a, b| a + b, int |i, j| i.wrapping_add(j));
scalar_kernel!(MulScalar: |_s, x, c| x * c, lanes64 |_s, x, c| x * c, |a, b| a * b, int |i, j| i.wrapping_mul(j));
scalar_kernel!(DivScalar: |_s, x, c| x / c, lanes64 |_s, x, c| x / c, |a, b| a / b, int |i, j| if j == 0 { 0 } else { i.wrapping_div(j) });
scalar_kernel!(RdivScalar: |_s, x, c| c / x, lanes64 |_s, x, c| c / x, |a, b| b / a, int |i, j| if i == 0 { 0 } else { j.wrapping_div(i) });
scalar_kernel!(RminusScalar: |_s, x, c| c - x, lanes64 |_s, x, c| c - x, |a, b| b - a, int |i, j| j.wrapping_sub(i));
scalar_kernel!(MaxScalar: |s, x, c| s.select(s.is_nan(c), c, s.max(c, x)), lanes64 |s, x, c| s.select64(s.is_nan64(c), c, s.max64(c, x)),
    |a, b| if b.is_nan() || b > a { b } else { a }, int |i, j| i.max(j));
scalar_kernel!(MinScalar: |s, x, c| s.select(s.is_nan(c), c, s.min(c, x)), lanes64 |s, x, c| s.select64(s.is_nan64(c), c, s.min64(c, x)),
    |a, b| if b.is_nan() || b < a { b } else { a }, int |i, j| i.min(j));
scalar_kernel!(EqualScalar: |s, x, c| s.truth(s.eq(x, c)), lanes64 |s, x, c| s.truth64(s.eq64(x, c)),
    |a, b| f64::from(a == b), int |i, j| i64::from(i == j));
scalar_kernel!(NotEqualScalar: |s, x, c| s.truth(s.ne(x, c)), lanes64 |s, x, c| s.truth64(!s.eq64(x, c)),
    |a, b| f64::from(a != b), int |i, j| i64::from(i != j));
scalar_kernel!(GreaterScalar: |s, x, c| s.truth(s.lt(c, x)), lanes64 |s, x, c| s.truth64(s.lt64(c, x)),
    |a, b| f64::from(a > b), int |i, j| i64::from(i > j));
scalar_kernel!(GreaterEqualScalar: |s, x, c| s.truth(s.le(c, x)), lanes64 |s, x, c| s.truth64(s.le64(c, x)),
    |a, b| f64::from(a >= b), int |i, j| i64::from(i >= j));
scalar_kernel!(LessScalar: |s, x, c| s.truth(s.lt(x, c)), lanes64 |s, x, c| s.truth64(s.lt64(x, c)),
    |a, b| f64::from(a < b), int |i, j| i64::from(i < j));
scalar_kernel!(LessEqualScalar: |s, x, c| s.truth(s.le(x, c)), lanes64 |s, x, c| s.truth64(s.le64(x, c)),
    |a, b| f64::from(a <= b), int |i, j| i64::from(i <= j));

scalar_kernel!(PowerScalar: |s, x, c| math::pow(s, x, c), |a, b| a.powf(b));
scalar_kernel!(RpowerScalar: |s, x, c| math::pow(s, c, x), |a, b| b.powf(a));

/// `data - scalar`; the number is converted before it is negated, so that unsigned integers wrap the right way.
fn run_minus(r: &Run<'_>) -> Result<()> {
    run_with(r, PlusScalar(-number(r)))
}

fn run_div(r: &Run<'_>) -> Result<()> {
    let (c, dtype) = (number(r), r.outs[0].dtype());
    if c == 0.0 && !dtype.is_float() {
        bail!(Numeric, "integer division by zero, got scalar {} for {dtype}", r.p::<Scalar>().scalar);
    }
    run_with(r, DivScalar(c))
}

fn run_rdiv(r: &Run<'_>) -> Result<()> {
    if !r.outs[0].dtype().is_float() {
        check_divisor(r, 0)?;
    }
    run_scalar::<RdivScalar>(r)
}

/// Divides floating-point elements by a number that is not a parameter.
pub(super) fn divide(r: &Run<'_>, by: f64) -> Result<()> {
    run_with(r, DivScalar(by))
}

/// Squares and reciprocals need no power function.
fn run_power(r: &Run<'_>) -> Result<()> {
    match number(r) {
        2.0 => run_with(r, Square),
        -1.0 if r.outs[0].dtype().is_float() => run_with(r, Reciprocal),
        _ => run_scalar::<PowerScalar>(r),
    }
}

fn same(d: &Vjp<'_>) -> Result<Array> {
    Ok(d.grad().clone())
}

fn minus(d: &Vjp<'_>) -> Result<Array> {
    Ok(-d.grad())
}

fn c(d: &Vjp<'_>) -> f64 {
    d.p::<Scalar>().scalar
}

fn grad_power(d: &Vjp<'_>) -> Result<Array> {
    let slope = match c(d) {
        2.0 => d.input(0) * 2.0,
        c => d.input(0).pow(c - 1.0) * c,
    };
    Ok(d.grad() * slope)
}

fn draw(d: &mut Draw, fill: Fill, c: f64) -> Case {
    let dims = d.shape(1, 4);
    Case::new().input(&dims, fill).param("scalar", c)
}

fn any(d: &mut Draw) -> Case {
    let c = d.real(-2.0, 2.0);
    draw(d, Fill::Real(-2.0, 2.0, &[]), c)
}

/// Numbers on both sides of 0.75 but not near it, and 0.75.
fn beside(d: &mut Draw) -> Case {
    draw(d, Fill::Real(-2.0, 2.0, &[0.75]), 0.75)
}

fn positive(d: &mut Draw) -> Case {
    let c = d.pick(&[-2.0, -1.0, 0.5, 1.0, 2.0, 2.5, 3.0]);
    draw(d, Fill::Real(0.3, 2.5, &[]), c)
}

fn away(d: &mut Draw) -> Case {
    let c = d.pick(&[-1.5, 0.5, 2.0]);
    draw(d, Fill::Real(-2.0, 2.0, &[0.0, 0.1, -0.1, 0.2, -0.2]), c)
}

fn base(d: &mut Draw) -> Case {
    let c = d.pick(&[0.5, 1.5, 2.0]);
    draw(d, Fill::Real(-2.0, 2.0, &[]), c)
}

/// Remainders of 3: kinks at multiples of it.
fn remainder(d: &mut Draw) -> Case {
    draw(d, Fill::Real(-5.0, 5.0, &[-3.0, 0.0, 3.0]), 3.0)
}

/// Remainders of 3 divided by something: kinks where that is 3/n.
fn remainder_of(d: &mut Draw) -> Case {
    draw(d, Fill::Real(1.1, 4.0, &[1.5, 3.0]), 3.0)
}

const STEP: &str = "piecewise constant";

table! {
    PLUS_SCALAR = OpDef::map("_plus_scalar", run_scalar::<PlusScalar>).aliases(&["_PlusScalar"]).params::<Scalar>().dtype(arithmetic).truths()
        .doc("Adds a number to every element, `data + scalar`.").vjp1(Keep::NOTHING, same).cases(any);
    MINUS_SCALAR = OpDef::map("_minus_scalar", run_minus).aliases(&["_MinusScalar"]).params::<Scalar>().dtype(arithmetic).truths()
        .doc("Subtracts a number from every element, `data - scalar`.").vjp1(Keep::NOTHING, same).cases(any);
    RMINUS_SCALAR = OpDef::map("_rminus_scalar", run_scalar::<RminusScalar>).aliases(&["_RMinusScalar"]).params::<Scalar>().dtype(arithmetic).truths()
        .doc("Subtracts every element from a number, `scalar - data`.").vjp1(Keep::NOTHING, minus).cases(any);
    MUL_SCALAR = OpDef::map("_mul_scalar", run_scalar::<MulScalar>).aliases(&["_MulScalar"]).params::<Scalar>().dtype(arithmetic).truths()
        .doc("Multiplies every element by a number, `data * scalar`.")
        .vjp1(Keep::NOTHING, |d| Ok(d.grad() * c(d))).cases(any);
    DIV_SCALAR = OpDef::map("_div_scalar", run_div).aliases(&["_DivScalar"]).params::<Scalar>().dtype(arithmetic).truths()
        .doc("Divides every element by a number, `data / scalar`. Integers truncate toward zero; a number that is 0 as an \
              integer is an error for them.")
        .vjp1(Keep::NOTHING, |d| Ok(d.grad() / c(d))).cases(away);
    RDIV_SCALAR = OpDef::map("_rdiv_scalar", run_rdiv).aliases(&["_RDivScalar"]).params::<Scalar>().dtype(arithmetic).truths()
        .doc("Divides a number by every element, `scalar / data`. Integers truncate toward zero; an integer 0 is an error.")
        .vjp1(Keep::ALL, |d| Ok(-(d.grad() * (d.out() / d.input(0))))).cases(away);
    MOD_SCALAR = OpDef::map("_mod_scalar", |r| run_fn(r, MODULO, false)).aliases(&["_ModScalar"]).params::<Scalar>().dtype(arithmetic).truths()
        .doc("Remainder of every element and a number, with the sign of the number; 0 for the number 0.")
        .vjp1(Keep::NOTHING, same).cases(remainder);
    RMOD_SCALAR = OpDef::map("_rmod_scalar", |r| run_fn(r, MODULO, true)).aliases(&["_RModScalar"]).params::<Scalar>().dtype(arithmetic).truths()
        .doc("Remainder of a number and every element, with the sign of the element; 0 for an element 0.")
        .vjp1(Keep::INPUTS, |d| Ok(-(d.grad() * (c(d) / d.input(0)).floor()))).cases(remainder_of);
    POWER_SCALAR = OpDef::map("_power_scalar", run_power).aliases(&["_PowerScalar"]).params::<Scalar>().dtype(arithmetic).truths()
        .doc("Every element to the power of a number, `data ^ scalar`.").vjp1(Keep::INPUTS, grad_power).cases(positive);
    RPOWER_SCALAR = OpDef::map("_rpower_scalar", run_scalar::<RpowerScalar>).aliases(&["_RPowerScalar"]).params::<Scalar>().dtype(arithmetic).truths()
        .doc("A number to the power of every element, `scalar ^ data`.")
        .vjp1(Keep::OUTPUTS, |d| Ok(d.grad() * (d.out() * c(d).ln()))).cases(base);
    MAXIMUM_SCALAR = OpDef::map("_maximum_scalar", run_scalar::<MaxScalar>).aliases(&["_MaximumScalar"]).params::<Scalar>().dtype(arithmetic).truths()
        .doc("The larger of every element and a number. The derivative of a tie is 1.")
        .vjp1(Keep::INPUTS, |d| Ok(d.grad() * d.input(0).ge(c(d)))).cases(beside);
    MINIMUM_SCALAR = OpDef::map("_minimum_scalar", run_scalar::<MinScalar>).aliases(&["_MinimumScalar"]).params::<Scalar>().dtype(arithmetic).truths()
        .doc("The smaller of every element and a number. The derivative of a tie is 1.")
        .vjp1(Keep::INPUTS, |d| Ok(d.grad() * d.input(0).le(c(d)))).cases(beside);
    HYPOT_SCALAR = OpDef::map("_hypot_scalar", |r| run_fn(r, HYPOT, false)).aliases(&["_HypotScalar"]).params::<Scalar>().dtype(arithmetic).truths()
        .doc("`sqrt(data² + scalar²)` of every element.")
        .vjp1(Keep::ALL, |d| Ok(d.grad() * (d.input(0) / d.out()))).cases(away);
    EQUAL_SCALAR = OpDef::map("_equal_scalar", run_scalar::<EqualScalar>).aliases(&["_EqualScalar"]).params::<Scalar>().dtype(arithmetic).truths()
        .doc("1 where an element equals a number, else 0.").zero_gradient(STEP).cases(beside);
    NOT_EQUAL_SCALAR = OpDef::map("_not_equal_scalar", run_scalar::<NotEqualScalar>).aliases(&["_NotEqualScalar"]).params::<Scalar>().dtype(arithmetic).truths()
        .doc("1 where an element differs from a number, else 0.").zero_gradient(STEP).cases(beside);
    GREATER_SCALAR = OpDef::map("_greater_scalar", run_scalar::<GreaterScalar>).aliases(&["_GreaterScalar"]).params::<Scalar>().dtype(arithmetic).truths()
        .doc("1 where an element is above a number, else 0.").zero_gradient(STEP).cases(beside);
    GREATER_EQUAL_SCALAR = OpDef::map("_greater_equal_scalar", run_scalar::<GreaterEqualScalar>)
        .aliases(&["_GreaterEqualScalar"]).params::<Scalar>().dtype(arithmetic).truths()
        .doc("1 where an element is not below a number, else 0.").zero_gradient(STEP).cases(beside);
    LESSER_SCALAR = OpDef::map("_lesser_scalar", run_scalar::<LessScalar>).aliases(&["_LesserScalar"]).params::<Scalar>().dtype(arithmetic).truths()
        .doc("1 where an element is below a number, else 0.").zero_gradient(STEP).cases(beside);
    LESSER_EQUAL_SCALAR = OpDef::map("_lesser_equal_scalar", run_scalar::<LessEqualScalar>)
        .aliases(&["_LesserEqualScalar"]).params::<Scalar>().dtype(arithmetic).truths()
        .doc("1 where an element is not above a number, else 0.").zero_gradient(STEP).cases(beside);
    LOGICAL_AND_SCALAR = OpDef::map("_logical_and_scalar", |r| run_fn(r, AND, false)).aliases(&["_LogicalAndScalar"]).params::<Scalar>().dtype(arithmetic).truths()
        .doc("1 where neither an element nor the number is 0, else 0.").zero_gradient(STEP).cases(away);
    LOGICAL_OR_SCALAR = OpDef::map("_logical_or_scalar", |r| run_fn(r, OR, false)).aliases(&["_LogicalOrScalar"]).params::<Scalar>().dtype(arithmetic).truths()
        .doc("1 where an element or the number is not 0, else 0.").zero_gradient(STEP).cases(away);
    LOGICAL_XOR_SCALAR = OpDef::map("_logical_xor_scalar", |r| run_fn(r, XOR, false)).aliases(&["_LogicalXorScalar"]).params::<Scalar>().dtype(arithmetic).truths()
        .doc("1 where exactly one of an element and the number is not 0, else 0.").zero_gradient(STEP).cases(away);
    SCATTER_PLUS = OpDef::map("_scatter_plus_scalar", run_scalar::<PlusScalar>).params::<Scalar>().dtype(arithmetic).truths()
        .doc("Adds a number to every element; upstream does so only where a sparse array has values.")
        .vjp1(Keep::NOTHING, same).cases(any);
    SCATTER_MINUS = OpDef::map("_scatter_minus_scalar", run_minus).params::<Scalar>().dtype(arithmetic).truths()
        .doc("Subtracts a number from every element; upstream does so only where a sparse array has values.")
        .vjp1(Keep::NOTHING, same).cases(any);
}
