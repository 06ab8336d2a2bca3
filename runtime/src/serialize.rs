//! MXNet's binary files of arrays (`.params`): a list of records, with or without names. Little-endian throughout.
//!
//! List: u64 0x112, u64 0, u64 count, records, u64 count of names (0 or all), names as u64 length and bytes. A record of
//! version 2: u32 magic, i32 storage type, shape (i32 axes, i64 each), i32 device type, i32 device id, i32 dtype, data. A
//! sparse one has the shape of its data before its own, and before the data an i32 dtype and a shape for each index
//! array, whose data come last. Version 1 has no storage type; the oldest form begins with the number of axes and has u32 sizes. All three are read,
//! version 2 is written.
//!
//! Bytes are never trusted: every length is checked against what is there before anything is allocated.

use crate::device::Device;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::shape::{Dims, size_of_dims};
use crate::tensor::Tensor;
use smallvec::SmallVec;
use std::io::Write;

const LIST: u64 = 0x112;
const V1: u32 = 0xF993_FAC8;
const V2: u32 = 0xF993_FAC9;
const V3: u32 = 0xF993_FACA;
/// More axes than this are no shape but a broken file.
const MAX_AXES: usize = 64;

/// How a sparse array is stored. The numbers are MXNet's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Layout {
    /// Some rows, and which ones they are.
    RowSparse = 1,
    /// Compressed rows: where each row begins, and the columns.
    Csr = 2,
}

impl Layout {
    /// From MXNet's number; `None` is dense.
    pub fn from_id(id: i32) -> Result<Option<Layout>> {
        Ok(match id {
            0 => None,
            1 => Some(Layout::RowSparse),
            2 => Some(Layout::Csr),
            _ => {
                bail!(Argument, "unknown storage type, got {id}, want 0 (default), 1 (row_sparse) or 2 (csr)")
            }
        })
    }

    /// Number of index arrays: row_sparse has indices, csr has indptr and indices.
    pub fn indices(self) -> usize {
        self as usize
    }
}

/// What a sparse array has besides its data.
#[derive(Debug)]
pub struct Sparse {
    /// How it is stored.
    pub layout: Layout,
    /// The shape of the whole.
    pub dims: Dims,
    /// The index arrays, as many as [`Layout::indices`] says.
    pub indices: SmallVec<[Tensor; 2]>,
}

/// An array of a file.
#[derive(Debug)]
pub struct Record {
    /// The elements; of a sparse array those that are stored.
    pub data: Tensor,
    /// What makes it sparse.
    pub sparse: Option<Sparse>,
}

impl From<Tensor> for Record {
    fn from(data: Tensor) -> Record {
        Record { data, sparse: None }
    }
}

/// What a file holds.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Names, as many as arrays, or none at all.
    pub names: Vec<String>,
    /// Arrays; `None` for one that was saved before it had a shape.
    pub arrays: Vec<Option<Record>>,
}

/// Writes a list of arrays. `names` is empty or has one name for each.
pub fn save(out: &mut dyn Write, names: &[&str], arrays: &[&Tensor]) -> Result<()> {
    let arrays: Vec<(&Tensor, Option<&Sparse>)> = arrays.iter().map(|a| (*a, None)).collect();
    save_any(out, names, &arrays)
}

/// Writes a list of arrays, of which any may be sparse.
pub fn save_any(out: &mut dyn Write, names: &[&str], arrays: &[(&Tensor, Option<&Sparse>)]) -> Result<()> {
    write_list(out, names, arrays).map_err(|e| e.within("save"))
}

fn write_list(out: &mut dyn Write, names: &[&str], arrays: &[(&Tensor, Option<&Sparse>)]) -> Result<()> {
    if !names.is_empty() && names.len() != arrays.len() {
        bail!(Argument, "names and arrays differ in number, got {} and {}", names.len(), arrays.len());
    }
    let mut head = Vec::with_capacity(24);
    for n in [LIST, 0, arrays.len() as u64] {
        head.extend(n.to_le_bytes());
    }
    put(out, &head)?;
    for (a, sparse) in arrays {
        write_record(out, a, *sparse)?;
    }
    put(out, &(names.len() as u64).to_le_bytes())?;
    for name in names {
        put(out, &(name.len() as u64).to_le_bytes())?;
        put(out, name.as_bytes())?;
    }
    Ok(())
}

/// Writes one array as a record of version 2, without a list around it.
pub fn save_record(out: &mut dyn Write, a: &Tensor) -> Result<()> {
    write_record(out, a, None).map_err(|e| e.within("save"))
}

