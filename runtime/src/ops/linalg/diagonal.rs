//! Diagonals and triangles of matrices as vectors, and back.

use super::super::def::{Keep, OpDef, Run};
use super::super::infer::Shapes;
use super::super::params::Params;
use super::super::samples::Case;
use super::{matrix, squared, types};
use crate::array::Array;
use crate::error::Result;
use crate::fluent::call;
use crate::shape::partial::Partial;
use std::ops::Range;

params! {
    /// Which diagonal.
    pub struct Diagonal {
        offset: i64 = 0, "how far it is above the main diagonal; below where negative";
    }
}

params! {
    /// Which triangle.
    pub struct Triangle {
        offset: i64 = 0, "how far its edge is above the main diagonal, which makes it an upper one; below where negative";
        lower: bool = true, "whether it is the lower one, where the offset is 0";
    }
}

/// Part of a matrix that a vector holds: row by row, an upper triangle column by column.
#[derive(Clone, Copy)]
enum Part {
    Diagonal(i64),
    Lower(i64),
    Upper(i64),
}

impl Part {
    fn diagonal(p: &Params) -> Part {
        Part::Diagonal(p.get::<Diagonal>().offset)
    }

    fn triangle(p: &Params) -> Part {
        let Triangle { offset, lower } = *p.get();
        if offset > 0 || (offset == 0 && !lower) { Part::Upper(offset) } else { Part::Lower(offset) }
    }

    fn offset(self) -> i64 {
        let (Part::Diagonal(o) | Part::Lower(o) | Part::Upper(o)) = self;
        o
    }

    /// Columns of row `i` of a matrix of size n; of an upper triangle, rows of column `i`.
    fn along(self, i: usize, n: usize) -> Range<usize> {
        let clip = |at: i64| usize::try_from(at).map_or(0, |at| at.min(n));
        let i = i as i64;
        match self {
            Part::Diagonal(o) => clip(i.saturating_add(o))..clip(i.saturating_add(o).saturating_add(1)),
            Part::Lower(o) => 0..clip(i.saturating_add(o).saturating_add(1)),
            Part::Upper(o) => 0..clip(i.saturating_sub(o).saturating_add(1)),
        }
    }

    /// Places in a matrix of size n of what the vector holds, in the order of the vector.
    fn places(self, n: usize) -> impl Iterator<Item = usize> {
        let (step, line) = if matches!(self, Part::Upper(_)) { (n, 1) } else { (1, n) };
        (0..n).flat_map(move |i| self.along(i, n).map(move |k| i * line + k * step))
    }

    /// Size of the vector for a matrix of size n.
    fn count(self, n: i64) -> Result<i64> {
        let m = n.saturating_sub(self.offset().saturating_abs());
        if m <= 0 && n > 0 {
            bail!(Param, "offset is out of range for matrices of size {n}, got {}", self.offset());
        }
        let m = m.max(0);
        Ok(if matches!(self, Part::Diagonal(_)) { m } else { m.saturating_mul(m + 1) / 2 })
    }

    /// Size of the matrix for a vector of that size.
    fn size(self, count: i64) -> Result<i64> {
        let m = match self {
            Part::Diagonal(_) => count,
            _ => {
                let m = (((8.0 * count as f64 + 1.0).sqrt() - 1.0) / 2.0).round() as i64;
                if m.checked_mul(m + 1).is_none_or(|k| k / 2 != count) {
                    bail!(Shape, "a triangle has 1, 3, 6, 10, … elements, got {count}");
                }
                m
            }
        };
        let n = m.checked_add(self.offset().saturating_abs()).filter(|n| n.checked_mul(*n).is_some());
        n.ok_or_else(|| err!(Param, "offset is out of range, got {}", self.offset()))
    }
}

fn infer_extract(s: &mut Shapes<'_>, part: Part) -> Result<()> {
    squared(s, 0)?;
    let Some(x) = s.ins[0].sizes() else { return Ok(()) };
    let mut out = x[..x.len() - 1].to_vec();
    let n = out.last_mut().expect("a matrix has two axes");
    *n = if *n < 0 { -1 } else { part.count(*n)? };
    s.outs[0].merge(&Partial::from_sizes(&out)).map(drop)
}

fn infer_make(s: &mut Shapes<'_>, part: Part) -> Result<()> {
    let Some(x) = s.ins[0].sizes() else { return Ok(()) };
    let [batch @ .., count] = x else { bail!(Shape, "vectors are wanted, got {}", s.ins[0]) };
    let n = if *count < 0 { -1 } else { part.size(*count)? };
    let out: Vec<i64> = batch.iter().copied().chain([n, n]).collect();
    s.outs[0].merge(&Partial::from_sizes(&out)).map(drop)
}

