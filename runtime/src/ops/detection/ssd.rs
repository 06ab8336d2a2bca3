//! The three operators of single-shot detectors: anchors, targets for them, and detections from predictions.

use super::super::axes::named;
use super::super::def::{OpDef, Run};
use super::super::infer::Shapes;
use super::super::params::Params;
use super::super::samples::{Case, Draw, Fill};
use super::boxes::draw_boxes;
use super::{all, read, write};
use crate::error::Result;
use crate::kernels::boxes::{Box4, centre, decode, encode, iou, suppress};
use crate::kernels::{copy, par};
use crate::shape::show;

params! {
    /// What `_contrib_MultiBoxPrior` takes.
    pub struct Prior {
        sizes: Vec<f64> = vec![1.0], "sizes of anchors, as parts of the image";
        ratios: Vec<f64> = vec![1.0], "ratios of width to height";
        clip: bool = false, "whether anchors end at the border of the image";
        steps: Vec<f64> = vec![-1.0, -1.0], "distance of centres along y and x; even when negative";
        offsets: Vec<f64> = vec![0.5, 0.5], "place of the first centre along y and x, in steps";
    }
}

fn anchors(p: &Prior, x: &[usize]) -> Result<(usize, usize, usize)> {
    let [_, _, h, w, ..] = *x else { bail!(Shape, "(N, C, H, W) is wanted, got {}", show(x)) };
    if p.sizes.is_empty() || p.ratios.is_empty() || p.steps.len() != 2 || p.offsets.len() != 2 {
        bail!(Param, "at least one size and ratio and two steps and offsets are wanted");
    }
    if p.sizes.iter().chain(&p.ratios).any(|v| v.is_nan() || *v <= 0.0) {
        bail!(Param, "sizes and ratios must be positive, got {:?} and {:?}", p.sizes, p.ratios);
    }
    Ok((h, w, p.sizes.len() + p.ratios.len() - 1))
}

fn run_prior(r: &Run<'_>) -> Result<()> {
    let (p, out) = (r.p::<Prior>(), r.outs[0].span());
    let (h, w, each) = anchors(p, r.ins[0].dims())?;
    let step = |given: f64, n: usize| if given <= 0.0 { 1.0 / n as f64 } else { given };
    let (dy, dx) = (step(p.steps[0], h), step(p.steps[1], w));
    // Half sizes: all sizes with the first ratio, then the first size with the other ratios.
    let half =
        |size: f64, ratio: f64| (size * h as f64 / w as f64 * ratio.sqrt() / 2.0, size / ratio.sqrt() / 2.0);
    let shapes = p
        .sizes
        .iter()
        .map(|&s| half(s, p.ratios[0]))
        .chain(p.ratios[1..].iter().map(|&r| half(p.sizes[0], r)));
    let shapes: Vec<(f64, f64)> = shapes.collect();
    for at in 0..h * w {
        let (y, x) = ((at / w) as f64 + p.offsets[0], (at % w) as f64 + p.offsets[1]);
        for (k, (hw, hh)) in shapes.iter().enumerate() {
            let mut b = [x * dx - hw, y * dy - hh, x * dx + hw, y * dy + hh];
            if p.clip {
                b = b.map(|v| v.clamp(0.0, 1.0));
            }
            write(out, (at * each + k) * 4, &b);
        }
    }
    Ok(())
}

params! {
    /// What `_contrib_MultiBoxTarget` takes.
    pub struct Target {
        overlap_threshold: f64 = 0.5, "anchors that overlap an object by more than this are matched with it";
        ignore_label: f64 = -1.0, "target class of anchors that are left out";
        negative_mining_ratio: f64 = -1.0, "negatives for each positive, when positive; others are left out";
        negative_mining_thresh: f64 = 0.5, "anchors that overlap an object by this or more are no negatives";
        minimum_negative_samples: i64 = 0, "without effect";
        variances: Vec<f64> = vec![0.1, 0.1, 0.2, 0.2], "scales of the four target numbers";
    }
}

fn four(v: &[f64]) -> Result<[f64; 4]> {
    <[f64; 4]>::try_from(v).map_err(|_| err!(Param, "variances must be 4 numbers, got {}", v.len()))
}

