//! A prepared push: validated inputs, resolved settings and hashed files.

use std::thread;
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};
use sootprint::Footprint;
use sootprint_card::{CardOptions, CardTemplate, ModelCard, PLOT_FILE};
use sootprint_core::RepoId;
use sootprint_core::format::hex;

use crate::branch_name::normalize_branch;
use crate::card::LocalCard;
use crate::error::PushError;
use crate::exclusions::ExcludedPath;
use crate::failure::error_chain;
use crate::file_matcher::FileMatcher;
use crate::files::{self, SelectOptions, SelectedFiles};
use crate::hub_client::HubClient;
use crate::model_upload::{DEFAULT_BRANCH, ModelUpload};
use crate::progress::ProgressSink;
use crate::redacted;
use crate::retry::Retrier;
use crate::settings::HubSettings;
use crate::source_file::ReadContext;
use crate::staging::{PushTarget, StagingDir};
use crate::upload_file::UploadFile;

/// A push whose inputs are valid and whose environment allows it.
pub(crate) struct PushSession<'a> {
    pub(crate) upload: &'a ModelUpload,
    pub(crate) hub: HubClient,
    pub(crate) footprint: Footprint,
    pub(crate) options: CardOptions,
    pub(crate) staging: StagingDir,
    pub(crate) target: PushTarget,
    pub(crate) local_card: LocalCard,
    /// All files except the card.
    pub(crate) other_files: Vec<UploadFile>,
    pub(crate) excluded: Vec<ExcludedPath>,
    pub(crate) warnings: Vec<String>,
    pub(crate) push_id: String,
    /// Whether a repository is created as private: asked for now, or by the earlier push that is staged.
    pub(crate) private: bool,
    /// The content of a new card, also of now or of the staged push.
    pub(crate) new_card: CardTemplate,
    pub(crate) progress: &'a ProgressSink,
    pub(crate) retrier: &'a Retrier,
}

impl<'a> PushSession<'a> {
    /// Checks run, folder and settings, reads the local card, opens the files, and hashes the small ones. Only reading the base model's card
    /// uses the network.
    pub(crate) async fn prepare(
        upload: &'a ModelUpload,
        progress: &'a ProgressSink,
        retrier: &'a Retrier,
    ) -> Result<Self, PushError> {
        let rank = sootprint::rank();
        if rank > 0 {
            return Err(PushError::NonZeroRank { rank });
        }
        let repo_id: RepoId = upload.repo_id.parse()?;
        let branch = normalize_branch(&upload.branch)?;
        let PushInputs { footprint, selection } = select_inputs(upload)?;
        let settings = HubSettings::resolve(
            upload.explicit_settings.clone(),
            &|name| std::env::var(name).ok(),
            &|path| std::fs::read_to_string(path),
        )?;
        let SelectedFiles { mut files, card, excluded, warnings } = selection;
        let include_plot = upload.include_plot && !upload.card_only;
        let plot = if include_plot { render_plot_file(&footprint)? } else { None };
        // The plot is rendered again, so the file in the folder is replaced rather than skipped.
        files.retain(|file| plot.is_none() || file.name != PLOT_FILE);
        let mut options = CardOptions::default().plot(plot.is_some());
        if upload.include_base_model_emissions
            && let Some(card) = fetch_base_card(upload, &footprint, &settings).await
        {
            options = options.with_base_model_card(card);
        }
        if let Some(relation) = upload.relation {
            options = options.relation(relation);
        }
        let local_card = LocalCard::read(&upload.dir, card.as_deref(), &footprint, &options)?;
        let context = ReadContext::new(settings.token.clone(), progress.clone());
        let mut other_files = Vec::new();
        if !upload.card_only {
            let json = footprint.to_json().map_err(PushError::FootprintSerialization)?;
            other_files.push(UploadFile::from_bytes(Footprint::FILE_NAME, json));
        }
        other_files.extend(plot.map(|png| UploadFile::from_bytes(PLOT_FILE, png)));
        for file in files {
            other_files.push(UploadFile::from_local_file(file, &context)?);
        }
        let options_to_stage = upload.staged_options()?;
        let target = PushTarget {
            endpoint: settings.endpoint.clone(),
            repo: upload.repo_id.clone(),
            branch: branch.clone(),
        };
        Ok(Self {
            hub: HubClient::connect(&settings, repo_id, &branch, &upload.retry_policy)?,
            staging: StagingDir::new(&upload.dir),
            push_id: new_push_id(),
            private: options_to_stage.private,
            new_card: options_to_stage.card_template,
            upload,
            footprint,
            options,
            target,
            local_card,
            other_files,
            excluded,
            warnings,
            progress,
            retrier,
        })
    }
}

