//! Pictures from files.

use super::super::def::{OpDef, Run};
use super::super::elementwise::binary::ELEMWISE_SUB;
use super::super::infer::{Types, like_first};
use super::super::params::Params;
use crate::array::Array;
use crate::dtype::DType;
use crate::error::Result;
use crate::invoke::invoke;
use crate::kernels::copy::cast;
use crate::kernels::picture::{self, Colour};
use crate::shape::partial::Partial;
use crate::shape::{Dims, show};
use crate::tensor::Tensor;
use smallvec::smallvec;

params! {
    /// What `_cvimdecode` takes.
    pub struct Decode {
        flag: i64 = 1, "0 for a grey picture, 1 for a coloured one";
        to_rgb: bool = true, "whether colours come as red, green, blue; otherwise as blue, green, red";
    }
}

params! {
    /// What `_cvimread` takes.
    pub struct Read {
        filename: String, "name of a JPEG or PNG file";
        flag: i64 = 1, "0 for a grey picture, 1 for a coloured one";
        to_rgb: bool = true, "whether colours come as red, green, blue; otherwise as blue, green, red";
    }
}

params! {
    /// What `_imdecode` takes.
    pub struct Clipped {
        index: i64, "which picture of a result with four axes is meant; a call makes one with three";
        x0: usize, "first column of the piece that is cut out";
        y0: usize, "first row of it";
        x1: usize, "column behind it";
        y1: usize, "row behind it; where it is y0, all of the picture is taken";
        c: usize, "number of channels: 1 for a grey picture, 3 for blue, green, red";
        size: usize, "number of bytes of the file";
    }
}

/// A piece of the picture, its channels one after the other, less the mean.
fn run_clipped(r: &Run<'_>) -> Result<()> {
    let (p, mean) = (r.p::<Clipped>(), r.ins[0]);
    let all = bytes(r.ins[1])?;
    let Some(file) = all.get(..p.size) else {
        bail!(Param, "size is more than there is, got {}, want at most {}", p.size, all.len())
    };
    let colour = match p.c {
        1 => Colour::Grey,
        3 => Colour::Bgr,
        c => bail!(Param, "c must be 1 or 3, got {c}"),
    };
    let (h, w) = picture::size(file)?;
    let (x0, y0, x1, y1) = if p.y1 == p.y0 { (0, 0, w, h) } else { (p.x0, p.y0, p.x1, p.y1) };
    if x0 >= x1 || y0 >= y1 || x1 > w || y1 > h {
        bail!(
            Param,
            "the piece is not in the picture, got ({x0},{y0},{x1},{y1}), want at most (0,0,{w},{h})"
        );
    }
    if mean.dims() != [p.c, y1 - y0, x1 - x0] {
        let want = [p.c, y1 - y0, x1 - x0];
        bail!(Shape, "mean must be as large as the result, got {}, want {}", show(mean.dims()), show(&want));
    }
    let mut pixels = vec![0u8; h * w * p.c];
    picture::decode(file, colour, &mut pixels)?;
    let rows = (0..p.c).flat_map(|k| (y0..y1).map(move |y| (k, y)));
    let plain: Vec<u8> =
        rows.flat_map(|(k, y)| (x0..x1).map(move |x| (y * w + x) * p.c + k)).map(|i| pixels[i]).collect();
    let plain = Tensor::from_slice(&plain, mean.dims(), mean.device())?;
    cast(plain.span(), r.outs[0].span());
    let [out, mean] = [r.outs[0], mean].map(|t| Array::from(t.clone()));
    invoke(&ELEMWISE_SUB, &[&out, &mean], &Params::NONE, &[&out]).map(drop)
}

fn colour(flag: i64, to_rgb: bool) -> Result<Colour> {
    match (flag, to_rgb) {
        (0, _) => Ok(Colour::Grey),
        (1, true) => Ok(Colour::Rgb),
        (1, false) => Ok(Colour::Bgr),
        _ => bail!(Param, "flag must be 0 or 1, got {flag}"),
    }
}

