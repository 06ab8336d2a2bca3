//! Threads. The only file that names rayon.
//!
//! The pool is private: the program that loads this library may have its own. It belongs to one process: after a fork the
//! child has none of its threads, so it forgets the pool (dropping it would wait for threads that do not exist) and makes
//! another when it first needs one. Work is cut by its size alone, never by the number of threads, so that results are the
//! same on any machine. The calling thread works too: the others are invited, and what they do not get to, it does itself.

use crate::simd::{Level, level, with_level};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::any::Any;
use std::cell::Cell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicUsize, Ordering::*};
use std::sync::{Arc, Mutex};
use std::thread::{Thread, current, park};
use std::time::{Duration, Instant};

/// Threads that the user asked for; 0 before anybody did.
static THREADS: AtomicUsize = AtomicUsize::new(0);
static POOL: AtomicPtr<Pool> = AtomicPtr::new(null_mut());

/// Helpers of one process. Never dropped.
struct Pool {
    process: u32,
    helpers: usize,
    threads: ThreadPool,
    /// Helpers that look for work.
    awake: AtomicUsize,
    /// The processor that work last came from.
    source: AtomicI32,
}

/// The processor that this thread runs on, where that can be told.
fn processor() -> Option<i32> {
    #[cfg(target_os = "linux")]
    {
        unsafe extern "C" {
            safe fn sched_getcpu() -> i32;
        }
        Some(sched_getcpu())
    }
    #[cfg(not(target_os = "linux"))]
    None
}

thread_local! {
    /// Whether this thread is inside a chunk: then more parallelism runs inline.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    /// Whether this helper is looking for more work.
    static LINGERS: Cell<bool> = const { Cell::new(false) };
}

/// Number of threads that work is spread over: what [`set_num_threads`] said, else `KESHI_NUM_THREADS`, else
/// `OMP_NUM_THREADS`, else what the machine has.
pub fn num_threads() -> usize {
    match THREADS.load(Relaxed) {
        0 => {
            let asked = ["KESHI_NUM_THREADS", "OMP_NUM_THREADS"]
                .iter()
                .find_map(|v| std::env::var(v).ok()?.trim().parse().ok().filter(|&n: &usize| n > 0));
            let n = asked.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get()));
            // Whoever set a number meanwhile was more explicit.
            let _ = THREADS.compare_exchange(0, n.min(MOST), Relaxed, Relaxed);
            THREADS.load(Relaxed)
        }
        n => n,
    }
}

/// More threads than this help nobody.
const MOST: usize = 256;

/// Sets the number of threads; 0 returns to the environment's choice. Results do not depend on it.
pub fn set_num_threads(n: usize) {
    THREADS.store(n.min(MOST), Relaxed);
}

/// At least `helpers` threads of this process, if the system grants them.
fn pool(helpers: usize) -> Option<&'static Pool> {
    let process = std::process::id();
    loop {
        let old = POOL.load(Acquire);
        // SAFETY: what was stored is leaked, never freed.
        if let Some(p) = unsafe { old.as_ref() }
            && p.process == process
            && p.helpers >= helpers
        {
            return Some(p);
        }
        let threads = ThreadPoolBuilder::new()
            .num_threads(helpers)
            .thread_name(|i| format!("keshi-{i}"))
            .start_handler(|_| INSIDE.set(true))
            .build()
            .ok()?;
        let new = Box::into_raw(Box::new(Pool {
            process,
            helpers,
            threads,
            awake: AtomicUsize::new(0),
            source: AtomicI32::new(-1),
        }));
        match POOL.compare_exchange(old, new, AcqRel, Acquire) {
            // The old one belongs to the parent, or is smaller and idle: forgotten either way.
            // SAFETY: just made, and never freed from here on.
            Ok(_) => return Some(unsafe { &*new }),
            // SAFETY: nobody else has seen it.
            Err(_) => drop(unsafe { Box::from_raw(new) }),
        }
    }
}

/// The next chunk of one thread's share. On a cache line of its own.
#[repr(align(64))]
struct Share {
    next: AtomicUsize,
    end: usize,
}

