//! A training with Candle.

use std::time::Duration;

use candle_core::{DType, Device, Tensor};
use candle_nn::{AdamW, Module as _, Optimizer as _, ParamsAdamW, VarBuilder, VarMap, linear, loss};
use sootprint_candle::CandleLoopExt as _;

use sootprint::Run;
use sootprint_benches::BenchError;

use crate::digits::{BenchDigit, BenchDigits, CLASSES, LEARNING_RATE, PIXELS};
use crate::turns::TurnTimer;

const HIDDEN: usize = 512;
const BATCH: usize = 64;
const PASSES: usize = 64;
const EPOCHS: u32 = 2;

pub(crate) fn train(
    digits: &BenchDigits,
    run: Option<&Run>,
    timer: &TurnTimer,
) -> Result<Duration, BenchError> {
    let device = Device::Cpu;
    let weights = VarMap::new();
    let layers = VarBuilder::from_varmap(&weights, DType::F32, &device);
    let hidden = linear(PIXELS, HIDDEN, layers.pp("hidden"))?;
    let output = linear(HIDDEN, CLASSES, layers.pp("output"))?;
    let settings = ParamsAdamW { lr: LEARNING_RATE, ..ParamsAdamW::default() };
    let mut optimizer = AdamW::new(weights.all_vars(), settings)?;
    let digits = digits.0.repeat(PASSES);
    let mut train_epoch = || {
        digits.chunks(BATCH).try_for_each(|digits| {
            timer.batch();
            let (pixels, classes) = batch(digits, &device)?;
            let logits = output.forward(&hidden.forward(&pixels)?.relu()?)?;
            optimizer.backward_step(&loss::cross_entropy(&logits, &classes)?)
        })
    };

    let (trained, elapsed) = timer.time(|| match run {
        Some(run) => run.epochs(1..=EPOCHS).on(&device).try_for_each(|_| train_epoch()),
        None => (1..=EPOCHS).try_for_each(|_| train_epoch()),
    });
    trained?;
    Ok(elapsed)
}

fn batch(digits: &[BenchDigit], device: &Device) -> candle_core::Result<(Tensor, Tensor)> {
    let pixels: Vec<f32> = digits.iter().flat_map(|digit| digit.pixels).collect();
    let classes: Vec<u32> = digits.iter().map(|digit| u32::from(digit.class)).collect();
    let pixels = Tensor::from_vec(pixels, (digits.len(), PIXELS), device)?;
    Ok((pixels, Tensor::from_vec(classes, digits.len(), device)?))
}
