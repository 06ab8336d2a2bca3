//! Operators that take a part of an array or write one: ranges with steps along axes.

use super::def::{Keep, OpDef, Run};
use super::infer::Shapes;
use super::params::{Ints, OptInts, Params};
use super::samples::{Case, Draw};
use super::shape_ops::view::{Move, View, moving};
use super::vjp::{Grads, Vjp};
use crate::array::Array;
use crate::error::Result;
use crate::fluent::call;
use crate::kernels::copy;
use crate::shape::partial::Partial;
use crate::shape::{Dims, resolve_axis, show};
use crate::tensor::Tensor;
use smallvec::smallvec;

params! {
    /// A region: what `slice` takes.
    pub struct Region {
        begin: OptInts, "first index of each axis, from the end where negative; None is the first, or the last with a negative step";
        end: OptInts, "index after the last; None goes to the end of the axis in the direction of the step";
        step: OptInts = OptInts::new(), "steps; None is 1";
    }
}

params! {
    /// A region and a number.
    pub struct RegionScalar {
        scalar: f64 = 0.0, "the number";
        begin: OptInts, "as of slice";
        end: OptInts, "as of slice";
        step: OptInts = OptInts::new(), "as of slice";
    }
}

/// First index and count along an axis of `n`.
fn range(axis: usize, n: usize, begin: Option<i64>, end: Option<i64>, step: i64) -> Result<(usize, usize)> {
    let len = n as i64;
    let from = |i: i64| if i < 0 { i.saturating_add(len) } else { i };
    if step == 0 {
        bail!(Param, "step of axis {axis} cannot be 0");
    }
    let (low, high) = if step > 0 { (0, len) } else { (-1, len - 1) };
    let b = begin.map_or(if step > 0 { 0 } else { len - 1 }, |b| from(b).clamp(low, high));
    let e = end.map_or(if step > 0 { len } else { -1 }, |e| from(e).clamp(low, high));
    let reach = if step > 0 { e - b } else { b - e };
    if reach <= 0 {
        return Ok((0, 0));
    }
    Ok((b as usize, ((reach - 1) as u64 / step.unsigned_abs() + 1) as usize))
}

/// The region of an array of this shape.
fn region(begin: &OptInts, end: &OptInts, step: &OptInts, x: &[usize]) -> Result<View> {
    if begin.len() > x.len() || begin.len() != end.len() || !(step.is_empty() || step.len() == begin.len()) {
        bail!(
            Shape,
            "begin, end and step must be of one length, at most {} for shape {}, got {}, {} and {}",
            x.len(),
            show(x),
            begin.len(),
            end.len(),
            step.len()
        );
    }
    let mut v = View::of(x);
    for (i, (&b, &e)) in begin.iter().zip(end).enumerate() {
        let step = step.get(i).copied().flatten().unwrap_or(1);
        let (first, count) = range(i, x[i], b, e, step)?;
        v = v.range(i, first, count, step);
    }
    Ok(v)
}

/// Rows `begin..end` of an axis, recorded.
pub fn sliced(x: &Array, axis: usize, begin: usize, end: usize) -> Array {
    View::of(x.dims()).range(axis, begin, end - begin, 1).taken_from(x)
}

struct Slice;
impl Move for Slice {
    fn view(p: &Params, x: &[usize], _: &[usize]) -> Result<View> {
        let p: &Region = p.get();
        region(&p.begin, &p.end, &p.step, x)
    }
}

params! {
    /// What `slice_axis` takes.
    pub struct AxisRange {
        axis: i64, "the axis";
        begin: i64, "first index, from the end where negative";
        end: Option<i64>, "index after the last, from the end where negative; None is the end";
    }
}

struct SliceAxis;
impl Move for SliceAxis {
    fn view(p: &Params, x: &[usize], _: &[usize]) -> Result<View> {
        let p: &AxisRange = p.get();
        let axis = resolve_axis(p.axis, x.len())?;
        let n = x[axis] as i64;
        let from = |i: i64| if i < 0 { i.saturating_add(n) } else { i };
        let (b, e) = (from(p.begin), p.end.map_or(n, from));
        if b < 0 || e > n || (b >= e && n > 0) {
            bail!(
                Shape,
                "the range is not inside axis {axis} of size {n}, got {} to {}",
                p.begin,
                p.end.map_or("None".into(), |e| e.to_string())
            );
        }
        Ok(View::of(x).range(axis, b as usize, (e - b).max(0) as usize, 1))
    }
}

params! {
    /// What `slice_like` takes.
    pub struct LikeAxes {
        axes: Ints = Ints::new(), "axes to cut; all when empty";
    }
}

