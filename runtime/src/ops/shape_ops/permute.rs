//! Operators that put axes, or what is along them, in another order; and diagonals.

use super::super::def::{Keep, OpDef, Run};
use super::super::infer::Shapes;
use super::super::params::{Ints, Params};
use super::super::samples::Case;
use super::super::vjp::Vjp;
use super::view::{Move, View, moving};
use crate::array::Array;
use crate::error::Result;
use crate::shape::partial::Partial;
use crate::shape::{Dims, resolve_axis, row_major, show};
use smallvec::smallvec;

params! {
    /// What `transpose` takes.
    pub struct Axes {
        axes: Ints = Ints::new(), "which axis of the input each axis of the output is; reversed when empty";
    }
}

/// The order of axes, checked.
fn order(axes: &Ints, ndim: usize) -> Result<Dims> {
    if axes.is_empty() {
        return Ok((0..ndim).rev().collect());
    }
    let order: Dims = axes.iter().map(|&a| resolve_axis(a, ndim)).collect::<Result<_>>()?;
    let mut seen = order.clone();
    seen.sort_unstable();
    if seen.len() != ndim || seen.windows(2).any(|w| w[0] == w[1]) {
        bail!(Shape, "axes must name every axis once, got {axes:?} for {ndim} axes");
    }
    Ok(order)
}

/// Partly known shapes of an operator that permutes axes, both ways.
fn permute_partly(s: &mut Shapes<'_>, order: impl Fn(usize) -> Result<Dims>) -> Result<()> {
    let Some(n) = s.ins[0].ndim().or(s.outs[0].ndim()) else { return Ok(()) };
    let order = order(n)?;
    if let Some(x) = s.ins[0].sizes() {
        let sizes: Ints = order.iter().map(|&a| x[a]).collect();
        s.outs[0].merge(&Partial::from_sizes(&sizes))?;
    }
    if let Some(out) = s.outs[0].sizes() {
        let mut sizes: Ints = smallvec![-1; n];
        order.iter().zip(out).for_each(|(&a, &d)| sizes[a] = d);
        s.want_partial(0, &Partial::from_sizes(&sizes))?;
    }
    Ok(())
}

struct Transpose;
impl Move for Transpose {
    fn view(p: &Params, x: &[usize], _: &[usize]) -> Result<View> {
        Ok(View::of(x).permuted(&order(&p.get::<Axes>().axes, x.len())?))
    }
    fn partly(s: &mut Shapes<'_>) -> Result<()> {
        let axes = s.params.get::<Axes>().axes.clone();
        permute_partly(s, |n| order(&axes, n))
    }
}

/// A copy with the axes in this order, recorded.
pub fn transposed(x: &Array, axes: &[usize]) -> Array {
    View::of(x.dims()).permuted(axes).taken_from(x)
}

params! {
    /// What `SwapAxis` takes.
    pub struct TwoAxes {
        dim1: i64 = 0, "one axis";
        dim2: i64 = 0, "the other";
    }
}

fn swapped(p: &TwoAxes, ndim: usize) -> Result<Dims> {
    let mut order: Dims = (0..ndim).collect();
    order.swap(resolve_axis(p.dim1, ndim)?, resolve_axis(p.dim2, ndim)?);
    Ok(order)
}

struct SwapAxis;
impl Move for SwapAxis {
    fn view(p: &Params, x: &[usize], _: &[usize]) -> Result<View> {
        Ok(View::of(x).permuted(&swapped(p.get(), x.len())?))
    }
    fn partly(s: &mut Shapes<'_>) -> Result<()> {
        let p = s.params.get::<TwoAxes>().clone();
        permute_partly(s, |n| swapped(&p, n))
    }
}

params! {
    /// What `reverse` takes.
    pub struct ReverseAxes {
        axis: Ints, "the axis, or axes, to reverse";
    }
}

struct Reverse;
impl Move for Reverse {
    fn view(p: &Params, x: &[usize], _: &[usize]) -> Result<View> {
        let mut axes: Dims =
            p.get::<ReverseAxes>().axis.iter().map(|&a| resolve_axis(a, x.len())).collect::<Result<_>>()?;
        axes.sort_unstable();
        axes.dedup();
        let flip = |v: View, &a: &usize| if x[a] > 0 { v.range(a, x[a] - 1, x[a], -1) } else { v };
        Ok(axes.iter().fold(View::of(x), flip))
    }
    fn partly(s: &mut Shapes<'_>) -> Result<()> {
        super::super::infer::same(s)
    }
}

