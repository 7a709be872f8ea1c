//! The lock that a process holds on its ledger. The system releases it when the process ends, for whatever reason.
//!
//! A file system without locks only loses the distinction between a running and a killed process.

use std::fs::{File, TryLockError};
use std::thread;
use std::time::Duration;

/// Other ranks hold a shared lock on a new ledger for a moment, while they test whether it is locked.
const LOCK_RETRIES: u32 = 50;
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LockState {
    /// A process holds the lock.
    Held,
    /// No process holds the lock.
    Free,
    /// The file system does not support locks.
    Unsupported,
}

/// Locks a new ledger for this process, if the file system supports locks.
pub(super) fn acquire_lock(file: &File) {
    for _ in 0..LOCK_RETRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_RETRY_INTERVAL),
            Ok(()) | Err(TryLockError::Error(_)) => return,
        }
    }
}

/// Tests the lock of a ledger. A free lock is then held until `file` is closed.
pub(super) fn lock_state(file: &File) -> LockState {
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => LockState::Held,
        Ok(()) => LockState::Free,
        Err(TryLockError::Error(_)) => LockState::Unsupported,
    }
}
