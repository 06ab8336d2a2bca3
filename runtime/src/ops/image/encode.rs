//! Files out of pictures.

use super::super::def::{OpDef, Run};
use super::super::infer::Types;
use super::images;
use crate::dtype::DType;
use crate::error::Result;
use crate::kernels::picture_encode::{Pixels, jpeg, png};
use crate::shape::Dims;
use crate::tensor::Tensor;
use smallvec::smallvec;

params! {
    /// What `_picture_encode` takes.
    pub struct Encode {
        format: String = "jpeg".to_owned(), "jpeg or png";
        quality: i64 = 95, "of a JPEG file 1 to 100; of a PNG file how hard it is made small, 0 to 9";
    }
}

fn file(p: &Encode, x: &Tensor) -> Result<Vec<u8>> {
    let i = images(x.dims())?;
    if x.dtype() != DType::U8 || i.count != 1 {
        bail!(Dtype, "one picture of uint8 is wanted, got {} axes of {}", x.ndim(), x.dtype());
    }
    let pixels = Pixels { height: i.height, width: i.width, channels: i.channels, bytes: x.bytes() };
    match &*p.format {
        "jpeg" if (1..=100).contains(&p.quality) => jpeg(pixels, p.quality as u8),
        "png" if (0..=9).contains(&p.quality) => png(pixels, p.quality as u8),
        "jpeg" => bail!(Param, "the quality of a JPEG file got {}, want 1 to 100", p.quality),
        "png" => bail!(Param, "the quality of a PNG file got {}, want 0 to 9", p.quality),
        other => bail!(Param, "format got '{other}', want jpeg or png"),
    }
}

fn run(r: &Run<'_>) -> Result<()> {
    let file = file(r.p(), r.ins[0])?;
    // SAFETY: the output is new.
    let out = unsafe { r.outs[0].span().slice_mut::<u8>() };
    if out.len() != file.len() {
        bail!(Shape, "out has {} bytes, want {}", out.len(), file.len());
    }
    out.copy_from_slice(&file);
    Ok(())
}

fn types(t: &mut Types<'_>) -> Result<()> {
    t.ins[0] = t.ins[0].or(Some(DType::U8));
    t.outs[0] = Some(DType::U8);
    Ok(())
}

table! {
    // The size of the file is known when it is made, so it is made twice.
    PICTURE_ENCODE = OpDef::new("_picture_encode", &["data"], run)
        .params::<Encode>()
        .doc("The bytes of a JPEG or PNG file of the picture (height, width, channels), grey or red, green and blue.")
        .shape(|_| Ok(())).dtype(types)
        .sized_by_values(|p, ins| {
            let n: Dims = smallvec![file(p.get(), ins[0])?.len()];
            Ok(n)
        })
        .no_gradient("a file is not made of numbers that could be differentiated by")
        .no_samples("its result is a file; tested by reading what was written");
}
