//! Makes the commit exactly once, on top of the current head, and verifies it.
//!
//! Each commit names its parent, so of several requests in flight the Hub accepts at most one. Its description contains
//! an id that finds the commit if the response is lost; a commit can therefore be retried. For a pull request the Hub
//! does not compare parents, so that one is looked up and never sent again.

use std::collections::BTreeSet;

use hf_hub::repository::{CommitOperation, RepoTreeEntry};
use sha2::{Digest as _, Sha256};
use sootprint_core::format::hex;

use crate::card::{MergeFailure, MergeInputs, MergedCard};
use crate::error::PushError;
use crate::hub_client::CommitParams;
use crate::model_upload::ConflictPolicy;
use crate::push_report::PushReport;
use crate::secret_scan::SecretScanner;
use crate::session::PushSession;
use crate::staging::{MergeBase, PendingCommit, PushedFile};
use crate::upload_file::UploadFile;
use crate::{commit_message, files, verify};

/// Attempts to commit to a branch that keeps moving, including the first.
const MAX_COMMIT_ATTEMPTS: u32 = 5;

/// The commit on the Hub.
struct CommitResult {
    commit: String,
    /// `false` if the Hub already had everything.
    created_commit: bool,
    is_pull_request: bool,
    card: MergedCard,
    files: Vec<UploadFile>,
    /// The files of earlier pushes that the folder no longer has.
    old_files: Vec<PushedFile>,
    /// The paths that this push sent.
    sent_paths: BTreeSet<String>,
}

