//! What goes wrong between here and the Hub: what the user sees, and what the Hub has afterwards.

#![allow(clippy::print_stdout, reason = "the table is for people, too")]

use std::time::{Duration, Instant};

use fake_hub::{Fault, Link, Misbehaviour};
use sootprint_hub::{Patience, PublishError, staged};

use crate::bench::{Bench, CARD, REPO, footprint, short};
use crate::isolated;

/// One row of the table.
struct Row {
    fault: &'static str,
    disturb: fn(&Bench),
    /// The beginning of the error's name; none when it is published all the same.
    seen: Option<&'static str>,
    /// Our commits on the Hub after the first publication.
    commits: usize,
}

const fn row(fault: &'static str, disturb: fn(&Bench), seen: Option<&'static str>, commits: usize) -> Row {
    Row { fault, disturb, seen, commits }
}

const ROWS: [Row; 30] = [
    row("none", |_| (), None, 1),
    row("401 at the first question", |bench| at(bench, "/api/models/", status(401)), Some("Unauthorized"), 0),
    row("403 while creating", |bench| at(bench, "/repos/create", status(403)), Some("Forbidden"), 0),
    row("403 before the upload", |bench| at(bench, "/preupload/", status(403)), Some("Forbidden"), 0),
    row("403 at the commit", |bench| at(bench, "/commit/", status(403)), Some("Forbidden"), 0),
    row("404 at the commit", |bench| at(bench, "/commit/", status(404)), Some("Refused"), 0),
    row("409 at the commit, once", |bench| at(bench, "/commit/", status(409)), None, 1),
    row("409 at the commit, always", |bench| always(bench, "/commit/", status(409)), Some("Conflict"), 0),
    row("412 at the commit, always", |bench| always(bench, "/commit/", status(412)), Some("Conflict"), 0),
    row("somebody commits just before", |bench| at(bench, "/commit/", meanwhile()), None, 1),
    row("413 at the commit", |bench| at(bench, "/commit/", status(413)), Some("Refused"), 0),
    row("429, wait 1 s", |bench| at(bench, "/commit/", rate(1)), None, 1),
    row("429, wait 1 h", |bench| at(bench, "/commit/", rate(3_600)), Some("RateLimited"), 0),
    row("503 at the commit, not applied", |bench| at(bench, "/commit/", status(503)), None, 1),
    row("503 at the commit, applied", |bench| at(bench, "/commit/", applied(503)), None, 1),
    row("500 everywhere", |bench| always(bench, "/", status(500)), Some("Unavailable"), 0),
    row("answer to a question cut", |bench| at(bench, "/api/models/", cut(false)), None, 1),
    row("answer to the commit cut, applied", |bench| at(bench, "/commit/", cut(true)), None, 1),
    row("commit lost on its way", |bench| at(bench, "/commit/", lose(false)), None, 1),
    row("answer to the commit lost", |bench| at(bench, "/commit/", lose(true)), None, 1),
    row("answer lost, then 500 everywhere", answer_lost_and_trouble, Some("Unavailable"), 1),
    row("the Hub hangs once", |bench| at(bench, "/api/models/", hang(false)), None, 1),
    row("the commit hangs, applied", |bench| at(bench, "/commit/", hang(true)), None, 1),
    row("the Hub hangs for ever", |bench| always(bench, "/", hang(false)), Some("Unreachable"), 0),
    row(
        "no Xet storage is offered",
        |bench| always(bench, "/batch", Misbehaviour::NoXet),
        Some("NoStorage"),
        0,
    ),
    row(
        "no token for the storage",
        |bench| at(bench, "/xet-write-token/", status(403)),
        Some("Forbidden"),
        0,
    ),
    row("the storage refuses", |bench| bench.hub.storage_link(Link::Refused), Some("Upload"), 0),
    row("the storage hangs", |bench| bench.hub.storage_link(Link::Hung), Some("Deadline"), 0),
    row("the storage is slow", |bench| bench.hub.storage_link(Link::Slow(20_000)), None, 1),
    row("the answer to the last look is lost", |bench| later(bench, "/paths-info/", lose(true)), None, 1),
];

