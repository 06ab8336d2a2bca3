//! A graph that is called like an operator, on whatever shapes come. For each kind of call (shapes, dtypes, mode, what is
//! recorded) it is compiled once; what cannot be compiled is run call by call.

use super::attrs;
use super::ir::Meta;
use super::lower::Use;
use super::node::Symbol;
use super::passes::Report;
use super::plan::Plan;
use super::program::Program;
use super::replay::{Recorded, record};
use crate::array::Array;
use crate::autograd::mode;
use crate::autograd::node::Kind;
use crate::error::Result;
use crate::rng;
use crate::watch::{self, Watch};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    plan: Arc<Plan>,
    /// The kinds of call that were seen last, the last one first.
    variants: Mutex<Vec<Arc<Variant>>>,
    /// A graph of at most so many calls is recorded call by call.
    inline_limit: usize,
    static_alloc: bool,
    /// Which inputs the caller says are parameters.
    parameters: Vec<bool>,
}

/// A graph compiled for one kind of call.
struct Variant {
    metas: Vec<Meta>,
    training: bool,
    /// Which inputs want gradients; empty when nothing is recorded.
    needs: Vec<bool>,
    /// `None` when it is run call by call.
    program: Option<Arc<Program>>,
    /// Which outputs had gradients, when the program was not made for that.
    asked: Arc<Mutex<Option<Vec<bool>>>>,
}

