//! The hub with Hugging Face's Rust client.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may stop at the first surprise, too")]

use std::path::Path;

use fake_hub::FakeHub;
use hf_hub::repository::{AddSource, CommitOperation, RepoTreeEntry};
use hf_hub::{HFClientBuilder, HFClientSync, HFError, HFRepositorySync, RepoTypeModel};
use tempfile::TempDir;

mod isolated;
mod plain_http;

/// A hub, a client with its own cache, and an empty repository.
struct FakeHubFixture {
    hub: FakeHub,
    client: HFClientSync,
    cache: TempDir,
}

impl FakeHubFixture {
    fn new() -> Self {
        let hub = FakeHub::start().unwrap();
        hub.create_repository("me/digits").unwrap();
        let cache = TempDir::new().unwrap();
        let client = build_client(&hub, hub.token(), cache.path());
        Self { hub, client, cache }
    }

    fn repository(&self) -> HFRepositorySync<RepoTypeModel> {
        self.client.model("me", "digits")
    }

    fn head(&self) -> String {
        self.hub.head_commit("me/digits").unwrap()
    }
}

fn build_client(hub: &FakeHub, token: &str, cache: &Path) -> HFClientSync {
    let builder = HFClientBuilder::new().endpoint(hub.endpoint()).token(token).cache_dir(cache);
    builder.retry_max_attempts(0).build_sync().unwrap()
}

/// Incompressible bytes: the states of a linear congruential generator (Knuth's MMIX).
fn incompressible_bytes(length: usize) -> Vec<u8> {
    let next = |state: &u64| {
        Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
    };
    std::iter::successors(Some(7_u64), next).map(|state| (state >> 56) as u8).take(length).collect()
}

fn http_status(error: &HFError) -> u16 {
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
fn weights_round_trip_through_storage() {
    isolated::run("weights_round_trip_through_storage", || {
        let fixture = FakeHubFixture::new();
        let repository = fixture.repository();
        let weights = incompressible_bytes(5 * 1024 * 1024 + 80);
        let start = fixture.head();
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

        // The hub's contents.
        let commit = fixture.hub.commits("me/digits").unwrap().remove(0);
        assert_eq!(made.commit_oid.as_ref(), Some(&commit.id));
        assert_eq!((commit.title.as_str(), commit.description.as_str()), ("Publish", "Measured by a meter."));
        assert_eq!(commit.parent, Some(start));
        assert_eq!(commit.changed_paths, ["README.md", "model.safetensors"]);
        assert_eq!(fixture.hub.read_file("me/digits", "main", "README.md").unwrap(), CARD);
        assert!(!fixture.hub.is_lfs("me/digits", "main", "README.md").unwrap());
        assert!(fixture.hub.is_lfs("me/digits", "main", "model.safetensors").unwrap());
        assert!(fixture.hub.read_file("me/digits", "main", "model.safetensors").unwrap() == weights);

        // The client's downloads: through Xet into its cache, and without Xet from the CDN.
        let path = repository.download_file().filename("model.safetensors").send().unwrap();
        assert!(path.starts_with(fixture.cache.path()));
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

        check_listing_marks_lfs_files(&fixture, weights.len() as u64);
        check_claimed_size_is_verified(&fixture, weights.len() as u64);
        check_redirect_drops_weight_metadata(&fixture);
    });
}

fn check_listing_marks_lfs_files(fixture: &FakeHubFixture, size: u64) {
    let entries = fixture.repository().list_tree().recursive(true).send().unwrap();
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
    let info = fixture.repository().get_paths_info().paths(paths).send().unwrap();
    assert!(matches!(&info[..], [RepoTreeEntry::File { lfs: Some(_), xet_hash: Some(_), .. }]));
}

/// The storage has the bytes, so the SHA-256 matches, but the size is checked as well.
fn check_claimed_size_is_verified(fixture: &FakeHubFixture, size: u64) {
    let info = fixture.repository().list_tree().send().unwrap();
    assert!(info.len() >= 3);
    let sha256 = weights_sha256(fixture);
    let commit =
        |size: u64| plain_http::post_commit(&fixture.hub, &lfs_file_line("copy.safetensors", &sha256, size));
    assert_eq!(commit(size + 1).status, 400);
    assert_eq!(commit(size).status, 200);
    assert!(fixture.hub.is_lfs("me/digits", "main", "copy.safetensors").unwrap());
}

fn weights_sha256(fixture: &FakeHubFixture) -> String {
    let answer = plain_http::get(&fixture.hub, "/me/digits/resolve/main/model.safetensors");
    assert_eq!(answer.status, 302);
    assert!(answer.header("location").unwrap().starts_with("http://localhost:"));
    answer.header("x-linked-etag").unwrap().trim_matches('"').to_owned()
}

/// As on the Hub: hf-hub 1.0.0 follows the redirect, whose target has no repository headers.
fn check_redirect_drops_weight_metadata(fixture: &FakeHubFixture) {
    let card = fixture.repository().get_file_metadata().filepath("README.md").send().unwrap();
    assert_eq!(card.file_size, CARD.len() as u64);
    assert_eq!(card.commit_hash, fixture.head());
    let lost = fixture.repository().get_file_metadata().filepath("model.safetensors").send();
    assert!(matches!(lost, Err(HFError::MalformedResponse { .. })), "{lost:?}");
}

fn lfs_file_line(path: &str, sha256: &str, size: u64) -> String {
    format!(
        r#"{{"key":"lfsFile","value":{{"path":"{path}","algo":"sha256","oid":"{sha256}","size":{size}}}}}"#
    )
}

#[test]
fn missing_weights_are_rejected() {
    let fixture = FakeHubFixture::new();
    let before = fixture.head();
    let answer =
        plain_http::post_commit(&fixture.hub, &lfs_file_line("model.safetensors", &"ab".repeat(32), 1000));
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("LFS pointer pointed to a file that does not exist"), "{}", answer.body);
    assert_eq!(fixture.head(), before);
}

