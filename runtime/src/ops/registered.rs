//! The operator `Custom`: what the caller registered under a name, with its own inference, kernel and gradient. One name stands
//! for a [`Definition`]; the keywords of a call make a [`Property`] of it, and the call itself an [`Operator`], which lives until
//! its gradient is not wanted any more, so that it may keep what it likes in between.

use super::def::{Keep, OpDef, Run};
use super::infer::{Shapes, Types};
use super::params::{ParamSet, ParamSpec, Params, read_param};
use super::value::Value;
use super::vjp::{Grads, Vjp};
use crate::array::Array;
use crate::device::Device;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::invoke::invoke;
use crate::shape::Dims;
use crate::shape::partial::Partial;
use crate::tensor::Tensor;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// What was registered.
pub trait Definition: Send + Sync {
    /// What these keywords, as text, make of it.
    fn property(&self, keywords: &[(String, String)]) -> Result<Property>;
}

/// What is known of a call before its inputs are.
#[derive(Clone)]
pub struct Property {
    /// Names of the inputs, those of states last.
    pub arguments: Vec<String>,
    /// How many of them are states, which going forward may change. They have no gradient.
    pub states: usize,
    /// Names of the outputs.
    pub outputs: Vec<String>,
    /// Whether the gradient depends on those of the outputs; that of a loss does not.
    pub needs_grads: bool,
    /// Inference.
    pub rules: Arc<dyn Rules>,
}

/// Inference, and what makes the object of a call.
pub trait Rules: Send + Sync {
    /// Refines shapes, of which at least one input's is known.
    fn shapes(&self, ins: &mut [Partial], outs: &mut [Partial]) -> Result<()>;
    /// Refines dtypes, of which at least one input's is known.
    fn types(&self, ins: &mut [Option<DType>], outs: &mut [Option<DType>]) -> Result<()>;
    /// What computes on inputs of these shapes and dtypes.
    fn create(&self, device: Device, ins: &[(Dims, DType)]) -> Result<Arc<dyn Operator>>;
}

/// What a call computes with. What it is given are ordinary arrays, which it may keep.
pub trait Operator: Send + Sync {
    /// Writes the outputs, which are zeros.
    fn forward(&self, training: bool, ins: &[Array], outs: &[Array]) -> Result<()>;
    /// Writes the gradients of those inputs that are `wanted`; all are zeros. Without [`Property::needs_grads`] there are no
    /// `grads`.
    fn backward(&self, to: &Backward<'_>) -> Result<()>;
}

/// What the gradient of a call is computed from.
pub struct Backward<'a> {
    /// Gradients of the outputs.
    pub grads: &'a [Array],
    /// Inputs of the call.
    pub ins: &'a [Array],
    /// Outputs of the call.
    pub outs: &'a [Array],
    /// Which gradients are wanted.
    pub wanted: &'a [bool],
    /// Where they go.
    pub in_grads: &'a [Array],
}

static DEFINITIONS: RwLock<BTreeMap<String, Arc<dyn Definition>>> = RwLock::new(BTreeMap::new());

/// Makes `Custom` with `op_type = name` mean this from now on. Errors when the name is empty.
pub fn register(name: &str, definition: Arc<dyn Definition>) -> Result<()> {
    if name.is_empty() {
        bail!(Argument, "an operator needs a name, got an empty one");
    }
    let before =
        DEFINITIONS.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), definition);
    // Freed behind the lock: it may be anybody's code.
    drop(before);
    Ok(())
}

fn definition(name: &str) -> Result<Arc<dyn Definition>> {
    let all = DEFINITIONS.read().unwrap_or_else(PoisonError::into_inner);
    all.get(name).cloned().ok_or_else(|| {
        let known: Vec<&str> = all.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "nothing is".to_owned() } else { known.join(", ") };
        err!(Param, "no operator is registered as '{name}'; registered: {known}")
    })
}

/// The object of a call, and the inputs that it was made for.
type Made = (Arc<dyn Operator>, Arc<[(Dims, DType)]>);

/// Parameters of `Custom`.
#[derive(Clone)]
struct Custom {
    op_type: String,
    keywords: Vec<(String, String)>,
    property: Arc<Property>,
    made: Option<Made>,
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.op_type, self.keywords)
    }
}

impl ParamSet for Custom {
    fn specs() -> Vec<ParamSpec> {
        vec![ParamSpec {
            name: "op_type",
            doc: "name under which the operator was registered; all other keywords are its own",
            type_text: "string".into(),
            default: None,
        }]
    }

