//! Counts the instructions of the hot paths under callgrind and compares them with those that tests/data/instructions.txt holds, so that a
//! regression is a number. `KESHI_BLESS=1` writes them anew.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

const WORKLOADS: [&str; 6] = ["dispatch", "scalar", "sum", "tape", "add", "softmax"];

/// How many times as many there may be: compilers differ.
const MOST: f64 = 1.25;

fn counted(what: &str, count: usize) -> u64 {
    let out = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .args([env!("CARGO_BIN_EXE_hot"), what, &count.to_string()])
        .env("KESHI_SIMD", "avx2")
        .env("KESHI_NUM_THREADS", "1")
        .output()
        .expect("valgrind is missing; `make deps-test` installs it");
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{what}: {said}");
    let line = said.lines().find_map(|l| l.split_once("Collected :")).expect("a count");
    line.1.trim().parse().expect("a number")
}

#[test]
fn hot_paths_take_no_more_instructions_than_recorded() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/instructions.txt");
    // Of one call: what a thousand take more than a hundred, so that the start does not count.
    let now: BTreeMap<&str, u64> =
        WORKLOADS.iter().map(|&w| (w, (counted(w, 1100) - counted(w, 100)) / 1000)).collect();
    if std::env::var_os("KESHI_BLESS").is_some() {
        let text: String = now.iter().map(|(w, n)| format!("{w} {n}\n")).collect();
        std::fs::write(&file, text).expect("the file of counts");
    }
    let text = std::fs::read_to_string(&file).expect("the file of counts");
    let recorded: BTreeMap<&str, u64> = text
        .lines()
        .filter_map(|l| l.split_once(' '))
        .map(|(w, n)| (w, n.parse().expect("a number")))
        .collect();
    let mut worse = Vec::new();
    for (w, &n) in &now {
        let before = recorded[w];
        println!("{w:10} {n:8} instructions, {before} recorded");
        if n as f64 > MOST * before as f64 {
            worse.push(format!("{w}: {n} instructions, {before} recorded"));
        }
    }
    assert!(worse.is_empty(), "{}", worse.join("; "));
}
