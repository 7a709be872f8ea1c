//! Scripted faults: what the hub does wrong, on which request, and how many times.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A scripted fault.
///
/// ```
/// use fake_hub::{HubFault, FakeHub, HubFaultKind};
///
/// let hub = FakeHub::start()?;
/// // The second commit is created, but its response is lost.
/// hub.add_fault(HubFault::on_path("/commit/", HubFaultKind::DroppedConnection { applied: true }).after_requests(1));
/// # Ok::<(), fake_hub::HubStartError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a fault does nothing before a hub gets it"]
pub struct HubFault {
    path_part: String,
    skip_count: u32,
    repeat_count: u32,
    kind: HubFaultKind,
}

/// What the hub does instead of responding correctly.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HubFaultKind {
    /// It responds with an error.
    Status {
        /// The HTTP status.
        status: u16,
        /// The header `Retry-After`, in seconds.
        retry_after: Option<u32>,
        /// Whether the request is carried out anyway.
        applied: bool,
    },
    /// It responds with an error, a message and headers, and does not carry out the request: a quota, a rate limit.
    Refusal {
        /// The HTTP status.
        status: u16,
        /// The message of the Hub.
        message: String,
        /// Names and values of headers.
        headers: Vec<(&'static str, String)>,
    },
    /// It sends half of the body and closes the connection.
    TruncatedBody {
        /// Whether the request is carried out.
        applied: bool,
    },
    /// It closes the connection without a response.
    DroppedConnection {
        /// Whether the request is carried out.
        applied: bool,
    },
    /// It responds correctly after a delay.
    Delay {
        /// The length of the delay.
        time: Duration,
        /// Whether the request is carried out before the delay; otherwise after it, if the client is still
        /// connected.
        applied: bool,
    },
    /// Another client commits this file to `main` of the repository just before the request is carried out.
    ConcurrentCommit {
        /// The repository, `owner/name`.
        repository: String,
        /// The file's path.
        path: String,
        /// The file's content.
        content: Vec<u8>,
    },
    /// It responds 200 with a body that never ends.
    EndlessBody,
    /// The LFS batch response offers a transfer other than Xet.
    NoXet,
}

impl HubFault {
    /// A fault on the next request whose path contains this text, such as `/commit/`.
    pub fn on_path(path_part: impl Into<String>, kind: HubFaultKind) -> Self {
        Self { path_part: path_part.into(), skip_count: 0, repeat_count: 1, kind }
    }

    /// Lets this many matching requests pass first.
    pub fn after_requests(mut self, requests: u32) -> Self {
        self.skip_count = requests;
        self
    }

    /// Applies this many times instead of once.
    pub fn repeat(mut self, times: u32) -> Self {
        self.repeat_count = times;
        self
    }
}

impl HubFaultKind {
    /// A response with this error status; the request is not carried out.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Status { status, retry_after: None, applied: false }
    }

    /// A response with this error status and message; the request is not carried out.
    #[must_use]
    pub fn refusal(status: u16, message: &str) -> Self {
        Self::Refusal { status, message: message.to_owned(), headers: Vec::new() }
    }
}

/// The faults that are still pending.
#[derive(Default)]
pub(crate) struct FaultScript(Mutex<Vec<HubFault>>);

impl FaultScript {
    pub(crate) fn add(&self, fault: HubFault) {
        self.lock_faults().push(fault);
    }

    pub(crate) fn clear(&self) {
        self.lock_faults().clear();
    }

    /// The fault for this request. Uses up one repetition of the first fault that matches and is due.
    pub(crate) fn next_fault(&self, path: &str) -> Option<HubFaultKind> {
        let mut faults = self.lock_faults();
        let mut found = None;
        for fault in faults.iter_mut().filter(|fault| path.contains(&fault.path_part)) {
            if fault.skip_count > 0 {
                fault.skip_count -= 1;
            } else if fault.repeat_count > 0 && found.is_none() {
                fault.repeat_count -= 1;
                found = Some(fault.kind.clone());
            }
        }
        faults.retain(|fault| fault.repeat_count > 0);
        found
    }

    fn lock_faults(&self) -> std::sync::MutexGuard<'_, Vec<HubFault>> {
        // Each change is atomic, so the state left by a panicking thread is still consistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_skips_then_repeats_as_scripted() {
        let script = FaultScript::default();
        script.add(HubFault::on_path("/commit/", HubFaultKind::status(503)).after_requests(1).repeat(2));
        script.add(HubFault::on_path("/commit/", HubFaultKind::NoXet).after_requests(3));
        let faults: Vec<_> = (0..5).map(|_| script.next_fault("/api/models/me/digits/commit/main")).collect();
        let unavailable = || Some(HubFaultKind::status(503));
        assert_eq!(faults, [None, unavailable(), unavailable(), Some(HubFaultKind::NoXet), None]);
        assert_eq!(script.next_fault("/api/models/me/digits"), None);
    }
}
