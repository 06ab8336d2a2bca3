//! Einstein's summation: `einsum("bij,bjk->bik", …)`. A composition of recorded operators (transpose, reshape, batch_dot,
//! sum), so that it has gradients of every order.
//!
//! Operands are contracted two at a time, the pair with the smallest result first. Each pair is one batched matrix
//! product of (batch, rows, inner) and (batch, inner, columns); transposes are written out only where the
//! order of axes asks for them.

use crate::array::Array;
use crate::error::Result;
use crate::invoke::invoke_named;
use crate::ops::elementwise::binary::BROADCAST_MUL;
use crate::ops::matrix::dot::BATCH_DOT;
use crate::ops::reduce::stretch::BROADCAST_AXIS;
use crate::ops::reduce::sum::SUM;
use crate::ops::shape_ops::permute::{DIAG, TRANSPOSE};
use crate::shape::show;
use std::collections::BTreeMap;

/// An axis' name: a letter, or a number for one that `...` stands for (0 is the last).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    Dots(usize),
    Letter(char),
}

type Labels = Vec<Label>;

struct Term {
    array: Array,
    labels: Labels,
}

/// One side of a subscript: letters with at most one `...`.
struct Subscript {
    before: Vec<char>,
    after: Option<Vec<char>>,
}

impl Subscript {
    fn parse(text: &str) -> Result<Subscript> {
        let letters = |part: &str| -> Result<Vec<char>> {
            match part.chars().find(|c| !c.is_ascii_alphabetic()) {
                Some(c) => bail!(Param, "subscripts are letters and '...', got '{c}' in '{text}'"),
                None => Ok(part.chars().collect()),
            }
        };
        Ok(match text.split_once("...") {
            Some((before, after)) => Subscript { before: letters(before)?, after: Some(letters(after)?) },
            None => Subscript { before: letters(text)?, after: None },
        })
    }

    fn letters(&self) -> impl Iterator<Item = char> {
        self.before.iter().chain(self.after.iter().flatten()).copied()
    }

    /// Names for all axes, when `...` stands for `dots` of them.
    fn labels(&self, dots: usize) -> Labels {
        let after = self.after.iter().flatten();
        let named = |c: &char| Label::Letter(*c);
        self.before
            .iter()
            .map(named)
            .chain((0..dots).rev().map(Label::Dots))
            .chain(after.map(named))
            .collect()
    }
}

/// Sum of products of `operands` as `equation` says, NumPy's rules: without `->` the result has the letters that occur
/// once, in alphabetical order, after what `...` stands for; the axes of `...` broadcast. A result without axes has
/// shape (1). All operands have one dtype.
pub fn einsum(equation: &str, operands: &[&Array]) -> Result<Array> {
    contract(equation, operands).map_err(|e| e.within("einsum"))
}

fn contract(equation: &str, operands: &[&Array]) -> Result<Array> {
    let equation: String = equation.chars().filter(|c| !c.is_whitespace()).collect();
    let (left, right) = match equation.split_once("->") {
        Some((left, right)) => (left, Some(right)),
        None => (equation.as_str(), None),
    };
    let inputs: Vec<Subscript> = left.split(',').map(Subscript::parse).collect::<Result<_>>()?;
    if inputs.len() != operands.len() {
        bail!(
            Argument,
            "subscripts and operands differ in number, got {} and {}",
            inputs.len(),
            operands.len()
        );
    }
    let mut terms = Vec::with_capacity(operands.len());
    for (i, (s, a)) in inputs.iter().zip(operands).enumerate() {
        if a.dtype() != operands[0].dtype() {
            bail!(Dtype, "operand {i} has another dtype, got {}, want {}", a.dtype(), operands[0].dtype());
        }
        let named = s.letters().count();
        if named > a.ndim() || (s.after.is_none() && named < a.ndim()) {
            bail!(Shape, "operand {i} has {} axes, got {named} subscripts for them", a.ndim());
        }
        terms.push(Term { labels: s.labels(a.ndim() - named), array: (*a).clone() });
    }
    let dots = inputs.iter().zip(operands).map(|(s, a)| a.ndim() - s.letters().count()).max().unwrap_or(0);
    let wanted: Labels = match right {
        Some(right) => {
            let s = Subscript::parse(right)?;
            s.labels(if s.after.is_some() { dots } else { 0 })
        }
        None => {
            let mut once: Vec<char> = inputs.iter().flat_map(Subscript::letters).collect();
            once.sort_unstable();
            let letters = once.chunk_by(|a, b| a == b).filter(|c| c.len() == 1).map(|c| Label::Letter(c[0]));
            (0..dots).rev().map(Label::Dots).chain(letters).collect()
        }
    };
    for (i, l) in wanted.iter().enumerate() {
        if wanted[..i].contains(l) {
            bail!(Param, "the result has {l:?} twice, want it once");
        }
        if !terms.iter().any(|t| t.labels.contains(l)) {
            bail!(Param, "the result has {l:?}, which no operand has");
        }
    }
    let sizes = sizes(&terms)?;
    for t in &mut terms {
        t.array = stretched(t, &sizes)?;
        diagonals(t)?;
    }
    for i in 0..terms.len() {
        let (labels, others) = (terms[i].labels.clone(), needed(&terms, &[i], &wanted));
        let gone: Labels = labels.into_iter().filter(|l| !others.contains(l)).collect();
        summed(&mut terms[i], &gone)?;
    }
    while terms.len() > 1 {
        let (i, j) = cheapest(&terms, &wanted, &sizes);
        let keep = needed(&terms, &[i, j], &wanted);
        let b = terms.remove(j);
        let a = terms.remove(i);
        terms.insert(i, pair(&a, &b, &keep, &sizes)?);
    }
    let last = &terms[0];
    if wanted.is_empty() { last.array.reshaped(&[1], false) } else { ordered(last, &wanted) }
}

