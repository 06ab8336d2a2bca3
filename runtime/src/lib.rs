//! Keshi: a CPU tensor runtime with a dynamic autograd tape.
//!
//! A module may use only what stands above it here: `error dtype device`, `rng`, `shape`, `storage`, `tensor`, `serialize`,
//! `files`, `simd`, `kernels`, `rows`, `ops`, `autograd`, `array`, `watch`, `trace`, `invoke`, `ahead`, `backward`, `fluent`, `views`, `custom`,
//! `einsum`, `gradcheck`, `fused`, `graph`. One knot is allowed:
//! gradient rules in `ops` are written with [`Array`]s and the calls of `fluent`.

#[macro_use]
pub mod error;
#[macro_use]
pub mod dtype;
pub mod device;
pub mod rng;
pub mod shape;
pub mod storage;
pub mod tensor;

pub mod files;
pub mod serialize;

pub mod simd;

pub mod kernels;

pub mod rows;

#[macro_use]
pub mod ops;

pub mod autograd;

pub mod ahead;
pub mod array;
pub mod backward;
pub mod custom;
pub mod einsum;
pub mod fluent;
pub mod fused;
pub mod gradcheck;
pub mod graph;
pub mod invoke;
pub mod trace;
pub mod views;
pub mod watch;

/// The worked example of the guide for new operators is compiled and run as it stands there.
#[cfg(doctest)]
#[doc = include_str!("../../docs/adding-an-operator.md")]
pub struct AddingAnOperator;

pub use array::Array;
pub use autograd::node::GradReq;
pub use device::Device;
pub use dtype::{DType, Elem};
pub use error::{Error, ErrorKind, Result};
pub use invoke::invoke;
pub use tensor::Tensor;
