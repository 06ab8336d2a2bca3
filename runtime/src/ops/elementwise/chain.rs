//! Element-wise calls of float32 arrays as one loop, whose values in between stay in registers.
//!
//! The common kernels are known here by their type, as [`noted`](crate::kernels::noted) has found them; a chain of others is run block by
//! block ([`fused`](crate::fused)). Lanes are computed by the kernels themselves, so results are theirs bit for bit.

use super::binary::{Add, Div, Max, Min, Mul, Sub};
use super::exponential::{Exp, Log};
use super::scalar::{DivScalar, MaxScalar, MinScalar, MulScalar, PlusScalar, RdivScalar, RminusScalar};
use super::trigonometric::Tanh;
use super::unary::{Abs, Negative, Relu, ReluGrad, Sigmoid, SigmoidGrad, Sqrt, Square, TanhGrad};
use crate::kernels::head;
use crate::kernels::map::Map;
use crate::kernels::noted::Loop;
use crate::kernels::zip::Zip;
use crate::simd::{Level, Simd, Work};
use std::any::TypeId;

/// Vectors that go through all calls at a time: enough to hide what a call takes, few enough to stay in registers.
const WIDE: usize = 4;

/// Declares the kernels that chains know: of one array, of one array and a number, of two arrays.
macro_rules! known {
    (maps: $($map:ident)*; numbers: $($number:ident)*; zips: $($zip:ident)*;) => {
        #[derive(Clone, Copy, Debug)]
        enum Code { $($map,)* $($number($number),)* $($zip,)* }

        impl Code {
            fn of(l: &Loop) -> Option<Code> {
                $(if l.kernel == TypeId::of::<$map>() { return Some(Code::$map) })*
                // SAFETY: the loop was noted with a kernel of this type.
                $(if l.kernel == TypeId::of::<$number>() { return Some(Code::$number(unsafe { l.kernel() })) })*
                $(if l.kernel == TypeId::of::<$zip>() { return Some(Code::$zip) })*
                None
            }

            fn reads_two(self) -> bool {
                match self {
                    $(Code::$zip => true,)*
                    _ => false,
                }
            }

            #[inline(always)]
            fn lanes<S: Simd, const V: usize>(self, s: S, x: [S::F32; V], y: [S::F32; V]) -> [S::F32; V] {
                let mut to = x;
                match self {
                    $(Code::$map => for v in 0..V { to[v] = Map::lanes($map, s, x[v]) },)*
                    $(Code::$number(k) => for v in 0..V { to[v] = Map::lanes(k, s, x[v]) },)*
                    $(Code::$zip => for v in 0..V { to[v] = Zip::lanes($zip, s, x[v], y[v]) },)*
                }
                to
            }
        }
    };
}

known! {
    maps: Relu Negative Abs Square Sqrt Sigmoid Tanh Exp Log;
    numbers: PlusScalar MulScalar DivScalar RdivScalar RminusScalar MaxScalar MinScalar;
    zips: Add Sub Mul Div Max Min ReluGrad SigmoidGrad TanhGrad;
}

/// Where a call finds a value.
#[derive(Clone, Copy, Debug)]
enum From {
    /// What the call before has computed.
    Last,
    /// An operand in memory.
    Operand(usize),
}

/// One call.
#[derive(Clone, Copy, Debug)]
struct Call {
    code: Code,
    ins: [From; 2],
    /// The operand that it writes, unless only the next call wants it.
    to: Option<usize>,
}

/// Calls on operands of float32 elements.
#[derive(Clone, Debug)]
pub struct Chain {
    calls: Vec<Call>,
}

