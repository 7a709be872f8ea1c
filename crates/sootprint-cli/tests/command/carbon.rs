//! Places, series, settings files and estimates.

use std::fs;

use serde_json::Value;

use crate::sandbox::{TestSandbox, status, stderr};

fn json_output(sandbox: &TestSandbox, arguments: &[&str]) -> Value {
    let output = sandbox.output(&[arguments, &["--json"]].concat());
    assert_eq!(status(&output), Some(0), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn as_number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}

fn is_close(value: &Value, expected: f64) -> bool {
    (as_number(value) / expected - 1.0).abs() < 1e-9
}

#[test]
fn grid_shows_source_year_and_scope() {
    let sandbox = TestSandbox::new();
    let output = sandbox.output(&["grid", "aws:us-east-1", "--year", "2026"]);
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "Ashburn, Northern Virginia, United States (aws:us-east-1)\n  \
           intensity  270.5 g CO2e/kWh (162.3 g CO2e/kWh to 408.7 g CO2e/kWh) in 2023\n  \
           counts     direct emissions of the electricity generated\n  \
           grid       EGRID-SRVC\n  \
           source     US EPA eGRID2023; for SERC Virginia/Carolina, United States, the\n             \
             part of the country with the cloud region\n  \
           PUE        1.15 (1.11 to 1.19) of the region in 2025\n  \
           WUE        0.06 L/kWh of the region in 2025 (withdrawal)\n"
    );
    let grid = json_output(&sandbox, &["grid", "Quebec, Canada"]);
    assert_eq!(
        (&grid["zone"], &grid["basis"], &grid["year"]),
        (&"CA-QC".into(), &"direct-consumption".into(), &2024.into())
    );
    assert!(is_close(&grid["g_per_kwh"], 2.6) && grid["pue"].is_null(), "{grid}");
    assert!(is_close(&json_output(&sandbox, &["grid", "FR", "--year", "2019"])["g_per_kwh"], 59.8));
    for (name, reason) in [("Frnace", "did you mean France?"), ("Georgia", "GE (Georgia) or US-GA")] {
        let output = sandbox.output(&["grid", name]);
        assert_eq!(status(&output), Some(2));
        assert!(stderr(&output).contains(reason), "{}", stderr(&output));
    }
}

#[test]
fn estimate_matches_published_llama_figures() {
    let sandbox = TestSandbox::new();
    let words = "estimate --hardware A100-80GB --power 400 --hours 82432 --pue 1.1 --intensity 385";
    let footprint = json_output(&sandbox, &words.split(' ').collect::<Vec<_>>());
    // LLaMA-7B: 36 MWh and 14 t.
    assert!(is_close(&footprint["energy"]["facility_j"], 82_432.0 * 400.0 * 1.1 * 3_600.0));
    assert!(
        (as_number(&footprint["emissions"]["grams"]) / 14e6 - 1.0).abs() < 0.01,
        "{}",
        footprint["emissions"]
    );
    assert_eq!(footprint["components"][0]["method"], "modelled");

    let mut command = sandbox.sootprint_command(&[
        "estimate",
        "--hardware",
        "Tesla T4",
        "--hours",
        "10",
        "--count",
        "2",
        "--json",
    ]);
    let output = command.env("TZ", "Europe/Paris").output().unwrap();
    let footprint: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&footprint["grid"]["origin"], &footprint["hardware"]), (&"unknown".into(), &"2 x T4".into()));
    assert!(
        is_close(&footprint["energy"]["total_j"], 2.0 * 70.0 * 0.75 * 36_000.0),
        "{}",
        footprint["energy"]
    );

    let busy = json_output(&sandbox, &["estimate", "--hardware", "T4", "--hours", "10", "--busy"]);
    assert!(is_close(&busy["energy"]["total_j"], 70.0 * 0.8 * 36_000.0), "{}", busy["energy"]);
    assert!(is_close(&busy["energy"]["low_j"], 70.0 * 0.6 * 36_000.0), "{}", busy["energy"]);
    let exact = ["estimate", "--hardware", "T4", "--hours", "10", "--power", "60"];
    assert!(is_close(&json_output(&sandbox, &exact)["energy"]["total_j"], 60.0 * 36_000.0));
    assert_eq!(status(&sandbox.output(&[&exact[..], &["--busy"]].concat())), Some(2));

    let output = sandbox.output(&["estimate", "--hardware", "T4", "--hours", "10"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("nothing was measured") && text.contains("modelled    T4"), "{text}");
}

