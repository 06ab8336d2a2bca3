//! Correlation of two images over displacements. In the mode of products it is linear in both images, so the three operators here are
//! each other's gradients, to any order.

use super::super::def::{Keep, OpDef, Run};
use super::super::infer::Shapes;
use super::super::matrix::float_type;
use super::super::samples::{Case, Draw, Fill};
use super::super::vjp::{Grads, Vjp};
use super::{maps, share};
use crate::array::Array;
use crate::error::Result;
use crate::fluent::call_with;
use crate::kernels::spatial::correlation::{Correlation, Which};
use crate::shape::partial::Partial;
use crate::shape::{Dims, show, size_of_dims};
use smallvec::{SmallVec, smallvec};

params! {
    /// What `Correlation` takes.
    pub struct Correlate {
        kernel_size: usize = 1, "side of a window, odd";
        max_displacement: usize = 1, "the furthest displacement";
        stride1: usize = 1, "distance of neighbouring windows in the first image";
        stride2: usize = 1, "distance of neighbouring displacements";
        pad_size: usize = 0, "border of zeros around both images";
        is_multiply: bool = true, "whether pixels are multiplied; otherwise their distances are taken";
    }
}

choices! {
    /// One of the two images.
    pub enum Side { First = "first", Second = "second" }
}

params! {
    /// What the derivatives of `Correlation` take.
    pub struct CorrelateBack {
        side: Side, "the image by which the derivative is taken";
        kernel_size: usize, "as of Correlation";
        max_displacement: usize, "as of Correlation";
        stride1: usize, "as of Correlation";
        stride2: usize, "as of Correlation";
        pad_size: usize, "as of Correlation";
        is_multiply: bool, "as of Correlation";
    }
}

impl Correlate {
    fn back(&self, side: Side) -> CorrelateBack {
        let &Correlate { kernel_size, max_displacement, stride1, stride2, pad_size, is_multiply } = self;
        CorrelateBack { side, kernel_size, max_displacement, stride1, stride2, pad_size, is_multiply }
    }
}

impl CorrelateBack {
    fn forward(&self) -> Correlate {
        let &CorrelateBack { kernel_size, max_displacement, stride1, stride2, pad_size, is_multiply, .. } =
            self;
        Correlate { kernel_size, max_displacement, stride1, stride2, pad_size, is_multiply }
    }

    fn which(&self) -> Which {
        if self.side == Side::First { Which::First } else { Which::Second }
    }
}

fn sizes(p: &Correlate, x: &[usize]) -> Result<Correlation> {
    let [batch, channels, h, w] = maps(x)?;
    if p.kernel_size.is_multiple_of(2) || p.stride1 == 0 || p.stride2 == 0 {
        bail!(
            Param,
            "kernel_size must be odd and the strides positive, got {}, {} and {}",
            p.kernel_size,
            p.stride1,
            p.stride2
        );
    }
    let most = 1 << 20;
    if p.kernel_size.max(p.max_displacement).max(p.stride1).max(p.stride2).max(p.pad_size) > most {
        bail!(Param, "sizes of a correlation must not be above {most}");
    }
    Ok(Correlation {
        batch,
        channels,
        size: (h, w),
        kernel: p.kernel_size,
        reach: p.max_displacement,
        stride: p.stride1,
        step: p.stride2,
        pad: p.pad_size,
    })
}

/// The shape of the result for images of shape `x`.
fn result(p: &Correlate, x: &[usize]) -> Result<Dims> {
    let c = sizes(p, x)?;
    let Some((h, w)) = c.out_size() else {
        bail!(Shape, "no window fits into {} with its displacements, pad_size {}", show(x), p.pad_size)
    };
    let out: Dims = smallvec![c.batch, c.displacements().pow(2), h, w];
    size_of_dims(&out)?;
    Ok(out)
}

