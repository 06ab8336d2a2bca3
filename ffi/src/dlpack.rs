//! DLPack: tensors of other libraries without a copy. The structs are those of its version 0.8 (unversioned tensors).

use crate::array::foreign;
use crate::guard::guard;
use crate::handle::{array, give, out, slice};
use crate::types::KsArray;
use keshi::shape::{Dims, show, size_of_dims};
use keshi::tensor::Tensor;
use keshi::{Array, DType, Device, Result, bail};
use std::ffi::{c_int, c_void};
use std::ptr;

#[repr(C)]
struct DLDevice {
    device_type: i32,
    device_id: i32,
}

#[repr(C)]
#[derive(Clone, Copy, PartialEq)]
struct DLDataType {
    code: u8,
    bits: u8,
    lanes: u16,
}

#[repr(C)]
struct DLTensor {
    data: *mut c_void,
    device: DLDevice,
    ndim: i32,
    dtype: DLDataType,
    shape: *mut i64,
    strides: *mut i64,
    byte_offset: u64,
}

#[repr(C)]
struct DLManagedTensor {
    dl_tensor: DLTensor,
    manager_ctx: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut DLManagedTensor)>,
}

/// kDLCPU.
const CPU: i32 = 1;
/// kDLCUDAHost: page-locked memory that the processor sees.
const CUDA_HOST: i32 = 3;

fn code_of(d: DType) -> DLDataType {
    let code = match d {
        DType::I8 | DType::I32 | DType::I64 => 0,
        DType::U8 => 1,
        DType::F16 | DType::F32 | DType::F64 => 2,
        DType::BF16 => 4,
        DType::Bool => 6,
    };
    DLDataType { code, bits: d.size() as u8 * 8, lanes: 1 }
}

fn dtype_of(c: DLDataType) -> Result<DType> {
    match DType::ALL.into_iter().find(|&d| code_of(d) == c) {
        Some(d) => Ok(d),
        None => bail!(
            Dtype,
            "no dtype is like this, got code {} of {} bits and {} lanes, want float32 float64 float16 bfloat16 uint8 int8 int32 int64 bool",
            c.code,
            c.bits,
            c.lanes
        ),
    }
}

/// An exported tensor and what it needs to live.
struct Export {
    managed: DLManagedTensor,
    shape: Vec<i64>,
    strides: Vec<i64>,
    _array: Array,
}

unsafe extern "C" fn delete_export(managed: *mut DLManagedTensor) {
    guard("dlpack deleter", || {
        if !managed.is_null() {
            // SAFETY: the context was made by `ks_array_to_dlpack`; a deleter is called once.
            drop(unsafe { Box::from_raw((*managed).manager_ctx.cast::<Export>()) });
        }
        Ok(())
    });
}

/// Exports `a` as a DLManagedTensor (unversioned, DLPack 0.8) on kDLCPU, without a copy, into `*out`. The tensor keeps the
/// memory alive: the caller, or whoever it passes the tensor to, calls the tensor's deleter once. Borrows `a`.
/// Whoever writes through the tensor calls ks_array_touch afterwards. Fails when a pointer is NULL.
/// # Safety
/// `a` is a handle; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_array_to_dlpack(a: *mut KsArray, out: *mut *mut c_void) -> c_int {
    guard("ks_array_to_dlpack", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        let a = unsafe { array(a, "a") }?.detach();
        a.tensor().storage().share();
        let shape: Vec<i64> = a.dims().iter().map(|&d| d as i64).collect();
        let mut strides = vec![1; shape.len()];
        for i in (1..shape.len()).rev() {
            strides[i - 1] = strides[i] * shape[i].max(1);
        }
        let dl_tensor = DLTensor {
            data: a.tensor().span().bytes().cast(),
            device: DLDevice { device_type: CPU, device_id: 0 },
            ndim: shape.len() as i32,
            dtype: code_of(a.dtype()),
            shape: ptr::null_mut(),
            strides: ptr::null_mut(),
            byte_offset: 0,
        };
        let managed =
            DLManagedTensor { dl_tensor, manager_ctx: ptr::null_mut(), deleter: Some(delete_export) };
        let export = Box::into_raw(Box::new(Export { managed, shape, strides, _array: a }));
        // SAFETY: the box was just made; its vectors do not move. The caller's promise for `out`.
        unsafe {
            let e = &mut *export;
            e.managed.dl_tensor.shape = e.shape.as_mut_ptr();
            e.managed.dl_tensor.strides = e.strides.as_mut_ptr();
            e.managed.manager_ctx = export.cast();
            to.set(ptr::from_mut(&mut e.managed).cast());
        }
        Ok(())
    })
}

