//! Arithmetic of two arrays: `broadcast_*` stretch axes of 1, the others want one shape.

use super::{Fn2, check_divisor, run_zip, zip_kernel, zip_with};
use crate::error::Result;
use crate::ops::def::{Epilogue, Keep, OpDef, Run};
use crate::ops::vjp::{Grads, Vjp, grads};
use crate::simd::math;
use smallvec::smallvec;

zip_kernel!(Add: |_s, x, y| x + y, lanes64 |_s, x, y| x + y, |a, b| a + b, int |i, j| i.wrapping_add(j));
zip_kernel!(Sub: |_s, x, y| x - y, lanes64 |_s, x, y| x - y, |a, b| a - b, int |i, j| i.wrapping_sub(j));
zip_kernel!(Mul: |_s, x, y| x * y, lanes64 |_s, x, y| x * y, |a, b| a * b, int |i, j| i.wrapping_mul(j));
zip_kernel!(
    /// Integers: toward zero; the caller has refused zeros.
    Div: |_s, x, y| x / y, lanes64 |_s, x, y| x / y, |a, b| a / b, int |i, j| if j == 0 { 0 } else { i.wrapping_div(j) });
zip_kernel!(
    /// NaN where either is.
    Max: |s, x, y| s.select(s.is_nan(x), x, s.max(x, y)), lanes64 |s, x, y| s.select64(s.is_nan64(x), x, s.max64(x, y)),
    |a, b| if a.is_nan() || a > b { a } else { b }, int |i, j| i.max(j));
zip_kernel!(
    /// NaN where either is.
    Min: |s, x, y| s.select(s.is_nan(x), x, s.min(x, y)), lanes64 |s, x, y| s.select64(s.is_nan64(x), x, s.min64(x, y)),
    |a, b| if a.is_nan() || a < b { a } else { b }, int |i, j| i.min(j));

zip_kernel!(
    /// Integers go through float64 and truncate: `2^-1` is 0.
    Power: |s, x, y| math::pow(s, x, y), |a, b| a.powf(b));

/// The remainder with the sign of the divisor, 0 for the divisor 0.
fn modulo(a: f64, b: f64) -> f64 {
    if b == 0.0 {
        return 0.0;
    }
    let r = a % b;
    if r != 0.0 && (r < 0.0) != (b < 0.0) { r + b } else { r }
}

fn modulo32(a: f32, b: f32) -> f32 {
    if b == 0.0 {
        return 0.0;
    }
    let r = a % b;
    if r != 0.0 && (r < 0.0) != (b < 0.0) { r + b } else { r }
}

fn modulo_int(a: i64, b: i64) -> i64 {
    if b == 0 {
        return 0;
    }
    let r = a.wrapping_rem(b);
    if r != 0 && (r < 0) != (b < 0) { r + b } else { r }
}

pub(super) const MODULO: Fn2 = Fn2 { f32: modulo32, f64: modulo, int: Some(modulo_int) };
pub(super) const HYPOT: Fn2 = Fn2 { f32: f32::hypot, f64: f64::hypot, int: None };

fn run_div(r: &Run<'_>) -> Result<()> {
    check_divisor(r, 1)?;
    run_zip::<Div>(r)
}

fn run_mod(r: &Run<'_>) -> Result<()> {
    zip_with(MODULO, r);
    Ok(())
}

fn run_hypot(r: &Run<'_>) -> Result<()> {
    zip_with(HYPOT, r);
    Ok(())
}

fn grad_add(d: &Vjp<'_>) -> Result<Grads> {
    Ok(smallvec![Some(d.grad().clone()), Some(d.grad().clone())])
}

fn grad_sub(d: &Vjp<'_>) -> Result<Grads> {
    grads(d, [&|d| d.grad().clone(), &|d| -d.grad()])
}

fn grad_mul(d: &Vjp<'_>) -> Result<Grads> {
    grads(d, [&|d| d.grad() * d.input(1), &|d| d.grad() * d.input(0)])
}

fn grad_div(d: &Vjp<'_>) -> Result<Grads> {
    grads(d, [&|d| d.grad() / d.input(1), &|d| -(d.grad() * d.out() / d.input(1))])
}

