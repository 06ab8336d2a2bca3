//! The forward pass of pooling.

use super::phases::Phases;
use super::{Kind, Pool, WORK, divisors, window};
use crate::dtype::DType;
use crate::kernels::par;
use crate::kernels::real::{Real, load, steps, store};
use crate::simd::{Simd, Work, level};
use crate::storage::Span;

pub(super) fn pool<T: Real>(p: &Pool, kind: Kind, x: Span, out: Span) {
    let [a0, a1, a2] = p.axes;
    let all = [0, 1, 2].map(|i| divisors(&p.axes[i], kind));
    let counts: Vec<T> = all[2].iter().map(|&c| T::from_f64(c)).collect();
    let empty: Vec<usize> = (0..a2.output).filter(|&o| window(&a2, o).is_empty()).collect();
    let phases = Phases::new(&a2);
    // Rows of the result, each one piece of work.
    let rows = p.planes * a0.output * a1.output;
    let work = (a0.kernel * a1.kernel + a2.kernel) * (a2.input + a2.output) * p.inner;
    let level = level();
    par::chunks(rows, par::grouped(rows, (WORK / work.max(1)).max(1)), |_, r| {
        let wide = a2.input * p.inner;
        let mut row = vec![T::default(); wide];
        let mut dealt = vec![start::<T>(kind); if p.inner == 1 { phases.room() } else { 0 }];
        let mut sources: Vec<*const T> = Vec::new();
        for line in r {
            let (plane, d, h) =
                (line / (a0.output * a1.output), line / a1.output % a0.output, line % a1.output);
            sources.clear();
            for i in window(&a0, d) {
                let start = x.ptr::<T>().wrapping_add(plane * p.input() + i * a1.input * wide).cast_const();
                sources.extend(window(&a1, h).map(|j| start.wrapping_add(j * wide)));
            }
            // SAFETY: this line of the output is this chunk's alone.
            let out = unsafe { out.sub(line * a2.output * p.inner, a2.output * p.inner).slice_mut::<T>() };
            if sources.is_empty() {
                out.fill(nothing(kind));
                continue;
            }
            let (row, dealt) = (row.as_mut_ptr(), dealt.as_mut_ptr());
            let count = T::from_f64(all[0][d] * all[1][h]);
            level.run(Line { p, kind, phases, sources: &sources, count, counts: &counts, row, dealt, out });
            empty.iter().for_each(|o| out[o * p.inner..][..p.inner].fill(nothing(kind)));
        }
    });
}

/// One row of windows.
struct Line<'a, T> {
    p: &'a Pool,
    kind: Kind,
    phases: Phases,
    /// The rows of the data that the windows cover.
    sources: &'a [*const T],
    /// What is divided by, on the outer axes and along the row.
    count: T,
    counts: &'a [T],
    row: *mut T,
    dealt: *mut T,
    out: &'a mut [T],
}

impl<T: Real> Work for Line<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Line { p, kind, phases, sources, count, counts, row, dealt, out } = self;
        let (a, inner) = (&p.axes[2], p.inner);
        let first = T::splat(s, start(kind));
        let to = out.as_mut_ptr();
        // Pairs of neighbours, all of which are there.
        let pairs = inner == 1 && a.stride == 2 && a.kernel == 2 && a.pad == 0 && a.input >= 2 * a.output;
        // SAFETY: rows of the data, of `row` and of the result have the sizes that the axes say, and `dealt` has the phases' room.
        unsafe {
            if pairs {
                let lanes = T::count::<S>();
                steps!(T, a.output, |o, w| {
                    let (mut low, mut high) = (first, first);
                    let (wl, wh) = (lanes.min(2 * w), (2 * w).saturating_sub(lanes));
                    for x in sources {
                        let x = x.add(2 * o);
                        low = join::<T, S>(s, kind, raised::<T, S>(s, kind, load::<T, S>(s, x, wl)), low);
                        if wh > 0 {
                            let v = load::<T, S>(s, x.add(lanes), wh);
                            high = join::<T, S>(s, kind, raised::<T, S>(s, kind, v), high);
                        }
                    }
                    let (even, odd) = T::unzip(s, low, high);
                    let v = join::<T, S>(s, kind, odd, join::<T, S>(s, kind, even, first));
                    store::<T, S>(s, to.add(o), v, w)
                });
            } else {
                // The rows into one.
                steps!(T, a.input * inner, |i, w| {
                    let mut v = first;
                    for x in sources {
                        v = join::<T, S>(s, kind, raised::<T, S>(s, kind, load::<T, S>(s, x.add(i), w)), v);
                    }
                    store::<T, S>(s, row.add(i), v, w)
                });
                // Neighbours of the row.
                if inner == 1 {
                    phases.deal(s, row, start(kind), dealt);
                    steps!(T, a.output, |o, w| {
                        let mut v = first;
                        for k in 0..a.kernel {
                            v = join::<T, S>(s, kind, T::load(s, dealt.add(phases.tap(k) + o)), v);
                        }
                        store::<T, S>(s, to.add(o), v, w)
                    });
                } else {
                    for o in 0..a.output {
                        let (places, to) = (window(a, o), to.add(o * inner));
                        steps!(T, inner, |i, w| {
                            let mut v = first;
                            for place in places.clone() {
                                v = join::<T, S>(s, kind, load::<T, S>(s, row.add(place * inner + i), w), v);
                            }
                            store::<T, S>(s, to.add(i), v, w)
                        });
                    }
                }
            }
            match kind {
                Kind::Average { .. } if inner == 1 => {
                    let by = T::splat(s, count);
                    steps!(T, a.output, |o, w| {
                        let v =
                            load::<T, S>(s, to.add(o), w) / (by * load::<T, S>(s, counts.as_ptr().add(o), w));
                        store::<T, S>(s, to.add(o), v, w)
                    });
                }
                Kind::Average { .. } => {
                    for (o, &c) in counts.iter().enumerate() {
                        let by = T::splat(s, count * c);
                        steps!(T, inner, |i, w| {
                            let at = to.add(o * inner + i);
                            store::<T, S>(s, at, load::<T, S>(s, at, w) / by, w)
                        });
                    }
                }
                Kind::Power(2) => out.iter_mut().for_each(|v| *v = T::from_f64(v.to_f64().sqrt())),
                Kind::Power(3) => out.iter_mut().for_each(|v| *v = T::from_f64(v.to_f64().cbrt())),
                Kind::Max | Kind::Sum | Kind::Power(_) => {}
            }
        }
    }
}

/// What a window without elements gives.
fn nothing<T: Real>(kind: Kind) -> T {
    let lowest = if T::DTYPE == DType::F32 { f64::from(f32::MIN) } else { f64::MIN };
    if kind == Kind::Max { T::from_f64(lowest) } else { T::default() }
}

/// Where a window starts: what changes nothing.
#[inline(always)]
pub(super) fn start<T: Real>(kind: Kind) -> T {
    if kind == Kind::Max { T::MINUS_INF } else { T::default() }
}

/// What is summed of an element.
#[inline(always)]
fn raised<T: Real, S: Simd>(_: S, kind: Kind, x: T::V<S>) -> T::V<S> {
    match kind {
        Kind::Power(2) => x * x,
        Kind::Power(3) => x * x * x,
        _ => x,
    }
}

/// The larger (NaN is passed over), or the sum.
#[inline(always)]
pub(super) fn join<T: Real, S: Simd>(s: S, kind: Kind, x: T::V<S>, to: T::V<S>) -> T::V<S> {
    if kind == Kind::Max { T::max(s, x, to) } else { to + x }
}
