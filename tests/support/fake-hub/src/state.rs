//! What all requests share: the repositories, the storage, and the hub's own address.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;
use jiff::Timestamp;

use crate::fault::FaultScript;
use crate::file_tree::RepositoryFile;
use crate::repository::ModelRepository;
use crate::storage::XetStorage;

/// The one token that the hub accepts.
pub(crate) const TOKEN: &str = "hf_loopback";

/// The user whom the token belongs to, and so the owner of repositories that are created without one.
pub(crate) const USER: &str = "loopback";

/// The hub behind its API.
pub(crate) struct HubState {
    /// Where the API is served, without a slash at the end.
    pub(crate) endpoint: String,
    /// Where the contents of LFS files are served: the same port under another name.
    ///
    /// Clients read the headers of a file off the redirect that leads away from the Hub. Python follows a redirect
    /// that stays on the same origin (version 1 compares the host alone) and then misses those headers.
    pub(crate) content_origin: String,
    pub(crate) storage: XetStorage,
    pub(crate) faults: FaultScript,
    repositories: Mutex<BTreeMap<String, ModelRepository>>,
}

impl HubState {
    pub(crate) fn new(port: u16, storage: XetStorage) -> Self {
        Self {
            endpoint: format!("http://{}:{port}", Ipv4Addr::LOCALHOST),
            content_origin: format!("http://localhost:{port}"),
            storage,
            faults: FaultScript::default(),
            repositories: Mutex::default(),
        }
    }

    /// Creates a repository; false when it exists already.
    pub(crate) fn create_repository(&self, id: &str, private: bool) -> bool {
        let mut repositories = self.repositories();
        if repositories.contains_key(id) {
            return false;
        }
        repositories.insert(id.to_owned(), ModelRepository::new(private, Timestamp::now()));
        true
    }

    /// Reads or changes one repository while no other request can; nothing when there is no such repository.
    pub(crate) fn with_repository<T>(
        &self,
        id: &str,
        body: impl FnOnce(&mut ModelRepository) -> T,
    ) -> Option<T> {
        self.repositories().get_mut(id).map(body)
    }

    /// The content of a file, from git or from the storage; nothing when the storage has lost it.
    pub(crate) async fn read_content(
        &self,
        file: &RepositoryFile,
    ) -> Result<Option<Bytes>, xet_client::ClientError> {
        match file {
            RepositoryFile::Regular(content) => Ok(Some(Bytes::copy_from_slice(content))),
            RepositoryFile::Lfs(file) => self.storage.read_file(&file.sha256).await,
        }
    }

    fn repositories(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, ModelRepository>> {
        // A repository changes by whole commits, so what a panicking thread left behind is still true.
        self.repositories.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
