//! A measured Burn training in a few lines: `cargo run -p sootprint-burn --example burn-minimal`.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example prints its result")]

use burn::optim::AdamConfig;
use burn::tensor::Device;
use burn::train::metric::LossMetric;
use burn::train::{Learner, SupervisedTraining};
use digits::burn::batch::digit_loader;
use digits::burn::model::DigitClassifier;
use digits::burn::renderer::EpochLineRenderer;
use digits::data::{CLASSES, DigitImage, PIXELS};
use sootprint::Run;
use sootprint_burn::{TrackEmissionsExt as _, instrument_loaders};

fn main() {
    // One lit pixel per class.
    let image = |class| DigitImage {
        pixels: std::array::from_fn::<_, PIXELS, _>(|pixel| f32::from(u8::from(pixel == class))),
        class: class as u8,
    };
    let images: Vec<DigitImage> = (0..CLASSES).cycle().take(1_000).map(image).collect();
    let [train, valid] = [images.clone(), images].map(|images| digit_loader(images, 50, 42));
    let (train, valid) = instrument_loaders(train, valid);
    let model = DigitClassifier::new(&Device::flex().autodiff());

    let run = Run::pre_training("artifacts/minimal").start();
    SupervisedTraining::new("artifacts/minimal", train, valid)
        .metrics((LossMetric::new(),))
        .num_epochs(3)
        .renderer(Box::new(EpochLineRenderer::default()))
        .track_emissions(&run)
        .launch(Learner::new(model, AdamConfig::new().init(), 1e-2));
    println!("{}", run.finish());
}
