//! From digits to tensors.

use candle_core::{Device, Result, Tensor};
use digits::data::{DigitImage, PIXELS};

pub(crate) struct CandleBatch {
    pub(crate) pixels: Tensor,
    pub(crate) classes: Tensor,
}

impl CandleBatch {
    pub(crate) fn new(digits: &[DigitImage], device: &Device) -> Result<Self> {
        let pixels: Vec<f32> = digits.iter().flat_map(|digit| digit.pixels).collect();
        let classes: Vec<u32> = digits.iter().map(|digit| u32::from(digit.class)).collect();
        Ok(Self {
            pixels: Tensor::from_vec(pixels, (digits.len(), PIXELS), device)?,
            classes: Tensor::from_vec(classes, digits.len(), device)?,
        })
    }
}
