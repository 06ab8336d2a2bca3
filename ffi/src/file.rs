//! Files of arrays in MXNet's binary format, to and from disk and memory.

use crate::guard::{guard, guard_or};
use crate::handle::{Borrowed, array, arrays, give, out, slice};
use crate::types::{KsArray, KsBuffer, KsList};
use keshi::serialize::{Loaded, load, load_record, save, save_record};
use keshi::{Array, Result, Tensor, bail, err};
use std::ffi::{CStr, CString, c_char, c_int};
use std::fs::File;
use std::io::{BufWriter, Write};

/// What stands behind a `KsList`.
struct List {
    arrays: Vec<Option<Array>>,
    /// As many as arrays, or none at all.
    names: Vec<CString>,
}

/// # Safety
/// `p` is NULL or a string that ends with a zero byte.
unsafe fn text<'a>(p: *const c_char, what: &str) -> Result<&'a str> {
    if p.is_null() {
        bail!(Argument, "{what} is not usable, got NULL, want a string");
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(p) }.to_str().map_err(|e| err!(Argument, "{what} is not UTF-8: {e}"))
}

/// # Safety
/// `list` is NULL (no names) or points to `n` strings.
unsafe fn names<'a>(list: *const *const c_char, n: usize) -> Result<Vec<&'a str>> {
    if list.is_null() {
        return Ok(Vec::new());
    }
    // SAFETY: the caller's promise.
    let list = unsafe { slice(list, n, "names") }?;
    // SAFETY: the caller's promise.
    list.iter().map(|&p| unsafe { text(p, "a name") }).collect()
}

fn tensors(arrays: &[Borrowed]) -> Vec<&Tensor> {
    arrays.iter().map(|a| a.tensor()).collect()
}

fn give_list(loaded: Loaded) -> Result<*mut KsList> {
    let name = |n: String| CString::new(n).map_err(|_| err!(Io, "load: a name holds a zero byte"));
    let names = loaded.names.into_iter().map(name).collect::<Result<_>>()?;
    let arrays = loaded.arrays.into_iter().map(|t| t.map(Array::from)).collect();
    Ok(Box::into_raw(Box::new(List { arrays, names })).cast())
}

/// # Safety
/// `l` is NULL or a list that is not freed while the result is used.
unsafe fn list<'a>(l: *const KsList) -> Result<&'a List> {
    // SAFETY: lists come from `give_list`.
    unsafe { l.cast::<List>().as_ref() }
        .ok_or_else(|| err!(Argument, "list is not usable, got NULL, want a valid pointer"))
}

/// Writes `n` arrays to the file `path`, with `names` or, when `names` is NULL, without. The file is complete or, after a
/// failure, may be cut short. Borrows everything.
/// # Safety
/// `path` is a string; `list` points to `n` handles, `names` to `n` strings unless it is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_save(
    path: *const c_char,
    n: usize,
    list: *const *mut KsArray,
    names: *const *const c_char,
) -> c_int {
    guard("ks_save", || {
        // SAFETY: the caller's promise.
        let (path, arrays, names) =
            unsafe { (text(path, "path")?, arrays(list, n, "list")?, self::names(names, n)?) };
        let file = File::create(path).map_err(|e| err!(Io, "save: cannot write '{path}': {e}"))?;
        let mut file = BufWriter::new(file);
        save(&mut file, &names, &tensors(&arrays))?;
        file.flush().map_err(|e| err!(Io, "save: cannot write '{path}': {e}"))
    })
}

/// As `ks_save`, into memory: `*out` is owned by the caller, see `ks_buffer_free`.
/// # Safety
/// As `ks_save`; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_save_buffer(
    n: usize,
    list: *const *mut KsArray,
    names: *const *const c_char,
    out: *mut *mut KsBuffer,
) -> c_int {
    guard("ks_save_buffer", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        let (arrays, names) = unsafe { (arrays(list, n, "list")?, self::names(names, n)?) };
        let mut bytes = Vec::new();
        save(&mut bytes, &names, &tensors(&arrays))?;
        // SAFETY: the caller's promise.
        unsafe { to.set(Box::into_raw(Box::new(bytes)).cast()) };
        Ok(())
    })
}

/// Writes one array as a bare record, without a list around it, into memory: `*out` is owned by the caller.
/// # Safety
/// `a` is a handle; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_array_to_record(a: *const KsArray, out: *mut *mut KsBuffer) -> c_int {
    guard("ks_array_to_record", || {
        let to = self::out(out, "out")?;
        let mut bytes = Vec::new();
        // SAFETY: the caller's promise.
        save_record(&mut bytes, unsafe { array(a, "a") }?.tensor())?;
        // SAFETY: the caller's promise.
        unsafe { to.set(Box::into_raw(Box::new(bytes)).cast()) };
        Ok(())
    })
}

