//! Nodes of a graph, and symbols, which are lists of their outputs.

use super::attrs::{self, Attrs};
use crate::error::Result;
use crate::invoke::parse_named;
use crate::ops::def::{Arity, OpDef};
use crate::ops::params::Params;
use crate::ops::value::Value;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Which output of which node.
#[derive(Clone)]
pub struct Entry {
    /// The node.
    pub node: Arc<Node>,
    /// Which of its outputs.
    pub output: u32,
    /// Of a variable: how many calls change it before this use, itself included.
    pub version: u32,
}

/// What a node is.
pub enum Kind {
    /// A variable, with the number of calls that change it.
    Variable(AtomicU32),
    /// A call of an operator.
    Call(&'static OpDef),
}

/// A variable or a call.
pub struct Node {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Where its inputs come from.
    pub inputs: Vec<Entry>,
    state: Mutex<State>,
}

/// What may change after a node was made.
struct State {
    attrs: Attrs,
    /// What the attributes say about the parameters of a call.
    params: Params,
}

impl Node {
    /// A variable that `version` calls change so far.
    pub(crate) fn variable(name: &str, attrs: Attrs, version: u32) -> Node {
        let state = Mutex::new(State { attrs, params: Params::NONE });
        Node {
            name: name.to_owned(),
            kind: Kind::Variable(AtomicU32::new(version)),
            inputs: Vec::new(),
            state,
        }
    }

    /// A call whose inputs are complete.
    pub(crate) fn call(
        op: &'static OpDef,
        name: &str,
        attrs: Attrs,
        params: Params,
        inputs: Vec<Entry>,
    ) -> Node {
        let state = Mutex::new(State { attrs, params });
        Node { name: name.to_owned(), kind: Kind::Call(op), inputs, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The operator; `None` for a variable.
    pub fn op(&self) -> Option<&'static OpDef> {
        match self.kind {
            Kind::Variable(_) => None,
            Kind::Call(op) => Some(op),
        }
    }

    /// Whether it is a variable.
    pub fn is_variable(&self) -> bool {
        self.op().is_none()
    }

    /// The parameters of a call.
    pub fn params(&self) -> Params {
        self.state().params.clone()
    }

    /// All attributes.
    pub fn attrs(&self) -> Attrs {
        self.state().attrs.clone()
    }

    /// One attribute, in either spelling of its key.
    pub fn attr(&self, key: &str) -> Option<String> {
        attrs::get(&self.state().attrs, key).cloned()
    }

    /// Changes an attribute. A parameter may change as long as the numbers of inputs and outputs do not.
    pub fn set_attr(&self, key: &str, value: &str) -> Result<()> {
        let key = attrs::stored(key)?;
        let mut state = self.state();
        if let Some(op) = self.op()
            && ((op.params.others && !attrs::is_guarded(&key))
                || (op.params.specs)().iter().any(|s| s.name == key))
        {
            let mut changed = state.attrs.clone();
            changed.insert(key, value.to_owned());
            let params = parse(op, &changed, self.inputs.len()).map_err(|e| e.within(&self.name))?;
            let n = self.inputs.len();
            if op.num_inputs(&params, n) != n || (op.outputs)(&params) != (op.outputs)(&state.params) {
                bail!(Param, "'{value}' would change the number of inputs or outputs of {}", self.name);
            }
            *state = State { attrs: changed, params };
        } else {
            state.attrs.insert(key, value.to_owned());
        }
        Ok(())
    }

    /// Number of all outputs, hidden ones included.
    pub fn num_outputs(&self) -> usize {
        self.op().map_or(1, |op| (op.outputs)(&self.params()))
    }

    /// Number of outputs that others can use.
    pub fn num_visible(&self) -> usize {
        self.op().map_or(1, |op| (op.visible)(&self.params()))
    }

    /// Number of outputs as MXNet's files count them.
    pub fn num_counted(&self) -> usize {
        self.op().map_or(1, |op| op.counted.unwrap_or(op.outputs)(&self.params()))
    }

    /// The inputs that the call changes.
    pub fn mutated(&self) -> impl Iterator<Item = &Entry> {
        let all = self.op().map(|op| op.changed(&self.params(), self.inputs.len()));
        all.into_iter().flatten().map(|i| &self.inputs[i])
    }

    /// The name of output `i` in lists.
    pub fn output_name(&self, i: usize) -> String {
        match self.op() {
            None => self.name.clone(),
            Some(op) => format!("{}_{}", self.name, op.output_name(i, &self.params())),
        }
    }
}

impl Drop for Node {
    /// A loop, not a recursion: graphs are as deep as their author likes.
    fn drop(&mut self) {
        let mut stack = std::mem::take(&mut self.inputs);
        while let Some(entry) = stack.pop() {
            if let Some(mut node) = Arc::into_inner(entry.node) {
                stack.append(&mut node.inputs);
            }
        }
    }
}

/// Parameters from attributes. In a graph a size of 0 in the shape of something made from nothing is one to be inferred.
pub(crate) fn parse(op: &'static OpDef, attrs: &Attrs, inputs: usize) -> Result<Params> {
    let from_nothing = op.inputs.is_empty() && matches!(op.arity, Arity::All);
    let specs = if from_nothing { (op.params.specs)() } else { Vec::new() };
    let is_shape = |key: &str| specs.iter().any(|s| s.name == key && s.type_text.starts_with("Shape"));
    let value = |(k, v): (&String, &String)| match attrs::sizes(v) {
        Some(sizes) if is_shape(k) => {
            Value::Ints(sizes.iter().map(|&d| if d == 0 { -1 } else { d }).collect())
        }
        _ => Value::Str(v.clone()),
    };
    let own = || attrs.iter().filter(|(k, _)| !attrs::is_guarded(k));
    let named: Vec<(&str, Value)> = own().map(|kv| (kv.0.as_str(), value(kv))).collect();
    parse_named(op, &named, inputs)
}

/// A list of outputs of nodes.
#[derive(Clone)]
pub struct Symbol {
    /// The outputs.
    pub heads: Vec<Entry>,
}

impl Symbol {
    /// A variable. Bare hidden keys get their underscores.
    pub fn variable(name: &str, attrs: &[(&str, &str)]) -> Result<Symbol> {
        if name.is_empty() {
            bail!(Argument, "a variable needs a name");
        }
        Ok(Symbol::of(Arc::new(Node::variable(name, stored_attrs(attrs)?, 0))))
    }

