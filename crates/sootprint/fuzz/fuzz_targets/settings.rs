//! Reads any text as the settings file of a project.
#![no_main]

use std::fs;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sootprint::{ProjectSettings, UserDefaults};
use tempfile::TempDir;

/// The working folder, with a repository's root as the end of the search.
static DIR: LazyLock<TempDir> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("temporary folder");
    fs::create_dir(dir.path().join(".git")).expect("root of a repository");
    std::env::set_current_dir(dir.path()).expect("working folder");
    dir
});

fuzz_target!(|text: &[u8]| {
    fs::write(DIR.path().join("sootprint.toml"), text).expect("write the settings");
    // A fault in a project's file never stops a run.
    let defaults = UserDefaults::load_for_run().expect("only warnings for a run");
    let _ = (defaults, UserDefaults::load(), ProjectSettings::in_use());
});
