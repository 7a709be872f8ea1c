//! Publications against a Hub on this machine. One binary for all, since linking costs more than running.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may stop at the first surprise, too")]

mod faults;
mod finish_hook;
mod fixture;
mod happy_path;
#[path = "../isolated/mod.rs"]
mod isolated;
mod memory;
mod merging;
mod options;
mod retries;
