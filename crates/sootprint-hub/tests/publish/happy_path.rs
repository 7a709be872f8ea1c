//! Pushes, from the call to the bytes on the Hub.

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
        let fixture = PushFixture::with_card(CARD);
        fs::write(fixture.dir.path().join("config.json"), "{}\n").unwrap();
        fs::write(fixture.dir.path().join("experiment.log"), "secret").unwrap();
        let report = fixture.push(&sample_footprint());

        assert_eq!(
            fixture.commit_titles(),
            ["Publish weights and footprint (726.47 Wh, 40.68 g CO2e)", "initial commit"]
        );
        let commit = fixture.hub.commits(REPO).unwrap().remove(0);
        assert_eq!(report.commit, commit.id);
        assert_eq!(commit.changed_paths, ["README.md", "config.json", "footprint.json", "model.safetensors"]);
        assert!(commit.description.starts_with("pre-training; 2 x NVIDIA H200; "), "{}", commit.description);

        assert!(fixture.hub_file("model.safetensors") == fixture.weights);
        assert!(fixture.hub.is_lfs(REPO, "main", "model.safetensors").unwrap());
        assert!(!fixture.hub.is_lfs(REPO, "main", "README.md").unwrap());
        assert_eq!(fixture.hub_file("config.json"), b"{}\n");
        let excluded: Vec<String> = report.excluded.iter().map(ToString::to_string).collect();
        assert_eq!(excluded, ["experiment.log (log)"]);

        // Only sootprint's bytes of the card changed, and both copies are equal.
        let card = fixture.hub_card();
        assert!(card.contains("\r\nco2_eq_emissions:\r\n  emissions: 40.7\r\n"), "{card}");
        assert_eq!(strip_generated(&card), CARD);
        assert_eq!(fixture.local_card(), card);
        assert!(!report.card_created);

        assert_eq!(report.repo, REPO);
        assert_eq!(report.url, format!("{}/me/digits", fixture.hub.endpoint()));
        let weights = report.files.iter().find(|file| file.path == "model.safetensors").unwrap();
        assert_eq!((weights.size, weights.is_lfs), (fixture.weights.len() as u64, true));
        // The Hub names a file in its storage by its own SHA-256.
        let response = get_without_token(fixture.hub.endpoint(), "/me/digits/resolve/main/model.safetensors");
        assert!(response.contains(&format!("\"{}\"", weights.sha256)), "{response}");
    });
}

#[test]
fn second_push_keeps_user_edits() {
    isolated::run("happy_path::second_push_keeps_user_edits", || {
        let fixture = PushFixture::with_card(CARD);
        fixture.push(&sample_footprint());
        fixture.push(&footprint_with_emissions(99.5));
        assert_eq!(fixture.commit_titles().len(), 3);
        let card = fixture.hub_card();
        assert!(card.contains("  emissions: 99.5\r\n") && !card.contains("40.7"), "{card}");
        assert_eq!(strip_generated(&card), CARD);

        // The user edits one card and copies it over the other.
        let edited = card.replace("with love", "with care");
        fs::write(fixture.card_path(), &edited).unwrap();
        fixture.hub.commit_file(REPO, "README.md", edited.as_bytes()).unwrap();
        fixture.push(&footprint_with_emissions(12.0));
        let card = fixture.hub_card();
        assert_eq!(strip_generated(&card), CARD.replace("with love", "with care"));
        assert!(card.contains("  emissions: 12\r\n"), "{card}");
        assert_eq!(fixture.local_card(), card);
        assert!(fixture.hub_file("model.safetensors") == fixture.weights);
    });
}

