//! Convolutions whose weights stand still from call to call, as in a compiled graph: they are rearranged (and for minimal filtering transformed)
//! once, and what follows the sum is done as results are written.

use super::frame::{Frame, Sweep};
use super::gather::{PIECES, SMALL, count, shrink, tiles};
use super::panel::{self, Finish, Flush, Operands, Outer, PLACES, Stretch, WIDE};
use super::scratch::Scratch;
use super::tile::pieces;
use super::winograd::{self, First};
use super::{Conv, Pass, abreast};
use crate::dtype::DType;
use crate::error::Result;
use crate::kernels::par;
use crate::kernels::product;
use crate::kernels::real::Real;
use crate::simd::level;
use crate::storage::Span;

/// What is done to each result after the sum: `max(sum + bias + add, 0)`, as far as it is there.
#[derive(Clone, Copy, Default)]
pub struct Epilogue {
    /// One for each channel of the result.
    pub bias: Option<Span>,
    /// Lies as the result does.
    pub add: Option<Span>,
    /// Whether what is below 0 becomes 0.
    pub relu: bool,
}

/// Terms at a time, so that a panel of them stays in the second cache.
const TERMS: usize = 512;
/// Places whose results wait for each other, and below which a piece is not cut.
const MOST: usize = 192;
const LEAST: usize = 48;
/// Filters of a group, and terms, from which on lanes along filters pay.
const FILTERS: usize = 32;
const DEPTH: usize = 64;

/// How weights are made ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Panels,
    Winograd,
}

impl Conv {
    /// Chosen by sizes alone.
    fn way(&self) -> Option<Way> {
        let terms = self.channels * self.kernel();
        if self.last || self.filters < FILTERS || terms < DEPTH || abreast::pays(self, Pass::Forward) {
            return None;
        }
        Some(if winograd::pays_ready(self) { Way::Winograd } else { Way::Panels })
    }

    /// Elements of the weights when they are made ready; `None` where that does not pay.
    pub fn ready_size(&self) -> Option<usize> {
        let panels = |terms| self.groups * panel::panels(self.filters, terms);
        Some(match self.way()? {
            Way::Panels => panels(self.channels * self.kernel()),
            Way::Winograd => winograd::PLACES * panels(self.channels),
        })
    }

    /// Makes weights ready for [`Conv::compute_ready`]: float32 or float64.
    pub fn make_ready(&self, weights: Span, out: Span) {
        assert!(weights.len() == self.weights() && Some(out.len()) == self.ready_size());
        assert!(weights.dtype() == out.dtype());
        match out.dtype() {
            DType::F64 => self.arrange::<f64>(weights, out),
            _ => self.arrange::<f32>(weights, out),
        }
    }

    fn arrange<T: Real>(&self, weights: Span, out: Span) {
        let (x, to) = (weights.ptr::<T>(), product::Shared(out.ptr::<T>()));
        let [row, depth, tap] = self.strides();
        let (kernel, each) = (self.kernel(), panel::panels(self.filters, self.channels * self.kernel()));
        let from = product::Shared(x);
        let blocks = self.filters.div_ceil(WIDE);
        let winograd = self.way() == Some(Way::Winograd);
        par::chunks(self.groups * blocks, 1, |_, r| {
            for i in r {
                let (group, block) = (i / blocks, i % blocks);
                for f in block * WIDE..(block + 1) * WIDE {
                    for c in 0..self.channels {
                        let at = (group * self.filters + f) * row + c * depth;
                        // Behind the last filter there are zeros.
                        // SAFETY: a weight of the array.
                        let w = |k: usize| unsafe {
                            if f < self.filters { *from.at((at + k * tap) as isize) } else { T::default() }
                        };
                        // SAFETY: places of this panel; nobody else writes it.
                        let put = |i: usize, v: T| unsafe { *to.at(i as isize) = v };
                        if winograd {
                            let all = winograd::weights_there(std::array::from_fn(w));
                            let size = panel::panels(self.filters, self.channels);
                            for (p, v) in all.into_iter().enumerate() {
                                put(
                                    (group * winograd::PLACES + p) * size + panel::at(f, c, self.channels),
                                    v,
                                );
                            }
                        } else {
                            let terms = self.channels * kernel;
                            for k in 0..kernel {
                                put(group * each + panel::at(f, c * kernel + k, terms), w(k));
                            }
                        }
                    }
                }
            }
        });
    }

