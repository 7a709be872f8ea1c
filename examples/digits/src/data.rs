//! Handwritten digits: 1,797 images of 8 × 8 pixels (E. Alpaydin and C. Kaynak, CC BY 4.0; see `data/README.md`).

use anyhow::{Context as _, Result, ensure};
use flate2::read::GzDecoder;

/// Pixels per image.
pub const PIXELS: usize = 64;

/// Number of different digits.
pub const CLASSES: usize = 10;

/// Hidden units of the classifiers. Different from [`PIXELS`], so that loading a transposed weight fails.
pub const HIDDEN_SIZE: usize = 128;

/// Size of the validation set that examples split off the training images: a tenth.
pub const VALIDATION_SIZE: usize = 144;

/// The pixel value of full ink in the file.
const MAX_PIXEL_VALUE: f32 = 16.0;

/// Every fifth image is a test image.
const TEST_EVERY: usize = 5;

/// A handwritten digit.
#[derive(Debug, Clone, PartialEq)]
pub struct DigitImage {
    /// From 0 (paper) to 1 (ink), row by row.
    pub pixels: [f32; PIXELS],
    /// The digit, from 0 to 9.
    pub class: u8,
}

impl DigitImage {
    /// The same digit in white on black.
    #[must_use]
    pub fn inverted(mut self) -> Self {
        for pixel in &mut self.pixels {
            *pixel = 1.0 - *pixel;
        }
        self
    }
}

/// Loads the training and test images, always in the same order.
///
/// # Errors
/// If the embedded file is malformed.
pub fn load() -> Result<(Vec<DigitImage>, Vec<DigitImage>)> {
    let file = GzDecoder::new(include_bytes!("../data/digits.csv.gz").as_slice());
    let rows = csv::ReaderBuilder::new().has_headers(false).from_reader(file).into_records();
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for (index, row) in rows.enumerate() {
        let digit = parse_row(&row?).with_context(|| format!("line {} of the digits", index + 1))?;
        if index % TEST_EVERY == 0 { test.push(digit) } else { train.push(digit) }
    }
    Ok((train, test))
}

fn parse_row(row: &csv::StringRecord) -> Result<DigitImage> {
    ensure!(row.len() == PIXELS + 1, "expected {} values, found {}", PIXELS + 1, row.len());
    let mut pixels = [0.0; PIXELS];
    for (pixel, value) in pixels.iter_mut().zip(row) {
        *pixel = value.parse::<f32>()? / MAX_PIXEL_VALUE;
    }
    Ok(DigitImage { pixels, class: row[PIXELS].parse()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_splits_have_every_digit() {
        let (train, test) = load().unwrap();
        assert_eq!((train.len(), test.len()), (1_437, 360));
        for part in [&train, &test] {
            assert!((0..CLASSES as u8).all(|class| part.iter().any(|digit| digit.class == class)));
            assert!(part.iter().all(|digit| digit.pixels.iter().all(|pixel| (0.0..=1.0).contains(pixel))));
        }
    }

    #[test]
    fn double_inversion_is_identity() {
        let (train, _) = load().unwrap();
        let digit = train[0].clone();
        assert_ne!(digit.clone().inverted(), digit);
        assert_eq!(digit.clone().inverted().inverted(), digit);
    }
}