    fn parse(given: &[(usize, Value)]) -> Result<Self> {
        let mut op_type = String::new();
        let mut keywords: BTreeMap<String, String> = BTreeMap::new();
        for (at, value) in given {
            match (at, value) {
                (0, v) => op_type = read_param("op_type", v)?,
                (1, Value::Str(text)) if text.contains('=') => {
                    let (name, value) = text.split_once('=').unwrap_or_default();
                    keywords.insert(name.to_owned(), value.to_owned());
                }
                (1, v) => bail!(Param, "another parameter is not 'name=value', got '{v}'"),
                _ => bail!(Param, "there is no parameter number {at}, want less than 2"),
            }
        }
        if op_type.is_empty() {
            bail!(Param, "Required parameter op_type is missing");
        }
        let keywords: Vec<(String, String)> = keywords.into_iter().collect();
        let property = definition(&op_type)?.property(&keywords).map_err(|e| of(&op_type, e))?;
        if property.outputs.is_empty() {
            bail!(Argument, "{op_type}: it lists no outputs, want at least one");
        }
        let (states, all) = (property.states, property.arguments.len());
        if states > all {
            bail!(
                Argument,
                "{op_type}: it has {states} states, want at most as many as inputs, which are {all}"
            );
        }
        Ok(Custom { op_type, keywords, property: Arc::new(property), made: None })
    }

    fn texts(&self) -> Vec<String> {
        let others = self.keywords.iter().map(|(k, v)| format!("{k}={v}"));
        std::iter::once(self.op_type.clone()).chain(others).collect()
    }
}

impl Custom {
    fn object(&self) -> Result<&dyn Operator> {
        match &self.made {
            Some((object, _)) => Ok(&**object),
            None => bail!(Internal, "{}: the call has no object", self.op_type),
        }
    }
}

/// An error of the caller's code under the name that it was registered by.
fn of(op_type: &str, e: Error) -> Error {
    Error::new(e.kind(), format!("{op_type}: {}", e.text()))
}

fn of_call(params: &Params, ins: &[&Tensor]) -> Result<Params> {
    let p: &Custom = params.get();
    let same = |(t, (dims, dtype)): (&&Tensor, &(Dims, DType))| t.dims() == &dims[..] && t.dtype() == *dtype;
    if let Some((_, kinds)) = &p.made
        && kinds.len() == ins.len()
        && ins.iter().zip(&kinds[..]).all(same)
    {
        return Ok(params.clone());
    }
    let kinds: Arc<[(Dims, DType)]> = ins.iter().map(|t| (t.dims().into(), t.dtype())).collect();
    let device = ins.first().map(|t| t.device()).unwrap_or_default();
    let object = p.property.rules.create(device, &kinds).map_err(|e| of(&p.op_type, e))?;
    Ok(Params::new(Custom { made: Some((object, kinds)), ..p.clone() }))
}

fn arrays(tensors: &[&Tensor]) -> Vec<Array> {
    tensors.iter().map(|t| Array::from((*t).clone())).collect()
}

/// Nothing that was in the memory before is for the caller's code to see.
fn clear(tensors: &[&Tensor]) {
    for t in tensors {
        let span = t.span();
        // SAFETY: outputs are ours to write, all of their bytes; zero is a value of every dtype.
        unsafe { std::ptr::write_bytes(span.bytes(), 0, span.len() * span.dtype().size()) };
    }
}

fn run(r: &Run<'_>) -> Result<()> {
    let p: &Custom = r.p();
    clear(r.outs);
    p.object()?.forward(r.training, &arrays(r.ins), &arrays(r.outs)).map_err(|e| of(&p.op_type, e))
}

fn shapes(s: &mut Shapes<'_>) -> Result<()> {
    let p: &Custom = s.params.get();
    if s.ins.iter().any(Partial::is_known) || s.ins.is_empty() {
        p.property.rules.shapes(s.ins, s.outs).map_err(|e| of(&p.op_type, e))?;
    }
    Ok(())
}

fn types(t: &mut Types<'_>) -> Result<()> {
    let p: &Custom = t.params.get();
    if t.ins.iter().any(Option::is_some) || t.ins.is_empty() {
        p.property.rules.types(t.ins, t.outs).map_err(|e| of(&p.op_type, e))?;
    }
    Ok(())
}

/// Parameters of the gradient.
#[derive(Clone, Debug)]
struct Back {
    call: Params,
    wanted: Vec<bool>,
}

