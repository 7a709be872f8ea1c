mod budgets;
mod finish;
mod hours;
mod live;
mod parts;
mod record;

use std::fs;
use std::path::Path;
use std::time::Instant;

use sootprint_core::{CarbonIntensity, FILE_NAME, Kind, Place, Power, Pue};
use sootprint_power::{Replay, VirtualClock};

use super::*;
use crate::ledger::{Entry, LedgerError, Name};
use crate::settings::{Arguments, Settings};

/// A run on a scripted processor of 100 W and a scripted board of 300 W, and the clock that moves both.
fn scripted(dir: &Path) -> (Run, VirtualClock) {
    let clock = VirtualClock::default();
    let steady = |watts| [(Duration::from_secs(1), Power::from_watts(watts))];
    let replay = Replay::new()
        .component(Kind::Cpu, "Scripted CPU", steady(100.0))
        .component(Kind::Gpu, "Scripted board", steady(300.0))
        .on_clock(clock.clone());
    let run = Run::pre_training(dir)
        .replay(replay)
        .intensity(CarbonIntensity::from_grams_per_kilowatt_hour(360.0))
        .pue(Pue::new(1.5).unwrap())
        .start();
    (run, clock)
}

fn close(left: f64, right: f64) -> bool {
    (left - right).abs() <= 1e-6 * right.abs().max(1.0)
}

/// Number, joules and completeness of each epoch.
fn epochs(footprint: &Footprint) -> Vec<(u32, f64, bool)> {
    let rounded = |joules: f64| (joules * 1e3).round() / 1e3;
    footprint.epochs.iter().map(|it| (it.epoch, rounded(it.energy.joules()), it.completed)).collect()
}

#[test]
fn a_run_is_what_paper_says() {
    let dir = tempfile::tempdir().unwrap();
    let (run, clock) = scripted(dir.path());
    for epoch in run.epochs(1..=3) {
        clock.advance(Duration::from_secs(10 * epoch));
    }
    clock.advance(Duration::from_secs(5));
    let footprint = run.finish();

    assert_eq!(epochs(&footprint), [(1, 4_000.0, true), (2, 8_000.0, true), (3, 12_000.0, true)]);
    let starts: Vec<_> = footprint.epochs.iter().filter_map(|epoch| epoch.start_s).collect();
    assert!(starts.len() == 3 && starts.iter().zip([0.0, 10.0, 30.0]).all(|(at, wanted)| close(*at, wanted)));
    let energy = &footprint.energy;
    assert!(close(energy.total.joules(), 26_000.0) && close(energy.gpu.joules(), 19_500.0), "{energy:?}");
    assert!(close(energy.cpu.joules(), 6_500.0) && close(energy.facility.joules(), 39_000.0));
    // 39,000 J × 360 g / 3.6e6 J.
    assert!(close(footprint.emissions.best.grams(), 3.9), "{:?}", footprint.emissions);
    assert_eq!(footprint.run.outcome, Outcome::Completed);
    assert!(close(footprint.run.duration_s, 65.0));
    assert!(footprint.power.iter().all(|(_, watts)| close(*watts, 400.0)), "{:?}", footprint.power);
    assert_eq!(footprint.hardware, "1 x Scripted board");
}

#[test]
fn the_saved_and_the_recovered_footprint_are_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (run, clock) = scripted(dir.path());
    for _ in run.epochs(1..=2) {
        clock.advance(Duration::from_millis(12_345));
    }
    let footprint = run.finish();
    assert_eq!(Footprint::read(&dir.path().join(FILE_NAME)).unwrap(), footprint);
    assert_eq!(recover(dir.path(), None).unwrap(), footprint);
    assert_eq!(recover(dir.path(), Some(&footprint.run.id)).unwrap(), footprint);
}

#[cfg(unix)]
#[test]
fn the_footprint_is_as_readable_as_the_ledger() {
    use std::os::unix::fs::PermissionsExt as _;

    let dir = tempfile::tempdir().unwrap();
    let id = scripted(dir.path()).0.finish().run.id;
    let mode = |file: String| fs::metadata(dir.path().join(file)).unwrap().permissions().mode();
    assert_eq!(mode(FILE_NAME.to_owned()), mode(format!("sootprint/{id}.jsonl")));
}

