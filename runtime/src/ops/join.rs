//! Operators that put arrays together and take them apart along an axis.

use super::axes::named;
use super::def::{Keep, OpDef, Run};
use super::infer::Shapes;
use super::params::{Ints, Params};
use super::samples::{Case, Draw};
use super::shape_ops::view::{View, reshaped};
use super::slice::sliced;
use super::vjp::{Grads, Vjp};
use crate::array::Array;
use crate::error::Result;
use crate::fluent::call;
use crate::shape::partial::Partial;
use crate::shape::{Dims, resolve_axis};
use smallvec::SmallVec;

params! {
    /// What `Concat` takes.
    pub struct Join {
        num_args: i64, "number of arrays";
        dim: i64 = 1, "axis along which they are joined";
    }
}

/// Checks the parameter that counts inputs.
pub(crate) fn check_count(count: i64, given: usize) -> Result<()> {
    if count != given as i64 {
        bail!(Argument, "num_args is {count} but {given} arrays were given");
    }
    Ok(())
}

fn shape_concat(s: &mut Shapes<'_>) -> Result<()> {
    let p: &Join = s.params.get();
    check_count(p.num_args, s.ins.len())?;
    let Some(n) = s.ins.iter().chain(s.outs.iter()).find_map(Partial::ndim) else { return Ok(()) };
    let axis = resolve_axis(p.dim, n)?;
    // What is known of the axes that all share.
    let mut common = Partial::of_ndim(n);
    let open = |x: &Partial| -> Option<Partial> {
        let mut sizes: Ints = x.sizes()?.into();
        *sizes.get_mut(axis)? = -1;
        Some(Partial::from_sizes(&sizes))
    };
    for (i, x) in s.ins.iter().enumerate() {
        let Some(part) = (if x.ndim() == Some(n) { open(x) } else { x.sizes().map(|_| x.clone()) }) else {
            continue;
        };
        if common.merge(&part).is_err() {
            bail!(Shape, "arrays must agree in all axes but {axis}, input {i} got {x}, want {common}");
        }
    }
    if let Some(part) = open(&s.outs[0]) {
        common.merge(&part)?;
    }
    let sizes: SmallVec<[Option<usize>; 8]> = s.ins.iter().map(|x| x.dim(axis)).collect();
    let known: usize = sizes.iter().flatten().sum();
    let missing = sizes.iter().filter(|d| d.is_none()).count();
    let with = |d: Option<usize>| {
        let mut all: Ints = common.sizes().unwrap_or(&[]).into();
        all[axis] = d.map_or(-1, |d| d as i64);
        Partial::from_sizes(&all)
    };
    let total = if missing == 0 { Some(known) } else { s.outs[0].dim(axis) };
    s.outs[0].merge(&with(total))?;
    for (i, size) in sizes.iter().enumerate() {
        let rest = total.filter(|_| missing == 1).map(|t| t.checked_sub(known));
        let size = match (size, rest) {
            (Some(d), _) => Some(*d),
            (None, Some(None)) => bail!(Shape, "the inputs are longer than the output along axis {axis}"),
            (None, Some(rest)) => rest,
            (None, None) => None,
        };
        s.want_partial(i, &with(size))?;
    }
    Ok(())
}

/// Writes each input where it belongs in the output: `widths[i]` elements of every `width`.
fn run_join(r: &Run<'_>, widths: impl Fn(usize) -> usize, width: usize) {
    let out = r.outs[0].span();
    let rows = out.len() / width.max(1);
    let mut at = 0;
    for (i, x) in r.ins.iter().enumerate() {
        let w = widths(i);
        let v = View::of(&[rows, width]).range(1, at, w, 1);
        if x.size() > 0 {
            v.write(x.span(), out);
        }
        at += w;
    }
}

fn run_concat(r: &Run<'_>) -> Result<()> {
    let axis = resolve_axis(r.p::<Join>().dim, r.outs[0].ndim())?;
    let inner = |x: &[usize]| x[axis..].iter().product();
    run_join(r, |i| inner(r.ins[i].dims()), inner(r.outs[0].dims()));
    Ok(())
}

fn grad_concat(d: &Vjp<'_>) -> Result<Grads> {
    let axis = resolve_axis(d.p::<Join>().dim, d.out_dims(0).len())?;
    let mut at = 0;
    Ok((0..d.num_inputs())
        .map(|i| {
            let begin = at;
            at += d.in_dims(i)[axis];
            d.needs(i).then(|| sliced(d.grad(), axis, begin, at))
        })
        .collect())
}

/// Arrays joined along an axis, recorded.
pub fn concat(parts: &[Array], axis: usize) -> Array {
    let parts: SmallVec<[&Array; 8]> = parts.iter().collect();
    call(&CONCAT, &parts, &Params::new(Join { num_args: parts.len() as i64, dim: axis as i64 }))
}

