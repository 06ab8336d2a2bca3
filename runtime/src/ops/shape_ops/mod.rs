//! Operators that move elements without looking at them: other shapes, other orders of axes, repetition, padding.

pub mod crop;
pub mod pad;
pub mod permute;
pub mod reshape;
pub mod tile;
pub mod view;
