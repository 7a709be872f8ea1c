//! Merges the card in the folder with the card on the Hub.
//!
//! The footprint is written into both cards and their common ancestor before the merge, so that they differ only in the
//! text of their authors. The common ancestor of the next merge is saved after the card in the folder was written: if
//! the push is interrupted in between, an edit on the Hub is merged again rather than mistaken for a local deletion.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use sootprint::Footprint;
use sootprint_card::{CardError, CardOptions, CardTemplate, CardWriter, ModelCard};
use sootprint_core::RepoId;
use sootprint_core::file::{create_atomic, is_read_only, read_bytes, write_atomic};

use crate::error::PushError;
use crate::files::CARD_FILE;
use crate::text_merge::{MergeOutcome, merge_three_way};

/// The card that is pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MergedCard {
    pub(crate) text: String,
    /// Emissions from another tool that were replaced, in one line.
    pub(crate) replaced_emissions: Option<String>,
    /// A `dia_report` from another tool that was replaced, in one line.
    pub(crate) replaced_report: Option<String>,
    origin: CardOrigin,
    local: LocalCard,
}

/// The origin of the text around the footprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CardOrigin {
    /// The local card contains all of it.
    Local,
    /// Some or all of it comes from the Hub.
    Remote,
    /// It was generated.
    New,
}

/// The local and the remote card, and their common ancestor.
pub(crate) struct MergeInputs {
    pub(crate) local: LocalCard,
    pub(crate) remote: Option<Vec<u8>>,
    /// `None` without an earlier push.
    pub(crate) base: Option<String>,
    /// The repositories that the folder was pushed to; a card that was created for one of them has its name.
    pub(crate) earlier_repositories: Vec<String>,
    /// The card to create if neither exists.
    pub(crate) new_card: CardTemplate,
}

/// Why the cards cannot be merged.
#[derive(Debug)]
pub(crate) enum MergeFailure {
    /// A card cannot be edited.
    InvalidCard(PushError),
    /// Both were edited in the same place.
    Conflict {
        /// The local card, which may still be proposed in a pull request.
        ours: Box<MergedCard>,
        /// The unchanged remote card.
        theirs: String,
        /// Both in one text, with conflict markers.
        conflict_text: String,
    },
}

/// The card in the folder, if there is one, and the same card with the footprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalCard {
    path: PathBuf,
    /// The file with links resolved, and its content when it was read.
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
    /// Reads the card of `dir` from `card_file`, which is its path with links resolved. Writes nothing.
    pub(crate) fn read(
        dir: &Path,
        card_file: Option<&Path>,
        footprint: &Footprint,
        options: &CardOptions,
    ) -> Result<Self, PushError> {
        let path = dir.join(CARD_FILE);
        let Some(file) = card_file else { return Ok(Self { path, original: None, edited: None }) };
        let bytes = read_bytes(file, ModelCard::MAX_LEN)
            .map_err(|source| PushError::UnreadableFile { path: path.clone(), source })?;
        let edited = EditedCard::from_bytes(bytes.clone(), footprint, options)
            .map_err(|source| PushError::InvalidCard { card: path.display().to_string(), source })?;
        Ok(Self { path, original: Some((file.to_owned(), bytes)), edited: Some(edited) })
    }

    /// The local card, or a minimal one if there is none.
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
                let new_card = new_card.title_or(name.name()).with_defaults_from(&self.path);
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

impl LocalCard {
    /// The cards that are generated for this footprint: by pushes, with these titles, and by `sootprint card write`.
    fn generated_texts(
        &self,
        new_card: &CardTemplate,
        titles: &BTreeSet<&str>,
        footprint: &Footprint,
        options: &CardOptions,
    ) -> Vec<String> {
        let of_pushes = titles.iter().map(|title| new_card.clone().title_or(*title));
        let render = |template: CardTemplate| {
            let template = template.with_defaults_from(&self.path);
            CardWriter::new(footprint).options(options.clone()).template(template).render().ok()
        };
        of_pushes.chain([new_card.clone()]).filter_map(render).collect()
    }
}