fn run_extract(r: &Run<'_>, part: Part) -> Result<()> {
    let (n, _) = matrix(r.ins[0].dims())?;
    with_real!(r.ins[0].dtype(), T => {
        // SAFETY: the output is this call's alone.
        let (x, y) = (r.ins[0].as_slice::<T>(), unsafe { r.outs[0].span().slice_mut::<T>() });
        let from = x.chunks_exact((n * n).max(1)).flat_map(|x| part.places(n).map(|at| x[at]));
        y.iter_mut().zip(from).for_each(|(y, x)| *y = x);
    });
    Ok(())
}

fn run_make(r: &Run<'_>, part: Part) -> Result<()> {
    let (n, _) = matrix(r.outs[0].dims())?;
    with_real!(r.ins[0].dtype(), T => {
        // SAFETY: the output is this call's alone.
        let (x, y) = (r.ins[0].as_slice::<T>(), unsafe { r.outs[0].span().slice_mut::<T>() });
        y.fill(T::default());
        let mut x = x.iter();
        for y in y.chunks_exact_mut((n * n).max(1)) {
            part.places(n).zip(&mut x).for_each(|(at, x)| y[at] = *x);
        }
    });
    Ok(())
}

/// The main diagonals of matrices.
pub fn diagonal_of(x: &Array) -> Array {
    call(&EXTRACTDIAG, &[x], &Params::new(Diagonal { offset: 0 }))
}

/// Matrices with these diagonals and zeros elsewhere.
pub fn scaled_identity(x: &Array) -> Array {
    call(&MAKEDIAG, &[x], &Params::new(Diagonal { offset: 0 }))
}

/// Matrices with zeros above the diagonal.
pub fn triangle(x: &Array) -> Array {
    let p = Params::new(Triangle { offset: 0, lower: true });
    call(&MAKETRIAN, &[&call(&EXTRACTTRIAN, &[x], &p)], &p)
}

table! {
    EXTRACTDIAG = OpDef::new("_linalg_extractdiag", &["A"], |r| run_extract(r, Part::diagonal(r.params)))
        .aliases(&["linalg_extractdiag"]).params::<Diagonal>()
        .shape(|s| infer_extract(s, Part::diagonal(s.params))).dtype(types)
        .doc("A diagonal of each matrix.")
        .vjp1(Keep::NOTHING, |d| Ok(call(&MAKEDIAG, &[d.grad()], d.params)))
        .cases(|d| {
            let (n, mut dims) = (d.size(2, 5), d.shape(0, 2));
            dims.extend([n, n]);
            Case::new().real(&dims).param("offset", d.int(-1, 1))
        });
    MAKEDIAG = OpDef::new("_linalg_makediag", &["A"], |r| run_make(r, Part::diagonal(r.params)))
        .aliases(&["linalg_makediag"]).params::<Diagonal>()
        .shape(|s| infer_make(s, Part::diagonal(s.params))).dtype(types)
        .doc("Matrices with given values on a diagonal and zeros elsewhere.")
        .vjp1(Keep::NOTHING, |d| Ok(call(&EXTRACTDIAG, &[d.grad()], d.params)))
        .cases(|d| {
            let dims = d.shape(1, 3);
            Case::new().real(&dims).param("offset", d.int(-2, 2))
        });
    EXTRACTTRIAN = OpDef::new("_linalg_extracttrian", &["A"], |r| run_extract(r, Part::triangle(r.params)))
        .aliases(&["linalg_extracttrian"]).params::<Triangle>()
        .shape(|s| infer_extract(s, Part::triangle(s.params))).dtype(types)
        .doc("A triangle of each matrix: the lower one row by row, the upper one column by column.")
        .vjp1(Keep::NOTHING, |d| Ok(call(&MAKETRIAN, &[d.grad()], d.params)))
        .cases(|d| {
            let (n, mut dims) = (d.size(2, 5), d.shape(0, 2));
            dims.extend([n, n]);
            Case::new().real(&dims).param("offset", d.int(-1, 1)).param("lower", d.flip())
        });
    MAKETRIAN = OpDef::new("_linalg_maketrian", &["A"], |r| run_make(r, Part::triangle(r.params)))
        .aliases(&["linalg_maketrian"]).params::<Triangle>()
        .shape(|s| infer_make(s, Part::triangle(s.params))).dtype(types)
        .doc("Matrices with given values in a triangle, a lower one row by row, an upper one column by column, and zeros elsewhere.")
        .vjp1(Keep::NOTHING, |d| Ok(call(&EXTRACTTRIAN, &[d.grad()], d.params)))
        .cases(|d| {
            let mut dims = d.shape(0, 2);
            dims.push(d.pick(&[1, 3, 6, 10]));
            Case::new().real(&dims).param("offset", d.int(-2, 2)).param("lower", d.flip())
        });
}
