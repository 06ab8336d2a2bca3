//! Probability densities: of each sample under the distribution that its row's parameters say.
//!
//! The axes of the samples begin with those of the parameters; what follows are the samples of one distribution. Gradients are composed
//! of recorded operators from the slopes of the logarithm.

use super::def::{Keep, OpDef, Run};
use super::elementwise::special::digamma;
use super::infer::Shapes;
use super::reduce::sum_over;
use super::samples::{Case, Draw, Fill};
use super::shape_ops::view::reshaped;
use super::softmax::floats;
use super::vjp::{Grads, Vjp};
use crate::array::Array;
use crate::error::Result;
use crate::kernels::density::{self, Family, density, dirichlet};
use crate::shape::partial::Partial;
use crate::shape::show;

params! {
    /// What a density takes.
    pub struct Pdf {
        is_log: bool = false, "whether the logarithm of the density is wanted";
    }
}

/// Samples and parameters: the parameters' axes come first in those of the samples. `point` axes at the end of all inputs are a sample.
fn infer_shape(s: &mut Shapes<'_>, point: usize) -> Result<()> {
    let mut param = Partial::UNKNOWN;
    s.ins[1..].iter().try_for_each(|p| param.merge(p).map(drop))?;
    s.ins[1..].iter_mut().try_for_each(|p| p.merge(&param).map(drop))?;
    let (Some(x), Some(p)) = (s.input(0), param.known()) else {
        // The axes that both have, and those of the result, from the samples.
        let found = s.ins[0].sizes().map(|x| &x[..x.len().saturating_sub(point)]).filter(|x| !x.is_empty());
        if let Some(out) = found.map(Partial::from_sizes) {
            s.outs[0].merge(&out)?;
        }
        if let (Some(x), Some(k)) = (s.ins[0].sizes(), param.ndim())
            && (point..=x.len()).contains(&k)
        {
            let axes = Partial::from_sizes(&[&x[..k - point], &x[x.len() - point..]].concat());
            for i in 1..s.ins.len() {
                s.want_partial(i, &axes)?;
            }
        }
        return Ok(());
    };
    let rows = p.len().saturating_sub(point);
    let fits =
        p.len() >= point && x.len() >= p.len() && x[..rows] == p[..rows] && x[x.len() - point..] == p[rows..];
    if !fits {
        bail!(
            Shape,
            "the axes of sample must begin with those of the parameters, got {} and {}",
            show(&x),
            show(&p)
        );
    }
    if x.len() == point { s.output(0, &[1]) } else { s.output(0, &x[..x.len() - point]) }
}

fn run(r: &Run<'_>, f: Family) -> Result<()> {
    let (a, b) = (r.ins[1].span(), r.ins[r.ins.len() - 1].span());
    density(f, r.ins[0].span(), [a, b], r.outs[0].span(), r.p::<Pdf>().is_log);
    Ok(())
}

/// Slopes of the logarithm of a density by sample and parameters; `None` is 0.
type Slopes = fn(&Array, &[Array]) -> Vec<Option<Array>>;

/// Gradients from the slopes, all seen as (rows, samples of a row, coordinates of a sample); samples are points or numbers.
fn grad(d: &Vjp<'_>, points: bool, slopes: Slopes) -> Result<Grads> {
    let k = d.in_dims(0).last().copied().filter(|_| points).unwrap_or(1);
    let size = |dims: &[usize]| dims.iter().product::<usize>() / k.max(1);
    let rows = size(d.in_dims(1));
    let n = size(d.in_dims(0)).checked_div(rows).unwrap_or(0);
    let x = reshaped(d.input(0), &[rows, n, k]);
    let params: Vec<Array> = (1..d.num_inputs()).map(|i| reshaped(d.input(i), &[rows, 1, k])).collect();
    let h = if d.p::<Pdf>().is_log { d.grad().clone() } else { d.grad() * d.out() };
    let h = reshaped(&h, &[rows, n, 1]);
    let one = |(i, slope): (usize, Option<Array>)| {
        let Some(slope) = slope.filter(|_| d.needs(i)) else { return d.zeros(i) };
        let by = &h * slope;
        let by = if i == 0 { by } else { sum_over(&by, &[1], true) };
        Ok(Some(reshaped(&by, d.in_dims(i))))
    };
    slopes(&x, &params).into_iter().enumerate().map(one).collect()
}

fn by_uniform(_: &Array, p: &[Array]) -> Vec<Option<Array>> {
    let inv = (&p[1] - &p[0]).reciprocal();
    vec![None, Some(inv.clone()), Some(-inv)]
}

fn by_normal(x: &Array, p: &[Array]) -> Vec<Option<Array>> {
    let u = (x - &p[0]) / &p[1];
    let by_mu = &u / &p[1];
    vec![Some(-&by_mu), Some(by_mu), Some((u.square() - 1.0) / &p[1])]
}

fn by_gamma(x: &Array, p: &[Array]) -> Vec<Option<Array>> {
    let (a, b) = (&p[0], &p[1]);
    vec![Some((a - 1.0) / x - b), Some(x.log() + (b.log() - digamma(a))), Some(a / b - x)]
}

fn by_exponential(x: &Array, p: &[Array]) -> Vec<Option<Array>> {
    vec![Some(-&p[0]), Some(p[0].reciprocal() - x)]
}

fn by_poisson(x: &Array, p: &[Array]) -> Vec<Option<Array>> {
    vec![None, Some(x / &p[0] - 1.0)]
}

/// Slopes of the negative binomial distribution by `k` and `p`.
fn by_binomial(x: &Array, k: &Array, p: &Array) -> [Array; 2] {
    [digamma(&(x + k)) + (p.log() - digamma(k)), k / p - x / (1.0 - p)]
}

