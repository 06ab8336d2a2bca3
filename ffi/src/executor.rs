//! Graphs that run: bound to arrays, or called like operators.

use crate::guard::{guard, guard_or};
use crate::handle::{arrays, give, optional_arrays, out, refs, slice, texts};
use crate::symbol::{give_strings, pairs, symbol};
use crate::types::{KsArray, KsCachedOp, KsExecutor, KsStrings, KsSymbol};
use keshi::graph::cached::CachedOp;
use keshi::graph::executor::{Binding, Executor, Monitor};
use keshi::{Array, Device, GradReq, Result, bail, err};
use std::ffi::{CString, c_char, c_int, c_void};

/// # Safety
/// `e` is NULL or an executor that is not freed while the result is used.
unsafe fn executor<'a>(e: *const KsExecutor) -> Result<&'a Executor> {
    // SAFETY: executors come from `ks_executor_bind`.
    unsafe { e.cast::<Executor>().as_ref() }
        .ok_or_else(|| err!(Argument, "executor is not usable, got NULL, want a valid pointer"))
}

/// Optional handles, of which the whole list may be missing.
/// # Safety
/// `list` is NULL or points to `n` handles or NULLs.
unsafe fn holes(list: *const *mut KsArray, n: usize, what: &str) -> Result<Vec<Option<Array>>> {
    // SAFETY: the caller's promise.
    Ok(unsafe { optional_arrays(list, n, what) }?.iter().map(|a| a.as_deref().cloned()).collect())
}

/// Binds a symbol to arrays. Lists are in the order of those of the symbol: `num_args` values of the arguments; as many arrays for
/// their gradients, any of which, or the whole list, may be NULL; as many KsGradReqs, or NULL for KS_GRAD_WRITE; `num_aux`
/// auxiliary states; `num_outputs` arrays for the outputs, any of which, or the whole list, may be NULL for new ones. The
/// executor shares memory with all of them. Nodes of a group, named by the attribute `ctx_group`, live on the device at the same
/// place, others where their inputs are, or on the given device. `*out` is the caller's, to be freed with ks_executor_free.
/// Fails when an array is missing or does not fit.
/// # Safety
/// `s` is a symbol; lists point to as many handles, numbers or strings as said; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_executor_bind(
    s: *const KsSymbol,
    device_type: i32,
    device_id: i32,
    num_args: usize,
    args: *const *mut KsArray,
    grads: *const *mut KsArray,
    reqs: *const i32,
    num_aux: usize,
    aux: *const *mut KsArray,
    num_outputs: usize,
    outputs: *const *mut KsArray,
    num_groups: usize,
    groups: *const *const c_char,
    group_device_types: *const i32,
    group_device_ids: *const i32,
    out: *mut *mut KsExecutor,
) -> c_int {
    guard("bind", || {
        let to = self::out(out, "out")?;
        let clone = |list: crate::handle::Arrays| list.iter().map(|a| (**a).clone()).collect();
        // SAFETY: the caller's promise.
        let (s, reqs) =
            unsafe { (symbol(s)?, if reqs.is_null() { &[][..] } else { slice(reqs, num_args, "reqs")? }) };
        // SAFETY: the caller's promise.
        let (names, types, ids) = unsafe {
            (
                texts(groups, num_groups)?,
                slice(group_device_types, num_groups, "group_device_types")?,
                slice(group_device_ids, num_groups, "group_device_ids")?,
            )
        };
        let group =
            |((name, &kind), &id): ((&&str, &i32), &i32)| Ok(((*name).to_owned(), Device::new(kind, id)?));
        // SAFETY: the caller's promise.
        let binding = unsafe {
            Binding {
                args: clone(arrays(args, num_args, "args")?),
                grads: holes(grads, num_args, "grads")?,
                reqs: reqs.iter().map(|&r| GradReq::from_id(r)).collect::<Result<_>>()?,
                aux: clone(arrays(aux, num_aux, "aux")?),
                outputs: holes(outputs, num_outputs, "outputs")?,
                device: Device::new(device_type, device_id)?,
                groups: names.iter().zip(types).zip(ids).map(group).collect::<Result<_>>()?,
            }
        };
        let bound = Executor::bind(s, binding)?;
        // SAFETY: the caller's promise.
        unsafe { to.set(Box::into_raw(Box::new(bound)).cast()) };
        Ok(())
    })
}

/// Frees an executor. NULL is fine; freeing one twice is the caller's fault.
/// # Safety
/// `e` is NULL or an executor, not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_executor_free(e: *mut KsExecutor) {
    guard_or("ks_executor_free", (), || {
        if !e.is_null() {
            // SAFETY: the caller's promise; it came from `ks_executor_bind`.
            drop(unsafe { Box::from_raw(e.cast::<Executor>()) });
        }
    })
}

