//! The thread that writes a ledger: neither a training nor the sampling waits for a disk.

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::store::Store;
use super::{Entry, Name, heartbeat, line};

/// So many lines wait for a slow disk: hours of a run's ordinary ones.
const QUEUE: usize = 512;

/// How much a power cut may cost at most, and after the end of an epoch: a disk that had to keep each of many short epochs
/// by itself would have no time for a training's own files.
const SYNC: Duration = Duration::from_secs(30);
const SYNC_OF_AN_EPOCH: Duration = Duration::from_secs(1);

/// A ledger that is being written.
#[derive(Debug)]
pub(crate) struct Ledger {
    commands: SyncSender<Command>,
    shared: Arc<Shared>,
    /// Whether it waits for the disk, as a run on a virtual clock does: its days pass in no time.
    is_patient: bool,
}

/// What could not be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Loss {
    pub(crate) lines: u64,
    /// What the system said first.
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The newest heartbeat that is not written yet: an older one is of no use.
    beat: Mutex<Option<String>>,
    loss: Mutex<Loss>,
    resumed: Mutex<Option<Name>>,
}

enum Command {
    Line(String),
    Beat,
    Sync,
    Resume,
    /// Says when all before it is written.
    Tell(Sender<()>),
    Close(Sender<()>),
}

impl Ledger {
    /// Starts the thread, which ends with the ledger.
    pub(super) fn start(store: impl Store + 'static) -> io::Result<Self> {
        let (commands, received) = mpsc::sync_channel(QUEUE);
        let shared = Arc::<Shared>::default();
        let writer = Writer {
            store,
            shared: Arc::clone(&shared),
            synced: Instant::now(),
            is_sync_wanted: false,
            is_torn: false,
            beats: 0,
            slot: 0,
        };
        thread::Builder::new().name("sootprint-ledger".to_owned()).spawn(move || writer.work(&received))?;
        Ok(Self { commands, shared, is_patient: false })
    }

    /// Lets the run wait for the disk rather than lose a line.
    pub(crate) const fn be_patient(&mut self) {
        self.is_patient = true;
    }

    /// Hands over one line. One that finds no room because the disk hangs is lost, and counted.
    pub(crate) fn append(&self, entry: &Entry) {
        match line::written(entry) {
            Ok(text) => self.send(Command::Line(text)),
            Err(error) => self.shared.lost(&error),
        }
    }

    /// Replaces the heartbeat.
    pub(crate) fn beat(&self, entry: &Entry) {
        if let Ok(text) = line::written(entry)
            && locked(&self.shared.beat).replace(text).is_none()
        {
            // Without room the next one takes the older one's place, and tries again.
            if self.commands.try_send(Command::Beat).is_err() {
                locked(&self.shared.beat).take();
            }
        }
    }

    /// Has the disk keep all lines, within a second or so.
    pub(crate) fn sync(&self) {
        let _ = self.commands.try_send(Command::Sync);
    }

    /// Waits until the disk has all lines, or for so long, and says what it does not have; and as what an earlier run
    /// was resumed, if one was.
    pub(crate) fn close(self, patience: Duration) -> (Loss, Option<Name>) {
        let (tell, told) = mpsc::channel();
        let deadline = Instant::now() + patience;
        let mut close = Command::Close(tell);
        // A queue that is full has a disk before it that hangs, and may come back.
        while let Err(TrySendError::Full(command)) = self.commands.try_send(close) {
            if Instant::now() >= deadline {
                return (self.late(), self.resumed());
            }
            close = command;
            thread::sleep(Duration::from_millis(10));
        }
        match told.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(()) => (locked(&self.shared.loss).clone(), self.resumed()),
            Err(_) => (self.late(), self.resumed()),
        }
    }

    fn resumed(&self) -> Option<Name> {
        locked(&self.shared.resumed).clone()
    }

    /// Says when all that was handed over before is written, but for what is lost.
    pub(crate) fn tell(&self, tell: Sender<()>) {
        self.send(Command::Tell(tell));
    }

    /// Makes this the ledger of the next attempt of an earlier run, some time soon.
    pub(crate) fn resume(&self) {
        self.send(Command::Resume);
    }

    fn late(&self) -> Loss {
        let loss = locked(&self.shared.loss).clone();
        let reason = loss.reason.unwrap_or_else(|| "the disk does not answer".to_owned());
        Loss { lines: loss.lines.max(1), reason: Some(reason) }
    }

    fn send(&self, command: Command) {
        let sent = match self.is_patient {
            true => self.commands.send(command).is_ok(),
            false => self.commands.try_send(command).is_ok(),
        };
        if !sent {
            self.shared.lost(&io::Error::other("the disk does not keep up"));
        }
    }
}

