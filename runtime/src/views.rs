//! Views of arrays: the same memory, recorded while recording so that gradients flow through them.

use crate::array::Array;
use crate::autograd::mode::is_recording;
use crate::error::Result;
use crate::invoke::invoke;
use crate::ops::def::OpDef;
use crate::ops::params::Params;
use crate::ops::view;
use crate::tensor::Tensor;

impl Array {
    /// Rows `begin..end` of the first axis.
    pub fn rows(&self, begin: usize, end: usize) -> Result<Array> {
        let rows = self.tensor().rows(begin, end).map_err(|e| e.within("slice"))?;
        self.viewed(rows, &view::ROWS, || view::rows(begin, end))
    }

    /// Row `index`; the first axis is dropped unless it is the only one.
    pub fn row(&self, index: usize) -> Result<Array> {
        let Some(&n) = self.dims().first() else { bail!(Shape, "at: an array without axes has no rows") };
        if index >= n {
            bail!(Shape, "at: index is out of range, got {index}, want less than {n}");
        }
        let mut row = self.tensor().rows(index, index + 1)?;
        if self.ndim() > 1 {
            row = row.with_dims(&self.dims()[1..])?;
        }
        self.viewed(row, &view::AT, || view::at(index))
    }

    /// The same elements in the shape that MXNet's codes make, see [`reshape`](crate::shape::reshape::reshape). While
    /// recording the number of elements must stay the same, else it may shrink.
    pub fn reshaped(&self, codes: &[i64], reverse: bool) -> Result<Array> {
        let other =
            self.tensor().reshaped(codes, reverse, is_recording()).map_err(|e| e.within("reshape"))?;
        self.viewed(other, &view::RESHAPE, || view::codes(codes, reverse))
    }

    fn viewed(&self, view: Tensor, op: &'static OpDef, params: impl FnOnce() -> Params) -> Result<Array> {
        if is_recording() && self.has_edge() {
            return Ok(invoke(op, &[self], &params(), &[])?.remove(0));
        }
        Ok(Array::from(view))
    }
}

#[cfg(test)]
mod tests {
    use crate::autograd::mode::record;
    use crate::backward::{Options, backward, grad};
    use crate::{Array, GradReq};

    fn var() -> Array {
        let x = Array::from_slice(&[1f32, 2.0, 3.0, 4.0, 5.0, 6.0], &[3, 2]).unwrap();
        x.attach_grad(GradReq::Write).unwrap();
        x
    }

    #[test]
    fn gradients_flow_through_views() {
        let x = var();
        let y = record(|| {
            let a = x.rows(1, 3).unwrap();
            let b = x.row(0).unwrap();
            let c = x.reshaped(&[-1], false).unwrap().rows(4, 6).unwrap();
            &(&(&a * &a) + &b) + &c
        });
        backward(&[&y], &[], Options::default()).unwrap();
        assert_eq!(x.grad().unwrap().to_vec::<f32>(), [2.0, 2.0, 6.0, 8.0, 12.0, 14.0]);
    }

    #[test]
    fn second_order_flows_too() {
        let x = var();
        let options = Options { create_graph: true, ..Options::default() };
        let g = record(|| {
            let a = x.row(2).unwrap();
            grad(&[&(&(&a * &a) * &a)], &[], &[&x], options).unwrap().remove(0)
        });
        backward(&[&g], &[], Options::default()).unwrap();
        assert_eq!(x.grad().unwrap().to_vec::<f32>(), [0.0, 0.0, 0.0, 0.0, 30.0, 36.0]);
    }

    #[test]
    fn shapes_may_shrink_only_outside_of_recording() {
        let x = var();
        assert_eq!(x.reshaped(&[4], false).unwrap().dims(), [4]);
        let e = record(|| x.reshaped(&[4], false)).unwrap_err();
        assert!(e.to_string().starts_with("reshape: "), "{e}");
        assert!(x.row(3).unwrap_err().to_string().contains("at: index is out of range, got 3"));
        assert!(x.rows(2, 4).unwrap_err().to_string().starts_with("slice: "));
        let line = x.reshaped(&[6], false).unwrap();
        assert_eq!(line.row(5).unwrap().dims(), [1]);
    }
}
