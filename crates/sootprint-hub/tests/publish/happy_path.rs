//! Publications, from the call to the bytes on a Hub.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use sootprint::{Footprint, RunStatus};
use sootprint_hub::{HubToken, PushError, push_to_hub};

use crate::fixture::{CARD, PushFixture, REPO, footprint_with_emissions, sample_footprint, strip_generated};
use crate::isolated;

#[test]
fn first_push_is_one_complete_commit() {
    isolated::run("happy_path::first_push_is_one_complete_commit", || {
        let bench = PushFixture::with_card(CARD);
        fs::write(bench.dir.path().join("config.json"), "{}\n").unwrap();
        fs::write(bench.dir.path().join("experiment.log"), "secret").unwrap();
        let published = bench.push(&sample_footprint());

        assert_eq!(
            bench.commit_titles(),
            ["Publish weights and footprint (726.47 Wh, 40.68 g CO2e)", "initial commit"]
        );
        let commit = bench.hub.commits(REPO).unwrap().remove(0);
        assert_eq!(published.commit, commit.id);
        assert_eq!(commit.changed_paths, ["README.md", "config.json", "footprint.json", "model.safetensors"]);
        assert!(commit.description.starts_with("pre-training; 2 x NVIDIA H200; "), "{}", commit.description);

        assert!(bench.hub_file("model.safetensors") == bench.weights);
        assert!(bench.hub.is_lfs(REPO, "main", "model.safetensors").unwrap());
        assert!(!bench.hub.is_lfs(REPO, "main", "README.md").unwrap());
        assert_eq!(bench.hub_file("config.json"), b"{}\n");
        assert_eq!(published.skipped_files, ["experiment.log"]);

        // Not a byte of the card moved but those of sootprint's, and both copies are the same.
        let card = bench.hub_card();
        assert!(card.contains("\r\nco2_eq_emissions:\r\n  emissions: 40.6823\r\n"), "{card}");
        assert_eq!(strip_generated(&card), CARD);
        assert_eq!(bench.local_card(), card);
        assert!(!published.card_created);

        assert_eq!(published.repo, REPO);
        assert_eq!(published.url, format!("{}/me/digits", bench.hub.endpoint()));
        let weights = published.files.iter().find(|file| file.path == "model.safetensors").unwrap();
        assert_eq!((weights.size, weights.is_lfs), (bench.weights.len() as u64, true));
        // The Hub names a file in its storage by the SHA-256 that it computed itself.
        let answer = get_without_token(bench.hub.endpoint(), "/me/digits/resolve/main/model.safetensors");
        assert!(answer.contains(&format!("\"{}\"", weights.sha256)), "{answer}");
    });
}

#[test]
fn second_push_keeps_user_edits() {
    isolated::run("happy_path::second_push_keeps_user_edits", || {
        let bench = PushFixture::with_card(CARD);
        bench.push(&sample_footprint());
        bench.push(&footprint_with_emissions(99.5));
        assert_eq!(bench.commit_titles().len(), 3);
        let card = bench.hub_card();
        assert!(card.contains("  emissions: 99.5\r\n") && !card.contains("40.6823"), "{card}");
        assert_eq!(strip_generated(&card), CARD);

        // The user edits the one card and copies it over the other.
        let edited = card.replace("with love", "with care");
        fs::write(bench.card_path(), &edited).unwrap();
        bench.hub.commit_file(REPO, "README.md", edited.as_bytes()).unwrap();
        bench.push(&footprint_with_emissions(12.0));
        let card = bench.hub_card();
        assert_eq!(strip_generated(&card), CARD.replace("with love", "with care"));
        assert!(card.contains("  emissions: 12\r\n"), "{card}");
        assert_eq!(bench.local_card(), card);
        assert!(bench.hub_file("model.safetensors") == bench.weights);
    });
}

#[test]
fn base_model_emissions_named_on_request() {
    isolated::run("happy_path::base_model_emissions_named_on_request", || {
        let bench = PushFixture::with_card(CARD);
        bench.hub.create_repository("me/base").unwrap();
        bench.hub.commit_file("me/base", "README.md", b"---\nco2_eq_emissions: 1710\n---\n").unwrap();
        let mut document: serde_json::Value =
            serde_json::from_str(include_str!("../footprint.json")).unwrap();
        document["run"]["training_type"] = "fine-tuning".into();
        document["run"]["base_model"] = "me/base".into();
        let footprint = Footprint::from_json(&document.to_string()).unwrap();

        bench.push(&footprint);
        assert!(bench.hub_card().contains("me/base; its own footprint is separate"));
        bench.upload(&footprint).include_base_model_emissions(true).push().unwrap();
        let card = bench.hub_card();
        assert!(
            card.contains("me/base; its card publishes 1710 g CO2e (1.71 kg), which is separate"),
            "{card}"
        );
        assert!(card.contains("  emissions: 40.6823\r\n"), "{card}");

        document["run"]["base_model"] = "me/nowhere".into();
        let footprint = Footprint::from_json(&document.to_string()).unwrap();
        bench.upload(&footprint).include_base_model_emissions(true).push().unwrap();
        assert!(
            bench.hub_card().contains("me/nowhere; its own footprint is separate"),
            "no card, no failure"
        );
    });
}

