//! One copy between two strided walks over the same axes: whole rows where both are contiguous, square tiles where the axes that are
//! contiguous differ (a transpose), single elements otherwise.

use crate::kernels::lane::{CHUNK, past_cache, row_start};
use crate::kernels::par;
use crate::shape::broadcast::collapse;
use crate::shape::{Dims, Strides};
use crate::simd::{Level, Simd, Work, level};
use crate::storage::Span;

/// # Safety
/// The strides stay inside the spans, elements have the same size, spans do not overlap, and no two elements of the output's walk are
/// the same.
pub(super) unsafe fn copy(
    dims: &[usize],
    x: Span,
    xo: usize,
    xs: &[isize],
    out: Span,
    oo: usize,
    os: &[isize],
) {
    if dims.contains(&0) {
        return;
    }
    // Outermost first as the output lies in memory: writes then go forward, whichever side is strided.
    let mut order: Dims = (0..dims.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(os[i].unsigned_abs()));
    let dims: Dims = order.iter().map(|&i| dims[i]).collect();
    let (xs, os): (Strides, Strides) = order.iter().map(|&i| (xs[i], os[i])).unzip();
    let (dims, [xs, os]) = collapse(&dims, [&xs, &os]);
    let w = Walk { dims: &dims, xs: &xs, os: &os };
    // SAFETY: the caller's promise; sizes of elements are equal.
    unsafe {
        match x.dtype().size() {
            1 => w.run(x.bytes().add(xo), out.bytes().add(oo)),
            2 => w.run(x.bytes().cast::<u16>().add(xo), out.bytes().cast::<u16>().add(oo)),
            4 => w.run(x.bytes().cast::<u32>().add(xo), out.bytes().cast::<u32>().add(oo)),
            _ => w.run(x.bytes().cast::<u64>().add(xo), out.bytes().cast::<u64>().add(oo)),
        }
    }
}

struct Walk<'a> {
    dims: &'a [usize],
    xs: &'a [isize],
    os: &'a [isize],
}

/// Both ends, to be shared among threads that write different parts.
#[derive(Clone, Copy)]
struct Ends<T>(*const T, *mut T);
// SAFETY: see the type.
unsafe impl<T> Send for Ends<T> {}
// SAFETY: see the type.
unsafe impl<T> Sync for Ends<T> {}

impl<T> Ends<T> {
    #[inline(always)]
    unsafe fn at(self, x: isize, out: isize) -> (*const T, *mut T) {
        // SAFETY: the caller stays inside the memory.
        unsafe { (self.0.offset(x), self.1.offset(out)) }
    }
}

impl Walk<'_> {
    unsafe fn run<T: Tile>(&self, x: *const T, out: *mut T) {
        let last = self.dims.len() - 1;
        let ends = Ends(x, out);
        let across = (0..last).find(|&i| self.xs[i] == 1);
        match across {
            Some(i) if self.os[last] == 1 && self.xs[last] != 1 => self.tiles(ends, i),
            _ => self.rows(ends),
        }
    }

    /// Row by row of the last axis.
    fn rows<T: Tile>(&self, ends: Ends<T>) {
        let last = self.dims.len() - 1;
        let (n, xi, oi) = (self.dims[last], self.xs[last], self.os[last]);
        let rows: usize = self.dims[..last].iter().product();
        let total = rows * n;
        par::chunks(total, CHUNK, |_, r| {
            let mut i = r.start;
            while i < r.end {
                let (row, col) = (i / n, i % n);
                let count = (n - col).min(r.end - i);
                // SAFETY: a part of a row of both walks.
                unsafe {
                    let (x, out) = ends.at(
                        row_start(self.dims, self.xs, row) + col as isize * xi,
                        row_start(self.dims, self.os, row) + col as isize * oi,
                    );
                    match (xi, oi) {
                        (1, 1) => std::ptr::copy_nonoverlapping(x, out, count),
                        (0, 1) => std::slice::from_raw_parts_mut(out, count).fill(*x),
                        (_, 1) => (0..count as isize).for_each(|j| *out.offset(j) = *x.offset(j * xi)),
                        _ => (0..count as isize).for_each(|j| *out.offset(j * oi) = *x.offset(j * xi)),
                    }
                }
                i += count;
            }
        });
    }

    /// The output is contiguous along the last axis, the input along `across`: tiles of one cache line on each side.
    fn tiles<T: Tile>(&self, ends: Ends<T>, across: usize) {
        let last = self.dims.len() - 1;
        let (height, width) = (self.dims[across], self.dims[last]);
        let others: Dims = (0..last).filter(|&i| i != across).map(|i| self.dims[i]).chain([1]).collect();
        let pick =
            |s: &[isize]| (0..last).filter(|&i| i != across).map(|i| s[i]).chain([0]).collect::<Strides>();
        let (xo, oo) = (pick(self.xs), pick(self.os));
        let planes: usize = others.iter().product();
        // A task: rows of the output that take 2 KiB of each line of the input, so that every page is worth its visit.
        let side = T::SIDE * 32;
        let (bands, panels) = (height.div_ceil(side), width.div_ceil(PANEL));
        let bytes = planes * height * width * size_of::<T>();
        let aligned = (ends.1 as usize).is_multiple_of(64)
            && self.os[..last].iter().all(|s| (s * size_of::<T>() as isize) % 64 == 0);
        let (xs, os, stream) = (self.xs[last], self.os[across], aligned && past_cache(bytes));
        let level = level();
        let per_chunk = (CHUNK / (side.min(height) * PANEL.min(width))).max(1);
        par::chunks(planes * bands * panels, per_chunk, |_, tasks| {
            for task in tasks {
                let (plane, row, col) =
                    (task / panels / bands, task / panels % bands * side, task % panels * PANEL);
                // SAFETY: the first elements of this plane in both walks.
                let (x, out) =
                    unsafe { ends.at(row_start(&others, &xo, plane), row_start(&others, &oo, plane)) };
                let plane = Band { x, out, xs, os, rows: height, width, stream };
                T::band(level, plane.part(row, side.min(height - row), col, PANEL.min(width - col)));
            }
        });
    }
}

