//! A supervised training with Burn, including its metrics.

use std::sync::Arc;
use std::time::Duration;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::optim::AdamConfig;
use burn::tensor::Device;
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{Learner, SupervisedTraining};
use digits::burn::batch::{DigitBatch, DigitBatcher};
use digits::burn::model::DigitClassifier;
use digits::data::DigitImage;
use sootprint::Run;
use sootprint_benches::BenchError;
use sootprint_burn::TrackEmissionsExt as _;

use crate::silent_renderer::SilentRenderer;
use crate::turns::TurnTimer;

/// Large steps of about 9 ms, as on a GPU, and epochs of a second.
const HIDDEN: usize = 4_096;
const BATCH: usize = 256;
const PASSES: usize = 16;
const EPOCHS: usize = 2;
const LEARNING_RATE: f64 = 1e-3;

const SEED: u64 = 42;

pub(crate) fn train(
    digits: &[DigitImage],
    run: Option<&Run>,
    timer: &TurnTimer,
) -> Result<Duration, BenchError> {
    let folder = tempfile::tempdir()?;
    let device = Device::flex().autodiff();
    let loader = |digits| -> Arc<dyn DataLoader<DigitBatch>> {
        let builder = DataLoaderBuilder::new(TimedBatcher(timer.clone())).batch_size(BATCH).shuffle(SEED);
        builder.build(InMemDataset::new(digits))
    };
    let training =
        SupervisedTraining::new(folder.path(), loader([digits; PASSES].concat()), loader(digits.to_vec()))
            .metrics((AccuracyMetric::new(), LossMetric::new()))
            .num_epochs(EPOCHS)
            .renderer(Box::new(SilentRenderer))
            .with_application_logger(None);
    let learner = Learner::new(
        DigitClassifier::with_hidden_size(HIDDEN, &device),
        AdamConfig::new().init(),
        LEARNING_RATE,
    );

    let (trained, elapsed) = timer.time(|| match run {
        Some(run) => training.track_emissions(run).launch(learner),
        None => training.launch(learner),
    });
    match trained.error {
        Some(error) => Err(error.to_string().into()),
        None => Ok(elapsed),
    }
}

/// Passes the turn on at each batch.
#[derive(Clone)]
struct TimedBatcher(TurnTimer);

impl Batcher<DigitImage, DigitBatch> for TimedBatcher {
    fn batch(&self, digits: Vec<DigitImage>, device: &Device) -> DigitBatch {
        self.0.batch();
        DigitBatcher.batch(digits, device)
    }
}
