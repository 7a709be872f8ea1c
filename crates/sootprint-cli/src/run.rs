//! `sootprint run`: measures a command, then records, writes and publishes what was asked for.

use std::process::{Command, ExitCode};
use std::sync::Arc;

use sootprint::{Footprint, Run, RunBuilder, RunStatus, list_runs};
use sootprint_card::{BaseModelRelation, CardOptions, CardWriter};
use sootprint_hub::ModelUpload;
use sootprint_live::InstanceMetadataClient;

use crate::args::RunArgs;
use crate::command::{self, CommandExit, EXIT_SETUP_FAILED, SpawnError};
use crate::intensity_provider::selected_provider;
use crate::status_line::StatusLine;
use crate::terminal::{eprint_message, eprint_text, log_warnings_to_stderr};
use crate::{card, death_signal, push};

/// Measures the command; the exit status is the command's.
pub(crate) fn run(arguments: &RunArgs) -> ExitCode {
    log_warnings_to_stderr();
    let started = run_builder(arguments).and_then(|builder| Ok(builder.try_start()?));
    let run = match started {
        Ok(run) => run,
        Err(error) => {
            eprint_message(error);
            return ExitCode::from(EXIT_SETUP_FAILED);
        }
    };

    // A command inside another `sootprint run` is measured by that one, and so are the trainings in it.
    let is_nested = run.is_nested();
    let exit = {
        let _listener = if is_nested { None } else { start_nested_listener(&run) };
        let _live_line = StatusLine::start(run.handle());
        let folder = (!is_nested).then_some(arguments.out.as_path());
        build_command(arguments).and_then(|command| command::run(command, folder))
    };

    match exit {
        Ok(exit) => {
            finish_run(run, arguments, exit);
            ExitCode::from(exit.status)
        }
        Err(error) => {
            run.handle().add_note(error.to_string());
            // A run that is dropped without a finish is recorded as failed.
            drop(run);
            eprint_message(&error);
            ExitCode::from(error.status)
        }
    }
}

fn build_command(arguments: &RunArgs) -> Result<Command, SpawnError> {
    let command = arguments.command();
    if arguments.kill_child { death_signal::with_death_signal(&command) } else { Ok(command) }
}

/// Lets the trainings inside the command attach to the run.
#[cfg(unix)]
fn start_nested_listener(run: &Run) -> Option<sootprint::NestedRunListener> {
    match run.accept_nested_runs() {
        Ok(listener) => Some(listener),
        // Without a record there is nothing to attach to.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => {
            eprint_message(format_args!(
                "a training that uses sootprint itself will be measured a second time: {error}"
            ));
            None
        }
    }
}

#[cfg(not(unix))]
fn start_nested_listener(_: &Run) -> Option<()> {
    None
}

fn run_builder(arguments: &RunArgs) -> anyhow::Result<RunBuilder> {
    let dir = &arguments.out;
    let mut builder = match &arguments.fine_tuning {
        Some(base_model) => Run::fine_tuning(dir, base_model),
        None if arguments.pre_training => Run::pre_training(dir),
        None => Run::untyped(dir),
    };
    builder = builder.cloud_metadata(Arc::new(InstanceMetadataClient::new()));
    if let Some(provider) = selected_provider(arguments)? {
        builder = builder.intensity_provider(provider);
    }
    if let Some(place) = arguments.place {
        builder = builder.place(place);
    }
    if let Some(intensity) = arguments.intensity {
        builder = builder.intensity(intensity);
    }
    if let Some(series) = &arguments.series {
        builder = builder.intensity_series(series.clone());
    }
    if let Some(pue) = arguments.pue {
        builder = builder.pue(pue);
    }
    if arguments.resume {
        builder = builder.resume();
    }
    Ok(builder)
}

/// Closes the record, shows it, and hands it on. Nothing here changes the exit status.
fn finish_run(run: Run, arguments: &RunArgs, exit: CommandExit) {
    if let Some(outcome) = exit.run_status() {
        run.handle().set_status(outcome);
    }
    let rank = run.rank();
    let footprint = run.finish();
    command::restore_signal_handling(exit.status);
    eprint_text(&footprint);

    let dir = &arguments.out;
    // Nothing is on the disk when sootprint is off.
    if list_runs(dir).is_ok_and(|runs| runs.contains(&footprint.run.id)) {
        let dir = dir.display();
        eprint_message(format_args!("recorded in {dir}; see it again with `sootprint report {dir}`"));
    }
    // Of several ranks the first one speaks for all.
    if rank > 0 || (arguments.card.is_none() && arguments.push.is_none()) {
        return;
    }
    // A training inside the command says that it stopped early and made its model all the same.
    if !matches!(footprint.run.outcome, RunStatus::Completed | RunStatus::StoppedEarly) {
        // What a card says of a model must not become what an attempt used that made none.
        let (status, outcome) = (exit.status, footprint.run.outcome.as_str());
        eprint_message(format_args!(
            "the command ended with status {status} and its run as {outcome}, so no card is written and nothing is \
             published; run it again"
        ));
        return;
    }
    write_model_card(arguments, &footprint);
    push_model(arguments, &footprint);
}

fn write_model_card(arguments: &RunArgs, footprint: &Footprint) {
    let Some(path) = &arguments.card else { return };
    let options = CardOptions::default().plot(true).relation(arguments.relation.map(BaseModelRelation::from));
    match CardWriter::new(footprint).options(options).write(path) {
        Ok(update) => {
            eprint_message(format_args!("{} has the emissions", path.display()));
            card::eprint_card_update(&update);
        }
        Err(error) => eprint_message(format_args!("the card is not written: {error}")),
    }
}

fn push_model(arguments: &RunArgs, footprint: &Footprint) {
    let Some(repo) = arguments.push.as_ref().and_then(Option::as_deref) else { return };
    let dir = &arguments.out;
    let upload = ModelUpload::new(footprint, dir, repo)
        .include_base_model_emissions(arguments.base_card)
        .relation(arguments.relation.map(BaseModelRelation::from));
    match push::push_with_progress(upload, dir) {
        Ok(report) => push::eprint_push_report(&report),
        Err(error) => {
            eprint_message(format_args!("nothing is published: {error}"));
            push::eprint_staged_hint(dir, repo);
        }
    }
}
