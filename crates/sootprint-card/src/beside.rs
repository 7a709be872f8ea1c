//! The picture beside the card.

use std::io;
use std::path::{Path, PathBuf};

use sootprint_core::Footprint;

use crate::error::CardError;
use crate::file::{folder_of, write_whole};
use crate::options::CardOptions;
use crate::section::PICTURE_FILE;

/// What the card may show, and what is to be written for it.
#[derive(Debug)]
pub(crate) enum Picture {
    None,
    /// One that lies there already.
    Kept,
    Drawn {
        path: PathBuf,
        png: Vec<u8>,
    },
}

/// The picture that the card at this path shows: drawn, or the one that lies beside it where none can be drawn.
pub(crate) fn picture_beside(
    card: &Path,
    footprint: &Footprint,
    options: &CardOptions,
) -> Result<Picture, CardError> {
    if !options.has_picture() || footprint.power.is_empty() {
        return Ok(Picture::None);
    }
    let path = folder_of(card).join(PICTURE_FILE);
    Ok(match drawn(footprint)? {
        Some(png) => Picture::Drawn { path, png },
        None if path.is_file() => Picture::Kept,
        None => Picture::None,
    })
}

#[cfg(feature = "plot")]
fn drawn(footprint: &Footprint) -> Result<Option<Vec<u8>>, CardError> {
    sootprint_report::render_plot(footprint).map_err(|source| CardError::Picture { source: source.into() })
}

#[cfg(not(feature = "plot"))]
#[expect(clippy::unnecessary_wraps, reason = "drawing can fail where it is built in")]
fn drawn(_: &Footprint) -> Result<Option<Vec<u8>>, CardError> {
    Ok(None)
}

impl Picture {
    pub(crate) const fn is_shown(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Writes what was drawn, unless the same lies there already. The path, or the error with it.
    pub(crate) fn write(self) -> Result<Option<PathBuf>, (PathBuf, io::Error)> {
        let Self::Drawn { path, png } = self else { return Ok(None) };
        let is_there = std::fs::read(&path).is_ok_and(|old| old == png);
        match if is_there { Ok(()) } else { write_whole(&path, &png) } {
            Ok(()) => Ok(Some(path)),
            Err(source) => Err((path, source)),
        }
    }
}
