//! Rounding, in the six ways that MXNet has, and roundings that pass gradients through.

use super::unary::Sign;
use super::{map_kernel, run_map};
use crate::ops::def::{Keep, OpDef};

map_kernel!(Floor: |s, x| s.floor(x), |x| x.floor(), int |i| i);
map_kernel!(Ceil: |s, x| s.ceil(x), |x| x.ceil(), int |i| i);
map_kernel!(Trunc: |s, x| s.trunc(x), |x| x.trunc(), int |i| i);
map_kernel!(
    /// Nearest integer, halves down: 0.5 is 0 and -0.5 is -1, as upstream has it. The distance of -0.49999997 from -1 rounds to a half;
    /// that from 0 does not.
    Rint:
    |s, x| {
        let (f, c) = (s.floor(x), s.ceil(x));
        s.select(s.le(x - f, c - x), f, c)
    },
    |x| if x - x.floor() <= x.ceil() - x { x.floor() } else { x.ceil() },
    int |i| i);
map_kernel!(
    /// Nearest integer, halves away from 0. Adding a half would round 0.49999997 up.
    Round:
    |s, x| {
        let t = s.trunc(x);
        s.select(s.le(s.splat(0.5), s.abs(x - t)), t + s.copysign(s.splat(1.0), x), t)
    },
    |x| x.round(),
    int |i| i);

table! {
    FLOOR = OpDef::map("floor", run_map::<Floor>).aliases(&["_sparse_floor"])
        .doc("Largest integer not above each element.").zero_gradient("piecewise constant").samples(-4.0, 4.0);
    CEIL = OpDef::map("ceil", run_map::<Ceil>).aliases(&["_sparse_ceil"])
        .doc("Smallest integer not below each element.").zero_gradient("piecewise constant").samples(-4.0, 4.0);
    TRUNC = OpDef::map("trunc", run_map::<Trunc>).aliases(&["_sparse_trunc"])
        .doc("Every element without its fraction.").zero_gradient("piecewise constant").samples(-4.0, 4.0);
    FIX = OpDef::map("fix", run_map::<Trunc>).aliases(&["_sparse_fix"])
        .doc("Nearest integer toward 0 of every element; the same as `trunc`.")
        .zero_gradient("piecewise constant").samples(-4.0, 4.0);
    RINT = OpDef::map("rint", run_map::<Rint>).aliases(&["_sparse_rint"])
        .doc("Nearest integer of every element; halves go down, `-1.5` to `-2` and `1.5` to `1`.")
        .zero_gradient("piecewise constant").samples(-4.0, 4.0);
    ROUND = OpDef::map("round", run_map::<Round>).aliases(&["_sparse_round"])
        .doc("Nearest integer of every element; halves go away from 0.")
        .zero_gradient("piecewise constant").samples(-4.0, 4.0);
    ROUND_STE = OpDef::map("_contrib_round_ste", run_map::<Round>).aliases(&["_sparse__contrib_round_ste"])
        .doc("Rounds as `round` does; the gradient passes through as if it had not (straight-through estimator).")
        .vjp1(Keep::NOTHING, |d| Ok(d.grad().clone())).no_samples("the gradient is not that of the function");
    SIGN_STE = OpDef::map("_contrib_sign_ste", run_map::<Sign>).aliases(&["_sparse__contrib_sign_ste"])
        .doc("Sign as `sign` gives it; the gradient passes through unchanged (straight-through estimator).")
        .vjp1(Keep::NOTHING, |d| Ok(d.grad().clone())).no_samples("the gradient is not that of the function");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::Array;
    use crate::invoke::invoke;
    use crate::ops::params::Params;
    use crate::simd::{available, with_level};

    #[test]
    fn the_nearest_integer_is_that_of_the_number_and_not_of_a_rounded_distance() {
        // The largest numbers below a half, halves, what has no fraction left, and what is no number.
        let x = [-0.49999997f32, 0.49999997, -0.5, 0.5, -1.5, 1.5, 2.5, 8388609.0, -8388609.0, f32::INFINITY];
        let rint = [-0.0f32, 0.0, -1.0, 0.0, -2.0, 1.0, 2.0, 8388609.0, -8388609.0, f32::INFINITY];
        let round = [-0.0f32, 0.0, -1.0, 1.0, -2.0, 2.0, 3.0, 8388609.0, -8388609.0, f32::INFINITY];
        let x64 = [-0.49999999999999994f64, 0.49999999999999994, -0.5, 1.5, 4503599627370497.0];
        let (rint64, round64) =
            ([-0.0f64, 0.0, -1.0, 1.0, 4503599627370497.0], [-0.0f64, 0.0, -1.0, 2.0, 4503599627370497.0]);
        let one = |op, x: &Array| invoke(op, &[x], &Params::NONE, &[]).unwrap().remove(0);
        for &l in available() {
            with_level(l, || {
                let a = Array::from_slice(&x, &[x.len()]).unwrap();
                assert_eq!(one(&RINT, &a).to_vec::<f32>(), rint, "{l:?}");
                assert_eq!(one(&ROUND, &a).to_vec::<f32>(), round, "{l:?}");
                let a = Array::from_slice(&x64, &[x64.len()]).unwrap();
                assert_eq!(one(&RINT, &a).to_vec::<f64>(), rint64, "{l:?}");
                assert_eq!(one(&ROUND, &a).to_vec::<f64>(), round64, "{l:?}");
            });
        }
    }
}
