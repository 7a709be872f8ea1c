//! The picture beside the card.

use std::io;
use std::path::{Path, PathBuf};

use sootprint_core::Footprint;

use crate::atomic_file::{parent_dir, write_atomic};
use crate::error::CardError;
use crate::impact_section::PLOT_FILE;
use crate::options::CardOptions;

/// What the card may show, and what is to be written for it.
#[derive(Debug)]
pub(crate) enum PlotFile {
    None,
    /// One that lies there already.
    Existing,
    New {
        path: PathBuf,
        png: Vec<u8>,
    },
}

/// The picture that the card at this path shows: drawn, or the one that lies beside it where none can be drawn.
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
#[expect(clippy::unnecessary_wraps, reason = "drawing can fail where it is built in")]
fn render_plot(_: &Footprint) -> Result<Option<Vec<u8>>, CardError> {
    Ok(None)
}

impl PlotFile {
    pub(crate) const fn is_shown(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Writes what was drawn, unless the same lies there already. The path, or the error with it.
    pub(crate) fn write(self) -> Result<Option<PathBuf>, (PathBuf, io::Error)> {
        let Self::New { path, png } = self else { return Ok(None) };
        let is_unchanged = std::fs::read(&path).is_ok_and(|old| old == png);
        match if is_unchanged { Ok(()) } else { write_atomic(&path, &png) } {
            Ok(()) => Ok(Some(path)),
            Err(source) => Err((path, source)),
        }
    }
}
