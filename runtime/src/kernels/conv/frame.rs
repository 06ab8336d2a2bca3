//! Frames: a block of an array with its padding, taken apart by the phases of the stride, so that each tap of a kernel reads neighbours at a
//! fixed distance.

use super::{Axis, Place};
use crate::kernels::lane::Lane;
use crate::kernels::real::{Real, load, store};
use crate::simd::{MAX_LANES, Simd, Work, level};

/// How the places of a result look at one axis of its source: place `j` sees `j·step + shift`, for every shift.
#[derive(Clone, Debug)]
pub(super) struct Sweep {
    pub step: usize,
    pub shifts: Vec<isize>,
}

impl Sweep {
    pub const fn empty() -> Sweep {
        Sweep { step: 1, shifts: Vec::new() }
    }

    /// Of windows over the data.
    pub fn forward(a: Axis) -> Sweep {
        let shifts = (0..a.kernel).map(|k| (k * a.dilate) as isize - a.pad as isize).collect();
        Sweep { step: a.stride, shifts }
    }

    /// Of every `stride`-th element of the data, from `phase` on, over the windows that hold it; with the taps at which they do.
    pub fn back(a: Axis, phase: usize) -> (Vec<usize>, Sweep) {
        let stride = a.stride as isize;
        let from = |k: &usize| (phase + a.pad) as isize - (k * a.dilate) as isize;
        let taps: Vec<usize> = (0..a.kernel).filter(|k| from(k) % stride == 0).collect();
        let shifts = taps.iter().map(|k| from(k) / stride).collect();
        (taps, Sweep { step: 1, shifts })
    }

    /// What any of some sweeps of one step sees.
    pub fn of_all<'a>(all: impl Iterator<Item = &'a Sweep>) -> Sweep {
        let mut union = Sweep::empty();
        for s in all {
            union.step = s.step;
            union.shifts.extend(&s.shifts);
        }
        union.shifts.sort_unstable();
        union.shifts.dedup();
        union
    }

    pub fn low(&self) -> isize {
        self.shifts.iter().copied().min().unwrap_or(0)
    }

    pub fn high(&self) -> isize {
        self.shifts.iter().copied().max().unwrap_or(0)
    }

    /// Elements of a phase beyond the first place that the last one sees.
    fn span(&self) -> usize {
        (self.high() - self.low()) as usize / self.step
    }

    /// The phases of the stride that some tap looks at, from the lowest shift on.
    fn phases(&self) -> Vec<usize> {
        let mut all: Vec<usize> = self.shifts.iter().map(|s| (s - self.low()) as usize % self.step).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// The layout of a frame for tiles of up to a certain size.
pub(super) struct Frame<'a> {
    sweeps: &'a [Sweep; 3],
    phases: [Vec<usize>; 3],
    /// Elements of a phase along each axis.
    len: [usize; 3],
    /// Elements from channel to channel.
    pub pitch: usize,
}

