//! `sootprint push`: publishes a folder, or says what would be published.

use std::io;
use std::path::Path;

use anyhow::{Context as _, bail};
use clap::CommandFactory as _;
use clap::error::ErrorKind;
use serde::Serialize;
use sootprint::{Footprint, LedgerError, Preferences, recover, runs};
use sootprint_card::Relation;
use sootprint_hub::{Plan, Publication, PublishError, Published, staged};

use crate::arguments::{Arguments, PushArguments};
use crate::progress::Progress;
use crate::terminal::{json, print, say, show_warnings};

/// Publishes; an error is what is shown last.
pub(crate) fn push(arguments: &PushArguments) -> anyhow::Result<()> {
    show_warnings();
    let dir = &arguments.dir;
    let repo = repository_or_exit(arguments.repo.clone());
    let publication = publication(arguments, &repo, &footprint(dir)?);
    if arguments.dry_run {
        let plan = publication.plan()?;
        print(&if arguments.json { json(&PlanJson::from(&plan))? } else { in_words(&plan) })?;
        return Ok(());
    }
    match publish(publication, dir) {
        Ok(published) => {
            say_published(&published);
            if arguments.json {
                print(&json(&PublishedJson::from(&published))?)?;
            }
            Ok(())
        }
        Err(error) => {
            say_staged(dir, &repo);
            bail!(error)
        }
    }
}

/// The repository that is named, else that of the environment or of the settings files. Without one it ends as after
/// any wrong argument.
pub(crate) fn repository_or_exit(named: Option<String>) -> String {
    let from_settings = || -> anyhow::Result<String> {
        Preferences::here()?.repository.context(
            "no repository is named; write it as `owner/name`, or set SOOTPRINT_REPOSITORY or `repository` in \
             sootprint.toml",
        )
    };
    named.map_or_else(from_settings, Ok).unwrap_or_else(|error| {
        Arguments::command().error(ErrorKind::MissingRequiredArgument, format!("{error:#}")).exit()
    })
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

fn publication(arguments: &PushArguments, repo: &str, footprint: &Footprint) -> Publication {
    let PushArguments { dir, private, revision, pr, card_alone, allow, ignore, .. } = arguments;
    let mut publication = Publication::new(footprint, dir, repo)
        .private(*private)
        .pull_request(*pr)
        .card_alone(*card_alone)
        .base_card(arguments.base_card)
        .relation(arguments.relation.map(Relation::from))
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

fn in_words(plan: &Plan) -> String {
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

/// What would be sent.
#[derive(Serialize)]
struct PlanJson<'a> {
    repo: &'a str,
    branch: &'a str,
    title: &'a str,
    files: &'a [String],
    left_out: &'a [String],
}

impl<'a> From<&'a Plan> for PlanJson<'a> {
    fn from(plan: &'a Plan) -> Self {
        let Plan { repo, branch, title, files, left_out, .. } = plan;
        Self { repo, branch, title, files, left_out }
    }
}

/// What the Hub has now.
#[derive(Serialize)]
struct PublishedJson<'a> {
    repo: &'a str,
    url: &'a str,
    commit: &'a str,
    is_new: bool,
    pull_request: Option<&'a str>,
    files: Vec<FileJson<'a>>,
    left_out: &'a [String],
}

#[derive(Serialize)]
struct FileJson<'a> {
    path: &'a str,
    size: u64,
    sha256: &'a str,
}

impl<'a> From<&'a Published> for PublishedJson<'a> {
    fn from(published: &'a Published) -> Self {
        let Published { repo, url, commit, is_new, pull_request, files, left_out, .. } = published;
        Self {
            repo,
            url,
            commit,
            is_new: *is_new,
            pull_request: pull_request.as_ref().map(|it| it.url.as_str()),
            files: files
                .iter()
                .map(|file| FileJson { path: &file.path, size: file.size, sha256: &file.sha256 })
                .collect(),
            left_out,
        }
    }
}
