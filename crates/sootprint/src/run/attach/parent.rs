//! The run that measures: it hears what the runs inside it say.

use std::fs::{self, File};
use std::net::Shutdown;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{io, thread};

use sootprint_core::Provider;

use super::training;
use crate::ledger::{Ending, Name, ending};
use crate::run::{Run, RunHandle};

/// The longest path of a socket that every Unix takes, with its closing zero.
const LONGEST_PATH: usize = 104;

/// Lets the runs of other processes attach to a run, until it is dropped: see [`Run::listen`].
#[must_use = "nobody can attach once it is dropped"]
#[derive(Debug)]
pub struct Attachments {
    path: PathBuf,
    outer: Arc<Outer>,
}

/// The run around the trainings, and what they share.
#[derive(Debug)]
pub(super) struct Outer {
    pub(super) run: RunHandle,
    pub(super) name: Name,
    pub(super) provider: Option<Arc<dyn Provider>>,
    is_closing: AtomicBool,
    /// The connections, to be cut at the end.
    streams: Mutex<Vec<(u64, UnixStream)>>,
    /// The connection whose epochs are recorded, and whether it has been said that there was another one.
    speaker: Mutex<Option<u64>>,
    has_noted: AtomicBool,
}

impl Run {
    /// Lets the runs of child processes attach to this one, which they find by `SOOTPRINT_RUN_DIR`: their epochs are
    /// recorded here, and they meter nothing. `sootprint run` calls it; drop what it gives before the run is finished.
    ///
    /// # Errors
    /// When no socket can be made beside the ledger, or when the run has no ledger. A child then measures itself too.
    pub fn listen(&self) -> io::Result<Attachments> {
        let name = self.handle.record().ok_or(io::ErrorKind::NotFound)?;
        let path = name.socket(&self.dir);
        remove_forsaken(&self.dir);
        let listener = with_short_path(&path, |path| UnixListener::bind(path))?;
        let outer = Arc::new(Outer {
            run: self.handle(),
            name,
            provider: self.provider.clone(),
            is_closing: AtomicBool::new(false),
            streams: Mutex::default(),
            speaker: Mutex::new(None),
            has_noted: AtomicBool::new(false),
        });
        let accepts = Arc::clone(&outer);
        spawn("sootprint-attach", move || accept(&accepts, &listener))?;
        Ok(Attachments { path, outer })
    }
}

impl Drop for Attachments {
    fn drop(&mut self) {
        self.outer.is_closing.store(true, Ordering::Release);
        // Wakes the thread that waits for the next one.
        let _ = with_short_path(&self.path, |path| UnixStream::connect(path));
        let _ = fs::remove_file(&self.path);
        for (_, stream) in locked(&self.outer.streams).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Outer {
    /// A run has one epoch at a time: the first training that speaks of epochs is heard until it ends.
    pub(super) fn lets_speak(&self, id: u64) -> bool {
        let is_speaker = *locked(&self.speaker).get_or_insert(id) == id;
        if !is_speaker && !self.has_noted.swap(true, Ordering::Relaxed) {
            let text =
                "several trainings ran at once inside the command: the epochs are those of one of them";
            self.run.note(text);
        }
        is_speaker
    }

    /// The training says nothing more; whether it was the one that was heard.
    pub(super) fn ends_speech(&self, id: u64) -> bool {
        locked(&self.speaker).take_if(|speaker| *speaker == id).is_some()
    }
}

fn accept(outer: &Arc<Outer>, listener: &UnixListener) {
    static NEXT: AtomicU64 = AtomicU64::new(1);

    for stream in listener.incoming() {
        if outer.is_closing.load(Ordering::Acquire) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let outer = Arc::clone(outer);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        // Who is not served measures itself.
        let _ = spawn("sootprint-attached", move || {
            let Ok(cuts) = stream.try_clone() else { return };
            locked(&outer.streams).push((id, cuts));
            training::serve(&outer, id, stream);
            locked(&outer.streams).retain(|(other, _)| *other != id);
        });
    }
}

/// The sockets of processes that were killed: nobody answers there.
fn remove_forsaken(dir: &Path) {
    for name in Name::with_sockets(dir) {
        let path = name.socket(dir);
        let answer = with_short_path(&path, |path| UnixStream::connect(path));
        // In a folder that hosts share, another host's socket refuses this one all the time.
        let is_recorded = matches!(ending(dir, &name), Some(Ending::Locked | Ending::Unlocked(..)));
        if !is_recorded && answer.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
            let _ = fs::remove_file(path);
        }
    }
}

/// A socket's path may have about a hundred bytes. Linux has a short one for every folder that is open.
pub(super) fn with_short_path<T>(path: &Path, act: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) if cfg!(target_os = "linux") && path.as_os_str().len() >= LONGEST_PATH => {
            let folder = File::open(folder)?;
            act(&Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name))
        }
        _ => act(path),
    }
}

pub(super) fn spawn(name: &str, act: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(act).map(drop)
}

/// A panic while the lock was held leaves values that are still good.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
