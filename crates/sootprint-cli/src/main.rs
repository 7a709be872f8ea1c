//! The command `sootprint`: measures any training, reports what was measured, estimates what was not, and says what can
//! be.
//!
//! # Limits
//! - The boards count on which the driver lists a process of the command; where it lists none, all that the machine shows
//!   to CUDA do.
//! - While the command runs, a signal that one process sends to the whole process group reaches the command twice:
//!   from its sender and from sootprint, which cannot see that it was sent to both.
//! - The live line and the command share the terminal: each begins a new line after the other, and a line that the
//!   command has not ended may be overwritten.
//! - Outside Unix the client of the Hub's storage keeps its own settings: it posts figures about transfers, and is
//!   slow to give up a storage that is not there.
//! - Outside Unix no signal is passed on, and Ctrl-C ends sootprint without a last line in the record.

#![forbid(unsafe_code)]

mod arguments;
mod card;
mod child;
mod die_with_me;
mod doctor;
mod environment;
mod estimate;
mod grid;
mod layout;
mod live_line;
mod progress;
mod provider;
mod push;
mod report;
mod run;
mod shell;
#[cfg(unix)]
mod signals;
mod terminal;
mod verify;

use std::process::ExitCode;

use clap::Parser as _;

use arguments::{Arguments, Subcommand};

fn main() -> ExitCode {
    if let Some(status) = die_with_me::become_command() {
        return status;
    }
    let subcommand = Arguments::parse().subcommand;
    if subcommand.publishes() {
        environment::prepare();
    }
    let result = match subcommand {
        // Its exit status is that of the command that it measures.
        Subcommand::Run(mut arguments) => {
            arguments.push = arguments.push.map(|named| Some(push::repository_or_exit(named)));
            return run::run(&arguments);
        }
        Subcommand::Estimate(arguments) => estimate::estimate(&arguments),
        Subcommand::Grid(arguments) => grid::grid(&arguments),
        Subcommand::Report(arguments) => report::report(&arguments),
        Subcommand::Verify(arguments) => verify::verify(&arguments),
        Subcommand::Push(arguments) => push::push(&arguments),
        Subcommand::Card(arguments) => card::card(&arguments.act),
        Subcommand::Doctor(arguments) => doctor::doctor(&arguments),
        Subcommand::Completions(arguments) => shell::completions(&arguments),
        Subcommand::Man(arguments) => shell::man(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::say(format_args!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
