//! A training with Candle.

use candle_core::{DType, Device, Tensor};
use candle_nn::{AdamW, Module as _, Optimizer as _, ParamsAdamW, VarBuilder, VarMap, linear, loss};
use sootprint_candle::CandleLoopExt as _;

use crate::digits::{BenchDigit, BenchDigits, CLASSES, LEARNING_RATE, PIXELS, SlowdownSize};
use crate::training_arm::TrainingArm;
use crate::turn_clock::{TrainingTime, TurnClock};
use sootprint_benches::BenchError;

pub(crate) fn train(
    digits: &BenchDigits,
    size: SlowdownSize,
    arm: TrainingArm,
    clock: &TurnClock,
) -> Result<TrainingTime, BenchError> {
    let device = Device::Cpu;
    let weights = VarMap::new();
    let layers = VarBuilder::from_varmap(&weights, DType::F32, &device);
    let (hidden, output) = (
        linear(PIXELS, size.hidden, layers.pp("hidden"))?,
        linear(size.hidden, CLASSES, layers.pp("output"))?,
    );
    let settings = ParamsAdamW { lr: LEARNING_RATE, ..ParamsAdamW::default() };
    let mut optimizer = AdamW::new(weights.all_vars(), settings)?;
    let digits = digits.epoch(size);
    let mut epoch = || {
        digits.chunks(size.batch).try_for_each(|digits| {
            clock.batch();
            let (pixels, classes) = batch(digits, &device)?;
            let guessed = output.forward(&hidden.forward(&pixels)?.relu()?)?;
            optimizer.backward_step(&loss::cross_entropy(&guessed, &classes)?)
        })
    };

    let (trained, took) = clock.time(|| match &arm {
        TrainingArm::Measured(run) => run.epochs(1..=size.epochs).on(&device).try_for_each(|_| epoch()),
        TrainingArm::Without | TrainingArm::Control => (1..=size.epochs).try_for_each(|_| epoch()),
    })?;
    trained?;
    if let TrainingArm::Measured(run) = arm {
        drop(run.finish());
    }
    Ok(took)
}

fn batch(digits: &[BenchDigit], device: &Device) -> candle_core::Result<(Tensor, Tensor)> {
    let pixels: Vec<f32> = digits.iter().flat_map(|digit| digit.pixels).collect();
    let classes: Vec<u32> = digits.iter().map(|digit| u32::from(digit.class)).collect();
    let pixels = Tensor::from_vec(pixels, (digits.len(), PIXELS), device)?;
    Ok((pixels, Tensor::from_vec(classes, digits.len(), device)?))
}
