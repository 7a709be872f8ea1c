//! Processes that end in every way that a process can: what is left on the disk is a footprint, and nearly all of it.
//!
//! The test starts itself again as the process that trains; see [`train`].

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise"
)]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use sootprint::{Footprint, Kind, Outcome, Power, Replay, Run, recover};

/// Tells a process of this test what to be: the folder, and how it ends.
const TRAINS_IN: &str = "SOOTPRINT_TEST_TRAINS_IN";
const ENDS: &str = "SOOTPRINT_TEST_ENDS";

const WATTS: f64 = 250.0;

/// What a kill may cost.
const LOST: f64 = 2.0;

const KILLS: usize = 100;
const AT_ONCE: usize = 50;

/// Not a test: the training that the others start. Without its variables it does nothing.
#[test]
fn train() {
    let Some(dir) = std::env::var_os(TRAINS_IN) else { return };
    let ends = std::env::var(ENDS).unwrap_or_default();
    let steady = [(Duration::from_secs(1), Power::from_watts(WATTS))];
    let replay = Replay::new().component(Kind::Gpu, "Scripted board", steady);
    let builder = Run::pre_training(&dir).replay(replay);
    let run = if ends == "resume" { builder.resume().try_start().unwrap() } else { builder.start() };
    for epoch in run.epochs(1..=1_000_u32) {
        thread::sleep(Duration::from_millis(350));
        match ends.as_str() {
            "abort" if epoch == 3 => std::process::abort(),
            "panic" if epoch == 3 => panic!("on purpose"),
            "exit" if epoch == 3 => std::process::exit(7),
            "resume" if epoch == 3 => break,
            _ => {}
        }
    }
    drop(run.finish());
}

struct Training {
    child: Child,
    dir: tempfile::TempDir,
}

fn start(dir: tempfile::TempDir, ends: &str) -> Training {
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new(&program);
    if cfg!(target_os = "linux") {
        // A shell lets what it starts in the background ignore Ctrl-C, and a training of these tests would as well.
        command = Command::new("env");
        command.arg("--default-signal=INT,TERM,HUP").arg(&program);
    }
    command.args(["--exact", "train", "--test-threads=1"]).env(TRAINS_IN, dir.path()).env(ENDS, ends);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    Training { child, dir }
}

/// Until the record of a training has begun; the moment when it was seen.
fn begun(dir: &Path) -> Instant {
    let deadline = Instant::now() + Duration::from_secs(60);
    while recover(dir, None).is_err() {
        assert!(Instant::now() < deadline, "no ledger in {}", dir.display());
        thread::sleep(Duration::from_millis(2));
    }
    Instant::now()
}

impl Training {
    fn new(ends: &str) -> Self {
        start(tempfile::tempdir().unwrap(), ends)
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// The footprint when the process is gone.
    fn footprint(&mut self) -> Footprint {
        self.child.wait().unwrap();
        recover(self.dir.path(), None).unwrap()
    }
}

/// A xorshift: the moments are the same each time, and so is what a failure says.
fn random(state: &mut u64) -> f64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 11) as f64 / (1_u64 << 53) as f64
}

#[test]
fn a_process_that_is_killed_at_any_moment_loses_two_seconds_at_most() {
    let mut seed = 0x2026_1123_u64;
    let (mut most, mut epochs) = (0.0_f64, 0);
    for _ in 0..KILLS / AT_ONCE {
        let moments: Vec<Duration> =
            (0..AT_ONCE).map(|_| Duration::from_secs_f64(3.5 * random(&mut seed))).collect();
        let kills: Vec<_> = moments
            .into_iter()
            .map(|moment| {
                thread::spawn(move || {
                    let mut training = Training::new("never");
                    let begun = begun(training.dir.path());
                    thread::sleep(moment);
                    let lived = begun.elapsed().as_secs_f64();
                    training.child.kill().unwrap();
                    (lived, training.footprint())
                })
            })
            .collect();
        for kill in kills {
            let (lived, footprint) = kill.join().unwrap();
            assert_eq!(footprint.run.outcome, Outcome::Killed);
            let joules = footprint.energy.total.joules();
            let lost = lived - joules / WATTS;
            assert!(lost <= LOST, "{lost} s lost of {lived} s");
            // It cannot have used more than in all of its time; that it lived unseen is a part of it.
            assert!(joules <= WATTS * (footprint.run.duration_s + 1e-6), "{joules} J in {footprint:?}");
            most = most.max(lost);
            epochs += footprint.epochs.len();
        }
    }
    println!("{KILLS} kills: {most:.3} s lost at most, {epochs} epochs kept");
    assert!(epochs > KILLS, "{epochs}");
}

