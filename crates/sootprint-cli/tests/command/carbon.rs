//! Places, series, settings files, and estimates on the command line.

use std::fs;

use serde_json::Value;

use crate::room::{Room, status, stderr};

fn json(room: &Room, arguments: &[&str]) -> Value {
    let output = room.output(&[arguments, &["--json"]].concat());
    assert_eq!(status(&output), Some(0), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}

fn close(value: &Value, right: f64) -> bool {
    (number(value) / right - 1.0).abs() < 1e-9
}

#[test]
fn a_place_s_grid_is_shown_with_source_year_and_basis() {
    let room = Room::new();
    let output = room.output(&["grid", "aws:us-east-1", "--year", "2026"]);
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "Ashburn, Northern Virginia, United States (aws:us-east-1)\n  \
           intensity  270.5 g CO2e/kWh (229.9 g CO2e/kWh to 341.1 g CO2e/kWh) in 2023\n  \
           counts     the stack only, of what is generated\n  \
           grid       EGRID-SRVC\n  \
           source     US EPA eGRID2023; of SERC Virginia/Carolina, United States, the\n             \
             region's part of the country\n  \
           PUE        1.15 (1.11 to 1.19) of the region in 2024\n"
    );
    let grid = json(&room, &["grid", "Quebec, Canada"]);
    assert_eq!(
        (&grid["zone"], &grid["basis"], &grid["year"]),
        (&"CA-QC".into(), &"direct-consumption".into(), &2024.into())
    );
    assert!(close(&grid["g_per_kwh"], 2.6) && grid["pue"].is_null(), "{grid}");
    assert!(close(&json(&room, &["grid", "FR", "--year", "2019"])["g_per_kwh"], 59.8));
    for (name, reason) in [("Frnace", "did you mean France?"), ("Georgia", "GE (Georgia) or US-GA")] {
        let output = room.output(&["grid", name]);
        assert_eq!(status(&output), Some(2));
        assert!(stderr(&output).contains(reason), "{}", stderr(&output));
    }
}

#[test]
fn an_estimate_is_the_paper_s_and_asks_nobody_where_it_is() {
    let room = Room::new();
    let words = "estimate --hardware A100-80GB --power 400 --hours 82432 --pue 1.1 --intensity 385";
    let footprint = json(&room, &words.split(' ').collect::<Vec<_>>());
    // LLaMA-7B: 36 MWh and 14 t.
    assert!(close(&footprint["energy"]["facility_j"], 82_432.0 * 400.0 * 1.1 * 3_600.0));
    assert!(
        (number(&footprint["emissions"]["grams"]) / 14e6 - 1.0).abs() < 0.01,
        "{}",
        footprint["emissions"]
    );
    assert_eq!(footprint["components"][0]["method"], "modelled");

    let mut command =
        room.sootprint(&["estimate", "--hardware", "Tesla T4", "--hours", "10", "--count", "2", "--json"]);
    let output = command.env("TZ", "Europe/Paris").output().unwrap();
    let footprint: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&footprint["grid"]["origin"], &footprint["hardware"]), (&"unknown".into(), &"2 x T4".into()));
    assert!(close(&footprint["energy"]["total_j"], 2.0 * 70.0 * 36_000.0), "{}", footprint["energy"]);

    let output = room.output(&["estimate", "--hardware", "T4", "--hours", "10"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("nothing was measured") && text.contains("modelled    T4"), "{text}");
}

#[test]
fn what_is_no_estimate_is_a_wrong_argument() {
    let room = Room::new();
    for (words, reason) in [
        ("--hardware A100 --hours 1", "A100 SXM4 80GB or A100 SXM4 40GB"),
        ("--hardware Voodoo2 --hours 1", "no hardware is known"),
        ("--hardware TPU-v5e --hours 1", "nobody published"),
        ("--hardware T4 --hours -1", "-1 hours"),
        ("--hardware T4 --hours 1 --count 0", "one device at least"),
        ("--hardware T4 --hours 1 --power 0", "0 W"),
        ("--hardware T4 --hours 1 --place FR --intensity 5", "cannot be used with"),
        ("--hours 1", "--hardware"),
    ] {
        let output = room.output(&[&["estimate"], &words.split(' ').collect::<Vec<_>>()[..]].concat());
        assert_eq!(status(&output), Some(2), "{words}");
        assert!(stderr(&output).contains(reason), "{words}: {}", stderr(&output));
    }
}

