//! Ledgers on disk: their size, and the attempts and ranks that they belong to.

use sootprint_power::ReplaySensor;

use super::*;

/// A builder for a run on a scripted GPU of 300 W, and its clock.
fn gpu_run_builder(dir: &Path) -> (RunBuilder, VirtualClock) {
    let clock = VirtualClock::default();
    let steady = [(Duration::from_secs(1), Power::from_watts(300.0))];
    let replay =
        Replay::new().with_component(ComponentKind::Gpu, "Scripted GPU", steady).with_clock(clock.clone());
    (Run::pre_training(dir).replay(replay), clock)
}

#[test]
fn eight_gpu_day_stays_under_500kb() {
    let dir = tempfile::tempdir().unwrap();
    let clock = VirtualClock::default();
    let mut replay = Replay::new();
    for (number, watts) in (0..10_u32).zip((0..10).map(|it| 371.371 + 17.17 * f64::from(it))) {
        let script = [(0.7, watts), (0.33, 2.9 * watts)]
            .map(|(seconds, watts)| (Duration::from_secs_f64(seconds), Power::from_watts(watts)));
        let kind = match number {
            8 => ComponentKind::Cpu,
            9 => ComponentKind::Memory,
            _ => ComponentKind::Gpu,
        };
        replay = replay
            .with_component(kind, format!("component {number}"), script)
            .with_sensor(ReplaySensor::Power);
    }
    let run = Run::pre_training(dir.path()).replay(replay.with_clock(clock.clone())).start();
    for _ in run.epochs(0..4) {
        clock.advance(Duration::from_secs(6 * 3_600));
    }
    assert!(run.handle().flush(TIMEOUT));
    let sizes = |dir: &Path| -> Vec<(String, u64)> {
        let files = fs::read_dir(dir.join("sootprint")).unwrap().map(Result::unwrap);
        files.map(|it| (it.file_name().into_string().unwrap(), it.metadata().unwrap().len())).collect()
    };
    let open = sizes(dir.path());
    let footprint = run.finish();
    let closed = sizes(dir.path());
    assert!(open.iter().map(|(_, bytes)| bytes).sum::<u64>() < 500_000, "{open:?}");
    assert!(closed.len() == 1 && closed[0].1 > 100_000, "{closed:?}");
    assert_eq!(load_footprint(dir.path(), None).unwrap(), footprint);
    assert_eq!(footprint.epochs.len(), 4);
}

#[test]
fn killed_run_keeps_open_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let (run, clock) = gpu_run_builder(dir.path());
    let run = run.start();
    run.handle().start_epoch(1);
    clock.advance(Duration::from_secs(100));
    run.handle().end_epoch(true);
    run.handle().start_epoch(2);
    clock.advance(Duration::from_secs(1_817));
    kill_run(run, dir.path());
    let footprint = load_footprint(dir.path(), None).unwrap();
    assert_eq!(footprint.run.outcome, RunStatus::Killed);
    let exact = 300.0 * 1_917.0;
    let found = footprint.energy.total.joules();
    assert!(found <= exact * (1.0 + 1e-9) && exact - found <= 300.0 * 2.0, "{found} of {exact} J");
    let [first, second] = footprint.epochs.as_slice() else { panic!("{:?}", footprint.epochs) };
    assert!(approx_eq(first.energy.joules(), 30_000.0) && first.completed);
    assert!(second.energy.joules() > 300.0 * 1_815.0 && !second.completed);
}

