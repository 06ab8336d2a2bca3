//! How exact the unary functions of float32 are: against the same operator in float64, in units of the last place, on every level that
//! the machine has. `docs/accuracy.md` holds the worst over all arguments; it is written by
//!
//!     cargo test --release -p keshi-tests --test accuracy -- --ignored
//!
//! which takes about an hour on two cores, and goes on where it was stopped. `KESHI_EVERY=257` takes every 257th argument alone.

use keshi::Array;
use keshi::invoke::{invoke, parse_named};
use keshi::kernels::par;
use keshi::ops::def::{Arity, OpDef, ShapeInfer, TypeInfer};
use keshi::ops::params::Params;
use keshi::ops::samples::Samples;
use keshi::simd::{Level, available, with_level};
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::{available_parallelism, scope};

/// Arguments that are computed at a time: few enough that all of it stays in a core's own cache.
const BLOCK: usize = 1 << 12;
/// The check of the page takes every so many arguments: a multiple of what thinned pages are made of.
const SELDOM: u64 = 257 * 163;

/// Functions of one float32: operators that work in place on one array and need no parameter.
fn functions() -> Vec<(&'static OpDef, Params)> {
    let plain = |op: &&OpDef| {
        let same = matches!((op.shape, op.dtype), (ShapeInfer::Same, TypeInfer::Same));
        let one = op.inputs.len() == 1 && matches!(op.arity, Arity::All) && op.mutates.is_empty();
        !op.name.starts_with('_') && op.inplace && same && one && matches!(op.samples, Samples::Same(..))
    };
    let mut all: Vec<_> =
        keshi::ops::all().filter(plain).filter_map(|op| Some((op, parse_named(op, &[], 1).ok()?))).collect();
    all.sort_by_key(|(op, _)| op.name);
    all
}

/// The largest error, and its argument.
#[derive(Clone, Copy, Default)]
struct Worst {
    ulp: f64,
    at: f32,
}

/// Error of `y` in units of the last place of a float32 as large as `want`. A NaN, infinity or signed zero that should be another is
/// infinitely wrong.
fn error(y: f32, want: f64) -> f64 {
    let r = want as f32;
    let same = if r.is_nan() {
        y.is_nan()
    } else {
        y == r && (r != 0.0 || want != 0.0 || y.to_bits() == r.to_bits())
    };
    match (same, r.is_finite() && y.is_finite() && (y, want) != (0.0, 0.0)) {
        (true, false) => 0.0,
        (_, true) => {
            let unit = (f64::from(r.abs().next_up()) - f64::from(r.abs())).min(2f64.powi(104));
            (f64::from(y) - want).abs() / unit
        }
        _ => f64::INFINITY,
    }
}

/// Whether [`error`] gives more than `most`: the same without division or branch, for the many that are not worse.
fn is_worse(y: f32, want: f64, most: f64) -> bool {
    let r = want as f32;
    let same = (y.is_nan() && r.is_nan()) || (y.to_bits() == r.to_bits() && (r == 0.0 || r.is_infinite()));
    let exponent = u64::from((r.to_bits() >> 23 & 255).max(1));
    let units = f64::from_bits((1023 + 150 - exponent) << 52);
    !(same || (f64::from(y) - want).abs() * units <= most)
}

/// The worst of one function on each level over every `step`th argument from `from` on, which is left at the end.
fn sweep_part(op: &'static OpDef, params: &Params, step: u64, next: &AtomicU64) -> Vec<Worst> {
    let mut worst = vec![Worst::default(); available().len()];
    loop {
        let from = next.fetch_add(BLOCK as u64 * step, Relaxed);
        let xs: Vec<f32> = (0..BLOCK as u64)
            .map(|i| from + i * step)
            .take_while(|b| *b < 1 << 32)
            .map(|b| f32::from_bits(b as u32))
            .collect();
        if xs.is_empty() {
            return worst;
        }
        let x64: Vec<f64> = xs.iter().map(|&x| f64::from(x)).collect();
        let run = |x: Array| invoke(op, &[&x], params, &[]).unwrap().remove(0);
        let want = run(Array::from_slice(&x64, &[xs.len()]).unwrap()).to_vec::<f64>();
        for (w, &level) in worst.iter_mut().zip(available()) {
            let got = with_level(level, || run(Array::from_slice(&xs, &[xs.len()]).unwrap())).to_vec::<f32>();
            let most = w.ulp;
            if !got.iter().zip(&want).fold(false, |any, (&y, &want)| any | is_worse(y, want, most)) {
                continue;
            }
            for ((&x, y), &want) in xs.iter().zip(got).zip(&want) {
                let ulp = error(y, want);
                if ulp > w.ulp {
                    *w = Worst { ulp, at: x };
                }
            }
        }
    }
}

