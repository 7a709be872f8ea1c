//! Finish hooks are called once everything is written.

use std::sync::Mutex;

use super::*;

/// A hook that stores its calls.
#[derive(Debug, Default)]
struct RecordingFinishHook(Mutex<Vec<(RunStatus, f64, bool)>>);

impl FinishHook for RecordingFinishHook {
    fn on_finish(&self, footprint: &Footprint, dir: &Path) {
        let written =
            Footprint::read(&dir.join(Footprint::FILE_NAME)).is_ok_and(|written| written == *footprint);
        self.0.lock().unwrap().push((footprint.run.outcome, footprint.energy.total.joules(), written));
    }
}

#[test]
fn finish_hook_runs_once_after_write() {
    let dir = tempfile::tempdir().unwrap();
    let hook = Arc::new(RecordingFinishHook::default());
    let start = || {
        let clock = VirtualClock::default();
        let steady = [(Duration::from_secs(1), Power::from_watts(100.0))];
        let replay = Replay::new()
            .with_component(ComponentKind::Cpu, "Scripted CPU", steady)
            .with_clock(clock.clone());
        (Run::pre_training(dir.path()).replay(replay).on_finish(hook.clone()).start(), clock)
    };
    let (run, clock) = start();
    clock.advance(Duration::from_secs(10));
    let _ = run.finish();
    let (run, _) = start();
    drop(run);
    let calls = hook.0.lock().unwrap();
    assert_eq!(calls.len(), 1, "{calls:?}");
    assert!(calls[0].0 == RunStatus::Completed && approx_eq(calls[0].1, 1_000.0) && calls[0].2, "{calls:?}");
}
