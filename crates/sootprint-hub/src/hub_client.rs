//! Requests to the Hub that a push needs, with [`PushError`]s.

use std::fs;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use hf_hub::progress::Progress;
use hf_hub::repository::{CommitOperation, GitCommitInfo, ModelInfo, RepoTreeEntry};
use hf_hub::{HFClient, HFClientBuilder, HFError, HFRepository, RepoTypeModel};
use sootprint_card::ModelCard;
use sootprint_core::RepoId;

use crate::error::PushError;
use crate::failure::{HubFailureKind, HubOperation, RedactedError};
use crate::files::CARD_FILE;
use crate::hub_requests::{CardOpinion, HubRequests};
use crate::model_upload::DEFAULT_BRANCH;
use crate::progress::ProgressSink;
use crate::push_report::PullRequest;
use crate::retry::RetryPolicy;
use crate::settings::HubSettings;
use crate::token::HubToken;
use crate::upload_file::UploadFile;
use crate::verification_error::VerificationError;
use crate::xet_storage::{self, StorageOffer};

/// The user agent of all requests.
const USER_AGENT: &str = concat!("sootprint-hub/", env!("CARGO_PKG_VERSION"));

/// The Hub's message if its storage has lost a file that the client did not send again.
const MISSING_LFS_FILE: &str = "LFS pointer pointed to a file that does not exist";

/// The number of commits that are searched for one of ours; the Hub accepts about 128 commits per hour.
const COMMIT_SEARCH_LIMIT: usize = 200;

/// The number of pull requests, newest first, that are searched.
const PULL_REQUEST_SEARCH_LIMIT: usize = 20;

/// A branch of a repository on the Hub.
pub(crate) struct HubClient {
    client: HFClient,
    http: reqwest::Client,
    repository: HFRepository<RepoTypeModel>,
    repo_id: RepoId,
    branch: String,
    settings: HubSettings,
}

/// The content of a commit.
pub(crate) struct CommitParams<'a> {
    pub(crate) operations: Vec<CommitOperation>,
    pub(crate) title: &'a str,
    pub(crate) description: &'a str,
    /// The commit that the content was prepared for.
    pub(crate) parent: &'a str,
    pub(crate) open_pull_request: bool,
}

impl HubClient {
    /// Creates the client without connecting. hf-hub gets explicit values for everything that it would otherwise look up
    /// by its own rules.
    pub(crate) fn connect(
        settings: &HubSettings,
        repo_id: RepoId,
        branch: &str,
        policy: &RetryPolicy,
    ) -> Result<Self, PushError> {
        let HubSettings { endpoint, token, cache_dir, .. } = settings;
        let setup_error = |error: &dyn std::error::Error| PushError::ClientSetup {
            endpoint: endpoint.clone(),
            cause: RedactedError::new(error, token),
        };
        let http = reqwest::Client::builder()
            .connect_timeout(policy.connect_timeout)
            .read_timeout(policy.read_timeout)
            .user_agent(USER_AGENT)
            .build()
            .map_err(|error| setup_error(&error))?;
        let client = HFClientBuilder::new()
            .client(http.clone())
            .user_agent(USER_AGENT)
            .endpoint(endpoint)
            .token(token.expose())
            .cache_dir(cache_dir)
            .cache_enabled(false)
            // hf-hub may wait for less than `Retry-After`, and repeats a commit although its response was lost.
            .retry_max_attempts(0)
            .build()
            .map_err(|error| setup_error(&error))?;
        let repository = client.model(repo_id.owner(), repo_id.name());
        Ok(Self { client, http, repository, repo_id, branch: branch.to_owned(), settings: settings.clone() })
    }

    /// Follows a renaming of the repository: the Hub redirects requests for the old name, but not all clients follow.
    pub(crate) async fn follow_renaming(&mut self) -> Result<(), PushError> {
        let id = match self.repository.info().send().await {
            Ok(info) => info.id,
            Err(HFError::RepoNotFound { .. }) => return Ok(()),
            Err(error) => return Err(self.map_hf_error(HubOperation::FindRepository, &error)),
        };
        if let Ok(id) = id.parse::<RepoId>()
            && id != self.repo_id
        {
            tracing::warn!("{} was renamed to {id}", self.repo_id);
            self.repository = self.client.model(id.owner(), id.name());
            self.repo_id = id;
        }
        Ok(())
    }