unsafe extern "C" fn release(managed: *mut c_void) {
    let managed = managed.cast::<DLManagedTensor>();
    // SAFETY: import has taken ownership; this is called once.
    unsafe {
        if let Some(deleter) = (*managed).deleter {
            deleter(managed);
        }
    }
}

/// The shape, and the strides in elements where they are not those of row-major order.
///
/// # Safety
/// `t` is a valid tensor.
unsafe fn layout(t: &DLTensor) -> Result<(Dims, Option<Vec<i64>>)> {
    let Ok(n @ ..=32) = usize::try_from(t.ndim) else {
        bail!(Shape, "the number of axes is out of range, got {}, want 0 to 32", t.ndim)
    };
    // SAFETY: the caller's promise.
    let shape = unsafe { slice(t.shape.cast_const(), n, "shape") }?;
    let size = |&d: &i64| {
        usize::try_from(d).or_else(|_| bail!(Shape, "an axis is negative, got {d}, want 0 or more"))
    };
    let dims: Dims = shape.iter().map(size).collect::<Result<_>>()?;
    let total = size_of_dims(&dims)?;
    if t.strides.is_null() || total == 0 {
        return Ok((dims, None));
    }
    // SAFETY: the caller's promise.
    let strides = unsafe { slice(t.strides.cast_const(), n, "strides") }?;
    let mut want = 1;
    for (&d, &s) in shape.iter().zip(strides).rev() {
        if d != 1 && s != want {
            return Ok((dims, Some(strides.to_vec())));
        }
        want *= d;
    }
    Ok((dims, None))
}

/// Copies elements of `size` bytes with the given strides into row-major order.
///
/// # Safety
/// The strides lead to valid elements; `to` has room for all.
unsafe fn gather(from: *const u8, strides: &[i64], dims: &[usize], size: usize, to: *mut u8) {
    let total: usize = dims.iter().product();
    for i in 0..total {
        let (mut rest, mut at) = (i, 0);
        for (&d, &s) in dims.iter().zip(strides).rev() {
            at += (rest % d) as i64 * s;
            rest /= d;
        }
        // SAFETY: the caller's promise.
        unsafe { ptr::copy_nonoverlapping(from.offset(at as isize * size as isize), to.add(i * size), size) };
    }
}

/// Imports a DLManagedTensor (unversioned, DLPack 0.8) from kDLCPU or kDLCUDAHost: without a copy when it is row-major and aligned,
/// else as a copy. Takes ownership: the tensor's deleter is called when the last array on the memory goes (at once, when
/// it was copied). `*out` is the caller's, to be freed with ks_array_free.
/// Fails when the device or dtype is not taken or the shape is unusable; then the tensor stays the caller's.
/// # Safety
/// `managed` is NULL or a valid DLManagedTensor; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_array_from_dlpack(managed: *mut c_void, out: *mut *mut KsArray) -> c_int {
    guard("ks_array_from_dlpack", || {
        let to = self::out(out, "out")?;
        self::out(managed, "managed")?;
        // SAFETY: the caller's promise.
        let t = unsafe { &(*managed.cast::<DLManagedTensor>()).dl_tensor };
        if !matches!(t.device.device_type, CPU | CUDA_HOST) {
            bail!(Argument, "the device is not taken, got type {}, want {CPU} (cpu)", t.device.device_type);
        }
        let dtype = dtype_of(t.dtype)?;
        // SAFETY: the caller's promise.
        let (dims, strides) = unsafe { layout(t) }?;
        let nbytes = size_of_dims(&dims)? * dtype.size();
        if t.data.is_null() && nbytes > 0 {
            bail!(Argument, "the data is NULL, want {nbytes} bytes of shape {}", show(&dims));
        }
        let data = t.data.cast::<u8>().wrapping_add(t.byte_offset as usize);
        let a = if strides.is_none() && (data as usize).is_multiple_of(dtype.size()) {
            // SAFETY: the caller's promise.
            unsafe { foreign(data, nbytes, dtype, &dims, Some(release), managed) }?
        } else {
            let copy = Tensor::empty(&dims, dtype, Device::default())?;
            let strides =
                strides.unwrap_or_else(|| keshi::shape::row_major(&dims).iter().map(|&s| s as i64).collect());
            // SAFETY: the caller's promise; the tensor is new. Ownership was taken: the copy ends it.
            unsafe {
                gather(data, &strides, &dims, dtype.size(), copy.span().bytes());
                release(managed);
            }
            copy.into()
        };
        // SAFETY: the caller's promise.
        unsafe { to.set(give(a)) };
        Ok(())
    })
}
