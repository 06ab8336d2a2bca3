//! Many picture files at once, as training wants them.

use super::super::def::{OpDef, Run};
use super::super::infer::{Shapes, Types};
use super::super::join::check_count;
use super::super::params::Ints;
use super::decode::bytes;
use super::resize::interp;
use crate::dtype::DType;
use crate::error::Result;
use crate::kernels::picture::{Colour, size};
use crate::kernels::picture_batch::{Frame, Place, Turn, Window, load};

params! {
    /// What `_picture_batch` takes.
    pub struct Batch {
        num_args: i64, "number of files";
        channels: i64 = 3, "1 for grey pictures, 3 for coloured ones";
        height: i64, "rows of each picture";
        width: i64, "pixels of a row";
        resize: i64 = -1, "what the shorter side is resized to first; not positive for nothing";
        whole: bool = false, "whether pictures are squeezed instead of cut";
        interp: i64 = 1, "0 nearest, 1 linear, 2 cubic, 3 area, 4 Lanczos";
        across: Vec<f64> = Vec::new(), "for each picture, what part of the room beside the window is left of it; none for the middle";
        down: Vec<f64> = Vec::new(), "for each picture, what part of the room is above the window; none for the middle";
        window: Vec<f64> = Vec::new(), "for each picture left, top, right and bottom of what is squeezed into the frame, as parts of the picture, of which it may reach beyond; none for the other ways to cut";
        turn: Vec<f64> = Vec::new(), "for each picture the matrix, by rows, that takes a pixel's distance from the middle to where it comes from; none for no turning";
        fill: i64 = 127, "pixels where a window reaches beyond its picture, or a turned one does not";
        mirror: Ints = Ints::new(), "for each picture whether it is mirrored; none for no";
        sizes: Ints = Ints::new(), "for each picture height and width of what it fills of the frame, from the top left, beside which pixels are 0; none for all of it";
        mean: Vec<f64> = Vec::new(), "what is subtracted from each channel; none for 0";
        std: Vec<f64> = Vec::new(), "what each channel is then divided by; none for 1";
        scale: f64 = 1.0, "factor of what results";
        dtype: DType = DType::F32, "float32, or uint8 for the pixels as they are";
    }
}

/// The shape of the result.
fn dims(p: &Batch, files: usize) -> Result<[usize; 4]> {
    check_count(p.num_args, files)?;
    match (p.channels, usize::try_from(p.height), usize::try_from(p.width)) {
        (c @ (1 | 3), Ok(h), Ok(w)) if h > 0 && w > 0 => Ok([files, c as usize, h, w]),
        _ => bail!(
            Param,
            "1 or 3 channels, height and width are wanted, got {}x{}x{}",
            p.channels,
            p.height,
            p.width
        ),
    }
}

fn shape(s: &mut Shapes<'_>) -> Result<()> {
    let p: &Batch = s.params.get();
    let dims = dims(p, s.ins.len())?;
    for (what, given, want) in [
        ("across", p.across.len(), dims[0]),
        ("down", p.down.len(), dims[0]),
        ("window", p.window.len(), 4 * dims[0]),
        ("turn", p.turn.len(), 4 * dims[0]),
        ("mirror", p.mirror.len(), dims[0]),
        ("sizes", p.sizes.len(), 2 * dims[0]),
        ("mean", p.mean.len(), dims[1]),
        ("std", p.std.len(), dims[1]),
    ] {
        if given != 0 && given != want {
            bail!(Param, "{what} has {given} numbers, want {want}");
        }
    }
    if let Some(w) =
        p.window.chunks(4).find(|w| !(w[0] < w[2] && w[1] < w[3] && w.iter().all(|v| v.is_finite())))
    {
        bail!(Param, "window got {w:?}, want left before right and top before bottom");
    }
    if let Some(v) = p.turn.iter().find(|v| !v.is_finite()) {
        bail!(Param, "turn got {v}, want finite numbers");
    }
    if let Some(s) =
        p.sizes.chunks(2).find(|s| !((1..=p.height).contains(&s[0]) && (1..=p.width).contains(&s[1])))
    {
        bail!(Param, "sizes got {}x{}, want from 1x1 to {}x{}", s[0], s[1], p.height, p.width);
    }
    if !(0..=255).contains(&p.fill) {
        bail!(Param, "fill got {}, want 0 to 255", p.fill);
    }
    s.output(0, &dims)
}