params! {
    /// What `stack` takes.
    pub struct Stacking {
        axis: i64 = 0, "the new axis";
        num_args: i64, "number of arrays";
    }
}

fn shape_stack(s: &mut Shapes<'_>) -> Result<()> {
    let p: &Stacking = s.params.get();
    check_count(p.num_args, s.ins.len())?;
    let mut one = Partial::UNKNOWN;
    for (i, x) in s.ins.iter().enumerate() {
        one.merge(x).map_err(|_| err!(Shape, "arrays must have one shape, input {i} got {x}, want {one}"))?;
    }
    if let Some(mut out) = s.outs[0].sizes().map(Ints::from)
        && !out.is_empty()
    {
        out.remove(resolve_axis(p.axis, out.len())?);
        one.merge(&Partial::from_sizes(&out))?;
    }
    let Some(mut sizes) = one.sizes().map(Ints::from) else { return Ok(()) };
    sizes.insert(resolve_axis(p.axis, sizes.len() + 1)?, s.ins.len() as i64);
    s.outs[0].merge(&Partial::from_sizes(&sizes))?;
    (0..s.ins.len()).try_for_each(|i| s.want_partial(i, &one))
}

fn run_stack(r: &Run<'_>) -> Result<()> {
    let axis = resolve_axis(r.p::<Stacking>().axis, r.outs[0].ndim())?;
    let inner: usize = r.ins[0].dims()[axis..].iter().product();
    run_join(r, |_| inner, inner * r.ins.len());
    Ok(())
}

fn grad_stack(d: &Vjp<'_>) -> Result<Grads> {
    let axis = resolve_axis(d.p::<Stacking>().axis, d.out_dims(0).len())?;
    let part = |i| reshaped(&sliced(d.grad(), axis, i, i + 1), d.in_dims(i));
    Ok((0..d.num_inputs()).map(|i| d.needs(i).then(|| part(i))).collect())
}

params! {
    /// What `SliceChannel` takes.
    pub struct Split {
        num_outputs: i64, "number of parts, which are of one size";
        axis: i64 = 1, "axis along which the array is taken apart";
        squeeze_axis: bool = false, "whether that axis, then of size 1, is removed";
    }
}

params! {
    /// What `_split_v2` takes.
    pub struct SplitAt {
        indices: Ints, "index at which each part begins";
        axis: i64 = 1, "axis along which the array is taken apart";
        squeeze_axis: bool = false, "whether that axis, then of size 1, is removed";
        sections: i64 = 0, "number of parts, instead of indices; where it does not divide the size, the first ones are larger by 1";
    }
}

/// How an array is taken apart.
struct Parts {
    axis: usize,
    squeeze: bool,
    /// Where each part begins, and the end of the last.
    cuts: Dims,
}

/// More parts than this are a mistake.
const MOST: i64 = 1 << 20;

fn even(n: i64, axis: i64, squeeze: bool, x: &[usize]) -> Result<Parts> {
    let axis = resolve_axis(axis, x.len())?;
    if !(1..=MOST).contains(&n) || !x[axis].is_multiple_of(n as usize) {
        bail!(Shape, "axis {axis} cannot be taken apart evenly, got size {} for {n} parts", x[axis]);
    }
    let size = x[axis] / n as usize;
    Ok(Parts { axis, squeeze, cuts: (0..=n as usize).map(|i| i * size).collect() })
}

/// The two operators that take arrays apart.
trait Apart: 'static {
    fn parts(p: &Params, x: &[usize]) -> Result<Parts>;
    /// The axis, and whether parts, which are then of size 1, lose it.
    fn axis(p: &Params) -> (i64, bool);
    /// What [`named`] calls the size of a part along the axis, or of the whole, where the array is not known.
    fn size(p: &Params, part: Option<usize>) -> String;
}

struct ByNumber;
impl Apart for ByNumber {
    fn parts(p: &Params, x: &[usize]) -> Result<Parts> {
        let p: &Split = p.get();
        even(p.num_outputs, p.axis, p.squeeze_axis, x)
    }

    fn axis(p: &Params) -> (i64, bool) {
        let p: &Split = p.get();
        (p.axis, p.squeeze_axis)
    }

    fn size(p: &Params, part: Option<usize>) -> String {
        let p: &Split = p.get();
        match part {
            Some(_) => "part".into(),
            None if p.squeeze_axis => p.num_outputs.to_string(),
            None => format!("{}part", p.num_outputs),
        }
    }
}

