//! Pointers from C, checked and turned into Rust's: the only place that trusts what a caller passes.

use crate::types::KsArray;
use keshi::error::{Error, ErrorKind, Result};
use keshi::{Array, bail, err};
use smallvec::SmallVec;
use std::ffi::{CStr, c_char};
use std::mem::ManuallyDrop;
use std::ops::Deref;

/// More elements than this are no honest argument.
const MOST: usize = isize::MAX as usize / 64;

#[cold]
fn null(what: &str) -> Error {
    Error::new(ErrorKind::Argument, format!("{what} is not usable, got NULL, want a valid pointer"))
}

/// An array that the caller of the export owns; not freed here.
pub(crate) struct Borrowed(ManuallyDrop<Array>);

impl Deref for Borrowed {
    type Target = Array;
    #[inline]
    fn deref(&self) -> &Array {
        &self.0
    }
}

/// The array of a handle.
/// # Safety
/// `a` is NULL or a handle that is not freed before the result is dropped.
#[inline]
pub(crate) unsafe fn array(a: *const KsArray, what: &str) -> Result<Borrowed> {
    if a.is_null() {
        return Err(null(what));
    }
    // SAFETY: handles come from `Array::into_raw`; ManuallyDrop leaves the caller's reference alone.
    Ok(Borrowed(ManuallyDrop::new(unsafe { Array::from_raw(a.cast()) })))
}

/// The array of a handle, or none.
/// # Safety
/// As [`array`].
#[inline]
pub(crate) unsafe fn array_or_null(a: *const KsArray) -> Option<Borrowed> {
    // SAFETY: the caller's promise.
    unsafe { array(a, "") }.ok()
}

/// Some borrowed arrays.
pub(crate) type Arrays = SmallVec<[Borrowed; 4]>;

/// The arrays of some handles; `what` names the list in errors.
/// # Safety
/// `list` is NULL or points to `n` handles, each NULL or as [`array`] wants it.
pub(crate) unsafe fn arrays(list: *const *mut KsArray, n: usize, what: &str) -> Result<Arrays> {
    // SAFETY: the caller's promise.
    let list = unsafe { slice(list, n, what) }?;
    let one = |(i, &a): (usize, &*mut KsArray)| {
        // SAFETY: the caller's promise.
        unsafe { array_or_null(a) }.ok_or_else(|| null(&format!("{what}[{i}]")))
    };
    list.iter().enumerate().map(one).collect()
}

/// The arrays of some handles, of which any, or the whole list, may be missing.
/// # Safety
/// As [`arrays`].
pub(crate) unsafe fn optional_arrays(
    list: *const *mut KsArray,
    n: usize,
    what: &str,
) -> Result<SmallVec<[Option<Borrowed>; 4]>> {
    if list.is_null() {
        return Ok(SmallVec::new());
    }
    // SAFETY: the caller's promise.
    let list = unsafe { slice(list, n, what) }?;
    // SAFETY: the caller's promise.
    Ok(list.iter().map(|&a| unsafe { array_or_null(a) }).collect())
}

/// References to borrowed arrays, as the runtime takes them.
pub(crate) fn refs(arrays: &[Borrowed]) -> SmallVec<[&Array; 4]> {
    arrays.iter().map(|a| &**a).collect()
}

/// Gives an array to the caller.
#[inline]
pub(crate) fn give(a: Array) -> *mut KsArray {
    a.into_raw().cast_mut().cast()
}

/// `n` values at `p`; NULL is fine when there are none.
/// # Safety
/// `p` is NULL or points to `n` values that nothing writes while the slice is used.
#[inline]
pub(crate) unsafe fn slice<'a, T>(p: *const T, n: usize, what: &str) -> Result<&'a [T]> {
    if n == 0 {
        return Ok(&[]);
    }
    if p.is_null() {
        return Err(null(what));
    }
    if n > MOST {
        bail!(Argument, "the count of {what} is out of range, got {n}, want at most {MOST}");
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(p, n) })
}

/// Where a result goes. Raw, because the caller's memory may be uninitialised.
#[inline]
pub(crate) fn out<T>(p: *mut T, what: &str) -> Result<Out<T>> {
    if p.is_null() { Err(null(what)) } else { Ok(Out(p)) }
}

/// A place for a result, known not to be NULL.
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// Writes the result.
    /// # Safety
    /// The caller of the export gave a pointer to a writable `T`.
    #[inline]
    pub(crate) unsafe fn set(self, value: T) {
        // SAFETY: not NULL, writable by the caller's promise.
        unsafe { self.0.write(value) }
    }
}

/// The text at `p`.
/// # Safety
/// `p` is NULL or a string that ends with a zero byte.
pub(crate) unsafe fn text<'a>(p: *const c_char, what: &str) -> Result<&'a str> {
    if p.is_null() {
        return Err(null(what));
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(p) }.to_str().map_err(|e| err!(Argument, "{what} is not UTF-8: {e}"))
}

/// `n` texts; a NULL list is an empty one.
/// # Safety
/// `list` is NULL or points to `n` strings.
pub(crate) unsafe fn texts<'a>(list: *const *const c_char, n: usize) -> Result<Vec<&'a str>> {
    if list.is_null() {
        return Ok(Vec::new());
    }
    // SAFETY: the caller's promise.
    let list = unsafe { slice(list, n, "names") }?;
    // SAFETY: the caller's promise.
    list.iter().map(|&p| unsafe { text(p, "a name") }).collect()
}
