//! Results of a push and of its dry run.

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
    /// The page of the model.
    pub url: String,
    /// The files of the folder that the commit contains, whether this push sent them or an earlier one.
    pub files: Vec<UploadedFile>,
    /// Sorted names of the files in the folder that were not selected.
    pub skipped_files: Vec<String>,
    /// Whether a minimal card was created because neither the folder nor the Hub had one.
    pub card_created: bool,
}

/// A pull request on the Hub.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PullRequest {
    /// Its number.
    pub number: u64,
    /// Its page.
    pub url: String,
}

/// A file that the Hub was verified to have.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UploadedFile {
    /// Its path in the repository.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// The SHA-256 of its content, in hexadecimal.
    pub sha256: String,
    /// Whether it is in the Hub's storage for large files rather than in git.
    pub is_lfs: bool,
}

/// What a push would send; see [`ModelUpload::plan`](crate::ModelUpload::plan).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PushPlan {
    /// The repository, `owner/name`.
    pub repo: String,
    /// The branch.
    pub branch: String,
    /// The title of the commit.
    pub title: String,
    /// Sorted paths in the repository. Files that the Hub already has are listed too, although they would not be sent.
    pub files: Vec<String>,
    /// Sorted names of the files in the folder that would not be pushed.
    pub skipped_files: Vec<String>,
}
