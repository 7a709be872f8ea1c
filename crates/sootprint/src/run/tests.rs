mod attempts_and_ranks;
mod budgets;
mod finish_hook;
mod intensity_sources;
mod live_provider;
mod phases_and_windows;

use std::fs;
use std::path::Path;
use std::time::Instant;

use sootprint_core::{CarbonIntensity, ComponentKind, Place, Power, Pue};
use sootprint_power::{Replay, VirtualClock};

use super::*;
use crate::ledger::{LedgerEntry, LedgerError, LedgerId, WriterState, list_ledgers, writer_state};
use crate::settings::{RunArguments, RunSettings};

const TIMEOUT: Duration = Duration::from_secs(120);

/// A run on a scripted CPU of 100 W and a scripted GPU of 300 W, and their clock.
fn scripted_run(dir: &Path) -> (Run, VirtualClock) {
    let clock = VirtualClock::default();
    let steady = |watts| [(Duration::from_secs(1), Power::from_watts(watts))];
    let replay = Replay::new()
        .with_component(ComponentKind::Cpu, "Scripted CPU", steady(100.0))
        .with_component(ComponentKind::Gpu, "Scripted GPU", steady(300.0))
        .with_clock(clock.clone());
    let run = Run::pre_training(dir)
        .replay(replay)
        .intensity(CarbonIntensity::from_grams_per_kilowatt_hour(360.0))
        .pue(Pue::new(1.5).unwrap())
        .start();
    (run, clock)
}

