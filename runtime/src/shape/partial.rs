//! Partly known shapes, for inference in both directions: graphs know some axes before others.

use super::Dims;
use crate::error::Result;
use smallvec::SmallVec;
use std::fmt;

/// A shape of which some, or all, may be unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partial {
    /// `None`: not even the number of axes is known. Inside, -1 is an unknown size.
    dims: Option<SmallVec<[i64; 6]>>,
}

impl Partial {
    /// Nothing known.
    pub const UNKNOWN: Partial = Partial { dims: None };

    /// Sizes, where -1 is unknown.
    pub fn from_sizes(sizes: &[i64]) -> Partial {
        Partial { dims: Some(sizes.into()) }
    }

    /// A number of axes of unknown sizes.
    pub fn of_ndim(n: usize) -> Partial {
        Partial { dims: Some(SmallVec::from_elem(-1, n)) }
    }

    /// Sizes (-1 unknown), or `None` when not even the number of axes is known.
    #[inline]
    pub fn sizes(&self) -> Option<&[i64]> {
        self.dims.as_deref()
    }

    /// The number of axes, when known.
    pub fn ndim(&self) -> Option<usize> {
        self.dims.as_ref().map(SmallVec::len)
    }

    /// The size of axis `i`, when known.
    pub fn dim(&self, i: usize) -> Option<usize> {
        self.dims.as_ref().and_then(|d| d.get(i)).and_then(|&d| usize::try_from(d).ok())
    }

    /// The whole shape, when all of it is known.
    #[inline]
    pub fn known(&self) -> Option<Dims> {
        let d = self.dims.as_ref()?;
        if d.iter().any(|&d| d < 0) { None } else { Some(d.iter().map(|&d| d as usize).collect()) }
    }

    /// Whether all of it is known.
    pub fn is_known(&self) -> bool {
        self.dims.as_ref().is_some_and(|d| d.iter().all(|&d| d >= 0))
    }

    /// Adds what `other` knows. Errors when the two contradict each other. Returns whether anything was learnt.
    pub fn merge(&mut self, other: &Partial) -> Result<bool> {
        let Some(theirs) = &other.dims else { return Ok(false) };
        let Some(own) = &mut self.dims else {
            self.dims = Some(theirs.clone());
            return Ok(true);
        };
        if own.len() != theirs.len() {
            bail!(Shape, "Shape inconsistent, got {other}, want {self}");
        }
        let mut learnt = false;
        for i in 0..own.len() {
            match (own[i], theirs[i]) {
                (_, -1) => {}
                (-1, d) => {
                    own[i] = d;
                    learnt = true;
                }
                (a, b) if a == b => {}
                _ => bail!(Shape, "Shape inconsistent, got {other}, want {self}"),
            }
        }
        Ok(learnt)
    }
}

impl From<&[usize]> for Partial {
    #[inline]
    fn from(d: &[usize]) -> Partial {
        Partial { dims: Some(d.iter().map(|&d| d as i64).collect()) }
    }
}

impl From<Dims> for Partial {
    fn from(d: Dims) -> Partial {
        Partial::from(d.as_slice())
    }
}

impl fmt::Display for Partial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(d) = &self.dims else { return f.write_str("unknown") };
        f.write_str("(")?;
        for (i, d) in d.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            if *d < 0 { write!(f, "{comma}?")? } else { write!(f, "{comma}{d}")? }
        }
        f.write_str(if d.len() == 1 { ",)" } else { ")" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_learns_and_contradictions_are_refused() {
        let mut a = Partial::from_sizes(&[2, -1]);
        assert!(a.merge(&Partial::from_sizes(&[-1, 3])).unwrap());
        assert_eq!(a.known().unwrap().as_slice(), [2, 3]);
        assert!(!a.merge(&Partial::UNKNOWN).unwrap());
        assert!(a.merge(&Partial::from_sizes(&[2, 4])).is_err());
        assert!(a.merge(&Partial::of_ndim(3)).is_err());
        assert_eq!(Partial::from_sizes(&[2, -1]).to_string(), "(2,?)");
    }
}
