//! `ffi/include/keshi.h` is what cbindgen makes of `ffi/src`, and says all that the library exports.
//! `KESHI_BLESS=1 cargo test --release -p keshi-tests --test header` writes it anew.

use std::path::{Path, PathBuf};

fn ffi() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../ffi")
}

#[test]
fn the_committed_header_is_the_generated_one() {
    let config = cbindgen::Config::from_file(ffi().join("cbindgen.toml")).unwrap();
    let bindings = cbindgen::Builder::new().with_crate(ffi()).with_config(config).generate().unwrap();
    let mut made = Vec::new();
    bindings.write(&mut made);
    // What Rust calls safety are a C function's requirements.
    let made = String::from_utf8(made).unwrap().replace("// # Safety\n// ", "// Requires: ");
    let path = ffi().join("include/keshi.h");
    if std::env::var_os("KESHI_BLESS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = made.lines().zip(committed.lines().chain(std::iter::repeat(""))).find(|(a, b)| a != b);
    assert!(made == committed, "keshi.h is stale at {differs:?}; make it anew with KESHI_BLESS=1");
}
