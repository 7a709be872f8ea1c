//! Shared code of the benchmarks.

#![forbid(unsafe_code)]

pub mod statistics;
pub mod system;

/// An error of a measurement.
pub type BenchError = Box<dyn std::error::Error + Send + Sync>;
