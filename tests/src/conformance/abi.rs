//! The C ABI as the runner uses it: handles that free themselves, failures as texts.

use keshi_ffi::*;
use std::ffi::{CStr, CString, c_int};
use std::ptr;

/// What an export said, or the text of its failure.
pub type Outcome<T> = Result<T, String>;

/// Turns a status into an outcome.
pub fn check(status: c_int) -> Outcome<()> {
    if status == 0 {
        return Ok(());
    }
    // SAFETY: the text is never NULL and ends in NUL.
    Err(unsafe { CStr::from_ptr(ks_last_error()) }.to_string_lossy().into_owned())
}

/// An array handle.
pub struct Handle(pub *mut KsArray);

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: owned, freed once.
        unsafe { ks_array_free(self.0) }
    }
}

/// Calls an export whose last argument is where a new handle goes.
pub fn made(f: impl FnOnce(*mut *mut KsArray) -> c_int) -> Outcome<Handle> {
    let mut out = ptr::null_mut();
    check(f(&mut out))?;
    Ok(Handle(out))
}

/// The handles of some arrays.
pub fn raw(arrays: &[&Handle]) -> Vec<*mut KsArray> {
    arrays.iter().map(|a| a.0).collect()
}

impl Handle {
    /// A second reference.
    pub fn retain(&self) -> Handle {
        // SAFETY: a live handle; retaining one cannot fail.
        made(|out| unsafe { ks_array_retain(self.0, out) }).expect("a live handle can be retained")
    }

    /// The gradient.
    pub fn grad(&self) -> Outcome<Handle> {
        // SAFETY: a live handle.
        let grad = made(|out| unsafe { ks_array_grad(self.0, out) })?;
        if grad.0.is_null() { Err("there is no gradient".into()) } else { Ok(grad) }
    }

    /// Makes it a variable.
    pub fn attach_grad(&self, req: KsGradReq) -> Outcome<()> {
        // SAFETY: a live handle.
        check(unsafe { ks_attach_grad(self.0, req as i32) })
    }
}

/// An operator with the names of its parameters.
pub struct Op {
    handle: *const KsOp,
    params: Vec<String>,
}

impl Op {
    /// The operator of that name.
    pub fn find(name: &str) -> Outcome<Op> {
        let name = CString::new(name).map_err(|e| e.to_string())?;
        let mut handle = ptr::null();
        // SAFETY: the name ends in NUL.
        check(unsafe { ks_op_find(name.as_ptr(), &mut handle) })?;
        let mut info = std::mem::MaybeUninit::<KsOpInfo>::uninit();
        // SAFETY: a valid place; on success it was written.
        let info = unsafe {
            check(ks_op_info(handle, info.as_mut_ptr()))?;
            info.assume_init()
        };
        let param = |i| {
            let mut p = std::mem::MaybeUninit::<KsParamInfo>::uninit();
            // SAFETY: as above; the name lives as long as the library.
            unsafe {
                check(ks_op_param(handle, i, p.as_mut_ptr()))?;
                Ok(CStr::from_ptr(p.assume_init().name).to_string_lossy().into_owned())
            }
        };
        Ok(Op { handle, params: (0..info.num_params).map(param).collect::<Outcome<_>>()? })
    }

    /// The operator itself.
    pub fn handle(&self) -> *const KsOp {
        self.handle
    }

    /// Index of a parameter. An operator without any takes every name and ignores it.
    pub fn param(&self, name: &str) -> Outcome<u32> {
        match self.params.iter().position(|p| p == name) {
            Some(i) => Ok(i as u32),
            None if self.params.is_empty() => Ok(0),
            None => Err(format!("there is no parameter '{name}', want one of {}", self.params.join(", "))),
        }
    }

    /// Calls the operator; the first outputs are written into `given`, new ones come back after them.
    pub fn invoke(
        &self,
        inputs: &[&Handle],
        index: &[u32],
        values: &[KsValue],
        given: &[&Handle],
    ) -> Outcome<Vec<Handle>> {
        let inputs = raw(inputs);
        let mut outputs = raw(given);
        let mut capacity = outputs.len().max(1);
        loop {
            outputs.resize(capacity, ptr::null_mut());
            let mut count = 0;
            // SAFETY: all lists are as long as is said.
            let status = unsafe {
                ks_op_invoke(
                    self.handle,
                    inputs.len(),
                    inputs.as_ptr(),
                    index.len(),
                    index.as_ptr(),
                    values.as_ptr(),
                    given.len(),
                    capacity,
                    outputs.as_mut_ptr(),
                    &mut count,
                )
            };
            if status != 0 && count > capacity {
                capacity = count;
                continue;
            }
            check(status)?;
            outputs.truncate(count);
            return Ok(with_given(given, outputs));
        }
    }
}

/// All outputs of a call that wrote the first into `given` and made the others.
pub fn with_given(given: &[&Handle], mut outputs: Vec<*mut KsArray>) -> Vec<Handle> {
    let new = outputs.split_off(given.len());
    given.iter().map(|g| g.retain()).chain(new.into_iter().map(Handle)).collect()
}

/// Sets recording and training until it is dropped.
pub struct Modes {
    recording: c_int,
    training: c_int,
}

impl Modes {
    /// Sets both.
    pub fn set(recording: bool, training: bool) -> Modes {
        let (mut r, mut t) = (0, 0);
        // SAFETY: valid places; these calls cannot fail.
        unsafe {
            ks_set_recording(recording.into(), &mut r);
            ks_set_training(training.into(), &mut t);
        }
        Modes { recording: r, training: t }
    }
}

impl Drop for Modes {
    fn drop(&mut self) {
        // SAFETY: NULL is allowed.
        unsafe {
            ks_set_recording(self.recording, ptr::null_mut());
            ks_set_training(self.training, ptr::null_mut());
        }
    }
}

/// Goes back from `heads`.
pub fn backward(heads: &[&Handle], grads: &[Option<&Handle>], retain: bool, train: bool) -> Outcome<()> {
    let heads = raw(heads);
    let grads: Vec<_> = grads.iter().map(|g| g.map_or(ptr::null_mut(), |g| g.0)).collect();
    // SAFETY: both lists are as long as is said.
    check(unsafe { ks_backward(heads.len(), heads.as_ptr(), grads.as_ptr(), retain.into(), 0, train.into()) })
}

/// Gradients of `heads` with respect to `vars`.
pub fn grad(
    heads: &[&Handle],
    grads: &[Option<&Handle>],
    vars: &[&Handle],
    retain: bool,
    create: bool,
) -> Outcome<Vec<Handle>> {
    let (heads, vars) = (raw(heads), raw(vars));
    let grads: Vec<_> = grads.iter().map(|g| g.map_or(ptr::null_mut(), |g| g.0)).collect();
    let mut out = vec![ptr::null_mut(); vars.len()];
    // SAFETY: all lists are as long as is said.
    check(unsafe {
        ks_grad(
            heads.len(),
            heads.as_ptr(),
            grads.as_ptr(),
            vars.len(),
            vars.as_ptr(),
            retain.into(),
            create.into(),
            1,
            out.as_mut_ptr(),
        )
    })?;
    Ok(out.into_iter().map(Handle).collect())
}
