//! Random arrays whose distribution has arrays for parameters: one distribution for each element, or for each row.

use super::def::{Keep, OpDef, Run};
use super::infer::{Shapes, Types};
use super::params::Ints;
use super::random::{RANDOM, STATISTICS, check, failures, generalized};
use super::softmax::Float;
use super::vjp::{Grads, Vjp};
use crate::dtype::{DType, Elem};
use crate::error::Result;
use crate::fluent::call;
use crate::kernels::par;
use crate::kernels::random::{self, Element};
use crate::rng::reserve;
use crate::shape::Dims;
use smallvec::smallvec;

params! {
    /// What drawing by arrays of parameters takes.
    pub struct Sample {
        shape: Ints = Ints::new(), "how many numbers of each distribution, one when empty";
        dtype: Option<Float> = None, "dtype of the result, that of the parameters when None";
    }
}

/// Sizes, which must not be negative.
fn sizes(shape: &[i64]) -> Result<Dims> {
    let one = |&d: &i64| usize::try_from(d).map_err(|_| err!(Shape, "sizes must not be negative, got {d}"));
    shape.iter().map(one).collect()
}

fn infer_shape(s: &mut Shapes<'_>) -> Result<()> {
    let more = sizes(&s.params.get::<Sample>().shape)?;
    let mut all = crate::shape::partial::Partial::UNKNOWN;
    for x in s.ins.iter() {
        all.merge(x).map_err(|_| err!(Shape, "parameters must have one shape, got {x}, want {all}"))?;
    }
    for i in 0..s.ins.len() {
        s.want_partial(i, &all)?;
    }
    let Some(mut dims) = all.known() else { return Ok(()) };
    dims.extend_from_slice(&more);
    s.output(0, &dims)
}

fn infer_type(t: &mut Types<'_>) -> Result<()> {
    let first = t.ins.iter().flatten().next().copied();
    for x in t.ins.iter_mut() {
        match (*x, first) {
            (Some(got), Some(d)) if got != d => {
                bail!(Dtype, "parameters must have one dtype, got {got}, want {d}")
            }
            (None, d) => *x = d,
            _ => {}
        }
    }
    let given = t.params.get::<Sample>().dtype.map(Float::dtype);
    t.outs[0] = given.or(t.outs[0]).or(first.map(|d| if d.is_float() { d } else { DType::F32 }));
    Ok(())
}

/// Draws with the parameters of each element, having checked all of them.
fn run(
    r: &Run<'_>,
    valid: fn(f64, f64) -> bool,
    want: &str,
    draw: impl Fn(&mut Element, f64, f64) -> f64 + Sync,
) -> Result<()> {
    let out = r.outs[0];
    let a = r.ins[0].to_vec_f64();
    let b = r.ins.get(1).map_or_else(|| vec![0.0; a.len()], |b| b.to_vec_f64());
    for (&a, &b) in a.iter().zip(&b) {
        check(
            valid(a, b),
            "a parameter",
            if r.ins.len() > 1 { format!("{a} and {b}") } else { a.to_string() },
            want,
        )?;
    }
    let each = if a.is_empty() { 1 } else { out.size() / a.len() };
    let stream = reserve(out.device(), random::counters(out.size()));
    random::each(out.span(), stream, |i, e| draw(e, a[i / each], b[i / each]));
    Ok(())
}

params! {
    /// What drawing categories takes.
    pub struct Multinomial {
        shape: Ints = Ints::new(), "how many categories from each row of probabilities, one when empty";
        get_prob: bool = false, "whether the logarithms of their probabilities are a second result";
        dtype: Category = Category::I32, "dtype of the categories";
    }
}

choices! {
    /// Dtypes of categories.
    pub enum Category { F16 = "float16", F32 = "float32", F64 = "float64", I32 = "int32", U8 = "uint8" }
}

