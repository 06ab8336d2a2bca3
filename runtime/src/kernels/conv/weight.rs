//! The gradient of the weights: for each tap the product of the result's gradient with the data as the tap sees it, over all places.
//!
//! Rows of the product are channels and taps of the data, read from a frame (or where they are, if nothing is padded); columns are filters, so the other operand is copied with its
//! filters side by side. Places are the terms. A few filters are multiplied row by row instead ([`super::dots`]). Pieces of work are blocks of channels, of filters and of tiles of the images;
//! the sums of the tiles' blocks are added in order at the end.

use super::dots::Dots;
use super::frame::{Frame, Sweep};
use super::gather::{FRAME, PIECES, SMALL, count, shrink, tiles};
use super::scratch::Scratch;
use super::tile::{Line, Strip, pieces, with_rows};
use super::turned::Turned;
use super::{Conv, SIDE, rows_at_once};
use crate::error::{Error, Result};
use crate::kernels::par;
use crate::kernels::real::Real;
use crate::simd::{Level, MAX_LANES, level};
use std::sync::Mutex;

/// Filters of a group up to which they are taken one by one.
const FEW: usize = 6;
/// Filters at a time.
const FILTERS: usize = 256;
/// Channels times taps at a time, at most.
const ROWS: usize = 1024;
/// Partial sums, as times of the weights or in bytes, whichever is more.
const PARTS: usize = 16;
const PARTS_BYTES: usize = 8 << 20;

#[derive(Clone, Copy)]
struct Operands<T> {
    x: *const T,
    g: *const T,
    sums: *mut T,
    out: *mut T,
}
// SAFETY: inputs are only read; each piece of work writes its own sums and its own weights.
unsafe impl<T> Send for Operands<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Operands<T> {}

