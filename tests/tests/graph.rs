//! Compiled graphs compute what their calls one by one do: on every operator of the table, on random graphs of element-wise
//! calls, on small networks; forward and backward, whatever the caller does with inputs and results between calls.

use keshi::autograd::mode::record;
use keshi::backward::{Options, backward, grad};
use keshi::graph::Symbol;
use keshi::graph::cached::CachedOp;
use keshi::graph::order::Order;
use keshi::invoke::{invoke, parse_named};
use keshi::kernels::copy::cast;
use keshi::ops::def::{Arity, OpDef};
use keshi::ops::params::Params;
use keshi::ops::samples::{Case, Draw, Fill, Samples};
use keshi::ops::{self, find};
use keshi::{Array, DType, Device, GradReq, Result, Tensor};
use proptest::prelude::*;
use std::sync::{Mutex, PoisonError};

/// The random numbers belong to the process: one test that seeds them at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn var(name: &str) -> Symbol {
    Symbol::variable(name, &[]).unwrap()
}

fn call(op: &str, attrs: &[(&str, &str)], inputs: &[&Symbol]) -> Symbol {
    Symbol::call(find(op).unwrap(), "", attrs, &[], inputs).unwrap()
}

fn array(values: &[f64], dims: &[usize], dtype: DType) -> Array {
    let wide = Tensor::from_slice(values, dims, Device::default()).unwrap();
    let to = Tensor::empty(dims, dtype, Device::default()).unwrap();
    cast(wide.span(), to.span());
    Array::from(to)
}

fn bits(a: &Array) -> Vec<u8> {
    a.tensor().bytes().to_vec()
}

/// A second handle on equal values, without history.
fn twin(a: &Array) -> Array {
    Array::from(Tensor::from_bytes(&bits(a), a.dtype(), a.dims(), a.device()).unwrap())
}

/// Results and gradients of all inputs of a function of arrays, the heads having ones as gradients.
fn run(
    inputs: &[Array],
    with: &[bool],
    f: impl Fn(&[&Array]) -> Result<Vec<Array>>,
) -> Result<(Vec<Array>, Vec<Vec<u8>>)> {
    keshi::rng::seed(7);
    let inputs: Vec<Array> = inputs.iter().map(twin).collect();
    for (x, _) in inputs.iter().zip(with).filter(|(_, w)| **w) {
        x.attach_grad(GradReq::Write)?;
    }
    let refs: Vec<&Array> = inputs.iter().collect();
    if !with.iter().any(|w| *w) {
        return Ok((f(&refs)?, Vec::new()));
    }
    let ys = record(|| f(&refs))?;
    let heads: Vec<&Array> = ys.iter().filter(|y| y.has_edge() && y.dtype().is_float()).collect();
    if !heads.is_empty() {
        backward(&heads, &[], Options::default())?;
    }
    let grads = inputs.iter().map(|x| x.grad().map_or_else(Vec::new, |g| bits(&g))).collect();
    Ok((ys, grads))
}

fn same(what: &str, a: &[Array], b: &[Array]) -> Result<(), String> {
    for (i, (x, y)) in a.iter().zip(b).enumerate() {
        if x.dims() != y.dims() || x.dtype() != y.dtype() || bits(x) != bits(y) {
            let about = |x: &Array| {
                format!("{:?} {} {:?}", x.dims(), x.dtype(), &x.to_vec::<f64>()[..x.size().min(8)])
            };
            return Err(format!("{what}: output {i} differs: {} against {}", about(x), about(y)));
        }
    }
    if a.len() == b.len() { Ok(()) } else { Err(format!("{what}: {} outputs against {}", a.len(), b.len())) }
}

