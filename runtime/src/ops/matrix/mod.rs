//! Products of matrices. All of them, and all their gradients, are one operator with different places: the gradient of
//! `C = α A B` is `α G Bᵀ` written where A lies and `α Aᵀ G` written where B lies, so nothing is ever transposed in memory.

pub mod attention;
pub mod dense;
pub mod dot;

use super::def::{Keep, OpDef, Run};
use super::infer::{self, Types};
use super::params::{Ints, Params};
use super::vjp::{Grads, Vjp};
use crate::array::Array;
use crate::dtype::DType;
use crate::error::Result;
use crate::fluent::call;
use crate::kernels::copy::cast;
use crate::kernels::product::{Layout, Real, gemm_batch};
use crate::shape::{Dims, row_major, show};
use crate::tensor::Tensor;
use smallvec::{SmallVec, smallvec};

params! {
    /// A product, or many of one size, between matrices that lie anywhere in their arrays.
    pub struct Product {
        sizes: Ints, "m, n and k, for a of m×k and b of k×n";
        batch: Ints, "how many products there are, over any number of axes";
        a: Ints, "where a begins, then its distances between rows, between columns, and along each axis of the batch";
        b: Ints, "the same of b";
        c: Ints, "the same of the result";
        shape: Ints, "shape of the result; what no product writes is 0";
        alpha: f64 = 1.0, "factor";
    }
}

fn swapped(place: &[i64]) -> Ints {
    let mut p = Ints::from_slice(place);
    p.swap(1, 2);
    p
}

fn layout(place: &[i64]) -> Layout {
    Layout { rows: place[1] as isize, cols: place[2] as isize }
}

/// Sizes as parameters hold them.
pub fn ints(dims: &[usize]) -> Ints {
    dims.iter().map(|&d| d as i64).collect()
}

impl Product {
    /// One product of matrices that fill row-major arrays; `ta` and `tb` say that an array holds the transposed one.
    pub fn plain([m, n, k]: [usize; 3], ta: bool, tb: bool, shape: &[usize]) -> Product {
        let place = |rows: usize, cols: usize, t: bool| -> Ints {
            if t { smallvec![0, 1, rows as i64] } else { smallvec![0, cols as i64, 1] }
        };
        Product {
            sizes: ints(&[m, n, k]),
            batch: Ints::new(),
            a: place(m, k, ta),
            b: place(k, n, tb),
            c: place(m, n, false),
            shape: ints(shape),
            alpha: 1.0,
        }
    }

    /// What goes to a when the gradient of the result is multiplied by b.
    fn to_a(&self, dims: &[usize]) -> Product {
        let [m, n, k] = self.sizes[..] else { unreachable!("checked when the product was computed") };
        Product {
            sizes: smallvec![m, k, n],
            a: self.c.clone(),
            b: swapped(&self.b),
            c: self.a.clone(),
            shape: ints(dims),
            ..self.clone()
        }
    }

    /// What goes to b when a is multiplied by the gradient of the result.
    fn to_b(&self, dims: &[usize]) -> Product {
        let [m, n, k] = self.sizes[..] else { unreachable!("checked when the product was computed") };
        Product {
            sizes: smallvec![k, n, m],
            a: swapped(&self.a),
            b: self.c.clone(),
            c: self.b.clone(),
            shape: ints(dims),
            ..self.clone()
        }
    }

    /// The product, recorded.
    pub fn call(self, a: &Array, b: &Array) -> Array {
        call(&PRODUCT, &[a, b], &Params::new(self))
    }

    /// Gradients of a and b, for a result whose gradient is `g`.
    pub fn grads(&self, d: &Vjp<'_>, g: &Array) -> Grads {
        smallvec![
            d.needs(0).then(|| self.to_a(d.in_dims(0)).call(g, d.input(1))),
            d.needs(1).then(|| self.to_b(d.in_dims(1)).call(d.input(0), g)),
        ]
    }

