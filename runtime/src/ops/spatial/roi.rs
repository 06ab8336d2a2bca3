//! Regions of interest of feature maps, brought to one size (Girshick, "Fast R-CNN", 2015; He et al., "Mask R-CNN", 2017).

use super::super::def::{Keep, OpDef, Run};
use super::super::index::take::{TakeMode, added_rows};
use super::super::infer::{Shapes, Types};
use super::super::matrix::float_type;
use super::super::params::Ints;
use super::super::samples::{Case, Draw, Fill};
use super::super::shape_ops::view::reshaped;
use super::super::vjp::{Grads, Vjp};
use super::{dims, pair, planes, share};
use crate::array::Array;
use crate::dtype::DType;
use crate::error::Result;
use crate::fluent::call_with;
use crate::kernels::spatial::roi::{Align, Regions, pool, stray};
use crate::shape::partial::Partial;
use crate::storage::Span;
use smallvec::smallvec;

params! {
    /// What `ROIPooling` takes.
    pub struct Pool {
        pooled_size: Ints, "rows and columns of bins";
        spatial_scale: f32, "pixels per unit of the coordinates";
    }
}

params! {
    /// What `_contrib_ROIAlign` takes.
    pub struct AlignParams {
        pooled_size: Ints, "rows and columns of bins";
        spatial_scale: f32, "pixels per unit of the coordinates";
        sample_ratio: i64 = -1, "samples of a bin along each axis; not positive: as many as it has pixels";
        position_sensitive: bool = false, "whether every bin has planes of its own, the input then having bins times as many";
        aligned: bool = false, "whether half a pixel is subtracted from coordinates, and small regions stay smaller than a pixel";
    }
}

params! {
    /// What the gradient of `_contrib_ROIAlign` takes.
    pub struct AlignBack {
        pooled_size: Ints, "as of _contrib_ROIAlign";
        spatial_scale: f32, "as of _contrib_ROIAlign";
        sample_ratio: i64, "as of _contrib_ROIAlign";
        position_sensitive: bool, "as of _contrib_ROIAlign";
        aligned: bool, "as of _contrib_ROIAlign";
        shape: Ints, "shape of the feature maps";
    }
}

/// More samples than these on one axis of one bin are a mistake.
const MOST_SAMPLES: i64 = 1024;

fn align(p: &AlignParams) -> Result<Align> {
    if p.sample_ratio > MOST_SAMPLES {
        bail!(Param, "sample_ratio is too large, got {}, want at most {MOST_SAMPLES}", p.sample_ratio);
    }
    let samples = p.sample_ratio.max(0) as usize;
    Ok(Align { samples, position_sensitive: p.position_sensitive, aligned: p.aligned })
}

fn regions(data: &[usize], rois: &[usize], bins: &[i64], scale: f32) -> Result<Regions> {
    let [batch, channels, h, w] = planes(data)?;
    let [rows, columns] = pair("pooled_size", bins)?;
    Ok(Regions { batch, channels, size: (h, w), bins: (rows, columns), count: rois[0], scale })
}

/// Every region must lie in an image that there is.
fn check(s: Regions, rois: Span) -> Result<()> {
    match stray(rois, s.count, s.batch) {
        Some((r, n)) => bail!(Argument, "region {r} is of image {n}, want less than {}", s.batch),
        None => Ok(()),
    }
}

/// Data (N, C, H, W) and rows of five numbers give (rows, channels, bins).
fn shape_regions(s: &mut Shapes<'_>, bins: &[i64], position_sensitive: bool) -> Result<()> {
    let [h, w] = pair("pooled_size", bins)?;
    share(s, 0, if position_sensitive { &[] } else { &[(1, 1)] })?;
    s.want_partial(1, &Partial::from_sizes(&[-1, 5]))?;
    let rows = s.ins[1].dim(0).or(s.outs[0].dim(0)).map_or(-1, |n| n as i64);
    s.want_partial(1, &Partial::from_sizes(&[rows, 5]))?;
    let channels = match s.ins[0].dim(1) {
        Some(c) if position_sensitive && c % (h * w) != 0 => {
            bail!(Shape, "position_sensitive wants a multiple of {} channels, got {c}", h * w)
        }
        Some(c) if position_sensitive => (c / (h * w)) as i64,
        _ => -1,
    };
    for out in s.outs.iter_mut() {
        out.merge(&Partial::from_sizes(&[rows, channels, h as i64, w as i64]))?;
    }
    if let Some(c) = s.outs[0].dim(1) {
        let all = if position_sensitive { c.saturating_mul(h * w) } else { c };
        s.want_partial(0, &Partial::from_sizes(&[-1, all as i64, -1, -1]))?;
        s.outs.iter_mut().try_for_each(|o| o.merge(&super::only(4, 1, c)).map(drop))?;
    }
    let Some(x) = s.input(0) else { return Ok(()) };
    planes(&x).map(drop)
}

