//! How long a run waits for anything outside its own thread.

use std::time::Duration;

/// Limit for the final reading of the hardware, so that a hanging driver cannot keep a training from ending.
pub(crate) const FINISH_TIMEOUT: Duration = Duration::from_secs(10);

/// Limit for the last answer of the live intensity provider, in addition to the provider's own.
pub(crate) const PROVIDER_TIMEOUT: Duration = Duration::from_secs(60);

/// Limit for the ledger's last line when a run is dropped without `finish`.
pub(crate) const DROP_TIMEOUT: Duration = Duration::from_secs(1);

/// How long rank 0 waits for the other ranks to end.
pub(crate) const RANK_TIMEOUT: Duration = Duration::from_secs(60);

/// A rank whose ledger has no lock is considered gone when its heartbeat has not changed for this long. Heartbeats are
/// written every second, but may become visible late on a shared file system.
pub(crate) const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(10);

/// Limit for the cloud metadata query, counted from the start of the run: only a run shorter than this waits for it.
pub(crate) const METADATA_TIMEOUT: Duration = Duration::from_secs(1);

/// Limit for the handshake with an enclosing `sootprint run`, which reads the hardware before it answers. A suspended
/// process does not answer at all.
#[cfg(unix)]
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
