//! The Hub, as far as a publication needs it, with errors in our words.

use futures_util::TryStreamExt as _;
use hf_hub::progress::Progress;
use hf_hub::repository::{CommitOperation, GitCommitInfo, RepoTreeEntry};
use hf_hub::{HFClient, HFClientBuilder, HFError, HFRepository, RepoTypeModel};

use crate::cause::{Cause, Doing, Failure};
use crate::error::PublishError;
use crate::events::Listener;
use crate::files::CARD;
use crate::name::RepositoryName;
use crate::patience::Patience;
use crate::published::PullRequest;
use crate::settings::Settings;
use crate::storage::{self, Answer};
use crate::verify::{Discrepancy, Sent};

/// The branch that a repository shows first.
pub(crate) const MAIN: &str = "main";

/// How we call ourselves to the Hub.
const USER_AGENT: &str = concat!("sootprint-hub/", env!("CARGO_PKG_VERSION"));

/// How far back one of our own commits is looked for; the Hub takes about 128 commits an hour.
const RECENT: usize = 200;

/// In how many of the newest pull requests.
const RECENT_PULL_REQUESTS: usize = 20;

/// A branch of a repository on the Hub.
pub(crate) struct Hub {
    client: HFClient,
    http: reqwest::Client,
    repository: HFRepository<RepoTypeModel>,
    name: RepositoryName,
    branch: String,
    settings: Settings,
}

/// What is to be committed.
pub(crate) struct Proposal<'a> {
    pub(crate) operations: Vec<CommitOperation>,
    pub(crate) title: &'a str,
    pub(crate) description: &'a str,
    /// The commit that it was made for.
    pub(crate) parent: &'a str,
    pub(crate) pull_request: bool,
}

impl Hub {
    /// A connection that is not opened yet. What hf-hub would look up by its own rules it is told here.
    pub(crate) fn connect(
        settings: &Settings,
        name: RepositoryName,
        branch: &str,
        patience: &Patience,
    ) -> Result<Self, PublishError> {
        let Settings { endpoint, token, cache } = settings;
        let setup = |error: &dyn std::error::Error| PublishError::Setup {
            endpoint: endpoint.clone(),
            cause: Cause::new(error, token),
        };
        let http = reqwest::Client::builder()
            .connect_timeout(patience.connect)
            .read_timeout(patience.read)
            .user_agent(USER_AGENT)
            .build()
            .map_err(|error| setup(&error))?;
        let client = HFClientBuilder::new()
            .client(http.clone())
            .user_agent(USER_AGENT)
            .endpoint(endpoint)
            .token(token.expose())
            .cache_dir(cache)
            .cache_enabled(false)
            // It would not wait as long as the Hub asks to, and send a commit again whose answer was lost.
            .retry_max_attempts(0)
            .build()
            .map_err(|error| setup(&error))?;
        let repository = client.model(&*name.owner, &*name.name);
        Ok(Self { client, http, repository, name, branch: branch.to_owned(), settings: settings.clone() })
    }

    pub(crate) fn name(&self) -> &RepositoryName {
        &self.name
    }

    /// The model's page.
    pub(crate) fn url(&self) -> String {
        format!("{}/{}", self.settings.endpoint, self.name)
    }

    /// The branch's newest commit. The repository is created when it is missing.
    ///
    /// It is looked for first: who may write to one repository alone may not create it, not even when it exists.
    pub(crate) async fn head_or_create(&self, private: bool) -> Result<String, PublishError> {
        let head = match self.repository.info().send().await {
            Err(HFError::RepoNotFound { .. }) => {
                self.create(private).await?;
                self.repository.info().send().await
            }
            found => found,
        };
        // A branch of a repository that is there: now a 404 means the branch.
        let head = match (head, &*self.branch) {
            (Ok(_), branch) if branch != MAIN => self.repository.info().revision(branch).send().await,
            (head, _) => head,
        };
        match head {
            Ok(info) => info.sha.ok_or_else(|| {
                self.failure(Doing::LookingFor, &HFError::malformed_response("the newest commit"))
            }),
            Err(HFError::RevisionNotFound { .. }) => {
                Err(PublishError::NoBranch { repo: self.name.to_string(), branch: self.branch.clone() })
            }
            Err(error) => Err(self.failure(Doing::LookingFor, &error)),
        }
    }

    /// The card at a commit; none when there is none.
    pub(crate) async fn card(&self, commit: &str) -> Result<Option<Vec<u8>>, PublishError> {
        match self.repository.download_file_to_bytes().filename(CARD).revision(commit).send().await {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(HFError::EntryNotFound { .. }) => Ok(None),
            Err(error) => Err(self.failure(Doing::Reading, &error)),
        }
    }

    /// Refuses a Hub that would take these files into git. Files that belong there are not asked about.
    pub(crate) async fn check_storage(&self, sent: &[&Sent]) -> Result<(), PublishError> {
        let large: Vec<&Sent> = sent.iter().copied().filter(|sent| sent.belongs_into_storage()).collect();
        if large.is_empty() {
            return Ok(());
        }
        let (endpoint, repo) = (self.settings.endpoint.clone(), self.name.to_string());
        match storage::ask(&self.http, &self.settings, &repo, &self.branch, &large).await {
            Ok(Answer::Offered) => Ok(()),
            Ok(Answer::NotOffered { path }) => Err(PublishError::NoStorage { endpoint, repo, path }),
            Err((failure, cause)) => Err(self.say(Doing::CommittingTo, failure, cause)),
        }
    }

