//! The card: one text for the folder and for the Hub.

use std::path::{Path, PathBuf};
use std::{fs, io};

use sootprint::Footprint;
use sootprint_card::{CardError, CardOptions, ModelCard, NewCard, apply_with, write_card_with};

use crate::error::PublishError;
use crate::files::CARD;
use crate::merge::{Merged, three_way};
use crate::name::RepositoryName;
use crate::staging::{write_new, write_whole};

/// The card that is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Card {
    pub(crate) text: String,
    /// The emissions of another origin that made way, in one line.
    pub(crate) replaced: Option<String>,
    /// The `dia_report` of another origin that made way, in one line.
    pub(crate) replaced_report: Option<String>,
    origin: Origin,
    local: LocalCard,
}

/// Where the text around the footprint comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// The folder's card has all of it.
    Folder,
    /// Some of it, or all, is the Hub's.
    Hub,
    Nowhere,
}

/// The two cards of today, and the one that they come from.
pub(crate) struct Sides {
    pub(crate) local: LocalCard,
    pub(crate) remote: Option<Vec<u8>>,
    /// None when nothing is known of a publication before.
    pub(crate) base: Option<String>,
    /// What a card says that there is not yet.
    pub(crate) new_card: NewCard,
}

/// Why there is no one text.
#[derive(Debug)]
pub(crate) enum Apart {
    /// A card cannot be edited.
    Unreadable(PublishError),
    /// Both were edited in the same place.
    Conflict {
        /// The folder's card, for whoever wants to propose it.
        ours: Box<Card>,
        /// The Hub's card as it is there.
        theirs: String,
        /// Both in one text, with marks.
        marked: String,
    },
}

/// The card in the folder, with the footprint in it, if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalCard {
    path: PathBuf,
    /// The file as it was read, links resolved.
    found: Option<(PathBuf, Vec<u8>)>,
    edited: Option<Edited>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Edited {
    text: String,
    replaced: Option<String>,
    replaced_report: Option<String>,
}

impl LocalCard {
    /// Reads the card in `dir`, whose file is `found`, links resolved. Nothing is written.
    pub(crate) fn read(
        dir: &Path,
        found: Option<&Path>,
        footprint: &Footprint,
        options: &CardOptions,
    ) -> Result<Self, PublishError> {
        let path = dir.join(CARD);
        let Some(file) = found else { return Ok(Self { path, found: None, edited: None }) };
        let bytes = fs::read(file).map_err(|source| PublishError::File { path: path.clone(), source })?;
        let edited = Edited::of(bytes.clone(), footprint, options)
            .map_err(|source| PublishError::Card { card: path.display().to_string(), source })?;
        Ok(Self { path, found: Some((file.to_owned(), bytes)), edited: Some(edited) })
    }

    /// The folder's card alone; a small one where there is none.
    fn alone(
        self,
        new_card: NewCard,
        name: &RepositoryName,
        footprint: &Footprint,
        options: &CardOptions,
    ) -> Result<Card, CardError> {
        Ok(match self.edited.clone() {
            Some(edited) => Card::new(edited, Origin::Folder, self),
            None => {
                let new_card = new_card.or_title(&name.name).completed_from(&self.path);
                let text = new_card.render_with(footprint, options)?;
                Card::new(Edited { text, replaced: None, replaced_report: None }, Origin::Nowhere, self)
            }
        })
    }
}

