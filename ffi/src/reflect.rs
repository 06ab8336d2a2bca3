//! Operators as C sees them: found by name, listed, described. Texts are made once, when first asked for.

use crate::guard::{guard, guard_or};
use crate::handle::out;
use crate::types::{KsOp, KsOpInfo, KsParamInfo};
use keshi::error::{Error, ErrorKind};
use keshi::ops::def::{Arity, OpDef};
use keshi::ops::params::{ParamSpec, Params};
use keshi::ops::{self, value::Value};
use keshi::{Result, bail};
use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr;
use std::sync::OnceLock;

/// What stands behind a `KsOp`.
pub(crate) struct Entry {
    pub(crate) def: &'static OpDef,
    /// The parameters when none is given; `None` when some is required.
    pub(crate) defaults: Option<Params>,
    /// Index of the parameter `scalar`.
    pub(crate) scalar: Option<usize>,
    /// Index of the parameter that counts the inputs.
    pub(crate) count: Option<usize>,
    texts: OnceLock<Texts>,
}

struct Table {
    /// The public operators first.
    entries: Box<[Entry]>,
    public: usize,
    names: HashMap<&'static str, usize>,
}

/// What an operator's infos point to.
struct Texts {
    info: KsOpInfo,
    params: Vec<KsParamInfo>,
}

// SAFETY: the pointers lead to leaked, immutable text.
unsafe impl Send for Texts {}
// SAFETY: as above.
unsafe impl Sync for Texts {}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        let internal = |op: &&'static OpDef| op.name.starts_with("_ks_");
        let public = ops::all().filter(|op| !internal(op));
        let entries: Box<[Entry]> = public.chain(ops::all().filter(internal)).map(Entry::new).collect();
        let names = entries
            .iter()
            .enumerate()
            .flat_map(|(i, e)| e.def.aliases.iter().chain([&e.def.name]).map(move |name| (*name, i)));
        let (names, public) = (names.collect(), ops::all().filter(|op| !internal(op)).count());
        Table { entries, public, names }
    })
}

impl Entry {
    fn new(def: &'static OpDef) -> Entry {
        let specs = (def.params.specs)();
        let find = |name: &str| specs.iter().position(|s| s.name == name);
        Entry {
            def,
            defaults: (def.params.parse)(&[]).ok(),
            scalar: find("scalar"),
            count: if let Arity::Variadic(Some(name)) = def.arity { find(name) } else { None },
            texts: OnceLock::new(),
        }
    }

    /// Parses values by index; `inputs` counts the inputs of the call.
    pub(crate) fn parse(&self, given: &mut Vec<(usize, Value)>, inputs: usize) -> Result<Params> {
        if let Some(count) = self.count
            && !given.iter().any(|(i, _)| *i == count)
        {
            given.push((count, Value::Int(inputs as i64)));
        }
        match &self.defaults {
            Some(p) if given.is_empty() => Ok(p.clone()),
            _ => (self.def.params.parse)(given).map_err(|e| e.within(self.def.name)),
        }
    }

    fn texts(&self) -> &Texts {
        self.texts.get_or_init(|| {
            let def = self.def;
            let specs = (def.params.specs)();
            let info = KsOpInfo {
                name: leak(def.name),
                doc: leak(def.doc),
                num_aliases: def.aliases.len(),
                aliases: leak_all(def.aliases),
                num_inputs: def.inputs.len(),
                inputs: leak_all(def.inputs),
                variadic: matches!(def.arity, Arity::Variadic(_)),
                num_args_param: self.count.map_or(-1, |i| i as i32),
                num_params: specs.len(),
                other_params: def.params.others,
            };
            Texts { info, params: specs.iter().map(param_info).collect() }
        })
    }
}

/// Texts of the table live as long as the library.
fn leak(text: &str) -> *const c_char {
    CString::new(text.replace('\0', "")).unwrap_or_default().into_raw()
}

fn leak_all(texts: &[&str]) -> *const *const c_char {
    Box::leak(texts.iter().map(|t| leak(t)).collect::<Box<[_]>>()).as_ptr()
}

fn param_info(p: &ParamSpec) -> KsParamInfo {
    KsParamInfo {
        name: leak(p.name),
        type_text: leak(&type_text(p)),
        default_text: p.default.as_deref().map_or(ptr::null(), leak),
        doc: leak(p.doc),
        required: p.default.is_none(),
    }
}

/// A parameter's type as MXNet writes it. It quotes the defaults of integers, texts and choices.
fn type_text(p: &ParamSpec) -> String {
    let t = &p.type_text;
    match &p.default {
        None => format!("{t}, required"),
        Some(d) if t.starts_with('{') => format!("{t},optional, default='{d}'"),
        Some(d) if matches!(t.as_str(), "int" | "int or None" | "string") => {
            format!("{t}, optional, default='{d}'")
        }
        Some(d) => format!("{t}, optional, default={d}"),
    }
}

