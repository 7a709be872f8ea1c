//! The card: one text for the folder and for the Hub.

use std::path::{Path, PathBuf};
use std::{fs, io};

use sootprint::Footprint;
use sootprint_card::{CardError, CardOptions, CardTemplate, CardWriter, ModelCard};

use crate::error::PushError;
use crate::files::CARD_FILE;
use crate::repo_id::RepoId;
use crate::staging::{create_atomic, write_atomic};
use crate::text_merge::{MergeOutcome, merge_three_way};

/// The card that is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MergedCard {
    pub(crate) text: String,
    /// The emissions of another origin that made way, in one line.
    pub(crate) replaced_emissions: Option<String>,
    /// The `dia_report` of another origin that made way, in one line.
    pub(crate) replaced_report: Option<String>,
    origin: CardOrigin,
    local: LocalCard,
}

/// Where the text around the footprint comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CardOrigin {
    /// The folder's card has all of it.
    Local,
    /// Some of it, or all, is the Hub's.
    Remote,
    New,
}

/// The two cards of today, and the one that they come from.
pub(crate) struct MergeInputs {
    pub(crate) local: LocalCard,
    pub(crate) remote: Option<Vec<u8>>,
    /// None when nothing is known of a publication before.
    pub(crate) base: Option<String>,
    /// What a card says that there is not yet.
    pub(crate) new_card: CardTemplate,
}

/// Why there is no one text.
#[derive(Debug)]
pub(crate) enum MergeFailure {
    /// A card cannot be edited.
    InvalidCard(PushError),
    /// Both were edited in the same place.
    Conflict {
        /// The folder's card, for whoever wants to propose it.
        ours: Box<MergedCard>,
        /// The Hub's card as it is there.
        theirs: String,
        /// Both in one text, with marks.
        conflict_text: String,
    },
}

/// The card in the folder, with the footprint in it, if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalCard {
    path: PathBuf,
    /// The file as it was read, links resolved.
    original: Option<(PathBuf, Vec<u8>)>,
    edited: Option<EditedCard>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct EditedCard {
    text: String,
    replaced_emissions: Option<String>,
    replaced_report: Option<String>,
}

impl LocalCard {
    /// Reads the card in `dir`, whose file is `found`, links resolved. Nothing is written.
    pub(crate) fn read(
        dir: &Path,
        card_file: Option<&Path>,
        footprint: &Footprint,
        options: &CardOptions,
    ) -> Result<Self, PushError> {
        let path = dir.join(CARD_FILE);
        let Some(file) = card_file else { return Ok(Self { path, original: None, edited: None }) };
        let bytes =
            fs::read(file).map_err(|source| PushError::UnreadableFile { path: path.clone(), source })?;
        let edited = EditedCard::from_bytes(bytes.clone(), footprint, options)
            .map_err(|source| PushError::InvalidCard { card: path.display().to_string(), source })?;
        Ok(Self { path, original: Some((file.to_owned(), bytes)), edited: Some(edited) })
    }

    /// The folder's card alone; a small one where there is none.
    fn without_remote(
        self,
        new_card: CardTemplate,
        name: &RepoId,
        footprint: &Footprint,
        options: &CardOptions,
    ) -> Result<MergedCard, CardError> {
        Ok(match self.edited.clone() {
            Some(edited) => MergedCard::new(edited, CardOrigin::Local, self),
            None => {
                let new_card = new_card.title_or(&name.name).with_defaults_from(&self.path);
                let writer = CardWriter::new(footprint).options(options.clone()).template(new_card);
                let text = writer.render()?;
                MergedCard::new(
                    EditedCard { text, replaced_emissions: None, replaced_report: None },
                    CardOrigin::New,
                    self,
                )
            }
        })
    }
}

