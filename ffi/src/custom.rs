//! Functions with a gradient of their own, written in the language of the caller.

use crate::error::{last, remember};
use crate::guard::{guard, guard_or};
use crate::handle::{arrays, give, out, refs};
use crate::types::{KsArray, KsBackward};
use keshi::custom::{Function, record};
use keshi::{Array, Error, ErrorKind, Result, bail};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::sync::Arc;

/// Makes `text` this thread's last failure and returns -1: how a function of the caller's own that the library calls
/// reports one. `code` is a KsErrorCode; any other counts as KS_ERROR_ARGUMENT. NULL is an empty text.
/// # Safety
/// `text` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_fail(code: i32, text: *const c_char) -> c_int {
    guard_or("ks_fail", -1, || {
        let kind = kind(code).unwrap_or(ErrorKind::Argument);
        // SAFETY: the caller's promise.
        let text = (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy());
        remember(&Error::new(kind, text.unwrap_or_default()));
        -1
    })
}

const KINDS: [ErrorKind; 10] = [
    ErrorKind::Shape,
    ErrorKind::Dtype,
    ErrorKind::Param,
    ErrorKind::UnknownOp,
    ErrorKind::Autograd,
    ErrorKind::Memory,
    ErrorKind::Argument,
    ErrorKind::Io,
    ErrorKind::Numeric,
    ErrorKind::Internal,
];

/// What the caller's function failed with.
pub(crate) fn failure() -> Error {
    let Some((code, text)) = last() else {
        return Error::new(ErrorKind::Autograd, "a function of the caller's own failed without saying why");
    };
    Error::new(kind(code).unwrap_or(ErrorKind::Internal), text)
}

fn kind(code: i32) -> Option<ErrorKind> {
    KINDS.into_iter().find(|k| *k as i32 == code)
}

/// A caller's function and what belongs to it.
struct Foreign {
    backward: unsafe extern "C" fn(
        *mut c_void,
        usize,
        *const *mut KsArray,
        *const *mut KsArray,
        usize,
        *mut *mut KsArray,
    ) -> c_int,
    release: Option<unsafe extern "C" fn(*mut c_void)>,
    owner: *mut c_void,
    inputs: usize,
}

// SAFETY: the caller of `ks_record_function` promises that both functions may be called from any thread.
unsafe impl Send for Foreign {}
// SAFETY: as above; the tape calls one pass at a time.
unsafe impl Sync for Foreign {}

impl Drop for Foreign {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: the owner came with this function, and this is the only call.
            unsafe { release(self.owner) };
        }
    }
}

/// Handles that are freed at the end.
pub(crate) struct Lent(pub(crate) Vec<*mut KsArray>);

impl Lent {
    pub(crate) fn of(arrays: &[Array]) -> Lent {
        Lent(arrays.iter().cloned().map(give).collect())
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        for &a in self.0.iter().filter(|a| !a.is_null()) {
            // SAFETY: each came from `give`, here or in the caller's function, which gave it away.
            drop(unsafe { Array::from_raw(a.cast_const().cast()) });
        }
    }
}

impl Function for Foreign {
    fn backward(&self, grads: &[Array], outputs: &[Array]) -> Result<Vec<Option<Array>>> {
        let (grads, kept) = (Lent::of(grads), Lent::of(outputs));
        let outputs = if outputs.is_empty() { ptr::null() } else { kept.0.as_ptr() };
        let mut found = Lent(vec![ptr::null_mut(); self.inputs]);
        // SAFETY: the function and its owner belong together; the lists are as long as it is told.
        let status = unsafe {
            (self.backward)(
                self.owner,
                grads.0.len(),
                grads.0.as_ptr(),
                outputs,
                self.inputs,
                found.0.as_mut_ptr(),
            )
        };
        if status != 0 {
            return Err(failure());
        }
        let handles = std::mem::take(&mut found.0);
        // SAFETY: the function gave these handles away.
        let taken =
            |a: *mut KsArray| (!a.is_null()).then(|| unsafe { Array::from_raw(a.cast_const().cast()) });
        Ok(handles.into_iter().map(taken).collect())
    }
}

/// Says that `outputs` were computed from `inputs`, with recording off, and that `backward(owner, …)` is the gradient.
/// Into `recorded[0..num_outputs)` go new handles on the outputs' memory, with that history when this thread records and
/// some input has one; they are the caller's, to be freed with ks_array_free. With `keep_outputs` the outputs are kept
/// for `backward`, which an owner must not do itself: it would keep them alive for ever.
/// `release(owner)` is called once, from any thread, when `backward` will not be called any more; it may be NULL.
/// Fails when a pointer is NULL or there are no inputs or outputs; then `release` is not called.
/// # Safety
/// `inputs` and `outputs` point to as many handles; `recorded` has room for `num_outputs`; `backward` and `release` may be
/// called from any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_record_function(
    num_inputs: usize,
    inputs: *const *mut KsArray,
    num_outputs: usize,
    outputs: *const *mut KsArray,
    keep_outputs: c_int,
    backward: KsBackward,
    release: Option<unsafe extern "C" fn(owner: *mut c_void)>,
    owner: *mut c_void,
    recorded: *mut *mut KsArray,
) -> c_int {
    guard("ks_record_function", || {
        out(recorded, "recorded")?;
        let Some(backward) = backward else {
            bail!(Argument, "backward is not usable, got NULL, want a function")
        };
        // SAFETY: the caller's promise.
        let (ins, outs) =
            unsafe { (arrays(inputs, num_inputs, "inputs")?, arrays(outputs, num_outputs, "outputs")?) };
        if ins.is_empty() || outs.is_empty() {
            bail!(Argument, "got {num_inputs} inputs and {num_outputs} outputs, want at least one of each");
        }
        let function = Foreign { backward, release, owner, inputs: num_inputs };
        let results = record(&refs(&ins), &refs(&outs), keep_outputs != 0, Arc::new(function));
        for (i, a) in results.into_iter().enumerate() {
            // SAFETY: one result for each output, for which there is room by the caller's promise.
            unsafe { recorded.add(i).write(give(a)) };
        }
        Ok(())
    })
}