#[test]
fn invalid_estimate_arguments_are_rejected() {
    let sandbox = TestSandbox::new();
    for (words, reason) in [
        ("--hardware A100 --hours 1", "A100 SXM4 80GB, A100 SXM4 40GB"),
        ("--hardware Voodoo2 --hours 1", "unknown hardware"),
        ("--hardware TPU-v5e --hours 1", "no published power"),
        ("--hardware T4 --hours -1", "invalid duration -1 h"),
        ("--hardware T4 --hours 1 --count 0", "must be at least 1"),
        ("--hardware T4 --hours 1 --power 0", "0 W"),
        ("--hardware T4 --hours 1 --place FR --intensity 5", "cannot be used with"),
        ("--hours 1", "--hardware"),
    ] {
        let output = sandbox.output(&[&["estimate"], &words.split(' ').collect::<Vec<_>>()[..]].concat());
        assert_eq!(status(&output), Some(2), "{words}");
        assert!(stderr(&output).contains(reason), "{words}: {}", stderr(&output));
    }
}

#[test]
fn series_sets_run_intensity() {
    let sandbox = TestSandbox::new();
    fs::write(sandbox.path("hours.csv"), "start,end,g_per_kwh\n2020-01-01T00:00Z,2100-01-01T00:00Z,123\n")
        .unwrap();
    let output = sandbox.run(&["--out", "out", "--series", "hours.csv"], "exit 0");
    assert_eq!(status(&output), Some(0), "{}", stderr(&output));
    let grid = &sandbox.report_json(&[])["grid"];
    assert_eq!((&grid["method"], &grid["origin"]), (&"series".into(), &"argument".into()));
    assert!(is_close(&grid["g_per_kwh"], 123.0), "{grid}");

    let mut command = sandbox.sootprint_command(&["run", "--out", "out", "--", "sh", "-c", "exit 0"]);
    assert_eq!(status(&command.env("SOOTPRINT_SERIES", "hours.csv").output().unwrap()), Some(0));
    assert_eq!(sandbox.report_json(&[])["grid"]["origin"], "environment");
}

#[test]
fn nearest_settings_file_is_used() {
    let sandbox = TestSandbox::new();
    fs::create_dir_all(sandbox.path(".config/sootprint")).unwrap();
    fs::write(sandbox.path(".config/sootprint/sootprint.toml"), "place = \"DE\"\npue = 1.3\n").unwrap();
    fs::write(sandbox.path("sootprint.toml"), "place = \"gcp:europe-west9\"\n").unwrap();
    sandbox.run(&["--out", "out"], "exit 0");
    let footprint = sandbox.report_json(&[]);
    assert_eq!(
        (&footprint["grid"]["region"], &footprint["grid"]["origin"]),
        (&"europe-west9".into(), &"settings".into())
    );
    assert_eq!(
        (&footprint["energy"]["pue"], &footprint["energy"]["pue_origin"]),
        (&1.3.into(), &"settings".into())
    );

    // A mistake in the user's own file prevents the start; in a project's file it does not.
    fs::write(sandbox.path(".config/sootprint/sootprint.toml"), "plase = \"FR\"\n").unwrap();
    let output = sandbox.run(&["--out", "out"], "echo began");
    assert_eq!((status(&output), output.stdout.is_empty()), (Some(125), true));
    let message = stderr(&output);
    assert!(message.contains("sootprint.toml") && message.contains("did you mean `place`?"), "{message}");
}

