//! The fully connected layer: a product with the bias added where the sum begins.

use super::super::def::{Affine, Keep, OpDef, Run};
use super::super::infer::Shapes;
use super::super::params::Params;
use super::super::samples::Case;
use super::super::vjp::{Grads, Vjp};
use super::{Product, float_type};
use crate::array::Array;
use crate::error::Result;
use crate::kernels::copy::strided;
use crate::ops::reduce::sum_over;
use crate::ops::shape_ops::view::reshaped;
use crate::shape::partial::Partial;

params! {
    /// A fully connected layer.
    pub struct Dense {
        num_hidden: usize, "number of outputs";
        no_bias: bool = false, "there is no bias";
        flatten: bool = true, "all axes but the first are one; otherwise the layer acts on the last axis";
    }
}

/// Rows and width of the data as a matrix.
fn matrix(dims: &[usize], flatten: bool) -> (usize, usize) {
    match (dims, flatten) {
        ([], _) => (1, 1),
        ([n, rest @ ..], true) => (*n, rest.iter().product()),
        ([rest @ .., k], false) => (rest.iter().product(), *k),
    }
}

fn infer(s: &mut Shapes<'_>) -> Result<()> {
    let p = s.params.get::<Dense>().clone();
    if p.num_hidden == 0 {
        bail!(Param, "num_hidden must be at least 1, got 0");
    }
    let hidden = p.num_hidden as i64;
    if let Some(x) = s.ins[0].sizes() {
        if x.is_empty() {
            bail!(Shape, "data needs at least one axis");
        }
        let width = if p.flatten { &x[1..] } else { &x[x.len() - 1..] };
        let width = if width.iter().any(|&d| d < 0) { -1 } else { width.iter().product() };
        let mut out: Vec<i64> = if p.flatten { vec![x[0]] } else { x[..x.len() - 1].to_vec() };
        out.push(hidden);
        s.want_partial(1, &Partial::from_sizes(&[hidden, width]))?;
        s.outs[0].merge(&Partial::from_sizes(&out))?;
    } else if p.flatten {
        // The output tells neither the rank nor the width of the data.
        return Ok(());
    }
    if !p.no_bias {
        s.want(2, &[p.num_hidden])?;
    }
    // What the output and the weight know of the data.
    let (out, width) = (s.outs[0].clone(), s.ins[1].dim(1).map_or(-1, |k| k as i64));
    if let Some(o) = out.sizes() {
        if o.last().is_none_or(|&n| n != hidden && n != -1) {
            bail!(Shape, "the output's last axis is num_hidden, got {out}, want {hidden}");
        }
        if p.flatten && s.ins[0].ndim().is_some() {
            let mut x: Vec<i64> = s.ins[0].sizes().unwrap_or(&[]).to_vec();
            x[0] = o[0];
            if x.len() == 2 {
                x[1] = width;
            }
            s.want_partial(0, &Partial::from_sizes(&x))?;
        } else if !p.flatten {
            let mut x = o.to_vec();
            *x.last_mut().expect("it has num_hidden") = width;
            s.want_partial(0, &Partial::from_sizes(&x))?;
        }
    }
    Ok(())
}

fn product(p: &Dense, data: &[usize], out: &[usize]) -> Product {
    let (rows, width) = matrix(data, p.flatten);
    Product::plain([rows, p.num_hidden, width], false, true, out)
}

fn run(r: &Run<'_>) -> Result<()> {
    let (p, out) = (r.p::<Dense>(), r.outs[0]);
    let (rows, _) = matrix(r.ins[0].dims(), p.flatten);
    let mut beta = 0.0;
    if let Some(bias) = r.ins.get(2) {
        strided(&[rows, p.num_hidden], bias.span(), 0, &[0, 1], out.span());
        beta = 1.0;
    }
    product(p, r.ins[0].dims(), out.dims()).compute(r.ins[0], r.ins[1], beta, out)
}

fn grad(d: &Vjp<'_>) -> Result<Grads> {
    let p = d.p::<Dense>();
    let mut grads = product(p, d.in_dims(0), d.out_dims(0)).grads(d, d.grad());
    if !p.no_bias {
        let rows = matrix(d.in_dims(0), p.flatten).0;
        grads.push(d.needs(2).then(|| sum_over(&reshaped(d.grad(), &[rows, p.num_hidden]), &[0], false)));
    }
    Ok(grads)
}

/// Rows of the weight times the factors of their outputs; the bias likewise, plus the summands.
fn absorb(p: &Params, ins: &[Array], f: &Affine) -> Result<Option<(Params, Vec<Array>)>> {
    let p = p.get::<Dense>();
    let last = if p.flatten { 1 } else { ins[0].ndim() - 1 };
    if f.axis != last {
        return Ok(None);
    }
    Ok(Some((Params::new(Dense { no_bias: false, ..p.clone() }), f.into_filters(ins))))
}

table! {
    FULLY_CONNECTED = OpDef::new("FullyConnected", &["data", "weight", "bias"], run).aliases(&["_sparse_FullyConnected"])
        .params::<Dense>().arity(|p| if p.get::<Dense>().no_bias { 2 } else { 3 })
        .shape(infer).dtype(float_type)
        .doc("A fully connected layer, `data · weightᵀ + bias`, with `weight` of (num_hidden, inputs).")
        .vjp(Keep::input(0).and(Keep::input(1)), grad).absorb(absorb)
        .cases(|d| {
            let (hidden, flatten, bias) = (d.size(1, 4), d.flip(), d.flip());
            let data = d.shape(2, 3);
            let width = matrix(&data, flatten).1;
            let case = Case::new().real(&data).real(&[hidden, width]);
            let case = if bias { case.real(&[hidden]) } else { case };
            case.param("num_hidden", hidden).param("flatten", flatten).param("no_bias", !bias)
        });
}
