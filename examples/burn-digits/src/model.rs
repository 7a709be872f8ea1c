//! A perceptron for 8 × 8 pixels, and its weights on disk.

use std::path::Path;

use anyhow::Result;
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig, Relu};
use burn::tensor::{Device, Int, Tensor};
use burn::train::{ClassificationOutput, InferenceStep, TrainOutput, TrainStep};
use burn_store::{BurnToPyTorchAdapter, ModuleSnapshot as _, SafetensorsStore};
use digits::data::{CLASSES, PIXELS};

use crate::batch::DigitBatch;

/// Not as wide as an image has pixels, so that a transposed weight cannot go unnoticed.
const HIDDEN_SIZE: usize = 128;

/// One hidden layer.
#[derive(Module, Debug)]
pub struct DigitClassifier {
    hidden: Linear,
    output: Linear,
    activation: Relu,
}

impl DigitClassifier {
    /// With random weights.
    #[must_use]
    pub fn new(device: &Device) -> Self {
        Self {
            hidden: LinearConfig::new(PIXELS, HIDDEN_SIZE).init(device),
            output: LinearConfig::new(HIDDEN_SIZE, CLASSES).init(device),
            activation: Relu::new(),
        }
    }

    /// A row of ten figures for each image; the largest one says which digit it is.
    #[must_use]
    pub fn forward(&self, pixels: Tensor<2>) -> Tensor<2> {
        self.output.forward(self.activation.forward(self.hidden.forward(pixels)))
    }

    /// Saves the weights for PyTorch and Candle, whose linear layers keep theirs transposed.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut store =
            SafetensorsStore::from_file(path).with_to_adapter(BurnToPyTorchAdapter).overwrite(true);
        Ok(self.save_into(&mut store)?)
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
}

/// The part of the batch that is classified rightly, from 0 to 1.
///
/// # Errors
/// When the device cannot give the figure.
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

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;
    use candle_core::safetensors;

    use super::*;

    /// Candle must compute the same from the saved weights: a transposed layer would fail in silence.
    #[test]
    fn candle_computes_same_output() {
        let device = Device::flex();
        let model = DigitClassifier::new(&device);
        let pixels = Tensor::<2>::random([5, PIXELS], Distribution::Default, &device);
        let burn_output = model.forward(pixels.clone()).try_into_vec_as::<f32>().unwrap();

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.safetensors");
        model.save(&path).unwrap();
        let cpu = candle_core::Device::Cpu;
        let tensors = safetensors::load(&path, &cpu).unwrap();
        let layer = |name: &str| {
            let tensor = |part| tensors[&format!("{name}.{part}")].clone();
            candle_nn::Linear::new(tensor("weight"), Some(tensor("bias")))
        };
        let pixels = pixels.try_into_vec_as::<f32>().unwrap();
        let pixels = candle_core::Tensor::from_vec(pixels, (5, PIXELS), &cpu).unwrap();
        let hidden = pixels.apply(&layer("hidden")).unwrap().relu().unwrap();
        let candle_output =
            hidden.apply(&layer("output")).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();

        assert_eq!(burn_output.len(), 5 * CLASSES);
        for (ours, theirs) in burn_output.iter().zip(&candle_output) {
            assert!((ours - theirs).abs() < 1e-5, "{ours} and {theirs}");
        }
    }
}
