//! What a publication gives, or would give.

use crate::verify::UploadFile;

/// What the Hub has now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PushReport {
    /// The repository, `owner/name`.
    pub repo: String,
    /// The id of the commit.
    pub commit: String,
    /// Whether this publication made the commit; not when the Hub had everything already.
    pub created_commit: bool,
    /// The pull request, when one was opened.
    pub pull_request: Option<PullRequest>,
    /// The model's page.
    pub url: String,
    /// What the commit has of the folder, whether it was sent now or had been there.
    pub files: Vec<UploadedFile>,
    /// Names of files in the folder that are not on the list of what is published, in order.
    pub skipped_files: Vec<String>,
    /// Whether there was no card, neither in the folder nor on the Hub, so that a small one was made.
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

/// A file that the Hub was seen to have.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UploadedFile {
    /// Its path in the repository.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// The SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// Whether it lies in the Hub's storage for large files; else it lies in git itself.
    pub is_lfs: bool,
}

impl UploadedFile {
    pub(crate) fn new(file: &UploadFile, is_lfs: bool) -> Self {
        Self { path: file.path.clone(), size: file.digest.size, sha256: file.digest.sha256.clone(), is_lfs }
    }
}

/// What a publication would send.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PushPlan {
    /// The repository, `owner/name`.
    pub repo: String,
    /// The branch.
    pub branch: String,
    /// The commit's first line.
    pub title: String,
    /// The paths in the repository, in order. Those that the Hub has already would not be sent.
    pub files: Vec<String>,
    /// Names of files in the folder that would not be published, in order.
    pub skipped_files: Vec<String>,
}
