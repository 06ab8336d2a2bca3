//! Going back through all layers.

use super::cell::{Back, Part};
use super::forward::{Kept, gates};
use super::step::{Matrix, Sums};
use super::{Cell, Net, Num, Scratch};
use crate::error::Result;
use crate::kernels::product::{Layout, Shared, gemm};
use crate::simd::level;
use crate::storage::Span;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Gradients, given and wanted: contiguous, of the dtype and the sizes of what they belong to.
#[derive(Clone, Copy)]
pub struct Gradients {
    /// Of the output.
    pub y: Span,
    /// Of the outputs after the last step.
    pub hy: Option<Span>,
    /// Of the state of LSTM cells after the last step.
    pub cy: Option<Span>,
    /// Wanted: of the data.
    pub x: Option<Span>,
    /// Wanted: of the parameters.
    pub params: Span,
    /// Wanted: of the outputs that the sequences are entered with.
    pub h0: Span,
    /// Wanted: of the state of the cells that they are entered with.
    pub c0: Option<Span>,
}

/// Gates of a product: where their gradients begin, where their rows of the weights begin, and how many they are; all in units of
/// `hidden`.
type Blocks = &'static [(usize, usize, usize)];

impl Cell {
    /// Of the input part.
    fn of_input(self) -> Blocks {
        match self {
            Cell::Relu | Cell::Tanh => &[(0, 0, 1)],
            Cell::Lstm => &[(0, 0, 4)],
            Cell::Gru => &[(1, 0, 2), (0, 2, 1)],
        }
    }

    /// Of the recurrent part: one block.
    fn of_state(self) -> (usize, usize) {
        match self {
            Cell::Gru => (1, 3),
            cell => (0, cell.gates()),
        }
    }
}

/// Fills the wanted gradients of a call of [`forward`](super::forward()) with the same network.
pub fn backward<T: Num>(net: &Net<'_>, io: Kept, d: Gradients) -> Result<()> {
    let width = net.dirs * net.hidden;
    let mut dy = Shared(d.y.ptr::<T>());
    // The gradient of a layer's output is read while that of the output before is written.
    let mut between: Vec<Scratch<T>> = Vec::new();
    let dropped = match net.dropout {
        Some(_) if net.layers > 1 => Some(Scratch::<T>::new(net.places() * width)?),
        _ => None,
    };
    let slopes = Scratch::<T>::new(net.dirs * net.places() * net.cell.slopes() * net.hidden)?;
    for layer in (0..net.layers).rev() {
        let mut x = if layer == 0 { Shared(io.x.ptr::<T>()) } else { io.output(net, layer - 1) };
        if let (Some(to), true) = (&dropped, layer > 0) {
            net.drop_out(layer - 1, x.0, to.ptr().0)?;
            x = to.ptr();
        }
        steps_back(net, layer, io, d, dy, slopes.ptr())?;
        let dx = if layer > 0 {
            between.push(Scratch::new(net.places() * width)?);
            between.last().map(Scratch::ptr)
        } else {
            d.x.map(|s| Shared(s.ptr::<T>()))
        };
        for dir in 0..net.dirs {
            products(net, layer, dir, io, d.params, x, slopes.ptr(), dx)?;
        }
        if layer > 0 {
            dy = between[between.len() - 1].ptr();
            net.drop_out(layer - 1, dy.0, dy.0)?;
            // Only the last one is read from here on.
            between.drain(..between.len() - 1);
        }
    }
    Ok(())
}

