//! Digits as Burn tensors.

use std::sync::Arc;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::data::{DigitImage, PIXELS};

/// Images and their classes.
#[derive(Debug, Clone)]
pub struct DigitBatch {
    /// One row per image.
    pub pixels: Tensor<2>,
    /// The digit of each image.
    pub classes: Tensor<1, Int>,
}

/// Makes batches of digits.
#[derive(Debug, Clone)]
pub struct DigitBatcher;

/// A loader of digit batches, reshuffled in each epoch.
#[must_use]
pub fn digit_loader(
    digits: Vec<DigitImage>,
    batch_size: usize,
    seed: u64,
) -> Arc<dyn DataLoader<DigitBatch>> {
    DataLoaderBuilder::new(DigitBatcher).batch_size(batch_size).shuffle(seed).build(InMemDataset::new(digits))
}

impl Batcher<DigitImage, DigitBatch> for DigitBatcher {
    fn batch(&self, digits: Vec<DigitImage>, device: &Device) -> DigitBatch {
        let pixels: Vec<f32> = digits.iter().flat_map(|digit| digit.pixels).collect();
        let classes: Vec<i32> = digits.iter().map(|digit| i32::from(digit.class)).collect();
        DigitBatch {
            pixels: Tensor::from_data(TensorData::new(pixels, [digits.len(), PIXELS]), device),
            classes: Tensor::from_data(TensorData::new(classes, [digits.len()]), device),
        }
    }
}
