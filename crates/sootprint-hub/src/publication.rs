//! A publication from its first check to its last.

use std::path::{Path, PathBuf};

use sootprint::Footprint;
use sootprint_card::{CardOptions, ModelCard, PICTURE_FILE};

use crate::card::{Card, LocalCard};
use crate::error::PublishError;
use crate::files::Selection;
use crate::hub::{Hub, MAIN, Timeouts};
use crate::name::RepositoryName;
use crate::settings::{Given, Settings};
use crate::token::Token;
use crate::verify::Sent;
use crate::{files, message, redacted, verify};

/// Publishes the weights and the card in `dir`, with this footprint in it, as `repo` (`owner/name`) on the Hub.
///
/// This is [`Publication`] with everything left as it is: the repository is public when it has to be created, and the
/// commit goes to `main`.
///
/// # Errors
/// Those of [`Publication::publish`].
pub fn publish(footprint: &Footprint, dir: impl AsRef<Path>, repo: &str) -> Result<Published, PublishError> {
    Publication::new(footprint, dir, repo).publish()
}

/// What is to be published, where, and by whom.
///
/// Unless they are given, the token and the Hub's address come from where Hugging Face's Python client takes them:
///
/// | | from, the first that is set |
/// |---|---|
/// | address | `HF_ENDPOINT`, `https://huggingface.co` |
/// | token | `HF_TOKEN`, `HUGGING_FACE_HUB_TOKEN`, the file `HF_TOKEN_PATH`, the file `$HF_HOME/token`; none of these with `HF_HUB_DISABLE_IMPLICIT_TOKEN` |
/// | `HF_HOME` | `HF_HOME`, `$XDG_CACHE_HOME/huggingface`, `~/.cache/huggingface` |
///
/// With `HF_HUB_OFFLINE` or `TRANSFORMERS_OFFLINE` nothing is published.
///
/// ```no_run
/// use sootprint::Footprint;
/// use sootprint_hub::{Publication, Token};
///
/// let footprint = Footprint::read("artifacts/digits/footprint.json".as_ref())?;
/// let published = Publication::new(&footprint, "artifacts/digits", "me/digits")
///     .token(Token::new("hf_from_a_safe")?)
///     .private(true)
///     .publish()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing is published before `publish` is called"]
pub struct Publication {
    footprint: Footprint,
    dir: PathBuf,
    repo: String,
    given: Given,
    private: bool,
    picture: bool,
    base_card: bool,
    revision: String,
}

impl Publication {
    /// A publication of the folder `dir` as `repo`, which is `owner/name`.
    pub fn new(footprint: &Footprint, dir: impl AsRef<Path>, repo: &str) -> Self {
        Self {
            footprint: footprint.clone(),
            dir: dir.as_ref().to_owned(),
            repo: repo.to_owned(),
            given: Given::default(),
            private: false,
            picture: false,
            base_card: false,
            revision: MAIN.to_owned(),
        }
    }

