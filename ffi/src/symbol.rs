//! Symbols: graphs of calls, their parts, names, attributes and files.

use crate::guard::{guard, guard_or};
use crate::handle::{array, out, slice, text, texts};
use crate::reflect::entry;
use crate::types::{KsArray, KsOp, KsStrings, KsSymbol, KsSymbolList};
use keshi::graph::Symbol;
use keshi::{Result, bail, err};
use std::ffi::{CString, c_char, c_int};
use std::ptr;

const ARGUMENTS: i32 = KsSymbolList::KsListArguments as i32;
const OUTPUTS: i32 = KsSymbolList::KsListOutputs as i32;
const AUX: i32 = KsSymbolList::KsListAuxiliaryStates as i32;
const INPUTS: i32 = KsSymbolList::KsListInputs as i32;
const NAME: i32 = KsSymbolList::KsListName as i32;
const ATTRIBUTES: i32 = KsSymbolList::KsListAttributes as i32;
const ALL_ATTRIBUTES: i32 = KsSymbolList::KsListAllAttributes as i32;
const JSON: i32 = KsSymbolList::KsListJson as i32;

/// The symbol of a handle.
/// # Safety
/// `s` is NULL or a symbol that is not freed while the result is used.
pub(crate) unsafe fn symbol<'a>(s: *const KsSymbol) -> Result<&'a Symbol> {
    // SAFETY: symbols come from `give`.
    unsafe { s.cast::<Symbol>().as_ref() }
        .ok_or_else(|| err!(Argument, "symbol is not usable, got NULL, want a valid pointer"))
}

fn give(s: Symbol) -> *mut KsSymbol {
    Box::into_raw(Box::new(s)).cast()
}

/// # Safety
/// `list` points to `n` symbols.
unsafe fn symbols<'a>(list: *const *mut KsSymbol, n: usize) -> Result<Vec<&'a Symbol>> {
    // SAFETY: the caller's promise.
    unsafe { slice(list, n, "symbols") }?.iter().map(|&s| unsafe { symbol(s) }).collect()
}

/// Keys with their values.
/// # Safety
/// `keys` and `values` point to `n` strings each.
pub(crate) unsafe fn pairs<'a>(
    n: usize,
    keys: *const *const c_char,
    values: *const *const c_char,
) -> Result<Vec<(&'a str, &'a str)>> {
    // SAFETY: the caller's promise.
    let (keys, values) = unsafe { (texts(keys, n)?, texts(values, n)?) };
    if keys.len() != n || values.len() != n {
        bail!(Argument, "keys or values are not usable, got NULL, want a valid pointer");
    }
    Ok(keys.into_iter().zip(values).collect())
}

pub(crate) fn give_strings(list: Vec<String>) -> *mut KsStrings {
    let list: Vec<CString> =
        list.into_iter().map(|s| CString::new(s.replace('\0', "")).unwrap_or_default()).collect();
    Box::into_raw(Box::new(list)).cast()
}

/// # Safety
/// `s` is NULL or texts that are not freed while the result is used.
unsafe fn strings<'a>(s: *const KsStrings) -> Result<&'a [CString]> {
    // SAFETY: texts come from `give_strings`.
    let list = unsafe { s.cast::<Vec<CString>>().as_ref() };
    Ok(list.ok_or_else(|| err!(Argument, "strings are not usable, got NULL, want a valid pointer"))?)
}

/// A variable with `n` attributes into `*out`. Bare keys such as `lr_mult` are stored as `__lr_mult__`; `__shape__` and
/// `__dtype__` are used by inference. `*out` is the caller's, to be freed with ks_symbol_free. Fails when the name is empty.
/// # Safety
/// `name` is a string; `keys` and `values` point to `n` strings each; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_symbol_variable(
    name: *const c_char,
    n: usize,
    keys: *const *const c_char,
    values: *const *const c_char,
    out: *mut *mut KsSymbol,
) -> c_int {
    guard("ks_symbol_variable", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        let variable = unsafe { Symbol::variable(text(name, "name")?, &pairs(n, keys, values)?) }?;
        // SAFETY: the caller's promise.
        unsafe { to.set(give(variable)) };
        Ok(())
    })
}

