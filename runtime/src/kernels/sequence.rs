//! Steps of sequences of different lengths: which step of the input stands at each step of the output.

use super::index::whole;
use super::lane::CHUNK;
use super::par;
use crate::dtype::Elem;
use crate::storage::Span;

/// How a batch of sequences lies in memory: (steps, batch, inner), or with `batch_first` (batch, steps, inner).
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// Longest length.
    pub steps: usize,
    /// Number of sequences.
    pub batch: usize,
    /// Elements of a step.
    pub inner: usize,
    /// Whether sequences lie one after the other.
    pub batch_first: bool,
}

impl Batch {
    /// Place of a step in the array, in steps.
    #[inline(always)]
    fn at(self, step: usize, n: usize) -> usize {
        if self.batch_first { n * self.steps + step } else { step * self.batch + n }
    }

    /// The lengths as whole numbers from 0 to `steps`; all of `steps` when none are given.
    pub fn lengths(self, lengths: Option<Span>) -> Vec<usize> {
        let mut buf = vec![self.steps as i64; self.batch];
        if let Some(l) = lengths {
            whole(l, 0, &mut buf);
        }
        buf.into_iter().map(|l| l.clamp(0, self.steps as i64) as usize).collect()
    }
}

/// What becomes of a sequence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// Steps after the end become this value.
    Mask(f64),
    /// Steps before the end stand in opposite order; the others stay.
    Reverse,
}

/// out = x with every sequence changed. `out` may be `x` for a mask.
pub fn change(b: Batch, change: Change, lengths: &[usize], x: Span, out: Span) {
    assert!(x.len() == b.steps * b.batch * b.inner && out.len() == x.len() && x.dtype() == out.dtype());
    let fill = if let Change::Mask(v) = change { v } else { 0.0 };
    with_dtype!(x.dtype(), T => {
        let fill = T::from_f64(fill);
        par::chunks(b.steps * b.batch, (CHUNK / b.inner.max(1)).max(1), |_, range| {
            for row in range {
                let (n, step) = if b.batch_first { (row / b.steps, row % b.steps) } else { (row % b.batch, row / b.batch) };
                let len = lengths[n];
                let to = out.sub(row * b.inner, b.inner);
                let from = match change {
                    Change::Mask(_) if step >= len => {
                        // SAFETY: a row of this chunk.
                        unsafe { to.slice_mut::<T>() }.fill(fill);
                        continue;
                    }
                    Change::Reverse if step < len => x.sub(b.at(len - 1 - step, n) * b.inner, b.inner),
                    _ => x.sub(row * b.inner, b.inner),
                };
                // SAFETY: a row of the input and one of this chunk, the same or apart.
                unsafe { std::ptr::copy(from.ptr::<T>().cast_const(), to.ptr::<T>(), b.inner) }
            }
        });
    });
}

/// `out[n]` is the last step of sequence n; of an empty sequence the first.
pub fn last(b: Batch, lengths: &[usize], x: Span, out: Span) {
    assert!(
        x.len() == b.steps * b.batch * b.inner && out.len() == b.batch * b.inner && x.dtype() == out.dtype()
    );
    let bytes = b.inner * x.dtype().size();
    par::chunks(b.batch, (CHUNK / b.inner.max(1)).max(1), |_, range| {
        for n in range {
            let from = x.sub(b.at(lengths[n].max(1) - 1, n) * b.inner, b.inner);
            // SAFETY: a row of the input and one of this chunk.
            unsafe { std::ptr::copy_nonoverlapping(from.bytes(), out.bytes().add(n * bytes), bytes) }
        }
    });
}

/// 0, but for the last step of each sequence: `x[n]`. The gradient of [`last`].
pub fn unlast(b: Batch, lengths: &[usize], x: Span, out: Span) {
    assert!(
        out.len() == b.steps * b.batch * b.inner && x.len() == b.batch * b.inner && x.dtype() == out.dtype()
    );
    super::copy::fill(out, 0.0);
    let bytes = b.inner * x.dtype().size();
    par::chunks(b.batch, (CHUNK / b.inner.max(1)).max(1), |_, range| {
        for n in range {
            let to = out.sub(b.at(lengths[n].max(1) - 1, n) * b.inner, b.inner);
            // SAFETY: a row of this sequence.
            unsafe { std::ptr::copy_nonoverlapping(x.bytes().add(n * bytes), to.bytes(), bytes) }
        }
    });
}
