//! One of two arrays, element by element, by the truth of a third.

use super::lane::BLOCK;
use super::par;
use crate::dtype::Elem;
use crate::storage::Span;

/// Elements per parallel chunk.
const CHUNK: usize = 32 * 1024;

/// `out[i] = c[i / rows] != 0 ? x[i] : y[i]`. `x`, `y` and `out` have one length and dtype; `out` may be exactly one of them.
pub fn select(c: Span, rows: usize, x: Span, y: Span, out: Span) {
    assert!(
        x.len() == out.len() && y.len() == out.len() && x.dtype() == out.dtype() && y.dtype() == out.dtype()
    );
    assert!(rows > 0 && (out.is_empty() || (out.len() - 1) / rows < c.len()));
    let size = out.dtype().size();
    par::chunks(out.len(), CHUNK, |_, r| {
        let mut mask = [0u8; BLOCK];
        for at in r.clone().step_by(BLOCK) {
            let n = BLOCK.min(r.end - at);
            // SAFETY: nobody writes the condition.
            with_dtype!(c.dtype(), T => truth(unsafe { c.slice::<T>() }, rows, at, &mut mask[..n]));
            let (x, y, out) = (x.sub(at, n).bytes(), y.sub(at, n).bytes(), out.sub(at, n).bytes());
            // SAFETY: n elements of that size each, read before they are written.
            unsafe {
                match size {
                    1 => pick::<u8>(&mask[..n], x, y, out),
                    2 => pick::<u16>(&mask[..n], x, y, out),
                    4 => pick::<u32>(&mask[..n], x, y, out),
                    _ => pick::<u64>(&mask[..n], x, y, out),
                }
            }
        }
    });
}

fn truth<T: Elem>(c: &[T], rows: usize, at: usize, mask: &mut [u8]) {
    let zero = T::default();
    if rows == 1 {
        mask.iter_mut().zip(&c[at..]).for_each(|(m, c)| *m = u8::from(*c != zero));
    } else {
        mask.iter_mut().enumerate().for_each(|(i, m)| *m = u8::from(c[(at + i) / rows] != zero));
    }
}

/// # Safety
/// All three hold as many elements as the mask.
unsafe fn pick<T: Copy>(mask: &[u8], x: *const u8, y: *const u8, out: *mut u8) {
    let (x, y, out) = (x.cast::<T>(), y.cast::<T>(), out.cast::<T>());
    for (i, m) in mask.iter().enumerate() {
        // SAFETY: the caller's promise.
        unsafe { *out.add(i) = if *m != 0 { *x.add(i) } else { *y.add(i) } }
    }
}
