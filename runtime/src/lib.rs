//! Keshi: a CPU tensor runtime with a dynamic autograd tape.
//!
//! A file may use only what stands above it in this list: `error dtype`, `shape`, `storage`, `tensor`, `simd`, `kernels`, `ops`,
//! `autograd`, `array invoke`. One knot is allowed: gradient rules in `ops` are written with [`Array`].

#[macro_use]
pub mod error;
#[macro_use]
pub mod dtype;
pub mod shape;
pub mod storage;
pub mod simd;
pub mod kernels;

pub use dtype::{DType, Elem};
pub use error::{Error, ErrorKind, Result};
