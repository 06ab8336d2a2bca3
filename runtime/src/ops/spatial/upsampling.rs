//! Enlarged feature maps: pixels repeated, or a transposed convolution whose weight is learnt or set to bilinear interpolation.

use super::super::conv::deconvolution::DECONVOLUTION;
use super::super::def::{Gradient, Keep, OpDef, Run};
use super::super::infer::Shapes;
use super::super::matrix::float_type;
use super::super::params::Params;
use super::super::samples::{Case, Draw};
use super::super::slice::sliced;
use super::super::value::Value;
use super::super::vjp::{Grads, Vjp};
use super::resample::{Kind, resample, resampled};
use super::{maps, only, planes, share};
use crate::error::Result;
use crate::invoke::parse_named;
use crate::shape::{show, size_of_dims};

choices! {
    /// How pixels are made.
    pub enum Sample { Nearest = "nearest", Bilinear = "bilinear" }
}

choices! {
    /// What becomes of several inputs.
    pub enum Several { Concat = "concat", Sum = "sum" }
}

params! {
    /// What `UpSampling` takes.
    pub struct Up {
        scale: i64, "how many times as high and wide as the first input the result is";
        num_filter: i64 = 0, "number of channels, of bilinear";
        sample_type: Sample, "nearest repeats pixels; bilinear is a transposed convolution of each channel with the second input";
        multi_input_mode: Several = Several::Concat, "whether several inputs, each enlarged to the same size, are joined or added up";
        num_args: i64, "number of inputs";
        workspace: i64 = 512, "without effect";
    }
}

impl Up {
    fn scale(&self) -> Result<usize> {
        match usize::try_from(self.scale) {
            Ok(scale) if (1..=1000).contains(&scale) => Ok(scale),
            _ => bail!(Param, "scale must be 1 to 1000, got {}", self.scale),
        }
    }

    /// The parameters of the transposed convolution that bilinear is.
    fn deconvolution(&self, channels: usize) -> Result<Params> {
        let scale = self.scale()?;
        if self.num_filter != channels as i64 {
            bail!(
                Param,
                "num_filter must be the number of channels, got {}, want {channels}",
                self.num_filter
            );
        }
        let two = |n: usize| Value::from(vec![n; 2]);
        let (kernel, pad) = (2 * scale - scale % 2, (scale - 1).div_ceil(2));
        let named = [
            ("kernel", two(kernel)),
            ("stride", two(scale)),
            ("pad", two(pad)),
            ("num_filter", channels.into()),
            ("num_group", channels.into()),
            ("no_bias", true.into()),
        ];
        parse_named(&DECONVOLUTION, &named, 2)
    }
}

fn shape_up(s: &mut Shapes<'_>) -> Result<()> {
    let p: Up = s.params.get::<Up>().clone();
    let scale = p.scale()?;
    if p.num_args != s.ins.len() as i64 {
        bail!(Argument, "num_args must be the number of inputs, got {}, want {}", p.num_args, s.ins.len());
    }
    if p.sample_type == Sample::Bilinear && s.ins.len() != 2 {
        bail!(Argument, "bilinear takes the data and a weight, got {} inputs", s.ins.len());
    }
    let joins = p.sample_type == Sample::Nearest && p.multi_input_mode == Several::Concat && s.ins.len() > 1;
    share(s, 0, if joins { &[(0, 0)] } else { &[(0, 0), (1, 1)] })?;
    for axis in [2, 3] {
        if let Some(n) = s.ins[0].dim(axis) {
            s.outs[0].merge(&only(4, axis, size_of_dims(&[n, scale])?))?;
        } else if let Some(n) = s.outs[0].dim(axis).filter(|n| n % scale == 0) {
            s.want_partial(0, &only(4, axis, n / scale))?;
        }
    }
    if p.sample_type == Sample::Bilinear {
        let kernel = 2 * scale - scale % 2;
        let channels = s.ins[0].dim(1).unwrap_or(p.num_filter.max(0) as usize);
        s.want(1, &[channels, 1, kernel, kernel])?;
    } else {
        for i in 1..s.ins.len() {
            share(s, i, if joins { &[(0, 0)] } else { &[(0, 0), (1, 1)] })?;
        }
    }
    let Some(all) = (0..s.ins.len()).map(|i| s.input(i)).collect::<Option<Vec<_>>>() else { return Ok(()) };
    if joins {
        s.outs[0].merge(&only(4, 1, all.iter().map(|x| x[1]).sum()))?;
    }
    planes(&all[0])?;
    let (h, w) = (all[0][2] * scale, all[0][3] * scale);
    for x in if p.sample_type == Sample::Nearest { &all[1..] } else { &[] } {
        let [_, _, own_h, own_w] = planes(x)?;
        if h % own_h != 0 || w % own_w != 0 || h / own_h != w / own_w {
            bail!(Shape, "an input cannot be enlarged to {h}x{w} by one whole number, got {}", show(x));
        }
    }
    Ok(())
}

