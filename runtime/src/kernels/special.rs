//! Special functions in float64 that neither the standard library nor the C library has: the logarithmic derivative of the
//! gamma function and its own derivative, and the inverse of the error function.

use crate::simd::math::scalar::{erf, erfc};
use std::f64::consts::PI;

/// Digamma, the derivative of log gamma; about 1e-14 relative, less near its zeros. NaN at the poles 0, -1, -2, …
pub fn digamma(x: f64) -> f64 {
    if x <= 0.0 {
        // Reflection; at a pole the tangent is 0 or nearly so.
        return if x == x.floor() { f64::NAN } else { digamma(1.0 - x) - PI / (PI * x).tan() };
    }
    // psi(x) = psi(x + 1) - 1/x until the asymptotic series has settled.
    let (mut x, mut y) = (x, 0.0);
    while x < 10.0 {
        y -= 1.0 / x;
        x += 1.0;
    }
    // Bernoulli numbers B_2k / 2k.
    let t = 1.0 / (x * x);
    let series = t
        * (1.0 / 12.0
            - t * (1.0 / 120.0
                - t * (1.0 / 252.0
                    - t * (1.0 / 240.0 - t * (1.0 / 132.0 - t * (691.0 / 32760.0 - t / 12.0))))));
    y + x.ln() - 0.5 / x - series
}

/// Trigamma, the derivative of digamma. Infinite at the poles 0, -1, -2, …
pub fn trigamma(x: f64) -> f64 {
    if x <= 0.0 {
        let s = (PI * x).sin();
        return if x == x.floor() { f64::INFINITY } else { (PI / s).powi(2) - trigamma(1.0 - x) };
    }
    let (mut x, mut y) = (x, 0.0);
    while x < 10.0 {
        y += 1.0 / (x * x);
        x += 1.0;
    }
    let t = 1.0 / (x * x);
    let series = t
        * (1.0 / 6.0
            - t * (1.0 / 30.0
                - t * (1.0 / 42.0
                    - t * (1.0 / 30.0 - t * (5.0 / 66.0 - t * (691.0 / 2730.0 - t * 7.0 / 6.0))))));
    y + (1.0 + 0.5 / x + series) / x
}

/// Inverse error function, a few units in the last place; infinite at ±1, NaN beyond.
pub fn erfinv(x: f64) -> f64 {
    let a = x.abs();
    if !(a < 1.0) {
        return if a == 1.0 { x / 0.0 } else { f64::NAN };
    }
    if a < 1e-9 {
        return x * (PI.sqrt() / 2.0);
    }
    // Winitzki's closed form is within 0.2 %; each Halley step cubes that. The error is taken from whichever of erf and
    // erfc is small, so that it does not cancel.
    let log = ((1.0 - a) * (1.0 + a)).ln();
    let k = 2.0 / (PI * 0.147) + log / 2.0;
    let mut y = ((k * k - log / 0.147).sqrt() - k).sqrt();
    for _ in 0..3 {
        let miss = if a > 0.5 { (1.0 - a) - erfc(y) } else { erf(y) - a };
        let step = miss / (2.0 / PI.sqrt() * (-y * y).exp());
        y -= step / (1.0 + y * step);
    }
    y.copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::math::scalar::lgamma;

    #[test]
    fn derivatives_of_log_gamma() {
        const EULER: f64 = 0.577_215_664_901_532_9;
        assert!((digamma(1.0) + EULER).abs() < 1e-15);
        assert!((digamma(0.5) + EULER + 2.0 * 2f64.ln()).abs() < 1e-14);
        assert!((trigamma(1.0) - PI * PI / 6.0).abs() < 1e-14);
        assert!((trigamma(0.5) - PI * PI / 2.0).abs() < 1e-13);
        for x in [-3.3f64, -0.4, 0.01, 0.7, 1.46, 3.0, 25.0, 1e6] {
            let h = 1e-5 * x.abs().max(0.1);
            let near = (lgamma(x + h) - lgamma(x - h)) / (2.0 * h);
            assert!((digamma(x) - near).abs() < 1e-6 * (1.0 + near.abs()), "{x}");
            let near = (digamma(x + h) - digamma(x - h)) / (2.0 * h);
            assert!((trigamma(x) - near).abs() < 1e-6 * (1.0 + near.abs()), "{x}");
        }
        assert!(digamma(0.0).is_nan() && digamma(-2.0).is_nan() && trigamma(-1.0).is_infinite());
    }

    #[test]
    fn erfinv_undoes_erf() {
        for i in -999..1000 {
            let x = f64::from(i) / 1000.0;
            assert!((erf(erfinv(x)) - x).abs() < 4e-16, "{x}");
        }
        for e in [1e-3, 1e-8, 1e-14] {
            let y = erfinv(1.0 - e);
            assert!((erfc(y) / (1.0 - (1.0 - e)) - 1.0).abs() < 1e-12, "{e}");
        }
        assert_eq!(erfinv(1.0), f64::INFINITY);
        assert_eq!(erfinv(-1.0), f64::NEG_INFINITY);
        assert!(erfinv(1.1).is_nan() && erfinv(f64::NAN).is_nan());
        assert_eq!(erfinv(0.0), 0.0);
        assert!((erfinv(1e-12) / 8.862_269_254_527_58e-13 - 1.0).abs() < 1e-14);
    }
}
