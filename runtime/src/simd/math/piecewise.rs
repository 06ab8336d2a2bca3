//! Odd functions that saturate at 1, as one polynomial per interval: seven lookups and five multiply-adds, no division.

use super::tables::Table;
use crate::simd::Simd;

/// End of the first interval.
const FIRST: f32 = 0.078125;

/// f(x) for the odd function of `table`, which is 1 from `limit` on, where an interval begins; at most 2 ulp, never beyond ±1.
#[inline(always)]
pub(super) fn piecewise<S: Simd>(s: S, x: S::F32, limit: f32, table: &Table) -> S::F32 {
    // Bounds first: `min` and `max` give the second operand where x is NaN.
    let a = s.min(s.splat(limit), s.abs(x));
    // Exponent and two bits of the mantissa, of which `lookup` takes the lower five.
    let i = s.sar::<21>(s.bits(s.max(s.splat(0.0625), a)));
    let [centre, coefficients @ ..] = table;
    let d = a - s.lookup(centre, i);
    let mut y = s.lookup(&coefficients[5], i);
    for c in coefficients[1..5].iter().rev() {
        y = s.fma(y, d, s.lookup(c, i));
    }
    // In the first interval the polynomial is what f(x) has beyond x.
    let base = s.select(s.lt(a, s.splat(FIRST)), a, s.lookup(&coefficients[0], i));
    let y = s.fma(y, d, base);
    s.copysign(s.min(s.splat(1.0), y), x)
}

#[cfg(test)]
mod tests {
    use super::super::{scalar, tables};
    use super::*;

    const DEGREE: usize = 5;

    /// Interpolates `f` at the Chebyshev nodes of [lo, hi]: coefficients of (x - centre)^k.
    fn interpolate(f: impl Fn(f64) -> f64, lo: f64, hi: f64, centre: f64, degree: usize) -> Vec<f64> {
        let angle = |i: usize| std::f64::consts::PI * (2 * i + 1) as f64 / (2 * degree + 2) as f64;
        let nodes: Vec<f64> =
            (0..=degree).map(|i| (lo + hi) / 2.0 + (hi - lo) / 2.0 * angle(i).cos() - centre).collect();
        // Newton's divided differences, then his form multiplied out.
        let mut newton: Vec<f64> = nodes.iter().map(|d| f(centre + d)).collect();
        for k in 1..=degree {
            for i in (k..=degree).rev() {
                newton[i] = (newton[i] - newton[i - 1]) / (nodes[i] - nodes[i - k]);
            }
        }
        let mut c = vec![0.0; degree + 1];
        for k in (0..=degree).rev() {
            for j in (1..=degree).rev() {
                c[j] = c[j - 1] - nodes[k] * c[j];
            }
            c[0] = newton[k] - nodes[k] * c[0];
        }
        c
    }

    fn check(name: &str, table: &Table, limit: f64, f: fn(f64) -> f64) {
        for octave in -4..4 {
            for quarter in 0..4 {
                let lo = 2f64.powi(octave) * (1.0 + f64::from(quarter) / 4.0);
                let hi = lo + 2f64.powi(octave) / 4.0;
                let place = (lo as f32).to_bits() as usize >> 21 & 31;
                let centre = f64::from(table[0][place]);
                let want = match lo {
                    0.0625 => {
                        let ratio = interpolate(|x| f(x) / x - 1.0, 1e-12, hi, 0.0, DEGREE - 1);
                        std::iter::once(0.0).chain(ratio).collect()
                    }
                    _ if lo >= limit => continue,
                    _ => interpolate(f, lo, hi, centre, DEGREE),
                };
                for (k, want) in want.iter().enumerate() {
                    let got = f64::from(table[k + 1][place]);
                    // What the coefficient adds at the end of the interval, against the value there.
                    let off = (got - want).abs() * (hi - centre).powi(k as i32) / f(hi);
                    assert!(off < 6e-8, "{name} from {lo}: coefficient {k} is {got:e}, want {want:e}");
                }
            }
        }
    }

    #[test]
    fn tables_hold_the_interpolation() {
        check("tanh", &tables::TANH, 10.0, f64::tanh);
        check("erf", &tables::ERF, 4.0, scalar::erf);
    }
}