/// Gradients of the gates of a layer, and of the states that its sequences are entered with.
fn steps_back<T: Num>(
    net: &Net<'_>,
    layer: usize,
    io: Kept,
    d: Gradients,
    dy: Shared<T>,
    slopes: Shared<T>,
) -> Result<()> {
    let (hidden, batch, width) = (net.hidden, net.batch, net.dirs * net.hidden);
    let (size, y) = (batch * hidden, io.output::<T>(net, layer));
    let row = net.cell.slopes() * hidden;
    let (begin, gates_back) = net.cell.of_state();
    let mut matrices = Vec::with_capacity(net.dirs);
    for dir in 0..net.dirs {
        let r = Shared(io.params.ptr::<T>()).at(net.place(layer, dir).r as isize);
        // SAFETY: the recurrent weights of this direction, as (gates · hidden) rows of `hidden`.
        let m = unsafe {
            Matrix::new(r, Layout::of_cols(hidden), [gates_back * hidden, hidden, 1], net.steps + 1)?
        };
        matrices.push(m);
    }
    let carried = Scratch::<T>::zeros(net.dirs * size)?;
    let failed = Mutex::new(Ok(()));
    net.sweep(|dir, seqs| {
        let at = (layer * net.dirs + dir) * size;
        let of = |s: Span| Shared(s.sub(at, size).ptr::<T>());
        let (first, count) = ((seqs.start * hidden) as isize, seqs.len() * hidden);
        let dh = Shared(carried.ptr().at((dir * size) as isize));
        // Gradients of states become those of the states before, in place of the result. Where there are no cells, nothing is touched.
        let dc = d.c0.map_or(dh, of);
        // SAFETY: rows of these sequences, which only this call touches.
        unsafe {
            if let Some(hy) = d.hy {
                std::ptr::copy_nonoverlapping(of(hy).at(first), dh.at(first), count);
            }
            match (d.c0, d.cy) {
                (Some(_), Some(cy)) => std::ptr::copy_nonoverlapping(of(cy).at(first), dc.at(first), count),
                (Some(_), None) => dc.at(first).write_bytes(0, count),
                _ => {}
            }
        }
        let (kept, _) = gates(net, io, layer, dir, y);
        let extra =
            if net.cell.kept() > 0 { Shared(kept.at((net.places() * net.rows()) as isize)) } else { kept };
        let slopes = Shared(slopes.at((dir * net.places() * row) as isize));
        // What the steps behind give through their gates: those of the step that was last visited.
        let mut behind = None;
        let level = level();
        for t in net.order(dir, true) {
            let place = |t: usize, of: Shared<T>, row: usize, col: usize| {
                Shared(of.at((t * batch * row + col) as isize))
            };
            // There is no step before the first one, and nothing is read there.
            let before = if dir == 0 { t.saturating_sub(1) } else { (t + 1).min(net.steps - 1) };
            let step = Back {
                net: *net,
                t,
                dir,
                gates: place(t, kept, net.rows(), 0),
                extra: place(t, extra, hidden, 0),
                y: place(t, y, width, dir * hidden),
                grad: place(t, dy, width, dir * hidden),
                y_row: width,
                y_before: place(before, y, width, dir * hidden),
                c_before: place(before, extra, hidden, 0),
                h0: of(io.h0),
                c0: io.c0.map_or(dh, of),
                dh,
                dc,
                slopes: place(t, slopes, row, 0),
                slopes_row: row,
            };
            // SAFETY: the gates' gradients of the step behind have a row for each sequence.
            let done = unsafe {
                matrices[dir].times(behind, seqs.clone(), |rows, units, sums| {
                    level.run(Part { step, rows, units, sums })
                })
            };
            if done.is_err() {
                *failed.lock().unwrap_or_else(PoisonError::into_inner) = done;
                return;
            }
            behind = Some((Shared(step.slopes.at((begin * hidden) as isize)), row));
        }
        let last = |rows: Range<usize>, units: Range<usize>, sums: Sums<T>| {
            for n in rows.clone() {
                for j in units.clone() {
                    let at = (n * hidden + j) as isize;
                    let sum = sums.at.at(((n - rows.start) * sums.row + j - units.start) as isize);
                    // SAFETY: unit j of sequence n, which only this call touches.
                    unsafe { *of(d.h0).at(at) = *sum + *dh.at(at) };
                }
            }
        };
        // SAFETY: as for the steps.
        if let Err(e) = unsafe { matrices[dir].times(behind, seqs.clone(), last) } {
            *failed.lock().unwrap_or_else(PoisonError::into_inner) = Err(e);
        }
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// From the gradients of the gates to those of the parameters and of the layer's input, to which the second direction adds.
#[allow(clippy::too_many_arguments)]
fn products<T: Num>(
    net: &Net<'_>,
    layer: usize,
    dir: usize,
    io: Kept,
    dparams: Span,
    x: Shared<T>,
    slopes: Shared<T>,
    dx: Option<Shared<T>>,
) -> Result<()> {
    let (hidden, batch, wide) = (net.hidden, net.batch, net.width(layer));
    let (places, row) = (net.places(), net.cell.slopes() * hidden);
    let (one, zero) = (T::from_f64(1.0), T::default());
    let slopes = Shared(slopes.at((dir * places * row) as isize));
    let place = net.place(layer, dir);
    let (params, grads) = (Shared(io.params.ptr::<T>()), Shared(dparams.ptr::<T>()));
    let of_gates = Layout::of_cols(row);
    let ones = Scratch::<T>::new(places)?;
    for i in 0..places {
        // SAFETY: the scratch's elements.
        unsafe { *ones.ptr().at(i as isize) = one };
    }
    // Gradients of a bias: sums over all steps and sequences.
    // SAFETY: columns of the gates' gradients, and a part of the biases' gradients.
    let bias = |from: usize, to: usize, gates: usize| unsafe {
        gemm(
            gates * hidden,
            1,
            places,
            one,
            slopes.at((from * hidden) as isize),
            of_gates.t(),
            ones.ptr().0,
            Layout::of_cols(1),
            zero,
            grads.at((place.bias + to * hidden) as isize),
            Layout::of_cols(1),
        )
    };
    for (i, &(from, to, gates)) in net.cell.of_input().iter().enumerate() {
        let (g, n) = (slopes.at((from * hidden) as isize), gates * hidden);
        let w = (place.w + to * hidden * wide) as isize;
        // SAFETY: all matrices lie inside their arrays, and results apart from what is read.
        unsafe {
            let x_form = Layout::of_cols(wide);
            gemm(n, wide, places, one, g, of_gates.t(), x.0, x_form, zero, grads.at(w), x_form);
            if let Some(dx) = dx {
                let beta = if i == 0 && dir == 0 { zero } else { one };
                gemm(places, wide, n, one, g, of_gates, params.at(w), x_form, beta, dx.0, x_form);
            }
        }
        bias(from, to, gates);
    }
    let (from, gates) = net.cell.of_state();
    bias(from, net.cell.gates(), gates);
    // Recurrent weights: the gates of each step by the output before it, which at the entry is the given one.
    let (g, n) = (slopes.at((from * hidden) as isize), gates * hidden);
    let dr = grads.at(place.r as isize);
    let width = net.dirs * hidden;
    let y = Shared(io.output::<T>(net, layer).at((dir * hidden) as isize));
    let h0 = Shared(io.h0.ptr::<T>()).at(((layer * net.dirs + dir) * batch * hidden) as isize);
    let entries = Scratch::<T>::new(batch * n)?;
    for b in 0..batch {
        let at = (net.entry(b, dir) * batch + b) * row;
        // SAFETY: the gates of the step at which sequence b is entered.
        unsafe {
            let from = Shared(g).at(at as isize);
            std::ptr::copy_nonoverlapping(from, entries.ptr().at((b * n) as isize), n);
        }
    }
    let later = (net.steps - 1) * batch;
    let (first_g, first_y) = if dir == 0 { (batch, 0) } else { (0, batch) };
    let (h_form, y_form) = (Layout::of_cols(hidden), Layout::of_cols(width));
    // SAFETY: as above. Past the end of a sequence its output is 0 and adds nothing.
    unsafe {
        let e = entries.ptr().0;
        gemm(n, hidden, batch, one, e, Layout::of_cols(n).t(), h0, h_form, zero, dr, h_form);
        let (g, y) = (Shared(g).at((first_g * row) as isize), y.at((first_y * width) as isize));
        gemm(n, hidden, later, one, g, of_gates.t(), y, y_form, one, dr, h_form);
    }
    Ok(())
}
