//! Digits as Candle tensors.

use candle_core::{Device, Result, Tensor};

use crate::data::{DigitImage, PIXELS};

/// Images and their classes.
#[derive(Debug, Clone)]
pub struct CandleBatch {
    /// One row per image.
    pub pixels: Tensor,
    /// The digit of each image.
    pub classes: Tensor,
}

impl CandleBatch {
    /// Copies the images to the device.
    ///
    /// # Errors
    /// If the device cannot allocate the tensors.
    pub fn new(digits: &[DigitImage], device: &Device) -> Result<Self> {
        let pixels: Vec<f32> = digits.iter().flat_map(|digit| digit.pixels).collect();
        let classes: Vec<u32> = digits.iter().map(|digit| u32::from(digit.class)).collect();
        Ok(Self {
            pixels: Tensor::from_vec(pixels, (digits.len(), PIXELS), device)?,
            classes: Tensor::from_vec(classes, digits.len(), device)?,
        })
    }
}