/// Says which arguments seldom change between forward passes, as parameters do: `arguments` are places in the list of arguments. What
/// depends on them alone is then computed when they do. Results may differ by rounding. Call it before the first pass. Fails when there
/// is no such argument.
/// # Safety
/// `e` is an executor; `arguments` points to `n` numbers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_executor_set_parameters(
    e: *mut KsExecutor,
    n: usize,
    arguments: *const usize,
) -> c_int {
    // SAFETY: the caller's promise.
    guard("set_parameters", || unsafe { executor(e)?.set_parameters(slice(arguments, n, "arguments")?) })
}

/// Computes the outputs from the arguments as they are now, in training mode or not. Fails when a call of the graph does.
/// # Safety
/// `e` is an executor.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_executor_forward(e: *mut KsExecutor, training: c_int) -> c_int {
    // SAFETY: the caller's promise.
    guard("forward", || unsafe { executor(e) }?.forward(training != 0))
}

/// Goes back from the outputs and puts the gradients of the arguments where the binding says. `n` is 0 or the number of outputs;
/// gradients of the outputs that are NULL are ones. Borrows them. Fails when a gradient does not fit, or a call has none.
/// # Safety
/// `e` is an executor; `head_grads` points to `n` handles or NULLs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_executor_backward(
    e: *mut KsExecutor,
    n: usize,
    head_grads: *const *mut KsArray,
    training: c_int,
) -> c_int {
    guard("backward", || {
        // SAFETY: the caller's promise.
        let (e, grads) = unsafe { (executor(e)?, optional_arrays(head_grads, n, "head_grads")?) };
        let grads: Vec<Option<&Array>> = grads.iter().map(|g| g.as_deref()).collect();
        e.backward(&grads, training != 0)
    })
}

/// The outputs, put into `out[0..capacity)`: the same memory before and after every forward pass, unless a shape depends on
/// values. They are the caller's, to be freed with ks_array_free. Fails when `capacity` is not the number of outputs, or the shape
/// of one is not known before a forward pass.
/// # Safety
/// `e` is an executor; `out` has room for `capacity` handles.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_executor_outputs(
    e: *const KsExecutor,
    capacity: usize,
    out: *mut *mut KsArray,
) -> c_int {
    guard("outputs", || {
        // SAFETY: the caller's promise.
        let outputs = unsafe { executor(e) }?.outputs()?;
        if outputs.len() != capacity {
            bail!(
                Argument,
                "there is no room for exactly all outputs, got {capacity}, want {}",
                outputs.len()
            );
        }
        self::out(out, "out")?;
        for (i, a) in outputs.into_iter().enumerate() {
            // SAFETY: there is room for `capacity`, by the caller's promise.
            unsafe { out.add(i).write(give(a)) };
        }
        Ok(())
    })
}

/// What a monitor is: it sees arrays by name, borrowed, and returns 0, or -1 to end the pass with an error.
pub type KsMonitor =
    Option<unsafe extern "C" fn(name: *const c_char, array: *mut KsArray, payload: *mut c_void) -> c_int>;

/// A pointer of the caller's that goes to its monitor.
struct Payload(*mut c_void);

// SAFETY: the library only hands it back; whoever uses an executor from several threads promises that its monitor can.
unsafe impl Send for Payload {}
// SAFETY: as above.
unsafe impl Sync for Payload {}

/// Makes `monitor` see every output of every call as it is computed and, going back, the gradients of their inputs as
/// `name_backward_input`. NULL ends it. `payload` is handed to each call of it.
/// Fails when `e` is NULL.
/// # Safety
/// `e` is an executor; `monitor` may be called with `payload` as long as it is set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_executor_set_monitor(
    e: *mut KsExecutor,
    monitor: KsMonitor,
    payload: *mut c_void,
) -> c_int {
    guard("set_monitor", || {
        // SAFETY: the caller's promise.
        let e = unsafe { executor(e) }?;
        let payload = Payload(payload);
        e.set_monitor(monitor.map(|monitor| -> Monitor {
            Box::new(move |name, array| {
                let payload = &payload;
                let name = CString::new(name).unwrap_or_default();
                let handle = give(array.clone());
                // SAFETY: the caller's promise.
                let status = unsafe { monitor(name.as_ptr(), handle, payload.0) };
                // SAFETY: the handle is ours; the monitor only borrowed it.
                unsafe { crate::array::ks_array_free(handle) };
                if status == 0 { Ok(()) } else { Err(err!(Argument, "the monitor refused to go on")) }
            })
        }));
        Ok(())
    })
}

/// The calls of an executor as one text into `*out`, which is the caller's, to be freed with ks_strings_free. Fails when a pointer
/// is NULL.
/// # Safety
/// `e` is an executor; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_executor_describe(e: *const KsExecutor, out: *mut *mut KsStrings) -> c_int {
    guard("ks_executor_describe", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        unsafe { to.set(give_strings(vec![executor(e)?.describe()])) };
        Ok(())
    })
}

