//! Memory for the length of a call, from the pool of freed blocks.

use crate::dtype::Elem;
use crate::error::Result;
use crate::storage::{Span, Storage};
use std::sync::Arc;

/// A block that nobody else uses.
pub(super) struct Scratch(Arc<Storage>);

impl Scratch {
    /// At least so many bytes of unspecified content.
    pub fn new(bytes: usize) -> Result<Scratch> {
        Storage::new(bytes).map(Scratch)
    }

    pub fn ptr<T>(&self) -> *mut T {
        self.0.ptr().cast()
    }

    /// The first `n` elements of a type.
    pub fn of<T: Elem>(&self, n: usize) -> Span {
        assert!(n * size_of::<T>() <= self.0.bytes());
        // SAFETY: the block has room for them, and lives as long as this.
        unsafe { Span::new(self.0.ptr(), n, T::DTYPE) }
    }

    /// The first `n` elements as float32.
    pub fn span(&self, n: usize) -> Span {
        self.of::<f32>(n)
    }
}
