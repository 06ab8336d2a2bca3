//! Typed parameters: one struct per operator is schema, default, documentation and parser at once.
//!
//! ```
//! use keshi::ops::params::{Ints, Params, ParamSet};
//! keshi::choices! { pub enum Mode { Max = "max", Avg = "avg" } }
//! keshi::params! {
//!     /// What pooling takes.
//!     pub struct Pool {
//!         kernel: Ints, "window size";
//!         mode: Mode = Mode::Max, "what is taken of a window";
//!     }
//! }
//! let given = Params::of::<Pool>(&[(0, vec![2i64, 2].into()), (1, "avg".into())]).unwrap();
//! assert_eq!(given.get::<Pool>().kernel.as_slice(), [2, 2]);
//! assert!(Params::of::<Pool>(&[]).unwrap_err().to_string().contains("kernel"));
//! ```

use super::value::{INT_NONE, Value, float, int, items};
use crate::device::Device;
use crate::dtype::DType;
use crate::error::Result;
use smallvec::SmallVec;
use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

/// One parameter, as reflection tells it.
pub struct ParamSpec {
    /// Its name.
    pub name: &'static str,
    /// Its meaning.
    pub doc: &'static str,
    /// Its type without default, e.g. `int or None`.
    pub type_text: String,
    /// The default as text; `None` when a value must be given.
    pub default: Option<String>,
}

/// A struct made by [`params!`](crate::params).
pub trait ParamSet: Any + Send + Sync + Debug + Sized {
    /// The parameters in the order of positional use.
    fn specs() -> Vec<ParamSpec>;
    /// Builds the struct from values by index; what is missing takes its default.
    fn parse(given: &[(usize, Value)]) -> Result<Self>;
    /// The value of each parameter as MXNet would write it.
    fn texts(&self) -> Vec<String>;
}

/// A parsed parameter set of any operator. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Params(Option<Arc<dyn Erased>>);

trait Erased: Any + Send + Sync + Debug {
    fn as_any(&self) -> &dyn Any;
    fn texts(&self) -> Vec<String>;
}

impl<T: ParamSet> Erased for T {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn texts(&self) -> Vec<String> {
        ParamSet::texts(self)
    }
}

impl Params {
    /// For operators without parameters.
    pub const NONE: Params = Params(None);

    /// Wraps a struct.
    #[inline]
    pub fn new<T: ParamSet>(set: T) -> Params {
        Params(Some(Arc::new(set)))
    }

    /// Parses values by index.
    pub fn of<T: ParamSet>(given: &[(usize, Value)]) -> Result<Params> {
        T::parse(given).map(Params::new)
    }

    /// The struct inside. Panics when it is another: an operator's functions only ever see its own.
    #[inline]
    pub fn get<T: ParamSet>(&self) -> &T {
        let set = self.0.as_deref().and_then(|p| p.as_any().downcast_ref());
        set.expect("an operator's parameters are of its own type")
    }

    /// The value of each parameter as text.
    pub fn texts(&self) -> Vec<String> {
        self.0.as_ref().map_or_else(Vec::new, |p| p.texts())
    }
}

/// How an operator's parameters are described and parsed.
#[derive(Clone, Copy)]
pub struct ParamDef {
    /// See [`ParamSet::specs`].
    pub specs: fn() -> Vec<ParamSpec>,
    /// See [`ParamSet::parse`].
    pub parse: fn(&[(usize, Value)]) -> Result<Params>,
    /// Whether it takes parameters of any other name: `parse` gets each as a text `name=value` under the index after the last
    /// one's, and [`ParamSet::texts`] ends with them.
    pub others: bool,
}

impl ParamDef {
    /// No parameters. Operators without a parameter struct ignore unknown ones, as MXNet does.
    pub const NONE: ParamDef = ParamDef { specs: Vec::new, parse: |_| Ok(Params::NONE), others: false };

    /// The parameters of `T`.
    pub const fn of<T: ParamSet>() -> ParamDef {
        ParamDef { specs: T::specs, parse: Params::of::<T>, others: false }
    }
}