fn write_record(out: &mut dyn Write, a: &Tensor, sparse: Option<&Sparse>) -> Result<()> {
    fn shape(head: &mut Vec<u8>, dims: &[usize]) {
        head.extend((dims.len() as i32).to_le_bytes());
        dims.iter().for_each(|&d| head.extend((d as i64).to_le_bytes()));
    }
    if let Some(s) = sparse
        && s.indices.len() != s.layout.indices()
    {
        bail!(Argument, "{:?} has {} index arrays, got {}", s.layout, s.layout.indices(), s.indices.len());
    }
    let mut head = Vec::with_capacity(64);
    head.extend(V2.to_le_bytes());
    head.extend(sparse.map_or(0, |s| s.layout as i32).to_le_bytes());
    // A record without axes means "no array": a scalar is saved with one axis.
    let dims = if a.ndim() == 0 { &[1][..] } else { a.dims() };
    shape(&mut head, dims);
    if let Some(s) = sparse {
        shape(&mut head, &s.dims);
    }
    head.extend(a.device().kind().to_le_bytes());
    head.extend(a.device().id().to_le_bytes());
    head.extend((a.dtype() as i32).to_le_bytes());
    let indices = sparse.map_or(&[][..], |s| &s.indices);
    for i in indices {
        head.extend((i.dtype() as i32).to_le_bytes());
        shape(&mut head, i.dims());
    }
    put(out, &head)?;
    put(out, a.bytes())?;
    indices.iter().try_for_each(|i| put(out, i.bytes()))
}

fn put(out: &mut dyn Write, bytes: &[u8]) -> Result<()> {
    out.write_all(bytes).map_err(|e| err!(Io, "{e}"))
}

/// Reads a list of arrays.
pub fn load(bytes: &[u8]) -> Result<Loaded> {
    read_list(bytes).map_err(|e| e.within("load"))
}

fn read_list(bytes: &[u8]) -> Result<Loaded> {
    let mut r = Reader { bytes, at: 0 };
    let (magic, zero) = (r.u64()?, r.u64()?);
    if magic != LIST || zero != 0 {
        bail!(Io, "Invalid NDArray file format: it begins with {magic:#x}, want {LIST:#x}");
    }
    let count = r.count(4)?;
    let mut loaded = Loaded::default();
    for _ in 0..count {
        loaded.arrays.push(record(&mut r)?);
    }
    let names = r.count(8)?;
    if names != 0 && names != count {
        bail!(Io, "Invalid NDArray file format: {names} names for {count} arrays");
    }
    for _ in 0..names {
        let n = r.count(1)?;
        let name = std::str::from_utf8(r.take(n)?).map_err(|_| r.broken("a name is not UTF-8"))?;
        loaded.names.push(name.to_owned());
    }
    Ok(loaded)
}

/// Reads one record.
pub fn load_record(bytes: &[u8]) -> Result<Option<Record>> {
    record(&mut Reader { bytes, at: 0 }).map_err(|e| e.within("load"))
}

