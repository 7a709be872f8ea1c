//! From digits to tensors.

use burn::data::dataloader::batcher::Batcher;
use burn::tensor::{Device, Int, Tensor, TensorData};
use digits::data::{Digit, PIXELS};

#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub(crate) pixels: Tensor<2>,
    pub(crate) classes: Tensor<1, Int>,
}

#[derive(Debug, Clone)]
pub(crate) struct Digits;

impl Batcher<Digit, Batch> for Digits {
    fn batch(&self, digits: Vec<Digit>, device: &Device) -> Batch {
        let pixels: Vec<f32> = digits.iter().flat_map(|digit| digit.pixels).collect();
        let classes: Vec<i32> = digits.iter().map(|digit| i32::from(digit.class)).collect();
        Batch {
            pixels: Tensor::from_data(TensorData::new(pixels, [digits.len(), PIXELS]), device),
            classes: Tensor::from_data(TensorData::new(classes, [digits.len()]), device),
        }
    }
}