#[test]
fn resumed_run_merges_all_attempts() {
    let dir = tempfile::tempdir().unwrap();
    let (run, clock) = gpu_run_builder(dir.path());
    let run = run.start();
    for epoch in 1..=2_u32 {
        run.handle().start_epoch(epoch);
        clock.advance(Duration::from_secs(10));
        if epoch == 1 {
            run.handle().end_epoch(true);
        }
    }
    let id = load_footprint(dir.path(), None).unwrap().run.id;
    kill_run(run, dir.path());

    let (run, clock) = gpu_run_builder(dir.path());
    let run = run.resume().try_start().unwrap();
    for _ in run.epochs(2..=3_u32) {
        clock.advance(Duration::from_secs(10));
    }
    let footprint = run.finish();
    assert_eq!((footprint.run.id.as_str(), footprint.run.attempts), (id.as_str(), 2));
    assert_eq!(footprint.run.outcome, RunStatus::Completed);
    let each: Vec<_> = footprint.epochs.iter().map(|it| (it.attempt, it.epoch, it.completed)).collect();
    assert_eq!(each, [(1, 1, true), (1, 2, false), (2, 2, true), (2, 3, true)]);
    // 20 s and 20 s; the kill may lose up to two seconds, and the time between the attempts is not counted.
    let (found, exact) = (footprint.energy.total.joules(), 12_000.0);
    assert!(found <= exact + 1e-6 && exact - found <= 600.0, "{found} J");
    assert!(footprint.run.duration_s <= 40.0 && footprint.run.duration_s >= 38.0);
    assert!(footprint.notes.iter().any(|note| note.contains("epoch 2 was trained in more than one attempt")));
    assert_eq!(load_footprint(dir.path(), None).unwrap(), footprint);
    assert_eq!(Footprint::read(&dir.path().join(Footprint::FILE_NAME)).unwrap(), footprint);

    // The run is complete, so the next one is a new run.
    let (run, _) = gpu_run_builder(dir.path());
    let third = run.resume().start().finish();
    assert!(third.run.id != id && third.run.attempts == 1);
    assert!(third.notes.iter().any(|note| note.contains("no unfinished run to resume")), "{:?}", third.notes);
    assert_eq!(load_footprint(dir.path(), Some(&id)).unwrap(), footprint);
}

#[test]
fn late_resume_makes_run_next_attempt() {
    let dir = tempfile::tempdir().unwrap();
    let (run, clock) = gpu_run_builder(dir.path());
    let run = run.start();
    clock.advance(Duration::from_secs(10));
    let id = load_footprint(dir.path(), None).unwrap().run.id;
    kill_run(run, dir.path());
    let (run, clock) = gpu_run_builder(dir.path());
    let run = run.start();
    run.handle().mark_resumed();
    clock.advance(Duration::from_secs(5));
    let footprint = run.finish();
    assert_eq!((footprint.run.id, footprint.run.attempts), (id.clone(), 2));
    let found = footprint.energy.total.joules();
    assert!(found <= 4_500.0 + 1e-6 && 4_500.0 - found <= 600.0, "{found} J");
    assert_eq!(list_ledgers(dir.path()).unwrap(), [ledger_id(&id, 0, 1), ledger_id(&id, 0, 2)]);
    assert_eq!(writer_state(dir.path(), &ledger_id(&id, 0, 2)), Some(WriterState::Closed));
}

#[test]
fn second_process_cannot_record_same_run() {
    let dir = tempfile::tempdir().unwrap();
    let (first, _clock) = gpu_run_builder(dir.path());
    let first = first.start();
    assert!(first.handle().flush(TIMEOUT));
    let id = load_footprint(dir.path(), None).unwrap().run.id;
    for resume in [false, true] {
        let (second, _) = gpu_run_builder(dir.path());
        let second = if resume { second.resume() } else { second };
        let error = second.try_start().unwrap_err();
        assert!(matches!(&error, StartError::Ledger(LedgerError::Busy { run, .. }) if *run == id), "{error}");
    }
    assert_eq!(list_ledgers(dir.path()).unwrap().len(), 1, "nothing is left behind");
    // `start` ignores the error and records a separate run.
    let (second, _) = gpu_run_builder(dir.path());
    let second = second.start().finish();
    let expected =
        format!("another run is still being recorded in the run's folder ({id}); use one folder per run");
    assert!(
        second.run.id != id && second.notes.iter().any(|note| note.starts_with(&expected)),
        "{:?}",
        second.notes
    );
    assert_eq!(first.finish().run.id, id);
}

