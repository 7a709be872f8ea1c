//! Renders a footprint for people and for other tools: a chart for the terminal, CSV, and a plot as PNG.
//!
//! # Limits
//! - The plot's font has Latin, Greek and Cyrillic letters only.
//!
//! # Features
//! - `plot`: [`render_plot`].

#![forbid(unsafe_code)]

mod chart;
mod csv;
#[cfg(feature = "plot")]
mod plot;

pub use chart::chart;
pub use csv::{CsvError, to_csv};
#[cfg(feature = "plot")]
pub use plot::{PlotError, render_plot};
