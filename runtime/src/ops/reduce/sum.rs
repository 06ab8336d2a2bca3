//! Sums, means and products. Floating-point elements are summed in float64, integers in wrapping int64.

use super::{Axes, cases, count, gone_of, infer_axes, kept, run_axes, stretch};
use crate::array::Array;
use crate::error::Result;
use crate::fluent::call;
use crate::kernels::norm::moments_over;
use crate::kernels::others::others;
use crate::kernels::reduce::{Mean, NanProd, NanSum, Prod, Sum, SumSq};
use crate::ops::def::{Keep, OpDef, Run};
use crate::ops::params::{Ints, Params};
use crate::ops::samples::Fill;
use crate::ops::vjp::Vjp;
use smallvec::SmallVec;

/// The gradient of the output, stretched over the input.
fn spread(d: &Vjp<'_>) -> Result<Array> {
    Ok(stretch::to_dims(&kept(d.grad(), d.in_dims(0), &gone_of(d)?), d.in_dims(0)))
}

/// 1 where `x` is a number, 0 where it is NaN.
fn numbers(x: &Array) -> Array {
    x.array_eq(x)
}

fn grad_prod(d: &Vjp<'_>) -> Result<Array> {
    let gone = gone_of(d)?;
    let rest = call(&PROD_OTHERS, &[d.input(0)], &Params::new(Others::of(&gone, false)));
    Ok(kept(d.grad(), d.in_dims(0), &gone) * rest)
}

fn grad_nanprod(d: &Vjp<'_>) -> Result<Array> {
    let gone = gone_of(d)?;
    let rest = call(&PROD_OTHERS, &[d.input(0)], &Params::new(Others::of(&gone, true)));
    Ok(kept(d.grad(), d.in_dims(0), &gone) * rest * numbers(d.input(0)))
}

params! {
    /// Which elements are multiplied.
    pub struct Others {
        axis: Ints, "the axes over which the product goes";
        skip_nan: bool = false, "leave NaN out of the product";
    }
}

impl Others {
    fn of(gone: &[bool], skip_nan: bool) -> Others {
        Others { axis: (0..gone.len()).filter(|&i| gone[i]).map(|i| i as i64).collect(), skip_nan }
    }

    fn gone(&self, ndim: usize) -> SmallVec<[bool; 6]> {
        (0..ndim).map(|i| self.axis.contains(&(i as i64))).collect()
    }
}

fn run_others(r: &Run<'_>) -> Result<()> {
    let (p, x) = (r.p::<Others>(), r.ins[0]);
    others(x.span(), x.dims(), &p.gone(x.ndim()), p.skip_nan, r.outs[0].span());
    Ok(())
}

/// With p_i the product of all but x_i: the derivative of p_i by x_j is p_i / x_j for i ≠ j, so that
/// dx_j = (Σ g_i p_i - g_j p_j) / x_j. Not defined where x_j is 0, as the doc of `prod` says.
fn grad_others(d: &Vjp<'_>) -> Result<Array> {
    let axes: Vec<i64> = d.p::<Others>().axis.to_vec();
    let own = d.grad() * d.out();
    let all = if axes.is_empty() { own.clone() } else { super::sum_over(&own, &axes, true) };
    let dx = (all - own) / d.input(0);
    Ok(if d.p::<Others>().skip_nan { dx * numbers(d.input(0)) } else { dx })
}

fn run_moments(r: &Run<'_>) -> Result<()> {
    let (p, x) = (r.p::<Moments>(), r.ins[0]);
    let gone = super::gone(p.axes.as_deref(), false, x.ndim())?;
    moments_over(x.span(), x.dims(), &gone, [r.outs[0].span(), r.outs[1].span()]);
    Ok(())
}

fn grad_moments(d: &Vjp<'_>) -> Result<Array> {
    let (p, x) = (d.p::<Moments>(), d.input(0));
    let gone = super::gone(p.axes.as_deref(), false, x.ndim())?;
    let n = count(x.dims(), &gone) as f64;
    let mean = d.grad_of(0).map(|g| kept(g, x.dims(), &gone) * (1.0 / n));
    let var = d.grad_of(1).map(|g| {
        let center = x - kept(d.output(0), x.dims(), &gone);
        kept(g, x.dims(), &gone) * (2.0 / n) * center
    });
    Ok(match (mean, var) {
        (Some(a), Some(b)) => a + b,
        (Some(a), None) => stretch::to_dims(&a, x.dims()),
        (None, Some(b)) => b,
        (None, None) => d.grad().clone(),
    })
}

