//! Images of another size: every place of the result is a weighted sum of a few places of the source, along the width and
//! then along the height. Pixels are squares: the centre of pixel i lies at i + 1/2.

use super::par;
use crate::dtype::{DType, Elem};
use crate::storage::Span;

/// How values between pixels are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interp {
    /// The pixel below.
    Nearest,
    /// Two pixels, linearly.
    Linear,
    /// Four pixels, by a cubic with parameter -0.75.
    Cubic,
    /// The mean of what a pixel of the result covers; where the result is larger along a side, linear.
    Area,
    /// Eight pixels, by a windowed sinc.
    Lanczos,
}

/// For every place of the result the places of the source and their weights, `per` of each.
struct Taps {
    per: usize,
    at: Vec<usize>,
    weight: Vec<f32>,
}

impl Taps {
    /// `covers` tells whether no side of the result is larger than that of the source.
    fn new(interp: Interp, from: usize, to: usize, covers: bool) -> Taps {
        let scale = from as f64 / to as f64;
        let covers = covers && scale > 1.0;
        let per = match interp {
            Interp::Nearest => 1,
            Interp::Linear => 2,
            Interp::Cubic => 4,
            Interp::Lanczos => 8,
            Interp::Area if covers => scale.ceil() as usize + 1,
            Interp::Area => 2,
        };
        let mut taps = Taps { per, at: Vec::with_capacity(to * per), weight: Vec::with_capacity(to * per) };
        for i in 0..to {
            taps.place(interp, i as f64, scale, from as i64, covers);
        }
        taps
    }

    /// Adds the taps of place `i`.
    fn place(&mut self, interp: Interp, i: f64, scale: f64, n: i64, covers: bool) {
        let centre = (i + 0.5) * scale - 0.5;
        let (first, t) = (centre.floor(), centre - centre.floor());
        let mut put = |at: f64, w: f64| {
            self.at.push((at as i64).clamp(0, n - 1) as usize);
            self.weight.push(w as f32);
        };
        match interp {
            Interp::Nearest => put((i * scale).floor(), 1.0),
            Interp::Linear => [(first, 1.0 - t), (first + 1.0, t)].into_iter().for_each(|(a, w)| put(a, w)),
            Interp::Cubic => {
                const A: f64 = -0.75;
                let near = |t: f64| ((A + 2.0) * t - (A + 3.0)) * t * t + 1.0;
                let far = |t: f64| ((A * t - 5.0 * A) * t + 8.0 * A) * t - 4.0 * A;
                let w = [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)];
                (0..4).for_each(|k| put(first - 1.0 + k as f64, w[k]));
            }
            Interp::Lanczos => {
                let sinc = |x: f64| {
                    if x == 0.0 { 1.0 } else { (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x) }
                };
                let w: [f64; 8] = std::array::from_fn(|k| {
                    let x = t + 3.0 - k as f64;
                    sinc(x) * sinc(x / 4.0)
                });
                let sum: f64 = w.iter().sum();
                (0..8).for_each(|k| put(first - 3.0 + k as f64, w[k] / sum));
            }
            Interp::Area if covers => {
                let (low, high) = (i * scale, ((i + 1.0) * scale).min(n as f64));
                for k in 0..self.per {
                    let at = low.floor() + k as f64;
                    let covered = (high.min(at + 1.0) - low.max(at)).max(0.0);
                    put(at, covered / (high - low));
                }
            }
            Interp::Area => {
                let at = (i * scale).floor();
                let t = (i + 1.0) - (at + 1.0) / scale;
                let t = if t <= 0.0 { 0.0 } else { t - t.floor() };
                put(at, 1.0 - t);
                put(at + 1.0, t);
            }
        }
    }
}

/// Sizes of a batch of images: (count, height, width, channels).
#[derive(Clone, Copy, Debug)]
pub struct Images {
    /// Number of images.
    pub count: usize,
    /// Rows.
    pub height: usize,
    /// Pixels of a row.
    pub width: usize,
    /// Numbers of a pixel.
    pub channels: usize,
}