impl MergedCard {
    /// The one text of the folder's card and the Hub's. A model that has neither gets a small card.
    ///
    /// The footprint is put into all of them first, so that they differ in what is not sootprint's only.
    pub(crate) fn from_inputs(
        inputs: MergeInputs,
        name: &RepoId,
        footprint: &Footprint,
        options: &CardOptions,
    ) -> Result<Self, MergeFailure> {
        let MergeInputs { local, remote, base, new_card } = inputs;
        let invalid_remote = |source| {
            MergeFailure::InvalidCard(PushError::InvalidCard {
                card: format!("{CARD_FILE} of {name} on the Hub"),
                source,
            })
        };
        let Some(bytes) = remote else {
            return local.without_remote(new_card, name, footprint, options).map_err(invalid_remote);
        };
        let theirs = String::from_utf8_lossy(&bytes).into_owned();
        let remote = EditedCard::from_bytes(bytes, footprint, options).map_err(invalid_remote)?;
        let Some(ours) = local.edited.clone() else {
            return Ok(Self::new(remote, CardOrigin::Remote, local));
        };
        if ours.text == remote.text {
            let replaced = remote.replaced_emissions.or(ours.replaced_emissions);
            let replaced_report = remote.replaced_report.or(ours.replaced_report);
            return Ok(Self::new(
                EditedCard { text: ours.text, replaced_emissions: replaced, replaced_report },
                CardOrigin::Local,
                local,
            ));
        }
        // A base that cannot be edited any more is no base.
        let base = base.and_then(|text| EditedCard::from_bytes(text.into_bytes(), footprint, options).ok());
        let base = base.as_ref().map(|base| base.text.as_str());
        match merge_three_way(base, &ours.text, &remote.text) {
            MergeOutcome::Ours => Ok(Self::new(
                EditedCard { replaced_emissions: remote.replaced_emissions, ..ours },
                CardOrigin::Local,
                local,
            )),
            MergeOutcome::Theirs => Ok(Self::new(remote, CardOrigin::Remote, local)),
            // Lines that do not touch may still make no card together.
            MergeOutcome::Merged(text) if is_up_to_date(&text, footprint, options) => {
                Ok(Self::new(EditedCard { text, ..remote }, CardOrigin::Remote, local))
            }
            MergeOutcome::Merged(marked) | MergeOutcome::Conflict(marked) => Err(MergeFailure::Conflict {
                ours: Box::new(Self::new(ours, CardOrigin::Local, local)),
                theirs,
                conflict_text: marked,
            }),
        }
    }

    fn new(edited: EditedCard, origin: CardOrigin, local: LocalCard) -> Self {
        let EditedCard { text, replaced_emissions: replaced, replaced_report } = edited;
        Self { text, replaced_emissions: replaced, replaced_report, origin, local }
    }

    /// Where the card in the folder is or would be.
    pub(crate) fn path(&self) -> &Path {
        &self.local.path
    }

    /// Writes the text into the folder, and says whether the folder's card now has all of it.
    ///
    /// It has not when somebody wrote to it meanwhile, and the text has lines of the Hub's: his work is left alone.
    pub(crate) fn write_local(
        &self,
        footprint: &Footprint,
        options: &CardOptions,
    ) -> Result<bool, CardError> {
        let path = &self.local.path;
        let write_error = |source| CardError::Io { path: path.clone(), source };
        match (&self.origin, &self.local.original) {
            // What was added to the card since it was read stays in it.
            (CardOrigin::Local, _) => {
                CardWriter::new(footprint).options(options.clone()).write(path)?;
                Ok(true)
            }
            (CardOrigin::Remote | CardOrigin::New, None) => {
                create_atomic(path, self.text.as_bytes()).map_err(write_error)?;
                Ok(true)
            }
            (CardOrigin::Remote | CardOrigin::New, Some((file, read))) => match fs::read(file) {
                Ok(now) if now == *read => {
                    write_atomic(file, self.text.as_bytes()).map_err(write_error)?;
                    Ok(true)
                }
                Ok(_) => Ok(false),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
                Err(error) => Err(write_error(error)),
            },
        }
    }

    /// Whether nothing in it was written by others on the Hub alone.
    pub(crate) fn is_local_only(&self) -> bool {
        self.origin != CardOrigin::Remote
    }

    /// Whether there was no card anywhere.
    pub(crate) fn is_new(&self) -> bool {
        self.origin == CardOrigin::New
    }
}

impl EditedCard {
    fn from_bytes(bytes: Vec<u8>, footprint: &Footprint, options: &CardOptions) -> Result<Self, CardError> {
        let (text, written) = CardWriter::new(footprint)
            .options(options.clone())
            .apply(ModelCard::from_bytes(bytes)?.text())?;
        Ok(Self {
            text,
            replaced_emissions: written.replaced_emissions,
            replaced_report: written.replaced_report,
        })
    }
}

/// Whether a text is a card with exactly this footprint in it.
fn is_up_to_date(text: &str, footprint: &Footprint, options: &CardOptions) -> bool {
    CardWriter::new(footprint).options(options.clone()).apply(text).is_ok_and(|(again, _)| again == *text)
}

#[cfg(test)]
mod tests;
