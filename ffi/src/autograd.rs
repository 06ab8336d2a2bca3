//! Recording and going back. The modes belong to the calling thread.

use crate::guard::{guard, guard_or};
use crate::handle::{array, arrays, give, optional_arrays, out, refs, slice};
use crate::types::KsArray;
use keshi::autograd::mode;
use keshi::backward::{self, Options};
use keshi::{Array, GradReq, Result};
use smallvec::SmallVec;
use std::ffi::c_int;
use std::ptr;

/// Switches recording on this thread. What it was goes into `*previous` (0 or 1), which may be NULL. Always succeeds.
/// # Safety
/// `previous` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_set_recording(on: c_int, previous: *mut c_int) -> c_int {
    guard("ks_set_recording", || {
        let before = mode::set_recording(on != 0);
        if let Ok(to) = out(previous, "") {
            // SAFETY: the caller's promise.
            unsafe { to.set(before.into()) };
        }
        Ok(())
    })
}

/// Switches training mode on this thread. What it was goes into `*previous` (0 or 1), which may be NULL. Always
/// succeeds.
/// # Safety
/// `previous` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_set_training(on: c_int, previous: *mut c_int) -> c_int {
    guard("ks_set_training", || {
        let before = mode::set_training(on != 0);
        if let Ok(to) = out(previous, "") {
            // SAFETY: the caller's promise.
            unsafe { to.set(before.into()) };
        }
        Ok(())
    })
}

/// Whether this thread records, 0 or 1.
#[unsafe(no_mangle)]
pub extern "C" fn ks_is_recording() -> c_int {
    guard_or("ks_is_recording", 0, || mode::is_recording().into())
}

/// Whether this thread is in training mode, 0 or 1.
#[unsafe(no_mangle)]
pub extern "C" fn ks_is_training() -> c_int {
    guard_or("ks_is_training", 0, || mode::is_training().into())
}

/// Makes `a` a variable with a new gradient of zeros; its history is cut. `req` is a KsGradReq. Borrows `a`.
/// Fails when `req` is unknown or memory cannot be had.
/// # Safety
/// `a` is a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_attach_grad(a: *mut KsArray, req: i32) -> c_int {
    guard("ks_attach_grad", || {
        // SAFETY: the caller's promise.
        unsafe { array(a, "a") }?.attach_grad(GradReq::from_id(req)?)
    })
}

/// Makes each of `vars` a variable whose gradients go to the memory of `grads` at the same place; histories are cut.
/// `reqs` are KsGradReqs; NULL means KS_GRAD_WRITE for all. Borrows the arrays.
/// Fails when a gradient's shape or dtype is not its variable's; no array has been changed then.
/// # Safety
/// `vars`, `grads` and `reqs` point to `n` of each.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_mark_variables(
    n: usize,
    vars: *const *mut KsArray,
    grads: *const *mut KsArray,
    reqs: *const i32,
) -> c_int {
    guard("ks_mark_variables", || {
        // SAFETY: the caller's promise.
        let (vars, grads) = unsafe { (arrays(vars, n, "vars")?, arrays(grads, n, "grads")?) };
        let reqs: SmallVec<[GradReq; 4]> = if reqs.is_null() {
            vars.iter().map(|_| GradReq::Write).collect()
        } else {
            // SAFETY: the caller's promise.
            unsafe { slice(reqs, n, "reqs") }?.iter().map(|&r| GradReq::from_id(r)).collect::<Result<_>>()?
        };
        let before: SmallVec<[_; 4]> = vars.iter().map(|v| v.edge()).collect();
        let marked = vars.iter().zip(&grads).zip(reqs).try_for_each(|((v, g), r)| v.attach_grad_to(g, r));
        if marked.is_err() {
            vars.iter().zip(before).for_each(|(v, edge)| v.set_edge(edge));
        }
        marked
    })
}

/// The gradient of `a`, sharing memory with its buffer, into `*out`; NULL when `a` is no variable. Borrows `a`; `*out` is
/// the caller's, to be freed with ks_array_free. Fails when a pointer is NULL.
/// # Safety
/// `a` is a handle; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_array_grad(a: *const KsArray, out: *mut *mut KsArray) -> c_int {
    guard("ks_array_grad", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        unsafe { to.set(array(a, "a")?.grad().map_or(ptr::null_mut(), give)) };
        Ok(())
    })
}