params! {
    /// Which axes are averaged over.
    pub struct Moments {
        axes: Option<Ints> = None, "the axes to reduce; all of them when none is given";
        keepdims: bool = false, "keep reduced axes with size 1";
    }
}

fn reals(d: &mut crate::ops::samples::Draw) -> crate::ops::samples::Case {
    cases(d, Fill::Real(-2.0, 2.0, &[]))
}

fn nonzero(d: &mut crate::ops::samples::Draw) -> crate::ops::samples::Case {
    cases(d, Fill::Real(0.5, 1.5, &[]))
}

table! {
    SUM = OpDef::new("sum", &["data"], |r| run_axes(r, Sum)).aliases(&["sum_axis", "_sparse_sum"]).params::<Axes>()
        .shape(infer_axes).doc("Sum over axes, `Σ data`. Of no elements 0.")
        .vjp1(Keep::NOTHING, spread).cases(reals);
    MEAN = OpDef::new("mean", &["data"], |r| run_axes(r, Mean)).aliases(&["_sparse_mean"]).params::<Axes>()
        .shape(infer_axes).doc("Arithmetic mean over axes, `Σ data / n`; that of integers is cut toward zero.")
        .vjp1(Keep::NOTHING, |d| {
            let gone = gone_of(d)?;
            let g = d.grad() * (1.0 / count(d.in_dims(0), &gone) as f64);
            Ok(stretch::to_dims(&kept(&g, d.in_dims(0), &gone), d.in_dims(0)))
        }).cases(reals);
    PROD = OpDef::new("prod", &["data"], |r| run_axes(r, Prod)).params::<Axes>()
        .shape(infer_axes)
        .doc("Product over axes, `Π data`; of no elements 1. The gradient is right at zeros too, the second one is not defined there.")
        .vjp1(Keep::INPUTS, grad_prod).cases(nonzero);
    NANSUM = OpDef::new("nansum", &["data"], |r| run_axes(r, NanSum)).params::<Axes>()
        .shape(infer_axes).doc("Sum over axes of what is not NaN.")
        .vjp1(Keep::INPUTS, |d| Ok(kept(d.grad(), d.in_dims(0), &gone_of(d)?) * numbers(d.input(0)))).cases(reals);
    NANPROD = OpDef::new("nanprod", &["data"], |r| run_axes(r, NanProd)).params::<Axes>()
        .shape(infer_axes).doc("Product over axes of what is not NaN.")
        .vjp1(Keep::INPUTS, grad_nanprod).cases(nonzero);
    SQUARE_SUM = OpDef::new("_square_sum", &["data"], |r| run_axes(r, SumSq)).params::<Axes>()
        .shape(infer_axes).doc("Sum of squares over axes, `Σ data²`.")
        .vjp1(Keep::INPUTS, |d| Ok(kept(d.grad(), d.in_dims(0), &gone_of(d)?) * d.input(0) * 2.0)).cases(reals);
    PROD_OTHERS = OpDef::new("_ks_prod_others", &["data"], run_others).params::<Others>()
        .doc("In the place of each element the product of the others along the axes.")
        .vjp1(Keep::ALL, grad_others)
        .cases(|d| {
            let dims = d.shape(1, 3);
            let axis = d.size(0, dims.len() - 1);
            crate::ops::samples::Case::new().input(&dims, Fill::Real(0.5, 1.5, &[])).param("axis", vec![axis])
        });
    MOMENTS = OpDef::new("moments", &["data"], run_moments).params::<Moments>()
        .outputs(|_| 2, |_| 2)
        .shape(|s| {
            let p = s.params.get::<Moments>().clone();
            super::infer(s, p.axes.as_deref(), false, p.keepdims, 2)
        })
        .doc("Mean over axes, and variance `Σ (data - mean)² / n`.")
        .vjp1(Keep::INPUTS.and(Keep::output(0)), grad_moments)
        .cases(|d| {
            let dims = d.shape(2, 4);
            let axis = d.axis(dims.len());
            crate::ops::samples::Case::new().real(&dims).param("axes", vec![axis]).param("keepdims", d.flip())
        });
}
