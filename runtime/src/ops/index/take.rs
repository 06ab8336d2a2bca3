//! Rows by index along one axis, and the sums that are their gradient.

use super::super::def::{Keep, OpDef, Run};
use super::super::infer::{Shapes, Types};
use super::super::params::Params;
use super::super::samples::{Case, Draw, Fill};
use super::super::vjp::{Grads, Vjp};
use super::like_first;
use crate::array::Array;
use crate::dtype::DType;
use crate::error::Result;
use crate::fluent::call;
use crate::kernels::index::{self, Rows as Blocks, Wild, outside};
use crate::rows::{self, Rows};
use crate::shape::{Dims, resolve_axis, show, size_of_dims};
use smallvec::smallvec;

choices! {
    /// What an index outside of the array means.
    pub enum TakeMode { Clip = "clip", Raise = "raise", Wrap = "wrap" }
}

impl TakeMode {
    pub(super) fn wild(self) -> Wild {
        if self == TakeMode::Wrap { Wild::Wrap } else { Wild::Clip }
    }
}

params! {
    /// What `take` takes.
    pub struct Take {
        axis: i64 = 0, "axis along which rows are taken";
        mode: TakeMode = TakeMode::Clip, "what an index outside means: the nearest row, an error, or counting around";
    }
}

params! {
    /// What the gradient of `take` takes.
    pub struct AddRows {
        axis: usize, "axis along which rows are added up";
        size: usize, "number of rows";
        mode: TakeMode = TakeMode::Clip, "as of take";
    }
}

params! {
    /// What `Embedding` takes.
    pub struct Embed {
        input_dim: i64, "number of rows of the weight";
        output_dim: i64, "length of a row";
        dtype: DType = DType::F32, "dtype of the weight";
        sparse_grad: bool = false, "whether a variable that a graph makes for the weight keeps its gradient as rows";
    }
}

params! {
    /// What `_contrib_SparseEmbedding` takes.
    pub struct SparseEmbed {
        input_dim: i64, "number of rows of the weight";
        output_dim: i64, "length of a row";
        dtype: DType = DType::F32, "dtype of the weight";
        deterministic: bool = false, "whether the gradient is summed in a fixed order; it always is";
    }
}

/// The rows and the shape of the result: the axis gives way to the shape of the indices.
fn taken(x: &[usize], axis: usize, index: &[usize]) -> Dims {
    x[..axis].iter().chain(index).chain(&x[axis + 1..]).copied().collect()
}

fn check_rows(n: usize, index: usize) -> Result<()> {
    if n == 0 && index > 0 {
        bail!(Shape, "there are no rows to take from");
    }
    Ok(())
}

fn shape_take(s: &mut Shapes<'_>) -> Result<()> {
    let (Some(x), Some(index)) = (s.input(0), s.input(1)) else { return Ok(()) };
    let axis = resolve_axis(s.params.get::<Take>().axis, x.len())?;
    check_rows(x[axis], size_of_dims(&index)?)?;
    s.output(0, &taken(&x, axis, &index))
}

fn run_take(r: &Run<'_>) -> Result<()> {
    let (p, x, index) = (r.p::<Take>(), r.ins[0], r.ins[1]);
    let rows = Blocks::of(x.dims(), resolve_axis(p.axis, x.ndim())?);
    if p.mode == TakeMode::Raise
        && let Some(i) = outside(index.span(), 0, rows.n as i64)
    {
        bail!(Shape, "an index is outside of the axis, got {i}, want 0 to {}", rows.n as i64 - 1);
    }
    index::take(rows, x.span(), index.span(), p.mode.wild(), r.outs[0].span());
    Ok(())
}

/// Rows of `x` along `axis`, recorded. Indices are whole and inside.
pub fn taken_rows(x: &Array, index: &Array, axis: usize) -> Array {
    call(&TAKE, &[x, index], &Params::new(Take { axis: axis as i64, mode: TakeMode::Clip }))
}

/// Zeros of `size` rows along `axis`, to which the rows of `x` are added where `index` says, recorded.
pub fn added_rows(x: &Array, index: &Array, axis: usize, size: usize, mode: TakeMode) -> Array {
    call(&ADD_ROWS, &[x, index], &Params::new(AddRows { axis, size, mode }))
}

fn grad_take(d: &Vjp<'_>) -> Result<Grads> {
    let (p, x) = (d.p::<Take>(), d.in_dims(0));
    let axis = resolve_axis(p.axis, x.len())?;
    let rows = d.needs(0).then(|| added_rows(d.grad(), d.input(1), axis, x[axis], p.mode));
    Ok(smallvec![rows, d.zeros(1)?])
}

/// Shape of the sums: the axes of the indices give way to one.
fn added(x: &[usize], index: &[usize], p: &AddRows) -> Result<Dims> {
    let end = p.axis.saturating_add(index.len());
    if end > x.len() || x[p.axis..end] != *index {
        bail!(
            Shape,
            "indices of shape {} do not fit data of shape {} at axis {}",
            show(index),
            show(x),
            p.axis
        );
    }
    check_rows(p.size, size_of_dims(index)?)?;
    Ok(x[..p.axis].iter().chain([&p.size]).chain(&x[end..]).copied().collect())
}

fn run_add_rows(r: &Run<'_>) -> Result<()> {
    let (p, out) = (r.p::<AddRows>(), r.outs[0]);
    index::add(Blocks::of(out.dims(), p.axis), r.ins[0].span(), r.ins[1].span(), p.mode.wild(), out.span());
    Ok(())
}

