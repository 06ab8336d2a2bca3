//! Sums, products, extremes over any axes of a contiguous array.
//!
//! Floating-point elements are accumulated in float64 lanes, whatever their type: at memory speed that costs nothing, float32
//! results come out as if rounded once, and no order of summation needs defending. Integers accumulate in wrapping int64. The
//! work is cut into segments by its size alone, and the results of segments are merged in order: the number of threads does not show.

mod arg;
mod kinds;
mod rows;

pub use arg::{Arg, arg_reduce};
pub use kinds::{Max, Mean, Min, NanProd, NanSum, Prod, Sum, SumAbs, SumSq};

use crate::dtype::{DType, Elem};
use crate::shape::Dims;
use crate::simd::{Level, Simd, level};
use crate::storage::Span;
use rows::Source;
use smallvec::SmallVec;

use super::par;

/// How elements become one. `init` is where accumulation starts and also an *element* that changes nothing: `step(a, init) = a`.
pub trait Reduce: Copy + Send + Sync + 'static {
    /// Start, and neutral element.
    fn init(self) -> f64;
    /// One more element on each lane.
    fn lanes64<S: Simd>(self, s: S, acc: S::F64, x: S::F64) -> S::F64;
    /// Two accumulations become one, on each lane.
    fn merge64<S: Simd>(self, s: S, a: S::F64, b: S::F64) -> S::F64;
    /// Two accumulations become one.
    fn merge(self, a: f64, b: f64) -> f64;
    /// The result from the accumulation of `count` elements.
    #[inline(always)]
    fn finish(self, acc: f64, count: usize) -> f64 {
        let _ = count;
        acc
    }
    /// As `init`, for integers.
    fn init_int(self) -> i64;
    /// One more integer.
    fn int(self, acc: i64, x: i64) -> i64;
    /// Two accumulations of integers become one.
    fn merge_int(self, a: i64, b: i64) -> i64;
    /// As `finish`, for integers.
    #[inline(always)]
    fn finish_int(self, acc: i64, count: usize) -> i64 {
        let _ = count;
        acc
    }
}

/// Elements per segment, the unit of parallel work and of accumulation.
const SEGMENT: usize = 32 * 1024;
/// Columns that are accumulated side by side when the innermost axis is kept.
const COLUMNS: usize = 1024;

/// Sizes and strides of some of the outer axes, to count through.
#[derive(Default)]
struct Axes {
    dims: Dims,
    steps: Dims,
}

impl Axes {
    fn count(&self) -> usize {
        self.dims.iter().product()
    }

    /// Offset of the `i`th combination, last axis fastest.
    #[inline]
    fn offset(&self, mut i: usize) -> usize {
        match self.dims.len() {
            0 => 0,
            1 => i * self.steps[0],
            _ => {
                let mut at = 0;
                for (d, s) in self.dims.iter().zip(&self.steps).rev() {
                    at += i % d * s;
                    i /= d;
                }
                at
            }
        }
    }
}

/// The axes of a reduction, neighbours of one kind merged.
struct Plan {
    /// Kept axes, without the innermost axis.
    kept: Axes,
    /// Reduced axes, without the innermost axis.
    gone: Axes,
    /// Size of the innermost axis, and whether it is reduced.
    inner: usize,
    inner_gone: bool,
    /// Elements behind each output.
    count: usize,
}

impl Plan {
    fn new(dims: &[usize], reduced: &[bool]) -> Plan {
        let mut merged: SmallVec<[(usize, bool); 6]> = SmallVec::new();
        for (&d, &gone) in dims.iter().zip(reduced) {
            match merged.last_mut() {
                _ if d == 1 => {}
                Some((n, g)) if *g == gone => *n *= d,
                _ => merged.push((d, gone)),
            }
        }
        let (inner, inner_gone) = merged.pop().unwrap_or((1, true));
        let (mut kept, mut gone) = (Axes::default(), Axes::default());
        let mut step = inner;
        for &(d, g) in merged.iter().rev() {
            let axes = if g { &mut gone } else { &mut kept };
            axes.dims.insert(0, d);
            axes.steps.insert(0, step);
            step *= d;
        }
        let count = gone.count() * if inner_gone { inner } else { 1 };
        Plan { kept, gone, inner, inner_gone, count }
    }
}

