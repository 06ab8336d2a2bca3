//! Spatial transformers (Jaderberg et al., 2015): grids of places, and feature maps sampled there.

use super::super::def::{Keep, OpDef, Run};
use super::super::infer::Shapes;
use super::super::join::concat;
use super::super::matrix::dot::DOT;
use super::super::matrix::float_type;
use super::super::params::{Ints, Params};
use super::super::reduce::sum_over;
use super::super::samples::{Case, Draw, Fill};
use super::super::shape_ops::view::reshaped;
use super::super::vjp::{Grads, Vjp};
use super::{ints, maps, pair, planes, share};
use crate::array::Array;
use crate::dtype::{DType, Elem};
use crate::error::Result;
use crate::fluent::{call, call_with};
use crate::invoke::invoke;
use crate::kernels::spatial::sample::{Sampler, affine, coordinate, places};
use crate::shape::partial::Partial;
use crate::tensor::Tensor;
use smallvec::smallvec;

choices! {
    /// What the grid's input says.
    pub enum Transform { Affine = "affine", Warp = "warp" }
}

choices! {
    /// The only transform of `SpatialTransformer`.
    pub enum OnlyAffine { Affine = "affine" }
}

choices! {
    /// The only sampler of `SpatialTransformer`.
    pub enum OnlyBilinear { Bilinear = "bilinear" }
}

params! {
    /// What `GridGenerator` takes.
    pub struct Grid {
        transform_type: Transform, "affine: the data are maps (N, 6); warp: they are displacements (N, 2, H, W) in pixels";
        target_shape: Ints = smallvec![0, 0], "height and width of the grid, of affine";
    }
}

params! {
    /// What `BilinearSampler` takes.
    pub struct SamplerParams {
        cudnn_off: Option<bool> = None, "without effect";
    }
}

params! {
    /// What `SpatialTransformer` takes.
    pub struct Transformer {
        target_shape: Ints = smallvec![0, 0], "height and width of the result";
        transform_type: OnlyAffine, "how loc is read: six numbers of an affine map";
        sampler_type: OnlyBilinear, "how values between pixels are made";
        cudnn_off: Option<bool> = None, "without effect";
    }
}

params! {
    /// What the derivatives of `BilinearSampler` take.
    pub struct Derive {
        along_x: bool, "whether the derivative by x is wanted";
        along_y: bool, "whether the derivative by y is wanted";
        size: Ints, "height and width of the planes";
    }
}

/// The sampler for planes of `data` at the places of `grid`.
fn sampler(data: &[usize], grid: &[usize], p: &Derive) -> Result<Sampler> {
    let ([batch, channels, ..], [_, _, h, w]) = (maps(data)?, maps(grid)?);
    let [rows, columns] = pair("size", &p.size)?;
    let derive = (p.along_x, p.along_y);
    Ok(Sampler { batch, channels, size: (rows, columns), places: h * w, derive })
}

/// Only the values, of planes like `data`'s.
fn values(data: &[usize]) -> Derive {
    Derive { along_x: false, along_y: false, size: ints(&data[2..]) }
}

fn pull(data: &Tensor, grid: &Tensor, p: &Derive, out: &Tensor) -> Result<()> {
    let s = sampler(data.dims(), grid.dims(), p)?;
    // SAFETY: nobody writes an input.
    with_dtype!(grid.dtype(), T => s.pull(data.span(), places(unsafe { grid.span().slice::<T>() }, s.places), out.span()));
    Ok(())
}

/// Values of `data`, or their derivatives, at the places of `grid`, recorded.
fn pulled(data: &Array, grid: &Array, along: [bool; 2], size: &Ints) -> Array {
    call_with(&SAMPLE, &[data, grid], Derive { along_x: along[0], along_y: along[1], size: size.clone() })
}

/// The gradient by the grid of the sum over everything of `g` times the values of `data`: by x and by y, where each is the sum
/// over the channels of `g` times the derivative of the values. Derivatives of derivatives along one axis are 0.
fn by_grid(g: &Array, data: &Array, grid: &Array, p: &Derive) -> Result<Array> {
    let one = |along: [bool; 2], gone: bool| {
        if gone {
            return Array::zeros(&[grid.dims()[0], 1, grid.dims()[2], grid.dims()[3]], g.dtype(), g.device());
        }
        Ok(sum_over(&(g * pulled(data, grid, along, &p.size)), &[1], true))
    };
    let (x, y) = (one([true, p.along_y], p.along_x)?, one([p.along_x, true], p.along_y)?);
    Ok(concat(&[x, y], 1))
}

