//! Elementary functions on float32 lanes. Each states its greatest error in ulp, and is right for NaN, infinities, signed
//! zeros and subnormals; the tests hold it to that on every level.
//!
//! Polynomials are weighted minimax fits of our own: Lawson's reweighted least squares on 2000 Chebyshev nodes against
//! 40-digit values, the weight making it the relative error of the final function; coefficients are rounded to float32 one
//! by one from the lowest, the rest fitted again after each. Beside each set stand its interval and the error after rounding.
//!
//! tanh and erf have two forms: arithmetic alone, and a table of polynomials where the level looks up as fast as it adds. Both
//! keep the stated bound.
//!
//! All functions are `#[inline(always)]`: they become part of the trampoline that they are called from.

mod erf;
mod exp;
mod log;
mod piecewise;
mod pow;
pub mod scalar;
mod tables;
mod trig;

pub use erf::erf;
pub use exp::{exp, expm1, sigmoid, softrelu, tanh};
pub use log::{log, log1p, log2, log10};
pub use pow::pow;
pub use trig::{cos, sin};

use super::Simd;

/// 1 / sqrt(x), at most 1 ulp.
#[inline(always)]
pub fn rsqrt<S: Simd>(s: S, x: S::F32) -> S::F32 {
    s.splat(1.0) / s.sqrt(x)
}

/// Cube root, one scalar call per lane.
#[inline(always)]
pub fn cbrt<S: Simd>(s: S, x: S::F32) -> S::F32 {
    s.each(x, f32::cbrt)
}

#[cfg(test)]
mod tests;
