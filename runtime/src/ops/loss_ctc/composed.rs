//! The CTC loss made of recorded operators, step by step: what its second derivative goes through. Far slower than the kernel.

use super::super::join::concat;
use super::super::matrix::dot::gemm2;
use super::super::reduce::{Axes, extreme, sum_over};
use super::super::shape_ops::permute::transposed;
use super::super::shape_ops::view::reshaped;
use super::super::slice::sliced;
use super::super::softmax;
use super::Sequence;
use crate::array::Array;
use crate::dtype::DType;
use crate::error::Result;
use crate::fluent::{call, call_with};
use crate::kernels::ctc::{fits, skips, state};
use smallvec::smallvec;

/// The logarithm of a probability that is none. Finite, so that no difference of two of them is NaN.
const NONE: f64 = -1e30;

/// log Σ e^x over the last axis of a matrix.
fn log_sum(x: &Array) -> Array {
    let last = Axes { axis: Some(smallvec![1]), keepdims: true, exclude: false };
    let max = call_with(&extreme::MAX, &[x], last).stop_gradient();
    sum_over(&(x - &max).exp(), &[1], true).log() + max
}

/// The losses of all sequences, from data of (steps, batch, classes) in float64.
pub(super) fn losses(data: &Array, seqs: &[Sequence], blank: usize) -> Result<Array> {
    let [steps, batch, classes] = *data.dims() else { bail!(Internal, "data has three axes") };
    let states = 1 + 2 * seqs.iter().map(|s| s.labels.len()).max().unwrap_or(0);
    // Which class each state stands for; and 0 where a sequence may begin in a state, come to it from the one before the last, and end.
    let mut class = vec![0.0; batch * classes * states];
    let [mut first, mut skip, mut last] = [(); 3].map(|()| vec![NONE; batch * states]);
    for (n, seq) in seqs.iter().enumerate() {
        let own = 2 * seq.labels.len() + 1;
        for s in 0..own {
            class[(n * classes + state(&seq.labels, blank, s)) * states + s] = 1.0;
            let allow = |on: bool| if on { 0.0 } else { NONE };
            let at = n * states + s;
            (first[at], last[at]) = (allow(s < 2), allow(s + 2 >= own));
            skip[at] = allow(skips(&seq.labels, blank, s));
        }
    }
    let matrix = |v: &[f64]| Array::from_slice(v, &[batch, states]);
    let (skip, last) = (matrix(&skip)?, matrix(&last)?);
    let class = Array::from_slice(&class, &[batch, classes, states])?;
    let logs = transposed(&call(&softmax::LOG_SOFTMAX, &[data], &softmax::plain()), &[1, 0, 2]);
    let each = gemm2(&logs, &class, false, false, 1.0);
    let at = |t: usize| reshaped(&sliced(&each, 1, t, t + 1), &[batch, states]);
    let back = |x: &Array, by: usize| -> Result<Array> {
        let none = Array::full(&[batch, by], NONE, DType::F64, x.device())?;
        Ok(concat(&[none, sliced(x, 1, 0, states - by)], 1))
    };
    let flat = |x: &Array| reshaped(x, &[batch * states, 1]);
    let mut alpha = at(0) + matrix(&first)?;
    for t in 1..steps {
        let mut new = alpha.clone();
        if states > 1 {
            let ways = [flat(&alpha), flat(&back(&alpha, 1)?), flat(&(back(&alpha, 2)? + &skip))];
            new = reshaped(&log_sum(&concat(&ways, 1)), &[batch, states]);
        }
        let on: Vec<f64> = seqs.iter().map(|s| f64::from(t < s.steps)).collect();
        alpha = Array::from_slice(&on, &[batch])?.choose(&(new + at(t)), &alpha);
    }
    let losses = -reshaped(&log_sum(&(alpha + last)), &[batch]);
    let counts = |s: &Sequence| f64::from(s.steps > 0 && fits(&s.labels, blank, s.steps));
    let counts: Vec<f64> = seqs.iter().map(counts).collect();
    Ok(Array::from_slice(&counts, &[batch])?.choose(&losses, &losses.zeros_like()))
}
