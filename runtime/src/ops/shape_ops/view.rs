//! Strided views as arithmetic, and the operators that read through one and write through one. Every operator that only
//! moves elements is a view of its input; the gradient of reading is writing, and the other way round.

use super::super::def::{Affine, Keep, OpDef, Run};
use super::super::infer::Shapes;
use super::super::params::{Ints, Params};
use super::super::vjp::{Grads, Vjp};
use crate::array::Array;
use crate::error::Result;
use crate::fluent::call;
use crate::kernels::copy;
use crate::shape::{Dims, Strides, row_major, show, size_of_dims};
use crate::storage::Span;
use smallvec::smallvec;

/// Elements of a contiguous array, walked with strides. They are the output, in row-major order, in the shape
/// [`View::shape`].
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Sizes of the axes that are walked.
    pub dims: Dims,
    /// Element at which the walk begins.
    pub offset: usize,
    /// Steps of the walk, in elements; 0 repeats, negative ones go back.
    pub strides: Strides,
    shape: Option<Dims>,
}

impl View {
    /// All of an array of this shape.
    pub fn of(dims: &[usize]) -> View {
        View { dims: dims.into(), offset: 0, strides: row_major(dims), shape: None }
    }

    /// The shape of the output.
    pub fn shape(&self) -> &[usize] {
        self.shape.as_deref().unwrap_or(&self.dims)
    }

    /// Gives the output another shape of as many elements.
    #[must_use]
    pub fn shaped(mut self, shape: &[usize]) -> View {
        self.shape = Some(shape.into());
        self
    }

    /// Axes in another order.
    #[must_use]
    pub fn permuted(self, axes: &[usize]) -> View {
        View {
            dims: axes.iter().map(|&a| self.dims[a]).collect(),
            strides: axes.iter().map(|&a| self.strides[a]).collect(),
            ..self
        }
    }

    /// `count` steps of `step` along an axis, from `begin` on.
    #[must_use]
    pub fn range(mut self, axis: usize, begin: usize, count: usize, step: i64) -> View {
        self.offset = (self.offset as isize + begin as isize * self.strides[axis]) as usize;
        self.strides[axis] *= step as isize;
        self.dims[axis] = count;
        self
    }

    /// One axis as several, whose sizes multiply to its own.
    #[must_use]
    pub fn split(mut self, axis: usize, into: &[usize]) -> View {
        let mut step = self.strides[axis];
        let steps: Strides = into
            .iter()
            .rev()
            .map(|&d| {
                let s = step;
                step *= d as isize;
                s
            })
            .collect();
        self.dims.remove(axis);
        self.strides.remove(axis);
        self.dims.insert_many(axis, into.iter().copied());
        self.strides.insert_many(axis, steps.into_iter().rev());
        self
    }

    /// A new axis that repeats what is inside it.
    #[must_use]
    pub fn repeated(mut self, axis: usize, times: usize) -> View {
        self.dims.insert(axis, times);
        self.strides.insert(axis, 0);
        self
    }

    /// Whether the walk is over all `len` elements in their own order.
    fn is_whole(&self, len: usize) -> bool {
        self.offset == 0
            && self.dims.iter().product::<usize>() == len
            && (len == 0 || self.strides == row_major(&self.dims))
    }

    /// Whether the walk stays inside an array of `len` elements.
    fn fits(&self, len: usize) -> bool {
        if self.dims.len() != self.strides.len() || size_of_dims(&self.dims).is_err() {
            return false;
        }
        let (mut low, mut high) = (Some(self.offset as isize), Some(self.offset as isize));
        for (&d, &s) in self.dims.iter().zip(&self.strides) {
            let reach = (d as isize - 1).checked_mul(s);
            let end = if s < 0 { &mut low } else { &mut high };
            *end = end.zip(reach).and_then(|(e, r)| e.checked_add(r));
        }
        self.dims.contains(&0)
            || matches!((low, high), (Some(l), Some(h)) if l >= 0 && (h as u128) < len as u128)
    }

    /// Whether no element is walked twice: each step is longer than all shorter ones together reach.
    fn is_injective(&self) -> bool {
        let mut axes: Vec<(usize, usize)> =
            self.strides.iter().map(|s| s.unsigned_abs()).zip(self.dims.iter().copied()).collect();
        axes.retain(|a| a.1 != 1);
        axes.sort_unstable();
        let mut reach = 0;
        axes.iter().all(|&(step, n)| {
            let apart = step > reach;
            reach += step * n.saturating_sub(1);
            apart
        })
    }

    /// out = the elements of the walk over `x`.
    pub fn read(&self, x: Span, out: Span) {
        if self.is_whole(x.len()) {
            copy::cast(x, out)
        } else {
            copy::strided(&self.dims, x, self.offset, &self.strides, out)
        }
    }

