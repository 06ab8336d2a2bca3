//! The operator table, and how operators are found in it by name.

#[macro_use]
pub mod params;
#[macro_use]
pub mod def;
pub mod axes;
pub mod infer;
pub mod rewrite;
pub mod samples;
pub mod value;
pub mod vjp;

pub mod activation;
pub mod conv;
pub mod detection;
pub mod elementwise;
pub mod fourier;
pub mod image;
pub mod index;
pub mod init;
pub mod join;
pub mod linalg;
pub mod loss;
pub mod loss_ctc;
pub mod matrix;
pub mod nn_dropout;
pub mod nn_norm;
pub mod optim;
pub mod order;
pub mod pool;
pub mod random;
pub mod random_pdf;
pub mod random_sample;
pub mod reduce;
pub mod registered;
pub mod rnn;
pub mod sequence;
pub mod shape_ops;
pub mod slice;
pub mod softmax;
pub mod sparse;
pub mod spatial;
pub mod text;
pub mod view;

use crate::error::Result;
use def::OpDef;
use std::collections::HashMap;
use std::sync::OnceLock;

/// The tables of all files.
static TABLES: &[&[&OpDef]] = &[
    activation::TABLE,
    conv::column::TABLE,
    conv::convolution::TABLE,
    conv::deconvolution::TABLE,
    conv::ready::TABLE,
    conv::windows::TABLE,
    detection::boxes::TABLE,
    detection::matching::TABLE,
    detection::nms::TABLE,
    detection::ssd::TABLE,
    elementwise::binary::TABLE,
    elementwise::compare::TABLE,
    elementwise::exponential::TABLE,
    elementwise::identity::TABLE,
    elementwise::mixed::TABLE,
    elementwise::rounding::TABLE,
    elementwise::scalar::TABLE,
    elementwise::select::TABLE,
    elementwise::special::TABLE,
    elementwise::trigonometric::TABLE,
    elementwise::unary::TABLE,
    init::TABLE,
    fourier::TABLE,
    image::augment::TABLE,
    image::batch::TABLE,
    image::border::TABLE,
    image::decode::TABLE,
    image::encode::TABLE,
    image::place::TABLE,
    image::resize::TABLE,
    image::tensor::TABLE,
    index::histogram::TABLE,
    index::mask::TABLE,
    index::nd::TABLE,
    index::one_hot::TABLE,
    index::pick::TABLE,
    index::ravel::TABLE,
    index::take::TABLE,
    join::TABLE,
    linalg::diagonal::TABLE,
    linalg::factor::TABLE,
    linalg::inverse::TABLE,
    linalg::triangular::TABLE,
    loss::TABLE,
    loss_ctc::TABLE,
    nn_dropout::TABLE,
    pool::TABLE,
    nn_norm::batch::TABLE,
    nn_norm::group::TABLE,
    nn_norm::layer::TABLE,
    nn_norm::length::TABLE,
    nn_norm::response::TABLE,
    random::TABLE,
    random_pdf::TABLE,
    random_sample::TABLE,
    matrix::TABLE,
    matrix::attention::TABLE,
    matrix::dense::TABLE,
    matrix::dot::TABLE,
    optim::adamw::TABLE,
    optim::adaptive::TABLE,
    optim::lamb::TABLE,
    optim::multi::TABLE,
    optim::nesterov::TABLE,
    optim::sgd::TABLE,
    reduce::TABLE,
    reduce::arg::TABLE,
    reduce::cumulative::TABLE,
    reduce::extreme::TABLE,
    reduce::finite::TABLE,
    reduce::norm::TABLE,
    reduce::stretch::TABLE,
    reduce::sum::TABLE,
    order::TABLE,
    registered::TABLE,
    rnn::TABLE,
    rnn::ready::TABLE,
    sequence::TABLE,
    shape_ops::crop::TABLE,
    shape_ops::pad::TABLE,
    shape_ops::permute::TABLE,
    shape_ops::reshape::TABLE,
    shape_ops::tile::TABLE,
    shape_ops::view::TABLE,
    slice::TABLE,
    softmax::TABLE,
    sparse::TABLE,
    text::TABLE,
    spatial::correlation::TABLE,
    spatial::resample::TABLE,
    spatial::roi::TABLE,
    spatial::sampler::TABLE,
    spatial::upsampling::TABLE,
    view::TABLE,
];

/// All operators, in a fixed order. Names that begin with `_ks_` are internal.
pub fn all() -> impl Iterator<Item = &'static OpDef> {
    TABLES.iter().flat_map(|t| t.iter().copied())
}

/// The operator of that name or alias.
pub fn find(name: &str) -> Result<&'static OpDef> {
    static NAMES: OnceLock<HashMap<&'static str, &'static OpDef>> = OnceLock::new();
    let names = NAMES.get_or_init(|| {
        all().flat_map(|op| op.aliases.iter().chain([&op.name]).map(move |n| (*n, op))).collect()
    });
    names.get(name).copied().ok_or_else(|| err!(UnknownOp, "there is no operator '{name}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_entries_complete() {
        let mut seen = std::collections::HashSet::new();
        for op in all() {
            for name in op.aliases.iter().chain([&op.name]) {
                assert!(seen.insert(*name), "{name} stands twice in the table");
            }
            assert!(!op.doc.is_empty(), "{} has no doc", op.name);
            assert!((op.params.specs)().len() <= 64, "{} has too many parameters", op.name);
            if let def::Gradient::None(why) | def::Gradient::Zero(why) = op.gradient {
                assert!(!why.contains("was stated"), "{} states no reason for having no gradient", op.name);
            }
            if let samples::Samples::None(why) = op.samples {
                assert!(!why.contains("were stated"), "{} states no reason for having no samples", op.name);
            }
        }
        assert!(find("broadcast_plus").is_ok() && find("nonsense").is_err());
    }
}
