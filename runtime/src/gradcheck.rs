//! Gradients checked against central differences, at first and second order.
//!
//! One check compares two numbers: `<v, J u>` from differences, `<Jᵀ v, u>` from the tape, for random `u` and `v`; a wrong
//! entry anywhere in the Jacobian shows with probability one, at the cost of two evaluations.

use crate::array::Array;
use crate::autograd::mode::{pause, record};
use crate::autograd::node::GradReq;
use crate::backward::{Options, grad_where_reached};
use crate::dtype::DType;
use crate::error::Result;
use crate::ops::samples::Draw;

/// A function of arrays.
pub type Function<'a> = &'a dyn Fn(&[Array]) -> Result<Vec<Array>>;

/// How a check is made.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// Highest order: 1 checks the gradient, 2 the gradient of the gradient too.
    pub order: u32,
    /// Half the distance of the two points of a central difference.
    pub step: f64,
    /// Allowed difference, relative to the larger of the two numbers and their scale.
    pub rtol: f64,
    /// Allowed difference, absolute.
    pub atol: f64,
    /// Seed of the random directions.
    pub seed: u64,
}

impl Default for Check {
    fn default() -> Self {
        Check { order: 2, step: 1e-5, rtol: 1e-5, atol: 1e-7, seed: 1 }
    }
}

/// Checks the gradient of `f` at `inputs` (float64). Inputs that are variables (see [`Array::attach_grad`]) are
/// differentiated, the others are constants; when none is a variable all are made so. `f` may return several arrays.
///
/// The error tells order, analytic and numeric value.
///
/// ```
/// use keshi::{Array, gradcheck::{Check, gradcheck}};
/// let x = Array::from_slice(&[0.3f64, -1.2], &[2]).unwrap();
/// gradcheck(&|xs| Ok(vec![&(&xs[0] * &xs[0]) * &xs[0]]), &[x], Check::default()).unwrap();
/// ```
pub fn gradcheck(f: Function<'_>, inputs: &[Array], check: Check) -> Result<()> {
    if let Some(x) = inputs.iter().find(|x| x.dtype() != DType::F64 && x.dtype().is_float()) {
        bail!(Dtype, "gradcheck: inputs must be float64, got {}", x.dtype());
    }
    let none = !inputs.iter().any(Array::has_edge);
    let wanted: Vec<bool> = inputs.iter().map(|x| x.has_edge() || (none && x.dtype().is_float())).collect();
    step(f, inputs, &wanted, check, 1)
}

fn variables(inputs: &[Array], wanted: &[bool]) -> Result<Vec<Array>> {
    let one = |(x, w): (&Array, &bool)| {
        let x = x.detach();
        if *w {
            x.attach_grad(GradReq::Write)?;
        }
        Ok(x)
    };
    inputs.iter().zip(wanted).map(one).collect()
}

fn random(like: &Array, draw: &mut Draw) -> Vec<f64> {
    (0..like.size()).map(|_| draw.real(-1.0, 1.0)).collect()
}

fn dot(a: &[f64], b: &[f64]) -> (f64, f64) {
    a.iter().zip(b).fold((0.0, 0.0), |(s, m), (x, y)| (s + x * y, m + (x * y).abs()))
}