    /// Errors unless every element of every matrix lies inside its array, and no two elements of the result are one.
    fn check(&self, a: usize, b: usize, c: usize) -> Result<()> {
        let [m, n, k] = self.sizes[..] else { bail!(Param, "three sizes are wanted, got {:?}", self.sizes) };
        if [m, n, k].iter().chain(&self.batch).any(|&s| s < 0) {
            bail!(Param, "sizes cannot be negative, got {:?} and {:?}", self.sizes, self.batch);
        }
        for (name, place, rows, cols, size) in
            [("a", &self.a, m, k, a), ("b", &self.b, k, n, b), ("c", &self.c, m, n, c)]
        {
            if place.len() != 3 + self.batch.len() || place.iter().any(|&p| p < 0) {
                bail!(
                    Param,
                    "the place of {name} wants {} numbers from 0 on, got {place:?}",
                    3 + self.batch.len()
                );
            }
            let mut axes: SmallVec<[(i64, i64); 6]> = smallvec![(place[1], rows), (place[2], cols)];
            axes.extend(place[3..].iter().copied().zip(self.batch.iter().copied()));
            if axes.iter().any(|&(_, n)| n == 0) {
                continue;
            }
            axes.sort_unstable();
            let mut last = 0i64;
            for &(step, n) in &axes {
                if name == "c" && n > 1 && step <= last {
                    bail!(Param, "elements of the result would be written twice, got {place:?}");
                }
                let grown = step.checked_mul(n - 1).and_then(|d| d.checked_add(last));
                last =
                    grown.ok_or_else(|| err!(Param, "the place of {name} is too far away, got {place:?}"))?;
            }
            if last.checked_add(place[0]).is_none_or(|end| end as u64 >= size as u64) {
                bail!(
                    Param,
                    "the place of {name} does not lie inside its array of {size} elements, got {place:?}"
                );
            }
        }
        Ok(())
    }

    fn run<T: Real>(&self, a: &Tensor, b: &Tensor, beta: f64, c: &Tensor) {
        let size = |i: usize| self.sizes[i] as usize;
        let batch: Dims = self.batch.iter().map(|&n| n as usize).collect();
        let count = batch.iter().product();
        let place = |mut i: usize| {
            let mut at = [0isize; 3];
            for (axis, &n) in batch.iter().enumerate().rev() {
                let here = (i % n) as isize;
                i /= n;
                for (at, place) in at.iter_mut().zip([&self.a, &self.b, &self.c]) {
                    *at += here * place[3 + axis] as isize;
                }
            }
            at
        };
        // SAFETY: `check` has seen that the places lie inside their arrays and that no two products write one element; the
        // door sees to it that the result shares no memory with the inputs.
        unsafe {
            gemm_batch(
                count,
                [size(0), size(1), size(2)],
                T::from_f64(self.alpha),
                a.span().ptr::<T>().add(self.a[0] as usize).cast_const(),
                layout(&self.a),
                b.span().ptr::<T>().add(self.b[0] as usize).cast_const(),
                layout(&self.b),
                T::from_f64(beta),
                c.span().ptr::<T>().add(self.c[0] as usize),
                layout(&self.c),
                place,
            )
        }
    }

    /// c = alpha · a b + beta · c. Half floats are computed in float32.
    pub fn compute(&self, a: &Tensor, b: &Tensor, beta: f64, c: &Tensor) -> Result<()> {
        self.check(a.size(), b.size(), c.size())?;
        match c.dtype() {
            DType::F32 => self.run::<f32>(a, b, beta, c),
            DType::F64 => self.run::<f64>(a, b, beta, c),
            DType::F16 | DType::BF16 => {
                let wide = |t: &Tensor| -> Result<Tensor> {
                    let w = Tensor::empty(t.dims(), DType::F32, t.device())?;
                    cast(t.span(), w.span());
                    Ok(w)
                };
                let sum = wide(c)?;
                self.run::<f32>(&wide(a)?, &wide(b)?, beta, &sum);
                cast(sum.span(), c.span());
            }
            other => bail!(Dtype, "products are of floating-point numbers, got {other}"),
        }
        Ok(())
    }
}

