//! Counting values into bins, and whether two arrays are nearly the same.

use super::super::def::{OpDef, Run};
use super::super::infer::{Shapes, Types};
use super::super::samples::{Case, Fill};
use crate::dtype::{DType, Elem};
use crate::error::Result;
use crate::kernels::copy;
use crate::shape::{Dims, show};

params! {
    /// What `_histogram` takes.
    pub struct Bins {
        bin_cnt: Option<i64> = None, "number of bins of one width; without it the edges are the second input";
        range: Option<Vec<f64>> = None, "lower and upper end of all bins";
    }
}

/// Count and ends of even bins; `None` when the edges are an input.
fn even(p: &Bins) -> Result<Option<(usize, f64, f64)>> {
    let Some(n) = p.bin_cnt else { return Ok(None) };
    let Some(count) = usize::try_from(n).ok().filter(|n| (1..=1 << 40).contains(n)) else {
        bail!(Param, "bin_cnt must be positive, got {n}")
    };
    match p.range.as_deref() {
        Some(&[low, high]) if low < high => Ok(Some((count, low, high))),
        other => bail!(Param, "range must be two rising numbers when bin_cnt is given, got {other:?}"),
    }
}

fn shape_histogram(s: &mut Shapes<'_>) -> Result<()> {
    let count = match even(s.params.get())? {
        Some((n, ..)) => n,
        None => {
            let Some(edges) = s.input(1) else { return Ok(()) };
            match edges.as_slice() {
                [n] if *n >= 2 => n - 1,
                _ => bail!(Shape, "at least two edges are wanted, got {}", show(&edges)),
            }
        }
    };
    s.output(0, &[count])?;
    s.output(1, &[count + 1])
}

fn type_histogram(t: &mut Types<'_>) -> Result<()> {
    t.outs[0] = Some(DType::I64);
    if let [x, edges] = t.ins {
        let d = x.or(*edges);
        if let (Some(a), Some(b)) = (*x, *edges)
            && a != b
        {
            bail!(Dtype, "dtypes must be the same, input 1 got {b}, want {a}");
        }
        (*x, *edges) = (d, d);
    }
    t.outs[1] = t.ins[0];
    Ok(())
}

fn run_histogram(r: &Run<'_>) -> Result<()> {
    let (x, counts, edges) = (r.ins[0], r.outs[0], r.outs[1]);
    let even = even(r.p())?;
    with_dtype!(x.dtype(), T => {
        // SAFETY: the output is new and this thread's alone.
        let e = unsafe { edges.span().slice_mut::<T>() };
        match even {
            Some((n, low, high)) => e.iter_mut().enumerate().for_each(|(i, e)| {
                *e = T::from_f64(if i == n { high } else { low + (high - low) * i as f64 / n as f64 });
            }),
            None => copy::cast(r.ins[1].span(), edges.span()),
        }
        if let Some(i) = (1..e.len()).find(|&i| !matches!(e[i - 1].partial_cmp(&e[i]), Some(std::cmp::Ordering::Less | std::cmp::Ordering::Equal))) {
            bail!(Param, "edges must rise, got {:?} after {:?}", e[i], e[i - 1]);
        }
        // SAFETY: as above.
        let counts = unsafe { counts.span().slice_mut::<i64>() };
        counts.fill(0);
        let last = counts.len();
        for v in x.as_slice::<T>() {
            if *v >= e[0] && *v <= e[last] {
                // The bin whose lower edge is the last one not above the value; the uppermost edge belongs to the last bin.
                counts[(e.partition_point(|edge| edge <= v)).clamp(1, last) - 1] += 1;
            }
        }
    });
    Ok(())
}

params! {
    /// What `_contrib_allclose` takes.
    pub struct Close {
        rtol: f64 = 1e-5f32 as f64, "part of |b| by which the two may differ";
        atol: f64 = 1e-8f32 as f64, "by how much more they may differ";
        equal_nan: bool = true, "whether NaN equals NaN";
    }
}

fn run_allclose(r: &Run<'_>) -> Result<()> {
    let (a, b, p) = (r.ins[0], r.ins[1], r.p::<Close>());
    let close = with_dtype!(a.dtype(), T => {
        a.as_slice::<T>().iter().zip(b.as_slice::<T>()).all(|(a, b)| {
            let (a, b) = (a.to_f64(), b.to_f64());
            a == b || (a - b).abs() <= p.atol + p.rtol * b.abs() || (p.equal_nan && a.is_nan() && b.is_nan())
        })
    });
    // SAFETY: the output is new and this thread's alone.
    unsafe { r.outs[0].span().slice_mut::<u8>() }.fill(close.into());
    Ok(())
}

table! {
    HISTOGRAM = OpDef::new("_histogram", &["data", "bins"], run_histogram).params::<Bins>()
        .doc("How many elements fall into each bin, as int64, and the edges of the bins. A bin holds its lower edge, the last one its \
              upper edge too. Edges are the second input, or follow from `bin_cnt` and `range`.")
        .arity(|p| if p.get::<Bins>().bin_cnt.is_some() { 1 } else { 2 })
        .outputs(|_| 2, |_| 2).shape(shape_histogram).dtype(type_histogram)
        .zero_gradient("counts are piecewise constant")
        .cases(|d| {
            let dims: Dims = d.shape(1, 3);
            let case = Case::new().real(&dims);
            if d.flip() {
                case.param("bin_cnt", d.size(1, 6)).param("range", "(-1.0, 1.5)")
            } else {
                case.input(&[4], Fill::Exact(vec![-1.0, -0.25, 0.5, 1.75]))
            }
        });
    ALLCLOSE = OpDef::new("_contrib_allclose", &["a", "b"], run_allclose).params::<Close>()
        .doc("1 when |a - b| <= atol + rtol * |b| holds for all elements, else 0: a uint8 without axes.")
        .shape(|s| {
            let (a, b) = (s.ins[0].clone(), s.ins[1].clone());
            s.want_partial(0, &b)?;
            s.want_partial(1, &a)?;
            s.output(0, &[])
        })
        .dtype(|t| {
            let mut both = [t.ins[0], t.ins[1]];
            super::super::infer::same_type(&mut Types { params: t.params, ins: &mut both, outs: &mut [] })?;
            t.ins.copy_from_slice(&both);
            t.outs[0] = Some(DType::U8);
            Ok(())
        })
        .zero_gradient("piecewise constant").samples(-2.0, 2.0);
}
