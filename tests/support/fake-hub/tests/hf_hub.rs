//! The hub as Hugging Face's Rust client sees it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may stop at the first surprise, too")]

use std::path::Path;

use fake_hub::FakeHub;
use hf_hub::repository::{AddSource, CommitOperation, RepoTreeEntry};
use hf_hub::{HFClientBuilder, HFClientSync, HFError, HFRepositorySync, RepoTypeModel};
use tempfile::TempDir;

mod isolated;
mod plain_http;

/// A hub, a client of it with a cache of its own, and an empty repository.
struct Bench {
    hub: FakeHub,
    client: HFClientSync,
    cache: TempDir,
}

impl Bench {
    fn new() -> Self {
        let hub = FakeHub::start().unwrap();
        hub.create_repository("me/digits").unwrap();
        let cache = TempDir::new().unwrap();
        let client = client(&hub, hub.token(), cache.path());
        Self { hub, client, cache }
    }

    fn repository(&self) -> HFRepositorySync<RepoTypeModel> {
        self.client.model("me", "digits")
    }

    fn head(&self) -> String {
        self.hub.head("me/digits").unwrap()
    }
}

fn client(hub: &FakeHub, token: &str, cache: &Path) -> HFClientSync {
    let builder = HFClientBuilder::new().endpoint(hub.endpoint()).token(token).cache_dir(cache);
    builder.retry_max_attempts(0).build_sync().unwrap()
}

/// Bytes that do not compress: the states of a linear congruential generator (Knuth's MMIX).
fn noise(length: usize) -> Vec<u8> {
    let next = |state: &u64| {
        Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
    };
    std::iter::successors(Some(7_u64), next).map(|state| (state >> 56) as u8).take(length).collect()
}

fn status(error: &HFError) -> u16 {
    match error {
        HFError::Http { context }
        | HFError::AuthRequired { context }
        | HFError::Conflict { context }
        | HFError::Forbidden { context } => context.status.as_u16(),
        other => panic!("{other}"),
    }
}

const CARD: &[u8] = b"---\r\nlicense: mit\r\n---\r\n# Digits\r\n";

#[test]
fn weights_travel_through_the_storage_and_come_back() {
    isolated::run("weights_travel_through_the_storage_and_come_back", || {
        let bench = Bench::new();
        let repository = bench.repository();
        let weights = noise(5 * 1024 * 1024 + 80);
        let start = bench.head();
        let made = repository
            .create_commit()
            .operations(vec![
                CommitOperation::add_bytes("README.md", CARD),
                CommitOperation::add_bytes("model.safetensors", weights.clone()),
            ])
            .commit_message("Publish")
            .commit_description("Measured by a meter.")
            .parent_commit(start.clone())
            .send()
            .unwrap();

        // What the hub has.
        let commit = bench.hub.commits("me/digits").unwrap().remove(0);
        assert_eq!(made.commit_oid.as_ref(), Some(&commit.id));
        assert_eq!((commit.title.as_str(), commit.description.as_str()), ("Publish", "Measured by a meter."));
        assert_eq!(commit.parent, Some(start));
        assert_eq!(commit.changed, ["README.md", "model.safetensors"]);
        assert_eq!(bench.hub.read("me/digits", "main", "README.md").unwrap(), CARD);
        assert!(!bench.hub.is_lfs("me/digits", "main", "README.md").unwrap());
        assert!(bench.hub.is_lfs("me/digits", "main", "model.safetensors").unwrap());
        assert!(bench.hub.read("me/digits", "main", "model.safetensors").unwrap() == weights);

        // What the client gets back: through Xet into its cache, and without Xet from the content network.
        let path = repository.download_file().filename("model.safetensors").send().unwrap();
        assert!(path.starts_with(bench.cache.path()));
        assert!(std::fs::read(path).unwrap() == weights);
        let bytes = repository.download_file_to_bytes().filename("model.safetensors").send().unwrap();
        assert!(bytes == weights);
        let part = repository
            .download_file_to_bytes()
            .filename("model.safetensors")
            .range(1000..3000)
            .send()
            .unwrap();
        assert_eq!(part, weights[1000..3000]);
        let path = repository.download_file().filename("README.md").send().unwrap();
        assert_eq!(std::fs::read(path).unwrap(), CARD);

        listings_tell_the_weights_from_the_card(&bench, weights.len() as u64);
        the_storage_is_asked_not_believed(&bench, weights.len() as u64);
        metadata_of_weights_is_lost_behind_the_redirect(&bench);
    });
}

