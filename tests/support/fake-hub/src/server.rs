//! The thread of the hub.

use std::future::IntoFuture as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

use crate::state::HubState;
use crate::storage::XetStorage;
use crate::{HubStartError, api};

/// How long dropping a hub waits for open requests to be aborted.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// A running hub. Dropping it ends the thread, the runtime and every connection.
/// The runtime is created and dropped on that thread: creating, blocking on or dropping a runtime panics
/// inside another runtime, where a test may start a hub.
/// runtime, and a test may well start a hub there.
pub(crate) struct HubServer {
    handle: Handle,
    stop_tx: Option<oneshot::Sender<()>>,
    /// A bare receiver is not `Sync`, but a hub must be.
    stopped_rx: Mutex<mpsc::Receiver<()>>,
}

impl HubServer {
    /// Starts the thread and returns once both servers listen.
    pub(crate) fn start(storage: Option<PathBuf>) -> Result<(Self, Arc<HubState>), HubStartError> {
        let (stop_tx, stop_rx) = oneshot::channel();
        let (stopped_tx, stopped_rx) = mpsc::channel();
        let (started_tx, started_rx) = mpsc::channel();
        thread::Builder::new()
            .name("fake-hub".to_owned())
            .spawn(move || {
                run_server(&started_tx, stop_rx, storage.as_deref());
                drop(stopped_tx);
            })
            .map_err(HubStartError::Thread)?;
        // The thread reports exactly once before serving; if it died, it sent nothing.
        let (handle, hub) = started_rx.recv().map_err(|_| HubStartError::Died)??;
        Ok((Self { handle, stop_tx: Some(stop_tx), stopped_rx: Mutex::new(stopped_rx) }, hub))
    }

    /// Runs a future on the hub's runtime and waits for it; `None` if the runtime is gone.
    ///
    /// Unlike `block_on`, it may be called inside another runtime; it then blocks that runtime's thread.
    pub(crate) fn run_blocking<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (result_tx, result_rx) = mpsc::channel();
        self.handle.spawn(async move {
            // The receiver waits below, so sending cannot fail.
            let _ = result_tx.send(future.await);
        });
        result_rx.recv().ok()
    }
}

impl Drop for HubServer {
    fn drop(&mut self) {
        if let Some(stop_tx) = self.stop_tx.take() {
            // If the thread has already ended, there is no receiver.
            let _ = stop_tx.send(());
        }
        // Nothing is ever sent: the wait ends when the thread drops its sender, or at the timeout.
        let stopped_rx = self.stopped_rx.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = stopped_rx.recv_timeout(2 * SHUTDOWN_TIMEOUT);
    }
}

type StartResult = Result<(Handle, Arc<HubState>), HubStartError>;

fn run_server(
    started_tx: &mpsc::Sender<StartResult>,
    stop_rx: oneshot::Receiver<()>,
    storage: Option<&Path>,
) {
    let runtime = match build_runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = started_tx.send(Err(HubStartError::Runtime(error)));
            return;
        }
    };
    let started = runtime.block_on(start_listening(storage));
    let is_listening = started.is_ok();
    let _ = started_tx.send(started.map(|hub| (runtime.handle().clone(), hub)));
    if is_listening {
        // Both results mean stop: a message, or a dropped sender.
        let _ = runtime.block_on(stop_rx);
    }
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
}

fn build_runtime() -> std::io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(2).thread_name("fake-hub").enable_all().build()
}

async fn start_listening(storage: Option<&Path>) -> Result<Arc<HubState>, HubStartError> {
    let storage = XetStorage::start(storage).await?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(HubStartError::Bind)?;
    let port = listener.local_addr().map_err(HubStartError::Bind)?.port();
    let hub = Arc::new(HubState::new(port, storage));
    tokio::spawn(axum::serve(listener, api::router(Arc::clone(&hub))).into_future());
    Ok(hub)
}
