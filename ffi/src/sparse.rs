//! Gradients that are kept as rows, and what makes sparse arrays out of numbers of rows.

use crate::guard::guard;
use crate::handle::{array, give, out};
use crate::types::KsArray;
use keshi::rows::{self, Rows};
use keshi::{Array, DType, GradReq, bail};
use std::ffi::c_int;
use std::ptr;

/// Makes `a` a variable whose gradient is kept as the rows that a backward pass touches; its history is cut. `req` is a
/// KsGradReq. Embeddings and products with a sparse matrix tell their rows apart and never make the others; of any other
/// operator the rows that are not 0 stay. Borrows `a`. Fails when `req` is unknown.
/// # Safety
/// `a` is a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_attach_grad_rows(a: *mut KsArray, req: i32) -> c_int {
    guard("ks_attach_grad_rows", || {
        // SAFETY: the caller's promise.
        unsafe { array(a, "a") }?.attach_grad_by_rows(GradReq::from_id(req)?);
        Ok(())
    })
}

/// The gradient of a variable that keeps it as rows: the numbers of the rows, int64 and ascending, into `*indices`, the rows
/// into `*data`. Both NULL where there are none yet, or `a` is no such variable. Borrows `a`; both are the caller's, to be
/// freed with ks_array_free. Fails when a pointer is NULL.
/// # Safety
/// `a` is a handle; `indices` and `data` are writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_array_grad_rows(
    a: *const KsArray,
    indices: *mut *mut KsArray,
    data: *mut *mut KsArray,
) -> c_int {
    guard("ks_array_grad_rows", || {
        let (to_indices, to_data) = (out(indices, "indices")?, out(data, "data")?);
        // SAFETY: the caller's promise.
        let rows = unsafe { array(a, "a") }?.grad_rows().flatten();
        let [indices, data] = match rows {
            Some(rows) => [rows.indices, rows.data].map(|t| give(Array::from(t))),
            None => [ptr::null_mut(); 2],
        };
        // SAFETY: the caller's promise.
        unsafe {
            to_indices.set(indices);
            to_data.set(data);
        }
        Ok(())
    })
}

/// Replaces the gradient of a variable that keeps it as rows; NULL for both leaves none. Without effect on another array.
/// Borrows all three; the memory of `data` is shared. Fails when `indices` is not int64 with one number for each row.
/// # Safety
/// `a` is a handle; `indices` and `data` are handles or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_array_set_grad_rows(
    a: *mut KsArray,
    indices: *const KsArray,
    data: *const KsArray,
) -> c_int {
    guard("ks_array_set_grad_rows", || {
        // SAFETY: the caller's promise.
        let a = unsafe { array(a, "a") }?;
        if indices.is_null() && data.is_null() {
            a.set_grad_rows(None);
            return Ok(());
        }
        // SAFETY: the caller's promise.
        let (indices, data) = unsafe { (array(indices, "indices")?, array(data, "data")?) };
        if indices.dtype() != DType::I64
            || indices.ndim() != 1
            || data.dims().first() != Some(&indices.size())
        {
            bail!(
                Argument,
                "indices must be int64, one for each row of data, got {} of {}",
                indices.size(),
                indices.dtype()
            );
        }
        a.set_grad_rows(Some(Rows { indices: indices.tensor().clone(), data: data.tensor().clone() }));
        Ok(())
    })
}

/// The distinct numbers among those of `a`, of any dtype, as whole ones and ascending, into `*values`, and for each of `a` which of
/// them it is into `*places`; both int64 with one axis. Borrows `a`; the results are the caller's, to be freed with ks_array_free.
/// Fails when memory cannot be had.
/// # Safety
/// `a` is a handle; `values` and `places` are writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_array_distinct(
    a: *const KsArray,
    values: *mut *mut KsArray,
    places: *mut *mut KsArray,
) -> c_int {
    guard("ks_array_distinct", || {
        let (to_values, to_places) = (out(values, "values")?, out(places, "places")?);
        // SAFETY: the caller's promise.
        let (values, places) = rows::distinct(unsafe { array(a, "a") }?.tensor())?;
        // SAFETY: the caller's promise.
        unsafe {
            to_values.set(give(Array::from(values)));
            to_places.set(give(Array::from(places)));
        }
        Ok(())
    })
}

/// Where the rows of `a` are that hold anything but 0: their numbers, int64 and ascending, into `*indices`, the rows into `*data`.
/// Borrows `a`; the results are the caller's, to be freed with ks_array_free. Fails when `a` has no axis.
/// # Safety
/// `a` is a handle; `indices` and `data` are writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_array_filled_rows(
    a: *const KsArray,
    indices: *mut *mut KsArray,
    data: *mut *mut KsArray,
) -> c_int {
    guard("ks_array_filled_rows", || {
        let (to_indices, to_data) = (out(indices, "indices")?, out(data, "data")?);
        // SAFETY: the caller's promise.
        let a = unsafe { array(a, "a") }?;
        if a.ndim() == 0 {
            bail!(Shape, "an array without axes has no rows");
        }
        let rows = rows::filled(a.tensor())?;
        let [indices, data] = [rows.indices, rows.data].map(|t| give(Array::from(t)));
        // SAFETY: the caller's promise.
        unsafe {
            to_indices.set(indices);
            to_data.set(data);
        }
        Ok(())
    })
}
