//! What sparse arrays are computed with. Such an array is several dense ones (values and where they stand), so that all
//! operators of the table work on its values, and the tape knows them; here is what needs to know where they stand.

use super::def::{Keep, OpDef, Run};
use super::index::take::{TakeMode, added_rows};
use super::infer::Shapes;
use super::join::concat;
use super::params::Params;
use super::samples::{Case, Draw, Fill};
use super::vjp::{Grads, Vjp};
use crate::array::Array;
use crate::dtype::DType;
use crate::error::Result;
use crate::fluent::call;
use crate::kernels::sparse::{self, Places};
use crate::rows::{self, Rows, array, numbers};
use crate::shape::{Dims, show};
use crate::tensor::Tensor;
use smallvec::smallvec;

params! {
    /// What `_ks_csr_dot` takes.
    pub struct CsrDot {
        columns: usize, "number of columns of the sparse matrix";
        transpose_a: bool = false, "whether it is transposed";
    }
}

fn one_axis(s: &Shapes<'_>, inputs: &[usize]) -> Result<()> {
    match inputs.iter().find(|&&i| s.ins[i].ndim().is_some_and(|n| n != 1)) {
        Some(&i) => bail!(Shape, "input {i} must have one axis, got {}", s.ins[i]),
        None => Ok(()),
    }
}

fn shape_dot(s: &mut Shapes<'_>) -> Result<()> {
    let p: &CsrDot = s.params.get();
    one_axis(s, &[0, 1, 2])?;
    let (Some(ends), Some(dense)) = (s.input(2), s.input(3)) else { return Ok(()) };
    if ends[0] == 0 {
        bail!(Shape, "indptr must have one element more than there are rows, got none");
    }
    let (inner, rows) = if p.transpose_a { (ends[0] - 1, p.columns) } else { (p.columns, ends[0] - 1) };
    if dense.len() != 2 || dense[0] != inner {
        bail!(Shape, "rhs does not fit, got {}, want ({inner}, n)", show(&dense));
    }
    s.output(0, &[rows, dense[1]])
}

