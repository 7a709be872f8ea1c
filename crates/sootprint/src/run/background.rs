//! Queries while a run continues, each on its own thread: the cloud metadata and the carbon intensity so far.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use sootprint_core::format::error_chain;
use sootprint_core::{CloudMetadata, IntensityProvider};

use super::finish_waits::FinishWaits;
use super::handle::RunHandle;
use super::threads::spawn_thread;
use super::timeouts::METADATA_TIMEOUT;

/// How often the provider is queried. Intensities are published per hour or per fraction of an hour, and the shortest
/// history of a provider is one day.
pub(crate) const QUERY_INTERVAL: Duration = Duration::from_secs(30 * 60);

/// The background queries of a run. Dropping it stops them at their next step, without waiting.
#[derive(Debug, Default)]
pub(crate) struct BackgroundQueries {
    /// Closed at the end of the run.
    provider_stop_tx: Option<Sender<()>>,
    location_rx: Option<(Receiver<()>, Instant)>,
}

impl BackgroundQueries {
    /// Starts the configured queries.
    pub(crate) fn start(
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

    /// Waits for the cloud metadata, up to [`METADATA_TIMEOUT`] after the start of the run, and stops the queries.
    pub(crate) fn stop(&mut self, waits: &FinishWaits) {
        self.provider_stop_tx = None;
        if let Some((done_rx, deadline)) = self.location_rx.take() {
            // After a timeout the place remains as configured or guessed.
            let _ = waits.receive(&done_rx, deadline.saturating_duration_since(Instant::now()));
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
        // The receiver may have timed out.
        let _ = done_tx.send(());
    };
    spawn_query("sootprint-cloud-metadata", query).then_some((done_rx, deadline))
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
            // A later query fills an outage from the provider's history: warn once, and again at the end if it lasts.
            if let Some(Err(error)) = handle.query_provider_so_far(&*intensity_provider)
                && !std::mem::replace(&mut warned, true)
            {
                let cause = error_chain(&error);
                tracing::warn!("cannot query the live intensity provider, will retry: {cause}");
            }
        }
    };
    spawn_query("sootprint-intensity", query).then_some(stop_tx)
}

/// Starts a query thread. If that fails, the run continues without the query.
fn spawn_query(name: &str, query: impl FnOnce() + Send + 'static) -> bool {
    spawn_thread(name, query)
        .inspect_err(|error| tracing::warn!("cannot start the thread {name}: {error}"))
        .is_ok()
}
