//! The client side of a nested run: sends its hook events to the run that measures it.

use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{fmt, fs};

use sootprint_core::{Footprint, RunStatus};

use sootprint_core::sync::lock_ignoring_poison;

use super::config::NestedRunConfig;
use super::device_visibility::DeviceVisibilityEnv;
use super::protocol::{
    ClientHello, NestedClientMessage, NestedReply, NestedServerMessage, PROTOCOL_VERSION, encode_line,
    message_time,
};
use super::socket::with_short_path;
use crate::distributed::RankInfo;
use crate::ledger::LedgerId;
use crate::run::event::{EpochTotals, HookEvent};
use crate::run::threads::spawn_thread;
use crate::run::timeouts::HANDSHAKE_TIMEOUT;
use crate::run::usage::LiveUsage;

/// The connection to the process that measures this run.
#[derive(Debug)]
pub(crate) struct RemoteSampler {
    /// Messages for the writer thread.
    message_tx: Sender<NestedClientMessage>,
    state: Arc<ClientState>,
    /// The other process's run folder.
    dir: PathBuf,
    welcome: ServerWelcome,
}

#[derive(Debug)]
struct ServerWelcome {
    /// The run id of the training.
    run_id: String,
    /// When the handshake ended. `None` if the other process uses a virtual clock.
    attached_at: Option<Instant>,
}

/// State updated by messages from the other process.
#[derive(Default)]
struct ClientState {
    usage: Mutex<LiveUsage>,
    /// The callbacks of pending requests. `None` once the connection is closed.
    pending_replies: Mutex<Option<HashMap<u64, ReplyCallback>>>,
    last_request_id: AtomicU64,
    is_finished: AtomicBool,
}

type ReplyCallback = Box<dyn FnOnce(NestedReply) + Send>;

impl RemoteSampler {
    /// Connects to the run that is being recorded in `dir`. `None` if no process accepts the connection.
    pub(crate) fn connect(dir: &Path, launch: &RankInfo, config: NestedRunConfig) -> Option<Self> {
        let RankInfo { rank, ranks, .. } = *launch;
        let visibility = DeviceVisibilityEnv::of_current_process();
        let hello = NestedClientMessage::Hello(Box::new(ClientHello {
            protocol: PROTOCOL_VERSION,
            rank,
            ranks,
            visibility,
            config,
        }));
        // If each rank of a shared folder has its own `sootprint run`, each connects to its own.
        let ids = LedgerId::list_with_sockets(dir);
        let (own, others): (Vec<LedgerId>, Vec<LedgerId>) = ids.into_iter().partition(|id| id.rank == rank);
        let (stream, reader, welcome) = own.into_iter().chain(others).find_map(|id| {
            let stream = with_short_path(&id.socket_path(dir), |path| UnixStream::connect(path)).ok()?;
            let handshake_result = handshake(stream, &hello);
            if let Err(error) = &handshake_result {
                tracing::warn!(
                    "the enclosing `sootprint run` does not answer, so this training is measured twice: {error}"
                );
            }
            handshake_result.ok()
        })?;
        let (message_tx, message_rx) = mpsc::channel();
        let state = Arc::new(ClientState {
            pending_replies: Mutex::new(Some(HashMap::new())),
            ..ClientState::default()
        });
        let reader_state = Arc::clone(&state);
        spawn_thread("sootprint-nested-writer", move || write_messages(stream, &message_rx)).ok()?;
        spawn_thread("sootprint-nested-reader", move || reader_state.read_replies(reader)).ok()?;
        Some(Self { message_tx, state, dir: dir.to_owned(), welcome })
    }

    /// The id of the training's part of the enclosing run.
    pub(crate) fn run_id(&self) -> &str {
        &self.welcome.run_id
    }

    /// Sends a hook event with the current time, without waiting.
    pub(crate) fn send_event(
        &self,
        event: HookEvent,
        on_epoch_end: impl FnOnce(Option<EpochTotals>) + Send + 'static,
    ) {
        let at = message_time();
        if !event.may_end_epoch() {
            return self.send(NestedClientMessage::Event { at, event, request_id: None });
        }
        self.request(
            |request_id| NestedClientMessage::Event { at, event, request_id: Some(request_id) },
            |reply| match reply {
                NestedReply::EpochEnded(totals) => on_epoch_end(totals),
                _ => on_epoch_end(None),
            },
        );
    }

    /// Requests the usage up to now.
    pub(crate) fn sample(&self, on_usage: impl FnOnce(LiveUsage) + Send + 'static) {
        let on_reply = |reply| {
            if let NestedReply::Sampled(snapshot) = reply {
                on_usage(snapshot.into());
            }
        };
        self.request(|request_id| NestedClientMessage::Sample { request_id }, on_reply);
    }

