//! Files of arrays in the formats of others: NumPy's `.npy` and `.npz`, and safetensors. MXNet's own is in
//! [`serialize`]. What is read is told apart by its first bytes, never by a file's name.

pub mod npy;
pub mod safetensors;
mod zip;

use crate::device::Device;
use crate::dtype::DType;
use crate::error::Result;
use crate::serialize::{self, Loaded};
use crate::shape::size_of_dims;
use crate::tensor::Tensor;

/// How arrays are written. The numbers are those of the C ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Format {
    /// MXNet's: a list of arrays, with names or without.
    Params = 0,
    /// NumPy's, one array without a name.
    Npy = 1,
    /// NumPy's archive of named arrays; without names they are called `arr_0`, `arr_1`, …
    Npz = 2,
    /// Named arrays behind a header of JSON.
    Safetensors = 3,
}

impl Format {
    /// From its number.
    pub fn from_id(id: i32) -> Result<Format> {
        Ok(match id {
            0 => Format::Params,
            1 => Format::Npy,
            2 => Format::Npz,
            3 => Format::Safetensors,
            _ => bail!(
                Argument,
                "unknown format, got {id}, want 0 (params), 1 (npy), 2 (npz) or 3 (safetensors)"
            ),
        })
    }
}

/// The arrays as bytes of a file. `names` is empty or has one name for each.
pub fn save(format: Format, names: &[&str], arrays: &[&Tensor]) -> Result<Vec<u8>> {
    write(format, names, arrays).map_err(|e| e.within("save"))
}

fn write(format: Format, names: &[&str], arrays: &[&Tensor]) -> Result<Vec<u8>> {
    if !names.is_empty() && names.len() != arrays.len() {
        bail!(Argument, "names and arrays differ in number, got {} and {}", names.len(), arrays.len());
    }
    match format {
        Format::Params => {
            let mut out = Vec::new();
            serialize::save(&mut out, names, arrays)?;
            Ok(out)
        }
        Format::Npy => match (arrays, names) {
            ([a], []) => npy::save(a),
            _ => bail!(Argument, "a .npy file holds one array without a name, got {}", arrays.len()),
        },
        Format::Npz => npy::save_archive(names, arrays),
        Format::Safetensors => safetensors::save(names, arrays),
    }
}

/// Reads a file of any of the formats.
pub fn load(bytes: &[u8]) -> Result<Loaded> {
    read(bytes).map_err(|e| e.within("load"))
}

fn read(bytes: &[u8]) -> Result<Loaded> {
    match bytes {
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => {
            Ok(Loaded { names: Vec::new(), arrays: vec![Some(npy::load(bytes)?.into())] })
        }
        [b'P', b'K', 3 | 5, 4 | 6, ..] => npy::load_archive(bytes),
        [_, _, _, _, _, _, 0, 0, b'{', ..] => safetensors::load(bytes),
        _ => serialize::load(bytes),
    }
}

/// A tensor of these bytes; a shape without axes gets one. `what` names the format in errors.
fn tensor_of(what: &str, dtype: DType, dims: &[usize], bytes: &[u8]) -> Result<Tensor> {
    let dims = if dims.is_empty() { &[1] } else { dims };
    let want = size_of_dims(dims).ok().and_then(|n| n.checked_mul(dtype.size()));
    if want != Some(bytes.len()) {
        bail!(Io, "{what}: {} bytes do not make {dtype} of shape {dims:?}", bytes.len());
    }
    Tensor::from_bytes(bytes, dtype, dims, Device::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Vec<Tensor> {
        vec![
            Tensor::from_slice(&[1f32, -2.5, 3.0, 0.0, 5.0, 6.0], &[2, 3], Device::default()).unwrap(),
            Tensor::from_slice(&[1i64, -2], &[2], Device::cpu(1)).unwrap(),
            Tensor::from_slice(&[7u8], &[1, 1, 1], Device::default()).unwrap(),
        ]
    }

    #[test]
    fn what_is_written_is_read() {
        let tensors = sample();
        let refs: Vec<&Tensor> = tensors.iter().collect();
        for format in [Format::Params, Format::Npz, Format::Safetensors] {
            let bytes = save(format, &["a", "weight.0", "c"], &refs).unwrap();
            let loaded = load(&bytes).unwrap();
            for (name, want) in ["a", "weight.0", "c"].iter().zip(&tensors) {
                let i = loaded.names.iter().position(|n| n == name).expect("the name is there");
                let got = &loaded.arrays[i].as_ref().unwrap().data;
                assert_eq!((got.dims(), got.dtype()), (want.dims(), want.dtype()), "{format:?}");
                assert_eq!(got.to_vec_f64(), want.to_vec_f64());
            }
        }
        let one = load(&save(Format::Npy, &[], &refs[..1]).unwrap()).unwrap();
        assert_eq!(one.arrays[0].as_ref().unwrap().data.to_vec_f64(), tensors[0].to_vec_f64());
        let unnamed = load(&save(Format::Npz, &[], &refs[..2]).unwrap()).unwrap();
        assert_eq!(unnamed.names, ["arr_0", "arr_1"]);
        assert!(save(Format::Npy, &[], &refs).is_err() && save(Format::Safetensors, &["a"], &refs).is_err());
    }

    proptest! {
        #[test]
        fn changed_bytes_never_crash(
            which in 1usize..4, at in 0usize..600, value: u8, tail in proptest::collection::vec(any::<u8>(), 0..40)
        ) {
            let tensors = sample();
            let refs: Vec<&Tensor> = tensors.iter().collect();
            let format = Format::from_id(which as i32).unwrap();
            let mut bytes = match format {
                Format::Npy => save(format, &[], &refs[..1]).unwrap(),
                _ => save(format, &["a", "b", "c"], &refs).unwrap(),
            };
            let n = bytes.len();
            bytes[at % n] = value;
            let _ = load(&bytes);
            bytes.truncate(at % n);
            bytes.extend(tail);
            let _ = load(&bytes);
        }
    }
}
