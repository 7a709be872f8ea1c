//! Processes that end in any possible way leave a readable footprint that lacks at most two seconds.
//!
//! The test binary starts itself as the training process; see [`train`].

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "test helpers may panic")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use sootprint::{ComponentKind, Footprint, Power, Replay, Run, RunStatus, load_footprint};

/// The folder of a training process, and how it ends.
const DIR_VARIABLE: &str = "SOOTPRINT_TEST_TRAINS_IN";
const ENDING_VARIABLE: &str = "SOOTPRINT_TEST_ENDS";

const WATTS: f64 = 250.0;

/// The most that a kill may lose.
const MAX_LOSS_SECONDS: f64 = 2.0;

const KILL_COUNT: usize = 100;
const PARALLEL_KILLS: usize = 50;

/// Not a test: the training process that the tests start. It does nothing without its environment variables.
#[test]
fn train() {
    let Some(dir) = std::env::var_os(DIR_VARIABLE) else { return };
    let ending = std::env::var(ENDING_VARIABLE).unwrap_or_default();
    let steady = [(Duration::from_secs(1), Power::from_watts(WATTS))];
    let replay = Replay::new().with_component(ComponentKind::Gpu, "Scripted GPU", steady);
    let builder = Run::pre_training(&dir).replay(replay);
    let run = if ending == "resume" { builder.resume().try_start().unwrap() } else { builder.start() };
    for epoch in run.epochs(1..=1_000_u32) {
        thread::sleep(Duration::from_millis(350));
        match ending.as_str() {
            "abort" if epoch == 3 => std::process::abort(),
            "panic" if epoch == 3 => panic!("on purpose"),
            "exit" if epoch == 3 => std::process::exit(7),
            "resume" if epoch == 3 => break,
            _ => {}
        }
    }
    drop(run.finish());
}

struct SpawnedTraining {
    child: Child,
    dir: tempfile::TempDir,
}

fn spawn_training(dir: tempfile::TempDir, ending: &str) -> SpawnedTraining {
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new(&program);
    if cfg!(target_os = "linux") {
        // Background jobs of a shell ignore Ctrl-C, and the child processes of this test would inherit that.
        command = Command::new("env");
        command.arg("--default-signal=INT,TERM,HUP").arg(&program);
    }
    command
        .args(["--exact", "train", "--test-threads=1"])
        .env(DIR_VARIABLE, dir.path())
        .env(ENDING_VARIABLE, ending);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    SpawnedTraining { child, dir }
}

/// Waits until a training has a ledger. Returns the time at which it was seen.
fn wait_for_ledger(dir: &Path) -> Instant {
    let deadline = Instant::now() + Duration::from_secs(60);
    while load_footprint(dir, None).is_err() {
        assert!(Instant::now() < deadline, "no ledger in {}", dir.display());
        thread::sleep(Duration::from_millis(2));
    }
    Instant::now()
}

impl SpawnedTraining {
    fn new(ending: &str) -> Self {
        spawn_training(tempfile::tempdir().unwrap(), ending)
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// Waits for the process and loads its footprint.
    fn footprint(&mut self) -> Footprint {
        self.child.wait().unwrap();
        load_footprint(self.dir.path(), None).unwrap()
    }
}

/// A xorshift generator, so that failures can be reproduced.
fn random(state: &mut u64) -> f64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 11) as f64 / (1_u64 << 53) as f64
}

#[test]
fn sigkill_loses_at_most_two_seconds() {
    let mut seed = 0x2026_1123_u64;
    let (mut max_loss, mut epochs) = (0.0_f64, 0);
    for _ in 0..KILL_COUNT / PARALLEL_KILLS {
        let moments: Vec<Duration> =
            (0..PARALLEL_KILLS).map(|_| Duration::from_secs_f64(3.5 * random(&mut seed))).collect();
        let kills: Vec<_> = moments
            .into_iter()
            .map(|moment| {
                thread::spawn(move || {
                    let mut training = SpawnedTraining::new("never");
                    let started = wait_for_ledger(training.dir.path());
                    thread::sleep(moment);
                    let elapsed_seconds = started.elapsed().as_secs_f64();
                    training.child.kill().unwrap();
                    (elapsed_seconds, training.footprint())
                })
            })
            .collect();
        for kill in kills {
            let (elapsed_seconds, footprint) = kill.join().unwrap();
            assert_eq!(footprint.run.outcome, RunStatus::Killed);
            let joules = footprint.energy.total.joules();
            let lost = elapsed_seconds - joules / WATTS;
            assert!(lost <= MAX_LOSS_SECONDS, "{lost} s lost of {elapsed_seconds} s");
            // The upper limit is the run's own duration, which includes the time before the ledger was seen.
            assert!(joules <= WATTS * (footprint.run.duration_s + 1e-6), "{joules} J in {footprint:?}");
            max_loss = max_loss.max(lost);
            epochs += footprint.epochs.len();
        }
    }
    println!("{KILL_COUNT} kills: {max_loss:.3} s lost at most, {epochs} epochs kept");
    assert!(epochs > KILL_COUNT, "{epochs}");
}

