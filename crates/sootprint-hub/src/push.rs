//! Runs a push on its own thread with its own runtime.
//!
//! A push can therefore be started from any code, including async code of any runtime, and one deadline ends it no
//! matter which request hangs. The blocking and the async call do the same work.

use std::path::Path;
use std::{io, thread};

use sootprint::Footprint;
use sootprint_card::PLOT_FILE;
use sootprint_core::RepoId;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::branch_name::normalize_branch;
use crate::error::PushError;
use crate::failure::error_chain;
use crate::model_upload::ModelUpload;
use crate::progress::ProgressSink;
use crate::push_report::{PushPlan, PushReport};
use crate::retry::Retrier;
use crate::session::{self, PushInputs, PushSession};
use crate::staging::StagingDir;
use crate::{commit_message, files};

/// Pushes the weights and the model card in `dir` to the repository `repo_id` (`owner/name`) on the Hub, with this
/// footprint in the card.
///
/// This is a [`ModelUpload`] with its defaults: a repository that does not exist is created as a public one, and the
/// commit goes to `main`.
///
/// # Errors
/// The errors of [`ModelUpload::push`].
pub fn push_to_hub(
    footprint: &Footprint,
    dir: impl AsRef<Path>,
    repo_id: &str,
) -> Result<PushReport, PushError> {
    ModelUpload::new(footprint, dir, repo_id).push()
}

impl ModelUpload {
    /// Pushes the folder, and returns when the Hub has every byte.
    ///
    /// The call blocks, also inside an async runtime. The repository is created if it does not exist. Card, weights
    /// and the other files go into one commit whose parent is the commit that was read, so edits made on the Hub are
    /// never overwritten. Files that the Hub already has are not sent. If the branch moves during the push, the cards
    /// are merged again and the commit is repeated on the new head, up to five attempts. If the response to a commit
    /// is lost, the commit is looked up by an id in its description, so it is never made twice. Finally, each file of
    /// the commit is verified.
    ///
    /// The pushed card is also written into the folder. The next push merges the folder's card with the Hub's card, in
    /// a three-way merge whose common ancestor is the last card pushed to the branch. The pushed `footprint.json` names
    /// GPUs `gpu0`, `gpu1` and so on instead of their UUIDs.
    ///
    /// A push that fails but may succeed later is [`staged`](crate::staged_push()): pushing again sends only what is
    /// missing.
    ///
    /// # Errors
    /// A [`PushError`] with the next step. After [`PushError::VerificationFailed`] and
    /// [`PushError::LocalCardNotWritten`] the commit exists. After [`PushError::Unreachable`],
    /// [`PushError::Unavailable`], [`PushError::UnexpectedResponse`], [`PushError::DeadlineExceeded`] and any error
    /// during the final verification it may exist; the next push looks for it. Otherwise nothing was committed.
    pub fn push(self) -> Result<PushReport, PushError> {
        let thread = spawn_thread(move || run_push(&self, std::future::pending()))?;
        thread.join().unwrap_or_else(|_| Err(thread_panicked()))
    }

    /// Pushes the folder like [`ModelUpload::push`], for async code of any runtime.
    ///
    /// Dropping the future cancels the push, which is then staged. The next push looks for what was already sent.
    ///
    /// # Errors
    /// The errors of [`ModelUpload::push`].
    pub async fn push_async(self) -> Result<PushReport, PushError> {
        let (mut result_tx, result_rx) = oneshot::channel();
        spawn_thread(move || {
            let result = run_push(&self, result_tx.closed());
            // After a cancellation there is no receiver.
            let _ = result_tx.send(result);
        })?;
        result_rx.await.unwrap_or_else(|_| Err(thread_panicked()))
    }

    /// Returns what a push would send. Needs no token and no network access, and changes no file.
    ///
    /// # Errors
    /// A [`PushError`] if the run, the folder, a pattern or the repository name is invalid.
    pub fn plan(&self) -> Result<PushPlan, PushError> {
        let repo = self.repo_id.parse::<RepoId>()?.to_string();
        let branch = normalize_branch(&self.branch)?;
        let PushInputs { footprint, selection } = session::select_inputs(self)?;
        let mut files: Vec<String> = selection.files.into_iter().map(|file| file.name).collect();
        files.push(files::CARD_FILE.to_owned());
        if !self.card_only {
            files.push(sootprint::Footprint::FILE_NAME.to_owned());
            if self.include_plot && cfg!(feature = "plot") && !footprint.power.is_empty() {
                files.push(PLOT_FILE.to_owned());
            }
        }
        files.sort();
        // The plot is rendered again, so it replaces the file in the folder.
        files.dedup();
        let excluded = selection.excluded.into_iter().filter(|it| !files.contains(&it.path)).collect();
        let warnings = selection.warnings;
        let title = self.commit_message.clone().unwrap_or_else(|| commit_message::commit_title(&footprint));
        Ok(PushPlan { repo, branch, title, files, excluded, warnings })
    }
}

/// Pushes before the deadline, and stages the push if it fails.
fn run_push(upload: &ModelUpload, cancelled: impl Future<Output = ()>) -> Result<PushReport, PushError> {
    let progress = ProgressSink::new(upload.progress_handler.clone());
    let retrier = Retrier::new(upload.retry_policy, progress.clone());
    // Two threads, because hf-xet transfers the weights on this runtime too.
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
    // Dropping the runtime would wait for requests that hang.
    runtime.shutdown_background();
    if let Err(error) = &result
        && error.is_staged()
    {
        // A record that cannot be read is the error.
        if let Ok(options) = upload.staged_options() {
            let staging = StagingDir::new(&upload.dir);
            let branch = normalize_branch(&upload.branch).unwrap_or_else(|_| upload.branch.clone());
            staging.stage(&upload.repo_id, &branch, &error_chain(error), options);
        }
    }
    result
}

fn spawn_thread<T: Send + 'static>(
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<thread::JoinHandle<T>, PushError> {
    let builder = thread::Builder::new().name("sootprint-push".to_owned());
    builder.spawn(body).map_err(|source| PushError::WorkerThread { source })
}

fn thread_panicked() -> PushError {
    PushError::WorkerThread { source: io::Error::other("the thread panicked, which is a bug in sootprint") }
}
