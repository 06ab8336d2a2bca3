//! Batches of pictures for training: each file is decoded, made smaller, cut, mirrored and laid out in planes by one thread,
//! while others do the same with its neighbours.

use super::par;
use super::picture::{self, Colour, LONGEST, MOST};
use super::resize::{Images, Interp, resize};
use crate::dtype::Elem;
use crate::error::{Error, Result};
use crate::storage::Span;
use std::ops::Range;
use std::sync::Mutex;

/// What every picture of the batch becomes.
#[derive(Clone, Copy)]
pub struct Frame {
    /// Rows.
    pub height: usize,
    /// Pixels of a row.
    pub width: usize,
    /// One plane, or three.
    pub colour: Colour,
    /// What the shorter side is resized to before anything is cut; 0 for nothing.
    pub shorter: usize,
    /// Whether the whole picture is squeezed into the frame, and nothing is cut.
    pub whole: bool,
    /// How values between pixels are made.
    pub interp: Interp,
}

/// Where one picture is cut: what part of the room that is left goes to its left and above; `None` is the middle.
#[derive(Clone, Copy, Default)]
pub struct Place {
    /// From 0 up to, but not including, 1.
    pub across: Option<f64>,
    /// From 0 up to, but not including, 1.
    pub down: Option<f64>,
    /// Whether columns come in opposite order.
    pub mirrored: bool,
    /// Instead of all that: a part of the picture that is squeezed into the frame.
    pub window: Option<Window>,
    /// How the picture is turned and sheared before it is cut.
    pub turn: Option<Turn>,
    /// Height and width, at most the frame's, of the corner of it at the top left that the picture fills; what is beside it is 0.
    pub corner: Option<[usize; 2]>,
}

/// A picture turned or sheared around its middle, with its size kept.
#[derive(Clone, Copy)]
pub struct Turn {
    /// By rows: the matrix that takes a pixel's distance from the middle, across and down, to where it comes from.
    pub back: [f64; 4],
    /// What stands in all channels where there is no picture.
    pub fill: u8,
}

/// A part of a picture: where it begins and ends, as parts of the picture's sides. It may reach beyond them.
#[derive(Clone, Copy)]
pub struct Window {
    /// Left, top, right, bottom; right of the left and below the top.
    pub edges: [f64; 4],
    /// What stands in all channels where there is no picture.
    pub fill: u8,
}

/// Rows of pixels.
struct Sheet {
    height: usize,
    width: usize,
    channels: usize,
    pixels: Vec<u8>,
}

impl Sheet {
    fn images(&self) -> Images {
        Images { count: 1, height: self.height, width: self.width, channels: self.channels }
    }

    fn decoded(file: &[u8], colour: Colour) -> Result<Sheet> {
        let (height, width) = picture::size(file)?;
        let channels = if colour == Colour::Grey { 1 } else { 3 };
        let mut pixels = vec![0; height * width * channels];
        picture::decode(file, colour, &mut pixels)?;
        Ok(Sheet { height, width, channels, pixels })
    }

    fn resized(mut self, height: usize, width: usize, interp: Interp) -> Result<Sheet> {
        if (height, width) == (self.height, self.width) {
            return Ok(self);
        }
        let fits =
            (1..=LONGEST).contains(&height) && (1..=LONGEST).contains(&width) && height * width <= MOST;
        if !fits {
            bail!(
                Shape,
                "a picture of {}x{} pixels cannot become one of {width}x{height}",
                self.width,
                self.height
            );
        }
        let mut to =
            Sheet { height, width, channels: self.channels, pixels: vec![0; height * width * self.channels] };
        let (x, y) = (self.images(), to.images());
        // SAFETY: both live as long as the call, and are as long as they say.
        let span = |v: &mut [u8]| unsafe { Span::new(v.as_mut_ptr(), v.len(), u8::DTYPE) };
        resize(interp, x, span(&mut self.pixels), y, span(&mut to.pixels));
        Ok(to)
    }

    /// With its shorter side of that length.
    fn shortened(self, side: usize, interp: Interp) -> Result<Sheet> {
        let (h, w) = (self.height, self.width);
        let longer = |long: usize, short: usize| side.saturating_mul(long) / short;
        let (h, w) = if h > w { (longer(h, w), side) } else { (side, longer(w, h)) };
        self.resized(h, w, interp)
    }

