//! Convolutions of one to three spatial axes, and the two products that are their gradients.
//!
//! With data x, weights w and results y the three passes of one [`Conv`] are
//!
//! ```text
//! Forward   y[n,f,o] = Σ_{c,k} w[f,c,k] x[n,c,i]
//! Data      x[n,c,i] = Σ_{f,k} w[f,c,k] y[n,f,o]          where i = o·stride - pad + k·dilate
//! Weight    w[f,c,k] = Σ_{n,o} y[n,f,o] x[n,c,i]
//! ```
//!
//! Each is the derivative of the others, `Data` is the deconvolution. All run on one register-blocked product (`tile`) whose operands
//! are found through tables of offsets, so that no matrix of patches is ever written: a block of the data is copied once into a frame
//! with its padding and with one plane per phase of the stride (`frame`), and every tap of the kernel then reads vectors from it at a
//! fixed distance. Where there is nothing to pad and no stride, the data itself is the frame.
//!
//! Kernels of 3 by 3 taps without stride do with less than half of the products (`winograd`). Small images of large batches are computed sixteen at a time, one in each lane (`abreast`).
//! Where every channel sees one channel, whole planes are computed with tables that all of them share (`planes`).
//!
//! Scratch: a frame of at most half a mebibyte for each thread (more only where 64 columns of one channel need more), as much for what a
//! deconvolution with a stride weaves, copies of the weights, and
//! for `Weight` partial sums of at most sixteen times the weights. Half floats are computed in float32, in copies of the arrays;
//! images abreast are copies too, of at most 4 mebibytes or 64 images.

pub mod column;

mod abreast;
mod dots;
mod frame;
mod gather;
mod panel;
mod piece;
mod planes;
mod ready;
mod scratch;
mod tile;
mod turned;
mod weight;
mod winograd;

use super::copy::cast;
use super::lane::Lane;
use super::product;
use super::real::Real;
use crate::dtype::DType;
use crate::error::Result;
use crate::storage::Span;
use gather::{Gather, View, Weights};
pub use ready::Epilogue;
use scratch::Scratch;

/// Windows along one spatial axis: window `o` covers the elements `o·stride - pad + k·dilate` of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Size of the data.
    pub input: usize,
    /// Number of windows.
    pub output: usize,
    /// Elements of a window.
    pub kernel: usize,
    /// Distance of windows.
    pub stride: usize,
    /// Distance of the elements of a window.
    pub dilate: usize,
    /// Zeros before the data; behind it there are as many as windows reach.
    pub pad: usize,
}

impl Axis {
    /// The axis that is not there.
    pub const NONE: Axis = Axis { input: 1, output: 1, kernel: 1, stride: 1, dilate: 1, pad: 0 };
}

/// A convolution.
#[derive(Clone, Copy, Debug)]
pub struct Conv {
    /// Number of images.
    pub batch: usize,
    /// Groups of channels that do not mix.
    pub groups: usize,
    /// Channels of the data in a group.
    pub channels: usize,
    /// Channels of the result in a group.
    pub filters: usize,
    /// Depth, height and width.
    pub axes: [Axis; 3],
    /// Whether channels stand behind the spatial axes, in the data, the result and the weights.
    pub last: bool,
}

/// Which of the three arrays is computed from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// The result, from data and weights: the convolution.
    Forward,
    /// The data, from result and weights: the deconvolution.
    Data,
    /// The weights, from data and result.
    Weight,
}

/// Where the element of an image, a channel and a place lies.
#[derive(Clone, Copy, Debug)]
struct Place {
    image: usize,
    channel: usize,
    axes: [usize; 3],
}

impl Conv {
    fn kernel(&self) -> usize {
        self.axes.iter().map(|a| a.kernel).product()
    }

    fn weights(&self) -> usize {
        self.groups * self.filters * self.channels * self.kernel()
    }