    /// The Hub's address, as in `https://huggingface.co`, whatever the environment says.
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.given.endpoint = Some(url.into());
        self
    }

    /// The token, whatever the environment says.
    pub fn token(mut self, token: Token) -> Self {
        self.given.token = Some(token);
        self
    }

    /// Whether the card shows a picture of the run's power, `sootprint.png`, which is published beside it.
    ///
    /// It needs the feature `picture` and a footprint with a trace of its power; else the card shows none.
    pub fn picture(mut self, is_shown: bool) -> Self {
        self.picture = is_shown;
        self
    }

    /// Whether the base model's card is read from the Hub, so that the section can name the emissions which that
    /// model publishes: as separate, and not added.
    ///
    /// Where that card cannot be read, a warning is logged and the section names none.
    pub fn base_card(mut self, is_read: bool) -> Self {
        self.base_card = is_read;
        self
    }

    /// Whether the repository is created as a private one. One that exists stays what it is.
    pub fn private(mut self, private: bool) -> Self {
        self.private = private;
        self
    }

    /// The branch to commit to instead of `main`. It must exist.
    pub fn revision(mut self, branch: impl Into<String>) -> Self {
        self.revision = branch.into();
        self
    }

    /// Publishes, and returns when the Hub has every byte.
    ///
    /// It blocks, and may be called inside an async runtime, whose thread it then blocks. The repository is created
    /// when it is missing. Card, weights and the other files go into one commit on top of the commit that was read
    /// before, so that nobody's work in between is lost. Afterwards the Hub is asked what it has, file by file.
    ///
    /// The card in the folder gets the text that was published. The published `footprint.json` names boards `gpu0`,
    /// `gpu1` and so on instead of their UUIDs.
    ///
    /// # Errors
    /// [`PublishError`] says for each case what to do. With all of them nothing was committed, but for
    /// [`PublishError::NotStored`] and [`PublishError::LocalCard`], which say so, and for
    /// [`PublishError::Unreachable`] and [`PublishError::Unavailable`], when the answer to the commit was lost.
    pub fn publish(self) -> Result<Published, PublishError> {
        let footprint = redacted::publishable(&self.footprint)?;
        let name = RepositoryName::parse(&self.repo)?;
        let settings = Settings::resolve(self.given, &|variable| std::env::var(variable).ok(), &|path| {
            std::fs::read_to_string(path)
        })?;
        let Selection { files, card, mut left_out } = files::select(&self.dir)?;
        let picture = if self.picture { drawn(&footprint)? } else { None };
        // It is drawn anew, whatever lies in the folder.
        left_out.retain(|name| picture.is_none() || name != PICTURE_FILE);
        let mut options = CardOptions::default().picture(picture.is_some());
        let asked = self.base_card.then(|| card_of_base(&footprint, &settings));
        if let Some(card) = asked.flatten() {
            options = options.base_card(card);
        }
        let local = LocalCard::read(&self.dir, card.as_deref(), &footprint, &options)?;

        let hub = Hub::connect(&settings, name, &self.revision, Timeouts::default())?;
        let head = hub.head_or_create(self.private)?;
        let card = Card::merge(local, hub.card(&head)?, hub.name(), &footprint, &options)?;
        if let Some(replaced) = &card.replaced {
            tracing::warn!(
                "{} named emissions of another origin, which are replaced: {replaced}",
                hub.name()
            );
        }

        if let Some(replaced) = &card.replaced_report {
            tracing::warn!(
                "{} had a dia_report of another origin, which is replaced: {replaced}",
                hub.name()
            );
        }

        let mut sent = vec![
            Sent::bytes(files::CARD, card.text.clone()),
            Sent::bytes(sootprint::FILE_NAME, footprint.to_json().map_err(PublishError::Footprint)?),
        ];
        sent.extend(picture.map(|png| Sent::bytes(PICTURE_FILE, png)));
        for file in files {
            sent.push(Sent::file(file)?);
        }
        let commit = hub.commit(
            sent.iter().map(Sent::operation).collect(),
            &message::title(&footprint),
            &message::description(&footprint, card.replaced.as_deref(), card.replaced_report.as_deref()),
            &head,
        )?;

        let paths = sent.iter().map(|sent| sent.path.clone()).collect();
        let entries = hub.entries(paths, &commit)?;
        let files = sent
            .iter()
            .map(|sent| {
                verify::stored(sent, &entries).map_err(|problem| hub.not_stored(&commit, sent, problem))
            })
            .collect::<Result<_, _>>()?;
        card.write(&footprint, &options)
            .map_err(|source| PublishError::LocalCard { url: hub.url(), source })?;
        tracing::info!("{} is published at {commit}", hub.name());
        Ok(Published {
            repo: hub.name().to_string(),
            url: hub.url(),
            commit,
            files,
            left_out,
            card_created: card.is_created(),
        })
    }
}

/// The base model's card, when there is one and it can be read.
fn card_of_base(footprint: &Footprint, settings: &Settings) -> Option<ModelCard> {
    let base = footprint.run.base_model.as_deref()?;
    let read = || -> Result<Option<ModelCard>, PublishError> {
        let hub = Hub::connect(settings, RepositoryName::parse(base)?, MAIN, Timeouts::default())?;
        let bytes = hub.card(MAIN)?;
        bytes
            .map(ModelCard::from_bytes)
            .transpose()
            .map_err(|source| PublishError::Card { card: format!("{} of {base}", files::CARD), source })
    };
    read().unwrap_or_else(|error| {
        tracing::warn!("the base model's card is not read, and its emissions are not named: {error}");
        None
    })
}

/// The picture that the card shows, beside it; none without the feature that draws it.
#[cfg(feature = "picture")]
fn drawn(footprint: &Footprint) -> Result<Option<Vec<u8>>, PublishError> {
    sootprint_card::draw_picture(footprint)
        .map_err(|source| PublishError::Card { card: PICTURE_FILE.to_owned(), source })
}

#[cfg(not(feature = "picture"))]
#[expect(clippy::unnecessary_wraps, reason = "drawing can fail where it is built in")]
fn drawn(_: &Footprint) -> Result<Option<Vec<u8>>, PublishError> {
    Ok(None)
}

/// What the Hub has now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// The repository, `owner/name`.
    pub repo: String,
    /// The id of the commit.
    pub commit: String,
    /// The model's page.
    pub url: String,
    /// What the commit was made of.
    pub files: Vec<PublishedFile>,
    /// Names of files in the folder that are not on the list of what is published, in order.
    pub left_out: Vec<String>,
    /// Whether there was no card, neither in the folder nor on the Hub, so that a small one was made.
    pub card_created: bool,
}

/// A file that the Hub was seen to have.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublishedFile {
    /// Its path in the repository.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// The SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// Whether it lies in the Hub's storage for large files; else it lies in git itself.
    pub is_lfs: bool,
}

impl PublishedFile {
    pub(crate) fn new(sent: &Sent, is_lfs: bool) -> Self {
        Self { path: sent.path.clone(), size: sent.digest.size, sha256: sent.digest.sha256.clone(), is_lfs }
    }
}
