//! The cells: from the sums of a step to gates, state and output, and back.
//!
//! With `a = W x + b` (input part) and `s = R h + b'` (recurrent part), σ the logistic function:
//!
//! - LSTM: `i = σ(aᵢ + sᵢ)`, `f = σ(…)`, `g = tanh(…)`, `o = σ(…)`; `c' = f c + i g`, `h' = o tanh(c')`
//! - GRU: `r = σ(…)`, `z = σ(…)`, `n = tanh(aₙ + r sₙ)`; `h' = (1 - z) n + z h`

use super::step::Sums;
use super::{Cell, Net, Num};
use crate::kernels::product::Shared;
use crate::kernels::real::{load, store};
use crate::simd::{Simd, Work};
use std::ops::Range;

/// One step forward of one direction of a layer. Arrays with rows begin with the row of the first sequence.
#[derive(Clone, Copy)]
pub(super) struct Ahead<'a, T> {
    pub net: Net<'a>,
    pub t: usize,
    /// The input part and all biases but that of the recurrent part of a GRU's new value; becomes the gates.
    pub gates: Shared<T>,
    pub gates_row: usize,
    /// State of an LSTM's cells after the step, recurrent part of a GRU's new value; rows of `hidden`.
    pub extra: Shared<T>,
    /// Output before the step and after it, state of the cells, which changes; rows of `hidden`.
    pub h: Shared<T>,
    pub next: Shared<T>,
    pub c: Shared<T>,
    /// Output of the layer.
    pub y: Shared<T>,
    pub y_row: usize,
    /// Bias of the recurrent part of a GRU's new value.
    pub bias: Shared<T>,
}

/// Sums for some rows and units.
pub(super) struct Part<K, T> {
    pub step: K,
    pub rows: Range<usize>,
    pub units: Range<usize>,
    pub sums: Sums<T>,
}

impl<T: Num> Work for Part<Ahead<'_, T>, T> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (k, lanes, hidden) = (self.step, T::count::<S>(), self.step.net.hidden);
        for n in self.rows.clone() {
            let sums = self.sums.at.at(((n - self.rows.start) * self.sums.row) as isize);
            let counts = k.net.counts(k.t, n);
            let mut j = self.units.start;
            while j < self.units.end {
                let w = lanes.min(self.units.end - j);
                let at = (n * hidden + j) as isize;
                // SAFETY: w units of sequence n, in arrays that have them all; only this part writes them.
                unsafe {
                    let y = k.y.at((n * k.y_row + j) as isize);
                    if counts {
                        let sums = sums.add(j - self.units.start);
                        let h = match k.net.cell {
                            Cell::Lstm => k.lstm(s, n, j, w, sums, self.sums.gate),
                            Cell::Gru => k.gru(s, n, j, w, sums, self.sums.gate),
                            cell => k.plain(s, n, j, w, sums, cell),
                        };
                        store::<T, S>(s, y, h, w);
                        store::<T, S>(s, k.next.at(at), h, w);
                    } else {
                        store::<T, S>(s, y, T::splat(s, T::default()), w);
                        store::<T, S>(s, k.next.at(at), load::<T, S>(s, k.h.at(at), w), w);
                    }
                }
                j += lanes;
            }
        }
    }
}

// In all that follows `sums` points to the sum of the first gate of unit j, those of the other gates are `gate` apart.

