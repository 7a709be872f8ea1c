//! Results of a push and of its dry run.

use crate::exclusions::ExcludedPath;

/// The result of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PushReport {
    /// The repository, `owner/name`.
    pub repo: String,
    /// The id of the commit.
    pub commit: String,
    /// Whether this push made the commit; `false` if the Hub already had all files.
    pub created_commit: bool,
    /// The pull request, if one was opened.
    pub pull_request: Option<PullRequest>,
    /// The address of the model's page.
    pub url: String,
    /// The files of the folder that the commit contains, whether they were sent by this push or by an earlier one.
    pub files: Vec<UploadedFile>,
    /// The files and folders that were not pushed, sorted, each with the reason.
    pub excluded: Vec<ExcludedPath>,
    /// Files that a pushed file refers to and that were not pushed, one sentence each.
    pub warnings: Vec<String>,
    /// Files of earlier pushes of this folder that are still on the branch and were not pushed now, sorted.
    pub old_files: Vec<String>,
    /// Files of earlier pushes that this push has removed, sorted.
    pub removed_files: Vec<String>,
    /// Whether a minimal card was created because neither the folder nor the Hub had one.
    pub card_created: bool,
}

/// A pull request on the Hub.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PullRequest {
    /// The number of the pull request.
    pub number: u64,
    /// The address of the pull request's page.
    pub url: String,
}

/// A file that was verified to be on the Hub.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UploadedFile {
    /// The path of the file in the repository.
    pub path: String,
    /// The length of the file in bytes.
    pub size: u64,
    /// The SHA-256 of the file's content, in hexadecimal.
    pub sha256: String,
    /// Whether the file is in the Hub's storage for large files rather than in git.
    pub is_lfs: bool,
}

/// What a push would send; see [`ModelUpload::plan`](crate::ModelUpload::plan).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PushPlan {
    /// The repository, `owner/name`.
    pub repo: String,
    /// The branch that the commit would go to.
    pub branch: String,
    /// The title of the commit.
    pub title: String,
    /// The paths in the repository of the files of the commit, sorted. Files that the Hub already has are listed too,
    /// although they would not be sent.
    pub files: Vec<String>,
    /// The files and folders that would not be pushed, sorted, each with the reason.
    pub excluded: Vec<ExcludedPath>,
    /// Files that a pushed file refers to and that would not be pushed, one sentence each.
    pub warnings: Vec<String>,
}
