//! Random numbers: the counter-based generator Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2,
//! 3", 2011), and distributions made of it.
//!
//! Block `i` of a stream is a function of the key and of `counter + i` alone, so that any thread can make any part. Bulk distributions
//! make 64 numbers from 16 consecutive blocks, laid out so that no level of vectors needs to shuffle. Distributions that reject use
//! one counter for each element ([`Element`]), the upper half of the 128-bit counter telling the attempts apart.

mod bulk;
mod variates;

pub use bulk::{bernoulli, counters, each, exponential, normal, randint, uniform};
pub use variates::{gamma, negative_binomial, poisson};

use crate::rng::Stream;

const M0: u32 = 0xd251_1f53;
const M1: u32 = 0xcd9e_8d57;
const W0: u32 = 0x9e37_79b9;
const W1: u32 = 0xbb67_ae85;

/// One block: 128 random bits.
pub fn philox(key: u64, counter: u64, upper: u64) -> [u32; 4] {
    let mut c = [counter as u32, (counter >> 32) as u32, upper as u32, (upper >> 32) as u32];
    let (mut k0, mut k1) = (key as u32, (key >> 32) as u32);
    for _ in 0..10 {
        let (p, q) = (u64::from(M0) * u64::from(c[0]), u64::from(M1) * u64::from(c[2]));
        c = [(q >> 32) as u32 ^ c[1] ^ k0, q as u32, (p >> 32) as u32 ^ c[3] ^ k1, p as u32];
        (k0, k1) = (k0.wrapping_add(W0), k1.wrapping_add(W1));
    }
    c
}

/// Blocks `counter .. counter + 16`: word `w` of block `i` is at `[w][i]`. Plain loops, which become vectors where this is inlined.
#[inline(always)]
fn philox16(key: u64, counter: u64) -> [[u32; 16]; 4] {
    let mut c = [[0u32; 16]; 4];
    for i in 0..16 {
        let at = counter.wrapping_add(i as u64);
        c[0][i] = at as u32;
        c[1][i] = (at >> 32) as u32;
    }
    let (mut k0, mut k1) = (key as u32, (key >> 32) as u32);
    for _ in 0..10 {
        let mut n = [[0u32; 16]; 4];
        for i in 0..16 {
            let p = u64::from(M0) * u64::from(c[0][i]);
            let q = u64::from(M1) * u64::from(c[2][i]);
            n[0][i] = (q >> 32) as u32 ^ c[1][i] ^ k0;
            n[1][i] = q as u32;
            n[2][i] = (p >> 32) as u32 ^ c[3][i] ^ k1;
            n[3][i] = p as u32;
        }
        c = n;
        (k0, k1) = (k0.wrapping_add(W0), k1.wrapping_add(W1));
    }
    c
}

/// Random numbers of one element: as many as it asks for.
#[derive(Clone, Debug)]
pub struct Element {
    key: u64,
    counter: u64,
    upper: u64,
    words: [u32; 4],
    left: usize,
}

impl Element {
    /// Element `i` of a stream, which must have been reserved.
    pub fn new(stream: Stream, i: u64) -> Element {
        Element { key: stream.key, counter: stream.counter.wrapping_add(i), upper: 0, words: [0; 4], left: 0 }
    }

    /// 32 random bits.
    pub fn word(&mut self) -> u32 {
        if self.left == 0 {
            // The upper half of bulk blocks is 0: keep clear of them.
            self.upper += 1;
            (self.words, self.left) = (philox(self.key, self.counter, self.upper), 4);
        }
        self.left -= 1;
        self.words[3 - self.left]
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        u64::from(self.word()) << 32 | u64::from(self.word())
    }

    /// In [0, 1), 53 bits.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// In (0, 1], 53 bits.
    pub fn open(&mut self) -> f64 {
        1.0 - self.unit()
    }

    /// Standard normal.
    pub fn normal(&mut self) -> f64 {
        let (r, t) = ((-2.0 * self.open().ln()).sqrt(), self.unit());
        r * (2.0 * std::f64::consts::PI * t).cos()
    }

    /// A whole number below `n`, which is not 0. The bias is n / 2^64.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(n)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_those_of_the_published_generator() {
        assert_eq!(philox(0, 0, 0), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(
            philox(u64::MAX, u64::MAX, u64::MAX),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox(0x299f_31d0_a409_3822, 0x85a3_08d3_243f_6a88, 0x0370_7344_1319_8a2e),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
        let many = philox16(77, (1 << 32) - 5);
        for i in 0..16 {
            assert_eq!(philox(77, (1 << 32) - 5 + i as u64, 0), std::array::from_fn(|w| many[w][i]));
        }
    }
}