/// One call of [`chunks`], shared with helpers that may come late: after the last chunk has been taken nobody follows `body`.
struct Job {
    body: *const (dyn Fn(usize) + Sync),
    count: usize,
    /// Where each thread begins: at the same place of an array in every call, so that what is in its own cache is met again.
    shares: Box<[Share]>,
    done: AtomicUsize,
    caller: Thread,
    level: Level,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: `body` is Sync, and followed only while the caller waits for it.
unsafe impl Send for Job {}
// SAFETY: as above.
unsafe impl Sync for Job {}

impl Job {
    /// Takes chunks until none is left: those of its own share first, then those that others have not come to.
    fn work(&self, place: usize) {
        let (others, own) = self.shares.split_at(place % self.shares.len());
        for share in own.iter().chain(others) {
            loop {
                let i = share.next.fetch_add(1, Relaxed);
                if i >= share.end {
                    break;
                }
                // SAFETY: chunk `i` is not done, so the caller still waits and the closure lives.
                let body = unsafe { &*self.body };
                if let Err(p) = catch_unwind(AssertUnwindSafe(|| body(i))) {
                    self.panic.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(p);
                }
                if self.done.fetch_add(1, AcqRel) + 1 == self.count {
                    self.caller.unpark();
                }
            }
        }
    }
}

/// Whether all work would run on this thread anyway.
pub(crate) fn alone() -> bool {
    INSIDE.get() || num_threads() == 1
}

/// How many of `n` tasks that do not depend on each other to take at a time: at least `least`, but no more cuts than it takes to keep all
/// threads busy to the end, since memory is read fastest in long runs.
pub(crate) fn grouped(n: usize, least: usize) -> usize {
    least.max(n / (8 * num_threads())).max(1)
}

/// Runs `f(i, i * chunk .. min(n, (i + 1) * chunk))` for every chunk, on as many threads as there are. A panic in a chunk is
/// raised here, after the others have ended. One chunk, one thread, or a call from inside a chunk: all runs right here.
#[inline]
pub fn chunks(n: usize, chunk: usize, f: impl Fn(usize, Range<usize>) + Sync) {
    let chunk = chunk.max(1);
    if n <= chunk {
        if n > 0 {
            f(0, 0..n);
        }
        return;
    }
    many(n, chunk, &f);
}

/// Not generic, and so compiled once.
fn many(n: usize, chunk: usize, f: &(dyn Fn(usize, Range<usize>) + Sync)) {
    let count = n.div_ceil(chunk);
    let body = |i: usize| f(i, i * chunk..n.min((i + 1) * chunk));
    let helpers = (num_threads() - 1).min(count - 1);
    match if helpers == 0 || INSIDE.get() { None } else { pool(helpers) } {
        None => (0..count).for_each(body),
        Some(pool) => spread(pool, helpers, count, &body),
    }
}

fn spread(pool: &'static Pool, helpers: usize, count: usize, body: &(dyn Fn(usize) + Sync)) {
    // SAFETY: only the lifetime is erased; this function does not return before every chunk is done.
    let body =
        unsafe { std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static (dyn Fn(usize) + Sync)>(body) };
    let share = count.div_ceil(helpers + 1);
    let job = Arc::new(Job {
        body,
        count,
        shares: (0..=helpers)
            .map(|i| Share { next: (i * share).into(), end: count.min((i + 1) * share) })
            .collect(),
        done: AtomicUsize::new(0),
        caller: current(),
        level: level(),
        panic: Mutex::new(None),
    });
    pool.comes_from_here();
    for _ in 0..helpers {
        let job = job.clone();
        pool.threads.spawn(move || {
            with_level(job.level, || job.work(rayon::current_thread_index().map_or(0, |i| i + 1)));
            drop(job);
            pool.linger();
        });
    }
    INSIDE.set(true);
    job.work(0);
    INSIDE.set(false);
    // What is left is at most one chunk per helper: look for a while before going to sleep.
    let mut spins = 0;
    while job.done.load(Acquire) < count {
        if spins < 20_000 {
            spins += 1;
            std::hint::spin_loop();
        } else {
            park();
        }
    }
    if let Some(p) = job.panic.lock().unwrap_or_else(|e| e.into_inner()).take() {
        resume_unwind(p);
    }
}

/// How long a helper looks for more work before it sleeps. A sleeping thread comes 15 to 30 microseconds late, which is more than
/// many kernels take, and between the kernels of one training step there is less than this.
const LINGER: Duration = Duration::from_micros(200);

impl Pool {
    fn comes_from_here(&self) {
        self.source.store(processor().unwrap_or(-1), Relaxed);
    }