impl Images {
    fn row(self) -> usize {
        self.width * self.channels
    }
}

/// out = x in another size. Integers are rounded to the nearest and kept inside their range; bytes between pixels are those of OpenCV
/// to the last bit. No size is 0.
pub fn resize(interp: Interp, from: Images, x: Span, to: Images, out: Span) {
    assert!(x.len() == from.count * from.height * from.row() && out.len() == to.count * to.height * to.row());
    assert!(x.dtype() == out.dtype() && from.count == to.count && from.channels == to.channels);
    let covers = from.height >= to.height && from.width >= to.width;
    let (columns, rows) =
        (Taps::new(interp, from.width, to.width, covers), Taps::new(interp, from.height, to.height, covers));
    let channels = from.channels;
    // OpenCV halves pictures in whole numbers, where halves go up; elsewhere they go to the even neighbour.
    let halved = matches!(interp, Interp::Area | Interp::Linear)
        && from.height == 2 * to.height
        && from.width == 2 * to.width;
    let linear = interp == Interp::Linear || interp == Interp::Area && !covers;
    if linear && x.dtype() == DType::U8 && !halved {
        return linear_bytes([&columns, &rows], from, x, to, out);
    }
    let up = if halved && !x.dtype().is_float() { 1e-3 } else { 0.0 };
    with_dtype!(x.dtype(), T => par::chunks(to.count * to.height, (1 << 14) / (to.row() * rows.per).max(1), |_, range| {
        let mut sum = vec![0f32; to.row()];
        for line in range {
            let (image, y) = (line / to.height, line % to.height);
            sum.fill(0.0);
            for k in y * rows.per..(y + 1) * rows.per {
                let (at, w) = (rows.at[k], rows.weight[k]);
                if w == 0.0 {
                    continue;
                }
                // SAFETY: a row of the source, which nobody writes.
                let row = unsafe { x.sub((image * from.height + at) * from.row(), from.row()).slice::<T>() };
                for (i, pixel) in sum.chunks_exact_mut(channels).enumerate() {
                    for k in i * columns.per..(i + 1) * columns.per {
                        let (at, w) = (columns.at[k], columns.weight[k] * w);
                        let source = &row[at * channels..(at + 1) * channels];
                        pixel.iter_mut().zip(source).for_each(|(p, s)| *p += w * s.to_f64() as f32);
                    }
                }
            }
            // SAFETY: a row of this chunk.
            let to = unsafe { out.sub(line * to.row(), to.row()).slice_mut::<T>() };
            to.iter_mut().zip(&sum).for_each(|(t, &s)| *t = saturate(f64::from(s) + up));
        }
    }));
}

/// Bytes between two columns and two rows in whole numbers, as OpenCV computes them: with weights of 11 bits, and cut twice.
fn linear_bytes([columns, rows]: [&Taps; 2], from: Images, x: Span, to: Images, out: Span) {
    let short = |w: f32| (w * 2048.0).round_ties_even() as i32;
    let channels = from.channels;
    par::chunks(to.count * to.height, (1 << 14) / to.row().max(1), |_, range| {
        for line in range {
            let (image, y) = (line / to.height, line % to.height);
            let [(upper, p), (lower, q)] = [0, 1].map(|k| {
                let at = image * from.height + rows.at[2 * y + k];
                // SAFETY: a row of the source, which nobody writes.
                (unsafe { x.sub(at * from.row(), from.row()).slice::<u8>() }, short(rows.weight[2 * y + k]))
            });
            // SAFETY: a row of this chunk.
            let out = unsafe { out.sub(line * to.row(), to.row()).slice_mut::<u8>() };
            for (i, pixel) in out.chunks_exact_mut(channels).enumerate() {
                let (a, b) = (columns.at[2 * i] * channels, columns.at[2 * i + 1] * channels);
                let (u, v) = (short(columns.weight[2 * i]), short(columns.weight[2 * i + 1]));
                for (c, byte) in pixel.iter_mut().enumerate() {
                    let cut = |row: &[u8], w: i32| {
                        let between = i32::from(row[a + c]) * u + i32::from(row[b + c]) * v;
                        ((between >> 4) * w) >> 16
                    };
                    *byte = ((cut(upper, p) + cut(lower, q) + 2) >> 2).clamp(0, 255) as u8;
                }
            }
        }
    });
}

