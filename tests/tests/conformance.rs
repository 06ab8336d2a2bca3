//! The recorded cases in `tests/data/conformance` (what MXNet 1.9.1 computed; the format is in `keshi_tests::conformance`)
//! through the C ABI, and the operator table against MXNet's own list.

use keshi_ffi::*;
use keshi_tests::conformance::abi::check;
use keshi_tests::conformance::{Way, read, report::Report};
use serde_json::Value;
use std::ffi::{CStr, CString, c_char};
use std::path::{Path, PathBuf};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/conformance")
}

/// Cases where we do otherwise, on purpose; `docs/differences.md` has the reasons.
const DIFFERENT: [&str; 4] = [
    // MXNet multiplies by the output instead of the gradient that came from above.
    "outputs/SoftmaxOutput-A011",
    // MXNet's second derivatives of arcsinh and arccosh have the wrong sign; by a head gradient they are 0.
    "seq-A-50-second_arcsinh",
    "seq-A-51-second_arccosh",
    "seq-A-67-second_wrt_head_grad",
];

fn all_pass(way: Way) {
    let mut report = Report::default();
    let mut different = Vec::new();
    for case in read(&data().join("cases")).unwrap() {
        let (check, id) = (case.run(way), case.body["id"].as_str().unwrap_or_default());
        match DIFFERENT.iter().find(|d| **d == id) {
            Some(d) if !check.passed() => different.push(*d),
            // A listed case that passes should leave the list.
            Some(d) => panic!("{d} passes now"),
            None => report.add(&case, &check),
        }
    }
    let (passed, failed) = report.totals();
    assert!(passed > 2600, "only {passed} cases passed");
    assert_eq!(failed, 0, "{}", report.text(false));
    assert_eq!(different, DIFFERENT);
}

#[test]
fn cases_pass_with_typed_parameters() {
    all_pass(Way::Typed);
}

#[test]
fn cases_pass_with_parameters_as_text() {
    all_pass(Way::Text);
}

#[test]
fn cases_pass_as_parts_of_compiled_graphs() {
    all_pass(Way::Graph);
}

fn text(p: *const c_char) -> Option<String> {
    // SAFETY: the library's texts end in NUL and live as long as it does.
    (!p.is_null()).then(|| unsafe { CStr::from_ptr(p) }.to_string_lossy().into_owned())
}

fn texts(p: *const *const c_char, n: usize) -> Vec<String> {
    // SAFETY: n texts, by the ABI's word.
    (0..n).filter_map(|i| text(unsafe { *p.add(i) })).collect()
}

/// A parameter: its name and default; `None` where it must be given.
type Param = (String, Option<String>);

fn params(op: *const KsOp, info: &KsOpInfo) -> Result<Vec<Param>, String> {
    let mut all = Vec::new();
    for i in 0..info.num_params {
        let mut p = std::mem::MaybeUninit::<KsParamInfo>::uninit();
        // SAFETY: `p` is writable, and written when the call succeeds.
        let p = unsafe {
            check(ks_op_param(op, i, p.as_mut_ptr()))?;
            p.assume_init()
        };
        all.push((text(p.name).unwrap_or_default(), text(p.default_text)));
    }
    Ok(all)
}

/// Whether two defaults mean the same: as float32, for MXNet writes 0.9 as 0.899999976; it has several words for none, and
/// an empty context is the current one.
fn same_default(ours: &str, theirs: &str) -> bool {
    let plain = |s: &str| s.trim_matches('\'').to_owned();
    let (a, b) = (plain(ours), plain(theirs));
    let number = |s: &str| s.parse::<f64>().ok().map(|v| v as f32);
    let none = |s: &str| ["None", "[]", "", "cpu(0)"].contains(&s);
    a == b || (number(&a).is_some() && number(&a) == number(&b)) || (none(&a) && none(&b))
}

/// How our table differs from one entry of MXNet's list. Ours may take more parameters, if they are optional or count inputs.
fn difference(listed: &Value) -> Result<(), String> {
    let word = |v: &Value, key: &str| v[key].as_str().map(str::to_owned);
    let all = |key: &str| listed[key].as_array().cloned().unwrap_or_default();
    let inputs: Vec<String> = all("inputs").iter().filter_map(|i| word(i, "name")).collect();
    let wanted: Vec<(String, bool, Option<String>)> = all("params")
        .iter()
        .map(|p| (word(p, "name").unwrap_or_default(), p["required"] == true, word(p, "default")))
        .collect();
    let aliases = all("aliases").into_iter().filter_map(|a| a.as_str().map(str::to_owned));
    for name in aliases.chain(word(listed, "name")) {
        let c_name = CString::new(name.clone()).unwrap();
        let mut op = std::ptr::null();
        let mut info = std::mem::MaybeUninit::<KsOpInfo>::uninit();
        // SAFETY: both places are writable, and written when the calls succeed.
        let info = unsafe {
            check(ks_op_find(c_name.as_ptr(), &mut op))?;
            check(ks_op_info(op, info.as_mut_ptr()))?;
            info.assume_init()
        };
        if info.variadic != listed["variadic"].as_bool().unwrap_or_default() {
            return Err(format!("{name}: variadic is {}", info.variadic));
        }
        let ours = texts(info.inputs, info.num_inputs);
        if !info.variadic && !ours.starts_with(&inputs) {
            return Err(format!("{name}: inputs are {ours:?}, want {inputs:?}"));
        }
        let found = params(op, &info)?;
        let mut rest = found.iter();
        for (param, required, default) in &wanted {
            let Some((_, got)) = rest.find(|(n, _)| n == param) else {
                let names: Vec<&String> = found.iter().map(|(n, _)| n).collect();
                return Err(format!("{name}: no parameter {param} at its place among {names:?}"));
            };
            let alike = match (got, default) {
                (Some(a), Some(b)) => same_default(a, b),
                (None, None) => true,
                (None, Some(_)) => false,
                // A default where MXNet wants a value is kinder.
                (Some(_), None) => !required,
            };
            if !alike {
                return Err(format!("{name}: default of {param} is {got:?}, want {default:?}"));
            }
        }
        for (param, default) in found.iter().filter(|(n, _)| !wanted.iter().any(|w| w.0 == *n)) {
            if default.is_none() && param != "num_args" {
                return Err(format!("{name}: {param} must be given, which MXNet does not know"));
            }
        }
    }
    Ok(())
}

#[test]
fn the_table_is_what_mxnet_lists() {
    let list = std::fs::read_to_string(data().join("ops.json")).unwrap();
    let list: Vec<Value> = serde_json::from_str(&list).unwrap();
    assert!(list.len() > 300);
    let found: Vec<String> = list.iter().filter_map(|listed| difference(listed).err()).collect();
    assert!(found.is_empty(), "{} operators differ:\n{}", found.len(), found.join("\n"));
}
