//! Several writers of one card: in one process, in several, and one that is killed while it holds the lock.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of a test may stop at the first surprise")]

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::{env, thread};

use sootprint_card::{ModelCard, apply, write_card};
use sootprint_core::{Co2e, Footprint};

/// Names the folder to a second process of this test binary; without it the helpers below do nothing.
const FOLDER_VAR: &str = "SOOTPRINT_TEST_FOLDER";

const INITIAL_CARD: &str = "---\nlicense: mit # ours\n---\n# Digits\n\nText.\n";

fn footprint_with_grams(grams: f64) -> Footprint {
    let mut footprint = Footprint::from_json(include_str!("footprint.json")).unwrap();
    footprint.emissions.best = Co2e::from_grams(grams);
    footprint
}

#[test]
fn concurrent_writes_never_tear_cards() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("README.md");
    fs::write(&path, INITIAL_CARD).unwrap();
    let texts: Vec<String> = (1..=4)
        .map(|grams| apply(INITIAL_CARD, &footprint_with_grams(f64::from(grams))).unwrap().0)
        .collect();
    thread::scope(|scope| {
        let writers: Vec<_> = (1..=4)
            .map(|grams| {
                let path = &path;
                scope.spawn(move || {
                    for _ in 0..10 {
                        write_card(path, &footprint_with_grams(f64::from(grams))).unwrap();
                    }
                })
            })
            .collect();
        while writers.iter().any(|writer| !writer.is_finished()) {
            let seen = fs::read_to_string(&path).unwrap();
            assert!(seen == INITIAL_CARD || texts.contains(&seen), "half a card: {seen}");
        }
    });
    assert!(texts.contains(&fs::read_to_string(&path).unwrap()));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn killed_process_releases_lock() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("README.md");
    fs::write(&path, INITIAL_CARD).unwrap();

    let mut holder = spawn_subprocess("subprocess_holds_lock", dir.path());
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("holds")), "the helper has the lock");
    let mut writer = spawn_subprocess("subprocess_writes_card", dir.path());
    // However long it is waited, a writer that waits has not written: no luck in this.
    thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(fs::read_to_string(&path).unwrap(), INITIAL_CARD);
    assert!(writer.try_wait().unwrap().is_none(), "it waits");

    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(writer.wait().unwrap().success());
    let emissions = ModelCard::open(&path).unwrap().emissions().unwrap().unwrap();
    assert!((emissions.emissions.grams() - 7.0).abs() < 1e-9);
}

#[test]
#[ignore = "runs in a process of its own, for the test above"]
fn subprocess_holds_lock() {
    let Ok(folder) = env::var(FOLDER_VAR) else { return };
    let folder = File::open(folder).unwrap();
    folder.lock().unwrap();
    println!("holds");
    loop {
        thread::park();
    }
}

#[test]
#[ignore = "runs in a process of its own, for the test above"]
fn subprocess_writes_card() {
    let Ok(folder) = env::var(FOLDER_VAR) else { return };
    write_card(Path::new(&folder).join("README.md"), &footprint_with_grams(7.0)).unwrap();
}

fn spawn_subprocess(name: &str, folder: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env(FOLDER_VAR, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}
