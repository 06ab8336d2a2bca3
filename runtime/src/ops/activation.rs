//! Activations chosen by a parameter.

use super::def::{Epilogue, Keep, OpDef, Run};
use super::elementwise::unary::{relu_grad, sigmoid_grad, tanh_grad};
use super::elementwise::{map_kernel, trigonometric, unary, zip_kernel};
use super::infer::Shapes;
use super::params::Params;
use super::reduce::{UNBROADCAST, unbroadcast_to};
use super::samples::{Case, Draw, Fill};
use super::softmax::floats;
use super::vjp::{Grads, Vjp};
use crate::array::Array;
use crate::error::Result;
use crate::fluent::call;
use crate::kernels::map::{Map, map};
use crate::kernels::zip::{Zip, zip};
use crate::kernels::{copy, random};
use crate::rng::reserve;
use crate::shape::broadcast::{broadcast_strides, collapse};
use crate::shape::partial::Partial;
use crate::shape::{Dims, row_major, show};
use crate::simd::{Simd, math};
use smallvec::smallvec;

choices! {
    /// Activation functions.
    pub enum Act { Relu = "relu", Sigmoid = "sigmoid", Tanh = "tanh", Softrelu = "softrelu", Softsign = "softsign" }
}

params! {
    /// What an activation takes.
    pub struct Activation {
        act_type: Act, "the function";
    }
}

fn run(r: &Run<'_>) -> Result<()> {
    let op = match r.p::<Activation>().act_type {
        Act::Relu => &unary::RELU,
        Act::Sigmoid => &unary::SIGMOID,
        Act::Tanh => &trigonometric::TANH,
        Act::Softrelu => &unary::SOFTRELU,
        Act::Softsign => &unary::SOFTSIGN,
    };
    (op.run)(r)
}

/// From the output alone, so that the input need not be kept.
fn grad(d: &Vjp<'_>) -> Result<Array> {
    let (g, y) = (d.grad(), d.out());
    Ok(match d.p::<Activation>().act_type {
        Act::Relu => relu_grad(g, y),
        Act::Sigmoid => sigmoid_grad(g, y),
        Act::Tanh => tanh_grad(g, y),
        // y = log(1 + e^x), so the derivative e^x/(1 + e^x) is 1 - e^-y.
        Act::Softrelu => -(g * (-y).expm1()),
        // |y| = |x|/(1 + |x|), so 1/(1 + |x|) is 1 - |y|.
        Act::Softsign => g * (1.0 - y.abs()).square(),
    })
}

fn case(d: &mut Draw) -> Case {
    let dims = d.shape(1, 3);
    let act = d.pick(&["relu", "sigmoid", "tanh", "softrelu", "softsign"]);
    Case::new().input(&dims, Fill::Real(-3.0, 3.0, &[0.0])).param("act_type", act)
}

choices! {
    /// Rectifiers.
    pub enum Leak { Rrelu = "rrelu", Leaky = "leaky", Prelu = "prelu", Elu = "elu", Selu = "selu", Gelu = "gelu" }
}

params! {
    /// What the leaky rectifiers take.
    pub struct LeakyReLU {
        act_type: Leak = Leak::Leaky, "the function";
        slope: f32 = 0.25, "slope of the negative part (leaky), or what its exponential tends to (elu)";
        lower_bound: f32 = 0.125, "least random slope (rrelu)";
        upper_bound: f32 = 0.334, "greatest random slope (rrelu)";
    }
}

const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;

impl LeakyReLU {
    /// Factor of the whole, and of the negative part besides.
    fn factors(&self) -> (f64, f64) {
        if self.act_type == Leak::Selu { (SELU_SCALE, SELU_ALPHA) } else { (1.0, self.slope.into()) }
    }

    /// The derivative of elu and selu. MXNet takes that of selu below 0 from its result `y` as `scale (alpha + y)`, though `y` is scaled
    /// already; networks are trained with that, so it stands here too.
    fn elu_slope(&self) -> EluGrad {
        let (scale, alpha) = self.factors();
        match self.act_type {
            Leak::Selu => {
                EluGrad { slope: scale, rise: scale * scale * alpha, rest: scale * alpha * (1.0 - scale) }
            }
            _ => EluGrad { slope: scale, rise: scale * alpha, rest: 0.0 },
        }
    }