fn listings_tell_the_weights_from_the_card(bench: &Bench, size: u64) {
    let entries = bench.repository().list_tree().recursive(true).send().unwrap();
    let file = |wanted: &str| {
        let found = entries.iter().find_map(|entry| match entry {
            RepoTreeEntry::File { path, size, lfs, xet_hash, .. } if path == wanted => {
                Some((*size, lfs.is_some(), xet_hash.clone()))
            }
            _ => None,
        });
        found.unwrap()
    };
    assert_eq!(file("README.md"), (CARD.len() as u64, false, None));
    let (listed, is_lfs, xet_hash) = file("model.safetensors");
    assert_eq!((listed, is_lfs), (size, true));
    assert_eq!(xet_hash.map(|hash| hash.len()), Some(64));

    let paths = vec!["model.safetensors".to_owned(), "missing".to_owned()];
    let info = bench.repository().get_paths_info().paths(paths).send().unwrap();
    assert!(matches!(&info[..], [RepoTreeEntry::File { lfs: Some(_), xet_hash: Some(_), .. }]));
}

/// The bytes are there, so the SHA-256 alone would do; the size is checked nevertheless.
fn the_storage_is_asked_not_believed(bench: &Bench, size: u64) {
    let info = bench.repository().list_tree().send().unwrap();
    assert!(info.len() >= 3);
    let sha256 = sha256_of_weights(bench);
    let commit = |size: u64| plain_http::commit(&bench.hub, &lfs_file("copy.safetensors", &sha256, size));
    assert_eq!(commit(size + 1).status, 400);
    assert_eq!(commit(size).status, 200);
    assert!(bench.hub.is_lfs("me/digits", "main", "copy.safetensors").unwrap());
}

fn sha256_of_weights(bench: &Bench) -> String {
    let answer = plain_http::get(&bench.hub, "/me/digits/resolve/main/model.safetensors");
    assert_eq!(answer.status, 302);
    assert!(answer.header("location").unwrap().starts_with("http://localhost:"));
    answer.header("x-linked-etag").unwrap().trim_matches('"').to_owned()
}

/// So it is on the Hub: hf-hub 1.0.0 follows the redirect, behind which no header tells of the repository.
fn metadata_of_weights_is_lost_behind_the_redirect(bench: &Bench) {
    let card = bench.repository().get_file_metadata().filepath("README.md").send().unwrap();
    assert_eq!(card.file_size, CARD.len() as u64);
    assert_eq!(card.commit_hash, bench.head());
    let lost = bench.repository().get_file_metadata().filepath("model.safetensors").send();
    assert!(matches!(lost, Err(HFError::MalformedResponse { .. })), "{lost:?}");
}

fn lfs_file(path: &str, sha256: &str, size: u64) -> String {
    format!(
        r#"{{"key":"lfsFile","value":{{"path":"{path}","algo":"sha256","oid":"{sha256}","size":{size}}}}}"#
    )
}

#[test]
fn weights_that_never_arrived_are_refused() {
    let bench = Bench::new();
    let before = bench.head();
    let answer = plain_http::commit(&bench.hub, &lfs_file("model.safetensors", &"ab".repeat(32), 1000));
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("LFS pointer pointed to a file that does not exist"), "{}", answer.body);
    assert_eq!(bench.head(), before);
}

fn write_card(bench: &Bench, parent: Option<String>) -> Result<(), HFError> {
    let repository = bench.repository();
    let upload = repository.upload_file().source(AddSource::bytes(CARD)).path_in_repo("README.md");
    upload.maybe_parent_commit(parent).send().map(|_| ())
}

