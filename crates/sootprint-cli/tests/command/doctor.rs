//! `sootprint doctor`, and the warnings of a run.

use std::time::Duration;

use nvidia_ml::{FakeGpu, NvmlScript, install};
use serde_json::Value;

use crate::sandbox::{TestSandbox, WATTS, status, stderr};

const MISSING_NVML: &str = "/nowhere/libnvidia-ml.so.1";

#[test]
fn doctor_json_has_sources_and_power() {
    let sandbox = TestSandbox::new();
    let mut command = sandbox.sootprint_command(&["doctor", "--json"]);
    command.env("SOOTPRINT_NVML", MISSING_NVML).env("SOOTPRINT_PLACE", "France");
    let output = command.output().unwrap();
    assert_eq!(status(&output), Some(0), "{}", stderr(&output));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();

    let sources = found["sources"].as_array().unwrap();
    let nvml = sources.iter().find(|source| source["name"] == "NVML").unwrap();
    assert_eq!(nvml["state"], "absent");
    let problem = nvml["problems"][0].as_str().unwrap();
    assert!(problem.contains(MISSING_NVML) && problem.contains("SOOTPRINT_NVML"), "{problem}");
    // A machine with counters for every component does not use the model.
    assert!(
        sources.iter().any(|source| source["name"] == "model" || source["name"] == "RAPL"),
        "{sources:?}"
    );

    let power = found["components"][0]["mean_w"].as_f64().unwrap();
    assert!((power / WATTS - 1.0).abs() < 0.01, "{power} W");
    assert!(found["measured_s"].as_f64().unwrap() >= 2.0);
    assert_eq!((&found["grid"]["zone"], &found["grid"]["origin"]), (&"FR".into(), &"environment".into()));
    assert_eq!((&found["pue"], &found["pue_origin"]), (&1.0.into(), &"assumed".into()));
}

