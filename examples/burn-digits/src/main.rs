//! Pre-trains a digit classifier with Burn on the CPU, measures it, and pushes it.
//!
//! `cargo run -p burn-digits` pushes to a fake Hub on this machine. With a token in `HF_TOKEN`,
//! `cargo run -p burn-digits -- me/digits` pushes to the Hub.

#![allow(clippy::print_stdout, reason = "examples print their results")]

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use burn::data::dataloader::batcher::Batcher as _;
use burn::optim::AdamConfig;
use burn::tensor::Device;
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{Learner, SupervisedTraining};
use sootprint::Run;
use sootprint_burn::{TrackEmissionsExt as _, instrument_loaders};

use digits::burn::batch::{DigitBatcher, digit_loader};
use digits::burn::model::{DigitClassifier, accuracy};
use digits::data::{self, VALIDATION_SIZE};

const ARTIFACTS_DIR: &str = "artifacts/burn-digits";
const EPOCHS: usize = 20;
const BATCH_SIZE: usize = 32;
const LEARNING_RATE: f64 = 1e-3;
const SEED: u64 = 42;

fn main() -> Result<()> {
    let repository = std::env::args().nth(1);
    let folder = Path::new(ARTIFACTS_DIR);
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {ARTIFACTS_DIR}"))?;

    let device = Device::flex().autodiff();
    device.seed(SEED);
    let (mut train, test) = data::load()?;
    let valid = train.split_off(train.len() - VALIDATION_SIZE);
    let learner = Learner::new(DigitClassifier::new(&device), AdamConfig::new().init(), LEARNING_RATE);

    let run = Run::pre_training(folder).start();
    let (train, valid) =
        instrument_loaders(digit_loader(train, BATCH_SIZE, SEED), digit_loader(valid, BATCH_SIZE, SEED));
    let training = SupervisedTraining::new(folder, train, valid)
        .metrics((AccuracyMetric::new(), LossMetric::new()))
        .num_epochs(EPOCHS)
        .summary();
    // The feature `tui` keeps Burn's own dashboard.
    #[cfg(not(feature = "tui"))]
    let training = training.renderer(Box::new(digits::burn::renderer::EpochLineRenderer::default()));
    let trained = training.track_emissions(&run).launch(learner);
    if let Some(error) = trained.error {
        bail!("training failed: {error}");
    }
    trained.model.save(&folder.join("model.safetensors"))?;
    let footprint = run.finish();

    let test = DigitBatcher.batch(test, &Device::flex());
    let accuracy = accuracy(trained.model.forward(test.pixels), test.classes)?;
    println!("Accuracy on the test images: {:.1} %\n", accuracy * 100.0);
    println!("{footprint}");
    digits::hub::push_model(&footprint, folder, "burn", repository.as_deref())
}
