//! Output layers: what they give is a prediction, and their gradient that of a loss, whatever gradient comes from above.

use super::def::{Keep, OpDef, Run};
use super::elementwise::unary;
use super::index::one_hot::{ONE_HOT, OneHot};
use super::infer::{Shapes, Types};
use super::samples::{Case, Draw, Fill};
use super::softmax::floats;
use super::vjp::{Grads, Vjp};
use crate::array::Array;
use crate::dtype::Elem;
use crate::error::Result;
use crate::fluent::{call, call_with};
use crate::kernels::softmax::{Kind, Shape3, softmax};
use crate::ops::elementwise::identity::run_copy;
use crate::shape::partial::Partial;
use crate::shape::{Dims, show};
use crate::tensor::Tensor;
use smallvec::smallvec;

choices! {
    /// What the gradient is divided by.
    pub enum Normalization { Null = "null", Batch = "batch", Valid = "valid" }
}

params! {
    /// What the softmax output takes.
    pub struct SoftmaxOutput {
        grad_scale: f32 = 1.0, "factor of the gradient";
        ignore_label: f32 = -1.0, "the label whose instances are left out with `use_ignore`";
        multi_output: bool = false, "whether axis 1 holds the classes and the axes behind it are instances too";
        use_ignore: bool = false, "whether instances with `ignore_label` have no gradient";
        preserve_shape: bool = false, "whether the last axis holds the classes";
        normalization: Normalization = Normalization::Null, "divides the gradient by nothing, by the batch, by the valid instances";
        out_grad: bool = false, "whether the gradient from above multiplies that of the loss";
        smooth_alpha: f32 = 0.0, "probability that is spread over the wrong classes";
    }
}

const OUTPUT: &str = "the gradient of an output layer is that of a loss and is not differentiated again";

/// Instances, classes, places: how the data is seen.
fn seen(p: &SoftmaxOutput, dims: &[usize]) -> Shape3 {
    let n = dims.first().copied().unwrap_or(1);
    let rest: usize = dims.iter().skip(1).product();
    let last = dims.last().copied().unwrap_or(1);
    match dims.len() {
        2.. if p.multi_output => Shape3 { outer: n, n: dims[1], inner: dims[2..].iter().product() },
        2.. if !p.preserve_shape => Shape3 { outer: n, n: rest, inner: 1 },
        0 | 1 => Shape3 { outer: 1, n: last, inner: 1 },
        k => Shape3 { outer: dims[..k - 1].iter().product(), n: last, inner: 1 },
    }
}

fn infer_softmax(s: &mut Shapes<'_>) -> Result<()> {
    let mut x = s.ins[0].clone();
    x.merge(&s.outs[0])?;
    s.ins[0] = x.clone();
    s.outs[0] = x.clone();
    let p = s.params.get::<SoftmaxOutput>();
    let Some(dims) = x.known() else {
        // A class for each row of a matrix.
        return match x.sizes() {
            Some([front @ .., _])
                if !p.multi_output
                    && s.ins[1].ndim() == Some(front.len())
                    && (p.preserve_shape || front.len() == 1) =>
            {
                s.want_partial(1, &Partial::from_sizes(front))
            }
            _ => Ok(()),
        };
    };
    let Some((&last, front)) = dims.split_last() else {
        bail!(Shape, "data needs an axis of classes, got ()")
    };
    let v = seen(p, &dims);
    match s.ins[1].known() {
        // Probabilities, or classes with an axis of 1.
        None if s.ins[1].ndim() == Some(dims.len()) => Ok(()),
        None if p.multi_output && dims.len() > 1 => {
            // Nothing known: the places in one axis. Both forms are taken.
            let label = if s.ins[1].ndim().is_none_or(|n| n == 2) {
                Dims::from_slice(&[v.outer, v.inner])
            } else {
                let mut label = dims.clone();
                label.remove(1);
                label
            };
            s.want(1, &label)
        }
        None if s.ins[1].ndim() == Some(1) => s.want(1, &[v.outer * v.inner]),
        None => s.want(1, front),
        // Probabilities for each class, or a class for each instance in whichever shape.
        Some(l) if l == dims || l.iter().product::<usize>() == v.outer * v.inner => Ok(()),
        Some(l) => bail!(
            Shape,
            "Shape inconsistent, label got {}, want {} labels for data of {} with {} classes",
            show(&l),
            v.outer * v.inner,
            show(&dims),
            if v.n > 0 { v.n } else { last }
        ),
    }
}

