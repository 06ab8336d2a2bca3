//! The last error of each thread.

use crate::guard::guard_or;
use keshi::{Error, ErrorKind};
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int};

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

/// Makes `text` this thread's last failure and returns -1: how a function of the caller's own that the library calls
/// reports one. `code` is a KsErrorCode; any other counts as KS_ERROR_ARGUMENT. NULL is an empty text.
/// # Safety
/// `text` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_fail(code: i32, text: *const c_char) -> c_int {
    guard_or("ks_fail", -1, || {
        let kind = KINDS.into_iter().find(|k| *k as i32 == code).unwrap_or(ErrorKind::Argument);
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

/// The last failure as an error, to be passed on from a function of the caller's own.
pub(crate) fn last() -> Error {
    let found =
        LAST.try_with(|l| l.borrow().as_ref().map(|l| (l.code, l.text.to_string_lossy().into_owned())));
    let Ok(Some((code, text))) = found else {
        return Error::new(ErrorKind::Autograd, "a function of the caller's own failed without saying why");
    };
    let kind = KINDS.into_iter().find(|k| *k as i32 == code).unwrap_or(ErrorKind::Internal);
    Error::new(kind, text)
}
