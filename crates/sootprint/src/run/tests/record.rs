//! What is on the disk: how much of it, and which attempts and processes it is of.

use sootprint_power::Sensor;

use super::*;
use crate::ledger::{ending, names};

const PATIENCE: Duration = Duration::from_secs(120);

/// A run on a scripted board of 300 W, not started, and its clock.
fn board(dir: &Path) -> (RunBuilder, VirtualClock) {
    let clock = VirtualClock::default();
    let steady = [(Duration::from_secs(1), Power::from_watts(300.0))];
    let replay = Replay::new().component(Kind::Gpu, "Scripted board", steady).on_clock(clock.clone());
    (Run::pre_training(dir).replay(replay), clock)
}

/// A run that ends as if its process were killed: nobody says that it ended, and the lock is gone.
fn kill(run: Run, dir: &Path) {
    let handle = run.handle();
    assert!(handle.settle(PATIENCE));
    handle.kill();
    std::mem::forget(run);
    let deadline = std::time::Instant::now() + PATIENCE;
    while names(dir).unwrap().iter().any(|name| ending(dir, name) == Some(crate::ledger::Ending::Locked)) {
        assert!(std::time::Instant::now() < deadline, "it is still locked");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_day_of_eight_boards_takes_less_than_half_a_megabyte() {
    let dir = tempfile::tempdir().unwrap();
    let clock = VirtualClock::default();
    let mut replay = Replay::new();
    for (number, watts) in (0..10_u32).zip((0..10).map(|it| 371.371 + 17.17 * f64::from(it))) {
        let script = [(0.7, watts), (0.33, 2.9 * watts)]
            .map(|(seconds, watts)| (Duration::from_secs_f64(seconds), Power::from_watts(watts)));
        let kind = match number {
            8 => Kind::Cpu,
            9 => Kind::Memory,
            _ => Kind::Gpu,
        };
        replay = replay.component(kind, format!("component {number}"), script).sensor(Sensor::Power);
    }
    let run = Run::pre_training(dir.path()).replay(replay.on_clock(clock.clone())).start();
    for _ in run.epochs(0..4) {
        clock.advance(Duration::from_secs(6 * 3_600));
    }
    assert!(run.handle().settle(PATIENCE));
    let sizes = |dir: &Path| -> Vec<(String, u64)> {
        let files = fs::read_dir(dir.join("sootprint")).unwrap().map(Result::unwrap);
        files.map(|it| (it.file_name().into_string().unwrap(), it.metadata().unwrap().len())).collect()
    };
    let open = sizes(dir.path());
    let footprint = run.finish();
    let closed = sizes(dir.path());
    println!("a day: {open:?}, and when it is finished {closed:?}");
    assert!(open.iter().map(|(_, bytes)| bytes).sum::<u64>() < 500_000, "{open:?}");
    assert!(closed.len() == 1 && closed[0].1 > 100_000, "{closed:?}");
    assert_eq!(recover(dir.path(), None).unwrap(), footprint);
    assert_eq!(footprint.epochs.len(), 4);
}

#[test]
fn a_killed_run_has_its_last_second_and_its_open_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let (run, clock) = board(dir.path());
    let run = run.start();
    run.handle().epoch_started(1);
    clock.advance(Duration::from_secs(100));
    run.handle().epoch_ended(true);
    run.handle().epoch_started(2);
    clock.advance(Duration::from_secs(1_817));
    kill(run, dir.path());
    let footprint = recover(dir.path(), None).unwrap();
    assert_eq!(footprint.run.outcome, Outcome::Killed);
    let truth = 300.0 * 1_917.0;
    let found = footprint.energy.total.joules();
    assert!(found <= truth * (1.0 + 1e-9) && truth - found <= 300.0 * 2.0, "{found} of {truth} J");
    let [first, second] = footprint.epochs.as_slice() else { panic!("{:?}", footprint.epochs) };
    assert!(close(first.energy.joules(), 30_000.0) && first.completed);
    assert!(second.energy.joules() > 300.0 * 1_815.0 && !second.completed);
}

#[test]
fn a_resumed_run_is_one_with_all_its_attempts() {
    let dir = tempfile::tempdir().unwrap();
    let (run, clock) = board(dir.path());
    let run = run.start();
    for epoch in 1..=2_u32 {
        run.handle().epoch_started(epoch);
        clock.advance(Duration::from_secs(10));
        if epoch == 1 {
            run.handle().epoch_ended(true);
        }
    }
    let id = recover(dir.path(), None).unwrap().run.id;
    kill(run, dir.path());

    let (run, clock) = board(dir.path());
    let run = run.resume().try_start().unwrap();
    for _ in run.epochs(2..=3_u32) {
        clock.advance(Duration::from_secs(10));
    }
    let footprint = run.finish();
    assert_eq!((footprint.run.id.as_str(), footprint.run.attempts), (id.as_str(), 2));
    assert_eq!(footprint.run.outcome, Outcome::Completed);
    let each: Vec<_> = footprint.epochs.iter().map(|it| (it.attempt, it.epoch, it.completed)).collect();
    assert_eq!(each, [(1, 1, true), (1, 2, false), (2, 2, true), (2, 3, true)]);
    // 20 s and 20 s, of which the kill may cost the last second; the time between counts nothing.
    let (found, truth) = (footprint.energy.total.joules(), 12_000.0);
    assert!(found <= truth + 1e-6 && truth - found <= 600.0, "{found} J");
    assert!(footprint.run.duration_s <= 40.0 && footprint.run.duration_s >= 38.0);
    assert!(footprint.notes.iter().any(|note| note.contains("epoch 2 was trained in more than one attempt")));
    assert_eq!(recover(dir.path(), None).unwrap(), footprint);
    assert_eq!(Footprint::read(&dir.path().join(FILE_NAME)).unwrap(), footprint);

    // It is complete: what comes now is another run.
    let (run, _) = board(dir.path());
    let third = run.resume().start().finish();
    assert!(third.run.id != id && third.run.attempts == 1);
    assert!(third.notes.iter().any(|note| note.contains("no unfinished run to resume")), "{:?}", third.notes);
    assert_eq!(recover(dir.path(), Some(&id)).unwrap(), footprint);
}

#[test]
fn a_hook_that_hears_of_a_checkpoint_late_makes_the_run_an_attempt() {
    let dir = tempfile::tempdir().unwrap();
    let (run, clock) = board(dir.path());
    let run = run.start();
    clock.advance(Duration::from_secs(10));
    let id = recover(dir.path(), None).unwrap().run.id;
    kill(run, dir.path());
    let (run, clock) = board(dir.path());
    let run = run.start();
    run.handle().resumed();
    clock.advance(Duration::from_secs(5));
    let footprint = run.finish();
    assert_eq!((footprint.run.id, footprint.run.attempts), (id.clone(), 2));
    let found = footprint.energy.total.joules();
    assert!(found <= 4_500.0 + 1e-6 && 4_500.0 - found <= 600.0, "{found} J");
    assert_eq!(names(dir.path()).unwrap(), [name(&id, 0, 1), name(&id, 0, 2)]);
    assert_eq!(ending(dir.path(), &name(&id, 0, 2)), Some(crate::ledger::Ending::Closed));
}

#[test]
fn two_processes_do_not_record_one_run() {
    let dir = tempfile::tempdir().unwrap();
    let (first, _clock) = board(dir.path());
    let first = first.start();
    assert!(first.handle().settle(PATIENCE));
    let id = recover(dir.path(), None).unwrap().run.id;
    for resumes in [false, true] {
        let (second, _) = board(dir.path());
        let second = if resumes { second.resume() } else { second };
        let error = second.try_start().unwrap_err();
        assert!(matches!(&error, StartError::Ledger(LedgerError::Busy { run, .. }) if *run == id), "{error}");
    }
    assert_eq!(names(dir.path()).unwrap().len(), 1, "nothing is left behind");
    // Who does not ask for the error trains all the same, and beside it.
    let (second, _) = board(dir.path());
    let second = second.start().finish();
    let told = format!("a run is still being recorded in the run's folder ({id}); wait for its end");
    assert!(
        second.run.id != id && second.notes.iter().any(|note| note.starts_with(&told)),
        "{:?}",
        second.notes
    );
    assert_eq!(first.finish().run.id, id);
}

/// Two ranks on one script, each with a board of its own, as a launcher that says no more than their numbers starts
/// them.
fn rank(dir: &Path, rank: u32, of: u32) -> RunBuilder {
    let steady = |watts| [(Duration::from_secs(1), Power::from_watts(watts))];
    let replay = Replay::new()
        .component(Kind::Gpu, "Scripted board", steady(300.0))
        .component(Kind::Gpu, "Scripted board", steady(300.0))
        .component(Kind::Cpu, "Scripted CPU", steady(100.0));
    let mut builder = Run::pre_training(dir).replay(replay).rank(rank, of);
    builder.waits = Duration::from_millis(1_500);
    builder
}

#[test]
fn the_first_rank_waits_for_the_others_and_tells_of_all() {
    let dir = tempfile::tempdir().unwrap();
    let [first, second] = [0, 1].map(|number| {
        let mut builder = rank(dir.path(), number, 2);
        builder.waits = PATIENCE;
        let run = builder.start();
        run.handle().claim([sootprint_power::Claim::CudaOrdinal(number as usize)]);
        run
    });
    let slow = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(700));
        second.finish()
    });
    let united = first.finish();
    let own = slow.join().unwrap();
    assert_eq!((united.run.id.as_str(), own.run.ranks_expected), (own.run.id.as_str(), 2));
    assert_eq!((united.run.ranks, united.run.partial, own.run.partial), (2, false, true));
    assert!(own.notes.iter().any(|note| note == "this is the part of rank 1 of 2 alone"));
    let boards = united.components.iter().filter(|it| it.kind == Kind::Gpu);
    let times: Vec<f64> = boards.map(|it| it.energy.joules() / 300.0).collect();
    // The second rank lived on for a while after the first one's last reading; the processor counts up to there, once.
    assert!(times.len() == 2 && times[1] > 0.65 && times[0] < times[1], "{times:?}");
    assert!(close(united.energy.gpu.joules() - times[0] * 300.0, times[1] * 300.0));
    let time = united.energy.cpu.joules() / 100.0;
    assert!((time - united.run.duration_s).abs() < 0.3, "{time} s of {} s", united.run.duration_s);
    assert_eq!(Footprint::read(&dir.path().join(FILE_NAME)).unwrap(), united);
}

#[test]
fn a_rank_that_never_comes_is_named_after_the_wait() {
    let dir = tempfile::tempdir().unwrap();
    let run = rank(dir.path(), 0, 3).start();
    let began = std::time::Instant::now();
    let footprint = run.finish();
    assert!(began.elapsed() >= Duration::from_millis(1_500), "{:?}", began.elapsed());
    assert_eq!((footprint.run.missing_ranks.as_slice(), footprint.run.partial), (&[1, 2][..], true));
    assert_eq!(footprint.notes[0], "ranks 1, 2 have no ledger: their energy is not in the total");
}

#[test]
fn a_new_start_of_all_ranks_is_a_new_run_beside_the_old_one() {
    let dir = tempfile::tempdir().unwrap();
    let ids: Vec<String> = (0..2)
        .flat_map(|_| {
            let runs = [1, 0].map(|number| rank(dir.path(), number, 2).start());
            runs.map(|run| run.finish().run.id)
        })
        .collect();
    assert!(ids[0] == ids[1] && ids[2] == ids[3] && ids[0] != ids[2], "{ids:?}");
    assert_eq!(recover(dir.path(), None).unwrap().run.id, ids[2]);
    assert_eq!(names(dir.path()).unwrap().len(), 4);
}
