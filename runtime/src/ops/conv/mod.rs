//! Convolution, deconvolution, and the matrices of patches behind them.
//!
//! The gradients of a convolution are two more products of the same kind, and so on: [`windows`] holds the three as internal operators, each
//! the derivative of the others, and the rules of the layers are written with them.

pub mod column;
pub mod convolution;
pub mod deconvolution;
pub mod ready;
pub mod windows;

use super::params::{Ints, ParamType};
use crate::error::Result;
use smallvec::smallvec;

choices! {
    /// The order of batch, channels and spatial axes.
    pub enum Layout { Ncw = "NCW", Nchw = "NCHW", Ncdhw = "NCDHW", Nhwc = "NHWC", Ndhwc = "NDHWC" }
}

choices! {
    /// How another library chooses an algorithm; without effect here.
    pub enum Tune { Off = "off", LimitedWorkspace = "limited_workspace", Fastest = "fastest" }
}

/// Whether channels stand last in a layout of `n` spatial axes.
pub fn channels_last<L: ParamType>(layout: &Option<L>, n: usize) -> Result<bool> {
    let Some(text) = layout.as_ref().map(ParamType::text) else { return Ok(false) };
    if text.len() != n + 2 {
        bail!(Param, "layout does not fit the kernel, got {text} for {n} axes, want {} letters", n + 2);
    }
    Ok(text.ends_with('C'))
}

/// The parameters of windows, one value for each axis.
#[derive(Clone, Debug)]
pub struct Steps {
    /// Elements of a window.
    pub kernel: Ints,
    /// Distance of windows.
    pub stride: Ints,
    /// Distance of the elements of a window.
    pub dilate: Ints,
    /// Elements before and behind the data.
    pub pad: Ints,
}

impl Steps {
    /// Fills in what is left out, and checks the rest.
    pub fn new(kernel: &Ints, stride: &Ints, dilate: &Ints, pad: &Ints) -> Result<Steps> {
        let n = kernel.len();
        if !(1..=3).contains(&n) {
            bail!(Param, "kernel must have 1, 2 or 3 axes, got {}", kernel.text());
        }
        let full = |name: &str, given: &Ints, default: i64, least: i64| -> Result<Ints> {
            let v = if given.is_empty() { smallvec![default; n] } else { given.clone() };
            if v.len() != n {
                bail!(Param, "{name} must have as many axes as kernel, got {}, want {n}", v.text());
            }
            if v.iter().any(|&d| d < least || d > i64::from(i32::MAX)) {
                bail!(Param, "{name} must be at least {least}, got {}", v.text());
            }
            Ok(v)
        };
        Ok(Steps {
            kernel: full("kernel", kernel, 1, 1)?,
            stride: full("stride", stride, 1, 1)?,
            dilate: full("dilate", dilate, 1, 1)?,
            pad: full("pad", pad, 0, 0)?,
        })
    }

    /// Number of spatial axes.
    pub fn len(&self) -> usize {
        self.kernel.len()
    }

    /// Never: there is at least one axis.
    pub fn is_empty(&self) -> bool {
        self.kernel.is_empty()
    }

    /// Elements from the first to the last of a window, both included.
    pub fn extent(&self, i: usize) -> i64 {
        (self.kernel[i] - 1) * self.dilate[i] + 1
    }

    /// Number of windows over `size` elements. Errors when not one fits.
    pub fn windows(&self, i: usize, size: i64) -> Result<i64> {
        let room = size + 2 * self.pad[i];
        if room < self.extent(i) {
            bail!(
                Shape,
                "kernel exceeds the padded data on spatial axis {i}, got {} over {room} elements",
                self.extent(i)
            );
        }
        Ok((room - self.extent(i)) / self.stride[i] + 1)
    }
}

/// Positions of the axes of an image array, and of the weights, in a layout.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// Number of spatial axes.
    pub n: usize,
    /// Whether channels stand last.
    pub last: bool,
}

impl Order {
    /// The axis of channels: in data, results and weights.
    pub fn channel(self) -> usize {
        if self.last { self.n + 1 } else { 1 }
    }

    /// The spatial axis `i`.
    pub fn spatial(self, i: usize) -> usize {
        if self.last { i + 1 } else { i + 2 }
    }

    /// Sizes in the layout.
    pub fn join(self, first: i64, channels: i64, spatial: &[i64]) -> Vec<i64> {
        let mut v = vec![first; self.n + 2];
        v[self.channel()] = channels;
        spatial.iter().enumerate().for_each(|(i, &d)| v[self.spatial(i)] = d);
        v
    }

    /// All axes but that of channels, to sum a bias's gradient over.
    pub fn but_channels(self) -> Vec<i64> {
        (0..self.n as i64 + 2).filter(|&i| i != self.channel() as i64).collect()
    }
}
