//! The reductions themselves.

use super::Reduce;
use crate::simd::Simd;

macro_rules! kinds {
    ($($(#[$doc:meta])* $t:ident {
        init: $init:expr, $init_int:expr;
        lanes: |$s:ident, $a:ident, $x:ident| $lanes:expr;
        merge: $merge:expr, |$ms:ident, $ma:ident, $mb:ident| $merge64:expr;
        int: $int:expr, $merge_int:expr;
        $(finish: $finish:expr, $finish_int:expr;)?
    })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $t;
        impl Reduce for $t {
            #[inline(always)]
            fn init(self) -> f64 {
                $init
            }
            #[inline(always)]
            fn lanes64<S: Simd>(self, $s: S, $a: S::F64, $x: S::F64) -> S::F64 {
                $lanes
            }
            #[inline(always)]
            fn merge64<S: Simd>(self, $ms: S, $ma: S::F64, $mb: S::F64) -> S::F64 {
                $merge64
            }
            #[inline(always)]
            fn merge(self, a: f64, b: f64) -> f64 {
                let f: fn(f64, f64) -> f64 = $merge;
                f(a, b)
            }
            #[inline(always)]
            fn init_int(self) -> i64 {
                $init_int
            }
            #[inline(always)]
            fn int(self, a: i64, x: i64) -> i64 {
                let f: fn(i64, i64) -> i64 = $int;
                f(a, x)
            }
            #[inline(always)]
            fn merge_int(self, a: i64, b: i64) -> i64 {
                let f: fn(i64, i64) -> i64 = $merge_int;
                f(a, b)
            }
            $(
                #[inline(always)]
                fn finish(self, acc: f64, count: usize) -> f64 {
                    let f: fn(f64, usize) -> f64 = $finish;
                    f(acc, count)
                }
                #[inline(always)]
                fn finish_int(self, acc: i64, count: usize) -> i64 {
                    let f: fn(i64, usize) -> i64 = $finish_int;
                    f(acc, count)
                }
            )?
        }
    )*};
}

kinds! {
    /// Sum; of nothing 0.
    Sum {
        init: 0.0, 0;
        lanes: |_s, a, x| a + x;
        merge: |a, b| a + b, |_s, a, b| a + b;
        int: i64::wrapping_add, i64::wrapping_add;
    }
    /// Arithmetic mean; of nothing NaN, or 0 for integers. That of integers is cut toward zero.
    Mean {
        init: 0.0, 0;
        lanes: |_s, a, x| a + x;
        merge: |a, b| a + b, |_s, a, b| a + b;
        int: i64::wrapping_add, i64::wrapping_add;
        finish: |a, n| a / n as f64, |a, n| a.checked_div(n as i64).unwrap_or(0);
    }
    /// Sum of squares; of nothing 0.
    SumSq {
        init: 0.0, 0;
        lanes: |s, a, x| s.fma64(x, x, a);
        merge: |a, b| a + b, |_s, a, b| a + b;
        int: |a, x| a.wrapping_add(x.wrapping_mul(x)), i64::wrapping_add;
    }
    /// Sum of magnitudes; of nothing 0.
    SumAbs {
        init: 0.0, 0;
        lanes: |s, a, x| a + s.abs64(x);
        merge: |a, b| a + b, |_s, a, b| a + b;
        int: |a, x| a.wrapping_add(x.wrapping_abs()), i64::wrapping_add;
    }
    /// Sum of what is not NaN; of nothing 0.
    NanSum {
        init: 0.0, 0;
        lanes: |s, a, x| a + s.select64(s.is_nan64(x), s.splat64(0.0), x);
        merge: |a, b| a + b, |_s, a, b| a + b;
        int: i64::wrapping_add, i64::wrapping_add;
    }
    /// Product; of nothing 1.
    Prod {
        init: 1.0, 1;
        lanes: |_s, a, x| a * x;
        merge: |a, b| a * b, |_s, a, b| a * b;
        int: i64::wrapping_mul, i64::wrapping_mul;
    }
    /// Product of what is not NaN; of nothing 1.
    NanProd {
        init: 1.0, 1;
        lanes: |s, a, x| a * s.select64(s.is_nan64(x), s.splat64(1.0), x);
        merge: |a, b| a * b, |_s, a, b| a * b;
        int: i64::wrapping_mul, i64::wrapping_mul;
    }
    /// Largest element, NaN if there is one; of nothing -inf, or the least int64 wrapped to the type.
    Max {
        init: f64::NEG_INFINITY, i64::MIN;
        lanes: |s, a, x| s.select64(s.lt64(a, x) | s.is_nan64(x), x, a);
        merge: |a, b| if b > a || b.is_nan() { b } else { a }, |s, a, b| Max.lanes64(s, a, b);
        int: |a, x| a.max(x), |a, b| a.max(b);
    }
    /// Smallest element, NaN if there is one; of nothing inf, or the largest int64 wrapped to the type.
    Min {
        init: f64::INFINITY, i64::MAX;
        lanes: |s, a, x| s.select64(s.lt64(x, a) | s.is_nan64(x), x, a);
        merge: |a, b| if b < a || b.is_nan() { b } else { a }, |s, a, b| Min.lanes64(s, a, b);
        int: |a, x| a.min(x), |a, b| a.min(b);
    }
}
