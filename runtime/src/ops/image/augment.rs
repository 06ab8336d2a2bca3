//! Changes of light and colour, given or drawn at random. Upstream's numbers differ, since its random numbers do; the
//! distributions are the same.

use super::super::def::{Keep, OpDef, Run};
use super::super::samples::{Case, Draw, Fill};
use super::super::shape_ops::view::View;
use super::images;
use crate::dtype::{DType, Elem};
use crate::error::Result;
use crate::kernels::par;
use crate::kernels::random::Element;
use crate::rng::reserve;
use crate::shape::{Dims, show};

/// One change of an image with red, green and blue in 0 to 255.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Change {
    /// Every number times this.
    Brightness(f64),
    /// This part of the image, the rest of the mean grey of all.
    Contrast(f64),
    /// This part of each pixel, the rest of its own grey.
    Saturation(f64),
    /// Hue turned by this part of the circle.
    Hue(f64),
    /// These parts of the principal components of natural light.
    Light([f64; 3]),
}

/// What red, green and blue add to grey.
const GREY: [f64; 3] = [0.299, 0.587, 0.114];
/// Eigenvalues and eigenvectors of the colours of natural images (Krizhevsky, Sutskever, Hinton, 2012).
const VALUES: [f64; 3] = [55.46, 4.794, 1.148];
const VECTORS: [[f64; 3]; 3] =
    [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]];

fn grey(pixel: &[f64]) -> f64 {
    if pixel.len() == 3 { (0..3).map(|c| GREY[c] * pixel[c]).sum() } else { pixel[0] }
}

/// Lightness and saturation stay; see Foley and van Dam, "Computer graphics", on HLS.
fn turn_hue(pixel: &mut [f64], by: f64) {
    let [r, g, b] = [pixel[0] / 255.0, pixel[1] / 255.0, pixel[2] / 255.0];
    let (max, min) = (r.max(g).max(b), r.min(g).min(b));
    let (l, d) = ((max + min) / 2.0, max - min);
    if d <= 0.0 {
        return;
    }
    let s = if l < 0.5 { d / (max + min) } else { d / (2.0 - max - min) };
    let h = if max == r {
        (g - b) / d
    } else if max == g {
        2.0 + (b - r) / d
    } else {
        4.0 + (r - g) / d
    };
    let h = (h / 6.0 + by).rem_euclid(1.0);
    let q = if l < 0.5 { l * (1.0 + s) } else { l + s - l * s };
    let p = 2.0 * l - q;
    let channel = |h: f64| match h.rem_euclid(1.0) * 6.0 {
        h if h < 1.0 => p + (q - p) * h,
        h if h < 3.0 => q,
        h if h < 4.0 => p + (q - p) * (4.0 - h),
        _ => p,
    };
    let turned = [channel(h + 1.0 / 3.0), channel(h), channel(h - 1.0 / 3.0)];
    pixel.iter_mut().zip(turned).for_each(|(p, v)| *p = v * 255.0);
}

fn apply(change: Change, image: &mut [f64], channels: usize) {
    let mix = |pixel: &mut [f64], part: f64, with: f64| {
        pixel.iter_mut().for_each(|p| *p = part * *p + (1.0 - part) * with)
    };
    match change {
        Change::Brightness(a) => image.iter_mut().for_each(|p| *p *= a),
        Change::Contrast(a) => {
            let mean =
                image.chunks_exact(channels).map(grey).sum::<f64>() * channels as f64 / image.len() as f64;
            mix(image, a, mean);
        }
        Change::Saturation(a) => image.chunks_exact_mut(channels).for_each(|p| mix(p, a, grey(p))),
        Change::Hue(a) if channels == 3 => image.chunks_exact_mut(3).for_each(|p| turn_hue(p, a)),
        Change::Light(a) if channels == 3 => {
            let add: [f64; 3] =
                std::array::from_fn(|c| (0..3).map(|k| VECTORS[c][k] * VALUES[k] * a[k]).sum());
            image.chunks_exact_mut(3).for_each(|p| (0..3).for_each(|c| p[c] += add[c]));
        }
        Change::Hue(_) | Change::Light(_) => {}
    }
}

/// What an image holds for a number: whole numbers are cut toward zero, and bytes kept in their range.
fn cut<T: Elem>(v: f64) -> T {
    // What arithmetic in float64 is off by must not take a whole number away.
    let near = f64::from(v as f32);
    T::from_f64(match T::DTYPE {
        DType::U8 => near.clamp(0.0, 255.0),
        d if d.is_float() => v,
        _ => near,
    })
}

