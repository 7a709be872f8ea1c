//! The socket of a run that measures nested runs.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{fs, io};

use super::connection::serve_connection;
use super::server_context::ServerContext;
use super::socket::with_short_path;
use crate::ledger::{LedgerId, WriterState, writer_state};
use crate::run::Run;
use crate::run::threads::spawn_thread;

/// More trainings than one command starts at the same time.
const MAX_CONNECTIONS: usize = 64;

/// Accepts runs of other processes as nested runs until it is dropped; see [`Run::accept_nested_runs`].
#[must_use = "nested runs are accepted only until it is dropped"]
#[derive(Debug)]
pub struct NestedRunListener {
    path: PathBuf,
    server: Arc<ServerContext>,
}

impl Run {
    /// Records the runs of child processes as part of this run: their epochs are recorded in it, and they do not measure
    /// anything themselves. `SOOTPRINT_RUN_DIR` must be set to this run's folder in the environment of the children.
    /// `sootprint run` calls this. Drop the listener before the run is finished.
    ///
    /// # Errors
    /// If no socket can be created next to the ledger, or the run has no ledger. Child processes then measure their own
    /// runs, so the energy is measured twice.
    pub fn accept_nested_runs(&self) -> io::Result<NestedRunListener> {
        let ledger_id = self.handle.ledger_id().ok_or(io::ErrorKind::NotFound)?;
        let path = ledger_id.socket_path(&self.dir);
        remove_stale_sockets(&self.dir);
        let listener = with_short_path(&path, |path| {
            let listener = UnixListener::bind(path)?;
            // The umask may allow others to connect; until this line, the check of the peer refuses them.
            fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
            Ok(listener)
        })?;
        let server = Arc::new(ServerContext::new(self.handle(), ledger_id, self.intensity_provider.clone()));
        let accept_server = Arc::clone(&server);
        spawn_thread("sootprint-nested-accept", move || accept_connections(&accept_server, &listener))?;
        Ok(NestedRunListener { path, server })
    }
}

impl Drop for NestedRunListener {
    fn drop(&mut self) {
        self.server.start_closing();
        // Wakes the thread that is blocked in `accept`.
        let _ = with_short_path(&self.path, |path| UnixStream::connect(path));
        let _ = fs::remove_file(&self.path);
        self.server.shut_down_connections();
    }
}

fn accept_connections(server: &Arc<ServerContext>, listener: &UnixListener) {
    static NEXT_ID: AtomicU64 = AtomicU64::new(1);

    for stream in listener.incoming() {
        if server.is_closing() {
            return;
        }
        let Ok(stream) = stream else { continue };
        if !is_same_user(&stream) || server.connection_count() >= MAX_CONNECTIONS {
            // The connection is closed, and the child measures itself.
            continue;
        }
        let server = Arc::clone(server);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let Ok(close_handle) = stream.try_clone() else { continue };
        server.add_connection(id, close_handle);
        let thread_server = Arc::clone(&server);
        let spawned = spawn_thread("sootprint-nested-server", move || {
            serve_connection(&thread_server, id, stream);
            thread_server.remove_connection(id);
        });
        if spawned.is_err() {
            server.remove_connection(id);
        }
    }
}

/// Whether the peer belongs to this user or to root.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_same_user(stream: &UnixStream) -> bool {
    let user = rustix::process::geteuid();
    rustix::net::sockopt::socket_peercred(stream)
        .is_ok_and(|peer| peer.uid == user || peer.uid == rustix::process::Uid::ROOT)
}

/// Elsewhere the mode of the socket decides.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn is_same_user(_: &UnixStream) -> bool {
    true
}

/// Removes the sockets of killed processes.
fn remove_stale_sockets(dir: &Path) {
    for id in LedgerId::list_with_sockets(dir) {
        let path = id.socket_path(dir);
        let connection = with_short_path(&path, |path| UnixStream::connect(path));
        // In a folder shared between hosts, a live socket of another host always refuses connections from this one.
        let is_in_use =
            matches!(writer_state(dir, &id), Some(WriterState::Active | WriterState::LockUnsupported(..)));
        if !is_in_use && connection.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
            let _ = fs::remove_file(path);
        }
    }
}