/// Whether a backward pass has written the gradient of `a` since the flag was cleared (0 or 1) into `*out`. Borrows
/// `a`. Fails when a pointer is NULL.
/// # Safety
/// `a` is a handle; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_fresh_grad(a: *const KsArray, out: *mut c_int) -> c_int {
    guard("ks_fresh_grad", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        unsafe { to.set(array(a, "a")?.fresh_grad().into()) };
        Ok(())
    })
}

/// Sets or clears that flag; without effect on an array that is no variable. Borrows `a`. Fails when `a` is NULL.
/// # Safety
/// `a` is a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_set_fresh_grad(a: *mut KsArray, fresh: c_int) -> c_int {
    guard("ks_set_fresh_grad", || {
        // SAFETY: the caller's promise.
        unsafe { array(a, "a") }?.set_fresh_grad(fresh != 0);
        Ok(())
    })
}

fn options(retain_graph: c_int, create_graph: c_int, train_mode: c_int) -> Options {
    Options { retain_graph: retain_graph != 0, create_graph: create_graph != 0, train_mode: train_mode != 0 }
}

/// Differentiates `heads` and puts the gradients into the buffers of the variables. `head_grads` may be NULL, and so may
/// its elements: ones then. The graph is freed unless `retain_graph` or `create_graph`; with `create_graph` the pass
/// itself is recorded. Borrows the arrays.
/// Fails when a head has no history or its graph was freed, when a value that is needed was changed in place, or when
/// an operator has no gradient.
/// # Safety
/// `heads` points to `n` handles, `head_grads` to `n` handles or NULLs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_backward(
    n: usize,
    heads: *const *mut KsArray,
    head_grads: *const *mut KsArray,
    retain_graph: c_int,
    create_graph: c_int,
    train_mode: c_int,
) -> c_int {
    guard("backward", || {
        // SAFETY: the caller's promise.
        let (heads, grads) =
            unsafe { (arrays(heads, n, "heads")?, optional_arrays(head_grads, n, "head_grads")?) };
        let grads: SmallVec<[Option<&Array>; 4]> = grads.iter().map(|g| g.as_deref()).collect();
        backward::backward(&refs(&heads), &grads, options(retain_graph, create_graph, train_mode))
    })
}

/// Gradients of `heads` with respect to `vars` as new arrays, put into `out[0..num_vars)`; the buffers of the variables
/// stay as they are. All else is as with ks_backward. The arrays in `out` are the caller's, to be freed with
/// ks_array_free. Fails as ks_backward does, and when a variable is not reached from the heads.
/// # Safety
/// As ks_backward; `vars` points to `num_vars` handles, `out` has room for as many.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_grad(
    n: usize,
    heads: *const *mut KsArray,
    head_grads: *const *mut KsArray,
    num_vars: usize,
    vars: *const *mut KsArray,
    retain_graph: c_int,
    create_graph: c_int,
    train_mode: c_int,
    out: *mut *mut KsArray,
) -> c_int {
    guard("grad", || {
        if num_vars > 0 {
            self::out(out, "out")?;
        }
        // SAFETY: the caller's promise.
        let (heads, grads) =
            unsafe { (arrays(heads, n, "heads")?, optional_arrays(head_grads, n, "head_grads")?) };
        // SAFETY: the caller's promise.
        let vars = unsafe { arrays(vars, num_vars, "vars") }?;
        let grads: SmallVec<[Option<&Array>; 4]> = grads.iter().map(|g| g.as_deref()).collect();
        let options = options(retain_graph, create_graph, train_mode);
        let found = backward::grad(&refs(&heads), &grads, &refs(&vars), options)?;
        for (i, g) in found.into_iter().enumerate() {
            // SAFETY: one gradient for each variable, for which there is room by the caller's promise.
            unsafe { out.add(i).write(give(g)) };
        }
        Ok(())
    })
}