    pub(crate) fn token(&self) -> &HubToken {
        &self.settings.token
    }

    pub(crate) fn repo_id(&self) -> &RepoId {
        &self.repo_id
    }

    /// The page of the model.
    pub(crate) fn model_url(&self) -> String {
        format!("{}/{}", self.settings.endpoint, self.repo_id)
    }

    /// The newest commit of the branch, which is created if it does not exist; `None` if the repository does not exist.
    /// `private`: whether a public repository is an error.
    ///
    /// A token with access to a single repository may not call the endpoint that creates it, even if it exists.
    pub(crate) async fn find_head(
        &self,
        private: bool,
        was_created: bool,
    ) -> Result<Option<String>, PushError> {
        let info = match self.repository.info().send().await {
            Err(HFError::RepoNotFound { .. }) if !was_created => return Ok(None),
            info => info.map_err(|error| self.map_hf_error(HubOperation::FindRepository, &error))?,
        };
        if private && info.private == Some(false) {
            let (endpoint, repo) = (self.settings.endpoint.clone(), self.repo_id.to_string());
            return Err(PushError::RepositoryIsPublic { endpoint, repo });
        }
        let info = if self.branch == DEFAULT_BRANCH { info } else { self.find_branch().await? };
        let no_commit = || {
            let error = HFError::malformed_response("the newest commit");
            self.map_hf_error(HubOperation::FindRepository, &error)
        };
        info.sha.map(Some).ok_or_else(no_commit)
    }

    async fn find_branch(&self) -> Result<ModelInfo, PushError> {
        let branch_info = || self.repository.info().revision(&*self.branch).send();
        let info = match branch_info().await {
            // The Hub itself creates the references of pull requests.
            Err(HFError::RevisionNotFound { .. }) if self.branch.starts_with("refs/") => {
                return Err(PushError::InvalidBranch { branch: self.branch.clone() });
            }
            Err(HFError::RevisionNotFound { .. }) => {
                match self.repository.create_branch().branch(&self.branch).send().await {
                    // Another client may have created it since the lookup.
                    Ok(()) | Err(HFError::Conflict { .. }) => {}
                    Err(error) => return Err(self.map_hf_error(HubOperation::CreateBranch, &error)),
                }
                branch_info().await
            }
            info => info,
        };
        info.map_err(|error| self.map_hf_error(HubOperation::FindRepository, &error))
    }

    /// Creates the repository, unless it exists.
    pub(crate) async fn create_repository(&self, private: bool) -> Result<(), PushError> {
        let created = self.requests().create_repository(&self.repo_id, private).await;
        created.map_err(|(failure, cause)| self.push_error(HubOperation::CreateRepository, failure, cause))
    }

    /// The Hub's opinion about a card; without any findings if this Hub gives none.
    pub(crate) async fn validate_card(&self, card: &str) -> CardOpinion {
        self.requests().validate_card(card).await.unwrap_or_default()
    }

    /// The wait that the Hub asks for while it limits the rate.
    pub(crate) async fn requested_wait(&self) -> Option<Duration> {
        self.requests().requested_wait(&self.repo_id).await
    }