/// One of several ranks on the same script, as started by a launcher that sets only the rank numbers.
fn rank_builder(dir: &Path, rank: u32, ranks: u32) -> RunBuilder {
    let steady = |watts| [(Duration::from_secs(1), Power::from_watts(watts))];
    let replay = Replay::new()
        .with_component(ComponentKind::Gpu, "Scripted GPU", steady(300.0))
        .with_component(ComponentKind::Gpu, "Scripted GPU", steady(300.0))
        .with_component(ComponentKind::Cpu, "Scripted CPU", steady(100.0));
    let mut builder = Run::pre_training(dir).replay(replay).rank(rank, ranks);
    builder.rank_timeout = Duration::from_millis(1_500);
    builder
}

#[test]
fn first_rank_merges_all_ranks() {
    let dir = tempfile::tempdir().unwrap();
    let [first, second] = [0, 1].map(|number| {
        let mut builder = rank_builder(dir.path(), number, 2);
        builder.rank_timeout = TIMEOUT;
        let run = builder.start();
        run.handle().add_devices([sootprint_power::DeviceId::CudaOrdinal(number as usize)]);
        run
    });
    let ledgers = dir.path().join("sootprint");
    let first = std::thread::spawn(move || first.finish());
    // The second rank outlives the first one by more than 0.7 s, however slow the machine is.
    let has_end = |path: &Path| std::fs::read_to_string(path).unwrap().contains(r#""entry":"end""#);
    while !std::fs::read_dir(&ledgers).unwrap().any(|entry| has_end(&entry.unwrap().path())) {
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(700));
    let own = second.finish();
    let merged = first.join().unwrap();
    assert_eq!((merged.run.id.as_str(), own.run.ranks_expected), (own.run.id.as_str(), 2));
    assert_eq!((merged.run.ranks, merged.run.partial, own.run.partial), (2, false, true));
    assert!(own.notes.iter().any(|note| note == "this footprint covers only rank 1, of 2 ranks"));
    let gpus = merged.components.iter().filter(|it| it.kind == ComponentKind::Gpu);
    let times: Vec<f64> = gpus.map(|it| it.energy.joules() / 300.0).collect();
    assert!(times.len() == 2 && times[1] > 0.65, "{times:?}");
    assert!(approx_eq(merged.energy.gpu.joules() - times[0] * 300.0, own.energy.gpu.joules()));
    // The CPU counts once, up to the end of the second rank, which ended later than the first one.
    let time = merged.energy.cpu.joules() / 100.0;
    assert!(time > times[0] + 0.65, "{time} s, {times:?}");
    assert!((time - merged.run.duration_s).abs() < 0.3, "{time} s of {} s", merged.run.duration_s);
    assert_eq!(Footprint::read(&dir.path().join(Footprint::FILE_NAME)).unwrap(), merged);
}

#[test]
fn missing_rank_is_noted_after_timeout() {
    let dir = tempfile::tempdir().unwrap();
    let run = rank_builder(dir.path(), 0, 3).start();
    let began = Instant::now();
    let footprint = run.finish();
    assert!(began.elapsed() >= Duration::from_millis(1_500), "{:?}", began.elapsed());
    assert_eq!((footprint.run.missing_ranks.as_slice(), footprint.run.partial), (&[1, 2][..], true));
    assert_eq!(footprint.notes[0], "ranks 1, 2 have no ledger: their energy is not in the total");
}

#[test]
fn restarted_ranks_form_new_run() {
    let dir = tempfile::tempdir().unwrap();
    let ids: Vec<String> = (0..2)
        .flat_map(|_| {
            let runs = [1, 0].map(|number| rank_builder(dir.path(), number, 2).start());
            runs.map(|run| run.finish().run.id)
        })
        .collect();
    assert!(ids[0] == ids[1] && ids[2] == ids[3] && ids[0] != ids[2], "{ids:?}");
    assert_eq!(load_footprint(dir.path(), None).unwrap().run.id, ids[2]);
    assert_eq!(list_ledgers(dir.path()).unwrap().len(), 4);
}
