//! Feature maps of another size, by means or by straight lines between pixels.

use super::super::def::{Keep, OpDef, Run};
use super::super::infer::Shapes;
use super::super::matrix::float_type;
use super::super::params::Ints;
use super::super::samples::{Case, Draw};
use super::super::vjp::{Grads, Vjp};
use super::{dims, ints, maps, only, pair, planes, share};
use crate::array::Array;
use crate::error::Result;
use crate::fluent::call_with;
use crate::kernels::spatial::separable::{Axis, apply};
use crate::shape::partial::Partial;
use crate::shape::{Dims, show, size_of_dims};
use smallvec::smallvec;

choices! {
    /// How pixels of another size are made.
    pub enum Kind { Nearest = "nearest", Mean = "mean", Linear = "linear", Corners = "corners" }
}

impl Kind {
    fn axis(self) -> Axis {
        match self {
            Kind::Nearest => Axis::Nearest,
            Kind::Mean => Axis::Mean,
            Kind::Linear => Axis::Linear,
            Kind::Corners => Axis::Corners,
        }
    }
}

params! {
    /// What `_ks_resample` takes.
    pub struct Resample {
        kind: Kind, "how pixels are made";
        from: Ints, "height and width before";
        to: Ints, "height and width after";
        back: bool, "whether the data are gradients of what is after, and those of what is before are wanted";
    }
}

/// Resampled planes into `out`, or added to it. Sizes are those before and after, whichever way the data go.
pub(super) fn resample(
    kind: Kind,
    x: &Run<'_>,
    i: usize,
    back: bool,
    out: crate::storage::Span,
    add: bool,
    to: [usize; 2],
) -> Result<()> {
    let [_, _, h, w] = maps(x.ins[i].dims())?;
    let (from, to) = if back { (to, [h, w]) } else { ([h, w], to) };
    let taps = |axis: usize| {
        let taps = kind.axis().taps(from[axis], to[axis]);
        if back { taps.transposed(from[axis]) } else { taps }
    };
    apply(&taps(0), &taps(1), (h, w), x.ins[i].span(), out, add);
    Ok(())
}

/// Planes of size `to` from those of `x`, recorded; or with `back` the gradient of that.
pub(super) fn resampled(kind: Kind, x: &Array, from: &[usize], to: &[usize], back: bool) -> Array {
    call_with(&RESAMPLE, &[x], Resample { kind, from: ints(from), to: ints(to), back })
}

fn shape_resample(s: &mut Shapes<'_>) -> Result<()> {
    let p: &Resample = s.params.get();
    let (from, to) = (pair("from", &p.from)?, pair("to", &p.to)?);
    let (have, want) = if p.back { (to, from) } else { (from, to) };
    share(s, 0, &[(0, 0), (1, 1)])?;
    s.want_partial(0, &Partial::from_sizes(&[-1, -1, have[0] as i64, have[1] as i64]))?;
    s.outs[0].merge(&Partial::from_sizes(&[-1, -1, want[0] as i64, want[1] as i64])).map(drop)
}

fn run_resample(r: &Run<'_>) -> Result<()> {
    let p = r.p::<Resample>();
    let to = if p.back { &p.from } else { &p.to };
    resample(p.kind, r, 0, p.back, r.outs[0].span(), false, pair("to", to)?)
}

params! {
    /// What `_contrib_AdaptiveAvgPooling2D` takes.
    pub struct Adaptive {
        output_size: Ints = Ints::new(), "height and width of the result; one number for both; none for 1";
    }
}

fn adaptive(p: &Adaptive) -> Result<[usize; 2]> {
    match p.output_size.as_slice() {
        [] => Ok([1, 1]),
        [n] => pair("output_size", &[*n, *n]),
        both => pair("output_size", both),
    }
}

choices! {
    /// What the new size is.
    pub enum Mode {
        Size = "size", OddScale = "odd_scale", Like = "like", ToEvenDown = "to_even_down", ToEvenUp = "to_even_up",
        ToOddDown = "to_odd_down", ToOddUp = "to_odd_up",
    }
}