impl PushSession<'_> {
    /// Recovers an interrupted commit, commits, and verifies.
    pub(crate) async fn push(&mut self) -> Result<PushReport, PushError> {
        self.check_commit_texts()?;
        self.follow_renaming().await?;
        self.recover_pending_commit().await?;
        let made = self.commit_until_accepted().await?;
        self.verify_and_finish(made).await
    }

    async fn follow_renaming(&mut self) -> Result<(), PushError> {
        let mut attempt = 1;
        while let Err(error) = self.hub.follow_renaming().await {
            self.retrier.back_off(async || self.hub.requested_wait().await, &mut attempt, error).await?;
        }
        Ok(())
    }

    /// Checks whether an earlier attempt whose response was lost did make its commit.
    async fn recover_pending_commit(&self) -> Result<(), PushError> {
        let Some(pending) = self.staging.pending_commit(&self.target) else { return Ok(()) };
        // A pull request is looked up later, by the content that is about to be sent.
        if pending.pull_request {
            return Ok(());
        }
        if self.find_head(false).await?.is_none() {
            return Ok(());
        }
        let trailer = commit_message::push_id_trailer(&pending.id);
        if let Some(commit) = self.retry(async || self.hub.find_commit(&trailer).await).await? {
            // Otherwise the remote edits never reached the folder, and the older base remains correct.
            if pending.is_local {
                self.staging.save_merge_base(MergeBase {
                    target: self.target.clone(),
                    commit,
                    card: pending.card,
                });
            }
            self.staging.clear_pending_commit();
        }
        Ok(())
    }

    /// Commits on top of the current head, and repeats this while the branch moves.
    async fn commit_until_accepted(&self) -> Result<CommitResult, PushError> {
        let (mut attempts, mut commit_attempts) = (1, 1);
        let mut was_created = false;
        loop {
            let Some(head) = self.find_head(was_created).await? else {
                // The Hub's opinion about the card comes first, so that a refusal leaves no empty repository.
                let (card, _) = self.merge_card(None)?;
                self.validate_card(&card.text).await?;
                self.retry(async || self.hub.create_repository(self.private).await).await?;
                was_created = true;
                continue;
            };
            let remote = self.retry(async || self.hub.read_card(&head).await).await?;
            let (card, is_pull_request) = self.merge_card(remote)?;
            let mut upload_files = vec![UploadFile::from_bytes(files::CARD_FILE, card.text.clone())];
            upload_files.extend(self.other_files.iter().cloned());
            let old_files = self.old_files(&upload_files, &head).await?;
            let removed = if self.upload.remove_old_files { old_files.clone() } else { Vec::new() };
            let missing = self.missing_files(&upload_files, &head).await?;
            let sent_paths: BTreeSet<String> = missing.iter().map(|file| file.path.clone()).collect();
            let commit_result = |commit, created_commit, card, files| CommitResult {
                commit,
                created_commit,
                is_pull_request,
                card,
                files,
                old_files,
                sent_paths,
            };

            if missing.is_empty() && removed.is_empty() {
                return Ok(CommitResult {
                    is_pull_request: false,
                    ..commit_result(head, false, card, upload_files)
                });
            }
            self.check_generated_files(&missing)?;
            if missing.iter().any(|file| file.path == files::CARD_FILE) {
                self.validate_card(&card.text).await?;
            }
            let content = if is_pull_request { content_hash(&upload_files)? } else { String::new() };
            if is_pull_request && let Some(commit) = self.find_open_pull_request(&content).await? {
                return Ok(commit_result(commit, false, card, upload_files));
            }
            let storage_check = self.retry(async || self.hub.check_xet_storage(&missing).await).await;
            storage_check.map_err(|error| {
                self.map_pr_error(self.with_file_count(error, missing.len()), is_pull_request)
            })?;

            self.staging.save_pending_commit(&PendingCommit {
                target: self.target.clone(),
                id: self.push_id.clone(),
                pull_request: is_pull_request,
                content,
                card: card.text.clone(),
                is_local: card.is_local_only(),
            });
            let sent = self.send_commit(&missing, &removed, &card, &head, is_pull_request).await;
            // hf-hub only reports that it could not read a file.
            let sent = sent.map_err(|error| match missing.iter().find_map(|file| file.problem()) {
                Some(problem) => problem,
                None => self.with_file_count(error, missing.len()),
            });
            let error = match sent {
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
                // A second request could open a second pull request.
                error if is_pull_request && is_ambiguous(&error) => return Err(error),
                PushError::Conflict { .. } if commit_attempts < MAX_COMMIT_ATTEMPTS => commit_attempts += 1,
                error => {
                    self.retrier
                        .back_off(async || self.hub.requested_wait().await, &mut attempts, error)
                        .await?
                }
            }
        }
    }

    /// Verifies the commit, and writes the pushed card into the folder.
    async fn verify_and_finish(&self, result: CommitResult) -> Result<PushReport, PushError> {
        let CommitResult {
            commit,
            created_commit,
            is_pull_request,
            card,
            files: upload_files,
            old_files,
            sent_paths,
        } = result;
        let paths: Vec<String> = upload_files.iter().map(|file| file.path.clone()).collect();
        let entries = self.retry(async || self.hub.paths_info(paths.clone(), &commit).await).await?;
        let stored = upload_files.iter().map(|file| {
            verify::verify_stored(file, file.read_digest()?, &entries)
                .map_err(|problem| self.hub.verification_failed(&commit, file, problem))
        });
        let files = stored.collect::<Result<_, _>>()?;
        let pull_request = if is_pull_request {
            self.retry(async || self.hub.pull_request_for_commit(&commit).await).await?
        } else {
            None
        };

        let url = self.hub.model_url();
        let write_error = |source| PushError::LocalCardNotWritten { url: url.clone(), source };
        let is_written = card.write_local(&self.footprint, &self.options).map_err(write_error)?;
        if !is_written {
            tracing::warn!(
                "{} was changed during the push, so it was not overwritten; the pushed card is at {url}",
                files::CARD_FILE
            );
        } else if !is_pull_request {
            // Saved last, because the local card must contain everything that its base contains.
            let base =
                MergeBase { target: self.target.clone(), commit: commit.clone(), card: card.text.clone() };
            self.staging.save_merge_base(base);
        }
        let removes_old = self.upload.remove_old_files && !is_pull_request;
        if !is_pull_request && !self.upload.card_only {
            // A file that the Hub already had is not one of ours, unless an earlier push sent it.
            let earlier = self.staging.pushed_files(&self.target);
            let is_ours = |file: &PushedFile| sent_paths.contains(&file.path) || earlier.contains(file);
            let kept = old_files.iter().filter(|_| !removes_old).cloned();
            let ours = pushed_files(&entries).filter(is_ours).chain(kept).collect();
            self.staging.save_pushed_files(&self.target, ours);
        }
        let old_files: Vec<String> = old_files.into_iter().map(|file| file.path).collect();
        let (old_files, removed_files) =
            if removes_old { (Vec::new(), old_files) } else { (old_files, Vec::new()) };
        self.staging.clear(&self.target.repo, &self.target.branch);
        tracing::info!("pushed to {} in commit {commit}", self.hub.repo_id());
        Ok(PushReport {
            repo: self.hub.repo_id().to_string(),
            url,
            commit,
            created_commit,
            pull_request,
            files,
            excluded: self.excluded.clone(),
            warnings: self.warnings.clone(),
            old_files,
            removed_files,
            card_created: card.is_new(),
        })
    }

    /// The newest commit of the branch; `None` if the repository does not exist.
    /// The head of the branch; `None` if there is no repository. After its creation, that is an error: the token may not
    /// read a repository that existed.
    async fn find_head(&self, was_created: bool) -> Result<Option<String>, PushError> {
        self.retry(async || self.hub.find_head(self.upload.private, was_created).await).await
    }

    async fn retry<T>(&self, request: impl AsyncFnMut() -> Result<T, PushError>) -> Result<T, PushError> {
        self.retrier.retry(async || self.hub.requested_wait().await, request).await
    }

    /// Asks the Hub whether it would accept the card, before anything is uploaded.
    async fn validate_card(&self, text: &str) -> Result<(), PushError> {
        self.check_text(files::CARD_FILE, text.as_bytes())?;
        let opinion = self.hub.validate_card(text).await;
        for warning in &opinion.warnings {
            tracing::warn!("the Hub about {}: {warning}", files::CARD_FILE);
        }
        match opinion.errors {
            errors if errors.is_empty() => Ok(()),
            errors => Err(PushError::CardRefused { repo: self.hub.repo_id().to_string(), errors }),
        }
    }

    /// The merged card, and whether it goes into a pull request.
    fn merge_card(&self, remote: Option<Vec<u8>>) -> Result<(MergedCard, bool), PushError> {
        let resolved = self.staging.resolved_conflict(&self.target);
        let resolved = resolved.filter(|theirs| remote.as_deref() == Some(theirs.as_bytes()));
        let base = resolved.or_else(|| self.staging.merge_base(&self.target).map(|base| base.card));
        let (local, new_card) = (self.local_card.clone(), self.new_card.clone());
        let earlier_repositories = self.staging.earlier_repositories();
        let inputs = MergeInputs { local, remote, base, earlier_repositories, new_card };
        match MergedCard::from_inputs(inputs, self.hub.repo_id(), &self.footprint, &self.options) {
            Ok(card) => Ok((card, self.upload.open_pull_request)),
            Err(MergeFailure::InvalidCard(error)) => Err(error),
            Err(MergeFailure::Conflict { ours, .. })
                if self.upload.open_pull_request
                    || self.upload.on_conflict == ConflictPolicy::OpenPullRequest =>
            {
                Ok((*ours, true))
            }
            Err(MergeFailure::Conflict { ours, theirs, conflict_text }) => Err(PushError::CardConflict {
                local: ours.path().to_owned(),
                repo: self.hub.repo_id().to_string(),
                conflict_file: self.staging.save_conflict(&self.target, &theirs, &conflict_text),
            }),
        }
    }

    /// The files that differ from the Hub's at this commit.
    async fn missing_files<'s>(
        &self,
        files: &'s [UploadFile],
        head: &str,
    ) -> Result<Vec<&'s UploadFile>, PushError> {
        let paths: Vec<String> = files.iter().map(|file| file.path.clone()).collect();
        let entries = self.retry(async || self.hub.paths_info(paths.clone(), head).await).await?;
        let mut missing = Vec::new();
        for file in files {
            let is_stored = verify::has_same_length(file, &entries)
                && verify::verify_stored(file, file.read_digest()?, &entries).is_ok();
            if !is_stored {
                missing.push(file);
            }
        }
        Ok(missing)
    }

    /// The files that earlier pushes put on the branch, that would not be pushed now, and that nobody has changed.
    async fn old_files(&self, files: &[UploadFile], head: &str) -> Result<Vec<PushedFile>, PushError> {
        if self.upload.card_only {
            return Ok(Vec::new());
        }
        let current: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
        let mut old_files = self.staging.pushed_files(&self.target);
        // A file that is left out now is still in the folder.
        let is_in_folder = |path: &str| self.upload.dir.join(path).symlink_metadata().is_ok();
        old_files.retain(|file| !current.contains(file.path.as_str()) && !is_in_folder(&file.path));
        if old_files.is_empty() {
            return Ok(old_files);
        }
        let paths: Vec<String> = old_files.iter().map(|file| file.path.clone()).collect();
        let entries = self.retry(async || self.hub.paths_info(paths.clone(), head).await).await?;
        let unchanged: Vec<PushedFile> = pushed_files(&entries).collect();
        old_files.retain(|file| unchanged.contains(file));
        old_files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(old_files)
    }

    async fn send_commit(
        &self,
        missing: &[&UploadFile],
        removed: &[PushedFile],
        card: &MergedCard,
        parent: &str,
        pull_request: bool,
    ) -> Result<String, PushError> {
        for (key, replaced) in
            [("co2_eq_emissions", &card.replaced_emissions), ("dia_report", &card.replaced_report)]
        {
            if let Some(old) = replaced {
                tracing::warn!(
                    "replacing {key} of another tool in the card of {}: {old}",
                    self.hub.repo_id()
                );
            }
        }
        let title = self.commit_title();
        let description = commit_message::commit_description(
            self.upload.commit_description.as_deref(),
            &self.footprint,
            card.replaced_emissions.as_deref(),
            card.replaced_report.as_deref(),
            &commit_message::push_id_trailer(&self.push_id),
        );
        let stored = missing.iter().filter(|file| file.belongs_in_lfs);
        self.progress.set_upload_total(stored.map(|file| file.size).sum());
        let deletions = removed.iter().map(|file| CommitOperation::delete(&*file.path));
        let operations = missing.iter().map(|file| file.commit_operation()).chain(deletions).collect();
        let params = CommitParams {
            operations,
            title: &title,
            description: &description,
            parent,
            open_pull_request: pull_request,
        };
        self.hub.create_commit(params, self.progress).await
    }

    fn commit_title(&self) -> String {
        let title = self.upload.commit_message.clone();
        title.unwrap_or_else(|| commit_message::commit_title(&self.footprint))
    }

    /// Searches the texts of the commit for secrets. The files of the folder are searched while they are read.
    fn check_commit_texts(&self) -> Result<(), PushError> {
        self.check_text("the title of the commit", self.commit_title().as_bytes())?;
        let description = self.upload.commit_description.as_deref().unwrap_or_default();
        self.check_text("the description of the commit", description.as_bytes())?;
        self.check_text("the name of the branch", self.upload.branch.as_bytes())?;
        let mut names = self.other_files.iter().map(|file| file.path.as_bytes());
        names.try_for_each(|name| self.check_text("the name of a file", name))
    }

    fn check_generated_files(&self, files: &[&UploadFile]) -> Result<(), PushError> {
        for file in files {
            file.generated_bytes().map_or(Ok(()), |bytes| self.check_text(&file.path, bytes))?;
        }
        Ok(())
    }

    fn check_text(&self, name: &str, text: &[u8]) -> Result<(), PushError> {
        match SecretScanner::find(self.hub.token(), text) {
            Some(_) => Err(PushError::SecretInText { text: name.to_owned() }),
            None => Ok(()),
        }
    }

    /// The commit of this push, if the Hub accepted it although no response arrived.
    async fn find_own_commit(&self, is_pull_request: bool) -> Result<Option<String>, PushError> {
        let trailer = commit_message::push_id_trailer(&self.push_id);
        self.retry(async || match is_pull_request {
            true => self.hub.find_pull_request_commit(&trailer).await,
            false => self.hub.find_commit(&trailer).await,
        })
        .await
    }

    /// The commit of a pull request that an earlier push opened with the same content.
    async fn find_open_pull_request(&self, content: &str) -> Result<Option<String>, PushError> {
        let pending = self.staging.pending_commit(&self.target);
        let Some(pending) = pending.filter(|pending| pending.pull_request && pending.content == content)
        else {
            return Ok(None);
        };
        let trailer = commit_message::push_id_trailer(&pending.id);
        self.retry(async || self.hub.find_pull_request_commit(&trailer).await).await
    }

    fn with_file_count(&self, error: PushError, count: usize) -> PushError {
        match error {
            PushError::TooManyNewFiles { repo, .. } => PushError::TooManyNewFiles { repo, count },
            error => error,
        }
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

/// Whether the commit may exist in spite of the error.
fn is_ambiguous(error: &PushError) -> bool {
    matches!(
        error,
        PushError::Conflict { .. }
            | PushError::Unreachable { .. }
            | PushError::Unavailable { .. }
            | PushError::UnexpectedResponse { .. }
    )
}

/// The files among the Hub's entries.
fn pushed_files(entries: &[RepoTreeEntry]) -> impl Iterator<Item = PushedFile> {
    entries.iter().filter_map(|entry| match entry {
        RepoTreeEntry::File { path, oid, .. } => Some(PushedFile { path: path.clone(), oid: oid.clone() }),
        _ => None,
    })
}

/// A hash of all paths and contents.
fn content_hash(files: &[UploadFile]) -> Result<String, PushError> {
    let mut hash = Sha256::new();
    for file in files {
        hash.update(format!("{} {}\n", file.read_digest()?.sha256, file.path));
    }
    Ok(hex(&hash.finalize()[..16]))
}
