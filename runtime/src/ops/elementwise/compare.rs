//! Comparisons and logic of two arrays. Results are 0 and 1 in the dtype of the inputs.

use super::{Fn2, run_zip, zip_kernel, zip_with};
use crate::error::Result;
use crate::ops::def::{OpDef, Run};
use crate::tensor::Tensor;

zip_kernel!(Equal: |s, x, y| s.truth(s.eq(x, y)), lanes64 |s, x, y| s.truth64(s.eq64(x, y)),
    |a, b| f64::from(a == b), int |i, j| i64::from(i == j));
zip_kernel!(NotEqual: |s, x, y| s.truth(s.ne(x, y)), lanes64 |s, x, y| s.truth64(!s.eq64(x, y)),
    |a, b| f64::from(a != b), int |i, j| i64::from(i != j));
zip_kernel!(Less: |s, x, y| s.truth(s.lt(x, y)), lanes64 |s, x, y| s.truth64(s.lt64(x, y)),
    |a, b| f64::from(a < b), int |i, j| i64::from(i < j));
zip_kernel!(LessEqual: |s, x, y| s.truth(s.le(x, y)), lanes64 |s, x, y| s.truth64(s.le64(x, y)),
    |a, b| f64::from(a <= b), int |i, j| i64::from(i <= j));

/// The operands the other way round: `a > b` is `b < a`.
fn swapped(r: &Run<'_>, run: fn(&Run<'_>) -> Result<()>) -> Result<()> {
    let ins: [&Tensor; 2] = [r.ins[1], r.ins[0]];
    run(&Run { ins: &ins, ..*r })
}

fn run_greater(r: &Run<'_>) -> Result<()> {
    swapped(r, run_zip::<Less>)
}

fn run_greater_equal(r: &Run<'_>) -> Result<()> {
    swapped(r, run_zip::<LessEqual>)
}

macro_rules! logic {
    ($name:ident, $run:ident: |$a:ident, $b:ident| $e:expr) => {
        pub(super) const $name: Fn2 = Fn2 {
            f32: |x, y| {
                let ($a, $b) = (x != 0.0, y != 0.0);
                f32::from(u8::from($e))
            },
            f64: |x, y| {
                let ($a, $b) = (x != 0.0, y != 0.0);
                f64::from($e)
            },
            int: Some(|x, y| {
                let ($a, $b) = (x != 0, y != 0);
                i64::from($e)
            }),
        };
        fn $run(r: &Run<'_>) -> Result<()> {
            zip_with($name, r);
            Ok(())
        }
    };
}
logic!(AND, run_and: |a, b| a && b);
logic!(OR, run_or: |a, b| a || b);
logic!(XOR, run_xor: |a, b| a != b);

const STEP: &str = "piecewise constant";

table! {
    BROADCAST_EQUAL = OpDef::broadcast("broadcast_equal", run_zip::<Equal>)
        .doc("1 where `lhs == rhs`, else 0; axes of 1 are stretched.").zero_gradient(STEP).samples(-2.0, 2.0);
    BROADCAST_NOT_EQUAL = OpDef::broadcast("broadcast_not_equal", run_zip::<NotEqual>)
        .doc("1 where `lhs != rhs`, else 0; axes of 1 are stretched.").zero_gradient(STEP).samples(-2.0, 2.0);
    BROADCAST_GREATER = OpDef::broadcast("broadcast_greater", run_greater)
        .doc("1 where `lhs > rhs`, else 0; axes of 1 are stretched.").zero_gradient(STEP).samples(-2.0, 2.0);
    BROADCAST_GREATER_EQUAL = OpDef::broadcast("broadcast_greater_equal", run_greater_equal)
        .doc("1 where `lhs >= rhs`, else 0; axes of 1 are stretched.").zero_gradient(STEP).samples(-2.0, 2.0);
    BROADCAST_LESSER = OpDef::broadcast("broadcast_lesser", run_zip::<Less>)
        .doc("1 where `lhs < rhs`, else 0; axes of 1 are stretched.").zero_gradient(STEP).samples(-2.0, 2.0);
    BROADCAST_LESSER_EQUAL = OpDef::broadcast("broadcast_lesser_equal", run_zip::<LessEqual>)
        .doc("1 where `lhs <= rhs`, else 0; axes of 1 are stretched.").zero_gradient(STEP).samples(-2.0, 2.0);
    BROADCAST_LOGICAL_AND = OpDef::broadcast("broadcast_logical_and", run_and)
        .doc("1 where neither element is 0, else 0; axes of 1 are stretched.").zero_gradient(STEP).samples_away(-2.0, 2.0, &[0.0]);
    BROADCAST_LOGICAL_OR = OpDef::broadcast("broadcast_logical_or", run_or)
        .doc("1 where an element is not 0, else 0; axes of 1 are stretched.").zero_gradient(STEP).samples_away(-2.0, 2.0, &[0.0]);
    BROADCAST_LOGICAL_XOR = OpDef::broadcast("broadcast_logical_xor", run_xor)
        .doc("1 where exactly one element is not 0, else 0; axes of 1 are stretched.")
        .zero_gradient(STEP).samples_away(-2.0, 2.0, &[0.0]);
    EQUAL = OpDef::zip("_equal", run_zip::<Equal>).aliases(&["_Equal"])
        .doc("1 where `lhs == rhs`, else 0.").zero_gradient(STEP).samples(-2.0, 2.0);
    NOT_EQUAL = OpDef::zip("_not_equal", run_zip::<NotEqual>).aliases(&["_Not_Equal"])
        .doc("1 where `lhs != rhs`, else 0.").zero_gradient(STEP).samples(-2.0, 2.0);
    GREATER = OpDef::zip("_greater", run_greater).aliases(&["_Greater"])
        .doc("1 where `lhs > rhs`, else 0.").zero_gradient(STEP).samples(-2.0, 2.0);
    GREATER_EQUAL = OpDef::zip("_greater_equal", run_greater_equal).aliases(&["_Greater_Equal"])
        .doc("1 where `lhs >= rhs`, else 0.").zero_gradient(STEP).samples(-2.0, 2.0);
    LESSER = OpDef::zip("_lesser", run_zip::<Less>).aliases(&["_Lesser"])
        .doc("1 where `lhs < rhs`, else 0.").zero_gradient(STEP).samples(-2.0, 2.0);
    LESSER_EQUAL = OpDef::zip("_lesser_equal", run_zip::<LessEqual>).aliases(&["_Lesser_Equal"])
        .doc("1 where `lhs <= rhs`, else 0.").zero_gradient(STEP).samples(-2.0, 2.0);
    LOGICAL_AND = OpDef::zip("_logical_and", run_and).aliases(&["_Logical_And"])
        .doc("1 where neither element is 0, else 0.").zero_gradient(STEP).samples_away(-2.0, 2.0, &[0.0]);
    LOGICAL_OR = OpDef::zip("_logical_or", run_or).aliases(&["_Logical_Or"])
        .doc("1 where an element is not 0, else 0.").zero_gradient(STEP).samples_away(-2.0, 2.0, &[0.0]);
    LOGICAL_XOR = OpDef::zip("_logical_xor", run_xor).aliases(&["_Logical_Xor"])
        .doc("1 where exactly one element is not 0, else 0.").zero_gradient(STEP).samples_away(-2.0, 2.0, &[0.0]);
}