/// Ends a run as if its process were killed: no end is recorded, and the lock is released.
pub(crate) fn kill_run(run: Run, dir: &Path) {
    let handle = run.handle();
    assert!(handle.flush(TIMEOUT));
    handle.kill();
    std::mem::forget(run);
    let deadline = Instant::now() + TIMEOUT;
    while list_ledgers(dir).unwrap().iter().any(|name| writer_state(dir, name) == Some(WriterState::Active)) {
        assert!(Instant::now() < deadline, "the ledger is still locked");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn approx_eq(left: f64, right: f64) -> bool {
    (left - right).abs() <= 1e-6 * right.abs().max(1.0)
}

/// Number, energy in J and completeness of each epoch.
fn epoch_tuples(footprint: &Footprint) -> Vec<(u32, f64, bool)> {
    let rounded = |joules: f64| (joules * 1e3).round() / 1e3;
    footprint.epochs.iter().map(|it| (it.epoch, rounded(it.energy.joules()), it.completed)).collect()
}

#[test]
fn run_matches_hand_computed_energy() {
    let dir = tempfile::tempdir().unwrap();
    let (run, clock) = scripted_run(dir.path());
    for epoch in run.epochs(1..=3) {
        clock.advance(Duration::from_secs(10 * epoch));
    }
    clock.advance(Duration::from_secs(5));
    let footprint = run.finish();

    assert_eq!(epoch_tuples(&footprint), [(1, 4_000.0, true), (2, 8_000.0, true), (3, 12_000.0, true)]);
    let starts: Vec<_> = footprint.epochs.iter().filter_map(|epoch| epoch.start_s).collect();
    assert!(
        starts.len() == 3 && starts.iter().zip([0.0, 10.0, 30.0]).all(|(at, wanted)| approx_eq(*at, wanted))
    );
    let energy = &footprint.energy;
    assert!(
        approx_eq(energy.total.joules(), 26_000.0) && approx_eq(energy.gpu.joules(), 19_500.0),
        "{energy:?}"
    );
    assert!(approx_eq(energy.cpu.joules(), 6_500.0) && approx_eq(energy.facility.joules(), 39_000.0));
    // 39,000 J × 360 g / 3.6e6 J.
    assert!(approx_eq(footprint.emissions.best.grams(), 3.9), "{:?}", footprint.emissions);
    assert_eq!(footprint.run.outcome, RunStatus::Completed);
    assert!(approx_eq(footprint.run.duration_s, 65.0));
    assert!(footprint.power.iter().all(|(_, watts)| approx_eq(*watts, 400.0)), "{:?}", footprint.power);
    assert_eq!(footprint.hardware, "1 x Scripted GPU");
}

#[test]
fn saved_footprint_equals_loaded_one() {
    let dir = tempfile::tempdir().unwrap();
    let (run, clock) = scripted_run(dir.path());
    for _ in run.epochs(1..=2) {
        clock.advance(Duration::from_millis(12_345));
    }
    let footprint = run.finish();
    assert_eq!(Footprint::read(&dir.path().join(Footprint::FILE_NAME)).unwrap(), footprint);
    assert_eq!(load_footprint(dir.path(), None).unwrap(), footprint);
    assert_eq!(load_footprint(dir.path(), Some(&footprint.run.id)).unwrap(), footprint);
}

#[test]
fn unfinished_run_hides_older_footprint() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(Footprint::FILE_NAME);
    let older = scripted_run(dir.path()).0.finish();
    assert!(path.exists());
    let (run, _) = scripted_run(dir.path());
    assert!(!path.exists(), "it would pass for the footprint of the unfinished run");
    assert_eq!(load_footprint(dir.path(), Some(&older.run.id)).unwrap(), older);
    let newer = run.finish();
    assert_eq!(Footprint::read(&path).unwrap(), newer);
}

#[test]
fn footprint_without_ledgers_is_kept_at_start() {
    let dir = tempfile::tempdir().unwrap();
    let older = scripted_run(dir.path()).0.finish();
    fs::remove_dir_all(dir.path().join("sootprint")).unwrap();
    let (run, _) = scripted_run(dir.path());
    assert_eq!(Footprint::read(&dir.path().join(Footprint::FILE_NAME)).unwrap(), older);
    drop(run);
}

#[cfg(unix)]
#[test]
fn footprint_mode_equals_ledger_mode() {
    use std::os::unix::fs::PermissionsExt as _;

    let dir = tempfile::tempdir().unwrap();
    let id = scripted_run(dir.path()).0.finish().run.id;
    let mode = |file: String| fs::metadata(dir.path().join(file)).unwrap().permissions().mode();
    assert_eq!(mode(Footprint::FILE_NAME.to_owned()), mode(format!("sootprint/{id}.jsonl")));
}

#[test]
fn second_run_keeps_first_run_readable() {
    let dir = tempfile::tempdir().unwrap();
    let first = scripted_run(dir.path()).0.finish();
    let second = scripted_run(dir.path()).0.finish();
    assert_ne!(first.run.id, second.run.id);
    assert_eq!(load_footprint(dir.path(), None).unwrap().run.id, second.run.id);
    assert_eq!(load_footprint(dir.path(), Some(&first.run.id)).unwrap(), first);
}

#[test]
fn loop_exit_determines_run_status() {
    fn train(run: &Run, clock: &VirtualClock, fail_in: Option<i32>) -> Result<(), i32> {
        for epoch in run.epochs(1..=3) {
            clock.advance(Duration::from_secs(1));
            if fail_in == Some(epoch) {
                return Err(epoch);
            }
        }
        Ok(())
    }
    let dir = tempfile::tempdir().unwrap();

    let (run, clock) = scripted_run(dir.path());
    assert_eq!(train(&run, &clock, Some(2)), Err(2));
    let stopped = run.finish();
    assert_eq!(epoch_tuples(&stopped), [(1, 400.0, true), (2, 400.0, false)]);
    assert_eq!(stopped.run.outcome, RunStatus::StoppedEarly);

    let (run, clock) = scripted_run(dir.path());
    assert_eq!(train(&run, &clock, Some(3)), Err(3));
    drop(run);
    let failed = Footprint::read(&dir.path().join(Footprint::FILE_NAME)).unwrap();
    assert_eq!((failed.epochs.len(), failed.run.outcome), (3, RunStatus::Failed));

    let panicked = std::panic::catch_unwind(|| {
        let (run, clock) = scripted_run(dir.path());
        for epoch in run.epochs(1..=3) {
            clock.advance(Duration::from_secs(1));
            assert_ne!(epoch, 2, "on purpose");
        }
    });
    assert!(panicked.is_err());
    let panicked = Footprint::read(&dir.path().join(Footprint::FILE_NAME)).unwrap();
    assert_eq!(epoch_tuples(&panicked), [(1, 400.0, true), (2, 400.0, false)]);
    assert_eq!(panicked.run.outcome, RunStatus::Panicked);
}

#[test]
fn closure_result_determines_epoch_completion() {
    let dir = tempfile::tempdir().unwrap();
    let (run, _clock) = scripted_run(dir.path());
    assert_eq!(run.epoch(1, || Ok::<_, ()>(7)), Ok(7));
    assert_eq!(run.epoch(2, || Err::<(), _>("diverged")), Err("diverged"));
    assert_eq!(epoch_tuples(&run.finish()), [(1, 0.0, true), (2, 0.0, false)]);
}

#[test]
fn worst_reported_status_wins() {
    let dir = tempfile::tempdir().unwrap();
    let (run, _clock) = scripted_run(dir.path());
    run.handle().set_status(RunStatus::Interrupted);
    run.handle().set_status(RunStatus::Completed);
    assert_eq!(run.finish().run.outcome, RunStatus::Interrupted);
}

#[test]
fn only_added_gpus_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let second = Duration::from_secs(1);

    let (run, clock) = scripted_run(dir.path());
    run.handle().add_devices([]);
    clock.advance(second);
    let on_cpu = run.finish();
    assert!(approx_eq(on_cpu.energy.total.joules(), 100.0) && approx_eq(on_cpu.energy.gpu.joules(), 0.0));
    assert_eq!(on_cpu.hardware, "1 x Scripted CPU");
    assert!(!on_cpu.run.partial);

    let (run, clock) = scripted_run(dir.path());
    run.handle()
        .add_devices([sootprint_power::DeviceId::CudaOrdinal(0), sootprint_power::DeviceId::CudaOrdinal(1)]);
    clock.advance(second);
    let on_missing = run.finish();
    assert!(approx_eq(on_missing.energy.gpu.joules(), 300.0));
    let missing = on_missing.components.last().unwrap();
    assert_eq!((missing.id.as_str(), missing.method, on_missing.run.partial), ("cuda:1", None, true));
}

