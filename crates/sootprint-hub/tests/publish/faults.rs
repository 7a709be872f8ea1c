//! What goes wrong between here and the Hub: what the user sees, and what the Hub has afterwards.

#![allow(clippy::print_stdout, reason = "the table is for people, too")]

use std::time::{Duration, Instant};

use fake_hub::{HubFault, HubFaultKind, LinkState};
use sootprint_hub::{PushError, RetryPolicy, staged_push};

use crate::fixture::{CARD, PushFixture, REPO, sample_footprint, short_retry_policy};
use crate::isolated;

/// One row of the table.
struct FaultCase {
    fault: &'static str,
    inject: fn(&PushFixture),
    /// The beginning of the error's name; none when it is published all the same.
    expected_error: Option<&'static str>,
    /// Our commits on the Hub after the first publication.
    commits_after: usize,
}

const fn fault_case(
    fault: &'static str,
    disturb: fn(&PushFixture),
    seen: Option<&'static str>,
    commits: usize,
) -> FaultCase {
    FaultCase { fault, inject: disturb, expected_error: seen, commits_after: commits }
}

const FAULT_CASES: [FaultCase; 30] = [
    fault_case("none", |_| (), None, 1),
    fault_case(
        "401 at the first question",
        |bench| fault_once(bench, "/api/models/", status_fault(401)),
        Some("Unauthorized"),
        0,
    ),
    fault_case(
        "403 while creating",
        |bench| fault_once(bench, "/repos/create", status_fault(403)),
        Some("Forbidden"),
        0,
    ),
    fault_case(
        "403 before the upload",
        |bench| fault_once(bench, "/preupload/", status_fault(403)),
        Some("Forbidden"),
        0,
    ),
    fault_case(
        "403 at the commit",
        |bench| fault_once(bench, "/commit/", status_fault(403)),
        Some("Forbidden"),
        0,
    ),
    fault_case(
        "404 at the commit",
        |bench| fault_once(bench, "/commit/", status_fault(404)),
        Some("Refused"),
        0,
    ),
    fault_case("409 at the commit, once", |bench| fault_once(bench, "/commit/", status_fault(409)), None, 1),
    fault_case(
        "409 at the commit, always",
        |bench| fault_always(bench, "/commit/", status_fault(409)),
        Some("Conflict"),
        0,
    ),
    fault_case(
        "412 at the commit, always",
        |bench| fault_always(bench, "/commit/", status_fault(412)),
        Some("Conflict"),
        0,
    ),
    fault_case(
        "somebody commits just before",
        |bench| fault_once(bench, "/commit/", concurrent_commit()),
        None,
        1,
    ),
    fault_case(
        "413 at the commit",
        |bench| fault_once(bench, "/commit/", status_fault(413)),
        Some("Refused"),
        0,
    ),
    fault_case("429, wait 1 s", |bench| fault_once(bench, "/commit/", rate_limit_fault(1)), None, 1),
    fault_case(
        "429, wait 1 h",
        |bench| fault_once(bench, "/commit/", rate_limit_fault(3_600)),
        Some("RateLimited"),
        0,
    ),
    fault_case(
        "503 at the commit, not applied",
        |bench| fault_once(bench, "/commit/", status_fault(503)),
        None,
        1,
    ),
    fault_case(
        "503 at the commit, applied",
        |bench| fault_once(bench, "/commit/", applied_status_fault(503)),
        None,
        1,
    ),
    fault_case("500 everywhere", |bench| fault_always(bench, "/", status_fault(500)), Some("Unavailable"), 0),
    fault_case(
        "answer to a question cut",
        |bench| fault_once(bench, "/api/models/", truncated_response(false)),
        None,
        1,
    ),
    fault_case(
        "answer to the commit cut, applied",
        |bench| fault_once(bench, "/commit/", truncated_response(true)),
        None,
        1,
    ),
    fault_case(
        "commit lost on its way",
        |bench| fault_once(bench, "/commit/", lost_request_or_response(false)),
        None,
        1,
    ),
    fault_case(
        "answer to the commit lost",
        |bench| fault_once(bench, "/commit/", lost_request_or_response(true)),
        None,
        1,
    ),
    fault_case("answer lost, then 500 everywhere", lost_response_then_errors, Some("Unavailable"), 1),
    fault_case(
        "the Hub hangs once",
        |bench| fault_once(bench, "/api/models/", hanging_response(false)),
        None,
        1,
    ),
    fault_case(
        "the commit hangs, applied",
        |bench| fault_once(bench, "/commit/", hanging_response(true)),
        None,
        1,
    ),
    fault_case(
        "the Hub hangs for ever",
        |bench| fault_always(bench, "/", hanging_response(false)),
        Some("Unreachable"),
        0,
    ),
    fault_case(
        "no Xet storage is offered",
        |bench| fault_always(bench, "/batch", HubFaultKind::NoXet),
        Some("NoStorage"),
        0,
    ),
    fault_case(
        "no token for the storage",
        |bench| fault_once(bench, "/xet-write-token/", status_fault(403)),
        Some("Forbidden"),
        0,
    ),
    fault_case(
        "the storage refuses",
        |bench| bench.hub.set_storage_link(LinkState::Refused),
        Some("Upload"),
        0,
    ),
    fault_case(
        "the storage hangs",
        |bench| bench.hub.set_storage_link(LinkState::Stalled),
        Some("Deadline"),
        0,
    ),
    fault_case(
        "the storage is slow",
        |bench| bench.hub.set_storage_link(LinkState::Throttled(20_000)),
        None,
        1,
    ),
    fault_case(
        "the answer to the last look is lost",
        |bench| fault_on_second_request(bench, "/paths-info/", lost_request_or_response(true)),
        None,
        1,
    ),
];

