//! Snapshots of whole outputs: of a recorded run, and of one measured here.

use std::fs;
use std::path::Path;

use insta::assert_snapshot;

use crate::sandbox::{TestSandbox, status, stderr, stdout};

/// A sandbox with weights and a recorded run of seven seconds in `digits`, from a script with two components.
pub(crate) fn sandbox_with_recorded_run() -> TestSandbox {
    let sandbox = TestSandbox::new();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded");
    fs::create_dir_all(sandbox.path("digits/sootprint")).unwrap();
    for name in ["footprint.json", "sootprint/00001-20261126T023344Z-415d.jsonl"] {
        fs::copy(from.join(name), sandbox.path("digits").join(name)).unwrap();
    }
    fs::write(sandbox.path("digits/model.bpk"), "weights").unwrap();
    sandbox
}

/// The stdout of a successful command that prints nothing on stderr.
fn stdout_of(sandbox: &TestSandbox, words: &[&str]) -> String {
    let output = sandbox.output(words);
    assert_eq!((status(&output), stderr(&output)), (Some(0), String::new()), "{words:?}");
    let text = stdout(&output);
    assert!(text.lines().all(|line| line.chars().count() <= 80 || words.contains(&"--csv")), "{text}");
    text
}

#[test]
fn report_text_and_csv_output() {
    let sandbox = sandbox_with_recorded_run();
    assert_snapshot!(stdout_of(&sandbox, &["report", "digits"]), @"
    Note    the training's GPUs are unknown: counting all visible GPUs
    Energy  1.04 Wh (1.04 Wh to 1.04 Wh)
      GPU     3040.4 J    counter     Scripted H200
      CPU     700.3 J     counter     Scripted EPYC
    CO2e    43.122 mg (36.654 mg to 77.361 mg)
    Grid    France: 41.5 g CO2e/kWh in 2025; PUE 1.00 (assumed); Ember (2026),
            yearly electricity data (CC BY 4.0)
    Run     completed in 7.0 s, pre-training; 00001-20261126T023344Z-415d
    Power   ▃▃▃▃▃▃▃▃▃▃▄▆▆▆▆▆▆▆▆▆▆███████████████████████████████▆▄▄▄▄▄▄▄▄▄▄▃▃▃▃▃▃▃▃▃
            0 s                                                 up to 790.0 W, 7.0 s
    Parts   GPU      █████████████████████████████████         81.3 %
            CPU      ███████                                   18.7 %
    ");
    assert_snapshot!(stdout_of(&sandbox, &["report", "digits", "--csv"]), @"
    run,row,name,id,method,attempt,completed,duration_s,mean_w,energy_j,low_j,high_j,grams,low_grams,high_grams,outcome
    00001-20261126T023344Z-415d,run,1 x Scripted H200,,,1,true,7.003195459,,3740.70233105,3740.70233105,3740.70233105,0.04312198520515972,0.03665368742438576,0.07736084145805652,completed
    00001-20261126T023344Z-415d,GPU,Scripted H200,replay-0,counter,,,7.003195459000001,434.14221450048484,3040.38278515,3040.38278515,3040.38278515,,,,
    00001-20261126T023344Z-415d,CPU,Scripted EPYC,replay-1,counter,,,7.003195459000001,99.99999999999997,700.3195459,700.3195459,700.3195459,,,,
    ");
}

#[test]
fn card_and_verify_output() {
    let sandbox = sandbox_with_recorded_run();
    let write = ["card", "write", "digits/README.md", "--footprint", "digits", "--no-picture"];
    assert_snapshot!(stdout_of(&sandbox, &write), @"created digits/README.md with the emissions");
    assert_snapshot!(stdout_of(&sandbox, &["card", "check", "digits/README.md"]), @"
    emissions               0.0431
    source                  sootprint 0.1 (GPU, CPU counter)
    training_type           pre-training
    geographical_location   France
    hardware_used           1 x Scripted H200
    energy_consumed         0.00104
    Hub     tagged co2_eq_emissions; emission filters use 0.0431 g CO2e
    ");
    assert_snapshot!(
        stdout_of(&sandbox, &["verify", "digits"]),
        @"run 00001-20261126T023344Z-415d matches its ledgers"
    );
    assert_snapshot!(stdout_of(&sandbox, &["verify", "digits", "--json"]), @r#"
    {
      "run": "00001-20261126T023344Z-415d",
      "card": "digits/README.md",
      "differences": []
    }
    "#);
}

#[test]
fn push_dry_run_output() {
    let sandbox = sandbox_with_recorded_run();
    assert_snapshot!(stdout_of(&sandbox, &["push", "digits", "me/digits", "--dry-run"]), @"
    me/digits, branch main: Publish weights and footprint (1.04 Wh, 43.122 mg CO2e)
      README.md
      footprint.json
      model.bpk
      sootprint.png
    not pushed: sootprint/ (record of sootprint)
    ");
}

#[test]
fn estimate_and_grid_output() {
    let sandbox = TestSandbox::new();
    let estimate = ["estimate", "--hardware", "A100-SXM4-80GB", "--count", "8", "--hours", "24"];
    let place_and_year = ["--place", "France", "--year", "2024"];
    assert_snapshot!(stdout_of(&sandbox, &[&estimate[..], &place_and_year].concat()), @"
    Note    nothing was measured: modelled from 8 x A100 SXM4 80GB at 300.0 W each
            for 24 h; the dates of the training are unknown
    Energy  57.60 kWh (11.52 kWh to 76.80 kWh)
      GPU     57.60 kWh   modelled    8 x A100 SXM4 80GB
    CO2e    2.55 kg (432.81 g to 6.09 kg)
    Grid    France: 44.2 g CO2e/kWh in 2024; PUE 1.00 (assumed); Ember (2025);
            Energy Institute (2024), with major processing by Our World in Data (CC
            BY 4.0)
    Run     completed in 86400.0 s, training type not given; estimate
    ");
    assert_snapshot!(stdout_of(&sandbox, &["grid", "Quebec, Canada", "--year", "2024"]), @"
    Quebec, Canada (CA-QC)
      intensity  2.6 g CO2e/kWh (2.2 g CO2e/kWh to 33.0 g CO2e/kWh) in 2024
      counts     direct emissions of the zone's electricity, including imports
      grid       CA-QC
      source     Environment and Climate Change Canada, emission factors v4.0
    ");
}

#[test]
fn run_summary_output() {
    let sandbox = TestSandbox::new();
    let output = sandbox.run(&["--out", "out", "--pre-training", "--intensity", "50"], "echo trained");
    assert_eq!((status(&output), stdout(&output)), (Some(0), "trained\n".to_owned()));
    assert_snapshot!(mask_numbers(&stderr(&output)), @"
    Energy # J # J to # J)
    CPU # J counter Scripted
    CO2e # mg # mg to # mg)
    Grid unknown place: # g CO2e/kWh; PUE # (assumed); given by the user
    Run completed in # s, pre-training; #
    sootprint: recorded in out; see it again with `sootprint report out`
    ");
}

/// Replaces each number by `#` and collapses blanks, because the columns depend on the numbers.
fn mask_numbers(text: &str) -> String {
    let word = |word: &str| {
        let is_figure = word.chars().next().is_some_and(|it| it.is_ascii_digit() || it == '(')
            && word.chars().any(|it| it.is_ascii_digit());
        if is_figure { "#".to_owned() } else { word.to_owned() }
    };
    let line = |line: &str| line.split_whitespace().map(word).collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}
