//! Copies of graphs, and graphs whose variables are replaced by other graphs.

use super::node::{Entry, Kind, Node, Symbol};
use super::order::Order;
use crate::error::Result;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

impl Symbol {
    /// The same graph in nodes of its own.
    pub fn deep_copy(&self) -> Symbol {
        rebuild(self, None, &|_| None)
    }

    /// A copy in which the variables called `keys` are replaced by the outputs of other symbols, which are not copied. The
    /// head gets `name`, unless it is empty.
    pub fn compose(&self, name: &str, keys: &[&str], with: &[&Symbol]) -> Result<Symbol> {
        let order = Order::new(self);
        let mut entries = Vec::with_capacity(with.len());
        for (key, symbol) in keys.iter().zip(with) {
            if !order.nodes.iter().any(|n| n.is_variable() && n.name == *key) {
                let known = self.list_inputs().join(", ");
                bail!(Argument, "compose: Cannot find argument '{key}', want one of {known}");
            }
            entries.push(symbol.single(key).map_err(|e| e.within("compose"))?);
        }
        if let Some(h) =
            self.heads.iter().find(|h| h.node.is_variable() && keys.contains(&h.node.name.as_str()))
        {
            bail!(Argument, "compose: {} is an output itself and cannot be replaced", h.node.name);
        }
        let replace = |node: &Node| keys.iter().position(|k| *k == node.name).map(|i| entries[i]);
        if let Some(e) = order
            .nodes
            .iter()
            .flat_map(|n| n.mutated())
            .find(|e| replace(&e.node).is_some_and(|with| !with.node.is_variable()))
        {
            bail!(Argument, "compose: {} is changed by the graph, want a variable for it", e.node.name);
        }
        Ok(rebuild(self, (!name.is_empty()).then_some(name), &replace))
    }
}

/// A new graph from the nodes of another: variables are replaced or copied, calls are made anew on what became of their
/// inputs.
fn rebuild<'a>(symbol: &Symbol, name: Option<&str>, replace: &dyn Fn(&Node) -> Option<&'a Entry>) -> Symbol {
    let order = Order::new(symbol);
    let renamed = name.and(symbol.heads.first()).map(|h| order.place(&h.node));
    let mut new: Vec<Entry> = Vec::with_capacity(order.nodes.len());
    let moved = |new: &[Entry], old: &Entry| {
        let e = &new[order.place(&old.node)];
        Entry { node: e.node.clone(), output: e.output + old.output, version: old.version }
    };
    for (i, node) in order.nodes.iter().enumerate() {
        let name = name.filter(|_| renamed == Some(i)).unwrap_or(&node.name);
        let copy = match &node.kind {
            Kind::Call(op) => {
                let inputs = node.inputs.iter().map(|e| moved(&new, e)).collect();
                Node::call(op, name, node.attrs(), node.params(), inputs)
            }
            Kind::Variable(version) => match replace(node) {
                Some(with) => {
                    new.push(with.clone());
                    continue;
                }
                None => Node::variable(name, node.attrs(), version.load(Relaxed)),
            },
        };
        new.push(Entry { node: Arc::new(copy), output: 0, version: 0 });
    }
    Symbol { heads: symbol.heads.iter().map(|h| moved(&new, h)).collect() }
}