/// Data and result have one dtype; the label may have another.
fn label_type(t: &mut Types<'_>) -> Result<()> {
    let d = t.ins[0].or(t.outs[0]);
    if let Some(d) = d.filter(|d| !d.is_float()) {
        bail!(Dtype, "a floating-point dtype is wanted, got {d}");
    }
    t.ins[0] = d;
    t.outs.fill(d);
    t.ins[1] = t.ins[1].or(d);
    Ok(())
}

fn run_softmax(r: &Run<'_>) -> Result<()> {
    let shape = seen(r.p(), r.ins[0].dims());
    softmax(Kind::Softmax, r.ins[0].span(), r.outs[0].span(), shape, 1.0, None);
    Ok(())
}

fn grad_softmax(d: &Vjp<'_>) -> Result<Grads> {
    let g = call(&SOFTMAX_OUTPUT_GRAD, &[d.out(), d.input(1)], d.params);
    Ok(smallvec![Some(if d.p::<SoftmaxOutput>().out_grad { g * d.grad() } else { g }), None])
}

/// y - onehot(label), smoothed, scaled, and 0 where the label is ignored.
fn run_softmax_grad(r: &Run<'_>) -> Result<()> {
    let p = r.p::<SoftmaxOutput>();
    let (y, label, out) = (r.ins[0], r.ins[1].to_vec_f64(), r.outs[0]);
    let scale = f64::from(p.grad_scale);
    if r.ins[1].dims() == y.dims() {
        // Probabilities of every class.
        with_dtype!(y.dtype(), T => {
            // SAFETY: the output is this call's alone.
            let to = unsafe { out.span().slice_mut::<T>() };
            for ((to, y), l) in to.iter_mut().zip(y.as_slice::<T>()).zip(&label) {
                *to = T::from_f64((y.to_f64() - l) * scale);
            }
        });
        return Ok(());
    }
    let v = seen(p, y.dims());
    let ignored = |l: f64| p.use_ignore && l.trunc() == f64::from(p.ignore_label).trunc();
    let valid =
        || label.iter().filter(|l| l.trunc() != f64::from(p.ignore_label).trunc()).count().max(1) as f64;
    let scale = match p.normalization {
        Normalization::Valid => scale / valid(),
        Normalization::Batch if p.multi_output => scale / (v.inner * v.outer).max(1) as f64,
        Normalization::Batch => scale / label.len().max(1) as f64,
        Normalization::Null if p.multi_output => scale / v.inner.max(1) as f64,
        Normalization::Null => scale,
    };
    // MXNet smooths labels of one class a row only.
    let alpha = if p.multi_output { 0.0 } else { f64::from(p.smooth_alpha) };
    let others = if v.n > 1 { alpha / (v.n - 1) as f64 } else { 0.0 };
    with_dtype!(y.dtype(), T => {
        let from = y.as_slice::<T>();
        // SAFETY: the output is this call's alone.
        let to = unsafe { out.span().slice_mut::<T>() };
        for i in 0..v.outer {
            for c in 0..v.n {
                let at = (i * v.n + c) * v.inner;
                for k in 0..v.inner {
                    let l = label[i * v.inner + k];
                    let target = if l.trunc() == c as f64 { 1.0 - alpha } else { others };
                    let g = if ignored(l) { 0.0 } else { (from[at + k].to_f64() - target) * scale };
                    to[at + k] = T::from_f64(g);
                }
            }
        }
    });
    Ok(())
}

params! {
    /// What regression outputs take.
    pub struct Regression {
        grad_scale: f32 = 1.0, "factor of the gradient";
    }
}

/// The label has the shape of the data. Of data (n, 1) it is (n,), unless it is given as the data is.
fn infer_regression(s: &mut Shapes<'_>) -> Result<()> {
    let mut x = s.ins[0].clone();
    x.merge(&s.outs[0])?;
    s.ins[0] = x.clone();
    s.outs[0] = x.clone();
    match x.sizes() {
        Some(&[n, 1]) if s.ins[1].ndim().is_none_or(|n| n == 1) => {
            s.want_partial(1, &Partial::from_sizes(&[n]))
        }
        // Perhaps a column.
        Some(&[_, -1]) if s.ins[1].ndim().is_none() => Ok(()),
        Some(&[n, -1]) if s.ins[1].ndim() == Some(1) => s.want_partial(1, &Partial::from_sizes(&[n])),
        _ => s.want_partial(1, &x),
    }
}

