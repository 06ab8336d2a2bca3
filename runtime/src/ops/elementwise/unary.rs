//! Algebra and gates of one array. Integers are computed in float64 and truncate, unless an exact integer form is at hand.

use super::{map_kernel, run_fn1, run_map, run_zip, zip_kernel};
use crate::array::Array;
use crate::error::Result;
use crate::kernels::map::{Map, map};
use crate::ops::def::{Epilogue, Keep, OpDef, Run};
use crate::ops::samples::{Case, Draw, Fill};
use crate::ops::vjp::{Grads, Vjp, grads};
use crate::simd::{Simd, math};
use smallvec::smallvec;

map_kernel!(Negative: |_s, x| -x, lanes64 |_s, x| -x, |x| -x, int |i| i.wrapping_neg());
map_kernel!(Abs: |s, x| s.abs(x), lanes64 |s, x| s.abs64(x), |x| x.abs(), int |i| i.wrapping_abs());
map_kernel!(Sign:
    |s, x| {
        let zero = s.splat(0.0);
        s.truth(s.lt(zero, x)) - s.truth(s.lt(x, zero))
    },
    |x| f64::from(i8::from(x > 0.0) - i8::from(x < 0.0)),
    int |i| i.signum());
map_kernel!(Square: |_s, x| x * x, lanes64 |_s, x| x * x, |x| x * x, int |i| i.wrapping_mul(i));
map_kernel!(Sqrt: |s, x| s.sqrt(x), lanes64 |s, x| s.sqrt64(x), |x| x.sqrt());
map_kernel!(Rsqrt: |s, x| math::rsqrt(s, x), lanes64 |s, x| s.splat64(1.0) / s.sqrt64(x), |x| 1.0 / x.sqrt());
map_kernel!(Reciprocal: |s, x| s.splat(1.0) / x, lanes64 |s, x| s.splat64(1.0) / x, |x| 1.0 / x);
map_kernel!(
    /// max(x, 0); NaN stays.
    Relu: |s, x| s.max(s.splat(0.0), x), lanes64 |s, x| s.max64(s.splat64(0.0), x),
    |x| if x < 0.0 { 0.0 } else { x }, int |i| i.max(0));
map_kernel!(Sigmoid: |s, x| math::sigmoid(s, x), |x| math::scalar::sigmoid(x));
map_kernel!(Softsign: |s, x| x / (s.splat(1.0) + s.abs(x)), lanes64 |s, x| x / (s.splat64(1.0) + s.abs64(x)), |x| x / (1.0 + x.abs()));
map_kernel!(SoftRelu: |s, x| math::softrelu(s, x), |x| math::scalar::softrelu(x));
map_kernel!(LogicalNot: |s, x| s.truth(s.eq(x, s.splat(0.0))), |x| f64::from(x == 0.0), int |i| i64::from(i == 0));
/// Degrees in a radian and radians in a degree: float32 numbers whatever the array's dtype, as in MXNet.
const DEGREES_IN_RADIAN: f32 = 180.0 / std::f32::consts::PI;
const RADIANS_IN_DEGREE: f32 = std::f32::consts::PI / 180.0;

map_kernel!(Degrees: |s, x| x * s.splat(DEGREES_IN_RADIAN), |x| x * f64::from(DEGREES_IN_RADIAN));
map_kernel!(Radians: |s, x| x * s.splat(RADIANS_IN_DEGREE), |x| x * f64::from(RADIANS_IN_DEGREE));

zip_kernel!(
    /// g where y > 0, else 0; NaN of y stays.
    ReluGrad:
    |s, g, y| s.select(s.lt(s.splat(0.0), y), g, s.select(s.is_nan(y), y, s.splat(0.0))),
    lanes64 |s, g, y| s.select64(s.lt64(s.splat64(0.0), y), g, s.select64(s.is_nan64(y), y, s.splat64(0.0))),
    |g, y| if y > 0.0 { g } else if y.is_nan() { y } else { 0.0 },
    int |g, y| if y > 0 { g } else { 0 });
zip_kernel!(
    /// g y (1 - y).
    SigmoidGrad: |s, g, y| g * (y * (s.splat(1.0) - y)), lanes64 |s, g, y| g * (y * (s.splat64(1.0) - y)), |g, y| g * (y * (1.0 - y)));
zip_kernel!(
    /// g (1 - y²).
    TanhGrad: |s, g, y| g * (s.splat(1.0) - y * y), lanes64 |s, g, y| g * (s.splat64(1.0) - y * y), |g, y| g * (1.0 - y * y));

/// Gradient of relu from its output; `relu'(0)` is 0.
pub fn relu_grad(g: &Array, y: &Array) -> Array {
    crate::fluent::call(&RELU_GRAD, &[g, y], &crate::ops::params::Params::NONE)
}

