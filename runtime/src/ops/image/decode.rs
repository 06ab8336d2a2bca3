//! Pictures from files.

use super::super::def::{OpDef, Run};
use super::super::infer::Types;
use crate::dtype::DType;
use crate::error::Result;
use crate::kernels::picture::{self, Colour};
use crate::shape::Dims;
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