fn by_negative_binomial(x: &Array, p: &[Array]) -> Vec<Option<Array>> {
    let [k, p] = by_binomial(x, &p[0], &p[1]);
    vec![None, Some(k), Some(p)]
}

fn by_generalized(x: &Array, params: &[Array]) -> Vec<Option<Array>> {
    let (mu, alpha) = (&params[0], &params[1]);
    let (k, p) = (alpha.reciprocal(), (mu * alpha + 1.0).reciprocal());
    let [by_k, by_p] = by_binomial(x, &k, &p);
    let square = p.square();
    vec![None, Some(-(&by_p * (alpha * &square))), Some(-(by_k * k.square()) - by_p * (mu * square))]
}

fn by_dirichlet(x: &Array, p: &[Array]) -> Vec<Option<Array>> {
    let a = &p[0];
    let total = digamma(&sum_over(a, &[2], true));
    vec![Some((a - 1.0) / x), Some(x.log() + (total - digamma(a)))]
}

/// Samples and `n` parameters between 0.5 and 0.9, the second of them higher where `apart` is set.
fn case(d: &mut Draw, n: usize, sample: Fill, apart: bool) -> Case {
    let (rows, per) = (d.shape(1, 2), d.shape(0, 2));
    let dims: Vec<usize> = rows.iter().chain(&per).copied().collect();
    let mut case = Case::new().input(&dims, sample).input(&rows, Fill::Real(0.5, 0.9, &[]));
    if n == 2 {
        let (lo, hi) = if apart { (1.5, 2.5) } else { (0.3, 0.8) };
        case = case.input(&rows, Fill::Real(lo, hi, &[]));
    }
    case.param("is_log", d.flip())
}

const REAL: Fill = Fill::Real(0.3, 2.0, &[]);
const WHOLE: Fill = Fill::Whole(0, 6);

fn dirichlet_case(d: &mut Draw) -> Case {
    let (rows, n, k) = (d.size(1, 3), d.size(1, 3), d.size(1, 4));
    Case::new()
        .input(&[rows, n, k], Fill::Real(0.1, 0.9, &[]))
        .input(&[rows, k], REAL)
        .param("is_log", d.flip())
}

macro_rules! pdf {
    ($name:literal, $alias:literal, [$($param:literal),*], $family:ident, $slopes:ident) => {
        OpDef::new($name, &["sample", $($param),*], |r| run(r, density::$family)).aliases(&[$alias]).params::<Pdf>()
            .shape(|s| infer_shape(s, 0)).dtype(floats).vjp(Keep::ALL, |d| grad(d, false, $slopes))
    };
}

table! {
    UNIFORM = pdf!("_random_pdf_uniform", "random_pdf_uniform", ["low", "high"], UNIFORM, by_uniform)
        .doc("Density of the uniform distribution, `1/(high - low)`, or its logarithm; also for samples outside.")
        .cases(|d| case(d, 2, REAL, true));
    NORMAL = pdf!("_random_pdf_normal", "random_pdf_normal", ["mu", "sigma"], NORMAL, by_normal)
        .doc("Density of the normal distribution with mean `mu` and standard deviation `sigma`, or its logarithm.")
        .cases(|d| case(d, 2, REAL, false));
    GAMMA = pdf!("_random_pdf_gamma", "random_pdf_gamma", ["alpha", "beta"], GAMMA, by_gamma)
        .doc("Density of the gamma distribution with shape `alpha` and rate `beta`, or its logarithm.")
        .cases(|d| case(d, 2, REAL, false));
    EXPONENTIAL = pdf!("_random_pdf_exponential", "random_pdf_exponential", ["lam"], EXPONENTIAL, by_exponential)
        .doc("Density of the exponential distribution with rate `lam`, or its logarithm.")
        .cases(|d| case(d, 1, REAL, false));
    POISSON = pdf!("_random_pdf_poisson", "random_pdf_poisson", ["lam"], POISSON, by_poisson)
        .doc("Probability under the Poisson distribution with mean `lam`, or its logarithm.")
        .cases(|d| case(d, 1, WHOLE, false));
    NEGATIVE_BINOMIAL =
        pdf!("_random_pdf_negative_binomial", "random_pdf_negative_binomial", ["k", "p"], NEGATIVE_BINOMIAL, by_negative_binomial)
        .doc("Probability of so many failures before `k` successes of probability `p`, or its logarithm.")
        .cases(|d| case(d, 2, WHOLE, false));
    GENERALIZED_NEGATIVE_BINOMIAL = pdf!(
        "_random_pdf_generalized_negative_binomial", "random_pdf_generalized_negative_binomial", ["mu", "alpha"],
        GENERALIZED_NEGATIVE_BINOMIAL, by_generalized
    )
        .doc("Probability under the negative binomial distribution with mean `mu` and dispersion `alpha`, or its logarithm.")
        .cases(|d| case(d, 2, WHOLE, false));
    DIRICHLET = OpDef::new("_random_pdf_dirichlet", &["sample", "alpha"], |r| {
            let k = r.ins[1].dims().last().copied().unwrap_or(1);
            dirichlet(r.ins[0].span(), r.ins[1].span(), r.outs[0].span(), k, r.p::<Pdf>().is_log);
            Ok(())
        })
        .aliases(&["random_pdf_dirichlet"]).params::<Pdf>().shape(|s| infer_shape(s, 1)).dtype(floats)
        .doc("Density of the Dirichlet distribution with concentrations `alpha` at points whose coordinates are the last axis, or its \
              logarithm.")
        .vjp(Keep::ALL, |d| grad(d, true, by_dirichlet)).cases(dirichlet_case);
}
