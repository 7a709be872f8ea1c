//! `sootprint run`: measures a command, then records, writes and publishes what was asked for.

use std::process::{Command, ExitCode};
use std::sync::Arc;

use sootprint::{Footprint, Outcome, Run, RunBuilder, runs};
use sootprint_card::{CardOptions, NewCard, Relation, write_card_with};
use sootprint_hub::Publication;
use sootprint_live::CloudMetadata;

use crate::arguments::RunArguments;
use crate::child::{self, Ending, FAILED_BEFORE, NotStarted};
use crate::live_line::LiveLine;
use crate::provider::provider;
use crate::terminal::{say, show, show_warnings};
use crate::{card, die_with_me, push};

/// Measures the command; the exit status is the command's.
pub(crate) fn run(arguments: &RunArguments) -> ExitCode {
    show_warnings();
    let started = builder(arguments).and_then(|builder| Ok(builder.try_start()?));
    let run = match started {
        Ok(run) => run,
        Err(error) => {
            say(error);
            return ExitCode::from(FAILED_BEFORE);
        }
    };

    // A command inside another `sootprint run` is measured by that one, and so are the trainings in it.
    let is_attached = run.is_attached();
    let ending = {
        let _attachments = if is_attached { None } else { listen(&run) };
        let _live_line = LiveLine::start(run.handle());
        let folder = (!is_attached).then_some(arguments.out.as_path());
        command(arguments).and_then(|command| child::run(command, folder))
    };

    match ending {
        Ok(ending) => {
            conclude(run, arguments, ending);
            ExitCode::from(ending.status)
        }
        Err(problem) => {
            run.handle().note(problem.to_string());
            // A run that is dropped without a finish is recorded as failed.
            drop(run);
            say(&problem);
            ExitCode::from(problem.status)
        }
    }
}

fn command(arguments: &RunArguments) -> Result<Command, NotStarted> {
    let command = arguments.command();
    if arguments.die_with_me { die_with_me::bound(&command) } else { Ok(command) }
}

/// Lets the trainings inside the command attach to the run.
#[cfg(unix)]
fn listen(run: &Run) -> Option<sootprint::Attachments> {
    match run.listen() {
        Ok(attachments) => Some(attachments),
        // Without a record there is nothing to attach to.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => {
            say(format_args!(
                "a training that uses sootprint itself will be measured a second time: {error}"
            ));
            None
        }
    }
}

#[cfg(not(unix))]
fn listen(_: &Run) -> Option<()> {
    None
}

fn builder(arguments: &RunArguments) -> anyhow::Result<RunBuilder> {
    let dir = &arguments.out;
    let mut builder = match &arguments.fine_tuning {
        Some(base_model) => Run::fine_tuning(dir, base_model),
        None if arguments.pre_training => Run::pre_training(dir),
        None => Run::unlabelled(dir),
    };
    builder = builder.metadata(Arc::new(CloudMetadata::new()));
    if let Some(provider) = provider(arguments)? {
        builder = builder.provider(provider);
    }
    if let Some(place) = arguments.place {
        builder = builder.place(place);
    }
    if let Some(intensity) = arguments.intensity {
        builder = builder.intensity(intensity);
    }
    if let Some(series) = &arguments.series {
        builder = builder.series(series.clone());
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
fn conclude(run: Run, arguments: &RunArguments, ending: Ending) {
    if let Some(outcome) = ending.outcome() {
        run.handle().outcome(outcome);
    }
    let rank = run.rank();
    let footprint = run.finish();
    child::let_go(ending.status);
    show(&footprint);

    let dir = &arguments.out;
    // Nothing is on the disk when sootprint is off.
    if runs(dir).is_ok_and(|runs| runs.contains(&footprint.run.id)) {
        let dir = dir.display();
        say(format_args!("recorded in {dir}; see it again with `sootprint report {dir}`"));
    }
    // Of several ranks the first one speaks for all.
    if rank > 0 || (arguments.card.is_none() && arguments.push.is_none()) {
        return;
    }
    // A training inside the command says that it stopped early and made its model all the same.
    if !matches!(footprint.run.outcome, Outcome::Completed | Outcome::StoppedEarly) {
        // What a card says of a model must not become what an attempt used that made none.
        let (status, outcome) = (ending.status, footprint.run.outcome.as_str());
        say(format_args!(
            "the command ended with status {status} and its run as {outcome}, so no card is written and nothing is \
             published; run it again"
        ));
        return;
    }
    write(arguments, &footprint);
    publish(arguments, &footprint);
}

fn write(arguments: &RunArguments, footprint: &Footprint) {
    let Some(path) = &arguments.card else { return };
    let options = CardOptions::default().picture(true).relation(arguments.relation.map(Relation::from));
    match write_card_with(path, footprint, &NewCard::default(), &options) {
        Ok(written) => {
            say(format_args!("{} has the emissions", path.display()));
            card::say_written(&written);
        }
        Err(error) => say(format_args!("the card is not written: {error}")),
    }
}

fn publish(arguments: &RunArguments, footprint: &Footprint) {
    let Some(repo) = arguments.push.as_ref().and_then(Option::as_deref) else { return };
    let dir = &arguments.out;
    let publication = Publication::new(footprint, dir, repo)
        .base_card(arguments.base_card)
        .relation(arguments.relation.map(Relation::from));
    match push::publish(publication, dir) {
        Ok(published) => push::say_published(&published),
        Err(error) => {
            say(format_args!("nothing is published: {error}"));
            push::say_staged(dir, repo);
        }
    }
}