    fn place(&self, channels: usize, dims: [usize; 3]) -> Place {
        let all = channels * self.groups;
        let (pixel, plane) = if self.last { (all, 1) } else { (1, dims.iter().product()) };
        let axes = [dims[1] * dims[2] * pixel, dims[2] * pixel, pixel];
        Place { image: all * dims.iter().product::<usize>(), channel: plane, axes }
    }

    fn data(&self) -> Place {
        self.place(self.channels, self.axes.map(|a| a.input))
    }

    fn result(&self) -> Place {
        self.place(self.filters, self.axes.map(|a| a.output))
    }

    /// Distances in the weights between filters, channels and taps.
    fn strides(&self) -> [usize; 3] {
        let (c, k) = (self.channels, self.kernel());
        if self.last { [c * k, 1, c] } else { [c * k, k, 1] }
    }

    fn forward(&self) -> Gather {
        let [row, depth, tap] = self.strides();
        let sweeps = self.axes.map(frame::Sweep::forward);
        Gather {
            batch: self.batch,
            groups: self.groups,
            rows: self.filters,
            depth: self.channels,
            from: self.data(),
            bounds: self.axes.map(|a| a.input),
            to: self.result(),
            sweeps: sweeps.clone(),
            views: vec![View {
                phase: [0; 3],
                origin: 0,
                grid: self.axes.map(|a| a.output),
                sweeps,
                taps: (0..self.kernel()).map(|k| k * tap).collect(),
            }],
            weights: Weights { group: self.filters * row, row, depth },
        }
    }

    /// A view for each phase of the stride: the elements of the data that see the same taps.
    fn back(&self) -> Gather {
        let [depth, row, tap] = self.strides();
        let to = self.data();
        let [s0, s1, s2] = self.axes.map(|a| a.stride);
        let views = (0..s0 * s1 * s2).filter_map(|phase| {
            let phase = [phase / (s1 * s2), phase / s2 % s1, phase % s2];
            let mut taps = vec![0];
            let mut sweeps = [const { frame::Sweep::empty() }; 3];
            let mut grid = [0; 3];
            for i in 0..3 {
                let a = self.axes[i];
                grid[i] = a.input.checked_sub(phase[i]).filter(|&n| n > 0)?.div_ceil(a.stride);
                let (all, sweep) = frame::Sweep::back(a, phase[i]);
                sweeps[i] = sweep;
                taps = taps.iter().flat_map(|t| all.iter().map(move |k| t * a.kernel + k)).collect();
            }
            let origin = (0..3).map(|i| phase[i] * to.axes[i]).sum();
            taps.iter_mut().for_each(|k| *k *= tap);
            Some(View { phase, origin, grid, sweeps, taps })
        });
        let views: Vec<View> = views.collect();
        let sweeps = [0, 1, 2].map(|i| frame::Sweep::of_all(views.iter().map(|v| &v.sweeps[i])));
        let spread = [0, 1, 2].map(|i| to.axes[i] * self.axes[i].stride);
        Gather {
            batch: self.batch,
            groups: self.groups,
            rows: self.channels,
            depth: self.filters,
            from: self.result(),
            bounds: self.axes.map(|a| a.output),
            to: Place { axes: spread, ..to },
            sweeps,
            views,
            weights: Weights { group: self.filters * depth, row, depth },
        }
    }

    fn run<T: Real + product::Real>(
        &self,
        pass: Pass,
        a: Span,
        b: Span,
        bias: Option<Span>,
        out: Span,
    ) -> Result<()> {
        if abreast::pays(self, pass) {
            return abreast::run::<T>(self, pass, a, b, bias, out);
        }
        self.direct::<T>(pass, a, b, bias, out)
    }

