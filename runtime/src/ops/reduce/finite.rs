//! Reductions of whole arrays, and of several arrays at once: what mixed-precision training and layer-wise optimizers ask.

use super::to_f32;
use crate::array::Array;
use crate::dtype::{DType, Elem};
use crate::error::Result;
use crate::kernels::reduce::{SumSq, reduce};
use crate::ops::axes::named;
use crate::ops::def::{Keep, OpDef, Run};
use crate::ops::samples::Case;
use crate::ops::shape_ops::view::reshaped;
use crate::ops::vjp::{Grads, Vjp};
use crate::shape::Dims;
use crate::tensor::Tensor;

params! {
    /// Of one array.
    pub struct Finite {
        init_output: bool = true, "forget what the output held; otherwise a 0 in it stays";
    }
}

params! {
    /// Of several arrays.
    pub struct MultiFinite {
        num_arrays: i64 = 1, "number of arrays";
        init_output: bool = true, "forget what the output held; otherwise a 0 in it stays";
    }
}

params! {
    /// How many arrays.
    pub struct NumArrays {
        num_arrays: i64, "number of arrays";
    }
}

params! {
    /// How many factors.
    pub struct NumArgs {
        num_args: i64, "number of matrices";
    }
}

/// Whether all elements are finite: a sum times zero is NaN if one is not.
fn is_finite(x: &Tensor) -> bool {
    with_dtype!(x.dtype(), T => !T::DTYPE.is_float() || x.as_slice::<T>().iter().all(|v| v.to_f64().is_finite()))
}

fn run_finite(r: &Run<'_>, init: bool) -> Result<()> {
    // SAFETY: the output has one element of float32, which is this call's alone.
    let out = unsafe { &mut r.outs[0].span().slice_mut::<f32>()[0] };
    let before = init || *out != 0.0;
    *out = if before && r.ins.iter().all(|x| is_finite(x)) { 1.0 } else { 0.0 };
    Ok(())
}

fn same_count(got: usize, said: i64) -> Result<()> {
    if got as i64 != said {
        bail!(Param, "num_arrays is not the number of inputs, got {said}, want {got}");
    }
    Ok(())
}

fn run_sum_sq(r: &Run<'_>) -> Result<()> {
    for (i, x) in r.ins.iter().enumerate() {
        let one = Tensor::empty(&[1], x.dtype(), x.device())?;
        // In float32 at least, so that float16 does not overflow.
        let wide;
        let (from, to) = if x.dtype() == DType::F32 {
            (*x, r.outs[0].rows(i, i + 1)?)
        } else if matches!(x.dtype(), DType::F64) {
            (*x, one)
        } else {
            wide = Tensor::empty(x.dims(), DType::F32, x.device())?;
            crate::kernels::copy::cast(x.span(), wide.span());
            (&wide, r.outs[0].rows(i, i + 1)?)
        };
        reduce(SumSq, from.span(), &[from.size()], &[true], to.span());
        if from.dtype() == DType::F64 {
            crate::kernels::copy::cast(to.span(), r.outs[0].rows(i, i + 1)?.span());
        }
    }
    Ok(())
}

fn run_khatri_rao(r: &Run<'_>) -> Result<()> {
    let (out, k) = (r.outs[0], r.outs[0].dims()[1]);
    let rows: Vec<usize> = r.ins.iter().map(|x| x.dims()[0]).collect();
    with_dtype!(out.dtype(), T => {
        // SAFETY: the output is this call's alone.
        let to = unsafe { out.span().slice_mut::<T>() };
        for (i, row) in to.chunks_exact_mut(k.max(1)).enumerate() {
            let mut rest = i;
            for (m, x) in r.ins.iter().enumerate().rev() {
                let from = &x.as_slice::<T>()[rest % rows[m] * k..][..k];
                rest /= rows[m];
                for (v, &f) in row.iter_mut().zip(from) {
                    *v = match (m + 1 == r.ins.len(), T::DTYPE.is_float()) {
                        (true, _) => f,
                        (_, true) => T::from_f64(v.to_f64() * f.to_f64()),
                        (_, false) => T::from_i64(v.to_i64().wrapping_mul(f.to_i64())),
                    };
                }
            }
        }
    });
    Ok(())
}

