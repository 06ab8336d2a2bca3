//! Input that nobody meant: file readers, reshape codes, parameters and the C ABI's invoke answer every one with a result
//! or an error. No crash, no panic (which the ABI would report as an internal error), no endless work.
//!
//! `KESHI_FUZZ=10000000` is how many inputs each part gets (20000 otherwise), `KESHI_FUZZ_SEED` where they begin. Inputs
//! follow from seed and number, so that a failure can be had again: a panic tells both, and a crash leaves them in
//! the file `fuzz-NAME` of cargo's folder for such things.

use keshi::DType;
use keshi::files::{self, Format};
use keshi::ops::{self, params::Params, value::Value};
use keshi::shape::{reshape::reshape, size_of_dims};
use keshi::tensor::Tensor;
use keshi_ffi::*;
use std::ffi::CStr;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::ptr;

/// A stream of numbers: splitmix64.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// Small numbers mostly. The big ones are too big to be allocated, never just big enough to fill the memory.
    fn int(&mut self) -> i64 {
        match self.below(12) {
            0 => *self.pick(&[
                i64::MAX,
                i64::MIN,
                i64::MIN + 1,
                1 << 62,
                1 << 44,
                -(1 << 44),
                u32::MAX as i64 + 1,
            ]),
            1 => -(self.below(5) as i64),
            _ => self.below(6) as i64,
        }
    }

    fn float(&mut self) -> f64 {
        match self.below(8) {
            0 => *self.pick(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e308, -1e308, 1e-320, -0.0]),
            _ => (self.below(64) as f64 - 32.0) / 8.0,
        }
    }

    fn text(&mut self) -> String {
        const PARTS: [&str; 30] = [
            "(",
            ")",
            "[",
            "]",
            ",",
            " ",
            "-",
            "1",
            "2",
            "0",
            "3",
            ".",
            "e",
            "None",
            "True",
            "False",
            "float32",
            "int64",
            "relu",
            "sum",
            "max",
            "valid",
            "same",
            "NCHW",
            "add",
            "nan",
            "inf",
            "L",
            "é",
            "99999999999999",
        ];
        let n = self.below(7);
        (0..n).map(|_| *self.pick(&PARTS)).collect()
    }
}

/// Leaves this process two gibibytes: a call may ask for an array of any size, and filling what a large machine grants takes minutes.
fn little_memory() {
    #[repr(C)]
    struct Limit {
        now: u64,
        most: u64,
    }
    unsafe extern "C" {
        fn setrlimit(what: i32, limit: *const Limit) -> i32;
    }
    const ADDRESS_SPACE: i32 = 9;
    const ROOM: u64 = 2 << 30;
    // SAFETY: the structure is what the C library's `struct rlimit` is on 64-bit Linux.
    let status = unsafe { setrlimit(ADDRESS_SPACE, &Limit { now: ROOM, most: ROOM }) };
    assert_eq!(status, 0, "no limit of memory can be set");
}

/// Runs `body` as often as asked, each time with a stream of its own.
fn fuzz(name: &str, mut body: impl FnMut(&mut Draw)) {
    little_memory();
    let number = |name: &str, otherwise: u64| {
        std::env::var(name)
            .map_or(otherwise, |v| v.parse().unwrap_or_else(|_| panic!("{name} is no number: {v}")))
    };
    let (count, seed) = (number("KESHI_FUZZ", 20_000), number("KESHI_FUZZ_SEED", 1));
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}"));
    let log = File::create(&place).unwrap();
    for i in 0..count {
        log.write_all_at(format!("seed {seed}, input {i:12}\n").as_bytes(), 0).unwrap();
        let mut draw = Draw(seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(i));
        let run = std::panic::AssertUnwindSafe(|| body(&mut draw));
        if let Err(payload) = std::panic::catch_unwind(run) {
            eprintln!("{name}: seed {seed}, input {i}");
            std::panic::resume_unwind(payload);
        }
    }
    std::fs::remove_file(place).unwrap();
}