impl MergedCard {
    /// Merges the local and the remote card. If neither exists, creates a minimal card.
    pub(crate) fn from_inputs(
        inputs: MergeInputs,
        name: &RepoId,
        footprint: &Footprint,
        options: &CardOptions,
    ) -> Result<Self, MergeFailure> {
        let MergeInputs { local, remote, base, earlier_repositories, new_card } = inputs;
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
            let replaced_emissions = remote.replaced_emissions.or(ours.replaced_emissions);
            let replaced_report = remote.replaced_report.or(ours.replaced_report);
            return Ok(Self::new(
                EditedCard { text: ours.text, replaced_emissions, replaced_report },
                CardOrigin::Local,
                local,
            ));
        }
        // A card that nobody has edited gives way to the other one.
        let earlier_names = earlier_repositories.iter().filter_map(|repo| Some(repo.split_once('/')?.1));
        let titles: BTreeSet<&str> = earlier_names.chain([name.name()]).collect();
        let generated = local.generated_texts(&new_card, &titles, footprint, options);
        if generated.contains(&ours.text) {
            return Ok(Self::new(remote, CardOrigin::Remote, local));
        }
        if base.is_none() && generated.contains(&remote.text) {
            let edited = EditedCard { replaced_emissions: remote.replaced_emissions, ..ours };
            return Ok(Self::new(edited, CardOrigin::Local, local));
        }
        // An ancestor that cannot be edited is ignored.
        let base = base.and_then(|text| EditedCard::from_bytes(text.into_bytes(), footprint, options).ok());
        let base = base.as_ref().map(|base| base.text.as_str());
        match merge_three_way(base, &ours.text, &remote.text) {
            MergeOutcome::Ours => Ok(Self::new(
                EditedCard { replaced_emissions: remote.replaced_emissions, ..ours },
                CardOrigin::Local,
                local,
            )),
            MergeOutcome::Theirs => Ok(Self::new(remote, CardOrigin::Remote, local)),
            // Edits in different lines may still combine to an invalid card.
            MergeOutcome::Merged(text) if is_up_to_date(&text, footprint, options) => {
                Ok(Self::new(EditedCard { text, ..remote }, CardOrigin::Remote, local))
            }
            MergeOutcome::Merged(text) | MergeOutcome::Conflict(text) => Err(MergeFailure::Conflict {
                ours: Box::new(Self::new(ours, CardOrigin::Local, local)),
                theirs,
                conflict_text: text,
            }),
        }
    }

    fn new(edited: EditedCard, origin: CardOrigin, local: LocalCard) -> Self {
        let EditedCard { text, replaced_emissions, replaced_report } = edited;
        Self { text, replaced_emissions, replaced_report, origin, local }
    }

    /// The path of the card in the folder, whether it exists or not.
    pub(crate) fn path(&self) -> &Path {
        &self.local.path
    }

    /// Writes the text into the folder, and returns whether the card in the folder now contains all of it.
    ///
    /// Returns `false` and writes nothing if the file has changed since it was read and the text contains lines of the
    /// remote card.
    pub(crate) fn write_local(
        &self,
        footprint: &Footprint,
        options: &CardOptions,
    ) -> Result<bool, CardError> {
        let path = &self.local.path;
        let write_error = |source| CardError::Io { path: path.clone(), source };
        match (&self.origin, &self.local.original) {
            // Only the footprint is written, so text that was added since the card was read is kept.
            (CardOrigin::Local, _) => {
                CardWriter::new(footprint).options(options.clone()).write(path)?;
                Ok(true)
            }
            (CardOrigin::Remote | CardOrigin::New, None) => {
                create_atomic(path, self.text.as_bytes()).map_err(write_error)?;
                Ok(true)
            }
            (CardOrigin::Remote | CardOrigin::New, Some((file, original))) => {
                match read_bytes(file, ModelCard::MAX_LEN) {
                    Ok(current) if current == *original => {
                        if is_read_only(file) {
                            return Err(CardError::ReadOnly { path: path.clone() });
                        }
                        write_atomic(file, self.text.as_bytes()).map_err(write_error)?;
                        Ok(true)
                    }
                    Ok(_) => Ok(false),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
                    Err(error) => Err(write_error(error)),
                }
            }
        }
    }

    /// Whether it contains no edit that was made on the Hub only.
    pub(crate) fn is_local_only(&self) -> bool {
        self.origin != CardOrigin::Remote
    }

    /// Whether neither the folder nor the Hub had a card.
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

/// Whether a text is a valid card that contains exactly this footprint.
fn is_up_to_date(text: &str, footprint: &Footprint, options: &CardOptions) -> bool {
    CardWriter::new(footprint).options(options.clone()).apply(text).is_ok_and(|(again, _)| again == *text)
}

#[cfg(test)]
mod tests;
