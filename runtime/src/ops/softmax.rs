//! Softmax and its relatives.

use super::def::{Keep, OpDef, Run};
use super::infer::{Shapes, Types};
use super::params::Params;
use super::reduce::{UNBROADCAST, unbroadcast_to};
use super::samples::{Case, Draw, Fill};
use super::vjp::{Grads, Vjp};
use crate::array::Array;
use crate::dtype::DType;
use crate::error::Result;
use crate::fluent::call;
use crate::kernels::copy;
use crate::kernels::softmax::{Kind, Shape3, softmax, softmax_grad};
use crate::shape::partial::Partial;
use crate::shape::{Dims, resolve_axis};
use crate::tensor::Tensor;
use smallvec::smallvec;

choices! {
    /// Dtypes that a softmax can give.
    pub enum Float { F16 = "float16", F32 = "float32", F64 = "float64" }
}

impl Float {
    pub(crate) fn dtype(self) -> DType {
        match self {
            Float::F16 => DType::F16,
            Float::F32 => DType::F32,
            Float::F64 => DType::F64,
        }
    }
}

params! {
    /// What a softmax takes.
    pub struct Softmax {
        axis: i64 = -1, "the axis along which the results sum to 1";
        temperature: Option<f64> = None, "divides the input first";
        dtype: Option<Float> = None, "dtype of the result, that of the input when None";
        use_length: Option<bool> = Some(false), "whether a second input tells how many elements count";
    }
}

params! {
    /// The axis of a softmax whose gradient is taken.
    pub struct Along {
        axis: i64 = -1, "the axis";
    }
}

/// Parameters of a softmax along the last axis.
pub(crate) fn plain() -> Params {
    Params::new(Softmax { axis: -1, temperature: None, dtype: None, use_length: Some(false) })
}

fn with_length(p: &Params) -> usize {
    if p.get::<Softmax>().use_length == Some(true) { 2 } else { 1 }
}

fn infer_shape(s: &mut Shapes<'_>) -> Result<()> {
    let p = s.params.get::<Softmax>();
    let (mut x, y) = (s.ins[0].clone(), s.outs[0].clone());
    x.merge(&y)?;
    s.ins[0] = x.clone();
    s.outs[0] = x.clone();
    let Some(sizes) = x.sizes() else { return Ok(()) };
    let axis = resolve_axis(p.axis, sizes.len())?;
    if s.ins.len() == 2 {
        let mut rest = sizes.to_vec();
        rest.remove(axis);
        s.want_partial(1, &Partial::from_sizes(&rest))?;
    }
    Ok(())
}

fn infer_type(t: &mut Types<'_>) -> Result<()> {
    let p = t.params.get::<Softmax>();
    match (p.dtype, t.ins[0], t.outs[0]) {
        (Some(d), ..) => t.outs[0] = Some(d.dtype()),
        (None, Some(d), _) if !d.is_float() => {
            bail!(
                Dtype,
                "softmax of integers needs the parameter dtype, got {d}, want a floating-point input"
            )
        }
        (None, Some(d), _) => t.outs[0] = Some(d),
        (None, None, d) => t.ins[0] = d,
    }
    Ok(())
}

/// Softmax of `sign * x / temperature`.
fn run(r: &Run<'_>, kind: Kind, sign: f64) -> Result<()> {
    let p = r.p::<Softmax>();
    let (x, y) = (r.ins[0], r.outs[0]);
    let shape = Shape3::around(x.dims(), resolve_axis(p.axis, x.ndim())?);
    let scale = sign / p.temperature.unwrap_or(1.0);
    let lengths = r.ins.get(1).map(|l| l.to_vec::<i64>());
    if x.dtype() == y.dtype() {
        softmax(kind, x.span(), y.span(), shape, scale, lengths.as_deref());
        return Ok(());
    }
    // Computed in the wider of the two dtypes.
    let wide =
        if x.dtype().size() > y.dtype().size() || !y.dtype().is_float() { x.dtype() } else { y.dtype() };
    let wide = if wide.is_float() { wide } else { y.dtype() };
    let t = Tensor::empty(x.dims(), wide, x.device())?;
    copy::cast(x.span(), t.span());
    softmax(kind, t.span(), t.span(), shape, scale, lengths.as_deref());
    copy::cast(t.span(), y.span());
    Ok(())
}

