//! Reading graphs from MXNet's files. The first releases wrote parameters under `param` and attributes under `attr`, gave
//! inputs without versions, left out auxiliary states, and wrote attributes of an input on its user.

use super::attrs::{self, Attrs, Old};
use super::node::{Entry, Kind, Node, Symbol, finish, input_name, own_variable, parse};
use crate::error::Result;
use crate::ops::def::Arity;
use crate::ops::find;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// A graph from text.
pub(crate) fn read(text: &str) -> Result<Symbol> {
    let root: Value = serde_json::from_str(text).map_err(|e| err!(Io, "the text is no JSON: {e}"))?;
    let nodes = root.get("nodes").and_then(Value::as_array);
    let nodes = nodes.ok_or_else(|| err!(Io, "the text is no graph: it has no nodes"))?;
    let mut made: Vec<Arc<Node>> = Vec::with_capacity(nodes.len());
    for (i, node) in nodes.iter().enumerate() {
        let node = self::node(node, &made).map_err(|e| {
            let name = node.get("name").and_then(Value::as_str).unwrap_or_default();
            crate::Error::new(e.kind(), format!("node {i} ({name}): {}", e.text()))
        })?;
        made.push(Arc::new(node));
    }
    let heads = match root.get("heads").and_then(Value::as_array) {
        Some(heads) => heads.iter().map(|h| entry(h, &made)).collect::<Result<Vec<_>>>()?,
        None => made.last().map(|n| Symbol::of(n.clone()).heads).unwrap_or_default(),
    };
    if heads.is_empty() {
        bail!(Io, "the graph has no outputs");
    }
    Ok(Symbol { heads })
}

fn text<'a>(node: &'a Value, key: &str) -> Result<&'a str> {
    node.get(key).and_then(Value::as_str).ok_or_else(|| err!(Io, "'{key}' is missing or no text"))
}

/// An input's name, an attribute of it, and the value.
type Meant = (String, String, String);

/// Attributes under any of their names, each already under its present key; and those that are meant for inputs.
fn attributes(node: &Value) -> Result<(Attrs, Vec<Meant>)> {
    let (mut own, mut inputs) = (Attrs::new(), Vec::new());
    for key in ["param", "attr", "attrs"] {
        let Some(map) = node.get(key) else { continue };
        let map = map.as_object().ok_or_else(|| err!(Io, "'{key}' is no object"))?;
        for (k, v) in map {
            let v =
                v.as_str().ok_or_else(|| err!(Io, "'{key}' holds something other than texts under '{k}'"))?;
            match attrs::upgraded(k) {
                Old::Own(k) => drop(own.insert(k, v.to_owned())),
                Old::Input(input, k) => inputs.push((input, k, v.to_owned())),
            }
        }
    }
    Ok((own, inputs))
}

/// `[node, output]` or `[node, output, version]`.
fn entry(value: &Value, made: &[Arc<Node>]) -> Result<Entry> {
    let bad = || err!(Io, "{value} names no output of a node before it");
    let parts = value.as_array().ok_or_else(bad)?;
    let number = |i: usize| parts.get(i).map_or(Some(0), Value::as_u64).ok_or_else(bad);
    let node = made.get(number(0)? as usize).filter(|_| !parts.is_empty()).ok_or_else(bad)?;
    let output = u32::try_from(number(1)?).map_err(|_| bad())?;
    if output as usize >= node.num_visible() {
        return Err(bad());
    }
    Ok(Entry { node: node.clone(), output, version: number(2)? as u32 })
}

fn node(value: &Value, made: &[Arc<Node>]) -> Result<Node> {
    let (op, name) = (text(value, "op")?, text(value, "name")?);
    let (attrs, for_inputs) = attributes(value)?;
    if op == "null" {
        return Ok(Node::variable(name, attrs, 0));
    }
    let op = find(op)?;
    let given =
        value.get("inputs").and_then(Value::as_array).ok_or_else(|| err!(Io, "'inputs' is missing"))?;
    let mut inputs = given.iter().map(|e| entry(e, made)).collect::<Result<Vec<_>>>()?;
    let params = parse(op, &attrs, inputs.len())?;
    let want = op.num_inputs(&params, inputs.len());
    if inputs.len() > want {
        bail!(Argument, "Operator {} expects {want} inputs, but got {}", op.name, inputs.len());
    }
    for i in inputs.len()..want {
        inputs.push(own_variable(op, name, &attrs, &params, i));
    }
    for (input, key, value) in for_inputs {
        let at = (0..want)
            .filter(|_| !matches!(op.arity, Arity::Variadic(_)))
            .find(|&i| input_name(op, &params, i) == input);
        if let Some(variable) = at.map(|i| &inputs[i].node).filter(|n| n.is_variable()) {
            variable.set_attr(&key, &value)?;
        }
    }
    // Files that tell versions are believed, so that they are written again as they were.
    let told: Vec<Option<u32>> = given.iter().map(|e| Some(e.get(2)?.as_u64()? as u32)).collect();
    let mut node = finish(op, name, attrs, params, inputs)?;
    for (entry, told) in node.inputs.iter_mut().zip(told) {
        let Some(told) = told else { continue };
        entry.version = told;
        if let Kind::Variable(version) = &entry.node.kind {
            version.fetch_max(told, Relaxed);
        }
    }
    Ok(node)
}
