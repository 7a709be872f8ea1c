//! Options of a push: files, targets, environment, cancellation and progress.

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sootprint_hub::{PushError, PushEvent, PushProgressHandler, staged_push};

use crate::fixture::{CARD, PushFixture, REPO, footprint_with_emissions, safetensors, sample_footprint};
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
fn secrets_never_leave() {
    isolated::run("options::secrets_never_leave", || {
        let fixture = PushFixture::with_small_weights();
        let (token, dir) = (fixture.hub.token().to_owned(), fixture.dir.path());
        let upload = || fixture.upload(&sample_footprint());
        let key = format!("-----BEGIN PRIVATE KEY-----\n{}\n", "QUJD".repeat(16));

        fs::write(dir.join("README.md"), format!("# Digits\n\nLog in with {token}.\n")).unwrap();
        let errors = [upload().push().unwrap_err(), upload().card_only(true).push().unwrap_err()];
        fs::remove_file(dir.join("README.md")).unwrap();
        let title = upload().commit_message(format!("with {token}")).push().unwrap_err();
        let description = upload().commit_description(format!("with {token}")).push().unwrap_err();
        fs::write(dir.join("notes.txt"), key).unwrap();
        let in_file = upload().allow_pattern("*").push().unwrap_err();
        fs::remove_file(dir.join("notes.txt")).unwrap();
        // Weights are searched as well.
        let weights = [fixture.weights.clone(), token.clone().into_bytes()].concat();
        fs::write(dir.join("model.bin"), &weights).unwrap();
        let in_weights = upload().push().unwrap_err();

        assert!(matches!(in_file, PushError::PrivateKeyInFile { .. }), "{in_file}");
        assert!(matches!(in_weights, PushError::TokenInFile { .. }), "{in_weights}");
        for error in errors.iter().chain([&title, &description]) {
            assert!(matches!(error, PushError::SecretInText { .. }), "{error}");
        }
        for error in errors.iter().chain([&title, &description, &in_file, &in_weights]) {
            assert!(!error.to_string().contains(&token), "{error}");
        }
        let commits = fixture.hub.commits(REPO).map(|commits| commits.len());
        assert!(commits.is_err() || commits.is_ok_and(|count| count == 1), "only the Hub's own commit");
    });
}

#[test]
fn refused_card_leaves_no_repository() {
    isolated::run("options::refused_card_leaves_no_repository", || {
        let fixture = PushFixture::with_small_weights();
        for (metadata, reason) in
            [("license: none-of-these", "must be one of"), ("tags: {a: b}", "must be an array")]
        {
            fs::write(fixture.card_path(), format!("---\n{metadata}\n---\n# Digits\n")).unwrap();
            let error = fixture.upload(&sample_footprint()).push().unwrap_err();
            assert!(matches!(error, PushError::CardRefused { .. }), "{error}");
            assert!(error.to_string().contains(reason), "{error}");
            assert!(fixture.hub.head_commit(REPO).is_err(), "no repository was created");
        }
    });
}

#[test]
fn visibility_follows_the_owner_unless_asked() {
    use fake_hub::OrganizationPolicy;

    isolated::run("options::visibility_follows_the_owner_unless_asked", || {
        let fixture = PushFixture::with_small_weights();
        let push = |private| fixture.upload(&sample_footprint()).private(private).push();
        let policy = |private_by_default, forbids_public| {
            fixture.hub.set_organization("me", OrganizationPolicy { private_by_default, forbids_public });
        };
        policy(true, true);
        push(false).unwrap();
        assert!(fixture.hub.is_private(REPO).unwrap(), "the default of the organisation");

        // A push that asked for a private repository and failed does not make a public one later.
        let other = PushFixture::with_small_weights();
        other.hub.add_fault(
            fake_hub::HubFault::on_path("/repos/create", fake_hub::HubFaultKind::status(503)).repeat(9),
        );
        other.upload(&sample_footprint()).private(true).push().unwrap_err();
        assert!(staged_push(other.dir.path()).unwrap().options.private);
        other.hub.clear_faults();
        other.upload(&sample_footprint()).push().unwrap();
        assert!(other.hub.is_private(REPO).unwrap());

        // Neither another repository nor another branch, nor the case of a name, makes it forget.
        let kept = PushFixture::with_small_weights();
        let upload = |repo: &str| {
            sootprint_hub::ModelUpload::new(&sample_footprint(), kept.dir.path(), repo)
                .endpoint(kept.hub.endpoint())
                .token(sootprint_hub::HubToken::new(kept.hub.token()).unwrap())
                .retry_policy(crate::fixture::short_retry_policy())
        };
        kept.hub.add_fault(
            fake_hub::HubFault::on_path("/repos/create", fake_hub::HubFaultKind::status(503)).repeat(9),
        );
        upload("me/Digits").private(true).push().unwrap_err();
        kept.hub.clear_faults();
        upload("me/other").push().unwrap();
        upload(REPO).push().unwrap();
        assert!(kept.hub.is_private(REPO).unwrap() && !kept.hub.is_private("me/other").unwrap());

        let public = PushFixture::with_small_weights();
        public.push(&sample_footprint());
        let error = public.upload(&sample_footprint()).private(true).push().unwrap_err();
        assert!(matches!(error, PushError::RepositoryIsPublic { .. }), "{error}");
        assert!(!public.push(&sample_footprint()).created_commit, "as the error advises");

        // A record that cannot be read may say that the repository is private.
        fs::write(public.dir.path().join("sootprint/publication/staged.json"), "garbage").unwrap();
        let error = public.upload(&sample_footprint()).push().unwrap_err();
        assert!(error.to_string().contains("staged.json"), "{error}");
    });
}

