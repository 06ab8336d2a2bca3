//! The safetensors format: u64 length of a header, the header in JSON (name to dtype, shape and the bytes' range), the bytes
//! one after the other without gaps. Little-endian, row-major.

use super::tensor_of;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::serialize::Loaded;
use crate::tensor::Tensor;
use serde_json::{Map, Value, json};

const NAMES: [(DType, &str); 9] = [
    (DType::Bool, "BOOL"),
    (DType::F64, "F64"),
    (DType::F32, "F32"),
    (DType::F16, "F16"),
    (DType::BF16, "BF16"),
    (DType::I64, "I64"),
    (DType::I32, "I32"),
    (DType::I8, "I8"),
    (DType::U8, "U8"),
];

fn broken(what: &str) -> Error {
    err!(Io, "safetensors: {what}")
}

fn dtype_of(name: &str) -> Result<DType> {
    let found = NAMES.iter().find(|(_, n)| *n == name);
    found.map(|(d, _)| *d).ok_or_else(|| broken(&format!("no dtype is like '{name}'")))
}

/// Writes named arrays, the widest elements first, so that all are aligned.
pub fn save(names: &[&str], arrays: &[&Tensor]) -> Result<Vec<u8>> {
    if names.len() != arrays.len() {
        bail!(Argument, "safetensors want a name for each array, got {}", names.len());
    }
    let mut order: Vec<usize> = (0..arrays.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(arrays[i].dtype().size()), names[i]));
    let mut header = Map::new();
    let mut end = 0;
    for &i in &order {
        let (a, begin) = (arrays[i], end);
        end += a.bytes().len();
        let dtype = NAMES.iter().find(|(d, _)| *d == a.dtype()).map(|(_, n)| *n);
        let entry = json!({ "dtype": dtype, "shape": a.dims(), "data_offsets": [begin, end] });
        if names[i] == "__metadata__" || header.insert(names[i].to_owned(), entry).is_some() {
            bail!(Argument, "safetensors cannot hold the name '{}' (twice)", names[i]);
        }
    }
    let mut head = Value::Object(header).to_string().into_bytes();
    head.resize(head.len().next_multiple_of(8), b' ');
    let mut out = Vec::with_capacity(8 + head.len() + end);
    out.extend((head.len() as u64).to_le_bytes());
    out.extend(head);
    order.iter().for_each(|&i| out.extend(arrays[i].bytes()));
    Ok(out)
}

/// A whole number of the header.
fn whole(v: &Value) -> Result<usize> {
    let n = v.as_u64().and_then(|n| usize::try_from(n).ok());
    n.ok_or_else(|| broken(&format!("a number of the header is not whole, got {v}")))
}

/// Reads named arrays, in the order of their bytes.
pub fn load(bytes: &[u8]) -> Result<Loaded> {
    let (head, rest) =
        bytes.split_first_chunk::<8>().ok_or_else(|| broken("it is shorter than its header"))?;
    let length = usize::try_from(u64::from_le_bytes(*head)).ok().filter(|&n| n <= rest.len());
    let (head, data) = rest.split_at(length.ok_or_else(|| broken("it is shorter than its header"))?);
    let header: Map<String, Value> =
        serde_json::from_slice(head).map_err(|e| broken(&format!("the header is not JSON: {e}")))?;
    let mut entries = Vec::with_capacity(header.len());
    for (name, entry) in header.iter().filter(|(name, _)| *name != "__metadata__") {
        let list = |key: &str| entry[key].as_array().ok_or_else(|| broken(&format!("'{name}' has no {key}")));
        let dtype = dtype_of(entry["dtype"].as_str().unwrap_or("none"))?;
        let dims = list("shape")?.iter().map(whole).collect::<Result<Vec<usize>>>()?;
        let range = list("data_offsets")?.iter().map(whole).collect::<Result<Vec<usize>>>()?;
        let [begin, end] = range[..] else { return Err(broken("data_offsets are not two numbers")) };
        entries.push((begin, end, name, dtype, dims));
    }
    entries.sort_by_key(|(begin, end, ..)| (*begin, *end));
    let mut loaded = Loaded::default();
    let mut at = 0;
    for (begin, end, name, dtype, dims) in entries {
        // Without gaps and overlaps, so that no two readers can disagree on what a file holds.
        if begin != at || end < begin || end > data.len() {
            return Err(broken(&format!("'{name}' lies at {begin} to {end}, want it to begin at {at}")));
        }
        loaded.names.push(name.clone());
        loaded.arrays.push(Some(tensor_of("safetensors", dtype, &dims, &data[begin..end])?.into()));
        at = end;
    }
    if at != data.len() {
        return Err(broken(&format!("{} bytes are left over", data.len() - at)));
    }
    Ok(loaded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_written_by_hand_is_read() {
        let head = r#"{"__metadata__":{"format":"pt"},"b":{"dtype":"I32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"BOOL","shape":[],"data_offsets":[8,9]}}"#;
        let mut file = (head.len() as u64).to_le_bytes().to_vec();
        file.extend(head.bytes());
        file.extend([5, 0, 0, 0, 255, 255, 255, 255, 1]);
        let loaded = load(&file).unwrap();
        assert_eq!(loaded.names, ["b", "a"]);
        let values: Vec<_> = loaded.arrays.iter().flatten().map(|r| r.data.to_vec_f64()).collect();
        assert_eq!(values, [vec![5.0, -1.0], vec![1.0]]);
        file.push(0);
        assert_eq!(load(&file).unwrap_err().to_string(), "safetensors: 1 bytes are left over");
    }
}