/// Places as people write them, each with the code of its grid.
#[test]
fn grid_accepts_common_spellings() {
    let sandbox = TestSandbox::new();
    for (name, code) in [
        ("FR", "FR"),
        ("fra", "FR"),
        ("France", "FR"),
        ("the Netherlands", "NL"),
        ("Holland", "NL"),
        ("UK", "GB"),
        ("Great Britain", "GB"),
        ("USA", "US"),
        ("U.S.", "US"),
        ("Deutschland", "DE"),
        ("Türkiye", "TR"),
        ("Côte d'Ivoire", "CI"),
        ("Republic of Korea", "KR"),
        ("Viet Nam", "VN"),
        ("EU", "EU"),
        ("Hong Kong", "HK"),
        ("World", "WLD"),
        ("Belgium", "BE"),
        ("Malawi", "MW"),
        ("Brasil", "BR"),
        ("US-VA", "US-VA"),
        ("Virginia", "US-VA"),
        ("VA, USA", "US-VA"),
        ("Washington, DC", "US-DC"),
        ("Georgia, USA", "US-GA"),
        ("CA-QC", "CA-QC"),
        ("Québec", "CA-QC"),
        ("Quebec, Canada", "CA-QC"),
        ("Newfoundland", "CA-NL"),
        ("AU-TAS", "AU-TAS"),
        ("NSW, Australia", "AU-NSW"),
        ("NEM_VIC", "AU-VIC"),
        ("NSW1", "AU-NSW"),
        ("CN-GD", "CN-GD"),
        ("Guangdong", "CN-GD"),
        ("Beijing, China", "CN-BJ"),
        ("SE3", "SE3"),
        ("SE_3", "SE3"),
        ("SE-SE3", "SE3"),
        ("NO1", "NO1"),
        ("NO_4", "NO4"),
        ("SRVC", "EGRID-SRVC"),
        ("EGRID-CAMX", "EGRID-CAMX"),
        ("ERCOT", "EGRID-ERCT"),
        ("CAISO", "EGRID-CAMX"),
        ("US-TEX-ERCO", "EGRID-ERCT"),
        ("TVA", "EGRID-SRTV"),
        ("IESO", "CA-ON"),
        ("HQ", "CA-QC"),
        ("ISO-NE", "EGRID-NEWE"),
        ("aws:us-east-1", "EGRID-SRVC"),
        ("AWS/us-east-1", "EGRID-SRVC"),
        ("us-east-1", "EGRID-SRVC"),
        ("eu-west-1b", "IE"),
        ("aws:eu-west-3a", "FR"),
        ("gcp:us-central1", "EGRID-MROW"),
        ("us-central1-a", "EGRID-MROW"),
        ("google:europe-west9-b", "FR"),
        ("azure:westeurope", "NL"),
        ("West Europe", "NL"),
        ("East US 2", "EGRID-SRVC"),
        ("scaleway:fr-par", "FR"),
    ] {
        let grid = json_output(&sandbox, &["grid", name]);
        assert_eq!(grid["zone"], code, "{name}");
        assert!(as_number(&grid["low"]) <= as_number(&grid["g_per_kwh"]), "{name}: {grid}");
    }
    for (name, advice) in [
        ("DK1", "use that of DK (Denmark)"),
        ("PJM", "use the state, as in US-PA"),
        ("NYISO", "use the state, as in US-NY"),
        ("LDWP", "use the state, as in US-CA"),
        ("Congo", "ambiguous place"),
        ("US-NY-NYIS", "use the state, as in US-NY"),
        ("CW", "set a carbon intensity instead"),
        ("BR-NE", "use that of BR (Brazil)"),
    ] {
        let output = sandbox.output(&["grid", name]);
        assert!(
            status(&output) == Some(2) && stderr(&output).contains(advice),
            "{name}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn hydropower_grid_has_a_note() {
    let sandbox = TestSandbox::new();
    let output = sandbox.output(&["grid", "Malawi", "--year", "2026"]);
    let text = String::from_utf8(output.stdout).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        text.contains("note the carbon intensity of Malawi, mostly hydropower, varies much between years"),
        "{text}"
    );
    let run = sandbox.run(&["--out", "out", "--place", "Malawi"], "exit 0");
    let text = stderr(&run).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("Note the carbon intensity of Malawi, mostly hydropower, varies much"), "{text}");
    // The figure of the same year needs no note.
    let output = sandbox.output(&["grid", "Malawi", "--year", "2024"]);
    assert!(!String::from_utf8(output.stdout).unwrap().contains("note"));
}

#[test]
fn time_zone_place_is_marked_guess() {
    let sandbox = TestSandbox::new();
    let mut command = sandbox.sootprint_command(&["run", "--out", "out", "--", "sh", "-c", "exit 0"]);
    let output = command.env("TZ", "Europe/Paris").output().unwrap();
    let message = stderr(&output);
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(message.contains("location guessed from the time zone: France"), "{message}");
    assert_eq!(sandbox.report_json(&[])["grid"]["origin"], "time-zone");
    let mut command = sandbox.sootprint_command(&["run", "--out", "out", "--", "sh", "-c", "exit 0"]);
    let output = command.env("TZ", "Australia/Hobart").output().unwrap();
    assert!(
        stderr(&output).contains("location guessed from the time zone: Tasmania, Australia"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn unavailable_provider_fails_before_run() {
    let sandbox = TestSandbox::new();
    let output = sandbox.run(&["--out", "out", "--live", "electricity-maps"], "echo began");
    assert_eq!((status(&output), output.stdout.is_empty()), (Some(125), true));
    assert!(stderr(&output).contains("ELECTRICITYMAPS_TOKEN"), "{}", stderr(&output));
    let mut command = sandbox.sootprint_command(&["run", "--out", "out", "--", "sh", "-c", "exit 0"]);
    let output = command.env("SOOTPRINT_LIVE", "unknown").output().unwrap();
    assert!(
        stderr(&output).contains("sootprint: unknown provider `unknown` in SOOTPRINT_LIVE"),
        "{}",
        stderr(&output)
    );
}
