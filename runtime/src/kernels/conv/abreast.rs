//! Small images side by side: the lines of a small image do not fill vectors, and padding and the ends of lines waste much of them. Sixteen
//! images with their elements interleaved are one image whose last axis is sixteen times as long; a convolution of it with taps sixteen times
//! as far apart is that of all of them, and every vector is full.

use super::dots::{Block, SIDE};
use super::gather::{PIECES, SMALL};
use super::scratch::Scratch;
use super::tile::{Line, Strip, pieces, with_rows};
use super::{ABREAST, Axis, Conv, Pass, rows_at_once, winograd};
use crate::error::Result;
use crate::kernels::copy::{fill, scatter, strided};
use crate::kernels::par;
use crate::kernels::product;
use crate::kernels::real::Real;
use crate::simd::level;
use crate::storage::Span;

/// Results of a line up to which images are small.
const SHORT: usize = 32;
/// Channels below which padding keeps the weights' gradient from being computed so.
const CHANNELS: usize = 8;
/// Bytes of copies, unless few images need more: they should stay in the caches.
const ROOM: usize = 4 << 20;

/// Whether there are enough small images: copying them must be little beside the work, and few lanes may stay empty.
pub(super) fn pays(conv: &Conv, pass: Pass) -> bool {
    let [_, _, last] = conv.axes;
    let full = conv.batch.is_multiple_of(ABREAST) || conv.batch >= 4 * ABREAST;
    // Terms of each element that is copied.
    let terms = conv.kernel() * if pass == Pass::Forward { conv.channels } else { conv.filters };
    let rich = conv.kernel() > 1 && terms >= if pass == Pass::Forward { 48 } else { 16 };
    // Where lines are shorter beyond an edge, rows of the weights' product are channels, of which there must be some.
    let narrow = pass == Pass::Weight && conv.channels < CHANNELS && conv.axes.iter().any(|a| a.pad > 0);
    full && rich && !narrow && last.stride == 1 && last.output <= SHORT && !conv.last
}

/// One pass; arguments as [`Conv::compute`].
pub(super) fn run<T: Real + product::Real>(
    conv: &Conv,
    pass: Pass,
    a: Span,
    b: Span,
    bias: Option<Span>,
    out: Span,
) -> Result<()> {
    let (data, result) = (conv.data().image, conv.result().image);
    // So many images at a time.
    let most = (ROOM / ((data + result) * size_of::<T>())).max(4 * ABREAST) / ABREAST * ABREAST;
    let minimal = winograd::six::pays(conv, pass);
    let turned = minimal && pass == Pass::Data && winograd::six::turns(conv);
    let as_if = if turned { Pass::Forward } else { pass };
    let made = match pass {
        Pass::Forward | Pass::Data if minimal => Some(winograd::six::transformed::<T>(conv, as_if, b)?),
        _ => None,
    };
    let mut done = 0;
    while done < conv.batch {
        let images = most.min(conv.batch - done);
        let groups = images.div_ceil(ABREAST);
        let (here, six) = (conv.widened(groups), Conv { batch: images, ..*conv });
        let part = |x: Span, size: usize| x.sub(done * size, images * size);
        let room = |size: usize| Scratch::new(groups * ABREAST * size * size_of::<T>());
        match pass {
            Pass::Forward | Pass::Data => {
                let valid = conv.axes.iter().all(|a| a.pad == 0);
                let (from, to) = if pass == Pass::Forward { (data, result) } else { (result, data) };
                let (x, y) = (room(from)?, room(to)?);
                let (xs, ys) = (x.of::<T>(groups * ABREAST * from), y.of::<T>(groups * ABREAST * to));
                interleave(part(a, from), images, from, xs);
                if let (Some(made), true) = (&made, turned) {
                    winograd::six::turned::<T>(&six, xs, made, bias, ys)?;
                } else if let Some(made) = &made {
                    winograd::six::run::<T>(&six, pass, xs, made, bias, ys)?;
                } else if pass == Pass::Data && valid && conv.axes[2].kernel <= rows_at_once() {
                    here.push::<T>(xs, b, bias, ys);
                } else {
                    here.direct::<T>(pass, xs, b, bias, ys)?;
                }
                separate(ys, images, to, part(out, to));
            }
            Pass::Weight => {
                let (x, y) = (room(data)?, room(result)?);
                let (xs, ys) = (x.of::<T>(groups * ABREAST * data), y.of::<T>(groups * ABREAST * result));
                interleave(part(a, data), images, data, xs);
                interleave(part(b, result), images, result, ys);
                let sum = |out: Span| {
                    if minimal {
                        return winograd::six::weights::<T>(&six, xs, ys, out);
                    }
                    here.products::<T>(xs, ys, out);
                    Ok(())
                };
                if done == 0 {
                    sum(out)?;
                } else {
                    let more = Scratch::new(out.len() * size_of::<T>())?;
                    let sums = more.of::<T>(out.len());
                    sum(sums)?;
                    // SAFETY: both hold the weights, and nobody else has them now.
                    let (sums, out) = unsafe { (sums.slice::<T>(), out.slice_mut::<T>()) };
                    out.iter_mut().zip(sums).for_each(|(o, &s)| *o = *o + s);
                }
            }
        }
        done += images;
    }
    Ok(())
}

