//! Distributions that reject: an element takes as many random bits as it needs.

use super::Element;
use crate::simd::math::scalar::lgamma;

/// Gamma distributed with shape `alpha` and scale `beta` (Marsaglia and Tsang 2000); 0 for a shape of 0.
pub fn gamma(e: &mut Element, alpha: f64, beta: f64) -> f64 {
    if !(alpha > 0.0 && alpha.is_finite()) {
        return if alpha == 0.0 { 0.0 } else { f64::NAN };
    }
    // A shape below 1 is that of alpha + 1, times a power of a uniform number.
    let (a, boost) = if alpha < 1.0 { (alpha + 1.0, e.open().powf(1.0 / alpha)) } else { (alpha, 1.0) };
    let d = a - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = e.normal();
        let v = (1.0 + c * x).powi(3);
        if v > 0.0 && e.open().ln() < 0.5 * x * x + d * (1.0 - v + v.ln()) {
            return d * v * boost * beta;
        }
    }
}

/// Poisson distributed with mean `lam`: by inversion when it is small, else by Hörmann's transformed rejection (1993).
pub fn poisson(e: &mut Element, lam: f64) -> f64 {
    if !(lam > 0.0 && lam.is_finite()) {
        return if lam == 0.0 { 0.0 } else { f64::NAN };
    }
    if lam < 10.0 {
        let (mut k, mut p, u) = (0.0, (-lam).exp(), e.unit());
        let mut sum = p;
        while u > sum && p > 0.0 {
            k += 1.0;
            p *= lam / k;
            sum += p;
        }
        return k;
    }
    let log = lam.ln();
    let b = 0.931 + 2.53 * lam.sqrt();
    let a = -0.059 + 0.02483 * b;
    let inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
    let v_r = 0.9277 - 3.6224 / (b - 2.0);
    loop {
        let (u, v) = (e.unit() - 0.5, e.open());
        let us = 0.5 - u.abs();
        let k = ((2.0 * a / us + b) * u + lam + 0.43).floor();
        if us >= 0.07 && v <= v_r {
            return k;
        }
        if k < 0.0 || (us < 0.013 && v > us) {
            continue;
        }
        let accepted = v.ln() + inverse_alpha.ln() - (a / (us * us) + b).ln();
        if accepted <= -lam + k * log - lgamma(k + 1.0) {
            return k;
        }
    }
}

/// Poisson distributed with a gamma distributed mean of mean `mean` and shape `shape`: negative binomial.
pub fn negative_binomial(e: &mut Element, shape: f64, mean: f64) -> f64 {
    if mean == 0.0 {
        return 0.0;
    }
    // With a shape without bound the mean varies no more.
    let lam = if shape == f64::INFINITY { mean } else { gamma(e, shape, mean / shape) };
    poisson(e, lam)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    /// Mean and variance of many.
    fn moments(n: u64, f: impl Fn(&mut Element) -> f64) -> (f64, f64) {
        let x: Vec<f64> = (0..n).map(|i| f(&mut Element::new(Stream { key: 9, counter: 3 }, i))).collect();
        let mean = x.iter().sum::<f64>() / n as f64;
        (mean, x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64)
    }

    fn near(got: (f64, f64), mean: f64, variance: f64, what: &str) {
        let n = 200_000f64;
        assert!((got.0 - mean).abs() < 5.0 * (variance / n).sqrt(), "{what}: mean {} {mean}", got.0);
        assert!((got.1 / variance - 1.0).abs() < 0.05, "{what}: variance {} {variance}", got.1);
    }

    #[test]
    fn parameters_without_bound_end() {
        let e = &mut Element::new(Stream { key: 9, counter: 3 }, 0);
        assert!(gamma(e, f64::INFINITY, 1.0).is_nan() && gamma(e, f64::NAN, 1.0).is_nan());
        assert!(gamma(e, 1e308, 1.0).is_finite() && gamma(e, 1e-320, 1.0) == 0.0);
        assert!(poisson(e, f64::INFINITY).is_nan() && poisson(e, 1e300) > 0.0);
        assert!(negative_binomial(e, f64::INFINITY, 3.0).is_finite());
        assert!(
            negative_binomial(e, f64::NAN, 3.0).is_nan() && negative_binomial(e, 2.0, f64::INFINITY).is_nan()
        );
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        for (a, b) in [(0.3, 2.0), (1.0, 1.0), (4.5, 0.5), (300.0, 1.0)] {
            near(moments(200_000, |e| gamma(e, a, b)), a * b, a * b * b, &format!("gamma {a} {b}"));
        }
        for lam in [0.1, 3.0, 9.9, 10.1, 40.0, 1e6] {
            near(moments(200_000, |e| poisson(e, lam)), lam, lam, &format!("poisson {lam}"));
        }
        for (k, p) in [(3.0, 0.4), (20.0, 0.7)] {
            let mean = k * (1.0 - p) / p;
            near(
                moments(200_000, |e| negative_binomial(e, k, mean)),
                mean,
                mean / p,
                &format!("binomial {k} {p}"),
            );
        }
    }

    #[test]
    fn edges_are_finite() {
        let mut e = Element::new(Stream { key: 1, counter: 0 }, 0);
        assert_eq!(gamma(&mut e, 0.0, 1.0), 0.0);
        assert_eq!(poisson(&mut e, 0.0), 0.0);
        assert_eq!(negative_binomial(&mut e, 3.0, 0.0), 0.0);
        assert!(gamma(&mut e, -1.0, 1.0).is_nan() && poisson(&mut e, -1.0).is_nan());
        assert!(poisson(&mut e, f64::INFINITY).is_nan());
    }
}
