//! Whether calls on this thread are recorded, and whether they are made in training mode.

use std::cell::Cell;

thread_local! {
    static RECORDING: Cell<bool> = const { Cell::new(false) };
    static TRAINING: Cell<bool> = const { Cell::new(false) };
}

/// Whether calls on this thread are recorded.
#[inline]
pub fn is_recording() -> bool {
    RECORDING.get()
}

/// Whether calls on this thread are made in training mode.
#[inline]
pub fn is_training() -> bool {
    TRAINING.get()
}

/// Switches recording and returns what it was.
pub fn set_recording(on: bool) -> bool {
    RECORDING.replace(on)
}

/// Switches training mode and returns what it was.
pub fn set_training(on: bool) -> bool {
    TRAINING.replace(on)
}

/// Restores both modes when dropped, also while unwinding.
pub struct Scope {
    recording: bool,
    training: bool,
}

impl Scope {
    /// Sets both modes until the scope is dropped.
    #[must_use]
    pub fn enter(recording: bool, training: bool) -> Scope {
        Scope { recording: set_recording(recording), training: set_training(training) }
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        set_recording(self.recording);
        set_training(self.training);
    }
}

/// Runs `f` recording and in training mode.
pub fn record<T>(f: impl FnOnce() -> T) -> T {
    let _scope = Scope::enter(true, true);
    f()
}

/// Runs `f` without recording and not in training mode.
pub fn pause<T>(f: impl FnOnce() -> T) -> T {
    let _scope = Scope::enter(false, false);
    f()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_come_back_after_a_panic() {
        let _ = std::panic::catch_unwind(|| record(|| std::panic::resume_unwind(Box::new(()))));
        assert!(!is_recording() && !is_training());
        record(|| {
            pause(|| assert!(!is_recording() && !is_training()));
            assert!(is_recording() && is_training());
        });
    }
}
