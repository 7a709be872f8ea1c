//! What is sent, where to, by whom, and who hears of it.

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sootprint_hub::{Event, Events, PublishError, staged};

use crate::bench::{Bench, CARD, REPO, footprint, footprint_of};
use crate::isolated;

#[test]
fn patterns_say_what_else_is_sent_and_what_is_not() {
    isolated::run("choices::patterns_say_what_else_is_sent_and_what_is_not", || {
        let bench = Bench::small();
        for (name, text) in [
            ("onnx/model.onnx", "graph"),
            ("config.json", "{}"),
            ("notes.txt", "notes"),
            (".git/config", "[remote]"),
            (".env", "SECRET=1"),
            ("credentials.json", "{}"),
            ("sootprint/1-run.jsonl", "{}"),
        ] {
            let path = bench.dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let publication = bench.publication(&footprint()).allow("*").ignore("*.txt");
        let plan = publication.plan().unwrap();
        publication.publish().unwrap();
        let expected = ["README.md", "config.json", "footprint.json", "model.safetensors", "onnx/model.onnx"];
        assert_eq!(plan.files, expected);
        assert_eq!(plan.left_out, [".env", "credentials.json", "notes.txt"]);
        assert_eq!(bench.hub.files(REPO, "main").unwrap()[1..], expected);
    });
}

#[test]
fn what_the_hub_has_is_not_sent_again() {
    isolated::run("choices::what_the_hub_has_is_not_sent_again", || {
        let bench = Bench::small();
        bench.publish(&footprint());
        let again = bench.publish(&footprint());
        assert!(!again.is_new);
        assert_eq!((again.files.len(), bench.ours().len()), (3, 1));
        fs::write(bench.dir.path().join("config.json"), "{}").unwrap();
        let published = bench.publish(&footprint());
        assert!(published.is_new);
        assert_eq!(bench.ours()[0].changed, ["config.json"]);
        assert_eq!(published.files.len(), 4, "all of them are looked at");
    });
}

#[test]
fn a_file_that_holds_the_token_stops_the_publication() {
    isolated::run("choices::a_file_that_holds_the_token_stops_the_publication", || {
        let bench = Bench::small();
        fs::write(bench.dir.path().join("config.json"), format!("{{\"x\": \"{}\"}}", bench.hub.token()))
            .unwrap();
        let error = bench.publication(&footprint()).publish().unwrap_err();
        assert!(matches!(error, PublishError::TokenInFile { .. }), "{error}");
        assert!(bench.hub.head(REPO).is_err());
        let kept = fs::read_to_string(bench.dir.path().join("sootprint/publication/staged.json")).unwrap();
        assert!(!kept.contains(bench.hub.token()));
    });
}

#[test]
fn the_token_is_in_no_file_of_the_folder() {
    isolated::run("choices::the_token_is_in_no_file_of_the_folder", || {
        let bench = Bench::small();
        bench.publish(&footprint());
        let place = bench.dir.path().join("sootprint/publication");
        fs::write(bench.dir.path().join("config.json"), "{}").unwrap();
        bench.hub.add_fault(fake_hub::Fault::at("/commit/", fake_hub::Misbehaviour::status(403)));
        bench.publication(&footprint()).publish().unwrap_err();
        let mut looked_at = 0;
        for entry in fs::read_dir(place).unwrap().chain(fs::read_dir(bench.dir.path()).unwrap()) {
            let path = entry.unwrap().path();
            if path.is_file() {
                looked_at += 1;
                let bytes = fs::read(&path).unwrap();
                let token = bench.hub.token().as_bytes();
                assert!(!bytes.windows(token.len()).any(|window| window == token), "{}", path.display());
            }
        }
        assert!(looked_at >= 5, "{looked_at}");
    });
}

#[test]
fn the_card_alone_can_be_proposed() {
    isolated::run("choices::the_card_alone_can_be_proposed", || {
        let bench = Bench::small();
        fs::write(bench.card_path(), CARD).unwrap();
        fs::remove_file(bench.dir.path().join("model.safetensors")).unwrap();
        let publication = bench.publication(&footprint()).card_alone(true).pull_request(true);
        let published =
            publication.message("Add the footprint").description("As talked about.").publish().unwrap();
        assert_eq!(published.pull_request.unwrap().number, 1);
        let commit = bench.hub.commits_at(REPO, "refs/pr/1").unwrap().remove(0);
        assert_eq!(commit.changed, ["README.md"]);
        assert_eq!(commit.title, "Add the footprint");
        assert!(
            commit.description.starts_with("As talked about.\n\npre-training; "),
            "{}",
            commit.description
        );
    });
}

#[test]
fn a_pull_request_with_weights_and_without_the_right_to_write_offers_the_card_alone() {
    isolated::run(
        "choices::a_pull_request_with_weights_and_without_the_right_to_write_offers_the_card_alone",
        || {
            let bench = Bench::small();
            let fault = fake_hub::Misbehaviour::status(403);
            bench.hub.add_fault(fake_hub::Fault::at("/xet-write-token/", fault));
            let error = bench.publication(&footprint()).pull_request(true).publish().unwrap_err();
            assert!(matches!(error, PublishError::PullRequestForbidden { .. }), "{error}");
            assert!(error.to_string().contains("the card alone"), "{error}");
        },
    );
}

#[test]
fn offline_it_is_staged_at_once() {
    let variables = [("HF_HUB_OFFLINE", "1")];
    isolated::run_with("choices::offline_it_is_staged_at_once", &variables, || {
        let bench = Bench::small();
        let error = bench.publication(&footprint()).publish().unwrap_err();
        assert!(matches!(error, PublishError::Offline { .. }), "{error}");
        let waiting = staged(bench.dir.path()).unwrap();
        assert_eq!((waiting.repo.as_str(), waiting.branch.as_str()), (REPO, "main"));
        assert_eq!(waiting.reason, error.to_string());
        assert!(bench.hub.head(REPO).is_err());
    });
}

#[test]
fn another_rank_does_nothing() {
    isolated::run_with(
        "choices::another_rank_does_nothing",
        &[("OMPI_COMM_WORLD_RANK", "3"), ("OMPI_COMM_WORLD_SIZE", "4")],
        || {
            let bench = Bench::small();
            let error = bench.publication(&footprint()).publish().unwrap_err();
            assert!(matches!(error, PublishError::OtherRank { rank: 3 }), "{error}");
            assert_eq!(staged(bench.dir.path()), None);
            assert!(bench.hub.head(REPO).is_err());
        },
    );
}

#[test]
fn weights_that_are_older_than_the_run_are_staged_with_the_reason() {
    isolated::run("choices::weights_that_are_older_than_the_run_are_staged_with_the_reason", || {
        let bench = Bench::small();
        let weights =
            fs::File::options().append(true).open(bench.dir.path().join("model.safetensors")).unwrap();
        let started: jiff::Timestamp = footprint().run.started.parse().unwrap();
        weights.set_modified(std::time::SystemTime::from(started) - Duration::from_secs(60)).unwrap();
        let error = bench.publication(&footprint()).publish().unwrap_err();
        assert!(matches!(error, PublishError::OldWeights { .. }), "{error}");
        assert!(staged(bench.dir.path()).unwrap().reason.contains("are older than the run"));
        assert!(bench.hub.head(REPO).is_err());
        weights.set_modified(std::time::SystemTime::now()).unwrap();
        bench.publish(&footprint());
    });
}

#[test]
fn a_run_that_failed_or_panicked_is_staged_with_the_reason() {
    isolated::run("choices::a_run_that_failed_or_panicked_is_staged_with_the_reason", || {
        let bench = Bench::small();
        for outcome in [sootprint::Outcome::Failed, sootprint::Outcome::Panicked] {
            let mut footprint = footprint();
            footprint.run.outcome = outcome;
            let error = bench.publication(&footprint).publish().unwrap_err();
            assert!(matches!(error, PublishError::Unfinished { .. }), "{error}");
            assert!(staged(bench.dir.path()).unwrap().reason.contains(outcome.as_str()));
        }
        assert!(bench.hub.head(REPO).is_err());
    });
}

#[test]
fn async_code_publishes_and_stops_by_dropping_the_future() {
    isolated::run("choices::async_code_publishes_and_stops_by_dropping_the_future", || {
        let bench = Bench::small();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let published = runtime.block_on(bench.publication(&footprint()).publish_async()).unwrap();
        assert!(published.is_new);

        let time = Duration::from_secs(1);
        let hang = fake_hub::Misbehaviour::Hang { time, applied: true };
        bench.hub.add_fault(fake_hub::Fault::at("/commit/", hang));
        let second = bench.publication(&footprint_of(7.0)).publish_async();
        let stopped = runtime.block_on(async { tokio::time::timeout(time / 2, second).await });
        assert!(stopped.is_err(), "it was still at work");
        let until = std::time::Instant::now() + Duration::from_secs(5);
        while staged(bench.dir.path()).is_none() && std::time::Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(staged(bench.dir.path()).unwrap().reason.contains("was stopped"));
        bench.publish(&footprint_of(7.0));
        assert_eq!(bench.ours().len(), 2);
    });
}

#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<Event>>>);

impl Events for Heard {
    fn on_event(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

#[test]
fn hashing_upload_and_end_are_told_in_order() {
    isolated::run("choices::hashing_upload_and_end_are_told_in_order", || {
        let bench = Bench::new();
        let heard = Heard::default();
        bench.publication(&footprint()).events(heard.clone()).publish().unwrap();
        let events = heard.0.lock().unwrap().clone();
        let size = bench.weights.len() as u64;
        let hashing = |done| Event::Hashing { path: "model.safetensors".to_owned(), done, total: size };
        assert_eq!(events[..2], [hashing(0), hashing(size)]);
        assert_eq!(events[events.len() - 2..], [Event::Committing, Event::Ended]);
        let uploaded = events.iter().filter_map(|event| match event {
            Event::Uploading { done, .. } => Some(*done),
            _ => None,
        });
        assert_eq!(uploaded.max(), Some(size), "{events:?}");
    });
}
