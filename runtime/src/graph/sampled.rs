//! What a shape rule that needs whole shapes says of partly known ones. Most rules only go forward, from inputs that are known to
//! the last size; a graph knows, say, all but the batch. Such a rule is asked about many shapes that fit what is known, and
//! what it says of every one that it accepts is taken to hold.

use crate::error::Result;
use crate::ops::def::OpDef;
use crate::ops::infer::Shapes;
use crate::ops::params::Params;
use crate::shape::partial::Partial;

/// Sizes that stand for the unknown ones: small ones, where rules that cut or clip behave otherwise, and multiples of much.
const SIZES: [i64; 14] = [1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 24, 60, 120, 240];

/// How the sizes of several unknown axes go together: equal ones (square matrices, batches of two inputs), rising, falling.
const PATTERNS: [fn(i64, i64, i64) -> i64; 3] = [|v, _, _| v, |v, i, _| v * (i + 1), |v, i, n| v * (n - i)];

/// Adds to `outs`, and to inputs of which nothing is known, what the operator's rule says whatever the unknown sizes are.
/// At least two shapes must have been accepted: one could be the odd one.
pub fn infer(op: &OpDef, params: &Params, ins: &mut [Partial], outs: &mut [Partial]) -> Result<()> {
    let open = |x: &Partial| x.sizes().is_some() && !x.is_known();
    if !ins.iter().any(open)
        || (outs.iter().all(Partial::is_known) && ins.iter().all(|x| x.sizes().is_some()))
    {
        return Ok(());
    }
    let unknown = ins.iter().filter_map(Partial::sizes).flatten().filter(|d| **d < 0).count() as i64;
    let mut found: Option<(Vec<Partial>, Vec<Partial>)> = None;
    let mut accepted = 0;
    // All patterns are one where one size is unknown.
    for pattern in &PATTERNS[..if unknown > 1 { 3 } else { 1 }] {
        for size in SIZES {
            let mut at = 0;
            let mut filled: Vec<Partial> =
                ins.iter().map(|x| fill(x, |i| pattern(size, i, unknown), &mut at)).collect();
            let mut results = vec![Partial::UNKNOWN; outs.len()];
            if op.infer_shape(&mut Shapes { params, ins: &mut filled, outs: &mut results }).is_err() {
                continue;
            }
            accepted += 1;
            found = Some(match found {
                None => (filled, results),
                Some((a, b)) => (both(&a, &filled), both(&b, &results)),
            });
        }
    }
    let Some((inputs, results)) = found.filter(|_| accepted > 1) else { return Ok(()) };
    for (x, new) in ins.iter_mut().zip(&inputs).filter(|(x, _)| x.sizes().is_none()) {
        x.merge(new)?;
    }
    outs.iter_mut().zip(&results).try_for_each(|(x, new)| x.merge(new).map(drop))
}

/// A shape with its unknown sizes filled in; `at` counts them.
fn fill(x: &Partial, size: impl Fn(i64) -> i64, at: &mut i64) -> Partial {
    let Some(sizes) = x.sizes() else { return Partial::UNKNOWN };
    let mut next = |d: i64| {
        if d >= 0 {
            return d;
        }
        *at += 1;
        size(*at - 1)
    };
    Partial::from_sizes(&sizes.iter().map(|&d| next(d)).collect::<Vec<_>>())
}

/// What two lists of shapes have in common.
fn both(a: &[Partial], b: &[Partial]) -> Vec<Partial> {
    let common = |(a, b): (&Partial, &Partial)| match (a.sizes(), b.sizes()) {
        (Some(a), Some(b)) if a.len() == b.len() => Partial::from_sizes(
            &a.iter().zip(b).map(|(a, b)| if a == b { *a } else { -1 }).collect::<Vec<_>>(),
        ),
        _ => Partial::UNKNOWN,
    };
    a.iter().zip(b).map(common).collect()
}
