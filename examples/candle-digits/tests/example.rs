//! Runs the example program with an untrained base model of the same layers as the one from `burn-digits`.

#![allow(clippy::unwrap_used, reason = "test helpers may panic")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use candle_core::{DType, Device};
use candle_nn::{VarBuilder, VarMap};
use digits::candle::model::CandleClassifier;

fn run_example(folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_candle-digits"))
        .current_dir(folder)
        .env("HF_HOME", folder.join("huggingface"))
        .env_remove("HF_TOKEN")
        .output()
        .unwrap()
}

#[test]
fn missing_base_model_suggests_fix() {
    let folder = tempfile::tempdir().unwrap();
    let output = run_example(folder.path());
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("cargo run -p burn-digits"));
}

#[test]
fn fine_tuned_card_names_base_model() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("artifacts/burn-digits");
    fs::create_dir_all(&base).unwrap();
    let weights = VarMap::new();
    let builder = VarBuilder::from_varmap(&weights, DType::F32, &Device::Cpu);
    CandleClassifier::new(builder).unwrap();
    weights.save(base.join("model.safetensors")).unwrap();

    let output = run_example(folder.path());
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    let accuracy = printed.lines().find_map(|line| line.strip_prefix("Accuracy on the test images: "));
    let accuracy: f64 = accuracy.unwrap().trim_end_matches(" %").parse().unwrap();
    assert!(accuracy > 90.0, "{printed}");
    assert!(printed.contains("Read back: 2 files byte for byte"), "{printed}");

    let card = fs::read_to_string(folder.path().join("artifacts/candle-digits/README.md")).unwrap();
    assert!(
        card.contains("library_name: \"candle\"\n") && card.contains("## How to load the weights"),
        "{card}"
    );
    assert!(card.contains("training_type: \"fine-tuning\"\n"), "{card}");
    assert!(card.contains("base_model: \"loopback/burn-digits\"\n"), "{card}");
}