fn grad_mod(d: &Vjp<'_>) -> Result<Grads> {
    grads(d, [&|d| d.grad().clone(), &|d| -(d.grad() * (d.input(0) / d.input(1)).floor())])
}

fn grad_power(d: &Vjp<'_>) -> Result<Grads> {
    let base = |d: &Vjp<'_>| d.grad() * (d.input(1) * d.input(0).power(&(d.input(1) - 1.0)));
    grads(d, [&base, &|d| d.grad() * (d.out() * d.input(0).log())])
}

fn grad_max(d: &Vjp<'_>) -> Result<Grads> {
    let (a, b) = (|d: &Vjp<'_>| d.input(0).clone(), |d: &Vjp<'_>| d.input(1).clone());
    grads(d, [&|d| d.grad() * a(d).array_ge(&b(d)), &|d| d.grad() * a(d).array_lt(&b(d))])
}

fn grad_min(d: &Vjp<'_>) -> Result<Grads> {
    let (a, b) = (|d: &Vjp<'_>| d.input(0).clone(), |d: &Vjp<'_>| d.input(1).clone());
    grads(d, [&|d| d.grad() * a(d).array_le(&b(d)), &|d| d.grad() * a(d).array_gt(&b(d))])
}

fn grad_hypot(d: &Vjp<'_>) -> Result<Grads> {
    grads(d, [&|d| d.grad() * (d.input(0) / d.out()), &|d| d.grad() * (d.input(1) / d.out())])
}

const POWER_SAMPLES: (f64, f64) = (0.3, 2.5);
/// Quotients near an integer are kinks of the remainder; samples of this kind have none.
const SAME_INT: &str = "a kink wherever the quotient is an integer";

