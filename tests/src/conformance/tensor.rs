//! Recorded tensors, and arrays made from and turned into them.

use super::abi::{Handle, Outcome, check, made};
use super::{list, text};
use half::{bf16, f16};
use keshi_ffi::*;
use serde_json::Value;
use std::ptr;

/// An element: whole numbers exactly, others as float64.
#[derive(Clone, Copy, Debug)]
pub enum Num {
    /// Of an integer dtype.
    Int(i64),
    /// Of a floating dtype.
    Float(f64),
}

impl Num {
    /// As float64.
    pub fn f64(self) -> f64 {
        match self {
            Num::Int(i) => i as f64,
            Num::Float(x) => x,
        }
    }
}

impl std::fmt::Display for Num {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Num::Int(i) => i.fmt(f),
            // A float32 is written with the digits that it needs, not those of the float64 that holds it.
            Num::Float(x) if f64::from(x as f32) == x => (x as f32).fmt(f),
            Num::Float(x) => x.fmt(f),
        }
    }
}

/// A shape, a dtype and values.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Sizes of the axes.
    pub shape: Vec<usize>,
    /// Name of the dtype.
    pub dtype: String,
    /// Values in row-major order.
    pub data: Vec<Num>,
}

const DTYPES: [(&str, KsDType, usize); 9] = [
    ("float32", KsDType::KsFloat32, 4),
    ("float64", KsDType::KsFloat64, 8),
    ("float16", KsDType::KsFloat16, 2),
    ("bfloat16", KsDType::KsBfloat16, 2),
    ("uint8", KsDType::KsUint8, 1),
    ("int8", KsDType::KsInt8, 1),
    ("int32", KsDType::KsInt32, 4),
    ("int64", KsDType::KsInt64, 8),
    ("bool", KsDType::KsBool8, 1),
];

fn dtype(name: &str) -> Outcome<(i32, usize)> {
    let found = DTYPES.iter().find(|(n, ..)| *n == name);
    found.map(|&(_, id, size)| (id as i32, size)).ok_or_else(|| format!("the case has dtype '{name}'"))
}

/// The nearest number of a floating dtype: recorded digits stand for it.
fn rounded(x: f64, dtype: &str) -> f64 {
    match dtype {
        "float32" => (x as f32).into(),
        "float16" => f16::from_f64(x).to_f64(),
        "bfloat16" => bf16::from_f64(x).to_f64(),
        _ => x,
    }
}

fn number(v: &Value, dtype: &str) -> Outcome<Num> {
    let whole = !dtype.contains("float");
    let read = match v {
        Value::String(s) => match s.as_str() {
            "nan" => Some(Num::Float(f64::NAN)),
            "inf" => Some(Num::Float(f64::INFINITY)),
            "-inf" => Some(Num::Float(f64::NEG_INFINITY)),
            _ => None,
        },
        Value::Bool(b) => Some(Num::Int((*b).into())),
        v if whole => v.as_i64().or_else(|| v.as_f64().map(|x| x as i64)).map(Num::Int),
        v => v.as_f64().map(|x| Num::Float(rounded(x, dtype))),
    };
    read.ok_or_else(|| format!("the case has the value {v}"))
}

impl Tensor {
    /// Reads a recorded tensor.
    pub fn read(v: &Value) -> Outcome<Tensor> {
        let name = text(v, "dtype").to_owned();
        dtype(&name)?;
        let size = |d: &Value| d.as_u64().map(|d| d as usize).ok_or_else(|| format!("the case has size {d}"));
        let shape = list(v, "shape").iter().map(size).collect::<Outcome<_>>()?;
        let data = list(v, "data").iter().map(|x| number(x, &name)).collect::<Outcome<_>>()?;
        Ok(Tensor { shape, dtype: name, data })
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.data.len() * 8);
        for &x in &self.data {
            let i = match x {
                Num::Int(i) => i,
                Num::Float(x) => x as i64,
            };
            match self.dtype.as_str() {
                "float32" => out.extend((x.f64() as f32).to_ne_bytes()),
                "float64" => out.extend(x.f64().to_ne_bytes()),
                "float16" => out.extend(f16::from_f64(x.f64()).to_ne_bytes()),
                "bfloat16" => out.extend(bf16::from_f64(x.f64()).to_ne_bytes()),
                "int32" => out.extend((i as i32).to_ne_bytes()),
                "int64" => out.extend(i.to_ne_bytes()),
                _ => out.push(i as u8),
            }
        }
        out
    }

    /// A new array of these values.
    pub fn array(&self) -> Outcome<Handle> {
        let (id, _) = dtype(&self.dtype)?;
        let bytes = self.bytes();
        // SAFETY: pointers and lengths belong together.
        made(|out| unsafe {
            ks_array_from_data(
                bytes.as_ptr().cast(),
                bytes.len(),
                id,
                self.shape.len(),
                self.shape.as_ptr(),
                KsDeviceType::KsCpu as i32,
                0,
                out,
            )
        })
    }

    /// Overwrites an array with these values.
    pub fn write_to(&self, a: &Handle) -> Outcome<()> {
        let bytes = self.bytes();
        // SAFETY: a live handle; pointer and length belong together.
        check(unsafe { ks_array_write(a.0, bytes.as_ptr().cast(), bytes.len()) })
    }

    /// The values of an array.
    pub fn of(a: &Handle) -> Outcome<Tensor> {
        let (mut dims, mut ndim, mut id) = (ptr::null(), 0, 0);
        // SAFETY: a live handle and valid places; the dims live as long as it.
        let shape = unsafe {
            check(ks_array_dims(a.0, &mut dims, &mut ndim))?;
            check(ks_array_dtype(a.0, &mut id))?;
            if ndim == 0 { Vec::new() } else { std::slice::from_raw_parts(dims, ndim).to_vec() }
        };
        let &(name, _, size) = DTYPES
            .iter()
            .find(|(_, d, _)| *d as i32 == id)
            .ok_or_else(|| format!("the array has the unknown dtype {id}"))?;
        let mut bytes = vec![0u8; shape.iter().product::<usize>() * size];
        // SAFETY: a live handle; pointer and length belong together.
        check(unsafe { ks_array_read(a.0, bytes.as_mut_ptr().cast(), bytes.len()) })?;
        let one = |b: &[u8]| match name {
            "float32" => Num::Float(f32::from_ne_bytes(b.try_into().unwrap()).into()),
            "float64" => Num::Float(f64::from_ne_bytes(b.try_into().unwrap())),
            "float16" => Num::Float(f16::from_ne_bytes(b.try_into().unwrap()).to_f64()),
            "bfloat16" => Num::Float(bf16::from_ne_bytes(b.try_into().unwrap()).to_f64()),
            "int32" => Num::Int(i32::from_ne_bytes(b.try_into().unwrap()).into()),
            "int64" => Num::Int(i64::from_ne_bytes(b.try_into().unwrap())),
            "int8" => Num::Int((b[0] as i8).into()),
            _ => Num::Int(b[0].into()),
        };
        Ok(Tensor { data: bytes.chunks_exact(size).map(one).collect(), shape, dtype: name.into() })
    }
}

/// Arrays of a list of recorded tensors.
pub fn arrays(tensors: &[Value]) -> Outcome<Vec<Handle>> {
    tensors.iter().map(|t| Tensor::read(t)?.array()).collect()
}