fn shape_target(s: &mut Shapes<'_>) -> Result<()> {
    if !s.knows_inputs() {
        named(s, "1 n 4, b _ _, b _ n > b 4n, b 4n, b n")?;
    }
    let (Some(a), Some(l), Some(c)) = (s.input(0), s.input(1), s.input(2)) else { return Ok(()) };
    let ([1, n, 4], [batch, _, width], [b2, classes, n2]) = (&a[..], &l[..], &c[..]) else {
        bail!(
            Shape,
            "anchor (1, anchors, 4), label (batch, objects, 5) and cls_pred (batch, classes, anchors) are wanted, got {}, {} and {}",
            show(&a),
            show(&l),
            show(&c)
        );
    };
    if batch != b2 || n != n2 || *width < 5 || *classes == 0 {
        bail!(
            Shape,
            "anchor, label and cls_pred do not fit, got {}, {} and {}",
            show(&a),
            show(&l),
            show(&c)
        );
    }
    four(&s.params.get::<Target>().variances)?;
    s.output(0, &[*batch, n * 4])?;
    s.output(1, &[*batch, n * 4])?;
    s.output(2, &[*batch, *n])
}

/// What an anchor is in training.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Object(usize),
    Background,
    LeftOut,
}

/// The role of each anchor, given its overlap with each object.
fn roles(p: &Target, overlaps: &[Vec<f64>], objects: usize, background: impl Fn(usize) -> f64) -> Vec<Role> {
    let n = overlaps.len();
    let mut roles = vec![Role::LeftOut; n];
    // Every object gets the anchor that overlaps it most, the best pair first.
    let mut free = vec![true; objects];
    for _ in 0..objects {
        let mut best = (1e-6, None);
        for (j, row) in overlaps.iter().enumerate().filter(|(j, _)| roles[*j] == Role::LeftOut) {
            for k in (0..objects).filter(|&k| free[k]) {
                if row[k] > best.0 {
                    best = (row[k], Some((j, k)));
                }
            }
        }
        let Some((j, k)) = best.1 else { break };
        roles[j] = Role::Object(k);
        free[k] = false;
    }
    let most = |j: usize| {
        let max =
            |best: (f64, usize), k: usize| if overlaps[j][k] > best.0 { (overlaps[j][k], k) } else { best };
        (0..objects).fold((-1.0, 0), max)
    };
    if p.overlap_threshold > 0.0 {
        for (j, role) in roles.iter_mut().enumerate().filter(|(_, role)| **role == Role::LeftOut) {
            let (overlap, k) = most(j);
            if overlap > p.overlap_threshold {
                *role = Role::Object(k);
            }
        }
    }
    let left: Vec<usize> = (0..n).filter(|&j| roles[j] == Role::LeftOut).collect();
    if p.negative_mining_ratio <= 0.0 {
        left.iter().for_each(|&j| roles[j] = Role::Background);
        return roles;
    }
    // The negatives that are least like background are the most worth.
    let positive = n - left.len();
    let wanted = (positive as f64 * p.negative_mining_ratio) as usize;
    let mut hard: Vec<(f64, usize)> = left
        .into_iter()
        .filter(|&j| most(j).0 < p.negative_mining_thresh)
        .map(|j| (background(j), j))
        .collect();
    hard.sort_by(|a, b| a.0.total_cmp(&b.0));
    hard.iter().take(wanted).for_each(|&(_, j)| roles[j] = Role::Background);
    roles
}

fn run_target(r: &Run<'_>) -> Result<()> {
    let p = r.p::<Target>();
    let ([_, n, _], [batch, rows, width]) = (r.ins[0].dims(), r.ins[1].dims()) else {
        bail!(Internal, "shapes were checked")
    };
    let (n, rows, width, classes) = (*n, *rows, *width, r.ins[2].dims()[1]);
    let [loc, mask, cls] = std::array::from_fn(|i| r.outs[i].span());
    copy::fill(loc, 0.0);
    copy::fill(mask, 0.0);
    copy::fill(cls, p.ignore_label);
    let scale = four(&p.variances)?;
    par::chunks(*batch, 1, |_, range| {
        for b in range {
            let labels = all(r.ins[1].span(), b * rows * width, rows * width);
            // Objects end at the first row of class -1.
            let labels: Vec<&[f64]> = labels.chunks(width).take_while(|l| l[0] != -1.0).collect();
            if labels.is_empty() {
                continue;
            }
            let boxes: Vec<Box4> = labels.iter().map(|l| [l[1], l[2], l[3], l[4]]).collect();
            let anchor = |j: usize| -> Box4 { read(r.ins[0].span(), j * 4) };
            let overlaps: Vec<Vec<f64>> =
                (0..n).map(|j| boxes.iter().map(|o| iou(anchor(j), *o)).collect()).collect();
            let background = |j: usize| {
                let of = |c: usize| read::<1>(r.ins[2].span(), (b * classes + c) * n + j)[0];
                let max = (0..classes).map(of).fold(f64::NEG_INFINITY, f64::max);
                (of(0) - max).exp() / (0..classes).map(|c| (of(c) - max).exp()).sum::<f64>()
            };
            for (j, role) in roles(p, &overlaps, boxes.len(), background).into_iter().enumerate() {
                match role {
                    Role::LeftOut => {}
                    Role::Background => write(cls, b * n + j, &[0.0]),
                    Role::Object(k) => {
                        write(cls, b * n + j, &[labels[k][0] + 1.0]);
                        write(mask, (b * n + j) * 4, &[1.0; 4]);
                        write(loc, (b * n + j) * 4, &encode(anchor(j), boxes[k], scale));
                    }
                }
            }
        }
    });
    Ok(())
}