#[test]
fn base_model_emissions_named_on_request() {
    isolated::run("happy_path::base_model_emissions_named_on_request", || {
        let fixture = PushFixture::with_card(CARD);
        fixture.hub.create_repository("me/base").unwrap();
        fixture.hub.commit_file("me/base", "README.md", b"---\nco2_eq_emissions: 1710\n---\n").unwrap();
        let mut document: serde_json::Value =
            serde_json::from_str(include_str!("../footprint.json")).unwrap();
        document["run"]["training_type"] = "fine-tuning".into();
        document["run"]["base_model"] = "me/base".into();
        let footprint = Footprint::from_json(&document.to_string()).unwrap();

        fixture.push(&footprint);
        assert!(fixture.hub_card().contains("me/base; its own footprint is separate"));
        fixture.upload(&footprint).include_base_model_emissions(true).push().unwrap();
        let card = fixture.hub_card();
        assert!(
            card.contains("me/base; its card publishes 1710 g CO2e (1.71 kg), which is separate"),
            "{card}"
        );
        assert!(card.contains("  emissions: 40.7\r\n"), "{card}");

        document["run"]["base_model"] = "me/nowhere".into();
        let footprint = Footprint::from_json(&document.to_string()).unwrap();
        fixture.upload(&footprint).include_base_model_emissions(true).push().unwrap();
        assert!(
            fixture.hub_card().contains("me/nowhere; its own footprint is separate"),
            "a missing card is no error"
        );
    });
}

#[test]
fn hub_card_used_without_local_card() {
    isolated::run("happy_path::hub_card_used_without_local_card", || {
        let fixture = PushFixture::new();
        fixture.hub.create_repository(REPO).unwrap();
        fixture
            .hub
            .commit_file(REPO, "README.md", b"---\nco2_eq_emissions: 5  # AutoTrain\n---\n# Mine\n")
            .unwrap();
        let report = fixture.push(&sample_footprint());
        assert!(!report.card_created);
        let card = fixture.hub_card();
        assert_eq!(strip_generated(&card), "---\n---\n# Mine\n");
        assert_eq!(fixture.local_card(), card);
        let description = fixture.hub.commits(REPO).unwrap().remove(0).description;
        assert!(
            description.contains("\n\nReplaced `co2_eq_emissions`: 5  # AutoTrain\n\nPublication-Id: "),
            "{description}"
        );
    });
}

#[test]
fn no_card_creates_minimal_card() {
    isolated::run("happy_path::no_card_creates_minimal_card", || {
        let fixture = PushFixture::new();
        assert!(fixture.push(&sample_footprint()).card_created);
        let card = fixture.hub_card();
        assert!(card.contains("\n# digits\n"), "{card}");
        assert_eq!(fixture.local_card(), card);
        assert!(!fixture.push(&sample_footprint()).card_created);
    });
}

#[test]
fn conflicting_cards_send_nothing() {
    isolated::run("happy_path::conflicting_cards_send_nothing", || {
        let fixture = PushFixture::with_card(CARD);
        fixture.hub.create_repository(REPO).unwrap();
        let theirs =
            fixture.hub.commit_file(REPO, "README.md", b"---\nlicense: mit\n---\n# Theirs\n").unwrap();
        let error = fixture.upload(&sample_footprint()).push().unwrap_err();
        assert!(matches!(error, PushError::CardConflict { .. }), "{error}");
        assert!(error.to_string().contains(REPO), "{error}");
        assert_eq!(fixture.hub.head_commit(REPO).unwrap(), theirs);
        assert_eq!(fixture.local_card(), CARD);
    });
}

#[test]
fn wrong_token_fails_without_retry() {
    isolated::run("happy_path::wrong_token_fails_without_retry", || {
        let fixture = PushFixture::with_card(CARD);
        let wrong_token = "hf_a_strangers_token";
        let upload = fixture.upload(&sample_footprint()).token(HubToken::new(wrong_token).unwrap());
        assert!(!format!("{upload:?}").contains(wrong_token));
        let error = upload.push().unwrap_err();
        assert!(matches!(error, PushError::Unauthorized { .. }), "{error}");
        assert!(error.to_string().contains("hf auth login"), "{error}");
        let mut message = format!("{error} {error:?} {error:#?}");
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            message += &format!("{error} {error:?}");
            cause = error.source();
        }
        assert!(!message.contains(wrong_token), "{message}");
        assert!(fixture.hub.head_commit(REPO).is_err());
        assert_eq!(fixture.local_card(), CARD);
    });
}