    fn is(p: &Params, act: Leak) -> bool {
        p.get::<LeakyReLU>().act_type == act
    }
}

/// x where it is positive, elsewhere x times a slope.
#[derive(Clone, Copy)]
struct Leaky(f64);

impl Map for Leaky {
    #[inline(always)]
    fn lanes<S: Simd>(self, s: S, x: S::F32) -> S::F32 {
        s.select(s.lt(s.splat(0.0), x), x, x * s.splat(self.0 as f32))
    }
    #[inline(always)]
    fn f64(self, x: f64) -> f64 {
        if x > 0.0 { x } else { x * self.0 }
    }
}

/// A factor times x where it is positive, elsewhere that and another factor times e^x - 1.
#[derive(Clone, Copy)]
struct Elu(f64, f64);

impl Map for Elu {
    #[inline(always)]
    fn lanes<S: Simd>(self, s: S, x: S::F32) -> S::F32 {
        let (a, b) = (s.splat(self.0 as f32), s.splat((self.0 * self.1) as f32));
        s.select(s.lt(s.splat(0.0), x), x * a, math::expm1(s, x) * b)
    }
    #[inline(always)]
    fn f64(self, x: f64) -> f64 {
        if x > 0.0 { self.0 * x } else { self.0 * self.1 * x.exp_m1() }
    }
}

map_kernel!(Gelu:
    |s, x| x * s.splat(0.5) * (s.splat(1.0) + math::erf(s, x * s.splat(std::f32::consts::FRAC_1_SQRT_2))),
    |x| x * 0.5 * math::scalar::erfc(-x * std::f64::consts::FRAC_1_SQRT_2));

zip_kernel!(PreluZip:
    |s, x, a| s.select(s.lt(s.splat(0.0), x), x, x * a), |x, a| if x > 0.0 { x } else { x * a });

/// How gamma lies along the data: its own axis is axis 1, the only one of data with one axis, or none when it has one element.
fn gamma_dims(data: &[usize], gamma: usize) -> Dims {
    let axis = data.len().min(2).saturating_sub(1);
    (0..data.len()).map(|i| if i == axis { gamma } else { 1 }).collect()
}

fn run_leaky(r: &Run<'_>) -> Result<()> {
    let p = r.p::<LeakyReLU>();
    let (x, y) = (r.ins[0], r.outs[0]);
    match p.act_type {
        Leak::Leaky => map(Leaky(p.slope.into()), x.span(), y.span()),
        Leak::Elu | Leak::Selu => map(Elu(p.factors().0, p.factors().1), x.span(), y.span()),
        Leak::Gelu => map(Gelu, x.span(), y.span()),
        Leak::Prelu => {
            let a = broadcast_strides(&gamma_dims(x.dims(), r.ins[1].size()), x.dims());
            let (dims, [xs, a]) = collapse(x.dims(), [&row_major(x.dims()), &a]);
            zip(PreluZip, &dims, x.span(), &xs, r.ins[1].span(), &a, y.span());
        }
        Leak::Rrelu => {
            let (lo, hi, slopes) = (p.lower_bound, p.upper_bound, r.outs[1]);
            if r.training {
                if !(lo <= hi) {
                    bail!(Param, "upper_bound is below lower_bound, got {hi}, want {lo} or more");
                }
                let stream = reserve(y.device(), random::counters(y.size()));
                random::uniform(slopes.span(), stream, lo.into(), hi.into());
            } else {
                copy::fill(slopes.span(), (f64::from(lo) + f64::from(hi)) / 2.0);
            }
            zip(PreluZip, &[x.size()], x.span(), &[1], slopes.span(), &[1], y.span());
        }
    }
    Ok(())
}

fn shape_leaky(s: &mut Shapes<'_>) -> Result<()> {
    let mut x = s.ins[0].clone();
    for y in s.outs.iter() {
        x.merge(y)?;
    }
    s.ins[0] = x.clone();
    s.outs.fill(x.clone());
    if s.ins.len() == 2
        && let Some(n) = x.ndim()
    {
        let channels = x.dim(n.min(2).saturating_sub(1));
        match (s.ins[1].known(), channels) {
            (None, Some(c)) if s.ins[1].sizes().is_none() => s.want(1, &[c])?,
            // One for all channels, or one for each.
            (None, _) if s.ins[1].sizes().is_some() => s.want_partial(1, &Partial::of_ndim(1))?,
            (Some(g), _) if g.len() != 1 => bail!(Shape, "gamma must have one axis, got {}", show(&g)),
            (Some(g), Some(c)) if g[0] != 1 && g[0] != c => {
                bail!(Shape, "gamma does not fit the channels, got {}, want (1,) or ({c},)", show(&g))
            }
            _ => {}
        }
    }
    Ok(())
}

