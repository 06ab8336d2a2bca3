//! The discrete Fourier transform of any length, in float64: by halves where the length is a power of two, otherwise as a
//! convolution of such a length (Bluestein, 1970).

use std::f64::consts::PI;

/// A complex number.
pub type Complex = (f64, f64);

#[inline(always)]
fn times((a, b): Complex, (c, d): Complex) -> Complex {
    (a * c - b * d, a * d + b * c)
}

fn unit(angle: f64) -> Complex {
    (angle.cos(), angle.sin())
}

/// `x[k]` becomes the sum over n of `x[n] e^(-2πi kn/N)`, or with `inverse` of `x[n] e^(2πi kn/N)`, not divided by N.
pub fn transform(x: &mut [Complex], inverse: bool) {
    let n = x.len();
    let sign = if inverse { 1.0 } else { -1.0 };
    if n.is_power_of_two() {
        return halves(x, sign);
    }
    if n == 0 {
        return;
    }
    // kn = (k² + n² - (k - n)²) / 2 makes a convolution of it. Squares are taken modulo 2N, where the angle repeats.
    let turn: Vec<Complex> =
        (0..n as u128).map(|k| unit(sign * PI * (k * k % (2 * n as u128)) as f64 / n as f64)).collect();
    let m = (2 * n - 1).next_power_of_two();
    let (mut a, mut b) = (vec![(0.0, 0.0); m], vec![(0.0, 0.0); m]);
    for k in 0..n {
        a[k] = times(x[k], turn[k]);
        b[k] = (turn[k].0, -turn[k].1);
        b[(m - k) % m] = b[k];
    }
    halves(&mut a, -1.0);
    halves(&mut b, -1.0);
    a.iter_mut().zip(&b).for_each(|(a, b)| *a = times(*a, *b));
    halves(&mut a, 1.0);
    for k in 0..n {
        let (re, im) = times(a[k], turn[k]);
        x[k] = (re / m as f64, im / m as f64);
    }
}

/// The transform of a length that is a power of two.
fn halves(x: &mut [Complex], sign: f64) {
    let n = x.len();
    let mut j = 0;
    for i in 1..n {
        let mut bit = n >> 1;
        while j & bit != 0 {
            j ^= bit;
            bit >>= 1;
        }
        j |= bit;
        if i < j {
            x.swap(i, j);
        }
    }
    let mut len = 2;
    while len <= n {
        let turn: Vec<Complex> =
            (0..len / 2).map(|k| unit(sign * 2.0 * PI * k as f64 / len as f64)).collect();
        for block in x.chunks_exact_mut(len) {
            let (low, high) = block.split_at_mut(len / 2);
            for ((l, h), w) in low.iter_mut().zip(high).zip(&turn) {
                let t = times(*h, *w);
                (*l, *h) = ((l.0 + t.0, l.1 + t.1), (l.0 - t.0, l.1 - t.1));
            }
        }
        len *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_agrees_with_the_definition() {
        for n in [0, 1, 2, 3, 5, 8, 12, 17, 64, 100] {
            let x: Vec<Complex> = (0..n).map(|i| ((i * i % 7) as f64 - 2.0, (i * 3 % 5) as f64)).collect();
            for inverse in [false, true] {
                let sign = if inverse { 1.0 } else { -1.0 };
                let mut y = x.clone();
                transform(&mut y, inverse);
                for (k, got) in y.iter().enumerate() {
                    let term = |i: usize| times(x[i], unit(sign * 2.0 * PI * (k * i) as f64 / n as f64));
                    let want = (0..n).map(term).fold((0.0, 0.0), |s, t| (s.0 + t.0, s.1 + t.1));
                    assert!((got.0 - want.0).abs() + (got.1 - want.1).abs() < 1e-9, "{n} {k}");
                }
            }
        }
    }
}