/// Applies changes one after the other to every image.
fn run(r: &Run<'_>, changes: &[Change]) -> Result<()> {
    let (x, out) = (r.ins[0].span(), r.outs[0].span());
    let i = images(r.ins[0].dims())?;
    let size = i.height * i.width * i.channels;
    with_dtype!(x.dtype(), T => par::chunks(i.count, 1, |_, range| {
        for at in range {
            // SAFETY: an image of this chunk, read before the same image is written.
            let mut image: Vec<f64> = unsafe { x.sub(at * size, size).slice::<T>() }.iter().map(|v| v.to_f64()).collect();
            changes.iter().for_each(|c| apply(*c, &mut image, i.channels));
            // SAFETY: as above.
            let to = unsafe { out.sub(at * size, size).slice_mut::<T>() };
            to.iter_mut().zip(image).for_each(|(t, v)| *t = cut(v));
        }
    }));
    Ok(())
}

/// A source of random numbers for this call.
fn element(r: &Run<'_>) -> Element {
    Element::new(reserve(r.ins[0].device(), 1), 0)
}

params! {
    /// What `_image_adjust_lighting` takes.
    pub struct Lighting {
        alpha: Vec<f64>, "how much of each of the three principal components is added";
    }
}

fn light(p: &Lighting) -> Result<Change> {
    match p.alpha.as_slice() {
        [a, b, c] => Ok(Change::Light([*a, *b, *c])),
        other => bail!(Param, "alpha must be 3 numbers, got {}", other.len()),
    }
}

fn run_adjust_lighting(r: &Run<'_>) -> Result<()> {
    run(r, &[light(r.p())?])
}

params! {
    /// The range that a factor is drawn from.
    pub struct Factor {
        min_factor: f64, "smallest factor";
        max_factor: f64, "largest factor";
    }
}

fn run_factor(r: &Run<'_>, change: fn(f64) -> Change) -> Result<()> {
    let p = r.p::<Factor>();
    if p.min_factor.is_nan() || p.max_factor.is_nan() || p.min_factor > p.max_factor {
        bail!(Param, "max_factor must not be below min_factor, got {} and {}", p.max_factor, p.min_factor);
    }
    let a = p.min_factor + (p.max_factor - p.min_factor) * element(r).unit();
    run(r, &[change(a)])
}

params! {
    /// What `_image_random_color_jitter` takes.
    pub struct Jitter {
        brightness: f64, "largest change of brightness";
        contrast: f64, "largest change of contrast";
        saturation: f64, "largest change of saturation";
        hue: f64, "largest turn of the hue";
    }
}

fn run_jitter(r: &Run<'_>) -> Result<()> {
    let (p, mut e) = (r.p::<Jitter>(), element(r));
    let mut changes = Vec::new();
    let mut draw = |most: f64| (2.0 * e.unit() - 1.0) * most;
    for (most, change) in [
        (p.brightness, Change::Brightness as fn(f64) -> Change),
        (p.contrast, Change::Contrast),
        (p.saturation, Change::Saturation),
    ] {
        if most > 0.0 {
            changes.push(change(1.0 + draw(most)));
        }
    }
    if p.hue > 0.0 {
        changes.push(Change::Hue(draw(p.hue)));
    }
    for i in (1..changes.len()).rev() {
        changes.swap(i, e.below(i as u64 + 1) as usize);
    }
    run(r, &changes)
}

params! {
    /// What `_image_random_lighting` takes.
    pub struct RandomLighting {
        alpha_std: f64 = 0.05f32 as f64, "deviation of what is added of each principal component";
    }
}

fn run_random_lighting(r: &Run<'_>) -> Result<()> {
    let mut e = element(r);
    let deviation = r.p::<RandomLighting>().alpha_std;
    run(r, &[Change::Light(std::array::from_fn(|_| deviation * e.normal()))])
}

/// Mirrors the axis that lies so far from the end, or not.
fn run_flip(r: &Run<'_>, from_end: usize) -> Result<()> {
    let x = r.ins[0];
    images(x.dims())?;
    let axis = x.ndim() - from_end;
    let mut v = View::of(x.dims());
    if element(r).unit() < 0.5 {
        v = v.range(axis, x.dims()[axis] - 1, x.dims()[axis], -1);
    }
    v.read(x.span(), r.outs[0].span());
    Ok(())
}

/// Shapes stay, and are those of images.
fn shape(s: &mut super::super::infer::Shapes<'_>) -> Result<()> {
    super::super::infer::same(s)?;
    let Some(x) = s.input(0) else { return Ok(()) };
    images(&x).map(drop)
}

/// As [`shape`], with one or three channels.
fn shape_colour(s: &mut super::super::infer::Shapes<'_>) -> Result<()> {
    shape(s)?;
    let Some(x) = s.input(0) else { return Ok(()) };
    match x.last() {
        Some(1 | 3) => Ok(()),
        _ => bail!(Shape, "1 or 3 channels are wanted, got {}", show(&x)),
    }
}