fn draw(op: &'static OpDef, seed: u64, dtype: DType) -> Option<(Vec<Array>, Vec<bool>, Params, Case)> {
    let mut d = Draw::new(seed).scaled(if seed.is_multiple_of(3) { 8 } else { 1 });
    let inputs = if matches!(op.arity, Arity::By(_)) { 0 } else { op.num_inputs(&Params::NONE, 2).min(2) };
    let case = op.samples.draw(inputs, &mut d)?;
    let arrays: Vec<Array> = case.inputs.iter().map(|i| array(&d.fill(i), &i.dims, dtype)).collect();
    let with = case
        .inputs
        .iter()
        .map(|i| dtype.is_float() && !matches!(i.fill, Fill::Whole(..) | Fill::Exact(_)))
        .collect();
    let named: Vec<(&str, ops::value::Value)> = case.params.iter().map(|(n, v)| (*n, v.clone())).collect();
    let params = parse_named(op, &named, arrays.len()).unwrap();
    Some((arrays, with, params, case))
}

/// A graph of one call whose results go through two element-wise ones.
fn graph_of(op: &'static OpDef, params: &Params, inputs: usize) -> Result<Symbol> {
    let vars: Vec<Symbol> = (0..inputs).map(|i| var(&format!("v{i}"))).collect();
    let texts: Vec<(&str, String)> = ((op.params.specs)().into_iter().zip(params.texts()))
        .filter(|(spec, text)| spec.default.as_ref() != Some(text))
        .map(|(spec, text)| (spec.name, text))
        .collect();
    let attrs: Vec<(&str, &str)> = texts.iter().map(|(n, t)| (*n, t.as_str())).collect();
    let refs: Vec<&Symbol> = vars.iter().collect();
    let it = Symbol::call(op, "it", &attrs, &[], &refs)?;
    let outs: Vec<Symbol> = (0..it.heads.len()).map(|i| it.output(i).unwrap()).collect();
    let tails: Vec<Symbol> =
        outs.iter().map(|s| call("square", &[], &[&call("negative", &[], &[s])])).collect();
    Ok(Symbol::group(&tails.iter().collect::<Vec<_>>()))
}

fn eager(op: &'static OpDef, params: &Params, ins: &[&Array]) -> Result<Vec<Array>> {
    let (negative, square) = (find("negative")?, find("square")?);
    let tail = |y: &Array| {
        let z = invoke(negative, &[y], &Params::NONE, &[])?.remove(0);
        Ok(invoke(square, &[&z], &Params::NONE, &[])?.remove(0))
    };
    invoke(op, ins, params, &[])?.iter().map(tail).collect()
}

#[test]
fn every_operator_computes_the_same_bits_in_a_compiled_graph() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let only = std::env::var("KESHI_OPS").ok();
    let chosen = |name: &str| only.as_ref().is_none_or(|o| o.split(',').any(|n| n == name));
    let (mut failed, mut replayed) = (Vec::new(), Vec::new());
    for op in
        ops::all().filter(|op| !matches!(op.samples, Samples::None(_)) && chosen(op.name) && !op.has_states())
    {
        for seed in 0..6u64 {
            let dtype = if seed % 2 == 0 { DType::F32 } else { DType::F64 };
            let Some((inputs, with, params, case)) = draw(op, seed, dtype) else { continue };
            let symbol = match graph_of(op, &params, inputs.len()) {
                Ok(s) => s,
                Err(e) => {
                    failed.push(format!("{}: {e}", op.name));
                    break;
                }
            };
            let compiled = CachedOp::new(&symbol, &[("inline_limit", "0")]).unwrap();
            for with in [vec![false; inputs.len()], with] {
                let want = run(&inputs, &with, |xs| eager(op, &params, xs));
                let got = run(&inputs, &with, |xs| compiled.call(xs, &[]));
                let ok = match (&got, &want) {
                    (Ok(g), Ok(w)) => same("results", &g.0, &w.0)
                        .and_then(|()| if g.1 == w.1 { Ok(()) } else { Err("gradients differ".to_owned()) }),
                    (Err(_), Err(_)) => Ok(()),
                    (Err(e), Ok(_)) | (Ok(_), Err(e)) => Err(format!("one fails: {e}")),
                };
                if let Err(e) = ok {
                    failed.push(format!("{} seed {seed} {:?} {with:?}: {e}", op.name, case));
                }
                if compiled.report().is_none() && !replayed.contains(&op.name) {
                    replayed.push(op.name);
                }
            }
        }
    }
    // Calls whose results' shapes or gradients depend on values cannot be compiled; these are all of them.
    eprintln!("run call by call: {replayed:?}");
    assert!(failed.is_empty(), "{} fail:\n{}", failed.len(), failed.join("\n"));
}