/// A call of `op` into `*out`. The `num_attrs` attributes are its parameters as text, and others. Inputs are given in order or,
/// unless `input_names` is NULL, by name; those that are not given become variables called `name_input`. Borrows everything;
/// `*out` is the caller's, to be freed with ks_symbol_free. Fails when a parameter or an input does not fit, or an input has
/// several outputs.
/// # Safety
/// `op` is an operator; `name` is a string; `keys` and `values` point to `num_attrs` strings each, `inputs` to `num_inputs`
/// symbols, `input_names` to as many strings unless it is NULL; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_symbol_call(
    op: *const KsOp,
    name: *const c_char,
    num_attrs: usize,
    keys: *const *const c_char,
    values: *const *const c_char,
    num_inputs: usize,
    input_names: *const *const c_char,
    inputs: *const *mut KsSymbol,
    out: *mut *mut KsSymbol,
) -> c_int {
    guard("ks_symbol_call", || {
        let to = self::out(out, "out")?;
        let def = entry(op)?.def;
        // SAFETY: the caller's promise.
        let (attrs, names) = unsafe { (pairs(num_attrs, keys, values)?, texts(input_names, num_inputs)?) };
        // SAFETY: the caller's promise.
        let call =
            unsafe { Symbol::call(def, text(name, "name")?, &attrs, &names, &symbols(inputs, num_inputs)?) }?;
        // SAFETY: the caller's promise.
        unsafe { to.set(give(call)) };
        Ok(())
    })
}

/// The outputs of `n` symbols as one symbol into `*out`, which is the caller's, to be freed with ks_symbol_free. Borrows the
/// symbols. Fails when there are none.
/// # Safety
/// `list` points to `n` symbols; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_symbol_group(
    n: usize,
    list: *const *mut KsSymbol,
    out: *mut *mut KsSymbol,
) -> c_int {
    guard("ks_symbol_group", || {
        let to = self::out(out, "out")?;
        if n == 0 {
            bail!(Argument, "a group needs a symbol, got none");
        }
        // SAFETY: the caller's promise.
        unsafe { to.set(give(Symbol::group(&symbols(list, n)?))) };
        Ok(())
    })
}

/// A copy of `s` in which the variables called `names` are replaced by the outputs of `n` other symbols, and the head is called
/// `name`, unless that is NULL or empty. Borrows everything; `*out` is the caller's, to be freed with ks_symbol_free. Fails when
/// there is no variable of a name.
/// # Safety
/// `s` is a symbol; `name` is NULL or a string; `names` points to `n` strings, `with` to `n` symbols; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_symbol_compose(
    s: *const KsSymbol,
    name: *const c_char,
    n: usize,
    names: *const *const c_char,
    with: *const *mut KsSymbol,
    out: *mut *mut KsSymbol,
) -> c_int {
    guard("ks_symbol_compose", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        let (s, names, with) = unsafe { (symbol(s)?, texts(names, n)?, symbols(with, n)?) };
        // SAFETY: the caller's promise.
        let name = if name.is_null() { "" } else { unsafe { text(name, "name") }? };
        // SAFETY: the caller's promise.
        unsafe { to.set(give(s.compose(name, &names, &with)?)) };
        Ok(())
    })
}

/// Another handle on the symbol into `*out`, which is the caller's, to be freed with ks_symbol_free. Fails when a pointer is
/// NULL.
/// # Safety
/// `s` is a symbol; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_symbol_retain(s: *const KsSymbol, out: *mut *mut KsSymbol) -> c_int {
    guard("ks_symbol_retain", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        unsafe { to.set(give(symbol(s)?.clone())) };
        Ok(())
    })
}

/// The recorded calls that made the array `a` as a symbol into `*out`, which is the caller's, to be freed with ks_symbol_free.
/// Borrows `a`. Fails when `a` has no history.
/// # Safety
/// `a` is a handle; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_symbol_recorded(a: *const KsArray, out: *mut *mut KsSymbol) -> c_int {
    guard("get_symbol", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        unsafe { to.set(give(Symbol::recorded(&*array(a, "a")?)?)) };
        Ok(())
    })
}

/// Frees a symbol. NULL is fine; freeing one twice is the caller's fault.
/// # Safety
/// `s` is NULL or a symbol, not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_symbol_free(s: *mut KsSymbol) {
    guard_or("ks_symbol_free", (), || {
        if !s.is_null() {
            // SAFETY: the caller's promise; it came from `give`.
            drop(unsafe { Box::from_raw(s.cast::<Symbol>()) });
        }
    })
}

/// Reads a graph from the text of one of MXNet's files, of any version. `*out` is the caller's, to be freed with
/// ks_symbol_free. Fails when the text is no graph.
/// # Safety
/// `json` is a string; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_symbol_from_json(json: *const c_char, out: *mut *mut KsSymbol) -> c_int {
    guard("ks_symbol_from_json", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        unsafe { to.set(give(Symbol::from_json(text(json, "json")?)?)) };
        Ok(())
    })
}

