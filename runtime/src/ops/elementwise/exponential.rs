//! Exponentials and logarithms of one array.

use super::{map_kernel, run_map};
use crate::ops::def::{Keep, OpDef};
use crate::simd::math;
use std::f64::consts::{LN_2, LN_10};

map_kernel!(Exp: |s, x| math::exp(s, x), |x| x.exp());
map_kernel!(Expm1: |s, x| math::expm1(s, x), |x| x.exp_m1());
map_kernel!(Log: |s, x| math::log(s, x), |x| x.ln());
map_kernel!(Log10: |s, x| math::log10(s, x), |x| x.log10());
map_kernel!(Log2: |s, x| math::log2(s, x), |x| x.log2());
map_kernel!(Log1p: |s, x| math::log1p(s, x), |x| x.ln_1p());

table! {
    EXP = OpDef::map("exp", run_map::<Exp>).aliases(&["_sparse_exp"])
        .doc("Exponential of every element, `e^x`.").vjp1(Keep::OUTPUTS, |d| Ok(d.grad() * d.out())).samples(-3.0, 3.0);
    EXPM1 = OpDef::map("expm1", run_map::<Expm1>).aliases(&["_sparse_expm1"])
        .doc("`e^x - 1` of every element, exact for small x too.")
        .vjp1(Keep::OUTPUTS, |d| Ok(d.grad() * (d.out() + 1.0))).samples(-3.0, 3.0);
    LOG = OpDef::map("log", run_map::<Log>).aliases(&["_sparse_log"])
        .doc("Natural logarithm of every element.")
        .vjp1(Keep::INPUTS, |d| Ok(d.grad() / d.input(0))).samples(0.1, 5.0);
    LOG10 = OpDef::map("log10", run_map::<Log10>).aliases(&["_sparse_log10"])
        .doc("Logarithm to base 10 of every element.")
        .vjp1(Keep::INPUTS, |d| Ok(d.grad() / (d.input(0) * LN_10))).samples(0.1, 5.0);
    LOG2 = OpDef::map("log2", run_map::<Log2>).aliases(&["_sparse_log2"])
        .doc("Logarithm to base 2 of every element.")
        .vjp1(Keep::INPUTS, |d| Ok(d.grad() / (d.input(0) * LN_2))).samples(0.1, 5.0);
    LOG1P = OpDef::map("log1p", run_map::<Log1p>).aliases(&["_sparse_log1p"])
        .doc("`log(1 + x)` of every element, exact for small x too.")
        .vjp1(Keep::INPUTS, |d| Ok(d.grad() / (d.input(0) + 1.0))).samples(-0.8, 4.0);
}