/// The element nearest to a number.
#[inline(always)]
pub fn saturate<T: Elem>(x: f64) -> T {
    let (low, high) = match T::DTYPE {
        DType::U8 => (0.0, 255.0),
        DType::I8 => (-128.0, 127.0),
        DType::I32 => (i32::MIN as f64, i32::MAX as f64),
        DType::I64 => (i64::MIN as f64, i64::MAX as f64),
        _ => return T::from_f64(x),
    };
    T::from_f64(x.round_ties_even().clamp(low, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(interp: Interp, from: (usize, usize), to: (usize, usize), x: &mut [f32]) -> Vec<f32> {
        let images = |(h, w)| Images { count: 1, height: h, width: w, channels: 1 };
        let mut y = vec![0f32; to.0 * to.1];
        // SAFETY: both live as long as the call.
        let span = |v: &mut [f32]| unsafe { Span::new(v.as_mut_ptr().cast(), v.len(), f32::DTYPE) };
        resize(interp, images(from), span(x), images(to), span(&mut y));
        y
    }

    #[test]
    fn every_kind_keeps_constants_and_its_own_size() {
        let kinds = [Interp::Nearest, Interp::Linear, Interp::Cubic, Interp::Area, Interp::Lanczos];
        for kind in kinds {
            let mut x: Vec<f32> = (0..30).map(|i| (i * i % 17) as f32).collect();
            let same = run(kind, (5, 6), (5, 6), &mut x);
            assert!(same.iter().zip(&x).all(|(a, b)| (a - b).abs() < 1e-4), "{kind:?} {same:?}");
            for to in [(1, 1), (3, 4), (10, 13), (7, 2)] {
                let y = run(kind, (5, 6), to, &mut [3.0; 30]);
                assert!(y.iter().all(|v| (v - 3.0).abs() < 1e-5), "{kind:?} {to:?} {y:?}");
            }
        }
        assert_eq!(
            run(Interp::Area, (2, 4), (1, 2), &mut [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]),
            [3.5, 5.5]
        );
        // What MXNet gives for a picture that grows along one side and shrinks along the other.
        let mut bytes: Vec<u8> = (0..16).map(|v| 10 * v).collect();
        let mut area = |height: usize, width: usize| {
            let mut y = vec![0u8; height * width];
            let images = |height, width| Images { count: 1, height, width, channels: 1 };
            // SAFETY: both live as long as the call.
            let span = |v: &mut [u8]| unsafe { Span::new(v.as_mut_ptr(), v.len(), DType::U8) };
            resize(Interp::Area, images(4, 4), span(&mut bytes), images(height, width), span(&mut y));
            y
        };
        assert_eq!(area(13, 1), [8, 8, 8, 37, 48, 48, 68, 88, 88, 97, 128, 128, 128]);
        assert_eq!(area(2, 7), [20, 23, 30, 35, 40, 48, 50, 100, 103, 110, 115, 120, 128, 130]);
        assert_eq!(area(4, 3), [2, 15, 28, 42, 55, 68, 82, 95, 108, 122, 135, 148]);
        assert_eq!(run(Interp::Linear, (1, 2), (1, 4), &mut [0.0, 4.0]), [0.0, 1.0, 3.0, 4.0]);
        assert_eq!((saturate::<u8>(300.0), saturate::<u8>(-3.0), saturate::<u8>(2.5)), (255, 0, 2));
    }
}