fn types_pool(t: &mut Types<'_>) -> Result<()> {
    let (visible, hidden) = t.outs.split_at_mut(1);
    hidden[0] = Some(DType::I64);
    float_type(&mut Types { params: t.params, ins: t.ins, outs: visible })
}

fn run_pool(r: &Run<'_>) -> Result<()> {
    let (p, x, rois) = (r.p::<Pool>(), r.ins[0], r.ins[1]);
    let s = regions(x.dims(), rois.dims(), &p.pooled_size, p.spatial_scale)?;
    check(s, rois.span())?;
    pool(s, x.span(), rois.span(), r.outs[0].span(), r.outs[1].span());
    Ok(())
}

/// Each bin's gradient goes to the pixel that it shows. Empty bins say -1: they are multiplied away.
fn grad_pool(d: &Vjp<'_>) -> Result<Grads> {
    let (x, at, g) = (d.in_dims(0), d.output(1), d.grad_or_zeros(0)?);
    let by_data = d.needs(0).then(|| {
        let shown = &g * at.ge(0.0).cast(g.dtype());
        let n = shown.size();
        let (flat, at) = (reshaped(&shown, &[n]), reshaped(at, &[n]));
        reshaped(&added_rows(&flat, &at, 0, x.iter().product(), TakeMode::Clip), x)
    });
    Ok(smallvec![by_data, d.zeros(1)?])
}

fn run_align(r: &Run<'_>) -> Result<()> {
    let (p, x, rois) = (r.p::<AlignParams>(), r.ins[0], r.ins[1]);
    let s = regions(x.dims(), rois.dims(), &p.pooled_size, p.spatial_scale)?;
    check(s, rois.span())?;
    align(p)?.pull(s, x.span(), rois.span(), r.outs[0].span());
    Ok(())
}

fn grad_align(d: &Vjp<'_>) -> Result<Grads> {
    let p = d.p::<AlignParams>();
    let back = AlignBack {
        pooled_size: p.pooled_size.clone(),
        spatial_scale: p.spatial_scale,
        sample_ratio: p.sample_ratio,
        position_sensitive: p.position_sensitive,
        aligned: p.aligned,
        shape: super::ints(d.in_dims(0)),
    };
    let by_data = d.needs(0).then(|| call_with(&ALIGN_BACK, &[d.grad(), d.input(1)], back));
    Ok(smallvec![by_data, d.zeros(1)?])
}

impl AlignBack {
    fn forward(&self) -> AlignParams {
        AlignParams {
            pooled_size: self.pooled_size.clone(),
            spatial_scale: self.spatial_scale,
            sample_ratio: self.sample_ratio,
            position_sensitive: self.position_sensitive,
            aligned: self.aligned,
        }
    }
}

fn shape_align_back(s: &mut Shapes<'_>) -> Result<()> {
    let p: &AlignBack = s.params.get();
    let x = dims(&p.shape)?;
    let [_, channels, ..] = planes(&x)?;
    let [h, w] = pair("pooled_size", &p.pooled_size)?;
    let channels = if p.position_sensitive { channels / (h * w) } else { channels };
    s.output(0, &x)?;
    s.want_partial(1, &Partial::from_sizes(&[-1, 5]))?;
    let rows = s.ins[1].dim(0).or(s.ins[0].dim(0)).map_or(-1, |n| n as i64);
    s.want_partial(1, &Partial::from_sizes(&[rows, 5]))?;
    s.want_partial(0, &Partial::from_sizes(&[rows, channels as i64, h as i64, w as i64]))
}

fn run_align_back(r: &Run<'_>) -> Result<()> {
    let (p, g, rois, out) = (r.p::<AlignBack>(), r.ins[0], r.ins[1], r.outs[0]);
    let s = regions(out.dims(), rois.dims(), &p.pooled_size, p.spatial_scale)?;
    check(s, rois.span())?;
    align(&p.forward())?.push(s, g.span(), rois.span(), out.span());
    Ok(())
}