/// Gradients by data and grid of values at the grid.
fn grad_values(d: &Vjp<'_>, p: &Derive) -> Result<Grads> {
    let (data, grid, g) = (d.input(0), d.input(1), d.grad());
    let by_data = d.needs(0).then(|| call_with(&SPREAD, &[g, grid], p.clone()));
    let by_places = d.needs(1).then(|| by_grid(g, data, grid, p)).transpose()?;
    Ok(smallvec![by_data, by_places])
}

/// Gradients by the spread numbers and the grid: the roles of data and gradient are exchanged.
fn grad_spread(d: &Vjp<'_>) -> Result<Grads> {
    let (p, spread, grid, g) = (d.p::<Derive>(), d.input(0), d.input(1), d.grad());
    let back = d.needs(0).then(|| pulled(g, grid, [p.along_x, p.along_y], &p.size));
    let by_places = d.needs(1).then(|| by_grid(spread, g, grid, p)).transpose()?;
    Ok(smallvec![back, by_places])
}

fn shape_sampler(s: &mut Shapes<'_>) -> Result<()> {
    share(s, 0, &[(0, 0), (1, 1)])?;
    s.want_partial(1, &Partial::from_sizes(&[-1, 2, -1, -1]))?;
    share(s, 1, &[(0, 0), (2, 2), (3, 3)])?;
    if let Some(n) = s.outs[0].dim(0) {
        s.want_partial(0, &Partial::from_sizes(&[n as i64, -1, -1, -1]))?;
    }
    let Some(x) = s.input(0) else { return Ok(()) };
    planes(&x).map(drop)
}

fn shape_sample(s: &mut Shapes<'_>) -> Result<()> {
    let [h, w] = pair("size", &s.params.get::<Derive>().size)?;
    s.want_partial(0, &Partial::from_sizes(&[-1, -1, h as i64, w as i64]))?;
    shape_sampler(s)
}

fn shape_spread(s: &mut Shapes<'_>) -> Result<()> {
    let [h, w] = pair("size", &s.params.get::<Derive>().size)?;
    share(s, 0, &[(0, 0), (1, 1)])?;
    s.outs[0].merge(&Partial::from_sizes(&[-1, -1, h as i64, w as i64]))?;
    let Some(g) = s.input(0) else { return Ok(()) };
    s.want(1, &[g[0], 2, g[2], g[3]])
}

fn run_spread(r: &Run<'_>) -> Result<()> {
    let (g, grid, out) = (r.ins[0], r.ins[1], r.outs[0]);
    let s = sampler(g.dims(), grid.dims(), r.p())?;
    // SAFETY: nobody writes an input.
    with_dtype!(grid.dtype(), T => s.push(g.span(), places(unsafe { grid.span().slice::<T>() }, s.places), out.span()));
    Ok(())
}

fn shape_grid(s: &mut Shapes<'_>) -> Result<()> {
    let p: &Grid = s.params.get();
    if p.transform_type == Transform::Warp {
        s.want_partial(0, &Partial::from_sizes(&[-1, 2, -1, -1]))?;
        return share(s, 0, &[(0, 0), (1, 1), (2, 2), (3, 3)]);
    }
    let [h, w] = pair("target_shape", &p.target_shape)?;
    shape_theta(s, 0, 2, [h, w])
}

/// Input `i` is (N, 6), the output (N, channels, H, W).
fn shape_theta(s: &mut Shapes<'_>, i: usize, channels: i64, [h, w]: [usize; 2]) -> Result<()> {
    s.want_partial(i, &Partial::from_sizes(&[-1, 6]))?;
    let n = s.ins[i].dim(0).or(s.outs[0].dim(0)).map_or(-1, |n| n as i64);
    s.want_partial(i, &Partial::from_sizes(&[n, 6]))?;
    s.outs[0].merge(&Partial::from_sizes(&[n, channels, h as i64, w as i64])).map(drop)
}

fn run_grid(r: &Run<'_>) -> Result<()> {
    let (x, out) = (r.ins[0], r.outs[0]);
    let [batch, _, h, w] = maps(out.dims())?;
    with_dtype!(x.dtype(), T => {
        // SAFETY: nobody writes the input, and the output is new.
        let (x, out) = unsafe { (x.span().slice::<T>(), out.span().slice_mut::<T>()) };
        let fill = |out: &mut [T], place: &dyn Fn(usize, usize) -> (f64, f64)| {
            for (i, o) in out.iter_mut().enumerate() {
                let (n, second, p) = (i / (2 * h * w), i / (h * w) % 2 == 1, i % (h * w));
                let (x, y) = place(n, p);
                *o = T::from_f64(if second { y } else { x });
            }
        };
        if r.p::<Grid>().transform_type == Transform::Affine {
            fill(out, &affine(x, (h, w)));
        } else if batch > 0 {
            let moved = places(x, h * w);
            let scale = |n: usize| if n == 1 { 0.0 } else { 2.0 / (n - 1) as f64 };
            fill(out, &|n, p| {
                let (x, y) = moved(n, p);
                (coordinate(p % w, w) + x * scale(w), coordinate(p / w, h) + y * scale(h))
            });
        }
    });
    Ok(())
}

