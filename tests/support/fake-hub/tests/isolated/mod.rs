//! A test in a process of its own.
//!
//! hf-xet keeps a cache of what it uploaded in `$HF_HOME/xet`, which is not to be the home of whoever runs the tests.
//! The folder is named by an environment variable, and a process can safely set those of another process only.

use std::process::Command;

const ISOLATED_ENV_VAR: &str = "LOOPBACK_HUB_TEST_IS_ISOLATED";

/// Runs the body of the test of this name in this test's own program, started again with a fresh `HF_HOME`.
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
