//! What an operator is: one expression that says everything about it. Eager calls, the tape, reflection over the C ABI,
//! the Perl methods, their documentation and the generic tests are all read from it.

use super::infer::{self, ShapeRule, TypeRule};
use super::params::{ParamDef, ParamSet, Params};
pub use super::rewrite::{AbsorbRule, Affine, AffineRule, Epilogue, EpilogueRule, Ready, ReadyRule};
use super::samples::{Case, Draw, Samples};
use super::vjp::{Grads, Vjp};
use crate::array::Array;
use crate::device::Device;
use crate::error::Result;
use crate::rows::Rows;
use crate::shape::Dims;
use crate::tensor::Tensor;

/// What a kernel is run on. Inputs and outputs are contiguous; outputs have the inferred shape and dtype. The door
/// guarantees that an output overlaps an input only if the operator said [`OpDef::inplace`], and then exactly.
pub struct Run<'a> {
    /// The operator's parameters.
    pub params: &'a Params,
    /// Inputs.
    pub ins: &'a [&'a Tensor],
    /// Outputs, hidden ones included.
    pub outs: &'a [&'a Tensor],
    /// Whether the call is made in training mode.
    pub training: bool,
}

impl Run<'_> {
    /// The parameter struct.
    #[inline]
    pub fn p<T: ParamSet>(&self) -> &T {
        self.params.get()
    }
}

