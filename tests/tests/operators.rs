//! Checks that hold for every operator and name none: they draw calls from each operator's own sample domain.
//!
//! While one works on some operators, `KESHI_OPS=take,dot` checks these alone.

use keshi::backward::{Options, grad_where_reached};
use keshi::gradcheck::{Check, gradcheck};
use keshi::invoke::{invoke, parse_named};
use keshi::kernels::copy::cast;
use keshi::kernels::par;
use keshi::ops;
use keshi::ops::def::{Arity, Gradient, OpDef};
use keshi::ops::params::Params;
use keshi::ops::samples::{Case, Draw, Fill, Input, Samples};
use keshi::simd;
use keshi::{Array, DType, Device, GradReq, Result, Tensor};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::sync::{Mutex, PoisonError};

/// A drawn call: arrays of one dtype and parsed parameters.
struct Call {
    op: &'static OpDef,
    inputs: Vec<Array>,
    params: Params,
    text: String,
}

/// An array at an odd offset of a larger one, so that nothing is aligned by luck.
fn place(values: &[f64], dims: &[usize], dtype: DType) -> Array {
    let mut padded = vec![f64::MAX; 1];
    padded.extend_from_slice(values);
    let wide = Tensor::from_slice(&padded, &[padded.len()], Device::default()).unwrap();
    let base = Tensor::empty(&[padded.len()], dtype, Device::default()).unwrap();
    cast(wide.span(), base.span());
    let rows = base.rows(1, padded.len()).unwrap();
    Array::from(rows.with_dims(dims).unwrap())
}

fn draw(op: &'static OpDef, seed: u64, dtype: DType, scale: usize) -> Option<(Call, Case)> {
    let mut d = Draw::new(seed).scaled(scale);
    // Where the parameters tell the number of inputs, the operator's own samples say how many there are.
    let inputs = if matches!(op.arity, Arity::By(_)) { 0 } else { op.num_inputs(&Params::NONE, 2).min(2) };
    let case = op.samples.draw(inputs, &mut d)?;
    let mut inputs = Vec::new();
    for input in &case.inputs {
        inputs.push(place(&d.fill(input), &input.dims, dtype));
    }
    let named: Vec<(&str, ops::value::Value)> = case.params.iter().map(|(n, v)| (*n, v.clone())).collect();
    let params =
        parse_named(op, &named, inputs.len()).unwrap_or_else(|e| panic!("{}: sample {case:?}: {e}", op.name));
    let text = format!("{} seed {seed} {:?} {:?}", op.name, case.params, case.inputs);
    Some((Call { op, inputs, params, text }, case))
}

fn run(call: &Call) -> Result<Vec<Array>> {
    // The same random numbers each time.
    keshi::rng::seed(7);
    let ins: Vec<&Array> = call.inputs.iter().collect();
    Ok(invoke(call.op, &ins, &call.params, &[])?.into_vec())
}

