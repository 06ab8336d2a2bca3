//! Rows chosen by a mask. How many there are is known only from the values: graphs see an open size.

use super::super::def::{Keep, OpDef, Run};
use super::super::infer::Shapes;
use super::super::params::{Ints, Params};
use super::super::samples::{Case, Fill};
use super::super::vjp::{Grads, Vjp};
use super::like_first;
use super::take::{TakeMode, added_rows};
use crate::array::Array;
use crate::dtype::DType;
use crate::error::Result;
use crate::fluent::call;
use crate::kernels::copy;
use crate::kernels::index::{self, Rows, Wild};
use crate::shape::partial::Partial;
use crate::shape::{Dims, resolve_axis, show};
use crate::tensor::Tensor;
use smallvec::smallvec;

params! {
    /// What `_contrib_boolean_mask` takes.
    pub struct Mask {
        axis: i64 = 0, "axis of the rows";
    }
}

/// Indices of the rows that are not masked out.
fn chosen(mask: &Tensor) -> Result<Tensor> {
    let rows: Vec<i64> = with_dtype!(mask.dtype(), T => {
        let on = |(i, v): (usize, &T)| (*v != T::default()).then_some(i as i64);
        mask.as_slice::<T>().iter().enumerate().filter_map(on).collect()
    });
    Tensor::from_slice(&rows, &[rows.len()], mask.device())
}

fn check(x: &[usize], axis: i64, mask: &[usize]) -> Result<usize> {
    let axis = resolve_axis(axis, x.len())?;
    if mask != [x[axis]] {
        bail!(Shape, "the mask must have one element for each row, got {}, want ({},)", show(mask), x[axis]);
    }
    Ok(axis)
}

fn shape_mask(s: &mut Shapes<'_>) -> Result<()> {
    let (Some(x), Some(mask)) = (s.input(0), s.input(1)) else { return Ok(()) };
    let axis = check(&x, s.params.get::<Mask>().axis, &mask)?;
    let mut out: Ints = x.iter().map(|&d| d as i64).collect();
    out[axis] = -1;
    s.outs[0].merge(&Partial::from_sizes(&out)).map(drop)
}

fn size(p: &Params, ins: &[&Tensor]) -> Result<Dims> {
    let axis = check(ins[0].dims(), p.get::<Mask>().axis, ins[1].dims())?;
    let mut out: Dims = ins[0].dims().into();
    out[axis] = chosen(ins[1])?.size();
    Ok(out)
}

fn run(r: &Run<'_>) -> Result<()> {
    let (x, rows) = (r.ins[0], chosen(r.ins[1])?);
    let axis = resolve_axis(r.p::<Mask>().axis, x.ndim())?;
    index::take(Rows::of(x.dims(), axis), x.span(), rows.span(), Wild::Clip, r.outs[0].span());
    Ok(())
}

fn grad(d: &Vjp<'_>) -> Result<Grads> {
    let x = d.in_dims(0);
    let axis = resolve_axis(d.p::<Mask>().axis, x.len())?;
    let rows = Array::from(chosen(d.input(1).tensor())?);
    let back = d.needs(0).then(|| added_rows(d.grad(), &rows, axis, x[axis], TakeMode::Clip));
    Ok(smallvec![back, d.zeros(1)?])
}

params! {
    /// What `_contrib_getnnz` takes.
    pub struct Count {
        axis: Option<i64> = None, "axis along which is counted; all elements when absent";
    }
}

fn counted(x: &[usize], p: &Count) -> Result<Dims> {
    let Some(axis) = p.axis else { return Ok(smallvec![1]) };
    let [rows, columns] = x else { bail!(Shape, "a matrix is wanted, got {}", show(x)) };
    Ok(smallvec![if resolve_axis(axis, 2)? == 0 { *columns } else { *rows }])
}

