//! What the tests share: the conformance runner, and the page made from the operator table.

pub mod conformance;
pub mod pod;
