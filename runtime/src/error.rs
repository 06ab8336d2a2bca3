//! The one error type. Its text reads `op: what is wrong, got X, want Y`; its kind is the stable code that
//! the C ABI hands out. Nothing in the runtime panics on bad input: it returns one of these.

use std::fmt;

/// What class of mistake an [`Error`] reports. The numbers are part of the C ABI and are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum ErrorKind {
    /// A shape, axis or index that does not fit.
    Shape = 1,
    /// A dtype that the operator does not take, or dtypes that do not go together.
    Dtype = 2,
    /// An unknown, missing or malformed parameter.
    Param = 3,
    /// No operator of that name.
    UnknownOp = 4,
    /// The tape cannot do what was asked: no history, a freed graph, a saved value changed in place.
    Autograd = 5,
    /// Memory could not be had.
    Memory = 6,
    /// A null or otherwise unusable argument at an edge (C ABI, DLPack).
    Argument = 7,
    /// A file or byte stream that cannot be read or written.
    Io = 8,
    /// A numeric fault, such as integer division by zero or a matrix that is not positive definite.
    Numeric = 9,
    /// A bug in Keshi: a panic caught at the edge.
    Internal = 10,
}

/// The error of every fallible function in Keshi.
#[derive(Clone, Debug)]
pub struct Error(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: ErrorKind,
    op: Option<String>,
    text: String,
}

/// Shorthand for `std::result::Result<T, Error>`.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind` saying `text`; no operator is named yet, see [`Error::within`].
    pub fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Error(Box::new(Inner { kind, op: None, text: text.into() }))
    }

    /// Names the operator that failed, unless a deeper one has been named already.
    #[must_use]
    pub fn within(mut self, op: &str) -> Self {
        self.0.op.get_or_insert_with(|| op.to_owned());
        self
    }

    /// The class of the mistake.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The text without the operator's name.
    pub fn text(&self) -> &str {
        &self.0.text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.op {
            Some(op) => write!(f, "{op}: {}", self.0.text),
            None => f.write_str(&self.0.text),
        }
    }
}

impl std::error::Error for Error {}

/// Builds an [`Error`]: `err!(Shape, "axis {axis} is out of range, got {n} axes")`.
#[macro_export]
macro_rules! err {
    ($kind:ident, $($text:tt)*) => {
        $crate::error::Error::new($crate::error::ErrorKind::$kind, format!($($text)*))
    };
}

/// Returns early with an [`Error`]: `bail!(Dtype, "got {a}, want {b}")`.
#[macro_export]
macro_rules! bail {
    ($kind:ident, $($text:tt)*) => { return Err($crate::err!($kind, $($text)*)) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_operator_is_named() {
        let e = err!(Shape, "got {}, want {}", 1, 2).within("dot").within("FullyConnected");
        assert_eq!(e.to_string(), "dot: got 1, want 2");
        assert_eq!(e.kind(), ErrorKind::Shape);
        assert_eq!(e.text(), "got 1, want 2");
    }
}
