//! The loop of a call, without the call: what [`map`](super::map::map) and [`zip`](super::zip::zip) do with their kernel to elements
//! that lie one after another, noted instead of done, so that it can be done to one block after the other for the price of a
//! function pointer.

use crate::simd::Level;
use crate::storage::Span;
use std::any::TypeId;
use std::cell::Cell;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Room for a kernel's own values: numbers, a few functions.
pub(super) type Room = [MaybeUninit<u64>; 6];

/// `ins`, as many elements of each as the output gets, to an output; whether to write past the caches.
type Step = unsafe fn(&Room, Level, [*const u8; 2], *mut u8, usize, bool);

/// A loop over elements of one dtype.
#[derive(Clone, Copy)]
pub struct Loop {
    step: Step,
    room: Room,
    /// The type of the kernel.
    pub kernel: TypeId,
    /// Where the inputs and the output were that it was noted with.
    pub ins: [usize; 2],
    pub out: usize,
}

impl std::fmt::Debug for Loop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Loop")
    }
}

impl Loop {
    /// The kernel.
    /// # Safety
    /// It is of type `K`.
    pub unsafe fn kernel<K: Copy>(&self) -> K {
        // SAFETY: the caller's promise.
        unsafe { kernel(&self.room) }
    }

    /// Runs it. What is written past the caches is ordered before later writes by the caller.
    /// # Safety
    /// `ins`, as many as were noted, are readable and `out` is writable for `n` elements of the dtype with which it was noted; `out` may
    /// be exactly an input.
    #[inline]
    pub unsafe fn run(&self, level: Level, ins: [*const u8; 2], out: *mut u8, n: usize, stream: bool) {
        // SAFETY: the caller's promise; the kernel is the one that `step` was made for.
        unsafe { (self.step)(&self.room, level, ins, out, n, stream) }
    }
}

/// Threads that note at the moment: while there are none, nobody looks at [`NOTES`].
static NOTING: AtomicUsize = AtomicUsize::new(0);

/// What was noted.
#[derive(Clone, Copy)]
enum Notes {
    Off,
    Nothing,
    One(Loop),
    More,
}

thread_local! {
    static NOTES: Cell<Notes> = const { Cell::new(Notes::Off) };
}

/// The one loop that `f` runs through [`map`](super::map::map) or [`zip`](super::zip::zip) on contiguous floats, which is then not done;
/// `None` where it runs none, or several. Anything else that `f` does, it does.
pub fn of<E>(f: impl FnOnce() -> Result<(), E>) -> Option<Loop> {
    struct Off;
    impl Drop for Off {
        fn drop(&mut self) {
            NOTES.set(Notes::Off);
            NOTING.fetch_sub(1, Relaxed);
        }
    }
    NOTING.fetch_add(1, Relaxed);
    NOTES.set(Notes::Nothing);
    let _off = Off;
    let done = f();
    match NOTES.get() {
        Notes::One(l) if done.is_ok() => Some(l),
        _ => None,
    }
}

/// Notes a loop, if this thread does so; whether it did. `step` reads a `K` from its room.
#[inline(always)]
pub(super) fn note<K: Copy + 'static>(kernel: K, step: Step, ins: [Span; 2], out: Span) -> bool {
    NOTING.load(Relaxed) > 0 && note_it(kernel, step, ins, out)
}

#[cold]
fn note_it<K: Copy + 'static>(kernel: K, step: Step, ins: [Span; 2], out: Span) -> bool {
    let mut room: Room = [MaybeUninit::uninit(); 6];
    let now = match NOTES.get() {
        Notes::Off => return false,
        Notes::Nothing if size_of::<K>() <= size_of::<Room>() && align_of::<K>() <= align_of::<Room>() => {
            // SAFETY: it fits.
            unsafe { room.as_mut_ptr().cast::<K>().write(kernel) };
            let ins = ins.map(|x| x.bytes() as usize);
            Notes::One(Loop { step, room, kernel: TypeId::of::<K>(), ins, out: out.bytes() as usize })
        }
        _ => Notes::More,
    };
    NOTES.set(now);
    true
}

/// The kernel in a room.
/// # Safety
/// A `K` was put there.
#[inline(always)]
pub(super) unsafe fn kernel<K: Copy>(room: &Room) -> K {
    // SAFETY: the caller's promise.
    unsafe { room.as_ptr().cast::<K>().read() }
}
