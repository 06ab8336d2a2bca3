//! The C ABI of Keshi. Hand-written exports over the runtime; `include/keshi.h` is generated from them.
//!
//! Rules that every export keeps: it is one [`guard`](guard::guard), so nothing unwinds into C and nothing aborts; it
//! returns 0 or -1 with its outputs untouched; what it gives back is owned by the caller; what it is given is borrowed.
//! The ABI knows no operator by name: operators are reached through reflection.

#![allow(non_camel_case_types)]

pub mod array;
pub mod autograd;
pub mod dlpack;
pub mod error;
mod guard;
mod handle;
pub mod library;
pub mod op;
pub mod reflect;
pub mod types;
pub mod view;

pub use array::*;
pub use autograd::*;
pub use dlpack::*;
pub use error::*;
pub use library::*;
pub use op::*;
pub use reflect::*;
pub use types::*;
pub use view::*;
