//! A fake Hub and a folder to push.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use fake_hub::FakeHub;
use sootprint::Footprint;
use sootprint_hub::{HubToken, ModelUpload, PushError, PushReport, RetryPolicy};
use tempfile::TempDir;

pub(crate) const REPO: &str = "me/digits";

/// A user's card with CRLF line breaks, comments and prose.
pub(crate) const CARD: &str =
    "---\r\nlicense: mit  # ours\r\ntags: [digits]\r\n---\r\n# Digits\r\n\r\nTrained with love.\r\n";

/// A Hub, and a folder with weights of a little over one MiB.
pub(crate) struct PushFixture {
    pub(crate) hub: FakeHub,
    pub(crate) dir: TempDir,
    pub(crate) weights: Vec<u8>,
}

impl PushFixture {
    pub(crate) fn new() -> Self {
        Self::with_weights(incompressible_bytes((1 << 20) + 77))
    }

    /// With 10 kB of weights, which use the storage too.
    pub(crate) fn with_small_weights() -> Self {
        Self::with_weights(incompressible_bytes(10_000))
    }

    fn with_weights(data: Vec<u8>) -> Self {
        let weights = safetensors(&data);
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("model.safetensors"), &weights).unwrap();
        Self { hub: FakeHub::start().unwrap(), dir, weights }
    }

    pub(crate) fn with_card(card: &str) -> Self {
        let fixture = Self::new();
        fs::write(fixture.card_path(), card).unwrap();
        fixture
    }

    pub(crate) fn upload(&self, footprint: &Footprint) -> ModelUpload {
        let token = HubToken::new(self.hub.token()).unwrap();
        ModelUpload::new(footprint, self.dir.path(), REPO)
            .endpoint(self.hub.endpoint())
            .token(token)
            .retry_policy(short_retry_policy())
    }

    /// Our commits, newest first.
    pub(crate) fn own_commits(&self) -> Vec<fake_hub::HubCommit> {
        let all = self.hub.commits(REPO).unwrap_or_default();
        all.into_iter().filter(|commit| commit.description.contains("Publication-Id: ")).collect()
    }

    pub(crate) fn push(&self, footprint: &Footprint) -> PushReport {
        self.upload(footprint).push().unwrap()
    }

    pub(crate) fn card_path(&self) -> PathBuf {
        self.dir.path().join("README.md")
    }

    pub(crate) fn local_card(&self) -> String {
        fs::read_to_string(self.card_path()).unwrap()
    }

    pub(crate) fn hub_file(&self, path: &str) -> Vec<u8> {
        self.hub.read_file(REPO, "main", path).unwrap()
    }

    pub(crate) fn hub_card(&self) -> String {
        String::from_utf8(self.hub_file("README.md")).unwrap()
    }

    pub(crate) fn commit_titles(&self) -> Vec<String> {
        self.hub.commits(REPO).unwrap().into_iter().map(|commit| commit.title).collect()
    }
}

pub(crate) fn sample_footprint() -> Footprint {
    Footprint::from_json(include_str!("../footprint.json")).unwrap()
}

/// The same run with other emissions.
pub(crate) fn footprint_with_emissions(grams: f64) -> Footprint {
    let mut document: serde_json::Value = serde_json::from_str(include_str!("../footprint.json")).unwrap();
    for bound in ["low_grams", "grams", "high_grams"] {
        document["emissions"][bound] = grams.into();
    }
    Footprint::from_json(&document.to_string()).unwrap()
}

/// The messages of an error and its causes, as the command prints them.
pub(crate) fn error_chain(error: &PushError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// A safetensors file with one tensor of these bytes.
pub(crate) fn safetensors(data: &[u8]) -> Vec<u8> {
    let header = format!(r#"{{"x":{{"dtype":"U8","shape":[{0}],"data_offsets":[0,{0}]}}}}"#, data.len());
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
}

/// Bytes that do not compress, by Marsaglia's xorshift64 (13, 7, 17).
pub(crate) fn incompressible_bytes(length: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// Long enough for a Hub on this machine, and short if it does not answer.
pub(crate) fn short_retry_policy() -> RetryPolicy {
    RetryPolicy {
        connect_timeout: Duration::from_secs(2),
        read_timeout: Duration::from_secs(2),
        max_attempts: 3,
        initial_backoff: Duration::from_millis(20),
        deadline: Duration::from_secs(60),
    }
}

/// The card without sootprint's keys and marked region.
pub(crate) fn strip_generated(card: &str) -> String {
    let ours = ["co2_eq_emissions:", "dia_version:", "dia_report:"];
    let (before, region) = card.split_once("<!-- sootprint:begin -->").unwrap();
    let (_, after) = region.split_once("<!-- sootprint:end -->").unwrap();
    let line_break = if after.starts_with("\r\n") { "\r\n" } else { "\n" };
    let rest =
        format!("{}{}", before.strip_suffix(line_break).unwrap(), after.strip_prefix(line_break).unwrap());
    let mut is_inside = false;
    let mut kept = String::new();
    for line in rest.split_inclusive('\n') {
        is_inside = ours.iter().any(|key| line.starts_with(key)) || (is_inside && line.starts_with(' '));
        if !is_inside {
            kept.push_str(line);
        }
    }
    kept
}
