//! Pushes to a fake Hub on this machine. One binary, because linking takes longer than running.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers may panic")]

mod faults;
mod finish_hook;
mod fixture;
mod happy_path;
mod isolated;
mod memory;
mod merging;
mod options;
mod retries;
