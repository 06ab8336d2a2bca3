//! Memory of arrays: 64-byte aligned blocks, shared by reference count, with a version that counts changes in place.
//!
//! Freed blocks go back to a pool of size classes: a fresh page costs more than the arithmetic done on it. Small blocks
//! are kept per thread, large ones behind a lock that is tried for a moment only, so that a fork at the wrong moment cannot hang
//! the child. The pool is capped ([`trim`] empties it).

use crate::dtype::{DType, Elem};
use crate::error::Result;
use std::alloc::{Layout, alloc, alloc_zeroed, dealloc};
use std::any::Any;
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

/// Alignment of every block: a cache line, and the widest vector.
pub const ALIGN: usize = 64;

/// Elements in memory that may be shared and aliased: what kernels read and write. Holding one keeps nothing alive; the
/// array it came from does.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    ptr: *mut u8,
    len: usize,
    dtype: DType,
}

// SAFETY: a span is a pointer with a length; the kernels that share one among threads give each thread its own part.
unsafe impl Send for Span {}
// SAFETY: as above.
unsafe impl Sync for Span {}

impl Span {
    /// # Safety
    /// `ptr` points to `len` elements of `dtype`, aligned for it, that stay alive while the span is used.
    #[inline]
    pub unsafe fn new(ptr: *mut u8, len: usize, dtype: DType) -> Span {
        Span { ptr, len, dtype }
    }

    /// Number of elements.
    #[inline]
    pub fn len(self) -> usize {
        self.len
    }

    /// Whether there are no elements.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Type of the elements.
    #[inline]
    pub fn dtype(self) -> DType {
        self.dtype
    }

    /// Address of the first element.
    #[inline]
    pub fn ptr<T: Elem>(self) -> *mut T {
        debug_assert_eq!(T::DTYPE, self.dtype.stored());
        self.ptr.cast()
    }

    /// Address of the first byte.
    #[inline]
    pub fn bytes(self) -> *mut u8 {
        self.ptr
    }

    /// The elements, to be read.
    /// # Safety
    /// Nothing writes them while the slice lives.
    #[inline]
    pub unsafe fn slice<'a, T: Elem>(self) -> &'a [T] {
        // SAFETY: `new` promised the memory, the caller that nothing writes it.
        unsafe { std::slice::from_raw_parts(self.ptr::<T>(), self.len) }
    }

    /// The elements, to be written.
    /// # Safety
    /// Nothing else reads or writes them while the slice lives.
    #[inline]
    pub unsafe fn slice_mut<'a, T: Elem>(self) -> &'a mut [T] {
        // SAFETY: `new` promised the memory, the caller that it is not shared meanwhile.
        unsafe { std::slice::from_raw_parts_mut(self.ptr::<T>(), self.len) }
    }

    /// `len` elements from `start` on.
    #[inline]
    pub fn sub(self, start: usize, len: usize) -> Span {
        debug_assert!(start + len <= self.len);
        // SAFETY: inside the span, so inside its memory.
        Span { ptr: unsafe { self.ptr.add(start * self.dtype.size()) }, len, dtype: self.dtype }
    }

    /// Whether the two share a byte.
    pub fn overlaps(self, other: Span) -> bool {
        let (a, b) = (self.ptr as usize, other.ptr as usize);
        let (n, m) = (self.len * self.dtype.size(), other.len * other.dtype.size());
        n > 0 && m > 0 && a < b + m && b < a + n
    }

    /// Whether the two are the same elements, all of them.
    pub fn same(self, other: Span) -> bool {
        self.ptr == other.ptr && self.len == other.len && self.dtype == other.dtype
    }
}

/// One block of memory. Reference counted by `Arc`; arrays and their views share it.
pub struct Storage {
    /// Only [`Storage::exchange`] changes it.
    ptr: AtomicPtr<u8>,
    bytes: usize,
    version: AtomicU64,
    shared: AtomicBool,
    owner: Owner,
}

