//! Trains a digit classifier in a custom loop, without Burn's learner, and measures it.
//!
//! `cargo run -p burn-custom-loop` writes the card into `artifacts/burn-custom-loop` and pushes it like `burn-digits`.

#![allow(clippy::print_stdout, reason = "examples print their results")]

use std::path::Path;

use anyhow::{Context as _, Result};
use burn::data::dataloader::batcher::Batcher as _;
use burn::module::Module as _;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::Device;
use sootprint::Run;
use sootprint_burn::BurnLoopExt as _;

use digits::burn::batch::{DigitBatcher, digit_loader};
use digits::burn::model::{DigitClassifier, accuracy};
use digits::data::{self, VALIDATION_SIZE};

const ARTIFACTS_DIR: &str = "artifacts/burn-custom-loop";
const EPOCHS: u32 = 15;
const BATCH_SIZE: usize = 32;
const LEARNING_RATE: f64 = 1e-3;
const SEED: u64 = 42;

fn main() -> Result<()> {
    let folder = Path::new(ARTIFACTS_DIR);
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {ARTIFACTS_DIR}"))?;

    let device = Device::flex().autodiff();
    device.seed(SEED);
    let (mut train, test) = data::load()?;
    let valid = train.split_off(train.len() - VALIDATION_SIZE);
    let train = digit_loader(train, BATCH_SIZE, SEED).to_device(&device);
    let valid = DigitBatcher.batch(valid, &device.clone().inner());
    let mut model = DigitClassifier::new(&device);
    let mut optimizer = AdamConfig::new().init();

    let run = Run::pre_training(folder).start();
    let handle = run.handle();
    for epoch in run.epochs(1..=EPOCHS).on(&device) {
        let phase = run.phase("training");
        for batch in train.iter() {
            let batch = batch?;
            handle.add_samples(batch.classes.dims()[0] as u64);
            let gradients = GradientsParams::from_grads(model.classify(batch).loss.backward(), &model);
            model = optimizer.step(LEARNING_RATE, model, gradients);
        }
        device.sync()?; // queued work belongs to the training phase
        phase.end();
        let _phase = run.phase("validation");
        let accuracy = accuracy(model.valid().forward(valid.pixels.clone()), valid.classes.clone())?;
        let milliwatt_hours = handle.usage().energy.watt_hours() * 1e3;
        println!(
            "epoch {epoch:>2}  validation accuracy {:>5.1} %  {milliwatt_hours:>7.2} mWh so far",
            accuracy * 100.0
        );
    }
    model.save(&folder.join("model.safetensors"))?;
    let footprint = run.finish();

    let test = DigitBatcher.batch(test, &device.clone().inner());
    let accuracy = accuracy(model.valid().forward(test.pixels), test.classes)?;
    println!("Accuracy on the test images: {:.1} %\n", accuracy * 100.0);
    println!("{footprint}");
    digits::hub::push_model(&footprint, folder, "burn", std::env::args().nth(1).as_deref())
}
