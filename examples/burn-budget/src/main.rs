//! Stops a Burn training early: when the validation loss stops improving, or before an energy budget is exceeded.
//!
//! The budget is 20 J by default; `cargo run -p burn-budget -- 5` sets it to 5 J. With `-- 1000` the validation loss
//! stops improving first. The card is written into `artifacts/burn-budget`.

#![allow(clippy::print_stdout, reason = "examples print their results")]

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use burn::data::dataloader::batcher::Batcher as _;
use burn::optim::AdamConfig;
use burn::tensor::Device;
use burn::train::metric::store::{Aggregate, Direction, Split};
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{Learner, MetricEarlyStoppingStrategy, StoppingCondition, SupervisedTraining};
use sootprint::{Budget, Energy, Run};
use sootprint_burn::{TrackEmissionsExt as _, instrument_loaders};

use digits::burn::batch::{DigitBatcher, digit_loader};
use digits::burn::model::{DigitClassifier, accuracy};
use digits::burn::renderer::EpochLineRenderer;
use digits::data::{self, VALIDATION_SIZE};

const ARTIFACTS_DIR: &str = "artifacts/burn-budget";
const EPOCHS: usize = 200;
const BATCH_SIZE: usize = 32;
const LEARNING_RATE: f64 = 1e-2;
const SEED: u64 = 42;

/// The energy budget if there is no argument.
const DEFAULT_BUDGET_JOULES: f64 = 20.0;

/// Stop after this many epochs without a lower validation loss.
const PATIENCE: usize = 3;

fn main() -> Result<()> {
    let joules = std::env::args()
        .nth(1)
        .map_or(Ok(DEFAULT_BUDGET_JOULES), |joules| joules.parse())
        .context("invalid budget: expected a number of joules")?;
    let folder = Path::new(ARTIFACTS_DIR);
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {ARTIFACTS_DIR}"))?;

    let device = Device::flex().autodiff();
    device.seed(SEED);
    let (mut train, test) = data::load()?;
    let valid = train.split_off(train.len() - VALIDATION_SIZE);
    let learner = Learner::new(DigitClassifier::new(&device), AdamConfig::new().init(), LEARNING_RATE);
    let early_stopping = MetricEarlyStoppingStrategy::new(
        &LossMetric::new(),
        Aggregate::Mean,
        Direction::Lowest,
        Split::Valid,
        StoppingCondition::NoImprovementSince { n_epochs: PATIENCE },
    );

    let budget = Budget::max_energy(Energy::from_joules(joules)).stop_when_exceeded();
    let run = Run::pre_training(folder).budget(budget).start();
    let (train, valid) =
        instrument_loaders(digit_loader(train, BATCH_SIZE, SEED), digit_loader(valid, BATCH_SIZE, SEED));
    let trained = SupervisedTraining::new(folder, train, valid)
        .metrics((AccuracyMetric::new(), LossMetric::new()))
        .num_epochs(EPOCHS)
        .with_default_checkpointers()
        .renderer(Box::new(EpochLineRenderer::default()))
        .track_emissions(&run)
        .early_stopping(early_stopping) // after `track_emissions`: the budget then also stops after a checkpoint
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
    digits::hub::push_model(&footprint, folder, "burn", None)
}