#[test]
fn doctor_text_names_problems() {
    let sandbox = TestSandbox::new();
    let output = sandbox.sootprint_command(&["doctor"]).env("SOOTPRINT_PLACE", "Atlantis").output().unwrap();
    assert_eq!(status(&output), Some(0));
    let text = String::from_utf8_lossy(&output.stdout);
    for part in ["NVML", "100.0 W", "location unknown", "PUE", "Atlantis"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(output.stderr.is_empty(), "warnings belong in the report: {}", stderr(&output));
}

#[cfg(target_os = "linux")]
#[test]
fn nvml_is_found_by_library_path() {
    let sandbox = TestSandbox::new();
    let folder = tempfile::tempdir().unwrap();
    let gpu = FakeGpu::new("GPU-aaaaaaaa-0000-0000-0000-000000000000", "0000:07:00.0", "NVIDIA H200")
        .power_from(Duration::ZERO, 300);
    let library = install(&NvmlScript::new().with_gpu(gpu), folder.path()).unwrap();
    assert_eq!(library.file_name().unwrap(), "libnvidia-ml.so.1");
    let mut command = sandbox.sootprint_command(&["doctor", "--json"]);
    let output = command.env("LD_LIBRARY_PATH", folder.path()).output().unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let nvml = found["sources"].as_array().unwrap().iter().find(|source| source["name"] == "NVML").unwrap();
    assert_eq!(nvml["state"], "ready", "{found}");
}

#[test]
fn doctor_check_compares_counter_and_power() {
    let sandbox = TestSandbox::new();
    let folder = tempfile::tempdir().unwrap();
    let gpu = FakeGpu::new("GPU-aaaaaaaa-0000-0000-0000-000000000000", "0000:07:00.0", "NVIDIA H200")
        .power_from(Duration::ZERO, 300)
        .energy_counter(Duration::from_millis(20));
    let library = install(&NvmlScript::new().with_gpu(gpu), folder.path()).unwrap();
    let mut command = sandbox.sootprint_command(&["doctor", "--check", "1"]);
    let output = command.env("SOOTPRINT_NVML", library).output().unwrap();
    assert_eq!(status(&output), Some(0), "{}", stderr(&output));
    let text = String::from_utf8_lossy(&output.stdout);
    let (_, check) = text.split_once("Energy counters compared with power readings\n").unwrap();
    let [gpu, figures, verdict] = check.lines().take(3).collect::<Vec<_>>()[..] else { panic!("{text}") };
    assert_eq!(gpu, "  NVIDIA H200 (GPU-aaaaaaaa-0000-0000-0000-000000000000)");
    assert!(figures.starts_with("    counter "), "{figures}");
    let (_, tick) = figures.split_once("a tick every ").unwrap();
    let tick: f64 = tick.trim_end_matches(" ms").parse().unwrap();
    // Reads are late on a busy machine.
    assert!((18.0..=40.0).contains(&tick), "{figures}");
    assert_eq!(verdict, "    agree");
}

#[test]
fn doctor_lists_gpus_and_token_source() {
    let sandbox = TestSandbox::new();
    let folder = tempfile::tempdir().unwrap();
    let uuid = "GPU-aaaaaaaa-0000-0000-0000-000000000000";
    let gpu = FakeGpu::new(uuid, "0000:07:00.0", "NVIDIA H200")
        .power_limit(700)
        .power_from(Duration::ZERO, 300)
        .energy_counter(Duration::from_millis(20));
    let library = install(&NvmlScript::new().with_gpu(gpu), folder.path()).unwrap();
    let doctor = |words: &[&str]| {
        let mut command = sandbox.sootprint_command(words);
        command.env_remove("SOOTPRINT_REPLAY").env("SOOTPRINT_NVML", &library).env("HF_TOKEN", "hf_secret");
        let output = command.output().unwrap();
        assert_eq!(status(&output), Some(0), "{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let text = doctor(&["doctor"]);
    let (_, gpu) = text.split_once("\nGPUs\n  0          NVIDIA H200\n").unwrap();
    let facts: Vec<&str> = gpu.lines().take(3).map(str::trim).collect();
    assert_eq!(facts[..2], [uuid, "PCI 00000000:07:00.0, CUDA 0"]);
    assert!(facts[2].starts_with("limit 700.0 W, energy counter ticks every "), "{facts:?}");
    assert!(text.contains("NVIDIA H200 (GPU 0)"), "{text}");
    assert!(text.contains("\n  token      found in HF_TOKEN\n") && !text.contains("hf_secret"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");

    let found: Value = serde_json::from_str(&doctor(&["doctor", "--json"])).unwrap();
    let gpu = &found["boards"][0];
    assert_eq!((&gpu["uuid"], &gpu["pci"]), (&uuid.into(), &"00000000:07:00.0".into()), "{found}");
    assert!(gpu["tick_s"].as_f64().is_some_and(|tick| tick >= 0.018), "{found}");
    assert_eq!(found["token"], serde_json::json!({"origin": "HF_TOKEN", "problem": null}));
    assert!(found["checks"].is_null(), "{found}");
}

#[cfg(target_os = "linux")]
#[test]
fn missing_nvml_warns_once() {
    let sandbox = TestSandbox::new();
    let mut command = sandbox.sootprint_command(&["run", "--out", "out", "--", "true"]);
    let output = command.env_remove("SOOTPRINT_REPLAY").env("SOOTPRINT_NVML", MISSING_NVML).output().unwrap();
    let message = stderr(&output);
    assert_eq!(status(&output), Some(0), "{message}");
    let warnings = message.lines().filter(|line| line.starts_with("sootprint: no NVML library")).count();
    assert_eq!(warnings, 1, "{message}");
    let footprint = sandbox.report_json(&[]);
    let components = footprint["components"].as_array().unwrap();
    for kind in ["cpu", "memory"] {
        assert!(components.iter().any(|component| component["kind"] == kind), "{kind} in {components:?}");
    }
}
