//! Vectors of the machine, so that a kernel is mathematics written once.
//!
//! Three facts of the language shape this module. A function that carries `#[target_feature]` cannot be forced inline and
//! cannot be a safe trait method. Code is compiled for the features of the function it is inlined *into*. A vector that
//! crosses a call which was not inlined goes through memory. Hence: kernels are `#[inline(always)]` and generic over a
//! token ([`Simd`]), they name no instruction set; one trampoline per level carries the features ([`Level::run`]), and
//! everything below it is inlined into it. A token can only be had where the machine has the level, so that holding one
//! proves that its instructions may run.
//!
//! The levels are portable (crate `wide`, any machine), AVX2 with FMA, and AVX-512. `wide` alone would not do: it chooses its
//! instructions when it is built, and stays at 128 bits in a binary meant for every machine.
//!
//! Every operation works on each lane alone: results never depend on the place of an element in an array. AVX2 and
//! AVX-512 give the same bits; the portable level has no fused multiply-add and may differ within the stated bounds.
//!
//! Nothing here knows of arrays, threads or dtypes beyond lanes.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod level;
pub mod math;
mod portable;
mod token;

/// Asks for the memory at `p`, which will be read soon. Nothing is read, so any address will do.
#[inline(always)]
pub fn prefetch<T>(p: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every machine of this architecture has the instruction, and it never faults.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(p.cast())
    };
    #[cfg(not(target_arch = "x86_64"))]
    let _ = p;
}

pub use level::{Level, available, level, with_level};
pub use portable::Portable;
pub use token::{Floats, MAX_LANES, Mask, Simd, Work};
#[cfg(target_arch = "x86_64")]
pub use {avx2::Avx2, avx512::Avx512};
