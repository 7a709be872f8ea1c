//! Trains a digit classifier on several devices at once, measured: here twice the processor, on a machine with boards
//! several of those.
//!
//! `cargo run -p burn-devices` writes the card into `artifacts/burn-devices`.

#![allow(clippy::print_stdout, reason = "an example talks to who runs it")]

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use burn::data::dataloader::batcher::Batcher as _;
use burn::optim::AdamConfig;
use burn::tensor::Device;
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{ExecutionStrategy, Learner, MultiDeviceOptim, SupervisedTraining};
use sootprint::Run;
use sootprint_burn::{TrackEmissionsExt as _, instrument_loaders};

use burn_digits::VALIDATION_SIZE;
use burn_digits::batch::{DigitBatcher, digit_loader};
use burn_digits::model::{DigitClassifier, accuracy};
use burn_digits::renderer::EpochLineRenderer;
use digits::data;

const ARTIFACTS_DIR: &str = "artifacts/burn-devices";
const EPOCHS: usize = 10;
const BATCH_SIZE: usize = 16;
const LEARNING_RATE: f64 = 2e-3;
const SEED: u64 = 42;

fn main() -> Result<()> {
    let folder = Path::new(ARTIFACTS_DIR);
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {ARTIFACTS_DIR}"))?;

    // With boards, `Device::cuda(0)` and `Device::cuda(1)`.
    let devices = [Device::flex().autodiff(), Device::flex().autodiff()];
    devices[0].seed(SEED);
    let (mut train, test) = data::load()?;
    let valid = train.split_off(train.len() - VALIDATION_SIZE);
    let learner = Learner::new(DigitClassifier::new(&devices[0]), AdamConfig::new().init(), LEARNING_RATE);

    let run = Run::pre_training(folder).start();
    let (train, valid) =
        instrument_loaders(digit_loader(train, BATCH_SIZE, SEED), digit_loader(valid, BATCH_SIZE, SEED));
    let trained = SupervisedTraining::new(folder, train, valid)
        .metrics((AccuracyMetric::new(), LossMetric::new()))
        .num_epochs(EPOCHS)
        .with_training_strategy(
            ExecutionStrategy::multi(devices.to_vec(), MultiDeviceOptim::OptimMainDevice).into(),
        )
        .renderer(Box::new(EpochLineRenderer::default()))
        .track_emissions(&run)
        .with_devices(&devices) // Burn keeps the list to itself
        .launch(learner);
    if let Some(error) = trained.error {
        bail!("the training failed: {error}");
    }
    trained.model.save(&folder.join("model.safetensors"))?;
    let footprint = run.finish();

    let test = DigitBatcher.batch(test, &Device::flex());
    let accuracy = accuracy(trained.model.forward(test.pixels), test.classes)?;
    println!("Accuracy on images that it never saw: {:.1} %\n", accuracy * 100.0);
    println!("{footprint}");
    digits::hub::push_model(&footprint, folder, "burn", std::env::args().nth(1).as_deref())
}
