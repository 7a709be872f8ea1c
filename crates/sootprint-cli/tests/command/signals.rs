//! Signals reach the command, and sootprint writes its record all the same.

use std::os::unix::process::CommandExt as _;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::room::{Room, stderr};

#[test]
fn what_is_sent_to_sootprint_alone_reaches_the_command() {
    for (signal, name) in [
        (Signal::TERM, "TERM"),
        (Signal::HUP, "HUP"),
        (Signal::INT, "INT"),
        (Signal::QUIT, "QUIT"),
        (Signal::USR1, "USR1"),
        (Signal::USR2, "USR2"),
    ] {
        let room = Room::new();
        let mut started =
            room.started(&format!("trap 'echo caught; exit 7' {name}; echo started; read -r word"));
        kill_process(Pid::from_child(&started.child), signal).unwrap();
        assert_eq!(started.line(), "caught\n", "SIG{name}");
        assert_eq!(started.ended().code(), Some(7));
        let outcome = if name.starts_with("USR") { "failed" } else { "interrupted" };
        assert_eq!(room.report(&[])["run"]["outcome"], outcome, "SIG{name}");
    }
}

#[test]
fn an_interrupt_of_the_whole_group_ends_the_command_and_not_the_record() {
    let room = Room::new();
    let mut command =
        room.sootprint(&["run", "--out", "out", "--", "sh", "-c", "echo started; read -r word"]);
    command.process_group(0);
    let mut started = room.started_by(command);
    kill_process_group(Pid::from_child(&started.child), Signal::INT).unwrap();
    assert_eq!(started.ended().code(), Some(130));
    assert_eq!(room.report(&[])["run"]["outcome"], "interrupted");
}

#[test]
fn a_signal_that_the_caller_ignores_is_ignored_by_the_command_too() {
    let room = Room::new();
    // As nohup(1) does it.
    let mut command = room.sootprint(&[]);
    let sootprint = command.get_program().to_owned();
    command = std::process::Command::new("sh");
    command.args(["-c", r#"trap '' HUP; exec "$0" "$@""#]).arg(sootprint);
    command.args(["run", "--out", "out", "--", "sh", "-c", "kill -HUP $$; kill -HUP $PPID; echo alive"]);
    command.current_dir(room.path("")).env("SOOTPRINT_REPLAY", room.path("script.json"));
    let output = command.output().unwrap();
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"alive\n"[..]), "{}", stderr(&output));
    assert_eq!(room.report(&[])["run"]["outcome"], "completed");
}