/// # Safety
/// The arrays have the sizes that the convolution says.
pub(super) unsafe fn run<T: Real>(conv: &Conv, x: *const T, g: *const T, out: *mut T) -> Result<()> {
    let level = level();
    let grid = conv.axes.map(|a| a.output);
    let sweeps: [Sweep; 3] = conv.axes.map(Sweep::forward);
    let kernel = conv.kernel();
    let width = conv.filters.next_multiple_of(MAX_LANES);
    let wide = width.min(FILTERS);
    // Where filters are four vectors of the widest level, or eight, six rows of them fill its registers; else eight rows of three or less do.
    let vectors = wide * size_of::<T>() / (MAX_LANES * 4);
    let most = if level == Level::Avx512 && vectors.is_multiple_of(SIDE + 1) { 6 } else { rows_at_once() };
    // How the work is cut.
    let (mut tile, mut depth) = (grid, conv.channels.min((ROWS / kernel).max(1)));
    let bytes = |tile: [usize; 3], depth: usize| {
        let places: usize = tile.iter().product();
        Frame::new::<T>(&sweeps, tile).size(depth).max(places * wide) * size_of::<T>()
    };
    while bytes(tile, depth) > FRAME {
        if tile.iter().product::<usize>() <= 256 && depth * kernel > 256 {
            depth = depth.div_ceil(2);
        } else if !shrink(&mut tile) {
            if depth == 1 {
                break;
            }
            depth = depth.div_ceil(2);
        }
    }
    let blocks = width.div_ceil(wide);
    let size = conv.groups * conv.channels * kernel * width;
    let all = conv.batch * grid.iter().product::<usize>() * conv.weights();
    // Tiles of all images, of which each part sums some that follow each other.
    let units = conv.batch * count(grid, tile);
    let most_parts = PARTS.min((PARTS_BYTES / (size * size_of::<T>())).max(1)).min(units.max(1));
    let pieces_of = |parts: usize, depth: usize| parts * conv.groups * conv.channels.div_ceil(depth) * blocks;
    let mut parts = 1;
    while pieces_of(parts, depth) < PIECES && all / pieces_of(parts, depth) > 2 * SMALL {
        if parts < most_parts {
            parts += 1;
        } else if depth * kernel > 64 && depth > 1 {
            depth = depth.div_ceil(2);
        } else {
            break;
        }
    }
    let bare = (0..3).all(|i| {
        let (a, s) = (&conv.axes[i], &sweeps[i]);
        s.low() >= 0 && ((a.output - 1) * a.stride) as isize + s.high() < a.input as isize
    });
    let apart = !(conv.data().channel * size_of::<T>()).is_multiple_of(4096);
    let bare = bare
        && (apart || kernel > 1)
        && (conv.filters > FEW || conv.last)
        && conv.data().image < u32::MAX as usize;
    let per = units.div_ceil(parts);
    let channel_blocks = conv.channels.div_ceil(depth);
    let frame = Frame::new::<T>(&sweeps, tile);
    let sums = Scratch::new(parts * size * size_of::<T>())?;
    let o = Operands { x, g, sums: sums.ptr::<T>(), out };
    let failed: Mutex<Option<Error>> = Mutex::new(None);
    let jobs = pieces_of(parts, depth);
    par::chunks(jobs, (SMALL / (all / jobs).max(1)).max(1), |_, r| {
        let o = &o;
        let room = frame.size(depth) + tile.iter().product::<usize>() * wide;
        let done = Scratch::new(room * size_of::<T>()).map(|scratch| {
            for job in r {
                let (block, job) = (job % blocks, job / blocks);
                let (channel, job) = (job % channel_blocks * depth, job / channel_blocks);
                let (group, part) = (job % conv.groups, job / conv.groups);
                let piece = Piece {
                    conv,
                    frame: &frame,
                    bare,
                    tile,
                    group,
                    channels: channel..conv.channels.min(channel + depth),
                    filters: block * wide..conv.filters.min((block + 1) * wide),
                    units: part * per..units.min((part + 1) * per),
                    // SAFETY: this piece's part of the sums.
                    sums: unsafe {
                        let row = group * conv.channels * kernel;
                        o.sums.add(part * size + row * width + block * wide)
                    },
                    width,
                    most,
                    level,
                };
                // SAFETY: the arrays are as the caller promised; sums and scratch belong to this piece.
                unsafe { piece.run(o.x, o.g, scratch.ptr(), scratch.ptr::<T>().add(frame.size(depth))) };
            }
        });
        if let Err(e) = done {
            *failed.lock().unwrap_or_else(|e| e.into_inner()) = Some(e);
        }
    });
    if let Some(e) = failed.into_inner().unwrap_or_else(|e| e.into_inner()) {
        return Err(e);
    }
    // Filters by rows into rows by filters.
    let [row, step, tap] = conv.strides();
    let rows = conv.channels * kernel;
    par::chunks(conv.groups * conv.filters, (SMALL / (16 * rows * parts)).max(1), |_, r| {
        let o = &o;
        for at in r {
            let (group, filter) = (at / conv.filters, at % conv.filters);
            for c in 0..conv.channels {
                for k in 0..kernel {
                    let from = (group * rows + c * kernel + k) * width + filter;
                    // SAFETY: sums that are written, and a weight that is this filter's.
                    unsafe {
                        let sum = (1..parts).fold(*o.sums.add(from), |s, p| s + *o.sums.add(p * size + from));
                        *o.out.add(at * row + c * step + k * tap) = sum;
                    }
                }
            }
        }
    });
    Ok(())
}

/// Some weights, summed over some tiles of the images.
struct Piece<'a, T> {
    conv: &'a Conv,
    frame: &'a Frame<'a>,
    /// Whether the data is read where it is.
    bare: bool,
    tile: [usize; 3],
    group: usize,
    channels: std::ops::Range<usize>,
    filters: std::ops::Range<usize>,
    units: std::ops::Range<usize>,
    /// The first filter of the group's first row.
    sums: *mut T,
    width: usize,
    most: usize,
    level: Level,
}

