//! Recurrent layers: what a network looks like in memory, and what its files share.
//!
//! The input part of all steps is one product. The recurrent part is one product a step, of a matrix that is packed once, with the
//! gates computed on its tiles while they lie in the first cache (`step`). Sequences of a batch do not influence each other: where
//! there are enough of them each thread takes some through all steps and never waits; otherwise the threads share every step. No sum
//! depends on how that is done.
//!
//! Scratch: going forward the packed matrices; going back those, and the gradients of one layer's gates and of its input.

mod back;
mod cell;
mod forward;
mod step;

pub use back::{Gradients, backward};
pub use forward::{Kept, forward};

use super::par;
use super::product;
use super::real::Real;
use crate::dtype::Elem;
use crate::error::Result;
use crate::rng::Stream;
use crate::simd::{Simd, math};
use crate::storage::{Span, Storage};
use std::ops::Range;
use std::sync::Arc;

/// What a cell computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// `h' = max(0, a)`.
    Relu,
    /// `h' = tanh(a)`.
    Tanh,
    /// Long short-term memory.
    Lstm,
    /// Gated recurrent unit.
    Gru,
}

impl Cell {
    /// Number of gates, each with as many rows in the weights as there are units.
    pub fn gates(self) -> usize {
        match self {
            Cell::Relu | Cell::Tanh => 1,
            Cell::Gru => 3,
            Cell::Lstm => 4,
        }
    }

    /// Values of a unit at a step that the way back wants: the gates, and the cell's state (LSTM) or the recurrent part of the new
    /// value (GRU). Without gates the output tells everything.
    fn kept(self) -> usize {
        match self {
            Cell::Relu | Cell::Tanh => 0,
            Cell::Gru => 4,
            Cell::Lstm => 5,
        }
    }

    /// Gradients of a unit at a step: one for each gate, and for GRU one more, since a gate scales the recurrent part of the new value.
    /// GRU has them in the order new, reset, update, recurrent part of new, so that those of each product lie together.
    fn slopes(self) -> usize {
        if self == Cell::Gru { 4 } else { self.gates() }
    }
}

/// Dropout between layers.
#[derive(Clone, Copy, Debug)]
pub struct Dropout {
    /// What fraction is dropped.
    pub p: f64,
    /// Where the random numbers of the first layer's output begin; those of the other layers follow.
    pub stream: Stream,
}

/// Sizes and settings of a network.
#[derive(Clone, Copy, Debug)]
pub struct Net<'a> {
    /// Its cells.
    pub cell: Cell,
    /// Number of steps.
    pub steps: usize,
    /// Number of sequences.
    pub batch: usize,
    /// Width of the data.
    pub input: usize,
    /// Units of a layer in one direction.
    pub hidden: usize,
    /// Number of layers.
    pub layers: usize,
    /// 2 when sequences are also read from their end.
    pub dirs: usize,
    /// Bounds of the state of LSTM cells, and whether NaN is moved to the lower one.
    pub clip: Option<(f64, f64, bool)>,
    /// How many steps of each sequence count; all where this is `None`.
    pub lengths: Option<&'a [usize]>,
    /// Dropout between layers.
    pub dropout: Option<Dropout>,
}

/// Where the parameters of one direction of a layer begin.
pub(super) struct Place {
    /// Of the input, (gates · hidden, width).
    w: usize,
    /// Of the state, (gates · hidden, hidden).
    r: usize,
    /// Biases of the input part, then of the recurrent part, (gates · hidden) each.
    bias: usize,
}

