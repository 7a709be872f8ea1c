use std::path::Path;
use std::time::Duration;

use sootprint_core::{CarbonIntensity, ComponentKind, Energy, Footprint, Power, RunStatus, TrainingType};
use sootprint_power::{DeviceId, GpuInfo, Replay, VirtualClock};

use super::RemoteSampler;
use super::device_visibility::DeviceVisibilityEnv;
use crate::ledger::{LedgerEntry, WorkCounts, read_ledger};
use crate::run::event::{HookEvent, RunFact};
use crate::run::label::RunLabel;
use crate::run::nested::NestedRunConfig;
use crate::run::tests::kill_run;
use crate::run::{Budget, Run, RunBuilder, WindowLength, load_footprint};
use crate::settings::{ProcessEnv, RunArguments, RunSettings};

const TIMEOUT: Duration = Duration::from_secs(60);

/// An untyped run on a scripted GPU of 300 W, and its clock. One joule emits 1e-4 g.
fn parent_run(dir: &Path) -> (Run, VirtualClock) {
    let clock = VirtualClock::default();
    let steady = [(Duration::from_secs(1), Power::from_watts(300.0))];
    let replay =
        Replay::new().with_component(ComponentKind::Gpu, "Scripted GPU", steady).with_clock(clock.clone());
    let intensity = CarbonIntensity::from_grams_per_kilowatt_hour(360.0);
    (Run::untyped(dir).replay(replay).intensity(intensity).start(), clock)
}

/// A training in the folder `own`, nested in the run that is recorded in `dir`.
fn nested_run(dir: &Path, own: &Path) -> Run {
    start_nested(dir, Run::fine_tuning(own, "me/base"))
}

fn start_nested(dir: &Path, builder: RunBuilder) -> Run {
    let mut settings =
        RunSettings::resolve(RunArguments::default(), &ProcessEnv::without_variables(2026, None));
    settings.parent_run_dir = Some(dir.to_owned());
    let run = builder.start_with(settings, false).0;
    assert!(run.is_nested());
    run
}

fn nested_rank(dir: &Path, own: &Path, rank: u32) -> Run {
    let mut settings =
        RunSettings::resolve(RunArguments::default(), &ProcessEnv::without_variables(2026, None));
    settings.parent_run_dir = Some(dir.to_owned());
    settings.launch = settings.launch.with_rank(rank, 2);
    Run::pre_training(own).start_with(settings, false).0
}

fn connect(dir: &Path) -> Option<RemoteSampler> {
    let settings = RunSettings::resolve(RunArguments::default(), &ProcessEnv::without_variables(2026, None));
    let training = RunLabel { training_type: None, base_model: None };
    RemoteSampler::connect(
        dir,
        &settings.launch,
        NestedRunConfig::from_settings(training, &settings, Vec::new()),
    )
}

/// Advances the clock once all earlier events are handled.
fn flush_and_advance(run: &Run, clock: &VirtualClock, seconds: u64) {
    assert!(run.handle().flush(TIMEOUT));
    clock.advance(Duration::from_secs(seconds));
}

fn run_epochs(run: &Run, clock: &VirtualClock, seconds: &[u64]) {
    for (number, seconds) in (1..).zip(seconds) {
        run.handle().start_epoch(number);
        flush_and_advance(run, clock, *seconds);
        run.handle().end_epoch(true);
        assert!(run.handle().flush(TIMEOUT));
    }
}

fn is_joules(energy: Energy, joules: f64) -> bool {
    (energy.joules() - joules).abs() < 1e-6
}

fn rounded_joules(energy: Energy) -> f64 {
    (energy.joules() * 1e3).round() / 1e3
}

/// Number, energy in J and completeness of each epoch.
fn epoch_tuples(footprint: &Footprint) -> Vec<(u32, f64, bool)> {
    footprint.epochs.iter().map(|it| (it.epoch, rounded_joules(it.energy), it.completed)).collect()
}

fn has_note(footprint: &Footprint, text: &str) -> bool {
    footprint.notes.iter().any(|note| note.contains(text))
}