struct ByIndex;
impl Apart for ByIndex {
    fn parts(p: &Params, x: &[usize]) -> Result<Parts> {
        let p: &SplitAt = p.get();
        let axis = resolve_axis(p.axis, x.len())?;
        if p.sections > 0 {
            let (size, n) = (x[axis], p.sections.min(MOST) as usize);
            let cut = |i: usize| i * (size / n) + i.min(size % n);
            return Ok(Parts { axis, squeeze: p.squeeze_axis, cuts: (0..=n).map(cut).collect() });
        }
        if p.indices.is_empty() {
            bail!(Param, "either indices or sections are wanted, got neither");
        }
        let n = x[axis] as i64;
        let ends = p.indices.iter().skip(1).chain([&n]);
        if let Some((b, e)) = p.indices.iter().zip(ends).find(|(b, e)| **b < 0 || b > e || **e > n) {
            bail!(Shape, "a part would be outside of axis {axis} of size {n}, got {b} to {e}");
        }
        Ok(Parts {
            axis,
            squeeze: p.squeeze_axis,
            cuts: p.indices.iter().chain([&n]).map(|&i| i as usize).collect(),
        })
    }

    fn axis(p: &Params) -> (i64, bool) {
        let p: &SplitAt = p.get();
        (p.axis, p.squeeze_axis)
    }

    fn size(p: &Params, part: Option<usize>) -> String {
        let p: &SplitAt = p.get();
        let size = match part {
            _ if p.sections > 0 => (part.is_none() && p.squeeze_axis).then_some(p.sections),
            // The last part goes to the end.
            Some(i) => p.indices.get(i..i + 2).map(|cut| cut[1].saturating_sub(cut[0])),
            None => p.indices.last().filter(|_| p.squeeze_axis).map(|last| last.saturating_add(1)),
        };
        size.map_or_else(|| "_".into(), |n| n.to_string())
    }
}

impl Parts {
    /// Size of part `i`, and its shape with the axis and as the output has it.
    fn shape(&self, x: &[usize], i: usize) -> Result<(Dims, Dims)> {
        let mut whole = Dims::from(x);
        whole[self.axis] = self.cuts[i + 1] - self.cuts[i];
        let mut out = whole.clone();
        if self.squeeze {
            if out[self.axis] != 1 {
                bail!(
                    Shape,
                    "cannot remove axis {}, got a part of size {}, want 1",
                    self.axis,
                    out[self.axis]
                );
            }
            out.remove(self.axis);
            if out.is_empty() {
                out.push(1);
            }
        }
        Ok((whole, out))
    }
}

fn shape_split<A: Apart>(s: &mut Shapes<'_>) -> Result<()> {
    if !s.knows_inputs() {
        part_names::<A>(s)?;
    }
    let Some(x) = s.input(0) else { return Ok(()) };
    let parts = A::parts(s.params, &x)?;
    (0..s.outs.len()).try_for_each(|i| {
        let dims = parts.shape(&x, i)?.1;
        s.output(i, &dims)
    })
}

/// What input and parts tell of each other: all axes but one are the same.
fn part_names<A: Apart>(s: &mut Shapes<'_>) -> Result<()> {
    let (axis, squeeze) = A::axis(s.params);
    // A part of one element, without its axis, has one axis all the same.
    let whole = |x: &Partial| x.ndim().filter(|&n| !squeeze || n > 1 || x.dim(0).is_some_and(|n| n > 1));
    let with_axis = s.outs.iter().find_map(whole).map(|n| n + usize::from(squeeze));
    let Some(ndim) = s.ins[0].ndim().or(with_axis) else { return Ok(()) };
    let at = resolve_axis(axis, ndim)?;
    let names = |along: String| -> String {
        let name = |i: usize| if i == at { format!(" {along}") } else { format!(" d{i}") };
        (0..ndim).map(name).collect()
    };
    let part = |i: usize| match squeeze {
        true if ndim == 1 => "1".into(),
        true => names(String::new()),
        false => names(A::size(s.params, Some(i))),
    };
    let parts: Vec<String> = (0..s.outs.len()).map(part).collect();
    let rule = format!("{} > {}", names(A::size(s.params, None)), parts.join(","));
    named(s, &rule)
}

fn run_split<A: Apart>(r: &Run<'_>) -> Result<()> {
    let x = r.ins[0];
    let parts = A::parts(r.params, x.dims())?;
    for (out, cut) in r.outs.iter().zip(parts.cuts.windows(2)) {
        if out.size() > 0 {
            View::of(x.dims()).range(parts.axis, cut[0], cut[1] - cut[0], 1).read(x.span(), out.span());
        }
    }
    Ok(())
}

