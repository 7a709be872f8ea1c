//! What a publication is asked for, and what it gives.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sootprint::Footprint;
use sootprint_card::{NewCard, PICTURE_FILE, Relation};

use crate::error::PublishError;
use crate::events::Events;
use crate::hub::MAIN;
use crate::name::RepositoryName;
use crate::patience::Patience;
use crate::patterns::Asked;
use crate::published::{Plan, Published};
use crate::session::{self, Selected};
use crate::settings::Given;
use crate::token::Token;
use crate::{files, message};

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
/// With `HF_HUB_OFFLINE` or `TRANSFORMERS_OFFLINE` nothing is published, and the publication is staged at once.
/// In a process whose [rank](sootprint::rank) is not 0 nothing happens.
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
    pub(crate) footprint: Footprint,
    pub(crate) dir: PathBuf,
    pub(crate) repo: String,
    pub(crate) given: Given,
    pub(crate) private: bool,
    pub(crate) picture: bool,
    pub(crate) base_card: bool,
    pub(crate) new_card: NewCard,
    pub(crate) relation: Option<Relation>,
    pub(crate) branch: String,
    pub(crate) pull_request: bool,
    pub(crate) on_conflict: OnConflict,
    pub(crate) card_alone: bool,
    pub(crate) asked: Asked,
    pub(crate) message: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) patience: Patience,
    pub(crate) events: Handler,
}

/// What happens when the folder's card and the Hub's were both edited in the same place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnConflict {
    /// Nothing is sent, and both texts are put into one for a person to look at: [`PublishError::CardConflict`].
    #[default]
    Stage,
    /// The folder's card is proposed in a pull request, with everything else.
    PullRequest,
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
            new_card: NewCard::default(),
            relation: None,
            branch: MAIN.to_owned(),
            pull_request: false,
            on_conflict: OnConflict::default(),
            card_alone: false,
            asked: Asked::default(),
            message: None,
            description: None,
            patience: Patience::default(),
            events: Handler(None),
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
    /// It needs the feature `plot` and a footprint with a trace of its power; else the card shows none.
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
        self.branch = branch.into();
        self
    }

    /// Whether everything is proposed in a pull request instead of committed.
    ///
    /// hf-hub 1.0.0 sends weights in a pull request only with a token that may write to the repository; without that
    /// right [`Publication::card_alone`] still works. A request whose answer was lost is looked for and not sent
    /// again, since the Hub would open a second one.
    pub fn pull_request(mut self, is_opened: bool) -> Self {
        self.pull_request = is_opened;
        self
    }

    /// What happens when the folder's card and the Hub's were both edited in the same place.
    pub fn on_conflict(mut self, what: OnConflict) -> Self {
        self.on_conflict = what;
        self
    }

    /// Whether only `README.md` is sent, without weights, picture and `footprint.json`.
    pub fn card_alone(mut self, alone: bool) -> Self {
        self.card_alone = alone;
        self
    }

    /// Also sends the files that match, as in `*.txt` or `onnx/*`, those of the folder's own folders included.
    ///
    /// Patterns are read as by Python's client: `*` goes over slashes. What is hidden (`.git`, `.env`), holds
    /// credentials by its name, or is kept by sootprint in `sootprint/publication` is never sent; the ledgers in
    /// `sootprint/` only by a pattern that begins so.
    pub fn allow(mut self, pattern: impl Into<String>) -> Self {
        self.asked.allow.push(pattern.into());
        self
    }

    /// Does not send the files that match, whatever else is said; `README.md` and `footprint.json` are always sent.
    pub fn ignore(mut self, pattern: impl Into<String>) -> Self {
        self.asked.ignore.push(pattern.into());
        self
    }

    /// The commit's first line, instead of one with energy and emissions.
    pub fn message(mut self, title: impl Into<String>) -> Self {
        self.message = Some(title.into());
        self
    }

    /// What the commit's description says before the footprint's line.
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }

    /// How long is waited, and how often the Hub is asked again.
    pub fn patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// What the card says when neither the folder nor the Hub has one: the framework, tags, how to load the weights.
    pub fn new_card(mut self, card: NewCard) -> Self {
        self.new_card = card;
        self
    }

    /// How a fine-tuned model comes from its base; the card gets it where it says nothing of it. With none the Hub guesses.
    pub fn relation(mut self, relation: impl Into<Option<Relation>>) -> Self {
        self.relation = relation.into();
        self
    }

    /// Who hears of the progress.
    pub fn events(mut self, events: impl Events + 'static) -> Self {
        self.events = Handler(Some(Arc::new(events)));
        self
    }

    /// Publishes, and returns when the Hub has every byte.
    ///
    /// It blocks, and may be called inside an async runtime, whose thread it then blocks. The repository is created
    /// when it is missing. Card, weights and the other files go into one commit on top of the commit that was read
    /// before, so that nobody's work in between is lost; what the Hub has already is not sent. When the branch has
    /// moved meanwhile, the cards are merged anew and the commit is made on the new one, five times at most. A commit
    /// whose answer was lost is looked for by its id and never made twice. Afterwards the Hub is asked what it has,
    /// file by file.
    ///
    /// The card in the folder gets the text that was published, and is merged with the Hub's the next time, three
    /// ways. The published `footprint.json` names boards `gpu0`, `gpu1` and so on instead of their UUIDs.
    ///
    /// What fails stays [`staged`](crate::staged()): publishing again sends what is missing.
    ///
    /// # Errors
    /// [`PublishError`] says for each case what to do. With all of them nothing was committed, but for
    /// [`PublishError::NotStored`] and [`PublishError::LocalCard`], which say so, and for those that end a wait
    /// ([`PublishError::Unreachable`], [`PublishError::Unavailable`], [`PublishError::Deadline`]), after which the
    /// next publication looks for the commit.
    pub fn publish(self) -> Result<Published, PublishError> {
        session::blocking(self)
    }

    /// As [`Publication::publish`], for async code of any runtime.
    ///
    /// Whoever drops the future stops the publication; it is staged then, and the next one looks for what was sent.
    ///
    /// # Errors
    /// Those of [`Publication::publish`].
    pub async fn publish_async(self) -> Result<Published, PublishError> {
        session::asynchronous(self).await
    }

    /// What would be sent, without a token, a network or a changed file.
    ///
    /// # Errors
    /// What is wrong with the run, the folder or the name.
    pub fn plan(&self) -> Result<Plan, PublishError> {
        let repo = RepositoryName::parse(&self.repo)?.to_string();
        let Selected { footprint, selection } = session::select(self)?;
        let mut files: Vec<String> = selection.files.into_iter().map(|file| file.name).collect();
        files.push(files::CARD.to_owned());
        if !self.card_alone {
            files.push(sootprint::FILE_NAME.to_owned());
            if self.picture && cfg!(feature = "plot") && !footprint.power.is_empty() {
                files.push(PICTURE_FILE.to_owned());
            }
        }
        files.sort();
        let left_out = selection.left_out.into_iter().filter(|name| !files.contains(name)).collect();
        let title = self.message.clone().unwrap_or_else(|| message::title(&footprint));
        Ok(Plan { repo, branch: self.branch.clone(), title, files, left_out })
    }
}

/// A handler of events, which has nothing to show.
#[derive(Clone)]
pub(crate) struct Handler(pub(crate) Option<Arc<dyn Events>>);

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Handler" } else { "no handler" })
    }
}
