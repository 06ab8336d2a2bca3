//! The profiler: when each call began and ended, on which thread, on what shapes, and how much memory was in use after
//! it; as a Chrome trace (the JSON that `chrome://tracing` and Perfetto read).

use super::gradient_of;
use crate::array::Array;
use crate::shape::show;
use crate::storage::memory_stats;
use std::fmt::Write;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

/// What happened between two moments on one thread.
struct Event {
    name: String,
    category: &'static str,
    detail: String,
    /// Nanoseconds since the first event.
    start: u64,
    length: u64,
    thread: u32,
    /// Bytes that arrays held at its end.
    live: usize,
}

static EVENTS: Mutex<Vec<Event>> = Mutex::new(Vec::new());
static START: OnceLock<Instant> = OnceLock::new();
static THREADS: AtomicU32 = AtomicU32::new(1);

thread_local! {
    static THREAD: u32 = THREADS.fetch_add(1, Relaxed);
}

fn events() -> MutexGuard<'static, Vec<Event>> {
    EVENTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Nanoseconds since the profiler was first used.
pub fn now() -> u64 {
    let since = START.get_or_init(Instant::now).elapsed();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn push(name: &str, category: &'static str, detail: String, start: u64) {
    let length = now().saturating_sub(start);
    let thread = THREAD.with(|t| *t);
    let live = memory_stats().live;
    events().push(Event { name: name.to_owned(), category, detail, start, length, thread, live });
}

/// Notes a call that began at `start` and ends now.
pub fn call(op: &'static str, ins: &[&Array], start: u64) {
    let shapes: Vec<String> = ins.iter().map(|a| format!("{} {}", show(a.dims()), a.dtype())).collect();
    let mut detail = shapes.join(", ");
    if let Some(of) = gradient_of() {
        let _ = write!(detail, "; gradient of {of}");
    }
    push(op, if gradient_of().is_some() { "backward" } else { "forward" }, detail, start);
}

/// Notes a span of the user's own that began at `start` and ends now.
pub fn span(name: &str, start: u64) {
    push(name, "user", String::new(), start);
}

/// Forgets everything noted so far.
pub fn reset() {
    events().clear();
}

/// A JSON string.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if (c as u32) < 0x20 => _ = write!(out, "\\u{:04x}", c as u32),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Everything noted so far as a Chrome trace: one complete event for each call or span, and a counter of memory.
pub fn trace() -> String {
    let mut out = String::from("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[");
    let process = std::process::id();
    let micros = |nanos: u64| nanos as f64 / 1e3;
    for (i, e) in events().iter().enumerate() {
        let comma = if i > 0 { "," } else { "" };
        let _ = write!(
            out,
            "{comma}\n{{\"name\":{},\"cat\":\"{}\",\"ph\":\"X\",\"ts\":{:.3},\"dur\":{:.3},\"pid\":{process},\"tid\":{},\
             \"args\":{{\"inputs\":{}}}}},\n{{\"name\":\"memory\",\"ph\":\"C\",\"ts\":{:.3},\"pid\":{process},\
             \"args\":{{\"live\":{}}}}}",
            quoted(&e.name),
            e.category,
            micros(e.start),
            micros(e.length),
            e.thread,
            quoted(&e.detail),
            micros(e.start + e.length),
            e.live,
        );
    }
    out.push_str("\n]}\n");
    out
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn text_is_escaped() {
        assert_eq!(quoted("a\"b\\c\n"), "\"a\\\"b\\\\c\\u000a\"");
    }
}
