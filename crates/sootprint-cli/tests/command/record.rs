//! The record of a run, and what the measured command can observe.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;
use std::time::Instant;

use serde_json::Value;

use crate::sandbox::{TestSandbox, WATTS, status, stderr};

#[test]
fn command_streams_are_untouched() {
    let sandbox = TestSandbox::new();
    let mut command = sandbox.sootprint_command(&[
        "run",
        "--out",
        "out",
        "--",
        "sh",
        "-c",
        "printf out; printf err >&2; cat",
    ]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"in\0\xff").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"outin\0\xff");
    let message = stderr(&output);
    assert!(message.starts_with("err"), "{message}");
    assert!(
        message.contains("\nEnergy ") && message.contains("\nCO2e "),
        "the summary is on stderr: {message}"
    );
    assert!(!message.contains('\r'), "no status line without a terminal: {message:?}");
}

#[test]
fn run_dir_is_absolute() {
    let sandbox = TestSandbox::new();
    let output = sandbox.run(&["--out", "out"], r#"cd / && printf %s "$SOOTPRINT_RUN_DIR""#);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), sandbox.path("out").to_str().unwrap());
}

#[test]
fn energy_and_emissions_match_script() {
    let sandbox = TestSandbox::new();
    let started = Instant::now();
    let options =
        ["--out", "out", "--fine-tuning", "me/base", "--place", "FR", "--intensity", "50", "--pue", "1.2"];
    let output = sandbox.run(&options, "sleep 1");
    let longest = started.elapsed().as_secs_f64();
    assert_eq!(status(&output), Some(0), "{}", stderr(&output));

    let footprint = sandbox.report_json(&[]);
    let duration = number_at(&footprint, "/run/duration_s");
    assert!((1.0..longest).contains(&duration), "{duration} s of {longest} s");
    let energy = number_at(&footprint, "/energy/total_j");
    assert!((energy / (WATTS * duration) - 1.0).abs() < 0.01, "{energy} J in {duration} s");
    let grams = number_at(&footprint, "/emissions/grams");
    assert!((grams / (energy / 3.6e6 * 1.2 * 50.0) - 1.0).abs() < 1e-6, "{grams} g");

    assert_eq!(footprint["run"]["training_type"], "fine-tuning");
    assert_eq!(footprint["run"]["base_model"], "me/base");
    assert_eq!(footprint["grid"]["zone"], "FR");
    assert_eq!(footprint["energy"]["pue_origin"], "argument");
}

#[test]
fn footprint_json_keeps_schema() {
    let sandbox = TestSandbox::new();
    sandbox.run(&["--out", "out"], "sleep 1.2");
    let footprint = sandbox.report_json(&[]);
    let file: Value =
        serde_json::from_str(&fs::read_to_string(sandbox.path("out/footprint.json")).unwrap()).unwrap();
    assert_eq!(footprint, file, "the footprint rebuilt from the ledger equals the one that the run wrote");
    assert!(footprint["run"]["training_type"].is_null(), "null without a label");

    let types = [
        ("/schema", "text"),
        ("/run/id", "text"),
        ("/run/training_type", "null"),
        ("/run/base_model", "null"),
        ("/run/started", "text"),
        ("/run/duration_s", "number"),
        ("/run/attempts", "number"),
        ("/run/ranks", "number"),
        ("/run/ranks_expected", "number"),
        ("/run/missing_ranks", "list"),
        ("/run/partial", "truth"),
        ("/run/outcome", "text"),
        ("/run/samples", "null"),
        ("/energy/total_j", "number"),
        ("/energy/low_j", "number"),
        ("/energy/high_j", "number"),
        ("/energy/gpu_j", "number"),
        ("/energy/cpu_j", "number"),
        ("/energy/memory_j", "number"),
        ("/energy/idle_j", "null"),
        ("/energy/idle_method", "null"),
        ("/energy/pue", "number"),
        ("/energy/pue_origin", "text"),
        ("/energy/facility_j", "number"),
        ("/emissions/grams", "number"),
        ("/emissions/low_grams", "number"),
        ("/emissions/high_grams", "number"),
        ("/grid/g_per_kwh", "number"),
        ("/grid/low", "number"),
        ("/grid/high", "number"),
        ("/grid/place", "null"),
        ("/grid/zone", "null"),
        ("/grid/origin", "text"),
        ("/grid/method", "text"),
        ("/grid/source", "text"),
        ("/grid/year", "number"),
        ("/grid/basis", "text"),
        ("/grid/provider", "null"),
        ("/grid/region", "null"),
        ("/grid/hours", "list"),
        ("/hardware", "text"),
        ("/components/0/kind", "text"),
        ("/components/0/id", "text"),
        ("/components/0/name", "text"),
        ("/components/0/method", "text"),
        ("/components/0/energy_j", "number"),
        ("/components/0/low_j", "number"),
        ("/components/0/high_j", "number"),
        ("/components/0/mean_w", "number"),
        ("/components/0/limit_w", "null"),
        ("/components/0/share", "number"),
        ("/components/0/shared", "truth"),
        ("/components/0/measured_s", "number"),
        ("/components/0/unmeasured_s", "number"),
        ("/components/0/resets", "number"),
        ("/components/0/note", "text"),
        ("/epochs", "list"),
        ("/power/0/0", "number"),
        ("/power/0/1", "number"),
    ];
    for (pointer, expected) in types {
        let found = match footprint.pointer(pointer) {
            None => "missing",
            Some(Value::Null) => "null",
            Some(Value::Bool(_)) => "truth",
            Some(Value::Number(_)) => "number",
            Some(Value::String(_)) => "text",
            Some(Value::Array(_)) => "list",
            Some(Value::Object(_)) => "object",
        };
        assert_eq!(found, expected, "{pointer}");
    }
    assert_eq!(footprint["schema"], "sootprint/1");
}

fn number_at(footprint: &Value, pointer: &str) -> f64 {
    footprint.pointer(pointer).and_then(Value::as_f64).unwrap()
}
