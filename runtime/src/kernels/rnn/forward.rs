//! Going forward through all layers.

use super::cell::{Ahead, Part};
use super::step::Matrix;
use super::{Cell, Net, Num, Scratch};
use crate::error::Result;
use crate::kernels::copy::strided;
use crate::kernels::product::{Layout, Shared, gemm};
use crate::simd::level;
use crate::storage::Span;
use std::sync::{Mutex, PoisonError};

/// What a network is given: contiguous, all of one dtype. Sizes are the network's.
#[derive(Clone, Copy)]
pub struct Kept {
    /// Data, (steps, batch, input).
    pub x: Span,
    /// All parameters; see [`Net::params`].
    pub params: Span,
    /// What [`Net::pack`] made of them, where it did.
    pub panels: Option<Span>,
    /// Outputs that the sequences are entered with, (layers · dirs, batch, hidden).
    pub h0: Span,
    /// The same of the state of LSTM cells.
    pub c0: Option<Span>,
    /// Outputs of the last layer, (steps, batch, dirs · hidden).
    pub y: Span,
    /// What going forward keeps for the way back; see [`Net::kept`].
    pub kept: Span,
}

impl Kept {
    /// Input, output and its row length of a layer. Between layers, the output before dropout.
    pub(super) fn output<T: Num>(&self, net: &Net<'_>, layer: usize) -> Shared<T> {
        if layer + 1 == net.layers {
            Shared(self.y.ptr())
        } else {
            Shared(Shared(self.kept.ptr::<T>()).at(net.output_at(layer) as isize))
        }
    }
}

/// Fills `io.y` and `io.kept`; `hy` and `cy` get outputs and states of the cells after the last step of each sequence.
pub fn forward<T: Num>(net: &Net<'_>, io: Kept, hy: Option<Span>, cy: Option<Span>) -> Result<()> {
    let (size, width) = (net.batch * net.hidden, net.dirs * net.hidden);
    let mut x = Shared(io.x.ptr::<T>());
    let mut dropped = None;
    for layer in 0..net.layers {
        let y = io.output::<T>(net, layer);
        let ends = |dir: usize| {
            let at = (layer * net.dirs + dir) * size;
            let end = |s: Option<Span>| s.map(|s| Shared(s.sub(at, size).ptr::<T>()));
            (Shared(io.h0.sub(at, size).ptr::<T>()), end(io.c0), end(hy), end(cy))
        };
        directions(net, layer, x, io, y, &ends)?;
        if layer + 1 < net.layers {
            x = y;
            if net.dropout.is_some() {
                let to = match dropped.take() {
                    Some(s) => s,
                    None => Scratch::<T>::new(net.places() * width)?,
                };
                net.drop_out(layer, y.0, to.ptr().0)?;
                x = to.ptr();
                dropped = Some(to);
            }
        }
    }
    Ok(())
}

/// States before and after: h0, c0, hy, cy.
type Ends<T> = (Shared<T>, Option<Shared<T>>, Option<Shared<T>>, Option<Shared<T>>);

