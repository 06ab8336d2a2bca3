//! Pooling. Sums and averages are linear, and spreading a value over its window is their gradient; a maximum's gradient goes to where the
//! maximum was. Both have gradients of the same kind, so that second order costs nothing more.

use super::conv::{Order, Steps, channels_last};
use super::def::{Keep, OpDef, Run};
use super::infer::Shapes;
use super::params::{Ints, ParamType};
use super::samples::{Case, Draw, Fill};
use super::vjp::{Grads, Vjp};
use crate::array::Array;
use crate::error::Result;
use crate::fluent::call_with;
use crate::kernels::conv::Axis;
use crate::kernels::copy;
use crate::kernels::pool::{Kind, Pass, Pool};
use crate::ops::matrix::float_type;
use crate::ops::shape_ops::pad::{Mode, PAD, Padding};
use crate::ops::shape_ops::view::View;
use crate::shape::Dims;
use crate::shape::partial::Partial;
use crate::tensor::Tensor;
use smallvec::smallvec;

choices! {
    /// The order of batch, channels and spatial axes.
    pub enum Layout { Ncw = "NCW", Nchw = "NCHW", Ncdhw = "NCDHW", Nwc = "NWC", Nhwc = "NHWC", Ndhwc = "NDHWC" }
}

choices! {
    /// What is taken of a window.
    pub enum Type { Max = "max", Avg = "avg", Sum = "sum", Lp = "lp" }
}

choices! {
    /// How many windows there are where they do not fit exactly.
    pub enum Convention { Valid = "valid", Full = "full", Same = "same" }
}

params! {
    /// Pooling.
    pub struct Pooling {
        kernel: Ints = Ints::new(), "window size: (w), (h, w) or (d, h, w); not needed with global_pool";
        pool_type: Type = Type::Max, "what is taken of a window";
        global_pool: bool = false, "one window over all; kernel, stride and pad are ignored";
        cudnn_off: bool = false, "without effect";
        pooling_convention: Convention = Convention::Valid, "valid: as many windows as fit; full: rounded up; same: one for each stride of the data";
        stride: Ints = Ints::new(), "distance of windows, 1 for each axis when left out";
        pad: Ints = Ints::new(), "padding on both sides, 0 for each axis when left out";
        p_value: Option<i64> = None, "the power of lp: 1, 2 or 3";
        count_include_pad: Option<bool> = None, "whether averages count the padding; yes when left out";
        layout: Option<Layout> = None, "the order of axes; NCW, NCHW or NCDHW when left out";
    }
}

params! {
    /// Pooling in its first form.
    pub struct PoolingV1 {
        kernel: Ints = Ints::new(), "window size: (h, w) or (d, h, w); not needed with global_pool";
        pool_type: TypeV1 = TypeV1::Max, "what is taken of a window";
        global_pool: bool = false, "one window over all; kernel, stride and pad are ignored";
        pooling_convention: ConventionV1 = ConventionV1::Valid, "valid: as many windows as fit; full: rounded up";
        stride: Ints = Ints::new(), "distance of windows, 1 for each axis when left out";
        pad: Ints = Ints::new(), "padding on both sides, 0 for each axis when left out";
    }
}

choices! {
    /// What is taken of a window.
    pub enum TypeV1 { Max = "max", Avg = "avg", Sum = "sum" }
}

choices! {
    /// How many windows there are where they do not fit exactly.
    pub enum ConventionV1 { Valid = "valid", Full = "full" }
}

params! {
    /// Windows over data, with the sizes on both sides.
    pub struct Windows {
        kernel: Ints, "elements of a window";
        stride: Ints, "distance of windows";
        pad: Ints, "places before the data";
        input: Ints, "sizes of the data's spatial axes";
        output: Ints, "number of windows along each";
        average: Option<bool>, "sums when left out, else averages that count the padding or not";
        last: bool, "whether channels stand last";
    }
}

