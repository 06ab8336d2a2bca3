//! Numbers in text: lines of values between commas, and lines of `index:value`. Lines are read in parallel; of several faults the first is told.

use super::par;
use crate::dtype::Elem;
use crate::error::{Error, Result};
use crate::storage::Span;
use std::sync::Mutex;

/// Lines that a thread takes at a time.
const LINES: usize = 256;

/// The lines that hold anything but blanks, with their numbers from 1 on.
pub fn lines(text: &[u8]) -> Vec<(usize, &[u8])> {
    let all = text.split(|&b| b == b'\n').enumerate();
    all.map(|(i, line)| (i + 1, line.trim_ascii())).filter(|(_, line)| !line.is_empty()).collect()
}

fn number(token: &[u8]) -> Result<f64> {
    let text = token.trim_ascii();
    let parsed = std::str::from_utf8(text).ok().and_then(|s| s.parse().ok());
    parsed.ok_or_else(|| err!(Io, "got '{}', want a number", String::from_utf8_lossy(text)))
}

/// Runs `f` on every line; the error is that of the first line that has one.
fn each(lines: &[(usize, &[u8])], f: impl Fn(usize, &[u8]) -> Result<()> + Sync) -> Result<()> {
    let first: Mutex<Option<(usize, Error)>> = Mutex::new(None);
    par::chunks(lines.len(), LINES, |_, range| {
        for i in range {
            let Err(e) = f(i, lines[i].1) else { continue };
            let mut first = first.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            if first.as_ref().is_none_or(|(at, _)| i < *at) {
                *first = Some((i, e));
            }
            break;
        }
    });
    match first.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()) {
        Some((i, e)) => Err(Error::new(e.kind(), format!("line {}: {}", lines[i].0, e.text()))),
        None => Ok(()),
    }
}

/// A line of comma-separated numbers to each row of `out`.
pub fn table<T: Elem>(lines: &[(usize, &[u8])], columns: usize, out: Span) -> Result<()> {
    each(lines, |i, line| {
        // SAFETY: each line has a row of its own.
        let row = unsafe { out.sub(i * columns, columns).slice_mut::<T>() };
        let found = line.split(|&b| b == b',').count();
        if found != columns {
            bail!(Io, "got {found} numbers, want {columns}");
        }
        for (to, token) in row.iter_mut().zip(line.split(|&b| b == b',')) {
            *to = T::from_f64(number(token)?);
        }
        Ok(())
    })
}

/// Labels and a matrix in compressed rows: each line is a label, then `index:value` with ascending indices. `#` begins a comment.
pub struct Sparse<'a> {
    lines: Vec<(usize, &'a [u8])>,
    /// Where the entries of each line begin; one more than there are lines.
    pub begins: Vec<usize>,
}

impl<'a> Sparse<'a> {
    /// Counts lines and entries.
    pub fn new(text: &'a [u8]) -> Sparse<'a> {
        let uncommented = |line: &'a [u8]| line.split(|&b| b == b'#').next().unwrap_or(line).trim_ascii();
        let mut lines = lines(text);
        lines.iter_mut().for_each(|(_, line)| *line = uncommented(line));
        lines.retain(|(_, line)| !line.is_empty());
        let mut begins = vec![0];
        for (_, line) in &lines {
            begins.push(begins[begins.len() - 1] + line.iter().filter(|&&b| b == b':').count());
        }
        Sparse { lines, begins }
    }

    /// Number of lines.
    pub fn rows(&self) -> usize {
        self.lines.len()
    }

    /// Number of entries.
    pub fn entries(&self) -> usize {
        self.begins[self.rows()]
    }

    /// Reads labels, indices and values. Indices are below `columns`.
    pub fn read(&self, columns: i64, labels: Span, indices: Span, values: Span) -> Result<()> {
        each(&self.lines, |i, line| {
            let (begin, count) = (self.begins[i], self.begins[i + 1] - self.begins[i]);
            // SAFETY: each line has places of its own.
            let (label, indices, values) = unsafe {
                (
                    labels.sub(i, 1).slice_mut::<f32>(),
                    indices.sub(begin, count).slice_mut::<i64>(),
                    values.sub(begin, count).slice_mut::<f32>(),
                )
            };
            let mut tokens = line.split(u8::is_ascii_whitespace).filter(|t| !t.is_empty());
            label[0] = number(tokens.next().unwrap_or_default())? as f32;
            let (mut n, mut last) = (0, -1);
            for token in tokens {
                let mut parts = token.split(|&b| b == b':');
                let (Some(index), Some(value), None) = (parts.next(), parts.next(), parts.next()) else {
                    bail!(Io, "got '{}', want index:value", String::from_utf8_lossy(token));
                };
                let index = number(index)?;
                if index.fract() != 0.0 || index < 0.0 || index >= columns as f64 {
                    bail!(Io, "index {index} is not one of 0 to {}", columns - 1);
                }
                if index as i64 <= last {
                    bail!(Io, "index {index} comes behind {last}, want ascending indices");
                }
                last = index as i64;
                (indices[n], values[n]) = (last, number(value)? as f32);
                n += 1;
            }
            Ok(())
        })
    }
}
