//! What is known of a symbol before it runs: shapes and dtypes.

use crate::guard::{guard, guard_or};
use crate::handle::{out, slice, texts};
use crate::symbol::symbol;
use crate::types::{KsShapes, KsSymbol};
use keshi::graph::infer::partial;
use keshi::shape::partial::Partial;
use keshi::{DType, Result, bail, err};
use std::ffi::{c_char, c_int};
use std::ptr;

/// # Safety
/// `s` is NULL or shapes that are not freed while the result is used.
unsafe fn shapes<'a>(s: *const KsShapes) -> Result<&'a [Partial]> {
    // SAFETY: shapes come from `ks_symbol_infer_shape`.
    let list = unsafe { s.cast::<Vec<Partial>>().as_ref() };
    Ok(list.ok_or_else(|| err!(Argument, "shapes are not usable, got NULL, want a valid pointer"))?)
}

/// Infers the shapes of the arguments, the outputs and the auxiliary states, in the order of their lists, into `*out`, which is
/// the caller's, to be freed with ks_shapes_free. `n` shapes are given for the variables called `names` or, when that is NULL,
/// for the first arguments: `ndims[i]` sizes each, one shape after the other in `sizes`. A size of 0 is unknown, and so is all
/// of a shape without sizes. Fails when shapes contradict each other; the text names the node.
/// # Safety
/// `s` is a symbol; `names` is NULL or points to `n` strings; `ndims` points to `n` numbers, `sizes` to as many as they add up
/// to; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_symbol_infer_shape(
    s: *const KsSymbol,
    n: usize,
    names: *const *const c_char,
    ndims: *const usize,
    sizes: *const i64,
    out: *mut *mut KsShapes,
) -> c_int {
    guard("infer_shape", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        let (s, names, ndims) = unsafe { (symbol(s)?, texts(names, n)?, slice(ndims, n, "ndims")?) };
        // SAFETY: the caller's promise.
        let mut rest = unsafe { slice(sizes, ndims.iter().sum(), "sizes") }?;
        let mut given = Vec::with_capacity(n);
        for &ndim in ndims {
            let (own, others) = rest.split_at(ndim);
            given.push(partial(own));
            rest = others;
        }
        let found: Vec<Partial> = s.infer_shape(&names, &given)?.iter().cloned().collect();
        // SAFETY: the caller's promise.
        unsafe { to.set(Box::into_raw(Box::new(found)).cast()) };
        Ok(())
    })
}

/// The number of shapes into `*out`. Fails when a pointer is NULL.
/// # Safety
/// `s` are shapes; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_shapes_len(s: *const KsShapes, out: *mut usize) -> c_int {
    guard("ks_shapes_len", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        unsafe { to.set(shapes(s)?.len()) };
        Ok(())
    })
}

/// Shape number `i`: the number of axes into `*ndim`, the address of their sizes into `*sizes`, to live as long as the shapes;
/// an unknown size is -1. Of a shape that is not known at all, `*sizes` is NULL. Fails when there is no such shape.
/// # Safety
/// `s` are shapes; `ndim` and `sizes` are writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_shapes_get(
    s: *const KsShapes,
    i: usize,
    ndim: *mut usize,
    sizes: *mut *const i64,
) -> c_int {
    guard("ks_shapes_get", || {
        let (to_ndim, to_sizes) = (out(ndim, "ndim")?, out(sizes, "sizes")?);
        // SAFETY: the caller's promise.
        let list = unsafe { shapes(s) }?;
        let Some(shape) = list.get(i) else {
            bail!(Argument, "there is no shape number {i}, want less than {}", list.len())
        };
        // SAFETY: the caller's promise.
        unsafe {
            to_ndim.set(shape.ndim().unwrap_or(0));
            to_sizes.set(shape.sizes().map_or(ptr::null(), <[i64]>::as_ptr));
        }
        Ok(())
    })
}

/// Frees shapes. NULL is fine; freeing them twice is the caller's fault.
/// # Safety
/// `s` is NULL or shapes, not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_shapes_free(s: *mut KsShapes) {
    guard_or("ks_shapes_free", (), || {
        if !s.is_null() {
            // SAFETY: the caller's promise; they came from `ks_symbol_infer_shape`.
            drop(unsafe { Box::from_raw(s.cast::<Vec<Partial>>()) });
        }
    })
}

/// Infers the dtypes of the arguments, the outputs and the auxiliary states, in the order of their lists, into
/// `out[0..capacity)`: KsDTypes, or -1 where nothing follows. `n` dtypes are given for the variables called `names` or, when that
/// is NULL, for the first arguments. Fails when dtypes contradict each other, when one is unknown, or when `capacity` is not
/// the number of all three lists.
/// # Safety
/// `s` is a symbol; `names` is NULL or points to `n` strings, `dtypes` to `n` numbers; `out` has room for `capacity`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_symbol_infer_type(
    s: *const KsSymbol,
    n: usize,
    names: *const *const c_char,
    dtypes: *const i32,
    capacity: usize,
    out: *mut i32,
) -> c_int {
    guard("infer_type", || {
        // SAFETY: the caller's promise.
        let (s, names, dtypes) = unsafe { (symbol(s)?, texts(names, n)?, slice(dtypes, n, "dtypes")?) };
        let given = dtypes.iter().map(|&id| DType::from_id(id)).collect::<Result<Vec<_>>>()?;
        let inferred = s.infer_type(&names, &given)?;
        let found: Vec<i32> = inferred.iter().map(|d| d.map_or(-1, |d| d as i32)).collect();
        if found.len() != capacity {
            bail!(Argument, "there is no room for exactly all dtypes, got {capacity}, want {}", found.len());
        }
        if capacity > 0 {
            self::out(out, "out")?;
        }
        for (i, id) in found.into_iter().enumerate() {
            // SAFETY: there is room for `capacity`, by the caller's promise.
            unsafe { out.add(i).write(id) };
        }
        Ok(())
    })
}