impl Pooling {
    /// Whether windows give their largest elements, and each has one.
    fn picks(&self) -> bool {
        let reaches = |(i, &p): (usize, &i64)| self.kernel.get(i).is_some_and(|&k| p < k);
        let inside = self.pooling_convention == Convention::Valid && self.pad.iter().enumerate().all(reaches);
        self.pool_type == Type::Max && (self.global_pool || inside)
    }
}

impl PoolingV1 {
    fn now(&self) -> Pooling {
        Pooling {
            kernel: self.kernel.clone(),
            pool_type: match self.pool_type {
                TypeV1::Max => Type::Max,
                TypeV1::Avg => Type::Avg,
                TypeV1::Sum => Type::Sum,
            },
            global_pool: self.global_pool,
            cudnn_off: false,
            pooling_convention: match self.pooling_convention {
                ConventionV1::Valid => Convention::Valid,
                ConventionV1::Full => Convention::Full,
            },
            stride: self.stride.clone(),
            pad: self.pad.clone(),
            p_value: None,
            count_include_pad: None,
            layout: None,
        }
    }

    /// Whether zeros stand around the data, which a maximum may find. (Sums and means take no notice.)
    fn finds_zeros(&self) -> bool {
        self.pool_type == TypeV1::Max && !self.global_pool && self.pad.iter().any(|&p| p > 0)
    }

    /// The shape with its zeros, and where the data lies in it.
    fn framed(&self, x: &[usize]) -> (Dims, View) {
        let pad = |i: usize| self.pad[i - 2] as usize;
        let wide: Dims = (0..x.len()).map(|i| x[i] + if i < 2 { 0 } else { 2 * pad(i) }).collect();
        let middle = (2..x.len()).fold(View::of(&wide), |v, i| v.range(i, pad(i), x[i], 1));
        (wide, middle)
    }

    fn without_pad(&self) -> Pooling {
        Pooling { pad: Ints::new(), ..self.now() }
    }

    fn run(&self, r: &Run<'_>) -> Result<()> {
        if !self.finds_zeros() {
            return self.now().run(r);
        }
        let (x, y) = (r.ins[0], r.outs[0]);
        let (wide, middle) = self.framed(x.dims());
        let framed = Tensor::empty(&wide, x.dtype(), x.device())?;
        copy::fill(framed.span(), 0.0);
        middle.write(x.span(), framed.span());
        let windows = self.without_pad().windows(&wide)?;
        windows.pool(&wide).compute(Pass::Pool(Kind::Max), framed.span(), framed.span(), y.span())
    }

    /// What goes to a zero around the data is lost.
    fn grad(&self, d: &Vjp<'_>) -> Result<Array> {
        if !self.finds_zeros() {
            return self.now().grad(d);
        }
        let (wide, middle) = self.framed(d.in_dims(0));
        let widths = (0..wide.len()).flat_map(|i| [if i < 2 { 0 } else { self.pad[i - 2] }; 2]).collect();
        let frame = Padding { mode: Mode::Constant, pad_width: widths, constant_value: 0.0 };
        let framed = call_with(&PAD, &[d.input(0)], frame);
        Ok(middle.taken_from(&call_with(&ROUTE, &[&framed, d.grad()], self.without_pad().windows(&wide)?)))
    }
}

impl Pooling {
    fn kind(&self) -> Result<Kind> {
        Ok(match (self.pool_type, self.p_value) {
            (Type::Max, _) => Kind::Max,
            (Type::Sum, _) => Kind::Sum,
            (Type::Avg, _) => Kind::Average { padding: self.count_include_pad.unwrap_or(true) },
            (Type::Lp, Some(p @ 1..=3)) => Kind::Power(p as i32),
            (Type::Lp, p) => bail!(Param, "p_value of lp must be 1, 2 or 3, got {}", p.text()),
        })
    }

    /// Where the axes are, for data of so many.
    fn order(&self, ndim: usize) -> Result<Order> {
        let n = if self.global_pool { ndim.wrapping_sub(2) } else { self.kernel.len() };
        if !(1..=3).contains(&n) || ndim != n + 2 {
            bail!(
                Shape,
                "data and kernel do not fit, got {ndim} axes and {}, want 3 to 5 axes",
                self.kernel.text()
            );
        }
        Ok(Order { n, last: channels_last(&self.layout, n)? })
    }

