//! The digits data set for both frameworks.

use flate2::read::GzDecoder;
use sootprint_benches::BenchError;

pub(crate) const PIXELS: usize = 64;
pub(crate) const CLASSES: usize = 10;

pub(crate) const LEARNING_RATE: f64 = 1e-3;

/// The largest pixel value.
const MAX_PIXEL: f32 = 16.0;

/// Images as rows of pixels, with their classes.
pub(crate) struct BenchDigits(pub(crate) Vec<BenchDigit>);

#[derive(Debug, Clone, Copy)]
pub(crate) struct BenchDigit {
    pub(crate) pixels: [f32; PIXELS],
    pub(crate) class: u8,
}

impl BenchDigits {
    pub(crate) fn load() -> Result<Self, BenchError> {
        let file = GzDecoder::new(include_bytes!("../../../examples/digits/data/digits.csv.gz").as_slice());
        let rows = csv::ReaderBuilder::new().has_headers(false).from_reader(file).into_records();
        let digits = rows.map(|row| {
            let row = row?;
            let mut pixels = [0.0; PIXELS];
            for (pixel, value) in pixels.iter_mut().zip(&row) {
                *pixel = value.parse::<f32>()? / MAX_PIXEL;
            }
            Ok(BenchDigit { pixels, class: row.get(PIXELS).ok_or("a row without a class")?.parse()? })
        });
        Ok(Self(digits.collect::<Result<_, BenchError>>()?))
    }
}
