//! The thread that writes a ledger: neither a training nor the sampling waits for a disk.

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::store::LedgerStore;
use super::{LedgerEntry, LedgerId, heartbeat, line};

/// So many lines wait for a slow disk: hours of a run's ordinary ones.
const QUEUE_CAPACITY: usize = 512;

/// How much a power cut may cost at most, and after the end of an epoch: a disk that had to keep each of many short epochs
/// by itself would have no time for a training's own files.
const SYNC_INTERVAL: Duration = Duration::from_secs(30);
const EPOCH_SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// A ledger that is being written.
#[derive(Debug)]
pub(crate) struct Ledger {
    command_tx: SyncSender<WriterCommand>,
    shared: Arc<WriterShared>,
    /// Whether it waits for the disk, as a run on a virtual clock does: its days pass in no time.
    blocks_on_full_queue: bool,
}

/// What could not be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct WriteLoss {
    pub(crate) lines: u64,
    /// What the system said first.
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Default)]
struct WriterShared {
    /// The newest heartbeat that is not written yet: an older one is of no use.
    pending_heartbeat: Mutex<Option<String>>,
    loss: Mutex<WriteLoss>,
    resumed_id: Mutex<Option<LedgerId>>,
}

enum WriterCommand {
    Line(String),
    Heartbeat,
    Sync,
    Resume,
    /// Says when all before it is written.
    Flush(Sender<()>),
    Close(Sender<()>),
}

impl Ledger {
    /// Starts the thread, which ends with the ledger.
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

    /// Lets the run wait for the disk rather than lose a line.
    pub(crate) const fn block_on_full_queue(&mut self) {
        self.blocks_on_full_queue = true;
    }

    /// Hands over one line. One that finds no room because the disk hangs is lost, and counted.
    pub(crate) fn append(&self, entry: &LedgerEntry) {
        match line::encode(entry) {
            Ok(text) => self.send(WriterCommand::Line(text)),
            Err(error) => self.shared.count_lost_line(&error),
        }
    }

    /// Replaces the heartbeat.
    pub(crate) fn write_heartbeat(&self, entry: &LedgerEntry) {
        if let Ok(text) = line::encode(entry)
            && lock_ignoring_poison(&self.shared.pending_heartbeat).replace(text).is_none()
        {
            // Without room the next one takes the older one's place, and tries again.
            if self.command_tx.try_send(WriterCommand::Heartbeat).is_err() {
                lock_ignoring_poison(&self.shared.pending_heartbeat).take();
            }
        }
    }

    /// Has the disk keep all lines, within a second or so.
    pub(crate) fn sync(&self) {
        let _ = self.command_tx.try_send(WriterCommand::Sync);
    }

    /// Waits until the disk has all lines, or for so long, and says what it does not have; and as what an earlier run
    /// was resumed, if one was.
    pub(crate) fn close(self, timeout: Duration) -> (WriteLoss, Option<LedgerId>) {
        let (done_tx, done_rx) = mpsc::channel();
        let deadline = Instant::now() + timeout;
        let mut close = WriterCommand::Close(done_tx);
        // A queue that is full has a disk before it that hangs, and may come back.
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

    /// Says when all that was handed over before is written, but for what is lost.
    pub(crate) fn notify_when_written(&self, done_tx: Sender<()>) {
        self.send(WriterCommand::Flush(done_tx));
    }

    /// Makes this the ledger of the next attempt of an earlier run, some time soon.
    pub(crate) fn resume(&self) {
        self.send(WriterCommand::Resume);
    }

    fn loss_after_timeout(&self) -> WriteLoss {
        let loss = lock_ignoring_poison(&self.shared.loss).clone();
        let reason = loss.reason.unwrap_or_else(|| "the disk does not answer".to_owned());
        WriteLoss { lines: loss.lines.max(1), reason: Some(reason) }
    }

    fn send(&self, command: WriterCommand) {
        let sent = match self.blocks_on_full_queue {
            true => self.command_tx.send(command).is_ok(),
            false => self.command_tx.try_send(command).is_ok(),
        };
        if !sent {
            self.shared.count_lost_line(&io::Error::other("the disk does not keep up"));
        }
    }
}

impl WriterShared {
    /// Counts a line, and says the first loss.
    fn count_lost_line(&self, error: &io::Error) {
        lock_ignoring_poison(&self.loss).lines += 1;
        self.record_failure(error);
    }

    /// Says the first failure.
    fn record_failure(&self, error: &io::Error) {
        let mut loss = lock_ignoring_poison(&self.loss);
        if loss.reason.is_none() {
            loss.reason = Some(error.to_string());
            tracing::warn!(
                "the run's record cannot be written: {error}; the training goes on, and what is lost is counted"
            );
        }
    }
}

struct LedgerWriter<S> {
    store: S,
    shared: Arc<WriterShared>,
    last_sync: Instant,
    /// Whether an epoch has ended since.
    is_sync_pending: bool,
    /// Whether the file may end within a line: the next one begins anew.
    is_torn: bool,
    heartbeat_count: u64,
    /// Bytes of a slot; zero until the first beat.
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
                    // Of lines that are lost the heartbeat knows the sum.
                    if lock_ignoring_poison(&self.shared.loss).lines == 0 {
                        self.store.remove_heartbeat();
                    }
                    // The lock goes with the files: who is told may begin another run in the folder at once.
                    drop(self);
                    // Who waits may have lost patience.
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

    /// Waits for a command, but not longer than a disk may wait for what it is to keep.
    fn next_command(&self, command_rx: &Receiver<WriterCommand>) -> Result<WriterCommand, RecvTimeoutError> {
        match self.is_sync_pending {
            true => command_rx.recv_timeout(EPOCH_SYNC_INTERVAL.saturating_sub(self.last_sync.elapsed())),
            false => command_rx.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// After a loss each line is tried all the same: a disk may have room again, and totals say what came before.
    fn append(&mut self, text: &str) {
        let line = if self.is_torn { format!("\n{text}") } else { text.to_owned() };
        let written = self.store.append(line.as_bytes());
        self.is_torn = written.is_err();
        if let Err(error) = written {
            self.shared.count_lost_line(&error);
        }
    }

    /// A run that cannot be resumed stays one by itself, and its record says why.
    fn resume(&mut self) {
        let entry = match self.store.resume() {
            Ok(Some(name)) => {
                *lock_ignoring_poison(&self.shared.resumed_id) = Some(name.clone());
                LedgerEntry::Resumed { run: name.run, attempt: name.attempt }
            }
            Ok(None) => return,
            Err(error) => {
                tracing::warn!("the training was resumed and its earlier record is not: {error}");
                let text = "the training was resumed; its earlier run is recorded apart".to_owned();
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
        // One that has outgrown its slot leaves the minute's line to speak.
        if text.len() <= self.slot_size {
            let start = (self.heartbeat_count % 2) * self.slot_size as u64;
            self.heartbeat_count += 1;
            // What is lost with it is at most a minute, and the lines' losses are counted.
            let _ = self.store.write_heartbeat(start, text.as_bytes());
        }
    }

    fn sync(&mut self) {
        if let Err(error) = self.store.sync() {
            self.shared.record_failure(&error);
        }
        // A disk that took long for it is left alone for as long as any other.
        (self.last_sync, self.is_sync_pending) = (Instant::now(), false);
    }
}

/// A panic while the lock was held leaves a value that is still good: each is replaced whole.
fn lock_ignoring_poison<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
