//! Misbehaviour by script: what the hub does wrong, at which request, and how often.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// One misbehaviour.
///
/// ```
/// use fake_hub::{Fault, FakeHub, Misbehaviour};
///
/// let hub = FakeHub::start()?;
/// // The second commit is made, and its answer is lost.
/// hub.add_fault(Fault::at("/commit/", Misbehaviour::Lose { applied: true }).after(1));
/// # Ok::<(), fake_hub::StartError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a fault does nothing before a hub gets it"]
pub struct Fault {
    part: String,
    skip: u32,
    times: u32,
    what: Misbehaviour,
}

/// What the hub does instead of answering.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misbehaviour {
    /// It answers with an error.
    Status {
        /// The HTTP status.
        status: u16,
        /// The header `Retry-After`, in seconds.
        retry_after: Option<u32>,
        /// Whether the request is carried out all the same.
        applied: bool,
    },
    /// It answers with half of the body, and closes the connection.
    Cut {
        /// Whether the request is carried out.
        applied: bool,
    },
    /// It closes the connection without an answer.
    Lose {
        /// Whether the request is carried out.
        applied: bool,
    },
    /// It says nothing for so long, and then answers as it should.
    Hang {
        /// How long.
        time: Duration,
        /// Whether the request is carried out before that time; else after it, if anybody is there then.
        applied: bool,
    },
    /// Somebody else commits this file to `main` of the repository just before the request is carried out.
    Meanwhile {
        /// The repository, `owner/name`.
        repository: String,
        /// The file's path.
        path: String,
        /// What he writes.
        content: Vec<u8>,
    },
    /// The batch of large files is answered with another transfer than Xet.
    NoXet,
}

impl Fault {
    /// A fault at the next request whose path has this part, as in `/commit/`.
    pub fn at(part: impl Into<String>, what: Misbehaviour) -> Self {
        Self { part: part.into(), skip: 0, times: 1, what }
    }

    /// Lets so many requests through before it begins.
    pub fn after(mut self, requests: u32) -> Self {
        self.skip = requests;
        self
    }

    /// Happens so many times instead of once.
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }
}

impl Misbehaviour {
    /// An error with this status; the request is not carried out.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Status { status, retry_after: None, applied: false }
    }
}

/// The faults that are still to come.
#[derive(Default)]
pub(crate) struct Script(Mutex<Vec<Fault>>);

impl Script {
    pub(crate) fn add(&self, fault: Fault) {
        self.faults().push(fault);
    }

    pub(crate) fn clear(&self) {
        self.faults().clear();
    }

    /// What happens to this request. The first fault that is for it and due is used up by one.
    pub(crate) fn next(&self, path: &str) -> Option<Misbehaviour> {
        let mut faults = self.faults();
        let mut found = None;
        for fault in faults.iter_mut().filter(|fault| path.contains(&fault.part)) {
            if fault.skip > 0 {
                fault.skip -= 1;
            } else if fault.times > 0 && found.is_none() {
                fault.times -= 1;
                found = Some(fault.what.clone());
            }
        }
        faults.retain(|fault| fault.times > 0);
        found
    }

    fn faults(&self) -> std::sync::MutexGuard<'_, Vec<Fault>> {
        // Each change is whole, so what a panicking thread left behind is still true.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_happen_when_they_are_due_and_as_often_as_they_should() {
        let script = Script::default();
        script.add(Fault::at("/commit/", Misbehaviour::status(503)).after(1).times(2));
        script.add(Fault::at("/commit/", Misbehaviour::NoXet).after(3));
        let happened: Vec<_> = (0..5).map(|_| script.next("/api/models/me/digits/commit/main")).collect();
        let trouble = || Some(Misbehaviour::status(503));
        assert_eq!(happened, [None, trouble(), trouble(), Some(Misbehaviour::NoXet), None]);
        assert_eq!(script.next("/api/models/me/digits"), None);
    }
}
