//! From digits to tensors.

use candle_core::{Device, Result, Tensor};
use digits::data::{Digit, PIXELS};

pub(crate) struct Batch {
    pub(crate) pixels: Tensor,
    pub(crate) classes: Tensor,
}

impl Batch {
    pub(crate) fn new(digits: &[Digit], device: &Device) -> Result<Self> {
        let pixels: Vec<f32> = digits.iter().flat_map(|digit| digit.pixels).collect();
        let classes: Vec<u32> = digits.iter().map(|digit| u32::from(digit.class)).collect();
        Ok(Self {
            pixels: Tensor::from_vec(pixels, (digits.len(), PIXELS), device)?,
            classes: Tensor::from_vec(classes, digits.len(), device)?,
        })
    }
}
