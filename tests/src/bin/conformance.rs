//! Replays recorded cases through the C ABI and compares.
//!
//!     conformance [--op NAME]... [--family FILE]... [--text|--graph] [--quiet] DIR...
//!
//! `--op` and `--family` (a file's name without `.jsonl`) choose cases; `--text` gives parameters as text instead of
//! typed values; `--graph` makes each call a part of a compiled graph; `--quiet` prints only the lines of failing operators and the sum. Exit status: 0 when none failed, 1
//! when some did, 2 when the cases cannot be read.

use keshi_tests::conformance::{Way, read, report::Report};
use std::path::PathBuf;
use std::process::ExitCode;

struct Options {
    ops: Vec<String>,
    families: Vec<String>,
    way: Way,
    quiet: bool,
    dirs: Vec<PathBuf>,
}

fn options() -> Result<Options, String> {
    let mut o = Options { ops: vec![], families: vec![], way: Way::Typed, quiet: false, dirs: vec![] };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} wants a name"));
        match arg.as_str() {
            "--op" => o.ops.push(value()?),
            "--family" => o.families.push(value()?),
            "--text" => o.way = Way::Text,
            "--graph" => o.way = Way::Graph,
            "--quiet" => o.quiet = true,
            _ if arg.starts_with('-') => return Err(format!("unknown option {arg}")),
            _ => o.dirs.push(arg.into()),
        }
    }
    if o.dirs.is_empty() { Err("want a folder of cases".into()) } else { Ok(o) }
}

fn run() -> Result<bool, String> {
    let o = options()?;
    let chosen = |names: &[String], name: &str| names.is_empty() || names.iter().any(|n| n == name);
    let mut report = Report::default();
    for dir in &o.dirs {
        for case in read(dir)? {
            if chosen(&o.ops, &case.op) && chosen(&o.families, &case.family) {
                report.add(&case, &case.run(o.way));
            }
        }
    }
    print!("{}", report.text(o.quiet));
    Ok(report.totals().1 == 0)
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("conformance: {e}");
            ExitCode::from(2)
        }
    }
}