#[test]
fn a_stale_parent_is_refused() {
    let bench = Bench::new();
    let seen = bench.head();
    let theirs = bench.hub.write("me/digits", "README.md", b"theirs").unwrap();
    let error = write_card(&bench, Some(seen)).unwrap_err();
    assert_eq!(status(&error), 412);
    assert!(error.to_string().contains("A commit has happened since"), "{error}");
    assert_eq!(bench.head(), theirs);
    write_card(&bench, Some(theirs)).unwrap();
    assert_eq!(bench.hub.read("me/digits", "main", "README.md").unwrap(), CARD);
}

#[test]
fn another_token_is_refused() {
    let bench = Bench::new();
    let stranger = client(&bench.hub, "hf_stranger", bench.cache.path());
    let read = stranger.model("me", "digits").info().send().unwrap_err();
    assert!(matches!(read, HFError::AuthRequired { .. }), "{read}");
    let create = stranger.create_repository().repo_id("me/new").repo_type(RepoTypeModel).send().unwrap_err();
    assert!(matches!(create, HFError::AuthRequired { .. }), "{create}");
    assert_eq!(bench.client.whoami().send().unwrap().username, "loopback");
}

#[test]
fn without_a_token_one_may_read_what_is_public() {
    let bench = Bench::new();
    let private = bench.client.create_repository().repo_id("me/secret").repo_type(RepoTypeModel);
    private.private(true).send().unwrap();

    assert_eq!(plain_http::get(&bench.hub, "/api/models/me/digits").status, 200);
    for hidden in ["/api/models/me/secret", "/api/models/me/missing", "/me/secret/resolve/main/x"] {
        let answer = plain_http::get(&bench.hub, hidden);
        assert_eq!((answer.status, answer.header("x-error-code")), (401, Some("RepoNotFound")), "{hidden}");
    }
    for write in ["/api/models/me/digits/xet-write-token/main", "/api/whoami-v2"] {
        assert_eq!(plain_http::get(&bench.hub, write).status, 401, "{write}");
    }
    assert_eq!(plain_http::post_without_token(&bench.hub, "/api/models/me/digits/commit/main").status, 401);
}

#[test]
fn what_the_hub_cannot_do_it_says() {
    let bench = Bench::new();
    assert_eq!(plain_http::get(&bench.hub, "/api/datasets/me/digits").status, 501);
    assert_eq!(plain_http::get(&bench.hub, "/api/repos/create").status, 501);
    let answer = plain_http::post_without_token(&bench.hub, "/api/models/me/digits/refs");
    assert_eq!(answer.status, 501);
    assert!(answer.body.contains("does not answer POST /api/models/me/digits/refs"), "{}", answer.body);
}

#[test]
fn a_repository_is_created_once() {
    let bench = Bench::new();
    let create = || bench.client.create_repository().repo_id("me/digits").repo_type(RepoTypeModel);
    let error = create().send().unwrap_err();
    assert!(matches!(error, HFError::Conflict { .. }), "{error}");
    let url = create().exist_ok(true).send().unwrap().url;
    assert_eq!(url, format!("{}/me/digits", bench.hub.endpoint()));

    let fresh = bench.client.create_repository().repo_id("other").repo_type(RepoTypeModel).send().unwrap();
    assert_eq!(fresh.url, format!("{}/loopback/other", bench.hub.endpoint()));
    let info = bench.client.model("loopback", "other").info().send().unwrap();
    assert_eq!(info.sha, Some(bench.hub.head("loopback/other").unwrap()));
    assert_eq!(info.private, Some(false));
}

