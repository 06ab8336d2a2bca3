//! How much windows of one image resemble windows of another that lie a little further: the layer of optical flow networks
//! (Dosovitskiy et al., "FlowNet", 2015).
//!
//! Rows are widened to float64 with their border once, and serve all displacements along the width.

use crate::dtype::Elem;
use crate::kernels::par;
use crate::simd::{Level, Simd, Work, level};
use crate::storage::Span;

/// Sizes of a correlation.
#[derive(Clone, Copy, Debug)]
pub struct Correlation {
    /// Images.
    pub batch: usize,
    /// Planes of an image.
    pub channels: usize,
    /// Rows and columns of a plane.
    pub size: (usize, usize),
    /// Side of a window.
    pub kernel: usize,
    /// The furthest displacement.
    pub reach: usize,
    /// Distance of neighbouring windows in the first image.
    pub stride: usize,
    /// Distance of neighbouring displacements.
    pub step: usize,
    /// Border of zeros around both images.
    pub pad: usize,
}

/// What one pair of pixels a, b adds, given a third number u.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Term {
    /// a b
    Product,
    /// |a - b|
    Distance,
    /// u a
    First,
    /// u b
    Second,
    /// u, with the sign of a - b
    Toward,
    /// u, with the sign of b - a
    Away,
}

/// Which of the two images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one whose windows stay.
    First,
    /// The one whose windows move.
    Second,
}

/// out[i so] += term(a[i s], b[i s], u[i su]) for `n` values of i.
struct Line<'a> {
    term: Term,
    n: usize,
    a: &'a [f64],
    b: &'a [f64],
    s: usize,
    u: &'a [f64],
    su: usize,
    out: &'a mut [f64],
    so: usize,
}

impl Work for Line<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Line { term, n, a, b, s, u, su, out, so } = self;
        macro_rules! each {
            (|$a:ident, $b:ident, $u:ident| $e:expr) => {
                if (s, su, so) == (1, 1, 1) {
                    let (a, b, u, out) = (&a[..n], &b[..n], &u[..n], &mut out[..n]);
                    for i in 0..n {
                        let ($a, $b, $u) = (a[i], b[i], u[i]);
                        out[i] += $e;
                    }
                } else {
                    for i in 0..n {
                        let ($a, $b, $u) = (a[i * s], b[i * s], u[i * su]);
                        out[i * so] += $e;
                    }
                }
            };
        }
        match term {
            Term::Product => each!(|a, b, _u| a * b),
            Term::Distance => each!(|a, b, _u| (a - b).abs()),
            Term::First => each!(|a, _b, u| u * a),
            Term::Second => each!(|_a, b, u| u * b),
            Term::Toward => each!(|a, b, u| if a >= b { u } else { -u }),
            Term::Away => each!(|a, b, u| if a >= b { -u } else { u }),
        }
    }
}

impl Correlation {
    /// Rows and columns of the result; `None` where no window fits.
    pub fn out_size(&self) -> Option<(usize, usize)> {
        let border = 2 * (self.reach + (self.kernel - 1) / 2);
        let along =
            |n: usize| Some((n + 2 * self.pad).checked_sub(border)?.div_ceil(self.stride)).filter(|&n| n > 0);
        Some((along(self.size.0)?, along(self.size.1)?))
    }

    /// Displacements along an axis.
    pub fn displacements(&self) -> usize {
        2 * (self.reach / self.step) + 1
    }

    /// The place in the padded image that displacement `d` of place `at` leads to.
    fn moved(&self, at: usize, d: usize) -> usize {
        at + d * self.step - self.reach / self.step * self.step
    }

    fn padded(&self) -> (usize, usize) {
        (self.size.0 + 2 * self.pad, self.size.1 + 2 * self.pad)
    }

    /// Row `y` of the padded plane `plane` of `x`.
    fn row<T: Elem>(&self, x: Span, plane: usize, y: usize, to: &mut [f64]) {
        let (h, w) = self.size;
        match y.checked_sub(self.pad).filter(|&y| y < h) {
            None => to.fill(0.0),
            Some(y) => {
                // SAFETY: a row of an input, which nobody writes.
                let from = unsafe { x.sub((plane * h + y) * w, w).slice::<T>() };
                to[self.pad..self.pad + w].iter_mut().zip(from).for_each(|(t, v)| *t = v.to_f64());
                to[..self.pad].fill(0.0);
                to[self.pad + w..].fill(0.0);
            }
        }
    }

    /// The number that sums are divided by.
    fn count(&self) -> f64 {
        (self.kernel * self.kernel * self.channels) as f64
    }

    /// out[n, d, i, j] = mean over the window and the channels of the products, or of the distances, of pixels.
    pub fn run(&self, product: bool, a: Span, b: Span, out: Span) {
        self.sums(if product { Term::Product } else { Term::Distance }, a, b, None, out);
    }

    /// How the mean of distances changes when one image moves along `u`.
    pub fn along(&self, which: Which, a: Span, b: Span, u: Span, out: Span) {
        let term = if which == Which::First { Term::Toward } else { Term::Away };
        self.sums(term, a, b, Some((which, u)), out);
    }

