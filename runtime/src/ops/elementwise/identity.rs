//! Operators that pass values on as they are: copies, marks for the tape, conversion of the dtype, zeros and ones.

use super::scalar::{Scalar, divide};
use crate::array::Array;
use crate::dtype::DType;
use crate::error::Result;
use crate::kernels::copy::{self, cast};
use crate::ops::def::{Keep, OpDef, Run};
use crate::ops::infer::{Shapes, Types};
use crate::ops::join::check_count;
use crate::ops::params::Params;
use crate::ops::samples::{Case, Draw, Fill};
use crate::ops::vjp::Vjp;
use std::cmp::Ordering;

/// Copies input 0 to output 0, wherever it is not there already.
pub(crate) fn run_copy(r: &Run<'_>) -> Result<()> {
    let (x, y) = (r.ins[0].span(), r.outs[0].span());
    if !x.same(y) {
        cast(x, y);
    }
    Ok(())
}

fn fill(r: &Run<'_>, x: f64) -> Result<()> {
    copy::fill(r.outs[0].span(), x);
    Ok(())
}

params! {
    /// The dtype to convert to.
    pub struct CastTo {
        dtype: DType, "the dtype of the result";
    }
}

/// Parameters of [`CAST`].
pub fn cast_to(dtype: DType) -> Params {
    Params::new(CastTo { dtype })
}

fn run_cast(r: &Run<'_>) -> Result<()> {
    cast(r.ins[0].span(), r.outs[0].span());
    Ok(())
}

fn type_cast(t: &mut Types<'_>) -> Result<()> {
    t.outs[0] = Some(t.params.get::<CastTo>().dtype);
    Ok(())
}

fn grad_cast(d: &Vjp<'_>) -> Result<Array> {
    Ok(d.grad().cast(d.in_dtype(0)))
}

fn same(d: &Vjp<'_>) -> Result<Array> {
    Ok(d.grad().clone())
}

fn cast_case(d: &mut Draw) -> Case {
    let dims = d.shape(1, 3);
    Case::new().input(&dims, Fill::Real(-4.0, 4.0, &[])).param("dtype", "float64")
}

params! {
    /// What conversion to a common dtype takes.
    pub struct Multicast {
        num_outputs: i64, "number of arrays";
        cast_narrow: bool = false, "whether the narrowest dtype is taken, not the widest";
    }
}

fn multicast_outputs(p: &Params) -> usize {
    p.get::<Multicast>().num_outputs.clamp(1, 1 << 16) as usize
}

fn shape_multicast(s: &mut Shapes<'_>) -> Result<()> {
    check_count(s.params.get::<Multicast>().num_outputs, s.ins.len())?;
    for (x, y) in s.ins.iter_mut().zip(s.outs.iter_mut()) {
        x.merge(y)?;
        y.merge(x)?;
    }
    Ok(())
}

fn type_multicast(t: &mut Types<'_>) -> Result<()> {
    let p = t.params.get::<Multicast>();
    check_count(p.num_outputs, t.ins.len())?;
    // Until all are known the widest is not.
    if t.ins.iter().any(Option::is_none) {
        return Ok(());
    }
    let floats = || t.ins.iter().flatten().copied().filter(|d| d.is_float());
    let common = floats().reduce(|a, b| match (a.size().cmp(&b.size()), p.cast_narrow) {
        _ if a == b => a,
        (Ordering::Less, true) | (Ordering::Greater, false) => a,
        (Ordering::Equal, false) => DType::F32,
        (Ordering::Equal, true) => a,
        _ => b,
    });
    for (x, y) in t.ins.iter().zip(t.outs.iter_mut()) {
        *y = if x.is_some_and(DType::is_float) { common } else { *x };
    }
    Ok(())
}

fn run_multicast(r: &Run<'_>) -> Result<()> {
    r.ins.iter().zip(r.outs).for_each(|(x, y)| cast(x.span(), y.span()));
    Ok(())
}

fn run_div_sqrt_dim(r: &Run<'_>) -> Result<()> {
    divide(r, root(r.ins[0].dims()))
}

/// Square root of the size of the last axis.
fn root(dims: &[usize]) -> f64 {
    (dims.last().copied().unwrap_or(1) as f64).sqrt()
}

params! {
    /// What storage conversion takes.
    pub struct StorageType {
        stype: super::identity::Stype, "the storage type; arrays of this runtime are dense, so all are";
    }
}

