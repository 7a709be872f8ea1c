//! Pre-trains a digit classifier with Burn on the processor, measured, and publishes it.
//!
//! `cargo run -p burn-digits` publishes to a stand-in Hub on this machine; with a token in `HF_TOKEN`,
//! `cargo run -p burn-digits -- me/digits` publishes to the Hub.

#![allow(clippy::print_stdout, reason = "an example talks to who runs it")]

mod batch;
mod model;
mod renderer;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use burn::data::dataloader::batcher::Batcher as _;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::optim::AdamConfig;
use burn::tensor::Device;
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{Learner, SupervisedTraining};
use digits::data::{self, Digit};
use sootprint::Run;
use sootprint_burn::MeasuredBy as _;

use batch::{Batch, Digits};
use model::{Perceptron, accuracy};
use renderer::EpochLines;

const FOLDER: &str = "artifacts/burn-digits";
const EPOCHS: usize = 20;
const BATCH: usize = 32;
const LEARNING_RATE: f64 = 1e-3;
const SEED: u64 = 42;

/// A tenth of the images to train on tells when to stop; none of those to test with does.
const VALIDATION: usize = 144;

fn main() -> Result<()> {
    let repository = std::env::args().nth(1);
    let folder = Path::new(FOLDER);
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {FOLDER}"))?;

    let device = Device::flex().autodiff();
    device.seed(SEED);
    let (mut train, test) = data::load()?;
    let valid = train.split_off(train.len() - VALIDATION);
    let learner = Learner::new(Perceptron::new(&device), AdamConfig::new().init(), LEARNING_RATE);

    let run = Run::pre_training(folder).start();
    let trained = SupervisedTraining::new(folder, loader(train), loader(valid))
        .metrics((AccuracyMetric::new(), LossMetric::new()))
        .num_epochs(EPOCHS)
        .renderer(Box::new(EpochLines::default()))
        .summary()
        .measured_by(&run)
        .launch(learner);
    if let Some(error) = trained.error {
        bail!("the training failed: {error}");
    }
    trained.model.save(&folder.join("model.safetensors"))?;
    let footprint = run.finish();

    let test = Digits.batch(test, &Device::flex());
    let accuracy = accuracy(trained.model.forward(test.pixels), test.classes)?;
    println!("Accuracy on images that it never saw: {:.1} %\n", accuracy * 100.0);
    println!("{footprint}");
    digits::hub::publish(&footprint, folder, repository.as_deref())
}

fn loader(digits: Vec<Digit>) -> Arc<dyn DataLoader<Batch>> {
    DataLoaderBuilder::new(Digits).batch_size(BATCH).shuffle(SEED).build(InMemDataset::new(digits))
}
