//! Keshi's side of the comparison with peers, from Rust. The protocol is that of `benches/peers/peer.py`; beside the workloads it knows
//! `limit:copy`, `limit:read` (seconds for a gigabyte of traffic) and `limit:fma` (seconds for 1e9 float32 operations).

use keshi::autograd::mode::record;
use keshi::backward::{Options, backward};
use keshi::invoke::{invoke, invoke_named, parse_named};
use keshi::kernels::{copy, par};
use keshi::ops::{find, value::Value};
use keshi::simd::{Simd, Work, level};
use keshi::storage::{Span, Storage};
use keshi::{Array, DType, GradReq};
use std::hint::black_box;
use std::io::BufRead;
use std::time::Instant;

type Call = Box<dyn FnMut()>;

/// Numbers from -1 to 1.
fn uniform(dims: &[usize]) -> Array {
    let shape = Value::from(dims.to_vec());
    let named = [("low", Value::from(-1.0)), ("high", Value::from(1.0)), ("shape", shape)];
    invoke_named(find("_random_uniform").expect("an operator"), &[], &named).expect("memory")[0].clone()
}

/// A call of an operator, its parameters parsed once.
fn op(name: &str, ins: Vec<Array>, named: &[(&str, &str)]) -> Call {
    let op = find(name).expect("an operator");
    let named: Vec<(&str, Value)> = named.iter().map(|&(k, v)| (k, v.into())).collect();
    let params = parse_named(op, &named, ins.len()).expect("parameters");
    Box::new(move || {
        let ins: Vec<&Array> = ins.iter().collect();
        black_box(invoke(op, &ins, &params, &[]).expect("a result"));
    })
}

/// Forward and backward, from a gradient of ones.
fn trained(name: &str, ins: Vec<Array>, wanted: usize, named: &[(&str, &str)]) -> Call {
    let op = find(name).expect("an operator");
    let named: Vec<(&str, Value)> = named.iter().map(|&(k, v)| (k, v.into())).collect();
    let params = parse_named(op, &named, ins.len()).expect("parameters");
    ins[..wanted].iter().for_each(|x| x.attach_grad(GradReq::Write).expect("a gradient"));
    Box::new(move || {
        let ins: Vec<&Array> = ins.iter().collect();
        let y = record(|| invoke(op, &ins, &params, &[]).expect("a result")[0].clone());
        backward(&[&y], &[], Options::default()).expect("gradients");
    })
}

fn convolution(kind: &str, train: bool) -> Option<Call> {
    let (x, w, named): ([usize; 4], [usize; 4], &[(&str, &str)]) = match kind {
        "3x3" | "small" => (
            if kind == "small" { [128, 64, 16, 16] } else { [8, 64, 56, 56] },
            [64, 64, 3, 3],
            &[("kernel", "(3, 3)"), ("pad", "(1, 1)"), ("num_filter", "64")],
        ),
        "1x1" => ([8, 256, 56, 56], [64, 256, 1, 1], &[("kernel", "(1, 1)"), ("num_filter", "64")]),
        "7x7" => (
            [8, 3, 224, 224],
            [64, 3, 7, 7],
            &[("kernel", "(7, 7)"), ("stride", "(2, 2)"), ("pad", "(3, 3)"), ("num_filter", "64")],
        ),
        "depthwise" => (
            [8, 128, 56, 56],
            [128, 1, 3, 3],
            &[("kernel", "(3, 3)"), ("pad", "(1, 1)"), ("num_filter", "128"), ("num_group", "128")],
        ),
        _ => return None,
    };
    let named: Vec<_> = named.iter().copied().chain([("no_bias", "1")]).collect();
    let ins = vec![uniform(&x), uniform(&w)];
    Some(if train { trained("Convolution", ins, 2, &named) } else { op("Convolution", ins, &named) })
}