impl Conv {
    /// Of so many groups of images.
    fn widened(&self, groups: usize) -> Conv {
        let [d, h, w] = self.axes;
        let w = Axis {
            input: w.input * ABREAST,
            output: w.output * ABREAST,
            dilate: w.dilate * ABREAST,
            pad: w.pad * ABREAST,
            ..w
        };
        Conv { batch: groups, axes: [d, h, w], ..*self }
    }
}

impl Conv {
    /// The data from result and weights, where there is no padding: each result is multiplied with the weights and added to what its window
    /// covers. The other way round, each element of the data would look for results beyond the edges, which for a kernel of half the image
    /// are more than there are.
    fn push<T: Real>(&self, from: Span, weights: Span, bias: Option<Span>, to: Span) {
        let (y, x, [depth, row, tap]) = (self.result(), self.data(), self.strides());
        let [a0, a1, a2] = self.axes;
        let (level, size) = (level(), x.channel);
        let terms = |step: usize| -> Vec<u32> { (0..self.filters).map(|f| (f * step) as u32).collect() };
        let (of_weights, of_result) = (terms(depth), terms(y.channel));
        let channels = self.groups * self.channels;
        let work = self.kernel() * self.filters * y.channel;
        par::chunks(self.batch * channels, (SMALL / work.max(1)).max(1), |_, r| {
            for i in r {
                let (image, channel) = (i / channels, i % channels);
                let (group, inner) = (channel / self.channels, channel % self.channels);
                let out = to.sub(image * x.image + channel * x.channel, size);
                // SAFETY: there is a bias for each channel.
                let begin = bias.map_or(0.0, |b| unsafe { (*b.ptr::<T>().add(channel)).to_f64() });
                fill(out, begin);
                let lines = |k0: usize, k1: usize| -> Vec<Line> {
                    (0..a0.output * a1.output)
                        .map(|l| {
                            let (d, h) = (l / a1.output, l % a1.output);
                            let to = (d * a0.stride + k0 * a0.dilate) * x.axes[0]
                                + (h * a1.stride + k1 * a1.dilate) * x.axes[1];
                            Line { at: l * a2.output, len: a2.output, to }
                        })
                        .collect()
                };
                for k in 0..a0.kernel * a1.kernel {
                    let lines = lines(k / a1.kernel, k % a1.kernel);
                    let w = group * self.filters * depth + inner * row + k * a2.kernel * tap;
                    with_rows!(a2.kernel, M => level.run(Strip::<T, M> {
                        a: std::array::from_fn(|m| weights.ptr::<T>().wrapping_add(w + m * tap).cast_const()),
                        a_at: &of_weights,
                        b: from.ptr::<T>().wrapping_add(image * y.image + group * self.filters * y.channel),
                        b_at: &of_result,
                        lines: &lines,
                        to: out.ptr::<T>(),
                        pitch: a2.dilate,
                        step: 1,
                        bias: [T::default(); M],
                        add: true,
                        stream: false,
                    }))
                }
            }
        });
    }
}

/// Filters of a piece of the weights' gradient, whose results stay in the second cache.
const FILTERS: usize = 4 * SIDE;

