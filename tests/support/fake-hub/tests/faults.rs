//! Faults happen exactly as scripted.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may stop at the first surprise, too")]
#![allow(dead_code, reason = "some of the test binaries that share `plain_http` have no use for all of it")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use fake_hub::{FakeHub, HubFault, HubFaultKind, LinkState};

mod plain_http;

const INFO_PATH: &str = "/api/models/me/digits";

fn start_hub() -> FakeHub {
    let hub = FakeHub::start().unwrap();
    hub.create_repository("me/digits").unwrap();
    hub
}

/// Sends a commit by hand, for faults that break the response; returns what was received, even if incomplete.
fn post_raw_commit(hub: &FakeHub) -> String {
    let line = r#"{"key":"file","value":{"path":"a","content":"text","encoding":"utf-8"}}"#;
    let body = format!("{{\"key\":\"header\",\"value\":{{\"summary\":\"By hand\"}}}}\n{line}\n");
    let address = hub.endpoint().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST {INFO_PATH}/commit/main HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        hub.token(),
        body.len()
    )
    .unwrap();
    let mut answer = Vec::new();
    // A reset also ends the response.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

fn commit_count(hub: &FakeHub) -> usize {
    hub.commits("me/digits").unwrap().len() - 1
}

#[test]
fn status_fault_repeats_with_retry_after() {
    let hub = start_hub();
    let rate = HubFaultKind::Status { status: 429, retry_after: Some(7), applied: false };
    hub.add_fault(HubFault::on_path(INFO_PATH, rate).after_requests(1).repeat(2));
    let answers: Vec<_> = (0..4).map(|_| plain_http::get(&hub, INFO_PATH)).collect();
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 429, 429, 200]);
    assert_eq!(answers[1].header("retry-after"), Some("7"));
}

#[test]
fn fault_applies_before_or_after_commit() {
    for (what, applied) in [
        (HubFaultKind::Status { status: 503, retry_after: None, applied: true }, true),
        (HubFaultKind::Status { status: 503, retry_after: None, applied: false }, false),
        (HubFaultKind::TruncatedBody { applied: true }, true),
        (HubFaultKind::TruncatedBody { applied: false }, false),
        (HubFaultKind::DroppedConnection { applied: true }, true),
        (HubFaultKind::DroppedConnection { applied: false }, false),
    ] {
        let hub = start_hub();
        hub.add_fault(HubFault::on_path("/commit/", what.clone()));
        let answer = post_raw_commit(&hub);
        assert_eq!(commit_count(&hub), usize::from(applied), "{what:?}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let promised =
            head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        match what {
            HubFaultKind::Status { .. } => assert!(head.starts_with("HTTP/1.1 503"), "{answer}"),
            _ => assert!(promised.is_none_or(|promised: usize| body.len() < promised), "{what:?}: {answer}"),
        }
        assert!(post_raw_commit(&hub).starts_with("HTTP/1.1 200"), "{what:?}");
    }
}

#[test]
fn delay_and_concurrent_commit_are_injected() {
    let hub = start_hub();
    let time = Duration::from_millis(300);
    hub.add_fault(HubFault::on_path(INFO_PATH, HubFaultKind::Delay { time, applied: false }));
    let begin = Instant::now();
    assert_eq!(plain_http::get(&hub, INFO_PATH).status, 200);
    assert!(begin.elapsed() >= time);

    let (repository, path, content) = ("me/digits".to_owned(), "notes.md".to_owned(), b"theirs".to_vec());
    hub.add_fault(HubFault::on_path(
        "/commit/",
        HubFaultKind::ConcurrentCommit { repository, path, content },
    ));
    assert!(post_raw_commit(&hub).starts_with("HTTP/1.1 200"), "it names no parent");
    let titles: Vec<_> = hub.commits("me/digits").unwrap().into_iter().map(|commit| commit.title).collect();
    assert_eq!(titles, ["By hand", "Edit notes.md", "initial commit"]);
}

#[test]
fn clear_faults_removes_all_faults() {
    let hub = start_hub();
    hub.add_fault(HubFault::on_path("/", HubFaultKind::status(500)).repeat(u32::MAX));
    assert_eq!(plain_http::get(&hub, INFO_PATH).status, 500);
    hub.clear_faults();
    assert_eq!(plain_http::get(&hub, INFO_PATH).status, 200);
}

/// Sends a request to the storage and returns the time to the first byte, if it arrives within this time.
fn storage_response_time(hub: &FakeHub, timeout: Duration) -> Option<Duration> {
    let token = format!("Authorization: Bearer {}\r\n", hub.token());
    let answer = plain_http::get_with_headers(hub, &format!("{INFO_PATH}/xet-read-token/main"), &token);
    let address = answer.header("x-xet-cas-url").unwrap().strip_prefix("http://").unwrap();
    let address = address.split('/').next().unwrap().to_owned();
    let begin = Instant::now();
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.set_read_timeout(Some(timeout)).unwrap();
    write!(stream, "GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok().filter(|length| *length > 0)?;
    Some(begin.elapsed())
}

#[test]
fn storage_link_is_stalled_or_throttled() {
    let hub = start_hub();
    let soon = Duration::from_millis(500);
    assert!(storage_response_time(&hub, Duration::from_secs(10)).is_some());
    for link in [LinkState::Refused, LinkState::Stalled] {
        hub.set_storage_link(link);
        assert_eq!(storage_response_time(&hub, soon), None, "{link:?}");
    }
    // The response is a little over a hundred bytes long, sent in twenty chunks per second.
    hub.set_storage_link(LinkState::Throttled(200));
    assert!(storage_response_time(&hub, Duration::from_secs(10)).unwrap() > soon);
    hub.clear_faults();
    assert!(storage_response_time(&hub, Duration::from_secs(10)).is_some());
}

#[test]
fn on_disk_storage_uses_given_folder() {
    let folder = tempfile::tempdir().unwrap();
    let hub = FakeHub::start_on_disk(folder.path()).unwrap();
    hub.create_repository("me/digits").unwrap();
    assert!(storage_response_time(&hub, Duration::from_secs(10)).is_some());
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_some());
}
