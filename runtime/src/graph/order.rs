//! The nodes below a symbol, each once, inputs before their users: the order of lists, of files and of execution.

use super::node::{Entry, Node, Symbol};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Nodes in order, and numbers for them and for their outputs.
pub struct Order {
    /// Inputs before users.
    pub nodes: Vec<Arc<Node>>,
    /// The number of output 0 of each node; one more than nodes, so that the last is the number of all outputs.
    pub first: Vec<usize>,
    /// By address.
    at: HashMap<usize, usize>,
}

impl Order {
    /// Visits the inputs of each head, then the head, in the order of the heads.
    pub fn new(symbol: &Symbol) -> Order {
        let mut nodes: Vec<Arc<Node>> = Vec::new();
        let mut at = HashMap::new();
        let mut stack: Vec<(&Arc<Node>, usize)> = Vec::new();
        let mut entered = HashSet::new();
        for head in &symbol.heads {
            if entered.insert(Arc::as_ptr(&head.node)) {
                stack.push((&head.node, 0));
            }
            while let Some((node, next)) = stack.last_mut() {
                match node.inputs.get(*next) {
                    Some(input) => {
                        *next += 1;
                        if entered.insert(Arc::as_ptr(&input.node)) {
                            stack.push((&input.node, 0));
                        }
                    }
                    None => {
                        at.insert(Arc::as_ptr(node) as usize, nodes.len());
                        nodes.push((*node).clone());
                        stack.pop();
                    }
                }
            }
        }
        let mut first = vec![0];
        for node in &nodes {
            first.push(first[first.len() - 1] + node.num_outputs());
        }
        Order { nodes, first, at }
    }

    /// The number of a node.
    pub fn place(&self, node: &Arc<Node>) -> usize {
        self.at[&(Arc::as_ptr(node) as usize)]
    }

    /// The number of an output.
    pub fn number(&self, entry: &Entry) -> usize {
        self.first[self.place(&entry.node)] + entry.output as usize
    }

    /// The number of the node that an output is of.
    pub fn node_of(&self, number: usize) -> usize {
        self.first.partition_point(|&first| first <= number) - 1
    }

    /// The number of all outputs.
    pub fn num_entries(&self) -> usize {
        self.first[self.nodes.len()]
    }

    /// Numbers of the variables that some call changes.
    pub fn changed(&self) -> HashSet<usize> {
        self.nodes.iter().flat_map(|n| n.mutated()).map(|e| self.place(&e.node)).collect()
    }

    /// Places of the variables: those that no call changes, and those that some call does.
    pub fn variables(&self) -> (Vec<usize>, Vec<usize>) {
        let changed = self.changed();
        let all = (0..self.nodes.len()).filter(|&i| self.nodes[i].is_variable());
        all.partition(|i| !changed.contains(i))
    }
}