table! {
    BROADCAST_ADD = OpDef::broadcast("broadcast_add", run_zip::<Add>)
        .aliases(&["broadcast_plus", "_sparse_broadcast_add", "_sparse_broadcast_plus"])
        .doc("Sum of two arrays, `lhs + rhs`; axes of 1 are stretched.").epilogue(|_| Some(Epilogue::Add))
        .vjp(Keep::NOTHING, grad_add).samples(-2.0, 2.0);
    BROADCAST_SUB = OpDef::broadcast("broadcast_sub", run_zip::<Sub>)
        .aliases(&["broadcast_minus", "_sparse_broadcast_sub", "_sparse_broadcast_minus"])
        .doc("Difference of two arrays, `lhs - rhs`; axes of 1 are stretched.")
        .vjp(Keep::NOTHING, grad_sub).samples(-2.0, 2.0);
    BROADCAST_MUL = OpDef::broadcast("broadcast_mul", run_zip::<Mul>).aliases(&["_sparse_broadcast_mul"])
        .doc("Product of two arrays, element by element, `lhs * rhs`; axes of 1 are stretched.")
        .vjp(Keep::INPUTS, grad_mul).samples(-2.0, 2.0);
    BROADCAST_DIV = OpDef::broadcast("broadcast_div", run_div).aliases(&["_sparse_broadcast_div"])
        .doc("Quotient of two arrays, `lhs / rhs`; axes of 1 are stretched. Integers truncate toward zero; an integer divisor 0 \
              is an error.")
        .vjp(Keep::input(1).and(Keep::OUTPUTS), grad_div).samples_away(-2.0, 2.0, &[0.0, 0.1, -0.1, 0.2, -0.2]);
    BROADCAST_MOD = OpDef::broadcast("broadcast_mod", run_mod)
        .doc("Remainder of two arrays with the sign of the divisor; axes of 1 are stretched. A divisor 0 gives 0.")
        .vjp(Keep::INPUTS, grad_mod).no_samples(SAME_INT);
    BROADCAST_POWER = OpDef::broadcast("broadcast_power", run_zip::<Power>)
        .doc("Power, `lhs ^ rhs`; axes of 1 are stretched.")
        .vjp(Keep::ALL, grad_power).samples(POWER_SAMPLES.0, POWER_SAMPLES.1);
    BROADCAST_MAXIMUM = OpDef::broadcast("broadcast_maximum", run_zip::<Max>)
        .doc("The larger of two elements; axes of 1 are stretched. NaN wins; the gradient of a tie goes to `lhs`.")
        .vjp(Keep::INPUTS, grad_max).samples(-2.0, 2.0);
    BROADCAST_MINIMUM = OpDef::broadcast("broadcast_minimum", run_zip::<Min>)
        .doc("The smaller of two elements; axes of 1 are stretched. NaN wins; the gradient of a tie goes to `lhs`.")
        .vjp(Keep::INPUTS, grad_min).samples(-2.0, 2.0);
    BROADCAST_HYPOT = OpDef::broadcast("broadcast_hypot", run_hypot)
        .doc("Length of the vector of two elements, `sqrt(lhs² + rhs²)`; axes of 1 are stretched.")
        .vjp(Keep::ALL, grad_hypot).samples_away(-2.0, 2.0, &[0.0]);
    ELEMWISE_ADD = OpDef::zip("elemwise_add", run_zip::<Add>)
        .aliases(&["_plus", "_add", "_Plus", "_grad_add", "_sparse_elemwise_add"])
        .doc("Sum of two arrays of one shape, `lhs + rhs`.").epilogue(|_| Some(Epilogue::Add))
        .vjp(Keep::NOTHING, grad_add).samples(-2.0, 2.0);
    ELEMWISE_SUB = OpDef::zip("elemwise_sub", run_zip::<Sub>)
        .aliases(&["_minus", "_sub", "_Minus", "_sparse_elemwise_sub"])
        .doc("Difference of two arrays of one shape, `lhs - rhs`.")
        .vjp(Keep::NOTHING, grad_sub).samples(-2.0, 2.0);
    ELEMWISE_MUL = OpDef::zip("elemwise_mul", run_zip::<Mul>)
        .aliases(&["_mul", "_Mul", "_sparse_elemwise_mul"])
        .doc("Product of two arrays of one shape, element by element.")
        .vjp(Keep::INPUTS, grad_mul).samples(-2.0, 2.0);
    ELEMWISE_DIV = OpDef::zip("elemwise_div", run_div)
        .aliases(&["_div", "_Div", "_sparse_elemwise_div"])
        .doc("Quotient of two arrays of one shape. Integers truncate toward zero; an integer divisor 0 is an error.")
        .vjp(Keep::input(1).and(Keep::OUTPUTS), grad_div).samples_away(-2.0, 2.0, &[0.0, 0.1, -0.1, 0.2, -0.2]);
    MOD = OpDef::zip("_mod", run_mod).aliases(&["_Mod"])
        .doc("Remainder of two arrays of one shape with the sign of the divisor. A divisor 0 gives 0.")
        .vjp(Keep::INPUTS, grad_mod).no_samples(SAME_INT);
    POWER_SAME = OpDef::zip("_power", run_zip::<Power>).aliases(&["_Power"])
        .doc("Power of two arrays of one shape, `lhs ^ rhs`.")
        .vjp(Keep::ALL, grad_power).samples(POWER_SAMPLES.0, POWER_SAMPLES.1);
    MAXIMUM = OpDef::zip("_maximum", run_zip::<Max>).aliases(&["_Maximum"])
        .doc("The larger of two elements of arrays of one shape. NaN wins; the gradient of a tie goes to `lhs`.")
        .vjp(Keep::INPUTS, grad_max).samples(-2.0, 2.0);
    MINIMUM = OpDef::zip("_minimum", run_zip::<Min>).aliases(&["_Minimum"])
        .doc("The smaller of two elements of arrays of one shape. NaN wins; the gradient of a tie goes to `lhs`.")
        .vjp(Keep::INPUTS, grad_min).samples(-2.0, 2.0);
    HYPOT_SAME = OpDef::zip("_hypot", run_hypot).aliases(&["_Hypot"])
        .doc("`sqrt(lhs² + rhs²)` of two arrays of one shape.")
        .vjp(Keep::ALL, grad_hypot).samples_away(-2.0, 2.0, &[0.0]);
    SCATTER_DIV = OpDef::zip("_scatter_elemwise_div", run_div)
        .doc("Quotient of two arrays of one shape; upstream computes it only where a sparse `lhs` has values.")
        .vjp(Keep::input(1).and(Keep::OUTPUTS), grad_div).samples_away(-2.0, 2.0, &[0.0, 0.1, -0.1, 0.2, -0.2]);
}