fn pooling(kind: &str, train: bool) -> Call {
    let (kernel, pad) = if kind == "max" { ("(3, 3)", "(1, 1)") } else { ("(2, 2)", "(0, 0)") };
    let named = [("kernel", kernel), ("stride", "(2, 2)"), ("pad", pad), ("pool_type", kind)];
    let ins = vec![uniform(&[8, 64, 112, 112])];
    if train { trained("Pooling", ins, 1, &named) } else { op("Pooling", ins, &named) }
}

fn dot(size: &str, flags: &str) -> Option<Call> {
    let (m, k, n) = match size {
        "skinny" => (64, 4096, 1000),
        n => [n.parse().ok()?; 3].into(),
    };
    let (ta, tb) = (flags.starts_with('t'), flags.ends_with('t'));
    let x = uniform(&if ta { [k, m] } else { [m, k] });
    let y = uniform(&if tb { [n, k] } else { [k, n] });
    let text = |b: bool| if b { "1" } else { "0" };
    Some(op("dot", vec![x, y], &[("transpose_a", text(ta)), ("transpose_b", text(tb))]))
}

/// 2e9 bytes of a copy, half read and half written, or 1e9 bytes read, or 1e9 operations.
fn limit(what: &str) -> Option<Call> {
    const BYTES: usize = 256 << 20;
    if what == "fma" {
        return Some(Box::new(|| {
            par::chunks(64, 1, |_, r| r.for_each(|_| _ = black_box(level().run(Peak))))
        }));
    }
    let (x, y) = (Storage::new(BYTES).ok()?, Storage::new(BYTES).ok()?);
    let span = |s: &Storage| {
        // SAFETY: the block has room for so many bytes.
        unsafe { Span::new(s.ptr(), BYTES / 4, DType::F32) }
    };
    copy::fill(span(&x), 1.0);
    copy::fill(span(&y), 1.0);
    if what == "copy" {
        return Some(Box::new(move || copy::cast(span(&x), span(&y))));
    }
    let (a, op) = (uniform(&[BYTES / 4]), find("sum").ok()?);
    let params = parse_named(op, &[], 1).ok()?;
    Some(Box::new(move || _ = black_box(invoke(op, &[&a], &params, &[]).expect("a sum"))))
}

/// Operations of all runs of [`Peak`] in a call: on the widest level, on which a vector has 16 lanes; others have as many more steps.
const OPERATIONS: f64 = 64.0 * 2.0 * 16.0 * 12.0 * 100_000.0;

/// Twelve independent chains of fused multiply-adds.
struct Peak;

impl Work for Peak {
    type Out = f32;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        let (a, b) = (s.splat(black_box(0.999)), s.splat(black_box(0.001)));
        let mut sums = [s.splat(1.0); 12];
        for _ in 0..100_000 * 16 / S::N {
            for sum in &mut sums {
                *sum = s.fma(*sum, a, b);
            }
        }
        s.to_array(sums.into_iter().fold(a, |x, y| x + y))[0]
    }
}

