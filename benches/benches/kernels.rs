//! Element-wise kernels, reductions and copies against what the memory allows.
//!
//! `cargo bench -p keshi-benches --bench kernels [-- FILTER]`. Beside criterion's own output a table at the end gives, from the fastest
//! sample of each, GB/s of memory that must move and its share of a bandwidth measured in the same run: that of `memcpy` of the C
//! library on all threads, or for reductions that of reading. Small arrays give nanoseconds a call instead.

use criterion::{Criterion, Throughput};
use keshi::DType;
use keshi::kernels::{copy, map, par, reduce, zip};
use keshi::simd::{Simd, math};
use keshi::storage::{Span, Storage};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

macro_rules! maps {
    ($($t:ident $lanes:path, $f64:expr;)*) => {$(
        #[derive(Clone, Copy)]
        struct $t;
        impl map::Map for $t {
            #[inline(always)]
            fn lanes<S: Simd>(self, s: S, x: S::F32) -> S::F32 {
                $lanes(s, x)
            }
            fn f64(self, x: f64) -> f64 {
                let f: fn(f64) -> f64 = $f64;
                f(x)
            }
        }
    )*};
}
maps! {
    Exp math::exp, f64::exp;
    Log math::log, f64::ln;
    Tanh math::tanh, f64::tanh;
    Erf math::erf, math::scalar::erf;
    Sigmoid math::sigmoid, math::scalar::sigmoid;
    Sin math::sin, f64::sin;
}

#[derive(Clone, Copy)]
struct Add;
impl zip::Zip for Add {
    #[inline(always)]
    fn lanes<S: Simd>(self, _: S, x: S::F32, y: S::F32) -> S::F32 {
        x + y
    }
    fn f64(self, x: f64, y: f64) -> f64 {
        x + y
    }
}

/// `n` elements of 1, kept alive by the storage.
fn array(n: usize, dtype: DType) -> (Arc<Storage>, Span) {
    let s = Storage::new(n * dtype.size()).expect("memory for the bench");
    // SAFETY: the block has room for n elements.
    let span = unsafe { Span::new(s.ptr(), n, dtype) };
    copy::fill(span, 1.0);
    (s, span)
}

struct Bench<'a> {
    c: &'a mut Criterion,
    /// Name, bytes moved, best seconds, whether only read.
    rows: Vec<(String, usize, f64, bool)>,
}

impl Bench<'_> {
    fn run(&mut self, name: &str, bytes: usize, reads: bool, mut f: impl FnMut()) {
        let mut best = f64::INFINITY;
        let mut g = self.c.benchmark_group("kernels");
        g.throughput(Throughput::Bytes(bytes as u64));
        g.bench_function(name, |b| {
            b.iter_custom(|n| {
                let all = Instant::now();
                // Short calls are timed together, long ones one by one.
                let group = if bytes < 1 << 16 { n } else { 1 };
                for _ in 0..n / group {
                    let t = Instant::now();
                    (0..group).for_each(|_| f());
                    best = best.min(t.elapsed().as_secs_f64() / group as f64);
                }
                all.elapsed()
            })
        });
        g.finish();
        if best.is_finite() {
            self.rows.push((name.into(), bytes, best, reads));
        }
    }
}