/// The gradient `g` of a linear function. It does not depend on the input, but where a pass is recorded the two stay connected, so that
/// its derivative is zeros instead of an error.
fn tied(d: &Vjp<'_>, g: Array) -> Array {
    match d.recorded {
        true => crate::fluent::call(
            &crate::ops::shape_ops::reshape::IDENTITY_LIKE,
            &[&g, d.input(0)],
            &crate::ops::params::Params::NONE,
        ),
        false => g,
    }
}

/// Gradient of the logistic function from its output.
pub fn sigmoid_grad(g: &Array, y: &Array) -> Array {
    crate::fluent::call(&SIGMOID_GRAD, &[g, y], &crate::ops::params::Params::NONE)
}

/// Gradient of tanh from its output.
pub fn tanh_grad(g: &Array, y: &Array) -> Array {
    crate::fluent::call(&TANH_GRAD, &[g, y], &crate::ops::params::Params::NONE)
}

fn run_cbrt(r: &Run<'_>) -> Result<()> {
    run_fn1(r, f32::cbrt, f64::cbrt)
}

fn run_rcbrt(r: &Run<'_>) -> Result<()> {
    run_fn1(r, |x| 1.0 / x.cbrt(), |x| 1.0 / x.cbrt())
}

params! {
    /// What the piecewise linear sigmoid takes.
    pub struct HardSigmoid {
        alpha: f32 = 0.2, "slope of the middle part";
        beta: f32 = 0.5, "value at 0";
    }
}

#[derive(Clone, Copy)]
struct HardSigmoidMap(f32, f32);

impl Map for HardSigmoidMap {
    #[inline(always)]
    fn lanes<S: Simd>(self, s: S, x: S::F32) -> S::F32 {
        let y = s.fma(x, s.splat(self.0), s.splat(self.1));
        s.max(s.splat(0.0), s.min(s.splat(1.0), y))
    }
    #[inline(always)]
    fn f64(self, x: f64) -> f64 {
        (x * f64::from(self.0) + f64::from(self.1)).clamp(0.0, 1.0)
    }
}

fn run_hard_sigmoid(r: &Run<'_>) -> Result<()> {
    let p = r.p::<HardSigmoid>();
    map(HardSigmoidMap(p.alpha, p.beta), r.ins[0].span(), r.outs[0].span());
    Ok(())
}

fn grad_hard_sigmoid(d: &Vjp<'_>) -> Result<Array> {
    let inside = d.out().gt(0.0) * d.out().lt(1.0);
    Ok(d.grad() * (inside * f64::from(d.p::<HardSigmoid>().alpha)))
}

params! {
    /// The bend of the smooth L1 loss.
    pub struct SmoothL1 {
        scalar: f32, "sigma: the loss is quadratic up to 1/sigma² from 0";
    }
}

/// The loss, or its slope.
#[derive(Clone, Copy)]
struct SmoothL1Map {
    square: f64,
    slope: bool,
}

impl Map for SmoothL1Map {
    #[inline(always)]
    fn f64(self, x: f64) -> f64 {
        let bend = 1.0 / self.square;
        match (self.slope, x.abs() > bend) {
            (false, true) => x.abs() - 0.5 * bend,
            (false, false) => 0.5 * x * x * self.square,
            (true, true) => 1f64.copysign(x),
            (true, false) => x * self.square,
        }
    }
}

fn run_smooth_l1<const SLOPE: bool>(r: &Run<'_>) -> Result<()> {
    let sigma = f64::from(r.p::<SmoothL1>().scalar);
    map(SmoothL1Map { square: sigma * sigma, slope: SLOPE }, r.ins[0].span(), r.outs[0].span());
    Ok(())
}

fn grad_smooth_l1_slope(d: &Vjp<'_>) -> Result<Array> {
    let sigma = f64::from(d.p::<SmoothL1>().scalar);
    let inside = d.input(0).between(-1.0 / (sigma * sigma), 1.0 / (sigma * sigma));
    Ok(d.grad() * (inside * (sigma * sigma)))
}

fn smooth_l1_case(d: &mut Draw) -> Case {
    let dims = d.shape(1, 3);
    Case::new().input(&dims, Fill::Real(-2.0, 2.0, &[-1.0, 1.0])).param("scalar", 1.0)
}

params! {
    /// Coefficients of a quadratic function.
    pub struct Quadratic {
        a: f32 = 0.0, "of the square";
        b: f32 = 0.0, "of the linear term";
        c: f32 = 0.0, "constant";
    }
}

#[derive(Clone, Copy)]
struct QuadraticMap(f64, f64, f64);

