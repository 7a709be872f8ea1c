//! Faults in any order: whatever happens, the Hub has one commit with every byte, or none and the folder is staged.

#![allow(clippy::print_stdout, reason = "what was met is for people, too")]

use std::collections::BTreeSet;
use std::time::Duration;

use fake_hub::{FakeHub, Fault, Misbehaviour};
use sootprint_hub::{Patience, Publication, PublishError, Published, Token, staged};

use crate::bench::{footprint, noise, short};
use crate::isolated;

const SEQUENCES: u64 = 200;

/// Hubs that work side by side.
const HUBS: u64 = 4;

/// Where faults strike; the commit more often than the rest.
const PLACES: [&str; 8] = [
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
fn after_any_sequence_of_faults_there_is_one_commit_or_none_and_it_is_staged() {
    isolated::run(
        "sequences::after_any_sequence_of_faults_there_is_one_commit_or_none_and_it_is_staged",
        || {
            let of_one_hub = |first| {
                let hub = FakeHub::start().unwrap();
                let mut met = [0_usize; 3];
                for seed in (first..SEQUENCES).step_by(HUBS as usize) {
                    met[sequence(&hub, seed)] += 1;
                }
                met
            };
            // Most of the time they wait.
            let met = std::thread::scope(|scope| {
                let hubs: Vec<_> = (0..HUBS).map(|first| scope.spawn(move || of_one_hub(first))).collect();
                hubs.into_iter()
                    .map(|hub| hub.join().unwrap())
                    .fold([0; 3], |sum, met| std::array::from_fn(|index| sum[index] + met[index]))
            });
            let [at_once, staged, unknown] = met;
            println!(
                "| {SEQUENCES} sequences of faults: {at_once} published at once, {staged} staged and then published, \
                 {unknown} staged with the commit made |"
            );
            assert!(
                at_once > 20 && staged > 20 && unknown > 0,
                "{met:?}: the faults are too kind or too cruel"
            );
        },
    );
}

/// How it went: published at once, staged without a commit, staged with one.
fn sequence(hub: &FakeHub, seed: u64) -> usize {
    let mut random = Random(seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let repo = format!("me/sequence-{seed}");
    hub.create_repository(&repo).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let weights = [&seed.to_le_bytes()[..], &noise(3_000)].concat();
    std::fs::write(dir.path().join("model.safetensors"), &weights).unwrap();
    let mut edits = Vec::new();
    for number in 0..1 + random.below(5) {
        hub.add_fault(fault(&mut random, &repo, number, &mut edits));
    }

    let first = publish(hub, dir.path(), &repo);
    hub.mend();
    let commits = ours(hub, &repo);
    assert!(commits <= 1, "{seed}: {commits} commits after {first:?}");
    let is_staged = staged(dir.path()).is_some();
    assert_eq!(is_staged, first.is_err(), "{seed}: {first:?}");
    let how = match first {
        Ok(_) => {
            assert_eq!(commits, 1, "{seed}");
            0
        }
        Err(_) => 1 + commits,
    };
    if commits == 1 {
        assert!(hub.read(&repo, "main", "model.safetensors").unwrap() == weights, "{seed}");
    }

    let second = publish(hub, dir.path(), &repo).unwrap_or_else(|error| panic!("{seed}: {error}"));
    assert_eq!(second.is_new, commits == 0, "{seed}");
    assert_eq!(ours(hub, &repo), 1, "{seed}");
    assert!(hub.read(&repo, "main", "model.safetensors").unwrap() == weights, "{seed}");
    // What others committed meanwhile is still there, where its turn came.
    let files = hub.files(&repo, "main").unwrap();
    let commits = hub.commits(&repo).unwrap().into_iter().map(|commit| commit.title);
    let theirs = commits.filter(|title| title.starts_with("Edit ")).collect::<BTreeSet<_>>().len();
    let kept = edits.iter().filter(|path| files.contains(path)).count();
    assert_eq!(kept, theirs, "{seed}: {files:?}");
    how
}

fn publish(hub: &FakeHub, dir: &std::path::Path, repo: &str) -> Result<Published, PublishError> {
    let moment = Duration::from_millis(250);
    let patience = Patience { read: moment, pause: Duration::from_millis(1), ..short() };
    Publication::new(&footprint(), dir, repo)
        .endpoint(hub.endpoint())
        .token(Token::new(hub.token()).unwrap())
        .patience(patience)
        .publish()
}

fn ours(hub: &FakeHub, repo: &str) -> usize {
    let commits = hub.commits(repo).unwrap();
    commits.iter().filter(|commit| commit.description.contains("Publication-Id: ")).count()
}

fn fault(random: &mut Random, repo: &str, number: u64, edits: &mut Vec<String>) -> Fault {
    let place = PLACES[random.below(PLACES.len() as u64) as usize];
    let applied = random.below(2) == 0;
    let status = [401, 403, 404, 409, 412, 413, 429, 500, 502, 503, 504][random.below(11) as usize];
    let what = match random.below(6) {
        0 | 1 => Misbehaviour::Status { status, retry_after: None, applied },
        2 => Misbehaviour::Cut { applied },
        3 => Misbehaviour::Lose { applied },
        4 => Misbehaviour::Hang { time: Duration::from_millis(400), applied },
        _ => {
            let path = format!("notes-{number}.md");
            edits.push(path.clone());
            Misbehaviour::Meanwhile { repository: repo.to_owned(), path, content: b"theirs".to_vec() }
        }
    };
    Fault::at(place, what).after(random.below(2) as u32).times(1 + random.below(3) as u32)
}

/// Steele and Vigna's splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}
