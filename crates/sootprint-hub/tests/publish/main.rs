//! Publications against a Hub on this machine. One binary for all, since linking costs more than running.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may stop at the first surprise, too")]

mod basics;
mod bench;
mod choices;
mod faults;
mod finish;
#[path = "../isolated/mod.rs"]
mod isolated;
mod memory;
mod merging;
mod sequences;