impl<'a> Frame<'a> {
    pub fn new<T: Lane>(sweeps: &'a [Sweep; 3], tile: [usize; 3]) -> Frame<'a> {
        let phases = [0, 1, 2].map(|i| sweeps[i].phases());
        let len = [0, 1, 2].map(|i| tile[i] + sweeps[i].span());
        let size: usize = (0..3).map(|i| len[i] * phases[i].len().max(1)).product();
        // An odd number of cache lines, so that channels do not all fall on the same sets of the cache.
        let line = 64 / size_of::<T>();
        Frame { sweeps, phases, len, pitch: (size.div_ceil(line) | 1) * line }
    }

    /// Elements to allocate for so many channels: the last place of the last one is read as the beginning of a vector.
    pub fn size(&self, channels: usize) -> usize {
        channels * self.pitch + MAX_LANES
    }

    /// Offset of a place of the tile.
    pub fn at(&self, place: [usize; 3]) -> usize {
        (place[0] * self.len[1] + place[1]) * self.len[2] + place[2]
    }

    /// Offsets of all taps of `sweeps`, which the frame's own hold; the last axis fastest.
    pub fn taps(&self, sweeps: &[Sweep; 3]) -> Vec<usize> {
        let mut all = vec![(0, 0)];
        for (i, sweep) in sweeps.iter().enumerate() {
            let low = self.sweeps[i].low();
            let along = |s: &isize| {
                let d = (s - low) as usize;
                let phase = self.phases[i].binary_search(&(d % sweep.step)).expect("a phase of a tap");
                (phase, d / sweep.step)
            };
            let next = |(phase, at): (usize, usize)| {
                sweep
                    .shifts
                    .iter()
                    .map(along)
                    .map(move |(p, d)| (phase * self.phases[i].len() + p, at * self.len[i] + d))
            };
            all = all.into_iter().flat_map(next).collect();
        }
        let plane: usize = self.len.iter().product();
        all.into_iter().map(|(phase, at)| phase * plane + at).collect()
    }

    /// Copies what the tile at `origin` of size `size` sees of `channels` channels. Places outside of `bounds` are 0.
    /// # Safety
    /// `from` points to the first of the channels of an array that lies as `place` says, and `to` has room for [`Frame::size`].
    #[allow(clippy::too_many_arguments)]
    pub unsafe fn fill<T: Real>(
        &self,
        from: *const T,
        place: &Place,
        bounds: [usize; 3],
        channels: usize,
        origin: [usize; 3],
        size: [usize; 3],
        to: *mut T,
    ) {
        let (level, used) = (level(), size[2] + self.sweeps[2].span());
        let (rows, jump) = (self.rows(place, bounds, origin, size), place.axes[2] * self.sweeps[2].step);
        for c in 0..channels {
            for row in &rows {
                // SAFETY: rows of the frame; elements inside of the source.
                unsafe {
                    let to = std::slice::from_raw_parts_mut(to.add(c * self.pitch + row.to), used);
                    let (before, rest) = to.split_at_mut(row.before);
                    let (inside, behind) = rest.split_at_mut(row.len);
                    before.fill(T::default());
                    behind.fill(T::default());
                    let x = from.add(c * place.channel + row.from);
                    match jump {
                        1 => inside.copy_from_slice(std::slice::from_raw_parts(x, row.len)),
                        2 => level.run(Alternate(x, inside)),
                        _ => inside.iter_mut().enumerate().for_each(|(j, v)| *v = *x.add(j * jump)),
                    }
                }
            }
        }
    }

    /// The rows of a channel that the tile at `origin` of size `size` sees. What of them lies outside of `bounds` is 0.
    pub fn rows(&self, place: &Place, bounds: [usize; 3], origin: [usize; 3], size: [usize; 3]) -> Vec<Row> {
        let plane = self.len.iter().product::<usize>();
        let steps = [0, 1, 2].map(|i| self.sweeps[i].step);
        let base = [0, 1, 2].map(|i| (origin[i] * steps[i]) as isize + self.sweeps[i].low());
        let used = [0, 1, 2].map(|i| size[i] + self.sweeps[i].span());
        // Where an element of a phase stands in the source.
        let source = |i: usize, phase: usize, at: usize| {
            let p = base[i] + (phase + at * steps[i]) as isize;
            (p >= 0 && (p as usize) < bounds[i]).then_some(p as usize)
        };
        let step = steps[2];
        let mut rows = Vec::new();
        for (i, phase) in Phases::of(&self.phases).enumerate() {
            // The part of a row that lies inside of the source.
            let start = base[2] + phase[2] as isize;
            let first = (((-start).max(0) as usize).div_ceil(step)).min(used[2]);
            let room = (bounds[2] as isize - start).max(0) as usize;
            let last = room.div_ceil(step).clamp(first, used[2]);
            for d in 0..used[0] {
                for h in 0..used[1] {
                    let to = i * plane + self.at([d, h, 0]);
                    rows.push(match (source(0, phase[0], d), source(1, phase[1], h)) {
                        (Some(d), Some(h)) if first < last => {
                            let w = (start + (first * step) as isize) as usize;
                            let from = d * place.axes[0] + h * place.axes[1] + w * place.axes[2];
                            Row { to, before: first, len: last - first, from }
                        }
                        _ => Row { to, before: 0, len: 0, from: 0 },
                    });
                }
            }
        }
        rows
    }
}

/// A row of a frame.
pub(super) struct Row {
    /// Where it begins.
    pub to: usize,
    /// Zeros, before the elements of the source.
    pub before: usize,
    /// Elements of the source.
    pub len: usize,
    /// Where the first one lies in its channel.
    pub from: usize,
}

/// Every other element, from the first on.
struct Alternate<'a, T>(*const T, &'a mut [T]);

impl<T: Real> Work for Alternate<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // SAFETY: who made this promised the elements.
        unsafe { alternate(s, self.0, self.1.as_mut_ptr(), self.1.len()) }
    }
}

/// Every other one of `2n - 1` elements.
/// # Safety
/// `from` has that many, `to` has room for `n`.
#[inline(always)]
pub(super) unsafe fn alternate<T: Real, S: Simd>(s: S, from: *const T, to: *mut T, n: usize) {
    let lanes = T::count::<S>();
    let mut i = 0;
    // SAFETY: the caller's promise. The last vector may end before the second half of what it is made of begins.
    unsafe {
        while i + lanes < n {
            let p = from.add(2 * i);
            let (even, _) = T::unzip(s, T::load(s, p), T::load(s, p.add(lanes)));
            T::store(s, to.add(i), even, false);
            i += lanes;
        }
        if i < n {
            let (p, rest, zero) = (from.add(2 * i), 2 * (n - i) - 1, T::default());
            let low = load(s, p, rest.min(lanes));
            let high = if rest > lanes { load(s, p.add(lanes), rest - lanes) } else { T::splat(s, zero) };
            store(s, to.add(i), T::unzip(s, low, high).0, n - i);
        }
    }
}

/// All combinations of the phases of three axes, the last fastest.
struct Phases<'a> {
    all: &'a [Vec<usize>; 3],
    next: usize,
}

impl<'a> Phases<'a> {
    fn of(all: &'a [Vec<usize>; 3]) -> Phases<'a> {
        Phases { all, next: 0 }
    }
}

impl Iterator for Phases<'_> {
    type Item = [usize; 3];
    fn next(&mut self) -> Option<[usize; 3]> {
        let [a, b, c] = self.all;
        let i = self.next;
        self.next += 1;
        (i < a.len() * b.len() * c.len())
            .then(|| [a[i / (b.len() * c.len())], b[i / c.len() % b.len()], c[i % c.len()]])
    }
}
