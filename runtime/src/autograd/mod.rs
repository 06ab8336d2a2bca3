//! The tape: an `Arc` graph of nodes that dies with the arrays that point into it, and the per-thread modes.

pub mod mode;
pub mod node;
