//! Calls of operators: values of parameters come in typed, and go through the runtime's single door.

use crate::guard::{guard, guard_or};
use crate::handle::{array, array_or_null, arrays, give, out, refs, slice};
use crate::reflect::{Entry, entry};
use crate::types::{KsArray, KsOp, KsParams, KsTag, KsValue};
use keshi::ops::params::Params;
use keshi::ops::value::Value;
use keshi::{Array, Result, bail, invoke};
use std::ffi::c_int;

const NONE: i32 = KsTag::KsNone as i32;
const BOOL: i32 = KsTag::KsBool as i32;
const INT: i32 = KsTag::KsInt as i32;
const FLOAT: i32 = KsTag::KsFloat as i32;
const STR: i32 = KsTag::KsStr as i32;
const INTS: i32 = KsTag::KsInts as i32;
const FLOATS: i32 = KsTag::KsFloats as i32;

/// A value from C.
///
/// # Safety
/// What the tag says is there.
unsafe fn value(v: &KsValue) -> Result<Value> {
    // SAFETY: the tag says which field is set, by the caller's promise.
    unsafe {
        Ok(match v.tag {
            NONE => Value::None,
            BOOL => Value::Bool(v.r#as.i != 0),
            INT => Value::Int(v.r#as.i),
            FLOAT => Value::Float(v.r#as.f),
            STR => match str::from_utf8(slice(v.r#as.s.cast::<u8>(), v.len, "text")?) {
                Ok(s) => Value::Str(s.to_owned()),
                Err(e) => bail!(Param, "a text is not UTF-8: {e}"),
            },
            INTS => Value::Ints(slice(v.r#as.ints, v.len, "ints")?.into()),
            FLOATS => Value::Floats(slice(v.r#as.floats, v.len, "floats")?.to_vec()),
            tag => bail!(Argument, "unknown tag of a value, got {tag}, want 0 to 6"),
        })
    }
}

/// Values from C by parameter index.
///
/// # Safety
/// `index` and `values` point to `n` of each.
pub(crate) unsafe fn values(
    n: usize,
    index: *const u32,
    values: *const KsValue,
) -> Result<Vec<(usize, Value)>> {
    // SAFETY: the caller's promise.
    let (index, values) = unsafe { (slice(index, n, "index")?, slice(values, n, "values")?) };
    // SAFETY: the caller's promise.
    index.iter().zip(values).map(|(&i, v)| Ok((i as usize, unsafe { value(v) }?))).collect()
}

/// What stands behind a `KsParams`.
struct Parsed {
    entry: &'static Entry,
    params: Params,
    /// The values, for an operator whose inputs are counted only when it is called.
    uncounted: Option<Vec<(usize, Value)>>,
}

/// Parses a parameter set once, for many calls: `index[i]` is the index of the parameter that gets `values[i]`.
/// `*out` is the caller's, to be freed with ks_params_free; `index` and `values` may be freed afterwards.
/// Fails when a parameter is unknown, malformed or missing.
/// # Safety
/// `index` and `values` point to `n` of each, and each value to what its tag says; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_params_new(
    op: *const KsOp,
    n: usize,
    index: *const u32,
    values: *const KsValue,
    out: *mut *mut KsParams,
) -> c_int {
    guard("ks_params_new", || {
        let to = self::out(out, "out")?;
        let entry = entry(op)?;
        // SAFETY: the caller's promise.
        let given = unsafe { self::values(n, index, values) }.map_err(|e| e.within(entry.def.name))?;
        let counted = entry.count.is_none_or(|c| given.iter().any(|(i, _)| *i == c));
        let uncounted = (!counted).then(|| given.clone());
        let params = entry.parse(&mut { given }, 1)?;
        let set = Box::new(Parsed { entry, params, uncounted });
        // SAFETY: the caller's promise.
        unsafe { to.set(Box::into_raw(set).cast()) };
        Ok(())
    })
}

/// Frees a parameter set. NULL is fine; freeing one twice is the caller's fault.
/// # Safety
/// `p` is NULL or a parameter set, not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_params_free(p: *mut KsParams) {
    guard_or("ks_params_free", (), || {
        if !p.is_null() {
            // SAFETY: the caller's promise; it came from `ks_params_new`.
            drop(unsafe { Box::from_raw(p.cast::<Parsed>()) });
        }
    })
}

/// The arrays that a call works on, as C gives them.
struct Call {
    inputs: *const *mut KsArray,
    num_inputs: usize,
    outputs: *mut *mut KsArray,
    num_given: usize,
    capacity: usize,
    num_outputs: *mut usize,
}

impl Call {
    /// # Safety
    /// As [`ks_op_invoke`].
    unsafe fn run(self, entry: &'static Entry, params: &Params) -> Result<()> {
        let def = entry.def;
        let to_count = out(self.num_outputs, "num_outputs")?;
        let visible = (def.visible)(params);
        if visible > self.capacity {
            // SAFETY: the caller's promise.
            unsafe { to_count.set(visible) };
            bail!(Argument, "too little room for the outputs, got {}, want {visible}", self.capacity);
        }
        if self.num_given > visible {
            bail!(Argument, "{} arrays were given for the result, want at most {visible}", self.num_given);
        }
        if visible > 0 {
            out(self.outputs, "outputs")?;
        }
        // SAFETY: the caller's promise.
        let inputs = unsafe { arrays(self.inputs, self.num_inputs, "inputs") }?;
        // SAFETY: the caller's promise.
        let given = unsafe { arrays(self.outputs.cast_const(), self.num_given, "outputs") }?;
        let results = invoke(def, &refs(&inputs), params, &refs(&given))?;
        for (i, a) in results.into_iter().enumerate().skip(self.num_given) {
            // SAFETY: `visible` outputs have room, by the caller's promise.
            unsafe { self.outputs.add(i).write(give(a)) };
        }
        // SAFETY: the caller's promise.
        unsafe { to_count.set(visible) };
        Ok(())
    }
}

/// Calls an operator: `index[i]` is the index of the parameter that gets `values[i]`.
/// `outputs[0..num_given)` are arrays to write into; they stay the caller's. Into the rest new arrays are put, which
/// are the caller's, to be freed with ks_array_free. `capacity` is the length of `outputs`. `*num_outputs` gets the number of visible outputs;
/// when `capacity` is too small, nothing has run, the call fails, and `*num_outputs` says what is needed.
/// Fails when inputs or parameters do not fit; nothing has been written then.
/// # Safety
/// `inputs` points to `num_inputs` handles, `index` and `values` to `num_params` of each, `outputs` to `capacity`
/// handles of which the first `num_given` are set; `num_outputs` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_op_invoke(
    op: *const KsOp,
    num_inputs: usize,
    inputs: *const *mut KsArray,
    num_params: usize,
    index: *const u32,
    values: *const KsValue,
    num_given: usize,
    capacity: usize,
    outputs: *mut *mut KsArray,
    num_outputs: *mut usize,
) -> c_int {
    guard("ks_op_invoke", || {
        let entry = entry(op)?;
        let call = Call { inputs, num_inputs, outputs, num_given, capacity, num_outputs };
        // SAFETY: the caller's promise.
        let run = || unsafe {
            let params = entry.parse(&mut self::values(num_params, index, values)?, num_inputs)?;
            call.run(entry, &params)
        };
        run().map_err(|e| e.within(entry.def.name))
    })
}

/// Calls an operator with a parameter set of its own. All else is as with ks_op_invoke.
/// # Safety
/// As ks_op_invoke; `params` is a parameter set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_op_invoke_params(
    op: *const KsOp,
    num_inputs: usize,
    inputs: *const *mut KsArray,
    params: *const KsParams,
    num_given: usize,
    capacity: usize,
    outputs: *mut *mut KsArray,
    num_outputs: *mut usize,
) -> c_int {
    guard("ks_op_invoke_params", || {
        let entry = entry(op)?;
        let call = Call { inputs, num_inputs, outputs, num_given, capacity, num_outputs };
        let run = || {
            out(params.cast_mut(), "params")?;
            // SAFETY: the caller's promise; it came from `ks_params_new`.
            let set = unsafe { &*params.cast::<Parsed>() };
            if !std::ptr::eq(set.entry, entry) {
                bail!(Argument, "the parameters are another operator's, got {}", set.entry.def.name);
            }
            match &set.uncounted {
                // SAFETY: the caller's promise.
                None => unsafe { call.run(entry, &set.params) },
                // SAFETY: the caller's promise.
                Some(given) => unsafe { call.run(entry, &entry.parse(&mut given.clone(), num_inputs)?) },
            }
        };
        run().map_err(|e| e.within(entry.def.name))
    })
}

/// Runs an operator of one output.
///
/// # Safety
/// `given` is NULL or a handle; `out` is NULL or writable.
#[inline]
unsafe fn run_one(
    entry: &'static Entry,
    inputs: &[&Array],
    params: &Params,
    given: *mut KsArray,
    out: *mut *mut KsArray,
) -> Result<()> {
    if (entry.def.visible)(params) != 1 {
        bail!(Argument, "this operator has {} outputs, want 1", (entry.def.visible)(params));
    }
    // SAFETY: the caller's promise.
    if let Some(given) = unsafe { array_or_null(given) } {
        return invoke(entry.def, inputs, params, &[&given]).map(drop);
    }
    let to = self::out(out, "out")?;
    let mut results = invoke(entry.def, inputs, params, &[])?;
    if let Some(a) = results.pop() {
        // SAFETY: the caller's promise.
        unsafe { to.set(give(a)) };
    }
    Ok(())
}

/// Calls an operator of one input whose only needed parameter is `scalar`, without any parsing.
/// `given` may be NULL or an array to write into; with it `*out` is not written. Else `*out` is the caller's, to be
/// freed with ks_array_free. Fails as ks_op_invoke does.
/// # Safety
/// `input` and `given` are handles; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_op_invoke_scalar(
    op: *const KsOp,
    input: *mut KsArray,
    scalar: f64,
    given: *mut KsArray,
    out: *mut *mut KsArray,
) -> c_int {
    guard("ks_op_invoke_scalar", || {
        let entry = entry(op)?;
        let run = || {
            let Some(i) = entry.scalar else { bail!(Param, "this operator has no parameter 'scalar'") };
            let params = (entry.def.params.parse)(&[(i, Value::Float(scalar))])?;
            // SAFETY: the caller's promise.
            unsafe { run_one(entry, &[&*array(input, "input")?], &params, given, out) }
        };
        run().map_err(|e| e.within(entry.def.name))
    })
}

/// Calls an operator of two inputs that needs no parameters.
/// `given` may be NULL or an array to write into; with it `*out` is not written. Else `*out` is the caller's, to be
/// freed with ks_array_free. Fails as ks_op_invoke does.
/// # Safety
/// `lhs`, `rhs` and `given` are handles; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_op_invoke_binary(
    op: *const KsOp,
    lhs: *mut KsArray,
    rhs: *mut KsArray,
    given: *mut KsArray,
    out: *mut *mut KsArray,
) -> c_int {
    guard("ks_op_invoke_binary", || {
        let entry = entry(op)?;
        let run = || {
            let parsed;
            let params = match &entry.defaults {
                Some(p) => p,
                None => {
                    parsed = entry.parse(&mut Vec::new(), 2)?;
                    &parsed
                }
            };
            // SAFETY: the caller's promise.
            unsafe { run_one(entry, &[&*array(lhs, "lhs")?, &*array(rhs, "rhs")?], params, given, out) }
        };
        run().map_err(|e| e.within(entry.def.name))
    })
}
