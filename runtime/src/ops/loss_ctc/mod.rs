//! The CTC loss.

mod composed;

use super::def::{Keep, OpDef, Run};
use super::infer::{Shapes, Types};
use super::params::Params;
use super::samples::{Case, Draw, Fill};
use super::vjp::{Grads, Vjp};
use crate::array::Array;
use crate::dtype::{DType, Elem};
use crate::error::Result;
use crate::fluent::{call, gradients_of};
use crate::kernels::ctc::ctc;
use crate::kernels::par;
use crate::shape::partial::Partial;
use smallvec::smallvec;
use std::sync::Mutex;

choices! {
    /// Which class is the blank.
    pub enum Blank { First = "first", Last = "last" }
}

params! {
    /// What the CTC loss takes.
    pub struct Ctc {
        use_data_lengths: bool = false, "whether an input tells how many steps of each sequence count";
        use_label_lengths: bool = false, "whether an input tells how long each label is";
        blank_label: Blank = Blank::First, "which class is the blank; labels are padded with 0 (first) or -1 (last)";
    }
}

impl Ctc {
    fn blank(&self, classes: usize) -> usize {
        if self.blank_label == Blank::First { 0 } else { classes.saturating_sub(1) }
    }
}

fn inputs(p: &Params) -> usize {
    let p = p.get::<Ctc>();
    2 + usize::from(p.use_data_lengths) + usize::from(p.use_label_lengths)
}

fn infer_shape(s: &mut Shapes<'_>) -> Result<()> {
    s.ins[0]
        .merge(&Partial::of_ndim(3))
        .map_err(|_| err!(Shape, "data must have axes (steps, batch, classes), got {}", s.ins[0]))?;
    let batch = s.ins[0].dim(1).map_or(-1, |d| d as i64);
    s.want_partial(1, &Partial::from_sizes(&[batch, -1]))?;
    if let (Some(steps), Some(labels)) = (s.ins[0].dim(0), s.ins[1].dim(1))
        && labels > steps
    {
        bail!(
            Shape,
            "The max number of labels cannot exceed the maximum sequence length, got {labels}, want at most {steps}"
        );
    }
    for i in 2..s.ins.len() {
        s.want_partial(i, &Partial::from_sizes(&[batch]))?;
    }
    s.outs[0].merge(&Partial::from_sizes(&[batch])).map(drop)
}

/// The slope takes what the loss takes, and has the shape of the data.
fn infer_slope_shape(s: &mut Shapes<'_>) -> Result<()> {
    infer_shape(&mut Shapes { params: s.params, ins: s.ins, outs: &mut [Partial::UNKNOWN] })?;
    let data = s.ins[0].clone();
    s.outs[0].merge(&data).map(drop)
}

fn infer_type(t: &mut Types<'_>) -> Result<()> {
    let d = t.ins[0].or(t.outs[0]);
    if let Some(d) = d.filter(|d| !d.is_float()) {
        bail!(Dtype, "a floating-point dtype is wanted, got {d}");
    }
    for x in t.ins.iter_mut().skip(1) {
        *x = x.or(d);
    }
    (t.ins[0], t.outs[0]) = (d, d);
    Ok(())
}

/// One sequence: its steps and its label.
struct Sequence {
    steps: usize,
    labels: Vec<usize>,
}

/// Reads and checks lengths and labels. `ins` are the inputs of the loss.
fn sequences(p: &Ctc, ins: &[&crate::tensor::Tensor]) -> Result<Vec<Sequence>> {
    let [steps, batch, classes] = ins[0].dims() else { bail!(Internal, "data has three axes") };
    let (labels, width) = (ins[1].to_vec::<i64>(), ins[1].dims()[1]);
    let data_lengths = p.use_data_lengths.then(|| ins[2].to_vec::<i64>());
    let label_lengths = p.use_label_lengths.then(|| ins[ins.len() - 1].to_vec::<i64>());
    // Any class may be a label, the blank too; this pads where there are no lengths.
    let pad = match p.blank_label {
        Blank::First => 0,
        Blank::Last => -1,
    };
    let length = |what: &str, n: i64, most: usize| match usize::try_from(n) {
        Ok(n) if n <= most => Ok(n),
        _ => Err(err!(Argument, "{what} is out of range, got {n}, want 0 to {most}")),
    };
    let one = |b: usize| {
        let row = &labels[b * width..][..width];
        let count = match &label_lengths {
            Some(l) => length("a label length", l[b], width)?,
            None => row.iter().position(|&l| l == pad).unwrap_or(width),
        };
        let class = |&l: &i64| match usize::try_from(l) {
            Ok(label) if label < *classes => Ok(label),
            _ => Err(err!(Argument, "a label is out of range, got {l}, want 0 to {}", *classes as i64 - 1)),
        };
        let steps = data_lengths.as_ref().map_or(Ok(*steps), |d| length("a data length", d[b], *steps))?;
        Ok(Sequence { steps, labels: row[..count].iter().map(class).collect::<Result<_>>()? })
    };
    (0..*batch).map(one).collect()
}

