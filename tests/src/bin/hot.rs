//! The hot paths, for counting their instructions: `hot WORKLOAD COUNT` does one thing so many times.

use keshi::autograd::mode::record;
use keshi::backward::{Options, backward};
use keshi::invoke::{invoke, parse_named};
use keshi::ops::find;
use keshi::{Array, DType, Device, GradReq};

fn main() {
    let mut args = std::env::args().skip(1);
    let (what, count) = (args.next().expect("a workload"), args.next().expect("a count"));
    let count: usize = count.parse().expect("a count");
    let small = Array::from_slice(&[1f32, 2.0, 3.0, 4.0], &[2, 2]).expect("memory");
    let call = |name: &str, ins: &[&Array], named: &[(&str, keshi::ops::value::Value)]| {
        let op = find(name).expect("an operator");
        let params = parse_named(op, named, ins.len()).expect("parameters");
        (0..count).for_each(|_| _ = invoke(op, ins, &params, &[]).expect("a result"));
    };
    match what.as_str() {
        "dispatch" => call("broadcast_add", &[&small, &small], &[]),
        "scalar" => call("_mul_scalar", &[&small], &[("scalar", 1.5.into())]),
        "sum" => call("sum", &[&small], &[("axis", 1i64.into())]),
        "tape" => {
            small.attach_grad(GradReq::Write).expect("a gradient");
            let y = record(|| (0..count).fold(small.clone(), |y, _| y * 1.0001));
            backward(&[&y], &[], Options::default()).expect("gradients");
        }
        // Of 10,000 elements.
        "add" | "softmax" => {
            let x = Array::full(&[100, 100], 0.5, DType::F32, Device::default()).expect("memory");
            if what == "add" { call("broadcast_add", &[&x, &x], &[]) } else { call("softmax", &[&x], &[]) }
        }
        other => panic!("no workload {other}"),
    }
}