params! {
    /// What the exchanges of depth and space take.
    pub struct Block {
        block_size: i64, "side of a block";
    }
}

/// The side of a block and the four axes, checked.
fn block(p: &Params, x: &[usize]) -> Result<(usize, [usize; 4])> {
    let b = p.get::<Block>().block_size;
    let Ok(x) = <[usize; 4]>::try_from(x) else { bail!(Shape, "4 axes are wanted (NCHW), got {}", show(x)) };
    if b < 1 {
        bail!(Param, "block_size must be positive, got {b}");
    }
    Ok((b as usize, x))
}

struct DepthToSpace;
impl Move for DepthToSpace {
    fn view(p: &Params, x: &[usize], _: &[usize]) -> Result<View> {
        let (b, [n, c, h, w]) = block(p, x)?;
        match b.checked_mul(b).filter(|bb| c % bb == 0) {
            None => bail!(Shape, "the channels must be a multiple of block_size squared, got {c} and {b}"),
            Some(bb) => {
                let v = View::of(x).split(1, &[b, b, c / bb]).permuted(&[0, 3, 4, 1, 5, 2]);
                Ok(v.shaped(&[n, c / bb, h * b, w * b]))
            }
        }
    }
}

struct SpaceToDepth;
impl Move for SpaceToDepth {
    fn view(p: &Params, x: &[usize], _: &[usize]) -> Result<View> {
        let (b, [n, c, h, w]) = block(p, x)?;
        if h % b != 0 || w % b != 0 {
            bail!(Shape, "height and width must be multiples of block_size, got {h} and {w} for {b}");
        }
        let v = View::of(x).split(3, &[w / b, b]).split(2, &[h / b, b]).permuted(&[0, 3, 5, 1, 2, 4]);
        Ok(v.shaped(&[n, c * b * b, h / b, w / b]))
    }
}

params! {
    /// What `diag` takes.
    pub struct Diagonal {
        k: i64 = 0, "which diagonal: above the main one when positive, below it when negative";
        axis1: i64 = 0, "axis of the rows";
        axis2: i64 = 1, "axis of the columns";
    }
}

/// The diagonal of an array of this shape; its length comes last.
fn diagonal(x: &[usize], k: i64, axis1: usize, axis2: usize) -> Result<View> {
    let (below, right) = (k.min(0).unsigned_abs() as usize, k.max(0) as usize);
    let Some(len) = x[axis1].checked_sub(below).zip(x[axis2].checked_sub(right)).map(|(a, b)| a.min(b))
    else {
        bail!(Shape, "there is no diagonal {k} in shape {}", show(x));
    };
    let s = row_major(x);
    let keep = |i: &usize| *i != axis1 && *i != axis2;
    let mut v = View::of(x).permuted(&(0..x.len()).filter(keep).collect::<Dims>());
    v.dims.push(len);
    v.strides.push(s[axis1] + s[axis2]);
    v.offset = if len == 0 { 0 } else { below * s[axis1] as usize + right * s[axis2] as usize };
    Ok(v)
}

/// For an array of one axis: the square matrix whose diagonal it becomes, and the walk over that. Otherwise the walk over
/// the array itself.
fn diag(p: &Params, x: &[usize]) -> Result<(Option<Dims>, View)> {
    let p: &Diagonal = p.get();
    if let [n] = x {
        let side = usize::try_from(p.k.unsigned_abs()).ok().and_then(|k| k.checked_add(*n));
        let Some(side) = side.filter(|s| s.checked_mul(*s).is_some()) else {
            bail!(Shape, "diagonal {} leaves any matrix", p.k)
        };
        return Ok((Some(smallvec![side, side]), diagonal(&[side, side], p.k, 0, 1)?));
    }
    let (a, b) = (resolve_axis(p.axis1, x.len())?, resolve_axis(p.axis2, x.len())?);
    if a == b {
        bail!(Shape, "axis1 and axis2 must differ, got {} and {}", p.axis1, p.axis2);
    }
    Ok((None, diagonal(x, p.k, a, b)?))
}

