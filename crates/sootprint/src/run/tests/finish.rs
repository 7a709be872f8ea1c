//! Who acts on a run's finish is called when all is written.

use std::sync::Mutex;

use super::*;

/// Remembers what it is called with.
#[derive(Debug, Default)]
struct Called(Mutex<Vec<(Outcome, f64, bool)>>);

impl AtFinish for Called {
    fn finished(&self, footprint: &Footprint, dir: &Path) {
        let written = Footprint::read(&dir.join(FILE_NAME)).is_ok_and(|written| written == *footprint);
        self.0.lock().unwrap().push((footprint.run.outcome, footprint.energy.total.joules(), written));
    }
}

#[test]
fn a_finish_is_told_of_once_when_all_is_written_and_a_drop_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let called = Arc::new(Called::default());
    let start = || {
        let clock = VirtualClock::default();
        let steady = [(Duration::from_secs(1), Power::from_watts(100.0))];
        let replay = Replay::new().component(Kind::Cpu, "Scripted CPU", steady).on_clock(clock.clone());
        (Run::pre_training(dir.path()).replay(replay).at_finish(called.clone()).start(), clock)
    };
    let (run, clock) = start();
    clock.advance(Duration::from_secs(10));
    let _ = run.finish();
    let (run, _) = start();
    drop(run);
    let calls = called.0.lock().unwrap();
    assert_eq!(calls.len(), 1, "{calls:?}");
    assert!(calls[0].0 == Outcome::Completed && close(calls[0].1, 1_000.0) && calls[0].2, "{calls:?}");
}
