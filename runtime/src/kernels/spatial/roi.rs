//! Regions of interest, given as rows of (image, left, top, right, bottom), divided into bins.
//!
//! A row with a negative image stands for no region: its bins are 0.

use super::PLANES;
use super::taps::Taps;
use crate::dtype::Elem;
use crate::kernels::par;
use crate::storage::Span;

/// Sizes of what regions are taken from and of what becomes of them.
#[derive(Clone, Copy, Debug)]
pub struct Regions {
    /// Images.
    pub batch: usize,
    /// Planes of an image.
    pub channels: usize,
    /// Rows and columns of a plane.
    pub size: (usize, usize),
    /// Rows and columns of bins.
    pub bins: (usize, usize),
    /// Number of regions.
    pub count: usize,
    /// Pixels per unit of the coordinates.
    pub scale: f32,
}

impl Regions {
    fn bins(&self) -> usize {
        self.bins.0 * self.bins.1
    }

    fn plane(&self) -> usize {
        self.size.0 * self.size.1
    }
}

/// Numbers of region `r`.
fn region(rois: Span, r: usize) -> [f64; 5] {
    with_dtype!(rois.dtype(), T => {
        // SAFETY: five numbers of an input, which nobody writes.
        let row = unsafe { rois.sub(5 * r, 5).slice::<T>() };
        std::array::from_fn(|i| row[i].to_f64())
    })
}

/// The image of region `r`, `None` for no region.
fn image(rois: Span, r: usize) -> Option<usize> {
    let n = region(rois, r)[0];
    (n >= 0.0).then_some(n as usize)
}

/// The first region whose image is not one of `batch`, and that image.
pub fn stray(rois: Span, count: usize, batch: usize) -> Option<(usize, f64)> {
    // Negated, so that NaN is one.
    (0..count).map(|r| (r, region(rois, r)[0])).find(|(_, n)| !(*n < batch as f64))
}

/// The largest value of each bin, and where in `x` it stands (-1 for an empty bin, whose value is 0). Coordinates are rounded to
/// pixels, in float32 as the reference does, since a rounding error there moves an edge by a pixel.
pub fn pool(s: Regions, x: Span, rois: Span, out: Span, argmax: Span) {
    let (h, w) = s.size;
    assert!(out.len() == s.count * s.channels * s.bins() && argmax.len() == out.len());
    with_dtype!(x.dtype(), T => par::chunks(s.count * s.channels, par::grouped(s.count * s.channels, 4), |_, range| {
        for task in range {
            let (r, c) = (task / s.channels, task % s.channels);
            // SAFETY: the bins of this task.
            let (to, places) = unsafe {
                (out.sub(task * s.bins(), s.bins()).slice_mut::<T>(), argmax.sub(task * s.bins(), s.bins()).slice_mut::<i64>())
            };
            to.fill(T::default());
            places.fill(-1);
            let Some(n) = image(rois, r) else { continue };
            let first = (n * s.channels + c) * s.plane();
            // SAFETY: a plane of an input, which nobody writes.
            let x = unsafe { x.sub(first, s.plane()).slice::<T>() };
            let (rows, columns) = (edges(s, rois, r, 2, h, s.bins.0), edges(s, rois, r, 1, w, s.bins.1));
            for bin in 0..s.bins() {
                let (rows, columns) = (rows(bin / s.bins.1), columns(bin % s.bins.1));
                for at in rows.flat_map(|y| columns.clone().map(move |x| y * w + x)) {
                    if places[bin] < 0 || x[at] > to[bin] {
                        (to[bin], places[bin]) = (x[at], (first + at) as i64);
                    }
                }
            }
        }
    }));
}

/// The pixels of each bin along an axis of `n` pixels; `side` is where the region's row holds the lower end.
fn edges(
    s: Regions,
    rois: Span,
    r: usize,
    side: usize,
    n: usize,
    bins: usize,
) -> impl Fn(usize) -> std::ops::Range<usize> {
    let place = |i: usize| (region(rois, r)[i] as f32 * s.scale).round();
    let (low, high) = (place(side), place(side + 2));
    let step = (high - low + 1.0).max(1.0) / bins as f32;
    // Conversion to whole numbers takes what is too low, or no number, for 0.
    let inside = move |at: f32| ((at + low) as usize).min(n);
    move |bin| inside((bin as f32 * step).floor())..inside(((bin + 1) as f32 * step).ceil())
}

/// How bins are sampled.
#[derive(Clone, Copy, Debug)]
pub struct Align {
    /// Samples of a bin along each axis; 0 as many as it has pixels.
    pub samples: usize,
    /// Whether every bin has planes of its own.
    pub position_sensitive: bool,
    /// Whether the centre of the first pixel lies at 1/2 instead of 0, and small regions stay small.
    pub aligned: bool,
}

impl Align {
    /// Planes of an output with so many planes of input.
    pub fn channels(&self, s: Regions) -> usize {
        if self.position_sensitive { s.channels / s.bins().max(1) } else { s.channels }
    }

    /// The plane of an image from which bin `bin` of channel `c` comes.
    fn plane(&self, s: Regions, c: usize, bin: usize) -> usize {
        if self.position_sensitive { c * s.bins() + bin } else { c }
    }

