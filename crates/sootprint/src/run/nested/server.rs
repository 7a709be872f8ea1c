//! The run that measures: it hears what the runs inside it say.

use std::fs::{self, File};
use std::net::Shutdown;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{io, thread};

use sootprint_core::IntensityProvider;

use super::connection;
use crate::ledger::{LedgerId, WriterState, writer_state};
use crate::run::{Run, RunHandle};

/// The longest path of a socket that every Unix takes, with its closing zero.
const MAX_SOCKET_PATH: usize = 104;

/// Lets the runs of other processes attach to a run, until it is dropped: see [`Run::accept_nested_runs`].
#[must_use = "nobody can attach once it is dropped"]
#[derive(Debug)]
pub struct NestedRunListener {
    path: PathBuf,
    server: Arc<ServerContext>,
}

/// The run around the trainings, and what they share.
#[derive(Debug)]
pub(super) struct ServerContext {
    pub(super) run: RunHandle,
    pub(super) ledger_id: LedgerId,
    pub(super) intensity_provider: Option<Arc<dyn IntensityProvider>>,
    is_closing: AtomicBool,
    /// The connections, to be cut at the end.
    connections: Mutex<Vec<(u64, UnixStream)>>,
    /// The connection whose epochs are recorded, and whether it has been said that there was another one.
    epoch_source: Mutex<Option<u64>>,
    has_noted_conflict: AtomicBool,
}

impl Run {
    /// Lets the runs of child processes attach to this one, which they find by `SOOTPRINT_RUN_DIR`: their epochs are
    /// recorded here, and they meter nothing. `sootprint run` calls it; drop what it gives before the run is finished.
    ///
    /// # Errors
    /// When no socket can be made beside the ledger, or when the run has no ledger. A child then measures itself too.
    pub fn accept_nested_runs(&self) -> io::Result<NestedRunListener> {
        let ledger_id = self.handle.ledger_id().ok_or(io::ErrorKind::NotFound)?;
        let path = ledger_id.socket_path(&self.dir);
        remove_stale_sockets(&self.dir);
        let listener = with_short_path(&path, |path| UnixListener::bind(path))?;
        let server = Arc::new(ServerContext {
            run: self.handle(),
            ledger_id,
            intensity_provider: self.intensity_provider.clone(),
            is_closing: AtomicBool::new(false),
            connections: Mutex::default(),
            epoch_source: Mutex::new(None),
            has_noted_conflict: AtomicBool::new(false),
        });
        let accept_server = Arc::clone(&server);
        spawn_thread("sootprint-attach", move || accept_connections(&accept_server, &listener))?;
        Ok(NestedRunListener { path, server })
    }
}

impl Drop for NestedRunListener {
    fn drop(&mut self) {
        self.server.is_closing.store(true, Ordering::Release);
        // Wakes the thread that waits for the next one.
        let _ = with_short_path(&self.path, |path| UnixStream::connect(path));
        let _ = fs::remove_file(&self.path);
        for (_, stream) in lock_ignoring_poison(&self.server.connections).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl ServerContext {
    /// A run has one epoch at a time: the first training that speaks of epochs is heard until it ends.
    pub(super) fn acquire_epochs(&self, id: u64) -> bool {
        let is_epoch_source = *lock_ignoring_poison(&self.epoch_source).get_or_insert(id) == id;
        if !is_epoch_source && !self.has_noted_conflict.swap(true, Ordering::Relaxed) {
            let text =
                "several trainings ran at once inside the command: the epochs are those of one of them";
            self.run.add_note(text);
        }
        is_epoch_source
    }

    /// The training says nothing more; whether it was the one that was heard.
    pub(super) fn release_epochs(&self, id: u64) -> bool {
        lock_ignoring_poison(&self.epoch_source).take_if(|speaker| *speaker == id).is_some()
    }
}

fn accept_connections(server: &Arc<ServerContext>, listener: &UnixListener) {
    static NEXT: AtomicU64 = AtomicU64::new(1);

    for stream in listener.incoming() {
        if server.is_closing.load(Ordering::Acquire) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let server = Arc::clone(server);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        // Who is not served measures itself.
        let _ = spawn_thread("sootprint-attached", move || {
            let Ok(close_handle) = stream.try_clone() else { return };
            lock_ignoring_poison(&server.connections).push((id, close_handle));
            connection::serve_connection(&server, id, stream);
            lock_ignoring_poison(&server.connections).retain(|(other, _)| *other != id);
        });
    }
}

/// The sockets of processes that were killed: nobody answers there.
fn remove_stale_sockets(dir: &Path) {
    for id in LedgerId::list_with_sockets(dir) {
        let path = id.socket_path(dir);
        let connection = with_short_path(&path, |path| UnixStream::connect(path));
        // In a folder that hosts share, another host's socket refuses this one all the time.
        let is_in_use =
            matches!(writer_state(dir, &id), Some(WriterState::Active | WriterState::LockUnsupported(..)));
        if !is_in_use && connection.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
            let _ = fs::remove_file(path);
        }
    }
}

/// A socket's path may have about a hundred bytes. Linux has a short one for every folder that is open.
pub(super) fn with_short_path<T>(path: &Path, open: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    match (path.parent(), path.file_name()) {
        (Some(dir), Some(name)) if cfg!(target_os = "linux") && path.as_os_str().len() >= MAX_SOCKET_PATH => {
            let dir_handle = File::open(dir)?;
            open(&Path::new("/proc/self/fd").join(dir_handle.as_raw_fd().to_string()).join(name))
        }
        _ => open(path),
    }
}

pub(super) fn spawn_thread(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
}

/// A panic while the lock was held leaves values that are still good.
pub(super) fn lock_ignoring_poison<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
