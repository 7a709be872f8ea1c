//! Options of a push: files, targets, environment, cancellation and progress.

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sootprint_hub::{PushError, PushEvent, PushProgressHandler, staged_push};

use crate::fixture::{CARD, PushFixture, REPO, footprint_with_emissions, sample_footprint};
use crate::isolated;

#[test]
fn patterns_select_and_skip_files() {
    isolated::run("options::patterns_select_and_skip_files", || {
        let fixture = PushFixture::with_small_weights();
        for (name, text) in [
            ("onnx/model.onnx", "graph"),
            ("config.json", "{}"),
            ("notes.txt", "notes"),
            (".git/config", "[remote]"),
            (".env", "SECRET=1"),
            ("credentials.json", "{}"),
            ("sootprint/1-run.jsonl", "{}"),
        ] {
            let path = fixture.dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let upload = fixture.upload(&sample_footprint()).allow_pattern("*").ignore_pattern("*.txt");
        let plan = upload.plan().unwrap();
        upload.push().unwrap();
        let expected = ["README.md", "config.json", "footprint.json", "model.safetensors", "onnx/model.onnx"];
        assert_eq!(plan.files, expected);
        let excluded: Vec<String> = plan.excluded.iter().map(ToString::to_string).collect();
        assert_eq!(
            excluded,
            [
                ".env (hidden)",
                ".git/ (hidden)",
                "credentials.json (name typical of credentials)",
                "notes.txt (ignored)",
                "sootprint/ (record of sootprint)"
            ]
        );
        assert_eq!(fixture.hub.files(REPO, "main").unwrap()[1..], expected);
    });
}

#[test]
fn unchanged_files_are_not_resent() {
    isolated::run("options::unchanged_files_are_not_resent", || {
        let fixture = PushFixture::with_small_weights();
        fixture.push(&sample_footprint());
        let again = fixture.push(&sample_footprint());
        assert!(!again.created_commit);
        assert_eq!((again.files.len(), fixture.own_commits().len()), (3, 1));
        fs::write(fixture.dir.path().join("config.json"), "{}").unwrap();
        let report = fixture.push(&sample_footprint());
        assert!(report.created_commit);
        assert_eq!(fixture.own_commits()[0].changed_paths, ["config.json"]);
        assert_eq!(report.files.len(), 4, "the report lists all files");
    });
}

#[test]
fn file_containing_token_aborts_push() {
    isolated::run("options::file_containing_token_aborts_push", || {
        let fixture = PushFixture::with_small_weights();
        fs::write(fixture.dir.path().join("config.json"), format!("{{\"x\": \"{}\"}}", fixture.hub.token()))
            .unwrap();
        let error = fixture.upload(&sample_footprint()).push().unwrap_err();
        assert!(matches!(error, PushError::TokenInFile { .. }), "{error}");
        assert!(fixture.hub.head_commit(REPO).is_err());
        let kept = fs::read_to_string(fixture.dir.path().join("sootprint/publication/staged.json")).unwrap();
        assert!(!kept.contains(fixture.hub.token()));
    });
}

#[test]
fn no_local_file_contains_token() {
    isolated::run("options::no_local_file_contains_token", || {
        let fixture = PushFixture::with_small_weights();
        fixture.push(&sample_footprint());
        let place = fixture.dir.path().join("sootprint/publication");
        fs::write(fixture.dir.path().join("config.json"), "{}").unwrap();
        fixture.hub.add_fault(fake_hub::HubFault::on_path("/commit/", fake_hub::HubFaultKind::status(403)));
        fixture.upload(&sample_footprint()).push().unwrap_err();
        let mut files_checked = 0;
        for entry in fs::read_dir(place).unwrap().chain(fs::read_dir(fixture.dir.path()).unwrap()) {
            let path = entry.unwrap().path();
            if path.is_file() {
                files_checked += 1;
                let bytes = fs::read(&path).unwrap();
                let token = fixture.hub.token().as_bytes();
                assert!(!bytes.windows(token.len()).any(|window| window == token), "{}", path.display());
            }
        }
        assert!(files_checked >= 5, "{files_checked}");
    });
}

#[test]
fn card_only_pull_request_works() {
    isolated::run("options::card_only_pull_request_works", || {
        let fixture = PushFixture::with_small_weights();
        fs::write(fixture.card_path(), CARD).unwrap();
        fs::remove_file(fixture.dir.path().join("model.safetensors")).unwrap();
        let upload = fixture.upload(&sample_footprint()).card_only(true).open_pull_request(true);
        let report =
            upload.commit_message("Add the footprint").commit_description("As discussed.").push().unwrap();
        assert_eq!(report.pull_request.unwrap().number, 1);
        let commit = fixture.hub.commits_at(REPO, "refs/pr/1").unwrap().remove(0);
        assert_eq!(commit.changed_paths, ["README.md"]);
        assert_eq!(commit.title, "Add the footprint");
        assert!(commit.description.starts_with("As discussed.\n\npre-training; "), "{}", commit.description);
    });
}

#[test]
fn forbidden_pull_request_suggests_card_only() {
    isolated::run("options::forbidden_pull_request_suggests_card_only", || {
        let fixture = PushFixture::with_small_weights();
        let fault = fake_hub::HubFaultKind::status(403);
        fixture.hub.add_fault(fake_hub::HubFault::on_path("/xet-write-token/", fault));
        let error = fixture.upload(&sample_footprint()).open_pull_request(true).push().unwrap_err();
        assert!(matches!(error, PushError::PullRequestForbidden { .. }), "{error}");
        assert!(error.to_string().contains("the card alone"), "{error}");
    });
}

#[test]
fn offline_push_is_staged() {
    let variables = [("HF_HUB_OFFLINE", "1")];
    isolated::run_with("options::offline_push_is_staged", &variables, || {
        let fixture = PushFixture::with_small_weights();
        let error = fixture.upload(&sample_footprint()).push().unwrap_err();
        assert!(matches!(error, PushError::Offline { .. }), "{error}");
        let staged_push = staged_push(fixture.dir.path()).unwrap();
        assert_eq!((staged_push.repo.as_str(), staged_push.branch.as_str()), (REPO, "main"));
        assert_eq!(staged_push.reason, error.to_string());
        assert!(fixture.hub.head_commit(REPO).is_err());
    });
}

#[test]
fn nonzero_rank_does_nothing() {
    isolated::run_with(
        "options::nonzero_rank_does_nothing",
        &[("OMPI_COMM_WORLD_RANK", "3"), ("OMPI_COMM_WORLD_SIZE", "4")],
        || {
            let fixture = PushFixture::with_small_weights();
            let error = fixture.upload(&sample_footprint()).push().unwrap_err();
            assert!(matches!(error, PushError::NonZeroRank { rank: 3 }), "{error}");
            assert_eq!(staged_push(fixture.dir.path()), None);
            assert!(fixture.hub.head_commit(REPO).is_err());
        },
    );
}

#[test]
fn stale_weights_are_staged_with_reason() {
    isolated::run("options::stale_weights_are_staged_with_reason", || {
        let fixture = PushFixture::with_small_weights();
        let weights =
            fs::File::options().append(true).open(fixture.dir.path().join("model.safetensors")).unwrap();
        let started: jiff::Timestamp = sample_footprint().run.started.parse().unwrap();
        weights.set_modified(std::time::SystemTime::from(started) - Duration::from_secs(60)).unwrap();
        let error = fixture.upload(&sample_footprint()).push().unwrap_err();
        assert!(matches!(error, PushError::StaleWeights { .. }), "{error}");
        assert!(staged_push(fixture.dir.path()).unwrap().reason.contains("are older than the run"));
        assert!(fixture.hub.head_commit(REPO).is_err());
        weights.set_modified(std::time::SystemTime::now()).unwrap();
        fixture.push(&sample_footprint());
    });
}

#[test]
fn unsuccessful_run_is_staged_with_reason() {
    isolated::run("options::unsuccessful_run_is_staged_with_reason", || {
        let fixture = PushFixture::with_small_weights();
        for outcome in [sootprint::RunStatus::Failed, sootprint::RunStatus::Panicked] {
            let mut footprint = sample_footprint();
            footprint.run.outcome = outcome;
            let error = fixture.upload(&footprint).push().unwrap_err();
            assert!(matches!(error, PushError::UnsuccessfulRun { .. }), "{error}");
            assert!(staged_push(fixture.dir.path()).unwrap().reason.contains(outcome.as_str()));
        }
        assert!(fixture.hub.head_commit(REPO).is_err());
    });
}

#[test]
fn dropping_async_push_cancels_it() {
    isolated::run("options::dropping_async_push_cancels_it", || {
        let fixture = PushFixture::with_small_weights();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let report = runtime.block_on(fixture.upload(&sample_footprint()).push_async()).unwrap();
        assert!(report.created_commit);

        let time = Duration::from_secs(1);
        let hang = fake_hub::HubFaultKind::Delay { time, applied: true };
        fixture.hub.add_fault(fake_hub::HubFault::on_path("/commit/", hang));
        let second = fixture.upload(&footprint_with_emissions(7.0)).push_async();
        let stopped = runtime.block_on(async { tokio::time::timeout(time / 2, second).await });
        assert!(stopped.is_err(), "the push was still running");
        let until = std::time::Instant::now() + Duration::from_secs(5);
        while staged_push(fixture.dir.path()).is_none() && std::time::Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(staged_push(fixture.dir.path()).unwrap().reason.contains("cancelled"));
        fixture.push(&footprint_with_emissions(7.0));
        assert_eq!(fixture.own_commits().len(), 2);
    });
}

#[derive(Clone, Default)]
struct EventCollector(Arc<Mutex<Vec<PushEvent>>>);

impl PushProgressHandler for EventCollector {
    fn on_progress(&self, event: &PushEvent) {
        self.0.lock().unwrap().push(event.clone());
    }
}

#[test]
fn progress_events_arrive_in_order() {
    isolated::run("options::progress_events_arrive_in_order", || {
        let fixture = PushFixture::new();
        let collector = EventCollector::default();
        fixture.upload(&sample_footprint()).with_progress_handler(collector.clone()).push().unwrap();
        let events = collector.0.lock().unwrap().clone();
        let size = fixture.weights.len() as u64;
        let hashing = |done| PushEvent::Hashing { path: "model.safetensors".to_owned(), done, total: size };
        assert_eq!(events[..2], [hashing(0), hashing(size)]);
        assert_eq!(events[events.len() - 2..], [PushEvent::Committing, PushEvent::Finished]);
        let uploaded = events.iter().filter_map(|event| match event {
            PushEvent::Uploading { done, .. } => Some(*done),
            _ => None,
        });
        assert_eq!(uploaded.max(), Some(size), "{events:?}");
    });
}
