//! State shared by all requests: the repositories, the storage, and the hub's own URL.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;
use jiff::Timestamp;

use crate::fault::FaultScript;
use crate::file_tree::RepositoryFile;
use crate::organization::OrganizationPolicy;
use crate::repository::ModelRepository;
use crate::storage::XetStorage;

/// The only token that the hub accepts.
pub(crate) const TOKEN: &str = "hf_loopback";

/// The user of the token, and the owner of repositories that are created without an owner.
pub(crate) const USER: &str = "loopback";

/// The hub behind the API.
pub(crate) struct HubState {
    /// The URL of the API, without a trailing slash.
    pub(crate) endpoint: String,
    /// The URL of the contents of LFS files: the same port under another host name.
    ///
    /// Clients read a file's headers from the redirect that leaves the Hub. Python follows a redirect that
    /// stays on the same origin (version 1 only compares the host) and then misses those headers.
    pub(crate) content_origin: String,
    pub(crate) storage: XetStorage,
    pub(crate) faults: FaultScript,
    repositories: Mutex<BTreeMap<String, ModelRepository>>,
    /// The new name of each renamed repository, by its old name.
    renamed: Mutex<BTreeMap<String, String>>,
    organizations: Mutex<BTreeMap<String, OrganizationPolicy>>,
}

impl HubState {
    pub(crate) fn new(port: u16, storage: XetStorage) -> Self {
        Self {
            endpoint: format!("http://{}:{port}", Ipv4Addr::LOCALHOST),
            content_origin: format!("http://localhost:{port}"),
            storage,
            faults: FaultScript::default(),
            repositories: Mutex::default(),
            renamed: Mutex::default(),
            organizations: Mutex::default(),
        }
    }

    /// Creates a repository; returns false if it already exists.
    pub(crate) fn create_repository(&self, id: &str, private: bool) -> bool {
        let mut repositories = self.repositories();
        if repositories.contains_key(id) {
            return false;
        }
        repositories.insert(id.to_owned(), ModelRepository::new(private, Timestamp::now()));
        true
    }

    /// Deletes a repository; returns false if it does not exist.
    pub(crate) fn delete_repository(&self, id: &str) -> bool {
        self.repositories().remove(id).is_some()
    }

    /// Renames a repository; returns false if it does not exist or the name is taken.
    pub(crate) fn rename_repository(&self, id: &str, new_id: &str) -> bool {
        let mut repositories = self.repositories();
        if repositories.contains_key(new_id) {
            return false;
        }
        let Some(repository) = repositories.remove(id) else { return false };
        repositories.insert(new_id.to_owned(), repository);
        lock(&self.renamed).insert(id.to_owned(), new_id.to_owned());
        true
    }

    /// The new name of a repository that was renamed.
    pub(crate) fn new_name(&self, id: &str) -> Option<String> {
        let is_taken = self.repositories().contains_key(id);
        lock(&self.renamed).get(id).filter(|_| !is_taken).cloned()
    }

    /// The names of all repositories.
    pub(crate) fn repository_ids(&self) -> Vec<String> {
        self.repositories().keys().cloned().collect()
    }

    pub(crate) fn set_organization(&self, name: &str, policy: OrganizationPolicy) {
        lock(&self.organizations).insert(name.to_owned(), policy);
    }

    pub(crate) fn organization(&self, name: &str) -> OrganizationPolicy {
        lock(&self.organizations).get(name).copied().unwrap_or_default()
    }

    /// Reads or changes a repository with exclusive access; `None` if it does not exist.
    pub(crate) fn with_repository<T>(
        &self,
        id: &str,
        body: impl FnOnce(&mut ModelRepository) -> T,
    ) -> Option<T> {
        self.repositories().get_mut(id).map(body)
    }

    /// The content of a file, from git or from the storage; `None` if the storage does not have it.
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
        lock(&self.repositories)
    }
}

/// Each change of the state is one call, so what a panicking thread left is still consistent.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