impl ParamSet for Back {
    fn specs() -> Vec<ParamSpec> {
        Vec::new()
    }
    fn parse(_: &[(usize, Value)]) -> Result<Self> {
        bail!(Internal, "the gradient of a call cannot be called by name")
    }
    fn texts(&self) -> Vec<String> {
        Vec::new()
    }
}

/// How many of the inputs of the gradient stand before those of the call.
fn before(p: &Custom) -> usize {
    if p.property.needs_grads { p.property.outputs.len() } else { 0 }
}

fn run_back(r: &Run<'_>) -> Result<()> {
    let back: &Back = r.p();
    let p: &Custom = back.call.get();
    clear(r.outs);
    let all = arrays(r.ins);
    let (grads, rest) = all.split_at(before(p));
    let (ins, outs) = rest.split_at(back.wanted.len());
    let in_grads = arrays(r.outs);
    let to = Backward { grads, ins, outs, wanted: &back.wanted, in_grads: &in_grads };
    p.object()?.backward(&to).map_err(|e| of(&p.op_type, e))
}

fn rule(d: &Vjp<'_>) -> Result<Grads> {
    let p: &Custom = d.p();
    let grads: Vec<Array> = (0..before(p)).map(|i| d.grad_or_zeros(i)).collect::<Result<_>>()?;
    let count = d.num_inputs();
    let wanted: Vec<bool> = (0..count).map(|i| i + p.property.states < count && d.needs(i)).collect();
    let kept = (0..count).map(|i| d.input(i)).chain((0..d.num_outputs()).map(|i| d.output(i)));
    let ins: Vec<&Array> = grads.iter().chain(kept).collect();
    let found =
        invoke(&GRADIENT, &ins, &Params::new(Back { call: d.params.clone(), wanted: wanted.clone() }), &[])?;
    Ok(found.into_iter().zip(wanted).map(|(g, wanted)| wanted.then_some(g)).collect())
}

