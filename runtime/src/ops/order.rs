//! Operators that put elements in order along an axis. Equal values keep their order, and NaN comes after everything.

use super::def::{Keep, OpDef, Run};
use super::infer::Shapes;
use super::params::Params;
use super::samples::{Case, Draw, Fill};
use super::vjp::{Grads, Vjp};
use crate::array::Array;
use crate::dtype::DType;
use crate::error::Result;
use crate::fluent::call;
use crate::kernels::index::Rows;
use crate::kernels::sort::{Results, Want, add_along, order, take_along};
use crate::ops::shape_ops::view::reshaped;
use crate::shape::{Dims, resolve_axis, show, size_of_dims};
use smallvec::smallvec;

params! {
    /// What `sort` takes.
    pub struct Sort {
        axis: Option<i64> = Some(-1), "the axis; without it the array is flattened first";
        is_ascend: bool = true, "whether the smallest comes first";
    }
}

params! {
    /// What `argsort` takes.
    pub struct Argsort {
        axis: Option<i64> = Some(-1), "the axis; without it the array is flattened first";
        is_ascend: bool = true, "whether the smallest comes first";
        dtype: DType = DType::F32, "dtype of the indices";
    }
}

choices! {
    /// What `topk` returns.
    pub enum Ret { Both = "both", Indices = "indices", Mask = "mask", Value = "value" }
}

params! {
    /// What `topk` takes.
    pub struct TopK {
        axis: Option<i64> = Some(-1), "the axis; without it the array is flattened first";
        k: i64 = 1, "how many; all of them when not positive";
        ret_typ: Ret = Ret::Indices, "whether the values are returned, their indices, both, or a mask of ones where they are";
        is_ascend: bool = false, "whether the smallest are taken, and the smallest first";
        dtype: DType = DType::F32, "dtype of the indices";
    }
}

/// The shape that is ordered, and its axis.
fn along(x: &[usize], axis: Option<i64>) -> Result<(Dims, usize)> {
    let (dims, axis) = match axis {
        Some(a) => (Dims::from(x), resolve_axis(a, x.len())?),
        None => (smallvec![size_of_dims(x)?], 0),
    };
    if dims[axis] > u32::MAX as usize {
        bail!(Shape, "a row is too long to be ordered, got {}", dims[axis]);
    }
    Ok((dims, axis))
}

/// Checks that a dtype can hold the indices of a row.
fn check_indices(dtype: DType, n: usize) -> Result<()> {
    let most: u64 = match dtype {
        DType::F16 => 1 << 11,
        DType::BF16 => 1 << 8,
        DType::F32 => 1 << 24,
        DType::U8 => u8::MAX.into(),
        DType::Bool => 1,
        DType::I8 => i8::MAX as u64,
        DType::I32 => i32::MAX as u64,
        DType::F64 | DType::I64 => return Ok(()),
    };
    if n as u64 > most {
        bail!(Dtype, "{dtype} cannot hold the indices of a row of {n} elements, want at most {most}");
    }
    Ok(())
}

fn shape_sort(s: &mut Shapes<'_>, axis: Option<i64>, dtype: DType) -> Result<()> {
    let Some(x) = s.input(0) else { return Ok(()) };
    let (dims, axis) = along(&x, axis)?;
    check_indices(dtype, dims[axis])?;
    s.output(0, &dims)
}

fn run_sort(r: &Run<'_>) -> Result<()> {
    let (p, x) = (r.p::<Sort>(), r.ins[0]);
    let (dims, axis) = along(x.dims(), p.axis)?;
    let want = Want { k: dims[axis], ascending: p.is_ascend };
    order(
        Rows::of(&dims, axis),
        x.span(),
        want,
        Results { values: Some(r.outs[0].span()), ..Results::default() },
    );
    Ok(())
}

fn run_argsort(r: &Run<'_>) -> Result<()> {
    let (p, x) = (r.p::<Argsort>(), r.ins[0]);
    let (dims, axis) = along(x.dims(), p.axis)?;
    let want = Want { k: dims[axis], ascending: p.is_ascend };
    order(
        Rows::of(&dims, axis),
        x.span(),
        want,
        Results { places: Some(r.outs[0].span()), ..Results::default() },
    );
    Ok(())
}

/// The shape that is ordered, its axis, and how many are wanted.
fn topk(p: &TopK, x: &[usize]) -> Result<(Dims, usize, usize)> {
    let (dims, axis) = along(x, p.axis)?;
    let n = dims[axis];
    let k = if p.k < 1 { n } else { p.k as usize };
    if k > n {
        bail!(Param, "k is larger than the axis, got {k}, want at most {n}");
    }
    Ok((dims, axis, k))
}

