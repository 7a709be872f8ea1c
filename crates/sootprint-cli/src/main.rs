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

mod args;
mod card;
mod command;
mod completions;
mod death_signal;
mod doctor;
mod estimate;
mod grid;
mod hf_env;
mod intensity_provider;
mod push;
mod report;
mod run;
#[cfg(unix)]
mod signals;
mod status_line;
mod terminal;
mod upload_progress;
mod verify;
mod wrap;

use std::process::ExitCode;

use clap::Parser as _;

use args::{CliArgs, CliCommand};

fn main() -> ExitCode {
    if let Some(status) = death_signal::exec_if_wrapper() {
        return status;
    }
    let subcommand = CliArgs::parse().subcommand;
    if subcommand.may_publish() {
        hf_env::reexec_with_defaults();
    }
    let result = match subcommand {
        // Its exit status is that of the command that it measures.
        CliCommand::Run(mut arguments) => {
            arguments.push = arguments.push.map(|named| Some(push::repository_or_exit(named)));
            return run::run(&arguments);
        }
        CliCommand::Estimate(arguments) => estimate::print_estimate(&arguments),
        CliCommand::Grid(arguments) => grid::print_grid(&arguments),
        CliCommand::Report(arguments) => report::print_report(&arguments),
        CliCommand::Verify(arguments) => verify::verify(&arguments),
        CliCommand::Push(arguments) => push::push(&arguments),
        CliCommand::Card(arguments) => card::run_card(&arguments.command),
        CliCommand::Doctor(arguments) => doctor::run_doctor(&arguments),
        CliCommand::Completions(arguments) => completions::print_completions(&arguments),
        CliCommand::Man(arguments) => completions::print_man_page(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::eprint_message(format_args!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