impl Map for QuadraticMap {
    #[inline(always)]
    fn lanes<S: Simd>(self, s: S, x: S::F32) -> S::F32 {
        s.poly(x, [self.2 as f32, self.1 as f32, self.0 as f32])
    }
    #[inline(always)]
    fn f64(self, x: f64) -> f64 {
        (self.0 * x + self.1) * x + self.2
    }
}

fn run_quadratic(r: &Run<'_>) -> Result<()> {
    let p = r.p::<Quadratic>();
    let k = QuadraticMap(p.a.into(), p.b.into(), p.c.into());
    map(k, r.ins[0].span(), r.outs[0].span());
    Ok(())
}

fn grad_quadratic(d: &Vjp<'_>) -> Result<Array> {
    let p = d.p::<Quadratic>();
    Ok(d.grad() * (d.input(0) * (2.0 * f64::from(p.a)) + f64::from(p.b)))
}

fn quadratic_case(d: &mut Draw) -> Case {
    let (dims, a, b, c) = (d.shape(1, 3), d.int(-3, 3), d.int(-3, 3), d.int(-3, 3));
    Case::new().real(&dims).param("a", a).param("b", b).param("c", c)
}

/// The gradient rule of an operator `f(g, y)` that is linear in `g`: `f` again for `g`, `slope` of `y` for `y`.
fn grad_linear(d: &Vjp<'_>, again: fn(&Array, &Array) -> Array, slope: fn(&Array) -> Array) -> Result<Grads> {
    grads(d, [&|d| again(d.grad(), d.input(1)), &|d| d.grad() * d.input(0) * slope(d.input(1))])
}

