//! What a gradient rule sees. Rules are written with recorded operators on [`Array`]s (the one place where `ops` looks
//! up), so that second order needs no further code.

use super::params::{ParamSet, Params};
use crate::array::Array;
use crate::dtype::DType;
use crate::error::Result;
use crate::shape::Dims;
use smallvec::SmallVec;

/// Gradients of the inputs; `None` for an input that has none.
pub type Grads = SmallVec<[Option<Array>; 2]>;

/// Shape and dtype of an operand, remembered by the tape.
#[derive(Clone, Debug)]
pub struct Meta {
    /// Shape.
    pub dims: Dims,
    /// Dtype.
    pub dtype: DType,
}

/// A vector-Jacobian product to be computed: gradients of the outputs are given, those of the inputs wanted.
pub struct Vjp<'a> {
    /// The operator's parameters.
    pub params: &'a Params,
    /// Whether the forward call was made in training mode.
    pub training: bool,
    /// Whether the backward pass is made in training mode.
    pub pass_training: bool,
    /// Whether the backward pass is itself recorded: then the gradients must be made of calls that have gradients.
    pub recorded: bool,
    pub(crate) grads: &'a [Option<Array>],
    pub(crate) ins: &'a [Option<Array>],
    pub(crate) outs: &'a [Option<Array>],
    pub(crate) in_metas: &'a [Meta],
    pub(crate) out_metas: &'a [Meta],
    pub(crate) needs: &'a [bool],
}

impl Vjp<'_> {
    /// The parameter struct.
    pub fn p<T: ParamSet>(&self) -> &T {
        self.params.get()
    }

    /// Gradient of the first output. Zeros never need to be made: a rule runs only when some output has a gradient, and
    /// an operator with one visible output has this one.
    pub fn grad(&self) -> &Array {
        self.grads[0].as_ref().expect("the only output of a visited node has a gradient")
    }

    /// Gradient of output `i`, when anything depends on it.
    pub fn grad_of(&self, i: usize) -> Option<&Array> {
        self.grads.get(i).and_then(Option::as_ref)
    }

    /// Gradient of output `i`, zeros when nothing depends on it.
    pub fn grad_or_zeros(&self, i: usize) -> Result<Array> {
        match self.grad_of(i) {
            Some(g) => Ok(g.clone()),
            None => Array::zeros(&self.out_metas[i].dims, self.out_metas[i].dtype, self.device()),
        }
    }

    fn device(&self) -> crate::device::Device {
        self.grads.iter().flatten().next().map(Array::device).unwrap_or_default()
    }

    /// Zeros for input `i`, on which the outputs do not depend, when its gradient is wanted.
    pub fn zeros(&self, i: usize) -> Result<Option<Array>> {
        let m = &self.in_metas[i];
        self.needs[i].then(|| Array::zeros(&m.dims, m.dtype, self.device())).transpose()
    }

    /// Input `i`, which the rule must have said that it keeps.
    pub fn input(&self, i: usize) -> &Array {
        self.ins[i].as_ref().expect("the rule keeps this input")
    }

    /// Number of inputs.
    pub fn num_inputs(&self) -> usize {
        self.in_metas.len()
    }

    /// Number of outputs.
    pub fn num_outputs(&self) -> usize {
        self.out_metas.len()
    }

    /// Output `i`, which the rule must have said that it keeps.
    pub fn output(&self, i: usize) -> &Array {
        self.outs[i].as_ref().expect("the rule keeps this output")
    }

    /// The first output.
    pub fn out(&self) -> &Array {
        self.output(0)
    }

    /// Shape of input `i`.
    pub fn in_dims(&self, i: usize) -> &[usize] {
        &self.in_metas[i].dims
    }

    /// Dtype of input `i`.
    pub fn in_dtype(&self, i: usize) -> DType {
        self.in_metas[i].dtype
    }

    /// Shape of output `i`.
    pub fn out_dims(&self, i: usize) -> &[usize] {
        &self.out_metas[i].dims
    }

    /// Whether the gradient of input `i` is wanted; a rule may leave out the others.
    pub fn needs(&self, i: usize) -> bool {
        self.needs[i]
    }
}

/// One gradient per input, each computed only when it is wanted: `grads(d, [&|d| …, &|d| …])`.
pub fn grads<const N: usize>(d: &Vjp<'_>, rules: [&dyn Fn(&Vjp<'_>) -> Array; N]) -> Result<Grads> {
    Ok(rules.iter().enumerate().map(|(i, rule)| d.needs(i).then(|| rule(d))).collect())
}