fn grad_leaky(d: &Vjp<'_>) -> Result<Grads> {
    let p = d.p::<LeakyReLU>();
    let (g, x) = (d.grad_or_zeros(0)?, d.input(0));
    match p.act_type {
        Leak::Prelu => {
            let shape = gamma_dims(x.dims(), d.input(1).size());
            let a = view(d.input(1), &shape)?;
            let by_x = d.needs(0).then(|| &g * (x.le(0.0) * (a - 1.0) + 1.0));
            let by_a = if d.needs(1) {
                let sum = call(&UNBROADCAST, &[&(&g * x.min_with(0.0))], &unbroadcast_to(&shape));
                Some(view(&sum, d.in_dims(1))?)
            } else {
                None
            };
            Ok(smallvec![by_x, by_a])
        }
        Leak::Rrelu => Ok(smallvec![Some(&g * (x.le(0.0) * (d.output(1) - 1.0) + 1.0))]),
        _ => Ok(smallvec![Some(call(&LEAKY_GRAD, &[&g, x], d.params))]),
    }
}

/// The same elements in another shape.
pub(crate) fn view(x: &Array, dims: &[usize]) -> Result<Array> {
    if x.dims() == dims {
        return Ok(x.clone());
    }
    let sizes: Vec<i64> = dims.iter().map(|&d| d as i64).collect();
    Ok(call(&super::view::RESHAPE, &[x], &super::view::codes(&sizes, false)))
}

/// g where x is positive, elsewhere g times a slope.
#[derive(Clone, Copy)]
struct LeakyGrad(f64);

impl Zip for LeakyGrad {
    #[inline(always)]
    fn lanes<S: Simd>(self, s: S, g: S::F32, x: S::F32) -> S::F32 {
        s.select(s.lt(s.splat(0.0), x), g, g * s.splat(self.0 as f32))
    }
    #[inline(always)]
    fn f64(self, g: f64, x: f64) -> f64 {
        if x > 0.0 { g } else { g * self.0 }
    }
}

/// g times a slope where x is positive, elsewhere times `rise e^x + rest`.
#[derive(Clone, Copy)]
struct EluGrad {
    slope: f64,
    rise: f64,
    rest: f64,
}

impl Zip for EluGrad {
    #[inline(always)]
    fn lanes<S: Simd>(self, s: S, g: S::F32, x: S::F32) -> S::F32 {
        let (a, b, c) = (s.splat(self.slope as f32), s.splat(self.rise as f32), s.splat(self.rest as f32));
        g * s.select(s.lt(s.splat(0.0), x), a, s.fma(math::exp(s, x), b, c))
    }
    #[inline(always)]
    fn f64(self, g: f64, x: f64) -> f64 {
        g * if x > 0.0 { self.slope } else { self.rise * x.exp() + self.rest }
    }
}

/// 1/sqrt(2 pi).
const PHI: f64 = 0.398_942_280_401_432_7;

zip_kernel!(GeluGrad:
    |s, g, x| {
        let cdf = s.fma(math::erf(s, x * s.splat(std::f32::consts::FRAC_1_SQRT_2)), s.splat(0.5), s.splat(0.5));
        g * s.fma(x, math::exp(s, x * x * s.splat(-0.5)) * s.splat(PHI as f32), cdf)
    },
    |g, x| g * (0.5 * math::scalar::erfc(-x * std::f64::consts::FRAC_1_SQRT_2) + x * PHI * (-0.5 * x * x).exp()));

