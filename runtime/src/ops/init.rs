//! Operators that make arrays from nothing but parameters, or in the likeness of another.

use super::def::{OpDef, Run};
use super::infer::{Shapes, Types};
use super::params::{Ints, ParamSet};
use super::samples::Case;
use crate::device::Device;
use crate::dtype::{DType, Elem};
use crate::error::Result;
use crate::kernels::{copy, par};
use crate::shape::partial::Partial;
use crate::shape::{Dims, resolve_axis};
use crate::storage::Span;

params! {
    /// What an array of one value takes.
    pub struct Blank {
        shape: Ints = Ints::new(), "its shape";
        ctx: Device = Device::default(), "where it lives";
        dtype: DType = DType::F32, "its dtype";
    }
}

params! {
    /// As [`Blank`], with the dtype as a number.
    pub struct BlankAny {
        shape: Ints = Ints::new(), "its shape";
        ctx: Device = Device::default(), "where it lives";
        dtype: i64 = -1, "its dtype as a number; -1 is float32";
    }
}

params! {
    /// What an array filled with a number takes.
    pub struct Full {
        shape: Ints = Ints::new(), "its shape";
        ctx: Device = Device::default(), "where it lives";
        dtype: DType = DType::F32, "its dtype";
        value: f64, "the number";
    }
}

params! {
    /// What an identity matrix takes.
    #[allow(non_snake_case)]
    pub struct Eye {
        N: i64, "rows";
        M: i64 = 0, "columns, as many as rows when 0";
        k: i64 = 0, "which diagonal: 0 the main one, above it positive, below it negative";
        ctx: Device = Device::default(), "where it lives";
        dtype: DType = DType::F32, "its dtype";
    }
}

params! {
    /// What a range takes.
    pub struct Range {
        start: f64, "first value; alone it is the end of a range from 0";
        stop: Option<f64> = None, "where the range ends; the end is not part of it";
        step: f64 = 1.0, "from one value to the next";
        repeat: i64 = 1, "how often each value stands";
        infer_range: bool = false, "whether the length comes from the use of the result";
        ctx: Device = Device::default(), "where it lives";
        dtype: DType = DType::F32, "its dtype";
    }
}

params! {
    /// What evenly spaced values take.
    pub struct Linspace {
        start: f64, "first value";
        stop: Option<f64> = None, "last value";
        step: f64 = 1.0, "without effect";
        repeat: i64 = 1, "without effect";
        infer_range: bool = false, "without effect";
        ctx: Device = Device::default(), "where it lives";
        dtype: DType = DType::F32, "its dtype";
        num: i64 = 50, "how many";
        endpoint: bool = true, "whether `stop` is among them";
    }
}

params! {
    /// What a range in the likeness of another array takes.
    pub struct RangeLike {
        start: f64 = 0.0, "first value";
        step: f64 = 1.0, "from one value to the next";
        repeat: i64 = 1, "how often each value stands";
        ctx: Device = Device::default(), "without effect";
        axis: Option<i64> = None, "the axis whose size is taken; None takes the whole shape";
    }
}

/// Sizes as a parameter gives them. Negative ones are refused; 0 is the caller's to judge.
fn sizes(shape: &[i64]) -> Result<Dims> {
    let one = |&d: &i64| usize::try_from(d).map_err(|_| err!(Shape, "sizes must not be negative, got {d}"));
    shape.iter().map(one).collect()
}

/// The shape that a parameter gives, or where it gives none, the one that the use of the result asks for. Among given sizes -1
/// is unknown to inference.
fn shape_of(s: &mut Shapes<'_>, shape: &[i64]) -> Result<()> {
    if !shape.is_empty() {
        if let Some(d) = shape.iter().find(|&&d| d < -1) {
            bail!(Shape, "sizes must not be negative, got {d}");
        }
        s.outs[0].merge(&Partial::from_sizes(shape))?;
    }
    Ok(())
}

fn run_fill(r: &Run<'_>, value: f64) -> Result<()> {
    copy::fill(r.outs[0].span(), value);
    Ok(())
}

fn type_of<T: ParamSet>(t: &mut Types<'_>, dtype: impl Fn(&T) -> DType) -> Result<()> {
    t.outs[0] = Some(dtype(t.params.get::<T>()));
    Ok(())
}

fn eye_dims(p: &Eye) -> Result<Dims> {
    if p.N < 0 {
        bail!(Param, "N must not be negative, got {}", p.N);
    }
    sizes(&[p.N, if p.M <= 0 { p.N } else { p.M }])
}

fn run_eye(r: &Run<'_>) -> Result<()> {
    let (out, k) = (r.outs[0], r.p::<Eye>().k);
    copy::fill(out.span(), 0.0);
    let (n, m) = (out.dims()[0], out.dims()[1]);
    with_dtype!(out.dtype(), T => {
        // SAFETY: the output is this call's alone.
        let y = unsafe { out.span().slice_mut::<T>() };
        for i in 0..n {
            if let Some(j) = (i as i64).checked_add(k).and_then(|j| usize::try_from(j).ok()).filter(|&j| j < m) {
                y[i * m + j] = T::from_f64(1.0);
            }
        }
    });
    Ok(())
}

