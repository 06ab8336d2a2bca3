//! Calls noted down instead of made. While a thread traces, the door infers and records as ever, but hands out tensors without
//! values ([`Tensor::phantom`]) and runs no kernel: so a graph, and its gradient too, becomes a list of calls on given
//! shapes before anything is computed.
//!
//! A rule that looks at values cannot be traced; [`trace`] fails when one did.

use crate::error::Result;
use crate::ops::def::OpDef;
use crate::ops::params::Params;
use crate::tensor::Tensor;
use crate::watch;
use smallvec::SmallVec;
use std::cell::{Cell, RefCell};

/// A call that was not made.
pub struct Traced {
    /// The operator.
    pub op: &'static OpDef,
    /// Its parameters.
    pub params: Params,
    /// Whether in training mode.
    pub training: bool,
    /// What it would have read.
    pub ins: SmallVec<[Tensor; 3]>,
    /// What it would have written, hidden outputs included.
    pub outs: SmallVec<[Tensor; 1]>,
}

thread_local! {
    static IS_ON: Cell<bool> = const { Cell::new(false) };
    static CALLS: RefCell<Vec<Traced>> = const { RefCell::new(Vec::new()) };
}

/// Whether this thread traces.
#[inline]
pub fn is_on() -> bool {
    IS_ON.get()
}

/// Number of calls that this thread has traced so far.
pub fn count() -> usize {
    CALLS.with_borrow(Vec::len)
}

/// Notes a call.
pub(crate) fn note(call: Traced) {
    CALLS.with_borrow_mut(|calls| calls.push(call));
}

/// Ends the trace, also while unwinding.
struct Tracing(Vec<Traced>, bool);

impl Drop for Tracing {
    fn drop(&mut self) {
        watch::tracing(false);
        IS_ON.set(self.1);
        CALLS.replace(std::mem::take(&mut self.0));
    }
}

/// The calls that `f` makes, in order, and what it returns. Errors where `f` does, and where somebody looked at values.
pub fn trace<T>(f: impl FnOnce() -> Result<T>) -> Result<(T, Vec<Traced>)> {
    watch::tracing(true);
    let before = Tracing(CALLS.take(), IS_ON.replace(true));
    let result = f()?;
    let calls = CALLS.take();
    drop(before);
    let mut all = calls.iter().flat_map(|c| c.ins.iter().chain(&c.outs));
    if all.any(|t| t.storage().was_looked_at()) {
        bail!(Internal, "a rule depends on values, which a trace does not have");
    }
    Ok((result, calls))
}