fn shape_correlation(s: &mut Shapes<'_>) -> Result<()> {
    let p = s.params.get::<Correlate>().clone();
    for (i, j) in [(0, 1), (1, 0)] {
        share(s, i, &[(0, 0)])?;
        let known = s.ins[i].clone();
        s.want_partial(j, &known)?;
    }
    let Some(x) = s.input(0) else { return Ok(()) };
    let out = result(&p, &x)?;
    s.output(0, &out)
}

fn run_correlation(r: &Run<'_>) -> Result<()> {
    let (p, a, b) = (r.p::<Correlate>(), r.ins[0], r.ins[1]);
    sizes(p, a.dims())?.run(p.is_multiply, a.span(), b.span(), r.outs[0].span());
    Ok(())
}

fn back(g: &Array, a: &Array, b: &Array, p: CorrelateBack) -> Array {
    call_with(&CORRELATION_BACK, &[g, a, b], p)
}

fn grad_correlation(d: &Vjp<'_>) -> Result<Grads> {
    let (p, g, a, b) = (d.p::<Correlate>(), d.grad(), d.input(0), d.input(1));
    let by = |i: usize, side: Side| d.needs(i).then(|| back(g, a, b, p.back(side)));
    Ok(smallvec![by(0, Side::First), by(1, Side::Second)])
}

fn shape_back(s: &mut Shapes<'_>) -> Result<()> {
    let p = s.params.get::<CorrelateBack>().forward();
    let all: SmallVec<[Partial; 2]> = smallvec![s.ins[1].clone(), s.ins[2].clone(), s.outs[0].clone()];
    for known in &all {
        s.want_partial(1, known)?;
        s.want_partial(2, known)?;
        s.outs[0].merge(known)?;
    }
    let Some(x) = s.input(1) else { return Ok(()) };
    s.want(0, &result(&p, &x)?)
}

fn run_back(r: &Run<'_>) -> Result<()> {
    let (p, g, a, b) = (r.p::<CorrelateBack>(), r.ins[0], r.ins[1], r.ins[2]);
    sizes(&p.forward(), a.dims())?.back(
        p.is_multiply,
        p.which(),
        g.span(),
        a.span(),
        b.span(),
        r.outs[0].span(),
    );
    Ok(())
}

/// The sum of `g` times a product is linear in `g` and in both images, and that operator is its derivative by one of the images. Of a
/// distance, it is linear in `g` and piecewise constant in both.
fn grad_back(d: &Vjp<'_>) -> Result<Grads> {
    let (p, u, g, a, b) = (d.p::<CorrelateBack>(), d.grad(), d.input(0), d.input(1), d.input(2));
    if !p.is_multiply {
        let by_g = d.needs(0).then(|| call_with(&CORRELATION_ALONG, &[u, a, b], p.clone()));
        return Ok(smallvec![by_g, d.zeros(1)?, d.zeros(2)?]);
    }
    let correlated = |a: &Array, b: &Array| call_with(&CORRELATION, &[a, b], p.forward());
    Ok(match p.side {
        Side::First => smallvec![
            d.needs(0).then(|| correlated(u, b)),
            d.zeros(1)?,
            d.needs(2).then(|| back(g, u, b, CorrelateBack { side: Side::Second, ..p.clone() })),
        ],
        Side::Second => smallvec![
            d.needs(0).then(|| correlated(a, u)),
            d.needs(1).then(|| back(g, a, u, CorrelateBack { side: Side::First, ..p.clone() })),
            d.zeros(2)?,
        ],
    })
}

fn shape_along(s: &mut Shapes<'_>) -> Result<()> {
    let p = s.params.get::<CorrelateBack>().forward();
    let all: SmallVec<[Partial; 3]> = s.ins.iter().cloned().collect();
    for known in &all {
        (0..3).try_for_each(|i| s.want_partial(i, known))?;
    }
    let Some(x) = s.input(0) else { return Ok(()) };
    let out = result(&p, &x)?;
    s.output(0, &out)
}