#[test]
fn a_second_run_in_the_folder_leaves_the_first_one_readable() {
    let dir = tempfile::tempdir().unwrap();
    let first = scripted(dir.path()).0.finish();
    let second = scripted(dir.path()).0.finish();
    assert_ne!(first.run.id, second.run.id);
    assert_eq!(recover(dir.path(), None).unwrap().run.id, second.run.id);
    assert_eq!(recover(dir.path(), Some(&first.run.id)).unwrap(), first);
}

/// How the loop is left, and what the footprint says of it.
#[test]
fn every_end_of_a_loop_has_its_word() {
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

    let (run, clock) = scripted(dir.path());
    assert_eq!(train(&run, &clock, Some(2)), Err(2));
    let stopped = run.finish();
    assert_eq!(epochs(&stopped), [(1, 400.0, true), (2, 400.0, false)]);
    assert_eq!(stopped.run.outcome, Outcome::StoppedEarly);

    let (run, clock) = scripted(dir.path());
    assert_eq!(train(&run, &clock, Some(3)), Err(3));
    drop(run);
    let failed = Footprint::read(&dir.path().join(FILE_NAME)).unwrap();
    assert_eq!((failed.epochs.len(), failed.run.outcome), (3, Outcome::Failed));

    let panicked = std::panic::catch_unwind(|| {
        let (run, clock) = scripted(dir.path());
        for epoch in run.epochs(1..=3) {
            clock.advance(Duration::from_secs(1));
            assert_ne!(epoch, 2, "on purpose");
        }
    });
    assert!(panicked.is_err());
    let panicked = Footprint::read(&dir.path().join(FILE_NAME)).unwrap();
    assert_eq!(epochs(&panicked), [(1, 400.0, true), (2, 400.0, false)]);
    assert_eq!(panicked.run.outcome, Outcome::Panicked);
}

#[test]
fn an_epoch_in_a_closure_knows_its_result() {
    let dir = tempfile::tempdir().unwrap();
    let (run, _clock) = scripted(dir.path());
    assert_eq!(run.epoch(1, || Ok::<_, ()>(7)), Ok(7));
    assert_eq!(run.epoch(2, || Err::<(), _>("diverged")), Err("diverged"));
    assert_eq!(epochs(&run.finish()), [(1, 0.0, true), (2, 0.0, false)]);
}

#[test]
fn the_training_s_own_word_stands_when_it_is_worse() {
    let dir = tempfile::tempdir().unwrap();
    let (run, _clock) = scripted(dir.path());
    run.handle().outcome(Outcome::Interrupted);
    run.handle().outcome(Outcome::Completed);
    assert_eq!(run.finish().run.outcome, Outcome::Interrupted);
}

#[test]
fn boards_count_only_for_who_trains_on_them() {
    let dir = tempfile::tempdir().unwrap();
    let second = Duration::from_secs(1);

    let (run, clock) = scripted(dir.path());
    run.handle().claim([]);
    clock.advance(second);
    let on_processor = run.finish();
    assert!(close(on_processor.energy.total.joules(), 100.0) && close(on_processor.energy.gpu.joules(), 0.0));
    assert_eq!(on_processor.hardware, "1 x Scripted CPU");
    assert!(!on_processor.run.partial);

    let (run, clock) = scripted(dir.path());
    run.handle().claim([sootprint_power::Claim::CudaOrdinal(0), sootprint_power::Claim::CudaOrdinal(1)]);
    clock.advance(second);
    let on_missing = run.finish();
    assert!(close(on_missing.energy.gpu.joules(), 300.0));
    let missing = on_missing.components.last().unwrap();
    assert_eq!((missing.id.as_str(), missing.method, on_missing.run.partial), ("cuda:1", None, true));
}

#[test]
fn live_figures_follow_the_run_and_stand_after_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let (run, clock) = scripted(dir.path());
    let handle = run.handle();
    clock.advance(Duration::from_secs(36));
    handle.epoch_started(1);
    let footprint = run.finish();
    let live = handle.live();
    assert!(close(live.energy.joules(), footprint.energy.total.joules()), "{live:?}");
    assert!(close(live.emissions.grams(), footprint.emissions.best.grams()), "{live:?}");
    assert_eq!(live.power.map(|power| power.watts().round()), Some(400.0));
    handle.epoch_started(2);
    assert!(handle.live() == live, "nothing counts after the end");
}

