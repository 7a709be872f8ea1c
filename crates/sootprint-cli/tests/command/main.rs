//! The command as its users run it: the real binary on a scripted power source and the real clock.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "the helpers of tests may fail them")]

mod after_command;
mod bad_input;
mod carbon;
mod cards;
mod charts;
mod doctor;
mod examples;
mod exit_status;
mod help;
mod nested;
mod outputs;
mod push;
mod record;
mod report;
mod sandbox;
mod settings;
mod signals;