/// The worst of one function on each level over every `step`th argument.
fn sweep(op: &'static OpDef, params: &Params, step: u64) -> Vec<Worst> {
    let next = AtomicU64::new(0);
    let threads = available_parallelism().map_or(1, usize::from);
    par::set_num_threads(1);
    let parts: Vec<Vec<Worst>> = scope(|s| {
        let work = || sweep_part(op, params, step, &next);
        let running: Vec<_> = (0..threads).map(|_| s.spawn(work)).collect();
        running.into_iter().map(|t| t.join().unwrap()).collect()
    });
    (0..available().len())
        .map(|level| {
            // The first of equals, whichever thread came first.
            let first =
                |a: &&Worst, b: &&Worst| a.ulp.total_cmp(&b.ulp).then(b.at.to_bits().cmp(&a.at.to_bits()));
            *parts.iter().map(|p| &p[level]).max_by(first).unwrap()
        })
        .collect()
}

fn page() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/accuracy.md"))
}

fn heading(level: Level) -> String {
    format!("{level:?}").to_lowercase()
}

/// The rows of the page: names, how many arguments, and what each level has.
fn rows() -> Vec<Vec<String>> {
    let page = std::fs::read_to_string(page()).unwrap();
    let row = |l: &str| l.trim_matches('|').split('|').map(|c| c.trim().to_string()).collect();
    page.lines().filter(|l| l.starts_with('|')).map(row).collect()
}

fn arguments(step: u64) -> String {
    if step == 1 { "all".into() } else { format!("one in {step}") }
}

fn written(rows: &[Vec<String>]) -> String {
    let mut out = String::from(
        "# Accuracy\n\nThe largest error of each function of one float32 array, in units of the last place (ulp), over so many of the 2^32 arguments, \
         and where it\nis. The yardstick is the same operator in float64. 0.5 is what correct rounding gives; NaN, infinities and signed zeros are \
         compared\nexactly, subnormals like all others. float16 and bfloat16 are computed in float32 and rounded. Made by\n\n    \
         cargo test --release -p keshi-tests --test accuracy -- --ignored\n\n",
    );
    for row in rows {
        let _ = writeln!(out, "| {} |", row.join(" | "));
    }
    out
}

#[test]
#[ignore = "every float32 through every function on every level: an hour"]
fn exhaustive() {
    let step = std::env::var("KESHI_EVERY").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let mut page_rows = vec![vec!["function".to_string(), "arguments".into()]];
    page_rows[0].extend(available().iter().map(|&l| heading(l)));
    page_rows.push(vec!["---".into(); page_rows[0].len()]);
    let before = rows();
    for (op, _) in functions() {
        let old = before.iter().find(|r| r[0] == op.name && r.len() == page_rows[0].len());
        page_rows.push(old.cloned().unwrap_or_else(|| vec![op.name.to_string()]));
    }
    for (i, (op, params)) in functions().iter().enumerate() {
        let row = &mut page_rows[i + 2];
        if row.get(1).is_some_and(|said| *said == arguments(step)) {
            continue;
        }
        *row = vec![op.name.to_string(), arguments(step)];
        row.extend(sweep(op, params, step).iter().map(|w| match w.ulp {
            0.0 => "exact".into(),
            ulp => format!("{ulp:.3} at {:e}", w.at),
        }));
        println!("{}", row.join(" | "));
        std::fs::write(page(), written(&page_rows)).unwrap();
    }
}

#[test]
fn no_function_is_worse_than_its_page_says() {
    let rows = rows();
    let mut wrong = Vec::new();
    for (op, params) in functions() {
        let Some(row) = rows.iter().find(|r| r[0] == op.name) else {
            wrong.push(format!("{} is not on the page", op.name));
            continue;
        };
        for (w, &level) in sweep(op, &params, SELDOM).into_iter().zip(available()) {
            let column = rows[0].iter().position(|c| *c == heading(level));
            let said = column.and_then(|c| row.get(c)).and_then(|c| c.split(' ').next()).unwrap_or("nothing");
            let most: f64 = if said == "exact" { 0.0 } else { said.parse().unwrap_or(-1.0) };
            if !(w.ulp <= most + 1e-3) {
                wrong.push(format!(
                    "{} on {level:?}: {} ulp at {:e}, the page says {said}",
                    op.name, w.ulp, w.at
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
