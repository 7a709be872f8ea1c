//! A test in a process of its own.
//!
//! The storage's client keeps a cache in `$HF_HOME/xet`, by the storage's address, and a later Hub may get the same
//! port. The environment of whoever runs the tests may also hold a token, an address, or forbid the network. A process
//! can safely change the environment of another one only.

use std::process::Command;

/// Set in the process that runs a test's body.
const INSIDE: &str = "SOOTPRINT_HUB_TEST_IS_ISOLATED";

/// What Hugging Face's tools would read.
const VARIABLES: [&str; 9] = [
    "HF_ENDPOINT",
    "HF_TOKEN",
    "HF_TOKEN_PATH",
    "HUGGING_FACE_HUB_TOKEN",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN",
    "HF_HUB_OFFLINE",
    "TRANSFORMERS_OFFLINE",
    "HF_XET_CACHE",
    "XDG_CACHE_HOME",
];

/// Runs the body of the test of this name in a new process of this program, with an empty `HF_HOME`.
pub(crate) fn run(test: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture"]).env("HF_HOME", home.path()).env(INSIDE, "1");
    for variable in VARIABLES {
        command.env_remove(variable);
    }
    let output = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("1 passed"), "{out}\n{err}");
}
