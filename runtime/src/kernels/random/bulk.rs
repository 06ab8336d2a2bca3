//! Distributions that take a fixed number of random bits for each element: made 64 at a time.

use super::{Element, philox16};
use crate::dtype::{DType, Elem};
use crate::kernels::lane::narrow;
use crate::kernels::par;
use crate::rng::Stream;
use crate::simd::{Level, Simd, Work, level, math};
use crate::storage::Span;
use half::{bf16, f16};

/// Numbers made at a time, from 16 blocks.
const GROUP: usize = 64;
/// Elements per parallel chunk, a multiple of the group.
const CHUNK: usize = 16 * 1024;

/// Counters that `n` elements need.
pub fn counters(n: usize) -> u64 {
    // float64 takes one counter for each element, the others 16 for each group.
    (n as u64).next_multiple_of(GROUP as u64)
}

/// Makes a group of float32 from 64 random words.
trait Make: Copy + Send + Sync {
    fn make<S: Simd>(self, s: S, words: &[[u32; 16]; 4], out: &mut [f32; GROUP]);
}

struct Groups<K> {
    k: K,
    key: u64,
    counter: u64,
    out: *mut f32,
    n: usize,
}

impl<K: Make> Work for Groups<K> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (mut at, mut counter) = (0, self.counter);
        let mut buf = [0f32; GROUP];
        while at < self.n {
            let words = philox16(self.key, counter);
            let count = GROUP.min(self.n - at);
            // SAFETY: `fill` gave n elements.
            unsafe {
                let to = self.out.add(at);
                if count == GROUP {
                    self.k.make(s, &words, &mut *to.cast());
                } else {
                    self.k.make(s, &words, &mut buf);
                    std::ptr::copy_nonoverlapping(buf.as_ptr(), to, count);
                }
            }
            at += count;
            counter = counter.wrapping_add(16);
        }
    }
}

/// Fills any dtype; float64 has no more digits then than float32.
fn fill(out: Span, stream: Stream, k: impl Make) {
    let level: Level = level();
    par::chunks(out.len(), CHUNK, |_, r| {
        let start = stream.counter.wrapping_add((r.start / GROUP * 16) as u64);
        let part = out.sub(r.start, r.len());
        if out.dtype() == DType::F32 {
            level.run(Groups { k, key: stream.key, counter: start, out: part.ptr::<f32>(), n: r.len() });
            return;
        }
        let mut buf = [0f32; 16 * GROUP];
        for at in (0..r.len()).step_by(buf.len()) {
            let n = buf.len().min(r.len() - at);
            let counter = start.wrapping_add((at / GROUP * 16) as u64);
            level.run(Groups { k, key: stream.key, counter, out: buf.as_mut_ptr(), n });
            let to = part.sub(at, n);
            match out.dtype() {
                // SAFETY: n half floats of the part.
                DType::F16 | DType::BF16 => unsafe {
                    narrow(level, out.dtype(), &buf[..n], to.bytes().cast())
                },
                other => with_dtype!(other, T => {
                    // SAFETY: n elements of the part.
                    let to = unsafe { to.slice_mut::<T>() };
                    to.iter_mut().zip(&buf).for_each(|(y, x)| *y = T::from_f64(f64::from(*x)));
                }),
            }
        }
    });
}

/// Fills any dtype with a function of the index and of an element's own numbers.
pub fn each(out: Span, stream: Stream, f: impl Fn(usize, &mut Element) -> f64 + Sync) {
    with_dtype!(out.dtype(), T => par::chunks(out.len(), CHUNK / 8, |_, r| {
        // SAFETY: the part is this chunk's alone.
        let y = unsafe { out.sub(r.start, r.len()).slice_mut::<T>() };
        let one = |i: usize| T::from_f64(f(i, &mut Element::new(stream, i as u64)));
        y.iter_mut().enumerate().for_each(|(i, y)| *y = one(r.start + i));
    }));
}

/// In [0, 1), 24 bits.
#[inline(always)]
fn unit(words: &[u32; 16]) -> [f32; 16] {
    let mut u = [0f32; 16];
    for i in 0..16 {
        u[i] = (words[i] >> 8) as i32 as f32 * (1.0 / 16_777_216.0);
    }
    u
}