    /// Requests a message once the other process has written all earlier events.
    pub(crate) fn flush(&self, done_tx: Sender<()>) {
        let on_reply = move |_| {
            // The receiver may have timed out.
            let _ = done_tx.send(());
        };
        self.request(|request_id| NestedClientMessage::Flush { request_id }, on_reply);
    }

    /// What the training has used so far, extrapolated from the last message.
    pub(crate) fn usage(&self) -> LiveUsage {
        let usage = *lock_ignoring_poison(&self.state.usage);
        self.welcome.attached_at.map_or(usage, |at| usage.extrapolate_to(at.elapsed()))
    }

    /// Ends the training's part and returns its footprint. `None` if the other process does not answer in time.
    pub(crate) fn finish(&self, status: Option<RunStatus>, timeout: Duration) -> Option<Footprint> {
        self.state.is_finished.store(true, Ordering::Release);
        let (footprint_tx, footprint_rx) = mpsc::channel();
        let on_reply = move |reply| {
            if let NestedReply::Footprint(footprint) = reply {
                // The receiver may have timed out.
                let _ = footprint_tx.send(*footprint);
            }
        };
        self.request(|request_id| NestedClientMessage::Finish { status, request_id }, on_reply);
        // The other process may itself wait for its ledger, for the hardware and for its intensity provider.
        footprint_rx.recv_timeout(timeout * 3).ok()
    }

    /// Whether the other process records in `dir`.
    pub(crate) fn records_in(&self, dir: &Path) -> bool {
        match (fs::canonicalize(&self.dir), fs::canonicalize(dir)) {
            (Ok(recorded), Ok(own)) => recorded == own,
            _ => false,
        }
    }

    fn request(
        &self,
        message: impl FnOnce(u64) -> NestedClientMessage,
        on_reply: impl FnOnce(NestedReply) + Send + 'static,
    ) {
        let request_id = self.state.last_request_id.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(pending_replies) = lock_ignoring_poison(&self.state.pending_replies).as_mut() {
            pending_replies.insert(request_id, Box::new(on_reply));
            self.send(message(request_id));
        }
    }

    fn send(&self, message: NestedClientMessage) {
        // The reader thread logs the end of the connection.
        let _ = self.message_tx.send(message);
    }
}

/// Sends the hello message and waits for the answer.
fn handshake(
    stream: UnixStream,
    hello: &NestedClientMessage,
) -> io::Result<(UnixStream, BufReader<UnixStream>, ServerWelcome)> {
    stream.set_read_timeout(Some(HANDSHAKE_TIMEOUT))?;
    stream.set_write_timeout(Some(HANDSHAKE_TIMEOUT))?;
    (&stream).write_all(encode_line(hello)?.as_bytes())?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut reply = String::new();
    reader.read_line(&mut reply)?;
    let NestedServerMessage::Welcome { run_id, uses_virtual_time } = serde_json::from_str(&reply)? else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    stream.set_read_timeout(None)?;
    stream.set_write_timeout(None)?;
    Ok((stream, reader, ServerWelcome { run_id, attached_at: (!uses_virtual_time).then(Instant::now) }))
}

/// Writes messages until the last sender is dropped, then closes the connection. The other process takes this as the end
/// of the training.
fn write_messages(mut stream: UnixStream, messages: &Receiver<NestedClientMessage>) {
    while let Ok(message) = messages.recv() {
        let written = encode_line(&message).and_then(|text| stream.write_all(text.as_bytes()));
        if written.is_err() {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
}

impl ClientState {
    fn read_replies(&self, mut reader: BufReader<UnixStream>) {
        let mut text = String::new();
        while reader.read_line(&mut text).is_ok_and(|length| length > 0) {
            match serde_json::from_str(&text) {
                Ok(NestedServerMessage::Usage(snapshot)) => {
                    *lock_ignoring_poison(&self.usage) = snapshot.into()
                }
                Ok(NestedServerMessage::Reply(request_id, reply)) => {
                    let callback = lock_ignoring_poison(&self.pending_replies)
                        .as_mut()
                        .and_then(|pending| pending.remove(&request_id));
                    if let Some(on_reply) = callback {
                        on_reply(reply);
                    }
                }
                // A later version may send other messages.
                Ok(NestedServerMessage::Welcome { .. }) | Err(_) => {}
            }
            text.clear();
        }
        if !self.is_finished.load(Ordering::Acquire) {
            tracing::warn!(
                "the enclosing `sootprint run` has ended: this training is no longer measured, and its budgets have no \
                 effect"
            );
        }
        // Dropping the callbacks ends all pending requests. The lock is released first: a callback may own user code.
        let pending_replies = lock_ignoring_poison(&self.pending_replies).take();
        drop(pending_replies);
    }
}

impl fmt::Debug for ClientState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientState").field("usage", &self.usage).finish_non_exhaustive()
    }
}
