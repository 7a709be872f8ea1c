//! The command as its users run it: the real binary on a scripted power source and the real clock.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "the helpers of tests may fail them")]

mod attach;
mod carbon;
mod doctor;
mod exit_status;
mod handing_on;
mod push;
mod record;
mod report;
mod room;
mod signals;