impl Conv {
    /// The weights from data and results: for every weight the products of what its filter gave with what its tap saw. Lanes are images, so
    /// every line of results is whole vectors, and where a tap looks beyond an edge the line is just shorter.
    fn products<T: Real>(&self, x: Span, y: Span, out: Span) {
        let (of_x, of_y, [row, depth, tap]) = (self.data(), self.result(), self.strides());
        let (level, most) = (level(), rows_at_once());
        // Taps that see the same lines share them: all do where nothing is padded.
        let padded = self.axes.iter().any(|a| a.pad > 0);
        let lines: Vec<_> = (0..if padded { self.kernel() } else { 1 }).map(|k| self.lines(k)).collect();
        let blocks = self.filters.div_ceil(FILTERS);
        let work = self.batch * of_y.channel * FILTERS * self.kernel();
        let mut width = self.channels;
        while self.groups * blocks * self.channels.div_ceil(width) < PIECES
            && width > 1
            && work * width > 2 * SMALL
        {
            width = width.div_ceil(2);
        }
        let columns = self.channels.div_ceil(width);
        let each = (SMALL / (work * width).max(1)).max(1);
        par::chunks(self.groups * blocks * columns, each, |_, r| {
            for i in r {
                let (group, block, column) = (i / columns / blocks, i / columns % blocks, i % columns);
                let channels = column * width..self.channels.min((column + 1) * width);
                let filters = block * FILTERS..self.filters.min((block + 1) * FILTERS);
                let seen = |c: usize| {
                    x.ptr::<T>().wrapping_add((group * self.channels + c) * of_x.channel).cast_const()
                };
                let strip = |lines: &[(usize, usize, usize)],
                             first: usize,
                             at: &dyn Fn(usize) -> (*const T, usize),
                             m: usize,
                             pitch: usize| {
                    for f in filters.clone().step_by(SIDE) {
                        // Beyond the last filter it is the last one again.
                        let of = |i: usize| group * self.filters + (f + i).min(filters.end - 1);
                        with_rows!(m, M => level.run(Block::<T, M> {
                            data: std::array::from_fn(|k| at(first + k).0),
                            result: std::array::from_fn(|i| y.ptr::<T>().wrapping_add(of(i) * of_y.channel).cast_const()),
                            lines,
                            sums: std::array::from_fn(|i| out.ptr::<T>().wrapping_add(of(i) * row + at(first).1)),
                            pitch,
                        }))
                    }
                };
                if padded {
                    for (k, lines) in lines.iter().enumerate() {
                        let at = |c: usize| (seen(c), c * depth + k * tap);
                        pieces(channels.clone(), most, |c, m| strip(lines, c, &at, m, depth));
                    }
                } else {
                    for c in channels {
                        let at = |k: usize| (seen(c).wrapping_add(self.reach(k)), c * depth + k * tap);
                        pieces(0..self.kernel(), most, |k, m| strip(&lines[0], k, &at, m, tap));
                    }
                }
            }
        });
    }

    /// A tap along each axis.
    fn tap(&self, k: usize) -> [usize; 3] {
        let [_, h, w] = self.axes.map(|a| a.kernel);
        [k / (h * w), k / w % h, k % w]
    }

    /// How far behind the first one a tap looks.
    fn reach(&self, k: usize) -> usize {
        let (k, place) = (self.tap(k), self.data());
        (0..3).map(|i| k[i] * self.axes[i].dilate * place.axes[i]).sum()
    }

    /// The lines of results whose windows hold something at a tap: where that lies in the data (without padding: at the first tap), where the
    /// results lie, and how many elements they are.
    fn lines(&self, k: usize) -> Vec<(usize, usize, usize)> {
        let (of_x, of_y, k) = (self.data(), self.result(), self.tap(k));
        // The place of a result's element in the data, and the results that have one.
        let shift = |i: usize| (k[i] * self.axes[i].dilate) as isize - self.axes[i].pad as isize;
        let seen = |i: usize, o: usize| {
            let p = (o * self.axes[i].stride) as isize + shift(i);
            (p >= 0 && (p as usize) < self.axes[i].input).then_some(p as usize)
        };
        let last = self.axes[2];
        let from = (-shift(2)).max(0) as usize;
        let end = (last.input as isize - shift(2)).clamp(from as isize, last.output as isize) as usize;
        let mut all = Vec::new();
        for image in 0..self.batch {
            for d in 0..self.axes[0].output {
                for h in 0..self.axes[1].output {
                    if let (Some(xd), Some(xh)) = (seen(0, d), seen(1, h))
                        && from < end
                    {
                        let x = image * of_x.image + xd * of_x.axes[0] + xh * of_x.axes[1];
                        let y = image * of_y.image + d * of_y.axes[0] + h * of_y.axes[1];
                        all.push((x + (from as isize + shift(2)) as usize, y + from, end - from));
                    }
                }
            }
        }
        all
    }
}

/// Images of `size` elements each, sixteen interleaved; lanes without an image are 0.
fn interleave(x: Span, images: usize, size: usize, to: Span) {
    let (groups, rest) = (images / ABREAST, images % ABREAST);
    let whole = groups * ABREAST * size;
    let s = size as isize;
    strided(&[groups, size, ABREAST], x, 0, &[ABREAST as isize * s, 1, s], to.sub(0, whole));
    if rest > 0 {
        let last = to.sub(whole, ABREAST * size);
        fill(last, 0.0);
        scatter(&[rest, size], x.sub(whole, rest * size), last, 0, &[1, ABREAST as isize]);
    }
}

/// The way back.
fn separate(x: Span, images: usize, size: usize, to: Span) {
    let (groups, rest) = (images / ABREAST, images % ABREAST);
    let whole = groups * ABREAST * size;
    let a = ABREAST as isize;
    strided(&[groups, ABREAST, size], x, 0, &[a * size as isize, 1, a], to.sub(0, whole));
    if rest > 0 {
        strided(&[rest, size], x.sub(whole, a as usize * size), 0, &[1, a], to.sub(whole, rest * size));
    }
}