fn shape_multinomial(s: &mut Shapes<'_>) -> Result<()> {
    let more = sizes(&s.params.get::<Multinomial>().shape)?;
    let Some(x) = s.input(0) else { return Ok(()) };
    let Some((&k, rows)) = x.split_last() else { bail!(Shape, "probabilities need an axis, got shape ()") };
    if k == 0 {
        bail!(Shape, "there are no categories to draw from, got {}", crate::shape::show(&x));
    }
    let mut dims: Dims = rows.into();
    dims.extend_from_slice(&more);
    if dims.is_empty() {
        dims.push(1);
    }
    (0..s.outs.len()).try_for_each(|i| s.output(i, &dims))
}

fn type_multinomial(t: &mut Types<'_>) -> Result<()> {
    t.outs[0] = Some(match t.params.get::<Multinomial>().dtype {
        Category::F16 => DType::F16,
        Category::F32 => DType::F32,
        Category::F64 => DType::F64,
        Category::I32 => DType::I32,
        Category::U8 => DType::U8,
    });
    if let (Some(d), 2) = (t.ins[0], t.outs.len()) {
        t.outs[1] = Some(if d.is_float() { d } else { DType::F32 });
    }
    Ok(())
}

fn run_multinomial(r: &Run<'_>) -> Result<()> {
    let (x, out) = (r.ins[0], r.outs[0]);
    let k = x.dims()[x.ndim() - 1];
    let p = x.to_vec_f64();
    if let Some(bad) = p.iter().find(|p| !(**p >= 0.0 && p.is_finite())) {
        bail!(Param, "probabilities must not be negative, got {bad}");
    }
    let rows = p.len() / k;
    let mut sums = p.clone();
    for row in sums.chunks_mut(k) {
        let mut total = 0.0;
        row.iter_mut().for_each(|v| {
            total += *v;
            *v = total;
        });
        if total <= 0.0 {
            bail!(Param, "a row of probabilities is all 0, want a sum of 1");
        }
    }
    let each = out.size().checked_div(rows).unwrap_or(1);
    let stream = reserve(out.device(), random::counters(out.size()));
    let drawn: Vec<usize> = (0..out.size())
        .map(|i| {
            let row = &sums[i / each * k..][..k];
            let u = Element::new(stream, i as u64).unit() * row[k - 1];
            // The first category whose sum exceeds u; sums do not grow at impossible ones, so those are never the first.
            row.partition_point(|&s| s <= u).min(k - 1)
        })
        .collect();
    // SAFETY: the outputs are this call's alone.
    with_dtype!(out.dtype(), T => unsafe { out.span().slice_mut::<T>() }
        .iter_mut().zip(&drawn).for_each(|(y, &c)| *y = T::from_i64(c as i64)));
    if let Some(log) = r.outs.get(1) {
        // SAFETY: as above.
        with_dtype!(log.dtype(), T => unsafe { log.span().slice_mut::<T>() }
            .iter_mut().zip(drawn.iter().enumerate()).for_each(|(y, (i, &c))| *y = T::from_f64(p[i / each * k + c].ln())));
    }
    Ok(())
}

/// The logarithm of the probability of category c has the derivative 1/p at c.
fn grad_multinomial(d: &Vjp<'_>) -> Result<Grads> {
    let Some(g) = d.grad_of(1) else {
        bail!(Autograd, "the categories have no gradient, want one of their log probabilities (get_prob)");
    };
    Ok(smallvec![Some(call(&MULTINOMIAL_GRAD, &[g, d.input(0), d.output(0)], &super::params::Params::NONE))])
}

fn run_multinomial_grad(r: &Run<'_>) -> Result<()> {
    let (g, x, c, out) = (r.ins[0].to_vec_f64(), r.ins[1], r.ins[2].to_vec::<i64>(), r.outs[0]);
    let (p, k) = (x.to_vec_f64(), x.dims()[x.ndim() - 1]);
    let each = g.len() / (p.len() / k).max(1);
    let mut sum = vec![0.0; p.len()];
    for (i, (g, c)) in g.iter().zip(&c).enumerate() {
        let at = i / each * k + (*c as usize).min(k - 1);
        sum[at] += g / p[at];
    }
    // SAFETY: the output is this call's alone.
    with_dtype!(out.dtype(), T => unsafe { out.span().slice_mut::<T>() }
        .iter_mut().zip(&sum).for_each(|(y, &s)| *y = T::from_f64(s)));
    Ok(())
}

