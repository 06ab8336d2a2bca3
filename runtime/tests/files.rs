//! Files that MXNet 1.9.1 wrote, and those that we write.

use keshi::serialize::{load, save};

fn file(name: &str) -> Vec<u8> {
    let path = format!("{}/../tests/data/files/{name}.params", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

#[test]
fn what_is_read_is_written_again_byte_for_byte() {
    for (name, named) in [("list", false), ("dict", true)] {
        let bytes = file(name);
        let loaded = load(&bytes).unwrap();
        assert_eq!(loaded.names.is_empty(), !named);
        let arrays: Vec<_> = loaded.arrays.iter().map(|a| a.as_ref().unwrap()).collect();
        let names: Vec<&str> = loaded.names.iter().map(String::as_str).collect();
        let mut again = Vec::new();
        save(&mut again, &names, &arrays).unwrap();
        assert!(again == bytes, "{name} differs");
    }
}

#[test]
fn older_records_hold_what_they_held() {
    let want = [-0.205930337f32, 0.702462971, 0.519907653, -1.03367579, -0.079181321, 0.0352868475];
    for name in ["legacy_v0", "legacy_v1"] {
        let loaded = load(&file(name)).unwrap();
        let t = loaded.arrays[0].as_ref().unwrap();
        assert_eq!(
            (loaded.names[0].as_str(), t.dims(), t.to_vec::<f32>().as_slice()),
            ("w", &[2, 3][..], &want[..])
        );
    }
}

#[test]
fn sparse_records_are_refused_by_name() {
    let e = load(&file("sparse")).unwrap_err().to_string();
    assert!(e.contains("sparse arrays are not supported"), "{e}");
}
