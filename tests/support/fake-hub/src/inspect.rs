//! The hub's contents without HTTP: what a test compares with, and the other person who edits meanwhile.

use std::sync::Arc;

use jiff::Timestamp;

use crate::repository::{Commit, Proposal, Refusal, Repository};
use crate::snapshot::{Change, File};
use crate::{FakeHub, hub};

/// Reading. A repository is named `owner/name`; a revision is a branch, `refs/pr/N` or the full id of a commit.
impl FakeHub {
    /// The id of the newest commit on `main`.
    ///
    /// # Errors
    ///
    /// There is no such repository.
    pub fn head(&self, repository: &str) -> Result<String, HubError> {
        self.look(repository, |found| Ok(found.at("main")?.commit.id.clone()))
    }

    /// The commits on `main`, the newest first. The last one is the hub's own, with `.gitattributes`.
    ///
    /// # Errors
    ///
    /// There is no such repository.
    pub fn commits(&self, repository: &str) -> Result<Vec<Commit>, HubError> {
        self.commits_at(repository, "main")
    }

    /// The commits up to a revision, the newest first: those of a pull request at `refs/pr/1`.
    ///
    /// # Errors
    ///
    /// There is no such repository or revision.
    pub fn commits_at(&self, repository: &str, revision: &str) -> Result<Vec<Commit>, HubError> {
        self.look(repository, |found| {
            Ok(found.history(revision)?.into_iter().map(|version| version.commit.clone()).collect())
        })
    }

    /// The paths of all files at a revision, in order.
    ///
    /// # Errors
    ///
    /// There is no such repository or revision.
    pub fn files(&self, repository: &str, revision: &str) -> Result<Vec<String>, HubError> {
        self.look(repository, |found| {
            Ok(found.at(revision)?.files.iter().map(|(path, _)| path.to_owned()).collect())
        })
    }

    /// The bytes of a file; those of an LFS file are put together from the storage.
    ///
    /// # Errors
    ///
    /// There is no such repository, revision or file, or the storage cannot give it back.
    pub fn read(&self, repository: &str, revision: &str, path: &str) -> Result<Vec<u8>, HubError> {
        let file = self.file(repository, revision, path)?;
        let hub = Arc::clone(&self.hub);
        let content = self.server.wait_for(async move { hub.content(&file).await });
        match content {
            Some(Ok(Some(content))) => Ok(content.into()),
            Some(Err(error)) => Err(HubError::Storage { path: path.to_owned(), source: Some(error.into()) }),
            Some(Ok(None)) | None => Err(HubError::Storage { path: path.to_owned(), source: None }),
        }
    }

    /// Whether a file lies in the storage, with a pointer to it in git.
    ///
    /// # Errors
    ///
    /// There is no such repository, revision or file.
    pub fn is_lfs(&self, repository: &str, revision: &str, path: &str) -> Result<bool, HubError> {
        Ok(matches!(self.file(repository, revision, path)?, File::Lfs(_)))
    }

    fn file(&self, repository: &str, revision: &str, path: &str) -> Result<File, HubError> {
        self.look(repository, |found| {
            found.at(revision)?.files.get(path).cloned().ok_or_else(|| Refusal::NoFile(path.to_owned()))
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
    pub fn create_repository(&self, repository: &str) -> Result<(), HubError> {
        if self.hub.create(repository, false) {
            Ok(())
        } else {
            Err(HubError::Exists { repository: repository.to_owned() })
        }
    }

    /// Commits one file to `main`, kept in git whatever its size, and returns the commit's id.
    ///
    /// # Errors
    ///
    /// There is no such repository, or git takes no such path.
    pub fn write(&self, repository: &str, path: &str, content: &[u8]) -> Result<String, HubError> {
        let proposal = Proposal {
            title: format!("Write {path}"),
            description: String::new(),
            parent: None,
            changes: vec![Change::Put { path: path.to_owned(), file: File::regular(content) }],
            date: Timestamp::now(),
        };
        self.look(repository, |found| found.commit("main", proposal))
    }

    fn look<T>(
        &self,
        repository: &str,
        look: impl FnOnce(&mut Repository) -> Result<T, Refusal>,
    ) -> Result<T, HubError> {
        let hub: &hub::Hub = &self.hub;
        let found = hub.with(repository, look);
        let named = || HubError::NoRepository { repository: repository.to_owned() };
        found
            .ok_or_else(named)?
            .map_err(|reason| HubError::Refused { repository: repository.to_owned(), reason })
    }
}

/// Why the hub's contents could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// Nobody created this repository.
    #[error("the loopback hub has no repository {repository}; create it first")]
    NoRepository {
        /// Its name.
        repository: String,
    },
    /// The repository exists already.
    #[error("the loopback hub has {repository} already; choose another name or start another hub")]
    Exists {
        /// Its name.
        repository: String,
    },
    /// The repository has no such revision or file, or takes no such path.
    #[error("{repository} on the loopback hub: {reason}")]
    Refused {
        /// The repository's name.
        repository: String,
        /// What it has not or takes not.
        #[source]
        reason: Refusal,
    },
    /// The storage cannot put the file together.
    #[error("the loopback hub's storage cannot put {path} together again")]
    Storage {
        /// The file's path.
        path: String,
        /// What the storage said, if it said anything.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}