/// A random permutation of 0 .. n (Fisher and Yates).
fn permutation(n: usize, stream: crate::rng::Stream) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        order.swap(i, Element::new(stream, i as u64).below(i as u64 + 1) as usize);
    }
    order
}

fn run_shuffle(r: &Run<'_>) -> Result<()> {
    let (x, out) = (r.ins[0], r.outs[0]);
    let n = x.dims().first().copied().unwrap_or(1).max(1);
    let order = permutation(n, reserve(out.device(), n as u64));
    let row = x.size() / n * x.dtype().size();
    let (from, to) = (x.span().bytes() as usize, out.span().bytes() as usize);
    par::chunks(n, (64 * 1024 / row.max(1)).max(1), |_, r| {
        for i in r {
            // SAFETY: rows of both arrays, which do not overlap; each output row is written once.
            unsafe {
                std::ptr::copy_nonoverlapping(
                    (from + order[i] * row) as *const u8,
                    (to + i * row) as *mut u8,
                    row,
                )
            }
        }
    });
    Ok(())
}

params! {
    /// What drawing distinct log-uniform classes takes.
    pub struct Zipfian {
        range_max: i64, "number of classes";
        shape: Option<Ints> = None, "rows, and classes in each";
    }
}

fn shape_zipfian(s: &mut Shapes<'_>) -> Result<()> {
    let p = s.params.get::<Zipfian>();
    let Some(shape) = &p.shape else { return Ok(()) };
    let dims = sizes(shape)?;
    let [rows, n] = dims[..] else { bail!(Shape, "two axes are wanted, got {}", crate::shape::show(&dims)) };
    if (n as i64) > p.range_max {
        bail!(Param, "there are too few classes, got {} for {n} distinct ones", p.range_max);
    }
    s.output(0, &[rows, n])?;
    s.output(1, &[rows])
}

fn run_zipfian(r: &Run<'_>) -> Result<()> {
    let (out, tries) = (r.outs[0], r.outs[1]);
    let (rows, n) = (out.dims()[0], out.dims()[1]);
    let log = (r.p::<Zipfian>().range_max as f64 + 1.0).ln();
    let stream = reserve(out.device(), rows as u64);
    // SAFETY: the outputs are this call's alone.
    let (y, t) = unsafe { (out.span().slice_mut::<i64>(), tries.span().slice_mut::<i64>()) };
    for row in 0..rows {
        let (mut e, mut seen) =
            (Element::new(stream, row as u64), std::collections::HashSet::with_capacity(n));
        let mut count = 0;
        for y in &mut y[row * n..][..n] {
            *y = loop {
                count += 1;
                let class = ((e.unit() * log).exp() as i64 - 1).clamp(0, r.p::<Zipfian>().range_max - 1);
                if seen.insert(class) {
                    break class;
                }
            };
        }
        t[row] = count;
    }
    Ok(())
}

/// Draws of one distribution for each element of the parameters.
const fn samples(
    name: &'static str,
    aliases: &'static [&'static str],
    inputs: &'static [&'static str],
    run: super::def::Kernel,
    doc: &'static str,
) -> OpDef {
    OpDef::new(name, inputs, run)
        .aliases(aliases)
        .params::<Sample>()
        .shape(infer_shape)
        .dtype(infer_type)
        .doc(doc)
        .random()
        .no_gradient(RANDOM)
        .no_samples(STATISTICS)
}

const NOT_NEGATIVE: &str = "0 or more";