    /// The arrays as they lie.
    fn direct<T: Real + product::Real>(
        &self,
        pass: Pass,
        a: Span,
        b: Span,
        bias: Option<Span>,
        out: Span,
    ) -> Result<()> {
        let (a, b, out, bias) = (a.ptr::<T>(), b.ptr::<T>(), out.ptr::<T>(), bias.map(|b| b.ptr::<T>()));
        if winograd::pays(self) {
            // SAFETY: `compute` checked that the arrays have the sizes that the convolution says.
            return unsafe {
                match pass {
                    Pass::Weight => winograd::weights(self, a, b, out),
                    _ => winograd::run(self, pass, a, b, bias.map(|b| b.cast_const()), out),
                }
            };
        }
        // SAFETY: `compute` checked that the arrays have the sizes that the convolution says.
        unsafe {
            match pass {
                Pass::Forward => self.forward().run(a, b, bias, out),
                Pass::Data => self.back().run(a, b, bias, out),
                Pass::Weight => {
                    let forward = self.forward();
                    if forward.is_planar_back::<T>() {
                        return forward.plane_weights(gather::Operands { from: a, bias: None, to: out }, b);
                    }
                    weight::run(self, a, b, out)
                }
            }
        }
    }

    /// Computes one of the three arrays: `a` is the data (the result for [`Pass::Data`]), `b` the weights (the result for
    /// [`Pass::Weight`]). `bias` is added to each channel of what comes out; [`Pass::Weight`] has none. All have one dtype, a
    /// floating-point one. Results do not depend on the number of threads. On the levels of vectors they agree but for a rounding per term on
    /// the portable one, and the order of summation in the weights of groups of few filters. Errors when there is no memory for scratch.
    pub fn compute(&self, pass: Pass, a: Span, b: Span, bias: Option<Span>, out: Span) -> Result<()> {
        let all = |n: usize, dims: [usize; 3]| self.batch * self.groups * n * dims.iter().product::<usize>();
        let data = all(self.channels, self.axes.map(|a| a.input));
        let result = all(self.filters, self.axes.map(|a| a.output));
        let (lens, channels) = match pass {
            Pass::Forward => ([data, self.weights(), result], self.filters),
            Pass::Data => ([result, self.weights(), data], self.channels),
            Pass::Weight => ([data, result, self.weights()], 0),
        };
        assert!([a.len(), b.len(), out.len()] == lens && a.dtype() == b.dtype() && a.dtype() == out.dtype());
        assert!(bias.is_none_or(|b| b.len() == self.groups * channels && b.dtype() == out.dtype()));
        if out.is_empty() {
            return Ok(());
        }
        match out.dtype() {
            DType::F64 => self.run::<f64>(pass, a, b, bias, out),
            DType::F32 => self.run::<f32>(pass, a, b, bias, out),
            _ => {
                let wide = |x: Span| -> Result<Scratch> {
                    let s = Scratch::new(x.len() * size_of::<f32>())?;
                    cast(x, s.span(x.len()));
                    Ok(s)
                };
                let (wa, wb, wbias) = (wide(a)?, wide(b)?, bias.map(wide).transpose()?);
                let to = Scratch::new(out.len() * size_of::<f32>())?;
                let bias = bias.and_then(|b| wbias.as_ref().map(|w| w.span(b.len())));
                self.run::<f32>(pass, wa.span(a.len()), wb.span(b.len()), bias, to.span(out.len()))?;
                cast(to.span(out.len()), out);
                Ok(())
            }
        }
    }
}

/// Rows that the product takes at a time on this level of vectors: as many as its registers hold.
fn rows_at_once() -> usize {
    if crate::simd::level() == crate::simd::Level::Avx512 { 8 } else { 4 }
}

/// Images side by side: lanes of the widest vector.
const ABREAST: usize = 16;

/// Vectors side by side in a tile of many rows.
const SIDE: usize = 3;

/// Lanes of the widest level.
fn widest<T: Lane>() -> usize {
    crate::simd::MAX_LANES * 4 / size_of::<T>()
}

#[cfg(test)]
mod tests;
