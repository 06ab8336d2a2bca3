//! What can be read off a symbol: names of what goes in and comes out, attributes, parts.

use super::attrs;
use super::node::{Entry, Symbol};
use super::order::Order;
use crate::error::Result;
use std::collections::HashSet;
use std::sync::Arc;

impl Symbol {
    /// Names of the variables that no call changes.
    pub fn list_arguments(&self) -> Vec<String> {
        let order = Order::new(self);
        order.variables().0.into_iter().map(|i| order.nodes[i].name.clone()).collect()
    }

    /// Names of the variables that some call changes.
    pub fn list_auxiliary_states(&self) -> Vec<String> {
        let order = Order::new(self);
        order.variables().1.into_iter().map(|i| order.nodes[i].name.clone()).collect()
    }

    /// Names of all variables.
    pub fn list_inputs(&self) -> Vec<String> {
        let nodes = Order::new(self).nodes;
        nodes.iter().filter(|n| n.is_variable()).map(|n| n.name.clone()).collect()
    }

    /// Names of the outputs.
    pub fn list_outputs(&self) -> Vec<String> {
        self.heads.iter().map(|h| h.node.output_name(h.output as usize)).collect()
    }

    /// The outputs of all nodes below, in order.
    pub fn internals(&self) -> Symbol {
        let nodes = Order::new(self).nodes;
        let outputs = nodes.into_iter().flat_map(|n| Symbol::of(n).heads);
        Symbol { heads: outputs.collect() }
    }

    /// The inputs of the nodes of the outputs; `None` where there are none.
    pub fn children(&self) -> Option<Symbol> {
        let mut seen = HashSet::new();
        let nodes = self.heads.iter().filter(|h| seen.insert(Arc::as_ptr(&h.node)));
        let heads: Vec<Entry> = nodes.flat_map(|h| h.node.inputs.iter().cloned()).collect();
        (!heads.is_empty()).then_some(Symbol { heads })
    }

    /// An attribute of the one node that all outputs are of.
    pub fn attr(&self, key: &str) -> Option<String> {
        self.node()?.attr(key)
    }

    /// Changes attributes of the one node that all outputs are of.
    pub fn set_attr(&self, key: &str, value: &str) -> Result<()> {
        match self.node() {
            Some(node) => node.set_attr(key, value),
            None => bail!(Argument, "set_attr only works for symbols with a single node, got a group"),
        }
    }

    /// All attributes of the one node that all outputs are of, hidden ones in both spellings.
    pub fn attrs(&self) -> Vec<(String, String)> {
        self.node().map_or_else(Vec::new, |n| both_spellings(n.attrs()))
    }

    /// Attributes of all nodes below: name of the node, key, value.
    pub fn attrs_below(&self) -> Vec<(String, String, String)> {
        let of = |name: &str, (k, v)| (name.to_owned(), k, v);
        let nodes = Order::new(self).nodes;
        nodes.iter().flat_map(|n| both_spellings(n.attrs()).into_iter().map(|kv| of(&n.name, kv))).collect()
    }
}

fn both_spellings(attrs: attrs::Attrs) -> Vec<(String, String)> {
    let mut list = Vec::with_capacity(attrs.len());
    for (key, value) in attrs {
        if let Some(bare) = attrs::bare(&key) {
            list.push((bare.to_owned(), value.clone()));
        }
        list.push((key, value));
    }
    list
}
