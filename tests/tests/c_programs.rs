//! The C programs of `tests/c`: compiled against the header and the libraries as a C user does it, and run, also under
//! AddressSanitizer and valgrind. valgrind is one of the things that `make deps-test` installs: without it this fails.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Programs and what they print.
const PROGRAMS: [(&str, &str); 5] = [
    ("seed", "[\n [ 4  8]\n [12 16]\n]\n"),
    ("errors", "errors ok\n"),
    ("views", "views ok\n"),
    ("dlpack", "dlpack ok\n"),
    ("threads", "threads ok\n"),
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
    let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    target.join("release")
}

/// Compiles a program; `flags` come before, `link` after the source.
fn compile(program: &str, variant: &str, flags: &[&str], link: &[&str]) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("c");
    std::fs::create_dir_all(&dir).unwrap();
    let exe = dir.join(format!("{program}-{variant}"));
    let mut cc = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
    cc.args(["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1", "-g"])
        .args(flags)
        .arg("-I")
        .arg(root().join("ffi/include"))
        .arg(root().join("tests/c").join(program).with_extension("c"))
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

fn expect(program: &str, want: &str, c: &mut Command) -> Output {
    let out = run(c);
    assert_eq!(String::from_utf8_lossy(&out.stdout), want, "{program}: {}", text(&out));
    out
}

#[test]
fn programs_run_over_the_static_library() {
    for (program, want) in PROGRAMS {
        let exe = compile(program, "static", &[], &[&archive()]);
        expect(program, want, &mut Command::new(exe));
    }
}

#[test]
fn programs_run_over_the_shared_library() {
    // The library asks to be found under the name that it is installed with.
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("lib");
    std::fs::create_dir_all(&dir).unwrap();
    for name in ["libkeshi.so", concat!("libkeshi.so.", env!("CARGO_PKG_VERSION_MAJOR"))] {
        let _ = std::fs::remove_file(dir.join(name));
        std::os::unix::fs::symlink(libraries().join("libkeshi_ffi.so"), dir.join(name)).unwrap();
    }
    let dir = dir.to_str().unwrap();
    for (program, want) in PROGRAMS {
        let exe = compile(program, "shared", &[], &["-L", dir, "-lkeshi"]);
        expect(program, want, Command::new(exe).env("LD_LIBRARY_PATH", dir));
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
        expect(program, want, &mut Command::new(exe));
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
        expect(program, want, &mut valgrind);
    }
}
