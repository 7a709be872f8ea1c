//! Faults between client and Hub: the error for the user, and the state of the Hub afterwards.

#![allow(clippy::print_stdout, reason = "prints the table of faults")]

use std::time::{Duration, Instant};

use fake_hub::{HubFault, HubFaultKind, LinkState};
use sootprint_hub::{PushError, RetryPolicy, staged_push};

use crate::fixture::{CARD, PushFixture, REPO, error_chain, sample_footprint, short_retry_policy};
use crate::isolated;

/// One row of the table.
struct FaultCase {
    fault: &'static str,
    inject: fn(&PushFixture),
    /// The beginning of the name of the error; `None` if the push succeeds.
    expected_error: Option<&'static str>,
    /// The number of our commits on the Hub after the first push.
    commits_after: usize,
}

const fn fault_case(
    fault: &'static str,
    inject: fn(&PushFixture),
    expected_error: Option<&'static str>,
    commits_after: usize,
) -> FaultCase {
    FaultCase { fault, inject, expected_error, commits_after }
}

const FAULT_CASES: [FaultCase; 37] = [
    fault_case("none", |_| (), None, 1),
    fault_case(
        "401 at the first request",
        |fixture| fault_once(fixture, "/api/models/", status_fault(401)),
        Some("Unauthorized"),
        0,
    ),
    fault_case(
        "403 while creating",
        |fixture| fault_once(fixture, "/repos/create", status_fault(403)),
        Some("Forbidden"),
        0,
    ),
    fault_case(
        "403 before the upload",
        |fixture| fault_once(fixture, "/preupload/", status_fault(403)),
        Some("Forbidden"),
        0,
    ),
    fault_case(
        "403 at the commit",
        |fixture| fault_once(fixture, "/commit/", status_fault(403)),
        Some("Forbidden"),
        0,
    ),
    fault_case(
        "404 at the commit",
        |fixture| fault_once(fixture, "/commit/", status_fault(404)),
        Some("Refused"),
        0,
    ),
    fault_case(
        "409 at the commit, once",
        |fixture| fault_once(fixture, "/commit/", status_fault(409)),
        None,
        1,
    ),
    fault_case(
        "409 at the commit, always",
        |fixture| fault_always(fixture, "/commit/", status_fault(409)),
        Some("Conflict"),
        0,
    ),
    fault_case(
        "412 at the commit, always",
        |fixture| fault_always(fixture, "/commit/", status_fault(412)),
        Some("Conflict"),
        0,
    ),
    fault_case(
        "concurrent commit just before",
        |fixture| fault_once(fixture, "/commit/", concurrent_commit()),
        None,
        1,
    ),
    fault_case(
        "413 at the commit",
        |fixture| fault_once(fixture, "/commit/", status_fault(413)),
        Some("Refused"),
        0,
    ),
    fault_case(
        "403 because of a quota",
        |fixture| {
            fault_once(fixture, "/commit/", HubFaultKind::refusal(403, "Private storage limit reached"))
        },
        Some("Refused"),
        0,
    ),
    fault_case(
        "403, the organisation forbids public models",
        |fixture| {
            let message = "me forbids the creation of public models";
            fault_once(fixture, "/repos/create", HubFaultKind::refusal(403, message));
        },
        Some("Refused"),
        0,
    ),
    fault_case(
        "413 before the upload",
        |fixture| fault_once(fixture, "/preupload/", HubFaultKind::refusal(413, "Payload Too Large")),
        Some("TooManyNewFiles"),
        0,
    ),
    fault_case(
        "the storage has lost a file",
        |fixture| {
            let message = "LFS pointer pointed to a file that does not exist";
            fault_once(fixture, "/commit/", HubFaultKind::refusal(400, message));
        },
        Some("StoredFileMissing"),
        0,
    ),
    fault_case(
        "validation of cards fails",
        |fixture| fault_always(fixture, "/validate-yaml", status_fault(500)),
        None,
        1,
    ),
    fault_case(
        "endless card",
        |fixture| {
            fixture.hub.create_repository(REPO).unwrap();
            fault_always(fixture, "/resolve/", HubFaultKind::EndlessBody);
        },
        Some("UnexpectedResponse"),
        0,
    ),
    fault_case(
        "429, RateLimit of 1 s",
        |fixture| {
            let headers = vec![("ratelimit", r#""api";r=0;t=1"#.to_owned())];
            let message = "Too many requests".to_owned();
            let kind = HubFaultKind::Refusal { status: 429, message, headers };
            // The second request asks for the header that hf-hub does not report.
            fixture.hub.add_fault(HubFault::on_path("/api/models/", kind).after_requests(3).repeat(2));
        },
        None,
        1,
    ),
    fault_case("429, wait 1 s", |fixture| fault_once(fixture, "/commit/", rate_limit_fault(1)), None, 1),
    fault_case(
        "429, wait 1 h",
        |fixture| fault_once(fixture, "/commit/", rate_limit_fault(3_600)),
        Some("RateLimited"),
        0,
    ),
    fault_case(
        "503 at the commit, not applied",
        |fixture| fault_once(fixture, "/commit/", status_fault(503)),
        None,
        1,
    ),
    fault_case(
        "503 at the commit, applied",
        |fixture| fault_once(fixture, "/commit/", applied_status_fault(503)),
        None,
        1,
    ),
    fault_case(
        "500 everywhere",
        |fixture| fault_always(fixture, "/", status_fault(500)),
        Some("Unavailable"),
        0,
    ),
    fault_case(
        "response to a lookup truncated",
        |fixture| fault_once(fixture, "/api/models/", truncated_response(false)),
        None,
        1,
    ),
    fault_case(
        "response to the commit truncated, applied",
        |fixture| fault_once(fixture, "/commit/", truncated_response(true)),
        None,
        1,
    ),
    fault_case(
        "commit request lost",
        |fixture| fault_once(fixture, "/commit/", lost_request_or_response(false)),
        None,
        1,
    ),
    fault_case(
        "response to the commit lost",
        |fixture| fault_once(fixture, "/commit/", lost_request_or_response(true)),
        None,
        1,
    ),
    fault_case("response lost, then 500 everywhere", lost_response_then_errors, Some("Unavailable"), 1),
    fault_case(
        "the Hub hangs once",
        |fixture| fault_once(fixture, "/api/models/", hanging_response(false)),
        None,
        1,
    ),
    fault_case(
        "the commit hangs, applied",
        |fixture| fault_once(fixture, "/commit/", hanging_response(true)),
        None,
        1,
    ),
    fault_case(
        "the Hub hangs forever",
        |fixture| fault_always(fixture, "/", hanging_response(false)),
        Some("Unreachable"),
        0,
    ),
    fault_case(
        "no Xet storage is offered",
        |fixture| fault_always(fixture, "/batch", HubFaultKind::NoXet),
        Some("NoStorage"),
        0,
    ),
    fault_case(
        "no token for the storage",
        |fixture| fault_once(fixture, "/xet-write-token/", status_fault(403)),
        Some("Forbidden"),
        0,
    ),
    fault_case(
        "the storage refuses",
        |fixture| fixture.hub.set_storage_link(LinkState::Refused),
        Some("Upload"),
        0,
    ),
    fault_case(
        "the storage hangs",
        |fixture| fixture.hub.set_storage_link(LinkState::Stalled),
        Some("Deadline"),
        0,
    ),
    fault_case(
        "the storage is slow",
        |fixture| fixture.hub.set_storage_link(LinkState::Throttled(20_000)),
        None,
        1,
    ),
    fault_case(
        "response to the verification lost",
        |fixture| fault_on_second_request(fixture, "/paths-info/", lost_request_or_response(true)),
        None,
        1,
    ),
];

#[test]
fn next_push_recovers_from_every_fault() {
    isolated::run("faults::next_push_recovers_from_every_fault", || {
        println!("| fault | message | on the Hub | staged | seconds | next push |");
        println!("|---|---|---|---|---|---|");
        for case in &FAULT_CASES {
            check_case(case);
        }
    });
}

fn check_case(case: &FaultCase) {
    let fixture = PushFixture::with_small_weights();
    std::fs::write(fixture.card_path(), CARD).unwrap();
    (case.inject)(&fixture);
    let begin = Instant::now();
    let policy = RetryPolicy {
        read_timeout: Duration::from_millis(500),
        deadline: Duration::from_secs(4),
        ..short_retry_policy()
    };
    let result = fixture.upload(&sample_footprint()).retry_policy(policy).push();
    let seconds = begin.elapsed().as_secs_f64();
    fixture.hub.clear_faults();

    let message = match &result {
        Ok(_) => "pushed".to_owned(),
        Err(error) => error_chain(error),
    };
    let name = result.as_ref().err().map(|error| format!("{error:?}"));
    let is_staged = staged_push(fixture.dir.path()).is_some();
    let own_commits = fixture.own_commits().len();
    assert_eq!(own_commits, case.commits_after, "{}: {message}", case.fault);
    assert_eq!(is_staged, result.is_err(), "{}: {message}", case.fault);
    match (case.expected_error, &name) {
        (None, None) => {}
        (Some(expected), Some(name)) => assert!(name.starts_with(expected), "{}: {message}", case.fault),
        _ => panic!("{}: {message}", case.fault),
    }
    if own_commits == 1 {
        assert_complete(&fixture, case.fault);
    }

    let again = fixture.upload(&sample_footprint()).push().unwrap();
    assert_eq!(again.created_commit, own_commits == 0, "{}", case.fault);
    assert_eq!(fixture.own_commits().len(), 1, "{}: never twice", case.fault);
    assert_eq!(staged_push(fixture.dir.path()), None, "{}", case.fault);
    assert_complete(&fixture, case.fault);
    println!(
        "| {} | {} | {} | {} | {seconds:.1} | {} |",
        case.fault,
        message.replace(fixture.hub.endpoint(), "HUB").replace('|', "/"),
        if own_commits == 1 { "one commit" } else { "nothing" },
        if is_staged { "yes" } else { "no" },
        if again.created_commit { "one commit" } else { "already there" },
    );
}

fn assert_complete(fixture: &PushFixture, fault: &str) {
    assert!(fixture.hub_file("model.safetensors") == fixture.weights, "{fault}");
    assert!(fixture.hub_card().contains("emissions: 40.7"), "{fault}");
    assert!(!fixture.hub_file("footprint.json").is_empty(), "{fault}");
}

#[test]
fn concurrent_commit_is_kept() {
    isolated::run("faults::concurrent_commit_is_kept", || {
        let fixture = PushFixture::with_small_weights();
        fixture.push(&sample_footprint());
        std::fs::write(fixture.dir.path().join("config.json"), "{}").unwrap();
        fault_once(&fixture, "/commit/", concurrent_commit());
        fixture.push(&sample_footprint());
        assert_eq!(fixture.hub_file("notes.md"), b"theirs");
        assert_eq!(fixture.hub_file("config.json"), b"{}");
        assert_eq!(fixture.own_commits().len(), 2);
    });
}

#[test]
fn retry_after_honored_within_deadline() {
    isolated::run("faults::retry_after_honored_within_deadline", || {
        let fixture = PushFixture::with_small_weights();
        fault_once(&fixture, "/commit/", rate_limit_fault(2));
        let begin = Instant::now();
        fixture.push(&sample_footprint());
        assert!(begin.elapsed() >= Duration::from_secs(2), "{:?}", begin.elapsed());

        let fixture = PushFixture::with_small_weights();
        fault_once(&fixture, "/api/models/", rate_limit_fault(3_600));
        let begin = Instant::now();
        let error = fixture.upload(&sample_footprint()).push().unwrap_err();
        assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
        assert!(error.to_string().contains("retry after 3600 s"), "{error}");
    });
}

#[test]
fn next_push_finds_interrupted_commit() {
    isolated::run("faults::next_push_finds_interrupted_commit", || {
        let fixture = PushFixture::with_small_weights();
        let time = Duration::from_secs(20);
        fault_once(&fixture, "/commit/", HubFaultKind::Delay { time, applied: true });
        let policy =
            RetryPolicy { deadline: Duration::from_secs(2), read_timeout: time, ..short_retry_policy() };
        let begin = Instant::now();
        let error = fixture.upload(&sample_footprint()).retry_policy(policy).push().unwrap_err();
        assert!(matches!(error, PushError::DeadlineExceeded { .. }), "{error}");
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
        assert_eq!(fixture.own_commits().len(), 1);

        // The card is edited before the commit is found, so this is a local edit only.
        std::fs::write(fixture.card_path(), fixture.hub_card() + "\nMore.\n").unwrap();
        let report = fixture.push(&sample_footprint());
        assert!(report.created_commit);
        assert_eq!(fixture.own_commits().len(), 2);
        assert!(fixture.hub_card().ends_with("\nMore.\n"));
    });
}

#[test]
fn pull_request_opened_once_despite_fault() {
    isolated::run("faults::pull_request_opened_once_despite_fault", || {
        let fixtures = [lost_request_or_response(true), applied_status_fault(503)].map(|fault| {
            let fixture = PushFixture::with_small_weights();
            fault_once(&fixture, "/commit/", fault);
            let report = fixture.upload(&sample_footprint()).open_pull_request(true).push().unwrap();
            let pull_request = report.pull_request.unwrap();
            assert_eq!(pull_request.number, 1);
            assert_eq!(pull_request.url, format!("{}/{REPO}/discussions/1", fixture.hub.endpoint()));
            fixture
        });
        let [fixture, _] = &fixtures;
        // The request may have arrived, so one push does not send it twice.
        std::fs::write(fixture.dir.path().join("config.json"), "{}").unwrap();
        fault_once(fixture, "/commit/", lost_request_or_response(false));
        let error = fixture.upload(&sample_footprint()).open_pull_request(true).push().unwrap_err();
        assert!(matches!(error, PushError::Unreachable { .. }), "{error}");
        let report = fixture.upload(&sample_footprint()).open_pull_request(true).push().unwrap();
        assert_eq!(report.pull_request.unwrap().number, 2);
        assert_eq!(fixture.own_commits(), [], "main is unchanged");
    });
}

fn fault_once(fixture: &PushFixture, path: &str, kind: HubFaultKind) {
    fixture.hub.add_fault(HubFault::on_path(path, kind));
}

fn fault_always(fixture: &PushFixture, path: &str, kind: HubFaultKind) {
    fixture.hub.add_fault(HubFault::on_path(path, kind).repeat(u32::MAX));
}

/// Injects a fault at the second request; the first one looks for missing files.
fn fault_on_second_request(fixture: &PushFixture, path: &str, kind: HubFaultKind) {
    fixture.hub.add_fault(HubFault::on_path(path, kind).after_requests(1));
}

fn lost_response_then_errors(fixture: &PushFixture) {
    fault_once(fixture, "/commit/", lost_request_or_response(true));
    fault_always(fixture, "/commits/", status_fault(500));
}

fn status_fault(status: u16) -> HubFaultKind {
    HubFaultKind::status(status)
}

fn applied_status_fault(status: u16) -> HubFaultKind {
    HubFaultKind::Status { status, retry_after: None, applied: true }
}

fn rate_limit_fault(seconds: u32) -> HubFaultKind {
    HubFaultKind::Status { status: 429, retry_after: Some(seconds), applied: false }
}

fn truncated_response(applied: bool) -> HubFaultKind {
    HubFaultKind::TruncatedBody { applied }
}

fn lost_request_or_response(applied: bool) -> HubFaultKind {
    HubFaultKind::DroppedConnection { applied }
}

fn hanging_response(applied: bool) -> HubFaultKind {
    HubFaultKind::Delay { time: Duration::from_secs(1), applied }
}

fn concurrent_commit() -> HubFaultKind {
    HubFaultKind::ConcurrentCommit {
        repository: REPO.to_owned(),
        path: "notes.md".to_owned(),
        content: b"theirs".to_vec(),
    }
}
