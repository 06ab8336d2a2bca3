//! Every function on every level against float64 over sampled ranges. All 2^32 arguments: tests/tests/accuracy.rs.

use super::*;
use crate::simd::{Level, Work, available};

trait Function: Copy + Sync {
    const NAME: &'static str;
    /// Greatest error in ulp with a fused multiply-add, and on the portable level.
    const BOUND: [f64; 2];
    fn lanes<S: Simd>(s: S, x: S::F32) -> S::F32;
    fn exact(x: f64) -> f64;
}

macro_rules! functions {
    ($($t:ident $name:ident $lanes:path, $exact:expr, $bound:expr;)*) => {
        $(
            #[derive(Clone, Copy)]
            struct $t;
            impl Function for $t {
                const NAME: &'static str = stringify!($name);
                const BOUND: [f64; 2] = $bound;
                #[inline(always)]
                fn lanes<S: Simd>(s: S, x: S::F32) -> S::F32 {
                    $lanes(s, x)
                }
                fn exact(x: f64) -> f64 {
                    let f: fn(f64) -> f64 = $exact;
                    f(x)
                }
            }
        )*
        $(
            mod $name {
                #[test]
                fn sampled() {
                    super::sampled::<super::$t>();
                }
            }
        )*
    };
}

functions! {
    Exp exp_test super::exp, f64::exp, [1.0, 2.0];
    Expm1 expm1_test super::expm1, f64::exp_m1, [2.0, 3.0];
    Tanh tanh_test super::tanh, f64::tanh, [3.0, 4.0];
    Sigmoid sigmoid_test super::sigmoid, scalar::sigmoid, [3.0, 3.0];
    Softrelu softrelu_test super::softrelu, scalar::softrelu, [3.0, 3.0];
    Log log_test super::log, f64::ln, [1.0, 2.0];
    Log1p log1p_test super::log1p, f64::ln_1p, [2.0, 2.0];
    Log2 log2_test super::log2, f64::log2, [1.0, 3.0];
    Log10 log10_test super::log10, f64::log10, [1.0, 3.0];
    Erf erf_test super::erf, scalar::erf, [2.0, 2.0];
    Sin sin_test super::sin, f64::sin, [2.0, 2.0];
    Cos cos_test super::cos, f64::cos, [2.0, 2.0];
    Rsqrt rsqrt_test super::rsqrt, |x| 1.0 / x.sqrt(), [1.5, 1.5];
    Cbrt cbrt_test super::cbrt, f64::cbrt, [1.0, 1.0];
}

struct Run<'a, F>(&'a [f32], &'a mut [f32], std::marker::PhantomData<F>);

impl<F: Function> Work for Run<'_, F> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (x, y) in self.0.chunks_exact(S::N).zip(self.1.chunks_exact_mut(S::N)) {
            // SAFETY: both chunks hold N elements.
            unsafe { s.store(y.as_mut_ptr(), F::lanes(s, s.load(x.as_ptr()))) }
        }
    }
}

/// Error of `y` in units of the last place of a float32 as large as `want`.
fn ulp(y: f32, want: f64) -> f64 {
    let r = want as f32;
    if r.is_nan() || y.is_nan() {
        return if r.is_nan() && y.is_nan() { 0.0 } else { f64::INFINITY };
    }
    if r.is_infinite() || y.is_infinite() {
        return if r == y { 0.0 } else { f64::INFINITY };
    }
    let unit = (r.abs().next_up() as f64 - r.abs() as f64).min(2f64.powi(104));
    ((y as f64 - want) / unit).abs()
}

/// The worst error over `xs` (a multiple of 16 of them) and where it was.
fn worst<F: Function>(level: Level, xs: &[f32]) -> (f64, f32) {
    let mut ys = vec![0.0; xs.len()];
    level.run(Run::<F>(xs, &mut ys, std::marker::PhantomData));
    let mut w = (0.0, 0.0);
    for (&x, &y) in xs.iter().zip(&ys) {
        let want = F::exact(x as f64);
        let e = ulp(y, want);
        // Signed zeros count.
        let sign_lost = y == 0.0 && want == 0.0 && y.is_sign_negative() != want.is_sign_negative();
        if e > w.0 || sign_lost {
            w = (if sign_lost { f64::INFINITY } else { e }, x);
        }
    }
    w
}