impl Net<'_> {
    /// Width of what goes into a layer.
    pub fn width(&self, layer: usize) -> usize {
        if layer == 0 { self.input } else { self.dirs * self.hidden }
    }

    /// Rows of the weights of one direction.
    fn rows(&self) -> usize {
        self.cell.gates() * self.hidden
    }

    /// Steps of all sequences.
    fn places(&self) -> usize {
        self.steps * self.batch
    }

    /// Size of the weights of both directions of a layer.
    fn weights(&self, layer: usize) -> usize {
        self.dirs * self.rows() * (self.width(layer) + self.hidden)
    }

    /// Number of parameters: all weights, layer by layer and direction by direction, those of the input before those of the state; then
    /// all biases in the same order.
    pub fn params(&self) -> usize {
        (0..self.layers).map(|l| self.weights(l)).sum::<usize>() + self.layers * self.dirs * 2 * self.rows()
    }

    fn place(&self, layer: usize, dir: usize) -> Place {
        let before: usize = (0..layer).map(|l| self.weights(l)).sum();
        let all: usize = before + (layer..self.layers).map(|l| self.weights(l)).sum::<usize>();
        let w = before + dir * self.rows() * (self.width(layer) + self.hidden);
        let r = w + self.rows() * self.width(layer);
        Place { w, r, bias: all + (layer * self.dirs + dir) * 2 * self.rows() }
    }

    /// Number of elements that [`Net::pack`] makes on the level in use; `None` where so few steps do not pay for it.
    pub fn packed<T: Num>(&self) -> Option<usize> {
        (self.steps >= step::FEW).then(|| self.layers * self.dirs * self.panel_size::<T>())
    }

    fn panel_size<T: Num>(&self) -> usize {
        step::Matrix::<T>::size(self.hidden, self.hidden, self.cell.gates())
    }

    /// Where the panels of one direction of a layer are.
    fn panel<T: Num>(&self, panels: Span, layer: usize, dir: usize) -> product::Shared<T> {
        let size = self.panel_size::<T>();
        product::Shared(panels.sub((layer * self.dirs + dir) * size, size).ptr())
    }

    /// Lays the weights of the states as the steps of going forward read them, once for many calls.
    pub fn pack<T: Num>(&self, params: Span, to: Span) {
        let form = product::Layout::of_cols(self.hidden).t();
        for (layer, dir) in (0..self.layers).flat_map(|l| (0..self.dirs).map(move |d| (l, d))) {
            let r = params.sub(self.place(layer, dir).r, self.rows() * self.hidden);
            let size = [self.hidden, self.hidden, self.cell.gates()];
            // SAFETY: the weights of this direction; its part of the panels.
            unsafe {
                step::Matrix::<T>::fill(product::Shared(r.ptr()), form, size, self.panel(to, layer, dir))
            };
        }
    }

    /// Number of values that going forward keeps for the way back: of every layer and direction what its cells want, and the outputs of
    /// all layers but the last.
    pub fn kept(&self) -> usize {
        self.layers * self.dirs * self.kept_by_cells()
            + self.layers.saturating_sub(1) * self.places() * self.dirs * self.hidden
    }

    fn kept_by_cells(&self) -> usize {
        self.places() * self.hidden * self.cell.kept()
    }

    /// Where the gates of one direction of a layer are kept.
    fn gates_at(&self, layer: usize, dir: usize) -> usize {
        (layer * self.dirs + dir) * self.kept_by_cells()
    }

    /// Where the output of a layer that is not the last is kept.
    fn output_at(&self, layer: usize) -> usize {
        self.layers * self.dirs * self.kept_by_cells() + layer * self.places() * self.dirs * self.hidden
    }

    /// Whether step `t` of sequence `n` counts.
    #[inline(always)]
    pub fn counts(&self, t: usize, n: usize) -> bool {
        self.lengths.is_none_or(|l| t < l[n])
    }

    /// The step at which sequence `n` is entered in a direction.
    #[inline(always)]
    fn entry(&self, n: usize, dir: usize) -> usize {
        if dir == 0 { 0 } else { self.lengths.map_or(self.steps, |l| l[n]).max(1) - 1 }
    }

    /// The steps of a direction in its order, or backwards.
    pub fn order(&self, dir: usize, back: bool) -> impl Iterator<Item = usize> + use<> {
        let (n, down) = (self.steps, (dir == 1) != back);
        (0..n).map(move |i| if down { n - 1 - i } else { i })
    }

    /// Runs `f` on directions and ranges of sequences, as many at the same time as is worth while.
    fn sweep(&self, f: impl Fn(usize, Range<usize>) + Sync) {
        // Fewer sequences at a time would not pay for reading the matrix.
        const LEAST: usize = 8;
        let pieces = (par::num_threads() / self.dirs).clamp(1, (self.batch / LEAST).max(1));
        par::chunks(self.dirs * pieces, 1, |_, r| {
            for i in r {
                let (dir, piece) = (i / pieces, i % pieces);
                f(dir, piece * self.batch / pieces..(piece + 1) * self.batch / pieces);
            }
        });
    }

    /// Writes the factors with which dropout, where there is one, multiplies the output of a layer, as many as that has elements.
    pub fn mask(&self, layer: usize, out: Span) {
        let Some(d) = self.dropout else { return };
        let counter = d.stream.counter + layer as u64 * super::random::counters(out.len());
        let keep = 1.0 - d.p;
        let scale = if keep > 0.0 { 1.0 / keep } else { 0.0 };
        super::random::bernoulli(out, Stream { counter, ..d.stream }, keep, scale);
    }

    /// Multiplies the elements of a layer's output by what [`Net::mask`] writes.
    fn drop_out<T: Num>(&self, layer: usize, x: *const T, y: *mut T) -> Result<()> {
        if self.dropout.is_none() {
            return Ok(());
        }
        let n = self.places() * self.dirs * self.hidden;
        let own = if x == y.cast_const() { Some(Scratch::<T>::new(n)?) } else { None };
        let m = own.as_ref().map_or(product::Shared(y), Scratch::ptr);
        // SAFETY: memory for n elements.
        self.mask(layer, unsafe { Span::new(m.0.cast(), n, T::DTYPE) });
        let (x, y) = (product::Shared(x.cast_mut()), product::Shared(y));
        par::chunks(n, 32 * 1024, |_, r| {
            for i in r {
                // SAFETY: element i of arrays of n elements, which only this chunk writes.
                unsafe { *y.at(i as isize) = *x.at(i as isize) * *m.at(i as isize) }
            }
        });
        Ok(())
    }
}

