//! Graphs of calls that have not been made: symbols, what can be inferred of them, and how they are run. A graph knows no
//! operator by name: it reads arity, names, parameters, changed inputs, outputs and inference rules from the table, and
//! runs by making its calls through [`invoke`](crate::invoke::invoke).
//!
//! A [`Symbol`] is a list of outputs of nodes. Nodes are shared between symbols and never change, but for their
//! attributes; a symbol made from others is a new node on top of theirs. No function here recurses over a graph, so that
//! its depth is limited by memory alone.

pub mod attrs;
pub mod cached;
pub mod compose;
pub mod executor;
pub mod infer;
pub mod ir;
pub mod json;
pub mod list;
pub mod lower;
pub mod node;
pub mod order;
pub mod passes;
pub mod plan;
pub mod program;
mod read;
pub mod recorded;
pub mod replay;
mod sampled;

pub use node::{Entry, Node, Symbol};