/// out = r over the reduced axes of x. `x` is contiguous with shape `dims`; `reduced` says which axes go; `out` is contiguous, of the
/// same dtype, and has the kept axes. Where nothing is reduced over, the result is that of no elements (see the kinds).
pub fn reduce<R: Reduce>(r: R, x: Span, dims: &[usize], reduced: &[bool], out: Span) {
    assert!(
        x.dtype() == out.dtype() && dims.len() == reduced.len() && x.len() == dims.iter().product::<usize>()
    );
    let level = level();
    if out.len() == 1 && (1..=SEGMENT).contains(&x.len()) {
        // Small and whole: straight to the row.
        return with_dtype!(x.dtype(), T => {
            // SAFETY: the input has that many elements, the output one.
            unsafe {
                let acc = <T as Source>::row(r, level, x.ptr::<T>(), x.len());
                *out.ptr::<T>() = <T as Source>::finish(r, acc, x.len());
            }
        });
    }
    let plan = Plan::new(dims, reduced);
    if x.is_empty() {
        let count = 0;
        return with_dtype!(out.dtype(), T => {
            let v = if T::DTYPE.is_float() {
                T::from_f64(r.finish(r.init(), count))
            } else {
                T::from_i64(r.finish_int(r.init_int(), count))
            };
            // SAFETY: the output belongs to this call.
            unsafe { out.slice_mut::<T>() }.fill(v)
        });
    }
    match x.dtype() {
        DType::F32 => run::<R, f32>(r, level, x, &plan, out),
        DType::F64 => run::<R, f64>(r, level, x, &plan, out),
        DType::F16 => run::<R, half::f16>(r, level, x, &plan, out),
        DType::BF16 => run::<R, half::bf16>(r, level, x, &plan, out),
        DType::U8 | DType::Bool => run::<R, u8>(r, level, x, &plan, out),
        DType::I8 => run::<R, i8>(r, level, x, &plan, out),
        DType::I32 => run::<R, i32>(r, level, x, &plan, out),
        DType::I64 => run::<R, i64>(r, level, x, &plan, out),
    }
}

fn run<R: Reduce, T: Source>(r: R, level: Level, x: Span, plan: &Plan, out: Span) {
    if plan.inner_gone {
        along_rows::<R, T>(r, level, x.ptr::<T>(), plan, out.ptr::<T>());
    } else {
        across_rows::<R, T>(r, level, x.ptr::<T>(), plan, out.ptr::<T>());
    }
}

/// A pointer that parallel chunks may share; each writes its own part.
#[derive(Clone, Copy)]
struct Shared<T>(*mut T);
// SAFETY: see the type.
unsafe impl<T> Send for Shared<T> {}
// SAFETY: see the type.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    #[inline(always)]
    unsafe fn at(self, i: usize) -> *mut T {
        // SAFETY: the caller stays inside the memory.
        unsafe { self.0.add(i) }
    }
}

/// The innermost axis is reduced: each output is the reduction of whole rows.
fn along_rows<R: Reduce, T: Source>(r: R, level: Level, x: *const T, plan: &Plan, out: *mut T) {
    let (n, rows, outputs) = (plan.inner, plan.gone.count(), plan.kept.count());
    // A segment is a piece of a row or some rows.
    let pieces = n.div_ceil(SEGMENT);
    let together = if pieces > 1 { 1 } else { (SEGMENT / n).clamp(1, rows) };
    let segments = if pieces > 1 { rows * pieces } else { rows.div_ceil(together) };
    let mut partial: Vec<T::Acc64> = vec![T::start(r); if segments > 1 { outputs * segments } else { 0 }];
    let (x, out, shared) = (Shared(x.cast_mut()), Shared(out), Shared(partial.as_mut_ptr()));
    let per_chunk = (SEGMENT / (n.min(SEGMENT) * together)).max(1);
    // Rows that follow each other, one for each output: no need to look each of them up.
    let plain = segments == 1 && rows == 1 && plan.kept.dims.len() <= 1;
    par::chunks(outputs * segments, par::grouped(outputs * segments, per_chunk), |_, tasks| {
        if plain {
            let mut some = [T::start(r); 64];
            for from in tasks.clone().step_by(some.len()) {
                let some = &mut some[..64.min(tasks.end - from)];
                // SAFETY: rows and outputs of this chunk.
                unsafe {
                    T::many(r, level, x.at(from * n), n, some);
                    some.iter()
                        .enumerate()
                        .for_each(|(i, &a)| *out.at(from + i) = T::finish(r, a, plan.count));
                }
            }
            return;
        }
        for task in tasks {
            let (o, segment) = (task / segments, task % segments);
            let base = plan.kept.offset(o);
            let mut acc = T::start(r);
            // SAFETY: rows of the plan are inside `x`; every task has its own place in `partial` or `out`.
            unsafe {
                if pieces > 1 {
                    let (row, from) = (segment / pieces, segment % pieces * SEGMENT);
                    let p = x.at(base + plan.gone.offset(row) + from);
                    acc = T::row(r, level, p, SEGMENT.min(n - from));
                } else {
                    let from = segment * together;
                    for row in from..rows.min(from + together) {
                        let p = x.at(base + plan.gone.offset(row));
                        acc = T::merge(r, acc, T::row(r, level, p, n));
                    }
                }
                if segments > 1 {
                    *shared.at(task) = acc;
                } else {
                    *out.at(o) = T::finish(r, acc, plan.count);
                }
            }
        }
    });
    for (o, p) in partial.chunks_exact(segments).enumerate() {
        let acc = p.iter().fold(T::start(r), |a, &b| T::merge(r, a, b));
        // SAFETY: o counts the outputs.
        unsafe { *out.at(o) = T::finish(r, acc, plan.count) }
    }
}