/// The places of a grid's pixels, and ones: rows (x, y, 1) for each pixel, a constant.
fn base([h, w]: [usize; 2], like: &Array) -> Result<Array> {
    let rows: Vec<f64> = (0..h * w).flat_map(|p| [coordinate(p % w, w), coordinate(p / w, h), 1.0]).collect();
    constant(&rows, &[h * w, 3], like.dtype())
}

fn constant(values: &[f64], dims: &[usize], dtype: DType) -> Result<Array> {
    with_dtype!(dtype, T => {
        let values: Vec<T> = values.iter().map(|&v| T::from_f64(v)).collect();
        Array::from_slice(&values, dims)
    })
}

/// The gradient by the affine maps, given that by the grid: the product with the places.
fn by_theta(g: &Array, size: [usize; 2]) -> Result<Array> {
    let n = g.dims()[0];
    let flat = reshaped(g, &[2 * n, size[0] * size[1]]);
    Ok(reshaped(&call(&DOT, &[&flat, &base(size, g)?], &dot_plain()?), &[n, 6]))
}

fn dot_plain() -> Result<Params> {
    crate::invoke::parse_named(&DOT, &[], 2)
}

fn grad_grid(d: &Vjp<'_>) -> Result<Array> {
    let (p, g) = (d.p::<Grid>(), d.grad());
    if p.transform_type == Transform::Affine {
        return by_theta(g, pair("target_shape", &p.target_shape)?);
    }
    let scale = |n: usize| if n == 1 { 0.0 } else { 2.0 / (n - 1) as f64 };
    let [_, _, h, w] = maps(d.in_dims(0))?;
    Ok(g * constant(&[scale(w), scale(h)], &[1, 2, 1, 1], g.dtype())?)
}

fn shape_transformer(s: &mut Shapes<'_>) -> Result<()> {
    let size = pair("target_shape", &s.params.get::<Transformer>().target_shape)?;
    shape_theta(s, 1, -1, size)?;
    share(s, 0, &[(0, 0), (1, 1)])?;
    shape_theta(s, 1, -1, size)?;
    let Some(x) = s.input(0) else { return Ok(()) };
    planes(&x).map(drop)
}

fn run_transformer(r: &Run<'_>) -> Result<()> {
    let (x, theta, out) = (r.ins[0], r.ins[1], r.outs[0]);
    let [h, w] = pair("target_shape", &r.p::<Transformer>().target_shape)?;
    let s = sampler(x.dims(), out.dims(), &values(x.dims()))?;
    // The places are computed where they are needed, so the grid takes no memory.
    // SAFETY: nobody writes an input.
    with_dtype!(theta.dtype(), T => s.pull(x.span(), affine(unsafe { theta.span().slice::<T>() }, (h, w)), out.span()));
    Ok(())
}

fn grad_transformer(d: &Vjp<'_>) -> Result<Grads> {
    let (x, theta, g, p) = (d.input(0), d.input(1), d.grad(), d.p::<Transformer>());
    let grid = Grid { transform_type: Transform::Affine, target_shape: p.target_shape.clone() };
    let grid = invoke(&GRID_GENERATOR, &[theta], &Params::new(grid), &[])?.remove(0);
    let derive = values(x.dims());
    let by_data = d.needs(0).then(|| call_with(&SPREAD, &[g, &grid], derive.clone()));
    let size = pair("target_shape", &p.target_shape)?;
    let by_maps = d.needs(1).then(|| by_theta(&by_grid(g, x, &grid, &derive)?, size)).transpose()?;
    Ok(smallvec![by_data, by_maps])
}

/// Coordinates whose places are not on pixels, where the gradient jumps, for planes of this size.
fn off_pixels(d: &mut Draw, n: usize, size: [usize; 2], each: usize) -> Fill {
    let mut values = Vec::new();
    for axis in (0..n).flat_map(|_| [size[1], size[0]]) {
        for _ in 0..each {
            let at = d.int(-1, axis as i64 - 1) as f64 + d.real(0.1, 0.9);
            values.push(if axis == 1 { d.real(-0.5, 0.5) } else { 2.0 * at / (axis - 1) as f64 - 1.0 });
        }
    }
    Fill::Given(values)
}

