//! To the Hub with a token, else to a stand-in on this machine.

#![allow(clippy::print_stdout, reason = "the examples talk to who runs them")]

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use fake_hub::FakeHub;
use indicatif::{HumanBytes, ProgressBar};
use sootprint::Footprint;
use sootprint_hub::{Event, Events, NewCard, Publication, Published, Token};

/// Publishes the folder of a model of this framework (`burn`, `candle`) and says where: as `repository` on the Hub when `HF_TOKEN` is set, else on a stand-in Hub that
/// lives as long as this call, from which every file is read back.
///
/// # Errors
/// When publishing fails, or the stand-in Hub gives back other bytes than it was sent.
pub fn publish(
    footprint: &Footprint,
    folder: &Path,
    framework: &str,
    repository: Option<&str>,
) -> Result<()> {
    let new_card = NewCard::default().library(framework);
    let has_token = std::env::var_os("HF_TOKEN").is_some_and(|token| !token.is_empty());
    match repository.filter(|_| has_token) {
        Some(repository) => {
            let publication = Publication::new(footprint, folder, repository).new_card(new_card);
            say(&publication.events(Line::new()).publish()?);
        }
        None => publish_here(footprint, folder, new_card)?,
    }
    println!("\n{}:\n", folder.join("README.md").display());
    println!("{}", fs::read_to_string(folder.join("README.md"))?);
    Ok(())
}

fn publish_here(footprint: &Footprint, folder: &Path, new_card: NewCard) -> Result<()> {
    println!("No HF_TOKEN and repository name: publishing to a stand-in Hub on this machine.");
    let hub = FakeHub::start()?;
    let name = folder.file_name().and_then(|name| name.to_str()).context("the folder has no name")?;
    let repository = format!("loopback/{name}");
    let published = Publication::new(footprint, folder, &repository)
        .endpoint(hub.endpoint())
        .token(Token::new(hub.token())?)
        .new_card(new_card)
        .events(Line::new())
        .publish()?;
    say(&published);
    read_back(&hub, &published, &repository, folder)
}

/// One line that says how far it is; it is drawn on a terminal only.
struct Line(ProgressBar);

impl Line {
    fn new() -> Self {
        Self(ProgressBar::new_spinner())
    }
}

impl Events for Line {
    fn on_event(&self, event: &Event) {
        match event {
            Event::Hashing { path, .. } => self.0.set_message(format!("reading {path}")),
            Event::Uploading { done, total } => {
                self.0.set_message(format!("uploading: {} of {}", HumanBytes(*done), HumanBytes(*total)));
            }
            Event::Committing => self.0.set_message("committing"),
            Event::Ended => self.0.finish_and_clear(),
            _ => {}
        }
        self.0.tick();
    }
}

fn say(published: &Published) {
    println!("Published {} in one commit, {}", published.repo, published.commit);
    for file in &published.files {
        let storage = if file.is_lfs { "Xet storage" } else { "in the commit" };
        println!("  {:<20} {:>9} bytes, {storage}, SHA-256 {}", file.path, file.size, file.sha256);
    }
}

/// Compares what the Hub has with what lies in the folder. The footprint is published without the boards' UUIDs, so it
/// is the one file whose bytes may differ.
fn read_back(hub: &FakeHub, published: &Published, repository: &str, folder: &Path) -> Result<()> {
    let mut same = 0;
    for file in &published.files {
        let there = hub.read(repository, "main", &file.path)?;
        if file.path != sootprint::FILE_NAME {
            ensure!(there == fs::read(folder.join(&file.path))?, "{} came back with other bytes", file.path);
            same += 1;
        }
        ensure!(there.len() as u64 == file.size, "{} came back with another length", file.path);
    }
    let commits = hub.commits(repository)?;
    let commit = commits.first().context("the Hub has no commit")?;
    println!("Read back: {same} files byte for byte, from commit `{}`", commit.title);
    Ok(())
}
