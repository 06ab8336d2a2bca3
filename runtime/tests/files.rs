//! Files that MXNet 1.9.1 wrote, and those that we write.

use keshi::serialize::{Layout, load, save_any};

fn file(name: &str) -> Vec<u8> {
    let path = format!("{}/../tests/data/files/{name}.params", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

#[test]
fn what_is_read_is_written_again_byte_for_byte() {
    for (name, named) in [("list", false), ("dict", true), ("sparse", true)] {
        let bytes = file(name);
        let loaded = load(&bytes).unwrap();
        assert_eq!(loaded.names.is_empty(), !named);
        let records = loaded.arrays.iter().flatten();
        let arrays: Vec<_> = records.map(|r| (&r.data, r.sparse.as_ref())).collect();
        assert_eq!(arrays.len(), loaded.arrays.len());
        let names: Vec<&str> = loaded.names.iter().map(String::as_str).collect();
        let mut again = Vec::new();
        save_any(&mut again, &names, &arrays).unwrap();
        assert!(again == bytes, "{name} differs");
    }
}

#[test]
fn older_records_hold_what_they_held() {
    let want = [-0.205930337f32, 0.702462971, 0.519907653, -1.03367579, -0.079181321, 0.0352868475];
    for name in ["legacy_v0", "legacy_v1"] {
        let loaded = load(&file(name)).unwrap();
        let t = &loaded.arrays[0].as_ref().unwrap().data;
        assert_eq!(
            (loaded.names[0].as_str(), t.dims(), t.to_vec::<f32>().as_slice()),
            ("w", &[2, 3][..], &want[..])
        );
    }
}

#[test]
fn sparse_records_hold_their_parts() {
    let loaded = load(&file("sparse")).unwrap();
    let find = |name| loaded.arrays[loaded.names.iter().position(|n| n == name).unwrap()].as_ref().unwrap();
    let (csr, rows) = (find("csr"), find("rsp"));
    let of = |r: &'static str| find(r).sparse.as_ref().unwrap();
    assert_eq!(
        (of("csr").layout, &of("csr").dims[..], csr.data.dims()),
        (Layout::Csr, &[4, 6][..], &[8][..])
    );
    let indices: Vec<Vec<i64>> = of("csr").indices.iter().map(|t| t.to_vec()).collect();
    assert_eq!(indices, [vec![0, 3, 4, 6, 8], vec![1, 3, 5, 1, 0, 5, 0, 3]]);
    assert_eq!((of("rsp").layout, rows.data.dims()), (Layout::RowSparse, &[2, 3][..]));
    assert_eq!(of("rsp").indices[0].to_vec::<i64>(), [1, 4]);
    assert_eq!(rows.data.to_vec::<f32>()[0], 1.1661278);
}
