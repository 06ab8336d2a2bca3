//! Keshi.
