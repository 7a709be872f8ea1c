//! Charts, plots and CSV tables of `report`.

use std::fs;

use crate::sandbox::{TestSandbox, WATTS, status, stderr, stdout};

/// A sandbox with a run of two seconds, long enough for power over time.
fn sandbox_with_run() -> TestSandbox {
    let sandbox = TestSandbox::new();
    let output = sandbox.run(&["--out", "out", "--pre-training"], "sleep 2");
    assert_eq!(status(&output), Some(0), "{}", stderr(&output));
    sandbox
}

#[test]
fn report_draws_and_plots_power() {
    let sandbox = sandbox_with_run();
    let output = sandbox.output(&["report", "out", "--plot", "power.png"]);
    let text = stdout(&output);
    assert_eq!(status(&output), Some(0), "{}", stderr(&output));
    // The scripted power is constant.
    let full = "█".repeat(72);
    assert!(text.contains(&format!("Power   {full}\n")) && text.contains("up to 100.0 W"), "{text}");
    assert!(text.contains(&format!("Parts   CPU      {} 100.0 %", "█".repeat(40))), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");

    let plotted = fs::read(sandbox.path("power.png")).unwrap();
    assert!(plotted.starts_with(b"\x89PNG"));
    let write = ["card", "write", "README.md", "--footprint", "out"];
    assert_eq!(status(&sandbox.output(&write)), Some(0));
    assert!(plotted == fs::read(sandbox.path("sootprint.png")).unwrap(), "equals the plot of the card");
}

#[test]
fn report_csv_has_run_and_components() {
    let sandbox = sandbox_with_run();
    let table = stdout(&sandbox.output(&["report", "out", "--csv"]));
    let mut rows = csv::Reader::from_reader(table.as_bytes());
    let header = rows.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
    let value =
        |row: usize, name: &str| rows[row][header.iter().position(|it| it == name).unwrap()].to_owned();
    assert_eq!((value(0, "row"), value(1, "row"), rows.len()), ("run".to_owned(), "CPU".to_owned(), 2));
    let number = |row, name| value(row, name).parse::<f64>().unwrap();
    let [joules, seconds] = ["energy_j", "duration_s"].map(|name| number(0, name));
    assert!((joules / seconds / WATTS - 1.0).abs() < 0.01, "{table}");
    assert!((number(1, "mean_w") / WATTS - 1.0).abs() < 0.01, "{table}");
    assert_eq!(value(0, "completed"), "true");
    let all = stdout(&sandbox.output(&["report", "out", "--csv", "--all"]));
    assert_eq!(all, table);
}
