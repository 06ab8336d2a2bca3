//! The C ABI of Keshi. Hand-written exports over the runtime; `include/keshi.h` is generated from them.
//!
//! Rules that every export keeps: it is one `guard`, so nothing unwinds into C and nothing aborts; it
//! returns 0 or -1 with its outputs untouched; what it gives back is owned by the caller; what it is given is borrowed.
//! The ABI knows no operator by name: operators are reached through reflection.

#![allow(non_camel_case_types)]

mod guard;
mod handle;

// In the order of the header.
pub mod types;

pub mod library;

pub mod error;

pub mod array;

pub mod view;

pub mod file;

pub mod dlpack;

pub mod reflect;

pub mod op;

pub mod ahead;

pub mod einsum;

pub mod autograd;

pub mod sparse;

pub mod custom;

pub mod registered;

pub mod symbol;
pub mod watch;

pub mod infer;

pub mod executor;

pub use ahead::*;
pub use array::*;
pub use autograd::*;
pub use custom::*;
pub use dlpack::*;
pub use einsum::*;
pub use error::*;
pub use executor::*;
pub use file::*;
pub use infer::*;
pub use library::*;
pub use op::*;
pub use reflect::*;
pub use registered::*;
pub use sparse::*;
pub use symbol::*;
pub use types::*;
pub use view::*;
pub use watch::*;
