//! Sample domains: what an operator's generic tests feed it. Drawn from a seed, so that a failing case can be replayed.

use super::value::Value;
use crate::shape::Dims;

/// How the values of one sample input are drawn.
#[derive(Clone, Debug)]
pub enum Fill {
    /// Real numbers between the two, at least 0.05 away from each point listed (kinks, poles).
    Real(f64, f64, &'static [f64]),
    /// Real numbers that differ from each other by at least 0.05, in random order (for max, sort, pooling).
    Distinct(f64),
    /// Whole numbers from the first up to but not including the second. No gradient is asked for such an input.
    Whole(i64, i64),
    /// These values. No gradient is asked for such an input.
    Exact(Vec<f64>),
    /// These values, of an input that has a gradient.
    Given(Vec<f64>),
    /// A symmetric positive definite matrix on the last two axes. Gradients are checked along symmetric changes of it.
    PositiveDefinite,
}

/// One sample input.
#[derive(Clone, Debug)]
pub struct Input {
    /// Its shape.
    pub dims: Dims,
    /// Its values.
    pub fill: Fill,
}

/// A sample call.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// Inputs in order.
    pub inputs: Vec<Input>,
    /// Parameters by name.
    pub params: Vec<(&'static str, Value)>,
}

impl Case {
    /// A call with real inputs in `lo..hi`.
    pub fn new() -> Case {
        Case::default()
    }

    /// Adds an input.
    #[must_use]
    pub fn input(mut self, dims: &[usize], fill: Fill) -> Case {
        self.inputs.push(Input { dims: dims.into(), fill });
        self
    }

    /// Adds an input of real numbers between -2 and 2.
    #[must_use]
    pub fn real(self, dims: &[usize]) -> Case {
        self.input(dims, Fill::Real(-2.0, 2.0, &[]))
    }

    /// Adds a parameter.
    #[must_use]
    pub fn param(mut self, name: &'static str, value: impl Into<Value>) -> Case {
        self.params.push((name, value.into()));
        self
    }
}

/// Where an operator's sample calls come from.
#[derive(Clone, Copy)]
pub enum Samples {
    /// None: the reason.
    None(&'static str),
    /// All inputs of one random shape, real numbers of a range away from some points.
    Same(f64, f64, &'static [f64]),
    /// Two inputs of shapes that broadcast, real numbers of a range away from some points.
    Broadcast(f64, f64, &'static [f64]),
    /// The operator's own function.
    Cases(fn(&mut Draw) -> Case),
}

/// A small deterministic source of choices (splitmix64).
#[derive(Clone, Debug)]
pub struct Draw {
    state: u64,
    scale: usize,
}

impl Draw {
    /// A source that always draws the same from the same seed.
    pub fn new(seed: u64) -> Draw {
        Draw { state: seed, scale: 1 }
    }

    /// Draws shapes whose axes are so many times as long, for tests that want big arrays.
    #[must_use]
    pub fn scaled(self, scale: usize) -> Draw {
        Draw { scale, ..self }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A whole number from `lo` up to and including `hi`.
    pub fn int(&mut self, lo: i64, hi: i64) -> i64 {
        lo + (self.bits() % (hi - lo + 1) as u64) as i64
    }

    /// A size from `lo` to `hi`, both included.
    pub fn size(&mut self, lo: usize, hi: usize) -> usize {
        self.int(lo as i64, hi as i64) as usize
    }

    /// A real number in `lo..hi`.
    pub fn real(&mut self, lo: f64, hi: f64) -> f64 {
        lo + (hi - lo) * (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True or false.
    pub fn flip(&mut self) -> bool {
        self.bits() & 1 == 1
    }

    /// One of the choices.
    pub fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.size(0, of.len() - 1)].clone()
    }

    /// A shape of `lo` to `hi` axes, each of 1 to 4 (sometimes larger or prime), seldom empty.
    pub fn shape(&mut self, lo: usize, hi: usize) -> Dims {
        let (n, scale) = (self.size(lo, hi), self.scale);
        let stretched = |d: usize| if d == 1 { d } else { d * scale };
        (0..n).map(|_| stretched(self.pick(&[1, 2, 3, 4, 5, 7]))).collect()
    }

    /// An axis of an array with `ndim` axes, from the front or from the end.
    pub fn axis(&mut self, ndim: usize) -> i64 {
        self.int(-(ndim as i64), ndim as i64 - 1)
    }

    /// Values for an input.
    pub fn fill(&mut self, input: &Input) -> Vec<f64> {
        let n: usize = input.dims.iter().product();
        match &input.fill {
            Fill::Real(lo, hi, away) => (0..n)
                .map(|_| {
                    loop {
                        let x = self.real(*lo, *hi);
                        if away.iter().all(|a| (x - a).abs() >= 0.05) {
                            return x;
                        }
                    }
                })
                .collect(),
            Fill::Distinct(step) => {
                let mut v: Vec<f64> =
                    (0..n).map(|i| (i as f64 - n as f64 / 2.0) * step.max(0.05) + 0.01).collect();
                for i in (1..n).rev() {
                    v.swap(i, self.size(0, i));
                }
                v
            }
            Fill::Whole(lo, hi) => (0..n).map(|_| self.int(*lo, *hi - 1) as f64).collect(),
            Fill::Exact(v) | Fill::Given(v) => v.clone(),
            Fill::PositiveDefinite => {
                let d = *input.dims.last().unwrap_or(&1);
                let mut out = Vec::with_capacity(n);
                for _ in 0..n / (d * d).max(1) {
                    let a: Vec<f64> = (0..d * d).map(|_| self.real(-1.0, 1.0)).collect();
                    for i in 0..d {
                        for j in 0..d {
                            let dot: f64 = (0..d).map(|k| a[i * d + k] * a[j * d + k]).sum();
                            out.push(dot + if i == j { d as f64 } else { 0.0 });
                        }
                    }
                }
                out
            }
        }
    }
}

impl Samples {
    /// A sample call, or `None` when the operator has none. `inputs` is the number of inputs.
    pub fn draw(&self, inputs: usize, d: &mut Draw) -> Option<Case> {
        match *self {
            Samples::None(_) => None,
            Samples::Same(lo, hi, away) => {
                let dims = d.shape(1, 4);
                let mut case = Case::new();
                for _ in 0..inputs {
                    case = case.input(&dims, Fill::Real(lo, hi, away));
                }
                Some(case)
            }
            Samples::Broadcast(lo, hi, away) => {
                let dims = d.shape(1, 4);
                let part = |d: &mut Draw| -> Dims {
                    let skip = d.size(0, dims.len() - 1);
                    dims[skip..].iter().map(|&n| if d.int(0, 3) == 0 { 1 } else { n }).collect()
                };
                let (a, b) = (part(d), part(d));
                Some(Case::new().input(&a, Fill::Real(lo, hi, away)).input(&b, Fill::Real(lo, hi, away)))
            }
            Samples::Cases(f) => Some(f(d)),
        }
    }
}
