//! One publication, on a thread of its own.

use std::time::SystemTime;
use std::{io, thread};

use sha2::{Digest as _, Sha256};
use sootprint::Footprint;
use sootprint_card::{CardOptions, ModelCard, PLOT_FILE};

use crate::card::LocalCard;
use crate::error::PushError;
use crate::file_matcher::FileMatcher;
use crate::files::{self, SelectOptions, SelectedFiles};
use crate::hub_client::{DEFAULT_BRANCH, HubClient};
use crate::model_upload::ModelUpload;
use crate::progress::ProgressSink;
use crate::push_report::PushReport;
use crate::redacted;
use crate::repo_id::RepoId;
use crate::retry::Retrier;
use crate::settings::HubSettings;
use crate::staging::{PushTarget, StagingDir};
use crate::verify::UploadFile;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// Publishes and waits for it. The thread has a runtime of its own, so the caller may be inside of another one.
pub(crate) fn push_blocking(upload: ModelUpload) -> Result<PushReport, PushError> {
    let thread = spawn_thread(move || run_push(&upload, std::future::pending()))?;
    thread.join().unwrap_or_else(|_| Err(thread_panicked()))
}

/// Publishes; whoever drops the future stops it.
pub(crate) async fn push_async(upload: ModelUpload) -> Result<PushReport, PushError> {
    let (mut result_tx, result_rx) = oneshot::channel();
    spawn_thread(move || {
        let result = run_push(&upload, result_tx.closed());
        // Nobody waits for it when it was stopped.
        let _ = result_tx.send(result);
    })?;
    result_rx.await.unwrap_or_else(|_| Err(thread_panicked()))
}

fn spawn_thread<T: Send + 'static>(
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<thread::JoinHandle<T>, PushError> {
    let builder = thread::Builder::new().name("sootprint-publish".to_owned());
    builder.spawn(body).map_err(|source| PushError::WorkerThread { source })
}

fn thread_panicked() -> PushError {
    PushError::WorkerThread { source: io::Error::other("it died, which is a mistake in sootprint") }
}

/// Publishes within the time, and stages what fails.
fn run_push(upload: &ModelUpload, cancelled: impl Future<Output = ()>) -> Result<PushReport, PushError> {
    let progress = ProgressSink::new(upload.progress_handler.0.clone());
    let retrier = Retrier::new(upload.retry_policy, progress.clone());
    // Two threads: hf-xet, which carries the weights, works on this runtime, too.
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|source| PushError::WorkerThread { source })?;
    let result = runtime.block_on(async {
        let work = async { PushSession::prepare(upload, &progress, &retrier).await?.push().await };
        tokio::select! {
            done = tokio::time::timeout_at(retrier.deadline().into(), work) => {
                done.unwrap_or(Err(PushError::DeadlineExceeded { deadline: upload.retry_policy.deadline }))
            }
            () = cancelled => Err(PushError::Cancelled),
        }
    });
    progress.finish();
    // A request that hangs is not waited for.
    runtime.shutdown_background();
    if let Err(error) = &result
        && error.is_retryable()
    {
        StagingDir::new(&upload.dir).stage(&upload.repo_id, &upload.branch, &error.to_string());
    }
    result
}

/// A publication that may begin: the run is one, the files are there, the environment allows it.
pub(crate) struct PushSession<'a> {
    pub(crate) upload: &'a ModelUpload,
    pub(crate) hub: HubClient,
    pub(crate) footprint: Footprint,
    pub(crate) options: CardOptions,
    pub(crate) staging: StagingDir,
    pub(crate) target: PushTarget,
    pub(crate) local_card: LocalCard,
    /// Everything but the card.
    pub(crate) other_files: Vec<UploadFile>,
    pub(crate) skipped_files: Vec<String>,
    pub(crate) push_id: String,
    pub(crate) progress: &'a ProgressSink,
    pub(crate) retrier: &'a Retrier,
}

