//! Functions with a gradient of their own: what was computed anyhow becomes one node of the tape, whose gradient is a
//! function of the caller's. So a language above can teach the tape what no operator says. And operators of the caller's own,
//! which have a name and a place in graphs: [`register`].

use crate::array::Array;
use crate::autograd::mode;
use crate::autograd::node::{Edge, Node};
use crate::error::Result;
use crate::ops::def::{Keep, OpDef, Run};
use crate::ops::params::{ParamSet, ParamSpec, Params};
pub use crate::ops::registered::{Backward, Definition, Operator, Property, Rules, register};
use crate::ops::value::Value;
use crate::ops::vjp::{Grads, Vjp};
use crate::shape::show;
use crate::tensor::Tensor;
use smallvec::SmallVec;
use std::fmt;
use std::sync::Arc;

/// The gradient of a function.
///
/// `Send` and `Sync`, because the node that owns it goes with the last array that needs it, on whatever thread that is.
pub trait Function: Send + Sync {
    /// Gradients of the inputs from those of the outputs; `None` for an input that has none. `outputs` are the results of
    /// the forward call, when [`record`] was told to keep them. What is called here is recorded if the gradient is to
    /// be differentiated again.
    fn backward(&self, grads: &[Array], outputs: &[Array]) -> Result<Vec<Option<Array>>>;
}

/// Runs code of the caller's own that an operator consists of: what it calls is made at once, and not recorded.
pub fn outside<T>(training: bool, f: impl FnOnce() -> T) -> T {
    let _scope = mode::Scope::enter(false, training);
    f()
}

#[derive(Clone)]
struct Shared(Arc<dyn Function>);

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a function")
    }
}

impl ParamSet for Shared {
    fn specs() -> Vec<ParamSpec> {
        Vec::new()
    }
    fn parse(_: &[(usize, Value)]) -> Result<Self> {
        bail!(Internal, "a function of the caller's own cannot be called by name")
    }
    fn texts(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Outputs are kept only where the function asked for them, so there are two kinds of node.
static PLAIN: OpDef = node(Keep::NOTHING, |d| rule(d, false));
static KEEPING: OpDef = node(Keep::OUTPUTS, |d| rule(d, true));

const fn node(keep: Keep, rule: fn(&Vjp<'_>) -> Result<Grads>) -> OpDef {
    fn run(_: &Run<'_>) -> Result<()> {
        bail!(Internal, "it has been computed already")
    }
    OpDef::new("Function", &["data"], run)
        .variadic(None)
        .doc("A function with a gradient of its own.")
        .vjp(keep, rule)
        .no_samples("it is not called by name")
}

fn rule(d: &Vjp<'_>, keeping: bool) -> Result<Grads> {
    let count = d.num_outputs();
    let grads: Vec<Array> = (0..count).map(|i| d.grad_or_zeros(i)).collect::<Result<_>>()?;
    let outputs: Vec<Array> = (0..if keeping { count } else { 0 }).map(|i| d.output(i).clone()).collect();
    let found = d.p::<Shared>().0.backward(&grads, &outputs)?;
    if found.len() != d.num_inputs() {
        bail!(
            Autograd,
            "backward must give one gradient for each input, got {}, want {}",
            found.len(),
            d.num_inputs()
        );
    }
    for (i, g) in found.iter().enumerate() {
        if let Some(g) = g
            && (g.dims() != d.in_dims(i) || g.dtype() != d.in_dtype(i))
        {
            bail!(
                Shape,
                "the gradient of input {i} does not fit it, got {} {}, want {} {}",
                show(g.dims()),
                g.dtype(),
                show(d.in_dims(i)),
                d.in_dtype(i)
            );
        }
    }
    Ok(found.into_iter().collect())
}

/// Says that `outputs` were computed from `inputs`, and how to go back. The results are new handles on the same memory,
/// recorded when this thread records and some input has a history. `keep_outputs`: see [`Function::backward`].
pub fn record(
    inputs: &[&Array],
    outputs: &[&Array],
    keep_outputs: bool,
    function: Arc<dyn Function>,
) -> Vec<Array> {
    let results: Vec<Array> = outputs.iter().map(|a| a.detach()).collect();
    let edges: SmallVec<[Option<Edge>; 2]> = inputs.iter().map(|a| a.edge()).collect();
    if !mode::is_recording() || edges.iter().all(Option::is_none) {
        return results;
    }
    let ins: Vec<&Tensor> = inputs.iter().map(|a| a.tensor()).collect();
    let outs: Vec<&Tensor> = outputs.iter().map(|a| a.tensor()).collect();
    let op = if keep_outputs { &KEEPING } else { &PLAIN };
    let node = Node::call(op, &Params::new(Shared(function)), mode::is_training(), edges, &ins, &outs);
    for (i, a) in results.iter().enumerate() {
        a.set_edge(Some(Edge { node: node.clone(), output: i as u32 }));
    }
    results
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GradReq;
    use crate::autograd::mode::pause;
    use crate::backward::{Options, backward, grad};

    /// x^3 whose derivative is written with its output: 3 y / x.
    struct Cube(Array);
    impl Function for Cube {
        fn backward(&self, grads: &[Array], outputs: &[Array]) -> Result<Vec<Option<Array>>> {
            Ok(vec![Some(&(&(&outputs[0] / &self.0) * 3.0) * &grads[0])])
        }
    }

    struct Wrong;
    impl Function for Wrong {
        fn backward(&self, grads: &[Array], _: &[Array]) -> Result<Vec<Option<Array>>> {
            Ok(vec![Some(grads[0].reshaped(&[1, -1], false)?)])
        }
    }

    fn var() -> Array {
        let x = Array::from_slice(&[1f64, 2.0, -3.0], &[3]).unwrap();
        x.attach_grad(GradReq::Write).unwrap();
        x
    }

    fn cube(x: &Array) -> Array {
        let y = pause(|| &(x * x) * x);
        record(&[x], &[&y], true, Arc::new(Cube(x.clone()))).remove(0)
    }

    #[test]
    fn first_and_second_order_go_through_the_callers_function() {
        let x = var();
        let y = mode::record(|| &cube(&x) * 2.0);
        backward(&[&y], &[], Options::default()).unwrap();
        assert_eq!(x.grad().unwrap().to_vec::<f64>(), [6.0, 24.0, 54.0]);
        let options = Options { create_graph: true, ..Options::default() };
        let slope = mode::record(|| grad(&[&cube(&x)], &[], &[&x], options).unwrap().remove(0));
        backward(&[&slope], &[], Options::default()).unwrap();
        assert_eq!(x.grad().unwrap().to_vec::<f64>(), [6.0, 12.0, -18.0]);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let x = var();
        let y = mode::record(|| record(&[&x], &[&pause(|| &x * 1.0)], false, Arc::new(Wrong)).remove(0));
        let e = backward(&[&y], &[], Options::default()).unwrap_err();
        assert_eq!(
            e.to_string(),
            "Function: the gradient of input 0 does not fit it, got (1,3) float64, want (3,) float64"
        );
        assert!(!record(&[&x], &[&x], false, Arc::new(Wrong))[0].has_edge());
    }

    #[test]
    fn a_long_chain_is_dropped_without_recursion() {
        let mut y = var();
        mode::record(|| {
            for _ in 0..200_000 {
                y = record(&[&y], &[&y.detach()], false, Arc::new(Cube(y.clone()))).remove(0);
            }
        });
        drop(y);
    }
}
