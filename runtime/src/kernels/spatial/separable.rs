//! Planes of another size, by taps along the height and taps along the width: bilinear, nearest, means of windows. The gradient of each
//! is the same with both taps transposed.

use super::taps::Taps;
use crate::dtype::Elem;
use crate::kernels::par;
use crate::simd::{Level, Simd, Work, level};
use crate::storage::Span;

/// How the places of an axis of another size are made from those of the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// The pixel below.
    Nearest,
    /// The mean of the pixels that a pixel of the result touches.
    Mean,
    /// Two pixels; pixels are squares and the images cover each other.
    Linear,
    /// Two pixels; pixels are points and the first and last of both lie on each other.
    Corners,
}

impl Axis {
    /// The taps of an axis of `to` places over one of `from`; neither is 0.
    pub fn taps(self, from: usize, to: usize) -> Taps {
        let mut t = Taps::new();
        for i in 0..to {
            match self {
                Axis::Nearest => t.tap(i * from / to, 1.0),
                Axis::Mean => {
                    let (begin, end) = (i * from / to, ((i + 1) * from).div_ceil(to));
                    (begin..end).for_each(|k| t.tap(k, 1.0 / (end - begin) as f64));
                }
                // The one place of an axis of one is the first.
                Axis::Linear if to == 1 => t.tap(0, 1.0),
                Axis::Linear => {
                    linear(&mut t, ((i as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0), from)
                }
                Axis::Corners if to == 1 => t.tap(0, 1.0),
                Axis::Corners => linear(&mut t, i as f64 * (from - 1) as f64 / (to - 1) as f64, from),
            }
            t.end();
        }
        t
    }
}

fn linear(t: &mut Taps, at: f64, from: usize) {
    let low = (at as usize).min(from - 1);
    let part = if low + 1 < from { at - low as f64 } else { 0.0 };
    t.tap(low, 1.0 - part);
    t.tap((low + 1).min(from - 1), part);
}

/// out += w * x
struct Axpy<'a>(f64, &'a [f64], &'a mut [f64]);

impl Work for Axpy<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        self.2.iter_mut().zip(self.1).for_each(|(o, x)| *o += self.0 * x);
    }
}

/// For every plane, out = rows · x · columnsᵀ, or that added to `out`. A plane of `x` is `height` by `width`; one of `out` has as many
/// rows and columns as there are taps. Scratch: two rows of `x` and one of `out` per thread.
pub fn apply(rows: &Taps, columns: &Taps, (height, width): (usize, usize), x: Span, out: Span, add: bool) {
    let (h, w) = (rows.len(), columns.len());
    if out.is_empty() || x.is_empty() {
        return;
    }
    assert!(x.len() / (height * width) * h * w == out.len() && x.dtype() == out.dtype());
    let (level, lines) = (level(), out.len() / w);
    with_dtype!(x.dtype(), T => par::chunks(lines, par::grouped(lines, (1 << 14) / (w + width) + 1), |_, range| {
        let mut scratch = Scratch { one: vec![0.0; width], sum: vec![0.0; width], line: vec![0.0; w] };
        let mut same = None;
        for line in range {
            let (plane, y) = (line / h, line % h);
            // Enlarging repeats rows: what was just computed is taken again.
            if same != Some((plane, rows.of(y))) {
                // SAFETY: a plane of the source, which nobody writes.
                let x = unsafe { x.sub(plane * height * width, height * width).slice::<T>() };
                scratch.line(level, rows.of(y), columns, x);
            }
            same = Some((plane, rows.of(y)));
            // SAFETY: a line of this chunk.
            let to = unsafe { out.sub(line * w, w).slice_mut::<T>() };
            let old = |t: &T| if add { t.to_f64() } else { 0.0 };
            to.iter_mut().zip(&scratch.line).for_each(|(t, v)| *t = T::from_f64(old(t) + v));
        }
    }));
}

struct Scratch {
    one: Vec<f64>,
    sum: Vec<f64>,
    line: Vec<f64>,
}

impl Scratch {
    /// A line of the result: rows of the plane `x` are summed first, since that runs on vectors.
    fn line<T: Elem>(&mut self, level: Level, (at, weight): (&[usize], &[f64]), columns: &Taps, x: &[T]) {
        let width = self.sum.len();
        self.sum.fill(0.0);
        for (&a, &w) in at.iter().zip(weight) {
            let row = &x[a * width..(a + 1) * width];
            self.one.iter_mut().zip(row).for_each(|(o, v)| *o = v.to_f64());
            level.run(Axpy(w, &self.one, &mut self.sum));
        }
        self.line.iter_mut().enumerate().for_each(|(i, o)| *o = columns.pull(i, &self.sum));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_axis_keeps_constants_and_its_own_size() {
        for axis in [Axis::Nearest, Axis::Mean, Axis::Linear, Axis::Corners] {
            for (from, to) in [(1, 1), (1, 4), (5, 1), (5, 5), (3, 7), (7, 3), (4, 8)] {
                let t = axis.taps(from, to);
                assert!(
                    (0..to).all(|i| (t.pull(i, &vec![3.0; from]) - 3.0).abs() < 1e-12),
                    "{axis:?} {from} {to}"
                );
                let x: Vec<f64> = (0..from).map(|i| (i * i) as f64).collect();
                assert!(
                    from != to || (0..to).all(|i| (t.pull(i, &x) - x[i]).abs() < 1e-12),
                    "{axis:?} {from}"
                );
            }
        }
        let t = Axis::Mean.taps(5, 3);
        assert_eq!(
            (0..3).map(|i| t.pull(i, &[0.0, 2.0, 4.0, 6.0, 9.0])).collect::<Vec<f64>>(),
            [1.0, 4.0, 7.5]
        );
    }
}