impl<'a> PushSession<'a> {
    async fn prepare(
        upload: &'a ModelUpload,
        progress: &'a ProgressSink,
        retrier: &'a Retrier,
    ) -> Result<Self, PushError> {
        let rank = sootprint::rank();
        if rank > 0 {
            return Err(PushError::NonZeroRank { rank });
        }
        let repo_id = RepoId::parse(&upload.repo_id)?;
        let PushInputs { footprint, files: selection } = select_inputs(upload)?;
        let settings = HubSettings::resolve(
            upload.explicit_settings.clone(),
            &|name| std::env::var(name).ok(),
            &|path| std::fs::read_to_string(path),
        )?;
        let SelectedFiles { files, card, skipped_files: mut left_out } = selection;
        let include_plot = upload.include_plot && !upload.card_only;
        let plot = if include_plot { render_plot_file(&footprint)? } else { None };
        // It is drawn anew, whatever lies in the folder.
        left_out.retain(|name| plot.is_none() || name != PLOT_FILE);
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
        let mut other_files = Vec::new();
        if !upload.card_only {
            let json = footprint.to_json().map_err(PushError::FootprintSerialization)?;
            other_files.push(UploadFile::from_bytes(Footprint::FILE_NAME, json));
        }
        other_files.extend(plot.map(|png| UploadFile::from_bytes(PLOT_FILE, png)));
        for file in files {
            other_files.push(UploadFile::from_local_file(file, progress, &settings.token)?);
        }
        let target = PushTarget {
            endpoint: settings.endpoint.clone(),
            repo: upload.repo_id.clone(),
            branch: upload.branch.clone(),
        };
        Ok(Self {
            hub: HubClient::connect(&settings, repo_id, &upload.branch, &upload.retry_policy)?,
            staging: StagingDir::new(&upload.dir),
            push_id: new_push_id(),
            upload,
            footprint,
            options,
            target,
            local_card,
            other_files,
            skipped_files: left_out,
            progress,
            retrier,
        })
    }
}

/// What a publication is made of, before anybody is asked.
pub(crate) struct PushInputs {
    pub(crate) footprint: Footprint,
    pub(crate) files: SelectedFiles,
}

/// Checks the run and sorts out the folder.
pub(crate) fn select_inputs(upload: &ModelUpload) -> Result<PushInputs, PushError> {
    let matcher = FileMatcher::compile(&upload.file_patterns)?;
    let footprint = redacted::redact_for_publication(&upload.footprint)?;
    let options = SelectOptions { matcher: &matcher, card_only: upload.card_only };
    let selection = files::select_files(&upload.dir, &options)?;
    let started = footprint.run.started.parse::<jiff::Timestamp>().ok();
    files::check_weights_age(&selection.files, started.map(SystemTime::from))?;
    Ok(PushInputs { footprint, files: selection })
}

/// The base model's card, when there is one and it can be read.
async fn fetch_base_card(
    upload: &ModelUpload,
    footprint: &Footprint,
    settings: &HubSettings,
) -> Option<ModelCard> {
    let base = footprint.run.base_model.as_deref()?;
    let read = async {
        let hub = HubClient::connect(settings, RepoId::parse(base)?, DEFAULT_BRANCH, &upload.retry_policy)?;
        let bytes = hub.read_card(DEFAULT_BRANCH).await?;
        bytes.map(ModelCard::from_bytes).transpose().map_err(|source| PushError::InvalidCard {
            card: format!("{} of {base}", files::CARD_FILE),
            source,
        })
    };
    read.await.unwrap_or_else(|error| {
        tracing::warn!("the base model's card is not read, and its emissions are not named: {error}");
        None
    })
}

/// The picture that the card shows, beside it; none without the feature that draws it.
#[cfg(feature = "plot")]
fn render_plot_file(footprint: &Footprint) -> Result<Option<Vec<u8>>, PushError> {
    sootprint_report::render_plot(footprint)
        .map_err(|source| sootprint_card::CardError::Plot { source: source.into() })
        .map_err(|source| PushError::InvalidCard { card: PLOT_FILE.to_owned(), source })
}

#[cfg(not(feature = "plot"))]
#[expect(clippy::unnecessary_wraps, reason = "drawing can fail where it is built in")]
fn render_plot_file(_: &Footprint) -> Result<Option<Vec<u8>>, PushError> {
    Ok(None)
}

/// An id that no other publication has: of this moment, this process and this thread.
fn new_push_id() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let random = std::collections::hash_map::RandomState::new();
    let seed =
        format!("{now:?} {} {:?} {random:?} {:p}", std::process::id(), thread::current().id(), &random);
    let keyed = std::hash::BuildHasher::hash_one(&random, &seed);
    short_hex(&Sha256::digest(format!("{seed} {keyed}")))
}

pub(crate) fn short_hex(hash: &[u8]) -> String {
    hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