/// A type that a parameter can have.
pub trait ParamType: Sized {
    /// Reads a value; `None` when it does not fit.
    fn read(value: &Value) -> Option<Self>;
    /// The type as MXNet describes it.
    fn type_text() -> String;
    /// The value as MXNet writes it.
    fn text(&self) -> String;
    /// Stands in a required field until it is read.
    fn blank() -> Self;
}

/// A tuple of whole numbers.
pub type Ints = SmallVec<[i64; 4]>;
/// A tuple of whole numbers or None.
pub type OptInts = SmallVec<[Option<i64>; 4]>;

macro_rules! param_type {
    ($t:ty, $text:expr, $blank:expr, $v:ident => $read:expr, $x:ident => $show:expr) => {
        impl ParamType for $t {
            fn read($v: &Value) -> Option<Self> {
                $read
            }
            fn type_text() -> String {
                $text.into()
            }
            fn text(&self) -> String {
                let $x = self;
                $show
            }
            fn blank() -> Self {
                $blank
            }
        }
    };
}

fn read_int(v: &Value) -> Option<i64> {
    match v {
        Value::Int(i) => Some(*i),
        Value::Bool(b) => Some(i64::from(*b)),
        Value::Float(x) if x.fract() == 0.0 && x.abs() < 9e18 => Some(*x as i64),
        Value::Str(s) => int(s),
        _ => None,
    }
}

fn read_float(v: &Value) -> Option<f64> {
    match v {
        Value::Int(i) => Some(*i as f64),
        Value::Bool(b) => Some(f64::from(u8::from(*b))),
        Value::Float(x) => Some(*x),
        Value::Str(s) => float(s),
        _ => None,
    }
}

fn read_opt_ints(v: &Value) -> Option<SmallVec<[Option<i64>; 4]>> {
    match v {
        Value::Ints(v) => Some(v.iter().map(|&i| (i != INT_NONE).then_some(i)).collect()),
        Value::Floats(v) => v.iter().map(|&x| read_int(&Value::Float(x)).map(Some)).collect(),
        Value::Int(i) => Some(SmallVec::from_slice(&[Some(*i)])),
        Value::Float(x) => read_int(&Value::Float(*x)).map(|i| SmallVec::from_slice(&[Some(i)])),
        Value::Str(s) => {
            items(s)?.into_iter().map(|t| if t == "None" { Some(None) } else { int(t).map(Some) }).collect()
        }
        Value::None | Value::Bool(_) => None,
    }
}

fn show_tuple<T>(v: &[T], one: impl Fn(&T) -> String) -> String {
    format!("[{}]", v.iter().map(one).collect::<Vec<_>>().join(","))
}

param_type!(f64, "double", 0.0, v => read_float(v), x => x.to_string());
param_type!(f32, "float", 0.0, v => read_float(v).map(|x| x as f32), x => x.to_string());
param_type!(i64, "int", 0, v => read_int(v), x => x.to_string());
param_type!(usize, "int (non-negative)", 0, v => read_int(v).and_then(|i| usize::try_from(i).ok()), x => x.to_string());
param_type!(bool, "boolean", false, v => match v {
    Value::Bool(b) => Some(*b),
    Value::Int(i @ 0..=1) => Some(*i == 1),
    Value::Float(x) if *x == 0.0 || *x == 1.0 => Some(*x == 1.0),
    Value::Str(s) => match s.trim() {
        "1" | "True" | "true" => Some(true),
        "0" | "False" | "false" => Some(false),
        _ => None,
    },
    _ => None,
}, x => if *x { "1".into() } else { "0".into() });
param_type!(String, "string", String::new(), v => match v {
    Value::None => None,
    v => Some(v.to_string()),
}, x => x.clone());
param_type!(Ints, "Shape(tuple)", Ints::new(), v => read_opt_ints(v)?.into_iter().collect(), x => show_tuple(x, i64::to_string));
param_type!(OptInts, "Shape(tuple)", OptInts::new(), v => read_opt_ints(v),
    x => show_tuple(x, |i| i.map_or("None".into(), |i| i.to_string())));
