//! Probability densities of samples, one set of parameters for each row. Computed in float64; a few units in its last place.

use super::par;
use crate::dtype::Elem;
use crate::simd::math::scalar::lgamma;
use crate::storage::Span;

/// What a row's parameters become before its samples are looked at.
type Ready = [f64; 3];

/// A family of distributions with one or two parameters.
#[derive(Clone, Copy)]
pub struct Family {
    /// Prepares a row; the second parameter is 0 where there is one only.
    pub ready: fn(f64, f64) -> Ready,
    /// Logarithm of the density at a sample.
    pub log: fn(Ready, f64) -> f64,
}

/// c log x, 0 for c = 0 whatever x is.
fn xlogy(c: f64, x: f64) -> f64 {
    if c == 0.0 { 0.0 } else { c * x.ln() }
}

fn ready_binomial(k: f64, p: f64) -> Ready {
    [k, xlogy(k, p) - lgamma(k), 1.0 - p]
}

fn log_binomial([k, c, q]: Ready, x: f64) -> f64 {
    lgamma(x + k) - lgamma(x + 1.0) + c + xlogy(x, q)
}

/// `1/(high - low)`, wherever the sample is.
pub const UNIFORM: Family = Family { ready: |low, high| [-(high - low).ln(), 0.0, 0.0], log: |[c, ..], _| c };

/// `exp(-(x - mu)²/(2 sigma²)) / (sigma sqrt(2 pi))`.
pub const NORMAL: Family = Family {
    ready: |mu, sigma| [mu, -0.5 / (sigma * sigma), -sigma.ln() - 0.5 * std::f64::consts::TAU.ln()],
    log: |[mu, a, c], x| a * (x - mu) * (x - mu) + c,
};

/// `beta^alpha x^(alpha-1) e^(-beta x) / Gamma(alpha)`.
pub const GAMMA: Family = Family {
    ready: |alpha, beta| [alpha - 1.0, beta, xlogy(alpha, beta) - lgamma(alpha)],
    log: |[a, beta, c], x| xlogy(a, x) - beta * x + c,
};

/// `lam e^(-lam x)`.
pub const EXPONENTIAL: Family =
    Family { ready: |lam, _| [lam, lam.ln(), 0.0], log: |[lam, c, _], x| c - lam * x };

/// `lam^x e^-lam / x!`.
pub const POISSON: Family =
    Family { ready: |lam, _| [lam, 0.0, 0.0], log: |[lam, ..], x| xlogy(x, lam) - lam - lgamma(x + 1.0) };

/// `Gamma(x + k) / (x! Gamma(k)) p^k (1-p)^x`.
pub const NEGATIVE_BINOMIAL: Family = Family { ready: ready_binomial, log: log_binomial };

/// The negative binomial distribution with `k = 1/alpha` and `p = 1/(1 + mu alpha)`.
pub const GENERALIZED_NEGATIVE_BINOMIAL: Family =
    Family { ready: |mu, alpha| ready_binomial(1.0 / alpha, 1.0 / (1.0 + mu * alpha)), log: log_binomial };

/// Elements per parallel chunk.
const WORK: usize = 512;

/// out = the density, or its logarithm, of rows of samples; `params` have one element for each row. `out` may be exactly `x`.
pub fn density(f: Family, x: Span, params: [Span; 2], out: Span, log: bool) {
    let rows = params[0].len();
    assert!(x.len() == out.len() && params[1].len() == rows && (rows == 0 || x.len().is_multiple_of(rows)));
    let n = x.len().checked_div(rows).unwrap_or(0);
    with_dtype!(x.dtype(), T => par::chunks(rows, (WORK / n.max(1)).max(1), |_, r| {
        for row in r {
            // SAFETY: parameters are only read; row `row` of samples and results is this chunk's alone, and each is read before it is
            // written.
            unsafe {
                let [a, b] = params.map(|p| (*p.ptr::<T>().add(row)).to_f64());
                let ready = (f.ready)(a, b);
                for i in row * n..(row + 1) * n {
                    let l = (f.log)(ready, (*x.ptr::<T>().add(i)).to_f64());
                    *out.ptr::<T>().add(i) = T::from_f64(if log { l } else { l.exp() });
                }
            }
        }
    }));
}

/// out = the Dirichlet density, or its logarithm, of points of `k` coordinates: `Gamma(Σ a) / Π Gamma(a) Π x^(a-1)`. Each of the `alpha`
/// (rows of `k`) belongs to an equal share of the points.
pub fn dirichlet(x: Span, alpha: Span, out: Span, k: usize, log: bool) {
    let rows = alpha.len().checked_div(k).unwrap_or(0);
    assert!(out.len() * k == x.len() && (rows == 0 || out.len().is_multiple_of(rows)));
    let n = out.len().checked_div(rows).unwrap_or(0);
    with_dtype!(x.dtype(), T => par::chunks(rows, (WORK / (n * k).max(1)).max(1), |_, r| {
        for row in r {
            // SAFETY: the inputs are only read; results of row `row` are this chunk's alone.
            let (a, x, out) = unsafe {
                (
                    alpha.sub(row * k, k).slice::<T>(),
                    x.sub(row * n * k, n * k).slice::<T>(),
                    out.sub(row * n, n).slice_mut::<T>(),
                )
            };
            let each = || a.iter().map(|a| a.to_f64());
            let c = lgamma(each().sum()) - each().map(lgamma).sum::<f64>();
            for (y, point) in out.iter_mut().zip(x.chunks_exact(k)) {
                let l = c + each().zip(point).map(|(a, x)| xlogy(a - 1.0, x.to_f64())).sum::<f64>();
                *y = T::from_f64(if log { l } else { l.exp() });
            }
        }
    }));
}
