//! Sets `SOOTPRINT_VERSION`, which `sootprint --version` prints: the version, with the commit if one is found.

use std::fs;
use std::process::Command;

/// A package from a registry records its commit in this file.
const VCS_INFO_FILE: &str = ".cargo_vcs_info.json";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let version = env!("CARGO_PKG_VERSION");
    let version = match commit_from_package().or_else(commit_from_git) {
        Some(commit) => format!("{version} ({commit})"),
        None => version.to_owned(),
    };
    println!("cargo::rustc-env=SOOTPRINT_VERSION={version}");
}

fn commit_from_package() -> Option<String> {
    let text = fs::read_to_string(VCS_INFO_FILE).ok()?;
    let (_, after) = text.split_once("\"sha1\"")?;
    let commit = after.split('"').nth(1)?;
    Some(commit.chars().take(9).collect())
}

fn commit_from_git() -> Option<String> {
    // A copy of the source inside another repository must not report that repository's commit.
    run_git(&["ls-files", "--error-unmatch", "Cargo.toml"])?;
    // The log of HEAD grows with each commit and each checkout, so rerun when it changes.
    let log = run_git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    if fs::exists(&log).is_ok_and(|exists| exists) {
        println!("cargo::rerun-if-changed={log}");
    }
    run_git(&["rev-parse", "--short=9", "HEAD"])
}

fn run_git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}
