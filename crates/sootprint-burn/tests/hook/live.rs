//! What a user sees while it trains, and what his own loggers hear.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use burn::train::LearnerSummary;
use burn::train::logger::TrainingProgressLogger;
use burn::train::metric::NumericEntry;
use sootprint::{Outcome, Run};
use sootprint_burn::MeasuredBy as _;

use super::digits::*;

/// The entries of a metric's log file.
pub(crate) fn log(dir: &Path, split: &str, epoch: usize, metric: &str) -> Vec<NumericEntry> {
    let path = dir.join(split).join(format!("epoch-{epoch}")).join(format!("{metric}.log"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| NumericEntry::deserialize(line).unwrap()).collect()
}

pub(crate) fn last(dir: &Path, split: &str, epoch: usize, metric: &str) -> f64 {
    match log(dir, split, epoch, metric).pop() {
        Some(NumericEntry::Final(value)) => value,
        other => panic!("{metric} of {split} in epoch {epoch} ends with {other:?}"),
    }
}

#[test]
fn burn_s_log_files_have_the_energy_the_power_and_the_co2e_of_each_split() {
    let dir = tempfile::tempdir().unwrap();
    let (run, batches) = scripted(dir.path());
    training(dir.path(), &batches, 3, Edges::Exact).measured_by(&run).launch(learner());
    let footprint = run.finish();
    assert_eq!(footprint.run.outcome, Outcome::Completed);

    let grams_per_joule = footprint.emissions.best.grams() / footprint.energy.total.joules();
    for epoch in 1..=3 {
        for (split, batches, watts) in
            [("train", TRAIN_BATCHES, TRAIN_WATTS), ("valid", VALID_BATCHES, VALID_WATTS)]
        {
            let joules = batches as f64 * watts;
            let value = |metric| last(dir.path(), split, epoch, metric);
            assert_eq!(micro(value("Energy") * 3_600.0), joules, "epoch {epoch}, {split}");
            assert_eq!(micro(value("Power")), watts, "epoch {epoch}, {split}");
            assert_eq!(micro(value("CO2e")), micro(joules * grams_per_joule), "epoch {epoch}, {split}");
            // A batch takes a second. The worker may be two of them late, and then finds nothing new to write.
            let lines = log(dir.path(), split, epoch, "Energy").len();
            assert!(
                (3..=batches + 1).contains(&lines),
                "{lines}: the first of {batches} batches, the last, the end"
            );
        }
    }
}

#[test]
fn burn_s_summary_has_them_all() {
    let dir = tempfile::tempdir().unwrap();
    let (run, batches) = scripted(dir.path());
    training(dir.path(), &batches, 2, Edges::Told).measured_by(&run).launch(learner());
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
fn without_metrics_the_run_is_measured_all_the_same() {
    let [with, without] = [true, false].map(|is_live| {
        let dir = tempfile::tempdir().unwrap();
        let (run, batches) = scripted(dir.path());
        let measured = training(dir.path(), &batches, 2, Edges::Exact).measured_by(&run);
        let measured = if is_live { measured } else { measured.without_metrics() };
        measured.launch(learner());
        assert_eq!(dir.path().join("train/epoch-1/Energy.log").exists(), is_live);
        let footprint = run.finish();
        assert_eq!(footprint.run.outcome, Outcome::Completed);
        (joules(&footprint), footprint.run.samples)
    });
    assert_eq!(with, without);
    assert!(with.0.iter().all(|joules| *joules > 0.0) && with.1.is_some(), "{with:?}");
}

/// Unknown is no zero: without anything measured there is no file, so that nothing is plotted or summed up.
#[test]
fn what_is_not_measured_is_not_logged() {
    let dir = tempfile::tempdir().unwrap();
    let clock = sootprint::VirtualClock::default();
    let run = Run::pre_training(dir.path()).replay(sootprint::Replay::new().on_clock(clock.clone())).start();
    let batches = Seconds { clock, run: run.handle(), made: Arc::default(), incident: Incident::None };
    training(dir.path(), &batches, 1, Edges::Exact).measured_by(&run).launch(learner());
    assert!(dir.path().join("train/epoch-1/Loss.log").exists());
    for metric in ["Energy", "Power", "CO2e"] {
        assert!(!dir.path().join(format!("train/epoch-1/{metric}.log")).exists(), "{metric}");
    }
    assert_eq!(epochs(&run.finish()), [(1, true)]);
}

#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    fn hear(&self, call: impl Into<String>) {
        self.0.lock().unwrap().push(call.into());
    }
}

impl TrainingProgressLogger for Heard {
    fn start(&mut self, total: usize, first: usize, _: Option<usize>, label: Option<&str>) {
        self.hear(format!("start {total} {first} {label:?}"));
    }
    fn update_epoch(&mut self, epoch: usize) {
        self.hear(format!("epoch {epoch}"));
    }
    fn start_split(&mut self, split: &str, items: usize) {
        self.hear(format!("split {split} {items}"));
    }
    fn update_split(&mut self, items: usize) {
        self.hear(format!("items {items}"));
    }
    fn end_split(&mut self) {
        self.hear("split ended");
    }
    fn end(&mut self) {
        self.hear("ended");
    }
    fn log_event_training(&mut self, event: String) {
        self.hear(event);
    }
}

#[test]
fn a_user_s_own_logger_gets_every_call() {
    let heard = [None, Some(Edges::Exact), Some(Edges::Told)].map(|edges| {
        let dir = tempfile::tempdir().unwrap();
        let (run, batches) = scripted(dir.path());
        let logger = Heard::default();
        let training = training(dir.path(), &batches, 2, edges.unwrap_or(Edges::Told)).label("digits");
        match edges {
            Some(_) => training.measured_by(&run).beside(logger.clone()).launch(learner()),
            None => training.with_progress_logger(logger.clone()).launch(learner()),
        };
        drop(run);
        logger.0.lock().unwrap().clone()
    });
    assert_eq!(heard[0], heard[1], "measuring changes nothing of what the user's logger hears");
    assert_eq!(heard[0], heard[2]);
    assert_eq!(heard[0].first().unwrap(), "start 2 1 Some(\"digits\")");
}
