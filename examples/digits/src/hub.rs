//! To the Hub with a token, else to a stand-in on this machine.

#![allow(clippy::print_stdout, reason = "the examples talk to who runs them")]

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use fake_hub::FakeHub;
use indicatif::{HumanBytes, ProgressBar};
use sootprint::Footprint;
use sootprint_hub::{CardTemplate, HubToken, ModelUpload, PushEvent, PushProgressHandler, PushReport};

/// Publishes the folder of a model of this framework (`burn`, `candle`) and says where: as `repository` on the Hub when `HF_TOKEN` is set, else on a stand-in Hub that
/// lives as long as this call, from which every file is read back.
///
/// # Errors
/// When publishing fails, or the stand-in Hub gives back other bytes than it was sent.
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
    println!("No HF_TOKEN and repository name: publishing to a stand-in Hub on this machine.");
    let hub = FakeHub::start()?;
    let name = folder.file_name().and_then(|name| name.to_str()).context("the folder has no name")?;
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

/// One line that says how far it is; it is drawn on a terminal only.
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
    println!("Published {} in one commit, {}", report.repo, report.commit);
    for file in &report.files {
        let storage = if file.is_lfs { "Xet storage" } else { "in the commit" };
        println!("  {:<20} {:>9} bytes, {storage}, SHA-256 {}", file.path, file.size, file.sha256);
    }
}

/// Compares what the Hub has with what lies in the folder. The footprint is published without the boards' UUIDs, so it
/// is the one file whose bytes may differ.
fn verify_pushed_files(hub: &FakeHub, report: &PushReport, repository: &str, folder: &Path) -> Result<()> {
    let mut identical = 0;
    for file in &report.files {
        let remote = hub.read_file(repository, "main", &file.path)?;
        if file.path != Footprint::FILE_NAME {
            ensure!(remote == fs::read(folder.join(&file.path))?, "{} came back with other bytes", file.path);
            identical += 1;
        }
        ensure!(remote.len() as u64 == file.size, "{} came back with another length", file.path);
    }
    let commits = hub.commits(repository)?;
    let commit = commits.first().context("the Hub has no commit")?;
    println!("Read back: {identical} files byte for byte, from commit `{}`", commit.title);
    Ok(())
}
