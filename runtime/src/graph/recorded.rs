//! What the tape has recorded, as a graph.

use super::attrs::Attrs;
use super::node::{Entry, Node, Symbol};
use crate::array::Array;
use crate::autograd::node::{Kind, Node as TapeNode};
use crate::error::Result;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

impl Symbol {
    /// The calls that made an array, as far as they were recorded. Arrays with a gradient, and inputs that need none, become
    /// variables `var0`, `var1`, …; calls are named `node_0`, `node_1`, …
    pub fn recorded(array: &Array) -> Result<Symbol> {
        let Some(edge) = array.edge() else {
            bail!(Autograd, "get_symbol: the array is not in a computational graph")
        };
        // In the order of time: inputs are older than their users.
        let mut found: BTreeMap<u64, Arc<TapeNode>> = BTreeMap::new();
        let mut stack = vec![edge.node.clone()];
        while let Some(node) = stack.pop() {
            if found.contains_key(&node.seq) {
                continue;
            }
            if let Kind::Call(call) = &node.kind {
                stack.extend(call.edges.iter().flatten().map(|e| e.node.clone()));
            }
            found.insert(node.seq, node);
        }
        let (mut variables, mut calls) = (0, 0);
        let mut variable = || {
            variables += 1;
            Arc::new(Node::variable(&format!("var{}", variables - 1), Attrs::new(), 0))
        };
        let mut made: HashMap<u64, Arc<Node>> = HashMap::new();
        for (seq, node) in &found {
            let new = match &node.kind {
                Kind::Leaf(_) => variable(),
                Kind::Call(call) => {
                    let input = |e: &Option<crate::autograd::node::Edge>| match e {
                        Some(e) => Entry { node: made[&e.node.seq].clone(), output: e.output, version: 0 },
                        None => Entry { node: variable(), output: 0, version: 0 },
                    };
                    let inputs = call.edges.iter().map(input).collect();
                    let specs = (call.op.params.specs)();
                    let mut texts = call.params.texts();
                    let others = texts.split_off(specs.len().min(texts.len()));
                    let named = specs.into_iter().zip(texts).map(|(spec, text)| (spec.name.to_owned(), text));
                    let other =
                        |text: &String| text.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned()));
                    let attrs: Attrs = named.chain(others.iter().filter_map(other)).collect();
                    calls += 1;
                    let name = format!("node_{}", calls - 1);
                    Arc::new(Node::call(call.op, &name, attrs, call.params.clone(), inputs))
                }
            };
            made.insert(*seq, new);
        }
        let node = made[&edge.node.seq].clone();
        Ok(Symbol { heads: vec![Entry { node, output: edge.output, version: 0 }] })
    }
}
