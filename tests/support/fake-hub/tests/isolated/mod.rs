//! Runs a test in its own process.
//!
//! hf-xet keeps a cache of its uploads in `$HF_HOME/xet`, and tests must not use the user's home. The folder
//! is set by an environment variable, which can only be set safely for another process.

use std::process::Command;

const ISOLATED_ENV_VAR: &str = "LOOPBACK_HUB_TEST_IS_ISOLATED";

/// Runs the body of the named test by starting this test binary again with a fresh `HF_HOME`.
pub(crate) fn run(name: &str, body: impl FnOnce()) {
    if std::env::var_os(ISOLATED_ENV_VAR).is_some() {
        return body();
    }
    let home = tempfile::TempDir::new().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env("HF_HOME", home.path())
        .env_remove("HF_XET_CACHE")
        .env(ISOLATED_ENV_VAR, "1")
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && stdout.contains("1 passed"),
        "{stdout}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(home.path().join("xet").is_dir(), "hf-xet wrote its cache elsewhere");
}
