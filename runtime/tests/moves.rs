//! Operators that move elements: what they refuse, and where they write.

use keshi::invoke::{invoke, invoke_named};
use keshi::ops;
use keshi::ops::infer::Shapes;
use keshi::ops::params::Params;
use keshi::ops::value::{INT_NONE, Value};
use keshi::shape::partial::Partial;
use keshi::{Array, DType, Device};

fn call(op: &str, ins: &[&Array], params: &[(&str, Value)]) -> keshi::Result<Vec<Array>> {
    Ok(invoke_named(ops::find(op)?, ins, params)?.into_vec())
}

fn iota(dims: &[usize]) -> Array {
    let n: usize = dims.iter().product();
    Array::from_slice(&(0..n).map(|i| i as f32).collect::<Vec<_>>(), dims).unwrap()
}

fn ints(v: &[i64]) -> Value {
    Value::Ints(v.into())
}

#[test]
fn assignment_in_place_writes_only_the_region() {
    let x = iota(&[6]);
    let op = ops::find("_slice_assign").unwrap();
    let region = |begin: &[i64], end: &[i64], step: &[i64]| {
        let named = [("begin", ints(begin)), ("end", ints(end)), ("step", ints(step))];
        keshi::invoke::parse_named(op, &named, 2).unwrap()
    };
    let y = Array::from_slice(&[10f32, 20.0], &[2]).unwrap();
    invoke(op, &[&x, &y], &region(&[1], &[5], &[2]), &[&x]).unwrap();
    assert_eq!(x.to_vec::<f32>(), [0.0, 10.0, 2.0, 20.0, 4.0, 5.0]);
    // The whole array backwards onto itself.
    invoke(op, &[&x, &x], &region(&[INT_NONE], &[INT_NONE], &[-1]), &[&x]).unwrap();
    assert_eq!(x.to_vec::<f32>(), [5.0, 4.0, 20.0, 2.0, 10.0, 0.0]);
    // Its own head onto its tail.
    let head = Array::from(x.tensor().rows(0, 3).unwrap());
    invoke(op, &[&x, &head], &region(&[2], &[5], &[1]), &[&x]).unwrap();
    assert_eq!(x.to_vec::<f32>(), [5.0, 4.0, 5.0, 4.0, 20.0, 0.0]);
    let wrong = invoke(op, &[&x, &head], &region(&[2], &[4], &[1]), &[&x]).unwrap_err();
    assert!(wrong.to_string().starts_with("_slice_assign: "), "{wrong}");
    assert_eq!(x.to_vec::<f32>(), [5.0, 4.0, 5.0, 4.0, 20.0, 0.0]);
}

#[test]
fn all_sizes_of_elements_move() {
    for d in DType::NUMBERS {
        let x = Array::full(&[3, 2], 7.0, d, Device::default()).unwrap();
        for op in ["transpose", "Flatten", "diag"] {
            let y = call(op, &[&x], &[]).unwrap().remove(0);
            assert!(y.dtype() == d && y.to_vec::<f64>().iter().all(|&v| v == 7.0), "{op} {d}");
        }
    }
    let empty = iota(&[0, 3]);
    assert_eq!(call("transpose", &[&empty], &[]).unwrap()[0].dims(), [3, 0]);
    assert_eq!(call("reverse", &[&empty], &[("axis", 0i64.into())]).unwrap()[0].dims(), [0, 3]);
    assert_eq!(call("concat", &[&empty, &iota(&[2, 3])], &[("dim", 0i64.into())]).unwrap()[0].size(), 6);
}