/// Both directions of a layer.
fn directions<T: Num>(
    net: &Net<'_>,
    layer: usize,
    x: Shared<T>,
    io: Kept,
    y: Shared<T>,
    ends: &(dyn Fn(usize) -> Ends<T> + Sync),
) -> Result<()> {
    let (rows, hidden, batch) = (net.rows(), net.hidden, net.batch);
    let (width, params) = (net.dirs * hidden, Shared(io.params.ptr::<T>()));
    let one = T::from_f64(1.0);
    let mut matrices = Vec::with_capacity(net.dirs);
    for dir in 0..net.dirs {
        let place = net.place(layer, dir);
        let (gates, gates_row) = gates(net, io, layer, dir, y);
        // The input part of all steps begins as the biases.
        let bias = Scratch::<T>::new(rows)?;
        let both = if net.cell == Cell::Gru { 2 * hidden } else { rows };
        for i in 0..rows {
            // SAFETY: the two biases of this direction.
            unsafe {
                let b = params.at((place.bias + i) as isize);
                let other = if i < both { *b.add(rows) } else { T::default() };
                *bias.ptr().at(i as isize) = *b + other;
            }
        }
        for_rows(net, gates, gates_row, bias.span());
        // SAFETY: the data, the weights, and the gates of all steps; they lie apart.
        unsafe {
            gemm(
                net.places(),
                rows,
                net.width(layer),
                one,
                x.0,
                Layout::of_cols(net.width(layer)),
                params.at(place.w as isize),
                Layout::of_cols(net.width(layer)).t(),
                one,
                gates.0,
                Layout::of_cols(gates_row),
            );
            let size = [hidden, hidden, net.cell.gates()];
            matrices.push(match io.panels {
                Some(made) => Matrix::packed(net.panel::<T>(made, layer, dir), size, None),
                None => {
                    Matrix::new(params.at(place.r as isize), Layout::of_cols(hidden).t(), size, net.steps)?
                }
            });
        }
    }
    let size = batch * hidden;
    // Outputs of two steps for each direction, and the state of the cells.
    let states = Scratch::<T>::new(net.dirs * 3 * size)?;
    let failed = Mutex::new(Ok(()));
    net.sweep(|dir, seqs| {
        let state = |i: usize| Shared(states.ptr().at(((dir * 3 + i) * size) as isize));
        let (h0, c0, hy, cy) = ends(dir);
        let (begin, count) = ((seqs.start * hidden) as isize, seqs.len() * hidden);
        // SAFETY: rows of these sequences, which only this call touches.
        let copy = |from: Shared<T>, to: Shared<T>| unsafe {
            std::ptr::copy_nonoverlapping(from.at(begin), to.at(begin), count)
        };
        copy(h0, state(0));
        if let Some(c0) = c0 {
            copy(c0, state(2));
        }
        let (gates, gates_row) = gates(net, io, layer, dir, y);
        let extra = Shared(io.kept.ptr::<T>())
            .at((net.gates_at(layer, dir) + if net.cell.kept() > 0 { net.places() * rows } else { 0 })
                as isize);
        let place = net.place(layer, dir);
        let mut now = 0;
        for t in net.order(dir, false) {
            let at = t * batch;
            let step = Ahead {
                net: *net,
                t,
                gates: Shared(gates.at((at * gates_row) as isize)),
                gates_row,
                extra: Shared(extra.wrapping_add(at * hidden)),
                h: state(now),
                next: state(1 - now),
                c: state(2),
                y: Shared(y.at((at * width + dir * hidden) as isize)),
                y_row: width,
                bias: Shared(params.at((place.bias + 2 * rows - hidden) as isize)),
            };
            let level = level();
            // SAFETY: the outputs before the step have a row for each sequence.
            let done = unsafe {
                matrices[dir].times(Some((step.h, hidden)), seqs.clone(), |rows, units, sums| {
                    level.run(Part { step, rows, units, sums })
                })
            };
            if done.is_err() {
                *failed.lock().unwrap_or_else(PoisonError::into_inner) = done;
                return;
            }
            now = 1 - now;
        }
        if let Some(hy) = hy {
            copy(state(now), hy);
        }
        if let Some(cy) = cy {
            copy(state(2), cy);
        }
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Where the gates of all steps are, and how far their rows are apart. Cells without gates compute theirs in the output.
pub(super) fn gates<T: Num>(
    net: &Net<'_>,
    io: Kept,
    layer: usize,
    dir: usize,
    y: Shared<T>,
) -> (Shared<T>, usize) {
    if net.cell.kept() == 0 {
        return (Shared(y.at((dir * net.hidden) as isize)), net.dirs * net.hidden);
    }
    (Shared(Shared(io.kept.ptr::<T>()).at(net.gates_at(layer, dir) as isize)), net.rows())
}

/// Writes `bias` to every row.
fn for_rows<T: Num>(net: &Net<'_>, gates: Shared<T>, gates_row: usize, bias: Span) {
    if gates_row == net.rows() {
        // SAFETY: the gates of all steps, without gaps.
        let all = unsafe { Span::new(gates.0.cast(), net.places() * net.rows(), T::DTYPE) };
        return strided(&[net.places(), net.rows()], bias, 0, &[0, 1], all);
    }
    for i in 0..net.places() {
        // SAFETY: one row.
        unsafe {
            std::ptr::copy_nonoverlapping(bias.ptr::<T>(), gates.at((i * gates_row) as isize), net.rows())
        }
    }
}