fn grad_split<A: Apart>(d: &Vjp<'_>) -> Result<Array> {
    let x = d.in_dims(0);
    let parts = A::parts(d.params, x)?;
    let present: Vec<usize> = (0..d.num_outputs()).filter(|&i| d.grad_of(i).is_some()).collect();
    let part = |i: usize| -> Result<Array> { Ok(reshaped(&d.grad_or_zeros(i)?, &parts.shape(x, i)?.0)) };
    if let [one] = present.as_slice() {
        let v = View::of(x).range(parts.axis, parts.cuts[*one], parts.cuts[one + 1] - parts.cuts[*one], 1);
        return Ok(v.placed(&part(*one)?, x));
    }
    let mut all = (0..d.num_outputs()).map(part).collect::<Result<Vec<_>>>()?;
    if let Some(&first) = parts.cuts.first().filter(|&&c| c > 0) {
        // Nothing depends on what stands before the first part.
        let mut dims = Dims::from(x);
        dims[parts.axis] = first;
        all.insert(0, Array::zeros(&dims, all[0].dtype(), all[0].device())?);
    }
    Ok(concat(&all, parts.axis))
}

fn join_case(d: &mut Draw, dim: bool) -> Case {
    let dims = d.shape(1, 4);
    let n = d.size(1, 4);
    let axis = d.axis(dims.len() + usize::from(!dim));
    let at = axis.rem_euclid(dims.len() as i64) as usize;
    (0..n).fold(Case::new().param(if dim { "dim" } else { "axis" }, axis), |case, _| {
        let mut own = dims.clone();
        if dim {
            own[at] = d.size(1, 4);
        }
        case.real(&own)
    })
}

fn split_case(d: &mut Draw) -> (Case, usize, usize) {
    let mut dims = d.shape(1, 3);
    let n = d.size(1, 4);
    let axis = d.axis(dims.len());
    let at = axis.rem_euclid(dims.len() as i64) as usize;
    dims[at] = n * d.size(1, 3);
    let case = Case::new().real(&dims).param("axis", axis).param("squeeze_axis", dims[at] == n && d.flip());
    (case, n, dims[at])
}

table! {
    CONCAT = OpDef::new("Concat", &["data"], run_concat).truths().aliases(&["_sparse_concat", "concat"]).params::<Join>()
        .doc("Arrays one after the other along axis `dim`. They agree in all other axes.")
        .variadic(Some("num_args")).shape(shape_concat).vjp(Keep::NOTHING, grad_concat).cases(|d| join_case(d, true));
    RNN_PARAM_CONCAT = OpDef::new("_rnn_param_concat", &["data"], run_concat).params::<Join>()
        .doc("Parameters of a recurrent layer one after the other along axis `dim`.")
        .variadic(Some("num_args")).shape(shape_concat).vjp(Keep::NOTHING, grad_concat).cases(|d| join_case(d, true));
    STACK = OpDef::new("stack", &["data"], run_stack).truths().params::<Stacking>()
        .doc("Arrays of one shape along a new axis.")
        .variadic(Some("num_args")).shape(shape_stack).vjp(Keep::NOTHING, grad_stack).cases(|d| join_case(d, false));
    SLICE_CHANNEL = OpDef::new("SliceChannel", &["data"], run_split::<ByNumber>).truths().aliases(&["split"]).params::<Split>()
        .doc("Takes an array apart along an axis, into `num_outputs` parts of one size.")
        .outputs(|p| p.get::<Split>().num_outputs.clamp(1, MOST) as usize, |p| p.get::<Split>().num_outputs.clamp(1, MOST) as usize)
        .numbered_outputs().shape(shape_split::<ByNumber>).vjp1(Keep::NOTHING, grad_split::<ByNumber>)
        .cases(|d| { let (case, n, _) = split_case(d); case.param("num_outputs", n) });
    SPLIT_V2 = OpDef::new("_split_v2", &["data"], run_split::<ByIndex>).truths().params::<SplitAt>()
        .doc("Takes an array apart along an axis: into `sections` parts of one size, or else where `indices` say.")
        .outputs(|p| p.get::<SplitAt>().count(), |p| p.get::<SplitAt>().count())
        .shape(shape_split::<ByIndex>).vjp1(Keep::NOTHING, grad_split::<ByIndex>)
        .cases(|d| {
            let (case, n, size) = split_case(d);
            if size == n || d.flip() { return case.param("sections", n).param("indices", Vec::<i64>::new()); }
            let cuts: Vec<i64> = (0..size as i64).filter(|&i| i == 0 || d.flip()).collect();
            case.param("indices", cuts)
        });
}

impl SplitAt {
    fn count(&self) -> usize {
        if self.sections > 0 { self.sections.min(MOST) as usize } else { self.indices.len().max(1) }
    }
}
