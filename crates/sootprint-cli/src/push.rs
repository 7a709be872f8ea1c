//! `sootprint push`: publishes a folder, or says what would be published.

use std::io;
use std::path::Path;

use anyhow::{Context as _, bail};
use clap::CommandFactory as _;
use clap::error::ErrorKind;
use serde::Serialize;
use sootprint::{Footprint, LedgerError, UserDefaults, list_runs, load_footprint};
use sootprint_card::BaseModelRelation;
use sootprint_hub::{ModelUpload, PushError, PushPlan, PushReport, staged_push};

use crate::args::{CliArgs, PushArgs};
use crate::terminal::{eprint_message, log_warnings_to_stderr, print, to_pretty_json};
use crate::upload_progress::UploadProgressBar;

/// Publishes; an error is what is shown last.
pub(crate) fn push(arguments: &PushArgs) -> anyhow::Result<()> {
    log_warnings_to_stderr();
    let dir = &arguments.dir;
    let repo = repository_or_exit(arguments.repo.clone());
    let upload = build_upload(arguments, &repo, &newest_footprint(dir)?);
    if arguments.dry_run {
        let plan = upload.plan()?;
        print(&if arguments.json {
            to_pretty_json(&PushPlanJson::from(&plan))?
        } else {
            render_plan(&plan)
        })?;
        return Ok(());
    }
    match push_with_progress(upload, dir) {
        Ok(report) => {
            eprint_push_report(&report);
            if arguments.json {
                print(&to_pretty_json(&PushReportJson::from(&report))?)?;
            }
            Ok(())
        }
        Err(error) => {
            eprint_staged_hint(dir, &repo);
            bail!(error)
        }
    }
}

/// The repository that is named, else that of the environment or of the settings files. Without one it ends as after
/// any wrong argument.
pub(crate) fn repository_or_exit(named: Option<String>) -> String {
    let from_settings = || -> anyhow::Result<String> {
        UserDefaults::load()?.repository.map(|repository| repository.to_string()).context(
            "no repository is named; write it as `owner/name`, or set SOOTPRINT_REPOSITORY or `repository` in \
             sootprint.toml",
        )
    };
    named.map_or_else(from_settings, Ok).unwrap_or_else(|error| {
        CliArgs::command().error(ErrorKind::MissingRequiredArgument, format!("{error:#}")).exit()
    })
}

/// Publishes with a bar on the terminal.
pub(crate) fn push_with_progress(upload: ModelUpload, dir: &Path) -> Result<PushReport, PushError> {
    let upload = upload.include_plot(true);
    let result = match UploadProgressBar::start() {
        Some(progress) => upload.with_progress_handler(progress).push(),
        None => upload.push(),
    };
    if let Err(PushError::CardConflict { .. }) = &result {
        eprint_message(format_args!("the card in {} is left as it is", dir.display()));
    }
    result
}

/// Says where the model is now.
pub(crate) fn eprint_push_report(report: &PushReport) {
    let PushReport { url, commit, pull_request, skipped_files: left_out, created_commit: is_new, .. } =
        report;
    match (pull_request, is_new) {
        (Some(pull_request), _) => {
            eprint_message(format_args!("proposed at {} in commit {commit}", pull_request.url))
        }
        (None, true) => eprint_message(format_args!("published at {url} in commit {commit}")),
        (None, false) => eprint_message(format_args!("everything was at {url} already, in commit {commit}")),
    }
    if !left_out.is_empty() {
        eprint_message(format_args!("not published: {}", left_out.join(", ")));
    }
}

/// Says how a publication that failed goes on.
pub(crate) fn eprint_staged_hint(dir: &Path, repo: &str) {
    if staged_push(dir).is_some() {
        let dir = dir.display();
        eprint_message(format_args!("it is staged; publish it with `sootprint push {dir} {repo}`"));
    }
}

fn build_upload(arguments: &PushArgs, repo: &str, footprint: &Footprint) -> ModelUpload {
    let PushArgs { dir, private, revision, pr, card_alone, allow, ignore, .. } = arguments;
    let mut upload = ModelUpload::new(footprint, dir, repo)
        .private(*private)
        .open_pull_request(*pr)
        .card_only(*card_alone)
        .include_base_model_emissions(arguments.base_card)
        .relation(arguments.relation.map(BaseModelRelation::from))
        .include_plot(true);
    if let Some(branch) = revision {
        upload = upload.branch(branch);
    }
    upload = allow.iter().fold(upload, |publication, pattern| publication.allow_pattern(pattern));
    ignore.iter().fold(upload, |publication, pattern| publication.ignore_pattern(pattern))
}

/// Of the newest run that is recorded; a folder that was copied may have the footprint alone.
fn newest_footprint(dir: &Path) -> anyhow::Result<Footprint> {
    match list_runs(dir) {
        Ok(runs) if !runs.is_empty() => return Ok(load_footprint(dir, None)?),
        Ok(_) => {}
        Err(LedgerError::Folder { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
        Err(error) => bail!(error),
    }
    Footprint::read(&dir.join(Footprint::FILE_NAME)).with_context(|| {
        format!("no run was recorded in {}; name the folder that the run was given, its --out", dir.display())
    })
}

fn render_plan(plan: &PushPlan) -> String {
    let PushPlan { repo, branch, title, files, skipped_files: left_out, .. } = plan;
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
struct PushPlanJson<'a> {
    repo: &'a str,
    branch: &'a str,
    title: &'a str,
    files: &'a [String],
    left_out: &'a [String],
}

impl<'a> From<&'a PushPlan> for PushPlanJson<'a> {
    fn from(plan: &'a PushPlan) -> Self {
        let PushPlan { repo, branch, title, files, skipped_files: left_out, .. } = plan;
        Self { repo, branch, title, files, left_out }
    }
}

/// What the Hub has now.
#[derive(Serialize)]
struct PushReportJson<'a> {
    repo: &'a str,
    url: &'a str,
    commit: &'a str,
    is_new: bool,
    pull_request: Option<&'a str>,
    files: Vec<UploadedFileJson<'a>>,
    left_out: &'a [String],
}

#[derive(Serialize)]
struct UploadedFileJson<'a> {
    path: &'a str,
    size: u64,
    sha256: &'a str,
}

impl<'a> From<&'a PushReport> for PushReportJson<'a> {
    fn from(report: &'a PushReport) -> Self {
        let PushReport {
            repo,
            url,
            commit,
            created_commit: is_new,
            pull_request,
            files,
            skipped_files: left_out,
            ..
        } = report;
        Self {
            repo,
            url,
            commit,
            is_new: *is_new,
            pull_request: pull_request.as_ref().map(|it| it.url.as_str()),
            files: files
                .iter()
                .map(|file| UploadedFileJson { path: &file.path, size: file.size, sha256: &file.sha256 })
                .collect(),
            left_out,
        }
    }
}
