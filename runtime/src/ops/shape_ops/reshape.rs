//! Operators that give the elements another shape and leave their order. The results are copies; views are made by
//! methods of arrays.

use super::super::def::{OpDef, Run};
use super::super::infer::{Shapes, like_first};
use super::super::params::{Ints, Params};
use super::super::samples::{Case, Draw};
use super::view::{Move, View, moving};
use crate::dtype::DType;
use crate::error::Result;
use crate::shape::partial::Partial;
use crate::shape::reshape::{follow, reshape};
use crate::shape::{Dims, resolve_axis, show, size_of_dims};

params! {
    /// What `Reshape` takes.
    pub struct ReshapeTo {
        shape: Ints = Ints::new(), "sizes and codes: 0 copies an axis, -1 is what is left, -2 copies all remaining axes, -3 merges two, -4 splits one into the two numbers that follow";
        reverse: bool = false, "whether codes are matched from the right";
        target_shape: Ints = Ints::new(), "older form: sizes, of which one may be 0 and is then what is left";
        keep_highest: bool = false, "older form: whether the first axis stays";
    }
}

/// The codes that a call means, in the newer form.
fn codes(p: &ReshapeTo) -> Result<Ints> {
    if !p.shape.is_empty() {
        return Ok(p.shape.clone());
    }
    if p.target_shape.is_empty() {
        bail!(Param, "shape must be given, got ()");
    }
    let from = usize::from(p.keep_highest);
    let newer = |(i, &d): (usize, &i64)| {
        if i < from {
            0
        } else if d == 0 {
            -1
        } else {
            d
        }
    };
    Ok(p.target_shape.iter().enumerate().map(newer).collect())
}

/// An operator that keeps the order of elements, by the shape that it makes.
macro_rules! reshaping {
    ($name:ident: |$p:ident, $x:ident, $like:ident| $shape:expr $(, partly $partly:expr)?) => {
        struct $name;
        impl Move for $name {
            fn view($p: &Params, $x: &[usize], $like: &[usize]) -> Result<View> {
                let shape: Dims = $shape;
                Ok(View::of($x).shaped(&shape))
            }
            $(fn partly(s: &mut Shapes<'_>) -> Result<()> { let f: fn(&mut Shapes<'_>) -> Result<()> = $partly; f(s) })?
        }
    };
}

/// When the output is known and one axis of the input is not, that one follows from the counts.
fn count_back(s: &mut Shapes<'_>) -> Result<()> {
    let (Some(sizes), Some(out)) = (s.ins[0].sizes(), s.outs[0].known()) else { return Ok(()) };
    let known: i64 = sizes.iter().filter(|&&d| d >= 0).product();
    let total = size_of_dims(&out)? as i64;
    if sizes.iter().filter(|&&d| d < 0).count() != 1 || known <= 0 || total % known != 0 {
        return Ok(());
    }
    let full: Dims = sizes.iter().map(|&d| if d < 0 { total / known } else { d } as usize).collect();
    s.want(0, &full)
}

/// What `Reshape` can say of its output while some axes of the input are unknown.
fn reshape_partly(s: &mut Shapes<'_>) -> Result<()> {
    let p: &ReshapeTo = s.params.get();
    let codes = codes(p)?;
    let sizes = match s.ins[0].sizes() {
        Some(x) => Some(follow(x, &codes, p.reverse)?.0),
        // The codes that make one axis each tell how many there are.
        None if codes.iter().all(|&c| c >= -1) => {
            Some(codes.iter().map(|&c| if c > 0 { c } else { -1 }).collect())
        }
        None => None,
    };
    if let Some(sizes) = sizes {
        s.outs[0].merge(&Partial::from_sizes(&sizes))?;
    }
    count_back(s)
}

reshaping!(Reshape: |p, x, _like| {
    let p: &ReshapeTo = p.get();
    reshape(x, &codes(p)?, p.reverse, true)?
}, partly reshape_partly);

reshaping!(Flatten: |_p, x, _like| {
    let Some(&n) = x.first() else { bail!(Shape, "an array with axes is wanted, got ()") };
    [n, x[1..].iter().product()].into_iter().collect()
}, partly |s| {
    let Some(x) = s.ins[0].sizes() else { return Ok(()) };
    let rest = x.get(1..).unwrap_or(&[]);
    let product = if rest.iter().all(|&d| d >= 0) { rest.iter().product() } else { -1 };
    let first = x.first().copied().unwrap_or(-1);
    s.outs[0].merge(&Partial::from_sizes(&[first, product]))?;
    // The batch is known from the other side.
    if let (Some(n), Some(mut x)) = (s.outs[0].dim(0), s.ins[0].sizes().map(Ints::from)) && !x.is_empty() {
        x[0] = n as i64;
        s.want_partial(0, &Partial::from_sizes(&x))?;
    }
    count_back(s)
});