/// The gradient seen as (n_1, …, n_m, k), times all factors but one, summed over the axes of the others.
fn grad_khatri_rao(d: &Vjp<'_>) -> Result<Grads> {
    let n = d.num_inputs();
    let k = d.out_dims(0)[1];
    let full: Dims = (0..n).map(|i| d.in_dims(i)[0]).chain([k]).collect();
    let g = reshaped(d.grad(), &full);
    let one = |i: usize| -> Array {
        let mut product = g.clone();
        for j in (0..n).filter(|&j| j != i) {
            let dims: Dims = (0..n).map(|m| if m == j { d.in_dims(j)[0] } else { 1 }).chain([k]).collect();
            product = product * reshaped(d.input(j), &dims);
        }
        let axes: Vec<i64> = (0..n as i64).filter(|&j| j != i as i64).collect();
        if axes.is_empty() { product } else { super::sum_over(&product, &axes, false) }
    };
    Ok((0..n).map(|i| d.needs(i).then(|| one(i))).collect())
}

table! {
    ALL_FINITE = OpDef::new("all_finite", &["data"], |r| run_finite(r, r.p::<Finite>().init_output)).params::<Finite>()
        .shape(|s| s.output(0, &[1])).dtype(to_f32)
        .doc("1 if every element is finite, else 0.")
        .zero_gradient("piecewise constant").samples(-2.0, 2.0);
    MULTI_ALL_FINITE = OpDef::new("multi_all_finite", &["data"], |r| {
            same_count(r.ins.len(), r.p::<MultiFinite>().num_arrays)?;
            run_finite(r, r.p::<MultiFinite>().init_output)
        }).variadic(Some("num_arrays")).params::<MultiFinite>()
        .shape(|s| s.output(0, &[1])).dtype(to_f32)
        .doc("1 if every element of every array is finite, else 0.")
        .zero_gradient("piecewise constant").no_samples("takes any shapes; covered by all_finite");
    MULTI_SUM_SQ = OpDef::new("multi_sum_sq", &["data"], run_sum_sq).variadic(Some("num_arrays")).params::<NumArrays>()
        .shape(|s| {
            same_count(s.ins.len(), s.params.get::<NumArrays>().num_arrays)?;
            let n = s.ins.len();
            s.output(0, &[n])
        }).dtype(to_f32)
        .doc("The sum of squares of each array, in float32.")
        .no_gradient("a measure for optimizers, outside of any loss").no_samples("takes any shapes; see _square_sum");
    KHATRI_RAO = OpDef::new("khatri_rao", &["args"], run_khatri_rao).variadic(Some("num_args")).params::<NumArgs>()
        .shape(|s| {
            if !s.knows_inputs() {
                named(s, &format!("{} > _ k", vec!["_ k"; s.ins.len()].join(",")))?;
            }
            let mut dims = [1usize, 0];
            for i in 0..s.ins.len() {
                let Some(x) = s.input(i) else { return Ok(()) };
                if x.len() != 2 || (i > 0 && x[1] != dims[1]) {
                    bail!(Shape, "matrices with one number of columns are wanted, input {i} got {}", s.ins[i]);
                }
                let rows = dims[0].checked_mul(x[0]).ok_or_else(|| err!(Memory, "the product has too many rows"))?;
                dims = [rows, x[1]];
            }
            s.output(0, &dims)
        })
        .doc("Column-wise Kronecker product: column `c` of the result is `a[:,c] ⊗ b[:,c] ⊗ …`.")
        .vjp(Keep::INPUTS, grad_khatri_rao)
        .cases(|d| {
            let k = d.size(1, 3);
            let n = d.size(1, 3);
            let case = (0..n).fold(Case::new(), |c, _| { let r = d.size(1, 3); c.real(&[r, k]) });
            case.param("num_args", n)
        });
}