/// Computes the outputs.
pub type Kernel = fn(&Run<'_>) -> Result<()>;

/// Tells the dims of an output from the values of the inputs.
pub type SizedByValues = fn(&Params, &[&Tensor]) -> Result<Dims>;

/// How many inputs an operator takes.
#[derive(Clone, Copy)]
pub enum Arity {
    /// One for each declared name.
    All,
    /// The first so many of the declared names, or in general a number that the parameters tell.
    By(fn(&Params) -> usize),
    /// Any number from 1 on. The parameter of that name, if there is one, is filled in with it.
    Variadic(Option<&'static str>),
}

/// How the shapes are inferred.
#[derive(Clone, Copy)]
pub enum ShapeInfer {
    /// All inputs and outputs have one shape.
    Same,
    /// Two inputs broadcast to one output.
    Broadcast,
    /// A rule of its own.
    Rule(ShapeRule),
}

/// How the dtypes are inferred.
#[derive(Clone, Copy)]
pub enum TypeInfer {
    /// All inputs and outputs have one dtype.
    Same,
    /// A rule of its own.
    Rule(TypeRule),
}

/// Which inputs and outputs a gradient rule keeps. Nothing else is kept alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep(u64);

impl Keep {
    /// Neither inputs nor outputs.
    pub const NOTHING: Keep = Keep(0);
    /// All inputs.
    pub const INPUTS: Keep = Keep(0xffff_ffff);
    /// All outputs.
    pub const OUTPUTS: Keep = Keep(0xffff_ffff << 32);
    /// All inputs and all outputs.
    pub const ALL: Keep = Keep(u64::MAX);

    /// Input `i` only; combine with [`Keep::and`].
    pub const fn input(i: usize) -> Keep {
        Keep(1 << i)
    }

    /// Output `i` only.
    pub const fn output(i: usize) -> Keep {
        Keep(1 << (32 + i))
    }

    /// Both.
    pub const fn and(self, other: Keep) -> Keep {
        Keep(self.0 | other.0)
    }

    /// Whether input `i` is kept.
    #[inline]
    pub fn keeps_input(self, i: usize) -> bool {
        self.0 >> i.min(31) & 1 == 1
    }

    /// Whether output `i` is kept.
    #[inline]
    pub fn keeps_output(self, i: usize) -> bool {
        self.0 >> (32 + i.min(31)) & 1 == 1
    }
}

/// Tells the parameters of one call, or of one graph that is bound, from those that it was given and from its inputs.
pub type OfCall = fn(&Params, &[&Tensor]) -> Result<Params>;

/// How the outputs of an operator are called in a graph.
#[derive(Clone, Copy)]
pub enum OutputNames {
    /// `output`; with numbers where there are several.
    Plain,
    /// `output0`, `output1`, …, also where there is one.
    Numbered,
    /// These.
    Named(&'static [&'static str]),
    /// What the parameters say, by number.
    By(fn(&Params, usize) -> String),
}

/// The gradient of an operator.
#[derive(Clone, Copy)]
pub enum Gradient {
    /// A rule written with recorded operators, so that it can be differentiated again.
    Rule(Keep, fn(&Vjp<'_>) -> Result<Grads>),
    /// As `Rule`, for one input.
    Unary(Keep, fn(&Vjp<'_>) -> Result<Array>),
    /// The derivative is zero wherever there is one: the reason.
    Zero(&'static str),
    /// There is none: the reason. Going back through such an operator is an error.
    None(&'static str),
}

/// The gradient of one input as rows, for a variable that keeps it so. Not recorded.
pub type RowsRule = fn(&Vjp<'_>) -> Result<Rows>;

/// An operator.
pub struct OpDef {
    /// The name, MXNet's where MXNet has the operator.
    pub name: &'static str,
    /// Other names.
    pub aliases: &'static [&'static str],
    /// The module in whose table it stands, which tells its family.
    pub module: &'static str,
    /// What it computes, with the formula.
    pub doc: &'static str,
    /// Names of the inputs; of a variadic operator the name of the repeated one.
    pub inputs: &'static [&'static str],
    /// How many inputs there are.
    pub arity: Arity,
    /// Names of all inputs, and so their number, where the parameters tell them; [`OpDef::inputs`] are then those that MXNet lists.
    pub input_names: Option<fn(&Params) -> Vec<String>>,
    /// Number of outputs, hidden ones included.
    pub outputs: fn(&Params) -> usize,
    /// Number of outputs that the caller sees: the first ones.
    pub visible: fn(&Params) -> usize,
    /// Number of outputs that MXNet's files count, where that is not `outputs`: it hides others.
    pub counted: Option<fn(&Params) -> usize>,
    /// Names of the outputs.
    pub output_names: OutputNames,
    /// Initializers of the variables that a graph makes for inputs which are not given: index of the input, and the text.
    pub inits: &'static [(usize, &'static str)],
    /// Parameters.
    pub params: ParamDef,
    /// What makes the parameters of one call, for an operator that keeps something from a call to its gradient. Sets that it
    /// made before for inputs of the same kind stay as they are.
    pub of_call: Option<OfCall>,
    /// Shape inference.
    pub shape: ShapeInfer,
    /// Dtype inference.
    pub dtype: TypeInfer,
    /// The kernel.
    pub run: Kernel,
    /// Instead of a kernel: the output is a view of input 0.
    pub view: Option<fn(&Params, &Tensor) -> Result<Tensor>>,
    /// Tells the shape of the only output where it depends on the values of the inputs.
    pub sized_by_values: Option<SizedByValues>,
    /// Inputs that the kernel changes (moving averages, optimizer states).
    pub mutates: &'static [usize],
    /// Tells how many of the last inputs the kernel changes, too.
    pub states: Option<fn(&Params) -> usize>,
    /// Whether an output may be exactly an input.
    pub inplace: bool,
    /// Whether, with these parameters, an element of the only output depends on the same element of each input and on nothing
    /// else, its place and the shape included: then the kernel may be run on any part of the arrays.
    pub elementwise: fn(&Params) -> bool,
    /// Whether, with these parameters, the kernel draws random numbers: then two calls on the same inputs are not the same.
    pub random: fn(&Params) -> bool,
    /// What it does outside of training to its first input, where that is a multiplication and an addition for each channel;
    /// `None` when, with these parameters, it is not. Written with calls on the inputs.
    pub affine: Option<AffineRule>,
    /// Parameters and inputs with which the operator gives what an affine function makes of its result; `None` when, with these
    /// parameters, there are none. Written with calls on the inputs.
    pub absorb: Option<AbsorbRule>,
    /// How a call is made ready one of whose inputs stands still. Results may differ by rounding.
    pub ready: Option<ReadyRule>,
    /// What it is, with these parameters, of the things that a product before it can do in the end.
    pub epilogue: fn(&Params) -> Option<Epilogue>,
    /// Parameters with which the operator does such a thing, too.
    pub with_epilogue: Option<EpilogueRule>,
    /// Whether, with these parameters, each of its results is the largest of some elements of its only input, of one at least: then a rectifier
    /// may as well come after it as before it.
    pub picks: fn(&Params) -> bool,
    /// Whether its results are zeros, whatever it is called with: then the kernel need not write new ones.
    pub zeros: bool,
    /// Whether it takes and gives arrays of truth values.
    pub truths: bool,
    /// The device of the outputs of an operator without inputs.
    pub device: Option<fn(&Params) -> Device>,
    /// The gradient.
    pub gradient: Gradient,
    /// The input whose gradient can be told by rows, and the rule. It sees what `gradient` keeps.
    pub rows: Option<(usize, RowsRule)>,
    /// Sample calls for the generic tests.
    pub samples: Samples,
}

impl std::fmt::Debug for OpDef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

fn one(_: &Params) -> usize {
    1
}

fn no_kernel(_: &Run<'_>) -> Result<()> {
    bail!(Internal, "this operator has no kernel")
}

impl OpDef {
    /// An operator with named inputs and a kernel. Until told otherwise: one output, all shapes and dtypes the same.
    pub const fn new(name: &'static str, inputs: &'static [&'static str], run: Kernel) -> OpDef {
        OpDef {
            name,
            aliases: &[],
            module: "",
            doc: "",
            inputs,
            arity: Arity::All,
            input_names: None,
            outputs: one,
            visible: one,
            counted: None,
            output_names: OutputNames::Plain,
            inits: &[],
            params: ParamDef::NONE,
            of_call: None,
            shape: ShapeInfer::Same,
            dtype: TypeInfer::Same,
            run,
            view: None,
            sized_by_values: None,
            mutates: &[],
            states: None,
            inplace: false,
            elementwise: |_| false,
            random: |_| false,
            affine: None,
            absorb: None,
            ready: None,
            epilogue: |_| None,
            with_epilogue: None,
            picks: |_| false,
            zeros: false,
            truths: false,
            device: None,
            gradient: Gradient::None("no gradient was stated"),
            rows: None,
            samples: Samples::None("no samples were stated"),
        }
    }

    /// An element-wise operator of one input.
    pub const fn map(name: &'static str, run: Kernel) -> OpDef {
        OpDef::new(name, &["data"], run).inplace().elementwise(|_| true)
    }

    /// An element-wise operator of two inputs of one shape.
    pub const fn zip(name: &'static str, run: Kernel) -> OpDef {
        OpDef::new(name, &["lhs", "rhs"], run).inplace().elementwise(|_| true)
    }

    /// An element-wise operator of two inputs that broadcast.
    pub const fn broadcast(name: &'static str, run: Kernel) -> OpDef {
        let op = OpDef::new(name, &["lhs", "rhs"], run).inplace().elementwise(|_| true);
        OpDef { shape: ShapeInfer::Broadcast, ..op }
    }

    /// An operator whose output is a view of its input.
    pub const fn viewing(name: &'static str, view: fn(&Params, &Tensor) -> Result<Tensor>) -> OpDef {
        let op = OpDef::new(name, &["data"], no_kernel);
        OpDef { view: Some(view), truths: true, ..op }
    }

    /// Other names.
    pub const fn aliases(self, aliases: &'static [&'static str]) -> OpDef {
        OpDef { aliases, ..self }
    }

    /// What it computes, with the formula.
    pub const fn doc(self, doc: &'static str) -> OpDef {
        OpDef { doc, ..self }
    }

    /// The parameter struct.
    pub const fn params<T: ParamSet>(self) -> OpDef {
        OpDef { params: ParamDef::of::<T>(), ..self }
    }

    /// Says that it takes parameters of any other name, too; see [`ParamDef::others`].
    pub const fn other_params(self) -> OpDef {
        OpDef { params: ParamDef { others: true, ..self.params }, ..self }
    }

    /// See [`OpDef::of_call`](OpDef#structfield.of_call).
    pub const fn of_call(self, f: OfCall) -> OpDef {
        OpDef { of_call: Some(f), ..self }
    }

    /// The parameters tell the names of the inputs.
    pub const fn input_names(self, f: fn(&Params) -> Vec<String>) -> OpDef {
        OpDef { input_names: Some(f), ..self }
    }

    /// The number of inputs depends on the parameters.
    pub const fn arity(self, f: fn(&Params) -> usize) -> OpDef {
        OpDef { arity: Arity::By(f), ..self }
    }

    /// Any number of inputs; `count` is the parameter that tells how many.
    pub const fn variadic(self, count: Option<&'static str>) -> OpDef {
        OpDef { arity: Arity::Variadic(count), ..self }
    }

    /// Numbers of all outputs and of the visible ones.
    pub const fn outputs(self, outputs: fn(&Params) -> usize, visible: fn(&Params) -> usize) -> OpDef {
        OpDef { outputs, visible, ..self }
    }

    /// How many outputs MXNet's files count, its hidden ones included.
    pub const fn counted(self, counted: fn(&Params) -> usize) -> OpDef {
        OpDef { counted: Some(counted), ..self }
    }

    /// Names of the outputs: those of the hidden ones may be left out.
    pub const fn output_names(self, names: &'static [&'static str]) -> OpDef {
        OpDef { output_names: OutputNames::Named(names), ..self }
    }

    /// The parameters tell the names of the outputs.
    pub const fn output_names_by(self, f: fn(&Params, usize) -> String) -> OpDef {
        OpDef { output_names: OutputNames::By(f), ..self }
    }

    /// Says that the names of the outputs are numbered, also where there is one.
    pub const fn numbered_outputs(self) -> OpDef {
        OpDef { output_names: OutputNames::Numbered, ..self }
    }

    /// Initializers for variables that stand for inputs which are not given.
    pub const fn inits(self, inits: &'static [(usize, &'static str)]) -> OpDef {
        OpDef { inits, ..self }
    }

    /// A shape rule of its own.
    pub const fn shape(self, rule: ShapeRule) -> OpDef {
        OpDef { shape: ShapeInfer::Rule(rule), ..self }
    }

    /// A dtype rule of its own.
    pub const fn dtype(self, rule: TypeRule) -> OpDef {
        OpDef { dtype: TypeInfer::Rule(rule), ..self }
    }

    /// The shape of the only output depends on the values of the inputs; the shape rule then leaves it open.
    pub const fn sized_by_values(self, f: SizedByValues) -> OpDef {
        OpDef { sized_by_values: Some(f), ..self }
    }

    /// Says that the kernel changes these inputs.
    pub const fn mutates(self, inputs: &'static [usize]) -> OpDef {
        OpDef { mutates: inputs, ..self }
    }

    /// See [`OpDef::states`](OpDef#structfield.states).
    pub const fn states(self, f: fn(&Params) -> usize) -> OpDef {
        OpDef { states: Some(f), ..self }
    }

    /// Says that an output may be exactly an input.
    pub const fn inplace(self) -> OpDef {
        OpDef { inplace: true, ..self }
    }

    /// Says with which parameters the kernel may be run on any part of the arrays.
    pub const fn elementwise(self, f: fn(&Params) -> bool) -> OpDef {
        OpDef { elementwise: f, ..self }
    }

    /// Says that the kernel wants whole arrays, though there is one element of the output for each of the input.
    pub const fn whole(self) -> OpDef {
        self.elementwise(|_| false)
    }

    /// Says that the kernel draws random numbers.
    pub const fn random(self) -> OpDef {
        self.random_if(|_| true)
    }

    /// Says with which parameters the kernel draws random numbers.
    pub const fn random_if(self, f: fn(&Params) -> bool) -> OpDef {
        OpDef { random: f, ..self }
    }

    /// See [`OpDef::affine`](OpDef#structfield.affine).
    pub const fn affine(self, rule: AffineRule) -> OpDef {
        OpDef { affine: Some(rule), ..self }
    }

    /// See [`OpDef::absorb`](OpDef#structfield.absorb).
    pub const fn absorb(self, rule: AbsorbRule) -> OpDef {
        OpDef { absorb: Some(rule), ..self }
    }

    /// See [`OpDef::ready`](OpDef#structfield.ready).
    pub const fn ready(self, rule: ReadyRule) -> OpDef {
        OpDef { ready: Some(rule), ..self }
    }

    /// Says what it is of the things that a product can do in the end.
    pub const fn epilogue(self, f: fn(&Params) -> Option<Epilogue>) -> OpDef {
        OpDef { epilogue: f, ..self }
    }

    /// See [`OpDef::with_epilogue`](OpDef#structfield.with_epilogue).
    pub const fn with_epilogue(self, rule: EpilogueRule) -> OpDef {
        OpDef { with_epilogue: Some(rule), ..self }
    }

    /// Says with which parameters each result is the largest of some elements.
    pub const fn picks(self, f: fn(&Params) -> bool) -> OpDef {
        OpDef { picks: f, ..self }
    }

    /// Says that its results are zeros.
    pub const fn zeros(self) -> OpDef {
        OpDef { zeros: true, ..self }
    }

    /// Says that it takes arrays of truth values and may give them.
    pub const fn truths(self) -> OpDef {
        OpDef { truths: true, ..self }
    }

    /// Where the outputs of an operator without inputs live.
    pub const fn device(self, f: fn(&Params) -> Device) -> OpDef {
        OpDef { device: Some(f), ..self }
    }

    /// The gradient, one entry per input; `None` where an input has none. Broadcasting is undone by the tape.
    pub const fn vjp(self, keep: Keep, rule: fn(&Vjp<'_>) -> Result<Grads>) -> OpDef {
        OpDef { gradient: Gradient::Rule(keep, rule), ..self }
    }

    /// The gradient of an operator of one input.
    pub const fn vjp1(self, keep: Keep, rule: fn(&Vjp<'_>) -> Result<Array>) -> OpDef {
        OpDef { gradient: Gradient::Unary(keep, rule), ..self }
    }

    /// How the gradient of an input is told by rows, beside the rule for all of it.
    pub const fn rows(self, input: usize, rule: RowsRule) -> OpDef {
        OpDef { rows: Some((input, rule)), ..self }
    }

    /// The derivative is zero wherever there is one: the reason.
    pub const fn zero_gradient(self, reason: &'static str) -> OpDef {
        OpDef { gradient: Gradient::Zero(reason), ..self }
    }

    /// There is no gradient: the reason.
    pub const fn no_gradient(self, reason: &'static str) -> OpDef {
        OpDef { gradient: Gradient::None(reason), ..self }
    }

    /// Samples: inputs of one shape, real numbers in `lo..hi`.
    pub const fn samples(self, lo: f64, hi: f64) -> OpDef {
        self.samples_away(lo, hi, &[])
    }

    /// Samples: real numbers in `lo..hi`, away from points where the operator has a kink or a pole.
    pub const fn samples_away(self, lo: f64, hi: f64, away: &'static [f64]) -> OpDef {
        let samples = match self.shape {
            ShapeInfer::Broadcast => Samples::Broadcast(lo, hi, away),
            _ => Samples::Same(lo, hi, away),
        };
        OpDef { samples, ..self }
    }

    /// Samples: calls drawn by a function.
    pub const fn cases(self, f: fn(&mut Draw) -> Case) -> OpDef {
        OpDef { samples: Samples::Cases(f), ..self }
    }

    /// No samples: the reason.
    pub const fn no_samples(self, reason: &'static str) -> OpDef {
        OpDef { samples: Samples::None(reason), ..self }
    }

    /// The number of inputs that a call with these parameters has; `given` are there.
    pub fn num_inputs(&self, params: &Params, given: usize) -> usize {
        match (self.arity, self.input_names) {
            (Arity::All, _) => self.inputs.len(),
            (Arity::By(f), _) => f(params),
            (Arity::Variadic(_), Some(names)) => names(params).len(),
            (Arity::Variadic(_), None) => given.max(1),
        }
    }

    /// Name of input `i`.
    pub fn input_name(&self, i: usize, params: &Params) -> String {
        match (self.arity, self.input_names) {
            (_, Some(names)) => names(params).into_iter().nth(i).unwrap_or_else(|| format!("input {i}")),
            (Arity::Variadic(_), None) => format!("{}{i}", self.inputs[0]),
            _ => self.inputs.get(i).map_or_else(|| format!("input {i}"), |n| (*n).to_owned()),
        }
    }

    /// Name of output `i`.
    pub fn output_name(&self, i: usize, params: &Params) -> String {
        match self.output_names {
            OutputNames::By(f) => f(params, i),
            OutputNames::Named(names) if i < names.len() => names[i].to_owned(),
            OutputNames::Plain if (self.visible)(params) == 1 => "output".to_owned(),
            _ => format!("output{i}"),
        }
    }

    /// Whether some input is changed.
    pub fn has_states(&self) -> bool {
        !self.mutates.is_empty() || self.states.is_some()
    }

    /// The inputs that a call with so many of them changes.
    pub fn changed(&self, params: &Params, inputs: usize) -> impl Iterator<Item = usize> + use<> {
        let own = self.states.map_or(0, |f| f(params)).min(inputs);
        self.mutates.iter().copied().filter(move |&i| i < inputs).chain(inputs - own..inputs)
    }

    /// Whether such a call changes input `i`.
    pub fn changes(&self, params: &Params, inputs: usize, i: usize) -> bool {
        self.mutates.contains(&i) || self.states.is_some_and(|f| i + f(params) >= inputs)
    }

    /// Runs the shape rule.
    pub fn infer_shape(&self, s: &mut infer::Shapes<'_>) -> Result<()> {
        match self.shape {
            ShapeInfer::Same => infer::same(s),
            ShapeInfer::Broadcast => infer::broadcast(s),
            ShapeInfer::Rule(rule) => rule(s),
        }
    }

    /// Runs the dtype rule.
    pub fn infer_type(&self, t: &mut infer::Types<'_>) -> Result<()> {
        match self.dtype {
            TypeInfer::Same => infer::same_type(t),
            TypeInfer::Rule(rule) => rule(t),
        }
    }
}

/// Declares operators: `pub static` items, and `TABLE`, the slice of all of them. Nothing else.
#[macro_export]
macro_rules! table {
    ($($(#[$m:meta])* $name:ident = $op:expr;)*) => {
        $($(#[$m])* #[allow(missing_docs)] pub static $name: $crate::ops::def::OpDef =
            $crate::ops::def::OpDef { module: module_path!(), ..$op };)*
        /// All operators of this file.
        pub static TABLE: &[&$crate::ops::def::OpDef] = &[$(&$name),*];
    };
}