enum Owner {
    /// Index of the size class in the pool.
    Pool(usize),
    /// Memory of somebody else; dropped when the last array goes.
    Foreign(#[allow(dead_code)] Box<dyn Any + Send + Sync>),
    /// Zeros that stand for values which are not there, and whether somebody has asked for them.
    Phantom(AtomicBool),
}

// SAFETY: the pointer is owned (or its owner is, and is Send); the runtime orders writes as the doc of `Tensor` says.
unsafe impl Send for Storage {}
// SAFETY: as above.
unsafe impl Sync for Storage {}

impl Storage {
    /// A block of at least `bytes` bytes with unspecified content.
    pub fn new(bytes: usize) -> Result<Arc<Storage>> {
        let class = class_of(bytes)?;
        Ok(Storage::of(class, take(class).map_or_else(|| fresh(class, false), Ok)?, bytes))
    }

    /// A block of zeros. Large ones that are new cost no memory as long as nobody writes them: gradients of a network that is
    /// never trained.
    pub fn zeros(bytes: usize) -> Result<Arc<Storage>> {
        let class = class_of(bytes)?;
        let ptr = match take(class) {
            None => fresh(class, true)?,
            Some(ptr) => {
                // SAFETY: a block of this class.
                unsafe { ptr.write_bytes(0, bytes) };
                ptr
            }
        };
        Ok(Storage::of(class, ptr, bytes))
    }

    fn of(class: usize, ptr: *mut u8, bytes: usize) -> Arc<Storage> {
        let live = LIVE.fetch_add(class_bytes(class), Relaxed) + class_bytes(class);
        if live > PEAK.load(Relaxed) {
            PEAK.fetch_max(live, Relaxed);
        }
        Arc::new(Storage {
            ptr: AtomicPtr::new(ptr),
            bytes,
            version: AtomicU64::new(0),
            shared: AtomicBool::new(false),
            owner: Owner::Pool(class),
        })
    }

    /// Memory that somebody else owns; `owner` is dropped when no array uses it any more.
    /// # Safety
    /// `ptr` points to `bytes` bytes, aligned for what will be read from it, that stay alive and in place until `owner` is dropped.
    pub unsafe fn foreign(ptr: *mut u8, bytes: usize, owner: Box<dyn Any + Send + Sync>) -> Arc<Storage> {
        Arc::new(Storage {
            ptr: AtomicPtr::new(ptr),
            bytes,
            version: AtomicU64::new(0),
            shared: AtomicBool::new(false),
            owner: Owner::Foreign(owner),
        })
    }

    /// A block that stands for values which are not there, while calls are traced: an address, and zeros that cost no memory as
    /// long as nobody touches them.
    pub fn phantom(bytes: usize) -> Result<Arc<Storage>> {
        let ptr = lazy(bytes, true);
        if ptr.is_null() {
            bail!(Memory, "cannot allocate {bytes} bytes");
        }
        let owner = Owner::Phantom(AtomicBool::new(false));
        Ok(Arc::new(Storage {
            ptr: AtomicPtr::new(ptr),
            bytes,
            version: AtomicU64::new(0),
            shared: AtomicBool::new(false),
            owner,
        }))
    }

    /// Says that somebody looks at the values, which matters where there are none.
    #[inline]
    pub fn look(&self) {
        if let Owner::Phantom(looked) = &self.owner {
            looked.store(true, Relaxed);
        }
    }

    /// Whether somebody has looked at values that are not there.
    pub fn was_looked_at(&self) -> bool {
        matches!(&self.owner, Owner::Phantom(looked) if looked.load(Relaxed))
    }

    /// Says that somebody outside has the address, who may change the content without a word.
    pub fn share(&self) {
        self.shared.store(true, Relaxed);
    }

    /// Whether the content may change without a change of the version: the memory is somebody else's, or somebody has its address.
    pub fn is_shared(&self) -> bool {
        matches!(self.owner, Owner::Foreign(_)) || self.shared.load(Relaxed)
    }

    /// Address of the first byte.
    #[inline]
    pub fn ptr(&self) -> *mut u8 {
        self.ptr.load(Relaxed)
    }