#[test]
fn every_end_has_its_word() {
    let ends = [
        ("abort", None, Outcome::Killed),
        ("exit", None, Outcome::Killed),
        ("panic", None, Outcome::Panicked),
        ("never", Some("-INT"), Outcome::Killed),
        ("never", Some("-TERM"), Outcome::Killed),
        ("never", Some("-HUP"), Outcome::Killed),
        ("never", Some("-KILL"), Outcome::Killed),
    ];
    let checks = ends.map(|(ends, signal, outcome)| {
        thread::spawn(move || {
            let mut training = Training::new(ends);
            let begun = begun(training.dir.path());
            if let Some(signal) = signal {
                thread::sleep(Duration::from_millis(1_600));
                training.signal(signal);
            }
            let footprint = training.footprint();
            let lived = begun.elapsed().as_secs_f64();
            let what = format!("{ends} {signal:?}");
            assert_eq!(footprint.run.outcome, outcome, "{what}");
            let joules = footprint.energy.total.joules();
            assert!(joules >= WATTS * (1.05 - LOST) && lived - joules / WATTS <= LOST, "{what}: {joules} J");
            if outcome == Outcome::Panicked {
                // Nothing of it is missing: three epochs, of which the last one is not complete.
                assert_eq!(footprint.epochs.len(), 3, "{what}");
                assert!(joules >= WATTS * 1.05, "{what}: {joules} J");
            }
        })
    });
    checks.into_iter().for_each(|check| check.join().unwrap());
}

#[test]
fn a_killed_training_that_is_resumed_is_one_run() {
    let mut training = Training::new("never");
    let begun = begun(training.dir.path());
    let mut second = Command::new(std::env::current_exe().unwrap());
    second.args(["--exact", "train"]).env(TRAINS_IN, training.dir.path()).env(ENDS, "resume");
    let output = second.output().unwrap();
    assert!(!output.status.success(), "another process records it");
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("Busy"), "{said}");

    thread::sleep(Duration::from_millis(1_500));
    let lived = begun.elapsed().as_secs_f64();
    training.child.kill().unwrap();
    let killed = training.footprint();
    thread::sleep(Duration::from_millis(1_200));
    let mut resumed = start(training.dir, "resume");
    let footprint = resumed.footprint();
    assert_eq!((&footprint.run.id, footprint.run.attempts), (&killed.run.id, 2));
    assert_eq!(footprint.run.outcome, Outcome::StoppedEarly, "three epochs of a thousand");
    let used = footprint.energy.total.joules() - killed.energy.total.joules();
    // Three epochs of 0.35 s; what lay between the attempts counts nothing.
    assert!((WATTS..WATTS * 2.0).contains(&used), "{used} J");
    assert!(lived - killed.energy.total.joules() / WATTS <= LOST);
    let again = footprint.notes.iter().any(|note| note.contains("trained in more than one attempt"));
    assert!(again, "{:?}", footprint.notes);
    assert_eq!(Footprint::read(&resumed.dir.path().join(sootprint::FILE_NAME)).unwrap(), footprint);
}

#[test]
fn the_record_of_a_real_run_is_readable_cut_at_any_byte() {
    let mut training = Training::new("never");
    begun(training.dir.path());
    thread::sleep(Duration::from_millis(1_700));
    training.child.kill().unwrap();
    let whole = training.footprint();
    let folder = training.dir.path().join("sootprint");
    let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let of = |extension: &str| {
        let path = files.iter().find(|path| path.extension().is_some_and(|it| it == extension)).unwrap();
        (path.clone(), std::fs::read(path).unwrap())
    };
    let (ledger, lines) = of("jsonl");
    let (heartbeat, slots) = of("beat");
    let first = lines.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let mut before = 0.0;
    std::fs::remove_file(&heartbeat).unwrap();
    for cut in 0..=lines.len() {
        std::fs::write(&ledger, &lines[..cut]).unwrap();
        let Ok(footprint) = recover(training.dir.path(), None) else {
            assert!(cut < first, "cut at {cut} of {}", lines.len());
            continue;
        };
        let joules = footprint.energy.total.joules();
        assert!(cut >= first && joules >= before, "cut at {cut}");
        before = joules;
    }
    // Between the two slots are zeros, of which one is like the other.
    let is_written = |cut: &usize| slots[cut.saturating_sub(2)..*cut].iter().any(|byte| *byte != 0);
    for cut in (0..=slots.len()).filter(is_written) {
        std::fs::write(&heartbeat, &slots[..cut]).unwrap();
        let footprint = recover(training.dir.path(), None).unwrap();
        let lost = (whole.energy.total.joules() - footprint.energy.total.joules()) / WATTS;
        assert!((0.0..=LOST).contains(&lost), "cut at {cut}: {lost} s");
    }
    assert_eq!(recover(training.dir.path(), None).unwrap(), whole);
}
