//! Overlaps of boxes, and boxes relative to anchors.

use super::super::axes::named;
use super::super::def::{OpDef, Run};
use super::super::infer::{Shapes, Types};
use super::super::samples::{Case, Draw, Fill};
use super::{Format, read, write};
use crate::error::Result;
use crate::kernels::boxes::{Box4, centre, corners, decode, encode, iou};
use crate::kernels::par;
use crate::shape::{Dims, show};

params! {
    /// What `_contrib_box_iou` takes.
    pub struct Iou {
        format: Format = Format::Corner, "how boxes are given: left, top, right, bottom; or centre, width, height";
    }
}

params! {
    /// What `_contrib_box_decode` takes.
    pub struct Decode {
        std0: f64 = 1.0, "scale of the shift along x";
        std1: f64 = 1.0, "scale of the shift along y";
        std2: f64 = 1.0, "scale of the logarithm of the width";
        std3: f64 = 1.0, "scale of the logarithm of the height";
        clip: f64 = -1.0, "largest logarithm, when positive";
        format: Format = Format::Center, "how the anchors are given";
    }
}

/// The shape without the last axis, which holds the four numbers of a box.
fn listed<'a>(x: &'a [usize], name: &str) -> Result<&'a [usize]> {
    match x.split_last() {
        Some((4, rest)) => Ok(rest),
        _ => bail!(Shape, "{name} must hold 4 numbers for each box, got {}", show(x)),
    }
}

fn shape_iou(s: &mut Shapes<'_>) -> Result<()> {
    let (Some(a), Some(b)) = (s.input(0), s.input(1)) else { return Ok(()) };
    let out: Dims = listed(&a, "lhs")?.iter().chain(listed(&b, "rhs")?).copied().collect();
    s.output(0, &out)
}

fn run_iou(r: &Run<'_>) -> Result<()> {
    let (a, b, out) = (r.ins[0].span(), r.ins[1].span(), r.outs[0].span());
    let format = r.p::<Iou>().format;
    let of = |x, i: usize| -> Box4 {
        let four = read(x, i * 4);
        if format == Format::Center { corners(four) } else { four }
    };
    let n = b.len() / 4;
    let others: Vec<Box4> = (0..n).map(|j| of(b, j)).collect();
    par::chunks(a.len() / 4, (1 << 12) / n.max(1), |_, range| {
        let mut row = vec![0.0; n];
        for i in range {
            let a = of(a, i);
            row.iter_mut().zip(&others).for_each(|(o, b)| *o = iou(a, *b));
            write(out, i * n, &row);
        }
    });
    Ok(())
}

fn shape_encode(s: &mut Shapes<'_>) -> Result<()> {
    if !s.knows_inputs() {
        named(s, "b n, b n, b n 4, b _ 4, 4, 4 > b n 4, b n 4")?;
    }
    let Some(anchors) = s.input(2) else { return Ok(()) };
    let [batch, n, 4] = anchors[..] else {
        bail!(Shape, "anchors must be (batch, boxes, 4), got {}", show(&anchors))
    };
    s.want(0, &[batch, n])?;
    s.want(1, &[batch, n])?;
    if let Some(refs) = s.input(3)
        && (refs.len() != 3 || refs[0] != batch || refs[2] != 4)
    {
        bail!(Shape, "refs must be ({batch}, boxes, 4), got {}", show(&refs));
    }
    s.want(4, &[4])?;
    s.want(5, &[4])?;
    s.output(0, &anchors)?;
    s.output(1, &anchors)
}

fn run_encode(r: &Run<'_>) -> Result<()> {
    let [samples, matches, anchors, refs, means, stds] = std::array::from_fn(|i| r.ins[i].span());
    let (n, m) = (r.ins[2].dims()[1], r.ins[3].dims()[1]);
    let (means, stds): ([f64; 4], [f64; 4]) = (read(means, 0), read(stds, 0));
    for i in 0..samples.len() {
        let [sample] = read(samples, i);
        let [found] = read(matches, i);
        let (mut code, mut mask) = ([0.0; 4], [0.0; 4]);
        if sample > 0.5 {
            if !(0.0..m as f64).contains(&found) {
                bail!(Shape, "a match is outside of refs, got {found}, want 0 to {}", m as i64 - 1);
            }
            let of = read(refs, (i / n * m + found as usize) * 4);
            code = encode(read(anchors, i * 4), of, [1.0; 4]);
            code = std::array::from_fn(|k| (code[k] - means[k]) / stds[k]);
            mask = [1.0; 4];
        }
        write(r.outs[0].span(), i * 4, &code);
        write(r.outs[1].span(), i * 4, &mask);
    }
    Ok(())
}