table! {
    SAMPLE_UNIFORM = samples("_sample_uniform", &["sample_uniform"], &["low", "high"],
        |r| run(r, |l, h| l <= h && (h - l).is_finite(), "low not above high", |e, l, h| {
            if l == h { l } else { (l + e.unit() * (h - l)).min(h.next_down()) }
        }),
        "Numbers evenly distributed over each `low` to `high`; `shape` of them for each element.");
    SAMPLE_NORMAL = samples("_sample_normal", &["sample_normal"], &["mu", "sigma"],
        |r| run(r, |_, s| s >= 0.0, "sigma of 0 or more", |e, m, s| m + s * e.normal()),
        "Normally distributed numbers of each mean `mu` and standard deviation `sigma`; `shape` of them for each element.");
    SAMPLE_GAMMA = samples("_sample_gamma", &["sample_gamma"], &["alpha", "beta"],
        |r| run(r, |a, b| a >= 0.0 && b >= 0.0, NOT_NEGATIVE, random::gamma),
        "Gamma distributed numbers of each shape `alpha` and scale `beta`; `shape` of them for each element.");
    SAMPLE_EXPONENTIAL = samples("_sample_exponential", &["sample_exponential"], &["lam"],
        |r| run(r, |l, _| l > 0.0, "more than 0", |e, l, _| -e.open().ln() / l),
        "Exponentially distributed numbers of each rate `lam`; `shape` of them for each element.");
    SAMPLE_POISSON = samples("_sample_poisson", &["sample_poisson"], &["lam"],
        |r| run(r, |l, _| l >= 0.0 && l.is_finite(), NOT_NEGATIVE, |e, l, _| random::poisson(e, l)),
        "Poisson distributed numbers of each mean `lam`; `shape` of them for each element.");
    SAMPLE_NEGATIVE_BINOMIAL = samples("_sample_negative_binomial", &["sample_negative_binomial"], &["k", "p"],
        |r| run(r, |k, p| k >= 0.0 && p > 0.0 && p <= 1.0, "k of 0 or more and p above 0, at most 1",
            |e, k, p| random::negative_binomial(e, k, failures(k, p))),
        "Failures before each `k`th success of probability `p`; `shape` of them for each element.");
    SAMPLE_GENERALIZED = samples("_sample_generalized_negative_binomial", &["sample_generalized_negative_binomial"],
        &["mu", "alpha"], |r| run(r, |m, a| m >= 0.0 && a >= 0.0, NOT_NEGATIVE, generalized),
        "Negative binomially distributed numbers of each mean `mu` and dispersion `alpha`; `shape` of them for each element.");
    SAMPLE_MULTINOMIAL = OpDef::new("_sample_multinomial", &["data"], run_multinomial).aliases(&["sample_multinomial"])
        .random().params::<Multinomial>().shape(shape_multinomial).dtype(type_multinomial)
        .outputs(|p| if p.get::<Multinomial>().get_prob { 2 } else { 1 }, |p| if p.get::<Multinomial>().get_prob { 2 } else { 1 })
        .doc("Categories drawn by each row of probabilities (the last axis), and on request the logarithms of their probabilities.")
        .vjp(Keep::INPUTS.and(Keep::output(0)), grad_multinomial).no_samples(STATISTICS);
    MULTINOMIAL_GRAD = OpDef::new("_ks_multinomial_grad", &["grad", "data", "category"], run_multinomial_grad)
        .shape(|s| match s.input(1) {
            Some(x) => s.output(0, &x),
            None => Ok(()),
        })
        .dtype(|t| { t.outs[0] = t.ins[1]; Ok(()) })
        .doc("Adds up, for each probability, the gradients of the logarithms that were taken of it.")
        .no_gradient("the estimator is used at first order only").no_samples(STATISTICS);
    SHUFFLE = OpDef::new("_shuffle", &["data"], run_shuffle).aliases(&["shuffle"]).random()
        .doc("The rows of an array (its elements, where it has one axis) in random order.")
        .zero_gradient("the order is random").no_samples(STATISTICS);
    UNIQUE_ZIPFIAN = OpDef::new("_sample_unique_zipfian", &[], run_zipfian).random().params::<Zipfian>().shape(shape_zipfian)
        .dtype(|t| { t.outs.fill(Some(DType::I64)); Ok(()) }).outputs(|_| 2, |_| 2)
        .doc("Distinct classes in each row, drawn with probability `log((k + 2)/(k + 1)) / log(range_max + 1)` for class k, and how \
              many draws each row took.")
        .no_gradient(RANDOM).no_samples(STATISTICS);
}
