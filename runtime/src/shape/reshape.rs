//! MXNet's reshape codes, as arithmetic.

use super::{Dims, show, size_of_dims};
use crate::error::Result;
use smallvec::SmallVec;

/// The shape that `codes` make of `dims`.
///
/// 0 copies an axis, -1 takes what is left, -2 copies all remaining axes, -3 merges two axes, -4 splits one axis into
/// the two numbers that follow (one of them may be -1), any other number is itself. `reverse` matches from the right.
/// The number of elements may shrink unless `exact`.
pub fn reshape(dims: &[usize], codes: &[i64], reverse: bool, exact: bool) -> Result<Dims> {
    let fail = |what: &str| err!(Shape, "{what}, got codes {codes:?} for shape {}", show(dims));
    let known: Sizes = dims.iter().map(|&d| d as i64).collect();
    let (mut out, inferred) = follow(&known, codes, reverse)?;
    let size = size_of_dims(dims)?;
    if let Some(at) = inferred {
        let others = out.iter().filter(|&&d| d != -1);
        let rest = others.copied().try_fold(1i64, i64::checked_mul);
        let rest = rest.ok_or_else(|| fail("the axes are too large"))?;
        if rest <= 0 {
            return Err(fail("an axis cannot be inferred beside an axis of 0"));
        }
        out[at] = size as i64 / rest;
    }
    let dims_out: Dims = out.iter().map(|&d| d as usize).collect();
    let n = size_of_dims(&dims_out)?;
    if n > size || (exact && n != size) {
        bail!(
            Shape,
            "cannot reshape {size} elements of shape {} into shape {} of {n}",
            show(dims),
            show(&dims_out)
        );
    }
    Ok(dims_out)
}

/// Sizes; -1 is unknown.
type Sizes = SmallVec<[i64; 6]>;