/// In (0, 1], from 2^-32 on: what logarithms are taken of.
#[inline(always)]
fn open(words: &[u32; 16]) -> [f32; 16] {
    let mut u = [0f32; 16];
    for i in 0..16 {
        u[i] = ((words[i] >> 1) as i32 as f32 + 0.5) * (1.0 / 2_147_483_648.0);
    }
    u
}

#[derive(Clone, Copy)]
struct Uniform {
    low: f32,
    width: f32,
    top: f32,
}

impl Make for Uniform {
    #[inline(always)]
    fn make<S: Simd>(self, s: S, words: &[[u32; 16]; 4], out: &mut [f32; GROUP]) {
        let (low, width, top) = (s.splat(self.low), s.splat(self.width), s.splat(self.top));
        for w in 0..4 {
            let u = unit(&words[w]);
            for i in (0..16).step_by(S::N) {
                // SAFETY: both arrays have as many elements.
                unsafe {
                    let y = s.min(s.fma(s.load(u.as_ptr().add(i)), width, low), top);
                    s.store(out.as_mut_ptr().add(w * 16 + i), y);
                }
            }
        }
    }
}

/// The largest number of a dtype below `x`, as float64.
fn below(x: f64, dtype: DType) -> f64 {
    let step16 = |bits: u16| if bits & 0x8000 == 0 { bits - 1 } else { bits + 1 };
    let lower = match dtype {
        DType::F64 => x.next_down(),
        DType::F16 if f16::from_f64(x) != f16::ZERO => {
            f16::from_bits(step16(f16::from_f64(x).to_bits())).to_f64()
        }
        DType::BF16 if bf16::from_f64(x) != bf16::ZERO => {
            bf16::from_bits(step16(bf16::from_f64(x).to_bits())).to_f64()
        }
        DType::F16 => -f64::from(f32::from(f16::from_bits(1))),
        DType::BF16 => -f64::from(f32::from(bf16::from_bits(1))),
        _ => f64::from((x as f32).next_down()),
    };
    // The dtype may have rounded x itself down.
    let rounded = match dtype {
        DType::F64 => x,
        DType::F16 => f16::from_f64(x).to_f64(),
        DType::BF16 => bf16::from_f64(x).to_f64(),
        _ => f64::from(x as f32),
    };
    if rounded < x { rounded } else { lower }
}

/// Evenly distributed in [low, high); `low` everywhere when the two are equal.
pub fn uniform(out: Span, stream: Stream, low: f64, high: f64) {
    // Rounding could reach `high`.
    let top = if high > low { below(high, out.dtype()).max(low) } else { low };
    match out.dtype() {
        DType::F64 => each(out, stream, |_, e| (low + e.unit() * (high - low)).min(top)),
        _ => fill(out, stream, Uniform { low: low as f32, width: (high - low) as f32, top: top as f32 }),
    }
}

/// Box and Muller's transform.
#[derive(Clone, Copy)]
struct Normal {
    loc: f32,
    scale: f32,
}

/// sin and cos of 2 pi u for u in [0, 1): reduced to an eighth of a turn exactly, then the Taylor series, 1e-8 off at most.
#[inline(always)]
fn turn<S: Simd>(s: S, u: S::F32) -> (S::F32, S::F32) {
    let quarter = u * s.splat(4.0);
    let q = s.rint(quarter);
    let a = (quarter - q) * s.splat(std::f32::consts::FRAC_PI_2);
    let t = a * a;
    let sin = s.fma(a * t, s.poly(t, [-1.0 / 6.0, 1.0 / 120.0, -1.0 / 5040.0, 1.0 / 362_880.0]), a);
    let cos = s.poly(t, [1.0, -0.5, 1.0 / 24.0, -1.0 / 720.0, 1.0 / 40_320.0]);
    // Quarters 0 to 4 of the turn: (sin, cos), (cos, -sin), (-sin, -cos), (-cos, sin), (sin, cos).
    let q = s.to_int(q);
    let even = s.is_zero(q & s.splat_i(1));
    let (a, b) = (s.select(even, sin, cos), s.select(even, cos, sin));
    let sign_a = s.shl::<30>(q & s.splat_i(2));
    let sign_b = s.shl::<30>((q + s.splat_i(1)) & s.splat_i(2));
    (s.from_bits(s.bits(a) ^ sign_a), s.from_bits(s.bits(b) ^ sign_b))
}

