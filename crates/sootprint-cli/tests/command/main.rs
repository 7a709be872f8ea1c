//! Tests of the real binary, with a scripted power source and the real clock.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers may panic")]

mod after_command;
mod bad_input;
mod carbon;
mod cards;
mod charts;
mod docs;
mod doctor;
mod driver_faults;
mod examples;
mod exit_status;
mod help;
mod nested;
mod outputs;
mod push;
mod ranks;
mod record;
mod report;
mod sandbox;
mod settings;
mod signals;