#[test]
fn hub_card_used_without_local_card() {
    isolated::run("happy_path::hub_card_used_without_local_card", || {
        let bench = PushFixture::new();
        bench.hub.create_repository(REPO).unwrap();
        bench
            .hub
            .commit_file(REPO, "README.md", b"---\nco2_eq_emissions: 5  # AutoTrain\n---\n# Mine\n")
            .unwrap();
        let published = bench.push(&sample_footprint());
        assert!(!published.card_created);
        let card = bench.hub_card();
        assert_eq!(strip_generated(&card), "---\n---\n# Mine\n");
        assert_eq!(bench.local_card(), card);
        let description = bench.hub.commits(REPO).unwrap().remove(0).description;
        assert!(
            description.contains("\n\nReplaced `co2_eq_emissions`: 5  # AutoTrain\n\nPublication-Id: "),
            "{description}"
        );
    });
}

#[test]
fn no_card_creates_minimal_card() {
    isolated::run("happy_path::no_card_creates_minimal_card", || {
        let bench = PushFixture::new();
        assert!(bench.push(&sample_footprint()).card_created);
        let card = bench.hub_card();
        assert!(card.contains("\n# digits\n"), "{card}");
        assert_eq!(bench.local_card(), card);
        assert!(!bench.push(&sample_footprint()).card_created);
    });
}

#[test]
fn conflicting_cards_send_nothing() {
    isolated::run("happy_path::conflicting_cards_send_nothing", || {
        let bench = PushFixture::with_card(CARD);
        bench.hub.create_repository(REPO).unwrap();
        let theirs = bench.hub.commit_file(REPO, "README.md", b"---\nlicense: mit\n---\n# Theirs\n").unwrap();
        let error = bench.upload(&sample_footprint()).push().unwrap_err();
        assert!(matches!(error, PushError::CardConflict { .. }), "{error}");
        assert!(error.to_string().contains(REPO), "{error}");
        assert_eq!(bench.hub.head_commit(REPO).unwrap(), theirs);
        assert_eq!(bench.local_card(), CARD);
    });
}

#[test]
fn wrong_token_fails_without_retry() {
    isolated::run("happy_path::wrong_token_fails_without_retry", || {
        let bench = PushFixture::with_card(CARD);
        let wrong_token = "hf_a_strangers_token";
        let publication = bench.upload(&sample_footprint()).token(HubToken::new(wrong_token).unwrap());
        assert!(!format!("{publication:?}").contains(wrong_token));
        let error = publication.push().unwrap_err();
        assert!(matches!(error, PushError::Unauthorized { .. }), "{error}");
        assert!(error.to_string().contains("hf auth login"), "{error}");
        let mut message = format!("{error} {error:?} {error:#?}");
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            message += &format!("{error} {error:?}");
            cause = error.source();
        }
        assert!(!message.contains(wrong_token), "{message}");
        assert!(bench.hub.head_commit(REPO).is_err());
        assert_eq!(bench.local_card(), CARD);
    });
}

#[test]
fn pushed_footprint_has_no_gpu_uuid() {
    isolated::run("happy_path::pushed_footprint_has_no_gpu_uuid", || {
        let bench = PushFixture::new();
        let mut original = sample_footprint();
        original.run.base_model = Some("/home/alice/base".to_owned());
        original.write(bench.dir.path()).unwrap();
        bench.push(&original);
        let json = String::from_utf8(bench.hub_file("footprint.json")).unwrap();
        let public = Footprint::from_json(&json).unwrap();
        let ids: Vec<_> = public.components.iter().map(|component| component.id.as_str()).collect();
        assert_eq!(ids, ["gpu0", "gpu1", "cpu", "memory"]);
        assert_eq!((public.energy, public.run.base_model), (original.energy.clone(), None));
        for sent in [json, bench.hub_card()] {
            for secret in ["5c1bd4f2", "e2a90c77", "11111111", "GPU-", "alice"] {
                assert!(!sent.contains(secret), "{secret} in {sent}");
            }
        }
        // The folder's own copy keeps them.
        let local = Footprint::read(&bench.dir.path().join("footprint.json")).unwrap();
        assert_eq!(local, original);
    });
}

