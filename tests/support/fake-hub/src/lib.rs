//! A fake Hugging Face Hub on the local machine, for tests and examples.
//!
//! [`FakeHub`] implements the part of the Hub's API that a training program needs to publish a model: create
//! a repository, upload, commit, open a pull request, list, download. Small files are kept as git objects.
//! Large and binary files go to Hugging Face's own Xet storage server, part of `xet-client`, on a second
//! port, so clients upload them exactly as to the Hub. Everything is kept in memory and lost with the hub,
//! unless [`FakeHub::start_on_disk`] is given a folder for the large files.
//!
//! It works with Hugging Face's own clients, hf-hub 1.0.0 and Python's `huggingface_hub` 2.4.0:
//!
//! ```
//! use hf_hub::{HFClientBuilder, RepoTypeModel};
//! use fake_hub::FakeHub;
//!
//! let hub = FakeHub::start()?;
//! let client = HFClientBuilder::new().endpoint(hub.endpoint()).token(hub.token()).build_sync()?;
//! client.create_repository().repo_id("me/digits").repo_type(RepoTypeModel).send()?;
//! client
//!     .model("me", "digits")
//!     .upload_file()
//!     .source(hf_hub::repository::AddSource::bytes(&b"# Digits\n"[..]))
//!     .path_in_repo("README.md")
//!     .commit_message("Add the card")
//!     .send()?;
//!
//! assert_eq!(hub.read_file("me/digits", "main", "README.md")?, b"# Digits\n");
//! assert_eq!(hub.commits("me/digits")?[0].title, "Add the card");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it checks
//!
//! - A commit with an LFS file is refused unless the file can be reassembled from the storage with that
//!   SHA-256 and size.
//! - A commit with a parent is refused (412) if the branch has moved since.
//! - The contents of LFS files are served under another host name, without the headers of the redirect, as by
//!   the Hub's CDN. hf-hub 1.0.0's `get_file_metadata` follows that redirect and fails for such files, on the
//!   Hub as well as here.
//! - An LFS file is found by the SHA-256 that the client wrote into the storage's shard, which must be that of its bytes.
//! - A card with invalid metadata is refused by `/api/validate-yaml` and at the commit.
//! - A request about more than 256 files before an upload is refused (413).
//! - A token other than [`FakeHub::token`] is refused (401) on all repository and user requests; a missing
//!   token is refused on writes. Requests without a token see no private repositories.
//!
//! # Faults
//!
//! [`FakeHub::add_fault`] scripts responses; [`FakeHub::set_storage_link`] disturbs the connection to the
//! storage.
//!
//! # Limits
//!
//! - Models only: no datasets, Spaces, buckets, collections, gated repositories or tags. All other requests return 501
//!   with an explanation.
//! - One user with write access to everything. The storage server does not check its token.
//! - `.gitignore` and changes to `.gitattributes` have no effect: the rule for what goes to the storage is fixed.
//! - The list of licences is short, and lists of models are filtered by the client only.
//! - Regular files are served directly (200); the Hub first redirects those of public repositories to its
//!   cache.
//! - Listings have one page. Rate limits are scripted: see [`HubFaultKind::Refusal`].
//! - An uploading client leaves a small folder in `$HF_HOME/xet` for each hub; tests set their own `HF_HOME`.

#![forbid(unsafe_code)]

mod api;
mod card_metadata;
mod error;
mod fault;
mod file_tree;
mod git;
mod inspect;
mod lfs;
mod organization;
mod proxy;
mod repository;
mod server;
mod state;
mod storage;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

pub use crate::error::{HubStartError, RepositoryError};
pub use crate::fault::{HubFault, HubFaultKind};
pub use crate::inspect::FakeHubError;
pub use crate::organization::OrganizationPolicy;
pub use crate::proxy::LinkState;
pub use crate::repository::HubCommit;

/// A local Hub that runs until it is dropped.
///
/// It has its own thread and runtime, so it can be started and read from blocking and async code. Dropping it
/// aborts open requests and takes two seconds at most.
///
/// ```
/// let hub = fake_hub::FakeHub::start()?;
/// assert!(hub.endpoint().starts_with("http://127.0.0.1:"));
/// # Ok::<(), fake_hub::HubStartError>(())
/// ```
#[must_use = "the hub stops when it is dropped"]
pub struct FakeHub {
    server: server::HubServer,
    hub: Arc<state::HubState>,
}

impl FakeHub {
    /// Starts a hub without repositories, on two free ports of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// A port, a thread or a runtime is not available.
    pub fn start() -> Result<Self, HubStartError> {
        let (server, hub) = server::HubServer::start(None)?;
        Ok(Self { server, hub })
    }

    /// Starts a hub that stores large files in this folder. Git objects are still kept in memory.
    ///
    /// # Errors
    ///
    /// As for [`FakeHub::start`], or if the folder cannot be used.
    pub fn start_on_disk(storage: impl Into<PathBuf>) -> Result<Self, HubStartError> {
        let (server, hub) = server::HubServer::start(Some(storage.into()))?;
        Ok(Self { server, hub })
    }

    /// Adds a fault. Faults apply in the order in which they were added.
    pub fn add_fault(&self, fault: HubFault) {
        self.hub.faults.add(fault);
    }

    /// Removes all faults and restores the connection to the storage.
    pub fn clear_faults(&self) {
        self.hub.faults.clear();
        self.hub.storage.set_link(LinkState::Open);
    }

    /// Disturbs or restores the connection to the storage.
    pub fn set_storage_link(&self, link: LinkState) {
        self.hub.storage.set_link(link);
    }

    /// The URL for clients, `http://127.0.0.1:PORT`; most read it from `HF_ENDPOINT`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.hub.endpoint
    }

    /// The token for clients; most read it from `HF_TOKEN`. It is not a secret.
    #[must_use]
    pub fn token(&self) -> &str {
        state::TOKEN
    }
}

impl fmt::Debug for FakeHub {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FakeHub").field("endpoint", &self.endpoint()).finish_non_exhaustive()
    }
}
