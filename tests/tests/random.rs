//! A million numbers of every distribution: moments against their formulas, and the distribution function against the
//! integral of the density that the library itself states (Kolmogorov and Smirnov's test). Seeds are fixed, so that a
//! result can be had again; bounds are those that a right sampler passes 999 times of 1000.

use keshi::invoke::invoke_named;
use keshi::ops::{self, value::Value};
use keshi::{Array, DType};

const DRAWS: usize = 1_000_000;

/// A distribution: its name in `_random_NAME`, `_sample_NAME` and `_random_pdf_NAME`, names and values of its parameters, those
/// of its density, mean and variance, and whether its values are whole numbers.
struct Distribution {
    name: &'static str,
    params: &'static [(&'static str, f64)],
    density: &'static [f64],
    mean: f64,
    variance: f64,
    whole: bool,
}

const fn real(
    name: &'static str,
    params: &'static [(&'static str, f64)],
    density: &'static [f64],
    mean: f64,
    variance: f64,
) -> Distribution {
    Distribution { name, params, density, mean, variance, whole: false }
}

const fn whole(
    name: &'static str,
    params: &'static [(&'static str, f64)],
    density: &'static [f64],
    mean: f64,
    variance: f64,
) -> Distribution {
    Distribution { name, params, density, mean, variance, whole: true }
}

/// Scales of gamma are rates to its density.
const ALL: [Distribution; 15] = [
    real("uniform", &[("low", -1.0), ("high", 3.0)], &[-1.0, 3.0], 1.0, 4.0 / 3.0),
    real("normal", &[("loc", 2.0), ("scale", 1.5)], &[2.0, 1.5], 2.0, 2.25),
    real("normal", &[("loc", 0.0), ("scale", 0.1)], &[0.0, 0.1], 0.0, 0.01),
    real("exponential", &[("lam", 0.5)], &[0.5], 2.0, 4.0),
    real("exponential", &[("lam", 4.0)], &[4.0], 0.25, 0.0625),
    real("gamma", &[("alpha", 2.5), ("beta", 2.0)], &[2.5, 0.5], 5.0, 10.0),
    real("gamma", &[("alpha", 9.0), ("beta", 0.5)], &[9.0, 2.0], 4.5, 2.25),
    whole("poisson", &[("lam", 3.0)], &[3.0], 3.0, 3.0),
    whole("poisson", &[("lam", 0.2)], &[0.2], 0.2, 0.2),
    whole("poisson", &[("lam", 45.0)], &[45.0], 45.0, 45.0),
    whole("negative_binomial", &[("k", 3.0), ("p", 0.4)], &[3.0, 0.4], 4.5, 11.25),
    whole("negative_binomial", &[("k", 20.0), ("p", 0.7)], &[20.0, 0.7], 60.0 / 7.0, 600.0 / 49.0),
    whole("generalized_negative_binomial", &[("mu", 4.0), ("alpha", 0.3)], &[4.0, 0.3], 4.0, 8.8),
    whole("generalized_negative_binomial", &[("mu", 0.5), ("alpha", 2.0)], &[0.5, 2.0], 0.5, 1.0),
    whole("generalized_negative_binomial", &[("mu", 20.0), ("alpha", 0.05)], &[20.0, 0.05], 20.0, 40.0),
];

fn call(name: &str, ins: &[&Array], params: &[(&str, Value)]) -> Array {
    invoke_named(ops::find(name).unwrap(), ins, params).unwrap_or_else(|e| panic!("{e}")).remove(0)
}

fn shape(dims: &[i64]) -> (&'static str, Value) {
    ("shape", dims.to_vec().into())
}

impl Distribution {
    fn text(&self) -> String {
        format!("{} {:?}", self.name, self.params)
    }

    /// `n` draws by numbers.
    fn drawn(&self, dtype: &str, n: usize) -> Vec<f64> {
        let mut params: Vec<(&str, Value)> = self.params.iter().map(|&(k, v)| (k, v.into())).collect();
        params.extend([shape(&[n as i64]), ("dtype", dtype.into())]);
        call(&format!("_random_{}", self.name), &[], &params).to_vec()
    }

    /// `n` draws for each of two rows of parameters, of which the second is this one.
    fn sampled(&self, n: usize) -> Vec<f64> {
        let rows: Vec<Array> = self
            .params
            .iter()
            .map(|&(k, v)| {
                let first = if k == "low" { v - 1.0 } else { v * 0.5 };
                Array::from_slice(&[first, v], &[2]).unwrap()
            })
            .collect();
        let rows: Vec<&Array> = rows.iter().collect();
        let all: Vec<f64> = call(&format!("_sample_{}", self.name), &rows, &[shape(&[n as i64])]).to_vec();
        all[n..].to_vec()
    }

