//! The last error of each thread.

use keshi::Error;
use std::cell::RefCell;
use std::ffi::{CString, c_char};

struct Last {
    code: i32,
    text: CString,
}

thread_local! {
    static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
}

pub(crate) fn remember(e: &Error) {
    let mut bytes = e.to_string().into_bytes();
    bytes.retain(|&b| b != 0);
    let last = Last { code: e.kind() as i32, text: CString::new(bytes).unwrap_or_default() };
    // A thread that is ending has no last error any more, and nobody to read it.
    let _ = LAST.try_with(|l| l.replace(Some(last)));
}

/// Text of this thread's last failure, `operator: what is wrong, got X, want Y`; empty when there was none, never NULL.
/// Borrowed: it lives until the next failure on this thread. A success leaves it as it is.
#[unsafe(no_mangle)]
pub extern "C" fn ks_last_error() -> *const c_char {
    LAST.try_with(|l| l.borrow().as_ref().map_or(c"".as_ptr(), |l| l.text.as_ptr())).unwrap_or(c"".as_ptr())
}

/// Code of this thread's last failure, a KsErrorCode; 0 when there was none. Codes keep their numbers for ever.
#[unsafe(no_mangle)]
pub extern "C" fn ks_last_error_code() -> i32 {
    LAST.try_with(|l| l.borrow().as_ref().map_or(0, |l| l.code)).unwrap_or(0)
}

/// Code and text of the last failure.
pub(crate) fn last() -> Option<(i32, String)> {
    LAST.try_with(|l| l.borrow().as_ref().map(|l| (l.code, l.text.to_string_lossy().into_owned())))
        .ok()
        .flatten()
}
