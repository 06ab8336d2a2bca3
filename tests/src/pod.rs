//! The page `AI::MXNet::Operators`, made from the operator table: what an operator computes, how it is called, its parameters, and an
//! example drawn from its samples, with the result. perl/t/operators-pod.t runs every example and compares.

use keshi::invoke::{invoke, parse_named};
use keshi::ops::def::{Arity, Gradient, OpDef};
use keshi::ops::params::Params;
use keshi::ops::samples::{Case, Draw, Samples};
use keshi::ops::value::{INT_NONE, Value};
use keshi::simd::{Level, with_level};
use keshi::{Array, Result};
use std::collections::BTreeMap;
use std::fmt::Write;

const HEAD: &str = "=encoding utf8

=head1 NAME

AI::MXNet::Operators - every operator: what it computes, its parameters, and an example

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $x = nd->array([[1, -2], [3, 4]]);
    print nd->clip($x, a_min => 0, a_max => 3)->aspdl;         # through the class
    print $x->clip({ a_min => 0, a_max => 3 })->aspdl;         # through the array

=head1 DESCRIPTION

This page is made from the operator table of the library; L<AI::MXNet::NDArray::Base> tells how operators are called. The signature
of each shows its inputs and the parameters that must be given; the others follow with their defaults. After an example stands its
result: dtype, shape, and values in row-major order.

";

/// Titles of the folders and files in which operators stand; what is not here is called as its file.
const TITLES: [(&str, &str); 16] = [
    ("activation", "Activations"),
    ("conv", "Convolution"),
    ("detection", "Object detection"),
    ("elementwise", "Element by element"),
    ("fourier", "Fourier transforms"),
    ("image", "Images"),
    ("index", "Indexing"),
    ("init", "Making arrays"),
    ("join", "Joining and splitting"),
    ("matrix", "Products of matrices"),
    ("optim", "Optimizer updates"),
    ("order", "Sorting"),
    ("random", "Random numbers"),
    ("reduce", "Reductions"),
    ("shape_ops", "Shape and layout"),
    ("spatial", "Spatial transformers, regions and optical flow"),
];

/// The whole page. Examples are computed on the portable level, so that they are the same on every machine.
pub fn page() -> String {
    with_level(Level::Portable, made)
}

fn made() -> String {
    let mut families: BTreeMap<String, Vec<&'static OpDef>> = BTreeMap::new();
    for op in keshi::ops::all().filter(|op| !op.name.starts_with("_ks_")) {
        families.entry(title(op)).or_default().push(op);
    }
    let mut page = HEAD.to_owned();
    for (title, ops) in &mut families {
        ops.sort_by_key(|op| (op.name.trim_start_matches('_').to_lowercase(), op.name));
        let _ = write!(page, "=head1 {}\n\n", title.to_uppercase());
        ops.iter().for_each(|op| entry(&mut page, op));
    }
    page + "=cut\n"
}

fn title(op: &OpDef) -> String {
    let family = op.module.split("::").nth(2).unwrap_or_default();
    let known = TITLES.iter().find(|(name, _)| *name == family).map(|(_, title)| (*title).to_owned());
    known.unwrap_or_else(|| family.replace('_', " "))
}

/// Operators whose name an array's own method has, and the other name that reaches them.
const SHADOWED: [(&str, &str); 1] = [("slice", "crop")];

/// How Perl reaches the operator.
fn method(name: &str) -> String {
    let name = SHADOWED.iter().find(|(own, _)| *own == name).map_or(name, |(_, other)| other);
    let space = ["contrib", "linalg", "image"]
        .into_iter()
        .find_map(|s| name.strip_prefix(&format!("_{s}_")).map(|short| format!("nd->{s}->{short}")));
    space.unwrap_or_else(|| format!("nd->{name}"))
}