/// Variants that are kept.
const VARIANTS: usize = 32;
/// Calls up to which a graph is recorded call by call, unless told otherwise.
const INLINE: usize = 2;

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

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CachedOp {
    /// Prepares a graph. Flags are hints about speed; unknown ones are refused. With `static_alloc` the memory of values in
    /// between is kept from call to call. A graph of at most `inline_limit` (2) calls is recorded call by call, else as one.
    pub fn new(symbol: &Symbol, flags: &[(&str, &str)]) -> Result<CachedOp> {
        if let Some((name, _)) = flags.iter().find(|(name, _)| !FLAGS.contains(name)) {
            bail!(Param, "CachedOp: Cannot find argument '{name}', want one of {}", FLAGS.join(", "));
        }
        let flag = |key: &str| flags.iter().find(|(name, _)| *name == key).map(|(_, value)| value.trim());
        let inline_limit = match flag("inline_limit").map(str::parse) {
            None => INLINE,
            Some(Ok(n)) => n,
            Some(Err(_)) => {
                bail!(Param, "CachedOp: inline_limit is no number, got {:?}", flag("inline_limit"))
            }
        };
        let static_alloc = flag("static_alloc").is_some_and(|v| matches!(v, "1" | "True" | "true"));
        let plan = Arc::new(Plan::new(symbol));
        let mut parameters = vec![false; plan.num_inputs()];
        let sizes = flag("param_indices").and_then(attrs::sizes).unwrap_or_default();
        for i in sizes.into_iter().filter_map(|i| usize::try_from(i).ok()) {
            if let Some(is) = parameters.get_mut(i) {
                *is = true;
            }
        }
        Ok(CachedOp { inline_limit, static_alloc, ..CachedOp::of(plan, parameters) })
    }

    /// Of a graph that is planned already. `parameters`: which inputs seldom change.
    pub(crate) fn of(plan: Arc<Plan>, parameters: Vec<bool>) -> CachedOp {
        CachedOp { plan, variants: Mutex::default(), inline_limit: INLINE, static_alloc: false, parameters }
    }

    /// Number of outputs.
    pub fn num_outputs(&self) -> usize {
        self.plan.heads.len()
    }

    /// What the compiler did for the last kind of call; `None` when that was not compiled.
    pub fn report(&self) -> Option<Report> {
        lock(&self.variants).first()?.program.as_ref().map(|p| p.report)
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
        let mut results = match self.call_compiled(inputs)? {
            Some(results) => results,
            None => {
                let values: Vec<Array> = inputs.iter().map(|a| (*a).clone()).collect();
                self.plan.run_whole(&values, None)?
            }
        };
        for (result, given) in results.iter_mut().zip(given) {
            overwrite(given, result)?;
            *result = (*given).clone();
        }
        Ok(results)
    }

    /// Calls the compiled graph; `None` where its calls have to be made one by one.
    pub(crate) fn call_compiled(&self, inputs: &[&Array]) -> Result<Option<Vec<Array>>> {
        self.variant(inputs).map(|(variant, program)| self.compiled(&variant, &program, inputs)).transpose()
    }

    /// The variant for such a call, and its program if it has one that may be run.
    fn variant(&self, inputs: &[&Array]) -> Option<(Arc<Variant>, Arc<Program>)> {
        // While NaNs are searched the calls are made one by one, so that the error names the right one.
        if watch::is_on(Watch::Nan) {
            return None;
        }
        let training = mode::is_training();
        let records = mode::is_recording() && inputs.iter().any(|a| a.has_edge());
        // A gradient by rows is that of the calls: a compiled pass would make all of it.
        let by_rows =
            |a: &&Array| matches!(a.edge(), Some(e) if matches!(&e.node.kind, Kind::Leaf(l) if l.by_rows()));
        if records && inputs.iter().any(by_rows) {
            return None;
        }
        if records && self.plan.num_calls() <= self.inline_limit && !self.static_alloc {
            return None;
        }
        let is_it = |v: &Variant| {
            v.training == training
                && v.needs.is_empty() != records
                && v.metas.iter().zip(inputs).all(|(m, a)| m.fits(a.tensor()))
                && v.needs.iter().zip(inputs).all(|(n, a)| *n == a.has_edge())
        };
        let mut variants = lock(&self.variants);
        let found = variants.iter().position(|v| is_it(v)).map(|i| variants.remove(i));
        let variant = match found {
            Some(v) if lock(&v.asked).is_none() => v,
            old => {
                let asked = old.as_ref().and_then(|v| lock(&v.asked).take());
                Arc::new(self.compile(inputs, training, records, asked))
            }
        };
        variants.insert(0, variant.clone());
        variants.truncate(VARIANTS);
        drop(variants);
        let program = variant.program.clone()?;
        // A state that is changed while another input shares its memory: only the order of the graph is right.
        let clash = |i: usize| {
            let span = inputs[i].tensor().span();
            (0..inputs.len()).any(|k| k != i && inputs[k].tensor().span().overlaps(span))
        };
        (!(0..inputs.len()).any(|i| program.changes[i] && clash(i))).then_some((variant, program))
    }

    fn compile(&self, inputs: &[&Array], training: bool, records: bool, asked: Option<Vec<bool>>) -> Variant {
        let metas: Vec<Meta> = inputs.iter().map(|a| Meta::of(a.tensor())).collect();
        let needs = if records { inputs.iter().map(|a| a.has_edge()).collect() } else { Vec::new() };
        let to = Use { metas: &metas, training, needs: &needs, given: asked.as_deref() };
        // What cannot be compiled fails when it is run, if it is wrong, with an error that says where.
        let program =
            Program::new(&self.plan, &to, self.parameters.clone(), self.static_alloc).ok().map(Arc::new);
        Variant { metas, training, needs, program, asked: Arc::default() }
    }

    fn compiled(&self, variant: &Variant, program: &Arc<Program>, inputs: &[&Array]) -> Result<Vec<Array>> {
        let device = inputs.first().map(|a| a.device()).unwrap_or_default();
        let stream = rng::position(device);
        let (heads, left) = program.forward(inputs)?;
        if !variant.needs.is_empty() {
            let call =
                Recorded::new(self.plan.clone(), program.clone(), variant.asked.clone(), (device, stream));
            record(call, inputs, &heads, left);
        }
        Ok(heads)
    }
}

/// Makes `to` what `from` is: value and history.
fn overwrite(to: &Array, from: &Array) -> Result<()> {
    to.tensor().assign(from.tensor())?;
    to.set_edge(from.edge());
    Ok(())
}