params! {
    /// What `_contrib_BilinearResize2D` takes.
    pub struct Resize {
        height: i64 = 1, "height of the result, in mode size";
        width: i64 = 1, "width of the result, in mode size";
        scale_height: Option<f32> = None, "the new height in old heights, in the modes size (with scale_width in place of both sizes) and odd_scale";
        scale_width: Option<f32> = None, "the new width in old widths";
        mode: Mode = Mode::Size, "size: as told; odd_scale: scaled, where odd sizes stay odd; like: that of a second input; \
            to_even_down, to_even_up, to_odd_down, to_odd_up: the nearest even or odd size";
        align_corners: bool = true, "whether the corner pixels of both lie on each other; otherwise their outer edges do";
    }
}

impl Resize {
    /// The new size of an axis; `None` where it cannot be told.
    fn along(&self, n: usize, size: i64, scale: Option<f32>) -> Result<usize> {
        let scaled = |n: usize| scale.map(|s| (n as f32 * s) as i64);
        let wanted = |v: Option<i64>| {
            v.ok_or_else(|| err!(Param, "mode odd_scale wants scale_height and scale_width"))
        };
        let (even, n) = (n.is_multiple_of(2), n as i64);
        let to = match self.mode {
            Mode::Size => scaled(n as usize).unwrap_or(size),
            Mode::OddScale if even => wanted(scaled(n as usize))?,
            Mode::OddScale => wanted(scaled(n as usize - 1))?.saturating_add(1),
            Mode::ToEvenDown if !even => n - 1,
            Mode::ToEvenUp if !even => n + 1,
            Mode::ToOddDown if even => n - 1,
            Mode::ToOddUp if even => n + 1,
            _ => n,
        };
        match usize::try_from(to) {
            Ok(to) if to > 0 && to < 1 << 31 => Ok(to),
            _ => bail!(Param, "the new size must be positive, got {to} from {n}"),
        }
    }

    fn kind(&self) -> Kind {
        if self.align_corners { Kind::Corners } else { Kind::Linear }
    }

    fn inputs(&self) -> usize {
        if self.mode == Mode::Like { 2 } else { 1 }
    }
}

fn shape_resize(s: &mut Shapes<'_>) -> Result<()> {
    let p: &Resize = s.params.get();
    share(s, 0, &[(0, 0), (1, 1)])?;
    if p.mode == Mode::Like {
        share(s, 1, &[(2, 2), (3, 3)])?;
    } else {
        // In mode size a scale of the width alone says nothing; one of the height alone is refused.
        let (scale_height, scale_width) = match (p.mode, p.scale_height, p.scale_width) {
            (Mode::Size, Some(_), None) => bail!(Param, "scale_height wants scale_width beside it"),
            (Mode::Size, None, Some(_)) => (None, None),
            (_, h, w) => (h, w),
        };
        for (axis, size, scale) in [(2, p.height, scale_height), (3, p.width, scale_width)] {
            if let Some(n) = s.ins[0].dim(axis).filter(|&n| n > 0) {
                s.outs[0].merge(&only(4, axis, p.along(n, size, scale)?))?;
            }
        }
    }
    sized(s)
}

/// What is true of any resampled planes once all of both shapes is known.
fn sized(s: &mut Shapes<'_>) -> Result<()> {
    let Some(x) = s.input(0) else { return Ok(()) };
    planes(&x)?;
    let Some(out) = s.outs[0].known() else { return Ok(()) };
    if out[2] == 0 || out[3] == 0 {
        bail!(Shape, "planes cannot shrink to nothing, got {}", show(&out));
    }
    size_of_dims(&out).map(drop)
}

/// The gradient by the first input; others only tell a size.
fn back(d: &Vjp<'_>, kind: Kind) -> Result<Grads> {
    let g = d.needs(0).then(|| resampled(kind, d.grad(), &d.in_dims(0)[2..], &d.out_dims(0)[2..], true));
    let mut all: Grads = smallvec![g];
    for i in 1..d.num_inputs() {
        all.push(d.zeros(i)?);
    }
    Ok(all)
}