    /// Lets two blocks exchange their memory, where both are the pool's and of one size, and nobody outside has an address; says whether it
    /// was done. All arrays on them see the change, as they see one in place.
    /// # Safety
    /// Nothing reads or writes either meanwhile, and no span of either is used afterwards.
    pub(crate) unsafe fn exchange(&self, other: &Storage) -> bool {
        let fits = match (&self.owner, &other.owner) {
            (Owner::Pool(a), Owner::Pool(b)) => a == b && self.bytes == other.bytes,
            _ => false,
        };
        if !fits || self.is_shared() || other.is_shared() {
            return false;
        }
        let mine = self.ptr();
        self.ptr.store(other.ptr(), Relaxed);
        other.ptr.store(mine, Relaxed);
        self.bump();
        other.bump();
        true
    }

    /// Size in bytes.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How often the content was changed in place.
    #[inline]
    pub fn version(&self) -> u64 {
        self.version.load(Relaxed)
    }

    /// Counts a change in place.
    #[inline]
    pub fn bump(&self) {
        self.version.fetch_add(1, Relaxed);
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        match self.owner {
            Owner::Pool(class) => {
                LIVE.fetch_sub(class_bytes(class), Relaxed);
                give(class, self.ptr());
            }
            Owner::Foreign(_) => {}
            // SAFETY: the block came from `lazy` with this size.
            Owner::Phantom(_) => unsafe { give_back(self.ptr(), self.bytes) },
        }
    }
}

// ---- the pool

/// Classes: four per doubling, from 64 bytes. The last one is far beyond any memory.
const CLASSES: usize = 4 * 40;
/// Classes up to 4 KiB are kept per thread.
const SMALL: usize = 4 * 6 + 1;
/// Small blocks kept per class and thread.
const KEEP: usize = 64;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static POOLED: AtomicUsize = AtomicUsize::new(0);
static LARGE: Mutex<Vec<Vec<Block>>> = Mutex::new(Vec::new());

struct Block(*mut u8);
// SAFETY: a block in the pool belongs to the pool alone.
unsafe impl Send for Block {}

struct Magazine([Vec<Block>; SMALL]);

impl Drop for Magazine {
    fn drop(&mut self) {
        for (class, blocks) in self.0.iter_mut().enumerate() {
            blocks.drain(..).for_each(|b| release(class, b.0));
        }
    }
}

thread_local! {
    static MAGAZINE: RefCell<Magazine> = const { RefCell::new(Magazine([const { Vec::new() }; SMALL])) };
}

/// Bytes of a class: 64, 80, 96, 112, 128, 160, … rounded up to whole cache lines.
#[inline]
fn class_bytes(class: usize) -> usize {
    let base = 64usize << (class / 4);
    (base + base / 4 * (class % 4)).next_multiple_of(ALIGN)
}

fn class_of(bytes: usize) -> Result<usize> {
    let n = bytes.max(ALIGN);
    if n > physical_memory() {
        bail!(Memory, "cannot allocate {bytes} bytes, this machine has {}", physical_memory());
    }
    let doubling = (usize::BITS - 1 - n.leading_zeros()) as usize - 6;
    let base = 64usize << doubling;
    let step = (n - base).div_ceil((base / 4).max(1));
    Ok((doubling * 4 + step).min(CLASSES - 1))
}

/// Bytes of memory that the machine has.
fn physical_memory() -> usize {
    static BYTES: OnceLock<usize> = OnceLock::new();
    *BYTES.get_or_init(|| {
        let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kib = info.split_whitespace().nth(1).and_then(|n| n.parse::<usize>().ok());
        kib.map_or(isize::MAX as usize, |k| k * 1024)
    })
}

fn layout(class: usize) -> Layout {
    Layout::from_size_align(class_bytes(class), ALIGN).expect("class sizes are far below isize::MAX")
}

/// Bytes from which on a block is aligned here: the system's allocator knows that fresh pages are 0, but when it is asked for zeros with an
/// alignment it writes them.
const PAGES: usize = 128 << 10;

/// Room for a block and, before it, the distance to what the system's allocator gave.
fn lazy_layout(bytes: usize) -> Option<Layout> {
    Layout::from_size_align(bytes.checked_add(2 * ALIGN)?, size_of::<usize>()).ok()
}

/// An aligned block whose pages are not touched; null when there is no memory.
fn lazy(bytes: usize, zeros: bool) -> *mut u8 {
    let Some(layout) = lazy_layout(bytes) else { return std::ptr::null_mut() };
    // SAFETY: the layout has a size; the block begins at least a word behind what is allocated, and ends inside of it.
    unsafe {
        let base = if zeros { alloc_zeroed(layout) } else { alloc(layout) };
        if base.is_null() {
            return base;
        }
        let ahead = (base as usize + size_of::<usize>()).next_multiple_of(ALIGN) - base as usize;
        let ptr = base.add(ahead);
        ptr.cast::<usize>().sub(1).write(ahead);
        ptr
    }
}

/// # Safety
/// `ptr` came from [`lazy`] with that size.
unsafe fn give_back(ptr: *mut u8, bytes: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let ahead = ptr.cast::<usize>().sub(1).read();
        if let Some(layout) = lazy_layout(bytes) {
            dealloc(ptr.sub(ahead), layout);
        }
    }
}