fn write_card(fixture: &FakeHubFixture, parent: Option<String>) -> Result<(), HFError> {
    let repository = fixture.repository();
    let upload = repository.upload_file().source(AddSource::bytes(CARD)).path_in_repo("README.md");
    upload.maybe_parent_commit(parent).send().map(|_| ())
}

#[test]
fn stale_parent_is_rejected() {
    let fixture = FakeHubFixture::new();
    let seen = fixture.head();
    let theirs = fixture.hub.commit_file("me/digits", "README.md", b"theirs").unwrap();
    let error = write_card(&fixture, Some(seen)).unwrap_err();
    assert_eq!(http_status(&error), 412);
    assert!(error.to_string().contains("A commit has happened since"), "{error}");
    assert_eq!(fixture.head(), theirs);
    write_card(&fixture, Some(theirs)).unwrap();
    assert_eq!(fixture.hub.read_file("me/digits", "main", "README.md").unwrap(), CARD);
}

#[test]
fn wrong_token_is_rejected() {
    let fixture = FakeHubFixture::new();
    let stranger = build_client(&fixture.hub, "hf_stranger", fixture.cache.path());
    let read = stranger.model("me", "digits").info().send().unwrap_err();
    assert!(matches!(read, HFError::AuthRequired { .. }), "{read}");
    let create = stranger.create_repository().repo_id("me/new").repo_type(RepoTypeModel).send().unwrap_err();
    assert!(matches!(create, HFError::AuthRequired { .. }), "{create}");
    assert_eq!(fixture.client.whoami().send().unwrap().username, "loopback");
}

#[test]
fn anonymous_client_reads_public_repositories() {
    let fixture = FakeHubFixture::new();
    let private = fixture.client.create_repository().repo_id("me/secret").repo_type(RepoTypeModel);
    private.private(true).send().unwrap();

    assert_eq!(plain_http::get(&fixture.hub, "/api/models/me/digits").status, 200);
    for hidden in ["/api/models/me/secret", "/api/models/me/missing", "/me/secret/resolve/main/x"] {
        let answer = plain_http::get(&fixture.hub, hidden);
        assert_eq!((answer.status, answer.header("x-error-code")), (401, Some("RepoNotFound")), "{hidden}");
    }
    for write in ["/api/models/me/digits/xet-write-token/main", "/api/whoami-v2"] {
        assert_eq!(plain_http::get(&fixture.hub, write).status, 401, "{write}");
    }
    assert_eq!(plain_http::post_without_token(&fixture.hub, "/api/models/me/digits/commit/main").status, 401);
}

#[test]
fn unsupported_request_returns_501() {
    let fixture = FakeHubFixture::new();
    assert_eq!(plain_http::get(&fixture.hub, "/api/datasets/me/digits").status, 501);
    assert_eq!(plain_http::get(&fixture.hub, "/api/repos/create").status, 501);
    let answer = plain_http::post_without_token(&fixture.hub, "/api/models/me/digits/refs");
    assert_eq!(answer.status, 501);
    assert!(answer.body.contains("does not implement POST /api/models/me/digits/refs"), "{}", answer.body);
}

