//! The run that attaches: what its hooks say goes to the one that measures.

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

use super::device_visibility::DeviceVisibilityEnv;
use super::protocol::{
    ClientHello, NestedClientMessage, NestedReply, NestedServerMessage, PROTOCOL_VERSION, encode_line,
    message_time,
};
use super::server::{lock_ignoring_poison, spawn_thread, with_short_path};
use crate::distributed::RankInfo;
use crate::ledger::LedgerId;
use crate::run::LiveUsage;
use crate::run::event::HookEvent;
use crate::run::recorder::{EpochTotals, NestedRunConfig};

/// So long the start waits for an answer, before which the boards are read; a process that is stopped does not give one.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The connection to the process that measures.
#[derive(Debug)]
pub(in crate::run) struct RemoteSampler {
    /// To the thread that writes.
    message_tx: Sender<NestedClientMessage>,
    state: Arc<ClientState>,
    /// Where the other process records its run.
    dir: PathBuf,
    welcome: ServerWelcome,
}

#[derive(Debug)]
struct ServerWelcome {
    /// The name under which the training is measured.
    run_id: String,
    /// When it came; none where time is a script's.
    attached_at: Option<Instant>,
}

/// What the other process says.
#[derive(Default)]
struct ClientState {
    usage: Mutex<LiveUsage>,
    /// Who waits for which answer; nobody is left to answer when it is none.
    pending_replies: Mutex<Option<HashMap<u64, ReplyCallback>>>,
    last_request_id: AtomicU64,
    is_finished: AtomicBool,
}

type ReplyCallback = Box<dyn FnOnce(NestedReply) + Send>;

impl RemoteSampler {
    /// Attaches to the run that is being recorded in `dir`; none when nobody listens there.
    pub(in crate::run) fn connect(dir: &Path, launch: &RankInfo, config: NestedRunConfig) -> Option<Self> {
        let RankInfo { rank, ranks, .. } = *launch;
        let visibility = DeviceVisibilityEnv::of_current_process();
        let hello = NestedClientMessage::Hello(Box::new(ClientHello {
            protocol: PROTOCOL_VERSION,
            rank,
            ranks,
            visibility,
            config,
        }));
        // Of the ranks that share a folder each has its own command, if each was measured by one.
        let ids = LedgerId::list_with_sockets(dir);
        let (own, others): (Vec<LedgerId>, Vec<LedgerId>) = ids.into_iter().partition(|id| id.rank == rank);
        let (stream, reader, welcome) = own.into_iter().chain(others).find_map(|id| {
            let stream = with_short_path(&id.socket_path(dir), |path| UnixStream::connect(path)).ok()?;
            let handshake_result = handshake(stream, &hello);
            if let Err(error) = &handshake_result {
                tracing::warn!(
                    "the `sootprint run` around this training does not answer, so that both measure it: {error}"
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
        spawn_thread("sootprint-says", move || write_messages(stream, &message_rx)).ok()?;
        spawn_thread("sootprint-hears", move || reader_state.read_replies(reader)).ok()?;
        Some(Self { message_tx, state, dir: dir.to_owned(), welcome })
    }

    /// The name of the training's part of the other's run.
    pub(in crate::run) fn run_id(&self) -> &str {
        &self.welcome.run_id
    }

    /// Hands over what a hook says, with the time. Returns at once.
    pub(in crate::run) fn send_event(
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

    /// Asks for what was used up to now.
    pub(in crate::run) fn sample(&self, on_usage: impl FnOnce(LiveUsage) + Send + 'static) {
        let on_reply = |reply| {
            if let NestedReply::Sampled(snapshot) = reply {
                on_usage(snapshot.into());
            }
        };
        self.request(|request_id| NestedClientMessage::Sample { request_id }, on_reply);
    }

    /// Asks to hear when the other process's record has all that was said before.
    pub(in crate::run) fn flush(&self, done_tx: Sender<()>) {
        let on_reply = move |_| {
            // Who waits may have lost patience.
            let _ = done_tx.send(());
        };
        self.request(|request_id| NestedClientMessage::Flush { request_id }, on_reply);
    }

    /// What the training has used so far.
    pub(in crate::run) fn usage(&self) -> LiveUsage {
        let usage = *lock_ignoring_poison(&self.state.usage);
        self.welcome.attached_at.map_or(usage, |at| usage.extrapolate_to(at.elapsed()))
    }

    /// Ends the training's part, and gives its footprint if the other process does.
    pub(in crate::run) fn finish(&self, status: Option<RunStatus>, timeout: Duration) -> Option<Footprint> {
        self.state.is_finished.store(true, Ordering::Release);
        let (footprint_tx, footprint_rx) = mpsc::channel();
        let on_reply = move |reply| {
            if let NestedReply::Footprint(footprint) = reply {
                // Who waits may have lost patience.
                let _ = footprint_tx.send(*footprint);
            }
        };
        self.request(|request_id| NestedClientMessage::Finish { status, request_id }, on_reply);
        // The other process waits for its record, its boards and its provider.
        footprint_rx.recv_timeout(timeout * 3).ok()
    }

    /// Whether the other process's folder is this one.
    pub(in crate::run) fn records_in(&self, dir: &Path) -> bool {
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
        // The thread that hears says it when the other process is gone.
        let _ = self.message_tx.send(message);
    }
}

/// Says hello, and waits for the answer.
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
    let NestedServerMessage::Welcome { run_id: run, uses_virtual_time: is_virtual } =
        serde_json::from_str(&reply)?
    else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    stream.set_read_timeout(None)?;
    stream.set_write_timeout(None)?;
    Ok((stream, reader, ServerWelcome { run_id: run, attached_at: (!is_virtual).then(Instant::now) }))
}

/// Ends with the last sender; then the other process reads to its end and knows that this training is over.
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
                        .and_then(|waiting| waiting.remove(&request_id));
                    if let Some(on_reply) = callback {
                        on_reply(reply);
                    }
                }
                // A later version may say more.
                Ok(NestedServerMessage::Welcome { .. }) | Err(_) => {}
            }
            text.clear();
        }
        if !self.is_finished.load(Ordering::Acquire) {
            tracing::warn!(
                "the `sootprint run` that measures this training has ended: nothing is measured any more, and no \
                 budget is held"
            );
        }
        // Who still waits hears by this that there is no answer; without the lock, since it may be somebody's code.
        let pending_replies = lock_ignoring_poison(&self.pending_replies).take();
        drop(pending_replies);
    }
}

impl fmt::Debug for ClientState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heard").field("live", &self.usage).finish_non_exhaustive()
    }
}
