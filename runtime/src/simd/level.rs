//! Which vectors this machine has, which are used, and the one place where code crosses into them.

use super::{Work, portable};
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use std::cell::Cell;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::Relaxed};

/// A set of vector instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What every machine has, through crate `wide`.
    Portable,
    /// AVX2 with FMA and F16C, 8 lanes.
    Avx2,
    /// AVX-512 F, VL, BW, DQ, 16 lanes.
    Avx512,
}

impl Level {
    /// Runs `w` with this level's vectors. A level that the machine lacks falls back to the best that it has.
    #[inline]
    pub fn run<W: Work>(self, w: W) -> W::Out {
        #[cfg(target_arch = "x86_64")]
        match self {
            // SAFETY: the cached detection found all features of the trampoline.
            Level::Avx512 if best() >= Level::Avx512 => return unsafe { avx512::enter(w) },
            // SAFETY: as above; no machine has the upper level without this one, `detect` sees to it.
            Level::Avx512 | Level::Avx2 if best() >= Level::Avx2 => return unsafe { avx2::enter(w) },
            _ => {}
        }
        portable::enter(w)
    }

    fn parse(name: &str) -> Option<Level> {
        match name.trim().to_ascii_lowercase().as_str() {
            "portable" => Some(Level::Portable),
            "avx2" => Some(Level::Avx2),
            "avx512" => Some(Level::Avx512),
            _ => None,
        }
    }
}

fn detect() -> Level {
    #[cfg(target_arch = "x86_64")]
    if avx2::detect() {
        return if avx512::detect() { Level::Avx512 } else { Level::Avx2 };
    }
    Level::Portable
}

/// The best level of the machine: asked for at every call, so kept where one load gets it.
#[inline]
fn best() -> Level {
    static BEST: AtomicU8 = AtomicU8::new(0);
    stored(&BEST, detect)
}

/// What `slot` holds, computed first if it holds nothing yet. Racing threads compute the same.
#[inline]
fn stored(slot: &AtomicU8, compute: fn() -> Level) -> Level {
    match slot.load(Relaxed) {
        0 => {
            let l = compute();
            slot.store(l as u8 + 1, Relaxed);
            l
        }
        1 => Level::Portable,
        2 => Level::Avx2,
        _ => Level::Avx512,
    }
}

/// What the variable asks for where the machine has it, else the best there is.
fn chosen(asked: Option<&str>) -> Level {
    asked.and_then(Level::parse).filter(|&l| l <= best()).unwrap_or_else(best)
}

/// How many overrides there are on all threads. Almost always none, which saves a look at the thread's own.
static OVERRIDES: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static OVERRIDE: Cell<Option<Level>> = const { Cell::new(None) };
}

/// The level in use: the best of the machine, unless `KESHI_SIMD` names another that it has. Read once.
#[inline]
pub fn level() -> Level {
    static LEVEL: AtomicU8 = AtomicU8::new(0);
    if OVERRIDES.load(Relaxed) > 0
        && let Some(l) = OVERRIDE.get()
    {
        return l;
    }
    stored(&LEVEL, || chosen(std::env::var("KESHI_SIMD").ok().as_deref()))
}

/// Runs `f` with another level, on this thread and in the parallel work that it starts.
pub fn with_level<R>(l: Level, f: impl FnOnce() -> R) -> R {
    struct Restore(Option<Level>);
    impl Drop for Restore {
        fn drop(&mut self) {
            OVERRIDE.set(self.0);
            OVERRIDES.fetch_sub(1, Relaxed);
        }
    }
    OVERRIDES.fetch_add(1, Relaxed);
    let _restore = Restore(OVERRIDE.replace(Some(l.min(best()))));
    f()
}

/// The levels that this machine has, weakest first.
pub fn available() -> &'static [Level] {
    &[Level::Portable, Level::Avx2, Level::Avx512][..=best() as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_or_missing_levels_fall_back() {
        assert_eq!(chosen(None), best());
        assert_eq!(chosen(Some("sse9")), best());
        assert_eq!(chosen(Some("portable")), Level::Portable);
        assert!(chosen(Some(" AVX512 ")) <= best());
    }

    #[test]
    fn an_override_ends_with_its_scope() {
        let before = level();
        for &l in available() {
            assert_eq!(with_level(l, level), l);
        }
        assert_eq!(level(), before);
    }
}