#[test]
fn usage_is_unchanged_after_finish() {
    let dir = tempfile::tempdir().unwrap();
    let (run, clock) = scripted_run(dir.path());
    let handle = run.handle();
    clock.advance(Duration::from_secs(36));
    handle.start_epoch(1);
    let footprint = run.finish();
    let usage = handle.usage();
    assert!(approx_eq(usage.energy.joules(), footprint.energy.total.joules()), "{usage:?}");
    assert!(approx_eq(usage.emissions.grams(), footprint.emissions.best.grams()), "{usage:?}");
    assert_eq!(usage.power.map(|power| power.watts().round()), Some(400.0));
    handle.start_epoch(2);
    assert!(handle.usage() == usage, "events after the end have no effect");
}

#[test]
fn requested_sample_uses_request_time() {
    let dir = tempfile::tempdir().unwrap();
    let (run, clock) = scripted_run(dir.path());
    let handle = run.handle();
    clock.advance(Duration::from_millis(1_234));
    let (usage_tx, usage_rx) = std::sync::mpsc::channel();
    handle.sample(move |usage| usage_tx.send(usage).unwrap());
    clock.advance(Duration::from_secs(60));
    let usage = usage_rx.recv_timeout(Duration::from_secs(60)).unwrap();
    assert_eq!(usage.elapsed, Duration::from_millis(1_234));
    assert!(approx_eq(usage.energy.joules(), 400.0 * 1.234), "{usage:?}");
    let _ = run.finish();
    handle.sample(|_| panic!("called after the end"));
}

