//! Non-maximum suppression: of boxes that overlap, the best one stays.

use super::super::def::{Keep, OpDef, Run};
use super::super::params::Params;
use super::super::samples::{Case, Draw, Fill};
use super::super::vjp::{Grads, Vjp};
use super::boxes::draw_boxes;
use super::{Format, all, write};
use crate::dtype::DType;
use crate::error::Result;
use crate::fluent::call;
use crate::kernels::boxes::{Box4, centre, corners, suppress};
use crate::kernels::{copy, par};
use crate::shape::{Dims, show};
use smallvec::smallvec;

params! {
    /// What `_contrib_box_nms` takes.
    pub struct Nms {
        overlap_thresh: f32 = 0.5, "boxes that overlap a better one by more than this go";
        valid_thresh: f32 = 0.0, "boxes whose score is not above this go";
        topk: i64 = -1, "how many of the best boxes are looked at, when positive";
        coord_start: i64 = 2, "place of the first coordinate in a row";
        score_index: i64 = 1, "place of the score in a row";
        id_index: i64 = -1, "place of the class in a row; negative when there is none";
        background_id: i64 = -1, "class whose boxes go, when not negative";
        force_suppress: bool = false, "whether boxes of other classes are removed too";
        in_format: Format = Format::Corner, "how boxes are given";
        out_format: Format = Format::Corner, "how boxes are returned";
    }
}

/// Boxes of a batch entry, and numbers of a row, checked.
fn rows(p: &Nms, x: &[usize]) -> Result<(usize, usize)> {
    let [.., n, width] = *x else { bail!(Shape, "(…, boxes, numbers) is wanted, got {}", show(x)) };
    let w = width as i64;
    if p.coord_start < 0 || p.coord_start > w - 4 || !(0..w).contains(&p.score_index) || p.id_index >= w {
        bail!(
            Param,
            "coord_start, score_index and id_index must lie in a row of {w}, got {}, {} and {}",
            p.coord_start,
            p.score_index,
            p.id_index
        );
    }
    Ok((n, width))
}

/// Rows that stay, in order.
fn choose(p: &Nms, data: &[f64], n: usize, width: usize) -> Vec<usize> {
    let at = |row: usize, i: i64| data[row * width + i as usize];
    let class = |row: usize| at(row, p.id_index).trunc();
    let mut order: Vec<usize> = (0..n)
        .filter(|&i| at(i, p.score_index) > f64::from(p.valid_thresh))
        .filter(|&i| p.id_index < 0 || p.background_id < 0 || at(i, p.id_index) != p.background_id as f64)
        .collect();
    order.sort_by(|&a, &b| at(b, p.score_index).total_cmp(&at(a, p.score_index)));
    if p.topk > 0 {
        order.truncate(p.topk as usize);
    }
    let boxes: Vec<Box4> = order
        .iter()
        .map(|&i| {
            let four = std::array::from_fn(|k| at(i, p.coord_start + k as i64));
            if p.in_format == Format::Center { corners(four) } else { four }
        })
        .collect();
    let one_class = p.force_suppress || p.id_index < 0;
    let kept = suppress(
        &boxes,
        |i, j| one_class || class(order[i]) == class(order[j]),
        |o| o > f64::from(p.overlap_thresh),
    );
    order.into_iter().zip(kept).filter_map(|(i, kept)| kept.then_some(i)).collect()
}

fn run_nms(r: &Run<'_>) -> Result<()> {
    let (p, x) = (r.p::<Nms>(), r.ins[0]);
    let (n, width) = rows(p, x.dims())?;
    let (out, index) = (r.outs[0].span(), r.outs[1].span());
    copy::fill(out, -1.0);
    copy::fill(index, -1.0);
    par::chunks(x.size() / (n * width).max(1), 1, |_, range| {
        for b in range {
            let data = all(x.span(), b * n * width, n * width);
            for (k, row) in choose(p, &data, n, width).into_iter().enumerate() {
                let mut values = data[row * width..(row + 1) * width].to_vec();
                let four = &mut values[p.coord_start as usize..][..4];
                let given: Box4 = std::array::from_fn(|i| four[i]);
                match (p.in_format, p.out_format) {
                    (Format::Center, Format::Corner) => four.copy_from_slice(&corners(given)),
                    (Format::Corner, Format::Center) => four.copy_from_slice(&centre(given)),
                    _ => {}
                }
                write(out, (b * n + k) * width, &values);
                write(index, b * n + k, &[row as f64]);
            }
        }
    });
    Ok(())
}

/// The gradient goes to the row that was taken, unchanged also where the format was changed, as MXNet does.
fn grad_nms(d: &Vjp<'_>) -> Result<Grads> {
    Ok(smallvec![d.grad_of(0).map(|g| call(&ROWS_BACK, &[g, d.output(1)], &Params::NONE))])
}