    /// Padding before the data and number of windows on axis `i`.
    fn along(&self, s: &Steps, i: usize, size: i64) -> Result<(i64, i64)> {
        if self.pooling_convention == Convention::Same {
            let n = (size + s.stride[i] - 1) / s.stride[i];
            return Ok((((n - 1) * s.stride[i] + s.kernel[i] - size).max(0) / 2, n));
        }
        let n = s.windows(i, size)?;
        let rest = (size + 2 * s.pad[i] - s.kernel[i]) % s.stride[i];
        let more = i64::from(self.pooling_convention == Convention::Full && rest > 0);
        Ok((s.pad[i], n + more))
    }

    fn steps(&self) -> Result<Steps> {
        Steps::new(&self.kernel, &self.stride, &Ints::new(), &self.pad)
    }

    fn windows(&self, x: &[usize]) -> Result<Windows> {
        let o = self.order(x.len())?;
        let input: Ints = (0..o.n).map(|i| x[o.spatial(i)] as i64).collect();
        let average = match self.kind()? {
            Kind::Average { padding } => Some(padding),
            _ => None,
        };
        let one = || smallvec![1; o.n];
        if self.global_pool {
            let kernel = input.iter().map(|&d| d.max(1)).collect();
            let pad = smallvec![0; o.n];
            return Ok(Windows { kernel, stride: one(), pad, input, output: one(), average, last: o.last });
        }
        let mut s = self.steps()?;
        let mut output = one();
        for i in 0..o.n {
            (s.pad[i], output[i]) = self.along(&s, i, input[i])?;
        }
        Ok(Windows { kernel: s.kernel, stride: s.stride, pad: s.pad, input, output, average, last: o.last })
    }

    fn infer(&self, s: &mut Shapes<'_>) -> Result<()> {
        self.kind()?;
        let Some(ndim) = s.ins[0].ndim().or(s.outs[0].ndim()) else { return Ok(()) };
        let o = self.order(ndim)?;
        let steps = if self.global_pool { None } else { Some(self.steps()?) };
        let mut x = s.ins[0].sizes().map_or_else(|| vec![-1; ndim], <[i64]>::to_vec);
        let mut y = o.join(x[0], x[o.channel()], &vec![-1; o.n]);
        for i in 0..o.n {
            let at = o.spatial(i);
            match &steps {
                None => y[at] = 1,
                Some(s) if x[at] >= 0 => y[at] = self.along(s, i, x[at])?.1,
                Some(_) => {}
            }
        }
        s.outs[0].merge(&Partial::from_sizes(&y))?;
        if let Some(y) = s.outs[0].sizes() {
            (x[0], x[o.channel()]) = (y[0], y[o.channel()]);
        }
        s.want_partial(0, &Partial::from_sizes(&x))
    }

    fn run(&self, r: &Run<'_>) -> Result<()> {
        let x = r.ins[0];
        let pool = self.windows(x.dims())?.pool(x.dims());
        pool.compute(Pass::Pool(self.kind()?), x.span(), x.span(), r.outs[0].span())
    }

    fn grad(&self, d: &Vjp<'_>) -> Result<Array> {
        let (g, x, w) = (d.grad(), d.input(0), self.windows(d.in_dims(0))?);
        Ok(match self.kind()? {
            Kind::Max => call_with(&ROUTE, &[x, g], w),
            Kind::Sum | Kind::Average { .. } | Kind::Power(1) => call_with(&SPREAD, &[g], w),
            // Where the result is 0 so is the slope that is taken: neither 0/0 nor infinity.
            Kind::Power(p) => {
                let y = call_with(&POOLING, &[x], self.clone());
                let y = &y + y.eq_to(0.0);
                let (over, up) = if p == 2 { (y, x.clone()) } else { (y.square(), x.square()) };
                call_with(&SPREAD, &[&(g / over)], w) * up
            }
        })
    }
}