impl Shared {
    /// Counts a line, and says the first loss.
    fn lost(&self, error: &io::Error) {
        locked(&self.loss).lines += 1;
        self.failed(error);
    }

    /// Says the first failure.
    fn failed(&self, error: &io::Error) {
        let mut loss = locked(&self.loss);
        if loss.reason.is_none() {
            loss.reason = Some(error.to_string());
            tracing::warn!(
                "the run's record cannot be written: {error}; the training goes on, and what is lost is counted"
            );
        }
    }
}

struct Writer<S> {
    store: S,
    shared: Arc<Shared>,
    synced: Instant,
    /// Whether an epoch has ended since.
    is_sync_wanted: bool,
    /// Whether the file may end within a line: the next one begins anew.
    is_torn: bool,
    beats: u64,
    /// Bytes of a slot; zero until the first beat.
    slot: usize,
}

impl<S: Store> Writer<S> {
    fn work(mut self, commands: &Receiver<Command>) {
        loop {
            match self.next(commands) {
                Ok(Command::Line(text)) => self.append(&text),
                Ok(Command::Beat) => self.beat(),
                Ok(Command::Sync) => self.is_sync_wanted = true,
                Ok(Command::Resume) => self.resume(),
                Ok(Command::Tell(tell)) => drop(tell.send(())),
                Ok(Command::Close(tell)) => {
                    self.sync();
                    // Of lines that are lost the heartbeat knows the sum.
                    if locked(&self.shared.loss).lines == 0 {
                        self.store.end();
                    }
                    // The lock goes with the files: who is told may begin another run in the folder at once.
                    drop(self);
                    // Who waits may have lost patience.
                    let _ = tell.send(());
                    return;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.sync(),
            }
            let patience = if self.is_sync_wanted { SYNC_OF_AN_EPOCH } else { SYNC };
            if self.synced.elapsed() >= patience {
                self.sync();
            }
        }
    }

    /// Waits for a command, but not longer than a disk may wait for what it is to keep.
    fn next(&self, commands: &Receiver<Command>) -> Result<Command, RecvTimeoutError> {
        match self.is_sync_wanted {
            true => commands.recv_timeout(SYNC_OF_AN_EPOCH.saturating_sub(self.synced.elapsed())),
            false => commands.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// After a loss each line is tried all the same: a disk may have room again, and totals say what came before.
    fn append(&mut self, text: &str) {
        let begun_anew = if self.is_torn { format!("\n{text}") } else { text.to_owned() };
        let written = self.store.append(begun_anew.as_bytes());
        self.is_torn = written.is_err();
        if let Err(error) = written {
            self.shared.lost(&error);
        }
    }

    /// A run that cannot be resumed stays one by itself, and its record says why.
    fn resume(&mut self) {
        let entry = match self.store.resume() {
            Ok(Some(name)) => {
                *locked(&self.shared.resumed) = Some(name.clone());
                Entry::Resumed { run: name.run, attempt: name.attempt }
            }
            Ok(None) => return,
            Err(error) => {
                tracing::warn!("the training was resumed and its earlier record is not: {error}");
                let text = "the training was resumed; its earlier run is recorded apart".to_owned();
                Entry::Note { at: 0.0, text }
            }
        };
        if let Ok(text) = line::written(&entry) {
            self.append(&text);
        }
    }

    fn beat(&mut self) {
        let Some(text) = locked(&self.shared.beat).take() else { return };
        if self.slot == 0 {
            self.slot = heartbeat::slot_size(text.len());
        }
        // One that has outgrown its slot leaves the minute's line to speak.
        if text.len() <= self.slot {
            let start = (self.beats % 2) * self.slot as u64;
            self.beats += 1;
            // What is lost with it is at most a minute, and the lines' losses are counted.
            let _ = self.store.beat(start, text.as_bytes());
        }
    }

    fn sync(&mut self) {
        if let Err(error) = self.store.sync() {
            self.shared.failed(&error);
        }
        // A disk that took long for it is left alone for as long as any other.
        (self.synced, self.is_sync_wanted) = (Instant::now(), false);
    }
}

/// A panic while the lock was held leaves a value that is still good: each is replaced whole.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
