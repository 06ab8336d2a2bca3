//! NumPy's files: `.npy` (magic, version, a header that is a Python literal, the elements) and `.npz` (a zip of those).

use super::tensor_of;
use super::zip;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::serialize::Loaded;
use crate::shape::size_of_dims;
use crate::tensor::Tensor;

const MAGIC: &[u8; 6] = b"\x93NUMPY";

const NAMES: [(DType, &str); 8] = [
    (DType::Bool, "b1"),
    (DType::F32, "f4"),
    (DType::F64, "f8"),
    (DType::F16, "f2"),
    (DType::U8, "u1"),
    (DType::I8, "i1"),
    (DType::I32, "i4"),
    (DType::I64, "i8"),
];

fn broken(what: &str) -> Error {
    err!(Io, "npy: {what}")
}

/// Writes one array in version 1.0 of the format.
pub fn save(a: &Tensor) -> Result<Vec<u8>> {
    let Some((dtype, name)) = NAMES.iter().find(|(d, _)| *d == a.dtype()) else {
        bail!(Dtype, "NumPy has no {}; cast the array first", a.dtype());
    };
    let order = if dtype.size() == 1 { '|' } else { '<' };
    let dims: Vec<String> = a.dims().iter().map(usize::to_string).collect();
    let comma = if dims.len() == 1 { "," } else { "" };
    let mut header = format!(
        "{{'descr': '{order}{name}', 'fortran_order': False, 'shape': ({}{comma}), }}",
        dims.join(", ")
    );
    // The elements begin at a multiple of 64.
    let before = MAGIC.len() + 4;
    let padded = (before + header.len() + 1).next_multiple_of(64) - before;
    header.extend(std::iter::repeat_n(' ', padded - 1 - header.len()));
    header.push('\n');
    let mut out = Vec::with_capacity(before + padded + a.bytes().len());
    out.extend(MAGIC);
    out.extend([1, 0]);
    out.extend((padded as u16).to_le_bytes());
    out.extend(header.bytes());
    out.extend(a.bytes());
    Ok(out)
}

/// What follows `'key':` in the header.
fn field<'a>(header: &'a str, key: &str) -> Result<&'a str> {
    let at = [format!("'{key}':"), format!("\"{key}\":")].iter().find_map(|k| {
        let (_, rest) = header.split_once(k.as_str())?;
        Some(rest.trim_start())
    });
    at.ok_or_else(|| broken(&format!("the header has no {key}")))
}

/// Reads one array. What is big-endian or column-major is put in order; truth values become uint8.
pub fn load(bytes: &[u8]) -> Result<Tensor> {
    let short = || broken("it is shorter than its header");
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| broken("it does not begin as one"))?;
    let (version, rest) = rest.split_first_chunk::<2>().ok_or_else(short)?;
    let (length, rest) = if version[0] == 1 {
        let (n, rest) = rest.split_first_chunk::<2>().ok_or_else(short)?;
        (u16::from_le_bytes(*n) as usize, rest)
    } else {
        let (n, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        (u32::from_le_bytes(*n) as usize, rest)
    };
    if length > rest.len() {
        return Err(short());
    }
    let (header, data) = rest.split_at(length);
    let header = std::str::from_utf8(header).map_err(|_| broken("the header is not text"))?;
    let descr = field(header, "descr")?.get(1..4).unwrap_or("");
    let Some((dtype, _)) = NAMES.iter().find(|(_, n)| Some(*n) == descr.get(1..)) else {
        return Err(broken(&format!("no dtype is like '{descr}'")));
    };
    let shape = field(header, "shape")?;
    let inner = shape.strip_prefix('(').and_then(|s| s.split_once(')')).map(|(inner, _)| inner);
    let inner = inner.ok_or_else(|| broken("the shape is no tuple"))?;
    let axes = inner.split(',').map(str::trim).filter(|s| !s.is_empty());
    let dims: Vec<usize> = axes
        .map(|s| s.parse().map_err(|_| broken(&format!("the shape has '{s}', want a whole number"))))
        .collect::<Result<_>>()?;
    let size = size_of_dims(&dims).ok().and_then(|n| n.checked_mul(dtype.size()));
    let data = size.and_then(|n| data.get(..n)).ok_or_else(|| broken("it ends before its elements do"))?;
    let mut data = data.to_vec();
    if descr.starts_with('>') {
        data.chunks_exact_mut(dtype.size()).for_each(<[u8]>::reverse);
    }
    if field(header, "fortran_order")?.starts_with("True") {
        data = rows_first(&data, &dims, dtype.size());
    }
    tensor_of("npy", *dtype, &dims, &data)
}

/// Elements whose first axis runs fastest, in the order where the last one does.
fn rows_first(data: &[u8], dims: &[usize], size: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
    let mut at = vec![0; dims.len()];
    for _ in 0..data.len() / size {
        let from = at.iter().zip(dims).rev().fold(0, |place, (i, n)| place * n + i) * size;
        out.extend(&data[from..from + size]);
        for (i, n) in at.iter_mut().zip(dims).rev() {
            *i += 1;
            if *i < *n {
                break;
            }
            *i = 0;
        }
    }
    out
}

/// Writes a `.npz`.
pub fn save_archive(names: &[&str], arrays: &[&Tensor]) -> Result<Vec<u8>> {
    let mut archive = zip::Writer::default();
    for (i, a) in arrays.iter().enumerate() {
        let name = names.get(i).map_or_else(|| format!("arr_{i}"), |n| (*n).to_owned());
        archive.add(&format!("{name}.npy"), &save(a)?)?;
    }
    archive.finish()
}

/// Reads a `.npz`, compressed or not.
pub fn load_archive(bytes: &[u8]) -> Result<Loaded> {
    let mut loaded = Loaded::default();
    for entry in zip::entries(bytes)? {
        let name = entry.name.strip_suffix(".npy").unwrap_or(&entry.name).to_owned();
        loaded.arrays.push(Some(load(&entry.bytes()?)?.into()));
        loaded.names.push(name);
    }
    Ok(loaded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend([2, 0]);
        out.extend((header.len() as u32).to_le_bytes());
        out.extend(header.bytes());
        out.extend(data);
        out
    }

    #[test]
    fn other_orders_are_put_right() {
        let header = "{'descr': '>i4', 'fortran_order': True, 'shape': (2, 3), }";
        let data: Vec<u8> = [1i32, 4, 2, 5, 3, 6].iter().flat_map(|x| x.to_be_bytes()).collect();
        let t = load(&file(header, &data)).unwrap();
        assert_eq!((t.dims(), t.to_vec_f64()), (&[2, 3][..], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
        let truth =
            load(&file("{\"descr\": \"|b1\", \"fortran_order\": False, \"shape\": ()}", &[1])).unwrap();
        assert_eq!((truth.dims(), truth.dtype()), (&[1][..], DType::Bool));
        for (header, why) in [
            ("{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}", "no dtype is like '<c8'"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (9,)}", "ends before"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", "'-1'"),
            ("{'descr': '<f4', 'shape': (1,)}", "fortran_order"),
        ] {
            let e = load(&file(header, &[0; 4])).unwrap_err().to_string();
            assert!(e.contains(why), "{e}");
        }
    }

    #[test]
    fn elements_begin_at_a_multiple_of_64() {
        let t = Tensor::from_slice(&[1f32; 5], &[5], crate::Device::default()).unwrap();
        let bytes = save(&t).unwrap();
        assert_eq!((bytes.len() - 20) % 64, 0);
        assert!(bytes[10..].starts_with(b"{'descr': '<f4', 'fortran_order': False, 'shape': (5,), }"));
    }
}
