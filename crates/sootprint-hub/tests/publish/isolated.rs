//! Runs a test in its own process.
//!
//! The storage client caches in `$HF_HOME/xet` by the address of the storage, and a later Hub may get the same port. The
//! environment of the caller may contain a token or an address, or forbid the network. A process can change the
//! environment of a child safely, but not its own.

use std::io::Write as _;
use std::process::Command;

/// Set in the child process that runs the body of a test.
const IS_CHILD_VARIABLE: &str = "SOOTPRINT_HUB_TEST_IS_ISOLATED";

/// Variables that Hugging Face's tools and sootprint read.
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

/// By default the storage client waits for minutes for a storage that does not answer.
const XET_TEST_SETTINGS: [(&str, &str); 5] = [
    ("HF_HUB_DISABLE_TELEMETRY", "1"),
    ("HF_XET_CLIENT_RETRY_MAX_ATTEMPTS", "1"),
    ("HF_XET_CLIENT_RETRY_BASE_DELAY", "50ms"),
    ("HF_XET_CLIENT_CONNECT_TIMEOUT", "1s"),
    ("HF_XET_CLIENT_READ_TIMEOUT", "30s"),
];

/// Runs the body of the test with this name in a new process of this program, with an empty `HF_HOME`.
///
/// Lines of the body's output that begin with `|` are always shown.
pub(crate) fn run(test: &str, body: impl FnOnce()) {
    run_with(test, &[], body);
}

/// Like [`run`], with these environment variables.
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
    // `println!` is captured, and hidden if the test passes.
    std::io::stdout().write_all(shown.as_bytes()).unwrap();
    assert!(output.status.success() && out.contains("1 passed"), "{out}\n{err}");
}