choices! {
    /// Storage types.
    pub enum Stype { Default = "default", RowSparse = "row_sparse", Csr = "csr" }
}

table! {
    COPY = OpDef::map("_copy", run_copy).truths().aliases(&["identity"])
        .doc("A copy of an array.").vjp1(Keep::NOTHING, same).samples(-2.0, 2.0);
    COPYTO = OpDef::map("_copyto", run_copy).truths()
        .doc("A copy of an array, usually into a given one.").vjp1(Keep::NOTHING, same).samples(-2.0, 2.0);
    BLOCK_GRAD = OpDef::map("BlockGrad", run_copy).truths().aliases(&["stop_gradient", "_sparse_stop_gradient"])
        .doc("A copy of an array that lets no gradient through.")
        .zero_gradient("that is what it is for").no_samples("the gradient is not that of the function");
    MAKE_LOSS = OpDef::map("make_loss", run_copy).truths().aliases(&["_sparse_make_loss"])
        .doc("A copy of an array whose gradient is 1, whatever gradient comes from above.")
        .vjp1(Keep::NOTHING, |d| Ok(d.grad().ones_like())).no_samples("the gradient is not that of the function");
    GRADIENT_MULTIPLIER = OpDef::map("_contrib_gradientmultiplier", run_copy).params::<Scalar>()
        .doc("The array as it is; its gradient is multiplied by `scalar`.")
        .vjp1(Keep::NOTHING, |d| Ok(d.grad() * d.p::<Scalar>().scalar)).no_samples("the gradient is not that of the function");
    CAST_STORAGE = OpDef::map("cast_storage", run_copy).aliases(&["_sparse_cast_storage"]).params::<StorageType>()
        .doc("A copy with another storage type; arrays of this runtime are dense.")
        .vjp1(Keep::NOTHING, same).no_samples("a copy");
    CAST = OpDef::new("Cast", &["data"], run_cast).elementwise(|_| true).truths().aliases(&["cast"]).params::<CastTo>().dtype(type_cast)
        .doc("Converts every element to another dtype. Floats truncate toward zero to integers; what does not fit wraps. The \
              gradient is converted back.")
        .vjp1(Keep::NOTHING, grad_cast).cases(cast_case);
    AMP_CAST = OpDef::new("amp_cast", &["data"], run_cast).elementwise(|_| true).params::<CastTo>()
        .dtype(|t| {
            // Integers are none of mixed precision's business.
            let to = t.params.get::<CastTo>().dtype;
            t.outs[0] = t.ins[0].map(|d| if d.is_float() { to } else { d });
            Ok(())
        })
        .doc("As `Cast`, for floating-point arrays; others stay as they are.")
        .vjp1(Keep::NOTHING, grad_cast).cases(cast_case);
    AMP_MULTICAST = OpDef::new("amp_multicast", &["data"], run_multicast).params::<Multicast>().variadic(Some("num_outputs"))
        .outputs(multicast_outputs, multicast_outputs).shape(shape_multicast).dtype(type_multicast)
        .doc("Converts floating-point arrays to one dtype: the widest of theirs, or the narrowest where `cast_narrow` is set. Other \
              arrays stay as they are.")
        .vjp(Keep::NOTHING, |d| {
            let back = |i: usize| d.needs(i).then(|| d.grad_or_zeros(i).map(|g| g.cast(d.in_dtype(i)))).transpose();
            (0..d.num_inputs()).map(back).collect()
        })
        .cases(|d| {
            let (a, b) = (d.shape(1, 3), d.shape(1, 3));
            Case::new().real(&a).real(&b).param("num_outputs", 2i64).param("cast_narrow", d.flip())
        });
    ZEROS_LIKE = OpDef::map("zeros_like", |r| fill(r, 0.0)).truths().aliases(&["_sparse_zeros_like"])
        .doc("Zeros in the shape and dtype of an array.").zero_gradient("constant").samples(-2.0, 2.0);
    ONES_LIKE = OpDef::map("ones_like", |r| fill(r, 1.0)).truths()
        .doc("Ones in the shape and dtype of an array.").zero_gradient("constant").samples(-2.0, 2.0);
    DIV_SQRT_DIM = OpDef::map("_contrib_div_sqrt_dim", run_div_sqrt_dim).whole()
        .doc("Every element divided by the square root of the size of the last axis.")
        .vjp1(Keep::NOTHING, |d| Ok(d.grad() / root(d.in_dims(0)))).samples(-2.0, 2.0);
}