#[test]
fn a_reading_on_request_is_of_the_moment_of_the_request() {
    let dir = tempfile::tempdir().unwrap();
    let (run, clock) = scripted(dir.path());
    let handle = run.handle();
    clock.advance(Duration::from_millis(1_234));
    let (tell, told) = std::sync::mpsc::channel();
    handle.read(move |live| tell.send(live).unwrap());
    clock.advance(Duration::from_secs(60));
    let live = told.recv_timeout(Duration::from_secs(60)).unwrap();
    assert_eq!(live.elapsed, Duration::from_millis(1_234));
    assert!(close(live.energy.joules(), 400.0 * 1.234), "{live:?}");
    let _ = run.finish();
    handle.read(|_| panic!("there is nothing to read after the end"));
}

#[test]
fn a_folder_that_cannot_be_written_costs_the_record_and_not_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("occupied");
    fs::write(&file, "a file where a folder should be").unwrap();

    let error = Run::pre_training(&file).try_start().unwrap_err();
    assert!(error.to_string().contains("occupied"), "{error}");

    let (run, clock) = scripted(&file);
    clock.advance(Duration::from_secs(1));
    let footprint = run.finish();
    assert!(close(footprint.energy.total.joules(), 400.0), "measured all the same");
    // Without the path, for the notes may be published.
    let told = "cannot use the run's folder for the run's ledger: ";
    assert!(footprint.notes.iter().any(|note| note.starts_with(told)), "{:?}", footprint.notes);
    assert_eq!(fs::read_to_string(&file).unwrap(), "a file where a folder should be");
}

#[test]
fn a_run_that_is_off_is_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = Settings::from_environment(Arguments::default());
    settings.is_off = true;
    let (run, problems) = Run::pre_training(dir.path()).begin(settings, false);
    assert!(problems.is_empty());
    assert_eq!(run.epochs(1..=2).count(), 2);
    let footprint = run.finish();
    assert!(!footprint.is_measured() && footprint.components.is_empty());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is written");
}

#[test]
fn this_machine_is_measured_or_modelled_and_says_which() {
    let dir = tempfile::tempdir().unwrap();
    let run = Run::fine_tuning(dir.path(), "me/base").place("FR".parse().unwrap()).start();
    let footprint = run.finish();
    assert_eq!(footprint.run.base_model.as_deref(), Some("me/base"));
    assert_eq!(footprint.grid.zone.as_deref(), Some("FR"));
    if cfg!(target_os = "linux") {
        for kind in [Kind::Cpu, Kind::Memory] {
            assert!(footprint.components.iter().any(|it| it.kind == kind && it.method.is_some()));
        }
    }
}

#[test]
fn a_rest_before_the_run_gives_its_idle_energy_and_counts_as_nothing() {
    let dir = tempfile::tempdir().unwrap();
    // At rest for the first quarter of a second of any session, at work after it.
    let script = [(0.25, 50.0), (3_600.0, 450.0)]
        .map(|(seconds, watts)| (Duration::from_secs_f64(seconds), Power::from_watts(watts)));
    let replay = Replay::new().component(Kind::Cpu, "Scripted CPU", script);
    let before = Instant::now();
    let run = Run::pre_training(dir.path()).replay(replay).baseline(Duration::from_millis(50)).start();
    std::thread::sleep(Duration::from_millis(300));
    let footprint = run.finish();
    let all = before.elapsed().as_secs_f64();
    let length = footprint.run.duration_s;
    assert_eq!(footprint.energy.idle_method.as_deref(), Some("baseline"));
    assert!((footprint.energy.idle.unwrap().joules() - 50.0 * length).abs() < 1e-6 * length);
    // The script begins a little before the first reading: a part of its rest, and no longer than what the run's own
    // length leaves of all the time, belongs to nobody.
    let truth = 50.0 * 0.25 + 450.0 * (length - 0.25);
    let most = truth + 400.0 * (all - length);
    let total = footprint.energy.total.joules();
    assert!((0.99 * truth..1.01 * most).contains(&total), "{total} J, not within {truth} to {most} J");
    assert_eq!(recover(dir.path(), None).unwrap(), footprint);
}

/// The lines of a run's only ledger, but for the first.
fn entries(dir: &Path, run: &str) -> Vec<Entry> {
    crate::ledger::read(dir, &name(run, 0, 1)).unwrap().entries
}

fn name(run: &str, rank: u32, attempt: u32) -> Name {
    Name { run: run.to_owned(), attempt, rank }
}
