//! The digits in Burn: batches, the classifier, and a renderer that prints one line per epoch.

pub mod batch;
pub mod model;
pub mod renderer;
