//! Hugging Face's own Xet storage, in memory or on disk, on its own port.
//!
//! Clients upload to it and download from it directly, as with the Hub: the hub only returns its URL. This
//! module reads the storage in process, to find out which files have arrived completely.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use xet_client::ClientError;
use xet_client::cas_client::{
    DeletionControlableClient, DirectAccessClient, LocalClient, LocalServer, MemoryClient,
};
use xet_client::cas_types::HexMerkleHash;
use xet_runtime::config::XetConfig;
use xet_runtime::core::XetContext;

use crate::error::HubStartError;
use crate::git::hex_encode;
use crate::lfs::LfsFile;
use crate::proxy::{LinkState, StorageProxy};

/// The storage and an index of its contents.
pub(crate) struct XetStorage {
    files: Arc<dyn DirectAccessClient>,
    entries: Arc<dyn DeletionControlableClient>,
    url: String,
    proxy: StorageProxy,
    verified_files: Mutex<VerifiedFiles>,
}

/// The files that were reassembled and hashed. The storage identifies a file by its Xet hash, a commit by its
/// SHA-256; this map joins the two.
#[derive(Default)]
struct VerifiedFiles {
    by_sha256: HashMap<String, (HexMerkleHash, u64)>,
    known_hashes: HashSet<HexMerkleHash>,
}

impl XetStorage {
    /// Starts the storage server on a free port, in memory or in a folder. It ends with the current runtime.
    ///
    /// Clients connect through a proxy on another port, which can be disturbed.
    pub(crate) async fn start(folder: Option<&Path>) -> Result<Self, HubStartError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(HubStartError::Bind)?;
        let upstream = listener.local_addr().map_err(HubStartError::Bind)?;
        let links = StorageProxy::start(upstream).await.map_err(HubStartError::Bind)?;
        // Uses the defaults and ignores the environment: HF_XET_* configure the client under test.
        let context = XetContext::from_external(tokio::runtime::Handle::current(), XetConfig::default());
        let host = Ipv4Addr::LOCALHOST.to_string();
        let (files, entries): (Arc<dyn DirectAccessClient>, Arc<dyn DeletionControlableClient>) = match folder
        {
            None => {
                let client = MemoryClient::new(context);
                (client.clone(), client)
            }
            Some(folder) => {
                let client = LocalClient::new(context, folder).await.map_err(HubStartError::Storage)?;
                (client.clone(), client)
            }
        };
        // URLs in the storage's responses also point to the proxy.
        let server = LocalServer::from_client(files.clone(), Some(entries.clone()), host, links.port());
        tokio::spawn(async move {
            // The server stops when the other half of this channel is dropped, so it is kept here.
            let (_never, stop) = oneshot::channel();
            // An error means that the listener broke; clients then get a refused connection.
            let _ = server.serve_until_stopped(listener, stop).await;
        });
        Ok(Self {
            files,
            entries,
            url: unique_url(links.port()),
            proxy: links,
            verified_files: Mutex::default(),
        })
    }

    /// Sets the link of the proxy, for new and open connections.
    pub(crate) fn set_link(&self, link: LinkState) {
        self.proxy.set_state(link);
    }

    /// The storage's URL for clients.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The file with this SHA-256, if the storage has all of its bytes.
    pub(crate) async fn find_file(&self, sha256: &str) -> Result<Option<LfsFile>, ClientError> {
        if let Some(file) = self.verified_file(sha256) {
            return Ok(Some(file));
        }
        for (hash, _shard) in self.entries.list_file_shard_entries().await? {
            let name = HexMerkleHash(hash);
            if self.lock_verified_files().known_hashes.contains(&name) {
                continue;
            }
            // A file with missing bytes cannot be reassembled: it has not arrived yet.
            let Ok(content) = self.files.get_file_data(&hash, None).await else { continue };
            let sha256 = hex_encode(&Sha256::digest(&content));
            // The Hub finds a file by the SHA-256 in its shard, which it does not check; a wrong one is never found here.
            let shard_entry = self.files.get_file_reconstruction_info(&hash).await?;
            let shard_sha256 = shard_entry.and_then(|(file, _)| Some(file.metadata_ext?.sha256.hex()));
            if shard_sha256.as_deref() != Some(sha256.as_str()) {
                continue;
            }
            let mut arrived = self.lock_verified_files();
            arrived.by_sha256.insert(sha256, (name, content.len() as u64));
            arrived.known_hashes.insert(name);
        }
        Ok(self.verified_file(sha256))
    }

    /// The bytes of a complete file, reassembled from its chunks.
    pub(crate) async fn read_file(&self, sha256: &str) -> Result<Option<Bytes>, ClientError> {
        let hash = self.lock_verified_files().by_sha256.get(sha256).map(|(hash, _)| hash.0);
        match hash {
            Some(hash) => self.files.get_file_data(&hash, None).await.map(Some),
            None => Ok(None),
        }
    }

    fn verified_file(&self, sha256: &str) -> Option<LfsFile> {
        let (hash, size) = *self.lock_verified_files().by_sha256.get(sha256)?;
        Some(LfsFile { sha256: sha256.to_owned(), size, xet_hash: hash.to_string() })
    }

    fn lock_verified_files(&self) -> std::sync::MutexGuard<'_, VerifiedFiles> {
        // Each insertion is atomic, so the state left by a panicking thread is still consistent.
        self.verified_files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The storage's URL, different from that of any earlier storage.
///
/// A Xet client remembers its uploads in `$HF_HOME/xet`, keyed by the text of the URL, and does not repeat
/// them. A later hub on the same port would get a commit whose bytes never arrive. So the URL enters a unique
/// folder and leaves it again: a URL parser ignores that, but the cache key differs.
fn unique_url(port: u16) -> String {
    let now = Timestamp::now().as_nanosecond();
    format!("http://{}:{port}/{}-{now}/..", Ipv4Addr::LOCALHOST, std::process::id())
}