#[test]
fn next_push_recovers_from_every_fault() {
    isolated::run("faults::next_push_recovers_from_every_fault", || {
        println!("| fault | what the user sees | on the Hub | staged | seconds | publishing again |");
        println!("|---|---|---|---|---|---|");
        for row in &FAULT_CASES {
            check_case(row);
        }
    });
}

fn check_case(row: &FaultCase) {
    let bench = PushFixture::with_small_weights();
    std::fs::write(bench.card_path(), CARD).unwrap();
    (row.inject)(&bench);
    let begin = Instant::now();
    let policy = RetryPolicy {
        read_timeout: Duration::from_millis(500),
        deadline: Duration::from_secs(4),
        ..short_retry_policy()
    };
    let result = bench.upload(&sample_footprint()).retry_policy(policy).push();
    let seconds = begin.elapsed().as_secs_f64();
    bench.hub.clear_faults();

    let seen = match &result {
        Ok(_) => "published".to_owned(),
        Err(error) => error.to_string(),
    };
    let name = result.as_ref().err().map(|error| format!("{error:?}"));
    let is_staged = staged_push(bench.dir.path()).is_some();
    let own_commits = bench.own_commits().len();
    assert_eq!(own_commits, row.commits_after, "{}: {seen}", row.fault);
    assert_eq!(is_staged, result.is_err(), "{}: {seen}", row.fault);
    match (row.expected_error, &name) {
        (None, None) => {}
        (Some(expected), Some(name)) => assert!(name.starts_with(expected), "{}: {seen}", row.fault),
        _ => panic!("{}: {seen}", row.fault),
    }
    if own_commits == 1 {
        assert_complete(&bench, row.fault);
    }

    let again = bench.upload(&sample_footprint()).push().unwrap();
    assert_eq!(again.created_commit, own_commits == 0, "{}", row.fault);
    assert_eq!(bench.own_commits().len(), 1, "{}: never twice", row.fault);
    assert_eq!(staged_push(bench.dir.path()), None, "{}", row.fault);
    assert_complete(&bench, row.fault);
    println!(
        "| {} | {} | {} | {} | {seconds:.1} | {} |",
        row.fault,
        seen.replace(bench.hub.endpoint(), "HUB").replace('|', "/"),
        if own_commits == 1 { "one commit" } else { "nothing" },
        if is_staged { "yes" } else { "no" },
        if again.created_commit { "one commit" } else { "was there" },
    );
}

fn assert_complete(bench: &PushFixture, fault: &str) {
    assert!(bench.hub_file("model.safetensors") == bench.weights, "{fault}");
    assert!(bench.hub_card().contains("emissions: 40.6823"), "{fault}");
    assert!(!bench.hub_file("footprint.json").is_empty(), "{fault}");
}