/// Runs all sequences. `visit` gets the loss and, when asked for, the gradient by the logits of the sequence's steps.
fn all(
    p: &Ctc,
    ins: &[&crate::tensor::Tensor],
    gradient: bool,
    visit: impl Fn(usize, f64, &[f64]) + Sync,
) -> Result<()> {
    let dims = ins[0].dims();
    let (batch, classes) = (dims[1], dims[2]);
    let seqs = sequences(p, ins)?;
    let x = ins[0].span();
    let blank = p.blank(classes);
    if classes == 0 {
        bail!(Shape, "there are no classes, got {}", crate::shape::show(dims));
    }
    par::chunks(batch, 1, |b, _| {
        let seq = &seqs[b];
        let mut logits = Vec::with_capacity(seq.steps * classes);
        for t in 0..seq.steps {
            // SAFETY: a row of the data, which nobody writes.
            with_dtype!(x.dtype(), T => logits.extend(
                unsafe { x.sub((t * batch + b) * classes, classes).slice::<T>() }.iter().map(|v| v.to_f64())));
        }
        let mut grad = if gradient { vec![0.0; logits.len()] } else { Vec::new() };
        let loss = ctc(&logits, classes, &seq.labels, blank, gradient.then_some(&mut grad[..]));
        visit(b, loss, &grad);
    });
    Ok(())
}

fn run(r: &Run<'_>) -> Result<()> {
    let losses = Mutex::new(vec![0.0; r.outs[0].size()]);
    all(r.p(), r.ins, false, |b, loss, _| losses.lock().expect("no panic holds it")[b] = loss)?;
    let losses = losses.into_inner().expect("no panic holds it");
    // SAFETY: the output is this call's alone.
    with_dtype!(r.outs[0].dtype(), T => unsafe { r.outs[0].span().slice_mut::<T>() }
        .iter_mut().zip(&losses).for_each(|(y, l)| *y = T::from_f64(*l)));
    Ok(())
}

/// The derivative by the data of each sequence's loss.
fn run_slope(r: &Run<'_>) -> Result<()> {
    let out = r.outs[0];
    let (batch, classes) = (out.dims()[1], out.dims()[2]);
    crate::kernels::copy::fill(out.span(), 0.0);
    all(r.p(), r.ins, true, |b, _, grad| {
        with_dtype!(out.dtype(), T => for (t, row) in grad.chunks(classes).enumerate() {
            // SAFETY: row t of sequence b, which only this chunk writes.
            let to = unsafe { out.span().sub((t * batch + b) * classes, classes).slice_mut::<T>() };
            to.iter_mut().zip(row).for_each(|(y, g)| *y = T::from_f64(*g));
        });
    })
}

fn grad(d: &Vjp<'_>) -> Result<Grads> {
    let ins: Vec<&Array> = (0..d.num_inputs()).map(|i| d.input(i)).collect();
    if d.recorded {
        let seqs = sequences(d.p(), &ins.iter().map(|x| x.tensor()).collect::<Vec<_>>())?;
        let blank = d.p::<Ctc>().blank(d.in_dims(0)[2]);
        return gradients_of(d, |ins| {
            Ok(vec![composed::losses(&ins[0].cast(DType::F64), &seqs, blank)?.cast(ins[0].dtype())])
        });
    }
    let slope = call(&CTC_SLOPE, &ins, d.params);
    let g = super::activation::view(d.grad(), &[1, d.in_dims(0)[1], 1])?;
    let mut grads: Grads = smallvec![Some(slope * g)];
    grads.resize(d.num_inputs(), None);
    Ok(grads)
}

fn case(d: &mut Draw) -> Case {
    let (steps, batch, classes, width) = (d.size(5, 7), d.size(1, 3), d.size(2, 4), d.size(1, 2));
    let last = d.flip();
    let labels = if last { Fill::Whole(0, classes as i64 - 1) } else { Fill::Whole(1, classes as i64) };
    let mut case = Case::new().real(&[steps, batch, classes]).input(&[batch, width], labels);
    for (name, least, most) in [("use_data_lengths", 1, steps), ("use_label_lengths", 0, width)] {
        if d.flip() {
            case = case.input(&[batch], Fill::Whole(least, most as i64 + 1)).param(name, true);
        }
    }
    case.param("blank_label", if last { "last" } else { "first" })
}

table! {
    CTC_LOSS = OpDef::new("CTCLoss", &["data", "label", "data_lengths", "label_lengths"], run)
        .aliases(&["ctc_loss", "_contrib_CTCLoss", "_contrib_ctc_loss"]).params::<Ctc>().arity(inputs).counted(|_| 2)
        .shape(infer_shape).dtype(infer_type)
        .output_names(&["out"]).doc("Negative logarithm of the probability of each label sequence under the softmax of the data (steps, batch, classes), \
              summed over all alignments; 0 for a label that does not fit into its steps.")
        .vjp(Keep::INPUTS, grad).cases(case);
    CTC_SLOPE = OpDef::new("_ks_ctc_slope", &["data", "label", "data_lengths", "label_lengths"], run_slope)
        .params::<Ctc>().arity(inputs)
        .shape(infer_slope_shape).dtype(infer_type)
        .doc("The derivative of the CTC loss by its data.")
        .no_gradient("second order is composed of recorded operators").no_samples("tested through CTCLoss");
}
