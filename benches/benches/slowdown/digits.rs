//! The digits that both frameworks learn.

use flate2::read::GzDecoder;
use sootprint_benches::BenchError;

pub(crate) const PIXELS: usize = 64;
pub(crate) const CLASSES: usize = 10;

pub(crate) const LEARNING_RATE: f64 = 1e-3;

/// Ink at its darkest.
const DARKEST: f32 = 16.0;

/// How much a training computes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SlowdownSize {
    pub(crate) hidden: usize,
    pub(crate) batch: usize,
    /// How often an epoch goes through the digits.
    pub(crate) passes: usize,
    pub(crate) epochs: u32,
    /// After so many, with those of validation, another training has its turn: 0.1 to 0.3 s.
    pub(crate) batches_in_a_turn: usize,
}

impl SlowdownSize {
    pub(crate) const LARGE: Self =
        Self { hidden: 4_096, batch: 256, passes: 16, epochs: 2, batches_in_a_turn: 15 };
    pub(crate) const LONG: Self = Self { passes: 96, epochs: 1, ..Self::LARGE };
    pub(crate) const SMALL: Self =
        Self { hidden: 512, batch: 64, passes: 64, epochs: 2, batches_in_a_turn: 120 };
    pub(crate) const SHORT: Self = Self { passes: 1, epochs: 40, batches_in_a_turn: 285, ..Self::SMALL };

    /// Steps of a training on so many images, without those of validation.
    pub(crate) fn steps(self, images: usize) -> f64 {
        (images * self.passes).div_ceil(self.batch) as f64 * f64::from(self.epochs)
    }
}

/// Images as rows of pixels, and which digit each is.
pub(crate) struct BenchDigits(pub(crate) Vec<BenchDigit>);

#[derive(Debug, Clone, Copy)]
pub(crate) struct BenchDigit {
    pub(crate) pixels: [f32; PIXELS],
    pub(crate) class: u8,
}

impl BenchDigits {
    /// Those of one epoch.
    pub(crate) fn epoch(&self, size: SlowdownSize) -> Vec<BenchDigit> {
        self.0.repeat(size.passes)
    }

    pub(crate) fn load() -> Result<Self, BenchError> {
        let file = GzDecoder::new(include_bytes!("../../../examples/digits/data/digits.csv.gz").as_slice());
        let rows = csv::ReaderBuilder::new().has_headers(false).from_reader(file).into_records();
        let digits = rows.map(|row| {
            let row = row?;
            let mut pixels = [0.0; PIXELS];
            for (pixel, value) in pixels.iter_mut().zip(&row) {
                *pixel = value.parse::<f32>()? / DARKEST;
            }
            Ok(BenchDigit { pixels, class: row.get(PIXELS).ok_or("a row without a class")?.parse()? })
        });
        Ok(Self(digits.collect::<Result<_, BenchError>>()?))
    }
}