impl Chain {
    /// Of loops, the operands that they read, and the one that they write. `fixed` operands are the caller's arrays; the others are values in
    /// between. `None` where a loop is not known, or a value in between is wanted by another than the next call.
    pub fn new(loops: &[(Loop, [usize; 2], usize)], fixed: usize) -> Option<Chain> {
        let mut calls: Vec<Call> = Vec::with_capacity(loops.len());
        let mut last = None;
        for (known, ins, out) in loops {
            let code = Code::of(known)?;
            let from = |i: usize| match Some(i) == last {
                true => Some(From::Last),
                false => (i < fixed).then_some(From::Operand(i)),
            };
            let first = from(ins[0])?;
            let second = if code.reads_two() { from(ins[1])? } else { From::Last };
            calls.push(Call { code, ins: [first, second], to: (*out < fixed).then_some(*out) });
            last = Some(*out);
        }
        Some(Chain { calls })
    }

    /// Runs it on elements `begin .. end` of the operands that begin at `operands`; those marked in `past` are written past the caches.
    /// # Safety
    /// Operands are readable, and where a call writes them writable, for these elements. An operand that is written may be exactly one
    /// that no later call reads.
    pub unsafe fn run(&self, level: Level, operands: &[*mut u8], past: &[bool], begin: usize, end: usize) {
        level.run(Part { chain: self, operands, past, begin, end });
    }
}

struct Part<'a> {
    chain: &'a Chain,
    operands: &'a [*mut u8],
    past: &'a [bool],
    begin: usize,
    end: usize,
}

impl Work for Part<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut at = self.begin;
        // SAFETY: elements `begin .. end`.
        unsafe {
            if let Some(i) = self.past.iter().position(|past| *past) {
                let n = head(self.operands[i].cast::<f32>().add(at), S::N, self.end - at, true);
                if n > 0 {
                    self.strip::<S, 1, true>(s, at, n);
                    at += n;
                }
            }
            while at + WIDE * S::N <= self.end {
                self.strip::<S, WIDE, false>(s, at, S::N);
                at += WIDE * S::N;
            }
            while at < self.end {
                let n = S::N.min(self.end - at);
                if n == S::N {
                    self.strip::<S, 1, false>(s, at, n);
                } else {
                    self.strip::<S, 1, true>(s, at, n);
                }
                at += n;
            }
        }
    }
}

impl Part<'_> {
    /// All calls on `V` vectors, or with `PART` on the first `n` lanes of one.
    /// # Safety
    /// So many elements are there.
    #[inline(always)]
    unsafe fn strip<S: Simd, const V: usize, const PART: bool>(&self, s: S, at: usize, n: usize) {
        let mut last = [s.splat(0.0); V];
        for call in &self.chain.calls {
            // SAFETY: the caller's elements. Written out, for an array that is walked does not stay in registers.
            let x = unsafe { self.value::<S, V, PART>(s, call.ins[0], last, at, n) };
            // SAFETY: as above.
            let y = unsafe { self.value::<S, V, PART>(s, call.ins[1], last, at, n) };
            last = call.code.lanes::<S, V>(s, x, y);
            let Some(i) = call.to else { continue };
            // SAFETY: as above.
            unsafe {
                let p = self.operands[i].cast::<f32>().add(at);
                if PART {
                    s.store_part(p, last[0], n);
                } else if self.past[i] && (p as usize).is_multiple_of(S::N * size_of::<f32>()) {
                    for v in 0..V {
                        s.stream(p.add(v * S::N), last[v]);
                    }
                } else {
                    for v in 0..V {
                        s.store(p.add(v * S::N), last[v]);
                    }
                }
            }
        }
    }

    /// # Safety
    /// As for [`Part::strip`].
    #[inline(always)]
    unsafe fn value<S: Simd, const V: usize, const PART: bool>(
        &self,
        s: S,
        from: From,
        last: [S::F32; V],
        at: usize,
        n: usize,
    ) -> [S::F32; V] {
        let From::Operand(i) = from else { return last };
        let mut x = last;
        // SAFETY: the caller's promise.
        unsafe {
            let p = self.operands[i].cast::<f32>().add(at).cast_const();
            for v in 0..V {
                x[v] = if PART { s.load_part(p, n, s.splat(0.0)) } else { s.load(p.add(v * S::N)) };
            }
        }
        x
    }
}