impl Make for Normal {
    #[inline(always)]
    fn make<S: Simd>(self, s: S, words: &[[u32; 16]; 4], out: &mut [f32; GROUP]) {
        let (loc, scale) = (s.splat(self.loc), s.splat(self.scale));
        for w in [0, 2] {
            let (u, v) = (open(&words[w]), unit(&words[w + 1]));
            for i in (0..16).step_by(S::N) {
                // SAFETY: all arrays have as many elements.
                unsafe {
                    let r = s.sqrt(math::log(s, s.load(u.as_ptr().add(i))) * s.splat(-2.0));
                    let (sin, cos) = turn(s, s.load(v.as_ptr().add(i)));
                    s.store(out.as_mut_ptr().add(w * 16 + i), s.fma(r * cos, scale, loc));
                    s.store(out.as_mut_ptr().add((w + 1) * 16 + i), s.fma(r * sin, scale, loc));
                }
            }
        }
    }
}

/// Normally distributed; float32 reaches out to 6.7 standard deviations.
pub fn normal(out: Span, stream: Stream, loc: f64, scale: f64) {
    match out.dtype() {
        DType::F64 => each(out, stream, |_, e| loc + scale * e.normal()),
        _ => fill(out, stream, Normal { loc: loc as f32, scale: scale as f32 }),
    }
}

#[derive(Clone, Copy)]
struct Exponential(f32);

impl Make for Exponential {
    #[inline(always)]
    fn make<S: Simd>(self, s: S, words: &[[u32; 16]; 4], out: &mut [f32; GROUP]) {
        let f = s.splat(-self.0);
        for w in 0..4 {
            let u = open(&words[w]);
            for i in (0..16).step_by(S::N) {
                // SAFETY: both arrays have as many elements.
                unsafe {
                    s.store(out.as_mut_ptr().add(w * 16 + i), math::log(s, s.load(u.as_ptr().add(i))) * f)
                }
            }
        }
    }
}

/// Exponentially distributed with the mean `scale`.
pub fn exponential(out: Span, stream: Stream, scale: f64) {
    match out.dtype() {
        DType::F64 => each(out, stream, |_, e| -e.open().ln() * scale),
        _ => fill(out, stream, Exponential(scale as f32)),
    }
}

#[derive(Clone, Copy)]
struct Bernoulli {
    p: f32,
    value: f32,
}

impl Make for Bernoulli {
    #[inline(always)]
    fn make<S: Simd>(self, s: S, words: &[[u32; 16]; 4], out: &mut [f32; GROUP]) {
        let (p, value, zero) = (s.splat(self.p), s.splat(self.value), s.splat(0.0));
        for w in 0..4 {
            let u = unit(&words[w]);
            for i in (0..16).step_by(S::N) {
                // SAFETY: both arrays have as many elements.
                unsafe {
                    let keep = s.lt(s.load(u.as_ptr().add(i)), p);
                    s.store(out.as_mut_ptr().add(w * 16 + i), s.select(keep, value, zero));
                }
            }
        }
    }
}

/// `value` with probability `p`, else 0: the same elements in every dtype.
pub fn bernoulli(out: Span, stream: Stream, p: f64, value: f64) {
    let k = Bernoulli { p: p as f32, value: value as f32 };
    if out.dtype() != DType::F64 {
        return fill(out, stream, k);
    }
    let level = level();
    par::chunks(out.len(), CHUNK, |_, r| {
        // SAFETY: the part is this chunk's alone.
        let y = unsafe { out.sub(r.start, r.len()).slice_mut::<f64>() };
        let mut buf = [0f32; GROUP];
        for (g, part) in y.chunks_mut(GROUP).enumerate() {
            let counter = stream.counter.wrapping_add(((r.start / GROUP + g) * 16) as u64);
            let k = Bernoulli { p: k.p, value: 1.0 };
            level.run(Groups { k, key: stream.key, counter, out: buf.as_mut_ptr(), n: GROUP });
            part.iter_mut().zip(&buf).for_each(|(y, b)| *y = f64::from(*b) * value);
        }
    });
}

