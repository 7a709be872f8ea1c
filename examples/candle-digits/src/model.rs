//! The perceptron that the Burn example pre-trained.

use candle_core::{Result, Tensor};
use candle_nn::{Linear, Module, VarBuilder, linear};
use digits::data::{CLASSES, PIXELS};

/// As wide as the pre-trained one.
const HIDDEN_SIZE: usize = 128;

pub(crate) struct CandleClassifier {
    hidden: Linear,
    output: Linear,
}

impl CandleClassifier {
    pub(crate) fn new(weights: VarBuilder<'_>) -> Result<Self> {
        Ok(Self {
            hidden: linear(PIXELS, HIDDEN_SIZE, weights.pp("hidden"))?,
            output: linear(HIDDEN_SIZE, CLASSES, weights.pp("output"))?,
        })
    }
}

impl Module for CandleClassifier {
    fn forward(&self, pixels: &Tensor) -> Result<Tensor> {
        pixels.apply(&self.hidden)?.relu()?.apply(&self.output)
    }
}
