//! Element-wise operators of one array. Integers are computed in float64 and truncate.

use super::{map_kernel, run_map};
use crate::ops::def::{Keep, OpDef};
use crate::simd::math;

map_kernel!(Negative: |_s, x| -x, |x| -x, int |i| i.wrapping_neg());
map_kernel!(Exp: |s, x| math::exp(s, x), |x| x.exp());
map_kernel!(Floor: |s, x| s.floor(x), |x| x.floor(), int |i| i);

table! {
    NEGATIVE = OpDef::map("negative", run_map::<Negative>).aliases(&["_np_negative"])
        .doc("Negation of every element, `-x`.").vjp1(Keep::NOTHING, |d| Ok(-d.grad())).samples(-4.0, 4.0);
    EXP = OpDef::map("exp", run_map::<Exp>)
        .doc("Exponential of every element, `e^x`.").vjp1(Keep::OUTPUTS, |d| Ok(d.grad() * d.out())).samples(-3.0, 3.0);
    FLOOR = OpDef::map("floor", run_map::<Floor>)
        .doc("Largest integer not above each element.").zero_gradient("piecewise constant").samples(-4.0, 4.0);
}
