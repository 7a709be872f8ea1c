//! Phases, counted work and windows.

use sootprint_core::PhaseSummary;

use super::*;

/// A run on a scripted CPU of 100 W and a GPU that follows `script`, and its clock.
fn run_with_gpu_script(dir: &Path, script: [(f64, f64); 2]) -> (Run, VirtualClock) {
    let clock = VirtualClock::default();
    let script = script.map(|(seconds, watts)| (Duration::from_secs_f64(seconds), Power::from_watts(watts)));
    let replay = Replay::new()
        .with_component(ComponentKind::Gpu, "Scripted GPU", script)
        .with_component(
            ComponentKind::Cpu,
            "Scripted CPU",
            [(Duration::from_secs(1), Power::from_watts(100.0))],
        )
        .with_clock(clock.clone());
    (Run::pre_training(dir).replay(replay).start(), clock)
}

fn advance(clock: &VirtualClock, seconds: f64) {
    clock.advance(Duration::from_secs_f64(seconds));
}

/// Name, duration in s and energy in J of each phase.
fn phase_tuples(phases: &[PhaseSummary]) -> Vec<(&str, f64, f64)> {
    let rounded = |figure: f64| (figure * 1e6).round() / 1e6;
    phases.iter().map(|it| (it.name.as_str(), rounded(it.duration_s), rounded(it.energy.joules()))).collect()
}

#[test]
fn phase_energy_follows_power_in_epoch() {
    let dir = tempfile::tempdir().unwrap();
    // The GPU is idle for 0.3 s while data are loaded and busy for 0.7 s, repeatedly.
    let (run, clock) = run_with_gpu_script(dir.path(), [(0.3, 50.0), (0.7, 450.0)]);
    for _ in run.epochs(1..=2) {
        for _ in 0..5 {
            let loading = run.phase("data loading");
            advance(&clock, 0.3);
            loading.end();
            let _training = run.phase("forward and backward");
            advance(&clock, 0.7);
        }
    }
    {
        let _saving = run.phase("checkpoint");
        advance(&clock, 0.3);
    }
    let footprint = run.finish();
    // Five times 0.3 s at 150 W and five times 0.7 s at 550 W.
    let epoch = [("data loading", 1.5, 225.0), ("forward and backward", 3.5, 1_925.0)];
    assert_eq!(
        footprint.epochs.iter().map(|it| phase_tuples(&it.phases)).collect::<Vec<_>>(),
        [epoch, epoch]
    );
    assert_eq!(
        phase_tuples(&footprint.phases),
        [("data loading", 3.0, 450.0), ("forward and backward", 7.0, 3_850.0), ("checkpoint", 0.3, 45.0)]
    );
    assert_eq!(load_footprint(dir.path(), None).unwrap(), footprint);
}

#[test]
fn phase_splits_at_epoch_boundary() {
    let dir = tempfile::tempdir().unwrap();
    let (run, clock) = run_with_gpu_script(dir.path(), [(1.0, 300.0), (1.0, 300.0)]);
    let handle = run.handle();
    handle.start_epoch(1);
    let outer = handle.phase("outer");
    advance(&clock, 1.0);
    let inner = handle.phase("inner");
    advance(&clock, 1.0);
    inner.end();
    handle.end_epoch(true);
    advance(&clock, 2.0);
    handle.start_epoch(2);
    advance(&clock, 3.0);
    outer.end();
    handle.end_epoch(true);
    let footprint = run.finish();
    let epochs: Vec<_> = footprint.epochs.iter().map(|it| phase_tuples(&it.phases)).collect();
    assert_eq!(epochs, [vec![("inner", 1.0, 400.0), ("outer", 2.0, 800.0)], vec![("outer", 3.0, 1_200.0)]]);
    assert_eq!(phase_tuples(&footprint.phases), [("inner", 1.0, 400.0), ("outer", 7.0, 2_800.0)]);
}

