//! Operators that choose: by a condition, by bounds.

use crate::array::Array;
use crate::error::Result;
use crate::kernels::map::{Map, map};
use crate::kernels::select::select;
use crate::ops::def::{Keep, OpDef, Run};
use crate::ops::infer::{Shapes, Types};
use crate::ops::params::Params;
use crate::ops::samples::{Case, Draw, Fill};
use crate::ops::vjp::{Grads, Vjp};
use crate::shape::partial::Partial;
use crate::simd::Simd;
use smallvec::smallvec;

fn run_where(r: &Run<'_>) -> Result<()> {
    let (c, out) = (r.ins[0], r.outs[0]);
    let rows = if c.dims() == out.dims() { 1 } else { out.dims()[1..].iter().product() };
    select(c.span(), rows, r.ins[1].span(), r.ins[2].span(), out.span());
    Ok(())
}

fn shape_where(s: &mut Shapes<'_>) -> Result<()> {
    let mut value = s.outs[0].clone();
    for i in 1..3 {
        let got = s.ins[i].clone();
        value.merge(&got).map_err(|_| err!(Shape, "Shape inconsistent, x and y got {got}, want {value}"))?;
    }
    for i in 1..3 {
        s.want_partial(i, &value)?;
    }
    s.outs[0].merge(&value)?;
    // The condition is as large as the values, or says one thing for each row.
    match (s.ins[0].ndim(), value.ndim()) {
        (Some(1), Some(n)) if n > 1 => {
            let rows = value.dim(0).map_or(-1, |d| d as i64);
            s.want_partial(0, &Partial::from_sizes(&[rows]))
        }
        (None, _) | (_, None) => Ok(()),
        _ => s.want_partial(0, &value),
    }
}

fn type_where(t: &mut Types<'_>) -> Result<()> {
    let known = [t.ins[1], t.ins[2], t.outs[0]].into_iter().flatten().next();
    let Some(d) = known else { return Ok(()) };
    for (i, x) in t.ins.iter_mut().enumerate().skip(1) {
        if let Some(got) = x.filter(|&x| x != d) {
            bail!(Dtype, "x and y must have one dtype, input {i} got {got}, want {d}");
        }
        *x = Some(d);
    }
    t.outs[0] = Some(d);
    Ok(())
}

fn grad_where(d: &Vjp<'_>) -> Result<Grads> {
    let (c, g) = (d.input(0), d.grad());
    let zero = g.zeros_like();
    Ok(smallvec![None, d.needs(1).then(|| c.choose(g, &zero)), d.needs(2).then(|| c.choose(&zero, g))])
}

fn where_case(d: &mut Draw) -> Case {
    let dims = d.shape(1, 3);
    let condition = if d.flip() { &dims[..] } else { &dims[..1] };
    Case::new().input(condition, Fill::Whole(0, 2)).real(&dims).real(&dims)
}

params! {
    /// Bounds.
    pub struct Bounds {
        a_min: f32, "lower bound";
        a_max: f32, "upper bound";
    }
}

/// Keeps an element inside bounds, the upper of which is looked at first. NaN stays.
#[derive(Clone, Copy)]
struct ClipMap(f64, f64);

impl Map for ClipMap {
    #[inline(always)]
    fn lanes<S: Simd>(self, s: S, x: S::F32) -> S::F32 {
        let (low, high) = (s.splat(self.0 as f32), s.splat(self.1 as f32));
        s.select(s.lt(high, x), high, s.max(low, x))
    }
    #[inline(always)]
    fn lanes64<S: Simd>(self, s: S, x: S::F64) -> S::F64 {
        let (low, high) = (s.splat64(self.0), s.splat64(self.1));
        s.select64(s.lt64(high, x), high, s.max64(low, x))
    }
    fn f64(self, x: f64) -> f64 {
        if x > self.1 {
            self.1
        } else if x < self.0 {
            self.0
        } else {
            x
        }
    }
    fn int(self, x: i64) -> Option<i64> {
        let (low, high) = (self.0 as i64, self.1 as i64);
        Some(if x > high { high } else { x.max(low) })
    }
}

fn run_clip(r: &Run<'_>) -> Result<()> {
    let p = r.p::<Bounds>();
    map(ClipMap(p.a_min.into(), p.a_max.into()), r.ins[0].span(), r.outs[0].span());
    Ok(())
}

fn grad_clip(d: &Vjp<'_>) -> Result<Array> {
    let p = d.p::<Bounds>();
    Ok(d.grad() * d.input(0).between(p.a_min.into(), p.a_max.into()))
}

fn clip_case(d: &mut Draw) -> Case {
    let dims = d.shape(1, 3);
    Case::new().input(&dims, Fill::Real(-2.0, 2.0, &[-1.0, 0.5])).param("a_min", -1.0).param("a_max", 0.5)
}

params! {
    /// A closed interval.
    pub struct Interval {
        low: f64, "lower end";
        high: f64, "upper end";
    }
}

/// Parameters of [`BETWEEN`].
pub fn interval(low: f64, high: f64) -> Params {
    Params::new(Interval { low, high })
}

#[derive(Clone, Copy)]
struct BetweenMap(f64, f64);

impl Map for BetweenMap {
    #[inline(always)]
    fn lanes<S: Simd>(self, s: S, x: S::F32) -> S::F32 {
        s.truth(!(s.lt(x, s.splat(self.0 as f32)) | s.lt(s.splat(self.1 as f32), x)))
    }
    #[inline(always)]
    fn f64(self, x: f64) -> f64 {
        f64::from(!(x < self.0 || x > self.1))
    }
}

fn run_between(r: &Run<'_>) -> Result<()> {
    let p = r.p::<Interval>();
    map(BetweenMap(p.low, p.high), r.ins[0].span(), r.outs[0].span());
    Ok(())
}

fn between_case(d: &mut Draw) -> Case {
    let dims = d.shape(1, 3);
    Case::new().input(&dims, Fill::Real(-2.0, 2.0, &[-1.0, 0.5])).param("low", -1.0).param("high", 0.5)
}

table! {
    WHERE = OpDef::new("where", &["condition", "x", "y"], run_where).truths().aliases(&["_sparse_where"]).inplace().elementwise(|_| true)
        .doc("Elements of `x` where `condition` is not 0, elements of `y` elsewhere. A condition of one axis chooses whole rows.")
        .shape(shape_where).dtype(type_where).vjp(Keep::input(0), grad_where).cases(where_case);
    CLIP = OpDef::map("clip", run_clip).aliases(&["_sparse_clip"]).params::<Bounds>()
        .doc("Every element kept inside `a_min..a_max`. The derivative at the bounds is 1, and where the element is NaN.")
        .vjp1(Keep::INPUTS, grad_clip).cases(clip_case);
    BETWEEN = OpDef::map("_ks_between", run_between).params::<Interval>()
        .doc("0 where an element is outside of the closed interval, else 1.")
        .zero_gradient("piecewise constant").cases(between_case);
}
