//! Loops over elements: mathematics in `lanes`, everything about memory, tails, dtypes and threads here, once.
//!
//! Kernels see [`Span`](crate::storage::Span)s, sizes and strides, never arrays. They trust their caller: shapes agree, spans are
//! long enough, and an output overlaps an input only where the kernel says that it may.

pub mod boxes;
pub mod conv;
pub mod copy;
pub mod ctc;
pub mod cumulative;
pub mod density;
pub mod fourier;
pub mod index;
pub mod linalg;
pub mod map;
pub mod norm;
pub mod noted;
pub mod optim;
pub mod others;
pub mod pad;
pub mod par;
pub mod picture;
pub mod picture_batch;
pub mod picture_encode;
pub mod pool;
pub mod product;
pub mod random;
pub mod reduce;
pub mod resize;
pub mod rnn;
pub mod select;
pub mod sequence;
pub mod softmax;
pub mod sort;
pub mod sparse;
pub mod spatial;
pub mod special;
pub mod text;
pub mod zip;

mod lane;
mod real;

pub(crate) use lane::{fence, gather, head, piece_of, spread, streams};