impl<T: Num> Ahead<'_, T> {
    /// Place of gate `g` of unit `j` of sequence `n`.
    #[inline(always)]
    fn gate(&self, n: usize, g: usize, j: usize) -> *mut T {
        self.gates.at((n * self.gates_row + g * self.net.hidden + j) as isize)
    }

    /// # Safety
    /// The w units from j on of sequence n exist.
    #[inline(always)]
    unsafe fn plain<S: Simd>(
        &self,
        s: S,
        n: usize,
        j: usize,
        w: usize,
        sums: *const T,
        cell: Cell,
    ) -> T::V<S> {
        // SAFETY: the caller's promise.
        unsafe {
            let a = load::<T, S>(s, self.gate(n, 0, j), w) + load::<T, S>(s, sums, w);
            if cell == Cell::Relu { T::where_positive(s, a, a) } else { T::tanh(s, a) }
        }
    }

    /// # Safety
    /// As `plain`.
    #[inline(always)]
    unsafe fn lstm<S: Simd>(
        &self,
        s: S,
        n: usize,
        j: usize,
        w: usize,
        sums: *const T,
        gate: usize,
    ) -> T::V<S> {
        let at = (n * self.net.hidden + j) as isize;
        // SAFETY: the caller's promise.
        unsafe {
            let i = T::sigmoid(s, load::<T, S>(s, self.gate(n, 0, j), w) + load::<T, S>(s, sums, w));
            let f =
                T::sigmoid(s, load::<T, S>(s, self.gate(n, 1, j), w) + load::<T, S>(s, sums.add(gate), w));
            let g =
                T::tanh(s, load::<T, S>(s, self.gate(n, 2, j), w) + load::<T, S>(s, sums.add(2 * gate), w));
            let o = T::sigmoid(
                s,
                load::<T, S>(s, self.gate(n, 3, j), w) + load::<T, S>(s, sums.add(3 * gate), w),
            );
            store::<T, S>(s, self.gate(n, 0, j), i, w);
            store::<T, S>(s, self.gate(n, 1, j), f, w);
            store::<T, S>(s, self.gate(n, 2, j), g, w);
            store::<T, S>(s, self.gate(n, 3, j), o, w);
            let mut c = T::fma(s, f, load::<T, S>(s, self.c.at(at), w), i * g);
            if let Some((low, high, nan)) = self.net.clip {
                c = T::clip(s, c, [T::from_f64(low), T::from_f64(high)], nan);
            }
            store::<T, S>(s, self.c.at(at), c, w);
            store::<T, S>(s, self.extra.at(at), c, w);
            o * T::tanh(s, c)
        }
    }

    /// # Safety
    /// As `plain`.
    #[inline(always)]
    unsafe fn gru<S: Simd>(
        &self,
        s: S,
        n: usize,
        j: usize,
        w: usize,
        sums: *const T,
        gate: usize,
    ) -> T::V<S> {
        let at = (n * self.net.hidden + j) as isize;
        // SAFETY: the caller's promise.
        unsafe {
            let r = T::sigmoid(s, load::<T, S>(s, self.gate(n, 0, j), w) + load::<T, S>(s, sums, w));
            let z =
                T::sigmoid(s, load::<T, S>(s, self.gate(n, 1, j), w) + load::<T, S>(s, sums.add(gate), w));
            let inner = load::<T, S>(s, sums.add(2 * gate), w) + load::<T, S>(s, self.bias.at(j as isize), w);
            let new = T::tanh(s, T::fma(s, r, inner, load::<T, S>(s, self.gate(n, 2, j), w)));
            store::<T, S>(s, self.gate(n, 0, j), r, w);
            store::<T, S>(s, self.gate(n, 1, j), z, w);
            store::<T, S>(s, self.gate(n, 2, j), new, w);
            store::<T, S>(s, self.extra.at(at), inner, w);
            T::fma(s, z, load::<T, S>(s, self.h.at(at), w) - new, new)
        }
    }
}

/// One step back. The sums are what the steps behind give to this step's output.
#[derive(Clone, Copy)]
pub(super) struct Back<'a, T> {
    pub net: Net<'a>,
    pub t: usize,
    pub dir: usize,
    /// What going forward kept of the step.
    pub gates: Shared<T>,
    pub extra: Shared<T>,
    /// The layer's output at the step and its gradient.
    pub y: Shared<T>,
    pub grad: Shared<T>,
    pub y_row: usize,
    /// Output and state of the cells at the step before, and those that the sequences were entered with.
    pub y_before: Shared<T>,
    pub c_before: Shared<T>,
    pub h0: Shared<T>,
    pub c0: Shared<T>,
    /// Gradients of the outputs that do not go through a product, and of the state of the cells; they change.
    pub dh: Shared<T>,
    pub dc: Shared<T>,
    /// Gradients of the gates before their functions.
    pub slopes: Shared<T>,
    pub slopes_row: usize,
}

impl<T: Num> Work for Part<Back<'_, T>, T> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (k, lanes, hidden) = (self.step, T::count::<S>(), self.step.net.hidden);
        for n in self.rows.clone() {
            let sums = self.sums.at.at(((n - self.rows.start) * self.sums.row) as isize);
            let counts = k.net.counts(k.t, n);
            let first = k.net.entry(n, k.dir) == k.t;
            let mut j = self.units.start;
            while j < self.units.end {
                let w = lanes.min(self.units.end - j);
                // SAFETY: w units of sequence n, in arrays that have them all; only this part writes them.
                unsafe {
                    let carried = k.dh.at((n * hidden + j) as isize);
                    let dh = load::<T, S>(s, sums.add(j - self.units.start), w) + load::<T, S>(s, carried, w);
                    let zero = T::splat(s, T::default());
                    if counts {
                        let dh = dh + load::<T, S>(s, k.grad.at((n * k.y_row + j) as isize), w);
                        let rest = match k.net.cell {
                            Cell::Lstm => k.lstm(s, n, j, w, dh, first),
                            Cell::Gru => k.gru(s, n, j, w, dh, first),
                            cell => k.plain(s, n, j, w, dh, cell),
                        };
                        store::<T, S>(s, carried, rest, w);
                    } else {
                        store::<T, S>(s, carried, dh, w);
                        for g in 0..k.net.cell.slopes() {
                            store::<T, S>(s, k.slope(n, g, j), zero, w);
                        }
                    }
                }
                j += lanes;
            }
        }
    }
}

