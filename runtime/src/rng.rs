//! Where random numbers come from: one counter-based stream for each device. A call that draws reserves a range of
//! counters beforehand and computes block `i` from the key and `counter + i` alone, so that the numbers depend on the
//! seed and on the order of calls, never on the number of threads. No locks: a fork at any moment leaves it usable.

use crate::device::Device;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A reserved part of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// The generator's key: what was seeded.
    pub key: u64,
    /// The first of the reserved counters; those that follow, as many as were asked for, are reserved too.
    pub counter: u64,
}

struct State {
    key: AtomicU64,
    counter: AtomicU64,
}

/// Streams kept; devices whose numbers differ by a multiple of it share one.
const STREAMS: usize = 64;

static STATES: [State; STREAMS] = {
    let mut all = [const { State { key: AtomicU64::new(0), counter: AtomicU64::new(0) } }; STREAMS];
    let mut i = 0;
    while i < STREAMS {
        all[i].key = AtomicU64::new(key_of(0, i));
        i += 1;
    }
    all
};

/// The key of stream `i`: stream 0 has the seed itself, the others are apart from it and from each other.
const fn key_of(seed: u64, i: usize) -> u64 {
    seed.wrapping_add((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn state(device: Device) -> &'static State {
    &STATES[device.id().rem_euclid(STREAMS as i32) as usize]
}

fn set(state: &State, key: u64) {
    state.key.store(key, Relaxed);
    state.counter.store(0, Relaxed);
}

/// Seeds all devices; each gets its own stream. A process starts as if seeded with 0.
pub fn seed(seed: u64) {
    for (i, s) in STATES.iter().enumerate() {
        set(s, key_of(seed, i));
    }
}

/// Seeds one device: the same seed gives the same numbers on every device.
pub fn seed_device(seed: u64, device: Device) {
    set(state(device), seed);
}

/// Reserves `n` counters of a device's stream.
pub fn reserve(device: Device, n: u64) -> Stream {
    let s = state(device);
    Stream { key: s.key.load(Relaxed), counter: s.counter.fetch_add(n, Relaxed) }
}

/// Where a device's stream is.
pub fn position(device: Device) -> Stream {
    let s = state(device);
    Stream { key: s.key.load(Relaxed), counter: s.counter.load(Relaxed) }
}

/// Puts a device's stream where it was.
pub fn rewind(device: Device, to: Stream) {
    let s = state(device);
    s.key.store(to.key, Relaxed);
    s.counter.store(to.counter, Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_ranges_do_not_overlap_and_seeds_start_again() {
        // A device of its own: other tests draw at the same time.
        let d = Device::cpu(63);
        seed_device(7, d);
        let a = reserve(d, 10);
        let b = reserve(d, 1);
        assert_eq!((a, b), (Stream { key: 7, counter: 0 }, Stream { key: 7, counter: 10 }));
        seed_device(7, d);
        assert_eq!(reserve(d, 3), a);
        assert_ne!(key_of(7, 0), key_of(7, 1));
    }
}
