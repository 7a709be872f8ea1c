//! A lock on the folder of a card, held from reading the card to writing it.
//!
//! The folder itself is locked: each writer replaces the card's file, and a separate lock file would be left behind or
//! published. The system releases the lock if its holder dies.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};
use std::{io, thread};

use sootprint_core::file::parent_dir;

/// The lock of one writer on a folder.
///
/// On a file system that does not lock folders, there is no lock: each card is still written as a whole, but one of two
/// concurrent changes may be lost.
#[derive(Debug)]
pub(crate) struct DirLock {
    _dir: Option<File>,
}

impl DirLock {
    /// Waits for other writers.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if another writer still holds the lock after `timeout`.
    pub(crate) fn acquire(card: &Path, timeout: Duration) -> io::Result<Self> {
        let Ok(dir) = File::open(parent_dir(card)) else { return Ok(Self { _dir: None }) };
        let deadline = Instant::now() + timeout;
        loop {
            match dir.try_lock() {
                Ok(()) => return Ok(Self { _dir: Some(dir) }),
                Err(TryLockError::Error(_)) => return Ok(Self { _dir: None }),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    thread::sleep(LOCK_RETRY_INTERVAL)
                }
                Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::WouldBlock.into()),
            }
        }
    }
}

/// Writing a card takes milliseconds, and a hundred concurrent writers some seconds. A longer wait means that the holder
/// is stuck.
pub(crate) const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// The time between two attempts to lock.
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(5);

#[cfg(all(test, unix))]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn dir_lock_is_exclusive_until_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let card = dir.path().join("README.md");
        let (waited, holder) = (dir.path().join("held"), DirLock::acquire(&card, LOCK_TIMEOUT).unwrap());
        assert!(holder._dir.is_some(), "folders cannot be locked on this system");
        let error = DirLock::acquire(&card, Duration::ZERO).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        thread::scope(|scope| {
            let second = scope.spawn(|| {
                let _lock = DirLock::acquire(&card, LOCK_TIMEOUT).unwrap();
                assert!(waited.exists(), "the lock was acquired while another thread held it");
            });
            thread::sleep(Duration::from_millis(50));
            fs::write(&waited, "").unwrap();
            drop(holder);
            second.join().unwrap();
        });
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "the lock left a file behind");
    }
}