impl<T: Real> Piece<'_, T> {
    /// # Safety
    /// See [`run`]; the frame and `columns` have room for a tile.
    unsafe fn run(&self, x: *const T, g: *const T, frame: *mut T, columns: *mut T) {
        let (conv, kernel) = (self.conv, self.conv.kernel());
        let grid = conv.axes.map(|a| a.output);
        let (data, result) = (conv.data(), conv.result());
        let wide = self.filters.len().next_multiple_of(MAX_LANES);
        // Offsets of taps, of channels and of places, where the data is read.
        let taps =
            if self.bare { self.conv.bare_taps() } else { self.frame.taps(&conv.axes.map(Sweep::forward)) };
        let pitch = if self.bare { data.channel } else { self.frame.pitch };
        let place = |p: [usize; 3]| match self.bare {
            true => (0..3).map(|i| p[i] * conv.axes[i].stride * data.axes[i]).sum(),
            false => self.frame.at(p),
        };
        let step = if self.bare { conv.axes[2].stride * data.axes[2] } else { 1 };
        let tile = tiles(grid, self.tile);
        let rows = self.channels.len() * kernel;
        // SAFETY: rows of this piece; nobody else has them.
        let sums = unsafe { self.sums.add(self.channels.start * kernel * self.width) };
        let mut fresh = true;
        let tiles = count(grid, self.tile);
        for unit in self.units.clone() {
            let image = unit / tiles;
            let (origin, size) = tile(unit % tiles);
            // SAFETY: elements of the arrays; the scratch is this thread's.
            let (seen, from) = unsafe {
                let first = (self.group * conv.channels + self.channels.start) * data.channel;
                let mut seen = x.add(image * data.image + first);
                if self.bare {
                    seen = seen.add(place(origin));
                } else {
                    let bounds = conv.axes.map(|a| a.input);
                    self.frame.fill(seen, &data, bounds, self.channels.len(), origin, size, frame);
                    seen = frame;
                }
                let first = (self.group * conv.filters + self.filters.start) * result.channel;
                let corner: usize = (0..3).map(|i| origin[i] * result.axes[i]).sum();
                (seen, g.add(image * result.image + first + corner))
            };
            let tap = |row: usize| {
                // SAFETY: a tap inside of the frame, or of the data.
                unsafe { seen.add(row / kernel * pitch + taps[row % kernel]) }
            };
            if self.filters.len() <= FEW && result.axes[2] == 1 && step == 1 {
                let lines: Vec<(usize, usize)> = (0..size[0] * size[1])
                    .map(|i| [i / size[1], i % size[1], 0])
                    .map(|p| (place(p), p[0] * result.axes[0] + p[1] * result.axes[1]))
                    .collect();
                for filter in 0..self.filters.len() {
                    pieces(0..rows, 8, |row, m| {
                        with_rows!(m, M => self.level.run(Dots::<T, M> {
                            data: std::array::from_fn(|k| tap(row + k)),
                            // SAFETY: a filter of the piece, and its sums.
                            result: unsafe { from.add(filter * result.channel) },
                            rows: &lines,
                            len: size[2],
                            // SAFETY: as above.
                            sums: unsafe { sums.add(row * self.width + filter) },
                            pitch: self.width,
                            add: !fresh,
                        }))
                    });
                }
                fresh = false;
                continue;
            }
            let mut places: Vec<u32> = Vec::with_capacity(size.iter().product());
            for d in 0..size[0] {
                for h in 0..size[1] {
                    let at = place([d, h, 0]);
                    places.extend((0..size[2]).map(|w| (at + w * step) as u32));
                }
            }
            let steps: Vec<u32> = (0..places.len()).map(|k| (k * wide) as u32).collect();
            // Lines that follow each other are one.
            let (high, len) = match result.axes[1] == size[2] * result.axes[2] {
                true => (1, size[1] * size[2]),
                false => (size[1], size[2]),
            };
            let lines: Vec<usize> =
                (0..size[0] * high).map(|i| i / high * result.axes[0] + i % high * result.axes[1]).collect();
            self.level.run(Turned {
                from,
                lines: &lines,
                len,
                step: result.axes[2],
                planes: self.filters.len(),
                pitch: result.channel,
                to: columns,
                width: wide,
            });
            pieces(0..rows, self.most, |row, m| {
                with_rows!(m, M => self.level.run(Strip::<T, M> {
                    a: std::array::from_fn(|k| tap(row + k)),
                    a_at: &places,
                    b: columns,
                    b_at: &steps,
                    lines: &[Line { at: 0, len: wide, to: 0 }],
                    // SAFETY: a row of the sums.
                    to: unsafe { sums.add(row * self.width) },
                    pitch: self.width,
                    step: 1,
                    bias: [T::default(); M],
                    add: !fresh,
                    stream: false,
                }))
            });
            fresh = false;
        }
        if fresh {
            for row in 0..rows {
                // SAFETY: as above.
                unsafe { sums.add(row * self.width).write_bytes(0, wide) };
            }
        }
    }
}