#[test]
fn mistakes_are_refused() {
    let (x, y) = (iota(&[2, 3]), iota(&[3, 3]));
    let big = 1i64 << 40;
    type Wrong<'a> = (&'a str, &'a [&'a Array], &'a [(&'a str, Value)]);
    let cases: &[Wrong<'_>] = &[
        ("Reshape", &[&x], &[("shape", ints(&[4, 2]))]),
        ("Reshape", &[&x], &[]),
        ("expand_dims", &[&x], &[("axis", 3i64.into())]),
        ("squeeze", &[&x], &[("axis", 0i64.into())]),
        ("transpose", &[&x], &[("axes", ints(&[0, 0]))]),
        ("SwapAxis", &[&x], &[("dim2", 2i64.into())]),
        ("reverse", &[&x], &[]),
        ("slice", &[&x], &[("begin", ints(&[0, 0, 0])), ("end", ints(&[1, 1, 1]))]),
        ("slice", &[&x], &[("begin", ints(&[0])), ("end", ints(&[2])), ("step", ints(&[0]))]),
        ("slice_axis", &[&x], &[("axis", 1i64.into()), ("begin", 0i64.into()), ("end", 4i64.into())]),
        ("slice_like", &[&x, &y], &[]),
        ("Concat", &[&x, &y], &[]),
        ("Concat", &[&x, &y], &[("dim", 0i64.into()), ("num_args", 3i64.into())]),
        ("stack", &[&x, &y], &[]),
        ("SliceChannel", &[&x], &[("num_outputs", 2i64.into())]),
        ("SliceChannel", &[&x], &[("num_outputs", big.into())]),
        ("SliceChannel", &[&x], &[("num_outputs", 0i64.into())]),
        ("_split_v2", &[&x], &[("indices", ints(&[0, 4]))]),
        ("_split_v2", &[&x], &[("indices", ints(&[2, 1]))]),
        ("tile", &[&x], &[("reps", ints(&[big, big]))]),
        ("tile", &[&x], &[("reps", ints(&[0, 2]))]),
        ("repeat", &[&x], &[("repeats", (-1i64).into())]),
        ("repeat", &[&x], &[("repeats", big.into()), ("axis", 2i64.into())]),
        ("diag", &[&iota(&[2])], &[("k", i64::MIN.into())]),
        ("depth_to_space", &[&iota(&[1, 3, 2, 2])], &[("block_size", big.into())]),
        ("space_to_depth", &[&iota(&[1, 1, 3, 4])], &[("block_size", 2i64.into())]),
        (
            "Pad",
            &[&iota(&[1, 1, 2, 2])],
            &[("mode", "reflect".into()), ("pad_width", ints(&[0, 0, 0, 0, 2, 0, 0, 0]))],
        ),
        (
            "Pad",
            &[&iota(&[1, 1, 2, 2])],
            &[("mode", "edge".into()), ("pad_width", ints(&[0, 1, 0, 0, 2, 0, 0, 0]))],
        ),
        (
            "_ks_view",
            &[&x],
            &[
                ("dims", ints(&[7])),
                ("offset", 0i64.into()),
                ("strides", ints(&[1])),
                ("shape", ints(&[7])),
                ("base", ints(&[2, 3])),
            ],
        ),
        (
            "_ks_unview",
            &[&x],
            &[
                ("dims", ints(&[2, 3])),
                ("offset", 0i64.into()),
                ("strides", ints(&[1, 1])),
                ("shape", ints(&[2, 3])),
                ("base", ints(&[4])),
            ],
        ),
    ];
    for (op, ins, params) in cases {
        match call(op, ins, params) {
            Ok(y) => panic!("{op} {params:?} gave {:?}", y[0].dims()),
            Err(e) => assert!(e.to_string().starts_with(op), "{e}"),
        }
    }
}

#[test]
fn shapes_are_inferred_both_ways() {
    let infer = |op: &str, params: &[(&str, Value)], ins: &[&[i64]], outs: &[&[i64]]| {
        let op = ops::find(op).unwrap();
        let p = keshi::invoke::parse_named(op, params, ins.len()).unwrap_or(Params::NONE);
        let partial = |s: &[&[i64]]| -> Vec<Partial> {
            s.iter().map(|d| if *d == [-9] { Partial::UNKNOWN } else { Partial::from_sizes(d) }).collect()
        };
        let (mut ins, mut outs) = (partial(ins), partial(outs));
        op.infer_shape(&mut Shapes { params: &p, ins: &mut ins, outs: &mut outs }).unwrap();
        ins.iter().chain(&outs).map(|s| s.to_string()).collect::<Vec<_>>().join(" ")
    };
    let open = &[-9i64][..];
    assert_eq!(infer("Concat", &[], &[&[-1, 2], &[4, -1]], &[&[-1, 5]]), "(4,2) (4,3) (4,5)");
    assert_eq!(infer("Concat", &[], &[&[-1, 2], &[-1, 3]], &[open]), "(?,2) (?,3) (?,5)");
    assert_eq!(infer("stack", &[], &[&[2, -1], open], &[&[2, 2, 3]]), "(2,3) (2,3) (2,2,3)");
    assert_eq!(infer("transpose", &[], &[&[-1, 3]], &[&[3, 4]]), "(4,3) (3,4)");
    assert_eq!(infer("transpose", &[("axes", ints(&[1, 2, 0]))], &[open], &[&[3, 4, -1]]), "(?,3,4) (3,4,?)");
    assert_eq!(infer("SwapAxis", &[("dim2", 1i64.into())], &[&[-1, 3]], &[open]), "(?,3) (3,?)");
    assert_eq!(infer("expand_dims", &[("axis", 0i64.into())], &[&[-1, 3]], &[&[1, 2, 3]]), "(2,3) (1,2,3)");
    assert_eq!(infer("Flatten", &[], &[&[-1, 3, 4]], &[open]), "(?,3,4) (?,12)");
    assert_eq!(infer("Flatten", &[], &[&[-1, 3, 4]], &[&[5, 12]]), "(5,3,4) (5,12)");
    assert_eq!(infer("Reshape", &[("shape", ints(&[0, -1]))], &[&[-1, 3]], &[open]), "(?,3) (?,?)");
    assert_eq!(infer("Reshape", &[("shape", ints(&[-1, 6]))], &[&[-1, 3]], &[&[2, 6]]), "(4,3) (2,6)");
    let two = [("num_outputs", Value::Int(2))];
    assert_eq!(infer("SliceChannel", &two, &[open], &[&[3, 2], open]), "(3,4) (3,2) (3,2)");
}
