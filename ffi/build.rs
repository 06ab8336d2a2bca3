//! Gives the shared library the name that programs linked to it look for at run time.

fn main() {
    let major = std::env::var("CARGO_PKG_VERSION_MAJOR").expect("cargo sets the version");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libkeshi.so.{major}");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