fn fresh(class: usize, zeros: bool) -> Result<*mut u8> {
    let bytes = class_bytes(class);
    let one = || match (bytes >= PAGES, zeros) {
        (true, _) => lazy(bytes, zeros),
        // SAFETY: the layout has a size of at least 64.
        (false, true) => unsafe { alloc_zeroed(layout(class)) },
        // SAFETY: as above.
        (false, false) => unsafe { alloc(layout(class)) },
    };
    let mut ptr = one();
    if ptr.is_null() {
        trim();
        ptr = one();
    }
    if ptr.is_null() {
        bail!(Memory, "cannot allocate {bytes} bytes, {} are in use", LIVE.load(Relaxed));
    }
    Ok(ptr)
}

fn release(class: usize, ptr: *mut u8) {
    POOLED.fetch_sub(class_bytes(class), Relaxed);
    let bytes = class_bytes(class);
    // SAFETY: every block of a class came from `fresh`.
    unsafe { if bytes >= PAGES { give_back(ptr, bytes) } else { dealloc(ptr, layout(class)) } }
}

/// The large blocks. Other threads hold the lock for a moment only, and without it a block would be made of fresh pages; but in a child that was
/// forked at the wrong moment nobody lets go of it.
fn large() -> Option<MutexGuard<'static, Vec<Vec<Block>>>> {
    for _ in 0..256 {
        if let Ok(blocks) = LARGE.try_lock() {
            return Some(blocks);
        }
        std::hint::spin_loop();
    }
    None
}

fn take(class: usize) -> Option<*mut u8> {
    let block = if class < SMALL {
        MAGAZINE.try_with(|m| m.borrow_mut().0[class].pop()).ok().flatten()
    } else {
        large().and_then(|mut l| l.get_mut(class).and_then(Vec::pop))
    }?;
    POOLED.fetch_sub(class_bytes(class), Relaxed);
    Some(block.0)
}

/// Bytes that the pool may hold: a quarter of the memory.
fn cap() -> usize {
    physical_memory() / 4
}

fn give(class: usize, ptr: *mut u8) {
    let bytes = class_bytes(class);
    POOLED.fetch_add(bytes, Relaxed);
    let kept = if class < SMALL {
        MAGAZINE
            .try_with(|m| {
                let list = &mut m.borrow_mut().0[class];
                (list.len() < KEEP).then(|| list.push(Block(ptr))).is_some()
            })
            .unwrap_or(false)
    } else if POOLED.load(Relaxed) <= cap() {
        large().is_some_and(|mut l| {
            if l.is_empty() {
                l.resize_with(CLASSES, Vec::new);
            }
            l[class].push(Block(ptr));
            true
        })
    } else {
        false
    };
    if !kept {
        release(class, ptr);
    }
}

/// Gives all memory that the pool holds back to the system: that of large blocks, and of this thread's small ones.
pub fn trim() {
    if let Some(mut large) = large() {
        for (class, blocks) in large.iter_mut().enumerate() {
            blocks.drain(..).for_each(|b| release(class, b.0));
        }
    }
    let _ = MAGAZINE
        .try_with(|m| drop(std::mem::replace(&mut *m.borrow_mut(), Magazine([const { Vec::new() }; SMALL]))));
}