struct SliceLike;
impl Move for SliceLike {
    fn view(p: &Params, x: &[usize], like: &[usize]) -> Result<View> {
        let p: &LikeAxes = p.get();
        let axes: Dims = match p.axes.is_empty() {
            true if x.len() != like.len() => {
                bail!(Shape, "both arrays must have as many axes, got {} and {}", show(x), show(like))
            }
            true => (0..x.len()).collect(),
            false => p.axes.iter().map(|&a| resolve_axis(a, x.len())).collect::<Result<_>>()?,
        };
        let mut v = View::of(x);
        for &a in &axes {
            let Some(&n) = like.get(a) else {
                bail!(Shape, "shape_like has no axis {a}, got {}", show(like))
            };
            if n > x[a] {
                bail!(
                    Shape,
                    "axis {a} of shape_like is longer than that of data, got {} for {}",
                    show(like),
                    show(x)
                );
            }
            v = v.range(a, 0, n, 1);
        }
        Ok(v)
    }
}

/// Makes the output begin as a copy of the input, unless it is the input.
fn start(x: &Tensor, out: &Tensor) {
    if !x.span().same(out.span()) {
        copy::cast(x.span(), out.span());
    }
}

/// What an array, its region and the array after it was written tell of each other while sizes are unknown.
fn assign_partly(s: &mut Shapes<'_>, p: &Region) -> Result<()> {
    let Some(n) = s.ins.iter().find_map(Partial::ndim) else { return Ok(()) };
    let (mut x, mut part) = (Partial::of_ndim(n), Partial::of_ndim(n));
    x.merge(&s.ins[0])?;
    part.merge(&s.ins[1])?;
    let sizes = |x: &Partial| -> Ints { (0..n).map(|i| x.dim(i).map_or(-1, |d| d as i64)).collect() };
    let (mut whole, mut cut) = (sizes(&x), sizes(&part));
    for i in 0..n {
        match (p.begin.get(i).zip(p.end.get(i)), x.dim(i)) {
            (Some((&b, &e)), Some(size)) => {
                let step = p.step.get(i).copied().flatten().unwrap_or(1);
                cut[i] = range(i, size, b, e, step)?.1 as i64;
            }
            (Some(_), None) => {}
            // Axes behind those that were named are taken whole.
            (None, _) => (whole[i], cut[i]) = (whole[i].max(cut[i]), whole[i].max(cut[i])),
        }
    }
    let whole = Partial::from_sizes(&whole);
    s.want_partial(1, &Partial::from_sizes(&cut))?;
    s.want_partial(0, &whole)?;
    s.outs[0].merge(&whole).map(drop)
}

fn run_assign(r: &Run<'_>) -> Result<()> {
    let (p, x, y, out) = (r.p::<Region>(), r.ins[0], r.ins[1], r.outs[0]);
    let v = region(&p.begin, &p.end, &p.step, out.dims())?;
    if y.span().overlaps(out.span()) {
        // The values are the array itself, perhaps backwards: take them away first.
        let kept = Tensor::empty(y.dims(), y.dtype(), y.device())?;
        copy::cast(y.span(), kept.span());
        start(x, out);
        v.write(kept.span(), out.span());
    } else {
        start(x, out);
        v.write(y.span(), out.span());
    }
    Ok(())
}

fn run_assign_scalar(r: &Run<'_>) -> Result<()> {
    let (p, x, out) = (r.p::<RegionScalar>(), r.ins[0], r.outs[0]);
    let v = region(&p.begin, &p.end, &p.step, out.dims())?;
    start(x, out);
    copy::fill_strided(&v.dims, p.scalar, out.span(), v.offset, &v.strides);
    Ok(())
}

/// The gradient with zeros in the region.
fn outside(g: &Array, begin: &OptInts, end: &OptInts, step: &OptInts) -> Array {
    let p = RegionScalar { scalar: 0.0, begin: begin.clone(), end: end.clone(), step: step.clone() };
    call(&SLICE_ASSIGN_SCALAR, &[g], &Params::new(p))
}

fn grad_assign(d: &Vjp<'_>) -> Result<Grads> {
    let p = d.p::<Region>();
    Ok(smallvec![
        d.needs(0).then(|| outside(d.grad(), &p.begin, &p.end, &p.step)),
        d.needs(1).then(|| call(&SLICE, &[d.grad()], d.params)),
    ])
}

/// A region of a shape, as the parameters say it.
fn draw_region(d: &mut Draw, dims: &[usize]) -> (OptInts, OptInts, OptInts) {
    let n = d.size(1, dims.len());
    let mut r = (OptInts::new(), OptInts::new(), OptInts::new());
    for &len in &dims[..n] {
        let (len, b) = (len as i64, d.int(0, len as i64 - 1));
        let forward = d.flip();
        let e = if forward { d.int(b + 1, len) } else { d.int(0, b) - 1 };
        r.0.push(if d.flip() { Some(b) } else { Some(b - len) });
        r.1.push(if e < 0 || e == len { None } else { Some(e) });
        r.2.push(Some(if forward { d.int(1, 2) } else { -d.int(1, 2) }));
    }
    r
}

fn tuple(v: &OptInts) -> crate::ops::value::Value {
    crate::ops::value::Value::Ints(v.iter().map(|i| i.unwrap_or(crate::ops::value::INT_NONE)).collect())
}