/// Whole numbers from `low` up to but not including `low + width`; any dtype.
pub fn randint(out: Span, stream: Stream, low: i64, width: u64) {
    with_dtype!(out.dtype(), T => par::chunks(out.len(), CHUNK, |_, r| {
        // SAFETY: the part is this chunk's alone.
        let y = unsafe { out.sub(r.start, r.len()).slice_mut::<T>() };
        for (i, y) in y.iter_mut().enumerate() {
            let x = Element::new(stream, (r.start + i) as u64).below(width);
            *y = T::from_i64(low.wrapping_add(x as i64));
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{available, with_level};
    use crate::tensor::Tensor;
    use crate::{Device, kernels::par};

    const STREAM: Stream = Stream { key: 5, counter: 1000 };

    fn make(dtype: DType, n: usize, f: impl Fn(Span)) -> Vec<f64> {
        let t = Tensor::empty(&[n], dtype, Device::default()).unwrap();
        f(t.span());
        t.to_vec_f64()
    }

    #[test]
    fn numbers_depend_on_neither_threads_nor_length_and_levels_agree() {
        let n = 3 * CHUNK + 77;
        type Fill = fn(Span);
        let all: [Fill; 4] = [
            |s| uniform(s, STREAM, -1.0, 3.0),
            |s| normal(s, STREAM, 0.5, 2.0),
            |s| exponential(s, STREAM, 2.0),
            |s| bernoulli(s, STREAM, 0.3, 1.0),
        ];
        for f in all {
            for dtype in [DType::F32, DType::F64, DType::F16] {
                let a = par::with_threads(1, || make(dtype, n, f));
                let b = par::with_threads(2, || make(dtype, n, f));
                assert_eq!(a, b);
                for short in [1, 63, 64, 65, 1025] {
                    assert_eq!(make(dtype, short, f), a[..short]);
                }
            }
            let best = make(DType::F32, 5000, f);
            for &l in available() {
                let other = with_level(l, || make(DType::F32, 5000, f));
                assert!(best.iter().zip(&other).all(|(a, b)| (a - b).abs() < 2e-5), "{l:?}");
            }
        }
    }

    #[test]
    fn uniform_never_reaches_its_end() {
        for dtype in [DType::F32, DType::F64, DType::F16, DType::BF16] {
            for (low, high) in
                [(0.0, 1.0), (1.0, 2.0), (-1.0, 0.0), (1000.0, 1000.25), (-3.0, -1.0), (0.1, 0.3)]
            {
                let x = make(dtype, 200_000, |s| uniform(s, STREAM, low, high));
                let slack = if dtype == DType::F64 { 0.0 } else { low.abs() * 4e-3 };
                assert!(x.iter().all(|&x| x < high && x >= low - slack), "{dtype} {low} {high}");
            }
        }
        assert!(make(DType::F32, 9, |s| uniform(s, STREAM, 2.0, 2.0)).iter().all(|&x| x == 2.0));
    }

    #[test]
    fn turns_are_exact() {
        struct Turns;
        impl Work for Turns {
            type Out = ();
            #[inline(always)]
            fn run<S: Simd>(self, s: S) {
                for i in 0..4096 {
                    let u = i as f32 / 4096.0;
                    let (sin, cos) = turn(s, s.splat(u));
                    let want = (2.0 * std::f64::consts::PI * f64::from(u)).sin_cos();
                    assert!((f64::from(s.to_array(sin)[0]) - want.0).abs() < 2e-7, "{u}");
                    assert!((f64::from(s.to_array(cos)[0]) - want.1).abs() < 2e-7, "{u}");
                }
            }
        }
        available().iter().for_each(|l| l.run(Turns));
    }
}
