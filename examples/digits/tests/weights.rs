//! Weights that Burn saves and Candle loads.

#![allow(clippy::unwrap_used, reason = "test helpers may panic")]

use burn::tensor::Distribution;
use candle_core::DType;
use candle_nn::{Module as _, VarBuilder};
use digits::burn::model::DigitClassifier;
use digits::candle::model::CandleClassifier;
use digits::data::{CLASSES, PIXELS};

/// A layer that is transposed by mistake would change the output without an error.
#[test]
fn candle_computes_same_output() {
    let device = burn::tensor::Device::flex();
    let model = DigitClassifier::new(&device);
    let pixels = burn::tensor::Tensor::<2>::random([5, PIXELS], Distribution::Default, &device);
    let burn_output = model.forward(pixels.clone()).try_into_vec_as::<f32>().unwrap();

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    model.save(&path).unwrap();
    let cpu = candle_core::Device::Cpu;
    let weights =
        VarBuilder::from_tensors(candle_core::safetensors::load(&path, &cpu).unwrap(), DType::F32, &cpu);
    let model = CandleClassifier::new(weights).unwrap();
    let pixels = pixels.try_into_vec_as::<f32>().unwrap();
    let pixels = candle_core::Tensor::from_vec(pixels, (5, PIXELS), &cpu).unwrap();
    let candle_output = model.forward(&pixels).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();

    assert_eq!(burn_output.len(), 5 * CLASSES);
    for (burn, candle) in burn_output.iter().zip(&candle_output) {
        assert!((burn - candle).abs() < 1e-5, "{burn} and {candle}");
    }
}
