//! What the examples with Burn share: batches of digits, the classifier, and a line for each epoch.

pub mod batch;
pub mod model;
pub mod renderer;

/// The validation's part of the images to train on: a tenth.
pub const VALIDATION_SIZE: usize = 144;