fn case(d: &mut Draw, assign: bool) -> Case {
    let dims = d.shape(1, 4);
    let (b, e, s) = draw_region(d, &dims);
    let mut case = Case::new().real(&dims);
    if assign {
        case = case.real(region(&b, &e, &s, &dims).map_or_else(|_| dims.clone(), |v| v.dims).as_slice());
    }
    case.param("begin", tuple(&b)).param("end", tuple(&e)).param("step", tuple(&s))
}

table! {
    SLICE = moving::<Slice>("slice", &["data"]).aliases(&["_sparse_slice", "crop"]).params::<Region>()
        .doc("A copy of the part from `begin` up to, not including, `end` along the first axes, in steps of `step`; the axes after \
              those are taken whole. Ends outside the array are moved to its ends.")
        .cases(|d| case(d, false));
    SLICE_AXIS = moving::<SliceAxis>("slice_axis", &["data"]).params::<AxisRange>()
        .doc("A copy of the part from `begin` up to, not including, `end` along one axis.")
        .cases(|d| {
            let dims = d.shape(1, 4);
            let axis = d.axis(dims.len());
            let n = dims[axis.rem_euclid(dims.len() as i64) as usize] as i64;
            let b = d.int(0, n - 1);
            Case::new().real(&dims).param("axis", axis).param("begin", b - if d.flip() { n } else { 0 }).param("end", d.int(b + 1, n))
        });
    SLICE_LIKE = moving::<SliceLike>("slice_like", &["data", "shape_like"]).params::<LikeAxes>().dtype(super::infer::like_first)
        .doc("A copy of the first part of `data` that has the shape of `shape_like`, along all axes or those of `axes`.")
        .cases(|d| {
            let dims = d.shape(1, 4);
            let like: Dims = dims.iter().map(|&n| d.size(1, n)).collect();
            let case = Case::new().real(&dims).real(&like);
            if d.flip() { case } else { case.param("axes", vec![d.axis(dims.len())]) }
        });
    SLICE_ASSIGN = OpDef::new("_slice_assign", &["lhs", "rhs"], run_assign).truths().aliases(&["_crop_assign"]).params::<Region>()
        .doc("`lhs` with `rhs` in the place of the part that slice would take. With `lhs` as the result only that part is written.")
        .shape(|s| {
            s.want_partial(0, &s.outs[0].clone())?;
            let p: &Region = s.params.get();
            let Some(x) = s.input(0) else { return assign_partly(s, p) };
            let v = region(&p.begin, &p.end, &p.step, &x)?;
            s.want(1, &v.dims)?;
            s.output(0, &x)
        })
        .inplace().vjp(Keep::NOTHING, grad_assign).cases(|d| case(d, true));
    SLICE_ASSIGN_SCALAR = OpDef::map("_slice_assign_scalar", run_assign_scalar).whole().truths().aliases(&["_crop_assign_scalar"])
        .params::<RegionScalar>()
        .doc("`data` with a number in the place of the part that slice would take. With `data` as the result only that part is written.")
        .shape(|s| {
            super::infer::same(s)?;
            let Some(x) = s.input(0) else { return Ok(()) };
            let p: &RegionScalar = s.params.get();
            region(&p.begin, &p.end, &p.step, &x).map(drop)
        })
        .vjp1(Keep::NOTHING, |d| {
            let p = d.p::<RegionScalar>();
            Ok(outside(d.grad(), &p.begin, &p.end, &p.step))
        })
        .cases(|d| case(d, false).param("scalar", 0.5));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_python() {
        let n = 5;
        let all: Vec<Option<i64>> = (-7..=7).map(Some).chain([None]).collect();
        for (b, e) in all.iter().flat_map(|b| all.iter().map(move |e| (*b, *e))) {
            for step in [-7, -2, -1, 1, 2, 7] {
                // By definition: indices met from `begin`, step by step.
                let place = |i: i64| if i < 0 { i + n } else { i };
                let (lo, hi) = if step > 0 { (0, n) } else { (-1, n - 1) };
                let first = b.map_or(if step > 0 { 0 } else { n - 1 }, |b| place(b).clamp(lo, hi));
                let end = e.map_or(if step > 0 { n } else { -1 }, |e| place(e).clamp(lo, hi));
                let (mut count, mut i) = (0, first);
                while (step > 0 && i < end) || (step < 0 && i > end) {
                    count += 1;
                    i += step;
                }
                let want = if count == 0 { (0, 0) } else { (first as usize, count) };
                assert_eq!(range(0, 5, b, e, step).unwrap(), want, "{b:?} {e:?} {step}");
            }
        }
        assert_eq!(range(0, 0, None, None, 1).unwrap().1, 0);
        assert_eq!(range(0, 0, Some(2), None, -1).unwrap().1, 0);
        assert!(range(0, 3, None, None, 0).is_err());
    }
}