impl Card {
    /// The one text of the folder's card and the Hub's. A model that has neither gets a small card.
    ///
    /// The footprint is put into all of them first, so that they differ in what is not sootprint's only.
    pub(crate) fn merge(
        sides: Sides,
        name: &RepositoryName,
        footprint: &Footprint,
        options: &CardOptions,
    ) -> Result<Self, Apart> {
        let Sides { local, remote, base, new_card } = sides;
        let on_the_hub = |source| {
            Apart::Unreadable(PublishError::Card { card: format!("{CARD} of {name} on the Hub"), source })
        };
        let Some(bytes) = remote else {
            return local.alone(new_card, name, footprint, options).map_err(on_the_hub);
        };
        let theirs = String::from_utf8_lossy(&bytes).into_owned();
        let remote = Edited::of(bytes, footprint, options).map_err(on_the_hub)?;
        let Some(ours) = local.edited.clone() else { return Ok(Self::new(remote, Origin::Hub, local)) };
        if ours.text == remote.text {
            let replaced = remote.replaced.or(ours.replaced);
            let replaced_report = remote.replaced_report.or(ours.replaced_report);
            return Ok(Self::new(
                Edited { text: ours.text, replaced, replaced_report },
                Origin::Folder,
                local,
            ));
        }
        // A base that cannot be edited any more is no base.
        let base = base.and_then(|text| Edited::of(text.into_bytes(), footprint, options).ok());
        let base = base.as_ref().map(|base| base.text.as_str());
        match three_way(base, &ours.text, &remote.text) {
            Merged::Ours => {
                Ok(Self::new(Edited { replaced: remote.replaced, ..ours }, Origin::Folder, local))
            }
            Merged::Theirs => Ok(Self::new(remote, Origin::Hub, local)),
            // Lines that do not touch may still make no card together.
            Merged::Both(text) if is_stable(&text, footprint, options) => {
                Ok(Self::new(Edited { text, ..remote }, Origin::Hub, local))
            }
            Merged::Both(marked) | Merged::Conflict(marked) => Err(Apart::Conflict {
                ours: Box::new(Self::new(ours, Origin::Folder, local)),
                theirs,
                marked,
            }),
        }
    }

    fn new(edited: Edited, origin: Origin, local: LocalCard) -> Self {
        let Edited { text, replaced, replaced_report } = edited;
        Self { text, replaced, replaced_report, origin, local }
    }

    /// Where the card in the folder is or would be.
    pub(crate) fn path(&self) -> &Path {
        &self.local.path
    }

    /// Writes the text into the folder, and says whether the folder's card now has all of it.
    ///
    /// It has not when somebody wrote to it meanwhile, and the text has lines of the Hub's: his work is left alone.
    pub(crate) fn write(&self, footprint: &Footprint, options: &CardOptions) -> Result<bool, CardError> {
        let path = &self.local.path;
        let failed = |source| CardError::File { path: path.clone(), source };
        match (&self.origin, &self.local.found) {
            // What was added to the card since it was read stays in it.
            (Origin::Folder, _) => {
                write_card_with(path, footprint, &NewCard::default(), options)?;
                Ok(true)
            }
            (Origin::Hub | Origin::Nowhere, None) => {
                write_new(path, self.text.as_bytes()).map_err(failed)?;
                Ok(true)
            }
            (Origin::Hub | Origin::Nowhere, Some((file, read))) => match fs::read(file) {
                Ok(now) if now == *read => {
                    write_whole(file, self.text.as_bytes()).map_err(failed)?;
                    Ok(true)
                }
                Ok(_) => Ok(false),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
                Err(error) => Err(failed(error)),
            },
        }
    }

    /// Whether nothing in it was written by others on the Hub alone.
    pub(crate) fn is_the_folders(&self) -> bool {
        self.origin != Origin::Hub
    }

    /// Whether there was no card anywhere.
    pub(crate) fn is_created(&self) -> bool {
        self.origin == Origin::Nowhere
    }
}

impl Edited {
    fn of(bytes: Vec<u8>, footprint: &Footprint, options: &CardOptions) -> Result<Self, CardError> {
        let (text, written) = apply_with(ModelCard::from_bytes(bytes)?.text(), footprint, options)?;
        Ok(Self { text, replaced: written.replaced, replaced_report: written.replaced_report })
    }
}

/// Whether a text is a card with exactly this footprint in it.
fn is_stable(text: &str, footprint: &Footprint, options: &CardOptions) -> bool {
    apply_with(text, footprint, options).is_ok_and(|(again, _)| again == *text)
}

#[cfg(test)]
mod tests;