param_type!(Vec<f64>, "tuple of <double>", Vec::new(), v => match v {
    Value::Floats(v) => Some(v.clone()),
    Value::Ints(v) => Some(v.iter().map(|&i| i as f64).collect()),
    Value::Str(s) => items(s)?.into_iter().map(float).collect(),
    v => read_float(v).map(|x| vec![x]),
}, x => show_tuple(x, f64::to_string));
param_type!(DType, "{'bfloat16', 'float16', 'float32', 'float64', 'int32', 'int64', 'int8', 'uint8'}", DType::F32,
    v => match v {
        Value::Str(s) => DType::parse(s.trim()).ok(),
        Value::Int(i) => DType::from_id(i32::try_from(*i).ok()?).ok(),
        _ => None,
    }, x => x.name().into());
param_type!(Device, "string", Device::default(), v => match v {
    Value::Str(s) if s.is_empty() => Some(Device::default()),
    Value::Str(s) => Device::parse(s).ok(),
    _ => None,
}, x => x.to_string());

impl<T: ParamType> ParamType for Option<T> {
    fn read(v: &Value) -> Option<Self> {
        match v {
            Value::None => Some(None),
            Value::Str(s) if s == "None" => Some(None),
            v => T::read(v).map(Some),
        }
    }
    fn type_text() -> String {
        match T::type_text() {
            t if t.starts_with('{') => format!("{{None, {}", &t[1..]),
            t => format!("{t} or None"),
        }
    }
    fn text(&self) -> String {
        self.as_ref().map_or_else(|| "None".into(), T::text)
    }
    fn blank() -> Self {
        None
    }
}

