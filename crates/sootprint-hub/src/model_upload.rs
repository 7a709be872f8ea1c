//! Options of a push.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sootprint::Footprint;
use sootprint_card::{BaseModelRelation, CardTemplate};

use crate::error::PushError;
use crate::file_matcher::FilePatterns;
use crate::progress::PushProgressHandler;
use crate::retry::RetryPolicy;
use crate::settings::ExplicitSettings;
use crate::staging::{StagedOptions, StagingDir};
use crate::token::HubToken;

/// The branch that a repository shows by default.
pub const DEFAULT_BRANCH: &str = "main";

/// A push of a folder to a repository on the Hub.
///
/// Unless they are set here, the token and the address of the Hub are found as in Hugging Face's Python client:
///
/// | | the first of these that is set |
/// |---|---|
/// | address | `HF_ENDPOINT`, `https://huggingface.co` |
/// | token | `HF_TOKEN`, `HUGGING_FACE_HUB_TOKEN`, the file `HF_TOKEN_PATH`, the file `$HF_HOME/token`; none of these if `HF_HUB_DISABLE_IMPLICIT_TOKEN` is true |
/// | `HF_HOME` | `HF_HOME`, `$XDG_CACHE_HOME/huggingface`, `~/.cache/huggingface` |
///
/// If `HF_HUB_OFFLINE` or `TRANSFORMERS_OFFLINE` is true, the push fails before any request and becomes a
/// [staged push](crate::staged_push), which can be repeated later.
/// A process whose [rank](sootprint::rank) is not 0 pushes nothing.
///
/// ```no_run
/// use sootprint::Footprint;
/// use sootprint_hub::{ModelUpload, HubToken};
///
/// let footprint = Footprint::read("artifacts/digits/footprint.json".as_ref())?;
/// let report = ModelUpload::new(&footprint, "artifacts/digits", "me/digits")
///     .token(HubToken::new("hf_...")?)
///     .private(true)
///     .push()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use = "nothing is sent before `push` is called"]
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
    pub(crate) remove_old_files: bool,
    pub(crate) file_patterns: FilePatterns,
    pub(crate) commit_message: Option<String>,
    pub(crate) commit_description: Option<String>,
    pub(crate) retry_policy: RetryPolicy,
    pub(crate) progress_handler: Option<Arc<dyn PushProgressHandler>>,
}

/// What to do if the card in the folder and the card on the Hub were both edited in the same place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConflictPolicy {
    /// Send nothing, write both versions with conflict markers into one file, and return
    /// [`PushError::CardConflict`](crate::PushError::CardConflict).
    #[default]
    Stage,
    /// Propose the folder's card and all other files in a pull request.
    OpenPullRequest,
}