/// Text of the table in POD: what stands between backquotes is code.
fn pod(text: &str) -> String {
    let mut out = String::new();
    for (i, part) in text.split('`').enumerate() {
        match (i % 2 == 1, part.contains(['<', '>'])) {
            (true, true) => out += &format!("C<< {part} >>"),
            (true, false) => out += &format!("C<{part}>"),
            (false, _) => out += part,
        }
    }
    out
}

fn entry(page: &mut String, op: &'static OpDef) {
    let specs = (op.params.specs)();
    let mut inputs: Vec<String> = op.inputs.iter().map(|i| format!("${i}")).collect();
    if matches!(op.arity, Arity::Variadic(_)) {
        inputs = vec![format!("${}0", op.inputs[0]), format!("${}1", op.inputs[0]), "...".into()];
    }
    let counted = |name: &str| matches!(op.arity, Arity::Variadic(Some(count)) if count == name);
    let required = specs.iter().filter(|s| s.default.is_none() && !counted(s.name));
    let all: Vec<String> = inputs.into_iter().chain(required.map(|s| format!("{} => ...", s.name))).collect();
    let _ = write!(
        page,
        "=head2 {}\n\n    {}({})\n\n{}\n\n",
        op.name,
        method(op.name),
        all.join(", "),
        pod(op.doc)
    );
    if !op.aliases.is_empty() {
        let names: Vec<String> = op.aliases.iter().map(|a| format!("C<{a}>")).collect();
        let _ = write!(page, "Also called {}.\n\n", names.join(", "));
    }
    if !specs.is_empty() {
        *page += "=over 4\n\n";
        for s in &specs {
            let default = match &s.default {
                _ if counted(s.name) => "filled in".to_owned(),
                None => "required".to_owned(),
                Some(d) if d.is_empty() => "default empty".to_owned(),
                Some(d) => format!("default {d}"),
            };
            let _ = write!(page, "=item {}: {}, {default}\n\n{}\n\n", s.name, s.type_text, pod(s.doc));
        }
        *page += "=back\n\n";
    }
    match op.gradient {
        Gradient::Zero(why) => drop(write!(page, "Its gradient is 0: {}.\n\n", pod(why))),
        Gradient::None(why) => drop(write!(page, "It has no gradient: {}.\n\n", pod(why))),
        Gradient::Rule(..) | Gradient::Unary(..) => {}
    }
    if let Some(text) = example(op) {
        let _ = writeln!(page, "{text}");
    }
}

/// A drawn call with values of two decimals, and what it gives.
struct Example {
    case: Case,
    inputs: Vec<(Vec<f64>, Vec<usize>)>,
    outputs: Vec<Array>,
    random: bool,
}

/// The example that reads best: of many, the one whose arrays are nearest to a handful of numbers.
fn example(op: &'static OpDef) -> Option<String> {
    if matches!(op.samples, Samples::None(_)) {
        return None;
    }
    let size = |e: &Example| {
        let far = |n: usize, ndim: usize| (n as i64 - 4).abs() + i64::from(n == 1) * 6 + ndim as i64;
        let sizes = e.inputs.iter().map(|(v, d)| far(v.len(), d.len())).sum::<i64>();
        sizes + e.outputs.iter().map(|y| far(y.size(), y.ndim())).sum::<i64>()
    };
    let drawn = (0..200).filter_map(|seed| draw(op, seed));
    drawn.min_by_key(size).map(|e| text(op, &e))
}

