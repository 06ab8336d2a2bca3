//! Special functions of one array.

use super::{by64, map_kernel, run_map};
use crate::array::Array;
use crate::kernels::special::{self, erfinv, trigamma};
use crate::ops::def::{Keep, OpDef};
use crate::simd::math;
use std::f64::consts::PI;

/// `2/sqrt(pi)`, where the root is a float32 number whatever the array's dtype, as in MXNet.
fn erf_slope() -> f64 {
    2.0 / f64::from(std::f32::consts::PI.sqrt())
}

map_kernel!(Erf: |s, x| math::erf(s, x), |x| math::scalar::erf(x));

/// Digamma function of every element, recorded.
pub(crate) fn digamma(x: &Array) -> Array {
    crate::fluent::call(&DIGAMMA, &[x], &crate::ops::params::Params::NONE)
}

table! {
    GAMMA = OpDef::map("gamma", by64!(math::scalar::gamma)).aliases(&["_sparse_gamma"])
        .doc("Gamma function of every element.")
        .vjp1(Keep::ALL, |d| Ok(d.grad() * (d.out() * digamma(d.input(0))))).samples(0.3, 4.0);
    GAMMALN = OpDef::map("gammaln", by64!(math::scalar::lgamma)).aliases(&["_sparse_gammaln"])
        .doc("Logarithm of the magnitude of the gamma function of every element.")
        .vjp1(Keep::INPUTS, |d| Ok(d.grad() * digamma(d.input(0)))).samples(0.3, 5.0);
    DIGAMMA = OpDef::map("_ks_digamma", by64!(special::digamma))
        .doc("Digamma function of every element, the derivative of log gamma.")
        .vjp1(Keep::INPUTS, |d| Ok(d.grad() * crate::fluent::call(&TRIGAMMA, &[d.input(0)], d.params)))
        .no_samples("tested through gammaln, whose second derivative is the last one there is");
    TRIGAMMA = OpDef::map("_ks_trigamma", by64!(trigamma))
        .doc("Trigamma function of every element, the derivative of digamma.")
        .no_gradient("only two derivatives of log gamma are provided").samples(0.3, 5.0);
    ERF = OpDef::map("erf", run_map::<Erf>)
        .doc("Error function of every element, `2/sqrt(pi)` times the integral of `e^(-t²)` from 0 to x.")
        .vjp1(Keep::INPUTS, |d| Ok(d.grad() * ((-d.input(0).square()).exp() * erf_slope()))).samples(-2.0, 2.0);
    ERFINV = OpDef::map("erfinv", by64!(erfinv))
        .doc("Inverse of the error function of every element.")
        .vjp1(Keep::OUTPUTS, |d| Ok(d.grad() * (d.out().square().exp() * (PI.sqrt() / 2.0)))).samples(-0.8, 0.8);
}