fn grad_add_rows(d: &Vjp<'_>) -> Result<Grads> {
    let p = d.p::<AddRows>();
    let take = Take { axis: p.axis as i64, mode: p.mode };
    Ok(smallvec![d.needs(0).then(|| call(&TAKE, &[d.grad(), d.input(1)], &Params::new(take))), d.zeros(1)?])
}

fn shape_embedding(s: &mut Shapes<'_>, input_dim: i64, output_dim: i64) -> Result<()> {
    let (Ok(n), Ok(len)) = (usize::try_from(input_dim), usize::try_from(output_dim)) else {
        bail!(Param, "input_dim and output_dim cannot be negative, got {input_dim} and {output_dim}")
    };
    s.want(1, &[n, len])?;
    let Some(index) = s.input(0) else { return Ok(()) };
    check_rows(n, size_of_dims(&index)?)?;
    s.output(0, &index.iter().copied().chain([len]).collect::<Dims>())
}

/// The output is as the weight is, which is of the dtype that the parameters say unless it is given; indices may be of any.
fn type_embedding(t: &mut Types<'_>, dtype: DType) -> Result<()> {
    let d = *t.ins[1].get_or_insert(t.outs[0].unwrap_or(dtype));
    t.ins[0].get_or_insert(DType::F32);
    t.outs[0] = Some(d);
    Ok(())
}

fn run_embedding(r: &Run<'_>) -> Result<()> {
    let (index, weight) = (r.ins[0], r.ins[1]);
    index::take(Blocks::of(weight.dims(), 0), weight.span(), index.span(), Wild::Clip, r.outs[0].span());
    Ok(())
}

fn grad_embedding(d: &Vjp<'_>) -> Result<Grads> {
    let rows = d.needs(1).then(|| added_rows(d.grad(), d.input(0), 0, d.in_dims(1)[0], TakeMode::Clip));
    Ok(smallvec![d.zeros(0)?, rows])
}

/// The gradient of the weight as the rows that were looked up.
fn rows_embedding(d: &Vjp<'_>) -> Result<Rows> {
    let (g, n) = (d.grad(), d.in_dims(1)[0]);
    let mut indices = rows::numbers(d.input(0).tensor());
    indices.iter_mut().for_each(|i| *i = Wild::Clip.row(*i, n) as i64);
    let data = g.tensor().with_dims(&[indices.len(), d.in_dims(1)[1]])?;
    Ok(Rows { indices: rows::array(&indices, g.tensor())?, data })
}

fn embedding_case(d: &mut Draw) -> Case {
    let (n, len, index) = (d.size(1, 5), d.size(1, 4), d.shape(1, 2));
    let case = Case::new().input(&index, Fill::Whole(-1, n as i64 + 1)).real(&[n, len]);
    case.param("input_dim", n).param("output_dim", len)
}

fn take_case(d: &mut Draw) -> Case {
    let dims = d.shape(1, 3);
    let axis = d.axis(dims.len());
    let n = dims[axis.rem_euclid(dims.len() as i64) as usize] as i64;
    let mode = d.pick(&["clip", "wrap", "raise"]);
    let (low, high) = if mode == "raise" { (0, n) } else { (-2, n + 2) };
    let index = d.shape(1, 2);
    Case::new().real(&dims).input(&index, Fill::Whole(low, high)).param("axis", axis).param("mode", mode)
}

table! {
    TAKE = OpDef::new("take", &["a", "indices"], run_take).truths().params::<Take>()
        .doc("Rows of `a` along an axis, in the order that the indices say: out[…, i…, …] = a[…, indices[i…], …]. The axis gives way to \
              the axes of `indices`. Indices may be of any dtype; fractions are cut off.")
        .shape(shape_take).dtype(like_first).vjp(Keep::input(1), grad_take).cases(take_case);
    ADD_ROWS = OpDef::new("_ks_add_rows", &["data", "indices"], run_add_rows).params::<AddRows>()
        .doc("Zeros to which the rows of `data` are added where the indices say: the gradient of take.")
        .shape(|s| {
            let (Some(x), Some(index)) = (s.input(0), s.input(1)) else { return Ok(()) };
            s.output(0, &added(&x, &index, s.params.get())?)
        })
        .dtype(like_first).vjp(Keep::input(1), grad_add_rows)
        .cases(|d| {
            let (n, m) = (d.size(1, 4), d.size(1, 6));
            Case::new().real(&[d.size(1, 2), m, d.size(1, 3)]).input(&[m], Fill::Whole(-1, n as i64 + 1)).param("axis", 1i64).param("size", n)
        });
    EMBEDDING = OpDef::new("Embedding", &["data", "weight"], run_embedding).aliases(&["_sparse_Embedding"]).params::<Embed>()
        .doc("Rows of `weight`, of shape (input_dim, output_dim), by the indices in `data`: out[i…, :] = weight[data[i…], :]. \
              Indices outside mean the nearest row.")
        .shape(|s| {
            let &Embed { input_dim, output_dim, .. } = s.params.get();
            shape_embedding(s, input_dim, output_dim)
        })
        .dtype(|t| type_embedding(t, t.params.get::<Embed>().dtype))
        .vjp(Keep::input(0), grad_embedding).rows(1, rows_embedding)
        .cases(embedding_case);
    SPARSE_EMBEDDING = OpDef::new("_contrib_SparseEmbedding", &["data", "weight"], run_embedding).params::<SparseEmbed>()
        .doc("Embedding for a weight whose gradient is kept as rows.")
        .shape(|s| {
            let &SparseEmbed { input_dim, output_dim, .. } = s.params.get();
            shape_embedding(s, input_dim, output_dim)
        })
        .dtype(|t| type_embedding(t, t.params.get::<SparseEmbed>().dtype))
        .vjp(Keep::input(0), grad_embedding).rows(1, rows_embedding)
        .cases(embedding_case);
}
