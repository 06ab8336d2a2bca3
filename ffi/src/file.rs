//! Files of arrays, to and from disk and memory: MXNet's own format, and those of others.

use crate::guard::{guard, guard_or};
use crate::handle::{Borrowed, array, arrays, give, out, slice, text, texts as names};
use crate::types::{KsArray, KsBuffer, KsList, KsSparse, KsStorage};
use keshi::files::{self, Format};
use keshi::serialize::{Layout, Loaded, Record, Sparse, load_record, save, save_any, save_record};
use keshi::shape::Dims;
use keshi::{Array, Result, Tensor, bail, err};
use std::ffi::{CString, c_char, c_int};
use std::fs::File;
use std::io::{BufWriter, Write};

/// What stands behind a `KsList`.
struct List {
    arrays: Vec<Option<Entry>>,
    /// As many as arrays, or none at all.
    names: Vec<CString>,
}

/// An array of a list, and what makes it sparse.
struct Entry {
    data: Array,
    sparse: Option<Sparse>,
}

fn tensors(arrays: &[Borrowed]) -> Vec<&Tensor> {
    arrays.iter().map(|a| a.tensor()).collect()
}

fn give_list(loaded: Loaded) -> Result<*mut KsList> {
    let name = |n: String| CString::new(n).map_err(|_| err!(Io, "a name holds a zero byte"));
    let names = loaded.names.into_iter().map(name).collect::<Result<_>>()?;
    let entry = |r: Record| Entry { data: Array::from(r.data), sparse: r.sparse };
    let arrays = loaded.arrays.into_iter().map(|r| r.map(entry)).collect();
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
    guard("save", || {
        // SAFETY: the caller's promise.
        let (path, arrays, names) =
            unsafe { (text(path, "path")?, arrays(list, n, "list")?, self::names(names, n)?) };
        let file = File::create(path).map_err(|e| err!(Io, "cannot write '{path}': {e}"))?;
        let mut file = BufWriter::new(file);
        save(&mut file, &names, &tensors(&arrays))?;
        file.flush().map_err(|e| err!(Io, "cannot write '{path}': {e}"))
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
    guard("save", || {
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

/// # Safety
/// What its storage says is there.
unsafe fn sparse(s: &KsSparse) -> Result<Option<Sparse>> {
    let Some(layout) = Layout::from_id(s.storage)? else { return Ok(None) };
    // SAFETY: the caller's promise.
    let (dims, indices) =
        unsafe { (slice(s.dims, s.ndim, "dims")?, arrays(s.indices.as_ptr(), layout.indices(), "indices")?) };
    let indices = indices.iter().map(|a| a.tensor().clone()).collect();
    Ok(Some(Sparse { layout, dims: Dims::from_slice(dims), indices }))
}

/// As `ks_save_buffer`, in any format (a KsFormat). `sparse` may be NULL, or says of each array what makes it sparse: then
/// `list` has what is stored. Only `.params` files hold sparse arrays. `*out` is owned by the caller, see
/// `ks_buffer_free`. Fails when the format cannot hold the arrays.
/// # Safety
/// As `ks_save_buffer`; `sparse` is NULL or points to `n` of them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_save_as(
    format: i32,
    n: usize,
    list: *const *mut KsArray,
    names: *const *const c_char,
    sparse: *const KsSparse,
    out: *mut *mut KsBuffer,
) -> c_int {
    guard("save", || {
        let to = self::out(out, "out")?;
        let format = Format::from_id(format)?;
        // SAFETY: the caller's promise.
        let (arrays, names) = unsafe { (arrays(list, n, "list")?, self::names(names, n)?) };
        let bytes = if sparse.is_null() {
            files::save(format, &names, &tensors(&arrays))?
        } else {
            // SAFETY: the caller's promise.
            let parts = unsafe { slice(sparse, n, "sparse") }?;
            // SAFETY: the caller's promise.
            let parts: Vec<Option<Sparse>> =
                parts.iter().map(|s| unsafe { self::sparse(s) }).collect::<Result<_>>()?;
            if format != Format::Params && parts.iter().any(Option::is_some) {
                bail!(Argument, "{format:?} files hold no sparse arrays; make them dense first");
            }
            let pairs: Vec<_> = tensors(&arrays).into_iter().zip(parts.iter().map(Option::as_ref)).collect();
            let mut bytes = Vec::new();
            save_any(&mut bytes, &names, &pairs)?;
            bytes
        };
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
    guard("save", || {
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
    guard("load", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        let Some(Record { data, sparse: None }) = load_record(unsafe { slice(data, nbytes, "data") }?)?
        else {
            bail!(Io, "the record holds no dense array");
        };
        // SAFETY: the caller's promise.
        unsafe { to.set(give(Array::from(data))) };
        Ok(())
    })
}

/// Reads a file of arrays in any format of KsFormat, which its first bytes tell. `*out` is owned by the caller, see
/// `ks_list_free`.
/// # Safety
/// `path` is a string; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_load(path: *const c_char, out: *mut *mut KsList) -> c_int {
    guard("load", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        let path = unsafe { text(path, "path") }?;
        let bytes = std::fs::read(path).map_err(|e| err!(Io, "cannot read '{path}': {e}"))?;
        let list = give_list(files::load(&bytes)?)?;
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
    guard("load", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        let list = give_list(files::load(unsafe { slice(data, nbytes, "data") }?)?)?;
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

/// Array `i` of a list into `*array`, owned by the caller, NULL for one that was saved without a shape; of a sparse one what
/// is stored, see `ks_list_sparse`. Its name into `*name`, borrowed from the list, NULL when there are no names.
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
            to.set(array.as_ref().map_or(std::ptr::null_mut(), |e| give(e.data.clone())));
            name.set(list.names.get(i).map_or(std::ptr::null(), |n| n.as_ptr()));
        }
        Ok(())
    })
}

/// What makes array `i` of a list sparse, into `*out`: its `indices` are owned by the caller, its `dims` borrowed from the list.
/// `storage` is KS_STORAGE_DEFAULT when it is not sparse. Fails when there is no such array.
/// # Safety
/// `l` is a list; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_list_sparse(l: *const KsList, i: usize, out: *mut KsSparse) -> c_int {
    guard("ks_list_sparse", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        let list = unsafe { list(l) }?;
        let Some(entry) = list.arrays.get(i) else {
            bail!(
                Argument,
                "there is no such array in the list, got {i}, want less than {}",
                list.arrays.len()
            );
        };
        let (storage, null) = (KsStorage::KsStorageDefault as i32, std::ptr::null_mut());
        let mut found = KsSparse { storage, ndim: 0, dims: std::ptr::null(), indices: [null; 2] };
        if let Some(s) = entry.as_ref().and_then(|e| e.sparse.as_ref()) {
            found.storage = s.layout as i32;
            found.ndim = s.dims.len();
            found.dims = s.dims.as_ptr();
            for (to, t) in found.indices.iter_mut().zip(&s.indices) {
                *to = give(Array::from(t.clone()));
            }
        }
        // SAFETY: the caller's promise.
        unsafe { to.set(found) };
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
