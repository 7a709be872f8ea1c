//! A test in a process of its own.
//!
//! The storage's client keeps a cache in `$HF_HOME/xet`, by the storage's address, and a later Hub may get the same
//! port. The environment of whoever runs the tests may also hold a token, an address, or forbid the network. A process
//! can safely change the environment of another one only.

use std::io::Write as _;
use std::process::Command;

/// Set in the process that runs a test's body.
const IS_CHILD_VARIABLE: &str = "SOOTPRINT_HUB_TEST_IS_ISOLATED";

/// What Hugging Face's tools and sootprint would read.
const CLEARED_VARIABLES: [&str; 14] = [
    "HF_ENDPOINT",
    "HF_TOKEN",
    "HF_TOKEN_PATH",
    "HUGGING_FACE_HUB_TOKEN",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN",
    "HF_HUB_OFFLINE",
    "TRANSFORMERS_OFFLINE",
    "HF_XET_CACHE",
    "XDG_CACHE_HOME",
    "SOOTPRINT_RANK",
    "RANK",
    "OMPI_COMM_WORLD_RANK",
    "PMI_RANK",
    "SLURM_PROCID",
];

/// The storage's client would wait for minutes for a storage that is not there.
const XET_TEST_SETTINGS: [(&str, &str); 5] = [
    ("HF_HUB_DISABLE_TELEMETRY", "1"),
    ("HF_XET_CLIENT_RETRY_MAX_ATTEMPTS", "1"),
    ("HF_XET_CLIENT_RETRY_BASE_DELAY", "50ms"),
    ("HF_XET_CLIENT_CONNECT_TIMEOUT", "1s"),
    ("HF_XET_CLIENT_READ_TIMEOUT", "30s"),
];

/// Runs the body of the test of this name in a new process of this program, with an empty `HF_HOME`.
///
/// Lines that the body prints with a `|` in front are shown, whether the test passes or not.
pub(crate) fn run(test: &str, body: impl FnOnce()) {
    run_with(test, &[], body);
}

/// As [`run`], with these variables.
#[allow(dead_code, reason = "some of the test binaries that share this file have no use for it")]
pub(crate) fn run_with(test: &str, variables: &[(&str, &str)], body: impl FnOnce()) {
    if std::env::var_os(IS_CHILD_VARIABLE).is_some() {
        return body();
    }
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture"]).env("HF_HOME", home.path()).env(IS_CHILD_VARIABLE, "1");
    for variable in CLEARED_VARIABLES {
        command.env_remove(variable);
    }
    command.envs(XET_TEST_SETTINGS).envs(variables.iter().copied());
    let output = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let shown: String =
        out.lines().filter(|line| line.starts_with('|')).map(|line| format!("{line}\n")).collect();
    // Not with `println`, which is kept back for a test that passes.
    std::io::stdout().write_all(shown.as_bytes()).unwrap();
    assert!(output.status.success() && out.contains("1 passed"), "{out}\n{err}");
}