table! {
    CUSTOM = OpDef::new("Custom", &["data"], run).variadic(None)
        .params::<Custom>().other_params()
        .input_names(|p| p.get::<Custom>().property.arguments.clone())
        .output_names_by(|p, i| p.get::<Custom>().property.outputs.get(i).cloned().unwrap_or_default())
        .outputs(|p| p.get::<Custom>().property.outputs.len(), |p| p.get::<Custom>().property.outputs.len())
        .states(|p| p.get::<Custom>().property.states)
        .of_call(of_call).random().shape(shapes).dtype(types)
        .doc("Calls the operator that was registered as `op_type`. Its inputs, outputs, shapes and dtypes are what it says itself; every other keyword \
              goes to it as text.")
        .vjp(Keep::ALL, rule)
        .no_samples("it computes what its caller registered");
    GRADIENT = OpDef::new("_ks_registered_gradient", &["data"], run_back).variadic(None)
        .params::<Back>()
        .outputs(|p| p.get::<Back>().wanted.len(), |p| p.get::<Back>().wanted.len())
        .random()
        .shape(|s| {
            let first = before(s.params.get::<Back>().call.get());
            (0..s.outs.len()).try_for_each(|i| s.outs[i].merge(&s.ins[first + i]).map(drop))
        })
        .dtype(|t| {
            let first = before(t.params.get::<Back>().call.get());
            (0..t.outs.len()).for_each(|i| t.outs[i] = t.ins[first + i]);
            Ok(())
        })
        .doc("The gradient of a call of `Custom`, from gradients of its outputs, its inputs and its outputs.")
        .no_gradient("what the caller computes in backward is not recorded")
        .no_samples("it computes what its caller registered");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GradReq;
    use crate::autograd::mode::record;
    use crate::backward::{Options, backward, grad};
    use crate::graph::Symbol;
    use crate::invoke::invoke_named;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    /// Calls to `create`, and objects that are alive.
    static MADE: AtomicUsize = AtomicUsize::new(0);

    /// `by x`, and the sum of both inputs' shapes to go wrong with.
    struct Scale;
    struct ScaleRules(f64);
    struct ScaleObject(f64);

    impl Definition for Scale {
        fn property(&self, keywords: &[(String, String)]) -> Result<Property> {
            let by = keywords.iter().find(|(k, _)| k == "by").map_or(Ok(2.0), |(_, v)| v.parse());
            let by = by.map_err(|e| err!(Param, "by is no number: {e}"))?;
            let arguments = vec!["data".to_owned(), "label".to_owned()];
            let outputs = vec!["out".to_owned()];
            Ok(Property { arguments, states: 0, outputs, needs_grads: true, rules: Arc::new(ScaleRules(by)) })
        }
    }

    impl Rules for ScaleRules {
        fn shapes(&self, ins: &mut [Partial], outs: &mut [Partial]) -> Result<()> {
            outs[0].merge(&ins[0])?;
            if let Some(n) = ins[0].dim(0) {
                ins[1].merge(&Partial::from(&[n][..]))?;
            }
            Ok(())
        }
        fn types(&self, ins: &mut [Option<DType>], outs: &mut [Option<DType>]) -> Result<()> {
            outs[0] = ins[0];
            Ok(())
        }
        fn create(&self, _: Device, _: &[(Dims, DType)]) -> Result<Arc<dyn Operator>> {
            MADE.fetch_add(1, SeqCst);
            Ok(Arc::new(ScaleObject(self.0)))
        }
    }

    impl Operator for ScaleObject {
        fn forward(&self, _: bool, ins: &[Array], outs: &[Array]) -> Result<()> {
            outs[0].tensor().assign((&ins[0] * self.0).tensor())
        }
        fn backward(&self, to: &Backward<'_>) -> Result<()> {
            assert_eq!(to.wanted, [true, false]);
            to.in_grads[0].tensor().assign((&to.grads[0] * self.0).tensor())
        }
    }

    fn data() -> (Array, Array) {
        register("scale", Arc::new(Scale)).unwrap();
        let x = Array::from_slice(&[1f32, 2.0, 3.0], &[3]).unwrap();
        x.attach_grad(GradReq::Write).unwrap();
        (x, Array::from_slice(&[0f32; 3], &[3]).unwrap())
    }

    fn call(x: &Array, label: &Array) -> Result<Array> {
        let named = [("op_type", "scale".into()), ("by", 3.0.into())];
        invoke_named(&CUSTOM, &[x, label], &named).map(|mut outs| outs.remove(0))
    }

    #[test]
    fn forward_and_backward_are_the_callers_and_second_order_is_refused() {
        let (x, label) = data();
        let y = record(|| call(&x, &label).unwrap());
        assert_eq!(y.to_vec::<f32>(), [3.0, 6.0, 9.0]);
        backward(&[&y], &[], Options::default()).unwrap();
        assert_eq!(x.grad().unwrap().to_vec::<f32>(), [3.0; 3]);
        let options = Options { create_graph: true, ..Options::default() };
        let e = record(|| {
            let y = &x * &call(&x, &label).unwrap();
            let slope = grad(&[&(&y * &y)], &[], &[&x], options).unwrap().remove(0);
            backward(&[&slope], &[], Options::default()).unwrap_err()
        });
        assert!(e.to_string().contains("non-differentiable: what the caller computes"), "{e}");
    }

    #[test]
    fn a_graph_asks_it_for_names_and_shapes() {
        data();
        let x = Symbol::variable("x", &[]).unwrap();
        let s = Symbol::call(&CUSTOM, "own", &[("op_type", "scale"), ("by", "4")], &["data"], &[&x]).unwrap();
        assert_eq!(s.list_arguments(), ["x", "own_label"]);
        assert_eq!(s.list_outputs(), ["own_out"]);
        let found = s.infer_shape(&["x"], &[Partial::from(&[2usize, 3][..])]).unwrap();
        assert_eq!(found.args[1], Partial::from(&[2usize][..]));
        let again = Symbol::from_json(&s.to_json()).unwrap();
        assert_eq!(again.to_json(), s.to_json());
        again.set_attr("by", "5").unwrap();
        assert!(again.set_attr("by", "five").unwrap_err().to_string().contains("by is no number"));
    }

    #[test]
    fn what_is_not_there_is_named() {
        let (x, label) = data();
        let e = invoke_named(&CUSTOM, &[&x], &[("op_type", "nope".into())]).unwrap_err().to_string();
        assert!(e.starts_with("Custom: no operator is registered as 'nope'") && e.contains("scale"), "{e}");
        let e = invoke_named(&CUSTOM, &[&x], &[]).unwrap_err().to_string();
        assert_eq!(e, "Custom: Required parameter op_type is missing");
        let e = invoke_named(&CUSTOM, &[&x], &[("op_type", "scale".into())]).unwrap_err().to_string();
        assert!(e.contains("expects 2 inputs, but got 1, want data, label"), "{e}");
        let before = MADE.load(SeqCst);
        call(&x, &label).unwrap();
        assert!(MADE.load(SeqCst) > before);
        assert!(register("", Arc::new(Scale)).is_err());
    }
}