#[test]
fn nested_run_replaces_older_footprint() {
    let (dir, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let older = parent_run(own.path()).0.finish();
    let (run, clock) = parent_run(dir.path());
    let listener = run.accept_nested_runs().unwrap();
    let training = nested_run(dir.path(), own.path());
    run_epochs(&training, &clock, &[10]);
    let inner = training.finish();
    drop(listener);
    drop(run);
    assert_ne!(inner.run.id, older.run.id);
    assert_eq!(Footprint::read(&own.path().join(Footprint::FILE_NAME)).unwrap(), inner);
}

#[test]
fn nested_footprint_is_part_of_parent() {
    let (dir, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (run, clock) = parent_run(dir.path());
    let listener = run.accept_nested_runs().unwrap();
    clock.advance(Duration::from_secs(5));
    let training = nested_run(dir.path(), own.path());
    training.handle().set_planned_epochs(2);
    run_epochs(&training, &clock, &[10, 20]);
    let inner = training.finish();
    clock.advance(Duration::from_secs(5));
    drop(listener);
    let outer = run.finish();

    // 300 W: the training takes 30 of 40 s.
    let expected = [(1, 3_000.0, true), (2, 6_000.0, true)];
    assert_eq!((epoch_tuples(&inner), epoch_tuples(&outer)), (expected.to_vec(), expected.to_vec()));
    assert!(is_joules(inner.energy.total, 9_000.0), "{:?}", inner.energy);
    assert!(is_joules(outer.energy.total, 12_000.0), "{:?}", outer.energy);
    assert!((inner.emissions.best.grams() - 0.9).abs() < 1e-9, "at the intensity of the enclosing run");
    assert_eq!((inner.run.outcome, inner.run.base_model.as_deref()), (RunStatus::Completed, Some("me/base")));
    assert!(has_note(&inner, "counts this energy as well"), "{:?}", inner.notes);
    assert_eq!(inner.run.id, format!("{}-t{}", outer.run.id, inner.run.id.rsplit_once("-t").unwrap().1));
    assert_eq!(Footprint::read(&own.path().join(Footprint::FILE_NAME)).unwrap(), inner);
    assert_eq!(std::fs::read_dir(own.path()).unwrap().count(), 1, "a nested run has no ledger");

    assert_eq!(outer.run.training_type, Some(TrainingType::FineTuning), "set by the training");
    assert_eq!(outer.run.outcome, RunStatus::Completed);
    assert_eq!(load_footprint(dir.path(), None).unwrap(), outer);
    assert_eq!(
        std::fs::read_dir(dir.path().join("sootprint")).unwrap().count(),
        1,
        "only the ledger remains"
    );
}

#[test]
fn sequential_nested_runs_count_separately() {
    let (dir, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (run, clock) = parent_run(dir.path());
    let listener = run.accept_nested_runs().unwrap();
    for seconds in [4, 2] {
        let training = nested_run(dir.path(), own.path());
        run_epochs(&training, &clock, &[seconds]);
        assert!(is_joules(training.finish().energy.total, 300.0 * seconds as f64));
    }
    drop(listener);
    assert_eq!(epoch_tuples(&run.finish()), [(1, 1_200.0, true), (1, 600.0, true)]);
}

#[test]
fn hook_events_reach_both_records() {
    let (dir, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (run, clock) = parent_run(dir.path());
    let listener = run.accept_nested_runs().unwrap();
    let training = nested_run(dir.path(), own.path());
    for _ in training.windows(WindowLength::steps(2), 0..4) {
        let phase = training.phase("forward");
        flush_and_advance(&training, &clock, 1);
        phase.end();
        training.add_samples(10);
        training.add_tokens(100);
        flush_and_advance(&training, &clock, 1);
    }
    training.add_samples(7);
    training.handle().add_note("a note for readers");
    let inner = training.finish();
    drop(listener);
    for footprint in [&inner, &run.finish()] {
        assert_eq!(epoch_tuples(footprint), [(1, 1_200.0, true), (2, 1_200.0, true)]);
        assert_eq!(footprint.run.slices.as_deref(), Some("2 steps"));
        assert_eq!((footprint.run.samples, footprint.run.tokens), (Some(47), Some(400)));
        for epoch in &footprint.epochs {
            let phases: Vec<_> =
                epoch.phases.iter().map(|it| (it.name.as_str(), rounded_joules(it.energy))).collect();
            assert_eq!(phases, [("forward", 600.0)]);
            assert_eq!(epoch.samples, Some(20));
        }
        assert!(has_note(footprint, "a note for readers"), "{:?}", footprint.notes);
    }
}

#[test]
fn work_outside_epochs_reaches_parent() {
    let (dir, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (run, _) = parent_run(dir.path());
    let listener = run.accept_nested_runs().unwrap();
    let training = nested_run(dir.path(), own.path());
    training.add_samples(70);
    assert_eq!(training.finish().run.samples, Some(70));
    drop(listener);
    assert_eq!(run.finish().run.samples, Some(70));
}

#[test]
fn nested_budget_counts_own_energy_only() {
    let (dir, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (run, clock) = parent_run(dir.path());
    let listener = run.accept_nested_runs().unwrap();
    // More than the whole budget is used before the training starts, and does not count towards it.
    clock.advance(Duration::from_secs(100));
    let budget = Budget::max_energy(Energy::from_joules(14_000.0)).stop_when_exceeded();
    let training = start_nested(dir.path(), Run::pre_training(own.path()).budget(budget));
    let mut forecasts = Vec::new();
    for _ in training.epochs(1..=10) {
        forecasts.push(training.forecast().map(|it| rounded_joules(it.energy)));
        flush_and_advance(&training, &clock, 10);
        assert!(training.handle().flush(TIMEOUT));
    }
    // Four epochs of 3 kJ fit into 14 kJ.
    let inner = training.finish();
    assert_eq!(inner.epochs.len(), 4);
    assert_eq!(forecasts, [None, Some(30_000.0), Some(30_000.0), Some(30_000.0)]);
    assert!(has_note(&inner, "not enough for another epoch"), "{:?}", inner.notes);
    drop(listener);
    let outer = run.finish();
    assert_eq!((inner.run.outcome, outer.run.outcome), (RunStatus::StoppedEarly, RunStatus::StoppedEarly));
    assert!(has_note(&outer, "not enough for another epoch"), "{:?}", outer.notes);
}

#[test]
fn nested_windows_stop_when_budget_exceeded() {
    let (dir, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (run, clock) = parent_run(dir.path());
    let listener = run.accept_nested_runs().unwrap();
    let budget = Budget::max_energy(Energy::from_joules(2_000.0)).stop_when_exceeded();
    let training = start_nested(dir.path(), Run::pre_training(own.path()).budget(budget));
    let mut steps = 0;
    for _ in training.windows(WindowLength::steps(100), 0..1_000) {
        flush_and_advance(&training, &clock, 3);
        assert!(training.handle().flush(TIMEOUT));
        steps += 1;
    }
    assert_eq!(steps, 3);
    assert_eq!(training.finish().run.outcome, RunStatus::StoppedEarly);
    drop(listener);
    let _ = run.finish();
}

#[test]
fn requested_sample_comes_from_parent() {
    let (dir, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (run, clock) = parent_run(dir.path());
    let listener = run.accept_nested_runs().unwrap();
    let training = nested_run(dir.path(), own.path());
    flush_and_advance(&training, &clock, 7);
    let (usage_tx, usage_rx) = std::sync::mpsc::channel();
    training.handle().sample(move |usage| usage_tx.send(usage).unwrap());
    let usage = usage_rx.recv_timeout(TIMEOUT).unwrap();
    assert_eq!((usage.elapsed, rounded_joules(usage.energy)), (Duration::from_secs(7), 2_100.0));
    assert!(training.handle().flush(TIMEOUT));
    assert!(is_joules(training.handle().usage().energy, 2_100.0));
    let _ = training.finish();
    drop(listener);
    let _ = run.finish();
}

#[test]
fn resumed_nested_run_resumes_parent_ledger() {
    let (dir, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (run, clock) = parent_run(dir.path());
    clock.advance(Duration::from_secs(1));
    // The first attempt is killed.
    kill_run(run, dir.path());
    let (run, clock) = parent_run(dir.path());
    let listener = run.accept_nested_runs().unwrap();
    let training = start_nested(dir.path(), Run::fine_tuning(own.path(), "me/base").resume());
    run_epochs(&training, &clock, &[2]);
    let inner = training.finish();
    drop(listener);
    let outer = run.finish();
    assert_eq!((outer.run.attempts, epoch_tuples(&outer)), (2, vec![(1, 600.0, true)]));
    assert!(
        is_joules(inner.energy.total, 600.0) && has_note(&inner, "earlier attempts"),
        "{:?}",
        inner.notes
    );
}

#[test]
fn nested_intensity_overrides_parent() {
    let (dir, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (run, clock) = parent_run(dir.path());
    let listener = run.accept_nested_runs().unwrap();
    let arguments = RunArguments {
        intensity: Some(CarbonIntensity::from_grams_per_kilowatt_hour(36.0)),
        ..RunArguments::default()
    };
    let mut settings = RunSettings::resolve(arguments, &ProcessEnv::without_variables(2026, None));
    settings.parent_run_dir = Some(dir.path().to_owned());
    let training = Run::pre_training(own.path()).start_with(settings, false).0;
    flush_and_advance(&training, &clock, 10);
    assert!((training.finish().emissions.best.grams() - 0.03).abs() < 1e-9);
    drop(listener);
    assert!((run.finish().emissions.best.grams() - 0.3).abs() < 1e-9);
}

#[test]
fn disconnected_run_leaves_epoch_incomplete() {
    let (dir, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (run, clock) = parent_run(dir.path());
    let listener = run.accept_nested_runs().unwrap();
    let training = nested_run(dir.path(), own.path());
    training.handle().start_epoch(1);
    let _phase = training.phase("forward");
    flush_and_advance(&training, &clock, 4);
    training.handle().kill();
    let ledger_id = run.handle().ledger_id().unwrap();
    // Until the server has noticed the disconnect, the epochs of the next training are not recorded.
    for attempt in 0.. {
        assert!(attempt < 10_000, "the server does not notice the disconnect");
        assert!(run.handle().flush(TIMEOUT));
        let entries = read_ledger(dir.path(), &ledger_id).unwrap().entries;
        if entries.iter().any(|entry| matches!(entry, LedgerEntry::Epoch { .. })) {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let next = nested_run(dir.path(), own.path());
    run_epochs(&next, &clock, &[2]);
    let _ = next.finish();
    drop(listener);
    let footprint = run.finish();
    assert_eq!(epoch_tuples(&footprint), [(1, 1_200.0, false), (1, 600.0, true)]);
    assert!(is_joules(footprint.phases[0].energy, 1_200.0), "{:?}", footprint.phases);
}

#[test]
fn concurrent_nested_runs_are_noted() {
    let (dir, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (run, clock) = parent_run(dir.path());
    let listener = run.accept_nested_runs().unwrap();
    let (first, second) = (nested_run(dir.path(), own.path()), nested_run(dir.path(), own.path()));
    first.handle().start_epoch(1);
    assert!(first.handle().flush(TIMEOUT));
    run_epochs(&second, &clock, &[1, 1]);
    assert_eq!(
        epoch_tuples(&second.finish()),
        [(1, 300.0, true), (2, 300.0, true)],
        "its own footprint has epochs"
    );
    first.handle().end_epoch(true);
    let _ = first.finish();
    drop(listener);
    let footprint = run.finish();
    assert_eq!(epoch_tuples(&footprint), [(1, 600.0, true)]);
    assert!(has_note(&footprint, "several trainings ran concurrently"), "{:?}", footprint.notes);
}

#[test]
fn nested_ranks_are_measured_together() {
    let (dir, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (run, clock) = parent_run(dir.path());
    let listener = run.accept_nested_runs().unwrap();
    let (first, second) = (nested_rank(dir.path(), own.path(), 0), nested_rank(dir.path(), own.path(), 1));
    second.handle().start_epoch(1);
    second.add_samples(10);
    assert!(second.handle().flush(TIMEOUT));
    first.add_samples(1);
    run_epochs(&first, &clock, &[3]);
    second.handle().end_epoch(true);
    // Rank 0 may also connect later.
    second.handle().start_epoch(2);
    second.add_samples(20);
    second.handle().end_epoch(true);
    assert!(second.handle().flush(TIMEOUT));
    first.handle().start_epoch(2);
    first.add_samples(20);
    first.handle().end_epoch(true);
    second.handle().set_status(RunStatus::Interrupted);
    let (_, inner) = (second.finish(), first.finish());
    drop(listener);
    let outer = run.finish();
    for footprint in [&inner, &outer] {
        let expected = vec![(1, 900.0, true), (2, 0.0, true)];
        assert_eq!((epoch_tuples(footprint), rounded_joules(footprint.energy.total)), (expected, 900.0));
        let samples: Vec<_> = footprint.epochs.iter().map(|it| it.samples).collect();
        assert_eq!((samples, footprint.run.samples), (vec![Some(10), Some(40)], Some(51)));
    }
    assert_eq!(load_footprint(dir.path(), None).unwrap(), outer);
    assert!(has_note(&outer, "those of the first one"), "{:?}", outer.notes);
    assert!(has_note(&inner, "of the whole command so far"), "{:?}", inner.notes);
    assert!(!has_note(&outer, "several trainings ran concurrently"), "{:?}", outer.notes);
    assert_eq!(outer.run.outcome, RunStatus::Interrupted, "the worst of all ranks");
}

#[test]
fn nested_run_finishes_after_parent() {
    let (dir, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (run, clock) = parent_run(dir.path());
    let listener = run.accept_nested_runs().unwrap();
    let training = nested_run(dir.path(), own.path());
    run_epochs(&training, &clock, &[3]);
    drop(listener);
    assert_eq!(epoch_tuples(&run.finish()), [(1, 900.0, true)]);
    training.handle().start_epoch(2);
    training.handle().end_epoch(true);
    let inner = training.finish();
    assert!(!inner.is_measured());
    assert!(has_note(&inner, "did not answer"), "{:?}", inner.notes);
    assert!(connect(dir.path()).is_none(), "no process accepts connections any more");
}

#[test]
fn shared_dir_keeps_parent_footprint() {
    let dir = tempfile::tempdir().unwrap();
    let (run, clock) = parent_run(dir.path());
    let listener = run.accept_nested_runs().unwrap();
    let training = nested_run(dir.path(), dir.path());
    run_epochs(&training, &clock, &[1]);
    let _ = training.finish();
    assert!(!dir.path().join(Footprint::FILE_NAME).exists());
    drop(listener);
    let outer = run.finish();
    assert_eq!(Footprint::read(&dir.path().join(Footprint::FILE_NAME)).unwrap(), outer);
}

#[cfg(target_os = "linux")]
#[test]
fn long_socket_path_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let long = dir.path().join("n".repeat(150));
    let (run, _) = parent_run(&long);
    let listener = run.accept_nested_runs().unwrap();
    assert!(connect(&long).is_some());
    drop(listener);
    let _ = run.finish();
}

#[test]
fn stale_socket_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("sootprint");
    std::fs::create_dir_all(&folder).unwrap();
    drop(std::os::unix::net::UnixListener::bind(folder.join("00001-x.socket")).unwrap());
    assert!(connect(dir.path()).is_none());
    let (run, _) = parent_run(dir.path());
    let listener = run.accept_nested_runs().unwrap();
    assert!(!folder.join("00001-x.socket").exists());
    drop(listener);
    let _ = run.finish();
}

#[test]
fn ordinal_maps_through_nested_visibility_variables() {
    let gpu = |letter: char, cuda| GpuInfo {
        uuid: format!("GPU-{letter}"),
        pci: format!("0000:0{letter}:00.0"),
        model: "H200".to_owned(),
        cuda: Some(cuda),
        ..GpuInfo::default()
    };
    let gpus = [gpu('a', 0), gpu('b', 1), gpu('c', 2)];
    let gpus: Vec<&GpuInfo> = gpus.iter().collect();
    let visibility = |visible: Option<&str>| -> DeviceVisibilityEnv {
        serde_json::from_value(serde_json::json!([visible, null, null, null])).unwrap()
    };
    for (nested, own, device, expected) in [
        (None, None, DeviceId::CudaOrdinal(1), DeviceId::CudaOrdinal(1)),
        (Some("2,0"), Some("2,0"), DeviceId::CudaOrdinal(1), DeviceId::CudaOrdinal(1)),
        (Some("2,0"), None, DeviceId::CudaOrdinal(0), DeviceId::Uuid("GPU-c".to_owned())),
        (Some("2,0"), None, DeviceId::CudaOrdinal(1), DeviceId::Uuid("GPU-a".to_owned())),
        (Some("2"), None, DeviceId::CudaOrdinal(1), DeviceId::Unknown("cuda:1".to_owned())),
        (Some("0"), Some("1"), DeviceId::CudaOrdinal(0), DeviceId::Unknown("cuda:0".to_owned())),
        (Some("0"), Some("1"), DeviceId::Uuid("GPU-b".to_owned()), DeviceId::Uuid("GPU-b".to_owned())),
    ] {
        assert_eq!(
            visibility(nested).translate_device(device.clone(), &visibility(own), &gpus),
            expected,
            "{device:?}"
        );
    }
}

#[test]
fn every_hook_event_survives_json() {
    let counts = WorkCounts { samples: Some(3), tokens: None };
    for event in [
        HookEvent::Fact(RunFact::TrainingType {
            training_type: Some(TrainingType::PreTraining),
            base_model: None,
        }),
        HookEvent::Fact(RunFact::EpochsPlanned(3)),
        HookEvent::Fact(RunFact::WindowLength("10 steps".to_owned())),
        HookEvent::EpochStarted { number: 1, counts },
        HookEvent::EpochEnded { completed: true, counts: WorkCounts::default() },
        HookEvent::PhaseStarted { id: 1, name: "forward".to_owned() },
        HookEvent::PhaseEnded(1),
        HookEvent::TrainingLeft(counts),
        HookEvent::Fact(RunFact::Work { epoch: Some(1), counts }),
        HookEvent::Fact(RunFact::Devices(vec![DeviceId::Pci("0000:07:00.0".to_owned())])),
        HookEvent::Fact(RunFact::Status(RunStatus::Panicked)),
        HookEvent::Fact(RunFact::Resumed),
        HookEvent::Fact(RunFact::Note("a note".to_owned())),
    ] {
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<HookEvent>(&text).unwrap(), event, "{text}");
    }
}

/// The socket of the only run in a folder.
fn socket_path(dir: &Path) -> std::path::PathBuf {
    let sockets = std::fs::read_dir(dir.join("sootprint")).unwrap().map(|entry| entry.unwrap().path());
    let mut sockets = sockets.filter(|path| path.extension().is_some_and(|extension| extension == "socket"));
    sockets.next().unwrap()
}

#[test]
fn socket_is_private_and_bounded() {
    use std::io::{Read as _, Write as _};
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::UnixStream;

    let dir = tempfile::tempdir().unwrap();
    let (parent, _clock) = parent_run(dir.path());
    let _listener = parent.accept_nested_runs().unwrap();
    let path = socket_path(dir.path());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    // A line that never ends is not read to its end.
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.set_write_timeout(Some(TIMEOUT)).unwrap();
    let chunk = vec![b'x'; 1 << 16];
    let written = (0..1_024).map_while(|_| stream.write_all(&chunk).ok()).count();
    assert!(written < 64, "{written} chunks of 64 KB were accepted");
    // The 65th connection is closed.
    let silent: Vec<UnixStream> = (0..64).map(|_| UnixStream::connect(&path).unwrap()).collect();
    let mut refused = UnixStream::connect(&path).unwrap();
    refused.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert_eq!(refused.read(&mut [0]).unwrap(), 0, "closed");
    drop(silent);
}