    /// The elements of the walk over `out` = x; the others stay.
    pub fn write(&self, x: Span, out: Span) {
        if self.is_whole(out.len()) {
            copy::cast(x, out)
        } else {
            copy::scatter(&self.dims, x, out, self.offset, &self.strides)
        }
    }

    /// The elements of the walk over `out` = x, the others 0.
    pub fn place(&self, x: Span, out: Span) {
        if x.len() < out.len() {
            copy::fill(out, 0.0);
        }
        self.write(x, out);
    }

    fn params(&self, base: &[usize]) -> Params {
        let ints = |d: &[usize]| d.iter().map(|&d| d as i64).collect::<Ints>();
        Params::new(Walk {
            dims: ints(&self.dims),
            offset: self.offset,
            strides: self.strides.iter().map(|&s| s as i64).collect(),
            shape: ints(self.shape()),
            base: ints(base),
        })
    }

    /// The elements of the walk over `x`, recorded.
    pub fn taken_from(&self, x: &Array) -> Array {
        if self.is_whole(x.size()) {
            return reshaped(x, self.shape());
        }
        call(&VIEW, &[x], &self.params(x.dims()))
    }

    /// Zeros of shape `base` with `x` where the walk goes, recorded.
    pub fn placed(&self, x: &Array, base: &[usize]) -> Array {
        if self.is_whole(base.iter().product()) {
            return reshaped(x, base);
        }
        call(&UNVIEW, &[x], &self.params(base))
    }
}

params! {
    /// A view, as the internal operators carry it.
    pub struct Walk {
        dims: Ints, "sizes of the axes that are walked";
        offset: usize, "element at which the walk begins";
        strides: Ints, "steps of the walk, in elements";
        shape: Ints, "shape of what is walked, when it stands alone";
        base: Ints, "shape of the array that is walked";
    }
}

fn sizes(of: &Ints) -> Result<Dims> {
    let negative = |_| err!(Param, "sizes cannot be negative, got {of:?}");
    of.iter().map(|&d| usize::try_from(d).map_err(negative)).collect()
}

/// The walk and the shape of its base, checked.
fn walk(p: &Params) -> Result<(View, Dims)> {
    let p: &Walk = p.get();
    let (dims, shape, base) = (sizes(&p.dims)?, sizes(&p.shape)?, sizes(&p.base)?);
    let strides = p.strides.iter().map(|&s| s as isize).collect();
    let v = View { dims, offset: p.offset, strides, shape: Some(shape) };
    if !v.fits(size_of_dims(&base)?) || size_of_dims(v.shape())? != size_of_dims(&v.dims)? {
        bail!(Param, "the view leaves its array of shape {}, got {v:?}", show(&base));
    }
    Ok((v, base))
}

fn run_view(r: &Run<'_>) -> Result<()> {
    walk(r.params)?.0.read(r.ins[0].span(), r.outs[0].span());
    Ok(())
}

fn run_unview(r: &Run<'_>) -> Result<()> {
    let (v, _) = walk(r.params)?;
    if !v.is_injective() {
        bail!(Param, "an element would be written twice, got {v:?}");
    }
    v.place(r.ins[0].span(), r.outs[0].span());
    Ok(())
}

params! {
    /// A shape.
    pub struct Shaped {
        shape: Ints, "the new shape, of as many elements";
    }
}

/// The same elements in another shape, without a copy, recorded. The result shares memory with `x`.
pub fn reshaped(x: &Array, dims: &[usize]) -> Array {
    if x.dims() == dims {
        return x.clone();
    }
    call(&RESHAPED, &[x], &shaped(dims))
}

/// Parameters of [`RESHAPED`].
pub fn shaped(dims: &[usize]) -> Params {
    Params::new(Shaped { shape: dims.iter().map(|&d| d as i64).collect() })
}

/// What an operator that only moves elements is.
pub trait Move: 'static {
    /// The view of an array of shape `x`; `like` is the shape of the second input, where there is one.
    fn view(p: &Params, x: &[usize], like: &[usize]) -> Result<View>;

    /// What can be said of the shapes while those of the inputs are not wholly known.
    fn partly(_: &mut Shapes<'_>) -> Result<()> {
        Ok(())
    }
}

fn shape_move<M: Move>(s: &mut Shapes<'_>) -> Result<()> {
    let like = match s.ins.len() {
        2 => s.input(1),
        _ => Some(Dims::new()),
    };
    match (s.input(0), like) {
        (Some(x), Some(like)) => {
            let v = M::view(s.params, &x, &like)?;
            s.output(0, v.shape())
        }
        _ => M::partly(s),
    }
}