impl ModelUpload {
    /// Creates a push of the folder `dir` to the repository `repo_id` (`owner/name`), with `footprint` in the card.
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
            remove_old_files: false,
            file_patterns: FilePatterns::default(),
            commit_message: None,
            commit_description: None,
            retry_policy: RetryPolicy::default(),
            progress_handler: None,
        }
    }

    /// Sets the address of the Hub, as in `https://huggingface.co`. It overrides the environment.
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.explicit_settings.endpoint = Some(url.into());
        self
    }

    /// Sets the token. It overrides the environment.
    pub fn token(mut self, token: HubToken) -> Self {
        self.explicit_settings.token = Some(token);
        self
    }

    /// Sets whether the card shows a plot of the run's power, which is pushed next to the card as `sootprint.png`.
    ///
    /// The plot needs the feature `plot` and a footprint with a power curve. If either is missing, the card has no
    /// plot.
    pub fn include_plot(mut self, is_included: bool) -> Self {
        self.include_plot = is_included;
        self
    }

    /// Sets whether the card's section "Environmental Impact" states the emissions that the base model's card on the
    /// Hub publishes. They are reported separately and not added to those of the run.
    ///
    /// If the base model's card cannot be read, a warning is logged and its emissions are left out.
    pub fn include_base_model_emissions(mut self, is_included: bool) -> Self {
        self.include_base_model_emissions = is_included;
        self
    }

    /// Sets whether the repository is created as a private one. A public one that exists is then an error. Otherwise the
    /// visibility is the default of the owner: organisations can set one.
    pub fn private(mut self, private: bool) -> Self {
        self.private = private;
        self
    }

    /// Sets the branch to commit to, instead of `main`. A branch that does not exist is created.
    pub fn branch(mut self, branch: impl Into<String>) -> Self {
        self.branch = branch.into();
        self
    }

    /// Sets whether to open a pull request instead of committing to the branch.
    ///
    /// hf-hub 1.0.0 sends weights in a pull request only with a token that may write to the repository;
    /// [`ModelUpload::card_only`] works without that permission. If the response is lost, the pull request is looked up
    /// and not sent again, because the Hub would open a second one.
    pub fn open_pull_request(mut self, is_opened: bool) -> Self {
        self.open_pull_request = is_opened;
        self
    }

    /// Sets what to do if the card in the folder and the card on the Hub were both edited in the same place.
    pub fn on_conflict(mut self, policy: ConflictPolicy) -> Self {
        self.on_conflict = policy;
        self
    }

    /// Sets whether to send only `README.md`, without weights, plot and `footprint.json`.
    pub fn card_only(mut self, is_card_only: bool) -> Self {
        self.card_only = is_card_only;
        self
    }

    /// Sets whether the commit removes files that earlier pushes of this folder put on the branch and that would not be
    /// pushed now, such as older weights. A file that was changed on the Hub since is kept. Without this option,
    /// [`PushReport::old_files`](crate::PushReport::old_files) names them.
    pub fn remove_old_files(mut self, is_removed: bool) -> Self {
        self.remove_old_files = is_removed;
        self
    }

    /// Also sends the files that match `pattern`, such as `checkpoint/*` or `*.log`, although they are left out by
    /// default: see [`ExclusionReason`](crate::ExclusionReason).
    ///
    /// Patterns work as in the Hub's Python client: `*` also matches slashes. Hidden files (`.git`, `.env`) and
    /// sootprint's own files in `sootprint/publication` are never sent, files with a name typical of credentials only if
    /// a pattern is their exact path. The ledgers in `sootprint/`, which are the run's record, are sent only if a pattern begins with that folder.
    pub fn allow_pattern(mut self, pattern: impl Into<String>) -> Self {
        self.file_patterns.allow.push(pattern.into());
        self
    }

    /// Excludes the files that match `pattern`, even if they match an [`ModelUpload::allow_pattern`]. This has no
    /// effect on `README.md`, `footprint.json` and the plot.
    pub fn ignore_pattern(mut self, pattern: impl Into<String>) -> Self {
        self.file_patterns.ignore.push(pattern.into());
        self
    }

    /// Sets the title of the commit. The default title states energy and emissions.
    pub fn commit_message(mut self, title: impl Into<String>) -> Self {
        self.commit_message = Some(title.into());
        self
    }

    /// Sets a text that precedes the summary of the footprint in the commit's description.
    pub fn commit_description(mut self, text: impl Into<String>) -> Self {
        self.commit_description = Some(text.into());
        self
    }

    /// Sets the timeouts and retries.
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.retry_policy = policy;
        self
    }

    /// Sets the content of the card that is created if neither the folder nor the Hub has one: framework, tags, how
    /// to load the weights.
    pub fn card_template(mut self, template: CardTemplate) -> Self {
        self.card_template = template;
        self
    }

    /// Sets how a fine-tuned model was derived from its base model. The relation is written to a card that states
    /// none. Without a relation, the Hub guesses one.
    pub fn relation(mut self, relation: impl Into<Option<BaseModelRelation>>) -> Self {
        self.relation = relation.into();
        self
    }

    /// The options to remember if the push fails.
    ///
    /// # Errors
    /// If the record of earlier pushes cannot be read.
    pub(crate) fn staged_options(&self) -> Result<StagedOptions, PushError> {
        let mut earlier = StagingDir::new(&self.dir).staged()?;
        earlier.retain(|staged| staged.is_of_repository(&self.repo_id));
        let is_private = earlier.iter().any(|staged| staged.options.private);
        let has_template = self.card_template != CardTemplate::default();
        let earlier_template =
            || earlier.last().cloned().map(|staged| staged.options.card_template).unwrap_or_default();
        Ok(StagedOptions {
            private: self.private || is_private,
            card_template: if has_template { self.card_template.clone() } else { earlier_template() },
            open_pull_request: self.open_pull_request,
            card_only: self.card_only,
            remove_old_files: self.remove_old_files,
            include_base_model_emissions: self.include_base_model_emissions,
            relation: self.relation.map(|relation| relation.as_str().to_owned()),
            allow_patterns: self.file_patterns.allow.clone(),
            ignore_patterns: self.file_patterns.ignore.clone(),
            commit_message: self.commit_message.clone(),
            commit_description: self.commit_description.clone(),
        })
    }

    /// Sets the handler that receives progress events.
    pub fn with_progress_handler(mut self, handler: impl PushProgressHandler + 'static) -> Self {
        self.progress_handler = Some(Arc::new(handler));
        self
    }
}

impl fmt::Debug for ModelUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelUpload")
            .field("dir", &self.dir)
            .field("repo_id", &self.repo_id)
            .field("branch", &self.branch)
            .field("explicit_settings", &self.explicit_settings)
            .field("retry_policy", &self.retry_policy)
            .finish_non_exhaustive()
    }
}