    /// The window of the frame's ratio, as large as it fits.
    fn cut(self, frame: &Frame, place: Place) -> Result<Sheet> {
        let (mut w, mut h) = (frame.width as f64, frame.height as f64);
        if (self.height as f64) < h {
            (w, h) = (w * self.height as f64 / h, self.height as f64);
        }
        if (self.width as f64) < w {
            (w, h) = (self.width as f64, h * self.width as f64 / w);
        }
        let (w, h) = ((w as usize).max(1), (h as usize).max(1));
        let start = |room: usize, part: Option<f64>| match part {
            None => room / 2,
            Some(p) => ((room + 1) as f64 * p.clamp(0.0, 1.0)) as usize,
        };
        let x = start(self.width - w, place.across).min(self.width - w);
        let y = start(self.height - h, place.down).min(self.height - h);
        let row = w * self.channels;
        let mut window =
            Sheet { height: h, width: w, channels: self.channels, pixels: Vec::with_capacity(h * row) };
        for line in y..y + h {
            let from = (line * self.width + x) * self.channels;
            window.pixels.extend_from_slice(&self.pixels[from..from + row]);
        }
        window.resized(frame.height, frame.width, frame.interp)
    }
}

impl Sheet {
    /// That part of the picture, at least a pixel of it, with a border where it reaches beyond.
    fn part(self, window: Window) -> Result<Sheet> {
        // The pixels from one edge to the other, which may be none of the picture's.
        let run = |from: f64, to: f64, side: usize| {
            let at = |part: f64| (part * side as f64).round() as i64;
            at(from)..at(to).max(at(from).saturating_add(1))
        };
        let [left, top, right, bottom] = window.edges;
        let (x, y) = (run(left, right, self.width), run(top, bottom, self.height));
        let (width, height) = (x.end.abs_diff(x.start) as usize, y.end.abs_diff(y.start) as usize);
        if width > LONGEST || height > LONGEST || width * height > MOST {
            bail!(
                Shape,
                "a window of {width}x{height} pixels is not cut, want at most {LONGEST} along a side and {MOST} in all"
            );
        }
        let channels = self.channels;
        let mut to = Sheet { height, width, channels, pixels: vec![window.fill; height * width * channels] };
        let inside = |run: &Range<i64>, side: usize| run.start.max(0)..run.end.min(side as i64);
        let (across, down) = (inside(&x, self.width), inside(&y, self.height));
        if across.is_empty() {
            return Ok(to);
        }
        let bytes = (across.end - across.start) as usize * channels;
        for line in down {
            let from = (line as usize * self.width + across.start as usize) * channels;
            let at = ((line - y.start) as usize * width + (across.start - x.start) as usize) * channels;
            to.pixels[at..at + bytes].copy_from_slice(&self.pixels[from..from + bytes]);
        }
        Ok(to)
    }
}

impl Sheet {
    /// Turned. A pixel is what its four neighbours give where it comes from, by their distance; for nearest, the nearest of them.
    fn turned(self, turn: Turn, interp: Interp) -> Sheet {
        let (height, width, channels) = (self.height, self.width, self.channels);
        let middle = [width as f64 / 2.0, height as f64 / 2.0];
        let mut pixels = Vec::with_capacity(self.pixels.len());
        let value = |x: f64, y: f64, c: usize| {
            let inside = x >= 0.0 && y >= 0.0 && x < width as f64 && y < height as f64;
            let at = || (y as usize * width + x as usize) * channels + c;
            f64::from(if inside { self.pixels[at()] } else { turn.fill })
        };
        for i in 0..height * width {
            let (across, down) = ((i % width) as f64 - middle[0], (i / width) as f64 - middle[1]);
            let from = |row: usize| turn.back[2 * row] * across + turn.back[2 * row + 1] * down + middle[row];
            let (x, y) = (from(0), from(1));
            for c in 0..channels {
                let v = if interp == Interp::Nearest {
                    value(x.round(), y.round(), c)
                } else {
                    let (left, top) = (x.floor(), y.floor());
                    let (right, low) = (x - left, y - top);
                    let line = |y: f64| (1.0 - right) * value(left, y, c) + right * value(left + 1.0, y, c);
                    (1.0 - low) * line(top) + low * line(top + 1.0)
                };
                pixels.push(v.round() as u8);
            }
        }
        Sheet { pixels, ..self }
    }
}

/// The file as the pixels of the frame, or of its corner, still unmirrored.
fn framed(file: &[u8], frame: &Frame, place: Place) -> Result<Sheet> {
    let mut sheet = Sheet::decoded(file, frame.colour)?;
    let [height, width] = place.corner.unwrap_or([frame.height, frame.width]);
    if frame.shorter > 0 {
        sheet = sheet.shortened(frame.shorter, frame.interp)?;
    }
    if let Some(turn) = place.turn {
        sheet = sheet.turned(turn, frame.interp);
    }
    if let Some(window) = place.window {
        return sheet.part(window)?.resized(height, width, frame.interp);
    }
    let frame = &Frame { height, width, ..*frame };
    if frame.whole { sheet.resized(height, width, frame.interp) } else { sheet.cut(frame, place) }
}