/// A symbol that can be called like an operator into `*out`, which is the caller's, to be freed with ks_cached_op_free. Flags
/// (`static_alloc`, `static_shape`, `inline_limit`, …) are hints. Fails when a flag is unknown.
/// # Safety
/// `s` is a symbol; `keys` and `values` point to `n` strings each; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_cached_op_new(
    s: *const KsSymbol,
    n: usize,
    keys: *const *const c_char,
    values: *const *const c_char,
    out: *mut *mut KsCachedOp,
) -> c_int {
    guard("ks_cached_op_new", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        let op = unsafe { CachedOp::new(symbol(s)?, &pairs(n, keys, values)?) }?;
        // SAFETY: the caller's promise.
        unsafe { to.set(Box::into_raw(Box::new(op)).cast()) };
        Ok(())
    })
}

/// Frees a callable symbol. NULL is fine; freeing one twice is the caller's fault.
/// # Safety
/// `c` is NULL or a callable symbol, not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_cached_op_free(c: *mut KsCachedOp) {
    guard_or("ks_cached_op_free", (), || {
        if !c.is_null() {
            // SAFETY: the caller's promise; it came from `ks_cached_op_new`.
            drop(unsafe { Box::from_raw(c.cast::<CachedOp>()) });
        }
    })
}

/// What compiling did for the last kind of call into `*out`, which is the caller's, to be freed with ks_strings_free: names and
/// numbers in turn (`traced` calls, those `left`, bytes `planned` for values in between, …). An empty list when that was not
/// compiled. Fails when a pointer is NULL.
/// # Safety
/// `c` is a callable symbol; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_cached_op_report(c: *const KsCachedOp, out: *mut *mut KsStrings) -> c_int {
    guard("ks_cached_op_report", || {
        let to = self::out(out, "out")?;
        // SAFETY: callable symbols come from `ks_cached_op_new`.
        let op = unsafe { c.cast::<CachedOp>().as_ref() };
        let op = op.ok_or_else(|| err!(Argument, "c is not usable, got NULL, want a valid pointer"))?;
        let report = op.report().map(|r| r.numbers()).unwrap_or_default();
        let texts = report.into_iter().flat_map(|(name, n)| [name.to_owned(), n.to_string()]).collect();
        // SAFETY: the caller's promise.
        unsafe { to.set(give_strings(texts)) };
        Ok(())
    })
}

/// Calls a symbol on the values of its variables, in the order of KS_LIST_INPUTS. Recorded while the thread records.
/// `outputs[0..num_given)` are arrays to write into; they stay the caller's. Into the rest new arrays are put, which are the
/// caller's, to be freed with ks_array_free. `*num_outputs` gets the number of outputs; when `capacity` is smaller, nothing has
/// run, the call fails, and `*num_outputs` says what is needed. Borrows the inputs. Fails when inputs do not fit.
/// # Safety
/// `c` is a callable symbol; `inputs` points to `num_inputs` handles, `outputs` to `capacity` handles of which the first
/// `num_given` are set; `num_outputs` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_cached_op_invoke(
    c: *const KsCachedOp,
    num_inputs: usize,
    inputs: *const *mut KsArray,
    num_given: usize,
    capacity: usize,
    outputs: *mut *mut KsArray,
    num_outputs: *mut usize,
) -> c_int {
    guard("CachedOp", || {
        let to_count = out(num_outputs, "num_outputs")?;
        // SAFETY: callable symbols come from `ks_cached_op_new`.
        let op = unsafe { c.cast::<CachedOp>().as_ref() };
        let op = op.ok_or_else(|| err!(Argument, "c is not usable, got NULL, want a valid pointer"))?;
        let n = op.num_outputs();
        if n > capacity || num_given > n {
            // SAFETY: the caller's promise.
            unsafe { to_count.set(n) };
            bail!(
                Argument,
                "there is no room for the outputs, got {capacity} places with {num_given} arrays, want {n}"
            );
        }
        out(outputs, "outputs")?;
        // SAFETY: the caller's promise.
        let (inputs, given) = unsafe {
            (arrays(inputs, num_inputs, "inputs")?, arrays(outputs.cast_const(), num_given, "outputs")?)
        };
        let results = op.call(&refs(&inputs), &refs(&given))?;
        for (i, a) in results.into_iter().enumerate().skip(num_given) {
            // SAFETY: there is room for all outputs, by the caller's promise.
            unsafe { outputs.add(i).write(give(a)) };
        }
        // SAFETY: the caller's promise.
        unsafe { to_count.set(n) };
        Ok(())
    })
}