fn record(r: &mut Reader<'_>) -> Result<Option<Record>> {
    let magic = r.u32()?;
    let (layout, stored, dims) = match magic {
        V3 => bail!(Io, "arrays saved with NumPy shape semantics are not supported"),
        V2 => match Layout::from_id(r.i32()?).map_err(|e| r.broken(e.text()))? {
            Some(layout) => (Some(layout), Some(r.shape()?), r.shape()?),
            None => (None, None, r.shape()?),
        },
        V1 => (None, None, r.shape()?),
        // The oldest form has no magic number: these are the axes.
        n => (None, None, r.old_shape(n as usize)?),
    };
    if dims.is_empty() {
        return Ok(None);
    }
    let _device = (r.i32()?, r.i32()?);
    let dtype = r.dtype()?;
    let (Some(layout), Some(stored)) = (layout, stored) else {
        return r.tensor(dtype, &dims).map(|t| Some(t.into()));
    };
    let mut heads: SmallVec<[(DType, Dims); 2]> = SmallVec::new();
    for _ in 0..layout.indices() {
        heads.push((r.dtype()?, r.shape()?));
    }
    let data = r.tensor(dtype, &stored)?;
    let indices = heads.iter().map(|(dtype, dims)| r.tensor(*dtype, dims)).collect::<Result<_>>()?;
    Ok(Some(Record { data, sparse: Some(Sparse { layout, dims, indices }) }))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn broken(&self, what: &str) -> Error {
        err!(Io, "Invalid NDArray file format: {what} at byte {}", self.at)
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(n).filter(|&e| e <= self.bytes.len());
        let Some(end) = end else {
            return Err(self.broken(&format!(
                "the file ends too early, got {} bytes, want {n}",
                self.bytes.len() - self.at
            )));
        };
        let part = &self.bytes[self.at..end];
        self.at = end;
        Ok(part)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut a = [0; N];
        a.copy_from_slice(self.take(N)?);
        Ok(a)
    }

    fn u32(&mut self) -> Result<u32> {
        self.fixed().map(u32::from_le_bytes)
    }

    fn i32(&mut self) -> Result<i32> {
        self.fixed().map(i32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64> {
        self.fixed().map(u64::from_le_bytes)
    }

    fn dtype(&mut self) -> Result<DType> {
        DType::from_id(self.i32()?).map_err(|e| self.broken(e.text()))
    }

    /// Elements, copied.
    fn tensor(&mut self, dtype: DType, dims: &[usize]) -> Result<Tensor> {
        let n = size_of_dims(dims).map_err(|e| self.broken(e.text()))?;
        let n = n.checked_mul(dtype.size()).ok_or_else(|| self.broken("a shape is too large"))?;
        Tensor::from_bytes(self.take(n)?, dtype, dims, Device::default())
    }

    /// A count of things that take at least `least` bytes each, so that it can be believed.
    fn count(&mut self, least: usize) -> Result<usize> {
        let n = self.u64()?;
        match usize::try_from(n) {
            Ok(n) if n <= (self.bytes.len() - self.at) / least => Ok(n),
            _ => Err(self.broken(&format!("a count of {n} does not fit the file"))),
        }
    }

    fn axes(&self, n: usize) -> Result<usize> {
        if n > MAX_AXES { Err(self.broken(&format!("{n} axes are too many"))) } else { Ok(n) }
    }

    fn shape(&mut self) -> Result<Dims> {
        let n = self.i32()?;
        let n = self.axes(usize::try_from(n).unwrap_or(usize::MAX))?;
        let mut dims = Dims::new();
        for _ in 0..n {
            let d = i64::from_le_bytes(self.fixed()?);
            dims.push(usize::try_from(d).map_err(|_| self.broken("an axis is negative"))?);
        }
        Ok(dims)
    }

    fn old_shape(&mut self, n: usize) -> Result<Dims> {
        let n = self.axes(n)?;
        (0..n).map(|_| self.u32().map(|d| d as usize)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> (Vec<u8>, Vec<Tensor>) {
        let a = Tensor::from_slice(&[1f32, -2.5, 3.0], &[3], Device::default()).unwrap();
        let b = Tensor::from_slice(&[1i64, 2, 3, 4], &[2, 2], Device::cpu(1)).unwrap();
        let mut out = Vec::new();
        save(&mut out, &["a", "weight"], &[&a, &b]).unwrap();
        (out, vec![a, b])
    }

    #[test]
    fn what_is_written_is_read() {
        let (bytes, arrays) = sample();
        let loaded = load(&bytes).unwrap();
        assert_eq!(loaded.names, ["a", "weight"]);
        for (got, want) in loaded.arrays.iter().zip(&arrays) {
            let got = &got.as_ref().unwrap().data;
            assert_eq!(
                (got.dims(), got.dtype(), got.to_vec_f64()),
                (want.dims(), want.dtype(), want.to_vec_f64())
            );
            assert_eq!(got.device(), Device::cpu(0));
        }
        let mut unnamed = Vec::new();
        save(&mut unnamed, &[], &[&arrays[0]]).unwrap();
        assert!(load(&unnamed).unwrap().names.is_empty());
        assert!(save(&mut Vec::new(), &["x"], &[]).is_err());
    }

    #[test]
    fn every_cut_is_an_error() {
        let (bytes, _) = sample();
        for n in 0..bytes.len() {
            let e = load(&bytes[..n]).unwrap_err();
            assert_eq!(e.kind(), crate::ErrorKind::Io, "{e}");
        }
    }

    proptest! {
        #[test]
        fn changed_bytes_never_crash(at in 0usize..150, value: u8, tail in proptest::collection::vec(any::<u8>(), 0..40)) {
            let (mut bytes, _) = sample();
            let n = bytes.len();
            bytes[at % n] = value;
            let _ = load(&bytes);
            bytes.truncate(at % n);
            bytes.extend(tail);
            let _ = load(&bytes);
            let _ = load_record(&bytes[24.min(bytes.len())..]);
        }
    }
}