/// First value and number of values, without repetitions.
fn range(p: &Range) -> Result<(f64, usize)> {
    let (start, stop) = match p.stop {
        Some(stop) => (p.start, stop),
        None => (0.0, p.start),
    };
    if p.step == 0.0 || !p.step.is_finite() {
        bail!(Param, "Range does not support step={}, want a number other than 0", p.step);
    }
    if p.repeat < 1 {
        bail!(Param, "repeat must be positive, got {}", p.repeat);
    }
    let count = ((stop - start) / p.step).ceil();
    if !count.is_finite() || count > 1e15 {
        bail!(Param, "the range from {start} to {stop} by {} has no end", p.step);
    }
    if count <= 0.0 {
        bail!(
            Param,
            "Invalid range (start, stop, step) = ({start}, {stop}, {}), want at least one value",
            p.step
        );
    }
    Ok((start, count as usize))
}

fn shape_range(s: &mut Shapes<'_>) -> Result<()> {
    let p = s.params.get::<Range>();
    if p.infer_range && p.stop.is_none() {
        // The length is known by use only: [start, start + step, …).
        return match s.outs[0].ndim() {
            Some(n) if n != 1 => bail!(Shape, "an inferred range has one axis, got {}", s.outs[0]),
            _ => Ok(()),
        };
    }
    let (_, count) = range(p)?;
    let all = count
        .checked_mul(p.repeat as usize)
        .ok_or_else(|| err!(Shape, "too many values, got {count} times {}", p.repeat))?;
    s.output(0, &[all])
}

fn run_range(r: &Run<'_>) -> Result<()> {
    let p = r.p::<Range>();
    let start = if p.infer_range && p.stop.is_none() { p.start } else { range(p)?.0 };
    count_up(r.outs[0].span(), start, p.step, p.repeat as usize);
    Ok(())
}

/// As [`fill_range`], counting in the dtype of the result: integers count by the whole part of the step from that of the start.
fn count_up(out: Span, start: f64, step: f64, repeat: usize) {
    let whole = |x: f64| if out.dtype().is_float() { x } else { x.trunc() };
    fill_range(out, whole(start), whole(step), repeat);
}

/// start, start + step, …, each `repeat` times.
fn fill_range(out: Span, start: f64, step: f64, repeat: usize) {
    with_dtype!(out.dtype(), T => par::chunks(out.len(), 32 * 1024, |_, r| {
        // SAFETY: the part is this chunk's alone.
        let y = unsafe { out.sub(r.start, r.len()).slice_mut::<T>() };
        if repeat == 1 {
            y.iter_mut().enumerate().for_each(|(i, y)| *y = T::from_f64(start + step * (r.start + i) as f64));
        } else {
            y.iter_mut().enumerate().for_each(|(i, y)| *y = T::from_f64(start + step * ((r.start + i) / repeat) as f64));
        }
    }));
}

fn run_linspace(r: &Run<'_>) -> Result<()> {
    let p = r.p::<Linspace>();
    let Some(stop) = p.stop else { bail!(Param, "required parameter 'stop' is missing") };
    let steps = if p.endpoint { p.num - 1 } else { p.num };
    let step = if steps > 0 { (stop - p.start) / steps as f64 } else { 0.0 };
    let out = r.outs[0];
    fill_range(out.span(), p.start, step, 1);
    if p.endpoint && p.num > 1 {
        // Not off by a rounding.
        copy::fill(out.span().sub(out.size() - 1, 1), stop);
    }
    Ok(())
}

fn shape_like(s: &mut Shapes<'_>) -> Result<()> {
    let p = s.params.get::<RangeLike>();
    if p.repeat < 1 {
        bail!(Param, "repeat must be positive, got {}", p.repeat);
    }
    let Some(x) = s.input(0) else { return Ok(()) };
    let dims: Dims = match p.axis {
        None => x,
        Some(axis) => Dims::from_slice(&[x[resolve_axis(axis, x.len())?]]),
    };
    s.output(0, &dims)
}

fn run_range_like(r: &Run<'_>) -> Result<()> {
    let p = r.p::<RangeLike>();
    count_up(r.outs[0].span(), p.start, p.step, p.repeat as usize);
    Ok(())
}

fn blank() -> Case {
    Case::new().param("shape", vec![2i64, 3])
}

params! {
    /// The number to set.
    pub struct SetValue {
        src: f64, "the number";
    }
}

const NO_INPUT: &str = "there is no input to differentiate by";