/// Runs `f` with the places of a matrix, which fit its values.
fn with_places<R>(
    columns: &Tensor,
    ends: &Tensor,
    count: usize,
    width: usize,
    f: impl FnOnce(Places<'_>) -> Result<R>,
) -> Result<R> {
    let (columns, ends) = (numbers(columns), numbers(ends));
    if columns.len() != count {
        bail!(Shape, "there must be an index for each value, got {}, want {count}", columns.len());
    }
    let places = Places { ends: &ends, columns: &columns };
    match places.check(width) {
        Ok(()) => f(places),
        Err(why) => bail!(Argument, "{why}"),
    }
}

fn run_dot(r: &Run<'_>) -> Result<()> {
    let (p, values, dense, out) = (r.p::<CsrDot>(), r.ins[0], r.ins[3], r.outs[0]);
    let n = dense.dims()[1];
    with_places(r.ins[1], r.ins[2], values.size(), p.columns, |places| {
        if !p.transpose_a {
            sparse::dot(places, values.span(), dense.span(), n, out.span());
            return Ok(());
        }
        let (ends, rows, which) = places.transposed(p.columns);
        let moved = Tensor::empty(values.dims(), values.dtype(), values.device())?;
        with_dtype!(values.dtype(), T => {
            // SAFETY: the second is new, and they have the same number of elements.
            let (from, to) = unsafe { (values.span().slice::<T>(), moved.span().slice_mut::<T>()) };
            to.iter_mut().zip(&which).for_each(|(y, &i)| *y = from[i]);
        });
        sparse::dot(Places { ends: &ends, columns: &rows }, moved.span(), dense.span(), n, out.span());
        Ok(())
    })
}

fn grad_dot(d: &Vjp<'_>) -> Result<Grads> {
    let p: &CsrDot = d.p();
    let [values, columns, ends, dense] = [0, 1, 2, 3].map(|i| d.input(i));
    let values_grad = d.needs(0).then(|| {
        let (left, right) = if p.transpose_a { (dense, d.grad()) } else { (d.grad(), dense) };
        call(&CSR_SAMPLE, &[left, right, columns, ends], &Params::NONE)
    });
    let dense_grad = d.needs(3).then(|| dotted(values, columns, ends, d.grad(), p.columns, !p.transpose_a));
    Ok(smallvec![values_grad, None, None, dense_grad])
}

/// The product of a csr matrix, transposed or not, with a dense one, recorded.
fn dotted(
    values: &Array,
    columns: &Array,
    ends: &Array,
    dense: &Array,
    width: usize,
    transpose_a: bool,
) -> Array {
    call(&CSR_DOT, &[values, columns, ends, dense], &Params::new(CsrDot { columns: width, transpose_a }))
}

/// Only rows whose columns have elements can have a gradient.
fn rows_dot(d: &Vjp<'_>) -> Result<Rows> {
    let p: &CsrDot = d.p();
    let [values, columns, ends] = [0, 1, 2].map(|i| d.input(i));
    if p.transpose_a {
        return rows::filled(dotted(values, columns, ends, d.grad(), p.columns, false).tensor());
    }
    let (found, places) = sparse::distinct(&numbers(columns.tensor()));
    let places = Array::from(array(&places, columns.tensor())?);
    let data = dotted(values, &places, ends, d.grad(), found.len(), true);
    Ok(Rows { indices: array(&found, columns.tensor())?, data: data.tensor().clone() })
}

fn shape_sample(s: &mut Shapes<'_>) -> Result<()> {
    one_axis(s, &[2, 3])?;
    let (Some(left), Some(right), Some(columns), Some(ends)) =
        (s.input(0), s.input(1), s.input(2), s.input(3))
    else {
        return Ok(());
    };
    if left.len() != 2 || right.len() != 2 || left[1] != right[1] || left[0] + 1 != ends[0] {
        bail!(
            Shape,
            "left and right must have rows of one length, and left {} of them, got {} and {}",
            ends[0] as i64 - 1,
            show(&left),
            show(&right)
        );
    }
    s.output(0, &columns)
}

fn run_sample(r: &Run<'_>) -> Result<()> {
    let [left, right, columns, ends] = [0, 1, 2, 3].map(|i| r.ins[i]);
    with_places(columns, ends, columns.size(), right.dims()[0], |places| {
        sparse::sample(places, left.span(), right.span(), left.dims()[1], r.outs[0].span());
        Ok(())
    })
}

fn grad_sample(d: &Vjp<'_>) -> Result<Grads> {
    let [left, right, columns, ends] = [0, 1, 2, 3].map(|i| d.input(i));
    let width = right.dims()[0];
    Ok(smallvec![
        d.needs(0).then(|| dotted(d.grad(), columns, ends, right, width, false)),
        d.needs(1).then(|| dotted(d.grad(), columns, ends, left, width, true)),
        None,
        None
    ])
}

fn shape_read(s: &mut Shapes<'_>) -> Result<()> {
    one_axis(s, &[1, 2])?;
    let (Some(x), Some(wanted)) = (s.input(0), s.input(2)) else { return Ok(()) };
    if x.is_empty() {
        bail!(Shape, "data must have rows, got {}", show(&x));
    }
    s.want(1, &x[..1])?;
    s.output(0, &wanted.iter().chain(&x[1..]).copied().collect::<Dims>())
}

fn run_read(r: &Run<'_>) -> Result<()> {
    let n = r.outs[0].dims()[1..].iter().product();
    sparse::read(&numbers(r.ins[1]), &numbers(r.ins[2]), n, r.ins[0].span(), r.outs[0].span());
    Ok(())
}

/// Rows that were asked for get their gradient, and the others none: the same operator, the other way round.
fn grad_read(d: &Vjp<'_>) -> Result<Grads> {
    let back = || call(&READ_ROWS, &[d.grad(), d.input(2), d.input(1)], &Params::NONE);
    Ok(smallvec![d.needs(0).then(back), None, None])
}

/// One gradient of several, whose rows ascend. `None` of none.
pub fn merged_rows(mut pieces: Vec<Rows>) -> Result<Option<Rows>> {
    let Some(first) = pieces.first() else { return Ok(None) };
    let all: Vec<i64> = pieces.iter().flat_map(|p| numbers(&p.indices)).collect();
    let (found, places) = sparse::distinct(&all);
    if pieces.len() == 1 && found == all {
        // What a rule gives may be memory of others: a head gradient, or the gradient of another variable.
        let Rows { indices, data } = pieces.remove(0);
        let own = Tensor::empty(data.dims(), data.dtype(), data.device())?;
        own.assign(&data)?;
        return Ok(Some(Rows { indices, data: own }));
    }
    let (indices, places) = (array(&found, &first.indices)?, Array::from(array(&places, &first.indices)?));
    let arrays: Vec<Array> = pieces.drain(..).map(|p| Array::from(p.data)).collect();
    let data = if let [one] = arrays.as_slice() { one.clone() } else { concat(&arrays, 0) };
    let data = added_rows(&data, &places, 0, found.len(), TakeMode::Clip);
    Ok(Some(Rows { indices, data: data.tensor().clone() }))
}

/// Places of a random matrix: columns ascend within a row.
fn random_places(d: &mut Draw, rows: usize, columns: usize) -> (Vec<f64>, Vec<f64>) {
    let (mut ends, mut places) = (vec![0.0], Vec::new());
    for _ in 0..rows {
        places.extend((0..columns).filter(|_| d.flip()).map(|c| c as f64));
        ends.push(places.len() as f64);
    }
    (ends, places)
}

table! {
    CSR_DOT = OpDef::new("_ks_csr_dot", &["data", "indices", "indptr", "rhs"], run_dot).params::<CsrDot>()
        .doc("The product of a sparse matrix in compressed rows and a dense one: out[r, :] = Σ data[i] rhs[indices[i], :] over i from \
              indptr[r] to indptr[r + 1]; with transpose_a out[indices[i], :] = Σ data[i] rhs[r, :].")
        .shape(shape_dot)
        .dtype(|t| values_alike(t, &[0, 3]))
        .vjp(Keep::INPUTS, grad_dot).rows(3, rows_dot)
        .cases(|d| {
            let (rows, columns) = (d.size(1, 4), d.size(1, 5));
            let (ends, places) = random_places(d, rows, columns);
            let transpose = d.flip();
            let inner = if transpose { rows } else { columns };
            Case::new().real(&[places.len()]).input(&[places.len()], Fill::Exact(places)).input(&[rows + 1], Fill::Exact(ends))
                .real(&[inner, d.size(1, 3)]).param("columns", columns).param("transpose_a", transpose)
        });
    CSR_SAMPLE = OpDef::new("_ks_csr_sample", &["left", "right", "indices", "indptr"], run_sample)
        .doc("Elements of a product where a sparse matrix in compressed rows stores some: out[i] = left[r, :] · right[indices[i], :] for \
              i from indptr[r] to indptr[r + 1].")
        .shape(shape_sample)
        .dtype(|t| values_alike(t, &[0, 1]))
        .vjp(Keep::INPUTS, grad_sample)
        .cases(|d| {
            let (rows, columns, n) = (d.size(1, 4), d.size(1, 5), d.size(1, 3));
            let (ends, places) = random_places(d, rows, columns);
            Case::new().real(&[rows, n]).real(&[columns, n])
                .input(&[places.len()], Fill::Exact(places)).input(&[rows + 1], Fill::Exact(ends))
        });
    READ_ROWS = OpDef::new("_ks_read_rows", &["data", "indices", "wanted"], run_read)
        .doc("Rows of an array of which `data` holds those that `indices` name: out[i] = data[j] where indices[j] = wanted[i], else 0. \
              Both lists of numbers ascend.")
        .shape(shape_read)
        .dtype(|t| values_alike(t, &[0]))
        .vjp(Keep::input(1).and(Keep::input(2)), grad_read)
        .cases(|d| {
            let pick = |d: &mut Draw| (0..6).filter(|_| d.flip()).map(f64::from).collect::<Vec<_>>();
            let (have, wanted) = (pick(d), pick(d));
            Case::new().real(&[have.len(), d.size(1, 3)]).input(&[have.len()], Fill::Exact(have))
                .input(&[wanted.len()], Fill::Exact(wanted))
        });
    OWNED_ROWS = OpDef::new("_ks_owned_rows", &["data", "indices", "owner"], |r| {
            crate::kernels::copy::cast(r.ins[0].span(), r.outs[0].span());
            Ok(())
        })
        .doc("`data`, which are rows of a variable. `owner` stands for the variable: it keeps its gradient as rows, and gets that of \
              `data` under the numbers that `indices` names.")
        .shape(|s| match s.input(0) { Some(x) => s.output(0, &x), None => Ok(()) })
        .dtype(|t| values_alike(t, &[0]))
        .vjp(Keep::input(1), |d| {
            if d.needs(2) {
                bail!(Autograd, "the gradient of a row_sparse variable cannot be differentiated again, nor be had as a whole");
            }
            Ok(smallvec![d.needs(0).then(|| d.grad().clone()), None, None])
        })
        .rows(2, |d| Ok(Rows { indices: array(&numbers(d.input(1).tensor()), d.grad().tensor())?, data: d.grad().tensor().clone() }))
        .no_samples("the gradient goes to a variable that keeps rows; see the tests of this file");
}

/// The dtype of the output is that of these inputs; indices may have any.
fn values_alike(t: &mut super::infer::Types<'_>, of: &[usize]) -> Result<()> {
    super::index::like(t, of)?;
    t.ins.iter_mut().for_each(|d| {
        d.get_or_insert(DType::I64);
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GradReq;
    use crate::autograd::mode::record;
    use crate::backward::{Options, backward};
    use crate::ops::index::take::EMBEDDING;
    use crate::{invoke, ops::params::Params};

    fn rows_of(x: &Array) -> (Vec<i64>, Vec<f32>) {
        let rows = x.grad_rows().unwrap().unwrap();
        (rows.indices.to_vec(), rows.data.to_vec())
    }

    #[test]
    fn an_embedding_leaves_the_rows_that_it_looked_up() {
        let weight = Array::from_slice(&[0f32; 20], &[10, 2]).unwrap();
        let index = Array::from_slice(&[7f32, 1.0, 7.0], &[3]).unwrap();
        let embed =
            invoke::parse_named(&EMBEDDING, &[("input_dim", 10i64.into()), ("output_dim", 2i64.into())], 2)
                .unwrap();
        for (req, times) in [(GradReq::Write, 1.0), (GradReq::Add, 2.0)] {
            weight.attach_grad_by_rows(req);
            for _ in 0..2 {
                let y = record(|| call(&EMBEDDING, &[&index, &weight], &embed));
                backward(&[&y], &[], Options::default()).unwrap();
            }
            assert_eq!(rows_of(&weight), (vec![1, 7], vec![times, times, 2.0 * times, 2.0 * times]));
        }
        // A call that cannot tell rows gives a whole, of which the rows that are not 0 stay.
        weight.attach_grad_by_rows(GradReq::Write);
        let scale =
            Array::from_slice(&[0f32, 0.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], &[10, 1]).unwrap();
        let y =
            record(|| call(crate::ops::find("broadcast_mul").unwrap(), &[&weight, &scale], &Params::NONE));
        backward(&[&y], &[], Options::default()).unwrap();
        assert_eq!(rows_of(&weight), (vec![2], vec![3.0, 3.0]));
    }

    #[test]
    fn an_owner_gets_the_gradient_under_the_names_of_its_rows() {
        let owner = Array::from_slice(&[0f32; 0], &[0]).unwrap();
        owner.attach_grad_by_rows(GradReq::Write);
        let data = Array::from_slice(&[1f32, 2.0, 3.0, 4.0], &[2, 2]).unwrap();
        let (have, wanted) =
            (Array::from_slice(&[2i64, 5], &[2]).unwrap(), Array::from_slice(&[0i64, 5], &[2]).unwrap());
        let y = record(|| {
            let read = call(&READ_ROWS, &[&data, &have, &wanted], &Params::NONE);
            assert_eq!(read.to_vec::<f32>(), [0.0, 0.0, 3.0, 4.0]);
            let owned = call(&OWNED_ROWS, &[&read, &wanted, &owner], &Params::NONE);
            &owned * &owned
        });
        backward(&[&y], &[], Options::default()).unwrap();
        assert_eq!(rows_of(&owner), (vec![0, 5], vec![0.0, 0.0, 6.0, 8.0]));
    }

    #[test]
    fn a_matrix_that_is_out_of_order_is_an_error() {
        let values = Array::from_slice(&[1f32, 2.0], &[2]).unwrap();
        let dense = Array::from_slice(&[1f32; 6], &[3, 2]).unwrap();
        for (columns, ends) in
            [([0i64, 3], [0i64, 1, 2]), ([-1, 0], [0, 1, 2]), ([0, 1], [0, 3, 2]), ([0, 1], [1, 1, 2])]
        {
            let [columns, ends] =
                [Array::from_slice(&columns, &[2]).unwrap(), Array::from_slice(&ends, &[3]).unwrap()];
            let params = Params::new(CsrDot { columns: 3, transpose_a: false });
            assert!(invoke(&CSR_DOT, &[&values, &columns, &ends, &dense], &params, &[]).is_err());
        }
    }
}
