//! Renders footprints: a text chart for the terminal, CSV for spreadsheets, and a plot as PNG.
//!
//! # Limits
//! - A point of the power curve is the mean power since the previous point; shorter peaks are not visible.
//! - [`chart`] adds up the components of each kind if there are more than 12 components; the plot shows at most 10
//!   bars.
//! - The font of the plot has Latin, Greek and Cyrillic letters only.
//!
//! # Features
//! - `plot`: adds `render_plot`, which needs a plotting crate, a PNG encoder and a font.

#![forbid(unsafe_code)]

mod chart;
mod csv;
#[cfg(feature = "plot")]
mod plot;

pub use chart::chart;
pub use csv::{CsvError, to_csv};
#[cfg(feature = "plot")]
pub use plot::{PlotError, render_plot};
