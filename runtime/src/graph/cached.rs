//! A graph that is called like an operator, on whatever shapes come.

use super::infer::{shapes, types};
use super::node::Symbol;
use super::plan::Plan;
use crate::array::Array;
use crate::error::Result;
use crate::shape::partial::Partial;

/// A callable graph. Its calls are those of the graph: while recording they are recorded, and the mode of the thread holds.
///
/// ```
/// use keshi::{Array, graph::{Symbol, cached::CachedOp}, ops};
/// let (a, b) = (Symbol::variable("a", &[]).unwrap(), Symbol::variable("b", &[]).unwrap());
/// let product = Symbol::call(ops::find("elemwise_mul").unwrap(), "ab", &[], &[], &[&a, &b]).unwrap();
/// let op = CachedOp::new(&product, &[]).unwrap();
/// let x = Array::from_slice(&[2f32, 3.0], &[2]).unwrap();
/// assert_eq!(op.call(&[&x, &x], &[]).unwrap()[0].to_vec::<f32>(), [4.0, 9.0]);
/// ```
pub struct CachedOp {
    plan: Plan,
    open: bool,
}

/// What a caller may say about how the graph shall be run.
const FLAGS: [&str; 7] = [
    "static_alloc",
    "static_shape",
    "inline_limit",
    "forward_bulk_size",
    "backward_bulk_size",
    "data_indices",
    "param_indices",
];

impl CachedOp {
    /// Prepares a graph. Flags are hints about speed; unknown ones are refused.
    pub fn new(symbol: &Symbol, flags: &[(&str, &str)]) -> Result<CachedOp> {
        if let Some((name, _)) = flags.iter().find(|(name, _)| !FLAGS.contains(name)) {
            bail!(Param, "CachedOp: Cannot find argument '{name}', want one of {}", FLAGS.join(", "));
        }
        let plan = Plan::new(symbol);
        let open = plan.is_open();
        Ok(CachedOp { plan, open })
    }

    /// Number of outputs.
    pub fn num_outputs(&self) -> usize {
        self.plan.heads.len()
    }

    /// Calls the graph on the values of its variables, in the order of `list_inputs`. `given` are arrays to write the first
    /// outputs into.
    pub fn call(&self, inputs: &[&Array], given: &[&Array]) -> Result<Vec<Array>> {
        self.run(inputs, given).map_err(|e| e.within("CachedOp"))
    }

    fn run(&self, inputs: &[&Array], given: &[&Array]) -> Result<Vec<Array>> {
        let (got, want) = (inputs.len(), self.plan.num_inputs());
        if got != want {
            bail!(
                Argument,
                "the number of inputs is wrong, got {got}, want {want}: {}",
                self.plan.input_names().join(", ")
            );
        }
        if given.len() > self.num_outputs() {
            let (got, want) = (given.len(), self.num_outputs());
            bail!(Argument, "{got} arrays were given for the result, want at most {want}");
        }
        let values: Vec<Array> = inputs.iter().map(|a| (*a).clone()).collect();
        let mut sources = Vec::new();
        if self.open {
            let plan = &self.plan;
            let shapes = shapes(&plan.order, |i| plan.fact(&values, i, |a| Partial::from(a.dims())))?;
            let types = types(&plan.order, |i| plan.fact(&values, i, Array::dtype))?;
            let device = values.first().map(Array::device).unwrap_or_default();
            sources.resize(self.plan.order.num_entries(), None);
            self.plan.make_sources(&shapes, &types, |_| device, &mut sources)?;
        }
        let mut results = self.plan.run(&values, &sources, None)?;
        for (result, given) in results.iter_mut().zip(given) {
            overwrite(given, result)?;
            *result = (*given).clone();
        }
        Ok(results)
    }
}

/// Makes `to` what `from` is: value and history.
fn overwrite(to: &Array, from: &Array) -> Result<()> {
    to.tensor().assign(from.tensor())?;
    to.set_edge(from.edge());
    Ok(())
}
