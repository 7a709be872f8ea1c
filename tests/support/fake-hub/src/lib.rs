//! A stand-in for the Hugging Face Hub on this machine, for tests and examples.
//!
//! [`FakeHub`] answers the part of the Hub's API that a training program needs to publish a model: create a
//! repository, upload, commit, open a pull request, list, download. Small files are kept in git's manner. Large and
//! binary ones go to Hugging Face's own Xet storage server, which `xet-client` holds, on a second port: a client
//! uploads them exactly as it does to the Hub. Everything lies in memory and is gone
//! with the hub, unless [`FakeHub::start_on_disk`] is told a folder for the large ones.
//!
//! It is driven by Hugging Face's own clients, hf-hub 1.0.0 and Python's `huggingface_hub` 2.4.0:
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
//! # What it is strict about
//!
//! - A commit that names an LFS file is refused unless the file's bytes can be reassembled from the storage and have
//!   that SHA-256 and size.
//! - A commit that names a parent is refused (412) when the branch has moved since.
//! - The contents of LFS files are served under another host name, without the headers that only the redirect
//!   carries, as the Hub's content network does. hf-hub 1.0.0's `get_file_metadata` follows that redirect and fails
//!   for such files, there as here.
//! - Another token than [`FakeHub::token`] is refused (401) wherever a repository or the user is asked for, no token
//!   wherever something is written. Who comes without one sees no private repository.
//!
//! # What it does wrong
//!
//! Whatever a test asks for: [`FakeHub::add_fault`] scripts its answers, [`FakeHub::set_storage_link`] the way to
//! the storage.
//!
//! # Limits
//!
//! - Models only: no datasets, Spaces, buckets, collections, gated repositories, tags or deleted repositories.
//!   Anything else is answered with 501 and says so.
//! - One user who may write everywhere. The storage server does not check its token.
//! - `/api/validate-yaml` finds nothing wrong with any card, `cardData` is not reported, `.gitignore` and an edited
//!   `.gitattributes` are not obeyed: the rule for what goes to the storage is fixed.
//! - Regular files are answered at once (200); the Hub redirects those of public repositories to its cache first.
//! - Listings come in one page. No rate limits.
//! - A client that uploads leaves a small folder in `$HF_HOME/xet` for each hub; a test gives it an `HF_HOME` of its
//!   own.

#![forbid(unsafe_code)]

mod api;
mod error;
mod fault;
mod file_tree;
mod git;
mod inspect;
mod lfs;
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
pub use crate::proxy::LinkState;
pub use crate::repository::HubCommit;

/// A Hub that runs on this machine until it is dropped.
///
/// It has a thread and a runtime of its own, so it can be started and read from blocking and from async code alike.
/// Dropping it cuts off what is under way and takes two seconds at most.
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
    /// Starts a hub without repositories, on two ports of 127.0.0.1 that the system chooses.
    ///
    /// # Errors
    ///
    /// No port, no thread or no runtime could be had.
    pub fn start() -> Result<Self, HubStartError> {
        let (server, hub) = server::HubServer::start(None)?;
        Ok(Self { server, hub })
    }

    /// Starts a hub whose storage for large files lies in this folder. What is in git still lies in memory.
    ///
    /// # Errors
    ///
    /// As [`FakeHub::start`], and when the folder cannot be used.
    pub fn start_on_disk(storage: impl Into<PathBuf>) -> Result<Self, HubStartError> {
        let (server, hub) = server::HubServer::start(Some(storage.into()))?;
        Ok(Self { server, hub })
    }

    /// Adds a misbehaviour to the script. Those that were added before go first.
    pub fn add_fault(&self, fault: HubFault) {
        self.hub.faults.add(fault);
    }

    /// Ends all misbehaviour, that of the way to the storage included.
    pub fn clear_faults(&self) {
        self.hub.faults.clear();
        self.hub.storage.set_link(LinkState::Open);
    }

    /// Disturbs or mends the way to the storage.
    pub fn set_storage_link(&self, link: LinkState) {
        self.hub.storage.set_link(link);
    }

    /// The address to give to a client, `http://127.0.0.1:PORT`: `HF_ENDPOINT` for most of them.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.hub.endpoint
    }

    /// The token to give to a client: `HF_TOKEN` for most of them. It is no secret.
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
