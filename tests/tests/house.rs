//! The house stays as it was drawn: dependencies point one way, no circle appears, and what is confined to one file
//! stays there. Reads the imports of `runtime/`, `ffi/` and `perl/`; a failure names the file and what it must not use.

#[path = "house/imports.rs"]
mod imports;

use imports::{Module, files, read_crate};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The one knot: gradient rules in `ops` are written with recorded operators on `Array`.
const KNOT: (&str, [&str; 3]) = ("ops", ["array", "invoke", "fluent"]);

/// What only these files of `runtime/src` may touch.
const CONFINED: [(&str, &str); 5] = [
    ("rayon", "kernels/par"),
    ("wide", "simd/portable"),
    ("gemm", "kernels/product"),
    ("std::arch", "simd/"),
    ("core::arch", "simd/"),
];

/// What of `ops` the graph and the C ABI may use: how operators are described and found, none of their tables.
const OPS_WITHOUT_NAMES: [&str; 9] =
    ["all", "def", "find", "infer", "params", "rewrite", "samples", "value", "vjp"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().into()
}

/// The modules of `runtime/src` from the bottom up, as the documentation at the top of `lib.rs` lists them: a file may use
/// only what stands before it, and its own module.
fn order_of_modules() -> Vec<String> {
    let text = std::fs::read_to_string(root().join("runtime/src/lib.rs")).unwrap();
    let doc: String = text.lines().map_while(|line| line.strip_prefix("//!")).collect();
    let list = doc.split("stands above it here:").nth(1).and_then(|rest| rest.split('.').next());
    let quoted = list.expect("lib.rs opens with the order of its modules").split('`').skip(1).step_by(2);
    quoted.flat_map(str::split_whitespace).map(Into::into).collect()
}

fn is_knot(from: &Module, to: &Module) -> bool {
    from[0] == KNOT.0 && KNOT.1.contains(&to[0].as_str())
}

/// Fails with one line per finding.
fn expect_none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

#[test]
fn runtime_depends_downwards_only() {
    let order = order_of_modules();
    let rank = |module: &Module| order.iter().position(|m| *m == module[0]);
    let mut found = Vec::new();
    for (module, file) in read_crate(&root().join("runtime/src")) {
        if module.is_empty() {
            continue;
        }
        let name = module.join("/");
        let Some(here) = rank(&module) else {
            found
                .push(format!("{name}: not in the order of modules at the top of lib.rs; give it its place"));
            continue;
        };
        for target in &file.inner {
            let allowed = rank(target).is_some_and(|there| there <= here) || is_knot(&module, target);
            if !allowed {
                found.push(format!("{name} uses {}, which stands above it", target.join("/")));
            }
        }
    }
    expect_none("dependencies that point the wrong way", &found);
}

#[test]
fn what_is_confined_stays_where_it_is() {
    let mut found = Vec::new();
    for (module, file) in read_crate(&root().join("runtime/src")) {
        let name = module.join("/");
        for path in &file.outer {
            for (what, home) in CONFINED {
                let is_it =
                    path == what || path.strip_prefix(what).is_some_and(|rest| rest.starts_with("::"));
                if is_it && !name.starts_with(home) && name != home.trim_end_matches('/') {
                    found.push(format!("{name} uses {path}; only {home} may"));
                }
            }
        }
    }
    expect_none("what is confined has spread", &found);
}

#[test]
fn no_circles_between_files() {
    let mut found = Vec::new();
    for part in ["runtime", "ffi"] {
        let uses: BTreeMap<String, BTreeSet<String>> = read_crate(&root().join(part).join("src"))
            .into_iter()
            .filter(|(module, _)| !module.is_empty())
            .map(|(module, file)| {
                // A folder's mod.rs and its files are one subject; their order is checked between siblings.
                let is_family = |to: &Module| to.starts_with(&module) || module.starts_with(to);
                let targets = file.inner.iter().filter(|to| !is_family(to) && !is_knot(&module, to));
                (module.join("/"), targets.map(|to| to.join("/")).collect())
            })
            .collect();
        found.extend(circles(&uses).into_iter().map(|circle| format!("{part}: {circle}")));
    }
    expect_none("files that use each other in a circle", &found);
}

#[test]
fn crates_depend_downwards_only() {
    let ours = |part: &str| -> Vec<String> {
        let text = std::fs::read_to_string(root().join(part).join("Cargo.toml")).unwrap();
        let names = text.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
        names.filter(|name| name.starts_with("keshi")).map(Into::into).collect()
    };
    assert_eq!(ours("runtime"), Vec::<String>::new(), "the runtime knows nothing above it");
    assert_eq!(ours("ffi"), ["keshi"], "the C ABI knows the runtime only");
}