fn case_sampler(d: &mut Draw) -> (Case, [usize; 2]) {
    let (n, h, w) = (d.size(1, 2), d.size(1, 3), d.size(1, 3));
    let size = [d.size(1, 4), d.size(1, 4)];
    let grid = off_pixels(d, n, size, h * w);
    (Case::new().real(&[n, d.size(1, 3), size[0], size[1]]).input(&[n, 2, h, w], grid), size)
}

table! {
    GRID_GENERATOR = OpDef::new("GridGenerator", &["data"], run_grid).params::<Grid>().counted(|_| 2)
        .doc("A grid of places (N, 2, H, W), x and then y, for BilinearSampler; -1 and 1 are the centres of the outer pixels. affine: (x', y') = A (x, y, 1) \
              where A is (2, 3), the six numbers of `data`, and (x, y) the place of a pixel of `target_shape`. warp: the place of each pixel, moved by \
              `data` in pixels. Along an axis of one pixel the place is 0.")
        .shape(shape_grid).dtype(float_type).vjp1(Keep::NOTHING, grad_grid)
        .cases(|d| {
            let (n, h, w) = (d.size(1, 3), d.size(1, 4), d.size(1, 4));
            if d.flip() {
                return Case::new().real(&[n, 2, h, w]).param("transform_type", "warp");
            }
            Case::new().real(&[n, 6]).param("transform_type", "affine").param("target_shape", vec![h, w])
        });
    BILINEAR_SAMPLER = OpDef::new("BilinearSampler", &["data", "grid"], |r| pull(r.ins[0], r.ins[1], &values(r.ins[0].dims()), r.outs[0]))
        .params::<SamplerParams>().counted(|_| 2)
        .doc("Feature maps at the places of a grid (N, 2, H, W): out[n, c, i, j] = the sum over the four pixels (y, x) around the place of \
              (1 - |x - x'|) (1 - |y - y'|) data[n, c, y, x], where x' = (grid[n, 0, i, j] + 1)(W - 1)/2, and y' likewise. Pixels outside are 0.")
        .shape(shape_sampler).dtype(float_type)
        .vjp(Keep::INPUTS, |d| grad_values(d, &values(d.in_dims(0)))).cases(|d| case_sampler(d).0);
    SPATIAL_TRANSFORMER = OpDef::new("SpatialTransformer", &["data", "loc"], run_transformer).params::<Transformer>().counted(|_| 3)
        .doc("BilinearSampler of the data at the affine grid of `loc`, which is (N, 6): see GridGenerator.")
        .shape(shape_transformer).dtype(float_type).vjp(Keep::INPUTS, grad_transformer)
        .cases(|d| {
            let (n, h, w) = (d.size(1, 2), d.size(1, 3), d.size(1, 3));
            Case::new().real(&[n, d.size(1, 2), 3, 4]).input(&[n, 6], Fill::Real(0.11, 0.53, &[]))
                .param("target_shape", vec![h, w]).param("transform_type", "affine").param("sampler_type", "bilinear")
        });
    SAMPLE = OpDef::new("_ks_sample", &["data", "grid"], |r| pull(r.ins[0], r.ins[1], r.p(), r.outs[0])).params::<Derive>()
        .doc("The values of BilinearSampler, or their derivatives by the place.")
        .shape(shape_sample).dtype(float_type).vjp(Keep::INPUTS, |d| grad_values(d, d.p()))
        .cases(|d| {
            let (case, size) = case_sampler(d);
            case.param("along_x", d.flip()).param("along_y", d.flip()).param("size", &size[..])
        });
    SPREAD = OpDef::new("_ks_sample_spread", &["data", "grid"], run_spread).params::<Derive>()
        .doc("The gradient of BilinearSampler by its data: every number is added to the four pixels around its place.")
        .shape(shape_spread).dtype(float_type).vjp(Keep::INPUTS, grad_spread)
        .cases(|d| {
            let (n, h, w, size) = (d.size(1, 2), d.size(1, 3), d.size(1, 3), [d.size(1, 4), d.size(1, 4)]);
            let grid = off_pixels(d, n, size, h * w);
            Case::new().real(&[n, d.size(1, 3), h, w]).input(&[n, 2, h, w], grid)
                .param("along_x", d.flip()).param("along_y", d.flip()).param("size", &size[..])
        });
}
