//! What a publication is asked for, and what it gives.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sootprint::Footprint;
use sootprint_card::{BaseModelRelation, CardTemplate, PLOT_FILE};

use crate::error::PushError;
use crate::file_matcher::FilePatterns;
use crate::hub_client::DEFAULT_BRANCH;
use crate::progress::PushProgressHandler;
use crate::push_report::{PushPlan, PushReport};
use crate::repo_id::RepoId;
use crate::retry::RetryPolicy;
use crate::session::{self, PushInputs};
use crate::settings::ExplicitSettings;
use crate::token::HubToken;
use crate::{commit_message, files};

/// Publishes the weights and the card in `dir`, with this footprint in it, as `repo` (`owner/name`) on the Hub.
///
/// This is [`ModelUpload`] with everything left as it is: the repository is public when it has to be created, and the
/// commit goes to `main`.
///
/// # Errors
/// Those of [`ModelUpload::push`].
pub fn push_to_hub(
    footprint: &Footprint,
    dir: impl AsRef<Path>,
    repo_id: &str,
) -> Result<PushReport, PushError> {
    ModelUpload::new(footprint, dir, repo_id).push()
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
/// use sootprint_hub::{ModelUpload, HubToken};
///
/// let footprint = Footprint::read("artifacts/digits/footprint.json".as_ref())?;
/// let published = ModelUpload::new(&footprint, "artifacts/digits", "me/digits")
///     .token(HubToken::new("hf_from_a_safe")?)
///     .private(true)
///     .push()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing is published before `publish` is called"]
pub struct ModelUpload {
    pub(crate) footprint: Footprint,
    pub(crate) dir: PathBuf,
    pub(crate) repo_id: String,
    pub(crate) explicit_settings: ExplicitSettings,
    pub(crate) private: bool,
    pub(crate) include_plot: bool,
    pub(crate) include_base_model_emissions: bool,
    pub(crate) card_template: CardTemplate,
    pub(crate) relation: Option<BaseModelRelation>,
    pub(crate) branch: String,
    pub(crate) open_pull_request: bool,
    pub(crate) on_conflict: ConflictPolicy,
    pub(crate) card_only: bool,
    pub(crate) file_patterns: FilePatterns,
    pub(crate) commit_message: Option<String>,
    pub(crate) commit_description: Option<String>,
    pub(crate) retry_policy: RetryPolicy,
    pub(crate) progress_handler: HandlerSlot,
}

/// What happens when the folder's card and the Hub's were both edited in the same place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConflictPolicy {
    /// Nothing is sent, and both texts are put into one for a person to look at: [`PushError::CardConflict`].
    #[default]
    Stage,
    /// The folder's card is proposed in a pull request, with everything else.
    OpenPullRequest,
}

impl ModelUpload {
    /// A publication of the folder `dir` as `repo`, which is `owner/name`.
    pub fn new(footprint: &Footprint, dir: impl AsRef<Path>, repo_id: &str) -> Self {
        Self {
            footprint: footprint.clone(),
            dir: dir.as_ref().to_owned(),
            repo_id: repo_id.to_owned(),
            explicit_settings: ExplicitSettings::default(),
            private: false,
            include_plot: false,
            include_base_model_emissions: false,
            card_template: CardTemplate::default(),
            relation: None,
            branch: DEFAULT_BRANCH.to_owned(),
            open_pull_request: false,
            on_conflict: ConflictPolicy::default(),
            card_only: false,
            file_patterns: FilePatterns::default(),
            commit_message: None,
            commit_description: None,
            retry_policy: RetryPolicy::default(),
            progress_handler: HandlerSlot(None),
        }
    }