fn run(r: &Run<'_>) -> Result<()> {
    let (p, out) = (r.p::<Product>(), r.outs[0]);
    let written = [&p.sizes[..], &p.batch].concat().iter().fold(1i64, |n, &s| n.saturating_mul(s));
    if written / p.sizes.get(2).copied().unwrap_or(1).max(1) != out.size() as i64 {
        // SAFETY: the output is this call's alone; all-zero bytes are 0 in every dtype.
        unsafe { out.span().bytes().write_bytes(0, out.size() * out.dtype().size()) };
    }
    p.compute(r.ins[0], r.ins[1], 0.0, out)
}

/// All operands have one dtype, a floating-point one.
pub fn float_type(t: &mut Types<'_>) -> Result<()> {
    infer::same_type(t)?;
    match t.outs.first() {
        Some(Some(d)) if !d.is_float() => bail!(Dtype, "floating-point numbers are wanted, got {d}"),
        _ => Ok(()),
    }
}

/// Distances between rows, columns and batches of matrices whose rows run along `axis` and whose columns along the last axis.
pub fn batch_place(dims: &[usize], axis: usize, transposed: bool) -> Ints {
    let strides = row_major(dims);
    let mut place: Ints = smallvec![0, strides[axis] as i64, 1];
    if transposed {
        place.swap(1, 2);
    }
    place.extend((0..dims.len() - 1).filter(|&i| i != axis).map(|i| strides[i] as i64));
    place
}

/// The product of batches of matrices; see [`batch_place`]. Returns it with the shape of the result.
pub fn batch_product(
    a: &[usize],
    b: &[usize],
    axis: usize,
    ta: bool,
    tb: bool,
    alpha: f64,
) -> Result<(Product, Dims)> {
    let n = a.len();
    let rest = |d: &[usize]| -> Dims { (0..n - 1).filter(|&i| i != axis).map(|i| d[i]).collect() };
    if b.len() != n || rest(a) != rest(b) {
        bail!(Shape, "the batches differ, got {} and {}", show(a), show(b));
    }
    let rows_cols = |d: &[usize], t: bool| if t { (d[n - 1], d[axis]) } else { (d[axis], d[n - 1]) };
    let ((m, k), (k2, cols)) = (rows_cols(a, ta), rows_cols(b, tb));
    if k != k2 {
        bail!(Shape, "inner sizes differ, got {k} of {} and {k2} of {}", show(a), show(b));
    }
    let mut dims: Dims = a.into();
    dims[axis] = m;
    dims[n - 1] = cols;
    let product = Product {
        sizes: ints(&[m, cols, k]),
        batch: ints(&rest(a)),
        a: batch_place(a, axis, ta),
        b: batch_place(b, axis, tb),
        c: batch_place(&dims, axis, false),
        shape: ints(&dims),
        alpha,
    };
    Ok((product, dims))
}

table! {
    PRODUCT = OpDef::new("_ks_product", &["a", "b"], run).params::<Product>()
        .shape(|s| {
            let shape = &s.params.get::<Product>().shape;
            if shape.iter().any(|&d| d < 0) {
                bail!(Param, "sizes cannot be negative, got {shape:?}");
            }
            let dims: Dims = shape.iter().map(|&d| d as usize).collect();
            s.output(0, &dims)
        })
        .dtype(float_type)
        .doc("Products `alpha · a b` of matrices that lie at stated places in their arrays, written to stated places of the result.")
        .vjp(Keep::INPUTS, |d| Ok(d.p::<Product>().grads(d, d.grad())))
        .no_samples("parameters depend on each other; covered by the products that use it");
}
