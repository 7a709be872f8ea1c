//! Custom loops without Burn's learner.

use burn::optim::SgdConfig;
use burn::tensor::Device;
use burn::train::{InferenceStep, TrainStep};
use sootprint::{Budget, Energy, Run, RunStatus, WindowLength};
use sootprint_burn::BurnLoopExt as _;

use super::fixture::*;

/// Trains three epochs. The loss diverges after the training split of `diverges_in`.
fn train(
    run: &Run,
    batches: &TimedBatcher,
    device: &Device,
    diverges_in: Option<u32>,
) -> Result<(), &'static str> {
    let (train, valid) = (batches.loader(TRAIN_BATCHES), batches.loader(VALID_BATCHES));
    let (train, valid) = (train.to_device(device), valid.to_device(&device.clone().inner()));
    let (mut model, mut optimizer) = (TestClassifier::new(device), SgdConfig::new().init());
    for epoch in run.epochs(1..=3).on(device) {
        for batch in train.iter() {
            let output = TrainStep::step(&model, batch.unwrap());
            model = optimizer.step(1e-2, model, output.grads);
        }
        if diverges_in == Some(epoch) {
            return Err("the loss is not finite");
        }
        for batch in valid.iter() {
            InferenceStep::step(&model, batch.unwrap());
        }
    }
    Ok(())
}

#[test]
fn manual_loop_has_exact_energy() {
    let device = Device::flex().autodiff();
    let dir = tempfile::tempdir().unwrap();
    let (run, batches) = scripted_run(dir.path());
    train(&run, &batches, &device, None).unwrap();
    let footprint = run.finish();
    assert_eq!(footprint.run.outcome, RunStatus::Completed);
    assert_eq!(epoch_completion(&footprint), [(1, true), (2, true), (3, true)]);
    assert_eq!(epoch_joules(&footprint), [EPOCH_JOULES; 3]);
    assert!(!footprint.run.partial, "the CPU has no device id");

    let (run, batches) = scripted_run(dir.path());
    train(&run, &batches, &device, Some(2)).unwrap_err();
    let footprint = run.finish();
    assert_eq!(footprint.run.outcome, RunStatus::StoppedEarly);
    assert_eq!(epoch_completion(&footprint), [(1, true), (2, false)]);
    assert_eq!(epoch_joules(&footprint), [EPOCH_JOULES, joules_of_first_seconds(TRAIN_BATCHES)]);
}

#[test]
fn windowed_loop_stops_at_budget() {
    let device = Device::flex();
    let dir = tempfile::tempdir().unwrap();
    let budget = Budget::max_energy(Energy::from_joules(EPOCH_JOULES)).stop_when_exceeded();
    let (run, batches) = scripted_run_with(dir.path(), |run| run.budget(budget));
    let model = TestClassifier::new(&device);
    let endless = std::iter::repeat_with(|| batches.loader(1));
    for loader in run.windows(WindowLength::steps(3), endless).on(&device) {
        for batch in loader.iter() {
            InferenceStep::step(&model, batch.unwrap());
        }
    }
    let footprint = run.finish();
    assert_eq!(footprint.run.outcome, RunStatus::StoppedEarly);
    assert_eq!(
        epoch_joules(&footprint),
        [joules_of_first_seconds(3), EPOCH_JOULES - joules_of_first_seconds(3)]
    );
    assert!(!footprint.run.partial, "the CPU has no device id");
}