pub(super) fn bytes(buf: &Tensor) -> Result<&[u8]> {
    if buf.dtype() != DType::U8 || buf.ndim() != 1 {
        bail!(
            Dtype,
            "the bytes of a file are wanted, one axis of uint8, got {} axes of {}",
            buf.ndim(),
            buf.dtype()
        );
    }
    // SAFETY: nobody writes an input while the operator runs.
    Ok(unsafe { buf.span().slice::<u8>() })
}

fn file(name: &str) -> Result<Vec<u8>> {
    std::fs::read(name).map_err(|e| err!(Io, "the file {name} cannot be read: {e}"))
}

fn shape(bytes: &[u8], colour: Colour) -> Result<Dims> {
    let (h, w) = picture::size(bytes)?;
    Ok(smallvec![h, w, if colour == Colour::Grey { 1 } else { 3 }])
}

fn run(r: &Run<'_>, bytes: &[u8], colour: Colour) -> Result<()> {
    // SAFETY: the output is new.
    picture::decode(bytes, colour, unsafe { r.outs[0].span().slice_mut::<u8>() })
}

fn pixels(t: &mut Types<'_>) -> Result<()> {
    if let Some(d) = t.ins.first_mut() {
        d.get_or_insert(DType::U8);
    }
    t.outs[0] = Some(DType::U8);
    Ok(())
}

/// Why there is no gradient.
const CODED: &str = "a file is not made of numbers that could be differentiated by";

table! {
    DECODE = OpDef::new("_imdecode", &["mean"], run_clipped)
        .params::<Clipped>().arity(|_| 2).input_names(|_| vec!["mean".into(), "str_img".into()])
        .doc("A piece of the picture in the bytes of a JPEG or PNG file, which are a second input `str_img`, less `mean`: channels in the order \
              blue, green, red, then rows, then columns, in the dtype of `mean`, which is as large.")
        .shape(|s| {
            let (mean, out) = (s.ins[0].clone(), s.outs[0].clone());
            s.want_partial(0, &out)?;
            s.outs[0].merge(&mean)?;
            s.want_partial(1, &Partial::of_ndim(1))
        })
        .dtype(|t| {
            t.ins[1].get_or_insert(DType::U8);
            like_first(t)
        })
        .no_gradient(CODED).no_samples("it wants a file; tested with files of every kind");
    CV_DECODE = OpDef::new("_cvimdecode", &["buf"], |r| {
            let p = r.p::<Decode>();
            run(r, bytes(r.ins[0])?, colour(p.flag, p.to_rgb)?)
        })
        .params::<Decode>()
        .doc("The picture (height, width, channels) in the bytes of a JPEG or PNG file. Alpha is dropped, 16-bit numbers are cut to 8; photographs \
              are turned upright as their Exif data say.")
        .shape(|_| Ok(())).dtype(pixels)
        .sized_by_values(|p, ins| {
            let p = p.get::<Decode>();
            shape(bytes(ins[0])?, colour(p.flag, p.to_rgb)?)
        })
        .no_gradient(CODED).no_samples("its input must be a file; tested with files of every kind");
    CV_READ = OpDef::new("_cvimread", &[], |r| {
            let p = r.p::<Read>();
            run(r, &file(&p.filename)?, colour(p.flag, p.to_rgb)?)
        })
        .params::<Read>()
        .doc("The picture (height, width, channels) in a JPEG or PNG file, as _cvimdecode gives it.")
        .shape(|_| Ok(())).dtype(pixels)
        .sized_by_values(|p, _| {
            let p = p.get::<Read>();
            shape(&file(&p.filename)?, colour(p.flag, p.to_rgb)?)
        })
        .no_gradient(CODED).no_samples("it wants a file; tested with files of every kind");
}