/// Columns of the output in one task.
const PANEL: usize = 512;

/// `rows` rows of the output, each `width` elements long and `os` apart; their columns lie contiguous in the input, `xs` apart.
struct Band<T> {
    x: *const T,
    out: *mut T,
    xs: isize,
    os: isize,
    rows: usize,
    width: usize,
    stream: bool,
}

impl<T> Clone for Band<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Band<T> {}

impl<T> Band<T> {
    /// The part that begins at (row, col).
    #[inline(always)]
    fn part(self, row: usize, rows: usize, col: usize, width: usize) -> Band<T> {
        // SAFETY: inside the band.
        let (x, out) = unsafe {
            (
                self.x.offset(col as isize * self.xs + row as isize),
                self.out.offset(row as isize * self.os + col as isize),
            )
        };
        Band { x, out, rows, width, ..self }
    }

    /// Calls `whole` for each tile of `side` squared and `rest` for what remains at the edges. Tiles follow the lines of the input: on the
    /// machines measured that is at memcpy's speed, and following those of the output at half of it.
    #[inline(always)]
    fn tiles(self, side: usize, mut whole: impl FnMut(Band<T>), mut rest: impl FnMut(Band<T>)) {
        let (rows, cols) = (self.rows / side * side, self.width / side * side);
        for col in (0..cols).step_by(side) {
            for row in (0..rows).step_by(side) {
                whole(self.part(row, side, col, side));
            }
        }
        if rows < self.rows {
            rest(self.part(rows, self.rows - rows, 0, cols));
        }
        if cols < self.width {
            rest(self.part(0, self.rows, cols, self.width - cols));
        }
    }

    /// Element by element.
    fn plain(self)
    where
        T: Copy,
    {
        for row in 0..self.rows as isize {
            for col in 0..self.width as isize {
                // SAFETY: an element of the band.
                unsafe { *self.out.offset(row * self.os + col) = *self.x.offset(col * self.xs + row) }
            }
        }
    }
}

/// An element, by its size.
trait Tile: Copy + Default + Send + Sync {
    /// Elements of a cache line.
    const SIDE: usize = 64 / size_of::<Self>();
    fn band(level: Level, b: Band<Self>);
}

/// A tile of a cache line squared, through a buffer in the first cache, so that each line is read and written whole.
fn tile<T: Tile, const SIDE: usize>(b: Band<T>) {
    let mut tile = [[T::default(); SIDE]; SIDE];
    // SAFETY: a whole tile of the band.
    unsafe {
        for (j, line) in tile.iter_mut().enumerate() {
            *line = b.x.offset(j as isize * b.xs).cast::<[T; SIDE]>().read_unaligned();
        }
        for row in 0..SIDE {
            let line: [T; SIDE] = std::array::from_fn(|j| tile[j][row]);
            b.out.offset(row as isize * b.os).cast::<[T; SIDE]>().write_unaligned(line);
        }
    }
}

macro_rules! tile {
    ($($t:ty),*) => {$(
        impl Tile for $t {
            fn band(_: Level, b: Band<Self>) {
                b.tiles(Self::SIDE, tile::<$t, { 64 / size_of::<$t>() }>, Band::plain)
            }
        }
    )*};
}
tile!(u8, u16, u64);

impl Tile for u32 {
    fn band(level: Level, b: Band<u32>) {
        level.run(b)
    }
}

impl Work for Band<u32> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let n = S::N;
        let whole = |b: Band<u32>| {
            for i in (0..16).step_by(n) {
                for j in (0..16).step_by(n) {
                    let b = b.part(i, n, j, n);
                    // SAFETY: a tile of the band, aligned where `stream` is set.
                    unsafe { s.transpose(b.x.cast(), b.xs, b.out.cast(), b.os, b.stream) }
                }
            }
        };
        self.tiles(16, whole, Band::plain);
        if self.stream {
            s.fence();
        }
    }
}