fn run_move<M: Move>(r: &Run<'_>) -> Result<()> {
    let like = r.ins.get(1).map_or(&[][..], |t| t.dims());
    M::view(r.params, r.ins[0].dims(), like)?.read(r.ins[0].span(), r.outs[0].span());
    Ok(())
}

fn grad_move<M: Move>(d: &Vjp<'_>) -> Result<Grads> {
    let like = if d.num_inputs() > 1 { d.in_dims(1) } else { &[] };
    let v = M::view(d.params, d.in_dims(0), like)?;
    let mut grads: Grads = smallvec![Some(v.placed(d.grad(), d.in_dims(0)))];
    if d.num_inputs() > 1 {
        grads.push(d.zeros(1)?);
    }
    Ok(grads)
}

/// An operator that moves elements; none of them twice.
pub const fn moving<M: Move>(name: &'static str, inputs: &'static [&'static str]) -> OpDef {
    OpDef::new(name, inputs, run_move::<M>).shape(shape_move::<M>).truths().vjp(Keep::NOTHING, grad_move::<M>)
}

/// As [`moving`], with a gradient to be stated: elements may be read twice.
pub const fn repeating<M: Move>(name: &'static str) -> OpDef {
    OpDef::new(name, &["data"], run_move::<M>).shape(shape_move::<M>).truths()
}

impl Affine {
    /// The inputs data, weight and, where there is one, bias of a layer whose results go through this function: the first axis of
    /// the weight is theirs.
    pub(crate) fn into_filters(&self, ins: &[Array]) -> Vec<Array> {
        let weight = &ins[1];
        let mut column = vec![1; weight.ndim()];
        column[0] = self.scale.size();
        let by = reshaped(&self.scale.cast(weight.dtype()), &column);
        let shift = self.shift.cast(weight.dtype());
        let bias = match ins.get(2) {
            Some(bias) => bias * self.scale.cast(weight.dtype()) + shift,
            None => shift,
        };
        vec![ins[0].clone(), weight * by, bias]
    }
}

table! {
    VIEW = OpDef::new("_ks_view", &["data"], run_view).truths().params::<Walk>()
        .doc("The elements of a strided walk over an array.")
        .shape(|s| {
            let (v, base) = walk(s.params)?;
            s.want(0, &base)?;
            s.output(0, v.shape())
        })
        .vjp1(Keep::NOTHING, |d| {
            let (v, base) = walk(d.params)?;
            Ok(v.placed(d.grad(), &base))
        })
        .no_samples("internal to gradients of operators that move elements, and tested with them");
    UNVIEW = OpDef::new("_ks_unview", &["data"], run_unview).params::<Walk>()
        .doc("Zeros, with `data` at the places of a strided walk: the gradient of `_ks_view`.")
        .shape(|s| {
            let (v, base) = walk(s.params)?;
            s.want(0, v.shape())?;
            s.output(0, &base)
        })
        .vjp1(Keep::NOTHING, |d| Ok(walk(d.params)?.0.taken_from(d.grad())))
        .no_samples("internal to gradients of operators that move elements, and tested with them");
    RESHAPED = OpDef::viewing("_ks_reshaped", |p, t| {
            let dims = sizes(&p.get::<Shaped>().shape)?;
            if size_of_dims(&dims)? != t.size() {
                bail!(Shape, "cannot reshape {} into {}", show(t.dims()), show(&dims));
            }
            t.with_dims(&dims)
        })
        .params::<Shaped>()
        .doc("The same elements in another shape, sharing memory.")
        .shape(|s| {
            let dims = sizes(&s.params.get::<Shaped>().shape)?;
            s.output(0, &dims)
        })
        .vjp1(Keep::NOTHING, |d| Ok(reshaped(d.grad(), d.in_dims(0))))
        .no_samples("internal to gradients, and tested with them");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_are_checked() {
        let v = View::of(&[4, 5]);
        assert!(v.fits(20) && !v.fits(19) && v.is_injective() && v.is_whole(20));
        let back = v.clone().range(1, 4, 5, -1);
        assert!(back.fits(20) && back.is_injective() && !back.is_whole(20));
        assert!(!View { offset: 3, ..back }.fits(20));
        assert!(!v.clone().repeated(0, 3).is_injective());
        assert!(!View { strides: smallvec![2, 1], ..v.clone() }.is_injective());
        assert!(!View { strides: smallvec![isize::MAX, 1], ..v }.fits(20));
    }

    #[test]
    fn axes_split_and_move() {
        let v = View::of(&[2, 6, 3]).split(1, &[2, 3]).permuted(&[2, 0, 1, 3]);
        assert_eq!((v.dims.as_slice(), v.strides.as_slice()), (&[3, 2, 2, 3][..], &[3, 18, 9, 1][..]));
    }
}