    /// All outputs of a node.
    pub(crate) fn of(node: Arc<Node>) -> Symbol {
        let n = node.num_visible() as u32;
        Symbol { heads: (0..n).map(|output| Entry { node: node.clone(), output, version: 0 }).collect() }
    }

    /// A call of `op` on the outputs of other symbols, given in order or, where `keys` are, by the names of the inputs.
    /// Inputs that are not given become variables named after the call, with its attributes.
    pub fn call(
        op: &'static OpDef,
        name: &str,
        attrs: &[(&str, &str)],
        keys: &[&str],
        inputs: &[&Symbol],
    ) -> Result<Symbol> {
        build(op, name, stored_attrs(attrs)?, keys, inputs).map_err(|e| e.within(op.name))
    }

    /// Several symbols as one.
    pub fn group(symbols: &[&Symbol]) -> Symbol {
        Symbol { heads: symbols.iter().flat_map(|s| s.heads.iter().cloned()).collect() }
    }

    /// The node, when all outputs are of one.
    pub fn node(&self) -> Option<&Arc<Node>> {
        let first = &self.heads.first()?.node;
        self.heads.iter().all(|h| Arc::ptr_eq(&h.node, first)).then_some(first)
    }

    /// The name, when all outputs are of one node.
    pub fn name(&self) -> Option<&str> {
        self.node().map(|n| n.name.as_str())
    }

    /// The only output.
    pub(crate) fn single(&self, what: &str) -> Result<&Entry> {
        match self.heads.as_slice() {
            [one] => Ok(one),
            many => {
                bail!(Argument, "{what} is a tuple, single value is required, got {} outputs", many.len())
            }
        }
    }