/// The validated inputs of a push.
pub(crate) struct PushInputs {
    pub(crate) footprint: Footprint,
    pub(crate) selection: SelectedFiles,
}

/// Checks the run and selects the files of the folder.
pub(crate) fn select_inputs(upload: &ModelUpload) -> Result<PushInputs, PushError> {
    let matcher = FileMatcher::compile(&upload.file_patterns)?;
    let footprint = redacted::redact_for_publication(&upload.footprint)?;
    let options = SelectOptions { matcher: &matcher, card_only: upload.card_only };
    let mut selection = files::select_files(&upload.dir, &options)?;
    let selected = selection.files.iter().map(|file| file.name.as_str());
    let paths = selected.chain(selection.excluded.iter().map(|it| it.path.as_str())).collect();
    let unused = matcher.unused_patterns(&upload.file_patterns, &paths);
    let warning = |pattern: &str| format!("the pattern `{pattern}` matches no file");
    selection.warnings.extend(unused.into_iter().map(warning));
    let started = footprint.run.started.parse::<jiff::Timestamp>().ok();
    files::check_weights_age(&selection.files, started.map(SystemTime::from))?;
    Ok(PushInputs { footprint, selection })
}

/// The model card of the base model, if it exists and can be read.
async fn fetch_base_card(
    upload: &ModelUpload,
    footprint: &Footprint,
    settings: &HubSettings,
) -> Option<ModelCard> {
    let base = footprint.run.base_model.as_deref()?;
    let read = async {
        let hub = HubClient::connect(settings, base.parse()?, DEFAULT_BRANCH, &upload.retry_policy)?;
        let bytes = hub.read_card(DEFAULT_BRANCH).await?;
        bytes.map(ModelCard::from_bytes).transpose().map_err(|source| PushError::InvalidCard {
            card: format!("{} of {base}", files::CARD_FILE),
            source,
        })
    };
    read.await.unwrap_or_else(|error| {
        let reason = error_chain(&error);
        tracing::warn!("cannot read the card of the base model, so its emissions are left out: {reason}");
        None
    })
}

/// The plot that the card shows, as PNG; `None` if the footprint has no power trace or the feature `plot` is disabled.
#[cfg(feature = "plot")]
fn render_plot_file(footprint: &Footprint) -> Result<Option<Vec<u8>>, PushError> {
    sootprint_report::render_plot(footprint)
        .map_err(|source| sootprint_card::CardError::Plot { source: source.into() })
        .map_err(|source| PushError::InvalidCard { card: PLOT_FILE.to_owned(), source })
}

#[cfg(not(feature = "plot"))]
#[expect(clippy::unnecessary_wraps, reason = "rendering can fail when it is compiled in")]
fn render_plot_file(_: &Footprint) -> Result<Option<Vec<u8>>, PushError> {
    Ok(None)
}

/// A unique id, derived from the time, the process, the thread and a random key.
fn new_push_id() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let random = std::collections::hash_map::RandomState::new();
    let seed =
        format!("{now:?} {} {:?} {random:?} {:p}", std::process::id(), thread::current().id(), &random);
    let keyed = std::hash::BuildHasher::hash_one(&random, &seed);
    hex(&Sha256::digest(format!("{seed} {keyed}"))[..16])
}