fn run_diag(r: &Run<'_>) -> Result<()> {
    let (x, out) = (r.ins[0], r.outs[0].span());
    match diag(r.params, x.dims())? {
        (Some(_), v) => v.place(x.span(), out),
        (None, v) => v.read(x.span(), out),
    }
    Ok(())
}

fn grad_diag(d: &Vjp<'_>) -> Result<Array> {
    let (matrix, v) = diag(d.params, d.in_dims(0))?;
    Ok(if matrix.is_some() { v.taken_from(d.grad()) } else { v.placed(d.grad(), d.in_dims(0)) })
}

fn block_case(d: &mut super::super::samples::Draw, deep: bool) -> Case {
    let (b, n, c, h, w) = (d.size(1, 3), d.size(1, 2), d.size(1, 2), d.size(1, 3), d.size(1, 3));
    let dims = if deep { [n, c * b * b, h, w] } else { [n, c, h * b, w * b] };
    Case::new().real(&dims).param("block_size", b)
}

table! {
    TRANSPOSE = moving::<Transpose>("transpose", &["data"]).params::<Axes>()
        .doc("A copy with the axes in another order: axis i of the result is axis `axes[i]` of `data`. Without `axes` the order is reversed.")
        .cases(|d| {
            let dims = d.shape(1, 5);
            let mut axes: Vec<usize> = (0..dims.len()).collect();
            for i in (1..axes.len()).rev() { axes.swap(i, d.size(0, i)); }
            let case = Case::new().real(&dims);
            if d.int(0, 3) == 0 { case } else { case.param("axes", axes) }
        });
    SWAP_AXIS = moving::<SwapAxis>("SwapAxis", &["data"]).aliases(&["swapaxes"]).params::<TwoAxes>()
        .doc("A copy with two axes exchanged.")
        .cases(|d| {
            let dims = d.shape(1, 4);
            Case::new().real(&dims).param("dim1", d.axis(dims.len())).param("dim2", d.axis(dims.len()))
        });
    REVERSE = moving::<Reverse>("reverse", &["data"]).aliases(&["flip"]).params::<ReverseAxes>()
        .doc("A copy in which the elements stand in opposite order along each of the named axes.")
        .cases(|d| { let dims = d.shape(1, 4); Case::new().real(&dims).param("axis", vec![d.axis(dims.len()), d.axis(dims.len())]) });
    DEPTH_TO_SPACE = moving::<DepthToSpace>("depth_to_space", &["data"]).params::<Block>()
        .doc("Moves channels into blocks of pixels: (N, C*b*b, H, W) becomes (N, C, H*b, W*b). Pixel (i, j) of a block comes from \
              channel (i*b + j)*C + c.")
        .cases(|d| block_case(d, true));
    SPACE_TO_DEPTH = moving::<SpaceToDepth>("space_to_depth", &["data"]).params::<Block>()
        .doc("Moves blocks of pixels into channels, the inverse of depth_to_space: (N, C, H*b, W*b) becomes (N, C*b*b, H, W).")
        .cases(|d| block_case(d, false));
    DIAG = OpDef::new("diag", &["data"], run_diag).params::<Diagonal>()
        .doc("The diagonal over two axes, as last axis of the result; of an array of one axis the square matrix that has it as its \
              diagonal. `k` moves it up or down.")
        .shape(|s| {
            let Some(x) = s.input(0) else { return Ok(()) };
            match diag(s.params, &x)? {
                (Some(matrix), _) => s.output(0, &matrix),
                (None, v) => s.output(0, v.shape()),
            }
        })
        .vjp1(Keep::NOTHING, grad_diag)
        .cases(|d| {
            let dims: Dims = (0..d.size(1, 4)).map(|_| d.size(2, 4)).collect();
            let n = dims.len();
            let case = Case::new().real(&dims).param("k", d.int(-1, 1));
            if n < 2 { return case; }
            let a = d.size(0, n - 1);
            case.param("axis1", a).param("axis2", (a + d.size(1, n - 1)) as i64 % n as i64 - if d.flip() { n as i64 } else { 0 })
        });
}
