//! Kernels on feature maps (N, C, H, W): values at places between pixels, means over windows, and the sums that are their gradients.
//!
//! All are weighted sums of pixels of a plane, so all are built on [`taps::Taps`]. Sums are float64 whatever the dtype.

pub mod correlation;
pub mod roi;
pub mod sample;
pub mod separable;
pub mod taps;

/// Planes that one task works on when their taps are costly to find.
pub(crate) const PLANES: usize = 8;