fn check<F: Function>(level: Level, xs: &[f32]) {
    let (e, x) = worst::<F>(level, xs);
    let bound = F::BOUND[(level == Level::Portable) as usize];
    assert!(e <= bound, "{} on {level:?}: {e} ulp at {x:e}, want at most {bound}", F::NAME);
}

fn sampled<F: Function>() {
    let mut xs: Vec<f32> =
        vec![0.0, -0.0, 1.0, -1.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MAX, f32::MIN];
    xs.extend([
        f32::MIN_POSITIVE,
        -f32::MIN_POSITIVE,
        1e-45,
        -1e-45,
        1e-40,
        88.72284,
        88.72283,
        -103.97,
        -104.5,
        1e6,
        1e9,
    ]);
    // Over all exponents, with a step that shares no factor with a power of two.
    xs.extend((0..u32::MAX).step_by(40_009).map(f32::from_bits));
    // And densely where functions bend.
    xs.extend((-60_000..60_000).map(|i| i as f32 * 1.7e-4));
    xs.resize(xs.len().next_multiple_of(16), 0.5);
    for &level in available() {
        check::<F>(level, &xs);
    }
    // Both fused levels give the same bits, but for functions of two forms.
    let two_forms = ["tanh_test", "erf_test"].contains(&F::NAME);
    if !two_forms && let [_, a, b] = *available() {
        let run = |l: Level| {
            let mut ys = vec![0.0; xs.len()];
            l.run(Run::<F>(&xs, &mut ys, std::marker::PhantomData));
            ys
        };
        for ((x, p), q) in xs.iter().zip(run(a)).zip(run(b)) {
            assert!(
                p.to_bits() == q.to_bits() || p.is_nan() && q.is_nan(),
                "{}({x:e}): {p:e} and {q:e}",
                F::NAME
            );
        }
    }
}

struct Pow<'a>(&'a [f32], &'a [f32], &'a mut [f32]);

impl Work for Pow<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for i in (0..self.0.len()).step_by(S::N) {
            // SAFETY: all three have a multiple of 16 elements.
            unsafe {
                let r = pow(s, s.load(self.0.as_ptr().add(i)), s.load(self.1.as_ptr().add(i)));
                s.store(self.2.as_mut_ptr().add(i), r);
            }
        }
    }
}

#[test]
fn powers() {
    let inf = f32::INFINITY;
    let odd = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.5,
        2.0,
        -2.0,
        3.0,
        -3.0,
        10.0,
        inf,
        -inf,
        f32::NAN,
        1e-40,
        f32::MAX,
        1e10,
        16_777_217.0,
        1.000_000_1,
    ];
    let (mut xs, mut ys): (Vec<f32>, Vec<f32>) = odd.iter().flat_map(|&x| odd.map(|y| (x, y))).unzip();
    // All magnitudes against exponents that keep the result in range, bases near 1, small whole exponents.
    let mut state = 12345u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 16_777_216.0
    };
    for _ in 0..200_000 {
        let x = f32::from_bits((random() * 2_139_095_040.0) as u32);
        xs.extend([x, 1.0 + (random() - 0.5) * 1e-3, (random() - 0.5) * 200.0]);
        ys.extend([
            (random() - 0.5) * 300.0 / x.log2().abs().max(1.0),
            (random() - 0.5) * 1e5,
            (random() * 9.0 - 4.0).floor(),
        ]);
    }
    xs.resize(xs.len().next_multiple_of(16), 1.5);
    ys.resize(xs.len(), 1.5);
    for &l in available() {
        let mut zs = vec![0.0; xs.len()];
        l.run(Pow(&xs, &ys, &mut zs));
        let mut worst = (0.0, 0.0, 0.0);
        for ((&x, &y), &z) in xs.iter().zip(&ys).zip(&zs) {
            let want = (x as f64).powf(y as f64);
            assert!(z != 0.0 || want.is_sign_negative() == z.is_sign_negative(), "{x:e}^{y:e}: sign of {z}");
            let e = ulp(z, want);
            if e > worst.0 {
                worst = (e, x, y);
            }
        }
        assert!(worst.0 <= 1.0, "{:e}^{:e} on {l:?}: {} ulp", worst.1, worst.2, worst.0);
        let mut squares = vec![0.0; 4096];
        let ints: Vec<f32> = (-2048..2048).map(|i| i as f32).collect();
        l.run(Pow(&ints, &[2.0; 4096], &mut squares));
        assert!(squares.iter().zip(&ints).all(|(s, i)| *s == i * i));
    }
}
