//! `sootprint push`: pushes a folder to the Hub, or lists what would be pushed.

use std::path::Path;

use anyhow::{Context as _, bail};
use clap::error::ErrorKind;
use serde::Serialize;
use sootprint::{Footprint, RepoId, UserDefaults};
use sootprint_card::BaseModelRelation;
use sootprint_hub::{
    DEFAULT_BRANCH, ExcludedPath, ExclusionReason, ModelUpload, PushError, PushPlan, PushReport, StagedPush,
    staged_push,
};

use crate::args::{PushArgs, UploadArgs, exit_with_usage_error};
use crate::error_text::describe_error;
use crate::new_card::card_template;
use crate::project_settings::eprint_project_settings;
use crate::records::newest_footprint;
use crate::terminal::{eprint_message, log_warnings_to_stderr, print, to_pretty_json};
use crate::upload_progress::UploadProgress;

/// Pushes the folder and prints the result.
pub(crate) fn push(arguments: &PushArgs) -> anyhow::Result<()> {
    log_warnings_to_stderr();
    // A mistake in the settings may be about where the model goes.
    UserDefaults::load()?;
    eprint_project_settings();
    let dir = &arguments.dir;
    let repo = repository_or_exit("push", arguments.repo.clone());
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
            eprint_staged_hint(dir, &error);
            bail!(error)
        }
    }
}

/// The repository of the argument, the environment or the settings files. Without one, exits with status 2.
pub(crate) fn repository_or_exit(subcommand: &str, argument: Option<RepoId>) -> RepoId {
    argument.map_or_else(repository_from_settings, Ok).unwrap_or_else(|error| {
        exit_with_usage_error(subcommand, ErrorKind::MissingRequiredArgument, &describe_error(error.as_ref()))
    })
}

fn repository_from_settings() -> anyhow::Result<RepoId> {
    UserDefaults::load()?.repository.context(
        "no repository; pass `owner/name`, or set SOOTPRINT_REPOSITORY or `repository` in sootprint.toml",
    )
}

/// Pushes and shows the progress.
pub(crate) fn push_with_progress(upload: ModelUpload, dir: &Path) -> Result<PushReport, PushError> {
    let upload = upload.include_plot(true);
    let result = upload.with_progress_handler(UploadProgress::start()).push();
    if let Err(PushError::CardConflict { .. }) = &result {
        eprint_message(format_args!("card in {} left unchanged", dir.display()));
    }
    result
}

/// Prints where the model is now on stderr.
pub(crate) fn eprint_push_report(report: &PushReport) {
    let PushReport { url, commit, pull_request, excluded, warnings, created_commit, .. } = report;
    let PushReport { old_files, removed_files, .. } = report;
    match pull_request {
        Some(pull_request) => {
            eprint_message(format_args!("opened {} with commit {commit}", pull_request.url));
        }
        None if *created_commit => eprint_message(format_args!("pushed to {url} in commit {commit}")),
        None => eprint_message(format_args!("{url} is up to date at commit {commit}")),
    }
    // The run's own record is in every folder.
    let excluded: Vec<_> = excluded.iter().filter(|it| it.reason != ExclusionReason::OwnRecord).collect();
    if !excluded.is_empty() {
        eprint_message(format_args!("not pushed: {}", join_excluded(excluded)));
    }
    warnings.iter().for_each(eprint_message);
    if !removed_files.is_empty() {
        eprint_message(format_args!("removed on the Hub: {}", removed_files.join(", ")));
    }
    if !old_files.is_empty() {
        let files = old_files.join(", ");
        eprint_message(format_args!(
            "still on the Hub from an earlier push, and no longer in the folder: {files} (--sync removes them)"
        ));
    }
}

fn join_excluded<'a>(excluded: impl IntoIterator<Item = &'a ExcludedPath>) -> String {
    excluded.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Prints how to resume a failed push on stderr.
pub(crate) fn eprint_staged_hint(dir: &Path, error: &PushError) {
    // The record of the folder may be of an earlier push.
    if let Some(staged) = staged_push(dir).filter(|_| error.is_staged()) {
        match resume_command(dir, &staged) {
            Some(command) => eprint_message(format_args!("push staged; resume it with `{command}`")),
            None => eprint_message("push staged; resume it with the same options"),
        }
    }
}

/// The command that repeats a push with all its options. `None` if the folder's name cannot be printed.
fn resume_command(dir: &Path, staged: &StagedPush) -> Option<String> {
    let StagedPush { repo, branch, options, .. } = staged;
    let dir = dir.to_str()?;
    let dir = if dir.starts_with('-') { format!("./{dir}") } else { dir.to_owned() };
    let mut words = vec!["sootprint".to_owned(), "push".to_owned(), dir, repo.clone()];
    let flags = [
        ("--private", options.private),
        ("--pr", options.open_pull_request),
        ("--card-alone", options.card_only),
        ("--sync", options.remove_old_files),
        ("--base-card", options.include_base_model_emissions),
    ];
    words.extend(flags.iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| (*flag).to_owned()));
    let is_default_branch = branch == DEFAULT_BRANCH;
    let valued = [
        ("--revision", (!is_default_branch).then_some(branch)),
        ("--relation", options.relation.as_ref()),
        ("--message", options.commit_message.as_ref()),
    ];
    let patterns = options.allow_patterns.iter().map(|pattern| ("--allow", pattern));
    let patterns = patterns.chain(options.ignore_patterns.iter().map(|pattern| ("--ignore", pattern)));
    let fields = options.card_template.metadata_values().into_iter().filter_map(|(key, value)| {
        let option = match key {
            "license" => "--license",
            "library_name" => "--library-name",
            "pipeline_tag" => "--pipeline-tag",
            "language" => "--language",
            "datasets" => "--dataset",
            "metrics" => "--metric",
            _ => return None,
        };
        Some(option_words(option, value))
    });
    words.extend(fields.flatten());
    for (option, value) in valued.into_iter().filter_map(|(name, value)| Some((name, value?))).chain(patterns)
    {
        words.extend(option_words(option, value));
    }
    shlex::try_join(words.iter().map(String::as_str)).ok()
}