    /// Output `i` as a symbol.
    pub fn output(&self, i: usize) -> Result<Symbol> {
        match self.heads.get(i) {
            Some(h) => Ok(Symbol { heads: vec![h.clone()] }),
            None => bail!(
                Argument,
                "Index: [{i}] is outside of the range of the symbol: {} outputs",
                self.heads.len()
            ),
        }
    }
}

fn stored_attrs(given: &[(&str, &str)]) -> Result<Attrs> {
    given.iter().map(|(k, v)| Ok((attrs::stored(k)?, (*v).to_owned()))).collect()
}

/// The name of input `i` in names of variables. Repeated inputs have numbers.
pub(crate) fn input_name(op: &OpDef, params: &Params, i: usize) -> String {
    match (op.arity, op.input_names) {
        (Arity::Variadic(_), None) => format!("arg{i}"),
        _ => op.input_name(i, params),
    }
}

fn build(
    op: &'static OpDef,
    name: &str,
    mut attrs: Attrs,
    keys: &[&str],
    given: &[&Symbol],
) -> Result<Symbol> {
    let mut count = given.len();
    if let Arity::Variadic(Some(key)) = op.arity {
        let declared = (op.params.specs)().iter().any(|s| s.name == key);
        match attrs.get(key).map(|text| text.trim().parse::<usize>()) {
            Some(Ok(n)) if declared => count = n,
            Some(Err(_)) => {
                bail!(Param, "Invalid Parameter format for {key} expect int but value='{}'", attrs[key])
            }
            _ => drop(attrs.insert(key.to_owned(), count.to_string())),
        }
    }
    let params = parse(op, &attrs, count)?;
    let want = op.num_inputs(&params, count);
    if given.len() > want {
        bail!(Argument, "Operator {} expects {want} inputs, but got {}", op.name, given.len());
    }
    let mut slots: Vec<Option<Entry>> = vec![None; want];
    for (i, symbol) in given.iter().enumerate() {
        let at = match keys.get(i) {
            None => i,
            Some(key) => (0..want).find(|&k| input_name(op, &params, k) == *key).ok_or_else(|| {
                let known: Vec<String> = (0..want).map(|k| input_name(op, &params, k)).collect();
                err!(Argument, "Cannot find argument '{key}', want one of {}", known.join(", "))
            })?,
        };
        slots[at] = Some(symbol.single(&format!("Argument {i}"))?.clone());
    }
    let missing = |(i, slot): (usize, Option<Entry>)| {
        slot.unwrap_or_else(|| own_variable(op, name, &attrs, &params, i))
    };
    let inputs: Vec<Entry> = slots.into_iter().enumerate().map(missing).collect();
    Ok(Symbol::of(Arc::new(finish(op, name, attrs, params, inputs)?)))
}

/// A variable for an input of a call that was not given.
pub(crate) fn own_variable(op: &OpDef, call: &str, attrs: &Attrs, params: &Params, input: usize) -> Entry {
    let of_input = input_name(op, params, input);
    let name = if call.is_empty() { of_input } else { format!("{call}_{of_input}") };
    let mut attrs = attrs.clone();
    if let Some((_, init)) = op.inits.iter().find(|(i, _)| *i == input) {
        attrs.entry(attrs::INIT.to_owned()).or_insert_with(|| (*init).to_owned());
    }
    Entry { node: Arc::new(Node::variable(&name, attrs, 0)), output: 0, version: 0 }
}

/// A call, with the versions of the variables it uses and changes.
pub(crate) fn finish(
    op: &'static OpDef,
    name: &str,
    attrs: Attrs,
    params: Params,
    mut inputs: Vec<Entry>,
) -> Result<Node> {
    for entry in &mut inputs {
        if let Kind::Variable(version) = &entry.node.kind {
            entry.version = version.load(Relaxed);
        }
    }
    for i in op.changed(&params, inputs.len()) {
        let entry = &mut inputs[i];
        match &entry.node.kind {
            Kind::Variable(version) => entry.version = version.fetch_add(1, Relaxed) + 1,
            Kind::Call(_) => bail!(
                Argument,
                "{} is changed by the operator, got an output of {}, want a variable",
                input_name(op, &params, i),
                entry.node.name
            ),
        }
    }
    Ok(Node::call(op, name, attrs, params, inputs))
}
