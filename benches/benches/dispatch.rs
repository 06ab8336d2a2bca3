//! What a call costs before any arithmetic: the door, the tape, the way back.

use criterion::{Criterion, criterion_group, criterion_main};
use keshi::autograd::mode::record;
use keshi::backward::{Options, backward};
use keshi::ops::elementwise::{binary, scalar};
use keshi::ops::params::Params;
use keshi::{Array, GradReq, invoke};
use std::hint::black_box;

fn dispatch(c: &mut Criterion) {
    let x = Array::from_slice(&[1f32, 2.0, 3.0, 4.0], &[2, 2]).unwrap();
    let y = Array::from_slice(&[5f32, 6.0, 7.0, 8.0], &[2, 2]).unwrap();
    c.bench_function("add 2x2", |b| {
        b.iter(|| invoke(&binary::BROADCAST_ADD, &[black_box(&x), &y], &Params::NONE, &[]).unwrap());
    });
    c.bench_function("multiply 2x2 by a number", |b| {
        b.iter(|| invoke(&scalar::MUL_SCALAR, &[black_box(&x)], &scalar::scalar(1.5), &[]).unwrap());
    });
    c.bench_function("1000 recorded multiplications, forward and backward", |b| {
        x.attach_grad(GradReq::Write).unwrap();
        b.iter(|| {
            let y = record(|| (0..1000).fold(&x * 1.0, |y, _| y * 1.0001));
            backward(&[&y], &[], Options::default()).unwrap();
        });
    });
}

criterion_group!(benches, dispatch);
criterion_main!(benches);
