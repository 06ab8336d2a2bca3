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

/// One unknown size is looked for among those up to here, and is taken to be the only one if none up to twice that fits.
const FAR: i64 = 256;

/// Inputs and outputs.
type Both = (Vec<Partial>, Vec<Partial>);

/// Adds to `outs`, and to inputs of which nothing or but one size is unknown, what the operator's rule says whatever the unknown
/// sizes are.
pub fn infer(op: &OpDef, params: &Params, ins: &mut [Partial], outs: &mut [Partial]) -> Result<()> {
    let open = |x: &Partial| x.sizes().unwrap_or(&[]).iter().filter(|d| **d < 0).count() as i64;
    let unknown: i64 = ins.iter().map(open).sum();
    let ranks = ins.iter().all(|x| x.sizes().is_some());
    if unknown == 0 || (unknown > 1 && ranks && outs.iter().all(Partial::is_known)) {
        return Ok(());
    }
    // What the rule says if the unknown sizes are these. What is known of the outputs may refuse one; several unknown ones would
    // have to be tried in all combinations for that.
    let blank = vec![Partial::UNKNOWN; outs.len()];
    let told: &[Partial] = if unknown == 1 { outs } else { &blank };
    let ask = |size: &dyn Fn(i64) -> i64| -> Option<Both> {
        let mut at = 0;
        let mut filled: Vec<Partial> = ins.iter().map(|x| fill(x, size, &mut at)).collect();
        let mut results = told.to_vec();
        op.infer_shape(&mut Shapes { params, ins: &mut filled, outs: &mut results }).ok()?;
        Some((filled, results))
    };
    // All patterns are one where one size is unknown.
    let tried = &PATTERNS[..if unknown > 1 { PATTERNS.len() } else { 1 }];
    let mut fits: Vec<(i64, Both)> = Vec::new();
    for pattern in tried {
        fits.extend(SIZES.iter().filter_map(|&n| Some((n, ask(&|i| pattern(n, i, unknown))?))));
    }
    if unknown == 1 && fits.len() < 2 {
        fits = (1..=2 * FAR).filter_map(|n| Some((n, ask(&|_| n)?))).collect();
    }
    let count = fits.len();
    let nearest = fits.first().map_or(0, |f| f.0);
    let common = |a: Both, b: Both| (both(&a.0, &b.0), both(&a.1, &b.1));
    let Some((inputs, results)) = fits.into_iter().map(|f| f.1).reduce(common) else { return Ok(()) };
    let sure = match unknown {
        1 => count > 1 || nearest <= FAR,
        // Where one of several sizes was the same in all that were accepted, others may do in other combinations.
        _ => count > 1 && ins.iter().zip(&inputs).all(|(x, new)| x.sizes().is_none() || open(x) == open(new)),
    };
    if !sure {
        return Ok(());
    }
    for (x, new) in ins.iter_mut().zip(&inputs).filter(|(x, _)| unknown == 1 || x.sizes().is_none()) {
        x.merge(new)?;
    }
    outs.iter_mut().zip(&results).try_for_each(|(x, new)| x.merge(new).map(drop))
}

/// A shape with its unknown sizes filled in; `at` counts them.
fn fill(x: &Partial, size: &dyn Fn(i64) -> i64, at: &mut i64) -> Partial {
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
