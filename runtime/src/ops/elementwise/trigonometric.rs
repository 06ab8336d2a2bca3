//! Trigonometric and hyperbolic functions of one array and their inverses.

use super::unary::tanh_grad;
use super::{by64, map_kernel, run_fn1, run_map};
use crate::ops::def::{Keep, OpDef};
use crate::simd::math;

map_kernel!(Sin: |s, x| math::sin(s, x), |x| x.sin());
map_kernel!(Cos: |s, x| math::cos(s, x), |x| x.cos());
map_kernel!(Tanh: |s, x| math::tanh(s, x), |x| x.tanh());

/// arccosh without the loss of digits near 1 that the formula with `x² - 1` has.
fn acosh(x: f64) -> f64 {
    if x < 1.0 {
        return f64::NAN;
    }
    if x > 1e8 {
        return x.ln() + std::f64::consts::LN_2;
    }
    let t = x - 1.0;
    (t + (2.0 * t + t * t).sqrt()).ln_1p()
}

table! {
    SIN = OpDef::map("sin", run_map::<Sin>).aliases(&["_sparse_sin"])
        .doc("Sine of every element, in radians.")
        .vjp1(Keep::INPUTS, |d| Ok(d.grad() * d.input(0).cos())).samples(-4.0, 4.0);
    COS = OpDef::map("cos", run_map::<Cos>).aliases(&["_sparse_cos"])
        .doc("Cosine of every element, in radians.")
        .vjp1(Keep::INPUTS, |d| Ok(-(d.grad() * d.input(0).sin()))).samples(-4.0, 4.0);
    TAN = OpDef::map("tan", |r| run_fn1(r, f32::tan, f64::tan)).aliases(&["_sparse_tan"])
        .doc("Tangent of every element, in radians.")
        .vjp1(Keep::OUTPUTS, |d| Ok(d.grad() * (d.out().square() + 1.0))).samples(-1.2, 1.2);
    ARCSIN = OpDef::map("arcsin", |r| run_fn1(r, f32::asin, f64::asin)).aliases(&["_sparse_arcsin"])
        .doc("Arc sine of every element, in radians.")
        .vjp1(Keep::INPUTS, |d| Ok(d.grad() * (1.0 - d.input(0).square()).rsqrt())).samples(-0.9, 0.9);
    ARCCOS = OpDef::map("arccos", |r| run_fn1(r, f32::acos, f64::acos)).aliases(&["_sparse_arccos"])
        .doc("Arc cosine of every element, in radians.")
        .vjp1(Keep::INPUTS, |d| Ok(-(d.grad() * (1.0 - d.input(0).square()).rsqrt()))).samples(-0.9, 0.9);
    ARCTAN = OpDef::map("arctan", |r| run_fn1(r, f32::atan, f64::atan)).aliases(&["_sparse_arctan"])
        .doc("Arc tangent of every element, in radians.")
        .vjp1(Keep::INPUTS, |d| Ok(d.grad() / (d.input(0).square() + 1.0))).samples(-4.0, 4.0);
    SINH = OpDef::map("sinh", |r| run_fn1(r, f32::sinh, f64::sinh)).aliases(&["_sparse_sinh"])
        .doc("Hyperbolic sine of every element.")
        .vjp1(Keep::INPUTS, |d| Ok(d.grad() * d.input(0).cosh())).samples(-3.0, 3.0);
    COSH = OpDef::map("cosh", |r| run_fn1(r, f32::cosh, f64::cosh)).aliases(&["_sparse_cosh"])
        .doc("Hyperbolic cosine of every element.")
        .vjp1(Keep::INPUTS, |d| Ok(d.grad() * d.input(0).sinh())).samples(-3.0, 3.0);
    TANH = OpDef::map("tanh", run_map::<Tanh>).aliases(&["_sparse_tanh"])
        .doc("Hyperbolic tangent of every element.")
        .vjp1(Keep::OUTPUTS, |d| Ok(tanh_grad(d.grad(), d.out()))).samples(-3.0, 3.0);
    ARCSINH = OpDef::map("arcsinh", by64!(f64::asinh)).aliases(&["_sparse_arcsinh"])
        .doc("Inverse hyperbolic sine of every element.")
        .vjp1(Keep::INPUTS, |d| Ok(d.grad() * (d.input(0).square() + 1.0).rsqrt())).samples(-4.0, 4.0);
    ARCCOSH = OpDef::map("arccosh", by64!(acosh)).aliases(&["_sparse_arccosh"])
        .doc("Inverse hyperbolic cosine of every element.")
        .vjp1(Keep::INPUTS, |d| Ok(d.grad() * (d.input(0).square() - 1.0).rsqrt())).samples(1.3, 4.0);
    ARCTANH = OpDef::map("arctanh", by64!(f64::atanh)).aliases(&["_sparse_arctanh"])
        .doc("Inverse hyperbolic tangent of every element.")
        .vjp1(Keep::INPUTS, |d| Ok(d.grad() / (1.0 - d.input(0).square()))).samples(-0.8, 0.8);
}

#[cfg(test)]
mod tests {
    #[test]
    fn arccosh_keeps_its_digits_near_one_and_far_out() {
        // acosh(1 + e) = sqrt(2e) (1 - e/12 + …)
        let e = 1e-10;
        let want = (2.0f64 * e).sqrt() * (1.0 - e / 12.0);
        assert!((super::acosh(1.0 + e) / want - 1.0).abs() < 1e-6, "1 + e is itself rounded");
        assert!(
            (super::acosh(1e200) - (200.0 * std::f64::consts::LN_10 + std::f64::consts::LN_2)).abs() < 1e-12
        );
        assert!(super::acosh(0.5).is_nan());
    }
}