fn run_to(r: &Run<'_>, kind: Kind) -> Result<()> {
    let [_, _, h, w] = maps(r.outs[0].dims())?;
    resample(kind, r, 0, false, r.outs[0].span(), false, [h, w])
}

fn image(d: &mut Draw) -> (Case, Dims) {
    let dims: Dims = smallvec![d.size(1, 2), d.size(1, 3), d.size(1, 6), d.size(1, 6)];
    (Case::new().real(&dims), dims)
}

fn case_resize(d: &mut Draw) -> Case {
    let (case, dims) = image(d);
    let case = case.param("align_corners", d.flip());
    match d.pick(&["size", "scale", "like", "odd_scale", "to_even_up", "to_odd_down", "to_odd_up"]) {
        "size" => case.param("height", d.size(1, 7)).param("width", d.size(1, 7)),
        "scale" => case.param("scale_height", 2.0).param("scale_width", 1.5),
        "odd_scale" => case.param("mode", "odd_scale").param("scale_height", 2.0).param("scale_width", 3.0),
        "like" => case.real(&[dims[0], 1, d.size(1, 5), d.size(1, 5)]).param("mode", "like"),
        other => case.param("mode", other),
    }
}

table! {
    ADAPTIVE_AVG_POOLING = OpDef::new("_contrib_AdaptiveAvgPooling2D", &["data"], |r| run_to(r, Kind::Mean)).params::<Adaptive>()
        .doc("Means over windows that divide each plane into `output_size` parts: out[i, j] = the mean of the rows from floor(i H / h) to \
              ceil((i + 1) H / h) and the columns likewise.")
        .shape(|s| {
            let [h, w] = adaptive(s.params.get())?;
            share(s, 0, &[(0, 0), (1, 1)])?;
            s.outs[0].merge(&Partial::from_sizes(&[-1, -1, h as i64, w as i64]))?;
            sized(s)
        })
        .dtype(float_type).vjp(Keep::NOTHING, |d| back(d, Kind::Mean))
        .cases(|d| image(d).0.param("output_size", vec![d.size(1, 4), d.size(1, 4)]));
    BILINEAR_RESIZE = OpDef::new("_contrib_BilinearResize2D", &["data", "like"], |r| run_to(r, r.p::<Resize>().kind())).params::<Resize>()
        .arity(|p| p.get::<Resize>().inputs())
        .doc("Planes of another size, by straight lines between pixels: out[i, j] = (1-s)(1-t) x[a, b] + (1-s) t x[a, b+1] + s (1-t) x[a+1, b] \
              + s t x[a+1, b+1], where a + s = i (H-1)/(h-1) with `align_corners`, else max(0, (i + 1/2) H/h - 1/2), and b + t likewise.")
        .shape(shape_resize).dtype(float_type).vjp(Keep::NOTHING, |d| back(d, d.p::<Resize>().kind())).cases(case_resize);
    RESAMPLE = OpDef::new("_ks_resample", &["data"], run_resample).params::<Resample>()
        .doc("Planes of another size, or the gradient of that.")
        .shape(shape_resample).dtype(float_type)
        .vjp1(Keep::NOTHING, |d| {
            let p = d.p::<Resample>();
            Ok(resampled(p.kind, d.grad(), &dims(&p.from)?, &dims(&p.to)?, !p.back))
        })
        .cases(|d| {
            let (from, to, back) = ([d.size(1, 4), d.size(1, 4)], [d.size(1, 6), d.size(1, 6)], d.flip());
            let have = if back { to } else { from };
            Case::new().real(&[1, 2, have[0], have[1]]).param("kind", d.pick(&["nearest", "mean", "linear", "corners"]))
                .param("from", &from[..]).param("to", &to[..]).param("back", back)
        });
}
