//! Shape rules by names of axes: what is equal, and what is a multiple of what, among the axes of all inputs and outputs. Such a rule
//! goes in every direction, whatever is known.

use super::infer::Shapes;
use crate::error::Result;
use crate::shape::partial::Partial;
use smallvec::SmallVec;

/// An axis: a name and its factor, or a number, whose name is empty.
type Axis<'a> = (i64, &'a str);

fn axis(text: &str) -> Axis<'_> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    // What is too large for a number is no size either.
    (if digits == 0 { 1 } else { text[..digits].parse().unwrap_or(0) }, &text[digits..])
}

/// The axes of an operand, and whether there may be others in front.
fn operand(text: &str) -> (bool, SmallVec<[Axis<'_>; 6]>) {
    let more = text.trim_start().strip_prefix('*');
    (more.is_some(), more.unwrap_or(text).split_whitespace().map(axis).collect())
}

/// Learns from names: `"* m k, * k n > * m n"` is a product of batches of matrices. Inputs stand before `>`, outputs after it. A name
/// is one size wherever it occurs, `3c` three times that of `c`, a number itself; `_` is any size, and `*` in front the same further
/// axes everywhere.
pub fn named(s: &mut Shapes<'_>, rule: &str) -> Result<()> {
    let operands: SmallVec<[_; 8]> = rule.split([',', '>']).map(|text| (text, operand(text))).collect();
    let mut sizes: SmallVec<[(&str, i64); 8]> = SmallVec::new();
    let mut front = Partial::UNKNOWN;
    for ((i, (text, (more, axes))), shape) in
        operands.iter().enumerate().zip(s.ins.iter().chain(s.outs.iter()))
    {
        let Some(dims) = shape.sizes() else { continue };
        let wrong = || err!(Shape, "Shape inconsistent, operand {i} got {shape}, want ({})", text.trim());
        let others = dims.len().checked_sub(axes.len()).filter(|&n| *more || n == 0).ok_or_else(wrong)?;
        if *more {
            front.merge(&Partial::from_sizes(&dims[..others])).map_err(|_| wrong())?;
        }
        for (&size, &(factor, name)) in
            dims[others..].iter().zip(axes).filter(|(d, (_, name))| **d >= 0 && *name != "_")
        {
            let one = if name.is_empty() { size == factor } else { size.checked_rem(factor) == Some(0) };
            if !one {
                return Err(wrong());
            }
            if name.is_empty() {
                continue;
            }
            match sizes.iter().find(|known| known.0 == name) {
                Some(known) if known.1 != size / factor => return Err(wrong()),
                Some(_) => {}
                None => sizes.push((name, size / factor)),
            }
        }
    }
    for ((_, (more, axes)), shape) in operands.iter().zip(s.ins.iter_mut().chain(s.outs.iter_mut())) {
        let Some(others) = (if *more { front.sizes() } else { Some(&[][..]) }) else { continue };
        let size = |&(factor, name): &Axis<'_>| match sizes.iter().find(|known| known.0 == name) {
            Some(known) => known.1.checked_mul(factor).unwrap_or(-1),
            None if name.is_empty() => factor,
            None => -1,
        };
        let dims: SmallVec<[i64; 6]> = others.iter().copied().chain(axes.iter().map(size)).collect();
        shape.merge(&Partial::from_sizes(&dims))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::params::Params;

    fn learn(rule: &str, ins: &[&[i64]], outs: &[&[i64]]) -> Result<Vec<String>> {
        let of = |shapes: &[&[i64]]| -> Vec<Partial> {
            let shape = |d: &&[i64]| if d.is_empty() { Partial::UNKNOWN } else { Partial::from_sizes(d) };
            shapes.iter().map(shape).collect()
        };
        let (mut ins, mut outs) = (of(ins), of(outs));
        named(&mut Shapes { params: &Params::NONE, ins: &mut ins, outs: &mut outs }, rule)?;
        Ok(ins.iter().chain(&outs).map(Partial::to_string).collect())
    }

    #[test]
    fn sizes_go_in_every_direction() {
        let product = "* m k, * k n > * m n";
        assert_eq!(
            learn(product, &[&[7, -1, 3], &[]], &[&[-1, 2, 5]]).unwrap(),
            ["(7,2,3)", "(7,3,5)", "(7,2,5)"]
        );
        assert_eq!(learn(product, &[&[], &[-1, 4]], &[&[]]).unwrap(), ["(?,?)", "(?,4)", "(?,4)"]);
        assert_eq!(learn(product, &[&[], &[]], &[&[]]).unwrap(), ["unknown"; 3]);
        assert_eq!(
            learn("b c n, 1 n 4 > b 4n", &[&[], &[]], &[&[2, 24]]).unwrap(),
            ["(2,?,6)", "(1,6,4)", "(2,24)"]
        );
        assert_eq!(
            learn("_ k, _ k > _ k", &[&[2, 3], &[5, -1]], &[&[]]).unwrap(),
            ["(2,3)", "(5,3)", "(?,3)"]
        );
    }

    #[test]
    fn contradictions_are_refused() {
        for (rule, x, y) in [
            ("n n > n", &[2, 3][..], &[][..]),
            ("n > 4n", &[], &[6]),
            ("b 4 > b", &[-1, 5], &[]),
            ("b n > b n", &[1, 2, 3], &[]),
            ("* n n > * n", &[-1], &[]),
            ("* n n > * n", &[2, 3, 3], &[4, 3]),
            ("n > 0n", &[], &[0]),
        ] {
            assert!(learn(rule, &[x], &[y]).is_err(), "{rule}");
        }
    }
}