fn run_count(r: &Run<'_>) -> Result<()> {
    let (x, p) = (r.ins[0], r.p::<Count>());
    // SAFETY: the output is new and this thread's alone.
    let out = unsafe { r.outs[0].span().slice_mut::<i64>() };
    out.fill(0);
    let by = match p.axis {
        None => None,
        Some(a) => Some((resolve_axis(a, 2)?, x.dims()[1])),
    };
    with_dtype!(x.dtype(), T => {
        for (i, _) in x.as_slice::<T>().iter().enumerate().filter(|(_, v)| **v != T::default()) {
            out[by.map_or(0, |(axis, columns)| if axis == 0 { i % columns } else { i / columns })] += 1;
        }
    });
    Ok(())
}

fn run_retain(r: &Run<'_>) -> Result<()> {
    let (x, y) = (r.ins[0], r.outs[0]);
    let (count, wanted) = (x.dims()[0], r.ins[1].to_vec_f64());
    if let Some(i) = wanted.iter().find(|&&i| !(0.0..count as f64).contains(&i)) {
        bail!(Argument, "index {i} is out of bounds for {count} rows");
    }
    let row = x.size() / count.max(1);
    copy::fill(y.span(), 0.0);
    wanted
        .iter()
        .map(|&i| i as usize * row)
        .for_each(|at| copy::cast(x.span().sub(at, row), y.span().sub(at, row)));
    Ok(())
}

table! {
    RETAIN = OpDef::new("_sparse_retain", &["data", "indices"], run_retain)
        .doc("The rows of `data` that `indices` name, where they are; the other rows become 0.")
        .shape(|s| {
            let (x, y) = (s.ins[0].clone(), s.outs[0].clone());
            s.ins[0].merge(&y)?;
            s.outs[0].merge(&x)?;
            match s.ins[1].ndim() {
                Some(n) if n != 1 => bail!(Shape, "indices must have one axis, got {}", s.ins[1]),
                _ if x.ndim() == Some(0) => bail!(Shape, "data must have rows, got {x}"),
                _ => Ok(()),
            }
        })
        .dtype(like_first)
        .vjp(Keep::input(1), |d| Ok(smallvec![Some(call(&RETAIN, &[d.grad(), d.input(1)], d.params)), None]))
        .cases(|d| {
            let dims = d.shape(1, 3);
            let rows = (0..d.size(1, 3)).map(|_| d.int(0, dims[0] as i64 - 1) as f64).collect::<Vec<_>>();
            Case::new().real(&dims).input(&[rows.len()], Fill::Exact(rows))
        });
    BOOLEAN_MASK = OpDef::new("_contrib_boolean_mask", &["data", "index"], run).truths().params::<Mask>()
        .doc("The rows of `data` along an axis whose element of `index` is not 0, in their order.")
        .shape(shape_mask).dtype(like_first).sized_by_values(size).vjp(Keep::input(1), grad)
        .cases(|d| {
            let dims = d.shape(1, 3);
            let mut mask: Vec<f64> = (0..dims[0]).map(|_| d.int(0, 1) as f64).collect();
            mask[0] = 1.0;
            Case::new().real(&dims).input(&[dims[0]], Fill::Exact(mask))
        });
    COUNT_NONZERO = OpDef::new("_contrib_getnnz", &["data"], run_count).params::<Count>()
        .doc("The number of elements that are not 0, in all or along an axis of a matrix, as int64.")
        .shape(|s| {
            let Some(x) = s.input(0) else { return Ok(()) };
            let dims = counted(&x, s.params.get())?;
            s.output(0, &dims)
        })
        .dtype(|t| { t.outs[0] = Some(DType::I64); Ok(()) })
        .zero_gradient("piecewise constant")
        .cases(|d| {
            let case = Case::new().input(&[d.size(1, 4), d.size(1, 4)], Fill::Whole(0, 2));
            if d.flip() { case } else { case.param("axis", d.int(0, 1)) }
        });
}
