use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use fake_hub::FakeHub;
use tokio::runtime::Builder;

use super::*;
use crate::failure::error_chain;
use crate::settings::ExplicitSettings;
use crate::token::HubToken;

fn short_timeouts() -> RetryPolicy {
    let timeout = Duration::from_millis(300);
    RetryPolicy { connect_timeout: timeout, read_timeout: timeout, ..RetryPolicy::default() }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(future)
}

fn connect_hub(endpoint: &str, token: &str, branch: &str, policy: RetryPolicy) -> HubClient {
    let explicit =
        ExplicitSettings { endpoint: Some(endpoint.to_owned()), token: Some(HubToken::new(token).unwrap()) };
    let cache = tempfile::tempdir().unwrap();
    let home = |name: &str| (name == "HF_HOME").then(|| cache.path().display().to_string());
    let settings = HubSettings::resolve(explicit, &home, &|_| Ok(String::new())).unwrap();
    HubClient::connect(&settings, "me/digits".parse().unwrap(), branch, &policy).unwrap()
}

fn commit_card(hub: &HubClient, parent: &str) -> Result<String, PushError> {
    let operations = vec![CommitOperation::add_bytes(CARD_FILE, "# Digits\n")];
    let (title, description) = ("Title", "Description");
    let params = CommitParams { operations, title, description, parent, open_pull_request: false };
    block_on(hub.create_commit(params, &ProgressSink::default()))
}

/// Starts a server that answers its first request.
fn serve_once(status: &str, body: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let length = body.len();
    let response =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        stream.write_all(response.as_bytes()).unwrap();
    });
    endpoint
}

fn head_error(endpoint: &str) -> PushError {
    block_on(connect_hub(endpoint, "hf_secret", DEFAULT_BRANCH, short_timeouts()).find_head(false, false))
        .unwrap_err()
}

fn create_and_find(hub: &HubClient) -> String {
    if block_on(hub.find_head(false, false)).unwrap().is_none() {
        block_on(hub.create_repository(false)).unwrap();
    }
    block_on(hub.create_repository(false)).unwrap();
    block_on(hub.find_head(false, false)).unwrap().unwrap()
}

#[test]
fn missing_repository_is_created_once() {
    let server = FakeHub::start().unwrap();
    let hub = connect_hub(server.endpoint(), server.token(), DEFAULT_BRANCH, RetryPolicy::default());
    let head = create_and_find(&hub);
    assert_eq!(head, server.head_commit("me/digits").unwrap());
    assert_eq!(block_on(hub.read_card(&head)).unwrap(), None);
    let commit = commit_card(&hub, &head).unwrap();
    assert_eq!(create_and_find(&hub), commit);
    assert_eq!(block_on(hub.read_card(&commit)).unwrap().unwrap(), b"# Digits\n");
    assert_eq!(block_on(hub.read_card(&head)).unwrap(), None);
}

#[test]
fn repository_that_stays_missing_after_its_creation_is_an_error() {
    let server = FakeHub::start().unwrap();
    let hub = connect_hub(server.endpoint(), server.token(), DEFAULT_BRANCH, short_timeouts());
    assert_eq!(block_on(hub.find_head(false, false)).unwrap(), None);
    let error = block_on(hub.find_head(false, true)).unwrap_err();
    assert!(error_chain(&error).contains("me/digits"), "{}", error_chain(&error));
    assert!(!matches!(error, PushError::Unavailable { .. }), "not retried: {error}");
}

#[test]
fn commit_on_moved_head_conflicts() {
    let server = FakeHub::start().unwrap();
    let hub = connect_hub(server.endpoint(), server.token(), DEFAULT_BRANCH, RetryPolicy::default());
    let parent = create_and_find(&hub);
    let theirs = server.commit_file("me/digits", CARD_FILE, b"theirs").unwrap();
    let error = commit_card(&hub, &parent).unwrap_err();
    assert!(matches!(error, PushError::Conflict { .. }), "{error}");
    assert_eq!(server.head_commit("me/digits").unwrap(), theirs);
}

