//! One call: forward, states, gradients, or a refusal.

use super::abi::{self, Handle, Modes, Op, Outcome};
use super::compare::Check;
use super::tensor::{Num, Tensor, arrays};
use super::{Way, attrs, field, graph, list, text};
use keshi_ffi::KsGradReq;
use serde_json::Value;

/// The inputs in the order of the call, states among them.
struct Inputs {
    all: Vec<Handle>,
    /// Positions of the plain ones.
    plain: Vec<usize>,
    /// Positions of the states.
    states: Vec<usize>,
}

impl Inputs {
    fn read(case: &Value) -> Outcome<Inputs> {
        let states: Vec<usize> =
            list(case, "aux_index").iter().filter_map(Value::as_u64).map(|i| i as usize).collect();
        let (mut plain, mut aux) = (arrays(list(case, "inputs"))?.into_iter(), arrays(list(case, "aux"))?);
        let total = plain.len() + aux.len();
        let mut all = Vec::new();
        for i in 0..total {
            let next = match states.iter().position(|&s| s == i) {
                Some(k) if k < aux.len() => std::mem::replace(&mut aux[k], Handle(std::ptr::null_mut())),
                _ => plain.next().ok_or("the case has too few inputs")?,
            };
            all.push(next);
        }
        let plain = (0..total).filter(|i| !states.contains(i)).collect();
        Ok(Inputs { all, plain, states })
    }

    fn refs(&self) -> Vec<&Handle> {
        self.all.iter().collect()
    }

    fn check_states(&self, case: &Value, name: &str, check: &mut Check) -> Outcome<()> {
        for (k, (&at, want)) in self.states.iter().zip(list(case, name)).enumerate() {
            if !want.is_null() {
                check.tensor(&format!("{name}[{k}]"), &Tensor::of(&self.all[at])?, &Tensor::read(want)?);
            }
        }
        Ok(())
    }
}

/// Replays a call.
pub fn run(case: &Value, way: Way, check: &mut Check) -> Outcome<()> {
    let name = text(case, "op");
    let op = Op::find(name)?;
    let inputs = Inputs::read(case)?;
    let train = field(case, "train").as_bool().unwrap_or(false);
    let params = field(case, "attrs");
    if field(case, "error").as_bool() == Some(true) {
        let _modes = Modes::set(false, train);
        return match attrs::invoke(&op, &inputs.refs(), params, way, &[]) {
            Err(_) => Ok(()),
            Ok(_) => Err("the call succeeded, want an error".into()),
        };
    }
    let wanted: Vec<(usize, &Value)> =
        inputs.plain.iter().copied().zip(list(case, "input_grads")).filter(|(_, g)| !g.is_null()).collect();
    prepare_gradients(case, &inputs, &wanted)?;
    let given: Vec<&Handle> =
        list(case, "out_index").iter().filter_map(Value::as_u64).map(|i| &inputs.all[i as usize]).collect();
    let outputs = {
        let _modes = Modes::set(case.get("input_grads").is_some(), train);
        match way {
            Way::Graph => in_graph(case, &op, &inputs, &given)?,
            _ => attrs::invoke(&op, &inputs.refs(), params, way, &given)?,
        }
    };
    let want = list(case, "outputs");
    if outputs.len() != want.len() {
        return Err(format!("{} outputs, want {}", outputs.len(), want.len()));
    }
    let flips = Flips::of(name, &outputs, want)?;
    for (i, (got, want)) in outputs.iter().zip(want).enumerate() {
        if !want.is_null() {
            check.tensor(&format!("output {i}"), &flips.apply(i, Tensor::of(got)?), &Tensor::read(want)?);
        }
    }
    inputs.check_states(case, "aux_after_forward", check)?;
    if case.get("input_grads").is_some() {
        go_back(case, &outputs, &flips, train)?;
        for (i, want) in wanted {
            let got = Tensor::of(&inputs.all[i].grad()?)?;
            check.tensor(&format!("gradient of input {i}"), &got, &Tensor::read(want)?);
        }
    }
    inputs.check_states(case, "aux_after", check)
}

