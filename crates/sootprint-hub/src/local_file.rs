//! A file of the folder that is selected for a push.

use std::path::PathBuf;

/// A file that is pushed unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalFile {
    /// Its path in the folder and in the repository, separated by `/`.
    pub(crate) name: String,
    /// Its path on disk, with links resolved.
    pub(crate) path: PathBuf,
    /// Whether it is a file of weights.
    pub(crate) is_weights: bool,
}
