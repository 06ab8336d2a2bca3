//! Recurrent layers made of recorded operators, step by step: what their second derivative goes through. Far slower than the kernel.

use super::super::join::concat;
use super::super::matrix::dot::dot;
use super::super::shape_ops::view::reshaped;
use super::super::slice::sliced;
use crate::array::Array;
use crate::error::Result;
use crate::kernels::rnn::{Cell, Net};
use crate::tensor::Tensor;

/// The outputs of a network (those of the last layer, and the states after the last step) from data, parameters and states of one dtype.
pub(super) fn outputs(net: &Net<'_>, ins: &[Array]) -> Result<Vec<Array>> {
    let (batch, hidden, rows) = (net.batch, net.hidden, net.cell.gates() * net.hidden);
    let mut at = 0;
    let mut take = |dims: &[usize]| {
        let begin = at;
        at += dims.iter().product::<usize>();
        reshaped(&sliced(&ins[1], 0, begin, at), dims)
    };
    let mut weights = Vec::new();
    for layer in 0..net.layers {
        weights.extend((0..net.dirs).map(|_| [take(&[rows, net.width(layer)]), take(&[rows, hidden])]));
    }
    let biases: Vec<_> = weights.iter().map(|_| [take(&[rows]), take(&[rows])]).collect();
    let mut y = ins[0].clone();
    let mut ends = vec![Vec::new(); ins.len() - 2];
    for layer in 0..net.layers {
        let mut sides = Vec::new();
        for dir in 0..net.dirs {
            let i = layer * net.dirs + dir;
            let ([w, r], [b, b2]) = (&weights[i], &biases[i]);
            let flat = reshaped(&y, &[net.steps * batch, net.width(layer)]);
            let all = reshaped(&(dot(&flat, w, false, true) + b), &[net.steps, batch, rows]);
            let step = |x: &Array, i: usize, width: usize| reshaped(&sliced(x, 0, i, i + 1), &[batch, width]);
            let mut state: Vec<Array> = ins[2..].iter().map(|s| step(s, i, hidden)).collect();
            let mut out = vec![None; net.steps];
            for t in net.order(dir, false) {
                let s = dot(&state[0], r, false, true) + b2;
                let new = cell(net, &step(&all, t, rows), &s, &state);
                if net.lengths.is_some() {
                    let on = counted(net, t)?;
                    out[t] = Some(on.choose(&new[0], &new[0].zeros_like()));
                    state = new.iter().zip(&state).map(|(new, old)| on.choose(new, old)).collect();
                } else {
                    out[t] = Some(new[0].clone());
                    state = new;
                }
            }
            sides.push(stacked(out.into_iter().flatten()));
            ends.iter_mut().zip(state).for_each(|(ends, s)| ends.push(s));
        }
        y = concat(&sides, 2);
        if layer + 1 < net.layers && net.dropout.is_some() {
            let mask = Tensor::empty(y.dims(), y.dtype(), y.device())?;
            net.mask(layer, mask.span());
            y = y * Array::from(mask);
        }
    }
    Ok(std::iter::once(y).chain(ends.into_iter().map(stacked)).collect())
}

/// 1 for each sequence that step `t` counts for, else 0.
fn counted(net: &Net<'_>, t: usize) -> Result<Array> {
    let on: Vec<f32> = (0..net.batch).map(|n| f32::from(net.counts(t, n))).collect();
    Array::from_slice(&on, &[net.batch])
}

/// Matrices along a new first axis.
fn stacked(parts: impl IntoIterator<Item = Array>) -> Array {
    let parts: Vec<Array> = parts.into_iter().map(|x| reshaped(&x, &[1, x.dims()[0], x.dims()[1]])).collect();
    concat(&parts, 0)
}

/// States after a step: `a` and `s` are the parts of input and state, biases included.
fn cell(net: &Net<'_>, a: &Array, s: &Array, state: &[Array]) -> Vec<Array> {
    let gate = |x: &Array, g: usize| sliced(x, 1, g * net.hidden, (g + 1) * net.hidden);
    match net.cell {
        Cell::Relu => vec![(a + s).relu()],
        Cell::Tanh => vec![(a + s).tanh()],
        Cell::Lstm => {
            let sum = a + s;
            let [i, f, o] = [0, 1, 3].map(|g| gate(&sum, g).sigmoid());
            let c = clipped(net, f * &state[1] + i * gate(&sum, 2).tanh());
            vec![o * c.tanh(), c]
        }
        Cell::Gru => {
            let [r, z] = [0, 1].map(|g| (gate(a, g) + gate(s, g)).sigmoid());
            let new = (gate(a, 2) + r * gate(s, 2)).tanh();
            vec![(1.0 - &z) * new + z * &state[0]]
        }
    }
}

/// The state of LSTM cells between the bounds that were given for it.
fn clipped(net: &Net<'_>, c: Array) -> Array {
    let Some((low, high, nan)) = net.clip else { return c };
    let inside = c.max_with(low).min_with(high);
    if nan { c.array_eq(&c).choose(&inside, &(c.zeros_like() + low)) } else { inside }
}
