//! `perl/lib/AI/MXNet/Operators.pod` is what the operator table says.
//! `KESHI_BLESS=1 cargo test --release -p keshi-tests --test pod` writes it anew.

use std::path::Path;

#[test]
fn the_committed_page_is_the_generated_one() {
    let made = keshi_tests::pod::page();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../perl/lib/AI/MXNet/Operators.pod");
    if std::env::var_os("KESHI_BLESS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = made.lines().zip(committed.lines().chain(std::iter::repeat(""))).find(|(a, b)| a != b);
    assert!(made == committed, "Operators.pod is stale at {differs:?}; make it anew with KESHI_BLESS=1");
}
