//! Numbers from text files: what the iterators over CSV and LibSVM files stand on. Shapes come from the text, so a call reads it twice.

use super::def::{OpDef, Run};
use super::infer::{Shapes, Types};
use crate::dtype::DType;
use crate::error::Result;
use crate::kernels::text;
use crate::tensor::Tensor;
use smallvec::smallvec;

params! {
    /// What `_parse_csv` takes.
    pub struct Csv {
        columns: i64, "numbers in a line";
        dtype: DType = DType::F32, "dtype of the result";
    }
}

params! {
    /// What `_parse_libsvm` takes.
    pub struct LibSvm {
        rows: i64, "lines";
        entries: i64, "pairs of index and value in all lines";
        columns: i64, "what indices must be below";
    }
}

fn bytes(t: &Tensor) -> Result<&[u8]> {
    if t.dtype() != DType::U8 {
        bail!(Dtype, "text must be uint8, got {}", t.dtype());
    }
    // SAFETY: nobody writes an input while the operator runs.
    Ok(unsafe { t.span().slice::<u8>() })
}

fn count(n: i64, what: &str) -> Result<usize> {
    usize::try_from(n).map_err(|_| err!(Param, "{what} got {n}, want a number from 0 on"))
}

fn run_csv(r: &Run<'_>) -> Result<()> {
    let (lines, columns) = (text::lines(bytes(r.ins[0])?), count(r.p::<Csv>().columns, "columns")?);
    with_dtype!(r.outs[0].dtype(), T => text::table::<T>(&lines, columns, r.outs[0].span()))
}

fn libsvm_shapes(s: &mut Shapes<'_>) -> Result<()> {
    let p = s.params.get::<LibSvm>();
    let (rows, entries) = (count(p.rows, "rows")?, count(p.entries, "entries")?);
    for (i, n) in [rows, rows + 1, entries, entries].into_iter().enumerate() {
        s.output(i, &[n])?;
    }
    Ok(())
}

fn libsvm_types(t: &mut Types<'_>) -> Result<()> {
    t.ins[0].get_or_insert(DType::U8);
    for (out, d) in t.outs.iter_mut().zip([DType::F32, DType::I64, DType::I64, DType::F32]) {
        *out = Some(d);
    }
    Ok(())
}

fn run_libsvm(r: &Run<'_>) -> Result<()> {
    let p = r.p::<LibSvm>();
    let sparse = text::Sparse::new(bytes(r.ins[0])?);
    if sparse.rows() as i64 != p.rows || sparse.entries() as i64 != p.entries {
        bail!(
            Param,
            "the text has {} lines and {} entries, got rows {} and entries {}",
            sparse.rows(),
            sparse.entries(),
            p.rows,
            p.entries
        );
    }
    let [labels, indptr, indices, values] = [0, 1, 2, 3].map(|i| r.outs[i].span());
    // SAFETY: the output is new.
    let ends = unsafe { indptr.slice_mut::<i64>() };
    ends.iter_mut().zip(&sparse.begins).for_each(|(to, &b)| *to = b as i64);
    sparse.read(p.columns, labels, indices, values)
}

/// Why there is no gradient.
const TEXT: &str = "text is not made of numbers that could be differentiated by";

table! {
    PARSE_CSV = OpDef::new("_parse_csv", &["text"], run_csv).params::<Csv>()
        .doc("The numbers in lines of comma-separated values, a row for each line. Blank lines do not count.")
        .shape(|_| Ok(()))
        .dtype(|t| {
            t.ins[0].get_or_insert(DType::U8);
            t.outs[0] = Some(t.params.get::<Csv>().dtype);
            Ok(())
        })
        .sized_by_values(|p, ins| {
            Ok(smallvec![text::lines(bytes(ins[0])?).len(), count(p.get::<Csv>().columns, "columns")?])
        })
        .no_gradient(TEXT).no_samples("its input is text; tested with text");
    PARSE_LIBSVM = OpDef::new("_parse_libsvm", &["text"], run_libsvm).params::<LibSvm>().outputs(|_| 4, |_| 4)
        .doc("Labels, and row ends, indices and values of a matrix in compressed rows, from lines of `label index:value index:value`. \
              Behind `#` is a comment.")
        .shape(libsvm_shapes).dtype(libsvm_types)
        .no_gradient(TEXT).no_samples("its input is text; tested with text");
}

#[cfg(test)]
mod tests {
    use super::{PARSE_CSV, PARSE_LIBSVM};
    use crate::array::Array;
    use crate::invoke::{Outputs, invoke_named};
    use crate::ops::value::Value;

    fn text(s: &str) -> Array {
        Array::from_slice(s.as_bytes(), &[s.len()]).unwrap()
    }

    fn csv(s: &str) -> crate::error::Result<Outputs> {
        invoke_named(&PARSE_CSV, &[&text(s)], &[("columns", Value::Int(2))])
    }

    #[test]
    fn csv_faults_name_their_line() {
        let table = &csv("1,2\n\n 3 , -4e1\r\n").unwrap()[0];
        assert_eq!((table.dims(), table.to_vec::<f32>()), (&[2, 2][..], vec![1.0, 2.0, 3.0, -40.0]));
        let fault = |s: &str| csv(s).unwrap_err().to_string();
        assert_eq!(fault("1,2\n\n3\n"), "_parse_csv: line 3: got 1 numbers, want 2");
        assert_eq!(fault("1,x\n3\n"), "_parse_csv: line 1: got 'x', want a number");
    }

    #[test]
    fn libsvm_rows_are_compressed() {
        let call = |s: &str, rows, entries| {
            let named =
                [("rows", Value::Int(rows)), ("entries", Value::Int(entries)), ("columns", Value::Int(4))];
            invoke_named(&PARSE_LIBSVM, &[&text(s)], &named)
        };
        let out = call("1 0:0.5 3:2 # no more\n\n-2\n7 2:1\n", 3, 3).unwrap();
        assert_eq!(out[0].to_vec::<f32>(), [1.0, -2.0, 7.0]);
        assert_eq!(out[1].to_vec::<i64>(), [0, 2, 2, 3]);
        assert_eq!(out[2].to_vec::<i64>(), [0, 3, 2]);
        assert_eq!(out[3].to_vec::<f32>(), [0.5, 2.0, 1.0]);
        for (s, entries, want) in [
            ("1 4:1\n", 1, "index 4"),
            ("1 2:1 2:1\n", 2, "ascending"),
            ("1 2\n", 0, "index:value"),
            ("x\n", 0, "a number"),
        ] {
            let e = call(s, 1, entries).unwrap_err().to_string();
            assert!(e.contains("line 1") && e.contains(want), "{e}");
        }
        assert!(call("1\n", 2, 0).is_err());
    }
}