fn run_along(r: &Run<'_>) -> Result<()> {
    let (p, u, a, b) = (r.p::<CorrelateBack>(), r.ins[0], r.ins[1], r.ins[2]);
    sizes(&p.forward(), a.dims())?.along(p.which(), a.span(), b.span(), u.span(), r.outs[0].span());
    Ok(())
}

fn grad_along(d: &Vjp<'_>) -> Result<Grads> {
    let by_u = d.needs(0).then(|| back(d.grad(), d.input(1), d.input(2), d.p::<CorrelateBack>().clone()));
    Ok(smallvec![by_u, d.zeros(1)?, d.zeros(2)?])
}

/// Parameters that fit, for images of the shape that is returned.
fn sized(d: &mut Draw, product: bool) -> (Case, Dims, Dims) {
    loop {
        let p = Correlate {
            kernel_size: d.pick(&[1, 3]),
            max_displacement: d.size(0, 2),
            stride1: d.size(1, 2),
            stride2: d.size(1, 2),
            pad_size: d.size(0, 2),
            is_multiply: product,
        };
        let x: Dims = smallvec![d.size(1, 2), d.size(1, 2), d.size(2, 5), d.size(2, 5)];
        if let Ok(out) = result(&p, &x) {
            let case =
                Case::new().param("kernel_size", p.kernel_size).param("max_displacement", p.max_displacement);
            let case =
                case.param("stride1", p.stride1).param("stride2", p.stride2).param("pad_size", p.pad_size);
            return (case.param("is_multiply", product), x, out);
        }
    }
}

/// Images whose pixels differ from each other and from 0, so that distances have no kink.
fn apart(d: &mut Draw, case: Case, x: &[usize]) -> Case {
    let n: usize = x.iter().product();
    let mut both = d.fill(&crate::ops::samples::Input { dims: smallvec![2 * n], fill: Fill::Distinct(0.06) });
    let second = both.split_off(n);
    case.input(x, Fill::Given(both)).input(x, Fill::Given(second))
}

table! {
    CORRELATION = OpDef::new("Correlation", &["data1", "data2"], run_correlation).params::<Correlate>().counted(|_| 3)
        .doc("How windows of two images resemble each other. Both have a border of zeros. out[n, d, i, j] = the mean over c, k and l of \
              data1[n, c, y+k, x+l] data2[n, c, y+k+s, x+l+t], or of |data1 - data2| there, where (y, x) = (i, j) stride1 + max_displacement, k and l are \
              less than `kernel_size`, and (s, t) is displacement d: multiples of `stride2` up to `max_displacement`, t the faster.")
        .shape(shape_correlation).dtype(float_type).vjp(Keep::INPUTS, grad_correlation)
        .cases(|d| {
            let product = d.flip();
            let (case, x, _) = sized(d, product);
            apart(d, case, &x)
        });
    CORRELATION_BACK = OpDef::new("_ks_correlation_back", &["grad", "data1", "data2"], run_back).params::<CorrelateBack>()
        .doc("The gradient of Correlation by one of its images.")
        .shape(shape_back).dtype(float_type).vjp(Keep::INPUTS, grad_back)
        .cases(|d| {
            let product = d.flip();
            let (case, x, out) = sized(d, product);
            apart(d, case.real(&out), &x).param("side", d.pick(&["first", "second"]))
        });
    CORRELATION_ALONG = OpDef::new("_ks_correlation_along", &["data", "data1", "data2"], run_along).params::<CorrelateBack>()
        .doc("How Correlation in the mode of distances changes when one of its images moves along `data`.")
        .shape(shape_along).dtype(float_type).vjp(Keep::input(1).and(Keep::input(2)), grad_along)
        .cases(|d| {
            let (case, x, _) = sized(d, false);
            apart(d, case.real(&x), &x).param("side", d.pick(&["first", "second"]))
        });
}