#[test]
fn creating_existing_repository_conflicts() {
    let fixture = FakeHubFixture::new();
    let create = || fixture.client.create_repository().repo_id("me/digits").repo_type(RepoTypeModel);
    let error = create().send().unwrap_err();
    assert!(matches!(error, HFError::Conflict { .. }), "{error}");
    let url = create().exist_ok(true).send().unwrap().url;
    assert_eq!(url, format!("{}/me/digits", fixture.hub.endpoint()));

    let fresh = fixture.client.create_repository().repo_id("other").repo_type(RepoTypeModel).send().unwrap();
    assert_eq!(fresh.url, format!("{}/loopback/other", fixture.hub.endpoint()));
    let info = fixture.client.model("loopback", "other").info().send().unwrap();
    assert_eq!(info.sha, Some(fixture.hub.head_commit("loopback/other").unwrap()));
    assert_eq!(info.private, Some(false));
}

#[test]
fn pull_request_leaves_main_unchanged() {
    let fixture = FakeHubFixture::new();
    let repository = fixture.repository();
    let main = fixture.head();
    let upload = repository.upload_file().source(AddSource::bytes(CARD)).path_in_repo("README.md");
    let made = upload.create_pr(true).commit_message("Add the card").send().unwrap();

    assert_eq!(fixture.head(), main);
    let references = repository.list_refs().include_pull_requests(true).send().unwrap();
    assert_eq!(references.branches.len(), 1);
    assert_eq!(references.branches[0].target_commit, main);
    assert_eq!(references.pull_requests.len(), 1);
    assert_eq!(references.pull_requests[0].git_ref, "refs/pr/1");
    assert_eq!(Some(&references.pull_requests[0].target_commit), made.commit_oid.as_ref());

    let card =
        repository.download_file_to_bytes().filename("README.md").revision("refs/pr/1").send().unwrap();
    assert_eq!(card, CARD);
    assert_eq!(fixture.hub.commits_at("me/digits", "refs/pr/1").unwrap()[0].title, "Add the card");
    let listed = repository.list_commits().revision("refs/pr/1").send().unwrap();
    assert_eq!(
        listed.iter().map(|commit| commit.title.as_str()).collect::<Vec<_>>(),
        ["Add the card", "initial commit"]
    );
}

#[test]
fn branch_keeps_its_own_commits() {
    let fixture = FakeHubFixture::new();
    let repository = fixture.repository();
    let main = fixture.head();
    repository.create_branch().branch("try/one").send().unwrap();
    let upload = repository.upload_file().source(AddSource::bytes(CARD)).path_in_repo("docs/card.md");
    upload.revision("try/one").send().unwrap();
    assert_eq!(fixture.hub.files("me/digits", "try/one").unwrap(), [".gitattributes", "docs/card.md"]);
    assert_eq!(fixture.head(), main);

    let folder = repository.list_tree().revision("try/one").path_in_repo("docs").send().unwrap();
    assert!(matches!(&folder[..], [RepoTreeEntry::File { path, .. }] if path == "docs/card.md"));
    repository.delete_folder().path_in_repo("docs").revision("try/one").send().unwrap();
    assert_eq!(fixture.hub.files("me/digits", "try/one").unwrap(), [".gitattributes"]);
}

#[test]
fn missing_items_return_distinct_errors() {
    let fixture = FakeHubFixture::new();
    let repository = fixture.repository();
    let repository_error = fixture.client.model("me", "missing").info().send().unwrap_err();
    assert!(matches!(repository_error, HFError::RepoNotFound { .. }), "{repository_error}");
    let revision = repository.info().revision("v9").send().unwrap_err();
    assert!(matches!(revision, HFError::RevisionNotFound { .. }), "{revision}");
    let file = repository.download_file_to_bytes().filename("missing").send().unwrap_err();
    assert!(matches!(file, HFError::EntryNotFound { .. }), "{file}");
    for (path, code) in [
        ("/me/digits/resolve/main/missing", "EntryNotFound"),
        ("/me/digits/resolve/v9/README.md", "RevisionNotFound"),
        ("/api/models/me/digits/tree/main/missing", "EntryNotFound"),
    ] {
        let answer = plain_http::get(&fixture.hub, path);
        assert_eq!((answer.status, answer.header("x-error-code")), (404, Some(code)), "{path}");
    }
}

#[test]
fn malformed_commit_is_rejected() {
    let fixture = FakeHubFixture::new();
    let before = fixture.head();
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
        assert_eq!(plain_http::post_commit(&fixture.hub, &line).status, 400, "{:.60}", line);
    }
    assert_eq!(fixture.head(), before);
    assert_eq!(plain_http::post_commit(&fixture.hub, &inline("a", "text", "utf-8")).status, 200);
    assert_eq!(fixture.hub.read_file("me/digits", "main", "a").unwrap(), b"text");
}
