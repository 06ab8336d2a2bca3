//! A call as part of a compiled graph: its floating inputs and outputs are multiplied by 1, which changes nothing, so that there is
//! something to fuse with.

use super::abi::{self, Handle, Op, Outcome, check, raw};
use keshi_ffi::*;
use std::ffi::{CString, c_char, c_int};
use std::ptr;

/// A handle with the function that frees it.
struct Owned<T>(*mut T, unsafe extern "C" fn(*mut T));

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: owned, freed once.
        unsafe { self.1(self.0) }
    }
}

type Symbol = Owned<KsSymbol>;

fn symbol(f: impl FnOnce(*mut *mut KsSymbol) -> c_int) -> Outcome<Symbol> {
    let mut out = ptr::null_mut();
    check(f(&mut out))?;
    Ok(Owned(out, ks_symbol_free))
}

/// Texts that end in NUL, and pointers to them.
struct Texts {
    _owned: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl Texts {
    fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Outcome<Texts> {
        let owned: Vec<CString> =
            texts.into_iter().map(CString::new).collect::<Result<_, _>>().map_err(|e| e.to_string())?;
        Ok(Texts { pointers: owned.iter().map(|t| t.as_ptr()).collect(), _owned: owned })
    }
}

fn variable(i: usize) -> Outcome<Symbol> {
    let name = CString::new(format!("x{i}")).map_err(|e| e.to_string())?;
    // SAFETY: the name ends in NUL; there are no attributes.
    symbol(|out| unsafe { ks_symbol_variable(name.as_ptr(), 0, ptr::null(), ptr::null(), out) })
}

fn call(op: &Op, name: &str, attrs: &[(&str, String)], inputs: &[&Symbol]) -> Outcome<Symbol> {
    let name = Texts::of([name])?;
    let (keys, values) =
        (Texts::of(attrs.iter().map(|a| a.0))?, Texts::of(attrs.iter().map(|a| a.1.as_str()))?);
    let inputs: Vec<*mut KsSymbol> = inputs.iter().map(|s| s.0).collect();
    // SAFETY: all lists are as long as is said.
    symbol(|out| unsafe {
        ks_symbol_call(
            op.handle(),
            name.pointers[0],
            attrs.len(),
            keys.pointers.as_ptr(),
            values.pointers.as_ptr(),
            inputs.len(),
            ptr::null(),
            inputs.as_ptr(),
            out,
        )
    })
}

fn once(what: &Symbol, name: &str) -> Outcome<Symbol> {
    call(&Op::find("_mul_scalar")?, name, &[("scalar", "1".into())], &[what])
}

/// Calls an operator through a graph. `by_one` says which inputs and which of `visible` outputs are multiplied; new outputs come back after
/// `given`.
pub fn invoke(
    op: &Op,
    attrs: &[(&str, String)],
    inputs: &[&Handle],
    by_one: (&[bool], &[bool]),
    given: &[&Handle],
) -> Outcome<Vec<Handle>> {
    let mut arguments = Vec::new();
    for (i, by_one) in by_one.0.iter().enumerate() {
        let x = variable(i)?;
        arguments.push(if *by_one { once(&x, &format!("before{i}"))? } else { x });
    }
    let called = call(op, "called", attrs, &arguments.iter().collect::<Vec<_>>())?;
    let mut heads = Vec::new();
    for (i, by_one) in by_one.1.iter().enumerate() {
        // SAFETY: a live symbol.
        let y = symbol(|out| unsafe { ks_symbol_output(called.0, i, out) })?;
        heads.push(if *by_one { once(&y, &format!("after{i}"))? } else { y });
    }
    let heads: Vec<*mut KsSymbol> = heads.iter().map(|s| s.0).collect();
    // SAFETY: as many symbols as is said.
    let whole = symbol(|out| unsafe { ks_symbol_group(heads.len(), heads.as_ptr(), out) })?;
    let (keys, values) = (Texts::of(["inline_limit"])?, Texts::of(["0"])?);
    let mut cached = ptr::null_mut();
    // SAFETY: one flag.
    check(unsafe {
        ks_cached_op_new(whole.0, 1, keys.pointers.as_ptr(), values.pointers.as_ptr(), &mut cached)
    })?;
    let cached = Owned(cached, ks_cached_op_free);
    let (inputs, mut outputs, mut count) = (raw(inputs), raw(given), 0);
    outputs.resize(heads.len().max(given.len()), ptr::null_mut());
    // SAFETY: all lists are as long as is said.
    check(unsafe {
        ks_cached_op_invoke(
            cached.0,
            inputs.len(),
            inputs.as_ptr(),
            given.len(),
            outputs.len(),
            outputs.as_mut_ptr(),
            &mut count,
        )
    })?;
    outputs.truncate(count);
    Ok(abi::with_given(given, outputs))
}