/// Calls through a graph. Arrays that the call may write, and whole numbers, are taken as they are.
fn in_graph(case: &Value, op: &Op, inputs: &Inputs, given: &[&Handle]) -> Outcome<Vec<Handle>> {
    let floating = |t: &Value| text(t, "dtype").starts_with("float");
    let mut before = vec![false; inputs.all.len()];
    if given.is_empty() {
        inputs.plain.iter().zip(list(case, "inputs")).for_each(|(&i, t)| before[i] = floating(t));
    }
    let after: Vec<bool> = list(case, "outputs").iter().map(|t| given.is_empty() && floating(t)).collect();
    let none = serde_json::Map::new();
    let params = field(case, "attrs").as_object().unwrap_or(&none);
    let params: Vec<(&str, String)> = params.iter().map(|(k, v)| (k.as_str(), attrs::written(v))).collect();
    graph::invoke(op, &params, &inputs.refs(), (&before, &after), given)
}

fn prepare_gradients(case: &Value, inputs: &Inputs, wanted: &[(usize, &Value)]) -> Outcome<()> {
    let add = text(case, "grad_req") == "add";
    for &(i, _) in wanted {
        inputs.all[i].attach_grad(if add { KsGradReq::KsGradAdd } else { KsGradReq::KsGradWrite })?;
        let place = inputs.plain.iter().position(|&p| p == i).unwrap_or(0);
        if let Some(init) = list(case, "grad_init").get(place).filter(|v| !v.is_null()) {
            Tensor::read(init)?.write_to(&inputs.all[i].grad()?)?;
        }
    }
    Ok(())
}

fn go_back(case: &Value, outputs: &[Handle], flips: &Flips, train: bool) -> Outcome<()> {
    let mut heads = Vec::new();
    let mut grads = Vec::new();
    for (i, (output, g)) in outputs.iter().zip(list(case, "head_grads")).enumerate() {
        if !g.is_null() {
            heads.push(output);
            grads.push(flips.apply(i, Tensor::read(g)?).array()?);
        }
    }
    let grads: Vec<Option<&Handle>> = grads.iter().map(Some).collect();
    abi::backward(&heads, &grads, false, train)
}

/// Signs that are a matter of convention: rows of the first output of an eigenvalue or LQ decomposition, and with the
/// latter columns of the second. Where a row points the other way, it is turned round, and so is its gradient.
struct Flips {
    rows: Vec<bool>,
    columns_too: bool,
    columns: usize,
}

impl Flips {
    fn of(op: &str, outputs: &[Handle], want: &[Value]) -> Outcome<Flips> {
        let columns_too = op.ends_with("gelqf");
        let mut flips = Flips { rows: Vec::new(), columns_too, columns: 0 };
        if !columns_too && !op.ends_with("syevd") {
            return Ok(flips);
        }
        let (got, want) = (Tensor::of(&outputs[0])?, Tensor::read(&want[0])?);
        let n = *want.shape.last().unwrap_or(&1);
        if got.shape == want.shape && n > 0 {
            let dot = |a: &[Num], b: &[Num]| a.iter().zip(b).map(|(x, y)| x.f64() * y.f64()).sum::<f64>();
            flips.rows = got.data.chunks(n).zip(want.data.chunks(n)).map(|(a, b)| dot(a, b) < 0.0).collect();
            flips.columns = want.shape[want.shape.len() - 2];
        }
        Ok(flips)
    }

    fn apply(&self, output: usize, mut t: Tensor) -> Tensor {
        let flip = |x: &mut Num| *x = Num::Float(-x.f64());
        if output == 0 && !self.rows.is_empty() {
            let n = *t.shape.last().unwrap_or(&1);
            for (row, _) in t.data.chunks_mut(n).zip(&self.rows).filter(|(_, f)| **f) {
                row.iter_mut().for_each(flip);
            }
        } else if output == 1 && self.columns_too {
            let n = self.columns.max(1);
            for (i, x) in t.data.iter_mut().enumerate() {
                // Row-major square matrices of n: element i lies in matrix i / n² and column i % n.
                if self.rows.get(i / (n * n) * n + i % n) == Some(&true) {
                    flip(x);
                }
            }
        }
        t
    }
}
