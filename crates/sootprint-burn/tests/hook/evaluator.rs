//! Evaluations with Burn's evaluator.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::tensor::Device;
use burn::train::EvaluatorBuilder;
use burn::train::metric::{AccuracyMetric, NumericEntry};
use sootprint::Outcome;
use sootprint_burn::MeasuredBy as _;

use super::digits::*;

#[test]
fn each_test_has_its_own_energy_power_and_co2e() {
    let dir = tempfile::tempdir().unwrap();
    let (run, batches) = scripted(dir.path());
    let result = EvaluatorBuilder::new(dir.path())
        .metrics((AccuracyMetric::new(),))
        .with_application_logger(None)
        .measured_by(&run)
        .build(Perceptron::new(&Device::flex()))
        .eval_all([("clean", batches.loader(TRAIN_BATCHES)), ("noisy", batches.loader(VALID_BATCHES))]);
    assert!(result.error.is_none() && result.interrupted.is_none());
    let footprint = run.finish();
    assert_eq!(micro(footprint.energy.total.joules()), EPOCH_JOULES);
    assert_eq!(footprint.run.outcome, Outcome::Completed);
    let phases: Vec<_> =
        footprint.phases.iter().map(|phase| (phase.name.as_str(), micro(phase.energy.joules()))).collect();
    assert_eq!(phases, [("evaluation", EPOCH_JOULES)]);
    assert!(!footprint.run.partial, "the processor claims no board: {:?}", footprint.components);

    for (test, batches, watts) in
        [("clean", TRAIN_BATCHES, TRAIN_WATTS), ("noisy", VALID_BATCHES, VALID_WATTS)]
    {
        let values = |metric: &str| -> Vec<f64> {
            let log = fs::read_to_string(dir.path().join(format!("test/{test}/{metric}.log"))).unwrap();
            log.lines().map(|line| NumericEntry::deserialize(line).unwrap().current()).collect()
        };
        // The worker reads while the next batch may be in the making, and never beyond the test.
        let energy = values("Energy");
        let joules = batches as f64 * watts;
        assert!((1..=batches).contains(&energy.len()), "{test}: {energy:?}");
        assert!(energy.is_sorted(), "{test}: {energy:?}");
        let last = micro(energy[energy.len() - 1] * 3_600.0);
        assert_eq!(last, joules, "{test}: {energy:?}");
        assert!(values("CO2e").iter().all(|grams| *grams > 0.0));
        assert_eq!(values("Power").last().map(|power| micro(*power)), Some(watts), "{test}");
    }
}

#[test]
fn a_panic_in_an_evaluation_passes_through_and_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let (run, mut batches) = scripted(dir.path());
    batches.incident = Incident::Panic(2);
    let evaluator = EvaluatorBuilder::new(dir.path())
        .metrics((AccuracyMetric::new(),))
        .with_application_logger(None)
        .measured_by(&run)
        .build(Perceptron::new(&Device::flex()));
    let loader = batches.loader(VALID_BATCHES);
    assert!(catch_unwind(AssertUnwindSafe(|| evaluator.eval("digits", loader))).is_err());
    assert_eq!(run.finish().run.outcome, Outcome::Panicked);
}
