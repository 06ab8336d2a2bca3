//! Operators on batches of sequences of different lengths: (steps, batch, …), or (batch, steps, …) with `axis` 1.

use super::def::{Keep, OpDef, Run};
use super::infer::{Shapes, Types};
use super::params::Params;
use super::samples::{Case, Draw, Fill};
use super::vjp::{Grads, Vjp};
use crate::dtype::DType;
use crate::error::Result;
use crate::fluent::call;
use crate::kernels::sequence::{self, Batch, Change};
use crate::shape::{Dims, show, size_of_dims};
use smallvec::smallvec;

params! {
    /// What `SequenceMask` takes.
    pub struct Mask {
        use_sequence_length: bool = false, "whether the lengths are an input; otherwise all are the longest";
        value: f64 = 0.0, "what stands after the end of a sequence";
        axis: i64 = 0, "axis of the steps, 0 or 1; the other is that of the batch";
    }
}

params! {
    /// What `SequenceLast` and `SequenceReverse` take.
    pub struct Sequences {
        use_sequence_length: bool = false, "whether the lengths are an input; otherwise all are the longest";
        axis: i64 = 0, "axis of the steps, 0 or 1; the other is that of the batch";
    }
}

params! {
    /// What the gradient of `SequenceLast` takes.
    pub struct Spread {
        use_sequence_length: bool = false, "as of SequenceLast";
        axis: i64 = 0, "as of SequenceLast";
        steps: usize, "number of steps";
    }
}

fn batch(x: &[usize], axis: i64) -> Result<Batch> {
    if x.len() < 2 || !(0..=1).contains(&axis) {
        bail!(
            Shape,
            "steps and batch are wanted on the first two axes and the axis of steps among them, got {} and axis {axis}",
            show(x)
        );
    }
    let (steps, batch) = if axis == 0 { (x[0], x[1]) } else { (x[1], x[0]) };
    Ok(Batch { steps, batch, inner: x[2..].iter().product(), batch_first: axis == 1 })
}

/// The lengths must be one for each sequence.
fn lengths_fit(s: &mut Shapes<'_>, batch: usize) -> Result<()> {
    if s.ins.len() > 1 { s.want(1, &[batch]) } else { Ok(()) }
}

fn shape_same(s: &mut Shapes<'_>, axis: i64) -> Result<()> {
    s.want_partial(0, &s.outs[0].clone())?;
    s.outs[0].merge(&s.ins[0])?;
    let Some(x) = s.input(0) else {
        if let (Some(n), true) = (s.ins[0].dim(if axis == 0 { 1 } else { 0 }), s.ins.len() > 1) {
            s.want(1, &[n])?;
        }
        return Ok(());
    };
    let b = batch(&x, axis)?;
    lengths_fit(s, b.batch)?;
    s.output(0, &x)
}

/// The output has the dtype of the data; lengths may have any.
fn types(t: &mut Types<'_>) -> Result<()> {
    t.ins[0] = t.ins[0].or(t.outs[0]);
    t.outs[0] = t.ins[0];
    if let Some(l) = t.ins.get_mut(1) {
        l.get_or_insert(t.outs[0].unwrap_or(DType::F32));
    }
    Ok(())
}

fn run_change(r: &Run<'_>, axis: i64, change: Change) -> Result<()> {
    let x = r.ins[0];
    let b = batch(x.dims(), axis)?;
    let lengths = b.lengths(r.ins.get(1).map(|l| l.span()));
    sequence::change(b, change, &lengths, x.span(), r.outs[0].span());
    Ok(())
}

/// The call of an operator on the gradient, with the same lengths.
fn same_lengths(d: &Vjp<'_>, op: &'static OpDef, params: &Params) -> Result<Grads> {
    if d.num_inputs() == 1 {
        return Ok(smallvec![Some(call(op, &[d.grad()], params))]);
    }
    let g = d.needs(0).then(|| call(op, &[d.grad(), d.input(1)], params));
    Ok(smallvec![g, d.zeros(1)?])
}

fn grad_mask(d: &Vjp<'_>) -> Result<Grads> {
    same_lengths(d, &SEQUENCE_MASK, &Params::new(Mask { value: 0.0, ..d.p::<Mask>().clone() }))
}

fn shape_last(s: &mut Shapes<'_>) -> Result<()> {
    let Some(x) = s.input(0) else { return Ok(()) };
    let b = batch(&x, s.params.get::<Sequences>().axis)?;
    if b.steps == 0 {
        bail!(Shape, "there are no steps, got {}", show(&x));
    }
    lengths_fit(s, b.batch)?;
    s.output(0, &[b.batch].iter().chain(&x[2..]).copied().collect::<Dims>())
}

fn run_last(r: &Run<'_>) -> Result<()> {
    let x = r.ins[0];
    let b = batch(x.dims(), r.p::<Sequences>().axis)?;
    sequence::last(b, &b.lengths(r.ins.get(1).map(|l| l.span())), x.span(), r.outs[0].span());
    Ok(())
}

