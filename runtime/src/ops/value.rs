//! Values of parameters as callers give them, and how MXNet writes them as text.

use smallvec::SmallVec;
use std::fmt;

/// None inside a tuple of integers, as the C ABI carries it.
pub const INT_NONE: i64 = i64::MIN;

/// A parameter's value before its type is known.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Absent: the default, or None.
    None,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// Text, parsed by the parameter's type as MXNet parses attributes.
    Str(String),
    /// A tuple of whole numbers; [`INT_NONE`] is None.
    Ints(SmallVec<[i64; 6]>),
    /// A tuple of numbers.
    Floats(Vec<f64>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn tuple<T: Copy>(f: &mut fmt::Formatter<'_>, xs: &[T], one: impl Fn(T) -> String) -> fmt::Result {
            let inner: Vec<String> = xs.iter().map(|&x| one(x)).collect();
            write!(f, "({}{})", inner.join(", "), if xs.len() == 1 { "," } else { "" })
        }
        match self {
            Value::None => f.write_str("None"),
            Value::Bool(b) => f.write_str(if *b { "True" } else { "False" }),
            Value::Int(i) => write!(f, "{i}"),
            Value::Float(x) => write!(f, "{x}"),
            Value::Str(s) => f.write_str(s),
            Value::Ints(v) => tuple(f, v, |i| if i == INT_NONE { "None".into() } else { i.to_string() }),
            Value::Floats(v) => tuple(f, v, |x| x.to_string()),
        }
    }
}

macro_rules! value_from {
    ($($t:ty, $x:ident => $e:expr);* $(;)?) => {$(
        impl From<$t> for Value { fn from($x: $t) -> Value { $e } }
    )*};
}
value_from! {
    bool, x => Value::Bool(x);
    i64, x => Value::Int(x);
    i32, x => Value::Int(x.into());
    usize, x => Value::Int(x as i64);
    f64, x => Value::Float(x);
    &str, x => Value::Str(x.into());
    String, x => Value::Str(x);
    Vec<i64>, x => Value::Ints(x.into());
    Vec<usize>, x => Value::Ints(x.iter().map(|&d| d as i64).collect());
    &[usize], x => Value::Ints(x.iter().map(|&d| d as i64).collect());
    &[i64], x => Value::Ints(x.into());
}

/// Splits `(1, 2)`, `[1,2]`, `1` into the texts of their items.
pub(crate) fn items(text: &str) -> Option<Vec<&str>> {
    let t = text.trim();
    let inner = match (t.chars().next(), t.chars().last()) {
        (Some('('), Some(')')) | (Some('['), Some(']')) if t.len() >= 2 => &t[1..t.len() - 1],
        (Some('(' | '['), _) | (_, Some(')' | ']')) => return None,
        _ => t,
    };
    let inner = inner.trim();
    let inner = inner.strip_suffix(',').unwrap_or(inner);
    if inner.trim().is_empty() { Some(Vec::new()) } else { Some(inner.split(',').map(str::trim).collect()) }
}

/// A whole number as text: `3`, `-1`, `3L`, `1e3`.
pub(crate) fn int(text: &str) -> Option<i64> {
    let t = text.trim().trim_end_matches('L');
    t.parse()
        .ok()
        .or_else(|| t.parse::<f64>().ok().filter(|x| x.fract() == 0.0 && x.abs() < 9e18).map(|x| x as i64))
}

/// A number as text.
pub(crate) fn float(text: &str) -> Option<f64> {
    text.trim().trim_end_matches('f').parse().ok().or_else(|| text.trim().parse().ok())
}