fn draw(op: &'static OpDef, seed: u64) -> Option<Example> {
    let mut d = Draw::new(seed);
    let inputs = if matches!(op.arity, Arity::By(_)) { 0 } else { op.num_inputs(&Params::NONE, 2).min(2) };
    let case = op.samples.draw(inputs, &mut d)?;
    let round = |v: f64| (v * 100.0).round() / 100.0;
    let inputs: Vec<(Vec<f64>, Vec<usize>)> =
        case.inputs.iter().map(|i| (d.fill(i).into_iter().map(round).collect(), i.dims.to_vec())).collect();
    if inputs.iter().any(|(v, dims)| v.is_empty() || dims.is_empty()) {
        return None;
    }
    let (first, second) = (run(op, &case, &inputs, 1).ok()?, run(op, &case, &inputs, 2).ok()?);
    let bits = |ys: &[Array]| -> Vec<Vec<u64>> {
        ys.iter().map(|y| y.to_vec::<f64>().iter().map(|v| v.to_bits()).collect()).collect()
    };
    let random = bits(&first) != bits(&second);
    let shown = |y: &Array| y.size() > 0 && y.ndim() > 0;
    first.iter().all(shown).then_some(Example { case, inputs, outputs: first, random })
}

fn run(op: &'static OpDef, case: &Case, inputs: &[(Vec<f64>, Vec<usize>)], seed: u64) -> Result<Vec<Array>> {
    keshi::rng::seed(seed);
    let arrays = inputs
        .iter()
        .map(|(v, dims)| Array::from_slice(&v.iter().map(|&v| v as f32).collect::<Vec<_>>(), dims));
    let arrays = arrays.collect::<Result<Vec<_>>>()?;
    let named: Vec<(&str, Value)> = case.params.iter().map(|(n, v)| (*n, v.clone())).collect();
    let params = parse_named(op, &named, arrays.len())?;
    Ok(invoke(op, &arrays.iter().collect::<Vec<_>>(), &params, &[])?.into_vec())
}

fn text(op: &OpDef, e: &Example) -> String {
    let mut arguments: Vec<String> =
        e.inputs.iter().map(|(v, dims)| format!("nd->array({})", nested(v, dims))).collect();
    arguments.extend(e.case.params.iter().map(|(name, v)| format!("{name} => {}", perl(v))));
    let mut out = format!("    my $y = {}({});\n", method(op.name), arguments.join(", "));
    for y in &e.outputs {
        let dims: Vec<String> = y.dims().iter().map(usize::to_string).collect();
        let values = y.to_vec::<f64>();
        let shown: Vec<String> = values.iter().take(MOST).map(|&v| number(v)).collect();
        let more = if values.len() > MOST { " ..." } else { "" };
        let values = if e.random { " random".to_owned() } else { format!(" {}{more}", shown.join(" ")) };
        let _ = writeln!(out, "    # {} {}:{values}", y.dtype(), dims.join("x"));
    }
    out
}

/// Values of a result that are shown.
const MOST: usize = 16;

/// Four significant digits.
fn number(v: f64) -> String {
    match v {
        v if v.is_nan() => "nan".into(),
        v if v.is_infinite() => if v > 0.0 { "inf" } else { "-inf" }.into(),
        v => {
            let short: f64 = format!("{v:.3e}").parse().expect("a number that was just written");
            if short != 0.0 && !(1e-4..1e9).contains(&short.abs()) {
                format!("{short:e}")
            } else {
                format!("{}", short + 0.0)
            }
        }
    }
}

fn nested(v: &[f64], dims: &[usize]) -> String {
    let Some((&n, rest)) = dims.split_first() else { return number(v[0]) };
    let parts: Vec<String> = v.chunks(v.len() / n).map(|part| nested(part, rest)).collect();
    format!("[{}]", parts.join(", "))
}

fn perl(v: &Value) -> String {
    let list = |v: Vec<String>| format!("[{}]", v.join(", "));
    match v {
        Value::None => "undef".into(),
        Value::Bool(b) => u8::from(*b).to_string(),
        Value::Int(i) => i.to_string(),
        Value::Float(x) => x.to_string(),
        Value::Str(s) => format!("'{s}'"),
        Value::Ints(v) => {
            list(v.iter().map(|&i| if i == INT_NONE { "undef".into() } else { i.to_string() }).collect())
        }
        Value::Floats(v) => list(v.iter().map(f64::to_string).collect()),
    }
}