fn grad(d: &Vjp<'_>, op: &'static OpDef, sign: f64) -> Result<Grads> {
    let p = d.p::<Softmax>();
    let g = call(op, &[d.grad(), d.out()], &Params::new(Along { axis: p.axis }));
    let scale = sign / p.temperature.unwrap_or(1.0);
    let g = if scale == 1.0 { g } else { g * scale };
    let mut grads: Grads = smallvec![Some(g.cast(d.in_dtype(0)))];
    if d.num_inputs() == 2 {
        grads.push(None);
    }
    Ok(grads)
}

fn run_grad(r: &Run<'_>, kind: Kind) -> Result<()> {
    let x = r.ins[0];
    let shape = Shape3::around(x.dims(), resolve_axis(r.p::<Along>().axis, x.ndim())?);
    softmax_grad(kind, x.span(), r.ins[1].span(), r.outs[0].span(), shape);
    Ok(())
}

/// The same operator on another gradient; `axis` is that of this call.
fn again(d: &Vjp<'_>, op: &'static OpDef, g: &Array) -> Array {
    call(op, &[g, d.input(1)], d.params)
}

/// The sum along the axis, which stays with size 1. The axis was in range when the call was made.
fn along(d: &Vjp<'_>, x: &Array) -> Array {
    let mut dims: Dims = x.dims().into();
    dims[resolve_axis(d.p::<Along>().axis, x.ndim()).expect("checked by the call")] = 1;
    call(&UNBROADCAST, &[x], &unbroadcast_to(&dims))
}

/// f(g, y) = y (g - Σ g y), which is linear and symmetric in g.
fn grad_softmax_grad(d: &Vjp<'_>) -> Result<Grads> {
    let (h, g, y) = (d.grad(), d.input(0), d.input(1));
    let by_y = d.needs(1).then(|| h * (g - along(d, &(g * y))) - g * along(d, &(h * y)));
    Ok(smallvec![d.needs(0).then(|| again(d, &SOFTMAX_GRAD, h)), by_y])
}

/// f(g, y) = g - e^y Σ g.
fn grad_log_grad(d: &Vjp<'_>) -> Result<Grads> {
    let (h, g, p) = (d.grad(), d.input(0), d.input(1).exp());
    let by_g = d.needs(0).then(|| h - along(d, &(h * &p)));
    Ok(smallvec![by_g, d.needs(1).then(|| -(h * &p * along(d, g)))])
}

fn case(d: &mut Draw) -> Case {
    let dims = d.shape(1, 3);
    let axis = d.axis(dims.len());
    let t = d.pick(&[0.5, 1.0, 2.0]);
    Case::new().real(&dims).param("axis", axis).param("temperature", t)
}

fn length_case(d: &mut Draw) -> Case {
    if d.flip() {
        return case(d);
    }
    let dims = d.shape(1, 3);
    let axis = d.axis(dims.len());
    let mut rest = dims.clone();
    let n = rest.remove(resolve_axis(axis, dims.len()).expect("drawn inside the range"));
    Case::new()
        .real(&dims)
        .input(&rest, Fill::Whole(1, n as i64 + 1))
        .param("axis", axis)
        .param("use_length", true)
}

fn grad_case(d: &mut Draw) -> Case {
    let dims = d.shape(1, 3);
    let axis = d.axis(dims.len());
    Case::new().real(&dims).real(&dims).param("axis", axis)
}

choices! {
    /// What sums to 1.
    pub enum ActivationMode { Instance = "instance", Channel = "channel" }
}

params! {
    /// What the softmax activation takes.
    pub struct SoftmaxActivation {
        mode: ActivationMode = ActivationMode::Instance, "the last axis (instance) or axis 1 (channel) sums to 1";
    }
}

fn activation_axis(p: &Params) -> i64 {
    if p.get::<SoftmaxActivation>().mode == ActivationMode::Channel { 1 } else { -1 }
}

