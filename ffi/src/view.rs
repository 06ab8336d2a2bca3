//! Views: arrays over the memory of another. They share its version, and are recorded while recording.

use crate::guard::guard;
use crate::handle::{array, give, out, slice};
use crate::types::KsArray;
use keshi::{Result, bail};
use std::ffi::c_int;

fn index(i: i64, what: &str) -> Result<usize> {
    usize::try_from(i).or_else(|_| bail!(Shape, "{what} is out of range, got {i}, want 0 or more"))
}

/// Rows `begin` up to and not including `end` of the first axis, as a view.
/// Borrows `a`; `*out` is the caller's, to be freed with ks_array_free. Fails when the range is not inside the axis.
/// # Safety
/// `a` is a handle; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_array_slice(
    a: *mut KsArray,
    begin: i64,
    end: i64,
    out: *mut *mut KsArray,
) -> c_int {
    guard("slice", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        let a = unsafe { array(a, "a") }?;
        let view = a.rows(index(begin, "begin")?, index(end, "end")?)?;
        // SAFETY: the caller's promise.
        unsafe { to.set(give(view)) };
        Ok(())
    })
}

/// Row `index` as a view; the first axis is dropped unless it is the only one, then 1 is left of it.
/// Borrows `a`; `*out` is the caller's, to be freed with ks_array_free. Fails when there is no such row.
/// # Safety
/// `a` is a handle; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_array_at(a: *mut KsArray, index: i64, out: *mut *mut KsArray) -> c_int {
    guard("at", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        let row = unsafe { array(a, "a") }?.row(self::index(index, "index")?)?;
        // SAFETY: the caller's promise.
        unsafe { to.set(give(row)) };
        Ok(())
    })
}

/// The same elements in another shape, as a view. Codes: 0 copies an axis, -1 takes what is left, -2 copies all
/// remaining axes, -3 merges two axes, -4 splits one into the two numbers that follow; `reverse` matches from the right.
/// Borrows `a`; `*out` is the caller's, to be freed with ks_array_free.
/// Fails when the codes do not fit, or make more elements than there are, or, while recording, fewer.
/// # Safety
/// `a` is a handle; `codes` points to `n` numbers; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_array_reshape(
    a: *mut KsArray,
    n: usize,
    codes: *const i64,
    reverse: c_int,
    out: *mut *mut KsArray,
) -> c_int {
    guard("reshape", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        let (a, codes) = unsafe { (array(a, "a")?, slice(codes, n, "codes")?) };
        let view = a.reshaped(codes, reverse != 0)?;
        // SAFETY: the caller's promise.
        unsafe { to.set(give(view)) };
        Ok(())
    })
}

/// The same values and history in memory of its own. What is written into it leaves alone the values of `a` that a recorded graph
/// keeps. Borrows `a`; `*out` is the caller's, to be freed with ks_array_free. Fails when a pointer is NULL or there is no memory.
/// # Safety
/// `a` is a handle; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_array_renew(a: *mut KsArray, out: *mut *mut KsArray) -> c_int {
    guard("renew", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        unsafe { to.set(give(array(a, "a")?.renew()?)) };
        Ok(())
    })
}

/// The same memory without history. Borrows `a`; `*out` is the caller's, to be freed with ks_array_free.
/// Fails when a pointer is NULL.
/// # Safety
/// `a` is a handle; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_array_detach(a: *mut KsArray, out: *mut *mut KsArray) -> c_int {
    guard("detach", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        unsafe { to.set(give(array(a, "a")?.detach())) };
        Ok(())
    })
}
