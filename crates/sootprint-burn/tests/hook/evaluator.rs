//! Evaluations with Burn's evaluator.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::tensor::Device;
use burn::train::EvaluatorBuilder;
use burn::train::metric::{AccuracyMetric, NumericEntry};
use sootprint::RunStatus;
use sootprint_burn::TrackEmissionsExt as _;

use super::fixture::*;

#[test]
fn each_test_has_own_metrics() {
    let dir = tempfile::tempdir().unwrap();
    let (run, batches) = scripted_run(dir.path());
    let result = EvaluatorBuilder::new(dir.path())
        .metrics((AccuracyMetric::new(),))
        .with_application_logger(None)
        .track_emissions(&run)
        .build(TestClassifier::new(&Device::flex()))
        .eval_all([("clean", batches.loader(TRAIN_BATCHES)), ("noisy", batches.loader(VALID_BATCHES))]);
    assert!(result.error.is_none() && result.interrupted.is_none());
    let footprint = run.finish();
    assert_eq!(round_to_micro(footprint.energy.total.joules()), EPOCH_JOULES);
    assert_eq!(footprint.run.outcome, RunStatus::Completed);
    let phases: Vec<_> = footprint
        .phases
        .iter()
        .map(|phase| (phase.name.as_str(), round_to_micro(phase.energy.joules())))
        .collect();
    assert_eq!(phases, [("evaluation", EPOCH_JOULES)]);
    assert!(!footprint.run.partial, "the CPU has no device id: {:?}", footprint.components);

    for (test, batches, watts) in
        [("clean", TRAIN_BATCHES, TRAIN_WATTS), ("noisy", VALID_BATCHES, VALID_WATTS)]
    {
        let values = |metric: &str| -> Vec<f64> {
            let log = fs::read_to_string(dir.path().join(format!("test/{test}/{metric}.log"))).unwrap();
            log.lines().map(|line| NumericEntry::deserialize(line).unwrap().current()).collect()
        };
        // The worker may read while the next batch is being made, but never after the end of the test.
        let energy = values("Energy");
        let joules = batches as f64 * watts;
        assert!((1..=batches).contains(&energy.len()), "{test}: {energy:?}");
        assert!(energy.is_sorted(), "{test}: {energy:?}");
        let last = round_to_micro(energy[energy.len() - 1] * 3_600.0);
        assert_eq!(last, joules, "{test}: {energy:?}");
        assert!(values("CO2e").iter().all(|grams| *grams > 0.0));
        assert_eq!(values("Power").last().map(|power| round_to_micro(*power)), Some(watts), "{test}");
    }
}

#[test]
fn evaluation_panic_propagates_and_is_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let (run, mut batches) = scripted_run(dir.path());
    batches.fault = BatchFault::Panic(2);
    let evaluator = EvaluatorBuilder::new(dir.path())
        .metrics((AccuracyMetric::new(),))
        .with_application_logger(None)
        .track_emissions(&run)
        .build(TestClassifier::new(&Device::flex()));
    let loader = batches.loader(VALID_BATCHES);
    assert!(catch_unwind(AssertUnwindSafe(|| evaluator.eval("digits", loader))).is_err());
    assert_eq!(run.finish().run.outcome, RunStatus::Panicked);
}
