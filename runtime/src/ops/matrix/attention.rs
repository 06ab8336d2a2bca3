//! Products of multi-head attention on projections whose heads are interleaved: of shape (length, batch, heads · parts · size), where
//! the parts of a head (query, key, value, or key, value) lie side by side. Nothing is transposed or copied.

use super::super::axes::named;
use super::super::def::{Keep, OpDef, Run};
use super::super::infer::Shapes;
use super::super::params::Ints;
use super::super::samples::Case;
use super::super::vjp::{Grads, Vjp};
use super::{Product, float_type, ints};
use crate::array::Array;
use crate::error::Result;
use crate::shape::{Dims, show};
use smallvec::smallvec;

params! {
    /// How many heads.
    pub struct Heads {
        heads: usize, "number of heads";
    }
}

/// Interleaved projections: lengths and where a part lies.
struct Parts {
    len: usize,
    batch: usize,
    heads: usize,
    size: usize,
    parts: usize,
}

impl Parts {
    fn of(dims: &[usize], heads: usize, parts: usize) -> Result<Parts> {
        let [len, batch, width] = dims[..] else {
            bail!(Shape, "shape (length, batch, width) is wanted, got {}", show(dims));
        };
        let size = heads.checked_mul(parts).filter(|&n| n > 0 && width % n == 0).map(|n| width / n);
        let Some(size) = size else {
            bail!(Shape, "{width} does not divide into {heads} heads of {parts} parts");
        };
        Ok(Parts { len, batch, heads, size, parts })
    }

    /// Place of part `i` as a matrix of (length, size), one for each batch and head.
    fn place(&self, i: usize) -> Ints {
        let width = self.heads * self.parts * self.size;
        ints(&[i * self.size, self.batch * width, 1, width, self.parts * self.size])
    }
}

fn transposed(mut place: Ints) -> Ints {
    place.swap(1, 2);
    place
}

/// Scores: (batch · heads, rows, cols) = query keyᵀ / √size.
fn scores(q: &Parts, query: Ints, k: &Parts, key: Ints) -> Result<(Product, Dims)> {
    if (q.batch, q.size) != (k.batch, k.size) {
        bail!(
            Shape,
            "queries and keys differ in batch or size of a head, got ({}, {}) and ({}, {})",
            q.batch,
            q.size,
            k.batch,
            k.size
        );
    }
    let dims: Dims = smallvec![q.batch * q.heads, q.len, k.len];
    let product = Product {
        sizes: ints(&[q.len, k.len, q.size]),
        batch: ints(&[q.batch, q.heads]),
        a: query,
        b: transposed(key),
        c: ints(&[0, k.len, 1, q.heads * q.len * k.len, q.len * k.len]),
        shape: ints(&dims),
        alpha: 1.0 / (q.size as f64).sqrt(),
    };
    Ok((product, dims))
}

/// Values: (rows, batch, heads · size) = attention · value, with the attention of (batch · heads, rows, cols).
fn values(v: &Parts, value: Ints, attention: &[usize]) -> Result<(Product, Dims)> {
    let [count, rows, cols] = attention[..] else {
        bail!(Shape, "attention of (batch · heads, rows, columns) is wanted, got {}", show(attention));
    };
    if (count, cols) != (v.batch * v.heads, v.len) {
        bail!(
            Shape,
            "attention does not fit the values, got {}, want ({},…,{})",
            show(attention),
            v.batch * v.heads,
            v.len
        );
    }
    let width = v.heads * v.size;
    let dims: Dims = smallvec![rows, v.batch, width];
    let product = Product {
        sizes: ints(&[rows, v.size, cols]),
        batch: ints(&[v.batch, v.heads]),
        a: ints(&[0, cols, 1, v.heads * rows * cols, rows * cols]),
        b: value,
        c: ints(&[0, v.batch * width, 1, width, v.size]),
        shape: ints(&dims),
        alpha: 1.0,
    };
    Ok((product, dims))
}

fn plan_self_qk(heads: usize, dims: &[&[usize]]) -> Result<(Product, Dims)> {
    let p = Parts::of(dims[0], heads, 3)?;
    scores(&p, p.place(0), &p, p.place(1))
}

fn plan_self_value(heads: usize, dims: &[&[usize]]) -> Result<(Product, Dims)> {
    let p = Parts::of(dims[0], heads, 3)?;
    values(&p, p.place(2), dims[1])
}

fn plan_cross_qk(heads: usize, dims: &[&[usize]]) -> Result<(Product, Dims)> {
    let (q, k) = (Parts::of(dims[0], heads, 1)?, Parts::of(dims[1], heads, 2)?);
    scores(&q, q.place(0), &k, k.place(0))
}

fn plan_cross_value(heads: usize, dims: &[&[usize]]) -> Result<(Product, Dims)> {
    let p = Parts::of(dims[0], heads, 2)?;
    values(&p, p.place(1), dims[1])
}

type Plan = fn(usize, &[&[usize]]) -> Result<(Product, Dims)>;