#[test]
fn renamed_repository_is_followed() {
    isolated::run("options::renamed_repository_is_followed", || {
        let fixture = PushFixture::with_small_weights();
        fixture.push(&sample_footprint());
        fixture.hub.rename_repository(REPO, "me/numbers").unwrap();
        let report = fixture.push(&footprint_with_emissions(7.0));
        assert_eq!(report.repo, "me/numbers");
        assert!(report.url.ends_with("/me/numbers"), "{}", report.url);
        assert_eq!(fixture.hub.head_commit("me/numbers").unwrap(), report.commit);
    });
}

#[test]
fn more_new_files_than_the_hub_takes_are_refused() {
    isolated::run("options::more_new_files_than_the_hub_takes_are_refused", || {
        let fixture = PushFixture::with_small_weights();
        fs::create_dir(fixture.dir.path().join("data")).unwrap();
        for number in 0..5_000 {
            fs::write(fixture.dir.path().join(format!("data/{number}.txt")), number.to_string()).unwrap();
        }
        let error = fixture.upload(&sample_footprint()).push().unwrap_err();
        assert!(matches!(error, PushError::TooManyNewFiles { count: 5_003, .. }), "{error:?}");
        assert!(error.to_string().contains("hf upload"), "{error}");
        // The number of new files counts, not that of all files.
        for number in 200..5_000 {
            fs::remove_file(fixture.dir.path().join(format!("data/{number}.txt"))).unwrap();
        }
        fixture.push(&sample_footprint());
        for number in 200..400 {
            fs::write(fixture.dir.path().join(format!("data/{number}.txt")), number.to_string()).unwrap();
        }
        assert_eq!(fixture.push(&sample_footprint()).files.len(), 403);
    });
}

#[test]
fn old_files_are_named_and_removed_on_request() {
    isolated::run("options::old_files_are_named_and_removed_on_request", || {
        let fixture = PushFixture::with_small_weights();
        let path = |name: &str| fixture.dir.path().join(name);
        fs::write(path("older.bin"), "older weights").unwrap();
        fs::write(path("edited.txt"), "ours").unwrap();
        fixture.push(&sample_footprint());
        fixture.hub.commit_file(REPO, "edited.txt", b"theirs").unwrap();
        fixture.hub.commit_file(REPO, "theirs.bin", b"never ours").unwrap();
        fs::remove_file(path("older.bin")).unwrap();
        fs::remove_file(path("edited.txt")).unwrap();
        for _ in 0..2 {
            let report = fixture.push(&sample_footprint());
            assert_eq!((report.created_commit, report.old_files), (false, vec!["older.bin".to_owned()]));
        }
        let only_card =
            fixture.upload(&sample_footprint()).card_only(true).remove_old_files(true).push().unwrap();
        assert_eq!(only_card.removed_files, [""; 0]);
        let report = fixture.upload(&sample_footprint()).remove_old_files(true).push().unwrap();
        assert_eq!((report.created_commit, report.removed_files), (true, vec!["older.bin".to_owned()]));
        assert_eq!(fixture.own_commits()[0].changed_paths, ["older.bin"]);
        let files = fixture.hub.files(REPO, "main").unwrap();
        assert!(
            files.contains(&"edited.txt".to_owned()) && files.contains(&"theirs.bin".to_owned()),
            "{files:?}"
        );
        assert_eq!(fixture.push(&sample_footprint()).old_files, [""; 0]);
    });
}

/// They identify machines and GPUs.
#[test]
fn records_of_other_runs_never_leave() {
    isolated::run("options::records_of_other_runs_never_leave", || {
        let fixture = PushFixture::with_small_weights();
        for name in
            ["run2/footprint.json", "run2/sootprint/1-run.jsonl", "run2/sootprint/publication/staged.json"]
        {
            let path = fixture.dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "GPU-5c1bd4f2-27d7-4d4c-9a64-0e6b7a2f9d31").unwrap();
        }
        fs::write(fixture.dir.path().join("run2/model.bin"), [0, 1, 2]).unwrap();
        fixture.upload(&sample_footprint()).allow_pattern("*").push().unwrap();
        let files = fixture.hub.files(REPO, "main").unwrap();
        assert_eq!(files[1..], ["README.md", "footprint.json", "model.safetensors", "run2/model.bin"]);
        #[cfg(unix)]
        {
            fs::write(fixture.dir.path().join("footprint.json"), "{}").unwrap();
            std::os::unix::fs::symlink("footprint.json", fixture.dir.path().join("copy.json")).unwrap();
            let error = fixture.upload(&sample_footprint()).push().unwrap_err();
            assert!(matches!(error, PushError::UnsafeSymlink { .. }), "{error}");
        }
    });
}

