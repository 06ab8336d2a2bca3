//! The one way out of an export: errors and panics become a status and this thread's last error.

use crate::error::remember;
use keshi::{Error, ErrorKind, Result};
use std::any::Any;
use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs the body of export `name`. Errors that name no operator get the export's name.
#[inline]
pub(crate) fn guard(name: &'static str, f: impl FnOnce() -> Result<()>) -> c_int {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(())) => 0,
        Ok(Err(e)) => fail(name, e),
        Err(payload) => fail(name, panicked(payload)),
    }
}

#[cold]
fn fail(name: &'static str, e: Error) -> c_int {
    remember(&e.within(name));
    -1
}

/// Runs an export that cannot fail; should it panic all the same, the result is `otherwise`.
pub(crate) fn guard_or<T>(name: &'static str, otherwise: T, f: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|payload| {
        fail(name, panicked(payload));
        otherwise
    })
}

#[cold]
fn panicked(payload: Box<dyn Any + Send>) -> Error {
    let text = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(s), _) => (*s).to_owned(),
        (_, Some(s)) => s.clone(),
        _ => "no text".to_owned(),
    };
    // A payload may panic when dropped.
    std::mem::forget(payload);
    Error::new(ErrorKind::Internal, format!("this is a bug in Keshi, please report it: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ks_last_error, ks_last_error_code};
    use std::ffi::CStr;

    #[test]
    fn errors_and_panics_become_the_last_error() {
        // SAFETY: the text stays until this thread's next call.
        let text = || unsafe { CStr::from_ptr(ks_last_error()) }.to_str().unwrap();
        assert_eq!(guard("f", || Err(Error::new(ErrorKind::Shape, "got 1, want 2"))), -1);
        assert_eq!((text(), ks_last_error_code()), ("f: got 1, want 2", 1));
        assert_eq!(guard("g", || std::panic::resume_unwind(Box::new("boom"))), -1);
        assert_eq!((text(), ks_last_error_code()), ("g: this is a bug in Keshi, please report it: boom", 10));
        assert_eq!(guard("h", || Ok(())), 0);
        assert_eq!(guard_or("i", 7, || std::panic::resume_unwind(Box::new(3))), 7);
        assert!(text().starts_with("i: ") && text().ends_with("no text"));
    }
}
