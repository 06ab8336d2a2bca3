//! Calls made ahead of their use, on threads of their own.

use crate::guard::{guard, guard_or};
use crate::handle::{arrays, give, out};
use crate::op::values;
use crate::reflect::entry;
use crate::types::{KsAhead, KsArray, KsOp, KsValue};
use keshi::ahead::Ahead;
use keshi::{Result, bail};
use std::ffi::c_int;

/// Begins a call of an operator of one output on a thread of its own: `index[i]` is the index of the parameter that gets `values[i]`.
/// Nobody may write the inputs until it has ended; their handles may be freed at once. It is not recorded. `*out` is the caller's, to be
/// freed with ks_ahead_free. Fails for an operator that draws random numbers, changes its inputs or has several outputs; what else is
/// wrong is found when the call runs, and told by ks_ahead_wait.
/// # Safety
/// `inputs` points to `num_inputs` handles, `index` and `values` to `num_params` of each; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_ahead_new(
    op: *const KsOp,
    num_inputs: usize,
    inputs: *const *mut KsArray,
    num_params: usize,
    index: *const u32,
    values: *const KsValue,
    out: *mut *mut KsAhead,
) -> c_int {
    guard("ks_ahead_new", || {
        let to = self::out(out, "out")?;
        let entry = entry(op)?;
        let start = || -> Result<Ahead> {
            // SAFETY: the caller's promise.
            let given = unsafe { self::values(num_params, index, values) }?;
            let params = entry.parse(&mut { given }, num_inputs)?;
            if (entry.def.visible)(&params) != 1 {
                bail!(Argument, "this operator has {} outputs, want 1", (entry.def.visible)(&params));
            }
            // SAFETY: the caller's promise.
            let inputs = unsafe { arrays(inputs, num_inputs, "inputs") }?;
            Ahead::start(entry.def, inputs.iter().map(|a| (**a).clone()).collect(), params)
        };
        let call = Box::new(Some(start().map_err(|e| e.within(entry.def.name))?));
        // SAFETY: the caller's promise.
        unsafe { to.set(Box::into_raw(call).cast()) };
        Ok(())
    })
}

/// Waits until the call has ended and puts its output into `*out`, which is the caller's, to be freed with ks_array_free. The call is
/// used up, whether this fails or not, and still to be freed. In a process that was forked meanwhile it is made here. Fails with the
/// failure of the call, or when it was waited for before.
/// # Safety
/// `a` is a call made ahead; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_ahead_wait(a: *mut KsAhead, out: *mut *mut KsArray) -> c_int {
    guard("ks_ahead_wait", || {
        let to = self::out(out, "out")?;
        self::out(a, "a")?;
        // SAFETY: the caller's promise; it came from `ks_ahead_new`.
        let call = unsafe { &mut *a.cast::<Option<Ahead>>() };
        let Some(call) = call.take() else { bail!(Argument, "the call was waited for before") };
        let mut outputs = call.wait()?;
        if let Some(output) = outputs.pop() {
            // SAFETY: the caller's promise.
            unsafe { to.set(give(output)) };
        }
        Ok(())
    })
}

/// Frees a call made ahead, after waiting for it. NULL is fine; freeing one twice is the caller's fault.
/// # Safety
/// `a` is NULL or a call made ahead, not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_ahead_free(a: *mut KsAhead) {
    guard_or("ks_ahead_free", (), || {
        if !a.is_null() {
            // SAFETY: the caller's promise; it came from `ks_ahead_new`.
            drop(unsafe { Box::from_raw(a.cast::<Option<Ahead>>()) });
        }
    })
}