params! {
    /// What `_contrib_MultiBoxDetection` takes.
    pub struct Detect {
        clip: bool = true, "whether boxes end at the border of the image";
        threshold: f32 = 0.01, "least probability of a detection";
        background_id: i64 = 0, "without effect: the background is class 0";
        nms_threshold: f32 = 0.5, "boxes that overlap a better one by this or more go; not between 0 and 1: none does";
        force_suppress: bool = false, "whether boxes of other classes are removed too";
        variances: Vec<f64> = vec![0.1, 0.1, 0.2, 0.2], "scales of the four predicted numbers";
        nms_topk: i64 = -1, "how many of the best boxes stay, when positive";
    }
}

fn shape_detect(s: &mut Shapes<'_>) -> Result<()> {
    if !s.knows_inputs() {
        named(s, "b _ n, b 4n, 1 n 4 > b n 6")?;
    }
    let Some(c) = s.input(0) else { return Ok(()) };
    let [batch, _, n] = c[..] else {
        bail!(Shape, "cls_prob must be (batch, classes, anchors), got {}", show(&c))
    };
    four(&s.params.get::<Detect>().variances)?;
    s.want(1, &[batch, n * 4])?;
    s.want(2, &[1, n, 4])?;
    s.output(0, &[batch, n, 6])
}

/// Class, probability and box of the anchors that detect something.
fn detections(p: &Detect, scale: [f64; 4], prob: &[f64], loc: &[f64], anchors: &[f64]) -> Vec<[f64; 6]> {
    let n = anchors.len() / 4;
    let classes = prob.len() / n.max(1);
    let mut found = Vec::new();
    for j in 0..n {
        let best = (1..classes)
            .fold((-1.0, 0), |best, c| if prob[c * n + j] > best.0 { (prob[c * n + j], c) } else { best });
        if best.0 < f64::from(p.threshold) {
            continue;
        }
        let of = |v: &[f64]| -> [f64; 4] { std::array::from_fn(|k| v[j * 4 + k]) };
        let mut b = decode(centre(of(anchors)), of(loc), scale, f64::INFINITY);
        if p.clip {
            b = b.map(|v| v.clamp(0.0, 1.0));
        }
        // Classes are counted without the background.
        found.push([best.1 as f64 - 1.0, best.0, b[0], b[1], b[2], b[3]]);
    }
    found
}

fn run_detect(r: &Run<'_>) -> Result<()> {
    let (p, out) = (r.p::<Detect>(), r.outs[0].span());
    let [batch, classes, n] = *r.ins[0].dims() else { bail!(Internal, "shapes were checked") };
    let scale = four(&p.variances)?;
    let anchors = all(r.ins[2].span(), 0, n * 4);
    copy::fill(out, -1.0);
    par::chunks(batch, 1, |_, range| {
        for b in range {
            let prob = all(r.ins[0].span(), b * classes * n, classes * n);
            let mut found = detections(p, scale, &prob, &all(r.ins[1].span(), b * n * 4, n * 4), &anchors);
            if p.nms_threshold > 0.0 && p.nms_threshold <= 1.0 {
                let mut best = found.clone();
                best.sort_by(|a, b| b[1].total_cmp(&a[1]));
                if p.nms_topk > 0 {
                    best.truncate(p.nms_topk as usize);
                }
                let boxes: Vec<Box4> = best.iter().map(|d| [d[2], d[3], d[4], d[5]]).collect();
                let same = |i: usize, j: usize| p.force_suppress || best[i][0] == best[j][0];
                let kept = suppress(&boxes, same, |o| o >= f64::from(p.nms_threshold));
                // What goes keeps its numbers but loses its class; what was not looked at stays where it was.
                found.iter_mut().for_each(|d| d[0] = -1.0);
                for (i, (d, kept)) in best.iter().zip(kept).enumerate() {
                    found[i] = *d;
                    if !kept {
                        found[i][0] = -1.0;
                    }
                }
            }
            write(out, b * n * 6, found.as_flattened());
        }
    });
    Ok(())
}