    /// Waits a while for the next job, unless it is the one who gives out the jobs that it keeps from running; other programs' threads
    /// go first.
    fn linger(&self) {
        if LINGERS.replace(true) {
            return; // a job that was found by the loop below
        }
        self.awake.fetch_add(1, Relaxed);
        let mut last = Instant::now();
        while last.elapsed() < LINGER && processor() != Some(self.source.load(Relaxed)) {
            if rayon::yield_now() == Some(rayon::Yield::Executed) {
                last = Instant::now();
            } else {
                (0..32).for_each(|_| std::hint::spin_loop());
                std::thread::yield_now();
            }
        }
        self.awake.fetch_sub(1, Relaxed);
        LINGERS.set(false);
    }
}

/// Whether a helper would come at once. If none is awake, but this has been asked a moment ago too, one is woken for the next time: who
/// has much work that is only just worth a second thread gets it, who has little pays for no wake-up. Results may not depend on the answer.
pub(crate) fn awake() -> bool {
    thread_local! {
        static ASKED: Cell<Option<Instant>> = const { Cell::new(None) };
    }
    if alone() {
        return false;
    }
    // SAFETY: what was stored is leaked, never freed.
    if unsafe { POOL.load(Acquire).as_ref() }.is_some_and(|p| p.awake.load(Relaxed) > 0) {
        return true;
    }
    let now = Instant::now();
    if ASKED.replace(Some(now)).is_some_and(|before| now - before < LINGER)
        && let Some(pool) = pool(1)
    {
        pool.comes_from_here();
        pool.threads.spawn(|| pool.linger());
    }
    false
}

/// Runs both, perhaps at the same time.
pub fn join<A: Send, B: Send>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
    let (a, b) = (Mutex::new(Some(a)), Mutex::new(Some(b)));
    let (ra, rb) = (Mutex::new(None), Mutex::new(None));
    chunks(2, 1, |i, _| {
        // Each closure is taken once; the locks are never contended.
        if i == 0 {
            let f = a.lock().unwrap().take().expect("runs once");
            let r = f();
            *ra.lock().unwrap() = Some(r);
        } else {
            let f = b.lock().unwrap().take().expect("runs once");
            let r = f();
            *rb.lock().unwrap() = Some(r);
        }
    });
    (ra.into_inner().unwrap().expect("has run"), rb.into_inner().unwrap().expect("has run"))
}

/// Tests that change the number of threads take this, one at a time; results may not depend on it, other tests need not care.
#[cfg(test)]
pub(crate) fn with_threads<R>(n: usize, f: impl FnOnce() -> R) -> R {
    static ONE: Mutex<()> = Mutex::new(());
    let _guard = ONE.lock().unwrap_or_else(|e| e.into_inner());
    let before = num_threads();
    set_num_threads(n);
    let r = f();
    set_num_threads(before);
    r
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::available;

    #[test]
    fn a_lone_thread_wakes_nobody() {
        with_threads(2, || assert_eq!(total(1000, 10), 500_500));
        with_threads(1, || assert!((0..3).all(|_| !awake())));
    }

    fn total(n: usize, chunk: usize) -> usize {
        let sum = AtomicUsize::new(0);
        chunks(n, chunk, |i, r| {
            assert_eq!(r.start, i * chunk);
            sum.fetch_add(r.map(|k| k + 1).sum::<usize>(), Relaxed);
        });
        sum.into_inner()
    }

    #[test]
    fn every_element_is_visited_once() {
        for threads in [1, 2, 3] {
            with_threads(threads, || {
                for n in [0, 1, 7, 64, 1000] {
                    for chunk in [1, 3, 64, 5000] {
                        assert_eq!(total(n, chunk), n * (n + 1) / 2);
                    }
                }
            });
        }
    }

    #[test]
    fn nested_calls_run_inline_and_keep_the_level() {
        for &l in available() {
            with_level(l, || {
                chunks(16, 1, |_, _| {
                    assert_eq!(level(), l);
                    assert_eq!(total(100, 1), 5050);
                });
            });
        }
        assert_eq!(join(|| 1, || total(10, 1)), (1, 55));
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_survives() {
        for _ in 0..20 {
            let r = catch_unwind(|| chunks(50, 1, |i, _| assert!(i != 31, "chunk 31")));
            let text = *r.unwrap_err().downcast::<&str>().expect("an assertion's message");
            assert!(text.contains("chunk 31"));
            assert_eq!(total(100, 1), 5050);
        }
    }

    #[test]
    fn a_forked_child_makes_its_own_pool() {
        unsafe extern "C" {
            fn fork() -> i32;
            fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
            fn alarm(seconds: u32) -> u32;
            fn _exit(status: i32) -> !;
        }
        with_threads(2, || {
            assert_eq!(total(1000, 1), 500_500);
            // SAFETY: the child does parallel work, then leaves without running anything of the parent's. Should it hang, the
            // alarm ends it and the status shows it.
            let child = unsafe { fork() };
            if child == 0 {
                // SAFETY: as above.
                unsafe { alarm(20) };
                let ids = Mutex::new(std::collections::HashSet::new());
                let slow = |_: usize, _: Range<usize>| {
                    ids.lock().unwrap().insert(current().id());
                    std::thread::sleep(std::time::Duration::from_millis(5));
                };
                chunks(20, 1, slow);
                let ok = total(1000, 1) == 500_500 && ids.lock().unwrap().len() == 2;
                // SAFETY: as above.
                unsafe { _exit(if ok { 0 } else { 1 }) };
            }
            let mut status = -1;
            // SAFETY: waits for the child just made.
            assert_eq!(unsafe { waitpid(child, &mut status, 0) }, child);
            assert_eq!(status, 0, "0 is success, 256 a wrong result, 14 a hang");
            assert_eq!(total(1000, 1), 500_500);
        });
    }
}