/// Seeds and thread counts belong to the process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs `check` on drawn calls of every operator; reports all operators that fail.
fn for_all(cases: u32, check: impl Fn(&'static OpDef, u64) -> Result<(), String>) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut failed = Vec::new();
    let only = std::env::var("KESHI_OPS").ok();
    let chosen = |name: &str| only.as_ref().is_none_or(|o| o.split(',').any(|n| n == name));
    for op in ops::all().filter(|op| !matches!(op.samples, Samples::None(_)) && chosen(op.name)) {
        // The same calls on every run, so that a failure can be seen again; more with PROPTEST_CASES times as many.
        let more = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse::<u32>().ok()).unwrap_or(1);
        let config = Config { cases: cases * more, failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        let result = runner.run(&any::<u64>(), |seed| check(op, seed).map_err(TestCaseError::fail));
        if let Err(e) = result {
            failed.push(format!("{}: {e}", op.name));
        }
    }
    assert!(failed.is_empty(), "{} operators fail:\n{}", failed.len(), failed.join("\n"));
}

/// The symmetric part of an input whose changes keep it symmetric; else the input.
fn symmetric(x: &Array, fill: &Fill) -> Array {
    if !matches!(fill, Fill::PositiveDefinite) {
        return x.clone();
    }
    let n = x.ndim() as i64;
    let swap =
        parse_named(ops::find("SwapAxis").unwrap(), &[("dim1", (n - 1).into()), ("dim2", (n - 2).into())], 1);
    let mirrored = invoke(ops::find("SwapAxis").unwrap(), &[x], &swap.unwrap(), &[]).unwrap().remove(0);
    (x + mirrored) * 0.5
}

#[test]
fn gradients_of_first_and_second_order_agree_with_central_differences() {
    for_all(12, |op, seed| {
        if !matches!(op.gradient, Gradient::Rule(..) | Gradient::Unary(..)) {
            return Ok(());
        }
        let (call, case) = draw(op, seed, DType::F64, 1).unwrap();
        let mut any = false;
        for (x, input) in call.inputs.iter().zip(&case.inputs) {
            if !matches!(input.fill, Fill::Whole(..) | Fill::Exact(_)) {
                x.attach_grad(GradReq::Write).unwrap();
                any = true;
            }
        }
        if !any {
            return Ok(());
        }
        let f = |xs: &[Array]| {
            keshi::rng::seed(7);
            let ins: Vec<Array> =
                xs.iter().zip(&case.inputs).map(|(x, input)| symmetric(x, &input.fill)).collect();
            let ins: Vec<&Array> = ins.iter().collect();
            let out = invoke(op, &ins, &call.params, &[])?;
            Ok(out.into_iter().filter(|y| y.dtype() == DType::F64).collect())
        };
        gradcheck(&f, &call.inputs, Check { seed, ..Check::default() })
            .map_err(|e| format!("{e}; {}", call.text))
    });
}

/// Shapes of one operand and of another that broadcasts with it.
const EDGES: [(&[usize], &[usize]); 7] = [
    (&[1], &[1]),
    (&[1, 1, 1], &[1]),
    (&[17], &[1]),
    (&[1, 5, 1], &[3, 1, 2]),
    (&[0], &[1]),
    (&[2, 0, 3], &[3]),
    (&[0, 1], &[1, 4]),
];

#[test]
fn gradients_of_empty_single_and_stretched_arrays_are_right() {
    for_all(1, |op, seed| {
        let (lo, hi, away, broadcast) = match op.samples {
            Samples::Same(lo, hi, away) => (lo, hi, away, false),
            Samples::Broadcast(lo, hi, away) => (lo, hi, away, true),
            _ => return Ok(()),
        };
        // Operators whose parameters must be given have sample calls of their own.
        let Ok(params) = parse_named(op, &[], 2) else { return Ok(()) };
        if !matches!(op.gradient, Gradient::Rule(..) | Gradient::Unary(..)) {
            return Ok(());
        }
        for (a, b) in EDGES {
            let mut d = Draw::new(seed);
            let n = op.num_inputs(&params, 2).min(2);
            let shapes = [a, if broadcast { b } else { a }];
            let inputs: Vec<Array> = shapes[..n]
                .iter()
                .map(|dims| {
                    let input = Input { dims: (*dims).into(), fill: Fill::Real(lo, hi, away) };
                    let x = place(&d.fill(&input), dims, DType::F64);
                    x.attach_grad(GradReq::Write).unwrap();
                    x
                })
                .collect();
            let f = |xs: &[Array]| {
                let ins: Vec<&Array> = xs.iter().collect();
                Ok(invoke(op, &ins, &params, &[])?.into_vec())
            };
            let text = |e: keshi::Error| format!("{e}; shapes {:?}", &shapes[..n]);
            let ys = keshi::autograd::mode::record(|| f(&inputs)).map_err(text)?;
            let vars: Vec<&Array> = inputs.iter().collect();
            let grads = grad_where_reached(&[&ys[0]], &[], &vars, Options::default()).map_err(text)?;
            for (x, g) in inputs.iter().zip(&grads) {
                if g.as_ref().is_some_and(|g| g.dims() != x.dims()) {
                    return Err(format!("a gradient of another shape; shapes {:?}", &shapes[..n]));
                }
            }
            if inputs.iter().all(|x| x.size() > 0) {
                gradcheck(&f, &inputs, Check { seed, ..Check::default() }).map_err(text)?;
            }
        }
        Ok(())
    });
}

fn close(a: &[f64], b: &[f64], rtol: f64, atol: f64) -> Option<String> {
    if a.len() != b.len() {
        return Some(format!("{} values against {}", a.len(), b.len()));
    }
    let far = |(x, y): (&f64, &f64)| {
        !(x == y || (x.is_nan() && y.is_nan()) || (x - y).abs() <= atol + rtol * y.abs())
    };
    let i = a.iter().zip(b).position(far)?;
    Some(format!("element {i}: {} against {}", a[i], b[i]))
}

/// Rounds the inputs to float32, so that both precisions compute the same problem.
fn same_problem(call: &Call, as_: DType) -> Call {
    let values = |x: &Array| x.to_vec::<f32>().iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
    let inputs = call.inputs.iter().map(|x| place(&values(x), x.dims(), as_)).collect();
    Call { op: call.op, inputs, params: call.params.clone(), text: call.text.clone() }
}

#[test]
fn float32_agrees_with_float64_on_every_level() {
    for_all(16, |op, seed| {
        let (call, _) = draw(op, seed, DType::F64, 1).unwrap();
        let want = run(&same_problem(&call, DType::F64)).map_err(|e| format!("{e}; {}", call.text))?;
        for &level in simd::available() {
            let got = simd::with_level(level, || run(&same_problem(&call, DType::F32)));
            let got = got.map_err(|e| format!("{level:?}: {e}; {}", call.text))?;
            for (g, w) in got.iter().zip(&want) {
                let scale = w
                    .to_vec::<f64>()
                    .iter()
                    .fold(0.0f64, |m, x| if x.is_finite() { m.max(x.abs()) } else { m });
                if let Some(far) = close(&g.to_vec(), &w.to_vec(), 2e-4, 2e-5 * (1.0 + scale)) {
                    return Err(format!("{level:?}: {far}; {}", call.text));
                }
            }
        }
        Ok(())
    });
}

#[test]
fn one_and_two_threads_give_the_same_bits() {
    let before = par::num_threads();
    for_all(4, |op, seed| {
        let (call, _) = draw(op, seed, DType::F32, 9).unwrap();
        let mut results = Vec::new();
        for threads in [1, 2] {
            par::set_num_threads(threads);
            results.push(run(&call).map_err(|e| format!("{e}; {}", call.text))?);
        }
        for (a, b) in results[0].iter().zip(&results[1]) {
            let bits = |x: &Array| x.to_vec::<f64>().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            if bits(a) != bits(b) {
                return Err(format!("bits differ; {}", call.text));
            }
        }
        Ok(())
    });
    par::set_num_threads(before);
}

#[test]
fn writing_into_an_input_gives_what_a_new_array_would() {
    for_all(8, |op, seed| {
        let (call, _) = draw(op, seed, DType::F32, 1).unwrap();
        let want = run(&call).map_err(|e| e.to_string())?;
        for (i, x) in call.inputs.iter().enumerate() {
            if want.len() != 1
                || x.dims() != want[0].dims()
                || x.dtype() != want[0].dtype()
                || op.has_states()
            {
                continue;
            }
            let copies: Vec<Array> =
                call.inputs.iter().map(|x| place(&x.to_vec::<f64>(), x.dims(), x.dtype())).collect();
            let ins: Vec<&Array> = copies.iter().collect();
            keshi::rng::seed(7);
            invoke(op, &ins, &call.params, &[&copies[i]]).map_err(|e| format!("{e}; {}", call.text))?;
            if let Some(far) = close(&copies[i].to_vec(), &want[0].to_vec(), 0.0, 0.0) {
                return Err(format!("into input {i}: {far}; {}", call.text));
            }
        }
        Ok(())
    });
}

#[test]
fn empty_arrays_and_wrong_shapes_are_answered_not_crashed_on() {
    for_all(6, |op, seed| {
        let (call, case) = draw(op, seed, DType::F32, 1).unwrap();
        let mut d = Draw::new(seed);
        for _ in 0..4 {
            let mut inputs = Vec::new();
            for input in &case.inputs {
                let mut dims = input.dims.clone();
                match d.int(0, 3) {
                    0 if !dims.is_empty() => *dims.last_mut().unwrap() = 0,
                    1 => dims.push(2),
                    2 => drop(dims.pop()),
                    _ if !dims.is_empty() => dims[0] += 1,
                    _ => {}
                }
                inputs.push(Array::from(Tensor::zeros(&dims, DType::F32, Device::default()).unwrap()));
            }
            let ins: Vec<&Array> = inputs.iter().collect();
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                invoke(op, &ins, &call.params, &[])
            }));
            match result {
                Err(_) => {
                    return Err(format!(
                        "panics on {:?}; {}",
                        inputs.iter().map(|x| x.dims().to_vec()).collect::<Vec<_>>(),
                        call.text
                    ));
                }
                Ok(Err(e)) if !e.to_string().starts_with(op.name) => {
                    return Err(format!("an error that does not name it: {e}"));
                }
                Ok(_) => {}
            }
        }
        Ok(())
    });
}

#[test]
fn operators_without_a_gradient_say_why_when_gone_through() {
    for op in ops::all() {
        let Gradient::None(why) = op.gradient else { continue };
        let Some((call, _)) = draw(op, 3, DType::F32, 1) else { continue };
        let Some(x) = call.inputs.first() else { continue };
        x.attach_grad(GradReq::Write).unwrap();
        let Ok(ys) = keshi::autograd::mode::record(|| run(&call)) else { continue };
        let heads: Vec<&Array> = ys.iter().filter(|y| y.has_edge()).collect();
        if heads.is_empty() {
            continue;
        }
        let e = grad_where_reached(&heads, &[], &[x], Options::default()).unwrap_err().to_string();
        assert!(e.contains(op.name) && e.contains(why), "{}: {e}", op.name);
    }
}
