//! The thread that the hub runs on.

use std::future::IntoFuture as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

use crate::hub::Hub;
use crate::storage::Storage;
use crate::{StartError, api};

/// How long dropping a hub waits for requests under way to be cut off.
const SHUTDOWN: Duration = Duration::from_secs(1);

/// A running hub. Dropping it ends the thread, the runtime and every connection.
///
/// The runtime lives and dies on that thread: creating, blocking on or dropping a runtime panics inside another
/// runtime, and a test may well start a hub there.
pub(crate) struct Server {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    /// A receiver alone could not be shared between threads, and a hub may be.
    stopped: Mutex<mpsc::Receiver<()>>,
}

impl Server {
    /// Starts the thread and returns when both servers listen.
    pub(crate) fn start(storage: Option<PathBuf>) -> Result<(Self, Arc<Hub>), StartError> {
        let (stop, until_stopped) = oneshot::channel();
        let (has_stopped, stopped) = mpsc::channel();
        let (report, started) = mpsc::channel();
        thread::Builder::new()
            .name("fake-hub".to_owned())
            .spawn(move || {
                run(&report, until_stopped, storage.as_deref());
                drop(has_stopped);
            })
            .map_err(StartError::Thread)?;
        // The thread reports once before anything else; if it died, it said nothing.
        let (handle, hub) = started.recv().map_err(|_| StartError::Died)??;
        Ok((Self { handle, stop: Some(stop), stopped: Mutex::new(stopped) }, hub))
    }

    /// Runs a future on the hub's runtime and waits for it; nothing when the runtime is gone.
    ///
    /// Unlike `block_on` it may be called inside another runtime, whose thread it then blocks.
    pub(crate) fn wait_for<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = mpsc::channel();
        self.handle.spawn(async move {
            // The receiver waits below, so it is there.
            let _ = answer.send(future.await);
        });
        answered.recv().ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // A thread that is gone already needs no telling.
            let _ = stop.send(());
        }
        // Nothing is ever sent: the wait ends when the thread drops its end, or when the time is up.
        let stopped = self.stopped.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = stopped.recv_timeout(2 * SHUTDOWN);
    }
}

type Started = Result<(Handle, Arc<Hub>), StartError>;

fn run(report: &mpsc::Sender<Started>, until_stopped: oneshot::Receiver<()>, storage: Option<&Path>) {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = report.send(Err(StartError::Runtime(error)));
            return;
        }
    };
    let started = runtime.block_on(listen(storage));
    let listening = started.is_ok();
    let _ = report.send(started.map(|hub| (runtime.handle().clone(), hub)));
    if listening {
        // Both answers mean stop: a message, or a sender that was dropped.
        let _ = runtime.block_on(until_stopped);
    }
    runtime.shutdown_timeout(SHUTDOWN);
}

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(2).thread_name("fake-hub").enable_all().build()
}

async fn listen(storage: Option<&Path>) -> Result<Arc<Hub>, StartError> {
    let storage = Storage::start(storage).await?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(StartError::Bind)?;
    let port = listener.local_addr().map_err(StartError::Bind)?.port();
    let hub = Arc::new(Hub::new(port, storage));
    tokio::spawn(axum::serve(listener, api::router(Arc::clone(&hub))).into_future());
    Ok(hub)
}
