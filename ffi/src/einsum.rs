//! Einstein's summation: the one computation that is not an operator of the table, since it is made of them.

use crate::guard::guard;
use crate::handle::{arrays, give, out, refs};
use crate::types::KsArray;
use keshi::{bail, einsum, err};
use std::ffi::{CStr, c_char, c_int};

/// Sum of products of `n` arrays as `equation` says, such as `ij,jk->ik`, NumPy's rules: letters and `...`, and without
/// `->` the letters that occur once. It is recorded as the operators that it is made of. `*out` is the caller's, to be
/// freed with ks_array_free. Fails when equation, shapes and dtypes do not go together.
/// # Safety
/// `equation` is NULL or a string; `inputs` points to `n` handles; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_einsum(
    equation: *const c_char,
    n: usize,
    inputs: *const *mut KsArray,
    out: *mut *mut KsArray,
) -> c_int {
    guard("einsum", || {
        let to = self::out(out, "out")?;
        if equation.is_null() {
            bail!(Argument, "equation is not usable, got NULL, want a string");
        }
        // SAFETY: the caller's promise.
        let equation = unsafe { CStr::from_ptr(equation) };
        let equation = equation.to_str().map_err(|e| err!(Argument, "equation is not UTF-8: {e}"))?;
        // SAFETY: the caller's promise.
        let inputs = unsafe { arrays(inputs, n, "inputs") }?;
        // SAFETY: the caller's promise.
        unsafe { to.set(give(einsum::einsum(equation, &refs(&inputs))?)) };
        Ok(())
    })
}
