//! Pre-trains a digit classifier with Burn on the processor, measured, and publishes it.
//!
//! `cargo run -p burn-digits` publishes to a stand-in Hub on this machine; with a token in `HF_TOKEN`,
//! `cargo run -p burn-digits -- me/digits` publishes to the Hub.

#![allow(clippy::print_stdout, reason = "an example talks to who runs it")]

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use burn::data::dataloader::batcher::Batcher as _;
use burn::optim::AdamConfig;
use burn::tensor::Device;
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{Learner, SupervisedTraining};
use sootprint::Run;
use sootprint_burn::{TrackEmissionsExt as _, instrument_loaders};

use burn_digits::VALIDATION_SIZE;
use burn_digits::batch::{DigitBatcher, digit_loader};
use burn_digits::model::{DigitClassifier, accuracy};
use digits::data;

const ARTIFACTS_DIR: &str = "artifacts/burn-digits";
const EPOCHS: usize = 20;
const BATCH_SIZE: usize = 32;
const LEARNING_RATE: f64 = 1e-3;
const SEED: u64 = 42;

fn main() -> Result<()> {
    let repository = std::env::args().nth(1);
    let folder = Path::new(ARTIFACTS_DIR);
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {ARTIFACTS_DIR}"))?;

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
    // With the feature `tui` Burn's own dashboard shows it, on a terminal.
    #[cfg(not(feature = "tui"))]
    let training = training.renderer(Box::new(burn_digits::renderer::EpochLineRenderer::default()));
    let trained = training.track_emissions(&run).launch(learner);
    if let Some(error) = trained.error {
        bail!("the training failed: {error}");
    }
    trained.model.save(&folder.join("model.safetensors"))?;
    let footprint = run.finish();

    let test = DigitBatcher.batch(test, &Device::flex());
    let accuracy = accuracy(trained.model.forward(test.pixels), test.classes)?;
    println!("Accuracy on images that it never saw: {:.1} %\n", accuracy * 100.0);
    println!("{footprint}");
    digits::hub::push_model(&footprint, folder, "burn", repository.as_deref())
}