    /// Along an axis of `n` pixels, for each bin the samples as pairs of pixels with weights, the mean taken.
    fn along(&self, s: Regions, (low, high): (f64, f64), n: usize, bins: usize) -> Taps {
        let (scale, shift) = (f64::from(s.scale), if self.aligned { 0.5 } else { 0.0 });
        let low = low * scale - shift;
        let size = high * scale - shift - low;
        let size = if self.aligned { size } else { size.max(1.0) };
        let bin = size / bins as f64;
        let samples = if self.samples > 0 { self.samples as f64 } else { bin.ceil() };
        let mut taps = Taps::new();
        for b in 0..bins {
            let (start, step) = (low + b as f64 * bin, bin / samples);
            // Samples further than a pixel outside count as 0; only the others are walked, however large the region is. Unless asked
            // for more, there are at most two for each pixel.
            let reach = |at: f64| ((at - start) / step - 0.5).clamp(0.0, samples);
            let most = if self.samples > 0 { self.samples } else { 2 * n + 6 };
            let (first, last) =
                if step > 0.0 { (reach(-1.0).floor(), reach(n as f64) + 1.0) } else { (0.0, samples) };
            for i in 0..((last.min(samples) - first).ceil() as usize).min(most) {
                let at = start + (first + i as f64 + 0.5) * step;
                if (-1.0..=n as f64).contains(&at) {
                    let at = at.max(0.0);
                    let lower = (at as usize).min(n - 1);
                    let part = if lower + 1 < n { at - lower as f64 } else { 0.0 };
                    taps.tap(lower, (1.0 - part) / samples);
                    taps.tap((lower + 1).min(n - 1), part / samples);
                }
            }
            taps.end();
        }
        taps
    }

    /// Rows and columns of region `r`.
    fn axes(&self, s: Regions, rois: Span, r: usize) -> (Taps, Taps) {
        let [_, left, top, right, bottom] = region(rois, r);
        (self.along(s, (top, bottom), s.size.0, s.bins.0), self.along(s, (left, right), s.size.1, s.bins.1))
    }

    /// Means of bilinear samples of each bin. Scratch: taps along the edges of a region, per thread.
    pub fn pull(&self, s: Regions, x: Span, rois: Span, out: Span) {
        let (channels, bins) = (self.channels(s), s.bins());
        let groups = channels.div_ceil(PLANES);
        assert!(out.len() == s.count * channels * bins);
        with_dtype!(x.dtype(), T => par::chunks(s.count * groups, 1, |_, range| {
            for task in range {
                let (r, first) = (task / groups, task % groups * PLANES);
                let last = channels.min(first + PLANES);
                // SAFETY: the bins of this task.
                let to = unsafe { out.sub((r * channels + first) * bins, (last - first) * bins).slice_mut::<T>() };
                let Some(n) = image(rois, r) else {
                    to.fill(T::default());
                    continue;
                };
                let (rows, columns) = self.axes(s, rois, r);
                for (i, t) in to.iter_mut().enumerate() {
                    let (c, bin) = (first + i / bins, i % bins);
                    let plane = n * s.channels + self.plane(s, c, bin);
                    // SAFETY: a plane of an input, which nobody writes.
                    let x = unsafe { x.sub(plane * s.plane(), s.plane()).slice::<T>() };
                    let (at, weight) = rows.of(bin / s.bins.1);
                    let row = |y: usize| columns.pull(bin % s.bins.1, &x[y * s.size.1..(y + 1) * s.size.1]);
                    *t = T::from_f64(at.iter().zip(weight).map(|(&y, w)| w * row(y)).sum());
                }
            }
        }));
    }

    /// The transpose of [`Align::pull`]: what the bins' gradients `g` add up to. Each task owns planes of an image and goes through all
    /// regions. Scratch: one plane, and taps, per thread.
    pub fn push(&self, s: Regions, g: Span, rois: Span, out: Span) {
        let (channels, bins) = (self.channels(s), s.bins());
        assert!(out.len() == s.batch * s.channels * s.plane() && g.len() == s.count * channels * bins);
        let groups = s.channels.div_ceil(PLANES);
        with_dtype!(g.dtype(), T => par::chunks(s.batch * groups, 1, |_, range| {
            let mut sums = vec![0.0; PLANES * s.plane()];
            for task in range {
                let (n, first) = (task / groups, task % groups * PLANES);
                let last = s.channels.min(first + PLANES);
                sums.fill(0.0);
                for r in (0..s.count).filter(|&r| image(rois, r) == Some(n)) {
                    let (rows, columns) = self.axes(s, rois, r);
                    // SAFETY: the bins of a region, which nobody writes.
                    let g = unsafe { g.sub(r * channels * bins, channels * bins).slice::<T>() };
                    for (i, g) in g.iter().enumerate() {
                        let (plane, bin) = (self.plane(s, i / bins, i % bins), i % bins);
                        if !(first..last).contains(&plane) {
                            continue;
                        }
                        let (at, weight) = rows.of(bin / s.bins.1);
                        for (&y, w) in at.iter().zip(weight) {
                            let row = (plane - first) * s.plane() + y * s.size.1;
                            columns.push(bin % s.bins.1, w * g.to_f64(), &mut sums[row..row + s.size.1]);
                        }
                    }
                }
                // SAFETY: the planes of this task.
                let to = unsafe { out.sub((n * s.channels + first) * s.plane(), (last - first) * s.plane()).slice_mut::<T>() };
                to.iter_mut().zip(&sums).for_each(|(t, &v)| *t = T::from_f64(v));
            }
        }));
    }
}