/// Unary and binary operators for random graphs, and those with a number.
const UNARY: [&str; 12] = [
    "relu",
    "tanh",
    "sigmoid",
    "negative",
    "square",
    "abs",
    "softsign",
    "exp",
    "floor",
    "sin",
    "_copy",
    "ones_like",
];
const BINARY: [&str; 6] = [
    "broadcast_add",
    "broadcast_sub",
    "broadcast_mul",
    "broadcast_maximum",
    "broadcast_minimum",
    "broadcast_greater",
];
const SCALAR: [&str; 4] = ["_plus_scalar", "_mul_scalar", "_rminus_scalar", "_maximum_scalar"];

/// A random graph on variables of some shapes, with several outputs.
fn random_graph(d: &mut Draw, shapes: &[Vec<usize>], calls: usize) -> Symbol {
    let mut nodes: Vec<Symbol> = (0..shapes.len()).map(|i| var(&format!("v{i}"))).collect();
    for _ in 0..calls {
        let at = |d: &mut Draw, n: usize| if d.flip() { n - 1 } else { d.size(0, n - 1) };
        let (i, j) = (at(d, nodes.len()), at(d, nodes.len()));
        let number = format!("{}", d.real(-1.5, 1.5));
        let new = match d.int(0, 2) {
            0 => call(d.pick(&UNARY), &[], &[&nodes[i]]),
            1 => call(d.pick(&BINARY), &[], &[&nodes[i], &nodes[j]]),
            _ => call(d.pick(&SCALAR), &[("scalar", number.as_str())], &[&nodes[i]]),
        };
        nodes.push(new);
    }
    let last = nodes.len() - 1;
    let heads: Vec<&Symbol> =
        if d.flip() { vec![&nodes[last]] } else { vec![&nodes[last], &nodes[last - 1], &nodes[last]] };
    Symbol::group(&heads)
}