/// Bytes held by arrays, the most that ever were, and bytes kept in the pool for reuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryStats {
    /// Bytes of the blocks that arrays hold now.
    pub live: usize,
    /// The largest value of `live` since the start or the last [`reset_peak`].
    pub peak: usize,
    /// Bytes that are free and kept for reuse.
    pub pooled: usize,
}

/// How much memory is used.
pub fn memory_stats() -> MemoryStats {
    MemoryStats { live: LIVE.load(Relaxed), peak: PEAK.load(Relaxed), pooled: POOLED.load(Relaxed) }
}

/// Makes the present use the peak.
pub fn reset_peak() {
    PEAK.store(LIVE.load(Relaxed), Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_hold_what_they_are_asked_for() {
        for bytes in (0..20_000).chain([1 << 20, (1 << 20) + 1, 123_456_789]) {
            let c = class_of(bytes).unwrap();
            assert!(class_bytes(c) >= bytes, "{bytes} in class {c} of {}", class_bytes(c));
            assert!(class_bytes(c) <= bytes.max(64) * 5 / 4 + 64);
        }
        assert!(class_of(usize::MAX / 2).is_err());
    }

    #[test]
    fn freed_blocks_come_back_aligned() {
        for bytes in [1, 100, 5000, 1 << 20] {
            let a = Storage::new(bytes).unwrap();
            let p = a.ptr() as usize;
            assert_eq!(p % ALIGN, 0);
            drop(a);
            if bytes < 4096 {
                assert_eq!(Storage::new(bytes).unwrap().ptr() as usize, p);
            }
        }
        for bytes in [8, 5000, 1 << 20, 3 << 20] {
            // Once fresh, once used before.
            for _ in 0..2 {
                let a = Storage::zeros(bytes).unwrap();
                assert_eq!(a.ptr() as usize % ALIGN, 0);
                // SAFETY: the block is this large, and nobody else has it.
                let all = unsafe { std::slice::from_raw_parts_mut(a.ptr(), bytes) };
                assert!(all.iter().all(|&b| b == 0));
                all.fill(1);
            }
        }
    }

    #[test]
    fn foreign_owners_are_dropped_with_the_last_user() {
        let owner: Arc<Vec<u8>> = Arc::new(vec![7; 128]);
        // SAFETY: the vector lives in the Arc that is handed over.
        let s = unsafe { Storage::foreign(owner.as_ptr().cast_mut(), 128, Box::new(owner.clone())) };
        assert_eq!(Arc::strong_count(&owner), 2);
        drop(s);
        assert_eq!(Arc::strong_count(&owner), 1);
    }

    #[test]
    fn blocks_exchange_their_memory_unless_somebody_has_an_address() {
        let (a, b, other) =
            (Storage::new(4096).unwrap(), Storage::new(4096).unwrap(), Storage::new(8192).unwrap());
        let (x, y) = (a.ptr(), b.ptr());
        // SAFETY: nobody uses them.
        unsafe {
            assert!(a.exchange(&b));
            assert_eq!((a.ptr(), b.ptr()), (y, x));
            assert_eq!((a.version(), b.version()), (1, 1));
            assert!(!a.exchange(&other), "another size");
            b.share();
            assert!(!a.exchange(&b) && !b.exchange(&a), "an address was given away");
        }
        assert_eq!((a.ptr(), b.ptr(), a.version()), (y, x, 1));
    }

    #[test]
    fn spans_know_what_they_share() {
        let s = Storage::new(64).unwrap();
        // SAFETY: 16 floats are in the block.
        let a = unsafe { Span::new(s.ptr(), 16, DType::F32) };
        assert!(a.overlaps(a.sub(15, 1)) && !a.sub(0, 8).overlaps(a.sub(8, 8)) && !a.overlaps(a.sub(3, 0)));
        assert!(a.same(a.sub(0, 16)));
    }
}