params! {
    /// Which axes `reshape_like` exchanges.
    pub struct LikeAxes {
        lhs_begin: Option<i64> = None, "first axis of lhs that is replaced; 0 when absent";
        lhs_end: Option<i64> = None, "axis of lhs after the last that is replaced; all when absent";
        rhs_begin: Option<i64> = None, "first axis of rhs that is taken; 0 when absent";
        rhs_end: Option<i64> = None, "axis of rhs after the last that is taken; all when absent";
    }
}

/// A range of axes, counted from the end where negative.
fn axes(of: &str, begin: Option<i64>, end: Option<i64>, ndim: usize) -> Result<std::ops::Range<usize>> {
    let n = ndim as i64;
    let place = |a: i64| if a < 0 { a + n } else { a };
    let (b, e) = (place(begin.unwrap_or(0)), place(end.unwrap_or(n)));
    if b < 0 || e > n || b > e {
        bail!(Shape, "axes {b} to {e} of {of} are out of range, want 0 to {n}");
    }
    Ok(b as usize..e as usize)
}

reshaping!(ReshapeLike: |p, x, like| {
    let p: &LikeAxes = p.get();
    let from = axes("lhs", p.lhs_begin, p.lhs_end, x.len())?;
    let to = axes("rhs", p.rhs_begin, p.rhs_end, like.len())?;
    let out: Dims = x[..from.start].iter().chain(&like[to]).chain(&x[from.end..]).copied().collect();
    if size_of_dims(&out)? != size_of_dims(x)? {
        bail!(Shape, "lhs of shape {} cannot take shape {}", show(x), show(&out));
    }
    out
});

params! {
    /// Where an axis goes.
    pub struct Axis {
        axis: i64, "place of the new axis, from the end where negative";
    }
}

reshaping!(ExpandDims: |p, x, _like| {
    let at = resolve_axis(p.get::<Axis>().axis, x.len() + 1)?;
    let mut out: Dims = x.into();
    out.insert(at, 1);
    out
}, partly |s| {
    let axis = s.params.get::<Axis>().axis;
    if let Some(mut x) = s.ins[0].sizes().map(Ints::from) {
        x.insert(resolve_axis(axis, x.len() + 1)?, 1);
        s.outs[0].merge(&Partial::from_sizes(&x))?;
    }
    if let Some(mut out) = s.outs[0].sizes().map(Ints::from) && !out.is_empty() {
        let at = resolve_axis(axis, out.len())?;
        out[at] = 1;
        s.outs[0].merge(&Partial::from_sizes(&out))?;
        out.remove(at);
        s.want_partial(0, &Partial::from_sizes(&out))?;
    }
    Ok(())
});

params! {
    /// Which axes go.
    pub struct Squeezed {
        axis: Option<Ints> = None, "axes of 1 to remove; all of them when absent";
    }
}

reshaping!(Squeeze: |p, x, _like| {
    let mut gone: Dims = match &p.get::<Squeezed>().axis {
        None => (0..x.len()).filter(|&i| x[i] == 1).collect(),
        Some(axes) => axes.iter().map(|&a| resolve_axis(a, x.len())).collect::<Result<_>>()?,
    };
    gone.sort_unstable();
    if let Some(w) = gone.windows(2).find(|w| w[0] == w[1]) {
        bail!(Shape, "axis {} was named twice", w[0]);
    }
    if let Some(&a) = gone.iter().find(|&&a| x[a] != 1) {
        bail!(Shape, "cannot remove axis {a}, got size {}, want 1", x[a]);
    }
    let mut out: Dims = (0..x.len()).filter(|i| !gone.contains(i)).map(|i| x[i]).collect();
    if out.is_empty() {
        out.push(1);
    }
    out
});

reshaping!(Identity: |_p, x, like| {
    if x != like {
        bail!(Shape, "lhs and rhs must have one shape, got {} and {}", show(x), show(like));
    }
    x.into()
}, partly super::super::infer::same);