/// The calls of a graph one by one, through the door.
fn by_hand(symbol: &Symbol, ins: &[&Array]) -> Result<Vec<Array>> {
    let order = Order::new(symbol);
    let mut values: Vec<Option<Array>> = vec![None; order.num_entries()];
    let mut next = ins.iter();
    for (i, node) in order.nodes.iter().enumerate() {
        match node.op() {
            None => values[order.first[i]] = Some((*next.next().unwrap()).clone()),
            Some(op) => {
                let xs: Vec<&Array> =
                    node.inputs.iter().map(|e| values[order.number(e)].as_ref().unwrap()).collect();
                for (k, y) in invoke(op, &xs, &node.params(), &[])?.into_iter().enumerate() {
                    values[order.first[i] + k] = Some(y);
                }
            }
        }
    }
    Ok(symbol.heads.iter().map(|h| values[order.number(h)].clone().unwrap()).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn random_element_wise_graphs_fuse_to_the_same_bits(seed in any::<u64>()) {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut d = Draw::new(seed);
        let dtype = d.pick(&[DType::F32, DType::F64, DType::F16, DType::BF16]);
        let (n, m) = (d.pick(&[0, 1, 7, 64, 333]), d.pick(&[1, 3, 17, 128]));
        let stretched = d.pick(&[vec![m], vec![1], vec![n, 1], vec![1, 1], vec![]]);
        let shapes = [vec![n, m], vec![n, m], stretched];
        let symbol = random_graph(&mut d, &shapes, 3 + (seed % 20) as usize);
        let fill = |d: &mut Draw, dims: &Vec<usize>| {
            let values: Vec<f64> = (0..dims.iter().product()).map(|_| d.real(-2.0, 2.0)).collect();
            array(&values, dims, dtype)
        };
        let known = symbol.list_inputs();
        let inputs: Vec<Array> = known.iter().map(|name| {
            let i: usize = name[1..].parse().unwrap();
            fill(&mut d, &shapes[i])
        }).collect();
        let compiled = CachedOp::new(&symbol, &[("inline_limit", "0")]).unwrap();
        for with in [vec![false; inputs.len()], vec![true; inputs.len()]] {
            let want = run(&inputs, &with, |xs| by_hand(&symbol, xs)).unwrap();
            for _ in 0..2 {
                let got = run(&inputs, &with, |xs| compiled.call(xs, &[])).unwrap();
                prop_assert_eq!(same("results", &got.0, &want.0), Ok(()));
                prop_assert_eq!(&got.1, &want.1);
            }
            prop_assert!(compiled.report().is_some(), "it was compiled");
        }
    }
}

/// A layer whose parameters become variables.
fn layer(op: &str, name: &str, attrs: &[(&str, &str)], x: &Symbol) -> Symbol {
    Symbol::call(find(op).unwrap(), name, attrs, &["data"], &[x]).unwrap()
}

fn act(x: &Symbol) -> Symbol {
    call("Activation", &[("act_type", "relu")], &[x])
}

fn mlp() -> Symbol {
    let mut x = var("data");
    for (i, n) in ["16", "12", "5"].into_iter().enumerate() {
        x = layer("FullyConnected", &format!("fc{i}"), &[("num_hidden", n)], &x);
        if i < 2 {
            x = act(&x);
        }
    }
    call("log_softmax", &[], &[&x])
}

fn norm(name: &str, x: &Symbol) -> Symbol {
    layer("BatchNorm", name, &[("fix_gamma", "False"), ("momentum", "0.5")], x).output(0).unwrap()
}

fn conv(name: &str, filters: &str, no_bias: &str, x: &Symbol) -> Symbol {
    layer(
        "Convolution",
        name,
        &[("kernel", "(3, 3)"), ("pad", "(1, 1)"), ("num_filter", filters), ("no_bias", no_bias)],
        x,
    )
}

fn lenet() -> Symbol {
    let pool = |x: &Symbol| {
        call("Pooling", &[("kernel", "(2, 2)"), ("stride", "(2, 2)"), ("pool_type", "max")], &[x])
    };
    let x = pool(&act(&norm("bn0", &conv("conv0", "6", "True", &var("data")))));
    let x = pool(&call("tanh", &[], &[&norm("bn1", &conv("conv1", "8", "False", &x))]));
    let x = act(&norm("bn2", &layer("FullyConnected", "fc0", &[("num_hidden", "20")], &x)));
    call("log_softmax", &[], &[&layer("FullyConnected", "fc1", &[("num_hidden", "10")], &x)])
}

fn residual() -> Symbol {
    let data = conv("stem", "8", "False", &var("data"));
    let x = act(&norm("bn0", &conv("conv0", "8", "True", &data)));
    let x = norm("bn1", &conv("conv1", "8", "True", &x));
    let y = act(&call("elemwise_add", &[], &[&x, &data]));
    Symbol::group(&[&y, &call("mean", &[("axis", "(2, 3)")], &[&y])])
}

/// Layers with so many filters that a compiled graph makes their weights ready: minimal filtering, a stride, single elements; with sums behind
/// them whose other side is older, or another such layer.
fn wide() -> Symbol {
    let one = |name: &str, stride: &str, x: &Symbol| {
        let attrs = [("kernel", "(1, 1)"), ("stride", stride), ("num_filter", "72"), ("no_bias", "False")];
        norm(&format!("{name}bn"), &layer("Convolution", name, &attrs, x))
    };
    let x = act(&norm("bn0", &conv("conv0", "64", "True", &conv("stem", "33", "False", &var("data")))));
    let y = one("conv1", "(2, 2)", &act(&norm("bn2", &conv("conv2", "64", "True", &x))));
    let y = act(&call("elemwise_add", &[], &[&one("short", "(2, 2)", &x), &y]));
    let z = call("elemwise_add", &[], &[&act(&one("conv3", "(1, 1)", &y)), &y]);
    Symbol::group(&[&act(&z), &one("conv4", "(1, 1)", &z)])
}

/// Values for the variables of a network, and which of them want gradients.
fn values(symbol: &Symbol, data: &[usize], seed: u64) -> (Vec<Array>, Vec<bool>) {
    let dims: Vec<i64> = data.iter().map(|&d| d as i64).collect();
    let inferred = symbol.infer_shape(&["data"], &[keshi::graph::infer::partial(&dims)]).unwrap();
    let (args, aux) = (symbol.list_arguments(), symbol.list_auxiliary_states());
    let mut d = Draw::new(seed);
    let mut all = Vec::new();
    for name in symbol.list_inputs() {
        let known = match args.iter().position(|n| *n == name) {
            Some(i) => &inferred.args[i],
            None => &inferred.aux[aux.iter().position(|n| *n == name).unwrap()],
        };
        let dims = known.known().unwrap();
        let positive = name.ends_with("var") || name.ends_with("gamma");
        let (lo, hi) = if positive { (0.5, 1.5) } else { (-0.5, 0.5) };
        let x: Vec<f64> = (0..dims.iter().product()).map(|_| d.real(lo, hi)).collect();
        all.push((array(&x, &dims, DType::F32), args.contains(&name) && name != "data"));
    }
    all.into_iter().unzip()
}

fn networks() -> Vec<(&'static str, Symbol, Vec<usize>)> {
    vec![
        ("mlp", mlp(), vec![7, 10]),
        ("lenet", lenet(), vec![3, 1, 12, 12]),
        ("residual", residual(), vec![2, 3, 9, 7]),
        ("wide", wide(), vec![1, 3, 9, 10]),
    ]
}

/// The largest difference, relative to the largest element.
fn apart(a: &Array, b: &Array) -> f64 {
    let (x, y) = (a.to_vec::<f64>(), b.to_vec::<f64>());
    let size = y.iter().fold(1e-3f64, |m, v| m.max(v.abs()));
    x.iter().zip(&y).fold(0.0f64, |m, (a, b)| m.max((a - b).abs())) / size
}

#[test]
fn networks_train_to_the_same_bits_states_included() {
    for (name, symbol, data) in networks() {
        let compiled = CachedOp::new(&symbol, &[]).unwrap();
        let mut after: Vec<Vec<Vec<u8>>> = Vec::new();
        for by in [true, false] {
            let (inputs, with) = values(&symbol, &data, 5);
            inputs
                .iter()
                .zip(&with)
                .filter(|(_, w)| **w)
                .for_each(|(x, _)| x.attach_grad(GradReq::Write).unwrap());
            let refs: Vec<&Array> = inputs.iter().collect();
            let mut trace = Vec::new();
            for _ in 0..4 {
                let ys =
                    record(|| if by { compiled.call(&refs, &[]) } else { by_hand(&symbol, &refs) }).unwrap();
                backward(&[&ys[0]], &[], Options::default()).unwrap();
                trace.push(bits(&ys[0]));
                // Gradient descent in place: the next call must see it.
                for x in inputs.iter().filter(|x| x.has_edge()) {
                    let step = x.grad().unwrap() * -0.05 + x.detach();
                    x.tensor().assign(step.tensor()).unwrap();
                }
            }
            trace.extend(inputs.iter().map(bits));
            after.push(trace);
        }
        assert!(compiled.report().is_some(), "{name} was compiled");
        assert!(after[0] == after[1], "{name}: training differs");
    }
}

#[test]
fn at_inference_normalisation_goes_into_the_layer_before_and_follows_the_parameters() {
    for (name, symbol, data) in networks() {
        let compiled = CachedOp::new(&symbol, &[]).unwrap();
        let (inputs, _) = values(&symbol, &data, 9);
        let refs: Vec<&Array> = inputs.iter().collect();
        for round in 0..3 {
            let (got, want) = (compiled.call(&refs, &[]).unwrap(), by_hand(&symbol, &refs).unwrap());
            for (g, w) in got.iter().zip(&want) {
                assert!(apart(g, w) < 2e-6, "{name} round {round}: {}", apart(g, w));
            }
            // Any parameter may change between calls.
            let x = &inputs[1 + round * (inputs.len() - 2) / 2];
            x.tensor().assign((x * 1.25).tensor()).unwrap();
        }
        let report = compiled.report().unwrap();
        let norms = symbol.list_auxiliary_states().len() / 2;
        assert_eq!(report.absorbed, norms, "{name}: {report:?}");
        assert!(report.planned < report.unplanned, "{name}: {report:?}");
        // All but the stem, which has 27 terms are made ready; four rectifiers and a sum follow them. The other sum reads a rectifier.
        let (ready, epilogues) = if name == "wide" { (6, 5) } else { (0, 0) };
        assert_eq!((report.ready, report.epilogues), (ready, epilogues), "{name}: {report:?}");
    }
}

#[test]
fn dead_and_common_calls_and_constants_are_counted() {
    let (a, b) = (var("a"), var("b"));
    let sum = || call("broadcast_add", &[], &[&a, &b]);
    let ones = call("_ones", &[("shape", "(3,)")], &[]);
    let twice = call("broadcast_mul", &[], &[&call("exp", &[], &[&sum()]), &call("exp", &[], &[&sum()])]);
    let it = call("broadcast_add", &[], &[&twice, &call("_mul_scalar", &[("scalar", "3.0")], &[&ones])]);
    let compiled = CachedOp::new(&it, &[]).unwrap();
    let x = array(&[0.0, 0.5, 1.0], &[3], DType::F32);
    let got = compiled.call(&[&x, &x], &[]).unwrap();
    assert_eq!(bits(&got[0]), bits(&by_hand(&it, &[&x, &x]).unwrap()[0]));
    let report = compiled.report().unwrap();
    assert_eq!((report.common, report.folded, report.calls), (2, 2, 1), "{report:?}");
}

#[test]
fn what_draws_is_made_as_often_as_it_stands_there() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let x = var("x");
    let drop = || layer("Dropout", "drop", &[("p", "0.5")], &x);
    let it = call("broadcast_sub", &[], &[&call("relu", &[], &[&drop()]), &call("relu", &[], &[&drop()])]);
    let compiled = CachedOp::new(&it, &[]).unwrap();
    let v = [Array::full(&[50, 40], 1.0, DType::F32, Device::default()).unwrap()];
    let (got, grads) = run(&v, &[true], |xs| compiled.call(xs, &[])).unwrap();
    let want = run(&v, &[true], |xs| by_hand(&it, xs)).unwrap();
    assert_eq!(same("dropout", &got, &want.0), Ok(()));
    assert!(grads == want.1);
    assert!(got[0].to_vec::<f32>().iter().any(|v| *v != 0.0), "two masks");
    assert_eq!(compiled.report().unwrap().common, 0);
}

