//! Random arrays whose distribution has plain numbers for parameters.

use super::def::{OpDef, Run};
use super::infer::{Shapes, Types};
use super::params::{Ints, ParamSet};
use super::softmax::Float;
use crate::device::Device;
use crate::dtype::DType;
use crate::error::Result;
use crate::kernels::random;
use crate::rng::{Stream, reserve};
use crate::shape::partial::Partial;

/// Why nothing random has a gradient.
pub(crate) const RANDOM: &str = "random numbers have no gradient";
/// Why nothing random has samples.
pub(crate) const STATISTICS: &str = "random; statistics are tested instead";

choices! {
    /// Dtypes of random integers.
    pub enum Whole { I32 = "int32", I64 = "int64" }
}

/// Declares the parameters of a distribution as an operator takes them, alone and for the likeness of another array.
macro_rules! distribution {
    ($(#[$m:meta])* $name:ident, $like:ident { $($field:ident: $t:ty $(= $default:expr)?, $doc:literal;)* } dtype $d:ty) => {
        params! {
            $(#[$m])*
            pub struct $name {
                $($field: $t $(= $default)?, $doc;)*
                shape: Option<Ints> = None, "shape of the result";
                ctx: Device = Device::default(), "where it lives, and whose random numbers are used";
                dtype: Option<$d> = None, "dtype of the result";
            }
        }
        params! {
            $(#[$m])*
            pub struct $like { $($field: $t $(= $default)?, $doc;)* }
        }
        impl Drawn for $name {
            fn shape(&self) -> Option<&Ints> { self.shape.as_ref() }
            fn device(&self) -> Device { self.ctx }
            fn dtype(&self) -> Option<DType> { self.dtype.map(|d| d.dtype()) }
        }
    };
}

/// What all distributions share.
trait Drawn: ParamSet {
    fn shape(&self) -> Option<&Ints>;
    fn device(&self) -> Device;
    fn dtype(&self) -> Option<DType>;
}

impl Whole {
    fn dtype(self) -> DType {
        if self == Whole::I32 { DType::I32 } else { DType::I64 }
    }
}

distribution! {
    /// Evenly distributed numbers.
    Uniform, UniformLike {
        low: f32 = 0.0, "smallest number";
        high: f32 = 1.0, "end of the range, not itself drawn";
    } dtype Float
}
distribution! {
    /// Normally distributed numbers.
    Normal, NormalLike {
        loc: f32 = 0.0, "mean";
        scale: f32 = 1.0, "standard deviation";
    } dtype Float
}
distribution! {
    /// Gamma distributed numbers.
    Gamma, GammaLike {
        alpha: f32 = 1.0, "shape";
        beta: f32 = 1.0, "scale: the mean is alpha beta";
    } dtype Float
}
distribution! {
    /// Exponentially distributed numbers.
    Exponential, ExponentialLike {
        lam: f32 = 1.0, "rate: the mean is 1/lam";
    } dtype Float
}
distribution! {
    /// Poisson distributed numbers.
    Poisson, PoissonLike {
        lam: f32 = 1.0, "mean";
    } dtype Float
}
distribution! {
    /// Negative binomially distributed numbers.
    NegativeBinomial, NegativeBinomialLike {
        k: i64 = 1, "successes after which one stops counting failures";
        p: f32 = 1.0, "probability of a success";
    } dtype Float
}
distribution! {
    /// Negative binomially distributed numbers by mean and dispersion.
    Generalized, GeneralizedLike {
        mu: f32 = 1.0, "mean";
        alpha: f32 = 1.0, "dispersion: the variance is mu + alpha mu²";
    } dtype Float
}
distribution! {
    /// Whole numbers, evenly distributed.
    Randint, RandintLike {
        low: i64, "smallest number";
        high: i64, "end of the range, not itself drawn";
    } dtype Whole
}

fn infer_shape<P: Drawn>(s: &mut Shapes<'_>) -> Result<()> {
    if let Some(shape) = s.params.get::<P>().shape() {
        if let Some(d) = shape.iter().find(|&&d| d < -1) {
            bail!(Shape, "sizes must not be negative, got {d}");
        }
        s.outs[0].merge(&Partial::from_sizes(shape))?;
    }
    Ok(())
}

fn infer_type<P: Drawn>(t: &mut Types<'_>, default: DType) -> Result<()> {
    match (t.params.get::<P>().dtype(), t.outs[0]) {
        (Some(d), Some(out)) if d != out => {
            bail!(Dtype, "the result has another dtype than asked for, got {out}, want {d}")
        }
        (Some(d), _) => t.outs[0] = Some(d),
        (None, None) => t.outs[0] = Some(default),
        (None, Some(_)) => {}
    }
    Ok(())
}

/// Reserves what the output needs.
pub(crate) fn stream(r: &Run<'_>) -> Stream {
    let out = r.outs[0];
    reserve(out.device(), random::counters(out.size()))
}

pub(crate) fn check(ok: bool, what: &str, got: impl std::fmt::Display, want: &str) -> Result<()> {
    if ok {
        return Ok(());
    }
    bail!(Param, "{what} is out of range, got {got}, want {want}")
}

fn run_uniform(r: &Run<'_>, low: f32, high: f32) -> Result<()> {
    check(low <= high, "high", high, "no less than low")?;
    check((high - low).is_finite(), "high - low", high - low, "a finite range")?;
    random::uniform(r.outs[0].span(), stream(r), low.into(), high.into());
    Ok(())
}

fn run_normal(r: &Run<'_>, loc: f32, scale: f32) -> Result<()> {
    check(scale >= 0.0, "scale", scale, "0 or more")?;
    random::normal(r.outs[0].span(), stream(r), loc.into(), scale.into());
    Ok(())
}

fn run_gamma(r: &Run<'_>, alpha: f32, beta: f32) -> Result<()> {
    check(alpha >= 0.0 && alpha.is_finite(), "alpha", alpha, "0 or more")?;
    check(beta >= 0.0, "beta", beta, "0 or more")?;
    let (a, b) = (f64::from(alpha), f64::from(beta));
    random::each(r.outs[0].span(), stream(r), |_, e| random::gamma(e, a, b));
    Ok(())
}

fn run_exponential(r: &Run<'_>, lam: f32) -> Result<()> {
    check(lam > 0.0, "lam", lam, "more than 0")?;
    random::exponential(r.outs[0].span(), stream(r), 1.0 / f64::from(lam));
    Ok(())
}

fn run_poisson(r: &Run<'_>, lam: f32) -> Result<()> {
    check(lam >= 0.0 && lam.is_finite(), "lam", lam, "0 or more")?;
    random::each(r.outs[0].span(), stream(r), |_, e| random::poisson(e, lam.into()));
    Ok(())
}

/// Mean and shape from the number of successes and their probability.
pub(crate) fn failures(k: f64, p: f64) -> f64 {
    if p == 1.0 { 0.0 } else { k * (1.0 - p) / p }
}

fn run_negative_binomial(r: &Run<'_>, k: i64, p: f32) -> Result<()> {
    check(k >= 0, "k", k, "0 or more")?;
    check(p > 0.0 && p <= 1.0, "p", p, "more than 0, at most 1")?;
    let (k, p) = (k as f64, f64::from(p));
    random::each(r.outs[0].span(), stream(r), |_, e| random::negative_binomial(e, k, failures(k, p)));
    Ok(())
}

fn run_generalized(r: &Run<'_>, mu: f32, alpha: f32) -> Result<()> {
    check(mu >= 0.0, "mu", mu, "0 or more")?;
    check(alpha >= 0.0, "alpha", alpha, "0 or more")?;
    random::each(r.outs[0].span(), stream(r), |_, e| generalized(e, mu.into(), alpha.into()));
    Ok(())
}

/// Without dispersion it is Poisson distributed.
pub(crate) fn generalized(e: &mut random::Element, mu: f64, alpha: f64) -> f64 {
    if alpha == 0.0 { random::poisson(e, mu) } else { random::negative_binomial(e, 1.0 / alpha, mu) }
}

fn run_randint(r: &Run<'_>) -> Result<()> {
    let p = r.p::<Randint>();
    check(p.low < p.high, "high", p.high, "more than low")?;
    random::randint(r.outs[0].span(), stream(r), p.low, p.high.wrapping_sub(p.low) as u64);
    Ok(())
}

/// An operator that draws an array of a given shape, and one that draws in the likeness of another array.
const fn draws(
    name: &'static str,
    aliases: &'static [&'static str],
    run: super::def::Kernel,
    doc: &'static str,
) -> OpDef {
    OpDef::new(name, &[], run).aliases(aliases).doc(doc).random().no_gradient(RANDOM).no_samples(STATISTICS)
}

const fn likes(name: &'static str, run: super::def::Kernel, doc: &'static str) -> OpDef {
    OpDef::new(name, &["data"], run).doc(doc).random().zero_gradient(RANDOM).no_samples(STATISTICS)
}

macro_rules! drawn {
    ($p:ty, $default:ident) => {
        (
            infer_shape::<$p>,
            |t: &mut Types<'_>| infer_type::<$p>(t, DType::$default),
            |p: &super::params::Params| p.get::<$p>().device(),
        )
    };
}

/// Adds the parameters of a distribution to an operator.
const fn with<P: Drawn>(
    op: OpDef,
    rules: (super::infer::ShapeRule, super::infer::TypeRule, fn(&super::params::Params) -> Device),
) -> OpDef {
    op.params::<P>().shape(rules.0).dtype(rules.1).device(rules.2)
}

table! {
    UNIFORM = with::<Uniform>(draws("_random_uniform", &["uniform", "random_uniform"], |r| {
        let p = r.p::<Uniform>();
        run_uniform(r, p.low, p.high)
    }, "Numbers evenly distributed over `low` to `high`, the end excluded."), drawn!(Uniform, F32));
    NORMAL = with::<Normal>(draws("_random_normal", &["normal", "random_normal"], |r| {
        let p = r.p::<Normal>();
        run_normal(r, p.loc, p.scale)
    }, "Normally distributed numbers of mean `loc` and standard deviation `scale`."), drawn!(Normal, F32));
    GAMMA = with::<Gamma>(draws("_random_gamma", &["random_gamma"], |r| {
        let p = r.p::<Gamma>();
        run_gamma(r, p.alpha, p.beta)
    }, "Gamma distributed numbers of shape `alpha` and scale `beta`."), drawn!(Gamma, F32));
    EXPONENTIAL = with::<Exponential>(draws("_random_exponential", &["random_exponential"],
        |r| run_exponential(r, r.p::<Exponential>().lam),
        "Exponentially distributed numbers of rate `lam`."), drawn!(Exponential, F32));
    POISSON = with::<Poisson>(draws("_random_poisson", &["random_poisson"], |r| run_poisson(r, r.p::<Poisson>().lam),
        "Poisson distributed numbers of mean `lam`."), drawn!(Poisson, F32));
    NEGATIVE_BINOMIAL = with::<NegativeBinomial>(draws("_random_negative_binomial", &["random_negative_binomial"], |r| {
        let p = r.p::<NegativeBinomial>();
        run_negative_binomial(r, p.k, p.p)
    }, "Failures before the `k`th success of probability `p`."), drawn!(NegativeBinomial, F32));
    GENERALIZED = with::<Generalized>(draws("_random_generalized_negative_binomial",
        &["random_generalized_negative_binomial"], |r| {
        let p = r.p::<Generalized>();
        run_generalized(r, p.mu, p.alpha)
    }, "Negative binomially distributed numbers of mean `mu` and variance `mu + alpha mu²`."), drawn!(Generalized, F32));
    RANDINT = with::<Randint>(draws("_random_randint", &["random_randint"], run_randint,
        "Whole numbers evenly distributed over `low` to `high`, the end excluded."), drawn!(Randint, I32));
    UNIFORM_LIKE = likes("_random_uniform_like", |r| {
        let p = r.p::<UniformLike>();
        run_uniform(r, p.low, p.high)
    }, "Evenly distributed numbers in the shape and dtype of an array.").params::<UniformLike>();
    NORMAL_LIKE = likes("_random_normal_like", |r| {
        let p = r.p::<NormalLike>();
        run_normal(r, p.loc, p.scale)
    }, "Normally distributed numbers in the shape and dtype of an array.").params::<NormalLike>();
    GAMMA_LIKE = likes("_random_gamma_like", |r| {
        let p = r.p::<GammaLike>();
        run_gamma(r, p.alpha, p.beta)
    }, "Gamma distributed numbers in the shape and dtype of an array.").params::<GammaLike>();
    EXPONENTIAL_LIKE = likes("_random_exponential_like", |r| run_exponential(r, r.p::<ExponentialLike>().lam),
        "Exponentially distributed numbers in the shape and dtype of an array.").params::<ExponentialLike>();
    POISSON_LIKE = likes("_random_poisson_like", |r| run_poisson(r, r.p::<PoissonLike>().lam),
        "Poisson distributed numbers in the shape and dtype of an array.").params::<PoissonLike>();
    NEGATIVE_BINOMIAL_LIKE = likes("_random_negative_binomial_like", |r| {
        let p = r.p::<NegativeBinomialLike>();
        run_negative_binomial(r, p.k, p.p)
    }, "Negative binomially distributed numbers in the shape and dtype of an array.").params::<NegativeBinomialLike>();
    GENERALIZED_LIKE = likes("_random_generalized_negative_binomial_like", |r| {
        let p = r.p::<GeneralizedLike>();
        run_generalized(r, p.mu, p.alpha)
    }, "Negative binomially distributed numbers, by mean and dispersion, in the shape and dtype of an array.")
        .params::<GeneralizedLike>();
}