/// Copies rows of `width` between places `k` and `index[k]`; -1 is none. Other rows of `out` are 0.
fn run_rows(r: &Run<'_>, back: bool) -> Result<()> {
    let (x, index, out) = (r.ins[0], r.ins[1], r.outs[0]);
    let [.., n, width] = *x.dims() else { bail!(Shape, "rows are wanted, got {}", show(x.dims())) };
    copy::fill(out.span(), 0.0);
    let bytes = width * x.dtype().size();
    for (at, &i) in index.as_slice::<i32>().iter().enumerate() {
        let Some(i) = usize::try_from(i).ok().filter(|&i| i < n) else { continue };
        let other = at / n * n + i;
        let (from, to) = if back { (at, other) } else { (other, at) };
        // SAFETY: rows of the input and of the new output.
        unsafe {
            std::ptr::copy_nonoverlapping(
                x.span().bytes().add(from * bytes),
                out.span().bytes().add(to * bytes),
                bytes,
            )
        }
    }
    Ok(())
}

fn shape_rows(s: &mut super::super::infer::Shapes<'_>) -> Result<()> {
    let Some(x) = s.input(0) else { return Ok(()) };
    let Some((_, rows)) = x.split_last().filter(|(_, rows)| !rows.is_empty()) else {
        bail!(Shape, "rows are wanted, got {}", show(&x))
    };
    s.want(1, rows)?;
    s.output(0, &x)
}

fn type_rows(t: &mut super::super::infer::Types<'_>) -> Result<()> {
    if t.ins[1].is_some_and(|d| d != DType::I32) {
        bail!(Dtype, "indices must be int32, got {}", t.ins[1].unwrap_or_default());
    }
    t.ins[1] = Some(DType::I32);
    t.outs[0] = t.ins[0];
    Ok(())
}

fn case(d: &mut Draw) -> Case {
    let n = d.size(1, 6);
    let boxes = draw_boxes(d, n);
    let mut scores: Vec<f64> = (0..n).map(|i| 0.05 + 0.1 * i as f64).collect();
    for i in (1..n).rev() {
        scores.swap(i, d.size(0, i));
    }
    let rows = (0..n)
        .flat_map(|i| [d.int(0, 1) as f64, scores[i]].into_iter().chain(boxes[i * 4..][..4].to_vec()))
        .collect();
    let case = Case::new()
        .input(&[n, 6], Fill::Exact(rows))
        .param("overlap_thresh", 0.2)
        .param("id_index", d.int(-1, 0));
    case.param("topk", d.int(-1, 4))
        .param("out_format", d.pick(&["corner", "center"]))
        .param("force_suppress", d.flip())
}

table! {
    BOX_NMS = OpDef::new("_contrib_box_nms", &["data"], run_nms).aliases(&["_contrib_box_non_maximum_suppression"]).params::<Nms>()
        .doc("Rows of class, score and box, the best first, without those that overlap a better one of their class by more than \
              `overlap_thresh`. What is left of the output is -1.")
        .outputs(|_| 2, |_| 1)
        .shape(|s| {
            s.want_partial(0, &s.outs[0].clone())?;
            let Some(x) = s.input(0) else { return Ok(()) };
            rows(s.params.get(), &x)?;
            s.output(0, &x)?;
            let index: Dims = x[..x.len() - 1].into();
            s.output(1, &index)
        })
        .dtype(|t| {
            t.ins[0] = t.ins[0].or(t.outs[0]);
            t.outs[0] = t.ins[0];
            t.outs[1] = Some(DType::I32);
            Ok(())
        })
        .vjp(Keep::output(1), grad_nms).cases(case);
    ROWS_BACK = OpDef::new("_ks_rows_back", &["data", "index"], |r| run_rows(r, true))
        .doc("Zeros, with row k of `data` at row index[k]: the gradient of taking rows of which some are missing.")
        .shape(shape_rows).dtype(type_rows)
        .vjp(Keep::input(1), |d| Ok(smallvec![Some(call(&ROWS_TAKEN, &[d.grad(), d.input(1)], &Params::NONE)), d.zeros(1)?]))
        .no_samples("internal to the gradient of box_nms, and tested with it");
    ROWS_TAKEN = OpDef::new("_ks_rows_taken", &["data", "index"], |r| run_rows(r, false))
        .doc("Row k is row index[k] of `data`, or zeros where that is -1.")
        .shape(shape_rows).dtype(type_rows)
        .vjp(Keep::input(1), |d| Ok(smallvec![Some(call(&ROWS_BACK, &[d.grad(), d.input(1)], &Params::NONE)), d.zeros(1)?]))
        .no_samples("internal to the gradient of box_nms, and tested with it");
}