/// Reads a bare record, as `ks_array_to_record` writes it, into a new array that the caller owns.
/// # Safety
/// `data` points to `nbytes` bytes; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_array_from_record(
    data: *const u8,
    nbytes: usize,
    out: *mut *mut KsArray,
) -> c_int {
    guard("ks_array_from_record", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        let Some(t) = load_record(unsafe { slice(data, nbytes, "data") }?)? else {
            bail!(Io, "load: the record holds no array");
        };
        // SAFETY: the caller's promise.
        unsafe { to.set(give(Array::from(t))) };
        Ok(())
    })
}

/// Reads a file of arrays. `*out` is owned by the caller, see `ks_list_free`.
/// # Safety
/// `path` is a string; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_load(path: *const c_char, out: *mut *mut KsList) -> c_int {
    guard("ks_load", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        let path = unsafe { text(path, "path") }?;
        let bytes = std::fs::read(path).map_err(|e| err!(Io, "load: cannot read '{path}': {e}"))?;
        let list = give_list(load(&bytes)?)?;
        // SAFETY: the caller's promise.
        unsafe { to.set(list) };
        Ok(())
    })
}

/// As `ks_load`, from memory, which is copied.
/// # Safety
/// `data` points to `nbytes` bytes; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_load_buffer(data: *const u8, nbytes: usize, out: *mut *mut KsList) -> c_int {
    guard("ks_load_buffer", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        let list = give_list(load(unsafe { slice(data, nbytes, "data") }?)?)?;
        // SAFETY: the caller's promise.
        unsafe { to.set(list) };
        Ok(())
    })
}

/// Number of arrays in a list into `*out`; `*named` says whether they have names. Borrows `l`.
/// # Safety
/// `l` is a list; `out` and `named` are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_list_len(l: *const KsList, out: *mut usize, named: *mut c_int) -> c_int {
    guard("ks_list_len", || {
        let (to, named) = (self::out(out, "out")?, self::out(named, "named")?);
        // SAFETY: the caller's promise.
        let list = unsafe { list(l) }?;
        // SAFETY: the caller's promise.
        unsafe {
            to.set(list.arrays.len());
            named.set(c_int::from(!list.names.is_empty()));
        }
        Ok(())
    })
}

/// Array `i` of a list into `*array`, owned by the caller, NULL for one that was saved without a shape; its name into
/// `*name`, borrowed from the list, NULL when there are no names.
/// # Safety
/// `l` is a list; `array` and `name` are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_list_get(
    l: *const KsList,
    i: usize,
    array: *mut *mut KsArray,
    name: *mut *const c_char,
) -> c_int {
    guard("ks_list_get", || {
        let (to, name) = (out(array, "array")?, out(name, "name")?);
        // SAFETY: the caller's promise.
        let list = unsafe { list(l) }?;
        let Some(array) = list.arrays.get(i) else {
            bail!(
                Argument,
                "there is no such array in the list, got {i}, want less than {}",
                list.arrays.len()
            );
        };
        // SAFETY: the caller's promise.
        unsafe {
            to.set(array.as_ref().map_or(std::ptr::null_mut(), |a| give(a.clone())));
            name.set(list.names.get(i).map_or(std::ptr::null(), |n| n.as_ptr()));
        }
        Ok(())
    })
}

/// Frees a list; the arrays that were got from it stay. NULL is fine.
/// # Safety
/// `l` is NULL or a list that was not freed before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_list_free(l: *mut KsList) {
    if !l.is_null() {
        // SAFETY: lists come from `give_list`, and the caller gives up this one.
        guard_or("ks_list_free", (), || drop(unsafe { Box::from_raw(l.cast::<List>()) }));
    }
}

/// Bytes of a buffer into `*data` and `*nbytes`, borrowed from it.
/// # Safety
/// `b` is a buffer; `data` and `nbytes` are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_buffer_data(
    b: *const KsBuffer,
    data: *mut *const u8,
    nbytes: *mut usize,
) -> c_int {
    guard("ks_buffer_data", || {
        let (to, count) = (out(data, "data")?, out(nbytes, "nbytes")?);
        // SAFETY: buffers are boxed vectors.
        let Some(bytes) = (unsafe { b.cast::<Vec<u8>>().as_ref() }) else {
            bail!(Argument, "buffer is not usable, got NULL, want a valid pointer");
        };
        // SAFETY: the caller's promise.
        unsafe {
            to.set(bytes.as_ptr());
            count.set(bytes.len());
        }
        Ok(())
    })
}

/// Frees a buffer. NULL is fine.
/// # Safety
/// `b` is NULL or a buffer that was not freed before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_buffer_free(b: *mut KsBuffer) {
    if !b.is_null() {
        // SAFETY: buffers are boxed vectors, and the caller gives up this one.
        guard_or("ks_buffer_free", (), || drop(unsafe { Box::from_raw(b.cast::<Vec<u8>>()) }));
    }
}
