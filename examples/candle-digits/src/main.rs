//! Fine-tunes the digit classifier of `burn-digits` with Candle on the CPU, measures it, and pushes it.
//!
//! The base model was trained on black digits on white; the fine-tuned model reads white digits on black. Run
//! `burn-digits` first.
//!
//! `cargo run -p candle-digits` pushes to a fake Hub on this machine. With a token in `HF_TOKEN`,
//! `cargo run -p candle-digits -- me/digits-negative me/digits` pushes to the Hub and names the base model.

#![allow(clippy::print_stdout, reason = "examples print their results")]

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use candle_core::{DType, Device};
use candle_nn::{AdamW, Module as _, Optimizer as _, ParamsAdamW, VarBuilder, VarMap, loss};
use sootprint::Run;
use sootprint_candle::CandleLoopExt as _;

use digits::candle::batch::CandleBatch;
use digits::candle::model::{CandleClassifier, accuracy};
use digits::data::{self, DigitImage};

const BASE_WEIGHTS: &str = "artifacts/burn-digits/model.safetensors";
const ARTIFACTS_DIR: &str = "artifacts/candle-digits";
/// The repository of the base model on the fake Hub.
const BASE_MODEL: &str = "loopback/burn-digits";
const EPOCHS: u32 = 40;
const BATCH_SIZE: usize = 32;
const LEARNING_RATE: f64 = 4e-3;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let repository = arguments.next();
    let base_model = arguments.next().unwrap_or_else(|| BASE_MODEL.to_owned());
    ensure!(
        Path::new(BASE_WEIGHTS).exists(),
        "{BASE_WEIGHTS} not found: pre-train the base model first with `cargo run -p burn-digits`"
    );
    let folder = Path::new(ARTIFACTS_DIR);
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {ARTIFACTS_DIR}"))?;

    let device = Device::Cpu;
    let mut weights = VarMap::new();
    let model = CandleClassifier::new(VarBuilder::from_varmap(&weights, DType::F32, &device))?;
    weights.load(BASE_WEIGHTS)?;

    let (train, test) = data::load()?;
    println!("Base model, black on white: {:.1} %", 100.0 * accuracy(&model, &test, &device)?);
    let [train, test] =
        [train, test].map(|part| part.into_iter().map(DigitImage::inverted).collect::<Vec<_>>());
    println!("Base model, white on black: {:.1} %", 100.0 * accuracy(&model, &test, &device)?);

    let run = Run::fine_tuning(folder, base_model).start();
    let mut optimizer =
        AdamW::new(weights.all_vars(), ParamsAdamW { lr: LEARNING_RATE, ..ParamsAdamW::default() })?;
    for epoch in run.epochs(1..=EPOCHS).on(&device) {
        let before = run.handle().usage();
        let loss = train_epoch(&model, &mut optimizer, &train, &device)?;
        let after = run.handle().usage();
        let (energy, emissions) = (after.energy - before.energy, after.emissions - before.emissions);
        println!("epoch {epoch:>2}  loss {loss:.4}  {energy}  {emissions} CO2e");
    }
    weights.save(folder.join("model.safetensors"))?;
    let footprint = run.finish();

    println!("Accuracy on the test images: {:.1} %\n", 100.0 * accuracy(&model, &test, &device)?);
    println!("{footprint}");
    digits::hub::push_model(&footprint, folder, "candle", repository.as_deref())
}

/// Trains one pass over the images in order and returns the mean batch loss.
fn train_epoch(
    model: &CandleClassifier,
    optimizer: &mut AdamW,
    train: &[DigitImage],
    device: &Device,
) -> Result<f32> {
    let mut losses = Vec::new();
    for digits in train.chunks(BATCH_SIZE) {
        let CandleBatch { pixels, classes } = CandleBatch::new(digits, device)?;
        let loss = loss::cross_entropy(&model.forward(&pixels)?, &classes)?;
        optimizer.backward_step(&loss)?;
        losses.push(loss.to_scalar::<f32>()?);
    }
    Ok(losses.iter().sum::<f32>() / losses.len() as f32)
}