    fn requests(&self) -> HubRequests<'_> {
        HubRequests { http: &self.http, settings: &self.settings }
    }

    /// The card at a commit, if there is one.
    pub(crate) async fn read_card(&self, commit: &str) -> Result<Option<Vec<u8>>, PushError> {
        let map_error = |error: HFError| self.map_hf_error(HubOperation::ReadCard, &error);
        let request = self.repository.download_file_stream().filename(CARD_FILE).revision(commit);
        let mut chunks = match request.send().await {
            Ok((_, chunks)) => chunks,
            Err(HFError::EntryNotFound { .. }) => return Ok(None),
            Err(error) => return Err(map_error(error)),
        };
        let mut card = Vec::new();
        while let Some(chunk) = chunks.try_next().await.map_err(map_error)? {
            card.extend_from_slice(&chunk);
            if card.len() as u64 > ModelCard::MAX_LEN {
                return Err(map_error(HFError::malformed_response("a model card of at most 64 MB")));
            }
        }
        Ok(Some(card))
    }

    /// Fails if the Hub would store large files or weights in git. Other files are not checked.
    pub(crate) async fn check_xet_storage(&self, files: &[&UploadFile]) -> Result<(), PushError> {
        let lfs_files: Vec<&UploadFile> = files.iter().copied().filter(|file| file.belongs_in_lfs).collect();
        if lfs_files.is_empty() {
            return Ok(());
        }
        let (endpoint, repo) = (self.settings.endpoint.clone(), self.repo_id.to_string());
        self.check_cache_dir()?;
        match xet_storage::probe_xet_storage(self.requests(), &repo, &self.branch, &lfs_files).await {
            Ok(StorageOffer::Available) => Ok(()),
            Ok(StorageOffer::Unavailable { path }) => Err(PushError::NoStorage { endpoint, repo, path }),
            Err((failure, cause)) => Err(self.push_error(HubOperation::Commit, failure, cause)),
        }
    }

    /// Uploads the files, commits them on top of the parent, and returns the id of the commit.
    pub(crate) async fn create_commit(
        &self,
        params: CommitParams<'_>,
        progress: &ProgressSink,
    ) -> Result<String, PushError> {
        let CommitParams { operations, title, description, parent, open_pull_request } = params;
        let commit = self.repository.create_commit().operations(operations).parent_commit(parent);
        let commit = commit.commit_message(title).commit_description(description).revision(&*self.branch);
        let created =
            commit.create_pr(open_pull_request).progress(Progress::new(progress.clone())).send().await;
        created
            .and_then(|made| made.commit_oid.ok_or_else(|| HFError::malformed_response("the commit's id")))
            .map_err(|error| self.map_hf_error(HubOperation::Commit, &error))
    }

    /// The commit on the branch whose description contains this trailer.
    pub(crate) async fn find_commit(&self, trailer: &str) -> Result<Option<String>, PushError> {
        self.find_commit_at(&self.branch, trailer, COMMIT_SEARCH_LIMIT).await
    }

    /// The commit of one of the newest pull requests whose description contains this trailer.
    pub(crate) async fn find_pull_request_commit(&self, trailer: &str) -> Result<Option<String>, PushError> {
        for pull_request in self.list_pull_requests().await?.into_iter().take(PULL_REQUEST_SEARCH_LIMIT) {
            // A pull request has few commits of its own, followed by those of its branch.
            if let Some(commit) = self.find_commit_at(&pull_request.reference, trailer, 10).await? {
                return Ok(Some(commit));
            }
        }
        Ok(None)
    }

    /// The pull request that a commit opened. hf-hub 1.0.0 does not return it, because it reads another field name than
    /// the Hub writes.
    pub(crate) async fn pull_request_for_commit(
        &self,
        commit: &str,
    ) -> Result<Option<PullRequest>, PushError> {
        let pull_requests = self.list_pull_requests().await?;
        Ok(pull_requests.into_iter().find(|found| found.commit == commit).map(|found| PullRequest {
            number: found.number,
            url: format!("{}/discussions/{}", self.model_url(), found.number),
        }))
    }

    /// The Hub's entries of these files at a commit.
    pub(crate) async fn paths_info(
        &self,
        paths: Vec<String>,
        commit: &str,
    ) -> Result<Vec<RepoTreeEntry>, PushError> {
        let entries = self.repository.get_paths_info().paths(paths).revision(commit).send().await;
        entries.map_err(|error| self.map_hf_error(HubOperation::VerifyFiles, &error))
    }

    pub(crate) fn verification_failed(
        &self,
        commit: &str,
        file: &UploadFile,
        problem: VerificationError,
    ) -> PushError {
        PushError::VerificationFailed {
            repo: self.repo_id.to_string(),
            commit: commit.to_owned(),
            path: file.path.clone(),
            problem,
        }
    }

    async fn find_commit_at(
        &self,
        revision: &str,
        trailer: &str,
        limit: usize,
    ) -> Result<Option<String>, PushError> {
        let listed = self.repository.list_commits().revision(revision).limit(limit).send();
        let map_error = |error: HFError| self.map_hf_error(HubOperation::SearchCommits, &error);
        let commits: Vec<GitCommitInfo> =
            listed.map_err(map_error)?.try_collect().await.map_err(map_error)?;
        let is_ours =
            |commit: &&GitCommitInfo| commit.message.contains(trailer) || commit.title.contains(trailer);
        Ok(commits.iter().find(is_ours).map(|commit| commit.id.clone()))
    }

    /// All pull requests, newest first.
    async fn list_pull_requests(&self) -> Result<Vec<PullRequestRef>, PushError> {
        let references = self.repository.list_refs().include_pull_requests(true).send().await;
        let references =
            references.map_err(|error| self.map_hf_error(HubOperation::SearchCommits, &error))?;
        let mut opened: Vec<PullRequestRef> = references
            .pull_requests
            .into_iter()
            .filter_map(|found| {
                let number = found.git_ref.strip_prefix("refs/pr/")?.parse().ok()?;
                Some(PullRequestRef { number, reference: found.git_ref, commit: found.target_commit })
            })
            .collect();
        opened.sort_by_key(|pull_request| std::cmp::Reverse(pull_request.number));
        Ok(opened)
    }

    /// Fails if the storage client cannot write its cache, which it would report without the path.
    fn check_cache_dir(&self) -> Result<(), PushError> {
        let path = self.settings.xet_cache_dir.clone();
        let check = || fs::create_dir_all(&path).and_then(|()| tempfile::tempfile_in(&path).map(drop));
        check().map_err(|source| PushError::CacheNotWritable { path: path.clone(), source })
    }

    fn map_hf_error(&self, operation: HubOperation, error: &HFError) -> PushError {
        self.push_error(
            operation,
            HubFailureKind::from_hf_error(error),
            RedactedError::new(error, &self.settings.token),
        )
    }

    fn push_error(
        &self,
        operation: HubOperation,
        failure: HubFailureKind,
        cause: RedactedError,
    ) -> PushError {
        let endpoint = self.settings.endpoint.clone();
        let repo = self.repo_id.to_string();
        match failure {
            HubFailureKind::Unauthorized => PushError::Unauthorized { endpoint, repo, operation, cause },
            HubFailureKind::Forbidden => PushError::Forbidden { endpoint, repo, operation, cause },
            HubFailureKind::Conflict => PushError::Conflict { repo, branch: self.branch.clone() },
            HubFailureKind::RateLimited(retry_after) => PushError::RateLimited { retry_after, cause },
            HubFailureKind::Unreachable => PushError::Unreachable { endpoint, repo, operation, cause },
            HubFailureKind::Unavailable => PushError::Unavailable { endpoint, repo, operation, cause },
            HubFailureKind::Upload => PushError::UploadFailed { repo, cause },
            HubFailureKind::UnexpectedResponse => {
                PushError::UnexpectedResponse { endpoint, repo, operation, cause }
            }
            // The caller knows how many.
            HubFailureKind::TooManyFiles => PushError::TooManyNewFiles { repo, count: 0 },
            HubFailureKind::Refused if cause.to_string().contains(MISSING_LFS_FILE) => {
                PushError::StoredFileMissing { repo, cache: self.settings.xet_cache_dir.clone(), cause }
            }
            HubFailureKind::Refused => PushError::Refused { repo, operation, cause },
        }
    }
}

/// A pull request in the Hub's list of references.
struct PullRequestRef {
    number: u64,
    reference: String,
    commit: String,
}

#[cfg(test)]
mod tests;
