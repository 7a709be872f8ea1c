//! What the benchmarks have in common.

#![forbid(unsafe_code)]

pub mod statistics;
pub mod system;

/// Why something could not be measured.
pub type BenchError = Box<dyn std::error::Error + Send + Sync>;