impl Windows {
    fn order(&self) -> Order {
        Order { n: self.kernel.len(), last: self.last }
    }

    fn kind(&self) -> Kind {
        self.average.map_or(Kind::Sum, |padding| Kind::Average { padding })
    }

    /// The kernel's view of windows over data of that shape (or of a result: only batch and channels matter).
    fn pool(&self, x: &[usize]) -> Pool {
        let (n, channels) = (self.kernel.len(), x[self.order().channel()]);
        let mut axes = [Axis::NONE; 3];
        for i in 0..n {
            axes[3 - n + i] = Axis {
                input: self.input[i] as usize,
                output: self.output[i] as usize,
                kernel: self.kernel[i] as usize,
                stride: self.stride[i] as usize,
                dilate: 1,
                pad: self.pad[i] as usize,
            };
        }
        if self.last {
            Pool { planes: x[0], inner: channels, axes }
        } else {
            Pool { planes: x[0] * channels, inner: 1, axes }
        }
    }
}

/// The data's shape, or the result's, from any of both.
fn dims(w: &Windows, x: &[usize], result: bool) -> Dims {
    let (o, spatial) = (w.order(), if result { &w.output } else { &w.input });
    let v = o.join(x[0] as i64, x[o.channel()] as i64, spatial);
    v.iter().map(|&d| d as usize).collect()
}

fn infer(s: &mut Shapes<'_>, result: bool) -> Result<()> {
    let Some(x) = s.input(0) else { return Ok(()) };
    let out = dims(s.params.get(), &x, result);
    s.output(0, &out)
}

fn run(r: &Run<'_>, pass: fn(Kind) -> Pass) -> Result<()> {
    let w: &Windows = r.p();
    let (a, b) = (r.ins[0], r.ins.last().expect("there is an input"));
    w.pool(a.dims()).compute(pass(w.kind()), a.span(), b.span(), r.outs[0].span())
}

/// The gradient of the second input; the first only says where values go.
fn through(d: &Vjp<'_>, op: &'static OpDef) -> Result<Grads> {
    let values = d.needs(1).then(|| call_with(op, &[d.input(0), d.grad()], d.p::<Windows>().clone()));
    Ok(smallvec![d.zeros(0)?, values])
}

fn sample(d: &mut Draw) -> Case {
    let n = d.pick(&[1, 2, 2, 3]);
    let mut list = |lo, hi| (0..n).map(|_| d.int(lo, hi)).collect::<Vec<i64>>();
    let (kernel, stride, more) = (list(1, 3), list(1, 3), list(0, 3));
    let pad: Vec<i64> = list(0, 1).iter().zip(&kernel).map(|(&p, &k)| p.min(k / 2)).collect();
    let kind = d.pick(&["max", "avg", "sum", "lp"]);
    let convention = d.pick(&["valid", "valid", "full", "same"]);
    // A window that lies wholly outside holds the lowest number, which depends on the dtype.
    let full = convention == "full";
    let stride: Vec<i64> =
        stride.iter().zip(&kernel).map(|(&s, &k)| if full { s.min(k) } else { s }).collect();
    let pad: Vec<i64> = pad.iter().map(|&p| if full { 0 } else { p }).collect();
    let last = d.flip();
    let o = Order { n, last };
    let size: Vec<i64> = (0..n).map(|i| kernel[i] + more[i]).collect();
    let dims: Vec<usize> = o.join(d.int(1, 2), d.int(1, 3), &size).iter().map(|&d| d as usize).collect();
    let layouts = [["NCW", "NWC"], ["NCHW", "NHWC"], ["NCDHW", "NDHWC"]];
    // Roots of sums near 0 are too steep for differences.
    let fill = if kind == "lp" { Fill::Real(0.5, 2.0, &[]) } else { Fill::Distinct(0.05) };
    Case::new()
        .input(&dims, fill)
        .param("kernel", kernel)
        .param("stride", stride)
        .param("pad", pad)
        .param("pool_type", kind)
        .param("p_value", d.int(1, 3))
        .param("global_pool", d.int(0, 4) == 0)
        .param("pooling_convention", convention)
        .param("count_include_pad", d.flip())
        .param("layout", layouts[n - 1][usize::from(last)])
}