/// An option and its value. A value that starts with a dash would be taken for an option.
fn option_words(option: &str, value: &str) -> Vec<String> {
    if value.starts_with('-') {
        return vec![format!("{option}={value}")];
    }
    vec![option.to_owned(), value.to_owned()]
}

fn build_upload(arguments: &PushArgs, repo: &RepoId, footprint: &Footprint) -> ModelUpload {
    let PushArgs { dir, upload, card_alone, .. } = arguments;
    with_options(ModelUpload::new(footprint, dir, &repo.to_string()), upload)
        .card_only(*card_alone)
        .card_template(card_template(&arguments.fields))
        .include_base_model_emissions(arguments.base_card)
        .relation(arguments.relation.map(BaseModelRelation::from))
        .include_plot(true)
}

/// Applies the options that `push` and `run --push` share.
pub(crate) fn with_options(upload: ModelUpload, options: &UploadArgs) -> ModelUpload {
    let UploadArgs { private, revision, pr, allow, ignore, sync, message } = options;
    let mut upload = upload.private(*private).open_pull_request(*pr).remove_old_files(*sync);
    if let Some(branch) = revision {
        upload = upload.branch(branch);
    }
    if let Some(title) = message {
        upload = upload.commit_message(title);
    }
    upload = allow.iter().fold(upload, |upload, pattern| upload.allow_pattern(pattern));
    ignore.iter().fold(upload, |upload, pattern| upload.ignore_pattern(pattern))
}

fn render_plan(plan: &PushPlan) -> String {
    let PushPlan { repo, branch, title, files, excluded, warnings, .. } = plan;
    let mut text = format!("{repo}, branch {branch}: {title}\n");
    for file in files {
        text += &format!("  {file}\n");
    }
    for warning in warnings {
        text += &format!("{warning}\n");
    }
    if !excluded.is_empty() {
        text += &format!("not pushed: {}\n", join_excluded(excluded));
    }
    text
}

/// The result of `--dry-run`.
#[derive(Serialize)]
struct PushPlanJson<'a> {
    repo: &'a str,
    branch: &'a str,
    title: &'a str,
    files: &'a [String],
    left_out: Vec<&'a str>,
    excluded: Vec<ExcludedPathJson<'a>>,
    warnings: &'a [String],
}

/// A path that is not pushed.
#[derive(Serialize)]
struct ExcludedPathJson<'a> {
    path: &'a str,
    reason: String,
}

/// The paths alone, and with their reasons.
fn excluded_json(excluded: &[ExcludedPath]) -> (Vec<&str>, Vec<ExcludedPathJson<'_>>) {
    let with_reasons =
        excluded.iter().map(|it| ExcludedPathJson { path: &it.path, reason: it.reason.to_string() });
    (excluded.iter().map(|it| it.path.as_str()).collect(), with_reasons.collect())
}

impl<'a> From<&'a PushPlan> for PushPlanJson<'a> {
    fn from(plan: &'a PushPlan) -> Self {
        let PushPlan { repo, branch, title, files, excluded, warnings, .. } = plan;
        let (left_out, excluded) = excluded_json(excluded);
        Self { repo, branch, title, files, left_out, excluded, warnings }
    }
}

/// The result of a push.
#[derive(Serialize)]
struct PushReportJson<'a> {
    repo: &'a str,
    url: &'a str,
    commit: &'a str,
    is_new: bool,
    pull_request: Option<&'a str>,
    files: Vec<UploadedFileJson<'a>>,
    left_out: Vec<&'a str>,
    excluded: Vec<ExcludedPathJson<'a>>,
    warnings: &'a [String],
    old_files: &'a [String],
    removed_files: &'a [String],
}

#[derive(Serialize)]
struct UploadedFileJson<'a> {
    path: &'a str,
    size: u64,
    sha256: &'a str,
}

impl<'a> From<&'a PushReport> for PushReportJson<'a> {
    fn from(report: &'a PushReport) -> Self {
        let PushReport { repo, url, commit, created_commit, pull_request, files, warnings, .. } = report;
        let (left_out, excluded) = excluded_json(&report.excluded);
        Self {
            repo,
            url,
            commit,
            is_new: *created_commit,
            pull_request: pull_request.as_ref().map(|it| it.url.as_str()),
            files: files
                .iter()
                .map(|file| UploadedFileJson { path: &file.path, size: file.size, sha256: &file.sha256 })
                .collect(),
            left_out,
            excluded,
            warnings,
            old_files: &report.old_files,
            removed_files: &report.removed_files,
        }
    }
}
