//! Pairing rows and columns, the best first.

use super::super::def::{OpDef, Run};
use super::super::infer::Shapes;
use super::super::samples::{Case, Fill};
use super::{all, write};
use crate::error::Result;
use crate::kernels::par;
use crate::shape::{Dims, show};

params! {
    /// What `_contrib_bipartite_matching` takes.
    pub struct Matching {
        is_ascend: bool = false, "whether small scores are better";
        threshold: f32, "scores that are not better than this make no pair";
        topk: i64 = -1, "as in MXNet one less than the largest number of pairs, when positive";
    }
}

fn shape_matching(s: &mut Shapes<'_>) -> Result<()> {
    let Some(x) = s.input(0) else { return Ok(()) };
    let [batch @ .., rows, columns] = x.as_slice() else {
        bail!(Shape, "matrices are wanted, got {}", show(&x))
    };
    let with = |n: &usize| batch.iter().chain([n]).copied().collect::<Dims>();
    s.output(0, &with(rows))?;
    s.output(1, &with(columns))
}

fn run_matching(r: &Run<'_>) -> Result<()> {
    let (p, x) = (r.p::<Matching>(), r.ins[0]);
    let [.., rows, columns] = *x.dims() else { bail!(Shape, "matrices are wanted, got {}", show(x.dims())) };
    let size = rows * columns;
    if size == 0 {
        r.outs.iter().for_each(|o| crate::kernels::copy::fill(o.span(), -1.0));
        return Ok(());
    }
    par::chunks(x.size() / size, 1, |_, range| {
        for i in range {
            let scores = all(x.span(), i * size, size);
            let mut order: Vec<usize> = (0..size).collect();
            order.sort_by(|&a, &b| {
                let c = scores[a].total_cmp(&scores[b]);
                if p.is_ascend { c } else { c.reverse() }
            });
            let (mut of_row, mut of_column) = (vec![-1.0; rows], vec![-1.0; columns]);
            let mut pairs = 0;
            for at in order {
                let threshold = f64::from(p.threshold);
                let better = if p.is_ascend { scores[at] < threshold } else { scores[at] > threshold };
                if !better || (p.topk > 0 && pairs > p.topk) {
                    break;
                }
                let (row, column) = (at / columns, at % columns);
                if of_row[row] < 0.0 && of_column[column] < 0.0 {
                    of_row[row] = column as f64;
                    of_column[column] = row as f64;
                    pairs += 1;
                }
            }
            write(r.outs[0].span(), i * rows, &of_row);
            write(r.outs[1].span(), i * columns, &of_column);
        }
    });
    Ok(())
}

table! {
    BIPARTITE_MATCHING = OpDef::new("_contrib_bipartite_matching", &["data"], run_matching).params::<Matching>()
        .doc("Pairs rows and columns of a matrix of scores, the best score first, each at most once. The first output has for each row \
              its column, the second for each column its row; -1 where there is none.")
        .outputs(|_| 2, |_| 2).shape(shape_matching).zero_gradient("indices are piecewise constant")
        .cases(|d| {
            let dims: Dims = [2, d.size(1, 4), d.size(1, 4)][d.size(0, 1)..].into();
            Case::new().input(&dims, Fill::Distinct(0.05)).param("threshold", 0.02).param("is_ascend", d.flip()).param("topk", d.int(-1, 3))
        });
}
