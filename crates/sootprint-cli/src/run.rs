//! `sootprint run`: measures a command, then writes the card and pushes the model if requested.

use std::process::{Command, ExitCode};
use std::sync::Arc;

use sootprint::{Footprint, LedgerError, Run, RunBuilder, RunStatus, StartError, list_runs};
use sootprint_card::{BaseModelRelation, CardOptions, CardWriter};
use sootprint_hub::ModelUpload;
use sootprint_live::InstanceMetadataClient;

use crate::args::RunArgs;
use crate::command::{self, CommandExit, EXIT_SETUP_FAILED, SpawnError};
use crate::error_text::describe_error;
use crate::intensity_provider::selected_provider;
use crate::new_card::card_template;
use crate::project_settings::eprint_project_settings;
use crate::status_line::StatusLine;
use crate::surviving_processes::SurvivingProcess;
use crate::terminal::{eprint_message, eprint_text, log_warnings_to_stderr};
use crate::{card, death_signal, nvml_helper, push};

/// Measures the command and returns its exit status.
pub(crate) fn run(arguments: &RunArgs) -> ExitCode {
    log_warnings_to_stderr();
    eprint_project_settings();
    let run = match start_run(arguments) {
        Ok(run) => run,
        Err(error) => {
            eprint_message(describe_error(error.as_ref()));
            return ExitCode::from(EXIT_SETUP_FAILED);
        }
    };

    // Inside another `sootprint run`, the outer one measures the command and the trainings in it.
    let is_nested = run.is_nested();
    let ended = {
        let _listener = if is_nested { None } else { start_nested_listener(&run) };
        let _status_line = StatusLine::start(run.handle());
        let run_dir = (!is_nested).then_some(arguments.out.as_path());
        build_command(arguments).and_then(|command| command::run(command, run_dir))
    };

    match ended {
        Ok(ended) => {
            let exit = ended.exit;
            note_survivors(&run, &ended.survivors);
            let handle = run.handle();
            ended.on_stop_signal(move || handle.finish_without_waiting());
            finish_run(run, arguments, exit);
            exit.exit_code()
        }
        Err(error) => {
            run.handle().add_note(error.to_string());
            // A run dropped without `finish` is recorded as failed.
            drop(run);
            eprint_message(&error);
            ExitCode::from(error.status)
        }
    }
}

fn start_run(arguments: &RunArgs) -> anyhow::Result<Run> {
    match run_builder(arguments)?.try_start() {
        // Another run in the same folder does not keep the command from running.
        Err(StartError::Ledger(LedgerError::Busy { .. })) => Ok(run_builder(arguments)?.start()),
        started => Ok(started?),
    }
}

fn build_command(arguments: &RunArgs) -> Result<Command, SpawnError> {
    let command = arguments.command();
    if arguments.kill_child { death_signal::with_death_signal(&command) } else { Ok(command) }
}

/// Lets trainings inside the command attach to the run.
#[cfg(unix)]
fn start_nested_listener(run: &Run) -> Option<sootprint::NestedRunListener> {
    match run.accept_nested_runs() {
        Ok(listener) => Some(listener),
        // No folder, as with SOOTPRINT=off: there is no record to attach to.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => {
            eprint_message(format_args!(
                "cannot accept nested runs, so a training that uses sootprint is measured twice: {}",
                describe_error(&error)
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
    if let Some(helper) = nvml_helper::helper_command() {
        builder = builder.nvml_helper(helper);
    }
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
    if let Some(baseline) = arguments.baseline {
        builder = builder.idle_baseline(baseline);
    }
    if arguments.resume {
        builder = builder.resume();
    }
    Ok(builder)
}

/// Reports the processes of the command that are still running.
fn note_survivors(run: &Run, survivors: &[SurvivingProcess]) {
    const LISTED: usize = 5;

    let count = survivors.len();
    if count == 0 {
        return;
    }
    let (processes, are) = if count == 1 { ("process", "is") } else { ("processes", "are") };
    let what = format!("{count} {processes} of the command {are} still running after its end");
    run.handle().add_note(format!("{what}: the energy used from then on is not counted"));
    let mut list: Vec<String> =
        survivors.iter().take(LISTED).map(|process| format!("{} ({})", process.pid, process.name)).collect();
    if count > LISTED {
        list.push(format!("{} more", count - LISTED));
    }
    eprint_message(format_args!("{what}, and no longer measured: {}", list.join(", ")));
}

/// Finishes the record, prints it, and writes and pushes the card. Failures do not change the exit status.
fn finish_run(run: Run, arguments: &RunArgs, exit: CommandExit) {
    if let Some(status) = exit.run_status() {
        run.handle().set_status(status);
    }
    let rank = run.rank();
    let footprint = run.finish();
    command::restore_signal_handling(exit.status);
    eprint_text(&footprint);

    let dir = &arguments.out;
    // With SOOTPRINT=off nothing is recorded.
    if list_runs(dir).is_ok_and(|runs| runs.contains(&footprint.run.id)) {
        let dir = dir.display();
        eprint_message(format_args!("recorded in {dir}; see it again with `sootprint report {dir}`"));
    }
    // Only rank 0 writes the card and pushes.
    if rank > 0 || (arguments.card.is_none() && arguments.push.is_none()) {
        return;
    }
    // The command's own status decides, whatever could be recorded. A nested training may report an early stop, which
    // still produces a model.
    let has_model = matches!(footprint.run.outcome, RunStatus::Completed | RunStatus::StoppedEarly);
    if exit.run_status().is_some() || !has_model {
        // The card describes a model, and a failed attempt has produced none.
        let (status, outcome) = (exit.status, footprint.run.outcome.as_str());
        eprint_message(format_args!(
            "card not written, nothing pushed: the command exited with status {status}; the run is recorded as {outcome}"
        ));
        return;
    }
    write_model_card(arguments, &footprint);
    push_model(arguments, &footprint);
}

fn write_model_card(arguments: &RunArgs, footprint: &Footprint) {
    let Some(path) = &arguments.card else { return };
    let options = CardOptions::default().plot(true).relation(arguments.relation.map(BaseModelRelation::from));
    match CardWriter::new(footprint).options(options).template(card_template(&arguments.fields)).write(path) {
        Ok(update) => {
            eprint_message(format_args!("wrote the emissions into {}", path.display()));
            card::eprint_card_update(&update);
        }
        Err(error) => eprint_message(format_args!("card not written: {}", describe_error(&error))),
    }
}

fn push_model(arguments: &RunArgs, footprint: &Footprint) {
    let Some(repo) = arguments.push.as_ref().and_then(Option::as_ref) else { return };
    let dir = &arguments.out;
    let upload = push::with_options(ModelUpload::new(footprint, dir, &repo.to_string()), &arguments.upload)
        .card_template(card_template(&arguments.fields))
        .include_base_model_emissions(arguments.base_card)
        .relation(arguments.relation.map(BaseModelRelation::from));
    match push::push_with_progress(upload, dir) {
        Ok(report) => push::eprint_push_report(&report),
        Err(error) => {
            eprint_message(format_args!("nothing pushed: {}", describe_error(&error)));
            push::eprint_staged_hint(dir, &error);
        }
    }
}