/// The size of every axis; 1 gives way among the axes of `...`.
fn sizes(terms: &[Term]) -> Result<BTreeMap<Label, usize>> {
    let mut sizes = BTreeMap::new();
    for (i, t) in terms.iter().enumerate() {
        for (&l, &n) in t.labels.iter().zip(t.array.dims()) {
            let known = sizes.entry(l).or_insert(n);
            let gives_way = matches!(l, Label::Dots(_)) && (*known == 1 || n == 1);
            if *known != n && !gives_way {
                bail!(Shape, "operand {i} has another size for {l:?}, got {n}, want {known}");
            }
            *known = if *known == 1 { n } else { *known };
        }
    }
    Ok(sizes)
}

/// The array with its axes of size 1 repeated where `...` broadcasts.
fn stretched(t: &Term, sizes: &BTreeMap<Label, usize>) -> Result<Array> {
    let axes = (0..t.labels.len()).filter(|&i| t.array.dims()[i] != sizes[&t.labels[i]]);
    let (axes, new): (Vec<usize>, Vec<usize>) = axes.map(|i| (i, sizes[&t.labels[i]])).unzip();
    if axes.is_empty() {
        return Ok(t.array.clone());
    }
    Ok(invoke_named(&BROADCAST_AXIS, &[&t.array], &[("axis", axes.into()), ("size", new.into())])?.remove(0))
}

/// Takes the diagonal of every two axes with one name.
fn diagonals(t: &mut Term) -> Result<()> {
    while let Some((i, j)) = repeated(&t.labels) {
        let label = t.labels[i];
        t.array = invoke_named(&DIAG, &[&t.array], &[("axis1", i.into()), ("axis2", j.into())])?.remove(0);
        t.labels.remove(j);
        t.labels.remove(i);
        t.labels.push(label);
    }
    Ok(())
}

fn repeated(labels: &Labels) -> Option<(usize, usize)> {
    (0..labels.len()).find_map(|j| labels[..j].iter().position(|l| *l == labels[j]).map(|i| (i, j)))
}

/// What is needed of the terms in `of` later: by other terms or the result.
fn needed(terms: &[Term], of: &[usize], wanted: &Labels) -> Labels {
    let others = terms.iter().enumerate().filter(|(i, _)| !of.contains(i));
    others.flat_map(|(_, t)| t.labels.iter()).chain(wanted).copied().collect()
}

/// Sums over the named axes.
fn summed(t: &mut Term, gone: &Labels) -> Result<()> {
    if gone.is_empty() {
        return Ok(());
    }
    let axes: Vec<usize> = (0..t.labels.len()).filter(|&i| gone.contains(&t.labels[i])).collect();
    t.array = invoke_named(&SUM, &[&t.array], &[("axis", axes.into())])?.remove(0);
    t.labels.retain(|l| !gone.contains(l));
    Ok(())
}

/// The two terms whose product has the fewest elements; the first ones among equals.
fn cheapest(terms: &[Term], wanted: &Labels, sizes: &BTreeMap<Label, usize>) -> (usize, usize) {
    let mut best = (f64::INFINITY, (0, 1));
    for j in 1..terms.len() {
        for i in 0..j {
            let keep = needed(terms, &[i, j], wanted);
            let mut left: Labels = terms[i].labels.iter().chain(&terms[j].labels).copied().collect();
            left.sort_unstable();
            left.dedup();
            let size: f64 = left.iter().filter(|l| keep.contains(l)).map(|l| sizes[l] as f64).product();
            if size < best.0 {
                best = (size, (i, j));
            }
        }
    }
    best.1
}