#[test]
fn unwritable_dir_still_measures_run() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("occupied");
    fs::write(&file, "a file where a folder should be").unwrap();

    let error = Run::pre_training(&file).try_start().unwrap_err();
    assert!(error.to_string().contains("occupied"), "{error}");

    let (run, clock) = scripted_run(&file);
    clock.advance(Duration::from_secs(1));
    let footprint = run.finish();
    assert!(approx_eq(footprint.energy.total.joules(), 400.0), "the run is still measured");
    // Notes may be published and contain no path.
    let expected = "cannot use the run's folder for the run's ledger: ";
    assert!(footprint.notes.iter().any(|note| note.starts_with(expected)), "{:?}", footprint.notes);
    assert_eq!(fs::read_to_string(&file).unwrap(), "a file where a folder should be");
}

#[test]
fn disabled_run_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = RunSettings::from_environment(RunArguments::default());
    settings.is_disabled = true;
    let (run, errors) = Run::pre_training(dir.path()).start_with(settings, false);
    assert!(errors.is_empty());
    assert_eq!(run.epochs(1..=2).count(), 2);
    let footprint = run.finish();
    assert!(!footprint.is_measured() && footprint.components.is_empty());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is written");
}

#[test]
fn current_machine_reports_component_methods() {
    let dir = tempfile::tempdir().unwrap();
    let run = Run::fine_tuning(dir.path(), "me/base").place("FR".parse().unwrap()).start();
    let footprint = run.finish();
    assert_eq!(footprint.run.base_model.as_deref(), Some("me/base"));
    assert_eq!(footprint.grid.zone.as_deref(), Some("FR"));
    if cfg!(target_os = "linux") {
        for kind in [ComponentKind::Cpu, ComponentKind::Memory] {
            assert!(footprint.components.iter().any(|it| it.kind == kind && it.method.is_some()));
        }
    }
}

#[test]
fn baseline_gives_idle_energy_only() {
    let dir = tempfile::tempdir().unwrap();
    // Idle for the first 0.25 s of each session, busy after that.
    let script = [(0.25, 50.0), (3_600.0, 450.0)]
        .map(|(seconds, watts)| (Duration::from_secs_f64(seconds), Power::from_watts(watts)));
    let replay = Replay::new().with_component(ComponentKind::Cpu, "Scripted CPU", script);
    let before = Instant::now();
    let run = Run::pre_training(dir.path()).replay(replay).idle_baseline(Duration::from_millis(50)).start();
    std::thread::sleep(Duration::from_millis(300));
    let footprint = run.finish();
    let all = before.elapsed().as_secs_f64();
    let length = footprint.run.duration_s;
    assert_eq!(footprint.energy.idle_method.as_deref(), Some("baseline"));
    assert!((footprint.energy.idle.unwrap().joules() - 50.0 * length).abs() < 1e-6 * length);
    // The script starts slightly before the first sample, so a part of the idle time is not measured; it is at most the
    // difference between the elapsed time and the length of the run.
    let exact = 50.0 * 0.25 + 450.0 * (length - 0.25);
    let most = exact + 400.0 * (all - length);
    let total = footprint.energy.total.joules();
    assert!((0.99 * exact..1.01 * most).contains(&total), "{total} J, not within {exact} to {most} J");
    assert_eq!(load_footprint(dir.path(), None).unwrap(), footprint);
}

/// The entries of a run's only ledger, without the header.
fn ledger_entries(dir: &Path, run: &str) -> Vec<LedgerEntry> {
    crate::ledger::read_ledger(dir, &ledger_id(run, 0, 1)).unwrap().entries
}

fn ledger_id(run: &str, rank: u32, attempt: u32) -> LedgerId {
    LedgerId { run: run.to_owned(), attempt, rank }
}