#[test]
fn missing_branch_is_created() {
    let server = FakeHub::start().unwrap();
    let hub = connect_hub(server.endpoint(), server.token(), "releases/v9", RetryPolicy::default());
    let head = create_and_find(&hub);
    assert_eq!(head, server.head_commit("me/digits").unwrap());
    assert_eq!(server.commits_at("me/digits", "releases/v9").unwrap()[0].id, head);
    assert_eq!(block_on(hub.find_head(false, false)).unwrap(), Some(head));
}

#[test]
fn public_repository_is_not_taken_for_private() {
    let server = FakeHub::start().unwrap();
    let hub = connect_hub(server.endpoint(), server.token(), DEFAULT_BRANCH, RetryPolicy::default());
    create_and_find(&hub);
    let error = block_on(hub.find_head(true, false)).unwrap_err();
    assert!(matches!(error, PushError::RepositoryIsPublic { .. }), "{error}");
}

#[test]
fn endless_card_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
            while stream.write_all(&[b'x'; 1 << 16]).is_ok() {}
        }
    });
    let hub = connect_hub(&endpoint, "hf_secret", DEFAULT_BRANCH, RetryPolicy::default());
    let error = block_on(hub.read_card("main")).unwrap_err();
    assert!(error_chain(&error).contains("at most 64 MB"), "{}", error_chain(&error));
}

#[test]
fn unwritable_cache_is_named() {
    let server = FakeHub::start().unwrap();
    let mut hub = connect_hub(server.endpoint(), server.token(), DEFAULT_BRANCH, RetryPolicy::default());
    let file = tempfile::NamedTempFile::new().unwrap();
    hub.settings.xet_cache_dir = file.path().join("xet");
    let digest = crate::digest::FileDigest::from_bytes(b"weights");
    let weights = UploadFile::weights_with_digest("model.bin", digest);
    let error = block_on(hub.check_xet_storage(&[&weights])).unwrap_err();
    assert!(matches!(&error, PushError::CacheNotWritable { path, .. } if path.ends_with("xet")), "{error}");
}

#[test]
fn unreachable_hub_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = head_error(&endpoint);
    assert!(matches!(error, PushError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains(&endpoint), "{error}");
}

#[test]
fn silent_hub_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let error = head_error(&format!("http://{}", listener.local_addr().unwrap()));
    assert!(matches!(error, PushError::Unreachable { .. }), "{error}");
}

#[test]
fn each_http_failure_has_own_error() {
    let error = head_error(&serve_once("403 Forbidden", r#"{"error":"the token hf_secret may only read"}"#));
    assert!(matches!(error, PushError::Forbidden { .. }), "{error}");
    assert!(error_chain(&error).contains("the token … may only read"), "{error:?}");
    assert!(error.to_string().contains("hf auth login"), "{error}");

    let quota = r#"{"error":"Private repository storage limit reached"}"#;
    let error = head_error(&serve_once("403 Forbidden", quota));
    assert!(matches!(error, PushError::Refused { .. }), "{error}");
    let message = error_chain(&error);
    assert!(message.contains("storage limit reached") && !message.contains("token"), "{message}");

    let error = head_error(&serve_once("429 Too Many Requests\r\nRetry-After: 30", ""));
    assert!(error.to_string().contains("retry after 30 s"), "{error}");
    let error = head_error(&serve_once("503 Service Unavailable", ""));
    assert!(matches!(error, PushError::Unavailable { .. }), "{error}");
    let error = head_error(&serve_once("400 Bad Request", r#"{"error":"no such thing"}"#));
    assert!(matches!(error, PushError::Refused { .. }), "{error}");
    assert!(error_chain(&error).contains("no such thing"), "{error:?}");
    for body in ["<html>", r#"{"id":"me/digits"}"#] {
        let error = head_error(&serve_once("200 OK", body));
        assert!(matches!(error, PushError::UnexpectedResponse { .. }), "{error}");
    }
}
