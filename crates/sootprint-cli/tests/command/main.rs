//! The command as its users run it: the real binary on a scripted power source and the real clock.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "the helpers of tests may fail them")]

mod attach;
mod bad_input;
mod carbon;
mod cards;
mod doctor;
mod drawn;
mod examples;
mod exit_status;
mod handing_on;
mod outputs;
mod push;
mod record;
mod report;
mod room;
mod settings;
mod shell;
mod signals;