fn shape_topk(s: &mut Shapes<'_>) -> Result<()> {
    let Some(x) = s.input(0) else { return Ok(()) };
    let p: &TopK = s.params.get();
    let (mut dims, axis, k) = topk(p, &x)?;
    if matches!(p.ret_typ, Ret::Indices | Ret::Both) {
        check_indices(p.dtype, dims[axis])?;
    }
    dims[axis] = k;
    let dims = if p.ret_typ == Ret::Mask { x } else { dims };
    (0..s.outs.len()).try_for_each(|i| s.output(i, &dims))
}

fn run_topk(r: &Run<'_>) -> Result<()> {
    let (p, x) = (r.p::<TopK>(), r.ins[0]);
    let (dims, axis, k) = topk(p, x.dims())?;
    let mut to = Results::default();
    let out = r.outs[0].span();
    match p.ret_typ {
        Ret::Value => to.values = Some(out),
        Ret::Indices => to.places = Some(out),
        Ret::Mask => to.mask = Some(out),
        Ret::Both => (to.values, to.places) = (Some(out), Some(r.outs[1].span())),
    }
    order(Rows::of(&dims, axis), x.span(), Want { k, ascending: p.is_ascend }, to);
    Ok(())
}

params! {
    /// Where elements were taken along an axis.
    pub struct Along {
        axis: usize, "the axis";
        size: usize, "its size before elements were taken";
    }
}

fn rows(dims: &[usize], p: &Along) -> Result<(Rows, Dims)> {
    let mut x = Dims::from(dims);
    if p.axis >= x.len() {
        bail!(Shape, "axis is out of range, got {} for {} axes", p.axis, x.len());
    }
    x[p.axis] = p.size;
    Ok((Rows::of(&x, p.axis), x))
}

/// Gradient of taking the elements at `places` along an axis.
fn back(
    d: &Vjp<'_>,
    g: &Array,
    axis: Option<i64>,
    places: impl FnOnce(&Array, Option<i64>) -> Array,
) -> Result<Array> {
    let (dims, at) = along(d.in_dims(0), axis)?;
    let places = places(&d.input(0).detach(), axis);
    let p = Params::new(Along { axis: at, size: dims[at] });
    Ok(reshaped(&call(&ADD_ALONG, &[g, &places], &p), d.in_dims(0)))
}

fn grad_sort(d: &Vjp<'_>) -> Result<Array> {
    let is_ascend = d.p::<Sort>().is_ascend;
    back(d, d.grad(), d.p::<Sort>().axis, |x, axis| {
        call(&ARGSORT, &[x], &Params::new(Argsort { axis, is_ascend, dtype: DType::I64 }))
    })
}

fn grad_topk(d: &Vjp<'_>) -> Result<Array> {
    let p = d.p::<TopK>();
    match (p.ret_typ, d.grad_of(0)) {
        (Ret::Value | Ret::Both, Some(g)) => back(d, g, p.axis, |x, _| {
            let places = TopK { ret_typ: Ret::Indices, dtype: DType::I64, ..p.clone() };
            call(&TOPK, &[x], &Params::new(places))
        }),
        // Indices and masks are piecewise constant.
        _ => {
            let g = d.grad_of(0).or(d.grad_of(1));
            Array::zeros(d.in_dims(0), d.in_dtype(0), g.map(Array::device).unwrap_or_default())
        }
    }
}

fn shape_along(s: &mut Shapes<'_>, grow: bool) -> Result<()> {
    let p: &Along = s.params.get();
    let (Some(x), Some(places)) = (s.input(0), s.input(1)) else { return Ok(()) };
    let (_, full) = rows(&places, p)?;
    let (want, out) = if grow { (&places, &full) } else { (&full, &places) };
    if x != *want {
        bail!(Shape, "places of shape {} do not fit data of shape {}", show(&places), show(&x));
    }
    if p.size == 0 && size_of_dims(&places)? > 0 {
        bail!(Shape, "there is nothing to take from");
    }
    s.output(0, out)
}

fn run_along(r: &Run<'_>) -> Result<()> {
    let (p, places) = (r.p::<Along>(), r.ins[1]);
    take_along(
        rows(places.dims(), p)?.0,
        places.dims()[p.axis],
        r.ins[0].span(),
        places.span(),
        r.outs[0].span(),
    );
    Ok(())
}