/// Fills `out` with planes, picture by picture: `value(channel, byte)` of every pixel. Fails with the first picture that cannot be had.
pub fn load<T: Elem>(
    files: &[&[u8]],
    frame: &Frame,
    place: impl Fn(usize) -> Place + Sync,
    value: impl Fn(usize, u8) -> T + Sync,
    out: Span,
) -> Result<()> {
    let planes = if frame.colour == Colour::Grey { 1 } else { 3 };
    let (plane, width) = (frame.height * frame.width, frame.width);
    assert!(out.len() == files.len() * planes * plane && out.dtype() == T::DTYPE);
    let first: Mutex<Option<(usize, Error)>> = Mutex::new(None);
    par::chunks(files.len(), 1, |i, _| {
        let place = place(i);
        match framed(files[i], frame, place) {
            Ok(sheet) => {
                for c in 0..planes {
                    // SAFETY: this plane is this chunk's.
                    let to = unsafe { out.sub((i * planes + c) * plane, plane).slice_mut::<T>() };
                    let mut rows = to.chunks_exact_mut(width);
                    for (row, to) in sheet.pixels.chunks_exact(sheet.width * planes).zip(&mut rows) {
                        let (to, beside) = to.split_at_mut(sheet.width);
                        beside.fill(value(c, 0));
                        let bytes = row[c..].iter().step_by(planes).map(|&b| value(c, b));
                        if place.mirrored {
                            to.iter_mut().rev().zip(bytes).for_each(|(t, v)| *t = v);
                        } else {
                            to.iter_mut().zip(bytes).for_each(|(t, v)| *t = v);
                        }
                    }
                    rows.for_each(|below| below.fill(value(c, 0)));
                }
            }
            Err(e) => {
                let mut first = first.lock().unwrap_or_else(|e| e.into_inner());
                if first.as_ref().is_none_or(|(k, _)| i < *k) {
                    *first = Some((i, e));
                }
            }
        }
    });
    match first.into_inner().unwrap_or_else(|e| e.into_inner()) {
        Some((i, e)) => bail!(Argument, "picture {i}: {e}"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::picture_encode::{Pixels, png};
    use super::*;

    /// Bytes that tell their place: row, column, and both.
    fn file(height: usize, width: usize) -> Vec<u8> {
        let bytes: Vec<u8> = (0..height * width)
            .flat_map(|i| [i / width, i % width, 10 * (i / width) + i % width])
            .map(|v| v as u8)
            .collect();
        png(Pixels { height, width, channels: 3, bytes: &bytes }, 3).unwrap()
    }

    fn run(files: &[Vec<u8>], frame: &Frame, places: &[Place]) -> Result<Vec<u8>> {
        let files: Vec<&[u8]> = files.iter().map(|f| &f[..]).collect();
        let mut out = vec![0u8; files.len() * 3 * frame.height * frame.width];
        // SAFETY: it lives as long as the call.
        let span = unsafe { Span::new(out.as_mut_ptr(), out.len(), u8::DTYPE) };
        load(&files, frame, |i| places[i], |_, b| b, span)?;
        Ok(out)
    }

    const FRAME: Frame =
        Frame { height: 2, width: 3, colour: Colour::Rgb, shorter: 0, whole: false, interp: Interp::Nearest };

    #[test]
    fn windows_lie_where_they_are_asked_for() {
        let at = |across, down, mirrored| Place { across, down, mirrored, ..Place::default() };
        let places = [
            at(None, None, false),
            at(Some(0.0), Some(0.0), false),
            at(Some(0.999), Some(0.999), false),
            at(None, None, true),
        ];
        let out = run(&vec![file(6, 7); 4], &FRAME, &places).unwrap();
        let blue = |i: usize| &out[i * 18 + 12..(i + 1) * 18];
        assert_eq!(blue(0), [22, 23, 24, 32, 33, 34]);
        assert_eq!(blue(1), [0, 1, 2, 10, 11, 12]);
        assert_eq!(blue(2), [44, 45, 46, 54, 55, 56]);
        assert_eq!(blue(3), [24, 23, 22, 34, 33, 32]);
    }

    #[test]
    fn small_pictures_are_enlarged_and_whole_ones_squeezed() {
        let out = run(&[file(1, 9)], &FRAME, &[Place::default()]).unwrap();
        assert_eq!(out[6..12], [4, 4, 4, 4, 4, 4], "one column, stretched");
        let whole = Frame { whole: true, ..FRAME };
        assert_eq!(run(&[file(4, 9)], &whole, &[Place::default()]).unwrap()[12..], [0, 3, 6, 20, 23, 26]);
        let huge = Frame { shorter: usize::MAX, ..FRAME };
        assert!(run(&[file(4, 9)], &huge, &[Place::default()]).is_err());
        let short = Frame { shorter: 2, ..FRAME };
        assert_eq!(run(&[file(4, 6)], &short, &[Place::default()]).unwrap()[12..], [0, 2, 4, 20, 22, 24]);
    }

    #[test]
    fn pictures_may_fill_a_corner_only() {
        let corner = |h, w, mirrored| Place { corner: Some([h, w]), mirrored, ..Place::default() };
        let blue = |place| run(&[file(2, 2)], &FRAME, &[place]).unwrap()[12..].to_vec();
        assert_eq!(blue(corner(2, 2, false)), [0, 1, 0, 10, 11, 0]);
        assert_eq!(blue(corner(2, 2, true)), [1, 0, 0, 11, 10, 0]);
        assert_eq!(blue(corner(1, 1, false)), [0; 6]);
        assert_eq!(blue(corner(1, 3, true)), [1, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn windows_are_parts_of_the_picture_and_may_reach_beyond_it() {
        let part = |edges| Place { window: Some(Window { edges, fill: 99 }), ..Place::default() };
        let blue = |edges| run(&[file(4, 6)], &FRAME, &[part(edges)]).unwrap()[12..].to_vec();
        assert_eq!(blue([0.5, 0.5, 1.0, 1.0]), [23, 24, 25, 33, 34, 35]);
        assert_eq!(blue([-1.0 / 6.0, -0.25, 2.0 / 6.0, 0.25]), [99, 99, 99, 99, 0, 1]);
        assert_eq!(blue([5.0 / 6.0, 0.75, 8.0 / 6.0, 1.25]), [35, 99, 99, 99, 99, 99]);
        assert_eq!(blue([2.0, 2.0, 3.0, 3.0]), [99; 6], "none of the picture");
        assert_eq!(blue([0.5, 0.5, 0.5001, 0.5001]), [23; 6], "at least a pixel");
        let e = run(&[file(4, 6)], &FRAME, &[part([0.0, 0.0, 1e9, 1.0])]).unwrap_err();
        assert!(e.to_string().contains("window"), "{e}");
    }

    #[test]
    fn pictures_turn_around_their_middle() {
        let turned = |frame: &Frame, back| {
            let place = Place { turn: Some(Turn { back, fill: 99 }), ..Place::default() };
            run(&[file(4, 4)], frame, &[place]).unwrap()[2 * frame.height * frame.width..].to_vec()
        };
        let whole = Frame { height: 4, width: 4, ..FRAME };
        let plain: Vec<u8> = (0..16).map(|i| 10 * (i / 4) + i % 4).collect();
        for frame in [whole, Frame { interp: Interp::Linear, ..whole }] {
            assert_eq!(turned(&frame, [1.0, 0.0, 0.0, 1.0]), plain);
            // A half turn: pixel (i, j) comes from (4 - i, 4 - j).
            let half = [99, 99, 99, 99, 99, 33, 32, 31, 99, 23, 22, 21, 99, 13, 12, 11];
            assert_eq!(turned(&frame, [-1.0, 0.0, 0.0, -1.0]), half);
            // A quarter turn: row i is what column 4 - i was.
            let quarter = turned(&frame, [0.0, -1.0, 1.0, 0.0]);
            assert_eq!(quarter[..8], [99, 99, 99, 99, 3, 13, 23, 33]);
        }
        // Rows move by half of their distance from the middle one.
        let linear = Frame { interp: Interp::Linear, ..whole };
        let sheared = turned(&linear, [1.0, 0.5, 0.0, 1.0]);
        assert_eq!(sheared[8..12], [20, 21, 22, 23]);
        // Halfway between 30, 31, 32, 33 and what is not there: halves go up.
        assert_eq!(sheared[12..], [31, 32, 33, 66]);
    }

    #[test]
    fn the_first_bad_file_is_named() {
        let mut files = vec![file(3, 3); 40];
        files[7] = b"no".to_vec();
        files[30] = vec![];
        let e = run(&files, &FRAME, &[Place::default(); 40]).unwrap_err();
        assert!(e.to_string().contains("picture 7: "), "{e}");
    }
}
