//! `sootprint push`: publishes a folder, or says what would be published.

use std::io;
use std::path::Path;

use anyhow::{Context as _, bail};
use sootprint::{Footprint, LedgerError, recover, runs};
use sootprint_hub::{Plan, Publication, PublishError, Published, staged};

use crate::arguments::PushArguments;
use crate::progress::Progress;
use crate::terminal::{print, say, show_warnings};

/// Publishes; an error is what is shown last.
pub(crate) fn push(arguments: &PushArguments) -> anyhow::Result<()> {
    show_warnings();
    let PushArguments { dir, repo, .. } = arguments;
    let publication = publication(arguments, &footprint(dir)?);
    if arguments.dry_run {
        print(&plan(&publication.plan()?))?;
        return Ok(());
    }
    match publish(publication, dir) {
        Ok(published) => {
            say_published(&published);
            Ok(())
        }
        Err(error) => {
            say_staged(dir, repo);
            bail!(error)
        }
    }
}

/// Publishes with a bar on the terminal.
pub(crate) fn publish(publication: Publication, dir: &Path) -> Result<Published, PublishError> {
    let publication = publication.picture(true);
    let result = match Progress::start() {
        Some(progress) => publication.events(progress).publish(),
        None => publication.publish(),
    };
    if let Err(PublishError::CardConflict { .. }) = &result {
        say(format_args!("the card in {} is left as it is", dir.display()));
    }
    result
}

/// Says where the model is now.
pub(crate) fn say_published(published: &Published) {
    let Published { url, commit, pull_request, left_out, is_new, .. } = published;
    match (pull_request, is_new) {
        (Some(pull_request), _) => say(format_args!("proposed at {} in commit {commit}", pull_request.url)),
        (None, true) => say(format_args!("published at {url} in commit {commit}")),
        (None, false) => say(format_args!("everything was at {url} already, in commit {commit}")),
    }
    if !left_out.is_empty() {
        say(format_args!("not published: {}", left_out.join(", ")));
    }
}

/// Says how a publication that failed goes on.
pub(crate) fn say_staged(dir: &Path, repo: &str) {
    if staged(dir).is_some() {
        let dir = dir.display();
        say(format_args!("it is staged; publish it with `sootprint push {dir} {repo}`"));
    }
}

fn publication(arguments: &PushArguments, footprint: &Footprint) -> Publication {
    let PushArguments { dir, repo, private, revision, pr, card_alone, allow, ignore, .. } = arguments;
    let mut publication = Publication::new(footprint, dir, repo)
        .private(*private)
        .pull_request(*pr)
        .card_alone(*card_alone)
        .picture(true);
    if let Some(branch) = revision {
        publication = publication.revision(branch);
    }
    publication = allow.iter().fold(publication, |publication, pattern| publication.allow(pattern));
    ignore.iter().fold(publication, |publication, pattern| publication.ignore(pattern))
}

/// Of the newest run that is recorded; a folder that was copied may have the footprint alone.
fn footprint(dir: &Path) -> anyhow::Result<Footprint> {
    match runs(dir) {
        Ok(runs) if !runs.is_empty() => return Ok(recover(dir, None)?),
        Ok(_) => {}
        Err(LedgerError::Folder { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
        Err(error) => bail!(error),
    }
    Footprint::read(&dir.join(sootprint::FILE_NAME)).with_context(|| {
        format!("no run was recorded in {}; name the folder that the run was given, its --out", dir.display())
    })
}

fn plan(plan: &Plan) -> String {
    let Plan { repo, branch, title, files, left_out, .. } = plan;
    let mut text = format!("{repo}, branch {branch}: {title}\n");
    for file in files {
        text += &format!("  {file}\n");
    }
    if !left_out.is_empty() {
        text += &format!("not published: {}\n", left_out.join(", "));
    }
    text
}
