//! A perceptron for the digits in Burn, and its weights on disk.

use std::path::Path;

use anyhow::Result;
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig, Relu};
use burn::tensor::{Device, Int, Tensor};
use burn::train::{ClassificationOutput, InferenceStep, TrainOutput, TrainStep};
use burn_store::{BurnToPyTorchAdapter, ModuleSnapshot as _, SafetensorsStore};

use crate::burn::batch::DigitBatch;
use crate::data::{CLASSES, HIDDEN_SIZE, PIXELS};

/// A perceptron with one hidden layer.
#[derive(Module, Debug)]
pub struct DigitClassifier {
    hidden: Linear,
    output: Linear,
    activation: Relu,
}

impl DigitClassifier {
    /// Creates a classifier with random weights.
    #[must_use]
    pub fn new(device: &Device) -> Self {
        Self::with_hidden_size(HIDDEN_SIZE, device)
    }

    /// Like [`new`](Self::new), with this many hidden units.
    #[must_use]
    pub fn with_hidden_size(hidden_size: usize, device: &Device) -> Self {
        Self {
            hidden: LinearConfig::new(PIXELS, hidden_size).init(device),
            output: LinearConfig::new(hidden_size, CLASSES).init(device),
            activation: Relu::new(),
        }
    }

    /// One row of ten logits per image.
    #[must_use]
    pub fn forward(&self, pixels: Tensor<2>) -> Tensor<2> {
        self.output.forward(self.activation.forward(self.hidden.forward(pixels)))
    }

    /// The output for a batch and its loss.
    #[must_use]
    pub fn classify(&self, batch: DigitBatch) -> ClassificationOutput {
        let output = self.forward(batch.pixels);
        let loss = CrossEntropyLossConfig::new()
            .init(&output.device())
            .forward(output.clone(), batch.classes.clone());
        ClassificationOutput::new(loss, output, batch.classes)
    }

    /// Saves the weights in the layout of PyTorch and Candle, which store linear layers transposed.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut store =
            SafetensorsStore::from_file(path).with_to_adapter(BurnToPyTorchAdapter).overwrite(true);
        Ok(self.save_into(&mut store)?)
    }
}

/// The share of the batch that is classified correctly, from 0 to 1.
///
/// # Errors
/// If the value cannot be read from the device.
pub fn accuracy(output: Tensor<2>, classes: Tensor<1, Int>) -> Result<f64> {
    let correct = output.argmax(1).flatten::<1>(0, 1).equal(classes);
    Ok(correct.float().mean().try_into_scalar::<f64>()?)
}

impl TrainStep for DigitClassifier {
    type Input = DigitBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: DigitBatch) -> TrainOutput<ClassificationOutput> {
        let output = self.classify(batch);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for DigitClassifier {
    type Input = DigitBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: DigitBatch) -> ClassificationOutput {
        self.classify(batch)
    }
}
