//! A training with Candle.

use std::time::Duration;

use candle_core::{DType, Device};
use candle_nn::{AdamW, Module as _, Optimizer as _, ParamsAdamW, VarBuilder, VarMap, linear, loss};
use sootprint_candle::CandleLoopExt as _;

use digits::candle::batch::CandleBatch;
use digits::data::{CLASSES, DigitImage, PIXELS};
use sootprint::Run;
use sootprint_benches::BenchError;

use crate::turns::TurnTimer;

const HIDDEN: usize = 512;
const BATCH: usize = 64;
const PASSES: usize = 64;
const EPOCHS: u32 = 2;
const LEARNING_RATE: f64 = 1e-3;

pub(crate) fn train(
    digits: &[DigitImage],
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
    let digits = [digits; PASSES].concat();
    let mut train_epoch = || {
        digits.chunks(BATCH).try_for_each(|digits| {
            timer.batch();
            let CandleBatch { pixels, classes } = CandleBatch::new(digits, &device)?;
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
