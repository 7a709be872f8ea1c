//! The commit: made once, on top of whatever the Hub has, and looked at afterwards.

use sha2::{Digest as _, Sha256};

use crate::card::{MergeFailure, MergeInputs, MergedCard};
use crate::error::PushError;
use crate::hub_client::CommitParams;
use crate::model_upload::ConflictPolicy;
use crate::push_report::PushReport;
use crate::session::{PushSession, short_hex};
use crate::staging::{MergeBase, PendingCommit};
use crate::verify::UploadFile;
use crate::{commit_message, files, verify};

/// How often a commit is made anew on a branch that has moved, the first time included.
const MAX_COMMIT_ATTEMPTS: u32 = 5;

/// What the Hub has.
struct CommitResult {
    commit: String,
    /// None when everything was there.
    created_commit: bool,
    is_pull_request: bool,
    card: MergedCard,
    files: Vec<UploadFile>,
}

impl PushSession<'_> {
    pub(crate) async fn push(&self) -> Result<PushReport, PushError> {
        self.recover_pending_commit().await?;
        let made = self.commit_until_accepted().await?;
        self.verify_and_finish(made).await
    }

    /// Looks whether the last attempt, whose answer was lost with its process perhaps, was a commit after all.
    async fn recover_pending_commit(&self) -> Result<(), PushError> {
        let Some(attempt) = self.staging.pending_commit(&self.target) else { return Ok(()) };
        // Looked for again when it is known what is sent now.
        if attempt.pull_request {
            return Ok(());
        }
        self.branch_head().await?;
        let trailer = commit_message::push_id_trailer(&attempt.id);
        if let Some(commit) = self.retrier.retry(async || self.hub.find_commit(&trailer).await).await? {
            // What was merged from the Hub did not get into the folder: the older base stays true then.
            if attempt.is_local {
                self.staging.save_merge_base(&MergeBase {
                    target: self.target.clone(),
                    commit,
                    card: attempt.card,
                });
            }
            self.staging.clear_pending_commit();
        }
        Ok(())
    }

    /// Makes the commit, once, on top of whatever the Hub has.
    ///
    /// Each try names its parent, so that of several requests that are under way the Hub takes one at most. Whether it
    /// took one is seen in its list of commits, by the publication's id.
    async fn commit_until_accepted(&self) -> Result<CommitResult, PushError> {
        let (mut attempts, mut commit_attempts) = (1, 1);
        loop {
            let head = self.branch_head().await?;
            let remote = self.retrier.retry(async || self.hub.read_card(&head).await).await?;
            let (card, is_pull_request) = self.merge_card(remote)?;
            let mut upload_files = vec![UploadFile::from_bytes(files::CARD_FILE, card.text.clone())];
            upload_files.extend(self.other_files.iter().cloned());
            let commit_result = |commit, is_new, card, sent| CommitResult {
                commit,
                created_commit: is_new,
                is_pull_request,
                card,
                files: sent,
            };

            let missing = self.missing_files(&upload_files, &head).await?;
            if missing.is_empty() {
                return Ok(CommitResult {
                    is_pull_request: false,
                    ..commit_result(head, false, card, upload_files)
                });
            }
            let content = content_hash(&upload_files);
            if is_pull_request && let Some(commit) = self.find_open_pull_request(&content).await? {
                return Ok(commit_result(commit, false, card, upload_files));
            }
            let storage_check = self.retrier.retry(async || self.hub.check_xet_storage(&missing).await).await;
            storage_check.map_err(|error| self.map_pr_error(error, is_pull_request))?;

            self.staging.save_pending_commit(&PendingCommit {
                target: self.target.clone(),
                id: self.push_id.clone(),
                pull_request: is_pull_request,
                content,
                card: card.text.clone(),
                is_local: card.is_local_only(),
            });
            let error = match self.send_commit(&missing, &card, &head, is_pull_request).await {
                Ok(commit) => return Ok(commit_result(commit, true, card, upload_files)),
                Err(error) if !is_ambiguous(&error) && !matches!(error, PushError::RateLimited { .. }) => {
                    self.staging.clear_pending_commit();
                    return Err(self.map_pr_error(error, is_pull_request));
                }
                Err(error) => error,
            };
            if is_ambiguous(&error)
                && let Some(commit) = self.find_own_commit(is_pull_request).await?
            {
                return Ok(commit_result(commit, true, card, upload_files));
            }
            match error {
                // The Hub does not compare parents here: a second request could open a second one.
                error if is_pull_request && is_ambiguous(&error) => return Err(error),
                PushError::Conflict { .. } if commit_attempts < MAX_COMMIT_ATTEMPTS => commit_attempts += 1,
                error => self.retrier.back_off(&mut attempts, error).await?,
            }
        }
    }

    /// Looks at what the Hub has, and makes the folder agree with it.
    async fn verify_and_finish(&self, result: CommitResult) -> Result<PushReport, PushError> {
        let CommitResult { commit, created_commit: is_new, is_pull_request, card, files: sent } = result;
        let paths: Vec<String> = sent.iter().map(|sent| sent.path.clone()).collect();
        let entries = self.retrier.retry(async || self.hub.paths_info(paths.clone(), &commit).await).await?;
        let stored = sent.iter().map(|sent| {
            verify::verify_stored(sent, &entries)
                .map_err(|problem| self.hub.verification_failed(&commit, sent, problem))
        });
        let files = stored.collect::<Result<_, _>>()?;
        let pull_request = if is_pull_request {
            self.retrier.retry(async || self.hub.pull_request_for_commit(&commit).await).await?
        } else {
            None
        };

        let url = self.hub.model_url();
        let write_error = |source| PushError::LocalCardNotWritten { url: url.clone(), source };
        let is_written = card.write_local(&self.footprint, &self.options).map_err(write_error)?;
        if !is_written {
            tracing::warn!("{} was written meanwhile and is left as it is", files::CARD_FILE);
        } else if !is_pull_request {
            // Only now: the folder's card must have everything that its base has.
            let base =
                MergeBase { target: self.target.clone(), commit: commit.clone(), card: card.text.clone() };
            self.staging.save_merge_base(&base);
        }
        self.staging.clear();
        tracing::info!("{} is published at {commit}", self.hub.repo_id());
        Ok(PushReport {
            repo: self.hub.repo_id().to_string(),
            url,
            commit,
            created_commit: is_new,
            pull_request,
            files,
            skipped_files: self.skipped_files.clone(),
            card_created: card.is_new(),
        })
    }

    async fn branch_head(&self) -> Result<String, PushError> {
        self.retrier.retry(async || self.hub.head_or_create(self.upload.private).await).await
    }

    /// The one card, and whether it goes into a pull request.
    fn merge_card(&self, remote: Option<Vec<u8>>) -> Result<(MergedCard, bool), PushError> {
        let resolved = self.staging.resolved_conflict(&self.target);
        let settled = resolved.filter(|theirs| remote.as_deref() == Some(theirs.as_bytes()));
        let base = settled.or_else(|| self.staging.merge_base(&self.target).map(|base| base.card));
        let (local, new_card) = (self.local_card.clone(), self.upload.card_template.clone());
        let inputs = MergeInputs { local, remote, base, new_card };
        match MergedCard::from_inputs(inputs, self.hub.repo_id(), &self.footprint, &self.options) {
            Ok(card) => Ok((card, self.upload.open_pull_request)),
            Err(MergeFailure::InvalidCard(error)) => Err(error),
            Err(MergeFailure::Conflict { ours, .. })
                if self.upload.open_pull_request
                    || self.upload.on_conflict == ConflictPolicy::OpenPullRequest =>
            {
                Ok((*ours, true))
            }
            Err(MergeFailure::Conflict { ours, theirs, conflict_text: marked }) => {
                Err(PushError::CardConflict {
                    local: ours.path().to_owned(),
                    repo: self.hub.repo_id().to_string(),
                    conflict_file: self.staging.save_conflict(&self.target, &theirs, &marked),
                })
            }
        }
    }

    /// What the Hub does not have at this commit.
    async fn missing_files<'s>(
        &self,
        files: &'s [UploadFile],
        head: &str,
    ) -> Result<Vec<&'s UploadFile>, PushError> {
        let paths: Vec<String> = files.iter().map(|sent| sent.path.clone()).collect();
        let entries = self.retrier.retry(async || self.hub.paths_info(paths.clone(), head).await).await?;
        Ok(files.iter().filter(|sent| verify::verify_stored(sent, &entries).is_err()).collect())
    }

    async fn send_commit(
        &self,
        missing: &[&UploadFile],
        card: &MergedCard,
        parent: &str,
        pull_request: bool,
    ) -> Result<String, PushError> {
        for (key, replaced) in
            [("co2_eq_emissions", &card.replaced_emissions), ("dia_report", &card.replaced_report)]
        {
            if let Some(old) = replaced {
                tracing::warn!(
                    "{} had a {key} of another origin, which is replaced: {old}",
                    self.hub.repo_id()
                );
            }
        }
        let title = self
            .upload
            .commit_message
            .clone()
            .unwrap_or_else(|| commit_message::commit_title(&self.footprint));
        let description = commit_message::commit_description(
            self.upload.commit_description.as_deref(),
            &self.footprint,
            card.replaced_emissions.as_deref(),
            card.replaced_report.as_deref(),
            &commit_message::push_id_trailer(&self.push_id),
        );
        let operations = missing.iter().map(|sent| sent.commit_operation()).collect();
        let proposal = CommitParams {
            operations,
            title: &title,
            description: &description,
            parent,
            open_pull_request: pull_request,
        };
        self.hub.create_commit(proposal, self.progress).await
    }

    /// Our own commit, when the Hub took it after all.
    async fn find_own_commit(&self, is_pull_request: bool) -> Result<Option<String>, PushError> {
        let trailer = commit_message::push_id_trailer(&self.push_id);
        self.retrier
            .retry(async || match is_pull_request {
                true => self.hub.find_pull_request_commit(&trailer).await,
                false => self.hub.find_commit(&trailer).await,
            })
            .await
    }

    /// The commit of a pull request that an earlier publication opened with the same bytes.
    async fn find_open_pull_request(&self, content: &str) -> Result<Option<String>, PushError> {
        let attempt = self.staging.pending_commit(&self.target);
        let Some(attempt) = attempt.filter(|attempt| attempt.pull_request && attempt.content == content)
        else {
            return Ok(None);
        };
        let trailer = commit_message::push_id_trailer(&attempt.id);
        self.retrier.retry(async || self.hub.find_pull_request_commit(&trailer).await).await
    }

    fn map_pr_error(&self, error: PushError, is_pull_request: bool) -> PushError {
        match error {
            PushError::Forbidden { repo, cause, .. } if is_pull_request && !self.upload.card_only => {
                PushError::PullRequestForbidden { repo, cause }
            }
            error => error,
        }
    }
}

/// Whether the Hub may have made the commit although it did not say so.
fn is_ambiguous(error: &PushError) -> bool {
    matches!(
        error,
        PushError::Conflict { .. }
            | PushError::Unreachable { .. }
            | PushError::Unavailable { .. }
            | PushError::UnexpectedResponse { .. }
    )
}

/// A hash over all paths and bytes.
fn content_hash(files: &[UploadFile]) -> String {
    let mut hash = Sha256::new();
    for sent in files {
        hash.update(format!("{} {}\n", sent.digest.sha256, sent.path));
    }
    short_hex(&hash.finalize())
}
