//! float64 functions that the standard library lacks; the C library that it links has them. They are also what the vector
//! functions are tested against.

mod c {
    unsafe extern "C" {
        pub(super) safe fn erf(x: f64) -> f64;
        pub(super) safe fn erfc(x: f64) -> f64;
        pub(super) safe fn tgamma(x: f64) -> f64;
        pub(super) unsafe fn lgamma_r(x: f64, sign: *mut std::ffi::c_int) -> f64;
    }
}

/// Error function.
#[inline]
pub fn erf(x: f64) -> f64 {
    c::erf(x)
}

/// 1 - erf(x), without cancellation.
#[inline]
pub fn erfc(x: f64) -> f64 {
    c::erfc(x)
}

/// Gamma function.
#[inline]
pub fn gamma(x: f64) -> f64 {
    c::tgamma(x)
}

/// log |gamma(x)|.
#[inline]
pub fn lgamma(x: f64) -> f64 {
    let mut sign = 0;
    // SAFETY: `sign` outlives the call; the `_r` form has no global state.
    unsafe { c::lgamma_r(x, &mut sign) }
}

/// 1 / (1 + exp(-x)), without overflow on the way.
#[inline]
pub fn sigmoid(x: f64) -> f64 {
    let z = (-x.abs()).exp();
    (if x < 0.0 { z } else { 1.0 }) / (1.0 + z)
}

/// log(1 + exp(x)), without overflow on the way.
#[inline]
pub fn softrelu(x: f64) -> f64 {
    let z = (-x.abs()).exp().ln_1p();
    if x > 0.0 { x + z } else { z }
}