#[test]
fn a_pull_request_leaves_main_alone() {
    let bench = Bench::new();
    let repository = bench.repository();
    let main = bench.head();
    let upload = repository.upload_file().source(AddSource::bytes(CARD)).path_in_repo("README.md");
    let made = upload.create_pr(true).commit_message("Add the card").send().unwrap();

    assert_eq!(bench.head(), main);
    let references = repository.list_refs().include_pull_requests(true).send().unwrap();
    assert_eq!(references.branches.len(), 1);
    assert_eq!(references.branches[0].target_commit, main);
    assert_eq!(references.pull_requests.len(), 1);
    assert_eq!(references.pull_requests[0].git_ref, "refs/pr/1");
    assert_eq!(Some(&references.pull_requests[0].target_commit), made.commit_oid.as_ref());

    let card =
        repository.download_file_to_bytes().filename("README.md").revision("refs/pr/1").send().unwrap();
    assert_eq!(card, CARD);
    assert_eq!(bench.hub.commits_at("me/digits", "refs/pr/1").unwrap()[0].title, "Add the card");
    let listed = repository.list_commits().revision("refs/pr/1").send().unwrap();
    assert_eq!(
        listed.iter().map(|commit| commit.title.as_str()).collect::<Vec<_>>(),
        ["Add the card", "initial commit"]
    );
}

#[test]
fn a_branch_gets_its_own_commits() {
    let bench = Bench::new();
    let repository = bench.repository();
    let main = bench.head();
    repository.create_branch().branch("try/one").send().unwrap();
    let upload = repository.upload_file().source(AddSource::bytes(CARD)).path_in_repo("docs/card.md");
    upload.revision("try/one").send().unwrap();
    assert_eq!(bench.hub.files("me/digits", "try/one").unwrap(), [".gitattributes", "docs/card.md"]);
    assert_eq!(bench.head(), main);

    let folder = repository.list_tree().revision("try/one").path_in_repo("docs").send().unwrap();
    assert!(matches!(&folder[..], [RepoTreeEntry::File { path, .. }] if path == "docs/card.md"));
    repository.delete_folder().path_in_repo("docs").revision("try/one").send().unwrap();
    assert_eq!(bench.hub.files("me/digits", "try/one").unwrap(), [".gitattributes"]);
}

#[test]
fn what_is_missing_is_told_apart() {
    let bench = Bench::new();
    let repository = bench.repository();
    let nowhere = bench.client.model("me", "missing").info().send().unwrap_err();
    assert!(matches!(nowhere, HFError::RepoNotFound { .. }), "{nowhere}");
    let revision = repository.info().revision("v9").send().unwrap_err();
    assert!(matches!(revision, HFError::RevisionNotFound { .. }), "{revision}");
    let file = repository.download_file_to_bytes().filename("missing").send().unwrap_err();
    assert!(matches!(file, HFError::EntryNotFound { .. }), "{file}");
    for (path, code) in [
        ("/me/digits/resolve/main/missing", "EntryNotFound"),
        ("/me/digits/resolve/v9/README.md", "RevisionNotFound"),
        ("/api/models/me/digits/tree/main/missing", "EntryNotFound"),
    ] {
        let answer = plain_http::get(&bench.hub, path);
        assert_eq!((answer.status, answer.header("x-error-code")), (404, Some(code)), "{path}");
    }
}

#[test]
fn a_commit_that_cannot_be_read_is_refused() {
    let bench = Bench::new();
    let before = bench.head();
    let inline = |path: &str, content: &str, encoding: &str| {
        format!(
            r#"{{"key":"file","value":{{"path":"{path}","content":"{content}","encoding":"{encoding}"}}}}"#
        )
    };
    for line in [
        "no JSON".to_owned(),
        r#"{"key":"unknown","value":{}}"#.to_owned(),
        r#"{"key":"header","value":{"summary":"twice"}}"#.to_owned(),
        inline("a", "***", "base64"),
        inline("a", "text", "rot13"),
        inline("../a", "", "base64"),
        inline("a", &"A".repeat(15 * 1024 * 1024), "base64"),
    ] {
        assert_eq!(plain_http::commit(&bench.hub, &line).status, 400, "{:.60}", line);
    }
    assert_eq!(bench.head(), before);
    assert_eq!(plain_http::commit(&bench.hub, &inline("a", "text", "utf-8")).status, 200);
    assert_eq!(bench.hub.read("me/digits", "main", "a").unwrap(), b"text");
}