/// The innermost axis is kept: rows are accumulated element by element, a block of columns at a time.
fn across_rows<R: Reduce, T: Source>(r: R, level: Level, x: *const T, plan: &Plan, out: *mut T) {
    let (k, rows, blocks_kept) = (plan.inner, plan.gone.count(), plan.kept.count());
    // Where one axis is reduced its rows follow each other in memory: short ones are taken several at a time as one wide row, whose parts
    // are merged at the end.
    let fold = if plan.gone.dims.len() == 1 && k < 64 { (256 / k).min(rows) } else { 1 };
    let width = COLUMNS.min(k);
    let blocks = k.div_ceil(width);
    // Few enough segments that what they leave is small beside the data.
    let together = (SEGMENT / width).max(rows.div_ceil(64)).clamp(1, rows);
    let segments = rows.div_ceil(together);
    let stride = blocks_kept * k;
    let mut partial: Vec<T::Acc64> = vec![T::start(r); if segments > 1 { stride * segments } else { 0 }];
    let (x, out, shared) = (Shared(x.cast_mut()), Shared(out), Shared(partial.as_mut_ptr()));
    let per_chunk = (SEGMENT / (together * width)).max(1);
    let tasks = blocks_kept * segments * blocks;
    par::chunks(tasks, par::grouped(tasks, per_chunk), |_, tasks| {
        for task in tasks {
            let (o, segment, block) = (task / blocks / segments, task / blocks % segments, task % blocks);
            let (base, col) = (plan.kept.offset(o), block * width);
            let cols = width.min(k - col);
            let (from, to) = (segment * together, rows.min((segment + 1) * together));
            let mut acc = [T::start(r); COLUMNS];
            // SAFETY: rows of the plan are inside `x`; every task has its own columns of `partial` or `out`.
            unsafe {
                if fold > 1 {
                    let step = fold * k;
                    let (first, total) = (x.at(base + plan.gone.offset(from)), (to - from) * k);
                    let (whole, rest) = (total / step, total % step);
                    T::onto(r, level, first, step, whole, step, &mut acc);
                    if rest > 0 {
                        T::onto(r, level, first.add(whole * step), 0, 1, rest, &mut acc);
                    }
                    for j in k..step {
                        acc[j % k] = T::merge(r, acc[j % k], acc[j]);
                    }
                } else if plan.gone.dims.len() <= 1 {
                    let first = x.at(base + plan.gone.offset(from) + col);
                    T::onto(
                        r,
                        level,
                        first,
                        plan.gone.steps.first().copied().unwrap_or(0),
                        to - from,
                        cols,
                        &mut acc,
                    );
                } else {
                    for row in from..to {
                        T::onto(r, level, x.at(base + plan.gone.offset(row) + col), 0, 1, cols, &mut acc);
                    }
                }
                for (j, &a) in acc[..cols].iter().enumerate() {
                    let to = o * k + col + j;
                    if segments > 1 {
                        *shared.at(segment * stride + to) = a;
                    } else {
                        *out.at(to) = T::finish(r, a, plan.count);
                    }
                }
            }
        }
    });
    if segments > 1 {
        par::chunks(stride, COLUMNS, |_, outputs| {
            let mut acc = [T::start(r); COLUMNS];
            for g in 0..segments {
                let part = &partial[g * stride..][outputs.clone()];
                acc.iter_mut().zip(part).for_each(|(a, &b)| *a = T::merge(r, *a, b));
            }
            // SAFETY: these outputs are this chunk's.
            outputs.zip(&acc).for_each(|(i, &a)| unsafe { *out.at(i) = T::finish(r, a, plan.count) });
        });
    }
}

#[cfg(test)]
mod tests;
