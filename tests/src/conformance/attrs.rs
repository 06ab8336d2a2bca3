//! Parameters: JSON values as tagged values of the C ABI, or as the text that MXNet would get.

use super::Way;
use super::abi::{Handle, Op, Outcome};
use keshi_ffi::{KS_INT_NONE, KsTag, KsValue, KsValueAs};
use serde_json::Value;

/// A value with the memory that its pointer leads to.
enum Owned {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Ints(Vec<i64>),
    Floats(Vec<f64>),
}

fn typed(v: &Value) -> Owned {
    match v {
        Value::Null => Owned::None,
        Value::Bool(b) => Owned::Bool(*b),
        Value::Number(n) => {
            n.as_i64().map_or_else(|| Owned::Float(n.as_f64().unwrap_or(f64::NAN)), Owned::Int)
        }
        Value::String(s) => Owned::Text(s.clone()),
        Value::Array(items) => {
            let int = |x: &Value| if x.is_null() { Some(KS_INT_NONE) } else { x.as_i64() };
            match items.iter().map(int).collect() {
                Some(ints) => Owned::Ints(ints),
                None => Owned::Floats(items.iter().map(|x| x.as_f64().unwrap_or(f64::NAN)).collect()),
            }
        }
        Value::Object(_) => Owned::Text(v.to_string()),
    }
}

/// The text of a value as MXNet's front ends write it.
pub fn written(v: &Value) -> String {
    match v {
        Value::Null => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::String(s) => s.clone(),
        Value::Array(items) => {
            let inner: Vec<String> = items.iter().map(written).collect();
            format!("({}{})", inner.join(", "), if items.len() == 1 { "," } else { "" })
        }
        other => other.to_string(),
    }
}

fn value(v: &Owned) -> KsValue {
    let (tag, len, r#as) = match v {
        Owned::None => (KsTag::KsNone, 0, KsValueAs { i: 0 }),
        Owned::Bool(b) => (KsTag::KsBool, 0, KsValueAs { i: (*b).into() }),
        Owned::Int(i) => (KsTag::KsInt, 0, KsValueAs { i: *i }),
        Owned::Float(f) => (KsTag::KsFloat, 0, KsValueAs { f: *f }),
        Owned::Text(s) => (KsTag::KsStr, s.len(), KsValueAs { s: s.as_ptr().cast() }),
        Owned::Ints(v) => (KsTag::KsInts, v.len(), KsValueAs { ints: v.as_ptr() }),
        Owned::Floats(v) => (KsTag::KsFloats, v.len(), KsValueAs { floats: v.as_ptr() }),
    };
    KsValue { tag: tag as i32, len, r#as }
}

/// Calls an operator with `attrs`, a JSON object.
pub fn invoke(
    op: &Op,
    inputs: &[&Handle],
    attrs: &Value,
    way: Way,
    given: &[&Handle],
) -> Outcome<Vec<Handle>> {
    let none = serde_json::Map::new();
    let attrs = attrs.as_object().unwrap_or(&none);
    let index: Vec<u32> = attrs.keys().map(|name| op.param(name)).collect::<Outcome<_>>()?;
    let owned: Vec<Owned> =
        attrs.values().map(|v| if way == Way::Text { Owned::Text(written(v)) } else { typed(v) }).collect();
    let values: Vec<KsValue> = owned.iter().map(value).collect();
    op.invoke(inputs, &index, &values, given)
}
