//! Borders around images.

use super::super::def::{OpDef, Run};
use super::super::infer::Shapes;
use super::super::samples::Case;
use super::{images, sized};
use crate::error::Result;
use crate::kernels::par;
use crate::kernels::resize::saturate;
use crate::shape::{Dims, show, size_of_dims};

params! {
    /// What `_cvcopyMakeBorder` takes.
    pub struct Border {
        top: i64, "rows above";
        bot: i64, "rows below";
        left: i64, "columns to the left";
        right: i64, "columns to the right";
        r#type: i64 = 0, "0 a constant, 1 the nearest pixel, 2 mirrored with the edge, 3 from the other side, 4 mirrored without the edge";
        value: f64 = 0.0, "the constant";
        values: Vec<f64> = Vec::new(), "the constant for each channel, instead of value";
    }
}

/// Which pixel stands at place `i` of an axis of `n`; `None` for the constant.
fn source(kind: i64, i: i64, n: i64) -> Option<i64> {
    if (0..n).contains(&i) {
        return Some(i);
    }
    // Mirrors stand on both sides: the pattern repeats.
    let mirrored = |period: i64, last: i64| {
        let i = i.rem_euclid(period.max(1));
        if i >= n { last - i } else { i }
    };
    match kind {
        1 => Some(i.clamp(0, n - 1)),
        2 => Some(mirrored(2 * n, 2 * n - 1)),
        3 => Some(i.rem_euclid(n)),
        4 => Some(mirrored(2 * n - 2, 2 * n - 2)),
        _ => None,
    }
}

fn shape_border(s: &mut Shapes<'_>) -> Result<()> {
    let Some(x) = s.input(0) else { return Ok(()) };
    let (p, i): (&Border, _) = (s.params.get(), images(&x)?);
    let widths = [p.top, p.bot, p.left, p.right];
    if widths.iter().any(|w| !(0..1 << 31).contains(w)) {
        bail!(Param, "the border cannot be negative, got {widths:?}");
    }
    if !(0..=4).contains(&p.r#type) {
        bail!(Param, "unknown type of border, got {}, want 0 to 4", p.r#type);
    }
    if p.r#type != 0 && (i.height == 0 || i.width == 0) {
        bail!(Shape, "there are no pixels to repeat, got {}", show(&x));
    }
    if !p.values.is_empty() && p.values.len() < i.channels {
        bail!(
            Param,
            "values must have one number for each of {} channels, got {}",
            i.channels,
            p.values.len()
        );
    }
    let out: Dims = sized(&x, i.height + (p.top + p.bot) as usize, i.width + (p.left + p.right) as usize);
    size_of_dims(&out)?;
    s.output(0, &out)
}

fn run_border(r: &Run<'_>) -> Result<()> {
    let (p, x, out) = (r.p::<Border>(), r.ins[0], r.outs[0]);
    let (from, to) = (images(x.dims())?, images(out.dims())?);
    let channels = from.channels;
    with_dtype!(x.dtype(), T => par::chunks(to.count * to.height, (1 << 14) / (to.width * channels).max(1), |_, range| {
        let row = to.width * channels;
        for line in range {
            let (image, y) = (line / to.height, (line % to.height) as i64 - p.top);
            let y = source(p.r#type, y, from.height as i64);
            // SAFETY: a row of this chunk.
            let to = unsafe { out.span().sub(line * row, row).slice_mut::<T>() };
            for (i, pixel) in to.chunks_exact_mut(channels).enumerate() {
                match (y, source(p.r#type, i as i64 - p.left, from.width as i64)) {
                    (Some(y), Some(i)) => {
                        let at = ((image * from.height + y as usize) * from.width + i as usize) * channels;
                        pixel.copy_from_slice(&x.as_slice::<T>()[at..at + channels]);
                    }
                    _ => pixel.iter_mut().enumerate().for_each(|(c, v)| *v = saturate(p.values.get(c).copied().unwrap_or(p.value))),
                }
            }
        }
    }));
    Ok(())
}

table! {
    COPY_MAKE_BORDER = OpDef::new("_cvcopyMakeBorder", &["src"], run_border).params::<Border>()
        .doc("The image with a border around it.")
        .shape(shape_border).no_gradient("use Pad inside of networks")
        .cases(|d| {
            let case = Case::new().real(&[d.size(1, 4), d.size(1, 4), d.size(1, 3)]).param("type", d.int(0, 4)).param("value", 1.5);
            ["top", "bot", "left", "right"].into_iter().fold(case, |c, name| c.param(name, d.size(0, 5)))
        });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders_of_every_kind() {
        let row = |kind: i64| (-4..7).map(|i| source(kind, i, 3).unwrap_or(-1)).collect::<Vec<_>>();
        assert_eq!(row(0), [-1, -1, -1, -1, 0, 1, 2, -1, -1, -1, -1]);
        assert_eq!(row(1), [0, 0, 0, 0, 0, 1, 2, 2, 2, 2, 2]);
        assert_eq!(row(2), [2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0]);
        assert_eq!(row(3), [2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0]);
        assert_eq!(row(4), [0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2]);
        assert_eq!(source(4, -5, 1), Some(0));
    }
}