fn grad_align_back(d: &Vjp<'_>) -> Result<Grads> {
    let forward = |g: &Array| call_with(&ROI_ALIGN, &[g, d.input(1)], d.p::<AlignBack>().forward());
    Ok(smallvec![d.needs(0).then(|| forward(d.grad())), d.zeros(1)?])
}

/// Rows of regions of `n` images of at most this size, one of them perhaps of no image.
fn rows(d: &mut Draw, count: usize, n: usize, [h, w]: [usize; 2]) -> Fill {
    let mut values = Vec::new();
    for _ in 0..count {
        let image = if d.int(0, 4) == 0 { -1.0 } else { d.int(0, n as i64 - 1) as f64 };
        let (x, y) = (d.real(-1.0, w as f64), d.real(-1.0, h as f64));
        values.extend([image, x, y, x + d.real(0.3, w as f64), y + d.real(0.3, h as f64)]);
    }
    Fill::Exact(values)
}

struct Drawn {
    case: Case,
    count: usize,
    bins: [usize; 2],
    data: [usize; 4],
    rois: Fill,
}

/// Sizes and regions; `whole` says how many planes a bin must have.
fn drawn(d: &mut Draw, own_planes: bool) -> Drawn {
    let (count, bins, size) = (d.size(1, 3), [d.size(1, 3), d.size(1, 2)], [d.size(2, 6), d.size(2, 6)]);
    let (n, channels) = (d.size(1, 2), d.size(1, 2) * if own_planes { bins[0] * bins[1] } else { 1 });
    let rois = rows(d, count, n, size);
    let case = Case::new().param("pooled_size", &bins[..]).param("spatial_scale", d.pick(&[1.0, 0.5]));
    Drawn { case, count, bins, data: [n, channels, size[0], size[1]], rois }
}

/// Parameters of the two operators that align.
fn aligned(d: &mut Draw) -> (Drawn, bool) {
    let own_planes = d.flip();
    let mut s = drawn(d, own_planes);
    let ratio = d.pick(&[-1i64, 1, 2]);
    s.case = s
        .case
        .param("sample_ratio", ratio)
        .param("position_sensitive", own_planes)
        .param("aligned", d.flip());
    (s, own_planes)
}

table! {
    ROI_POOLING = OpDef::new("ROIPooling", &["data", "rois"], run_pool).params::<Pool>().outputs(|_| 2, |_| 1)
        .doc("The largest value of each of `pooled_size` bins of regions of feature maps. A row of `rois` is (image, x1, y1, x2, y2); the \
              coordinates times `spatial_scale`, rounded, are its first and last pixels, and bin i of n has the rows from floor(i h/n) to \
              ceil((i+1) h/n) of the region's h. Empty bins, and regions with a negative image, are 0.")
        .shape(|s| shape_regions(s, &s.params.get::<Pool>().pooled_size.clone(), false)).dtype(types_pool)
        .vjp(Keep::output(1), grad_pool)
        .cases(|d| {
            let s = drawn(d, false);
            s.case.input(&s.data, Fill::Distinct(0.1)).input(&[s.count, 5], s.rois)
        });
    ROI_ALIGN = OpDef::new("_contrib_ROIAlign", &["data", "rois"], run_align).params::<AlignParams>()
        .doc("The mean of bilinear samples of each of `pooled_size` bins of regions of feature maps. A row of `rois` is (image, x1, y1, x2, y2); \
              coordinates are multiplied by `spatial_scale` and not rounded, and samples lie evenly in their bin. Samples more than a pixel outside \
              are 0. With `position_sensitive`, bin b of channel c comes from plane c bins + b.")
        .shape(|s| {
            let p = s.params.get::<AlignParams>().clone();
            align(&p)?;
            shape_regions(s, &p.pooled_size, p.position_sensitive)
        })
        .dtype(float_type).vjp(Keep::input(1), grad_align)
        .cases(|d| {
            let (s, _) = aligned(d);
            s.case.real(&s.data).input(&[s.count, 5], s.rois)
        });
    ALIGN_BACK = OpDef::new("_ks_roi_align_back", &["data", "rois"], run_align_back).params::<AlignBack>()
        .doc("The gradient of _contrib_ROIAlign.")
        .shape(shape_align_back).dtype(float_type).vjp(Keep::input(1), grad_align_back)
        .cases(|d| {
            let (s, own_planes) = aligned(d);
            let channels = if own_planes { s.data[1] / (s.bins[0] * s.bins[1]) } else { s.data[1] };
            s.case.real(&[s.count, channels, s.bins[0], s.bins[1]]).input(&[s.count, 5], s.rois).param("shape", &s.data[..])
        });
}