fn shape_decode(s: &mut Shapes<'_>) -> Result<()> {
    if !s.knows_inputs() {
        named(s, "b n 4, 1 n 4 > b n 4")?;
    }
    let Some(x) = s.input(0) else { return Ok(()) };
    let [_, n, 4] = x[..] else { bail!(Shape, "data must be (batch, boxes, 4), got {}", show(&x)) };
    s.want(1, &[1, n, 4])?;
    s.output(0, &x)
}

fn run_decode(r: &Run<'_>) -> Result<()> {
    let (p, x, anchors, out) = (r.p::<Decode>(), r.ins[0].span(), r.ins[1].span(), r.outs[0].span());
    let n = r.ins[0].dims()[1];
    let scale = [p.std0, p.std1, p.std2, p.std3];
    let most = if p.clip > 0.0 { p.clip } else { f64::INFINITY };
    par::chunks(x.len() / 4, 1 << 10, |_, range| {
        for i in range {
            let anchor = read(anchors, i % n * 4);
            let anchor = if p.format == Format::Corner { centre(anchor) } else { anchor };
            write(out, i * 4, &decode(anchor, read(x, i * 4), scale, most));
        }
    });
    Ok(())
}

/// All inputs and outputs have the dtype of the first that is known.
fn same(t: &mut Types<'_>) -> Result<()> {
    super::super::infer::same_type(t)
}

/// Corners of boxes in the unit square, `n` of them.
pub(super) fn draw_boxes(d: &mut Draw, n: usize) -> Vec<f64> {
    (0..n)
        .flat_map(|_| {
            let (x, y) = (d.real(0.0, 0.6), d.real(0.0, 0.6));
            [x, y, x + d.real(0.1, 0.4), y + d.real(0.1, 0.4)]
        })
        .collect()
}

table! {
    BOX_IOU = OpDef::new("_contrib_box_iou", &["lhs", "rhs"], run_iou).params::<Iou>()
        .doc("How much each box of `lhs` and each of `rhs` overlap: area of the intersection over that of the union.")
        .shape(shape_iou).zero_gradient("overlaps choose boxes and are taken as constants, as MXNet does")
        .cases(|d| {
            let (n, m) = (d.size(1, 4), d.size(1, 4));
            let (a, b) = (draw_boxes(d, n), draw_boxes(d, m));
            Case::new().input(&[n, 4], Fill::Exact(a)).input(&[m, 4], Fill::Exact(b)).param("format", d.pick(&["corner", "center"]))
        });
    BOX_ENCODE = OpDef::new("_contrib_box_encode", &["samples", "matches", "anchors", "refs", "means", "stds"], run_encode)
        .doc("For each anchor whose sample is positive, where the box that it was matched with lies relative to it: shift of the centre \
              and logarithm of the sizes, less the means, divided by the deviations; and a mask of ones there.")
        .outputs(|_| 2, |_| 2).shape(shape_encode).dtype(same)
        .zero_gradient("targets are constants")
        .cases(|d| {
            let (batch, n, m) = (d.size(1, 2), d.size(1, 4), d.size(1, 3));
            let (a, b) = (draw_boxes(d, batch * n), draw_boxes(d, batch * m));
            Case::new().input(&[batch, n], Fill::Whole(-1, 2)).input(&[batch, n], Fill::Whole(0, m as i64))
                .input(&[batch, n, 4], Fill::Exact(a)).input(&[batch, m, 4], Fill::Exact(b))
                .input(&[4], Fill::Exact(vec![0.0, 0.1, 0.0, -0.1])).input(&[4], Fill::Exact(vec![0.1, 0.1, 0.2, 0.2]))
        });
    BOX_DECODE = OpDef::new("_contrib_box_decode", &["data", "anchors"], run_decode).params::<Decode>()
        .doc("The corners of boxes that are given relative to anchors: the inverse of box_encode.")
        .shape(shape_decode).dtype(same).zero_gradient("taken as a constant, as MXNet does")
        .cases(|d| {
            let (batch, n) = (d.size(1, 3), d.size(1, 4));
            let anchors = draw_boxes(d, n);
            Case::new().real(&[batch, n, 4]).input(&[1, n, 4], Fill::Exact(anchors)).param("clip", 1.5)
                .param("format", d.pick(&["corner", "center"]))
        });
}
