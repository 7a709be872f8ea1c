//! The command `sootprint`: measures a training, reports and pushes its footprint, estimates trainings that were not
//! measured, and diagnoses what the machine can measure.
//!
//! # Limits
//! - The GPUs counted are those on which the driver lists a process of the command; if it lists none, all GPUs
//!   visible to CUDA are counted.
//! - While the command runs, signals sent to sootprint are forwarded after 50 ms, and one that arrives again within this
//!   time counts once; of a real-time signal, five are kept. SIGTTIN and SIGTTOU, SIGPIPE, and the signals of a fault (such as
//!   SIGSEGV) are not forwarded.
//! - The status line and the command share the terminal: an unfinished line of the command may be overwritten.
//! - Outside Unix, the Hub's storage client keeps its own settings: it posts transfer statistics, and takes a long
//!   time to give up on an unreachable server.
//! - Outside Unix, no signal is forwarded, and Ctrl-C ends sootprint without a final entry in the ledger.

#![forbid(unsafe_code)]

mod args;
mod card;
mod command;
mod completions;
mod death_signal;
mod doctor;
mod error_text;
mod estimate;
mod grid;
#[cfg(unix)]
mod group_observer;
mod hf_env;
mod intensity_provider;
mod new_card;
mod nvml_helper;
#[cfg(unix)]
mod process_ids;
mod project_settings;
mod push;
mod records;
mod report;
mod run;
#[cfg(unix)]
mod signal_list;
#[cfg(unix)]
mod signals;
mod status_line;
mod surviving_processes;
mod terminal;
mod upload_progress;
mod verify;
mod wrap;

use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

use args::{CliArgs, CliCommand};
use error_text::describe_error;

fn main() -> ExitCode {
    if let Some(status) = death_signal::exec_if_wrapper() {
        return status;
    }
    if let Some(status) = nvml_helper::serve_if_helper() {
        return status;
    }
    #[cfg(unix)]
    if let Some(status) = group_observer::serve_if_observer() {
        return status;
    }
    let subcommand = CliArgs::parse().subcommand;
    if subcommand.may_publish() {
        hf_env::reexec_with_defaults();
    }
    let result = match subcommand {
        // Exits with the status of the measured command.
        CliCommand::Run(mut arguments) => {
            if arguments.push.is_none()
                && let [option, ..] = arguments.upload.given()[..]
            {
                let message = format!("{option} needs --push");
                args::exit_with_usage_error("run", ErrorKind::MissingRequiredArgument, &message);
            }
            if arguments.push.is_none()
                && arguments.card.is_none()
                && let Some(option) = arguments.fields.first_given()
            {
                let message = format!("{option} needs --card or --push");
                args::exit_with_usage_error("run", ErrorKind::MissingRequiredArgument, &message);
            }
            arguments.push = arguments.push.map(|repo| Some(push::repository_or_exit("run", repo)));
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
            terminal::eprint_message(describe_error(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