fn sample_v1(d: &mut Draw) -> Case {
    let dims = [d.size(1, 2), d.size(1, 2), d.size(3, 5), d.size(3, 5)];
    let kernel = d.int(1, 3);
    Case::new()
        .input(&dims, Fill::Distinct(0.05))
        .param("kernel", vec![kernel, d.int(1, 3)])
        .param("stride", vec![d.int(1, 3), d.int(1, 3)])
        .param("pad", vec![d.int(0, 1) * (kernel / 2), 0])
        .param("pool_type", d.pick(&["max", "avg", "sum"]))
        .param("pooling_convention", d.pick(&["valid", "full"]))
}

const COVERED: &str = "parameters depend on each other; covered by Pooling";

table! {
    POOLING = OpDef::new("Pooling", &["data"], |r| r.p::<Pooling>().run(r)).params::<Pooling>()
        .counted(|p| 1 + usize::from(p.get::<Pooling>().pool_type == Type::Max))
        .doc("What windows hold, for each channel: the largest element, the sum, the mean or `(Σ x^p)^(1/p)`. A spatial axis of n elements has \
              `floor((n + 2·pad - kernel)/stride) + 1` windows, rounded up instead where the convention is full. Windows that reach beyond \
              the padding end there; one that holds nothing gives the lowest finite number (max) or 0.")
        .shape(|s| s.params.get::<Pooling>().infer(s)).dtype(float_type)
        .vjp1(Keep::INPUTS, |d| d.p::<Pooling>().grad(d)).picks(|p| p.get::<Pooling>().picks())
        .cases(sample);
    POOLING_V1 = OpDef::new("Pooling_v1", &["data"], |r| r.p::<PoolingV1>().run(r)).params::<PoolingV1>()
        .doc("Pooling in its first form: the largest element, the sum or the mean of windows; see Pooling. Zeros stand in the padding, also for a maximum.")
        .shape(|s| s.params.get::<PoolingV1>().now().infer(s)).dtype(float_type)
        .vjp1(Keep::INPUTS, |d| d.p::<PoolingV1>().grad(d))
        .cases(sample_v1);
    GATHER = OpDef::new("_ks_pool", &["data"], |r| run(r, Pass::Pool)).params::<Windows>()
        .doc("Sums or means of windows.")
        .shape(|s| infer(s, true)).dtype(float_type)
        .vjp1(Keep::NOTHING, |d| Ok(call_with(&SPREAD, &[d.grad()], d.p::<Windows>().clone())))
        .no_samples(COVERED);
    SPREAD = OpDef::new("_ks_pool_spread", &["result"], |r| run(r, Pass::Spread)).params::<Windows>()
        .doc("For each element the sum of the values of the windows that hold it, over their counts for means.")
        .shape(|s| infer(s, false)).dtype(float_type)
        .vjp1(Keep::NOTHING, |d| Ok(call_with(&GATHER, &[d.grad()], d.p::<Windows>().clone())))
        .no_samples(COVERED);
    ROUTE = OpDef::new("_ks_pool_route", &["data", "result"], |r| run(r, |_| Pass::Route)).params::<Windows>()
        .doc("For each element the sum of the values of the windows whose first largest element it is.")
        .shape(|s| infer(s, false)).dtype(float_type)
        .vjp(Keep::input(0), |d| through(d, &PICK))
        .no_samples(COVERED);
    PICK = OpDef::new("_ks_pool_pick", &["data", "values"], |r| run(r, |_| Pass::Pick)).params::<Windows>()
        .doc("For each window the value that stands where its first largest element is.")
        .shape(|s| infer(s, true)).dtype(float_type)
        .vjp(Keep::input(0), |d| through(d, &ROUTE))
        .no_samples(COVERED);
}