#[test]
fn counted_work_gives_energy_per_item() {
    let dir = tempfile::tempdir().unwrap();
    let (run, clock) = scripted_run(dir.path());
    for epoch in run.epochs(1..=3) {
        clock.advance(Duration::from_secs(10));
        // Nothing is counted in the third epoch.
        for _ in 0..[0, 4, 6, 0][epoch as usize] {
            run.add_samples(50);
            run.add_tokens(10_000);
        }
    }
    let footprint = run.finish();
    let counted: Vec<_> = footprint.epochs.iter().map(|it| (it.samples, it.tokens)).collect();
    assert_eq!(counted, [(Some(200), Some(40_000)), (Some(300), Some(60_000)), (None, None)]);
    assert_eq!((footprint.run.samples, footprint.run.tokens), (Some(500), Some(100_000)));
    // 8,000 J over 500 samples; 16 J at a PUE of 1.5 and 360 g/kWh.
    let sample = footprint.per_sample().unwrap();
    assert!(approx_eq(sample.energy.joules(), 16.0), "{sample:?}");
    assert!(approx_eq(sample.emissions_per_thousand.grams(), 2.4), "{sample:?}");
    assert!(approx_eq(footprint.per_token().unwrap().energy.joules(), 0.08));
    assert_eq!(load_footprint(dir.path(), None).unwrap(), footprint);
}

#[test]
fn work_outside_epochs_counts_for_run() {
    let dir = tempfile::tempdir().unwrap();
    let (run, clock) = scripted_run(dir.path());
    run.add_samples(70);
    clock.advance(Duration::from_secs(7));
    run.add_samples(30);
    let footprint = run.finish();
    assert_eq!((footprint.run.samples, footprint.run.tokens), (Some(100), None));
    // 2,800 J for 100 samples.
    assert!(approx_eq(footprint.per_sample().unwrap().energy.joules(), 28.0));
    assert_eq!(footprint.per_token(), None);
}

#[test]
fn loop_without_epochs_records_windows() {
    let dir = tempfile::tempdir().unwrap();
    let (run, clock) = scripted_run(dir.path());
    for seconds in run.windows(WindowLength::steps(3), [1, 2, 3, 4, 5, 6, 7]) {
        clock.advance(Duration::from_secs(seconds));
    }
    let footprint = run.finish();
    // 6 s, 15 s and 7 s at 400 W.
    assert_eq!(epoch_tuples(&footprint), [(1, 2_400.0, true), (2, 6_000.0, true), (3, 2_800.0, true)]);
    assert_eq!(footprint.run.slices.as_deref(), Some("3 steps"));
    assert_eq!(footprint.run.outcome, RunStatus::Completed);
    assert_eq!(load_footprint(dir.path(), None).unwrap(), footprint);
}

#[test]
fn timed_window_ends_at_step_boundary() {
    let dir = tempfile::tempdir().unwrap();
    let (run, clock) = scripted_run(dir.path());
    for step in run.windows(WindowLength::duration(Duration::from_secs(10)), 0..) {
        if step == 7 {
            break;
        }
        clock.advance(Duration::from_secs(4));
    }
    let footprint = run.finish();
    // Three steps of 4 s fill 10 s; the loop ends within the third window.
    assert_eq!(epoch_tuples(&footprint), [(1, 4_800.0, true), (2, 4_800.0, true), (3, 1_600.0, false)]);
    assert_eq!(footprint.run.slices.as_deref(), Some("10 s"));
}

#[test]
fn device_sync_runs_only_at_boundaries() {
    let count = |steps: u64| {
        let dir = tempfile::tempdir().unwrap();
        let (run, _) = scripted_run(dir.path());
        let sync_count = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let seen = Arc::clone(&sync_count);
        let wait = move || {
            seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        };
        let steps = run.windows(WindowLength::steps(steps), 0..10).sync_with(wait).count();
        assert_eq!(steps, 10);
        let _ = run.finish();
        sync_count.load(std::sync::atomic::Ordering::Relaxed)
    };
    // Before the first window, and at the end of each.
    assert_eq!((count(10), count(5), count(3)), (2, 3, 5));
}