fn grad_regression(d: &Vjp<'_>, loss: fn(Array) -> Array) -> Result<Grads> {
    let (y, label) = (d.out(), d.input(1).cast(d.in_dtype(0)));
    let outputs = label.size() / label.dims().first().copied().unwrap_or(1).max(1);
    let scale = f64::from(d.p::<Regression>().grad_scale) / outputs.max(1) as f64;
    let label = super::activation::view(&label, y.dims())?;
    Ok(smallvec![Some(loss(y - label) * scale), None])
}

params! {
    /// What the margin output takes.
    pub struct Svm {
        margin: f32 = 1.0, "the margin";
        regularization_coefficient: f32 = 1.0, "factor of the gradient";
        use_linear: bool = false, "whether the loss is the hinge itself and not its square";
    }
}

fn infer_svm(s: &mut Shapes<'_>) -> Result<()> {
    let mut x = s.ins[0].clone();
    x.merge(&s.outs[0])?;
    s.ins[0] = x.clone();
    s.outs[0] = x.clone();
    let Some(sizes) = x.sizes() else { return Ok(()) };
    if sizes.is_empty() {
        bail!(Shape, "data needs an axis of classes, got ()");
    }
    s.want_partial(1, &Partial::from_sizes(&sizes[..sizes.len() - 1]))
}

fn run_svm_grad(r: &Run<'_>) -> Result<()> {
    let p = r.p::<Svm>();
    let (x, label, out) = (r.ins[0], r.ins[1].to_vec_f64(), r.outs[0]);
    let classes = x.dims().last().copied().unwrap_or(1).max(1);
    let (margin, factor) = (f64::from(p.margin), f64::from(p.regularization_coefficient));
    with_dtype!(x.dtype(), T => {
        // SAFETY: the output is this call's alone.
        let to = unsafe { out.span().slice_mut::<T>() };
        for (i, (to, x)) in to.iter_mut().zip(x.as_slice::<T>()).enumerate() {
            // The right class should be above the margin, the others below its negative.
            let sign = if label[i / classes].trunc() == (i % classes) as f64 { -1.0 } else { 1.0 };
            let short = margin + sign * x.to_f64();
            let slope = if short > 0.0 { if p.use_linear { 1.0 } else { 2.0 * short } } else { 0.0 };
            *to = T::from_f64(sign * slope * factor);
        }
    });
    Ok(())
}

params! {
    /// What a loss of the user's own takes.
    pub struct MakeLoss {
        grad_scale: f32 = 1.0, "the gradient";
        valid_thresh: f32 = 0.0, "elements above it are valid";
        normalization: Normalization = Normalization::Null, "divides the gradient by nothing, by the batch, by the valid elements";
    }
}

fn grad_make_loss(d: &Vjp<'_>) -> Result<Array> {
    let p = d.p::<MakeLoss>();
    let x = d.input(0);
    let by = match p.normalization {
        Normalization::Null => 1.0,
        // The axes but the last count as the batch; a single axis is one row.
        Normalization::Batch => x.dims().split_last().map_or(1, |(_, n)| n.iter().product::<usize>()) as f64,
        Normalization::Valid => {
            let above = |v: f64| v > f64::from(p.valid_thresh);
            with_dtype!(x.dtype(), T => x.tensor().as_slice::<T>().iter().filter(|v| above(v.to_f64())).count()).max(1)
                as f64
        }
    };
    Array::full(x.dims(), f64::from(p.grad_scale) / by.max(1.0), x.dtype(), x.device())
}

fn infer_cross_entropy(s: &mut Shapes<'_>) -> Result<()> {
    if let Some(sizes) = s.ins[0].sizes() {
        if sizes.len() != 2 {
            bail!(Shape, "data must have two axes, got {}", s.ins[0]);
        }
        let n = sizes[0];
        s.want_partial(1, &Partial::from_sizes(&[n]))?;
    }
    s.output(0, &[1])
}

/// Class of each row, which must be one.
fn classes(label: &Tensor, n: usize) -> Result<Vec<usize>> {
    let one = |l: f64| match l {
        l if l >= 0.0 && l < n as f64 => Ok(l as usize),
        l => Err(err!(Argument, "a label is out of range, got {l}, want 0 to {}", n.saturating_sub(1))),
    };
    label.to_vec_f64().into_iter().map(one).collect()
}

/// Elements of which the logarithms are held at a time.
const BLOCK: usize = 1 << 18;

