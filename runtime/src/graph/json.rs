//! Graphs as text, in MXNet's format. What Keshi or MXNet wrote is written again byte for byte.

use super::node::{Kind, Symbol};
use super::order::Order;
use crate::error::Result;
use std::fmt::Write;

/// The version of MXNet whose files these are.
const VERSION: u32 = 10901;

impl Symbol {
    /// The graph as text.
    pub fn to_json(&self) -> String {
        let order = Order::new(self);
        let mut out = String::from("{\n  \"nodes\": [\n    ");
        for (i, node) in order.nodes.iter().enumerate() {
            let op = node.op().map_or("null", |op| op.name);
            let comma = if i > 0 { ", \n    " } else { "" };
            let _ = write!(
                out,
                "{comma}{{\n      \"op\": {}, \n      \"name\": {}, \n",
                quoted(op),
                quoted(&node.name)
            );
            let attrs = node.attrs();
            if !attrs.is_empty() {
                let pairs = attrs.iter().map(|(k, v)| format!("{}: {}", quoted(k), quoted(v)));
                let text = list('{', '}', pairs.collect(), attrs.len() > 1, "      ");
                let _ = writeln!(out, "      \"attrs\": {text}, ");
            }
            let input = |e: &super::Entry| format!("[{}, {}, {}]", order.place(&e.node), e.output, e.version);
            let inputs = numbers(node.inputs.iter().map(input), "      ");
            let _ = write!(out, "      \"inputs\": {inputs}\n    }}");
        }
        // Outputs of each node, as MXNet counts them: those that it hides too, and not those that Keshi hides.
        let mut rows = vec![0];
        for node in &order.nodes {
            rows.push(rows[rows.len() - 1] + node.num_counted());
        }
        let variables = (0..order.nodes.len()).filter(|&i| matches!(order.nodes[i].kind, Kind::Variable(_)));
        let heads =
            self.heads.iter().map(|e| format!("[{}, {}, {}]", order.place(&e.node), e.output, e.version));
        let _ = write!(
            out,
            "\n  ], \n  \"arg_nodes\": {}, \n  \"node_row_ptr\": {}, \n  \"heads\": {}, \n  \"attrs\": {{\"mxnet_version\": \
             [\"int\", {VERSION}]}}\n}}",
            numbers(variables, "  "),
            numbers(rows, "  "),
            numbers(heads, "  "),
        );
        out
    }

    /// Reads a graph, also one in the formats of older versions; see `read`.
    pub fn from_json(text: &str) -> Result<Symbol> {
        super::read::read(text).map_err(|e| e.within("load_json"))
    }
}

/// A list that is broken into lines when it has more than ten items.
fn numbers<T: ToString>(items: impl IntoIterator<Item = T>, indent: &str) -> String {
    let items: Vec<String> = items.into_iter().map(|i| i.to_string()).collect();
    let long = items.len() > 10;
    list('[', ']', items, long, indent)
}

fn list(open: char, close: char, items: Vec<String>, lines: bool, indent: &str) -> String {
    if lines {
        let between = format!(", \n{indent}  ");
        return format!("{open}\n{indent}  {}\n{indent}{close}", items.join(&between));
    }
    format!("{open}{}{close}", items.join(", "))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