    /// The density at points.
    fn density(&self, at: &[f64]) -> Vec<f64> {
        let sample = Array::from_slice(at, &[1, at.len()]).unwrap();
        let params: Vec<Array> =
            self.density.iter().map(|&v| Array::from_slice(&[v], &[1]).unwrap()).collect();
        let ins: Vec<&Array> = std::iter::once(&sample).chain(&params).collect();
        call(&format!("_random_pdf_{}", self.name), &ins, &[]).to_vec()
    }

    /// Points and the distribution function there: sums of the density over whole numbers, or its integral by Simpson's rule.
    fn cumulative(&self) -> (Vec<f64>, Vec<f64>) {
        let spread = self.variance.sqrt();
        if self.whole {
            let at: Vec<f64> = (0..(self.mean + 20.0 * spread) as i64 + 10).map(|k| k as f64).collect();
            let mut sum = 0.0;
            let mut sums = self.density(&at);
            sums.iter_mut().for_each(|p| {
                sum += *p;
                *p = sum;
            });
            return (at, sums);
        }
        let positive = self.name != "normal";
        let low = match self.name {
            "uniform" => self.params[0].1,
            _ if positive => 0.0,
            _ => self.mean - 12.0 * spread,
        };
        let high = if self.name == "uniform" { self.params[1].1 } else { self.mean + 24.0 * spread };
        let cells = 4000;
        let h = (high - low) / (2 * cells) as f64;
        let f = self.density(&(0..=2 * cells).map(|i| low + h * i as f64).collect::<Vec<_>>());
        let mut sum = 0.0;
        let ends = (0..cells).map(|i| low + h * (2 * i + 2) as f64).collect();
        let integral = (0..cells).map(|i| {
            sum += h / 3.0 * (f[2 * i] + 4.0 * f[2 * i + 1] + f[2 * i + 2]);
            sum
        });
        (ends, integral.collect())
    }

    fn check(&self, mut x: Vec<f64>, what: &str) {
        let (n, text) = (x.len() as f64, self.text());
        let mean = x.iter().sum::<f64>() / n;
        let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        let fourth = x.iter().map(|v| (v - mean).powi(4)).sum::<f64>() / n;
        assert!((mean - self.mean).abs() < 3.3 * (self.variance / n).sqrt(), "{what} {text}: mean {mean}");
        let spread = ((fourth - variance * variance) / n).sqrt();
        assert!((variance - self.variance).abs() < 3.3 * spread, "{what} {text}: variance {variance}");
        let (at, want) = self.cumulative();
        let last = *want.last().unwrap();
        assert!((last - 1.0).abs() < 1e-6, "{what} {text}: the density sums to {last}");
        x.sort_by(f64::total_cmp);
        let far = at.iter().zip(&want).map(|(a, f)| (x.partition_point(|v| v <= a) as f64 / n - f).abs());
        let far = far.fold(0.0, f64::max);
        assert!(far < 1.95 / n.sqrt(), "{what} {text}: the distribution function is off by {far}");
    }
}

#[test]
fn numbers_have_the_distribution_that_the_density_states() {
    keshi::rng::seed(20);
    for d in &ALL {
        d.check(d.drawn("float64", DRAWS), "drawn");
        d.check(d.drawn("float32", DRAWS), "drawn in float32");
        d.check(d.sampled(DRAWS), "sampled");
    }
}

#[test]
fn whole_numbers_of_a_range_are_equally_frequent() {
    keshi::rng::seed(21);
    let x: Vec<f64> = call(
        "_random_randint",
        &[],
        &[("low", (-3i64).into()), ("high", 7i64.into()), shape(&[DRAWS as i64])],
    )
    .to_vec();
    let counts: Vec<f64> = (-3..7).map(|k| x.iter().filter(|v| **v == f64::from(k)).count() as f64).collect();
    assert_eq!(counts.iter().sum::<f64>(), DRAWS as f64);
    let each = DRAWS as f64 / 10.0;
    let chi = counts.iter().map(|c| (c - each).powi(2) / each).sum::<f64>();
    assert!(chi < 27.9, "chi squared of 9 degrees is {chi}: {counts:?}");
}

#[test]
fn categories_are_as_frequent_as_their_probabilities() {
    keshi::rng::seed(22);
    let p = [0.5, 0.05, 0.0, 0.2, 0.25];
    let rows: Vec<f64> = [0.2; 5].into_iter().chain(p).collect();
    let rows = Array::from_slice(&rows, &[2, 5]).unwrap().cast(DType::F32);
    let x: Vec<f64> = call("_sample_multinomial", &[&rows], &[shape(&[DRAWS as i64])]).to_vec();
    for (probabilities, x) in [[0.2; 5], p].iter().zip(x.chunks(DRAWS)) {
        for (k, p) in probabilities.iter().enumerate() {
            let got = x.iter().filter(|v| **v == k as f64).count() as f64 / DRAWS as f64;
            assert!(
                (got - p).abs() <= 3.5 * (p * (1.0 - p) / DRAWS as f64).sqrt(),
                "category {k}: {got}, want {p}"
            );
        }
    }
}