#[test]
fn after_every_fault_the_hub_has_one_commit_or_none_and_the_next_publication_mends_it() {
    isolated::run(
        "faults::after_every_fault_the_hub_has_one_commit_or_none_and_the_next_publication_mends_it",
        || {
            println!("| fault | what the user sees | on the Hub | staged | seconds | publishing again |");
            println!("|---|---|---|---|---|---|");
            for row in &ROWS {
                check(row);
            }
        },
    );
}

fn check(row: &Row) {
    let bench = Bench::small();
    std::fs::write(bench.card_path(), CARD).unwrap();
    (row.disturb)(&bench);
    let begin = Instant::now();
    let patience = Patience { read: Duration::from_millis(500), deadline: Duration::from_secs(4), ..short() };
    let result = bench.publication(&footprint()).patience(patience).publish();
    let seconds = begin.elapsed().as_secs_f64();
    bench.hub.mend();

    let seen = match &result {
        Ok(_) => "published".to_owned(),
        Err(error) => error.to_string(),
    };
    let name = result.as_ref().err().map(|error| format!("{error:?}"));
    let is_staged = staged(bench.dir.path()).is_some();
    let ours = bench.ours().len();
    assert_eq!(ours, row.commits, "{}: {seen}", row.fault);
    assert_eq!(is_staged, result.is_err(), "{}: {seen}", row.fault);
    match (row.seen, &name) {
        (None, None) => {}
        (Some(expected), Some(name)) => assert!(name.starts_with(expected), "{}: {seen}", row.fault),
        _ => panic!("{}: {seen}", row.fault),
    }
    if ours == 1 {
        all_bytes(&bench, row.fault);
    }

    let again = bench.publication(&footprint()).publish().unwrap();
    assert_eq!(again.is_new, ours == 0, "{}", row.fault);
    assert_eq!(bench.ours().len(), 1, "{}: never twice", row.fault);
    assert_eq!(staged(bench.dir.path()), None, "{}", row.fault);
    all_bytes(&bench, row.fault);
    println!(
        "| {} | {} | {} | {} | {seconds:.1} | {} |",
        row.fault,
        seen.replace(bench.hub.endpoint(), "HUB").replace('|', "/"),
        if ours == 1 { "one commit" } else { "nothing" },
        if is_staged { "yes" } else { "no" },
        if again.is_new { "one commit" } else { "was there" },
    );
}

fn all_bytes(bench: &Bench, fault: &str) {
    assert!(bench.on_hub("model.safetensors") == bench.weights, "{fault}");
    assert!(bench.card_on_hub().contains("emissions: 40.6823"), "{fault}");
    assert!(!bench.on_hub("footprint.json").is_empty(), "{fault}");
}

#[test]
fn what_somebody_commits_meanwhile_stays() {
    isolated::run("faults::what_somebody_commits_meanwhile_stays", || {
        let bench = Bench::small();
        bench.publish(&footprint());
        std::fs::write(bench.dir.path().join("config.json"), "{}").unwrap();
        at(&bench, "/commit/", meanwhile());
        bench.publish(&footprint());
        assert_eq!(bench.on_hub("notes.md"), b"theirs");
        assert_eq!(bench.on_hub("config.json"), b"{}");
        assert_eq!(bench.ours().len(), 2);
    });
}

#[test]
fn a_wait_that_the_hub_asks_for_is_waited_and_one_beyond_the_deadline_is_not() {
    isolated::run(
        "faults::a_wait_that_the_hub_asks_for_is_waited_and_one_beyond_the_deadline_is_not",
        || {
            let bench = Bench::small();
            at(&bench, "/commit/", rate(2));
            let begin = Instant::now();
            bench.publish(&footprint());
            assert!(begin.elapsed() >= Duration::from_secs(2), "{:?}", begin.elapsed());

            let bench = Bench::small();
            at(&bench, "/api/models/", rate(3_600));
            let begin = Instant::now();
            let error = bench.publication(&footprint()).publish().unwrap_err();
            assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
            assert!(error.to_string().contains("asks to wait 3600 s"), "{error}");
        },
    );
}

