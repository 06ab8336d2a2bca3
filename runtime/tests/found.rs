//! What `tests/tests/fuzz.rs` has found, each once.

use keshi::autograd::mode::record;
use keshi::backward::{Options, backward};
use keshi::invoke::{invoke, invoke_named};
use keshi::ops::find;
use keshi::shape::reshape::reshape;
use keshi::{Array, ErrorKind, GradReq};

#[test]
fn random_numbers_stay_inside_an_array_of_small_integers() {
    let whole = Array::from_slice(&[7u8; 300], &[3, 100]).unwrap();
    let middle = whole.rows(1, 2).unwrap();
    for name in ["_random_uniform", "_random_normal", "_random_exponential"] {
        let op = find(name).unwrap();
        let params = (op.params.parse)(&[]).unwrap();
        invoke(op, &[], &params, &[&middle]).unwrap();
        let values = whole.to_vec::<u8>();
        assert!(values[..100].iter().chain(&values[200..]).all(|&v| v == 7), "{name} wrote beyond its array");
    }
}

#[test]
fn reshape_codes_that_overflow_are_refused() {
    for codes in [&[1 << 44, 1 << 44, -1][..], &[-4, 1 << 62, 4, -2], &[-3, -2]] {
        let dims: &[usize] = if codes[0] == -3 { &[1 << 44, 1 << 44, 0] } else { &[4, 6] };
        assert_eq!(reshape(dims, codes, false, false).unwrap_err().kind(), ErrorKind::Shape, "{codes:?}");
    }
}

#[test]
fn the_norm_of_the_smallest_integer_is_a_number() {
    let x = Array::from_slice(&[i64::MIN, 3], &[2]).unwrap();
    let norm = invoke_named(find("norm").unwrap(), &[&x], &[]).unwrap().remove(0);
    assert_eq!(norm.dtype(), x.dtype());
}

#[test]
fn a_split_without_indices_and_sections_is_refused() {
    let x = Array::from_slice(&[1f32, 2.0], &[1, 2]).unwrap();
    let indices: Vec<i64> = Vec::new();
    let e = invoke_named(find("_split_v2").unwrap(), &[&x], &[("indices", indices.into())]).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Param, "{e}");
}

#[test]
fn the_gradient_of_integers_comes_in_their_dtype() {
    let x = Array::from_slice(&[1i64, 2], &[2]).unwrap();
    x.attach_grad(GradReq::Write).unwrap();
    let op = find("_minus_scalar").unwrap();
    let y = record(|| {
        invoke_named(op, &[&x], &[("scalar", 0.5.into()), ("is_int", false.into())]).unwrap().remove(0)
    });
    assert_ne!(y.dtype(), x.dtype());
    backward(&[&y], &[], Options::default()).unwrap();
    assert_eq!(x.grad().unwrap().to_vec::<i64>(), [1, 1]);
}

#[test]
fn more_heads_than_can_be_counted_are_refused() {
    let x = Array::from_slice(&[0f32; 24], &[2, 1, 12]).unwrap();
    for heads in [i64::MAX, i64::MAX / 2, 0, 5] {
        let op = find("_contrib_interleaved_matmul_selfatt_qk").unwrap();
        assert!(invoke_named(op, &[&x], &[("heads", heads.into())]).is_err(), "{heads}");
    }
}
