//! Trains a digit classifier with Burn on several devices and measures it. The CPU serves as two devices here; replace
//! them with GPUs.
//!
//! `cargo run -p burn-devices` writes the card into `artifacts/burn-devices`.

#![allow(clippy::print_stdout, reason = "examples print their results")]

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use burn::data::dataloader::batcher::Batcher as _;
use burn::optim::AdamConfig;
use burn::tensor::Device;
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{ExecutionStrategy, Learner, MultiDeviceOptim, SupervisedTraining};
use sootprint::Run;
use sootprint_burn::{TrackEmissionsExt as _, instrument_loaders};

use digits::burn::batch::{DigitBatcher, digit_loader};
use digits::burn::model::{DigitClassifier, accuracy};
use digits::burn::renderer::EpochLineRenderer;
use digits::data::{self, VALIDATION_SIZE};

const ARTIFACTS_DIR: &str = "artifacts/burn-devices";
const EPOCHS: usize = 10;
const BATCH_SIZE: usize = 16;
const LEARNING_RATE: f64 = 2e-3;
const SEED: u64 = 42;

fn main() -> Result<()> {
    let folder = Path::new(ARTIFACTS_DIR);
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {ARTIFACTS_DIR}"))?;

    // On GPUs: `Device::cuda(0)` and `Device::cuda(1)`.
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
        .with_devices(&devices) // Burn does not expose the list
        .launch(learner);
    if let Some(error) = trained.error {
        bail!("training failed: {error}");
    }
    trained.model.save(&folder.join("model.safetensors"))?;
    let footprint = run.finish();

    let test = DigitBatcher.batch(test, &Device::flex());
    let accuracy = accuracy(trained.model.forward(test.pixels), test.classes)?;
    println!("Accuracy on the test images: {:.1} %\n", accuracy * 100.0);
    println!("{footprint}");
    digits::hub::push_model(&footprint, folder, "burn", std::env::args().nth(1).as_deref())
}
