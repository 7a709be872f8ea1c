//! The hub's contents without HTTP: what a test compares with, and the other person who edits meanwhile.

use std::sync::Arc;

use jiff::Timestamp;

use crate::error::RepositoryError;
use crate::file_tree::{FileChange, RepositoryFile};
use crate::repository::{HubCommit, ModelRepository, NewCommit};
use crate::{FakeHub, state};

/// Reading. A repository is named `owner/name`; a revision is a branch, `refs/pr/N` or the full id of a commit.
impl FakeHub {
    /// The id of the newest commit on `main`.
    ///
    /// # Errors
    ///
    /// There is no such repository.
    pub fn head_commit(&self, repository: &str) -> Result<String, FakeHubError> {
        self.with_repository(repository, |found| Ok(found.resolve("main")?.commit.id.clone()))
    }

    /// The commits on `main`, the newest first. The last one is the hub's own, with `.gitattributes`.
    ///
    /// # Errors
    ///
    /// There is no such repository.
    pub fn commits(&self, repository: &str) -> Result<Vec<HubCommit>, FakeHubError> {
        self.commits_at(repository, "main")
    }

    /// The commits up to a revision, the newest first: those of a pull request at `refs/pr/1`.
    ///
    /// # Errors
    ///
    /// There is no such repository or revision.
    pub fn commits_at(&self, repository: &str, revision: &str) -> Result<Vec<HubCommit>, FakeHubError> {
        self.with_repository(repository, |found| {
            Ok(found.history(revision)?.into_iter().map(|version| version.commit.clone()).collect())
        })
    }

    /// The paths of all files at a revision, in order.
    ///
    /// # Errors
    ///
    /// There is no such repository or revision.
    pub fn files(&self, repository: &str, revision: &str) -> Result<Vec<String>, FakeHubError> {
        self.with_repository(repository, |found| {
            Ok(found.resolve(revision)?.files.iter().map(|(path, _)| path.to_owned()).collect())
        })
    }

    /// The bytes of a file; those of an LFS file are put together from the storage.
    ///
    /// # Errors
    ///
    /// There is no such repository, revision or file, or the storage cannot give it back.
    pub fn read_file(&self, repository: &str, revision: &str, path: &str) -> Result<Vec<u8>, FakeHubError> {
        let file = self.find_file(repository, revision, path)?;
        let hub = Arc::clone(&self.hub);
        let content = self.server.run_blocking(async move { hub.read_content(&file).await });
        match content {
            Some(Ok(Some(content))) => Ok(content.into()),
            Some(Err(error)) => {
                Err(FakeHubError::Storage { path: path.to_owned(), source: Some(error.into()) })
            }
            Some(Ok(None)) | None => Err(FakeHubError::Storage { path: path.to_owned(), source: None }),
        }
    }

    /// Whether a file lies in the storage, with a pointer to it in git.
    ///
    /// # Errors
    ///
    /// There is no such repository, revision or file.
    pub fn is_lfs(&self, repository: &str, revision: &str, path: &str) -> Result<bool, FakeHubError> {
        Ok(matches!(self.find_file(repository, revision, path)?, RepositoryFile::Lfs(_)))
    }

    fn find_file(
        &self,
        repository: &str,
        revision: &str,
        path: &str,
    ) -> Result<RepositoryFile, FakeHubError> {
        self.with_repository(repository, |found| {
            found
                .resolve(revision)?
                .files
                .get(path)
                .cloned()
                .ok_or_else(|| RepositoryError::FileNotFound(path.to_owned()))
        })
    }
}

/// Writing, as somebody else who works on the same repository.
impl FakeHub {
    /// Creates a public repository.
    ///
    /// # Errors
    ///
    /// It exists already.
    pub fn create_repository(&self, repository: &str) -> Result<(), FakeHubError> {
        if self.hub.create_repository(repository, false) {
            Ok(())
        } else {
            Err(FakeHubError::RepositoryExists { repository: repository.to_owned() })
        }
    }

    /// Commits one file to `main`, kept in git whatever its size, and returns the commit's id.
    ///
    /// # Errors
    ///
    /// There is no such repository, or git takes no such path.
    pub fn commit_file(&self, repository: &str, path: &str, content: &[u8]) -> Result<String, FakeHubError> {
        let proposal = NewCommit {
            title: format!("Write {path}"),
            description: String::new(),
            parent: None,
            changes: vec![FileChange::Put { path: path.to_owned(), file: RepositoryFile::regular(content) }],
            date: Timestamp::now(),
        };
        self.with_repository(repository, |found| found.commit("main", proposal))
    }

    fn with_repository<T>(
        &self,
        repository: &str,
        operation: impl FnOnce(&mut ModelRepository) -> Result<T, RepositoryError>,
    ) -> Result<T, FakeHubError> {
        let hub: &state::HubState = &self.hub;
        let found = hub.with_repository(repository, operation);
        let not_found = || FakeHubError::RepositoryNotFound { repository: repository.to_owned() };
        found
            .ok_or_else(not_found)?
            .map_err(|reason| FakeHubError::Rejected { repository: repository.to_owned(), reason })
    }
}

/// Why the hub's contents could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FakeHubError {
    /// Nobody created this repository.
    #[error("the fake Hub has no repository {repository}; create it first")]
    RepositoryNotFound {
        /// Its name.
        repository: String,
    },
    /// The repository exists already.
    #[error("the fake Hub has {repository} already; choose another name or start another hub")]
    RepositoryExists {
        /// Its name.
        repository: String,
    },
    /// The repository has no such revision or file, or takes no such path.
    #[error("{repository} on the fake Hub: {reason}")]
    Rejected {
        /// The repository's name.
        repository: String,
        /// What it has not or takes not.
        #[source]
        reason: RepositoryError,
    },
    /// The storage cannot put the file together.
    #[error("the fake Hub's storage cannot put {path} together again")]
    Storage {
        /// The file's path.
        path: String,
        /// What the storage said, if it said anything.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}
