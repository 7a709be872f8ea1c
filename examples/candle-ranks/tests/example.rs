//! Two ranks that train together without a launcher.

#![allow(clippy::unwrap_used, reason = "test helpers may panic")]

use std::path::Path;
use std::process::{Child, Command, Stdio};

use sootprint::{ComponentKind, RunStatus, load_footprint};

fn start_rank(dir: &Path, rank: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_candle-ranks"))
        .args(["train", dir.to_str().unwrap(), "2", "4"])
        .env("RANK", rank)
        .env("WORLD_SIZE", "2")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn two_ranks_merge_into_one_run() {
    let dir = tempfile::tempdir().unwrap();
    let both = [start_rank(dir.path(), "0"), start_rank(dir.path(), "1")];
    for child in both {
        let output = child.wait_with_output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{printed}");
        // Both ranks end with the same weights, which are better than training on one shard alone would give.
        let accuracy = printed.trim_end().trim_end_matches(" %").rsplit(' ').next().unwrap();
        assert!(accuracy.parse::<f64>().unwrap() > 85.0, "{printed}");
    }
    let footprint = load_footprint(dir.path(), None).unwrap();
    assert_eq!((footprint.run.ranks, footprint.run.outcome), (2, RunStatus::Completed));
    assert_eq!(footprint.epochs.len(), 2);
    // Four passes over all 1,437 images, split between the ranks.
    assert_eq!(footprint.epochs.iter().map(|it| it.samples).collect::<Vec<_>>(), [Some(5_748); 2]);
    assert!(footprint.epochs.iter().all(|epoch| epoch.phases[0].name == "exchange"));
    // Each rank has its own GPU; the host's CPU is counted once.
    let count_of = |kind| footprint.components.iter().filter(|it| it.kind == kind).count();
    assert_eq!((count_of(ComponentKind::Gpu), count_of(ComponentKind::Cpu)), (2, 1));
}