/// The axes that the codes of [`reshape`] make one by one of axes of which some are unknown, and which of them has the code -1, which
/// no single axis tells.
pub fn follow(dims: &[i64], codes: &[i64], reverse: bool) -> Result<(Sizes, Option<usize>)> {
    let fail = |what: &str| {
        err!(
            Shape,
            "{what}, got codes {codes:?} for shape {}",
            crate::shape::partial::Partial::from_sizes(dims)
        )
    };
    let mut from: Sizes = dims.into();
    let mut codes_in: Sizes = codes.into();
    if reverse {
        from.reverse();
        codes_in.reverse();
        // -4 a b reads b a -4 from the right; put it back in order.
        for i in 2..codes_in.len() {
            if codes_in[i] == -4 {
                codes_in.swap(i - 2, i);
            }
        }
    }
    let mut out = Sizes::new();
    let (mut i, mut src, mut inferred) = (0, 0, None);
    while i < codes_in.len() {
        match codes_in[i] {
            0 => {
                out.push(*from.get(src).ok_or_else(|| fail("code 0 has no axis to copy"))?);
                src += 1;
            }
            -1 => {
                if inferred.replace(out.len()).is_some() {
                    return Err(fail("only one axis can be inferred (-1)"));
                }
                out.push(-1);
                src += 1;
            }
            -2 => {
                while src < from.len() {
                    out.push(from[src]);
                    src += 1;
                }
            }
            -3 => {
                if src + 1 >= from.len() {
                    return Err(fail("code -3 wants two axes to merge"));
                }
                let (a, b) = (from[src], from[src + 1]);
                let merged = if a < 0 || b < 0 { Some(-1) } else { a.checked_mul(b) };
                out.push(merged.ok_or_else(|| fail("code -3 merges two axes into one that is too large"))?);
                src += 2;
            }
            -4 => {
                let d = *from.get(src).ok_or_else(|| fail("code -4 has no axis to split"))?;
                let (Some(&a), Some(&b)) = (codes_in.get(i + 1), codes_in.get(i + 2)) else {
                    return Err(fail("code -4 wants two numbers after it"));
                };
                let (a, b) = match (a, b) {
                    (-1, -1) => return Err(fail("code -4 can infer only one of its two numbers")),
                    (-1, b) if b > 0 && d >= 0 => (d / b, b),
                    (a, -1) if a > 0 && d >= 0 => (a, d / a),
                    (a, b) => (a, b),
                };
                let open = |n: i64| d < 0 && n == -1;
                let splits =
                    (a > 0 || open(a)) && (b > 0 || open(b)) && (d < 0 || a.checked_mul(b) == Some(d));
                if !splits {
                    return Err(fail(&format!("code -4 cannot split {d} into {a} and {b}")));
                }
                let (a, b) = if reverse { (b, a) } else { (a, b) };
                out.extend([a, b]);
                src += 1;
                i += 2;
            }
            n if n > 0 => {
                out.push(n);
                src += 1;
            }
            n => return Err(fail(&format!("unknown code {n}"))),
        }
        i += 1;
    }
    if reverse {
        out.reverse();
        inferred = inferred.map(|at| out.len() - 1 - at);
    }
    Ok((out, inferred))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn r(dims: &[usize], codes: &[i64], reverse: bool) -> Vec<usize> {
        reshape(dims, codes, reverse, true).unwrap().to_vec()
    }

    #[test]
    fn codes_do_what_the_documentation_says() {
        assert_eq!(r(&[2, 3, 4], &[4, 0, 2], false), [4, 3, 2]);
        assert_eq!(r(&[2, 3, 4], &[2, 0, 0], false), [2, 3, 4]);
        assert_eq!(r(&[2, 3, 4], &[6, 1, -1], false), [6, 1, 4]);
        assert_eq!(r(&[2, 3, 4], &[2, -2], false), [2, 3, 4]);
        assert_eq!(r(&[2, 3, 4], &[-2, 1, 1], false), [2, 3, 4, 1, 1]);
        assert_eq!(r(&[2, 3, 4, 5], &[-3, -3], false), [6, 20]);
        assert_eq!(r(&[2, 3, 4], &[-4, 1, 2, -2], false), [1, 2, 3, 4]);
        assert_eq!(r(&[2, 3, 4], &[2, -4, -1, 3, -2], false), [2, 1, 3, 4]);
        assert_eq!(r(&[10, 5, 4], &[-1, 0], false), [40, 5]);
        assert_eq!(r(&[10, 5, 4], &[-1, 0], true), [50, 4]);
        assert_eq!(r(&[8, 3], &[-4, 2, 4, 0], true), [2, 4, 3]);
        assert_eq!(r(&[8, 3], &[-4, -1, 4, 0], true), [2, 4, 3]);
    }

    #[test]
    fn axes_follow_from_those_that_are_known() {
        let f = |dims: &[i64], codes: &[i64], reverse| follow(dims, codes, reverse).unwrap().0.to_vec();
        assert_eq!(f(&[-1, -1, 4], &[2, -4, -1, 3, -2], false), [2, -1, 3, 4]);
        assert_eq!(f(&[-1, 3, 4], &[-4, 1, 2, -2], false), [1, 2, 3, 4]);
        assert_eq!(f(&[2, 3, -1, 5], &[-3, -3], false), [6, -1]);
        assert_eq!(f(&[-1, 6, 4], &[-1, 0], true), [-1, 4]);
        assert_eq!(f(&[-1, 3], &[-4, -1, 4, 0], true), [-1, 4, 3]);
        assert_eq!(follow(&[-1, 6, 4], &[0, -1], true).unwrap().1, Some(1));
        assert!(follow(&[-1, 3], &[-4, 0, 2, 0], false).is_err());
        assert!(follow(&[-1], &[0, 0], false).is_err());
    }

    #[test]
    fn nonsense_is_refused() {
        for codes in
            [&[-1, -1][..], &[7], &[-5], &[0, 0, 0], &[-3, -3], &[-4, 2], &[-4, 5, 5, 0], &[-1, 0, 0, 0]]
        {
            assert!(reshape(&[2, 3], codes, false, true).is_err(), "{codes:?}");
        }
        assert_eq!(reshape(&[24], &[5, -1], false, false).unwrap().as_slice(), [5, 4]);
        assert!(reshape(&[24], &[5, -1], false, true).is_err());
    }
}
