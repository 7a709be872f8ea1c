//! Publications, from the call to the bytes on a Hub.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use sootprint::{Footprint, Outcome};
use sootprint_hub::{PublishError, Token, publish};

use crate::bench::{Bench, CARD, REPO, footprint, footprint_of, without_ours};
use crate::isolated;

#[test]
fn the_first_publication_is_one_commit_with_every_byte() {
    isolated::run("basics::the_first_publication_is_one_commit_with_every_byte", || {
        let bench = Bench::with_card(CARD);
        fs::write(bench.dir.path().join("config.json"), "{}\n").unwrap();
        fs::write(bench.dir.path().join("experiment.log"), "secret").unwrap();
        let published = bench.publish(&footprint());

        assert_eq!(
            bench.titles(),
            ["Publish weights and footprint (726.47 Wh, 40.68 g CO2e)", "initial commit"]
        );
        let commit = bench.hub.commits(REPO).unwrap().remove(0);
        assert_eq!(published.commit, commit.id);
        assert_eq!(commit.changed, ["README.md", "config.json", "footprint.json", "model.safetensors"]);
        assert!(commit.description.starts_with("pre-training; 2 x NVIDIA H200; "), "{}", commit.description);

        assert!(bench.on_hub("model.safetensors") == bench.weights);
        assert!(bench.hub.is_lfs(REPO, "main", "model.safetensors").unwrap());
        assert!(!bench.hub.is_lfs(REPO, "main", "README.md").unwrap());
        assert_eq!(bench.on_hub("config.json"), b"{}\n");
        assert_eq!(published.left_out, ["experiment.log"]);

        // Not a byte of the card moved but those of sootprint's, and both copies are the same.
        let card = bench.card_on_hub();
        assert!(card.contains("\r\nco2_eq_emissions:\r\n  emissions: 40.6823\r\n"), "{card}");
        assert_eq!(without_ours(&card), CARD);
        assert_eq!(bench.local_card(), card);
        assert!(!published.card_created);

        assert_eq!(published.repo, REPO);
        assert_eq!(published.url, format!("{}/me/digits", bench.hub.endpoint()));
        let weights = published.files.iter().find(|file| file.path == "model.safetensors").unwrap();
        assert_eq!((weights.size, weights.is_lfs), (bench.weights.len() as u64, true));
        // The Hub names a file in its storage by the SHA-256 that it computed itself.
        let answer = get(bench.hub.endpoint(), "/me/digits/resolve/main/model.safetensors");
        assert!(answer.contains(&format!("\"{}\"", weights.sha256)), "{answer}");
    });
}

#[test]
fn a_second_publication_replaces_the_block_and_keeps_the_user_s_edits() {
    isolated::run("basics::a_second_publication_replaces_the_block_and_keeps_the_user_s_edits", || {
        let bench = Bench::with_card(CARD);
        bench.publish(&footprint());
        bench.publish(&footprint_of(99.5));
        assert_eq!(bench.titles().len(), 3);
        let card = bench.card_on_hub();
        assert!(card.contains("  emissions: 99.5\r\n") && !card.contains("40.6823"), "{card}");
        assert_eq!(without_ours(&card), CARD);

        // The user edits the one card and copies it over the other.
        let edited = card.replace("with love", "with care");
        fs::write(bench.card_path(), &edited).unwrap();
        bench.hub.write(REPO, "README.md", edited.as_bytes()).unwrap();
        bench.publish(&footprint_of(12.0));
        let card = bench.card_on_hub();
        assert_eq!(without_ours(&card), CARD.replace("with love", "with care"));
        assert!(card.contains("  emissions: 12\r\n"), "{card}");
        assert_eq!(bench.local_card(), card);
        assert!(bench.on_hub("model.safetensors") == bench.weights);
    });
}

#[test]
fn the_base_model_s_emissions_are_named_when_it_is_asked_for() {
    isolated::run("basics::the_base_model_s_emissions_are_named_when_it_is_asked_for", || {
        let bench = Bench::with_card(CARD);
        bench.hub.create_repository("me/base").unwrap();
        bench.hub.write("me/base", "README.md", b"---\nco2_eq_emissions: 1710\n---\n").unwrap();
        let mut document: serde_json::Value =
            serde_json::from_str(include_str!("../footprint.json")).unwrap();
        document["run"]["training_type"] = "fine-tuning".into();
        document["run"]["base_model"] = "me/base".into();
        let footprint = Footprint::from_json(&document.to_string()).unwrap();

        bench.publish(&footprint);
        assert!(bench.card_on_hub().contains("me/base; its own footprint is separate"));
        bench.publication(&footprint).base_card(true).publish().unwrap();
        let card = bench.card_on_hub();
        assert!(
            card.contains("me/base; its card publishes 1710 g CO2eq (1.71 kg), which is separate"),
            "{card}"
        );
        assert!(card.contains("  emissions: 40.6823\r\n"), "{card}");

        document["run"]["base_model"] = "me/nowhere".into();
        let footprint = Footprint::from_json(&document.to_string()).unwrap();
        bench.publication(&footprint).base_card(true).publish().unwrap();
        assert!(
            bench.card_on_hub().contains("me/nowhere; its own footprint is separate"),
            "no card, no failure"
        );
    });
}