/// Memory that a call needs for itself, from the pool.
struct Scratch<T> {
    storage: Arc<Storage>,
    len: usize,
    of: std::marker::PhantomData<T>,
}

impl<T: Num> Scratch<T> {
    fn new(len: usize) -> Result<Scratch<T>> {
        Ok(Scratch { storage: Storage::new(len * size_of::<T>())?, len, of: std::marker::PhantomData })
    }

    fn zeros(len: usize) -> Result<Scratch<T>> {
        let s = Scratch::<T>::new(len)?;
        // SAFETY: new memory of that many elements; all-zero bytes are 0.
        unsafe { s.ptr().at(0).write_bytes(0, len) };
        Ok(s)
    }

    fn ptr(&self) -> product::Shared<T> {
        product::Shared(self.storage.ptr().cast())
    }

    fn span(&self) -> Span {
        // SAFETY: the storage holds so many elements and lives as long as `self`.
        unsafe { Span::new(self.storage.ptr(), self.len, T::DTYPE) }
    }
}

/// An element type that networks are computed in.
#[allow(private_bounds)]
pub trait Num: Elem + Cells {}
impl Num for f32 {}
impl Num for f64 {}

/// What cells compute with.
trait Cells: product::Real + Real {
    fn sigmoid<S: Simd>(s: S, x: Self::V<S>) -> Self::V<S>;
    fn tanh<S: Simd>(s: S, x: Self::V<S>) -> Self::V<S>;
    /// x where `of` is above 0, else 0.
    fn where_positive<S: Simd>(s: S, of: Self::V<S>, x: Self::V<S>) -> Self::V<S>;
    /// x where `of` lies between the bounds, else 0.
    fn where_inside<S: Simd>(s: S, of: Self::V<S>, bounds: [Self; 2], x: Self::V<S>) -> Self::V<S>;
    /// x moved between the bounds; NaN stays or becomes the lower one.
    fn clip<S: Simd>(s: S, x: Self::V<S>, bounds: [Self; 2], nan: bool) -> Self::V<S>;
}

impl Cells for f32 {
    #[inline(always)]
    fn sigmoid<S: Simd>(s: S, x: S::F32) -> S::F32 {
        math::sigmoid(s, x)
    }
    #[inline(always)]
    fn tanh<S: Simd>(s: S, x: S::F32) -> S::F32 {
        math::tanh(s, x)
    }
    #[inline(always)]
    fn where_positive<S: Simd>(s: S, of: S::F32, x: S::F32) -> S::F32 {
        s.select(s.lt(s.splat(0.0), of), x, s.splat(0.0))
    }
    #[inline(always)]
    fn where_inside<S: Simd>(s: S, of: S::F32, [low, high]: [f32; 2], x: S::F32) -> S::F32 {
        s.select(s.le(s.splat(low), of) & s.le(of, s.splat(high)), x, s.splat(0.0))
    }
    #[inline(always)]
    fn clip<S: Simd>(s: S, x: S::F32, [low, high]: [f32; 2], nan: bool) -> S::F32 {
        // Both give the second operand where either is NaN.
        let (low, high) = (s.splat(low), s.splat(high));
        s.min(high, if nan { s.max(x, low) } else { s.max(low, x) })
    }
}

impl Cells for f64 {
    #[inline(always)]
    fn sigmoid<S: Simd>(s: S, x: S::F64) -> S::F64 {
        let one = s.splat64(1.0);
        one / (one + s.each64(-x, f64::exp))
    }
    #[inline(always)]
    fn tanh<S: Simd>(s: S, x: S::F64) -> S::F64 {
        s.each64(x, f64::tanh)
    }
    #[inline(always)]
    fn where_positive<S: Simd>(s: S, of: S::F64, x: S::F64) -> S::F64 {
        s.select64(s.lt64(s.splat64(0.0), of), x, s.splat64(0.0))
    }
    #[inline(always)]
    fn where_inside<S: Simd>(s: S, of: S::F64, [low, high]: [f64; 2], x: S::F64) -> S::F64 {
        s.select64(s.le64(s.splat64(low), of) & s.le64(of, s.splat64(high)), x, s.splat64(0.0))
    }
    #[inline(always)]
    fn clip<S: Simd>(s: S, x: S::F64, [low, high]: [f64; 2], nan: bool) -> S::F64 {
        let (low, high) = (s.splat64(low), s.splat64(high));
        s.min64(high, if nan { s.max64(x, low) } else { s.max64(low, x) })
    }
}