#[test]
fn graph_and_abi_name_no_operator() {
    let names: BTreeSet<&str> =
        keshi::ops::all().flat_map(|op| op.aliases.iter().chain([&op.name]).copied()).collect();
    let mut found = Vec::new();
    for part in ["runtime", "ffi"] {
        for (module, file) in read_crate(&root().join(part).join("src")) {
            if part == "runtime" && module.first().is_none_or(|m| m != "graph") {
                continue;
            }
            let at = format!("{part}/{}", module.join("/"));
            // Views are exports of their own, and say so in their errors.
            let own = |l: &str| at == "ffi/view" && matches!(l, "slice" | "reshape");
            for literal in file.literals.iter().filter(|l| names.contains(l.as_str()) && !own(l)) {
                found.push(format!("{at} names the operator \"{literal}\""));
            }
            let inner = file.inner.iter().filter(|m| m[0] == "ops").filter_map(|m| m.get(1));
            let outer = file
                .outer
                .iter()
                .filter_map(|path| path.strip_prefix("keshi::ops::")?.split("::").next().map(str::to_string));
            for table in inner.cloned().chain(outer).filter(|m| !OPS_WITHOUT_NAMES.contains(&m.as_str())) {
                found.push(format!("{at} reaches into the table {table}"));
            }
        }
    }
    expect_none("they replay whatever the table holds", &found);
}

#[test]
fn perl_sees_the_abi_only() {
    let perl = root().join("perl");
    let mut found = Vec::new();
    for path in files(&perl.join("xs"), "h")
        .into_iter()
        .chain(files(&perl.join("xs"), "xs"))
        .chain([perl.join("Keshi.xs")])
    {
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            let header = line.trim().strip_prefix("#include \"").and_then(|rest| rest.split('"').next());
            if let Some(header) = header.filter(|h| !h.starts_with("xs/") && h.contains('/')) {
                found.push(format!("{} includes {header}", path.display()));
            }
        }
    }
    expect_none("of the library, Perl's C code sees keshi.h alone", &found);
}

#[test]
fn perl_modules_load_in_no_circle() {
    let lib = root().join("perl/lib");
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in files(&lib, "pm") {
        let name =
            path.strip_prefix(&lib).unwrap().with_extension("").display().to_string().replace('/', "::");
        let mut loaded = loaded_by(&std::fs::read_to_string(&path).unwrap());
        // A module and its parts are one subject, as a folder's mod.rs and its files are: a base class loads those that extend it.
        let is_part = |a: &str, b: &str| {
            a.strip_prefix(b).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        loaded.retain(|other| !is_part(&name, other) && !is_part(other, &name));
        uses.insert(name, loaded);
    }
    expect_none("modules that load each other in a circle", &circles(&uses));
}

/// Modules of ours that a Perl file loads, its documentation left out.
fn loaded_by(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut is_pod = false;
    for line in text.lines().take_while(|line| *line != "__END__") {
        if line.starts_with('=') {
            is_pod = !line.starts_with("=cut");
        }
        let line = line.trim_start();
        if !is_pod && ["use ", "require ", "extends ", "with "].iter().any(|word| line.starts_with(word)) {
            let words = line.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
            found.extend(words.filter(|word| word.starts_with("AI::MXNet")).map(Into::into));
        }
    }
    found
}

/// Each circle once, as `a -> b -> a`.
fn circles(uses: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    fn visit<'a>(
        uses: &'a BTreeMap<String, BTreeSet<String>>,
        at: &'a str,
        trail: &mut Vec<&'a str>,
        done: &mut BTreeSet<&'a str>,
        found: &mut Vec<String>,
    ) {
        if let Some(start) = trail.iter().position(|t| *t == at) {
            found.push(format!("{} -> {at}", trail[start..].join(" -> ")));
            return;
        }
        if done.contains(at) {
            return;
        }
        trail.push(at);
        for next in uses.get(at).into_iter().flatten() {
            visit(uses, next, trail, done, found);
        }
        trail.pop();
        done.insert(at);
    }
    let mut done = BTreeSet::new();
    let mut found = Vec::new();
    for start in uses.keys() {
        visit(uses, start, &mut Vec::new(), &mut done, &mut found);
    }
    found
}