fn run_leaky_grad(r: &Run<'_>) -> Result<()> {
    let p = r.p::<LeakyReLU>();
    let (g, x, y) = (r.ins[0], r.ins[1], r.outs[0]);
    let n = [g.size()];
    match p.act_type {
        Leak::Leaky => zip(LeakyGrad(p.slope.into()), &n, g.span(), &[1], x.span(), &[1], y.span()),
        Leak::Elu | Leak::Selu => {
            zip(p.elu_slope(), &n, g.span(), &[1], x.span(), &[1], y.span());
        }
        Leak::Gelu => zip(GeluGrad, &n, g.span(), &[1], x.span(), &[1], y.span()),
        Leak::Prelu | Leak::Rrelu => bail!(Internal, "this rectifier has another gradient"),
    }
    Ok(())
}

fn grad_leaky_grad(d: &Vjp<'_>) -> Result<Grads> {
    let p = d.p::<LeakyReLU>();
    let (h, g, x) = (d.grad(), d.input(0), d.input(1));
    let by_g = d.needs(0).then(|| call(&LEAKY_GRAD, &[h, x], d.params));
    let by_x = match p.act_type {
        _ if !d.needs(1) => None,
        Leak::Elu | Leak::Selu => Some(h * g * (x.le(0.0) * x.min_with(0.0).exp() * p.elu_slope().rise)),
        Leak::Gelu => Some(h * g * ((2.0 - x.square()) * (x.square() * -0.5).exp() * PHI)),
        _ => None,
    };
    Ok(smallvec![by_g, by_x])
}

fn leaky_case(d: &mut Draw) -> Case {
    let dims = d.shape(1, 4);
    // The gradient of selu is not that of the function.
    let act = d.pick(&["leaky", "elu", "gelu", "prelu", "rrelu"]);
    let case =
        Case::new().input(&dims, Fill::Real(-3.0, 3.0, &[0.0])).param("act_type", act).param("slope", 0.3);
    if act != "prelu" {
        return case;
    }
    let c = if d.flip() { 1 } else { dims[dims.len().min(2) - 1] };
    case.input(&[c], Fill::Real(0.1, 0.6, &[]))
}

fn leaky_grad_case(d: &mut Draw) -> Case {
    let dims = d.shape(1, 3);
    let act = d.pick(&["leaky", "elu", "selu", "gelu"]);
    Case::new().real(&dims).input(&dims, Fill::Real(-3.0, 3.0, &[0.0])).param("act_type", act)
}

fn leaky_outputs(p: &Params) -> usize {
    if LeakyReLU::is(p, Leak::Rrelu) { 2 } else { 1 }
}

table! {
    ACTIVATION = OpDef::map("Activation", run).params::<Activation>().dtype(floats)
        .epilogue(|p| (p.get::<Activation>().act_type == Act::Relu).then_some(Epilogue::Relu))
        .doc("Applies `max(x, 0)`, the logistic function, tanh, `log(1 + e^x)` or `x/(1 + |x|)` to every element.")
        .vjp1(Keep::OUTPUTS, grad).cases(case);
    LEAKY_RELU = OpDef::new("LeakyReLU", &["data", "gamma"], run_leaky).params::<LeakyReLU>().inplace().random_if(|p| LeakyReLU::is(p, Leak::Rrelu))
        .elementwise(|p| !LeakyReLU::is(p, Leak::Prelu) && !LeakyReLU::is(p, Leak::Rrelu))
        .arity(|p| if LeakyReLU::is(p, Leak::Prelu) { 2 } else { 1 }).outputs(leaky_outputs, leaky_outputs)
        .output_names(&["output", "mask"]).inits(&[(1, "[\"Constant\", {\"value\": 0.25}]")])
        .shape(shape_leaky).dtype(floats)
        .doc("Rectifiers that let something through below 0: `slope x` (leaky), `gamma x` with gamma learnt for each channel \
              (prelu), a random slope in training and the middle one else (rrelu, whose second result are the slopes), \
              `slope (e^x - 1)` (elu), the self-normalising form of that (selu); or `x Phi(x)` with the normal distribution \
              function (gelu).")
        .vjp(Keep::INPUTS.and(Keep::output(1)), grad_leaky).cases(leaky_case);
    LEAKY_GRAD = OpDef::zip("_ks_leaky_relu_grad", run_leaky_grad).params::<LeakyReLU>().dtype(floats)
        .doc("`lhs` times the derivative of a leaky rectifier at `rhs`.")
        .vjp(Keep::INPUTS, grad_leaky_grad).cases(leaky_grad_case);
}