#[test]
fn results_of_earlier_calls_stay_and_inputs_may_be_one_array() {
    let (a, b) = (var("a"), var("b"));
    let it = call(
        "broadcast_mul",
        &[],
        &[&call("_plus_scalar", &[("scalar", "1")], &[&call("relu", &[], &[&a])]), &b],
    );
    for flags in [&[][..], &[("static_alloc", "1"), ("static_shape", "1")]] {
        let compiled = CachedOp::new(&it, flags).unwrap();
        let arrays: Vec<Array> = (1..4).map(|i| array(&[f64::from(i), -1.0], &[2], DType::F32)).collect();
        let kept: Vec<Array> =
            arrays.iter().map(|x| compiled.call(&[x, x], &[]).unwrap().remove(0)).collect();
        let all: Vec<Vec<f32>> = kept.iter().map(Array::to_vec).collect();
        assert_eq!(all, [[2.0, -1.0], [6.0, -1.0], [12.0, -1.0]]);
        // Into an array that is an input.
        compiled.call(&[&arrays[2], &arrays[2]], &[&arrays[2]]).unwrap();
        assert_eq!(arrays[2].to_vec::<f32>(), [12.0, -1.0]);
        // Other shapes and dtypes.
        let wide = array(&[1.0; 12], &[3, 4], DType::F64);
        assert_eq!(compiled.call(&[&wide, &wide], &[]).unwrap()[0].to_vec::<f64>(), [2.0; 12]);
    }
}

