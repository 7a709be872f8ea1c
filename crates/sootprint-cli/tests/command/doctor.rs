//! What the doctor finds, and which warnings a run shows.

use std::time::Duration;

use nvidia_ml::{Board, Script, install};
use serde_json::Value;

use crate::room::{Room, WATTS, status, stderr};

const NOWHERE: &str = "/nowhere/libnvidia-ml.so.1";

#[test]
fn the_doctor_tells_sources_power_and_what_a_run_is_computed_with() {
    let room = Room::new();
    let mut command = room.sootprint(&["doctor", "--json"]);
    command.env("SOOTPRINT_NVML", NOWHERE).env("SOOTPRINT_PLACE", "France");
    let output = command.output().unwrap();
    assert_eq!(status(&output), Some(0), "{}", stderr(&output));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();

    let sources = found["sources"].as_array().unwrap();
    let nvml = sources.iter().find(|source| source["name"] == "NVML").unwrap();
    assert_eq!(nvml["state"], "absent");
    let problem = nvml["problems"][0].as_str().unwrap();
    assert!(problem.contains(NOWHERE) && problem.contains("SOOTPRINT_NVML"), "{problem}");
    // A machine with counters for all of it has no need of the model.
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
fn the_doctor_speaks_to_people_and_names_what_is_wrong() {
    let room = Room::new();
    let output = room.sootprint(&["doctor"]).env("SOOTPRINT_PLACE", "Atlantis").output().unwrap();
    assert_eq!(status(&output), Some(0));
    let text = String::from_utf8_lossy(&output.stdout);
    for part in ["NVML", "100.0 W", "nobody said where the machine is", "PUE", "Atlantis"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(output.stderr.is_empty(), "all of it is in the report: {}", stderr(&output));
}

#[cfg(target_os = "linux")]
#[test]
fn the_library_is_found_where_the_system_looks_for_it() {
    let room = Room::new();
    let folder = tempfile::tempdir().unwrap();
    let board = Board::new("GPU-aaaaaaaa-0000-0000-0000-000000000000", "0000:07:00.0", "NVIDIA H200")
        .power(Duration::ZERO, 300);
    let library = install(&Script::new().board(board), folder.path()).unwrap();
    assert_eq!(library.file_name().unwrap(), "libnvidia-ml.so.1");
    let mut command = room.sootprint(&["doctor", "--json"]);
    let output = command.env("LD_LIBRARY_PATH", folder.path()).output().unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let nvml = found["sources"].as_array().unwrap().iter().find(|source| source["name"] == "NVML").unwrap();
    assert_eq!(nvml["state"], "ready", "{found}");
}

#[test]
fn the_doctor_compares_counters_with_power_readings_on_request() {
    let room = Room::new();
    let folder = tempfile::tempdir().unwrap();
    let board = Board::new("GPU-aaaaaaaa-0000-0000-0000-000000000000", "0000:07:00.0", "NVIDIA H200")
        .power(Duration::ZERO, 300)
        .counter(Duration::from_millis(20));
    let library = install(&Script::new().board(board), folder.path()).unwrap();
    let mut command = room.sootprint(&["doctor", "--check", "1"]);
    let output = command.env("SOOTPRINT_NVML", library).output().unwrap();
    assert_eq!(status(&output), Some(0), "{}", stderr(&output));
    let text = String::from_utf8_lossy(&output.stdout);
    let (_, check) = text.split_once("Energy counters beside power readings\n").unwrap();
    let [board, figures, verdict] = check.lines().take(3).collect::<Vec<_>>()[..] else { panic!("{text}") };
    assert_eq!(board, "  NVIDIA H200 (GPU-aaaaaaaa-0000-0000-0000-000000000000)");
    assert!(figures.starts_with("    counter "), "{figures}");
    let (_, tick) = figures.split_once("a tick every ").unwrap();
    let tick: f64 = tick.trim_end_matches(" ms").parse().unwrap();
    // A busy machine reads late.
    assert!((18.0..=40.0).contains(&tick), "{figures}");
    assert_eq!(verdict, "    agree");
}

#[cfg(target_os = "linux")]
#[test]
fn a_run_warns_once_of_what_it_cannot_read_and_models_the_rest() {
    let room = Room::new();
    let mut command = room.sootprint(&["run", "--out", "out", "--", "true"]);
    let output = command.env_remove("SOOTPRINT_REPLAY").env("SOOTPRINT_NVML", NOWHERE).output().unwrap();
    let said = stderr(&output);
    assert_eq!(status(&output), Some(0), "{said}");
    let warnings = said.lines().filter(|line| line.starts_with("sootprint: no NVML library")).count();
    assert_eq!(warnings, 1, "{said}");
    let footprint = room.report(&[]);
    let components = footprint["components"].as_array().unwrap();
    for kind in ["cpu", "memory"] {
        assert!(components.iter().any(|component| component["kind"] == kind), "{kind} in {components:?}");
    }
}