    /// The result from data and weights that were made ready for a convolution of these sizes. Half floats are not computed so. Results
    /// differ from those of [`Conv::compute`] by rounding.
    pub fn compute_ready(&self, data: Span, weights: Span, then: Epilogue, out: Span) -> Result<()> {
        let all = |n: usize, dims: [usize; 3]| self.batch * self.groups * n * dims.iter().product::<usize>();
        let sizes =
            [all(self.channels, self.axes.map(|a| a.input)), all(self.filters, self.axes.map(|a| a.output))];
        assert!([data.len(), out.len()] == sizes && Some(weights.len()) == self.ready_size());
        assert!(data.dtype() == weights.dtype() && data.dtype() == out.dtype());
        assert!(then.bias.is_none_or(|b| b.len() == self.groups * self.filters && b.dtype() == out.dtype()));
        assert!(then.add.is_none_or(|b| b.len() == out.len() && b.dtype() == out.dtype()));
        if out.is_empty() {
            return Ok(());
        }
        match out.dtype() {
            DType::F64 => self.ready::<f64>(data, weights, then, out),
            _ => self.ready::<f32>(data, weights, then, out),
        }
    }

    fn ready<T: Real + product::Real>(
        &self,
        data: Span,
        weights: Span,
        then: Epilogue,
        out: Span,
    ) -> Result<()> {
        let finish = Finish {
            bias: then.bias.map(|b| b.ptr::<T>().cast_const()),
            add: then.add.map(|a| a.ptr::<T>().cast_const()),
            relu: then.relu,
        };
        let o = Operands { x: data.ptr::<T>(), w: weights.ptr::<T>(), finish, to: out.ptr::<T>() };
        match self.way() {
            Some(Way::Winograd) => winograd::ready(self, &o),
            _ => self.by_panels(&o),
        }
    }

