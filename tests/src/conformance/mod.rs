//! Conformance: replays recorded calls and programs through the C ABI, as a C program would, and compares the results.
//! The format of a case: a JSON object a line; calls have `op attrs inputs outputs …`, programs have `steps`.

pub mod abi;
pub mod attrs;
pub mod call;
pub mod compare;
pub mod graph;
pub mod program;
pub mod report;
pub mod tensor;

use compare::Check;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Field `name`, or null when there is none.
pub(crate) fn field<'a>(v: &'a Value, name: &str) -> &'a Value {
    v.get(name).unwrap_or(&Value::Null)
}

/// The items of field `name`; none when there is no such list.
pub(crate) fn list<'a>(v: &'a Value, name: &str) -> &'a [Value] {
    field(v, name).as_array().map_or(&[], Vec::as_slice)
}

/// The text of field `name`.
pub(crate) fn text<'a>(v: &'a Value, name: &str) -> &'a str {
    field(v, name).as_str().unwrap_or("")
}

/// How an operator is called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By itself, with typed parameters.
    Typed,
    /// By itself, with parameters as text.
    Text,
    /// As part of a compiled graph. Programs and calls that are to fail are called by themselves.
    Graph,
}

/// A recorded case.
pub struct Case {
    /// The operator, or `program`.
    pub op: String,
    /// The file without ending.
    pub family: String,
    /// The case as it was recorded.
    pub body: Value,
}

impl Case {
    /// Replays the case.
    pub fn run(&self, way: Way) -> Check {
        let mut check = Check::new(field(&self.body, "tol"));
        let outcome = match self.body.get("steps") {
            Some(_) => program::run(&self.body, way, &mut check),
            None => call::run(&self.body, way, &mut check),
        };
        if let Err(e) = outcome {
            check.fail(e);
        }
        check
    }
}

/// All files below `path` that end in `.jsonl`, or `path` itself.
fn files(path: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if path.is_dir() {
        let mut entries =
            std::fs::read_dir(path)?.map(|e| Ok(e?.path())).collect::<std::io::Result<Vec<_>>>()?;
        entries.sort();
        entries.iter().try_for_each(|e| files(e, found))
    } else {
        if path.extension().is_some_and(|e| e == "jsonl") {
            found.push(path.into());
        }
        std::fs::metadata(path).map(drop)
    }
}

/// Reads all cases below a folder.
pub fn read(path: &Path) -> Result<Vec<Case>, String> {
    let mut found = Vec::new();
    files(path, &mut found).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut cases = Vec::new();
    for file in found {
        let family = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        for (i, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
            let body: Value =
                serde_json::from_str(line).map_err(|e| format!("{}:{}: {e}", file.display(), i + 1))?;
            let op = body.get("op").and_then(Value::as_str).unwrap_or("program").to_owned();
            cases.push(Case { op, family: family.clone(), body });
        }
    }
    Ok(cases)
}