fn image(d: &mut Draw) -> Case {
    let dims: Dims = [2, d.size(1, 4), d.size(1, 4), 3][d.size(0, 1)..].into();
    Case::new().input(&dims, Fill::Real(20.0, 200.0, &[]))
}

fn factor(d: &mut Draw) -> Case {
    image(d).param("min_factor", 0.5).param("max_factor", 1.5)
}

/// Why the random ones have no gradient.
const RANDOM: &str = "images are changed before training";

table! {
    ADJUST_LIGHTING = OpDef::map("_image_adjust_lighting", run_adjust_lighting).whole().params::<Lighting>()
        .doc("Adds to every pixel of an image (H, W, 3) the principal components of the colours of natural images, `alpha` of each.")
        .shape(|s| { light(s.params.get())?; shape_colour(s) })
        .vjp1(Keep::NOTHING, |d| Ok(d.grad().clone())).cases(|d| image(d).param("alpha", "(0.1, -0.05, 0.2)"));
    RANDOM_BRIGHTNESS = OpDef::map("_image_random_brightness", |r| run_factor(r, Change::Brightness)).whole().random().params::<Factor>()
        .doc("The image times a factor drawn evenly from a range.").shape(shape).no_gradient(RANDOM).cases(factor);
    RANDOM_CONTRAST = OpDef::map("_image_random_contrast", |r| run_factor(r, Change::Contrast)).whole().random().params::<Factor>()
        .doc("A mixture of the image and its mean grey: a factor drawn evenly from a range of the image, the rest grey.")
        .shape(shape_colour).no_gradient(RANDOM).cases(factor);
    RANDOM_SATURATION = OpDef::map("_image_random_saturation", |r| run_factor(r, Change::Saturation)).whole().random().params::<Factor>()
        .doc("A mixture of each pixel and its own grey: a factor drawn evenly from a range of the pixel, the rest grey.")
        .shape(shape_colour).no_gradient(RANDOM).cases(factor);
    RANDOM_HUE = OpDef::map("_image_random_hue", |r| run_factor(r, Change::Hue)).whole().random().params::<Factor>()
        .doc("The image with its hue turned by a part of the circle drawn evenly from a range.")
        .shape(shape_colour).no_gradient(RANDOM).cases(factor);
    RANDOM_COLOR_JITTER = OpDef::map("_image_random_color_jitter", run_jitter).whole().random().params::<Jitter>()
        .doc("Brightness, contrast and saturation changed by factors drawn evenly around 1, and the hue turned, in random order.")
        .shape(shape_colour).no_gradient(RANDOM)
        .cases(|d| image(d).param("brightness", 0.3).param("contrast", 0.3).param("saturation", 0.3).param("hue", 0.1));
    RANDOM_LIGHTING = OpDef::map("_image_random_lighting", run_random_lighting).whole().random().params::<RandomLighting>()
        .doc("As _image_adjust_lighting, with parts drawn from a normal distribution of deviation `alpha_std`.")
        .shape(shape_colour).no_gradient(RANDOM).cases(image);
    RANDOM_FLIP_LEFT_RIGHT = OpDef::new("_image_random_flip_left_right", &["data"], |r| run_flip(r, 2)).random()
        .doc("The image, mirrored with probability 1/2.").shape(shape).no_gradient(RANDOM).cases(image);
    RANDOM_FLIP_TOP_BOTTOM = OpDef::new("_image_random_flip_top_bottom", &["data"], |r| run_flip(r, 3)).random()
        .doc("The image, upside down with probability 1/2.").shape(shape).no_gradient(RANDOM).cases(image);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_do_what_they_say() {
        let mut p = [200.0, 100.0, 50.0];
        apply(Change::Hue(1.0), &mut p, 3);
        assert!(p.iter().zip([200.0, 100.0, 50.0]).all(|(a, b)| (a - b).abs() < 1e-9), "{p:?}");
        apply(Change::Hue(1.0 / 3.0), &mut p, 3);
        assert!(p.iter().zip([50.0, 200.0, 100.0]).all(|(a, b)| (a - b).abs() < 1e-9), "{p:?}");
        apply(Change::Saturation(0.0), &mut p, 3);
        assert!(p.iter().all(|v| (v - p[0]).abs() < 1e-9));
        let mut image = [10.0, 20.0, 30.0, 40.0, 50.0, 60.0];
        apply(Change::Contrast(1.0), &mut image, 3);
        assert_eq!(image, [10.0, 20.0, 30.0, 40.0, 50.0, 60.0]);
        apply(Change::Brightness(2.0), &mut image, 3);
        assert_eq!(image[5], 120.0);
        let mut one = [7.0];
        apply(Change::Light([1.0; 3]), &mut one, 1);
        assert_eq!(one, [7.0]);
    }
}