fn types(t: &mut Types<'_>) -> Result<()> {
    let d = t.params.get::<Batch>().dtype;
    if !matches!(d, DType::F32 | DType::U8) {
        bail!(Dtype, "dtype got {d}, want float32 or uint8");
    }
    t.ins.iter_mut().for_each(|i| *i = i.or(Some(DType::U8)));
    t.outs[0] = Some(d);
    Ok(())
}

fn place(p: &Batch, i: usize) -> Place {
    let mirrored = p.mirror.get(i).is_some_and(|&m| m != 0);
    let four = |of: &[f64]| of.get(4 * i..4 * i + 4).and_then(|w| <[f64; 4]>::try_from(w).ok());
    let fill = p.fill as u8;
    let window = four(&p.window).map(|edges| Window { edges, fill });
    let turn = four(&p.turn).map(|back| Turn { back, fill });
    let corner = p.sizes.get(2 * i..2 * i + 2).map(|s| [s[0] as usize, s[1] as usize]);
    Place { across: p.across.get(i).copied(), down: p.down.get(i).copied(), mirrored, window, turn, corner }
}

fn run(r: &Run<'_>) -> Result<()> {
    let p = r.p::<Batch>();
    let files = r.ins.iter().map(|t| bytes(t)).collect::<Result<Vec<_>>>()?;
    let frame = Frame {
        height: p.height as usize,
        width: p.width as usize,
        colour: if p.channels == 1 { Colour::Grey } else { Colour::Rgb },
        shorter: p.resize.max(0) as usize,
        whole: p.whole,
        interp: interp(p.interp)?,
    };
    let out = r.outs[0].span();
    if p.dtype == DType::U8 {
        return load(&files, &frame, |i| place(p, i), |_, b| b, out);
    }
    let of = |list: &[f64], c: usize, none: f32| list.get(c).map_or(none, |&v| v as f32);
    let scale = p.scale as f32;
    let norm: [[f32; 2]; 3] = std::array::from_fn(|c| [of(&p.mean, c, 0.0), of(&p.std, c, 1.0)]);
    load(&files, &frame, |i| place(p, i), |c, b| (f32::from(b) - norm[c][0]) / norm[c][1] * scale, out)
}

params! {
    /// What `_picture_sizes` takes.
    pub struct Sizes {
        num_args: i64, "number of files";
    }
}

fn sizes(r: &Run<'_>) -> Result<()> {
    // SAFETY: nobody else has the output.
    let to = unsafe { r.outs[0].span().slice_mut::<i32>() };
    for (i, (file, to)) in r.ins.iter().zip(to.chunks_exact_mut(2)).enumerate() {
        let (h, w) = bytes(file).and_then(size).map_err(|e| err!(Argument, "picture {i}: {e}"))?;
        to.copy_from_slice(&[h as i32, w as i32]);
    }
    Ok(())
}

table! {
    PICTURE_SIZES = OpDef::new("_picture_sizes", &["data"], sizes)
        .params::<Sizes>().variadic(Some("num_args"))
        .doc("Height and width of the pictures in the bytes of JPEG and PNG files, a row for each, as they lie once decoded.")
        .shape(|s| {
            check_count(s.params.get::<Sizes>().num_args, s.ins.len())?;
            s.output(0, &[s.ins.len(), 2])
        })
        .dtype(|t| {
            t.ins.iter_mut().for_each(|i| *i = i.or(Some(DType::U8)));
            t.outs[0] = Some(DType::I32);
            Ok(())
        })
        .no_gradient("a file is not made of numbers that could be differentiated by")
        .no_samples("its inputs must be files; tested with files");
    PICTURE_BATCH = OpDef::new("_picture_batch", &["data"], run)
        .params::<Batch>().variadic(Some("num_args"))
        .doc("The pictures in the bytes of JPEG and PNG files as one array (file, channel, row, column): each is decoded, its shorter side \
              resized, it is turned, a window cut out of it or all of it squeezed into the window, mirrored, and scaled, `(pixel - mean) / std * scale`.")
        .shape(shape).dtype(types)
        .no_gradient("a file is not made of numbers that could be differentiated by")
        .no_samples("its inputs must be files; tested with files against the single steps");
}