fn run_cross_entropy(r: &Run<'_>) -> Result<()> {
    let (x, n) = (r.ins[0], r.ins[0].dims()[1]);
    let classes = classes(r.ins[1], n)?;
    let rows = (BLOCK / n.max(1)).clamp(1, classes.len().max(1));
    let block = Tensor::empty(&[rows, n], x.dtype(), x.device())?;
    let mut sum = 0.0;
    for (i, some) in classes.chunks(rows).enumerate() {
        let logs = block.span().sub(0, some.len() * n);
        let shape = Shape3 { outer: some.len(), n, inner: 1 };
        softmax(Kind::Log, x.span().sub(i * rows * n, some.len() * n), logs, shape, 1.0, None);
        // SAFETY: rows that this call has just written.
        sum -= with_dtype!(x.dtype(), T => some.iter().zip(unsafe { logs.slice::<T>() }.chunks(n))
            .map(|(&c, row)| row[c].to_f64()).sum::<f64>());
    }
    crate::kernels::copy::fill(r.outs[0].span(), sum);
    Ok(())
}

/// softmax - onehot(label), times the gradient of the sum.
fn grad_cross_entropy(d: &Vjp<'_>) -> Result<Grads> {
    let x = d.input(0);
    let hot = OneHot { depth: x.dims()[1] as i64, on_value: 1.0, off_value: 0.0, dtype: x.dtype() };
    let hot = call_with(&ONE_HOT, &[d.input(1)], hot);
    let p = call(&super::softmax::SOFTMAX, &[x], &super::softmax::plain());
    Ok(smallvec![Some((p - hot) * super::activation::view(d.grad(), &[1, 1])?), None])
}

fn cross_entropy_case(d: &mut Draw) -> Case {
    let (n, c) = (d.size(1, 5), d.size(1, 6));
    Case::new().real(&[n, c]).input(&[n], Fill::Whole(0, c as i64))
}

params! {
    /// What the sparseness penalty takes.
    pub struct KlSparse {
        sparseness_target: f32 = 0.1, "mean activation that is aimed at";
        penalty: f32 = 0.001, "factor of the penalty";
        momentum: f32 = 0.9, "of the moving mean";
    }
}

fn infer_sparse(s: &mut Shapes<'_>) -> Result<()> {
    let mut x = s.ins[0].clone();
    x.merge(&s.outs[0])?;
    s.ins[0] = x.clone();
    s.outs[0] = x.clone();
    let Some(dims) = x.sizes() else { return Ok(()) };
    let Some(units) = dims.get(1..) else { bail!(Shape, "data needs an axis of instances, got ()") };
    let count = if units.iter().all(|&d| d >= 0) { units.iter().product() } else { -1 };
    s.want_partial(1, &Partial::from_sizes(&[count]))
}

fn run_sparse_grad(r: &Run<'_>) -> Result<()> {
    let p = r.p::<KlSparse>();
    let (g, x, moving, out) = (r.ins[0].to_vec_f64(), r.ins[1].to_vec_f64(), r.ins[2], r.outs[0]);
    let units = moving.size().max(1);
    let rows = x.len() / units;
    let (target, momentum) = (f64::from(p.sparseness_target), f64::from(p.momentum));
    let mut slopes = moving.to_vec_f64();
    for (u, m) in slopes.iter_mut().enumerate() {
        let mean = (0..rows).map(|i| x[i * units + u]).sum::<f64>() / rows.max(1) as f64;
        *m = momentum * *m + (1.0 - momentum) * mean;
    }
    // SAFETY: the operator says that it changes the moving mean.
    with_dtype!(moving.dtype(), T => unsafe { moving.span().slice_mut::<T>() }
        .iter_mut().zip(&slopes).for_each(|(m, v)| *m = T::from_f64(*v)));
    slopes.iter_mut().for_each(|m| *m = f64::from(p.penalty) * (-target / *m + (1.0 - target) / (1.0 - *m)));
    // SAFETY: the output is this call's alone.
    with_dtype!(out.dtype(), T => unsafe { out.span().slice_mut::<T>() }
        .iter_mut().enumerate().for_each(|(i, y)| *y = T::from_f64(g[i] + slopes[i % units])));
    Ok(())
}

const LOSS: &str = "the gradient is not that of the function";