fn step(f: Function<'_>, inputs: &[Array], wanted: &[bool], check: Check, order: u32) -> Result<()> {
    let mut draw = Draw::new(check.seed ^ u64::from(order) << 32);
    let u: Vec<Vec<f64>> = inputs.iter().map(|x| random(x, &mut draw)).collect();
    // Analytic: gradients of the heads' weighted sum.
    let xs = variables(inputs, wanted)?;
    let ys = record(|| f(&xs))?;
    let v: Vec<Vec<f64>> = ys.iter().map(|y| random(y, &mut draw)).collect();
    let weights: Vec<Array> =
        ys.iter().zip(&v).map(|(y, v)| Array::from_slice(v, y.dims())).collect::<Result<_>>()?;
    let gradients = |xs: &[Array], ys: &[Array], create_graph: bool| -> Result<Vec<Array>> {
        let heads: Vec<usize> = (0..ys.len()).filter(|&i| ys[i].has_edge()).collect();
        let vars: Vec<&Array> = xs.iter().zip(wanted).filter(|(_, w)| **w).map(|(x, _)| x).collect();
        let head_arrays: Vec<&Array> = heads.iter().map(|&i| &ys[i]).collect();
        let head_grads: Vec<Option<&Array>> = heads.iter().map(|&i| Some(&weights[i])).collect();
        let options = Options { create_graph, ..Options::default() };
        let found = grad_where_reached(&head_arrays, &head_grads, &vars, options)?;
        let zeros = |(g, x): (Option<Array>, &&Array)| {
            g.map_or_else(|| Array::zeros(x.dims(), x.dtype(), x.device()), Ok)
        };
        found.into_iter().zip(&vars).map(zeros).collect()
    };
    let mut analytic = (0.0, 0.0);
    for (g, u) in gradients(&xs, &ys, false)?.iter().zip(u.iter().zip(wanted).filter(|(_, w)| **w)) {
        let (s, m) = dot(&g.to_vec(), u.0);
        analytic = (analytic.0 + s, analytic.1 + m);
    }
    // Numeric: the heads' weighted sum along u.
    let along = |t: f64| -> Result<f64> {
        let moved: Vec<Array> = inputs
            .iter()
            .zip(&u)
            .zip(wanted)
            .map(|((x, u), w)| {
                if !*w {
                    return Ok(x.detach());
                }
                let at: Vec<f64> = x.to_vec::<f64>().iter().zip(u).map(|(x, u)| x + t * u).collect();
                Array::from_slice(&at, x.dims())
            })
            .collect::<Result<_>>()?;
        // Recording (and so training) as before, but of arrays that are no variables.
        let ys = record(|| f(&moved))?;
        Ok(ys.iter().zip(&v).map(|(y, v)| dot(&y.to_vec(), v).0).sum())
    };
    let numeric = (along(check.step)? - along(-check.step)?) / (2.0 * check.step);
    let scale = analytic.1.max(numeric.abs());
    let wrong = (analytic.0 - numeric).abs();
    // A NaN on either side fails too.
    if !(wrong <= check.atol + check.rtol * scale) {
        bail!(
            Autograd,
            "gradcheck: the gradient of order {order} is wrong, got {:e}, want {numeric:e} by central differences",
            analytic.0
        );
    }
    if order >= check.order {
        return Ok(());
    }
    let next: Function<'_> = &|xs: &[Array]| {
        // The outer call decides what is a variable; inside, fresh leaves would cut that history.
        let own = xs.iter().zip(wanted).any(|(x, w)| *w && !x.has_edge());
        let xs = if own { variables(xs, wanted)? } else { xs.to_vec() };
        let ys = record(|| f(&xs))?;
        let gs = record(|| gradients(&xs, &ys, true))?;
        Ok(if own { pause(|| gs.iter().map(Array::detach).collect()) } else { gs })
    };
    second(next, inputs, wanted, check, order + 1)
}

/// The next order; gradients that do not depend on any variable are constants, and rightly so only if differences agree.
fn second(f: Function<'_>, inputs: &[Array], wanted: &[bool], check: Check, order: u32) -> Result<()> {
    let xs = variables(inputs, wanted)?;
    let ys = record(|| f(&xs))?;
    if ys.iter().any(Array::has_edge) {
        return step(f, inputs, wanted, check, order);
    }
    let mut draw = Draw::new(check.seed);
    for (x, w) in inputs.iter().zip(wanted) {
        if !*w {
            continue;
        }
        let u = random(x, &mut draw);
        let moved: Vec<Array> = inputs
            .iter()
            .map(|y| {
                if !std::ptr::eq(x, y) {
                    return Ok(y.detach());
                }
                let at: Vec<f64> =
                    x.to_vec::<f64>().iter().zip(&u).map(|(x, u)| x + check.step * u).collect();
                Array::from_slice(&at, x.dims())
            })
            .collect::<Result<_>>()?;
        for (a, b) in f(&moved)?.iter().zip(&ys) {
            let far = a
                .to_vec::<f64>()
                .iter()
                .zip(b.to_vec::<f64>())
                .any(|(a, b)| (a - b).abs() > check.step * 1e-3 * (1.0 + b.abs()));
            if far {
                bail!(
                    Autograd,
                    "gradcheck: the gradient of order {order} is missing, got a constant, want one that varies"
                );
            }
        }
    }
    Ok(())
}