#[test]
fn invalid_input_fails_before_any_request() {
    isolated::run("happy_path::invalid_input_fails_before_any_request", || {
        let bench = PushFixture::new();
        let mut failed = sample_footprint();
        failed.run.outcome = RunStatus::Failed;
        let error = bench.upload(&failed).push().unwrap_err();
        assert!(matches!(error, PushError::UnsuccessfulRun { .. }), "{error}");

        let mut unmeasured = sample_footprint();
        unmeasured.components.clear();
        let error = bench.upload(&unmeasured).push().unwrap_err();
        assert!(matches!(error, PushError::NotMeasured), "{error}");

        let error = push_to_hub(&sample_footprint(), bench.dir.path(), "digits").unwrap_err();
        assert!(matches!(error, PushError::InvalidRepoId { .. }), "{error}");

        fs::write(bench.card_path(), "---\nlicense: mit\n").unwrap();
        let error = bench.upload(&sample_footprint()).push().unwrap_err();
        assert!(matches!(error, PushError::InvalidCard { .. }), "{error}");

        fs::remove_file(bench.dir.path().join("model.safetensors")).unwrap();
        let error = bench.upload(&sample_footprint()).push().unwrap_err();
        assert!(matches!(error, PushError::NoWeights { .. }), "{error}");
        assert!(bench.hub.head_commit(REPO).is_err());
    });
}

#[cfg(unix)]
#[test]
fn symlink_outside_folder_is_refused() {
    isolated::run("happy_path::symlink_outside_folder_is_refused", || {
        let bench = PushFixture::new();
        let outside = tempfile::NamedTempFile::new().unwrap();
        std::os::unix::fs::symlink(outside.path(), bench.dir.path().join("config.json")).unwrap();
        let error = bench.upload(&sample_footprint()).push().unwrap_err();
        assert!(matches!(error, PushError::UnsafeSymlink { .. }), "{error}");
        assert!(bench.hub.head_commit(REPO).is_err());
    });
}

#[test]
fn push_works_inside_async_runtime() {
    isolated::run("happy_path::push_works_inside_async_runtime", || {
        let runtimes = [
            tokio::runtime::Builder::new_current_thread().build().unwrap(),
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap(),
        ];
        for runtime in runtimes {
            let bench = PushFixture::new();
            let published = runtime.block_on(async { bench.push(&sample_footprint()) });
            assert_eq!(published.commit, bench.hub.head_commit(REPO).unwrap());
        }
    });
}

#[test]
fn private_and_branch_options_apply() {
    isolated::run("happy_path::private_and_branch_options_apply", || {
        let bench = PushFixture::new();
        bench.upload(&sample_footprint()).private(true).push().unwrap();
        let answer = get_without_token(bench.hub.endpoint(), "/api/models/me/digits");
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");

        let main = bench.hub.head_commit(REPO).unwrap();
        let error = bench.upload(&sample_footprint()).branch("next").push().unwrap_err();
        assert!(matches!(error, PushError::BranchNotFound { .. }), "{error}");
        create_branch(&bench, "next");
        let published = bench.upload(&footprint_with_emissions(99.5)).branch("next").push().unwrap();
        assert_eq!(bench.hub.head_commit(REPO).unwrap(), main);
        assert_eq!(bench.hub.commits_at(REPO, "next").unwrap()[0].id, published.commit);
    });
}

#[test]
fn log_contains_no_token() {
    isolated::run("happy_path::log_contains_no_token", || {
        let log = LogBuffer::default();
        let writer = log.clone();
        tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
            .with_writer(move || writer.clone())
            .init();
        let bench = PushFixture::new();
        bench.push(&sample_footprint());
        let log_text = log.text();
        assert!(log_text.contains("me/digits is published at"), "nothing was logged: {log_text}");
        assert!(!log_text.contains(bench.hub.token()), "the token is in the log");
        let line = log_text.lines().find(|line| line.contains(" sootprint_hub:") && line.contains("/tmp"));
        assert_eq!(line, None);
    });
}

/// What was logged so far, on any thread.
#[derive(Clone, Default)]
struct LogBuffer(Arc<Mutex<Vec<u8>>>);

impl LogBuffer {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for LogBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A request without a token, and its answer with its headers.
fn get_without_token(endpoint: &str, path: &str) -> String {
    send_request(endpoint, &format!("GET {path}"), "", "")
}

fn create_branch(bench: &PushFixture, branch: &str) {
    let headers =
        format!("Authorization: Bearer {}\r\nContent-Type: application/json\r\n", bench.hub.token());
    let target = format!("POST /api/models/{REPO}/branch/{branch}");
    let answer = send_request(bench.hub.endpoint(), &target, &headers, "{}");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

fn send_request(endpoint: &str, target: &str, headers: &str, body: &str) -> String {
    let address = endpoint.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        stream,
        "{target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
