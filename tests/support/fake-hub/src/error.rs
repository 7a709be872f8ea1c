//! Errors of starting a hub and of its repositories.

/// The hub could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubStartError {
    /// No port is available.
    #[error("cannot bind a port on 127.0.0.1; check the loopback interface")]
    Bind(#[source] std::io::Error),
    /// The thread could not be started.
    #[error("cannot start the hub's thread; check the process limit")]
    Thread(#[source] std::io::Error),
    /// The runtime could not be created.
    #[error("cannot start the hub's runtime; check the limits on open files and processes")]
    Runtime(#[source] std::io::Error),
    /// The storage folder cannot be used.
    #[error("cannot use the storage folder; check its permissions")]
    Storage(#[source] xet_client::ClientError),
    /// The hub's thread ended before it reported its state: a bug in the hub.
    #[error("the hub's thread ended during its start; set RUST_BACKTRACE=1")]
    Died,
}

/// A repository rejected a request. The messages are the Hub's where they are known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RepositoryError {
    /// No branch, pull request or commit has this name.
    #[error("Invalid rev id: {0}")]
    RevisionNotFound(String),
    /// No file or folder has this path.
    #[error("Entry not found: {0}")]
    FileNotFound(String),
    /// The parent of the commit is no longer the head.
    #[error("A commit has happened since. Please refresh and try again.")]
    StaleParent,
    /// A branch with this name already exists.
    #[error("Reference already exists: {0}")]
    BranchExists(String),
    /// Git does not allow this path.
    #[error("Invalid path in repository: {0}")]
    InvalidPath(String),
}