fn target_case(d: &mut Draw) -> Case {
    let (batch, n, objects, classes) = (d.size(1, 2), d.size(1, 6), d.size(1, 3), d.size(2, 3));
    let anchors = draw_boxes(d, n);
    let mut labels = Vec::new();
    for _ in 0..batch * objects {
        labels.push(d.int(-1, classes as i64 - 2) as f64);
        labels.extend(draw_boxes(d, 1));
    }
    Case::new()
        .input(&[1, n, 4], Fill::Exact(anchors))
        .input(&[batch, objects, 5], Fill::Exact(labels))
        .input(&[batch, classes, n], Fill::Distinct(0.1))
        .param("overlap_threshold", 0.3)
        .param("negative_mining_ratio", d.pick(&[-1.0, 2.0]))
}

fn detect_case(d: &mut Draw) -> Case {
    let (batch, n, classes) = (d.size(1, 2), d.size(1, 6), d.size(2, 3));
    let (anchors, total) = (draw_boxes(d, n), batch * classes * n);
    let mut prob: Vec<f64> = (0..total).map(|i| (i as f64 + 0.5) / total as f64).collect();
    for i in (1..total).rev() {
        prob.swap(i, d.size(0, i));
    }
    Case::new()
        .input(&[batch, classes, n], Fill::Exact(prob))
        .real(&[batch, n * 4])
        .input(&[1, n, 4], Fill::Exact(anchors))
        .param("nms_threshold", 0.3)
        .param("nms_topk", d.int(-1, 3))
}

fn sizes(p: &Params, x: &[usize]) -> Result<[usize; 3]> {
    let (h, w, each) = anchors(p.get(), x)?;
    Ok([1, h * w * each, 4])
}

table! {
    MULTI_BOX_PRIOR = OpDef::new("_contrib_MultiBoxPrior", &["data"], run_prior).params::<Prior>()
        .doc("Anchors for every pixel of a feature map (N, C, H, W): boxes of all `sizes` with the first of `ratios`, and of the first size \
              with the other ratios, around its centre. Left, top, right, bottom, as parts of the image: (1, H*W*(sizes+ratios-1), 4).")
        .shape(|s| {
            let Some(x) = s.input(0) else { return Ok(()) };
            let dims = sizes(s.params, &x)?;
            s.output(0, &dims)
        })
        .zero_gradient("anchors do not depend on values")
        .cases(|d| {
            let case = Case::new().real(&[1, d.size(1, 3), d.size(1, 4), d.size(1, 4)]).param("clip", d.flip());
            case.param("sizes", "(0.5, 0.25)").param("ratios", "(1, 2, 0.5)")
        });
    MULTI_BOX_TARGET = OpDef::new("_contrib_MultiBoxTarget", &["anchor", "label", "cls_pred"], run_target).params::<Target>()
        .doc("What anchors are to learn of labels (class, left, top, right, bottom): where the object that each is matched with lies \
              relative to it, a mask of ones for those that are, and the class plus 1, 0 for background.")
        .outputs(|_| 3, |_| 3).output_names(&["loc_target", "loc_mask", "cls_target"]).shape(shape_target).zero_gradient("targets are constants").cases(target_case);
    MULTI_BOX_DETECTION = OpDef::new("_contrib_MultiBoxDetection", &["cls_prob", "loc_pred", "anchor"], run_detect).params::<Detect>()
        .doc("Detections from predictions: rows of class, probability and box, the best first, and non-maximum suppression among them. \
              Rows that were removed have class -1.")
        .shape(shape_detect).zero_gradient("detections are read, not trained through, as MXNet does").cases(detect_case);
}