#[test]
fn outputs_that_are_equal_inputs_or_constants_are_the_callers_own() {
    let a = var("a");
    let (x, y) = (call("exp", &[], &[&a]), call("exp", &[], &[&a]));
    let ones = call("_ones", &[("shape", "(2,)")], &[]);
    let it = Symbol::group(&[&x, &y, &a, &ones, &call("negative", &[], &[&x])]);
    let compiled = CachedOp::new(&it, &[]).unwrap();
    let v = array(&[0.0, 1.0], &[2], DType::F32);
    for _ in 0..2 {
        let out = compiled.call(&[&v], &[]).unwrap();
        for y in [&out[0], &out[3]] {
            y.tensor().assign((y * 0.0).tensor()).unwrap();
        }
        assert_eq!(out[1].to_vec::<f32>(), [1.0, std::f32::consts::E]);
        assert!(out[2].tensor().span().same(v.tensor().span()));
        assert_eq!(out[3].to_vec::<f32>(), [0.0; 2]);
    }
    assert_eq!(compiled.call(&[&v], &[]).unwrap()[3].to_vec::<f32>(), [1.0; 2]);
}

#[test]
fn second_order_goes_through_a_compiled_graph() {
    let a = var("a");
    let cube = call("broadcast_mul", &[], &[&call("square", &[], &[&a]), &call("_copy", &[], &[&a])]);
    let compiled = CachedOp::new(&cube, &[]).unwrap();
    let x = array(&[1.0, 2.0, -3.0], &[3], DType::F64);
    x.attach_grad(GradReq::Write).unwrap();
    let options = Options { create_graph: true, ..Options::default() };
    let slope = record(|| {
        let y = compiled.call(&[&x], &[]).unwrap();
        grad(&[&y[0]], &[], &[&x], options).unwrap().remove(0)
    });
    assert_eq!(slope.to_vec::<f64>(), [3.0, 12.0, 27.0]);
    backward(&[&slope], &[], Options::default()).unwrap();
    assert_eq!(x.grad().unwrap().to_vec::<f64>(), [6.0, 12.0, -18.0]);
    // One array for two inputs.
    let (a, b) = (var("a"), var("b"));
    let it = call("negative", &[], &[&call("broadcast_mul", &[], &[&call("square", &[], &[&a]), &b])]);
    let compiled = CachedOp::new(&it, &[]).unwrap();
    let slope = record(|| {
        let y = compiled.call(&[&x, &x], &[]).unwrap();
        grad(&[&y[0]], &[], &[&x], options).unwrap().remove(0)
    });
    assert_eq!(slope.to_vec::<f64>(), [-3.0, -12.0, -27.0]);
}

