//! Arrays: made, freed, looked at, read and written.

use crate::guard::{guard, guard_or};
use crate::handle::{array, give, out, slice};
use crate::types::KsArray;
use keshi::storage::Storage;
use keshi::tensor::Tensor;
use keshi::{Array, DType, Device, Result, bail};
use std::ffi::{c_int, c_void};
use std::ptr;

/// More axes than this no array has.
const MOST_AXES: usize = 32;

/// Dims from C.
///
/// # Safety
/// `dims` is NULL or points to `ndim` sizes.
unsafe fn read_dims<'a>(ndim: usize, dims: *const usize) -> Result<&'a [usize]> {
    if ndim > MOST_AXES {
        bail!(Shape, "too many axes, got {ndim}, want at most {MOST_AXES}");
    }
    // SAFETY: the caller's promise.
    unsafe { slice(dims, ndim, "dims") }
}

fn check_bytes(got: usize, t: &Tensor) -> Result<()> {
    let want = t.size() * t.dtype().size();
    if got != want {
        bail!(Argument, "the size in bytes does not fit the array, got {got}, want {want}");
    }
    Ok(())
}

/// Makes an array with unspecified content. `dtype` is a KsDType, `device_type` a KsDeviceType.
/// `*out` is the caller's, to be freed with ks_array_free.
/// Fails when the dtype, device or shape is unusable or memory cannot be had.
/// # Safety
/// `dims` points to `ndim` sizes; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_array_new(
    dtype: i32,
    ndim: usize,
    dims: *const usize,
    device_type: i32,
    device_id: i32,
    out: *mut *mut KsArray,
) -> c_int {
    guard("ks_array_new", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        let dims = unsafe { read_dims(ndim, dims) }?;
        let t = Tensor::empty(dims, DType::from_id(dtype)?, Device::new(device_type, device_id)?)?;
        // SAFETY: the caller's promise.
        unsafe { to.set(give(t.into())) };
        Ok(())
    })
}

/// Makes an array that holds a copy of the `nbytes` bytes at `data`, row-major.
/// `*out` is the caller's, to be freed with ks_array_free; `data` stays the caller's.
/// Fails as ks_array_new does, and when `nbytes` is not the size of the array.
/// # Safety
/// `data` points to `nbytes` bytes, `dims` to `ndim` sizes; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_array_from_data(
    data: *const c_void,
    nbytes: usize,
    dtype: i32,
    ndim: usize,
    dims: *const usize,
    device_type: i32,
    device_id: i32,
    out: *mut *mut KsArray,
) -> c_int {
    guard("ks_array_from_data", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        let dims = unsafe { read_dims(ndim, dims) }?;
        // SAFETY: the caller's promise.
        let bytes = unsafe { slice(data.cast::<u8>(), nbytes, "data") }?;
        let t = Tensor::empty(dims, DType::from_id(dtype)?, Device::new(device_type, device_id)?)?;
        check_bytes(nbytes, &t)?;
        // SAFETY: the sizes agree; the tensor is new, so that nothing overlaps it.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), t.span().bytes(), nbytes) };
        // SAFETY: the caller's promise.
        unsafe { to.set(give(t.into())) };
        Ok(())
    })
}

/// Somebody's memory, until it is released.
struct Foreign {
    release: Option<unsafe extern "C" fn(*mut c_void)>,
    owner: *mut c_void,
}

// SAFETY: the header says that `release` is called from any thread.
unsafe impl Send for Foreign {}
// SAFETY: the owner is touched by `drop` alone.
unsafe impl Sync for Foreign {}

impl Drop for Foreign {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: the two were given together, to be called once.
            unsafe { release(self.owner) }
        }
    }
}

/// Makes an array on cpu(0) over the `nbytes` bytes at `data` without a copy; `data` must be aligned for the dtype.
/// `release(owner)` is called once, from any thread, when the last array on the memory goes; it may be NULL, then the
/// caller keeps the memory alive itself. `*out` is the caller's, to be freed with ks_array_free.
/// Fails when the dtype or shape is unusable, `nbytes` is not the size of the array, or `data` is not aligned; then `release` is not called.
/// # Safety
/// `data` points to `nbytes` bytes that stay in place until released, `dims` to `ndim` sizes; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_array_from_foreign(
    data: *mut c_void,
    nbytes: usize,
    dtype: i32,
    ndim: usize,
    dims: *const usize,
    release: Option<unsafe extern "C" fn(*mut c_void)>,
    owner: *mut c_void,
    out: *mut *mut KsArray,
) -> c_int {
    guard("ks_array_from_foreign", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        let dims = unsafe { read_dims(ndim, dims) }?;
        // SAFETY: the caller's promise; only its being there is checked.
        unsafe { slice(data.cast::<u8>(), nbytes, "data") }?;
        let dtype = DType::from_id(dtype)?;
        // SAFETY: the caller's promise.
        let a = unsafe { foreign(data.cast(), nbytes, dtype, dims, release, owner) }?;
        // SAFETY: the caller's promise.
        unsafe { to.set(give(a)) };
        Ok(())
    })
}