fn infer(s: &mut Shapes<'_>, plan: Plan, rule: fn(usize) -> String) -> Result<()> {
    let heads = s.params.get::<Heads>().heads;
    if !s.knows_inputs() {
        named(s, &rule(heads))?;
    }
    let known: Vec<Dims> = (0..s.ins.len()).map_while(|i| s.input(i)).collect();
    if known.len() < s.ins.len() {
        return Ok(());
    }
    let dims = plan(heads, &known.iter().map(|d| d.as_slice()).collect::<Vec<_>>())?.1;
    s.output(0, &dims)
}

/// Runs a plan whose factors are inputs `a` and `b`.
fn run(r: &Run<'_>, plan: Plan, a: usize, b: usize) -> Result<()> {
    let dims: Vec<&[usize]> = r.ins.iter().map(|t| t.dims()).collect();
    plan(r.p::<Heads>().heads, &dims)?.0.compute(r.ins[a], r.ins[b], 0.0, r.outs[0])
}

fn plan_of(d: &Vjp<'_>, plan: Plan) -> Result<Product> {
    let dims: Vec<&[usize]> = (0..d.num_inputs()).map(|i| d.in_dims(i)).collect();
    Ok(plan(d.p::<Heads>().heads, &dims)?.0)
}

/// Both factors are parts of one input, so their gradients add up.
fn grad_self_qk(d: &Vjp<'_>) -> Result<Array> {
    let p = plan_of(d, plan_self_qk)?;
    let x = d.input(0);
    Ok(p.to_a(x.dims()).call(d.grad(), x) + p.to_b(x.dims()).call(x, d.grad()))
}

/// The second input is the left factor.
fn grad_values(d: &Vjp<'_>, plan: Plan) -> Result<Grads> {
    let p = plan_of(d, plan)?;
    Ok(smallvec![
        d.needs(0).then(|| p.to_b(d.in_dims(0)).call(d.input(1), d.grad())),
        d.needs(1).then(|| p.to_a(d.in_dims(1)).call(d.grad(), d.input(0))),
    ])
}

table! {
    SELF_QK = OpDef::new("_contrib_interleaved_matmul_selfatt_qk", &["queries_keys_values"], |r| run(r, plan_self_qk, 0, 0))
        .params::<Heads>().shape(|s| infer(s, plan_self_qk, |h| format!("l b {}d > {h}b l l", h.saturating_mul(3)))).dtype(float_type)
        .doc("Scores of self-attention, `query · keyᵀ / √size`, of shape (batch · heads, length, length).")
        .vjp1(Keep::INPUTS, grad_self_qk)
        .cases(|d| {
            let (n, b, h, s) = (d.size(1, 4), d.size(1, 3), d.size(1, 3), d.size(1, 4));
            Case::new().real(&[n, b, h * 3 * s]).param("heads", h)
        });
    SELF_VALUE = OpDef::new("_contrib_interleaved_matmul_selfatt_valatt", &["queries_keys_values", "attention"],
            |r| run(r, plan_self_value, 1, 0))
        .params::<Heads>().shape(|s| infer(s, plan_self_value, |h| format!("l b {}d, {h}b r l > r b {h}d", h.saturating_mul(3)))).dtype(float_type)
        .doc("Result of self-attention, `attention · value`, of shape (length, batch, heads · size).")
        .vjp(Keep::INPUTS, |d| grad_values(d, plan_self_value))
        .cases(|d| {
            let (n, b, h, s) = (d.size(1, 4), d.size(1, 3), d.size(1, 3), d.size(1, 4));
            Case::new().real(&[n, b, h * 3 * s]).real(&[b * h, n, n]).param("heads", h)
        });
    CROSS_QK = OpDef::new("_contrib_interleaved_matmul_encdec_qk", &["queries", "keys_values"], |r| run(r, plan_cross_qk, 0, 1))
        .params::<Heads>().shape(|s| infer(s, plan_cross_qk, |h| format!("q b {h}d, k b {}d > {h}b q k", h.saturating_mul(2)))).dtype(float_type)
        .doc("Scores of attention to another sequence, `query · keyᵀ / √size`, of shape (batch · heads, length, other length).")
        .vjp(Keep::INPUTS, |d| Ok(plan_of(d, plan_cross_qk)?.grads(d, d.grad())))
        .cases(|d| {
            let (n, m, b, h, s) = (d.size(1, 4), d.size(1, 4), d.size(1, 3), d.size(1, 3), d.size(1, 4));
            Case::new().real(&[n, b, h * s]).real(&[m, b, h * 2 * s]).param("heads", h)
        });
    CROSS_VALUE = OpDef::new("_contrib_interleaved_matmul_encdec_valatt", &["keys_values", "attention"],
            |r| run(r, plan_cross_value, 1, 0))
        .params::<Heads>().shape(|s| infer(s, plan_cross_value, |h| format!("k b {}d, {h}b q k > q b {h}d", h.saturating_mul(2)))).dtype(float_type)
        .doc("Result of attention to another sequence, `attention · value`, of shape (length, batch, heads · size).")
        .vjp(Keep::INPUTS, |d| grad_values(d, plan_cross_value))
        .cases(|d| {
            let (n, m, b, h, s) = (d.size(1, 4), d.size(1, 4), d.size(1, 3), d.size(1, 3), d.size(1, 4));
            Case::new().real(&[m, b, h * 2 * s]).real(&[b * h, n, m]).param("heads", h)
        });
}
