//! The C programs of `tests/c` and those of `docs/c-abi.md`: compiled against the header and the libraries as a C user does it, and run, also under
//! AddressSanitizer and valgrind. valgrind is one of the things that `make deps-test` installs: without it this fails.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Programs and what they print.
const PROGRAMS: [(&str, &str); 10] = [
    ("seed", "[\n [ 4  8]\n [12 16]\n]\n"),
    ("errors", "errors ok\n"),
    ("views", "views ok\n"),
    ("dlpack", "dlpack ok\n"),
    ("symbol", "symbol ok\n"),
    ("registered", "registered ok\n"),
    ("threads", "threads ok\n"),
    ("line_fit", "y = 2.000 x + 1.000\n"),
    ("run_mlp", "5 24\n"),
    ("hand_over", "2 4 6 8\n2 5 8 11\n"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().into()
}

fn text(o: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&o.stdout), String::from_utf8_lossy(&o.stderr))
}

fn run(c: &mut Command) -> Output {
    let out = c.output().unwrap_or_else(|e| panic!("{c:?}: {e}"));
    assert!(out.status.success(), "{c:?}: {}\n{}", out.status, text(&out));
    out
}

/// The folder of the libraries: cargo built them for these tests, which lie in <target>/<profile>/deps.
fn libraries() -> PathBuf {
    std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned()
}

/// The folder for what is made here; each test has its own, since they run at the same time.
fn folder(name: &str) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// The source of a program: a file, or what the document has between "```c NAME" and "```".
fn source(program: &str, dir: &Path) -> PathBuf {
    let file = root().join("tests/c").join(program).with_extension("c");
    if file.exists() {
        return file;
    }
    let text = std::fs::read_to_string(root().join("docs/c-abi.md")).unwrap();
    let begin = format!("```c {program}\n");
    let body = text.split(&begin).nth(1).and_then(|rest| rest.split("```").next());
    let file = dir.join(program).with_extension("c");
    std::fs::write(&file, body.unwrap_or_else(|| panic!("docs/c-abi.md has no {program}"))).unwrap();
    file
}

/// Compiles a program; `flags` come before, `link` after the source.
fn compile(program: &str, variant: &str, flags: &[&str], link: &[&str]) -> PathBuf {
    let dir = folder(variant);
    let exe = dir.join(program);
    let mut cc = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
    cc.args(["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1", "-g"])
        .args(flags)
        .arg("-I")
        .arg(root().join("ffi/include"))
        .arg(source(program, &dir))
        .arg("-o")
        .arg(&exe)
        .args(link)
        .args(["-lpthread", "-lm", "-ldl"]);
    run(&mut cc);
    exe
}

fn archive() -> String {
    libraries().join("libkeshi_ffi.a").to_str().unwrap().into()
}

/// Programs run in the folder that they were made in: one of them writes a file.
fn expect(program: &str, variant: &str, want: &str, c: &mut Command) -> Output {
    let out = run(c.current_dir(folder(variant)));
    assert_eq!(String::from_utf8_lossy(&out.stdout), want, "{program}: {}", text(&out));
    out
}

#[test]
fn programs_run_over_the_static_library() {
    for (program, want) in PROGRAMS {
        let exe = compile(program, "static", &[], &[&archive()]);
        expect(program, "static", want, &mut Command::new(exe));
    }
}

#[test]
fn programs_run_over_the_shared_library() {
    // The library asks to be found under the name that it is installed with.
    let dir = folder("lib");
    for name in ["libkeshi.so", concat!("libkeshi.so.", env!("CARGO_PKG_VERSION_MAJOR"))] {
        let _ = std::fs::remove_file(dir.join(name));
        std::os::unix::fs::symlink(libraries().join("libkeshi_ffi.so"), dir.join(name)).unwrap();
    }
    let dir = dir.to_str().unwrap();
    for (program, want) in PROGRAMS {
        let exe = compile(program, "shared", &[], &["-L", dir, "-lkeshi"]);
        expect(program, "shared", want, Command::new(exe).env("LD_LIBRARY_PATH", dir));
    }
}

#[test]
fn programs_are_clean_under_address_sanitizer() {
    for (program, want) in PROGRAMS {
        let exe = compile(
            program,
            "asan",
            &["-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
            &[&archive()],
        );
        let symbols = run(Command::new("nm").arg(&exe));
        assert!(text(&symbols).contains("__asan_init"), "{program}: the sanitizer is not on");
        expect(program, "asan", want, &mut Command::new(exe));
    }
}

#[test]
fn programs_are_clean_under_valgrind() {
    let found = Command::new("valgrind").arg("--version").output();
    assert!(found.is_ok_and(|o| o.status.success()), "valgrind is missing; `make deps-test` installs it");
    for (program, want) in PROGRAMS {
        let exe = compile(program, "valgrind", &[], &[&archive()]);
        let mut valgrind = Command::new("valgrind");
        valgrind
            .args(["-q", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite"])
            .arg("--show-leak-kinds=definite")
            .arg(exe);
        if program == "threads" {
            valgrind.arg("10");
        }
        expect(program, "valgrind", want, &mut valgrind);
    }
}

/// Arrays of this program are too small for the pool of threads, whose queues are atomics that helgrind does not follow.
#[test]
fn eight_threads_are_clean_under_helgrind() {
    let exe = compile("threads", "helgrind", &[], &[&archive()]);
    let mut helgrind = Command::new("valgrind");
    helgrind
        .args(["--tool=helgrind", "-q", "--history-level=none", "--error-exitcode=99"])
        .arg(exe)
        .args(["10", "first"]);
    expect("threads", "helgrind", "threads ok\n", &mut helgrind);
}