    /// The Hub's address, as in `https://huggingface.co`, whatever the environment says.
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.explicit_settings.endpoint = Some(url.into());
        self
    }

    /// The token, whatever the environment says.
    pub fn token(mut self, token: HubToken) -> Self {
        self.explicit_settings.token = Some(token);
        self
    }

    /// Whether the card shows a picture of the run's power, `sootprint.png`, which is published beside it.
    ///
    /// It needs the feature `plot` and a footprint with a trace of its power; else the card shows none.
    pub fn include_plot(mut self, is_included: bool) -> Self {
        self.include_plot = is_included;
        self
    }

    /// Whether the base model's card is read from the Hub, so that the section can name the emissions which that
    /// model publishes: as separate, and not added.
    ///
    /// Where that card cannot be read, a warning is logged and the section names none.
    pub fn include_base_model_emissions(mut self, is_included: bool) -> Self {
        self.include_base_model_emissions = is_included;
        self
    }

    /// Whether the repository is created as a private one. One that exists stays what it is.
    pub fn private(mut self, private: bool) -> Self {
        self.private = private;
        self
    }

    /// The branch to commit to instead of `main`. It must exist.
    pub fn branch(mut self, branch: impl Into<String>) -> Self {
        self.branch = branch.into();
        self
    }

    /// Whether everything is proposed in a pull request instead of committed.
    ///
    /// hf-hub 1.0.0 sends weights in a pull request only with a token that may write to the repository; without that
    /// right [`ModelUpload::card_only`] still works. A request whose answer was lost is looked for and not sent
    /// again, since the Hub would open a second one.
    pub fn open_pull_request(mut self, is_opened: bool) -> Self {
        self.open_pull_request = is_opened;
        self
    }

    /// What happens when the folder's card and the Hub's were both edited in the same place.
    pub fn on_conflict(mut self, policy: ConflictPolicy) -> Self {
        self.on_conflict = policy;
        self
    }

    /// Whether only `README.md` is sent, without weights, picture and `footprint.json`.
    pub fn card_only(mut self, is_card_only: bool) -> Self {
        self.card_only = is_card_only;
        self
    }

    /// Also sends the files that match, as in `*.txt` or `onnx/*`, those of the folder's own folders included.
    ///
    /// Patterns are read as by Python's client: `*` goes over slashes. What is hidden (`.git`, `.env`), holds
    /// credentials by its name, or is kept by sootprint in `sootprint/publication` is never sent; the ledgers in
    /// `sootprint/` only by a pattern that begins so.
    pub fn allow_pattern(mut self, pattern: impl Into<String>) -> Self {
        self.file_patterns.allow.push(pattern.into());
        self
    }

    /// Does not send the files that match, whatever else is said; `README.md` and `footprint.json` are always sent.
    pub fn ignore_pattern(mut self, pattern: impl Into<String>) -> Self {
        self.file_patterns.ignore.push(pattern.into());
        self
    }

    /// The commit's first line, instead of one with energy and emissions.
    pub fn commit_message(mut self, title: impl Into<String>) -> Self {
        self.commit_message = Some(title.into());
        self
    }

    /// What the commit's description says before the footprint's line.
    pub fn commit_description(mut self, text: impl Into<String>) -> Self {
        self.commit_description = Some(text.into());
        self
    }

    /// How long is waited, and how often the Hub is asked again.
    pub fn retry_policy(mut self, patience: RetryPolicy) -> Self {
        self.retry_policy = patience;
        self
    }

    /// What the card says when neither the folder nor the Hub has one: the framework, tags, how to load the weights.
    pub fn card_template(mut self, template: CardTemplate) -> Self {
        self.card_template = template;
        self
    }

    /// How a fine-tuned model comes from its base; the card gets it where it says nothing of it. With none the Hub guesses.
    pub fn relation(mut self, relation: impl Into<Option<BaseModelRelation>>) -> Self {
        self.relation = relation.into();
        self
    }

    /// Who hears of the progress.
    pub fn with_progress_handler(mut self, events: impl PushProgressHandler + 'static) -> Self {
        self.progress_handler = HandlerSlot(Some(Arc::new(events)));
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
    /// What fails stays [`staged`](crate::staged_push()): publishing again sends what is missing.
    ///
    /// # Errors
    /// [`PushError`] says for each case what to do. With all of them nothing was committed, but for
    /// [`PushError::VerificationFailed`] and [`PushError::LocalCardNotWritten`], which say so, and for those that end a wait
    /// ([`PushError::Unreachable`], [`PushError::Unavailable`], [`PushError::DeadlineExceeded`]), after which the
    /// next publication looks for the commit.
    pub fn push(self) -> Result<PushReport, PushError> {
        session::push_blocking(self)
    }

    /// As [`ModelUpload::push`], for async code of any runtime.
    ///
    /// Whoever drops the future stops the publication; it is staged then, and the next one looks for what was sent.
    ///
    /// # Errors
    /// Those of [`ModelUpload::push`].
    pub async fn push_async(self) -> Result<PushReport, PushError> {
        session::push_async(self).await
    }

    /// What would be sent, without a token, a network or a changed file.
    ///
    /// # Errors
    /// What is wrong with the run, the folder or the name.
    pub fn plan(&self) -> Result<PushPlan, PushError> {
        let repo = RepoId::parse(&self.repo_id)?.to_string();
        let PushInputs { footprint, files: selection } = session::select_inputs(self)?;
        let mut files: Vec<String> = selection.files.into_iter().map(|file| file.name).collect();
        files.push(files::CARD_FILE.to_owned());
        if !self.card_only {
            files.push(Footprint::FILE_NAME.to_owned());
            if self.include_plot && cfg!(feature = "plot") && !footprint.power.is_empty() {
                files.push(PLOT_FILE.to_owned());
            }
        }
        files.sort();
        let skipped_files =
            selection.skipped_files.into_iter().filter(|name| !files.contains(name)).collect();
        let title = self.commit_message.clone().unwrap_or_else(|| commit_message::commit_title(&footprint));
        Ok(PushPlan { repo, branch: self.branch.clone(), title, files, skipped_files })
    }
}

/// A handler of events, which has nothing to show.
#[derive(Clone)]
pub(crate) struct HandlerSlot(pub(crate) Option<Arc<dyn PushProgressHandler>>);

impl fmt::Debug for HandlerSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Handler" } else { "no handler" })
    }
}