fn run_add_along(r: &Run<'_>) -> Result<()> {
    let (p, places) = (r.p::<Along>(), r.ins[1]);
    add_along(
        rows(places.dims(), p)?.0,
        places.dims()[p.axis],
        r.ins[0].span(),
        places.span(),
        r.outs[0].span(),
    );
    Ok(())
}

fn grad_along(d: &Vjp<'_>, other: &'static OpDef) -> Result<Grads> {
    Ok(smallvec![d.needs(0).then(|| call(other, &[d.grad(), d.input(1)], d.params)), d.zeros(1)?])
}

fn along_case(d: &mut Draw, grow: bool) -> Case {
    let mut small = d.shape(1, 3);
    let axis = d.size(0, small.len() - 1);
    let n = d.size(1, 5);
    small[axis] = d.size(1, 4);
    let mut full = small.clone();
    full[axis] = n;
    let case = Case::new().real(if grow { &small } else { &full });
    case.input(&small, Fill::Whole(0, n as i64)).param("axis", axis).param("size", n)
}

fn sort_case(d: &mut Draw) -> Case {
    let dims = d.shape(1, 3);
    let case = Case::new().input(&dims, Fill::Distinct(0.1)).param("is_ascend", d.flip());
    if d.int(0, 3) == 0 { case.param("axis", "None") } else { case.param("axis", d.axis(dims.len())) }
}

table! {
    SORT = OpDef::new("sort", &["data"], run_sort).params::<Sort>().counted(|_| 2)
        .doc("The elements in order along an axis.")
        .shape(|s| shape_sort(s, s.params.get::<Sort>().axis, DType::I64))
        .vjp1(Keep::input(0), grad_sort).cases(sort_case);
    ARGSORT = OpDef::new("argsort", &["data"], run_argsort).params::<Argsort>()
        .doc("The indices that put the elements in order along an axis.")
        .shape(|s| { let p = s.params.get::<Argsort>(); shape_sort(s, p.axis, p.dtype) })
        .dtype(|t| { t.outs[0] = Some(t.params.get::<Argsort>().dtype); Ok(()) })
        .zero_gradient("indices are piecewise constant").cases(sort_case);
    TOPK = OpDef::new("topk", &["data"], run_topk).params::<TopK>()
        .counted(|p| 1 + usize::from(matches!(p.get::<TopK>().ret_typ, Ret::Both | Ret::Value)))
        .doc("The `k` largest elements along an axis in falling order, or with `is_ascend` the smallest in rising order: their values, \
              their indices, both, or a mask.")
        .outputs(|p| 1 + usize::from(p.get::<TopK>().ret_typ == Ret::Both), |p| 1 + usize::from(p.get::<TopK>().ret_typ == Ret::Both))
        .shape(shape_topk)
        .dtype(|t| {
            let p: &TopK = t.params.get();
            let x = t.ins[0].or(if p.ret_typ == Ret::Indices { None } else { t.outs[0] });
            t.ins[0] = x;
            t.outs[0] = if p.ret_typ == Ret::Indices { Some(p.dtype) } else { x };
            if let Some(o) = t.outs.get_mut(1) { *o = Some(p.dtype); }
            Ok(())
        })
        .vjp1(Keep::input(0), grad_topk)
        .cases(|d| {
            let ret = d.pick(&["value", "indices", "mask", "both"]);
            let case = sort_case(d);
            let n = case.inputs[0].dims.iter().copied().min().unwrap_or(1);
            case.param("k", d.size(0, n)).param("ret_typ", ret).param("dtype", "int32")
        });
    TAKE_ALONG = OpDef::new("_ks_take_along", &["data", "places"], run_along).params::<Along>()
        .doc("Elements by place along an axis: out[i, j, k] = data[i, places[i, j, k], k].")
        .shape(|s| shape_along(s, false))
        .dtype(|t| { t.outs[0] = t.ins[0]; Ok(()) })
        .vjp(Keep::input(1), |d| grad_along(d, &ADD_ALONG)).cases(|d| along_case(d, false));
    ADD_ALONG = OpDef::new("_ks_add_along", &["data", "places"], run_add_along).params::<Along>()
        .doc("Zeros to which elements are added by place along an axis: the gradient of taking them.")
        .shape(|s| shape_along(s, true))
        .dtype(|t| { t.outs[0] = t.ins[0]; Ok(()) })
        .vjp(Keep::input(1), |d| grad_along(d, &TAKE_ALONG)).cases(|d| along_case(d, true));
}
