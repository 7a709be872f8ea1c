//! The plot next to the card.

use std::fs;
use std::path::{Path, PathBuf};

use sootprint_core::Footprint;
use sootprint_core::file::{parent_dir, write_atomic};

use crate::error::CardError;
use crate::options::CardOptions;

/// The file name of the plot, which is next to the card.
pub const PLOT_FILE: &str = "sootprint.png";

/// The plot that a card shows, if any.
#[derive(Debug)]
pub(crate) enum PlotFile {
    None,
    /// The file exists, and no plot can be rendered.
    Existing,
    New {
        path: PathBuf,
        png: Vec<u8>,
    },
}

impl PlotFile {
    pub(crate) const fn is_shown(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Writes a rendered plot, unless the file already has the same bytes, and returns its path.
    pub(crate) fn write(self) -> Result<Option<PathBuf>, CardError> {
        let Self::New { path, png } = self else { return Ok(None) };
        if !fs::read(&path).is_ok_and(|old| old == png) {
            write_atomic(&path, &png).map_err(|source| CardError::io(&path, source))?;
        }
        Ok(Some(path))
    }
}

/// Renders the plot for the card at this path; without the feature `plot`, an existing file is used.
pub(crate) fn prepare_plot(
    card: &Path,
    footprint: &Footprint,
    options: &CardOptions,
) -> Result<PlotFile, CardError> {
    if !options.includes_plot() || footprint.power.is_empty() {
        return Ok(PlotFile::None);
    }
    let path = parent_dir(card).join(PLOT_FILE);
    Ok(match render_plot(footprint)? {
        Some(png) => PlotFile::New { path, png },
        None if path.is_file() => PlotFile::Existing,
        None => PlotFile::None,
    })
}

#[cfg(feature = "plot")]
fn render_plot(footprint: &Footprint) -> Result<Option<Vec<u8>>, CardError> {
    sootprint_report::render_plot(footprint).map_err(|source| CardError::Plot { source: source.into() })
}

#[cfg(not(feature = "plot"))]
#[expect(clippy::unnecessary_wraps, reason = "rendering can fail with the feature `plot`")]
fn render_plot(_: &Footprint) -> Result<Option<Vec<u8>>, CardError> {
    Ok(None)
}