/// An array over memory of somebody else. On an error nothing is released.
///
/// # Safety
/// As [`ks_array_from_foreign`].
pub(crate) unsafe fn foreign(
    data: *mut u8,
    nbytes: usize,
    dtype: DType,
    dims: &[usize],
    release: Option<unsafe extern "C" fn(*mut c_void)>,
    owner: *mut c_void,
) -> Result<Array> {
    let size = keshi::shape::size_of_dims(dims)?;
    let want = size.saturating_mul(dtype.size());
    if nbytes != want {
        bail!(Argument, "the size in bytes does not fit the array, got {nbytes}, want {want}");
    }
    if !(data as usize).is_multiple_of(dtype.size()) {
        bail!(
            Argument,
            "the memory is not aligned, got address {data:p}, want a multiple of {}",
            dtype.size()
        );
    }
    // An empty array has a place too, though nothing is there.
    let data = if nbytes == 0 { ptr::without_provenance_mut(keshi::storage::ALIGN) } else { data };
    let owner = Box::new(Foreign { release, owner });
    // SAFETY: the caller's promise.
    let storage = unsafe { Storage::foreign(data, nbytes, owner) };
    Ok(Tensor::over(storage, dims, dtype, Device::default())?.into())
}

/// A second reference to `a`: same array, same history, same gradient.
/// `*out` is the caller's, to be freed with ks_array_free; `a` stays the caller's too. Fails when a pointer is NULL.
/// # Safety
/// `a` is a handle; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_array_retain(a: *mut KsArray, out: *mut *mut KsArray) -> c_int {
    guard("ks_array_retain", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        unsafe { to.set(give((*array(a, "a")?).clone())) };
        Ok(())
    })
}

/// Frees one reference. NULL is fine; freeing a handle twice is the caller's fault.
/// # Safety
/// `a` is NULL or a handle, not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_array_free(a: *mut KsArray) {
    guard_or("ks_array_free", (), || {
        if !a.is_null() {
            // SAFETY: the caller's promise; the handle came from `give`.
            drop(unsafe { Array::from_raw(a.cast_const().cast()) });
        }
    })
}

/// Number of axes of `a` into `*out`. Borrows `a`. Fails when a pointer is NULL.
/// # Safety
/// `a` is a handle; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_array_ndim(a: *const KsArray, out: *mut usize) -> c_int {
    guard("ks_array_ndim", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        unsafe { to.set(array(a, "a")?.ndim()) };
        Ok(())
    })
}

/// Sizes of the axes of `a` into `*dims`, their number into `*ndim`. Borrows `a`; `*dims` lives as long as `a`.
/// Fails when a pointer is NULL.
/// # Safety
/// `a` is a handle; `dims` and `ndim` are writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_array_dims(
    a: *const KsArray,
    dims: *mut *const usize,
    ndim: *mut usize,
) -> c_int {
    guard("ks_array_dims", || {
        let (to_dims, to_ndim) = (out(dims, "dims")?, out(ndim, "ndim")?);
        // SAFETY: the caller's promise.
        let a = unsafe { array(a, "a") }?;
        // SAFETY: the caller's promise.
        unsafe {
            to_dims.set(a.dims().as_ptr());
            to_ndim.set(a.ndim());
        }
        Ok(())
    })
}

/// Number of elements of `a` into `*out`. Borrows `a`. Fails when a pointer is NULL.
/// # Safety
/// `a` is a handle; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_array_size(a: *const KsArray, out: *mut usize) -> c_int {
    guard("ks_array_size", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        unsafe { to.set(array(a, "a")?.size()) };
        Ok(())
    })
}

/// Type of the elements of `a`, a KsDType, into `*out`. Borrows `a`. Fails when a pointer is NULL.
/// # Safety
/// `a` is a handle; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_array_dtype(a: *const KsArray, out: *mut i32) -> c_int {
    guard("ks_array_dtype", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        unsafe { to.set(array(a, "a")?.dtype() as i32) };
        Ok(())
    })
}

