//! What an operator says of the calls beside it, so that a compiled graph may make fewer or faster ones in their place.

use super::def::OpDef;
use super::params::Params;
use crate::array::Array;
use crate::dtype::DType;
use crate::error::Result;

/// `scale x + shift`, with one number of each for each place on an axis.
pub struct Affine {
    /// The axis.
    pub axis: usize,
    /// Factors, an array of one axis.
    pub scale: Array,
    /// Summands, an array of one axis.
    pub shift: Array,
}

/// Tells the affine function from parameters and inputs.
pub type AffineRule = fn(&Params, &[Array]) -> Result<Option<Affine>>;

/// Tells new parameters and inputs from those that were there.
pub type AbsorbRule = fn(&Params, &[Array], &Affine) -> Result<Option<(Params, Vec<Array>)>>;

/// A call that gives the same faster when one of its inputs, which stands still, was made ready.
pub struct Ready {
    /// The input.
    pub input: usize,
    /// The operator that makes it ready, once.
    pub by: &'static OpDef,
    /// The operator that is called instead, with what was made in the input's place.
    pub call: &'static OpDef,
    /// The parameters of both.
    pub params: Params,
}

/// Tells how a call on inputs of these dims and this dtype is made ready; `None` when it is as fast as it gets.
pub type ReadyRule = fn(&Params, &[&[usize]], DType) -> Option<Ready>;

/// What a product can do to its results as it writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Epilogue {
    /// The larger of the result and 0.
    Relu,
    /// The sum with an array of the result's shape.
    Add,
}

/// Tells parameters with which a call does that in the end, on one more input for [`Epilogue::Add`].
pub type EpilogueRule = fn(&Params, Epilogue) -> Option<Params>;