fn run_activation(r: &Run<'_>) -> Result<()> {
    let x = r.ins[0];
    let shape = Shape3::around(x.dims(), resolve_axis(activation_axis(r.params), x.ndim())?);
    softmax(Kind::Softmax, x.span(), r.outs[0].span(), shape, 1.0, None);
    Ok(())
}

/// One dtype, a floating-point one.
pub(crate) fn floats(t: &mut Types<'_>) -> Result<()> {
    super::infer::same_type(t)?;
    match t.outs.first().copied().flatten() {
        Some(d) if !d.is_float() => bail!(Dtype, "a floating-point dtype is wanted, got {d}"),
        _ => Ok(()),
    }
}

table! {
    SOFTMAX = OpDef::new("softmax", &["data", "length"], |r| run(r, Kind::Softmax, 1.0)).arity(with_length).inplace()
        .params::<Softmax>().shape(infer_shape).dtype(infer_type)
        .doc("`e^(x/t) / sum(e^(x/t))` along an axis. With lengths the elements past them count for nothing and become 0.")
        .vjp(Keep::OUTPUTS, |d| grad(d, &SOFTMAX_GRAD, 1.0)).cases(length_case);
    LOG_SOFTMAX = OpDef::new("log_softmax", &["data"], |r| run(r, Kind::Log, 1.0)).inplace()
        .params::<Softmax>().shape(infer_shape).dtype(infer_type)
        .doc("`x/t - log(sum(e^(x/t)))` along an axis: the logarithm of the softmax.")
        .vjp(Keep::OUTPUTS, |d| grad(d, &LOG_SOFTMAX_GRAD, 1.0)).cases(case);
    SOFTMIN = OpDef::new("softmin", &["data"], |r| run(r, Kind::Softmax, -1.0)).inplace()
        .params::<Softmax>().shape(infer_shape).dtype(infer_type)
        .doc("Softmax of the negated array, `e^(-x/t) / sum(e^(-x/t))` along an axis.")
        .vjp(Keep::OUTPUTS, |d| grad(d, &SOFTMAX_GRAD, -1.0)).cases(case);
    SOFTMAX_ACTIVATION = OpDef::map("SoftmaxActivation", run_activation).whole().params::<SoftmaxActivation>().dtype(floats)
        .shape(|s| {
            super::infer::same(s)?;
            match s.ins[0].ndim() {
                Some(n) if n < 3 && activation_axis(s.params) == 1 => {
                    bail!(Shape, "Input need to have a least 3 dimensions when mode=channel, got {n}")
                }
                _ => Ok(()),
            }
        })
        .doc("Softmax along the last axis, or along axis 1 where `mode` is `channel`.")
        .vjp1(Keep::OUTPUTS, |d| {
            // MXNet goes back along axis 1 in either mode, which with more than two axes is not what it went forward along.
            Ok(call(&SOFTMAX_GRAD, &[d.grad(), d.out()], &Params::new(Along { axis: 1 })))
        })
        .cases(|d| {
            let mode = d.pick(&["instance", "channel"]);
            let dims = if mode == "instance" { d.shape(2, 2) } else { d.shape(3, 4) };
            Case::new().real(&dims).param("mode", mode)
        });
    SOFTMAX_GRAD = OpDef::zip("_ks_softmax_grad", |r| run_grad(r, Kind::Softmax)).whole().params::<Along>().dtype(floats)
        .doc("`rhs (lhs - sum(lhs rhs))` along an axis: the gradient of softmax `rhs`.")
        .vjp(Keep::INPUTS, grad_softmax_grad).cases(grad_case);
    LOG_SOFTMAX_GRAD = OpDef::zip("_ks_log_softmax_grad", |r| run_grad(r, Kind::Log)).whole().params::<Along>().dtype(floats)
        .doc("`lhs - e^rhs sum(lhs)` along an axis: the gradient of the logarithm of softmax `rhs`.")
        .vjp(Keep::INPUTS, grad_log_grad).cases(grad_case);
}
