//! Pooling over windows of one to three spatial axes, and the passes that go back.
//!
//! A window is a box, so it is taken apart: first the rows of the box are combined into one row (whole vectors, whatever the kernel),
//! then neighbours of that row, for a vector of windows at a time (see `phases`). Where channels stand last they are the vectors, and a
//! window is walked place by place. Going back, a row of elements gathers from the rows of windows that hold it, and is written once.
//! Half floats are computed in float32, in copies of the arrays.

mod back;
mod holders;
mod pairs;
mod phases;
mod planes;
mod route;

use super::conv::Axis;
use super::copy::cast;
use super::real::Real;
use crate::dtype::DType;
use crate::error::Result;
use crate::storage::{Span, Storage};
use std::ops::Range;

/// What is taken of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The largest element; the lowest finite number where there is none.
    Max,
    /// The sum.
    Sum,
    /// The sum over the number of elements, counting those of the padding or not; 0 where there is none.
    Average {
        /// Whether the padding counts.
        padding: bool,
    },
    /// `(Σ x^p)^(1/p)`.
    Power(i32),
}

/// Windows over a batch of images.
#[derive(Clone, Copy, Debug)]
pub struct Pool {
    /// Images, times channels where these do not stand last.
    pub planes: usize,
    /// Channels where they stand last, else 1.
    pub inner: usize,
    /// Depth, height and width; dilation is not used.
    pub axes: [Axis; 3],
}

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// out = the pooled data `a`.
    Pool(Kind),
    /// out = data, each element the sum of its windows' values `a`, each over the window's count for averages.
    Spread(Kind),
    /// out = data, each element the sum of the values `b` of those windows of `a` whose (first) largest element it is.
    Route,
    /// out = for each window of `a` the element of `b` where `a` has the window's (first) largest element.
    Pick,
}

impl Pool {
    fn input(&self) -> usize {
        self.axes.iter().map(|a| a.input).product::<usize>() * self.inner
    }

    fn output(&self) -> usize {
        self.axes.iter().map(|a| a.output).product::<usize>() * self.inner
    }

    fn run<T: Real>(&self, pass: Pass, a: Span, b: Span, out: Span) {
        if pairs::fits(self, pass) {
            return pairs::run::<T>(self, pass, a, b, out);
        }
        match pass {
            Pass::Pool(kind) => planes::pool::<T>(self, kind, a, out),
            Pass::Spread(kind) => back::spread::<T>(self, kind, a, out),
            Pass::Route => back::route::<T>(self, a, b, out),
            Pass::Pick => back::pick::<T>(self, a, b, out),
        }
    }

    /// Runs a pass; `b` is read by [`Pass::Route`] and [`Pass::Pick`] only, the others get `a` again. All have one dtype, a floating-point
    /// one. Errors when there is no memory to widen half floats into, or when a plane has too many places to be told apart by marks.
    pub fn compute(&self, pass: Pass, a: Span, b: Span, out: Span) -> Result<()> {
        let (data, result) = (self.planes * self.input(), self.planes * self.output());
        let lens = match pass {
            Pass::Pool(_) => [data, data, result],
            Pass::Spread(_) => [result, result, data],
            Pass::Route => [data, result, data],
            Pass::Pick => [data, data, result],
        };
        assert!([a.len(), b.len(), out.len()] == lens && a.dtype() == b.dtype() && a.dtype() == out.dtype());
        if out.is_empty() {
            return Ok(());
        }
        let places = self.input() / self.inner;
        if matches!(pass, Pass::Route | Pass::Pick) && places >= u32::MAX as usize {
            bail!(
                Shape,
                "largest elements are told apart among fewer than 2^32 - 1 in a plane, got {places}"
            );
        }
        match out.dtype() {
            DType::F64 => self.run::<f64>(pass, a, b, out),
            DType::F32 => self.run::<f32>(pass, a, b, out),
            _ => {
                let blocks = [a, b, out].map(|x| Storage::new(x.len() * size_of::<f32>()));
                let [wa, wb, wo] = blocks;
                let (wa, wb, wo) = (wa?, wb?, wo?);
                // SAFETY: the blocks have room for as many float32, and live until the end.
                let wide = |s: &Storage, x: Span| unsafe { Span::new(s.ptr(), x.len(), DType::F32) };
                cast(a, wide(&wa, a));
                cast(b, wide(&wb, b));
                self.run::<f32>(pass, wide(&wa, a), wide(&wb, b), wide(&wo, out));
                cast(wide(&wo, out), out);
            }
        }
        Ok(())
    }
}

/// The elements of the data that window `o` covers.
#[inline]
fn window(a: &Axis, o: usize) -> Range<usize> {
    let start = o * a.stride;
    let end = (start + a.kernel).saturating_sub(a.pad).min(a.input);
    start.saturating_sub(a.pad).min(end)..end
}

/// How many elements of window `o` count in an average.
fn counted(a: &Axis, o: usize, padding: bool) -> usize {
    if padding {
        let start = o * a.stride;
        (start + a.kernel).min(a.input + 2 * a.pad).saturating_sub(start)
    } else {
        window(a, o).len()
    }
}

/// What each window's sum is divided by, along one axis.
fn divisors(a: &Axis, kind: Kind) -> Vec<f64> {
    (0..a.output)
        .map(|o| match kind {
            Kind::Average { padding } => counted(a, o, padding) as f64,
            _ => 1.0,
        })
        .collect()
}

/// Multiplications or comparisons per parallel chunk.
const WORK: usize = 64 * 1024;

#[cfg(test)]
mod tests;
