//! What watches calls: the profiler, and the search for the operator that made a NaN. Both are off until asked for; a call
//! then pays one relaxed load for them.

pub mod nan;
pub mod profile;

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// What can be switched on, for all threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Watch {
    /// Every call is timed, see [`profile`].
    Profile = 1,
    /// The results of every call are searched, see [`nan`].
    Nan = 2,
}

/// The bits of the watches; above them, the number of threads that trace.
static ON: AtomicU32 = AtomicU32::new(0);
const TRACE: u32 = 1 << 8;

thread_local! {
    /// The operator whose gradient rule runs on this thread.
    static GRADIENT_OF: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Switches a watch and returns whether it was on.
pub fn set(watch: Watch, on: bool) -> bool {
    let bit = watch as u32;
    let before = if on { ON.fetch_or(bit, Relaxed) } else { ON.fetch_and(!bit, Relaxed) };
    before & bit != 0
}

/// Whether a watch is on.
pub fn is_on(watch: Watch) -> bool {
    ON.load(Relaxed) & watch as u32 != 0
}

/// Whether any watch is on, or some thread traces.
#[inline]
pub fn any() -> bool {
    ON.load(Relaxed) != 0
}

/// Counts a thread that begins to trace, or ends.
pub(crate) fn tracing(on: bool) {
    if on {
        ON.fetch_add(TRACE, Relaxed)
    } else {
        ON.fetch_sub(TRACE, Relaxed)
    };
}

/// The operator whose gradient is computed on this thread, if any.
pub fn gradient_of() -> Option<&'static str> {
    GRADIENT_OF.get()
}

/// Says whose gradient is computed until the value is dropped.
#[must_use]
pub struct Gradient(Option<&'static str>);

impl Gradient {
    /// The gradient of `op` is computed now.
    pub fn of(op: &'static str) -> Gradient {
        Gradient(GRADIENT_OF.replace(Some(op)))
    }
}

impl Drop for Gradient {
    fn drop(&mut self) {
        GRADIENT_OF.set(self.0);
    }
}