#[test]
fn pushed_footprint_has_no_gpu_uuid() {
    isolated::run("happy_path::pushed_footprint_has_no_gpu_uuid", || {
        let fixture = PushFixture::new();
        let mut original = sample_footprint();
        original.run.base_model = Some("/home/alice/base".to_owned());
        original.write(fixture.dir.path()).unwrap();
        fixture.push(&original);
        let json = String::from_utf8(fixture.hub_file("footprint.json")).unwrap();
        let public = Footprint::from_json(&json).unwrap();
        let ids: Vec<_> = public.components.iter().map(|component| component.id.as_str()).collect();
        assert_eq!(ids, ["gpu0", "gpu1", "cpu", "memory"]);
        assert_eq!((public.energy, public.run.base_model), (original.energy.clone(), None));
        for sent in [json, fixture.hub_card()] {
            for secret in ["5c1bd4f2", "e2a90c77", "11111111", "GPU-", "alice"] {
                assert!(!sent.contains(secret), "{secret} in {sent}");
            }
        }
        // The local copy keeps them.
        let local = Footprint::read(&fixture.dir.path().join("footprint.json")).unwrap();
        assert_eq!(local, original);
    });
}

#[test]
fn invalid_input_fails_before_any_request() {
    isolated::run("happy_path::invalid_input_fails_before_any_request", || {
        let fixture = PushFixture::new();
        let mut failed = sample_footprint();
        failed.run.outcome = RunStatus::Failed;
        let error = fixture.upload(&failed).push().unwrap_err();
        assert!(matches!(error, PushError::UnsuccessfulRun { .. }), "{error}");

        let mut unmeasured = sample_footprint();
        unmeasured.components.clear();
        let error = fixture.upload(&unmeasured).push().unwrap_err();
        assert!(matches!(error, PushError::NotMeasured), "{error}");

        let error = push_to_hub(&sample_footprint(), fixture.dir.path(), "digits").unwrap_err();
        assert!(matches!(error, PushError::InvalidRepoId { .. }), "{error}");

        fs::write(fixture.card_path(), "---\nlicense: mit\n").unwrap();
        let error = fixture.upload(&sample_footprint()).push().unwrap_err();
        assert!(matches!(error, PushError::InvalidCard { .. }), "{error}");

        fs::remove_file(fixture.dir.path().join("model.safetensors")).unwrap();
        let error = fixture.upload(&sample_footprint()).push().unwrap_err();
        assert!(matches!(error, PushError::NoWeights { .. }), "{error}");
        assert!(fixture.hub.head_commit(REPO).is_err());
    });
}

#[cfg(unix)]
#[test]
fn symlink_outside_folder_is_refused() {
    isolated::run("happy_path::symlink_outside_folder_is_refused", || {
        let fixture = PushFixture::new();
        let outside = tempfile::NamedTempFile::new().unwrap();
        std::os::unix::fs::symlink(outside.path(), fixture.dir.path().join("config.json")).unwrap();
        let error = fixture.upload(&sample_footprint()).push().unwrap_err();
        assert!(matches!(error, PushError::UnsafeSymlink { .. }), "{error}");
        assert!(fixture.hub.head_commit(REPO).is_err());
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
            let fixture = PushFixture::new();
            let report = runtime.block_on(async { fixture.push(&sample_footprint()) });
            assert_eq!(report.commit, fixture.hub.head_commit(REPO).unwrap());
        }
    });
}

#[test]
fn private_and_branch_options_apply() {
    isolated::run("happy_path::private_and_branch_options_apply", || {
        let fixture = PushFixture::new();
        fixture.upload(&sample_footprint()).private(true).push().unwrap();
        let response = get_without_token(fixture.hub.endpoint(), "/api/models/me/digits");
        assert!(response.starts_with("HTTP/1.1 401"), "{response}");

        let main = fixture.hub.head_commit(REPO).unwrap();
        let report = fixture.upload(&footprint_with_emissions(99.5)).branch("next").push().unwrap();
        assert_eq!(fixture.hub.head_commit(REPO).unwrap(), main);
        assert_eq!(fixture.hub.commits_at(REPO, "next").unwrap()[0].id, report.commit);
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
        let fixture = PushFixture::new();
        fixture.push(&sample_footprint());
        let log_text = log.text();
        assert!(log_text.contains("pushed to me/digits in commit"), "nothing was logged: {log_text}");
        assert!(!log_text.contains(fixture.hub.token()), "the token is in the log");
        let line = log_text.lines().find(|line| line.contains(" sootprint_hub:") && line.contains("/tmp"));
        assert_eq!(line, None);
    });
}

/// Captures the log of all threads.
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

/// Sends a request without a token, and returns the response with its headers.
fn get_without_token(endpoint: &str, path: &str) -> String {
    send_request(endpoint, &format!("GET {path}"), "", "")
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
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}
