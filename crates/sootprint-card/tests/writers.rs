//! The file of a card: its permissions and links, and concurrent writers, one of which is killed while it holds the lock.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers may panic")]

use std::fs::{self, File, Permissions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::{env, thread};

use sootprint_card::{CardWriter, ModelCard};
use sootprint_core::{Co2e, Footprint};

/// Passes the folder to a second process of this test binary. Without it, the helpers below do nothing.
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
        .map(|grams| CardWriter::new(&footprint_with_grams(f64::from(grams))).apply(INITIAL_CARD).unwrap().0)
        .collect();
    thread::scope(|scope| {
        let writers: Vec<_> = (1..=4)
            .map(|grams| {
                let path = &path;
                scope.spawn(move || {
                    for _ in 0..10 {
                        CardWriter::new(&footprint_with_grams(f64::from(grams))).write(path).unwrap();
                    }
                })
            })
            .collect();
        while writers.iter().any(|writer| !writer.is_finished()) {
            let seen = fs::read_to_string(&path).unwrap();
            assert!(seen == INITIAL_CARD || texts.contains(&seen), "incomplete card: {seen}");
        }
    });
    assert!(texts.contains(&fs::read_to_string(&path).unwrap()));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn permissions_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("README.md");
    fs::write(&path, INITIAL_CARD).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    CardWriter::new(&footprint_with_grams(1.0)).write(&path).unwrap();
    assert!(fs::read_to_string(&path).unwrap().contains("emissions: 1\n"));
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn new_file_has_default_permissions() {
    let dir = tempfile::tempdir().unwrap();
    let (card, any) = (dir.path().join("README.md"), dir.path().join("any"));
    CardWriter::new(&footprint_with_grams(1.0)).write(&card).unwrap();
    fs::write(&any, "").unwrap();
    assert_eq!(fs::metadata(card).unwrap().mode(), fs::metadata(any).unwrap().mode());
}

#[test]
fn symlink_is_preserved() {
    let dir = tempfile::tempdir().unwrap();
    let (link, target) = (dir.path().join("README.md"), dir.path().join("card.md"));
    symlink("card.md", &link).unwrap();
    for (grams, line) in [(1.0, "emissions: 1\n"), (2.0, "emissions: 2\n")] {
        CardWriter::new(&footprint_with_grams(grams)).write(&link).unwrap();
        assert!(fs::read_to_string(&target).unwrap().contains(line), "created, then edited");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }
}

#[test]
fn missing_dir_leaves_no_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("missing").join("README.md");
    let error = CardWriter::new(&footprint_with_grams(1.0)).write(&path).unwrap_err();
    let expected =
        format!("the folder {} does not exist; create it first", dir.path().join("missing").display());
    assert_eq!(error.to_string(), expected);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn killed_process_releases_lock() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("README.md");
    fs::write(&path, INITIAL_CARD).unwrap();

    let mut holder = spawn_subprocess("subprocess_holds_lock", dir.path());
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("holds")), "the helper holds the lock");
    let mut writer = spawn_subprocess("subprocess_writes_card", dir.path());
    // The check holds for any delay: a writer that waits has not written.
    thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(fs::read_to_string(&path).unwrap(), INITIAL_CARD);
    assert!(writer.try_wait().unwrap().is_none(), "the writer waits for the lock");

    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(writer.wait().unwrap().success());
    let emissions = ModelCard::open(&path).unwrap().emissions().unwrap().unwrap();
    assert!((emissions.emissions.grams() - 7.0).abs() < 1e-9);
}

#[test]
#[ignore = "started by `killed_process_releases_lock` in a separate process"]
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
#[ignore = "started by `killed_process_releases_lock` in a separate process"]
fn subprocess_writes_card() {
    let Ok(folder) = env::var(FOLDER_VAR) else { return };
    CardWriter::new(&footprint_with_grams(7.0)).write(Path::new(&folder).join("README.md")).unwrap();
}

fn spawn_subprocess(name: &str, folder: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env(FOLDER_VAR, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}