/// What is asked for of a symbol into `*out`, which is the caller's, to be freed with ks_strings_free. `what` is a KsSymbolList.
/// Fails when `what` is unknown.
/// # Safety
/// `s` is a symbol; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_symbol_list(s: *const KsSymbol, what: i32, out: *mut *mut KsStrings) -> c_int {
    guard("ks_symbol_list", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        let s = unsafe { symbol(s) }?;
        let list = match what {
            ARGUMENTS => s.list_arguments(),
            OUTPUTS => s.list_outputs(),
            AUX => s.list_auxiliary_states(),
            INPUTS => s.list_inputs(),
            NAME => s.name().map(str::to_owned).into_iter().collect(),
            ATTRIBUTES => s.attrs().into_iter().flat_map(|(k, v)| [k, v]).collect(),
            ALL_ATTRIBUTES => s.attrs_below().into_iter().flat_map(|(n, k, v)| [n, k, v]).collect(),
            JSON => vec![s.to_json()],
            _ => bail!(Argument, "unknown list of a symbol, got {what}, want 0 to 7"),
        };
        // SAFETY: the caller's promise.
        unsafe { to.set(give_strings(list)) };
        Ok(())
    })
}

/// The attribute `key` of the node that all outputs are of, in either of its spellings, into `*out` as one text, or none when
/// there is no such attribute. `*out` is the caller's, to be freed with ks_strings_free. Fails when a pointer is NULL.
/// # Safety
/// `s` is a symbol; `key` is a string; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_symbol_attr(
    s: *const KsSymbol,
    key: *const c_char,
    out: *mut *mut KsStrings,
) -> c_int {
    guard("ks_symbol_attr", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        let value = unsafe { symbol(s)?.attr(text(key, "key")?) };
        // SAFETY: the caller's promise.
        unsafe { to.set(give_strings(value.into_iter().collect())) };
        Ok(())
    })
}

/// Changes an attribute of the node that all outputs are of, for all symbols that have it. Fails when there are several nodes,
/// or when a parameter would become one that does not fit.
/// # Safety
/// `s` is a symbol; `key` and `value` are strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_symbol_set_attr(
    s: *mut KsSymbol,
    key: *const c_char,
    value: *const c_char,
) -> c_int {
    guard("ks_symbol_set_attr", || {
        // SAFETY: the caller's promise.
        unsafe { symbol(s)?.set_attr(text(key, "key")?, text(value, "value")?) }
    })
}

/// The outputs of all nodes below, inputs before their users, as one symbol into `*out`, which is the caller's, to be freed with
/// ks_symbol_free. Fails when a pointer is NULL.
/// # Safety
/// `s` is a symbol; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_symbol_internals(s: *const KsSymbol, out: *mut *mut KsSymbol) -> c_int {
    guard("ks_symbol_internals", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        unsafe { to.set(give(symbol(s)?.internals())) };
        Ok(())
    })
}

/// The inputs of the nodes of the outputs as one symbol into `*out`, NULL where there are none. `*out` is the caller's, to be
/// freed with ks_symbol_free. Fails when a pointer is NULL.
/// # Safety
/// `s` is a symbol; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_symbol_children(s: *const KsSymbol, out: *mut *mut KsSymbol) -> c_int {
    guard("ks_symbol_children", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        unsafe { to.set(symbol(s)?.children().map_or(ptr::null_mut(), give)) };
        Ok(())
    })
}

/// Output `i` as a symbol into `*out`, which is the caller's, to be freed with ks_symbol_free. Fails when there is no such output.
/// # Safety
/// `s` is a symbol; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_symbol_output(s: *const KsSymbol, i: usize, out: *mut *mut KsSymbol) -> c_int {
    guard("ks_symbol_output", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        unsafe { to.set(give(symbol(s)?.output(i)?)) };
        Ok(())
    })
}

/// The number of texts into `*out`. Fails when a pointer is NULL.
/// # Safety
/// `s` is a list of texts; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_strings_len(s: *const KsStrings, out: *mut usize) -> c_int {
    guard("ks_strings_len", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        unsafe { to.set(strings(s)?.len()) };
        Ok(())
    })
}

/// Text number `i` into `*out`; it lives as long as the list. Fails when there is no such text.
/// # Safety
/// `s` is a list of texts; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_strings_get(s: *const KsStrings, i: usize, out: *mut *const c_char) -> c_int {
    guard("ks_strings_get", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        let list = unsafe { strings(s) }?;
        let Some(text) = list.get(i) else {
            bail!(Argument, "there is no text number {i}, want less than {}", list.len())
        };
        // SAFETY: the caller's promise.
        unsafe { to.set(text.as_ptr()) };
        Ok(())
    })
}

/// Frees a list of texts. NULL is fine; freeing one twice is the caller's fault.
/// # Safety
/// `s` is NULL or a list of texts, not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_strings_free(s: *mut KsStrings) {
    guard_or("ks_strings_free", (), || {
        if !s.is_null() {
            // SAFETY: the caller's promise; it came from `give_strings`.
            drop(unsafe { Box::from_raw(s.cast::<Vec<CString>>()) });
        }
    })
}
