//! The tape as users meet it.

use keshi::autograd::mode::{pause, record};
use keshi::backward::{Options, backward, grad};
use keshi::ops::{self, params::Params};
use keshi::{Array, DType, Device, ErrorKind, GradReq, invoke};

fn var(data: &[f32]) -> Array {
    let x = Array::from_slice(data, &[data.len()]).unwrap();
    x.attach_grad(GradReq::Write).unwrap();
    x
}

fn back(y: &Array) -> keshi::Result<()> {
    backward(&[y], &[], Options::default())
}

fn values(x: &Array) -> Vec<f32> {
    x.to_vec()
}

#[test]
fn products_sums_and_broadcasts() {
    let x = Array::from_slice(&[1f32, 2.0, 3.0, 4.0], &[2, 2]).unwrap();
    x.attach_grad(GradReq::Write).unwrap();
    let row = var(&[10.0, 20.0]);
    let y = record(|| &(&(2.0 * &x) * &x) + &row);
    back(&y).unwrap();
    assert_eq!(values(&x.grad().unwrap()), [4.0, 8.0, 12.0, 16.0]);
    assert_eq!(values(&row.grad().unwrap()), [2.0, 2.0]);
}

#[test]
fn requests_write_add_and_null() {
    let x = var(&[1.0, 2.0]);
    x.attach_grad(GradReq::Add).unwrap();
    for round in 1..=3 {
        back(&record(|| &x * &x)).unwrap();
        assert_eq!(values(&x.grad().unwrap()), [2.0 * round as f32, 4.0 * round as f32]);
    }
    x.attach_grad(GradReq::Null).unwrap();
    let y = record(|| &x * 2.0);
    assert_eq!(back(&y).unwrap_err().kind(), ErrorKind::Autograd);
}

#[test]
fn a_second_pass_needs_the_graph_retained() {
    let x = var(&[3.0]);
    let y = record(|| &x * &x);
    backward(&[&y], &[], Options { retain_graph: true, ..Options::default() }).unwrap();
    back(&y).unwrap();
    let e = back(&y).unwrap_err().to_string();
    assert!(e.contains("not in a computational graph") && e.contains("retain_graph=True"), "{e}");
    assert!(back(&(&x * 2.0)).is_err());
}

#[test]
fn a_saved_value_that_was_changed_is_named() {
    let (x, w) = (var(&[1.0]), var(&[2.0]));
    let y = record(|| &x * &w);
    let plus = ops::find("_plus_scalar").unwrap();
    invoke(plus, &[&w], &ops::elementwise::scalar::scalar(1.0), &[&w]).unwrap();
    let e = back(&y).unwrap_err().to_string();
    assert_eq!(
        e,
        "broadcast_mul: rhs is needed for the gradient but was changed in place, got version 1, want 0"
    );
}

#[test]
fn recorded_arrays_refuse_to_be_overwritten_and_stay_unharmed() {
    let x = var(&[1.0]);
    let plus = ops::find("_plus_scalar").unwrap();
    let e = record(|| invoke(plus, &[&x], &ops::elementwise::scalar::scalar(1.0), &[&x])).unwrap_err();
    assert!(e.to_string().contains("already in a computational graph"));
    assert_eq!(values(&x), [1.0]);
    pause(|| invoke(plus, &[&x], &ops::elementwise::scalar::scalar(1.0), &[&x])).unwrap();
    assert_eq!(values(&x), [2.0]);
}

#[test]
fn second_order_by_recording_the_pass() {
    let x = var(&[0.5]);
    let dx = record(|| {
        let y = &(&x * &x) * &x;
        grad(&[&y], &[], &[&x], Options { create_graph: true, ..Options::default() }).unwrap().remove(0)
    });
    assert_eq!(values(&dx), [0.75]);
    assert_eq!(values(&x.grad().unwrap()), [0.0]);
    back(&dx).unwrap();
    assert_eq!(values(&x.grad().unwrap()), [3.0]);
}

#[test]
fn a_million_calls_go_back_and_are_freed_without_recursion() {
    let x = var(&[1.0, 1.0]);
    let y = record(|| (0..1_000_000).fold(&x * 1.0, |y, _| &y * 1.0));
    back(&y).unwrap();
    assert_eq!(values(&x.grad().unwrap()), [1.0, 1.0]);
    drop(record(|| (0..1_000_000).fold(&x * 1.0, |y, _| &y + &x)));
}

#[test]
fn the_graph_dies_with_its_outputs() {
    let x = var(&[1.0; 4096]);
    let before = keshi::storage::memory_stats().live;
    for _ in 0..100 {
        drop(record(|| &(&x * &x) * &x));
    }
    // Other tests allocate at the same time; what is kept here would be 4.8 MB.
    assert!(keshi::storage::memory_stats().live < before + 2_000_000);
}

#[test]
fn in_place_and_overlapping_results() {
    let x = Array::from_slice(&[1i32, 2, 3, 4], &[4]).unwrap();
    let (head, tail) =
        (Array::from(x.tensor().rows(0, 3).unwrap()), Array::from(x.tensor().rows(1, 4).unwrap()));
    let add = ops::find("elemwise_add").unwrap();
    invoke(add, &[&head, &head], &Params::NONE, &[&tail]).unwrap();
    assert_eq!(x.to_vec::<i32>(), [1, 2, 4, 6]);
    invoke(add, &[&x, &x], &Params::NONE, &[&x]).unwrap();
    assert_eq!(x.to_vec::<i32>(), [2, 4, 8, 12]);
}

#[test]
fn mistakes_name_the_operator_what_came_and_what_was_wanted() {
    let a = Array::zeros(&[2, 3], DType::F32, Device::default()).unwrap();
    let b = Array::zeros(&[4, 3], DType::F32, Device::default()).unwrap();
    let c = Array::zeros(&[2, 3], DType::I32, Device::default()).unwrap();
    let say = |op: &str, ins: &[&Array]| {
        invoke(ops::find(op).unwrap(), ins, &Params::NONE, &[]).unwrap_err().to_string()
    };
    assert!(
        say("broadcast_add", &[&a, &b])
            .starts_with("broadcast_add: operands could not be broadcast together")
    );
    assert!(say("elemwise_add", &[&a, &b]).contains("Shape inconsistent"));
    assert!(say("broadcast_add", &[&a, &c]).contains("input 1 got int32, want float32"));
    assert!(say("broadcast_add", &[&a]).contains("expects 2 inputs, but got 1, want lhs, rhs"));
    let huge = Array::zeros(&[1 << 30, 1 << 12], DType::F32, Device::default());
    assert_eq!(huge.unwrap_err().kind(), ErrorKind::Memory);
}
