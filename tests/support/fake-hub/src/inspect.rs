//! Access to the hub's contents without HTTP: for assertions, and for simulating edits by another user.

use std::sync::Arc;

use jiff::Timestamp;

use crate::error::RepositoryError;
use crate::file_tree::{FileChange, RepositoryFile};
use crate::organization::OrganizationPolicy;
use crate::repository::{HubCommit, ModelRepository, NewCommit};
use crate::{FakeHub, state};

/// Reading. `repository` is `owner/name`; a revision is a branch, `refs/pr/N` or the full id of a commit.
impl FakeHub {
    /// The id of the latest commit on `main`.
    ///
    /// # Errors
    ///
    /// The repository does not exist.
    pub fn head_commit(&self, repository: &str) -> Result<String, FakeHubError> {
        self.with_repository(repository, |found| Ok(found.resolve("main")?.commit.id.clone()))
    }

    /// The commits on `main`, newest first. The last one is the hub's own, with `.gitattributes`.
    ///
    /// # Errors
    ///
    /// The repository does not exist.
    pub fn commits(&self, repository: &str) -> Result<Vec<HubCommit>, FakeHubError> {
        self.commits_at(repository, "main")
    }

    /// The commits up to a revision, newest first: those of a pull request at `refs/pr/1`.
    ///
    /// # Errors
    ///
    /// The repository or revision does not exist.
    pub fn commits_at(&self, repository: &str, revision: &str) -> Result<Vec<HubCommit>, FakeHubError> {
        self.with_repository(repository, |found| {
            Ok(found.history(revision)?.into_iter().map(|version| version.commit.clone()).collect())
        })
    }

    /// The paths of all files at a revision, in order.
    ///
    /// # Errors
    ///
    /// The repository or revision does not exist.
    pub fn files(&self, repository: &str, revision: &str) -> Result<Vec<String>, FakeHubError> {
        self.with_repository(repository, |found| {
            Ok(found.resolve(revision)?.files.iter().map(|(path, _)| path.to_owned()).collect())
        })
    }

    /// The bytes of a file; LFS files are reassembled from the storage.
    ///
    /// # Errors
    ///
    /// The repository, revision or file does not exist, or the storage cannot reassemble it.
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

    /// Whether a file is in the storage, with a pointer to it in git.
    ///
    /// # Errors
    ///
    /// The repository, revision or file does not exist.
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

/// Writing, as another user of the same repository.
impl FakeHub {
    /// Creates a public repository.
    ///
    /// # Errors
    ///
    /// The repository already exists.
    pub fn create_repository(&self, repository: &str) -> Result<(), FakeHubError> {
        if self.hub.create_repository(repository, false) {
            Ok(())
        } else {
            Err(FakeHubError::RepositoryExists { repository: repository.to_owned() })
        }
    }

    /// Renames a repository; requests for the old name are redirected.
    ///
    /// # Errors
    ///
    /// The repository does not exist, or the new name is taken.
    pub fn rename_repository(&self, repository: &str, new_name: &str) -> Result<(), FakeHubError> {
        let not_found = || FakeHubError::RepositoryNotFound { repository: repository.to_owned() };
        self.hub.rename_repository(repository, new_name).then_some(()).ok_or_else(not_found)
    }

    /// Sets the rules of an organisation.
    pub fn set_organization(&self, name: &str, policy: OrganizationPolicy) {
        self.hub.set_organization(name, policy);
    }

    /// Whether only the hub's user can see a repository.
    ///
    /// # Errors
    ///
    /// The repository does not exist.
    pub fn is_private(&self, repository: &str) -> Result<bool, FakeHubError> {
        self.with_repository(repository, |found| Ok(found.private))
    }

    /// Commits one file to `main`, kept in git regardless of its size, and returns the commit's id.
    ///
    /// # Errors
    ///
    /// The repository does not exist, or git does not allow the path.
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

/// Errors of reading or changing the hub's contents.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FakeHubError {
    /// The repository does not exist.
    #[error("the fake Hub has no repository {repository}; create it first")]
    RepositoryNotFound {
        /// The name of the repository.
        repository: String,
    },
    /// The repository already exists.
    #[error("the fake Hub has {repository} already; choose another name or start another hub")]
    RepositoryExists {
        /// The name of the repository.
        repository: String,
    },
    /// The revision or file does not exist, or the path is not allowed.
    #[error("{repository} on the fake Hub: {reason}")]
    Rejected {
        /// The name of the repository.
        repository: String,
        /// The missing or invalid revision, file or path.
        #[source]
        reason: RepositoryError,
    },
    /// The storage cannot reassemble the file.
    #[error("the fake Hub's storage cannot reassemble {path}")]
    Storage {
        /// The file's path.
        path: String,
        /// The storage's error, if it returned one.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}