fn grad_last(d: &Vjp<'_>) -> Result<Grads> {
    let p = d.p::<Sequences>();
    let steps = batch(d.in_dims(0), p.axis)?.steps;
    let spread = Spread { use_sequence_length: p.use_sequence_length, axis: p.axis, steps };
    same_lengths(d, &UNLAST, &Params::new(spread))
}

/// The shape before the last steps were taken.
fn spread(x: &[usize], p: &Spread) -> Result<Dims> {
    let Some((&n, rest)) = x.split_first() else { bail!(Shape, "a batch is wanted, got ()") };
    if p.steps == 0 {
        bail!(Shape, "there are no steps");
    }
    let first = if p.axis == 0 { [p.steps, n] } else { [n, p.steps] };
    let out: Dims = first.iter().chain(rest).copied().collect();
    size_of_dims(&out)?;
    Ok(out)
}

fn shape_unlast(s: &mut Shapes<'_>) -> Result<()> {
    let Some(x) = s.input(0) else { return Ok(()) };
    let out = spread(&x, s.params.get())?;
    lengths_fit(s, x[0])?;
    s.output(0, &out)
}

fn run_unlast(r: &Run<'_>) -> Result<()> {
    let out = r.outs[0];
    let b = batch(out.dims(), r.p::<Spread>().axis)?;
    sequence::unlast(b, &b.lengths(r.ins.get(1).map(|l| l.span())), r.ins[0].span(), out.span());
    Ok(())
}

fn grad_unlast(d: &Vjp<'_>) -> Result<Grads> {
    let p = d.p::<Spread>();
    let last = Sequences { use_sequence_length: p.use_sequence_length, axis: p.axis };
    same_lengths(d, &SEQUENCE_LAST, &Params::new(last))
}

fn count(by_length: bool) -> usize {
    if by_length { 2 } else { 1 }
}

fn case(d: &mut Draw) -> Case {
    let (steps, n, axis) = (d.size(1, 5), d.size(1, 4), d.int(0, 1));
    let mut dims: Dims = if axis == 0 { smallvec![steps, n] } else { smallvec![n, steps] };
    (0..d.size(0, 2)).for_each(|_| dims.push(d.size(1, 3)));
    let case = Case::new().real(&dims).param("axis", axis);
    if d.flip() {
        return case;
    }
    case.input(&[n], Fill::Whole(1, steps as i64 + 1)).param("use_sequence_length", true)
}

/// Gradient that needs the lengths alone.
const LENGTHS: Keep = Keep::input(1);

table! {
    SEQUENCE_MASK = OpDef::new("SequenceMask", &["data", "sequence_length"], |r| {
            let p = r.p::<Mask>();
            run_change(r, p.axis, Change::Mask(p.value))
        })
        .params::<Mask>().arity(|p| count(p.get::<Mask>().use_sequence_length))
        .doc("Steps after the end of each sequence are replaced by `value`.")
        .shape(|s| shape_same(s, s.params.get::<Mask>().axis)).dtype(types)
        .vjp(LENGTHS, grad_mask).cases(|d| case(d).param("value", -1.5));
    SEQUENCE_REVERSE = OpDef::new("SequenceReverse", &["data", "sequence_length"], |r| run_change(r, r.p::<Sequences>().axis, Change::Reverse))
        .params::<Sequences>().arity(|p| count(p.get::<Sequences>().use_sequence_length))
        .doc("The steps of each sequence in opposite order; those after its end stay.")
        .shape(|s| shape_same(s, s.params.get::<Sequences>().axis)).dtype(types)
        .vjp(LENGTHS, |d| same_lengths(d, &SEQUENCE_REVERSE, d.params)).cases(case);
    SEQUENCE_LAST = OpDef::new("SequenceLast", &["data", "sequence_length"], run_last)
        .params::<Sequences>().arity(|p| count(p.get::<Sequences>().use_sequence_length))
        .doc("The last step of each sequence.")
        .shape(shape_last).dtype(types).vjp(LENGTHS, grad_last).cases(case);
    UNLAST = OpDef::new("_ks_unlast", &["data", "sequence_length"], run_unlast)
        .params::<Spread>().arity(|p| count(p.get::<Spread>().use_sequence_length))
        .doc("Zeros, with `data` at the last step of each sequence: the gradient of SequenceLast.")
        .shape(shape_unlast).dtype(types).vjp(LENGTHS, grad_unlast)
        .cases(|d| {
            let (steps, n) = (d.size(1, 4), d.size(1, 3));
            let case = Case::new().real(&[n, d.size(1, 3)]).param("axis", d.int(0, 1)).param("steps", steps);
            if d.flip() { return case; }
            case.input(&[n], Fill::Whole(1, steps as i64 + 1)).param("use_sequence_length", true)
        });
}