#[test]
fn sync_keeps_what_it_did_not_send_and_what_is_left_out() {
    isolated::run("options::sync_keeps_what_it_did_not_send_and_what_is_left_out", || {
        let fixture = PushFixture::with_small_weights();
        let path = |name: &str| fixture.dir.path().join(name);
        fs::write(path("large.txt"), "large").unwrap();
        fixture.push(&sample_footprint());
        // Another user put the same file there before.
        fixture.hub.commit_file(REPO, "LICENSE.txt", b"MIT").unwrap();
        fs::write(path("LICENSE.txt"), "MIT").unwrap();
        assert!(!fixture.push(&sample_footprint()).created_commit);
        fs::remove_file(path("LICENSE.txt")).unwrap();
        let sync = fixture.upload(&sample_footprint()).remove_old_files(true).ignore_pattern("large.txt");
        let report = sync.push().unwrap();
        assert_eq!((report.old_files, report.removed_files), (vec![], vec![]));
        let files = fixture.hub.files(REPO, "main").unwrap();
        assert!(
            files.contains(&"LICENSE.txt".to_owned()) && files.contains(&"large.txt".to_owned()),
            "{files:?}"
        );
    });
}

/// Models as other programs save them.
#[test]
fn common_folder_shapes_are_complete() {
    isolated::run("options::common_folder_shapes_are_complete", || {
        let weights = safetensors(&[7; 64]);
        let index = r#"{"weight_map": {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}}"#;
        let shapes: [(&str, &[&str]); 6] = [
            (
                "peft",
                &[
                    "adapter_config.json",
                    "adapter_model.safetensors",
                    "tokenizer.json",
                    "chat_template.jinja",
                ],
            ),
            (
                "transformers",
                &[
                    "config.json",
                    "generation_config.json",
                    "merges.txt",
                    "model-1-of-2.safetensors",
                    "model-2-of-2.safetensors",
                    "model.safetensors.index.json",
                    "preprocessor_config.json",
                    "special_tokens_map.json",
                    "spiece.model",
                    "tokenizer_config.json",
                    "vocab.json",
                ],
            ),
            (
                "sentence-transformers",
                &[
                    "1_Pooling/config.json",
                    "config_sentence_transformers.json",
                    "model.safetensors",
                    "modules.json",
                    "sentence_bert_config.json",
                    "tokenizer.json",
                ],
            ),
            (
                "diffusers",
                &[
                    "model_index.json",
                    "scheduler/scheduler_config.json",
                    "text_encoder/model.safetensors",
                    "unet/config.json",
                    "unet/diffusion_pytorch_model.safetensors",
                ],
            ),
            ("burn", &["config.json", "model.mpk"]),
            (
                "exports",
                &[
                    "model-q4.gguf",
                    "model.h5",
                    "model.npz",
                    "model.pt",
                    "onnx/model.onnx",
                    "pytorch_model.bin",
                ],
            ),
        ];
        let hub = PushFixture::with_small_weights();
        for (name, paths) in shapes {
            let dir = tempfile::tempdir().unwrap();
            for path in paths {
                fs::create_dir_all(dir.path().join(path).parent().unwrap()).unwrap();
                let content = match path.rsplit_once('.').unwrap().1 {
                    "safetensors" => weights.clone(),
                    "json" if path.ends_with(".index.json") => index.as_bytes().to_vec(),
                    "json" => b"{}".to_vec(),
                    _ => [path.as_bytes(), &[0, 159, 146, 150]].concat(),
                };
                fs::write(dir.path().join(path), content).unwrap();
            }
            for (path, content) in
                [("checkpoint-10/optimizer.pt", "state"), ("runs/events", "log"), (".cache/x", "")]
            {
                fs::create_dir_all(dir.path().join(path).parent().unwrap()).unwrap();
                fs::write(dir.path().join(path), content).unwrap();
            }
            let repo = format!("me/{name}");
            let token = sootprint_hub::HubToken::new(hub.hub.token()).unwrap();
            let report = sootprint_hub::ModelUpload::new(&sample_footprint(), dir.path(), &repo)
                .endpoint(hub.hub.endpoint())
                .token(token)
                .retry_policy(crate::fixture::short_retry_policy())
                .push()
                .unwrap_or_else(|error| panic!("{name}: {}", crate::fixture::error_chain(&error)));
            let mut expected: Vec<&str> =
                [&[".gitattributes", "README.md", "footprint.json"], paths].concat();
            expected.sort_unstable();
            assert_eq!(hub.hub.files(&repo, "main").unwrap(), expected, "{name}");
            for path in paths {
                let content = fs::read(dir.path().join(path)).unwrap();
                assert!(hub.hub.read_file(&repo, "main", path).unwrap() == content, "{name}/{path}");
            }
            assert_eq!(report.warnings, [""; 0], "{name}");
        }
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