// Each gives what of `dh` goes to the step before without a product.

impl<T: Num> Back<'_, T> {
    /// Place of the gradient of gate `g`.
    #[inline(always)]
    fn slope(&self, n: usize, g: usize, j: usize) -> *mut T {
        self.slopes.at((n * self.slopes_row + g * self.net.hidden + j) as isize)
    }

    /// # Safety
    /// The w units from j on of sequence n exist.
    #[inline(always)]
    unsafe fn plain<S: Simd>(&self, s: S, n: usize, j: usize, w: usize, dh: T::V<S>, cell: Cell) -> T::V<S> {
        // SAFETY: the caller's promise.
        unsafe {
            let h = load::<T, S>(s, self.y.at((n * self.y_row + j) as isize), w);
            let da = if cell == Cell::Relu {
                T::where_positive(s, h, dh)
            } else {
                dh * (T::splat(s, T::from_f64(1.0)) - h * h)
            };
            store::<T, S>(s, self.slope(n, 0, j), da, w);
        }
        T::splat(s, T::default())
    }

    /// Gate `g` of an LSTM or a GRU.
    /// # Safety
    /// As `plain`.
    #[inline(always)]
    unsafe fn gate<S: Simd>(&self, s: S, n: usize, g: usize, j: usize, w: usize) -> T::V<S> {
        let row = self.net.cell.gates() * self.net.hidden;
        // SAFETY: the caller's promise.
        unsafe { load::<T, S>(s, self.gates.at((n * row + g * self.net.hidden + j) as isize), w) }
    }

    /// # Safety
    /// As `plain`.
    #[inline(always)]
    unsafe fn lstm<S: Simd>(&self, s: S, n: usize, j: usize, w: usize, dh: T::V<S>, first: bool) -> T::V<S> {
        let (at, one) = ((n * self.net.hidden + j) as isize, T::splat(s, T::from_f64(1.0)));
        // SAFETY: the caller's promise.
        unsafe {
            let (i, f) = (self.gate(s, n, 0, j, w), self.gate(s, n, 1, j, w));
            let (g, o) = (self.gate(s, n, 2, j, w), self.gate(s, n, 3, j, w));
            let before = load::<T, S>(s, if first { self.c0.at(at) } else { self.c_before.at(at) }, w);
            let c = T::tanh(s, load::<T, S>(s, self.extra.at(at), w));
            let mut dc = T::fma(s, dh * o, one - c * c, load::<T, S>(s, self.dc.at(at), w));
            if let Some((low, high, _)) = self.net.clip {
                let whole = T::fma(s, f, before, i * g);
                dc = T::where_inside(s, whole, [T::from_f64(low), T::from_f64(high)], dc);
            }
            store::<T, S>(s, self.dc.at(at), dc * f, w);
            store::<T, S>(s, self.slope(n, 0, j), dc * g * i * (one - i), w);
            store::<T, S>(s, self.slope(n, 1, j), dc * before * f * (one - f), w);
            store::<T, S>(s, self.slope(n, 2, j), dc * i * (one - g * g), w);
            store::<T, S>(s, self.slope(n, 3, j), dh * c * o * (one - o), w);
        }
        T::splat(s, T::default())
    }

    /// # Safety
    /// As `plain`.
    #[inline(always)]
    unsafe fn gru<S: Simd>(&self, s: S, n: usize, j: usize, w: usize, dh: T::V<S>, first: bool) -> T::V<S> {
        let (at, one) = ((n * self.net.hidden + j) as isize, T::splat(s, T::from_f64(1.0)));
        // SAFETY: the caller's promise.
        unsafe {
            let (r, z) = (self.gate(s, n, 0, j, w), self.gate(s, n, 1, j, w));
            let (new, inner) = (self.gate(s, n, 2, j, w), load::<T, S>(s, self.extra.at(at), w));
            let before = if first { self.h0.at(at) } else { self.y_before.at((n * self.y_row + j) as isize) };
            let dnew = dh * (one - z) * (one - new * new);
            store::<T, S>(s, self.slope(n, 0, j), dnew, w);
            store::<T, S>(s, self.slope(n, 1, j), dnew * inner * r * (one - r), w);
            store::<T, S>(s, self.slope(n, 2, j), dh * (load::<T, S>(s, before, w) - new) * z * (one - z), w);
            store::<T, S>(s, self.slope(n, 3, j), dnew * r, w);
            dh * z
        }
    }
}