#[test]
fn files_of_any_bytes_are_read_or_refused() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/files");
    let mut valid: Vec<Vec<u8>> = ["list", "dict", "sparse", "legacy_v0", "legacy_v1"]
        .iter()
        .map(|name| std::fs::read(folder.join(name).with_extension("params")).unwrap())
        .collect();
    let tensors = [
        Tensor::from_slice(&[1f32, 2.0, 3.0, 4.0], &[2, 2], keshi::Device::default()).unwrap(),
        Tensor::from_slice(&[1i64; 3], &[3], keshi::Device::default()).unwrap(),
    ];
    let refs: Vec<&Tensor> = tensors.iter().collect();
    valid.push(files::save(Format::Npy, &[], &refs[..1]).unwrap());
    valid.push(files::save(Format::Npz, &["a", "b"], &refs).unwrap());
    valid.push(files::save(Format::Safetensors, &["a", "b"], &refs).unwrap());
    fuzz("files", |d| {
        let mut bytes = d.pick(&valid).clone();
        for _ in 0..1 + d.below(4) {
            let at = d.below(bytes.len());
            match d.below(5) {
                0 => bytes[at] = d.next() as u8,
                1 => bytes[at] ^= 1 << d.below(8),
                2 => bytes.truncate(at.max(1)),
                3 => _ = bytes.splice(at..at, (0..d.below(9)).map(|i| i as u8)),
                _ => {
                    let word = d.int().to_le_bytes();
                    let end = bytes.len().min(at + 8);
                    bytes[at..end].copy_from_slice(&word[..end - at]);
                }
            }
        }
        let _ = files::load(&bytes);
        let _ = keshi::serialize::load_record(&bytes);
    });
}

#[test]
fn any_reshape_codes_make_a_shape_or_an_error() {
    fuzz("reshape", |d| {
        let dims: Vec<usize> = (0..d.below(5)).map(|_| d.below(5)).collect();
        let codes: Vec<i64> =
            (0..d.below(7)).map(|_| if d.one_in(3) { -(d.below(6) as i64) } else { d.int() }).collect();
        let (reverse, exact) = (d.one_in(2), d.one_in(2));
        let size: usize = dims.iter().product();
        if let Ok(made) = reshape(&dims, &codes, reverse, exact) {
            let n = size_of_dims(&made).unwrap();
            assert!(n <= size && (n == size || !exact), "{dims:?} by {codes:?} became {made:?}");
        }
    });
}

fn value(d: &mut Draw) -> Value {
    match d.below(8) {
        0 => Value::None,
        1 => Value::Bool(d.one_in(2)),
        2 => Value::Float(d.float()),
        3 => Value::Ints((0..d.below(5)).map(|_| d.int()).collect()),
        4 => Value::Floats((0..d.below(4)).map(|_| d.float()).collect()),
        5 => Value::Str(d.text()),
        _ => Value::Int(d.int()),
    }
}

#[test]
fn any_parameters_are_parsed_or_refused() {
    let all: Vec<_> = ops::all().collect();
    fuzz("parameters", |d| {
        let op = *d.pick(&all);
        let count = (op.params.specs)().len();
        let given: Vec<(usize, Value)> = (0..d.below(4)).map(|_| (d.below(count + 2), value(d))).collect();
        if let Ok(set) = (op.params.parse)(&given) {
            // What is written as text is read again as the same.
            let texts: Vec<(usize, Value)> =
                Params::texts(&set).into_iter().map(Value::Str).enumerate().collect();
            assert!((op.params.parse)(&texts).is_ok(), "{}: {texts:?}", op.name);
        }
    });
}

/// A small array, of any kind.
fn array(d: &mut Draw) -> *mut KsArray {
    let dims: Vec<usize> =
        (0..1 + d.below(4)).map(|_| if d.one_in(15) { 0 } else { 1 + d.below(4) }).collect();
    let dtype = if d.one_in(3) { *d.pick(&DType::ALL) } else { DType::F32 };
    let data: Vec<f64> = (0..dims.iter().product()).map(|_| d.float()).collect();
    let t = Tensor::from_slice(&data, &dims, keshi::Device::default()).unwrap();
    let t = keshi::Array::from(t).cast(dtype);
    t.into_raw().cast_mut().cast()
}

