//! Inference of shapes and dtypes, in both directions, on what is partly known. The common rules live here; an
//! operator with its own rule has it beside its entry in the table.

use super::params::Params;
use crate::dtype::DType;
use crate::error::Result;
use crate::shape::Dims;
use crate::shape::partial::Partial;

/// What a shape rule sees and refines. Inputs may learn from outputs.
pub struct Shapes<'a> {
    /// The operator's parameters.
    pub params: &'a Params,
    /// Shapes of the inputs.
    pub ins: &'a mut [Partial],
    /// Shapes of the outputs, hidden ones included.
    pub outs: &'a mut [Partial],
}

/// A shape rule. It returns Ok when it has nothing more to say; what must be known and is not stays unknown.
pub type ShapeRule = fn(&mut Shapes<'_>) -> Result<()>;

/// What a dtype rule sees and refines.
pub struct Types<'a> {
    /// The operator's parameters.
    pub params: &'a Params,
    /// Dtypes of the inputs.
    pub ins: &'a mut [Option<DType>],
    /// Dtypes of the outputs, hidden ones included.
    pub outs: &'a mut [Option<DType>],
}

/// A dtype rule.
pub type TypeRule = fn(&mut Types<'_>) -> Result<()>;

impl Shapes<'_> {
    /// The shape of input `i` when all of it is known. Rules that can only go forward begin with
    /// `let Some(x) = s.input(0) else { return Ok(()) };`
    #[inline]
    pub fn input(&self, i: usize) -> Option<Dims> {
        self.ins[i].known()
    }

    /// Whether all inputs are known.
    pub fn knows_inputs(&self) -> bool {
        self.ins.iter().all(Partial::is_known)
    }

    /// Says that output `i` has this shape.
    #[inline]
    pub fn output(&mut self, i: usize, dims: &[usize]) -> Result<()> {
        self.outs[i].merge(&Partial::from(dims)).map(drop)
    }

    /// Says that input `i` has this shape. The error names the input by number.
    pub fn want(&mut self, i: usize, dims: &[usize]) -> Result<()> {
        self.want_partial(i, &Partial::from(dims))
    }

    /// Says that input `i` has this partly known shape.
    pub fn want_partial(&mut self, i: usize, shape: &Partial) -> Result<()> {
        let got = self.ins[i].clone();
        match self.ins[i].merge(shape) {
            Ok(_) => Ok(()),
            Err(_) => bail!(Shape, "Shape inconsistent, input {i} got {got}, want {shape}"),
        }
    }
}

/// All inputs and outputs have one shape.
pub fn same(s: &mut Shapes<'_>) -> Result<()> {
    // Eager calls know all inputs: one comparison each and the outputs follow.
    let mut all = Partial::UNKNOWN;
    for (i, x) in s.ins.iter().chain(s.outs.iter()).enumerate() {
        let got = x;
        all.merge(got).map_err(|_| err!(Shape, "Shape inconsistent, operand {i} got {got}, want {all}"))?;
    }
    for x in s.ins.iter_mut().chain(s.outs.iter_mut()) {
        x.merge(&all)?;
    }
    Ok(())
}

/// Two inputs broadcast to the output.
pub fn broadcast(s: &mut Shapes<'_>) -> Result<()> {
    let (Some(a), Some(b)) = (s.ins[0].sizes(), s.ins[1].sizes()) else { return Ok(()) };
    if let (Some(a), Some(b)) = (s.ins[0].known(), s.ins[1].known()) {
        let dims = crate::shape::broadcast::broadcast(&a, &b)?;
        return s.output(0, &dims);
    }
    let n = a.len().max(b.len());
    let at = |x: &[i64], i: usize| if i + x.len() >= n { x[i + x.len() - n] } else { 1 };
    let sizes: Vec<i64> = (0..n)
        .map(|i| match (at(a, i), at(b, i)) {
            (x, y) if x == y => x,
            (x, y) if x > 1 || y > 1 => x.max(y),
            _ => -1,
        })
        .collect();
    s.outs[0].merge(&Partial::from_sizes(&sizes)).map(drop)
}

/// The output has the dtype of the first input; others may have any, and tell nothing.
pub fn like_first(t: &mut Types<'_>) -> Result<()> {
    t.outs[0] = t.ins[0].or(t.outs[0]);
    t.ins[0] = t.outs[0];
    Ok(())
}

/// All inputs and outputs have one dtype; float32 when nothing is known is the caller's choice, not this rule's.
pub fn same_type(t: &mut Types<'_>) -> Result<()> {
    let known = t.ins.iter().chain(t.outs.iter()).flatten().next().copied();
    let Some(d) = known else { return Ok(()) };
    for (i, x) in t.ins.iter_mut().enumerate() {
        if let Some(got) = x
            && *got != d
        {
            bail!(Dtype, "dtypes must be the same, input {i} got {got}, want {d}");
        }
        *x = Some(d);
    }
    for x in t.outs.iter_mut() {
        if let Some(got) = x
            && *got != d
        {
            bail!(Dtype, "dtypes must be the same, output got {got}, want {d}");
        }
        *x = Some(d);
    }
    Ok(())
}
