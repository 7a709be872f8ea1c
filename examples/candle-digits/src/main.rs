//! Fine-tunes the digit classifier of the Burn example with Candle on the processor, measured, and publishes it.
//!
//! The base model read black digits on white; fine-tuning teaches it white ones on black. Run `burn-digits` first.
//!
//! `cargo run -p candle-digits` publishes to a stand-in Hub on this machine; with a token in `HF_TOKEN`,
//! `cargo run -p candle-digits -- me/digits-negative me/digits` publishes to the Hub, naming the base model.

#![allow(clippy::print_stdout, reason = "an example talks to who runs it")]

mod batch;
mod model;

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use candle_core::{DType, Device, Tensor};
use candle_nn::{AdamW, Module as _, Optimizer as _, ParamsAdamW, VarBuilder, VarMap, loss};
use sootprint::Run;
use sootprint_candle::CandleLoopExt as _;

use batch::CandleBatch;
use digits::data::{self, DigitImage};
use model::CandleClassifier;

const BASE_WEIGHTS: &str = "artifacts/burn-digits/model.safetensors";
const ARTIFACTS_DIR: &str = "artifacts/candle-digits";
/// The name that the stand-in Hub gave to the base model.
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
        "{BASE_WEIGHTS} is not there: pre-train it first, `cargo run -p burn-digits`"
    );
    let folder = Path::new(ARTIFACTS_DIR);
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {ARTIFACTS_DIR}"))?;

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

    println!("Accuracy on images that it never saw: {:.1} %\n", 100.0 * accuracy(&model, &test, &device)?);
    println!("{footprint}");
    digits::hub::push_model(&footprint, folder, "candle", repository.as_deref())
}

/// One pass over the images, in their order; the mean loss of its batches.
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

/// The part of the images that is classified rightly, from 0 to 1.
fn accuracy(model: &CandleClassifier, digits: &[DigitImage], device: &Device) -> Result<f32> {
    let CandleBatch { pixels, classes } = CandleBatch::new(digits, device)?;
    let predicted: Tensor = model.forward(&pixels)?.argmax(1)?;
    let correct = predicted.eq(&classes)?.to_dtype(DType::F32)?;
    Ok(correct.mean_all()?.to_scalar()?)
}