fn make(name: &str) -> Option<Call> {
    let parts: Vec<&str> = name.split(':').collect();
    let rest = |i: usize| parts.get(i).copied().unwrap_or("");
    let elementwise = |name: &str, two: bool, named: &[(&str, &str)]| {
        let n = rest(1).parse::<f64>().ok()? as usize;
        let ins = if two { vec![uniform(&[n]), uniform(&[n])] } else { vec![uniform(&[n])] };
        Some(op(name, ins, named))
    };
    let square = || uniform(&[4096, 4096]);
    Some(match parts[0] {
        "limit" => return limit(rest(1)),
        "add2" => op("broadcast_add", vec![uniform(&[2, 2]); 2], &[]),
        "scale2" => op("_mul_scalar", vec![uniform(&[2, 2])], &[("scalar", "1.5")]),
        "relu2" => op("relu", vec![uniform(&[2, 2])], &[]),
        "sum2" => op("sum", vec![uniform(&[2, 2])], &[("axis", "1")]),
        "item" => {
            let x = uniform(&[1]);
            Box::new(move || _ = black_box(x.item().expect("a number")))
        }
        "chain" => {
            let x = uniform(&[2, 2]);
            x.attach_grad(GradReq::Write).expect("a gradient");
            Box::new(move || {
                let y = record(|| (0..1000).fold(x.clone(), |y, _| y * 1.0001));
                backward(&[&y], &[], Options::default()).expect("gradients");
            })
        }
        "add" => return elementwise("broadcast_add", true, &[]),
        "multiply" => return elementwise("broadcast_mul", true, &[]),
        name @ ("relu" | "exp" | "tanh" | "erf" | "sigmoid") => return elementwise(name, false, &[]),
        "gelu" => return elementwise("LeakyReLU", false, &[("act_type", "gelu")]),
        "reduce" => match rest(1) {
            "sum" => op("sum", vec![square()], &[]),
            "sum_0" => op("sum", vec![square()], &[("axis", "0")]),
            "sum_1" => op("sum", vec![square()], &[("axis", "1")]),
            "max" => op("max", vec![square()], &[]),
            "max_1" => op("max", vec![square()], &[("axis", "1")]),
            "argmax" => op("argmax", vec![square()], &[("axis", "1")]),
            "moments" => op("moments", vec![square()], &[("axes", "(1,)")]),
            _ => return None,
        },
        "broadcast" => op("broadcast_add", vec![uniform(&[4096, 1000]), uniform(&[1, 1000])], &[]),
        "transpose" => op("transpose", vec![square()], &[]),
        name @ ("softmax" | "log_softmax") => op(name, vec![uniform(&[4096, 1000])], &[]),
        "layernorm" => op("LayerNorm", vec![uniform(&[4096, 768]), uniform(&[768]), uniform(&[768])], &[]),
        name @ ("sort" | "argsort") => op(name, vec![uniform(&[1_000_000])], &[]),
        "topk" => op("topk", vec![uniform(&[4096, 1000])], &[("k", "5"), ("ret_typ", "both")]),
        "dot" => return dot(rest(1), rest(2)),
        "conv" => return convolution(rest(1), rest(2) == "train"),
        "pool" => pooling(rest(1), rest(2) == "train"),
        _ => return None,
    })
}

fn status(field: &str) -> u64 {
    let all = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = all.lines().find(|l| l.starts_with(field)).unwrap_or("");
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// Seconds of one call, on average over as many as take about `seconds`.
fn timed(call: &mut Call, seconds: f64) -> f64 {
    call();
    let mut count = 1;
    loop {
        let start = Instant::now();
        (0..count).for_each(|_| call());
        let spent = start.elapsed().as_secs_f64();
        if spent >= seconds / 2.0 {
            return spent / count as f64;
        }
        count = (2 * count).max((count as f64 * seconds / spent.max(1e-6) * 0.8) as usize);
    }
}

fn main() {
    println!("ready");
    let (mut name, mut call, mut base) = (String::new(), None, 0);
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("a line");
        let (wanted, seconds) = line.split_once(' ').expect("a workload and seconds");
        if wanted != name {
            drop(call.take());
            // What cannot be written is a peak that is not reset: it only looks larger.
            let _ = std::fs::write("/proc/self/clear_refs", "5");
            base = status("VmRSS");
            (name, call) = (wanted.to_string(), make(wanted));
        }
        let unit = match wanted {
            "limit:fma" => 1e9 / OPERATIONS,
            "limit:copy" => 1e9 / (2.0 * (256 << 20) as f64),
            "limit:read" => 1e9 / (256 << 20) as f64,
            _ => 1.0,
        };
        match &mut call {
            Some(call) => {
                let time = timed(call, seconds.parse().expect("seconds")) * unit;
                println!("{name} {time} {}", status("VmHWM").saturating_sub(base));
            }
            None => println!("{name} -"),
        }
    }
}
