//! Loops without Burn's learner.

use burn::optim::SgdConfig;
use burn::tensor::Device;
use burn::train::{InferenceStep, TrainStep};
use sootprint::{Budget, Energy, Every, Outcome, Run};
use sootprint_burn::OnDevice as _;

use super::digits::*;

/// Trains until the loss of a batch is not a number, which the caller decides.
fn train(
    run: &Run,
    batches: &Seconds,
    device: &Device,
    diverges_in: Option<u32>,
) -> Result<(), &'static str> {
    let (train, valid) = (batches.loader(TRAIN_BATCHES), batches.loader(VALID_BATCHES));
    let (train, valid) = (train.to_device(device), valid.to_device(&device.clone().inner()));
    let (mut model, mut optimizer) = (Perceptron::new(device), SgdConfig::new().init());
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
fn a_loop_of_one_s_own_has_its_joules() {
    let device = Device::flex().autodiff();
    let dir = tempfile::tempdir().unwrap();
    let (run, batches) = scripted(dir.path());
    train(&run, &batches, &device, None).unwrap();
    let footprint = run.finish();
    assert_eq!(footprint.run.outcome, Outcome::Completed);
    assert_eq!(epochs(&footprint), [(1, true), (2, true), (3, true)]);
    assert_eq!(joules(&footprint), [EPOCH_JOULES; 3]);
    assert!(!footprint.run.partial, "the processor claims no board");

    let (run, batches) = scripted(dir.path());
    train(&run, &batches, &device, Some(2)).unwrap_err();
    let footprint = run.finish();
    assert_eq!(footprint.run.outcome, Outcome::StoppedEarly);
    assert_eq!(epochs(&footprint), [(1, true), (2, false)]);
    assert_eq!(joules(&footprint), [EPOCH_JOULES, first_seconds(TRAIN_BATCHES)]);
}

#[test]
fn a_loop_without_epochs_has_its_slices_and_a_budget_ends_it() {
    let device = Device::flex();
    let dir = tempfile::tempdir().unwrap();
    let budget = Budget::energy(Energy::from_joules(EPOCH_JOULES)).stop();
    let (run, batches) = scripted_with(dir.path(), |run| run.budget(budget));
    let model = Perceptron::new(&device);
    let endless = std::iter::repeat_with(|| batches.loader(1));
    for loader in run.slices(Every::steps(3), endless).on(&device) {
        for batch in loader.iter() {
            InferenceStep::step(&model, batch.unwrap());
        }
    }
    let footprint = run.finish();
    assert_eq!(footprint.run.outcome, Outcome::StoppedEarly);
    assert_eq!(joules(&footprint), [first_seconds(3), EPOCH_JOULES - first_seconds(3)]);
    assert!(!footprint.run.partial, "the processor claims no board");
}