    fn by_panels<T: Real>(&self, o: &Operands<T>) -> Result<()> {
        let (grid, kernel, terms) =
            (self.axes.map(|a| a.output), self.kernel(), self.channels * self.kernel());
        let sweeps = self.axes.map(Sweep::forward);
        let blocks = self.filters.div_ceil(WIDE);
        let mut tile = grid;
        let jobs = |tile: [usize; 3]| self.batch * self.groups * blocks * count(grid, tile);
        let places = |tile: [usize; 3]| tile.iter().product::<usize>();
        while places(tile) > MOST || (jobs(tile) < PIECES && places(tile) >= 2 * LEAST) {
            if !shrink(&mut tile) {
                break;
            }
        }
        let bare = (0..3).all(|i| {
            let (a, s) = (&self.axes[i], &sweeps[i]);
            s.low() >= 0 && ((a.output - 1) * a.stride) as isize + s.high() < a.input as isize
        }) && self.data().image < u32::MAX as usize;
        let frame = Frame::new::<T>(&sweeps, tile);
        // Channels at a time.
        let depth = (TERMS / kernel).clamp(1, self.channels);
        let (taps, pitch) =
            if bare { (self.bare_taps(), self.data().channel) } else { (frame.taps(&sweeps), frame.pitch) };
        let table: Vec<u32> =
            (0..depth).flat_map(|c| taps.iter().map(move |t| (c * pitch + t) as u32)).collect();
        let room = (places(tile) + crate::simd::MAX_LANES) * WIDE;
        let framed = if bare { 0 } else { frame.size(depth).next_multiple_of(WIDE) };
        let (at, parts) = (tiles(grid, tile), count(grid, tile));
        let work = places(tile) * terms * WIDE;
        let (level, failed) = (level(), First::default());
        par::chunks(jobs(tile), (SMALL / work.max(1)).max(1), |_, r| {
            let done = Scratch::new((room + framed) * size_of::<T>()).map(|scratch| {
                for i in r {
                    let (part, i) = (i % parts, i / parts);
                    let (image, i) = (i % self.batch, i / self.batch);
                    let (block, group) = (i % blocks, i / blocks);
                    let (origin, size) = at(part);
                    let filters = WIDE.min(self.filters - block * WIDE);
                    let (data, result) = (self.data(), self.result());
                    let start = image * data.image + group * self.channels * data.channel;
                    // SAFETY: elements of the arrays, whose sizes were checked; the scratch is this piece's.
                    unsafe {
                        let sums = scratch.ptr::<T>();
                        let frame_at = sums.add(room);
                        let panel = o.w.add((group * blocks + block) * terms * WIDE);
                        let from = |p: [usize; 3]| match bare {
                            true => {
                                (0..3).map(|i| (origin[i] + p[i]) * self.axes[i].stride * data.axes[i]).sum()
                            }
                            false => frame.at(p),
                        };
                        let mut seen: Vec<usize> = Vec::with_capacity(places(size));
                        for d in 0..size[0] {
                            for h in 0..size[1] {
                                seen.extend((0..size[2]).map(|w| from([d, h, w])));
                            }
                        }
                        for first in (0..self.channels).step_by(depth) {
                            let channels = depth.min(self.channels - first);
                            let x = o.x.add(start + first * data.channel);
                            let x = if bare {
                                x
                            } else {
                                let bounds = self.axes.map(|a| a.input);
                                frame.fill(x, &data, bounds, channels, origin, size, frame_at);
                                frame_at.cast_const()
                            };
                            pieces(0..seen.len(), PLACES, |place, m| {
                                panel::with_places!(m, M => level.run(Outer::<T, M> {
                                    a: std::array::from_fn(|k| x.add(seen[place + k])),
                                    a_at: &table[..channels * kernel],
                                    b: panel.add(first * kernel * WIDE),
                                    filters,
                                    to: sums.add(place * WIDE),
                                    add: first > 0,
                                }))
                            });
                        }
                        let stretches = stretches(origin, size, &result.axes);
                        let plane = group * self.filters + block * WIDE;
                        let to = image * result.image + plane * result.channel;
                        level.run(Flush {
                            from: sums,
                            stretches: &stretches,
                            filters,
                            to: o.to.add(to),
                            pitch: result.channel,
                            finish: o.finish.from(plane, to),
                        });
                    }
                }
            });
            failed.keep(done);
        });
        failed.end()
    }

    /// Offsets of the taps in the data.
    pub(super) fn bare_taps(&self) -> Vec<usize> {
        let (mut all, place) = (vec![0], self.data());
        for (a, step) in self.axes.iter().zip(place.axes) {
            all = all.iter().flat_map(|t| (0..a.kernel).map(move |k| t + k * a.dilate * step)).collect();
        }
        all
    }
}

/// The lines of a tile in a plane; those that follow each other are one.
fn stretches(origin: [usize; 3], size: [usize; 3], axes: &[usize; 3]) -> Vec<Stretch> {
    let mut all: Vec<Stretch> = Vec::with_capacity(size[0] * size[1]);
    for i in 0..size[0] * size[1] {
        let (d, h) = (origin[0] + i / size[1], origin[1] + i % size[1]);
        let to = d * axes[0] + h * axes[1] + origin[2] * axes[2];
        match all.last_mut() {
            Some(s) if s.to + s.len == to => s.len += size[2],
            _ => all.push(Stretch { at: i * size[2], to, len: size[2] }),
        }
    }
    all
}