/// The operator behind a handle. Anything that is not one of the table's is refused.
#[inline]
pub(crate) fn entry(op: *const KsOp) -> Result<&'static Entry> {
    let entries = &table().entries;
    let at = (op as usize).wrapping_sub(entries.as_ptr() as usize);
    match entries.get(at / size_of::<Entry>()) {
        Some(e) if at.is_multiple_of(size_of::<Entry>()) => Ok(e),
        _ => Err(not_an_operator(op)),
    }
}

#[cold]
fn not_an_operator(op: *const KsOp) -> Error {
    Error::new(
        ErrorKind::Argument,
        format!("op is not an operator, got {op:p}, want one from ks_op_find or ks_op_at"),
    )
}

/// Number of public operators.
#[unsafe(no_mangle)]
pub extern "C" fn ks_op_count() -> usize {
    guard_or("ks_op_count", 0, || table().public)
}

/// Operator number `i` into `*out`; static, never freed. Fails when `i` is not below ks_op_count.
/// # Safety
/// `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_op_at(i: usize, out: *mut *const KsOp) -> c_int {
    guard("ks_op_at", || {
        let to = self::out(out, "out")?;
        let t = table();
        if i >= t.public {
            bail!(Argument, "there is no operator number {i}, want less than {}", t.public);
        }
        // SAFETY: the caller's promise.
        unsafe { to.set(ptr::from_ref(&t.entries[i]).cast()) };
        Ok(())
    })
}

/// The operator of that name or alias into `*out`; static, never freed. Fails when there is none.
/// # Safety
/// `name` is NULL or ends in NUL; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_op_find(name: *const c_char, out: *mut *const KsOp) -> c_int {
    guard("ks_op_find", || {
        let to = self::out(out, "out")?;
        self::out(name.cast_mut(), "name")?;
        // SAFETY: the caller's promise.
        let name = unsafe { CStr::from_ptr(name) }.to_string_lossy();
        let t = table();
        let Some(&i) = t.names.get(&*name) else {
            bail!(UnknownOp, "there is no operator of that name, got '{name}', want one that ks_op_at lists")
        };
        // SAFETY: the caller's promise.
        unsafe { to.set(ptr::from_ref(&t.entries[i]).cast()) };
        Ok(())
    })
}

/// Describes an operator. What `*out` points to lives as long as the library. Fails when a pointer is NULL or `op` is
/// not an operator.
/// # Safety
/// `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_op_info(op: *const KsOp, out: *mut KsOpInfo) -> c_int {
    guard("ks_op_info", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        unsafe { to.set(entry(op)?.texts().info) };
        Ok(())
    })
}

/// Describes parameter `i` of an operator. What `*out` points to lives as long as the library. Fails when there is no
/// such parameter.
/// # Safety
/// `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_op_param(op: *const KsOp, i: usize, out: *mut KsParamInfo) -> c_int {
    guard("ks_op_param", || {
        let to = self::out(out, "out")?;
        let params = &entry(op)?.texts().params;
        let Some(info) = params.get(i) else {
            bail!(Param, "there is no parameter number {i}, want less than {}", params.len())
        };
        // SAFETY: the caller's promise.
        unsafe { to.set(*info) };
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_written_as_upstream_writes_them() {
        let text = |t: &str, d: Option<&str>| {
            type_text(&ParamSpec { name: "p", doc: "", type_text: t.into(), default: d.map(Into::into) })
        };
        assert_eq!(text("int", Some("1")), "int, optional, default='1'");
        assert_eq!(text("{'relu', 'tanh'}", None), "{'relu', 'tanh'}, required");
        assert_eq!(text("{None, 'int8'}", Some("None")), "{None, 'int8'},optional, default='None'");
        assert_eq!(text("float or None", Some("None")), "float or None, optional, default=None");
        assert_eq!(text("boolean", Some("0")), "boolean, optional, default=0");
        assert_eq!(text("Shape(tuple)", Some("[]")), "Shape(tuple), optional, default=[]");
    }

    #[test]
    fn only_operators_are_operators() {
        let mut op = ptr::null();
        // SAFETY: `op` is valid for the write.
        assert_eq!(unsafe { ks_op_find(c"broadcast_plus".as_ptr(), &mut op) }, 0);
        assert_eq!(entry(op).unwrap().def.name, "broadcast_add");
        for wrong in [ptr::null(), op.wrapping_byte_add(8), ptr::from_ref(&wrong_place()).cast()] {
            assert!(entry(wrong).is_err());
        }
        // SAFETY: `op` is valid for the write.
        assert_eq!(unsafe { ks_op_find(c"_ks_rows".as_ptr(), &mut op) }, 0);
        // SAFETY: `op` is valid for the write.
        assert_eq!(unsafe { ks_op_at(ks_op_count(), &mut op) }, -1);
    }

    fn wrong_place() -> u64 {
        0
    }
}
