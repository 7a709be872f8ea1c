//! Differences between a commit and the files that were sent.

/// How a file in a commit differs from the file that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerificationError {
    /// The commit does not contain the file.
    #[error("the file is missing; push again")]
    Missing,
    /// Weights are stored in git, where they stay in the history of the repository forever.
    #[error(
        "the file is stored in git instead of the large-file storage; delete it from the repository and push again"
    )]
    StoredInGit,
    /// The content differs from the file in the folder.
    #[error("the content differs from the local file, which may have changed during the upload; push again")]
    ContentMismatch,
}
