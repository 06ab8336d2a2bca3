//! Vector norms.

use super::{gone, infer, kept};
use crate::array::Array;
use crate::dtype::DType;
use crate::error::Result;
use crate::kernels::copy::cast;
use crate::kernels::others::int_norm;
use crate::kernels::reduce::{Reduce, SumAbs, SumSq, reduce};
use crate::ops::def::{Keep, OpDef, Run};
use crate::ops::params::Ints;
use crate::ops::samples::Case;
use crate::ops::vjp::Vjp;
use crate::simd::Simd;
use crate::tensor::Tensor;

params! {
    /// Which norm, over which axes.
    pub struct Norm {
        ord: i64 = 2, "1 or 2";
        axis: Option<Ints> = None, "the axes over which it is taken; all of them when none is given";
        out_dtype: Option<DType> = None, "dtype of the result, that of `data` when not given";
        keepdims: bool = false, "keep reduced axes with size 1";
    }
}

/// Square root of the sum of squares and this number.
#[derive(Clone, Copy)]
pub(crate) struct Norm2(pub f64);

impl Reduce for Norm2 {
    fn init(self) -> f64 {
        SumSq.init()
    }
    #[inline(always)]
    fn lanes64<S: Simd>(self, s: S, acc: S::F64, x: S::F64) -> S::F64 {
        SumSq.lanes64(s, acc, x)
    }
    #[inline(always)]
    fn merge64<S: Simd>(self, s: S, a: S::F64, b: S::F64) -> S::F64 {
        SumSq.merge64(s, a, b)
    }
    fn merge(self, a: f64, b: f64) -> f64 {
        SumSq.merge(a, b)
    }
    fn finish(self, acc: f64, _: usize) -> f64 {
        (acc + self.0).sqrt()
    }
    fn init_int(self) -> i64 {
        SumSq.init_int()
    }
    fn int(self, acc: i64, x: i64) -> i64 {
        SumSq.int(acc, x)
    }
    fn merge_int(self, a: i64, b: i64) -> i64 {
        SumSq.merge_int(a, b)
    }
}

fn run(r: &Run<'_>) -> Result<()> {
    let (p, out) = (r.p::<Norm>(), r.outs[0]);
    let gone = gone(p.axis.as_deref(), false, r.ins[0].ndim())?;
    // Computed in the wider of the two dtypes.
    let (from, to) = (r.ins[0].dtype(), out.dtype());
    let widen = from != to && (to.is_float() && !from.is_float() || to.is_float() && to.size() > from.size());
    let wide;
    let x = if widen {
        wide = Tensor::empty(r.ins[0].dims(), to, r.ins[0].device())?;
        cast(r.ins[0].span(), wide.span());
        &wide
    } else {
        r.ins[0]
    };
    let own;
    let result = if x.dtype() == to {
        out
    } else {
        own = Tensor::empty(out.dims(), x.dtype(), out.device())?;
        &own
    };
    match p.ord {
        1 => reduce(SumAbs, x.span(), x.dims(), &gone, result.span()),
        _ if x.dtype().is_float() => reduce(Norm2(0.0), x.span(), x.dims(), &gone, result.span()),
        _ => int_norm(x.span(), x.dims(), &gone, result.span()),
    }
    if x.dtype() != to {
        cast(result.span(), out.span());
    }
    Ok(())
}

/// ord 1: sign(x) g. ord 2: x g / norm, and 0 where the norm is 0.
fn grad(d: &Vjp<'_>) -> Result<Array> {
    let (p, x) = (d.p::<Norm>(), d.input(0));
    let gone = gone(p.axis.as_deref(), false, x.ndim())?;
    let g = kept(&d.grad().cast(x.dtype()), x.dims(), &gone);
    if p.ord == 1 {
        return Ok(g * x.sign());
    }
    let norm = kept(&d.out().cast(x.dtype()), x.dims(), &gone);
    let safe = &norm + norm.eq_to(0.0);
    Ok(x * (g / safe))
}

table! {
    NORM = OpDef::new("norm", &["data"], run).aliases(&["_sparse_norm"]).params::<Norm>()
        .shape(|s| {
            let p = s.params.get::<Norm>().clone();
            if p.ord != 1 && p.ord != 2 {
                bail!(Param, "norms of order 1 and 2 are known, got ord {}", p.ord);
            }
            infer(s, p.axis.as_deref(), false, p.keepdims, 1)
        })
        .dtype(|t| {
            let want = t.params.get::<Norm>().out_dtype;
            t.outs[0] = want.or(t.outs[0]).or(t.ins[0]);
            if want.is_none() {
                t.ins[0] = t.ins[0].or(t.outs[0]);
            }
            Ok(())
        })
        .doc("Norm over axes: `Σ |x|` for ord 1, `√Σ x²` for ord 2. That of integers is, as in MXNet, the greatest \
              magnitude times the root of the sum of the squares of the quotients by it, cut to whole numbers.")
        .vjp1(Keep::ALL, grad)
        .cases(|d| {
            let dims = d.shape(1, 4);
            let axis = d.axis(dims.len());
            let case = Case::new().input(&dims, crate::ops::samples::Fill::Real(0.2, 2.0, &[]));
            case.param("axis", vec![axis]).param("ord", d.int(1, 2)).param("keepdims", d.flip())
        });
}
