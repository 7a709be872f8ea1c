//! The card: one text for the folder and for the Hub.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use sootprint::Footprint;
use sootprint_card::{CardError, CardOptions, ModelCard, NewCard, apply_with, write_card_with};

use crate::error::PublishError;
use crate::files::CARD;
use crate::name::RepositoryName;

/// The card that is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Card {
    pub(crate) text: String,
    /// The emissions of another origin that made way, in one line.
    pub(crate) replaced: Option<String>,
    /// The `dia_report` of another origin that made way, in one line.
    pub(crate) replaced_report: Option<String>,
    origin: Origin,
    path: PathBuf,
}

/// Where the text around the footprint comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Folder,
    Hub,
    Nowhere,
}

/// The card in the folder, with the footprint in it, if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalCard {
    path: PathBuf,
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
        let edited = match found {
            None => None,
            Some(file) => {
                let bytes =
                    fs::read(file).map_err(|source| PublishError::File { path: path.clone(), source })?;
                Some(
                    Edited::of(bytes, footprint, options)
                        .map_err(|source| PublishError::Card { card: path.display().to_string(), source })?,
                )
            }
        };
        Ok(Self { path, edited })
    }
}

impl Card {
    /// The one text of the folder's card and the Hub's. A model that has neither gets a small card.
    ///
    /// # Errors
    /// [`PublishError::CardConflict`] when they differ in more than the footprint: whose words count is not for us to
    /// say. [`PublishError::Card`] when the Hub's card cannot be edited.
    pub(crate) fn merge(
        local: LocalCard,
        remote: Option<Vec<u8>>,
        name: &RepositoryName,
        footprint: &Footprint,
        options: &CardOptions,
    ) -> Result<Self, PublishError> {
        let on_the_hub = |source| PublishError::Card { card: format!("{CARD} of {name} on the Hub"), source };
        let remote =
            remote.map(|bytes| Edited::of(bytes, footprint, options)).transpose().map_err(on_the_hub)?;
        let (edited, origin) = match (local.edited, remote) {
            (None, None) => {
                let new = NewCard::default().title(&name.name);
                let text = new.render_with(footprint, options).map_err(on_the_hub)?;
                (Edited { text, replaced: None, replaced_report: None }, Origin::Nowhere)
            }
            (None, Some(remote)) => (remote, Origin::Hub),
            (Some(local), None) => (local, Origin::Folder),
            (Some(local), Some(remote)) if local.text == remote.text => {
                let edited = Edited {
                    replaced: remote.replaced.or(local.replaced),
                    replaced_report: remote.replaced_report.or(local.replaced_report),
                    text: local.text,
                };
                (edited, Origin::Folder)
            }
            (Some(_), Some(_)) => {
                return Err(PublishError::CardConflict { local: local.path, repo: name.to_string() });
            }
        };
        let Edited { text, replaced, replaced_report } = edited;
        Ok(Self { text, replaced, replaced_report, origin, path: local.path })
    }

    /// Writes the text into the folder.
    pub(crate) fn write(&self, footprint: &Footprint, options: &CardOptions) -> Result<(), CardError> {
        match self.origin {
            // What was added to the card since it was read stays in it.
            Origin::Folder => write_card_with(&self.path, footprint, &NewCard::default(), options).map(drop),
            Origin::Hub | Origin::Nowhere => write_new(&self.path, &self.text)
                .map_err(|source| CardError::File { path: self.path.clone(), source }),
        }
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

/// Creates a file whole or not at all, and never over one that appeared meanwhile.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".sootprint-");
    // The user's umask takes away from it; temporary files are private otherwise.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(path.parent().unwrap_or(Path::new(".")))?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map(drop).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    const CARD_OF_A_USER: &str = "---\nlicense: mit # ours\n---\n# Digits\n";

    fn merge(local: Option<&str>, remote: Option<&str>) -> (tempfile::TempDir, Result<Card, PublishError>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(CARD);
        if let Some(text) = local {
            fs::write(&path, text).unwrap();
        }
        let (footprint, options) = (sample::footprint(), CardOptions::default());
        let local = LocalCard::read(dir.path(), local.map(|_| path.as_path()), &footprint, &options).unwrap();
        let name = RepositoryName::parse("me/digits").unwrap();
        let card =
            Card::merge(local, remote.map(|text| text.as_bytes().to_vec()), &name, &footprint, &options);
        (dir, card)
    }

    fn edited(text: &str) -> String {
        apply_with(text, &sample::footprint(), &CardOptions::default()).unwrap().0
    }

    /// What the folder holds afterwards is what was published.
    fn written(dir: &Path, card: &Card) -> String {
        card.write(&sample::footprint(), &CardOptions::default()).unwrap();
        let text = fs::read_to_string(dir.join(CARD)).unwrap();
        assert_eq!(text, card.text);
        text
    }

    #[test]
    fn without_any_card_a_small_one_is_made() {
        let (dir, card) = merge(None, None);
        let card = card.unwrap();
        assert!(card.is_created());
        assert!(written(dir.path(), &card).contains("\n# digits\n"));
    }

    #[test]
    fn the_only_card_is_taken() {
        for (local, remote) in [(Some(CARD_OF_A_USER), None), (None, Some(CARD_OF_A_USER))] {
            let (dir, card) = merge(local, remote);
            let card = card.unwrap();
            assert!(!card.is_created());
            assert_eq!(written(dir.path(), &card), edited(CARD_OF_A_USER));
        }
    }

    #[test]
    fn cards_that_differ_in_the_footprint_alone_are_one() {
        let older = CARD_OF_A_USER.replace("mit # ours\n", "mit # ours\nco2_eq_emissions: 5 # AutoTrain\n");
        let with_comment = edited(&older);
        let (dir, card) = merge(Some(&with_comment), Some(&older));
        let card = card.unwrap();
        assert_eq!(written(dir.path(), &card), with_comment);
        assert_eq!(card.replaced.as_deref(), Some("5 # AutoTrain"));
    }

    #[test]
    fn cards_that_differ_otherwise_are_a_conflict() {
        let (dir, card) = merge(Some(CARD_OF_A_USER), Some("---\nlicense: mit\n---\n# Digits\n"));
        let error = card.unwrap_err().to_string();
        assert!(error.contains(&dir.path().join(CARD).display().to_string()), "{error}");
        assert!(error.contains("me/digits"), "{error}");
        assert_eq!(fs::read_to_string(dir.path().join(CARD)).unwrap(), CARD_OF_A_USER);
    }

    #[test]
    fn a_card_that_cannot_be_edited_is_named() {
        let (_dir, card) = merge(None, Some("---\nlicense: mit\n"));
        let error = card.unwrap_err().to_string();
        assert!(error.starts_with("README.md of me/digits on the Hub: line 1, column 1: "), "{error}");
    }

    #[test]
    fn a_card_that_appeared_meanwhile_is_not_overwritten() {
        let (dir, card) = merge(None, Some(CARD_OF_A_USER));
        fs::write(dir.path().join(CARD), "mine").unwrap();
        let written = card.unwrap().write(&sample::footprint(), &CardOptions::default());
        assert!(matches!(written, Err(CardError::File { .. })));
        assert_eq!(fs::read_to_string(dir.path().join(CARD)).unwrap(), "mine");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
