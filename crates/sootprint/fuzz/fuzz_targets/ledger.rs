//! Reads any lines as the ledger of a run. The checksums are added here, because random ones would never be right.
#![no_main]

use std::fs;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sootprint::{Footprint, load_all_footprints, load_footprint};
use tempfile::TempDir;

static DIR: LazyLock<TempDir> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("temporary folder");
    fs::create_dir(dir.path().join("sootprint")).expect("folder of the ledgers");
    dir
});

fuzz_target!(|lines: &str| {
    let ledger: String = lines
        .lines()
        .map(|line| match line.strip_prefix('!') {
            // A damaged line.
            Some(rest) => format!("{rest}\n"),
            None => format!("{{\"crc\":{},\"line\":{line}}}\n", crc32fast::hash(line.as_bytes())),
        })
        .collect();
    fs::write(DIR.path().join("sootprint/00001-run.jsonl"), ledger).expect("write the ledger");
    let all = load_all_footprints(&[DIR.path()]).expect("the folder can be read");
    assert_eq!(all.len(), 1, "the run is listed");
    if let Ok(footprint) = load_footprint(DIR.path(), None) {
        let json = footprint.to_json().expect("a footprint is JSON");
        Footprint::from_json(&json).expect("a footprint that was computed is valid");
        let _ = footprint.to_string();
    }
});