table! {
    SOFTMAX_OUTPUT = OpDef::new("SoftmaxOutput", &["data", "label"], run_softmax).aliases(&["Softmax"]).inplace()
        .params::<SoftmaxOutput>().shape(infer_softmax).dtype(label_type)
        .doc("Softmax whose gradient is that of the cross entropy with the labels, `softmax - onehot(label)`.")
        .vjp(Keep::OUTPUTS.and(Keep::input(1)), grad_softmax).no_samples(LOSS);
    SOFTMAX_OUTPUT_GRAD = OpDef::new("_ks_softmax_output_grad", &["out", "label"], run_softmax_grad)
        .params::<SoftmaxOutput>().shape(infer_softmax).dtype(label_type)
        .doc("The gradient of SoftmaxOutput from its result.").no_gradient(OUTPUT).no_samples("tested by recorded calls");
    LINEAR_REGRESSION_OUTPUT = OpDef::new("LinearRegressionOutput", &["data", "label"], run_copy)
        .aliases(&["_sparse_LinearRegressionOutput"]).params::<Regression>().shape(infer_regression).dtype(label_type)
        .doc("The data itself, with the gradient of half the squared distance from the label.")
        .vjp(Keep::OUTPUTS.and(Keep::input(1)), |d| grad_regression(d, |e| e)).no_samples(LOSS);
    MAE_REGRESSION_OUTPUT = OpDef::new("MAERegressionOutput", &["data", "label"], run_copy)
        .aliases(&["_sparse_MAERegressionOutput"]).params::<Regression>().shape(infer_regression).dtype(label_type)
        .doc("The data itself, with the gradient of the distance from the label, which at no distance is that from below.")
        .vjp(Keep::OUTPUTS.and(Keep::input(1)), |d| grad_regression(d, |e| e.gt(0.0) * 2.0 - 1.0)).no_samples(LOSS);
    LOGISTIC_REGRESSION_OUTPUT = OpDef::new("LogisticRegressionOutput", &["data", "label"], |r| (unary::SIGMOID.run)(r))
        .aliases(&["_sparse_LogisticRegressionOutput"]).params::<Regression>().shape(infer_regression).dtype(label_type)
        .doc("The logistic function, with the gradient of the cross entropy with the label.")
        .vjp(Keep::OUTPUTS.and(Keep::input(1)), |d| grad_regression(d, |e| e)).no_samples(LOSS);
    SVM_OUTPUT = OpDef::new("SVMOutput", &["data", "label"], run_copy).params::<Svm>().shape(infer_svm).dtype(label_type)
        .doc("The data itself, with the gradient of the (squared) hinge loss: one class against all others.")
        .vjp(Keep::INPUTS, |d| Ok(smallvec![Some(call(&SVM_OUTPUT_GRAD, &[d.input(0), d.input(1)], d.params)), None]))
        .no_samples(LOSS);
    SVM_OUTPUT_GRAD = OpDef::new("_ks_svm_output_grad", &["data", "label"], run_svm_grad).params::<Svm>()
        .shape(infer_svm).dtype(label_type)
        .doc("The gradient of SVMOutput.").no_gradient(OUTPUT).no_samples("tested by recorded calls");
    MAKE_LOSS = OpDef::map("MakeLoss", run_copy).params::<MakeLoss>().dtype(floats)
        .doc("The data itself, a loss: its gradient is `grad_scale`, whatever gradient comes from above.")
        .vjp1(Keep::INPUTS, grad_make_loss).no_samples(LOSS);
    SOFTMAX_CROSS_ENTROPY = OpDef::new("softmax_cross_entropy", &["data", "label"], run_cross_entropy)
        .shape(infer_cross_entropy).dtype(label_type)
        .doc("Sum over rows of `-log(softmax(data)[label])`.")
        .vjp(Keep::INPUTS, grad_cross_entropy).cases(cross_entropy_case);
    KL_SPARSE = OpDef::new("IdentityAttachKLSparseReg", &["data", "moving_avg"], run_copy).mutates(&[1])
        .params::<KlSparse>().shape(infer_sparse)
        .doc("The data itself, with a penalty added to the gradient that drives the moving mean of each unit to a target. The \
              moving mean moves when the gradient is taken.")
        .vjp(Keep::INPUTS, |d| {
            let g = d.grad().clone();
            Ok(smallvec![Some(call(&KL_SPARSE_GRAD, &[&g, d.input(0), d.input(1)], d.params)), None])
        })
        .no_samples(LOSS);
    KL_SPARSE_GRAD = OpDef::new("_ks_kl_sparse_grad", &["grad", "data", "moving_avg"], run_sparse_grad).mutates(&[2])
        .params::<KlSparse>()
        .shape(|s| { let x = s.ins[1].clone(); s.outs[0].merge(&x).map(drop) })
        .dtype(|t| { t.outs[0] = t.ins[1]; Ok(()) })
        .doc("The gradient of IdentityAttachKLSparseReg; moves the moving mean.").no_gradient(OUTPUT)
        .no_samples("tested by recorded calls");
}