table! {
    NEGATIVE = OpDef::map("negative", run_map::<Negative>).aliases(&["_sparse_negative", "_np_negative"])
        .doc("Negation of every element, `-x`.").vjp1(Keep::NOTHING, |d| Ok(-d.grad())).samples(-4.0, 4.0);
    ABS = OpDef::map("abs", run_map::<Abs>).aliases(&["_sparse_abs"])
        .doc("Magnitude of every element, `|x|`. The derivative at 0 is 0.")
        .vjp1(Keep::INPUTS, |d| Ok(d.grad() * d.input(0).sign())).samples_away(-4.0, 4.0, &[0.0]);
    SIGN = OpDef::map("sign", run_map::<Sign>).aliases(&["_sparse_sign"])
        .doc("Sign of every element: -1, 0 or 1; 0 for NaN.").zero_gradient("piecewise constant").samples_away(-4.0, 4.0, &[0.0]);
    SQUARE = OpDef::map("square", run_map::<Square>).aliases(&["_sparse_square"])
        .doc("Square of every element, `x²`.")
        .vjp1(Keep::INPUTS, |d| Ok(d.grad() * (d.input(0) * 2.0))).samples(-3.0, 3.0);
    SQRT = OpDef::map("sqrt", run_map::<Sqrt>).aliases(&["_sparse_sqrt"])
        .doc("Square root of every element.")
        .vjp1(Keep::OUTPUTS, |d| Ok(d.grad() / (d.out() * 2.0))).samples(0.1, 9.0);
    RSQRT = OpDef::map("rsqrt", run_map::<Rsqrt>).aliases(&["_sparse_rsqrt"])
        .doc("Reciprocal square root of every element, `1/sqrt(x)`.")
        .vjp1(Keep::ALL, |d| Ok(d.grad() * (d.out() / d.input(0) * -0.5))).samples(0.2, 4.0);
    CBRT = OpDef::map("cbrt", run_cbrt).aliases(&["_sparse_cbrt"])
        .doc("Cube root of every element.")
        .vjp1(Keep::OUTPUTS, |d| Ok(d.grad() / (d.out().square() * 3.0))).samples_away(-4.0, 4.0, &[0.0]);
    RCBRT = OpDef::map("rcbrt", run_rcbrt)
        .doc("Reciprocal cube root of every element.")
        .vjp1(Keep::ALL, |d| Ok(d.grad() * (d.out() / d.input(0) * (-1.0 / 3.0)))).samples_away(-4.0, 4.0, &[0.0, 0.05, -0.05]);
    RECIPROCAL = OpDef::map("reciprocal", run_map::<Reciprocal>)
        .doc("Reciprocal of every element, `1/x`.")
        .vjp1(Keep::OUTPUTS, |d| Ok(-(d.grad() * d.out().square()))).samples_away(-3.0, 3.0, &[0.0, 0.1, -0.1, 0.2, -0.2]);
    RELU = OpDef::map("relu", run_map::<Relu>).aliases(&["_sparse_relu"]).epilogue(|_| Some(Epilogue::Relu))
        .doc("Rectifier, `max(x, 0)`; its derivative at 0 is 0.")
        .vjp1(Keep::OUTPUTS, |d| Ok(relu_grad(d.grad(), d.out()))).samples_away(-3.0, 3.0, &[0.0]);
    SIGMOID = OpDef::map("sigmoid", run_map::<Sigmoid>).aliases(&["_sparse_sigmoid"])
        .doc("Logistic function, `1/(1 + e^-x)`.")
        .vjp1(Keep::OUTPUTS, |d| Ok(sigmoid_grad(d.grad(), d.out()))).samples(-4.0, 4.0);
    SOFTSIGN = OpDef::map("softsign", run_map::<Softsign>)
        .doc("`x/(1 + |x|)` of every element.")
        .vjp1(Keep::INPUTS, |d| Ok(d.grad() / (d.input(0).abs() + 1.0).square())).samples_away(-3.0, 3.0, &[0.0]);
    SOFTRELU = OpDef::map("_ks_softrelu", run_map::<SoftRelu>)
        .doc("Smooth rectifier, `log(1 + e^x)`.")
        .vjp1(Keep::INPUTS, |d| Ok(d.grad() * d.input(0).sigmoid())).samples(-4.0, 4.0);
    HARD_SIGMOID = OpDef::map("hard_sigmoid", run_hard_sigmoid).params::<HardSigmoid>()
        .doc("Piecewise linear sigmoid, `max(0, min(1, alpha x + beta))`.")
        .vjp1(Keep::OUTPUTS, grad_hard_sigmoid).samples_away(-4.0, 4.0, &[-2.5, 2.5]);
    SMOOTH_L1 = OpDef::map("smooth_l1", run_smooth_l1::<false>).params::<SmoothL1>()
        .doc("Smooth L1 loss with sigma = `scalar`: `(sigma x)²/2` where `|x| < 1/sigma²`, else `|x| - 1/(2 sigma²)`.")
        .vjp1(Keep::INPUTS, |d| Ok(d.grad() * crate::fluent::call(&SMOOTH_L1_SLOPE, &[d.input(0)], d.params)))
        .cases(smooth_l1_case);
    SMOOTH_L1_SLOPE = OpDef::map("_ks_smooth_l1_slope", run_smooth_l1::<true>).params::<SmoothL1>()
        .doc("Derivative of the smooth L1 loss.").vjp1(Keep::INPUTS, grad_smooth_l1_slope).cases(smooth_l1_case);
    LOGICAL_NOT = OpDef::map("logical_not", run_map::<LogicalNot>)
        .doc("1 where an element is 0, else 0.").zero_gradient("piecewise constant").samples_away(-2.0, 2.0, &[0.0]);
    DEGREES = OpDef::map("degrees", run_map::<Degrees>).aliases(&["_sparse_degrees"])
        .doc("Radians to degrees, `180 x/pi`.")
        .vjp1(Keep::INPUTS, |d| Ok(tied(d, d.grad() * f64::from(DEGREES_IN_RADIAN)))).samples(-4.0, 4.0);
    RADIANS = OpDef::map("radians", run_map::<Radians>).aliases(&["_sparse_radians"])
        .doc("Degrees to radians, `pi x/180`.")
        .vjp1(Keep::INPUTS, |d| Ok(tied(d, d.grad() * f64::from(RADIANS_IN_DEGREE)))).samples(-180.0, 180.0);
    QUADRATIC = OpDef::map("_contrib_quadratic", run_quadratic).aliases(&["_contrib_Quadratic"]).params::<Quadratic>()
        .doc("`a x² + b x + c` of every element.").vjp1(Keep::INPUTS, grad_quadratic).cases(quadratic_case);
    RELU_GRAD = OpDef::zip("_ks_relu_grad", run_zip::<ReluGrad>)
        .doc("`lhs` where `rhs` is positive, else 0.")
        .vjp(Keep::input(1), |d| Ok(smallvec![Some(relu_grad(d.grad(), d.input(1))), d.zeros(1)?]))
        .samples_away(-2.0, 2.0, &[0.0]);
    SIGMOID_GRAD = OpDef::zip("_ks_sigmoid_grad", run_zip::<SigmoidGrad>)
        .doc("`lhs rhs (1 - rhs)`.")
        .vjp(Keep::INPUTS, |d| grad_linear(d, sigmoid_grad, |y| 1.0 - y * 2.0)).samples(-2.0, 2.0);
    TANH_GRAD = OpDef::zip("_ks_tanh_grad", run_zip::<TanhGrad>)
        .doc("`lhs (1 - rhs²)`.")
        .vjp(Keep::INPUTS, |d| grad_linear(d, tanh_grad, |y| y * -2.0)).samples(-2.0, 2.0);
}
