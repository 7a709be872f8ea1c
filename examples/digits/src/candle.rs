//! The digits in Candle: batches and the classifier.

pub mod batch;
pub mod model;
