//! What a run asks others while it goes on, each on a thread of its own: where the machine is, and the intensity so far.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use sootprint_core::format::error_chain;
use sootprint_core::{CloudMetadata, IntensityProvider};

use super::RunHandle;

/// How often the provider is asked. Grids are settled by the hour or by a part of it, and the shortest history that a
/// provider keeps is a day.
pub(super) const QUERY_INTERVAL: Duration = Duration::from_secs(30 * 60);

/// From its start a run waits so long for the cloud's word, and only if it ends before.
const METADATA_TIMEOUT: Duration = Duration::from_secs(1);

/// The threads of a run. Dropped, it ends them at their next step and waits for none.
#[derive(Debug, Default)]
pub(super) struct BackgroundQueries {
    /// Closed when the run ends.
    provider_stop_tx: Option<Sender<()>>,
    location_rx: Option<(Receiver<()>, Instant)>,
}

impl BackgroundQueries {
    /// Asks for what the run does not know.
    pub(super) fn start(
        handle: &RunHandle,
        cloud_metadata: Option<Arc<dyn CloudMetadata>>,
        intensity_provider: Option<Arc<dyn IntensityProvider>>,
        query_interval: Duration,
    ) -> Self {
        Self {
            location_rx: cloud_metadata.and_then(|metadata| spawn_location_query(handle.clone(), metadata)),
            provider_stop_tx: intensity_provider
                .and_then(|provider| spawn_provider_queries(handle.clone(), provider, query_interval)),
        }
    }

    /// Waits for the cloud's word, in bounds, and ends the questions.
    pub(super) fn stop(&mut self) {
        self.provider_stop_tx = None;
        if let Some((done_rx, deadline)) = self.location_rx.take() {
            // Without a word by then the place stays as it was said or guessed.
            let _ = done_rx.recv_timeout(deadline.saturating_duration_since(Instant::now()));
        }
    }
}

fn spawn_location_query(
    handle: RunHandle,
    cloud_metadata: Arc<dyn CloudMetadata>,
) -> Option<(Receiver<()>, Instant)> {
    let (done_tx, done_rx) = mpsc::channel();
    let deadline = Instant::now() + METADATA_TIMEOUT;
    let query = move || {
        handle.apply_location(cloud_metadata.locate());
        // Who waits may have lost patience.
        let _ = done_tx.send(());
    };
    spawn_background("sootprint-place", query).then_some((done_rx, deadline))
}

fn spawn_provider_queries(
    handle: RunHandle,
    intensity_provider: Arc<dyn IntensityProvider>,
    query_interval: Duration,
) -> Option<Sender<()>> {
    let (stop_tx, stop_rx) = mpsc::channel::<()>();
    let query = move || {
        let mut warned = false;
        while stop_rx.recv_timeout(query_interval) == Err(RecvTimeoutError::Timeout) {
            // An outage is filled from the provider's history later; it is said once, and again at the end if it stays.
            if let Some(Err(error)) = handle.query_provider_so_far(&*intensity_provider)
                && !std::mem::replace(&mut warned, true)
            {
                tracing::warn!("no live intensity for now: {}", error_chain(&error));
            }
        }
    };
    spawn_background("sootprint-live", query).then_some(stop_tx)
}

/// Without a thread nobody is asked, and the run is none the worse.
fn spawn_background(name: &str, work: impl FnOnce() + Send + 'static) -> bool {
    match thread::Builder::new().name(name.to_owned()).spawn(work) {
        Ok(_) => true,
        Err(error) => {
            tracing::warn!("the thread {name} does not start: {error}");
            false
        }
    }
}