#[test]
fn a_pass_from_some_of_the_outputs_is_right_at_once_and_compiled_the_next_time() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let a = var("a");
    let x = layer("Dropout", "drop", &[("p", "0.5")], &a);
    let it =
        Symbol::group(&[&call("square", &[], &[&x]), &call("exp", &[], &[&x]), &call("log", &[], &[&x])]);
    let compiled = CachedOp::new(&it, &[]).unwrap();
    let v = array(&[1.0, 2.0, 3.0, 4.0], &[4], DType::F64);
    v.attach_grad(GradReq::Write).unwrap();
    for _ in 0..3 {
        let mut grads = Vec::new();
        for by in [true, false] {
            keshi::rng::seed(3);
            let ys = record(|| if by { compiled.call(&[&v], &[]) } else { by_hand(&it, &[&v]) }).unwrap();
            backward(&[&ys[1]], &[], Options::default()).unwrap();
            grads.push(bits(&v.grad().unwrap()));
            // The stream goes on where it was.
            grads.push(bits(&record(|| by_hand(&it, &[&v])).unwrap()[0]));
        }
        assert!(grads[0] == grads[2] && grads[1] == grads[3]);
    }
}

#[test]
fn what_the_gradient_needs_may_not_be_changed_in_place() {
    let (a, b) = (var("a"), var("b"));
    let it = call("broadcast_add", &[], &[&call("broadcast_mul", &[], &[&call("exp", &[], &[&a]), &a]), &b]);
    let compiled = CachedOp::new(&it, &[]).unwrap();
    let make = || array(&[1.0, 2.0], &[2], DType::F32);
    let (x, y) = (make(), make());
    x.attach_grad(GradReq::Write).unwrap();
    y.attach_grad(GradReq::Write).unwrap();
    let z = record(|| compiled.call(&[&x, &y], &[]).unwrap());
    // The summand is not needed.
    y.tensor().assign(make().tensor()).unwrap();
    backward(&[&z[0]], &[], Options { retain_graph: true, ..Options::default() }).unwrap();
    x.tensor().assign(make().tensor()).unwrap();
    let e = backward(&[&z[0]], &[], Options::default()).unwrap_err().to_string();
    assert!(e.contains("a is needed for the gradient but was changed in place"), "{e}");
    let z = record(|| compiled.call(&[&x, &y], &[]).unwrap());
    backward(&[&z[0]], &[], Options::default()).unwrap();
    let e = backward(&[&z[0]], &[], Options::default()).unwrap_err().to_string();
    assert!(e.contains("freed by an earlier backward"), "{e}");
}

