//! Signals reach the command, and sootprint still writes its record.

use std::os::unix::process::CommandExt as _;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::sandbox::{TestSandbox, stderr};

#[test]
fn signals_are_forwarded_to_command() {
    for (signal, name) in [
        (Signal::TERM, "TERM"),
        (Signal::HUP, "HUP"),
        (Signal::INT, "INT"),
        (Signal::QUIT, "QUIT"),
        (Signal::USR1, "USR1"),
        (Signal::USR2, "USR2"),
    ] {
        let sandbox = TestSandbox::new();
        let mut running =
            sandbox.start_script(&format!("trap 'echo caught; exit 7' {name}; echo started; read -r word"));
        kill_process(Pid::from_child(&running.child), signal).unwrap();
        assert_eq!(running.read_line(), "caught\n", "SIG{name}");
        assert_eq!(running.wait_for_exit().code(), Some(7));
        let outcome = if name.starts_with("USR") { "failed" } else { "interrupted" };
        assert_eq!(sandbox.report_json(&[])["run"]["outcome"], outcome, "SIG{name}");
    }
}

#[test]
fn group_interrupt_keeps_record() {
    let sandbox = TestSandbox::new();
    let mut command =
        sandbox.sootprint_command(&["run", "--out", "out", "--", "sh", "-c", "echo started; read -r word"]);
    command.process_group(0);
    let mut running = sandbox.start(command);
    kill_process_group(Pid::from_child(&running.child), Signal::INT).unwrap();
    assert_eq!(running.wait_for_exit().code(), Some(130));
    assert_eq!(sandbox.report_json(&[])["run"]["outcome"], "interrupted");
}

#[test]
fn ignored_signals_stay_ignored() {
    let sandbox = TestSandbox::new();
    // Like nohup(1).
    let mut command = sandbox.sootprint_command(&[]);
    let sootprint = command.get_program().to_owned();
    command = std::process::Command::new("sh");
    command.args(["-c", r#"trap '' HUP; exec "$0" "$@""#]).arg(sootprint);
    command.args(["run", "--out", "out", "--", "sh", "-c", "kill -HUP $$; kill -HUP $PPID; echo alive"]);
    command.current_dir(sandbox.path("")).env("SOOTPRINT_REPLAY", sandbox.path("script.json"));
    let output = command.output().unwrap();
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"alive\n"[..]), "{}", stderr(&output));
    assert_eq!(sandbox.report_json(&[])["run"]["outcome"], "completed");
}
