//! The hub's misbehaviour is what the script says, and no more.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may stop at the first surprise, too")]
#![allow(dead_code, reason = "some of the test binaries that share `plain_http` have no use for all of it")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use fake_hub::{FakeHub, Fault, Link, Misbehaviour};

mod plain_http;

const INFO: &str = "/api/models/me/digits";

fn hub() -> FakeHub {
    let hub = FakeHub::start().unwrap();
    hub.create_repository("me/digits").unwrap();
    hub
}

/// A commit by hand, for faults that break its answer: what came back, however little.
fn commit_raw(hub: &FakeHub) -> String {
    let line = r#"{"key":"file","value":{"path":"a","content":"text","encoding":"utf-8"}}"#;
    let body = format!("{{\"key\":\"header\",\"value\":{{\"summary\":\"By hand\"}}}}\n{line}\n");
    let address = hub.endpoint().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST {INFO}/commit/main HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        hub.token(),
        body.len()
    )
    .unwrap();
    let mut answer = Vec::new();
    // A reset is an end, too.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

fn commits(hub: &FakeHub) -> usize {
    hub.commits("me/digits").unwrap().len() - 1
}

#[test]
fn a_status_comes_as_often_as_it_should_with_the_wait_that_it_asks_for() {
    let hub = hub();
    let rate = Misbehaviour::Status { status: 429, retry_after: Some(7), applied: false };
    hub.add_fault(Fault::at(INFO, rate).after(1).times(2));
    let answers: Vec<_> = (0..4).map(|_| plain_http::get(&hub, INFO)).collect();
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 429, 429, 200]);
    assert_eq!(answers[1].header("retry-after"), Some("7"));
}

#[test]
fn an_answer_fails_before_or_after_the_commit_is_made() {
    for (what, applied) in [
        (Misbehaviour::Status { status: 503, retry_after: None, applied: true }, true),
        (Misbehaviour::Status { status: 503, retry_after: None, applied: false }, false),
        (Misbehaviour::Cut { applied: true }, true),
        (Misbehaviour::Cut { applied: false }, false),
        (Misbehaviour::Lose { applied: true }, true),
        (Misbehaviour::Lose { applied: false }, false),
    ] {
        let hub = hub();
        hub.add_fault(Fault::at("/commit/", what.clone()));
        let answer = commit_raw(&hub);
        assert_eq!(commits(&hub), usize::from(applied), "{what:?}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let promised =
            head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        match what {
            Misbehaviour::Status { .. } => assert!(head.starts_with("HTTP/1.1 503"), "{answer}"),
            _ => assert!(promised.is_none_or(|promised: usize| body.len() < promised), "{what:?}: {answer}"),
        }
        assert!(commit_raw(&hub).starts_with("HTTP/1.1 200"), "{what:?}");
    }
}

#[test]
fn a_hub_that_hangs_answers_later_and_somebody_commits_before() {
    let hub = hub();
    let time = Duration::from_millis(300);
    hub.add_fault(Fault::at(INFO, Misbehaviour::Hang { time, applied: false }));
    let begin = Instant::now();
    assert_eq!(plain_http::get(&hub, INFO).status, 200);
    assert!(begin.elapsed() >= time);

    let (repository, path, content) = ("me/digits".to_owned(), "notes.md".to_owned(), b"theirs".to_vec());
    hub.add_fault(Fault::at("/commit/", Misbehaviour::Meanwhile { repository, path, content }));
    assert!(commit_raw(&hub).starts_with("HTTP/1.1 200"), "it names no parent");
    let titles: Vec<_> = hub.commits("me/digits").unwrap().into_iter().map(|commit| commit.title).collect();
    assert_eq!(titles, ["By hand", "Edit notes.md", "initial commit"]);
}

#[test]
fn mending_ends_all_faults() {
    let hub = hub();
    hub.add_fault(Fault::at("/", Misbehaviour::status(500)).times(u32::MAX));
    assert_eq!(plain_http::get(&hub, INFO).status, 500);
    hub.mend();
    assert_eq!(plain_http::get(&hub, INFO).status, 200);
}

/// Asks the storage something, and returns how long it took to say anything within this time.
fn ask_storage(hub: &FakeHub, longest: Duration) -> Option<Duration> {
    let token = format!("Authorization: Bearer {}\r\n", hub.token());
    let answer = plain_http::get_with(hub, &format!("{INFO}/xet-read-token/main"), &token);
    let address = answer.header("x-xet-cas-url").unwrap().strip_prefix("http://").unwrap();
    let address = address.split('/').next().unwrap().to_owned();
    let begin = Instant::now();
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.set_read_timeout(Some(longest)).unwrap();
    write!(stream, "GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok().filter(|length| *length > 0)?;
    Some(begin.elapsed())
}

#[test]
fn the_way_to_the_storage_is_cut_clogged_and_slowed_down() {
    let hub = hub();
    let soon = Duration::from_millis(500);
    assert!(ask_storage(&hub, Duration::from_secs(10)).is_some());
    for link in [Link::Refused, Link::Hung] {
        hub.storage_link(link);
        assert_eq!(ask_storage(&hub, soon), None, "{link:?}");
    }
    // Its answer is a little over a hundred bytes long, twenty pieces a second.
    hub.storage_link(Link::Slow(200));
    assert!(ask_storage(&hub, Duration::from_secs(10)).unwrap() > soon);
    hub.mend();
    assert!(ask_storage(&hub, Duration::from_secs(10)).is_some());
}

#[test]
fn a_storage_on_the_disk_lies_in_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let hub = FakeHub::start_on_disk(folder.path()).unwrap();
    hub.create_repository("me/digits").unwrap();
    assert!(ask_storage(&hub, Duration::from_secs(10)).is_some());
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_some());
}