#[test]
fn any_call_gives_a_result_or_an_error() {
    let count = ks_op_count();
    // SAFETY: every pointer below is to memory of this closure, with the lengths that go with it.
    fuzz("invoke", |d| unsafe {
        let (mut op, mut info) = (ptr::null(), std::mem::zeroed::<KsOpInfo>());
        assert_eq!(ks_op_at(d.below(count), &mut op), 0);
        assert_eq!(ks_op_info(op, &mut info), 0);
        let name = CStr::from_ptr(info.name).to_str().unwrap();
        let inputs = if d.one_in(10) { d.below(5) } else { info.num_inputs.max(usize::from(info.variadic)) };
        let inputs: Vec<*mut KsArray> = (0..inputs).map(|_| array(d)).collect();
        let texts: Vec<String> = (0..6).map(|_| d.text()).collect();
        let tuples: Vec<Vec<i64>> = (0..6).map(|_| (0..d.below(5)).map(|_| d.int()).collect()).collect();
        let mut index = Vec::new();
        let mut values = Vec::new();
        for k in 0..d.below(1 + 6.min(info.num_params)) {
            index.push(d.below(info.num_params + 1) as u32);
            values.push(match d.below(5) {
                0 => KsValue { tag: KsTag::KsFloat as i32, len: 0, r#as: KsValueAs { f: d.float() } },
                1 => KsValue {
                    tag: KsTag::KsStr as i32,
                    len: texts[k].len(),
                    r#as: KsValueAs { s: texts[k].as_ptr().cast() },
                },
                2 => KsValue {
                    tag: KsTag::KsInts as i32,
                    len: tuples[k].len(),
                    r#as: KsValueAs { ints: tuples[k].as_ptr() },
                },
                3 => KsValue { tag: KsTag::KsBool as i32, len: 0, r#as: KsValueAs { i: 1 } },
                _ => KsValue { tag: KsTag::KsInt as i32, len: 0, r#as: KsValueAs { i: d.int() } },
            });
        }
        let mut outputs = [ptr::null_mut::<KsArray>(); 16];
        let given = if d.one_in(8) { 1 } else { 0 };
        if given == 1 {
            outputs[0] = if d.one_in(2) && !inputs.is_empty() { keshi_clone(inputs[0]) } else { array(d) };
        }
        let recording = d.one_in(3);
        if recording {
            for &a in &inputs {
                assert_eq!(ks_attach_grad(a, 1), 0);
            }
        }
        let (mut n, mut previous) = (0, 0);
        assert_eq!(ks_set_recording(recording.into(), &mut previous), 0);
        assert_eq!(ks_set_training(recording.into(), ptr::null_mut()), 0);
        let status = ks_op_invoke(
            op,
            inputs.len(),
            inputs.as_ptr(),
            index.len(),
            index.as_ptr(),
            values.as_ptr(),
            given,
            outputs.len(),
            outputs.as_mut_ptr(),
            &mut n,
        );
        ks_set_recording(0, ptr::null_mut());
        ks_set_training(0, ptr::null_mut());
        check(status, name);
        if status == 0 {
            if recording && n > 0 {
                check(ks_backward(1, outputs.as_ptr(), ptr::null(), 0, 0, 1), name);
            }
            (given..n.min(outputs.len())).for_each(|i| ks_array_free(outputs[i]));
        }
        (0..given).for_each(|i| ks_array_free(outputs[i]));
        inputs.iter().for_each(|&a| ks_array_free(a));
    });
}

unsafe fn keshi_clone(a: *mut KsArray) -> *mut KsArray {
    let mut other = ptr::null_mut();
    // SAFETY: the handle is alive.
    assert_eq!(unsafe { ks_array_retain(a, &mut other) }, 0);
    other
}

/// An error is never a panic that was caught.
fn check(status: i32, name: &str) {
    if status == 0 {
        return;
    }
    // SAFETY: the text lives until the next failure on this thread.
    let text = unsafe { CStr::from_ptr(ks_last_error()) }.to_string_lossy();
    assert_ne!(ks_last_error_code(), KsErrorCode::KsErrorInternal as i32, "{name}: {text}");
    assert!(!text.is_empty(), "{name} failed without a word");
}