#[test]
fn without_a_card_in_the_folder_the_hub_s_is_taken() {
    isolated::run("basics::without_a_card_in_the_folder_the_hub_s_is_taken", || {
        let bench = Bench::new();
        bench.hub.create_repository(REPO).unwrap();
        bench.hub.write(REPO, "README.md", b"---\nco2_eq_emissions: 5  # AutoTrain\n---\n# Mine\n").unwrap();
        let published = bench.publish(&footprint());
        assert!(!published.card_created);
        let card = bench.card_on_hub();
        assert_eq!(without_ours(&card), "---\n---\n# Mine\n");
        assert_eq!(bench.local_card(), card);
        let description = bench.hub.commits(REPO).unwrap().remove(0).description;
        assert!(
            description.contains("\n\nReplaced `co2_eq_emissions`: 5  # AutoTrain\n\nPublication-Id: "),
            "{description}"
        );
    });
}

#[test]
fn without_any_card_a_small_one_is_made() {
    isolated::run("basics::without_any_card_a_small_one_is_made", || {
        let bench = Bench::new();
        assert!(bench.publish(&footprint()).card_created);
        let card = bench.card_on_hub();
        assert!(card.contains("\n# digits\n"), "{card}");
        assert_eq!(bench.local_card(), card);
        assert!(!bench.publish(&footprint()).card_created);
    });
}

#[test]
fn cards_that_were_edited_apart_are_a_conflict_and_nothing_is_sent() {
    isolated::run("basics::cards_that_were_edited_apart_are_a_conflict_and_nothing_is_sent", || {
        let bench = Bench::with_card(CARD);
        bench.hub.create_repository(REPO).unwrap();
        let theirs = bench.hub.write(REPO, "README.md", b"---\nlicense: mit\n---\n# Theirs\n").unwrap();
        let error = bench.publication(&footprint()).publish().unwrap_err();
        assert!(matches!(error, PublishError::CardConflict { .. }), "{error}");
        assert!(error.to_string().contains(REPO), "{error}");
        assert_eq!(bench.hub.head(REPO).unwrap(), theirs);
        assert_eq!(bench.local_card(), CARD);
    });
}

#[test]
fn a_wrong_token_is_refused_and_not_repeated() {
    isolated::run("basics::a_wrong_token_is_refused_and_not_repeated", || {
        let bench = Bench::with_card(CARD);
        let stranger = "hf_a_strangers_token";
        let publication = bench.publication(&footprint()).token(Token::new(stranger).unwrap());
        assert!(!format!("{publication:?}").contains(stranger));
        let error = publication.publish().unwrap_err();
        assert!(matches!(error, PublishError::Unauthorized { .. }), "{error}");
        assert!(error.to_string().contains("hf auth login"), "{error}");
        let mut said = format!("{error} {error:?} {error:#?}");
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            said += &format!("{error} {error:?}");
            cause = error.source();
        }
        assert!(!said.contains(stranger), "{said}");
        assert!(bench.hub.head(REPO).is_err());
        assert_eq!(bench.local_card(), CARD);
    });
}

