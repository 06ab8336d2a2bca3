//! What watches calls: the profiler and the search for NaN. Both are switched for all threads.

use crate::guard::guard;
use crate::handle::out;
use crate::types::KsBuffer;
use keshi::watch::{Watch, profile, set};
use keshi::{Result, bail, err};
use std::ffi::{CStr, c_char, c_int};

/// # Safety
/// `previous` is NULL or writable.
unsafe fn switch(watch: Watch, on: c_int, previous: *mut c_int) -> Result<()> {
    let before = set(watch, on != 0);
    if let Ok(to) = out(previous, "") {
        // SAFETY: the caller's promise.
        unsafe { to.set(before.into()) };
    }
    Ok(())
}

/// Switches the search for NaN: while it is on, the call of an operator whose result holds one fails, and the message names
/// the operator, the place, and in a backward pass whose gradient it was. The result has been written then. What it was
/// goes into `*previous` (0 or 1), which may be NULL. Always succeeds.
/// # Safety
/// `previous` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_set_nan_check(on: c_int, previous: *mut c_int) -> c_int {
    // SAFETY: the caller's promise.
    guard("ks_set_nan_check", || unsafe { switch(Watch::Nan, on, previous) })
}

/// Switches the profiler: while it is on, every call of an operator is noted. What it was goes into `*previous` (0 or 1),
/// which may be NULL. Always succeeds.
/// # Safety
/// `previous` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_set_profiling(on: c_int, previous: *mut c_int) -> c_int {
    // SAFETY: the caller's promise.
    guard("ks_set_profiling", || unsafe { switch(Watch::Profile, on, previous) })
}

/// Nanoseconds on the profiler's clock, for ks_profile_span.
#[unsafe(no_mangle)]
pub extern "C" fn ks_profile_clock() -> u64 {
    crate::guard::guard_or("ks_profile_clock", 0, profile::now)
}

/// Notes a span of the caller's own, from `start` (by ks_profile_clock) until now. Fails when `name` is NULL or not UTF-8.
/// # Safety
/// `name` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_profile_span(name: *const c_char, start: u64) -> c_int {
    guard("ks_profile_span", || {
        if name.is_null() {
            bail!(Argument, "name is not usable, got NULL, want a string");
        }
        // SAFETY: the caller's promise.
        let name = unsafe { CStr::from_ptr(name) };
        profile::span(name.to_str().map_err(|e| err!(Argument, "name is not UTF-8: {e}"))?, start);
        Ok(())
    })
}

/// What was noted, as a Chrome trace (JSON), into `*out`, owned by the caller, see ks_buffer_free. With `reset` it is
/// forgotten then.
/// # Safety
/// `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_profile_trace(reset: c_int, out: *mut *mut KsBuffer) -> c_int {
    guard("ks_profile_trace", || {
        let to = self::out(out, "out")?;
        let bytes = profile::trace().into_bytes();
        if reset != 0 {
            profile::reset();
        }
        // SAFETY: the caller's promise.
        unsafe { to.set(Box::into_raw(Box::new(bytes)).cast()) };
        Ok(())
    })
}
