//! Log files, the learner's summary, and custom progress loggers.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use burn::train::LearnerSummary;
use burn::train::logger::TrainingProgressLogger;
use burn::train::metric::NumericEntry;
use sootprint::{Run, RunStatus};
use sootprint_burn::TrackEmissionsExt as _;

use super::fixture::*;

/// The entries of a metric's log file.
pub(crate) fn log_entries(dir: &Path, split: &str, epoch: usize, metric: &str) -> Vec<NumericEntry> {
    let path = dir.join(split).join(format!("epoch-{epoch}")).join(format!("{metric}.log"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| NumericEntry::deserialize(line).unwrap()).collect()
}

pub(crate) fn final_value(dir: &Path, split: &str, epoch: usize, metric: &str) -> f64 {
    match log_entries(dir, split, epoch, metric).pop() {
        Some(NumericEntry::Final(value)) => value,
        other => panic!("{metric} of {split} in epoch {epoch} ends with {other:?}"),
    }
}

#[test]
fn log_files_have_all_energy_metrics() {
    let dir = tempfile::tempdir().unwrap();
    let (run, batches) = scripted_run(dir.path());
    training(dir.path(), &batches, 3, BoundaryMode::Loader).track_emissions(&run).launch(learner());
    let footprint = run.finish();
    assert_eq!(footprint.run.outcome, RunStatus::Completed);

    let grams_per_joule = footprint.emissions.best.grams() / footprint.energy.total.joules();
    for epoch in 1..=3 {
        for (split, batches, watts) in
            [("train", TRAIN_BATCHES, TRAIN_WATTS), ("valid", VALID_BATCHES, VALID_WATTS)]
        {
            let joules = batches as f64 * watts;
            let value = |metric| final_value(dir.path(), split, epoch, metric);
            assert_eq!(round_to_micro(value("Energy") * 3_600.0), joules, "epoch {epoch}, {split}");
            assert_eq!(round_to_micro(value("Power")), watts, "epoch {epoch}, {split}");
            assert_eq!(
                round_to_micro(value("CO2e")),
                round_to_micro(joules * grams_per_joule),
                "epoch {epoch}, {split}"
            );
            // A batch takes one second. The worker may be two batches late, and then has nothing new to write.
            let lines = log_entries(dir.path(), split, epoch, "Energy").len();
            assert!((3..=batches + 1).contains(&lines), "{lines} lines for {batches} batches");
        }
    }
}

#[test]
fn learner_summary_has_all_metrics() {
    let dir = tempfile::tempdir().unwrap();
    let (run, batches) = scripted_run(dir.path());
    training(dir.path(), &batches, 2, BoundaryMode::Worker).track_emissions(&run).launch(learner());
    drop(run);
    let names = ["Energy", "Power", "CO2e", "Loss"];
    let summary = LearnerSummary::new(dir.path(), &names).unwrap();
    for split in [&summary.metrics.train, &summary.metrics.valid] {
        assert_eq!(split.iter().map(|metric| metric.name.as_str()).collect::<Vec<_>>(), names);
        assert!(split.iter().all(|metric| metric.entries.len() == 2), "{split:?}");
        assert!(split.iter().flat_map(|metric| &metric.entries).all(|entry| entry.value.is_finite()));
    }
}

#[test]
fn run_is_measured_without_metrics() {
    let [with_metrics, without_metrics] = [true, false].map(|has_energy_metrics| {
        let dir = tempfile::tempdir().unwrap();
        let (run, batches) = scripted_run(dir.path());
        let tracked = training(dir.path(), &batches, 2, BoundaryMode::Loader).track_emissions(&run);
        let tracked = if has_energy_metrics { tracked } else { tracked.without_energy_metrics() };
        tracked.launch(learner());
        assert_eq!(dir.path().join("train/epoch-1/Energy.log").exists(), has_energy_metrics);
        let footprint = run.finish();
        assert_eq!(footprint.run.outcome, RunStatus::Completed);
        (epoch_joules(&footprint), footprint.run.samples)
    });
    assert_eq!(with_metrics, without_metrics);
    assert!(
        with_metrics.0.iter().all(|joules| *joules > 0.0) && with_metrics.1.is_some(),
        "{with_metrics:?}"
    );
}

/// Unknown is not zero: if nothing is measured, there is no file, and nothing is plotted or summarised.
#[test]
fn unmeasured_metrics_are_not_logged() {
    let dir = tempfile::tempdir().unwrap();
    let clock = sootprint::VirtualClock::default();
    let run =
        Run::pre_training(dir.path()).replay(sootprint::Replay::new().with_clock(clock.clone())).start();
    let batches =
        TimedBatcher { clock, run: run.handle(), batches_made: Arc::default(), fault: BatchFault::None };
    training(dir.path(), &batches, 1, BoundaryMode::Loader).track_emissions(&run).launch(learner());
    assert!(dir.path().join("train/epoch-1/Loss.log").exists());
    for metric in ["Energy", "Power", "CO2e"] {
        assert!(!dir.path().join(format!("train/epoch-1/{metric}.log")).exists(), "{metric}");
    }
    assert_eq!(epoch_completion(&run.finish()), [(1, true)]);
}

#[derive(Clone, Default)]
struct RecordingLogger(Arc<Mutex<Vec<String>>>);

impl RecordingLogger {
    fn record(&self, call: impl Into<String>) {
        self.0.lock().unwrap().push(call.into());
    }
}

impl TrainingProgressLogger for RecordingLogger {
    fn start(&mut self, total: usize, first: usize, _: Option<usize>, label: Option<&str>) {
        self.record(format!("start {total} {first} {label:?}"));
    }
    fn update_epoch(&mut self, epoch: usize) {
        self.record(format!("epoch {epoch}"));
    }
    fn start_split(&mut self, split: &str, items: usize) {
        self.record(format!("split {split} {items}"));
    }
    fn update_split(&mut self, items: usize) {
        self.record(format!("items {items}"));
    }
    fn end_split(&mut self) {
        self.record("split ended");
    }
    fn end(&mut self) {
        self.record("ended");
    }
    fn log_event_training(&mut self, event: String) {
        self.record(event);
    }
}

#[test]
fn user_logger_receives_every_call() {
    let calls = [None, Some(BoundaryMode::Loader), Some(BoundaryMode::Worker)].map(|boundaries| {
        let dir = tempfile::tempdir().unwrap();
        let (run, batches) = scripted_run(dir.path());
        let logger = RecordingLogger::default();
        let training =
            training(dir.path(), &batches, 2, boundaries.unwrap_or(BoundaryMode::Worker)).label("digits");
        match boundaries {
            Some(_) => training.track_emissions(&run).with_progress_logger(logger.clone()).launch(learner()),
            None => training.with_progress_logger(logger.clone()).launch(learner()),
        };
        drop(run);
        logger.0.lock().unwrap().clone()
    });
    assert_eq!(calls[0], calls[1], "tracking does not change the calls to the user's logger");
    assert_eq!(calls[0], calls[2]);
    assert_eq!(calls[0].first().unwrap(), "start 2 1 Some(\"digits\")");
}