fn main() {
    let mut c = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(400))
        .sample_size(10)
        .without_plots()
        .configure_from_args();
    let mut b = Bench { c: &mut c, rows: vec![] };
    const N: usize = 10_000_000;
    let ((_k1, x), (_k2, y), (_k3, z)) = (array(N, DType::F32), array(N, DType::F32), array(N, DType::F32));

    let threads = par::num_threads();
    let mem = |x: Span, z: Span| {
        par::chunks(N, N.div_ceil(threads), |_, r| {
            let (from, to) = (x.sub(r.start, r.len()), z.sub(r.start, r.len()));
            // SAFETY: two arrays; each chunk has its own part.
            unsafe { std::ptr::copy_nonoverlapping(from.bytes(), to.bytes(), r.len() * 4) }
        });
    };
    let read = |x: Span| {
        par::chunks(N / 2, (N / 2).div_ceil(threads), |_, r| {
            // SAFETY: nobody writes; eight bytes hold any bits.
            let v = unsafe { std::slice::from_raw_parts(x.bytes().cast::<u64>().add(r.start), r.len()) };
            black_box(v.iter().fold(0u64, |a, &b| a ^ b));
        });
    };
    b.run("memcpy", 8 * N, false, || mem(x, z));
    b.run("read", 4 * N, true, || read(x));
    b.run("exp 10M", 8 * N, false, || map::map(Exp, x, z));
    b.run("log 10M", 8 * N, false, || map::map(Log, x, z));
    b.run("tanh 10M", 8 * N, false, || map::map(Tanh, x, z));
    b.run("erf 10M", 8 * N, false, || map::map(Erf, x, z));
    b.run("sigmoid 10M", 8 * N, false, || map::map(Sigmoid, x, z));
    b.run("sin 10M", 8 * N, false, || map::map(Sin, x, z));
    b.run("add 10M", 12 * N, false, || zip::zip(Add, &[N], x, &[1], y, &[1], z));
    b.run("add scalar 10M", 8 * N, false, || zip::zip(Add, &[N], x, &[1], y, &[0], z));
    b.run("add row 10Kx1K", 8 * N, false, || zip::zip(Add, &[10_000, 1000], x, &[1000, 1], y, &[0, 1], z));
    b.run("add column 10Kx1K", 8 * N, false, || zip::zip(Add, &[10_000, 1000], x, &[1000, 1], y, &[1, 0], z));
    b.run("add row 1Mx10", 8 * N, false, || zip::zip(Add, &[1_000_000, 10], x, &[10, 1], y, &[0, 1], z));
    b.run("add column 1Mx10", 8 * N, false, || zip::zip(Add, &[1_000_000, 10], x, &[10, 1], y, &[1, 0], z));
    b.run("exp in place 10M", 8 * N, false, || map::map(Exp, z.sub(0, N), z.sub(0, N)));
    copy::fill(z, 1.0);
    b.run("sum 10M", 4 * N, true, || reduce::reduce(reduce::Sum, x, &[N], &[true], z.sub(0, 1)));
    b.run("max 10M", 4 * N, true, || reduce::reduce(reduce::Max, x, &[N], &[true], z.sub(0, 1)));
    let (r, k) = ([10_000, 1000], z.sub(0, 10_000));
    b.run("sum rows 10Kx1K", 4 * N, true, || reduce::reduce(reduce::Sum, x, &r, &[false, true], k));
    b.run("sum columns 10Kx1K", 4 * N, true, || {
        reduce::reduce(reduce::Sum, x, &r, &[true, false], k.sub(0, 1000))
    });
    let r = [1_000_000, 10];
    b.run("sum rows 1Mx10", 4 * N, true, || {
        reduce::reduce(reduce::Sum, x, &r, &[false, true], z.sub(0, 1_000_000))
    });
    b.run("sum columns 1Mx10", 4 * N, true, || {
        reduce::reduce(reduce::Sum, x, &r, &[true, false], z.sub(0, 10))
    });
    b.run("argmax 10M", 4 * N, true, || reduce::arg_reduce(reduce::Arg::Max, x, 1, N, 1, z.sub(0, 1)));
    b.run("fill 10M", 4 * N, false, || copy::fill(z, 1.0));
    b.run("copy 10M", 8 * N, false, || copy::cast(x, z));
    let (_k4, h) = array(N, DType::F16);
    b.run("cast to float16 10M", 6 * N, false, || copy::cast(x, h));
    const M: usize = 4096;
    let ((_k5, p), (_k6, q)) = (array(M * M, DType::F32), array(M * M, DType::F32));
    b.run("transpose 4096²", 8 * M * M, false, || copy::strided(&[M, M], p, 0, &[1, M as isize], q));
    b.run("scatter transpose 4096²", 8 * M * M, false, || copy::scatter(&[M, M], p, q, 0, &[1, M as isize]));
    b.run("transpose 1000²", 8_000_000, false, || {
        copy::strided(&[1000, 1000], p, 0, &[1, 1000], q.sub(0, 1_000_000))
    });
    // In the first caches, on one thread: what the arithmetic itself takes.
    let (i, o) = (x.sub(0, 8192), z.sub(0, 8192));
    b.run("exp 8K", 8 * 8192, false, || map::map(Exp, black_box(i), o));
    b.run("log 8K", 8 * 8192, false, || map::map(Log, black_box(i), o));
    b.run("tanh 8K", 8 * 8192, false, || map::map(Tanh, black_box(i), o));
    b.run("erf 8K", 8 * 8192, false, || map::map(Erf, black_box(i), o));
    b.run("sigmoid 8K", 8 * 8192, false, || map::map(Sigmoid, black_box(i), o));
    b.run("sin 8K", 8 * 8192, false, || map::map(Sin, black_box(i), o));
    for n in [4, 64, 1000, 30_000, 100_000, 1_000_000] {
        // At different places of their pages: a load that shares its low address bits with a store under way waits for it.
        let (x, y, z) = (x.sub(0, n), y.sub(160, n), z.sub(400, n));
        b.run(&format!("exp {n}"), 8 * n, false, || map::map(Exp, black_box(x), z));
        b.run(&format!("add {n}"), 12 * n, false, || zip::zip(Add, &[n], black_box(x), &[1], y, &[1], z));
        b.run(&format!("sum {n}"), 4 * n, true, || {
            reduce::reduce(reduce::Sum, black_box(x), &[n], &[true], z.sub(0, 1))
        });
    }

    let rate = |name: &str| b.rows.iter().find(|r| r.0 == name).map(|r| r.1 as f64 / r.2);
    let (copies, reads) = (rate("memcpy"), rate("read"));
    println!("\n{:24} {:>10} {:>8} {:>8}", "", "us", "GB/s", "share");
    for (name, bytes, t, only_read) in &b.rows {
        let share = if *only_read { reads } else { copies }.map(|m| *bytes as f64 / t / m * 100.0);
        let share = share.map_or(String::new(), |s| format!("{s:7.0}%"));
        println!("{name:24} {:10.3} {:8.1} {share}", t * 1e6, *bytes as f64 / t / 1e9);
    }
}