table! {
    ZEROS = OpDef::new("_zeros", &[], |r| run_fill(r, 0.0)).zeros().truths().params::<Blank>()
        .doc("Zeros in a shape.").shape(|s| { let p = s.params.get::<Blank>(); shape_of(s, &p.shape) })
        .dtype(|t| type_of(t, |p: &Blank| p.dtype)).device(|p| p.get::<Blank>().ctx)
        .no_gradient(NO_INPUT).cases(|_| blank());
    ONES = OpDef::new("_ones", &[], |r| run_fill(r, 1.0)).truths().params::<Blank>()
        .doc("Ones in a shape.").shape(|s| { let p = s.params.get::<Blank>(); shape_of(s, &p.shape) })
        .dtype(|t| type_of(t, |p: &Blank| p.dtype)).device(|p| p.get::<Blank>().ctx)
        .no_gradient(NO_INPUT).cases(|_| blank());
    ZEROS_WITHOUT_DTYPE = OpDef::new("_zeros_without_dtype", &[], |r| run_fill(r, 0.0)).params::<BlankAny>()
        .doc("Zeros in a shape; without a dtype they take that of their use, float32 when nothing asks for another.")
        .shape(|s| { let p = s.params.get::<BlankAny>(); shape_of(s, &p.shape) })
        .dtype(|t| {
            let p = t.params.get::<BlankAny>();
            if p.dtype >= 0 {
                t.outs[0] = Some(DType::from_id(i32::try_from(p.dtype).unwrap_or(-1))?);
            }
            Ok(())
        })
        .device(|p| p.get::<BlankAny>().ctx).no_gradient(NO_INPUT).cases(|_| blank());
    FULL = OpDef::new("_full", &[], |r| run_fill(r, r.p::<Full>().value)).truths().params::<Full>()
        .doc("One number in a shape; an integer dtype truncates it.")
        .shape(|s| { let p = s.params.get::<Full>(); shape_of(s, &p.shape) })
        .dtype(|t| type_of(t, |p: &Full| p.dtype)).device(|p| p.get::<Full>().ctx)
        .no_gradient(NO_INPUT).cases(|_| blank().param("value", 1.5));
    EYE = OpDef::new("_eye", &[], run_eye).params::<Eye>()
        .doc("A matrix with ones on one diagonal and zeros elsewhere.")
        .shape(|s| { let dims = eye_dims(s.params.get())?; s.output(0, &dims) })
        .dtype(|t| type_of(t, |p: &Eye| p.dtype)).device(|p| p.get::<Eye>().ctx)
        .no_gradient(NO_INPUT).cases(|d| {
            let (n, m, k) = (d.int(1, 5), d.int(0, 5), d.int(-3, 3));
            Case::new().param("N", n).param("M", m).param("k", k)
        });
    ARANGE = OpDef::new("_arange", &[], run_range).params::<Range>()
        .doc("`start, start + step, …` up to but not including `stop`, each value `repeat` times. With `start` alone the range goes \
              from 0 to it.")
        .shape(shape_range).dtype(|t| type_of(t, |p: &Range| p.dtype)).device(|p| p.get::<Range>().ctx)
        .no_gradient(NO_INPUT).cases(|d| {
            let (start, n, step) = (d.int(-4, 4), d.int(1, 9), d.pick(&[1.0, 0.5, 2.0]));
            Case::new().param("start", start).param("stop", start + n).param("step", step).param("repeat", d.int(1, 3))
        });
    LINSPACE = OpDef::new("_linspace", &[], run_linspace).params::<Linspace>()
        .doc("`num` evenly spaced values from `start` to `stop`, which is among them unless `endpoint` is off.")
        .shape(|s| {
            let num = s.params.get::<Linspace>().num;
            if num < 1 {
                bail!(Param, "num must be positive, got {num}");
            }
            s.output(0, &[num as usize])
        })
        .dtype(|t| type_of(t, |p: &Linspace| p.dtype)).device(|p| p.get::<Linspace>().ctx)
        .no_gradient(NO_INPUT).cases(|d| {
            let (n, end) = (d.int(1, 9), d.flip());
            Case::new().param("start", 1.0).param("stop", 4.0).param("num", n).param("endpoint", end)
        });
    ARANGE_LIKE = OpDef::new("_contrib_arange_like", &["data"], run_range_like).params::<RangeLike>()
        .doc("`start, start + step, …` in the shape of an array, or in the size of one of its axes.")
        .shape(shape_like).zero_gradient("constant")
        .cases(|d| {
            let dims = d.shape(1, 3);
            let repeat = d.int(1, 2);
            Case::new().real(&dims).param("step", 0.5).param("repeat", repeat)
        });
    SET_VALUE = OpDef::new("_set_value", &[], |r| run_fill(r, r.p::<SetValue>().src)).truths().params::<SetValue>()
        .doc("Fills a given array with a number.")
        .shape(|s| match s.outs[0].is_known() {
            true => Ok(()),
            false => s.output(0, &[1]),
        })
        .no_gradient(NO_INPUT).no_samples("the shape is that of the given array");
}
