//! The search for the call that made a NaN: results are looked through as they are made, so that the error names the
//! operator where the trouble began and not the loss where it was noticed.

use super::gradient_of;
use crate::array::Array;
use crate::dtype::DType;
use crate::error::Result;
use crate::shape::Dims;
use crate::tensor::Tensor;

/// Place of the first NaN.
fn first(t: &Tensor) -> Option<usize> {
    fn find<T: crate::dtype::Elem>(t: &Tensor) -> Option<usize> {
        // SAFETY: nothing writes a result while the call that made it is not over, nor an input during a call.
        unsafe { t.span().slice::<T>() }.iter().position(|x| x.to_f64().is_nan())
    }
    let searched = t.size() > 0 && t.dtype().is_float();
    searched.then(|| with_dtype!(t.dtype(), T => find::<T>(t))).flatten()
}

/// `[1,0,2]` of a flat place.
fn place(mut flat: usize, dims: &[usize]) -> String {
    let mut at: Dims = dims.iter().rev().map(|&d| (flat % d, flat /= d).0).collect();
    at.reverse();
    let at: Vec<String> = at.iter().map(usize::to_string).collect();
    format!("[{}]", at.join(","))
}

/// Fails when a result holds a NaN, and says whether an input did already.
pub fn check(ins: &[&Array], outs: &[Array]) -> Result<()> {
    for (i, out) in outs.iter().enumerate() {
        let Some(at) = first(out.tensor()) else { continue };
        let kept = |x: &&Array| !x.tensor().span().overlaps(out.tensor().span());
        let from = ins.iter().position(|x| kept(x) && first(x.tensor()).is_some());
        let why = match from {
            Some(k) => format!("its input {k} has one already"),
            None => "its inputs have none".to_owned(),
        };
        let pass = gradient_of().map_or_else(String::new, |op| format!(", in the gradient of {op}"));
        let what: DType = out.dtype();
        bail!(Numeric, "output {i} ({what}) has a NaN at {}; {why}{pass}", place(at, out.dims()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_one_is_found_in_every_float_type() {
        for d in DType::ALL.into_iter().filter(|d| d.is_float()) {
            let x = Array::from_slice(&[1f32, 2.0, f32::NAN, f32::NAN, 5.0, 6.0], &[2, 3]).unwrap();
            let x = Array::from(Tensor::from_slice(&x.to_vec::<f64>(), &[2, 3], x.device()).unwrap());
            let y = if d == DType::F64 { x } else { x.cast(d) };
            assert_eq!(first(y.tensor()), Some(2), "{d}");
        }
        assert_eq!(place(4, &[2, 3]), "[1,1]");
        let whole = Array::from_slice(&[1i32], &[1]).unwrap();
        assert!(check(&[], &[whole]).is_ok());
    }
}