#[test]
fn a_short_graph_is_recorded_call_by_call_and_a_long_one_as_one() {
    let symbol = mlp();
    let (inputs, with) = values(&symbol, &[2, 3], 1);
    inputs.iter().zip(&with).filter(|(_, w)| **w).for_each(|(x, _)| x.attach_grad(GradReq::Write).unwrap());
    let refs: Vec<&Array> = inputs.iter().collect();
    let count = |limit: &str| {
        let compiled = CachedOp::new(&symbol, &[("inline_limit", limit)]).unwrap();
        let y = record(|| compiled.call(&refs, &[])).unwrap().remove(0);
        Order::new(&Symbol::recorded(&y).unwrap()).nodes.iter().filter(|n| !n.is_variable()).count()
    };
    assert_eq!((count("6"), count("5")), (6, 1));
    assert!(CachedOp::new(&symbol, &[("inline_limit", "x")]).is_err());
}

#[test]
fn mistakes_in_a_call_read_as_they_do_without_compiling() {
    let (a, b) = (var("a"), var("b"));
    let it = call("broadcast_add", &[], &[&call("exp", &[], &[&a]), &b]);
    let compiled = CachedOp::new(&it, &[]).unwrap();
    let (x, y) = (array(&[1.0; 3], &[3], DType::F32), array(&[1.0; 2], &[2], DType::F32));
    let e = compiled.call(&[&x, &y], &[]).unwrap_err().to_string();
    assert!(e.contains("broadcast") && e.contains("(3,) and (2,)"), "{e}");
    // A mistake that only the values show, inside of a fused call.
    let quotient = call("negative", &[], &[&call("broadcast_div", &[], &[&call("square", &[], &[&a]), &b])]);
    let compiled = CachedOp::new(&quotient, &[]).unwrap();
    let (x, y) = (array(&[4.0, 2.0], &[2], DType::I32), array(&[2.0, 0.0], &[2], DType::I32));
    let e = compiled.call(&[&x, &y], &[]).unwrap_err().to_string();
    assert!(e.contains("integer division by zero"), "{e}");
    assert_eq!(compiled.call(&[&x, &x], &[]).unwrap()[0].to_vec::<i32>(), [-4, -2]);
}