fn run_up(r: &Run<'_>) -> Result<()> {
    let (p, out) = (r.p::<Up>(), r.outs[0]);
    let [batch, channels, h, w] = maps(out.dims())?;
    if p.sample_type == Sample::Bilinear {
        return (DECONVOLUTION.run)(&Run { params: &p.deconvolution(channels)?, ..*r });
    }
    let joins = p.multi_input_mode == Several::Concat;
    let mut first = 0;
    for (i, x) in r.ins.iter().enumerate() {
        if !joins || r.ins.len() == 1 {
            resample(Kind::Nearest, r, i, false, out.span(), i > 0, [h, w])?;
            continue;
        }
        let own = x.dims()[1];
        for n in 0..batch {
            let one = x.rows(n, n + 1)?;
            let part = out.span().sub((n * channels + first) * h * w, own * h * w);
            resample(Kind::Nearest, &Run { ins: &[&one], ..*r }, 0, false, part, false, [h, w])?;
        }
        first += own;
    }
    Ok(())
}

fn grad_up(d: &Vjp<'_>) -> Result<Grads> {
    let (p, to) = (d.p::<Up>(), &d.out_dims(0)[2..]);
    if p.sample_type == Sample::Bilinear {
        let Gradient::Rule(_, rule) = DECONVOLUTION.gradient else {
            bail!(Internal, "the transposed convolution has no gradient")
        };
        return rule(&Vjp { params: &p.deconvolution(d.out_dims(0)[1])?, ..*d });
    }
    let joins = p.multi_input_mode == Several::Concat;
    let mut first = 0;
    Ok((0..d.num_inputs())
        .map(|i| {
            let (x, begin) = (d.in_dims(i), first);
            first += x[1];
            d.needs(i).then(|| {
                let g = if joins { sliced(d.grad(), 1, begin, first) } else { d.grad().clone() };
                resampled(Kind::Nearest, &g, &x[2..], to, true)
            })
        })
        .collect())
}

fn case(d: &mut Draw) -> Case {
    let (n, c, h, w, scale) =
        (d.size(1, 2), d.size(1, 3), d.size(1, 3), d.size(1, 3), d.pick(&[1usize, 2, 3, 4]));
    let case = Case::new().real(&[n, c, h, w]).param("scale", scale);
    if d.int(0, 3) == 0 {
        let kernel = 2 * scale - scale % 2;
        return case.real(&[c, 1, kernel, kernel]).param("sample_type", "bilinear").param("num_filter", c);
    }
    let case = case.param("sample_type", "nearest");
    match d.int(0, 2) {
        0 => case,
        1 => case.real(&[n, d.size(1, 2), h * scale, w * scale]),
        _ => case.real(&[n, c, h * scale, w * scale]).param("multi_input_mode", "sum"),
    }
}

table! {
    UP_SAMPLING = OpDef::new("UpSampling", &["data"], run_up).variadic(Some("num_args")).params::<Up>()
        .doc("Feature maps `scale` times as high and wide. nearest: out[i, j] = x[floor(i/scale), floor(j/scale)], where further inputs are \
              enlarged to the same size, and joined along the channels or added up. bilinear: the transposed convolution of every channel with its own \
              kernel, the second input of shape (C, 1, k, k), where k = 2 scale - scale mod 2.")
        .shape(shape_up).dtype(float_type).vjp(Keep::INPUTS, grad_up).cases(case);
}