#[test]
fn concurrent_commit_is_kept() {
    isolated::run("faults::concurrent_commit_is_kept", || {
        let bench = PushFixture::with_small_weights();
        bench.push(&sample_footprint());
        std::fs::write(bench.dir.path().join("config.json"), "{}").unwrap();
        fault_once(&bench, "/commit/", concurrent_commit());
        bench.push(&sample_footprint());
        assert_eq!(bench.hub_file("notes.md"), b"theirs");
        assert_eq!(bench.hub_file("config.json"), b"{}");
        assert_eq!(bench.own_commits().len(), 2);
    });
}

#[test]
fn retry_after_honored_within_deadline() {
    isolated::run("faults::retry_after_honored_within_deadline", || {
        let bench = PushFixture::with_small_weights();
        fault_once(&bench, "/commit/", rate_limit_fault(2));
        let begin = Instant::now();
        bench.push(&sample_footprint());
        assert!(begin.elapsed() >= Duration::from_secs(2), "{:?}", begin.elapsed());

        let bench = PushFixture::with_small_weights();
        fault_once(&bench, "/api/models/", rate_limit_fault(3_600));
        let begin = Instant::now();
        let error = bench.upload(&sample_footprint()).push().unwrap_err();
        assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
        assert!(error.to_string().contains("asks to wait 3600 s"), "{error}");
    });
}

#[test]
fn next_push_finds_interrupted_commit() {
    isolated::run("faults::next_push_finds_interrupted_commit", || {
        let bench = PushFixture::with_small_weights();
        let time = Duration::from_secs(20);
        fault_once(&bench, "/commit/", HubFaultKind::Delay { time, applied: true });
        let policy =
            RetryPolicy { deadline: Duration::from_secs(2), read_timeout: time, ..short_retry_policy() };
        let begin = Instant::now();
        let error = bench.upload(&sample_footprint()).retry_policy(policy).push().unwrap_err();
        assert!(matches!(error, PushError::DeadlineExceeded { .. }), "{error}");
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
        assert_eq!(bench.own_commits().len(), 1);

        // The card is edited before anybody looks: that is an edit of the folder's side alone.
        std::fs::write(bench.card_path(), bench.hub_card() + "\nMore.\n").unwrap();
        let published = bench.push(&sample_footprint());
        assert!(published.created_commit);
        assert_eq!(bench.own_commits().len(), 2);
        assert!(bench.hub_card().ends_with("\nMore.\n"));
    });
}

#[test]
fn pull_request_opened_once_despite_fault() {
    isolated::run("faults::pull_request_opened_once_despite_fault", || {
        let benches = [lost_request_or_response(true), applied_status_fault(503)].map(|fault| {
            let bench = PushFixture::with_small_weights();
            fault_once(&bench, "/commit/", fault);
            let published = bench.upload(&sample_footprint()).open_pull_request(true).push().unwrap();
            let pull_request = published.pull_request.unwrap();
            assert_eq!(pull_request.number, 1);
            assert_eq!(pull_request.url, format!("{}/{REPO}/discussions/1", bench.hub.endpoint()));
            bench
        });
        let [bench, _] = &benches;
        // It was lost on its way, perhaps: it is not sent twice by one publication.
        std::fs::write(bench.dir.path().join("config.json"), "{}").unwrap();
        fault_once(bench, "/commit/", lost_request_or_response(false));
        let error = bench.upload(&sample_footprint()).open_pull_request(true).push().unwrap_err();
        assert!(matches!(error, PushError::Unreachable { .. }), "{error}");
        let published = bench.upload(&sample_footprint()).open_pull_request(true).push().unwrap();
        assert_eq!(published.pull_request.unwrap().number, 2);
        assert_eq!(bench.own_commits(), [], "main stays as it is");
    });
}

fn fault_once(bench: &PushFixture, part: &str, what: HubFaultKind) {
    bench.hub.add_fault(HubFault::on_path(part, what));
}

fn fault_always(bench: &PushFixture, part: &str, what: HubFaultKind) {
    bench.hub.add_fault(HubFault::on_path(part, what).repeat(u32::MAX));
}

/// At the second request: the first one looks what is missing.
fn fault_on_second_request(bench: &PushFixture, part: &str, what: HubFaultKind) {
    bench.hub.add_fault(HubFault::on_path(part, what).after_requests(1));
}

fn lost_response_then_errors(bench: &PushFixture) {
    fault_once(bench, "/commit/", lost_request_or_response(true));
    fault_always(bench, "/commits/", status_fault(500));
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