    /// Scratch: padded rows and rows of the result, per thread.
    fn sums(&self, term: Term, a: Span, b: Span, u: Option<(Which, Span)>, out: Span) {
        let ((h, w), grid, level) = (self.out_size().unwrap_or_default(), self.displacements(), level());
        assert!(out.len() == self.batch * grid * grid * h * w);
        with_dtype!(a.dtype(), T => par::chunks(self.batch * grid * h, 1, |_, range| {
            let wide = self.padded().1;
            let (mut ra, mut rb, mut ru) = (vec![0.0; wide], vec![0.0; wide], vec![0.0; wide]);
            let mut sums = vec![0.0; grid * w];
            for task in range {
                let (n, dy, i) = (task / (grid * h), task / h % grid, task % h);
                sums.fill(0.0);
                for c in n * self.channels..(n + 1) * self.channels {
                    for k in 0..self.kernel {
                        let y = i * self.stride + self.reach + k;
                        self.row::<T>(a, c, y, &mut ra);
                        self.row::<T>(b, c, self.moved(y, dy), &mut rb);
                        if let Some((which, u)) = u {
                            self.row::<T>(u, c, if which == Which::First { y } else { self.moved(y, dy) }, &mut ru);
                        }
                        for dx in 0..grid {
                            let sums = &mut sums[dx * w..(dx + 1) * w];
                            for x in (0..self.kernel).map(|k| self.reach + k) {
                                let moved = self.moved(x, dx);
                                let at = if u.is_some_and(|u| u.0 == Which::Second) { moved } else { x };
                                level.run(Line {
                                    term, n: w, a: &ra[x..], b: &rb[moved..], s: self.stride,
                                    u: &ru[at..], su: self.stride, out: &mut *sums, so: 1,
                                });
                            }
                        }
                    }
                }
                for dx in 0..grid {
                    let line = ((n * grid + dy) * grid + dx) * h + i;
                    // SAFETY: lines of this task.
                    let to = unsafe { out.sub(line * w, w).slice_mut::<T>() };
                    to.iter_mut().zip(&sums[dx * w..]).for_each(|(t, s)| *t = T::from_f64(s / self.count()));
                }
            }
        }));
    }

    /// The gradient by one of the images, given that of the result. Scratch: one padded plane, and rows, per thread.
    pub fn back(&self, product: bool, which: Which, g: Span, a: Span, b: Span, out: Span) {
        let term = match (product, which) {
            (true, Which::First) => Term::Second,
            (true, Which::Second) => Term::First,
            (false, Which::First) => Term::Toward,
            (false, Which::Second) => Term::Away,
        };
        let ((h, w), grid, level) = (self.out_size().unwrap_or_default(), self.displacements(), level());
        let (tall, wide) = self.padded();
        with_dtype!(g.dtype(), T => par::chunks(self.batch * self.channels, 1, |_, range| {
            let (mut ra, mut rb, mut rg) = (vec![0.0; wide], vec![0.0; wide], vec![0.0; grid * w]);
            let mut sums = vec![0.0; tall * wide];
            for plane in range {
                sums.fill(0.0);
                for (i, dy) in (0..h).flat_map(|i| (0..grid).map(move |d| (i, d))) {
                    for dx in 0..grid {
                        let line = ((plane / self.channels * grid + dy) * grid + dx) * h + i;
                        // SAFETY: a line of an input, which nobody writes.
                        let from = unsafe { g.sub(line * w, w).slice::<T>() };
                        rg[dx * w..].iter_mut().zip(from).for_each(|(t, v)| *t = v.to_f64());
                    }
                    for y in (0..self.kernel).map(|k| i * self.stride + self.reach + k) {
                        let moved = self.moved(y, dy);
                        self.row::<T>(a, plane, y, &mut ra);
                        self.row::<T>(b, plane, moved, &mut rb);
                        let into = if which == Which::First { y } else { moved };
                        self.back_row(level, term, which, [&ra, &rb, &rg], &mut sums[into * wide..(into + 1) * wide]);
                    }
                }
                // SAFETY: the plane of this task.
                let to = unsafe { out.sub(plane * self.size.0 * self.size.1, self.size.0 * self.size.1).slice_mut::<T>() };
                for (y, row) in to.chunks_exact_mut(self.size.1.max(1)).enumerate() {
                    let sums = &sums[(y + self.pad) * wide + self.pad..];
                    row.iter_mut().zip(sums).for_each(|(t, s)| *t = T::from_f64(s / self.count()));
                }
            }
        }));
    }

    fn back_row(&self, level: Level, term: Term, which: Which, [a, b, g]: [&[f64]; 3], sums: &mut [f64]) {
        let n = g.len() / self.displacements();
        for (dx, g) in g.chunks_exact(n).enumerate() {
            for x in (0..self.kernel).map(|k| self.reach + k) {
                let moved = self.moved(x, dx);
                let at = if which == Which::First { x } else { moved };
                level.run(Line {
                    term,
                    n,
                    a: &a[x..],
                    b: &b[moved..],
                    s: self.stride,
                    u: g,
                    su: 1,
                    out: &mut sums[at..],
                    so: self.stride,
                });
            }
        }
    }
}
