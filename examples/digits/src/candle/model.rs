//! The perceptron of [`crate::data`]'s digits in Candle, with the layers of the Burn classifier.

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::{Linear, Module, VarBuilder, linear};

use crate::candle::batch::CandleBatch;
use crate::data::{CLASSES, DigitImage, HIDDEN_SIZE, PIXELS};

/// A perceptron with one hidden layer.
#[derive(Debug, Clone)]
pub struct CandleClassifier {
    hidden: Linear,
    output: Linear,
}

impl CandleClassifier {
    /// Creates the layers `hidden` and `output` from these weights.
    ///
    /// # Errors
    /// If a weight is missing or has another shape.
    pub fn new(weights: VarBuilder<'_>) -> Result<Self> {
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

/// The share of the images that the model classifies correctly, from 0 to 1.
///
/// # Errors
/// If a tensor operation fails.
pub fn accuracy(model: &impl Module, digits: &[DigitImage], device: &Device) -> Result<f32> {
    let CandleBatch { pixels, classes } = CandleBatch::new(digits, device)?;
    let correct = model.forward(&pixels)?.argmax(1)?.eq(&classes)?.to_dtype(DType::F32)?;
    correct.mean_all()?.to_scalar()
}
