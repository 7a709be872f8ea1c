//! What a run asks others while it goes on, each on a thread of its own: where the machine is, and the intensity so far.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use sootprint_core::{Metadata, Provider};

use super::RunHandle;

/// How often the provider is asked. Grids are settled by the hour or by a part of it, and the shortest history that a
/// provider keeps is a day.
pub(super) const EVERY: Duration = Duration::from_secs(30 * 60);

/// From its start a run waits so long for the cloud's word, and only if it ends before.
const LONGEST_METADATA: Duration = Duration::from_secs(1);

/// The threads of a run. Dropped, it ends them at their next step and waits for none.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Closed when the run ends.
    asking: Option<Sender<()>>,
    locating: Option<(Receiver<()>, Instant)>,
}

impl Watch {
    /// Asks for what the run does not know.
    pub(super) fn start(
        handle: &RunHandle,
        metadata: Option<Arc<dyn Metadata>>,
        provider: Option<Arc<dyn Provider>>,
        every: Duration,
    ) -> Self {
        Self {
            locating: metadata.and_then(|metadata| locate(handle.clone(), metadata)),
            asking: provider.and_then(|provider| ask(handle.clone(), provider, every)),
        }
    }

    /// Waits for the cloud's word, in bounds, and ends the questions.
    pub(super) fn end(&mut self) {
        self.asking = None;
        if let Some((told, deadline)) = self.locating.take() {
            // Without a word by then the place stays as it was said or guessed.
            let _ = told.recv_timeout(deadline.saturating_duration_since(Instant::now()));
        }
    }
}

fn locate(handle: RunHandle, metadata: Arc<dyn Metadata>) -> Option<(Receiver<()>, Instant)> {
    let (tell, told) = mpsc::channel();
    let deadline = Instant::now() + LONGEST_METADATA;
    let act = move || {
        handle.located(metadata.place());
        // Who waits may have lost patience.
        let _ = tell.send(());
    };
    spawn("sootprint-place", act).then_some((told, deadline))
}

fn ask(handle: RunHandle, provider: Arc<dyn Provider>, every: Duration) -> Option<Sender<()>> {
    let (asking, asked) = mpsc::channel::<()>();
    let act = move || {
        let mut warned = false;
        while asked.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
            // An outage is filled from the provider's history later; it is said once, and again at the end if it stays.
            if let Some(Err(error)) = handle.ask_so_far(&*provider)
                && !std::mem::replace(&mut warned, true)
            {
                tracing::warn!("no live intensity for now: {error}");
            }
        }
    };
    spawn("sootprint-live", act).then_some(asking)
}

/// Without a thread nobody is asked, and the run is none the worse.
fn spawn(name: &str, act: impl FnOnce() + Send + 'static) -> bool {
    match thread::Builder::new().name(name.to_owned()).spawn(act) {
        Ok(_) => true,
        Err(error) => {
            tracing::warn!("the thread {name} does not start: {error}");
            false
        }
    }
}
