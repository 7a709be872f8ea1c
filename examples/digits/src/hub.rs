//! Pushes a trained model to the Hub, or to a fake Hub on this machine if there is no token.

#![allow(clippy::print_stdout, reason = "examples print their results")]

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use fake_hub::FakeHub;
use indicatif::{HumanBytes, ProgressBar};
use sootprint::Footprint;
use sootprint_hub::{CardTemplate, HubToken, ModelUpload, PushEvent, PushProgressHandler, PushReport};

/// Pushes the folder of a model of this framework (`burn`, `candle`) and prints the resulting commit and card.
///
/// The target is `repository` on the Hub if `HF_TOKEN` is set. Otherwise it is a fake Hub that runs for the duration of
/// this call, and every file is read back from it and compared.
///
/// # Errors
/// If the push fails, or if the fake Hub returns a file with different content.
pub fn push_model(
    footprint: &Footprint,
    folder: &Path,
    framework: &str,
    repository: Option<&str>,
) -> Result<()> {
    let template = CardTemplate::default().library(framework);
    let has_token = std::env::var_os("HF_TOKEN").is_some_and(|token| !token.is_empty());
    match repository.filter(|_| has_token) {
        Some(repository) => {
            let upload = ModelUpload::new(footprint, folder, repository).card_template(template);
            print_push_report(&upload.with_progress_handler(UploadSpinner::new()).push()?);
        }
        None => push_to_local_hub(footprint, folder, template)?,
    }
    println!("\n{}:\n", folder.join("README.md").display());
    println!("{}", fs::read_to_string(folder.join("README.md"))?);
    Ok(())
}

fn push_to_local_hub(footprint: &Footprint, folder: &Path, template: CardTemplate) -> Result<()> {
    println!("No HF_TOKEN or no repository name: pushing to a fake Hub on this machine.");
    let hub = FakeHub::start()?;
    let name = folder
        .file_name()
        .and_then(|name| name.to_str())
        .with_context(|| format!("no folder name in {}", folder.display()))?;
    let repository = format!("loopback/{name}");
    let report = ModelUpload::new(footprint, folder, &repository)
        .endpoint(hub.endpoint())
        .token(HubToken::new(hub.token())?)
        .card_template(template)
        .with_progress_handler(UploadSpinner::new())
        .push()?;
    print_push_report(&report);
    verify_pushed_files(&hub, &report, &repository, folder)
}

/// Shows upload progress in one line, on terminals only.
struct UploadSpinner(ProgressBar);

impl UploadSpinner {
    fn new() -> Self {
        Self(ProgressBar::new_spinner())
    }
}

impl PushProgressHandler for UploadSpinner {
    fn on_progress(&self, event: &PushEvent) {
        match event {
            PushEvent::Hashing { path, .. } => self.0.set_message(format!("reading {path}")),
            PushEvent::Uploading { done, total } => {
                self.0.set_message(format!("uploading: {} of {}", HumanBytes(*done), HumanBytes(*total)));
            }
            PushEvent::Committing => self.0.set_message("committing"),
            PushEvent::Finished => self.0.finish_and_clear(),
            _ => {}
        }
        self.0.tick();
    }
}

fn print_push_report(report: &PushReport) {
    println!("Pushed {} in one commit, {}", report.repo, report.commit);
    for file in &report.files {
        let storage = if file.is_lfs { "Xet storage" } else { "in the commit" };
        println!("  {:<20} {:>9} bytes, {storage}, SHA-256 {}", file.path, file.size, file.sha256);
    }
}

/// Compares the files on the Hub with those in the folder. The pushed footprint lacks the GPU UUIDs, so only its size is
/// checked.
fn verify_pushed_files(hub: &FakeHub, report: &PushReport, repository: &str, folder: &Path) -> Result<()> {
    let mut identical = 0;
    for file in &report.files {
        let remote = hub.read_file(repository, "main", &file.path)?;
        if file.path != Footprint::FILE_NAME {
            ensure!(
                remote == fs::read(folder.join(&file.path))?,
                "content of {} on the Hub differs from the folder",
                file.path
            );
            identical += 1;
        }
        ensure!(
            remote.len() as u64 == file.size,
            "size of {} on the Hub differs from the push report",
            file.path
        );
    }
    let commits = hub.commits(repository)?;
    let commit = commits.first().context("no commit on the Hub")?;
    println!("Read back: {identical} files byte for byte, from commit `{}`", commit.title);
    Ok(())
}