#[test]
fn a_commit_that_a_stopped_process_made_is_found_by_the_next_one() {
    isolated::run("faults::a_commit_that_a_stopped_process_made_is_found_by_the_next_one", || {
        let bench = Bench::small();
        let time = Duration::from_secs(20);
        at(&bench, "/commit/", Misbehaviour::Hang { time, applied: true });
        let patience = Patience { deadline: Duration::from_secs(2), read: time, ..short() };
        let begin = Instant::now();
        let error = bench.publication(&footprint()).patience(patience).publish().unwrap_err();
        assert!(matches!(error, PublishError::Deadline { .. }), "{error}");
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
        assert_eq!(bench.ours().len(), 1);

        // The card is edited before anybody looks: that is an edit of the folder's side alone.
        std::fs::write(bench.card_path(), bench.card_on_hub() + "\nMore.\n").unwrap();
        let published = bench.publish(&footprint());
        assert!(published.is_new);
        assert_eq!(bench.ours().len(), 2);
        assert!(bench.card_on_hub().ends_with("\nMore.\n"));
    });
}

#[test]
fn a_pull_request_is_opened_once_also_when_its_answer_is_lost() {
    isolated::run("faults::a_pull_request_is_opened_once_also_when_its_answer_is_lost", || {
        let benches = [lose(true), applied(503)].map(|fault| {
            let bench = Bench::small();
            at(&bench, "/commit/", fault);
            let published = bench.publication(&footprint()).pull_request(true).publish().unwrap();
            let pull_request = published.pull_request.unwrap();
            assert_eq!(pull_request.number, 1);
            assert_eq!(pull_request.url, format!("{}/{REPO}/discussions/1", bench.hub.endpoint()));
            bench
        });
        let [bench, _] = &benches;
        // It was lost on its way, perhaps: it is not sent twice by one publication.
        std::fs::write(bench.dir.path().join("config.json"), "{}").unwrap();
        at(bench, "/commit/", lose(false));
        let error = bench.publication(&footprint()).pull_request(true).publish().unwrap_err();
        assert!(matches!(error, PublishError::Unreachable { .. }), "{error}");
        let published = bench.publication(&footprint()).pull_request(true).publish().unwrap();
        assert_eq!(published.pull_request.unwrap().number, 2);
        assert_eq!(bench.ours(), [], "main stays as it is");
    });
}

fn at(bench: &Bench, part: &str, what: Misbehaviour) {
    bench.hub.add_fault(Fault::at(part, what));
}

fn always(bench: &Bench, part: &str, what: Misbehaviour) {
    bench.hub.add_fault(Fault::at(part, what).times(u32::MAX));
}

/// At the second request: the first one looks what is missing.
fn later(bench: &Bench, part: &str, what: Misbehaviour) {
    bench.hub.add_fault(Fault::at(part, what).after(1));
}

fn answer_lost_and_trouble(bench: &Bench) {
    at(bench, "/commit/", lose(true));
    always(bench, "/commits/", status(500));
}

fn status(status: u16) -> Misbehaviour {
    Misbehaviour::status(status)
}

fn applied(status: u16) -> Misbehaviour {
    Misbehaviour::Status { status, retry_after: None, applied: true }
}

fn rate(seconds: u32) -> Misbehaviour {
    Misbehaviour::Status { status: 429, retry_after: Some(seconds), applied: false }
}

fn cut(applied: bool) -> Misbehaviour {
    Misbehaviour::Cut { applied }
}

fn lose(applied: bool) -> Misbehaviour {
    Misbehaviour::Lose { applied }
}

fn hang(applied: bool) -> Misbehaviour {
    Misbehaviour::Hang { time: Duration::from_secs(1), applied }
}

fn meanwhile() -> Misbehaviour {
    Misbehaviour::Meanwhile {
        repository: REPO.to_owned(),
        path: "notes.md".to_owned(),
        content: b"theirs".to_vec(),
    }
}