#[test]
fn the_published_footprint_names_no_board_by_its_uuid() {
    isolated::run("basics::the_published_footprint_names_no_board_by_its_uuid", || {
        let bench = Bench::new();
        let mut original = footprint();
        original.run.base_model = Some("/home/alice/base".to_owned());
        original.write(bench.dir.path()).unwrap();
        bench.publish(&original);
        let json = String::from_utf8(bench.on_hub("footprint.json")).unwrap();
        let public = Footprint::from_json(&json).unwrap();
        let ids: Vec<_> = public.components.iter().map(|component| component.id.as_str()).collect();
        assert_eq!(ids, ["gpu0", "gpu1", "cpu", "memory"]);
        assert_eq!((public.energy, public.run.base_model), (original.energy.clone(), None));
        for sent in [json, bench.card_on_hub()] {
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
fn what_must_not_be_published_is_refused_before_the_hub_hears_of_it() {
    isolated::run("basics::what_must_not_be_published_is_refused_before_the_hub_hears_of_it", || {
        let bench = Bench::new();
        let mut failed = footprint();
        failed.run.outcome = Outcome::Failed;
        let error = bench.publication(&failed).publish().unwrap_err();
        assert!(matches!(error, PublishError::Unfinished { .. }), "{error}");

        let mut unmeasured = footprint();
        unmeasured.components.clear();
        let error = bench.publication(&unmeasured).publish().unwrap_err();
        assert!(matches!(error, PublishError::NotMeasured), "{error}");

        let error = publish(&footprint(), bench.dir.path(), "digits").unwrap_err();
        assert!(matches!(error, PublishError::Repository { .. }), "{error}");

        fs::write(bench.card_path(), "---\nlicense: mit\n").unwrap();
        let error = bench.publication(&footprint()).publish().unwrap_err();
        assert!(matches!(error, PublishError::Card { .. }), "{error}");

        fs::remove_file(bench.dir.path().join("model.safetensors")).unwrap();
        let error = bench.publication(&footprint()).publish().unwrap_err();
        assert!(matches!(error, PublishError::NoWeights { .. }), "{error}");
        assert!(bench.hub.head(REPO).is_err());
    });
}

#[cfg(unix)]
#[test]
fn a_link_out_of_the_folder_is_not_published() {
    isolated::run("basics::a_link_out_of_the_folder_is_not_published", || {
        let bench = Bench::new();
        let outside = tempfile::NamedTempFile::new().unwrap();
        std::os::unix::fs::symlink(outside.path(), bench.dir.path().join("config.json")).unwrap();
        let error = bench.publication(&footprint()).publish().unwrap_err();
        assert!(matches!(error, PublishError::LinkOutside { .. }), "{error}");
        assert!(bench.hub.head(REPO).is_err());
    });
}

#[test]
fn a_publication_inside_a_runtime_works() {
    isolated::run("basics::a_publication_inside_a_runtime_works", || {
        let runtimes = [
            tokio::runtime::Builder::new_current_thread().build().unwrap(),
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap(),
        ];
        for runtime in runtimes {
            let bench = Bench::new();
            let published = runtime.block_on(async { bench.publish(&footprint()) });
            assert_eq!(published.commit, bench.hub.head(REPO).unwrap());
        }
    });
}

#[test]
fn a_private_repository_is_private_and_another_branch_leaves_main_alone() {
    isolated::run("basics::a_private_repository_is_private_and_another_branch_leaves_main_alone", || {
        let bench = Bench::new();
        bench.publication(&footprint()).private(true).publish().unwrap();
        let answer = get(bench.hub.endpoint(), "/api/models/me/digits");
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");

        let main = bench.hub.head(REPO).unwrap();
        let error = bench.publication(&footprint()).revision("next").publish().unwrap_err();
        assert!(matches!(error, PublishError::NoBranch { .. }), "{error}");
        create_branch(&bench, "next");
        let published = bench.publication(&footprint_of(99.5)).revision("next").publish().unwrap();
        assert_eq!(bench.hub.head(REPO).unwrap(), main);
        assert_eq!(bench.hub.commits_at(REPO, "next").unwrap()[0].id, published.commit);
    });
}

#[test]
fn the_token_is_in_no_line_of_the_log() {
    isolated::run("basics::the_token_is_in_no_line_of_the_log", || {
        let log = Log::default();
        let writer = log.clone();
        tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
            .with_writer(move || writer.clone())
            .init();
        let bench = Bench::new();
        bench.publish(&footprint());
        let said = log.text();
        assert!(said.contains("me/digits is published at"), "nothing was logged: {said}");
        assert!(!said.contains(bench.hub.token()), "the token is in the log");
        let line = said.lines().find(|line| line.contains(" sootprint_hub:") && line.contains("/tmp"));
        assert_eq!(line, None);
    });
}

/// What was logged so far, on any thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A request without a token, and its answer with its headers.
fn get(endpoint: &str, path: &str) -> String {
    request(endpoint, &format!("GET {path}"), "", "")
}

fn create_branch(bench: &Bench, branch: &str) {
    let headers =
        format!("Authorization: Bearer {}\r\nContent-Type: application/json\r\n", bench.hub.token());
    let target = format!("POST /api/models/{REPO}/branch/{branch}");
    let answer = request(bench.hub.endpoint(), &target, &headers, "{}");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

fn request(endpoint: &str, target: &str, headers: &str, body: &str) -> String {
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
