//! The library as a whole: version, threads, vectors, seeds, memory.

use crate::guard::{guard, guard_or};
use crate::handle::out;
use keshi::kernels::par;
use keshi::simd::{Level, level};
use keshi::{Device, rng, storage};
use std::ffi::{c_char, c_int};

const fn number(text: &str) -> u32 {
    let (mut n, mut i) = (0, 0);
    while i < text.len() {
        n = n * 10 + (text.as_bytes()[i] - b'0') as u32;
        i += 1;
    }
    n
}

/// Version of this header, as ks_version gives that of the library.
pub const KS_VERSION: u32 = 100;

// The header generator sees literals only.
const _: () = assert!(
    KS_VERSION
        == number(env!("CARGO_PKG_VERSION_MAJOR")) * 10_000
            + number(env!("CARGO_PKG_VERSION_MINOR")) * 100
            + number(env!("CARGO_PKG_VERSION_PATCH"))
);

/// Version of the library: major * 10000 + minor * 100 + patch. Compare with KS_VERSION, that of the header.
#[unsafe(no_mangle)]
pub extern "C" fn ks_version() -> u32 {
    KS_VERSION
}

/// Number of threads that work is spread over; 0 returns to the default: KESHI_NUM_THREADS, else OMP_NUM_THREADS, else
/// what the machine has. Results do not depend on it. Always succeeds.
#[unsafe(no_mangle)]
pub extern "C" fn ks_set_num_threads(n: usize) -> c_int {
    guard("ks_set_num_threads", || {
        par::set_num_threads(n);
        Ok(())
    })
}

/// Number of threads that work is spread over into `*out`. Fails when `out` is NULL.
/// # Safety
/// `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_num_threads(out: *mut usize) -> c_int {
    guard("ks_num_threads", || {
        let to = self::out(out, "out")?;
        // SAFETY: the caller's promise.
        unsafe { to.set(par::num_threads()) };
        Ok(())
    })
}

/// The vector instructions in use: `portable`, `avx2` or `avx512`. Borrowed, lives as long as the library.
#[unsafe(no_mangle)]
pub extern "C" fn ks_simd_level() -> *const c_char {
    let name = guard_or("ks_simd_level", c"portable", || match level() {
        Level::Portable => c"portable",
        Level::Avx2 => c"avx2",
        Level::Avx512 => c"avx512",
    });
    name.as_ptr()
}

/// Seeds the random streams of all devices. The same seed and the same calls give the same numbers, on any number of
/// threads. Always succeeds.
#[unsafe(no_mangle)]
pub extern "C" fn ks_seed(seed: u64) -> c_int {
    guard("ks_seed", || {
        rng::seed(seed);
        Ok(())
    })
}

/// Seeds the random stream of one device: the same seed gives the same numbers on every device. Fails for a device that
/// does not exist.
#[unsafe(no_mangle)]
pub extern "C" fn ks_seed_device(seed: u64, device_type: i32, device_id: i32) -> c_int {
    guard("ks_seed_device", || {
        rng::seed_device(seed, Device::new(device_type, device_id)?);
        Ok(())
    })
}

/// Bytes that arrays hold now, the most that they ever held, and bytes that are free and kept for reuse. Each pointer
/// may be NULL. Always succeeds.
/// # Safety
/// `live`, `peak` and `pooled` are each NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_memory_stats(live: *mut usize, peak: *mut usize, pooled: *mut usize) -> c_int {
    guard("ks_memory_stats", || {
        let stats = storage::memory_stats();
        for (to, value) in [(live, stats.live), (peak, stats.peak), (pooled, stats.pooled)] {
            if let Ok(to) = out(to, "") {
                // SAFETY: the caller's promise.
                unsafe { to.set(value) };
            }
        }
        Ok(())
    })
}

/// Makes the present use of memory the peak. Always succeeds.
#[unsafe(no_mangle)]
pub extern "C" fn ks_memory_reset_peak() -> c_int {
    guard("ks_memory_reset_peak", || {
        storage::reset_peak();
        Ok(())
    })
}

/// Gives memory that is kept for reuse back to the system: that of large arrays, and of small ones freed by this
/// thread. Always succeeds.
#[unsafe(no_mangle)]
pub extern "C" fn ks_memory_trim() -> c_int {
    guard("ks_memory_trim", || {
        storage::trim();
        Ok(())
    })
}