#[test]
fn a_series_weighs_the_hours_of_a_run() {
    let room = Room::new();
    fs::write(room.path("hours.csv"), "start,end,g_per_kwh\n2020-01-01T00:00Z,2100-01-01T00:00Z,123\n")
        .unwrap();
    let output = room.run(&["--out", "out", "--series", "hours.csv"], "exit 0");
    assert_eq!(status(&output), Some(0), "{}", stderr(&output));
    let grid = &room.report(&[])["grid"];
    assert_eq!((&grid["method"], &grid["origin"]), (&"series".into(), &"argument".into()));
    assert!(close(&grid["g_per_kwh"], 123.0), "{grid}");

    let mut command = room.sootprint(&["run", "--out", "out", "--", "sh", "-c", "exit 0"]);
    assert_eq!(status(&command.env("SOOTPRINT_SERIES", "hours.csv").output().unwrap()), Some(0));
    assert_eq!(room.report(&[])["grid"]["origin"], "environment");
}

#[test]
fn the_nearest_settings_file_is_read_and_a_wrong_one_ends_the_run_before_it_begins() {
    let room = Room::new();
    fs::create_dir_all(room.path(".config/sootprint")).unwrap();
    fs::write(room.path(".config/sootprint/sootprint.toml"), "place = \"DE\"\npue = 1.3\n").unwrap();
    fs::write(room.path("sootprint.toml"), "place = \"gcp:europe-west9\"\n").unwrap();
    room.run(&["--out", "out"], "exit 0");
    let footprint = room.report(&[]);
    assert_eq!(
        (&footprint["grid"]["region"], &footprint["grid"]["origin"]),
        (&"europe-west9".into(), &"settings".into())
    );
    assert_eq!(
        (&footprint["energy"]["pue"], &footprint["energy"]["pue_origin"]),
        (&1.3.into(), &"settings".into())
    );

    fs::write(room.path("sootprint.toml"), "plase = \"FR\"\n").unwrap();
    let output = room.run(&["--out", "out"], "echo began");
    assert_eq!((status(&output), output.stdout.is_empty()), (Some(125), true));
    let said = stderr(&output);
    assert!(said.contains("sootprint.toml") && said.contains("did you mean `place`?"), "{said}");
}

#[test]
fn the_time_zone_is_a_guess_that_is_called_one() {
    let room = Room::new();
    let mut command = room.sootprint(&["run", "--out", "out", "--", "sh", "-c", "exit 0"]);
    let output = command.env("TZ", "Europe/Paris").output().unwrap();
    let said = stderr(&output);
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("the place is a guess from this machine's time zone: France"), "{said}");
    assert_eq!(room.report(&[])["grid"]["origin"], "time-zone");
}

#[test]
fn a_provider_that_cannot_be_had_is_named_before_the_run() {
    let room = Room::new();
    let output = room.run(&["--out", "out", "--live", "electricity-maps"], "echo began");
    assert_eq!((status(&output), output.stdout.is_empty()), (Some(125), true));
    assert!(stderr(&output).contains("ELECTRICITYMAPS_TOKEN"), "{}", stderr(&output));
    let mut command = room.sootprint(&["run", "--out", "out", "--", "sh", "-c", "exit 0"]);
    let output = command.env("SOOTPRINT_LIVE", "nobody").output().unwrap();
    assert!(
        stderr(&output).contains("sootprint: SOOTPRINT_LIVE, or `provider` in sootprint.toml, is `nobody`"),
        "{}",
        stderr(&output)
    );
}