fn run_shape_array(r: &Run<'_>) -> Result<()> {
    // SAFETY: the output is new and this thread's alone.
    let out = unsafe { r.outs[0].span().slice_mut::<i64>() };
    out.iter_mut().zip(r.ins[0].dims()).for_each(|(o, &d)| *o = d as i64);
    Ok(())
}

fn run_size_array(r: &Run<'_>) -> Result<()> {
    // SAFETY: the output is new and this thread's alone.
    let out = unsafe { r.outs[0].span().slice_mut::<i64>() };
    out[0] = r.ins[0].size() as i64;
    Ok(())
}

fn reshape_case(d: &mut Draw) -> Case {
    let dims = d.shape(2, 4);
    let codes: &[i64] = d.pick(&[&[-1][..], &[0, -1], &[-3, -2], &[0, -4, 1, -1, -2], &[-2, 1]]);
    Case::new().real(&dims).param("shape", codes).param("reverse", codes.iter().all(|&c| c > -2) && d.flip())
}

fn like_case(d: &mut Draw) -> Case {
    let (a, b, c) = (d.size(1, 4), d.size(1, 3), d.size(1, 3));
    Case::new()
        .real(&[a, b * c])
        .real(&[d.size(1, 3), b, c])
        .param("lhs_begin", 1i64)
        .param("lhs_end", 2i64)
        .param("rhs_begin", -2i64)
}

fn copies(d: &mut Draw) -> Case {
    let dims = d.shape(1, 4);
    Case::new().real(&dims).real(&dims)
}

table! {
    RESHAPE = moving::<Reshape>("Reshape", &["data"]).aliases(&["reshape"]).params::<ReshapeTo>()
        .doc("A copy of the elements, in the same order, in another shape. The codes in `shape` are read from left to right, or from \
              right to left with `reverse`: (2,3,4) with (0,-1) gives (2,12), with (-3,4) gives (6,4), with (-4,1,2,-2) gives (1,2,3,4).")
        .cases(reshape_case);
    FLATTEN = moving::<Flatten>("Flatten", &["data"]).aliases(&["flatten"])
        .doc("A copy with all axes but the first merged into one: (d0,d1,…,dk) becomes (d0, d1*…*dk).").samples(-2.0, 2.0);
    RESHAPE_LIKE = moving::<ReshapeLike>("reshape_like", &["lhs", "rhs"]).params::<LikeAxes>().dtype(like_first)
        .doc("A copy of `lhs` in the shape of `rhs`; with axes given, only those of `lhs` are exchanged for those of `rhs`.")
        .cases(like_case);
    EXPAND_DIMS = moving::<ExpandDims>("expand_dims", &["data"]).params::<Axis>()
        .doc("A copy with an axis of 1 put in at `axis`.")
        .cases(|d| { let dims = d.shape(1, 3); Case::new().real(&dims).param("axis", d.axis(dims.len() + 1)) });
    SQUEEZE = moving::<Squeeze>("squeeze", &["data"]).params::<Squeezed>()
        .doc("A copy without axes of 1: all of them, or those of `axis`. At least one axis remains.")
        .cases(|d| {
            let mut dims = d.shape(1, 3);
            let at = d.size(0, dims.len());
            dims.insert(at, 1);
            let case = Case::new().real(&dims);
            if d.flip() { case.param("axis", vec![at]) } else { case }
        });
    IDENTITY_LIKE = moving::<Identity>("_identity_with_attr_like_rhs", &["lhs", "rhs"])
        .doc("A copy of `lhs`, which has the shape and the dtype of `rhs`.").cases(copies);
    SHAPE_ARRAY = OpDef::new("shape_array", &["data"], run_shape_array).truths()
        .doc("The shape, as an array of int64.")
        .shape(|s| s.outs[0].merge(&Partial::from_sizes(&[s.ins[0].ndim().map_or(-1, |n| n as i64)])).map(drop))
        .dtype(|t| { t.outs[0] = Some(DType::I64); Ok(()) })
        .zero_gradient("a shape does not depend on values").samples(-2.0, 2.0);
    SIZE_ARRAY = OpDef::new("size_array", &["data"], run_size_array).truths()
        .doc("The number of elements, as an array of one int64.")
        .shape(|s| s.output(0, &[1]))
        .dtype(|t| { t.outs[0] = Some(DType::I64); Ok(()) })
        .zero_gradient("a size does not depend on values").samples(-2.0, 2.0);
}