/// The array with its axes in this order.
fn ordered(t: &Term, order: &Labels) -> Result<Array> {
    if t.labels == *order {
        return Ok(t.array.clone());
    }
    let place = |l| t.labels.iter().position(|m| m == l).unwrap_or(0);
    let axes: Vec<usize> = order.iter().map(place).collect();
    Ok(invoke_named(&TRANSPOSE, &[&t.array], &[("axes", axes.into())])?.remove(0))
}

fn shaped(a: &Array, dims: &[usize]) -> Result<Array> {
    if a.dims() == dims {
        return Ok(a.clone());
    }
    if dims.contains(&0) {
        bail!(Shape, "an operand is empty, got {}", show(a.dims()));
    }
    let codes: Vec<i64> = dims.iter().map(|&d| d as i64).collect();
    a.reshaped(&codes, false)
}

/// The product of two terms, summed over what is not kept.
fn pair(a: &Term, b: &Term, keep: &Labels, sizes: &BTreeMap<Label, usize>) -> Result<Term> {
    let of = |t: &Term, other: &Term, shared: bool, kept: bool| -> Labels {
        let fits = |l: &&Label| other.labels.contains(l) == shared && keep.contains(l) == kept;
        t.labels.iter().filter(fits).copied().collect()
    };
    let (batch, inner) = (of(a, b, true, true), of(a, b, true, false));
    let (rows, columns) = (of(a, b, false, true), of(b, a, false, true));
    let count = |labels: &Labels| labels.iter().map(|l| sizes[l]).product::<usize>();
    let [g, k, m, n] = [&batch, &inner, &rows, &columns].map(count);
    let chain = |parts: [&Labels; 3]| -> Labels { parts.into_iter().flatten().copied().collect() };
    let labels = chain([&batch, &rows, &columns]);
    let dims: Vec<usize> = labels.iter().map(|l| sizes[l]).collect();
    let dims = if dims.is_empty() { vec![1] } else { dims };

    if inner.is_empty() || !a.array.dtype().is_float() {
        let left = shaped(&ordered(a, &chain([&batch, &rows, &inner]))?, &[g, m, 1, k])?;
        let right = shaped(&ordered(b, &chain([&batch, &columns, &inner]))?, &[g, 1, n, k])?;
        let mut product = invoke_named(&BROADCAST_MUL, &[&left, &right], &[])?.remove(0);
        if !inner.is_empty() {
            product = invoke_named(&SUM, &[&product], &[("axis", 3i64.into())])?.remove(0);
        }
        return Ok(Term { array: shaped(&product, &dims)?, labels });
    }
    // An operand that is transposed as it stands goes into the product so.
    let left_t = a.labels == chain([&batch, &inner, &rows]) && !rows.is_empty();
    let right_t = b.labels == chain([&batch, &columns, &inner]) && !columns.is_empty();
    let left = if left_t {
        shaped(&a.array, &[g, k, m])?
    } else {
        shaped(&ordered(a, &chain([&batch, &rows, &inner]))?, &[g, m, k])?
    };
    let right = if right_t {
        shaped(&b.array, &[g, n, k])?
    } else {
        shaped(&ordered(b, &chain([&batch, &inner, &columns]))?, &[g, k, n])?
    };
    let flags = [("transpose_a", left_t.into()), ("transpose_b", right_t.into())];
    let product = invoke_named(&BATCH_DOT, &[&left, &right], &flags)?.remove(0);
    Ok(Term { array: shaped(&product, &dims)?, labels })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GradReq;
    use crate::autograd::mode::record;
    use crate::backward::{Options, backward, grad};

    fn array(dims: &[usize]) -> Array {
        let n: usize = dims.iter().product();
        let data: Vec<f64> = (0..n).map(|i| (i * 7 % 11) as f64 - 4.5).collect();
        Array::from_slice(&data, dims).unwrap()
    }

    /// The definition, one term at a time.
    fn slowly(equation: &str, operands: &[&Array]) -> Vec<f64> {
        let (left, right) = equation.split_once("->").unwrap();
        let inputs: Vec<Vec<char>> = left.split(',').map(|s| s.chars().collect()).collect();
        let right: Vec<char> = right.chars().collect();
        let mut sizes: BTreeMap<char, usize> = BTreeMap::new();
        for (s, a) in inputs.iter().zip(operands) {
            s.iter().zip(a.dims()).for_each(|(&c, &n)| _ = sizes.insert(c, n));
        }
        let names: Vec<char> = sizes.keys().copied().collect();
        let flat = |s: &[char], at: &BTreeMap<char, usize>| s.iter().fold(0, |p, c| p * sizes[c] + at[c]);
        let mut out = vec![0.0; right.iter().map(|c| sizes[c]).product()];
        let total: usize = sizes.values().product();
        for mut i in 0..total {
            let mut at = BTreeMap::new();
            for c in &names {
                at.insert(*c, i % sizes[c]);
                i /= sizes[c];
            }
            let factor = |(s, a): (&Vec<char>, &&Array)| a.to_vec::<f64>()[flat(s, &at)];
            out[flat(&right, &at)] += inputs.iter().zip(operands).map(factor).product::<f64>();
        }
        out
    }

    #[test]
    fn sums_agree_with_the_definition() {
        for (equation, shapes) in [
            ("ij,jk->ik", &[&[2, 3][..], &[3, 4]][..]),
            ("ij,kj->ik", &[&[2, 3], &[4, 3]]),
            ("ji,jk->ki", &[&[3, 2], &[3, 4]]),
            ("bij,bjk->bik", &[&[2, 2, 3], &[2, 3, 2]]),
            ("bhqd,bkhd->bhqk", &[&[2, 2, 3, 2], &[2, 4, 2, 2]]),
            ("i,j->ij", &[&[3], &[2]]),
            ("i,i->", &[&[3], &[3]]),
            ("ii->i", &[&[3, 3]]),
            ("ii->", &[&[3, 3]]),
            ("iij,jk->ik", &[&[2, 2, 3], &[3, 2]]),
            ("ijk->kj", &[&[2, 3, 4]]),
            ("ij,jk,kl->il", &[&[2, 3], &[3, 4], &[4, 2]]),
            ("ij,ij->ij", &[&[2, 3], &[2, 3]]),
            ("ij,k->i", &[&[2, 3], &[4]]),
            ("abc,cbd,de->ae", &[&[2, 3, 2], &[2, 3, 3], &[3, 2]]),
        ] {
            let arrays: Vec<Array> = shapes.iter().map(|d| array(d)).collect();
            let refs: Vec<&Array> = arrays.iter().collect();
            assert_eq!(
                einsum(equation, &refs).unwrap().to_vec::<f64>(),
                slowly(equation, &refs),
                "{equation}"
            );
            let whole: Vec<Array> = arrays.iter().map(|a| a.cast(crate::DType::I32)).collect();
            let refs: Vec<&Array> = whole.iter().collect();
            assert_eq!(
                einsum(equation, &refs).unwrap().to_vec::<f64>(),
                slowly(equation, &refs),
                "{equation}"
            );
        }
    }

    #[test]
    fn dots_stand_for_what_is_not_named() {
        let (a, b) = (array(&[5, 1, 2, 3]), array(&[4, 3, 2]));
        let c = einsum("...ij,...jk->...ik", &[&a, &b]).unwrap();
        assert_eq!(c.dims(), [5, 4, 2, 2]);
        let one = einsum("ij,jk", &[&a.row(3).unwrap().row(0).unwrap(), &b.row(2).unwrap()]).unwrap();
        assert_eq!(c.row(3).unwrap().row(2).unwrap().to_vec::<f64>(), one.to_vec::<f64>());
        assert_eq!(einsum("...->...", &[&a]).unwrap().dims(), a.dims());
        assert_eq!(einsum("i...->...", &[&a]).unwrap().dims(), [1, 2, 3]);
    }

    #[test]
    fn gradients_of_both_orders_flow() {
        let (a, b) = (array(&[2, 3]), array(&[3, 2]));
        a.attach_grad(GradReq::Write).unwrap();
        let y = record(|| einsum("ij,jk->", &[&a, &b]).unwrap());
        backward(&[&y], &[], Options::default()).unwrap();
        let rows = einsum("jk->j", &[&b]).unwrap().to_vec::<f64>();
        assert_eq!(a.grad().unwrap().to_vec::<f64>(), [&rows[..], &rows[..]].concat());
        let options = Options { create_graph: true, ..Options::default() };
        let slope = record(|| {
            let y = einsum("ij,ij,ij->", &[&a, &a, &a]).unwrap();
            grad(&[&y], &[], &[&a], options).unwrap().remove(0)
        });
        backward(&[&slope], &[], Options::default()).unwrap();
        let want: Vec<f64> = a.to_vec::<f64>().iter().map(|x| 6.0 * x).collect();
        assert_eq!(a.grad().unwrap().to_vec::<f64>(), want);
    }

    #[test]
    fn mistakes_are_named() {
        let (a, b) = (array(&[2, 3]), array(&[4, 2]));
        for (equation, operands, why) in [
            ("ij,jk->ik", &[&a, &b][..], "operand 1 has another size for Letter('j'), got 4, want 3"),
            ("ij", &[&a, &b], "differ in number"),
            ("ijk", &[&a], "operand 0 has 2 axes, got 3"),
            ("i", &[&a], "operand 0 has 2 axes, got 1"),
            ("ij->ik", &[&a], "which no operand has"),
            ("ij->ii", &[&a], "twice"),
            ("i1", &[&a], "got '1'"),
        ] {
            let e = einsum(equation, operands).unwrap_err().to_string();
            assert!(e.starts_with("einsum: ") && e.contains(why), "{e}");
        }
    }
}
