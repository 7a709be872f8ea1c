//! Random sequences of faults: afterwards the Hub has one complete commit, or none and the push is staged.

#![allow(clippy::print_stdout, reason = "prints a summary")]

use std::collections::BTreeSet;
use std::time::Duration;

use fake_hub::{FakeHub, HubFault, HubFaultKind};
use sootprint_hub::{HubToken, ModelUpload, PushError, PushReport, RetryPolicy, staged_push};

use crate::fixture::{incompressible_bytes, safetensors, sample_footprint, short_retry_policy};
use crate::isolated;

const SEQUENCE_COUNT: u64 = 200;

/// Hubs that run in parallel.
const HUB_COUNT: u64 = 4;

/// Paths of the faults; the commit is more likely than the others.
const FAULT_PATHS: [&str; 8] = [
    "/commit/",
    "/commit/",
    "/commit/",
    "/api/models/",
    "/commits/",
    "/preupload/",
    "/paths-info/",
    "/batch",
];

#[test]
fn fault_sequences_never_commit_twice() {
    isolated::run("retries::fault_sequences_never_commit_twice", || {
        let run_on_hub = |first| {
            let hub = FakeHub::start().unwrap();
            let mut outcomes = [0_usize; 3];
            for seed in (first..SEQUENCE_COUNT).step_by(HUB_COUNT as usize) {
                outcomes[run_sequence(&hub, seed)] += 1;
            }
            outcomes
        };
        // In parallel, because they mostly wait.
        let outcomes = std::thread::scope(|scope| {
            let hubs: Vec<_> = (0..HUB_COUNT).map(|first| scope.spawn(move || run_on_hub(first))).collect();
            hubs.into_iter()
                .map(|hub| hub.join().unwrap())
                .fold([0; 3], |sum, counts| std::array::from_fn(|index| sum[index] + counts[index]))
        });
        let [pushed_immediately, staged, unknown] = outcomes;
        println!(
            "| {SEQUENCE_COUNT} sequences of faults: {pushed_immediately} pushed immediately, {staged} staged and then pushed, \
                 {unknown} staged after the commit was made |"
        );
        assert!(
            pushed_immediately > 20 && staged > 20 && unknown > 0,
            "{outcomes:?}: too few or too many faults"
        );
    });
}

/// Returns 0 if pushed immediately, 1 if staged without a commit, 2 if staged with one.
fn run_sequence(hub: &FakeHub, seed: u64) -> usize {
    let mut random = SplitMix64(seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let repo = format!("me/sequence-{seed}");
    hub.create_repository(&repo).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let weights = safetensors(&[&seed.to_le_bytes()[..], &incompressible_bytes(3_000)].concat());
    std::fs::write(dir.path().join("model.safetensors"), &weights).unwrap();
    let mut edits = Vec::new();
    for number in 0..1 + random.below(5) {
        hub.add_fault(random_fault(&mut random, &repo, number, &mut edits));
    }

    let first = push_once(hub, dir.path(), &repo);
    hub.clear_faults();
    let commits = count_own_commits(hub, &repo);
    assert!(commits <= 1, "{seed}: {commits} commits after {first:?}");
    let is_staged = staged_push(dir.path()).is_some();
    assert_eq!(is_staged, first.is_err(), "{seed}: {first:?}");
    let outcome = match first {
        Ok(_) => {
            assert_eq!(commits, 1, "{seed}");
            0
        }
        Err(_) => 1 + commits,
    };
    if commits == 1 {
        assert!(hub.read_file(&repo, "main", "model.safetensors").unwrap() == weights, "{seed}");
    }

    let second = push_once(hub, dir.path(), &repo).unwrap_or_else(|error| panic!("{seed}: {error}"));
    assert_eq!(second.created_commit, commits == 0, "{seed}");
    assert_eq!(count_own_commits(hub, &repo), 1, "{seed}");
    assert!(hub.read_file(&repo, "main", "model.safetensors").unwrap() == weights, "{seed}");
    // Concurrent commits that were applied are still there.
    let files = hub.files(&repo, "main").unwrap();
    let commits = hub.commits(&repo).unwrap().into_iter().map(|commit| commit.title);
    let theirs = commits.filter(|title| title.starts_with("Edit ")).collect::<BTreeSet<_>>().len();
    let kept = edits.iter().filter(|path| files.contains(path)).count();
    assert_eq!(kept, theirs, "{seed}: {files:?}");
    outcome
}

fn push_once(hub: &FakeHub, dir: &std::path::Path, repo: &str) -> Result<PushReport, PushError> {
    let timeout = Duration::from_millis(250);
    let policy = RetryPolicy {
        read_timeout: timeout,
        initial_backoff: Duration::from_millis(1),
        ..short_retry_policy()
    };
    ModelUpload::new(&sample_footprint(), dir, repo)
        .endpoint(hub.endpoint())
        .token(HubToken::new(hub.token()).unwrap())
        .retry_policy(policy)
        .push()
}

fn count_own_commits(hub: &FakeHub, repo: &str) -> usize {
    let commits = hub.commits(repo).unwrap();
    commits.iter().filter(|commit| commit.description.contains("Publication-Id: ")).count()
}

fn random_fault(random: &mut SplitMix64, repo: &str, number: u64, edits: &mut Vec<String>) -> HubFault {
    let path = FAULT_PATHS[random.below(FAULT_PATHS.len() as u64) as usize];
    let applied = random.below(2) == 0;
    let status = [401, 403, 404, 409, 412, 413, 429, 500, 502, 503, 504][random.below(11) as usize];
    let kind = match random.below(6) {
        0 | 1 => HubFaultKind::Status { status, retry_after: None, applied },
        2 => HubFaultKind::TruncatedBody { applied },
        3 => HubFaultKind::DroppedConnection { applied },
        4 => HubFaultKind::Delay { time: Duration::from_millis(400), applied },
        _ => {
            let path = format!("notes-{number}.md");
            edits.push(path.clone());
            HubFaultKind::ConcurrentCommit { repository: repo.to_owned(), path, content: b"theirs".to_vec() }
        }
    };
    HubFault::on_path(path, kind).after_requests(random.below(2) as u32).repeat(1 + random.below(3) as u32)
}

/// Steele and Vigna's splitmix64.
struct SplitMix64(u64);

impl SplitMix64 {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}
