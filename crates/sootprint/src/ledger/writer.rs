//! The thread that writes a ledger, so that neither the training nor the sampler waits for the disk.

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use sootprint_core::format::error_chain;
use sootprint_core::sync::lock_ignoring_poison;

use super::entry::LedgerEntry;
use super::paths::LedgerId;
use super::store::LedgerStore;
use super::{heartbeat, line};

/// Lines that may wait for a slow disk: hours of a typical run.
const QUEUE_CAPACITY: usize = 512;

/// The most that a power cut may lose.
const SYNC_INTERVAL: Duration = Duration::from_secs(30);

/// The most that a power cut may lose of an ended epoch. Epochs are not synchronised one by one: short ones would cause
/// sixty synchronisations per second, which delay the training's own checkpoints.
const EPOCH_SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// Sends the entries of a run to the thread that writes its ledger.
#[derive(Debug)]
pub(crate) struct Ledger {
    command_tx: SyncSender<WriterCommand>,
    shared: Arc<WriterShared>,
    /// Set for runs on a virtual clock, where days pass in milliseconds and the disk cannot keep up.
    blocks_on_full_queue: bool,
}

/// The lines that could not be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct WriteLoss {
    pub(crate) lines: u64,
    /// The first error.
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Default)]
struct WriterShared {
    /// The newest heartbeat that is not written yet; it replaces an older one.
    pending_heartbeat: Mutex<Option<String>>,
    loss: Mutex<WriteLoss>,
    resumed_id: Mutex<Option<LedgerId>>,
}

enum WriterCommand {
    Line(String),
    Heartbeat,
    Sync,
    Resume,
    /// Replies when everything before it is written.
    Flush(Sender<()>),
    Close(Sender<()>),
}

impl Ledger {
    /// Starts the writer thread, which ends when the ledger is dropped.
    pub(super) fn start(store: impl LedgerStore + 'static) -> io::Result<Self> {
        let (command_tx, command_rx) = mpsc::sync_channel(QUEUE_CAPACITY);
        let shared = Arc::<WriterShared>::default();
        let writer = LedgerWriter {
            store,
            shared: Arc::clone(&shared),
            last_sync: Instant::now(),
            is_sync_pending: false,
            is_torn: false,
            heartbeat_count: 0,
            slot_size: 0,
        };
        thread::Builder::new().name("sootprint-ledger".to_owned()).spawn(move || writer.run(&command_rx))?;
        Ok(Self { command_tx, shared, blocks_on_full_queue: false })
    }

    /// Makes a full queue block the sender instead of losing a line.
    pub(crate) const fn block_on_full_queue(&mut self) {
        self.blocks_on_full_queue = true;
    }

    /// Queues an entry. If the queue is full because the disk hangs, the entry is dropped and counted.
    pub(crate) fn append(&self, entry: &LedgerEntry) {
        match line::encode(entry) {
            Ok(text) => self.send(WriterCommand::Line(text)),
            Err(error) => self.shared.count_lost_line(&error),
        }
    }

    /// Queues a heartbeat, replacing one that is not written yet.
    pub(crate) fn write_heartbeat(&self, entry: &LedgerEntry) {
        if let Ok(text) = line::encode(entry)
            && lock_ignoring_poison(&self.shared.pending_heartbeat).replace(text).is_none()
        {
            // If the queue is full, this heartbeat is dropped, so that the next one is queued again.
            if self.command_tx.try_send(WriterCommand::Heartbeat).is_err() {
                lock_ignoring_poison(&self.shared.pending_heartbeat).take();
            }
        }
    }

    /// Requests that all lines are on disk within [`EPOCH_SYNC_INTERVAL`].
    pub(crate) fn sync(&self) {
        let _ = self.command_tx.try_send(WriterCommand::Sync);
    }

    /// Waits until all lines are on disk, but at most for `timeout`. Returns the lost lines, and the new id of the
    /// ledger if an earlier run was resumed.
    pub(crate) fn close(self, timeout: Duration) -> (WriteLoss, Option<LedgerId>) {
        let (done_tx, done_rx) = mpsc::channel();
        let deadline = Instant::now() + timeout;
        let mut close = WriterCommand::Close(done_tx);
        // The queue is full because the disk hangs; it may recover before the deadline.
        while let Err(TrySendError::Full(command)) = self.command_tx.try_send(close) {
            if Instant::now() >= deadline {
                return (self.loss_after_timeout(), self.resumed_id());
            }
            close = command;
            thread::sleep(Duration::from_millis(10));
        }
        match done_rx.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(()) => (lock_ignoring_poison(&self.shared.loss).clone(), self.resumed_id()),
            Err(_) => (self.loss_after_timeout(), self.resumed_id()),
        }
    }

    fn resumed_id(&self) -> Option<LedgerId> {
        lock_ignoring_poison(&self.shared.resumed_id).clone()
    }

    /// Replies on `done_tx` when all earlier entries are written or counted as lost.
    pub(crate) fn notify_when_written(&self, done_tx: Sender<()>) {
        self.send(WriterCommand::Flush(done_tx));
    }

    /// Turns this ledger into the next attempt of an earlier run. The writer thread does this after the queued lines.
    pub(crate) fn resume(&self) {
        self.send(WriterCommand::Resume);
    }

    fn loss_after_timeout(&self) -> WriteLoss {
        let loss = lock_ignoring_poison(&self.shared.loss).clone();
        let reason = loss.reason.unwrap_or_else(|| "disk not responding".to_owned());
        WriteLoss { lines: loss.lines.max(1), reason: Some(reason) }
    }

    fn send(&self, command: WriterCommand) {
        let sent = match self.blocks_on_full_queue {
            true => self.command_tx.send(command).is_ok(),
            false => self.command_tx.try_send(command).is_ok(),
        };
        if !sent {
            self.shared.count_lost_line(&io::Error::other("disk too slow: write queue full"));
        }
    }
}