/// Where `a` lives: a KsDeviceType into `*device_type`, a number into `*device_id`. Borrows `a`.
/// Fails when a pointer is NULL.
/// # Safety
/// `a` is a handle; `device_type` and `device_id` are writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_array_device(
    a: *const KsArray,
    device_type: *mut i32,
    device_id: *mut i32,
) -> c_int {
    guard("ks_array_device", || {
        let (to_type, to_id) = (out(device_type, "device_type")?, out(device_id, "device_id")?);
        // SAFETY: the caller's promise.
        let device = unsafe { array(a, "a") }?.device();
        // SAFETY: the caller's promise.
        unsafe {
            to_type.set(device.kind());
            to_id.set(device.id());
        }
        Ok(())
    })
}

/// Says that the memory of `a` will be written by somebody who does not call ks_array_touch each time: nothing that is computed
/// from it is kept for a later call. Fails when a pointer is NULL.
/// # Safety
/// `a` is a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_array_share(a: *const KsArray) -> c_int {
    guard("ks_array_share", || {
        // SAFETY: the caller's promise.
        unsafe { array(a, "a") }?.tensor().storage().share();
        Ok(())
    })
}

/// Address of the first element of `a` into `*out`; the elements are contiguous and row-major. Borrows `a`; the
/// address is good as long as any array on the memory lives. Whoever writes there calls ks_array_touch afterwards.
/// Fails when a pointer is NULL.
/// # Safety
/// `a` is a handle; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_array_data(a: *const KsArray, out: *mut *mut c_void) -> c_int {
    guard("ks_array_data", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        unsafe { to.set(array(a, "a")?.tensor().span().bytes().cast()) };
        Ok(())
    })
}

/// How often the memory of `a` was changed in place, into `*out`; views share the count. Borrows `a`.
/// Fails when a pointer is NULL.
/// # Safety
/// `a` is a handle; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_array_version(a: *const KsArray, out: *mut u64) -> c_int {
    guard("ks_array_version", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        unsafe { to.set(array(a, "a")?.tensor().storage().version()) };
        Ok(())
    })
}

/// Says that the elements of `a` were changed from outside, so that the tape refuses a gradient that would need the
/// old ones. Borrows `a`. Fails when `a` is NULL.
/// # Safety
/// `a` is a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_array_touch(a: *mut KsArray) -> c_int {
    guard("ks_array_touch", || {
        // SAFETY: the caller's promise.
        unsafe { array(a, "a") }?.tensor().storage().bump();
        Ok(())
    })
}

/// Copies all elements of `a` to `dst`, row-major. Borrows `a`. Fails when `nbytes` is not the size of the array.
/// # Safety
/// `a` is a handle; `dst` has room for `nbytes` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_array_read(a: *const KsArray, dst: *mut c_void, nbytes: usize) -> c_int {
    guard("ks_array_read", || {
        // SAFETY: the caller's promise.
        let a = unsafe { array(a, "a") }?;
        check_bytes(nbytes, a.tensor())?;
        if nbytes > 0 {
            out(dst, "dst")?;
            // SAFETY: the sizes agree; `copy` allows the two to overlap.
            unsafe { ptr::copy(a.tensor().span().bytes(), dst.cast(), nbytes) };
        }
        Ok(())
    })
}

/// Copies `nbytes` bytes from `src` over all elements of `a` and counts a change in place. A copy from the host is never
/// refused by the tape; a gradient that needs the old elements is, later. Borrows `a`.
/// Fails when `nbytes` is not the size of the array.
/// # Safety
/// `a` is a handle; `src` points to `nbytes` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_array_write(a: *mut KsArray, src: *const c_void, nbytes: usize) -> c_int {
    guard("ks_array_write", || {
        // SAFETY: the caller's promise.
        let a = unsafe { array(a, "a") }?;
        check_bytes(nbytes, a.tensor())?;
        // SAFETY: the caller's promise.
        let from = unsafe { slice(src.cast::<u8>(), nbytes, "src") }?;
        // SAFETY: the sizes agree; `copy` allows the two to overlap.
        unsafe { ptr::copy(from.as_ptr(), a.tensor().span().bytes(), nbytes) };
        a.tensor().storage().bump();
        Ok(())
    })
}

/// The value of an array of one element, as a double, into `*out`. Borrows `a`. Fails when there are more or none.
/// # Safety
/// `a` is a handle; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_array_item(a: *const KsArray, out: *mut f64) -> c_int {
    guard("ks_array_item", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        unsafe { to.set(array(a, "a")?.item()?) };
        Ok(())
    })
}
