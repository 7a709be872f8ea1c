use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use fake_hub::FakeHub;
use tokio::runtime::Builder;

use super::*;
use crate::settings::Given;
use crate::token::Token;

fn short() -> Patience {
    let moment = Duration::from_millis(300);
    Patience { connect: moment, read: moment, ..Patience::default() }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(future)
}

fn connect(endpoint: &str, token: &str, branch: &str, patience: Patience) -> Hub {
    let given = Given { endpoint: Some(endpoint.to_owned()), token: Some(Token::new(token).unwrap()) };
    let cache = tempfile::tempdir().unwrap();
    let home = |name: &str| (name == "HF_HOME").then(|| cache.path().display().to_string());
    let settings = Settings::resolve(given, &home, &|_| Ok(String::new())).unwrap();
    Hub::connect(&settings, RepositoryName::parse("me/digits").unwrap(), branch, &patience).unwrap()
}

fn commit(hub: &Hub, parent: &str) -> Result<String, PublishError> {
    let operations = vec![CommitOperation::add_bytes(CARD, "# Digits\n")];
    let (title, description) = ("Title", "Description");
    let proposal = Proposal { operations, title, description, parent, pull_request: false };
    wait(hub.commit(proposal, &Listener::default()))
}

/// A server that gives one answer to its first request.
fn answering(status: &str, body: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let length = body.len();
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
    });
    endpoint
}

fn look(endpoint: &str) -> PublishError {
    wait(connect(endpoint, "hf_secret", MAIN, short()).head_or_create(false)).unwrap_err()
}

#[test]
fn a_repository_is_created_once_and_kept() {
    let server = FakeHub::start().unwrap();
    let hub = connect(server.endpoint(), server.token(), MAIN, Patience::default());
    let head = wait(hub.head_or_create(false)).unwrap();
    assert_eq!(head, server.head("me/digits").unwrap());
    assert_eq!(wait(hub.card(&head)).unwrap(), None);
    let made = commit(&hub, &head).unwrap();
    assert_eq!(wait(hub.head_or_create(false)).unwrap(), made);
    assert_eq!(wait(hub.card(&made)).unwrap().unwrap(), b"# Digits\n");
    assert_eq!(wait(hub.card(&head)).unwrap(), None);
}

#[test]
fn a_commit_on_a_head_that_has_moved_is_a_conflict() {
    let server = FakeHub::start().unwrap();
    let hub = connect(server.endpoint(), server.token(), MAIN, Patience::default());
    let seen = wait(hub.head_or_create(false)).unwrap();
    let theirs = server.write("me/digits", CARD, b"theirs").unwrap();
    let error = commit(&hub, &seen).unwrap_err();
    assert!(matches!(error, PublishError::Conflict { .. }), "{error}");
    assert_eq!(server.head("me/digits").unwrap(), theirs);
}

#[test]
fn a_branch_that_is_missing_is_named() {
    let server = FakeHub::start().unwrap();
    let hub = connect(server.endpoint(), server.token(), "v9", Patience::default());
    let error = wait(hub.head_or_create(false)).unwrap_err();
    assert!(matches!(&error, PublishError::NoBranch { branch, .. } if branch == "v9"), "{error}");
}

#[test]
fn a_hub_that_is_not_there_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = look(&endpoint);
    assert!(matches!(error, PublishError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains(&endpoint), "{error}");
}

#[test]
fn a_hub_that_does_not_answer_is_not_waited_for_for_ever() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let error = look(&format!("http://{}", listener.local_addr().unwrap()));
    assert!(matches!(error, PublishError::Unreachable { .. }), "{error}");
}

#[test]
fn each_refusal_has_its_own_error_and_says_what_the_hub_says() {
    let error = look(&answering("403 Forbidden", r#"{"error":"hf_secret may only read"}"#));
    assert!(matches!(error, PublishError::Forbidden { .. }), "{error}");
    assert!(error.to_string().contains("… may only read"), "{error}");
    assert!(error.to_string().contains("hf auth login"), "{error}");

    let error = look(&answering("429 Too Many Requests\r\nRetry-After: 30", ""));
    assert!(error.to_string().contains("asks to wait 30 s"), "{error}");
    let error = look(&answering("503 Service Unavailable", ""));
    assert!(matches!(error, PublishError::Unavailable { .. }), "{error}");
    let error = look(&answering("400 Bad Request", r#"{"error":"no such thing"}"#));
    assert!(matches!(error, PublishError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("no such thing"), "{error}");
    for body in ["<html>", r#"{"id":"me/digits"}"#] {
        let error = look(&answering("200 OK", body));
        assert!(matches!(error, PublishError::NoHub { .. }), "{error}");
    }
}