/// Declares an enum that a parameter can have, with MXNet's texts: `choices! { pub enum Mode { Max = "max", Avg = "avg" } }`.
#[macro_export]
macro_rules! choices {
    ($(#[$m:meta])* $vis:vis enum $name:ident { $($v:ident = $text:literal),+ $(,)? }) => {
        $(#[$m])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)]
        $vis enum $name { $($v),+ }
        impl $crate::ops::params::ParamType for $name {
            fn read(v: &$crate::ops::value::Value) -> Option<Self> {
                match v {
                    $crate::ops::value::Value::Str(s) => match s.as_str() { $($text => Some($name::$v),)+ _ => None },
                    _ => None,
                }
            }
            fn type_text() -> String {
                let mut names = [$($text),+].map(|t| format!("'{t}'"));
                names.sort();
                format!("{{{}}}", names.join(", "))
            }
            fn text(&self) -> String {
                match self { $($name::$v => $text),+ }.into()
            }
            fn blank() -> Self { [$($name::$v),+][0] }
        }
    };
}

/// Declares a parameter struct; see the [module](self). A field without `=` must be given.
#[macro_export]
macro_rules! params {
    ($(#[$m:meta])* $vis:vis struct $name:ident { $($field:ident : $t:ty $(= $default:expr)?, $doc:literal;)* }) => {
        $(#[$m])*
        #[derive(Clone, Debug)]
        $vis struct $name { $(#[doc = $doc] pub $field: $t,)* }
        impl $crate::ops::params::ParamSet for $name {
            fn specs() -> Vec<$crate::ops::params::ParamSpec> {
                vec![$($crate::ops::params::ParamSpec {
                    name: stringify!($field).trim_start_matches("r#"),
                    doc: $doc,
                    type_text: <$t as $crate::ops::params::ParamType>::type_text(),
                    default: $crate::params!(@default $t $(, $default)?),
                }),*]
            }
            #[allow(unused_mut, unused_assignments, unused_variables)]
            fn parse(given: &[(usize, $crate::ops::value::Value)]) -> $crate::error::Result<Self> {
                let mut set = $name { $($field: $crate::params!(@start $t $(, $default)?),)* };
                let mut seen = 0u64;
                for (at, value) in given {
                    let mut k = 0usize;
                    $(
                        if *at == k {
                            set.$field = $crate::ops::params::read_param(stringify!($field), value)?;
                            seen |= 1 << k;
                        }
                        k += 1;
                    )*
                    if *at >= k {
                        $crate::bail!(Param, "there is no parameter number {at}, want less than {k}");
                    }
                }
                let mut k = 0usize;
                $(
                    $crate::params!(@require seen, k, $field $(, $default)?);
                    k += 1;
                )*
                Ok(set)
            }
            fn texts(&self) -> Vec<String> {
                vec![$($crate::ops::params::ParamType::text(&self.$field)),*]
            }
        }
    };
    (@default $t:ty) => { None };
    (@default $t:ty, $default:expr) => {{ let d: $t = $default; Some($crate::ops::params::ParamType::text(&d)) }};
    (@start $t:ty) => { <$t as $crate::ops::params::ParamType>::blank() };
    (@start $t:ty, $default:expr) => { $default };
    (@require $seen:ident, $k:ident, $field:ident) => {
        if $seen & (1 << $k) == 0 {
            $crate::bail!(Param, "Required parameter {} is missing", stringify!($field).trim_start_matches("r#"));
        }
    };
    (@require $seen:ident, $k:ident, $field:ident, $default:expr) => {};
}

/// Reads one parameter's value; used by [`params!`](crate::params).
pub fn read_param<T: ParamType>(name: &str, value: &Value) -> Result<T> {
    T::read(value).ok_or_else(|| {
        let name = name.trim_start_matches("r#");
        let what = T::type_text();
        if what == "boolean" {
            return err!(Param, "Invalid Parameter format for {name} expect boolean but value='{value}'");
        }
        err!(Param, "Invalid Parameter format for {name} expect {what} but value='{value}'")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    choices! { enum Act { Relu = "relu", Tanh = "tanh" } }
    params! {
        struct Everything {
            act: Act, "an enum";
            shape: Ints = Ints::new(), "a tuple";
            begin: OptInts = OptInts::new(), "a tuple with None";
            axis: Option<i64> = None, "optional";
            scale: f64 = 1.5, "a number";
            keep: bool = false, "a switch";
            dtype: DType = DType::F32, "a dtype";
        }
    }

    #[test]
    fn every_form_is_read() {
        let p = Everything::parse(&[
            (0, "tanh".into()),
            (1, "(1, 2,)".into()),
            (2, "[None, 3]".into()),
            (3, Value::Str("None".into())),
            (4, "1e3".into()),
            (5, "True".into()),
            (6, "int8".into()),
        ])
        .unwrap();
        assert_eq!(
            (p.act, p.shape.as_slice(), p.begin.as_slice()),
            (Act::Tanh, &[1, 2][..], &[None, Some(3)][..])
        );
        assert_eq!((p.axis, p.scale, p.keep, p.dtype), (None, 1e3, true, DType::I8));
        assert_eq!(ParamSet::texts(&p), ["tanh", "[1,2]", "[None,3]", "None", "1000", "1", "int8"]);
        let p = Everything::parse(&[(0, "relu".into()), (1, 7i64.into()), (3, 2.0.into())]).unwrap();
        assert_eq!((p.shape.as_slice(), p.axis), (&[7][..], Some(2)));
    }

    #[test]
    fn mistakes_are_named() {
        let bad =
            |i: usize, v: Value| Everything::parse(&[(0, "relu".into()), (i, v)]).unwrap_err().to_string();
        assert!(bad(5, "".into()).contains("expect boolean but value=''"));
        assert!(bad(3, 2.5.into()).contains("axis") && bad(1, "(1".into()).contains("shape"));
        assert!(bad(0, "gelu".into()).contains("{'relu', 'tanh'}"));
        assert!(Everything::parse(&[]).unwrap_err().to_string().contains("act is missing"));
        assert!(bad(9, Value::None).contains("number 9"));
        assert_eq!(Everything::specs()[3].type_text, "int or None");
        assert_eq!(Everything::specs()[0].default, None);
    }
}
