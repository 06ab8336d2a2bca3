//! A program: named arrays and steps that work on them.

use super::abi::{self, Handle, Modes, Op, Outcome, made};
use super::compare::Check;
use super::tensor::{Num, Tensor};
use super::{Way, attrs, field, list, text};
use keshi_ffi::{KsGradReq, ks_array_detach};
use serde_json::Value;
use std::collections::BTreeMap;

struct Program {
    arrays: BTreeMap<String, Handle>,
    train: bool,
    way: Way,
}

fn names(step: &Value, name: &str) -> Vec<String> {
    list(step, name).iter().map(|n| n.as_str().unwrap_or("").to_owned()).collect()
}

fn flag(step: &Value, name: &str) -> bool {
    field(step, name).as_bool().unwrap_or(false)
}

fn grad_req(name: &str) -> Outcome<KsGradReq> {
    match name {
        "write" => Ok(KsGradReq::KsGradWrite),
        "add" => Ok(KsGradReq::KsGradAdd),
        "null" => Ok(KsGradReq::KsGradNull),
        _ => Err(format!("the case has the gradient request '{name}'")),
    }
}

impl Program {
    fn get(&self, name: &str) -> Outcome<&Handle> {
        self.arrays.get(name).ok_or_else(|| format!("the case has no array '{name}'"))
    }

    fn all(&self, names: &[String]) -> Outcome<Vec<&Handle>> {
        names.iter().map(|n| self.get(n)).collect()
    }

    /// Heads and their gradients.
    fn heads(&self, step: &Value) -> Outcome<(Vec<&Handle>, Vec<Option<&Handle>>)> {
        let one = |g: &Value| g.as_str().map(|n| self.get(n)).transpose();
        let grads = list(step, "head_grads").iter().map(one).collect::<Outcome<Vec<_>>>()?;
        let heads = self.all(&names(step, "heads"))?;
        let grads = if grads.is_empty() { vec![None; heads.len()] } else { grads };
        Ok((heads, grads))
    }

    fn step(&mut self, step: &Value) -> Outcome<()> {
        let train = field(step, "train").as_bool().unwrap_or(self.train);
        let made: Vec<(String, Handle)> = match text(step, "do") {
            "op" => {
                let _modes = Modes::set(field(step, "record").as_bool().unwrap_or(true), train);
                let op = Op::find(text(step, "op"))?;
                let inputs = self.all(&names(step, "in"))?;
                let outputs = attrs::invoke(&op, &inputs, field(step, "attrs"), self.way, &[])?;
                names(step, "out").into_iter().zip(outputs).collect()
            }
            "detach" => {
                let from = self.get(text(step, "in"))?;
                // SAFETY: a live handle.
                vec![(text(step, "out").to_owned(), made(|out| unsafe { ks_array_detach(from.0, out) })?)]
            }
            "attach_grad" => {
                self.get(text(step, "target"))?.attach_grad(grad_req(text(step, "grad_req"))?)?;
                Vec::new()
            }
            "backward" => {
                let (heads, grads) = self.heads(step)?;
                abi::backward(&heads, &grads, flag(step, "retain_graph"), train)?;
                Vec::new()
            }
            "grad" => {
                let (heads, grads) = self.heads(step)?;
                let vars = self.all(&names(step, "wrt"))?;
                // What is to be differentiated again is computed while recording.
                let create = flag(step, "create_graph");
                let _modes = Modes::set(create, train);
                let out = abi::grad(&heads, &grads, &vars, flag(step, "retain_graph") || create, create)?;
                names(step, "out").into_iter().zip(out).collect()
            }
            "assign_slice" => {
                self.assign(step)?;
                Vec::new()
            }
            "zero_grad" => {
                let grad = self.get(text(step, "target"))?.grad()?;
                let mut t = Tensor::of(&grad)?;
                t.data.fill(Num::Float(0.0));
                t.write_to(&grad)?;
                Vec::new()
            }
            "copy_grad" => {
                let grad = self.get(text(step, "in"))?.grad()?;
                vec![(text(step, "out").to_owned(), Tensor::of(&grad)?.array()?)]
            }
            other => return Err(format!("the case has the step '{other}'")),
        };
        self.arrays.extend(made);
        Ok(())
    }

    /// Writes a number or a broadcast array into a box of an array.
    fn assign(&self, step: &Value) -> Outcome<()> {
        let target = self.get(text(step, "target"))?;
        let mut to = Tensor::of(target)?;
        let bound =
            |name: &str| list(step, name).iter().filter_map(Value::as_u64).map(|i| i as usize).collect();
        let (mut begin, mut end): (Vec<usize>, Vec<usize>) = (bound("begin"), bound("end"));
        begin.resize(to.shape.len(), 0);
        end.extend_from_slice(&to.shape[end.len()..]);
        let value = match field(step, "value") {
            Value::String(name) => Tensor::of(self.get(name)?)?,
            v => Tensor {
                shape: vec![],
                dtype: to.dtype.clone(),
                data: vec![Num::Float(v.as_f64().ok_or("the case assigns no number")?)],
            },
        };
        for i in 0..to.data.len() {
            let mut rest = i;
            let mut place = vec![0; to.shape.len()];
            for (p, &n) in place.iter_mut().zip(&to.shape).rev() {
                *p = rest % n;
                rest /= n;
            }
            if place.iter().zip(begin.iter().zip(&end)).all(|(p, (b, e))| (b..e).contains(&p)) {
                let skip = place.len() - value.shape.len();
                let at = (0..value.shape.len()).fold(0, |at, d| {
                    let n = value.shape[d];
                    at * n + if n == 1 { 0 } else { place[skip + d] - begin[skip + d] }
                });
                to.data[i] = value.data[at];
            }
        }
        to.write_to(target)
    }
}

/// Replays a program.
pub fn run(case: &Value, way: Way, check: &mut Check) -> Outcome<()> {
    let none = serde_json::Map::new();
    let table = |name| field(case, name).as_object().unwrap_or(&none);
    let mut p = Program { arrays: BTreeMap::new(), train: flag(case, "train"), way };
    for (name, t) in table("inputs") {
        p.arrays.insert(name.clone(), Tensor::read(t)?.array()?);
    }
    for (name, req) in table("grad_req").iter().filter_map(|(n, r)| Some((n, r.as_str()?))) {
        p.get(name)?.attach_grad(grad_req(req)?)?;
    }
    for (name, init) in table("grad_init").iter().filter(|(_, v)| !v.is_null()) {
        Tensor::read(init)?.write_to(&p.get(name)?.grad()?)?;
    }
    for (i, step) in list(case, "steps").iter().enumerate() {
        p.step(step).map_err(|e| format!("step {i} ({} {}): {e}", text(step, "do"), text(step, "op")))?;
    }
    for (name, want) in table("values").iter().filter(|(_, v)| !v.is_null()) {
        check.tensor(name, &Tensor::of(p.get(name)?)?, &Tensor::read(want)?);
    }
    for (name, want) in table("grads").iter().filter(|(_, v)| !v.is_null()) {
        check.tensor(
            &format!("gradient of {name}"),
            &Tensor::of(&p.get(name)?.grad()?)?,
            &Tensor::read(want)?,
        );
    }
    Ok(())
}