    /// Uploads and commits on top of the parent, and returns the commit's id.
    pub(crate) async fn commit(
        &self,
        proposal: Proposal<'_>,
        listener: &Listener,
    ) -> Result<String, PublishError> {
        let Proposal { operations, title, description, parent, pull_request } = proposal;
        let commit = self.repository.create_commit().operations(operations).parent_commit(parent);
        let commit = commit.commit_message(title).commit_description(description).revision(&*self.branch);
        let made = commit.create_pr(pull_request).progress(Progress::new(listener.clone())).send().await;
        made.and_then(|made| made.commit_oid.ok_or_else(|| HFError::malformed_response("the commit's id")))
            .map_err(|error| self.failure(Doing::CommittingTo, &error))
    }

    /// The commit on the branch whose description has this mark.
    pub(crate) async fn find(&self, mark: &str) -> Result<Option<String>, PublishError> {
        self.find_at(&self.branch, mark, RECENT).await
    }

    /// The commit of a pull request whose description has this mark, among the newest pull requests.
    pub(crate) async fn find_pull_request(&self, mark: &str) -> Result<Option<String>, PublishError> {
        for pull_request in self.pull_requests().await?.into_iter().take(RECENT_PULL_REQUESTS) {
            // A pull request has few commits of its own, and ends in those of its branch.
            if let Some(commit) = self.find_at(&pull_request.reference, mark, 10).await? {
                return Ok(Some(commit));
            }
        }
        Ok(None)
    }

    /// hf-hub 1.0.0 does not say which pull request a commit opened: it reads another name than the Hub writes.
    pub(crate) async fn pull_request_of(&self, commit: &str) -> Result<Option<PullRequest>, PublishError> {
        let all = self.pull_requests().await?;
        Ok(all.into_iter().find(|found| found.commit == commit).map(|found| PullRequest {
            number: found.number,
            url: format!("{}/discussions/{}", self.url(), found.number),
        }))
    }

    /// What the Hub says of these files at a commit.
    pub(crate) async fn entries(
        &self,
        paths: Vec<String>,
        commit: &str,
    ) -> Result<Vec<RepoTreeEntry>, PublishError> {
        let entries = self.repository.get_paths_info().paths(paths).revision(commit).send().await;
        entries.map_err(|error| self.failure(Doing::Checking, &error))
    }

    pub(crate) fn not_stored(&self, commit: &str, sent: &Sent, problem: Discrepancy) -> PublishError {
        PublishError::NotStored {
            repo: self.name.to_string(),
            commit: commit.to_owned(),
            path: sent.path.clone(),
            problem,
        }
    }

    async fn find_at(&self, at: &str, mark: &str, limit: usize) -> Result<Option<String>, PublishError> {
        let listed = self.repository.list_commits().revision(at).limit(limit).send();
        let failed = |error: HFError| self.failure(Doing::LookingThrough, &error);
        let commits: Vec<GitCommitInfo> = listed.map_err(failed)?.try_collect().await.map_err(failed)?;
        let is_ours = |commit: &&GitCommitInfo| commit.message.contains(mark) || commit.title.contains(mark);
        Ok(commits.iter().find(is_ours).map(|commit| commit.id.clone()))
    }

    /// The pull requests, the newest first.
    async fn pull_requests(&self) -> Result<Vec<Opened>, PublishError> {
        let references = self.repository.list_refs().include_pull_requests(true).send().await;
        let references = references.map_err(|error| self.failure(Doing::LookingThrough, &error))?;
        let mut opened: Vec<Opened> = references
            .pull_requests
            .into_iter()
            .filter_map(|found| {
                let number = found.git_ref.strip_prefix("refs/pr/")?.parse().ok()?;
                Some(Opened { number, reference: found.git_ref, commit: found.target_commit })
            })
            .collect();
        opened.sort_by_key(|opened| std::cmp::Reverse(opened.number));
        Ok(opened)
    }

    async fn create(&self, private: bool) -> Result<(), PublishError> {
        let name = self.name.to_string();
        let create = self.client.create_repository().repo_id(&name).repo_type(RepoTypeModel);
        // Somebody may have been faster.
        let created = create.private(private).exist_ok(true).send().await;
        created.map(drop).map_err(|error| self.failure(Doing::Creating, &error))
    }

    fn failure(&self, doing: Doing, error: &HFError) -> PublishError {
        self.say(doing, Failure::of(error), Cause::new(error, &self.settings.token))
    }

    fn say(&self, doing: Doing, failure: Failure, cause: Cause) -> PublishError {
        let endpoint = self.settings.endpoint.clone();
        let repo = self.name.to_string();
        match failure {
            Failure::Unauthorized => PublishError::Unauthorized { endpoint, repo, doing, cause },
            Failure::Forbidden => PublishError::Forbidden { endpoint, repo, doing, cause },
            Failure::Conflict => PublishError::Conflict { repo, branch: self.branch.clone() },
            Failure::RateLimited(retry_after) => PublishError::RateLimited { retry_after, cause },
            Failure::Unreachable => PublishError::Unreachable { endpoint, repo, doing, cause },
            Failure::Unavailable => PublishError::Unavailable { endpoint, repo, doing, cause },
            Failure::Upload => PublishError::Upload { repo, cause },
            Failure::NoHub => PublishError::NoHub { endpoint, repo, doing, cause },
            Failure::Refused => PublishError::Refused { repo, doing, cause },
        }
    }
}

/// A pull request, as the Hub lists it.
struct Opened {
    number: u64,
    reference: String,
    commit: String,
}

#[cfg(test)]
mod tests;
