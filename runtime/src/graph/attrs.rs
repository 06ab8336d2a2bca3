//! Attributes of nodes: texts by key. Those of a call hold its parameters too. Keys such as `__lr_mult__` belong to
//! whoever trains or places the graph; five of them may also be written bare.

use crate::error::Result;
use crate::ops::params::{OptInts, ParamType};
use crate::ops::value::Value;
use std::collections::BTreeMap;

/// Attributes in the order of their keys.
pub type Attrs = BTreeMap<String, String>;

/// Keys that are stored between double underscores.
const HIDDEN: [&str; 5] = ["ctx_group", "lr_mult", "wd_mult", "force_mirroring", "mirror_stage"];

/// Which group of devices a node belongs to.
pub const GROUP: &str = "__ctx_group__";
/// The initializer of a variable.
pub const INIT: &str = "__init__";
/// The shape of a variable, 0 where a size is unknown.
pub const SHAPE: &str = "__shape__";
/// The dtype of a variable, as a number.
pub const DTYPE: &str = "__dtype__";

/// `__key__`.
fn guarded(key: &str) -> String {
    format!("__{key}__")
}

/// Whether a key belongs to nobody's parameters: `__key__`.
pub fn is_guarded(key: &str) -> bool {
    key.len() > 4 && key.starts_with("__") && key.ends_with("__")
}

/// The key under which an attribute is stored.
pub fn stored(key: &str) -> Result<String> {
    for hidden in HIDDEN {
        if key == hidden {
            return Ok(guarded(key));
        }
        if key.ends_with(hidden) {
            bail!(
                Argument,
                "setting variable attributes with {key} is deprecated. please instead use w = Variable({hidden}=k); \
                 sym = YourSymbolName(input=w)"
            );
        }
    }
    Ok(key.to_owned())
}

/// The attribute of that key, in either of its two spellings.
pub fn get<'a>(attrs: &'a Attrs, key: &str) -> Option<&'a String> {
    attrs.get(key).or_else(|| HIDDEN.contains(&key).then(|| attrs.get(&guarded(key))).flatten())
}

/// The bare spelling of a stored key that has one.
pub fn bare(key: &str) -> Option<&'static str> {
    HIDDEN.into_iter().find(|h| key.len() == h.len() + 4 && is_guarded(key) && key[2..].starts_with(h))
}

/// Sizes as a text gives them: `(2, 0)`.
pub fn sizes(text: &str) -> Option<Vec<i64>> {
    let sizes = OptInts::read(&Value::Str(text.to_owned()))?;
    sizes.into_iter().collect()
}

/// What an old file means by a key: one of the node itself, under its present name, or one of an input of that name.
pub enum Old {
    /// The node's own.
    Own(String),
    /// `weight_lr_mult`: the input, and the key there.
    Input(String, String),
}

/// Reads a key as files of the first releases have it.
pub fn upgraded(key: &str) -> Old {
    for hidden in HIDDEN {
        match key.strip_suffix(hidden) {
            Some("") => return Old::Own(guarded(hidden)),
            Some(input) if input.ends_with('_') && input.len() > 1 => {
                return Old::Input(input[..input.len() - 1].to_owned(), guarded(hidden));
            }
            _ => {}
        }
    }
    Old::Own(key.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_keys_have_two_spellings() {
        assert_eq!(stored("lr_mult").unwrap(), "__lr_mult__");
        assert_eq!(stored("mood").unwrap(), "mood");
        assert!(stored("weight_lr_mult").unwrap_err().to_string().contains("deprecated"));
        assert_eq!((bare("__wd_mult__"), bare("__mood__"), bare("wd_mult")), (Some("wd_mult"), None, None));
        let attrs = Attrs::from([("__lr_mult__".to_owned(), "2".to_owned())]);
        assert_eq!(get(&attrs, "lr_mult").unwrap(), "2");
        assert!(get(&attrs, "mood").is_none());
        assert!(matches!(upgraded("bias_lr_mult"), Old::Input(i, k) if i == "bias" && k == "__lr_mult__"));
        assert!(matches!(upgraded("ctx_group"), Old::Own(k) if k == "__ctx_group__"));
    }
}