impl WriterShared {
    /// Counts a lost line and logs the first loss.
    fn count_lost_line(&self, error: &io::Error) {
        lock_ignoring_poison(&self.loss).lines += 1;
        self.record_failure(error);
    }

    /// Logs the first failure and keeps it as the reason.
    fn record_failure(&self, error: &io::Error) {
        let mut loss = lock_ignoring_poison(&self.loss);
        if loss.reason.is_none() {
            loss.reason = Some(error.to_string());
            tracing::warn!(
                "cannot write the run's ledger: {error}; lost lines are counted in the footprint's notes"
            );
        }
    }
}

struct LedgerWriter<S> {
    store: S,
    shared: Arc<WriterShared>,
    last_sync: Instant,
    /// Whether an epoch has ended since the last synchronisation.
    is_sync_pending: bool,
    /// Whether the file may end in the middle of a line. The next line then starts with a newline.
    is_torn: bool,
    heartbeat_count: u64,
    /// Bytes per slot; zero until the first heartbeat.
    slot_size: usize,
}

impl<S: LedgerStore> LedgerWriter<S> {
    fn run(mut self, command_rx: &Receiver<WriterCommand>) {
        loop {
            match self.next_command(command_rx) {
                Ok(WriterCommand::Line(text)) => self.append(&text),
                Ok(WriterCommand::Heartbeat) => self.write_heartbeat(),
                Ok(WriterCommand::Sync) => self.is_sync_pending = true,
                Ok(WriterCommand::Resume) => self.resume(),
                Ok(WriterCommand::Flush(done_tx)) => drop(done_tx.send(())),
                Ok(WriterCommand::Close(done_tx)) => {
                    self.sync();
                    // If lines were lost, the heartbeat has newer totals than the ledger.
                    if lock_ignoring_poison(&self.shared.loss).lines == 0 {
                        self.store.remove_heartbeat();
                    }
                    // Closes the file and so releases its lock: after the reply, the caller may start another run in
                    // this folder.
                    drop(self);
                    // The receiver may have timed out.
                    let _ = done_tx.send(());
                    return;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.sync(),
            }
            let interval = if self.is_sync_pending { EPOCH_SYNC_INTERVAL } else { SYNC_INTERVAL };
            if self.last_sync.elapsed() >= interval {
                self.sync();
            }
        }
    }

    /// Waits for a command, but no longer than until the next synchronisation is due.
    fn next_command(&self, command_rx: &Receiver<WriterCommand>) -> Result<WriterCommand, RecvTimeoutError> {
        match self.is_sync_pending {
            true => command_rx.recv_timeout(EPOCH_SYNC_INTERVAL.saturating_sub(self.last_sync.elapsed())),
            false => command_rx.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// Writes a line, even after earlier lines were lost: the disk may have space again.
    fn append(&mut self, text: &str) {
        let line = if self.is_torn { format!("\n{text}") } else { text.to_owned() };
        let written = self.store.append(line.as_bytes());
        self.is_torn = written.is_err();
        if let Err(error) = written {
            self.shared.count_lost_line(&error);
        }
    }

    /// If the earlier run cannot be resumed, this one remains separate and gets a note.
    fn resume(&mut self) {
        let entry = match self.store.resume() {
            Ok(Some(id)) => {
                *lock_ignoring_poison(&self.shared.resumed_id) = Some(id.clone());
                LedgerEntry::Resumed { run: id.run, attempt: id.attempt }
            }
            Ok(None) => return,
            Err(error) => {
                tracing::warn!("cannot continue the ledger of the resumed run: {}", error_chain(&error));
                let text = "resumed training: the earlier run has its own, separate footprint".to_owned();
                LedgerEntry::Note { at: 0.0, text }
            }
        };
        if let Ok(text) = line::encode(&entry) {
            self.append(&text);
        }
    }

    fn write_heartbeat(&mut self) {
        let Some(text) = lock_ignoring_poison(&self.shared.pending_heartbeat).take() else { return };
        if self.slot_size == 0 {
            self.slot_size = heartbeat::slot_size(text.len());
        }
        // A heartbeat that no longer fits its slot is skipped; the ledger has a line per minute.
        if text.len() <= self.slot_size {
            let start = (self.heartbeat_count % 2) * self.slot_size as u64;
            self.heartbeat_count += 1;
            // A lost heartbeat costs at most a minute if the run is killed.
            let _ = self.store.write_heartbeat(start, text.as_bytes());
        }
    }

    fn sync(&mut self) {
        if let Err(error) = self.store.sync() {
            self.shared.record_failure(&error);
        }
        // Measured from the end, so that a slow disk is not synchronised continuously.
        (self.last_sync, self.is_sync_pending) = (Instant::now(), false);
    }
}