#[test]
fn each_ending_has_its_outcome() {
    let endings = [
        ("abort", None, RunStatus::Killed),
        ("exit", None, RunStatus::Killed),
        ("panic", None, RunStatus::Panicked),
        ("never", Some("-INT"), RunStatus::Killed),
        ("never", Some("-TERM"), RunStatus::Killed),
        ("never", Some("-HUP"), RunStatus::Killed),
        ("never", Some("-KILL"), RunStatus::Killed),
    ];
    let checks = endings.map(|(ends, signal, outcome)| {
        thread::spawn(move || {
            let mut training = SpawnedTraining::new(ends);
            let started = wait_for_ledger(training.dir.path());
            if let Some(signal) = signal {
                thread::sleep(Duration::from_millis(1_600));
                training.signal(signal);
            }
            let footprint = training.footprint();
            let elapsed_seconds = started.elapsed().as_secs_f64();
            let what = format!("{ends} {signal:?}");
            assert_eq!(footprint.run.outcome, outcome, "{what}");
            let joules = footprint.energy.total.joules();
            assert!(
                joules >= WATTS * (1.05 - MAX_LOSS_SECONDS)
                    && elapsed_seconds - joules / WATTS <= MAX_LOSS_SECONDS,
                "{what}: {joules} J"
            );
            if outcome == RunStatus::Panicked {
                // Nothing is lost: three epochs, the last one incomplete.
                assert_eq!(footprint.epochs.len(), 3, "{what}");
                assert!(joules >= WATTS * 1.05, "{what}: {joules} J");
            }
        })
    });
    checks.into_iter().for_each(|check| check.join().unwrap());
}

#[test]
fn resumed_training_is_one_run() {
    let mut training = SpawnedTraining::new("never");
    let started = wait_for_ledger(training.dir.path());
    let mut second = Command::new(std::env::current_exe().unwrap());
    second.args(["--exact", "train"]).env(DIR_VARIABLE, training.dir.path()).env(ENDING_VARIABLE, "resume");
    let output = second.output().unwrap();
    assert!(!output.status.success(), "another process is recording the run");
    let output_text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output_text.contains("Busy"), "{output_text}");

    thread::sleep(Duration::from_millis(1_500));
    let elapsed_seconds = started.elapsed().as_secs_f64();
    training.child.kill().unwrap();
    let killed = training.footprint();
    thread::sleep(Duration::from_millis(1_200));
    let mut resumed = spawn_training(training.dir, "resume");
    let footprint = resumed.footprint();
    assert_eq!((&footprint.run.id, footprint.run.attempts), (&killed.run.id, 2));
    assert_eq!(footprint.run.outcome, RunStatus::StoppedEarly, "three epochs of a thousand");
    let used = footprint.energy.total.joules() - killed.energy.total.joules();
    // Three epochs of 0.35 s; the time between the attempts is not counted.
    assert!((WATTS..WATTS * 2.0).contains(&used), "{used} J");
    assert!(elapsed_seconds - killed.energy.total.joules() / WATTS <= MAX_LOSS_SECONDS);
    let again = footprint.notes.iter().any(|note| note.contains("trained in more than one attempt"));
    assert!(again, "{:?}", footprint.notes);
    assert_eq!(Footprint::read(&resumed.dir.path().join(Footprint::FILE_NAME)).unwrap(), footprint);
}

#[test]
fn ledger_cut_anywhere_stays_readable() {
    let mut training = SpawnedTraining::new("never");
    wait_for_ledger(training.dir.path());
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
        let Ok(footprint) = load_footprint(training.dir.path(), None) else {
            assert!(cut < first, "cut at {cut} of {}", lines.len());
            continue;
        };
        let joules = footprint.energy.total.joules();
        assert!(cut >= first && joules >= before, "cut at {cut}");
        before = joules;
    }
    // Cuts within the zeros between the two slots are equivalent, so they are skipped.
    let is_written = |cut: &usize| slots[cut.saturating_sub(2)..*cut].iter().any(|byte| *byte != 0);
    for cut in (0..=slots.len()).filter(is_written) {
        std::fs::write(&heartbeat, &slots[..cut]).unwrap();
        let footprint = load_footprint(training.dir.path(), None).unwrap();
        let lost = (whole.energy.total.joules() - footprint.energy.total.joules()) / WATTS;
        assert!((0.0..=MAX_LOSS_SECONDS).contains(&lost), "cut at {cut}: {lost} s");
    }
    assert_eq!(load_footprint(training.dir.path(), None).unwrap(), whole);
}
