//! Tensors as text for people: values in nested brackets, shape and dtype, big ones elided.

use super::Tensor;
use std::fmt;

/// More elements than this and long axes show only their ends.
const ALL: usize = 1000;
/// How many entries of a long axis are shown at each end.
const ENDS: usize = 3;

impl fmt::Display for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.to_vec_f64();
        show_axis(f, self, &values, 0, 0)?;
        write!(f, "\n<{} {} {}>", crate::shape::show(&self.dims), self.dtype, self.device)
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn show_axis(f: &mut fmt::Formatter<'_>, t: &Tensor, values: &[f64], axis: usize, at: usize) -> fmt::Result {
    let Some(&n) = t.dims.get(axis) else { return show_value(f, t, values[at]) };
    let step: usize = t.dims[axis + 1..].iter().product();
    let last = axis + 1 == t.dims.len();
    f.write_str("[")?;
    for i in 0..n {
        let elided = t.size > ALL && n > 2 * ENDS && (ENDS..n - ENDS).contains(&i);
        if elided && i > ENDS {
            continue;
        }
        if i > 0 {
            if last { f.write_str(" ")? } else { write!(f, "\n{:width$}", "", width = axis + 1)? }
        }
        if elided { f.write_str("...")? } else { show_axis(f, t, values, axis + 1, at + i * step)? }
    }
    f.write_str("]")
}

fn show_value(f: &mut fmt::Formatter<'_>, t: &Tensor, x: f64) -> fmt::Result {
    match t.dtype.is_float() {
        // Seven digits tell float32 values apart well enough to read.
        true => write!(f, "{}", (x as f32)),
        false => write!(f, "{x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Device;

    #[test]
    fn small_ones_are_whole_and_big_ones_elided() {
        let t = Tensor::from_slice(&[1f32, 2.5, -3.0, f32::NAN], &[2, 2], Device::default()).unwrap();
        assert_eq!(t.to_string(), "[[1 2.5]\n [-3 NaN]]\n<(2,2) float32 cpu(0)>");
        let t = Tensor::zeros(&[2000], crate::DType::I32, Device::default()).unwrap();
        assert_eq!(t.to_string(), "[0 0 0 ... 0 0 0]\n<(2000,) int32 cpu(0)>");
        let t = Tensor::zeros(&[0, 3], crate::DType::F32, Device::default()).unwrap();
        assert_eq!(t.to_string(), "[]\n<(0,3) float32 cpu(0)>");
    }
}
